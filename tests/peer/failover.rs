//! FAILOVER: between servers, with a scripted target, and as a scripted master asks for it.

use crate::support::conn::encode;
use crate::support::*;

const NONE: &str = "no-failover";
const WAITING: &str = "waiting-for-sync";
const IN_PROGRESS: &str = "failover-in-progress";

fn state(s: &Server) -> String {
    s.connect().info("master_failover_state")
}

#[track_caller]
fn wait_state(s: &Server, wanted: &str) {
    wait_until(&format!("{wanted}\n{}", s.log()), || state(s) == wanted);
}

/// A master with two replicas.
fn three() -> [Server; 3] {
    let all = [(); 3].map(|()| Server::aedile(&["--repl-diskless-sync-delay", "0"]));
    for r in &all[1..] {
        r.replicate(all[0].port);
        r.wait_link_up();
    }
    let mut c = all[0].connect();
    c.ok("SET k v");
    assert_eq!(c.run("WAIT 2 0"), 2);
    all
}

/// A scripted replica of `server` that says it listens on `port`; it has all.
fn attach(server: &Server, port: u16) -> (Conn, String, i64) {
    let mut c = server.connect();
    c.ok(&format!("REPLCONF listening-port {port}"));
    c.ok("REPLCONF capa eof capa psync2");
    c.send(&["PSYNC", "?", "-1"]);
    let line = loop {
        let line = c.read_line().expect("a line");
        if !line.is_empty() {
            break String::from_utf8_lossy(&line).into_owned();
        }
    };
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "+FULLRESYNC");
    let id = words[1].to_string();
    let offset: i64 = words[2].parse().expect("an offset");
    let mut d = server.connect();
    // The payload is read with the rest: nothing of it matters here.
    let mut reader = c.try_clone().expect("a clone");
    std::thread::spawn(move || while reader.read_exact(1).is_ok() {});
    wait_until("online", || {
        c.send(&["REPLCONF", "ACK", &offset.to_string()]);
        d.info("slave0").contains("state=online")
    });
    (c, id, offset)
}

#[test]
fn refused_requests() {
    let lone = Server::aedile(&[]);
    let mut c = lone.connect();
    for (line, text) in [
        ("FAILOVER", "ERR FAILOVER requires connected replicas."),
        ("FAILOVER ABORT", "ERR No failover in progress."),
        ("FAILOVER NOW", "ERR syntax error"),
        ("FAILOVER TO 127.0.0.1", "ERR syntax error"),
        (
            "FAILOVER TO 127.0.0.1 port",
            "ERR value is not an integer or out of range",
        ),
        (
            "FAILOVER TIMEOUT x",
            "ERR value is not an integer or out of range",
        ),
        (
            "FAILOVER TIMEOUT 0",
            "ERR FAILOVER timeout must be greater than 0",
        ),
        ("FAILOVER TIMEOUT 1 TIMEOUT 1", "ERR syntax error"),
        ("FAILOVER ABORT TIMEOUT 1", "ERR syntax error"),
    ] {
        c.run(line).assert_error(text);
    }
    let [m, r, _] = three();
    let mut c = m.connect();
    for (line, text) in [
        (
            "FAILOVER TO 127.0.0.1 1".to_string(),
            "ERR FAILOVER target HOST and PORT is not a replica.",
        ),
        (
            format!("FAILOVER TO localhorst {}", r.port),
            "ERR FAILOVER target HOST and PORT is not a replica.",
        ),
        (
            format!("FAILOVER TO 127.0.0.1 {} FORCE", r.port),
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        ),
        (
            "FAILOVER FORCE TIMEOUT 100".to_string(),
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        ),
    ] {
        c.run(&line).assert_error(text);
    }
    r.connect()
        .run("FAILOVER")
        .assert_error("ERR FAILOVER is not valid when server is a replica.");
    assert_eq!(state(&m), NONE);
}

#[test]
fn to_a_named_replica_under_writes() {
    let [m, r, other] = three();
    let mut before = m.connect();
    let mut written = 0;
    for i in 0..500 {
        before.send(&["SET", &format!("key:{i}"), "v"]);
    }
    m.connect().ok(&format!("FAILOVER TO 127.0.0.1 {}", r.port));
    for _ in 0..500 {
        let reply = before.read();
        if reply.is_error() {
            // Held back by the pause, and then written to a replica.
            reply.assert_error("READONLY You can't write against a read only replica.");
        } else {
            written += 1;
        }
    }
    wait_state(&m, NONE);
    other.replicate(r.port);
    assert_eq!(r.connect().info("role"), "master");
    let state = assert_synced(&r, &m);
    assert_synced(&r, &other);
    assert_eq!(state.len(), written + 1);
    // Nobody needed the data again.
    let mut c = r.connect();
    assert_eq!(c.info("sync_full"), "0");
    assert_eq!(c.info("sync_partial_ok"), "2");
    assert!(m.log_has(&format!("FAILOVER requested to 127.0.0.1:{}.", r.port)));
    assert!(m.log_has(&format!(
        "Failover target 127.0.0.1:{} is synced, failing over.",
        r.port
    )));
    assert!(r.log_has("MASTER MODE enabled (failover request from '"));
}

#[test]
fn to_any_replica_that_has_all() {
    let [m, a, b] = three();
    a.sigstop();
    let mut c = m.connect();
    c.ok("SET k w");
    c.ok("FAILOVER");
    wait_state(&m, NONE);
    a.sigcont();
    assert_eq!(b.connect().info("role"), "master");
    assert_eq!(b.connect().run("GET k"), "w");
    assert!(m.log_has("FAILOVER requested to any replica."));
    // A replica of the former master stays with it, in a chain.
    assert_synced(&b, &m);
    assert_synced(&m, &a);
}

#[test]
fn time_is_up() {
    let [m, r, _other] = three();
    r.sigstop();
    let mut c = m.connect();
    c.ok("SET k late");
    c.ok(&format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 50", r.port));
    c.run("FAILOVER")
        .assert_error("ERR FAILOVER already in progress.");
    c.run("REPLICAOF NO ONE")
        .assert_error("ERR REPLICAOF not allowed while failing over.");
    // Held back until the attempt is over.
    c.ok("SET k later");
    assert_eq!(state(&m), NONE);
    assert!(m.log_has("aborted: Replica never caught up before timeout"));
    assert_eq!(m.connect().info("role"), "master");

    // With FORCE it goes on at that time, and is over when the target answers.
    c.ok(&format!(
        "FAILOVER TO 127.0.0.1 {} TIMEOUT 50 FORCE",
        r.port
    ));
    wait_state(&m, IN_PROGRESS);
    assert_eq!(m.connect().info("role"), "slave");
    m.connect()
        .run("REPLICAOF NO ONE")
        .assert_error("ERR REPLICAOF not allowed while failing over.");
    m.connect()
        .run("PSYNC ? -1")
        .assert_error("NOMASTERLINK Can't SYNC while failing over");
    r.sigcont();
    wait_state(&m, NONE);
    assert!(m.log_has("time out exceeded, failing over."));
    assert_synced(&r, &m);
}

#[test]
fn aborted_by_hand() {
    let [m, r, other] = three();
    r.sigstop();
    let mut c = m.connect();
    c.ok("SET k w");
    c.ok(&format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 600000", r.port));
    assert_eq!(state(&m), WAITING);
    // Reads go on, writes wait.
    assert_eq!(m.connect().run("GET k"), "w");
    let mut writer = m.connect();
    writer.send(&["SET", "k", "held"]);
    wait_until("a writer held back", || c.info("blocked_clients") == "1");
    c.ok("FAILOVER ABORT");
    assert_eq!(state(&m), NONE);
    writer.read().assert_ok();
    assert!(m.log_has("aborted: Failover manually aborted"));
    r.sigcont();
    assert_synced(&m, &r);
    assert_synced(&m, &other);
    assert_eq!(c.info("sync_full"), "2");
}

/// The target refuses, in each way that it can: the master is the master again, and goes on with a new history that its
/// replicas can continue.
#[test]
fn the_target_refuses() {
    for refusal in [
        Some("-ERR unknown command 'PSYNC'"),
        Some("-NOPERM this user has no permissions to run the 'psync' command"),
        Some("-LOADING Redis is loading the dataset in memory"),
        Some("+WHAT"),
        None,
    ] {
        let target = FakeMaster::new();
        let m = Server::aedile(&["--repl-diskless-sync-delay", "0"]);
        m.connect().ok("SET k v");
        let (mut replica, id, _) = attach(&m, target.port);
        let mut c = m.connect();
        // It has not acknowledged this one: time to send a write that is held back.
        c.ok("SET k w");
        c.ok(&format!("FAILOVER TO 127.0.0.1 {}", target.port));
        let mut writer = m.connect();
        writer.send(&["SET", "k", "held"]);
        wait_until("a writer held back", || c.info("blocked_clients") == "1");
        let end = c.info_int("master_repl_offset");
        replica.send(&["REPLCONF", "ACK", &end.to_string()]);
        let mut peer = target.accept();
        let asked = peer.handshake();
        assert_eq!(
            asked,
            format!("PSYNC {} {} FAILOVER", id.to_uppercase(), end + 1)
        );
        assert_eq!(state(&m), IN_PROGRESS);
        assert_eq!(c.info("blocked_clients"), "1");
        m.connect()
            .run("SET k now")
            .assert_error("READONLY You can't write against a read only replica.");
        match refusal {
            Some(line) => peer.line(line),
            None => drop(peer),
        }
        wait_state(&m, NONE);
        writer.read().assert_ok();
        assert_eq!(c.info("role"), "master");
        assert_eq!(c.info("master_replid2"), id);
        assert_ne!(c.info("master_replid"), id);
        assert_eq!(
            m.log_count("aborted: Failover target rejected psync request"),
            1,
            "{refusal:?}"
        );
        // The replica was sent away to hear of the new history, and can go on with it.
        let mut again = m.connect();
        again.ok("REPLCONF capa psync2");
        again.send(&["PSYNC", &id, &(end + 1).to_string()]);
        let line = again.read_line().expect("a line");
        assert!(line.starts_with(b"+CONTINUE "), "{line:?}");
    }
}

#[test]
fn the_target_takes_a_full_sync_or_never_answers() {
    let target = FakeMaster::new();
    let m = Server::aedile(&["--repl-diskless-sync-delay", "0"]);
    m.connect().ok("SET k v");
    let (mut replica, _, _) = attach(&m, target.port);
    let mut c = m.connect();
    c.ok(&format!("FAILOVER TO 127.0.0.1 {}", target.port));
    let end = c.info_int("master_repl_offset").to_string();
    replica.send(&["REPLCONF", "ACK", &end]);
    // It is there and silent: only an ABORT helps.
    let mut peer = target.accept();
    peer.expect("PING");
    assert_eq!(state(&m), IN_PROGRESS);
    c.ok("FAILOVER ABORT");
    assert_eq!(c.info("role"), "master");
    drop(peer);
    // Again, and the target has another history: what it says goes.
    let (mut replica, _, _) = attach(&m, target.port);
    c.ok(&format!("FAILOVER TO 127.0.0.1 {}", target.port));
    let end = c.info_int("master_repl_offset").to_string();
    replica.send(&["REPLCONF", "ACK", &end]);
    let id = "a".repeat(40);
    target
        .accept()
        .serve_full(&id, 1000, &[("other", "data", None)]);
    wait_state(&m, NONE);
    wait_until("the target's data", || {
        m.connect().run("GET other") == "data"
    });
    assert_eq!(c.info("role"), "slave");
}

/// As a replica: who may hand over to us.
#[test]
fn asked_by_a_master() {
    let [m, r, _] = three();
    let mut c = r.connect();
    let id = c.info("master_replid");
    let next = (c.info_int("master_repl_offset") + 1).to_string();
    c.cmd(&["PSYNC", &"b".repeat(40), &next, "FAILOVER"])
        .assert_error("ERR PSYNC FAILOVER replid must match my replid.");
    assert_eq!(c.info("role"), "slave");
    m.connect()
        .cmd(&["PSYNC", &id, &next, "FAILOVER"])
        .assert_error("ERR PSYNC FAILOVER can't be sent to a master.");
    c.ok("REPLCONF capa psync2");
    c.write_raw(&encode(&["PSYNC", &id, &next, "failover"]));
    let line = c.read_line().expect("a line");
    let mut d = r.connect();
    assert_eq!(
        String::from_utf8_lossy(&line),
        format!("+CONTINUE {}", d.info("master_replid"))
    );
    assert_eq!(d.info("role"), "master");
    assert_eq!(d.info("master_replid2"), id);
    assert!(r.log_has(&format!("Failover request received for replid {id}.")));
}
