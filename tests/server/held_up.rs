//! What may take long holds nobody up: many keys that expire at once, values of many elements that go, a name that is looked up.

use crate::support::server::Scratch;
use crate::support::tools::preload;
use crate::support::*;

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

/// Keys that are due are found among ten times as many that are not: looking at some keys by chance would never find them all.
#[test]
fn keys_that_expire_are_found_among_many_that_do_not() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let set =
        |key: String, ms: &str| vec!["SET".to_string(), key, "v".into(), "PX".into(), ms.into()];
    let later: Vec<_> = (0..50_000)
        .map(|i| set(format!("later:{i}"), "9000000"))
        .collect();
    let soon: Vec<_> = (0..5000)
        .map(|i| set(format!("soon:{i}"), "1500"))
        .collect();
    c.pipeline(&later);
    c.pipeline(&soon);
    // These are put off, and those are brought forward.
    for i in 0..100 {
        assert_eq!(c.run(&format!("PEXPIRE soon:{i} 8000000")), 1);
        assert_eq!(c.run(&format!("PEXPIRE later:{i} 700")), 1);
        assert_eq!(c.run(&format!("PERSIST soon:{}", 200 + i)), 1);
    }
    wait_until("all that are due to go", || c.run("DBSIZE") == 50_100);
    assert_eq!(c.info("expired_keys"), "4900");
    wait_until("nothing is late", || c.info("expire_lateness_ms") == "0");
    assert!(c.info_int("expire_lateness_max_ms") >= 0);
    c.ok("CONFIG RESETSTAT");
    assert_eq!(c.info("expire_lateness_max_ms"), "0");
}

/// A writable replica's clock stands still for its master's keys; once it is a master, they go.
#[test]
fn what_was_due_on_a_replica_goes_when_it_is_a_master() {
    let master = Server::aedile(&DEBUG);
    let replica = Server::aedile(&[]);
    replica.replicate(master.port);
    replica.wait_link_up();
    let mut m = master.connect();
    m.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    let cmds: Vec<_> = (0..1000)
        .map(|i| {
            vec![
                "SET".to_string(),
                format!("k{i}"),
                "v".into(),
                "PX".into(),
                "300".into(),
            ]
        })
        .collect();
    m.pipeline(&cmds);
    assert_eq!(m.run("WAIT 1 0"), 1);
    let mut r = replica.connect();
    wait_until("they are due", || r.run("EXISTS k999") == 0);
    assert_eq!(r.run("DBSIZE"), 1000);
    r.ok("REPLICAOF NO ONE");
    wait_until("all to go", || r.run("DBSIZE") == 0);
}

fn fill(c: &mut Conn, key: &str) {
    let mut cmd = vec!["SADD".to_string(), key.into()];
    cmd.extend((0..10_000).map(|i| format!("member {i}")));
    assert_eq!(c.cmd(&cmd), 10_000);
}

/// On defaults, whatever removes a value of many elements leaves it to another thread; a small one goes at once.
#[test]
fn large_values_are_freed_elsewhere() {
    let server = Server::aedile(&DEBUG);
    let mut c = server.connect();
    let mut want = 0;
    let freed = |c: &mut Conn, want: i64| {
        wait_until("it is freed", || c.info_int("lazyfreed_objects") == want);
        assert_eq!(c.info("lazyfree_pending_objects"), "0");
    };
    for way in [
        "DEL k",
        "SET k v",
        "RENAME other k",
        "SUNIONSTORE k other",
        "PEXPIRE k 1",
        "EVAL_DEL",
    ] {
        c.ok("SET other v");
        if way.starts_with("SUNION") {
            c.run("DEL other");
            assert_eq!(c.run("SADD other m"), 1);
        }
        fill(&mut c, "k");
        match way {
            "EVAL_DEL" => assert_eq!(c.cmd(&["EVAL", "return redis.call('DEL', 'k')", "0"]), 1),
            way => assert!(!c.run(way).is_error()),
        }
        want += 1;
        freed(&mut c, want);
        c.run("DEL k other");
    }
    c.ok("SET small v");
    assert_eq!(c.run("DEL small"), 1);
    c.cmd(&["SETRANGE", "long", "2000000", "x"]);
    assert_eq!(c.run("DEL long"), 1);
    freed(&mut c, want + 1);
    // Who flushes is answered when the memory is free; who cannot wait, at once.
    c.run("DEBUG POPULATE 2000");
    c.ok("FLUSHALL");
    assert_eq!(c.info_int("lazyfreed_objects"), want + 2001);
    c.run("DEBUG POPULATE 2000");
    let replies = c.pipeline(&[vec!["FLUSHDB", "SYNC"], vec!["PING"], vec!["DBSIZE"]]);
    assert_eq!(replies[0], "OK");
    assert_eq!(replies[1], "PONG");
    assert_eq!(replies[2], 0);
    c.run("DEBUG POPULATE 2000");
    let replies = c.pipeline(&[vec!["MULTI"], vec!["FLUSHALL"], vec!["EXEC"]]);
    assert_eq!(replies[2].items()[0], "OK");
    want += 4000;
    freed(&mut c, want + 2001);
    c.ok("CONFIG SET lazyfree-large no");
    fill(&mut c, "k");
    assert_eq!(c.run("DEL k"), 1);
    assert_eq!(c.info_int("lazyfreed_objects"), want + 2001);
}

/// A resolver that does not answer keeps the replica from its master, and nobody from the replica.
#[test]
fn a_name_that_resolves_slowly_holds_nobody_up() {
    let master = Server::aedile(&[]);
    let scratch = Scratch::new();
    let library = preload(scratch.path(), "slow_names");
    let go = scratch.join("go");
    let env = vec![
        ("LD_PRELOAD".to_string(), library.into()),
        ("SLOW_NAMES".to_string(), go.clone().into()),
    ];
    let server = Server::start_with_env(Kind::Aedile, scratch, &[], env);
    let mut c = server.connect();
    c.ok(&format!("REPLICAOF some.name {}", master.port));
    for _ in 0..20 {
        assert_eq!(c.run("PING"), "PONG");
    }
    assert_eq!(c.info("master_link_status"), "down");
    // Another one is asked for meanwhile, and this one takes its place.
    c.ok("REPLICAOF other.name 1");
    c.ok(&format!("REPLICAOF third.name {}", master.port));
    assert_eq!(c.run("PING"), "PONG");
    std::fs::write(&go, "").expect("the file");
    server.wait_link_up();
    assert_eq!(c.info("master_host"), "third.name");
}
