//! The same with three Sentinels that lead, one of them a real one: the test kills, stops and cuts off, and they find out who the
//! master is. Writers ask them, as a client library does.
//!
//! Each server is behind a proxy, whose port is what it announces: cut off there, nobody reaches it but who is connected to it
//! already. What must be true after each round: within a bound there is one master, all Sentinels name it, and all others follow it.
//!
//! # Which writes must be there
//!
//! A write is entered with the history (`master_replid`) and the offset behind it, and how many replicas WAIT has counted. The new
//! master tells how far it has gone with that history (`master_replid2`, `second_repl_offset`): it has what is below, or it is not
//! what it says. A write that all other servers have acknowledged is below, whoever is promoted, unless one of them has lived
//! anew since. Of a hand-over, all that was answered is below.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::actions::values_of;
use crate::need_redis;
use crate::support::conn::encode;
use crate::support::server::Scratch;
use crate::support::state::synced_states;
use crate::support::*;

/// Rounds, unless CHAOS_ROUNDS says otherwise.
const ROUNDS: usize = 8;
const NODES: usize = 3;
const WRITERS: usize = 4;
/// Writes that are kept in the book.
const WRITES_MOST: usize = 8_000;
/// From a fault to one master that all agree upon and follow.
const BOUND: Duration = Duration::from_secs(60);

struct Write {
    value: String,
    replid: String,
    /// The master's offset right behind it, or beyond.
    bound: i64,
    acked: usize,
    /// See [`Shared::lives`].
    lives: u64,
    /// It was there after a failover: since then the offset alone speaks for it.
    judged: bool,
}

#[derive(Default, Debug)]
struct Counts {
    entered: usize,
    /// Asserted at a promotion: all had acknowledged it; or it was below the offset; or the master handed over.
    promised: usize,
    covered: usize,
    handed_over: usize,
    /// Not promised, and lost; of these, those that one replica had acknowledged.
    lost: usize,
    lost_acked: usize,
    /// Of histories that two failovers have left behind.
    unknown: usize,
    failovers: usize,
    longest: Duration,
}

struct Shared {
    sentinels: Vec<u16>,
    /// The server's port behind each proxy's.
    behind: BTreeMap<u16, u16>,
    stop: AtomicBool,
    /// Counts up whenever a replica may forget what it has acknowledged.
    lives: AtomicU64,
    writes: Mutex<BTreeMap<String, Write>>,
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn ask(sentinel: u16) -> Option<u16> {
    let mut c = Conn::try_connect(sentinel).ok()?;
    c.set_timeout(Duration::from_secs(2));
    let reply = c.try_cmd(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"]);
    reply.ok()?.items().get(1)?.text().parse().ok()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
}

/// Writes at the master that the Sentinels name, until that one is lost. Half of the writers are not cut off with it.
fn write(shared: &Shared, number: usize) {
    let mut n = 0u64;
    while !shared.stopped() {
        let sentinel = shared.sentinels[(number + n as usize) % shared.sentinels.len()];
        if let Some(mut port) = ask(sentinel) {
            if number.is_multiple_of(2) {
                port = shared.behind.get(&port).copied().unwrap_or(port);
            }
            let _ = session(shared, number, port, &mut n);
        }
        n += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn session(shared: &Shared, number: usize, port: u16, n: &mut u64) -> io::Result<()> {
    let mut c = Conn::try_connect(port)?;
    // Who is cut off answers nothing: a client gives up, and asks again.
    c.set_timeout(Duration::from_secs(2));
    while !shared.stopped() {
        *n += 1;
        let key = format!("w{number}:{n}");
        let value = format!("{}-{}", *n * 7919, "v".repeat(*n as usize % 60));
        let lives = shared.lives.load(Ordering::SeqCst);
        let waits = n.is_multiple_of(2);
        let mut out = encode(&["SET", &key, &value]);
        out.extend(encode(&["INFO", "replication"]));
        if waits {
            out.extend(encode(&["WAIT", "1", "300"]));
        }
        c.try_write_raw(&out)?;
        if c.try_read()? != "OK" {
            break;
        }
        let info = c.try_read()?.text();
        let bound = field(&info, "master_repl_offset").and_then(|v| v.parse().ok());
        let (Some(bound), Some(replid)) = (bound, field(&info, "master_replid")) else {
            break;
        };
        if field(&info, "role") != Some("master") {
            // It has been deposed since it answered: its history is another one by now.
            break;
        }
        // A WAIT that a dying master leaves unanswered does not take the OK back.
        let answer = waits.then(|| c.try_read());
        let acked = match answer {
            Some(Ok(Value::Int(acked))) => acked as usize,
            _ => 0,
        };
        let write = Write {
            value,
            replid: replid.into(),
            bound,
            acked,
            lives,
            judged: false,
        };
        shared.writes.lock().expect("the book").insert(key, write);
        if let Some(Err(e)) = answer {
            return Err(e);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

struct Node {
    server: Server,
    proxy: Proxy,
}

impl Node {
    fn start(kind: Kind) -> Node {
        let scratch = Scratch::in_memory();
        let text = "repl-ping-replica-period 1\nrepl-timeout 5\nrepl-diskless-sync-delay 0\nappendonly yes\nappendfsync always\n";
        let conf = scratch.write("redis.conf", text);
        let server = Server::start_in(kind, scratch, &[conf.to_str().expect("a path")]);
        let proxy = Proxy::start(server.port);
        let announced = proxy.port.to_string();
        let mut c = server.connect();
        c.config_set("replica-announce-port", &announced);
        c.ok("CONFIG REWRITE");
        Node { server, proxy }
    }

    /// INFO replication, past the proxy.
    fn info(&self) -> Option<String> {
        let mut c = Conn::try_connect(self.server.port).ok()?;
        c.set_timeout(Duration::from_secs(2));
        Some(c.try_cmd(&["INFO", "replication"]).ok()?.text())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The master dies.
    Kill,
    /// It stands still, and goes on when it is deposed.
    Freeze,
    /// Nobody reaches it, and it goes on.
    CutOff,
    /// It dies, and a Sentinel with it, which is back later.
    KillBoth,
    /// It dies, while a replica stands still.
    KillAndFreeze,
    /// A replica dies, and is back before the master dies.
    KillTwo,
    /// SENTINEL FAILOVER, by any of them.
    Manual,
    /// The same with COORDINATED, by one of ours.
    HandOver,
}

const ALL: [Action; ROUNDS] = [
    Action::Kill,
    Action::Freeze,
    Action::CutOff,
    Action::KillBoth,
    Action::KillAndFreeze,
    Action::KillTwo,
    Action::Manual,
    Action::HandOver,
];

struct Led {
    nodes: Vec<Node>,
    sentinels: Vec<Sentinel>,
    shared: Arc<Shared>,
    master: usize,
    counts: Counts,
    log: Vec<String>,
    started: Instant,
}

impl Led {
    fn start() -> Led {
        let nodes = [Kind::Aedile, Kind::Redis, Kind::Aedile].map(Node::start);
        for n in &nodes[1..] {
            n.server.replicate(nodes[0].proxy.port);
            n.server.connect().ok("CONFIG REWRITE");
            n.server.wait_link_up();
        }
        let watchers = [Kind::Aedile, Kind::Redis, Kind::Aedile];
        let sentinels = watchers.map(|kind| {
            let s = Sentinel::watching(kind, nodes[0].proxy.port);
            s.connect().ok("SENTINEL SET m failover-timeout 2000");
            s
        });
        let shared = Shared {
            sentinels: sentinels.iter().map(|s| s.port).collect(),
            behind: nodes
                .iter()
                .map(|n| (n.proxy.port, n.server.port))
                .collect(),
            stop: AtomicBool::new(false),
            lives: AtomicU64::new(0),
            writes: Mutex::new(BTreeMap::new()),
        };
        Led {
            nodes: nodes.into_iter().collect(),
            sentinels: sentinels.into_iter().collect(),
            shared: Arc::new(shared),
            master: 0,
            counts: Counts::default(),
            log: Vec::new(),
            started: Instant::now(),
        }
    }

    fn note(&mut self, what: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.log.push(format!("{at:8.3} {what}"));
    }

    /// All Sentinels know all, and name the same master, which all others follow. None: not yet.
    fn settled(&self) -> Option<usize> {
        let port = ask(self.sentinels[0].port)?;
        let m = self.nodes.iter().position(|n| n.proxy.port == port)?;
        let named = |s: &Sentinel| ask(s.port) == Some(port) && s.knows(NODES - 1, 2);
        let info = self.nodes[m].info()?;
        let replid = field(&info, "master_replid")?;
        let follows = |n: &Node| {
            n.info().is_some_and(|info| {
                field(&info, "role") == Some("slave")
                    && field(&info, "master_port") == Some(&port.to_string())
                    && field(&info, "master_link_status") == Some("up")
                    && field(&info, "master_replid") == Some(replid)
            })
        };
        let others = (0..NODES).filter(|n| *n != m);
        let settled = field(&info, "role") == Some("master")
            && others.into_iter().all(|n| follows(&self.nodes[n]))
            && self.sentinels.iter().all(named);
        settled.then_some(m)
    }

    #[track_caller]
    fn wait_settled(&mut self) {
        let start = Instant::now();
        let m = loop {
            if let Some(m) = self.settled() {
                break m;
            }
            assert!(start.elapsed() < BOUND, "no one master that all follow");
            std::thread::sleep(Duration::from_millis(50));
        };
        self.note(&format!("settled: the master is {m}"));
        self.master = m;
    }

    /// Waits until enough Sentinels to elect one name another master.
    #[track_caller]
    fn wait_deposed(&mut self, old: usize) {
        self.wait_deposed_while(old, || {});
    }

    #[track_caller]
    fn wait_deposed_while(&mut self, old: usize, mut also: impl FnMut()) {
        let port = self.nodes[old].proxy.port;
        let start = Instant::now();
        loop {
            also();
            let named = self.shared.sentinels.iter().filter_map(|s| ask(*s));
            if named.filter(|p| *p != port).count() >= 2 {
                break;
            }
            assert!(start.elapsed() < BOUND, "the master is not replaced");
            std::thread::sleep(Duration::from_millis(20));
        }
        let time = start.elapsed();
        self.counts.longest = self.counts.longest.max(time);
        self.note(&format!("another master after {time:?}"));
    }

    fn round(&mut self, action: Action, rng: &mut Rng) {
        let old = self.master;
        let replicas: Vec<usize> = (0..NODES).filter(|n| *n != old).collect();
        let replica = replicas[rng.below(2)];
        self.note(&format!("{action:?}; the master is {old}"));
        match action {
            Action::Kill => {
                self.nodes[old].server.kill9();
                self.wait_deposed(old);
                self.nodes[old].server.restart();
            }
            Action::Freeze => {
                self.nodes[old].server.sigstop();
                self.wait_deposed(old);
                self.nodes[old].server.sigcont();
            }
            Action::CutOff => {
                self.nodes[old].proxy.blackhole(true);
                self.wait_deposed(old);
                self.nodes[old].proxy.cut();
                self.nodes[old].proxy.blackhole(false);
            }
            Action::KillBoth => {
                let s = rng.below(self.sentinels.len());
                self.note(&format!("sentinel {s} is killed"));
                self.sentinels[s].stop();
                self.nodes[old].server.kill9();
                self.wait_deposed(old);
                self.sentinels[s].start();
                self.sentinels[s].hurry();
                self.nodes[old].server.restart();
            }
            Action::KillAndFreeze => {
                self.note(&format!("replica {replica} stands still"));
                self.nodes[replica].server.sigstop();
                self.nodes[old].server.kill9();
                self.wait_deposed(old);
                self.nodes[replica].server.sigcont();
                self.nodes[old].server.restart();
            }
            Action::KillTwo => {
                self.note(&format!("replica {replica} is killed"));
                self.shared.lives.fetch_add(1, Ordering::SeqCst);
                self.nodes[replica].server.kill9();
                std::thread::sleep(Duration::from_millis(rng.below(500) as u64));
                self.nodes[replica].server.restart();
                self.shared.lives.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(rng.below(500) as u64));
                self.nodes[old].server.kill9();
                self.wait_deposed(old);
                self.nodes[old].server.restart();
            }
            Action::Manual | Action::HandOver => {
                let ours = [0, 2][rng.below(2)];
                let (s, line) = match action {
                    Action::Manual => (rng.below(3), "SENTINEL FAILOVER m"),
                    _ => (ours, "SENTINEL FAILOVER m COORDINATED"),
                };
                self.note(&format!("{line} of {s}"));
                let mut c = self.sentinels[s].connect();
                let (asked, port) = (self.sentinels[s].port, self.nodes[old].proxy.port);
                // It may be refused, or given up in time: a user asks again. One that is under way refuses another one.
                self.wait_deposed_while(old, || {
                    if ask(asked) == Some(port) {
                        c.run(line);
                    }
                });
            }
        }
        self.wait_settled();
        assert_ne!(self.master, old, "the master is the old one");
        self.counts.failovers += 1;
        self.judge(action == Action::HandOver);
    }

    /// Looks at the book after a failover: what must be there is; what is not is struck out.
    #[track_caller]
    fn judge(&mut self, handed_over: bool) {
        let shared = Arc::clone(&self.shared);
        // Writers wait for that long, at the most.
        let mut book = shared.writes.lock().expect("the book");
        let info = wait_for("INFO", || self.nodes[self.master].info());
        let get = |name: &str| field(&info, name).expect("there").to_string();
        let number = |name: &str| get(name).parse::<i64>().expect("a number");
        let (now, before) = (get("master_replid"), get("master_replid2"));
        let (here, switched) = (number("master_repl_offset"), number("second_repl_offset"));
        let lives = self.shared.lives.load(Ordering::SeqCst);
        let keys: Vec<String> = book.keys().cloned().collect();
        let has = values_of(&mut self.nodes[self.master].server.connect(), &keys);
        let mut missing = Vec::new();
        for (key, has) in keys.iter().zip(has) {
            let w = &book[key];
            let there = has.as_deref() == Some(&w.value);
            let known = w.replid == now || w.replid == before;
            let below = w.replid == now || w.bound < switched;
            let by_all = !w.judged && w.acked >= NODES - 1 && w.lives == lives;
            let why = match (w.replid == now, below, by_all) {
                _ if !known => None,
                (true, _, _) => Some("it was written here"),
                (_, _, true) => Some("all have acknowledged it"),
                _ if handed_over && !w.judged => Some("the master has handed over"),
                (_, true, _) => Some("the offset covers it"),
                _ => None,
            };
            let c = &mut self.counts;
            c.entered += usize::from(!w.judged);
            match why {
                Some(why) if !there || !below => missing.push(format!(
                    "{key}: {why}, but {has:?}; offset {} of {}, counted {}; taken over at {switched} of {before}",
                    w.bound, w.replid, w.acked
                )),
                Some("all have acknowledged it") => c.promised += 1,
                Some("the master has handed over") => c.handed_over += 1,
                Some("the offset covers it") => c.covered += 1,
                Some(_) => {}
                None if !known => c.unknown += 1,
                None => {
                    c.lost += 1;
                    c.lost_acked += usize::from(w.acked > 0);
                }
            }
            if !there {
                book.remove(key);
            }
        }
        assert!(
            missing.is_empty(),
            "{} of {} writes are missing on {}:\n{}",
            missing.len(),
            keys.len(),
            self.master,
            missing[..missing.len().min(10)].join("\n")
        );
        for w in book.values_mut() {
            w.judged = true;
            w.bound = here;
            w.replid.clone_from(&now);
        }
        if book.len() > WRITES_MOST {
            // A long run forgets the older half, on the servers and in the book.
            let mut keys: Vec<String> = book.keys().cloned().collect();
            let number = |k: &String| k.split(':').nth(1).and_then(|n| n.parse::<u64>().ok());
            keys.sort_by_key(number);
            keys.truncate(keys.len() / 2);
            let mut c = self.nodes[self.master].server.connect();
            for chunk in keys.chunks(500) {
                let mut words = vec!["UNLINK"];
                words.extend(chunk.iter().map(String::as_str));
                assert!(!c.cmd(&words).is_error());
            }
            for key in &keys {
                book.remove(key);
            }
        }
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if std::thread::panicking() {
            eprintln!("--- actions:");
            for line in &self.log {
                eprintln!("{line}");
            }
        }
    }
}

#[test]
fn sentinels_lead_and_promises_are_kept() {
    need_redis!();
    assert!(Sentinel::real_available());
    let seed = seed_from_env("CHAOS_SEED");
    let rounds = std::env::var("CHAOS_ROUNDS").ok();
    let rounds = rounds.and_then(|v| v.parse().ok()).unwrap_or(ROUNDS);
    // Shown only when the test fails.
    println!("CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let mut rng = Rng(seed);
    let mut led = Led::start();
    led.wait_settled();
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let shared = Arc::clone(&led.shared);
            std::thread::spawn(move || write(&shared, n))
        })
        .collect();
    let mut deck: Vec<Action> = Vec::new();
    for _ in 0..rounds {
        if deck.is_empty() {
            deck = ALL.to_vec();
            for i in (1..deck.len()).rev() {
                deck.swap(i, rng.below(i + 1));
            }
        }
        std::thread::sleep(Duration::from_millis(200 + rng.below(500) as u64));
        let action = deck.remove(0);
        led.round(action, &mut rng);
    }
    led.shared.stop.store(true, Ordering::SeqCst);
    for w in writers {
        w.join().expect("a writer");
    }
    led.wait_settled();
    led.judge(false);
    for n in (0..NODES).filter(|n| *n != led.master) {
        let (expected, found) = synced_states(&led.nodes[led.master].server, &led.nodes[n].server);
        assert_equal_state(&expected, &found);
    }
    let kept = led.shared.writes.lock().expect("the book").len();
    let c = &led.counts;
    println!("{rounds} rounds from CHAOS_SEED={seed}: {c:?}; {kept} writes are there");
    assert_eq!(c.failovers, rounds);
    if rounds >= ROUNDS {
        // A test that promised nothing would prove nothing.
        assert!(
            c.promised > 0 && c.covered > 0 && c.handed_over > 0,
            "{c:?}"
        );
    }
}
