//! How long others wait while a server has much to do: a client asks PING each millisecond while a table grows, a million keys
//! expire, a value of many elements goes, a replica empties itself, and so on; Aedile and redis-server in turn.
//!
//! Each case prints, for each server, how long the thing itself took, and of the waits of that client the median, the 99th and 99.9th
//! percentile and the longest, in milliseconds, and how many waits there were up to each power of two. A wait of n milliseconds
//! counts as n of them, n-1 and so on, as those have waited who would have asked meanwhile. A plot of each case is
//! `target/stalls/CASE.svg`.
//!
//! ```text
//! cargo bench --bench stalls [-- CASE ..]
//! ```
//!
//! Cases are chosen by a part of their name. From the environment: `STALLS_KEYS` (1,000,000) and `STALLS_ELEMENTS` (1,000,000) say
//! how much is much, `STALLS_CLIENTS` (10,000) how many clients are many, `STALLS_ARGS` what all servers get besides; and the programs
//! as in the other benches.

mod common;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::support::conn::encode;
use common::support::{Conn, Rng};
use common::*;

/// Between two questions of the client whose waits are measured.
const BEAT: Duration = Duration::from_millis(1);
/// Commands that are sent at once where much is written.
const BATCH: usize = 100;
/// The bound on what a server never ends.
const PATIENCE: Duration = Duration::from_secs(150);

/// Sizes, from the environment.
#[derive(Clone, Copy)]
struct Sizes {
    keys: usize,
    elements: usize,
    clients: usize,
}

fn from_env(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(otherwise)
}

/// What was measured of one thing that a server did.
struct Outcome {
    took: Duration,
    /// Milliseconds, in ascending order.
    waits: Vec<f64>,
}

impl Outcome {
    fn at(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let i = (self.waits.len() as f64 * share) as usize;
        self.waits.get(i.min(last)).copied().unwrap_or(0.0)
    }

    /// How many waits lie above each power of two of 1/16 ms, up to the next one.
    fn histogram(&self) -> [usize; CLASSES] {
        let mut classes = [0; CLASSES];
        for w in &self.waits {
            let class = (w * 16.0).max(1.0).log2() as usize;
            classes[class.min(CLASSES - 1)] += 1;
        }
        classes
    }
}

/// From 1/16 ms to half a minute.
const CLASSES: usize = 20;

/// Does `f` while a client asks PING each [`BEAT`].
fn watched(server: &Server, f: impl FnOnce()) -> Outcome {
    let stop = AtomicBool::new(false);
    let mut heart = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    heart.set_nodelay(true).expect("nodelay");
    heart.set_read_timeout(Some(PATIENCE)).expect("timeout");
    std::thread::scope(|s| {
        let stop = &stop;
        let beats = s.spawn(move || {
            let mut waits = Vec::new();
            let mut answer = [0; 64];
            while !stop.load(Ordering::Acquire) {
                let start = Instant::now();
                heart.write_all(b"PING\r\n").expect("a PING");
                let n = heart.read(&mut answer).expect("an answer");
                assert!(n > 0, "the server is gone");
                let wait = start.elapsed();
                waits.push(wait);
                if let Some(rest) = BEAT.checked_sub(wait) {
                    std::thread::sleep(rest);
                }
            }
            waits
        });
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        f();
        let took = start.elapsed();
        std::thread::sleep(Duration::from_millis(20));
        stop.store(true, Ordering::Release);
        let mut waits = Vec::new();
        for wait in beats.join().expect("the client") {
            let mut ms = wait.as_secs_f64() * 1e3;
            waits.push(ms);
            while ms > 2.0 {
                ms -= 1.0;
                waits.push(ms);
            }
        }
        waits.sort_by(f64::total_cmp);
        Outcome { took, waits }
    })
}

fn start(kind: Kind, args: &[&str]) -> Server {
    let more = std::env::var("STALLS_ARGS").unwrap_or_default();
    let mut all = vec![
        "--enable-debug-command",
        "yes",
        "--enable-protected-configs",
        "yes",
    ];
    all.extend(args);
    if kind == Kind::Aedile {
        all.extend(more.split_whitespace());
    }
    Server::start(kind, &all)
}

/// Sends commands by the batch, `make` makes each; replies are only counted.
fn write(c: &mut Conn, commands: usize, make: impl Fn(usize) -> Vec<String>) {
    for from in (0..commands).step_by(BATCH) {
        let mut out = Vec::new();
        let to = commands.min(from + BATCH);
        for i in from..to {
            out.extend_from_slice(&encode(&make(i)));
        }
        c.write_raw(&out);
        for _ in from..to {
            let reply = c.read();
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

fn key(i: usize) -> String {
    format!("key:{i:012}")
}

fn populated(kind: Kind, keys: usize, args: &[&str]) -> (Server, Conn) {
    let server = start(kind, args);
    let mut c = server.connect();
    c.set_timeout(PATIENCE);
    c.ok(&format!("DEBUG POPULATE {keys} key 100"));
    (server, c)
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_millis()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            println!("  given up: {what}");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

type Case = fn(Kind, Sizes, &mut dyn FnMut(&str, Outcome));

/// Nothing at all: what this machine and its other users do.
fn idle(kind: Kind, _: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let server = start(kind, &[]);
    report(
        "",
        watched(&server, || std::thread::sleep(Duration::from_secs(3))),
    );
}

/// A table grows from nothing and shrinks to nothing under a writer.
fn table(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let server = start(kind, &[]);
    let mut c = server.connect();
    let grown = watched(&server, || {
        write(&mut c, sizes.keys, |i| words(&["SET", &key(i), "v"]));
    });
    report("grows", grown);
    let shrunk = watched(&server, || {
        write(&mut c, sizes.keys, |i| words(&["DEL", &key(i)]));
        std::thread::sleep(Duration::from_secs(1));
    });
    report("shrinks", shrunk);
}

/// Keys that fall due at the same moment: how long until the last one is gone. With others that do not expire for long.
fn expiry(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    for (name, others) in [("alone", 0), ("among", 3)] {
        let server = start(kind, &[]);
        let mut c = server.connect();
        write(&mut c, others * sizes.keys, |i| {
            words(&[
                "SET",
                &format!("other:{i}"),
                "v",
                "EX",
                &(10_000 + i % 50_000).to_string(),
            ])
        });
        let due = now_ms() + 3000 + sizes.keys as u128 / 100;
        let at = due.to_string();
        write(&mut c, sizes.keys, |i| {
            words(&["SET", &key(i), "v", "PXAT", &at])
        });
        let left = due.saturating_sub(now_ms() + 100);
        if left == 0 {
            println!("  the keys were written too slowly");
        }
        std::thread::sleep(Duration::from_millis(left as u64));
        let mut late = Duration::ZERO;
        let mut outcome = watched(&server, || {
            let want = (others * sizes.keys) as i64;
            until("keys are still there", || c.run("DBSIZE").int() <= want);
            late = Duration::from_millis(now_ms().saturating_sub(due) as u64);
        });
        outcome.took = late;
        report(name, outcome);
    }
}

fn limit_to_what_is_used(c: &mut Conn) {
    let used = c.info_int("used_memory");
    c.ok(&format!("CONFIG SET maxmemory {used}"));
}

/// At the limit of memory, a writer of values between 10 bytes and 100 KB.
fn eviction(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let (server, mut c) = populated(kind, sizes.keys, &["--maxmemory-policy", "allkeys-lru"]);
    limit_to_what_is_used(&mut c);
    let values: Vec<String> = [10, 100, 1000, 10_000, 100_000]
        .map(|n| "v".repeat(n))
        .into();
    let outcome = watched(&server, || {
        let mut rng = Rng(1);
        for i in 0..40_000 {
            let size = rng.below(100) / 24;
            let reply = c.cmd(&["SET", &format!("new:{i}"), &values[size]]);
            assert!(!reply.is_error(), "{reply:?}");
        }
    });
    report("strings", outcome);
    // Large collections among small ones are evicted too.
    let (server, mut c) = populated(kind, 1000, &["--maxmemory-policy", "allkeys-random"]);
    for i in 0..10 {
        fill("set", &format!("big:{i}"), sizes.elements / 10, &mut c);
    }
    limit_to_what_is_used(&mut c);
    let outcome = watched(&server, || {
        for i in 0..2000 {
            let reply = c.cmd(&["SET", &format!("new:{i}"), &values[4]]);
            assert!(!reply.is_error(), "{reply:?}");
        }
    });
    report("collections", outcome);
}

const TYPES: [&str; 5] = ["set", "hash", "zset", "list", "stream"];

fn fill(kind: &str, key: &str, elements: usize, c: &mut Conn) {
    let command = match kind {
        "set" => "SADD",
        "hash" => "HSET",
        "zset" => "ZADD",
        "list" => "RPUSH",
        _ => "XADD",
    };
    let per = if kind == "stream" { 1 } else { BATCH };
    write(c, elements.div_ceil(per), |n| {
        let mut w = words(&[command, key]);
        for i in n * per..elements.min((n + 1) * per) {
            match kind {
                "hash" => w.extend([format!("field:{i}"), format!("value:{i}")]),
                "zset" => w.extend([format!("{}", i * 7919 % 1_000_003), format!("member:{i}")]),
                "stream" => w.extend(words(&["*", "field", &format!("value:{i}")])),
                _ => w.push(format!("element:{i}")),
            }
        }
        w
    });
}

/// Values of many elements that go, each in its way.
fn removal(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let server = start(kind, &[]);
    let mut c = server.connect();
    c.set_timeout(PATIENCE);
    for of in TYPES {
        for way in ["DEL k", "UNLINK k", "PEXPIRE k 30", "SET k v", "FLUSHALL"] {
            fill(of, "k", sizes.elements, &mut c);
            let outcome = watched(&server, || {
                c.run(way);
                if way.starts_with("PEXPIRE") {
                    until("it is there", || c.run("DBSIZE").int() == 0);
                }
            });
            let name = way.split(' ').next().unwrap_or(way).to_lowercase();
            report(&format!("{of}-{name}"), outcome);
            c.ok("FLUSHALL");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    c.cmd(&["SETRANGE", "k", "536870000", "x"]);
    report(
        "string-del",
        watched(&server, || {
            c.run("DEL k");
            std::thread::sleep(Duration::from_millis(1500));
        }),
    );
    c.ok(&format!("DEBUG POPULATE {} key 100", sizes.keys));
    report("flushall", watched(&server, || c.ok("FLUSHALL")));
}

/// A replica with much data begins to follow an empty master.
fn replica(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let (server, mut c) = populated(kind, sizes.keys, &[]);
    let master = start(kind, &["--repl-diskless-sync-delay", "0"]);
    let outcome = watched(&server, || {
        server.replicate(master.port);
        until("the link is down", || c.info("master_link_status") == "up");
    });
    report("flush", outcome);
    // A master whose name is looked up for three seconds.
    let scratch = common::support::server::Scratch::new();
    let library = common::support::tools::preload(scratch.path(), "slow_names");
    let go = scratch.join("go");
    let env = vec![
        ("LD_PRELOAD".to_string(), library.into()),
        ("SLOW_NAMES".to_string(), go.clone().into()),
    ];
    let server = Server::start_with_env(kind, scratch, &[], env);
    let outcome = watched(&server, || {
        let c = server.connect();
        std::thread::scope(|s| {
            s.spawn(move || {
                let mut c = c;
                c.ok(&format!("REPLICAOF slow.name {}", master.port));
            });
            std::thread::sleep(Duration::from_secs(3));
            std::fs::write(&go, "").expect("the file");
        });
        let mut c = server.connect();
        until("the link is down", || c.info("master_link_status") == "up");
    });
    report("name", outcome);
}

/// Commands whose answers are as large as the data.
fn answers(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let (server, mut c) = populated(kind, sizes.keys, &[]);
    for of in TYPES {
        fill(of, of, sizes.elements, &mut c);
    }
    fill("zset", "zset2", sizes.elements, &mut c);
    for command in [
        "KEYS *",
        "SMEMBERS set",
        "HGETALL hash",
        "LRANGE list 0 -1",
        "ZRANGE zset 0 -1",
        "XRANGE stream - +",
        "SORT list ALPHA",
        "ZUNIONSTORE out 2 zset zset2",
        "SUNIONSTORE out set",
    ] {
        let outcome = watched(&server, || {
            let mut raw = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
            let line: Vec<&str> = command.split(' ').collect();
            raw.write_all(&encode(&line)).expect("the command");
            raw.set_read_timeout(Some(PATIENCE)).expect("timeout");
            let mut buf = vec![0; 1 << 20];
            let n = raw.read(&mut buf).unwrap_or(0);
            assert!(n > 0 && buf[0] != b'-', "{command}");
            // The rest of it, until there is a pause.
            raw.set_read_timeout(Some(Duration::from_millis(200)))
                .expect("timeout");
            while raw.read(&mut buf).is_ok_and(|n| n > 0) {}
        });
        let name = command.split(' ').next().unwrap_or(command).to_lowercase();
        report(&name, outcome);
        c.run("UNLINK out");
    }
}

/// Many clients: they come at once, are listed, and leave at once.
fn clients(kind: Kind, sizes: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    let most = (sizes.clients + 1000).to_string();
    let server = start(kind, &["--maxclients", &most, "--tcp-backlog", "4096"]);
    let mut c = server.connect();
    let mut all = Vec::new();
    let outcome = watched(&server, || {
        for _ in 0..sizes.clients {
            let to = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let _ = socket.connect(&to.into());
            all.push(socket);
        }
        let want = sizes.clients as i64;
        until("not all are connected", || {
            c.info_int("connected_clients") >= want
        });
    });
    report("connect", outcome);
    for command in [
        "CLIENT LIST",
        "INFO",
        "INFO everything",
        "CLIENT KILL TYPE pubsub",
        "CONFIG SET maxclients 20000",
    ] {
        let outcome = watched(&server, || {
            for _ in 0..20 {
                c.run(command);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        report(&command.to_lowercase().replace(' ', "-"), outcome);
    }
    let outcome = watched(&server, || std::thread::sleep(Duration::from_secs(2)));
    report("idle", outcome);
    let outcome = watched(&server, || {
        drop(all);
        until("not all have left", || c.info_int("connected_clients") < 10);
    });
    report("leave", outcome);
}

/// A disk whose syncs take two seconds each, and a writer.
fn fsync(kind: Kind, _: Sizes, report: &mut dyn FnMut(&str, Outcome)) {
    for policy in ["everysec", "no"] {
        let scratch = common::support::server::Scratch::new();
        let library = common::support::tools::preload(scratch.path(), "slow_sync");
        let control = scratch.join("sync.control");
        std::fs::write(&control, "sync .incr.aof 0 0\n").expect("the rule");
        let env = vec![
            ("LD_PRELOAD".to_string(), library.into()),
            ("SLOW_SYNC_CONTROL".to_string(), control.clone().into()),
        ];
        let args = ["--appendonly", "yes", "--appendfsync", policy];
        let server = Server::start_with_env(kind, scratch, &args, env);
        let mut c = server.connect();
        let outcome = watched(&server, || {
            let next = control.with_extension("next");
            let rule = |hold: u8| {
                std::fs::write(&next, format!("sync .incr.aof {hold} 0\n")).expect("the rule");
                std::fs::rename(&next, &control).expect("the rule");
            };
            rule(1);
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(8) {
                write(&mut c, 100, |i| words(&["SET", &key(i), "v"]));
                std::thread::sleep(Duration::from_millis(1));
            }
            rule(0);
        });
        report(policy, outcome);
    }
}

const CASES: [(&str, Case); 9] = [
    ("idle", idle),
    ("table", table),
    ("expiry", expiry),
    ("eviction", eviction),
    ("removal", removal),
    ("replica", replica),
    ("answers", answers),
    ("clients", clients),
    ("fsync", fsync),
];

/// A server's name and its waits by classes.
type Line = (&'static str, [usize; CLASSES]);

const COLOURS: [&str; 2] = ["#1f77b4", "#d62728"];

/// Shares of the waits by their length, both scales by powers: one line a server.
fn plot(name: &str, lines: &[Line]) -> std::io::Result<()> {
    let (w, h) = (640, 260);
    let x = |class: usize| 50 + class * (w - 70) / CLASSES;
    let y = |share: f64| 20.0 + (-share.max(1e-6).log10()) / 6.0 * f64::from(h as u32 - 60);
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{w}' height='{h}' font-family='sans-serif' font-size='11'>\
         <rect width='100%' height='100%' fill='white'/><text x='50' y='14'>{name}: share of waits that are longer</text>"
    );
    for class in (0..CLASSES).step_by(2) {
        let ms = f64::powi(2.0, class as i32) / 16.0;
        let _ = write!(svg, "<text x='{}' y='{}'>{ms}</text>", x(class), h - 22);
    }
    for n in 0..=6 {
        let at = y(f64::powi(10.0, -n));
        let _ = write!(
            svg,
            "<text x='4' y='{at}'>1e-{n}</text><path d='M50 {at} H{}' stroke='#ddd'/>",
            w - 10
        );
    }
    let _ = write!(svg, "<text x='{}' y='{}'>ms</text>", w - 30, h - 6);
    for (n, (server, classes)) in lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let all = classes.iter().sum::<usize>().max(1);
        let mut above = all;
        let mut path = String::new();
        for (class, count) in classes.iter().enumerate() {
            if above == 0 {
                break;
            }
            let to = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(
                path,
                "{to}{} {:.1} ",
                x(class),
                y(above as f64 / all as f64)
            );
            above -= count;
        }
        let _ = write!(
            svg,
            "<path d='{path}' fill='none' stroke='{colour}' stroke-width='2'/>\
             <text x='{}' y='{}' fill='{colour}'>{server}</text>",
            w - 90,
            30 + 14 * n
        );
    }
    svg.push_str("</svg>\n");
    let dir = Path::new("target/stalls");
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(format!("{name}.svg")), svg)
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let sizes = Sizes {
        keys: from_env("STALLS_KEYS", 1_000_000),
        elements: from_env("STALLS_ELEMENTS", 1_000_000),
        clients: from_env("STALLS_CLIENTS", 10_000),
    };
    println!(
        "{:28} {:7} {:>9} {:>8} {:>8} {:>8} {:>9}  up to 1/8 ms, 1/4 ..",
        "case", "server", "took ms", "p50 ms", "p99", "p99.9", "longest"
    );
    for (case, run) in CASES {
        if !wanted.is_empty() && !wanted.iter().any(|w| case.contains(w.as_str())) {
            continue;
        }
        let mut all: Vec<(String, Vec<Line>)> = Vec::new();
        for (kind, server) in kinds() {
            run(kind, sizes, &mut |part, o| {
                let name = if part.is_empty() {
                    case.to_string()
                } else {
                    format!("{case}-{part}")
                };
                let classes = o.histogram();
                let used = classes.iter().rposition(|n| *n > 0).map_or(0, |n| n + 1);
                let shown: Vec<String> = classes[..used].iter().map(usize::to_string).collect();
                println!(
                    "{name:28} {server:7} {:9.1} {:8.3} {:8.3} {:8.3} {:9.2}  {}",
                    o.took.as_secs_f64() * 1e3,
                    o.at(0.5),
                    o.at(0.99),
                    o.at(0.999),
                    o.at(1.0),
                    shown.join(" ")
                );
                match all.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, lines)) => lines.push((server, classes)),
                    None => all.push((name, vec![(server, classes)])),
                }
            });
        }
        for (name, lines) in &all {
            if let Err(e) = plot(name, lines) {
                eprintln!("no plot of {name}: {e}");
            }
        }
    }
}
