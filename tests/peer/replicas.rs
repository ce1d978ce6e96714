//! Scripted replicas of the server under test.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

fn master(args: &[&str]) -> Server {
    let mut all = vec!["--repl-diskless-sync-delay", "0"];
    all.extend(args);
    let server = Server::aedile(&all);
    let mut c = server.connect();
    let wanted = c.config_get("min-replicas-to-write");
    c.config_set("min-replicas-to-write", "0");
    for i in 0..100 {
        c.ok(&format!("SET key:{i} value:{i}"));
    }
    c.config_set("min-replicas-to-write", &wanted);
    server
}

/// Reads `+FULLRESYNC <id> <offset>`, skipping keep-alives.
#[track_caller]
fn read_fullresync(c: &mut Conn) -> (String, i64) {
    let line = line(c);
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!((words[0], words.len()), ("+FULLRESYNC", 3), "{line}");
    assert_eq!(words[1].len(), 40, "{line}");
    (words[1].to_string(), words[2].parse().expect("offset"))
}

#[track_caller]
fn line(c: &mut Conn) -> String {
    loop {
        let line = c.read_line().expect("a line");
        if !line.is_empty() {
            return String::from_utf8_lossy(&line).into_owned();
        }
    }
}

/// Reads a payload in either form and returns it.
#[track_caller]
fn read_payload(c: &mut Conn) -> Vec<u8> {
    let header = line(c);
    if let Some(mark) = header.strip_prefix("$EOF:") {
        assert_eq!(mark.len(), 40);
        let mut payload = Vec::new();
        while !payload.ends_with(mark.as_bytes()) {
            payload.extend(c.read_exact(1).expect("payload"));
        }
        payload.truncate(payload.len() - 40);
        payload
    } else {
        // $<length>, or $SNAPSHOT:<name>:<length>
        let len: usize = header
            .strip_prefix('$')
            .and_then(|n| n.rsplit(':').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{header}"));
        c.read_exact(len).expect("payload")
    }
}

fn check_payload(payload: &[u8]) {
    assert!(payload.starts_with(b"REDIS00"));
    let end = payload.len() - 8;
    assert_eq!(payload[end - 1], 0xff);
    let crc = u64::from_le_bytes(payload[end..].try_into().expect("8 bytes"));
    assert_eq!(crc, rdb::crc64(&payload[..end]));
}

/// Reads commands until one equals `wanted`.
#[track_caller]
fn read_until(c: &mut Conn, wanted: &[&str]) -> Vec<Vec<String>> {
    let mut seen = Vec::new();
    loop {
        let words: Vec<String> = c.read().items().iter().map(Value::text).collect();
        let done = words == wanted;
        seen.push(words);
        if done {
            return seen;
        }
    }
}

/// A full PSYNC; returns the replica's connection at the start of the stream.
#[track_caller]
fn attach(server: &Server) -> (Conn, String, i64) {
    let mut c = server.connect();
    c.run("PING");
    c.ok("REPLCONF listening-port 7777");
    c.ok("REPLCONF capa eof capa psync2");
    c.send(&["PSYNC", "?", "-1"]);
    let (id, offset) = read_fullresync(&mut c);
    check_payload(&read_payload(&mut c));
    let mut d = server.connect();
    let last = |d: &mut Conn| {
        let n = d.info_int("connected_slaves");
        d.info(&format!("slave{}", n - 1))
    };
    wait_until("online", || last(&mut d).contains("state=online"));
    // After a payload with an EOF mark the stream starts with the first ACK that finds the replica online.
    c.send(&["REPLCONF", "ACK", &offset.to_string()]);
    (c, id, offset)
}

#[test]
fn psync_from_nothing() {
    let server = master(&[]);
    let (mut c, id, offset) = attach(&server);
    let mut d = server.connect();
    assert_eq!(d.info("master_replid"), id);
    assert!(
        d.info("slave0")
            .starts_with("ip=127.0.0.1,port=7777,state=online,")
    );
    d.ok("SELECT 3");
    d.ok("SET a b");
    d.run("GET a");
    d.run("DEL nosuch");
    d.ok("SET the end");
    let seen = read_until(&mut c, &["SET", "the", "end"]);
    let seen: Vec<String> = seen.iter().map(|w| w.join(" ")).collect();
    // Only what changed the data set, in its database.
    assert_eq!(seen, ["SELECT 3", "SET a b", "SET the end"]);
    let bytes: usize = seen
        .iter()
        .map(|s| encode(&s.split(' ').collect::<Vec<_>>()).len())
        .sum();
    let now = offset + bytes as i64;
    assert_eq!(d.info_int("master_repl_offset"), now);
    // ACKs show in INFO and ROLE.
    c.send(&["REPLCONF", "ACK", &now.to_string()]);
    wait_until("the ACK", || {
        d.info("slave0").contains(&format!("offset={now},lag="))
    });
    assert_eq!(
        d.run("ROLE").items()[2].items()[0].items()[2],
        now.to_string().as_str()
    );
    assert_eq!(d.run("CLIENT LIST TYPE replica").text().lines().count(), 1);
}

#[test]
fn psync_one_byte_at_a_time() {
    let server = master(&[]);
    let mut c = server.connect();
    for b in encode(&["REPLCONF", "capa", "eof", "capa", "psync2"]) {
        c.write_raw(&[b]);
    }
    c.read().assert_ok();
    for b in encode(&["PSYNC", "?", "-1"]) {
        c.write_raw(&[b]);
    }
    read_fullresync(&mut c);
    check_payload(&read_payload(&mut c));
}

#[test]
fn partial_from_the_backlog() {
    let server = master(&["--repl-backlog-size", "1mb"]);
    let (c, id, offset) = attach(&server);
    let mut d = server.connect();
    d.ok("SET first 1");
    d.ok("SET second 2");
    drop(c);
    let end = d.info_int("master_repl_offset");
    let first = encode(&["SELECT", "0"]).len() as i64 + encode(&["SET", "first", "1"]).len() as i64;
    // From the start, from between two commands, and from the end.
    for (from, wanted) in [
        (offset + 1, vec!["SELECT 0", "SET first 1", "SET second 2"]),
        (offset + 1 + first, vec!["SET second 2"]),
        (end + 1, vec![]),
    ] {
        let mut c = server.connect();
        c.ok("REPLCONF capa psync2");
        c.send(&["PSYNC", &id, &from.to_string()]);
        assert_eq!(line(&mut c), format!("+CONTINUE {id}"));
        for command in wanted {
            let words: Vec<String> = c.read().items().iter().map(Value::text).collect();
            assert_eq!(words.join(" "), command, "from {from}");
        }
    }
    // An older replica is told no id.
    let mut c = server.connect();
    c.send(&["PSYNC", &id, &(end + 1).to_string()]);
    assert_eq!(line(&mut c), "+CONTINUE");
    assert_eq!(d.info("sync_partial_ok"), "4");
    assert_eq!(d.info("sync_full"), "1");
}

/// Ids and offsets that are not ours, or not any more, or not yet: a full resynchronisation.
#[test]
fn psync_refused() {
    let server = master(&[]);
    let (_c, id, offset) = attach(&server);
    let wrong = "f".repeat(40);
    let ours = offset.to_string();
    let zero = "0".repeat(40);
    let cases = [
        (wrong.as_str(), ours.as_str()),
        (id.as_str(), "9000000000000"),
        (id.as_str(), "-5"),
        (id.as_str(), "9223372036854775807"),
        (zero.as_str(), "1"),
        ("short", "1"),
        ("?", "12"),
    ];
    for (id, from) in cases {
        let mut c = server.connect();
        c.send(&["PSYNC", id, from]);
        read_fullresync(&mut c);
        check_payload(&read_payload(&mut c));
    }
    // An offset that is no number is an error for the client alone, or leads to a full resynchronisation.
    let mut c = server.connect();
    c.send(&["PSYNC", &id, "abc"]);
    let answer = line(&mut c);
    assert!(
        answer.starts_with("-ERR value is not an integer") || answer.starts_with("+FULLRESYNC"),
        "{answer}"
    );
    assert_eq!(server.connect().info("sync_partial_ok"), "0");
}

#[test]
fn sync_streams() {
    let server = master(&[]);
    let mut c = server.connect();
    c.write_raw(b"SYNC\r\n");
    check_payload(&read_payload(&mut c));
    let mut d = server.connect();
    d.ok("SET streamed yes");
    let seen = read_until(&mut c, &["SET", "streamed", "yes"]);
    assert_eq!(seen[0], ["SELECT", "0"]);
    // The stream is no longer a request-reply matter: a second SYNC is ignored.
    c.write_raw(b"SYNC\r\n");
    d.ok("SET more yes");
    read_until(&mut c, &["SET", "more", "yes"]);
}

/// Pings come when nothing else does, and count as stream bytes.
#[test]
fn pings() {
    let server = master(&["--repl-ping-replica-period", "1"]);
    let (mut c, _, offset) = attach(&server);
    for _ in 0..2 {
        assert_eq!(c.read().items()[0].text().to_uppercase(), "PING");
    }
    assert!(server.connect().info_int("master_repl_offset") >= offset + 28);
}

/// A replica that loads sends line ends, and then what it has processed, in pieces as small as may be, beside clients whose
/// requests come in pieces too: all of it is read as it was sent, and the link stays.
#[test]
fn acknowledged_in_pieces_beside_clients() {
    let server = master(&["--repl-timeout", "600", "--repl-ping-replica-period", "600"]);
    let (mut replica, _, offset) = attach(&server);
    let mut c = server.connect();
    let turn = |c: &mut Conn| {
        for _ in 0..2 {
            assert_eq!(c.run("PING"), "PONG");
        }
    };
    let mut clients: Vec<Conn> = (0..2).map(|_| server.connect()).collect();
    // Nothing is written, so these are beyond what there is: they are taken as they are.
    for (i, cut) in (0..40).chain(0..40).enumerate() {
        let acked = offset + 1 + i as i64;
        let ack = encode(&["REPLCONF", "ACK", &acked.to_string()]);
        let wire = [b"\n", &ack[..]].concat();
        let cut = cut % wire.len();
        let heads: [&[u8]; 3] = [b"*1234567890", b"*1234567\r", b"PING"];
        for (n, client) in clients.iter_mut().enumerate() {
            *client = server.connect();
            client.write_raw(heads[(i + n) % 3]);
            turn(&mut c);
        }
        replica.write_raw(&wire[..cut]);
        turn(&mut c);
        let mut pipelines = server.connect();
        pipelines.write_raw(b"EXISTS a\r\nEXISTS b\r\nEXISTS *3");
        assert_eq!(
            (pipelines.read(), pipelines.read()),
            (Value::Int(0), Value::Int(0))
        );
        replica.write_raw(&wire[cut..]);
        let wanted = format!(",offset={acked},");
        wait_until(&format!("{wanted} (cut at {cut})"), || {
            c.info("slave0").contains(&wanted) || c.info_int("connected_slaves") == 0
        });
        assert_eq!(c.info_int("connected_slaves"), 1, "cut at {cut}");
    }
    assert!(!server.log_has("Replica generated a reply"));
}

#[test]
fn getack_and_replconf_errors() {
    let server = master(&[]);
    let mut c = server.connect();
    c.run("REPLCONF").assert_ok();
    c.run("REPLCONF listening-port")
        .assert_error("ERR syntax error");
    c.run("REPLCONF listening-port abc")
        .assert_error("ERR value is not an integer or out of range");
    c.run("REPLCONF nosuch 1")
        .assert_error("ERR Unrecognized REPLCONF option: nosuch");
    c.ok("REPLCONF capa what-is-this");
    // ACK and GETACK are for links: a plain client gets no reply to them.
    c.send(&["REPLCONF", "ACK", "100"]);
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn closes_in_bulk() {
    for diskless in ["no", "yes"] {
        let server = master(&["--repl-diskless-sync", diskless]);
        let mut d = server.connect();
        d.cmd(&["SET", "big", &"x".repeat(20_000_000)]).assert_ok();
        let mut c = server.connect();
        c.ok("REPLCONF capa eof capa psync2");
        c.send(&["PSYNC", "?", "-1"]);
        read_fullresync(&mut c);
        line(&mut c);
        c.read_exact(100_000).expect("part of the payload");
        drop(c);
        wait_until("the replica to be gone", || {
            d.info("connected_slaves") == "0"
        });
        wait_until("the child to be gone", || {
            d.info("rdb_bgsave_in_progress") == "0"
        });
        d.run("DEL big");
        attach(&server);
    }
}

/// A replica that does not read: its buffer limit ends it; the master lives on and others are served.
#[test]
fn slow_reader_hits_the_limit() {
    let server = master(&[
        "--client-output-buffer-limit",
        "replica 2mb 0 0",
        "--repl-backlog-size",
        "16kb",
    ]);
    let (_slow, _, _) = attach(&server);
    let mut d = server.connect();
    let value = "v".repeat(100_000);
    let mut n = 0;
    while d.info("connected_slaves") != "0" {
        d.cmd(&["SET", "k", &value]).assert_ok();
        n += 1;
        assert!(n < 2_000, "the limit does not bite");
    }
    server.wait_log("closed ASAP for overcoming of output buffer limits.");
    attach(&server);
}

/// A replica that reads slowly but within its limit gets every byte.
#[test]
fn slow_reader_gets_everything() {
    let server = master(&[]);
    let (mut slow, _, _) = attach(&server);
    let mut d = server.connect();
    let value = "v".repeat(50_000);
    for i in 0..200 {
        d.cmd(&["SET", &format!("k{i}"), &value]).assert_ok();
    }
    d.ok("SET the end");
    std::thread::sleep(Duration::from_millis(200));
    let seen = read_until(&mut slow, &["SET", "the", "end"]);
    let sets: Vec<&Vec<String>> = seen.iter().filter(|w| w[0] == "SET").collect();
    assert_eq!(sets.len(), 201);
    for (i, words) in sets[..200].iter().enumerate() {
        assert_eq!(
            (words[1].as_str(), words[2].len()),
            (format!("k{i}").as_str(), 50_000)
        );
    }
}

/// What is written while the payload is made and sent comes after it, once, in order.
#[test]
fn writes_during_the_save() {
    for diskless in ["no", "yes"] {
        let server = master(&[
            "--repl-diskless-sync",
            diskless,
            "--rdb-key-save-delay",
            "5000",
        ]);
        let mut c = server.connect();
        c.send(&["PSYNC", "?", "-1"]);
        read_fullresync(&mut c);
        let mut d = server.connect();
        wait_until("the save", || d.info("rdb_bgsave_in_progress") == "1");
        for i in 0..100 {
            d.ok(&format!("SET during {i}"));
        }
        check_payload(&read_payload(&mut c));
        let mut e = server.connect();
        e.ok("SET the end");
        let seen = read_until(&mut c, &["SET", "the", "end"]);
        let values: Vec<String> = seen
            .iter()
            .filter(|w| w[1..].first().is_some_and(|k| k == "during"))
            .map(|w| w[2].clone())
            .collect();
        assert_eq!(values, (0..100).map(|i| i.to_string()).collect::<Vec<_>>());
    }
}

/// Expiry reaches replicas as deletions, and relative times as absolute ones.
#[test]
fn expiry_in_the_stream() {
    let server = master(&[]);
    let (mut c, _, _) = attach(&server);
    let mut d = server.connect();
    d.ok("SET a 1 PX 20");
    d.ok("SET b 1 EX 1000");
    d.run("EXPIRE b 2000");
    d.run("GETEX b PERSIST");
    d.run("GETDEL b");
    let seen = read_until(&mut c, &["DEL", "b"]);
    let at = |i: usize| seen[i].join(" ");
    assert_eq!(at(0), "SELECT 0");
    assert!(at(1).starts_with("SET a 1 PXAT "), "{}", at(1));
    assert!(at(2).starts_with("SET b 1 PXAT "), "{}", at(2));
    assert!(at(3).starts_with("PEXPIREAT b "), "{}", at(3));
    assert_eq!(at(4), "PERSIST b");
    wait_until("expiry", || d.run("EXISTS a") == 0);
    let last = c.read();
    let words: Vec<String> = last.items().iter().map(Value::text).collect();
    assert!(
        words == ["DEL", "a"] || words == ["UNLINK", "a"],
        "{words:?}"
    );
}

/// WAIT counts the replicas that have acknowledged.
#[test]
fn wait_counts_acks() {
    let server = master(&[]);
    let (mut c, _, _) = attach(&server);
    let mut d = server.connect();
    assert_eq!(d.run("WAIT 0 100"), 1);
    d.ok("SET k v");
    assert_eq!(d.run("WAIT 1 50"), 0);
    let seen = read_until(&mut c, &["REPLCONF", "GETACK", "*"]);
    assert!(seen.iter().any(|w| w[0] == "SET"));
    d.send(&["WAIT", "1", "0"]);
    let offset = server.connect().info("master_repl_offset");
    c.send(&["REPLCONF", "ACK", &offset]);
    assert_eq!(d.read(), 1);
}

/// min-replicas-to-write counts good replicas.
#[test]
fn min_replicas() {
    let server = master(&[
        "--min-replicas-to-write",
        "1",
        "--min-replicas-max-lag",
        "2",
    ]);
    let mut d = server.connect();
    d.run("SET k v")
        .assert_error("NOREPLICAS Not enough good replicas to write.");
    let (mut c, _, _) = attach(&server);
    wait_until("a good replica", || !d.run("SET k v").is_error());
    // Without ACKs it is good no longer.
    wait_until("a lagging replica", || d.run("SET k w").is_error());
    let offset = d.info("master_repl_offset");
    c.send(&["REPLCONF", "ACK", &offset]);
    wait_until("a good replica", || !d.run("SET k x").is_error());
}

/// A reply on a replica's link would be taken for a part of the stream: whoever causes one is sent away.
#[test]
fn a_replica_that_asks_is_sent_away() {
    let server = master(&[]);
    let (mut c, _, _) = attach(&server);
    let mut d = server.connect();
    d.ok("SET before 1");
    read_until(&mut c, &["SET", "before", "1"]);
    c.send(&["PING"]);
    let rest = c.expect_close();
    assert!(!rest.starts_with(b"+"), "{rest:?}");
    server.wait_log("Replica generated a reply to command 'ping'");
    wait_until("the replica to be gone", || {
        d.info("connected_slaves") == "0"
    });
    // In the state before that, too.
    let server = master(&["--rdb-key-save-delay", "20000"]);
    let mut c = server.connect();
    c.send(&["PSYNC", "?", "-1"]);
    read_fullresync(&mut c);
    c.send(&["PING"]);
    let rest = c.expect_close();
    assert!(rest.iter().all(|b| *b == b'\n'), "{rest:?}");
}

/// The SELECT of a transaction stands inside of it.
#[test]
fn select_within_a_transaction() {
    let server = master(&["--enable-debug-command", "yes"]);
    let (mut c, _, _) = attach(&server);
    let mut d = server.connect();
    d.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    d.ok("SELECT 5");
    d.ok("SET n 7 PX 1");
    server.connect().ok("SET elsewhere 1");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(d.run("INCR n"), 1);
    d.ok("SET the end");
    let seen = read_until(&mut c, &["SET", "the", "end"]);
    let lines: Vec<String> = seen.iter().map(|w| w.join(" ")).collect();
    assert_eq!(
        lines[3..],
        [
            "SET elsewhere 1",
            "MULTI",
            "SELECT 5",
            "DEL n",
            "INCR n",
            "EXEC",
            "SET the end"
        ]
    );
}

/// A replica that only wants the snapshot is no reader of the stream: nothing is kept for it.
#[test]
fn rdb_only_keeps_no_stream() {
    let server = master(&[
        "--rdb-key-save-delay",
        "20000",
        "--repl-backlog-size",
        "16kb",
    ]);
    let mut c = server.connect();
    c.ok("REPLCONF rdb-only 1");
    c.send(&["SYNC"]);
    let mut d = server.connect();
    wait_until("the save", || d.info("rdb_bgsave_in_progress") == "1");
    let value = "v".repeat(10_000);
    for _ in 0..100 {
        d.cmd(&["SET", "k", &value]).assert_ok();
    }
    let kept = d.info_int("repl_backlog_histlen");
    assert!(kept < 100_000, "{kept}");
    // A real replica that comes now joins the snapshot's next one, and misses nothing.
    let mut e = server.connect();
    e.send(&["PSYNC", "?", "-1"]);
    check_payload(&read_payload(&mut c));
    c.expect_close();
    d.config_set("rdb-key-save-delay", "0");
    let (_, offset) = read_fullresync(&mut e);
    assert!(offset >= 1_000_000, "{offset}");
    check_payload(&read_payload(&mut e));
}

/// A WAIT that starts when the one before it has timed out asks the replicas at once.
#[test]
fn a_wait_behind_a_wait_asks_at_once() {
    let server = master(&["--hz", "1", "--repl-ping-replica-period", "3600"]);
    let (mut c, _, _) = attach(&server);
    let mut d = server.connect();
    // Long enough that the first one's question is out before its time is: else one question would do for both.
    d.write_raw(b"SET k v\r\nWAIT 1 300\r\nWAIT 1 30000\r\n");
    d.read().assert_ok();
    read_until(&mut c, &["REPLCONF", "GETACK", "*"]);
    assert_eq!(d.read(), 0);
    // The cron is a second away.
    let more = c.read_for(Duration::from_millis(400));
    assert!(!more.is_empty());
    let offset = server.connect().info("master_repl_offset");
    c.send(&["REPLCONF", "ACK", &offset]);
    assert_eq!(d.read(), 1);
}

/// The limit ends a replica that still waits for its payload, too: what was kept for it is given back.
#[test]
fn limit_during_the_save() {
    let server = master(&[
        "--client-output-buffer-limit",
        "replica 2mb 0 0",
        "--repl-backlog-size",
        "16kb",
        "--rdb-key-save-delay",
        "200000",
    ]);
    let mut c = server.connect();
    c.send(&["PSYNC", "?", "-1"]);
    read_fullresync(&mut c);
    let mut d = server.connect();
    let value = "v".repeat(100_000);
    let mut n = 0;
    while d.info("connected_slaves") != "0" {
        d.cmd(&["SET", "k", &value]).assert_ok();
        n += 1;
        assert!(n < 100, "the limit does not bite");
    }
    c.expect_close();
    wait_until("the backlog to shrink", || {
        d.info_int("repl_backlog_histlen") < 300_000
    });
    wait_until("the child to be gone", || {
        d.info("rdb_bgsave_in_progress") == "0"
    });
    d.config_set("rdb-key-save-delay", "0");
    attach(&server);
}

/// A replica of the 2.6 kind never says where it is: it is not taken for dead, and never counted.
#[test]
fn sync_replica_is_silent() {
    let server = master(&["--repl-timeout", "2", "--repl-ping-replica-period", "1"]);
    let (_silent, _, _) = attach(&server);
    let mut old = server.connect();
    old.write_raw(b"PING\r\n");
    assert_eq!(old.read(), "PONG");
    old.write_raw(b"SYNC\r\n");
    check_payload(&read_payload(&mut old));
    let mut d = server.connect();
    wait_until("online", || d.info("slave1").contains("state=online"));
    server.wait_log("Disconnecting timedout replica (streaming sync): 127.0.0.1:7777");
    assert_eq!(d.info("connected_slaves"), "1");
    d.ok("SET streamed yes");
    assert_eq!(d.run("WAIT 1 10"), 0);
    let seen = read_until(&mut old, &["REPLCONF", "GETACK", "*"]);
    assert!(seen.iter().any(|w| w[0] == "PING"));
    assert!(seen.iter().any(|w| w.join(" ") == "SET streamed yes"));
}

/// A replica that takes nothing of its file does not keep the stream for ever.
#[test]
fn stands_still_in_bulk() {
    let server = master(&[
        "--repl-timeout",
        "1",
        "--repl-diskless-sync",
        "no",
        "--rdbcompression",
        "no",
    ]);
    let mut d = server.connect();
    d.cmd(&["SET", "big", &"x".repeat(30_000_000)]).assert_ok();
    let mut c = server.connect();
    c.send(&["PSYNC", "?", "-1"]);
    read_fullresync(&mut c);
    server.wait_log("Disconnecting timedout replica (full sync)");
    wait_until("the replica to be gone", || {
        d.info("connected_slaves") == "0"
    });
}

/// What a replica announces is what clients and Sentinels are told.
#[test]
fn announcements() {
    let server = master(&[]);
    let mut c = server.connect();
    c.ok("REPLCONF listening-port 1234 ip-address replica.example");
    c.send(&["PSYNC", "?", "-1"]);
    read_fullresync(&mut c);
    check_payload(&read_payload(&mut c));
    let mut d = server.connect();
    wait_until("online", || {
        let line = d.info("slave0");
        line.starts_with("ip=replica.example,port=1234,state=online,offset=")
    });
    let role = d.run("ROLE");
    let replica = &role.items()[2].items()[0];
    assert_eq!(replica.items()[0], "replica.example");
    assert_eq!(replica.items()[1], "1234");
    assert!(server.log_has("Replica replica.example:1234 asks for synchronization"));
    let long = "x".repeat(256);
    d.cmd(&["REPLCONF", "ip-address", &long]).assert_error(
        "ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes",
    );
}

/// After a promotion the history has another name. A replica that cannot be told it starts anew: under the old name it could
/// be led astray by the former master.
#[test]
fn an_old_replica_after_a_promotion() {
    let old = master(&[]);
    let server = Server::aedile(&["--repl-diskless-sync-delay", "0"]);
    server.replicate(old.port);
    server.wait_link_up();
    let mut d = server.connect();
    let id = d.info("master_replid");
    wait_until("equal offsets", || {
        old.connect().info_int("master_repl_offset") == d.info_int("master_repl_offset")
    });
    d.ok("REPLICAOF NO ONE");
    let next = (d.info_int("master_repl_offset") + 1).to_string();
    let mut c = server.connect();
    c.send(&["PSYNC", &id, &next]);
    let (now, _) = read_fullresync(&mut c);
    assert_eq!(now, d.info("master_replid"));
    assert_ne!(now, id);
    let mut c = server.connect();
    c.ok("REPLCONF capa psync2");
    c.send(&["PSYNC", &id, &next]);
    assert_eq!(line(&mut c), format!("+CONTINUE {now}"));
    assert!(server.log_has("and it can't change its replication ID"));
}

const ID: &str = "1234567890123456789012345678901234567890";
const OTHER: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";
const NO_ID: &str = "0000000000000000000000000000000000000000";

/// Follows a scripted master of the history `id` that gives it a snapshot at `offset` and the stream after it; the master's end
/// of the link.
fn follow(server: &Server, fake: &FakeMaster, id: &str, offset: i64, stream: &[u8]) -> Peer {
    server.replicate(fake.port);
    let mut peer = fake.accept();
    peer.serve_full(id, offset, &[("k", "v", None)]);
    server.wait_link_up();
    peer.write(stream);
    let mut c = server.connect();
    wait_until("the stream", || {
        c.info_int("slave_repl_offset") == offset + stream.len() as i64
    });
    peer
}

/// What the server answers to a PSYNC: the first line, without what is different each time.
fn psync(server: &Server, id: &str, offset: i64) -> String {
    let mut c = server.connect();
    c.ok("REPLCONF capa eof capa psync2");
    c.send(&["PSYNC", id, &offset.to_string()]);
    let answer = line(&mut c);
    let word = answer.split(' ').next().unwrap_or_default();
    if word == "+CONTINUE" {
        let now = server.connect().info("master_replid");
        assert_eq!(answer, format!("+CONTINUE {now}"));
    }
    word.to_string()
}

/// Every answer in the table must be what it says.
#[track_caller]
fn psync_table(server: &Server, what: &str, table: &[(&str, i64, bool)]) {
    let found: Vec<_> = table
        .iter()
        .map(|(id, offset, _)| (*id, *offset, psync(server, id, *offset) == "+CONTINUE"))
        .collect();
    assert_eq!(found, table, "{what}");
}

fn sets(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| encode(&["SET", &format!("k{i}"), "value"]))
        .collect()
}

/// What a promoted server may be asked for by the name that its history had, byte by byte around each end: no more than what
/// it had when it left its master, though it has written as much itself since; and no less.
#[test]
fn how_far_the_former_name_reaches() {
    let fake = FakeMaster::new();
    let server = Server::aedile(&["--repl-diskless-sync-delay", "0"]);
    let stream = sets(10);
    let peer = follow(&server, &fake, ID, 1000, &stream);
    let switch = 1000 + stream.len() as i64;
    // Still a replica: one name, and the backlog from the snapshot on.
    psync_table(
        &server,
        "a replica",
        &[
            (ID, 1000, false),
            (ID, 1001, true),
            (ID, switch, true),
            (ID, switch + 1, true),
            (ID, switch + 2, false),
            (NO_ID, 1001, false),
        ],
    );
    let mut c = server.connect();
    assert_eq!(c.info("master_replid2"), NO_ID);
    assert_eq!(c.info_int("second_repl_offset"), -1);
    c.ok("REPLICAOF NO ONE");
    drop(peer);
    let new = c.info("master_replid");
    assert_ne!(new, ID);
    assert_eq!(c.info("master_replid2"), ID);
    assert_eq!(c.info_int("second_repl_offset"), switch + 1);
    for i in 0..20 {
        c.ok(&format!("SET mine:{i} value"));
    }
    c.config_set("repl-ping-replica-period", "3600");
    let end = c.info_int("master_repl_offset");
    assert!(end > switch + 200);
    psync_table(
        &server,
        "promoted",
        &[
            (ID, 1000, false),
            (ID, 1001, true),
            (ID, switch, true),
            (ID, switch + 1, true),
            (ID, switch + 2, false),
            (ID, switch + 100, false),
            (ID, end, false),
            (ID, end + 1, false),
            (ID, -1, false),
            (&new, 1000, false),
            (&new, 1001, true),
            (&new, switch + 1, true),
            (&new, switch + 2, true),
            (&new, end + 1, true),
            (&new, end + 2, false),
            (NO_ID, switch, false),
            (&ID[..39], switch, false),
        ],
    );
    assert!(server.log_has(&format!(
        "Requested offset for second ID was {}, but I can reply up to {}",
        switch + 2,
        switch + 1
    )));
    let reasons = c.info("full_sync_reasons");
    // The four above, and the name of nothing at all, which is what a replica has for its second.
    assert!(reasons.contains("beyond_second_id=5,"), "{reasons}");
}

/// A former name is forgotten with the history that it was a name of.
#[test]
fn a_former_name_is_forgotten_with_its_history() {
    let server = Server::aedile(&["--repl-diskless-sync-delay", "0"]);
    let (first, second) = (FakeMaster::new(), FakeMaster::new());
    let stream = sets(10);
    let end = 1000 + stream.len() as i64;
    let _one = follow(&server, &first, ID, 1000, &stream);
    server.connect().ok("REPLICAOF NO ONE");
    psync_table(&server, "promoted", &[(ID, end + 1, true)]);
    // Another history at the same offsets: no byte of it is one of the first.
    let _two = follow(&server, &second, OTHER, 1000, &stream);
    let mut c = server.connect();
    assert_eq!(c.info("master_replid"), OTHER);
    assert_eq!(c.info("master_replid2"), NO_ID);
    assert_eq!(c.info_int("second_repl_offset"), -1);
    psync_table(
        &server,
        "another history",
        &[(ID, 1001, false), (ID, end + 1, false), (OTHER, 1001, true)],
    );
    c.ok("REPLICAOF NO ONE");
    assert_eq!(c.info("master_replid2"), OTHER);
    psync_table(
        &server,
        "promoted again",
        &[
            (ID, end, false),
            (OTHER, end, true),
            (OTHER, end + 1, true),
            (OTHER, end + 2, false),
        ],
    );
    // A promotion of a promoted server: one former name is all that is known.
    let id = c.info("master_replid");
    let third = FakeMaster::new();
    server.replicate(third.port);
    let mut peer = third.accept();
    let asked = peer.handshake();
    assert_eq!(asked, format!("PSYNC {} {}", id.to_uppercase(), end + 1));
    peer.line(&format!("+CONTINUE {ID}"));
    server.wait_link_up();
    assert_eq!(c.info("master_replid"), ID);
    assert_eq!(c.info("master_replid2"), id);
    assert_eq!(c.info_int("second_repl_offset"), end + 1);
    psync_table(
        &server,
        "told another name",
        &[
            (OTHER, end, false),
            (&id, end + 1, true),
            (&id, end + 2, false),
            (ID, end + 1, true),
        ],
    );
    // Nobody is there for so long that the backlog is given up.
    c.ok("REPLICAOF NO ONE");
    c.config_set("repl-backlog-ttl", "1");
    wait_until("the backlog's end", || c.info("repl_backlog_active") == "0");
    let last = c.info("master_replid");
    assert_eq!(c.info("master_replid2"), NO_ID);
    assert_eq!(c.info_int("second_repl_offset"), -1);
    psync_table(
        &server,
        "no backlog",
        &[(ID, end + 1, false), (&last, end + 1, false)],
    );
}

/// A master that was restarted from its snapshot knows the name that its history had, up to where the snapshot ends.
#[test]
fn the_former_name_after_a_restart() {
    let mut server = Server::aedile(&["--repl-diskless-sync-delay", "0", "--save", ""]);
    let fake = FakeMaster::new();
    let stream = sets(10);
    let end = 1000 + stream.len() as i64;
    let _peer = follow(&server, &fake, ID, 1000, &stream);
    let mut c = server.connect();
    c.ok("REPLICAOF NO ONE");
    let id = c.info("master_replid");
    c.ok("SAVE");
    server.kill9();
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.info("master_replid2"), id);
    assert_eq!(c.info_int("second_repl_offset"), end + 1);
    c.ok("SET one more");
    psync_table(
        &server,
        "restarted",
        &[
            (&id, end, false),
            (&id, end + 1, true),
            (&id, end + 2, false),
            (ID, end + 1, false),
        ],
    );
}

/// A replica that has said what it reads by these lines and asks for everything; the version of what it gets is to be read.
fn asks_for_all(server: &Server, said: &[&str]) -> Conn {
    let mut c = server.connect();
    c.ok("REPLCONF capa eof");
    for line in said {
        c.ok(line);
    }
    c.send(&["PSYNC", "?", "-1"]);
    c
}

fn version_sent(c: &mut Conn) -> String {
    read_fullresync(c);
    let payload = read_payload(c);
    check_payload(&payload);
    String::from_utf8_lossy(&payload[5..9]).into_owned()
}

/// By default every replica gets what it can read: what says nothing is taken for a Redis 7.0. Both ways of a full sync.
#[test]
fn each_replica_gets_a_version_that_it_reads() {
    if stand_in().is_some() {
        return;
    }
    for diskless in ["yes", "no"] {
        let server = master(&["--repl-diskless-sync", diskless]);
        let mut d = server.connect();
        d.ok("SAVE");
        for (said, want) in [
            (&[][..], "0010"),
            (&["REPLCONF capa rdb:11"], "0011"),
            (&["REPLCONF capa rdb:12"], "0011"),
            (&["REPLCONF capa rdb:9"], "0009"),
            (&["REPLCONF capa rdb:1"], "0009"),
            (&["REPLCONF version 8.1.0"], "0011"),
            (&["REPLCONF version 7.0.15"], "0010"),
            (&["REPLCONF version 6.2.1"], "0009"),
        ] {
            let mut c = asks_for_all(&server, said);
            assert_eq!(version_sent(&mut c), want, "{diskless} {said:?}");
            drop(c);
            wait_until("it to be gone", || d.info("connected_slaves") == "0");
            // The server's own file stays what it is, whoever asks.
            let file = std::fs::read(server.rdb_path()).expect("a snapshot");
            assert_eq!(&file[..9], b"REDIS0011");
        }
        d.run("REPLCONF version x").assert_error_prefix("ERR");
        // A number is for all, and for files.
        d.config_set("rdb-save-version", "9");
        let mut c = asks_for_all(&server, &["REPLCONF capa rdb:11"]);
        assert_eq!(version_sent(&mut c), "0009");
        drop(c);
        wait_until("it to be gone", || d.info("connected_slaves") == "0");
        wait_until("no child", || d.info("rdb_bgsave_in_progress") == "0");
        d.ok("SAVE");
        let file = std::fs::read(server.rdb_path()).expect("a snapshot");
        assert_eq!(&file[..9], b"REDIS0009");
    }
}

/// One snapshot for several is written for the oldest of them.
#[test]
fn a_shared_snapshot_is_written_for_the_oldest() {
    if stand_in().is_some() {
        return;
    }
    for diskless in ["yes", "no"] {
        let server = master(&["--repl-diskless-sync", diskless]);
        let mut d = server.connect();
        // Another child holds the snapshot up until all have come.
        d.config_set("rdb-key-save-delay", "10000000");
        assert!(!d.run("BGREWRITEAOF").is_error());
        let mut new = asks_for_all(&server, &["REPLCONF capa rdb:11"]);
        let mut old = asks_for_all(&server, &["REPLCONF version 6.2.1"]);
        wait_until("both", || d.info("connected_slaves") == "2");
        d.config_set("rdb-key-save-delay", "0");
        server.end_children();
        assert_eq!(version_sent(&mut new), "0009", "{diskless}");
        assert_eq!(version_sent(&mut old), "0009", "{diskless}");
        assert_eq!(d.info_int("sync_full"), 2);
    }
}

/// A snapshot under way serves those who can read it, and no others.
#[test]
fn a_snapshot_under_way_is_joined_by_those_who_read_it() {
    if stand_in().is_some() {
        return;
    }
    let server = master(&["--repl-diskless-sync", "no"]);
    let mut d = server.connect();
    d.config_set("rdb-key-save-delay", "20000");
    let mut first = asks_for_all(&server, &["REPLCONF capa rdb:10"]);
    wait_until("a snapshot", || d.info("rdb_bgsave_in_progress") == "1");
    let mut newer = asks_for_all(&server, &["REPLCONF capa rdb:11"]);
    server.wait_log("Waiting for end of BGSAVE for SYNC");
    let mut older = asks_for_all(&server, &["REPLCONF capa rdb:9"]);
    server.wait_log("Can't attach the replica to the current BGSAVE");
    d.config_set("rdb-key-save-delay", "0");
    assert_eq!(version_sent(&mut first), "0010");
    assert_eq!(version_sent(&mut newer), "0010");
    assert_eq!(version_sent(&mut older), "0009");
    assert_eq!(d.info("total_forks"), "2");
}

/// A full sync by a replica of this port, up to the end of the payload; the link is not closed yet.
#[track_caller]
fn take_snapshot(server: &Server, port: u16) -> (Conn, i64) {
    let mut c = server.connect();
    c.run("PING");
    c.ok(&format!("REPLCONF listening-port {port}"));
    c.ok("REPLCONF capa eof capa psync2");
    c.send(&["PSYNC", "?", "-1"]);
    let (_, offset) = read_fullresync(&mut c);
    check_payload(&read_payload(&mut c));
    (c, offset)
}

/// A replica that takes its full sync and comes again without ever acknowledging one gets the next ones ever more seldom, over
/// a disk and without one. Others do not wait for it, and once it acknowledges it does not wait either.
#[test]
fn a_replica_that_never_acknowledges_is_put_off() {
    for diskless in ["yes", "no"] {
        let server = master(&["--repl-diskless-sync", diskless]);
        let begin = std::time::Instant::now();
        let mut ends = Vec::new();
        for _ in 0..4 {
            drop(take_snapshot(&server, 7001));
            ends.push(begin.elapsed().as_millis());
        }
        // The second one at once; then half of two seconds at the least, and of four.
        assert!(ends[2] - ends[1] >= 900, "{ends:?}");
        assert!(ends[3] - ends[2] >= 1900, "{ends:?}");
        server.wait_log(
            "Replica 127.0.0.1:7001 has ended 2 full syncs in a row without acknowledging one",
        );
        assert_eq!(server.log_count("in a row without acknowledging one"), 1);
        let mut d = server.connect();
        wait_until("no replica", || d.info("connected_slaves") == "0");
        let mut waits = server.connect();
        waits.ok("REPLCONF listening-port 7001");
        waits.ok("REPLCONF capa eof capa psync2");
        waits.send(&["PSYNC", "?", "-1"]);
        wait_until("it waits", || {
            d.info("slave0").contains("state=wait_bgsave")
        });
        assert!(d.info("replica0").ends_with("unacknowledged_syncs=4"));
        let begun = server.log_count("Starting BGSAVE for SYNC");
        // Another one is served, and the one that waits has its part in that.
        let (_other, _, _) = attach(&server);
        let (_, offset) = read_fullresync(&mut waits);
        check_payload(&read_payload(&mut waits));
        assert_eq!(server.log_count("Starting BGSAVE for SYNC"), begun + 1);
        wait_until("both are online", || {
            (0..2).all(|i| d.info(&format!("slave{i}")).contains("state=online"))
        });
        waits.send(&["REPLCONF", "ACK", &offset.to_string()]);
        wait_until("nothing is held against it", || {
            !d.info("replica0").contains("unacknowledged_syncs=4")
                && !d.info("replica1").contains("unacknowledged_syncs=4")
        });
        assert!(d.info("full_sync_reasons").contains("unacknowledged="));
    }
}

/// However many ask, and whatever they call themselves: a few snapshots may follow each other at once, and then one a second.
#[test]
fn snapshots_for_replicas_have_a_floor() {
    let server = master(&["--repl-diskless-sync-delay", "0"]);
    let begin = std::time::Instant::now();
    let mut n = 0;
    while begin.elapsed() < std::time::Duration::from_secs(4) {
        let mut c = server.connect();
        if n % 3 > 0 {
            c.ok(&format!("REPLCONF listening-port {}", 7000 + n));
        }
        if n % 3 > 1 {
            c.ok("REPLCONF rdb-only 1");
        }
        c.ok("REPLCONF capa eof capa psync2");
        c.send(&["PSYNC", "?", "-1"]);
        read_fullresync(&mut c);
        check_payload(&read_payload(&mut c));
        n += 1;
    }
    let ms = begin.elapsed().as_millis() as u64;
    let most = 8 + ms / 1000 + 1;
    assert!((8..=most).contains(&n), "{n} snapshots in {ms} ms");
}

/// One that only wants the snapshot, and one that knows no acknowledgements, have them as often as they like.
#[test]
fn who_acknowledges_nothing_by_nature_is_not_put_off() {
    let server = master(&[]);
    for i in 0..6 {
        let mut c = server.connect();
        c.ok("REPLCONF listening-port 7001");
        if i % 2 == 0 {
            c.ok("REPLCONF rdb-only 1");
            c.ok("REPLCONF capa eof capa psync2");
            c.send(&["PSYNC", "?", "-1"]);
            read_fullresync(&mut c);
        } else {
            c.send(&["SYNC"]);
        }
        check_payload(&read_payload(&mut c));
    }
    assert!(!server.log_has("without acknowledging"), "{}", server.log());
}
