//! Scripted masters. After each misbehaviour a good master on the same port must be synchronised with.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

pub(super) const ID: &str = "1234567890123456789012345678901234567890";
const ID2: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

pub(super) const GOOD: &[(&str, &str, Option<u64>)] =
    &[("from", "master", None), ("other", "key", None)];

/// A server with a data set of its own, told to follow a scripted master.
pub(super) fn replica(args: &[&str]) -> (FakeMaster, Server) {
    let fake = FakeMaster::new();
    let server = Server::aedile(args);
    server.connect().ok("SET old value");
    server.replicate(fake.port);
    (fake, server)
}

/// The replica still has what it had.
#[track_caller]
pub(super) fn keeps_old(server: &Server) {
    let mut c = server.connect();
    assert_eq!(c.run("GET old"), "value");
    assert_eq!(c.info("master_link_status"), "down");
}

/// Plays a good master on the next link and checks that all is well.
#[track_caller]
pub(super) fn good_master_follows(fake: &FakeMaster, server: &Server) -> Peer {
    let mut peer = fake.accept();
    peer.serve_full(ID, 100, GOOD);
    follows(&mut peer, server, 100);
    peer
}

/// The link is up at `offset`; the stream is applied and acknowledged.
#[track_caller]
fn follows(peer: &mut Peer, server: &Server, offset: i64) {
    let mut c = server.connect();
    wait_until("the link", || c.info("master_link_status") == "up");
    assert_eq!(c.run("GET from"), "master");
    assert_eq!(c.run("EXISTS old"), 0);
    let stream = [encode(&["SELECT", "0"]), encode(&["SET", "streamed", "1"])].concat();
    peer.write(&stream);
    wait_until("the stream", || c.run("GET streamed") == "1");
    assert_eq!(
        c.info_int("slave_repl_offset"),
        offset + stream.len() as i64
    );
    peer.write(&encode(&["REPLCONF", "GETACK", "*"]));
    peer.wait_ack(offset + stream.len() as i64);
}

#[test]
fn handshake_order() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept();
    let psync = peer.handshake();
    let port = server.port;
    assert_eq!(
        peer.seen[..3],
        [
            "PING".to_string(),
            format!("REPLCONF LISTENING-PORT {port} CAPA RDB:11 CAPA UPSTREAM"),
            "REPLCONF CAPA EOF CAPA PSYNC2 CAPA RESUME CAPA BEHIND".to_string()
        ]
    );
    // Its own history is offered first: a replica may be the master's own former master.
    let words: Vec<&str> = psync.split(' ').collect();
    assert_eq!((words[0], words[1].len()), ("PSYNC", 40), "{psync}");
    let mut c = server.connect();
    assert_eq!(c.info("role"), "slave");
    assert_eq!(c.info("master_link_status"), "down");
    assert_eq!(c.run("ROLE").items()[3], "handshake");
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    follows(&mut peer, &server, 100);
    assert_eq!(c.info("master_replid"), ID);
}

#[test]
fn authentication_and_announcements() {
    let fake = FakeMaster::new();
    let server = Server::aedile(&[
        "--masterauth",
        "pass word",
        "--masteruser",
        "me",
        "--replica-announce-ip",
        "10.9.8.7",
        "--replica-announce-port",
        "4321",
    ]);
    server.replicate(fake.port);
    let mut peer = fake.accept();
    peer.handshake();
    assert_eq!(
        peer.seen[..5],
        [
            "PING",
            "AUTH ME PASS WORD",
            "REPLCONF LISTENING-PORT 4321 CAPA RDB:11 CAPA UPSTREAM",
            "REPLCONF IP-ADDRESS 10.9.8.7",
            "REPLCONF CAPA EOF CAPA PSYNC2 CAPA RESUME CAPA BEHIND"
        ]
    );
}

/// The whole of a good master's talk, one byte at a time.
#[test]
fn one_byte_at_a_time() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept().slowly();
    peer.serve_full(ID, 100, GOOD);
    follows(&mut peer, &server, 100);
}

#[test]
fn eof_mark_one_byte_at_a_time() {
    for load in ["disabled", "swapdb"] {
        let (fake, server) = replica(&["--repl-diskless-load", load]);
        let mut peer = fake.accept().slowly();
        peer.handshake();
        peer.line(&format!("+FULLRESYNC {ID} 100"));
        peer.write(format!("$EOF:{ID2}\r\n").as_bytes());
        peer.write(&rdb::file(GOOD));
        peer.write(ID2.as_bytes());
        follows(&mut peer, &server, 100);
    }
}

/// Header, payload and mark in one write.
#[test]
fn eof_mark_in_one_segment() {
    for load in ["disabled", "swapdb"] {
        let (fake, server) = replica(&["--repl-diskless-load", load]);
        let mut peer = fake.accept();
        peer.handshake();
        let mut all = format!("+FULLRESYNC {ID} 100\r\n$EOF:{ID2}\r\n").into_bytes();
        all.extend(rdb::file(GOOD));
        all.extend(ID2.as_bytes());
        peer.write(&all);
        follows(&mut peer, &server, 100);
    }
}

#[test]
fn keep_alives_before_the_answers() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept();
    peer.handshake();
    for _ in 0..5 {
        peer.write(b"\n");
    }
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    for _ in 0..5 {
        peer.write(b"\n");
    }
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    follows(&mut peer, &server, 100);
}

/// The replica hangs up, or is hung up on, at each step; the next link is served well.
#[test]
fn hang_up_at_each_state() {
    // How many commands are answered before the hang-up.
    for answered in 0..=3 {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        for i in 0..answered {
            peer.command();
            peer.line(if i == 0 { "+PONG" } else { "+OK" });
        }
        drop(peer);
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
    let payload = rdb::file(GOOD);
    // Bytes sent after the handshake before the hang-up.
    let mut answer = format!("+FULLRESYNC {ID} 100\r\n${}\r\n", payload.len()).into_bytes();
    let header = answer.len();
    answer.extend(&payload);
    for cut in [
        1,
        20,
        header - 30,
        header - 3,
        header,
        header + 1,
        header + 20,
        answer.len() - 1,
    ] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.handshake();
        peer.write(&answer[..cut]);
        drop(peer);
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
}

/// What a master may wrongly answer to PING; the replica drops the link and tries again.
#[test]
fn wrong_answers_to_ping() {
    for answer in [
        "-ERR go away",
        "$-1",
        "garbage",
        "",
        "-LOADING Redis is loading the dataset in memory",
        "-MASTERDOWN Link with MASTER is down",
    ] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.expect("PING");
        peer.line(answer);
        if answer.is_empty() || answer == "garbage" || answer == "$-1" {
            // Upstream takes anything but an error for a sign of life here, or waits: the end of the link settles it.
            drop(peer);
        } else {
            peer.conn.expect_close();
        }
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
}

/// Errors that mean "authenticate" let the handshake go on; an error to AUTH ends it.
#[test]
fn noauth() {
    for answer in [
        "-NOAUTH Authentication required.",
        "-ERR operation not permitted",
        "-NOPERM this user has no permissions",
    ] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.expect("PING");
        peer.line(answer);
        peer.expect("REPLCONF");
        drop(peer);
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
    let (fake, server) = replica(&["--masterauth", "x"]);
    let mut peer = fake.accept();
    peer.expect("PING");
    peer.line("+PONG");
    peer.expect("AUTH X");
    peer.line("-WRONGPASS invalid username-password pair or user is disabled.");
    wait_until("the refusal in the log", || {
        server.log_has("Unable to AUTH to MASTER")
    });
    drop(peer);
    keeps_old(&server);
    good_master_follows(&fake, &server);
}

/// A master that does not know REPLCONF is followed all the same.
#[test]
fn master_without_replconf() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept();
    loop {
        let command = peer.command();
        match command.split(' ').next().unwrap_or("") {
            "PING" => peer.line("+PONG"),
            "REPLCONF" => peer.line("-ERR unknown command 'REPLCONF'"),
            "PSYNC" => break,
            _ => panic!("{command}"),
        }
    }
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    follows(&mut peer, &server, 100);
}

/// A master of the 2.6 kind: an error to PSYNC, then SYNC is served.
#[test]
fn master_that_only_knows_sync() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept();
    let psync = peer.handshake();
    assert!(psync.starts_with("PSYNC "), "{psync}");
    peer.line("-ERR unknown command 'PSYNC'");
    peer.expect("SYNC");
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    let mut c = server.connect();
    wait_until("the link", || c.info("master_link_status") == "up");
    assert_eq!(c.run("GET from"), "master");
    assert_eq!(c.run("EXISTS old"), 0);
    peer.write(&encode(&["SET", "streamed", "1"]));
    wait_until("the stream", || c.run("GET streamed") == "1");
    // No offsets are known: such a link is never resumed.
    drop(peer);
    let mut peer = fake.accept();
    let again = peer.handshake();
    assert!(!again.contains(ID), "{again}");
    drop(peer);
    good_master_follows(&fake, &server);
}

/// Wrong answers to PSYNC. Unknown ones make the replica fall back to SYNC; a temporary refusal makes it come again.
#[test]
fn wrong_answers_to_psync() {
    for answer in [
        "-LOADING Redis is loading the dataset",
        "-NOMASTERLINK Can't SYNC while not connected with my master",
    ] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.handshake();
        peer.line(answer);
        peer.conn.expect_close();
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
    let long = format!("+{}", "x".repeat(300));
    for answer in ["-ERR no", "+WHAT is this", "garbage", &long] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.handshake();
        peer.line(answer);
        peer.expect("SYNC");
        drop(peer);
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
}

/// A FULLRESYNC line without a proper id: its history must not be trusted, whatever is done with its payload.
#[test]
fn wrong_fullresync_lines() {
    for line in ["+FULLRESYNC", "+FULLRESYNC short 100", "+FULLRESYNC  "] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.handshake();
        peer.line(line);
        drop(peer);
        keeps_old(&server);
        // The next request must not carry what was no id.
        let mut peer = fake.accept();
        let psync = peer.handshake();
        let id = psync.split(' ').nth(1).unwrap_or("");
        assert!(id == "?" || id.len() == 40, "{psync}");
        peer.line(&format!("+FULLRESYNC {ID} 100"));
        let payload = rdb::file(GOOD);
        peer.write(format!("${}\r\n", payload.len()).as_bytes());
        peer.write(&payload);
        follows(&mut peer, &server, 100);
    }
}

/// An endless line without an end is not collected for ever: the link is dropped by its limit or its time-out.
#[test]
fn endless_line() {
    let (fake, server) = replica(&["--repl-timeout", "2"]);
    let mut peer = fake.accept();
    peer.expect("PING");
    let chunk = [b'x'; 4096];
    wait_until("the link's end", || {
        peer.conn.try_write_raw(&chunk).is_err()
    });
    keeps_old(&server);
    good_master_follows(&fake, &server);
}

#[test]
fn wrong_bulk_headers() {
    for header in ["-ERR cannot save", "what is this", "$x", "*5", "$-1", "+OK"] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.handshake();
        peer.line(&format!("+FULLRESYNC {ID} 100"));
        peer.line(header);
        if header == "$x" || header == "$-1" {
            // Upstream reads a number as far as it goes; no payload of that length can follow.
            drop(peer);
        } else {
            peer.conn.expect_close();
        }
        keeps_old(&server);
        good_master_follows(&fake, &server);
    }
}

/// Gives a payload on the next link, and hangs up when the replica has.
#[track_caller]
pub(super) fn give_payload(fake: &FakeMaster, payload: &[u8]) {
    let mut peer = fake.accept();
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(payload);
    peer.conn.expect_close();
}

/// The replica is killed, finds its old data on the disk, and is told to follow again.
#[track_caller]
fn restarts_with_old(fake: &FakeMaster, server: &mut Server) {
    server.kill9();
    // Links of the one that was killed.
    while fake.try_accept(Duration::ZERO).is_some() {}
    server.restart();
    assert_eq!(server.connect().run("GET old"), "value");
    server.replicate(fake.port);
}

/// Payloads that cannot be read by their first bytes: nothing of the old data set goes, in memory or on the disk, however
/// the payload is loaded, and whoever looks is told why.
#[test]
fn bad_payloads() {
    let whole = rdb::file(GOOD);
    let mut magic = whole.clone();
    magic[0] = b'X';
    let mut version = whole.clone();
    version[5..9].copy_from_slice(b"0014");
    let mut payloads = vec![
        (magic, "does not begin as an RDB file"),
        (version, "RDB version 14"),
        (b"hello world, this is not it".to_vec(), "does not begin as"),
    ];
    if stand_in().is_none() {
        // Upstream exits when a payload on disk is too short; Aedile goes on.
        payloads.push((b"REDIS".to_vec(), "Unexpected EOF"));
    }
    for load in ["disabled", "on-empty-db", "swapdb"] {
        for (payload, why) in &payloads {
            let fake = FakeMaster::new();
            let server = Server::aedile(&["--repl-diskless-load", load]);
            let mut c = server.connect();
            if load != "on-empty-db" {
                c.ok("SET old value");
            }
            server.replicate(fake.port);
            give_payload(&fake, payload);
            let from = if load == "disabled" { "disk" } else { "socket" };
            server.wait_log(&format!(
                "Failed trying to load the MASTER synchronization DB from {from}"
            ));
            assert_eq!(c.info("master_link_status"), "down");
            if stand_in().is_none() && load != "on-empty-db" {
                assert!(!server.log_has("Flushing old data"), "{load} {why}");
                keeps_old(&server);
                let problem = c.info("master_link_problem");
                assert!(problem.contains(why), "{load}: {problem}, not {why}");
            }
            good_master_follows(&fake, &server);
        }
    }
}

/// Damage behind a good start: a wrong checksum, and a payload that ends too early. From a file nothing is loaded, so that
/// the old data stay, and the old snapshot too: a restart finds them.
#[test]
fn damaged_payloads() {
    let whole = rdb::file(GOOD);
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 0x55;
    for load in ["disabled", "swapdb"] {
        for (what, payload) in [
            ("flipped", &flipped[..]),
            ("short", &whole[..whole.len() - 12]),
        ] {
            if stand_in().is_some() && (load, what) != ("swapdb", "short") {
                // Upstream exits when a checksum is wrong or a payload on disk ends too early; Aedile goes on.
                continue;
            }
            let (fake, mut server) = replica(&["--repl-diskless-load", load]);
            server.connect().ok("SAVE");
            give_payload(&fake, payload);
            if stand_in().is_none() && load == "disabled" {
                keeps_old(&server);
                assert!(!server.log_has("Flushing old data"));
                restarts_with_old(&fake, &mut server);
            }
            good_master_follows(&fake, &server);
        }
    }
}

/// A payload in either form whose bytes come one by one is checked as a whole; a file on the disk takes the place of the old
/// one only when it has been loaded.
#[test]
fn the_old_snapshot_stays_until_the_new_one_is_loaded() {
    // Whole and sound, but with a database that is not there.
    let mut body = rdb::body(GOOD);
    body.extend_from_slice(b"\xfe\x07\0\x01k\x01v\xff");
    let sum = rdb::crc64(&body).to_le_bytes();
    let payload = [&body[..], &sum].concat();
    let (fake, mut server) = replica(&["--databases", "4"]);
    server.connect().ok("SAVE");
    let before = std::fs::read(server.rdb_path()).expect("a snapshot");
    give_payload(&fake, &payload);
    server.wait_log("Failed trying to load the MASTER synchronization DB from disk");
    if stand_in().is_none() {
        assert_eq!(
            std::fs::read(server.rdb_path()).expect("a snapshot"),
            before
        );
        restarts_with_old(&fake, &mut server);
    }
    good_master_follows(&fake, &server);
    let after = std::fs::read(server.rdb_path()).expect("a snapshot");
    assert_eq!(after, rdb::file(GOOD));
}

/// What a failed sync has emptied is nobody's data: the end of the process does not save it over the file, and neither do save
/// points. Who writes again, once it is a master, is saved.
#[test]
fn what_a_failed_sync_has_emptied_is_not_saved() {
    if stand_in().is_some() {
        return;
    }
    let mut body = rdb::body(GOOD);
    body.extend_from_slice(b"\xfe\x07\0\x01k\x01v\xff");
    let sum = rdb::crc64(&body).to_le_bytes();
    let payload = [&body[..], &sum].concat();
    let (fake, mut server) = replica(&["--databases", "4", "--save", "1 1"]);
    server.connect().ok("SAVE");
    give_payload(&fake, &payload);
    server.wait_log("Failed trying to load the MASTER synchronization DB from disk");
    let mut c = server.connect();
    wait_until("nothing is there", || c.run("DBSIZE") == 0);
    assert!(server.terminate().success());
    assert!(server.log_has("Not saving a final RDB snapshot"));
    while fake.try_accept(Duration::ZERO).is_some() {}
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET old"), "value");
    server.replicate(fake.port);
    give_payload(&fake, &payload);
    wait_until("nothing is there", || c.run("DBSIZE") == 0);
    c.ok("REPLICAOF NO ONE");
    c.ok("SET new value");
    assert!(server.terminate().success());
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET new"), "value");
    assert_eq!(c.run("DBSIZE"), 1);
}

/// What the front of a snapshot says cannot be had here (a function library, a database too many) is known before anything goes.
#[test]
fn a_front_that_cannot_be_taken_changes_nothing() {
    let fronts: [(&[u8], &str); 2] = [
        (b"\xf5\x05#!lua", "function"),
        (b"\xfe\x07\0\x01k\x01v", "database"),
    ];
    for (front, why) in fronts {
        if stand_in().is_some() {
            continue;
        }
        let mut file = [&rdb::body(&[])[..], front, b"\xff"].concat();
        let sum = rdb::crc64(&file).to_le_bytes();
        file.extend_from_slice(&sum);
        let (fake, server) = replica(&["--databases", "4"]);
        give_payload(&fake, &file);
        let mut c = server.connect();
        wait_until("the reason", || c.info("master_link_problem").contains(why));
        keeps_old(&server);
        assert!(!server.log_has("Flushing old data"));
        good_master_follows(&fake, &server);
    }
}

/// In swapdb mode a payload cut short by the link leaves the old data set, from the same history or not.
#[test]
fn cut_payload_in_swapdb_mode() {
    let (fake, server) = replica(&["--repl-diskless-load", "swapdb"]);
    let mut peer = fake.accept();
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    peer.write(format!("$EOF:{ID2}\r\n").as_bytes());
    let body = rdb::body(&[
        ("from", "master", None),
        ("big", &"x".repeat(100_000), None),
    ]);
    peer.write(&body[..body.len() - 10]);
    drop(peer);
    server.wait_log("Reconnecting to MASTER");
    keeps_old(&server);
    good_master_follows(&fake, &server);
}

/// An EOF mark that never matches: nothing is loaded, and the link's end ends the wait.
#[test]
fn wrong_eof_mark() {
    let (fake, server) = replica(&[]);
    let mut peer = fake.accept();
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    peer.write(format!("$EOF:{ID2}\r\n").as_bytes());
    peer.write(&rdb::file(GOOD));
    peer.write(ID.as_bytes());
    drop(peer);
    keeps_old(&server);
    good_master_follows(&fake, &server);
}

/// A link cut in the stream is resumed at the next byte, and with a new id when the master says so.
#[test]
fn continue_with_and_without_a_new_id() {
    let (fake, server) = replica(&[]);
    let mut peer = good_master_follows(&fake, &server);
    let mut c = server.connect();
    let offset = c.info_int("slave_repl_offset");
    // Half a command, then the end.
    peer.write(b"*3\r\n$3\r\nSET\r\n$4\r\nha");
    drop(peer);
    let mut peer = fake.accept().slowly();
    let psync = peer.handshake();
    let resumed: i64 = psync
        .strip_prefix(&format!("PSYNC {} ", ID.to_uppercase()))
        .unwrap_or_else(|| panic!("{psync}"))
        .parse()
        .expect("offset");
    // What was not executed is asked for again; GETACK of the step before is part of the stream.
    let getack = encode(&["REPLCONF", "GETACK", "*"]).len() as i64;
    assert!(
        resumed == offset + 1 || resumed == offset + getack + 1,
        "{psync}, offset {offset}"
    );
    peer.line("+CONTINUE");
    peer.write(&encode(&["SET", "half", "whole"]));
    wait_until("the resumed stream", || c.run("GET half") == "whole");
    assert_eq!(c.run("GET from"), "master");
    assert_eq!(c.info("master_replid"), ID);
    let offset = c.info_int("slave_repl_offset");
    drop(peer);
    let mut peer = fake.accept();
    let psync = peer.handshake();
    assert_eq!(psync, format!("PSYNC {ID} {}", offset + 1));
    peer.line(&format!("+CONTINUE {ID2}"));
    peer.write(&encode(&["SET", "second", "life"]));
    wait_until("the resumed stream", || c.run("GET second") == "life");
    assert_eq!(c.info("master_replid"), ID2);
    assert_eq!(c.info("master_replid2"), ID);
    assert_eq!(c.info_int("second_repl_offset"), offset + 1);
}

/// A resumed link that is denied: full resynchronisation, the old data served until then.
#[test]
fn continue_denied() {
    let (fake, server) = replica(&[]);
    let peer = good_master_follows(&fake, &server);
    drop(peer);
    let mut peer = fake.accept();
    let psync = peer.handshake();
    assert!(psync.starts_with(&format!("PSYNC {ID} ")), "{psync}");
    let mut c = server.connect();
    assert_eq!(c.run("GET streamed"), "1");
    peer.line(&format!("+FULLRESYNC {ID2} 5000"));
    assert_eq!(c.run("GET streamed"), "1");
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    wait_until("the new data set", || c.run("EXISTS streamed") == 0);
    follows(&mut peer, &server, 5000);
    assert_eq!(c.info("master_replid"), ID2);
}

/// Garbage in the stream ends the link; the replica does not crash and comes again.
#[test]
fn garbage_in_the_stream() {
    for garbage in [
        &b"*1\r\n!!!\r\n"[..],
        b"*x\r\n",
        b"PING\r\n",
        b"\x01\x02 \xff\n",
    ] {
        let (fake, server) = replica(&[]);
        let mut peer = good_master_follows(&fake, &server);
        peer.write(garbage);
        peer.conn.expect_close();
        // What the two sides agreed on is in doubt now: the history is not offered again.
        let mut peer = fake.accept();
        let psync = peer.handshake();
        assert!(!psync.contains(ID), "{psync}");
        drop(peer);
        good_master_follows(&fake, &server);
    }
}

/// The stream is cut at every byte of a command.
#[test]
fn stream_one_byte_at_a_time() {
    let (fake, server) = replica(&[]);
    let mut peer = good_master_follows(&fake, &server).slowly();
    let mut c = server.connect();
    peer.write(&encode(&["SET", "slow", "a\r\nb"]));
    peer.write(b"\r\n");
    peer.write(&encode(&["SET", "last", "x"]));
    wait_until("the stream", || c.run("GET last") == "x");
    assert_eq!(c.run("GET slow"), "a\r\nb");
}

/// Requests of all forms and lengths, many in one segment and cut anywhere: whole ones run in groups, and nothing may be
/// lost, run twice or counted wrong where a group ends.
#[test]
fn stream_in_bursts() {
    let (fake, server) = replica(&["--databases", "2"]);
    let mut peer = good_master_follows(&fake, &server);
    let mut c = server.connect();
    let mut stream = encode(&["SELECT", "0"]);
    let (mut db, mut counters) = (0, [0; 2]);
    for i in 0..900usize {
        let next = match i * 7919 % 13 {
            0 => b"\r\n".to_vec(),
            1 => encode(&["SET", &format!("long:{i}"), &"v".repeat(990 + i % 20)]),
            2 => encode(&["PING"]),
            3 => {
                db = 1 - db;
                encode(&["SELECT", &db.to_string()])
            }
            4 => {
                counters[db] += 2;
                let incr = encode(&["INCR", "counter"]);
                [encode(&["MULTI"]), incr.clone(), incr, encode(&["EXEC"])].concat()
            }
            _ => {
                counters[db] += 1;
                encode(&["INCR", "counter"])
            }
        };
        stream.extend(next);
    }
    stream.extend(encode(&["SET", "last", "x"]));
    let before = c.info_int("slave_repl_offset");
    let mut rest = &stream[..];
    for i in 1usize.. {
        let (now, behind) = rest.split_at(rest.len().min(i * i * 31 % 4001));
        peer.write(now);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    let end = before + stream.len() as i64;
    wait_until("the stream", || c.info_int("slave_repl_offset") == end);
    for (db, n) in counters.iter().enumerate() {
        c.ok(&format!("SELECT {db}"));
        assert_eq!(c.run("GET counter"), n.to_string().as_str());
    }
    c.ok(&format!("SELECT {db}"));
    assert_eq!(c.run("GET last"), "x");
    peer.write(&encode(&["REPLCONF", "GETACK", "*"]));
    peer.wait_ack(end);
}

/// repl-timeout while the payload stands still.
#[test]
fn payload_that_stands_still() {
    let (fake, server) = replica(&["--repl-timeout", "2"]);
    let mut peer = fake.accept();
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    peer.line("$100000");
    peer.write(b"REDIS0009");
    let mut c = server.connect();
    wait_until("the transfer in INFO", || {
        c.info("master_sync_in_progress") == "1"
    });
    peer.conn.expect_close();
    keeps_old(&server);
    good_master_follows(&fake, &server);
}

/// REPLICAOF NO ONE and another master in the middle of everything.
#[test]
fn told_otherwise_in_each_state() {
    let payload = rdb::file(GOOD);
    for stage in 0..4 {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        if stage >= 1 {
            peer.handshake();
        }
        if stage >= 2 {
            peer.line(&format!("+FULLRESYNC {ID} 100"));
            peer.write(format!("${}\r\n", payload.len()).as_bytes());
            peer.write(&payload[..payload.len() / 2]);
        }
        if stage >= 3 {
            peer.write(&payload[payload.len() / 2..]);
            server.wait_link_up();
        }
        let mut c = server.connect();
        c.ok("REPLICAOF NO ONE");
        peer.conn.expect_close();
        assert_eq!(c.info("role"), "master");
        c.ok("SET writable again");
        if stage < 3 {
            assert_eq!(c.run("GET old"), "value");
        }
        let second = FakeMaster::new();
        server.replicate(second.port);
        good_master_follows(&second, &server);
    }
}

/// The replica serves or refuses readers while its link is down, as configured.
#[test]
fn stale_data() {
    let (_fake, server) = replica(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("GET old"), "value");
    c.config_set("replica-serve-stale-data", "no");
    c.run("GET old").assert_error(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    );
    assert!(!c.run("INFO replication").is_error());
}

/// Offsets out of this world are brought into it: no arithmetic on them fails.
#[test]
fn absurd_offsets() {
    for offset in [i64::MAX, i64::MIN, -2] {
        let (fake, server) = replica(&[]);
        let mut peer = fake.accept();
        peer.serve_full(ID, offset, GOOD);
        server.wait_link_up();
        let mut c = server.connect();
        let stream = [encode(&["SELECT", "0"]), encode(&["SET", "streamed", "1"])].concat();
        peer.write(&stream);
        wait_until("the stream", || c.run("GET streamed") == "1");
        assert_eq!(
            c.info_int("slave_repl_offset"),
            c.info_int("master_repl_offset")
        );
        peer.write(&encode(&["REPLCONF", "GETACK", "*"]));
        peer.expect("REPLCONF ACK ");
        drop(peer);
        fake.accept().handshake();
        c.ok("REPLICAOF NO ONE");
        c.ok("SET a b");
    }
}

/// Since when there is no link is told, too, when another master is chosen.
#[test]
fn down_since_the_change_of_masters() {
    let (fake, server) = replica(&[]);
    let _peer = good_master_follows(&fake, &server);
    let other = FakeMaster::new();
    server.replicate(other.port);
    let mut c = server.connect();
    let since = c.info_int("master_link_down_since_seconds");
    assert!((0..30).contains(&since), "{since}");
}

/// A master of the 2.6 kind has no id and no offsets. A replica of it gives the stream both for its own replicas: they resume
/// a broken link, and go on when it is promoted.
#[test]
fn chain_below_a_master_that_only_knows_sync() {
    let (fake, middle) = replica(&["--repl-diskless-sync-delay", "0"]);
    let mut peer = fake.accept();
    peer.handshake();
    peer.line("-ERR unknown command 'PSYNC'");
    peer.expect("SYNC");
    let payload = rdb::file(GOOD);
    peer.write(format!("\n\n${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    middle.wait_link_up();
    let leaf = Server::aedile(&[]);
    leaf.replicate(middle.port);
    leaf.wait_link_up();
    let mut m = middle.connect();
    let mut l = leaf.connect();
    peer.write(&encode(&["SET", "streamed", "1"]));
    wait_until("the stream", || l.run("GET streamed") == "1");
    let id = m.info("master_replid");
    assert!(id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(l.info("master_replid"), id);
    for (n, value) in [(1, "2"), (2, "3")] {
        m.run("CLIENT KILL TYPE replica");
        wait_until("a partial resynchronisation", || {
            m.info_int("sync_partial_ok") == n
        });
        peer.write(&encode(&["SET", "streamed", value]));
        wait_until("the stream", || l.run("GET streamed") == value);
    }
    m.ok("REPLICAOF NO ONE");
    wait_until("a partial resynchronisation", || {
        m.info_int("sync_partial_ok") == 3
    });
    assert_eq!(m.info("master_replid2"), id);
    m.ok("SET mine 1");
    assert_synced(&middle, &leaf);
    assert_eq!(m.info("sync_full"), "1");
}

/// `propagation-error-behavior`: a command of the master's that fails here.
#[test]
fn a_command_of_the_stream_fails() {
    for (behavior, dies) in [
        ("ignore", false),
        ("panic-on-replicas", true),
        ("panic", true),
    ] {
        let (fake, mut server) = replica(&["--propagation-error-behavior", behavior]);
        let mut peer = good_master_follows(&fake, &server);
        peer.write(&encode(&["SET", "text", "x"]));
        peer.write(&encode(&["INCR", "text"]));
        server.wait_log(
            "== CRITICAL == This replica is sending an error to its master: 'value is not an integer or out of range' after \
             processing the command 'incr'",
        );
        if dies {
            assert!(!server.wait_exit().success());
            assert!(server.log_has(
                "This replica panicked sending an error to its master after processing the command 'incr'"
            ));
        } else {
            assert!(server.log_has("Latest backlog is: '"));
            peer.write(&encode(&["SET", "after", "1"]));
            let mut c = server.connect();
            wait_until("the stream", || c.run("GET after") == "1");
            assert_eq!(c.info("unexpected_error_replies"), "1");
        }
    }
}

/// `replica-ignore-disk-write-errors`: the master writes, and this server cannot save.
#[test]
fn the_disk_fails_under_the_stream() {
    for ignore in ["yes", "no"] {
        let (fake, mut server) = replica(&[
            "--enable-protected-configs",
            "yes",
            "--save",
            "3600 1",
            "--replica-ignore-disk-write-errors",
            ignore,
        ]);
        let mut peer = good_master_follows(&fake, &server);
        let mut c = server.connect();
        let gone = server.scratch.join("gone");
        std::fs::create_dir(&gone).expect("a directory");
        c.config_set("dir", gone.to_str().expect("a path"));
        std::fs::remove_dir(&gone).expect("an empty directory");
        c.run("BGSAVE");
        wait_until("a failed save", || {
            c.info("rdb_last_bgsave_status") == "err"
        });
        for n in 1..=3 {
            peer.write(&encode(&["SET", "on", &n.to_string()]));
        }
        if ignore == "no" {
            assert!(!server.wait_exit().success());
            assert!(server.log_has("Replica was unable to write command to disk."));
            continue;
        }
        wait_until("the stream", || c.run("GET on") == "3");
        let line = "Replica is applying a command even though it is unable to write to disk.";
        assert_eq!(server.log_count(line), 1);
    }
}

/// Only a master that says that it reads them is told of the servers behind its replica; others see the acknowledgements that
/// they know, and the capability that they ignore.
#[test]
fn who_is_behind_is_told_to_those_who_read_it() {
    for reads in [false, true] {
        let fake = FakeMaster::new();
        let server = Server::aedile(&[]);
        let below = Server::aedile(&[]);
        below.replicate(server.port);
        below.wait_link_up();
        server.replicate(fake.port);
        let mut peer = fake.accept();
        peer.expect("PING");
        peer.line("+PONG");
        peer.expect("REPLCONF LISTENING-PORT");
        peer.line("+OK");
        let capa = peer.expect("REPLCONF CAPA EOF CAPA PSYNC2 CAPA RESUME CAPA BEHIND:");
        let run_id = server.connect().info("run_id");
        let mark = run_id[..16].to_uppercase();
        assert!(capa.contains(&format!("BEHIND:{mark}.")), "{capa}");
        peer.line(if reads { "+OK behind" } else { "+OK" });
        peer.expect("PSYNC");
        peer.line(&format!("+FULLRESYNC {ID} 100"));
        let payload = rdb::file(GOOD);
        peer.write(format!("${}\r\n", payload.len()).as_bytes());
        peer.write(&payload);
        // Its replica comes back; then it is told of each second, if at all.
        below.wait_link_up();
        for _ in 0..3 {
            let mut ack = peer.expect("REPLCONF ACK");
            while reads && !ack.contains("BEHIND") {
                ack = peer.expect("REPLCONF ACK");
            }
            let words: Vec<&str> = ack.split(' ').collect();
            if reads {
                assert_eq!(words[3], "BEHIND", "{ack}");
                assert!(
                    words[4].starts_with(&mark) && words[4].ends_with(".1"),
                    "{ack}"
                );
            } else {
                assert_eq!(words.len(), 3, "{ack}");
            }
        }
    }
}

/// A master that is refused is asked again ever more seldom, and quietly.
#[test]
fn a_refused_master_is_asked_ever_more_seldom() {
    let fake = FakeMaster::new();
    let server = Server::aedile(&["--replica-refuse-empty-master", "yes"]);
    server.replicate(fake.port);
    let mut peer = fake.accept();
    peer.serve_full(ID, 1000, GOOD);
    follows(&mut peer, &server, 1000);
    drop(peer);
    let offer = || {
        let mut peer = fake.accept();
        peer.handshake();
        peer.line(&format!("+FULLRESYNC {ID2} 1"));
        peer.conn.expect_close();
        std::time::Instant::now()
    };
    let times: Vec<_> = (0..3).map(|_| offer()).collect();
    let gaps: Vec<u128> = times
        .windows(2)
        .map(|t| (t[1] - t[0]).as_millis())
        .collect();
    // At least half of two seconds, and of four; the clocks of both are not one.
    for (gap, least) in gaps.iter().zip([900, 1900]) {
        assert!(*gap >= least, "{gaps:?}");
    }
    let mut c = server.connect();
    assert_eq!(c.info_int("master_refused_syncs"), 3);
    assert_eq!(c.run("GET from"), "master");
    assert_eq!(server.log_count("Refusing a full sync"), 1);
    // Once for the first full sync, once for the link that was lost and refused.
    assert_eq!(server.log_count("MASTER <-> REPLICA sync started"), 2);
    assert_eq!(server.log_count("Trying a partial resynchronization"), 2);
    // Its data again: it is followed, and the log says so.
    let mut peer = fake.accept();
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 2000"));
    let payload = rdb::file(GOOD);
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(&payload);
    follows(&mut peer, &server, 2000);
    assert_eq!(c.info("master_refused_history"), "");
    assert_eq!(server.log_count("Full resync from master"), 3);
}

/// How many links come while `serve` plays the master for so many milliseconds, or longer until there were `least` of them; and for how
/// many it really did.
fn links(fake: &FakeMaster, ms: u64, least: u64, mut serve: impl FnMut(Peer)) -> (u64, u64) {
    const HANG: std::time::Duration = std::time::Duration::from_secs(60);
    let begin = std::time::Instant::now();
    let end = std::time::Duration::from_millis(ms);
    let mut n = 0;
    while n < least || begin.elapsed() < end {
        let bound = if n < least { HANG } else { end };
        let Some(peer) = fake.try_accept(bound.saturating_sub(begin.elapsed())) else {
            break;
        };
        n += 1;
        serve(peer);
    }
    (n, begin.elapsed().as_millis() as u64)
}

fn full_sync_of(mut peer: Peer, payload: &[u8]) -> Peer {
    peer.handshake();
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    peer.write(format!("${}\r\n", payload.len()).as_bytes());
    peer.write(payload);
    peer
}

/// A payload that does not load is asked for again after a second at the least, after two, after four; the reason is in INFO,
/// and once in the log. REPLICAOF ends the wait.
#[test]
fn a_payload_that_never_loads_is_asked_for_ever_more_seldom() {
    let (fake, server) = replica(&[]);
    let mut version = rdb::file(GOOD);
    version[5..9].copy_from_slice(b"0079");
    let (n, ms) = links(&fake, 5000, 2, |peer| {
        full_sync_of(peer, &version).conn.expect_close();
    });
    let mut most = 1;
    let mut next = 1000;
    while next <= ms {
        next += 1000 << most;
        most += 1;
    }
    assert!((2..=most).contains(&n), "{n} full syncs in {ms} ms");
    let mut c = server.connect();
    wait_until("the reason", || {
        c.info("master_link_problem").starts_with(
            "full sync cannot be loaded: the master writes RDB version 79, this server reads up to 13",
        )
    });
    for line in [
        "MASTER link problem",
        "Failed trying to load the MASTER synchronization DB",
        "MASTER <-> REPLICA sync started",
        "Full resync from master",
    ] {
        assert_eq!(server.log_count(line), 1, "{line}\n{}", server.log());
    }
    assert!(!server.log_has("xiting"));
    let again = format!("REPLICAOF 127.0.0.1 {}", fake.port);
    assert_eq!(
        c.run(&again).text(),
        "OK Already connected to specified master"
    );
    good_master_follows(&fake, &server);
    assert_eq!(c.info("master_link_problem"), "");
}

/// Links that are lost come back at once, and then once a second, wherever they are lost.
#[test]
fn a_master_that_hangs_up_is_not_asked_without_a_pause() {
    let payload = rdb::file(GOOD);
    let half = &payload[..payload.len() / 2];
    type Serve<'a> = &'a dyn Fn(Peer);
    let cases: [(&str, Serve<'_>); 5] = [
        ("without a word", &|peer| drop(peer)),
        ("instead of an answer to PSYNC", &|mut peer| {
            peer.handshake();
        }),
        ("in the middle of a full sync", &|mut peer| {
            peer.handshake();
            peer.line(&format!("+FULLRESYNC {ID} 100"));
            peer.write(format!("${}\r\n", payload.len()).as_bytes());
            peer.write(half);
        }),
        ("", &|mut peer| {
            peer.handshake();
            peer.line("-LOADING Redis is loading the dataset in memory");
            peer.conn.expect_close();
        }),
        // Up, and closed.
        ("", &|peer| {
            full_sync_of(peer, &payload).expect("REPLCONF ACK");
        }),
    ];
    for (i, (problem, serve)) in cases.into_iter().enumerate() {
        let (fake, server) = replica(&[]);
        let (n, ms) = links(&fake, 3500, 3, serve);
        assert!(
            (3..=ms / 1000 + 2).contains(&n),
            "{i}: {n} links in {ms} ms"
        );
        let mut c = server.connect();
        wait_until(problem, || c.info("master_link_problem").contains(problem));
        // Each attempt that is like those before it is quiet.
        let told = server.log_count("MASTER link problem");
        assert_eq!(told, usize::from(!problem.is_empty()), "{}", server.log());
        good_master_follows(&fake, &server);
        assert_eq!(c.info("master_link_problem"), "");
    }
}

/// A master that wants a password, and has none from us, answers PSYNC and then SYNC with the same error: one line of the log,
/// whatever number of attempts, and a reason that stays there meanwhile.
#[test]
fn a_lasting_reason_is_told_once() {
    if stand_in().is_some() {
        return;
    }
    let (fake, server) = replica(&[]);
    const PROBLEM: &str = "wants a password";
    let problem = || server.connect().info("master_link_problem");
    let mut told = false;
    let (n, _) = links(&fake, 3500, 3, |mut peer| {
        assert!(peer.handshake().starts_with("PSYNC"));
        peer.line("-NOAUTH Authentication required.");
        peer.expect("SYNC");
        if std::mem::replace(&mut told, true) {
            // While SYNC is not answered, too.
            assert!(problem().contains(PROBLEM));
        }
        peer.line("-NOAUTH Authentication required.");
        peer.conn.expect_close();
        wait_until("the reason", || problem().contains(PROBLEM));
    });
    assert!(n >= 3, "{n}");
    assert_eq!(
        server.log_count("MASTER link problem"),
        1,
        "{}",
        server.log()
    );
    good_master_follows(&fake, &server);
    assert_eq!(problem(), "");
}

/// A master that refuses REPLCONF closes the link when the first acknowledgement comes: that is named, though the link is up
/// now and then.
#[test]
fn a_master_that_refuses_replconf_is_named() {
    if stand_in().is_some() {
        return;
    }
    let payload = rdb::file(GOOD);
    for refusal in [
        "-NOPERM this user has no permissions to run the 'replconf' command",
        "-ERR unknown command 'REPLCONF', with args beginning with: ",
    ] {
        let (fake, server) = replica(&[]);
        let (n, _) = links(&fake, 4500, 3, |mut peer| {
            loop {
                let command = peer.command();
                match command.split(' ').next().unwrap_or("") {
                    "PING" => peer.line("+PONG"),
                    "REPLCONF" => peer.line(refusal),
                    _ => break,
                }
            }
            peer.line(&format!("+FULLRESYNC {ID} 100"));
            peer.write(format!("${}\r\n", payload.len()).as_bytes());
            peer.write(&payload);
            peer.expect("REPLCONF ACK");
        });
        assert!(n >= 3, "{n}");
        let mut c = server.connect();
        wait_until("the reason", || {
            c.info("master_link_problem")
                .contains("takes no REPLCONF from us")
        });
        assert_eq!(
            server.log_count("MASTER link problem"),
            1,
            "{}",
            server.log()
        );
        good_master_follows(&fake, &server);
        wait_until("it is well", || c.info("master_link_problem").is_empty());
    }
}

/// What answers at the master's port and is no master is told apart; a Redis that comes in its place is followed.
#[test]
fn what_is_no_master_is_named() {
    let said: [(&[u8], &str); 6] = [
        (b"-ERR foo\r\n", "answers PING with an error: \"ERR foo\""),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "is a web server, not a Redis",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            "is no Redis: it answers PING with \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (
            b"\x00\n\x1b[2J\r\n",
            "is no Redis: it answers PING with \"\\x00\"",
        ),
        (b"", "accepts connections and says nothing for 1 seconds"),
    ];
    for (said, problem) in said {
        let (fake, server) = replica(&["--repl-timeout", if said.is_empty() { "1" } else { "60" }]);
        let mut peer = fake.accept();
        peer.expect("PING");
        peer.write(said);
        if said.is_empty() {
            peer.conn.expect_close();
        }
        drop(peer);
        let mut c = server.connect();
        wait_until(problem, || c.info("master_link_problem").contains(problem));
        keeps_old(&server);
        good_master_follows(&fake, &server);
        assert_eq!(c.info("master_link_problem"), "");
    }
}

/// A master that wants a password says so to the PING before AUTH. That is no problem where AUTH follows.
#[test]
fn noauth_before_auth_is_no_problem() {
    let (fake, server) = replica(&["--masterauth", "x"]);
    let mut peer = fake.accept();
    peer.expect("PING");
    peer.line("-NOAUTH Authentication required.");
    peer.serve_full(ID, 100, GOOD);
    follows(&mut peer, &server, 100);
    assert!(!server.log_has("MASTER link problem"), "{}", server.log());
}

/// What is shown is what is wrong now: it goes when a link gets beyond it, and the next thing takes its place.
#[test]
fn each_outcome_takes_the_place_of_the_one_before() {
    let (fake, server) = replica(&["--masterauth", "x"]);
    let mut c = server.connect();
    let mut problem = |text: &str| {
        wait_until(text, || {
            let now = c.info("master_link_problem");
            now.contains(text) && now.is_empty() == text.is_empty()
        });
    };
    let mut peer = fake.accept();
    peer.expect("PING");
    peer.line("+PONG");
    peer.expect("AUTH");
    peer.line("-WRONGPASS invalid username-password pair or user is disabled.");
    problem("has another password");
    let mut peer = fake.accept();
    peer.expect("PING");
    peer.line("+PONG");
    peer.expect("AUTH");
    // Not yet.
    problem("has another password");
    peer.line("+OK");
    problem("");
    peer.handshake();
    peer.line("-NOMASTERLINK Can't SYNC while not connected with my master");
    problem("is a replica without a link to its own master");
    let mut peer = fake.accept();
    peer.handshake();
    problem("is a replica without a link to its own master");
    peer.line(&format!("+FULLRESYNC {ID} 100"));
    problem("");
    peer.line("-ERR no room");
    problem("gives the full sync up: \"ERR no room\"");
    let peer = fake.accept();
    problem("gives the full sync up");
    drop(peer);
    problem("closes the link without a word");
    let mut peer = fake.accept();
    peer.handshake();
    peer.line("-LOADING Redis is loading the dataset in memory");
    problem("");
    let mut peer = full_sync_of(fake.accept(), b"no snapshot at all, but long enough");
    peer.conn.expect_close();
    problem("full sync cannot be loaded: what the master sends does not begin as an RDB file");
    good_master_follows(&fake, &server);
    problem("");
}

/// A name that has no address.
#[test]
fn a_master_whose_name_does_not_resolve_is_named() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    // No name service has to be asked for this one.
    c.ok("REPLICAOF bad..name 6379");
    wait_until("the problem", || {
        c.info("master_link_problem")
            .starts_with("the name bad..name does not resolve (")
    });
    server.wait_log("Unable to connect to MASTER");
}
