//! Start-up, its options and refusals, and the ways to end.

use std::time::Duration;

use crate::support::server::{Scratch, free_listener, free_port, run_to_end};
use crate::support::*;

#[test]
fn config_file() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "# a comment\n\nmaxclients 321\ntimeout 77\n");
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    assert_eq!(c.config_get("maxclients"), "321");
    assert_eq!(c.config_get("timeout"), "77");
    assert_eq!(c.info("config_file"), conf);
}

#[test]
fn config_from_stdin() {
    let dir = Scratch::new();
    dir.write("stdin", "maxclients 222\ntimeout 78\n");
    let server = Server::start_in(Kind::Aedile, dir, &["-"]);
    let mut c = server.connect();
    assert_eq!(c.config_get("maxclients"), "222");
    assert_eq!(c.config_get("timeout"), "78");
}

#[test]
fn options_override_the_file() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "timeout 77\n");
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf, "--timeout", "88"]);
    assert_eq!(server.connect().config_get("timeout"), "88");
}

#[test]
fn quoted_values_and_case() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "TimeOut 12\nrequirepass \"a b\\x41\"\n");
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    c.cmd(&["AUTH", "a bA"]).assert_ok();
    assert_eq!(c.config_get("timeout"), "12");
}

#[test]
fn bad_directive_names_its_line() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "timeout 10\n# fine\nno-such-directive 1 2\n");
    let conf = conf.to_str().expect("utf8");
    let end = run_to_end(Kind::Aedile, dir.path(), &[conf], b"");
    let text = format!("{}{}", end.stdout, end.stderr);
    assert_eq!(end.status.code(), Some(1), "{text}");
    assert!(text.contains("*** FATAL CONFIG FILE ERROR"), "{text}");
    assert!(
        text.contains(
            "Reading the configuration file, at line 3\n>>> 'no-such-directive 1 2'\n\
             Bad directive or wrong number of arguments\n"
        ),
        "{text}"
    );
}

#[test]
fn bad_values_are_refused() {
    for (line, error) in [
        (
            "timeout nope",
            "argument couldn't be parsed into an integer",
        ),
        (
            "maxclients 0",
            "argument must be between 1 and 4294967295 inclusive",
        ),
        ("daemonize perhaps", "argument must be 'yes' or 'no'"),
        ("maxmemory 1xb", "argument must be a memory value"),
        (
            "requirepass \"open",
            "Unbalanced quotes in configuration line",
        ),
        ("timeout", "\nwrong number of arguments\n"),
        ("timeout 1 2", "\nwrong number of arguments\n"),
    ] {
        let dir = Scratch::new();
        let conf = dir.write("a.conf", format!("{line}\n"));
        let end = run_to_end(
            Kind::Aedile,
            dir.path(),
            &[conf.to_str().expect("utf8")],
            b"",
        );
        let text = format!("{}{}", end.stdout, end.stderr);
        assert_eq!(end.status.code(), Some(1), "{line}: {text}");
        assert!(text.contains("at line 1\n"), "{line}: {text}");
        assert!(text.contains(error), "{line}: {text}");
    }
}

#[test]
fn missing_config_file() {
    let dir = Scratch::new();
    let end = run_to_end(Kind::Aedile, dir.path(), &["nowhere.conf"], b"");
    let text = format!("{}{}", end.stdout, end.stderr);
    assert_eq!(end.status.code(), Some(1), "{text}");
    assert!(
        text.contains("Fatal error, can't open config file"),
        "{text}"
    );
}

#[test]
fn include() {
    let dir = Scratch::new();
    let inner = dir.write("inner.conf", "timeout 5\nmaxclients 100\n");
    let conf = dir.write(
        "a.conf",
        format!("maxclients 200\ninclude {}\ntimeout 6\n", inner.display()),
    );
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    // The last line read wins, wherever it stands.
    assert_eq!(c.config_get("timeout"), "6");
    assert_eq!(c.config_get("maxclients"), "100");
}

#[test]
fn version_and_help() {
    let dir = Scratch::new();
    let end = run_to_end(Kind::Aedile, dir.path(), &["--version"], b"");
    assert_eq!(end.status.code(), Some(0));
    assert!(end.stdout.contains("v=7."), "{}", end.stdout);
    let end = run_to_end(Kind::Aedile, dir.path(), &["--help"], b"");
    assert!(
        format!("{}{}", end.stdout, end.stderr).contains("Usage:"),
        "{end:?}"
    );
}

#[test]
fn unix_socket() {
    let dir = Scratch::new();
    let path = dir.join("s.sock");
    let server = Server::start_in(
        Kind::Aedile,
        dir,
        &[
            "--unixsocket",
            path.to_str().expect("utf8"),
            "--unixsocketperm",
            "700",
        ],
    );
    let mut c = Conn::connect_unix(&path).expect("unix socket");
    assert_eq!(c.run("PING"), "PONG");
    c.ok("SET k v");
    assert_eq!(server.connect().run("GET k"), "v");
    assert!(c.run("CLIENT INFO").text().contains("addr="));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path)
        .expect("socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn unix_socket_only() {
    let dir = Scratch::new();
    let path = dir.join("s.sock");
    let mut command = std::process::Command::new(Kind::Aedile.program());
    command
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&path)
        .current_dir(dir.path());
    let _child = tools::Background::start(command, &dir.join("log"));
    let mut c = wait_for("the socket", || Conn::connect_unix(&path).ok());
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: no IPv6 here");
        return;
    }
    // `-` before an address: no failure if it cannot be bound.
    let server = Server::aedile(&["--bind", "127.0.0.1", "-::1"]);
    let mut c = Conn::try_connect_to(&format!("[::1]:{}", server.port)).expect("::1");
    assert_eq!(c.run("PING"), "PONG");
    assert!(c.run("CLIENT INFO").text().contains(" addr=[::1]:"));
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn optional_bind_address() {
    // An address of the documentation range, which no interface here has.
    let server = Server::aedile(&["--bind", "127.0.0.1", "-192.0.2.77"]);
    assert_eq!(server.connect().run("PING"), "PONG");
    assert!(server.log_has("Warning: Could not create server TCP listening socket 192.0.2.77:"));
}

#[test]
fn bind_failure() {
    let dir = Scratch::new();
    let port = free_port().to_string();
    let end = run_to_end(
        Kind::Aedile,
        dir.path(),
        &["--port", &port, "--bind", "192.0.2.77"],
        b"",
    );
    let text = format!("{}{}", end.stdout, end.stderr);
    assert_eq!(end.status.code(), Some(1), "{text}");
    assert!(text.contains("Failed listening on port"), "{text}");
}

#[test]
fn port_in_use() {
    let taken = free_listener();
    let port = taken.local_addr().expect("local_addr").port().to_string();
    let dir = Scratch::new();
    let end = run_to_end(
        Kind::Aedile,
        dir.path(),
        &["--port", &port, "--bind", "127.0.0.1"],
        b"",
    );
    let text = format!("{}{}", end.stdout, end.stderr);
    assert_eq!(end.status.code(), Some(1), "{text}");
    assert!(text.contains("Address already in use"), "{text}");
    assert!(
        text.contains(&format!("Failed listening on port {port} (")),
        "{text}"
    );
}

#[test]
fn pidfile() {
    let dir = Scratch::new();
    let path = dir.join("p.pid");
    let mut server = Server::start_in(
        Kind::Aedile,
        dir,
        &["--pidfile", path.to_str().expect("utf8")],
    );
    let text = std::fs::read_to_string(&path).expect("pidfile");
    assert_eq!(text.trim(), server.pid().to_string());
    assert_eq!(server.terminate().code(), Some(0));
    assert!(!path.exists(), "the pidfile outlives the server");
}

/// A daemon is not our child: it is ended by SHUTDOWN, and by its pid should the test fail first.
struct Daemon(i32);

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.0 > 0 {
            // SAFETY: kill takes no pointers; the pid was written by the daemon this test started.
            unsafe { libc::kill(self.0, libc::SIGKILL) };
        }
    }
}

#[test]
fn daemonize_and_logfile() {
    let dir = Scratch::new();
    let port = free_port();
    let pidfile = dir.join("d.pid");
    let logfile = dir.join("d.log");
    let end = run_to_end(
        Kind::Aedile,
        dir.path(),
        &[
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--daemonize",
            "yes",
            "--pidfile",
            pidfile.to_str().expect("utf8"),
            "--logfile",
            logfile.to_str().expect("utf8"),
            "--dir",
            dir.path().to_str().expect("utf8"),
        ],
        b"",
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let pid = wait_for("the daemon's pidfile", || {
        std::fs::read_to_string(&pidfile)
            .ok()?
            .trim()
            .parse::<i32>()
            .ok()
    });
    let mut daemon = Daemon(pid);
    let mut c = wait_for("the daemon", || Conn::try_connect(port).ok());
    assert_eq!(c.info("process_id"), pid.to_string());
    let log = std::fs::read_to_string(&logfile).expect("logfile");
    assert!(log.contains("Ready to accept connections"), "{log}");
    // Lines look like `pid:M 22 Nov 2026 13:05:35.123 * text`.
    let line = log
        .lines()
        .find(|l| l.contains("Ready to accept"))
        .expect("line");
    assert!(line.starts_with(&format!("{pid}:M ")), "{line}");
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[4].len(), "13:05:35.123".len(), "{line}");
    assert_eq!(words[5], "*", "{line}");
    c.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(c.expect_close(), b"");
    wait_until("the pidfile's removal", || !pidfile.exists());
    daemon.0 = 0;
}

#[test]
fn log_is_appended() {
    let dir = Scratch::new();
    let path = dir.write("my.log", "before\n");
    let port = free_port().to_string();
    let mut command = std::process::Command::new(Kind::Aedile.program());
    command
        .args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--logfile",
            "my.log",
        ])
        .current_dir(dir.path());
    let _child = tools::Background::start(command, &dir.join("out"));
    wait_until("a log line", || {
        let log = std::fs::read_to_string(&path).expect("log");
        log.starts_with("before\n") && log.contains("Ready to accept")
    });
}

#[test]
fn sigterm_and_sigint() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut server = Server::aedile(&[]);
        let mut c = server.connect();
        c.ok("SET k v");
        server.signal(signal);
        assert_eq!(server.wait_exit().code(), Some(0));
        assert_eq!(c.expect_close(), b"");
        let what = if signal == libc::SIGTERM {
            "Received SIGTERM scheduling shutdown..."
        } else {
            "Received SIGINT scheduling shutdown..."
        };
        assert!(server.log_has(what), "{}", server.log());
        assert!(
            server.log_has("ready to exit, bye bye..."),
            "{}",
            server.log()
        );
        // No save points: nothing is saved.
        assert!(!server.rdb_path().exists());
    }
}

#[test]
fn sigterm_saves_with_save_points() {
    let mut server = Server::aedile(&["--save", "1000 1"]);
    server.connect().ok("SET k v");
    assert_eq!(server.terminate().code(), Some(0));
    assert!(server.rdb_path().exists());
    server.restart();
    assert_eq!(server.connect().run("GET k"), "v");
}

#[test]
fn sighup_and_sigpipe_are_ignored() {
    let server = Server::aedile(&[]);
    server.signal(libc::SIGHUP);
    server.signal(libc::SIGPIPE);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn start_up_log() {
    let server = Server::aedile(&["--always-show-logo", "yes"]);
    let log = server.log();
    let pid = server.pid();
    let logo = log.find(&format!(" PID: {pid}")).expect("PID in the log");
    let up = log.find("Server initialized").expect("Server initialized");
    assert!(logo < up, "{log}");
    assert!(
        log.contains("mode=standalone") || log.contains("Running in standalone mode"),
        "{log}"
    );
}

#[test]
fn empty_values() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "save ''\nlogfile \"\"\nrequirepass \"\"\n");
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    assert_eq!(c.config_get("save"), "");
    assert_eq!(c.config_get("logfile"), "");
}

fn title_of(pid: u32) -> String {
    let raw = std::fs::read(format!("/proc/{pid}/cmdline")).expect("cmdline");
    let text = String::from_utf8_lossy(&raw).into_owned();
    text.trim_end_matches('\0').to_string()
}

#[test]
fn process_title() {
    let server = Server::aedile(&["--proc-title-template", "{title} at {listen-addr}"]);
    let program = Kind::Aedile.program();
    let program = program.to_string_lossy();
    let address = format!("127.0.0.1:{}", server.port);
    assert_eq!(title_of(server.pid()), format!("{program} at {address}"));
    let mut c = server.connect();
    // Longer than the command line was, so that it takes the environment's place, which must stay readable; then shorter.
    let long = "x".repeat(1000);
    c.config_set("proc-title-template", &format!("{long} {{port}}"));
    let title = title_of(server.pid());
    assert!(title.starts_with(&"x".repeat(100)), "{title}");
    c.config_set("proc-title-template", "short {config-file}");
    assert_eq!(title_of(server.pid()), "short -");
    c.cmd(&["CONFIG", "SET", "proc-title-template", "{nosuch}"])
        .assert_error_prefix("ERR CONFIG SET failed");
    let port = free_port().to_string();
    c.config_set("proc-title-template", "{port}");
    c.config_set("port", &port);
    assert_eq!(title_of(server.pid()), port);
    // A child has a title of its own.
    c.config_set("proc-title-template", "{title} {port}");
    c.config_set("rdb-key-save-delay", "1000000");
    c.run("MSET a 1 b 2 c 3");
    c.run("BGSAVE");
    let child = wait_for("the child", || {
        let all = format!("/proc/{0}/task/{0}/children", server.pid());
        let children = std::fs::read_to_string(all).expect("children");
        children.split_whitespace().next()?.parse::<u32>().ok()
    });
    let wanted = format!("redis-rdb-bgsave {port}");
    wait_until("its title", || title_of(child) == wanted);
    c.config_set("rdb-key-save-delay", "0");

    let untitled = Server::aedile(&["--set-proc-title", "no"]);
    assert!(title_of(untitled.pid()).contains("--set-proc-title\0no"));
}

/// What a service manager's socket receives.
struct NotifySocket(std::os::unix::net::UnixDatagram);

impl NotifySocket {
    fn bind(path: &std::path::Path) -> NotifySocket {
        let socket = std::os::unix::net::UnixDatagram::bind(path).expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        NotifySocket(socket)
    }

    /// What has come so far.
    fn all(&self) -> Vec<String> {
        let mut b = [0; 4096];
        std::iter::from_fn(|| {
            let n = self.0.recv(&mut b).ok()?;
            Some(String::from_utf8_lossy(&b[..n]).trim_end().to_string())
        })
        .collect()
    }
}

/// Debian's redis-server may be built without libsystemd: this is for this server only.
fn notified(args: &[&str]) -> (Server, NotifySocket) {
    let dir = Scratch::new();
    let path = dir.join("notify");
    let socket = NotifySocket::bind(&path);
    let env = vec![("NOTIFY_SOCKET".to_string(), path.into_os_string())];
    (Server::start_with_env(Kind::Aedile, dir, args, env), socket)
}

const SUPERVISED: &str = "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and \
                          TimeoutStopSec in your service unit.";

#[test]
fn systemd_is_told_when_it_supervises() {
    if stand_in().is_some() {
        return;
    }
    for args in [["--supervised", "systemd"], ["--supervised", "auto"]] {
        let (mut server, socket) = notified(&args);
        let mut told = socket.all();
        wait_until("ready", || {
            told.extend(socket.all());
            told.len() >= 3
        });
        assert_eq!(
            told,
            [
                "STATUS=Redis is loading...",
                "STATUS=Ready to accept connections",
                "READY=1"
            ]
        );
        assert!(server.log_has(SUPERVISED));
        assert_eq!(server.connect().config_get("supervised"), "systemd");
        server.terminate();
        assert_eq!(socket.all()[0], "STOPPING=1");
    }
}

#[test]
fn systemd_is_told_nothing_unasked() {
    if stand_in().is_some() {
        return;
    }
    let (mut server, socket) = notified(&[]);
    server.terminate();
    assert_eq!(socket.all(), [""; 0]);
    assert!(!server.log_has("systemd"));
    // Asked for where there is nobody: it starts, and says so.
    let server = Server::aedile(&["--supervised", "systemd"]);
    assert!(server.log_has("systemd supervision error: NOTIFY_SOCKET not found!"));
}

#[test]
fn systemd_is_told_what_a_replica_does() {
    if stand_in().is_some() {
        return;
    }
    let master = Server::aedile(&[]);
    let of = format!("127.0.0.1 {}", master.port);
    let (server, socket) = notified(&["--supervised", "systemd", "--replicaof", &of]);
    server.wait_link_up();
    let mut told = Vec::new();
    let finished = "STATUS=MASTER <-> REPLICA sync: Finished with success. Ready to accept connections in read-write mode.";
    wait_until("told", || {
        told.extend(socket.all());
        told.iter().any(|t| t == finished)
    });
    let waiting =
        "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync";
    assert!(told.iter().any(|t| t == waiting), "{told:?}");
    let mut c = server.connect();
    assert_eq!(c.run("CLIENT KILL TYPE master"), 1);
    wait_until("resynchronized", || {
        told.extend(socket.all());
        told.iter()
            .any(|t| t.contains("Partial Resynchronization accepted."))
    });
}

#[test]
fn a_name_forges_no_log_line() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.cmd(&[
        "REPLICAOF",
        "x\n1:M 01 Jan 2026 00:00:00.000 # forged\x1b[2J",
        "1",
    ]);
    server.wait_log("forged");
    let log = server.log();
    assert!(!log.lines().any(|l| l.starts_with("1:M")), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
    assert!(log.contains("x\\n1:M 01 Jan"), "{log}");
}
