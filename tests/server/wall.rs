//! What strangers send goes neither into others' replies nor into the log as more than a word, and secrets into no text at all.

use crate::support::conn;
use crate::support::server::{Scratch, run_to_end};
use crate::support::*;

/// Would end a reply or a line of the log, steer a terminal, end a C string, or break UTF-8.
const HOSTILE: [&[u8]; 5] = [
    b"\r\n-ERR injected\r\n+injected\r\n",
    b"\n4242:M 01 Jan 2026 00:00:00.000 # injected",
    b"\x1b[2Jinjected",
    b"a\0injected",
    b"\xff\xfe\x80injected",
];

/// They end the server or the connection, turn it into another kind, or answer with nothing; each is called by hand elsewhere.
const NOT_CALLED: [&str; 9] = [
    "shutdown", "debug", "monitor", "sync", "psync", "quit", "replconf", "failover", "client",
];

/// Every line of the log is one that the server began, without a control character.
#[track_caller]
fn assert_log_is_clean(log: &str) {
    for line in log.lines() {
        let pid = line.split(':').next().unwrap_or_default();
        assert!(
            !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) && pid != "4242",
            "{line:?}"
        );
        assert!(!line.bytes().any(|b| b.is_ascii_control()), "{line:?}");
    }
}

/// The next reply, and the bytes of it; both kinds of single lines hold no control characters.
fn next_reply(c: &mut Conn) -> Option<Value> {
    let (value, bytes) = c.try_read_bytes().ok()?;
    if matches!(bytes.first(), Some(b'+' | b'-')) {
        let line = &bytes[..bytes.len() - 2];
        assert!(
            !line.iter().any(|b| matches!(b, b'\r' | b'\n')),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    Some(value)
}

fn is_refused_to_subscriber(value: &Value) -> bool {
    value.is_error() && format!("{value:?}").contains("Can't execute 'echo'")
}

/// Calls a command, then asks for a word of our own: whatever comes before it is the command's.
fn call_and_find_again(server: &Server, c: &mut Conn, resp: &str, call: &[&[u8]], nth: usize) {
    let word = format!("here-{nth}");
    if c.try_write_raw(&conn::encode(call)).is_err()
        || c.try_write_raw(&conn::encode(&["ECHO", &word])).is_err()
    {
        *c = connect(server, resp);
        return;
    }
    for _ in 0..100 {
        match next_reply(c) {
            // Closed: its own right, as after a fault of the protocol.
            None => {
                *c = connect(server, resp);
                return;
            }
            Some(value) if value == word.as_str() => return,
            // A transaction, or a subscriber in RESP2.
            Some(value) if value == "QUEUED" || is_refused_to_subscriber(&value) => {
                *c = connect(server, resp);
                return;
            }
            Some(_) => {}
        }
    }
    panic!("{call:?}: ECHO was not answered");
}

fn connect(server: &Server, resp: &str) -> Conn {
    let mut c = server.connect();
    c.cmd(&["HELLO", resp]);
    c
}

#[test]
fn bytes_in_names_begin_no_reply_and_no_line_of_the_log() {
    let server = Server::aedile(&["--loglevel", "debug", "--maxmemory-clients", "0"]);
    let mut admin = server.connect();
    let mut names: Vec<String> = Vec::new();
    for name in admin.run("COMMAND LIST").items() {
        let name = name.text();
        if !NOT_CALLED.contains(&name.split('|').next().unwrap_or_default()) {
            names.push(name);
        }
    }
    assert!(names.len() > 200, "{}", names.len());
    let mut nth = 0;
    for resp in ["2", "3"] {
        let mut c = connect(&server, resp);
        for name in &names {
            for hostile in HOSTILE {
                for extra in 0..3 {
                    let mut call: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
                    call.resize(call.len() + extra, hostile);
                    nth += 1;
                    call_and_find_again(&server, &mut c, resp, &call, nth);
                }
            }
            // Blocked, subscribed, or in a transaction: the next one begins anew.
            c = connect(&server, resp);
        }
        for hostile in HOSTILE {
            for call in [
                &[hostile][..],
                &[hostile, hostile],
                &[b"CLIENT", hostile],
                &[b"CLIENT", b"SETNAME", hostile],
                &[b"CLIENT", b"SETINFO", b"lib-name", hostile],
                &[b"CLIENT", b"KILL", hostile],
                &[b"DEBUG", hostile],
                &[b"DEBUG", b"LOG", hostile],
                &[b"REPLICAOF", hostile, b"1"],
                &[b"REPLICAOF", b"NO", b"ONE"],
                &[b"CONFIG", b"SET", hostile, hostile],
                &[b"ACL", b"SETUSER", hostile, b"on"],
                &[b"ACL", b"SETUSER", b"u", hostile],
                &[b"AUTH", hostile, hostile],
                &[b"SCRIPT", b"LOAD", hostile],
                &[b"EVAL", hostile, b"0"],
                &[b"EVAL", b"return {err=ARGV[1]}", b"0", hostile],
                &[b"EVAL", b"return {ok=ARGV[1]}", b"0", hostile],
                &[b"EVAL", b"error(ARGV[1])", b"0", hostile],
                &[b"EVAL", b"redis.log(3, ARGV[1])", b"0", hostile],
                &[b"FUNCTION", b"LOAD", hostile],
                &[b"FCALL", hostile, b"0"],
                &[b"REPLCONF", hostile, hostile],
            ] {
                nth += 1;
                call_and_find_again(&server, &mut c, resp, call, nth);
                c = connect(&server, resp);
            }
        }
    }
    // Its own faults are told to the log in passing.
    let mut c = server.connect();
    let _ = c.try_write_raw(b"*1\r\n$-5\r\n\x1b[2J\r\ninjected\r\n");
    let _ = c.read_to_close();
    assert_eq!(admin.run("PING"), "PONG");
    assert_log_is_clean(&server.log());
}

#[test]
fn what_users_send_can_be_kept_out_of_the_log() {
    for hide in ["no", "yes"] {
        let mut server = Server::aedile(&[
            "--loglevel",
            "verbose",
            "--enable-debug-command",
            "yes",
            "--client-query-buffer-limit",
            "1mb",
        ]);
        let mut admin = server.connect();
        assert_eq!(admin.config_get("hide-user-data-from-log"), "no");
        admin.config_set("hide-user-data-from-log", hide);
        let mut c = server.connect();
        c.ok("CLIENT SETNAME precious-name");
        let _ = c.try_write_raw(b"*1\r\nprecious-request\r\n");
        let _ = c.read_to_close();
        server.wait_log("Protocol error (expected '$'");
        let mut c = server.connect();
        let _ = c.try_write_raw(b"*1000000\r\n");
        let part = b"$15\r\nprecious-buffer\r\n".repeat(4096);
        for _ in 0..16 {
            let _ = c.try_write_raw(&part);
        }
        let _ = c.read_to_close();
        server.wait_log("max query buffer length");
        let _ = admin.try_cmd(&["DEBUG", "SEGFAULT", "precious-argument"]);
        server.wait_exit();
        let log = server.log();
        assert!(log.contains("=== REDIS BUG REPORT END"), "{log}");
        let words = ["name", "request", "buffer", "argument"].map(|w| format!("precious-{w}"));
        let shown: Vec<_> = words.iter().filter(|w| log.contains(*w)).collect();
        match hide {
            "yes" => assert_eq!(shown, [""; 0], "{log}"),
            _ => assert_eq!(shown.len(), words.len(), "{shown:?} in {log}"),
        }
        assert_eq!(log.contains("skip logging stack content"), hide == "yes");
    }
}

#[test]
fn faults_of_the_configuration_show_no_secrets() {
    let scratch = Scratch::new();
    for (line, shown) in [
        ("requirepass sesame sesame", "requirepass (redacted)"),
        ("masterauth \"sesame", "masterauth (redacted)"),
        ("\"requirepass\" sesame x", "\"requirepass\" (redacted)"),
        ("user u on >sesame nonsense", "user u on >(redacted) "),
        ("user u on <sesame +@all", "user u on <(redacted) "),
    ] {
        let file = scratch.write("bad.conf", format!("port 0\nunixsocket x.sock\n{line}\n"));
        let ended = run_to_end(
            Kind::Aedile,
            scratch.path(),
            &[&file.to_string_lossy()],
            b"",
        );
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!ended.status.success(), "{said}");
        assert!(
            said.contains(shown) && !said.contains("sesame"),
            "{line}: {said}"
        );
    }
    let acl = scratch.write("users.acl", "user u on >sesame <wrong +nosuch\n");
    let ended = run_to_end(
        Kind::Aedile,
        scratch.path(),
        &[
            "--port",
            "0",
            "--unixsocket",
            "x.sock",
            "--aclfile",
            &acl.to_string_lossy(),
        ],
        b"",
    );
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        !ended.status.success() && said.contains("ACL errors"),
        "{said}"
    );
    assert!(
        !said.contains("sesame") && !said.contains("wrong"),
        "{said}"
    );
}

#[test]
fn nobody_can_know_where_a_key_will_lie() {
    let order = || {
        let server = Server::aedile(&[]);
        let mut c = server.connect();
        for i in 0..200 {
            c.ok(&format!("SET key:{i} x"));
        }
        let keys: Vec<String> = (0..200).map(|i| format!("member:{i}")).collect();
        c.cmd(&[vec!["SADD".to_string(), "s".into()], keys].concat());
        ["SCAN 0 COUNT 1000", "SSCAN s 0 COUNT 1000"].map(|call| format!("{:?}", c.run(call)))
    };
    let (one, other) = (order(), order());
    assert_ne!(one[0], other[0], "the keys of two processes");
    assert_ne!(one[1], other[1], "the members of two processes' sets");
}
