//! The debugger of scripts: SCRIPT DEBUG, its commands, both modes, and every way in which a session ends.

use std::path::Path;

use crate::support::conn::encode;
use crate::support::*;

/// What a session says at a time.
#[track_caller]
fn said(c: &mut Conn) -> Vec<String> {
    c.read().items().iter().map(Value::text).collect()
}

/// Says a word of the debugger's, and hears the answer.
#[track_caller]
fn say(c: &mut Conn, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    c.send(&words);
    said(c)
}

/// A session that has stopped at the script's first line.
#[track_caller]
fn begin(server: &Server, mode: &str, script: &str, words: &[&str]) -> Conn {
    let mut c = server.connect();
    c.ok(&format!("SCRIPT DEBUG {mode}"));
    let mut argv = vec!["EVAL", script];
    argv.extend(if words.is_empty() { &["0"] } else { words });
    c.send(&argv);
    let first = said(&mut c);
    assert!(first[0].starts_with("* Stopped at "), "{first:?}");
    c
}

/// The session's last words: what it has logged, and the reply.
#[track_caller]
fn end(c: &mut Conn, line: &str) -> (Vec<String>, Value) {
    let mut logged = say(c, line);
    assert_eq!(logged.pop().as_deref(), Some("<endsession>"));
    let reply = c.read();
    assert_eq!(c.expect_close(), b"");
    (logged, reply)
}

/// The children that a server has, ended ones included.
fn children(server: &Server) -> usize {
    let pid = server.pid();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    children.split_whitespace().count()
}

const BOTH: [&str; 2] = ["YES", "SYNC"];

const SCRIPT: &str = "local a = 1
local t = {1, 'x', {y = 2}}
for i = 1, 2 do
  redis.call('incr', KEYS[1])
end
local function double(x)
  local y = x * 2
  return y
end
local b = double(2) + double(3)
return {a, b}";

#[test]
fn a_session_steps_through_its_script() {
    let server = Server::aedile(&[]);
    let mut other = server.connect();
    for mode in BOTH {
        let mut c = server.connect();
        c.ok(&format!("script debug {}", mode.to_lowercase()));
        c.send(&["EVAL", SCRIPT, "1", "n"]);
        let stop = |line: usize, reason: &str| {
            [
                format!("* Stopped at {line}, stop reason = {reason}"),
                format!(
                    "-> {line:<3} {}",
                    SCRIPT.lines().nth(line - 1).unwrap_or_default()
                ),
            ]
        };
        assert_eq!(said(&mut c), stop(1, "step over"));
        assert_eq!(say(&mut c, "s"), stop(2, "step over"));
        assert_eq!(say(&mut c, "NEXT"), stop(3, "step over"));
        assert_eq!(say(&mut c, "step"), stop(4, "step over"));
        if mode == "YES" {
            // Others are served meanwhile.
            assert_eq!(other.run("SET other 1"), "OK");
        }
        for n in 1..=2 {
            // What a line has called is told once the next one is reached; a line that was returned to is no new one.
            let logged = say(&mut c, "n");
            let redis = "<redis> incr n".to_string();
            let reply = format!("<reply> {n}");
            let next = stop(3, "step over");
            assert_eq!(logged, [redis, reply, next[0].clone(), next[1].clone()]);
            // A function is made where its text ends.
            let after = if n == 1 { 4 } else { 9 };
            assert_eq!(say(&mut c, "s"), stop(after, "step over"));
        }
        for line in [10, 7, 8, 7, 8, 11] {
            assert_eq!(say(&mut c, "s"), stop(line, "step over"), "{line}");
        }
        let (logged, reply) = end(&mut c, "continue");
        assert!(logged.is_empty(), "{logged:?}");
        assert_eq!(reply.items(), [Value::Int(1), Value::Int(10)]);
        // What a forked session writes is its own.
        let left = other.run("GET n");
        match mode {
            "YES" => assert!(left.is_null()),
            _ => assert_eq!(left, "2"),
        }
    }
    wait_until("the forked session to be reaped", || children(&server) == 0);
    for line in [
        "Redis forked for debugging eval",
        "Lua debugging session child exiting",
        "Redis synchronous debugging eval session started",
        "Redis synchronous debugging eval session ended",
    ] {
        assert_eq!(server.log_count(line), 1, "{line}");
    }
    assert!(!server.log_has("unmatched pid"));
    assert_eq!(other.info_int("total_forks"), 1);
}

/// Commands of a session that has stopped in its first line, and what is answered.
fn check(server: &Server, script: &str, words: &[&str], dialogue: &[(&str, &[&str])]) {
    for mode in BOTH {
        let mut c = begin(server, mode, script, words);
        for (line, answer) in dialogue {
            assert_eq!(say(&mut c, line), *answer, "{line}");
        }
        say(&mut c, "c");
    }
}

#[test]
fn the_source_is_listed() {
    let lines: String = (1..=14).map(|n| format!("local l{n} = {n}\r\n")).collect();
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, &lines, &[]);
        let numbers = |listed: Vec<String>| -> Vec<String> {
            let number = |l: &String| l[..6].trim().to_string();
            listed.iter().map(number).collect()
        };
        let to = |from: usize, to: usize| -> Vec<String> {
            let number = |n| match n {
                1 => "-> 1".to_string(),
                n => n.to_string(),
            };
            (from..=to).map(number).collect()
        };
        for (line, from, until) in [
            ("l", 1, 6),
            ("list", 1, 6),
            ("l 0", 1, 6),
            ("l 8", 3, 13),
            ("list 8 2", 6, 10),
            ("l 14 0", 14, 14),
            ("l 8 x", 8, 8),
            ("l 100", 1, 0),
            ("l 5 -1", 1, 0),
            ("w", 1, 14),
            ("WHOLE", 1, 14),
            ("l 1 1000000", 1, 14),
        ] {
            assert_eq!(numbers(say(&mut c, line)), to(from, until), "{line}");
        }
        assert_eq!(say(&mut c, "l 2 0"), ["   2   local l2 = 2 "]);
        assert_eq!(end(&mut c, "c").1, Value::NullBulk);
    }
}

#[test]
fn variables_are_printed() {
    let script = "local a = {1, 'x\\n', {y = 2}}
local f = function() return 1.5 end
for i, v in ipairs({7}) do
  local a = v
  redis.breakpoint()
  a = a + 1
end";
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, script, &["1", "key", "arg", "two words"]);
        assert_eq!(
            say(&mut c, "p"),
            ["No local variables in the current context."]
        );
        assert_eq!(say(&mut c, "p a"), ["No such variable."]);
        assert_eq!(say(&mut c, "print KEYS"), [r#"<value> {"key"}"#]);
        assert_eq!(say(&mut c, "p ARGV"), [r#"<value> {"arg"; "two words"}"#]);
        // Other globals, and what is ours, are not shown.
        assert_eq!(say(&mut c, "p redis"), ["No such variable."]);
        assert_eq!(say(&mut c, "p real"), ["No such variable."]);
        assert!(say(&mut c, "c")[0].starts_with("* Stopped at 6, "));
        let all = say(&mut c, "p");
        assert_eq!(all[0], r#"<value> a = {1; "x\n"; {["y"]=2}}"#);
        assert!(all[1].starts_with("<value> f = \"function@0x"), "{all:?}");
        assert!(all.contains(&"<value> i = 1".to_string()), "{all:?}");
        assert!(all.contains(&"<value> v = 7".to_string()), "{all:?}");
        assert_eq!(all.last().map(String::as_str), Some("<value> a = 7"));
        assert_eq!(say(&mut c, "p v"), ["<value> 7"]);
        assert_eq!(end(&mut c, "c").1, Value::NullBulk);
    }
}

#[test]
fn breakpoints_stop_a_script_and_a_trace_tells_where() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, SCRIPT, &["1", "n"]);
        let none = ["No breakpoints set. Use 'b <line>' to add one."];
        assert_eq!(say(&mut c, "b"), none);
        let around = [
            "   7     local y = x * 2",
            "  #8     return y",
            "   9   end",
        ];
        assert_eq!(say(&mut c, "b 8"), around);
        for wrong in ["break 8", "b 12", "b 99999999999"] {
            assert_eq!(say(&mut c, wrong), ["Wrong line number."], "{wrong}");
        }
        assert_eq!(say(&mut c, "b 1x"), ["Invalid argument:'1x'"]);
        assert_eq!(say(&mut c, "b"), ["1 breakpoints set:", around[1]]);
        let stopped = say(&mut c, "c");
        assert_eq!(
            stopped,
            [
                "* Stopped at 8, stop reason = break point",
                "->#8     return y"
            ]
        );
        assert_eq!(
            say(&mut c, "t"),
            [
                "In double:",
                "->#8     return y",
                "From top level:",
                "   10  local b = double(2) + double(3)"
            ]
        );
        assert_eq!(say(&mut c, "p x"), ["<value> 2"]);
        assert_eq!(say(&mut c, "p t"), [r#"<value> {1; "x"; {["y"]=2}}"#]);
        assert!(say(&mut c, "c")[0].ends_with("break point"));
        assert_eq!(say(&mut c, "p y"), ["<value> 6"]);
        assert_eq!(
            say(&mut c, "b -3"),
            ["No breakpoint in the specified line."]
        );
        assert_eq!(say(&mut c, "b -8 10 11 0"), {
            let mut all = vec!["Breakpoint removed."];
            all.extend([
                "   9   end",
                "  #10  local b = double(2) + double(3)",
                "   11  return {a, b}",
            ]);
            all.extend([
                "  #10  local b = double(2) + double(3)",
                "  #11  return {a, b}",
            ]);
            all.push("All breakpoints removed.");
            all
        });
        assert_eq!(say(&mut c, "b"), none);
        let (logged, reply) = end(&mut c, "c");
        assert!(logged.is_empty(), "{logged:?}");
        assert_eq!(reply.items().len(), 2);
    }
}

#[test]
fn code_is_evaluated() {
    let server = Server::aedile(&[]);
    check(
        &server,
        "local a = 1",
        &["1", "k", "v"],
        &[
            ("e 1 + 1", &["<retval> 2"]),
            ("eval KEYS[1] .. ARGV[1]", &["<retval> \"kv\""]),
            ("e return 1, 2", &["<retval> 1"]),
            ("e local x = 5", &["<retval> nil"]),
            ("e", &["<retval> nil"]),
            ("e 1/3", &["<retval> 0.333333"]),
            ("e {1, {a = true}}", &["<retval> {1; {[\"a\"]=true}}"]),
            (
                "e x =",
                &["<error> ldb_eval:1: unexpected symbol near '<eof>'"],
            ),
            ("e error('boo')", &["<error> ldb_eval:1: boo"]),
            ("e error({})", &["<error> (error object is not a string)"]),
            (
                "e redis.call('nosuch')",
                &["<error> ERR Unknown Redis command called from script"],
            ),
            ("e redis.call('set', 'k', 'v').ok", &["<retval> \"OK\""]),
            (
                "e g = 1",
                &["<error> ldb_eval:1: Attempt to modify a readonly table"],
            ),
            (
                "e nosuch",
                &[
                    "<error> ldb_eval:1: Script attempted to access nonexistent global variable 'nosuch'",
                ],
            ),
        ],
    );
}

#[test]
fn commands_are_called() {
    let server = Server::aedile(&[]);
    check(
        &server,
        "local a = 1",
        &[],
        &[
            ("r set k v", &["<redis> set k v", "<reply> \"+OK\""]),
            ("redis get k", &["<redis> get k", "<reply> \"v\""]),
            ("r get none", &["<redis> get none", "<reply> NULL"]),
            (
                "r lrange none 0 -1",
                &["<redis> lrange none 0 -1", "<reply> []"],
            ),
            (
                "r hset k f v",
                &[
                    "<redis> hset k f v",
                    "<error> -WRONGTYPE Operation against a key holding the wrong kind of value",
                    "<reply> \"-WRONGTYPE Operation against a key holding the wrong kind of value\"",
                ],
            ),
            (
                "r nosuch",
                &[
                    "<redis> nosuch",
                    "<error> Unknown Redis command called from script",
                ],
            ),
            (
                "r subscribe c",
                &[
                    "<redis> subscribe c",
                    "<error> This Redis command is not allowed from script",
                ],
            ),
            (
                "r mget 1 2 3 4 5 6 7 8 9 10 11 12",
                &[
                    "<redis> mget 1 2 3 4 5 6 7 8 9 ... (2 more)",
                    "<reply> [NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL]",
                ],
            ),
            (
                "r",
                &["<error> Unknown Redis Lua debugger command or wrong number of arguments."],
            ),
        ],
    );
    let mut c = server.connect();
    // Those of the session in the server.
    assert_eq!(c.run("GET k"), "v");
}

#[test]
fn long_entries_are_cut() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, "local a = 1", &[]);
        let cut_at = |n: usize| {
            let text = format!("<retval> \"{}", "x".repeat(n));
            format!("{} ...", &text[..n])
        };
        assert_eq!(
            say(&mut c, "m"),
            ["<value> replies are truncated at 256 bytes."]
        );
        let hint = "<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.";
        assert_eq!(say(&mut c, "e ('x'):rep(1000)"), [cut_at(256), hint.into()]);
        assert_eq!(say(&mut c, "e ('x'):rep(1000)"), [cut_at(256)]);
        let least = ["<value> replies are truncated at 60 bytes."];
        assert_eq!(say(&mut c, "maxlen 5"), least);
        assert_eq!(say(&mut c, "m -5"), least);
        assert_eq!(say(&mut c, "e ('x'):rep(1000)"), [cut_at(60)]);
        // Ten tables in each of ten, ten times: only the beginning is made.
        let wide = "e (function() local t = {} for i = 1, 10 do t[i] = t end return t end)()";
        assert_eq!(say(&mut c, wide)[0].len(), 64);
        let reply = say(&mut c, &format!("r echo {}", "y".repeat(500)));
        assert_eq!(reply[1].len(), 64);
        assert_eq!(say(&mut c, "m 0"), ["<value> replies are unlimited."]);
        let whole = format!("<retval> \"{}\"", "x".repeat(1000));
        assert_eq!(say(&mut c, "e ('x'):rep(1000)"), [whole]);
        say(&mut c, "c");
    }
}

#[test]
fn a_script_talks_to_its_debugger() {
    let script = "redis.debug('before', 1, {2})
local stops = redis.breakpoint()
redis.debug(stops)
return stops";
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, script, &[]);
        assert_eq!(
            say(&mut c, "c"),
            [
                "<debug> line 1: \"before\", 1, {2}",
                "* Stopped at 3, stop reason = redis.breakpoint() called",
                "-> 3   redis.debug(stops)"
            ]
        );
        let (logged, reply) = end(&mut c, "c");
        assert_eq!(
            (logged, reply),
            (vec!["<debug> line 3: true".into()], Value::Int(1))
        );
    }
    // Without one they do nothing.
    let mut c = server.connect();
    assert_eq!(c.cmd(&["EVAL", script, "0"]), Value::NullBulk);
}

#[test]
fn help_and_what_is_unknown() {
    let server = Server::aedile(&[]);
    let unknown = "<error> Unknown Redis Lua debugger command or wrong number of arguments.";
    for mode in BOTH {
        let mut c = begin(&server, mode, "return 'hello'", &[]);
        let help = say(&mut c, "HELP");
        assert_eq!(help.len(), 30);
        assert_eq!(help[0], "Redis Lua debugger help:");
        assert_eq!(say(&mut c, "h"), help);
        for wrong in ["foo", "hello\0world", "hello\0", "\0", "steps"] {
            assert_eq!(say(&mut c, wrong), [unknown], "{wrong:?}");
        }
        assert_eq!(end(&mut c, "c").1, "hello");
    }
}

#[test]
fn a_script_that_fails_ends_its_session() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let script = "redis.call('set', 'k', 'v')\nredis.call('lpush', 'k', 'x')\nreturn 1";
        let mut c = begin(&server, mode, script, &[]);
        say(&mut c, "s");
        let (logged, reply) = end(&mut c, "s");
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(
            logged,
            [
                "<redis> lpush k x".to_string(),
                format!("<error> -{wrong}"),
                format!("<reply> \"-{wrong}\"")
            ]
        );
        reply.assert_error_prefix(&format!("{wrong} script: "));
        assert!(reply.text().ends_with(", on @user_script:2."), "{reply:?}");

        let mut c = server.connect();
        c.ok(&format!("SCRIPT DEBUG {mode}"));
        c.send(&["EVAL", "retur 1", "0"]);
        assert_eq!(said(&mut c), ["<endsession>"]);
        c.read()
            .assert_error_prefix("ERR Error compiling script (new function): user_script:1: ");
        assert_eq!(c.expect_close(), b"");

        let mut c = server.connect();
        c.ok(&format!("SCRIPT DEBUG {mode}"));
        c.send(&["EVAL", "return 1", "x"]);
        assert_eq!(said(&mut c), ["<endsession>"]);
        c.read()
            .assert_error("ERR value is not an integer or out of range");
        assert_eq!(c.expect_close(), b"");

        // Lua's own stack, not ours, is what ends.
        let script = "local function f() return 1 + f() end\nreturn f()";
        let mut c = begin(&server, mode, script, &[]);
        let (_, reply) = end(&mut c, "c");
        assert!(reply.text().contains("stack overflow"), "{reply:?}");
    }
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn abort_ends_the_script_for_good() {
    let server = Server::aedile(&[]);
    let script = "redis.call('set', 'k', ARGV[1])
local function f()
  local x = 1
end
pcall(f)
redis.call('set', 'k', 'not reached')
return 1";
    for mode in BOTH {
        let mut c = begin(&server, mode, script, &["0", mode]);
        say(&mut c, "b 3");
        say(&mut c, "c");
        // No pcall catches it.
        let (logged, reply) = end(&mut c, "abort");
        assert!(logged.is_empty(), "{logged:?}");
        reply.assert_error_prefix("ERR script aborted for user request script: ");
        assert!(reply.text().ends_with(", on @user_script:3."), "{reply:?}");
    }
    let mut c = server.connect();
    // What was done in the server stays.
    assert_eq!(c.run("GET k"), "SYNC");
    assert!(!server.log_has("killed by user"));
    assert_eq!(c.cmd(&["EVAL", script, "0", "plain"]), 1);
}

#[test]
fn what_is_no_command_ends_the_script() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        for (bytes, text) in [
            (b"step\r\n".to_vec(), "protocol error"),
            (b"*0\r\n".to_vec(), "protocol error"),
            (b"*1025\r\n".to_vec(), "protocol error"),
            (b"*1\r\n:1\r\n".to_vec(), "protocol error"),
            (b"*1\r\n$0\r\n\r\n".to_vec(), "protocol error"),
            (b"*1\r\n$1025\r\n".to_vec(), "protocol error"),
            (b"*1\r\n$1\r\nab\r\n".to_vec(), "protocol error"),
            (vec![b'*'; (1 << 20) + 1], "max client buffer reached"),
        ] {
            let mut c = begin(&server, mode, "return 1", &[]);
            c.write_raw(&bytes);
            assert_eq!(said(&mut c), ["<endsession>"]);
            c.read()
                .assert_error_prefix(&format!("ERR {text} script: "));
        }
    }
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn as_many_words_as_there_may_be() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, "return 1", &[]);
        let words = format!("redis{}", " test".repeat(1023));
        assert_eq!(
            say(&mut c, &words),
            [
                "<redis> test test test test test test test test test test ... (1012 more)",
                "<error> Unknown Redis command called from script"
            ]
        );
        assert_eq!(end(&mut c, "c").1, 1);
    }
}

#[test]
fn commands_may_come_in_parts_and_many_at_once() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, "local a = 1\nreturn a", &[]);
        for b in encode(&["p", "a"]) {
            c.write_raw(&[b]);
        }
        assert_eq!(said(&mut c), ["No such variable."]);
        c.write_raw(&[encode(&["s"]), encode(&["p", "a"]), encode(&["c"])].concat());
        assert_eq!(said(&mut c).len(), 2);
        assert_eq!(said(&mut c), ["<value> 1"]);
        assert_eq!(said(&mut c), ["<endsession>"]);
        assert_eq!(c.read(), 1);
        assert_eq!(c.expect_close(), b"");
    }
}

#[test]
fn script_debug_itself() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("SCRIPT DEBUG maybe")
        .assert_error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
    c.run("SCRIPT DEBUG")
        .assert_error("ERR wrong number of arguments for 'script|debug' command");
    let replies = c.pipeline(&[vec!["PING"], vec!["SCRIPT", "DEBUG", "YES"]]);
    replies[1].assert_error("ERR SCRIPT DEBUG must be called outside a pipeline");
    c.ok("SCRIPT DEBUG YES");
    c.ok("SCRIPT DEBUG SYNC");
    let sha = "a".repeat(40);
    for command in ["EVALSHA", "EVALSHA_RO"] {
        c.run(&format!("{command} {sha} 0"))
            .assert_error("ERR Please use EVAL instead of EVALSHA for debugging");
    }
    c.run("EVALSHA short 0").assert_error_prefix("NOSCRIPT ");
    c.ok("SCRIPT DEBUG NO");
    assert_eq!(c.run("EVAL return(5) 0"), 5);
    // Another client's scripts are not debugged.
    let _debugs = begin(&server, "YES", "return 1", &[]);
    assert_eq!(c.run("EVAL return(6) 0"), 6);
    // It is the last mode that counts.
    c.ok("SCRIPT DEBUG SYNC");
    c.ok("SCRIPT DEBUG YES");
    c.send(&["EVAL_RO", "redis.call('set', 'k', 'v')", "0"]);
    said(&mut c);
    assert_eq!(server.connect().run("PING"), "PONG");
    let (logged, reply) = end(&mut c, "s");
    assert!(
        logged[1].starts_with("<error> Write commands are not allowed"),
        "{logged:?}"
    );
    reply.assert_error_prefix("ERR Write commands are not allowed from read-only scripts.");
}

#[test]
fn what_was_replied_before_comes_first() {
    let server = Server::aedile(&["--appendonly", "yes", "--appendfsync", "always"]);
    for mode in BOTH {
        let mut c = server.connect();
        c.ok(&format!("SCRIPT DEBUG {mode}"));
        let big = "v".repeat(100_000);
        let requests = [
            encode(&["SET", "k", &big]),
            encode(&["GET", "k"]),
            encode(&["EVAL", "return 1", "0"]),
        ];
        c.write_raw(&requests.concat());
        c.read().assert_ok();
        assert_eq!(c.read(), &big[..]);
        assert_eq!(said(&mut c).len(), 2);
        assert_eq!(end(&mut c, "c").1, 1);
    }
}

#[test]
fn a_client_that_hangs_up_leaves_its_script_to_run_on() {
    let server = Server::aedile(&["--busy-reply-threshold", "100"]);
    let mut other = server.connect();
    let script = "local a = 1
redis.breakpoint()
redis.debug(a)
redis.call('set', KEYS[1], 'done')
return 1";
    for mode in BOTH {
        let mut c = begin(&server, mode, script, &["1", mode]);
        say(&mut c, "b 4");
        drop(c);
        wait_until("the session to end", || children(&server) == 0);
        match mode {
            "YES" => assert!(other.run("GET YES").is_null()),
            _ => assert_eq!(other.run("GET SYNC"), "done"),
        }
        // One that would never end is ended.
        let c = begin(
            &server,
            mode,
            "local a = 1\nwhile true do a = a + 1 end",
            &[],
        );
        c.shutdown_write();
        let mut c = c;
        // It still listens.
        assert!(said(&mut c)[0].contains("timeout reached"));
        assert_eq!(said(&mut c), ["<endsession>"]);
        let text = "ERR timeout during Lua debugging with client closing connection";
        c.read().assert_error_prefix(text);
        assert_eq!(c.expect_close(), b"");
        wait_until("the session to end", || children(&server) == 0);
        // Nor does one that is in code without a line of the script's.
        let script = "local f = loadstring('while true do end')\ncoroutine.wrap(f)()";
        let mut c = begin(&server, mode, script, &[]);
        c.send(&["c"]);
        drop(c);
        wait_until("the session to end", || children(&server) == 0);
        assert_eq!(other.run("PING"), "PONG");
    }
}

#[test]
fn what_a_script_calls_for_too_long_stops_where_it_was_called() {
    let server = Server::aedile(&["--busy-reply-threshold", "100"]);
    for mode in BOTH {
        let script = "local f = loadstring('local inner = 1 while true do end')\nf()";
        let mut c = begin(&server, mode, script, &[]);
        let stopped = say(&mut c, "c");
        assert_eq!(
            stopped,
            [
                "* Stopped at 2, stop reason = timeout reached, infinite loop?",
                "-> 2   f()"
            ]
        );
        assert!(say(&mut c, "p")[0].starts_with("<value> f = "));
        assert_eq!(say(&mut c, "t"), ["From top level:", "-> 2   f()"]);
        let (_, reply) = end(&mut c, "a");
        reply.assert_error_prefix("ERR script aborted for user request script: ");
    }
}

#[test]
fn coroutines_are_stepped_through() {
    let script = "local co = coroutine.wrap(function()
  local a = 1
  coroutine.yield(a)
  local b = 2
  return b
end)
local x = co()
local y = co()
return x + y";
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = begin(&server, mode, script, &[]);
        // The one with a function in it is begun, the function made, and the line gone on with.
        for line in [6, 1, 7, 2, 3] {
            let stopped = say(&mut c, "s");
            let expected = format!("* Stopped at {line}, ");
            assert!(stopped[0].starts_with(&expected), "{stopped:?}");
        }
        assert_eq!(say(&mut c, "p a"), ["<value> 1"]);
        // What is evaluated cannot leave its place.
        let yielded = say(&mut c, "e coroutine.yield(1)");
        assert!(
            yielded[0].starts_with("<error> ldb_eval:1: attempt to yield"),
            "{yielded:?}"
        );
        assert_eq!(say(&mut c, "e pcall(error)"), ["<retval> false"]);
        let nested = say(&mut c, "e (function() return redis.breakpoint() end)()");
        assert_eq!(nested, ["<retval> true"]);
        let stopped = say(&mut c, "c");
        assert_eq!(
            stopped[0],
            "* Stopped at 8, stop reason = redis.breakpoint() called"
        );
        assert_eq!(end(&mut c, "c").1, 3);
    }
}

#[test]
fn a_script_that_takes_too_long_stops() {
    let server = Server::aedile(&["--busy-reply-threshold", "100"]);
    let mut other = server.connect();
    for mode in BOTH {
        let mut c = begin(
            &server,
            mode,
            "local a = 1\nwhile true do a = a + 1 end",
            &[],
        );
        let stopped = say(&mut c, "c");
        assert_eq!(
            stopped[0],
            "* Stopped at 2, stop reason = timeout reached, infinite loop?"
        );
        // Nobody is told that the server is busy: it is served, or not heard at all.
        match mode {
            "YES" => assert_eq!(other.run("PING"), "PONG"),
            _ => other.send(&["PING"]),
        }
        assert!(say(&mut c, "c")[0].contains("timeout reached"));
        let (_, reply) = end(&mut c, "a");
        reply.assert_error_prefix("ERR script aborted for user request");
    }
    assert_eq!(other.read(), "PONG");
    assert!(!server.log_has("Slow script"));
}

#[test]
fn a_session_in_the_server_does_what_it_does_for_all() {
    let mut server = Server::aedile(&["--appendonly", "yes"]);
    let mut monitor = server.connect();
    monitor.ok("MONITOR");
    for mode in BOTH {
        let script = "redis.call('incr', KEYS[1])\nreturn redis.call('incr', KEYS[1])";
        let mut c = begin(&server, mode, script, &["1", mode]);
        assert_eq!(end(&mut c, "c").1, 2);
    }
    let mut seen = Vec::new();
    while !seen.iter().any(|l: &String| l.contains("ping")) {
        if seen.is_empty() {
            server.connect().run("ping");
        }
        seen.push(monitor.read().text());
    }
    let of = |what: &str| seen.iter().filter(|l| l.contains(what)).count();
    assert_eq!(
        (of("\"DEBUG\""), of("\"EVAL\""), of("lua] \"incr\"")),
        (2, 2, 2),
        "{seen:?}"
    );
    assert!(server.terminate().success());
    server.restart();
    let mut c = server.connect();
    assert_eq!(c.run("GET SYNC"), "2");
    assert_eq!(c.run("DBSIZE"), 1);
}

#[test]
fn what_its_user_does_goes_to_replicas() {
    for mode in ["effects", "verbatim"] {
        let server = Server::aedile(&[
            "--script-replication",
            mode,
            "--repl-diskless-sync-delay",
            "0",
        ]);
        let replica = Server::aedile(&[]);
        replica.replicate(server.port);
        replica.wait_link_up();
        let mut c = begin(&server, "SYNC", "return redis.call('set', 'a', '1')", &[]);
        assert_eq!(say(&mut c, "r set b 2")[1], "<reply> \"+OK\"");
        assert_eq!(
            say(&mut c, "e redis.call('set', 'c', 3).ok"),
            ["<retval> \"OK\""]
        );
        assert_eq!(end(&mut c, "c").1, "OK");
        assert_synced(&server, &replica);
        let mut there = replica.connect();
        for (key, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            assert_eq!(there.cmd(&["GET", key]), value, "{mode} {key}");
        }
    }
}

#[test]
fn in_a_transaction() {
    let server = Server::aedile(&[]);
    for mode in BOTH {
        let mut c = server.connect();
        c.ok(&format!("SCRIPT DEBUG {mode}"));
        c.ok("MULTI");
        assert_eq!(c.cmd(&["INCR", "n"]), "QUEUED");
        assert_eq!(
            c.cmd(&["EVAL", "return redis.call('incr', 'n')", "0"]),
            "QUEUED"
        );
        c.send(&["EXEC"]);
        assert_eq!(said(&mut c).len(), 2);
        assert_eq!(say(&mut c, "c"), ["<endsession>"]);
        // In the forked one the transaction has been cut short.
        assert!(c.expect_close().starts_with(b"*2\r\n"));
    }
    assert_eq!(server.connect().run("GET n"), "3");
}

#[test]
fn forked_sessions_are_apart_from_each_other_and_from_saves() {
    let server = Server::aedile(&["--save", "3600 100000"]);
    let mut other = server.connect();
    other.ok("SET k v");
    other.ok("SAVE");
    let rdb = || std::fs::read(server.rdb_path()).expect("a snapshot");
    let before = rdb();
    let script = "redis.call('flushall')\nreturn redis.call('dbsize')";
    let mut first = begin(&server, "YES", script, &[]);
    let mut second = begin(&server, "YES", script, &[]);
    assert_eq!(children(&server), 2);
    assert_eq!(end(&mut first, "c").1, 0);
    assert_eq!(say(&mut second, "r dbsize")[1], "<reply> 1");
    // The one that is left holds nobody's connection.
    let mut gone = server.connect();
    let id = gone.run("CLIENT ID").int();
    let mut third = begin(&server, "YES", script, &[]);
    assert_eq!(other.run(&format!("CLIENT KILL ID {id}")), 1);
    assert_eq!(gone.expect_close(), b"");
    assert_eq!(rdb(), before);
    // A save goes on beside them; its child holds the connections of sessions that end meanwhile.
    other.config_set("rdb-key-save-delay", "100000000");
    assert_eq!(other.run("BGSAVE"), "Background saving started");
    assert_eq!(end(&mut second, "c").1, 0);
    assert_eq!(end(&mut third, "c").1, 0);
    let mut fourth = begin(&server, "YES", script, &[]);
    assert_eq!(end(&mut fourth, "c").1, 0);
    wait_until("the sessions to be reaped", || children(&server) == 1);
    assert_eq!(other.info("rdb_bgsave_in_progress"), "1");
    server.end_children();
    wait_until("the save to end", || {
        other.info("rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(other.run("GET k"), "v");
    assert_eq!(rdb(), before);
    assert!(!server.log_has("unmatched pid"));
}

#[test]
fn sessions_end_with_their_server() {
    for how in ["SHUTDOWN", "SIGTERM", "SIGKILL"] {
        let mut server = Server::aedile(&[]);
        let mut c = begin(&server, "YES", "return 1", &[]);
        let mut stopped = begin(&server, "YES", "while true do end", &[]);
        stopped.send(&["c"]);
        let pid = server.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("children");
        match how {
            "SHUTDOWN" => {
                server.connect().send(&["SHUTDOWN"]);
                assert!(server.wait_exit().success());
            }
            "SIGTERM" => assert!(server.terminate().success()),
            _ => server.kill9(),
        }
        assert_eq!(c.read_to_close().unwrap_or_default(), b"");
        let mut n = 0;
        for child in children.split_whitespace() {
            let gone = || !Path::new(&format!("/proc/{child}")).exists();
            wait_until("the session's process to end", gone);
            n += 1;
        }
        assert_eq!(n, 2);
        let killed = server.log_count("Killing debugging session ");
        assert_eq!(killed, if how == "SIGKILL" { 0 } else { 2 });
    }
}

#[test]
fn a_server_that_is_debugged_can_be_ended() {
    // At a stop, and in a loop without end.
    for goes_on in [false, true] {
        let mut server = Server::aedile(&["--busy-reply-threshold", "100", "--appendonly", "yes"]);
        let script = "redis.call('set', 'k', 'v')\nlocal a = 1\nwhile ARGV[1] do a = a + 1 end";
        let words: &[&str] = if goes_on { &["0", "x"] } else { &["0"] };
        let mut c = begin(&server, "SYNC", script, words);
        say(&mut c, "s");
        if goes_on {
            c.send(&["c"]);
        }
        assert!(server.terminate().success());
        server.restart();
        assert_eq!(server.connect().run("GET k"), "v");
    }
}
