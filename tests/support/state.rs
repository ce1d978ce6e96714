//! The whole data set of a server, read through commands that both servers have, in a form that compares.
//!
//! Values are read by type; a type this file does not know is a failure, not a silent gap. Expiry is absolute
//! (PEXPIRETIME), so two servers agree whatever the time of reading.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::conn::{Conn, Value};
use super::server::Server;
use super::wait_until;

/// One key: its type, its value, and its expiry in Unix milliseconds (-1: none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: String,
    pub value: Value,
    pub expire_at_ms: i64,
}

/// Database and key, to entry.
pub type State = BTreeMap<(u32, Vec<u8>), Entry>;

/// How a type's value is read, and whether the reply's order means nothing.
struct Reader {
    kind: &'static str,
    args: &'static [&'static str],
    sorted: Sorted,
}

#[derive(Clone, Copy, PartialEq)]
enum Sorted {
    No,
    Items,
    Pairs,
    /// In order, with scores that may be spelled differently.
    Scores,
    /// In order, without what is each server's own time.
    Timeless,
}

/// A row a type. `KEY` stands for the key.
const READERS: &[Reader] = &[
    Reader {
        kind: "string",
        args: &["GET", "KEY"],
        sorted: Sorted::No,
    },
    Reader {
        kind: "list",
        args: &["LRANGE", "KEY", "0", "-1"],
        sorted: Sorted::No,
    },
    Reader {
        kind: "set",
        args: &["SMEMBERS", "KEY"],
        sorted: Sorted::Items,
    },
    Reader {
        kind: "hash",
        args: &["HGETALL", "KEY"],
        sorted: Sorted::Pairs,
    },
    Reader {
        kind: "zset",
        args: &["ZRANGE", "KEY", "0", "-1", "WITHSCORES"],
        sorted: Sorted::Scores,
    },
    Reader {
        kind: "stream",
        args: &["XINFO", "STREAM", "KEY", "FULL", "COUNT", "0"],
        sorted: Sorted::Timeless,
    },
];

fn normalise(value: Value, sorted: Sorted) -> Value {
    match (value, sorted) {
        (Value::Array(mut items) | Value::Set(mut items), Sorted::Items) => {
            items.sort();
            Value::Array(items)
        }
        (Value::Array(items), Sorted::Pairs) => {
            let mut pairs: Vec<(Value, Value)> = items
                .chunks(2)
                .map(|p| (p[0].clone(), p[1].clone()))
                .collect();
            pairs.sort();
            Value::Map(pairs)
        }
        (Value::Map(mut pairs), Sorted::Pairs) => {
            pairs.sort();
            Value::Map(pairs)
        }
        (Value::Array(items), Sorted::Scores) => Value::Array(with_plain_scores(items)),
        (value, Sorted::Timeless) => without_times(value),
        (value, _) => value,
    }
}

/// Members and scores, in turn or in pairs, with the scores in one spelling: 7.0 and 7.2 differ in it.
fn with_plain_scores(items: Vec<Value>) -> Vec<Value> {
    let plain = |v: Value| match v.text().parse::<f64>() {
        Ok(score) => Value::Double(score.to_string().into_bytes()),
        Err(_) => v,
    };
    let score_or_pair = |(i, v)| match v {
        Value::Array(pair) => Value::Array(with_plain_scores(pair)),
        v if i % 2 == 1 => plain(v),
        v => v,
    };
    items.into_iter().enumerate().map(score_or_pair).collect()
}

/// What XINFO tells of a stream, without the times at which consumers were seen and entries delivered: commands that do not
/// propagate set them too, and clocks differ.
pub fn without_times(value: Value) -> Value {
    let is_time = |name: &Value| {
        ["seen-time", "active-time", "idle", "inactive"]
            .iter()
            .any(|t| *name == *t)
    };
    // The time is the last but one of what is told of a pending entry.
    let timeless = |entry: Value| match entry {
        Value::Array(mut parts) if parts.len() > 1 => {
            parts.remove(parts.len() - 2);
            Value::Array(parts)
        }
        entry => entry,
    };
    let inner = |name: &Value, v: Value| match v {
        Value::Array(entries) if *name == "pending" => {
            Value::Array(entries.into_iter().map(timeless).collect())
        }
        v => without_times(v),
    };
    match value {
        Value::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .filter(|(name, _)| !is_time(name))
                .map(|(name, v)| {
                    let v = inner(&name, v);
                    (name, v)
                })
                .collect(),
        ),
        Value::Array(items) => {
            let mut out: Vec<Value> = Vec::with_capacity(items.len());
            let mut items = items.into_iter().peekable();
            while let Some(item) = items.next() {
                if is_time(&item) && matches!(items.peek(), Some(Value::Int(_))) {
                    items.next();
                    continue;
                }
                let item = match out.last() {
                    Some(name) => inner(name, item),
                    None => without_times(item),
                };
                out.push(item);
            }
            Value::Array(out)
        }
        value => value,
    }
}

/// Databases that hold keys, by INFO keyspace.
pub fn used_dbs(conn: &mut Conn) -> Vec<u32> {
    conn.run("INFO keyspace")
        .text()
        .lines()
        .filter_map(|l| l.strip_prefix("db")?.split(':').next()?.parse().ok())
        .collect()
}

/// Keys over all databases, expired ones that are not yet deleted included.
fn stored_keys(conn: &mut Conn) -> usize {
    conn.run("INFO keyspace")
        .text()
        .lines()
        .filter_map(|l| {
            l.split_once(":keys=")?
                .1
                .split(',')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum()
}

/// Reads the whole data set. The connection ends on database 0.
#[track_caller]
pub fn dump_state(conn: &mut Conn) -> State {
    let mut state = State::new();
    for db in used_dbs(conn) {
        conn.ok(&format!("SELECT {db}"));
        let keys: Vec<Vec<u8>> = conn
            .run("KEYS *")
            .items()
            .iter()
            .map(Value::bytes)
            .collect();
        for chunk in keys.chunks(1000) {
            let ask = |cmd: &str| -> Vec<Vec<Vec<u8>>> {
                chunk
                    .iter()
                    .map(|k| vec![cmd.as_bytes().to_vec(), k.clone()])
                    .collect()
            };
            let types = conn.pipeline(&ask("TYPE"));
            let times = conn.pipeline(&ask("PEXPIRETIME"));
            let mut gone = Vec::new();
            let mut reads = Vec::new();
            let mut readers = Vec::new();
            for (i, kind) in types.iter().enumerate() {
                let kind = kind.text();
                if kind == "none" || times[i] == -2 {
                    gone.push(i);
                    continue;
                }
                let reader = READERS
                    .iter()
                    .find(|r| r.kind == kind)
                    .unwrap_or_else(|| panic!("no reader for type {kind}"));
                reads.push(
                    reader
                        .args
                        .iter()
                        .map(|a| {
                            if *a == "KEY" {
                                chunk[i].clone()
                            } else {
                                a.as_bytes().to_vec()
                            }
                        })
                        .collect::<Vec<_>>(),
                );
                readers.push((i, reader));
            }
            let values = conn.pipeline(&reads);
            for ((i, reader), value) in readers.into_iter().zip(values) {
                // A key may run out between two reads; then it is not part of the state.
                if value.is_null() {
                    continue;
                }
                assert!(!value.is_error(), "{}: {value:?}", reader.kind);
                state.insert(
                    (db, chunk[i].clone()),
                    Entry {
                        kind: reader.kind.to_string(),
                        value: normalise(value, reader.sorted),
                        expire_at_ms: times[i].int(),
                    },
                );
            }
        }
    }
    conn.ok("SELECT 0");
    state
}

/// Panics with the first differences unless both states are equal.
#[track_caller]
pub fn assert_equal_state(a: &State, b: &State) {
    if a == b {
        return;
    }
    let mut shown = Vec::new();
    for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
        if a.get(key) != b.get(key) && shown.len() < 10 {
            shown.push(format!(
                "db{} {:?}: {:?} != {:?}",
                key.0,
                String::from_utf8_lossy(&key.1),
                a.get(key),
                b.get(key)
            ));
        }
    }
    panic!(
        "states differ ({} and {} keys):\n{}",
        a.len(),
        b.len(),
        shown.join("\n")
    );
}

/// Waits until `replica` has consumed all that `master` has written, then compares both key by key. Returns the state.
#[track_caller]
pub fn assert_synced(master: &Server, replica: &Server) -> State {
    let mut m = master.connect();
    let mut r = replica.connect();
    wait_until("the replica's link", || {
        r.info("master_link_status") == "up"
    });
    // A key that runs out between the two readings would look like a difference: wait until none is near its end, and
    // until what has expired is deleted and thus in the stream (SCAN deletes what it finds expired).
    wait_until("no key near its expiry", || {
        let soon = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64)
            + 100_000;
        for db in used_dbs(&mut m) {
            m.ok(&format!("SELECT {db}"));
            m.run("SCAN 0 COUNT 10000000");
        }
        let state = dump_state(&mut m);
        state.len() == stored_keys(&mut m)
            && state
                .values()
                .all(|e| e.expire_at_ms < 0 || e.expire_at_ms > soon)
    });
    wait_until("equal offsets", || {
        r.info("master_link_status") == "up"
            && m.info_int("master_repl_offset") == r.info_int("slave_repl_offset")
    });
    let expected = dump_state(&mut m);
    let found = dump_state(&mut r);
    assert_equal_state(&expected, &found);
    expected
}
