//! Sentinel mode by itself: how it starts, its commands, its configuration file, what it believes of hello and votes, its
//! scripts. With real ones it is in tests/interop.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::server::{Scratch, end_of, free_listener, free_port};
use crate::support::*;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// One that watches a port where nobody listens.
fn lonely(lines: &str) -> Sentinel {
    let text = format!("sentinel monitor m 127.0.0.1 {} 2\n{lines}", free_port());
    Sentinel::with_lines(Kind::Aedile, &text)
}

#[test]
fn it_wants_a_file_that_it_can_write() {
    let dir = Scratch::new();
    let mut command = Command::new(Kind::Aedile.program());
    command
        .arg0("/usr/bin/redis-sentinel")
        .args(["--port", "0"])
        .current_dir(dir.path());
    let end = end_of(command, b"");
    assert_eq!(end.status.code(), Some(1));
    assert!(
        end.stdout
            .contains("Sentinel needs config file on disk to save state. Exiting..."),
        "{}",
        end.stdout
    );
}

#[test]
fn a_line_that_is_at_fault_is_told() {
    let cases = [
        ("monitor m 127.0.0.1 1 0", "Quorum must be 1 or greater."),
        ("monitor m 127.0.0.1 70000 1", "Invalid port number."),
        (
            "monitor m no.such.host 1 1",
            "Can't resolve instance hostname.",
        ),
        ("monitor \"a\\nb\" 127.0.0.1 1 1", "Invalid name or id."),
        ("monitor ok 127.0.0.1 1 1", "Duplicate master name."),
        (
            "down-after-milliseconds x 1",
            "No such master with specified name.",
        ),
        (
            "down-after-milliseconds ok 0",
            "negative or zero time parameter.",
        ),
        ("failover-timeout ok -1", "negative or zero time parameter."),
        (
            "master-reboot-down-after-period ok -1",
            "negative time parameter.",
        ),
        (
            "notification-script ok /no/such",
            "Notification script seems non existing or non executable.",
        ),
        ("myid short", "Malformed Sentinel id in myid option."),
        (
            "announce-hostnames maybe",
            "Please specify yes or no for the announce-hostnames option.",
        ),
        (
            "announce-ip \"1.2.3.4\\nport 1\"",
            "Invalid address in announce-ip option.",
        ),
        ("config-epoch ok -1", "Invalid epoch."),
        (
            "known-replica ok \"1.2.3.4\\n\" 1",
            "Can't resolve instance hostname.",
        ),
        ("known-sentinel ok 1.2.3.4 1 \"a b\"", "Invalid name or id."),
        ("nonsense", "Unrecognized sentinel configuration statement."),
        (
            "parallel-syncs ok",
            "Unrecognized sentinel configuration statement.",
        ),
    ];
    for (line, reason) in cases {
        let dir = Scratch::new();
        let conf = dir.write(
            "s.conf",
            format!("sentinel {line}\nsentinel monitor ok 127.0.0.1 1 1\n"),
        );
        let mut command = Command::new(Kind::Aedile.program());
        command
            .arg(conf)
            .args(["--sentinel", "--port", "0"])
            .current_dir(dir.path());
        let end = end_of(command, b"");
        assert_eq!(end.status.code(), Some(1), "{line}: {}", end.stdout);
        let (at, shown) = match line {
            "monitor ok 127.0.0.1 1 1" => (2, line),
            _ => (1, line),
        };
        let told = format!("at line {at}\n>>> 'sentinel {shown}'\n{reason}\n");
        assert!(end.stderr.contains(&told), "{line}: {}", end.stderr);
    }
}

#[test]
fn it_has_the_commands_of_a_sentinel_and_no_others() {
    let s = lonely("");
    let mut c = s.connect();
    for absent in [
        "GET x",
        "SET x y",
        "CONFIG GET port",
        "DEBUG SLEEP 0",
        "EVAL x 0",
        "MULTI",
    ] {
        let name = absent.split(' ').next().unwrap_or_default();
        let text = format!("ERR unknown command '{name}'");
        c.run(absent).assert_error_prefix(&text);
    }
    let names: Vec<String> = c
        .run("COMMAND LIST")
        .items()
        .iter()
        .map(Value::text)
        .filter(|n| !n.contains('|'))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "acl",
            "auth",
            "client",
            "command",
            "hello",
            "info",
            "ping",
            "psubscribe",
            "publish",
            "punsubscribe",
            "role",
            "sentinel",
            "shutdown",
            "subscribe",
            "unsubscribe"
        ]
    );
    assert_eq!(c.run("PING"), "PONG");
    assert_eq!(c.run("ROLE").items()[0], "sentinel");
    assert_eq!(c.run("ROLE").items()[1].items()[0], "m");
    assert_eq!(c.info("redis_mode"), "sentinel");
    let hello = format!("{:?}", c.run("HELLO 3"));
    assert!(
        hello.contains("\"sentinel\"") && !hello.contains("\"role\""),
        "{hello}"
    );
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("SENTINEL MASTERS")
        .assert_error_prefix("ERR unknown command 'SENTINEL'");
    assert!(c.run("COMMAND INFO sentinel").items()[0].is_null());
}

#[test]
fn info_has_its_section() {
    let s = lonely("");
    let mut c = s.connect();
    let info = c.run("INFO sentinel").text();
    let master = s.master("port");
    assert_eq!(
        info,
        format!(
            "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\n\
             sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n\
             master0:name=m,status=ok,address=127.0.0.1:{master},slaves=0,sentinels=1\r\n"
        )
    );
    let all = c.run("INFO").text();
    assert!(all.contains("# Server") && all.ends_with(&info) && !all.contains("# Memory"));
    assert_eq!(c.run("INFO memory").text(), "");
}

#[test]
fn masters_come_and_go() {
    let s = lonely("");
    let mut c = s.connect();
    let mut events = s.connect();
    events.run("PSUBSCRIBE *");
    c.ok("SENTINEL MONITOR other 127.0.0.1 7777 3");
    let heard = events.read();
    assert_eq!(heard.items()[2], "+monitor");
    assert_eq!(heard.items()[3], "master other 127.0.0.1 7777 quorum 3");
    assert!(
        s.conf()
            .contains("\nsentinel monitor other 127.0.0.1 7777 3\n")
    );
    for (line, error) in [
        (
            "SENTINEL MONITOR other 127.0.0.1 1 1",
            "ERR Duplicate master name.",
        ),
        (
            "SENTINEL MONITOR x 127.0.0.1 1 0",
            "ERR Quorum must be 1 or greater.",
        ),
        ("SENTINEL MONITOR x 127.0.0.1 1 q", "ERR Invalid quorum"),
        ("SENTINEL MONITOR x 127.0.0.1 p 1", "ERR Invalid port"),
        (
            "SENTINEL MONITOR x 127.0.0.1 70000 1",
            "ERR Invalid port number.",
        ),
        (
            "SENTINEL MONITOR x localhost 1 1",
            "ERR Invalid IP address or hostname specified",
        ),
        ("SENTINEL MASTER x", "ERR No such master with that name"),
        ("SENTINEL REPLICAS x", "ERR No such master with that name"),
        ("SENTINEL CKQUORUM x", "ERR No such master with that name"),
        (
            "SENTINEL MASTERS x",
            "ERR wrong number of arguments for 'sentinel|masters' command",
        ),
        (
            "SENTINEL NOTHING",
            "ERR unknown subcommand 'NOTHING'. Try SENTINEL HELP.",
        ),
        (
            "SENTINEL FAILOVER m",
            "NOGOODSLAVE No suitable replica to promote",
        ),
        (
            "PUBLISH x y",
            "ERR Only HELLO messages are accepted by Sentinel instances.",
        ),
    ] {
        c.run(line).assert_error(error);
    }
    let before = s.conf();
    c.cmd(&["SENTINEL", "MONITOR", "a\nport 1", "127.0.0.1", "1", "1"])
        .assert_error("ERR Invalid name or id.");
    assert_eq!(s.conf(), before);
    assert!(c.run("SENTINEL GET-MASTER-ADDR-BY-NAME x").is_null());
    let addr = c.run("SENTINEL GET-MASTER-ADDR-BY-NAME other");
    assert_eq!(
        (addr.items()[0].text(), addr.items()[1].text()),
        ("127.0.0.1".into(), "7777".into())
    );
    assert_eq!(c.run("SENTINEL RESET o*"), 1);
    c.ok("SENTINEL REMOVE other");
    assert!(!s.conf().contains("other"));
    assert_eq!(c.run("SENTINEL MASTERS").items().len(), 1);
}

#[test]
fn set_changes_all_or_nothing_and_is_kept() {
    let mut s = lonely("sentinel deny-scripts-reconfig no\n");
    let mut c = s.connect();
    let mut events = s.connect();
    events.run("SUBSCRIBE +set");
    let before = s.conf();
    for (option, value) in [
        ("down-after-milliseconds", "0"),
        ("failover-timeout", "x"),
        ("parallel-syncs", "-1"),
        ("parallel-syncs", "99999999999"),
        ("quorum", "0"),
        ("master-reboot-down-after-period", "-1"),
        ("rename-command", ""),
    ] {
        let args = ["SENTINEL", "SET", "m", "quorum", "7", option, value, "x"];
        let args = &args[..if option == "rename-command" { 8 } else { 7 }];
        let text = format!("ERR Invalid argument '{value}' for SENTINEL SET '{option}'");
        c.cmd(args).assert_error(&text);
    }
    for value in ["a\nsentinel monitor evil 1.2.3.4 5 1", "a\r", "\0", "a\x7f"] {
        for option in ["auth-pass", "auth-user", "notification-script"] {
            let reply = c.cmd(&["SENTINEL", "SET", "m", option, value]);
            assert!(reply.text().contains("control characters"), "{reply:?}");
        }
    }
    c.run("SENTINEL SET m quorum 5 nonsense 1")
        .assert_error("ERR Unknown option or number of arguments for SENTINEL SET 'nonsense'");
    c.run("SENTINEL SET m quorum 5 auth-pass")
        .assert_error("ERR Unknown option or number of arguments for SENTINEL SET 'auth-pass'");
    assert_eq!((s.conf(), s.master("quorum")), (before, "2".into()));

    let odd = "p \"a'\\s#\u{e9}";
    c.cmd(&["SENTINEL", "SET", "m", "quorum", "5", "auth-pass", odd])
        .assert_ok();
    c.cmd(&[
        "SENTINEL",
        "SET",
        "m",
        "auth-user",
        "us er",
        "rename-command",
        "PING",
        "x y",
    ])
    .assert_ok();
    let port = s.master("port");
    let at = format!("master m 127.0.0.1 {port}");
    assert_eq!(events.read().items()[2], format!("{at} quorum 5").as_str());
    assert_eq!(
        events.read().items()[2],
        format!("{at} auth-pass ******").as_str()
    );
    // What was written is read again as it was: the second file is like the first one.
    let file = s.conf();
    assert!(
        file.contains("sentinel rename-command m PING \"x y\""),
        "{file}"
    );
    s.stop();
    s.start();
    s.connect().ok("SENTINEL FLUSHCONFIG");
    assert_eq!(s.conf().trim_end(), file.trim_end());
    assert!(s.conf().contains("sentinel deny-scripts-reconfig no"));
}

#[test]
fn scripts_are_not_for_clients_to_choose() {
    let s = lonely("");
    s.connect()
        .cmd(&["SENTINEL", "SET", "m", "notification-script", "/bin/true"])
        .assert_error_prefix("ERR Reconfiguration of scripts path is denied for security reasons.");
    let mut c = s.connect();
    c.run("SENTINEL CONFIG SET deny-scripts-reconfig no")
        .assert_error("ERR Invalid argument 'deny-scripts-reconfig' to SENTINEL CONFIG SET");
}

#[test]
fn globals_are_shown_and_set() {
    let mut s = lonely("");
    let mut c = s.connect();
    let get = |c: &mut Conn, line: &str| c.run(&format!("SENTINEL CONFIG GET {line}")).pairs();
    assert_eq!(get(&mut c, "*").len(), 7);
    c.ok("SENTINEL CONFIG SET announce-ip 10.1.2.3 announce-port 1234 sentinel-pass secret loglevel verbose");
    for (line, error) in [
        (
            "announce-ip 1,2",
            "Invalid value '1,2' to SENTINEL CONFIG SET 'announce-ip'",
        ),
        (
            "announce-port 65536",
            "Invalid value '65536' to SENTINEL CONFIG SET 'announce-port'",
        ),
        (
            "loglevel x",
            "Invalid value 'x' to SENTINEL CONFIG SET 'loglevel'",
        ),
        ("x y", "Invalid argument 'x' to SENTINEL CONFIG SET"),
        (
            "loglevel debug loglevel debug",
            "Duplicate argument 'loglevel' to SENTINEL CONFIG SET",
        ),
        (
            "loglevel debug announce-ip",
            "Missing argument 'announce-ip' value",
        ),
    ] {
        c.run(&format!("SENTINEL CONFIG SET {line}"))
            .assert_error(&format!("ERR {error}"));
    }
    c.cmd(&["SENTINEL", "CONFIG", "SET", "sentinel-pass", "a\nport 1"])
        .assert_error_prefix("ERR Invalid value");
    s.stop();
    s.start();
    let mut c = s.connect();
    let all = get(&mut c, "announce-p* sentinel-pass loglevel announce-ip");
    assert_eq!(all["announce-port"], "1234");
    assert_eq!(
        (&all["sentinel-pass"][..], &all["loglevel"][..]),
        ("secret", "verbose")
    );
    c.cmd(&[
        "SENTINEL",
        "CONFIG",
        "SET",
        "announce-ip",
        "",
        "announce-port",
        "0",
        "sentinel-pass",
        "",
    ])
    .assert_ok();
    assert!(!s.conf().contains("announce") && !s.conf().contains("secret"));
    let periods = c.run("SENTINEL DEBUG");
    assert_eq!(
        (periods.items().len(), periods.items()[0].text()),
        (26, "INFO-PERIOD".into())
    );
    c.run("SENTINEL DEBUG ping-period 5 ask-period 0")
        .assert_error("ERR Invalid argument '0' for SENTINEL DEBUG 'ask-period'");
    assert_eq!(c.run("SENTINEL DEBUG").pairs()["PING-PERIOD"], "1000");
}

#[test]
fn hello_is_believed_only_if_it_is_well_formed() {
    let s = lonely("");
    let mut c = s.connect();
    let port = s.master("port");
    let before = s.conf();
    let good = format!("127.0.0.1,26379,{ID},7,m,127.0.0.1,{port},0");
    for bad in [
        good.replace(ID, "a\nsentinel monitor evil 1.2.3.4 5 1"),
        good.replace("127.0.0.1,26379", "1.2.3.4\nport 1,26379"),
        good.replace(",7,", ",-7,"),
        good.replace(",7,", ",18446744073709551615,"),
        good.replace(",m,", ",x,"),
        format!("{good},1"),
        "x".repeat(100_000),
    ] {
        assert_eq!(c.cmd(&["PUBLISH", "__sentinel__:hello", &bad]), 1);
    }
    assert_eq!(s.conf(), before);
    c.cmd(&["PUBLISH", "__sentinel__:hello", &good]);
    let others = c.run("SENTINEL SENTINELS m");
    assert_eq!(others.items()[0].pairs()["runid"], ID);
    wait_until("it in the file", || {
        let conf = s.conf();
        conf.contains(&format!("sentinel known-sentinel m 127.0.0.1 26379 {ID}"))
            && conf.contains("sentinel current-epoch 7")
    });
    // It has moved.
    c.cmd(&[
        "PUBLISH",
        "__sentinel__:hello",
        &good.replace("26379", "26380"),
    ]);
    let others = c.run("SENTINEL SENTINELS m");
    assert_eq!(
        (others.items().len(), &others.items()[0].pairs()["port"][..]),
        (1, "26380")
    );
    // Another one is where it was; it has a newer configuration.
    let other = good
        .replace(ID, &ID.replace('0', "f"))
        .replace("26379", "26380");
    let newer = other.replace(&format!(",{port},0"), ",7777,9");
    c.cmd(&["PUBLISH", "__sentinel__:hello", &newer]);
    let others = c.run("SENTINEL SENTINELS m");
    assert_eq!(
        (
            others.items().len(),
            &others.items()[0].pairs()["runid"][..1]
        ),
        (1, "f")
    );
    assert_eq!(s.master_port(), 7777);
    assert_eq!(
        (s.master("config-epoch"), s.master("num-slaves")),
        ("9".into(), "1".into())
    );
    // An older one changes nothing any more.
    c.cmd(&[
        "PUBLISH",
        "__sentinel__:hello",
        &newer.replace(",7777,9", ",8888,8"),
    ]);
    assert_eq!(s.master_port(), 7777);
}

#[test]
fn a_vote_is_given_once_an_epoch_and_outlives_the_process() {
    let mut s = lonely("");
    let port = s.master("port");
    let ask = |s: &Sentinel, epoch: u64, id: &str| {
        let r = s.connect().run(&format!(
            "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {port} {epoch} {id}"
        ));
        (r.items()[1].text(), r.items()[2].int())
    };
    let other = ID.replace('0', "f");
    assert_eq!(ask(&s, 5, "*"), ("*".into(), 0));
    assert_eq!(ask(&s, 5, ID), (ID.into(), 5));
    assert_eq!(ask(&s, 5, &other), (ID.into(), 5));
    assert_eq!(ask(&s, 4, &other), (ID.into(), 5));
    s.stop();
    s.start();
    // It does not know for whom, but that it has voted.
    assert_eq!(ask(&s, 5, &other), ("*".into(), 5));
    assert_eq!(ask(&s, 6, &other), (other.clone(), 6));
    let mut c = s.connect();
    c.run(&format!(
        "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {port} -1 {ID}"
    ))
    .assert_error("ERR Invalid epoch");
    c.cmd(&[
        "SENTINEL",
        "IS-MASTER-DOWN-BY-ADDR",
        "127.0.0.1",
        &port,
        "9",
        "a\nb",
    ])
    .assert_error("ERR Invalid runid");
}

#[test]
fn a_dead_master_is_down_and_explained() {
    let dir = Scratch::new();
    let script = dir.write(
        "notify",
        format!(
            "#!/bin/sh\necho \"$@\" >>{0}/told\nls -l /proc/$$/fd >{0}/fds\nls -l /proc/$PPID/fd >{0}/parent\n[ -e {0}/again ] || {{ touch {0}/again; exit 1; }}\n",
            dir.path().display()
        ),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    let s = lonely(&format!(
        "sentinel down-after-milliseconds m 500\nsentinel notification-script m {}\n",
        script.display()
    ));
    let mut c = s.connect();
    c.ok("SENTINEL SET m quorum 1");
    c.ok("SENTINEL DEBUG script-retry-delay 100");
    wait_until("the master to be down", || {
        s.master("flags").contains("o_down")
    });
    wait_until("a failover to be given up", || {
        s.log().contains("-failover-abort-no-good-slave master m")
    });
    assert!(s.log().contains("+odown master m 127.0.0.1"));
    assert!(
        s.log().contains("no suitable replica, election "),
        "{}",
        s.log()
    );
    let why = c.run("SENTINEL EXPLAIN m");
    let why: Vec<String> = why.items().iter().map(Value::text).collect();
    assert_eq!(
        why[0],
        "No failover begins now: the last attempt was not long ago; no replica can be promoted."
    );
    assert!(why.iter().any(|l| l.starts_with("cooldown: ")), "{why:?}");
    wait_until("the script", || {
        std::fs::read_to_string(dir.join("told")).is_ok_and(|t| t.contains("+odown master m"))
    });
    wait_until("all scripts", || {
        c.run("SENTINEL PENDING-SCRIPTS").items().is_empty()
    });
    let told = std::fs::read_to_string(dir.join("told")).expect("there");
    // The first run asked for another one.
    let runs: Vec<&str> = told.lines().collect();
    let mut once = runs.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(runs.len(), once.len() + 1, "{told}");
    // Of what the Sentinel has open, and did not get from us, nothing is open there.
    let targets = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(dir.join(file)).expect("there");
        let links = text.lines().filter_map(|l| l.split_once(" -> "));
        links.map(|(_, target)| target.to_string()).collect()
    };
    let ours: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("proc")
        .filter_map(|e| std::fs::read_link(e.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let (parent, log) = (targets("parent"), s.scratch.join("log"));
    assert!(parent.iter().any(|t| t.contains("eventpoll")), "{parent:?}");
    for target in targets("fds") {
        let inherited = ours.contains(&target) || target == log.display().to_string();
        assert!(inherited || !parent.contains(&target), "{target}");
    }
}

#[test]
fn a_server_that_answers_nonsense_is_borne() {
    let listener = free_listener();
    let port = listener.local_addr().expect("bound").port();
    let s = Sentinel::with_lines(
        Kind::Aedile,
        &format!(
            "sentinel monitor m 127.0.0.1 {port} 1\nsentinel down-after-milliseconds m 1000\n"
        ),
    );
    s.hurry();
    use std::io::Write;
    let nonsense: [&[u8]; 6] = [
        b"$4194305\r\n",
        b"*1000000\r\n",
        b"hello\r\n",
        b"+OK\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n",
        b"-ERR\r\n-NOAUTH x\r\n-MISCONF x\r\n",
        b"\0\0\0\0",
    ];
    for bytes in nonsense.iter().cycle().take(12) {
        let (mut conn, _) = listener.accept().expect("a link");
        let _ = conn.write_all(bytes);
    }
    drop(listener);
    wait_until("it to be down", || s.master("flags").contains("s_down"));
    assert!(!s.conf().contains("known-"));
}

#[test]
fn a_password_keeps_others_out() {
    let s = lonely("requirepass secret\n");
    let mut c = s.connect();
    c.run("SENTINEL MASTERS").assert_error_prefix("NOAUTH");
    c.ok("AUTH secret");
    assert_eq!(c.run("SENTINEL MASTERS").items().len(), 1);
    c.ok("ACL SETUSER bob on nopass +ping +sentinel|master ~* &*");
    c.ok("AUTH bob x");
    assert!(s.connect().run("PING").is_error());
    c.run("SENTINEL REMOVE m").assert_error_prefix("NOPERM");
    assert!(!c.run("SENTINEL MASTER m").is_error());
}

/// The sample is as it says: a Sentinel starts from it.
#[test]
fn the_sample_is_a_configuration() {
    let sample =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/sentinel.conf"));
    let sample = sample.expect("the sample");
    let own = sample
        .replace("port 26379\n\n", "")
        .replace("bind 127.0.0.1 -::1\n", "")
        .replace("sentinel monitor mymaster", "sentinel monitor m")
        .replace(" mymaster ", " m ");
    let s = Sentinel::with_lines(Kind::Aedile, &own);
    assert_eq!(s.master("quorum"), "2");
    assert_eq!(s.master("down-after-milliseconds"), "30000");
    assert_eq!(s.conf().matches("# A master to watch").count(), 1);
}

/// A server with a configuration file, which a Sentinel wants to rewrite.
fn node() -> Server {
    let scratch = Scratch::new();
    let conf = scratch.write("redis.conf", "repl-diskless-sync-delay 0\n");
    Server::start_in(Kind::Aedile, scratch, &[conf.to_str().expect("a path")])
}

/// A master, its replica, and one Sentinel that needs nobody else.
fn watched() -> (Server, Server, Sentinel) {
    let (master, replica) = (node(), node());
    replica.replicate(master.port);
    replica.wait_link_up();
    let s = Sentinel::watching(Kind::Aedile, master.port);
    s.connect().ok("SENTINEL SET m quorum 1");
    wait_until("the sentinel to know all", || s.knows(1, 0));
    (master, replica, s)
}

#[test]
fn a_promotion_that_is_not_seen_in_time_is_given_up_and_taken_back() {
    let (master, replica, s) = watched();
    let mut c = s.connect();
    // What was last heard of it is to be young enough, however long the disk holds the Sentinel up.
    c.ok("SENTINEL DEBUG info-period 30000 ping-period 30000");
    replica.sigstop();
    c.ok("SENTINEL SET m failover-timeout 500 down-after-milliseconds 60000");
    c.ok("SENTINEL FAILOVER m");
    c.run("SENTINEL FAILOVER m")
        .assert_error("INPROG Failover already in progress");
    wait_until("the state", || {
        let shown = c.run("SENTINEL MASTER m").pairs();
        shown
            .get("failover-state")
            .is_some_and(|s| s == "wait_promotion")
    });
    c.ok("SENTINEL DEBUG info-period 300 ping-period 400");
    let why = c.run("SENTINEL EXPLAIN m").items()[0].text();
    assert!(
        why.starts_with("No failover begins now: one is under way; the master is up"),
        "{why}"
    );
    wait_until("the end", || {
        s.log()
            .contains("-failover-abort-slave-timeout master m 127.0.0.1")
    });
    assert!(
        s.log()
            .contains("the promotion was not seen in time, election "),
        "{}",
        s.log()
    );
    assert_eq!(s.master_port(), master.port);
    assert!(!s.master("flags").contains("failover"));
    // It does what it was told, too late: it is told again.
    replica.sigcont();
    wait_until("it to be told", || {
        s.log().contains("+convert-to-slave slave")
    });
    wait_until("it to follow", || {
        let mut c = replica.connect();
        c.try_cmd(&["ROLE"]).is_ok_and(|r| r.items()[0] == "slave")
    });
    assert_eq!(s.master_port(), master.port);
}

#[test]
fn a_newer_configuration_ends_a_failover() {
    let (master, replica, s) = watched();
    let mut c = s.connect();
    // What was last heard of it is to be young enough, however long the disk holds the Sentinel up.
    c.ok("SENTINEL DEBUG info-period 30000 ping-period 30000");
    replica.sigstop();
    c.ok("SENTINEL SET m down-after-milliseconds 60000");
    c.ok("SENTINEL FAILOVER m");
    wait_until("the state", || {
        let shown = c.run("SENTINEL MASTER m").pairs();
        shown
            .get("failover-state")
            .is_some_and(|s| s == "wait_promotion")
    });
    c.ok("SENTINEL DEBUG info-period 300 ping-period 400");
    let hello = format!("127.0.0.1,1,{ID},9,m,127.0.0.1,7777,9");
    c.cmd(&["PUBLISH", "__sentinel__:hello", &hello]);
    let shown = c.run("SENTINEL MASTER m").pairs();
    assert_eq!(
        (&shown["flags"][..], &shown["port"][..]),
        ("master,disconnected", "7777")
    );
    assert!(!shown.contains_key("failover-state"));
    assert!(s.log().contains(&format!(
        "+switch-master m 127.0.0.1 {} 127.0.0.1 7777",
        master.port
    )));
    // The one that was to be promoted says that it is a master: it is not ours.
    replica.sigcont();
    wait_until("it to be heard", || {
        let all = s.replicas();
        let said = |r: &Value| r.pairs()["role-reported"] == "master";
        all.items().iter().any(said)
    });
    assert_eq!(s.master_port(), 7777);
    assert_eq!(s.master("num-slaves"), "2");
}

#[test]
fn a_clock_that_jumps_stops_all_judgement_for_a_while() {
    let (mut master, _replica, s) = watched();
    let mut c = s.connect();
    c.ok("SENTINEL DEBUG tilt-trigger 500 tilt-period 3000");
    let signal = |n| {
        // SAFETY: kill takes no pointers; the pid is that of a child that has not been reaped.
        assert_eq!(unsafe { libc::kill(s.pid(), n) }, 0);
    };
    signal(libc::SIGSTOP);
    master.kill9();
    std::thread::sleep(std::time::Duration::from_millis(1200));
    signal(libc::SIGCONT);
    wait_until("tilt", || c.info("sentinel_tilt") == "1");
    let why = c.run("SENTINEL EXPLAIN m").items()[0].text();
    assert!(why.contains("this Sentinel is in TILT mode"), "{why}");
    wait_until("the end of it", || {
        s.log().contains("-tilt #tilt mode exited")
    });
    wait_until("the judgement", || s.log().contains("+sdown master m"));
    let log = s.log();
    let at = |text: &str| log.find(text).expect("in the log");
    assert!(at("+tilt #tilt mode entered") < at("-tilt #tilt mode exited"));
    assert!(at("-tilt #tilt mode exited") < at("+sdown master m"));
}

/// A path without a folder is one in the working directory, as it was when it was looked at, not a program of that name elsewhere.
#[test]
fn a_script_is_not_looked_for_elsewhere() {
    let s = lonely("sentinel deny-scripts-reconfig no\n");
    let script = s
        .scratch
        .write("true", "#!/bin/sh\necho \"$0 $@\" >>told\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    s.connect().ok("SENTINEL SET m notification-script true");
    wait_until("the script", || {
        let told = std::fs::read_to_string(s.scratch.join("told"));
        told.is_ok_and(|t| t.contains("true +set master m 127.0.0.1"))
    });
}

/// Numbers without end are no reason to fall, neither now nor after the next start.
#[test]
fn periods_without_end_are_borne() {
    let (master, replica, mut s) = watched();
    let mut c = s.connect();
    let shown: Vec<String> = c.run("SENTINEL DEBUG").pairs().into_keys().collect();
    c.ok("SENTINEL SET m down-after-milliseconds 9223372036854775807 failover-timeout 9223372036854775807");
    c.ok("SENTINEL SET m master-reboot-down-after-period 9223372036854775807");
    // Replicas are still asked and connected anew, and what is at its default is not written.
    let left_out = |name: &str| {
        ["INFO", "PING", "DEFAULT"]
            .iter()
            .any(|n| name.starts_with(n))
    };
    for name in shown.iter().filter(|n| !left_out(n)) {
        c.cmd(&["SENTINEL", "DEBUG", name, "9223372036854775807"])
            .assert_ok();
    }
    c.ok("SENTINEL FAILOVER m");
    wait_until("the new master", || s.master_port() == replica.port);
    s.stop();
    s.start();
    for field in ["down-after-milliseconds", "failover-timeout"] {
        assert_eq!(s.master(field), i64::MAX.to_string());
    }
    assert_eq!(s.master_port(), replica.port);
    drop(master);
}

/// A master that dies before it has handed over is replaced without it, at once.
#[test]
fn a_master_that_dies_before_it_hands_over_is_replaced() {
    let (master, replica, s) = watched();
    let mut c = s.connect();
    c.ok("SENTINEL SET m failover-timeout 300000");
    master.sigstop();
    c.ok("SENTINEL FAILOVER m COORDINATED");
    wait_until("the new master", || s.master_port() == replica.port);
    let log = s.log();
    assert!(
        log.contains("-failover-abort-master-down master m"),
        "{log}"
    );
    assert!(log.contains("the master is down and cannot hand over"));
    // It reads the command now, and that it is not to be done.
    master.sigcont();
    wait_until("the old master to follow", || {
        let asked = Conn::try_connect(master.port);
        let Ok(info) = asked.and_then(|mut c| c.try_cmd(&["INFO", "replication"])) else {
            return false;
        };
        let info = info.text();
        info.contains("role:slave") && info.contains("master_failover_state:no-failover")
    });
    assert_eq!(s.master_port(), replica.port);
}

/// Who makes up Sentinels and replicas by the thousand, and epochs, neither holds up the process nor takes all of its memory: each
/// turn of the timer writes the file once at the most.
#[test]
fn who_makes_up_instances_is_borne() {
    let fake = FakeMaster::new();
    let s = Sentinel::with_lines(
        Kind::Aedile,
        &format!(
            "sentinel monitor m 127.0.0.1 {} 1\nsentinel down-after-milliseconds m 600000\n",
            fake.port
        ),
    );
    let id = |n: usize| format!("{n:040x}");
    let mut c = s.connect();
    let saved = || s.log().matches("configuration saved on disk").count();
    let hello = |n: usize| {
        let text = format!("127.0.0.1,1,{},{n},m,127.0.0.1,{},0", id(n), fake.port);
        vec!["PUBLISH".to_string(), "__sentinel__:hello".into(), text]
    };
    let (before, start) = (saved(), std::time::Instant::now());
    // All say that they are in one place: the last one is.
    for reply in c.pipeline(&(1..3000).map(hello).collect::<Vec<_>>()) {
        assert_eq!(reply, 1);
    }
    let turns = start.elapsed().as_millis() as usize / 50 + 2;
    assert!(saved() - before <= turns, "{} of {turns}", saved() - before);
    assert_eq!(s.master("num-other-sentinels"), "1");
    let many = |n: usize| {
        let mut words = hello(n);
        words[2] = words[2].replacen(",1,", &format!(",{},", n % 60_000 + 1), 1);
        words
    };
    c.pipeline(&(3000..9000).map(many).collect::<Vec<_>>());
    assert_eq!(s.master("num-other-sentinels"), "4096");
    wait_until("all in the file", || {
        s.conf().matches("sentinel known-sentinel m").count() == 4096
    });

    // And so does a master whose INFO has as many replicas.
    let slaves: String = (0..6000)
        .map(|n| format!("slave{n}:ip=127.0.{}.{},port=1\r\n", n / 200, n % 200 + 1))
        .collect();
    let text = format!("role:master\r\n{slaves}");
    let info = format!("${}\r\n{text}\r\n", text.len());
    let start = std::time::Instant::now();
    wait_until("the replicas", || {
        while let Some(mut peer) = fake.try_accept(std::time::Duration::from_millis(200)) {
            let info = info.clone();
            std::thread::spawn(move || {
                while let Ok(words) = peer.try_command() {
                    let reply = match &words[0][..] {
                        b"INFO" => &info[..],
                        b"PING" => "+PONG\r\n",
                        _ => "+OK\r\n",
                    };
                    if peer.conn.try_write_raw(reply.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
        s.master("num-slaves") == "4096"
    });
    wait_until("all in the file", || {
        s.conf().matches("sentinel known-replica m").count() == 4096
    });
    assert!(start.elapsed() < HANG / 2, "{:?}", start.elapsed());
    c.ok("SENTINEL REMOVE m");
    assert!(!s.conf().contains("known-"));
}
