//! Six nodes that are killed, restarted, handed over and whose slots move, while somebody writes: at the end every slot has one owner, in
//! everybody's eyes, replicas have what their masters have, and nothing is lost that a replica had acknowledged.
//!
//! `CLUSTER_CHAOS_ROUNDS` makes it longer, `CLUSTER_SEED` another one; the seed stands in what fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::cluster::*;
use crate::support::*;

const KEYS: usize = 60;

/// What a key may hold: the value that was acknowledged last, or one that was tried since.
#[derive(Default)]
struct Allowed {
    sure: Option<String>,
    tried: Vec<String>,
}

/// A client that follows redirections and bears nodes that are gone.
struct Roamer {
    ports: Vec<u16>,
    conn: Option<Conn>,
    next: usize,
}

impl Roamer {
    fn new(nodes: &[Server]) -> Roamer {
        Roamer {
            ports: nodes.iter().map(|n| n.port).collect(),
            conn: None,
            next: 0,
        }
    }

    fn go_to(&mut self, port: u16) {
        self.conn = Conn::try_connect(port).ok();
        if let Some(c) = &self.conn {
            c.set_timeout(Duration::from_secs(5));
        }
    }

    /// One try; none: the answer is not known.
    fn once(&mut self, words: &[&str]) -> Option<Value> {
        if self.conn.is_none() {
            self.next = (self.next + 1) % self.ports.len();
            let port = self.ports[self.next];
            self.go_to(port);
        }
        let reply = self.conn.as_mut()?.try_cmd(words);
        if reply.is_err() {
            self.conn = None;
        }
        reply.ok()
    }

    /// Until it is served, wherever.
    fn run(&mut self, words: &[&str]) -> Option<Value> {
        let start = Instant::now();
        let mut asking = false;
        while start.elapsed() < HANG {
            if asking && self.once(&["ASKING"]).is_none() {
                asking = false;
                continue;
            }
            let Some(reply) = self.once(words) else {
                // A write may have been done or not.
                if words[0] == "SET" {
                    return None;
                }
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            if !reply.is_error() {
                return Some(reply);
            }
            let text = reply.text();
            asking = text.contains("ASK ");
            if asking || text.contains("MOVED ") {
                let port = text.rsplit(':').next().and_then(|p| p.trim().parse().ok());
                self.go_to(port.expect("a port"));
            } else {
                self.conn = None;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("{words:?} is served by nobody");
    }
}

fn write_some(
    roamer: &mut Roamer,
    ledger: &mut BTreeMap<String, Allowed>,
    rng: &mut Rng,
    n: usize,
) {
    for _ in 0..n {
        let key = format!("key:{}", rng.below(KEYS));
        let value = rng.next_u64().to_string();
        let allowed = ledger.entry(key.clone()).or_default();
        allowed.tried.push(value.clone());
        if roamer.run(&["SET", &key, &value]).is_none() {
            continue;
        }
        // On the same connection: the node that has taken it.
        let acknowledged = roamer.once(&["WAIT", "1", "1000"]);
        if acknowledged.is_some_and(|n| !n.is_error() && n.int() >= 1) {
            allowed.sure = Some(value);
            allowed.tried.clear();
        }
    }
}

fn role(node: &Server) -> String {
    node.connect().info("role")
}

fn is_well(nodes: &[Server]) {
    wait_agreement(&nodes.iter().collect::<Vec<_>>());
    wait_until("all replicas to be linked", || {
        nodes.iter().all(|n| {
            let mut c = n.connect();
            c.info("role") == "master" || c.info("master_link_status") == "up"
        })
    });
    wait_until("each master to have its replica", || {
        nodes
            .iter()
            .all(|n| role(n) == "slave" || n.connect().info("connected_slaves") == "1")
    });
}

/// Moves a slot that has keys, as redis-cli does.
fn move_a_slot(nodes: &[Server], rng: &mut Rng) {
    let masters: Vec<&Server> = nodes.iter().filter(|n| role(n) == "master").collect();
    let (from, to) = (rng.below(3), rng.below(3));
    let (from, to) = (masters[from], masters[to]);
    if from.port == to.port {
        return;
    }
    let (mut cf, mut ct) = (from.connect(), to.connect());
    let key = cf.run("RANDOMKEY");
    if key.is_null() {
        return;
    }
    let slot = cf
        .cmd(&["CLUSTER", "KEYSLOT", &key.text()])
        .int()
        .to_string();
    let (idf, idt) = (id_of(from), id_of(to));
    ct.ok(&format!("CLUSTER SETSLOT {slot} IMPORTING {idf}"));
    cf.ok(&format!("CLUSTER SETSLOT {slot} MIGRATING {idt}"));
    let port = to.port.to_string();
    loop {
        let keys = cf.run(&format!("CLUSTER GETKEYSINSLOT {slot} 10"));
        if keys.items().is_empty() {
            break;
        }
        for key in keys.items() {
            let key = key.text();
            let words = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
            assert!(!cf.cmd(&words).is_error());
        }
    }
    for c in [&mut ct, &mut cf] {
        c.ok(&format!("CLUSTER SETSLOT {slot} NODE {idt}"));
    }
}

/// Moves a thousand slots whole, while somebody writes.
fn move_slots_whole(
    nodes: &[Server],
    roamer: &mut Roamer,
    ledger: &mut BTreeMap<String, Allowed>,
    rng: &mut Rng,
) {
    let masters: Vec<&Server> = nodes.iter().filter(|n| role(n) == "master").collect();
    let (from, to) = (masters[rng.below(3)], masters[rng.below(3)]);
    if from.port == to.port {
        return;
    }
    let mine = id_of(from);
    let slots = &crate::support::cluster::nodes(from)[&mine].2;
    let Some(range) = slots.first() else {
        return;
    };
    let bounds: Vec<u16> = range
        .split('-')
        .map(|n| n.parse().expect("a slot"))
        .collect();
    let (first, last) = (bounds[0], bounds[bounds.len() - 1]);
    let last = last.min(first.saturating_add(1000));
    let mut c = from.connect();
    let id = id_of(to);
    c.ok(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {id}"
    ));
    write_some(roamer, ledger, rng, 40);
    wait_until("the slots to move", || {
        let jobs = c.run("CLUSTER GETSLOTMIGRATIONS");
        let state = jobs.items()[0].pairs()["state"].clone();
        assert_ne!(state, "failed");
        state == "success"
    });
}

#[test]
fn nothing_acknowledged_is_lost_and_all_agree() {
    let seed = seed_from_env("CLUSTER_SEED");
    println!("CLUSTER_SEED={seed}");
    let mut rng = Rng(seed);
    let more = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut nodes: Vec<Server> = (0..6).map(|_| node(Kind::Aedile, &more)).collect();
    join_masters(&nodes[..3].iter().collect::<Vec<_>>());
    for r in &nodes[3..] {
        meet(&nodes[0], r);
    }
    for (i, r) in nodes[3..].iter().enumerate() {
        replicate(r, &nodes[i]);
    }
    is_well(&nodes);
    let rounds = std::env::var("CLUSTER_CHAOS_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|n| n.parse().ok()).unwrap_or(4);
    let mut roamer = Roamer::new(&nodes);
    let mut ledger = BTreeMap::new();
    for round in 0..rounds {
        write_some(&mut roamer, &mut ledger, &mut rng, 40);
        let victim = rng.below(6);
        println!("round {round}: {} {victim}", role(&nodes[victim]));
        match round % 4 {
            // A master goes, and comes back as a replica; or a replica goes.
            0 => {
                nodes[victim].kill9();
                write_some(&mut roamer, &mut ledger, &mut rng, 40);
                nodes[victim].restart();
            }
            1 if rng.one_in(2) => move_a_slot(&nodes, &mut rng),
            1 => move_slots_whole(&nodes, &mut roamer, &mut ledger, &mut rng),
            2 => {
                let replica = nodes.iter().find(|n| role(n) == "slave");
                let replica = replica.expect("a replica");
                let reply = replica.connect().run("CLUSTER FAILOVER");
                assert!(!reply.is_error(), "{reply:?}");
                write_some(&mut roamer, &mut ledger, &mut rng, 40);
            }
            // It says nothing for a while.
            _ => {
                nodes[victim].sigstop();
                write_some(&mut roamer, &mut ledger, &mut rng, 20);
                nodes[victim].sigcont();
            }
        }
        is_well(&nodes);
    }
    write_some(&mut roamer, &mut ledger, &mut rng, 40);
    for (key, allowed) in &ledger {
        let value = roamer.run(&["GET", key]).expect("an answer");
        let value = (!value.is_null()).then(|| value.text());
        let fits = value == allowed.sure
            || value
                .as_ref()
                .is_some_and(|v| allowed.tried.iter().any(|t| t == v));
        assert!(
            fits,
            "CLUSTER_SEED={seed}: {key} is {value:?}, acknowledged was {:?}, tried {:?}",
            allowed.sure, allowed.tried
        );
    }
    assert_eq!(cluster_info(&nodes[0], "cluster_slots_ok"), "16384");
    let view = crate::support::cluster::nodes(&nodes[0]);
    for (id, (flags, master, _)) in &view {
        if flags == "slave" {
            let by_id = |id: &str| nodes.iter().find(|n| id_of(n) == id).expect("a node");
            assert_same_data(by_id(master), by_id(id));
        }
    }
}
