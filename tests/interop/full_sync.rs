//! Full synchronisations, by every way of saving and loading, under load.

use super::load::{Load, master, populate};
use crate::support::*;

each_direction!(
    big_under_load,
    disk_to_disk,
    diskless_to_disk,
    disk_to_memory,
    diskless_to_memory,
    empty_master,
    several_databases,
    replica_is_read_only,
    chain,
);

/// 200,000 keys while a load writes.
fn big_under_load(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 200_000);
    let r = master(replica_kind, &[]);
    let load = Load::start(m.port, 1);
    r.replicate(m.port);
    r.wait_link_up();
    std::thread::sleep(std::time::Duration::from_millis(300));
    load.stop();
    let state = assert_synced(&m, &r);
    assert!(state.len() > 190_000, "{} keys", state.len());
    assert!(state.values().any(|e| e.expire_at_ms > 0));
    let mut c = m.connect();
    assert_eq!(c.info("sync_full"), "1");
    assert_eq!(c.info("connected_slaves"), "1");
    let line = c.info("slave0");
    assert!(
        line.starts_with(&format!(
            "ip=127.0.0.1,port={},state=online,offset=",
            r.port
        )),
        "{line}"
    );
    assert_eq!(c.info("master_replid"), r.connect().info("master_replid"));
}

fn by_way(master_kind: Kind, replica_kind: Kind, diskless: &str, load_way: &str) {
    let m = master(master_kind, &["--repl-diskless-sync", diskless]);
    populate(&m, 5_000);
    let r = master(replica_kind, &["--repl-diskless-load", load_way]);
    r.connect().ok("SET old value");
    let load = Load::start(m.port, 2);
    r.replicate(m.port);
    r.wait_link_up();
    load.stop();
    let state = assert_synced(&m, &r);
    assert!(state.len() > 4_000);
    assert_eq!(r.connect().run("EXISTS old"), 0);
    assert_eq!(m.connect().info("sync_full"), "1");
}

fn disk_to_disk(m: Kind, r: Kind) {
    by_way(m, r, "no", "disabled");
}

fn diskless_to_disk(m: Kind, r: Kind) {
    by_way(m, r, "yes", "disabled");
}

fn disk_to_memory(m: Kind, r: Kind) {
    by_way(m, r, "no", "swapdb");
}

fn diskless_to_memory(m: Kind, r: Kind) {
    by_way(m, r, "yes", "swapdb");
}

fn empty_master(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    let r = master(replica_kind, &[]);
    r.connect().ok("SET old value");
    r.replicate(m.port);
    let state = assert_synced(&m, &r);
    assert!(state.is_empty());
    m.connect().ok("SET first key");
    assert_eq!(assert_synced(&m, &r).len(), 1);
}

fn several_databases(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    let r = master(replica_kind, &[]);
    let mut c = m.connect();
    for db in [0, 9, 15] {
        c.ok(&format!("SELECT {db}"));
        c.ok(&format!("SET before {db}"));
    }
    r.replicate(m.port);
    r.wait_link_up();
    for db in [15, 3, 0, 9] {
        c.ok(&format!("SELECT {db}"));
        c.ok(&format!("SET after {db}"));
    }
    c.ok("SWAPDB 3 9");
    c.run("MOVE after 4");
    let state = assert_synced(&m, &r);
    assert_eq!(state.len(), 7);
    c.ok("FLUSHDB");
    c.ok("SET x y");
    assert_synced(&m, &r);
    c.ok("FLUSHALL");
    assert!(assert_synced(&m, &r).is_empty());
}

fn replica_is_read_only(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    let r = master(replica_kind, &[]);
    r.replicate(m.port);
    r.wait_link_up();
    let mut c = r.connect();
    c.run("SET k v")
        .assert_error("READONLY You can't write against a read only replica.");
    // An expired key is not there for readers, though only the master deletes it.
    m.connect().ok("SET k v PX 40");
    wait_until("expiry on the replica", || c.run("GET k").is_null());
    let role = c.run("ROLE");
    assert_eq!(role.items()[0], "slave");
    assert_eq!(role.items()[2], i64::from(m.port));
    assert_eq!(role.items()[3], "connected");
    let mut c = m.connect();
    wait_until("the replica in ROLE", || {
        !c.run("ROLE").items()[2].items().is_empty()
    });
    let role = c.run("ROLE");
    assert_eq!(role.items()[0], "master");
    assert_eq!(
        role.items()[2].items()[0].items()[1],
        r.port.to_string().as_str()
    );
}

/// master <- middle <- end, of alternating kinds.
fn chain(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    populate(&m, 3_000);
    let r1 = master(replica_kind, &[]);
    let proxy = Proxy::start(m.port);
    r1.replicate(proxy.port);
    r1.wait_link_up();
    let r2 = master(master_kind, &[]);
    r2.replicate(r1.port);
    let load = Load::start(m.port, 3);
    r2.wait_link_up();
    proxy.cut();
    r1.wait_link_up();
    load.stop();
    let a = assert_synced(&m, &r1);
    let b = assert_synced(&r1, &r2);
    assert_equal_state(&a, &b);
    let ids: Vec<String> = [&m, &r1, &r2]
        .iter()
        .map(|s| s.connect().info("master_replid"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2]);
    // The end of the chain was not synchronised anew when the middle's link broke.
    assert_eq!(r1.connect().info("sync_full"), "1");
    // The middle gets another master, with other data: the end follows.
    let other = master(master_kind, &[]);
    other.connect().ok("SET only this");
    r1.replicate(other.port);
    assert_eq!(assert_synced(&other, &r1).len(), 1);
    assert_eq!(assert_synced(&r1, &r2).len(), 1);
}
