//! Functions and scripts between Aedile and a real Redis: libraries in full syncs, in the stream, in files and dumps; effects of scripts.

use crate::support::server::Scratch;
use crate::support::*;

each_direction!(libraries_and_effects, dumps_and_files);

const LIBRARY: &str = "#!lua name=mylib\n\
    redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1], 'px', 900000) end)\n\
    redis.register_function{function_name = 'look', callback = function(keys) return redis.call('get', keys[1]) end, \
    flags = {'no-writes'}, description = 'reads'}";

fn load(c: &mut Conn, code: &str) {
    let reply = c.cmd(&["FUNCTION", "LOAD", "REPLACE", code]);
    assert!(!reply.is_error(), "{reply:?}");
}

/// The libraries with their codes; functions come in any order.
fn libraries(c: &mut Conn) -> Vec<(Value, Value)> {
    let list = c.run("FUNCTION LIST WITHCODE");
    let field = |library: &Value, name: &str| {
        let items = library.items();
        let at = items.iter().position(|v| *v == name).expect("a field");
        items[at + 1].clone()
    };
    let all = list.items().iter();
    let mut all: Vec<_> = all
        .map(|l| (field(l, "library_name"), field(l, "library_code")))
        .collect();
    all.sort();
    all
}

fn libraries_and_effects(master: Kind, replica: Kind) {
    let (m, r) = (Server::start(master, &[]), Server::start(replica, &[]));
    let (mut mc, mut rc) = (m.connect(), r.connect());
    load(&mut mc, LIBRARY);
    assert!(
        !rc.run(&format!("REPLICAOF 127.0.0.1 {}", m.port))
            .is_error()
    );
    wait_until("the link", || rc.info("master_link_status") == "up");
    assert_eq!(libraries(&mut mc), libraries(&mut rc));
    mc.cmd(&["FCALL", "put", "1", "k", "v"]).assert_ok();
    load(
        &mut mc,
        "#!lua name=second\nredis.register_function('two', function() return 2 end)",
    );
    for script in [
        "for i = 1, 20 do redis.call('rpush', 'l', i) end return redis.call('lrange', 'l', 0, -1)",
        "redis.call('set', 'at', redis.call('time')[1]) return redis.call('incr', 'n')",
        "redis.call('sadd', 's', 'a', 'b', 'c') return redis.call('spop', 's')",
        "return redis.pcall('incr', 'l')",
        "redis.set_repl(redis.REPL_AOF) redis.call('set', 'kept', 1) redis.call('del', 'kept')",
    ] {
        mc.cmd(&["EVAL", script, "0"]);
    }
    mc.ok("SET behind it");
    wait_until("the stream", || rc.run("GET behind") == "it");
    assert_eq!(dump_state(&mut mc), dump_state(&mut rc));
    assert_eq!(libraries(&mut mc), libraries(&mut rc));
    assert_eq!(rc.cmd(&["FCALL_RO", "look", "1", "k"]), "v");
    mc.ok("FUNCTION DELETE second");
    mc.ok("SET gone 1");
    wait_until("the stream", || rc.run("GET gone") == "1");
    assert_eq!(libraries(&mut rc).len(), 1);
}

fn dumps_and_files(writer: Kind, reader: Kind) {
    let scratch = Scratch::new();
    let version = if writer == Kind::Aedile {
        &["--rdb-save-version", "10"][..]
    } else {
        &[]
    };
    let mut w = Server::start(writer, version);
    let mut wc = w.connect();
    load(&mut wc, LIBRARY);
    wc.cmd(&["FCALL", "put", "1", "k", "v"]).assert_ok();
    let dump = wc.run("FUNCTION DUMP").bytes();
    wc.ok("SAVE");
    std::fs::copy(w.rdb_path(), scratch.join("dump.rdb")).expect("the file");
    w.terminate();
    let r = Server::start_in(reader, scratch, &[]);
    let mut rc = r.connect();
    assert_eq!(rc.cmd(&["FCALL", "look", "1", "k"]), "v");
    rc.ok("FUNCTION FLUSH");
    rc.cmd(&[b"FUNCTION".as_slice(), b"RESTORE", &dump])
        .assert_ok();
    assert_eq!(libraries(&mut rc).len(), 1);
}
