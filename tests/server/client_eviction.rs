//! Client eviction: who is closed when the clients take more than `maxmemory-clients`, and who is not.

use crate::support::*;

const MIB: usize = 1024 * 1024;

/// Names of the clients that are connected, in the order of their ids.
fn names(c: &mut Conn) -> Vec<String> {
    let list = c.run("CLIENT LIST").text();
    let name = |l: &str| Some(l.split(" name=").nth(1)?.split(' ').next()?.to_string());
    list.lines().filter_map(name).collect()
}

/// A field of the line of the client of this name.
fn field(c: &mut Conn, name: &str, field: &str) -> usize {
    let list = c.run("CLIENT LIST").text();
    let line = list
        .lines()
        .find(|l| l.contains(&format!(" name={name} ")))
        .unwrap_or_default();
    line.split(' ')
        .find_map(|w| w.strip_prefix(&format!("{field}=")))
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// A client of this name that holds an unfinished argument of that many bytes.
fn fat(server: &Server, control: &mut Conn, name: &str, bytes: usize) -> Conn {
    let mut c = server.connect();
    c.ok(&format!("CLIENT SETNAME {name}"));
    c.write_raw(format!("*2\r\n$4\r\nECHO\r\n${}\r\n", bytes + 1).as_bytes());
    c.write_raw(&vec![b'x'; bytes]);
    wait_until("the argument", || field(control, name, "qbuf") == bytes);
    c
}

fn control(server: &Server) -> Conn {
    let mut c = server.connect();
    c.ok("CLIENT SETNAME control");
    c.ok("CLIENT NO-EVICT ON");
    c
}

#[test]
fn the_largest_go_and_no_more_than_must() {
    let server = Server::aedile(&[]);
    let mut c = control(&server);
    let sizes = [
        ("s1", MIB / 8),
        ("l1", 3 * MIB),
        ("m1", MIB),
        ("s2", MIB / 8),
        ("l2", 3 * MIB),
        ("m2", MIB),
    ];
    let _fat: Vec<Conn> = sizes
        .iter()
        .map(|(name, n)| fat(&server, &mut c, name, *n))
        .collect();
    assert_eq!(names(&mut c).len(), 7);
    c.ok("CONFIG SET maxmemory-clients 6mb");
    assert_eq!(names(&mut c), ["control", "s1", "m1", "s2", "l2", "m2"]);
    assert_eq!(c.info("evicted_clients"), "1");
    c.ok("CONFIG SET maxmemory-clients 2800kb");
    assert_eq!(names(&mut c), ["control", "s1", "m1", "s2", "m2"]);
    c.ok("CONFIG SET maxmemory-clients 1900kb");
    assert_eq!(names(&mut c), ["control", "s1", "s2", "m2"]);
    // Raising the limit, or lifting it, evicts nobody.
    c.ok("CONFIG SET maxmemory-clients 1gb");
    c.ok("CONFIG SET maxmemory-clients 0");
    assert_eq!(names(&mut c).len(), 4);
    assert_eq!(c.info("evicted_clients"), "3");
    assert_eq!(server.log_count("Evicting client: id="), 3);
    assert!(server.log_has(" name=l1 "));
    c.ok("CONFIG RESETSTAT");
    assert_eq!(c.info("evicted_clients"), "0");
}

#[test]
fn a_percentage_follows_maxmemory() {
    let server = Server::aedile(&["--maxmemory-clients", "10%"]);
    let mut c = control(&server);
    // A part of no limit is no limit.
    let mut fat1 = fat(&server, &mut c, "fat1", 2 * MIB);
    assert_eq!(names(&mut c), ["control", "fat1"]);
    c.ok("CONFIG SET maxmemory 100mb");
    assert_eq!(names(&mut c), ["control", "fat1"]);
    fat1.write_raw(b"x\r\n");
    assert_eq!(fat1.read().text().len(), 2 * MIB + 1);
    let _fat2 = fat(&server, &mut c, "fat2", 2 * MIB);
    c.ok("CONFIG SET maxmemory 10mb");
    assert_eq!(names(&mut c), ["control", "fat1"]);
    // Even a tiny part leaves clients room to talk.
    c.ok("CONFIG SET maxmemory-clients 1%");
    let mut other = server.connect();
    assert_eq!(other.run("PING"), "PONG");
}

#[test]
fn an_argument_a_queue_and_an_output_can_be_too_much() {
    let server = Server::aedile(&["--maxmemory-clients", "3mb"]);
    let mut c = control(&server);
    let value = "v".repeat(MIB);
    // One argument below the limit is fine, as often as it comes; one above it closes its client, and never runs.
    let mut a = server.connect();
    for _ in 0..10 {
        a.ok(&format!("SET k {value}"));
    }
    let huge = "v".repeat(4 * MIB);
    assert!(a.try_cmd(&["SET", "k", &huge]).is_err());
    assert_eq!(c.run("STRLEN k"), MIB as i64);
    // Queued commands add up.
    let mut a = server.connect();
    a.ok("MULTI");
    assert_eq!(a.cmd(&["SET", "q", &value]), "QUEUED");
    assert_eq!(a.cmd(&["SET", "q", &value]), "QUEUED");
    assert!(a.try_cmd(&["SET", "q", &value]).is_err() || a.try_cmd(&["PING"]).is_err());
    assert_eq!(c.run("EXISTS q"), 0);
    // So do replies that are not read.
    let mut a = server.connect();
    let gets: Vec<u8> = b"GET k\r\n".repeat(50);
    let _ = a.try_write_raw(&gets);
    assert!(a.read_to_close().is_err() || a.try_cmd(&["PING"]).is_err());
    assert_eq!(c.info("evicted_clients"), "3");
    // What a client needed once is not held against it.
    let mut a = server.connect();
    for _ in 0..10 {
        assert_eq!(a.run("GET k").text().len(), MIB);
    }
    assert_eq!(c.info("evicted_clients"), "3");
}

#[test]
fn watched_keys_and_subscriptions_count() {
    let server = Server::aedile(&["--maxmemory-clients", "200000"]);
    let mut c = control(&server);
    for command in ["WATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
        let mut a = server.connect();
        let closed = (0..20_000).any(|i| a.try_cmd(&[command, &i.to_string()]).is_err());
        assert!(closed, "{command}");
    }
    assert_eq!(c.info("evicted_clients"), "4");
    // They are gone with all they had.
    assert_eq!(c.run("PUBLISH 1 x"), 0);
    assert_eq!(c.info("pubsub_channels"), "0");
}

#[test]
fn no_evict_protects_until_it_is_taken_back() {
    let server = Server::aedile(&["--maxmemory-clients", "1mb", "--hz", "100"]);
    let mut c = control(&server);
    let mut a = server.connect();
    a.ok("CLIENT SETNAME protected");
    a.ok("CLIENT NO-EVICT ON");
    a.write_raw(format!("*1\r\n${}\r\n", 2 * MIB).as_bytes());
    a.write_raw(&vec![b'x'; MIB + MIB / 2]);
    wait_until("the argument", || {
        field(&mut c, "protected", "qbuf") == MIB + MIB / 2
    });
    assert!(field(&mut c, "protected", "tot-mem") > MIB);
    assert!(c.run("CLIENT LIST").text().contains("flags=e "));
    // It is counted all the same, so all others go.
    let mut b = server.connect();
    wait_until("the other's end", || b.try_cmd(&["PING"]).is_err());
    server.wait_log("Over client maxmemory after evicting all evictable clients");
    drop(a);
    wait_until("room", || server.connect().try_cmd(&["PING"]).is_ok());
    // The protection of a RESET client is over.
    let mut a = server.connect();
    a.ok("CLIENT NO-EVICT ON");
    a.run("RESET");
    a.ok("CLIENT NO-EVICT ON");
    a.ok("CLIENT NO-EVICT OFF");
    let huge = "v".repeat(2 * MIB);
    assert!(a.try_cmd(&["SET", "k", &huge]).is_err());
}

#[test]
fn clients_go_before_keys() {
    let server = Server::aedile(&[
        "--maxmemory-clients",
        "2mb",
        "--maxmemory",
        "20mb",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let mut c = control(&server);
    let value = "v".repeat(100_000);
    for i in 0..100 {
        c.ok(&format!("SET k:{i} {value}"));
    }
    let mut all = Vec::new();
    for _ in 0..30 {
        let mut a = server.connect();
        let _ = a.try_write_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n");
        let _ = a.try_write_raw(&vec![b'x'; 900_000]);
        all.push(a);
        c.run("PING");
    }
    wait_until("evictions", || c.info_int("evicted_clients") >= 28);
    assert_eq!(c.info("evicted_keys"), "0");
    assert_eq!(c.run("DBSIZE"), 100);
}

#[test]
fn output_limits_come_first() {
    let server = Server::aedile(&[
        "--maxmemory-clients",
        "10mb",
        "--client-output-buffer-limit",
        "normal 3mb 0 0",
    ]);
    let mut c = control(&server);
    let value = "v".repeat(5 * MIB);
    c.ok(&format!("SET k {value}"));
    let _held = fat(&server, &mut c, "held", 6 * MIB);
    let mut a = server.connect();
    assert!(a.try_cmd(&["GET", "k"]).is_err());
    assert_eq!(names(&mut c), ["control", "held"]);
    assert_eq!(c.info("evicted_clients"), "0");
}

#[test]
fn the_buckets_can_be_looked_at() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.run("DEBUG CLIENT-EVICTION")
        .assert_error("ERR maxmemory-clients is disabled.");
    c.ok("CONFIG SET maxmemory-clients 100mb");
    let _fat = fat(&server, &mut c, "fat", 100_000);
    let text = c.run("DEBUG CLIENT-EVICTION").text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 19);
    assert!(
        lines[0].starts_with("bucket          0 -      32767: tot-mem:"),
        "{text}"
    );
    assert!(
        lines[18].starts_with("bucket 4294967296+            : tot-mem:"),
        "{text}"
    );
    assert!(lines[0].ends_with("clients: 1"), "{text}");
    assert!(lines[2].ends_with("clients: 1"), "{text}");
    c.ok("CONFIG SET maxmemory-clients 0");
    c.ok("CONFIG SET maxmemory-clients 100mb");
    assert_eq!(c.run("DEBUG CLIENT-EVICTION").text(), text);
}
