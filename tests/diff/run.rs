//! The runner: pairs of servers, pairs of replies.
//!
//! `DIFF_SEED` and `DIFF_ROUNDS` override seed and number of commands. A failure prints the seed, the command's number
//! and the commands just before it.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::generator;
use super::known::{accepted, same_but_for_spelling};
use crate::need_redis;
use crate::support::conn::encode;
use crate::support::*;

pub(super) struct Pair {
    pub(super) reference: Conn,
    pub(super) tested: Conn,
    servers: Rc<[Server; 2]>,
}

impl Pair {
    pub(super) fn start() -> Pair {
        let reference = Server::redis(&[]);
        let tested = Server::aedile(&[]);
        Pair {
            reference: reference.connect(),
            tested: tested.connect(),
            servers: Rc::new([reference, tested]),
        }
    }

    /// Another client of the same servers.
    pub(super) fn second(&self) -> Pair {
        Pair {
            reference: self.servers[0].connect(),
            tested: self.servers[1].connect(),
            servers: Rc::clone(&self.servers),
        }
    }

    /// EXEC to both; each reply is judged as that of the command that was queued.
    #[track_caller]
    fn exec(&mut self, queued: &[Vec<Vec<u8>>], context: &dyn Fn() -> String) -> Value {
        let (a, b) = (self.reference.run("EXEC"), self.tested.run("EXEC"));
        let (Value::Array(x), Value::Array(y)) = (&a, &b) else {
            assert_eq!(a, b, "{}", context());
            return b;
        };
        assert_eq!((x.len(), y.len()), (queued.len(), queued.len()));
        for ((x, y), args) in x.iter().zip(y).zip(queued) {
            assert!(
                x == y || accepted(args, x, y).is_some(),
                "replies differ on {}\n  reference: {x:?}\n  tested:    {y:?}\n{}",
                show(args),
                context()
            );
            if x.is_error() != y.is_error() {
                self.forget(args);
            }
        }
        b
    }

    /// Only one of the two has acted on this command: both go on from the same state.
    pub(super) fn forget(&mut self, args: &[Vec<u8>]) {
        // Whichever of its words is a key.
        if args.len() > 1 {
            let mut del = args.to_vec();
            del[0] = b"DEL".to_vec();
            for conn in [&mut self.reference, &mut self.tested] {
                conn.cmd(&del);
            }
        }
    }

    /// One command to both; panics with `context` on a difference that is not known.
    #[track_caller]
    pub(super) fn both(
        &mut self,
        args: &[Vec<u8>],
        context: &dyn Fn() -> String,
    ) -> (Value, Value) {
        let bytes = encode(args);
        self.reference.write_raw(&bytes);
        self.tested.write_raw(&bytes);
        let lost = |who: &str, e: std::io::Error| -> ! {
            panic!("{who}: {e} on {}\n{}", show(args), context())
        };
        let (a, a_raw) = (self.reference.try_read_bytes()).unwrap_or_else(|e| lost("reference", e));
        let (b, b_raw) = (self.tested.try_read_bytes()).unwrap_or_else(|e| lost("tested", e));
        if a_raw != b_raw && accepted(args, &a, &b).is_none() {
            panic!(
                "replies differ on {}\n  reference: {a:?}\n  tested:    {b:?}\n{}",
                show(args),
                context()
            );
        }
        if a.is_error() != b.is_error() {
            // An accepted difference.
            self.forget(args);
        }
        (a, b)
    }
}

pub(super) fn show(args: &[Vec<u8>]) -> String {
    args.iter()
        .map(|a| {
            let cut = &a[..a.len().min(60)];
            format!("\"{}\"", cut.escape_ascii())
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Both data sets, with expiries compared within a second.
#[track_caller]
pub(super) fn equal_states(pair: &mut Pair, context: &dyn Fn() -> String) {
    let a = dump_state(&mut pair.reference);
    let b = dump_state(&mut pair.tested);
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let same = match (a.get(key), b.get(key)) {
            (Some(x), Some(y)) => {
                // A sorted set that is a listpack in one and not in the other keeps -0 in one and not in the other.
                x.kind == y.kind
                    && (x.value == y.value
                        || (x.kind == "zset" && same_but_for_spelling(&x.value, &y.value)))
                    && (x.expire_at_ms < 0) == (y.expire_at_ms < 0)
                    && x.expire_at_ms.abs_diff(y.expire_at_ms) <= 1000
            }
            _ => false,
        };
        assert!(
            same,
            "states differ at db{} {:?}\n  reference: {:?}\n  tested:    {:?}\n{}",
            key.0,
            String::from_utf8_lossy(&key.1),
            a.get(key),
            b.get(key),
            context()
        );
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
}

fn stream(protocol: u8, default_rounds: usize) {
    let seed = seed_from_env("DIFF_SEED");
    let rounds = std::env::var("DIFF_ROUNDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(default_rounds);
    println!("DIFF_SEED={seed} DIFF_ROUNDS={rounds} RESP{protocol}");
    let mut pair = Pair::start();
    if protocol == 3 {
        pair.reference.run("HELLO 3");
        pair.tested.run("HELLO 3");
    }
    let mut rng = Rng(seed ^ u64::from(protocol));
    let mut recent: Vec<Vec<Vec<u8>>> = Vec::new();
    for round in 0..rounds {
        let args = generator::command(&mut rng, round);
        recent.push(args.clone());
        if recent.len() > 25 {
            recent.remove(0);
        }
        let context = || {
            let lines: Vec<String> = recent.iter().map(|a| format!("  {}", show(a))).collect();
            format!(
                "DIFF_SEED={seed} DIFF_ROUNDS={} RESP{protocol}, the last commands:\n{}",
                round + 1,
                lines.join("\n")
            )
        };
        for first in generator::consumers_of(&args) {
            pair.both(&first, &context);
        }
        pair.both(&args, &context);
        if round % 500 == 499 {
            equal_states(&mut pair, &context);
            if round % 2500 == 2499 {
                pair.both(&words("FLUSHALL"), &context);
            }
        }
    }
    equal_states(&mut pair, &|| format!("DIFF_SEED={seed} at the end"));
}

#[test]
fn resp2() {
    need_redis!();
    stream(2, 20_000);
}

#[test]
fn resp3() {
    need_redis!();
    stream(3, 20_000);
}

/// Transactions of random commands, while another client changes keys that may be watched.
#[test]
fn transactions() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    println!("DIFF_SEED={seed}");
    let mut a = Pair::start();
    let mut b = a.second();
    let mut rng = Rng(seed ^ 77);
    let mut step = 0;
    let mut log: Vec<String> = Vec::new();
    let mut queued: Vec<Vec<Vec<u8>>> = Vec::new();
    let (mut run, mut dirty, mut aborted) = (0, 0, 0);
    // Both clients stay in one database, and keys stay.
    let mut random = |rng: &mut Rng| loop {
        step += 1;
        let args = generator::command(rng, step);
        let name = String::from_utf8_lossy(&args[0]).to_uppercase();
        // Here 7.2 queues what 7.0 refuses: ZRANK has got an option.
        let newer = name.ends_with("RANK") && args.len() == 4;
        if !newer && !["FLUSHDB", "SELECT", "EXEC", "DISCARD"].contains(&&*name) {
            return args;
        }
    };
    for round in 0..600 {
        let mut play = |pair: &mut Pair, who: &str, args: Vec<Vec<u8>>| {
            log.push(format!("{who} {}", show(&args)));
            let recent = log.len().saturating_sub(60);
            let text = format!("DIFF_SEED={seed}\n{}", log[recent..].join("\n"));
            let context = || text.clone();
            if who == "A" && args[0] == b"EXEC" && args.len() == 1 {
                return pair.exec(&std::mem::take(&mut queued), &context);
            }
            let mut reply = Value::Null;
            for args in generator::consumers_of(&args).into_iter().chain([args]) {
                reply = pair.both(&args, &context).1;
                match who {
                    "A" if reply == "QUEUED" => queued.push(args),
                    "A" if reply == "OK" && args[0] == b"MULTI" => queued.clear(),
                    _ => {}
                }
            }
            reply
        };
        for _ in 0..rng.below(3) {
            play(&mut a, "A", generator::watch(&mut rng));
        }
        for _ in 0..rng.below(6) {
            play(&mut b, "B", random(&mut rng));
        }
        if rng.one_in(10) {
            play(
                &mut a,
                "A",
                words(rng.pick(&["UNWATCH", "DISCARD", "EXEC"])),
            );
        }
        play(&mut a, "A", words("MULTI"));
        for _ in 0..rng.below(6) {
            play(&mut a, "A", random(&mut rng));
            if rng.one_in(8) {
                play(&mut b, "B", random(&mut rng));
            }
            if rng.one_in(30) {
                let line = rng.pick(&["MULTI", "WATCH key:1", "UNWATCH", "NOSUCH", "EXEC x"]);
                play(&mut a, "A", words(line));
            }
        }
        let end = rng.pick(&["EXEC", "EXEC", "EXEC", "EXEC", "DISCARD"]);
        match play(&mut a, "A", words(end)) {
            Value::Array(_) => run += 1,
            Value::NullArray => dirty += 1,
            _ => aborted += 1,
        }
        if round % 50 == 49 {
            equal_states(&mut a, &|| format!("DIFF_SEED={seed} round {round}"));
            play(&mut b, "B", words("FLUSHALL"));
        }
    }
    println!("{run} run, {dirty} dirty, {aborted} aborted or discarded");
    assert!(run.min(dirty).min(aborted) > 10);
}

/// Full iterations return the same set of keys on both, whatever MATCH, COUNT and TYPE are.
#[test]
fn scan_full_iterations() {
    need_redis!();
    let mut pair = Pair::start();
    for i in 0..2_000 {
        let args = words(&format!("SET key:{i} v"));
        pair.both(&args, &String::new);
    }
    for options in [
        "",
        " COUNT 1",
        " COUNT 100",
        " COUNT 100000",
        " MATCH key:1*",
        " MATCH *9 COUNT 50",
        " MATCH nothing",
        " TYPE string",
        " TYPE list",
        " TYPE string MATCH key:?0 COUNT 7",
    ] {
        let mut sets = Vec::new();
        for conn in [&mut pair.reference, &mut pair.tested] {
            let mut cursor = "0".to_string();
            let mut seen = BTreeSet::new();
            let mut steps = 0;
            loop {
                let reply = conn.run(&format!("SCAN {cursor}{options}"));
                cursor = reply.items()[0].text();
                seen.extend(reply.items()[1].items().iter().map(Value::bytes));
                steps += 1;
                assert!(steps < 10_000, "SCAN does not end");
                if cursor == "0" {
                    break;
                }
            }
            sets.push(seen);
        }
        assert_eq!(sets[0], sets[1], "{options}");
    }
}

/// The same of the members of a set and a sorted set and the fields of a hash, small and large.
#[test]
fn sscan_hscan_and_zscan_full_iterations() {
    need_redis!();
    let mut pair = Pair::start();
    for n in [20, 3_000] {
        for i in 0..n {
            pair.both(&words(&format!("SADD s{n} m:{i}")), &String::new);
            pair.both(&words(&format!("HSET h{n} f:{i} v:{i}")), &String::new);
            pair.both(&words(&format!("ZADD z{n} {i}.5 m:{i}")), &String::new);
        }
        for options in [
            "",
            " COUNT 1",
            " COUNT 100",
            " MATCH *:1*",
            " MATCH *9 COUNT 50",
        ] {
            let verbs = ["SSCAN s", "HSCAN h", "ZSCAN z"].map(|v| format!("{v}{n}"));
            for verb in verbs {
                let mut sets = Vec::new();
                for conn in [&mut pair.reference, &mut pair.tested] {
                    let mut cursor = "0".to_string();
                    let mut seen = BTreeSet::new();
                    for step in 0.. {
                        let reply = conn.run(&format!("{verb} {cursor}{options}"));
                        cursor = reply.items()[0].text();
                        let found = reply.items()[1].items();
                        let width = if verb.starts_with('S') { 1 } else { 2 };
                        seen.extend(found.chunks(width).map(<[Value]>::to_vec));
                        assert!(step < 10_000, "{verb} does not end");
                        if cursor == "0" {
                            break;
                        }
                    }
                    sets.push(seen);
                }
                assert_eq!(sets[0], sets[1], "{verb}{options}");
                assert!(!sets[0].is_empty());
            }
        }
    }
}

/// What DUMP gives, RESTORE takes: within each server, and across.
#[test]
fn dump_and_restore() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    println!("DIFF_SEED={seed}");
    let reference = Server::redis(&[]);
    let tested = Server::start(Kind::Aedile, Kind::Aedile.writes_for_70());
    let mut conns = [reference.connect(), tested.connect()];
    let mut rng = Rng(seed);
    let mut values: Vec<Vec<u8>> = ["", "0", "-1", "12345", "9223372036854775807", "1.5", "abc"]
        .iter()
        .map(|s| s.as_bytes().to_vec())
        .collect();
    values.push(b"compressible ".repeat(500));
    for _ in 0..100 {
        let len = rng.below(500);
        values.push(rng.bytes(len));
    }
    for value in &values {
        for from in 0..2 {
            // A 7.2 stand-in writes a version that 7.0 refuses.
            if from == 1 && stand_in().is_some_and(|v| v == "7.2") {
                continue;
            }
            conns[from].cmd(&[&b"SET"[..], b"a", value]).assert_ok();
            let dump = conns[from].run("DUMP a").bytes();
            for conn in &mut conns {
                conn.cmd(&[&b"RESTORE"[..], b"b", b"0", &dump, b"REPLACE"])
                    .assert_ok();
                assert!(conn.run("GET b").bytes() == *value, "DIFF_SEED={seed}");
                conn.cmd(&[&b"RESTORE"[..], b"b", b"0", &dump])
                    .assert_error("BUSYKEY Target key name already exists.");
                let mut bad = dump.clone();
                let at = rng.below(bad.len());
                bad[at] ^= 1 << rng.below(8);
                conn.cmd(&[&b"RESTORE"[..], b"b", b"0", &bad, b"REPLACE"])
                    .assert_error("ERR DUMP payload version or checksum are wrong");
                conn.cmd(&[&b"RESTORE"[..], b"c", b"1000000", &dump, b"REPLACE"])
                    .assert_ok();
                let ttl = conn.run("PTTL c").int();
                assert!(ttl > 900_000 && ttl <= 1_000_000, "{ttl}");
                conn.cmd(&[
                    &b"RESTORE"[..],
                    b"c",
                    b"4000000000000",
                    &dump,
                    b"REPLACE",
                    b"ABSTTL",
                ])
                .assert_ok();
                assert_eq!(conn.run("PEXPIRETIME c"), 4_000_000_000_000);
            }
        }
    }
    for conn in &mut conns {
        assert!(conn.run("DUMP nosuch").is_null());
        conn.run("RESTORE x -1 y")
            .assert_error("ERR Invalid TTL value, must be >= 0");
        conn.run("RESTORE x 0 y")
            .assert_error("ERR DUMP payload version or checksum are wrong");
    }
}

/// The table names only commands that the reference has, and the server under test has them all.
#[test]
fn table_is_known_to_both() {
    need_redis!();
    let mut pair = Pair::start();
    for name in generator::names() {
        for conn in [&mut pair.reference, &mut pair.tested] {
            let reply = conn.cmd(&["COMMAND", "INFO", &name]);
            assert!(!reply.items()[0].is_null(), "{name} is unknown");
        }
    }
}

/// Fixed sequences that a random stream meets too rarely.
#[test]
fn corner_cases() {
    need_redis!();
    let mut pair = Pair::start();
    for line in [
        "SET n 9223372036854775807",
        "INCR n",
        "INCRBY n -1",
        "DECRBY n -9223372036854775808",
        "SET n -9223372036854775808",
        "DECR n",
        "SET f 1e308",
        "INCRBYFLOAT f 1e308",
        "INCRBYFLOAT f -1e308",
        "SET f 3.0e3",
        "INCRBYFLOAT f 200",
        "SET f 10.50",
        "INCRBYFLOAT f 0.1",
        "INCRBYFLOAT f -5",
        "INCRBYFLOAT f nan",
        "INCRBYFLOAT f inf",
        "SET k v EX 0",
        "SET k v EX 9223372036854775807",
        "SET k v PX 9223372036854775807",
        "SET k v EX 100 PX 100",
        "SET k v EX 100 KEEPTTL",
        "SET k v NX XX",
        "SET k v NX GET",
        "SET k w NX GET",
        "SET k v GET GET",
        "SET k v XX KEEPTTL",
        "SET k v EX",
        "GETEX k EX",
        "GETEX k PERSIST EX 10",
        "SETRANGE k 536870911 xx",
        "SETRANGE none 0",
        "SETBIT k 4294967296 1",
        "BITFIELD k",
        "BITFIELD k OVERFLOW SAT",
        "BITFIELD k INCRBY u8 0 300 OVERFLOW FAIL INCRBY u8 0 300",
        "BITOP NOT d a b",
        "BITPOS none 1",
        "BITPOS none 0",
        "SET ff \u{7f}",
        "BITPOS ff 0 0 -1 BIT",
        "COPY k k",
        "COPY k k DB 0",
        "RENAME k k",
        "RENAME none k",
        "RENAMENX k k",
        "MOVE k 0",
        "MOVE k 99",
        "EXPIRE k 100 NX XX",
        "EXPIRE k 100 GT LT",
        "EXPIRE k 9223372036854775807",
        "PEXPIRE k 9223372036854775807",
        "EXPIREAT k 9223372036854775",
        "EXPIREAT k 9223372036854776",
        "OBJECT ENCODING none",
        "OBJECT FREQ k",
        "LCS n f IDX LEN",
        "LCS none k IDX",
        "SELECT 16",
        "SELECT -1",
        "SWAPDB 0 16",
        "SWAPDB x 0",
        "SWAPDB 0 x",
        "SCAN x",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT x",
        "SCAN 0 MATCH",
        "MSET a",
        "MSETNX a 1 b",
        "DEL",
        "ECHO",
        "PING a b",
        "OBJECT",
        "TYPE k extra",
    ] {
        pair.both(&words(line), &String::new);
    }
    equal_states(&mut pair, &String::new);
}

/// The comparison itself notices a difference in a reply, in a value and in an expiry.
#[test]
fn the_comparison_can_fail() {
    need_redis!();
    let noticed = |change: &str| {
        let change = change.to_string();
        std::panic::catch_unwind(move || {
            let mut pair = Pair::start();
            pair.both(&words("SET k v"), &String::new);
            pair.tested.run(&change);
            equal_states(&mut pair, &String::new);
        })
        .is_err()
    };
    assert!(!noticed("GET k"));
    assert!(noticed("SET k w"));
    assert!(noticed("EXPIRE k 1000"));
    assert!(noticed("DEL k"));
    assert!(noticed("SET other v"));
    let reply = std::panic::catch_unwind(|| {
        let mut pair = Pair::start();
        pair.tested.run("SET k v");
        pair.both(&words("GET k"), &String::new);
    });
    assert!(reply.is_err());
}
