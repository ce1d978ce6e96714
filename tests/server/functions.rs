//! FUNCTION and FCALL: loading, listing, dumping, what a load may do, and that libraries outlive the process.

use crate::support::server::Scratch;
use crate::support::*;

const LIBRARY: &str = "#!lua name=mylib\n\
    redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)\n\
    redis.register_function{function_name = 'look', callback = function(keys, args) return redis.call('get', keys[1]) end, \
    flags = {'no-writes'}, description = 'reads a key'}";

fn load(c: &mut Conn, code: &str) -> Value {
    c.cmd(&["FUNCTION", "LOAD", code])
}

#[test]
fn functions_are_loaded_listed_and_called() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(load(&mut c, LIBRARY), "mylib");
    c.cmd(&["FCALL", "put", "1", "k", "v"]).assert_ok();
    assert_eq!(c.cmd(&["FCALL", "LOOK", "1", "k"]), "v");
    assert_eq!(c.cmd(&["FCALL_RO", "look", "1", "k"]), "v");
    c.cmd(&["FCALL_RO", "put", "1", "k", "w"])
        .assert_error("ERR Can not execute a script with write flag using *_ro command.");
    c.cmd(&["FCALL", "nosuch", "0"])
        .assert_error("ERR Function not found");
    load(&mut c, LIBRARY).assert_error("ERR Library 'mylib' already exists");
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]), "mylib");
    let list = c.run("FUNCTION LIST WITHCODE");
    let text = format!("{list:?}");
    assert!(
        text.contains("reads a key") && text.contains("no-writes"),
        "{text}"
    );
    assert_eq!(c.run("FUNCTION LIST LIBRARYNAME my*").items().len(), 1);
    assert_eq!(c.run("FUNCTION LIST LIBRARYNAME other*").items().len(), 0);
    assert_eq!(c.info_int("number_of_functions"), 2);
    // An error tells the function and its line.
    load(
        &mut c,
        "#!lua name=bad\nredis.register_function('bad', function()\nreturn redis.call('incr') end)",
    );
    c.cmd(&["FCALL", "bad", "0"]).assert_error(
        "ERR Wrong number of args calling Redis command from script script: bad, on @user_function:3.",
    );
    c.ok("FUNCTION DELETE mylib");
    c.run("FUNCTION DELETE mylib")
        .assert_error("ERR Library not found");
    c.cmd(&["FCALL", "put", "1", "k", "v"])
        .assert_error("ERR Function not found");
}

#[test]
fn what_a_load_may_not_do_leaves_nothing() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (code, part) in [
        ("return 1", "Missing library metadata"),
        ("#!lua", "Invalid library metadata"),
        ("#!lua\n", "Library name was not given"),
        ("#!js name=x\n", "Engine 'js' not found"),
        ("#!lua name=x y=1\n", "Invalid metadata value given: y=1"),
        ("#!lua name=a.b\n", "can only contain letters"),
        ("#!lua name=x\nlocal x = ", "Error compiling function"),
        ("#!lua name=x\nlocal x = 1", "No functions registered"),
        (
            "#!lua name=x\nredis.call('set', 'k', 1)",
            "nonexistent global variable 'call'",
        ),
        (
            "#!lua name=x\nlocal c = redis.call c('set', 'k', 1)",
            "nonexistent global variable 'call'",
        ),
        // Nor is it there to be called later.
        (
            "#!lua name=x\nlocal c = redis.call redis.register_function('f', function() return c('ping') end)",
            "nonexistent global variable 'call'",
        ),
        (
            "#!lua name=x\nlocal t = {redis.pcall} redis.register_function('f', function() return t[1]('ping') end)",
            "nonexistent global variable 'pcall'",
        ),
        ("#!lua name=x\nx = 1", "Attempt to modify a readonly table"),
        (
            "#!lua name=x\nredis.register_function('f', function() end) local late late()",
            "late",
        ),
        (
            "#!lua name=x\nredis.register_function('f', 1)",
            "must be a function",
        ),
        (
            "#!lua name=x\nreturn string.rep",
            "nonexistent global variable 'string'",
        ),
        ("#!lua name=x\nwhile true do end", "FUNCTION LOAD timeout"),
    ] {
        let reply = load(&mut c, code);
        assert!(
            reply.is_error() && reply.text().contains(part),
            "{code}: {reply:?}"
        );
        assert_eq!(c.run("FUNCTION LIST").items().len(), 0, "{code}");
        assert!(c.run("GET k").is_null());
    }
    // None can be registered later.
    load(
        &mut c,
        "#!lua name=x\nlocal r = redis.register_function r('f', function() return r('g', function() end) end)",
    );
    let late = c.cmd(&["FCALL", "f", "0"]);
    assert!(
        late.text()
            .contains("can only be called on FUNCTION LOAD command"),
        "{late:?}"
    );
}

#[test]
fn a_dump_brings_them_back() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    load(&mut c, LIBRARY);
    let dump = c.run("FUNCTION DUMP").bytes();
    let restore = |c: &mut Conn, how: &[&str]| {
        let mut words: Vec<&[u8]> = vec![b"FUNCTION", b"RESTORE", &dump];
        words.extend(how.iter().map(|w| w.as_bytes()));
        c.cmd(&words)
    };
    restore(&mut c, &[]).assert_error("ERR Library mylib already exists");
    restore(&mut c, &["REPLACE"]).assert_ok();
    c.ok("FUNCTION FLUSH");
    restore(&mut c, &[]).assert_ok();
    load(
        &mut c,
        "#!lua name=other\nredis.register_function('o', function() return 1 end)",
    );
    restore(&mut c, &["FLUSH"]).assert_ok();
    assert_eq!(c.run("FUNCTION LIST").items().len(), 1);
    restore(&mut c, &["WHAT"]).assert_error(
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
    );
    // One that collides changes nothing.
    c.ok("FUNCTION FLUSH SYNC");
    load(
        &mut c,
        "#!lua name=other\nredis.register_function('put', function() return 1 end)",
    );
    restore(&mut c, &["APPEND"]).assert_error("ERR Function put already exists");
    assert_eq!(c.cmd(&["FCALL", "put", "0"]), 1);
    let mut cut = dump.clone();
    cut.truncate(dump.len() - 11);
    c.cmd(&[b"FUNCTION".as_slice(), b"RESTORE", &cut])
        .assert_error("ERR DUMP payload version or checksum are wrong");
}

/// What a client restores may be any code.
#[test]
fn a_dump_without_an_end_is_refused() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    load(&mut c, LIBRARY);
    let code = b"#!lua name=endless\nwhile true do end";
    let mut dump = vec![0xf5, code.len() as u8];
    dump.extend_from_slice(code);
    dump.extend_from_slice(&11_u16.to_le_bytes());
    let sum = rdb::crc64(&dump);
    dump.extend_from_slice(&sum.to_le_bytes());
    for how in ["APPEND", "REPLACE", "FLUSH"] {
        let words: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", &dump, how.as_bytes()];
        c.cmd(&words)
            .assert_error("ERR Error registering functions: ERR FUNCTION LOAD timeout");
        assert_eq!(c.info_int("number_of_libraries"), 1);
    }
    c.cmd(&["FCALL", "put", "1", "k", "v"]).assert_ok();
}

#[test]
fn libraries_outlive_the_process() {
    for args in [
        &["--save", "1000 1"][..],
        &["--appendonly", "yes"],
        &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
    ] {
        let scratch = Scratch::new();
        let args = [args, &["--enable-debug-command", "yes"]].concat();
        let mut server = Server::start_in(Kind::Aedile, scratch, &args);
        let mut c = server.connect();
        load(&mut c, LIBRARY);
        c.cmd(&["FCALL", "put", "1", "k", "v"]).assert_ok();
        if args.contains(&"--appendonly") {
            c.run("BGREWRITEAOF");
            wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
        }
        c.ok("DEBUG RELOAD");
        assert_eq!(c.cmd(&["FCALL", "look", "1", "k"]), "v");
        server.terminate();
        server.restart();
        let mut c = server.connect();
        assert_eq!(c.cmd(&["FCALL", "look", "1", "k"]), "v", "{args:?}");
        assert_eq!(c.info_int("number_of_libraries"), 1);
    }
}

#[test]
fn replicas_have_the_master_s_libraries() {
    let master = Server::aedile(&[]);
    let mut m = master.connect();
    load(&mut m, LIBRARY);
    for (load_mode, diskless) in [("disabled", "no"), ("swapdb", "yes"), ("disabled", "yes")] {
        m.config_set("repl-diskless-sync", diskless);
        m.config_set("repl-diskless-sync-delay", "0");
        let replica = Server::aedile(&["--repl-diskless-load", load_mode]);
        let mut r = replica.connect();
        load(
            &mut r,
            "#!lua name=old\nredis.register_function('old', function() return 1 end)",
        );
        r.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
        wait_until("the link", || r.info("master_link_status") == "up");
        let names = |c: &mut Conn| format!("{:?}", c.run("FUNCTION LIST WITHCODE"));
        assert_eq!(names(&mut r), names(&mut m), "{load_mode} {diskless}");
        m.cmd(&["FCALL", "put", "1", "k", load_mode]).assert_ok();
        wait_until("the write", || {
            r.cmd(&["FCALL_RO", "look", "1", "k"]) == load_mode
        });
        load(
            &mut m,
            "#!lua name=new\nredis.register_function('new', function() return 1 end)",
        );
        wait_until("the library", || names(&mut r) == names(&mut m));
        m.ok("FUNCTION DELETE new");
        wait_until("it is gone", || names(&mut r) == names(&mut m));
        r.cmd(&["FCALL", "put", "1", "k", "x"])
            .assert_error("READONLY You can't write against a read only replica.");
    }
    m.ok("FUNCTION FLUSH");
}

/// A full sync that does not wait for the end of a function brings others in its place: what they are called by is theirs.
#[test]
fn functions_that_a_sync_brings_in_the_middle_of_another() {
    let master = Server::aedile(&[
        "--repl-diskless-sync-delay",
        "0",
        "--enable-debug-command",
        "yes",
    ]);
    let replica = Server::aedile(&[
        "--repl-diskless-load",
        "swapdb",
        "--busy-reply-threshold",
        "50",
    ]);
    let (mut m, mut r) = (master.connect(), replica.connect());
    let library = |name: &str, functions: &[(&str, &str)]| {
        let mut code = format!("#!lua name={name}");
        for (name, body) in functions {
            code += &format!(
                "\nredis.register_function{{function_name = '{name}', flags = {{'no-writes'}}, callback = function() {body} end}}"
            );
        }
        code
    };
    let old = library(
        "old",
        &[("slow", "while true do end"), ("b", "return 'old'")],
    );
    assert_eq!(load(&mut m, &old), "old");
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || r.info("master_link_status") == "up");
    let mut slow = replica.connect();
    slow.send(&["FCALL_RO", "slow", "0"]);
    wait_until("busy", || r.run("GET x").is_error());
    m.ok("FUNCTION FLUSH");
    let new = library(
        "new",
        &[
            ("x", "return 'x'"),
            ("y", "return 'y'"),
            ("z", "return 'z'"),
        ],
    );
    assert_eq!(load(&mut m, &new), "new");
    m.ok("DEBUG CHANGE-REPL-ID");
    m.run("CLIENT KILL TYPE replica");
    wait_until("the sync", || {
        replica.log_count("Finished with success") == 2
    });
    r.ok("FUNCTION KILL");
    slow.read()
        .assert_error_prefix("ERR Script killed by user with SCRIPT KILL");
    wait_until("over", || !r.run("GET x").is_error());
    for name in ["x", "y", "z"] {
        assert_eq!(r.cmd(&["FCALL_RO", name, "0"]), name);
    }
    r.cmd(&["FCALL_RO", "b", "0"])
        .assert_error("ERR Function not found");
}

/// The debugging command lets scripts call all commands, but nothing runs in a machine that runs.
#[test]
fn a_script_cannot_run_another() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("DEBUG SET-DISABLE-DENY-SCRIPTS 1");
    let code = "#!lua name=x\nredis.register_function('fl', function(keys, args) \
                return redis.call('function', 'load', 'replace', args[1]) end)";
    assert_eq!(load(&mut c, code), "x");
    let inner = "#!lua name=y\nredis.register_function('fy', function() return 7 end)";
    c.cmd(&["FCALL", "fl", "0", inner])
        .assert_error_prefix("OOM no Lua machine can be had now");
    assert_eq!(c.info_int("number_of_libraries"), 1);
    c.cmd(&["EVAL", "return redis.call('eval', 'return 5', 0)", "0"])
        .assert_error_prefix("OOM no Lua machine can be had now");
    let both =
        "local ok, e = pcall(redis.call, 'fcall', 'fl', 0, 'x') return {e, redis.call('ping')}";
    let reply = c.cmd(&["EVAL", both, "0"]);
    assert_eq!(reply.items()[0].text(), "ERR A script cannot run another");
    assert_eq!(reply.items()[1], "PONG");
}
