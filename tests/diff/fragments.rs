//! Requests of many connections, cut anywhere and sent interleaved: what one of them has sent so far changes nothing for
//! another, before it has authenticated or after. Replies are compared connection by connection, byte by byte, after each
//! fragment.
//!
//! A fragment is a read of its own on both servers: nothing more is sent until a PING on another connection has come back
//! twice (the first may be answered in the very turn of the event loop that reads the fragment, the second is not before
//! that turn's replies are written).
//!
//! `DIFF_SEED` and `DIFF_FRAGMENTS` override seed and number of fragments. A failure prints both, and the fragments before it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::need_redis;
use crate::support::conn::encode;
use crate::support::*;

const CONNECTIONS: usize = 16;
const PASSWORD: &str = "sesame";
/// What a server reads at a time, at the most.
const READ: usize = 16 * 1024;
/// Turns in which a server has read a fragment and written what it answers.
const TURNS: usize = 500;
/// Lengths of values that are around a limit: of what an unauthenticated client may send, of an argument that is read into
/// a buffer of its own, of a line.
const LENGTHS: &[usize] = &[
    16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 40_000, 65_535, 65_536, 65_537, 100_000,
];

/// One connection to one server, that never waits for what it reads.
struct Link {
    stream: TcpStream,
    heard: Vec<u8>,
    closed: bool,
}

impl Link {
    fn open(server: &Server) -> Link {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
        stream.set_nodelay(true).expect("set_nodelay");
        stream.set_nonblocking(true).expect("set_nonblocking");
        Link {
            stream,
            heard: Vec::new(),
            closed: false,
        }
    }

    /// The server may have closed, or close meanwhile.
    fn write(&mut self, mut bytes: &[u8]) {
        let start = Instant::now();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.hear();
                    assert!(start.elapsed() < HANG, "a server does not read");
                    std::thread::yield_now();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Takes what has arrived.
    fn hear(&mut self) {
        let mut chunk = [0; 65_536];
        while !self.closed {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(n) => self.heard.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.closed = true,
            }
        }
    }
}

/// HELLO tells of each server's own version and of its number for the connection: both are left out. Who may not say it is
/// told of AUTH in other words by 7.2.
fn comparable(heard: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(heard.len());
    let mut lines = heard.split_inclusive(|b| *b == b'\n');
    while let Some(line) = lines.next() {
        if line.starts_with(b"-NOAUTH HELLO ") {
            out.extend_from_slice(b"-NOAUTH HELLO\r\n");
            continue;
        }
        out.extend_from_slice(line);
        let values = match line {
            b"version\r\n" => 2,
            b"id\r\n" => 1,
            _ => 0,
        };
        lines.by_ref().take(values).for_each(drop);
    }
    out
}

/// One connection to both servers, and what it has still to send.
struct Client {
    links: [Link; 2],
    /// Bytes not sent, and where in them requests end.
    pending: Vec<u8>,
    ends: VecDeque<usize>,
    /// Requests still to be made up.
    left: usize,
    /// The last one is QUIT, or no request at all. After CLIENT REPLY OFF the reference closes then only behind a reply that
    /// is still on its way.
    over: bool,
}

impl Client {
    fn open(servers: &[Server; 2], rng: &mut Rng) -> Client {
        Client {
            links: servers.each_ref().map(Link::open),
            pending: Vec::new(),
            ends: VecDeque::new(),
            left: 1 + rng.below(24),
            over: false,
        }
    }

    fn add(&mut self, request: Vec<u8>) {
        self.pending.extend(request);
        self.ends.push_back(self.pending.len());
    }

    /// The next fragment: often it ends within a line that announces a length.
    fn cut(&mut self, rng: &mut Rng) -> Vec<u8> {
        let all = self.pending.len();
        let first = self.ends.front().copied().unwrap_or(all);
        let n = match rng.below(20) {
            // A long argument would never end like this.
            0..8 if first < 400 || rng.one_in(4) => 1 + rng.below(4),
            0..8 => 1 + rng.below(first),
            8..13 => 1 + rng.below(40),
            13..16 => (first + rng.below(5)).saturating_sub(2),
            16..18 => first,
            _ => 1 + rng.below(all),
        };
        let n = n.clamp(1, all);
        let fragment: Vec<u8> = self.pending.drain(..n).collect();
        for end in &mut self.ends {
            *end = end.saturating_sub(n);
        }
        self.ends.retain(|e| *e > 0);
        fragment
    }
}

/// A value, some of them large.
fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(40) {
        0..10 => format!("v{}", rng.below(1000)).into_bytes(),
        10..16 => rng.below(100_000).to_string().into_bytes(),
        16 => Vec::new(),
        17 => b"\r\n*3\r\n$3\r\nSET\r\n".to_vec(),
        18 => b"*1\r\n$4\r\nPING\r\n".to_vec(),
        19..22 => {
            let n = *LENGTHS.get(rng.below(LENGTHS.len())).expect("a length");
            vec![b'a' + rng.below(26) as u8; n]
        }
        22..26 => {
            let n = rng.below(3000);
            rng.bytes(n)
        }
        _ => {
            let n = rng.below(60);
            rng.bytes(n)
        }
    }
}

/// Bytes that an inline request may have: a zero ends it in C.
fn printable(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| b'a' + b % 26).take(3000).collect()
}

/// The words of a request of connection `me`. Keys are its own, but for the list that others wake it by.
fn words(rng: &mut Rng, me: usize) -> Vec<Vec<u8>> {
    let key = |rng: &mut Rng| format!("c{me}:{}", rng.below(5)).into_bytes();
    let list = format!("c{me}:list").into_bytes();
    let w = |s: &str| s.as_bytes().to_vec();
    let other = rng.below(CONNECTIONS);
    match rng.below(100) {
        0..14 => vec![w("SET"), key(rng), value(rng)],
        14..22 => vec![w("GET"), key(rng)],
        22..26 => vec![w("APPEND"), key(rng), value(rng)],
        26..29 => vec![w("STRLEN"), key(rng)],
        29..32 => vec![w("DEL"), key(rng)],
        32..35 => vec![w("EXISTS"), key(rng), key(rng)],
        35..38 => vec![w("INCR"), key(rng)],
        38..41 => vec![w("MSET"), key(rng), value(rng), key(rng), value(rng)],
        41..43 => vec![w("MGET"), key(rng), key(rng), key(rng)],
        43..46 => vec![w("RPUSH"), list, value(rng)],
        46..48 => vec![w("LPOP"), list],
        48..50 => vec![w("LRANGE"), list, w("0"), w("-1")],
        50..54 => vec![w("PING")],
        54..58 => vec![w("ECHO"), value(rng)],
        58..60 => vec![w("ping"), value(rng)],
        60..62 => vec![w("NOSUCH"), key(rng), printable(&value(rng))],
        62 => vec![w("GET")],
        63..67 => vec![w("MULTI")],
        67..71 => vec![w("EXEC")],
        71 => vec![w("DISCARD")],
        72 => vec![w("WATCH"), key(rng)],
        73 => vec![w("SUBSCRIBE"), format!("ch{me}").into_bytes()],
        74 => vec![w("UNSUBSCRIBE"), format!("ch{me}").into_bytes()],
        // A message to oneself comes before the reply in 7.0, behind it in 7.2.
        75..78 if other != me => vec![w("PUBLISH"), format!("ch{other}").into_bytes(), value(rng)],
        78 => vec![w("HELLO"), w(rng.pick(&["2", "3", "3", "4"]))],
        79 => vec![w("AUTH"), w(rng.pick(&[PASSWORD, "wrong"]))],
        80 => vec![w("CLIENT"), w("REPLY"), w("OFF")],
        81..83 => vec![w("CLIENT"), w("REPLY"), w("SKIP")],
        83..87 => vec![w("CLIENT"), w("REPLY"), w("ON")],
        87 => vec![w("RESET")],
        88..90 => vec![w("SELECT"), rng.below(3).to_string().into_bytes()],
        90 => vec![w("BLPOP"), list, w("0")],
        // It is in another's way only if that one waits.
        91..94 => vec![w("RPUSH"), format!("c{other}:list").into_bytes(), w("wake")],
        94 => {
            // More arguments than a short count.
            let n = [11, 12, 1000, 16_383, 16_384, 16_385, 20_000][rng.below(7)];
            let mut v = vec![w(rng.pick(&["DEL", "EXISTS", "ECHO"]))];
            v.extend((1..n).map(|i| format!("c{me}:{}", i % 9).into_bytes()));
            v
        }
        _ => vec![
            w("HSET"),
            format!("c{me}:hash").into_bytes(),
            key(rng),
            value(rng),
        ],
    }
}

/// A request in one of its forms.
fn request(rng: &mut Rng, me: usize) -> Vec<u8> {
    let text: &[u8] = match rng.below(40) {
        0 => b"\r\n",
        1 => b"\n",
        2 => b"*0\r\n",
        3 => b"*-1\r\n",
        4 => b"   \r\n",
        5 => b"set c:quoted \"a b\\x41\"\r\n",
        6 | 7 => b"PING\r\n",
        8 => b"*-2147483648\r\n",
        _ => {
            let words = words(rng, me);
            let short = words.len() < 6 && words.iter().all(|w| w.len() < 3000);
            if short && rng.below(10) < 4 {
                let line: Vec<Vec<u8>> = words
                    .iter()
                    .map(
                        |w| match w.iter().all(u8::is_ascii_graphic) && !w.is_empty() {
                            true => w.clone(),
                            false => printable(w),
                        },
                    )
                    .map(|w| if w.is_empty() { b"''".to_vec() } else { w })
                    .collect();
                let end: &[u8] = rng.pick(&["\r\n", "\n"]).as_bytes();
                return [&line.join(&b' '), end].concat();
            }
            return encode(&words);
        }
    };
    text.to_vec()
}

/// What a connection's life ends with, in one of 24 forms. It is closed when that is sent, if the server has not closed it, as
/// it does behind the first eleven.
fn last(rng: &mut Rng, me: usize, form: usize) -> Vec<u8> {
    let long =
        |start: &str, with: &str| [start.as_bytes(), &with.as_bytes().repeat(70_000)].concat();
    match form {
        0 => b"QUIT\r\n".to_vec(),
        1 => b"*1\r\nPING\r\n".to_vec(),
        2 => b"*1\r\n$-1\r\n".to_vec(),
        3 => b"*2\r\n$4\r\nECHO\r\n$x\r\n".to_vec(),
        4 => b"*x\r\n".to_vec(),
        5 => b"*2147483648\r\n".to_vec(),
        6 => b"SET a \"b\r\n".to_vec(),
        7 => b"*1\r\n$536870913\r\n".to_vec(),
        8 => long("*", "1"),
        9 => long("*1\r\n$", "1"),
        10 => long("", "x"),
        // Counts that are allowed, in lines that may never end.
        11..15 => b"*1234567890".to_vec(),
        15 => b"*2147483647\r".to_vec(),
        16 => b"*16385\r\n$3\r\nDEL\r\n$1".to_vec(),
        17 => b"*2\r\n$4\r\nECHO\r\n$100000000".to_vec(),
        18 => b"*2\r\n$4\r\nECHO\r\n$40000\r\nabc".to_vec(),
        // Any request, not all of it.
        _ => {
            let mut r = request(rng, me);
            let n = rng.below(r.len());
            r.truncate(n);
            r
        }
    }
}

struct Streams {
    servers: [Server; 2],
    control: [Conn; 2],
    clients: Vec<Client>,
    log: VecDeque<String>,
    seed: u64,
    round: usize,
    /// Connections that have ended, and bytes that all have heard from the server under test.
    ended: usize,
    heard: usize,
}

impl Streams {
    fn start(seed: u64, rng: &mut Rng) -> Streams {
        let args = ["--requirepass", PASSWORD];
        let servers = [Server::redis(&args), Server::aedile(&args)];
        let control = servers.each_ref().map(|s| {
            let mut c = s.connect();
            c.ok(&format!("AUTH {PASSWORD}"));
            c
        });
        let clients = (0..CONNECTIONS)
            .map(|_| Client::open(&servers, rng))
            .collect();
        Streams {
            servers,
            control,
            clients,
            log: VecDeque::new(),
            seed,
            round: 0,
            ended: 0,
            heard: 0,
        }
    }

    fn note(&mut self, what: String) {
        self.log.push_back(what);
        if self.log.len() > 60 {
            self.log.pop_front();
        }
    }

    /// The same to both, whose answers must be equal.
    #[track_caller]
    fn control(&mut self, line: &str) {
        let request = encode(&line.split(' ').collect::<Vec<_>>());
        for c in &mut self.control {
            c.write_raw(&request);
        }
        let [a, b] = self.control.each_mut().map(Conn::read);
        assert_eq!(a, b, "{line}");
    }

    /// Both servers have read what was sent, and written what they answer to it.
    fn barrier(&mut self, turns: usize) {
        for _ in 0..turns {
            self.control("PING");
        }
    }

    /// All connections have heard the same on both servers.
    fn compare(&mut self) {
        for me in 0..self.clients.len() {
            for turns in 0.. {
                let c = &mut self.clients[me];
                c.links.iter_mut().for_each(Link::hear);
                let [a, b] = c.links.each_mut();
                if (a.closed == b.closed || (c.over && b.closed))
                    && (a.heard == b.heard || comparable(&a.heard) == comparable(&b.heard))
                {
                    self.heard += b.heard.len();
                    a.heard.clear();
                    b.heard.clear();
                    break;
                }
                // What is long is read and written in several turns of the event loop, but not in so many.
                if turns > TURNS {
                    self.differ(me);
                }
                self.barrier(2);
            }
        }
    }

    fn differ(&self, me: usize) -> ! {
        let show = |l: &Link| {
            let first = &l.heard[..l.heard.len().min(200)];
            let last = &l.heard[l.heard.len().saturating_sub(200)..];
            format!(
                "{} bytes{}: {} .. {}",
                l.heard.len(),
                if l.closed { ", closed" } else { "" },
                first.escape_ascii(),
                last.escape_ascii()
            )
        };
        let [a, b] = &self.clients[me].links;
        let log: Vec<&str> = self.log.iter().map(String::as_str).collect();
        panic!(
            "connection {me} hears other things\n  reference: {}\n  tested:    {}\nDIFF_SEED={} DIFF_FRAGMENTS={}\n{}",
            show(a),
            show(b),
            self.seed,
            self.round + 1,
            log.join("\n")
        );
    }

    /// One fragment of one connection.
    fn step(&mut self, rng: &mut Rng) {
        let me = rng.below(CONNECTIONS);
        let c = &mut self.clients[me];
        if c.pending.is_empty() && c.left == 0 || c.links.iter().all(|l| l.closed) {
            self.note(format!("{me}: closed"));
            self.ended += 1;
            self.clients[me] = Client::open(&self.servers, rng);
            self.barrier(2);
            return;
        }
        while c.left > 0 && (c.pending.len() < 200 || rng.one_in(3)) {
            c.left -= 1;
            let r = match c.left {
                0 => {
                    let form = rng.below(24);
                    c.over = form <= 10;
                    last(rng, me, form)
                }
                // Most of them authenticate at some time, and many at once.
                _ if rng.one_in(8) => encode(&["AUTH", PASSWORD]),
                _ => request(rng, me),
            };
            c.add(r);
        }
        if c.pending.is_empty() {
            return;
        }
        let fragment = c.cut(rng);
        for l in &mut c.links {
            l.write(&fragment);
        }
        let shown = &fragment[..fragment.len().min(100)];
        let line = format!("{me}: {} {}", fragment.len(), shown.escape_ascii());
        self.note(line);
        self.barrier(2 + fragment.len() / READ);
        self.compare();
    }
}

/// How often a command was called, failed and was refused.
fn counts(c: &mut Conn, name: &str) -> Vec<String> {
    let text = c.run("INFO commandstats").text();
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(&format!("cmdstat_{name}:")));
    line.unwrap_or_default()
        .split(',')
        .filter(|f| f.contains("calls="))
        .map(str::to_string)
        .collect()
}

#[test]
fn cut_and_interleaved() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    let rounds = std::env::var("DIFF_FRAGMENTS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(30_000);
    println!("DIFF_SEED={seed} DIFF_FRAGMENTS={rounds}");
    let mut rng = Rng(seed ^ 0xf7a6);
    let mut s = Streams::start(seed, &mut rng);
    let mut paused = false;
    for round in 0..rounds {
        s.round = round;
        if rng.one_in(if paused { 40 } else { 400 }) {
            let line = match paused {
                true => "CLIENT UNPAUSE",
                // Far longer than it takes to end it.
                false => "CLIENT PAUSE 1000000 WRITE",
            };
            paused = !paused;
            s.note(line.to_string());
            s.control(line);
            s.barrier(2);
            s.compare();
        }
        s.step(&mut rng);
    }
    s.control("CLIENT UNPAUSE");
    s.barrier(2);
    s.compare();
    println!("{} connections ended, {} bytes heard", s.ended, s.heard);
    assert!(s.ended > rounds / 200 && s.heard > rounds);
    for name in [
        "set", "get", "append", "del", "exists", "incr", "mset", "ping", "echo", "hset",
    ] {
        let [a, b] = s.control.each_mut().map(|c| counts(c, name));
        assert_eq!(a, b, "{name} DIFF_SEED={seed} DIFF_FRAGMENTS={rounds}");
    }
    let [a, b] = s.control.each_mut().map(dump_state);
    assert!(
        a == b,
        "states differ, DIFF_SEED={seed} DIFF_FRAGMENTS={rounds}"
    );
}
