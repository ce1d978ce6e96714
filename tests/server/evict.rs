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

/// Lowers the limit so far that about `share` of what the keys take must go, and waits until it is kept.
fn squeeze(c: &mut Conn, before: i64, share: f64) {
    let used = c.info_int("used_memory");
    let limit = used - ((used - before) as f64 * share) as i64;
    c.ok(&format!("CONFIG SET maxmemory {limit}"));
    wait_until("the limit", || c.info_int("used_memory") <= limit + 4096);
}

#[test]
fn the_nearest_expiry_goes_first() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy volatile-ttl");
    let before = c.info_int("used_memory");
    let value = "x".repeat(1000);
    for i in 0..200 {
        c.ok(&format!("SET late:{i} {value} EX {}", 100_000 + i));
        c.ok(&format!("SET soon:{i} {value} EX {}", 1000 + i));
    }
    c.ok("CONFIG SET maxmemory-samples 10");
    squeeze(&mut c, before, 0.4);
    let (soon, late) = (left(&mut c, "soon", 200), left(&mut c, "late", 200));
    assert!(soon < 70 && late > 180, "{soon} {late}");
}

#[test]
fn what_was_used_lately_stays_under_lru() {
    let server = Server::aedile(&["--maxmemory-samples", "10"]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-lru");
    let before = c.info_int("used_memory");
    let value = "x".repeat(1000);
    for i in 0..200 {
        c.ok(&format!("SET idle:{i} {value}"));
        c.ok(&format!("SET used:{i} {value}"));
    }
    // The clock of access times ticks once a second.
    std::thread::sleep(Duration::from_millis(2100));
    for i in 0..200 {
        c.run(&format!("GET used:{i}"));
    }
    squeeze(&mut c, before, 0.4);
    let (idle, used) = (left(&mut c, "idle", 200), left(&mut c, "used", 200));
    assert!(idle < 70 && used > 180, "{idle} {used}");
}

#[test]
fn what_is_used_often_stays_under_lfu() {
    let server = Server::aedile(&["--maxmemory-samples", "10"]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-lfu");
    c.ok("CONFIG SET lfu-log-factor 0");
    let before = c.info_int("used_memory");
    let value = "x".repeat(1000);
    for i in 0..200 {
        c.ok(&format!("SET rare:{i} {value}"));
        c.ok(&format!("SET often:{i} {value}"));
        for _ in 0..10 {
            c.run(&format!("GET often:{i}"));
        }
    }
    squeeze(&mut c, before, 0.4);
    let (rare, often) = (left(&mut c, "rare", 200), left(&mut c, "often", 200));
    assert!(rare < 70 && often > 180, "{rare} {often}");
}

#[test]
fn chance_takes_old_and_new_from_all_databases() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-random");
    let before = c.info_int("used_memory");
    let value = "x".repeat(1000);
    for db in [0, 7] {
        c.ok(&format!("SELECT {db}"));
        for i in 0..200 {
            c.ok(&format!("SET old:{i} {value}"));
        }
        for i in 0..200 {
            c.ok(&format!("SET new:{i} {value} EX 1000"));
        }
    }
    squeeze(&mut c, before, 0.5);
    for db in [0, 7] {
        c.ok(&format!("SELECT {db}"));
        for prefix in ["old", "new"] {
            let n = left(&mut c, prefix, 200);
            assert!((50..150).contains(&n), "{db} {prefix}: {n}");
        }
    }
}

#[test]
fn volatile_policies_leave_what_does_not_expire() {
    for policy in ["lru", "lfu", "random", "ttl"] {
        let server = Server::aedile(&[]);
        let mut c = server.connect();
        c.ok(&format!("CONFIG SET maxmemory-policy volatile-{policy}"));
        let value = "x".repeat(1000);
        for i in 0..100 {
            c.ok(&format!("SET goes:{i} {value} EX 1000"));
            c.ok(&format!("SET stays:{i} {value}"));
        }
        c.ok("CONFIG SET maxmemory 1");
        wait_until("all to go", || c.run("DBSIZE") == 100);
        assert_eq!(left(&mut c, "stays", 100), 100, "{policy}");
        assert_eq!(c.info_int("evicted_keys"), 100, "{policy}");
        // There is nothing left to evict.
        assert!(c.run("SET more v").text().starts_with("OOM "));
        assert_eq!(c.run("GET stays:1").text().len(), 1000);
    }
}

#[test]
fn a_replica_evicts_nothing_unless_it_is_told_to() {
    let master = Server::aedile(&[]);
    let replica = Server::aedile(&[]);
    let mut m = master.connect();
    let mut r = replica.connect();
    for i in 0..50 {
        m.ok(&format!("SET k:{i} v"));
    }
    replica.replicate(master.port);
    assert_synced(&master, &replica);
    r.ok("CONFIG SET maxmemory-policy allkeys-lru");
    r.ok("CONFIG SET maxmemory 1");
    m.ok("SET more v");
    assert_synced(&master, &replica);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(r.run("DBSIZE"), 51);
    assert_eq!(r.info("evicted_keys"), "0");
    r.ok("CONFIG SET replica-ignore-maxmemory no");
    r.run("GET more");
    wait_until("the replica's eviction", || r.run("DBSIZE") == 0);
    assert_eq!(m.run("DBSIZE"), 51);
}

#[test]
fn tenacity_bounds_a_cycle_and_a_timer_goes_on() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-random");
    c.ok("CONFIG SET maxmemory-eviction-tenacity 0");
    let fill = |c: &mut Conn| {
        let set = |i: usize| vec!["SET".to_string(), format!("k:{i}"), "v".repeat(100)];
        let all: Vec<Vec<String>> = (0..20_000).map(set).collect();
        c.pipeline(&all);
    };
    fill(&mut c);
    // The shortest cycle takes sixteen keys; a write is not refused meanwhile.
    let replies = c.pipeline(&[
        vec!["CONFIG", "SET", "maxmemory", "1"],
        vec!["SET", "x", "y"],
        vec!["DBSIZE"],
    ]);
    assert_eq!(replies[1], "OK");
    assert!(replies[2].int() > 19_900, "{:?}", replies[2]);
    wait_until("the timer", || c.run("DBSIZE") == 0);
    assert!(c.info_int("total_eviction_exceeded_time") >= 0);
    // Without a limit of time one cycle takes all.
    c.ok("CONFIG SET maxmemory 0");
    c.ok("CONFIG SET maxmemory-eviction-tenacity 100");
    fill(&mut c);
    let replies = c.pipeline(&[
        vec!["CONFIG", "SET", "maxmemory", "1"],
        vec!["PING"],
        vec!["DBSIZE"],
    ]);
    assert_eq!(replies[2], 0);
}

#[test]
fn a_write_above_the_limit_does_not_wait_for_the_freeing_thread() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-lru");
    c.ok("CONFIG SET maxmemory-eviction-tenacity 1");
    for batch in 0..40 {
        let mut add = vec!["SADD".to_string(), "s".to_string()];
        add.extend((0..10_000).map(|i| format!("member:{}", batch * 10_000 + i)));
        c.cmd(&add);
    }
    let replies = c.pipeline(&[
        vec!["FLUSHALL", "ASYNC"],
        vec!["CONFIG", "SET", "maxmemory", "1"],
        vec!["SET", "k", "v"],
        vec!["INFO", "memory"],
    ]);
    assert!(replies[2].text().starts_with("OOM "), "{:?}", replies[2]);
    // Most of it is still to be freed, so nobody has waited for all.
    let info = replies[3].text();
    assert!(info.contains("lazyfree_pending_objects:1"), "{info}");
}

#[test]
fn a_transaction_meets_the_limit_when_it_is_queued_and_when_it_runs() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut other = server.connect();
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    c.ok("SET k v");
    // Nothing is queued while memory is short, not even a read; DISCARD is always possible.
    c.ok("MULTI");
    other.ok("CONFIG SET maxmemory 1");
    c.run("GET k").assert_error(oom);
    c.run("EXEC")
        .assert_error("EXECABORT Transaction discarded because of previous errors.");
    other.ok("CONFIG SET maxmemory 0");
    c.ok("MULTI");
    assert_eq!(c.run("SET k w"), "QUEUED");
    other.ok("CONFIG SET maxmemory 1");
    c.ok("DISCARD");
    // What was queued before is refused as a whole when it would add to the memory.
    other.ok("CONFIG SET maxmemory 0");
    c.ok("MULTI");
    assert_eq!(c.run("GET k"), "QUEUED");
    assert_eq!(c.run("SET k w"), "QUEUED");
    other.ok("CONFIG SET maxmemory 1");
    c.run("EXEC").assert_error(&format!(
        "EXECABORT Transaction discarded because of: {oom}"
    ));
    assert_eq!(c.run("GET k").text(), "v");
    // Reads and deletions go through.
    other.ok("CONFIG SET maxmemory 0");
    c.ok("MULTI");
    assert_eq!(c.run("GET k"), "QUEUED");
    assert_eq!(c.run("DEL k"), "QUEUED");
    other.ok("CONFIG SET maxmemory 1");
    assert_eq!(c.run("EXEC").items().len(), 2);
}

#[test]
fn replicas_and_the_file_are_told_of_each_eviction() {
    for (lazy, verb) in [("no", "DEL"), ("yes", "UNLINK")] {
        let master = Server::aedile(&[
            "--appendonly",
            "yes",
            "--lazyfree-lazy-eviction",
            lazy,
            "--maxmemory-policy",
            "allkeys-lru",
        ]);
        let replica = Server::aedile(&["--maxmemory", "1"]);
        replica.replicate(master.port);
        replica.wait_link_up();
        let mut m = master.connect();
        for i in 0..100 {
            m.ok(&format!("SET k:{i} v"));
        }
        m.ok("SELECT 3");
        m.ok("SET other v");
        let mut watcher = master.connect();
        watcher.run("GET k:5");
        watcher.ok("WATCH k:5");
        m.ok("CONFIG SET maxmemory 1");
        wait_until("all to go", || {
            m.run("INFO keyspace").text().trim() == "# Keyspace"
        });
        m.ok("CONFIG SET maxmemory 0");
        m.ok("SET last v");
        let state = assert_synced(&master, &replica);
        assert_eq!(state.len(), 1);
        // An evicted key has changed for those who watch it.
        watcher.ok("MULTI");
        watcher.run("PING");
        assert!(watcher.run("EXEC").is_null());
        let dir = master.scratch.join("appendonlydir");
        // Under everysec a write waits up to two seconds for a sync that is under way.
        wait_until("the deletions in the file", || {
            let mut text = String::new();
            for file in std::fs::read_dir(&dir).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
            text.matches(&format!("\r\n{verb}\r\n")).count() == 101
        });
        // A file that is read back has the same outcome.
        let mut master = master;
        master.terminate();
        master.restart();
        let mut m = master.connect();
        assert_eq!(m.run("DBSIZE"), 0);
        m.ok("SELECT 3");
        assert_eq!(m.run("DBSIZE"), 1);
    }
}

#[test]
fn long_evictions_are_seen_by_the_latency_monitor() {
    let args = ["--latency-monitor-threshold", "1", "--lazyfree-large", "no"];
    let server = Server::aedile(&args);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-random");
    c.ok("CONFIG SET maxmemory-eviction-tenacity 100");
    for batch in 0..20 {
        let mut add = vec!["SADD".to_string(), "s".to_string()];
        add.extend((0..10_000).map(|i| format!("member:{}", batch * 10_000 + i)));
        c.cmd(&add);
    }
    c.ok("CONFIG SET maxmemory 1");
    wait_until("the key to go", || c.run("DBSIZE") == 0);
    let events = c.run("LATENCY LATEST");
    let names: Vec<String> = events.items().iter().map(|e| e.items()[0].text()).collect();
    for event in ["eviction-del", "eviction-cycle"] {
        assert!(names.iter().any(|n| n == event), "{event}: {names:?}");
    }
    // Waiting for the thread that frees is an event of its own.
    c.ok("CONFIG SET maxmemory 0");
    c.ok("CONFIG SET lazyfree-lazy-eviction yes");
    for batch in 0..20 {
        let mut add = vec!["SADD".to_string(), "s".to_string()];
        add.extend((0..10_000).map(|i| format!("member:{}", batch * 10_000 + i)));
        c.cmd(&add);
    }
    c.ok("CONFIG SET maxmemory 1");
    wait_until("the wait", || {
        let events = c.run("LATENCY LATEST");
        let mut names = events.items().iter().map(|e| e.items()[0].text());
        names.any(|n| n == "eviction-lazyfree")
    });
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
    c.ok("CONFIG RESETSTAT");
    assert_eq!(field(&mut c, "memory", "lazyfreed_objects"), "0");
}

#[test]
fn resetstat_clears_what_counts_up_and_nothing_else() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET k v");
    c.run("GET k");
    c.run("GET nosuch");
    c.ok(&format!("SET big {}", "x".repeat(4 << 20)));
    // The cron notes the peak.
    std::thread::sleep(Duration::from_millis(300));
    c.run("DEL big");
    c.ok("SAVE");
    c.run("nosuchcommand");
    c.ok("CONFIG SET maxmemory-policy allkeys-lru");
    c.ok("CONFIG SET maxmemory 1");
    wait_until("the eviction", || c.run("DBSIZE") == 0);
    assert!(c.info_int("current_eviction_exceeded_time") >= 0);
    c.ok("CONFIG SET maxmemory 0");
    assert_eq!(c.info("evicted_keys"), "1");
    c.ok("CONFIG RESETSTAT");
    for name in [
        "evicted_keys",
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
        "keyspace_hits",
        "keyspace_misses",
        "rdb_saves",
        "total_error_replies",
        "total_connections_received",
        "lazyfreed_objects",
    ] {
        assert_eq!(c.info(name), "0", "{name}");
    }
    assert!(!c.run("INFO errorstats").text().contains("errorstat_"));
    assert!(c.info_int("used_memory_peak") >= 4 << 20);
    assert!(c.info_int("total_commands_processed") < 20);
}

#[test]
fn a_table_does_not_grow_past_the_limit() {
    let server = Server::aedile(&["--latency-tracking", "no"]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-random");
    // 25,088 keys fill 4,096 buckets as far as they may be filled.
    let fill = |c: &mut Conn, range: std::ops::Range<usize>| {
        let set = |i: usize| vec!["SET".to_string(), format!("k:{i}"), "v".to_string()];
        let all: Vec<Vec<String>> = range.map(set).collect();
        assert!(c.pipeline(&all).iter().all(|r| *r == "OK"));
    };
    fill(&mut c, 0..25_000);
    let limit = c.info_int("used_memory") + 100_000;
    c.ok(&format!("CONFIG SET maxmemory {limit}"));
    fill(&mut c, 25_000..25_500);
    assert_eq!(c.run("DBSIZE"), 25_500);
    assert_eq!(c.info("evicted_keys"), "0");
    let before = c.info_int("used_memory");
    assert!(before < limit);
    // With room it does at the next key.
    c.ok("CONFIG SET maxmemory 100mb");
    fill(&mut c, 25_500..25_501);
    assert!(c.info_int("used_memory") > before + 400_000);
    assert_eq!(c.run("DBSIZE"), 25_501);
}

#[test]
fn a_table_shrinks_although_memory_is_short() {
    let server = Server::aedile(&["--hz", "100", "--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("CONFIG SET maxmemory-policy allkeys-random");
    let before = c.info_int("used_memory");
    let set = |i: usize| vec!["SET".to_string(), format!("k:{i}"), "v".to_string()];
    let all: Vec<Vec<String>> = (0..30_000).map(set).collect();
    c.pipeline(&all);
    let limit = before + 600_000;
    c.ok(&format!("CONFIG SET maxmemory {limit}"));
    // Its buckets take half a megabyte: too much for the keys that are left.
    wait_until("the table to shrink", || {
        c.ok("SET one more");
        let text = c.run("DEBUG HTSTATS 0").text();
        let size = text
            .lines()
            .find_map(|l| l.trim().strip_prefix("table size: "));
        size.and_then(|n| n.parse().ok())
            .is_some_and(|n: usize| n < 20_000)
    });
}
