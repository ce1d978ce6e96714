//! The wire protocol: inline commands, pipelines, split arguments, limits, RESP3.

use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

#[test]
fn inline_commands() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (sent, wanted) in [
        (&b"PING\r\n"[..], &b"+PONG\r\n"[..]),
        (b"PING\n", b"+PONG\r\n"),
        (b"  PING  \r\n", b"+PONG\r\n"),
        (b"set k \"a\\x00\\r\\n\\\"b\"\r\n", b"+OK\r\n"),
        (b"get k\r\n", b"$6\r\na\0\r\n\"b\r\n"),
        (b"set k 'it\\'s'\r\n", b"+OK\r\n"),
        (b"GET k\r\n", b"$4\r\nit's\r\n"),
        (b"\r\n\r\nPING\r\n", b"+PONG\r\n"),
        (b"ECHO \"\"\r\n", b"$0\r\n\r\n"),
    ] {
        c.write_raw(sent);
        let got = c.read_exact(wanted.len()).expect("reply");
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(wanted),
            "{:?}",
            String::from_utf8_lossy(sent)
        );
    }
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn inline_unbalanced_quotes() {
    let server = Server::aedile(&[]);
    for line in [
        &b"SET k \"abc\r\n"[..],
        b"SET k \"a\"b\r\n",
        b"SET k 'abc\n",
    ] {
        let mut c = server.connect();
        c.write_raw(line);
        assert_eq!(
            String::from_utf8_lossy(&c.expect_close()),
            "-ERR Protocol error: unbalanced quotes in request\r\n"
        );
    }
}

/// What a server says to a malformed request before it closes.
#[test]
fn protocol_errors_close() {
    let server = Server::aedile(&[]);
    let mut long_count = b"*".to_vec();
    long_count.extend(std::iter::repeat_n(b'1', 70_000));
    let mut long_bulk = b"*1\r\n$".to_vec();
    long_bulk.extend(std::iter::repeat_n(b'1', 70_000));
    let cases: &[(&[u8], &str)] = &[
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$abc\r\n", "invalid bulk length"),
        (b"*1\r\n$ 4\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (&long_count, "too big mbulk count string"),
        (&long_bulk, "too big bulk count string"),
        (&[b'a'; 70_000], "too big inline request"),
    ];
    for (sent, error) in cases {
        let mut c = server.connect();
        // The server may close while bytes are still on the way.
        let _ = c.try_write_raw(sent);
        assert_eq!(
            String::from_utf8_lossy(&c.expect_close()),
            format!("-ERR Protocol error: {error}\r\n"),
            "{:?}",
            String::from_utf8_lossy(&sent[..sent.len().min(40)])
        );
    }
    assert_eq!(server.connect().run("PING"), "PONG");
}

/// Whom CLIENT REPLY keeps from hearing of it is closed all the same.
#[test]
fn a_protocol_error_closes_who_hears_nothing() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"CLIENT REPLY OFF\r\n*x\r\n");
    assert_eq!(c.expect_close(), b"");
    let mut c = server.connect();
    c.run(&format!("SET long {}", "x".repeat(3_000_000)));
    c.write_raw(b"STRLEN long\r\nGET long\r\nCLIENT REPLY OFF\r\n*x\r\n");
    let heard = c.expect_close();
    assert!(heard.starts_with(b":3000000\r\n$3000000\r\nx") && heard.ends_with(b"x\r\n"));
}

#[test]
fn commands_before_a_protocol_error_are_answered() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"*1\r\n$4\r\nPING\r\nSET a 1\r\n*1\r\n$-5\r\n");
    assert_eq!(
        String::from_utf8_lossy(&c.expect_close()),
        "+PONG\r\n+OK\r\n-ERR Protocol error: invalid bulk length\r\n"
    );
    assert_eq!(server.connect().run("GET a"), "1");
}

#[test]
fn unauthenticated_limits() {
    let server = Server::aedile(&["--requirepass", "secret"]);
    for (sent, error) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut c = server.connect();
        c.write_raw(sent);
        assert_eq!(
            String::from_utf8_lossy(&c.expect_close()),
            format!("-ERR Protocol error: {error}\r\n")
        );
    }
}

#[test]
fn empty_multibulks_are_skipped() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n");
    assert_eq!(c.read(), "PONG");
}

#[test]
fn a_command_cut_at_every_byte() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let value = "v\r\n*1\r\n".repeat(3);
    let set = encode(&["SET", "key", &value]);
    for cut in 1..set.len() {
        c.write_raw(&set[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        c.write_raw(&set[cut..]);
        c.read().assert_ok();
        c.write_raw(&encode(&["GETDEL", "key"]));
        assert_eq!(c.read(), value.as_str(), "cut at {cut}");
    }
    let inline = b"SET ikey \"a b\"\r\n";
    for cut in 1..inline.len() {
        c.write_raw(&inline[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        c.write_raw(&inline[cut..]);
        c.read().assert_ok();
        assert_eq!(c.run("GETDEL ikey"), "a b", "cut at {cut}");
    }
}

#[test]
fn one_byte_at_a_time() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut stream = encode(&["SET", "a", "1"]);
    stream.extend(b"INCR a\r\n");
    stream.extend(encode(&["GET", "a"]));
    for b in stream {
        c.write_raw(&[b]);
    }
    c.read().assert_ok();
    assert_eq!(c.read(), 2);
    assert_eq!(c.read(), "2");
}

#[test]
fn pipelines_keep_order() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let cmds: Vec<Vec<String>> = (0..20_000)
        .map(|i| vec!["ECHO".into(), format!("{i}-{}", "x".repeat(i % 97))])
        .collect();
    // Written from another thread, or both sides' buffers may fill.
    let mut bytes = Vec::new();
    for cmd in &cmds {
        bytes.extend(encode(cmd));
    }
    let mut sender = c.try_clone().expect("clone");
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_raw(&bytes));
        for cmd in &cmds {
            assert_eq!(c.read(), cmd[1].as_str());
        }
    });
}

#[test]
fn big_values() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for len in [
        16_383, 16_384, 32_767, 32_768, 65_536, 1_000_000, 20_000_000,
    ] {
        let value: Vec<u8> = Rng(len as u64).bytes(len);
        c.cmd(&[&b"SET"[..], b"big", &value]).assert_ok();
        assert_eq!(c.run("STRLEN big"), len as i64);
        assert!(c.run("GET big").bytes() == value, "value of {len} bytes");
    }
    assert_eq!(c.run("DEL big"), 1);
}

#[test]
fn proto_max_bulk_len() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.config_set("proto-max-bulk-len", "2000000");
    let mut other = server.connect();
    other.write_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000001\r\n");
    assert_eq!(
        String::from_utf8_lossy(&other.expect_close()),
        "-ERR Protocol error: invalid bulk length\r\n"
    );
    c.run("SETRANGE k 2000000 x")
        .assert_error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

#[test]
fn query_buffer_limit() {
    let server = Server::aedile(&["--client-query-buffer-limit", "1mb"]);
    let mut c = server.connect();
    let _ = c.try_write_raw(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    let _ = c.try_write_raw(&vec![b'x'; 2_900_000]);
    assert_eq!(c.expect_close(), b"");
    server.wait_log("Closing client that reached max query buffer length");
}

#[test]
fn unknown_commands_and_arity() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.cmd(&["NOSUCH", "a", "b"])
        .assert_error("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ");
    c.cmd(&["NOSUCH"])
        .assert_error("ERR unknown command 'NOSUCH', with args beginning with: ");
    c.cmd(&["x\r\ny", "a\nb"])
        .assert_error("ERR unknown command 'x  y', with args beginning with: 'a b' ");
    let long = "z".repeat(300);
    c.cmd(&["NOSUCH", &long, &long]).assert_error(&format!(
        "ERR unknown command 'NOSUCH', with args beginning with: '{}' ",
        "z".repeat(128)
    ));
    c.cmd(&[&long]).assert_error(&format!(
        "ERR unknown command '{}', with args beginning with: ",
        "z".repeat(128)
    ));
    c.run("GET")
        .assert_error("ERR wrong number of arguments for 'get' command");
    c.run("gEt a b")
        .assert_error("ERR wrong number of arguments for 'get' command");
    c.run("CLIENT NOSUCH")
        .assert_error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.");
    c.run("CLIENT SETNAME")
        .assert_error("ERR wrong number of arguments for 'client|setname' command");
    c.cmd(&[""])
        .assert_error("ERR unknown command '', with args beginning with: ");
}

#[test]
fn hello_and_resp3() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("HELLO 4")
        .assert_error("NOPROTO unsupported protocol version");
    c.run("HELLO x")
        .assert_error("ERR Protocol version is not an integer or out of range");
    c.run("HELLO 2 NOSUCH")
        .assert_error("ERR Syntax error in HELLO option 'NOSUCH'");
    let reply = c.run("HELLO");
    assert!(matches!(reply, Value::Array(_)), "{reply:?}");
    let reply = c.run("HELLO 3 SETNAME me");
    let Value::Map(pairs) = &reply else {
        panic!("not a map: {reply:?}");
    };
    let keys: Vec<String> = pairs.iter().map(|p| p.0.text()).collect();
    assert_eq!(
        keys,
        [
            "server", "version", "proto", "id", "mode", "role", "modules"
        ]
    );
    assert_eq!(pairs[0].1, "redis");
    assert_eq!(pairs[2].1, 3);
    assert_eq!(pairs[4].1, "standalone");
    assert_eq!(pairs[5].1, "master");
    assert_eq!(c.run("CLIENT GETNAME"), "me");
    assert_eq!(c.run("GET none"), Value::Null);
    assert!(matches!(c.run("CONFIG GET port"), Value::Map(_)));
    assert!(matches!(c.run("INFO server"), Value::Verbatim(ref v) if v.starts_with(b"txt:")));
    assert!(matches!(c.run("INCRBYFLOAT f 1.5"), Value::Bulk(ref v) if v == b"1.5"));
    // A bare HELLO keeps the protocol.
    assert!(matches!(c.run("HELLO"), Value::Map(_)));
    assert!(matches!(c.run("HELLO 2"), Value::Array(_)));
    assert_eq!(c.run("GET none"), Value::NullBulk);
    assert!(matches!(c.run("INFO server"), Value::Bulk(_)));
}

#[test]
fn hello_with_auth() {
    let server = Server::aedile(&["--requirepass", "secret"]);
    let mut c = server.connect();
    c.run("HELLO 3")
        .assert_error_prefix("NOAUTH HELLO must be called with the client already authenticated");
    c.run("HELLO 3 AUTH default wrong")
        .assert_error("WRONGPASS invalid username-password pair or user is disabled.");
    c.run("PING")
        .assert_error("NOAUTH Authentication required.");
    assert!(matches!(
        c.run("HELLO 3 AUTH default secret"),
        Value::Map(_)
    ));
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn reset_and_quit() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SELECT 3");
    c.ok("CLIENT SETNAME x");
    assert!(matches!(c.run("HELLO 3"), Value::Map(_)));
    assert_eq!(c.run("RESET"), "RESET");
    assert_eq!(c.run("CLIENT GETNAME"), Value::NullBulk);
    assert!(c.run("CLIENT INFO").text().contains(" db=0 "));
    c.send(&["QUIT"]);
    assert_eq!(c.expect_close(), b"+OK\r\n");
    // What follows QUIT in a pipeline is not executed.
    let mut c = server.connect();
    c.write_raw(b"QUIT\r\nSET after quit\r\n");
    assert_eq!(c.expect_close(), b"+OK\r\n");
    assert_eq!(server.connect().run("EXISTS after"), 0);
}

#[test]
fn half_close_is_answered() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"SET half 1\r\n");
    c.read().assert_ok();
    c.shutdown_write();
    assert_eq!(c.expect_close(), b"");
    assert_eq!(server.connect().run("GET half"), "1");
}

#[test]
fn http_is_refused() {
    let server = Server::aedile(&[]);
    for first in [
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
    ] {
        let mut c = server.connect();
        c.write_raw(first.as_bytes());
        c.write_raw(b"SET evil 1\r\n");
        c.expect_close();
    }
    server.wait_log("Possible SECURITY ATTACK detected");
    assert_eq!(server.connect().run("EXISTS evil"), 0);
}

#[test]
fn select_and_swapdb_bounds() {
    let server = Server::aedile(&["--databases", "4"]);
    let mut c = server.connect();
    c.ok("SELECT 3");
    c.run("SELECT 4")
        .assert_error("ERR DB index is out of range");
    c.run("SELECT x")
        .assert_error("ERR value is not an integer or out of range");
    c.ok("SET k 3");
    c.ok("SWAPDB 0 3");
    assert_eq!(c.run("EXISTS k"), 0);
    c.ok("SELECT 0");
    assert_eq!(c.run("GET k"), "3");
    c.run("SWAPDB 0 4")
        .assert_error("ERR DB index is out of range");
}

/// Above so many keys the requests of a pipeline run in groups: the answers are those that they get one by one, whatever the
/// requests are and wherever a segment ends.
#[test]
fn pipelines_over_many_keys() {
    let many = Server::aedile(&["--enable-debug-command", "yes"]);
    let few = Server::aedile(&[]);
    many.connect().ok("DEBUG POPULATE 200000 filler 8");
    let mut pipeline = Vec::new();
    for i in 0..600usize {
        let key = format!("key:{}", i * 7 % 50);
        pipeline.extend(match i * 7919 % 17 {
            0 => encode(&["SET", &key, &"v".repeat(990 + i % 20)]),
            1 => b"PING inline\r\n\r\n".to_vec(),
            2 => [
                encode(&["MULTI"]),
                encode(&["INCR", "n"]),
                encode(&["EXEC"]),
            ]
            .concat(),
            3 => encode(&["GET"]),
            4 => encode(&["SET", "big", &"b".repeat(40_000)]),
            5 => encode(&["STRLEN", "big"]),
            6 => encode(&["NO", "SUCH"]),
            7 => [
                encode(&["SELECT", "1"]),
                encode(&["INCR", "n"]),
                encode(&["SELECT", "0"]),
            ]
            .concat(),
            8 => encode(&["RPUSH", "list", &key]),
            9 => encode(&["BLPOP", "list", "0.01"]),
            10 => encode(&["DEL", &key]),
            _ => encode(&["GET", &key]),
        });
    }
    pipeline.extend(encode(&["QUIT"]));
    pipeline.extend(encode(&["SET", "after", "quit"]));
    let answers = |server: &Server, step: usize| {
        let mut c = server.connect();
        let mut writer = c.try_clone().expect("a second handle");
        let bytes = pipeline.clone();
        let writing = std::thread::spawn(move || {
            bytes.chunks(step).for_each(|part| {
                let _ = writer.try_write_raw(part);
            });
        });
        let got = c.expect_close();
        writing.join().expect("the writer");
        got
    };
    let expected = answers(&few, usize::MAX);
    assert!(expected.ends_with(b"+OK\r\n") && expected.len() > 20_000);
    assert_eq!(answers(&many, 3001).len(), expected.len());
    let mut c = many.connect();
    assert_eq!(c.run("EXISTS after"), 0);
    for again in [1 << 14, 100, usize::MAX] {
        for (s, step) in [(&few, usize::MAX), (&many, again)] {
            let mut c = s.connect();
            c.run("DEL n list big");
            (0..50).for_each(|i| drop(c.run(&format!("DEL key:{i}"))));
            c.ok("SELECT 1");
            c.run("DEL n");
            assert!(answers(s, step) == expected, "in steps of {step}");
        }
    }
}

/// First lines of requests that have not ended, as far as they may come.
const HALF_HEADERS: &[&[u8]] = &[
    b"*",
    b"*1234567890",
    b"*1234567890\r",
    b"*16385",
    b"*10000000000000000000000000000000000000000",
];

/// A connection that has sent the beginning of a request, and the server has read it.
fn half_sent(server: &Server, head: &[u8]) -> Conn {
    let mut half = server.connect();
    half.write_raw(head);
    let mut other = server.connect();
    for _ in 0..2 {
        // As a multi-bulk: what is inline, or long, is looked at in another way.
        let _ = other.run("PING");
    }
    half
}

/// What has come of a request's first line is its connection's alone, with or without a password.
#[test]
fn a_header_that_has_not_ended_stays_with_its_connection() {
    for password in [false, true] {
        let args: &[&str] = if password {
            &["--requirepass", "secret"]
        } else {
            &[]
        };
        let server = Server::aedile(args);
        let mut known = server.connect();
        if password {
            known.ok("AUTH secret");
        }
        for head in HALF_HEADERS {
            let shown = String::from_utf8_lossy(head);
            // Who has not authenticated yet gets an answer, and can do so.
            let _half = half_sent(&server, head);
            let mut c = server.connect();
            c.write_raw(b"PING\r\n");
            let wanted: &[u8] = match password {
                true => b"-NOAUTH Authentication required.",
                false => b"+PONG",
            };
            assert_eq!(c.read_line().expect("a reply"), wanted, "{shown}");
            let _half = half_sent(&server, head);
            c.write_raw(b"AUTH secret\r\n");
            assert_eq!(c.read().is_error(), !password, "{shown}");

            // Two requests are two.
            known.ok("SET x 1");
            known.ok("SET precious 1");
            let _half = half_sent(&server, head);
            known.write_raw(b"DEL x\r\nEXISTS precious\r\n");
            assert_eq!((known.read(), known.read()), (Value::Int(1), Value::Int(1)));

            // A count that is too long for the short way.
            let mut many: Vec<String> = vec!["EXISTS".into()];
            many.extend(std::iter::repeat_n("precious".into(), 16_385));
            let _half = half_sent(&server, head);
            assert_eq!(known.cmd(&many), 16_385, "{shown}");

            // An empty line, which a replica sends while it loads, is one by itself.
            let _half = half_sent(&server, head);
            known.write_raw(b"\n");
            known.write_raw(&encode(&["ECHO", "a", "b", "c"]));
            known
                .read()
                .assert_error("ERR wrong number of arguments for 'echo' command");
            known.write_raw(b"\n*1\r\n$4\r\nPING\r\n");
            assert_eq!(known.read(), "PONG", "{shown}");
        }
    }
}

/// The end of a first line is looked for where the search has stopped, however often it stops, and a peer that goes away
/// meanwhile leaves nothing.
#[test]
fn a_header_that_comes_in_pieces_is_one() {
    let server = Server::aedile(&[]);
    let mut many: Vec<String> = vec!["EXISTS".into()];
    many.extend(std::iter::repeat_n("k".into(), 16_399));
    let request = encode(&many);
    for cut in 0..b"*16400\r\n".len() {
        let mut c = half_sent(&server, &request[..cut]);
        drop(half_sent(&server, b"*99999"));
        c.write_raw(&request[cut..cut + 1]);
        drop(half_sent(&server, b"*9999\r"));
        c.write_raw(&request[cut + 1..]);
        assert_eq!(c.read(), 0, "cut at {cut}");
        assert_eq!(c.run("PING"), "PONG");
    }
}

/// Within one read, too, a request is judged by what the one before it has left.
#[test]
fn limits_follow_auth_and_reset() {
    let server = Server::aedile(&["--requirepass", "secret"]);
    let many = encode(&["EXISTS"; 12]);
    let mut c = server.connect();
    c.write_raw(&[b"AUTH secret\r\n", &many[..]].concat());
    c.read().assert_ok();
    assert_eq!(c.read(), 0);
    c.write_raw(&[b"RESET\r\n", &many[..]].concat());
    assert_eq!(
        String::from_utf8_lossy(&c.expect_close()),
        "+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n"
    );
    let mut c = server.connect();
    c.ok("AUTH secret");
    let (set, fat) = (
        encode(&["CONFIG", "SET", "proto-max-bulk-len", "1048576"]),
        b"*2\r\n$4\r\nECHO\r\n$1048577\r\n",
    );
    c.write_raw(&[&set[..], fat].concat());
    assert_eq!(
        String::from_utf8_lossy(&c.expect_close()),
        "+OK\r\n-ERR Protocol error: invalid bulk length\r\n"
    );
}

/// The answer is kept once it was given; each protocol has one of its own.
#[test]
fn the_list_of_all_commands_is_the_same_each_time() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut other = server.connect();
    let count = usize::try_from(c.run("COMMAND COUNT").int()).expect("a count");
    for hello in ["HELLO 2", "HELLO 3", "HELLO 2"] {
        c.run(hello);
        other.run(hello);
        let first = c.run("COMMAND");
        assert_eq!(first.items().len(), count);
        assert_eq!(other.run("COMMAND"), first);
        assert_eq!(c.run("COMMAND INFO"), first);
        for one in first.items() {
            let name = one.items()[0].text();
            assert_eq!(c.run(&format!("COMMAND INFO {name}")).items()[0], *one);
        }
    }
    // Who wants no replies gets none, and what others get is whole.
    let quiet = Server::aedile(&[]);
    let mut c = quiet.connect();
    c.write_raw(&encode(&["CLIENT", "REPLY", "SKIP"]));
    c.write_raw(&encode(&["COMMAND"]));
    assert_eq!(c.run("PING"), "PONG");
    assert_eq!(c.run("COMMAND").items().len(), count);
    assert_eq!(c.run("PING"), "PONG");
}
