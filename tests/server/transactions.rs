//! MULTI, EXEC, DISCARD, WATCH: replies, aborts, what touches a watched key, and what is propagated.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";

/// Runs each line; panics when one is not queued.
#[track_caller]
fn queue(c: &mut Conn, lines: &[&str]) {
    c.ok("MULTI");
    for line in lines {
        assert_eq!(c.run(line), "QUEUED", "{line}");
    }
}

#[test]
fn commands_run_in_order_and_each_has_its_reply() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    queue(&mut c, &["SET k 1", "INCR k", "GET k", "PING", "PING"]);
    let mut other = server.connect();
    let list = other.run("CLIENT LIST").text();
    assert!(list.contains(" multi=5 "), "{list}");
    assert!(list.contains(" flags=x "), "{list}");
    assert!(!list.contains(" multi-mem=0 tot-mem"), "{list}");
    assert!(other.run("GET k").is_null());
    assert!(c.run("INCR k x").is_error());
    c.run("EXEC").assert_error(ABORTED);

    queue(
        &mut c,
        &["SET k 1", "INCR k", "APPEND k x", "INCR k", "GET k", "PING"],
    );
    let r = c.run("EXEC");
    let r = r.items();
    r[0].assert_ok();
    assert_eq!(r[1], 2);
    assert_eq!(r[2], 2);
    r[3].assert_error("ERR value is not an integer or out of range");
    assert_eq!(r[4], "2x");
    assert_eq!(r[5], "PONG");
    let list = other.run("CLIENT LIST").text();
    assert!(!list.contains(" multi=0 "), "{list}");
    queue(&mut c, &[]);
    assert_eq!(c.run("EXEC").items().len(), 0);
}

#[test]
fn what_is_not_queued() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("EXEC").assert_error("ERR EXEC without MULTI");
    c.run("DISCARD").assert_error("ERR DISCARD without MULTI");
    c.ok("MULTI");
    c.run("MULTI")
        .assert_error("ERR MULTI calls can not be nested");
    c.run("WATCH k")
        .assert_error("ERR WATCH inside MULTI is not allowed");
    // Neither of them spoils the transaction.
    assert_eq!(c.run("SET k v"), "QUEUED");
    c.run("EXEC").items()[0].assert_ok();
    queue(&mut c, &["SET k w"]);
    c.ok("DISCARD");
    assert_eq!(c.run("GET k"), "v");
    // These do.
    for bad in ["NOSUCH x", "GET", "CONFIG NOSUCH", "SYNC", "SAVE"] {
        queue(&mut c, &["SET k w"]);
        assert!(c.run(bad).is_error(), "{bad}");
        c.run("EXEC").assert_error(ABORTED);
        assert_eq!(c.run("GET k"), "v");
    }
    queue(&mut c, &["SET k w"]);
    c.run("EXEC now").assert_error(
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
    );
    c.run("EXEC").assert_error("ERR EXEC without MULTI");
    // RESET and QUIT leave at once.
    queue(&mut c, &["SET k w"]);
    assert_eq!(c.run("RESET"), "RESET");
    assert_eq!(c.run("GET k"), "v");
    queue(&mut c, &["SET k w"]);
    c.ok("QUIT");
    assert_eq!(server.connect().run("GET k"), "v");
    let stats = server.connect().run("INFO commandstats").text();
    let line = stats.lines().find(|l| l.starts_with("cmdstat_exec:"));
    assert!(
        line.is_some_and(|l| l.contains("rejected_calls=1")),
        "{line:?}"
    );
}

/// What EXEC answers when the watched key `k` (`before`, when not empty) is changed by `change` of another client.
fn watched(server: &Server, before: &[&str], change: &[&str]) -> Value {
    let mut c = server.connect();
    c.ok("FLUSHALL");
    for line in before {
        assert!(!c.run(line).is_error(), "{line}");
    }
    c.ok("WATCH x k y");
    let mut other = server.connect();
    for line in change {
        assert!(!other.run(line).is_error(), "{line}");
    }
    queue(&mut c, &["PING"]);
    c.run("EXEC")
}

#[test]
fn changes_of_watched_keys() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let touched: &[(&[&str], &[&str])] = &[
        (&[], &["SET k v"]),
        (&["SET k v"], &["SET k v"]),
        (&["SET k v"], &["DEL k"]),
        (&["SET k v"], &["UNLINK k"]),
        (&["SET k 1"], &["INCR k"]),
        (&["SET k v"], &["EXPIRE k 100"]),
        (&["SET k v EX 100"], &["PERSIST k"]),
        (&["SET k v"], &["RENAME k z"]),
        (&["SET z v"], &["RENAME z k"]),
        (&["SET z v"], &["COPY z k"]),
        (&["SET k v"], &["MOVE k 1"]),
        (
            &["SELECT 1", "SET k v", "SELECT 0"],
            &["SELECT 1", "MOVE k 0"],
        ),
        (&["SET k v"], &["FLUSHDB"]),
        (&["SET k v"], &["FLUSHALL"]),
        (&["SET k v"], &["SWAPDB 0 1"]),
        (&["SELECT 1", "SET k v", "SELECT 0"], &["SWAPDB 0 1"]),
        (&[], &["SETBIT k 1 1"]),
        (&[], &["MSET a 1 k 2"]),
        (&["SET k v"], &["GETDEL k"]),
        (&["SET k v"], &["GETEX k EX 100"]),
        (&[], &["SET k v", "DEL k"]),
        (
            &["SET k v PX 1000000"],
            &["PEXPIRE k 1", "DEBUG SLEEP 0.01"],
        ),
    ];
    for (before, change) in touched {
        assert_eq!(
            watched(&server, before, change),
            Value::NullArray,
            "{before:?} {change:?}"
        );
    }
    let untouched: &[(&[&str], &[&str])] = &[
        (&[], &["SET z v"]),
        (&["SET k v"], &["GET k", "STRLEN k", "TTL k"]),
        (&["SET k v"], &["SETNX k w"]),
        (&["SET k v"], &["SELECT 1", "SET k w"]),
        (&["SET k v"], &["PERSIST k"]),
        (&[], &["DEL k"]),
        (&[], &["EXPIRE k 100"]),
        (&[], &["FLUSHALL"]),
        (&["SET z v"], &["FLUSHDB"]),
        (&["SET z v"], &["SWAPDB 0 1"]),
        (&["SET k v"], &["SWAPDB 1 2"]),
        (&["SET k v"], &["SWAPDB 0 0"]),
        (&["SET k v"], &["COPY k z"]),
    ];
    for (before, change) in untouched {
        assert_eq!(
            watched(&server, before, change).items().len(),
            1,
            "{before:?} {change:?}"
        );
    }
}

#[test]
fn expiry_of_watched_keys() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.run("DEBUG SET-ACTIVE-EXPIRE 0");
    // It expires while it is watched, whether or not anybody has noticed.
    for notice in [false, true] {
        c.ok("SET k v PX 10");
        c.ok("WATCH k");
        std::thread::sleep(Duration::from_millis(30));
        if notice {
            assert!(server.connect().run("GET k").is_null());
        }
        queue(&mut c, &["PING"]);
        assert_eq!(c.run("EXEC"), Value::NullArray);
    }
    // It had expired before: that it goes is no change.
    for how in ["GET k", "FLUSHALL", "DEL k"] {
        c.ok("SET k v PX 10");
        std::thread::sleep(Duration::from_millis(30));
        c.ok("WATCH k");
        server.connect().run(how);
        queue(&mut c, &["PING"]);
        assert_eq!(c.run("EXEC").items().len(), 1, "{how}");
    }
    // That it comes back is one.
    c.ok("SET k v PX 10");
    std::thread::sleep(Duration::from_millis(30));
    c.ok("WATCH k");
    server.connect().ok("SET k new");
    queue(&mut c, &["PING"]);
    assert_eq!(c.run("EXEC"), Value::NullArray);
}

#[test]
fn what_ends_a_watch() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut other = server.connect();
    for end in ["UNWATCH", "MULTI,DISCARD", "MULTI,EXEC", "RESET"] {
        c.ok("WATCH k l");
        for line in end.split(',') {
            assert!(!c.run(line).is_error());
        }
        other.ok("SET k v");
        queue(&mut c, &["PING"]);
        assert_eq!(c.run("EXEC").items().len(), 1, "{end}");
    }
    // A failed EXEC ends it too.
    c.ok("WATCH k");
    other.ok("SET k v");
    queue(&mut c, &["PING"]);
    assert_eq!(c.run("EXEC"), Value::NullArray);
    queue(&mut c, &["PING"]);
    assert_eq!(c.run("EXEC").items().len(), 1);
    // One's own change counts.
    c.ok("WATCH k");
    c.ok("SET k v");
    queue(&mut c, &["PING"]);
    assert_eq!(c.run("EXEC"), Value::NullArray);
    // Many clients watch one key; some of them leave.
    let mut many: Vec<Conn> = (0..20).map(|_| server.connect()).collect();
    for m in &mut many {
        m.ok("WATCH k j k");
    }
    many.drain(5..10);
    many[3].ok("UNWATCH");
    other.ok("SET k v");
    for (i, m) in many.iter_mut().enumerate() {
        queue(m, &["PING"]);
        assert_eq!(m.run("EXEC") == Value::NullArray, i != 3, "{i}");
    }
}

/// The clock of a transaction stands still: a key does not expire in the middle of it.
#[test]
fn time_stands_still() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    queue(
        &mut c,
        &[
            "SET k v PX 50",
            "DEBUG SLEEP 0.1",
            "GET k",
            "PTTL k",
            "EXISTS k",
        ],
    );
    let r = c.run("EXEC");
    assert_eq!(r.items()[2], "v");
    assert_eq!(r.items()[3], 50);
    assert_eq!(r.items()[4], 1);
    assert!(c.run("GET k").is_null());
}

/// Reads the stream that a replica would get, up to `PUBLISH end`.
pub(super) fn stream_of(server: &Server, f: impl FnOnce(&mut Conn)) -> Vec<String> {
    let mut r = server.connect();
    r.write_raw(&encode(&["SYNC"]));
    // The payload's header, and the payload.
    let header = loop {
        let line = r.read_line().expect("header");
        if !line.is_empty() && line != b"\n" {
            break String::from_utf8_lossy(&line).trim().to_string();
        }
    };
    let size = header.trim_start_matches('$').parse().expect("a size");
    r.read_exact(size).expect("payload");
    let mut c = server.connect();
    f(&mut c);
    c.run("PUBLISH end .");
    let mut got = Vec::new();
    loop {
        let words: Vec<String> = r.read().items().iter().map(Value::text).collect();
        match words.join(" ").as_str() {
            "PUBLISH end ." => return got,
            "PING" | "ping" => {}
            line => got.push(line.to_string()),
        }
    }
}

#[test]
fn transactions_are_propagated_as_one() {
    let server = Server::aedile(&["--repl-diskless-sync", "no"]);
    let got = stream_of(&server, |c| {
        queue(c, &["SET a 1", "GET a", "INCR a", "SET t v EX 100"]);
        c.run("EXEC");
        // One change needs no wrapping, none is not propagated.
        queue(c, &["SET b 1", "GET b"]);
        c.run("EXEC");
        queue(c, &["GET b", "PING"]);
        c.run("EXEC");
        queue(c, &["SELECT 1", "SET c 1", "SELECT 0", "SET d 1"]);
        c.run("EXEC");
        queue(c, &["SET e 1", "PUBLISH x y"]);
        c.run("EXEC");
        c.ok("WATCH a");
        c.ok("SET a 2");
        queue(c, &["SET f 1"]);
        c.run("EXEC");
    });
    let expire = got[4].clone();
    assert!(expire.starts_with("SET t v PXAT "), "{expire}");
    let want = [
        "MULTI",
        "SELECT 0",
        "SET a 1",
        "INCR a",
        &expire,
        "EXEC",
        "SET b 1",
        "MULTI",
        "SELECT 1",
        "SET c 1",
        "SELECT 0",
        "SET d 1",
        "EXEC",
        "MULTI",
        "SET e 1",
        "PUBLISH x y",
        "EXEC",
        "SET a 2",
    ];
    assert_eq!(got, want);
}

#[test]
fn exec_is_refused_for_what_it_holds() {
    let server = Server::aedile(&[]);
    let master = Server::aedile(&[]);
    let mut c = server.connect();
    let mut reader = server.connect();
    queue(&mut c, &["SET k v"]);
    queue(&mut reader, &["GET k"]);
    let mut admin = server.connect();
    admin.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    c.run("EXEC").assert_error(
        "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
    );
    assert_eq!(reader.run("EXEC").items().len(), 1);
    admin.ok("REPLICAOF NO ONE");
    admin.ok("CONFIG SET replica-serve-stale-data no");
    queue(&mut reader, &["GET k"]);
    let mut pinger = server.connect();
    queue(&mut pinger, &["PING", "INFO replication"]);
    admin.ok("REPLICAOF 127.0.0.1 1");
    reader.run("EXEC").assert_error_prefix(
        "EXECABORT Transaction discarded because of: MASTERDOWN Link with MASTER is down",
    );
    // PING may not be asked of it either.
    pinger.run("EXEC").assert_error_prefix("EXECABORT ");
    let mut info = server.connect();
    queue(&mut info, &["INFO replication"]);
    assert_eq!(info.run("EXEC").items().len(), 1);
    admin.ok("REPLICAOF NO ONE");
    admin.ok("CONFIG SET min-replicas-to-write 1");
    admin.ok("CONFIG SET min-replicas-max-lag 10");
    queue(&mut reader, &["GET k"]);
    reader.run("SET k v").assert_error_prefix("NOREPLICAS");
    reader.run("EXEC").assert_error(ABORTED);
}

#[test]
fn monitors_see_the_commands_of_a_transaction() {
    let server = Server::aedile(&[]);
    let mut m = server.connect();
    m.ok("MONITOR");
    let mut c = server.connect();
    queue(&mut c, &["SET k v", "GET k"]);
    c.run("EXEC");
    let shown: Vec<String> = (0..4)
        .map(|_| {
            let line = m.read().text();
            line.split_once("] ")
                .map_or(line.clone(), |(_, c)| c.to_string())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "\"MULTI\"",
            "\"SET\" \"k\" \"v\"",
            "\"GET\" \"k\"",
            "\"EXEC\""
        ]
    );
}

#[test]
fn the_slow_log_has_the_commands_and_not_exec() {
    let server = Server::aedile(&["--slowlog-log-slower-than", "0"]);
    let mut c = server.connect();
    c.run("SLOWLOG RESET");
    queue(&mut c, &["SET k v"]);
    c.run("EXEC");
    let log = c.run("SLOWLOG GET 10");
    let names: Vec<String> = log
        .items()
        .iter()
        .map(|e| e.items()[3].items()[0].text())
        .collect();
    assert_eq!(names, ["SET", "MULTI", "SLOWLOG"]);
    let stats = c.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_set:calls=1,"), "{stats}");
    assert!(stats.contains("cmdstat_exec:calls=1,"), "{stats}");
}

/// A queue counts as input that has not run yet.
#[test]
fn a_queue_has_a_limit() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.config_set("client-query-buffer-limit", "1mb");
    let mut q = server.connect();
    q.ok("MULTI");
    let body = vec![b'x'; 100_000];
    let mut closed = false;
    for _ in 0..20 {
        if q.try_cmd(&[&b"SET"[..], b"k", &body]).is_err() {
            closed = true;
            break;
        }
    }
    assert!(closed);
    assert_eq!(server.log_count("reached max query buffer length"), 1);
}

/// The master's link: a transaction is applied when its EXEC has come, and until then the offset stays.
#[test]
fn a_replica_applies_a_transaction_as_a_whole() {
    let fake = FakeMaster::new();
    let server = Server::aedile(&[]);
    server.replicate(fake.port);
    let id = "1234567890123456789012345678901234567890";
    let mut peer = fake.accept();
    peer.serve_full(id, 1000, &[]);
    let mut c = server.connect();
    wait_until("the link", || c.info("master_link_status") == "up");
    let begin = [encode(&["SELECT", "0"]), encode(&["SET", "a", "1"])].concat();
    peer.write(&begin);
    wait_until("the stream", || c.run("GET a") == "1");
    let at = 1000 + begin.len() as i64;
    assert_eq!(c.info_int("slave_repl_offset"), at);

    let half = [encode(&["MULTI"]), encode(&["SET", "a", "2"])].concat();
    peer.write(&half);
    peer.write(&encode(&["REPLCONF", "GETACK", "*"]));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(c.run("GET a"), "1");
    assert_eq!(c.info_int("slave_repl_offset"), at);
    // The link breaks: the next one begins with the MULTI again.
    drop(peer);
    let mut peer = fake.accept();
    let psync = peer.handshake();
    assert_eq!(psync, format!("PSYNC {id} {}", at + 1));
    peer.line("+CONTINUE");
    let whole = [
        encode(&["MULTI"]),
        encode(&["SET", "a", "3"]),
        encode(&["SET", "b", "3"]),
        encode(&["EXEC"]),
    ]
    .concat();
    peer.write(&whole);
    wait_until("the transaction", || c.run("GET b") == "3");
    assert_eq!(c.run("GET a"), "3");
    assert_eq!(c.info_int("slave_repl_offset"), at + whole.len() as i64);
    assert_eq!(c.info_int("master_repl_offset"), at + whole.len() as i64);
}
