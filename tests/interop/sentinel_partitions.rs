//! Sentinels, ours and real ones, on hosts that can be parted from each other: who has no majority promotes nobody, whatever the
//! quorum; votes that split elect nobody, and then one; links that come and go end with one master.
//!
//! Each host has a network namespace of its own. Where none can be made, these tests skip, and say so.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::net::SIDES;
use crate::support::server::Scratch;
use crate::support::*;

const OURS: Kind = Kind::Aedile;
const REAL: Kind = Kind::Redis;

/// Servers and Sentinels on hosts; the first server is the master of all others.
struct Site {
    net: Network,
    /// Each with its host.
    servers: Vec<(usize, Server)>,
    /// Sentinel N is on host N.
    sentinels: Vec<Sentinel>,
}

fn is(info: &str, line: &str) -> bool {
    info.lines().any(|l| l == line)
}

impl Site {
    /// Servers of these kinds on these hosts, and a Sentinel of each kind of `watchers`, with that quorum. None: skipped.
    fn start(
        servers: &[(usize, Kind)],
        watchers: &[Kind],
        quorum: usize,
        lines: &str,
    ) -> Option<Site> {
        let mut kinds = servers.iter().map(|s| s.1).chain(watchers.iter().copied());
        if kinds.any(|k| k == REAL) && !Sentinel::real_available() {
            return None;
        }
        let hosts = servers.iter().map(|s| s.0 + 1).max().unwrap_or(0);
        let net = Network::new(hosts.max(watchers.len()))?;
        let servers: Vec<(usize, Server)> = servers
            .iter()
            .map(|(host, kind)| {
                let scratch = Scratch::in_memory();
                let bind = format!("127.0.0.1 {}", net.address(*host));
                let text = format!(
                    "repl-ping-replica-period 1\nrepl-timeout 5\nprotected-mode no\nbind {bind}\n"
                );
                let conf = scratch.write("redis.conf", text);
                let args = [conf.to_str().expect("a path"), "--bind", &bind];
                let server = net.on(*host, || Server::start_in(*kind, scratch, &args));
                (*host, server)
            })
            .collect();
        let (at, master) = (&servers[0].0, servers[0].1.port);
        let at = net.address(*at);
        for (host, server) in &servers[1..] {
            net.on(*host, || {
                server.connect().ok(&format!("REPLICAOF {at} {master}"));
                server.connect().ok("CONFIG REWRITE");
                server.wait_link_up();
            });
        }
        let sentinels: Vec<Sentinel> = watchers
            .iter()
            .enumerate()
            .map(|(host, kind)| {
                let text = format!(
                    "bind 127.0.0.1 {}\nsentinel monitor m {at} {master} {quorum}\n\
                     sentinel down-after-milliseconds m 1000\nsentinel failover-timeout m 2000\n{lines}",
                    net.address(host)
                );
                net.on(host, || {
                    let s = Sentinel::with_lines(*kind, &text);
                    s.hurry();
                    s
                })
            })
            .collect();
        let site = Site {
            net,
            servers,
            sentinels,
        };
        site.wait_all_known();
        Some(site)
    }

    fn wait_all_known(&self) {
        for n in 0..self.sentinels.len() {
            let (replicas, others) = (self.servers.len() - 1, self.sentinels.len() - 1);
            wait_until("a sentinel to know all", || {
                self.ask(n, |s| s.knows(replicas, others))
            });
        }
    }

    fn ask<R>(&self, n: usize, f: impl FnOnce(&Sentinel) -> R) -> R {
        self.net.on(n, || f(&self.sentinels[n]))
    }

    /// INFO replication of a server. None: it closes its clients just now.
    fn replication(&self, n: usize) -> Option<String> {
        let (host, server) = &self.servers[n];
        self.net.on(*host, || {
            let mut c = Conn::try_connect(server.port).ok()?;
            Some(c.try_cmd(&["INFO", "replication"]).ok()?.text())
        })
    }

    fn is_master(&self, n: usize) -> bool {
        wait_for("INFO", || self.replication(n)).contains("role:master")
    }

    fn follows(&self, n: usize, master: usize) -> bool {
        let (host, server) = &self.servers[master];
        self.replication(n).is_some_and(|info| {
            is(&info, "role:slave")
                && is(&info, &format!("master_host:{}", self.net.address(*host)))
                && is(&info, &format!("master_port:{}", server.port))
                && is(&info, "master_link_status:up")
        })
    }

    fn server_at(&self, port: u16) -> usize {
        let found = self.servers.iter().position(|s| s.1.port == port);
        found.expect("one of ours")
    }

    /// What these Sentinels agree upon, if they do.
    fn agreed(&self, sentinels: &[usize]) -> Option<usize> {
        let ports: BTreeSet<u16> = sentinels
            .iter()
            .map(|n| self.ask(*n, Sentinel::master_port))
            .collect();
        (ports.len() == 1).then(|| self.server_at(*ports.first().expect("one")))
    }

    /// All Sentinels agree upon a master, which is one, and all other servers follow it. Its number.
    #[track_caller]
    fn wait_settled(&self) -> usize {
        let all: Vec<usize> = (0..self.sentinels.len()).collect();
        wait_for("one master, and all others behind it", || {
            let m = self.agreed(&all)?;
            let others = (0..self.servers.len()).filter(|n| *n != m);
            let settled = self.replication(m)?.contains("role:master")
                && others.into_iter().all(|n| self.follows(n, m));
            settled.then_some(m)
        })
    }

    /// How often an event stands in a Sentinel's log.
    fn count(&self, sentinel: usize, event: &str) -> usize {
        let log = self.sentinels[sentinel].log();
        log.lines().filter(|l| l.contains(event)).count()
    }

    fn count_all(&self, event: &str) -> usize {
        (0..self.sentinels.len())
            .map(|n| self.count(n, event))
            .sum()
    }

    /// No epoch has had two leaders.
    #[track_caller]
    fn assert_one_leader_an_epoch(&self) {
        let mut seen = BTreeSet::new();
        for s in &self.sentinels {
            let (mut epoch, mut tried) = ("0".to_string(), "0".to_string());
            for line in s.log().lines() {
                if let Some((_, n)) = line.split_once("+new-epoch ") {
                    epoch = n.trim().to_string();
                }
                if line.contains("+try-failover ") {
                    tried.clone_from(&epoch);
                }
                if line.contains("+elected-leader ") {
                    assert!(seen.insert(tried.clone()), "two leaders in epoch {tried}");
                }
            }
        }
    }
}

/// The master's host is cut off, with one Sentinel of three: the two others fail over, it does not. Then a replica's host is,
/// with a Sentinel for which its own word is enough: it tries again and again, and promotes nobody.
fn a_minority_promotes_nobody(servers: [Kind; 3], watchers: [Kind; 3]) {
    let places = [0, 1, 2].map(|n| (n, servers[n]));
    let Some(site) = Site::start(&places, &watchers, 2, "") else {
        return;
    };
    site.net.plug(0, 1);
    let new = wait_for("the majority to fail over", || {
        site.agreed(&[1, 2]).filter(|m| *m != 0)
    });
    wait_until("its role", || site.is_master(new));
    assert_eq!(site.agreed(&[0]), Some(0));
    assert_eq!(site.count(0, "+try-failover"), 0);
    assert!(site.is_master(0), "nobody can tell it anything else");
    site.net.heal();
    assert_eq!(site.wait_settled(), new);
    assert_eq!(site.count(0, "+try-failover"), 0);
    site.wait_all_known();

    let cut = 3 - new;
    let epoch = site.ask(new, |s| s.master("config-epoch"));
    let promoted = site.count_all("+promoted-slave");
    site.ask(cut, |s| s.connect().ok("SENTINEL SET m quorum 1"));
    site.net.plug(cut, 1);
    wait_until("two attempts of who is alone", || {
        site.count(cut, "-failover-abort-not-elected") >= 2
    });
    assert!(!site.is_master(cut), "it is promoted without a majority");
    assert_eq!(site.agreed(&[0, new]), Some(new));
    site.net.heal();
    assert_eq!(site.wait_settled(), new);
    wait_until("it to see the master again", || {
        site.ask(cut, |s| s.master("flags")) == "master"
    });
    for n in 0..3 {
        assert_eq!(site.ask(n, |s| s.master("config-epoch")), epoch);
    }
    assert_eq!(site.count_all("+promoted-slave"), promoted);
    site.assert_one_leader_an_epoch();
}

#[test]
fn a_minority_of_ours() {
    a_minority_promotes_nobody([OURS; 3], [OURS; 3]);
}

#[test]
fn a_minority_one_real_sentinel() {
    a_minority_promotes_nobody([OURS, REAL, OURS], [OURS, OURS, REAL]);
}

#[test]
fn a_minority_two_real_sentinels() {
    a_minority_promotes_nobody([REAL, OURS, OURS], [OURS, REAL, REAL]);
}

#[test]
fn a_minority_three_real_sentinels() {
    a_minority_promotes_nobody([OURS, OURS, REAL], [REAL; 3]);
}

/// The master dies while the Sentinels are parted so that no side has a majority, though each has the quorum: all sides try, none
/// is elected. Once they hear each other again one is, and one replica is promoted.
fn split_votes(
    servers: &[(usize, Kind)],
    watchers: &[Kind],
    quorum: usize,
    sides: &[usize],
    tries: &[&[usize]],
) {
    let Some(mut site) = Site::start(servers, watchers, quorum, "") else {
        return;
    };
    for (host, side) in sides.iter().enumerate() {
        assert!(*side < SIDES);
        site.net.plug(host, *side);
    }
    site.servers[0].1.kill9();
    for side in tries {
        wait_until("an attempt on each side", || {
            side.iter()
                .any(|n| site.count(*n, "-failover-abort-not-elected") > 0)
        });
    }
    for n in 1..servers.len() {
        assert!(!site.is_master(n));
    }
    assert_eq!(site.count_all("+elected-leader"), 0);
    site.net.heal();
    let all: Vec<usize> = (0..watchers.len()).collect();
    let new = wait_for("one that is elected", || {
        site.agreed(&all).filter(|m| *m != 0)
    });
    wait_until("its role", || site.is_master(new));
    for n in (1..servers.len()).filter(|n| *n != new) {
        wait_until("the other replicas to follow", || site.follows(n, new));
    }
    let (host, server) = &mut site.servers[0];
    site.net.on(*host, || server.restart());
    assert_eq!(site.wait_settled(), new);
    assert_eq!(site.count_all("+promoted-slave"), 1);
    site.assert_one_leader_an_epoch();
}

/// Each of three is alone, and its own word is enough for it.
fn three_votes_for_three(servers: [Kind; 3], watchers: [Kind; 3]) {
    let [a, b, c] = servers;
    split_votes(
        &[(3, a), (0, b), (1, c)],
        &watchers,
        1,
        &[1, 2, 3],
        &[&[0], &[1], &[2]],
    );
}

#[test]
fn three_votes_for_three_of_ours() {
    three_votes_for_three([OURS; 3], [OURS; 3]);
}

#[test]
fn three_votes_for_three_one_real() {
    three_votes_for_three([REAL, OURS, REAL], [OURS, REAL, OURS]);
}

#[test]
fn three_votes_for_three_two_real() {
    three_votes_for_three([OURS, OURS, REAL], [REAL, OURS, REAL]);
}

/// Two and two.
fn two_against_two(watchers: [Kind; 4]) {
    split_votes(
        &[(1, OURS), (0, OURS), (2, REAL)],
        &watchers,
        2,
        &[0, 0, 1, 1],
        &[&[0, 1], &[2, 3]],
    );
}

#[test]
fn two_of_ours_against_two_of_ours() {
    two_against_two([OURS; 4]);
}

#[test]
fn two_against_two_mixed() {
    two_against_two([OURS, REAL, OURS, REAL]);
}

/// Links come and go, first for less than it takes to be down, then for more.
fn flapping_links(servers: [Kind; 3], watchers: [Kind; 3]) {
    let places = [0, 1, 2].map(|n| (n, servers[n]));
    let Some(site) = Site::start(&places, &watchers, 2, "") else {
        return;
    };
    let seed = seed_from_env("FLAP_SEED");
    // Shown only when the test fails.
    println!("FLAP_SEED={seed}");
    let mut rng = Rng(seed);
    let ms = |rng: &mut Rng, least: usize, most: usize| {
        Duration::from_millis((least + rng.below(most - least)) as u64)
    };
    for (times, least, most) in [(20, 20, 400), (6, 800, 2600)] {
        for _ in 0..times {
            let host = rng.below(3);
            site.net.link(host, false);
            std::thread::sleep(ms(&mut rng, least, most));
            site.net.link(host, true);
            std::thread::sleep(ms(&mut rng, 20, most));
        }
    }
    let master = site.wait_settled();
    site.wait_all_known();
    site.assert_one_leader_an_epoch();
    let masters = (0..3).filter(|n| site.is_master(*n)).count();
    assert_eq!(masters, 1);
    let (host, server) = &site.servers[master];
    site.net.on(*host, || {
        let mut c = server.connect();
        c.ok("SET after flapping");
        assert_eq!(c.run("WAIT 2 10000"), 2);
    });
}

#[test]
fn flapping_links_of_ours() {
    flapping_links([OURS; 3], [OURS; 3]);
}

#[test]
fn flapping_links_mixed() {
    flapping_links([OURS, REAL, OURS], [REAL, OURS, OURS]);
}

#[test]
fn flapping_links_two_real_sentinels() {
    flapping_links([REAL, OURS, REAL], [REAL, OURS, REAL]);
}
