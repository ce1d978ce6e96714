//! A data set of all types under a random write load, in both directions: what the replica has in the end is what the master
//! has, key by key and by DEBUG DIGEST. And a file of 7.0 with all encodings.

use std::sync::atomic::{AtomicBool, Ordering};

use super::generator;
use super::load::master;
use crate::need_redis;
use crate::support::conn::encode;
use crate::support::server::Scratch;
use crate::support::state::forget_unpropagated;
use crate::support::*;

each_direction!(all_types_under_load, all_encodings_by_file);

/// Commands of the generator that would undo what a test is about: settings, and the loss of all.
const LEFT_OUT: &[&str] = &["CONFIG", "FLUSHDB", "PFDEBUG", "DISCARD", "EXEC"];

/// Sorted sets, with scores whose text is the same in both versions.
fn sorted_set(rng: &mut Rng) -> Vec<Vec<u8>> {
    let key = format!("z{}", rng.below(4));
    let member = format!("m{}", rng.below(300));
    let score = format!("{}", (rng.below(4000) as f64 - 2000.0) / 2.0);
    let index = rng.below(20).to_string();
    let to = format!("z{}", rng.below(4));
    let words: Vec<&str> = match rng.below(12) {
        0..=6 => vec!["ZADD", &key, &score, &member, &index, &index],
        7 => vec!["ZINCRBY", &key, "2.5", &member],
        8 => vec!["ZREM", &key, &member, &index],
        9 => vec!["ZREMRANGEBYRANK", &key, &index, &index],
        10 => vec!["ZPOPMIN", &key, "2"],
        _ => vec!["ZUNIONSTORE", &to, "2", &key, &to, "AGGREGATE", "MAX"],
    };
    words.iter().map(|w| w.as_bytes().to_vec()).collect()
}

/// The command of a step, as words.
fn command(rng: &mut Rng, step: usize) -> Vec<Vec<u8>> {
    if rng.one_in(8) {
        return sorted_set(rng);
    }
    loop {
        let words = generator::command(rng, step);
        let name = String::from_utf8_lossy(&words[0]).to_uppercase();
        if !LEFT_OUT.contains(&&*name) {
            return words;
        }
    }
}

/// Runs steps until told to stop, at least `least` of them; errors are replies like others.
fn write(port: u16, seed: u64, least: usize, stop: &AtomicBool) {
    let mut c = Conn::connect(port);
    let mut rng = Rng(seed);
    let mut step = 0;
    while step < least || !stop.load(Ordering::SeqCst) {
        let mut out = Vec::new();
        for _ in 0..20 {
            step += 1;
            out.extend(encode(&command(&mut rng, step)));
        }
        c.write_raw(&out);
        for _ in 0..20 {
            c.read();
        }
    }
}

/// Large ones beside what the random stream makes, so that every encoding is there.
fn add_large(c: &mut Conn) {
    let number = |i: usize| i.to_string();
    for i in 0..700 {
        let n = number(i * 7919);
        let word = format!("word {i}");
        let score = number(i);
        for words in [
            vec!["RPUSH", "large:list", &n, &word],
            vec!["SADD", "large:intset", &n],
            vec!["SADD", "large:set", &n, &word],
            vec!["HSET", "large:hash", &word, &n],
            vec!["ZADD", "large:zset", &score, &word],
            vec!["XADD", "large:stream", "*", "field", &n, "word", &word],
        ] {
            assert!(!c.cmd(&words).is_error());
        }
    }
    let long = "long ".repeat(4000);
    for words in [
        vec!["RPUSH", "small:list", "1", "b", ""],
        vec!["RPUSH", "long:list", &long, "x", &long],
        vec!["SADD", "small:intset", "1", "-70000", "5000000000"],
        vec!["SADD", "small:set", "1", "b", ""],
        vec!["HSET", "small:hash", "1", "b", "", "-5"],
        vec!["HSET", "long:hash", "f", &long],
        vec![
            "ZADD",
            "small:zset",
            "1.5",
            "a",
            "-inf",
            "b",
            "inf",
            "c",
            "3",
            "5",
        ],
        vec!["XADD", "small:stream", "5-1", "a", "1"],
        vec!["XADD", "small:stream", "5-2", "b", "2", "c", "-3"],
        vec!["XADD", "small:stream", "6-0", "a", "2"],
        vec!["XDEL", "small:stream", "5-1"],
        vec!["XGROUP", "CREATE", "small:stream", "g", "0"],
        vec![
            "XREADGROUP",
            "GROUP",
            "g",
            "who",
            "COUNT",
            "1",
            "STREAMS",
            "small:stream",
            ">",
        ],
        vec!["XGROUP", "CREATE", "large:stream", "g", "$"],
        vec!["XTRIM", "large:stream", "MAXLEN", "650"],
    ] {
        assert!(!c.cmd(&words).is_error(), "{words:?}");
    }
}

fn digest(server: &Server) -> Value {
    server.connect().run("DEBUG DIGEST")
}

fn all_types_under_load(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &["--list-compress-depth", "1"]);
    add_large(&mut m.connect());
    let stop = AtomicBool::new(true);
    write(m.port, 71, 4_000, &stop);
    let r = master(replica_kind, &[]);
    stop.store(false, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| write(m.port, 72, 2_000, &stop));
        r.replicate(m.port);
        r.wait_link_up();
        stop.store(true, Ordering::SeqCst);
        load.join().expect("the load");
    });
    write(m.port, 73, 3_000, &stop);
    let (mut state, mut found) = synced_states(&m, &r);
    forget_unpropagated(&mut state);
    forget_unpropagated(&mut found);
    assert_equal_state(&state, &found);
    for kind in ["string", "list", "set", "hash", "zset", "stream"] {
        let n = state.values().filter(|e| e.kind == kind).count();
        assert!(n > 1, "{n} keys of type {kind}");
    }
    // No digests here: 7.0 and 7.2 spell scores differently in them.
    assert_eq!(m.connect().info("sync_full"), "1");
}

/// A file goes from one to the other and back.
fn all_encodings_by_file(writer_kind: Kind, reader_kind: Kind) {
    let mut digests = Vec::new();
    let mut file = None;
    for kind in [writer_kind, reader_kind, writer_kind] {
        let scratch = Scratch::new();
        match &file {
            None => {}
            Some(bytes) => {
                scratch.write("dump.rdb", bytes);
            }
        }
        let mut args = vec!["--enable-debug-command", "yes"];
        args.extend(kind.writes_for_70());
        let server = Server::start_in(kind, scratch, &args);
        let mut c = server.connect();
        if file.is_none() {
            add_large(&mut c);
        }
        digests.push(digest(&server));
        for name in ["list", "intset", "set", "hash", "zset"] {
            let small = c.cmd(&["OBJECT", "ENCODING", &format!("small:{name}")]);
            let large = c.cmd(&["OBJECT", "ENCODING", &format!("large:{name}")]);
            if kind == Kind::Aedile {
                assert_ne!(small, large, "{name}");
            }
        }
        c.ok("SAVE");
        file = Some(std::fs::read(server.rdb_path()).expect("a file"));
        if kind == Kind::Aedile {
            c.ok("DEBUG RELOAD");
            digests.push(digest(&server));
        }
    }
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
}

/// The file that redis-server 7.0.15 has made of [`add_large`]'s data, with its DEBUG DIGEST.
#[test]
fn a_file_of_7_0() {
    need_redis!();
    let bytes = std::fs::read("tests/assets/types-7.0.rdb").expect("the asset");
    let digests = [Kind::Redis, Kind::Aedile].map(|kind| {
        let scratch = Scratch::new();
        scratch.write("dump.rdb", &bytes);
        let server = Server::start_in(kind, scratch, &["--enable-debug-command", "yes"]);
        let state = dump_state(&mut server.connect());
        (digest(&server), state)
    });
    assert_eq!(digests[0].0, digests[1].0);
    assert_equal_state(&digests[0].1, &digests[1].1);
    assert_eq!(digests[0].1.len(), 14);
}
