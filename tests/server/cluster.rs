//! Nodes of a cluster: slots and redirections, moves of slots, replicas and failovers, channels, nodes.conf, and what a stranger
//! sends to the bus.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::cluster::*;
use crate::support::server::{Scratch, run_to_end};
use crate::support::*;

fn three_masters() -> [Server; 3] {
    let all = [(); 3].map(|()| node(Kind::Aedile, &[]));
    join_masters(&all.each_ref());
    all
}

/// A node by itself, as a user has it: nothing but `cluster-enabled yes` and, for the test's own sake, a port for the bus.
#[test]
fn a_node_alone_serves_all_slots_once_it_has_them() {
    let bus = server::free_port().to_string();
    let args = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let mut node = Server::aedile(&args);
    let mut c = node.connect();
    assert_eq!(c.info("redis_mode"), "cluster");
    assert_eq!(c.info("cluster_enabled"), "1");
    c.run("GET a")
        .assert_error("CLUSTERDOWN Hash slot not served");
    assert_eq!(c.run("PING"), "PONG");
    c.ok("CLUSTER ADDSLOTSRANGE 0 16383");
    c.run("CLUSTER ADDSLOTS 5")
        .assert_error("ERR Slot 5 is already busy");
    c.run("CLUSTER DELSLOTS 5 5")
        .assert_error("ERR Slot 5 specified multiple times");
    wait_until("the cluster to be well", || {
        cluster_info(&node, "cluster_state") == "ok"
    });
    c.ok("SET {tag}a 1");
    assert_eq!(
        c.run("CLUSTER SLOT-STATS SLOTSRANGE 8337 8339")
            .items()
            .len(),
        3
    );
    let fullest = c.run("CLUSTER SLOT-STATS ORDERBY key-count LIMIT 1");
    assert_eq!(fullest.items()[0].items()[0], 8338);
    c.ok("MSET {tag}b 2 {tag}c 3");
    c.run("MSET a 1 b 2")
        .assert_error("CROSSSLOT Keys in request don't hash to the same slot");
    c.cmd(&["EVAL", "return 1", "2", "a", "b"])
        .assert_error("CROSSSLOT Keys in request don't hash to the same slot");
    assert_eq!(c.run("CLUSTER KEYSLOT {tag}a"), 8338);
    assert_eq!(c.run("CLUSTER COUNTKEYSINSLOT 8338"), 3);
    let mut keys: Vec<String> = c
        .run("CLUSTER GETKEYSINSLOT 8338 10")
        .items()
        .iter()
        .map(Value::text)
        .collect();
    keys.sort();
    assert_eq!(keys, ["{tag}a", "{tag}b", "{tag}c"]);
    assert_eq!(c.run("CLUSTER GETKEYSINSLOT 8338 2").items().len(), 2);
    c.ok("CLUSTER FLUSHSLOT 8338 SYNC");
    assert_eq!(c.run("CLUSTER COUNTKEYSINSLOT 8338"), 0);
    assert_eq!(c.run("DBSIZE"), 0);
    for (line, text) in [
        ("SELECT 1", "ERR SELECT is not allowed in cluster mode"),
        ("SWAPDB 0 1", "ERR SWAPDB is not allowed in cluster mode"),
        ("MOVE a 1", "ERR MOVE is not allowed in cluster mode"),
        (
            "REPLICAOF 127.0.0.1 1",
            "ERR REPLICAOF not allowed in cluster mode.",
        ),
        ("FAILOVER", "ERR FAILOVER not allowed in cluster mode."),
    ] {
        c.run(line).assert_error(text);
    }
    let id = id_of(&node);
    let before = nodes(&node);
    node.terminate();
    node.restart();
    assert_eq!((id_of(&node), nodes(&node)), (id, before));
}

#[test]
fn two_nodes_do_not_share_a_file() {
    let node = node(Kind::Aedile, &[]);
    // The file has been replaced since it was locked.
    node.connect().ok("CLUSTER SAVECONFIG");
    let file = node.scratch.join("nodes.conf");
    let file = file.to_str().expect("a path");
    let dir = Scratch::new();
    let port = server::free_port().to_string();
    let bus = server::free_port().to_string();
    let mut args = vec!["--port", &port, "--cluster-port", &bus];
    args.extend(["--cluster-enabled", "yes", "--cluster-config-file", file]);
    let end = run_to_end(Kind::Aedile, dir.path(), &args, b"");
    assert_eq!(end.status.code(), Some(1));
    let text = format!("{}{}", end.stdout, end.stderr);
    assert!(
        text.contains("is already used by a different Redis Cluster node"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_damaged_is_not_loaded() {
    for damage in ["a\n", "vars currentEpoch\n"] {
        let scratch = Scratch::new();
        scratch.write("nodes.conf", damage);
        let port = server::free_port().to_string();
        let args = ["--port", &port, "--cluster-enabled", "yes"];
        let end = run_to_end(Kind::Aedile, scratch.path(), &args, b"");
        assert_eq!(end.status.code(), Some(1));
        let text = format!("{}{}", end.stdout, end.stderr);
        assert!(text.contains("corrupted cluster config file"), "{text}");
    }
}

#[test]
fn requests_are_sent_to_who_has_the_slot() {
    let all = three_masters();
    let [a, b, c] = all.each_ref();
    let mut ca = a.connect();
    // Slots 12182 and 866.
    ca.run("GET foo")
        .assert_error(&format!("MOVED 12182 127.0.0.1:{}", c.port));
    ca.ok("SET hello 1");
    let mut cb = b.connect();
    cb.run("GET hello")
        .assert_error(&format!("MOVED 866 127.0.0.1:{}", a.port));
    // A transaction is refused with its first command that is elsewhere.
    ca.ok("MULTI");
    ca.run("GET foo").assert_error_prefix("MOVED");
    ca.run("EXEC").assert_error_prefix("EXECABORT");
    ca.cmd(&["EVAL", "return redis.call('get', 'foo')", "0"])
        .assert_error_prefix("ERR Script attempted to access a non local key in a cluster node");
    let get = ["EVAL", "return redis.call('get', KEYS[1])", "1", "hello"];
    assert_eq!(ca.cmd(&get), "1");
    for key in ["foo", "bar", "hello", "x", "y", "z"] {
        assert_eq!(anywhere(&all.each_ref(), &["SET", key, key]), "OK");
    }
    for key in ["foo", "bar", "hello", "x", "y", "z"] {
        assert_eq!(anywhere(&all.each_ref(), &["GET", key]), key);
    }
    let slots = ca.run("CLUSTER SLOTS");
    assert_eq!(slots.items().len(), 3);
    assert_eq!(slots.items()[1].items()[0], 5461);
    assert_eq!(ca.run("CLUSTER SHARDS").items().len(), 3);
    assert_eq!(ca.run("CLUSTER LINKS").items().len(), 4);
}

/// A slot moves as redis-cli moves it, key by key; what asks meanwhile is asked to ask, or to try again.
#[test]
fn a_slot_moves_while_it_is_asked_for() {
    let words = |line: &str| line.split(' ').map(str::to_string).collect::<Vec<_>>();
    let all = three_masters();
    let [a, b, _] = all.each_ref();
    let (mut ca, mut cb) = (a.connect(), b.connect());
    let (ida, idb) = (id_of(a), id_of(b));
    // Slot 866 is a's.
    for i in 0..50 {
        ca.ok(&format!("SET {{hello}}{i} {i}"));
    }
    let mut blocked = a.connect();
    blocked.send(&["BLPOP", "{hello}list", "0"]);
    wait_until("the client to block", || ca.info("blocked_clients") == "1");
    cb.ok(&format!("CLUSTER SETSLOT 866 IMPORTING {ida}"));
    // What opens a slot, or closes it, holds for what is behind it in a pipeline.
    let open = format!("CLUSTER SETSLOT 866 MIGRATING {idb}");
    let shut = "CLUSTER SETSLOT 866 STABLE";
    let absent = "GET {hello}absent";
    let lines = [
        absent, &open, absent, "MULTI", shut, "EXEC", absent, "MULTI", &open, "EXEC", absent,
    ];
    let replies = ca.pipeline(&lines.map(words));
    let ask = format!("ASK 866 127.0.0.1:{}", b.port);
    for (at, asks) in [(0, false), (2, true), (6, false), (10, true)] {
        match asks {
            true => replies[at].assert_error(&ask),
            false => assert!(replies[at].is_null()),
        }
    }
    let migrate = |c: &mut Conn, key: &str| {
        let port = b.port.to_string();
        c.cmd(&["MIGRATE", "127.0.0.1", &port, "", "0", "20000", "KEYS", key])
            .assert_ok();
    };
    migrate(&mut ca, "{hello}0");
    ca.run("GET {hello}0")
        .assert_error(&format!("ASK 866 127.0.0.1:{}", b.port));
    assert_eq!(ca.run("GET {hello}1"), "1");
    ca.run("MGET {hello}0 {hello}1")
        .assert_error("TRYAGAIN Multiple keys request during rehashing of slot");
    cb.run("GET {hello}0").assert_error_prefix("MOVED 866 ");
    cb.ok("ASKING");
    assert_eq!(cb.run("GET {hello}0"), "0");
    // For one request only, or for one transaction.
    cb.run("GET {hello}0").assert_error_prefix("MOVED 866 ");
    cb.ok("ASKING");
    cb.ok("MULTI");
    assert_eq!(cb.run("GET {hello}0"), "QUEUED");
    assert_eq!(cb.run("INCR {hello}0"), "QUEUED");
    assert_eq!(cb.run("EXEC").items().len(), 2);
    cb.run("GET {hello}0").assert_error_prefix("MOVED 866 ");
    cb.ok("ASKING");
    cb.run("MGET {hello}0 {hello}1")
        .assert_error_prefix("TRYAGAIN");
    // Within one pipeline as well.
    let lines = ["ASKING", "STRLEN {hello}0", "STRLEN {hello}0"].map(words);
    let replies = cb.pipeline(&lines);
    assert_eq!(replies[0], "OK");
    assert_eq!(replies[1], 1);
    replies[2].assert_error_prefix("MOVED 866 ");
    for i in 1..50 {
        migrate(&mut ca, &format!("{{hello}}{i}"));
    }
    assert_eq!(ca.run("CLUSTER COUNTKEYSINSLOT 866"), 0);
    assert_eq!(cb.run("CLUSTER COUNTKEYSINSLOT 866"), 50);
    cb.ok(&format!("CLUSTER SETSLOT 866 NODE {idb}"));
    ca.ok(&format!("CLUSTER SETSLOT 866 NODE {idb}"));
    blocked
        .read()
        .assert_error(&format!("MOVED 866 127.0.0.1:{}", b.port));
    wait_agreement(&all.each_ref());
    let slots = nodes(a)[&idb].2.clone();
    assert!(slots.contains(&"866".to_string()), "{slots:?}");
    assert_eq!(anywhere(&all.each_ref(), &["GET", "{hello}7"]), "7");
}

#[test]
fn a_replica_takes_the_place_of_a_master_that_is_killed() {
    let mut all = three_masters();
    let replica = node(Kind::Aedile, &[]);
    meet(&all[0], &replica);
    replicate(&replica, &all[1]);
    let everyone: Vec<&Server> = all.iter().chain([&replica]).collect();
    wait_agreement(&everyone);
    // Slot 9842 is the second master's.
    let mut c = all[1].connect();
    c.ok("SET 1 one");
    let mut r = replica.connect();
    wait_until("the replica to have it", || c.run("WAIT 1 0") == 1);
    r.run("GET 1").assert_error_prefix("MOVED ");
    r.ok("READONLY");
    assert_eq!(r.run("GET 1"), "one");
    r.run("SET 1 two").assert_error_prefix("MOVED ");
    r.ok("READWRITE");
    r.run("GET 1").assert_error_prefix("MOVED ");

    all[1].kill9();
    let rest = [&all[0], &all[2], &replica];
    wait_until("the replica to be a master", || {
        replica.connect().info("role") == "master"
            && rest
                .iter()
                .all(|n| cluster_info(n, "cluster_state") == "ok")
    });
    assert_eq!(anywhere(&rest, &["GET", "1"]), "one");
    assert_eq!(anywhere(&rest, &["SET", "1", "two"]), "OK");
    all[1].restart();
    let everyone: Vec<&Server> = all.iter().chain([&replica]).collect();
    wait_agreement(&everyone);
    assert_eq!(all[1].connect().info("role"), "slave");
    wait_until("the old master to follow", || {
        all[1].connect().info("master_link_status") == "up"
    });
    assert_same_data(&replica, &all[1]);

    // Back again, with nothing lost.
    all[1].connect().ok("CLUSTER FAILOVER");
    wait_until("the old master to be one again", || {
        all[1].connect().info("role") == "master" && replica.connect().info("role") == "slave"
    });
    wait_agreement(&everyone);
    assert_eq!(all[1].connect().run("GET 1"), "two");
    replica.connect().ok("CLUSTER FAILOVER TAKEOVER");
    wait_until("a takeover", || {
        replica.connect().info("role") == "master" && all[1].connect().info("role") == "slave"
    });
}

#[test]
fn a_master_that_ends_hands_over() {
    let mut all = three_masters();
    let more = ["--cluster-replica-validity-factor", "0"];
    let replica = node(Kind::Aedile, &more);
    meet(&all[0], &replica);
    replicate(&replica, &all[1]);
    let everyone: Vec<&Server> = all.iter().chain([&replica]).collect();
    wait_agreement(&everyone);
    let mut c = all[1].connect();
    c.ok("CONFIG SET auto-failover-on-shutdown yes");
    c.ok("SET 1 one");
    all[1].terminate();
    assert!(all[1].log_has("Perform auto failover to replica"));
    let rest = [&all[0], &all[2], &replica];
    wait_until("the replica to be a master", || {
        replica.connect().info("role") == "master"
    });
    // Nobody has had to take the old master for failing first.
    assert!(replica.log_has("Forced failover user request accepted"));
    assert!(!all[0].log_has("as failing (quorum reached)"));
    assert_eq!(anywhere(&rest, &["GET", "1"]), "one");
}

#[test]
fn channels_reach_the_clients_of_other_nodes() {
    let all = three_masters();
    let mut listener = all[2].connect();
    listener.run("SUBSCRIBE news");
    wait_until("the message", || {
        all[0].connect().run("PUBLISH news hello");
        listener.set_timeout(std::time::Duration::from_millis(200));
        listener.try_read().is_ok_and(|m| m.items()[2] == "hello")
    });
    // Slot 866 is the first master's.
    let mut shard = all[0].connect();
    all[1]
        .connect()
        .run("SSUBSCRIBE hello")
        .assert_error_prefix("MOVED 866 ");
    shard.run("SSUBSCRIBE hello");
    assert_eq!(all[0].connect().run("SPUBLISH hello x"), 1);
    assert_eq!(shard.read().items()[2], "x");
    // The slot leaves, and its channels with it.
    let id = id_of(&all[1]);
    all[1]
        .connect()
        .ok(&format!("CLUSTER SETSLOT 866 NODE {id}"));
    all[0]
        .connect()
        .ok(&format!("CLUSTER SETSLOT 866 NODE {id}"));
    assert_eq!(shard.read().items()[0], "sunsubscribe");
}

/// Whatever comes to the bus is counted and dropped, and the node lives.
#[test]
fn strangers_on_the_bus_change_nothing() {
    let all = three_masters();
    let before = nodes(&all[0]);
    let bus = bus_port(&all[0]);
    let mut rng = Rng(seed_from_env("CLUSTER_SEED"));
    for i in 0..300 {
        let Ok(mut s) = TcpStream::connect(("127.0.0.1", bus)) else {
            panic!("the bus is closed");
        };
        let mut packet = b"RCmb".to_vec();
        let len = 2256 + rng.below(400);
        packet.extend((len as u32).to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, rng.below(12) as u8, 0, rng.below(3) as u8]);
        let mut rest = rng.bytes(len - packet.len());
        if rng.one_in(2) {
            // A sender that could be one, and no master.
            rest[24..64].fill(b'a');
            rest[2112..2152].fill(0);
            rest[2152..2198].fill(0);
        }
        packet.extend(rest);
        match i % 4 {
            0 => packet.truncate(rng.below(packet.len())),
            1 => packet[..4].copy_from_slice(b"HTTP"),
            _ => {}
        }
        let _ = s.write_all(&packet);
        let _ = s.shutdown(std::net::Shutdown::Write);
        let _ = s.set_read_timeout(Some(std::time::Duration::from_millis(20)));
        let _ = s.read(&mut [0; 4096]);
    }
    wait_until("handshakes with nobody to be given up", || {
        nodes(&all[0]) == before
    });
    assert_eq!(all[0].connect().run("PING"), "PONG");
    let invalid: u64 = cluster_info(&all[0], "cluster_stats_messages_invalid")
        .parse()
        .expect("a number");
    assert!(invalid > 0);
    wait_agreement(&all.each_ref());
}

/// What a node says that is known is believed, and may be nonsense all the same: the other goes on.
#[test]
fn nonsense_of_a_known_node_is_borne() {
    let all = [(); 2].map(|()| node(Kind::Aedile, &[]));
    join_masters(&all.each_ref());
    let bus = bus_port(&all[0]);
    let (own, other) = (id_of(&all[0]), id_of(&all[1]));
    let mut rng = Rng(seed_from_env("CLUSTER_SEED"));
    let runs = std::env::var("CLUSTER_PACKETS").ok();
    let runs: usize = runs.and_then(|n| n.parse().ok()).unwrap_or(3000);
    let mut s = TcpStream::connect(("127.0.0.1", bus)).expect("the bus");
    for _ in 0..runs {
        let name = |rng: &mut Rng| match rng.below(4) {
            0 => own.clone().into_bytes(),
            1 => other.clone().into_bytes(),
            2 => vec![b'a' + rng.below(26) as u8; 40],
            _ => rng.bytes(40),
        };
        let kind = rng.below(12) as u8;
        let gossip = rng.below(4);
        let mut p = b"RCmb\0\0\0\0\0\x01".to_vec();
        p.extend((rng.below(65536) as u16).to_be_bytes());
        p.extend([0, kind, 0, gossip as u8]);
        for _ in 0..3 {
            let n = rng.next_u64() >> (8 * rng.below(8));
            p.extend(n.to_be_bytes());
        }
        p.extend(other.as_bytes());
        let slots = match rng.one_in(2) {
            true => vec![0; 2048],
            false => rng.bytes(2048),
        };
        p.extend(slots);
        match rng.one_in(2) {
            true => p.extend([0; 40]),
            false => p.extend(name(&mut rng)),
        }
        p.extend([0; 46 + 2 + 30]);
        p.extend(rng.bytes(6));
        p.extend([0, 0, 0, 0]);
        assert_eq!(p.len(), 2256);
        match kind {
            0..=2 => {
                for _ in 0..gossip {
                    p.extend(name(&mut rng));
                    p.extend(rng.bytes(8));
                    let mut ip = b"127.0.0.1".to_vec();
                    ip.resize(46, 0);
                    p.extend(ip);
                    p.extend(rng.bytes(10));
                }
            }
            3 => p.extend(name(&mut rng)),
            4 | 10 => {
                p.extend([0, 0, 0, 3, 0, 0, 0, 2]);
                p.extend(b"abcde");
            }
            7 => {
                p.extend((rng.below(100) as u64).to_be_bytes());
                p.extend(name(&mut rng));
                p.extend(rng.bytes(2048));
            }
            _ => {}
        }
        let len = (p.len() as u32).to_be_bytes();
        p[4..8].copy_from_slice(&len);
        // It closes the link when the node seems to have moved, or is not who was expected.
        if s.write_all(&p).is_err() {
            s = TcpStream::connect(("127.0.0.1", bus)).expect("the bus");
        }
        s.set_nonblocking(true).expect("a socket");
        let _ = s.read(&mut [0; 65536]);
        s.set_nonblocking(false).expect("a socket");
    }
    // It may take itself for a replica of nobody, and the cluster for down; it lives, and its file can be read.
    let id = id_of(&all[0]);
    let mut all = all;
    all[0].terminate();
    all[0].restart();
    assert_eq!(id_of(&all[0]), id);
}

/// However many arguments there are, a request for a slot that is not served here is not.
#[test]
fn a_huge_request_is_looked_at_as_any_other() {
    let node = node(Kind::Aedile, &[]);
    let mut c = node.connect();
    c.ok("CLUSTER ADDSLOTSRANGE 0 8191");
    c.ok("CONFIG SET cluster-require-full-coverage no");
    wait_until("the cluster to be up", || {
        cluster_info(&node, "cluster_state") == "ok"
    });
    // foo is in slot 12182, bar in 5061.
    c.ok("SET bar 1");
    for home in [65_534, 65_535, 65_536, 65_537] {
        let mut words = vec!["DEL"];
        words.resize(70_000, "foo");
        for key in ["foo", "bar"] {
            words[home] = key;
            c.cmd(&words).assert_error_prefix("CLUSTERDOWN ");
        }
        words[1] = "bar";
        c.cmd(&words).assert_error_prefix("CROSSSLOT ");
    }
    let mut words = vec!["DEL"];
    words.resize(70_000, "bar");
    assert_eq!(c.cmd(&words), 1);
}

/// Commands of several keys, with tags and without, short and long, where their slots are this node's, another's, or nobody's.
#[test]
fn several_keys_are_served_where_their_one_slot_is() {
    let all = three_masters();
    let [a, b, c] = all.each_ref();
    // {x} is in 16287, which is c's; {hello} in 866, a's.
    let long = "{hello}and a name of more than sixteen letters";
    let odd = "a key with its tag {hello} behind the sixteenth letter";
    let mut ca = a.connect();
    ca.ok("MSET {hello}1 1 {hello}2 2 hello 3");
    for (key, value) in [(long, "4"), (odd, "5")] {
        assert_eq!(ca.cmd(&["SET", key, value]), "OK");
        assert_eq!(ca.cmd(&["CLUSTER", "KEYSLOT", key]), 866);
    }
    let values = ca.cmd(&["MGET", "hello", long, "{hello}2", odd, "{hello}none"]);
    assert_eq!(format!("{values:?}"), r#"["3", "4", "2", "5", $-1]"#);
    assert_eq!(ca.cmd(&["EXISTS", "hello", long, odd, "{hello}1"]), 4);
    assert_eq!(ca.run("CLUSTER COUNTKEYSINSLOT 866"), 5);
    // Two specs, and one with a number of keys.
    assert_eq!(ca.cmd(&["RENAME", long, "{hello}5"]), "OK");
    assert_eq!(ca.run("BITOP AND {hello}6 {hello}1 {hello}2"), 1);
    assert_eq!(ca.run("ZUNION 2 {hello}7 {hello}8").items().len(), 0);
    let crosses = "CROSSSLOT Keys in request don't hash to the same slot";
    for words in [
        &["MSET", "{hello}1", "1", "world", "1"][..],
        &["DEL", "hello", odd, "{hello"],
        &["RENAME", "hello", "{}hello"],
        &["BITOP", "AND", "{hello}6", "{hello}1", "{x}1"],
        &["ZUNION", "2", "{hello}7", "{x}8"],
    ] {
        ca.cmd(words).assert_error(crosses);
    }
    let mut cb = b.connect();
    for words in [
        &["DEL", "hello"][..],
        &["MGET", odd, "{hello}1"],
        &["UNLINK", "{hello}1", "hello", long],
        &["GET", odd],
        &["GET", long],
    ] {
        let there = format!("MOVED 866 127.0.0.1:{}", a.port);
        cb.cmd(words).assert_error(&there);
    }
    // Those that have to be searched for, in a command or in a script.
    assert_eq!(ca.cmd(&["SORT", "{hello}none", "STORE", "{hello}9"]), 0);
    assert!(ca.run("XREAD STREAMS {hello}8 {hello}9 0 0").is_null());
    ca.run("SORT {hello}none STORE {x}9").assert_error(crosses);
    // Whatever PFMERGE lacks, its target is a key.
    assert_eq!(ca.run("PFMERGE {hello}10"), "OK");
    for line in [
        "PFMERGE {hello}10",
        "XREAD COUNT 1 STREAMS {hello}8 {hello}9 0 0",
        "SORT {hello}8",
        "ZUNIONSTORE {hello}1 1 {hello}2",
        "EVAL script 1 hello",
        "SSUBSCRIBE hello",
    ] {
        cb.run(line)
            .assert_error(&format!("MOVED 866 127.0.0.1:{}", a.port));
    }
    let ask = "return redis.call(ARGV[1], ARGV[2], ARGV[3])";
    assert_eq!(
        ca.cmd(&["EVAL", ask, "1", "hello", "EXISTS", "hello", odd]),
        2
    );
    for (k1, k2) in [("hello", "{x}1"), ("{x}1", "{x}2"), ("{x}1", "hello")] {
        ca.cmd(&["EVAL", ask, "0", "EXISTS", k1, k2])
            .assert_error_prefix("ERR Script attempted to access a non local key");
    }
    cb.run("MSET {x}1 1 {x}2 2")
        .assert_error(&format!("MOVED 16287 127.0.0.1:{}", c.port));
    // What is wrong with the arguments is said as it is elsewhere.
    ca.run("MSET {hello}1 1 {hello}2")
        .assert_error("ERR wrong number of arguments for 'mset' command");
    // Rights are asked for first, and the cluster all the same.
    ca.ok("ACL SETUSER some on nopass ~{hello}* ~hello ~{x}* +@all");
    let mut some = a.connect();
    some.ok("AUTH some any");
    assert_eq!(some.run("EXISTS hello {hello}1"), 2);
    some.run("EXISTS hello world")
        .assert_error_prefix("NOPERM ");
    some.run("EXISTS {x}1 {x}2")
        .assert_error_prefix("MOVED 16287 ");
    some.run("EXISTS hello {x}2").assert_error(crosses);
    assert_eq!(
        ca.cmd(&[
            "DEL",
            "hello",
            odd,
            "{hello}1",
            "{hello}2",
            "{hello}5",
            "{hello}6",
            "{hello}10"
        ]),
        7
    );
    assert_eq!(ca.run("CLUSTER COUNTKEYSINSLOT 866"), 0);
}

/// A script or a transaction may let a slot leave in its middle: what it does then is looked at, and so is what comes behind it.
#[test]
fn what_lets_a_slot_leave_is_held_to_it_at_once() {
    let all = three_masters();
    let [a, b, _] = all.each_ref();
    let mut ca = a.connect();
    let to = id_of(b);
    let there = format!("ASK 866 127.0.0.1:{}", b.port);
    let leave = "redis.call('cluster', 'setslot', '866', 'migrating', ARGV[1])";
    let refused = |v: Value| {
        v.assert_error_prefix("ERR Script attempted to access a non local key");
    };
    let stay = |ca: &mut Conn| ca.ok("CLUSTER SETSLOT 866 STABLE");
    for (write, rest) in [
        ("set", ", 1"),
        ("incr", ""),
        ("lpush", ", 1"),
        ("mset", ", 1"),
    ] {
        let script = format!("{leave} return redis.pcall('{write}', ARGV[2]{rest})");
        refused(ca.cmd(&["EVAL", &script, "0", &to, "hello"]));
        stay(&mut ca);
    }
    assert_eq!(ca.run("EXISTS hello"), 0);
    // In one read with what comes behind it.
    let script = format!("{leave} return 1");
    let done = ca.pipeline(&[
        vec!["EVAL", &script, "0", &to],
        vec!["SET", "hello", "1"],
        vec!["EVAL", "return redis.call('set', KEYS[1], 1)", "1", "hello"],
        vec!["EVAL", "return redis.pcall('get', ARGV[1])", "0", "hello"],
    ]);
    assert_eq!(done[0], 1);
    done[1].assert_error(&there);
    done[2].assert_error(&there);
    refused(done[3].clone());
    stay(&mut ca);
    ca.ok("MULTI");
    ca.cmd(&["CLUSTER", "SETSLOT", "866", "MIGRATING", &to]);
    ca.cmd(&["EVAL", "return redis.pcall('get', ARGV[1])", "0", "hello"]);
    let done = ca.run("EXEC");
    refused(done.items()[1].clone());
    stay(&mut ca);
    assert_eq!(ca.run("SET hello 1"), "OK");
}

/// While a script is slow others are told so, whatever keys they ask for, and the script is held to its own slot as before.
#[test]
fn who_asks_while_a_script_is_slow_does_not_move_its_slot() {
    let node = node(Kind::Aedile, &["--busy-reply-threshold", "10"]);
    join_masters(&[&node]);
    let mut c = node.connect();
    let script = "#!lua\nlocal function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end \
                  local from = now() while now() < from + 700 do end \
                  local n = redis.call('incr', KEYS[1]) return {n, redis.pcall('get', 'elsewhere')}";
    let mut other = node.connect();
    wait_until("one to be told BUSY", || {
        c.send(&["EVAL", script, "1", "hello"]);
        let mut busy = 0;
        for line in ["GET foo", "PING", "GET bar"].repeat(20) {
            busy += usize::from(format!("{:?}", other.run(line)).contains("BUSY"));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let done = c.read();
        let [n, refused] = done.items() else {
            panic!("{done:?}");
        };
        assert!(n.int() > 0);
        assert!(format!("{refused:?}").contains("do not hash to the same slot"));
        busy > 0
    });
}

/// The slot of a script's keys is that of this call, whatever the last one had, and whoever called it.
#[test]
fn a_function_is_held_to_the_slot_of_its_own_keys() {
    let node = node(Kind::Aedile, &[]);
    join_masters(&[&node]);
    let mut c = node.connect();
    let library = "#!lua name=l\nredis.register_function('get', function(k, a) return redis.call('get', a[1] or k[1]) end)";
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", library]), "l");
    let mut other = node.connect();
    for key in [
        "foo",
        "bar",
        "hello",
        "{foo}1",
        "a longer name than sixteen letters",
    ] {
        other.cmd(&["SET", key, key]).assert_ok();
        for c in [&mut c, &mut other] {
            assert_eq!(c.cmd(&["FCALL", "get", "1", key]), key);
            let script = "#!lua\nreturn redis.call('get', KEYS[1])";
            assert_eq!(c.cmd(&["EVAL", script, "1", key]), key);
            assert_eq!(c.run("DEL none"), 0);
            let refused = c.cmd(&["FCALL", "get", "1", key, "elsewhere"]);
            let why = "do not hash to the same slot";
            assert!(format!("{refused:?}").contains(why), "{refused:?}");
            // Without keys of its own it is held to the first that it asks for, and the next one to its own.
            let both =
                "#!lua\nredis.call('mget', ARGV[1], ARGV[1]) return redis.call('get', ARGV[2])";
            assert_eq!(c.cmd(&["EVAL", both, "0", key, key]), key);
            let refused = c.cmd(&["EVAL", both, "0", key, "elsewhere"]);
            assert!(format!("{refused:?}").contains(why), "{refused:?}");
            assert!(
                c.cmd(&["EVAL", both, "0", "elsewhere", "elsewhere"])
                    .is_null()
            );
            // Unless it may use several, or is of before there were flags.
            let any = "#!lua flags=allow-cross-slot-keys\nredis.call('get', 'other') return redis.call('get', ARGV[1])";
            for script in [any, any.split_once('\n').expect("two lines").1] {
                assert_eq!(c.cmd(&["EVAL", script, "0", key]), key);
            }
            // Several in one call of a script are refused whatever it may.
            let cross =
                "#!lua flags=allow-cross-slot-keys\nreturn redis.call('del', 'other', ARGV[1])";
            let refused = c.cmd(&["EVAL", cross, "0", key]);
            assert!(
                format!("{refused:?}").contains("non local key"),
                "{refused:?}"
            );
        }
    }
}
