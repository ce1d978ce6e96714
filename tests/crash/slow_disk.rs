//! A disk that takes its time, or gives up, when the append-only file is synced: who waits for it, and who does not.

use std::fs;
use std::time::{Duration, Instant};

use super::slow_sync::Disk;
use crate::support::{Conn, Server, wait_until};

const INCR: &str = ".incr.aof";
const SLOW: &str = "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis.";

fn start(policy: &str, more: &[&str]) -> (Disk, Server) {
    let args = [&["--appendonly", "yes", "--appendfsync", policy], more].concat();
    Disk::server(&args)
}

/// Bytes of all increments.
fn incr_bytes(server: &Server) -> u64 {
    fs::read_dir(server.scratch.join("appendonlydir"))
        .expect("the folder")
        .filter_map(Result::ok)
        .filter(|e| e.file_name().to_string_lossy().contains(".incr."))
        .map(|e| e.metadata().map_or(0, |m| m.len()))
        .sum()
}

/// Kills the server, starts it again on a sound disk, and looks for these keys.
fn killed_and_found(disk: &Disk, server: &mut Server, keys: &[&str]) {
    server.kill9();
    disk.heal();
    server.restart();
    let mut c = server.connect();
    for key in keys {
        assert_eq!(c.cmd(&["GET", key]), "1", "{key}");
    }
}

/// No reply within this time. A slow machine cannot make it fail, only make it say less.
fn silent(c: &mut Conn, window: Duration) -> bool {
    c.read_for(window).is_empty()
}

#[test]
fn everysec_waits_two_seconds_and_no_longer() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    c.config_set("latency-monitor-threshold", "1");
    disk.hang(INCR, || c.ok("SET first 1"));
    let before = incr_bytes(&server);
    let began = Instant::now();
    c.ok("SET postponed 1");
    assert_eq!(c.info("aof_pending_bio_fsync"), "1");
    // Everybody is answered meanwhile; the file gets nothing, then all of it though the sync still hangs.
    let mut answered = 0;
    while incr_bytes(&server) == before {
        c.ok("SET k 1");
        assert_eq!(c.run("GET postponed"), "1");
        if began.elapsed() < Duration::from_millis(900) {
            assert!(c.info_int("aof_buffer_length") > 0);
            assert_eq!(c.info("aof_delayed_fsync"), "0");
        }
        answered += 1;
        assert!(began.elapsed() < Duration::from_secs(20), "never written");
    }
    let waited = began.elapsed();
    // Two full seconds of the clock: more than one, hardly ever as much as three.
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    assert!(answered > 3, "{answered}");
    assert!(c.info_int("aof_delayed_fsync") >= 1);
    assert_eq!(c.info("aof_pending_bio_fsync"), "1");
    assert!(server.log_has(SLOW), "{}", server.log());
    // The next write waits anew, and the idle server writes it by itself.
    c.ok("SET idle 1");
    let delayed = c.info_int("aof_delayed_fsync");
    wait_until("the next write", || {
        c.info_int("aof_delayed_fsync") > delayed && c.info("aof_buffer_length") == "0"
    });
    assert_eq!(c.info("aof_last_write_status"), "ok");
    // Let go: all is synced, and nothing is delayed any more.
    disk.heal();
    wait_until("the syncs", || c.info("aof_pending_bio_fsync") == "0");
    let delayed = c.info_int("aof_delayed_fsync");
    let synced = disk.count("end sync", INCR);
    c.ok("SET last 1");
    disk.wait_more("end sync", INCR, synced);
    assert_eq!(c.info_int("aof_delayed_fsync"), delayed);
    killed_and_found(&disk, &mut server, &["first", "postponed", "idle", "last"]);
}

#[test]
fn everysec_refuses_writes_while_syncs_fail() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    c.ok("SET before 1");
    disk.wait_more("end sync", INCR, 0);
    disk.fail(INCR, libc::EIO);
    c.ok("SET unsynced 1");
    wait_until("the failure", || c.info("aof_last_write_status") == "err");
    let refusal = "MISCONF Errors writing to the AOF file: Input/output error";
    c.run("SET refused 1").assert_error(refusal);
    c.run("PING").assert_error(refusal);
    assert_eq!(c.run("GET unsynced"), "1");
    // It is tried again without a write, and said once.
    let failed = disk.count("fail sync", INCR);
    disk.wait_more("fail sync", INCR, failed);
    assert_eq!(
        server.log_count("Fail to fsync the AOF file: Input/output error"),
        1
    );
    // WAITAOF does not take a failed sync for one.
    assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
    disk.heal();
    wait_until("writes to be accepted again", || {
        !c.run("SET after 1").is_error()
    });
    assert_eq!(c.info("aof_last_write_status"), "ok");
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    killed_and_found(&disk, &mut server, &["before", "unsynced", "after"]);
    assert!(server.connect().run("GET refused").is_null());
}

#[test]
fn always_answers_when_it_is_synced() {
    let (disk, mut server) = start("always", &[]);
    let mut c = server.connect();
    let ended = disk.count("end sync", INCR);
    disk.hang(INCR, || c.send(&["SET", "slow", "1"]));
    assert!(silent(&mut c, Duration::from_millis(400)));
    assert_eq!(disk.count("end sync", INCR), ended);
    disk.heal();
    c.read().assert_ok();
    assert!(disk.count("end sync main", INCR) > ended);
    killed_and_found(&disk, &mut server, &["slow"]);
}

#[test]
fn always_ends_when_a_sync_fails() {
    let (disk, mut server) = start("always", &[]);
    let mut c = server.connect();
    c.ok("SET kept 1");
    disk.fail(INCR, libc::EIO);
    assert!(c.try_cmd(&["SET", "unsure", "1"]).is_err(), "no answer");
    assert_eq!(server.wait_exit().code(), Some(1));
    assert!(
        server.log_has(
            "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting..."
        ),
        "{}",
        server.log()
    );
    killed_and_found(&disk, &mut server, &["kept"]);
}

/// `appendfsync` changes to `always` while a sync hangs: that one is waited for, and the first answer is a promise.
#[test]
fn from_everysec_to_always() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    c.send(&["CONFIG", "SET", "appendfsync", "always"]);
    assert!(silent(&mut c, Duration::from_millis(300)));
    disk.heal();
    c.read().assert_ok();
    let synced = disk.count("end sync main", INCR);
    c.ok("SET second 1");
    assert!(disk.count("end sync main", INCR) > synced);
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    killed_and_found(&disk, &mut server, &["first", "second"]);
}

/// While a child is at work, and the directive says so, nobody syncs; after it the rest is synced.
#[test]
fn no_appendfsync_on_rewrite() {
    for policy in ["everysec", "always"] {
        let (disk, mut server) = start(policy, &["--no-appendfsync-on-rewrite", "yes"]);
        let mut c = server.connect();
        for i in 0..30 {
            c.run(&format!("SET k{i} 1"));
        }
        c.config_set("rdb-key-save-delay", "1000000");
        assert!(!c.run("BGREWRITEAOF").is_error());
        wait_until("the child", || c.info("aof_rewrite_in_progress") == "1");
        // The increment before is synced in the background once, as it is closed.
        wait_until("the last sync", || {
            disk.count("begin sync", INCR) == disk.count("end sync", INCR)
                && disk.count("end sync", "1.incr.aof") > 0
        });
        let begun = disk.count("begin sync", "2.incr.aof");
        disk.hold(INCR);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(2300) {
            c.ok("SET during 1");
        }
        assert_eq!(c.info("aof_rewrite_in_progress"), "1");
        assert_eq!(disk.count("begin sync", "2.incr.aof"), begun);
        assert_eq!(c.info("aof_delayed_fsync"), "0");
        assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
        disk.heal();
        c.config_set("rdb-key-save-delay", "0");
        // Its end lets the sync happen without another write.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid()));
        let pid: i32 = children
            .expect("the children")
            .trim()
            .parse()
            .expect("one child");
        // SAFETY: kill takes no pointers; the pid is a child of our own child, which reaps it only when it has ended.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR1) }, 0);
        disk.wait_more("end sync", "2.incr.aof", begun);
        assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
        killed_and_found(&disk, &mut server, &["k0", "during"]);
    }
}

/// A rewrite begins and ends while the sync of the increment before hangs; the marks of both files come in order.
#[test]
fn a_rewrite_while_a_sync_hangs() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    c.ok("SET second 1");
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    assert_eq!(disk.count("end sync", INCR), 0);
    c.ok("SET third 1");
    assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
    // The second increment is written to though no sync is done.
    wait_until("the write", || c.info("aof_buffer_length") == "0");
    let mut waiter = server.connect();
    waiter.send(&["WAITAOF", "1", "0", "0"]);
    disk.heal();
    c.ok("SET fourth 1");
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    assert_eq!(waiter.read().items()[0], 1);
    killed_and_found(&disk, &mut server, &["first", "second", "third", "fourth"]);
}

/// Before anything is synced a kill in the middle of such a rewrite loses nothing that was written.
#[test]
fn killed_in_a_rewrite_while_a_sync_hangs() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    c.config_set("rdb-key-save-delay", "10000000");
    c.ok("SET second 1");
    assert!(!c.run("BGREWRITEAOF").is_error());
    c.ok("SET third 1");
    wait_until("the write", || c.info("aof_buffer_length") == "0");
    assert_eq!(c.info("aof_rewrite_in_progress"), "1");
    killed_and_found(&disk, &mut server, &["first", "second", "third"]);
}

#[test]
fn waitaof_waits_for_the_disk() {
    let (disk, server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    let mut waiter = server.connect();
    waiter.ok("SET second 1");
    assert_eq!(waiter.run("WAITAOF 1 0 100").items()[0], 0);
    waiter.send(&["WAITAOF", "1", "0", "0"]);
    assert!(silent(&mut waiter, Duration::from_millis(300)));
    assert_eq!(c.run("PING"), "PONG");
    disk.heal();
    assert_eq!(waiter.read().items()[0], 1);
    assert!(disk.count("end sync", INCR) >= 2);
}

/// The end of the process waits for the disk, and a disk that fails does not keep it.
#[test]
fn shutdown_on_a_slow_disk() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    c.ok("SET second 1");
    server.signal(libc::SIGTERM);
    server.wait_log("Calling fsync() on the AOF file.");
    disk.wait_more("begin sync main", INCR, 0);
    assert!(server.try_wait().is_none());
    disk.heal();
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(disk.count("end sync main", INCR) > 0);
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET first"), "1");
    assert_eq!(c.run("GET second"), "1");
    disk.fail(INCR, libc::EIO);
    c.ok("SET third 1");
    assert_eq!(server.terminate().code(), Some(0));
    assert!(
        server.log_has("Fail to fsync the AOF file: Input/output error."),
        "{}",
        server.log()
    );
    disk.heal();
    server.restart();
    assert_eq!(server.connect().run("GET third"), "1");
}

/// Switched off and on again while a sync of the first file hangs: the second file's promises are its own.
#[test]
fn switched_off_and_on_on_a_slow_disk() {
    let (disk, mut server) = start("everysec", &[]);
    let mut c = server.connect();
    disk.hang(INCR, || c.ok("SET first 1"));
    c.send(&["CONFIG", "SET", "appendonly", "no"]);
    assert!(silent(&mut c, Duration::from_millis(300)));
    disk.heal();
    c.read().assert_ok();
    disk.wait_healed(INCR);
    let mut other = server.connect();
    disk.hang(INCR, || {
        c.config_set("appendonly", "yes");
        c.ok("SET second 1");
    });
    wait_until("the rewrite", || {
        other.info("aof_rewrite_in_progress") == "0"
    });
    assert_eq!(other.info("aof_last_bgrewrite_status"), "ok");
    c.ok("SET third 1");
    assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
    disk.heal();
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    killed_and_found(&disk, &mut server, &["first", "second", "third"]);
}

/// Giving back the blocks of a large file takes long; no sync waits for it.
#[test]
fn a_slow_close_holds_nobody_up() {
    let (disk, server) = start("everysec", &[]);
    let mut c = server.connect();
    c.ok("SET first 1");
    disk.hold_close("(deleted)");
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
    disk.wait_more("begin close", "(deleted)", 0);
    c.ok("SET second 1");
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    assert_eq!(c.info("aof_delayed_fsync"), "0");
    disk.heal();
}

/// A snapshot that cannot be synced is none, and the one before stays.
#[test]
fn a_snapshot_that_cannot_be_synced() {
    let (disk, server) = Disk::server(&["--save", "100000 1000000"]);
    let mut c = server.connect();
    c.ok("SET a 1");
    c.ok("SAVE");
    let before = fs::read(server.rdb_path()).expect("a snapshot");
    c.ok("SET b 1");
    disk.fail("temp-", libc::EIO);
    c.run("SAVE").assert_error("ERR");
    assert!(!c.run("BGSAVE").is_error());
    wait_until("the save", || c.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(c.info("rdb_last_bgsave_status"), "err");
    server.wait_log("Write error while saving DB to the disk(fsync): Input/output error");
    c.run("SET refused 1").assert_error_prefix("MISCONF");
    assert_eq!(fs::read(server.rdb_path()).expect("the snapshot"), before);
    disk.heal();
    c.ok("SAVE");
    c.ok("SET c 1");
    // While a child's sync hangs everybody is served.
    disk.hang("temp-", || assert!(!c.run("BGSAVE").is_error()));
    c.ok("SET d 1");
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    disk.heal();
    wait_until("the save", || c.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
}
