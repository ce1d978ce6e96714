//! The four servers, who replicates from whom, through which proxy, with which settings.
//!
//! Invariants: the links form a tree whose root is the master, but for the moments within an action; every link goes through
//! a proxy of its own pair of servers; every server runs whenever no action is under way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ledger::{Candidate, NODES};
use crate::support::server::Scratch;
use crate::support::*;

/// A server whose pending output passes this is sent away, unless a round sets another limit. Bytes.
pub const OUTPUT_LIMIT: u64 = 4 << 20;
/// The backlog at the start. Bytes.
pub const BACKLOG: u64 = 4 << 20;
/// What the replication buffers may take beyond their limits, bytes: a limit is looked at when the stream grows by a segment,
/// and what one turn of the loop writes comes on top.
const BUFFER_SLACK: u64 = 256 << 10;
/// Bytes that a server of ours may use beside its replication buffers: twice the data (a loading replica has two), the
/// clients' buffers, and what the allocator has before there is any data.
const MEMORY: u64 = 64 << 20;

/// Bytes that it may have in physical memory beside these buffers: what it uses, and what it has freed and not given back yet.
const RESIDENT: u64 = 2 * MEMORY;

/// What a server's files are worth after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Append-only file, synced before each reply.
    All,
    /// What the last snapshot had.
    Snapshot,
}

/// One server.
pub struct Node {
    pub server: Server,
    pub keeps: Keeps,
    /// Whom it replicates from; none: it is the master.
    pub parent: Option<usize>,
    pub args: Vec<String>,
    admin: Option<Conn>,
    /// The limits of its replication buffers, and those before, as long as more is there than the new ones allow: at the
    /// longest until the next round.
    pub limits: [Limits; 2],
    pub stopped: bool,
    /// The most that its replication buffers had beyond their limits, and the most that it used. Bytes.
    pub most_over: i64,
    pub most_memory: u64,
    /// The most that it had in physical memory, by its own account; bytes.
    pub most_resident: u64,
    /// Log lines that tell what has happened, and how often.
    pub events: BTreeMap<&'static str, usize>,
}

/// Parts of log lines that show what a run has been through.
const EVENTS: &[&str] = &[
    "Successful partial resynchronization",
    "Finished with success",
    "Master did not reply to PSYNC, will try later",
    "goes on with an interrupted full sync",
    "passed its limit during the full sync: it goes on through a file",
    "passed its limit during the full sync: writes wait",
    "scheduled to be closed ASAP for overcoming of output buffer limits",
    "Timeout receiving bulk data",
    "MASTER timeout",
    "Disconnecting timedout replica",
    "The full sync failed",
    "The append-only file stands at offset",
    "MASTER MODE enabled",
];

/// See `client-output-buffer-limit` and `repl-backlog-size`; bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub output: u64,
    pub backlog: u64,
}

impl Limits {
    pub const START: Limits = Limits {
        output: OUTPUT_LIMIT,
        backlog: BACKLOG,
    };

    /// The log is shared: what the backlog keeps and what replicas have pending are the same bytes. No limit is in force
    /// below the backlog's size.
    fn most(self) -> u64 {
        self.output.max(self.backlog)
    }
}

impl Node {
    fn start(kind: Kind, rng: &mut Rng) -> Node {
        let keeps = if rng.one_in(2) {
            Keeps::All
        } else {
            Keeps::Snapshot
        };
        let mut args: Vec<String> = [
            "--repl-diskless-sync-delay",
            "0",
            "--repl-ping-replica-period",
            "1",
            "--shutdown-timeout",
            "1",
            // Who loads from a link that has fallen silent takes no REPLICAOF until then: it must end before our patience does.
            "--repl-timeout",
            "20",
            "--appendfsync",
            "always",
            "--appendonly",
            if keeps == Keeps::All { "yes" } else { "no" },
            "--client-output-buffer-limit",
        ]
        .map(str::to_string)
        .to_vec();
        args.push(format!("replica {OUTPUT_LIMIT} 0 0"));
        args.push("--repl-backlog-size".into());
        args.push(BACKLOG.to_string());
        let mut any = |name: &str, values: &[&str]| {
            args.extend([name.to_string(), rng.pick(values).to_string()]);
        };
        any("--repl-diskless-sync", &["yes", "no"]);
        any("--repl-diskless-load", &["disabled", "swapdb"]);
        if is_ours(kind) {
            any("--aof-replication-state", &["yes", "no"]);
            any(
                "--repl-overflow-policy",
                &["disconnect", "spill", "backpressure"],
            );
            any("--repl-sync-backoff-max", &["2"]);
        }
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        Node {
            server: Server::start_in(kind, Scratch::new(), &words),
            keeps,
            parent: None,
            args,
            admin: None,
            limits: [Limits::START; 2],
            stopped: false,
            most_over: i64::MIN,
            most_memory: 0,
            most_resident: 0,
            events: BTreeMap::new(),
        }
    }

    /// A command on a connection that lives as long as the server does. A lost one is made anew once.
    pub fn try_admin(&mut self, line: &str) -> std::io::Result<Value> {
        let words: Vec<&str> = line.split(' ').collect();
        if let Some(c) = &mut self.admin
            && let Ok(v) = c.try_cmd(&words)
        {
            return Ok(v);
        }
        let mut c = Conn::try_connect(self.server.port)?;
        let v = c.try_cmd(&words)?;
        self.admin = Some(c);
        Ok(v)
    }

    #[track_caller]
    pub fn admin(&mut self, line: &str) -> Value {
        match self.try_admin(line) {
            Ok(v) => v,
            Err(e) => panic!("{line:?} on {:?}: {e}", self.server.kind),
        }
    }

    /// Repeats a command until it is accepted: a server that loads takes some commands only afterwards.
    #[track_caller]
    pub fn insist(&mut self, line: &str) {
        wait_until(line, || !self.admin(line).is_error());
    }

    /// INFO as a map.
    #[track_caller]
    pub fn info(&mut self) -> BTreeMap<String, String> {
        let text = self.admin("INFO").text();
        text.lines()
            .filter_map(|l| {
                let (k, v) = l.split_once(':')?;
                Some((k.to_string(), v.trim().to_string()))
            })
            .collect()
    }

    /// Judges the log of a process that has ended, or of one that has done all its work, and counts what happened in it.
    #[track_caller]
    pub fn close_log(&mut self) {
        for line in self.server.log().lines() {
            // A replica that cannot run what its master has run is not what its master is.
            let bad = line.contains("== CRITICAL ==") || line.contains("panicked at");
            assert!(!bad, "{:?}: {line}", self.server.kind);
            for event in EVENTS {
                if line.contains(event) {
                    *self.events.entry(event).or_default() += 1;
                }
            }
        }
    }

    /// Starts the ended process again, with its first settings and perhaps with more arguments.
    #[track_caller]
    pub fn restart(&mut self, more: &[&str]) {
        self.close_log();
        self.admin = None;
        self.stopped = false;
        let mut words: Vec<&str> = self.args.iter().map(String::as_str).collect();
        words.extend(more);
        self.server.restart_with(&words);
        self.limits[0] = Limits::START;
    }

    /// Takes away all files that hold data. The process must have ended.
    pub fn remove_data(&self) {
        let _ = std::fs::remove_file(self.server.rdb_path());
        let _ = std::fs::remove_dir_all(self.server.scratch.join("appendonlydir"));
    }

    pub fn sigstop(&mut self) {
        self.stopped = true;
        self.server.sigstop();
    }

    pub fn sigcont(&mut self) {
        self.server.sigcont();
        self.stopped = false;
    }
}

/// True for the program under test, not for a stand-in.
pub fn is_ours(kind: Kind) -> bool {
    kind == Kind::Aedile && stand_in().is_none()
}

/// All of it.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub master: usize,
    proxies: BTreeMap<(usize, usize), Proxy>,
    /// What was done, for whoever has to find out why it failed.
    pub log: Vec<String>,
    started: Instant,
}

impl Cluster {
    /// Starts four servers: 1 and the real 2 below the master 0, 3 below 1.
    pub fn start(rng: &mut Rng) -> Cluster {
        let kinds = [Kind::Aedile, Kind::Aedile, Kind::Redis, Kind::Aedile];
        let mut cluster = Cluster {
            nodes: kinds.map(|k| Node::start(k, rng)).into_iter().collect(),
            master: 0,
            proxies: BTreeMap::new(),
            log: Vec::new(),
            started: Instant::now(),
        };
        let keeps: Vec<String> = cluster
            .nodes
            .iter()
            .map(|n| format!("{:?} keeps {:?}", n.server.kind, n.keeps))
            .collect();
        cluster.note(&format!("start: {}", keeps.join(", ")));
        for (node, parent) in [(1, 0), (2, 0), (3, 1)] {
            cluster.replicate(node, parent);
        }
        cluster
    }

    pub fn note(&mut self, what: &str) {
        self.log.push(format!(
            "{:8.3} {what}",
            self.started.elapsed().as_secs_f64()
        ));
    }

    /// The port through which `node` reaches `parent`.
    fn way(&mut self, node: usize, parent: usize) -> u16 {
        let target = self.nodes[parent].server.port;
        self.proxies
            .entry((node, parent))
            .or_insert_with(|| Proxy::narrow(target))
            .port
    }

    /// The arguments that make a starting `node` a replica of its parent.
    pub fn replicaof_args(&mut self, node: usize) -> Vec<String> {
        match self.nodes[node].parent {
            Some(parent) => {
                let port = self.way(node, parent);
                vec!["--replicaof".into(), format!("127.0.0.1 {port}")]
            }
            None => Vec::new(),
        }
    }

    /// REPLICAOF; returns when the server has accepted it.
    #[track_caller]
    pub fn replicate(&mut self, node: usize, parent: usize) {
        let port = self.way(node, parent);
        self.nodes[node].parent = Some(parent);
        self.note(&format!("{node} replicates from {parent}"));
        self.nodes[node].insist(&format!("REPLICAOF 127.0.0.1 {port}"));
        // What is left of other links of this server is of no use.
        self.proxies.retain(|(n, p), _| *n != node || *p == parent);
    }

    /// The proxy of a replica's link.
    pub fn link(&self, node: usize) -> Option<&Proxy> {
        self.proxies.get(&(node, self.nodes[node].parent?))
    }

    pub fn replicas(&self) -> Vec<usize> {
        (0..NODES).filter(|n| *n != self.master).collect()
    }

    /// Which nodes are the master's own replicas.
    pub fn direct(&self) -> [bool; NODES] {
        std::array::from_fn(|n| self.nodes[n].parent == Some(self.master))
    }

    /// True when `node` is `other` or below it.
    pub fn is_below(&self, node: usize, other: usize) -> bool {
        let mut at = Some(node);
        while let Some(n) = at {
            if n == other {
                return true;
            }
            at = self.nodes[n].parent;
        }
        false
    }

    /// Replicas of which it is known where they stand in the history `replid`, and that hold a data set.
    pub fn candidates(&mut self, replid: &str) -> Vec<Candidate> {
        let mut out = Vec::new();
        for node in self.replicas() {
            let info = self.nodes[node].info();
            let is = |name: &str, value: &str| info.get(name).is_some_and(|v| v == value);
            let offset = info.get("slave_repl_offset").and_then(|v| v.parse().ok());
            let stands = is("role", "slave")
                && is("master_replid", replid)
                && is("master_sync_in_progress", "0")
                && is("loading", "0")
                && !is("async_loading", "1");
            // An interrupted full sync leaves the data set, but its offset is forgotten.
            if let Some(offset) = offset
                && stands
                && offset > 1
            {
                out.push(Candidate { node, offset });
            }
        }
        out
    }

    /// Lets time pass, watching memory and that nobody has died.
    #[track_caller]
    pub fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.sample();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// [`Cluster::watch`] while `node` is down.
    #[track_caller]
    pub fn watch_others(&mut self, node: usize, time: Duration) {
        self.nodes[node].stopped = true;
        self.watch(time);
        self.nodes[node].stopped = false;
    }

    #[track_caller]
    fn sample(&mut self) {
        for (i, n) in self.nodes.iter_mut().enumerate() {
            if let Some(status) = n.server.try_wait() {
                panic!("server {i} has ended: {status}\n{}", n.server.log());
            }
            if n.stopped || !is_ours(n.server.kind) {
                continue;
            }
            let info = n.info();
            let number = |name: &str| {
                info.get(name)
                    .and_then(|v| v.parse::<u64>().ok())
                    .unwrap_or_else(|| panic!("INFO has no {name}"))
            };
            let buffers = number("mem_total_replication_buffers");
            let memory = number("used_memory");
            if buffers <= n.limits[0].most() + BUFFER_SLACK {
                // Smaller limits have taken effect.
                n.limits[1] = n.limits[0];
            }
            let most = n.limits[0].most().max(n.limits[1].most());
            n.most_over = n.most_over.max(buffers as i64 - most as i64);
            n.most_memory = n.most_memory.max(memory);
            let resident = number("used_memory_rss");
            n.most_resident = n.most_resident.max(resident);
            assert!(
                buffers <= most + BUFFER_SLACK,
                "server {i}: {buffers} bytes of replication buffers, with limits of {:?}",
                n.limits
            );
            assert!(
                memory <= most + MEMORY,
                "server {i}: {memory} bytes of memory, with limits of {:?}",
                n.limits
            );
            assert!(
                resident <= most + RESIDENT,
                "server {i}: {resident} bytes resident, with limits of {:?}",
                n.limits
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- actions:");
            for line in &self.log {
                eprintln!("{line}");
            }
        }
    }
}
