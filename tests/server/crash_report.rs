//! Reports of crashes and of a loop that is stuck; the score by which the kernel chooses whom to end.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use crate::support::conn::encode;
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
}

/// All of these are there, in this order.
#[track_caller]
fn assert_in_order(report: &str, parts: &[&str]) {
    let mut at = 0;
    for part in parts {
        match report[at..].find(part) {
            Some(n) => at += n + part.len(),
            None => panic!("{part:?} is not where it should be in:\n{report}"),
        }
    }
}

#[test]
fn a_crash_tells_all_it_knows() {
    let mut server = Server::aedile(&DEBUG);
    let mut c = server.connect();
    c.ok("CLIENT SETNAME crasher");
    server.connect().ok("SET before 1");
    let mut other = server.connect();
    other.ok("CLIENT SETNAME bystander");
    let long = "x".repeat(1000);
    let mut bytes = encode(&["SET", "pipelined", "1"]);
    bytes.extend(encode(&["DEBUG", "SEGFAULT", &long, "auth", "secret"]));
    bytes.extend(encode(&["SET", "never", "1"]));
    c.write_raw(&bytes);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    let report = report_of(&server);
    assert_in_order(
        &report,
        &[
            "crashed by signal: 11, si_code: 1",
            "Accessing address: 0x8",
            "Crashed running the instruction at: 0x",
            "\n------ STACK TRACE ------\n",
            "Backtrace:\n",
            "(debugCommand)",
            "\n------ REGISTERS ------\n",
            "\n------ INFO OUTPUT ------\n# Server\r\n",
            "# Keyspace\r\ndb0:keys=2",
            "\n------ CLIENT LIST OUTPUT ------\nid=",
            " name=bystander ",
            "\n------ CURRENT CLIENT INFO ------\nid=",
            " name=crasher ",
            " cmd=debug ",
            "\nargc: '5'\n",
            "argv[0]: '\"DEBUG\"'\n",
            "argv[1]: '\"SEGFAULT\"'\n",
            &format!("argv[2]: '\"{}\"'\n", &long[..128]),
            "argv[3]: '\"auth\"'\n",
            "\n------ MODULES INFO OUTPUT ------\n",
            "\n------ CONFIG DEBUG OUTPUT ------\n",
            "replica-read-only yes\n",
            "\n------ FAST MEMORY TEST ------\n",
            "*** Preparing to test memory region ",
            "Fast memory test PASSED",
            "\n------ DUMPING CODE AROUND EIP ------\n",
            "dump of function (hexdump of ",
        ],
    );
    assert!(!report.contains("secret"), "{report}");
    if cfg!(target_arch = "x86_64") {
        let line = report.lines().find_map(|l| l.strip_prefix("RIP:"));
        let rip = line.expect("RIP").split(' ').next().expect("a number");
        let rip = u64::from_str_radix(rip, 16).expect("a number");
        let at = format!("Crashed running the instruction at: {rip:#x}\n");
        assert!(report.contains(&at), "{report}");
        assert!(report.contains(") -> "), "{report}");
    }
}

/// A report that fails itself ends the process by the first signal; so does one that hangs, and one of a thread that has no
/// part in the server's state says so.
#[test]
fn a_fault_in_the_report_is_the_end() {
    let start = |what: &str, args: &[&str]| {
        let scratch = server::Scratch::new();
        let library = tools::preload(scratch.path(), "fault_in_report");
        let env = vec![
            ("LD_PRELOAD".into(), library.into()),
            ("FAULT_IN_REPORT".into(), what.into()),
        ];
        Server::start_with_env(Kind::Aedile, scratch, args, env)
    };
    for what in ["crash", "hang"] {
        let mut server = start(what, &DEBUG);
        let _ = server.connect().try_cmd(&["DEBUG", "SEGFAULT"]);
        assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV), "{what}");
        let log = server.log();
        assert_eq!(server.log_count("BUG REPORT START"), 1, "{log}");
        assert_in_order(&log, &["STACK TRACE", "(debugCommand)", "REGISTERS"]);
        assert!(!log.contains("BUG REPORT END"), "{log}");
    }
    let mut server = start("thread", &["--appendonly", "yes"]);
    let mut c = server.connect();
    c.ok("SET a 1");
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    let report = report_of(&server);
    assert_in_order(
        &report,
        &[
            "Accessing address: 0x10",
            "STACK TRACE",
            "REGISTERS",
            "another thread than the server's own",
            "DUMPING CODE",
        ],
    );
    assert!(!report.contains("INFO OUTPUT"), "{report}");
}

/// The child that saves is reported on like the server, and the server goes on.
#[test]
fn a_crash_of_a_child() {
    let server = Server::aedile(&DEBUG);
    let mut c = server.connect();
    c.ok("SET a 1");
    c.config_set("rdb-key-save-delay", "10000000");
    assert!(!c.run("BGSAVE").is_error());
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    let child: i32 = wait_for("the child", || {
        fs::read_to_string(&children).ok()?.trim().parse().ok()
    });
    wait_until("its memory", || {
        // By then it has its own signal handlers.
        fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|t| t.contains("bgsave"))
    });
    // SAFETY: kill takes no pointers; the pid is of our child's child, which is reaped only when it has ended.
    assert_eq!(unsafe { libc::kill(child, libc::SIGSEGV) }, 0);
    server.wait_log("Background saving terminated by signal 11");
    let report = report_of(&server);
    assert_in_order(
        &report,
        &["crashed by signal: 11", "STACK TRACE", "INFO OUTPUT"],
    );
    assert!(report.contains("Not tested"), "{report}");
    assert_eq!(c.run("GET a"), "1");
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
            assert_in_order(
                &report_of(&server),
                &[
                    text,
                    "STACK TRACE",
                    "(debugCommand)",
                    "INFO OUTPUT",
                    "CLIENT LIST OUTPUT",
                    "CURRENT CLIENT INFO",
                    &format!("argv[1]: '\"{word}\"'"),
                    "MODULES INFO OUTPUT",
                    "Fast memory test PASSED",
                ],
            );
            assert_eq!(server.log_count("BUG REPORT START"), 1);
            assert!(!server.log_has("crashed by signal"));
        }
    }
}

#[test]
fn what_is_reported_is_a_choice() {
    let mut server = Server::aedile(&DEBUG);
    server.connect().config_set("crash-log-enabled", "no");
    let _ = server.connect().try_cmd(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    assert!(!server.log_has("BUG REPORT"), "{}", server.log());
    // What failed is always said.
    for (word, text) in [
        ("PANIC", "Guru Meditation: "),
        ("ASSERT", "ASSERTION FAILED"),
    ] {
        server.restart();
        server.connect().config_set("crash-log-enabled", "no");
        let _ = server.connect().try_cmd(&["DEBUG", word]);
        assert_eq!(server.wait_exit().signal(), Some(libc::SIGABRT));
        assert!(report_of(&server).contains(text), "{}", server.log());
        assert!(!server.log_has("------ "), "{}", server.log());
    }
    server.restart();
    server.connect().config_set("crash-memcheck-enabled", "no");
    let _ = server.connect().try_cmd(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGSEGV));
    assert_in_order(&report_of(&server), &["INFO OUTPUT", "DUMPING CODE"]);
    assert!(!server.log_has("MEMORY TEST"), "{}", server.log());
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

#[test]
fn running_out_of_memory_is_reported() {
    if stand_in().is_some() {
        return;
    }
    let mut server = Server::aedile(&[]);
    let mut c = server.connect();
    let set = std::process::Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), "--as=500000000"])
        .status();
    assert!(set.is_ok_and(|s| s.success()));
    c.send(&["SETRANGE", "k", "536870000", "x"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGABRT));
    assert!(server.log_has("# Out Of Memory allocating 53"));
    let report = report_of(&server);
    assert_in_order(
        &report,
        &[
            "Redis aborting for OUT OF MEMORY. Allocating 53",
            "------ STACK TRACE ------",
            "setrange",
        ],
    );
}

#[test]
fn debug_oom() {
    if stand_in().is_some() {
        return;
    }
    let mut server = Server::aedile(&DEBUG);
    server.connect().send(&["DEBUG", "OOM"]);
    assert_eq!(server.wait_exit().signal(), Some(libc::SIGABRT));
    assert!(server.log_has(&format!(
        "Out Of Memory allocating {} bytes!",
        usize::MAX / 4
    )));
    assert!(report_of(&server).contains("OUT OF MEMORY"));
}
