//! One cluster of our nodes and real ones, made and changed by the real redis-cli: masters and replicas of each kind under the other,
//! slots that move both ways, masters that are killed.

use crate::support::cluster::*;
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
            "300",
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
