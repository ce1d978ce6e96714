//! Files and payloads of RDB versions that came after 11.

use crate::support::server::{Scratch, run_to_end};
use crate::support::tools::run_check;
use crate::support::*;

/// A file of these records, without a checksum.
fn file(header: &[u8], records: &[u8]) -> Vec<u8> {
    [header, b"\xfe\0", records, b"\xff\0\0\0\0\0\0\0\0"].concat()
}

/// Unix milliseconds, as they stand in a file.
const LATER: [u8; 8] = 9_999_999_999_999i64.to_le_bytes();
const LONG_AGO: [u8; 8] = 1_000_000_000_000i64.to_le_bytes();
const NEVER: [u8; 8] = [0xff; 8];

/// A hash `h` as Valkey writes it, with the fields a and b.
fn hash(a: [u8; 8], b: [u8; 8]) -> Vec<u8> {
    [&b"\x16\x01h\x02\x01a\x01v"[..], &a, b"\x01b\x01w", &b].concat()
}

/// The payload that DUMP gives of a value (type byte and body).
fn payload(version: u16, value: &[u8]) -> Vec<u8> {
    let mut p = [value, &version.to_le_bytes()].concat();
    let sum = rdb::crc64(&p).to_le_bytes();
    p.extend_from_slice(&sum);
    p
}

#[test]
fn a_start_takes_them_or_leaves_them_alone() {
    let mut server = Server::aedile(&[]);
    let start = |server: &mut Server, file: &[u8]| {
        server.kill9();
        std::fs::write(server.rdb_path(), file).expect("the file");
        server.restart();
        server.connect()
    };
    for header in [b"REDIS0013", b"VALKEY080"] {
        let mut c = start(&mut server, &file(header, b"\xf4\x01\x01\0\0\x01k\x01v"));
        assert_eq!(c.run("GET k"), "v");
    }
    // A field that whoever wrote it would not show any more is no loss.
    let mut c = start(&mut server, &file(b"VALKEY080", &hash(LONG_AGO, NEVER)));
    assert_eq!(c.run("HGETALL h").items().len(), 2);
    assert_eq!(c.run("HGET h b"), "w");
    let mut c = start(&mut server, &file(b"VALKEY080", &hash(LONG_AGO, LONG_AGO)));
    assert_eq!(c.run("EXISTS h"), 0);
    for (bytes, why) in [
        (
            file(b"VALKEY080", &hash(LATER, NEVER)),
            "expiry of their own, which cannot be kept here (key 'h' in DB 0)",
        ),
        (
            file(b"REDIS0013", b"\x1c\x01a\x01v"),
            "type 28 (key 'a' in DB 0)",
        ),
        (
            file(b"REDIS0014", b""),
            "Can't handle RDB format version 14",
        ),
    ] {
        server.kill9();
        std::fs::write(server.rdb_path(), &bytes).expect("the file");
        let (status, log) = server.restart_fails();
        assert_eq!(status.code(), Some(1));
        assert!(log.contains(why), "{log}");
        assert!(
            log.contains("Internal error in RDB reading offset "),
            "{log}"
        );
        assert_eq!(std::fs::read(server.rdb_path()).expect("the file"), bytes);
    }
    server.restart_with(&["--rdb-version-check", "relaxed"]);
    assert_eq!(server.connect().run("DBSIZE"), 0);
}

#[test]
fn a_reload_that_cannot_be_loses_nothing() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("SET old value");
    for records in [hash(LATER, NEVER), b"\0\x01k\x01v\x1c\x01a".to_vec()] {
        std::fs::write(server.rdb_path(), file(b"VALKEY080", &records)).expect("the file");
        c.run("DEBUG RELOAD NOSAVE")
            .assert_error("ERR Error trying to load the RDB dump, check server logs.");
        assert_eq!(c.run("GET old"), "value");
        assert_eq!(c.run("DBSIZE"), 1);
    }
    std::fs::write(server.rdb_path(), file(b"VALKEY080", b"\0\x01k\x01v")).expect("the file");
    c.ok("DEBUG RELOAD NOSAVE");
    assert_eq!(c.run("GET k"), "v");
}

#[test]
fn a_base_of_valkey_is_one() {
    let mut server = Server::aedile(&["--appendonly", "yes"]);
    server.connect().ok("SET old value");
    server.terminate();
    let base = server
        .scratch
        .join("appendonlydir/appendonly.aof.1.base.rdb");
    let bytes = std::fs::read(&base).expect("a base");
    assert!(bytes.starts_with(b"REDIS0011"));
    std::fs::write(&base, file(b"VALKEY080", b"\0\x01k\x01v")).expect("the file");
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET k"), "v");
    assert_eq!(c.run("GET old"), "value");
    let dir = server.scratch.path().to_path_buf();
    let folder = dir.join("appendonlydir");
    let tool = |name: &str, file: &str| run_check(Kind::Aedile, name, &folder, &[file], b"");
    let e = tool("redis-check-aof", "appendonly.aof.manifest");
    assert_eq!(e.status.code(), Some(0), "{}{}", e.stdout, e.stderr);
    let config = format!("dir {}\nappendonly yes\n", dir.display());
    std::fs::write(dir.join("a.conf"), config).expect("the file");
    let e = run_to_end(Kind::Aedile, &dir, &["--check-config", "a.conf"], b"");
    assert!(
        e.stdout.contains(".base.rdb: RDB version 80"),
        "{}",
        e.stdout
    );
}

#[test]
fn restore_takes_what_has_a_place() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut restore = |version, value: &[u8]| {
        let p = payload(version, value);
        c.cmd(&[&b"RESTORE"[..], b"r", b"0", &p, b"REPLACE"])
    };
    for version in [12, 13, 80] {
        restore(version, b"\0\x01v").assert_ok();
    }
    for version in [14, 79, 81, 9999] {
        restore(version, b"\0\x01v").assert_error("ERR DUMP payload version or checksum are wrong");
    }
    let body = |h: Vec<u8>| [&h[..1], &h[3..]].concat();
    let later = body(hash(LATER, NEVER));
    restore(80, &later).assert_error(
        "ERR Bad data format: Hash fields have an expiry of their own, which cannot be kept here",
    );
    restore(80, &body(hash(LONG_AGO, NEVER))).assert_ok();
    restore(80, &body(hash(NEVER, NEVER))).assert_ok();
    // The same bytes mean nothing in an older payload, and something else in one of Redis.
    restore(11, &later).assert_error("ERR Bad data format");
    restore(12, &later).assert_error("ERR Bad data format");
    restore(13, b"\xf3\x01abcd\0\0\x01v")
        .assert_error_prefix("ERR Bad data format: A key has metadata");
    assert_eq!(c.run("HGET r a"), "v");
    c.config_set("rdb-version-check", "relaxed");
    let p = payload(81, b"\0\x01v");
    c.cmd(&[&b"RESTORE"[..], b"x", b"0", &p]).assert_ok();
}

/// A replica gets a payload that it can read: it may be a Redis 7.0.
#[test]
fn what_is_restored_goes_on_in_a_version_that_replicas_read() {
    let m = Server::aedile(&["--repl-diskless-sync-delay", "0", "--appendonly", "yes"]);
    let r = Server::aedile(&[]);
    r.replicate(m.port);
    r.wait_link_up();
    let value = [&hash(LONG_AGO, NEVER)[..1], &hash(LONG_AGO, NEVER)[3..]].concat();
    let mut c = m.connect();
    let mut other = m.connect();
    other.write_raw(b"SYNC\r\n");
    wait_until("both", || c.info("connected_slaves") == "2");
    c.cmd(&[&b"RESTORE"[..], b"h", b"100000000", &payload(80, &value)])
        .assert_ok();
    assert_synced(&m, &r);
    assert_eq!(r.connect().run("HGET h b"), "w");
    let mut got = Vec::new();
    let stream = wait_for("the stream", || {
        got.extend(other.read_for(std::time::Duration::from_millis(100)));
        let at = got.windows(7).position(|w| w == b"RESTORE")?;
        let whole = got[at..].windows(6).any(|w| w == b"ABSTTL");
        whole.then(|| got[at..].to_vec())
    });
    // Of version 10, as this one has not said what it reads, and at a time that is the same everywhere.
    assert!(stream.windows(2).any(|w| w == b"\x0a\x00"));
}

/// The tool comes to the verdict of a load, and a salvage keeps the version.
#[test]
fn the_tool_comes_to_the_same_verdict() {
    let dir = Scratch::new();
    let run = |args: &[&str]| run_check(Kind::Aedile, "redis-check-rdb", dir.path(), args, b"");
    let good = file(
        b"VALKEY080",
        &[&b"\xf4\x01\x02\0"[..], &hash(NEVER, NEVER), b"\0\x01k\x01v"].concat(),
    );
    dir.write("good.rdb", &good);
    let e = run(&["good.rdb"]);
    assert_eq!(e.status.code(), Some(0), "{}{}", e.stdout, e.stderr);
    let mut records = Vec::new();
    for i in 0..50 {
        records.extend(format!("\0\x06key:{i:02}\x08value:{i:02}").bytes());
    }
    records.extend(hash(LATER, NEVER));
    dir.write("bad.rdb", file(b"VALKEY080", &records));
    let e = run(&["bad.rdb"]);
    assert_eq!(e.status.code(), Some(1));
    assert!(e.stdout.contains("expiry of their own") && e.stdout.contains("Reading key 'h'"));
    let e = run(&["--salvage", "bad.rdb", "new.rdb"]);
    assert_eq!(e.status.code(), Some(1), "{}{}", e.stdout, e.stderr);
    let new = std::fs::read(dir.join("new.rdb")).expect("the file");
    assert!(new.starts_with(b"VALKEY080"));
    assert_eq!(run(&["new.rdb"]).status.code(), Some(0));
}
