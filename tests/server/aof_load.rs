//! The append-only file as it is found at the start: cut, with NULs behind the cut, with commands that no server writes, or
//! no such file at all; the server and `redis-check-aof` judge alike.

use std::fs;

use crate::support::conn::encode;
use crate::support::server::{Ended, Scratch};
use crate::support::tools::run_check;
use crate::support::*;

const INCR: &str = "appendonlydir/appendonly.aof.1.incr.aof";

/// A server that was ended, and what its increment held: two keys.
fn ended() -> (Server, Vec<u8>) {
    // With `everysec` a write may wait while the one before is synced, and a kill would lose it.
    let mut server = Server::aedile(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut c = server.connect();
    c.ok("SET first 1");
    c.ok("SET second 2");
    server.kill9();
    let text = fs::read(server.scratch.join(INCR)).expect("an increment");
    (server, text)
}

fn check_aof(server: &Server, args: &[&str]) -> Ended {
    let manifest = "appendonlydir/appendonly.aof.manifest";
    let args = [args, &[manifest]].concat();
    run_check(
        Kind::Aedile,
        "redis-check-aof",
        server.scratch.path(),
        &args,
        b"y",
    )
}

/// What a file system leaves of a block that never came to the disk: the file has its length, and NULs in it.
#[test]
fn nuls_behind_a_cut_are_cut_off() {
    let (mut server, text) = ended();
    let third = encode(&["SET", "third", "some value"]);
    for kept in [
        0,
        1,
        3,
        7,
        20,
        third.len() - 5,
        third.len() - 1,
        third.len(),
    ] {
        for nuls in [1, 4096, 700_000] {
            let file = [&text[..], &third[..kept], &vec![0; nuls]].concat();
            let whole = text.len() + if kept == third.len() { kept } else { 0 };
            fs::write(server.scratch.join(INCR), &file).expect("written");
            let e = check_aof(&server, &[]);
            assert_eq!(e.status.code(), Some(1));
            let said = format!("The last {nuls} bytes of AOF appendonly.aof.1.incr.aof are NULs");
            assert!(e.stdout.contains(&said), "{kept} {nuls}: {}", e.stdout);
            let analyzed = format!("ok_up_to={whole}, ");
            assert!(e.stdout.contains(&analyzed), "{kept} {nuls}: {}", e.stdout);
            server.restart();
            let cut =
                format!("!!! Truncating the AOF appendonly.aof.1.incr.aof at offset {whole} !!!");
            assert!(server.log_has(&cut), "{kept} {nuls}: {}", server.log());
            let told =
                format!("The last {nuls} bytes of the AOF file appendonly.aof.1.incr.aof are NULs");
            assert!(server.log_has(&told), "{kept} {nuls}: {}", server.log());
            let mut c = server.connect();
            assert_eq!(c.run("MGET first second").items().len(), 2);
            assert_eq!(c.run("DBSIZE"), if kept == third.len() { 3 } else { 2 });
            server.kill9();
            assert_eq!(
                fs::read(server.scratch.join(INCR)).expect("read"),
                file[..whole]
            );
            // The tool does the same when it is asked to.
            fs::write(server.scratch.join(INCR), &file).expect("written");
            let e = check_aof(&server, &["--fix"]);
            assert_eq!(e.status.code(), Some(0), "{}", e.stdout);
            assert_eq!(
                fs::read(server.scratch.join(INCR)).expect("read"),
                file[..whole]
            );
        }
    }
    // A value may end in NULs.
    let nuls = [&text[..], &encode(&[&b"SET"[..], b"third", &[0; 50]])].concat();
    fs::write(server.scratch.join(INCR), &nuls).expect("written");
    server.restart();
    assert_eq!(server.connect().run("STRLEN third"), 50);
    server.kill9();
    // And NULs with something behind them are damage, which nobody cuts.
    let damaged = [&text[..], &third[..20], &[0; 100], &third].concat();
    fs::write(server.scratch.join(INCR), &damaged).expect("written");
    let (status, log) = server.restart_fails();
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains("Bad file format reading the append only file"),
        "{log}"
    );
    assert_eq!(fs::read(server.scratch.join(INCR)).expect("read"), damaged);
}

#[test]
fn nuls_are_not_cut_off_where_that_is_not_wanted() {
    let mut server = Server::aedile(&["--appendonly", "yes", "--aof-load-truncated", "no"]);
    server.connect().ok("SET first 1");
    server.kill9();
    let path = server.scratch.join(INCR);
    let file = [fs::read(&path).expect("read"), vec![0; 100]].concat();
    fs::write(&path, &file).expect("written");
    let (status, log) = server.restart_fails();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("The last 100 bytes of the AOF file"), "{log}");
    assert!(
        log.contains("Unexpected end of file reading the append only file"),
        "{log}"
    );
    assert_eq!(fs::read(&path).expect("read"), file);
}

/// A file holds what changes the data set. What acts on the server is named, with its place, and not run.
#[test]
fn commands_that_no_server_writes_are_refused() {
    let (mut server, text) = ended();
    for (lines, at) in [
        (&["SHUTDOWN NOSAVE"][..], 0),
        (&["DEBUG SEGFAULT"], 0),
        (&["DEBUG SLEEP 0"], 0),
        (&["CONFIG SET maxmemory 1"], 0),
        (&["REPLICAOF 127.0.0.1 1"], 0),
        (&["SLAVEOF NO ONE"], 0),
        (&["MONITOR"], 0),
        (&["SYNC"], 0),
        (&["PSYNC ? -1"], 0),
        (&["BGREWRITEAOF"], 0),
        (&["BGSAVE"], 0),
        (&["SAVE"], 0),
        (&["FAILOVER"], 0),
        (&["CLIENT KILL TYPE normal"], 0),
        (&["CLIENT PAUSE 100000"], 0),
        (&["QUIT"], 0),
        (&["RESET"], 0),
        (&["HELLO 3"], 0),
        (&["SUBSCRIBE c"], 0),
        (&["MIGRATE 127.0.0.1 1 first 0 100"], 0),
        (&["MULTI", "MULTI", "EXEC"], 1),
        (&["MULTI", "SET third 1", "SHUTDOWN NOSAVE", "EXEC"], 2),
    ] {
        let parts: Vec<Vec<u8>> = lines
            .iter()
            .map(|l| encode(&l.split(' ').collect::<Vec<_>>()))
            .collect();
        let file = [&text[..], &parts.concat(), &encode(&["SET", "last", "1"])].concat();
        fs::write(server.scratch.join(INCR), &file).expect("written");
        let offset = text.len() + parts[..at].iter().map(Vec::len).sum::<usize>();
        let (status, log) = server.restart_fails();
        assert_eq!(status.code(), Some(1), "{lines:?}: {log}");
        let name = lines[at].split(' ').next().expect("a word");
        let named = format!("has the command '{name}");
        assert!(log.contains(&named), "{lines:?}: {log}");
        assert!(
            log.contains(&format!("' at offset {offset}, which is not run: ")),
            "{lines:?}: {log}"
        );
        assert_eq!(fs::read(server.scratch.join(INCR)).expect("read"), file);
    }
    // What does no harm is run, and what would wait does not.
    let lines = [
        "PING",
        "GET first",
        "SELECT 0",
        "BLPOP nothing 0",
        "BRPOPLPUSH nothing other 0",
        "WAIT 1 0",
        "XREAD BLOCK 0 STREAMS nothing $",
        "PUBLISH c m",
        "MULTI",
        "SET third 3",
        "DISCARD",
        "EXEC",
        "SET last 1",
    ];
    let more: Vec<u8> = lines
        .iter()
        .flat_map(|l| encode(&l.split(' ').collect::<Vec<_>>()))
        .collect();
    fs::write(server.scratch.join(INCR), [&text[..], &more].concat()).expect("written");
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("DBSIZE"), 3);
    assert_eq!(c.run("GET last"), "1");
}

/// `redis-check-aof --fix` shortens files that begin as such files do, and leaves all others alone.
#[test]
fn nothing_is_cut_from_a_file_of_another_kind() {
    let dir = Scratch::new();
    let fix = |bytes: &[u8]| {
        let path = dir.write("file.aof", bytes);
        let e = run_check(
            Kind::Aedile,
            "redis-check-aof",
            dir.path(),
            &["--fix", "file.aof"],
            b"y",
        );
        (e, fs::read(path).expect("read"))
    };
    for other in [
        &b"hello"[..],
        b"*hello",
        b"* a list\n* of things\n",
        b"#!/bin/sh\necho hello\n",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
        b"\0\0\0\0 an image of a disk",
        b"PK\x03\x04",
        b"SET a 1\r\n",
        b"*1\n+PING\n",
        b"REDIS but no snapshot",
        b"REDIS0011",
    ] {
        let (e, left) = fix(other);
        assert_eq!(left, other, "{}", e.stdout);
        assert_eq!(e.status.code(), Some(1), "{}", e.stdout);
        assert!(!e.stdout.contains("Successfully truncated"), "{}", e.stdout);
    }
    // A file that was cut within its first command, also one that a power loss has filled with NULs.
    let command = encode(&["SET", "a", "some value"]);
    for kept in 1..command.len() {
        for nuls in [0, 100] {
            let (e, left) = fix(&[&command[..kept], &vec![0; nuls]].concat());
            assert_eq!(e.status.code(), Some(0), "{}", e.stdout);
            assert_eq!(left, b"", "{}", e.stdout);
        }
    }
    let (e, left) = fix(&[0; 5000]);
    assert_eq!(
        (e.status.code(), left),
        (Some(0), Vec::new()),
        "{}",
        e.stdout
    );
    // Behind a whole command all is known.
    let (e, left) = fix(&[&command[..], b"hello"].concat());
    assert_eq!(
        (e.status.code(), left),
        (Some(0), command.clone()),
        "{}",
        e.stdout
    );
    // An annotation may be what was cut.
    let (e, left) = fix(&[&command[..], b"#TS:17", &[0; 3000]].concat());
    assert_eq!((e.status.code(), left), (Some(0), command), "{}", e.stdout);
}
