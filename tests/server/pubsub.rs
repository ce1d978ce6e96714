//! Pub/sub and keyspace notifications.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::server::Scratch;
use crate::support::tools::preload;
use crate::support::*;

/// The next message, as words.
#[track_caller]
fn message(c: &mut Conn) -> Vec<String> {
    c.read().items().iter().map(Value::text).collect()
}

#[track_caller]
fn silent(c: &mut Conn) {
    assert_eq!(c.read_for(Duration::from_millis(100)), b"");
}

#[test]
fn subscriptions_are_counted_and_confirmed() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(&encode(&["SUBSCRIBE", "a", "b", "a"]));
    assert_eq!(message(&mut c), ["subscribe", "a", "1"]);
    assert_eq!(message(&mut c), ["subscribe", "b", "2"]);
    assert_eq!(message(&mut c), ["subscribe", "a", "2"]);
    c.write_raw(&encode(&["PSUBSCRIBE", "x*"]));
    assert_eq!(message(&mut c), ["psubscribe", "x*", "3"]);
    // Shard channels are counted apart.
    c.write_raw(&encode(&["SSUBSCRIBE", "s"]));
    assert_eq!(message(&mut c), ["ssubscribe", "s", "1"]);
    let mut other = server.connect();
    let list = other.run("CLIENT LIST TYPE pubsub").text();
    assert!(list.contains(" sub=2 psub=1 ssub=1 "), "{list}");
    assert!(list.contains(" flags=P "), "{list}");
    assert_eq!(other.info("pubsub_channels"), "2");
    assert_eq!(other.info("pubsub_patterns"), "1");
    assert_eq!(other.info("pubsubshard_channels"), "1");
    assert_eq!(other.run("PUBSUB NUMPAT"), 1);
    let numsub = other.run("PUBSUB NUMSUB a none b").pairs();
    assert_eq!(
        (&*numsub["a"], &*numsub["none"], &*numsub["b"]),
        ("1", "0", "1")
    );
    assert_eq!(other.run("PUBSUB CHANNELS a*").items().len(), 1);
    assert_eq!(
        other.run("PUBSUB SHARDCHANNELS").items(),
        [Value::Bulk(b"s".to_vec())]
    );
    assert_eq!(other.run("PUBSUB SHARDNUMSUB s").pairs()["s"], "1");
    assert!(other.run("PUBSUB HELP").items().len() > 5);
    other
        .run("PUBSUB NUMPAT x")
        .assert_error("ERR wrong number of arguments for 'pubsub|numpat' command");

    c.write_raw(&encode(&["UNSUBSCRIBE", "zzz"]));
    assert_eq!(message(&mut c), ["unsubscribe", "zzz", "3"]);
    c.write_raw(&encode(&["UNSUBSCRIBE"]));
    let mut left = [message(&mut c)[1].clone(), message(&mut c)[1].clone()];
    left.sort();
    assert_eq!(left, ["a", "b"]);
    c.write_raw(&encode(&["UNSUBSCRIBE"]));
    assert_eq!(
        c.read().items(),
        [
            Value::Bulk(b"unsubscribe".to_vec()),
            Value::NullBulk,
            Value::Int(1)
        ]
    );
    c.write_raw(&encode(&["PUNSUBSCRIBE"]));
    assert_eq!(message(&mut c), ["punsubscribe", "x*", "0"]);
    // Still listening to a shard channel.
    c.run("GET k")
        .assert_error_prefix("ERR Can't execute 'get': only");
    c.write_raw(&encode(&["SUNSUBSCRIBE"]));
    assert_eq!(message(&mut c), ["sunsubscribe", "s", "0"]);
    assert!(c.run("GET k").is_null());
    let list = other.run("CLIENT LIST").text();
    assert!(!list.contains("flags=P"), "{list}");
}

#[test]
fn messages_reach_channels_and_patterns() {
    let server = Server::aedile(&[]);
    let (mut a, mut b, mut p) = (server.connect(), server.connect(), server.connect());
    a.cmd(&["SUBSCRIBE", "news"]);
    b.cmd(&["PSUBSCRIBE", "n*"]);
    b.write_raw(&encode(&["PSUBSCRIBE", "?ews", "zzz"]));
    message(&mut b);
    message(&mut b);
    assert_eq!(p.cmd(&["PUBLISH", "news", "hello"]), 3);
    assert_eq!(message(&mut a), ["message", "news", "hello"]);
    let mut two = [message(&mut b), message(&mut b)];
    two.sort();
    assert_eq!(two[0], ["pmessage", "?ews", "news", "hello"]);
    assert_eq!(two[1], ["pmessage", "n*", "news", "hello"]);
    assert_eq!(p.cmd(&["PUBLISH", "nobody", "x"]), 1);
    assert_eq!(message(&mut b), ["pmessage", "n*", "nobody", "x"]);
    // Shard channels are another world, without patterns.
    assert_eq!(p.cmd(&["SPUBLISH", "news", "x"]), 0);
    silent(&mut a);
    silent(&mut b);
    // A listener that is gone counts no more.
    drop(a);
    wait_until("the listener to be gone", || {
        p.cmd(&["PUBSUB", "NUMSUB", "news"]).pairs()["news"] == "0"
    });
    assert_eq!(p.cmd(&["PUBLISH", "news", "again"]), 2);
}

/// Sizes on both sides of what is shared by reference, to listeners of both protocol versions.
#[test]
fn large_messages_to_many() {
    let server = Server::aedile(&[]);
    let mut all: Vec<Conn> = (0..12).map(|_| server.connect()).collect();
    for (i, c) in all.iter_mut().enumerate() {
        if i % 2 == 0 {
            c.run("HELLO 3");
        }
        c.cmd(&["SUBSCRIBE", "c"]);
    }
    let mut p = server.connect();
    let bodies: Vec<Vec<u8>> = [0, 1, 100, 4_000, 4_096, 5_000, 70_000, 1_000_000]
        .iter()
        .map(|n| (0..*n).map(|i| (i % 251) as u8).collect())
        .collect();
    for body in &bodies {
        assert_eq!(p.cmd(&[&b"PUBLISH"[..], b"c", body]), 12);
    }
    for (i, c) in all.iter_mut().enumerate() {
        for body in &bodies {
            let words = match c.read() {
                Value::Push(v) if i % 2 == 0 => v,
                Value::Array(v) if i % 2 == 1 => v,
                other => panic!("{other:?}"),
            };
            assert!(words[2].bytes() == *body, "{} bytes", body.len());
        }
    }
}

#[test]
fn what_a_listener_may_say() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.cmd(&["SUBSCRIBE", "c"]);
    assert_eq!(c.run("PING"), Value::Array(vec![bulk("pong"), bulk("")]));
    assert_eq!(
        c.run("PING hi"),
        Value::Array(vec![bulk("pong"), bulk("hi")])
    );
    for line in ["GET k", "MULTI", "HELLO 3", "CLIENT ID", "PUBLISH c m"] {
        c.run(line).assert_error_prefix("ERR Can't execute '");
    }
    c.run("CLIENT ID").assert_error(
        "ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context",
    );
    assert_eq!(c.run("RESET"), "RESET");
    assert_eq!(c.run("PING"), "PONG");
    assert_eq!(server.connect().cmd(&["PUBLISH", "c", "m"]), 0);

    // RESP3 tells messages from replies: everything goes.
    c.run("HELLO 3");
    assert!(matches!(c.cmd(&["SUBSCRIBE", "c"]), Value::Push(_)));
    assert_eq!(c.run("PING"), "PONG");
    assert!(matches!(c.run("GET k"), Value::Null));
    assert!(matches!(c.cmd(&["UNSUBSCRIBE"]), Value::Push(_)));
    assert_eq!(
        c.cmd(&["UNSUBSCRIBE"]),
        Value::Push(vec![bulk("unsubscribe"), Value::Null, Value::Int(0)])
    );
}

fn bulk(s: &str) -> Value {
    Value::Bulk(s.as_bytes().to_vec())
}

/// A message to oneself comes behind the reply of the command that caused it, be it a transaction's.
#[test]
fn messages_to_oneself_follow_the_reply() {
    let server = Server::aedile(&["--notify-keyspace-events", "KEA"]);
    let mut c = server.connect();
    c.run("HELLO 3");
    c.cmd(&["SUBSCRIBE", "me", "__keyspace@0__:k"]);
    c.read();
    c.write_raw(&encode(&["PUBLISH", "me", "1"]));
    assert_eq!(c.read(), 1);
    assert_eq!(message(&mut c), ["message", "me", "1"]);
    c.write_raw(&encode(&["SET", "k", "v"]));
    assert_eq!(c.read(), "OK");
    assert_eq!(message(&mut c), ["message", "__keyspace@0__:k", "set"]);
    for line in ["MULTI", "PUBLISH me 2", "SET k w", "DEL k"] {
        c.run(line);
    }
    c.write_raw(&encode(&["EXEC"]));
    assert_eq!(c.read().items().len(), 3);
    assert_eq!(message(&mut c), ["message", "me", "2"]);
    assert_eq!(message(&mut c), ["message", "__keyspace@0__:k", "set"]);
    assert_eq!(message(&mut c), ["message", "__keyspace@0__:k", "del"]);
    // Messages are no replies: they come even when those are switched off.
    c.write_raw(&encode(&["CLIENT", "REPLY", "OFF"]));
    c.write_raw(&encode(&["PUBLISH", "me", "3"]));
    assert_eq!(message(&mut c), ["message", "me", "3"]);
}

#[test]
fn a_slow_listener_is_closed_at_its_limit() {
    let server = Server::aedile(&[]);
    let mut p = server.connect();
    p.config_set("client-output-buffer-limit", "pubsub 1mb 0 0");
    let mut c = server.connect();
    c.cmd(&["SUBSCRIBE", "c"]);
    let body = vec![b'x'; 100_000];
    // The socket's own buffers take some megabytes.
    for _ in 0..2_000 {
        if p.cmd(&[&b"PUBLISH"[..], b"c", &body]) == 0 {
            break;
        }
    }
    assert_eq!(p.cmd(&["PUBLISH", "c", "m"]), 0);
    wait_until("the listener to be gone", || {
        p.run("CLIENT LIST").text().lines().count() == 1
    });
    assert_eq!(
        server.log_count("for overcoming of output buffer limits"),
        1
    );
    assert_eq!(p.info("pubsub_channels"), "0");
}

#[test]
fn publish_goes_to_the_replicas() {
    let m = Server::aedile(&[]);
    let r = Server::aedile(&[]);
    r.replicate(m.port);
    r.wait_link_up();
    let mut c = r.connect();
    c.cmd(&["SUBSCRIBE", "c"]);
    let mut s = r.connect();
    s.cmd(&["SSUBSCRIBE", "c"]);
    let mut p = m.connect();
    assert_eq!(p.cmd(&["PUBLISH", "c", "from the master"]), 0);
    assert_eq!(p.cmd(&["SPUBLISH", "c", "shard"]), 0);
    assert_eq!(message(&mut c), ["message", "c", "from the master"]);
    assert_eq!(message(&mut s), ["smessage", "c", "shard"]);
    // A replica's own clients reach its own listeners only.
    assert_eq!(r.connect().cmd(&["PUBLISH", "c", "local"]), 1);
    assert_eq!(message(&mut c), ["message", "c", "local"]);
}

/// Each line of a script, and the events that it must cause.
fn events_of(server: &Server, classes: &str, script: &[(&str, &[&str])]) {
    let mut c = server.connect();
    c.config_set("notify-keyspace-events", classes);
    let mut l = server.connect();
    l.cmd(&["PSUBSCRIBE", "*"]);
    for (line, events) in script {
        assert!(!c.run(line).is_error(), "{line}");
        for want in *events {
            let m = message(&mut l);
            let got = format!("{} {}", m[2].trim_start_matches("__key"), m[3]);
            assert_eq!(got, *want, "{line}");
        }
    }
    // Nothing more than that.
    c.config_set("notify-keyspace-events", "");
    c.run("PUBLISH end .");
    assert_eq!(message(&mut l)[2], "end");
}

#[test]
fn events_of_commands_on_strings_and_keys() {
    let server = Server::aedile(&[]);
    events_of(
        &server,
        "KEA",
        &[
            ("SET k v", &["space@0__:k set", "event@0__:set k"]),
            ("GET missing", &[]),
            ("DEL k missing", &["space@0__:k del", "event@0__:del k"]),
            ("DEL k", &[]),
        ],
    );
    events_of(
        &server,
        "EA",
        &[
            ("SET k v EX 100", &["event@0__:set k", "event@0__:expire k"]),
            ("SETNX k v", &[]),
            ("SETNX n 1", &["event@0__:set n"]),
            ("INCR n", &["event@0__:incrby n"]),
            ("DECRBY n 5", &["event@0__:incrby n"]),
            ("INCRBYFLOAT n 1.5", &["event@0__:incrbyfloat n"]),
            ("APPEND k xx", &["event@0__:append k"]),
            ("SETRANGE k 1 yy", &["event@0__:setrange k"]),
            ("MSET a 1 b 2", &["event@0__:set a", "event@0__:set b"]),
            ("MSETNX a 1 c 2", &[]),
            ("GETSET a 3", &["event@0__:set a"]),
            ("GETDEL a", &["event@0__:del a"]),
            ("GETEX k", &[]),
            ("GETEX k PERSIST", &["event@0__:persist k"]),
            ("GETEX k EX 100", &["event@0__:expire k"]),
            ("GETEX k PXAT 1", &["event@0__:del k"]),
            ("SETBIT bits 7 1", &["event@0__:setbit bits"]),
            ("BITFIELD bits SET u8 0 5", &["event@0__:setbit bits"]),
            ("BITFIELD bits GET u8 0", &[]),
            ("BITOP NOT dst bits", &["event@0__:set dst"]),
            ("BITOP AND dst missing", &["event@0__:del dst"]),
            ("EXPIRE b 100", &["event@0__:expire b"]),
            ("EXPIRE missing 100", &[]),
            ("PERSIST b", &["event@0__:persist b"]),
            ("PERSIST b", &[]),
            ("EXPIRE b -1", &["event@0__:del b"]),
            (
                "RENAME n m",
                &["event@0__:rename_from n", "event@0__:rename_to m"],
            ),
            ("COPY m o", &["event@0__:copy_to o"]),
            (
                "MOVE m 3",
                &["event@0__:move_from m", "event@3__:move_to m"],
            ),
            ("UNLINK o", &["event@0__:del o"]),
        ],
    );
    let mut c = server.connect();
    c.ok("SET d value");
    let payload = c.run("DUMP d").bytes();
    c.config_set("notify-keyspace-events", "Eg");
    let mut l = server.connect();
    l.cmd(&["PSUBSCRIBE", "*"]);
    c.cmd(&[&b"RESTORE"[..], b"d2", b"0", &payload]).assert_ok();
    assert_eq!(message(&mut l)[2..], ["__keyevent@0__:restore", "d2"]);
    c.cmd(&[
        &b"RESTORE"[..],
        b"d2",
        b"1",
        &payload,
        b"REPLACE",
        b"ABSTTL",
    ])
    .assert_ok();
    assert_eq!(message(&mut l)[2..], ["__keyevent@0__:del", "d2"]);
}

#[test]
fn events_of_new_missing_and_expired_keys() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    events_of(
        &server,
        "En",
        &[
            ("SET k 1", &["event@0__:new k"]),
            ("SET k 2", &[]),
            ("COPY k l", &["event@0__:new l"]),
            ("MOVE l 1", &["event@1__:new l"]),
            ("RENAME k m", &["event@0__:new m"]),
        ],
    );
    events_of(
        &server,
        "Em",
        &[
            ("GET none", &["event@0__:keymiss none"]),
            ("EXISTS none", &["event@0__:keymiss none"]),
            ("TTL none", &["event@0__:keymiss none"]),
            ("OBJECT ENCODING none", &[]),
        ],
    );
    let mut c = server.connect();
    let mut l = server.connect();
    // Nobody misses a key that came and went while another waits for it: the waiting command alone looks for it.
    c.config_set("notify-keyspace-events", "Em");
    l.cmd(&["PSUBSCRIBE", "*"]);
    let mut waiting = server.connect();
    waiting.send(&["BLPOP", "list", "0"]);
    wait_until("BLPOP", || c.info_int("blocked_clients") == 1);
    let misses = c.info_int("keyspace_misses");
    c.ok("MULTI");
    c.run("RPUSH list x");
    c.run("DEL list");
    c.run("EXEC");
    silent(&mut l);
    assert_eq!(c.info_int("keyspace_misses"), misses);
    l.cmd(&["PUNSUBSCRIBE"]);
    // By access, and by the cycle.
    c.config_set("notify-keyspace-events", "Ex");
    l.cmd(&["PSUBSCRIBE", "*"]);
    c.run("DEBUG SET-ACTIVE-EXPIRE 0");
    c.ok("SET e v PX 20");
    std::thread::sleep(Duration::from_millis(40));
    silent(&mut l);
    assert!(c.run("GET e").is_null());
    assert_eq!(message(&mut l)[2..], ["__keyevent@0__:expired", "e"]);
    c.run("DEBUG SET-ACTIVE-EXPIRE 1");
    c.ok("SET f v PX 20");
    assert_eq!(message(&mut l)[2..], ["__keyevent@0__:expired", "f"]);
}

/// Who publishes does not wait until thousands of sockets are written, and a message arrives whole, however it is kept.
#[test]
fn the_publisher_is_answered_first() {
    let scratch = Scratch::new();
    let library = preload(scratch.path(), "send_order");
    let order = scratch.join("order");
    let env = vec![
        ("LD_PRELOAD".into(), library.into()),
        ("SEND_ORDER".into(), order.clone().into()),
    ];
    let server = Server::start_with_env(Kind::Aedile, scratch, &[], env);
    // So many that their messages are shared.
    let mut listeners: Vec<Conn> = (0..300).map(|_| server.connect()).collect();
    for l in &mut listeners {
        l.run("SUBSCRIBE c");
    }
    let mut c = server.connect();
    std::fs::write(&order, "").expect("emptied");
    assert_eq!(c.run("PUBLISH c one"), 300);
    for l in &mut listeners {
        assert_eq!(message(l), ["message", "c", "one"]);
    }
    let sent = std::fs::read_to_string(&order).expect("the order");
    let sent: Vec<&str> = sent.lines().collect();
    assert_eq!(sent.len(), 301);
    let port = c.local_addr();
    let port = port.rsplit(':').next().expect("a port");
    assert_eq!(sent[0], port);
    // Several at once: none is lost, and their order stays.
    let words = |m: &str| encode(&["PUBLISH", "c", m]);
    c.write_raw(&[words("two"), words("three"), words("four")].concat());
    for _ in 0..3 {
        assert_eq!(c.read(), 300);
    }
    for l in &mut listeners {
        for m in ["two", "three", "four"] {
            assert_eq!(message(l), ["message", "c", m]);
        }
        assert_eq!(l.run("PING").items()[0].text(), "pong");
    }
}
