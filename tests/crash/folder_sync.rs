//! A folder whose sync fails after a file in it was renamed: what the new name stands for stays, is used, and is found again
//! after the server was killed; the failure is told.

use std::fs;

use super::slow_sync::Disk;
use crate::support::{Conn, Server, wait_until};

/// The append-only folder, not the files in it.
const FOLDER: &str = "appendonlydir$";
const KEYS: usize = 500;

/// Names in the append-only folder.
fn files(server: &Server) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(server.scratch.join("appendonlydir"))
        .expect("the folder")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn manifest(server: &Server) -> String {
    let path = server.scratch.join("appendonlydir/appendonly.aof.manifest");
    fs::read_to_string(path).expect("a manifest")
}

/// All that the manifest names is there.
#[track_caller]
fn whole(server: &Server) {
    let (manifest, files) = (manifest(server), files(server));
    for line in manifest.lines() {
        let name = line.split(' ').nth(1).expect("a name");
        assert!(files.iter().any(|f| f == name), "{name} of {manifest}");
    }
}

fn fill(c: &mut Conn, name: &str) {
    for i in 0..KEYS {
        c.ok(&format!("SET {name}:{i} {i}"));
    }
}

#[track_caller]
fn filled(c: &mut Conn, names: &[&str]) {
    for name in names {
        for i in 0..KEYS {
            assert_eq!(c.run(&format!("GET {name}:{i}")), i.to_string().as_str());
        }
    }
    assert_eq!(c.run("DBSIZE"), (KEYS * names.len()) as i64);
}

/// Kills the server, starts it again on a sound disk, and finds what these have filled.
#[track_caller]
fn killed_and_found(disk: &Disk, server: &mut Server, names: &[&str]) {
    server.kill9();
    whole(server);
    disk.heal();
    server.restart();
    filled(&mut server.connect(), names);
}

/// A rewrite under way whose child has written all; when this returns, every sync of the folder fails.
fn rewrite_until_the_folder_fails(disk: &Disk, start: impl FnOnce()) {
    disk.hang("temp-rewriteaof", start);
    disk.fail(FOLDER, libc::EIO);
}

fn wait_rewritten(c: &mut Conn) {
    wait_until("the rewrite", || {
        c.info("aof_rewrite_in_progress") == "0" && c.info("aof_rewrite_scheduled") == "0"
    });
}

/// What upstream loses all data by: the base that the manifest names is unlinked there.
#[test]
fn the_end_of_a_rewrite() {
    let (disk, mut server) = Disk::server(&["--appendonly", "yes"]);
    let mut c = server.connect();
    fill(&mut c, "first");
    rewrite_until_the_folder_fails(&disk, || {
        assert!(!c.run("BGREWRITEAOF").is_error());
    });
    let mut c = server.connect();
    wait_rewritten(&mut c);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
    server.wait_log("Fail to fsync AOF directory");
    server.wait_log("The rewritten AOF is in use.");
    assert!(!server.log_has("Background AOF rewrite finished successfully"));
    whole(&server);
    // What was before is kept: a power loss may bring its manifest back. And nobody is promised more than that.
    assert_eq!(manifest(&server).matches("type h").count(), 2);
    fill(&mut c, "second");
    assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
    killed_and_found(&disk, &mut server, &["first", "second"]);
    // The start has made up for it.
    assert_eq!(manifest(&server).matches("type h").count(), 0);
    let mut c = server.connect();
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_rewritten(&mut c);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    assert_eq!(files(&server).len(), 3, "{:?}", files(&server));
    killed_and_found(&disk, &mut server, &["first", "second"]);
}

/// The same server goes on: the folder is synced once it can be, what was kept goes, and the next rewrite works.
#[test]
fn a_folder_that_is_sound_again() {
    let (disk, mut server) = Disk::server(&["--appendonly", "yes"]);
    let mut c = server.connect();
    fill(&mut c, "first");
    rewrite_until_the_folder_fails(&disk, || {
        assert!(!c.run("BGREWRITEAOF").is_error());
    });
    let mut c = server.connect();
    wait_rewritten(&mut c);
    // It is tried again, and said once.
    let failed = disk.count("fail sync", "appendonlydir");
    disk.wait_more("fail sync", "appendonlydir", failed);
    assert_eq!(server.log_count("Fail to fsync AOF directory"), 1);
    fill(&mut c, "second");
    disk.heal();
    server.wait_log("The AOF directory is synced again.");
    wait_until("the history to go", || files(&server).len() == 3);
    assert_eq!(c.run("WAITAOF 1 0 0").items()[0], 1);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_rewritten(&mut c);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    assert_eq!(files(&server).len(), 3, "{:?}", files(&server));
    killed_and_found(&disk, &mut server, &["first", "second"]);
}

/// Its beginning: the increment that it opens is not used, and the manifest does not name it any more.
#[test]
fn the_start_of_a_rewrite() {
    let (disk, mut server) = Disk::server(&["--appendonly", "yes"]);
    let mut c = server.connect();
    fill(&mut c, "first");
    let before = manifest(&server);
    disk.fail(FOLDER, libc::EIO);
    for _ in 0..2 {
        assert!(c.run("BGREWRITEAOF").is_error());
        assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
        assert_eq!(manifest(&server), before);
        assert_eq!(files(&server).len(), 4, "{:?}", files(&server));
    }
    fill(&mut c, "second");
    killed_and_found(&disk, &mut server, &["first", "second"]);
    let mut c = server.connect();
    disk.fail(FOLDER, libc::EIO);
    assert!(c.run("BGREWRITEAOF").is_error());
    disk.heal();
    assert!(!c.run("BGREWRITEAOF").is_error());
    wait_rewritten(&mut c);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
    fill(&mut c, "third");
    killed_and_found(&disk, &mut server, &["first", "second", "third"]);
}

/// The first base of a file that was switched on while the server ran.
#[test]
fn the_first_rewrite() {
    let (disk, mut server) = Disk::server(&[]);
    let mut c = server.connect();
    fill(&mut c, "first");
    rewrite_until_the_folder_fails(&disk, || c.config_set("appendonly", "yes"));
    fill(&mut c, "second");
    wait_rewritten(&mut c);
    assert_eq!(c.info("aof_last_bgrewrite_status"), "err");
    whole(&server);
    fill(&mut c, "third");
    assert_eq!(c.run("WAITAOF 1 0 50").items()[0], 0);
    server.kill9();
    disk.heal();
    server.restart_with(&["--appendonly", "yes"]);
    filled(&mut server.connect(), &["first", "second", "third"]);
}

/// A snapshot: it has its name, but the save has failed.
#[test]
fn a_snapshot() {
    let (disk, mut server) = Disk::server(&["--save", "100000 1000000"]);
    let name = server.scratch.path().file_name().expect("a name");
    let folder = format!("{}$", name.to_string_lossy());
    let mut c = server.connect();
    fill(&mut c, "first");
    c.ok("SAVE");
    fill(&mut c, "second");
    disk.fail(&folder, libc::EIO);
    let changes = c.info("rdb_changes_since_last_save");
    c.run("SAVE").assert_error("ERR");
    assert!(!c.run("BGSAVE").is_error());
    wait_until("the save", || c.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(c.info("rdb_last_bgsave_status"), "err");
    assert_eq!(c.info("rdb_changes_since_last_save"), changes);
    server.wait_log("Failed to fsync directory while saving DB: Input/output error");
    server.kill9();
    disk.heal();
    server.restart();
    filled(&mut server.connect(), &["first", "second"]);
}
