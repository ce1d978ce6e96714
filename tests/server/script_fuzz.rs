//! Random programs beside kills, flushes, limits and reloads: whatever they do, the server goes on, and answers others.
//!
//! Environment: `SCRIPT_FUZZ` is how many programs (default: some hundreds), `SCRIPT_FUZZ_SEED` which ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::*;

/// What programs are made of. Programs are well-formed; what they do mostly fails somewhere.
struct Writer {
    rng: Rng,
    depth: usize,
    /// It may run for ever: nothing that it does keeps it from being ended.
    endless: bool,
}

const NAMES: [&str; 6] = ["a", "b", "c", "t", "f", "s"];

const FUNCTIONS: &[&str] = &[
    "string.rep",
    "string.format",
    "string.gsub",
    "string.find",
    "string.match",
    "string.gmatch",
    "string.byte",
    "string.char",
    "string.sub",
    "string.reverse",
    "string.len",
    "string.dump",
    "table.insert",
    "table.remove",
    "table.concat",
    "table.sort",
    "table.getn",
    "table.maxn",
    "table.foreach",
    "math.random",
    "math.randomseed",
    "math.floor",
    "math.fmod",
    "math.ldexp",
    "math.max",
    "bit.tohex",
    "bit.band",
    "bit.lshift",
    "cjson.encode",
    "cjson.decode",
    "cjson.new",
    "cjson.encode_max_depth",
    "cmsgpack.pack",
    "cmsgpack.unpack",
    "cmsgpack.unpack_limit",
    "struct.pack",
    "struct.unpack",
    "struct.size",
    "redis.call",
    "redis.pcall",
    "redis.sha1hex",
    "redis.error_reply",
    "redis.status_reply",
    "redis.setresp",
    "redis.set_repl",
    "redis.log",
    "redis.breakpoint",
    "redis.acl_check_cmd",
    "redis.register_function",
    "redis.replicate_commands",
    "pcall",
    "xpcall",
    "error",
    "assert",
    "select",
    "unpack",
    "tostring",
    "tonumber",
    "type",
    "next",
    "pairs",
    "ipairs",
    "rawget",
    "rawset",
    "rawequal",
    "setmetatable",
    "getmetatable",
    "setfenv",
    "getfenv",
    "load",
    "loadstring",
    "collectgarbage",
    "coroutine.create",
    "coroutine.resume",
    "coroutine.wrap",
    "coroutine.yield",
    "coroutine.status",
    "os.clock",
    "f",
    "t.x",
];

const VALUES: &[&str] = &[
    "nil",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "7",
    "0/0",
    "1/0",
    "-1/0",
    "2^31",
    "2^53",
    "-2^63",
    "1e300",
    "1e-300",
    "3.7",
    "''",
    "'x'",
    "'%s%d%g'",
    "'(.-)%1'",
    "'%b()'",
    "'[a-'",
    "'>I4'",
    "'c0'",
    "'[1,{\"a\":null}]'",
    "'\\221\\255\\255'",
    "'__index'",
    "'return 1'",
    "'a\\0b'",
    "{}",
    "{1,2,3}",
    "{x={}}",
    "KEYS",
    "ARGV",
    "KEYS[1]",
    "ARGV[2]",
    "_G",
    "redis",
    "string",
    "cjson.null",
    "print",
    "string.rep('x', 5000)",
    "string.rep('a?', 18)",
    "'set', KEYS[1], ARGV[1]",
    "'get', KEYS[1]",
    "'lpush', 'l', 1, 2",
    "'lrange', 'l', 0, -1",
    "'hset', 'h', 'f', 1",
    "'hgetall', 'h'",
    "'incr', KEYS[1]",
    "'keys', '*'",
    "'flushall'",
    "'script', 'flush'",
    "'blpop', 'l', 0",
    "'subscribe', 'x'",
    "'spop', 'l'",
    "'time'",
    "'debug', 'sleep', 0",
];

impl Writer {
    fn value(&mut self) -> String {
        self.depth += 1;
        let deep = self.depth > 4;
        let text = match self.rng.below(if deep { 3 } else { 10 }) {
            0 | 1 => self.rng.pick(VALUES).to_string(),
            2 => self.rng.pick(&NAMES).to_string(),
            3 => format!(
                "{{{}, x = {}, [{}] = 1}}",
                self.value(),
                self.value(),
                self.key()
            ),
            4 => format!(
                "function(a, b) {} return {} end",
                self.block(2),
                self.value()
            ),
            5 => {
                let operator = self.rng.pick(&[
                    "+", "-", "*", "/", "%", "^", "..", "==", "<", "<=", "and", "or",
                ]);
                format!("({} {operator} {})", self.value(), self.value())
            }
            6 => format!("{}.x", self.rng.pick(&NAMES)),
            7 => format!("#{}", self.rng.pick(&NAMES)),
            _ => self.call(),
        };
        self.depth -= 1;
        text
    }

    fn key(&mut self) -> &'static str {
        self.rng
            .pick(&["1", "2", "'x'", "-1", "3.5", "true", "1e9"])
    }

    fn call(&mut self) -> String {
        let function = self.rng.pick(FUNCTIONS);
        let args: Vec<String> = (0..self.rng.below(4)).map(|_| self.value()).collect();
        format!("{function}({})", args.join(", "))
    }

    fn statement(&mut self) -> String {
        self.depth += 1;
        let deep = self.depth > 4;
        let text = match self.rng.below(if deep { 4 } else { 12 }) {
            0 => format!("local {} = {}", self.rng.pick(&NAMES), self.value()),
            1 => format!("{} = {}", self.rng.pick(&NAMES), self.value()),
            2 => self.call(),
            3 => format!("pcall({}, {})", self.rng.pick(FUNCTIONS), self.value()),
            4 => format!(
                "if {} then {} else {} end",
                self.value(),
                self.block(2),
                self.block(1)
            ),
            5 => {
                let times = match self.endless {
                    true => "1e12",
                    false => self.rng.pick(&["3", "50", "2000", "-1"]),
                };
                format!("for i = 1, {times} do {} end", self.block(2))
            }
            6 => format!("while {} do {} break end", self.value(), self.block(2)),
            7 if self.endless => "while true do end".to_string(),
            7 => "for i = 1, 1e6 do end".to_string(),
            8 => format!(
                "for k, v in pairs({}) do {} end",
                self.value(),
                self.block(1)
            ),
            9 => format!("{}.x = {}", self.rng.pick(&NAMES), self.value()),
            10 => format!(
                "t = setmetatable({{}}, {{__index = {}, __call = f, __concat = f}})",
                self.value()
            ),
            _ => format!("pcall(function() {} end)", self.block(3)),
        };
        self.depth -= 1;
        text
    }

    fn block(&mut self, most: usize) -> String {
        let n = self.rng.below(most + 1);
        let all: Vec<String> = (0..n).map(|_| self.statement()).collect();
        all.join("; ")
    }

    /// What is assigned to is a local: else most programs would end at their first assignment.
    fn program(&mut self, endless: bool) -> String {
        self.depth = 0;
        self.endless = endless;
        let end = match self.rng.below(3) {
            0 => self.call(),
            _ => self.value(),
        };
        format!(
            "local a, b, c, t, s = 1, 'b', {{}}, {{x = 1}}, 'text' local function f(...) return ... end {}; return {end}",
            self.block(6)
        )
    }
}

#[test]
fn random_programs_beside_kills_and_flushes() {
    let programs: usize = std::env::var("SCRIPT_FUZZ")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(600);
    let seed = seed_from_env("SCRIPT_FUZZ_SEED");
    println!("SCRIPT_FUZZ_SEED={seed}");
    let server = Server::aedile(&[
        "--busy-reply-threshold",
        "10",
        "--lua-memory-limit",
        "64mb",
        "--enable-debug-command",
        "yes",
    ]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whoever is slow is ended; what has written cannot be, and ends by itself.
        scope.spawn(|| {
            let mut c = server.connect();
            while !over.load(Ordering::Relaxed) {
                for kill in ["SCRIPT KILL", "FUNCTION KILL"] {
                    let reply = c.run(kill);
                    let said = reply.text();
                    let known = !reply.is_error()
                        || ["NOTBUSY", "BUSY", "UNKILLABLE"]
                            .iter()
                            .any(|code| said.starts_with(code));
                    assert!(known, "{kill}: {said}");
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let mut w = Writer {
            rng: Rng(seed),
            depth: 0,
            endless: false,
        };
        let mut c = server.connect();
        for i in 0..programs {
            let form = w.rng.below(4);
            // What has written cannot be ended.
            let program = w.program(form == 1);
            let reply = match form {
                0 => {
                    let library = format!(
                        "#!lua name=l\nredis.register_function('f{i}', function(KEYS, ARGV) {program} end)"
                    );
                    c.cmd(&["FUNCTION", "LOAD", "REPLACE", &library]);
                    c.cmd(&["FCALL", &format!("f{i}"), "1", "key", "1", "word"])
                }
                1 => {
                    let sha = c.cmd(&["SCRIPT", "LOAD", &program]).text();
                    c.cmd(&["EVALSHA_RO", &sha, "1", "key", "1", "word"])
                }
                _ => c.cmd(&["EVAL", &program, "1", "key", "1", "word"]),
            };
            assert_eq!(
                c.run("PING"),
                "PONG",
                "SCRIPT_FUZZ_SEED={seed} {program}: {reply:?}"
            );
            match w.rng.below(60) {
                0 => drop(c.run("SCRIPT FLUSH ASYNC")),
                1 => drop(c.run("FUNCTION FLUSH SYNC")),
                2 => drop(c.run("FLUSHALL")),
                3 => drop(c.run("DEBUG RELOAD")),
                4 => {
                    let limit = w.rng.pick(&["1mb", "64mb", "16mb", "200kb"]);
                    c.config_set("lua-memory-limit", limit);
                }
                5 => drop(c.run("HELLO 3")),
                6 => drop(c.run("HELLO 2")),
                _ => {}
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    // No script has left anything behind: another finds all as it was.
    let mut c = server.connect();
    c.config_set("lua-memory-limit", "0");
    let script = "return type(string.rep) .. #KEYS .. cjson.encode({1}) .. redis.call('ping').ok";
    assert_eq!(c.cmd(&["EVAL", script, "0"]), "function0[1]PONG");
}
