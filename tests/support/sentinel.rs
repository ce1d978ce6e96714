//! Sentinels, ours and real ones: start with a configuration file, ask, stop, start again with the file as it is by then.

use std::path::PathBuf;
use std::process::Command;

use super::server::{Kind, Scratch, free_port, runs};
use super::tools::Background;
use super::{Conn, Value, wait_for};

/// A running Sentinel; it ends when dropped.
pub struct Sentinel {
    pub kind: Kind,
    pub port: u16,
    pub scratch: Scratch,
    process: Option<Background>,
}

impl Sentinel {
    /// The real one.
    pub fn real_program() -> std::ffi::OsString {
        std::env::var_os("REDIS_SENTINEL")
            .filter(|v| !v.is_empty())
            .unwrap_or_else(|| "redis-sentinel".into())
    }

    /// A test with real ones can run; a real server without a real Sentinel is a fault of the machine.
    pub fn real_available() -> bool {
        if !super::redis_available() {
            return false;
        }
        assert!(
            runs(&Sentinel::real_program()),
            "redis-server is there, but no redis-sentinel"
        );
        true
    }

    /// One that watches `m` at this port, with a quorum of 2, and a clock that is fast enough for a test.
    #[track_caller]
    pub fn watching(kind: Kind, master: u16) -> Sentinel {
        let s = Sentinel::with_lines(
            kind,
            &format!(
                "sentinel monitor m 127.0.0.1 {master} 2\nsentinel down-after-milliseconds m 1000\n\
                 sentinel failover-timeout m 3000\n"
            ),
        );
        s.hurry();
        s
    }

    /// One with these lines besides port, bind and dir.
    #[track_caller]
    pub fn with_lines(kind: Kind, lines: &str) -> Sentinel {
        let scratch = Scratch::in_memory();
        let port = free_port();
        scratch.write(
            "sentinel.conf",
            format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n{lines}",
                scratch.path().display()
            ),
        );
        let mut s = Sentinel {
            kind,
            port,
            scratch,
            process: None,
        };
        s.start();
        s
    }

    /// Starts it, as what `self.kind` says by now.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = match self.kind {
            Kind::Redis => Command::new(Sentinel::real_program()),
            _ => Command::new(Kind::Aedile.program()),
        };
        command.arg(self.conf_path());
        if self.kind == Kind::Aedile {
            command.arg("--sentinel");
        }
        command.current_dir(self.scratch.path());
        self.process = Some(Background::start(command, &self.scratch.join("log")));
        let port = self.port;
        let mut c = wait_for("a sentinel", || Conn::try_connect(port).ok());
        assert!(!c.run("PING").text().is_empty());
    }

    /// Its own clock ticks too slowly for a test: an old master would be noticed after some ten seconds.
    #[track_caller]
    pub fn hurry(&self) {
        let mut c = self.connect();
        for (name, ms) in [
            ("info-period", "300"),
            // A replica whose INFO is older than five of these is no candidate, and INFO comes once a second by then.
            ("ping-period", "400"),
            ("ask-period", "100"),
            ("publish-period", "300"),
            ("tilt-period", "1000"),
        ] {
            c.cmd(&["SENTINEL", "DEBUG", name, ms]).assert_ok();
        }
    }

    pub fn pid(&self) -> i32 {
        let process = self.process.as_ref().expect("it runs");
        process.0.id() as i32
    }

    /// Ends it at once, as a crash does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    #[track_caller]
    pub fn connect(&self) -> Conn {
        Conn::connect(self.port)
    }

    pub fn conf_path(&self) -> PathBuf {
        self.scratch.join("sentinel.conf")
    }

    /// The configuration file as it is now.
    pub fn conf(&self) -> String {
        std::fs::read_to_string(self.conf_path()).expect("the file")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("log")).unwrap_or_default()
    }

    /// A field of the master `m`.
    pub fn master(&self, field: &str) -> String {
        let reply = self.connect().run("SENTINEL MASTER m");
        reply.pairs().get(field).cloned().unwrap_or_default()
    }

    /// Where clients are told that the master is.
    pub fn master_port(&self) -> u16 {
        let reply = self.connect().run("SENTINEL GET-MASTER-ADDR-BY-NAME m");
        reply.items()[1].text().parse().unwrap_or(0)
    }

    /// The replicas of `m`.
    pub fn replicas(&self) -> Value {
        self.connect().run("SENTINEL REPLICAS m")
    }

    /// It knows so many replicas, all well and connected with their master, and so many other Sentinels.
    pub fn knows(&self, replicas: usize, sentinels: usize) -> bool {
        let well = |r: &Value| {
            let r = r.pairs();
            r["flags"] == "slave" && r["master-link-status"] == "ok"
        };
        let all = self.replicas();
        let others = self.connect().run("SENTINEL SENTINELS m");
        all.items().len() == replicas
            && all.items().iter().all(well)
            && others.items().len() == sentinels
            && others
                .items()
                .iter()
                .all(|s| s.pairs()["flags"] == "sentinel")
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the {:?} sentinel on port {}:\n{}",
                self.kind,
                self.port,
                self.log()
            );
        }
    }
}
