//! Links cut and processes killed, in each phase of a synchronisation.

use std::time::Duration;

use super::load::{Load, master, populate};
use crate::support::proxy::Dir;
use crate::support::*;

each_direction!(
    cut_in_handshake,
    cut_in_bulk,
    cut_in_stream,
    refused_then_there,
    master_killed_in_bulk,
    master_killed_in_stream,
    replica_killed_in_bulk,
    replica_killed_in_stream,
    silent_master,
);

fn cut_in_handshake(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 500);
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &[]);
    // Bytes of the master's answers: +PONG, +OK (several), +FULLRESYNC. And of the replica's commands.
    let cuts = [
        (Dir::Down, 0),
        (Dir::Down, 3),
        (Dir::Down, 7),
        (Dir::Down, 14),
        (Dir::Down, 30),
        (Dir::Down, 60),
        (Dir::Up, 5),
        (Dir::Up, 40),
        (Dir::Up, 120),
    ];
    proxy.cut_after(cuts[0].0, cuts[0].1);
    r.replicate(proxy.port);
    for (dir, n) in cuts {
        proxy.cut_after(dir, n);
        wait_until("a cut", || proxy.has_cut());
        assert_eq!(r.connect().info("role"), "slave", "{dir:?} {n}");
    }
    assert_synced(&m, &r);
}

fn cut_in_bulk(master_kind: Kind, replica_kind: Kind) {
    for (diskless, load_way) in [("no", "disabled"), ("yes", "disabled"), ("yes", "swapdb")] {
        let m = master(master_kind, &["--repl-diskless-sync", diskless]);
        populate(&m, 20_000);
        let proxy = Proxy::start(m.port);
        let r = master(replica_kind, &["--repl-diskless-load", load_way]);
        r.connect().ok("SET old value");
        let load = Load::start(m.port, 4);
        for n in [150, 1_000, 300_000] {
            // Else the next attempt, which gets through, might be faster than the question below.
            proxy.cut_after_and_refuse(Dir::Down, n);
            proxy.refuse(false);
            r.replicate(proxy.port);
            wait_until("a cut", || proxy.has_cut());
            // What was there before a transfer that failed is still there. Until it has seen the cut it may be loading.
            let mut old = Value::Null;
            wait_until("the cut to be seen", || {
                old = r.connect().run("GET old");
                !(old.is_error() && old.text().starts_with("LOADING"))
            });
            assert_eq!(
                old, "value",
                "diskless {diskless}, load {load_way}, cut at {n}"
            );
        }
        proxy.refuse(false);
        r.wait_link_up();
        load.stop();
        assert!(assert_synced(&m, &r).len() > 10_000);
    }
}

fn cut_in_stream(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 1_000);
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    r.wait_link_up();
    let load = Load::start(m.port, 5);
    for round in 1..=4 {
        // An odd number of bytes: in the middle of a command.
        proxy.cut_after(Dir::Down, 1_237 * round);
        wait_until("a cut", || proxy.has_cut());
        let mut c = m.connect();
        wait_until("a partial resynchronisation", || {
            c.info_int("sync_partial_ok") >= round as i64
        });
    }
    r.wait_link_up();
    load.stop();
    assert_synced(&m, &r);
    let mut c = m.connect();
    assert_eq!(c.info("sync_full"), "1");
    assert_eq!(c.info("sync_partial_ok"), "4");
    // The first PSYNC, by a history of the replica's own, was not granted; nothing else was refused.
    assert_eq!(c.info("sync_partial_err"), "1");
}

fn refused_then_there(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 100);
    let proxy = Proxy::start(m.port);
    proxy.refuse(true);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    wait_until("two attempts", || proxy.accepted() >= 2);
    assert_eq!(r.connect().info("master_link_status"), "down");
    proxy.refuse(false);
    assert_synced(&m, &r);
}

fn master_killed_in_bulk(master_kind: Kind, replica_kind: Kind) {
    let mut m = master(master_kind, &[]);
    populate(&m, 20_000);
    m.connect().ok("SAVE");
    let proxy = Proxy::start(m.port);
    proxy.throttle(200_000);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    wait_until("part of the transfer", || proxy.passed(Dir::Down) > 50_000);
    assert_eq!(r.connect().info("master_sync_in_progress"), "1");
    m.kill9();
    proxy.throttle(0);
    m.restart();
    assert_eq!(assert_synced(&m, &r).len(), 20_000);
}

fn master_killed_in_stream(master_kind: Kind, replica_kind: Kind) {
    let mut m = master(master_kind, &[]);
    populate(&m, 2_000);
    let r = master(replica_kind, &[]);
    r.replicate(m.port);
    r.wait_link_up();
    let mut d = m.connect();
    wait_until("the child's end", || {
        d.info("rdb_bgsave_in_progress") == "0"
    });
    d.ok("SAVE");
    let load = Load::start(m.port, 6);
    std::thread::sleep(Duration::from_millis(200));
    m.kill9();
    drop(load);
    let mut c = r.connect();
    wait_until("the link's end", || c.info("master_link_status") == "down");
    m.restart();
    let state = assert_synced(&m, &r);
    assert_eq!(state.len(), 2_000);
    assert_eq!(m.connect().info("master_replid"), c.info("master_replid"));
}

fn replica_killed_in_bulk(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 20_000);
    let proxy = Proxy::start(m.port);
    let port = proxy.port.to_string();
    let mut r = master(replica_kind, &["--replicaof", "127.0.0.1", &port]);
    proxy.throttle(200_000);
    r.connect().ok("REPLICAOF NO ONE");
    r.replicate(proxy.port);
    let before = proxy.passed(Dir::Down);
    wait_until("part of the transfer", || {
        proxy.passed(Dir::Down) > before + 50_000
    });
    r.kill9();
    proxy.throttle(0);
    r.restart();
    assert_eq!(assert_synced(&m, &r).len(), 20_000);
}

fn replica_killed_in_stream(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 2_000);
    let port = m.port.to_string();
    let mut r = master(replica_kind, &["--replicaof", "127.0.0.1", &port]);
    r.wait_link_up();
    let load = Load::start(m.port, 7);
    std::thread::sleep(Duration::from_millis(200));
    r.kill9();
    let mut c = m.connect();
    wait_until("the master to notice", || c.info("connected_slaves") == "0");
    r.restart();
    r.wait_link_up();
    load.stop();
    assert_synced(&m, &r);
}

/// A link that stays open but carries nothing: repl-timeout ends it, on the replica's side and on the master's.
fn silent_master(master_kind: Kind, replica_kind: Kind) {
    let args = ["--repl-timeout", "2", "--repl-ping-replica-period", "1"];
    let m = master(master_kind, &args);
    populate(&m, 100);
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &args);
    r.replicate(proxy.port);
    r.wait_link_up();
    let links = proxy.accepted();
    proxy.blackhole(true);
    let mut c = r.connect();
    wait_until("the replica's time-out", || {
        c.info("master_link_status") == "down"
    });
    let mut d = m.connect();
    wait_until("the master's time-out", || {
        d.info("connected_slaves") == "0"
    });
    m.connect().ok("SET during silence");
    proxy.blackhole(false);
    proxy.cut();
    assert_synced(&m, &r);
    assert!(proxy.accepted() > links);
}
