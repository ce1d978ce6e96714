//! The log: one line a message, to a file, to standard output, and to syslog if asked.
//!
//! This is process-wide state, on purpose, and besides the allocator the only such: a message can come from any floor
//! and from any thread. What is kept: the threshold, the role character, the UTC offset, the form of lines and of their times,
//! whether users' data is hidden, the file's name, the syslog hook.
//!
//! Invariants: logging never panics, never fails visibly, and formats nothing below the threshold (one relaxed load says
//! so). The file is opened for every line, so it can be moved away at any time. A line is written by one `write`. A
//! forked child can log: no lock is held that a thread of the parent could hold for writing, if only the thread that forks
//! changes the destination.
//! Must not know: who logs; the time zone database and syslog (the lead of `base/sys` sets an offset and a hook).

mod line;

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

pub(crate) use line::{Audit, Format, Level, Role, Timestamp};
use line::{Line, MONTHS, civil_from_days};

use super::clock::ustime;
use super::sys;

/// Messages are cut to this many bytes, less one (server.h).
pub(crate) const LOG_MAX_LEN: usize = 1024;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With process id, time and level in front, and a newline behind.
    Line,
    /// As it is (upstream's LL_RAW).
    Raw,
}

/// Hands a message to syslog: the level and the text without prefix and newline.
pub(crate) type SyslogHook = fn(Level, &[u8]);

static VERBOSITY: AtomicU8 = AtomicU8::new(Level::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Master as u8);
static UTC_OFFSET: AtomicI32 = AtomicI32::new(0);
static FORMAT: AtomicU8 = AtomicU8::new(Format::Legacy as u8);
static TIMESTAMP: AtomicU8 = AtomicU8::new(Timestamp::Legacy as u8);
static HIDE_USER_DATA: AtomicBool = AtomicBool::new(false);
static DESTINATION: RwLock<Destination> = RwLock::new(Destination {
    file: None,
    syslog: None,
});

struct Destination {
    /// `None` is standard output.
    file: Option<PathBuf>,
    syslog: Option<SyslogHook>,
}

/// Sets the threshold: messages below `level` are dropped.
pub(crate) fn set_verbosity(level: Level) {
    VERBOSITY.store(level as u8, Ordering::Relaxed);
}

/// Whether a message of `level` would be logged.
#[inline]
pub(crate) fn enabled(level: Level) -> bool {
    level as u8 >= VERBOSITY.load(Ordering::Relaxed)
}

/// Sets the role that lines show. A forked child sets its own.
pub(crate) fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

fn role() -> Role {
    [Role::Child, Role::Replica, Role::Sentinel]
        .into_iter()
        .find(|r| *r as u8 == ROLE.load(Ordering::Relaxed))
        .unwrap_or(Role::Master)
}

/// Sets what to add to UTC for local time, in seconds; to be set again when daylight saving time begins or ends.
pub(crate) fn set_utc_offset(seconds: i32) {
    UTC_OFFSET.store(seconds, Ordering::Relaxed);
}

/// Sets what lines and their times look like.
pub(crate) fn set_format(format: Format, timestamp: Timestamp) {
    FORMAT.store(format as u8, Ordering::Relaxed);
    TIMESTAMP.store(timestamp as u8, Ordering::Relaxed);
}

fn format() -> Format {
    [Format::Legacy, Format::Logfmt, Format::Json]
        .into_iter()
        .find(|f| *f as u8 == FORMAT.load(Ordering::Relaxed))
        .unwrap_or(Format::Legacy)
}

fn timestamp() -> Timestamp {
    [
        Timestamp::Legacy,
        Timestamp::Iso8601,
        Timestamp::Milliseconds,
    ]
    .into_iter()
    .find(|t| *t as u8 == TIMESTAMP.load(Ordering::Relaxed))
    .unwrap_or(Timestamp::Legacy)
}

/// Sets whether messages leave out what users have sent (`hide-user-data-from-log`).
pub(crate) fn set_hide_user_data(hide: bool) {
    HIDE_USER_DATA.store(hide, Ordering::Relaxed);
}

/// Whether messages leave out what users have sent.
pub(crate) fn hides_user_data() -> bool {
    HIDE_USER_DATA.load(Ordering::Relaxed)
}

/// What a user has sent, as a message may show it: itself, or `*redacted*`.
pub(crate) fn user_data(bytes: &[u8]) -> Cow<'_, str> {
    if hides_user_data() {
        return "*redacted*".into();
    }
    String::from_utf8_lossy(bytes)
}

/// Sets the log file; an empty path is standard output. The file is made when the first line comes.
pub(crate) fn set_log_file(path: PathBuf) {
    let mut destination = DESTINATION.write().unwrap_or_else(PoisonError::into_inner);
    destination.file = (!path.as_os_str().is_empty()).then_some(path);
}

/// Whether lines go to standard output.
#[cfg(test)]
pub(crate) fn logs_to_stdout() -> bool {
    DESTINATION
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .file
        .is_none()
}

/// Sets or removes the way to syslog. Raw messages go there, too, as upstream's do.
pub(crate) fn set_syslog(hook: Option<SyslogHook>) {
    DESTINATION
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .syslog = hook;
}

/// Logs a formatted message: `server_log!(Level::Notice, "Ready, port {port}")`. The arguments are not evaluated when the
/// level is below the threshold.
#[macro_export]
macro_rules! server_log {
    ($level:expr, $($arg:tt)+) => {{
        let level: $crate::base::log::Level = $level;
        if $crate::base::log::enabled(level) {
            $crate::base::log::server_log_fmt(level, ::core::format_args!($($arg)+));
        }
    }};
}

/// What `server_log!` expands to. Formats without the heap, cuts at 1023 bytes, and makes one line of it whatever is in it.
/// server.c's _serverLog.
#[cold]
pub(crate) fn server_log_fmt(level: Level, message: fmt::Arguments<'_>) {
    let mut cut = CutText {
        buf: [0; LOG_MAX_LEN - 1],
        len: 0,
    };
    // An error is the cut, or a Display that fails; what has been written is the message.
    let _ = fmt::Write::write_fmt(&mut cut, message);
    let text = &cut.buf[..cut.len];
    if text.iter().any(u8::is_ascii_control) {
        return server_log_raw(level, Form::Line, &without_controls(text));
    }
    server_log_raw(level, Form::Line, text);
}

/// Logs a line for who audits: at level notice, and marked, in the legacy format by its first word. Control characters are shown as
/// C writes them.
#[cold]
pub(crate) fn server_log_audit(audit: Audit, message: fmt::Arguments<'_>) {
    if enabled(Level::Notice) {
        let text = without_controls(message.to_string().as_bytes());
        write_message(Level::Notice, Form::Line, Some(audit), &text);
    }
}

/// A name that somebody else chose (a host, a client, a command) must neither begin a line of its own nor steer a terminal:
/// control characters are shown as C writes them. Empty lines around a message, as some of upstream's have, are left out.
fn without_controls(text: &[u8]) -> Vec<u8> {
    let mut text = text;
    while let Some(rest) = text.strip_prefix(b"\n").or(text.strip_suffix(b"\n")) {
        text = rest;
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for &b in text {
        match b {
            b'\n' => shown.extend_from_slice(b"\\n"),
            b'\r' => shown.extend_from_slice(b"\\r"),
            b'\t' => shown.extend_from_slice(b"\\t"),
            // Writing to a Vec cannot fail.
            b if b.is_ascii_control() => {
                let _ = write!(shown, "\\x{b:02x}");
            }
            b => shown.push(b),
        }
    }
    shown
}

/// Logs `message` whole, whatever its length and content, if `level` is not below the threshold. server.c's serverLogRaw.
pub(crate) fn server_log_raw(level: Level, form: Form, message: &[u8]) {
    if enabled(level) {
        write_message(level, form, None, message);
    }
}

fn write_message(level: Level, form: Form, audit: Option<Audit>, message: &[u8]) {
    let format = format();
    let line = Line {
        pid: std::process::id(),
        role: role(),
        unix_us: ustime(),
        utc_offset: UTC_OFFSET.load(Ordering::Relaxed),
        level,
        timestamp: timestamp(),
        audit,
    };
    let destination = DESTINATION.read().unwrap_or_else(PoisonError::into_inner);
    let mut lines = Vec::new();
    let bytes = match form {
        Form::Raw if format == Format::Legacy => message,
        // Whoever reads records wants nothing else: each line of a text is one.
        Form::Raw => {
            for part in message.split(|b| *b == b'\n') {
                if !part.iter().all(u8::is_ascii_whitespace) {
                    line.append_to(format, &without_controls(part), &mut lines);
                }
            }
            &lines
        }
        Form::Line => {
            line.append_to(format, message, &mut lines);
            &lines
        }
    };
    match &destination.file {
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let Ok(mut file) = file else {
                return;
            };
            let _ = file.write_all(bytes);
        }
        // Not `Stdout`: its lock could be held by another thread at the time of a fork. And no descriptor of its own: to be
        // out of them is worth a line.
        None => sys::write_stdout(bytes),
    }
    if let Some(hook) = destination.syslog {
        hook(level, message);
    }
}

struct CutText {
    buf: [u8; LOG_MAX_LEN - 1],
    len: usize,
}

impl fmt::Write for CutText {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(self.buf.len() - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        if n < s.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Unix seconds in the local time, as C's ctime writes them, without the newline.
pub(crate) fn ctime(unix_s: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let local = unix_s.saturating_add(i64::from(UTC_OFFSET.load(Ordering::Relaxed)));
    let days = local.div_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    let second = local.rem_euclid(86_400);
    format!(
        "{} {} {day:2} {:02}:{:02}:{:02} {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[(month - 1) % 12],
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The state is the process's, so the tests take turns.
    static TURN: Mutex<()> = Mutex::new(());
    static TO_SYSLOG: Mutex<Vec<(Level, Vec<u8>)>> = Mutex::new(Vec::new());

    fn with_log_file(test: impl FnOnce(&dyn Fn() -> String)) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let path =
            std::env::temp_dir().join(format!("aedile-log-{}-{}", std::process::id(), ustime()));
        set_log_file(path.clone());
        set_verbosity(Level::Notice);
        set_role(Role::Master);
        test(&|| std::fs::read_to_string(&path).unwrap_or_default());
        set_log_file(PathBuf::new());
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn lines_and_levels() {
        with_log_file(|read| {
            let mut evaluated = 0;
            let mut count = || {
                evaluated += 1;
                evaluated
            };
            server_log!(Level::Verbose, "unseen {}", count());
            server_log!(Level::Notice, "hello {}", count());
            set_role(Role::Child);
            server_log!(Level::Warning, "bad");
            set_verbosity(Level::Debug);
            set_role(Role::Child);
            server_log!(Level::Debug, "fine");
            set_role(Role::Replica);
            server_log!(Level::Verbose, "finer");
            set_verbosity(Level::Nothing);
            server_log!(Level::Warning, "unseen {}", count());
            let text = read();
            let pid = std::process::id();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 4, "{text}");
            for (line, (role, tail)) in lines.iter().zip([
                ("M", " * hello 1"),
                ("C", " # bad"),
                ("C", " . fine"),
                ("S", " - finer"),
            ]) {
                assert!(line.starts_with(&format!("{pid}:{role} ")), "{line}");
                assert!(line.ends_with(tail), "{line}");
                assert_eq!(
                    line.len(),
                    format!("{pid}:M 22 Nov 2026 13:05:30.123").len() + tail.len()
                );
            }
        });
    }

    #[test]
    fn records_are_one_a_line_and_audits_are_marked() {
        with_log_file(|read| {
            server_log_audit(Audit::Config, format_args!("x is {}", "1\n2"));
            assert!(read().ends_with(" * AUDIT config: x is 1\\n2\n"));
            set_format(Format::Json, Timestamp::Milliseconds);
            server_log_audit(Audit::Acl, format_args!("\"who\""));
            server_log_raw(Level::Notice, Form::Raw, b"\n a\n\nb \"\n");
            set_format(Format::Logfmt, Timestamp::Iso8601);
            server_log!(Level::Warning, "a \"word\"");
            set_format(Format::Legacy, Timestamp::Legacy);
            let text = read();
            let lines: Vec<&str> = text.lines().skip(1).collect();
            assert_eq!(lines.len(), 4, "{text}");
            assert!(
                lines[0].ends_with(
                    "\"level\":\"notice\",\"audit\":\"acl\",\"message\":\"\\\"who\\\"\"}"
                )
            );
            assert!(lines[1].ends_with("\"message\":\" a\"}"));
            assert!(lines[2].ends_with("\"message\":\"b \\\"\"}"));
            assert!(lines[3].ends_with("level=warning message=\"a 'word'\""));
        });
    }

    #[test]
    fn long_messages_are_cut_raw_ones_are_not() {
        with_log_file(|read| {
            server_log!(Level::Notice, "{}{}", "x".repeat(1000), "y".repeat(1000));
            let text = read();
            assert!(text.ends_with(&format!("{}\n", "y".repeat(23))));
            assert_eq!(text.matches(['x', 'y']).count(), 1023);
            server_log_raw(Level::Notice, Form::Raw, &[b'z'; 3000]);
            assert!(read().ends_with(&format!("\n{}", "z".repeat(3000))));
            server_log_raw(Level::Verbose, Form::Raw, b"unseen");
            assert!(!read().contains("unseen"));
        });
    }

    #[test]
    fn syslog_gets_the_bare_message() {
        with_log_file(|_| {
            set_syslog(Some(|level, message| {
                if let Ok(mut all) = TO_SYSLOG.lock() {
                    all.push((level, message.to_vec()));
                }
            }));
            server_log!(Level::Warning, "to {}", "both");
            set_syslog(None);
            server_log!(Level::Warning, "to one");
            let got = TO_SYSLOG.lock().unwrap();
            assert_eq!(*got, [(Level::Warning, b"to both".to_vec())]);
        });
    }

    #[test]
    fn an_unwritable_file_is_no_error_and_a_moved_one_is_made_anew() {
        with_log_file(|_| {
            set_log_file("/nonexistent/dir/log".into());
            server_log!(Level::Warning, "nobody hears");
            set_log_file("/dev/full".into());
            server_log!(Level::Warning, "nobody hears");
            assert!(!logs_to_stdout());
        });
        with_log_file(|read| {
            server_log!(Level::Notice, "one");
            assert!(read().contains("one"));
            let path = DESTINATION.read().unwrap().file.clone().unwrap();
            std::fs::remove_file(&path).unwrap();
            server_log!(Level::Notice, "two");
            assert!(read().contains("two") && !read().contains("one"));
        });
    }

    #[test]
    fn a_message_is_one_line() {
        let text = b"host a\r\n1:M 01 Jan # forged\x1b[2J\x00\x7f\ttab caf\xc3\xa9";
        assert_eq!(
            without_controls(text),
            b"host a\\r\\n1:M 01 Jan # forged\\x1b[2J\\x00\\x7f\\ttab caf\xc3\xa9"
        );
        assert_eq!(without_controls(b"\n*** x ***\n"), b"*** x ***");
        with_log_file(|log| {
            server_log!(Level::Warning, "Connecting to MASTER {}:1", "x\ny");
            assert!(
                log().ends_with("Connecting to MASTER x\\ny:1\n"),
                "{}",
                log()
            );
            assert_eq!(log().lines().count(), 1);
        });
    }

    #[test]
    fn level_names() {
        for level in [
            Level::Debug,
            Level::Verbose,
            Level::Notice,
            Level::Warning,
            Level::Nothing,
        ] {
            assert_eq!(Level::from_name(level.name().as_bytes()), Some(level));
        }
        assert_eq!(Level::from_name(b"NOTICE"), Some(Level::Notice));
        assert_eq!(Level::from_name(b"loud"), None);
    }
}
