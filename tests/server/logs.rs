//! The log's formats, slow commands in it, audit lines, and that nothing in it is as a client sent it.

use crate::support::*;

/// Lines that begin and end as records do.
fn json_lines(log: &str) -> Vec<&str> {
    log.lines()
        .inspect(|l| {
            assert!(l.starts_with("{\"pid\":") && l.ends_with("\"}"), "{l}");
        })
        .collect()
}

#[test]
fn each_format_in_all_that_a_start_and_a_sync_say() {
    let json = Server::aedile(&["--log-format", "json", "--log-timestamp-format", "iso8601"]);
    let mut c = json.connect();
    let of = format!("127.0.0.1 {}", json.port);
    let logfmt = Server::aedile(&[
        "--log-format",
        "logfmt",
        "--log-timestamp-format",
        "milliseconds",
        "--replicaof",
        &of,
    ]);
    let mut r = logfmt.connect();
    wait_until("in sync", || r.info("master_link_status") == "up");
    c.ok("SAVE");
    let log = json.log();
    let lines = json_lines(&log);
    assert!(lines.iter().any(|l| l.contains("\"role\":\"primary\"")
        && l.contains("\"level\":\"notice\"")
        && l.contains("\"message\":\"Ready to accept connections tcp\"")));
    let version = format!(
        "\"message\":\"Aedile version={}, as Redis 7.2.4",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(log.matches(&version).count(), 1, "{log}");
    let time = log.split("\"timestamp\":\"").nth(1).expect("a time");
    assert_eq!(&time[4..5], "-");
    assert!(matches!(&time[23..24], "+" | "-"), "{time}");
    for line in logfmt.log().lines() {
        assert!(line.starts_with("pid=") && line.ends_with('"'), "{line}");
        let (fields, message) = line.split_once(" message=\"").expect("a message");
        assert!(!message[..message.len() - 1].contains('"'), "{line}");
        let names: Vec<&str> = fields
            .split(' ')
            .filter_map(|f| Some(f.split_once('=')?.0))
            .collect();
        let whole = ["pid", "role", "timestamp", "level"];
        assert!(
            names == whole || names == [&whole[..], &["audit"]].concat(),
            "{line}"
        );
        let ms = fields.split("timestamp=\"").nth(1).expect("a time");
        assert!(ms.bytes().take(13).all(|b| b.is_ascii_digit()), "{line}");
    }
    // And while it runs.
    r.config_set("log-format", "legacy");
    r.config_set("log-timestamp-format", "legacy");
    c.ok("SET a b");
    r.ok("REPLICAOF NO ONE");
    let log = logfmt.log();
    let last = log.lines().last().expect("a line");
    assert!(last.starts_with(&format!("{}:M ", logfmt.pid())), "{last}");
}

/// On the defaults: what operators look for stands as Redis has it.
#[test]
fn legacy_is_the_default_and_names_both_versions() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.config_get("log-format"), "legacy");
    assert_eq!(c.config_get("slowlog-to-log"), "no");
    let log = server.log();
    assert!(log.contains(" * Redis version=7.2.4, bits=64, "));
    assert!(log.contains(" * Aedile version="));
}

#[test]
fn slow_commands_without_what_the_client_sent() {
    let server = Server::aedile(&["--slowlog-to-log", "yes", "--slowlog-log-slower-than", "0"]);
    let mut c = server.connect();
    c.cmd(&["SET", "secret\nkey", "secret value"]).assert_ok();
    c.ok("CONFIG SET maxmemory-samples 5");
    let log = server.log();
    let line = |cmd: &str| {
        log.lines()
            .find(|l| l.contains(&format!(" cmd={cmd} ")))
            .unwrap_or_else(|| panic!("no {cmd}: {log}"))
            .to_string()
    };
    assert!(
        line("set").contains("Slow command: id=")
            && line("set").contains(" words=3 addr=127.0.0.1:")
    );
    assert!(line("config|set").contains(" words=4 "));
    assert!(!log.contains("secret"), "{log}");
    // What is off says nothing.
    c.config_set("slowlog-to-log", "no");
    let before = server.log().matches("Slow command").count();
    c.ok("SET a b");
    // The CONFIG SET that switched it off is measured after it has.
    assert_eq!(server.log().matches("Slow command").count(), before);
}

#[test]
fn audits_are_marked_and_paced() {
    let server = Server::aedile(&["--requirepass", "secret"]);
    let mut c = server.connect();
    c.ok("AUTH secret");
    c.ok("CONFIG SET maxmemory 100mb masterauth hidden");
    c.ok("CONFIG SET masteruser x");
    let log = server.log();
    let audits: Vec<&str> = log.lines().filter(|l| l.contains(" * AUDIT ")).collect();
    let has = |text: &str| audits.iter().any(|l| l.contains(text));
    assert!(
        has("AUDIT config: maxmemory is \"104857600\", by user=default addr=127.0.0.1:"),
        "{log}"
    );
    assert!(has("AUDIT config: masterauth is \"(redacted)\""), "{log}");
    assert!(!log.contains("hidden"));
    // Who may what.
    c.ok("ACL SETUSER ann on >hidden #0000000000000000000000000000000000000000000000000000000000000000 ~k* +@all");
    c.run("ACL SETUSER ann nonsense").assert_error_prefix("ERR");
    assert_eq!(c.run("ACL DELUSER ann nobody"), 1);
    let log = server.log();
    assert!(
        log.contains(
            "AUDIT acl: user ann set: on >(redacted) #(redacted) ~k* +@all, by user=default addr=127.0.0.1:"
        ),
        "{log}"
    );
    assert!(log.contains("AUDIT acl: user ann deleted, by user=default addr=127.0.0.1:"));
    assert_eq!(log.matches("AUDIT acl: user ").count(), 2);
    assert!(!log.contains("hidden") && !log.contains("#00"));
    // Who is refused.
    c.ok("ACL SETUSER bob on >pw ~a* +get");
    let mut bob = server.connect();
    bob.run("AUTH bob wrong").assert_error_prefix("WRONGPASS");
    bob.ok("AUTH bob pw");
    bob.run("SET a 1").assert_error_prefix("NOPERM");
    bob.cmd(&["GET", "x\nforged"]).assert_error_prefix("NOPERM");
    let log = server.log();
    assert!(
        log.contains("AUDIT acl: denied auth to user=bob addr=127.0.0.1:"),
        "{log}"
    );
    assert!(log.contains("AUDIT acl: denied command to user=bob ") && log.contains("object=set"));
    assert!(log.contains("object=x\\nforged"), "{log}");
    // The same again is no news; and made-up names fill no log.
    bob.run("SET a 1").assert_error_prefix("NOPERM");
    assert_eq!(server.log().matches("object=set").count(), 1);
    let mut other = server.connect();
    for i in 0..300 {
        other.run(&format!("AUTH user{i} x"));
    }
    let lines = server.log().matches("AUDIT acl: denied auth").count();
    assert!(lines < 150, "{lines}");
    let hidden = Server::aedile(&["--hide-user-data-from-log", "yes"]);
    let mut c = hidden.connect();
    c.run("AUTH somebody x").assert_error_prefix("WRONGPASS");
    c.ok("ACL SETUSER somebody on nopass ~somebody:*");
    assert!(hidden.log_has("AUDIT acl: user *redacted* set: on nopass *redacted*, by user="));
    assert!(!hidden.log_has("somebody"), "{}", hidden.log());
}
