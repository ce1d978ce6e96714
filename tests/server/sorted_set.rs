//! Sorted sets: replies of both protocols, encodings, ranges, combinations, events, waiting clients, propagation.

use std::time::Duration;

use super::transactions::stream_of;
use crate::support::*;

/// A reply as one line: arrays in brackets, doubles with a comma before them.
fn line(v: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(line).collect::<Vec<_>>().join(" ");
    match v {
        Value::Array(items) => format!("[{}]", all(items)),
        Value::Double(d) => format!(",{}", String::from_utf8_lossy(d)),
        Value::Int(n) => n.to_string(),
        v if v.is_null() => "nil".to_string(),
        v => v.text(),
    }
}

#[track_caller]
fn expect(c: &mut Conn, cases: &[(&str, &str)]) {
    for (command, reply) in cases {
        assert_eq!(line(&c.run(command)), *reply, "{command}");
    }
}

fn wait_blocked(c: &mut Conn, n: i64) {
    wait_until("blocked clients", || c.info_int("blocked_clients") == n);
}

#[test]
fn adding_and_its_flags() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    expect(
        &mut c,
        &[
            ("ZADD z 1 a 2 b 2 c", "3"),
            ("ZADD z 5 a 2 b", "0"),
            ("ZADD z CH 6 a 2 b 3 d", "2"),
            ("ZADD z NX 9 a 0 e", "1"),
            ("ZADD z XX CH 1 a 1 nobody", "1"),
            ("ZADD z GT CH 0 a", "0"),
            ("ZADD z GT CH 2 a", "1"),
            ("ZADD z LT CH 3 a", "0"),
            ("ZADD z lt ch 1 a", "1"),
            ("ZADD z INCR 0.5 a", "1.5"),
            ("ZADD z NX INCR 1 a", "nil"),
            ("ZADD z XX INCR 1 nobody", "nil"),
            ("ZADD z GT INCR -1 a", "nil"),
            ("ZADD none XX 1 a", "0"),
            ("ZADD none XX INCR 1 a", "nil"),
            ("EXISTS none", "0"),
            ("ZINCRBY z -1.5 a", "0"),
            ("ZINCRBY z 3 new", "3"),
            ("ZRANGE z 0 -1 WITHSCORES", "[a 0 e 0 b 2 c 2 d 3 new 3]"),
            ("ZADD i inf a -inf b", "2"),
            ("ZSCORE i a", "inf"),
            ("ZMSCORE i b nobody", "[-inf nil]"),
            ("ZMSCORE none b", "[nil]"),
        ],
    );
    for (command, error) in [
        ("ZADD z", "ERR wrong number of arguments for 'zadd' command"),
        ("ZADD z 1 a 2", "ERR syntax error"),
        ("ZADD z NX CH", "ERR syntax error"),
        (
            "ZADD z NX XX 1 a",
            "ERR XX and NX options at the same time are not compatible",
        ),
        (
            "ZADD z NX GT 1 a",
            "ERR GT, LT, and/or NX options at the same time are not compatible",
        ),
        (
            "ZADD z INCR 1 a 2 b",
            "ERR INCR option supports a single increment-element pair",
        ),
        ("ZADD z 7 a nan b", "ERR value is not a valid float"),
        ("ZADD z 7 a what b", "ERR value is not a valid float"),
        (
            "ZINCRBY i -inf a",
            "ERR resulting score is not a number (NaN)",
        ),
    ] {
        c.run(command).assert_error(error);
    }
    expect(&mut c, &[("ZSCORE z a", "0"), ("ZSCORE i a", "inf")]);
    c.ok("SET s v");
    for command in [
        "ZADD s 1 a",
        "ZREM s a",
        "ZRANGE s 0 -1",
        "ZRANGESTORE d s 0 -1",
        "ZUNION 2 z s",
        "ZPOPMIN s",
        "ZMPOP 2 s z MIN",
        "BZPOPMIN s z 0",
        "ZRANK s a",
        "ZSCAN s 0",
        "ZRANDMEMBER s",
        "ZREMRANGEBYRANK s 0 1",
    ] {
        c.run(command).assert_error_prefix("WRONGTYPE");
    }
}

#[test]
fn ranks_counts_and_removal() {
    let server = Server::aedile(&[]);
    for limit in ["128", "0"] {
        let mut c = server.connect();
        c.config_set("zset-max-listpack-entries", limit);
        expect(
            &mut c,
            &[
                ("DEL z", if limit == "0" { "1" } else { "0" }),
                ("ZADD z 1 a 2 b 2 c 3 d 4 e inf f", "6"),
                ("ZRANK z a", "0"),
                ("ZREVRANK z a", "5"),
                ("ZRANK z c WITHSCORE", "[2 2]"),
                ("ZREVRANK z f WITHSCORE", "[0 inf]"),
                ("ZRANK z nobody", "nil"),
                ("ZCOUNT z 2 3", "3"),
                ("ZCOUNT z (2 +inf", "3"),
                ("ZCOUNT z -inf (1", "0"),
                ("ZCOUNT z 3 2", "0"),
                ("ZREM z nobody b", "1"),
                ("ZREMRANGEBYRANK z -1 -1", "1"),
                ("ZREMRANGEBYSCORE z (3 4", "1"),
                ("ZRANGE z 0 -1", "[a c d]"),
                ("ZREMRANGEBYLEX z [d +", "1"),
                ("ZREMRANGEBYRANK z 5 9", "0"),
                ("ZREM z a c a", "2"),
                ("EXISTS z", "0"),
                ("ZADD z 0 a 0 b 0 c 0 d", "4"),
                ("ZLEXCOUNT z - +", "4"),
                ("ZLEXCOUNT z (a [c", "2"),
                ("ZLEXCOUNT z + -", "0"),
            ],
        );
    }
    let mut c = server.connect();
    c.run("ZRANK z a WITHSCORES")
        .assert_error("ERR syntax error");
    c.run("ZRANK z a WITHSCORE x")
        .assert_error("ERR wrong number of arguments for 'zrank' command");
    c.run("ZCOUNT z x 1")
        .assert_error("ERR min or max is not a float");
    c.run("ZLEXCOUNT z a b")
        .assert_error("ERR min or max not valid string range item");
    c.run("ZREMRANGEBYRANK z 1 x")
        .assert_error("ERR value is not an integer or out of range");
}

#[test]
fn ranges_in_every_form() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for limit in ["128", "0"] {
        c.config_set("zset-max-listpack-entries", limit);
        c.run("DEL z x d");
        expect(
            &mut c,
            &[
                ("ZADD z 1 a 2 b 3 c 4 d 5 5", "5"),
                ("ZRANGE z 1 2", "[b c]"),
                ("ZRANGE z -2 100", "[d 5]"),
                ("ZRANGE z 3 2", "[]"),
                ("ZRANGE z 0 1 REV WITHSCORES", "[5 5 d 4]"),
                ("ZREVRANGE z 3 -1", "[b a]"),
                ("ZRANGE none 0 -1", "[]"),
                ("ZRANGEBYSCORE z (1 3", "[b c]"),
                ("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", "[b c]"),
                ("ZRANGEBYSCORE z -inf +inf LIMIT 3 -1", "[d 5]"),
                ("ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "[]"),
                ("ZRANGEBYSCORE z -inf +inf LIMIT 9 2", "[]"),
                ("ZREVRANGEBYSCORE z 4 (2 WITHSCORES", "[d 4 c 3]"),
                ("ZREVRANGEBYSCORE z +inf -inf LIMIT 1 2", "[d c]"),
                ("ZRANGE z (4 1 BYSCORE REV LIMIT 0 2", "[c b]"),
                ("ZRANGE z 1 (4 BYSCORE WITHSCORES", "[a 1 b 2 c 3]"),
                ("ZADD x 0 a 0 b 0 c 0 d", "4"),
                ("ZRANGEBYLEX x - (c", "[a b]"),
                ("ZREVRANGEBYLEX x + [b LIMIT 1 5", "[c b]"),
                ("ZRANGE x (d [b BYLEX REV", "[c b]"),
                ("ZRANGESTORE d z 1 2", "2"),
                ("ZRANGE d 0 -1 WITHSCORES", "[b 2 c 3]"),
                ("ZRANGESTORE d z 4 (2 BYSCORE REV LIMIT 0 1", "1"),
                ("ZRANGE d 0 -1", "[d]"),
                ("ZRANGESTORE d none 0 -1", "0"),
                ("EXISTS d", "0"),
            ],
        );
    }
    for (command, error) in [
        (
            "ZRANGE z 0 x",
            "ERR value is not an integer or out of range",
        ),
        ("ZRANGE z 0 1 WHAT", "ERR syntax error"),
        ("ZRANGESTORE d z 0 1 WITHSCORES", "ERR syntax error"),
        ("ZREVRANGE z 0 1 BYSCORE", "ERR syntax error"),
        (
            "ZRANGEBYLEX z - + WITHSCORES",
            "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ),
        (
            "ZRANGE z 0 1 LIMIT 0 1",
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("ZRANGE z a b BYSCORE", "ERR min or max is not a float"),
        (
            "ZRANGE z a b BYLEX",
            "ERR min or max not valid string range item",
        ),
    ] {
        c.run(command).assert_error(error);
    }
}

#[test]
fn replies_of_resp3() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("HELLO 3");
    expect(
        &mut c,
        &[
            ("ZADD z 1 a 2.5 b", "2"),
            ("ZSCORE z b", ",2.5"),
            ("ZSCORE z nobody", "nil"),
            ("ZADD z INCR 1 a", ",2"),
            ("ZRANGE z 0 -1", "[a b]"),
            ("ZRANGE z 0 -1 WITHSCORES", "[[a ,2] [b ,2.5]]"),
            ("ZREVRANGEBYSCORE z 9 2 WITHSCORES", "[[b ,2.5] [a ,2]]"),
            ("ZUNION 1 z WITHSCORES", "[[a ,2] [b ,2.5]]"),
            ("ZRANK z a WITHSCORE", "[0 ,2]"),
            ("ZRANK z nobody WITHSCORE", "nil"),
            ("ZRANDMEMBER z 5 WITHSCORES", "[[a ,2] [b ,2.5]]"),
            ("ZMPOP 1 z MAX", "[z [[b ,2.5]]]"),
            ("ZPOPMIN z", "[a ,2]"),
            ("ZADD z 1 a 2 b 3 c", "3"),
            ("ZPOPMAX z 2", "[[c ,3] [b ,2]]"),
            ("BZPOPMIN z 0", "[z a ,1]"),
            ("ZPOPMIN z", "[]"),
            ("ZMPOP 1 z MIN", "nil"),
        ],
    );
}

#[test]
fn encodings_follow_the_limits() {
    let server = Server::aedile(&[
        "--zset-max-ziplist-entries",
        "4",
        "--zset-max-listpack-value",
        "10",
    ]);
    let mut c = server.connect();
    let mut check = |lines: &[&str], encoding: &str| {
        for l in lines {
            assert!(!c.run(l).is_error(), "{l}");
        }
        let key = lines[lines.len() - 1].split(' ').nth(1).expect("a key");
        let got = c.run(&format!("OBJECT ENCODING {key}"));
        assert_eq!(got.text(), encoding, "{lines:?}");
    };
    check(&["ZADD a 1 a 2 b 3 c 4 d"], "listpack");
    check(&["ZADD a 1 e"], "skiplist");
    check(&["ZREM a a b c"], "skiplist");
    check(&["ZADD b 1 0123456789"], "listpack");
    check(&["ZADD b 1 01234567890"], "skiplist");
    check(&["ZADD c 1 a 1 a 1 a 1 a 1 a"], "skiplist");
    // A result takes the smaller form, whatever its source was.
    check(&["ZUNIONSTORE d 1 a"], "listpack");
    check(&["ZRANGESTORE e b 0 0"], "listpack");
    check(&["ZRANGESTORE e b 0 -1"], "skiplist");
    check(&["ZUNIONSTORE e 2 a b"], "skiplist");
    check(&["ZINTERSTORE e 2 b b"], "skiplist");
    check(&["ZDIFFSTORE e 2 b none"], "skiplist");
    check(&["COPY a f", "ZCARD f"], "skiplist");
}

#[test]
fn combinations() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    expect(
        &mut c,
        &[
            ("ZADD a 1 x 2 y 3 z", "3"),
            ("ZADD b 10 y 20 z 30 7", "3"),
            ("SADD s x 7 q", "3"),
            ("SADD i 7 8", "2"),
            ("ZUNION 2 a b WITHSCORES", "[x 1 y 12 z 23 7 30]"),
            ("ZUNION 3 a s i WITHSCORES", "[8 1 q 1 7 2 x 2 y 2 z 3]"),
            (
                "ZUNION 2 a b WEIGHTS 2 0.5 AGGREGATE MAX WITHSCORES",
                "[x 2 y 5 z 10 7 15]",
            ),
            ("ZINTER 2 a b AGGREGATE MIN WITHSCORES", "[y 2 z 3]"),
            ("ZINTER 2 b i", "[7]"),
            ("ZINTERCARD 2 a b", "2"),
            ("ZINTERCARD 2 a b LIMIT 1", "1"),
            ("ZDIFF 2 a b WITHSCORES", "[x 1]"),
            ("ZDIFF 2 a a", "[]"),
            ("ZDIFF 3 b a i WITHSCORES", "[]"),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 inf", "4"),
            ("ZRANGE d 0 0 WITHSCORES", "[x 1]"),
            ("ZADD m inf x -inf y", "2"),
            ("ZADD n -inf x 1 y", "2"),
            ("ZUNIONSTORE d 2 m n", "2"),
            ("ZRANGE d 0 -1 WITHSCORES", "[y -inf x 0]"),
            ("ZUNION 1 m WEIGHTS 0 WITHSCORES", "[x 0 y 0]"),
            ("ZINTERSTORE d 2 a none", "0"),
            ("EXISTS d", "0"),
            ("ZDIFFSTORE a 2 a b", "1"),
            ("ZRANGE a 0 -1", "[x]"),
        ],
    );
    for (command, error) in [
        (
            "ZUNION 0 a",
            "ERR at least 1 input key is needed for 'zunion' command",
        ),
        (
            "ZUNIONSTORE d -1 a",
            "ERR at least 1 input key is needed for 'zunionstore' command",
        ),
        ("ZUNION 3 a b", "ERR syntax error"),
        ("ZUNION 9223372036854775807 a b", "ERR syntax error"),
        ("ZUNION 1 a WEIGHTS x", "ERR weight value is not a float"),
        ("ZUNION 2 a b WEIGHTS 1", "ERR syntax error"),
        ("ZUNION 1 a AGGREGATE avg", "ERR syntax error"),
        ("ZUNIONSTORE d 1 a WITHSCORES", "ERR syntax error"),
        ("ZDIFF 1 a AGGREGATE MIN", "ERR syntax error"),
        ("ZINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
    ] {
        c.run(command).assert_error(error);
    }
    // Differences by the other way: many sets, much less in common.
    for i in 0..200 {
        c.run(&format!("ZADD big {i} m{i}"));
    }
    c.run("SADD t1 m1 m2");
    c.run("SADD t2 m3");
    assert_eq!(c.run("ZDIFFSTORE d 4 big t1 t2 none"), 197);
    assert_eq!(c.run("ZRANGE d 0 1").items()[1], "m4");
}

#[test]
fn a_large_set_keeps_its_order() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let n = 5000i64;
    for i in 0..n {
        let i = i * 1237 % n;
        c.run(&format!("ZADD z {} m{i:05}", i / 3));
    }
    assert_eq!(c.run("OBJECT ENCODING z"), "skiplist");
    let all = c.run("ZRANGE z 0 -1");
    let texts: Vec<String> = all.items().iter().map(Value::text).collect();
    let want: Vec<String> = (0..n).map(|i| format!("m{i:05}")).collect();
    assert!(texts == want);
    let mut reversed = c.run("ZRANGE z 0 -1 REV").items().to_vec();
    reversed.reverse();
    assert!(reversed == all.items());
    assert_eq!(c.run("ZRANK z m04321"), 4321);
    assert_eq!(c.run("ZCOUNT z 100 (200"), 300);
    assert_eq!(c.run("ZREMRANGEBYSCORE z 100 (200"), 300);
    assert_eq!(c.run("ZRANK z m04321"), 4021);
    assert_eq!(c.run("ZREMRANGEBYRANK z 10 -11"), n - 320);
    assert_eq!(c.run("ZRANGE z 10 10").items()[0].text(), "m04990");
    let pairs = c.run("ZRANDMEMBER z -100 WITHSCORES");
    for pair in pairs.items().chunks(2) {
        assert_eq!(c.run(&format!("ZSCORE z {}", pair[0].text())), pair[1]);
    }
    let mut seen = c.run("ZRANDMEMBER z 20").items().to_vec();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

#[test]
fn pops_and_waiting_clients() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    expect(
        &mut c,
        &[
            ("ZADD z 1 a 2 b 3 c 4 d", "4"),
            ("ZPOPMIN z", "[a 1]"),
            ("ZPOPMAX z 2", "[d 4 c 3]"),
            ("ZPOPMIN z 0", "[]"),
            ("ZMPOP 2 none z MIN COUNT 9", "[z [[b 2]]]"),
            ("EXISTS z", "0"),
            ("ZMPOP 1 z MIN", "nil"),
            ("BZPOPMIN z 0.01", "nil"),
            ("BZMPOP 0.01 1 z MAX", "nil"),
        ],
    );
    for (command, error) in [
        ("ZPOPMIN z -1", "value is out of range, must be positive"),
        ("ZPOPMIN z x", "value is out of range, must be positive"),
        ("ZPOPMIN z 1 2", "syntax error"),
        ("ZMPOP 0 z MIN", "numkeys should be greater than 0"),
        ("ZMPOP 2 z MIN", "syntax error"),
        ("ZMPOP 1 z LEFT", "syntax error"),
        ("ZMPOP 1 z MIN COUNT 0", "count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT 1 COUNT 1", "syntax error"),
        ("BZPOPMIN z -1", "timeout is negative"),
        ("BZMPOP x 1 z MIN", "timeout is not a float or out of range"),
    ] {
        c.run(command).assert_error(&format!("ERR {error}"));
    }
    let (mut first, mut second) = (server.connect(), server.connect());
    first.send(&["BZPOPMIN", "a", "b", "0"]);
    wait_blocked(&mut c, 1);
    second.send(&["BZMPOP", "0", "1", "b", "MAX", "COUNT", "2"]);
    wait_blocked(&mut c, 2);
    // A list is not what they wait for.
    c.run("RPUSH b x");
    c.run("DEL b");
    assert_eq!(c.run("ZADD b 1 x 2 y 3 z 4 w"), 4);
    assert_eq!(line(&first.read()), "[b x 1]");
    assert_eq!(line(&second.read()), "[b [[w 4] [z 3]]]");
    assert_eq!(line(&c.run("ZRANGE b 0 -1")), "[y]");
    // A result that is stored serves them too.
    first.send(&["BZPOPMAX", "d", "0"]);
    wait_blocked(&mut c, 1);
    assert_eq!(c.run("ZUNIONSTORE d 1 b"), 1);
    assert_eq!(line(&first.read()), "[d y 2]");
    // A transaction never waits.
    c.ok("MULTI");
    for l in ["BZPOPMIN none 0", "BZMPOP 0 1 none MIN"] {
        assert_eq!(c.run(l), "QUEUED");
    }
    assert_eq!(line(&c.run("EXEC")), "[nil nil]");
}

#[test]
fn events() {
    let server = Server::aedile(&["--notify-keyspace-events", "KEA"]);
    let (mut c, mut s) = (server.connect(), server.connect());
    s.run("PSUBSCRIBE __keyevent@0__:*");
    let mut expect = |command: &str, events: &[&str]| {
        assert!(!c.run(command).is_error(), "{command}");
        for e in events {
            let m = s.read();
            let got = format!(
                "{} {}",
                m.items()[2].text().trim_start_matches("__keyevent@0__:"),
                m.items()[3].text()
            );
            assert_eq!(got, *e, "{command}");
        }
        assert!(
            s.read_for(Duration::from_millis(20)).is_empty(),
            "{command}"
        );
    };
    expect("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", &["zadd z"]);
    expect("ZADD z 1 a", &[]);
    expect("ZADD z XX 1 nobody", &[]);
    expect("ZADD z INCR 1 a", &["zincr z"]);
    expect("ZINCRBY z 1 a", &["zincr z"]);
    expect("ZINCRBY z 0 a", &[]);
    expect("ZREM z nobody", &[]);
    expect("ZREM z f", &["zrem z"]);
    expect("ZRANGESTORE d z 0 -1", &["zrangestore d"]);
    expect("ZUNIONSTORE d 1 z", &["zunionstore d"]);
    expect("ZINTERSTORE d 2 z z", &["zinterstore d"]);
    expect("ZDIFFSTORE d 2 z none", &["zdiffstore d"]);
    expect("ZREMRANGEBYRANK d 0 0", &["zremrangebyrank d"]);
    expect("ZREMRANGEBYSCORE d -inf (3", &[]);
    expect("ZREMRANGEBYSCORE d -inf 3", &["zremrangebyscore d"]);
    expect("ZREMRANGEBYLEX d - +", &["zremrangebylex d", "del d"]);
    expect("ZDIFFSTORE z 1 none", &["del z"]);
    expect("ZADD z 1 a 2 b 3 c", &["zadd z"]);
    expect("ZPOPMIN z 0", &[]);
    expect("ZPOPMIN z", &["zpopmin z"]);
    expect("BZPOPMAX z 0", &["zpopmax z"]);
    expect("ZMPOP 1 z MAX", &["zpopmax z", "del z"]);
    expect("ZADD z 1 a", &["zadd z"]);
    expect("ZREM z a b", &["zrem z", "del z"]);
}

#[test]
fn what_is_propagated() {
    let server = Server::aedile(&["--repl-diskless-sync", "no"]);
    let mut waiting = server.connect();
    let got = stream_of(&server, |c| {
        c.run("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
        c.run("ZADD z 1 a");
        c.run("ZADD z XX 1 nobody");
        c.run("ZINCRBY z 1 a");
        c.run("ZPOPMIN z");
        c.run("ZMPOP 2 none z MAX");
        c.run("BZMPOP 0 1 z MIN COUNT 2");
        c.run("BZPOPMAX none z 0");
        c.run("ZREM z nobody");
        c.run("ZRANGESTORE d z 0 -1");
        c.run("ZDIFFSTORE d 1 none");
        c.run("ZDIFFSTORE d 1 none");
        c.run("ZREMRANGEBYSCORE z 100 200");
        c.run("ZREMRANGEBYSCORE z -inf inf");
        waiting.send(&["BZMPOP", "0", "1", "z", "MAX", "COUNT", "10"]);
        wait_blocked(c, 1);
        c.run("ZADD z 1 a 2 b");
        waiting.read();
    });
    let want = [
        "SELECT 0",
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f",
        "ZINCRBY z 1 a",
        "ZPOPMIN z",
        "ZPOPMAX z 1",
        "ZPOPMIN z 2",
        "ZPOPMAX z",
        "ZRANGESTORE d z 0 -1",
        "ZDIFFSTORE d 1 none",
        "ZREMRANGEBYSCORE z -inf inf",
        "ZADD z 1 a 2 b",
        "ZPOPMAX z 2",
    ];
    assert_eq!(got, want);
}

/// The sign of zero is kept where upstream keeps it: in a tree, however its members come; a listpack has none.
#[test]
fn negative_zero_survives() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    let long = "m".repeat(70);
    // The member that makes it a tree is the last one in a payload, which begins with the highest score.
    for (key, score) in [("low", "-5"), ("high", "5")] {
        let words = ["ZADD", key, score, &long, "-0", "a", "0", "b"];
        assert_eq!(c.cmd(&words), 3);
    }
    assert_eq!(c.run("ZADD small -0 a"), 1);
    let check = |c: &mut Conn, suffix: &str| {
        for (key, encoding, score) in [
            ("low", "skiplist", "-0"),
            ("high", "skiplist", "-0"),
            ("small", "listpack", "0"),
        ] {
            let key = format!("{key}{suffix}");
            assert_eq!(c.cmd(&["OBJECT", "ENCODING", &key]), encoding, "{key}");
            assert_eq!(c.cmd(&["ZSCORE", &key, "a"]), score, "{key}");
        }
        assert_eq!(c.run("ZSCORE low b"), "0");
    };
    check(&mut c, "");
    for key in ["low", "high", "small"] {
        let dump = c.cmd(&["DUMP", key]).bytes();
        let copy = format!("{key}2");
        c.cmd(&[&b"RESTORE"[..], copy.as_bytes(), b"0", &dump])
            .assert_ok();
    }
    check(&mut c, "2");
    c.ok("DEBUG RELOAD");
    check(&mut c, "");
    check(&mut c, "2");
    // A tree that has become small is a listpack again when it is loaded.
    assert_eq!(c.cmd(&["ZREM", "low", &long]), 1);
    assert_eq!(c.run("ZSCORE low a"), "-0");
    c.ok("DEBUG RELOAD");
    assert_eq!(c.run("OBJECT ENCODING low"), "listpack");
    assert_eq!(c.run("ZSCORE low a"), "0");
}
