//! Replication between two Aediles: streamed snapshots, and what goes beyond upstream's: resumed syncs, overflow policies,
//! limits of full syncs, refusal of an emptied master, lags and reasons, named mistakes, restarts from the append-only file.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::proxy::Dir;
use crate::support::*;

const PLAIN: [&str; 8] = [
    "--save",
    "",
    "--enable-debug-command",
    "yes",
    "--rdbcompression",
    "no",
    "--repl-diskless-sync-delay",
    "0",
];

fn start(more: &[&str]) -> Server {
    Server::aedile(&[&PLAIN[..], more].concat())
}

fn populate(s: &Server, keys: usize, bytes: usize) {
    s.connect()
        .ok(&format!("DEBUG POPULATE {keys} key {bytes}"));
}

/// The fields of `replica<n>`.
fn replica_field(c: &mut Conn, n: usize, field: &str) -> String {
    let line = c.info(&format!("replica{n}"));
    let found = line
        .split(',')
        .find_map(|f| f.strip_prefix(&format!("{field}=")));
    found.unwrap_or_default().to_string()
}

fn reason_count(c: &mut Conn, reason: &str) -> i64 {
    let line = c.info("full_sync_reasons");
    let found = line
        .split(',')
        .find_map(|f| f.strip_prefix(&format!("{reason}=")));
    found.and_then(|n| n.parse().ok()).unwrap_or(-1)
}

/// A replica that loads slowly and one that does not share a streamed snapshot; both end with everything, whether the slow
/// one holds the other back or gets its part through a file.
#[test]
fn a_streamed_snapshot_reaches_a_slow_and_a_fast_replica() {
    for policy in ["disconnect", "spill"] {
        let m = start(&[
            "--repl-diskless-sync",
            "yes",
            "--repl-diskless-sync-delay",
            "30",
            "--repl-diskless-sync-max-replicas",
            "2",
            "--repl-overflow-policy",
            policy,
        ]);
        populate(&m, 3_000, 10_000);
        let slow = start(&["--repl-diskless-load", "swapdb", "--key-load-delay", "500"]);
        let fast = start(&[]);
        for r in [&slow, &fast] {
            r.replicate(m.port);
        }
        wait_until("the snapshot to begin", || {
            m.log_has("target: replicas sockets")
        });
        m.connect().ok("SET during sync");
        for r in [&slow, &fast] {
            assert_synced(&m, r);
            assert_eq!(r.connect().run("GET during"), "sync");
        }
        assert!(m.log_has("done reading from pipe, 2 replicas still up"));
        assert_eq!(m.log_count("Starting BGSAVE for SYNC"), 1);
    }
}

/// swapdb: while a newer state of the same history loads, the old one is served.
#[test]
fn the_old_data_are_served_while_their_successor_loads() {
    let m = start(&["--repl-diskless-sync", "yes", "--repl-backlog-size", "16kb"]);
    let r = start(&["--repl-diskless-load", "swapdb"]);
    r.replicate(m.port);
    r.wait_link_up();
    m.connect().ok("SET old 1");
    assert_synced(&m, &r);
    let mut c = m.connect();
    c.config_set("rdb-key-save-delay", "5000");
    populate(&m, 400, 10_000);
    // More than the backlog holds, so that the link that is lost now means a full sync. The replica is not to be back before.
    r.sigstop();
    c.run("CLIENT KILL TYPE replica");
    c.cmd(&[&b"SET"[..], b"big", &vec![b'x'; 200_000]])
        .assert_ok();
    r.sigcont();
    let mut rc = r.connect();
    wait_until("the asynchronous load", || rc.info("async_loading") == "1");
    assert_eq!(rc.info("loading"), "0");
    assert_eq!(rc.run("GET old"), "1");
    rc.run("REPLICAOF NO ONE").assert_error_prefix("LOADING");
    c.config_set("rdb-key-save-delay", "0");
    assert_synced(&m, &r);
    assert_eq!(rc.info("async_loading"), "0");
    assert!(r.log_has("Swapping active DB with loaded DB"));
}

/// A streamed snapshot whose link is cut: the old data stay with swapdb.
#[test]
fn a_broken_streamed_load_leaves_the_old_data() {
    let m = start(&[
        "--repl-diskless-sync",
        "yes",
        "--rdb-key-save-delay",
        "2000",
    ]);
    populate(&m, 1_000, 10_000);
    let r = start(&["--repl-diskless-load", "swapdb"]);
    let mut rc = r.connect();
    rc.ok("SET mine 1");
    let proxy = Proxy::start(m.port);
    proxy.cut_after(Dir::Down, 2_000_000);
    r.replicate(proxy.port);
    wait_until("the cut", || proxy.has_cut());
    wait_until("the end of the load", || {
        r.log_has("Discarding temporary DB in background")
    });
    proxy.refuse(true);
    wait_until("the data", || rc.info("loading") == "0");
    assert_eq!(rc.run("GET mine"), "1");
    assert_eq!(rc.run("DBSIZE").int(), 1);
    m.connect().config_set("rdb-key-save-delay", "0");
    proxy.refuse(false);
    assert_synced(&m, &r);
}

/// A master with keys of ten thousand bytes, and a replica that has got more than `bytes` of its snapshot over disk.
fn half_synced(keys: usize, bytes: u64) -> (Server, Server, Proxy) {
    let m = start(&[
        "--repl-diskless-sync",
        "no",
        "--repl-full-sync-rate",
        "20mb",
    ]);
    populate(&m, keys, 10_000);
    let r = start(&[]);
    let proxy = Proxy::start(m.port);
    r.replicate(proxy.port);
    wait_until("a part", || proxy.passed(Dir::Down) > bytes);
    (m, r, proxy)
}

/// A full sync over disk whose link is cut goes on where it stopped, writes of meanwhile included.
#[test]
fn an_interrupted_sync_goes_on_where_it_stopped() {
    let (m, r, proxy) = half_synced(2_000, 6_000_000);
    proxy.cut();
    let mut c = m.connect();
    c.ok("SET meanwhile 1");
    assert_synced(&m, &r);
    assert_eq!(c.info_int("full_syncs_resumed"), 1);
    assert_eq!(c.info_int("sync_full"), 1);
    assert_eq!(replica_field(&mut c, 0, "sync_reason"), "sync_interrupted");
    assert!(r.log_has("going on with the interrupted transfer"));
    // A whole second transfer would be twenty megabytes more.
    let sent = c.info_int("total_net_repl_output_bytes");
    assert!(
        (20_000_000..30_000_000).contains(&sent),
        "{sent} bytes sent"
    );
    // Nothing of it stays behind.
    let left = std::fs::read_dir(r.scratch.path()).expect("its folder");
    for f in left.flatten() {
        let name = f.file_name().into_string().unwrap_or_default();
        assert!(!name.starts_with("temp-"), "{name} stayed");
    }
}

/// A snapshot that is not the interrupted one is sent whole.
#[test]
fn another_snapshot_is_not_resumed() {
    let (m, r, proxy) = half_synced(1_000, 3_000_000);
    proxy.refuse(true);
    // The snapshot is for the history of this run only.
    let mut c = m.connect();
    c.ok("DEBUG CHANGE-REPL-ID");
    proxy.refuse(false);
    assert_synced(&m, &r);
    assert_eq!(c.info_int("full_syncs_resumed"), 0);
    assert_eq!(c.info_int("sync_full"), 2);
}

/// What is kept for a replica that may come back for the rest of its snapshot never passes the limit of its output, and goes
/// with the backlog when nobody comes back at all.
#[test]
fn what_is_kept_for_an_interrupted_sync_is_bounded() {
    let (m, _r, proxy) = half_synced(1_000, 3_000_000);
    let mut c = m.connect();
    c.config_set("client-output-buffer-limit", "replica 2mb 0 0");
    c.config_set("repl-backlog-size", "64kb");
    proxy.refuse(true);
    wait_until("the replica to be gone", || {
        c.info("connected_slaves") == "0"
    });
    // Faster than any cron.
    let value = vec![b'v'; 100_000];
    let mut most = 0;
    for i in 0..200 {
        c.cmd(&[&b"SET"[..], format!("w{i}").as_bytes(), &value])
            .assert_ok();
        most = most.max(c.info_int("mem_total_replication_buffers"));
    }
    assert!((1_500_000..2_500_000).contains(&most), "{most}");
}

#[test]
fn what_is_kept_for_an_interrupted_sync_goes_with_the_backlog() {
    let (m, r, proxy) = half_synced(1_000, 3_000_000);
    let mut c = m.connect();
    c.config_set("repl-backlog-ttl", "1");
    proxy.refuse(true);
    wait_until("the backlog's end", || c.info("repl_backlog_active") == "0");
    assert_eq!(c.info_int("mem_total_replication_buffers"), 0);
    c.ok("SET in no-stream");
    proxy.refuse(false);
    assert_synced(&m, &r);
    assert_eq!(c.info_int("full_syncs_resumed"), 0);
}

/// A master whose snapshot for its replica has begun, and goes on when it is told to (`Held`).
fn snapshot_begun(policy: &str, limit: &str) -> (Held, Server) {
    let m = start(&[
        "--repl-diskless-sync",
        "no",
        "--repl-overflow-policy",
        policy,
        "--client-output-buffer-limit",
        limit,
        "--repl-backlog-size",
        "64kb",
        "--rdb-key-save-delay",
        "2000",
    ]);
    populate(&m, 500, 100);
    let r = start(&[]);
    r.replicate(m.port);
    m.wait_log("Background saving started by pid");
    m.signal_children(libc::SIGSTOP);
    (Held(m), r)
}

/// A master whose child is halted: it goes on at the latest when the test is over, whatever its end.
struct Held(Server);

impl Held {
    fn snapshot_goes_on(&self) {
        self.0.signal_children(libc::SIGCONT);
        // The next one takes no time.
        self.0.connect().config_set("rdb-key-save-delay", "0");
    }
}

impl std::ops::Deref for Held {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.signal_children(libc::SIGCONT);
    }
}

/// The output of a replica in its full sync passes the limit: what the policy says happens, and it ends with everything.
#[test]
fn a_full_sync_survives_its_output_limit() {
    for policy in ["spill", "backpressure"] {
        let (m, r) = snapshot_begun(policy, "replica 2mb 0 0");
        let port = m.port;
        let writer = std::thread::spawn(move || {
            let mut c = Conn::connect(port);
            c.set_timeout(HANG);
            let value = vec![b'v'; 10_000];
            for i in 0..1_500 {
                c.cmd(&[&b"SET"[..], format!("w{}", i % 300).as_bytes(), &value])
                    .assert_ok();
            }
        });
        let told = match policy {
            "spill" => "it goes on through a file",
            _ => "writes wait until it has caught up",
        };
        wait_until("the limit", || m.log_has(told));
        let mut c = m.connect();
        // Memory stays near the limit although fifteen megabytes are written.
        let pending = c.info_int("mem_total_replication_buffers");
        assert!(pending < 8_000_000, "{pending} bytes are kept");
        m.snapshot_goes_on();
        writer.join().expect("the writer");
        assert_synced(&m, &r);
        assert_eq!(c.info_int("sync_full"), 1);
        assert!(!m.log_has("overcoming of output buffer limits"));
    }
}

/// Writers are held back from the very command that passed the limit on, in the middle of a pipeline too: while they are,
/// keys that have expired stay, so that a write would find a key that the replicas have as none.
#[test]
fn backpressure_begins_within_a_pipeline() {
    let (m, r) = snapshot_begun("backpressure", "replica 2mb 0 0");
    let mut c = m.connect();
    c.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    for i in 0..100 {
        c.ok(&format!("SET gone{i} string PX 1"));
    }
    wait_until("their time", || c.run("PTTL gone99").int() == -2);
    let mut pipeline = Vec::new();
    let value = vec![b'v'; 100_000];
    for i in 0..100 {
        let (key, gone) = (format!("w{i}"), format!("gone{i}"));
        pipeline.extend(encode(&[&b"SET"[..], key.as_bytes(), &value]));
        pipeline.extend(encode(&["LPUSH", &gone, "element"]));
    }
    let port = m.port;
    let writer = std::thread::spawn(move || {
        let mut c = Conn::connect(port);
        c.set_timeout(HANG);
        c.write_raw(&pipeline);
        for i in 0..100 {
            assert_eq!(c.read(), "OK");
            assert_eq!(c.read().int(), 1, "{i}");
        }
    });
    wait_until("the limit", || {
        m.log_has("writes wait until it has caught up")
    });
    m.snapshot_goes_on();
    writer.join().expect("the writer");
    assert_synced(&m, &r);
    assert!(!r.log_has("CRITICAL"), "{}", r.log());
}

/// Who joins a snapshot on its way gets all that was written since it began, though the one that it was begun for has had the
/// beginning of that moved into a file of its own: from the backlog where that reaches so far, else with the next snapshot.
#[test]
fn who_joins_a_snapshot_gets_the_stream_from_its_beginning() {
    for (backlog, snapshots) in [("64kb", 2), ("100mb", 1)] {
        let (m, r) = snapshot_begun("spill", "replica 1mb 0 0");
        let mut c = m.connect();
        c.config_set("repl-backlog-size", backlog);
        let value = vec![b'v'; 100_000];
        let mut n = 0;
        while !m.log_has("it goes on through a file") {
            // Each key once: what is missed cannot be mended by a later write.
            c.cmd(&[&b"SET"[..], format!("w{n}").as_bytes(), &value])
                .assert_ok();
            n += 1;
        }
        let late = start(&[]);
        late.replicate(m.port);
        wait_until("the second replica", || {
            m.log_has("Can't attach the replica") || m.log_has("Waiting for end of BGSAVE for SYNC")
        });
        assert_eq!(c.info("rdb_bgsave_in_progress"), "1");
        m.snapshot_goes_on();
        assert_synced(&m, &r);
        assert_synced(&m, &late);
        assert_eq!(
            m.log_count("Starting BGSAVE for SYNC"),
            snapshots,
            "{backlog}"
        );
    }
}

/// With the default policy it starts over, and the reason is counted.
#[test]
fn an_output_limit_is_a_reason_of_its_own() {
    let (m, r) = snapshot_begun("disconnect", "replica 1mb 0 0");
    let mut c = m.connect();
    let value = vec![b'v'; 100_000];
    for i in 0..30 {
        c.cmd(&[&b"SET"[..], format!("w{i}").as_bytes(), &value])
            .assert_ok();
    }
    wait_until("the limit", || {
        m.log_has("overcoming of output buffer limits")
    });
    m.snapshot_goes_on();
    assert_synced(&m, &r);
    assert!(reason_count(&mut c, "output_buffer_limit") >= 1);
    assert_eq!(
        replica_field(&mut c, 0, "sync_reason"),
        "output_buffer_limit"
    );
}

/// At most so many full syncs at once; the others wait, and get theirs.
#[test]
fn full_syncs_take_turns() {
    let m = start(&[
        "--repl-diskless-sync",
        "no",
        "--repl-max-full-syncs",
        "1",
        "--repl-full-sync-rate",
        "10mb",
    ]);
    populate(&m, 500, 10_000);
    let replicas = [start(&[]), start(&[]), start(&[])];
    for r in &replicas {
        r.replicate(m.port);
    }
    let mut c = m.connect();
    let mut most = 0;
    wait_until("all of them", || {
        let states: Vec<String> = (0..3)
            .map(|i| c.info(&format!("slave{i}")))
            .filter(|l| l.contains("state=send_bulk"))
            .collect();
        most = most.max(states.len());
        replicas
            .iter()
            .all(|r| r.connect().info("master_link_status") == "up")
    });
    assert_eq!(most, 1);
    for r in &replicas {
        assert_synced(&m, r);
    }
}

/// A master that comes back without its data is refused until the user consents.
#[test]
fn an_emptied_master_is_refused() {
    let mut m = start(&[]);
    populate(&m, 100, 10);
    let r = start(&["--replica-refuse-empty-master", "yes"]);
    r.replicate(m.port);
    assert_synced(&m, &r);
    m.kill9();
    m.restart();
    assert_eq!(m.connect().run("DBSIZE").int(), 0);
    r.wait_log("Refusing a full sync");
    let mut c = r.connect();
    assert_eq!(c.run("DBSIZE").int(), 100);
    assert!(c.info_int("master_refused_syncs") >= 1);
    assert_eq!(c.info("master_link_status"), "down");
    c.ok(&format!("REPLICAOF 127.0.0.1 {}", m.port));
    assert_synced(&m, &r);
    assert_eq!(c.run("DBSIZE").int(), 0);
    assert_eq!(c.info("master_refused_history"), "");
}

/// A new master by REPLICAOF is followed, however little it has: that is what was asked for.
#[test]
fn an_empty_master_that_was_asked_for_is_accepted() {
    let m = start(&[]);
    let r = start(&["--replica-refuse-empty-master", "yes"]);
    let first = start(&[]);
    populate(&first, 100, 10);
    r.replicate(first.port);
    assert_synced(&first, &r);
    r.replicate(m.port);
    assert_synced(&m, &r);
}

#[test]
fn a_link_that_cannot_work_names_its_cure() {
    let m = start(&["--requirepass", "secret"]);
    let r = start(&[]);
    let mut c = r.connect();
    let problem = |c: &mut Conn, text: &str| {
        wait_until(text, || c.info("master_link_problem").contains(text));
    };
    r.replicate(m.port);
    problem(&mut c, "set masterauth to its requirepass");
    c.config_set("masterauth", "wrong");
    problem(&mut c, "has another password");
    c.config_set("masterauth", "secret");
    r.wait_link_up();
    assert_eq!(c.info("master_link_problem"), "");
    r.replicate(r.port);
    problem(&mut c, "is this server itself");
    let free = server::free_port();
    r.replicate(free);
    problem(&mut c, "nothing listens at");
    // Two that replicate from each other.
    let a = start(&[]);
    let b = start(&[]);
    a.replicate(b.port);
    a.wait_link_up();
    b.replicate(a.port);
    problem(&mut b.connect(), "loop of replicas");
}

/// A replica that has more of its master's history than the one that is promoted has gone another way from there: it begins
/// anew, though the promoted one has long passed its offset.
#[test]
fn a_replica_ahead_of_the_promoted_one_begins_anew() {
    let quiet = ["--repl-ping-replica-period", "3600"];
    let (m, ahead, behind) = (start(&quiet), start(&quiet), start(&quiet));
    populate(&m, 100, 10);
    let proxy = Proxy::start(m.port);
    behind.replicate(proxy.port);
    ahead.replicate(m.port);
    assert_synced(&m, &ahead);
    assert_synced(&m, &behind);
    proxy.blackhole(true);
    let mut c = m.connect();
    for i in 0..10 {
        c.ok(&format!("SET only:{i} ahead"));
    }
    assert_synced(&m, &ahead);
    let (mut a, mut b) = (ahead.connect(), behind.connect());
    b.ok("REPLICAOF NO ONE");
    let switch = b.info_int("second_repl_offset");
    assert!(a.info_int("slave_repl_offset") >= switch + 100);
    // As many bytes as the other one has, so that only the rule tells the histories apart.
    for i in 0..20 {
        b.ok(&format!("SET only:{i} behnd"));
    }
    assert!(b.info_int("master_repl_offset") > a.info_int("slave_repl_offset"));
    ahead.replicate(behind.port);
    assert_synced(&behind, &ahead);
    assert_eq!(a.run("GET only:0"), "behnd");
    assert_eq!(b.info_int("sync_full"), 1);
    assert_eq!(b.info_int("sync_partial_ok"), 0);
    assert_eq!(reason_count(&mut b, "beyond_second_id"), 1);
    // The former master has all of the others' history and more of its own.
    m.replicate(behind.port);
    assert_synced(&behind, &m);
    assert_eq!(m.connect().run("GET only:0"), "behnd");
    assert_eq!(reason_count(&mut b, "beyond_second_id"), 2);
}

/// A BITFIELD whose operations all overflow changes no bit, but may make the string longer, or make it: the replica is told.
#[test]
fn a_string_that_a_failed_bitfield_has_made_is_replicated() {
    let m = start(&[]);
    let r = start(&[]);
    r.replicate(m.port);
    r.wait_link_up();
    let mut c = m.connect();
    assert!(c.run("BITFIELD new OVERFLOW FAIL SET u2 30 9").items()[0].is_null());
    c.ok("SET old a");
    c.run("BITFIELD old OVERFLOW FAIL INCRBY u2 30 9");
    assert_eq!(c.run("STRLEN new"), 4);
    assert_eq!(c.run("STRLEN old"), 4);
    assert_synced(&m, &r);
    let offset = c.info_int("master_repl_offset");
    // What changes nothing at all is not passed on.
    c.run("BITFIELD old OVERFLOW FAIL INCRBY u2 30 9");
    assert_eq!(c.info_int("master_repl_offset"), offset);
}

/// Each replicates from the next one.
fn chain(servers: &[&Server]) {
    for pair in servers.windows(2).rev() {
        pair[0].replicate(pair[1].port);
        pair[0].wait_link_up();
    }
}

#[track_caller]
fn all_name_the_loop(servers: &[&Server]) {
    let text = format!("loop of {} replicas", servers.len());
    for (i, s) in servers.iter().enumerate() {
        let mut c = s.connect();
        let mut problem = String::new();
        wait_until(&text, || {
            problem = c.info("master_link_problem");
            problem.starts_with(&text)
        });
        // Whom we replicate from, and who replicates from here.
        let of = |i: usize| format!("127.0.0.1:{}", servers[i % servers.len()].port);
        let (master, replica) = (of(i + 1), of(i + servers.len() - 1));
        assert!(
            problem.contains(&format!(": {master}, from which")),
            "{problem}"
        );
        assert!(
            problem.contains(&format!("by way of {replica}, which")),
            "{problem}"
        );
        assert!(problem.ends_with("(REPLICAOF NO ONE)"), "{problem}");
        s.wait_log(&format!("MASTER link problem: {text}"));
    }
}

/// The master of a chain becomes a replica of its last one: all links are up, and nobody is a master.
#[test]
fn a_loop_of_replicas_with_links_is_named() {
    for n in [3, 4] {
        let servers: Vec<Server> = (0..n).map(|_| start(&[])).collect();
        let all: Vec<&Server> = servers.iter().collect();
        chain(&all);
        all[n - 1].replicate(all[0].port);
        all_name_the_loop(&all);
        for s in &all {
            let mut c = s.connect();
            assert_eq!(c.info("master_link_status"), "up");
            // Said once, not each second.
            assert_eq!(s.log_count("MASTER link problem: loop of"), 1);
        }
        a_promotion_ends_the_loop(&all);
    }
}

/// One of them becomes a master: nobody complains any more, and the others follow.
#[track_caller]
fn a_promotion_ends_the_loop(all: &[&Server]) {
    all[1].connect().ok("REPLICAOF NO ONE");
    all[1].connect().ok("SET it goes-on");
    for s in all {
        let mut c = s.connect();
        wait_until("no problem", || c.info("master_link_problem").is_empty());
    }
    assert_synced(all[1], all[2]);
}

/// Servers that are configured in a circle never get a link at all.
#[test]
fn a_loop_of_replicas_without_links_is_named() {
    for n in [3, 4] {
        let servers: Vec<Server> = (0..n).map(|_| start(&[])).collect();
        let all: Vec<&Server> = servers.iter().collect();
        // Each has another history, and none a link when it is asked for one.
        for (i, s) in all.iter().enumerate() {
            s.sigstop();
            s.connect()
                .send(&["REPLICAOF", "127.0.0.1", &all[(i + 1) % n].port.to_string()]);
        }
        for s in &all {
            s.sigcont();
        }
        all_name_the_loop(&all);
        a_promotion_ends_the_loop(&all);
    }
}

/// A healthy chain is turned round and round: nobody ever sees a loop.
#[test]
fn a_chain_that_is_rearranged_is_no_loop() {
    let servers: Vec<Server> = (0..4).map(|_| start(&[])).collect();
    let all: Vec<&Server> = servers.iter().collect();
    chain(&all);
    let mut order: Vec<&Server> = all.clone();
    for round in 0..6 {
        // The last one's master is promoted, or the first one is, and the others follow in another order.
        let k = if round % 2 == 0 { 2 } else { 0 };
        let next = order.remove(k);
        order.rotate_left(1);
        order.push(next);
        next.connect().ok("REPLICAOF NO ONE");
        for pair in order.windows(2).rev() {
            pair[0].replicate(pair[1].port);
        }
        for s in &order[..3] {
            s.wait_link_up();
        }
        next.connect().ok(&format!("SET round {round}"));
        std::thread::sleep(Duration::from_millis(700 * round));
    }
    assert_synced(order[3], order[0]);
    for s in &order[..3] {
        assert_eq!(s.connect().info("master_link_problem"), "");
    }
    for s in &all {
        assert!(!s.log_has("loop of"), "{}", s.log());
    }
}

/// What a replica has not acknowledged is told in time, bytes and writes.
#[test]
fn lag_is_told_in_time_bytes_and_writes() {
    let m = start(&["--repl-ping-replica-period", "3600"]);
    let r = start(&[]);
    r.replicate(m.port);
    r.wait_link_up();
    let mut c = m.connect();
    c.ok("SET a 1");
    assert_eq!(c.run("WAIT 1 0").int(), 1);
    wait_until("no lag", || replica_field(&mut c, 0, "lag_bytes") == "0");
    assert_eq!(replica_field(&mut c, 0, "lag_writes"), "0");
    assert_eq!(replica_field(&mut c, 0, "lag_ms"), "0");
    r.sigstop();
    let writes = c.info_int("repl_stream_writes");
    for i in 0..7 {
        c.ok(&format!("SET k{i} value"));
    }
    assert_eq!(c.info_int("repl_stream_writes"), writes + 7);
    assert_eq!(replica_field(&mut c, 0, "lag_writes"), "7");
    std::thread::sleep(Duration::from_millis(50));
    let ms: u64 = replica_field(&mut c, 0, "lag_ms")
        .parse()
        .expect("a number");
    assert!(ms >= 50, "{ms}");
    let rows = c.run("REPLCONF GETLAG *");
    let row = rows.items()[0].items();
    assert_eq!(row[1].int(), i64::from(r.port));
    assert_eq!(row[2].text(), "online");
    assert_eq!(row[6].int(), 7);
    r.sigcont();
    wait_until("no lag again", || {
        replica_field(&mut c, 0, "lag_writes") == "0"
    });
}

/// Restarted from its append-only file, by kill -9 too, a master is still the one its replicas know, and a replica asks for
/// what it lacks only.
#[test]
fn a_restart_from_the_append_only_file_keeps_partial_resync() {
    let aof = [
        "--appendonly",
        "yes",
        "--aof-replication-state",
        "yes",
        "--repl-ping-replica-period",
        "1",
    ];
    let mut m = start(&aof);
    let mut r = start(&aof);
    r.replicate(m.port);
    r.wait_link_up();
    for i in 0..50 {
        m.connect().ok(&format!("SET k{i} {i}"));
    }
    assert_synced(&m, &r);
    // Pings are in the stream and not in the file.
    let pinged = m.connect().info_int("master_repl_offset");
    wait_until("a ping", || {
        m.connect().info_int("master_repl_offset") > pinged
    });
    r.kill9();
    m.connect().ok("SET while away");
    r.restart_with(
        &[
            &PLAIN[..],
            &aof,
            &["--replicaof", &format!("127.0.0.1 {}", m.port)],
        ]
        .concat(),
    );
    assert_synced(&m, &r);
    let mut c = m.connect();
    assert_eq!(c.info_int("sync_partial_ok"), 1);
    assert_eq!(c.info_int("sync_full"), 1);
    m.kill9();
    m.restart();
    assert_synced(&m, &r);
    let mut c = m.connect();
    assert_eq!(c.info_int("sync_partial_ok"), 1);
    assert_eq!(c.info_int("sync_full"), 0);
    assert_eq!(c.run("GET while"), "away");
}

/// A replica that cannot have the full sync for a reason of its own says why, and does not ask for it without a pause.
#[test]
fn a_full_sync_that_the_replica_cannot_take_is_named_and_spaced() {
    type Spoil = fn(&Server);
    let cases: [(&[&str], Spoil, Spoil, &str); 3] = [
        (
            &["--databases", "1"],
            |_| {},
            |_| {},
            "full sync cannot be loaded: the master has keys in database 5, and databases is 1 here: set databases to at least 6",
        ),
        (
            &[],
            |r| {
                let path = r.rdb_path();
                let _ = std::fs::remove_file(&path);
                std::fs::create_dir(path).expect("a folder");
            },
            |r| std::fs::remove_dir(r.rdb_path()).expect("a folder"),
            "full sync cannot be kept: dbfilename dump.rdb is a folder",
        ),
        (
            &["--enable-protected-configs", "yes"],
            |r| {
                let gone = r.scratch.join("gone");
                std::fs::create_dir(&gone).expect("a folder");
                r.connect()
                    .config_set("dir", gone.to_str().expect("a path"));
                std::fs::remove_dir(&gone).expect("an empty folder");
            },
            |r| {
                let dir = r.scratch.path().to_str().expect("a path");
                r.connect().config_set("dir", dir);
            },
            "full sync cannot be kept: no file can be made in ",
        ),
    ];
    for (args, spoil, mend, problem) in cases {
        let m = start(&[]);
        let mut c = m.connect();
        c.ok("SELECT 5");
        c.ok("SET far away");
        let r = start(args);
        spoil(&r);
        let begin = std::time::Instant::now();
        r.replicate(m.port);
        let mut rc = r.connect();
        wait_until(problem, || {
            rc.info("master_link_problem").starts_with(problem)
        });
        wait_until("another attempt", || c.info_int("sync_full") >= 2);
        std::thread::sleep(Duration::from_secs(2));
        let (n, ms) = (c.info_int("sync_full"), begin.elapsed().as_millis() as i64);
        assert!(n <= 2 + ms / 2000, "{n} full syncs in {ms} ms");
        assert_eq!(r.log_count("MASTER link problem"), 1, "{}", r.log());
        assert_eq!(r.log_count("MASTER <-> REPLICA sync started"), 1);
        assert!(!r.log_has("xiting"), "{}", r.log());
        if args.contains(&"--databases") {
            continue;
        }
        mend(&r);
        rc.run(&format!("REPLICAOF 127.0.0.1 {}", m.port));
        assert_synced(&m, &r);
        assert_eq!(rc.info("master_link_problem"), "");
    }
}

/// A master that is down, and comes back: what was wrong with it is shown only as long as it is.
#[test]
fn a_master_that_is_back_is_no_problem() {
    let password = ["--requirepass", "secret", "--masterauth", "secret"];
    let mut m = Server::aedile(&["--requirepass", "secret"]);
    let r = Server::aedile(&password[2..]);
    let mut c = r.connect();
    r.replicate(m.port);
    r.wait_link_up();
    // The answer to PING, that a password is wanted, is none.
    assert!(!r.log_has("MASTER link problem"), "{}", r.log());
    m.kill9();
    wait_until("the problem", || {
        c.info("master_link_problem")
            .starts_with("nothing listens at")
    });
    m.restart();
    r.wait_link_up();
    assert_eq!(c.info("master_link_problem"), "");
    // A killed process closes its links before the socket that listens: who is back at once may still be let in, and thrown
    // out. That is another problem.
    let told = r.log_count("MASTER link problem: nothing listens");
    assert_eq!(told, 1, "{}", r.log());
}

/// What the offset of a server without replicas moves by, in turn: without an append-only file, and with one. It counts the
/// commands that the file takes, and nothing else. The numbers are 7.2.6's.
#[test]
fn the_offset_counts_what_the_file_takes() {
    const STEPS: &[(&[&str], i64)] = &[
        (&["SET a 1"], 1),
        (&["GET a"], 0),
        (&["DEL a"], 1),
        (&["DEL a"], 0),
        (&["FLUSHALL"], 1),
        (&["FLUSHDB"], 1),
        (&["FLUSHALL ASYNC"], 1),
        (&["PUBLISH c m"], 0),
        (&["SPUBLISH c m"], 0),
        (&["MULTI", "PUBLISH c m", "EXEC"], 0),
        (&["MULTI", "PUBLISH c m", "PUBLISH d m", "EXEC"], 0),
        (&["MULTI", "SPUBLISH c m", "SET a 1", "EXEC"], 1),
        (&["MULTI", "SET a 1", "EXEC"], 1),
        (&["MULTI", "SET a 1", "SET b 2", "EXEC"], 4),
        (&["MULTI", "FLUSHALL", "EXEC"], 1),
        (&["MULTI", "FLUSHDB", "SET a 1", "EXEC"], 4),
        (&["MULTI", "GET a", "EXEC"], 0),
        (&["SADD s a b c", "SPOP s", "SPOP s 5"], 3),
        (&["LPUSH l 1", "BLPOP l 0"], 2),
        (&["XADD x 1 f v", "XGROUP CREATE x g 0"], 2),
        (&["XREADGROUP GROUP g c STREAMS x >"], 1),
        (&["SWAPDB 0 1"], 1),
        (&["PFADD h a b", "PFCOUNT h"], 2),
        (&["MSET a 1 b 2", "RENAME a c", "MOVE c 5"], 3),
        (&["WAIT 0 1", "PING", "SCRIPT FLUSH"], 0),
    ];
    for file in ["no", "yes"] {
        let server = Server::aedile(&["--appendonly", file]);
        let mut c = server.connect();
        // Not the plainest way through: a limit is looked at before each command.
        for limit in ["0", "1gb"] {
            c.config_set("maxmemory", limit);
            for (lines, moves) in STEPS {
                let before = c.info_int("master_repl_offset");
                for line in *lines {
                    c.run(line);
                }
                let want = if file == "yes" { *moves } else { 0 };
                let moved = c.info_int("master_repl_offset") - before;
                assert_eq!(moved, want, "appendonly {file}, {lines:?}");
            }
            c.ok("FLUSHALL");
        }
    }
}
