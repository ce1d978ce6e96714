//! Partial resynchronisation: restarts, promotion, siblings, the limits of the backlog.

use super::load::{Load, master, populate};
use crate::support::*;

each_direction!(
    promotion,
    demoted_master_resyncs_partially,
    replica_restart,
    master_restart,
    backlog_too_small,
    backlog_freed,
);

/// master <- r1, r2. r1 is promoted; r2 is pointed to it and goes on by PSYNC.
fn promotion(master_kind: Kind, replica_kind: Kind) {
    // Without pings no sibling can be ahead of the one that is promoted.
    let quiet = ["--repl-ping-replica-period", "3600"];
    let m = master(master_kind, &quiet);
    populate(&m, 1_000);
    let r1 = master(replica_kind, &quiet);
    let r2 = master(master_kind, &quiet);
    let r3 = master(replica_kind, &quiet);
    for r in [&r1, &r2, &r3] {
        r.replicate(m.port);
        r.wait_link_up();
    }
    let load = Load::start(m.port, 8);
    std::thread::sleep(std::time::Duration::from_millis(200));
    load.stop();
    for r in [&r1, &r2, &r3] {
        assert_synced(&m, r);
    }
    let end = m.connect().info("master_repl_offset");
    for r in [&r1, &r2, &r3] {
        let mut c = r.connect();
        wait_until("the end of the stream", || {
            c.info("slave_repl_offset") == end
        });
    }
    assert_eq!(m.connect().info("master_repl_offset"), end);
    let mut c = r1.connect();
    let old_id = c.info("master_replid");
    assert_eq!(old_id, m.connect().info("master_replid"));
    c.ok("REPLICAOF NO ONE");
    let offset = c.info_int("master_repl_offset");
    let new_id = c.info("master_replid");
    assert_eq!(c.info("role"), "master");
    assert_ne!(new_id, old_id);
    assert_eq!(c.info("master_replid2"), old_id);
    assert_eq!(c.info_int("second_repl_offset"), offset + 1);
    c.ok("SET after promotion");
    for r in [&r2, &r3] {
        r.replicate(r1.port);
        assert_synced(&r1, r);
        assert_eq!(r.connect().info("master_replid"), new_id);
    }
    assert_eq!(c.info("sync_full"), "0");
    assert_eq!(c.info("sync_partial_ok"), "2");
    // The old master has not written since: it too can go on.
    m.replicate(r1.port);
    assert_synced(&r1, &m);
    assert_eq!(m.connect().run("GET after"), "promotion");
}

/// A master that becomes the replica of its own former replica.
fn demoted_master_resyncs_partially(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &["--repl-ping-replica-period", "3600"]);
    populate(&m, 1_000);
    let r = master(replica_kind, &["--repl-ping-replica-period", "3600"]);
    r.replicate(m.port);
    assert_synced(&m, &r);
    r.connect().ok("REPLICAOF NO ONE");
    r.connect().ok("SET new master");
    m.replicate(r.port);
    assert_synced(&r, &m);
    let mut c = r.connect();
    assert_eq!(c.info("sync_partial_ok"), "1");
    assert_eq!(c.info("sync_full"), "0");
    // A write that only one side has seen makes the next one full.
    m.connect().ok("REPLICAOF NO ONE");
    m.connect().ok("SET only here");
    r.connect().ok("SET only there");
    m.replicate(r.port);
    let state = assert_synced(&r, &m);
    assert!(state.contains_key(&(0, b"only".to_vec())));
    assert_eq!(r.connect().run("GET only"), "there");
}

/// A replica that saved at its shutdown goes on where it was.
fn replica_restart(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 1_000);
    let port = m.port.to_string();
    let mut r = master(replica_kind, &["--replicaof", "127.0.0.1", &port]);
    r.wait_link_up();
    m.connect().ok("SELECT 4");
    let load = Load::start(m.port, 9);
    std::thread::sleep(std::time::Duration::from_millis(100));
    r.connect().send(&["SHUTDOWN", "SAVE"]);
    assert_eq!(r.wait_exit().code(), Some(0));
    std::thread::sleep(std::time::Duration::from_millis(100));
    r.restart();
    r.wait_link_up();
    load.stop();
    assert_synced(&m, &r);
    let mut c = m.connect();
    assert_eq!(c.info("sync_full"), "1");
    assert_eq!(c.info("sync_partial_ok"), "1");
}

/// A master that saved at its shutdown knows its replicas' history.
fn master_restart(master_kind: Kind, replica_kind: Kind) {
    let mut m = master(master_kind, &[]);
    populate(&m, 1_000);
    let r = master(replica_kind, &[]);
    r.replicate(m.port);
    assert_synced(&m, &r);
    let old_id = m.connect().info("master_replid");
    m.connect().send(&["SHUTDOWN", "SAVE"]);
    assert_eq!(m.wait_exit().code(), Some(0));
    m.restart();
    let mut c = m.connect();
    assert_ne!(c.info("master_replid"), old_id);
    assert_eq!(c.info("master_replid2"), old_id);
    assert_synced(&m, &r);
    assert_eq!(c.info("sync_full"), "0");
    assert_eq!(c.info("sync_partial_ok"), "1");
}

/// More is written during a cut than the backlog holds: a full resynchronisation, correctly counted.
fn backlog_too_small(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &["--repl-backlog-size", "16kb"]);
    populate(&m, 500);
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    assert_synced(&m, &r);
    proxy.refuse(true);
    let mut c = m.connect();
    wait_until("the master to notice", || c.info("connected_slaves") == "0");
    for i in 0..100 {
        c.cmd(&["SET", &format!("big:{i}"), &"z".repeat(2_000)])
            .assert_ok();
    }
    proxy.refuse(false);
    assert_eq!(assert_synced(&m, &r).len(), 600);
    assert_eq!(c.info("sync_full"), "2");
    assert_eq!(c.info("sync_partial_ok"), "0");
    // One for the first PSYNC, by a history of the replica's own; one for the offset that is gone.
    assert_eq!(c.info("sync_partial_err"), "2");
}

/// What one Aedile tells another, a real master of a chain passes over: no error, no word in its log.
#[test]
fn a_real_master_of_a_chain_is_not_disturbed() {
    crate::need_redis!();
    let m = master(
        Kind::Redis,
        &["--loglevel", "debug", "--repl-ping-replica-period", "1"],
    );
    populate(&m, 100);
    let (mid, last) = (master(Kind::Aedile, &[]), master(Kind::Aedile, &[]));
    mid.replicate(m.port);
    mid.wait_link_up();
    last.replicate(mid.port);
    last.wait_link_up();
    // A link that is made when there is a replica behind already, and some seconds of acknowledgements.
    assert_eq!(mid.connect().run("CLIENT KILL TYPE master"), 1);
    let mut c = m.connect();
    for i in 0..30 {
        c.ok(&format!("SET during {i}"));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_synced(&m, &last);
    let (near, far) = (mid.port, m.port);
    let chain = format!("127.0.0.1:{near},127.0.0.1:{far}");
    assert_eq!(last.connect().info("master_chain"), chain);
    assert_eq!(c.info("total_error_replies"), "0");
    assert_eq!(c.info("unexpected_error_replies"), "0");
    for word in ["Unrecognized", "CRITICAL", "rror"] {
        assert!(!m.log_has(word), "{}", m.log());
    }
    assert_eq!(c.run("WAIT 1 5000"), 1);
}

/// A real server in the middle tells nothing of who is above it, and one at the end asks for nothing.
#[test]
fn a_real_server_within_a_chain_is_not_disturbed() {
    crate::need_redis!();
    let top = master(Kind::Aedile, &["--repl-ping-replica-period", "1"]);
    populate(&top, 100);
    let mid = master(Kind::Redis, &["--loglevel", "debug"]);
    let (ours, real) = (master(Kind::Aedile, &[]), master(Kind::Redis, &[]));
    mid.replicate(top.port);
    mid.wait_link_up();
    ours.replicate(mid.port);
    ours.wait_link_up();
    real.replicate(ours.port);
    real.wait_link_up();
    std::thread::sleep(std::time::Duration::from_secs(12));
    assert_synced(&top, &real);
    assert_eq!(ours.connect().info("master_chain"), "");
    for s in [&mid, &real] {
        assert_eq!(s.connect().info("total_error_replies"), "0");
        assert!(!s.log_has("rror"), "{}", s.log());
    }
}

/// Without replicas the backlog goes after its ttl, and the history with it.
fn backlog_freed(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &["--repl-backlog-ttl", "1"]);
    populate(&m, 500);
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    assert_synced(&m, &r);
    let mut c = m.connect();
    let old_id = c.info("master_replid");
    assert_eq!(c.info("repl_backlog_active"), "1");
    proxy.refuse(true);
    wait_until("the backlog's end", || c.info("repl_backlog_active") == "0");
    assert_ne!(c.info("master_replid"), old_id);
    c.ok("SET k v");
    proxy.refuse(false);
    assert_synced(&m, &r);
    assert_eq!(c.info("sync_full"), "2");
}
