//! Snapshots that are taken in the loop: who waits and who does not, what ends one, where they go.

use std::time::{Duration, Instant};

use crate::support::server::Scratch;
use crate::support::tools::preload;
use crate::support::*;

const INLINE: [&str; 4] = ["--snapshot-mode", "inline", "--enable-debug-command", "yes"];

fn fill(c: &mut Conn, n: usize) {
    let cmds: Vec<Vec<Vec<u8>>> = (0..n)
        .map(|i| {
            let key = format!("key:{i}").into_bytes();
            vec![b"SET".to_vec(), key, b"some value of it".repeat(4)]
        })
        .collect();
    for reply in c.pipeline(&cmds) {
        reply.assert_ok();
    }
}

fn bulky(c: &mut Conn, key: &str) {
    let mut cmd = vec![b"SADD".to_vec(), key.as_bytes().to_vec()];
    cmd.extend((0..2000).map(|i| format!("member {i}").into_bytes()));
    assert_eq!(c.cmd(&cmd).int(), 2000);
}

fn saved(c: &mut Conn) {
    wait_until("the end of the save", || {
        c.info("rdb_bgsave_in_progress") == "0"
    });
}

#[test]
fn a_snapshot_in_the_loop_is_a_save_as_any() {
    let mut server = Server::aedile(&INLINE);
    let mut c = server.connect();
    fill(&mut c, 3000);
    bulky(&mut c, "set");
    c.ok("CONFIG SET rdb-key-save-delay 200");
    let digest = c.run("DEBUG DIGEST").text();
    assert_eq!(c.run("BGSAVE").text(), "Background saving started");
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    assert_eq!(c.info("snapshot_inline_in_progress"), "1");
    assert_eq!(c.info("current_save_keys_total"), "3001");
    c.run("BGSAVE")
        .assert_error_prefix("ERR Background save already in progress");
    c.run("SAVE")
        .assert_error_prefix("ERR Background save already in progress");
    c.ok("SET key:1 other");
    c.ok("RENAME key:2 key:new");
    c.ok("SWAPDB 0 1");
    c.ok("FLUSHDB");
    c.ok("SET key:3 other");
    saved(&mut c);
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(c.info("total_forks"), "0");
    server.wait_log("Background saving terminated with success");
    server.kill9();
    server.restart();
    assert_eq!(server.connect().run("DEBUG DIGEST").text(), digest);
}

/// Who changes a bulky value waits until it is written; others do not, nor does who removes or replaces one.
#[test]
fn only_who_changes_a_bulky_value_waits() {
    let server = Server::aedile(&INLINE);
    let mut c = server.connect();
    fill(&mut c, 400);
    for key in ["changed", "removed", "replaced", "renamed"] {
        bulky(&mut c, key);
    }
    let digest = c.run("DEBUG DIGEST").text();
    // Nothing goes on but the first key.
    c.ok("CONFIG SET rdb-key-save-delay 100000000");
    assert!(!c.run("BGSAVE").is_error());
    assert_eq!(c.run("UNLINK removed").int(), 1);
    c.ok("SET replaced x");
    let mut waits = server.connect();
    waits.send(&["SADD", "changed", "one more"]);
    let mut in_exec = server.connect();
    in_exec.pipeline(&[vec!["MULTI"], vec!["SREM", "renamed", "member 1"]]);
    in_exec.send(&["EXEC"]);
    wait_until("both wait", || c.info("snapshot_inline_value_waits") == "2");
    assert_eq!(c.info("blocked_clients"), "2");
    assert_eq!(c.run("SCARD changed").int(), 2000);
    c.ok("SET key:1 y");
    c.ok("CONFIG SET rdb-key-save-delay 0");
    assert_eq!(waits.read().int(), 1);
    assert_eq!(in_exec.read().items()[0].int(), 1);
    saved(&mut c);
    assert_eq!(c.info("snapshot_inline_values_at_once"), "0");
    assert!(!c.run("DEBUG RELOAD NOSAVE").is_error());
    assert_eq!(c.run("DEBUG DIGEST").text(), digest);
}

/// A script may change what it did not declare: it cannot wait, and the snapshot is right all the same.
#[test]
fn what_cannot_wait_is_written_at_once() {
    let server = Server::aedile(&INLINE);
    let mut c = server.connect();
    bulky(&mut c, "set");
    fill(&mut c, 100);
    let digest = c.run("DEBUG DIGEST").text();
    c.ok("CONFIG SET rdb-key-save-delay 100000000");
    assert!(!c.run("BGSAVE").is_error());
    let script = "return redis.call('SREM', 'set', 'member 7')";
    assert_eq!(c.cmd(&["EVAL", script, "0"]).int(), 1);
    c.ok("CONFIG SET rdb-key-save-delay 0");
    saved(&mut c);
    assert!(!c.run("DEBUG RELOAD NOSAVE").is_error());
    assert_eq!(c.run("DEBUG DIGEST").text(), digest);
}

#[test]
fn a_snapshot_that_is_given_up_leaves_nothing() {
    let mut server = Server::aedile(&INLINE);
    let mut c = server.connect();
    fill(&mut c, 1000);
    c.ok("SAVE");
    let dir = server.rdb_path().parent().expect("a folder").to_owned();
    let temps = move || {
        std::fs::read_dir(&dir)
            .expect("the folder")
            .filter_map(|e| Some(e.ok()?.file_name()))
            .filter(|n| n.to_string_lossy().starts_with("temp-"))
            .count()
    };
    // More often than there are numbers for snapshots.
    for i in 0..20 {
        c.ok("CONFIG SET rdb-key-save-delay 100000");
        fill(&mut c, 1000);
        assert!(!c.run("BGSAVE").is_error());
        c.ok("SET key:1 x");
        c.ok(if i % 2 == 0 {
            "FLUSHALL"
        } else {
            "FLUSHALL ASYNC"
        });
        saved(&mut c);
    }
    assert_eq!(temps(), 0);
    c.ok("CONFIG SET rdb-key-save-delay 0");
    fill(&mut c, 1000);
    let digest = c.run("DEBUG DIGEST").text();
    assert!(!c.run("BGSAVE").is_error());
    saved(&mut c);
    assert!(!c.run("DEBUG RELOAD NOSAVE").is_error());
    assert_eq!(c.run("DEBUG DIGEST").text(), digest);
    // Killed in the middle: the file is what it was, and what was half written goes at the next start.
    c.ok("CONFIG SET rdb-key-save-delay 100000");
    c.ok("SET key:1 later");
    assert!(!c.run("BGSAVE").is_error());
    assert_eq!(temps(), 1);
    server.kill9();
    server.restart();
    assert_eq!(server.connect().run("DEBUG DIGEST").text(), digest);
    assert_eq!(temps(), 0);
    // Its end in the middle saves anew.
    let mut c = server.connect();
    c.ok("CONFIG SET rdb-key-save-delay 100000");
    c.ok("SET key:1 later");
    assert!(!c.run("BGSAVE").is_error());
    c.ok("CONFIG SET rdb-key-save-delay 0");
    c.send(&["SHUTDOWN", "SAVE"]);
    server.wait_exit();
    assert_eq!(temps(), 0);
    server.restart();
    assert_eq!(server.connect().run("GET key:1").text(), "later");
}

fn full_sync(diskless: &str) {
    let mut args = INLINE.to_vec();
    args.extend([
        "--repl-diskless-sync",
        diskless,
        "--repl-diskless-sync-delay",
        "0",
    ]);
    let master = Server::aedile(&args);
    let replica = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = master.connect();
    fill(&mut c, 5000);
    bulky(&mut c, "set");
    c.ok("CONFIG SET rdb-key-save-delay 50");
    replica.replicate(master.port);
    let mut rng = Rng(5);
    let end = Instant::now() + Duration::from_secs(60);
    let mut r = replica.connect();
    while r.info("master_link_status") != "up" {
        assert!(Instant::now() < end, "no link");
        for _ in 0..50 {
            let (a, b) = (rng.below(5000), rng.below(5000));
            c.run(&format!("APPEND key:{a} x"));
            c.run(&format!("DEL key:{b}"));
            c.run("SPOP set 3");
        }
    }
    assert_eq!(c.info("snapshot_inline_taken"), "1");
    assert_eq!(c.info("total_forks"), "0");
    c.run("WAIT 1 0");
    assert_eq!(r.run("DEBUG DIGEST").text(), c.run("DEBUG DIGEST").text());
}

#[test]
fn a_replica_syncs_by_a_file_from_the_loop() {
    full_sync("no");
}

#[test]
fn a_replica_syncs_by_a_pipe_from_the_loop() {
    full_sync("yes");
}

/// A replica that does not read holds up the snapshot, not the clients, and takes no memory.
#[test]
fn a_replica_that_does_not_read_holds_nobody_up() {
    let mut args = INLINE.to_vec();
    args.extend([
        "--repl-diskless-sync",
        "yes",
        "--repl-diskless-sync-delay",
        "0",
        "--rdbcompression",
        "no",
    ]);
    let server = Server::aedile(&args);
    let mut c = server.connect();
    c.run("DEBUG POPULATE 60000 key 1000");
    let mut silent = server.connect();
    silent.ok("REPLCONF capa eof");
    silent.send(&["PSYNC", "?", "-1"]);
    wait_until("the snapshot waits", || {
        c.info_int("snapshot_inline_buffered_bytes") > 8_000_000
    });
    for i in 0..2000 {
        c.ok(&format!("SET key:{i} other"));
    }
    assert!(c.info_int("snapshot_inline_buffered_bytes") < 32 << 20);
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    drop(silent);
    saved(&mut c);
}

/// No process can be made: whatever asked for a snapshot gets it from the loop, and the log says so.
/// A snapshot that was ended since nobody waited for it any more is no failure, which would hold the next one back.
#[test]
fn a_replica_that_has_left_may_come_back_at_once() {
    for mode in ["inline", "fork"] {
        let server = Server::aedile(&["--snapshot-mode", mode, "--save", ""]);
        let mut c = server.connect();
        fill(&mut c, 3000);
        c.ok("CONFIG SET rdb-key-save-delay 1000");
        for _ in 0..3 {
            let mut replica = server.connect();
            let reply = replica.run("PSYNC ? -1").text();
            assert!(reply.starts_with("FULLRESYNC "), "{mode}: {reply}");
            assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
            drop(replica);
            wait_until("its end", || c.info("connected_slaves") == "0");
            saved(&mut c);
        }
        assert_eq!(
            server.log_count("Background saving terminated by signal"),
            3
        );
    }
}

#[test]
fn a_fork_that_fails_is_done_without() {
    let scratch = Scratch::new();
    let library = preload(scratch.path(), "no_fork");
    let env = vec![("LD_PRELOAD".to_string(), library.into())];
    let args = [
        "--snapshot-mode",
        "fork",
        "--appendonly",
        "yes",
        "--repl-diskless-sync-delay",
        "0",
        "--enable-debug-command",
        "yes",
    ];
    let mut server = Server::start_with_env(Kind::Aedile, scratch, &args, env);
    let mut c = server.connect();
    fill(&mut c, 1000);
    let digest = c.run("DEBUG DIGEST").text();
    assert_eq!(c.run("BGSAVE").text(), "Background saving started");
    saved(&mut c);
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    server.wait_log("The snapshot is taken in the server's own loop instead.");
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    let replica = Server::aedile(&["--enable-debug-command", "yes"]);
    replica.replicate(server.port);
    replica.wait_link_up();
    assert_eq!(replica.connect().run("DEBUG DIGEST").text(), digest);
    assert_eq!(c.info("snapshot_inline_taken"), "3");
    assert_eq!(c.info("total_forks"), "0");
    server.kill9();
    server.restart();
    assert_eq!(server.connect().run("DEBUG DIGEST").text(), digest);
}

/// What is asked for while there is a snapshot already has its turn afterwards, or is refused; nothing is forgotten.
#[test]
fn two_snapshots_asked_for_at_once() {
    let server = Server::aedile(&[&INLINE[..], &["--appendonly", "yes"]].concat());
    let mut c = server.connect();
    fill(&mut c, 500);
    c.ok("CONFIG SET rdb-key-save-delay 100000");
    assert!(!c.run("BGSAVE").is_error());
    let reply = c.run("BGREWRITEAOF").text();
    assert_eq!(reply, "Background append only file rewriting scheduled");
    c.run("BGSAVE")
        .assert_error_prefix("ERR Background save already");
    assert_eq!(c.info("aof_rewrite_scheduled"), "1");
    // A replica that needs one, too.
    let replica = Server::aedile(&["--enable-debug-command", "yes"]);
    replica.replicate(server.port);
    wait_until("the replica waits", || c.info("connected_slaves") == "1");
    c.ok("SET key:1 other");
    c.ok("CONFIG SET rdb-key-save-delay 0");
    replica.wait_link_up();
    wait_until("the rewrite", || {
        c.info("aof_rewrite_in_progress") == "0" && c.info("aof_rewrite_scheduled") == "0"
    });
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    c.run("WAIT 1 0");
    let digest = c.run("DEBUG DIGEST").text();
    assert_eq!(replica.connect().run("DEBUG DIGEST").text(), digest);
    assert!(!c.run("DEBUG LOADAOF").is_error());
    assert_eq!(c.run("DEBUG DIGEST").text(), digest);
}

/// A string of many megabytes goes out without anybody waiting for its end, and a change of it waits alone.
#[test]
fn a_string_of_many_megabytes_is_saved_while_others_are_served() {
    let mut server = Server::aedile(&[&INLINE[..], &["--rdbcompression", "no"]].concat());
    let mut c = server.connect();
    assert_eq!(c.run("SETRANGE large 67108863 x"), 67_108_864);
    fill(&mut c, 10);
    let digest = c.run("DEBUG DIGEST").text();
    assert!(!c.run("BGSAVE").is_error());
    assert_eq!(c.run("APPEND large y"), 67_108_865);
    c.ok("SET key:1 other");
    saved(&mut c);
    server.kill9();
    server.restart();
    assert_eq!(server.connect().run("DEBUG DIGEST").text(), digest);
}
