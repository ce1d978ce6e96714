//! `redis-check-rdb --salvage` on a snapshot of some size with damage of several kinds: what it writes loads, and all that was
//! not near the damage is in it, unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;

use crate::support::server::Scratch;
use crate::support::tools::run_check;
use crate::support::*;

/// Keys before and behind a damaged stretch that may go with it.
const NEIGHBOURS: usize = 6;
/// Bytes of each key's name.
const NAME: usize = 12;

fn name(i: usize) -> Vec<u8> {
    format!("key:{i:08}").into_bytes()
}

/// Some 20 MB of all types, in two databases, under names by which they are found in the file.
fn populate(c: &mut Conn) -> usize {
    let mut rng = Rng(20_26);
    let mut n = 0;
    let mut commands: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut add = |command: &str, words: Vec<Vec<u8>>| {
        commands.push([vec![command.as_bytes().to_vec(), name(n)], words].concat());
        n += 1;
    };
    let text = |s: String| s.into_bytes();
    for i in 0..4000 {
        for size in [10, 60, 200] {
            add(
                "SET",
                vec![text(format!("{i}:{}", "word ".repeat(size / 5)))],
            );
        }
        add("SET", vec![rng.bytes(100 + i % 3000)]);
        add("SETEX", vec![b"1000000".to_vec(), text(format!("v{i}"))]);
        add(
            "RPUSH",
            (0..20)
                .map(|j| text(format!("element {}", i * j)))
                .collect(),
        );
        add(
            "SADD",
            (0..20).map(|j| text(format!("m{}", i + j))).collect(),
        );
        add(
            "SADD",
            (0..40).map(|j| text((i * 7 + j).to_string())).collect(),
        );
        let pairs = |j: usize| [text(format!("f{j}")), text(format!("value of {}", i + j))];
        add("HSET", (0..15).flat_map(pairs).collect());
        let scored = |j: usize| [text(format!("{}.5", j * i)), text(format!("m{j}"))];
        add("ZADD", (0..15).flat_map(scored).collect());
        add(
            "XADD",
            vec![b"*".to_vec(), b"n".to_vec(), text(i.to_string())],
        );
    }
    for _ in 0..14 {
        add("SET", vec![rng.bytes(500_000)]);
    }
    // Large ones: members of few bytes that look like much else.
    let many = 60_000;
    add(
        "SADD",
        (0..many).map(|j| text(format!("member{j}"))).collect(),
    );
    add(
        "ZADD",
        (0..many)
            .flat_map(|j| [text(j.to_string()), text(format!("member{j}"))])
            .collect(),
    );
    add(
        "HSET",
        (0..many)
            .flat_map(|j| [text(format!("field{j}")), text(format!("value{j}"))])
            .collect(),
    );
    add(
        "RPUSH",
        (0..many).map(|j| text(format!("element{j}"))).collect(),
    );
    for chunk in commands.chunks(500) {
        assert!(c.pipeline(chunk).iter().all(|r| !r.is_error()));
    }
    c.ok("SELECT 1");
    let more: Vec<Vec<Vec<u8>>> = (n..n + 4000)
        .map(|i| {
            vec![
                b"SET".to_vec(),
                name(i),
                text(format!("in the other one {i}")),
            ]
        })
        .collect();
    assert!(c.pipeline(&more).iter().all(|r| !r.is_error()));
    c.ok("SELECT 0");
    n + more.len()
}

/// What each key holds, by its database and name.
fn digests(c: &mut Conn) -> BTreeMap<(u8, Vec<u8>), String> {
    let mut all = BTreeMap::new();
    for db in [0, 1] {
        c.ok(&format!("SELECT {db}"));
        let keys: Vec<Vec<u8>> = c.run("KEYS *").items().iter().map(Value::bytes).collect();
        for chunk in keys.chunks(1000) {
            let ask: Vec<Vec<Vec<u8>>> = chunk
                .iter()
                .map(|k| vec![b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec(), k.clone()])
                .collect();
            for (key, reply) in chunk.iter().zip(c.pipeline(&ask)) {
                all.insert((db, key.clone()), reply.items()[0].text());
            }
        }
    }
    c.ok("SELECT 0");
    all
}

/// Where each key's name stands in the file, in order.
fn places(bytes: &[u8], keys: usize) -> Vec<(usize, Vec<u8>)> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for at in 0..bytes.len().saturating_sub(NAME) {
        let here = &bytes[at..at + NAME];
        if here.starts_with(b"key:") && here[4..].iter().all(u8::is_ascii_digit) {
            assert!(seen.insert(here.to_vec()), "a name twice");
            all.push((at, here.to_vec()));
        }
    }
    assert_eq!(all.len(), keys);
    all
}

/// Names of the keys in or near a damaged stretch.
fn near(places: &[(usize, Vec<u8>)], damage: &[Range<usize>]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    for d in damage {
        // The key that contains the start, and the first one behind the end.
        let first = places.partition_point(|(at, _)| *at <= d.start);
        let behind = places.partition_point(|(at, _)| *at < d.end);
        let from = first.saturating_sub(1 + NEIGHBOURS);
        let to = (behind + NEIGHBOURS).min(places.len());
        all.extend(places[from..to].iter().map(|(_, name)| name.clone()));
    }
    all
}

#[test]
fn what_is_away_from_the_damage_stays() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    let keys = populate(&mut c);
    c.ok("SAVE");
    let truth = digests(&mut c);
    assert_eq!(truth.len(), keys);
    let bytes = fs::read(server.rdb_path()).expect("a snapshot");
    assert!(bytes.len() > 18_000_000, "{}", bytes.len());
    let places = places(&bytes, keys);
    let at = |part: f64| (bytes.len() as f64 * part) as usize;
    // The byte behind the name of a key that a short string follows is that one's length.
    let length_after = |part: f64| {
        let from = places.partition_point(|(p, _)| *p < at(part));
        let is_short = |p: &&(usize, Vec<u8>)| bytes[p.0 - 2] == 0 && bytes[p.0 + NAME] < 64;
        places[from..].iter().find(is_short).expect("a string").0 + NAME
    };
    let inside = |command: usize| {
        // One of the large ones: they are the last that were made in the first database.
        let wanted = name(keys - 4000 - 4 + command);
        let (start, _) = places.iter().find(|(_, n)| *n == wanted).expect("there");
        start + 100_000
    };
    let zero = |bad: &mut Vec<u8>, from: usize| {
        bad[from..from + 4096].fill(0);
        from..from + 4096
    };
    let flip = |bad: &mut Vec<u8>, at: usize, bit: u8| {
        bad[at] ^= 1 << bit;
        at..at + 1
    };
    type Damage<'a> = Box<dyn Fn(&mut Vec<u8>) -> Vec<Range<usize>> + 'a>;
    let damages: Vec<(&str, Damage)> = vec![
        (
            "zeros",
            Box::new(|b| vec![zero(b, at(0.2)), zero(b, at(0.6))]),
        ),
        ("no head", Box::new(|b| vec![zero(b, 0)])),
        (
            "lengths",
            Box::new(|b| {
                let places = [(0.1, 3), (0.3, 5), (0.5, 6), (0.7, 7)];
                places.map(|(p, bit)| flip(b, length_after(p), bit)).into()
            }),
        ),
        (
            "large values",
            Box::new(|b| (0..4).map(|i| zero(b, inside(i))).collect()),
        ),
        (
            "cut",
            Box::new(|b| {
                b.truncate(at(0.8));
                let lost = at(0.8)..bytes.len();
                vec![lost]
            }),
        ),
        (
            "middle lost",
            Box::new(|b| {
                b.drain(at(0.4)..at(0.5));
                let lost = at(0.4)..at(0.5);
                vec![lost]
            }),
        ),
    ];
    let dir = Scratch::new();
    for (what, damage) in damages {
        let mut bad = bytes.clone();
        let damage = damage(&mut bad);
        dir.write("bad.rdb", &bad);
        let _ = fs::remove_file(dir.join("saved.rdb"));
        let args = ["--salvage", "bad.rdb", "saved.rdb"];
        let e = run_check(Kind::Aedile, "redis-check-rdb", dir.path(), &args, b"");
        assert_eq!(e.status.code(), Some(1), "{what}: {}{}", e.stdout, e.stderr);
        fs::copy(dir.join("saved.rdb"), server.rdb_path()).expect("copied");
        c.ok("DEBUG RELOAD NOSAVE");
        let found = digests(&mut c);
        let near = near(&places, &damage);
        for (key, digest) in &found {
            let is_near = near.contains(&key.1);
            assert!(
                is_near || truth.get(key) == Some(digest),
                "{what}: {} in DB {} is not what it was",
                String::from_utf8_lossy(&key.1),
                key.0
            );
        }
        let missing: Vec<_> = truth
            .keys()
            .filter(|k| !found.contains_key(k) && !near.contains(&k.1))
            .map(|k| String::from_utf8_lossy(&k.1).into_owned())
            .collect();
        assert!(
            missing.is_empty(),
            "{what}: {} are missing: {:?}\n{}",
            missing.len(),
            &missing[..missing.len().min(20)],
            &e.stdout[..e.stdout.len().min(3000)]
        );
    }
}
