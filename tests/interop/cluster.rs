//! One cluster of our nodes and real ones, made and changed by the real redis-cli: masters and replicas of each kind under the other,
//! slots that move both ways, masters that are killed.

use crate::support::cluster::*;
use crate::support::tls::Certs;
use crate::support::*;

/// Six nodes, of each kind in turn: three masters and, of the other kind, a replica of each.
fn six() -> Vec<Server> {
    let all: Vec<Server> = (0..6)
        .map(|i| {
            let kind = match i % 2 {
                0 => Kind::Aedile,
                _ => Kind::Redis,
            };
            node(kind, kind.writes_for_70())
        })
        .collect();
    let masters: Vec<&Server> = all[..3].iter().collect();
    join_masters(&masters);
    for r in &all[3..] {
        meet(&all[0], r);
    }
    for (i, r) in all[3..].iter().enumerate() {
        replicate(r, &all[i]);
    }
    wait_agreement(&all.iter().collect::<Vec<_>>());
    all
}

/// Those of the servers that run.
fn running(all: &[Server], dead: usize) -> Vec<&Server> {
    let alive = all.iter().enumerate().filter(|(i, _)| *i != dead);
    alive.map(|(_, n)| n).collect()
}

fn fill(nodes: &[&Server], round: &str) {
    for i in 0..200 {
        let key = format!("key:{i}");
        assert_eq!(
            anywhere(nodes, &["SET", &key, &format!("{round}{i}")]),
            "OK"
        );
    }
}

fn check(nodes: &[&Server], round: &str) {
    for i in 0..200 {
        let key = format!("key:{i}");
        let value = anywhere(nodes, &["GET", &key]);
        assert_eq!(value, &format!("{round}{i}")[..], "{key}");
    }
}

/// The bus address that a node is met by: redis-cli takes the port for clients and adds 10,000, unless told.
fn address(node: &Server) -> String {
    format!("127.0.0.1:{}", node.port)
}

#[test]
fn masters_of_both_kinds_are_killed_and_replaced() {
    crate::need_redis!();
    let mut all = six();
    fill(&all.iter().collect::<Vec<_>>(), "first");
    for i in 0..3 {
        wait_until("the replica to have all", || {
            let offset = |n: &Server| n.connect().info("master_repl_offset");
            offset(&all[i]) == offset(&all[i + 3])
        });
    }
    for dead in 0..3 {
        all[dead].kill9();
        let rest = running(&all, dead);
        wait_until("the replica to be a master", || {
            all[dead + 3].connect().info("role") == "master"
                && rest
                    .iter()
                    .all(|n| cluster_info(n, "cluster_state") == "ok")
        });
        check(&rest, "first");
        all[dead].restart();
        wait_agreement(&all.iter().collect::<Vec<_>>());
        wait_until("the old master to follow", || {
            all[dead].connect().info("master_link_status") == "up"
        });
    }
    let everyone: Vec<&Server> = all.iter().collect();
    fill(&everyone, "second");
    // And back, without a loss.
    for i in 0..3 {
        all[i].connect().ok("CLUSTER FAILOVER");
        wait_until("the failover", || {
            all[i].connect().info("role") == "master"
                && all[i + 3].connect().info("role") == "slave"
        });
    }
    wait_agreement(&everyone);
    check(&everyone, "second");
}

#[test]
fn redis_cli_moves_slots_both_ways() {
    crate::need_redis!();
    let all = six();
    let everyone: Vec<&Server> = all.iter().collect();
    fill(&everyone, "first");
    cli_cluster(&["check", &address(&all[0])]);
    for (from, to) in [(0, 1), (1, 2), (1, 0)] {
        let out = cli_cluster(&[
            "reshard",
            &address(&all[0]),
            "--cluster-from",
            &id_of(&all[from]),
            "--cluster-to",
            &id_of(&all[to]),
            "--cluster-slots",
            "60",
            "--cluster-yes",
        ]);
        assert!(out.contains("Moving slot"), "{out}");
        wait_agreement(&everyone);
        check(&everyone, "first");
        cli_cluster(&["check", &address(&all[to])]);
    }
    cli_cluster(&["rebalance", &address(&all[1]), "--cluster-threshold", "1"]);
    wait_agreement(&everyone);
    check(&everyone, "first");
    let out = cli_cluster(&["call", &address(&all[3]), "PING"]);
    assert_eq!(out.matches("PONG").count(), 6, "{out}");
}

/// Slots move whole between our node and one of Valkey 9, both ways and under writes.
#[test]
fn slots_move_whole_to_valkey_and_back() {
    if stand_in().is_some() || !Kind::Valkey9.is_here() {
        return;
    }
    let (a, v) = (node(Kind::Aedile, &[]), node(Kind::Valkey9, &[]));
    let all = [&a, &v];
    join_masters(&all);
    let mut c = a.connect();
    // Slot 866 is ours.
    for i in 0..300 {
        c.ok(&format!("SET {{hello}}{i} {i} PX 300000"));
    }
    for i in 0..1500 {
        for line in [
            "RPUSH {hello}list e",
            "ZADD {hello}zset 1 m",
            "HSET {hello}hash f",
            "SADD {hello}set m",
        ] {
            let tail = if line.starts_with("HSET") {
                format!(" {i}")
            } else {
                String::new()
            };
            assert!(!c.run(&format!("{line}{i}{tail}")).is_error());
        }
    }
    c.run("XADD {hello}stream 1-1 a b");
    c.run("XGROUP CREATE {hello}stream g 0");
    c.run("XREADGROUP GROUP g me STREAMS {hello}stream >");
    let what = |c: &mut Conn| {
        let lines = [
            "LRANGE {hello}list 0 -1",
            "ZRANGE {hello}zset 0 -1 WITHSCORES",
            "HLEN {hello}hash",
            "HGET {hello}hash f77",
            "SCARD {hello}set",
            "XPENDING {hello}stream g",
            "GET {hello}7",
            "PEXPIRETIME {hello}7",
        ];
        lines.map(|line| c.run(line))
    };
    let before = what(&mut c);
    let mut count = 0;
    for (from, to) in [(&a, &v), (&v, &a)] {
        let id = id_of(to);
        let mut f = from.connect();
        f.ok(&format!(
            "CLUSTER MIGRATESLOTS SLOTSRANGE 860 870 NODE {id}"
        ));
        wait_until("the slots to move", || {
            count += 1;
            assert_eq!(anywhere(&all, &["INCR", "{hello}count"]), count);
            let jobs = f.run("CLUSTER GETSLOTMIGRATIONS");
            let job = jobs.items()[0].pairs();
            assert_ne!(job["state"], "failed", "{}", job["message"]);
            job["state"] == "success"
        });
        wait_agreement(&all);
        assert_eq!(what(&mut to.connect()), before);
        assert_eq!(
            anywhere(&all, &["GET", "{hello}count"]),
            &count.to_string()[..]
        );
        f.run("GET {hello}7").assert_error_prefix("MOVED 866 ");
    }
}

/// The bus is TLS: masters of both kinds with replicas of the other, slots that redis-cli moves both ways, a master of each that is killed.
#[test]
fn both_kinds_are_one_cluster_over_tls() {
    crate::need_redis!();
    let certs = Certs::new();
    let (mut all, ports): (Vec<Server>, Vec<u16>) = (0..6)
        .map(|i| {
            let kind = match i % 2 {
                0 => Kind::Aedile,
                _ => Kind::Redis,
            };
            tls_node(kind, &certs, kind.writes_for_70())
        })
        .unzip();
    for i in 1..6 {
        meet_at(&all[0], ports[i], &all[i]);
    }
    for (i, range) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
        let mut c = all[i].connect();
        // An epoch that a handshake has brought is one as well.
        c.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", i + 1));
        c.ok(&format!("CLUSTER ADDSLOTSRANGE {range}"));
    }
    wait_agreement(&all.iter().collect::<Vec<_>>());
    for i in 0..3 {
        replicate(&all[i + 3], &all[i]);
    }
    let everyone: Vec<&Server> = all.iter().collect();
    wait_agreement(&everyone);
    fill(&everyone, "first");
    for (from, to) in [(0, 1), (1, 0)] {
        cli_cluster_tls(
            &certs,
            &[
                "reshard",
                &format!("127.0.0.1:{}", ports[0]),
                "--cluster-from",
                &id_of(&all[from]),
                "--cluster-to",
                &id_of(&all[to]),
                "--cluster-slots",
                "30",
                "--cluster-yes",
            ],
        );
        wait_agreement(&everyone);
        check(&everyone, "first");
    }
    for i in 0..3 {
        wait_until("the replica to have all", || {
            let offset = |n: &Server| n.connect().info("master_repl_offset");
            offset(&all[i]) == offset(&all[i + 3])
        });
    }
    for dead in 0..2 {
        all[dead].kill9();
        let rest = running(&all, dead);
        wait_until("the replica to be a master", || {
            let well = |n: &&Server| cluster_info(n, "cluster_state") == "ok";
            all[dead + 3].connect().info("role") == "master" && rest.iter().all(well)
        });
        check(&rest, "first");
        all[dead].restart();
        wait_agreement(&all.iter().collect::<Vec<_>>());
        wait_until("the old master to follow", || {
            all[dead].connect().info("master_link_status") == "up"
        });
    }
}

/// A real replica of a target takes what it is told in the stream without a word, and has the keys.
#[test]
fn a_real_replica_bears_what_a_target_tells_its_replicas() {
    crate::need_redis!();
    let masters = [(); 2].map(|()| node(Kind::Aedile, Kind::Aedile.writes_for_70()));
    join_masters(&masters.each_ref());
    let r = node(Kind::Redis, &[]);
    meet(&masters[0], &r);
    replicate(&r, &masters[1]);
    let [a, b] = masters.each_ref();
    wait_agreement(&[a, b, &r]);
    let mut c = a.connect();
    for i in 0..100 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    c.ok(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE 860 870 NODE {}",
        id_of(b)
    ));
    wait_until("the slots to move", || {
        let jobs = c.run("CLUSTER GETSLOTMIGRATIONS");
        jobs.items()[0].pairs()["state"] == "success"
    });
    wait_agreement(&[a, b, &r]);
    assert_same_data(b, &r);
    assert_eq!(r.connect().run("CLUSTER COUNTKEYSINSLOT 866"), 100);
    assert_eq!(r.connect().info("total_error_replies"), "0");
    assert_eq!(r.connect().info("unexpected_error_replies"), "0");
    assert!(!r.log_has("CRITICAL"));
}

/// A replica of ours under a Valkey that slots are on their way to: it hides them, and deletes them when it takes its master's place.
#[test]
fn a_replica_of_valkey_knows_what_its_master_imports() {
    if stand_in().is_some() || !Kind::Valkey9.is_here() {
        return;
    }
    let a = node(Kind::Aedile, &["--enable-debug-command", "local"]);
    let mut v = node(Kind::Valkey9, &[]);
    join_masters(&[&a, &v]);
    let r = node(Kind::Aedile, &[]);
    meet(&a, &r);
    replicate(&r, &v);
    wait_agreement(&[&a, &v, &r]);
    let mut c = a.connect();
    for i in 0..100 {
        c.ok(&format!("SET {{hello}}{i} {i}"));
    }
    let count = |n: &Server| n.connect().run("CLUSTER COUNTKEYSINSLOT 866").int();
    let move_it = |c: &mut Conn| {
        c.ok(&format!(
            "CLUSTER MIGRATESLOTS SLOTSRANGE 860 870 NODE {}",
            id_of(&v)
        ));
    };
    c.ok("DEBUG SLOTMIGRATION PREVENT-PAUSE 1");
    move_it(&mut c);
    wait_until("the keys to come", || count(&r) == 100);
    assert_eq!(r.connect().run("DBSIZE"), 0);
    // Given up, and once more: what it has been told ends with it.
    c.ok("CLUSTER CANCELSLOTMIGRATIONS");
    wait_until("the keys to go", || count(&r) == 0);
    c.ok("DEBUG SLOTMIGRATION PREVENT-PAUSE 0");
    move_it(&mut c);
    wait_until("the keys to be served", || {
        r.connect().run("DBSIZE").int() == 100
    });
    wait_agreement(&[&a, &v, &r]);
    v.connect().ok(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE 860 870 NODE {}",
        id_of(&a)
    ));
    wait_until("the way back", || count(&v) == 0 && count(&r) == 0);
    wait_agreement(&[&a, &v, &r]);
    c.ok("DEBUG SLOTMIGRATION PREVENT-PAUSE 1");
    move_it(&mut c);
    wait_until("the keys to come", || count(&r) == 100);
    v.kill9();
    r.connect().ok("CLUSTER FAILOVER TAKEOVER");
    wait_until("what had come to go", || count(&r) == 0);
    assert_eq!(c.run("GET {hello}7"), "7");
}

/// Every real node is replaced by one of ours, by replica and failover, and then back again, while somebody writes: nothing is lost, and
/// nobody sees more than redirections and the moments of the failovers.
#[test]
fn real_nodes_are_replaced_one_by_one_and_back() {
    let mut nodes: Vec<Server> = (0..3)
        .map(|_| node(Kind::Redis, Kind::Redis.writes_for_70()))
        .collect();
    join_masters(&nodes.iter().collect::<Vec<_>>());
    let mut written = 0;
    let write = |nodes: &[Server], n: &mut i64| {
        let all: Vec<&Server> = nodes.iter().collect();
        for _ in 0..20 {
            *n += 1;
            assert_eq!(anywhere(&all, &["INCR", "counter"]), *n);
            assert_eq!(
                anywhere(&all, &["SET", &format!("key:{n}"), &n.to_string()]),
                "OK"
            );
        }
    };
    write(&nodes, &mut written);
    for kind in [Kind::Aedile, Kind::Redis] {
        for i in 0..3 {
            let new = node(kind, kind.writes_for_70());
            meet(&nodes[(i + 1) % 3], &new);
            replicate(&new, &nodes[i]);
            let everyone: Vec<&Server> = nodes.iter().chain([&new]).collect();
            wait_agreement(&everyone);
            write(&nodes, &mut written);
            wait_until("the failover", || {
                // Refused while the replica has not heard of its master's link.
                new.connect().run("CLUSTER FAILOVER");
                new.connect().info("role") == "master"
            });
            let everyone: Vec<&Server> = nodes.iter().chain([&new]).collect();
            wait_agreement(&everyone);
            let old = std::mem::replace(&mut nodes[i], new);
            write(&nodes, &mut written);
            let id = id_of(&old);
            drop(old);
            for n in &nodes {
                n.connect().ok(&format!("CLUSTER FORGET {id}"));
            }
            wait_agreement(&nodes.iter().collect::<Vec<_>>());
        }
    }
    let all: Vec<&Server> = nodes.iter().collect();
    for n in 1..=written {
        let value = anywhere(&all, &["GET", &format!("key:{n}")]);
        assert_eq!(value, &n.to_string()[..], "key:{n}");
    }
}
