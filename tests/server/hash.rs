//! Hashes: replies, encodings, events, chance, and what is propagated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::transactions::stream_of;
use crate::support::*;

fn encoding(c: &mut Conn, key: &str) -> String {
    c.run(&format!("OBJECT ENCODING {key}")).text()
}

fn texts(v: &Value) -> Vec<String> {
    v.items().iter().map(Value::text).collect()
}

/// A hash of `n` fields.
fn fill(c: &mut Conn, key: &str, n: usize) {
    let names: Vec<String> = (0..n).map(|i| format!("f:{i} v:{i}")).collect();
    for chunk in names.chunks(500) {
        let line = format!("HSET {key} {}", chunk.join(" "));
        assert_eq!(c.run(&line), chunk.len() as i64);
    }
}

#[test]
fn fields_come_and_go() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    // Both encodings.
    for prepare in ["HSET h x 1", &format!("HSET h x {}", "y".repeat(100))] {
        c.run("DEL h");
        assert_eq!(c.run(prepare), 1);
        assert_eq!(c.run("HDEL h x none"), 1);
        assert_eq!(c.run("EXISTS h"), 0);
        c.run(prepare);
        assert_eq!(c.run("HSET h a 1 b 2 a 3"), 2);
        c.ok("HMSET h c three");
        assert_eq!(c.run("HSETNX h c four"), 0);
        assert_eq!(c.run("HSETNX h d four"), 1);
        assert_eq!(c.run("HGET h a").text(), "3");
        assert!(c.run("HGET h none").is_null() && c.run("HGET none a").is_null());
        let r = c.run("HMGET h a none d");
        assert!(r.items()[0] == "3" && r.items()[1].is_null() && r.items()[2] == "four");
        assert_eq!(c.run("HMGET none a b").items().len(), 2);
        assert_eq!(c.run("HLEN h"), 5);
        assert_eq!(c.run("HSTRLEN h c"), 5);
        assert_eq!(c.run("HSTRLEN h none"), 0);
        assert_eq!(c.run("HEXISTS h d"), 1);
        assert_eq!(c.run("HEXISTS h e"), 0);
        assert_eq!(c.run("HDEL h x d"), 2);
        let all = c.run("HGETALL h").pairs();
        let want = [("a", "3"), ("b", "2"), ("c", "three")];
        let want: BTreeMap<_, _> = want.map(|(k, v)| (k.to_string(), v.to_string())).into();
        assert_eq!(all, want);
        let sorted = |v: Value| {
            let mut t = texts(&v);
            t.sort();
            t.join(" ")
        };
        assert_eq!(sorted(c.run("HKEYS h")), "a b c");
        assert_eq!(sorted(c.run("HVALS h")), "2 3 three");
    }
    c.run("HSET h a")
        .assert_error("ERR wrong number of arguments for 'hset' command");
    c.run("HMSET h a 1 b")
        .assert_error("ERR wrong number of arguments for 'hmset' command");
    c.ok("SET str v");
    for line in [
        "HSET str a 1",
        "HMSET str a 1",
        "HSETNX str a 1",
        "HGET str a",
        "HMGET str a",
        "HGETALL str",
        "HKEYS str",
        "HVALS str",
        "HDEL str a",
        "HLEN str",
        "HSTRLEN str a",
        "HEXISTS str a",
        "HINCRBY str a 1",
        "HINCRBYFLOAT str a 1",
        "HRANDFIELD str",
        "HRANDFIELD str 1",
        "HSCAN str 0",
    ] {
        c.run(line).assert_error_prefix("WRONGTYPE");
    }
}

#[test]
fn counters() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("HINCRBY h n 5"), 5);
    assert_eq!(c.run("HINCRBY h n -7"), -2);
    c.run("HSET h t text big 9223372036854775807 f 1.5");
    c.run("HINCRBY h t 1")
        .assert_error("ERR hash value is not an integer");
    c.run("HINCRBY h f 1")
        .assert_error("ERR hash value is not an integer");
    c.run("HINCRBY h big 1")
        .assert_error("ERR increment or decrement would overflow");
    c.run("HINCRBY h n x")
        .assert_error("ERR value is not an integer or out of range");
    assert_eq!(c.run("HINCRBYFLOAT h f 0.1").text(), "1.6");
    assert_eq!(c.run("HINCRBYFLOAT h new 3.0e3").text(), "3000");
    c.run("HINCRBYFLOAT h t 1")
        .assert_error("ERR hash value is not a float");
    c.run("HINCRBYFLOAT h f x")
        .assert_error("ERR value is not a valid float");
    c.run("HINCRBYFLOAT h f inf")
        .assert_error("ERR value is NaN or Infinity");
    // An error makes no key.
    c.run("HINCRBYFLOAT none f x");
    c.run("HINCRBY none f x");
    assert_eq!(c.run("EXISTS none"), 0);
}

#[test]
fn encodings_are_those_of_7_2() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    fill(&mut c, "h", 512);
    assert_eq!(encoding(&mut c, "h"), "listpack");
    c.run("HSET h one more");
    assert_eq!(encoding(&mut c, "h"), "hashtable");
    assert_eq!(c.run("HGET h f:300").text(), "v:300");
    fill(&mut c, "at-once", 499);
    assert_eq!(encoding(&mut c, "at-once"), "listpack");
    for (len, want) in [(64, "listpack"), (65, "hashtable")] {
        let long = "x".repeat(len);
        c.run("DEL h");
        c.run(&format!("HSET h f {long}"));
        assert_eq!(encoding(&mut c, "h"), want);
        c.run("DEL h");
        c.run(&format!("HINCRBY h {long} 1"));
        assert_eq!(encoding(&mut c, "h"), want);
    }
    c.ok("CONFIG SET hash-max-listpack-entries 2");
    c.run("DEL h");
    c.run("HSET h a 1 b 2");
    assert_eq!(encoding(&mut c, "h"), "listpack");
    // So many arguments count as so many fields.
    c.run("HSET h a 1 a 2 a 3");
    assert_eq!(encoding(&mut c, "h"), "hashtable");
}

/// Values of every size are whole, however they are kept and replaced.
#[test]
fn values_of_every_size() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let value = |n: usize| -> Vec<u8> { (0..n).map(|i| (i * 13 + n) as u8).collect() };
    let sizes = [
        0, 1, 5, 60, 100, 255, 256, 5000, 16_384, 16_385, 40_000, 200_000,
    ];
    for from in sizes {
        for to in sizes {
            c.cmd(&[&b"HSET"[..], b"h", b"field", &value(from)]);
            assert!(c.run("HGET h field").bytes() == value(from));
            c.cmd(&[&b"HSET"[..], b"h", b"field", &value(to), b"other", b"x"]);
            assert!(c.run("HGET h field").bytes() == value(to), "{from} {to}");
            assert_eq!(c.run("HSTRLEN h field"), to as i64);
            let pairs = c.run("HVALS h");
            assert!(pairs.items().iter().any(|v| v.bytes() == value(to)));
        }
    }
    assert_eq!(c.run("COPY h copy"), 1);
    c.run("HSET h field new");
    assert!(c.run("HGET copy field").bytes() == value(200_000));
}

#[test]
fn resp3_has_maps() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("HELLO 3");
    c.run("HSET h a 1");
    let (a, one) = (Value::Bulk(b"a".to_vec()), Value::Bulk(b"1".to_vec()));
    assert_eq!(
        c.run("HGETALL h"),
        Value::Map(vec![(a.clone(), one.clone())])
    );
    assert_eq!(c.run("HGETALL none"), Value::Map(vec![]));
    assert_eq!(c.run("HKEYS h"), Value::Array(vec![a.clone()]));
    let pair = Value::Array(vec![Value::Array(vec![a.clone(), one])]);
    for count in [1, 5, -1] {
        assert_eq!(c.run(&format!("HRANDFIELD h {count} WITHVALUES")), pair);
        assert_eq!(
            c.run(&format!("HRANDFIELD h {count}")),
            Value::Array(vec![a.clone()])
        );
    }
    assert_eq!(c.run("HGET h none"), Value::Null);
}

#[test]
fn every_field_has_the_same_chance() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (last, enc) in [("i".to_string(), "listpack"), ("z".repeat(70), "hashtable")] {
        c.run("DEL h");
        c.run(&format!(
            "HSET h 0 v0 b vb c vc d vd e ve f vf g vg h vh {last} v{last} 9 v9"
        ));
        assert_eq!(encoding(&mut c, "h"), enc);
        for count in [-7i64, 1, 2, 8, 9] {
            let mut hits: BTreeMap<String, usize> = BTreeMap::new();
            for _ in 0..600 {
                let drawn = texts(&c.run(&format!("HRANDFIELD h {count} WITHVALUES")));
                assert_eq!(drawn.len(), 2 * count.unsigned_abs() as usize);
                let distinct: BTreeSet<_> = drawn.iter().collect();
                assert!(count < 0 || distinct.len() == drawn.len());
                for p in drawn.chunks(2) {
                    assert_eq!(p[1], format!("v{}", p[0]));
                    *hits.entry(p[0].clone()).or_insert(0) += 1;
                }
            }
            let e = hits.values().sum::<usize>() as f64 / 10.0;
            assert_eq!(hits.len(), 10);
            let x: f64 = hits.values().map(|h| (*h as f64 - e).powi(2) / e).sum();
            // Nine degrees of freedom: 40 is one in a hundred thousand.
            assert!(x < 40.0, "{enc} {count}: {x}");
        }
        assert_eq!(c.run("HRANDFIELD h 99").items().len(), 10);
        assert_eq!(c.run("HRANDFIELD h 0").items().len(), 0);
    }
    assert!(c.run("HRANDFIELD none").is_null());
    assert_eq!(c.run("HRANDFIELD none 3 WITHVALUES").items().len(), 0);
    c.run("HRANDFIELD h 1 WHAT")
        .assert_error("ERR syntax error");
    c.run("HRANDFIELD h -9223372036854775807 WITHVALUES")
        .assert_error("ERR value is out of range");
}

#[test]
fn hscan_finds_all() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for n in [10, 2000] {
        c.run("DEL h");
        fill(&mut c, "h", n);
        let mut seen = BTreeMap::new();
        let mut cursor = "0".to_string();
        loop {
            let r = c.run(&format!("HSCAN h {cursor} COUNT 7"));
            cursor = r.items()[0].text();
            seen.extend(r.items()[1].pairs());
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), n);
        assert!(
            seen.iter()
                .all(|(k, v)| k.trim_start_matches("f:") == v.trim_start_matches("v:"))
        );
        let r = c.run("HSCAN h 0 MATCH f:[45] COUNT 100000");
        assert_eq!(r.items()[1].pairs().len(), 2);
    }
    c.run("HSCAN h x").assert_error("ERR invalid cursor");
    c.run("HSCAN h 0 COUNT 0").assert_error("ERR syntax error");
    c.run("HSCAN h 0 TYPE string")
        .assert_error("ERR syntax error");
    c.run("HSCAN h 0 NOVALUES").assert_error("ERR syntax error");
}

#[test]
fn events_come_in_upstreams_order() {
    let server = Server::aedile(&["--notify-keyspace-events", "KEA"]);
    let mut c = server.connect();
    let mut s = server.connect();
    s.run("PSUBSCRIBE __keyevent@0__:*");
    let mut expect = |line: &str, events: &[&str]| {
        c.run(line);
        for e in events {
            let m = s.read();
            let event = m.items()[2].text();
            let got = format!(
                "{} {}",
                event.trim_start_matches("__keyevent@0__:"),
                m.items()[3].text()
            );
            assert_eq!(got, *e, "{line}");
        }
        assert!(s.read_for(Duration::from_millis(20)).is_empty(), "{line}");
    };
    expect("HSET h a 1", &["hset h"]);
    expect("HSET h a 1 b 2", &["hset h"]);
    expect("HMSET h a 1", &["hset h"]);
    expect("HSETNX h a 1", &[]);
    expect("HSETNX h c 1", &["hset h"]);
    expect("HINCRBY h a 1", &["hincrby h"]);
    expect("HINCRBYFLOAT h a 1", &["hincrbyfloat h"]);
    expect("HDEL h x", &[]);
    expect("HDEL h a", &["hdel h"]);
    expect("HDEL h b c", &["hdel h", "del h"]);
}

#[test]
fn floats_are_propagated_as_their_result() {
    let server = Server::aedile(&["--repl-diskless-sync", "no"]);
    let got = stream_of(&server, |c| {
        c.run("HSET h a 1 b 2");
        c.run("HINCRBYFLOAT h a 0.5");
        c.run("HINCRBY h b 2");
        c.run("HSETNX h a 7");
        c.run("HDEL h none");
        c.run("HDEL h a");
        c.run("HINCRBY h a x");
    });
    let want = [
        "SELECT 0",
        "HSET h a 1 b 2",
        "HSET h a 1.5",
        "HINCRBY h b 2",
        "HDEL h a",
    ];
    assert_eq!(got, want);
}
