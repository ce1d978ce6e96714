//! Pipelines: 10, 100 and 1000 requests in one write.

mod common;

use common::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::conn::encode;

/// A request's name and its words for the i-th repetition.
type Request = (&'static str, fn(usize) -> Vec<String>, usize);

const REQUESTS: &[Request] = &[
    // The last number is the length of each reply in bytes, so that reading costs no parsing.
    ("ping", |_| vec!["PING".into()], 7),
    (
        "set",
        |i| vec!["SET".into(), format!("key:{i:012}"), "0".repeat(32)],
        5,
    ),
    ("get", |i| vec!["GET".into(), format!("key:{i:012}")], 39),
];

fn pipeline(c: &mut Criterion) {
    let servers: Vec<(Server, &str)> = kinds()
        .into_iter()
        .map(|(kind, name)| (Server::start(kind, &[]), name))
        .collect();
    for (server, _) in &servers {
        populate(server, 0..1000);
    }
    for (what, words, reply) in REQUESTS {
        for depth in [10, 100, 1000] {
            let requests: Vec<u8> = (0..depth).flat_map(|i| encode(&words(i))).collect();
            let mut group = c.benchmark_group(format!("pipeline/{what}/{depth}"));
            group.throughput(Throughput::Elements(depth as u64));
            for (server, name) in &servers {
                let mut conn = server.connect();
                group.bench_function(*name, |b| {
                    b.iter(|| {
                        conn.write_raw(&requests);
                        conn.read_exact(reply * depth).expect("replies")
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = pipeline
}
criterion_main!(benches);
