//! Redis 2.8, 3.2, 5.0 and 6.2, as far as the environment names them (`Kind::OLD`): what the guide to migrate says of them, by replica
//! and by files, there and back.

use std::path::Path;

use crate::support::server::Scratch;
use crate::support::*;

/// What is read of a stream's group.
const GROUP: &str = "XPENDING events g";

/// A field of INFO. Not all sections of today were always there to be asked for.
fn info(c: &mut Conn, field: &str) -> String {
    let text = c.run("INFO all").text();
    let found = text
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_string()
}

/// Those that are there, with the RDB version that they read.
fn old() -> impl Iterator<Item = (Kind, u32)> {
    let all = [
        (Kind::Redis28, 6),
        (Kind::Redis3, 7),
        (Kind::Redis5, 9),
        (Kind::Redis62, 9),
    ];
    all.into_iter()
        .filter(|(kind, _)| stand_in().is_none() && kind.is_here())
}

/// Writes that a server of this age knows, and what is read of them.
fn populate(c: &mut Conn, version: u32) -> Vec<&'static str> {
    for i in 0..600 {
        c.ok(&format!("SET string:{i} value:{i}"));
        c.run(&format!("RPUSH elements element:{i}"));
        c.run(&format!("SADD members member:{i}"));
        c.run(&format!("SADD intset {i}"));
        c.run(&format!("HSET fields field:{i} {i}"));
        c.run(&format!("ZADD scores {i}.5 member:{i}"));
    }
    let mut lines = vec![
        "RPUSH smalllist a 1 -70000",
        "SADD smallset a 1",
        "SADD smallints 1 2 70000",
        "HSET smallhash a 1",
        "ZADD smallzset 1 a 2.5 b",
        "SET expiring v",
        "PEXPIREAT expiring 4000000000123",
        "PFADD hll a b c",
        "SETBIT bits 100000 1",
        "SELECT 3",
        "SET three v",
        "SELECT 0",
    ];
    let mut reads = vec![
        "GET string:17",
        "LRANGE elements 0 -1",
        "SMEMBERS members",
        "SMEMBERS intset",
        "HGET fields field:99",
        "HLEN fields",
        "ZRANGE scores 0 -1 WITHSCORES",
        "LRANGE smalllist 0 -1",
        "SMEMBERS smallset",
        "SMEMBERS smallints",
        "HGETALL smallhash",
        "ZRANGE smallzset 0 -1 WITHSCORES",
        "GET expiring",
        "PFCOUNT hll",
        "BITCOUNT bits",
        "DBSIZE",
        "SELECT 3",
        "GET three",
        "SELECT 0",
    ];
    if version >= 9 {
        lines.extend([
            "XADD events 1-1 f v",
            "XADD events 2-1 f w",
            "XGROUP CREATE events g 0",
            "XREADGROUP GROUP g who COUNT 1 STREAMS events >",
        ]);
        reads.extend(["XRANGE events - +", GROUP]);
    }
    for line in lines {
        assert!(!c.run(line).is_error(), "{line}");
    }
    reads
}

#[track_caller]
fn same(kind: Kind, a: &mut Conn, b: &mut Conn, reads: &[&str]) {
    for line in reads {
        let (mut one, mut other) = (a.run(line), b.run(line));
        if line.starts_with("SMEMBERS") {
            for reply in [&mut one, &mut other] {
                let mut members: Vec<String> = reply.items().iter().map(Value::text).collect();
                members.sort();
                *reply = Value::Bulk(members.join(" ").into());
            }
        }
        assert!(!one.is_error(), "{kind:?}: {line}: {one:?}");
        assert_eq!(one, other, "{kind:?}: {line}");
    }
    let (one, other) = (a.run("PTTL expiring"), b.run("PTTL expiring"));
    assert!(
        (one.int() - other.int()).abs() < 60_000,
        "{one:?} {other:?}"
    );
}

#[track_caller]
fn follow(replica: &Server, master: &Server) {
    let mut c = replica.connect();
    c.cmd(&["SLAVEOF", "127.0.0.1", &master.port.to_string()])
        .assert_ok();
    wait_until("the link", || info(&mut c, "master_link_status") == "up");
}

/// The stream goes on, and goes on after its link has broken.
#[track_caller]
fn streams(kind: Kind, m: &mut Conn, r: &mut Conn) {
    m.ok("SET streamed 1");
    wait_until("the stream", || r.run("GET streamed") == "1");
    m.ok("SELECT 3");
    m.ok("SETEX short 1000 v");
    m.ok("SELECT 0");
    let full = info(m, "sync_full");
    // By their addresses: 2.8 knows no other way.
    for id in ids_of_replicas(m) {
        m.run(&format!("CLIENT KILL {id}"));
    }
    m.ok("SET after 1");
    wait_until("the stream after the break", || r.run("GET after") == "1");
    assert_eq!(
        info(m, "sync_full"),
        full,
        "{kind:?}: the sync was a full one"
    );
}

/// Addresses of the links to replicas, by CLIENT LIST.
fn ids_of_replicas(c: &mut Conn) -> Vec<String> {
    let all = c.run("CLIENT LIST").text();
    let replicas = all.lines().filter(|l| l.contains(" flags=S "));
    replicas
        .filter_map(|l| l.split(' ').find_map(|w| w.strip_prefix("addr=")))
        .map(Into::into)
        .collect()
}

/// A full sync, the stream, and a link that breaks: the replica has what the master has.
#[track_caller]
fn follows(
    kind: Kind,
    (m, mc): (&Server, &mut Conn),
    (r, rc): (&Server, &mut Conn),
    reads: &[&str],
) {
    follow(r, m);
    same(kind, mc, rc, reads);
    streams(kind, mc, rc);
    same(kind, mc, rc, reads);
}

/// The end of a rewrite of the append-only file.
#[track_caller]
fn rewritten(c: &mut Conn) {
    wait_until("the file", || {
        info(c, "aof_rewrite_in_progress") == "0" && info(c, "aof_rewrite_scheduled") == "0"
    });
}

/// A folder with a copy of a file.
fn copied(file: &Path, name: &str) -> Scratch {
    let scratch = Scratch::new();
    std::fs::copy(file, scratch.join(name)).expect("the file");
    scratch
}

#[test]
fn an_old_master_is_followed_and_left() {
    for (kind, version) in old() {
        let (m, r) = (Server::start(kind, &[]), Server::aedile(&[]));
        let (mut mc, mut rc) = (m.connect(), r.connect());
        let reads = populate(&mut mc, version);
        follows(kind, (&m, &mut mc), (&r, &mut rc), &reads);
        assert_eq!(info(&mut rc, "master_link_problem"), "");
        assert_eq!(info(&mut rc, "master_chain"), "");
        if kind == Kind::Redis62 {
            mc.ok(&format!("FAILOVER TO 127.0.0.1 {}", r.port));
            wait_until("the hand-over", || info(&mut rc, "role") == "master");
        } else {
            rc.ok("REPLICAOF NO ONE");
        }
        rc.ok("SET string:17 here");
    }
}

#[test]
fn an_old_replica_follows() {
    for (kind, version) in old().filter(|(_, version)| *version >= 9) {
        let m = Server::aedile(&["--rdb-save-version", &version.to_string()]);
        let r = Server::start(kind, &[]);
        let (mut mc, mut rc) = (m.connect(), r.connect());
        let reads = populate(&mut mc, version);
        follows(kind, (&m, &mut mc), (&r, &mut rc), &reads);
    }
}

#[test]
fn old_files_are_taken() {
    for (kind, version) in old() {
        let a = Server::start(kind, &["--appendonly", "yes"]);
        let mut ac = a.connect();
        let reads = populate(&mut ac, version);
        ac.ok("SAVE");
        let scratch = copied(&a.rdb_path(), "dump.rdb");
        let b = Server::start_in(Kind::Aedile, scratch, &[]);
        same(kind, &mut ac, &mut b.connect(), &reads);
        // The file of commands, and, written anew, of what they come to, with one behind it.
        for again in [false, true] {
            if again {
                ac.run("BGREWRITEAOF");
                rewritten(&mut ac);
                ac.ok("SET string:17 behind");
            }
            wait_until("the disk", || {
                info(&mut ac, "aof_pending_bio_fsync") == "0"
                    && info(&mut ac, "aof_buffer_length") == "0"
            });
            let scratch = copied(&a.scratch.join("appendonly.aof"), "appendonly.aof");
            let b = Server::start_in(Kind::Aedile, scratch, &["--appendonly", "yes"]);
            same(kind, &mut ac, &mut b.connect(), &reads);
        }
    }
}

#[test]
fn files_go_back() {
    for (kind, version) in old() {
        let a = Server::aedile(&["--rdb-save-version", "9", "--aof-use-rdb-preamble", "no"]);
        let mut ac = a.connect();
        let reads = populate(&mut ac, version);
        if version >= 9 {
            ac.ok("SAVE");
            let scratch = copied(&a.rdb_path(), "dump.rdb");
            let b = Server::start_in(kind, scratch, &[]);
            same(kind, &mut ac, &mut b.connect(), &reads);
        }
        // As commands: by `--pipe` in the guide, here as the other's own file.
        ac.ok("CONFIG SET appendonly yes");
        rewritten(&mut ac);
        let base = a.scratch.join("appendonlydir/appendonly.aof.1.base.aof");
        let scratch = copied(&base, "appendonly.aof");
        let b = Server::start_in(kind, scratch, &["--appendonly", "yes"]);
        // Before 7.0 nobody knows how a group's count of entries is said as a command.
        let reads: Vec<&str> = reads.into_iter().filter(|r| *r != GROUP).collect();
        same(kind, &mut ac, &mut b.connect(), &reads);
    }
}
