//! EVAL, EVALSHA and SCRIPT: conversions, errors, the sandbox, time and memory limits, effects.

use std::time::Duration;

use crate::support::*;

fn eval(c: &mut Conn, script: &str) -> Value {
    c.cmd(&["EVAL", script, "0"])
}

#[track_caller]
fn fails(c: &mut Conn, script: &str, part: &str) {
    let reply = eval(c, script);
    assert!(reply.is_error(), "{script}: {reply:?}");
    let text = reply.text();
    assert!(text.contains(part), "{script}: {text}");
}

#[test]
fn values_pass_both_ways() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(eval(&mut c, "return 3.99"), 3);
    assert_eq!(eval(&mut c, "return 'text'"), "text");
    assert_eq!(eval(&mut c, "return true"), 1);
    assert!(eval(&mut c, "return false").is_null());
    assert!(eval(&mut c, "return nil").is_null());
    assert_eq!(eval(&mut c, "return {ok='fine\\r\\n'}"), "fine  ");
    eval(&mut c, "return {err='MY fault'}").assert_error("MY fault");
    let list = eval(&mut c, "return {1, 'a', {2}, nil, 3}");
    assert_eq!(list.items().len(), 3);
    let words = c.cmd(&[
        "EVAL",
        "return {KEYS[1], ARGV[1], #KEYS, #ARGV}",
        "1",
        "k",
        "a",
        "b",
    ]);
    let words = words.items();
    assert!(words[0] == "k" && words[1] == "a" && words[2] == 1 && words[3] == 2);
    assert_eq!(eval(&mut c, "return #redis.call('keys', '*')"), 0);
    c.ok("SET n 7");
    assert_eq!(
        eval(&mut c, "return type(redis.call('get', 'n'))"),
        "string"
    );
    assert_eq!(
        eval(&mut c, "return type(redis.call('strlen', 'n'))"),
        "number"
    );
    assert_eq!(eval(&mut c, "return redis.call('set', 'n', 1).ok"), "OK");
    assert_eq!(
        eval(&mut c, "return redis.pcall('lpush', 'n', 1).err"),
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    );
    // A number is written out as it is, not as Lua writes it.
    eval(&mut c, "redis.call('set', 'n', 100000000000000000)");
    assert_eq!(c.run("GET n"), "100000000000000000");
    // RESP3, asked for on either side.
    c.run("HELLO 3");
    assert_eq!(eval(&mut c, "return {double=1.5}").text(), "1.5");
    c.run("HSET h f v");
    let kind = eval(
        &mut c,
        "redis.setresp(3) return redis.call('hgetall', 'h').map.f",
    );
    assert_eq!(kind, "v");
    // It is over with the script.
    assert_eq!(eval(&mut c, "return redis.call('hgetall', 'h')[2]"), "v");
}

#[test]
fn errors_tell_script_and_line() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let sha = c
        .cmd(&["SCRIPT", "LOAD", "\n\nreturn redis.call('incr', 'a', 'b')"])
        .text();
    c.cmd(&["EVALSHA", &sha, "0"]).assert_error(&format!(
        "ERR Wrong number of args calling Redis command from script script: {sha}, on @user_script:3."
    ));
    let sha = c.cmd(&["SCRIPT", "LOAD", "local t\nlocal x = t.y"]).text();
    c.cmd(&["EVALSHA", &sha, "0"]).assert_error(&format!(
        "ERR user_script:2: attempt to index local 't' (a nil value) script: {sha}, on @user_script:2."
    ));
    fails(&mut c, "error('said')", "ERR user_script:1: said script: ");
    fails(&mut c, "error({err='CODE text'})", "CODE text script: ");
    fails(&mut c, "error({})", "ERR");
    fails(&mut c, "error()", "ERR nil script: ");
    fails(
        &mut c,
        "local = 1",
        "ERR Error compiling script (new function): user_script:1: ",
    );
    fails(
        &mut c,
        "return redis.call()",
        "Please specify at least one argument",
    );
    fails(
        &mut c,
        "return redis.call({})",
        "must be strings or integers",
    );
    fails(
        &mut c,
        "return redis.call('nosuch')",
        "ERR Unknown Redis command called from script",
    );
    fails(
        &mut c,
        "return redis.call('subscribe', 'x')",
        "ERR This Redis command is not allowed from script",
    );
    c.cmd(&["EVALSHA", &"f".repeat(40), "0"])
        .assert_error("NOSCRIPT No matching script. Please use EVAL.");
    c.run("EVAL x 1")
        .assert_error("ERR Number of keys can't be greater than number of args");
    c.run("EVAL x -1")
        .assert_error("ERR Number of keys can't be negative");
}

#[test]
fn what_scripts_share_cannot_be_changed() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for script in [
        "x = 1",
        "redis = 1",
        "_G.x = 1",
        "KEYS = 1",
        "redis.call = 1",
        "redis.x = 1",
        "string.rep = 1",
        "cjson.encode = 1",
        "math.random = 1",
        "getmetatable('').__index = 1",
        "getmetatable(_G).__index = 1",
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "setmetatable(_G, {})",
        "setmetatable(redis, {})",
        "table.insert(redis, 1)",
        "setfenv(0, {})",
        "function string.x() end",
    ] {
        fails(&mut c, script, "Attempt to modify a readonly table");
    }
    for (script, name) in [
        ("return nosuch", "nosuch"),
        ("return print", "print"),
        ("return debug", "debug"),
        ("return io", "io"),
        ("return package", "package"),
        ("return require", "require"),
        ("return jit", "jit"),
        ("return ffi", "ffi"),
        ("return newproxy", "newproxy"),
        ("return dofile", "dofile"),
        ("return loadfile", "loadfile"),
        ("return __redis__err__handler", "__redis__err__handler"),
    ] {
        let text = format!("Script attempted to access nonexistent global variable '{name}'");
        fails(&mut c, script, &text);
    }
    for script in [
        "setfenv(redis.call, {})",
        "setfenv(string.format, {})",
        "setfenv(2, {})",
    ] {
        fails(&mut c, script, "cannot change environment");
    }
    assert!(eval(&mut c, "return os.execute").is_null());
    // What a script has changed of its own is gone with it, or was never another's.
    let script = "setfenv(1, {leaked = 1}) return leaked";
    assert_eq!(eval(&mut c, script), 1);
    assert_eq!(eval(&mut c, script), 1);
    fails(&mut c, "return leaked", "nonexistent global");
    eval(
        &mut c,
        "cjson.encode_sparse_array(true) cjson.encode_max_depth(1) return 1",
    );
    assert_eq!(eval(&mut c, "return cjson.encode({{{}}})"), "[[{}]]");
    c.cmd(&["EVAL", "return KEYS[1]", "1", "secret"]);
    assert_eq!(eval(&mut c, "return #_G.KEYS"), 0);
    fails(
        &mut c,
        "for k in pairs(getfenv(redis.call)) do error(k) end error('none')",
        "none",
    );
    // Copies are handed out.
    assert_eq!(
        eval(
            &mut c,
            "for k, v in pairs(redis) do if k == 'call' then return 1 end end"
        ),
        1
    );
    assert_eq!(eval(&mut c, "return type(next(redis))"), "string");
    // No bytecode.
    let load = "local f, e = loadstring(string.dump(function() return 1 end)) return e";
    let refused = eval(&mut c, load).text();
    assert!(
        refused.contains("wrong mode") || refused.contains("not well-formed"),
        "{refused}"
    );
    fails(&mut c, "\u{1b}LJ", "Error compiling script");
    // The machine's own numbers are none of Lua 5.1's.
    fails(
        &mut c,
        "return 1LL",
        "user_script:1: malformed number near '1LL'",
    );
    fails(
        &mut c,
        "return loadstring('return 2i')() .. 'x'",
        "attempt to call a nil value",
    );
    assert_eq!(eval(&mut c, "return loadstring('return 7')()"), 7);
    let pieces =
        "local t = {'return ', '8'} return load(function() return table.remove(t, 1) end)()";
    assert_eq!(eval(&mut c, pieces), 8);
    // Switching the collector off is nothing that the next one sees.
    assert_eq!(eval(&mut c, "return collectgarbage('stop')"), 0);
}

#[test]
fn the_memory_limit_can_be_taken_back() {
    let server = Server::aedile(&["--lua-memory-limit", "8mb"]);
    let mut c = server.connect();
    let large = "local t = {} for i = 1, 1e6 do t[i] = i end return #t";
    fails(&mut c, large, "not enough memory");
    assert_eq!(c.run("CONFIG SET lua-memory-limit 0"), "OK");
    assert_eq!(eval(&mut c, large), 1_000_000);
}

#[test]
fn no_single_function_goes_beyond_the_memory_limit() {
    let server = Server::aedile(&["--lua-memory-limit", "8mb"]);
    let mut c = server.connect();
    c.cmd(&["SET", "large", &"x".repeat(10_000_000)]);
    for script in [
        "return #string.rep('x', 2e7)",
        "return #redis.call('get', 'large')",
        "return #string.gsub(string.rep('x', 1e6), 'x', string.rep('y', 20))",
        "return #string.gsub(string.rep('x', 1e6), '.*', '%0%0%0%0%0%0%0%0%0%0%0%0')",
        "local t = {string.rep('x', 1e6)} for i = 1, 5 do t = {t, t} end return #cjson.encode(t)",
        "local t = {string.rep('x', 1e6)} for i = 1, 5 do t = {t, t} end return #cmsgpack.pack(t)",
        "return #cjson.decode('[' .. string.rep('1,', 1e6) .. '1]')",
        "return #struct.pack('c20000000', string.rep('x', 2e7))",
    ] {
        fails(&mut c, script, "not enough memory");
        // What others need is not taken by what is garbage now.
        assert_eq!(eval(&mut c, "return #string.rep('x', 1e6)"), 1_000_000);
    }
    // What a script returns as it came was never the machine's.
    assert_eq!(
        eval(&mut c, "return redis.call('get', 'large')")
            .text()
            .len(),
        10_000_000
    );
    assert!(c.info_int("used_memory_lua") < 10_000_000);
}

/// `return redis.call(...)` passes a reply on; `local r = redis.call(...) return r` makes it a value and a reply again.
#[test]
fn a_reply_that_is_passed_on_is_what_it_would_be() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for line in [
        "SET s text",
        "SET big 9007199254740993",
        "RPUSH l a b c",
        "HSET h f 1 g 2.5",
        "SADD t x",
        "ZADD z 1.5 m",
        "XADD x 1-1 f v",
        "GEOADD g 13.361389 38.115556 p",
    ] {
        c.run(line);
    }
    let commands = [
        "'get', 's'",
        "'get', 'none'",
        "'incrby', 'big', 0",
        "'set', 's', 'text'",
        "'set', 's', 'x', 'nx'",
        "'lrange', 'l', 0, -1",
        "'lpop', 'none', 2",
        "'mget', 's', 'none', 'l'",
        "'hgetall', 'h'",
        "'smembers', 't'",
        "'sismember', 't', 'x'",
        "'zrange', 'z', 0, -1, 'withscores'",
        "'zscore', 'z', 'm'",
        "'xrange', 'x', '-', '+'",
        "'geopos', 'g', 'p', 'q'",
        "'type', 'h'",
        "'ping', 'a\\0b'",
        "'lpush', 's', 1",
        "'nosuch'",
        "'get'",
        "'object', 'encoding', 's'",
        "'command', 'count'",
        "'lrange', 'none', 0, -1",
        "'getrange', 's', 5, 4",
    ];
    for hello in ["HELLO 2", "HELLO 3"] {
        c.run(hello);
        for setresp in ["", "redis.setresp(3) "] {
            for command in commands {
                let passed = format!("{setresp}return redis.call({command})");
                let made = format!("{setresp}local r = redis.call({command}) return r");
                let (passed, made) = (eval(&mut c, &passed), eval(&mut c, &made));
                if made.is_error() {
                    // They name the script.
                    let until = |v: &Value| v.text().split(" script: ").next().map(str::to_string);
                    assert!(passed.is_error(), "{command}: {passed:?}");
                    assert_eq!(until(&passed), until(&made), "{hello} {command}");
                } else {
                    assert_eq!(passed, made, "{hello} {setresp}{command}");
                }
            }
        }
    }
    // The next script has nothing of it, and a large one passes whole.
    c.run("HELLO 2");
    c.cmd(&["SET", "s", &"y".repeat(300_000)]);
    assert_eq!(
        eval(&mut c, "return redis.call('get', 's')").text().len(),
        300_000
    );
    assert!(eval(&mut c, "return redis.call('get', 'none')").is_null());
    assert_eq!(eval(&mut c, "return #redis.call('get', 's')"), 300_000);
    // Of commands before it, only the last one's goes out.
    let two = "redis.call('set', 's', 1) return redis.call('incr', 's')";
    assert_eq!(eval(&mut c, two), 2);
}

/// KEYS and ARGV are parameters of their own where their elements are only passed on.
#[test]
fn elements_of_keys_and_argv() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut run = |script: &str| c.cmd(&["EVAL", script, "2", "k1", "k2", "a1", "7"]);
    let listed = |v: &Value| -> Vec<String> { v.items().iter().map(Value::text).collect() };
    assert_eq!(
        listed(&run("return {KEYS[2], ARGV[1], KEYS[1]}")),
        ["k2", "a1", "k1"]
    );
    assert_eq!(run("local a, b = KEYS[1], ARGV[2] return a .. b"), "k17");
    assert_eq!(
        run("if KEYS[1] == 'k1' and not KEYS[3] then return ARGV[2] end"),
        "7"
    );
    assert!(run("return ARGV[3]").is_null());
    assert_eq!(
        run("local function f() return KEYS[2] end return f()"),
        "k2"
    );
    assert_eq!(
        run("KEYS[1], KEYS[2] = KEYS[2], KEYS[1] return KEYS[1]"),
        "k2"
    );
    assert_eq!(run("return #KEYS + ARGV[2]"), 9);
    // Errors do not name what the script's author has not written.
    for (script, problem) in [
        ("return ARGV[3] .. 'x'", "(a nil value)"),
        ("return (ARGV[3]).x", "(a nil value)"),
        ("return ARGV[3] + 1", "(a nil value)"),
        ("return KEYS[1](1)", "(a string value)"),
        (
            "return cjson.decode(KEYS)",
            "bad argument #1 to 'decode' (string expected, got table)",
        ),
        ("return cjson.encode()", "bad argument #1 to 'encode'"),
    ] {
        let text = run(script).text();
        let plain = problem.replace(['(', ')'], "");
        assert!(
            text.contains(problem) || text.contains(&plain),
            "{script}: {text}"
        );
        assert!(text.contains("user_script:1"), "{script}: {text}");
        assert!(!text.contains("_redis_"), "{script}: {text}");
    }
    // Comments, and a second line.
    assert_eq!(run("redis.call('ping') return KEYS[1] -- return"), "k1");
    let text = run("local a = KEYS[1]\nerror('here')").text();
    assert!(text.contains("user_script:2: here"), "{text}");
    // A body is not a function that can be ended.
    let text = run("return redis.call('ping') end, function() return 1").text();
    assert!(text.contains("Error compiling script"), "{text}");
}

#[test]
fn hostile_scripts_do_no_harm() {
    let server = Server::aedile(&["--lua-memory-limit", "100mb"]);
    let mut c = server.connect();
    for script in [
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 1e9)",
        "local t = {} while true do t = {t, string.rep('x', 1000)} end",
        "return unpack({}, 1, 1e8)",
        "local function f() return f() + 1 end return f()",
        "local f f = function() return pcall(f) end return f()",
        "return cjson.decode(string.rep('[', 100000))",
        "local t = {} t[1] = t return cjson.encode(t)",
        "local t = {} t[1] = t return cmsgpack.pack(t)",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return struct.pack('>I2147483647', 1)",
        "return struct.unpack('c99999999999', 'x')",
        "return string.format('%99999d', 1)",
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
        "error(setmetatable({}, {__tostring = function() error('x') end}))",
        "return setmetatable({}, {__index = function() error('x') end})",
        "coroutine.wrap(function() error({}) end)()",
        "local function n(i) return coroutine.wrap(function() return n(i + 1) end)() end return n(1)",
        "local function n(i) if i == 0 then return 7 end local c = coroutine.create(function() return n(i - 1) end) \
         return select(2, coroutine.resume(c)) end return n(200000)",
        "local function f() table.sort({3, 2, 1}, function(a, b) f() return a < b end) end f()",
        // Each coroutine has a stack of its own in the machine, and all have the process's.
        "local function go() local n = 0 local function f() n = n + 1 if n > 6000 then coroutine.wrap(go)() end \
         table.sort({2, 1}, f) end f() end go()",
        "local function go() local n = 0 local mt = {} mt.__lt = function() n = n + 1 if n > 5000 then \
         coroutine.wrap(go)() end table.sort({setmetatable({}, mt), setmetatable({}, mt)}) end mt.__lt() end go()",
        "local function go() local n = 0 local m m = setmetatable({}, {__tostring = function() n = n + 1 if n > 8000 then \
         coroutine.wrap(go)() end return (string.format('%s', m)) end}) return (tostring(m)) end go()",
        "local function go() local function h() coroutine.wrap(go)() xpcall(error, h) end xpcall(error, h) end go()",
        "loadstring(string.rep('a=1 ', 5e6))",
        "local s = 'return [[' .. string.rep(']', 5e7) return loadstring(s)",
        "local function f() return (string.gsub('a', 'a', f)) end f()",
        "local t t = setmetatable({}, {__tostring = function() return (tostring(t)) end}) return tostring(t)",
        "local function f() return pcall(coroutine.wrap(f)) end return f()",
        "return bit.tohex(1, '-2147483648')",
        "table.insert({1, 2, 3}, -2^31, 1)",
        "table.insert({1, 2, 3}, 0/0, 1)",
        "table.insert({1, 2, 3}, 2^53, 1)",
        "table.insert({1, 2, 3}, '-2000000000', 1)",
        "return table.concat({}, '', -2^31, 2^31)",
        "return table.remove({1, 2, 3}, -2^31)",
        "local t = {} for i = 1, 250 do t[i] = 'a' .. i end return loadstring('local ' .. table.concat(t, ','))()",
    ] {
        let reply = eval(&mut c, script);
        assert_eq!(c.run("PING"), "PONG", "{script}: {reply:?}");
    }
    fails(
        &mut c,
        "local s = 'x' while true do s = s .. s end",
        "not enough memory",
    );
    // What it took is given back.
    assert!(c.info_int("used_memory_lua") < 120 << 20);
    assert_eq!(eval(&mut c, "return string.rep('x', 10)"), "xxxxxxxxxx");
}

/// `t` is a table of some hundred elements whose length is hundreds of millions.
const NEARLY_EMPTY: &str = "local t = {1, 1, 1} for k = 1, 300 do t['x' .. k] = 1 end for k = 1, 300 do t['x' .. k] = nil end \
     for a = 4, 9 do for k = 0, 26 do t[a * 2 ^ k] = 1 end end";

#[test]
fn a_slow_script_can_be_killed() {
    let server = Server::aedile(&["--busy-reply-threshold", "50"]);
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')",
        "while true do redis.call('get', 'x') end",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "string.gsub('x', '.', function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "local function h() xpcall(function() while true do end end, h) end h()",
        "coroutine.wrap(function() xpcall(function() while true do end end, function() while true do end end) end)()",
        "local t = {} for i = 1, 70000 do t[i] = -i end while true do table.sort(t) for i = 1, 70000 do t[i] = -i end end",
        // Each comparison looks at 10 MB.
        "local x, t = string.rep('x', 1e7), {} local a, b = x .. 'a', x .. 'b' for i = 1, 4000 do t[i] = i % 2 == 0 and a or b \
         end while true do table.sort(t) end",
        &format!("{NEARLY_EMPTY} table.insert(t, 1, 7)"),
    ] {
        let mut slow = server.connect();
        slow.send(&["EVAL", script, "0"]);
        let mut c = server.connect();
        wait_until("busy", || c.run("GET x").is_error());
        c.run("GET x").assert_error(
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        );
        c.run("FUNCTION KILL").assert_error_prefix("BUSY ");
        c.run("SHUTDOWN").assert_error_prefix("BUSY ");
        c.run("SHUTDOWN ABORT")
            .assert_error("ERR No shutdown in progress.");
        c.ok("SCRIPT KILL");
        let reply = slow.read();
        assert!(
            reply
                .text()
                .starts_with("ERR Script killed by user with SCRIPT KILL... script: "),
            "{script}: {reply:?}"
        );
        wait_until("over", || !c.run("GET x").is_error());
        c.run("SCRIPT KILL")
            .assert_error("NOTBUSY No scripts in execution right now.");
    }
}

/// The time of a script stands still until others are served: one that waits for it to go on ends.
#[test]
fn time_goes_on_in_a_slow_script() {
    let server = Server::aedile(&["--busy-reply-threshold", "5"]);
    let mut c = server.connect();
    let script = "local function now() local t = redis.call('time') return t[1] * 1000000 + t[2] end \
                  local from, n = now(), 0 \
                  repeat n = n + 1 until now() ~= from or n == 1000000 \
                  return n < 1000000 and now() - from >= 5000 and 1 or 0";
    assert_eq!(c.cmd(&["EVAL", script, "0"]), 1);
    c.ok("MULTI");
    c.send(&["EVAL", script, "0"]);
    assert_eq!(c.read(), "QUEUED");
    assert_eq!(c.run("TIME"), "QUEUED");
    let replies = c.run("EXEC");
    let replies = replies.items();
    assert_eq!(replies[0], 1);
    // It ends with the transaction.
    let time = |r: &Value| {
        let parts = r.items();
        parts[0].text().parse::<i64>().expect("seconds") * 1_000_000
            + parts[1].text().parse::<i64>().expect("microseconds")
    };
    let inside = time(&replies[1]);
    assert!(time(&c.run("TIME")) > inside);
}

/// Others who are served while a script is slow cause no eviction, and change nothing of what it may do.
#[test]
fn nothing_is_evicted_in_the_middle_of_a_script() {
    let server = Server::aedile(&["--busy-reply-threshold", "20"]);
    let replica = Server::aedile(&[]);
    let (mut c, mut other, mut r) = (server.connect(), server.connect(), replica.connect());
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", server.port));
    wait_until("the link", || r.info("master_link_status") == "up");
    for i in 0..500 {
        c.cmd(&["SET", &format!("key{i}"), &"x".repeat(1000)]);
    }
    // It has written, takes more memory than there is, and waits until others have been served.
    let script =
        "local function now() local t = redis.call('time') return t[1] * 1000000 + t[2] end
        redis.call('set', 'mine', 'v')
        local before, keep = redis.call('dbsize'), {}
        for i = 1, 40 do keep[i] = string.rep(string.char(64 + i), 1e6) end
        local from = now()
        repeat until now() - from > 400000
        return {before, redis.call('dbsize'), redis.call('set', 'after', 'v').ok, #keep}";
    for policy in ["noeviction", "allkeys-random"] {
        c.config_set("maxmemory-policy", policy);
        let limit = c.info_int("used_memory") + (20 << 20);
        c.config_set("maxmemory", &limit.to_string());
        c.send(&["EVAL", script, "0"]);
        wait_until("the script to be slow", || {
            other.run("PING").text().starts_with("BUSY")
        });
        other
            .cmd(&["EVAL", "return 1", "0"])
            .assert_error_prefix("BUSY ");
        let said = c.read();
        let said = said.items();
        assert_eq!(said[0], said[1], "{policy}");
        assert!(said[2] == "OK" && said[3] == 40, "{policy}: {said:?}");
        c.config_set("maxmemory", "0");
        c.run("SCRIPT FLUSH");
    }
    wait_until("the replica", || {
        r.info("slave_repl_offset") == c.info("master_repl_offset")
    });
    assert_eq!(r.run("DBSIZE"), c.run("DBSIZE"));
    assert_eq!(r.run("GET mine"), c.run("GET mine"));
}

/// What came in one turn with a script that takes long is on its way to the disk before it is acknowledged.
#[test]
fn what_is_acknowledged_while_a_script_is_slow_is_written() {
    let mut server = Server::aedile(&[
        "--busy-reply-threshold",
        "20",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    let mut writers: Vec<Conn> = (0..8).map(|_| server.connect()).collect();
    let mut slow = server.connect();
    assert_eq!(slow.run("PING"), "PONG");
    server.sigstop();
    for (i, c) in writers.iter_mut().enumerate() {
        c.send(&["SET", &format!("key{i}"), "value"]);
    }
    slow.send(&["EVAL", "while true do end", "0"]);
    server.sigcont();
    let acknowledged: Vec<bool> = writers.iter_mut().map(|c| c.read() == "OK").collect();
    server.kill9();
    server.restart();
    let mut c = server.connect();
    for (i, acknowledged) in acknowledged.iter().enumerate() {
        let found = c.run(&format!("GET key{i}")) == "value";
        assert!(found || !acknowledged, "key{i} of {acknowledged:?}");
    }
    assert!(acknowledged.contains(&true), "all came behind the script");
}

#[test]
fn what_has_written_is_not_killed() {
    let server = Server::aedile(&["--busy-reply-threshold", "50"]);
    let mut slow = server.connect();
    slow.send(&["EVAL", "redis.call('set', 'x', 1) while true do end", "0"]);
    let mut c = server.connect();
    wait_until("busy", || c.run("PING").is_error());
    c.run("SCRIPT KILL")
        .assert_error_prefix("UNKILLABLE Sorry the script already executed write");
    // Its client may go; the script does not.
    drop(slow);
    let mut other = server.connect();
    other.run("PING").assert_error_prefix("BUSY ");
    c.send(&["SHUTDOWN", "NOSAVE"]);
    wait_until("the end", || Conn::try_connect(server.port).is_err());
}

#[test]
fn scripts_by_digest() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let sha = c.cmd(&["SCRIPT", "LOAD", "return 1"]).text();
    assert_eq!(c.cmd(&["EVALSHA", &sha.to_uppercase(), "0"]), 1);
    assert_eq!(c.cmd(&["SCRIPT", "SHOW", &sha]), "return 1");
    let there = c.cmd(&["SCRIPT", "EXISTS", &sha, "x"]);
    assert!(there.items()[0] == 1 && there.items()[1] == 0);
    // What EVAL alone has brought goes, the oldest first; what was loaded stays.
    for i in 0..600 {
        assert_eq!(eval(&mut c, &format!("return {i}")), i);
    }
    assert_eq!(c.info_int("number_of_cached_scripts"), 501);
    assert_eq!(c.info_int("evicted_scripts"), 99);
    assert_eq!(c.cmd(&["EVALSHA", &sha, "0"]), 1);
    c.config_set("maxmemory-scripts", "20kb");
    eval(&mut c, "return 'one more'");
    assert!(c.info_int("used_memory_scripts_eval") <= 20 << 10);
    c.ok("SCRIPT FLUSH ASYNC");
    c.cmd(&["EVALSHA", &sha, "0"])
        .assert_error_prefix("NOSCRIPT");
    assert_eq!(c.info_int("number_of_cached_scripts"), 0);
    assert_eq!(eval(&mut c, "return 5"), 5);
}

#[test]
fn the_first_line_says_what_a_script_may() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let run = |c: &mut Conn, verb: &str, flags: &str, body: &str| {
        c.cmd(&[verb, &format!("#!lua flags={flags}\n{body}"), "1", "k"])
    };
    run(&mut c, "EVAL", "", "return redis.call('set', KEYS[1], 1)").assert_ok();
    assert!(
        run(
            &mut c,
            "EVAL",
            "no-writes",
            "return redis.call('set', KEYS[1], 1)"
        )
        .text()
        .starts_with("ERR Write commands are not allowed from read-only scripts.")
    );
    run(&mut c, "EVAL_RO", "", "return 1")
        .assert_error("ERR Can not execute a script with write flag using *_ro command.");
    assert_eq!(
        run(
            &mut c,
            "EVAL_RO",
            "no-writes",
            "return redis.call('get', KEYS[1])"
        ),
        "1"
    );
    run(&mut c, "EVAL", "what", "return 1")
        .assert_error("ERR Unexpected flag in script shebang: what");
    // What is refused leaves nothing to the next one.
    let refused = "#!lua flags=\nreturn {KEYS[1], ARGV[1]}";
    for _ in 0..2 {
        assert!(
            c.cmd(&["EVAL_RO", refused, "1", "other", "argument"])
                .is_error()
        );
        let seen = c.cmd(&["EVAL", refused, "1", "mine", "too"]);
        assert!(
            seen.items()[0] == "mine" && seen.items()[1] == "too",
            "{seen:?}"
        );
    }
    // Memory is short.
    c.config_set("maxmemory", "1");
    run(&mut c, "EVAL", "", "return 1").assert_error_prefix("OOM ");
    assert_eq!(run(&mut c, "EVAL", "no-writes", "return 1"), 1);
    run(
        &mut c,
        "EVAL",
        "allow-oom",
        "return redis.call('set', KEYS[1], 1)",
    )
    .assert_ok();
    assert_eq!(eval(&mut c, "return 1"), 1);
    fails(
        &mut c,
        "return redis.call('set', 'k', 1)",
        "OOM command not allowed",
    );
}

#[test]
fn a_script_is_a_transaction_to_others() {
    let server = Server::aedile(&[]);
    let mut replica = server.connect();
    let mut c = server.connect();
    // Time stands still.
    let script = "redis.call('set', 'k', 1, 'px', 5) local n = 0 for i = 1, 3e7 do n = n + i end return redis.call('get', 'k')";
    assert_eq!(eval(&mut c, script), "1");
    // Nothing waits.
    assert!(eval(&mut c, "return redis.call('blpop', 'l', 0)").is_null());
    fails(
        &mut c,
        "return redis.call('xread', 'block', 0, 'streams', 's', '$')",
        "xread command is not allowed with BLOCK",
    );
    // Its database is its own.
    eval(&mut c, "redis.call('select', 3) redis.call('set', 'k3', 1)");
    assert!(c.run("GET k3").is_null());
    replica.send(&["SYNC"]);
    let stream = |c: &mut Conn, script: &str| eval(c, script);
    stream(&mut c, "redis.call('set', 'a', 1)");
    stream(
        &mut c,
        "redis.call('set', 'a', 2) redis.call('incr', 'b') return redis.call('get', 'a')",
    );
    stream(
        &mut c,
        "redis.set_repl(redis.REPL_NONE) redis.call('set', 'c', 1)",
    );
    stream(&mut c, "return redis.call('get', 'a')");
    c.run("SET end 1");
    let mut seen = Vec::new();
    let text = wait_for("the stream", || {
        seen.extend(replica.read_for(Duration::from_millis(50)));
        let text = String::from_utf8_lossy(&seen).into_owned();
        text.contains("end").then_some(text)
    });
    let words: Vec<&str> = text[text.find("SELECT").unwrap()..]
        .split("\r\n")
        .filter(|w| !w.is_empty() && !w.starts_with(['*', '$']))
        .filter(|w| *w != "PING")
        .collect();
    let want = "SELECT 0 set a 1 MULTI set a 2 incr b EXEC SET end 1";
    assert_eq!(words.join(" "), want);
}

#[test]
fn memory_stays_flat() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let run = |c: &mut Conn, n: usize| {
        let commands: Vec<Vec<&str>> = (0..n)
            .map(|_| {
                vec![
                    "EVAL",
                    "local t = {KEYS[1], ARGV[1]} return redis.call('set', t[1], t[2])",
                    "1",
                    "k",
                    "v",
                ]
            })
            .collect();
        for reply in c.pipeline(&commands) {
            reply.assert_ok();
        }
    };
    run(&mut c, 2000);
    let before = c.info_int("used_memory_lua");
    for _ in 0..20 {
        run(&mut c, 2000);
    }
    let after = c.info_int("used_memory_lua");
    // Garbage may be half of what there is before it is collected.
    assert!(after < before * 2, "{before} {after}");
}

/// In verbatim mode a script goes out as EVAL, and as EVALSHA once all know it; replicas and the file do the same.
#[test]
fn verbatim_scripts_are_sent_as_they_are() {
    let scratch = server::Scratch::new();
    let args = [
        "--script-replication",
        "verbatim",
        "--appendonly",
        "yes",
        "--enable-debug-command",
        "yes",
    ];
    let mut master = Server::start_in(Kind::Aedile, scratch, &args);
    let replica = Server::aedile(&["--script-replication", "verbatim"]);
    let mut m = master.connect();
    let mut r = replica.connect();
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || r.info("master_link_status") == "up");
    let script =
        "for i = 1, 1000 do redis.call('set', KEYS[1] .. i, ARGV[1]) end return math.random(1000)";
    let sent = |m: &mut Conn, mode: &str| {
        m.config_set("script-replication", mode);
        let before = m.info_int("master_repl_offset");
        m.cmd(&["EVAL", script, "1", "key:", "value"]);
        m.info_int("master_repl_offset") - before
    };
    let effects = sent(&mut m, "effects");
    let first = sent(&mut m, "verbatim");
    let again = sent(&mut m, "verbatim");
    println!("bytes for 1,000 keys: {effects} as effects, {first} as EVAL, {again} as EVALSHA");
    assert!(
        effects > 30_000 && first < 300 && again < first,
        "{effects} {first} {again}"
    );
    // Random numbers are the same everywhere, and sets have an order.
    m.run("SADD s c a b d e");
    eval(
        &mut m,
        "redis.call('set', 'random', math.random(1e6)) redis.call('set', 'first', redis.call('smembers', 's')[1])",
    );
    assert_eq!(m.run("GET first"), "a");
    fails(
        &mut m,
        "redis.call('randomkey') redis.call('set', 'x', 1)",
        "Write commands not allowed after non deterministic commands",
    );
    assert!(m.run("GET x").is_null());
    eval(
        &mut m,
        "redis.replicate_commands() redis.call('set', 'at', redis.call('time')[1])",
    );
    let digest = |c: &mut Conn| {
        let state = dump_state(c);
        format!(
            "{:?}",
            state
                .iter()
                .map(|(k, v)| (k.clone(), v.value.clone()))
                .collect::<Vec<_>>()
        )
    };
    wait_until("the replica", || {
        r.info("slave_repl_offset") == m.info("master_repl_offset")
    });
    assert_eq!(digest(&mut r), digest(&mut m));
    // A replica that starts again has what EVALSHA needs.
    let sha = m
        .cmd(&["SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])"])
        .text();
    for _ in 0..3 {
        m.cmd(&["EVALSHA", &sha, "1", "n"]);
    }
    let late = Server::aedile(&["--script-replication", "verbatim"]);
    let mut l = late.connect();
    l.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || l.info("master_link_status") == "up");
    for _ in 0..3 {
        m.cmd(&["EVALSHA", &sha, "1", "n"]);
    }
    for c in [&mut r, &mut l] {
        wait_until("the count", || c.run("GET n") == "6");
    }
    m.run("BGREWRITEAOF");
    wait_until("the rewrite", || m.info("aof_rewrite_in_progress") == "0");
    m.cmd(&["EVALSHA", &sha, "1", "n"]);
    let before = digest(&mut m);
    master.terminate();
    master.restart();
    let mut m = master.connect();
    assert_eq!(m.run("GET n"), "7");
    assert_eq!(digest(&mut m), before);
}

/// What a client brought goes when there are too many; what the master has sent may be called by its digest later.
#[test]
fn a_script_of_the_masters_stays_though_a_client_brought_it_first() {
    let verbatim = ["--script-replication", "verbatim"];
    let master = Server::aedile(&verbatim);
    let replica = Server::aedile(&verbatim);
    let (mut m, mut r) = (master.connect(), replica.connect());
    let incr = |c: &mut Conn| c.cmd(&["EVAL", "return redis.call('incr', KEYS[1])", "1", "n"]);
    incr(&mut r);
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || r.info("master_link_status") == "up");
    incr(&mut m);
    wait_until("EVAL", || r.run("GET n") == "1");
    for i in 0..600 {
        eval(&mut r, &format!("return {i}"));
    }
    assert!(r.info_int("evicted_scripts") >= 99);
    incr(&mut m);
    wait_until("EVALSHA", || r.run("GET n") == "2");
}

/// Whatever is reached from a script by any way, its environment is none that leads out of the sandbox.
#[test]
fn no_environment_leads_out_of_the_sandbox() {
    let server = Server::aedile(&["--lua-memory-limit", "100mb"]);
    let mut c = server.connect();
    // Everything that can be reached: globals, libraries, metatables; and what is on the stack of callbacks.
    let walk = "local seen, bad = {}, {}
        local function look(name, e)
            if type(e) ~= 'table' then return end
            for _, k in ipairs({'dofile', 'loadfile', 'newproxy', 'io', 'debug', 'ffi', 'jit', 'package', 'require', 'print'}) do
                local ok, v = pcall(function() return e[k] end)
                if ok and v ~= nil then bad[#bad + 1] = name .. '.' .. k end
            end
            local ok, os = pcall(function() return e.os end)
            if ok and type(os) == 'table' then
                for k in pairs(os) do if k ~= 'clock' then bad[#bad + 1] = name .. '.os.' .. k end end
            end
            if pcall(function() e.leak = 1 end) then bad[#bad + 1] = name .. ' can be written to' end
            if pcall(rawset, e, 'leak', 1) then bad[#bad + 1] = name .. ' can be written to, raw' end
            if pcall(setmetatable, e, {}) then bad[#bad + 1] = name .. ' can be given a metatable' end
        end
        local function walk(name, v)
            if seen[v] then return end
            if type(v) == 'function' then
                seen[v] = true
                look('getfenv(' .. name .. ')', getfenv(v))
                if pcall(setfenv, v, {}) then bad[#bad + 1] = name .. ' takes an environment' end
            elseif type(v) == 'table' then
                seen[v] = true
                for k, e in pairs(v) do walk(name .. '.' .. tostring(k), e) end
                local m = getmetatable(v)
                if type(m) == 'table' then walk('metatable of ' .. name, m) end
            end
        end
        walk('_G', _G) walk('string metatable', getmetatable('')) walk('cjson', cjson) walk('redis', redis)
        local function levels(name)
            return function()
                for level = 0, 12 do
                    local ok, e = pcall(getfenv, level)
                    if ok and e ~= _G then look(name .. ' level ' .. level, e) end
                end
                local e3, e4 = select(2, pcall(getfenv, 3)), select(2, pcall(getfenv, 4))
                return nil
            end
        end
        local direct = function() local a, b, c, d = getfenv(1), getfenv(2), getfenv(3) look('direct', a) look('direct', b) look('direct', c) end
        table.foreach({1}, direct) table.foreachi({1}, direct)
        table.foreach({1}, levels('foreach')) table.foreachi({1}, levels('foreachi'))
        table.sort({3, 2, 1}, levels('sort')) string.gsub('a', 'a', levels('gsub'))
        xpcall(function() _G.x = 1 end, levels('xpcall')) xpcall(function() _G.x = 1 end, direct)
        xpcall(function() error('x') end, direct) xpcall(function() redis.call('nosuch') end, direct)
        coroutine.wrap(levels('coroutine'))() coroutine.wrap(direct)
        pcall(levels('pcall'))
        setmetatable({}, {__index = levels('index')}).x = nil
        local x = setmetatable({}, {__index = levels('index')}).x
        tostring(setmetatable({}, {__tostring = function() levels('tostring')() return '' end}))
        local out = {} for i = 1, #bad do out[i] = bad[i] end
        return out";
    for script in [
        walk,
        "local e = getfenv(string.len) return {e.os and e.os.execute and 1}",
    ] {
        let found = c.cmd(&["EVAL", script, "0"]);
        assert!(
            !found.is_error() || found.text().contains("nonexistent global variable 'os'"),
            "{found:?}"
        );
        if !found.is_error() {
            assert!(found.items().is_empty(), "{found:?}");
        }
    }
    let library = "#!lua name=l\nlocal function f() local e = getfenv(string.len) return e.os and e.os.execute and 1 end \
                   redis.register_function('f', f)";
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", library]), "l");
    let found = c.cmd(&["FCALL", "f", "0"]);
    assert!(found.is_error() || found.is_null(), "{found:?}");
    // A level may be a text, or have a fraction.
    for level in ["0", "'0'", "'0x0'", "' 0 '", "0.5", "-0.5"] {
        let script = format!("setfenv({level}, {{tostring = function() return 'pwned' end}})");
        fails(&mut c, &script, "Attempt to modify a readonly table");
        let script = format!("return getfenv({level}) == _G and 1");
        assert_eq!(eval(&mut c, &script), 1, "{level}");
    }
    for level in ["2", "'2'", "'3'", "'4'", "1.5"] {
        let script = format!("return pcall(function() setfenv({level}, {{a = 'kept'}}) end)");
        assert!(eval(&mut c, &script).is_null(), "{level}");
    }
    assert_eq!(eval(&mut c, "return tostring(1)"), "1");
    // Nothing stays for the next one.
    fails(
        &mut c,
        "getfenv(string.len).leak = 1 return 1",
        "Attempt to modify a readonly table",
    );
}

/// Each as a real 7.2 answers it: texts that are easily misread by who changes them before they are compiled.
#[test]
fn texts_mean_what_they_mean() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let mut run = |script: &str| c.cmd(&["EVAL", script, "2", "k1", "k2", "a1", "a2"]);
    for (script, expected) in [
        ("return {1;2;3}", "[:1, :2, :3]"),
        ("return {KEYS[1];KEYS[2]}", "[\"k1\", \"k2\"]"),
        ("return {a=1;2}", "[:2]"),
        ("return {[1]=1;[2]=2}", "[:1, :2]"),
        ("return #{1;2;3}", ":3"),
        ("return cjson.encode({1;2})", "\"[1,2]\""),
        (
            "return redis.call('mset',unpack({'a';'b';'c';'d'}))",
            "+\"OK\"",
        ),
        ("local k=KEYS[1]redis.call('set',k,1)return k", "\"k1\""),
        ("local x=KEYS[1]tostring(1)return x", "\"k1\""),
        (
            "local env={} env.redis={call=function() return 'mock' end} setfenv(1,env) return redis.call('ping')",
            "\"mock\"",
        ),
        ("loadstring(\"KEYS[1]='z'\")() return KEYS[1]", "\"z\""),
        ("_G.KEYS[1]='q' return KEYS[1]", "\"q\""),
        ("KEYS[1]='z' return loadstring('return KEYS[1]')()", "\"z\""),
        ("return KEYS==_G.KEYS", ":1"),
        ("table.insert(_G.KEYS,'x') return #KEYS", ":3"),
        ("return '\\x41\\z a'", "\"x41z a\""),
        ("return 'a\\.b\\/c\\-d\\%e\\ f'", "\"a.b/c-d%e f\""),
        ("return {string.find('a.b', 'a\\.b')}", "[:1, :3]"),
        ("local const = 1 const = 2 return const", ":2"),
        (
            "local function continue(x) return x end return (continue(3))",
            ":3",
        ),
        ("local continue = 4\nlocal y = continue\nreturn y", ":4"),
        (
            "return {1 ~= 2, 1 <= 2, 2 >= 1, 3 - -1}",
            "[:1, :1, :1, :4]",
        ),
        ("return [[a]] .. [=[b[[c]=]", "\"ab[[c\""),
        (
            "local function f(...) return arg.n end return f(1, nil, 3)",
            ":3",
        ),
        (
            "local function f(a, ...) local g = function() return arg[1] end return g() end return f(1, 2)",
            ":2",
        ),
        (
            "local s = '' for w in string.gfind('a b', '%a') do s = s .. w end return s",
            "\"ab\"",
        ),
        (
            "return {('abc'):sub(2, 1e10), ('abc'):sub(2^31, -1), ('abc'):sub(-1e10, 2), ('abc'):byte(3, 2^32)}",
            "[\"bc\", \"\", \"ab\", :99]",
        ),
        (
            "return {tonumber('0b11') == nil, tonumber(' -0B1') == nil, tonumber('0x1b'), tonumber('0b1', 12)}",
            "[:1, :1, :27, :133]",
        ),
        (
            "return string.format('%.3f|%5.1f', 5.5e-289, -2.25)",
            "\"0.000| -2.2\"",
        ),
        ("return math.log(8, 2) == math.log(8)", ":1"),
        ("local t = {1} table.insert(t, 0, 9) return t[0]", ":9"),
        (
            "return {select('#', pcall(function() end)), select('#', pcall(function() return nil, nil end))}",
            "[:1, :3]",
        ),
        (
            "return {pcall()}",
            "[$-1, \"attempt to call a boolean value\"]",
        ),
        (
            "local f, e = load(function() error('x', 0) end) return {f == nil, e}",
            "[:1, \"x\"]",
        ),
        ("return 'a\\\r\nb'", "\"a\\nb\""),
        (
            "local function f(...) return ... end return f(KEYS[1])",
            "\"k1\"",
        ),
        ("do local KEYS = {'mine'} return KEYS[1] end", "\"mine\""),
        (
            "local function f(KEYS) return KEYS[1] end return f({'mine'})",
            "\"mine\"",
        ),
        (
            "for _, KEYS in ipairs({{'mine'}}) do return KEYS[1] end",
            "\"mine\"",
        ),
    ] {
        assert_eq!(format!("{:?}", run(script)), expected, "{script}");
    }
    for (script, problem) in [
        (
            "local x local t=type(redis.call) redis.call, x = 'leak', 1 return t",
            "Attempt to modify a readonly table",
        ),
        (
            "function redis.call(x) return 'mock' end return redis.call('ping')",
            "Attempt to modify a readonly table",
        ),
        (
            "function cjson.encode() return 5 end return cjson.encode(1)",
            "Attempt to modify a readonly table",
        ),
        (
            "local x KEYS, x = 1, 2 return KEYS",
            "Attempt to modify a readonly table",
        ),
        (
            "function KEYS() end return 1",
            "Attempt to modify a readonly table",
        ),
        (
            "local f=function() redis.call('set','a','1') end setfenv(f,{}) f()",
            "attempt to index global 'redis'",
        ),
        ("local redis.call return 1", "Error compiling script"),
        ("for redis.call in x do end", "Error compiling script"),
        (
            "local function f(KEYS[1]) return KEYS[1] end return f(3)",
            "Error compiling script",
        ),
        ("return 0b11", "malformed number near '0b11'"),
        ("goto a ::a:: return 1", "Error compiling script"),
        ("local x = 1 x += 2 return x", "near '+'"),
        ("local x = 1 x ..= 'a' return x", "near '.'"),
        ("return 1 != 2", "near '!'"),
        ("return true && true", "near '&'"),
        ("return true || true", "near '|'"),
        ("return ~1", "near '~'"),
        ("return 1 << 2", "near '<'"),
        ("return 4 // 2", "near '/'"),
        ("return true ? 1 : 2", "near '?'"),
        ("const x = 1 return x", "'=' expected near 'x'"),
        ("for i = 1, 2 do continue end", "'=' expected near 'end'"),
        ("while true do f() continue; end", "'=' expected near ';'"),
        ("return 1_000", "malformed number near '1_000'"),
        ("return 0x1.8p1", "malformed number near '0x1'"),
        ("local \u{e9} = 1", "unexpected symbol near"),
        (
            "return\n[[a[[b]]",
            "user_script:2: nesting of [[...]] is deprecated",
        ),
        (
            "return string.format('%s', nil)",
            "string expected, got nil",
        ),
        ("--\rreturn tostring(1LL)", "malformed number near '1LL'"),
        ("# foo\nreturn 1", "unexpected symbol near '#'"),
    ] {
        let text = run(script).text();
        assert!(text.contains(problem), "{script}: {text}");
    }
    // A callback within a callback is somebody's value.
    let library =
        "#!lua name=z\nredis.register_function{function_name='zz', callback=false or function(k,a)
        local callback = function() return redis.call('get', k[1]) end
        local v = callback() return {v,v} end}";
    c.ok("SET k value");
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", library]), "z");
    let twice = c.cmd(&["FCALL", "zz", "1", "k"]);
    assert_eq!(format!("{twice:?}"), "[\"value\", \"value\"]");
    // A long text takes no time that anybody would feel: a bound on what once grew with its square.
    let many = format!("return #{{{}}}", vec!["KEYS[1]"; 100_000].join(","));
    let open = "do return redis.call( end ".repeat(20_000);
    let register = format!("return 1 --\n{}", "redis.register_function{".repeat(20_000));
    for script in [&many, &open, &register] {
        c.cmd(&["EVAL", script, "1", "k"]);
    }
}

#[test]
fn the_memory_limit_is_for_all_but_a_master() {
    let limited = ["--lua-memory-limit", "8mb"];
    let server = Server::aedile(&limited);
    let mut c = server.connect();
    for body in [
        "local t = {} while true do t = {t} end",
        "local s = 'xxxxxxxx' while true do s = s .. s end",
        "local s = ('x'):rep(5e8)",
    ] {
        let library = format!("#!lua name=l\n{body} redis.register_function('f', function() end)");
        c.cmd(&["FUNCTION", "LOAD", &library])
            .assert_error_prefix("ERR Error registering functions");
        assert!(c.info_int("used_memory_rss") < 200 << 20);
    }
    // Nothing stays of a limit that was taken back.
    let small = "#!lua name=small\nredis.register_function('g', function() return 1 end)";
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", small]), "small");
    c.config_set("lua-memory-limit", "1000");
    c.cmd(&["FCALL", "g", "0"]);
    c.config_set("lua-memory-limit", "0");
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", "REPLACE", small]), "small");
    // A command's arguments are copied, however often the same string stands among them.
    c.config_set("lua-memory-limit", "8mb");
    let script = "local x = string.rep('x', 1e6) local t = {} for i = 1, 7000 do t[i] = x end return redis.call('del', unpack(t))";
    fails(&mut c, script, "not enough memory");
    // What a master has done, its replica does.
    let master = Server::aedile(&["--script-replication", "verbatim"]);
    let mut m = master.connect();
    c.config_set("lua-memory-limit", "300kb");
    c.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || c.info("master_link_status") == "up");
    m.cmd(&[
        "EVAL",
        "redis.call('set', 'big', string.rep('x', 1e6)) return 1",
        "0",
    ]);
    let library = "#!lua name=big\nlocal t = {} for i = 1, 1e5 do t[i] = i end \
                   redis.register_function('h', function() return #t end)";
    assert_eq!(m.cmd(&["FUNCTION", "LOAD", library]), "big");
    wait_until("the script", || c.run("STRLEN big") == 1_000_000);
    wait_until("the library", || c.run("FUNCTION LIST").items().len() == 1);
}

/// A write that is random would be another one elsewhere; and who has only the effects configured runs a master's script as it.
#[test]
fn verbatim_scripts_do_the_same_everywhere() {
    let master = Server::aedile(&["--script-replication", "verbatim"]);
    let replica = Server::aedile(&[]);
    let (mut m, mut r) = (master.connect(), replica.connect());
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    wait_until("the link", || r.info("master_link_status") == "up");
    m.run("SADD s a b c d e f");
    for random in ["'spop', 's'", "'xadd', 'x', '*', 'f', 'v'"] {
        let script = format!("redis.call({random})");
        fails(
            &mut m,
            &script,
            "Write commands not allowed after non deterministic commands",
        );
        let effects = format!("redis.replicate_commands() redis.call({random})");
        eval(&mut m, &effects);
    }
    let script = "redis.call('set', 'n', math.random(1e6)) redis.call('set', 'first', redis.call('smembers', 's')[1])";
    eval(&mut m, script);
    wait_until("the replica", || {
        r.info("slave_repl_offset") == m.info("master_repl_offset")
    });
    for key in ["n", "first"] {
        let get = format!("GET {key}");
        assert_eq!(r.run(&get), m.run(&get), "{key}");
    }
    for sorted in ["s", "x"] {
        let dump = format!("DUMP {sorted}");
        assert_eq!(r.run(&dump).is_null(), m.run(&dump).is_null());
    }
    assert_eq!(r.run("XRANGE x - +"), m.run("XRANGE x - +"));
}

#[test]
fn a_verbatim_string_has_three_letters() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.cmd(&["HELLO", "3"]);
    for (format, sent) in [
        ("txt", &b"txt"[..]),
        ("ab\\195\\169", b"ab\xc3"),
        ("\\255\\254\\253\\252", b"\xff\xfe\xfd"),
        ("a\\0b", b"a  "),
        ("", b"   "),
    ] {
        let script = format!("return {{verbatim_string={{format='{format}',string='x'}}}}");
        c.send(&["EVAL", &script, "0"]);
        let wanted = [b"=5\r\n", sent, b":x\r\n"].concat();
        assert_eq!(
            c.read_exact(wanted.len()).expect("a reply"),
            wanted,
            "{format}"
        );
    }
    assert_eq!(c.run("PING"), "PONG");
}

/// A client may send what it likes as a script: what is looked at of it takes little beside the text itself.
#[test]
fn a_huge_text_is_refused_or_run_in_little_memory() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let text = "(".repeat(20 << 20);
    eval(&mut c, &text).assert_error_prefix("ERR Error compiling script");
    let text = format!("do return 1 end {}", "a=1 ".repeat(2 << 20));
    assert_eq!(eval(&mut c, &text), 1);
    c.ok("SCRIPT FLUSH");
    assert!(c.info_int("used_memory_peak") < 400 << 20);
}

/// A few tables say a reply of any length.
#[test]
fn a_reply_without_an_end_can_be_ended() {
    let server = Server::aedile(&["--busy-reply-threshold", "50"]);
    let endless = [
        "local t = {1} for i = 1, 60 do t = {t, t} end return t",
        "local t = {} t[1], t[2] = t, t return t",
        "local t = {1} for i = 1, 60 do t = {map = {[t] = t}} end return t",
        "local t = {1} for i = 1, 60 do t = {set = {[t] = true, [{t}] = true}} end return t",
        "local s, t = string.rep('x', 1000), {} for i = 1, 1e5 do t[i] = s end for i = 1, 20 do t = {t, t} end return t",
    ];
    let mut c = server.connect();
    for script in endless {
        let mut slow = server.connect();
        slow.cmd(&["PING"]);
        slow.send(&["EVAL", script, "0"]);
        wait_until("busy", || c.run("GET x").is_error());
        c.ok("SCRIPT KILL");
        slow.read()
            .assert_error("ERR Script killed by user with SCRIPT KILL...");
        assert_eq!(slow.run("PING"), "PONG");
    }
    // With a limit nobody has to.
    c.config_set("busy-reply-threshold", "0");
    c.config_set("lua-memory-limit", "50mb");
    for script in endless {
        fails(&mut c, script, "not enough memory");
        assert_eq!(c.run("PING"), "PONG");
    }
    // What is large, and ends, is whole: for RESP2 and RESP3, and behind other replies.
    let script = "local a, t = {{double = 1.5}, {map = {k = false}}, 'text', {err = 'MY fault'}}, {} for i = 1, 1e5 do t[i] = a end return t";
    for hello in ["HELLO 2", "HELLO 3"] {
        c.run(hello);
        let small = eval(&mut c, &script.replace("1e5", "1"));
        c.send(&["PING"]);
        c.send(&["EVAL", script, "0"]);
        c.send(&["PING"]);
        assert_eq!(c.read(), "PONG");
        let large = c.read();
        assert_eq!(large.items().len(), 100_000);
        assert!(large.items().iter().all(|item| *item == small.items()[0]));
        assert_eq!(c.read(), "PONG");
    }
}

/// What a script gives many times, it has only once; all of it together would be more than there is.
#[test]
fn many_large_arguments_are_not_copied_for_nothing() {
    let server = Server::aedile(&["--loglevel", "verbose"]);
    let mut c = server.connect();
    let words = "local s, t = string.rep('x', 1e6), {} for i = 1, 5000 do t[i] = s end";
    let refused = "not enough memory for the arguments of a command called from a script";
    for command in ["call('del', ", "acl_check_cmd('del', "] {
        let script = format!("{words} return redis.{command}unpack(t))");
        fails(&mut c, &script, refused);
    }
    for level in ["DEBUG", "WARNING"] {
        let script = format!("{words} redis.log(redis.LOG_{level}, unpack(t)) return 1");
        assert_eq!(eval(&mut c, &script), 1);
    }
    assert!(server.log_has(&"x".repeat(1000)));
    // Nor was it held.
    assert!(c.info_int("used_memory_peak") < 100 << 20);
}

#[test]
fn tables_are_sorted_and_filled_as_ever() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for n in [10, 4096, 4097, 70_000] {
        let script = format!(
            "local t = {{}} for i = 1, {n} do t[i] = (i * 7919) % {n} end table.sort(t) \
             for i = 2, {n} do if t[i - 1] > t[i] then return i end end return 'sorted'"
        );
        assert_eq!(eval(&mut c, &script), "sorted", "{n}");
        // An error has no place of ours.
        let script = format!(
            "local t = {{}} for i = 1, {n} do t[i] = i end t[7] = 'x' local ok, e = pcall(table.sort, t) return e"
        );
        let said = eval(&mut c, &script).text();
        assert!(said.starts_with("attempt to compare "), "{n}: {said}");
    }
    let script = "local x, t = string.rep('x', 3e5), {} for i = 1, 9 do t[i] = x .. (10 - i) end table.sort(t) \
                  local all = '' for i = 1, 9 do all = all .. t[i]:sub(-1) end return all";
    assert_eq!(eval(&mut c, script), "123456789");
    for at in ["1", "'2'", "2.9", "99999", "-3", "100001", "100005"] {
        for n in ["10", "100000"] {
            let script = format!(
                "local t = {{}} for i = 1, {n} do t[i] = i end table.insert(t, {at}, 'new') \
                 local at = math.floor({at}) return {{t[at - 1] or '', t[at], t[at + 1] or '', t[{n}] or '', t[{n} + 1] or ''}}"
            );
            let reply = eval(&mut c, &script);
            let item = |i: usize| reply.items()[i].text();
            assert_eq!(item(1), "new", "{at} {n}");
            let (place, n): (f64, i64) = (
                at.trim_matches('\'').parse().expect("a place"),
                n.parse().expect("a number"),
            );
            let place = place as i64;
            if (2..=n).contains(&place) {
                assert_eq!(
                    (item(0), item(2)),
                    ((place - 1).to_string(), place.to_string())
                );
                assert_eq!(
                    (item(3), item(4)),
                    (
                        (n - 1)
                            .max(place)
                            .to_string()
                            .replace(&n.to_string(), "new"),
                        n.to_string()
                    )
                );
            }
        }
    }
    // Of another base, what is negative wraps.
    for (script, value) in [
        ("tonumber('-1', 16)", "1.844674407371e+19"),
        ("tonumber('-ff', 16)", "1.844674407371e+19"),
        ("tonumber('-ffffffffffffffff', 16)", "1"),
        ("tonumber('-11', 10)", "-11"),
        ("tonumber('-11', '10')", "-11"),
        ("tonumber('zz', 36)", "1295"),
        ("tonumber('x', 16)", "nil"),
    ] {
        assert_eq!(
            eval(&mut c, &format!("return tostring({script})")),
            value,
            "{script}"
        );
    }
}

/// The compiler, which nothing interrupts, walks from each of these over all before it.
#[test]
fn a_text_takes_the_compiler_no_time_without_an_end() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (head, part, tail) in [
        ("return ", "x and ", "x"),
        ("return ", "x==1 or ", "x"),
        ("return ", "(x<=y or y) and ", "x"),
        ("x = ", "not(x and y) or ", "x"),
        ("return f(", "(function() return 1 end)() or ", "x)"),
        ("if x then ", "elseif x then ", "end"),
        ("while x do ", "do break end ", "end"),
    ] {
        let text = |n: usize| format!("{head}{}{tail}", part.repeat(n));
        let long = text(200_000);
        eval(&mut c, &long).assert_error_prefix(
            "ERR Error compiling script (new function): user_script:1: control structure too long near ",
        );
        let said = c.cmd(&["EVAL", "return select(2, loadstring(ARGV[1]))", "0", &long]);
        assert!(
            said.text().contains("control structure too long near "),
            "{part}: {said:?}"
        );
        // Others are taken.
        assert!(
            !c.cmd(&["SCRIPT", "LOAD", &text(2_000)]).is_error(),
            "{part}"
        );
        let many = format!("do {} end ", text(3).replace("return ", "x = ")).repeat(20_000);
        assert!(!c.cmd(&["SCRIPT", "LOAD", &many]).is_error(), "{part}");
    }
    let many = format!("local x, y, z {}", "x = y or z ".repeat(5_000));
    assert!(!c.cmd(&["SCRIPT", "LOAD", &many]).is_error());
}
