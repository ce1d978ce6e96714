//! Reading the configuration: files, standard input and the command line's options, line by line.
//!
//! A line is a directive and its arguments, with the quoting of sdssplitargs. Lines are taken in turn and the last one
//! wins, but `save` lines add up. The first fault ends it. What other owners must judge (`user`, `rename-command`,
//! `loadmodule`, directives of modules and Sentinel) is kept as [`DeferredLine`]s. What this version cannot do at all is a
//! fault of the line that asks for it (`unbuilt`).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use super::error::ConfigError;
use super::fields::Config;
use super::glob_files::{glob, is_pattern};
use super::rewrite_lines::trim;
use super::row::RowFlags;
use super::unbuilt::check_all_built;
use super::value::DeferredLine;
use super::{lookup, strerror};
use crate::base::log::Level;
use crate::base::split_args::sdssplitargs;
use crate::server_log;

/// Most bytes of one configuration text: a device or pipe without an end is a fault, not a way to fill the memory.
const MAX_CONFIG_LEN: u64 = 64 << 20;
/// Deepest `include` in an `include`, so that a file that includes itself is a fault.
const MAX_INCLUDE_DEPTH: usize = 32;
/// Faults of a configuration that is only looked at.
const MAX_FAULTS: usize = 100;
/// Directives of the past that are still passed over, when they have one argument.
const DEPRECATED: [&[u8]; 3] = [
    b"list-max-ziplist-entries",
    b"list-max-ziplist-value",
    b"lua-replicate-commands",
];

/// Reads a file, then standard input, then options, as one configuration (config.c, loadServerConfig). Each may be
/// absent. The file may be a pattern.
///
/// # Errors
/// The first fault; values before it are stored.
pub(crate) fn load_server_config(
    config: &mut Config,
    file: Option<&[u8]>,
    stdin: Option<&mut dyn Read>,
    options: &[u8],
) -> Result<(), ConfigError> {
    Loader {
        config,
        reading_file: false,
        depth: 0,
        faults: None,
    }
    .load(file, stdin, options)
}

/// Reads a file as [`load_server_config`] does, goes on after a line that is at fault, and creates nothing. Returns all faults.
pub(super) fn check_server_config(config: &mut Config, file: &[u8]) -> Vec<ConfigError> {
    let mut loader = Loader {
        config,
        reading_file: false,
        depth: 0,
        faults: Some(Vec::new()),
    };
    let last = loader.load(Some(file), None, b"");
    let mut faults = loader.faults.take().unwrap_or_default();
    faults.extend(last.err());
    faults
}

struct Loader<'a> {
    config: &'a mut Config,
    /// `save` lines add up. As upstream's, the flag falls at the end of an included file, and `save` lines that follow
    /// replace each other.
    reading_file: bool,
    depth: usize,
    /// The configuration is only looked at: its faults so far. None: the first one ends it.
    faults: Option<Vec<ConfigError>>,
}

impl Loader<'_> {
    fn load(
        &mut self,
        file: Option<&[u8]>,
        stdin: Option<&mut dyn Read>,
        options: &[u8],
    ) -> Result<(), ConfigError> {
        let mut text = Vec::new();
        if let Some(path) = file {
            let paths = if is_pattern(path) {
                glob(path)
            } else {
                vec![path.to_vec()]
            };
            for path in paths {
                let read = File::open(OsStr::from_bytes(&path))
                    .and_then(|mut file| read_text(&mut file, &mut text));
                read.map_err(|e| ConfigError::CannotOpen {
                    path,
                    reason: strerror(&e),
                })?;
            }
        }
        if let Some(stdin) = stdin {
            server_log!(Level::Notice, "Reading config from stdin");
            read_text(stdin, &mut text).map_err(|e| ConfigError::CannotOpen {
                path: b"-".to_vec(),
                reason: strerror(&e),
            })?;
        }
        text.push(b'\n');
        text.extend_from_slice(options);
        self.load_server_config_from_string(&text)
    }

    /// config.c, loadServerConfigFromString.
    fn load_server_config_from_string(&mut self, text: &[u8]) -> Result<(), ConfigError> {
        self.reading_file = true;
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let loaded = self
                .load_line(index + 1, line)
                .map_err(|fault| match fault {
                    Fault::Here(reason) => ConfigError::Line {
                        number: index + 1,
                        text: line.to_vec(),
                        reason,
                    },
                    Fault::Elsewhere(error) => error,
                });
            match (loaded, &mut self.faults) {
                (Err(e), Some(faults)) if faults.len() < MAX_FAULTS => faults.push(e),
                (loaded, _) => loaded?,
            }
        }
        self.check_whole()?;
        self.reading_file = false;
        Ok(())
    }

    fn load_line(&mut self, number: usize, line: &[u8]) -> Result<(), Fault> {
        let mut args = sdssplitargs(line).ok_or("Unbalanced quotes in configuration line")?;
        let Some(name) = args.first_mut() else {
            return Ok(());
        };
        name.make_ascii_lowercase();
        let name = name.clone();
        let deferred = |args| DeferredLine {
            number,
            text: line.to_vec(),
            args,
        };

        if let Some(row) = lookup(&name) {
            let values = &args[1..];
            match values {
                // One argument that holds several, as `--save "900 1"` gives.
                [only] if row.has(RowFlags::MULTI_ARG) && !only.is_empty() => {
                    let values = sdssplitargs(only).unwrap_or_default();
                    row.set(self.config, &values, self.reading_file)?;
                }
                _ if row.has(RowFlags::MULTI_ARG) || values.len() == 1 => {
                    row.set(self.config, values, self.reading_file)?;
                }
                _ => return Err("wrong number of arguments".into()),
            }
            return Ok(());
        }

        match (&name[..], args.len()) {
            (name, 2) if DEPRECATED.contains(&name) => {}
            (b"include", 2) => self.include(&args[1])?,
            (b"rename-command", 3) => self.config.renamed_commands.push(deferred(args)),
            (b"user", 2..) => self.config.users.push(deferred(args)),
            (b"loadmodule", 2..) => self.config.loadmodules.push(deferred(args)),
            (name, length) if name.contains(&b'.') => {
                if length < 2 {
                    return Err("Module config specified without value".into());
                }
                self.config.module_directives.push(deferred(args));
            }
            // Alone it is the command line's `--sentinel`, which was heeded before.
            (b"sentinel", 1) => {}
            (b"sentinel", _) if self.config.sentinel_mode => {
                self.config.sentinel_lines.push(deferred(args))
            }
            (b"sentinel", _) => return Err("sentinel directive while not in sentinel mode".into()),
            _ => return Err("Bad directive or wrong number of arguments".into()),
        }
        Ok(())
    }

    fn include(&mut self, path: &[u8]) -> Result<(), Fault> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err("too many files that include each other".into());
        }
        self.depth += 1;
        let loaded = self.load(Some(path), None, b"");
        self.depth -= 1;
        loaded.map_err(Fault::Elsewhere)
    }

    /// Checks between directives, after the last line.
    fn check_whole(&mut self) -> Result<(), ConfigError> {
        let config = &mut *self.config;
        // Not at the end of an included file: what follows may take it back.
        if self.depth == 0 {
            check_all_built(config)?;
        }
        if !config.logfile.is_empty() && self.faults.is_none() {
            // Later it would be too late to stop for it.
            let opened = File::options()
                .append(true)
                .create(true)
                .open(OsStr::from_bytes(&config.logfile));
            opened.map_err(|e| ConfigError::Whole {
                reason: format!("Can't open the log file: {}", strerror(&e)),
            })?;
        }
        if config.cluster_enabled && config.masterhost.is_some() {
            return Err(ConfigError::Whole {
                reason: "replicaof directive not allowed in cluster mode".into(),
            });
        }
        if config.cluster_enabled && config.databases > 1 {
            server_log!(
                Level::Warning,
                "WARNING: Changing databases number from {} to 1 since we are in cluster mode",
                config.databases
            );
            config.databases = 1;
        }
        config.clamp_hz();
        Ok(())
    }
}

/// What is wrong with a line: the line itself, or a file that it includes.
enum Fault {
    Here(String),
    Elsewhere(ConfigError),
}

impl From<String> for Fault {
    fn from(reason: String) -> Fault {
        Fault::Here(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Fault {
        Fault::Here(reason.into())
    }
}

fn read_text(from: &mut (impl Read + ?Sized), text: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(MAX_CONFIG_LEN + 1).read_to_end(text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_CONFIG_LEN) {
        Ok(())
    } else {
        Err(io::Error::other("File too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::SaveParam;
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let mut loader = Loader {
            config: &mut config,
            reading_file: false,
            depth: 0,
            faults: None,
        };
        loader
            .load_server_config_from_string(text.as_bytes())
            .map(|()| config)
    }

    fn scratch(name: &str, text: &str) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("aedile-load-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("writable");
        path.as_os_str().as_bytes().to_vec()
    }

    #[test]
    fn good_lines() {
        let config = load(
            "# a comment\n\n  port 7000 \r\n\tMaxMemory\t700mb\nbind 127.0.0.1 \"-::1\"\nlogfile ''\n\
             requirepass \"a b\\x41\\n\"\nslave-read-only no\nport 7001\nlua-replicate-commands yes\n\
             replicaof 10.0.0.1 6380\nuser default on \">a b\\x41\\n\" ~* &* +@all\nrename-command FLUSHALL \"\"\n\
             shutdown-on-sigint \"nosave now\"\nsentinel\nsave 900 1\nsave 300 10\n",
        )
        .expect("good");
        assert_eq!(config.port, 7001);
        assert_eq!(config.maxmemory, 700 << 20);
        assert_eq!(config.bind, [&b"127.0.0.1"[..], b"-::1"]);
        assert_eq!(config.requirepass.as_deref(), Some(&b"a bA\n"[..]));
        assert!(!config.replica_read_only);
        assert_eq!(config.masterhost.as_deref(), Some(&b"10.0.0.1"[..]));
        assert_eq!(config.shutdown_on_sigint.bits(), 6);
        assert_eq!(config.save.len(), 2);
        assert_eq!(config.users[0].args[..3], [&b"user"[..], b"default", b"on"]);
        assert_eq!(
            (
                config.renamed_commands[0].number,
                config.renamed_commands[0].args.len()
            ),
            (13, 3)
        );
        assert_eq!(
            ConfigError::of_line(
                &config.renamed_commands[0],
                "No such command in rename-command"
            )
            .to_string(),
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at line 13\n\
             >>> 'rename-command FLUSHALL \"\"'\nNo such command in rename-command\n"
        );
    }

    #[test]
    fn bad_lines() {
        let cases = [
            ("invalid", "Bad directive or wrong number of arguments"),
            ("port", "wrong number of arguments"),
            ("port 1 2", "wrong number of arguments"),
            (
                "port \"--bla\"",
                "argument couldn't be parsed into an integer",
            ),
            ("port \"1", "Unbalanced quotes in configuration line"),
            ("port \"1\"2", "Unbalanced quotes in configuration line"),
            ("replicaof \"127.0.0.1\" \"abc\"", "Invalid master port"),
            ("replicaof \"--127.0.0.1\"", "wrong number of arguments"),
            (
                "shutdown-on-sigint",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                "shutdown-on-sigint \"\"",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            ("user", "Bad directive or wrong number of arguments"),
            ("include", "Bad directive or wrong number of arguments"),
            (
                "rename-command a",
                "Bad directive or wrong number of arguments",
            ),
            ("a.b", "Module config specified without value"),
            (
                "sentinel monitor x",
                "sentinel directive while not in sentinel mode",
            ),
            (
                "lua-replicate-commands",
                "Bad directive or wrong number of arguments",
            ),
            ("\"\" x", "Bad directive or wrong number of arguments"),
            ("dir /no/such/folder", "No such file or directory"),
            ("save 900", "Invalid save parameters"),
        ];
        for (line, reason) in cases {
            let error = load(&format!("# first\n  {line} \nport 1\n")).expect_err(line);
            let text = format!(
                "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at line 2\n\
                 >>> '{line}'\n{reason}\n"
            );
            assert_eq!(error.to_string(), text);
            assert!(!error.is_log_line());
        }
    }

    #[test]
    fn faults_of_the_whole() {
        let error = load("logfile /no/such/folder/log\n").expect_err("no such folder");
        assert_eq!(
            error.to_string(),
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nCan't open the log file: No such file or directory\n"
        );
        assert_eq!(load("hz 0\n").expect("good").hz, 1);
        assert_eq!(load("hz 10000\n").expect("good").hz, 500);
    }

    #[test]
    fn save_lines() {
        let save = |text: &str| -> Vec<(i64, i32)> {
            load(text)
                .expect("good")
                .save
                .iter()
                .map(|p| (p.seconds, p.changes))
                .collect()
        };
        assert_eq!(save("port 1\n"), [(3600, 1), (300, 100), (60, 10000)]);
        assert_eq!(save("save 100 100\n"), [(100, 100)]);
        assert_eq!(save("save 900 1\nsave 100 100\n"), [(900, 1), (100, 100)]);
        assert_eq!(save("save 900 1 100 100\n"), [(900, 1), (100, 100)]);
        assert_eq!(save("save \"900 1 100 100\"\n"), [(900, 1), (100, 100)]);
        assert_eq!(save("save 900 1\nsave \"\"\n"), []);
        assert_eq!(save("save 900 1\nsave \"\"\nsave 5 5\n"), [(5, 5)]);
        assert_eq!(save("save\n"), []);
    }

    #[test]
    fn options_follow_the_file() {
        let path = scratch("base.conf", "port 1\nsave 900 1");
        let mut config = Config::default();
        let load = load_server_config(
            &mut config,
            Some(&path),
            None,
            b"port \"2\" \nsave \"100\" \"100\" ",
        );
        assert_eq!(load, Ok(()));
        assert_eq!((config.port, config.save.len()), (2, 2));
        let error = load_server_config(&mut Config::default(), Some(&path), None, b"port x")
            .expect_err("bad port");
        assert!(
            error.to_string().contains("at line 3\n>>> 'port x'\n"),
            "{error}"
        );
        std::fs::remove_file(OsStr::from_bytes(&path)).expect("removable");
    }

    #[test]
    fn includes() {
        let inner = scratch("inner.conf", "# x\nport 5\nport x\n");
        let text = [b"include ", &inner[..]].concat();
        let error = load(&String::from_utf8(text).expect("text")).expect_err("bad line");
        assert!(
            error.to_string().contains("at line 3\n>>> 'port x'\n"),
            "{error}"
        );

        let error = load("include /no/such.conf").expect_err("no file");
        assert!(error.is_log_line());
        assert_eq!(
            error.to_string(),
            "Fatal error, can't open config file '/no/such.conf': No such file or directory"
        );
        assert!(load("include /no/such/*.conf").is_ok());

        let points = scratch("points.conf", "save 1 1\nsave 2 2\n");
        let points_path = String::from_utf8(points.clone()).expect("text");
        let config = load(&format!("save 5 5\ninclude {points_path}\n")).expect("good");
        assert_eq!(config.save.len(), 3);
        let config = load(&format!("include {points_path}\nsave 6 6\nsave 7 7\n")).expect("good");
        assert_eq!(
            config.save,
            [SaveParam {
                seconds: 7,
                changes: 7
            }]
        );

        let myself = scratch("myself.conf", "");
        std::fs::write(
            OsStr::from_bytes(&myself),
            [b"include ", &myself[..]].concat(),
        )
        .expect("writable");
        let error = load_server_config(&mut Config::default(), Some(&myself), None, b"")
            .expect_err("a loop");
        assert!(
            error
                .to_string()
                .contains("too many files that include each other"),
            "{error}"
        );
        for path in [inner, myself, points] {
            std::fs::remove_file(OsStr::from_bytes(&path)).expect("removable");
        }
    }
}
