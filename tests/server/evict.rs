//! Eviction: what each policy gives up, refusals, LFU counters, and what is freed in the background.

use std::time::Duration;

use crate::support::*;

/// Sets a limit of `extra` bytes above what is in use.
fn limit(c: &mut Conn, extra: u64) {
    let used: u64 = field(c, "memory", "used_memory").parse().unwrap();
    c.ok(&format!("CONFIG SET maxmemory {}", used + extra));
}

fn field(c: &mut Conn, section: &str, name: &str) -> String {
    let text = c.run(&format!("INFO {section}")).text();
    text.lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
        .map(|v| v.trim().to_string())
        .unwrap_or_default()
}

/// Keys `prefix:0..n` that are still there.
fn left(c: &mut Conn, prefix: &str, n: usize) -> usize {
    (0..n)
        .filter(|i| c.run(&format!("EXISTS {prefix}:{i}")) == 1)
        .count()
}

#[test]
fn without_eviction_writes_are_refused() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET k v");
    c.ok("CONFIG SET maxmemory 1");
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert!(c.run("SET k w").text().contains(oom));
    assert_eq!(c.run("GET k").text(), "v");
    assert_eq!(c.run("DEL k"), 1);
    assert_eq!(field(&mut c, "stats", "evicted_keys"), "0");
    c.ok("CONFIG SET maxmemory 0");
    c.ok("SET k w");
}

#[test]
fn each_policy_makes_room_from_what_it_may_take() {
    let value = "x".repeat(1000);
    for policy in ["lru", "lfu", "random"] {
        for scope in ["allkeys", "volatile"] {
            let server = Server::aedile(&[]);
            let mut c = server.connect();
            c.ok(&format!("CONFIG SET maxmemory-policy {scope}-{policy}"));
            c.ok("SET stays v");
            limit(&mut c, 300_000);
            for i in 0..1000 {
                c.ok(&format!("SET k:{i} {value} EX 10000"));
            }
            let kept = left(&mut c, "k", 1000);
            assert!((20..400).contains(&kept), "{scope}-{policy}: {kept}");
            let evicted: usize = field(&mut c, "stats", "evicted_keys").parse().unwrap();
            assert!(evicted >= 1000 - kept, "{scope}-{policy}: {evicted}");
            if scope == "volatile" {
                assert_eq!(c.run("EXISTS stays"), 1);
            }
        }
    }
}

#[test]
fn the_nearest_expiry_goes_first() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy volatile-ttl");
    let value = "x".repeat(1000);
    for i in 0..200 {
        c.ok(&format!("SET soon:{i} {value} EX {}", 1000 + i));
        c.ok(&format!("SET late:{i} {value} EX {}", 100_000 + i));
    }
    let used: u64 = field(&mut c, "memory", "used_memory").parse().unwrap();
    c.ok(&format!("CONFIG SET maxmemory {}", used - 100_000));
    std::thread::sleep(Duration::from_millis(100));
    let (soon, late) = (left(&mut c, "soon", 200), left(&mut c, "late", 200));
    assert!(soon < 180 && late > 190, "{soon} {late}");
}

#[test]
fn frequencies_are_counted() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-lfu");
    c.ok("CONFIG SET lfu-log-factor 0");
    c.ok("SET k v");
    assert_eq!(c.run("OBJECT FREQ k"), 5);
    for _ in 0..10 {
        c.run("GET k");
    }
    assert_eq!(c.run("OBJECT FREQ k"), 15);
}

#[test]
fn large_values_are_freed_in_the_background() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for i in 0..1000 {
        c.run(&format!("SADD s member:{i}"));
    }
    assert_eq!(c.run("UNLINK s"), 1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(field(&mut c, "memory", "lazyfreed_objects"), "1");
    assert_eq!(field(&mut c, "memory", "lazyfree_pending_objects"), "0");
}
