//! Sets: replies, encodings, events, chance, and what is propagated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::transactions::stream_of;
use crate::support::*;

fn encoding(c: &mut Conn, key: &str) -> String {
    c.run(&format!("OBJECT ENCODING {key}")).text()
}

/// The elements of a reply, in order.
fn texts(v: &Value) -> Vec<String> {
    v.items().iter().map(Value::text).collect()
}

fn sorted(v: &Value) -> String {
    let mut t = texts(v);
    t.sort();
    t.join(" ")
}

/// Adds `prefix:0` up to `prefix:n-1`.
fn fill(c: &mut Conn, key: &str, prefix: &str, n: usize) {
    let names: Vec<String> = (0..n).map(|i| format!("{prefix}:{i}")).collect();
    for chunk in names.chunks(1000) {
        let mut args = vec!["SADD", key];
        args.extend(chunk.iter().map(String::as_str));
        assert_eq!(c.cmd(&args), chunk.len() as i64);
    }
}

#[test]
fn members_come_and_go() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("SADD s a b a 1"), 3);
    assert_eq!(c.run("SADD s a b"), 0);
    assert_eq!(c.run("SCARD s"), 3);
    assert_eq!(c.run("SISMEMBER s a"), 1);
    assert_eq!(c.run("SISMEMBER s 2"), 0);
    assert_eq!(texts(&c.run("SMISMEMBER s a x 1")), ["1", "0", "1"]);
    assert_eq!(texts(&c.run("SMISMEMBER none a")), ["0"]);
    assert_eq!(c.run("SREM s a x"), 1);
    assert_eq!(c.run("SMOVE s t b"), 1);
    assert_eq!(c.run("SMOVE s t b"), 0);
    assert_eq!(c.run("SMOVE t t b"), 1);
    assert_eq!(c.run("SMOVE none t b"), 0);
    assert_eq!(sorted(&c.run("SMEMBERS t")), "b");
    assert_eq!(c.run("SREM s 1"), 1);
    assert_eq!(c.run("EXISTS s"), 0);
    c.ok("SET str v");
    for line in [
        "SADD str a",
        "SREM str a",
        "SMOVE str t b",
        "SMOVE t str b",
        "SISMEMBER str a",
        "SMISMEMBER str a",
        "SCARD str",
        "SMEMBERS str",
        "SPOP str",
        "SPOP str 2",
        "SRANDMEMBER str",
        "SRANDMEMBER str 2",
        "SINTER none str",
        "SINTER t str",
        "SINTERCARD 2 t str",
        "SINTERSTORE d t str",
        "SUNION str t",
        "SDIFFSTORE d str",
        "SSCAN str 0",
    ] {
        c.run(line).assert_error_prefix("WRONGTYPE");
    }
    // A source that is not there is not looked into, whatever the destination is.
    assert_eq!(c.run("SMOVE none str b"), 0);
    assert_eq!(sorted(&c.run("SMEMBERS t")), "b");
}

#[test]
fn encodings_are_those_of_7_2() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut is = |lines: &[&str], want: &str| {
        c.ok("FLUSHALL");
        for l in lines {
            c.run(l);
        }
        assert_eq!(encoding(&mut c, "s"), want, "{lines:?}");
    };
    let long = format!("SADD s {}", "x".repeat(65));
    is(&["SADD s 1 2 3"], "intset");
    is(&["SADD s 1 2 a"], "listpack");
    is(&["SADD s a 1 2"], "listpack");
    is(&["SADD s 1", &long], "hashtable");
    is(&[&long], "hashtable");
    is(&["SADD s 1 a", "SREM s a"], "listpack");
    is(
        &["CONFIG SET set-max-intset-entries 3", "SADD s 1 2 3"],
        "intset",
    );
    // More members than an intset takes: a listpack may be made at once, but an intset does not become one.
    is(&["SADD s 1 2 3 4"], "listpack");
    is(&["SADD s 1 2 3", "SADD s 4"], "hashtable");
    is(
        &["CONFIG SET set-max-listpack-entries 3", "SADD s a b c"],
        "listpack",
    );
    is(&["SADD s a b c", "SADD s d"], "hashtable");
    is(&["SADD s a b c d"], "hashtable");
    is(&["SADD s a", "SADD s a a a a"], "hashtable");
    is(
        &["SADD a 1 2 x", "SADD b 2 1", "SINTERSTORE s a b"],
        "intset",
    );
    is(
        &["SADD a 1 2 x", "SADD b x y", "SINTERSTORE s a b"],
        "listpack",
    );
    is(&["SADD a 1 2", "SADD b x", "SUNIONSTORE s a b"], "listpack");
    is(
        &["SADD a 1 2", "SADD b x y", "SUNIONSTORE s a b"],
        "hashtable",
    );
    is(&["SADD a 1 2 x", "SADD b x", "SDIFFSTORE s a b"], "intset");
    c.ok("CONFIG SET set-max-listpack-entries 128");
    fill(&mut c, "big", "m", 1000);
    assert_eq!(c.run("SPOP big 100").items().len(), 100);
    assert_eq!(encoding(&mut c, "big"), "hashtable");
    // What little stays is a small set again.
    assert_eq!(c.run("SPOP big 890").items().len(), 890);
    assert_eq!(
        (c.run("SCARD big"), encoding(&mut c, "big").as_str()),
        (Value::Int(10), "listpack")
    );
}

#[test]
fn algebra_of_sets() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    // Each source in each encoding.
    let long = "y".repeat(70);
    for a in ["1 2 3 4", "1 2 3 4 foo", &format!("1 2 3 4 {long}")] {
        for b in ["3 4 5", "3 4 5 bar", &format!("3 4 5 {long}bar")] {
            c.run("DEL a b d");
            c.run(&format!("SADD a {a}"));
            c.run(&format!("SADD b {b}"));
            let model = |s: &str| s.split(' ').map(String::from).collect::<BTreeSet<_>>();
            let (x, y) = (model(a), model(b));
            let line = |s: Vec<&String>| s.into_iter().cloned().collect::<Vec<_>>().join(" ");
            let inter = line(x.intersection(&y).collect());
            let union = line(x.union(&y).collect());
            let diff = line(x.difference(&y).collect());
            assert_eq!(sorted(&c.run("SINTER a b")), inter);
            assert_eq!(sorted(&c.run("SUNION a b none")), union);
            assert_eq!(sorted(&c.run("SDIFF a none b")), diff);
            assert_eq!(c.run("SINTERCARD 2 a b"), 2);
            assert_eq!(c.run("SINTERCARD 2 a b LIMIT 1"), 1);
            assert_eq!(c.run("SINTERCARD 2 a b LIMIT 0"), 2);
            for (verb, want) in [("SINTER", &inter), ("SUNION", &union), ("SDIFF", &diff)] {
                let n = want.split(' ').count() as i64;
                c.ok("SET d old EX 1000");
                assert_eq!(c.run(&format!("{verb}STORE d a b")), n);
                assert_eq!(sorted(&c.run("SMEMBERS d")), *want, "{verb}");
                assert_eq!(c.run("TTL d"), -1);
            }
            assert_eq!(c.run("SDIFFSTORE d a b a"), 0);
            assert_eq!(c.run("EXISTS d"), 0);
            assert_eq!(c.run("SINTER a none").items().len(), 0);
            // A source may be the destination.
            assert_eq!(c.run("SUNIONSTORE a a b"), union.split(' ').count() as i64);
        }
    }
    // The way of subtraction for many large sets.
    for n in 0..6 {
        fill(&mut c, &format!("n{n}"), &format!("x{n}"), 20);
    }
    fill(&mut c, "all", "x1", 300);
    assert_eq!(c.run("SDIFF all n0 n1 n2 n3 n4 n5").items().len(), 280);
    assert_eq!(c.run("SDIFFSTORE left all n1 n1 n1 n1"), 280);
    for (line, text) in [
        ("SINTERCARD 0 a", "ERR numkeys should be greater than 0"),
        ("SINTERCARD x a", "ERR numkeys should be greater than 0"),
        (
            "SINTERCARD 2 a",
            "ERR Number of keys can't be greater than number of args",
        ),
        ("SINTERCARD 1 a LIMIT", "ERR syntax error"),
        ("SINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
        ("SINTERCARD 1 a b", "ERR syntax error"),
    ] {
        c.run(line).assert_error(text);
    }
}

#[test]
fn an_expired_source_is_an_empty_set() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    for i in 0..50 {
        c.run(&format!("SADD k{i} a b {i}"));
        if i % 2 == 1 {
            c.run(&format!("PEXPIRE k{i} 1"));
        }
    }
    std::thread::sleep(Duration::from_millis(10));
    // Looking one up deletes it, which must not lead the others astray.
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let all = keys.join(" ");
    assert_eq!(c.run(&format!("SUNION {all}")).items().len(), 27);
    assert_eq!(c.run("DBSIZE"), 25);
    c.run("PEXPIRE k2 1");
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(c.run("SMOVE k0 k2 a"), 1);
    assert_eq!(sorted(&c.run("SMEMBERS k2")), "a");
    assert_eq!(c.run("TTL k2"), -1);
}

#[test]
fn resp3_has_sets() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("HELLO 3");
    c.run("SADD s a");
    let a = Value::Set(vec![Value::Bulk(b"a".to_vec())]);
    for line in ["SMEMBERS s", "SINTER s", "SUNION s", "SDIFF s", "SPOP s 5"] {
        assert_eq!(c.run(line), a, "{line}");
    }
    for line in ["SMEMBERS s", "SINTER s", "SUNION s", "SDIFF s", "SPOP s 5"] {
        assert_eq!(c.run(line), Value::Set(vec![]), "{line}");
    }
    assert_eq!(c.run("SRANDMEMBER s 5"), Value::Array(vec![]));
    assert_eq!(c.run("SPOP s"), Value::Null);
    assert_eq!(c.run("SRANDMEMBER s"), Value::Null);
}

/// Pearson's statistic against a uniform distribution over `classes`.
fn chi_square(hits: &BTreeMap<String, usize>, classes: usize) -> f64 {
    let n: usize = hits.values().sum();
    let e = n as f64 / classes as f64;
    let d = |h: usize| (h as f64 - e).powi(2) / e;
    hits.values().map(|h| d(*h)).sum::<f64>() + (classes - hits.len()) as f64 * e
}

#[test]
fn every_member_has_the_same_chance() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let long = "z".repeat(70);
    for (members, enc) in [
        ("0 1 2 3 4 5 6 7 8 9".to_string(), "intset"),
        ("a b c d e f g h i 10".to_string(), "listpack"),
        (format!("a b c d e f g h i {long}"), "hashtable"),
    ] {
        c.run("DEL s");
        c.run(&format!("SADD s {members}"));
        assert_eq!(encoding(&mut c, "s"), enc);
        for count in [-7i64, 1, 2, 8, 9] {
            let mut hits = BTreeMap::new();
            for _ in 0..600 {
                let drawn = texts(&c.run(&format!("SRANDMEMBER s {count}")));
                assert_eq!(drawn.len(), count.unsigned_abs() as usize);
                let distinct: BTreeSet<_> = drawn.iter().collect();
                assert!(count < 0 || distinct.len() == drawn.len());
                for m in drawn {
                    *hits.entry(m).or_insert(0) += 1;
                }
            }
            // Nine degrees of freedom: 40 is one in a hundred thousand.
            let x = chi_square(&hits, 10);
            assert!(x < 40.0, "{enc} {count}: {x} {hits:?}");
        }
        let mut hits = BTreeMap::new();
        for _ in 0..1000 {
            *hits.entry(c.run("SRANDMEMBER s").text()).or_insert(0) += 1;
        }
        assert!(chi_square(&hits, 10) < 40.0, "{enc} {hits:?}");
        assert_eq!(sorted(&c.run("SRANDMEMBER s 99")), {
            let mut m: Vec<_> = members.split(' ').collect();
            m.sort_unstable();
            m.join(" ")
        });
        let mut popped: Vec<String> = texts(&c.run("SPOP s 7"));
        popped.extend((0..3).map(|_| c.run("SPOP s").text()));
        popped.sort();
        let mut all: Vec<_> = members.split(' ').collect();
        all.sort_unstable();
        assert_eq!(popped, all);
        assert_eq!(c.run("EXISTS s"), 0);
    }
    c.run("SADD s a");
    for (line, text) in [
        ("SPOP s -1", "ERR value is out of range, must be positive"),
        ("SPOP s x", "ERR value is out of range, must be positive"),
        ("SPOP s 1 2", "ERR syntax error"),
        ("SRANDMEMBER s 1 2", "ERR syntax error"),
        (
            "SRANDMEMBER s x",
            "ERR value is not an integer or out of range",
        ),
    ] {
        c.run(line).assert_error(text);
    }
    c.run("SRANDMEMBER s -9223372036854775808")
        .assert_error_prefix("ERR value is out of range, value must between");
}

/// Members that stay are all found, while the table grows and shrinks under the iteration.
#[test]
fn sscan_keeps_its_promise() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    fill(&mut c, "s", "stay", 2000);
    let mut seen = BTreeSet::new();
    let (mut cursor, mut step) = ("0".to_string(), 0);
    loop {
        let r = c.run(&format!("SSCAN s {cursor} COUNT 20"));
        cursor = r.items()[0].text();
        seen.extend(texts(&r.items()[1]));
        if cursor == "0" {
            break;
        }
        step += 1;
        let names: Vec<String> = (0..200)
            .map(|i| format!("come:{}", i + step * 100))
            .collect();
        let verb = if step % 3 == 0 { "SREM" } else { "SADD" };
        c.run(&format!("{verb} s {}", names.join(" ")));
        assert!(step < 3000, "it does not end");
    }
    assert!((0..2000).all(|i| seen.contains(&format!("stay:{i}"))));
    let matching = c.run("SSCAN s 0 COUNT 100000 MATCH stay:1?");
    assert_eq!(
        (
            matching.items()[0].text().as_str(),
            matching.items()[1].items().len()
        ),
        ("0", 10)
    );
}

#[test]
fn a_table_shows_its_statistics() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    fill(&mut c, "s", "m", 1000);
    let text = c.run("DEBUG HTSTATS-KEY s full").text();
    assert!(text.contains("number of elements: 1000"), "{text}");
    assert!(
        text.contains("different slots: ") && text.contains("max chain length: "),
        "{text}"
    );
    c.run("SADD small a");
    c.run("DEBUG HTSTATS-KEY small").assert_error(
        "ERR The value stored at the specified key is not represented using an hash table",
    );
    c.run("DEBUG HTSTATS-KEY none")
        .assert_error("ERR no such key");
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
    expect("SADD s a b c d e", &["sadd s"]);
    expect("SADD s a", &[]);
    expect("SREM s x", &[]);
    expect("SREM s a", &["srem s"]);
    expect("SMOVE s t b", &["srem s", "sadd t"]);
    expect("SPOP s", &["spop s"]);
    expect("SPOP s 1", &["spop s"]);
    expect("SPOP s 1", &["spop s", "del s"]);
    expect("SADD s b", &["sadd s"]);
    expect("SMOVE s t b", &["srem s", "del s"]);
    expect("SREM t b", &["srem t", "del t"]);
    expect("SADD a 1 2", &["sadd a"]);
    expect("SINTERSTORE d a", &["sinterstore d"]);
    expect("SUNIONSTORE d a", &["sunionstore d"]);
    expect("SDIFFSTORE d a", &["sdiffstore d"]);
    expect("SDIFFSTORE d a a", &["del d"]);
    expect("SDIFFSTORE d a a", &[]);
    expect("SINTER a", &[]);
}

#[test]
fn chance_is_propagated_as_what_it_took() {
    let server = Server::aedile(&["--repl-diskless-sync", "no"]);
    let mut taken = Vec::new();
    let got = stream_of(&server, |c| {
        c.run("SADD s a b c d e f");
        taken.push(c.run("SPOP s").text());
        taken.push(texts(&c.run("SPOP s 2")).join(" "));
        c.run("SPOP s 0");
        c.run("SPOP s 100");
        c.run("SADD s a");
        c.ok("CONFIG SET lazyfree-lazy-server-del yes");
        c.run("SPOP s 1");
        c.run("SPOP s 1");
        c.run("SREM s x");
        c.run("SADD t a");
        c.run("SADD t a");
        c.run("SUNIONSTORE d t");
        c.run("SINTERSTORE e none");
    });
    let want = [
        "SELECT 0".to_string(),
        "SADD s a b c d e f".into(),
        format!("SREM s {}", taken[0]),
        format!("SREM s {}", taken[1]),
        "DEL s".into(),
        "SADD s a".into(),
        "UNLINK s".into(),
        "SADD t a".into(),
        "SUNIONSTORE d t".into(),
    ];
    assert_eq!(got, want);
}
