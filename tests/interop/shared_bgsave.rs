//! Several replicas that wait share one BGSAVE.

use super::load::{Load, master, populate};
use crate::need_redis;
use crate::support::*;

/// Two Aedile replicas and a real one; the save to disk is held open while they arrive.
fn one_fork(kind: Kind) {
    let m = master(kind, &["--repl-diskless-sync", "no"]);
    populate(&m, 3_000);
    let mut c = m.connect();
    let forks = c.info_int("total_forks");
    // Each key takes this many microseconds, so the child lives for six seconds. The delay is read as the child starts.
    c.config_set("rdb-key-save-delay", "2000");
    let replicas = [
        master(Kind::Redis, &[]),
        master(Kind::Aedile, &[]),
        master(Kind::Aedile, &[]),
    ];
    for r in &replicas {
        r.replicate(m.port);
        // The first one's snapshot is one that it can read, and so can the others.
        wait_until("a snapshot", || c.info("rdb_bgsave_in_progress") == "1");
    }
    let load = Load::start(m.port, 10);
    wait_until("three waiting replicas", || {
        (0..3).all(|i| c.info(&format!("slave{i}")).contains("state=wait_bgsave"))
    });
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    assert_eq!(c.info_int("total_forks"), forks + 1);
    for r in &replicas {
        r.wait_link_up();
    }
    load.stop();
    for r in &replicas {
        assert_synced(&m, r);
    }
    assert_eq!(c.info_int("total_forks"), forks + 1);
    assert_eq!(c.info("sync_full"), "3");
    assert_eq!(c.info("connected_slaves"), "3");
}

#[test]
fn aedile_master() {
    need_redis!();
    one_fork(Kind::Aedile);
}

#[test]
fn redis_master() {
    need_redis!();
    one_fork(Kind::Redis);
}

/// Diskless: those who come within the delay share one child.
fn one_fork_diskless(kind: Kind) {
    let m = master(
        kind,
        &[
            "--repl-diskless-sync",
            "yes",
            "--repl-diskless-sync-delay",
            "30",
            "--repl-diskless-sync-max-replicas",
            "3",
        ],
    );
    populate(&m, 3_000);
    let mut c = m.connect();
    let forks = c.info_int("total_forks");
    let replicas = [
        master(Kind::Aedile, &[]),
        master(Kind::Redis, &[]),
        master(Kind::Aedile, &["--repl-diskless-load", "swapdb"]),
    ];
    for r in &replicas {
        r.replicate(m.port);
    }
    for r in &replicas {
        r.wait_link_up();
        assert_synced(&m, r);
    }
    assert_eq!(c.info_int("total_forks"), forks + 1);
    assert_eq!(c.info("sync_full"), "3");
}

#[test]
fn aedile_master_diskless() {
    need_redis!();
    one_fork_diskless(Kind::Aedile);
}

#[test]
fn redis_master_diskless() {
    need_redis!();
    one_fork_diskless(Kind::Redis);
}

/// One of three leaves while they wait: the other two are served.
#[test]
fn a_waiting_replica_leaves() {
    need_redis!();
    let m = master(Kind::Aedile, &["--repl-diskless-sync", "no"]);
    populate(&m, 500);
    m.connect().config_set("rdb-key-save-delay", "5000");
    let mut leaver = master(Kind::Redis, &[]);
    let stays = [master(Kind::Aedile, &[]), master(Kind::Redis, &[])];
    leaver.replicate(m.port);
    for r in &stays {
        r.replicate(m.port);
    }
    let mut c = m.connect();
    wait_until("three waiting replicas", || {
        c.info("connected_slaves") == "3"
    });
    leaver.kill9();
    for r in &stays {
        r.wait_link_up();
        assert_synced(&m, r);
    }
    assert_eq!(c.info("connected_slaves"), "2");
}
