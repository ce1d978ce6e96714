//! Request latency: one connection, and 50 connections with one request each in flight.

mod common;

use common::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::Conn;
use support::conn::encode;

const REQUESTS: &[(&str, &[&str])] = &[
    ("ping", &["PING"]),
    ("set", &["SET", "key:000000000001", "0123456789012345"]),
    ("get", &["GET", "key:000000000001"]),
    ("incr", &["INCR", "counter"]),
];

fn latency(c: &mut Criterion) {
    let servers: Vec<(Server, &str)> = kinds()
        .into_iter()
        .map(|(kind, name)| (Server::start(kind, &[]), name))
        .collect();
    for (what, args) in REQUESTS {
        let request = encode(args);
        let mut group = c.benchmark_group(format!("latency/{what}/1 connection"));
        for (server, name) in &servers {
            let mut conn = server.connect();
            populate(server, 0..10);
            group.bench_function(*name, |b| {
                b.iter(|| {
                    conn.write_raw(&request);
                    conn.read()
                });
            });
        }
        group.finish();
        let mut group = c.benchmark_group(format!("latency/{what}/50 connections"));
        group.throughput(Throughput::Elements(50));
        for (server, name) in &servers {
            let mut conns: Vec<Conn> = (0..50).map(|_| server.connect()).collect();
            group.bench_function(*name, |b| {
                b.iter(|| {
                    for conn in &mut conns {
                        conn.write_raw(&request);
                    }
                    for conn in &mut conns {
                        conn.read();
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = latency
}
criterion_main!(benches);
