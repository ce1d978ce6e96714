//! What a row of the directives' table is, and how a value of each kind is read, shown and checked.
//!
//! Invariant: `set` either stores a valid value or returns an error and changes nothing. What `get` answers is accepted
//! by `set` (CONFIG SET splits the text of a several-argument directive at spaces first).

use bitflags::bitflags;

use super::effect::Apply;
use super::fields::Config;
use super::special::Special;
use super::valid::strtoll;
use crate::base::num::{MemtoullError, memtoull, string2ll};

bitflags! {
    /// What a directive is, besides its value (config.c, *_CONFIG).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct RowFlags: u32 {
        /// CONFIG SET refuses the directive: only the start reads it.
        const IMMUTABLE = 1 << 0;
        /// CONFIG SET may change the directive.
        const MODIFIABLE = 1 << 1;
        /// The value is kept out of logs.
        const SENSITIVE = 1 << 2;
        /// Crash reports show the value.
        const DEBUG = 1 << 3;
        /// The directive takes several arguments.
        const MULTI_ARG = 1 << 4;
        /// Patterns of CONFIG GET do not find the directive.
        const HIDDEN = 1 << 5;
        /// CONFIG SET needs `enable-protected-configs`.
        const PROTECTED = 1 << 6;
        /// CONFIG SET is refused while a data set loads.
        const DENY_LOADING = 1 << 7;
        /// Setting the same value again is a change too: what it names may have changed.
        const VOLATILE = 1 << 8;
    }
}

/// Further check of a new string.
pub(crate) type ValidText = fn(&Config, &[u8]) -> Result<(), String>;

/// Whether the feature behind a directive exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The directive does what it says.
    Built,
    /// The directive is read, checked, shown and rewritten, but nothing acts on it yet.
    Accepted,
    /// The same, but any value than the default is an error: without what it asks for, named here, the server would be less safe
    /// than is meant.
    Refused(&'static str),
}

/// What `set` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The value is new: it must take effect.
    Changed,
    /// It is the value that was there.
    Unchanged,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberForm {
    /// Decimal.
    Integer,
    /// Bytes, with a unit.
    Memory,
    /// Bytes, or a percentage, which is kept as a negative number.
    MemoryOrPercent,
    /// Octal.
    Octal,
}

/// The kind of a directive's value, with the accessors of its field.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `yes` or `no`.
    Bool {
        /// Reads the field.
        get: fn(&Config) -> bool,
        /// Writes the field.
        set: fn(&mut Config, bool),
        /// Further check of a new value.
        valid: Option<fn(bool) -> Result<(), String>>,
    },
    /// A number within bounds.
    Number {
        /// Reads the field.
        get: fn(&Config) -> i128,
        /// Writes the field; false if its type cannot hold the number.
        set: fn(&mut Config, i128) -> bool,
        /// How it is written.
        form: NumberForm,
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
    },
    /// One of several names; several of them, as bits, if the row has `MULTI_ARG`.
    Enum {
        /// Names and values, in the order of error texts.
        names: &'static [(&'static str, i32)],
        /// Reads the field.
        get: fn(&Config) -> i32,
        /// Writes the field.
        set: fn(&mut Config, i32),
        /// Further check of a new value.
        valid: Option<fn(i32) -> Result<(), String>>,
    },
    /// A string.
    Text {
        /// Reads the field.
        get: fn(&Config) -> Option<&[u8]>,
        /// Writes the field.
        set: fn(&mut Config, Option<&[u8]>),
        /// Whether an empty string is stored as `None`.
        empty_is_none: bool,
        /// Whether a zero byte ends the value, as it does where C strings are stored.
        ends_at_zero: bool,
        /// Further check of a new value.
        valid: Option<ValidText>,
    },
    /// A directive with functions of its own.
    Special(&'static Special),
}

/// One directive.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Name in lower case.
    pub name: &'static str,
    /// Old name, equally good in files, CONFIG GET and CONFIG SET.
    pub alias: Option<&'static str>,
    /// What it is besides.
    pub flags: RowFlags,
    /// Kind of value.
    pub kind: Kind,
    /// What CONFIG SET does once the value has changed.
    pub apply: Option<Apply>,
    /// Whether something acts on the value.
    pub feature: Feature,
}

/// A row without an old name or an effect, of a built feature.
pub(crate) const fn row(name: &'static str, flags: RowFlags, kind: Kind) -> Row {
    Row {
        name,
        alias: None,
        flags,
        kind,
        apply: None,
        feature: Feature::Built,
    }
}

/// A `Kind::Bool` over a field.
macro_rules! yes_no {
    ($field:ident) => {
        yes_no!($field, None)
    };
    ($field:ident, $valid:expr) => {
        Kind::Bool {
            get: |c| c.$field,
            set: |c, v| c.$field = v,
            valid: $valid,
        }
    };
}

/// A `Kind::Number` over a field.
macro_rules! number {
    ($field:ident, $form:ident, $min:expr, $max:expr) => {
        Kind::Number {
            get: |c| c.$field as i128,
            set: |c, v| match v.try_into() {
                Ok(v) => {
                    c.$field = v;
                    true
                }
                Err(_) => false,
            },
            form: NumberForm::$form,
            min: $min as i128,
            max: $max as i128,
        }
    };
}

/// A `Kind::Enum` over a field of a `choices!` type.
macro_rules! choice {
    ($field:ident, $type:ident) => {
        Kind::Enum {
            names: $type::NAMES,
            get: |c| c.$field as i32,
            set: |c, v| {
                if let Some(v) = $type::from_value(v) {
                    c.$field = v;
                }
            },
            valid: None,
        }
    };
}

/// A `Kind::Enum` over a field of shutdown flags.
macro_rules! shutdown_flags {
    ($field:ident) => {
        Kind::Enum {
            names: ShutdownFlags::NAMES,
            get: |c| c.$field.bits(),
            set: |c, v| c.$field = ShutdownFlags::from_bits_truncate(v),
            valid: Some(is_valid_shutdown_on_sig_flags),
        }
    };
}

/// A `Kind::Text` over a field that may be empty.
macro_rules! text {
    ($field:ident) => {
        text!($field, None)
    };
    ($field:ident, $valid:expr) => {
        Kind::Text {
            get: |c| Some(&c.$field),
            set: |c, v| c.$field = v.unwrap_or_default().to_vec(),
            empty_is_none: false,
            ends_at_zero: true,
            valid: $valid,
        }
    };
}

/// A `Kind::Text` over an optional field, of which an empty string is none.
macro_rules! opt_text {
    ($field:ident) => {
        opt_text!($field, None, true)
    };
    ($field:ident, $valid:expr) => {
        opt_text!($field, $valid, true)
    };
    ($field:ident, $valid:expr, $ends_at_zero:expr) => {
        Kind::Text {
            get: |c| c.$field.as_deref(),
            set: |c, v| c.$field = v.map(<[u8]>::to_vec),
            empty_is_none: true,
            ends_at_zero: $ends_at_zero,
            valid: $valid,
        }
    };
}

/// `opt_text!` for values in which a zero byte is a byte like others.
macro_rules! opt_bytes {
    ($field:ident) => {
        opt_text!($field, None, false)
    };
}

pub(super) use {choice, number, opt_bytes, opt_text, shutdown_flags, text, yes_no};

impl Row {
    /// The row with an old name.
    pub(crate) const fn alias(mut self, alias: &'static str) -> Row {
        self.alias = Some(alias);
        self
    }

    /// The row with an effect.
    pub(crate) const fn apply(mut self, apply: Apply) -> Row {
        self.apply = Some(apply);
        self
    }

    /// The row of a feature that is not built.
    pub(crate) const fn accepted(mut self) -> Row {
        self.feature = Feature::Accepted;
        self
    }

    /// The row of a feature that is not built, and whose absence would leave a server less safe than was asked for.
    pub(crate) const fn refused(mut self, feature: &'static str) -> Row {
        self.feature = Feature::Refused(feature);
        self
    }

    /// Whether `config` sets what is accepted and has no effect. `default` is the configuration of nobody.
    pub(crate) fn is_ineffective(&self, config: &Config, default: &Config) -> bool {
        self.feature == Feature::Accepted && self.get(config) != self.get(default)
    }

    /// Whether the row is the one of these functions.
    pub(super) fn is_special(&self, special: &'static Special) -> bool {
        matches!(self.kind, Kind::Special(own) if std::ptr::eq(own, special))
    }

    /// Whether the row has this flag.
    pub(crate) const fn has(&self, flag: RowFlags) -> bool {
        self.flags.intersects(flag)
    }

    /// Checks and stores a value. `reading_file` tells `save` that lines accumulate.
    ///
    /// # Errors
    /// The text of the fault, as upstream words it; nothing has changed then.
    pub(crate) fn set(
        &self,
        config: &mut Config,
        args: &[Vec<u8>],
        reading_file: bool,
    ) -> Result<Change, String> {
        let Feature::Refused(feature) = self.feature else {
            return self.set_value(config, args, reading_file);
        };
        let mut default = Config::default();
        self.set_value(&mut default, args, reading_file)?;
        match self.get(&default) == self.get(&Config::default()) {
            true => self.set_value(config, args, reading_file),
            false => Err(not_built(self.name, feature)),
        }
    }

    fn set_value(
        &self,
        config: &mut Config,
        args: &[Vec<u8>],
        reading_file: bool,
    ) -> Result<Change, String> {
        let changed = match (self.kind, args) {
            (Kind::Special(special), _) => (special.set)(config, args, reading_file)?,
            (
                Kind::Enum {
                    names,
                    get,
                    set,
                    valid,
                },
                _,
            ) => {
                let value = enum_value(names, args, self.has(RowFlags::MULTI_ARG))
                    .ok_or_else(|| enum_error(names))?;
                valid.map_or(Ok(()), |valid| valid(value))?;
                let changed = get(config) != value;
                set(config, value);
                changed
            }
            (Kind::Bool { get, set, valid }, [arg]) => {
                let value = yes_no_to_bool(arg).ok_or("argument must be 'yes' or 'no'")?;
                valid.map_or(Ok(()), |valid| valid(value))?;
                let changed = get(config) != value;
                set(config, value);
                changed
            }
            (
                Kind::Number {
                    get,
                    set,
                    form,
                    min,
                    max,
                },
                [arg],
            ) => {
                let value = parse_number(arg, form)?;
                check_bounds(value, form, min, max)?;
                let changed = get(config) != value;
                if !set(config, value) {
                    return Err(bounds_error(form, min, max));
                }
                changed
            }
            (
                Kind::Text {
                    get,
                    set,
                    empty_is_none,
                    ends_at_zero,
                    valid,
                },
                [arg],
            ) => {
                let end = if ends_at_zero {
                    memchr::memchr(0, arg).unwrap_or(arg.len())
                } else {
                    arg.len()
                };
                let value = &arg[..end];
                valid.map_or(Ok(()), |valid| valid(config, value))?;
                let value = if empty_is_none && value.is_empty() {
                    None
                } else {
                    Some(value)
                };
                let changed = get(config) != value;
                set(config, value);
                changed
            }
            _ => return Err("wrong number of arguments".into()),
        };
        Ok(if changed || self.has(RowFlags::VOLATILE) {
            Change::Changed
        } else {
            Change::Unchanged
        })
    }

    /// The value as CONFIG GET answers it.
    pub(crate) fn get(&self, config: &Config) -> Vec<u8> {
        match self.kind {
            Kind::Bool { get, .. } => bool_name(get(config)).into(),
            Kind::Enum { names, get, .. } => {
                enum_names(names, get(config), self.has(RowFlags::MULTI_ARG)).into_bytes()
            }
            Kind::Text { get, .. } => get(config).unwrap_or_default().to_vec(),
            Kind::Special(special) => (special.get)(config),
            Kind::Number { get, form, .. } => {
                let value = get(config);
                match form {
                    NumberForm::MemoryOrPercent if value < 0 => format!("{}%", -value),
                    NumberForm::Octal => format!("{value:o}"),
                    _ => value.to_string(),
                }
                .into_bytes()
            }
        }
    }
}

/// The text of an error about a directive that asks for a feature that is not built.
pub(super) fn not_built(directive: &str, feature: &str) -> String {
    format!("'{directive}' asks for {feature}, which this version does not have yet")
}

/// `yes` or `no`.
pub(super) fn bool_name(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// config.c, yesnotoi.
fn yes_no_to_bool(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"yes") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"no") {
        Some(false)
    } else {
        None
    }
}

/// The value of a name, or the bits of several names.
fn enum_value(names: &[(&str, i32)], args: &[Vec<u8>], bits: bool) -> Option<i32> {
    if args.is_empty() || (!bits && args.len() != 1) {
        return None;
    }
    let mut value = 0;
    for arg in args {
        value |= names
            .iter()
            .find(|(name, _)| arg.eq_ignore_ascii_case(name.as_bytes()))?
            .1;
    }
    Some(value)
}

/// The name of a value, or the names of its bits; `unknown` where some bit has none.
pub(super) fn enum_names(names: &[(&str, i32)], value: i32, bits: bool) -> String {
    if let Some((name, _)) = names.iter().find(|(_, v)| *v == value) {
        return (*name).to_string();
    }
    let mut found = Vec::new();
    let mut rest = value;
    for (name, bit) in names {
        if bits && *bit != 0 && rest & bit == *bit {
            found.push(*name);
            rest &= !bit;
        }
    }
    if rest != 0 || found.is_empty() {
        "unknown".into()
    } else {
        found.join(" ")
    }
}

fn enum_error(names: &[(&str, i32)]) -> String {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    format!(
        "argument(s) must be one of the following: {}",
        names.join(", ")
    )
}

/// Reads a number in its form (config.c, numericParseString).
fn parse_number(text: &[u8], form: NumberForm) -> Result<i128, String> {
    let memory = matches!(form, NumberForm::Memory | NumberForm::MemoryOrPercent);
    let parsed = match form {
        NumberForm::Integer => string2ll(text).map(i128::from),
        NumberForm::Octal => strtoll(text, 8).map(i128::from),
        NumberForm::Memory | NumberForm::MemoryOrPercent => match memtoull(text) {
            Ok(bytes) => Some(bytes.into()),
            // A number, though above all bounds.
            Err(MemtoullError::Overflow) => Some(i128::MAX),
            Err(MemtoullError::Syntax) => None,
        },
    };
    if let Some(value) = parsed {
        return Ok(value);
    }
    if form == NumberForm::MemoryOrPercent
        && let Some(digits) = text.strip_suffix(b"%")
        && let Some(percent) = string2ll(digits).filter(|percent| *percent >= 0)
    {
        return Ok(-i128::from(percent));
    }
    Err(match form {
        NumberForm::MemoryOrPercent => "argument must be a memory or percent value",
        _ if memory => "argument must be a memory value",
        NumberForm::Octal => "argument couldn't be parsed as an octal number",
        _ => "argument couldn't be parsed into an integer",
    }
    .into())
}

fn check_bounds(value: i128, form: NumberForm, min: i128, max: i128) -> Result<(), String> {
    if (min..=max).contains(&value) {
        Ok(())
    } else if form == NumberForm::MemoryOrPercent && value < 0 {
        Err(format!(
            "percentage argument must be less or equal to {}",
            -min
        ))
    } else {
        Err(bounds_error(form, min, max))
    }
}

fn bounds_error(form: NumberForm, min: i128, max: i128) -> String {
    match form {
        NumberForm::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        _ => format!("argument must be between {min} and {max} inclusive"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{lookup, split_value};
    use super::*;

    fn set(config: &mut Config, name: &str, value: &str) -> Result<Change, String> {
        let row = lookup(name.as_bytes()).expect("a directive");
        let args = split_value(row, value.as_bytes());
        row.set(config, &args, false)
    }

    fn get(config: &Config, name: &str) -> String {
        String::from_utf8(lookup(name.as_bytes()).expect("a directive").get(config)).expect("text")
    }

    #[test]
    fn good_values() {
        let cases = [
            ("daemonize", "YES", "yes"),
            ("port", "0", "0"),
            ("port", "65535", "65535"),
            ("maxmemory", "700mb", "734003200"),
            ("maxmemory", "1k", "1000"),
            ("maxmemory", "18446744073709551615", "18446744073709551615"),
            ("maxmemory-clients", "10%", "10%"),
            ("maxmemory-clients", "0%", "0"),
            ("maxmemory-clients", "1gb", "1073741824"),
            ("unixsocketperm", "700", "700"),
            ("unixsocketperm", "0755", "755"),
            ("list-max-ziplist-size", "-5", "-5"),
            ("loglevel", "VERBOSE", "verbose"),
            ("oom-score-adj", "relative", "yes"),
            ("shutdown-on-sigint", "nosave force now", "nosave now force"),
            ("shutdown-on-sigterm", "default save", "save"),
            ("slave-announce-ip", "10.0.0.1", "10.0.0.1"),
            ("slave-announce-ip", "", ""),
            ("logfile", "a\0b", "a"),
            ("proc-title-template", "{title} x", "{title} x"),
            ("rdb-save-version", "9", "9"),
            ("rdb-save-version", "AUTO", "auto"),
        ];
        for (name, value, shown) in cases {
            let mut config = Config::default();
            assert!(set(&mut config, name, value).is_ok(), "{name} {value}");
            assert_eq!(get(&config, name), shown, "{name} {value}");
        }
    }

    #[test]
    fn bad_values() {
        let cases = [
            ("daemonize", "maybe", "argument must be 'yes' or 'no'"),
            (
                "port",
                "65536",
                "argument must be between 0 and 65535 inclusive",
            ),
            (
                "port",
                "--bla",
                "argument couldn't be parsed into an integer",
            ),
            ("port", "1.5", "argument couldn't be parsed into an integer"),
            (
                "maxclients",
                "-1",
                "argument must be between 1 and 4294967295 inclusive",
            ),
            ("maxmemory", "10x", "argument must be a memory value"),
            ("maxmemory", "-1", "argument must be a memory value"),
            (
                "maxmemory",
                "99999999999gb",
                "argument must be between 0 and 18446744073709551615 inclusive",
            ),
            (
                "maxmemory-clients",
                "200%",
                "percentage argument must be less or equal to 100",
            ),
            (
                "maxmemory-clients",
                "x%",
                "argument must be a memory or percent value",
            ),
            (
                "maxmemory-clients",
                "-1%",
                "argument must be a memory or percent value",
            ),
            (
                "unixsocketperm",
                "9",
                "argument couldn't be parsed as an octal number",
            ),
            (
                "unixsocketperm",
                "1000",
                "argument must be between 0 and 777 inclusive",
            ),
            (
                "proto-max-bulk-len",
                "1kb",
                "argument must be between 1048576 and 9223372036854775807 inclusive",
            ),
            (
                "rdb-save-version",
                "12",
                "argument(s) must be one of the following: auto, 9, 10, 11",
            ),
            (
                "loglevel",
                "--bla",
                "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
            ),
            (
                "shutdown-on-sigint",
                "",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                "shutdown-on-sigint",
                "save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
            (
                "dbfilename",
                "a/b",
                "dbfilename can't be a path, just a filename",
            ),
            ("appendfilename", "", "appendfilename can't be empty"),
            (
                "appenddirname",
                "a/b",
                "appenddirname can't be a path, just a dirname",
            ),
            (
                "cluster-announce-hostname",
                "a_b",
                "Hostnames may only contain alphanumeric characters, hyphens or dots",
            ),
            (
                "proc-title-template",
                "{x}",
                "template format is invalid or contains unknown variables",
            ),
        ];
        for (name, value, text) in cases {
            let mut config = Config::default();
            assert_eq!(
                set(&mut config, name, value).err().as_deref(),
                Some(text),
                "{name} {value}"
            );
            assert_eq!(config, Config::default(), "{name} {value}");
        }
    }

    #[test]
    fn same_value_is_no_change_unless_volatile() {
        let mut config = Config::default();
        assert_eq!(set(&mut config, "port", "6379"), Ok(Change::Unchanged));
        assert_eq!(set(&mut config, "port", "6380"), Ok(Change::Changed));
        assert_eq!(set(&mut config, "tls-cert-file", ""), Ok(Change::Changed));
    }
}
