//! CONFIG SET: several directives at once, all or none.
//!
//! Values are set first and take effect after, each effect once. Whatever fails, the values of before are put back and,
//! if effects had begun, take effect again.

use std::ffi::OsString;
use std::fmt;

use super::effect::{Apply, ConfigHost};
use super::fields::Config;
use super::row::{Change, Row, RowFlags};
use super::special;
use super::{log_ineffective, lookup_entry, split_value, strerror};
use crate::base::log::Level;
use crate::server_log;

/// Why CONFIG SET changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    /// A data set is being loaded.
    Loading,
    /// No directive has this name.
    Unknown(Vec<u8>),
    /// A directive refused.
    Failed {
        /// Its name.
        name: Vec<u8>,
        /// Why.
        reason: String,
    },
}

impl SetError {
    /// The error reply, with the client's own bytes; a leading `-` brings a code in place of ERR.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            SetError::Loading => b"-LOADING Redis is loading the dataset in memory".to_vec(),
            SetError::Unknown(name) => [
                b"Unknown option or number of arguments for CONFIG SET - '",
                &name[..],
                b"'",
            ]
            .concat(),
            SetError::Failed { name, reason } => [
                b"CONFIG SET failed (possibly related to argument '",
                &name[..],
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// A pair whose name was found.
struct Pair<'a> {
    row: &'static Row,
    /// The name as the table spells it, old or new.
    name: &'static str,
    value: &'a [u8],
}

/// Sets all pairs of name and value, or none (config.c, configSetCommand).
///
/// # Errors
/// The first fault; nothing has changed then.
pub(crate) fn config_set(
    host: &mut impl ConfigHost,
    pairs: &[(&[u8], &[u8])],
) -> Result<(), SetError> {
    let pairs = find_pairs(host, pairs)?;
    let backup = Backup::new(host, &pairs);
    let mut effects: Vec<(Apply, &str)> = Vec::new();
    for pair in &pairs {
        let set = pair
            .row
            .set(host.config(), &split_value(pair.row, pair.value), false);
        match set {
            Ok(Change::Changed) => {
                let new = pair
                    .row
                    .apply
                    .filter(|apply| !effects.iter().any(|(known, _)| known == apply));
                effects.extend(new.map(|apply| (apply, pair.name)));
            }
            Ok(Change::Unchanged) => {}
            Err(reason) => {
                backup.restore(host);
                return Err(SetError::Failed {
                    name: pair.name.into(),
                    reason,
                });
            }
        }
    }
    for (apply, name) in &effects {
        if let Err(reason) = host.apply(*apply) {
            warn(&format!(
                "Failed applying new configuration. Possibly related to new {name} setting. \
                 Restoring previous settings."
            ));
            backup.restore(host);
            for (apply, _) in &effects {
                if let Err(reason) = host.apply(*apply) {
                    warn(&format!(
                        "Failed applying restored failed CONFIG SET command: {reason}"
                    ));
                }
            }
            return Err(SetError::Failed {
                name: (*name).into(),
                reason,
            });
        }
    }
    let default = Config::default();
    for pair in &pairs {
        if pair.row.is_ineffective(host.config(), &default) {
            log_ineffective(pair.name);
        }
    }
    Ok(())
}

/// Looks all names up and asks whether they may be set. All of them, even after a fault: each secret must be redacted.
fn find_pairs<'a>(
    host: &mut impl ConfigHost,
    pairs: &[(&'a [u8], &'a [u8])],
) -> Result<Vec<Pair<'a>>, SetError> {
    let mut found: Vec<Pair<'a>> = Vec::with_capacity(pairs.len());
    let mut fault = None;
    for (index, &(given, value)) in pairs.iter().enumerate() {
        let Some((row, name)) = lookup_entry(given) else {
            fault.get_or_insert_with(|| SetError::Unknown(given.to_vec()));
            continue;
        };
        if row.has(RowFlags::SENSITIVE) {
            host.redact(index);
        }
        if fault.is_some() {
            continue;
        }
        let failed = |reason: &str| SetError::Failed {
            name: given.to_vec(),
            reason: reason.into(),
        };
        let may_set_protected = host
            .config()
            .enable_protected_configs
            .allows(host.is_local());
        if row.has(RowFlags::IMMUTABLE) {
            fault = Some(failed("can't set immutable config"));
        } else if row.has(RowFlags::PROTECTED) && !may_set_protected {
            fault = Some(failed("can't set protected config"));
        } else if row.has(RowFlags::DENY_LOADING) && host.is_loading() {
            fault = Some(SetError::Loading);
        } else if found.iter().any(|pair| pair.name == name) {
            fault = Some(failed("duplicate parameter"));
        } else {
            found.push(Pair { row, name, value });
        }
    }
    fault.map_or(Ok(found), Err)
}

/// All values of before; the working folder is one of them if `dir` is to change.
struct Backup {
    config: Config,
    folder: Option<OsString>,
}

impl Backup {
    fn new(host: &mut impl ConfigHost, pairs: &[Pair<'_>]) -> Backup {
        let changes_folder = pairs.iter().any(|pair| pair.row.is_special(&special::DIR));
        let folder = changes_folder
            .then(|| std::env::current_dir().ok())
            .flatten();
        Backup {
            config: host.config().clone(),
            folder: folder.map(Into::into),
        }
    }

    fn restore(&self, host: &mut impl ConfigHost) {
        host.config().clone_from(&self.config);
        if let Some(folder) = &self.folder
            && let Err(error) = std::env::set_current_dir(folder)
        {
            warn(&format!(
                "Failed restoring failed CONFIG SET command. Error setting dir to '{}': {}",
                folder.to_string_lossy(),
                strerror(&error)
            ));
        }
    }
}

fn warn(text: &str) {
    server_log!(Level::Warning, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::value::ProtectedAction;
    use super::*;

    #[derive(Default)]
    struct ToyHost {
        config: Config,
        loading: bool,
        local: bool,
        redacted: Vec<usize>,
        applied: Vec<(Apply, u16)>,
        used_port: Option<u16>,
    }

    impl ConfigHost for ToyHost {
        fn config(&mut self) -> &mut Config {
            &mut self.config
        }
        fn apply(&mut self, apply: Apply) -> Result<(), String> {
            self.applied.push((apply, self.config.port));
            if self.used_port == Some(self.config.port) {
                return Err("Unable to listen on this port. Check server logs.".into());
            }
            Ok(())
        }
        fn is_loading(&self) -> bool {
            self.loading
        }
        fn is_local(&self) -> bool {
            self.local
        }
        fn redact(&mut self, index: usize) {
            self.redacted.push(index);
        }
    }

    fn set(host: &mut ToyHost, pairs: &[(&str, &str)]) -> Result<(), String> {
        let pairs: Vec<(&[u8], &[u8])> = pairs
            .iter()
            .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
            .collect();
        config_set(host, &pairs).map_err(|e| e.to_string())
    }

    #[test]
    fn several_at_once() {
        let mut host = ToyHost::default();
        let set = set(
            &mut host,
            &[
                ("maxmemory", "10000001"),
                ("SAVE", "3000 5"),
                ("min-slaves-max-lag", "3"),
                ("min-replicas-to-write", "1"),
                ("timeout", "0"),
            ],
        );
        assert_eq!(set, Ok(()));
        assert_eq!(
            (host.config.maxmemory, host.config.save.len()),
            (10000001, 1)
        );
        assert_eq!(
            host.applied,
            [(Apply::Maxmemory, 6379), (Apply::GoodSlaves, 6379)]
        );
    }

    #[test]
    fn a_bad_value_changes_nothing() {
        let mut host = ToyHost::default();
        host.config.maxmemory = 10000002;
        let before = host.config.clone();
        let set = set(
            &mut host,
            &[
                ("maxmemory", "10000001"),
                ("port", "7000"),
                ("maxmemory-clients", "200%"),
                ("client-query-buffer-limit", "invalid"),
            ],
        );
        assert_eq!(
            set,
            Err(
                "CONFIG SET failed (possibly related to argument 'maxmemory-clients') - \
                 percentage argument must be less or equal to 100"
                    .into()
            )
        );
        assert_eq!(host.config, before);
        assert_eq!(host.applied, []);
    }

    #[test]
    fn an_effect_that_fails_is_taken_back() {
        let mut host = ToyHost {
            used_port: Some(7000),
            ..ToyHost::default()
        };
        let set = set(
            &mut host,
            &[
                ("hz", "100"),
                ("port", "7000"),
                ("maxclients", "5"),
                ("timeout", "9"),
            ],
        );
        assert_eq!(
            set,
            Err("CONFIG SET failed (possibly related to argument 'hz') - \
                 Unable to listen on this port. Check server logs."
                .into())
        );
        assert_eq!(host.config, Config::default());
        assert_eq!(
            host.applied,
            [
                (Apply::Hz, 7000),
                (Apply::Hz, 6379),
                (Apply::Port, 6379),
                (Apply::Maxclients, 6379)
            ]
        );
    }

    #[test]
    fn refusals() {
        let failed = |name: &str, reason: &str| {
            Err(format!(
                "CONFIG SET failed (possibly related to argument '{name}') - {reason}"
            ))
        };
        let unknown = |name: &str| {
            Err(format!(
                "Unknown option or number of arguments for CONFIG SET - '{name}'"
            ))
        };
        let mut host = ToyHost::default();
        assert_eq!(
            set(&mut host, &[("nope", "1"), ("daemonize", "yes")]),
            unknown("nope")
        );
        assert_eq!(
            set(&mut host, &[("Daemonize", "yes")]),
            failed("Daemonize", "can't set immutable config")
        );
        assert_eq!(
            set(&mut host, &[("port", "1"), ("Port", "2")]),
            failed("Port", "duplicate parameter")
        );
        let immutable = failed("daemonize", "can't set immutable config");
        assert_eq!(
            set(&mut host, &[("daemonize", "yes"), ("nope", "1")]),
            immutable
        );
        assert_eq!(
            set(&mut host, &[("dir", "/")]),
            failed("dir", "can't set protected config")
        );
        assert_eq!(
            set(&mut host, &[("slave-priority", "x")]),
            failed("slave-priority", PARSE)
        );
        host.config.enable_protected_configs = ProtectedAction::Local;
        assert_eq!(
            set(&mut host, &[("dbfilename", "x")]),
            failed("dbfilename", "can't set protected config")
        );
        host.local = true;
        assert_eq!(set(&mut host, &[("dbfilename", "x")]), Ok(()));
        host.loading = true;
        let loading = Err("-LOADING Redis is loading the dataset in memory".to_string());
        assert_eq!(
            set(&mut host, &[("port", "7000"), ("appendonly", "yes")]),
            loading
        );
        assert_eq!(host.config.port, 6379);
    }

    const PARSE: &str = "argument couldn't be parsed into an integer";

    #[test]
    fn secrets_are_redacted_even_after_a_fault() {
        let mut host = ToyHost::default();
        assert!(
            set(
                &mut host,
                &[("requirepass", "a"), ("nope", "1"), ("masterauth", "b")]
            )
            .is_err()
        );
        assert_eq!(host.redacted, [0, 2]);
    }

    #[test]
    fn the_working_folder_is_put_back() {
        let before = std::env::current_dir().expect("there");
        let mut host = ToyHost::default();
        host.config.enable_protected_configs = ProtectedAction::Yes;
        let folder = before.to_str().expect("text").to_string();
        assert!(set(&mut host, &[("dir", &folder), ("port", "x")]).is_err());
        assert_eq!(std::env::current_dir().expect("there"), before);
        assert_eq!(set(&mut host, &[("dir", &folder), ("port", "1")]), Ok(()));
    }
}
