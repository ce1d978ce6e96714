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
    /// In order, see [`comparable_stream`].
    Stream,
    /// In order, with scores that may be spelled differently.
    Scores,
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
        sorted: Sorted::Stream,
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
        (value, Sorted::Stream) => comparable_stream(value),
        (Value::Array(items), Sorted::Scores) => Value::Array(with_plain_scores(items)),
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

/// The field `name` of a map, or of an array read as pairs.
fn field<'v>(v: &'v Value, name: &str) -> Option<&'v Value> {
    match v {
        Value::Map(pairs) => pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| v),
        Value::Array(items) => items.chunks_exact(2).find(|p| p[0] == name).map(|p| &p[1]),
        _ => None,
    }
}

/// Of what XINFO tells of a stream, that in which two servers with the same data agree. Times differ, and are set by
/// commands that do not propagate; a consumer for whom nothing is pending may be unknown to a replica, and is made at
/// different moments by 7.0 and 7.2.
pub fn comparable_stream(value: Value) -> Value {
    let is_own = |name: &Value, v: Option<&Value>| {
        matches!(v, Some(Value::Int(_)))
            && ["seen-time", "active-time", "idle", "inactive", "consumers"]
                .iter()
                .any(|t| *name == *t)
    };
    let is_idle = |v: &Value| {
        let zero = |name: &str| field(v, name).is_some_and(|n| *n == 0);
        (field(v, "seen-time").is_some() && zero("pel-count"))
            || (field(v, "idle").is_some() && zero("pending"))
    };
    // The time is the last but one of what is told of a pending entry.
    let timeless = |entry: Value| match entry {
        Value::Array(mut parts) if parts.len() > 1 => {
            parts.remove(parts.len() - 2);
            Value::Array(parts)
        }
        entry => entry,
    };
    let inner = |name: Option<&Value>, v: Value| match v {
        Value::Array(entries) if name.is_some_and(|n| *n == "pending") => {
            Value::Array(entries.into_iter().map(timeless).collect())
        }
        v => comparable_stream(v),
    };
    match value {
        Value::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .filter(|(name, v)| !is_own(name, Some(v)))
                .map(|(name, v)| {
                    let v = inner(Some(&name), v);
                    (name, v)
                })
                .collect(),
        ),
        Value::Array(items) => {
            let mut out: Vec<Value> = Vec::with_capacity(items.len());
            let mut items = items.into_iter().filter(|v| !is_idle(v)).peekable();
            while let Some(item) = items.next() {
                if is_own(&item, items.peek()) {
                    items.next();
                    continue;
                }
                let item = inner(out.last(), item);
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
                let gone = matches!(&value, Value::Error(e) if e == b"ERR no such key");
                if value.is_null() || gone {
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

/// Takes out what neither version tells its replicas about groups: how many entries they have read, and the deliveries by
/// reading again what is pending already.
pub fn forget_unpropagated(state: &mut State) {
    fn cut(v: &mut Value) {
        let Value::Array(items) = v else { return };
        let named = |items: &[Value], name: &str| items.iter().position(|i| *i == name);
        for name in ["entries-read", "lag"] {
            if let Some(at) = named(items, name) {
                items.drain(at..(at + 2).min(items.len()));
            }
        }
        if let Some(Value::Array(pending)) =
            named(items, "pending").and_then(|i| items.get_mut(i + 1))
        {
            for entry in pending {
                if let Value::Array(parts) = entry {
                    parts.pop();
                }
            }
        }
        items.iter_mut().for_each(cut);
    }
    for entry in state.values_mut().filter(|e| e.kind == "stream") {
        cut(&mut entry.value);
    }
}

/// Makes every score of -0 a plain 0: 7.2 keeps whole scores of small sorted sets as integers, which have no sign of zero, and
/// 7.0 keeps them as text.
pub fn forget_sign_of_zero(state: &mut State) {
    for entry in state.values_mut().filter(|e| e.kind == "zset") {
        let Value::Array(items) = &mut entry.value else {
            continue;
        };
        for score in items.iter_mut().skip(1).step_by(2) {
            if *score == "-0" {
                *score = Value::Bulk(b"0".to_vec());
            }
        }
    }
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
    let (expected, found) = synced_states(master, replica);
    assert_equal_state(&expected, &found);
    expected
}

/// Waits until `replica` has consumed all that `master` has written; what both have then.
#[track_caller]
pub fn synced_states(master: &Server, replica: &Server) -> (State, State) {
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
    (dump_state(&mut m), dump_state(&mut r))
}

/// Fills an empty server with a little of all types, in two databases, and returns the snapshot that it saves.
#[track_caller]
pub fn small_snapshot(server: &Server) -> Vec<u8> {
    let mut c = server.connect();
    for line in [
        "SET string hello",
        "SET number 12345",
        "SET expires x PX 100000000",
        "SET compressed aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "RPUSH list a b 3",
        "SADD ints 1 2 3",
        "SADD set a b c",
        "ZADD zset 1 a 2.5 b",
        "HSET hash f v g w",
        "XADD stream 1-1 f v",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g who STREAMS stream >",
        "SELECT 3",
        "SET other db",
        "SAVE",
    ] {
        assert!(!c.run(line).is_error(), "{line}");
    }
    std::fs::read(server.rdb_path()).expect("a snapshot")
}
