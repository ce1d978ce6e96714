//! Lists: replies, encodings, events, waiting clients, and what is propagated.

use std::time::Duration;

use super::transactions::stream_of;
use crate::support::*;

/// The elements of a list as one line.
fn range(c: &mut Conn, key: &str) -> String {
    let r = c.run(&format!("LRANGE {key} 0 -1"));
    let items: Vec<String> = r.items().iter().map(Value::text).collect();
    items.join(" ")
}

fn encoding(c: &mut Conn, key: &str) -> String {
    c.run(&format!("OBJECT ENCODING {key}")).text()
}

/// Waits until `n` clients are blocked.
fn wait_blocked(c: &mut Conn, n: i64) {
    wait_until("blocked clients", || c.info_int("blocked_clients") == n);
}

#[test]
fn push_pop_and_range() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("RPUSH l a b 1"), 3);
    assert_eq!(c.run("LPUSH l z -77"), 5);
    assert_eq!(range(&mut c, "l"), "-77 z a b 1");
    assert_eq!(c.run("LPUSHX none x"), 0);
    assert_eq!(c.run("RPUSHX l end"), 6);
    assert_eq!(c.run("LLEN l"), 6);
    assert_eq!(c.run("LPOP l"), "-77");
    assert_eq!(c.run("RPOP l"), "end");
    let texts = |v: Value| {
        v.items()
            .iter()
            .map(Value::text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(texts(c.run("LRANGE l 1 2")), "a b");
    assert_eq!(texts(c.run("LRANGE l -2 100")), "b 1");
    assert_eq!(texts(c.run("LRANGE l 3 2")), "");
    assert_eq!(texts(c.run("RPOP l 3")), "1 b a");
    assert_eq!(texts(c.run("LPOP l 0")), "");
    assert_eq!(texts(c.run("LPOP l 9")), "z");
    assert_eq!(c.run("EXISTS l"), 0);
    assert!(c.run("LPOP l").is_null() && c.run("LPOP l 2").is_null());
    c.run("LPOP l -1")
        .assert_error("ERR value is out of range, must be positive");
    c.run("LPOP l 1 2")
        .assert_error("ERR wrong number of arguments for 'lpop' command");
    c.ok("SET s v");
    for line in [
        "LPUSH s x",
        "RPOP s",
        "LLEN s",
        "LINDEX s 0",
        "LSET s 0 x",
        "LRANGE s 0 -1",
        "LTRIM s 0 1",
        "LREM s 0 x",
        "LINSERT s BEFORE a b",
        "LPOS s x",
        "LMOVE s d LEFT LEFT",
        "RPOPLPUSH s d",
        "LMPOP 1 s LEFT",
        "BLPOP s 0",
        "BLMOVE s d LEFT LEFT 0",
        "BRPOPLPUSH s d 0",
        "BLMPOP 0 1 s LEFT",
    ] {
        c.run(line).assert_error_prefix("WRONGTYPE");
    }
}

#[test]
fn a_large_reply_is_whole() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut want = Vec::new();
    for i in 0..3000u32 {
        let e = match i % 4 {
            0 => i.to_string().into_bytes(),
            1 => vec![b'a' + (i % 26) as u8; (i % 150) as usize],
            2 => (-i64::from(i) << 40).to_string().into_bytes(),
            _ => vec![b'x'; 90 + (i % 20) as usize],
        };
        c.cmd(&[&b"RPUSH"[..], b"l", &e]);
        want.push(e);
    }
    for (from, to) in [
        (0, 2999),
        (0, 99),
        (100, 199),
        (5, 5),
        (1700, 2999),
        (2900, 2999),
    ] {
        let got = c.run(&format!("LRANGE l {from} {to}"));
        let got: Vec<Vec<u8>> = got.items().iter().map(Value::bytes).collect();
        assert!(got == want[from..=to], "{from} {to}");
    }
    // Behind another reply, in one write.
    let replies = c.pipeline(&[
        vec!["LRANGE", "l", "0", "50"],
        vec!["LRANGE", "l", "51", "999"],
        vec!["LRANGE", "l", "1000", "1001"],
    ]);
    let got: Vec<Vec<u8>> = replies
        .iter()
        .flat_map(|r| r.items().iter().map(Value::bytes))
        .collect();
    assert!(got == want[..=1001]);
    let popped = c.run("RPOP l 1000");
    let popped: Vec<Vec<u8>> = popped.items().iter().rev().map(Value::bytes).collect();
    assert!(popped == want[2000..]);
    let big = vec![b'b'; 1 << 20];
    c.cmd(&[&b"RPUSH"[..], b"big", &big, b"small", &big]);
    let got = c.run("LRANGE big 0 -1");
    assert!(
        got.items()[0].bytes() == big && got.items()[1] == "small" && got.items()[2].bytes() == big
    );
}

#[test]
fn index_set_insert_remove_trim() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("RPUSH l a b c a 10");
    assert_eq!(c.run("LINDEX l -1"), "10");
    assert!(c.run("LINDEX l 5").is_null());
    c.run("LINDEX l x")
        .assert_error("ERR value is not an integer or out of range");
    c.ok("LSET l 1 B");
    c.run("LSET l 9 x").assert_error("ERR index out of range");
    c.run("LSET l 4294967296 x")
        .assert_error("ERR index out of range");
    c.run("LSET none 0 x").assert_error("ERR no such key");
    assert_eq!(c.run("LINSERT l BEFORE c x"), 6);
    assert_eq!(c.run("LINSERT l after 10 y"), 7);
    assert_eq!(c.run("LINSERT l after nosuch y"), -1);
    assert_eq!(c.run("LINSERT none after a y"), 0);
    c.run("LINSERT l beside a y")
        .assert_error("ERR syntax error");
    assert_eq!(range(&mut c, "l"), "a B x c a 10 y");
    assert_eq!(c.run("LREM l -1 a"), 1);
    assert_eq!(range(&mut c, "l"), "a B x c 10 y");
    assert_eq!(c.run("LREM l 0 10"), 1);
    c.ok("LTRIM l 1 -2");
    assert_eq!(range(&mut c, "l"), "B x c");
    c.ok("LTRIM l 5 6");
    assert_eq!(c.run("EXISTS l"), 0);
    c.run("RPUSH l a a");
    assert_eq!(c.run("LREM l -9223372036854775808 a"), 2);
    assert_eq!(c.run("EXISTS l"), 0);
}

#[test]
fn positions() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("RPUSH l a b 1 b c b");
    assert_eq!(c.run("LPOS l b"), 1);
    assert_eq!(c.run("LPOS l b RANK 2"), 3);
    assert_eq!(c.run("LPOS l b RANK -1"), 5);
    assert_eq!(c.run("LPOS l 1"), 2);
    assert!(c.run("LPOS l b RANK 9").is_null() && c.run("LPOS l b MAXLEN 1").is_null());
    let ints = |v: Value| v.items().iter().map(Value::int).collect::<Vec<_>>();
    assert_eq!(ints(c.run("LPOS l b COUNT 0")), [1, 3, 5]);
    assert_eq!(ints(c.run("LPOS l b COUNT 2 RANK -2")), [3, 1]);
    assert_eq!(ints(c.run("LPOS l b COUNT 0 MAXLEN 4")), [1, 3]);
    assert_eq!(ints(c.run("LPOS none b COUNT 0")), Vec::<i64>::new());
    assert!(c.run("LPOS none b").is_null());
    c.run("LPOS l b RANK 0")
        .assert_error_prefix("ERR RANK can't be zero");
    c.run("LPOS l b COUNT -1")
        .assert_error("ERR COUNT can't be negative");
    c.run("LPOS l b MAXLEN -1")
        .assert_error("ERR MAXLEN can't be negative");
    c.run("LPOS l b RANK").assert_error("ERR syntax error");
}

#[test]
fn moves_and_pops_from_several() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("RPUSH l a b c");
    assert_eq!(c.run("LMOVE l d LEFT RIGHT"), "a");
    assert_eq!(c.run("RPOPLPUSH l d"), "c");
    assert_eq!(range(&mut c, "d"), "c a");
    assert_eq!(c.run("LMOVE d d LEFT RIGHT"), "c");
    assert_eq!(range(&mut c, "d"), "a c");
    assert_eq!(c.run("LMOVE l l LEFT LEFT"), "b");
    assert_eq!(c.run("LMOVE l d RIGHT LEFT"), "b");
    assert_eq!(c.run("EXISTS l"), 0);
    assert!(c.run("LMOVE l d LEFT LEFT").is_null());
    c.run("LMOVE l d UP LEFT").assert_error("ERR syntax error");
    c.ok("SET s v");
    c.run("LMOVE d s LEFT LEFT")
        .assert_error_prefix("WRONGTYPE");
    assert_eq!(range(&mut c, "d"), "b a c");
    let r = c.run("LMPOP 2 l d RIGHT COUNT 2");
    assert_eq!(r.items()[0], "d");
    assert_eq!(r.items()[1].items()[1], "a");
    assert!(c.run("LMPOP 2 l m LEFT").is_null());
    for (line, error) in [
        ("LMPOP 0 l LEFT", "numkeys should be greater than 0"),
        ("LMPOP x l LEFT", "numkeys should be greater than 0"),
        ("LMPOP 2 l LEFT", "syntax error"),
        ("LMPOP 9223372036854775807 l LEFT", "syntax error"),
        ("LMPOP 1 l UP", "syntax error"),
        ("LMPOP 1 l LEFT COUNT 0", "count should be greater than 0"),
        ("LMPOP 1 l LEFT COUNT", "syntax error"),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", "syntax error"),
        (
            "BLMPOP x 1 l LEFT",
            "timeout is not a float or out of range",
        ),
        ("BLPOP l -1", "timeout is negative"),
        (
            "BLMOVE l d LEFT LEFT x",
            "timeout is not a float or out of range",
        ),
    ] {
        c.run(line).assert_error(&format!("ERR {error}"));
    }
}

#[test]
fn encodings_follow_the_limits() {
    let server = Server::aedile(&[
        "--list-max-listpack-size",
        "4",
        "--enable-debug-command",
        "yes",
    ]);
    let mut c = server.connect();
    c.run("RPUSH l a b c d");
    assert_eq!(encoding(&mut c, "l"), "listpack");
    c.run("RPUSH l e");
    assert_eq!(encoding(&mut c, "l"), "quicklist");
    let facts = c.run("DEBUG OBJECT l").text();
    assert!(
        facts.contains(" ql_nodes:2 ql_avg_node:2.50 ql_listpack_max:4 ql_compressed:0 "),
        "{facts}"
    );
    c.run("DEBUG LISTPACK l")
        .assert_error("ERR Not a listpack encoded object.");
    assert_eq!(
        c.run("DEBUG QUICKLIST l"),
        "Quicklist structure printed on stdout"
    );
    c.run("RPOP l 2");
    assert_eq!(encoding(&mut c, "l"), "quicklist");
    c.run("RPOP l");
    assert_eq!(encoding(&mut c, "l"), "listpack");
    assert_eq!(
        c.run("DEBUG LISTPACK l"),
        "Listpack structure printed on stdout"
    );
    c.run("DEBUG QUICKLIST l")
        .assert_error("ERR Not a quicklist encoded object.");
    c.config_set("list-max-listpack-size", "-1");
    let text = "x".repeat(4090);
    c.run(&format!("LSET l 0 {text}"));
    assert_eq!(encoding(&mut c, "l"), "quicklist");
    c.ok("LSET l 0 a");
    assert_eq!(encoding(&mut c, "l"), "listpack");
    assert_eq!(range(&mut c, "l"), "a b");
    // Nodes of single large elements, amid compressed ones.
    c.config_set("list-compress-depth", "1");
    c.ok("DEBUG QUICKLIST-PACKED-THRESHOLD 100b");
    for i in 0..40 {
        let e = format!("{i}-").repeat(if i % 5 == 0 { 60 } else { 10 });
        c.run(&format!("RPUSH q {e}"));
    }
    let before = range(&mut c, "q");
    c.run("COPY q r");
    assert_eq!(c.run("LINSERT q AFTER 7-7-7-7-7-7-7-7-7-7- new"), 41);
    assert_eq!(c.run("LREM q 0 new"), 1);
    assert_eq!(range(&mut c, "q"), before);
    assert_eq!(range(&mut c, "r"), before);
    assert_eq!(
        c.run("DEBUG DIGEST-VALUE q").items()[0],
        c.run("DEBUG DIGEST-VALUE r").items()[0]
    );
    c.run("DEBUG QUICKLIST-PACKED-THRESHOLD 5gb")
        .assert_error("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    c.ok("DEBUG QUICKLIST-PACKED-THRESHOLD 0");
}

#[test]
fn waiting_clients_are_served_in_turn() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.send(&["BLPOP", "a", "b", "0"]);
    wait_blocked(&mut c, 1);
    second.send(&["BRPOP", "b", "0"]);
    wait_blocked(&mut c, 2);
    assert_eq!(c.run("RPUSH b 1 2 3"), 3);
    let r = first.read();
    assert!(r.items()[0] == "b" && r.items()[1] == "1", "{r:?}");
    let r = second.read();
    assert!(r.items()[0] == "b" && r.items()[1] == "3", "{r:?}");
    assert_eq!(range(&mut c, "b"), "2");

    // An element that goes from hand to hand.
    first.send(&["BLMOVE", "src", "dst", "LEFT", "RIGHT", "0"]);
    wait_blocked(&mut c, 1);
    second.send(&["BLMPOP", "0", "1", "dst", "LEFT", "COUNT", "5"]);
    wait_blocked(&mut c, 2);
    assert_eq!(c.run("LPUSH src x"), 1);
    assert_eq!(first.read(), "x");
    let r = second.read();
    assert!(
        r.items()[0] == "dst" && r.items()[1].items()[0] == "x",
        "{r:?}"
    );
    assert_eq!(c.run("EXISTS src dst"), 0);

    // Time-outs, and a transaction never waits.
    assert!(first.run("BLPOP a 0.01").is_null());
    assert!(first.run("BRPOPLPUSH a b 0.01").is_null());
    c.ok("MULTI");
    for line in ["BLPOP a 0", "BLMOVE a b LEFT LEFT 0", "BLMPOP 0 1 a LEFT"] {
        assert_eq!(c.run(line), "QUEUED");
    }
    assert!(c.run("EXEC").items().iter().all(Value::is_null));

    // A destination of another type is an error for the waiting client, and the source is untouched.
    c.ok("SET s v");
    first.send(&["BRPOPLPUSH", "src", "s", "0"]);
    wait_blocked(&mut c, 1);
    c.run("RPUSH src y");
    first.read().assert_error_prefix("WRONGTYPE");
    assert_eq!(range(&mut c, "src"), "y");

    // A list that comes by RENAME.
    first.send(&["BLPOP", "target", "0"]);
    wait_blocked(&mut c, 1);
    c.ok("RENAME src target");
    assert_eq!(first.read().items()[1], "y");
}

#[test]
fn events() {
    let server = Server::aedile(&["--notify-keyspace-events", "KEA"]);
    let (mut c, mut s) = (server.connect(), server.connect());
    s.run("PSUBSCRIBE __keyevent@0__:*");
    let mut expect = |line: &str, events: &[&str]| {
        c.run(line);
        for e in events {
            let m = s.read();
            let got = format!(
                "{} {}",
                m.items()[2].text().trim_start_matches("__keyevent@0__:"),
                m.items()[3].text()
            );
            assert_eq!(got, *e, "{line}");
        }
        assert!(s.read_for(Duration::from_millis(20)).is_empty(), "{line}");
    };
    expect("RPUSH l a b c d e f", &["rpush l"]);
    expect("LPUSHX none x", &[]);
    expect("LINSERT l BEFORE b x", &["linsert l"]);
    expect("LINSERT l BEFORE nosuch x", &[]);
    expect("LSET l 0 z", &["lset l"]);
    expect("LREM l 0 nosuch", &[]);
    expect("LREM l 0 x", &["lrem l"]);
    expect("LTRIM l 0 3", &["ltrim l"]);
    expect("LMOVE l d LEFT RIGHT", &["rpush d", "lpop l"]);
    expect("RPOP l 1", &["rpop l"]);
    expect("LMPOP 1 l RIGHT COUNT 9", &["rpop l", "del l"]);
    expect("BLPOP d 0", &["lpop d", "del d"]);
    expect("LPUSH l a", &["lpush l"]);
    expect("LREM l 0 a", &["lrem l", "del l"]);
    expect("LPUSH l a", &["lpush l"]);
    expect("LTRIM l 1 0", &["ltrim l", "del l"]);
}

#[test]
fn what_is_propagated() {
    let server = Server::aedile(&["--repl-diskless-sync", "no"]);
    let mut waiting = server.connect();
    let got = stream_of(&server, |c| {
        c.run("RPUSH l a b c d e f g h");
        c.run("LMPOP 2 none l RIGHT COUNT 2");
        c.run("BLMPOP 0 1 l LEFT COUNT 100");
        c.run("RPUSH l a b c d");
        c.run("BLPOP none l 0");
        c.run("BRPOP l 0");
        c.run("BLMOVE l m left RIGHT 0");
        c.run("BRPOPLPUSH l m 0");
        c.run("LPOP l");
        c.run("LREM m 0 nosuch");
        c.run("LSET m 9 x");
        waiting.send(&["BLMOVE", "l", "m", "RIGHT", "LEFT", "0"]);
        wait_blocked(c, 1);
        c.run("RPUSH l z");
        waiting.read();
        waiting.send(&["BLPOP", "l", "0"]);
        wait_blocked(c, 1);
        c.run("RPUSH l z");
        waiting.read();
    });
    let want = [
        "SELECT 0",
        "RPUSH l a b c d e f g h",
        "RPOP l 2",
        "LPOP l 6",
        "RPUSH l a b c d",
        "LPOP l",
        "RPOP l",
        "LMOVE l m left RIGHT",
        "RPOPLPUSH l m",
        "RPUSH l z",
        "LMOVE l m RIGHT LEFT",
        "RPUSH l z",
        "LPOP l",
    ];
    assert_eq!(got, want);
}

/// Times that no double holds; a long double does upstream.
#[test]
fn times_beyond_any_number() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (time, text) in [
        ("1e400", "ERR timeout is out of range"),
        ("-1e400", "ERR timeout is negative"),
        ("inf", "ERR timeout is out of range"),
        ("-inf", "ERR timeout is negative"),
        ("1e18", "ERR timeout is out of range"),
        ("-1", "ERR timeout is negative"),
        ("1e5000", "ERR timeout is not a float or out of range"),
        ("-1e5000", "ERR timeout is not a float or out of range"),
        ("1e-5000", "ERR timeout is not a float or out of range"),
        ("nan", "ERR timeout is not a float or out of range"),
        ("x", "ERR timeout is not a float or out of range"),
    ] {
        for line in [
            "BLPOP k T",
            "BRPOP k T",
            "BRPOPLPUSH k l T",
            "BLMOVE k l LEFT LEFT T",
            "BLMPOP T 1 k LEFT",
            "BZPOPMIN k T",
            "BZPOPMAX k T",
            "BZMPOP T 1 k MIN",
        ] {
            let words: Vec<&str> = line
                .split(' ')
                .map(|w| if w == "T" { time } else { w })
                .collect();
            assert_eq!(c.cmd(&words), Value::Error(text.into()), "{words:?}");
        }
    }
    // The smallest of times ends; it is not for ever.
    assert!(c.run("BLPOP k 1e-400").is_null());
}
