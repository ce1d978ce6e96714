//! Replication, Aedile and redis-server side by side: how long until a replica shows what its master has acknowledged, how long
//! until the master knows that, and how long a full sync takes.
//!
//! Each group has a plot of its times over the input's size, one line a server, and one of their distribution:
//! `target/criterion/<group>/report/lines.svg` and `violin.svg`, in the page `target/criterion/report/index.html`. The names are
//! short, or the plots cut them off: elements are writes in `lag seen` and `lag acked`, keys in `sync`.

mod common;

use std::time::{Duration, Instant};

use common::*;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use support::Conn;

/// Pipelined writes whose last one is waited for.
const WRITES: [usize; 4] = [1, 250, 500, 1000];
/// Keys of 32 bytes in a full sync.
const KEYS: [usize; 4] = [1_000, 50_000, 100_000, 200_000];
const HANG: Duration = Duration::from_secs(60);

fn pair(kind: Kind) -> (Server, Server) {
    let master = Server::start(kind, &["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(kind, &["--repl-diskless-sync-delay", "0"]);
    replica.replicate(master.port);
    replica.wait_link_up();
    (master, replica)
}

/// Polls until `done`, with all the processor there is: a pause would be longer than what is measured.
fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < HANG, "{what}");
    }
}

/// A pipeline of INCRs; from the master's last reply on, `wait` is timed. It gets the connections to both ends and the count.
fn lag(c: &mut Criterion, name: &str, wait: fn(&mut Conn, &mut Conn, &str)) {
    let mut group = c.benchmark_group(name);
    for (kind, server) in kinds() {
        let (master, replica) = pair(kind);
        let (mut m, mut r) = (master.connect(), replica.connect());
        for writes in WRITES {
            let commands = vec![vec!["INCR", "counter"]; writes];
            group.throughput(Throughput::Elements(writes as u64));
            group.bench_function(BenchmarkId::new(server, writes), |b| {
                b.iter_custom(|rounds| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let replies = m.pipeline(&commands);
                        let count = replies[writes - 1].int().to_string();
                        let start = Instant::now();
                        wait(&mut m, &mut r, &count);
                        spent += start.elapsed();
                    }
                    spent
                });
            });
        }
    }
    group.finish();
}

/// From the acknowledgement of the last of some writes by the master until a GET at the replica shows it.
fn lag_until_visible(c: &mut Criterion) {
    lag(c, "lag seen", |_, r, count| {
        poll("a write is lost", || r.run("GET counter") == count);
    });
}

/// From there until the master knows that the replica has it: WAIT 1.
fn lag_until_acknowledged(c: &mut Criterion) {
    lag(c, "lag acked", |m, _, _| {
        assert_eq!(m.run("WAIT 1 60000"), 1, "a write is lost");
    });
}

/// From REPLICAOF to the link's being up, over a file at both ends, or through a pipe and a socket without any.
fn full_sync(c: &mut Criterion) {
    let mut group = c.benchmark_group("sync");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(3));
    for (kind, server) in kinds() {
        for (way, sync, load) in [("disk", "no", "disabled"), ("diskless", "yes", "swapdb")] {
            let args = [
                "--repl-diskless-sync-delay",
                "0",
                "--repl-diskless-sync",
                sync,
                "--repl-diskless-load",
                load,
            ];
            let master = Server::start(kind, &args);
            let replica = Server::start(kind, &args);
            let mut r = replica.connect();
            let mut there = 0;
            for keys in KEYS {
                populate(&master, there..keys);
                there = keys;
                group.throughput(Throughput::Elements(keys as u64));
                group.bench_function(
                    BenchmarkId::new(format!("{server} {way}"), format!("{:03}k", keys / 1000)),
                    |b| {
                        b.iter_custom(|rounds| {
                            let mut spent = Duration::ZERO;
                            for _ in 0..rounds {
                                r.ok("REPLICAOF NO ONE");
                                // A write of its own: no partial resynchronisation is possible.
                                r.ok("SET own write");
                                let start = Instant::now();
                                replica.replicate(master.port);
                                poll("the full sync hangs", || {
                                    // It has to have some of the processor for itself.
                                    std::thread::sleep(Duration::from_micros(500));
                                    r.run("ROLE").items()[3] == "connected"
                                });
                                spent += start.elapsed();
                            }
                            spent
                        });
                    },
                );
            }
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = lag_until_visible, lag_until_acknowledged, full_sync
}
criterion_main!(benches);
