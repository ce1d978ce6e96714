//! WAIT and WAITAOF: arguments, what they count, and what ends the waiting.

use std::time::Duration;

use crate::support::server::free_port;
use crate::support::*;

const NO_AOF: &str = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

fn pair(args: &[&str]) -> (Server, Server) {
    let master = Server::aedile(args);
    let replica = Server::aedile(args);
    replica.replicate(master.port);
    replica.wait_link_up();
    (master, replica)
}

#[track_caller]
fn wait_blocked(c: &mut Conn, n: &str) {
    wait_until("blocked clients", || c.info("blocked_clients") == n);
}

fn counts(v: &Value) -> (i64, i64) {
    (v.items()[0].int(), v.items()[1].int())
}

#[test]
fn arguments() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (line, text) in [
        (
            "WAITAOF 2 0 0",
            "ERR value is out of range, value must between 0 and 1",
        ),
        (
            "WAITAOF x 0 0",
            "ERR value is not an integer or out of range",
        ),
        (
            "WAITAOF 0 -1 0",
            "ERR value is out of range, must be positive",
        ),
        (
            "WAITAOF 0 x 0",
            "ERR value is out of range, must be positive",
        ),
        ("WAITAOF 0 0 -1", "ERR timeout is negative"),
        (
            "WAITAOF 0 0 x",
            "ERR timeout is not an integer or out of range",
        ),
        (
            "WAITAOF 0 0 9223372036854775807",
            "ERR timeout is out of range",
        ),
        ("WAITAOF 1 0 0", NO_AOF),
        (
            "WAITAOF 0 0",
            "ERR wrong number of arguments for 'waitaof' command",
        ),
        ("WAIT x 0", "ERR value is not an integer or out of range"),
        ("WAIT 0 -1", "ERR timeout is negative"),
        (
            "WAIT 0 1.5",
            "ERR timeout is not an integer or out of range",
        ),
    ] {
        c.run(line).assert_error(text);
    }
    assert_eq!(counts(&c.run("WAITAOF 0 0 0")), (0, 0));
    assert_eq!(c.run("WAIT -1 0"), 0);
    // A second passes: the time is in ms.
    assert_eq!(c.run("WAIT 1 10"), 0);
    assert_eq!(counts(&c.run("WAITAOF 0 1 10")), (0, 0));
}

#[test]
fn not_on_a_replica() {
    let (_master, replica) = pair(&[]);
    let mut c = replica.connect();
    c.run("WAIT 0 0")
        .assert_error_prefix("ERR WAIT cannot be used with replica instances.");
    c.run("WAITAOF 0 0 0")
        .assert_error_prefix("ERR WAITAOF cannot be used with replica instances.");
    // Arguments come first.
    c.run("WAITAOF 3 0 0")
        .assert_error_prefix("ERR value is out of range");
}

#[test]
fn own_disk() {
    let server = Server::aedile(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut c = server.connect();
    c.ok("SET k v");
    assert_eq!(counts(&c.run("WAITAOF 1 0 30")), (0, 0));
    // The sync that follows the change of the policy ends the waiting.
    let mut waiting = server.connect();
    waiting.ok("SET k w");
    waiting.send(&["WAITAOF", "1", "0", "0"]);
    wait_blocked(&mut c, "1");
    c.config_set("appendfsync", "everysec");
    assert_eq!(counts(&waiting.read()), (1, 0));
    c.config_set("appendfsync", "always");
    c.ok("SET k x");
    assert_eq!(counts(&c.run("WAITAOF 1 0 0")), (1, 0));
    // In one write with what it waits for, and with what follows.
    let replies = c.pipeline(&[
        vec!["SET", "k", "y"],
        vec!["WAITAOF", "1", "0", "0"],
        vec!["SET", "k", "z"],
        vec!["WAITAOF", "1", "0", "0"],
        vec!["GET", "k"],
    ]);
    assert_eq!(counts(&replies[1]), (1, 0));
    assert_eq!(counts(&replies[3]), (1, 0));
    assert_eq!(replies[4], "z");
}

/// Bytes of the stream that are in no append-only file do not hold anybody up.
#[test]
fn what_is_not_in_the_file() {
    let (master, _replica) = pair(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut c = master.connect();
    c.ok("SET k v");
    assert_eq!(counts(&c.run("WAITAOF 1 1 0")), (1, 1));
    c.run("PUBLISH channel message");
    assert_eq!(counts(&c.run("WAITAOF 1 1 0")), (1, 1));
}

#[test]
fn in_a_transaction_nobody_waits() {
    let server = Server::aedile(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut c = server.connect();
    c.ok("SET k v");
    c.ok("MULTI");
    c.run("WAIT 1 0");
    c.run("WAITAOF 1 1 0");
    let r = c.run("EXEC");
    assert_eq!(r.items()[0], 0);
    assert_eq!(counts(&r.items()[1]), (0, 0));
}

#[test]
fn what_ends_the_waiting() {
    let server = Server::aedile(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut c = server.connect();
    let mut waits = server.connect();
    let id = waits.run("CLIENT ID").int().to_string();
    waits.ok("SET k v");
    for (words, reply) in [
        (vec!["WAIT", "1", "0"], "0"),
        (vec!["WAITAOF", "1", "1", "0"], "0 0"),
    ] {
        for how in ["TIMEOUT", "ERROR"] {
            waits.send(&words);
            wait_blocked(&mut c, "1");
            assert_eq!(c.cmd(&["CLIENT", "UNBLOCK", &id, how]), 1);
            let r = waits.read();
            match how {
                "ERROR" => r.assert_error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
                _ if words[0] == "WAIT" => assert_eq!(r, reply.parse::<i64>().expect("a number")),
                _ => assert_eq!(counts(&r), (0, 0)),
            }
        }
    }
    // Without an append-only file there is nothing to wait for.
    waits.send(&["WAITAOF", "1", "0", "0"]);
    wait_blocked(&mut c, "1");
    c.config_set("appendonly", "no");
    waits.read().assert_error(NO_AOF);
    // A replica acknowledges nothing to its own clients.
    waits.send(&["WAITAOF", "0", "1", "0"]);
    wait_blocked(&mut c, "1");
    server.replicate(free_port());
    waits
        .read()
        .assert_error_prefix("UNBLOCKED force unblock from blocking operation");
    waits.expect_close();
    wait_blocked(&mut c, "0");
}

#[test]
fn replicas_disks() {
    let (master, replica) = pair(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut c = master.connect();
    let mut r = replica.connect();
    wait_until("the base", || {
        r.info("aof_rewrite_in_progress") == "0" && r.info("aof_rewrite_scheduled") == "0"
    });
    c.ok("SET k v");
    assert_eq!(counts(&c.run("WAITAOF 1 1 0")), (1, 1));
    r.config_set("appendfsync", "no");
    c.ok("SET k w");
    assert_eq!(c.run("WAIT 1 0"), 1);
    assert_eq!(counts(&c.run("WAITAOF 1 1 100")).1, 0);
    r.config_set("appendonly", "no");
    assert_eq!(counts(&c.run("WAITAOF 0 1 50")).1, 0);
    // Many at once, each with an offset of its own.
    r.config_set("appendfsync", "always");
    replica.sigstop();
    let mut all: Vec<Conn> = (0..20).map(|_| master.connect()).collect();
    for (i, w) in all.iter_mut().enumerate() {
        w.ok(&format!("SET k{i} v"));
        w.send(&["WAIT", "1", "0"]);
    }
    wait_blocked(&mut c, "20");
    std::thread::sleep(Duration::from_millis(20));
    replica.sigcont();
    for w in &mut all {
        assert_eq!(w.read(), 1);
    }
}
