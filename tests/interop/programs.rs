//! redis-cli, redis-benchmark, a client library and a raw SYNC drive the server under test.

use std::time::Duration;

use super::load::{Load, master, populate};
use crate::need_redis;
use crate::support::conn::encode;
use crate::support::server::Scratch;
use crate::support::tools::{Background, cli, run_benchmark, run_cli};
use crate::support::*;

fn aedile() -> Server {
    master(Kind::Aedile, &[])
}

#[test]
fn cli_commands() {
    need_redis!();
    let server = aedile();
    let out = run_cli(server.port, &["SET", "k", "a b"], b"");
    assert_eq!(out.stdout, "OK\n");
    let out = run_cli(server.port, &["--no-raw", "GET", "k"], b"");
    assert_eq!(out.stdout, "\"a b\"\n");
    let out = run_cli(server.port, &["-3", "--no-raw", "GET", "none"], b"");
    assert_eq!(out.stdout, "(nil)\n");
    let out = run_cli(server.port, &["INFO", "replication"], b"");
    assert!(out.stdout.contains("role:master"), "{out:?}");
    let out = run_cli(server.port, &["-x", "SET", "stdin"], b"from stdin");
    assert_eq!(out.stdout, "OK\n");
    let out = run_cli(server.port, &[], b"GET stdin\nINCR n\nNOSUCH\n");
    assert!(
        out.stdout.starts_with("from stdin\n1\nERR unknown command"),
        "{out:?}"
    );
    let out = run_cli(server.port, &["--scan", "--pattern", "st*"], b"");
    assert_eq!(out.stdout, "stdin\n");
    let out = run_cli(server.port, &["-e", "NOSUCH"], b"");
    assert_ne!(out.status.code(), Some(0));
}

#[test]
fn cli_rdb() {
    need_redis!();
    let server = aedile();
    populate(&server, 5_000);
    let scratch = Scratch::new();
    let file = scratch.join("dump.rdb");
    let path = file.to_str().expect("utf8").to_string();
    let out = run_cli(server.port, &["--rdb", &path], b"");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(
        format!("{}{}", out.stdout, out.stderr).contains("Transfer finished with success"),
        "{out:?}"
    );
    let mut c = server.connect();
    let state = dump_state(&mut c);
    // Both servers load what was fetched, and the run left no replica behind.
    let copy = Scratch::new();
    std::fs::copy(&file, copy.join("dump.rdb")).expect("copy");
    let reader = Server::start_in(Kind::Redis, scratch, &[]);
    assert_equal_state(&state, &dump_state(&mut reader.connect()));
    let reader = Server::start_in(Kind::Aedile, copy, &[]);
    assert_equal_state(&state, &dump_state(&mut reader.connect()));
    wait_until("no replica", || c.info("connected_slaves") == "0");
}

#[test]
fn cli_pipe() {
    need_redis!();
    let server = aedile();
    let mut input = Vec::new();
    for i in 0..20_000 {
        input.extend(encode(&["SET", &format!("k{i}"), &format!("v{i}")]));
    }
    let out = run_cli(server.port, &["--pipe"], &input);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(out.stdout.contains("errors: 0, replies: 20000"), "{out:?}");
    assert_eq!(server.connect().run("DBSIZE"), 20_000);
    let out = run_cli(
        server.port,
        &["--pipe"],
        b"SET a 1\r\nNOSUCH\r\nSET b 2\r\n",
    );
    assert!(out.stdout.contains("errors: 1, replies: 3"), "{out:?}");
}

#[test]
fn cli_replica() {
    need_redis!();
    let server = aedile();
    populate(&server, 1_000);
    let scratch = Scratch::new();
    let path = scratch.join("out");
    let child = Background::start(cli(server.port, &["--replica"]), &path);
    let mut c = server.connect();
    wait_until("the cli to be a replica", || {
        c.info("slave0").contains("state=online")
    });
    c.ok("SET from master");
    c.ok("SELECT 2");
    c.ok("SET other db");
    wait_until("the writes at the cli", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.contains("\"SET\",\"from\",\"master\"")
            && text.contains("\"SELECT\",\"2\"")
            && text.contains("\"SET\",\"other\",\"db\"")
    });
    drop(child);
    wait_until("no replica", || c.info("connected_slaves") == "0");
}

#[test]
fn cli_latency_bigkeys_memkeys_stat() {
    need_redis!();
    let server = aedile();
    populate(&server, 500);
    let out = run_cli(server.port, &["--bigkeys"], b"");
    assert!(
        out.stdout.contains("Sampled 500 keys in the keyspace!"),
        "{out:?}"
    );
    let out = run_cli(server.port, &["-r", "3", "-i", "0.01", "PING"], b"");
    assert_eq!(out.stdout, "PONG\nPONG\nPONG\n");
}

#[test]
fn benchmark() {
    need_redis!();
    let server = aedile();
    for pipeline in ["1", "16"] {
        let out = run_benchmark(
            server.port,
            &[
                "-t",
                "ping,set,get,incr,mset",
                "-n",
                "20000",
                "-c",
                "50",
                "-P",
                pipeline,
                "-r",
                "1000",
                "-q",
            ],
        );
        let text = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(out.status.code(), Some(0), "{text}");
        for bad in ["Error", "WARNING", "Could not"] {
            assert!(!text.contains(bad), "{text}");
        }
        for name in [
            "PING_INLINE:",
            "PING_MBULK:",
            "SET:",
            "GET:",
            "INCR:",
            "MSET (10 keys):",
        ] {
            assert!(text.contains(name), "{name} is missing: {text}");
        }
    }
    let mut c = server.connect();
    assert_eq!(c.run("INFO errorstats").text().trim(), "# Errorstats");
    let stats = c.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_set:calls=40000,"), "{stats}");
    assert!(stats.contains("cmdstat_mset:calls=40000,"), "{stats}");
    // 50 clients and the one of redis-benchmark's first CONFIG GET are gone.
    wait_until("no clients", || c.info("connected_clients") == "1");
}

#[test]
fn raw_sync() {
    need_redis!();
    for diskless in ["no", "yes"] {
        let server = master(Kind::Aedile, &["--repl-diskless-sync", diskless]);
        populate(&server, 2_000);
        let load = Load::start(server.port, 11);
        let mut c = server.connect();
        c.write_raw(b"SYNC\r\n");
        let mut line = c.read_line().expect("header");
        while line.is_empty() {
            line = c.read_line().expect("header");
        }
        // A plain SYNC is answered by length, never by an EOF mark.
        let len: usize = String::from_utf8_lossy(&line)
            .strip_prefix('$')
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&line)));
        let payload = c.read_exact(len).expect("payload");
        assert!(payload.starts_with(b"REDIS00"));
        assert_eq!(payload[len - 9], 0xff);
        let crc = u64::from_le_bytes(payload[len - 8..].try_into().expect("8 bytes"));
        assert_eq!(crc, rdb::crc64(&payload[..len - 8]));
        load.stop();
        let mut first = None;
        server.connect().ok("SET the end");
        loop {
            let command = c.read();
            let words: Vec<String> = command.items().iter().map(Value::text).collect();
            if words[0].eq_ignore_ascii_case("PING") {
                continue;
            }
            first.get_or_insert_with(|| words.clone());
            if words == ["SET", "the", "end"] {
                break;
            }
        }
        assert_eq!(first.expect("a command"), ["SELECT", "0"]);
        // Both kinds load the payload.
        let (a, b) = (Scratch::new(), Scratch::new());
        a.write("dump.rdb", &payload);
        b.write("dump.rdb", &payload);
        let one = Server::start_in(Kind::Redis, a, &[]);
        let two = Server::start_in(Kind::Aedile, b, &[]);
        assert!(one.connect().run("DBSIZE").int() > 1_000);
        // Keys of the load's short expiries may have gone meanwhile in one of them.
        wait_until("equal data sets", || {
            dump_state(&mut one.connect()) == dump_state(&mut two.connect())
        });
    }
}

/// RDB files cross in both directions.
#[test]
fn rdb_files_cross() {
    need_redis!();
    for kind in [Kind::Aedile, Kind::Redis] {
        let writer = master(kind, kind.writes_for_70());
        populate(&writer, 3_000);
        let mut c = writer.connect();
        c.ok("SELECT 7");
        c.cmd(&["SET", "binary", "\0\u{ff}\r\n"]).assert_ok();
        c.cmd(&["SET", "lzf", &"abc".repeat(5_000)]).assert_ok();
        for n in [
            "0",
            "-1",
            "127",
            "128",
            "-32768",
            "65536",
            "-2147483649",
            "9223372036854775807",
        ] {
            c.cmd(&["SET", &format!("int{n}"), n]).assert_ok();
        }
        let state = dump_state(&mut c);
        c.ok("SAVE");
        let scratch = Scratch::new();
        std::fs::copy(writer.rdb_path(), scratch.join("dump.rdb")).expect("copy");
        let reader = Server::start_in(kind.other(), scratch, &[]);
        assert_equal_state(&state, &dump_state(&mut reader.connect()));
    }
}

/// The `redis` crate, as an application would use it.
#[test]
fn client_library() {
    use redis::Commands;
    let server = aedile();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/3", server.port)).expect("url");
    let mut con = client
        .get_connection_with_timeout(Duration::from_secs(30))
        .expect("connect");
    let () = con.set("k", "v").expect("SET");
    let got: Option<String> = con.get("k").expect("GET");
    assert_eq!(got.as_deref(), Some("v"));
    let n: i64 = con.incr("n", 5).expect("INCRBY");
    assert_eq!(n, 5);
    let all: (String, i64) = redis::pipe()
        .cmd("GET")
        .arg("k")
        .cmd("INCR")
        .arg("n")
        .query(&mut con)
        .expect("pipeline");
    assert_eq!(all, ("v".to_string(), 6));
    let keys: Vec<String> = con.scan_match("*").expect("SCAN").collect();
    assert_eq!(keys.len(), 2);
    let wrong: redis::RedisResult<i64> = con.incr("k", 1);
    assert!(wrong.is_err());
}
