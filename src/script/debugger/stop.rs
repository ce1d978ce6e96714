//! Where a script stops, and what its user asks for meanwhile.

use crate::base::clock::monotonic_us;
use crate::script::convert::error_info;
use crate::script::debugger::calls::{log_command, log_error, log_reply, session};
use crate::script::debugger::show;
use crate::script::debugger::wire::{ReadEnd, atoi};
use crate::script::lua::{Call, Kind, Verdict};
use crate::script::machine::{compile_checked, compile_with_frames};
use crate::server::Server;
use crate::server::execution::args::Args;
use crate::wire::resp::Span;

/// What a script that runs for too long ends with when nobody is there to end it.
const LATE_AND_ALONE: &str = "timeout during Lua debugging with client closing connection";
/// Milliseconds that a script may run without a stop, when the configuration names none.
const TIME_LIMIT_MS: i64 = 5000;

const HELP: &[&str] = &[
    "Redis Lua debugger help:",
    "[h]elp               Show this help.",
    "[s]tep               Run current line and stop again.",
    "[n]ext               Alias for step.",
    "[c]ontinue           Run till next breakpoint.",
    "[l]ist               List source code around current line.",
    "[l]ist [line]        List source code around [line].",
    "                     line = 0 means: current position.",
    "[l]ist [line] [ctx]  In this form [ctx] specifies how many lines",
    "                     to show before/after [line].",
    "[w]hole              List all source code. Alias for 'list 1 1000000'.",
    "[p]rint              Show all the local variables.",
    "[p]rint <var>        Show the value of the specified variable.",
    "                     Can also show global vars KEYS and ARGV.",
    "[b]reak              Show all breakpoints.",
    "[b]reak <line>       Add a breakpoint to the specified line.",
    "[b]reak -<line>      Remove breakpoint from the specified line.",
    "[b]reak 0            Remove all breakpoints.",
    "[t]race              Show a backtrace.",
    "[e]val <code>        Execute some Lua code (in a different callframe).",
    "[r]edis <cmd>        Execute a Redis command.",
    "[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.",
    "                     Specifying zero as <len> means unlimited.",
    "[a]bort              Stop the execution of the script. In sync",
    "                     mode dataset changes will be retained.",
    "",
    "Debugger functions you can call from Lua scripts:",
    "redis.debug()        Produce logs in the debugger console.",
    "redis.breakpoint()   Stop execution like if there was a breakpoint in the",
    "                     next line of code.",
];

/// What a stop ends with.
enum Next {
    GoOn,
    /// The client has gone.
    Alone,
    End(&'static str),
}

fn log(call: &mut Call<Server>, entry: impl Into<Vec<u8>>) {
    if let Some(s) = session(call.host()) {
        s.log(entry);
    }
}

fn is_of_script(source: &[u8]) -> bool {
    source == b"@user_script"
}

/// How many calls up the nearest function of the script is.
fn script_level(call: &Call<Server>) -> Option<i32> {
    let mut level = 0;
    while let Some(place) = call.place(level) {
        if place.is_some_and(|(source, _)| is_of_script(&source)) {
            return Some(level);
        }
        level += 1;
    }
    None
}

/// A line of whatever runs in the machine is about to run (luaLdbLineHook).
pub(in crate::script) fn line_hook(call: &mut Call<Server>, line: Option<u32>) -> Verdict {
    let place = match line {
        Some(_) => call.place(0).flatten(),
        // Whatever it is that takes long, the script has called it.
        None => script_level(call).and_then(|level| call.place(level).flatten()),
    };
    let (thread, at) = (call.thread(), call.frame());
    let limit_ms = match call.host().config.busy_reply_threshold {
        0 => TIME_LIMIT_MS,
        ms => ms,
    };
    let Some(s) = session(call.host()) else {
        return Verdict::Continue;
    };
    if line.is_some_and(|line| s.is_return(thread, at, line)) {
        return Verdict::Continue;
    }
    let ms = monotonic_us().saturating_sub(s.running_since_us) / 1000;
    let mut is_late = line.is_none() && i64::try_from(ms).unwrap_or(i64::MAX) >= limit_ms;
    let Some((_, current)) = place.filter(|(source, _)| is_of_script(source)) else {
        // There is no line to stop at.
        if is_late && s.wire.has_ended() {
            s.end = Some(LATE_AND_ALONE);
            return Verdict::Kill;
        }
        return Verdict::Continue;
    };
    s.current = i64::from(current);
    let at_breakpoint = s.breakpoint_called || s.breakpoints.contains(&s.current);
    if s.step || at_breakpoint {
        is_late = false;
    } else if !is_late {
        return Verdict::Continue;
    }
    let reason = match () {
        () if s.breakpoint_called => "redis.breakpoint() called",
        () if at_breakpoint => "break point",
        () if is_late => "timeout reached, infinite loop?",
        () => "step over",
    };
    s.step = false;
    s.breakpoint_called = false;
    s.log(format!("* Stopped at {current}, stop reason = {reason}"));
    s.log_source_line(i64::from(current));
    s.wire.send_logs();
    let next = repl(call);
    let Some(s) = session(call.host()) else {
        return Verdict::Continue;
    };
    s.running_since_us = monotonic_us();
    let end = match next {
        Next::GoOn => return Verdict::Continue,
        Next::Alone if !is_late => return Verdict::Continue,
        Next::Alone => LATE_AND_ALONE,
        Next::End(text) => text,
    };
    s.end = Some(end);
    Verdict::Kill
}

/// Answers commands until one lets the script go on (ldbRepl).
fn repl(call: &mut Call<Server>) -> Next {
    loop {
        let Some(s) = session(call.host()) else {
            return Next::Alone;
        };
        let argv = match s.wire.read_command() {
            Ok(argv) => argv,
            Err(ReadEnd::Refused(text)) => return Next::End(text),
            Err(ReadEnd::Gone) => {
                s.step = false;
                s.breakpoints.clear();
                return Next::Alone;
            }
        };
        let Some(name) = argv.first().map(|n| n.to_ascii_lowercase()) else {
            return Next::End("protocol error");
        };
        match &name[..] {
            b"s" | b"step" | b"n" | b"next" => {
                s.step = true;
                return Next::GoOn;
            }
            b"c" | b"continue" => return Next::GoOn,
            b"a" | b"abort" => return Next::End("script aborted for user request"),
            b"h" | b"help" => HELP.iter().for_each(|line| s.log(*line)),
            b"m" | b"maxlen" => s.change_max_len(&argv),
            b"b" | b"break" => s.change_breakpoints(&argv),
            b"w" | b"whole" => s.list(0, 0),
            b"l" | b"list" => {
                let number = |i: usize| argv.get(i).map(|word| atoi(word));
                let around = number(1).filter(|n| *n > 0).unwrap_or(s.current);
                s.list(around, number(2).unwrap_or(5));
            }
            b"t" | b"trace" => trace(call),
            b"e" | b"eval" => eval(call, &argv),
            b"r" | b"redis" if argv.len() > 1 => redis(call, &argv),
            b"p" | b"print" => match &argv[..] {
                [_, name] => print(call, name),
                _ => print_all(call),
            },
            _ => s.log("<error> Unknown Redis Lua debugger command or wrong number of arguments."),
        }
        if let Some(s) = session(call.host()) {
            s.wire.send_logs();
        }
    }
}

// Commands that look at the machine ------------------------------------------------------------------------------------------

/// Logs the value on top of the stack, behind `prefix`, and takes it (ldbLogStackValue).
fn log_top(call: &mut Call<Server>, prefix: &[u8]) {
    let limit = session(call.host()).map_or(0, |s| s.limit());
    let mut entry = prefix.to_vec();
    show::value(call, -1, &mut entry, limit);
    call.pop(1);
    if let Some(s) = session(call.host()) {
        s.log_with_max_len(entry);
    }
}

/// `print <var>`: the nearest variable of that name (ldbPrint).
fn print(call: &mut Call<Server>, name: &[u8]) {
    let mut level = 0;
    while let Some(place) = call.place(level) {
        // Not those of our own Lua code.
        let of_script = place.is_some_and(|(source, _)| !source.starts_with(b"="));
        let mut n = 1;
        while of_script && let Some(found) = call.push_local(level, n) {
            if found == name {
                return log_top(call, b"<value> ");
            }
            call.pop(1);
            n += 1;
        }
        level += 1;
    }
    let is_words = matches!(name, b"KEYS" | b"ARGV");
    if is_words && call_text(call, &[b"return ", name].concat()).is_ok() {
        return log_top(call, b"<value> ");
    }
    log(call, "No such variable.");
}

/// `print`: all variables of the function that has stopped (ldbPrintAll).
fn print_all(call: &mut Call<Server>) {
    let level = script_level(call).unwrap_or(0);
    let (mut n, mut some) = (1, false);
    while let Some(name) = call.push_local(level, n) {
        n += 1;
        if name == b"(*temporary)" {
            call.pop(1);
            continue;
        }
        some = true;
        log_top(call, &[b"<value> ", &name[..], b" = "].concat());
    }
    if !some {
        log(call, "No local variables in the current context.");
    }
}

/// `trace` (ldbTrace)
fn trace(call: &mut Call<Server>) {
    let mut level = 0;
    while let Some(place) = call.place(level) {
        if let Some((_, line)) = place.filter(|(source, _)| is_of_script(source)) {
            let which = if level == 0 { "In " } else { "From " };
            let name = call.function_name(level);
            let name = name.as_deref().unwrap_or(b"top level");
            log(call, [which.as_bytes(), name, b":"].concat());
            if let Some(s) = session(call.host()) {
                s.log_source_line(i64::from(line));
            }
        }
        level += 1;
    }
}

/// Runs `code`. Its first result, or nil, is pushed; the error is a text.
fn call_text(call: &mut Call<Server>, code: &[u8]) -> Result<(), Vec<u8>> {
    const NAME: &std::ffi::CStr = c"@ldb_eval";
    let top = call.top();
    let value = [b"return ", code].concat();
    // So that an error is told with this code's place.
    if compile_with_frames(call, &value, NAME).is_err() {
        compile_checked(call, code, NAME)?;
    }
    let done = call.call_lua(0);
    match done {
        Ok(0) => call.push_nil(),
        Ok(_) => call.truncate(top + 1),
        Err(_) => {
            let text = match call.kind(-1) {
                Kind::Table => error_info(call, -1).text,
                _ => call.to_bytes(-1).map(<[u8]>::to_vec),
            };
            call.truncate(top);
            return Err(text.unwrap_or_else(|| b"(error object is not a string)".to_vec()));
        }
    }
    Ok(())
}

/// `eval <code>` (ldbEval)
fn eval(call: &mut Call<Server>, argv: &[Vec<u8>]) {
    match call_text(call, &argv[1..].join(&b' ')) {
        Ok(()) => log_top(call, b"<retval> "),
        Err(text) => log(call, [b"<error> ", &text[..]].concat()),
    }
}

/// `redis <cmd>`: a command of the script's, logged as when it is stepped over (ldbRedis).
fn redis(call: &mut Call<Server>, argv: &[Vec<u8>]) {
    let server = call.host();
    let (mut text, mut spans) = (Vec::new(), Vec::new());
    for word in &argv[1..] {
        let start = text.len() as u32;
        text.extend_from_slice(word);
        spans.push(Span {
            start,
            end: text.len() as u32,
        });
    }
    // The look-up of a short name reads a whole word.
    text.extend_from_slice(&[0; 8]);
    let args = Args::of_spans(&text, &spans);
    set_step(server, true);
    log_command(server, &args);
    match server.script_call(&args) {
        Err(problem) => log_error(server, problem.as_bytes()),
        Ok(_) => {
            let reply = server.take_script_reply();
            log_reply(server, reply.bytes());
            server.give_script_reply(reply);
        }
    }
    set_step(server, false);
}

fn set_step(server: &mut Server, on: bool) {
    if let Some(s) = session(server) {
        s.step = on;
    }
}
