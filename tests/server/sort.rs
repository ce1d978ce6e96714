//! SORT and SORT_RO: orders, patterns, limits, storing, what is propagated.

use super::transactions::stream_of;
use crate::support::*;

/// The reply as one line; missing ones are `-`.
fn line(c: &mut Conn, command: &str) -> String {
    let reply = c.run(command);
    let word = |v: &Value| match v.is_null() {
        true => "-".into(),
        false => v.text(),
    };
    let words: Vec<String> = reply.items().iter().map(word).collect();
    words.join(" ")
}

/// Numbers, and what other keys hold for them.
fn fill(c: &mut Conn) {
    c.run("RPUSH l 3 1 10 2");
    c.run("SADD s 3 1 10 2");
    c.ok("MSET w_1 40 w_2 30 w_3 20 w_10 10 name_1 one name_2 two name_3 three");
    for (i, w) in [(1, "d"), (2, "c"), (3, "b"), (10, "a")] {
        c.run(&format!("HSET o_{i} letter {w}"));
    }
}

#[test]
fn by_number_by_letter_and_by_what_other_keys_hold() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    fill(&mut c);
    for (command, want) in [
        ("SORT l", "1 2 3 10"),
        ("SORT s DESC", "10 3 2 1"),
        ("SORT l ALPHA", "1 10 2 3"),
        ("SORT l BY w_*", "10 3 2 1"),
        ("SORT l BY w_* DESC GET name_*", "one two three -"),
        ("SORT s BY o_*->letter ALPHA", "10 3 2 1"),
        ("SORT s BY w_* GET # GET o_*->letter", "10 a 3 b 2 c 1 d"),
        ("SORT l BY nosort", "3 1 10 2"),
        ("SORT l BY nosort DESC", "2 10 1 3"),
        ("SORT l BY nosort DESC LIMIT 1 2", "10 1"),
        ("SORT l LIMIT 1 2", "2 3"),
        ("SORT l LIMIT -5 -5", "1 2 3 10"),
        ("SORT l LIMIT 4 10", ""),
        ("SORT l LIMIT 0 0", ""),
        ("SORT none", ""),
        ("SORT_RO l BY w_* GET nothing", "- - - -"),
        ("SORT l BY missing_*", "1 10 2 3"),
    ] {
        assert_eq!(line(&mut c, command), want, "{command}");
        // Without a STORE both commands are one.
        assert_eq!(
            line(&mut c, &command.replace("SORT ", "SORT_RO ")),
            want,
            "{command}"
        );
    }
}

#[test]
fn errors() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    fill(&mut c);
    c.ok("SET str x");
    c.run("SORT str")
        .assert_error("WRONGTYPE Operation against a key holding the wrong kind of value");
    c.run("SORT o_1")
        .assert_error("WRONGTYPE Operation against a key holding the wrong kind of value");
    c.run("SORT l LIMIT x 1")
        .assert_error("ERR value is not an integer or out of range");
    for bad in [
        "SORT l LIMIT 1",
        "SORT l NOSUCH",
        "SORT_RO l STORE k",
        "SORT l BY",
    ] {
        c.run(bad).assert_error("ERR syntax error");
    }
    c.run("RPUSH l word");
    let text = "ERR One or more scores can't be converted into double";
    c.run("SORT l").assert_error(text);
    c.run("SORT s BY name_* STORE dst").assert_error(text);
    assert_eq!(c.run("EXISTS dst"), 0);
}

#[test]
fn storing() {
    let server = Server::aedile(&["--notify-keyspace-events", "KEA"]);
    let mut c = server.connect();
    fill(&mut c);
    c.ok("SET dst old EX 100");
    assert_eq!(c.run("SORT s BY w_* GET name_* GET # STORE dst"), 8);
    assert_eq!(line(&mut c, "LRANGE dst 0 -1"), " 10 three 3 two 2 one 1");
    assert_eq!(c.run("TTL dst"), -1);
    assert_eq!(c.run("OBJECT ENCODING dst"), "listpack");
    // The source may be the destination.
    assert_eq!(c.run("SORT l STORE l"), 4);
    assert_eq!(line(&mut c, "LRANGE l 0 -1"), "1 2 3 10");
    assert_eq!(c.run("SORT none STORE dst"), 0);
    assert_eq!(c.run("EXISTS dst"), 0);
    // A set that is not to be sorted is, so that replicas get the same list.
    assert_eq!(c.run("SORT s BY nosort STORE dst"), 4);
    assert_eq!(line(&mut c, "LRANGE dst 0 -1"), "1 10 2 3");
    c.ok("CONFIG SET list-max-listpack-size 3");
    assert_eq!(c.run("SORT l STORE dst"), 4);
    assert_eq!(c.run("OBJECT ENCODING dst"), "quicklist");
}

#[test]
fn a_store_is_propagated_as_it_came() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    fill(&mut c);
    let stream = stream_of(&server, |c| {
        c.run("SORT l");
        c.run("SORT l STORE dst");
        c.run("SORT none STORE dst");
        c.run("SORT none STORE dst");
    });
    assert_eq!(
        stream,
        ["SELECT 0", "SORT l STORE dst", "SORT none STORE dst"]
    );
}
