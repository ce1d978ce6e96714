//! Saving, loading, refusing damaged files, expiry, SHUTDOWN.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::server::{Scratch, free_port, run_to_end};
use crate::support::*;

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("clock")
        .as_millis() as u64
}

fn populate(c: &mut Conn) {
    let mut cmds: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut rng = Rng(7);
    for i in 0..2000 {
        let key = format!("key:{i}").into_bytes();
        let len = rng.below(300);
        let value = match i % 4 {
            0 => i.to_string().into_bytes(),
            1 => b"ab".repeat(len / 2),
            2 => format!("-{}", rng.next_u64() >> rng.below(60)).into_bytes(),
            _ => rng.bytes(len),
        };
        let mut cmd = vec![b"SET".to_vec(), key, value];
        if i % 5 == 0 {
            cmd.extend([b"PX".to_vec(), (1_000_000 + i).to_string().into_bytes()]);
        }
        cmds.push(cmd);
    }
    cmds.push(vec![b"SELECT".to_vec(), b"5".to_vec()]);
    cmds.push(vec![b"SET".to_vec(), Vec::new(), b"empty key".to_vec()]);
    cmds.push(vec![b"SET".to_vec(), b"empty value".to_vec(), Vec::new()]);
    cmds.push(vec![b"SET".to_vec(), b"big".to_vec(), rng.bytes(3_000_000)]);
    cmds.push(vec![b"SELECT".to_vec(), b"0".to_vec()]);
    for reply in c.pipeline(&cmds) {
        reply.assert_ok();
    }
}

#[test]
fn save_and_restart() {
    let mut server = Server::aedile(&[]);
    let mut c = server.connect();
    populate(&mut c);
    let before = dump_state(&mut c);
    assert_eq!(before.len(), 2003);
    c.ok("SAVE");
    assert_eq!(c.info("rdb_changes_since_last_save"), "0");
    server.kill9();
    server.restart();
    assert_equal_state(&before, &dump_state(&mut server.connect()));
    assert!(server.log_has("DB loaded from disk"), "{}", server.log());
}

/// The end of a rewrite that is killed is known at once: another one can begin.
#[test]
fn a_killed_rewrite_makes_room() {
    let server = Server::aedile(&["--appendonly", "yes"]);
    let mut c = server.connect();
    c.ok("SET a 1");
    c.config_set("rdb-key-save-delay", "10000000");
    assert!(!c.run("BGREWRITEAOF").is_error());
    for _ in 0..5 {
        c.config_set("appendonly", "no");
        assert_eq!(c.info("aof_rewrite_in_progress"), "0");
        // One without an append-only file, which switching that on ends.
        assert!(!c.run("BGREWRITEAOF").is_error());
        c.config_set("appendonly", "yes");
        assert_eq!(c.info("aof_rewrite_in_progress"), "1");
        c.config_set("appendonly", "no");
        c.config_set("appendonly", "yes");
    }
    c.config_set("appendonly", "no");
    c.config_set("rdb-key-save-delay", "0");
    c.config_set("appendonly", "yes");
    wait_until("the first base", || {
        c.info("aof_rewrite_in_progress") == "0"
    });
    assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
}

/// A child gives memory back as it saves: what it shares with a value that is still to be saved has to stay.
#[test]
fn bgsave_of_large_values() {
    for preamble in ["yes", "no"] {
        let mut server =
            Server::aedile(&["--appendonly", "yes", "--aof-use-rdb-preamble", preamble]);
        let mut c = server.connect();
        let mut rng = Rng(11);
        c.config_set("list-compress-depth", "1");
        for i in 0..20 {
            let big = rng.bytes(40_000 + i);
            let key = |name: &str| format!("{name}:{i}").into_bytes();
            c.cmd(&[b"SET".to_vec(), key("string"), big.clone()])
                .assert_ok();
            c.cmd(&[b"COPY".to_vec(), key("string"), key("copy")]);
            for part in big.chunks(9_000) {
                c.cmd(&[b"RPUSH".to_vec(), key("list"), part.to_vec()]);
                c.cmd(&[b"RPUSH".to_vec(), key("list"), vec![b'a'; 9_000]]);
                c.cmd(&[b"SADD".to_vec(), key("set"), part.to_vec()]);
                c.cmd(&[b"ZADD".to_vec(), key("zset"), b"1".to_vec(), part.to_vec()]);
                c.cmd(&[
                    b"HSET".to_vec(),
                    key("hash"),
                    part[..9].to_vec(),
                    part.to_vec(),
                ]);
                c.cmd(&[
                    b"XADD".to_vec(),
                    key("stream"),
                    b"*".to_vec(),
                    b"f".to_vec(),
                    part.to_vec(),
                ]);
            }
            for n in 0..500 {
                let n = format!("{}", n * 1_000_000_000_000_i64);
                c.cmd(&[b"SADD".to_vec(), key("intset"), n.into_bytes()]);
            }
        }
        // A client that does not read shares values with the data set.
        let mut slow = server.connect();
        for i in 0..20 {
            slow.send(&["GET", &format!("string:{i}")]);
            slow.send(&["LRANGE", &format!("list:{i}"), "0", "-1"]);
        }
        let before = dump_state(&mut c);
        c.run("BGREWRITEAOF");
        wait_until("the rewrite", || c.info("aof_rewrite_in_progress") == "0");
        assert_eq!(c.info("aof_last_bgrewrite_status"), "ok");
        assert!(!c.run("BGSAVE").is_error());
        wait_until("the save", || c.info("rdb_bgsave_in_progress") == "0");
        assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
        server.kill9();
        server.restart();
        assert_equal_state(&before, &dump_state(&mut server.connect()));
        server.kill9();
        server.restart_with(&["--appendonly", "no"]);
        assert_equal_state(&before, &dump_state(&mut server.connect()));
    }
}

/// What a child has saved is its own no more, for each type of value (so it is not copied when the parent writes to it).
#[test]
fn a_child_gives_back_what_it_has_saved() {
    const MB: u64 = 1 << 20;
    // Memory of their own: pages of the program are in one process and not yet in the other.
    let anonymous = |pid: u32| -> u64 {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("Anonymous:"));
        let kb = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kb.unwrap_or(0) * 1024
    };
    let big = |i: usize| [format!("{i:08}").into_bytes(), vec![b'v'; 12_000]].concat();
    let many = |name: &str, words: &dyn Fn(usize) -> Vec<Vec<u8>>| -> Vec<Vec<Vec<u8>>> {
        let head = [name.as_bytes().to_vec(), b"key".to_vec()];
        (0..1600).map(|i| [&head[..], &words(i)].concat()).collect()
    };
    // The value, and how much of it can be had back at the least: whole pages inside its parts, one of three where a header comes
    // before what is as long as this.
    let mut kinds = vec![
        ("list", many("RPUSH", &|i| vec![big(i)]), 10 * MB),
        ("set", many("SADD", &|i| vec![big(i)]), 10 * MB),
        (
            "sorted set",
            many("ZADD", &|i| vec![b"1".to_vec(), big(i)]),
            5 * MB,
        ),
        (
            "hash",
            many("HSET", &|i| vec![i.to_string().into_bytes(), big(i)]),
            5 * MB,
        ),
        (
            "hash of large values",
            (0..400)
                .map(|i| {
                    let value = vec![b'v'; 50_000];
                    let words = [b"HSET".to_vec(), b"key".to_vec()];
                    [&words[..], &[i.to_string().into_bytes(), value]].concat()
                })
                .collect(),
            14 * MB,
        ),
        (
            "stream",
            many("XADD", &|_| vec![b"*".to_vec(), b"f".to_vec(), big(0)]),
            10 * MB,
        ),
        (
            "string",
            vec![vec![b"SET".to_vec(), b"key".to_vec(), vec![b'v'; 20 << 20]]],
            18 * MB,
        ),
    ];
    // Small members: only the table itself.
    for (name, command) in [
        ("table of a set", "SADD"),
        ("table of a sorted set", "ZADD"),
    ] {
        let mut commands = Vec::new();
        for i in 0..500 {
            let mut words = vec![command.as_bytes().to_vec(), b"key".to_vec()];
            for n in 0..1000 {
                if command == "ZADD" {
                    words.push(b"0".to_vec());
                }
                words.push(format!("m{}", i * 1000 + n).into_bytes());
            }
            commands.push(words);
        }
        kinds.push((name, commands, 4 * MB));
    }
    let server = Server::aedile(&["--rdbcompression", "no"]);
    let mut c = server.connect();
    for (name, commands, least) in kinds {
        for command in commands.chunks(50) {
            assert!(c.pipeline(command).iter().all(|r| !r.is_error()), "{name}");
        }
        // The child stops when it has saved the key.
        c.config_set("rdb-key-save-delay", "60000000");
        assert!(!c.run("BGSAVE").is_error());
        let children = format!("/proc/{0}/task/{0}/children", server.pid());
        let child: u32 = wait_for("the child", || {
            fs::read_to_string(&children).ok()?.trim().parse().ok()
        });
        let parent = anonymous(server.pid());
        wait_until(
            &format!("{name}: {least} of the parent's {parent} bytes from the child"),
            || (1..parent.saturating_sub(least)).contains(&anonymous(child)),
        );
        c.config_set("rdb-key-save-delay", "0");
        // SAFETY: kill takes no pointers; the pid is of our child's child, which is reaped only when it has ended.
        assert_eq!(
            unsafe { libc::kill(child as libc::pid_t, libc::SIGUSR1) },
            0
        );
        wait_until("its end", || c.info("rdb_bgsave_in_progress") == "0");
        c.ok("FLUSHALL");
    }
}

#[test]
fn bgsave() {
    let mut server = Server::aedile(&["--rdb-key-save-delay", "200"]);
    let mut c = server.connect();
    populate(&mut c);
    let before = dump_state(&mut c);
    let last = c.run("LASTSAVE").int();
    assert_eq!(c.run("BGSAVE"), "Background saving started");
    c.run("BGSAVE")
        .assert_error("ERR Background save already in progress");
    c.run("SAVE")
        .assert_error("ERR Background save already in progress");
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    // Writes during the save are not part of it.
    c.ok("SET key:1 changed");
    c.run("DEL key:2");
    c.config_set("rdb-key-save-delay", "0");
    wait_until("the end of BGSAVE", || {
        c.info("rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    assert!(c.run("LASTSAVE").int() >= last);
    server.wait_log("Background saving terminated with success");
    server.kill9();
    server.restart();
    assert_equal_state(&before, &dump_state(&mut server.connect()));
}

#[test]
fn bgsave_child_killed() {
    let server = Server::aedile(&["--rdb-key-save-delay", "10000000"]);
    let mut c = server.connect();
    populate(&mut c);
    assert_eq!(c.run("BGSAVE"), "Background saving started");
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid()))
        .expect("children");
    let child: i32 = child.trim().parse().expect("one child");
    // SAFETY: kill takes no pointers; the pid is the one child of the server this test started.
    unsafe { libc::kill(child, libc::SIGUSR1) };
    wait_until("the end of BGSAVE", || {
        c.info("rdb_bgsave_in_progress") == "0"
    });
    // No temporary file is left.
    let left: Vec<_> = std::fs::read_dir(server.scratch.path())
        .expect("dir")
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|n| n.ends_with(".rdb"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn save_points_trigger() {
    let server = Server::aedile(&["--save", "1 5"]);
    let mut c = server.connect();
    for i in 0..10 {
        c.ok(&format!("SET k{i} v"));
    }
    wait_until("a save by save point", || server.rdb_path().exists());
    server.wait_log("changes in 1 seconds. Saving...");
}

/// Starts on this file and expects exit code 1.
fn refused(file: &[u8]) -> String {
    let dir = Scratch::new();
    dir.write("dump.rdb", file);
    let end = run_to_end(
        Kind::Aedile,
        dir.path(),
        &[
            "--port",
            &free_port().to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ],
        b"",
    );
    let log = format!("{}{}", end.stdout, end.stderr);
    assert_eq!(end.status.code(), Some(1), "{log}");
    assert!(!log.contains("Ready to accept"), "{log}");
    log
}

fn sample() -> Vec<u8> {
    rdb::file(&[
        ("a", "1", None),
        ("b", "two", Some(now_ms() + 1_000_000)),
        ("c", &"long ".repeat(100), None),
    ])
}

#[test]
fn hand_made_rdb_loads() {
    let dir = Scratch::new();
    dir.write("dump.rdb", sample());
    let server = Server::start_in(Kind::Aedile, dir, &[]);
    let mut c = server.connect();
    assert_eq!(c.run("DBSIZE"), 3);
    assert_eq!(c.run("GET a"), "1");
    assert_eq!(c.run("GET b"), "two");
    assert!(c.run("PTTL b").int() > 900_000);
    assert_eq!(c.run("STRLEN c"), 500);
}

#[test]
fn expired_keys_in_an_rdb_are_dropped() {
    let dir = Scratch::new();
    dir.write(
        "dump.rdb",
        rdb::file(&[("old", "1", Some(1_000)), ("new", "2", None)]),
    );
    let server = Server::start_in(Kind::Aedile, dir, &[]);
    assert_eq!(server.connect().run("DBSIZE"), 1);
}

#[test]
fn cut_rdb_is_refused() {
    let whole = sample();
    for cut in [
        10,
        12,
        30,
        whole.len() / 2,
        whole.len() - 9,
        whole.len() - 8,
        whole.len() - 1,
    ] {
        let log = refused(&whole[..cut]);
        assert!(
            log.contains("Short read or OOM loading DB")
                || log.contains("Terminating server after rdb file reading failure."),
            "cut at {cut}: {log}"
        );
    }
}

#[test]
fn flipped_rdb_is_refused() {
    let whole = sample();
    // In the middle of a value: only the checksum tells.
    let at = whole.len() - 100;
    let mut bad = whole.clone();
    bad[at] ^= 0x20;
    let log = refused(&bad);
    assert!(log.contains("Wrong RDB checksum"), "{log}");
    // The checksum itself.
    let mut bad = whole.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert!(refused(&bad).contains("Wrong RDB checksum"));
    // The magic and the version.
    let mut bad = whole.clone();
    bad[0] = b'X';
    assert!(refused(&bad).contains("Wrong signature trying to load DB from file"));
    let mut bad = whole.clone();
    bad[5..9].copy_from_slice(b"9999");
    assert!(refused(&bad).contains("Can't handle RDB format version 9999"));
    // An unknown type.
    let mut bad = b"REDIS0009\xfe\x00\x63\x01a\x01b\xff".to_vec();
    bad.extend_from_slice(&[0; 8]);
    refused(&bad);
}

#[test]
fn zero_checksum_is_not_checked() {
    let mut file = sample();
    let end = file.len();
    file[end - 8..].fill(0);
    let dir = Scratch::new();
    dir.write("dump.rdb", file);
    let server = Server::start_in(Kind::Aedile, dir, &[]);
    assert_eq!(server.connect().run("DBSIZE"), 3);
}

#[test]
fn expiry() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET k v PX 30");
    wait_until("lazy expiry", || c.run("GET k").is_null());
    assert_eq!(c.run("TTL k"), -2);
    // Keys that nobody touches go too.
    let cmds: Vec<Vec<String>> = (0..1000)
        .map(|i| {
            format!("SET e{i} v PX {}", 10 + i % 50)
                .split(' ')
                .map(String::from)
                .collect()
        })
        .collect();
    c.pipeline(&cmds);
    wait_until("active expiry", || c.run("DBSIZE") == 0);
    assert!(c.info_int("expired_keys") >= 1001);
}

#[test]
fn expiry_survives_a_restart() {
    let mut server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET gone v PX 50");
    c.ok("SET stays v PX 1000000");
    let at = c.run("PEXPIRETIME stays").int();
    c.ok("SAVE");
    server.kill9();
    std::thread::sleep(Duration::from_millis(60));
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("EXISTS gone"), 0);
    assert_eq!(c.run("PEXPIRETIME stays"), at);
}

#[test]
fn shutdown() {
    let mut server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET k v");
    c.run("SHUTDOWN nonsense").assert_error("ERR syntax error");
    c.run("SHUTDOWN SAVE NOSAVE")
        .assert_error("ERR syntax error");
    c.run("SHUTDOWN ABORT")
        .assert_error("ERR No shutdown in progress.");
    c.send(&["SHUTDOWN", "SAVE"]);
    assert_eq!(c.expect_close(), b"");
    assert_eq!(server.wait_exit().code(), Some(0));
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET k"), "v");
    c.ok("SET k w");
    c.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(c.expect_close(), b"");
    assert_eq!(server.wait_exit().code(), Some(0));
    server.restart();
    assert_eq!(server.connect().run("GET k"), "v");
}

#[test]
fn shutdown_refused_when_it_cannot_save() {
    let server = Server::aedile(&["--dbfilename", "sub.rdb"]);
    std::fs::create_dir_all(server.scratch.join("sub.rdb").join("x")).expect("mkdir");
    let mut c = server.connect();
    c.ok("SET k v");
    c.run("SAVE").assert_error_prefix("ERR");
    c.run("SHUTDOWN SAVE")
        .assert_error("ERR Errors trying to SHUTDOWN. Check logs.");
    assert_eq!(c.run("GET k"), "v");
}

#[test]
fn failed_bgsave_stops_writes() {
    let server = Server::aedile(&["--dbfilename", "sub.rdb", "--save", "10000 1"]);
    std::fs::create_dir_all(server.scratch.join("sub.rdb").join("x")).expect("mkdir");
    let mut c = server.connect();
    c.ok("SET k v");
    assert_eq!(c.run("BGSAVE"), "Background saving started");
    wait_until("a failed BGSAVE", || {
        c.info("rdb_last_bgsave_status") == "err"
    });
    c.run("SET k w").assert_error_prefix(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    );
    // Whoever watches the server shall see it.
    c.run("PING").assert_error_prefix("MISCONF ");
    assert_eq!(c.run("GET k"), "v");
    c.config_set("stop-writes-on-bgsave-error", "no");
    c.ok("SET k w");
    assert_eq!(c.run("PING"), "PONG");
    c.config_set("save", "");
    let _ = c.run("SHUTDOWN ABORT");
}

/// A child has the clients' sockets, too: what the server closes is closed at once all the same.
#[test]
fn a_client_killed_during_a_save_sees_it() {
    let server = Server::aedile(&[]);
    let (mut c, mut other) = (server.connect(), server.connect());
    c.ok("SET k v");
    c.config_set("rdb-key-save-delay", "60000000");
    c.run("BGSAVE");
    let id = other.run("CLIENT ID").int();
    assert_eq!(c.run(&format!("CLIENT KILL ID {id}")), 1);
    other.expect_close();
    assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
    c.config_set("rdb-key-save-delay", "0");
    c.ok("FLUSHALL");
}

/// A key that comes twice ends a load: what came before it stays, what comes behind it is not taken.
#[test]
fn a_key_that_comes_twice_is_refused() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    let mut file = b"REDIS0011\xfe\x00".to_vec();
    let before = (0..40).map(|i| format!("k{i:02}"));
    for key in before.chain(["k05".into(), "behind".into()]) {
        file.extend([0, key.len() as u8]);
        file.extend(key.bytes());
        file.extend(b"\x01v");
    }
    // Eight zeros for a checksum: there is none.
    file.extend(b"\xff\0\0\0\0\0\0\0\0");
    std::fs::write(server.rdb_path(), file).expect("the file");
    assert!(c.run("DEBUG RELOAD NOSAVE").is_error());
    assert_eq!(c.run("DBSIZE"), 40);
    assert_eq!(c.run("EXISTS behind"), 0);
    assert!(server.log_has("duplicated key 'k05'"));
}

#[test]
fn flushall_and_dbsize() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    populate(&mut c);
    assert_eq!(c.run("DBSIZE"), 2000);
    c.ok("FLUSHDB ASYNC");
    assert_eq!(c.run("DBSIZE"), 0);
    assert_eq!(dump_state(&mut c).len(), 3);
    c.ok("FLUSHALL SYNC");
    assert_eq!(dump_state(&mut c).len(), 0);
    c.run("FLUSHALL maybe").assert_error("ERR syntax error");
}

/// A supervisor that stops a service may signal all of its processes: the save that runs is the server's own business.
#[test]
fn sigterm_to_the_child_that_saves_is_no_failed_save() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    populate(&mut c);
    c.config_set("rdb-key-save-delay", "1000");
    c.run("BGSAVE");
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    let children = std::fs::read_to_string(children).expect("proc");
    let child = children.split_whitespace().next().expect("a child");
    for signal in ["-TERM", "-INT"] {
        let sent = std::process::Command::new("kill")
            .args([signal, child])
            .status();
        assert!(sent.is_ok_and(|s| s.success()));
    }
    wait_until("saved", || c.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
    assert!(server.log_has("Background saving terminated with success"));
}
