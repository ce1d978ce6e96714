//! What the server notes of a client before a pipeline runs, and what commands in the middle of it change: an answer never
//! depends on how requests were cut.

use crate::support::*;

fn lfu_server() -> Server {
    let server = Server::aedile(&["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
    server.connect().ok("SET k v");
    server
}

fn words(lines: &[&str]) -> Vec<Vec<String>> {
    let split = |l: &&str| l.split(' ').map(Into::into).collect();
    lines.iter().map(split).collect()
}

fn freq(c: &mut Conn) -> i64 {
    c.run("OBJECT FREQ k").int()
}

#[test]
fn no_touch_takes_effect_within_its_pipeline() {
    let server = lfu_server();
    let (mut c, mut other) = (server.connect(), server.connect());
    let before = freq(&mut other);
    c.pipeline(&words(&["CLIENT NO-TOUCH ON", "GET k", "GET k"]));
    assert_eq!(freq(&mut other), before);
    c.pipeline(&words(&["CLIENT NO-TOUCH OFF", "GET k"]));
    assert_eq!(freq(&mut other), before + 1);
    c.pipeline(&words(&["CLIENT NO-TOUCH ON", "RESET", "GET k"]));
    assert_eq!(freq(&mut other), before + 2);
    c.pipeline(&words(&[
        "MULTI",
        "CLIENT NO-TOUCH ON",
        "GET k",
        "EXEC",
        "GET k",
    ]));
    assert_eq!(freq(&mut other), before + 2);
}

#[test]
fn a_child_that_begins_or_ends_within_a_pipeline_is_seen() {
    let server = lfu_server();
    let (mut c, mut other) = (server.connect(), server.connect());
    let before = freq(&mut other);
    // A key takes ten seconds: the child lives until it is killed.
    c.config_set("rdb-key-save-delay", "10000000");
    c.pipeline(&words(&["BGSAVE", "GET k", "MULTI", "GET k", "EXEC"]));
    assert_eq!(freq(&mut other), before);
    // FLUSHALL ends it.
    c.pipeline(&words(&["FLUSHALL", "SET k v"]));
    wait_until("no child", || c.info("rdb_bgsave_in_progress") == "0");
    let before = freq(&mut other);
    c.pipeline(&words(&["GET k"]));
    assert_eq!(freq(&mut other), before + 1);
}

/// A client that is no longer authenticated may not announce what only others may, from the next request on.
#[test]
fn reset_brings_the_limits_of_unauthenticated_clients_back() {
    let server = Server::aedile(&["--requirepass", "foo"]);
    let mut c = server.connect();
    c.ok("AUTH foo");
    c.write_raw(b"RESET\r\n*100\r\n");
    let all = c.expect_close();
    assert_eq!(
        String::from_utf8_lossy(&all),
        "+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n"
    );
}

#[test]
fn an_unauthenticated_client_that_does_not_read_is_cut_off() {
    let server = Server::aedile(&["--requirepass", "foo"]);
    let mut deaf = server.connect();
    let requests = b"GET x\r\n".repeat(1000);
    let mut sent = 0usize;
    // What the kernel takes for both sides comes before.
    while deaf.try_write_raw(&requests).is_ok() {
        sent += requests.len();
        assert!(sent < 256 << 20, "still connected");
    }
    server.wait_log("scheduled to be closed ASAP for overcoming of output buffer limits.");
    let mut c = server.connect();
    c.ok("AUTH foo");
    assert_eq!(c.info("connected_clients"), "1");
    // Who reads gets an answer to each request.
    let mut reader = server.connect();
    reader.write_raw(&b"GET x\r\n".repeat(2300));
    for _ in 0..2300 {
        reader
            .read()
            .assert_error("NOAUTH Authentication required.");
    }
    reader.ok("AUTH foo");
}
