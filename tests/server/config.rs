//! CONFIG GET, SET, REWRITE, and a restart from the rewritten file.

use crate::support::server::{Scratch, free_listener, free_port, run_to_end};
use crate::support::*;

#[test]
fn get_patterns() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let got = c.run("CONFIG GET max*clients*").pairs();
    assert!(got.contains_key("maxclients"), "{got:?}");
    assert!(!got.contains_key("timeout"));
    let got = c.run("CONFIG GET timeout MAXCLIENTS timeout port").pairs();
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got["port"], server.port.to_string());
    assert_eq!(c.run("CONFIG GET nosuch").items().len(), 0);
    let all = c.run("CONFIG GET *").pairs();
    for name in [
        "port",
        "save",
        "dir",
        "bind",
        "maxmemory",
        "slaveof",
        "replicaof",
        "databases",
    ] {
        assert!(all.contains_key(name), "{name}");
    }
    // Old and new name of the same directive.
    let got = c.run("CONFIG GET *serve-stale-data").pairs();
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        ["replica-serve-stale-data", "slave-serve-stale-data"]
    );
    c.run("CONFIG GET")
        .assert_error("ERR wrong number of arguments for 'config|get' command");
}

#[test]
fn set_and_refuse() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG SET timeout 100 maxclients 500");
    assert_eq!(c.config_get("timeout"), "100");
    assert_eq!(c.config_get("maxclients"), "500");
    c.ok("CONFIG SET maxmemory 2mb");
    assert_eq!(c.config_get("maxmemory"), "2097152");
    c.ok("CONFIG SET maxmemory 0");
    // All or nothing.
    c.run("CONFIG SET timeout 7 maxclients x").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer",
    );
    assert_eq!(c.config_get("timeout"), "100");
    c.run("CONFIG SET nosuch 1")
        .assert_error("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'");
    c.run("CONFIG SET timeout 1 timeout 2").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
    );
    c.run("CONFIG SET databases 3").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
    );
    c.run("CONFIG SET timeout -1").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 and 2147483647 inclusive",
    );
    c.run("CONFIG SET appendfsync sometimes").assert_error_prefix(
        "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: ",
    );
    c.run("CONFIG SET save nonsense").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters",
    );
    c.run("CONFIG SET timeout")
        .assert_error("ERR wrong number of arguments for 'config|set' command");
    c.cmd(&["CONFIG", "SET", "save", "10 20 30 40"]).assert_ok();
    assert_eq!(c.config_get("save"), "10 20 30 40");
    // Aliases.
    c.ok("CONFIG SET slave-read-only no");
    assert_eq!(c.config_get("replica-read-only"), "no");
}

#[test]
fn set_port_moves_the_listener() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let port = free_port();
    c.config_set("port", &port.to_string());
    assert_eq!(Conn::connect(port).run("PING"), "PONG");
    assert!(Conn::try_connect(server.port).is_err());
    // The connection that asked lives on.
    assert_eq!(c.run("PING"), "PONG");
    let taken = free_listener();
    let busy = taken.local_addr().expect("local_addr").port();
    c.run(&format!("CONFIG SET port {busy}")).assert_error_prefix(
        "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port",
    );
    assert_eq!(Conn::connect(port).run("PING"), "PONG");
}

#[test]
fn rewrite_and_restart() {
    let dir = Scratch::new();
    let conf = dir.write(
        "a.conf",
        "# my comment\ntimeout 11\n\n# other comment\nmaxclients 150\nsave 900 1\n",
    );
    let path = conf.to_str().expect("utf8").to_string();
    let mut server = Server::start_in(Kind::Aedile, dir, &[&path, "--appendfsync", "no"]);
    let mut c = server.connect();
    c.config_set("timeout", "22");
    c.config_set("maxmemory", "100mb");
    c.config_set("save", "5 6");
    c.config_set("requirepass", "a \"b\"");
    c.config_set("maxclients", "10000");
    c.ok("CONFIG REWRITE");
    let text = std::fs::read_to_string(&conf).expect("conf");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "# my comment", "{text}");
    assert_eq!(lines[1], "timeout 22", "{text}");
    assert!(text.contains("# other comment"), "{text}");
    assert!(lines.contains(&"maxmemory 100mb"), "{text}");
    assert!(lines.contains(&"save 5 6"), "{text}");
    assert!(lines.contains(&"requirepass \"a \\\"b\\\"\""), "{text}");
    assert!(lines.contains(&"appendfsync no"), "{text}");
    assert!(text.contains("# Generated by CONFIG REWRITE"), "{text}");
    server.kill9();
    server.restart_with(&[&path, "--save", "5 6"]);
    let mut c = server.connect();
    c.cmd(&["AUTH", "a \"b\""]).assert_ok();
    for (name, value) in [
        ("timeout", "22"),
        ("maxmemory", "104857600"),
        ("save", "5 6"),
        ("maxclients", "10000"),
        ("appendfsync", "no"),
    ] {
        assert_eq!(c.config_get(name), value, "{name}");
    }
    // A second rewrite without a change changes nothing.
    c.ok("CONFIG REWRITE");
    let again = std::fs::read_to_string(&conf).expect("conf");
    // The default user's line may gain what its parser adds by itself.
    let settled = |text: &str| {
        text.lines()
            .filter(|l| !l.is_empty() && !l.starts_with("user "))
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(settled(&again), settled(&text));
}

#[test]
fn rewrite_without_a_file() {
    let server = Server::aedile(&[]);
    server
        .connect()
        .run("CONFIG REWRITE")
        .assert_error("ERR The server is running without a config file");
}

#[test]
fn rewrite_replicaof() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "timeout 1\n");
    let path = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&path]);
    let mut c = server.connect();
    let port = free_port();
    c.ok(&format!("REPLICAOF 127.0.0.1 {port}"));
    c.ok("CONFIG REWRITE");
    let text = std::fs::read_to_string(&conf).expect("conf");
    assert!(
        text.lines()
            .any(|l| l == format!("replicaof 127.0.0.1 {port}")),
        "{text}"
    );
    assert_eq!(c.config_get("slaveof"), format!("127.0.0.1 {port}"));
    c.ok("REPLICAOF NO ONE");
    c.ok("CONFIG REWRITE");
    let text = std::fs::read_to_string(&conf).expect("conf");
    assert!(!text.contains("replicaof"), "{text}");
}

#[test]
fn every_directive_takes_its_own_value() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let all = c.run("CONFIG GET *").pairs();
    // Multi-argument values, and those whose meaning is an action.
    let skip = [
        "bind",
        "save",
        "dir",
        "logfile",
        "oom-score-adj-values",
        "client-output-buffer-limit",
    ];
    for (name, value) in &all {
        if skip.contains(&name.as_str()) {
            continue;
        }
        if let Value::Error(e) = c.cmd(&["CONFIG", "SET", name, value]) {
            let e = String::from_utf8_lossy(&e).into_owned();
            assert!(
                e.contains("immutable")
                    || e.contains("protected")
                    || e.contains("REPLICAOF not allowed"),
                "{name} = {value:?}: {e}"
            );
        }
        assert_eq!(&c.config_get(name), value, "{name}");
    }
}

#[test]
fn protected_directives() {
    let server = Server::aedile(&["--enable-protected-configs", "no"]);
    let mut c = server.connect();
    c.run("CONFIG SET dbfilename x.rdb").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config",
    );
    let server = Server::aedile(&["--enable-protected-configs", "yes"]);
    let mut c = server.connect();
    c.config_set("dbfilename", "x.rdb");
    c.ok("SAVE");
    assert!(server.scratch.join("x.rdb").exists());
    c.run("CONFIG SET dbfilename a/b").assert_error(
        "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - dbfilename can't be a path, just a filename",
    );
}

/// What has no effect is named where CONFIG is explained, and what would leave a server less safe than was asked for is refused.
#[test]
fn what_is_not_built_is_named_or_refused() {
    let mut server = Server::aedile(&["--io-threads", "4"]);
    let mut c = server.connect();
    let help = c.run("CONFIG HELP");
    let named = help.items().iter().map(Value::text);
    let line = named
        .filter(|l| l.contains("Without effect here: "))
        .collect::<Vec<_>>();
    assert_eq!(line.len(), 1);
    for name in ["io-threads", "activedefrag", "tls-dh-params-file"] {
        assert!(line[0].contains(name), "{}", line[0]);
    }
    assert!(!line[0].contains("socket-mark-id") && !line[0].contains("maxmemory"));
    assert_eq!(c.info("directives_without_effect"), "io-threads");
    assert_eq!(c.config_get("socket-mark-id"), "0");
    c.run("CONFIG SET socket-mark-id 7")
        .assert_error_prefix("ERR CONFIG SET failed");
    server.kill9();
    server.restart_with(&["--socket-mark-id", "0"]);
    server.kill9();
    let dir = Scratch::new();
    let e = run_to_end(Kind::Aedile, dir.path(), &["--socket-mark-id", "7"], b"");
    assert_eq!(e.status.code(), Some(1));
    assert!(
        e.stderr.contains(
            "'socket-mark-id' asks for marked packets, by which others filter or route them"
        ),
        "{e:?}"
    );
}
