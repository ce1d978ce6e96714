//! Client-side caching: who is told of which key, when, and in what form.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

const REFUSED_MODE: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                            re-enabling it with a different mode.";

#[track_caller]
fn silent(c: &mut Conn) {
    assert_eq!(c.read_for(Duration::from_millis(100)), b"");
}

/// The keys of the next push message.
#[track_caller]
fn invalidated(c: &mut Conn) -> Vec<String> {
    let message = c.read();
    assert!(matches!(message, Value::Push(_)), "{message:?}");
    assert_eq!(message.items()[0].text(), "invalidate");
    message.items()[1].items().iter().map(Value::text).collect()
}

/// A RESP3 connection that tracks with these options.
#[track_caller]
fn tracker(server: &Server, options: &str) -> Conn {
    let mut c = server.connect();
    c.run("HELLO 3");
    c.ok(&format!("CLIENT TRACKING ON {options}"));
    c
}

#[test]
fn a_key_that_was_read_is_told_once() {
    let server = Server::aedile(&[]);
    let mut c = tracker(&server, "");
    let mut other = server.connect();
    other.ok("MSET a 1 b 1 c 1");
    c.run("MGET a b");
    assert_eq!(other.info("tracking_clients"), "1");
    assert_eq!(other.info("tracking_total_keys"), "2");
    assert_eq!(other.info("tracking_total_items"), "2");
    assert!(other.run("CLIENT LIST").text().contains(" flags=t "));
    assert_eq!(other.run("INCR a"), 2);
    assert_eq!(other.run("INCR a"), 3);
    assert_eq!(other.run("INCR c"), 2);
    assert_eq!(invalidated(&mut c), ["a"]);
    silent(&mut c);
    // A miss is cached too; a write reads nothing.
    c.run("GET none");
    c.run("INCR c");
    other.ok("MSET none 1 c 1");
    assert_eq!(invalidated(&mut c), ["none"]);
    silent(&mut c);
    // What it does itself is told behind its reply.
    c.write_raw(&[encode(&["GET", "a"]), encode(&["INCR", "a"])].concat());
    assert_eq!(c.read().text(), "3");
    assert_eq!(c.read(), 4);
    assert_eq!(invalidated(&mut c), ["a"]);
    // And in a transaction behind all of it.
    c.ok("MULTI");
    for line in ["GET a", "INCR a", "GET b"] {
        assert_eq!(c.run(line).text(), "QUEUED");
    }
    assert_eq!(c.run("EXEC").items().len(), 3);
    assert_eq!(invalidated(&mut c), ["a"]);
    other.ok("SET b 2");
    assert_eq!(invalidated(&mut c), ["b"]);
    c.run("GET a");
    c.ok("CLIENT TRACKING OFF");
    other.ok("SET a 1");
    silent(&mut c);
    assert_eq!(other.info("tracking_clients"), "0");
    assert_eq!(other.info("tracking_total_keys"), "0");
}

#[test]
fn a_key_is_told_whatever_became_of_it() {
    let server = Server::aedile(&[]);
    let mut c = tracker(&server, "");
    let mut other = server.connect();
    other.ok("SET k 1 PX 50");
    c.run("GET k");
    assert_eq!(invalidated(&mut c), ["k"]);
    // A flush is about all keys, and forgets what was noted.
    other.ok("SET k 1");
    c.run("GET k");
    other.ok("FLUSHDB");
    let message = c.read();
    assert!(message.items()[1].is_null(), "{message:?}");
    assert_eq!(other.info("tracking_total_keys"), "0");
    c.write_raw(&encode(&["FLUSHALL"]));
    c.read().assert_ok();
    assert!(c.read().items()[1].is_null());
    // Evicted, and told before the reply that follows.
    other.ok("SET k 1");
    c.run("GET k");
    other.ok("CONFIG SET maxmemory-policy allkeys-lru");
    other.ok("CONFIG SET maxmemory 1");
    assert_eq!(invalidated(&mut c), ["k"]);
    other.ok("CONFIG SET maxmemory 0");
    // Pushed out of the table.
    other.ok("CONFIG SET tracking-table-max-keys 2");
    c.run("MGET x y z v w");
    let mut out: Vec<String> = (0..3).flat_map(|_| invalidated(&mut c)).collect();
    out.sort();
    out.dedup();
    assert_eq!(out.len(), 3);
    silent(&mut c);
    assert_eq!(other.info("tracking_total_keys"), "2");
}

#[test]
fn messages_of_resp2_clients_go_to_another() {
    let server = Server::aedile(&[]);
    let mut ear = server.connect();
    let id = ear.run("CLIENT ID").int();
    ear.write_raw(&encode(&["SUBSCRIBE", "__redis__:invalidate"]));
    ear.read();
    let mut c = server.connect();
    c.run("CLIENT TRACKING ON REDIRECT 999999")
        .assert_error("ERR The client ID you want redirect to does not exist");
    c.run(&format!("CLIENT TRACKING ON REDIRECT {id} REDIRECT {id}"))
        .assert_error("ERR A client can only redirect to a single other client");
    c.ok(&format!("CLIENT TRACKING ON REDIRECT {id}"));
    assert_eq!(c.run("CLIENT GETREDIR"), id);
    c.run("GET k");
    c.ok("SET k 1");
    let message = ear.read();
    let words = message.items();
    assert_eq!(words[0].text(), "message");
    assert_eq!(words[1].text(), "__redis__:invalidate");
    assert_eq!(words[2].items(), [Value::Bulk(b"k".to_vec())]);
    c.ok("FLUSHALL");
    assert_eq!(ear.read().items()[2], Value::NullBulk);
    // A RESP3 client is told when nobody listens any more.
    c.run("HELLO 3");
    c.run("GET k");
    drop(ear);
    let mut other = server.connect();
    while other.run("CLIENT LIST").text().contains("sub=1") {}
    other.ok("SET k 1");
    let message = c.read();
    assert_eq!(message.items()[0].text(), "tracking-redir-broken");
    assert_eq!(message.items()[1], id);
    assert!(other.run("CLIENT LIST").text().contains(" flags=tR "));
    assert_eq!(c.run("CLIENT GETREDIR"), id);
    let info = c.run("CLIENT TRACKINGINFO");
    assert!(format!("{info:?}").contains("broken_redirect"), "{info:?}");
    assert_eq!(c.run("RESET").text(), "RESET");
    assert_eq!(c.run("CLIENT GETREDIR"), -1);
    assert_eq!(other.info("tracking_clients"), "0");
}

#[test]
fn prefixes_are_broadcast_together() {
    let server = Server::aedile(&[]);
    let mut c = tracker(&server, "BCAST PREFIX a: PREFIX b:");
    let mut quiet = tracker(&server, "BCAST NOLOOP");
    let mut other = server.connect();
    assert_eq!(other.info("tracking_total_prefixes"), "3");
    assert_eq!(
        other.run("CLIENT LIST").text().matches("flags=tB ").count(),
        2
    );
    c.run("CLIENT TRACKING ON BCAST PREFIX a:b").assert_error(
        "ERR Prefix 'a:b' overlaps with an existing prefix 'a:'. Prefixes for a single client must not overlap.",
    );
    c.run("CLIENT TRACKING ON BCAST PREFIX x PREFIX y PREFIX yy")
        .assert_error(
            "ERR Prefix 'y' overlaps with another provided prefix 'yy'. Prefixes for a single client must not overlap.",
        );
    c.run("CLIENT TRACKING ON").assert_error(REFUSED_MODE);
    other.pipeline(&[
        vec!["SET", "a:2", "x"],
        vec!["SET", "c:1", "x"],
        vec!["SET", "a:1", "x"],
        vec!["SET", "a:1", "y"],
        vec!["SET", "b:1", "x"],
    ]);
    let mut told = [invalidated(&mut c), invalidated(&mut c)];
    told.sort();
    assert_eq!(told, [vec!["a:1", "a:2"], vec!["b:1"]]);
    silent(&mut c);
    assert_eq!(invalidated(&mut quiet), ["a:1", "a:2", "b:1", "c:1"]);
    quiet.ok("SET own 1");
    silent(&mut quiet);
    drop((c, quiet));
    while other.info("tracking_clients") != "0" {}
    assert_eq!(other.info("tracking_total_prefixes"), "0");
}

#[test]
fn caching_is_about_the_next_command() {
    let server = Server::aedile(&[]);
    let mut other = server.connect();
    let mut c = server.connect();
    c.run("CLIENT CACHING YES").assert_error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    );
    c.run("CLIENT TRACKING ON OPTIN OPTOUT")
        .assert_error("ERR You can't specify both OPTIN mode and OPTOUT mode");
    c.run("CLIENT TRACKING ON BCAST OPTIN")
        .assert_error("ERR OPTIN and OPTOUT are not compatible with BCAST");
    c.run("CLIENT TRACKING ON PREFIX a")
        .assert_error("ERR PREFIX option requires BCAST mode to be enabled");
    let mut c = tracker(&server, "OPTIN");
    c.run("CLIENT CACHING NO").assert_error(
        "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
    );
    c.run("GET a");
    c.ok("CLIENT CACHING YES");
    let info = c.run("CLIENT TRACKINGINFO");
    assert!(format!("{info:?}").contains("caching-yes"), "{info:?}");
    c.run("GET b");
    c.run("GET c");
    c.ok("CLIENT CACHING YES");
    c.ok("MULTI");
    c.run("GET d");
    c.run("GET e");
    c.run("EXEC");
    // Used up by a command that does not even exist.
    c.ok("CLIENT CACHING YES");
    c.run("NONSENSE");
    c.run("GET f");
    for key in ["a", "b", "c", "d", "e", "f"] {
        other.ok(&format!("SET {key} 1"));
    }
    for key in ["b", "d", "e"] {
        assert_eq!(invalidated(&mut c), [key]);
    }
    silent(&mut c);
    let mut c = tracker(&server, "OPTOUT NOLOOP");
    c.ok("CLIENT CACHING NO");
    c.run("GET a");
    c.run("MGET b c");
    c.ok("SET c 1");
    other.ok("MSET a 1 b 1 c 1");
    assert_eq!(invalidated(&mut c), ["b"]);
    silent(&mut c);
}

/// A request that has no keys, since its arguments are wrong, is told as wrong and tracks nothing.
#[test]
fn an_unbalanced_read_tracks_nothing() {
    let server = Server::aedile(&[]);
    let mut c = tracker(&server, "");
    let mut other = server.connect();
    c.run("XREAD STREAMS a b 0").assert_error(
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
    );
    assert_eq!(other.info("tracking_total_keys"), "0");
    other.run("XADD a 1 f v");
    silent(&mut c);
    c.run("XREAD COUNT 1 STREAMS a b 0 0");
    assert_eq!(other.info("tracking_total_keys"), "2");
    other.run("XADD b 1 f v");
    assert_eq!(invalidated(&mut c), ["b"]);
    // COMMAND GETKEYS goes by the key specs, as upstream's does.
    assert_eq!(
        other
            .run("COMMAND GETKEYS XREAD STREAMS a b 0")
            .items()
            .len(),
        1
    );
}
