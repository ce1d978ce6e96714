//! Sentinels, ours and real ones, that end or stand still while they are needed: the one that leads a failover is killed in each of
//! its states and comes back; one, or all, lose time and do not trust their clocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::server::Scratch;
use crate::support::*;

const OURS: Kind = Kind::Aedile;
const REAL: Kind = Kind::Redis;

/// A server with a configuration file, which a Sentinel wants to rewrite.
fn node(kind: Kind) -> Server {
    let scratch = Scratch::in_memory();
    let conf = scratch.write("redis.conf", "repl-ping-replica-period 1\n");
    Server::start_in(kind, scratch, &[conf.to_str().expect("a path")])
}

/// A master with replicas of these kinds, and Sentinels that watch them.
struct Site {
    servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

impl Site {
    fn start(servers: &[Kind], watchers: &[Kind]) -> Option<Site> {
        let real = servers.iter().chain(watchers).any(|k| *k == REAL);
        if real && !Sentinel::real_available() {
            return None;
        }
        let servers: Vec<Server> = servers.iter().map(|k| node(*k)).collect();
        for replica in &servers[1..] {
            replica.replicate(servers[0].port);
            replica.wait_link_up();
        }
        let sentinels = watchers
            .iter()
            .map(|k| {
                let s = Sentinel::watching(*k, servers[0].port);
                s.connect().ok("SENTINEL SET m failover-timeout 2000");
                s
            })
            .collect();
        let site = Site { servers, sentinels };
        site.wait_all_known();
        Some(site)
    }

    fn wait_all_known(&self) {
        for s in &self.sentinels {
            wait_until("a sentinel to know all", || {
                s.knows(self.servers.len() - 1, self.sentinels.len() - 1)
            });
        }
    }

    fn replication(&self, n: usize) -> Option<String> {
        let mut c = Conn::try_connect(self.servers[n].port).ok()?;
        Some(c.try_cmd(&["INFO", "replication"]).ok()?.text())
    }

    fn follows(&self, n: usize, master: usize) -> bool {
        let port = format!("master_port:{}", self.servers[master].port);
        self.replication(n).is_some_and(|info| {
            let has = |line: &str| info.lines().any(|l| l == line);
            has("role:slave") && has(&port) && has("master_link_status:up")
        })
    }

    /// What all Sentinels agree upon, if they do.
    fn agreed(&self) -> Option<usize> {
        let port = self.sentinels[0].master_port();
        let all = self.sentinels.iter().all(|s| s.master_port() == port);
        let found = self.servers.iter().position(|s| s.port == port);
        found.filter(|_| all)
    }

    /// All Sentinels agree upon another master than `old`, which is one. Its number.
    #[track_caller]
    fn wait_other(&self, old: usize) -> usize {
        wait_for("another master that all agree upon", || {
            let m = self.agreed().filter(|m| *m != old)?;
            self.replication(m)?.contains("role:master").then_some(m)
        })
    }

    #[track_caller]
    fn wait_followed(&self, master: usize) {
        for n in (0..self.servers.len()).filter(|n| *n != master) {
            wait_until("a replica to follow", || self.follows(n, master));
        }
        assert_eq!(self.agreed(), Some(master));
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes no pointers; the pid is that of a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill");
}

/// Kills the Sentinel that is the first to publish an event, at once; its number.
fn kill_at(event: &str, sentinels: &[Sentinel], begin: impl FnOnce()) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let listeners: Vec<_> = sentinels
            .iter()
            .map(|s| {
                let mut c = s.connect();
                c.cmd(&["SUBSCRIBE", event]);
                c.set_timeout(Duration::from_millis(200));
                let (pid, done) = (s.pid(), &done);
                scope.spawn(move || {
                    while !done.load(Ordering::SeqCst) {
                        // Nothing else is published there: a read that is too early has taken nothing.
                        if c.try_read().is_ok() {
                            let first = !done.swap(true, Ordering::SeqCst);
                            if first {
                                signal(pid, libc::SIGKILL);
                            }
                            return first;
                        }
                    }
                    false
                })
            })
            .collect();
        begin();
        let killed = listeners
            .into_iter()
            .map(|l| l.join().expect("a listener"))
            .position(|first| first);
        killed.expect("one of them")
    })
}

/// In this order: entering each state, and the steps within the last one.
const EVENTS: [&str; 7] = [
    "+try-failover",
    "+failover-state-select-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    "+slave-reconf-sent",
    "+switch-master",
];

/// The leader of a failover is killed as soon as it says that it is in a state, and is back soon. Whatever it was, in the end there
/// is one master, which all agree upon, and nobody has followed another one's leader in the same epoch.
fn killed_in_each_state(servers: [Kind; 3], watchers: [Kind; 3]) {
    let Some(mut site) = Site::start(&servers, &watchers) else {
        return;
    };
    let mut master = 0;
    for (n, event) in EVENTS.iter().enumerate() {
        let mut c = site.servers[master].connect();
        let key = format!("before:{n}");
        c.ok(&format!("SET {key} {event}"));
        assert_eq!(c.run("WAIT 2 20000"), 2, "{event}");
        let epochs: Vec<u64> = site.epochs();
        let dies = &mut site.servers[master];
        let killed = kill_at(event, &site.sentinels, || dies.kill9());
        println!("{event}: sentinel {killed} is killed");
        let s = &mut site.sentinels[killed];
        s.stop();
        std::thread::sleep(Duration::from_millis(100 * (n as u64 % 3)));
        s.start();
        s.hurry();
        let new = site.wait_other(master);
        site.servers[master].restart();
        site.wait_followed(new);
        let mut c = site.servers[new].connect();
        assert_eq!(c.cmd(&["GET", &key]), *event);
        for (s, before) in site.sentinels.iter().zip(epochs) {
            wait_until("the new configuration's epoch", || {
                s.master("config-epoch")
                    .parse::<u64>()
                    .is_ok_and(|e| e > before)
            });
        }
        master = new;
        site.wait_all_known();
    }
}

impl Site {
    fn epochs(&self) -> Vec<u64> {
        let of = |s: &Sentinel| s.master("config-epoch").parse().expect("a number");
        self.sentinels.iter().map(of).collect()
    }
}

#[test]
fn our_leader_is_killed_in_each_state() {
    killed_in_each_state([OURS; 3], [OURS; 3]);
}

#[test]
fn a_leader_of_ours_and_two_real_ones_is_killed_in_each_state() {
    killed_in_each_state([REAL, OURS, OURS], [OURS, REAL, REAL]);
}

#[test]
fn a_leader_of_two_of_ours_and_a_real_one_is_killed_in_each_state() {
    killed_in_each_state([OURS, OURS, REAL], [OURS, OURS, REAL]);
}

/// One Sentinel stands still for longer than it bears, while the master dies: it is not needed, judges nothing at first, and takes
/// over what the others have done. Then all stand still: they fail over when they trust their clocks again.
fn time_is_lost(servers: [Kind; 3], watchers: [Kind; 3]) {
    let Some(mut site) = Site::start(&servers, &watchers) else {
        return;
    };
    for s in &site.sentinels {
        s.connect().ok("SENTINEL DEBUG tilt-period 4000");
    }
    signal(site.sentinels[0].pid(), libc::SIGSTOP);
    site.servers[0].kill9();
    let others = &site.sentinels[1..];
    let port = wait_for("a failover without it", || {
        let port = others[0].master_port();
        let other = port != site.servers[0].port;
        (other && others[1].master_port() == port).then_some(port)
    });
    // More than the default of tilt-trigger.
    std::thread::sleep(Duration::from_millis(2500));
    signal(site.sentinels[0].pid(), libc::SIGCONT);
    let s = &site.sentinels[0];
    wait_until("TILT", || s.log().contains("+tilt #tilt mode entered"));
    wait_until("what the others have done", || s.master_port() == port);
    wait_until("the end of it", || {
        s.log().contains("-tilt #tilt mode exited")
    });
    assert!(!s.log().contains("+try-failover"), "{}", s.log());
    let new = site.wait_other(0);
    site.servers[0].restart();
    site.wait_followed(new);
    site.wait_all_known();

    for s in &site.sentinels {
        signal(s.pid(), libc::SIGSTOP);
    }
    site.servers[new].kill9();
    std::thread::sleep(Duration::from_millis(2500));
    let before: Vec<String> = site.sentinels.iter().map(Sentinel::log).collect();
    for s in &site.sentinels {
        signal(s.pid(), libc::SIGCONT);
    }
    let next = site.wait_other(new);
    for (s, before) in site.sentinels.iter().zip(before) {
        let log = s.log();
        let since = log.strip_prefix(&before).expect("a log that goes on");
        let at = |text: &str| since.find(text);
        let entered = at("+tilt #tilt mode entered").expect("TILT");
        let left = at("-tilt #tilt mode exited").expect("its end");
        let down = at("+sdown master m").unwrap_or(usize::MAX);
        assert!(entered < left && left < down, "{since}");
    }
    site.servers[new].restart();
    site.wait_followed(next);
}

#[test]
fn our_sentinels_lose_time() {
    time_is_lost([OURS; 3], [OURS; 3]);
}

#[test]
fn our_sentinel_loses_time_beside_real_ones() {
    time_is_lost([OURS, REAL, OURS], [OURS, REAL, REAL]);
}

#[test]
fn two_of_ours_and_a_real_one_lose_time() {
    time_is_lost([REAL, OURS, OURS], [OURS, OURS, REAL]);
}
