//! Reports of crashes and of a loop that is stuck; the score by which the kernel chooses whom to end.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use crate::support::*;

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

fn report_of(server: &Server) -> String {
    let log = server.log();
    let start = log.find("=== REDIS BUG REPORT START");
    let end = log.find("=== REDIS BUG REPORT END");
    match (start, end) {
        (Some(s), Some(e)) => log[s..e].to_string(),
        _ => panic!("no report in:\n{log}"),
    }
}

#[test]
fn fatal_signals_are_reported() {
    for (signal, name) in [(libc::SIGABRT, "6"), (libc::SIGBUS, "7")] {
        let mut server = Server::aedile(&DEBUG);
        server.signal(signal);
        assert_eq!(server.wait_exit().signal(), Some(signal));
        let report = report_of(&server);
        assert!(
            report.contains(&format!("crashed by signal: {name}, si_code: 0")),
            "{report}"
        );
        assert!(
            report.contains(&format!("Killed by PID: {}", std::process::id())),
            "{report}"
        );
        assert!(report.contains("------ STACK TRACE ------"), "{report}");
    }
    let mut server = Server::aedile(&DEBUG);
    let _ = server.connect().try_cmd(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    let report = report_of(&server);
    assert!(report.contains("Accessing address: 0x8"), "{report}");
    assert!(report.contains("(debugCommand)"), "{report}");
}

#[test]
fn panics_and_assertions_are_reported() {
    for (word, text) in [
        ("PANIC", "Guru Meditation: DEBUG PANIC called at Unix time"),
        ("ASSERT", "=== ASSERTION FAILED ==="),
    ] {
        for exit in ["no", "yes"] {
            let mut server = Server::aedile(&[&DEBUG[..], &["--use-exit-on-panic", exit]].concat());
            let _ = server.connect().try_cmd(&["DEBUG", word]);
            let status = server.wait_exit();
            if exit == "yes" {
                assert_eq!(status.code(), Some(1));
            } else {
                assert_eq!(status.signal(), Some(libc::SIGABRT));
            }
            let report = report_of(&server);
            assert!(report.contains(text), "{report}");
            assert!(report.contains("STACK TRACE"), "{report}");
            assert!(!server.log_has("crashed by signal"));
        }
    }
}

#[test]
fn without_the_crash_log_nothing_is_reported() {
    let mut server = Server::aedile(&DEBUG);
    server.connect().config_set("crash-log-enabled", "no");
    let _ = server.connect().try_cmd(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    assert!(!server.log_has("BUG REPORT"), "{}", server.log());
}

#[test]
fn the_watchdog_tells_where_the_loop_is_stuck() {
    let server = Server::aedile(&DEBUG);
    let mut c = server.connect();
    c.config_set("watchdog-period", "1");
    // Too short for the cron to keep up with.
    assert_eq!(c.config_get("watchdog-period"), "200");
    c.ok("DEBUG SLEEP 0.6");
    server.wait_log("--- WATCHDOG TIMER EXPIRED ---");
    server.wait_log("(debugCommand)");
    assert_eq!(c.run("PING"), "PONG");
    c.config_set("watchdog-period", "0");
    let reports = || server.log_count("WATCHDOG");
    let before = reports();
    c.ok("DEBUG SLEEP 0.6");
    assert_eq!(reports(), before);
}

#[test]
fn the_oom_score_follows_role_and_directive() {
    let server = Server::aedile(&DEBUG);
    let mut c = server.connect();
    let score = |pid: u32| -> i32 {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("the score");
        text.trim().parse().expect("a number")
    };
    let base = score(server.pid());
    c.config_set("oom-score-adj-values", "10 20 30");
    assert_eq!(score(server.pid()), base);
    c.config_set("oom-score-adj", "relative");
    assert_eq!(score(server.pid()), (base + 10).min(1000));
    c.run("REPLICAOF 127.0.0.1 1");
    assert_eq!(score(server.pid()), (base + 20).min(1000));
    c.run("REPLICAOF NO ONE");
    c.run("SET a 1");
    c.config_set("rdb-key-save-delay", "10000000");
    assert!(!c.run("BGSAVE").is_error());
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    let child: u32 = wait_for("the child", || {
        fs::read_to_string(&children)
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    wait_until("the child's score", || {
        score(child) == (base + 30).min(1000)
    });
    c.config_set("oom-score-adj", "no");
    assert_eq!(score(server.pid()), base);
}
