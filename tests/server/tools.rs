//! The tools that this program is under other names, damaged snapshots as a running server meets them, and what ends a load.

use std::os::unix::process::ExitStatusExt;

use crate::support::server::{Scratch, free_port};
use crate::support::state::small_snapshot;
use crate::support::tools::run_check;
use crate::support::*;

/// A snapshot of all types in two databases.
fn snapshot(args: &[&str]) -> Vec<u8> {
    small_snapshot(&Server::aedile(args))
}

/// A running server refuses every snapshot that is cut or altered anywhere, says where, and goes on.
#[test]
fn every_damaged_byte_is_refused() {
    let bytes = snapshot(&[]);
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    let mut rng = Rng(5);
    let mut refused = |file: &[u8], what: String| {
        std::fs::write(server.rdb_path(), file).expect("written");
        c.run("DEBUG RELOAD NOSAVE")
            .assert_error_prefix("ERR Error trying to load the RDB dump");
        assert_eq!(c.run("PING"), "PONG", "{what}");
    };
    for cut in 0..bytes.len() {
        refused(&bytes[..cut], format!("cut at {cut}"));
    }
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << rng.below(8);
        refused(&bad, format!("byte {at} is {:02x}", bad[at]));
    }
    assert!(server.log_has("Internal error in RDB reading offset"));
    std::fs::write(server.rdb_path(), &bytes).expect("written");
    let mut c = server.connect();
    c.ok("DEBUG RELOAD NOSAVE");
    assert_eq!(c.run("DBSIZE"), 10);
}

/// rdbchecksum no writes eight zero bytes, and files without compression are as good.
#[test]
fn without_checksum_or_compression() {
    let bytes = snapshot(&["--rdbchecksum", "no", "--rdbcompression", "no"]);
    assert!(bytes.ends_with(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(memchr_find(&bytes, &[b'a'; 40]));
    let dir = Scratch::new();
    dir.write("dump.rdb", &bytes);
    let e = run_check(
        Kind::Aedile,
        "redis-check-rdb",
        dir.path(),
        &["dump.rdb"],
        b"",
    );
    assert_eq!(e.status.code(), Some(0));
    assert!(
        e.stdout
            .contains("RDB file was saved with checksum disabled")
    );
    let server = Server::start_in(Kind::Aedile, dir, &[]);
    assert_eq!(server.connect().run("DBSIZE"), 10);
}

fn memchr_find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|w| w == part)
}

#[test]
fn the_tools_answer_to_their_names() {
    let dir = Scratch::new();
    dir.write("dump.rdb", snapshot(&[]));
    let e = run_check(
        Kind::Aedile,
        "redis-check-rdb",
        dir.path(),
        &["dump.rdb"],
        b"",
    );
    assert_eq!(e.status.code(), Some(0), "{}", e.stdout);
    assert!(
        e.stdout
            .contains("] \\o/ RDB looks OK! \\o/\n[info] 11 keys read\n")
    );
    let e = run_check(
        Kind::Aedile,
        "/usr/bin/redis-check-rdb",
        dir.path(),
        &["-v"],
        b"",
    );
    assert_eq!(
        (e.status.code(), &e.stdout[..16]),
        (Some(0), "redis-check-rdb ")
    );
    let e = run_check(Kind::Aedile, "redis-check-rdb", dir.path(), &[], b"");
    assert_eq!(e.status.code(), Some(1));
    assert!(
        e.stderr
            .starts_with("Usage: redis-check-rdb <rdb-file-name>")
    );
    let e = run_check(Kind::Aedile, "redis-check-aof", dir.path(), &[], b"");
    assert_eq!(e.status.code(), Some(1));
    assert!(
        e.stdout
            .starts_with("Usage: redis-check-aof [--fix|--truncate-to-timestamp")
    );
}

#[test]
fn salvage() {
    let bytes = snapshot(&[]);
    let dir = Scratch::new();
    let run = |args: &[&str]| run_check(Kind::Aedile, "redis-check-rdb", dir.path(), args, b"");
    dir.write("dump.rdb", &bytes);
    let e = run(&["--salvage", "dump.rdb", "copy.rdb"]);
    assert_eq!(e.status.code(), Some(0), "{}{}", e.stdout, e.stderr);
    assert!(
        e.stdout
            .contains("[info] 11 keys written\n[info] 0 places lost, 0 bytes")
    );
    assert_eq!(run(&["copy.rdb"]).status.code(), Some(0));
    // Nothing is overwritten, least of all the only copy.
    for output in ["copy.rdb", "dump.rdb", "./dump.rdb"] {
        let e = run(&["--salvage", "dump.rdb", output]);
        assert_eq!(e.status.code(), Some(2), "{output}");
    }
    assert_eq!(run(&["--salvage", "dump.rdb"]).status.code(), Some(2));
    assert_eq!(
        run(&["--salvage", "no-such", "new.rdb"]).status.code(),
        Some(2)
    );
    assert!(!dir.join("new.rdb").exists());
    assert_eq!(std::fs::read(dir.join("dump.rdb")).expect("there"), bytes);
    // A damaged one: what is lost is named, what is not loads.
    let mut bad = bytes.clone();
    let at = memchr_at(&bytes, b"zset");
    bad[at - 1] = 0xbf;
    dir.write("bad.rdb", &bad);
    let e = run(&["--salvage", "bad.rdb", "saved.rdb"]);
    assert_eq!(e.status.code(), Some(1), "{}{}", e.stdout, e.stderr);
    assert!(e.stdout.contains("[lost] offset "), "{}", e.stdout);
    let e = run(&["saved.rdb"]);
    assert_eq!(e.status.code(), Some(0), "{}", e.stdout);
    // One that only its checksum tells.
    let mut bad = bytes.clone();
    let at = memchr_at(&bytes, b"hello");
    bad[at] = b'j';
    dir.write("changed.rdb", &bad);
    let e = run(&["--salvage", "changed.rdb", "kept.rdb"]);
    assert_eq!(e.status.code(), Some(1));
    assert!(
        e.stdout.contains("[warning] The checksum is wrong"),
        "{}",
        e.stdout
    );
    assert!(e.stdout.contains("[info] 11 keys written"));
    // Noise.
    dir.write("noise.rdb", Rng(3).bytes(5000));
    let e = run(&["--salvage", "noise.rdb", "nothing.rdb"]);
    assert_eq!(e.status.code(), Some(2));
    assert!(!dir.join("nothing.rdb").exists());
}

fn memchr_at(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len())
        .position(|w| w == part)
        .expect("it is in there")
}

/// A signal in the middle of a load ends it, and the files stay what they were.
#[test]
fn a_signal_ends_a_load() {
    let mut server = Server::aedile(&["--appendonly", "yes", "--save", ""]);
    let mut c = server.connect();
    for i in 0..2000 {
        c.ok(&format!("SET key:{i} value"));
    }
    c.ok("SAVE");
    server.terminate();
    let aof = server
        .scratch
        .join("appendonlydir/appendonly.aof.1.incr.aof");
    let rdb = std::fs::read(server.rdb_path()).expect("a snapshot");
    let commands = std::fs::read(&aof).expect("commands");
    for appendonly in ["yes", "no"] {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let log = std::fs::File::create(server.scratch.join("load.log")).expect("log");
            let child = std::process::Command::new(Kind::Aedile.program())
                .args(["--port", &free_port().to_string(), "--bind", "127.0.0.1"])
                .args(["--appendonly", appendonly])
                .args(["--key-load-delay", "2000"])
                .args(["--loading-process-events-interval-bytes", "1024"])
                .current_dir(server.scratch.path())
                .stdout(log)
                .spawn();
            let mut child = child.expect("a server");
            let read = || std::fs::read_to_string(server.scratch.join("load.log")).expect("log");
            wait_until("the load", || read().contains("Server initialized"));
            std::thread::sleep(std::time::Duration::from_millis(100));
            // SAFETY: kill takes no pointers; the pid is the child's, which was not waited for yet.
            unsafe { libc::kill(child.id() as i32, signal) };
            let status = child.wait().expect("its end");
            assert_eq!(
                (status.code(), status.signal()),
                (Some(0), None),
                "{}",
                read()
            );
            assert!(!read().contains("Ready to accept"), "{}", read());
        }
    }
    assert_eq!(std::fs::read(server.rdb_path()).expect("there"), rdb);
    assert_eq!(std::fs::read(&aof).expect("there"), commands);
}

/// The loading_* fields of INFO while a load goes on, and its log lines.
#[test]
fn progress_of_a_load() {
    let mut server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    for i in 0..3000 {
        c.ok(&format!("SET key:{i} {}", "x".repeat(50)));
    }
    c.config_set("key-load-delay", "2000");
    c.config_set("loading-process-events-interval-bytes", "1024");
    c.send(&["DEBUG", "RELOAD"]);
    let mut other = server.connect();
    let mut seen = 0;
    wait_until("progress", || {
        if other.info("loading") == "1" {
            let total = other.info_int("loading_total_bytes");
            let loaded = other.info_int("loading_loaded_bytes");
            let percent: f64 = other.info("loading_loaded_perc").parse().expect("a number");
            assert!(total > 0 && loaded <= total && percent <= 100.0);
            assert!(other.info_int("loading_eta_seconds") >= 0);
            assert!(other.info_int("loading_start_time") > 0);
            other.run("GET key:1").assert_error_prefix("LOADING ");
            seen = loaded;
        }
        seen > 1024
    });
    server.kill9();
}
