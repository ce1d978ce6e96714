//! Clients: CLIENT commands, AUTH, MONITOR, SLOWLOG, limits and time-outs.

use std::collections::BTreeMap;

use crate::support::*;

/// Fields of a CLIENT INFO or CLIENT LIST line.
fn fields(line: &str) -> BTreeMap<String, String> {
    line.split_whitespace()
        .filter_map(|f| f.split_once('='))
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

#[test]
fn client_info_and_list() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SELECT 2");
    c.ok("CLIENT SETNAME conn-1");
    let info = c.run("CLIENT INFO").text();
    assert!(info.ends_with('\n'), "{info:?}");
    let mut order = vec![
        "id",
        "addr",
        "laddr",
        "fd",
        "name",
        "age",
        "idle",
        "flags",
        "db",
        "sub",
        "psub",
        "ssub",
        "multi",
        "qbuf",
        "qbuf-free",
        "argv-mem",
        "multi-mem",
        "rbs",
        "rbp",
        "obl",
        "oll",
        "omem",
        "tot-mem",
        "events",
        "cmd",
        "user",
        "redir",
        "resp",
    ];
    if has_72() {
        order.extend(["lib-name", "lib-ver"]);
    }
    let names: Vec<&str> = info
        .split_whitespace()
        .filter_map(|f| f.split('=').next())
        .collect();
    assert_eq!(names, order);
    let f = fields(&info);
    assert_eq!(f["name"], "conn-1");
    assert_eq!(f["addr"], c.local_addr());
    assert_eq!(f["laddr"], format!("127.0.0.1:{}", server.port));
    assert_eq!(f["db"], "2");
    assert_eq!(f["flags"], "N");
    assert_eq!(f["cmd"], "client|info");
    assert_eq!(f["user"], "default");
    assert_eq!(f["resp"], "2");
    assert_eq!(f["multi"], "-1");
    assert_eq!(c.run("CLIENT ID").int().to_string(), f["id"]);

    let mut other = server.connect();
    let other_id = other.run("CLIENT ID").int();
    assert!(other_id > c.run("CLIENT ID").int());
    assert_eq!(c.run("CLIENT LIST").text().lines().count(), 2);
    let list = c.run(&format!("CLIENT LIST ID {other_id} 999999")).text();
    assert_eq!(list.lines().count(), 1);
    assert_eq!(fields(&list)["id"], other_id.to_string());
    assert_eq!(c.run("CLIENT LIST TYPE normal").text().lines().count(), 2);
    assert_eq!(c.run("CLIENT LIST TYPE replica").text().lines().count(), 0);
    c.run("CLIENT LIST TYPE nope")
        .assert_error("ERR Unknown client type 'nope'");
    c.run("CLIENT LIST ID x")
        .assert_error("ERR Invalid client ID");
    c.run("CLIENT LIST BAD").assert_error("ERR syntax error");
    assert_eq!(c.info_int("connected_clients"), 2);
}

#[test]
fn client_names() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("CLIENT GETNAME"), Value::NullBulk);
    let refusal = "ERR Client names cannot contain spaces, newlines or special characters.";
    c.cmd(&["CLIENT", "SETNAME", "a b"]).assert_error(refusal);
    c.cmd(&["CLIENT", "SETNAME", "a\n"]).assert_error(refusal);
    c.ok("CLIENT SETNAME ok");
    assert_eq!(c.run("CLIENT GETNAME"), "ok");
    c.cmd(&["CLIENT", "SETNAME", ""]).assert_ok();
    assert_eq!(c.run("CLIENT GETNAME"), Value::NullBulk);
}

#[test]
fn client_setinfo() {
    if !has_72() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CLIENT SETINFO LIB-NAME mylib");
    c.ok("CLIENT SETINFO lib-ver 1.2");
    let f = fields(&c.run("CLIENT INFO").text());
    assert_eq!(
        (f["lib-name"].as_str(), f["lib-ver"].as_str()),
        ("mylib", "1.2")
    );
    c.cmd(&["CLIENT", "SETINFO", "LIB-NAME", "a b"])
        .assert_error("ERR LIB-NAME cannot contain spaces, newlines or special characters.");
    c.run("CLIENT SETINFO what 1")
        .assert_error("ERR Unrecognized option 'what'");
}

#[test]
fn client_kill() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut a = server.connect();
    a.ok("CLIENT SETNAME victim");
    let id = a.run("CLIENT ID").int();
    assert_eq!(c.run(&format!("CLIENT KILL ID {id}")), 1);
    assert_eq!(a.expect_close(), b"");
    assert_eq!(c.run(&format!("CLIENT KILL ID {id}")), 0);

    let mut a = server.connect();
    a.run("PING");
    c.ok(&format!("CLIENT KILL {}", a.local_addr()));
    assert_eq!(a.expect_close(), b"");
    c.run("CLIENT KILL 127.0.0.1:1")
        .assert_error("ERR No such client");
    c.run("CLIENT KILL ID abc")
        .assert_error("ERR client-id should be greater than 0");
    c.run("CLIENT KILL WHAT x").assert_error("ERR syntax error");
    c.run("CLIENT KILL TYPE nope")
        .assert_error("ERR Unknown client type 'nope'");
    c.run("CLIENT KILL USER nobody")
        .assert_error("ERR No such user 'nobody'");

    // By default the caller is spared; SKIPME no closes it after the reply.
    let mut a = server.connect();
    a.run("PING");
    assert_eq!(c.run("CLIENT KILL TYPE normal"), 1);
    assert_eq!(a.expect_close(), b"");
    c.run("CLIENT KILL TYPE normal SKIPME maybe")
        .assert_error("ERR syntax error");
    c.send(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]);
    assert_eq!(c.expect_close(), b":1\r\n");
}

#[test]
fn client_reply() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.write_raw(b"CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n");
    assert_eq!(c.read(), "1");
    c.write_raw(b"CLIENT REPLY OFF\r\nSET a 2\r\nGET a\r\nNOSUCH\r\nCLIENT REPLY ON\r\n");
    c.read().assert_ok();
    assert_eq!(c.run("GET a"), "2");
    c.run("CLIENT REPLY MAYBE").assert_error("ERR syntax error");
}

#[test]
fn client_pause() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut w = server.connect();
    c.ok("CLIENT PAUSE 100000 WRITE");
    w.send(&["SET", "k", "v"]);
    assert_eq!(c.run("GET k"), Value::NullBulk);
    assert!(w.read_for(std::time::Duration::from_millis(100)).is_empty());
    c.ok("CLIENT UNPAUSE");
    w.read().assert_ok();
    c.run("CLIENT PAUSE x")
        .assert_error("ERR timeout is not an integer or out of range");
    c.run("CLIENT PAUSE -1")
        .assert_error("ERR timeout is negative");
    // A pause ends by itself.
    c.ok("CLIENT PAUSE 50 ALL");
    w.run("SET k w").assert_ok();
}

#[test]
fn client_no_evict_and_touch() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CLIENT NO-EVICT on");
    assert!(fields(&c.run("CLIENT INFO").text())["flags"].contains('e'));
    c.ok("CLIENT NO-EVICT off");
    assert!(!fields(&c.run("CLIENT INFO").text())["flags"].contains('e'));
    c.run("CLIENT NO-EVICT maybe")
        .assert_error("ERR syntax error");
    if has_72() {
        c.ok("CLIENT NO-TOUCH on");
        assert!(fields(&c.run("CLIENT INFO").text())["flags"].contains('T'));
    }
}

#[test]
fn auth() {
    let server = Server::aedile(&["--requirepass", "secret"]);
    let mut c = server.connect();
    c.run("GET k")
        .assert_error("NOAUTH Authentication required.");
    c.run("AUTH wrong")
        .assert_error("WRONGPASS invalid username-password pair or user is disabled.");
    c.run("AUTH nobody secret")
        .assert_error("WRONGPASS invalid username-password pair or user is disabled.");
    c.run("AUTH a b c").assert_error("ERR syntax error");
    c.ok("AUTH secret");
    c.ok("SET k v");
    let mut d = server.connect();
    d.ok("AUTH default secret");
    // A new password does not throw out those who are in.
    d.config_set("requirepass", "other");
    c.ok("SET k w");
    let mut e = server.connect();
    e.run("AUTH secret").assert_error_prefix("WRONGPASS ");
    e.ok("AUTH other");
    e.config_set("requirepass", "");
    assert_eq!(server.connect().run("GET k"), "w");
    e.run("AUTH x").assert_error_prefix(
        "ERR AUTH <password> called without any password configured for the default user.",
    );
}

#[test]
fn monitor() {
    let server = Server::aedile(&[]);
    let mut m = server.connect();
    m.ok("MONITOR");
    let mut c = server.connect();
    c.ok("SELECT 3");
    c.cmd(&[&b"SET"[..], b"k\"\n", b"\x00\x07\\v"]).assert_ok();
    c.run("AUTH geheim");
    c.run("GET k");
    // A command is shown as it ends: SELECT already with its new database.
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|l: &String| l.contains("\"GET\"")) {
        lines.push(m.read().text());
    }
    // `1700000000.123456 [3 127.0.0.1:1234] "SET" "k\"\n" ...`
    let set = lines.iter().find(|l| l.contains("\"SET\"")).expect("SET");
    let (time, rest) = set.split_once(' ').expect("time");
    let (secs, micros) = time.split_once('.').expect("micros");
    assert!(secs.parse::<u64>().is_ok() && micros.len() == 6, "{set}");
    assert_eq!(
        rest,
        format!(
            "[3 {}] \"SET\" \"k\\\"\\n\" \"\\x00\\a\\\\v\"",
            c.local_addr()
        )
    );
    assert!(
        lines.iter().any(|l| l.ends_with(r#""AUTH" "(redacted)""#)),
        "{lines:?}"
    );
    assert!(lines.iter().all(|l| !l.contains("geheim")), "{lines:?}");
    assert!(
        lines[0].contains("[3 ") && lines[0].contains("\"SELECT\" \"3\""),
        "{lines:?}"
    );
    assert!(
        fields(c.run("CLIENT LIST").text().lines().next().expect("line"))["flags"].contains('O')
    );
}

#[test]
fn slowlog() {
    let server = Server::aedile(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "4"]);
    let mut c = server.connect();
    c.ok("CLIENT SETNAME slow");
    c.ok("SLOWLOG RESET");
    c.ok("SET k v");
    let log = c.run("SLOWLOG GET");
    let entries = log.items();
    // RESET is logged by its own end, then SET.
    let newest = entries[0].items();
    assert_eq!(newest.len(), 6);
    assert_eq!(
        newest[3].items(),
        [
            Value::Bulk(b"SET".to_vec()),
            Value::Bulk(b"k".to_vec()),
            Value::Bulk(b"v".to_vec())
        ]
    );
    assert_eq!(newest[4].text(), c.local_addr());
    assert_eq!(newest[5], "slow");
    let id = newest[0].int();
    for i in 0..10 {
        c.ok(&format!("SET k{i} v"));
    }
    assert_eq!(c.run("SLOWLOG LEN"), 4);
    let log = c.run("SLOWLOG GET 2");
    assert_eq!(log.items().len(), 2);
    assert!(log.items()[0].items()[0].int() > id + 9);
    assert_eq!(c.run("SLOWLOG GET -1").items().len(), 4);
    c.run("SLOWLOG GET -2")
        .assert_error("ERR count should be greater than or equal to -1");
    // Long argument lists and arguments are cut.
    let many: Vec<String> = (0..40).map(|i| format!("a{i}")).collect();
    let mut del = vec!["DEL".to_string()];
    del.extend(many);
    c.cmd(&del);
    let log = c.run("SLOWLOG GET 1");
    let args = log.items()[0].items()[3].items();
    assert_eq!(args.len(), 32);
    assert_eq!(args[31], "... (10 more arguments)");
    c.cmd(&["SET", "k", &"x".repeat(200)]).assert_ok();
    let log = c.run("SLOWLOG GET 1");
    let arg = log.items()[0].items()[3].items()[2].text();
    assert_eq!(arg, format!("{}... (72 more bytes)", "x".repeat(128)));
    c.config_set("slowlog-log-slower-than", "-1");
    c.ok("SLOWLOG RESET");
    c.ok("SET k v");
    assert_eq!(c.run("SLOWLOG LEN"), 0);
}

#[test]
fn maxclients() {
    let server = Server::aedile(&["--maxclients", "3"]);
    let mut held = vec![server.connect()];
    // The connection that has seen the server start counts until the server notices its end.
    wait_until("to be the only client", || {
        held[0].info_int("connected_clients") == 1
    });
    held.extend((0..2).map(|_| server.connect()));
    for c in &mut held {
        assert_eq!(c.run("PING"), "PONG");
    }
    let mut extra = server.connect();
    assert_eq!(
        String::from_utf8_lossy(&extra.expect_close()),
        "-ERR max number of clients reached\r\n"
    );
    assert_eq!(held[0].info_int("rejected_connections"), 1);
    held.pop();
    wait_until("a free slot", || {
        server
            .connect()
            .try_cmd(&["PING"])
            .is_ok_and(|v| v == "PONG")
    });
}

/// Out of descriptors: those who have connected meanwhile are served when there are some again.
#[test]
fn accepting_goes_on() {
    let server = Server::aedile(&[]);
    let last = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("proc");
        fds.filter_map(|f| f.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .filter(|fd| *fd < 200)
            .max()
            .expect("descriptors")
    };
    let most = last() + 5;
    let status = std::process::Command::new("prlimit")
        .arg(format!("--pid={}", server.pid()))
        .arg(format!("--nofile={}", most + 1))
        .status()
        .expect("prlimit");
    assert!(status.success());
    let mut all: Vec<Conn> = (0..20).map(|_| server.connect()).collect();
    for c in &mut all {
        c.send(&["PING"]);
    }
    // The log's file cannot be opened either, so there is nothing to be seen there.
    wait_until("descriptors to be used up", || last() == most);
    let mut late = all.split_off(19);
    // Room comes one by one; each who waited is served, without anybody else connecting.
    for mut c in all {
        assert_eq!(c.read(), "PONG");
    }
    assert_eq!(late[0].read(), "PONG");
}

#[test]
fn idle_timeout() {
    let server = Server::aedile(&["--timeout", "1"]);
    let mut c = server.connect();
    c.run("PING");
    // Ends by the server's close, or the read bound trips.
    assert_eq!(c.expect_close(), b"");
}

#[test]
fn output_buffer_hard_limit() {
    let server = Server::aedile(&["--client-output-buffer-limit", "normal 2mb 0 0"]);
    let mut c = server.connect();
    c.cmd(&["SET", "big", &"x".repeat(500_000)]).assert_ok();
    let mut slow = server.connect();
    slow.ok("CLIENT SETNAME slow");
    let mut gets = Vec::new();
    for _ in 0..100 {
        gets.extend_from_slice(b"GET big\r\n");
    }
    let _ = slow.try_write_raw(&gets);
    wait_until("the slow client's end", || {
        !c.run("CLIENT LIST").text().contains("name=slow")
    });
    server.wait_log("closed ASAP for overcoming of output buffer limits.");
    // Under the limit nothing happens.
    let mut fine = server.connect();
    fine.write_raw(b"GET big\r\nGET big\r\n");
    assert_eq!(fine.read().text().len(), 500_000);
    assert_eq!(fine.read().text().len(), 500_000);
}

/// The limit holds within one batch of requests as well: the rest of it does not run.
#[test]
fn output_buffer_limit_within_a_pipeline() {
    let server = Server::aedile(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut c = server.connect();
    c.cmd(&["SET", "k", &"x".repeat(30_000)]).assert_ok();
    let mut greedy = server.connect();
    greedy.write_raw(&b"GET k\r\n".repeat(1000));
    let got = greedy.read_to_close().unwrap_or_default().len();
    assert!(got < 2_000_000, "{got}");
    server.wait_log("closed ASAP for overcoming of output buffer limits.");
    assert!(c.info_int("total_commands_processed") < 500);
}

#[test]
fn a_closed_client_leaves_nothing() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.cmd(&["SET", "big", &"x".repeat(1_000_000)]).assert_ok();
    for i in 0..50 {
        let mut d = server.connect();
        // In turn: after half a command, in the middle of a reply, and idle.
        match i % 3 {
            0 => d.write_raw(b"*2\r\n$3\r\nGET\r\n$1"),
            1 => d.write_raw(b"GET big\r\nGET big\r\nGET big\r\n"),
            _ => {}
        }
    }
    wait_until("all clients gone", || c.info_int("connected_clients") == 1);
}

#[test]
fn many_clients() {
    let server = Server::aedile(&[]);
    let mut conns: Vec<Conn> = (0..300).map(|_| server.connect()).collect();
    for c in &mut conns {
        c.send(&["INCR", "n"]);
    }
    let mut seen: Vec<i64> = conns.iter_mut().map(|c| c.read().int()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=300).collect::<Vec<i64>>());
}

#[test]
fn info_sections() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET k v");
    c.ok("SET e v PX 1000000");
    let all = c.run("INFO").text();
    for section in [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Keyspace",
    ] {
        assert!(all.contains(&format!("# {section}\r\n")), "{section}");
    }
    let keyspace = c.run("INFO keyspace").text();
    assert!(
        keyspace.contains("db0:keys=2,expires=1,avg_ttl="),
        "{keyspace}"
    );
    assert_eq!(c.run("INFO nosuchsection").text().trim(), "");
    let two = c.run("INFO clients cpu").text();
    assert!(two.contains("# Clients") && two.contains("# CPU") && !two.contains("# Memory"));
    assert_eq!(c.info("tcp_port"), server.port.to_string());
    assert_eq!(c.info("process_id"), server.pid().to_string());
    assert_eq!(c.info("role"), "master");
    assert_eq!(c.info("master_replid").len(), 40);
    assert_eq!(c.info("master_replid2"), "0".repeat(40));
    assert_eq!(c.info("second_repl_offset"), "-1");
    let before = c.info_int("total_commands_processed");
    c.run("PING");
    assert!(c.info_int("total_commands_processed") >= before + 2);
    let stats = c.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_set:calls=2,usec="), "{stats}");
    c.run("NOSUCH");
    let errors = c.run("INFO errorstats").text();
    assert!(errors.contains("errorstat_ERR:count=1"), "{errors}");
    c.ok("CONFIG RESETSTAT");
    assert!(!c.run("INFO commandstats").text().contains("cmdstat_set"));
}

/// `cmd` of CLIENT LIST is what was called last: nothing after what is no command, EXEC while it runs others.
#[test]
fn cmd_of_the_list_is_what_was_called_last() {
    let server = Server::aedile(&[]);
    let (mut c, mut other) = (server.connect(), server.connect());
    let id = c.run("CLIENT ID").int();
    let mut cmd_of = || {
        let line = other.cmd(&["CLIENT", "LIST", "ID", &id.to_string()]).text();
        fields(&line)["cmd"].clone()
    };
    c.ok("SET k v");
    assert_eq!(cmd_of(), "set");
    c.run("NOSUCH");
    assert_eq!(cmd_of(), "NULL");
    c.ok("SET k v");
    c.run("CLIENT NOSUCH");
    assert_eq!(cmd_of(), "NULL");
    c.run("GET");
    assert_eq!(cmd_of(), "get");
    c.ok("MULTI");
    c.run("CLIENT INFO");
    assert_eq!(cmd_of(), "client|info");
    let all = c.run("EXEC");
    assert_eq!(fields(&all.items()[0].text())["cmd"], "exec");
    assert_eq!(cmd_of(), "exec");
}

#[test]
fn client_help_names_all_subcommands() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let text: Vec<String> = c
        .run("CLIENT HELP")
        .items()
        .iter()
        .map(|v| v.text())
        .collect();
    let at = text
        .iter()
        .position(|l| l.starts_with("TRACKING (ON|OFF) [REDIRECT <id>]"));
    assert_eq!(at.map(|at| text[at + 3].as_str()), Some("TRACKINGINFO"));
    let all = c.run("COMMAND LIST FILTERBY PATTERN client|*");
    for name in all.items() {
        let name = name.text().to_uppercase();
        let sub = name.split('|').nth(1).unwrap_or_default();
        assert!(
            text.iter().any(|l| l.split(' ').next() == Some(sub)),
            "{sub}"
        );
    }
}

#[test]
fn a_port_that_is_none_is_refused_from_a_replica() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for port in ["65536", "-1", "4294967297"] {
        c.cmd(&["REPLCONF", "listening-port", port])
            .assert_error("ERR value is out of range, value must between 0 and 65535");
    }
    c.ok("REPLCONF listening-port 65535");
}

/// Whoever sends requests over HTTP in a row does not fill the log.
#[test]
fn http_requests_are_logged_once_a_minute() {
    let server = Server::aedile(&[]);
    for _ in 0..3 {
        for request in ["POST / HTTP/1.1\r\n", "Host: x\r\n"] {
            let mut c = server.connect();
            c.write_raw(request.as_bytes());
            assert_eq!(c.expect_close(), b"");
        }
    }
    assert_eq!(server.log_count("Possible SECURITY ATTACK detected."), 1);
    assert_eq!(
        server
            .connect()
            .run("INFO server")
            .text()
            .matches("server_name")
            .count(),
        0
    );
}
