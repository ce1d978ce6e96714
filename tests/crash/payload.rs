//! A full sync that is interrupted on the replica's side: by its disk, by another snapshot, by the end of the process.

use std::fs;

use super::disk::limit_files;
use crate::support::proxy::{Dir, Proxy};
use crate::support::{Conn, Server, assert_synced, wait_until};

/// A master with 1,000 keys of ten thousand bytes that syncs over disk, slowly, and says nothing by itself.
fn master() -> Server {
    let m = Server::aedile(&[
        "--rdbcompression",
        "no",
        "--repl-diskless-sync",
        "no",
        "--repl-full-sync-rate",
        "20mb",
        "--repl-ping-replica-period",
        "3600",
        "--enable-debug-command",
        "yes",
    ]);
    let mut c = m.connect();
    c.ok("DEBUG POPULATE 1000 key 10000");
    m
}

/// Makes a replica by way of a proxy; returns when it has got a part of the snapshot.
fn half_synced(m: &Server, r: &Server) -> Proxy {
    let proxy = Proxy::start(m.port);
    r.replicate(proxy.port);
    wait_until("a part", || proxy.passed(Dir::Down) > 3_000_000);
    proxy
}

fn temp_files(r: &Server) -> Vec<String> {
    let left = fs::read_dir(r.scratch.path()).expect("its folder");
    left.flatten()
        .filter_map(|f| f.file_name().into_string().ok())
        .filter(|name| name.starts_with("temp-"))
        .collect()
}

/// The data set is the master's, and a restart from the disk finds it.
#[track_caller]
fn is_whole(m: &Server, r: &mut Server) {
    assert_synced(m, r);
    assert_eq!(temp_files(r), [""; 0]);
    for bad in ["checksum", "Short read", "Unexpected EOF"] {
        assert!(!r.log_has(bad), "{bad}:\n{}", r.log());
    }
    r.kill9();
    r.restart_with(&[]);
    assert_eq!(
        r.connect().run("DBSIZE").int(),
        m.connect().run("DBSIZE").int()
    );
}

/// The disk takes a part of a chunk and no more, for a moment: what came behind the part must not be taken for what belongs
/// there.
#[test]
fn a_disk_that_is_full_for_a_moment() {
    let m = master();
    for round in 0..3 {
        let mut r = Server::aedile(&[]);
        let mut c = r.connect();
        c.ok("SET old value");
        c.ok("SAVE");
        limit_files(&r, Some(1_234_567 + 98_765 * round));
        r.replicate(m.port);
        r.wait_log("Write error or short write writing to the DB dump file");
        assert_eq!(c.run("GET old"), "value");
        let problem = c.info("master_link_problem");
        assert!(problem.contains("full sync cannot be kept"), "{problem}");
        limit_files(&r, None);
        is_whole(&m, &mut r);
    }
}

fn seconds(c: &mut Conn) -> i64 {
    c.run("TIME").items()[0].text().parse().expect("seconds")
}

/// An idle master makes two snapshots at one offset and of one size, which differ all the same: each goes on only as itself.
#[test]
fn two_snapshots_at_one_offset() {
    let m = master();
    let mut c = m.connect();
    let (mut first, mut second) = (Server::aedile(&[]), Server::aedile(&[]));
    let one = half_synced(&m, &first);
    let began = seconds(&mut c);
    one.refuse(true);
    wait_until("the first to be gone", || c.info("connected_slaves") == "0");
    // The time at which a snapshot was made is in it.
    wait_until("another second", || seconds(&mut c) > began + 1);
    let two = half_synced(&m, &second);
    two.cut();
    is_whole(&m, &mut second);
    assert_eq!(c.info_int("full_syncs_resumed"), 1);
    one.refuse(false);
    is_whole(&m, &mut first);
    assert_eq!(c.info_int("full_syncs_resumed"), 1);
    assert_eq!(c.info_int("sync_full"), 3);
}

/// What has come of a payload is nobody's when the process has ended, however it did.
#[test]
fn nothing_stays_on_the_disk() {
    let m = master();
    for way in ["SHUTDOWN NOSAVE", "SHUTDOWN SAVE", "SIGTERM", "SIGKILL"] {
        for link in ["up", "cut"] {
            let mut r = Server::aedile(&[]);
            let proxy = half_synced(&m, &r);
            if link == "cut" {
                proxy.refuse(true);
                r.wait_log("connection lost");
            }
            assert_eq!(temp_files(&r).len(), 1, "{way} {link}");
            match way {
                "SIGTERM" => drop(r.terminate()),
                "SIGKILL" => r.kill9(),
                command => {
                    r.connect().send(&command.split(' ').collect::<Vec<_>>());
                    r.wait_exit();
                }
            }
            if way == "SIGKILL" {
                assert_eq!(temp_files(&r).len(), 1, "{link}");
                // Nor do files of others go: a living process may be writing one of these.
                fs::write(r.scratch.join("temp-1.rdb"), "another's").expect("a file");
                fs::write(r.scratch.join("temp-mine.rdb"), "another's").expect("a file");
                r.restart_with(&[]);
                assert_eq!(r.connect().run("PING"), "PONG");
                let mut left = temp_files(&r);
                left.sort();
                assert_eq!(left, ["temp-1.rdb", "temp-mine.rdb"]);
            } else {
                assert_eq!(temp_files(&r), [""; 0], "{way} {link}");
            }
        }
    }
}

/// The process ends while it loads the payload.
#[test]
fn nothing_stays_of_a_payload_that_is_being_loaded() {
    let m = master();
    m.connect().config_set("repl-full-sync-rate", "0");
    for kill in [false, true] {
        let mut r = Server::aedile(&["--key-load-delay", "5000"]);
        r.replicate(m.port);
        r.wait_log("Loading DB in memory");
        assert_eq!(temp_files(&r).len(), 1);
        if kill {
            r.kill9();
            r.restart_with(&[]);
        } else {
            r.terminate();
        }
        assert_eq!(temp_files(&r), [""; 0], "{kill}");
    }
}
