//! Why a configuration cannot be read, with the place.

use std::fmt;

use super::row::RowFlags;
use super::value::{DeferredLine, REDACTED, rule_without_secret};

/// The version of Redis that Aedile answers to in error texts.
const REDIS_VERSION: &str = "7.2.4";

/// Why a configuration was not accepted. The server has started nothing and exits with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigError {
    /// A file cannot be read. Upstream tells it as a log line (warning).
    CannotOpen {
        /// The file, an included one perhaps.
        path: Vec<u8>,
        /// The system's words.
        reason: String,
    },
    /// A line is at fault. Told on standard error.
    Line {
        /// Number of the line in its file, from 1. The command line's options follow the file's lines.
        number: usize,
        /// The trimmed line.
        text: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration as a whole is at fault. Told on standard error.
    Whole {
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// The fault of a line that was kept for later.
    pub(crate) fn of_line(line: &DeferredLine, reason: &str) -> ConfigError {
        ConfigError::Line {
            number: line.number,
            text: line.text.clone(),
            reason: reason.into(),
        }
    }

    /// Whether the message is a log line and not a text for standard error.
    pub(crate) fn is_log_line(&self) -> bool {
        matches!(self, ConfigError::CannotOpen { .. })
    }

    /// The message, with the line's own bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let fatal = format!("\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n");
        match self {
            ConfigError::CannotOpen { path, reason } => [
                b"Fatal error, can't open config file '",
                &path[..],
                b"': ",
                reason.as_bytes(),
            ]
            .concat(),
            ConfigError::Line {
                number,
                text,
                reason,
            } => {
                let place = format!("Reading the configuration file, at line {number}\n>>> '");
                [
                    fatal.as_bytes(),
                    place.as_bytes(),
                    &without_secrets(text),
                    b"'\n",
                    reason.as_bytes(),
                    b"\n",
                ]
                .concat()
            }
            ConfigError::Whole { reason } => [fatal.as_bytes(), reason.as_bytes(), b"\n"].concat(),
        }
    }
}

/// A line as it may be shown: it goes to standard error, which some supervisor keeps. What a directive for secrets is given is
/// left out, and passwords and their hashes in a user's rules.
fn without_secrets(line: &[u8]) -> Vec<u8> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let name = words.next().unwrap_or_default();
    let unquoted = name
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(name);
    if super::lookup(unquoted).is_some_and(|row| row.has(RowFlags::SENSITIVE)) {
        return [name, b" ", REDACTED].concat();
    }
    if unquoted.eq_ignore_ascii_case(b"sentinel")
        && let Some(option) = words.find(|w| !w.is_empty())
        && option.to_ascii_lowercase().ends_with(b"-pass")
    {
        return [name, b" ", option, b" ", REDACTED].concat();
    }
    if !unquoted.eq_ignore_ascii_case(b"user") {
        return line.to_vec();
    }
    let shown: Vec<_> = line
        .split(u8::is_ascii_whitespace)
        .map(rule_without_secret)
        .collect();
    shown.join(&b' ')
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl std::error::Error for ConfigError {}
