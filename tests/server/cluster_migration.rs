//! Slots that move whole: what is written meanwhile arrives, nobody sees half of it, and whatever goes wrong leaves the slots and their
//! keys where they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::cluster::*;
use crate::support::*;

/// Values are compared, and moves held up, by DEBUG.
const DEBUG: [&str; 2] = ["--enable-debug-command", "local"];
/// A disk that is busy for seconds is no failure here: with two masters each is most of them.
const PATIENT: [&str; 2] = ["--cluster-node-timeout", "15000"];

/// Nodes a and b have the lower and the upper half of the slots.
fn two_masters(more: &[&str]) -> [Server; 2] {
    let more = DEBUG.iter().chain(&PATIENT).chain(more);
    let more: Vec<&str> = more.copied().collect();
    let all = [(); 2].map(|()| node(Kind::Aedile, &more));
    join_masters(&all.each_ref());
    all
}

/// The field of the newest job that a node tells of.
fn job(node: &Server, field: &str) -> String {
    let jobs = node.connect().run("CLUSTER GETSLOTMIGRATIONS");
    let jobs = jobs.items();
    let pairs = jobs.first().map(Value::pairs).unwrap_or_default();
    pairs.get(field).cloned().unwrap_or_default()
}

fn migrate(from: &Server, to: &Server, first: u16, last: u16) {
    let id = id_of(to);
    let line = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {id}");
    from.connect().ok(&line);
}

fn wait_job(node: &Server, state: &str) {
    wait_until(state, || {
        let now = job(node, "state");
        let ended = ["success", "failed", "cancelled"].contains(&&now[..]);
        assert!(now == state || !ended, "{now}: {}", job(node, "message"));
        now == state
    });
}

fn prevent_pause(node: &Server, on: u8) {
    node.connect()
        .ok(&format!("DEBUG SLOTMIGRATION PREVENT-PAUSE {on}"));
}

fn restart(node: &mut Server) {
    node.kill9();
    node.restart();
}

fn dbsize(node: &Server) -> i64 {
    node.connect().run("DBSIZE").int()
}

/// As a user does it: three nodes, defaults, one command, and the slots with all kinds of values are the other's.
#[test]
fn slots_move_whole() {
    let [a, b] = two_masters(&[]);
    let mut c = a.connect();
    // Slot 866.
    for i in 0..500 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    c.ok("SET {hello}ttl v PX 300000");
    c.run("XADD {hello}stream 5-1 a b");
    c.run("XGROUP CREATE {hello}stream g 0");
    c.run("XREADGROUP GROUP g me STREAMS {hello}stream >");
    for i in 0..2000 {
        c.run(&format!("RPUSH {{hello}}list element-{i}"));
        c.run(&format!("ZADD {{hello}}zset {i} m{i}"));
        c.run(&format!("HSET {{hello}}hash f{i} v{i}"));
        c.run(&format!("SADD {{hello}}set m{i}"));
    }
    c.cmd(&["SETRANGE", "{hello}large", "700000", "end"]);
    c.run("EXPIRE {hello}hash 1000");
    let names = "ttl stream list zset hash set large 1 2";
    let values = |c: &mut Conn| {
        let words: Vec<String> = names.split(' ').map(|n| format!("{{hello}}{n}")).collect();
        let mut all = vec!["DEBUG", "DIGEST-VALUE"];
        all.extend(words.iter().map(String::as_str));
        let digests = c.cmd(&all);
        assert!(!digests.is_error(), "{digests:?}");
        let at = c.run("PEXPIRETIME {hello}hash");
        (digests, at)
    };
    let before = values(&mut c);
    migrate(&a, &b, 800, 900);
    wait_job(&a, "success");
    wait_job(&b, "success");
    assert_eq!(job(&a, "operation"), "EXPORT");
    assert_eq!(job(&b, "operation"), "IMPORT");
    assert_eq!(job(&b, "slot_ranges"), "800-900");
    assert_eq!(job(&a, "target_node"), id_of(&b));
    wait_agreement(&[&a, &b]);
    assert_eq!(values(&mut b.connect()), before);
    c.run("GET {hello}1")
        .assert_error(&format!("MOVED 866 127.0.0.1:{}", b.port));
    wait_until("the keys to go", || {
        c.run("CLUSTER COUNTKEYSINSLOT 866") == 0
    });
    assert_eq!(b.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 507);
    assert_eq!((dbsize(&a), dbsize(&b)), (0, 507));
    let pending = b.connect().run("XPENDING {hello}stream g");
    assert_eq!(pending.items()[0], 1);
    // And back, at once.
    migrate(&b, &a, 800, 900);
    wait_job(&b, "success");
    assert_eq!(values(&mut c), before);
    for n in [&a, &b] {
        let conf = std::fs::read_to_string(n.scratch.join("nodes.conf")).expect("nodes.conf");
        wait_until("nothing to be left behind", || {
            let conf = std::fs::read_to_string(n.scratch.join("nodes.conf")).expect("nodes.conf");
            !conf.contains("straySlots")
        });
        assert!(conf.contains("vars currentEpoch"), "{conf}");
    }
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let [a, b] = two_masters(&[]);
    let mut c = a.connect();
    let (me, other) = (id_of(&a), id_of(&b));
    let stranger = "a".repeat(40);
    for (line, text) in [
        ("0 1", "ERR syntax error"),
        ("SLOTSRANGE 0", "ERR No end slot for final slot range"),
        ("SLOTSRANGE 16385 16388", "ERR Invalid or out of range slot"),
        ("SLOTSRANGE a 0", "ERR No slot ranges specified"),
        ("SLOTSRANGE 0 a", "ERR Invalid or out of range slot"),
        (
            "SLOTSRANGE 1 0",
            "ERR Start slot number 1 is greater than end slot number 0.",
        ),
        (
            "SLOTSRANGE 0 16383",
            "ERR Requested slots span multiple shards",
        ),
        (
            "SLOTSRANGE 0 5 3 6",
            "ERR Slot range 3-6 overlaps with previous range 0-5.",
        ),
        (
            "SLOTSRANGE 9000 9000 NODE OTHER",
            "ERR Slots are not served by this node.",
        ),
        ("SLOTSRANGE 0 0", "ERR syntax error"),
        ("SLOTSRANGE 0 0 NODE blah", "ERR Invalid node name: blah"),
        (
            "SLOTSRANGE 0 0 NODE STRANGER",
            "ERR Unknown node name: STRANGER",
        ),
        (
            "SLOTSRANGE 0 0 NODE ME",
            "ERR Target node can not be this node.",
        ),
        (
            "SLOTSRANGE 0 0 2 2 NODE OTHER SLOTSRANGE 2 3 NODE OTHER",
            "ERR Slot ranges in migrations overlap",
        ),
    ] {
        let fill = |t: &str| {
            t.replace("OTHER", &other)
                .replace("STRANGER", &stranger)
                .replace("ME", &me)
        };
        c.run(&format!("CLUSTER MIGRATESLOTS {}", fill(line)))
            .assert_error(&fill(text));
    }
    c.run("CLUSTER CANCELSLOTMIGRATIONS")
        .assert_error("ERR No migrations ongoing");
    for word in [
        "SNAPSHOT-EOF",
        "PAUSED",
        "REQUEST-PAUSE",
        "ACK",
        "FAILOVER-GRANTED",
    ] {
        c.run(&format!("CLUSTER SYNCSLOTS {word}"))
            .assert_error(&format!(
                "ERR CLUSTER SYNCSLOTS {word} should only be used by slot migration clients"
            ));
    }
    c.run("CLUSTER SYNCSLOTS NONSENSE")
        .assert_error("ERR syntax error");
    c.run(&format!(
        "CLUSTER SYNCSLOTS ESTABLISH SOURCE {other} NAME {stranger} SLOTSRANGE 0 0"
    ))
    .assert_error("ERR Target node does not agree about current slot ownership");
    // Neither kind of move is begun while the other one goes on.
    c.ok(&format!("CLUSTER SETSLOT 0 MIGRATING {other}"));
    c.run(&format!("CLUSTER MIGRATESLOTS SLOTSRANGE 1 1 NODE {other}"))
        .assert_error("ERR Slots are being manually migrated");
    c.ok("CLUSTER SETSLOT 0 STABLE");
    prevent_pause(&a, 1);
    migrate(&a, &b, 5, 5);
    wait_job(&a, "waiting-to-pause");
    c.run(&format!("CLUSTER MIGRATESLOTS SLOTSRANGE 4 6 NODE {other}"))
        .assert_error("ERR I am already migrating slot 5.");
    c.run(&format!("CLUSTER SETSLOT 0 MIGRATING {other}"))
        .assert_error("ERR Slot export in progress.");
    b.connect()
        .run(&format!("CLUSTER SETSLOT 0 IMPORTING {me}"))
        .assert_error("ERR Slot import in progress.");
    c.ok("CLUSTER CANCELSLOTMIGRATIONS");
    assert_eq!(job(&a, "state"), "cancelled");
    wait_job(&b, "failed");
}

/// Keys that are on their way are in no listing of the target, and gone when the move is given up.
#[test]
fn a_move_that_is_given_up_leaves_nothing() {
    let [mut a, mut b] = two_masters(&["--appendonly", "yes"]);
    let mut c = a.connect();
    for i in 0..300 {
        c.ok(&format!("SET {{hello}}{i} {i} PX 100000"));
    }
    type GiveUp<'a> = &'a dyn Fn(&mut Server, &mut Server);
    let give_up: [GiveUp<'_>; 6] = [
        &|a, _| a.connect().ok("CLUSTER CANCELSLOTMIGRATIONS"),
        &|a, _| restart(a),
        &|_, b| restart(b),
        &|_, b| b.connect().ok("FLUSHALL"),
        &|_, b| {
            let killed = b.connect().run("CLIENT KILL TYPE normal SKIPME yes");
            assert!(killed.int() >= 1);
        },
        // What the target runs out of memory for was not moved.
        &|a, b| {
            b.connect().config_set("maxmemory", "1");
            a.connect().ok("SET {hello}0 0 KEEPTTL");
        },
    ];
    for (i, how) in give_up.iter().enumerate() {
        println!("way {i}");
        wait_agreement(&[&a, &b]);
        b.connect().config_set("maxmemory", "0");
        prevent_pause(&a, 1);
        migrate(&a, &b, 860, 870);
        wait_job(&a, "waiting-to-pause");
        let mut cb = b.connect();
        assert_eq!(cb.run("CLUSTER COUNTKEYSINSLOT 866"), 300);
        assert_eq!(cb.run("DBSIZE"), 0);
        assert!(cb.run("KEYS *").items().is_empty());
        assert!(cb.run("RANDOMKEY").is_null());
        assert!(cb.run("SCAN 0 COUNT 1000").items()[1].items().is_empty());
        cb.run("GET {hello}1").assert_error_prefix("MOVED 866 ");
        how(&mut a, &mut b);
        wait_until("the keys on their way to go", || {
            b.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 0
        });
        assert_eq!(a.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 300);
        wait_until("the source to serve them", || {
            a.connect().run("GET {hello}7") == "7"
        });
        wait_until("no job to be left", || {
            let open = |n: &Server| {
                let state = job(n, "state");
                !["", "failed", "cancelled"].contains(&&state[..])
            };
            !open(&a) && !open(&b)
        });
    }
    prevent_pause(&a, 0);
    b.connect().config_set("maxmemory", "0");
    wait_agreement(&[&a, &b]);
    migrate(&a, &b, 860, 870);
    wait_job(&a, "success");
    wait_job(&b, "success");
    assert_eq!(b.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 300);
    // What it took is on its disk.
    restart(&mut b);
    wait_agreement(&[&a, &b]);
    assert_eq!(b.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 300);
}

/// Replicas on both sides have what their masters have.
#[test]
fn replicas_follow_a_move() {
    let [a, b] = two_masters(&[]);
    let replicas = [(); 2].map(|()| node(Kind::Aedile, &[]));
    for r in &replicas {
        meet(&a, r);
    }
    replicate(&replicas[0], &a);
    replicate(&replicas[1], &b);
    let all = [&a, &b, &replicas[0], &replicas[1]];
    wait_agreement(&all);
    let mut c = a.connect();
    for i in 0..300 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    let syncs = |n: &Server| n.connect().info("sync_full");
    let before = all.map(syncs);
    migrate(&a, &b, 0, 5000);
    wait_job(&a, "success");
    wait_agreement(&all);
    wait_until("the replicas to follow", || {
        replicas[0].connect().run("CLUSTER COUNTKEYSINSLOT 866") == 0
            && replicas[1].connect().run("CLUSTER COUNTKEYSINSLOT 866") == 300
    });
    assert_eq!(all.map(syncs), before);
    assert_same_data(&b, &replicas[1]);
}

/// With scripts that go out as they are: while slots leave, what they do goes out instead.
#[test]
fn scripts_that_are_replicated_as_they_are_do_not_stop_a_move() {
    let [a, b] = two_masters(&["--script-replication", "verbatim"]);
    let mut c = a.connect();
    let script = "for i = 1, 3 do redis.call('RPUSH', KEYS[1], ARGV[1] .. i) end";
    let eval = |c: &mut Conn, key: &str, arg: &str| c.cmd(&["EVAL", script, "1", key, arg]);
    assert!(eval(&mut c, "{hello}list", "before").is_null());
    prevent_pause(&a, 1);
    migrate(&a, &b, 866, 866);
    wait_job(&a, "waiting-to-pause");
    assert!(eval(&mut c, "{hello}list", "amid").is_null());
    assert!(eval(&mut c, "{hello}other", "new").is_null());
    prevent_pause(&a, 0);
    wait_job(&a, "success");
    wait_agreement(&[&a, &b]);
    let mut c = b.connect();
    let list = |c: &mut Conn, key: &str| {
        let all = c.cmd(&["LRANGE", key, "0", "-1"]);
        all.items()
            .iter()
            .map(Value::text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let both = "before1 before2 before3 amid1 amid2 amid3";
    assert_eq!(list(&mut c, "{hello}list"), both);
    assert_eq!(list(&mut c, "{hello}other"), "new1 new2 new3");
}

/// What nobody serves is in no listing.
#[track_caller]
fn assert_hides(node: &Server, keys: i64) {
    // Until then all is refused, hidden or not.
    wait_until("the cluster to be up", || {
        cluster_info(node, "cluster_state") == "ok"
    });
    let mut c = node.connect();
    c.ok("READONLY");
    assert_eq!(c.run("CLUSTER COUNTKEYSINSLOT 866"), keys);
    assert_eq!(c.run("DBSIZE"), 0);
    assert!(c.run("KEYS *").items().is_empty());
    assert!(c.run("RANDOMKEY").is_null());
    assert!(c.run("SCAN 0 COUNT 1000").items()[1].items().is_empty());
    c.run("GET {hello}1").assert_error_prefix("MOVED 866 ");
}

/// The target is killed in the middle, with one replica that has been there from the beginning and one that has come meanwhile: both
/// hide what has come, and who takes its place deletes it. A key that had come by SETSLOT and MIGRATE stays where it is.
#[test]
fn a_replica_that_is_promoted_in_the_middle_deletes_what_has_come() {
    // Two replicas are one more than they need: it would go to a master that has none.
    let more = [&DEBUG[..], &["--cluster-migration-barrier", "10"]].concat();
    let mut masters = [(); 3].map(|()| node(Kind::Aedile, &more));
    join_masters(&masters.each_ref());
    let replicas = [(); 2].map(|()| node(Kind::Aedile, &more));
    for r in &replicas {
        meet(&masters[0], r);
    }
    replicate(&replicas[0], &masters[1]);
    let mut c = masters[0].connect();
    for i in 0..300 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    prevent_pause(&masters[0], 1);
    migrate(&masters[0], &masters[1], 860, 870);
    wait_job(&masters[0], "waiting-to-pause");
    // The other one gets it with its snapshot.
    replicate(&replicas[1], &masters[1]);
    for r in &replicas {
        wait_until("the keys to come", || {
            r.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 300
        });
        assert_hides(r, 300);
    }
    let everyone: Vec<&Server> = masters.iter().chain(&replicas).collect();
    wait_agreement(&everyone);
    masters[1].kill9();
    let [a, _, z] = masters.each_ref();
    let rest = [a, z, &replicas[0], &replicas[1]];
    let new = wait_for("a replica to be a master", || {
        let master = |r: &&Server| r.connect().info("role") == "master";
        let new = replicas.iter().find(master);
        let well = |n: &&Server| cluster_info(n, "cluster_state") == "ok";
        new.filter(|_| rest.iter().all(well))
    });
    wait_until("what had come to go", || {
        let count = |r: &Server| r.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 0;
        replicas.iter().all(count)
    });
    wait_job(a, "failed");
    for i in 0..300 {
        assert_eq!(c.run(&format!("GET {{hello}}{i}")), &i.to_string()[..]);
    }
    // Another move goes there, and nothing is hidden of it.
    prevent_pause(a, 0);
    migrate(a, new, 860, 870);
    wait_job(a, "success");
    wait_until("the replicas to have it all", || {
        replicas.iter().all(|r| dbsize(r) == 300)
    });
    for r in &replicas {
        wait_until("nothing to be hidden", || {
            let conf = std::fs::read_to_string(r.scratch.join("nodes.conf")).expect("nodes.conf");
            !conf.contains("straySlots")
        });
    }
    masters[1].restart();
    let everyone: Vec<&Server> = masters.iter().chain(&replicas).collect();
    wait_agreement(&everyone);
    wait_until("the old master to have it", || dbsize(&masters[1]) == 300);
}

/// A replica that is ended in the middle goes on with the stream, and knows what it had been told of it.
#[test]
fn a_replica_that_is_restarted_in_the_middle_hides_what_comes() {
    let [a, b] = two_masters(&[]);
    let mut r = node(Kind::Aedile, &["--appendonly", "yes"]);
    meet(&a, &r);
    replicate(&r, &b);
    wait_agreement(&[&a, &b, &r]);
    let mut c = a.connect();
    for i in 0..300 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    prevent_pause(&a, 1);
    migrate(&a, &b, 860, 870);
    wait_job(&a, "waiting-to-pause");
    wait_until("the keys to come", || {
        r.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 300
    });
    r.terminate();
    r.restart();
    assert_hides(&r, 300);
    wait_until("the stream", || {
        r.connect().info("master_link_status") == "up"
    });
    c.ok("SET {hello}more v");
    wait_until("the write", || {
        r.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 301
    });
    assert_hides(&r, 301);
    prevent_pause(&a, 0);
    wait_job(&a, "success");
    wait_until("all to be served", || dbsize(&r) == 301);
    assert_same_data(&b, &r);
}

/// Keys that come one by one are of a slot that is not this node's either, and are nobody's to delete.
#[test]
fn a_replica_that_is_promoted_keeps_keys_that_were_moved_one_by_one() {
    let [a, b] = two_masters(&[]);
    let r = node(Kind::Aedile, &[]);
    meet(&a, &r);
    replicate(&r, &b);
    wait_agreement(&[&a, &b, &r]);
    a.connect().ok("SET {hello}1 v");
    b.connect()
        .ok(&format!("CLUSTER SETSLOT 866 IMPORTING {}", id_of(&a)));
    let port = b.port.to_string();
    a.connect()
        .ok(&format!("CLUSTER SETSLOT 866 MIGRATING {}", id_of(&b)));
    a.connect()
        .cmd(&["MIGRATE", "127.0.0.1", &port, "{hello}1", "0", "20000"])
        .assert_ok();
    wait_until("the key to come", || {
        r.connect().run("CLUSTER COUNTKEYSINSLOT 866") == 1
    });
    r.connect().ok("CLUSTER FAILOVER TAKEOVER");
    wait_until("the takeover", || r.connect().info("role") == "master");
    assert_eq!(r.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 1);
    assert_eq!(dbsize(&r), 1);
    r.connect()
        .ok(&format!("CLUSTER SETSLOT 866 IMPORTING {}", id_of(&a)));
    let mut c = r.connect();
    c.ok("ASKING");
    assert_eq!(c.run("GET {hello}1"), "v");
}

/// Commands on keys of one tag, of which each changes one, two or three keys in ways that depend on all that came before.
fn random_command(rng: &mut Rng) -> Vec<String> {
    let key = |rng: &mut Rng, kind: &str| format!("{{hello}}{kind}{}", rng.below(40));
    let word = |rng: &mut Rng| rng.below(30).to_string();
    let text = match rng.below(20) {
        0 => format!("SET {} {}", key(rng, "s"), word(rng)),
        1 => format!("APPEND {} {}", key(rng, "s"), word(rng)),
        2 => format!("INCRBY {} {}", key(rng, "n"), word(rng)),
        3 => format!("RENAME {} {}", key(rng, "s"), key(rng, "s")),
        4 => format!("COPY {} {} REPLACE", key(rng, "s"), key(rng, "s")),
        5 => format!("RPUSH {} {} {}", key(rng, "l"), word(rng), word(rng)),
        6 => format!("LMOVE {} {} LEFT RIGHT", key(rng, "l"), key(rng, "l")),
        7 => format!("SADD {} {} {}", key(rng, "t"), word(rng), word(rng)),
        8 => format!("SMOVE {} {} {}", key(rng, "t"), key(rng, "t"), word(rng)),
        9 => format!(
            "SUNIONSTORE {} {} {}",
            key(rng, "t"),
            key(rng, "t"),
            key(rng, "t")
        ),
        10 => format!("HINCRBY {} {} 3", key(rng, "h"), word(rng)),
        11 => format!("ZINCRBY {} 2 {}", key(rng, "z"), word(rng)),
        12 => format!(
            "ZUNIONSTORE {} 2 {} {}",
            key(rng, "z"),
            key(rng, "z"),
            key(rng, "z")
        ),
        13 => format!("LPOP {}", key(rng, "l")),
        14 => format!("DEL {} {}", key(rng, "s"), key(rng, "l")),
        15 => format!("RPUSH {{hello}}bulky {}", word(rng)),
        16 => format!("HSET {{hello}}bulkyhash {} {}", word(rng), word(rng)),
        17 => format!(
            "MSET {} {} {} {}",
            key(rng, "s"),
            word(rng),
            key(rng, "n"),
            word(rng)
        ),
        18 => format!("RENAME {} {}", key(rng, "l"), key(rng, "l")),
        _ => format!("PEXPIREAT {} 99999999999{}", key(rng, "s"), word(rng)),
    };
    text.split(' ').map(str::to_string).collect()
}

/// The same commands on a server alone and on a node whose slots move back and forth: the keys are the same at the end.
#[test]
fn whatever_is_written_meanwhile_arrives() {
    let seed = seed_from_env("CLUSTER_SEED");
    println!("CLUSTER_SEED={seed}");
    let mut rng = Rng(seed);
    let [a, b] = two_masters(&[]);
    let model = Server::aedile(&DEBUG);
    let mut m = model.connect();
    let mut conns = [a.connect(), b.connect()];
    let ports = [a.port, b.port];
    let mut at = 0;
    let mut run = |m: &mut Conn, commands: Vec<Vec<String>>| {
        let unit = commands.len() > 1;
        let mut all = commands;
        if unit {
            all.insert(0, vec!["MULTI".into()]);
            all.push(vec!["EXEC".into()]);
        }
        let mut last = None;
        let expected: Vec<Value> = all.iter().map(|w| m.cmd(w)).collect();
        for _ in 0..10 {
            let replies = conns[at].pipeline(&all);
            let moved = replies
                .iter()
                .find(|r| r.is_error() && r.text().contains("MOVED "))
                .map(Value::text);
            match moved {
                None => {
                    assert_eq!(replies, expected, "{all:?}");
                    return;
                }
                Some(text) => {
                    let port = text.rsplit(':').next().and_then(|p| p.trim().parse().ok());
                    at = usize::from(port == Some(ports[1]));
                    last = Some(text);
                }
            }
        }
        panic!("{all:?}: {last:?}");
    };
    for i in 0..30_000 {
        let words = ["SET".to_string(), format!("{{hello}}filler{i}"), "x".into()];
        run(&mut m, vec![words.to_vec()]);
    }
    for i in 0..3000 {
        for line in [
            format!("RPUSH {{hello}}bulky element-{i}"),
            format!("HSET {{hello}}bulkyhash field-{i} {i}"),
        ] {
            run(&mut m, vec![line.split(' ').map(str::to_string).collect()]);
        }
    }
    let moves: usize = std::env::var("CLUSTER_MOVES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6);
    for round in 0..moves {
        let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        prevent_pause(from, 1);
        migrate(from, to, 860, 870);
        let mut n = 0;
        loop {
            let unit = rng.one_in(4);
            let commands = (0..if unit { 4 } else { 1 }).map(|_| random_command(&mut rng));
            let commands: Vec<_> = commands.collect();
            run(&mut m, commands);
            n += 1;
            if n == 300 {
                prevent_pause(from, 0);
            }
            if n % 50 == 0 && n > 300 && job(from, "state") == "success" {
                break;
            }
            let state = if n % 50 == 0 {
                job(from, "state")
            } else {
                String::new()
            };
            assert_ne!(state, "failed", "{}", job(from, "message"));
        }
        // The two see each other's slots, and what was left behind is gone.
        wait_agreement(&[&a, &b]);
        let mut keys = Vec::new();
        for key in m.run("KEYS *").items() {
            keys.push(key.text());
        }
        let mut c = to.connect();
        assert_eq!(c.run("CLUSTER COUNTKEYSINSLOT 866"), keys.len() as i64);
        for part in keys.chunks(1000) {
            let mut words = vec!["DEBUG", "DIGEST-VALUE"];
            words.extend(part.iter().map(String::as_str));
            let (have, want) = (c.cmd(&words), m.cmd(&words));
            for (i, key) in part.iter().enumerate() {
                assert_eq!(
                    have.items()[i],
                    want.items()[i],
                    "CLUSTER_SEED={seed}: {key} after move {round}"
                );
            }
        }
        let ttl = |c: &mut Conn| {
            let times = (0..40).map(|i| c.run(&format!("PEXPIRETIME {{hello}}s{i}")));
            times.collect::<Vec<_>>()
        };
        assert_eq!(ttl(&mut c), ttl(&mut m));
    }
}

/// Fifty clients write while slots go: nobody sees anything but MOVED, and nothing acknowledged is lost.
#[test]
fn many_clients_see_nothing_but_moved() {
    let all = two_masters(&[]);
    let ports = all.each_ref().map(|n| n.port);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..50)
        .map(|w| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut conns = ports.map(Conn::connect);
                let mut at = 0;
                let (mut n, mut longest) = (0i64, Duration::ZERO);
                let key = format!("{{hello}}counter{w}");
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let reply = loop {
                        let reply = conns[at].cmd(&["INCR", &key]);
                        if !reply.is_error() {
                            break reply;
                        }
                        let text = reply.text();
                        assert!(text.contains("MOVED 866 "), "{text}");
                        at = usize::from(text.trim().ends_with(&ports[1].to_string()));
                    };
                    n += 1;
                    assert_eq!(reply, n, "{key}");
                    longest = longest.max(start.elapsed());
                }
                longest
            })
        })
        .collect();
    for round in 0..4 {
        let (from, to) = (&all[round % 2], &all[(round + 1) % 2]);
        migrate(from, to, 866, 866);
        wait_job(from, "success");
        wait_agreement(&all.each_ref());
    }
    stop.store(true, Ordering::Relaxed);
    let longest = writers
        .into_iter()
        .map(|w| w.join().expect("a writer"))
        .max();
    println!("longest wait of a write: {longest:?}");
}
