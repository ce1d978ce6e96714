//! Append-only files of redis-server 7.0.15 load here, and those written here load there; damaged ones come out alike.

use std::path::Path;

use crate::need_redis;
use crate::support::conn::encode;
use crate::support::server::Scratch;
use crate::support::*;

/// Data of all types, and commands of all kinds.
fn fill(c: &mut Conn) {
    for line in [
        "SET string hello",
        "SET expires x PX 100000000",
        "APPEND string more",
        "RPUSH list a b 3",
        "SADD ints 1 2 3",
        "SADD set a b c",
        "ZADD zset 1 a 2.5 b",
        "HSET hash f v g w",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g who COUNT 1 STREAMS stream >",
        "PFADD hll a b c",
        "SPOP set",
        "INCRBYFLOAT float 3.25",
        "MULTI",
        "SELECT 3",
        "SET other db",
        "EXEC",
        "SELECT 0",
    ] {
        assert!(!c.run(line).is_error(), "{line}");
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

#[test]
fn files_cross() {
    need_redis!();
    for writer_kind in [Kind::Redis, Kind::Aedile] {
        for preamble in ["yes", "no"] {
            let mut args = vec!["--appendonly", "yes", "--aof-use-rdb-preamble", preamble];
            args.extend(["--aof-timestamp-enabled", "yes"]);
            args.extend(writer_kind.writes_for_70());
            let mut writer = Server::start(writer_kind, &args);
            let mut c = writer.connect();
            fill(&mut c);
            c.run("BGREWRITEAOF");
            wait_until("a rewrite", || {
                c.info("aof_rewrite_in_progress") == "0" && c.info("aof_rewrite_scheduled") == "0"
            });
            for line in [
                "RPUSH list z",
                "DEL hash",
                "EXPIRE string 100000",
                "SPOP ints",
                "XACK stream g 1-1",
                "GETEX expires PERSIST",
            ] {
                assert!(!c.run(line).is_error(), "{line}");
            }
            let state = dump_state(&mut c);
            // A write may wait for a sync in the background; the end of the process does not.
            writer.terminate();
            let scratch = Scratch::new();
            copy_dir(
                &writer.scratch.join("appendonlydir"),
                &scratch.join("appendonlydir"),
            );
            let mut args = vec!["--appendonly", "yes"];
            args.extend(writer_kind.other().writes_for_70());
            let reader = Server::start_in(writer_kind.other(), scratch, &args);
            assert_equal_state(&state, &dump_state(&mut reader.connect()));
        }
    }
}

/// A small file of commands, cut and altered at every byte: both servers refuse it, or both load the same;
/// here more is refused of what was altered, never less.
#[test]
fn damaged_files_come_out_alike() {
    need_redis!();
    let mut bytes = encode(&["SELECT", "0"]);
    bytes.extend(encode(&["SET", "a", "1"]));
    let before = bytes.len() as u64;
    for words in [
        &["MULTI"][..],
        &["RPUSH", "l", "x", "yy"],
        &["HSET", "h", "f", ""],
        &["EXEC"],
    ] {
        bytes.extend(encode(words));
    }
    let transaction = before + 1..bytes.len() as u64;
    bytes.extend(encode(&["INCR", "a"]));
    let args = [
        "--appendonly",
        "yes",
        "--enable-debug-command",
        "yes",
        "--appendfsync",
        "no",
    ];
    let mut servers = [Kind::Redis, Kind::Aedile].map(|kind| Server::start(kind, &args));
    let mut rng = Rng(13);
    let mut check = |file: &[u8], truncated: &str, what: &str| {
        let ends = servers.each_mut().map(|s| {
            let path = s.scratch.join("appendonlydir/appendonly.aof.1.incr.aof");
            let mut c = s.connect();
            c.config_set("aof-load-truncated", truncated);
            std::fs::write(&path, file).expect("written");
            let length = || std::fs::metadata(&path).expect("there").len();
            let whole = length();
            let (refused, left) = match c.try_cmd(&["DEBUG", "LOADAOF"]) {
                Ok(reply) => (reply.is_error(), length()),
                Err(_) => {
                    // 7.0 ends when a file is damaged, and when it has cut one.
                    s.wait_exit();
                    let left = length();
                    if left == whole {
                        std::fs::write(&path, b"").expect("written");
                    }
                    s.restart();
                    (true, left)
                }
            };
            // What a refused file leaves behind is nobody's data set.
            let loads = !refused || left < whole;
            let state = loads.then(|| dump_state(&mut s.connect()));
            (refused, left, state)
        });
        let [redis, aedile] = ends;
        if aedile.0 && !redis.0 && what.starts_with("byte") {
            // Redis overlooks what is wrong about the end of a line.
            return;
        }
        if aedile.0
            && aedile.1 == file.len() as u64
            && redis.1 < aedile.1
            && what.starts_with("byte")
        {
            // And takes a line that runs on to the file's end for a cut.
            return;
        }
        assert_eq!(redis.0, aedile.0, "{what}: is it refused?");
        // Redis leaves the head of a transaction that is cut, and what it appends then is queued by the next load, and lost.
        let left = if redis.1 < file.len() as u64 && transaction.contains(&redis.1) {
            transaction.start - 1
        } else {
            redis.1
        };
        assert_eq!(left, aedile.1, "{what}: the file's length");
        if let (Some(redis), Some(aedile)) = (redis.2, aedile.2) {
            assert_equal_state(&redis, &aedile);
        }
    };
    for cut in 0..=bytes.len() {
        check(&bytes[..cut], "yes", &format!("cut at {cut}"));
        if cut % 7 == 0 {
            check(&bytes[..cut], "no", &format!("cut at {cut}, to be refused"));
        }
    }
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << rng.below(8);
        check(&bad, "yes", &format!("byte {at} is {:02x}", bad[at]));
    }
    let mut c = servers[1].connect();
    assert_eq!(c.run("PING"), "PONG");
}
