//! What a request has set in the state that all clients share ends with it: the next one, or one that runs in the middle of
//! it, finds nothing of it. (Bytes of half requests: `protocol`, and at random `tests/diff`.)

use crate::support::conn::encode;
use crate::support::*;

/// The counters of a command (`calls`, `rejected_calls`, `failed_calls`).
fn count(c: &mut Conn, command: &str, counter: &str) -> i64 {
    let text = c.run("INFO commandstats").text();
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:")));
    line.unwrap_or_default()
        .split(',')
        .find_map(|f| f.strip_prefix(&format!("{counter}=")))
        .map_or(0, |n| n.parse().expect("a number"))
}

/// An error that no command was answered with is not that of whichever command comes next.
#[test]
fn errors_count_for_whom_they_were() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("PING"), "PONG");
    let mut bad = server.connect();
    bad.write_raw(b"*x\r\n");
    bad.expect_close();
    assert_eq!(c.run("PING"), "PONG");

    // Unblocked with an error, outside of any command: the link to a master came up.
    let mut waits = server.connect();
    waits.send(&["BLPOP", "l", "0"]);
    wait_until("blocked", || c.info_int("blocked_clients") == 1);
    let master = FakeMaster::new();
    c.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    waits
        .read()
        .assert_error("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
    assert_eq!(c.run("PING"), "PONG");
    assert_eq!(count(&mut c, "ping", "failed_calls"), 0);
    assert_eq!(count(&mut c, "blpop", "failed_calls"), 1);
}

/// CLIENT REPLY SKIP is about one request: an empty one is one, and one that waits is it until it is answered.
#[test]
fn reply_skip_covers_one_request() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"CLIENT REPLY SKIP\r\n\r\nPING\r\n");
    assert_eq!(c.read(), "PONG");
    c.write_raw(b"CLIENT REPLY SKIP\r\n*0\r\nECHO a\r\n");
    assert_eq!(c.read(), "a");
    let mut d = server.connect();
    c.write_raw(b"CLIENT REPLY SKIP\r\nBLPOP l 0\r\nECHO b\r\n");
    wait_until("blocked", || d.info_int("blocked_clients") == 1);
    assert_eq!(d.run("RPUSH l v"), 1);
    assert_eq!(c.read(), "b");
    assert_eq!(d.run("EXISTS l"), 0);
    // Its time is up.
    c.write_raw(b"CLIENT REPLY SKIP\r\nBLPOP l 0.01\r\nECHO c\r\n");
    assert_eq!(c.read(), "c");
    // Somebody ends it.
    let id = c.run("CLIENT ID").int();
    c.write_raw(b"CLIENT REPLY SKIP\r\nBLPOP l 0\r\nECHO d\r\n");
    wait_until("blocked", || d.info_int("blocked_clients") == 1);
    assert_eq!(d.run(&format!("CLIENT UNBLOCK {id} ERROR")), 1);
    assert_eq!(c.read(), "d");
    c.write_raw(b"CLIENT REPLY SKIP\r\nWAIT 1 1\r\nECHO e\r\n");
    assert_eq!(c.read(), "e");
}

/// CLIENT CACHING is about one request, too.
#[test]
fn caching_covers_one_request() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut d = server.connect();
    c.run("HELLO 3");
    c.ok("CLIENT TRACKING ON OPTIN");
    d.ok("SET k v");
    c.write_raw(b"CLIENT CACHING YES\r\n\r\nGET k\r\n");
    c.read().assert_ok();
    assert_eq!(c.read(), "v");
    d.ok("SET k w");
    assert_eq!(c.run("PING"), "PONG");
    // What it has read when it begins to wait, and what it reads at last.
    c.ok("CLIENT CACHING YES");
    c.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    wait_until("blocked", || d.info_int("blocked_clients") == 1);
    for id in ["1-1", "2-1"] {
        assert_eq!(d.run(&format!("XADD s {id} f v")), id);
    }
    let heard = [c.read(), c.read(), c.read()];
    let told = heard.iter().filter(|v| matches!(v, Value::Push(_)));
    assert_eq!(told.count(), 2, "{heard:?}");
    assert_eq!(c.run("PING"), "PONG");
}

/// A command that waits for a key, and is to run again while clients are paused, runs when the pause ends.
#[test]
fn a_pause_loses_no_waiting_command() {
    let server = Server::aedile(&[]);
    let mut waits = server.connect();
    let mut c = server.connect();
    waits.write_raw(&[encode(&["BLPOP", "l", "0"]), encode(&["ECHO", "behind"])].concat());
    wait_until("blocked", || c.info_int("blocked_clients") == 1);
    c.ok("MULTI");
    for line in ["RPUSH l v", "CLIENT PAUSE 1000000 WRITE"] {
        assert_eq!(c.run(line), "QUEUED");
    }
    assert_eq!(c.run("EXEC").items().len(), 2);
    assert_eq!(c.run("LLEN l"), 1);
    c.ok("CLIENT UNPAUSE");
    assert_eq!(waits.read().items()[1], "v");
    assert_eq!(waits.read(), "behind");
    assert_eq!(c.run("LLEN l"), 0);
}

/// RESET ends CLIENT NO-TOUCH for the very next request.
#[test]
fn no_touch_ends_with_reset() {
    let server = Server::aedile(&["--maxmemory-policy", "allkeys-lfu", "--lfu-decay-time", "0"]);
    let mut c = server.connect();
    c.ok("SET k v");
    let freq = c.run("OBJECT FREQ k").int();
    c.ok("CLIENT NO-TOUCH ON");
    c.run("GET k");
    assert_eq!(c.run("OBJECT FREQ k"), freq);
    // A new key's first look always counts.
    c.write_raw(b"RESET\r\nGET k\r\n");
    assert_eq!(
        (c.read(), c.read()),
        (Value::Simple(b"RESET".to_vec()), Value::Bulk(b"v".to_vec()))
    );
    assert_eq!(c.run("OBJECT FREQ k"), freq + 1);
}

/// Clients are served in the middle of a transaction that loads a data set. What they do, and who they are, is nothing to
/// it, nor is it anything to them.
#[test]
fn commands_within_a_load_are_their_own() {
    let server = Server::aedile(&[
        "--enable-debug-command",
        "yes",
        "--requirepass",
        "secret",
        "--maxmemory-policy",
        "allkeys-lfu",
        "--lfu-decay-time",
        "0",
        "--rdbcompression",
        "no",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let connect = || {
        let mut c = server.connect();
        c.ok("AUTH secret");
        c
    };
    let mut outer = connect();
    let mut inner = connect();
    let mut waits = connect();
    outer.ok("DEBUG POPULATE 4000 key 200");
    outer.ok("SET k v");
    let freq = outer.run("OBJECT FREQ k").int();
    waits.send(&["BLPOP", "list", "0"]);
    wait_until("blocked", || inner.info_int("blocked_clients") == 1);
    // Ended by a client, below, long before all keys are loaded.
    inner.config_set("key-load-delay", "4000");

    assert!(matches!(outer.run("HELLO 3"), Value::Map(_)));
    outer.ok("CLIENT NO-TOUCH ON");
    let words = [
        "MULTI",
        "RPUSH list v",
        "INCR list",
        "DEBUG RELOAD",
        "GET k",
        "HGETALL nosuch",
        "EXEC",
        "HGETALL nosuch",
    ];
    outer.write_raw(&(words.map(|w| format!("{w}\r\n")).concat().into_bytes()));

    wait_until("the load", || {
        inner.run("GET k").is_error() && inner.info_int("loading") == 1
    });
    inner
        .run("GET k")
        .assert_error("LOADING Redis is loading the dataset in memory");
    // Somebody who has not authenticated, in the old protocol, with half a request.
    let mut stranger = server.connect();
    stranger
        .run("PING")
        .assert_error("NOAUTH Authentication required.");
    stranger.write_raw(b"*1234567890");
    let mut bad = server.connect();
    bad.write_raw(b"*x\r\n");
    bad.expect_close();
    let mut other = connect();
    other.ok("CLIENT NO-TOUCH OFF");
    other.ok("MULTI");
    other
        .run("NOSUCH")
        .assert_error_prefix("ERR unknown command 'NOSUCH'");
    other
        .run("EXEC")
        .assert_error("EXECABORT Transaction discarded because of previous errors.");
    other.write_raw(b"CLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY OFF\r\nPING\r\n");
    other.write_raw(b"CLIENT REPLY ON\r\n");
    other.read().assert_ok();
    assert_eq!(inner.run("SUBSCRIBE ch").items().len(), 3);
    assert_eq!(other.run("PUBLISH ch m"), 1);
    assert_eq!(inner.read().items()[2], "m");
    assert_eq!(inner.run("UNSUBSCRIBE ch").items().len(), 3);
    assert_eq!(inner.info_int("loading"), 1, "the load has ended too early");
    inner.config_set("key-load-delay", "0");

    outer.read().assert_ok();
    for _ in 0..5 {
        assert_eq!(outer.read(), "QUEUED");
    }
    let done = outer.read();
    let done = done.items();
    assert_eq!(done.len(), 5);
    assert_eq!(done[0], 1);
    assert!(done[1].is_error());
    done[2].assert_ok();
    assert_eq!(done[3], "v");
    assert_eq!(done[4], Value::Map(Vec::new()));
    assert_eq!(outer.read(), Value::Map(Vec::new()));
    // It was not served within the load, where it would have been refused.
    assert_eq!(waits.read().items()[1], "v");
    // The load has kept the counter, and the look of a NO-TOUCH client has not moved it.
    assert_eq!(outer.run("OBJECT FREQ k"), freq);
    for (command, failed) in [
        ("debug", 0),
        // The other client's, which was not to run.
        ("exec", 1),
        ("incr", 1),
        ("get", 0),
        ("hgetall", 0),
        ("ping", 0),
    ] {
        assert_eq!(
            count(&mut inner, command, "failed_calls"),
            failed,
            "{command}"
        );
    }
    stranger.write_raw(b"x\r\n");
    assert_eq!(
        String::from_utf8_lossy(&stranger.expect_close()),
        "-ERR Protocol error: invalid multibulk length\r\n"
    );
}
