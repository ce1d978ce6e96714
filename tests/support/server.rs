//! Child servers: start, wait for readiness, stop, kill, freeze, restart in place.
//!
//! A `Server` owns its process, its scratch directory and its log. Dropping it ends the process; should the test runner
//! itself die, the kernel kills the child (`PR_SET_PDEATHSIG`). That signal is bound to the *thread* that started the
//! child, so a server must be started by a thread that outlives its use.
//!
//! Ports are taken below the kernel's ephemeral range: no outgoing connection can be given one by chance, and a replica
//! that retries a closed port cannot connect to itself.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::conn::Conn;
use super::{HANG, stand_in, wait_for, wait_until};

/// Which program a [`Server`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The binary under test.
    Aedile,
    /// The reference, a real redis-server.
    Redis,
    /// A newer server that the environment names: see [`Kind::PEERS`].
    Redis72,
    Redis8,
    Valkey9,
    /// An older one: see [`Kind::OLD`].
    Redis28,
    Redis3,
    Redis5,
    Redis62,
}

impl Kind {
    /// Newer servers, with the variable that has the path of each. `tests/run` brings what it can.
    pub const PEERS: [(Kind, &'static str); 3] = [
        (Kind::Redis72, "REDIS_72_SERVER"),
        (Kind::Redis8, "REDIS_8_SERVER"),
        (Kind::Valkey9, "VALKEY_9_SERVER"),
    ];
    /// Older ones, likewise.
    pub const OLD: [(Kind, &'static str); 4] = [
        (Kind::Redis28, "REDIS_28_SERVER"),
        (Kind::Redis3, "REDIS_3_SERVER"),
        (Kind::Redis5, "REDIS_5_SERVER"),
        (Kind::Redis62, "REDIS_62_SERVER"),
    ];

    /// The variable that has the path of a newer or an older server.
    fn variable(self) -> Option<&'static str> {
        let all = || Kind::PEERS.iter().chain(&Kind::OLD);
        Some(all().find(|(kind, _)| *kind == self)?.1)
    }

    /// Whether a newer or older server is there. When it is not: false, said aloud; a panic if it was named and cannot be run.
    pub fn is_here(self) -> bool {
        let Some(variable) = self.variable() else {
            return runs(&self.program());
        };
        if std::env::var_os(variable).is_none_or(|v| v.is_empty()) {
            eprintln!("SKIPPED: no {self:?}: set {variable} to its path");
            return false;
        }
        assert!(runs(&self.program()), "{variable} is no server");
        true
    }

    pub fn program(self) -> OsString {
        match self {
            Kind::Aedile => std::env::var_os("AEDILE_SERVER")
                .filter(|v| !v.is_empty())
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_aedile-server").into()),
            Kind::Redis => std::env::var_os("REDIS_SERVER")
                .filter(|v| !v.is_empty())
                .unwrap_or_else(|| "redis-server".into()),
            other => other
                .variable()
                .and_then(std::env::var_os)
                .unwrap_or_default(),
        }
    }

    /// The other kind.
    pub fn other(self) -> Kind {
        match self {
            Kind::Aedile => Kind::Redis,
            _ => Kind::Aedile,
        }
    }

    /// Options that make this server's files, and its DUMP payloads, readable by a 7.0. Its full syncs are so by themselves.
    pub fn writes_for_70(self) -> &'static [&'static str] {
        if self == Kind::Aedile && stand_in().is_none() {
            &["--rdb-save-version", "10"]
        } else {
            &[]
        }
    }
}

/// True when `program --version` can be run.
pub fn runs(program: &OsString) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A bound listener on a free port outside the ephemeral range.
pub fn free_listener() -> TcpListener {
    for _ in 0..10_000 {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let spread = std::process::id().wrapping_mul(2_654_435_761) >> 12;
        let port = 21_000 + (spread.wrapping_add(n) % 11_000) as u16;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
    panic!("no free port");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    free_listener().local_addr().expect("local_addr").port()
}

/// A fresh directory, removed by [`Scratch`]'s drop unless the test panics.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch::within(&std::env::temp_dir()).expect("create scratch directory")
    }

    /// In memory where the machine has room for that: for whoever syncs files in its loop and is held to deadlines, which a disk that
    /// others keep busy would break.
    pub fn in_memory() -> Scratch {
        Scratch::within(Path::new("/dev/shm")).unwrap_or_else(|_| Scratch::new())
    }

    fn within(parent: &Path) -> std::io::Result<Scratch> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("aedile-test-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Scratch(dir))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in the directory and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).expect("write scratch file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("scratch directory kept: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Makes the child die with the thread that started it.
pub fn die_with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec the closure only calls prctl, which is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        })
    }
}

/// What a program that is expected to end by itself left behind.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the server binary until it ends by itself; kills it and panics if it does not.
#[track_caller]
pub fn run_to_end(kind: Kind, dir: &Path, args: &[&str], stdin: &[u8]) -> Ended {
    let mut command = Command::new(kind.program());
    command.args(args).current_dir(dir);
    end_of(command, stdin)
}

/// Runs any command to its end, with a bound on a hang.
#[track_caller]
pub fn end_of(mut command: Command, stdin: &[u8]) -> Ended {
    use std::io::{Read, Write};
    die_with_parent(&mut command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut input = child.stdin.take().expect("stdin");
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A child that does not read its input may close it early.
        let _ = input.write_all(&stdin);
    });
    let mut out = child.stdout.take().expect("stdout");
    let mut err = child.stderr.take().expect("stderr");
    let read_out = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let read_err = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if start.elapsed() > HANG {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{command:?} did not end: {}",
                read_out.join().unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let _ = writer.join();
    Ended {
        status,
        stdout: read_out.join().expect("stdout"),
        stderr: read_err.join().expect("stderr"),
    }
}

/// A running child server.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    pub scratch: Scratch,
    args: Vec<String>,
    env: Vec<(String, OsString)>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with `args` after the defaults (port, bind, dir, no save points) and waits until it answers.
    /// A first argument that is no `--option` (a config file, or `-`) goes before the defaults. A file named `stdin` in
    /// the scratch directory becomes the server's standard input.
    #[track_caller]
    pub fn start(kind: Kind, args: &[&str]) -> Server {
        Server::start_in(kind, Scratch::new(), args)
    }

    /// The binary under test.
    #[track_caller]
    pub fn aedile(args: &[&str]) -> Server {
        Server::start(Kind::Aedile, args)
    }

    #[track_caller]
    pub fn redis(args: &[&str]) -> Server {
        Server::start(Kind::Redis, args)
    }

    /// Like [`Server::start`] in a directory the caller has prepared.
    #[track_caller]
    pub fn start_in(kind: Kind, scratch: Scratch, args: &[&str]) -> Server {
        Server::start_with_env(kind, scratch, args, Vec::new())
    }

    /// Like [`Server::start_in`] with more in its environment.
    #[track_caller]
    pub fn start_with_env(
        kind: Kind,
        scratch: Scratch,
        args: &[&str],
        env: Vec<(String, OsString)>,
    ) -> Server {
        let mut server = Server {
            kind,
            port: 0,
            scratch,
            args: args.iter().map(|s| s.to_string()).collect(),
            env,
            child: None,
        };
        for _ in 0..20 {
            server.port = free_port();
            server.spawn();
            match server.wait_ready() {
                Ok(()) => return server,
                Err(log) if log.contains("Failed listening") => continue,
                Err(log) => panic!("{kind:?} {args:?} did not start:\n{log}"),
            }
        }
        panic!("{kind:?}: no port could be had");
    }

    fn spawn(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("log file");
        let stdin = match fs::File::open(self.scratch.join("stdin")) {
            Ok(file) => Stdio::from(file),
            Err(_) => Stdio::null(),
        };
        let first = usize::from(self.args.first().is_some_and(|a| !a.starts_with("--")));
        let mut command = Command::new(self.kind.program());
        command
            .args(&self.args[..first])
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1"])
            .args(["--save", ""])
            .arg("--dir")
            .arg(self.scratch.path())
            .args(&self.args[first..])
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.scratch.path())
            .stdin(stdin)
            .stdout(log.try_clone().expect("log file"))
            .stderr(log);
        die_with_parent(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        self.child = Some(child);
    }

    /// Waits for the first answer to PING (an error such as LOADING or NOAUTH counts), or the child's end.
    fn wait_ready(&mut self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if self.try_wait().is_some() {
                return Err(self.log());
            }
            // The port may be another's: only a child that says it is ready is asked.
            // Before Redis 4 it is "ready".
            if self.log_has("eady to accept connections")
                && let Ok(mut conn) = Conn::try_connect(self.port)
                && conn.try_cmd(&["PING"]).is_ok()
            {
                return Ok(());
            }
            if start.elapsed() > HANG {
                let log = self.log();
                self.kill9();
                return Err(format!("hang at start\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The exit status if the child has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("wait")
    }

    /// Waits for the child to end by itself.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let status = wait_for("the server to exit", || self.try_wait());
        self.child = None;
        status
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes no pointers; the pid is that of a child we have not reaped, so it is not another's.
        let rc = unsafe { libc::kill(self.pid() as libc::pid_t, signal) };
        assert_eq!(rc, 0, "kill");
    }

    /// Asks the children that save to stop, as the server itself does.
    pub fn end_children(&self) {
        self.signal_children(libc::SIGUSR1);
    }

    /// To each child that saves.
    pub fn signal_children(&self, signal: i32) {
        let pid = self.pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        for child in children.split_whitespace() {
            let child: libc::pid_t = child.parse().expect("a pid");
            // SAFETY: kill takes no pointers; a child of our child that has just ended is still unreaped, or its signal is lost.
            unsafe { libc::kill(child, signal) };
        }
    }

    pub fn sigstop(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn sigcont(&self) {
        self.signal(libc::SIGCONT);
    }

    /// SIGTERM, then the exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait_exit()
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts again in the same directory and on the same port, with the same arguments. The child must have ended.
    #[track_caller]
    pub fn restart(&mut self) {
        let args = self.args.clone();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.restart_with(&args);
    }

    /// Like [`Server::restart`], with other arguments.
    #[track_caller]
    pub fn restart_with(&mut self, args: &[&str]) {
        assert!(self.child.is_none(), "restart of a running server");
        self.args = args.iter().map(|s| s.to_string()).collect();
        self.begin_log();
        self.wait_port();
        self.spawn();
        if let Err(log) = self.wait_ready() {
            panic!("{:?} did not restart:\n{log}", self.kind);
        }
    }

    /// Starts again and expects the server to refuse; returns status and log of this run.
    #[track_caller]
    pub fn restart_fails(&mut self) -> (ExitStatus, String) {
        assert!(self.child.is_none(), "restart of a running server");
        self.begin_log();
        self.wait_port();
        self.spawn();
        let status = self.wait_exit();
        (status, self.log())
    }

    /// A child that a killed server had just forked has its listening socket until it gets to close it: the port is waited for.
    #[track_caller]
    fn wait_port(&self) {
        let what = format!("port {} free again", self.port);
        wait_until(&what, || {
            TcpListener::bind(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Keeps the log of the run before under another name, so that `log` is of this run only.
    fn begin_log(&self) {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let _ = fs::rename(self.log_path(), self.scratch.join(&format!("log.{n}")));
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.join("log")
    }

    /// The log of this run.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    pub fn log_has(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// How many lines of the log contain `text`.
    pub fn log_count(&self, text: &str) -> usize {
        self.log().lines().filter(|l| l.contains(text)).count()
    }

    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || self.log_has(text));
    }

    #[track_caller]
    pub fn connect(&self) -> Conn {
        Conn::connect(self.port)
    }

    /// Makes this server a replica of whatever listens on `port`.
    #[track_caller]
    pub fn replicate(&self, port: u16) {
        let reply = self
            .connect()
            .cmd(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        assert!(!reply.is_error(), "REPLICAOF: {reply:?}");
    }

    /// Waits until the link to the master is up.
    #[track_caller]
    pub fn wait_link_up(&self) {
        let mut conn = self.connect();
        let what = format!(
            "master_link_status:up on {:?} (log:\n{})",
            self.kind,
            self.log()
        );
        wait_until(&what, || conn.info("master_link_status") == "up");
    }

    /// Path of the RDB file.
    pub fn rdb_path(&self) -> PathBuf {
        self.scratch.join("dump.rdb")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- log of {:?} on port {}:", self.kind, self.port);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
        self.kill9();
    }
}
