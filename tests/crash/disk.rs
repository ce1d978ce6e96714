//! A full disk: the server's files may not grow (RLIMIT_FSIZE, set from outside while it runs), then they may again.

use std::fs;
use std::time::{Duration, Instant};

use super::writers::{Script, Writer};
use crate::support::{Conn, Server, seed_from_env, wait_until};

const WRITERS: usize = 3;
const MISCONF: &str = "MISCONF Errors writing to the AOF file:";

/// No file of the server may grow beyond `bytes`; none: all may again.
pub fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = libc::rlimit {
        rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the new limit is a valid place, the old one is not asked for; the pid is our child's.
    let rc = unsafe {
        libc::prlimit(
            server.pid() as libc::pid_t,
            libc::RLIMIT_FSIZE,
            &limit,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(rc, 0, "prlimit: {}", std::io::Error::last_os_error());
}

/// A server whose increment is larger than its log will be, so that a limit stops the one and not the other.
fn start(policy: &str) -> Server {
    let server = Server::aedile(&["--appendonly", "yes", "--appendfsync", policy]);
    let mut c = server.connect();
    for i in 0..20 {
        c.cmd(&["SET", &format!("ballast:{i}"), &"b".repeat(20_000)])
            .assert_ok();
    }
    server
}

fn incr_size(server: &Server) -> u64 {
    let dir = server.scratch.join("appendonlydir");
    fs::read_dir(dir)
        .expect("the folder")
        .filter_map(Result::ok)
        .filter(|e| e.file_name().to_string_lossy().contains(".incr."))
        .map(|e| e.metadata().map_or(0, |m| m.len()))
        .max()
        .expect("an increment")
}

fn writers(server: &Server, round: u64) -> Vec<Writer> {
    let seed = seed_from_env("CRASH_SEED");
    eprintln!("CRASH_SEED={seed}");
    (0..WRITERS)
        .map(|w| {
            let script = Script {
                prefix: format!("d{round}w{w}"),
                seed: seed.wrapping_add(w as u64 + 1000 * round),
            };
            Writer::start(server.port, script)
        })
        .collect()
}

/// Every acknowledged step is there, and no other but what was sent.
fn check(c: &mut Conn, parts: &[(Script, usize, usize)]) {
    for (script, acked, sent) in parts {
        let found = script.read(c);
        assert!(
            script.find(&found, *acked, *sent).is_some(),
            "{}: acknowledged {acked}, sent {sent}; what is there differs so:{}",
            script.prefix,
            script.difference(&found, *acked)
        );
    }
}

/// All writers end by this error, or by the connection's end.
fn join(writers: Vec<Writer>, error: Option<&str>) -> Vec<(Script, usize, usize)> {
    writers
        .into_iter()
        .map(|w| {
            let (script, acked, sent, got) = w.join();
            match (error, got) {
                (Some(want), Some(got)) => assert!(got.starts_with(want), "{got}"),
                (None, None) => {}
                (want, got) => panic!("a writer ended with {got:?}, not {want:?}"),
            }
            (script, acked, sent)
        })
        .collect()
}

#[test]
fn everysec_refuses_writes_and_recovers() {
    let mut server = start("everysec");
    let mut c = server.connect();
    let mut all = Vec::new();
    for round in 0..3 {
        // A few bytes: the write that fails is cut short.
        limit_files(&server, Some(incr_size(&server) + 30_001 + 777 * round));
        let writers = writers(&server, round);
        let parts = join(writers, Some(MISCONF));
        assert_eq!(c.info("aof_last_write_status"), "err");
        c.run("PING").assert_error_prefix(MISCONF);
        c.run("SET refused 1").assert_error_prefix(MISCONF);
        c.run("GET refused");
        check(&mut c, &parts);
        // The file is whole: nothing of a command that is not there entirely.
        let whole = incr_size(&server);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(incr_size(&server), whole);
        limit_files(&server, None);
        wait_until("writes to be accepted again", || {
            !c.run("SET accepted 1").is_error()
        });
        assert_eq!(c.info("aof_last_write_status"), "ok");
        assert_eq!(c.run("PING"), "PONG");
        all.extend(parts);
    }
    server.wait_log("AOF write error looks solved, Redis can write again.");
    // What was acknowledged before and during the failure is in the file by now.
    server.kill9();
    server.restart();
    assert!(!server.log_has("Truncating"), "{}", server.log());
    let mut c = server.connect();
    check(&mut c, &all);
    assert!(c.run("GET refused").is_null());
    assert_eq!(c.run("GET accepted"), "1");
}

/// Killed while the disk is full: only what was acknowledged in the moment of the failure can be missing, and the file is
/// loaded as it is.
#[test]
fn killed_on_a_full_disk() {
    for round in 0..3 {
        // Not everysec: that may hold writes back while the disk is busy.
        let mut server = start("no");
        let limit = incr_size(&server) + 50_000 + 1_111 * round;
        limit_files(&server, Some(limit));
        let writers = writers(&server, 100 + round);
        let mut earlier = vec![0; WRITERS];
        let mut c = server.connect();
        let start = Instant::now();
        // A write that is accepted says that all before it is in the file.
        while !c.run("SET probe 1").is_error() {
            let now: Vec<usize> = writers.iter().map(Writer::acked).collect();
            if c.run("SET probe 2").is_error() {
                break;
            }
            earlier = now;
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        let parts = join(writers, Some(MISCONF));
        // What falls short is cut again, and tried again each turn. Only a kill in between leaves a tail, and nothing else is
        // cut by the load.
        let base = server
            .scratch
            .join("appendonlydir/appendonly.aof.1.base.rdb");
        let base = fs::metadata(base).expect("a base").len();
        let whole = c.info_int("aof_current_size") as u64 - base;
        server.kill9();
        let at_kill = incr_size(&server);
        assert!((whole..=limit).contains(&at_kill), "{whole} {at_kill}");
        server.restart();
        assert!(
            at_kill > whole || !server.log_has("Truncating"),
            "{}",
            server.log()
        );
        assert!((whole..=at_kill).contains(&incr_size(&server)));
        let mut c = server.connect();
        for ((script, acked, sent), earlier) in parts.iter().zip(earlier) {
            assert!(earlier <= *acked);
            let found = script.read(&mut c);
            assert!(
                script.find(&found, earlier, *sent).is_some(),
                "{}: acknowledged {acked}, {earlier} before the failure; what is there differs so:{}",
                script.prefix,
                script.difference(&found, earlier)
            );
        }
    }
}

/// Under `always` an answer is a promise that cannot be kept any more: the server ends, and what it promised is there.
#[test]
fn always_ends_on_a_full_disk_and_keeps_its_word() {
    for round in 0..4 {
        let mut server = start("always");
        limit_files(&server, Some(incr_size(&server) + 20_003 + 1_234 * round));
        let writers = writers(&server, 200 + round);
        let status = server.wait_exit();
        assert_eq!(status.code(), Some(1), "{}", server.log());
        assert!(
            server.log_has("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."),
            "{}",
            server.log()
        );
        let parts = join(writers, None);
        server.restart();
        assert!(!server.log_has("Truncating"), "{}", server.log());
        check(&mut server.connect(), &parts);
    }
}

/// A rewrite that finds no room costs nothing, also while commands wait to be written: none is there twice after it.
#[test]
fn rewrites_on_a_full_disk() {
    let mut server = start("everysec");
    let mut c = server.connect();
    limit_files(&server, Some(incr_size(&server) + 20_000));
    let parts = join(writers(&server, 300), Some(MISCONF));
    // What is in memory only would be in the snapshot and in the next increment.
    let reply = c.run("BGREWRITEAOF");
    assert!(reply.is_error(), "{reply:?}");
    assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
    limit_files(&server, None);
    wait_until("writes to be accepted again", || {
        !c.run("SET accepted 1").is_error()
    });
    // The child alone finds no room.
    c.config_set("rdbcompression", "no");
    limit_files(&server, Some(50_000));
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_until("the rewrite to fail", || {
        c.info("aof_rewrite_in_progress") == "0"
    });
    assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
    limit_files(&server, None);
    check(&mut c, &parts);
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    server.kill9();
    server.restart();
    check(&mut server.connect(), &parts);
}

#[test]
fn snapshots_on_a_full_disk() {
    snapshots_fail_and_recover("fork");
}

#[test]
fn snapshots_in_the_loop_on_a_full_disk() {
    snapshots_fail_and_recover("inline");
}

fn snapshots_fail_and_recover(mode: &str) {
    let mut server = Server::aedile(&["--save", "100000 1000000", "--snapshot-mode", mode]);
    let mut c = server.connect();
    for i in 0..50 {
        c.cmd(&["SET", &format!("k{i}"), &"v".repeat(5000 + i)])
            .assert_ok();
    }
    c.config_set("rdbcompression", "no");
    c.ok("SAVE");
    let before = fs::read(server.rdb_path()).expect("a snapshot");
    c.ok("SET later 1");
    limit_files(&server, Some(100_000));
    assert!(!c.run("BGSAVE").is_error());
    wait_until("the save to fail", || {
        c.info("rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(c.info("rdb_last_bgsave_status"), "err");
    assert!(c.run("SAVE").is_error());
    let refusal = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.";
    c.run("SET refused 1").assert_error_prefix(refusal);
    c.run("PING").assert_error_prefix(refusal);
    assert_eq!(c.run("GET later"), "1");
    server.wait_log("Background saving error");
    server.wait_log("Write error while saving DB to the disk(rdbSaveRio): File too large");
    assert_eq!(fs::read(server.rdb_path()).expect("the snapshot"), before);
    // Nothing of the attempts is left.
    let left: Vec<String> = fs::read_dir(server.scratch.path())
        .expect("the folder")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| n.starts_with("temp-"))
        .collect();
    assert_eq!(left, [""; 0]);
    c.config_set("stop-writes-on-bgsave-error", "no");
    c.ok("SET accepted 1");
    c.config_set("stop-writes-on-bgsave-error", "yes");
    c.run("SET refused 1").assert_error_prefix(refusal);
    limit_files(&server, None);
    assert!(!c.run("BGSAVE").is_error());
    wait_until("the save", || c.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    c.ok("SET last 1");
    c.ok("SAVE");
    server.kill9();
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("DBSIZE"), 53);
    assert!(c.run("GET refused").is_null());
}

/// A replica cannot refuse its master's writes: it stops, or goes on without the disk if it is told to.
#[test]
fn a_replica_on_a_full_disk() {
    for ignore in ["no", "yes"] {
        let master = Server::aedile(&[]);
        let mut replica = Server::aedile(&[
            "--appendonly",
            "yes",
            "--replica-ignore-disk-write-errors",
            ignore,
        ]);
        replica.replicate(master.port);
        replica.wait_link_up();
        let mut r = replica.connect();
        wait_until("the file of the new data set", || {
            r.info("aof_rewrite_in_progress") == "0" && r.info("aof_rewrite_scheduled") == "0"
        });
        limit_files(&replica, Some(incr_size(&replica) + 100_000));
        let mut m = master.connect();
        let value = "v".repeat(150_000);
        m.cmd(&["SET", "big", &value]).assert_ok();
        let ended = |replica: &mut Server| replica.try_wait().is_some();
        if ignore == "yes" {
            wait_until("the failure", || r.info("aof_last_write_status") == "err");
            m.ok("SET later 1");
            wait_until("the master's write", || r.run("GET later") == "1");
            replica.wait_log(
                "Replica is applying a command even though it is unable to write to disk.",
            );
            assert!(!ended(&mut replica));
        } else {
            replica.wait_log("Short write while writing to the AOF file");
            m.ok("SET later 1");
            wait_until("the replica's end", || ended(&mut replica));
            replica.wait_log("Guru Meditation: Replica was unable to write command to disk.");
        }
    }
}
