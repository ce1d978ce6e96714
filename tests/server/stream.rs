//! Streams: replies and errors, groups, who waits and is woken, events, and what is propagated.

use std::time::Duration;

use crate::server::transactions::stream_of;
use crate::support::*;

fn wait_blocked(c: &mut Conn, n: i64) {
    wait_until("blocked clients", || c.info_int("blocked_clients") == n);
}

/// The ids of a reply's entries.
fn ids(reply: &Value) -> String {
    let ids: Vec<String> = reply
        .items()
        .iter()
        .map(|e| match e {
            Value::Array(parts) => parts[0].text(),
            id => id.text(),
        })
        .collect();
    ids.join(" ")
}

#[test]
fn entries_are_added_read_and_removed() {
    let server = Server::aedile(&["--stream-node-max-entries", "3"]);
    let mut c = server.connect();
    for i in 1..=10 {
        let field = if i % 4 == 0 { "other" } else { "f" };
        let id = format!("{i}-1");
        assert_eq!(
            c.cmd(&["XADD", "s", &id, field, &i.to_string()]),
            id.as_str()
        );
    }
    assert_eq!(c.run("XADD s 10-* f v"), "10-2");
    assert_eq!(c.run("XADD s 11 f v"), "11-0");
    assert_eq!(c.run("XLEN s"), 12);
    assert_eq!(ids(&c.run("XRANGE s 3 6")), "3-1 4-1 5-1 6-1");
    assert_eq!(ids(&c.run("XRANGE s (3-1 (6-1")), "4-1 5-1");
    assert_eq!(ids(&c.run("XREVRANGE s + 9 COUNT 4")), "11-0 10-2 10-1 9-1");
    let entry = c.run("XRANGE s 4-1 4-1");
    let entry = &entry.items()[0].items()[1];
    assert_eq!(entry.items()[0], "other");
    assert_eq!(entry.items()[1], "4");
    assert!(c.run("XRANGE s - + COUNT 0").is_null());
    assert_eq!(c.run("XDEL s 4-1 4-1 99 5-1"), 2);
    assert_eq!(ids(&c.run("XRANGE s 3 6")), "3-1 6-1");
    assert_eq!(c.run("XTRIM s MAXLEN ~ 8"), 0);
    assert_eq!(c.run("XTRIM s MAXLEN ~ 7"), 3);
    assert_eq!(c.run("XTRIM s MAXLEN 5"), 2);
    assert_eq!(c.run("XTRIM s MINID 9"), 1);
    assert_eq!(ids(&c.run("XRANGE s - +")), "9-1 10-1 10-2 11-0");
    let info = c.run("XINFO STREAM s");
    let field = |name: &str| {
        let items = info.items();
        let at = items.iter().position(|v| *v == name).expect("a field");
        items[at + 1].clone()
    };
    assert_eq!(field("length"), 4);
    assert_eq!(field("entries-added"), 12);
    assert_eq!(field("max-deleted-entry-id"), "5-1");
    assert_eq!(field("recorded-first-entry-id"), "9-1");
    assert_eq!(field("last-generated-id"), "11-0");
    assert_eq!(ids(&c.run("XRANGE nosuch - +")), "");
    assert_eq!(c.run("OBJECT ENCODING s"), "stream");
}

#[test]
fn errors_leave_the_key_as_it_is() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET str x");
    c.run("XADD s 5-5 f v");
    c.ok("XGROUP CREATE s g 0");
    let before = dump_state(&mut c);
    let id = "ERR Invalid stream ID specified as stream command argument";
    let syntax = "ERR syntax error";
    let int = "ERR value is not an integer or out of range";
    for (line, error) in [
        (
            "XADD s 5-5 f v",
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        (
            "XADD s 0-0 f v",
            "ERR The ID specified in XADD must be greater than 0-0",
        ),
        ("XADD s - f v", id),
        ("XADD s 5-5- f v", id),
        (
            "XADD s 6 f",
            "ERR wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD s * f v x",
            "ERR wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD s MAXLEN 5 NOMKSTREAM LIMIT",
            "ERR Invalid stream ID specified as stream command argument",
        ),
        (
            "XADD s MAXLEN -1 * f v",
            "ERR The MAXLEN argument must be >= 0.",
        ),
        ("XADD s MAXLEN x * f v", int),
        (
            "XADD s MAXLEN 5 LIMIT 1 * f v",
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (
            "XADD s LIMIT 1 * f v",
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "XADD s MAXLEN 5 MINID 1 * f v",
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        (
            "XTRIM s MAXLEN",
            "ERR wrong number of arguments for 'xtrim' command",
        ),
        (
            "XTRIM s LIMIT 0",
            "ERR syntax error, XTRIM must be called with a trimming strategy",
        ),
        (
            "XTRIM s MAXLEN ~ 5 LIMIT -1",
            "ERR The LIMIT argument must be >= 0.",
        ),
        ("XTRIM s WHAT 5", syntax),
        ("XDEL s 1 x", id),
        (
            "XRANGE s (18446744073709551615-18446744073709551615 +",
            "ERR invalid start ID for the interval",
        ),
        ("XRANGE s - (0-0", "ERR invalid end ID for the interval"),
        ("XRANGE s - + COUNT", syntax),
        (
            "XREAD STREAMS s t 0",
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        ),
        ("XREAD COUNT 1 BLOCK 1", syntax),
        ("XREAD BLOCK -1 STREAMS s 0", "ERR timeout is negative"),
        (
            "XREAD GROUP g c STREAMS s 0",
            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "XREAD STREAMS s >",
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        ),
        (
            "XREADGROUP COUNT 1 NOACK STREAMS s >",
            "ERR Missing GROUP option for XREADGROUP",
        ),
        (
            "XREADGROUP GROUP no c STREAMS s >",
            "NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option",
        ),
        (
            "XGROUP CREATE s g 0",
            "BUSYGROUP Consumer Group name already exists",
        ),
        (
            "XGROUP CREATE no g 0",
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
        ),
        (
            "XGROUP CREATE s h 0 ENTRIESREAD -2",
            "ERR value for ENTRIESREAD must be positive or -1",
        ),
        (
            "XGROUP SETID s no 0",
            "NOGROUP No such consumer group 'no' for key name 's'",
        ),
        ("XGROUP CREATE s h x", id),
        (
            "XCLAIM s g c x 1",
            "ERR Invalid min-idle-time argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 1 WHAT",
            "ERR Unrecognized XCLAIM option 'WHAT'",
        ),
        (
            "XCLAIM s no c 0 1",
            "NOGROUP No such key 's' or consumer group 'no'",
        ),
        ("XAUTOCLAIM s g c 0 0 COUNT 0", "ERR COUNT must be > 0"),
        ("XPENDING s g - +", syntax),
        ("XPENDING s g IDLE 1 - +", syntax),
        (
            "XPENDING s no",
            "NOGROUP No such key 's' or consumer group 'no'",
        ),
        ("XACK s g x", id),
        (
            "XSETID s 5-4",
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ),
        (
            "XSETID s 9 MAXDELETEDID 10",
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        (
            "XSETID s 9 ENTRIESADDED 0",
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        (
            "XSETID s 9 ENTRIESADDED -1",
            "ERR entries_added must be positive",
        ),
        ("XSETID no 9", "ERR no such key"),
        ("XINFO STREAM no", "ERR no such key"),
        (
            "XINFO STREAM s FULL WHAT 1",
            "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
        ),
        (
            "XINFO CONSUMERS s no",
            "NOGROUP No such consumer group 'no' for key name 's'",
        ),
        (
            "XADD str * f v",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "XREADGROUP GROUP g c STREAMS str >",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ] {
        let got = c.run(line);
        assert_eq!(got, Value::Error(error.as_bytes().to_vec()), "{line}");
    }
    assert!(c.run("XADD new NOMKSTREAM * f v").is_null());
    assert_equal_state(&before, &dump_state(&mut c));
    c.ok("XSETID s 18446744073709551615-18446744073709551615");
    c.run("XADD s * f v").assert_error(
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    );
}

#[test]
fn groups_deliver_claim_and_forget() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("XGROUP CREATE s g $ MKSTREAM");
    for i in 1..=6 {
        c.run(&format!("XADD s {i} f {i}"));
    }
    let read = |c: &mut Conn, line: &str| ids(&c.run(line).items()[0].items()[1]);
    assert_eq!(
        read(&mut c, "XREADGROUP GROUP g a COUNT 4 STREAMS s >"),
        "1-0 2-0 3-0 4-0"
    );
    assert_eq!(read(&mut c, "XREADGROUP GROUP g b STREAMS s >"), "5-0 6-0");
    assert!(c.run("XREADGROUP GROUP g b STREAMS s >").is_null());
    assert_eq!(
        read(&mut c, "XREADGROUP GROUP g a COUNT 2 STREAMS s 1"),
        "2-0 3-0"
    );
    assert_eq!(c.run("XACK s g 1 5 77"), 2);
    let p = c.run("XPENDING s g");
    let shown = format!("{p:?}");
    assert_eq!(p.items()[0], 4, "{shown}");
    assert_eq!(p.items()[1], "2-0");
    assert_eq!(p.items()[2], "6-0");
    assert_eq!(p.items()[3].items().len(), 2);
    assert_eq!(ids(&c.run("XPENDING s g - + 10 a")), "2-0 3-0 4-0");
    assert_eq!(ids(&c.run("XPENDING s g (3 + 10")), "4-0 6-0");
    assert_eq!(ids(&c.run("XPENDING s g IDLE 100000 - + 10")), "");
    let counts: Vec<i64> = c
        .run("XPENDING s g - + 10")
        .items()
        .iter()
        .map(|e| e.items()[3].int())
        .collect();
    assert_eq!(counts, [2, 2, 1, 1]);

    // An entry that is gone: its id only, and the claim forgets it.
    c.run("XDEL s 3");
    let history = c.run("XREADGROUP GROUP g a STREAMS s 0");
    let entries = history.items()[0].items()[1].items().to_vec();
    assert_eq!(entries[1].items()[0], "3-0");
    assert!(entries[1].items()[1].is_null());
    assert_eq!(ids(&c.run("XCLAIM s g b 0 2 3 JUSTID")), "2-0");
    assert_eq!(ids(&c.run("XCLAIM s g b 100000 4")), "");
    assert_eq!(ids(&c.run("XCLAIM s g b 0 1 FORCE RETRYCOUNT 7")), "1-0");
    assert_eq!(ids(&c.run("XPENDING s g - + 10 a")), "4-0");
    let r = c.run("XAUTOCLAIM s g a 0 - COUNT 2");
    assert_eq!(r.items()[0], "4-0");
    assert_eq!(ids(&r.items()[1]), "1-0 2-0");
    let r = c.run("XAUTOCLAIM s g a 0 4-0 JUSTID");
    assert_eq!(r.items()[0], "0-0");
    assert_eq!(ids(&r.items()[1]), "4-0 6-0");
    assert_eq!(c.run("XGROUP DELCONSUMER s g a"), 4);
    assert_eq!(c.run("XPENDING s g").items()[0], 0);
    assert_eq!(c.run("XGROUP CREATECONSUMER s g b"), 0);
    assert_eq!(c.run("XGROUP CREATECONSUMER s g z"), 1);
    let groups = c.run("XINFO GROUPS s");
    let groups = groups.items()[0].pairs();
    assert_eq!(groups["consumers"], "2");
    assert_eq!(groups["entries-read"], "6");
    assert_eq!(groups["lag"], "0");
    assert_eq!(c.run("XGROUP DESTROY s g"), 1);
    assert_eq!(c.run("XGROUP DESTROY s g"), 0);
}

#[test]
fn replies_in_resp3() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("HELLO 3");
    c.run("XADD s 1 f v");
    let got = c.run("XREAD STREAMS s none 0 0");
    let Value::Map(m) = &got else {
        panic!("{got:?}");
    };
    assert_eq!(m.len(), 1);
    assert_eq!(m[0].0, "s");
    assert_eq!(ids(&m[0].1), "1-0");
    assert!(c.run("XREAD STREAMS s 1").is_null());
    assert!(matches!(c.run("XINFO STREAM s"), Value::Map(_)));
}

#[test]
fn a_large_reply_is_whole() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let value = "x".repeat(1000);
    for i in 1..=300 {
        c.cmd(&[
            "XADD",
            "s",
            &i.to_string(),
            "field",
            &value,
            "n",
            &i.to_string(),
        ]);
    }
    let got = c.run("XRANGE s - +");
    assert_eq!(got.items().len(), 300);
    for (i, e) in got.items().iter().enumerate() {
        let pairs = e.items()[1].items();
        assert_eq!(pairs[1], value.as_str());
        assert_eq!(pairs[3], (i + 1).to_string().as_str());
    }
    let replies = c.pipeline(&[
        vec!["XRANGE", "s", "-", "+", "COUNT", "40"],
        vec!["PING"],
        vec!["XREVRANGE", "s", "+", "-", "COUNT", "40"],
    ]);
    assert_eq!(replies[0].items().len(), 40);
    assert_eq!(replies[1], "PONG");
    assert_eq!(replies[2].items().len(), 40);
}

#[test]
fn readers_wait_and_are_woken() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut a = server.connect();
    let mut b = server.connect();
    c.run("XADD s 1 f v");
    a.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "t", "$", "$"]);
    b.send(&["XREAD", "BLOCK", "0", "COUNT", "1", "STREAMS", "s", "5"]);
    wait_blocked(&mut c, 2);
    // Nothing above 5 for the second one yet.
    c.run("XADD s 2 f v");
    assert_eq!(ids(&a.read().items()[0].items()[1]), "2-0");
    wait_blocked(&mut c, 1);
    c.ok("MULTI");
    c.run("XADD s 6 f v");
    c.run("XADD s 7 f v");
    c.run("EXEC");
    assert_eq!(ids(&b.read().items()[0].items()[1]), "6-0");
    wait_blocked(&mut c, 0);

    // The end of the waiting.
    a.send(&["XREAD", "BLOCK", "50", "STREAMS", "s", "$"]);
    assert!(a.read().is_null());
    assert!(a.run("XREAD STREAMS s $").is_null());
    // No waiting in a transaction.
    a.ok("MULTI");
    a.run("XREAD BLOCK 0 STREAMS s $");
    assert!(a.run("EXEC").items()[0].is_null());

    // A deleted stream wakes nobody who reads without a group; a new one does.
    a.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "0-7"]);
    assert_eq!(ids(&a.read().items()[0].items()[1]), "1-0 2-0 6-0 7-0");
    a.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    wait_blocked(&mut c, 1);
    c.run("DEL s");
    c.ok("SET s x");
    c.run("DEL s");
    assert_eq!(a.read_for(Duration::from_millis(100)), b"");
    c.run("XADD s 9 f v");
    assert_eq!(ids(&a.read().items()[0].items()[1]), "9-0");
}

#[test]
fn group_readers_learn_that_their_group_is_gone() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut a = server.connect();
    let nogroup = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    let wrongtype = "WRONGTYPE Operation against a key holding the wrong kind of value";
    for (change, error) in [
        (&["DEL s"][..], nogroup),
        (&["UNLINK s"], nogroup),
        (&["FLUSHALL"], nogroup),
        (&["XGROUP DESTROY s g"], nogroup),
        (&["RENAME s t"], nogroup),
        (&["PEXPIRE s 1", "DEBUG SLEEP 0.01", "EXISTS s"], nogroup),
        (&["SET s x"], wrongtype),
        (&["MULTI", "DEL s", "SET s x", "EXEC"], wrongtype),
        (&["SWAPDB 0 1"], nogroup),
    ] {
        c.run("FLUSHALL");
        c.ok("XGROUP CREATE s g $ MKSTREAM");
        a.send(&[
            "XREADGROUP",
            "GROUP",
            "g",
            "c",
            "BLOCK",
            "0",
            "STREAMS",
            "s",
            ">",
        ]);
        wait_blocked(&mut c, 1);
        for line in change {
            c.run(line);
        }
        assert_eq!(
            a.read(),
            Value::Error(error.as_bytes().to_vec()),
            "{change:?}"
        );
    }
    // History does not wait, and entries go to one consumer each.
    c.run("FLUSHALL");
    c.ok("XGROUP CREATE s g $ MKSTREAM");
    a.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        "0",
    ]);
    assert_eq!(ids(&a.read().items()[0].items()[1]), "");
    let mut b = server.connect();
    a.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ]);
    wait_blocked(&mut c, 1);
    b.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "d",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ]);
    wait_blocked(&mut c, 2);
    c.run("XADD s 1 f v");
    assert_eq!(ids(&a.read().items()[0].items()[1]), "1-0");
    wait_blocked(&mut c, 1);
    c.run("XADD s 2 f v");
    assert_eq!(ids(&b.read().items()[0].items()[1]), "2-0");
}

#[test]
fn events() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.config_set("notify-keyspace-events", "Et");
    let mut l = server.connect();
    l.run("PSUBSCRIBE *");
    for (line, want) in [
        ("XADD s 1 f v", &["xadd"][..]),
        ("XADD s MAXLEN 1 2 f v", &["xadd", "xtrim"]),
        ("XADD s MAXLEN 5 3 f v", &["xadd"]),
        ("XDEL s 77", &[]),
        ("XDEL s 2", &["xdel"]),
        ("XGROUP CREATE s g 0", &["xgroup-create"]),
        ("XGROUP SETID s g 0", &["xgroup-setid"]),
        ("XGROUP CREATECONSUMER s g a", &["xgroup-createconsumer"]),
        ("XGROUP CREATECONSUMER s g a", &[]),
        (
            "XREADGROUP GROUP g b STREAMS s >",
            &["xgroup-createconsumer"],
        ),
        ("XCLAIM s g z 0 3", &["xgroup-createconsumer"]),
        ("XAUTOCLAIM s g y 0 0", &["xgroup-createconsumer"]),
        ("XACK s g 3", &[]),
        ("XGROUP DELCONSUMER s g a", &["xgroup-delconsumer"]),
        ("XGROUP DESTROY s g", &["xgroup-destroy"]),
        ("XTRIM s MAXLEN 0", &["xtrim"]),
        ("XTRIM s MAXLEN 0", &[]),
        ("XSETID s 9", &["xsetid"]),
    ] {
        assert!(!c.run(line).is_error(), "{line}");
        c.run("PUBLISH end .");
        let mut got = Vec::new();
        loop {
            let m = l.read();
            let m: Vec<String> = m.items().iter().map(Value::text).collect();
            match m[2].rsplit(':').next() {
                Some("end") => break,
                _ if m[0] == "psubscribe" => {}
                Some(event) => got.push(event.to_string()),
                None => {}
            }
        }
        assert_eq!(got, *want, "{line}");
    }
}

/// What is told to others must lead them to the same state, whatever their clock.
#[test]
fn what_is_propagated() {
    let server = Server::aedile(&[
        "--repl-diskless-sync",
        "no",
        "--stream-node-max-entries",
        "10",
    ]);
    let mut waiting = server.connect();
    let got = stream_of(&server, |c| {
        c.run("XADD s 1-* f v");
        c.run("XADD s NOMKSTREAM 2 f v");
        c.run("XADD s MAXLEN 100 3 f v");
        c.run("XADD s MAXLEN ~ 1 LIMIT 5 4 f v");
        c.run("XADD s MINID ~ 4 5-* f v");
        c.run("XTRIM s MAXLEN ~ 1");
        c.run("XTRIM s MINID 2");
        c.ok("XGROUP CREATE s g 2 ENTRIESREAD 2");
        c.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
        c.run("XREADGROUP GROUP g a STREAMS s 0");
        c.run("XREADGROUP GROUP g b NOACK COUNT 1 STREAMS s >");
        c.run("XCLAIM s g b 0 3 9 IDLE 0 RETRYCOUNT 4");
        c.run("XCLAIM s g b 0 9 LASTID 4-7");
        c.run("XCLAIM s g b 0 9");
        c.run("XDEL s 3");
        c.run("XAUTOCLAIM s g a 0 -");
        c.run("XACK s g 9");
        c.run("XREADGROUP GROUP g c STREAMS s >");
        waiting.send(&[
            "XREADGROUP",
            "GROUP",
            "g",
            "d",
            "BLOCK",
            "0",
            "STREAMS",
            "s",
            ">",
        ]);
        wait_blocked(c, 1);
        c.run("XADD s 8 f v");
        waiting.read();
        c.run("XADD new * f v");
        c.run("XSETID s 9");
    });
    let numbers = |line: &String| -> String {
        // Times, and what follows from them, are not known beforehand.
        let words: Vec<&str> = line
            .split(' ')
            .map(|w| match w.strip_suffix("-0").unwrap_or(w) {
                n if n.len() > 10 && n.parse::<u64>().is_ok() => "T",
                _ => w,
            })
            .collect();
        words.join(" ")
    };
    let got: Vec<String> = got.iter().map(numbers).collect();
    let want = [
        "SELECT 0",
        "XADD s 1-0 f v",
        "XADD s NOMKSTREAM 2 f v",
        "XADD s MAXLEN 100 3 f v",
        "XADD s MAXLEN = 4 LIMIT 5 4 f v",
        "XADD s MINID = 1-0 5-0 f v",
        "XTRIM s MINID 2",
        "XGROUP CREATE s g 2 ENTRIESREAD 2",
        "XCLAIM s g a 0 3-0 TIME T RETRYCOUNT 1 FORCE JUSTID LASTID 3-0",
        "MULTI",
        "XGROUP CREATECONSUMER s g b",
        "XGROUP SETID s g 4-0 ENTRIESREAD 4",
        "EXEC",
        "XCLAIM s g b 0 3 TIME T RETRYCOUNT 4 FORCE JUSTID LASTID 4-0",
        "XGROUP SETID s g 4-7 ENTRIESREAD 4",
        "XDEL s 3",
        "XCLAIM s g b 0 3-0 TIME T RETRYCOUNT 4 FORCE JUSTID LASTID 4-7",
        "XCLAIM s g c 0 5-0 TIME T RETRYCOUNT 1 FORCE JUSTID LASTID 5-0",
        "XADD s 8 f v",
        "XCLAIM s g d 0 8-0 TIME T RETRYCOUNT 1 FORCE JUSTID LASTID 8-0",
        "XADD new T f v",
        "XSETID s 9",
    ];
    assert_eq!(got, want);
}

/// What must be equal on a replica: not how far a group has read in numbers, nor consumers that have nothing pending and
/// never had, of which a replica does not learn.
fn view(c: &mut Conn) -> Vec<Value> {
    let mut out = Vec::new();
    for key in ["s0", "s1", "s2"] {
        out.push(c.run(&format!("XINFO STREAM {key}")));
        out.push(c.run(&format!("XRANGE {key} - +")));
        for group in ["g0", "g1"] {
            out.push(c.run(&format!("XPENDING {key} {group}")));
            let list = c.run(&format!("XPENDING {key} {group} - + 100000"));
            if let Value::Array(entries) = list {
                for e in entries {
                    let e = e.items();
                    out.extend([e[0].clone(), e[1].clone(), e[3].clone()]);
                }
            }
        }
    }
    out
}

#[test]
fn a_replica_has_the_same_streams_and_groups() {
    let limit = ["--stream-node-max-entries", "5"];
    let master = Server::aedile(&limit);
    let replica = Server::aedile(&limit);
    replica.replicate(master.port);
    replica.wait_link_up();
    let mut c = master.connect();
    let mut rng = Rng(11);
    for i in 0..3000 {
        let key = format!("s{}", rng.below(3));
        let group = format!("g{}", rng.below(2));
        let consumer = format!("c{}", rng.below(3));
        let id = format!("{}", i / 10 - rng.below(20).min(i / 10));
        let line = match rng.below(14) {
            0 => format!("XADD {key} MAXLEN ~ 30 * f v"),
            1 => format!("XADD {key} MINID ~ {id} {}-* f v", i / 10),
            2..5 => format!("XADD {key} {}-* f {i} g {i}", i / 10),
            5 => format!("XTRIM {key} MAXLEN ~ 20"),
            6 => format!("XDEL {key} {id} {id}-1"),
            7 => format!("XGROUP CREATE {key} {group} $ MKSTREAM"),
            8 => format!("XREADGROUP GROUP {group} {consumer} COUNT 3 STREAMS {key} >"),
            9 => format!("XREADGROUP GROUP {group} {consumer} NOACK COUNT 1 STREAMS {key} >"),
            10 => format!("XACK {key} {group} {id} {id}-1"),
            11 => format!("XCLAIM {key} {group} {consumer} 0 {id} {id}-1 FORCE"),
            12 => format!("XAUTOCLAIM {key} {group} {consumer} 0 {id} COUNT 3"),
            _ if rng.one_in(10) => format!("DEL {key}"),
            _ => format!("XGROUP DELCONSUMER {key} {group} {consumer}"),
        };
        c.run(&line);
    }
    assert_eq!(c.run("WAIT 1 0"), 1);
    let mut r = replica.connect();
    let (expected, found) = (view(&mut c), view(&mut r));
    for (e, f) in expected.iter().zip(&found) {
        assert_eq!(e, f);
    }
    assert_eq!(expected.len(), found.len());
    assert!(expected.len() > 50);
}

/// A counter of entries that runs over the largest number is no argument that XGROUP takes: a replica, and a server that
/// loads the commands, must hear of the group's position all the same.
#[test]
fn a_counter_that_ran_over_is_told_as_unknown() {
    let args = ["--appendonly", "yes", "--aof-use-rdb-preamble", "no"];
    let mut master = Server::aedile(&args);
    let replica = Server::aedile(&[]);
    replica.replicate(master.port);
    replica.wait_link_up();
    let mut c = master.connect();
    c.ok("XGROUP CREATE s g 0 MKSTREAM ENTRIESREAD 9223372036854775807");
    c.run("XADD s 5-1 f v");
    c.run("XREADGROUP GROUP g c NOACK STREAMS s >");
    assert_eq!(c.run("WAIT 1 0"), 1);
    let position = |c: &mut Conn| {
        let groups = c.run("XINFO GROUPS s");
        groups.items()[0].items()[7].text()
    };
    assert_eq!(position(&mut replica.connect()), "5-1");
    c.run("BGREWRITEAOF");
    wait_until("the rewrite", || {
        c.info("aof_rewrite_in_progress") == "0" && c.info("aof_rewrite_scheduled") == "0"
    });
    drop(c);
    master.kill9();
    master.restart();
    assert_eq!(position(&mut master.connect()), "5-1");
}
