//! Reports of what must not happen: a fatal signal, a failed assertion, a panic, an event loop that is stuck (the report half
//! of debug.c). The texts are those that people and tools look for in the log.
//!
//! Invariants: a report never changes what it reports on: the process ends by the signal that hit it, a stuck loop goes on. A
//! report that hangs (it was the allocator that crashed) is cut short by an alarm, so a supervisor gets its process' end; one
//! that fails itself is the end. So what is least likely to fail comes first.

use std::time::Duration;

use crate::base::alloc;
use crate::base::log::{self, Form, Level};
use crate::base::split_args::sdscatrepr;
use crate::base::sys::{self, CrashCause, Exhibit, Registers};
use crate::config::fields::Config;
use crate::server::execution::args::Args;
use crate::server::{REDIS_VERSION, Server};
use crate::server_log;

/// Bytes of an argument that are shown.
const SHOWN_ARGUMENT: usize = 128;
/// Arguments that are shown.
const SHOWN_ARGUMENTS: usize = 128;
/// Words of the stack that are shown.
const SHOWN_STACK: usize = 16;
/// Bytes of code that are shown before and from the instruction on.
const SHOWN_CODE: usize = 64;
/// How long the memory is tested.
const MEMORY_TEST: Duration = Duration::from_secs(5);

/// Reports fatal signals and panics as the configuration has it (setupSignalHandlers, removeSignalHandlers).
pub(crate) fn setup(config: &Config) {
    alloc::keep_reserve();
    let full = config.crash_log_enabled;
    sys::set_exit_on_panic(config.use_exit_on_panic);
    sys::set_crash_handlers(full.then_some(crash_report));
    if full {
        sys::allow_core_dumps();
    }
    install_panic_hook(full);
}

/// A panic is a bug: it is reported like a failed assertion upstream, and the process ends (_serverAssert).
fn install_panic_hook(full: bool) {
    std::panic::set_hook(Box::new(move |info| {
        sys::end_with_report(|| {
            bug_report_start();
            server_log!(Level::Warning, "=== ASSERTION FAILED ===");
            // The place and the text have a line each.
            log::server_log_raw(Level::Warning, Form::Line, format!("==> {info}").as_bytes());
            if full {
                stack_trace(None);
                print_crash_report();
            }
            bug_report_end();
        })
    }));
}

/// Ends the process because it cannot go on, with a report (_serverPanic).
pub(crate) fn server_panic(config: &Config, text: &str) -> ! {
    let full = config.crash_log_enabled;
    sys::end_with_report(|| {
        bug_report_start();
        server_log!(
            Level::Warning,
            "------------------------------------------------"
        );
        server_log!(
            Level::Warning,
            "!!! Software Failure. Press left mouse button to continue"
        );
        server_log!(Level::Warning, "Guru Meditation: {}", text);
        if full {
            stack_trace(None);
            print_crash_report();
        }
        bug_report_end();
    })
}

/// A fatal signal (sigsegvHandler).
fn crash_report(cause: &CrashCause) {
    let signal = cause.signal;
    let registers = &cause.registers;
    // An allocation that failed is what aborts a program.
    let own = cause
        .sender
        .is_none_or(|(pid, _)| pid.unsigned_abs() == std::process::id());
    let out_of_memory = alloc::failed_request().filter(|_| own && signal == libc::SIGABRT);
    if let Some(size) = out_of_memory {
        alloc::release_reserve();
        server_log!(Level::Warning, "Out Of Memory allocating {} bytes!", size);
    }
    bug_report_start();
    if let Some(size) = out_of_memory {
        server_log!(
            Level::Warning,
            "Guru Meditation: Redis aborting for OUT OF MEMORY. Allocating {} bytes!",
            size
        );
    }
    server_log!(
        Level::Warning,
        "Redis {} crashed by signal: {}, si_code: {}",
        REDIS_VERSION,
        signal,
        cause.code
    );
    if signal == libc::SIGSEGV || signal == libc::SIGBUS {
        server_log!(Level::Warning, "Accessing address: {:#x}", cause.address);
    }
    if let Some((pid, uid)) = cause.sender {
        server_log!(Level::Warning, "Killed by PID: {}, UID: {}", pid, uid);
    }
    if let Some(at) = registers.instruction {
        server_log!(
            Level::Warning,
            "Crashed running the instruction at: {:#x}",
            at
        );
    }
    if out_of_memory.is_none() {
        stack_trace(registers.instruction);
    }
    log_registers(registers);
    print_crash_report();
    if out_of_memory.is_some() {
        // To find names for it takes more memory than all the rest: if that is too much, the rest has been told.
        stack_trace(registers.instruction);
    } else if let Some(at) = registers.instruction {
        dump_code_around(at);
    }
    bug_report_end();
}

/// What the server was doing (printCrashReport).
fn print_crash_report() {
    if !sys::show(Exhibit::State, STATE) {
        return raw(
            b"\nNo INFO and no client list: another thread than the server's own has failed.\n",
        );
    }
    sys::show(Exhibit::Request, 0);
    sys::show(Exhibit::State, SETTINGS);
}

/// Parts of the server's state: INFO and the clients; then what is less likely to tell.
const STATE: usize = 0;
const SETTINGS: usize = 1;

/// The arguments of the request that is running (the second half of logCurrentClient), as far as they are no secrets. What
/// ACL and CONFIG are given may be passwords.
pub(in crate::server) fn log_arguments(args: &Args) {
    raw(&shown_arguments(args, log::hides_user_data()));
}

fn shown_arguments(args: &Args, hide: bool) -> Vec<u8> {
    let mut text = format!("argc: '{}'\n", args.len()).into_bytes();
    let command = args.get(0).unwrap_or_default();
    let has_secrets =
        command.eq_ignore_ascii_case(b"acl") || command.eq_ignore_ascii_case(b"config");
    for j in 0..args.len().min(SHOWN_ARGUMENTS) {
        let Some(arg) = args.get(j) else {
            break;
        };
        text.extend_from_slice(format!("argv[{j}]: '").as_bytes());
        if hide && j > 0 || has_secrets && j > 1 {
            text.extend_from_slice(b"*redacted*");
        } else {
            sdscatrepr(&mut text, &arg[..arg.len().min(SHOWN_ARGUMENT)]);
        }
        text.extend_from_slice(b"'\n");
        if arg.eq_ignore_ascii_case(b"auth") || arg.eq_ignore_ascii_case(b"auth2") {
            break;
        }
    }
    text
}

/// The registers, and the top of the stack (logRegisters, logStackContent).
fn log_registers(registers: &Registers) {
    raw(b"\n------ REGISTERS ------\n");
    let mut text = String::from("\n");
    for (i, (name, value)) in registers.iter().enumerate() {
        text += &format!(
            "{name:<3}:{value:016x}{}",
            if i % 2 == 0 { ' ' } else { '\n' }
        );
    }
    if text.len() == 1 {
        text = "  Dumping of registers not supported for this OS/arch".into();
    }
    // One message of several lines.
    log::server_log_raw(
        Level::Warning,
        Form::Line,
        text.trim_end_matches([' ']).as_bytes(),
    );
    let Some(sp) = registers.stack else {
        return;
    };
    if log::hides_user_data() {
        server_log!(
            Level::Notice,
            "hide-user-data-from-log is on, skip logging stack content to avoid spilling user data."
        );
        return;
    }
    let mut bytes = [0; 8 * SHOWN_STACK];
    let had = sys::peek(sp, &mut bytes);
    for (i, word) in bytes[..had].chunks_exact(8).enumerate().rev() {
        let value = word.try_into().map_or(0, u64::from_ne_bytes);
        let address = sp.wrapping_add(8 * i);
        server_log!(Level::Warning, "({:016x}) -> {:016x}", address, value);
    }
}

/// The code that crashed, to be disassembled (dumpCodeAroundEIP).
fn dump_code_around(at: usize) {
    let Some(place) = sys::code_place(at) else {
        return;
    };
    let (name, from) = match &place.symbol {
        Some((name, start)) if at.wrapping_sub(*start) < 1 << 13 => (name.as_str(), *start),
        _ => ("?", at.saturating_sub(SHOWN_CODE)),
    };
    raw(format!(
        "\n------ DUMPING CODE AROUND EIP ------\nSymbol: {name} (base: {from:#x})\nModule: {} (base {:#x})\n\
         $ xxd -r -p /tmp/dump.hex /tmp/dump.bin\n\
         $ objdump --adjust-vma={from:#x} -D -b binary -m i386:x86-64 /tmp/dump.bin\n------\n",
        place.module, place.base
    )
    .as_bytes());
    let mut code = vec![0; at - from + SHOWN_CODE];
    let had = sys::peek(from, &mut code);
    server_log!(
        Level::Warning,
        "dump of function (hexdump of {} bytes):",
        had
    );
    for line in code[..had].chunks(32) {
        let hex: String = line.iter().map(|b| format!("{b:02x}")).collect();
        raw(format!("{hex}\n").as_bytes());
    }
    raw(b"\n");
}

/// Tests the memory: what crashed may be the machine (doFastMemoryTest).
fn do_fast_memory_test() {
    raw(b"\n------ FAST MEMORY TEST ------\n");
    let test = sys::fast_memory_test(MEMORY_TEST, |progress| match progress {
        sys::Progress::Region { start, bytes } => raw(format!(
            "*** Preparing to test memory region {start:x} ({bytes} bytes)\n"
        )
        .as_bytes()),
        sys::Progress::Tested { errors: true } => raw(b".E"),
        sys::Progress::Tested { errors: false } => raw(b".O"),
    });
    match test {
        None => raw(b"Not tested: somebody else runs in this memory.\n"),
        Some(t) if t.errors > 0 => {
            raw(b"\n!!! MEMORY ERROR DETECTED! Check your memory ASAP !!!\n");
        }
        Some(t) => {
            let all = if t.cut { ", then time was up" } else { "" };
            raw(format!(
                "\nFast memory test PASSED, however your memory can still be broken. Please run a memory test for several \
                 hours if possible. ({} bytes in use tested{all})\n",
                t.bytes
            )
            .as_bytes());
        }
    }
}

fn bug_report_start() {
    raw(b"\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
}

fn bug_report_end() {
    raw(
        b"\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n\
          \x20      Please report the crash by opening an issue of Aedile.\n\n",
    );
}

fn raw(text: &[u8]) {
    log::server_log_raw(Level::Warning, Form::Raw, text);
}

/// Where this thread is, and what called that; `at` is the instruction that a signal interrupted (logStackTrace).
fn stack_trace(at: Option<usize>) {
    raw(b"\n------ STACK TRACE ------\n");
    if let Some(at) = at {
        raw(format!("EIP:\n{at:#x}\n").as_bytes());
    }
    raw(b"\nBacktrace:\n");
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    for line in trace.lines() {
        let mut text = line.to_string();
        if let Some(c) = c_name(line) {
            text.push_str(" (");
            text.push_str(&c);
            text.push(')');
        }
        text.push('\n');
        raw(text.as_bytes());
    }
}

/// The name that the C sources have for the function of this frame: people search for it, and so do scripts.
fn c_name(frame: &str) -> Option<String> {
    let (number, text) = frame.trim_start().split_once(": ")?;
    number.parse::<u32>().ok()?;
    let name = match text.split('<').next() {
        // With line tables only, a frame has a function's bare name.
        Some(bare) if !bare.is_empty() && !bare.contains("::") => bare,
        _ => text[text.find("aedile::")?..]
            .split("::")
            .take_while(|part| !part.starts_with('{'))
            .last()?,
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.contains('_') || name.starts_with('_') || !name.chars().all(plain) {
        return None;
    }
    let mut c = String::new();
    for (i, part) in name.split('_').enumerate() {
        let mut letters = part.chars();
        match letters.next() {
            Some(first) if i > 0 => {
                c.push(first.to_ascii_uppercase());
                c.push_str(letters.as_str());
            }
            _ => c.push_str(part),
        }
    }
    Some(c)
}

/// The loop is stuck: where (watchdogSignalHandler). Runs in a copy of the process.
fn watchdog_report() {
    raw(b"\n--- WATCHDOG TIMER EXPIRED ---\n");
    stack_trace(None);
    raw(b"--------\n");
}

impl Server {
    /// Shows a part of the state in a report (logServerInfo, logCurrentClient, logModulesInfo, logConfigDebugInfo). It may be
    /// half changed.
    pub(in crate::server) fn show_state(&mut self, part: usize) {
        if part == STATE {
            raw(b"\n------ INFO OUTPUT ------\n");
            raw(self.info_for_crash_report().as_bytes());
            raw(b"\n------ CLIENT LIST OUTPUT ------\n");
            let client = |cid| {
                let mut line = self.client_log_string(cid);
                line.push('\n');
                raw(line.as_bytes());
            };
            self.clients.iter().for_each(|c| client(c.cid));
            if let Some(cid) = self.exec.call.client {
                raw(b"\n------ CURRENT CLIENT INFO ------\n");
                client(cid);
            }
            return;
        }
        raw(b"\n------ MODULES INFO OUTPUT ------\n");
        raw(b"\n------ CONFIG DEBUG OUTPUT ------\n");
        raw(&self.config_for_crash_report());
        if self.config.crash_memcheck_enabled {
            do_fast_memory_test();
        }
    }

    /// Starts or stops the watchdog, as `watchdog-period` has it (applyWatchdogPeriod). A period so short that the cron cannot
    /// keep up with it is raised.
    pub(crate) fn apply_watchdog_period(&mut self) {
        if self.config.watchdog_period == 0 {
            return sys::stop_watchdog();
        }
        let least = 2 * (1000 / self.config.hz.max(1));
        self.config.watchdog_period = self.config.watchdog_period.max(least);
        sys::start_watchdog(watchdog_report);
        self.watchdog_schedule_signal();
    }

    /// The loop turns: the watchdog waits its whole period again (watchdogScheduleSignal). Called by the cron.
    #[inline]
    pub(crate) fn watchdog_schedule_signal(&self) {
        if self.config.watchdog_period != 0 {
            sys::schedule_alarm(self.config.watchdog_period.unsigned_abs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::execution::args::OwnedArgs;

    fn shown(line: &str, hide: bool) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let text = shown_arguments(&OwnedArgs::from_slices(&words).as_args(), hide);
        String::from_utf8(text).expect("ASCII")
    }

    #[test]
    fn arguments_that_may_be_secret_are_not_shown() {
        assert_eq!(
            shown("set k sesame", false),
            "argc: '3'\nargv[0]: '\"set\"'\nargv[1]: '\"k\"'\nargv[2]: '\"sesame\"'\n"
        );
        for line in [
            "ACL SETUSER u >sesame",
            "config set requirepass sesame",
            "AUTH sesame",
            "HELLO 3 AUTH u sesame",
            "MIGRATE h 1 k 0 1 AUTH2 u sesame",
        ] {
            let text = shown(line, false);
            let name = line.split(' ').next().unwrap_or_default();
            assert!(text.contains(name) && !text.contains("sesame"), "{text}");
        }
        let hidden = shown("set k sesame", true);
        assert!(hidden.contains("set") && !hidden.contains("\"k\"") && !hidden.contains("sesame"));
    }

    #[test]
    fn frames_have_upstreams_names() {
        let c = |f: &str| c_name(f).unwrap_or_default();
        assert_eq!(
            c("  7: aedile::commands::debug::debug_command"),
            "debugCommand"
        );
        assert_eq!(
            c("  9: aedile::server::exec::<impl aedile::server::Server>::process_command"),
            "processCommand"
        );
        assert_eq!(
            c("  3: aedile::server::cron::server_cron::{{closure}}"),
            "serverCron"
        );
        assert_eq!(c("   8: debug_command"), "debugCommand");
        assert_eq!(
            c("  16: process_events<aedile::server::Server>"),
            "processEvents"
        );
        assert_eq!(c("  26: _start"), "");
        assert_eq!(c("   4: __GI___clock_nanosleep"), "");
        assert_eq!(c("  3: aedile::ae::main"), "");
        assert_eq!(c("  4: std::sys::backtrace::short_backtrace"), "");
        assert_eq!(c("             at ./src/server/exec.rs:12:3"), "");
    }
}
