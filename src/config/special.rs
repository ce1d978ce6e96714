//! Directives whose value is no single bool, number, name or string: how each is set, shown and rewritten.
//!
//! Invariant: a `set` that fails changes nothing. `dir` alone acts outside [`Config`]: its value is the process' working
//! folder.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::fields::Config;
use super::rewrite_lines::{RewriteState, format_memory};
use super::strerror;
use super::valid::strtoll;
use super::value::{
    ClientBufferLimit, SaveParam, keyspace_events_flags_to_string, keyspace_events_string_to_flags,
};
use crate::base::log::Level;
use crate::base::num::{memtoull, string2d};
use crate::base::split_args::sdscatrepr;
use crate::server_log;

/// Checks and stores arguments.
pub(super) type SetSpecial = fn(&mut Config, &[Vec<u8>], bool) -> Result<bool, String>;

/// The functions of one such directive.
pub(crate) struct Special {
    /// Checks and stores the arguments and says whether the value changed; the flag tells that a file is being read.
    pub set: SetSpecial,
    /// The value for CONFIG GET.
    pub get: fn(&Config) -> Vec<u8>,
    /// Writes the lines of CONFIG REWRITE; the name is the directive's.
    pub rewrite: fn(&Config, &str, &mut RewriteState),
}

/// Most addresses of `bind`.
const CONFIG_BINDADDR_MAX: usize = 16;

fn wrong_number() -> String {
    "wrong number of arguments".into()
}

/// A list whose one member is empty counts as an empty list.
fn without_single_empty(args: &[Vec<u8>]) -> &[Vec<u8>] {
    match args {
        [only] if only.is_empty() => &[],
        _ => args,
    }
}

/// The addresses of `bind` or of `metrics-bind`.
fn addresses_of(args: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    if args.len() > CONFIG_BINDADDR_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    let addresses = without_single_empty(args);
    // Upstream finds out when it listens. Here no value may write other lines into the file on CONFIG REWRITE.
    if addresses.iter().any(|a| !is_plain_word(a)) {
        return Err("Failed to bind to specified addresses.".into());
    }
    Ok(addresses.to_vec())
}

/// Addresses as a line of the file has them.
fn shown_addresses(addresses: &[Vec<u8>]) -> Vec<u8> {
    if addresses.is_empty() {
        b"\"\"".to_vec()
    } else {
        addresses.join(&b' ')
    }
}

/// `bind`
pub(super) static BIND: Special = Special {
    set: |config, args, _| {
        config.bind = addresses_of(args)?;
        Ok(true)
    },
    get: |config| config.bind.join(&b' '),
    rewrite: |config, name, state| {
        if config.bind == state.defaults().bind {
            // The default is written nowhere: old lines go.
            state.mark_as_processed(name);
            return;
        }
        let text = line(name, &shown_addresses(&config.bind));
        state.rewrite_line(name, text, true);
    },
};

/// `metrics-bind`
pub(super) static METRICS_BIND: Special = Special {
    set: |config, args, _| {
        let addresses = addresses_of(args)?;
        let changed = addresses != config.metrics_bind;
        config.metrics_bind = addresses;
        Ok(changed)
    },
    get: |config| config.metrics_bind.join(&b' '),
    rewrite: |config, name, state| {
        let is_default = config.metrics_bind == state.defaults().metrics_bind;
        let text = line(name, &shown_addresses(&config.metrics_bind));
        state.rewrite_line(name, text, !is_default);
    },
};

/// `dir`
pub(super) static DIR: Special = Special {
    set: |_, args, _| {
        let [path] = args else {
            return Err(wrong_number());
        };
        std::env::set_current_dir(OsStr::from_bytes(path)).map_err(|e| strerror(&e))?;
        Ok(true)
    },
    get: |_| {
        std::env::current_dir()
            .map(|path| path.into_os_string().into_vec())
            .unwrap_or_default()
    },
    rewrite: |_, name, state| match std::env::current_dir() {
        Ok(path) => {
            let mut quoted = Vec::new();
            sdscatrepr(&mut quoted, path.as_os_str().as_bytes());
            state.rewrite_line(name, line(name, &quoted), true);
        }
        Err(_) => state.mark_as_processed(name),
    },
};

/// `save`
pub(super) static SAVE: Special = Special {
    set: |config, args, reading_file| {
        let clears = matches!(args, [only] if only.is_empty());
        let args = without_single_empty(args);
        let invalid = || "Invalid save parameters".to_string();
        let mut points = Vec::with_capacity(args.len() / 2);
        for pair in args.chunks(2) {
            let [seconds, changes] = pair else {
                return Err(invalid());
            };
            let seconds = strtoll(seconds, 10)
                .filter(|s| *s >= 1)
                .ok_or_else(invalid)?;
            let changes = strtoll(changes, 10)
                .and_then(|c| i32::try_from(c).ok())
                .filter(|c| *c >= 0);
            points.push(SaveParam {
                seconds,
                changes: changes.ok_or_else(invalid)?,
            });
        }
        // Lines of a file add up; the first of them takes the place of the defaults.
        if clears || !reading_file || !config.save_loaded {
            config.save.clear();
        }
        config.save_loaded |= reading_file;
        config.save.append(&mut points);
        Ok(true)
    },
    get: |config| {
        let points: Vec<String> = config
            .save
            .iter()
            .map(|p| format!("{} {}", p.seconds, p.changes))
            .collect();
        points.join(" ").into_bytes()
    },
    rewrite: |config, name, state| {
        if config.sentinel_mode {
            state.mark_as_processed(name);
            return;
        }
        if config.save.is_empty() {
            state.rewrite_line(name, line(name, b"\"\""), true);
        }
        for point in &config.save {
            let text = format!("{} {}", point.seconds, point.changes);
            state.rewrite_line(name, line(name, text.as_bytes()), true);
        }
    },
};

/// `client-output-buffer-limit`
pub(super) static CLIENT_OUTPUT_BUFFER_LIMIT: Special = Special {
    set: |config, args, _| {
        if args.len() % 4 != 0 {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = config.client_output_buffer_limit;
        for four in args.chunks(4) {
            let [class, hard, soft, seconds] = four else {
                return Err(wrong_number());
            };
            let class = client_class(class).ok_or_else(|| {
                "Invalid client class specified in buffer limit configuration.".to_string()
            })?;
            let seconds = strtoll(seconds, 10).filter(|s| (0..=i64::from(i32::MAX)).contains(s));
            let (Ok(hard), Ok(soft), Some(seconds)) = (memtoull(hard), memtoull(soft), seconds)
            else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .into(),
                );
            };
            limits[class] = ClientBufferLimit {
                hard_limit_bytes: hard,
                soft_limit_bytes: soft,
                soft_limit_seconds: seconds,
            };
        }
        config.client_output_buffer_limit = limits;
        Ok(true)
    },
    get: |config| {
        let classes = ["normal", "slave", "pubsub"]
            .iter()
            .zip(&config.client_output_buffer_limit);
        let classes: Vec<String> = classes
            .map(|(class, l)| {
                format!(
                    "{class} {} {} {}",
                    l.hard_limit_bytes, l.soft_limit_bytes, l.soft_limit_seconds
                )
            })
            .collect();
        classes.join(" ").into_bytes()
    },
    rewrite: |config, name, state| {
        let classes = ["normal", "replica", "pubsub"]
            .iter()
            .zip(&config.client_output_buffer_limit);
        for ((class, l), default) in classes.zip(ClientBufferLimit::DEFAULTS) {
            let (hard, soft) = (
                format_memory(l.hard_limit_bytes.into()),
                format_memory(l.soft_limit_bytes.into()),
            );
            let text = format!("{class} {hard} {soft} {}", l.soft_limit_seconds);
            state.rewrite_line(name, line(name, text.as_bytes()), *l != default);
        }
    },
};

/// Index of a class of clients by its name; masters have no limit.
fn client_class(name: &[u8]) -> Option<usize> {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    if is("normal") {
        Some(0)
    } else if is("slave") || is("replica") {
        Some(1)
    } else if is("pubsub") {
        Some(2)
    } else {
        None
    }
}

/// `oom-score-adj-values`
pub(super) static OOM_SCORE_ADJ_VALUES: Special = Special {
    set: |config, args, _| {
        let [master, replica, child] = args else {
            return Err(wrong_number());
        };
        let mut values = [0; 3];
        for (value, arg) in values.iter_mut().zip([master, replica, child]) {
            *value = strtoll(arg, 10)
                .filter(|v| (-2000..=2000).contains(v))
                .and_then(|v| i32::try_from(v).ok())
                .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
        }
        if values[1] < values[0] || values[2] < values[1] {
            server_log!(
                Level::Warning,
                "The oom-score-adj-values configuration may not work for non-privileged processes! \
                 Please consult the documentation.",
            );
        }
        let changed = config.oom_score_adj_values != values;
        config.oom_score_adj_values = values;
        Ok(changed)
    },
    get: |config| {
        config
            .oom_score_adj_values
            .map(|v| v.to_string())
            .join(" ")
            .into_bytes()
    },
    rewrite: |config, name, state| {
        let text = config.oom_score_adj_values.map(|v| v.to_string()).join(" ");
        let force = config.oom_score_adj_values != state.defaults().oom_score_adj_values;
        state.rewrite_line(name, line(name, text.as_bytes()), force);
    },
};

/// `notify-keyspace-events`
pub(super) static NOTIFY_KEYSPACE_EVENTS: Special = Special {
    set: |config, args, _| {
        let [classes] = args else {
            return Err(wrong_number());
        };
        config.notify_keyspace_events = keyspace_events_string_to_flags(classes)
            .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
        Ok(true)
    },
    get: |config| keyspace_events_flags_to_string(config.notify_keyspace_events),
    rewrite: |config, name, state| {
        let mut quoted = Vec::new();
        sdscatrepr(
            &mut quoted,
            &keyspace_events_flags_to_string(config.notify_keyspace_events),
        );
        state.rewrite_line(
            name,
            line(name, &quoted),
            !config.notify_keyspace_events.is_empty(),
        );
    },
};

/// `replicaof`
pub(super) static REPLICAOF: Special = Special {
    set: |config, args, _| {
        let [host, port] = args else {
            return Err(wrong_number());
        };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            config.masterhost = None;
            return Ok(true);
        }
        let port = strtoll(port, 10).and_then(|port| u16::try_from(port).ok());
        config.masterport = port.ok_or("Invalid master port")?;
        config.masterhost = Some(host.clone());
        Ok(true)
    },
    get: |config| match &config.masterhost {
        Some(host) => [host, format!(" {}", config.masterport).as_bytes()].concat(),
        None => Vec::new(),
    },
    rewrite: |config, name, state| match &config.masterhost {
        Some(host) if !config.cluster_enabled => {
            let port = config.masterport.to_string();
            let master = [&word(host)[..], b" ", port.as_bytes()].concat();
            state.rewrite_line(name, line(name, &master), true);
        }
        _ => state.mark_as_processed(name),
    },
};

/// `latency-tracking-info-percentiles`
pub(super) static LATENCY_TRACKING_INFO_PERCENTILES: Special = Special {
    set: |config, args, _| {
        let mut percentiles = Vec::with_capacity(args.len());
        for arg in without_single_empty(args) {
            let percentile =
                string2d(arg).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&percentile) {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                        .into(),
                );
            }
            percentiles.push(percentile);
        }
        config.latency_tracking_info_percentiles = percentiles;
        Ok(true)
    },
    get: |config| percentiles_text(&config.latency_tracking_info_percentiles),
    rewrite: |config, name, state| {
        let text = percentiles_text(&config.latency_tracking_info_percentiles);
        let text = if text.is_empty() {
            b"\"\"".to_vec()
        } else {
            text
        };
        state.rewrite_line(name, line(name, &text), true);
    },
};

/// Percentiles with up to six decimals and no trailing zeros.
fn percentiles_text(percentiles: &[f64]) -> Vec<u8> {
    let texts: Vec<String> = percentiles
        .iter()
        .map(|p| {
            format!("{p:.6}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_string()
        })
        .collect();
    texts.join(" ").into_bytes()
}

/// Whether a text stands for itself as one word of a line.
fn is_plain_word(text: &[u8]) -> bool {
    let is_plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
    !text.is_empty() && text.iter().all(is_plain)
}

/// A word as a line can hold it. Upstream does not quote the master's host, so that one with a line end adds lines to the
/// file.
fn word(text: &[u8]) -> Vec<u8> {
    if is_plain_word(text) {
        return text.to_vec();
    }
    let mut quoted = Vec::new();
    sdscatrepr(&mut quoted, text);
    quoted
}

/// A line of a name and its arguments.
fn line(name: &str, args: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b" ", args].concat()
}

#[cfg(test)]
mod tests {
    use super::super::{lookup, split_value};
    use super::*;

    fn set(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
        let row = lookup(name.as_bytes()).expect("a directive");
        row.set(config, &split_value(row, value.as_bytes()), false)
            .map(|_| ())
    }

    #[test]
    fn good_values() {
        let cases = [
            ("bind", "127.0.0.1 -::1", "127.0.0.1 -::1"),
            ("bind", "", ""),
            ("save", "900 1 300 10", "900 1 300 10"),
            ("save", "", ""),
            (
                "client-output-buffer-limit",
                "replica 1mb 2kb 3 pubsub 1 2 3",
                "normal 0 0 0 slave 1048576 2048 3 pubsub 1 2 3",
            ),
            ("oom-score-adj-values", "-5 0 2000", "-5 0 2000"),
            ("notify-keyspace-events", "KEA", "AKE"),
            (
                "latency-tracking-info-percentiles",
                "0.0 50.50 100",
                "0 50.5 100",
            ),
            ("latency-tracking-info-percentiles", "", ""),
        ];
        for (name, value, shown) in cases {
            let mut config = Config::default();
            assert_eq!(set(&mut config, name, value), Ok(()), "{name} {value}");
            let row = lookup(name.as_bytes()).expect("a directive");
            assert_eq!(
                String::from_utf8_lossy(&row.get(&config)),
                shown,
                "{name} {value}"
            );
        }
    }

    #[test]
    fn bad_values() {
        let cases = [
            ("save", "900", "Invalid save parameters"),
            ("save", "900  1", "Invalid save parameters"),
            ("save", "0 1", "Invalid save parameters"),
            ("save", "1 -1", "Invalid save parameters"),
            ("save", "1 99999999999", "Invalid save parameters"),
            ("save", "900 1 300 x", "Invalid save parameters"),
            (
                "bind",
                "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
                "Too many bind addresses specified.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1 2",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1 2 3 master 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            ("bind", "::1  ::2", "Failed to bind to specified addresses."),
            (
                "bind",
                "::1\nport\t1",
                "Failed to bind to specified addresses.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1 2 -3",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            ("oom-score-adj-values", "1 2", "wrong number of arguments"),
            (
                "oom-score-adj-values",
                "1 2 3000",
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
            ),
            (
                "notify-keyspace-events",
                "KQ",
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
            ),
            ("replicaof", "127.0.0.1 abc", "Invalid master port"),
            ("replicaof", "127.0.0.1 65536", "Invalid master port"),
            ("replicaof", "127.0.0.1", "wrong number of arguments"),
            (
                "latency-tracking-info-percentiles",
                "x",
                "Invalid latency-tracking-info-percentiles parameters",
            ),
            (
                "latency-tracking-info-percentiles",
                "50 100.1",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
            ("dir", "/no/such/folder", "No such file or directory"),
        ];
        for (name, value, text) in cases {
            let mut config = Config::default();
            assert_eq!(
                set(&mut config, name, value),
                Err(text.into()),
                "{name} {value}"
            );
            assert_eq!(config, Config::default(), "{name} {value}");
        }
    }

    #[test]
    fn replicaof_no_one() {
        let mut config = Config::default();
        assert_eq!(set(&mut config, "slaveof", "10.0.0.1 6380"), Ok(()));
        assert_eq!(
            (config.masterhost.as_deref(), config.masterport),
            (Some(&b"10.0.0.1"[..]), 6380)
        );
        assert_eq!(set(&mut config, "replicaof", "NO one"), Ok(()));
        assert_eq!(config.masterhost, None);
    }
}
