//! Connections that write, and what the data may look like after them.
//!
//! Each writer owns its keys and sends a seeded sequence of commands, so its part of the data set after the first n commands
//! is known for every n. Whatever a crash does, what is found must be the state after some n between those acknowledged
//! and those sent: nothing acknowledged is missing, nothing is there twice, no transaction is there by half.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::support::{Conn, Rng, Value};

/// Plain keys of a writer.
const KEYS: usize = 12;
/// Commands that are sent before their replies are read, at the most.
const PIPELINE: usize = 8;

/// What a transaction of a writer does, as a script, and as a function of [`LIBRARY`].
const THREE_WRITES: &str = "redis.call('set', KEYS[1], ARGV[1]) redis.call('incr', KEYS[2]) \
     return redis.call('set', KEYS[3], ARGV[1])";
/// Loaded by each writer that begins.
const LIBRARY: &str = "#!lua name=writers
    redis.register_function('three_writes', function(keys, args)
        redis.call('set', keys[1], args[1]) redis.call('incr', keys[2])
        return redis.call('set', keys[3], args[1])
    end)";

/// Key to value; a list is its elements with commas between.
pub type State = BTreeMap<String, String>;

/// The name under which a writer's sequence can be made again.
#[derive(Clone, Debug)]
pub struct Script {
    pub prefix: String,
    pub seed: u64,
}

/// One step: what is sent, and how many replies come.
struct Step {
    commands: Vec<Vec<String>>,
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|w| w.to_string()).collect()
}

impl Script {
    /// The steps in order, without an end; each applies itself to `state`.
    fn steps(&self) -> impl FnMut(&mut State) -> Step + use<> {
        let mut rng = Rng(self.seed);
        let p = self.prefix.clone();
        let mut i = 0u64;
        move |state| {
            i += 1;
            let key = format!("{p}:k{}", rng.below(KEYS));
            let (counter, list) = (format!("{p}:counter"), format!("{p}:list"));
            let commands = match rng.below(20) {
                0..=6 => {
                    // Now and then more than one write of the kernel takes.
                    let pad = if rng.one_in(40) {
                        150_000
                    } else {
                        rng.below(60)
                    };
                    let value = format!("{i}{}", "x".repeat(pad));
                    state.insert(key.clone(), value.clone());
                    vec![words(&["SET", &key, &value])]
                }
                7..=9 => {
                    state.remove(&key);
                    vec![words(&["DEL", &key])]
                }
                10..=13 => {
                    let n: i64 = state
                        .get(&counter)
                        .map_or(0, |v| v.parse().expect("a number"));
                    state.insert(counter.clone(), (n + 1).to_string());
                    vec![words(&["INCR", &counter])]
                }
                14..=16 => {
                    let old = state
                        .get(&list)
                        .map(|l| l.to_string() + ",")
                        .unwrap_or_default();
                    state.insert(list.clone(), format!("{old}{i}"));
                    vec![words(&["RPUSH", &list, &i.to_string()])]
                }
                17 => {
                    state.remove(&list);
                    vec![words(&["DEL", &list])]
                }
                how => {
                    let (a, b, n) = (format!("{p}:a"), format!("{p}:b"), i.to_string());
                    state.insert(a.clone(), n.clone());
                    state.insert(b.clone(), n.clone());
                    let c: i64 = state
                        .get(&counter)
                        .map_or(0, |v| v.parse().expect("a number"));
                    state.insert(counter.clone(), (c + 1).to_string());
                    match (how, i % 2) {
                        (18, _) => vec![
                            words(&["MULTI"]),
                            words(&["SET", &a, &n]),
                            words(&["INCR", &counter]),
                            words(&["SET", &b, &n]),
                            words(&["EXEC"]),
                        ],
                        (_, 0) => vec![words(&["EVAL", THREE_WRITES, "3", &a, &counter, &b, &n])],
                        _ => vec![words(&["FCALL", "three_writes", "3", &a, &counter, &b, &n])],
                    }
                }
            };
            Step { commands }
        }
    }

    /// What the server has of this writer's keys.
    pub fn read(&self, c: &mut Conn) -> State {
        let p = &self.prefix;
        let mut names: Vec<String> = (0..KEYS).map(|k| format!("{p}:k{k}")).collect();
        names.extend(["counter", "a", "b"].map(|n| format!("{p}:{n}")));
        let list = format!("{p}:list");
        let mut cmds: Vec<Vec<String>> = names.iter().map(|n| words(&["GET", n])).collect();
        cmds.push(words(&["LRANGE", &list, "0", "-1"]));
        let replies = c.pipeline(&cmds);
        let mut state = State::new();
        for (name, reply) in names.iter().zip(&replies) {
            if !reply.is_null() {
                state.insert(name.clone(), reply.text());
            }
        }
        let items: Vec<String> = replies[names.len()]
            .items()
            .iter()
            .map(Value::text)
            .collect();
        if !items.is_empty() {
            state.insert(list, items.join(","));
        }
        state
    }

    /// The first n in `from..=to` after which the state is this one.
    pub fn find(&self, found: &State, from: usize, to: usize) -> Option<usize> {
        let mut state = State::new();
        let mut next = self.steps();
        for n in 0..=to {
            if n >= from && state == *found {
                return Some(n);
            }
            next(&mut state);
        }
        None
    }

    /// How the state differs from that after `n` steps, for a failure's text.
    pub fn difference(&self, found: &State, n: usize) -> String {
        let mut state = State::new();
        let mut next = self.steps();
        for _ in 0..n {
            next(&mut state);
        }
        let short = |v: Option<&String>| match v {
            Some(v) if v.len() > 60 => format!("{}.. ({} bytes)", &v[..60], v.len()),
            Some(v) => v.clone(),
            None => "nothing".into(),
        };
        let mut text = String::new();
        for key in state
            .keys()
            .chain(found.keys().filter(|k| !state.contains_key(*k)))
        {
            if state.get(key) != found.get(key) {
                text += &format!(
                    "\n  {key}: {} expected, {} found",
                    short(state.get(key)),
                    short(found.get(key))
                );
            }
        }
        text
    }
}

/// How far a writer has come, in steps.
#[derive(Default)]
pub struct Progress {
    pub sent: AtomicUsize,
    pub acked: AtomicUsize,
}

/// A writer at work.
pub struct Writer {
    pub script: Script,
    pub progress: Arc<Progress>,
    thread: JoinHandle<Option<String>>,
}

impl Writer {
    pub fn start(port: u16, script: Script) -> Writer {
        let progress = Arc::new(Progress::default());
        let (p, s) = (progress.clone(), script.clone());
        // Here and now: a thread that gets its turn late would meet the server that comes after this one, and write for ever.
        let conn = Conn::try_connect(port).ok();
        let thread = std::thread::spawn(move || write(conn?, &s, &p));
        Writer {
            script,
            progress,
            thread,
        }
    }

    pub fn sent(&self) -> usize {
        self.progress.sent.load(Ordering::SeqCst)
    }

    pub fn acked(&self) -> usize {
        self.progress.acked.load(Ordering::SeqCst)
    }

    /// Waits for its end: the error reply that ended it, if one did.
    pub fn join(self) -> (Script, usize, usize, Option<String>) {
        let error = self.thread.join().expect("the writer");
        let (acked, sent) = (
            self.progress.acked.load(Ordering::SeqCst),
            self.progress.sent.load(Ordering::SeqCst),
        );
        (self.script, acked, sent, error)
    }
}

/// Sends steps until the connection breaks or an error comes. A step that is refused is not taken, and
/// nor is any behind it.
fn write(mut conn: Conn, script: &Script, progress: &Progress) -> Option<String> {
    let mut state = State::new();
    let mut next = script.steps();
    let mut rng = Rng(!script.seed);
    let load = ["FUNCTION", "LOAD", "REPLACE", LIBRARY];
    match conn.try_cmd(&load) {
        Ok(loaded) if loaded.is_error() => return Some(loaded.text()),
        Ok(_) => {}
        Err(_) => return None,
    }
    loop {
        let n = 1 + rng.below(PIPELINE);
        let steps: Vec<Step> = (0..n).map(|_| next(&mut state)).collect();
        let mut bytes = Vec::new();
        for c in steps.iter().flat_map(|s| &s.commands) {
            bytes.extend(crate::support::conn::encode(c));
        }
        progress.sent.fetch_add(n, Ordering::SeqCst);
        if conn.try_write_raw(&bytes).is_err() {
            return None;
        }
        let mut refused = None;
        for step in &steps {
            let mut error = None;
            for _ in &step.commands {
                match conn.try_read() {
                    Ok(v) if v.is_error() => error = error.or(Some(v.text())),
                    Ok(_) => {}
                    Err(_) => return refused,
                }
            }
            match (&refused, error) {
                (None, None) => {
                    progress.acked.fetch_add(1, Ordering::SeqCst);
                }
                (None, Some(e)) => {
                    // None of the rest may be taken: the model could not say which.
                    refused = Some(e);
                    progress
                        .sent
                        .store(progress.acked.load(Ordering::SeqCst), Ordering::SeqCst);
                }
                (Some(_), Some(_)) => {}
                (Some(e), None) => {
                    return Some(format!(
                        "a step was taken behind one that was refused with {e}"
                    ));
                }
            }
        }
        if refused.is_some() {
            return refused;
        }
    }
}

/// Acknowledged steps over time: what a bound in seconds is checked with.
#[derive(Default)]
pub struct Timeline(Vec<(Instant, Vec<usize>)>);

impl Timeline {
    pub fn note(&mut self, writers: &[Writer]) {
        self.0
            .push((Instant::now(), writers.iter().map(Writer::acked).collect()));
    }

    /// What had been acknowledged at `when`.
    pub fn at(&self, when: Instant, writers: usize) -> Vec<usize> {
        self.0
            .iter()
            .rev()
            .find(|(t, _)| *t <= when)
            .map_or(vec![0; writers], |(_, acked)| acked.clone())
    }
}
