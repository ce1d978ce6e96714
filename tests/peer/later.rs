//! Scripted masters that write what came after RDB version 11: it is loaded as far as there is a place for it, and else refused,
//! named, with nothing lost.

use super::masters::*;
use crate::support::*;

/// A file of these records.
fn file(header: &[u8], records: &[u8]) -> Vec<u8> {
    let mut file = [header, b"\xfe\0", records, b"\xff"].concat();
    let sum = rdb::crc64(&file).to_le_bytes();
    file.extend_from_slice(&sum);
    file
}

/// A string key before what is tried, so that a load that stopped there would have begun.
const FIRST: &[u8] = b"\0\x04from\x06master";

/// The replica has what it had, whatever came of the payload, and whoever looks is told why.
fn refused(header: &[u8], record: &[u8], options: &[&str], problem: &[&str]) {
    let payload = file(header, &[FIRST, record].concat());
    for load in ["disabled", "swapdb"] {
        let args = [&["--repl-diskless-load", load], options].concat();
        let (fake, server) = replica(&args);
        give_payload(&fake, &payload);
        let mut c = server.connect();
        wait_until("the reason", || !c.info("master_link_problem").is_empty());
        let said = c.info("master_link_problem");
        for word in problem {
            assert!(said.contains(word), "{load}: {said}, not {word}");
        }
        keeps_old(&server);
        assert!(!server.log_has("Flushing old data"));
        let by_version = said.contains("this server reads");
        assert!(by_version || server.log_has("Internal error in RDB reading offset "));
        good_master_follows(&fake, &server);
    }
}

#[test]
fn what_has_no_place_here_is_refused_before_anything_goes() {
    if stand_in().is_some() {
        return;
    }
    let at = 9_999_999_999_999i64.to_le_bytes();
    // Redis 7.4: one field that expires.
    let hash = [&b"\x18\x01h"[..], &at, b"\x01\x01\x01f\x01v"].concat();
    refused(
        b"REDIS0012",
        &hash,
        &[],
        &["expiry of their own", "(key 'h' in DB 0)"],
    );
    // Valkey 9.0.
    let hash = [&b"\x16\x01h\x01\x01f\x01v"[..], &at].concat();
    refused(
        b"VALKEY080",
        &hash,
        &[],
        &["expiry of their own", "(key 'h' in DB 0)"],
    );
    // Redis 8.6: a module's metadata of a key.
    refused(
        b"REDIS0013",
        b"\xf3\x01abcd\x05\x01x\0\0\x01m\x01v",
        &[],
        &["metadata of a module", "(key 'm' in DB 0)"],
    );
    // Slots that are being imported.
    refused(
        b"VALKEY080",
        b"\xf3\x03job\x01\x05\x06",
        &[],
        &["Slots are being imported"],
    );
    // A type that nobody here knows, in a version that is read only where that is asked for.
    let unknown = b"\x1c\x01a\x01v";
    refused(
        b"REDIS0015",
        unknown,
        &["--rdb-version-check", "relaxed"],
        &["type 28", "(key 'a' in DB 0)"],
    );
    refused(
        b"REDIS0015",
        unknown,
        &[],
        &["RDB version 15, this server reads up to 13"],
    );
    refused(
        b"VALKEY081",
        b"",
        &[],
        &["RDB version 81, this server reads up to 80"],
    );
}

#[test]
fn what_has_a_place_is_loaded() {
    if stand_in().is_some() {
        return;
    }
    // The expiry of a slot's sizes, a hash whose fields have none, and a stream without producers.
    let redis = [
        b"\xf4\x01\x02\x00",
        FIRST,
        b"\x18\x01h\0\0\0\0\0\0\0\0\x01\0\x01f\x01v",
        b"\x1a\x01s\0\0\x01\x01\0\0\0\0\0\0\x40\x64\x40\x64\0\0\0",
    ]
    .concat();
    let none = [0xff; 8];
    let valkey = [FIRST, b"\x16\x01h\x01\x01f\x01v", &none].concat();
    let relaxed = ["--rdb-version-check", "relaxed"];
    for (header, records, options) in [
        (b"REDIS0013", &redis, &[][..]),
        (b"VALKEY080", &valkey, &[]),
        (b"REDIS0079", &redis, &relaxed),
        (b"VALKEY999", &valkey, &relaxed),
    ] {
        for load in ["disabled", "swapdb", "on-empty-db"] {
            let args = [&["--repl-diskless-load", load], options].concat();
            let (fake, server) = replica(&args);
            let mut peer = fake.accept();
            peer.handshake();
            peer.line(&format!("+FULLRESYNC {ID} 100"));
            let payload = file(header, records);
            peer.write(format!("${}\r\n", payload.len()).as_bytes());
            peer.write(&payload);
            server.wait_link_up();
            let mut c = server.connect();
            assert_eq!(c.run("GET from"), "master");
            assert_eq!(c.run("HGET h f"), "v");
            assert_eq!(c.run("EXISTS old"), 0);
            if header.starts_with(b"REDIS") {
                assert_eq!(c.run("XLEN s"), 0);
            }
        }
    }
}

/// A large file of a later version is looked at as a whole before the old data set goes; clients are served meanwhile.
#[test]
fn clients_are_served_while_a_file_is_looked_at() {
    if stand_in().is_some() {
        return;
    }
    let mut records = Vec::new();
    for i in 0..20_000 {
        records.extend(b"\0\x06");
        records.extend(format!("{i:06}").bytes());
        records.extend(b"\x40\x50");
        records.extend([b'x'; 80]);
    }
    records.extend(b"\x1c\x01a");
    let payload = file(b"REDIS0012", &records);
    let (fake, server) = replica(&["--loading-process-events-interval-bytes", "1024"]);
    let mut c = server.connect();
    give_payload(&fake, &payload);
    wait_until("the reason", || {
        assert_eq!(c.run("GET old"), "value");
        c.info("master_link_problem").contains("type 28")
    });
    keeps_old(&server);
    good_master_follows(&fake, &server);
}
