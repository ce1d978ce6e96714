//! Replication: the lag from a write on the master to its effect on the replica, and the time of a full sync.

mod common;

use std::time::{Duration, Instant};

use common::*;
use criterion::{Criterion, criterion_group, criterion_main};

fn pair(kind: Kind) -> (Server, Server) {
    let master = Server::start(kind, &["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(kind, &["--repl-diskless-sync-delay", "0"]);
    replica.replicate(master.port);
    replica.wait_link_up();
    (master, replica)
}

/// One INCR on the master, then GETs on the replica until it shows.
fn lag(c: &mut Criterion) {
    let mut group = c.benchmark_group("replication/lag");
    for (kind, name) in kinds() {
        let (master, replica) = pair(kind);
        let mut m = master.connect();
        let mut r = replica.connect();
        group.bench_function(name, |b| {
            b.iter(|| {
                let n = m.run("INCR counter").int().to_string();
                let start = Instant::now();
                while r.run("GET counter") != n.as_str() {
                    assert!(
                        start.elapsed() < Duration::from_secs(60),
                        "the write is lost"
                    );
                }
            });
        });
    }
    group.finish();
}

/// A pipeline of 1000 writes until the replica has the last.
fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("replication/stream of 1000");
    for (kind, name) in kinds() {
        let (master, replica) = pair(kind);
        let mut m = master.connect();
        let mut r = replica.connect();
        let cmds: Vec<Vec<&str>> = (0..1000).map(|_| vec!["INCR", "counter"]).collect();
        group.bench_function(name, |b| {
            b.iter(|| {
                let replies = m.pipeline(&cmds);
                let n = replies[999].int().to_string();
                let start = Instant::now();
                while r.run("GET counter") != n.as_str() {
                    assert!(start.elapsed() < Duration::from_secs(60), "a write is lost");
                }
            });
        });
    }
    group.finish();
}

/// REPLICAOF to link up, 100,000 keys.
fn full_sync(c: &mut Criterion) {
    let mut group = c.benchmark_group("replication/full sync of 100000 keys");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for (kind, name) in kinds() {
        let master = Server::start(kind, &["--repl-diskless-sync-delay", "0"]);
        populate(&master, 100_000);
        let replica = Server::start(kind, &[]);
        let mut r = replica.connect();
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    r.ok("REPLICAOF NO ONE");
                    // A write of its own: no partial resynchronisation is possible.
                    r.ok("SET own write");
                    let start = Instant::now();
                    replica.replicate(master.port);
                    replica.wait_link_up();
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = lag, stream, full_sync
}
criterion_main!(benches);
