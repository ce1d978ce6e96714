//! What the program says of itself and of a configuration: --check-config, --help, --version, --test-memory, --check-system,
//! --install-links, REPLICATION, and the fields of INFO that are Aedile's own.

use crate::support::server::{Scratch, run_to_end};
use crate::support::state::small_snapshot;
use crate::support::*;

fn check(dir: &Scratch, text: &str) -> (Option<i32>, String) {
    let path = dir.write("test.conf", text);
    let path = path.to_str().expect("text");
    let ended = run_to_end(Kind::Aedile, dir.path(), &["--check-config", path], b"");
    (ended.status.code(), ended.stdout)
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let dir = Scratch::new();
    let here = format!("dir {}\n", dir.path().display());
    let (code, out) = check(&dir, &here);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with("  0 errors, 0 warnings\n"), "{out}");
    // All that is wrong, with its line.
    let (code, out) = check(
        &dir,
        &format!("{here}prot 1\nport x\nrequirepass a b\nport 7\n"),
    );
    assert_eq!(code, Some(2), "{out}");
    for part in [
        "error: line 2: 'prot 1': Bad directive",
        "error: line 3: 'port x'",
        "3 errors",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("a b"), "{out}");
    // What is dangerous or without effect.
    let (code, out) = check(
        &dir,
        &format!("{here}protected-mode no\nio-threads 4\nmaxmemory 900000gb\nrepl-timeout 5\n"),
    );
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "no password",
        "'io-threads' has no effect",
        "maxmemory is",
        "repl-timeout is 5",
    ] {
        assert!(out.contains(&format!("warning: {part}")), "{part}: {out}");
    }
    // What only a server can judge.
    let (code, out) = check(&dir, &format!("{here}user bob on +nosuchcommand\n"));
    assert_eq!(code, Some(2), "{out}");
    let (code, out) = check(&dir, &format!("{here}tls-port 7\ntls-cert-file nowhere\n"));
    assert_eq!(code, Some(2), "{out}");
    // Nothing was made, not even the log.
    let (code, _) = check(
        &dir,
        &format!("{here}logfile {}\n", dir.join("log").display()),
    );
    assert_eq!(code, Some(0));
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("listed")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["test.conf"]);
    // Several: the worst counts; none is an error, and one that is not there.
    let run = |args: &[&str]| {
        run_to_end(Kind::Aedile, dir.path(), args, b"")
            .status
            .code()
    };
    dir.write("good.conf", &here);
    dir.write("bad.conf", "x y\n");
    assert_eq!(run(&["--check-config", "good.conf", "bad.conf"]), Some(2));
    assert_eq!(run(&["--check-config", "good.conf", "good.conf"]), Some(0));
    assert_eq!(run(&["--check-config"]), Some(2));
    assert_eq!(run(&["--check-config", "nowhere.conf"]), Some(2));
}

#[test]
fn the_data_files_of_a_configuration_are_looked_at() {
    let dir = Scratch::new();
    let here = format!("dir {}\n", dir.path().display());
    let bytes = small_snapshot(&Server::aedile(&[]));
    dir.write("dump.rdb", &bytes);
    let (code, out) = check(&dir, &here);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("RDB version 11") && out.contains("holds keys, can be read"),
        "{out}"
    );
    let (code, out) = check(&dir, &format!("{here}appendonly yes\n"));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("would not read them and begin empty"), "{out}");
    let mut newer = bytes.clone();
    newer[5..9].copy_from_slice(b"0099");
    dir.write("dump.rdb", &newer);
    let (code, out) = check(&dir, &here);
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("cannot be read"), "{out}");
    // An append-only file with its parts, and one of which a part is gone.
    let mut server = Server::aedile(&["--appendonly", "yes"]);
    server.connect().ok("SET a b");
    server.terminate();
    let here = format!("dir {}\n", server.scratch.path().display());
    let (code, out) = check(&dir, &format!("{here}appendonly yes\n"));
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains(".base.rdb: RDB version 11") && out.contains(".incr.aof: commands, "),
        "{out}"
    );
    let (code, out) = check(&dir, &here);
    assert_eq!(code, Some(1), "{out}");
    std::fs::remove_file(
        server
            .scratch
            .join("appendonlydir/appendonly.aof.1.base.rdb"),
    )
    .expect("removed");
    let (code, out) = check(&dir, &format!("{here}appendonly yes\n"));
    assert_eq!(code, Some(2), "{out}");
}

#[test]
fn what_the_command_line_offers_is_there() {
    let dir = Scratch::new();
    let run = |args: &[&str]| run_to_end(Kind::Aedile, dir.path(), args, b"");
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let own = format!(
        "Aedile {}, a Redis server v=7.2.4 ",
        env!("CARGO_PKG_VERSION")
    );
    assert!(version.stdout.starts_with(&own), "{}", version.stdout);
    let help = run(&["--help"]);
    assert!(help.stderr.starts_with("Aedile "), "{}", help.stderr);
    let tested = run(&["--test-memory", "4"]);
    assert_eq!(tested.status.code(), Some(0));
    assert!(tested.stdout.contains("Your memory passed this test."));
    assert_eq!(
        run(&["--test-memory", "99999999999"]).status.code(),
        Some(1)
    );
    assert_eq!(run(&["--test-memory"]).status.code(), Some(1));
    let system = run(&["--check-system"]);
    let warned = system.stdout.contains("WARNING:");
    assert_eq!(
        system.status.code(),
        Some(i32::from(warned)),
        "{}",
        system.stdout
    );
    assert!(system.stdout.contains("[overcommit] ...") && system.stdout.contains("[THP] ..."));
    // Links, by which it is the tools; and a file of somebody else's stays.
    std::fs::create_dir(dir.join("bin")).expect("made");
    std::fs::write(dir.join("bin/redis-sentinel"), b"another's").expect("written");
    let links = run(&["--install-links", "bin"]);
    assert_eq!(links.status.code(), Some(1));
    assert_eq!(
        std::fs::read(dir.join("bin/redis-sentinel")).expect("there"),
        b"another's"
    );
    std::fs::remove_file(dir.join("bin/redis-sentinel")).expect("removed");
    assert_eq!(run(&["--install-links", "bin"]).status.code(), Some(0));
    let mut command = std::process::Command::new(dir.join("bin/redis-check-rdb"));
    command.arg("nowhere.rdb");
    let ended = crate::support::server::end_of(command, b"");
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stdout.contains("nowhere.rdb"), "{}", ended.stdout);
    assert_eq!(run(&["--install-links", "nowhere"]).status.code(), Some(1));
    // Under its own names, as a package has them beside Redis' programs.
    for (name, said) in [
        ("aedile-check-rdb", "nowhere.rdb"),
        ("aedile-check-aof", "nowhere.rdb"),
    ] {
        let link = dir.join(name);
        std::os::unix::fs::symlink(Kind::Aedile.program(), &link).expect("made");
        let mut command = std::process::Command::new(&link);
        command.arg("nowhere.rdb");
        let ended = crate::support::server::end_of(command, b"");
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stdout.contains(said), "{name}: {ended:?}");
    }
}

/// `--ping`, for health checks: whatever a server says is an answer, and silence is none.
#[test]
fn a_server_is_asked_whether_it_answers() {
    let dir = Scratch::new();
    let ping = |target: &[&str]| {
        let args: Vec<&str> = std::iter::once("--ping")
            .chain(target.iter().copied())
            .collect();
        let ended = run_to_end(Kind::Aedile, dir.path(), &args, b"");
        (ended.status.code(), ended.stdout.trim_end().to_string())
    };
    let answers = |said: &str| (Some(0), said.to_string());
    let path = dir.join("s.sock");
    let path = path.to_str().expect("text");
    let server = Server::aedile(&["--unixsocket", path]);
    let port = server.port.to_string();
    assert_eq!(ping(&[&port]), answers("PONG"));
    assert_eq!(ping(&[path]), answers("PONG"));
    let mut c = server.connect();
    c.ok("CONFIG SET requirepass secret");
    let (code, said) = ping(&[&port]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("NOAUTH"), "{said}");
    drop(server);
    assert_eq!(ping(&[&port]).0, Some(1));
    assert_eq!(ping(&[path]).0, Some(1));
    for nonsense in ["70000", "x", ""] {
        assert_eq!(ping(&[nonsense]).0, Some(1), "{nonsense}");
    }
    // One that is there and is no server.
    let listener = crate::support::server::free_listener();
    let other = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    let thread = std::thread::spawn(move || {
        use std::io::Write;
        let (mut s, _) = listener.accept().expect("it asks");
        s.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("sent");
    });
    assert_eq!(ping(&[&other]).0, Some(1));
    thread.join().expect("no panic");
}

#[test]
fn replication_is_explained() {
    let master = Server::aedile(&["--repl-backlog-size", "16kb"]);
    let mut c = master.connect();
    let explain = |c: &mut Conn| -> String {
        let v = c.run("REPLICATION EXPLAIN");
        let lines: Vec<String> = v.items().iter().map(|l| l.text()).collect();
        lines.join("\n")
    };
    let text = explain(&mut c);
    assert!(
        text.starts_with("This server is a master, at offset 0 of history "),
        "{text}"
    );
    assert!(text.contains("the first one gets a full sync"), "{text}");
    let of = format!("127.0.0.1 {}", master.port);
    let replica = Server::aedile(&["--replicaof", &of]);
    let mut r = replica.connect();
    wait_until("in sync", || r.info("master_link_status") == "up");
    wait_until("acknowledged", || {
        let text = explain(&mut c);
        text.contains(&format!(
            "Replica 127.0.0.1:{}: Online, and up to date.",
            replica.port
        )) && text.contains("it would go on with a partial resync from offset")
    });
    let text = explain(&mut r);
    assert!(
        text.contains("Connected. The stream is applied up to offset"),
        "{text}"
    );
    assert!(
        text.contains("would ask for a partial resync from offset"),
        "{text}"
    );
    // What is said comes true: within the backlog it is a partial resync, beyond it a full one.
    replica.sigstop();
    c.ok("SET a b");
    let text = explain(&mut c);
    assert!(
        text.contains("Online. It has not acknowledged") && text.contains("partial resync"),
        "{text}"
    );
    // More than the sockets hold: it has not got it.
    for i in 0..40 {
        c.cmd(&["SET", &format!("big{i}"), &"x".repeat(1 << 20)])
            .assert_ok();
    }
    let text = explain(&mut c);
    assert!(
        text.contains("a full sync would follow, unless it has got more"),
        "{text}"
    );
    let lag = c.run("REPLICATION LAG");
    let row = lag.items()[0].items();
    assert_eq!(row[1], i64::from(replica.port));
    assert_eq!(row[6], 41);
    c.run("CLIENT KILL TYPE replica");
    replica.sigcont();
    wait_until("in sync again", || c.info("slave0").contains("online"));
    assert!(c.info("full_sync_reasons").contains("backlog_too_short=1"));
    // A link that cannot be had.
    r.ok("REPLICAOF 127.0.0.1 1");
    wait_until("a problem", || {
        explain(&mut r).contains("nothing listens") || explain(&mut r).contains("refused")
    });
    let info = r.run("INFO replication").text();
    assert!(
        info.contains("master_link_next_attempt_ms:")
            && info.contains("master_link_failed_attempts:"),
        "{info}"
    );
    let help = format!("{:?}", c.run("REPLICATION HELP"));
    assert!(help.contains("EXPLAIN") && help.contains("LAG"));
    c.run("REPLICATION NONSENSE")
        .assert_error_prefix("ERR unknown subcommand");
}

#[test]
fn info_lists_what_has_no_effect() {
    let server = Server::aedile(&["--io-threads", "4", "--bgsave_cpulist", "1"]);
    let mut c = server.connect();
    assert_eq!(
        c.info("directives_without_effect"),
        "bgsave_cpulist,io-threads"
    );
    let server = Server::aedile(&[]);
    let info = server.connect().run("INFO server").text();
    assert!(!info.contains("directives_without_effect"));
}

#[test]
fn large_and_hot_keys_are_found_without_a_scan() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("MEMORY BIGKEYS")
        .assert_error_prefix("ERR keys are not sampled");
    for i in 0..2000 {
        c.send(&["SET", &format!("k{i}"), "v"]);
    }
    for _ in 0..2000 {
        c.read().assert_ok();
    }
    c.cmd(&["SET", "largest", &"x".repeat(200_000)]).assert_ok();
    c.ok("SELECT 3");
    for i in 0..1000 {
        c.send(&["RPUSH", "list", &format!("element {i}")]);
    }
    for _ in 0..1000 {
        c.read();
    }
    c.config_set("key-sampling-rate", "100000");
    let first = |v: &Value, i: usize| -> Vec<String> {
        v.items()
            .get(i)
            .map_or(Vec::new(), |k| k.items().iter().map(|x| x.text()).collect())
    };
    wait_until("the largest keys", || {
        let v = c.run("MEMORY BIGKEYS COUNT 2");
        let (a, b) = (first(&v, 0), first(&v, 1));
        a.len() == 4
            && a[..3] == ["0", "largest", "string"]
            && b.len() == 4
            && b[..3] == ["3", "list", "list"]
    });
    assert_eq!(c.run("MEMORY BIGKEYS").items().len(), 10);
    c.run("MEMORY BIGKEYS COUNT x").assert_error_prefix("ERR ");
    c.run("MEMORY HOTKEYS").assert_error_prefix("ERR An LFU");
    c.config_set("maxmemory-policy", "allkeys-lfu");
    c.ok("SELECT 0");
    for _ in 0..2000 {
        c.send(&["GET", "k7"]);
    }
    for _ in 0..2000 {
        c.read();
    }
    wait_until("the hottest key", || {
        first(&c.run("MEMORY HOTKEYS COUNT 1"), 0)
            .get(1)
            .is_some_and(|k| k == "k7")
    });
    // What is deleted is gone from the list with the next walks, and all of it when it is off.
    c.run("DEL largest");
    wait_until("the key gone", || {
        first(&c.run("MEMORY BIGKEYS COUNT 1"), 0)
            .get(1)
            .is_some_and(|k| k != "largest")
    });
    c.config_set("key-sampling-rate", "0");
    c.run("MEMORY BIGKEYS")
        .assert_error_prefix("ERR keys are not sampled");
}
