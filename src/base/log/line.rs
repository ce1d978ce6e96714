//! One line of the log, in each of its formats: levels, roles and the other words beside a message, and how the message is kept
//! from being taken for one.
//!
//! Must not know where lines go.

use std::io::Write;

/// How much a message matters, least first; as a threshold, what is logged at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// For development and tests.
    Debug = 0,
    /// Rarely useful.
    Verbose = 1,
    /// What one wants to see in production.
    Notice = 2,
    /// What one must see.
    Warning = 3,
    /// As a threshold: nothing is logged. No message has this level.
    Nothing = 4,
}

impl Level {
    /// The level that config files call `name`, in either case.
    #[cfg(test)]
    pub(crate) fn from_name(name: &[u8]) -> Option<Level> {
        [
            Level::Debug,
            Level::Verbose,
            Level::Notice,
            Level::Warning,
            Level::Nothing,
        ]
        .into_iter()
        .find(|l| name.eq_ignore_ascii_case(l.name().as_bytes()))
    }

    /// The name in config files.
    #[cfg(test)]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Verbose => "verbose",
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Nothing => "nothing",
        }
    }

    /// The mark in the legacy format.
    fn mark(self) -> u8 {
        match self {
            Level::Debug => b'.',
            Level::Verbose => b'-',
            Level::Notice => b'*',
            Level::Warning | Level::Nothing => b'#',
        }
    }
}

/// The character behind the process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// A forked child that writes an RDB or AOF file.
    Child = b'C',
    /// A replica.
    Replica = b'S',
    /// A master.
    Master = b'M',
    /// A Sentinel.
    Sentinel = b'X',
}

/// What a line looks like (log-format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Format {
    /// As Redis has it.
    Legacy,
    /// As Valkey 9 has it: `pid=1 role=replica timestamp="..." level=notice message="..."`.
    Logfmt,
    /// The same names as members of an object, one a line.
    Json,
}

/// What its time looks like (log-timestamp-format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Timestamp {
    /// `22 Nov 2026 13:05:30.123`, local time.
    Legacy,
    /// `2026-11-22T13:05:30.123+01:00`.
    Iso8601,
    /// Unix milliseconds.
    Milliseconds,
}

/// What an audit line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audit {
    /// The configuration was changed, or written to its file.
    Config,
    /// Somebody was refused.
    Acl,
}

impl Audit {
    fn name(self) -> &'static str {
        match self {
            Audit::Config => "config",
            Audit::Acl => "acl",
        }
    }
}

/// All of a line but its message.
pub(super) struct Line {
    pub(super) pid: u32,
    pub(super) role: Role,
    pub(super) unix_us: i64,
    /// Seconds.
    pub(super) utc_offset: i32,
    pub(super) level: Level,
    pub(super) timestamp: Timestamp,
    pub(super) audit: Option<Audit>,
}

pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Names of levels and roles outside the legacy format.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Verbose => "info",
        Level::Notice => "notice",
        Level::Warning | Level::Nothing => "warning",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Child => "RDB/AOF",
        Role::Replica => "replica",
        Role::Master => "primary",
        Role::Sentinel => "sentinel",
    }
}

/// The text of a JSON string: what is no UTF-8 is replaced.
fn push_json(message: &[u8], out: &mut Vec<u8>) {
    for c in String::from_utf8_lossy(message).chars() {
        let _ = match c {
            '"' => out.write_all(b"\\\""),
            '\\' => out.write_all(b"\\\\"),
            c if c.is_control() => write!(out, "\\u{:04x}", c as u32),
            c => write!(out, "{c}"),
        };
    }
}

impl Line {
    fn push_time(&self, out: &mut Vec<u8>) {
        let unix_s = self.unix_us.div_euclid(1_000_000);
        let ms = self.unix_us.rem_euclid(1_000_000) / 1000;
        let local = unix_s.saturating_add(i64::from(self.utc_offset));
        let (year, month, day) = civil_from_days(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400);
        let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
        // Writing to a Vec cannot fail.
        let _ = match self.timestamp {
            Timestamp::Legacy => {
                let name = MONTHS[(month - 1) % 12];
                write!(out, "{day:02} {name} {year} {h:02}:{m:02}:{s:02}.{ms:03}")
            }
            Timestamp::Iso8601 => {
                let sign = if self.utc_offset < 0 { '-' } else { '+' };
                let off = self.utc_offset.unsigned_abs();
                let (oh, om) = (off / 3600, off / 60 % 60);
                write!(
                    out,
                    "{year}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}{sign}{oh:02}:{om:02}"
                )
            }
            Timestamp::Milliseconds => write!(out, "{}", self.unix_us.div_euclid(1000)),
        };
    }

    /// The line of a message, with its end.
    pub(super) fn append_to(&self, format: Format, message: &[u8], out: &mut Vec<u8>) {
        out.reserve(message.len() + 128);
        let (role, level) = (role_name(self.role), level_name(self.level));
        // Writing to a Vec cannot fail.
        match format {
            Format::Legacy => {
                let _ = write!(out, "{}:{} ", self.pid, char::from(self.role as u8));
                self.push_time(out);
                let _ = write!(out, " {} ", char::from(self.level.mark()));
                if let Some(audit) = self.audit {
                    let _ = write!(out, "AUDIT {}: ", audit.name());
                }
                out.extend_from_slice(message);
            }
            Format::Logfmt => {
                let _ = write!(out, "pid={} role={role} timestamp=\"", self.pid);
                self.push_time(out);
                let _ = write!(out, "\" level={level}");
                if let Some(audit) = self.audit {
                    let _ = write!(out, " audit={}", audit.name());
                }
                out.extend_from_slice(b" message=\"");
                out.extend(message.iter().map(|b| match b {
                    b'"' => b'\'',
                    b'\n' | b'\r' => b' ',
                    b => *b,
                }));
                out.push(b'"');
            }
            Format::Json => {
                let _ = write!(
                    out,
                    "{{\"pid\":{},\"role\":\"{role}\",\"timestamp\":",
                    self.pid
                );
                // A number is none in quotes.
                let quote: &[u8] = match self.timestamp {
                    Timestamp::Milliseconds => b"",
                    _ => b"\"",
                };
                out.extend_from_slice(quote);
                self.push_time(out);
                out.extend_from_slice(quote);
                let _ = write!(out, ",\"level\":\"{level}\"");
                if let Some(audit) = self.audit {
                    let _ = write!(out, ",\"audit\":\"{}\"", audit.name());
                }
                out.extend_from_slice(b",\"message\":\"");
                push_json(message, out);
                out.extend_from_slice(b"\"}");
            }
        }
        out.push(b'\n');
    }
}

/// Year, month (1 to 12) and day of the proleptic Gregorian calendar, from days since 1970-01-01. (H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms": years are counted from March, so that the leap day comes last.)
pub(super) fn civil_from_days(days: i64) -> (i64, usize, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(unix_us: i64, utc_offset: i32, timestamp: Timestamp) -> Line {
        Line {
            pid: 42,
            role: Role::Master,
            unix_us,
            utc_offset,
            level: Level::Notice,
            timestamp,
            audit: None,
        }
    }

    fn text(line: &Line, format: Format, message: &[u8]) -> String {
        let mut out = Vec::new();
        line.append_to(format, message, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn times() {
        for (unix_us, utc_offset, legacy, iso) in [
            (
                0,
                0,
                "01 Jan 1970 00:00:00.000",
                "1970-01-01T00:00:00.000+00:00",
            ),
            (
                -1,
                0,
                "31 Dec 1969 23:59:59.999",
                "1969-12-31T23:59:59.999+00:00",
            ),
            (
                1_709_164_799_123_999,
                0,
                "28 Feb 2024 23:59:59.123",
                "2024-02-28T23:59:59.123+00:00",
            ),
            (
                1_709_164_800_000_000,
                0,
                "29 Feb 2024 00:00:00.000",
                "2024-02-29T00:00:00.000+00:00",
            ),
            (
                1_709_164_800_000_000,
                -3600,
                "28 Feb 2024 23:00:00.000",
                "2024-02-28T23:00:00.000-01:00",
            ),
            (
                1_735_689_599_005_000,
                19_800,
                "01 Jan 2025 05:29:59.005",
                "2025-01-01T05:29:59.005+05:30",
            ),
            (
                951_827_696_789_000,
                0,
                "29 Feb 2000 12:34:56.789",
                "2000-02-29T12:34:56.789+00:00",
            ),
            (
                4_107_542_400_000_000,
                0,
                "01 Mar 2100 00:00:00.000",
                "2100-03-01T00:00:00.000+00:00",
            ),
        ] {
            let of = |t| text(&line(unix_us, utc_offset, t), Format::Legacy, b"x");
            assert_eq!(of(Timestamp::Legacy), format!("42:M {legacy} * x\n"));
            assert_eq!(of(Timestamp::Iso8601), format!("42:M {iso} * x\n"));
            let ms = unix_us.div_euclid(1000);
            assert_eq!(of(Timestamp::Milliseconds), format!("42:M {ms} * x\n"));
        }
    }

    #[test]
    fn a_message_stays_in_its_field() {
        let l = line(0, 0, Timestamp::Iso8601);
        let bad = b"a\" level=warning \\ \xff\n{";
        assert_eq!(
            String::from_utf8_lossy(&{
                let mut out = Vec::new();
                l.append_to(Format::Logfmt, bad, &mut out);
                out
            }),
            "pid=42 role=primary timestamp=\"1970-01-01T00:00:00.000+00:00\" level=notice message=\"a' level=warning \\ \u{fffd} {\"\n"
        );
        assert_eq!(
            text(&l, Format::Json, bad),
            "{\"pid\":42,\"role\":\"primary\",\"timestamp\":\"1970-01-01T00:00:00.000+00:00\",\"level\":\"notice\",\"message\":\"a\\\" level=warning \\\\ \u{fffd}\\u000a{\"}\n"
        );
    }
}
