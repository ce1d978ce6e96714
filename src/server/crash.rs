//! Reports of what must not happen: a fatal signal, a failed assertion, a panic, an event loop that is stuck (the report half
//! of debug.c). The texts are those that people and tools look for in the log.
//!
//! Invariants: a report never changes what it reports on: the process ends by the signal that hit it, a stuck loop goes on. A
//! report that hangs (it was the allocator that crashed) is cut short by an alarm, so a supervisor gets its process' end.

use crate::base::log::{self, Form, Level};
use crate::base::sys::{self, CrashCause};
use crate::config::fields::Config;
use crate::server::{REDIS_VERSION, Server};
use crate::server_log;

/// Reports fatal signals and panics as the configuration has it (setupSignalHandlers, removeSignalHandlers).
pub fn setup(config: &Config) {
    sys::set_exit_on_panic(config.use_exit_on_panic);
    if config.crash_log_enabled {
        sys::set_crash_handlers(Some(crash_report));
        sys::allow_core_dumps();
        install_panic_hook();
    } else {
        sys::set_crash_handlers(None);
        drop(std::panic::take_hook());
    }
}

/// A panic is a bug: it is reported like a failed assertion upstream, and the process ends (_serverAssert).
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        sys::bound_report();
        bug_report_start();
        server_log!(Level::Warning, "=== ASSERTION FAILED ===");
        server_log!(Level::Warning, "==> {}", info);
        stack_trace();
        bug_report_end();
        sys::end_after_panic();
    }));
}

/// Ends the process because it cannot go on, with a report (_serverPanic).
pub fn server_panic(config: &Config, text: &str) -> ! {
    sys::bound_report();
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
    if config.crash_log_enabled {
        stack_trace();
    }
    bug_report_end();
    sys::end_after_panic()
}

/// A fatal signal (sigsegvHandler).
fn crash_report(cause: &CrashCause) {
    let signal = cause.signal;
    bug_report_start();
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
    stack_trace();
    bug_report_end();
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

fn stack_trace() {
    raw(b"\n------ STACK TRACE ------\n");
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
    stack_trace();
    raw(b"--------\n");
}

impl Server {
    /// Starts or stops the watchdog, as `watchdog-period` has it (applyWatchdogPeriod). A period so short that the cron cannot
    /// keep up with it is raised.
    pub fn apply_watchdog_period(&mut self) {
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
    pub fn watchdog_schedule_signal(&self) {
        if self.config.watchdog_period != 0 {
            sys::schedule_alarm(self.config.watchdog_period.unsigned_abs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
