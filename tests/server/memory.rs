//! MEMORY, and INFO's account of where the memory is.

use std::time::Duration;

use crate::support::*;

#[test]
fn stats_are_a_map_that_adds_up() {
    let server = Server::aedile(&["--appendonly", "yes"]);
    let mut c = server.connect();
    c.ok("SET a 1");
    c.ok("SELECT 5");
    c.ok(&format!("SET b {} EX 1000", "x".repeat(10_000)));
    let reply = c.run("MEMORY STATS");
    let items = reply.items();
    assert_eq!(items.len(), 2 * 29);
    let text = |name: &str| {
        let at = items.iter().step_by(2).position(|k| k.text() == name);
        &items[2 * at.unwrap_or_else(|| panic!("no {name}")) + 1]
    };
    let int = |name: &str| text(name).int();
    for name in ["db.0", "db.5"] {
        let db = text(name).items();
        assert_eq!(db.len(), 6);
        assert_eq!(db[0].text(), "overhead.hashtable.main");
        assert!(db[1].int() > 0);
        assert_eq!(db[2].text(), "overhead.hashtable.expires");
        assert_eq!(db[3].int() > 0, name == "db.5");
        assert_eq!(db[4].text(), "overhead.hashtable.slot-to-keys");
        assert_eq!(db[5].int(), 0);
    }
    let tables: i64 = ["db.0", "db.5"]
        .iter()
        .map(|d| text(d).items()[1].int() + text(d).items()[3].int())
        .sum();
    assert_eq!(
        int("overhead.total"),
        int("startup.allocated")
            + int("replication.backlog")
            + int("clients.slaves")
            + int("clients.normal")
            + int("aof.buffer")
            + tables
    );
    assert_eq!(
        int("dataset.bytes"),
        int("total.allocated") - int("overhead.total")
    );
    assert_eq!(int("keys.count"), 2);
    assert_eq!(
        int("keys.bytes-per-key"),
        (int("total.allocated") - int("startup.allocated")) / 2
    );
    assert!(int("peak.allocated") >= int("total.allocated"));
    assert!(int("allocator.active") >= int("allocator.allocated"));
    let percentage: f64 = text("peak.percentage").text().parse().unwrap();
    assert!(percentage > 0.0 && percentage <= 100.0);
    // RESP3 has maps.
    c.run("HELLO 3");
    let pairs = c.run("MEMORY STATS");
    assert!(
        matches!(pairs, Value::Map(ref p) if p.len() == 29),
        "{pairs:?}"
    );
}

#[test]
fn an_empty_server_has_no_bytes_per_key() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let reply = c.run("MEMORY STATS");
    let items = reply.items();
    assert_eq!(items.len(), 2 * 27);
    let at = items
        .iter()
        .position(|k| matches!(k, Value::Bulk(b) if b == b"keys.bytes-per-key"));
    assert_eq!(items[at.unwrap() + 1], 0);
}

#[test]
fn the_doctor_needs_something_to_look_at() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert!(c.run("MEMORY DOCTOR").text().contains("very little memory"));
    let value = "x".repeat(1024 * 1024);
    for i in 0..30 {
        c.ok(&format!("SET k:{i} {value}"));
    }
    wait_until("the peak to be noted", || {
        c.info_int("used_memory_peak") > 30 << 20
    });
    // INFO counts what is in use now, too; the cron has to have seen it.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!c.run("MEMORY DOCTOR").text().contains("Peak memory"));
    for i in 0..20 {
        c.run(&format!("DEL k:{i}"));
    }
    // A thread frees strings of this size.
    wait_until("their memory to be free", || {
        c.run("MEMORY DOCTOR").text().contains("Peak memory")
    });
}

#[test]
fn the_allocator_reports_and_gives_back() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert!(c.run("MEMORY MALLOC-STATS").text().contains("jemalloc"));
    c.ok("MEMORY PURGE");
    for bad in [
        "MEMORY PURGE x",
        "MEMORY DOCTOR x",
        "MEMORY STATS x",
        "MEMORY MALLOC-STATS x",
    ] {
        let text = c.run(bad).text();
        assert!(
            text.starts_with("ERR wrong number of arguments for 'memory|"),
            "{text}"
        );
    }
    assert!(c.run("MEMORY NOSUCH").is_error());
}

#[test]
fn usage_grows_with_what_is_looked_at() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert!(c.run("MEMORY USAGE nosuch").is_null());
    c.ok("SET k v");
    let bare = c.run("MEMORY USAGE k").int();
    c.run("EXPIRE k 100");
    assert!(c.run("MEMORY USAGE k").int() > bare);
    c.ok(&format!("SET k {}", "x".repeat(100_000)));
    assert!(c.run("MEMORY USAGE k").int() >= 100_000);
    for i in 0..300 {
        let tail = if i % 100 == 99 { 5000 } else { 100 };
        c.run(&format!("HSET h f{i} {}", "y".repeat(tail)));
    }
    let all = c.run("MEMORY USAGE h SAMPLES 0").int();
    assert!((300 * 100..300 * 400).contains(&all), "{all}");
    c.run("MEMORY USAGE h SAMPLES -1")
        .assert_error("ERR syntax error");
    c.run("MEMORY USAGE h SAMPLES")
        .assert_error("ERR syntax error");
    c.run("MEMORY USAGE h SAMPLES x")
        .assert_error("ERR value is not an integer or out of range");
}

#[test]
fn a_limit_is_kept_as_info_shows_it() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-lru");
    let limit = c.info_int("used_memory") + 100 * 1024;
    c.ok(&format!("CONFIG SET maxmemory {limit}"));
    for i in 0..5000 {
        c.ok(&format!("SET key:{i} v"));
    }
    let used = c.info_int("used_memory");
    assert!(used < limit + 4096, "{used} {limit}");
    assert!(c.info_int("evicted_keys") > 0);
}
