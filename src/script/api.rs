//! `redis.*`, and what else the prelude takes from us: the raw functions that scripts call (script_lua.c).
//!
//! A function here leaves its results on the stack and returns how many they are. Nothing is held of the server across a command
//! that a script calls.

use std::ffi::CString;

use crate::base::fpconv::{FPCONV_SIZE, fpconv_dtoa};
use crate::base::log::{LOG_MAX_LEN, Level};
use crate::base::num::{LONG_STR_SIZE, double2ll, ll2string};
use crate::script::cache::sha1hex;
use crate::script::convert::{push_error, push_reply, to_integer};
use crate::script::debugger::calls;
use crate::script::libraries::{self, LibraryHost, LibraryState};
use crate::script::lua::{Call, Kind, Lua, NOT_ENOUGH_MEMORY, Raise, Returned, Value};
use crate::script::machine::compile_checked;
use crate::server::execution::args::Args;
use crate::server::execution::propagate::Propagate;
use crate::server::{REDIS_VERSION, REDIS_VERSION_NUM, Server};
use crate::wire::resp::Span;

impl LibraryHost for Server {
    fn library_state(&mut self) -> &mut LibraryState {
        &mut self.scripts.library_state
    }
}

/// Pushes the table that the prelude is given: a table a library, and single functions.
pub(super) fn open(lua: &mut Lua<Server>) {
    lua.push_table(0, 12);
    type Open = fn(&mut Lua<Server>);
    let libraries: [(&[u8], Open); 6] = [
        (b"cjson", libraries::cjson::open),
        (b"cmsgpack", libraries::cmsgpack::open),
        (b"struct", libraries::structs::open),
        (b"string", libraries::string::open),
        (b"math", libraries::random::open),
        (b"redis", open_redis),
    ];
    for (name, open) in libraries {
        open(lua);
        lua.set_raw_field(-2, name);
    }
    lua.push_function(last);
    lua.set_raw_field(-2, b"last");
    lua.push_function(note_environment);
    lua.set_raw_field(-2, b"note_environment");
    lua.push_function(is_deep);
    lua.set_raw_field(-2, b"is_deep");
    lua.push_function(is_over);
    lua.set_raw_field(-2, b"is_over");
    lua.push_function(compile_text);
    lua.set_raw_field(-2, b"compile");
    lua.push_function(crate::script::register::register_function);
    lua.set_raw_field(-2, b"register_function");
}

fn open_redis(lua: &mut Lua<Server>) {
    lua.push_table(0, 32);
    macro_rules! functions {
        ($($name:literal: $function:expr,)*) => {
            $(lua.push_function($function);
            lua.set_raw_field(-2, $name);)*
        };
    }
    functions! {
        b"call": call,
        b"pcall": pcall,
        b"error_reply": error_reply,
        b"status_reply": status_reply,
        b"sha1hex": sha1hex_of,
        b"log": log,
        b"setresp": setresp,
        b"set_repl": set_repl,
        b"acl_check_cmd": acl_check_cmd,
        b"replicate_commands": replicate_commands,
        b"breakpoint": calls::breakpoint,
        b"debug": calls::debug,
    }
    let numbers: [(&[u8], f64); 10] = [
        (b"LOG_DEBUG", 0.0),
        (b"LOG_VERBOSE", 1.0),
        (b"LOG_NOTICE", 2.0),
        (b"LOG_WARNING", 3.0),
        (b"REPL_NONE", 0.0),
        (b"REPL_AOF", f64::from(Propagate::AOF.bits())),
        (b"REPL_SLAVE", f64::from(Propagate::REPL.bits())),
        (b"REPL_REPLICA", f64::from(Propagate::REPL.bits())),
        (b"REPL_ALL", f64::from(Propagate::BOTH.bits())),
        (b"REDIS_VERSION_NUM", f64::from(REDIS_VERSION_NUM)),
    ];
    for (name, n) in numbers {
        lua.push_number(n);
        lua.set_raw_field(-2, name);
    }
    lua.push_bytes(REDIS_VERSION.as_bytes());
    lua.set_raw_field(-2, b"REDIS_VERSION");
}

/// Pushes an error of ours, a table with `err`; a debugger's user is told.
fn push_logged_error(call: &mut Call<Server>, text: &str) {
    calls::log_error(call.host(), text.as_bytes());
    push_error(call, text.as_bytes());
}

/// An error of ours, raised.
fn raise_error(call: &mut Call<Server>, text: &str) -> Raise {
    push_logged_error(call, text);
    Raise::Top
}

/// Bytes that a command's arguments may have together; spans could tell twice as many.
const MAX_WORDS: usize = 1 << 31;
/// Bytes from which on their sum is looked at first.
const LARGE_WORDS: usize = 64 << 10;
/// Bytes that follow the last argument.
const WORD_TAIL: usize = 8;
const NO_ARGUMENTS: &str = "Please specify at least one argument for this redis lib call";
const NO_STRING: &str = "Lua redis lib command arguments must be strings or integers";

/// The arguments of the call as the words of a command, in buffers of the server's that come back by [`give_words`].
fn take_words(call: &mut Call<Server>) -> Result<(Vec<u8>, Vec<Span>), &'static str> {
    let n = call.top();
    if n == 0 {
        return Err(NO_ARGUMENTS);
    }
    let scripts = &mut call.host().scripts;
    let mut text = std::mem::take(&mut scripts.words);
    let mut spans = std::mem::take(&mut scripts.spans);
    text.clear();
    spans.clear();
    for i in 1..=n {
        let start = text.len();
        match call.look(i) {
            Value::String(word)
                if word.len() > text.capacity() - text.len()
                    && text.len() + word.len() > LARGE_WORDS
                    && !make_room(call, &mut text, i) =>
            {
                give_words(call, Vec::new(), spans);
                return Err(
                    "not enough memory for the arguments of a command called from a script",
                );
            }
            Value::String(word) => text.extend_from_slice(word),
            Value::Number(number) => push_number(&mut text, number),
            _ => {
                give_words(call, text, spans);
                return Err(NO_STRING);
            }
        }
        let (start, end) = (start as u32, text.len() as u32);
        spans.push(Span { start, end });
    }
    // The look-up of a short name reads a whole word.
    text.extend_from_slice(&[0; WORD_TAIL]);
    Ok((text, spans))
}

/// Room in `text` for the arguments from `first` on, at once: they are copied, all of them, though the machine may have each only
/// once. False: there may not be so much.
#[cold]
fn make_room(call: &Call<Server>, text: &mut Vec<u8>, first: i32) -> bool {
    let mut all = text.len();
    for i in first..=call.top() {
        all += match call.look(i) {
            Value::String(word) => word.len(),
            _ => LONG_STR_SIZE.max(FPCONV_SIZE),
        };
    }
    if all > MAX_WORDS || all > call.room() && call.lacks(all) {
        return false;
    }
    text.reserve_exact(all + WORD_TAIL - text.len());
    true
}

fn give_words(call: &mut Call<Server>, mut text: Vec<u8>, spans: Vec<Span>) {
    const KEPT: usize = 64 * 1024;
    if text.capacity() > KEPT {
        text = Vec::new();
    }
    let scripts = &mut call.host().scripts;
    (scripts.words, scripts.spans) = (text, spans);
}

fn push_number(text: &mut Vec<u8>, n: f64) {
    match double2ll(n) {
        Some(n) => text.extend_from_slice(ll2string(&mut [0; LONG_STR_SIZE], n)),
        None => {
            let mut buf = [0; FPCONV_SIZE];
            let len = fpconv_dtoa(n, &mut buf);
            text.extend_from_slice(&buf[..len]);
        }
    }
}

/// `redis.call`: the reply, or nil and the error that is to be raised.
fn call(call: &mut Call<Server>) -> Returned {
    let done = generic_command(call, false);
    Ok(reply_or_error(call, done))
}

/// `redis.call` whose reply is returned by the script: it may be passed on as it came.
fn last(call: &mut Call<Server>) -> Returned {
    let done = generic_command(call, true);
    Ok(reply_or_error(call, done))
}

/// The results, where the reply or the error is on top of the stack.
fn reply_or_error(call: &mut Call<Server>, done: bool) -> usize {
    if done {
        return 1;
    }
    call.push_nil();
    call.insert(-2);
    2
}

/// `redis.pcall`: the reply, or the error as a value.
fn pcall(call: &mut Call<Server>) -> Returned {
    generic_command(call, false);
    Ok(1)
}

/// Runs a command with the call's arguments; its reply, or the error (then false), is pushed (luaRedisGenericCommand). `last`: a
/// reply that may be passed on as it came is kept, and what is pushed stands for it.
#[inline]
fn generic_command(call: &mut Call<Server>, last: bool) -> bool {
    let (text, spans) = match take_words(call) {
        Ok(words) => words,
        Err(problem) => {
            push_logged_error(call, problem);
            return false;
        }
    };
    call.truncate(0);
    let args = Args::of_spans(&text, &spans);
    let debugged = call.host().scripts.debugger.is_some();
    if debugged {
        calls::log_command(call.host(), &args);
    }
    let done = match call.host().script_call(&args) {
        Err(problem) => {
            push_logged_error(call, &problem);
            call.push_bool(true);
            call.set_raw_field(-2, b"ignore_error_stats_update");
            false
        }
        Ok(id) => {
            let reply = call.host().take_script_reply();
            if last && !debugged && call.host().may_pass_on(reply.bytes()) {
                call.host().scripts.passed_on = Some(reply);
                call.push_passed_on();
                give_words(call, text, spans);
                return true;
            }
            let sorted = call.host().sorted_for_script(id, reply.bytes());
            let bytes = sorted.as_deref().unwrap_or(reply.bytes());
            let whole = push_reply(call, bytes).is_some();
            if !whole {
                call.truncate(0);
                push_error(call, b"the reply is larger than a script can take");
            }
            let is_error = !whole || bytes.first() == Some(&b'-');
            if debugged {
                calls::log_reply(call.host(), bytes);
            }
            call.host().give_script_reply(reply);
            !is_error
        }
    };
    give_words(call, text, spans);
    done
}

/// `redis.error_reply(text)`
fn error_reply(call: &mut Call<Server>) -> Returned {
    if call.top() != 1 || call.kind(1) != Kind::String {
        push_error(call, b"wrong number or type of arguments");
        return Ok(1);
    }
    let text = call.bytes(1).unwrap_or_default();
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let mut text = text[..end].to_vec();
    if text.first() != Some(&b'-') {
        text.insert(0, b'-');
    }
    calls::log_error(call.host(), &text);
    push_error(call, &text);
    Ok(1)
}

/// `redis.status_reply(text)`
fn status_reply(call: &mut Call<Server>) -> Returned {
    if call.top() != 1 || call.kind(1) != Kind::String {
        push_error(call, b"wrong number or type of arguments");
        return Ok(1);
    }
    call.push_table(0, 1);
    call.push_copy(1);
    call.set_raw_field(-2, b"ok");
    Ok(1)
}

/// `redis.sha1hex(text)`
fn sha1hex_of(call: &mut Call<Server>) -> Returned {
    if call.top() != 1 {
        return Err(raise_error(call, "wrong number of arguments"));
    }
    let sha = sha1hex(call.to_bytes(1).unwrap_or_default());
    call.push_bytes(&sha);
    Ok(1)
}

/// `redis.log(level, text, ...)`
fn log(call: &mut Call<Server>) -> Returned {
    let n = call.top();
    if n < 2 {
        return Err(raise_error(
            call,
            "redis.log() requires two arguments or more.",
        ));
    }
    let Some(level) = call.number(1) else {
        return Err(raise_error(
            call,
            "First argument must be a number (log level).",
        ));
    };
    let level = match to_integer(level) {
        0 => Level::Debug,
        1 => Level::Verbose,
        2 => Level::Notice,
        3 => Level::Warning,
        _ => return Err(raise_error(call, "Invalid debug level.")),
    };
    if !crate::base::log::enabled(level) {
        return Ok(0);
    }
    let mut text = Vec::new();
    for i in 2..=n {
        if let Some(word) = call.to_bytes(i) {
            if i != 2 {
                text.push(b' ');
            }
            // A line has no more, whatever the words come to together.
            let room = LOG_MAX_LEN - LOG_MAX_LEN.min(text.len());
            text.extend_from_slice(&word[..word.len().min(room)]);
        }
    }
    crate::server_log!(level, "{}", String::from_utf8_lossy(&text));
    Ok(0)
}

/// The one argument, as a whole number.
fn one_number(call: &mut Call<Server>, problem: &str) -> Result<i64, Raise> {
    if call.top() != 1 {
        return Err(raise_error(call, problem));
    }
    Ok(to_integer(call.number(1).unwrap_or(0.0)))
}

/// `redis.setresp(version)`
fn setresp(call: &mut Call<Server>) -> Returned {
    match one_number(call, "redis.setresp() requires one argument.")? {
        version @ (2 | 3) => {
            call.host().set_script_resp(version as u8);
            Ok(0)
        }
        _ => Err(raise_error(call, "RESP version must be 2 or 3.")),
    }
}

/// `redis.set_repl(where)`
fn set_repl(call: &mut Call<Server>) -> Returned {
    let bits = one_number(call, "redis.set_repl() requires one argument.")?;
    let target = u8::try_from(bits).ok().and_then(Propagate::from_bits);
    let Some(target) = target else {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(raise_error(call, text));
    };
    if let Some(run) = &mut call.host().scripts.run {
        run.target = target;
    }
    Ok(0)
}

/// `redis.acl_check_cmd(command, ...)`: whether the script's caller may.
fn acl_check_cmd(call: &mut Call<Server>) -> Returned {
    let (text, spans) = match take_words(call) {
        Ok(words) => words,
        Err(problem) => return Err(raise_error(call, problem)),
    };
    let args = Args::of_spans(&text, &spans);
    let allowed = call.host().acl_check_cmd_of_script(&args);
    give_words(call, text, spans);
    let Some(allowed) = allowed else {
        let problem = "Invalid command passed to redis.acl_check_cmd()";
        return Err(raise_error(call, problem));
    };
    call.push_bool(allowed);
    Ok(1)
}

/// `redis.replicate_commands()`: effects are what is replicated.
fn replicate_commands(call: &mut Call<Server>) -> Returned {
    let replicated = call.host().replicate_script_effects();
    call.push_bool(replicated);
    Ok(1)
}

/// What `loadstring` and `load` compile with: a text and its source's name give the function, or nil and the error.
/// Bytes that the machine may take for each byte of a text that it compiles; nothing fails while it does.
const COMPILED_PER_BYTE: usize = 12;

fn compile_text(call: &mut Call<Server>) -> Returned {
    let code = call.bytes(1).unwrap_or_default();
    let needs = code.len().saturating_mul(COMPILED_PER_BYTE);
    if needs > call.room() && call.lacks(needs) {
        return Err(Raise::text(NOT_ENOUGH_MEMORY));
    }
    let code = call.bytes(1).unwrap_or_default().to_vec();
    let name = call.bytes(2).unwrap_or(b"=?").to_vec();
    let end = memchr::memchr(0, &name).unwrap_or(name.len());
    let name = CString::new(&name[..end]).unwrap_or_default();
    match compile_checked(call, &code, &name) {
        Ok(()) => Ok(1),
        Err(problem) => {
            call.push_nil();
            call.push_bytes(&problem);
            Ok(2)
        }
    }
}

fn is_deep(call: &mut Call<Server>) -> Returned {
    let deep = call.is_deep();
    call.push_bool(deep);
    Ok(1)
}

fn is_over(call: &mut Call<Server>) -> Returned {
    let over = call.is_killed();
    call.push_bool(over);
    Ok(1)
}

fn note_environment(call: &mut Call<Server>) -> Returned {
    call.host().scripts.environment_changed = true;
    Ok(0)
}
