//! Saving and loading an RDB file of 100,000 keys.

mod common;

use std::time::{Duration, Instant};

use common::*;
use criterion::{Criterion, criterion_group, criterion_main};

const KEYS: usize = 100_000;

fn save(c: &mut Criterion) {
    let mut group = c.benchmark_group("persistence/save");
    group.sample_size(10);
    for (kind, name) in kinds() {
        let server = Server::start(kind, &[]);
        populate(&server, 0..KEYS);
        let mut conn = server.connect();
        group.bench_function(name, |b| b.iter(|| conn.ok("SAVE")));
    }
    group.finish();
}

/// DEBUG RELOAD NOSAVE: the load alone.
fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("persistence/load");
    group.sample_size(10);
    for (kind, name) in kinds() {
        let server = Server::start(kind, &["--enable-debug-command", "yes"]);
        populate(&server, 0..KEYS);
        let mut conn = server.connect();
        conn.ok("SAVE");
        group.bench_function(name, |b| b.iter(|| conn.ok("DEBUG RELOAD NOSAVE")));
        assert_eq!(conn.run("DBSIZE"), KEYS as i64);
    }
    group.finish();
}

/// From the start of the process to its first answer, with the file there.
fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("persistence/start with a file");
    group.sample_size(10);
    for (kind, name) in kinds() {
        let mut server = Server::start(kind, &[]);
        populate(&server, 0..KEYS);
        server.connect().ok("SAVE");
        server.kill9();
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    server.restart();
                    spent += start.elapsed();
                    server.kill9();
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
    targets = save, load, start
}
criterion_main!(benches);
