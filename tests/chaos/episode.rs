//! A dozen rounds with fresh servers, or as many as are asked for, and what must be true in the end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::actions::{self, Action};
use super::cluster::{Cluster, is_ours};
use super::ledger::Counts;
use super::writers::{self, Shared};
use crate::need_redis;
use crate::support::state::{forget_sign_of_zero, forget_unpropagated, synced_states};
use crate::support::*;

const ROUNDS: usize = 12;
/// Keys at the start, so that a full sync takes its time on a slow link.
const KEYS: usize = 3000;
/// Bytes of memory that the test itself may use in the end, however long it was.
const OWN_MEMORY: u64 = 256 << 20;
/// Files and sockets that a server of ours may have open in the end: replicas, writers, its files, and what the loop needs.
const OPEN_FILES: usize = 100;
/// Bound on a hang: after it, servers that are not equal are not going to be.
const SETTLE: Duration = Duration::from_secs(180);

#[test]
fn all_are_equal_and_promises_are_kept() {
    need_redis!();
    let seed = seed_from_env("CHAOS_SEED");
    let number = |name: &str| {
        let value = std::env::var(name).ok().and_then(|v| v.parse().ok());
        value.unwrap_or(ROUNDS)
    };
    let rounds = number("CHAOS_ROUNDS");
    let length = number("CHAOS_EPISODE").max(1);
    let mut done = 0;
    let mut total = Counts::default();
    for episode in 0u64.. {
        if done >= rounds {
            break;
        }
        let n = length.min(rounds - done);
        run_episode(seed.wrapping_add(episode), n, &mut total);
        done += n;
    }
    let own = own_memory();
    println!(
        "{done} rounds from CHAOS_SEED={seed}: {total:?}; the test has {} KB",
        own >> 10
    );
    assert!(own < OWN_MEMORY, "the test has grown to {own} bytes");
    // A test that promised nothing would prove nothing.
    assert!(total.entered > 100, "{total:?}");
    if rounds >= ROUNDS {
        assert!(total.promotions > 0, "{total:?}");
        assert!(total.covered + total.promised > 0, "{total:?}");
    }
}

/// Bytes of this process that are in memory.
fn own_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text.split(' ').nth(1).and_then(|v| v.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

fn populate(cluster: &mut Cluster) {
    let mut c = cluster.nodes[0].server.connect();
    let commands: Vec<Vec<String>> = (0..KEYS)
        .map(|i| {
            let value = format!("{i}-{}", "x".repeat(100 + i % 400));
            vec!["SET".into(), format!("key:{i}"), value]
        })
        .collect();
    for reply in c.pipeline(&commands) {
        reply.assert_ok();
    }
}

fn run_episode(seed: u64, rounds: usize, total: &mut Counts) {
    // Shown only when the test fails.
    println!("episode with CHAOS_SEED={seed} CHAOS_ROUNDS={rounds} CHAOS_EPISODE={rounds}");
    let mut rng = Rng(seed);
    let mut cluster = Cluster::start(&mut rng);
    populate(&mut cluster);
    let shared = Shared::new();
    actions::begin(&mut cluster, &shared);
    let writers = writers::start(&shared, seed);
    let guard = StopOnDrop(&shared);
    cluster.watch(Duration::from_millis(500));
    let mut deck = Vec::new();
    for round in 0..rounds {
        if deck.is_empty() {
            deck = actions::deck(&mut rng);
        }
        let action = deck.remove(0);
        cluster.note(&format!("round {}: {action:?}", round + 1));
        for n in &mut cluster.nodes {
            n.limits[1] = n.limits[0];
        }
        actions::check_lost(&mut cluster, &shared);
        actions::shorten_book(&mut cluster, &shared);
        for node in cluster.replicas() {
            if rng.one_in(2) {
                actions::heal_link(&mut cluster, node);
            }
        }
        for _ in 0..rng.below(3) {
            actions::configure(&mut cluster, &mut rng);
        }
        if rng.one_in(3) && action != Action::Link {
            actions::link_fault(&mut cluster, &mut rng);
        }
        actions::run(action, &mut cluster, &shared, &mut rng);
        cluster.watch(Duration::from_millis(200 + rng.below(800) as u64));
    }
    actions::heal(&mut cluster);
    drop(guard);
    for w in writers {
        w.join().expect("a writer");
    }
    cluster.note("the writers have stopped");
    settle(&mut cluster);
    actions::check_lost(&mut cluster, &shared);
    compare(&mut cluster, &shared);
    let book = shared.book();
    let c = &book.counts;
    println!("  {c:?}");
    for (i, n) in cluster.nodes.iter().enumerate() {
        println!(
            "  {i}: at most {} KB of buffers beyond the limit, {} KB of memory, {} KB resident; {:?}",
            n.most_over >> 10,
            n.most_memory >> 10,
            n.most_resident >> 10,
            n.events
        );
    }
    total.entered += c.entered;
    total.acked += c.acked;
    total.late += c.late;
    total.covered += c.covered;
    total.promised += c.promised;
    total.lost += c.lost;
    total.lost_acked += c.lost_acked;
    total.promotions += c.promotions;
    total.kept += c.kept;
}

/// A failed round must not leave writers behind.
struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

/// Waits until every link is up and every offset is the master's.
#[track_caller]
fn settle(cluster: &mut Cluster) {
    let start = Instant::now();
    loop {
        let infos: Vec<_> = cluster.nodes.iter_mut().map(|n| n.info()).collect();
        let of = |node: usize, name: &str| infos[node].get(name).cloned().unwrap_or_default();
        let replid = of(cluster.master, "master_replid");
        let offset = of(cluster.master, "master_repl_offset");
        let settled = cluster.replicas().into_iter().all(|n| {
            of(n, "master_link_status") == "up"
                && of(n, "master_replid") == replid
                && of(n, "slave_repl_offset") == offset
        });
        if settled {
            return;
        }
        assert!(
            start.elapsed() < SETTLE,
            "the replicas do not follow: {:#?}",
            (0..infos.len())
                .map(|n| [
                    "role",
                    "master_link_status",
                    "master_replid",
                    "master_repl_offset",
                    "slave_repl_offset"
                ]
                .map(|name| format!("{name} {}", of(n, name))))
                .collect::<Vec<_>>()
        );
        cluster.watch(Duration::from_millis(50));
    }
}

#[track_caller]
fn compare(cluster: &mut Cluster, shared: &Shared) {
    let master = cluster.master;
    for node in cluster.replicas() {
        let (mut expected, mut found) =
            synced_states(&cluster.nodes[master].server, &cluster.nodes[node].server);
        forget_unpropagated(&mut expected);
        forget_unpropagated(&mut found);
        forget_sign_of_zero(&mut expected);
        forget_sign_of_zero(&mut found);
        assert_equal_state(&expected, &found);
    }
    for n in &mut cluster.nodes {
        n.close_log();
        if is_ours(n.server.kind) {
            let open = std::fs::read_dir(format!("/proc/{}/fd", n.server.pid()));
            let open = open.expect("the server's files").count();
            assert!(open < OPEN_FILES, "{open} files are open");
        }
    }
    let keys: Vec<String> = shared.book().writes.keys().cloned().collect();
    let has = actions::book_on(cluster, master, &keys);
    shared.book().assert_all(&has, "in the end");
}
