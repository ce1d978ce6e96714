//! redis-cli debugs scripts: `--ldb` and `--ldb-sync-mode`.

use crate::need_redis;
use crate::support::server::Scratch;
use crate::support::tools::run_cli;
use crate::support::*;

const SCRIPT: &str = "local key = KEYS[1]
redis.call('set', key, ARGV[1])
local n = redis.call('incr', key)
return {n, 'done'}
";

#[test]
fn redis_cli_steps_through_a_script() {
    need_redis!();
    let scratch = Scratch::new();
    let script = scratch.write("script.lua", SCRIPT);
    let script = script.to_str().expect("a path");
    for (mode, left) in [("--ldb", ""), ("--ldb-sync-mode", "42")] {
        // Redis itself, to see that what is looked for is what users see.
        for kind in [Kind::Redis, Kind::Aedile] {
            let server = Server::start(kind, &[]);
            let words = b"list\ns\nprint\ns\ns\nprint n\ntrace\nredis get k\neval 1+1\nbreak 4\nmaxlen 100\ncontinue\nquit\n";
            let out = run_cli(
                server.port,
                &[mode, "--eval", script, "k", ",", "41"],
                words,
            );
            let mut rest = &out.stdout[..];
            for expected in [
                "Lua debugging session started",
                "* Stopped at 1, stop reason = step over",
                "-> 1   local key = KEYS[1]",
                "   4   return {n, 'done'}",
                "* Stopped at 2, stop reason = step over",
                "<value> key = \"k\"",
                "<redis> set k 41",
                "<reply> \"+OK\"",
                "* Stopped at 3, stop reason = step over",
                "<redis> incr k",
                "<reply> 42",
                "* Stopped at 4, stop reason = step over",
                "<value> 42",
                "In top level:",
                "-> 4   return {n, 'done'}",
                "<redis> get k",
                "<reply> \"42\"",
                "<retval> 2",
                "->#4   return {n, 'done'}",
                "<value> replies are truncated at 100 bytes.",
                "1) (integer) 42",
                "2) \"done\"",
                "(Lua debugging session ended",
            ] {
                let at = rest.find(expected);
                let at = at.unwrap_or_else(|| {
                    panic!("{kind:?} {mode}: no {expected:?} in {}", out.stdout)
                });
                rest = &rest[at + expected.len()..];
            }
            let value = server.connect().run("GET k");
            assert_eq!(
                value,
                if left.is_empty() {
                    Value::NullBulk
                } else {
                    Value::Bulk(left.into())
                }
            );
        }
    }
}

#[test]
fn redis_cli_restarts_and_aborts() {
    need_redis!();
    let scratch = Scratch::new();
    let script = scratch.write("script.lua", SCRIPT);
    let script = script.to_str().expect("a path");
    for mode in ["--ldb", "--ldb-sync-mode"] {
        for kind in [Kind::Redis, Kind::Aedile] {
            let server = Server::start(kind, &[]);
            let words = b"s\nrestart\ns\nabort\nquit\n";
            let out = run_cli(server.port, &[mode, "--eval", script, "k", ",", "1"], words);
            let stops = out.stdout.matches("* Stopped at 1, ").count();
            assert!(stops >= 2, "{kind:?} {mode}: {}", out.stdout);
            assert!(
                out.stdout.contains("script aborted for user request"),
                "{}",
                out.stdout
            );
            assert_eq!(server.connect().run("PING"), "PONG");
        }
    }
}
