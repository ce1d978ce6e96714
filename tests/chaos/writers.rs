//! The writers: random commands of all types, and the book's writes. They follow the master wherever it goes; a lost
//! connection, a refused write, a server that loads are all part of the day.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::generator;
use super::ledger::{Ledger, Write};
use crate::support::conn::encode;
use crate::support::*;

/// The database of the book: no random command comes here.
pub const BOOK_DB: &str = "13";
const RANDOM_WRITERS: u64 = 3;
const BOOK_WRITERS: u64 = 2;
/// How long the book's writers wait for an acknowledgement.
const WAIT_MS: &str = "300";

/// What writers and the conductor share.
pub struct Shared {
    /// The master's port; 0: none takes writes now.
    pub port: AtomicU16,
    pub stop: AtomicBool,
    /// Random commands, so that all of them together move on the streams' ids.
    step: AtomicUsize,
    pub ledger: Mutex<Ledger>,
}

impl Shared {
    pub fn new() -> Arc<Shared> {
        Arc::new(Shared {
            port: AtomicU16::new(0),
            stop: AtomicBool::new(false),
            step: AtomicUsize::new(0),
            ledger: Mutex::new(Ledger::default()),
        })
    }

    /// The book. A writer that has failed has not left it half written.
    pub fn book(&self) -> MutexGuard<'_, Ledger> {
        self.ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Runs `session` on a connection to the master, again and again.
    fn follow(&self, mut session: impl FnMut(&mut Conn, u16) -> io::Result<()>) {
        while !self.stopped() {
            let port = self.port.load(Ordering::SeqCst);
            if port != 0
                && let Ok(mut c) = Conn::try_connect(port)
            {
                let _ = session(&mut c, port);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn goes_on(&self, port: u16) -> bool {
        !self.stopped() && self.port.load(Ordering::SeqCst) == port
    }
}

/// Starts all of them.
pub fn start(shared: &Arc<Shared>, seed: u64) -> Vec<JoinHandle<()>> {
    let mut writers = Vec::new();
    for n in 0..RANDOM_WRITERS {
        let shared = Arc::clone(shared);
        let rng = Rng(seed ^ (n + 1).wrapping_mul(0x1234_5678_9abc_def1));
        writers.push(std::thread::spawn(move || random_writer(&shared, rng)));
    }
    for n in 0..BOOK_WRITERS {
        let shared = Arc::clone(shared);
        writers.push(std::thread::spawn(move || book_writer(&shared, n)));
    }
    writers
}

/// Settings; what ends a transaction of ours; and what a master of 7.0 accepts but a replica of 7.2 does not: an id below that
/// of a deleted entry, and a payload that runs on into its own checksum.
const LEFT_OUT: &[&str] = &[
    "CONFIG", "PFDEBUG", "DISCARD", "EXEC", "UNWATCH", "XSETID", "RESTORE",
];

/// The same by their arguments: a BITFIELD that fails may make a string longer all the same, and a real master does not tell its
/// replicas; a real master of 7.0 takes any number of entries read by a group; and a real replica may fail to sort numbers when
/// the command before named one beyond all doubles, for it takes that one's error for its own. Nor may a number that stands
/// where an offset is wanted make a string of hundreds of megabytes, which would be no leak of memory.
fn left_out_with(name: &str, words: &[Vec<u8>]) -> bool {
    let has = |word: &str| {
        words
            .iter()
            .any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
    };
    match name {
        "BITFIELD" => has("FAIL") || words.iter().any(|w| w.len() > 8),
        "XGROUP" => has("ENTRIESREAD"),
        "SORT" => !has("ALPHA"),
        _ => false,
    }
}

fn words(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|w| w.as_bytes().to_vec()).collect()
}

/// What the table of tests/diff leaves out, since two servers that are asked one after the other may differ in it: near
/// expiries, chance, time, waiting.
fn by_chance(rng: &mut Rng) -> Vec<Vec<u8>> {
    let key = |rng: &mut Rng, kind: &str| format!("{kind}{}", rng.below(4));
    let ms = (1 + rng.below(400)).to_string();
    let n = rng.below(300).to_string();
    let m = format!("m{}", rng.below(60));
    match rng.below(22) {
        16 | 17 => {
            let size = 1 + rng.below(30_000);
            words(&["SET", &format!("load:{n}"), &"large".repeat(size / 5)])
        }
        18 | 19 => {
            let script = "redis.call('incr', KEYS[1]) redis.call('spop', KEYS[2]) redis.call('rpush', KEYS[3], KEYS[2]) \
                          return redis.call('set', KEYS[4], math.random(1000), 'px', ARGV[1])";
            let (count, load) = (format!("count:{}", rng.below(10)), format!("load:{n}"));
            let (set, list) = (key(rng, "s"), key(rng, "l"));
            words(&["EVAL", script, "4", &count, &set, &list, &load, &ms])
        }
        20 if rng.one_in(4) => {
            let code = format!(
                "#!lua name=lib{}\nredis.register_function('f', function(k, a) return redis.call('append', k[1], '{n}') end)",
                rng.below(2)
            );
            words(&["FUNCTION", "LOAD", "REPLACE", &code])
        }
        20 | 21 => words(&["FCALL", "f", "1", &key(rng, "k")]),
        0 | 1 => words(&["SET", &format!("load:{n}"), &m, "PX", &ms]),
        2 => words(&["PEXPIRE", &format!("load:{n}"), &ms]),
        3 => {
            let kind = rng.pick(&["l", "s", "z", "h", "x", "k"]);
            words(&["PEXPIRE", &key(rng, kind), &ms])
        }
        4 => words(&["GETEX", &format!("load:{n}"), "PX", &ms]),
        5 => words(&["SET", &format!("load:{n}"), &n]),
        6 => words(&["INCR", &format!("count:{}", rng.below(10))]),
        7 => words(&["INCRBYFLOAT", &format!("count:{}", rng.below(10)), "0.1"]),
        8 => words(&["SPOP", &key(rng, "s"), "2"]),
        9 => words(&["SADD", &key(rng, "s"), &m, &n]),
        10 => words(&["ZADD", &key(rng, "z"), &n, &m]),
        11 => words(&["HSET", &key(rng, "h"), &m, &n]),
        12 => words(&["RPUSH", &key(rng, "l"), &m, &n]),
        13 => words(&["XADD", "stream", "MAXLEN", "~", "200", "*", "f", &n]),
        14 => words(&["SPOP", &key(rng, "s")]),
        _ => words(&["BLPOP", &key(rng, "l"), "0.01"]),
    }
}

fn command(rng: &mut Rng, step: usize) -> Vec<Vec<u8>> {
    if rng.one_in(3) {
        return by_chance(rng);
    }
    loop {
        let words = generator::command(rng, step);
        let name = String::from_utf8_lossy(&words[0]).to_uppercase();
        // Often enough to happen, seldom enough to leave something.
        if name == "FLUSHDB" && !rng.one_in(40) {
            continue;
        }
        if left_out_with(&name, &words) {
            continue;
        }
        if !LEFT_OUT.contains(&&*name) {
            return words;
        }
    }
}

fn random_writer(shared: &Shared, mut rng: Rng) {
    shared.follow(|c, port| {
        while shared.goes_on(port) {
            let mut out = encode(&["SELECT", rng.pick(&["0", "1"])]);
            let mut sent = 1;
            let transaction = rng.one_in(4);
            if transaction {
                out.extend(encode(&["MULTI"]));
                sent += 1;
            }
            for _ in 0..1 + rng.below(20) {
                let step = shared.step.fetch_add(1, Ordering::SeqCst);
                let command = command(&mut rng, step);
                for consumer in generator::consumers_of(&command) {
                    out.extend(encode(&consumer));
                    sent += 1;
                }
                out.extend(encode(&command));
                sent += 1;
            }
            if transaction {
                out.extend(encode(&["EXEC"]));
                sent += 1;
            }
            c.try_write_raw(&out)?;
            let mut last = Value::Null;
            for _ in 0..sent {
                last = c.try_read()?;
            }
            // A replica now, or one that loads: look for the master again.
            if let Value::Error(e) = last
                && (e.starts_with(b"READONLY") || e.starts_with(b"LOADING"))
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    });
}

fn field(info: &str, name: &str) -> Option<String> {
    let line = info
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_string())
}

fn book_writer(shared: &Shared, number: u64) {
    let mut n = 0u64;
    shared.follow(|c, port| {
        c.try_cmd(&["SELECT", BOOK_DB])?;
        while shared.goes_on(port) {
            n += 1;
            let key = format!("w{number}:{n}");
            let value = format!("{}-{}", n * 7919 + number, "v".repeat(n as usize % 50));
            let waits = n.is_multiple_of(2);
            let (epoch, lives) = {
                let book = shared.book();
                (book.epoch, book.lives)
            };
            // The epoch was read first: a master that is told of afterwards makes this write a late one.
            if !shared.goes_on(port) {
                break;
            }
            let mut out = encode(&["SET", &key, &value]);
            out.extend(encode(&["INFO", "replication"]));
            if waits {
                out.extend(encode(&["WAIT", "1", WAIT_MS]));
            }
            c.try_write_raw(&out)?;
            if c.try_read()? != "OK" {
                break;
            }
            let info = c.try_read()?.text();
            let Some(bound) = field(&info, "master_repl_offset").and_then(|t| t.parse().ok())
            else {
                break;
            };
            let mut write = Write {
                value,
                bound,
                acked: 0,
                lives,
            };
            // A WAIT that a dying master leaves unanswered does not take the OK back.
            let answer = waits.then(|| c.try_read());
            if let Some(Ok(Value::Int(acked))) = answer {
                write.acked = acked as usize;
            }
            shared.book().enter(epoch, key, write);
            if let Some(Err(e)) = answer {
                return Err(e);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    });
}
