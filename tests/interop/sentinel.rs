//! Three real Sentinels over an Aedile master and its replicas: the master is killed, a replica takes its place, the others
//! follow, and the old master comes back as a replica.

use std::process::Command;

use super::load::populate;
use crate::support::server::{Scratch, free_port, runs};
use crate::support::tools::Background;
use crate::support::*;

/// A running redis-sentinel; it ends when dropped.
struct Sentinel {
    port: u16,
    scratch: Scratch,
    process: Option<Background>,
}

impl Sentinel {
    fn program() -> std::ffi::OsString {
        std::env::var_os("REDIS_SENTINEL")
            .filter(|v| !v.is_empty())
            .unwrap_or_else(|| "redis-sentinel".into())
    }

    fn start(master: u16) -> Sentinel {
        let mut s = Sentinel {
            port: free_port(),
            scratch: Scratch::new(),
            process: None,
        };
        let conf = s.scratch.write(
            "sentinel.conf",
            format!(
                "port {}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor m 127.0.0.1 {master} 2\n\
                 sentinel down-after-milliseconds m 1000\n\
                 sentinel failover-timeout m 3000\n",
                s.port,
                s.scratch.path().display()
            ),
        );
        let mut command = Command::new(Sentinel::program());
        command.arg(conf).current_dir(s.scratch.path());
        s.process = Some(Background::start(command, &s.scratch.join("log")));
        let mut c = wait_for("a sentinel", || Conn::try_connect(s.port).ok());
        // Its own clock ticks too slowly for a test: the old master would be noticed after some ten seconds.
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
        s
    }

    fn master(&self, field: &str) -> String {
        let reply = Conn::connect(self.port).run("SENTINEL MASTER m");
        reply.pairs().get(field).cloned().unwrap_or_default()
    }

    fn master_port(&self) -> u16 {
        self.master("port").parse().unwrap_or(0)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.scratch.join("log")).unwrap_or_default();
            eprintln!("--- log of the sentinel on port {}:\n{log}", self.port);
        }
    }
}

/// A server with a configuration file, which a Sentinel wants to rewrite.
fn node(kind: Kind) -> Server {
    let scratch = Scratch::new();
    let conf = scratch.write("redis.conf", "repl-ping-replica-period 1\n");
    let conf = conf.to_str().expect("a path");
    Server::start_in(kind, scratch, &[conf])
}

fn killed_master_is_replaced(kinds: [Kind; 3]) {
    if !redis_available() {
        return;
    }
    assert!(
        runs(&Sentinel::program()),
        "redis-server is there, but no redis-sentinel"
    );
    let [mut master, a, b] = kinds.map(node);
    populate(&master, 1000);
    for r in [&a, &b] {
        r.replicate(master.port);
        r.wait_link_up();
    }
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(master.port)).collect();
    for s in &sentinels {
        wait_until("the sentinels to know all", || {
            s.master("num-slaves") == "2" && s.master("num-other-sentinels") == "2"
        });
        wait_until("the replicas' links", || {
            let replicas = Conn::connect(s.port).run("SENTINEL REPLICAS m");
            replicas.items().iter().all(|r| {
                let r = r.pairs();
                r["flags"] == "slave" && r["master-link-status"] == "ok"
            })
        });
    }
    let mut c = master.connect();
    c.ok("SET last written");
    assert_eq!(c.run("WAIT 2 0"), 2);

    master.kill9();
    let promoted = wait_for("a new master", || {
        let port = sentinels[0].master_port();
        (port != master.port && sentinels.iter().all(|s| s.master_port() == port)).then_some(port)
    });
    let (new, other) = if promoted == a.port {
        (&a, &b)
    } else {
        (&b, &a)
    };
    assert_eq!(promoted, new.port);
    assert_eq!(new.connect().info("role"), "master");
    wait_until("the other replica to follow", || {
        let mut c = other.connect();
        c.info("master_port") == promoted.to_string() && c.info("master_link_status") == "up"
    });
    let mut c = new.connect();
    assert_eq!(c.run("GET last"), "written");
    c.ok("SET last after");
    c.ok("SET more after");

    master.restart();
    wait_until("the old master to follow", || {
        let mut c = master.connect();
        c.info("role") == "slave" && c.info("master_link_status") == "up"
    });
    assert_eq!(master.connect().info("master_port"), promoted.to_string());
    for s in &sentinels {
        wait_until("a sentinel to see both replicas", || {
            let replicas = Conn::connect(s.port).run("SENTINEL REPLICAS m");
            let up = |r: &Value| r.pairs()["flags"] == "slave";
            replicas.items().iter().filter(|r| up(r)).count() == 2
        });
        assert_eq!(s.master_port(), promoted);
    }
    c.ok("SET last end");
    assert_eq!(assert_synced(new, other).len(), 1002);
    assert_synced(new, &master);
    // What it was told survives a restart: the file was rewritten.
    let conf = std::fs::read_to_string(master.scratch.join("redis.conf")).expect("the file");
    assert!(
        conf.contains(&format!("replicaof 127.0.0.1 {promoted}")),
        "{conf}"
    );
}

#[test]
fn all_aedile() {
    killed_master_is_replaced([Kind::Aedile; 3]);
}

#[test]
fn with_a_real_replica() {
    killed_master_is_replaced([Kind::Aedile, Kind::Aedile, Kind::Redis]);
}

#[test]
fn with_a_real_master() {
    if !redis_available() {
        return;
    }
    // Whichever becomes the master, the others follow across versions.
    killed_master_is_replaced([Kind::Redis, Kind::Aedile, Kind::Aedile]);
}
