//! CONFIG REWRITE: puts the values of now into the configuration file, and keeps its comments and order.
//!
//! Each directive reuses its lines of the old file, in turn; what has no line and is not at its default is appended below
//! a signature; lines that are left over are blanked. Lines of directives that only files know (`include`, `user`,
//! `rename-command`, `loadmodule`, `sentinel`) stay unless the caller gives new ones.
//!
//! The file is replaced as a whole by a rename. Where the folder does not allow that (a mounted file, a folder of another
//! user), the file is written in place: all bytes over the old ones first, then cut, so that at no time it is empty. A
//! symbolic link stays one, and the file keeps its permissions; upstream replaces the link and sets 0644.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::fields::Config;
use super::rewrite_lines::{RewriteState, format_memory, trim};
use super::row::{Kind, NumberForm, Row, RowFlags, bool_name, enum_names};
use super::value::ExtraLines;
use super::{TABLE, lookup, strerror};
use crate::base::log::Level;
use crate::base::replace_file::{Step, replace_file};
use crate::base::split_args::{sdscatrepr, sdssplitargs};
use crate::server::Server;
use crate::server_log;

/// Directives that only files know.
const FILE_ONLY: [&[u8]; 5] = [
    b"include",
    b"rename-command",
    b"user",
    b"loadmodule",
    b"sentinel",
];

/// The state of an old file (config.c, rewriteConfigReadOldFile); `sentinel` lines are told apart by their second
/// word in Sentinel mode.
fn state_of(old: &[u8], sentinel_mode: bool) -> RewriteState {
    let mut state = RewriteState::new();
    if old.is_empty() {
        return state;
    }
    for line in old.split(|b| *b == b'\n').map(trim) {
        if line.is_empty() || line.starts_with(b"#") {
            state.keep(line);
            continue;
        }
        let words = sdssplitargs(line).unwrap_or_default();
        let first = words
            .first()
            .map(|word| word.to_ascii_lowercase())
            .unwrap_or_default();
        let option = match lookup(&first) {
            Some(row) => row.name.into(),
            None if FILE_ONLY.contains(&&first[..]) => match words.get(1) {
                Some(second) if sentinel_mode && first == b"sentinel" => {
                    let second = second.to_ascii_lowercase();
                    let second: &[u8] = match &second[..] {
                        // Its name before 5.0.
                        b"known-slave" => b"known-replica",
                        other => other,
                    };
                    [&first[..], b" ", second].concat()
                }
                _ => first,
            },
            None => {
                // Nobody understands it, perhaps no longer: it stays for people to read.
                state.keep(&[b"# ??? ", line].concat());
                continue;
            }
        };
        state.keep_for(option, line);
    }
    state
}

/// Gives a row its line.
fn rewrite_row(state: &mut RewriteState, row: &Row, config: &Config) {
    let name = row.name;
    let (value, force) = match row.kind {
        Kind::Special(special) => return (special.rewrite)(config, name, state),
        Kind::Bool { get, .. } => (
            bool_name(get(config)).into(),
            get(config) != get(state.defaults()),
        ),
        Kind::Enum { names, get, .. } => {
            let value = get(config);
            (
                enum_names(names, value, row.has(RowFlags::MULTI_ARG)).into_bytes(),
                value != get(state.defaults()),
            )
        }
        Kind::Number { get, form, .. } => {
            let value = get(config);
            let text = match form {
                NumberForm::MemoryOrPercent if value < 0 => format!("{}%", -value),
                NumberForm::Memory | NumberForm::MemoryOrPercent => format_memory(value),
                NumberForm::Octal => format!("{value:o}"),
                NumberForm::Integer => value.to_string(),
            };
            (text.into_bytes(), value != get(state.defaults()))
        }
        Kind::Text { get, .. } => {
            // Without a value there must be no line.
            let Some(value) = get(config) else {
                return state.mark_as_processed(name);
            };
            let mut quoted = Vec::new();
            sdscatrepr(&mut quoted, value);
            (quoted, Some(value) != get(state.defaults()))
        }
    };
    state.rewrite_line(name, [name.as_bytes(), b" ", &value].concat(), force);
}

/// The new content of a file that now holds `old`. With `force_all`, directives at their default get a line as well.
pub(crate) fn rewrite_config_text(
    config: &Config,
    old: &[u8],
    force_all: bool,
    extra: &[ExtraLines],
) -> Vec<u8> {
    let mut state = state_of(old, config.sentinel_mode);
    state.force_write = force_all;
    for row in TABLE {
        rewrite_row(&mut state, row, config);
    }
    for ExtraLines {
        option,
        lines,
        force,
    } in extra
    {
        state.mark_as_processed(option);
        for line in lines {
            state.rewrite_line(option, line.clone(), *force);
        }
    }
    state.remove_orphaned();
    state.content()
}

/// Lines of the directives that a crash report shows (config.c, getConfigDebugInfo).
pub(crate) fn get_config_debug_info(config: &Config) -> Vec<u8> {
    let mut state = RewriteState::new();
    state.force_write = true;
    state.needs_signature = false;
    for row in TABLE.iter().filter(|row| row.has(RowFlags::DEBUG)) {
        rewrite_row(&mut state, row, config);
    }
    state.content()
}

/// Rewrites a configuration file (config.c, rewriteConfig); a missing one is made.
///
/// # Errors
/// Of the file system; the file is then the old one, unless only the folder could not be synced.
pub(crate) fn rewrite_config(
    config: &Config,
    path: &Path,
    force_all: bool,
    extra: &[ExtraLines],
) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let old = match fs::read(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let content = rewrite_config_text(config, old.as_deref().unwrap_or_default(), force_all, extra);
    // The folder may stand in the way before the new file is in place; once it is there, it stays.
    let in_place = Cell::new(false);
    let told = |step: Step, error: &io::Error| {
        in_place.set(step == Step::SyncFolder);
        let what = match step {
            Step::Create => "Could not create tmp config file",
            Step::Write => "Failed to write tmp config file",
            Step::Permit => "Could not chmod config file",
            Step::Sync => "Could not sync tmp config file to disk",
            Step::Rename => "Could not rename tmp config file",
            Step::SyncFolder => "Could not sync config file dir",
        };
        warn(&format!("{what} ({})", strerror(error)));
    };
    match (replace_file(path, &content, told), &old) {
        (Ok(()), _) => {}
        (Err(error), Some(old)) if !in_place.get() && folder_forbids(&error) => {
            let reason = strerror(&error);
            warn(&format!(
                "Could not replace the config file ({reason}), writing it in place"
            ));
            overwrite_in_place(path, old, &content)?;
        }
        (Err(error), _) => return Err(error),
    }
    server_log!(
        Level::Debug,
        "Rewritten config file ({}) successfully",
        path.display()
    );
    Ok(())
}

impl Server {
    /// Rewrites the server's own configuration file, with the users, and with these lines besides.
    ///
    /// # Errors
    /// There is no such file, or as of [`rewrite_config`].
    pub(crate) fn rewrite_config_with(&mut self, mut extra: Vec<ExtraLines>) -> io::Result<()> {
        let Some(path) = &self.config.configfile else {
            return Err(io::Error::from(ErrorKind::NotFound));
        };
        extra.push(ExtraLines {
            option: "user".into(),
            lines: self.acl_config_lines(),
            force: true,
        });
        rewrite_config(&self.config, path, false, &extra)
    }
}

/// Whether the folder, and not the file or the disk, stands in the way.
fn folder_forbids(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
    )
}

fn warn(text: &str) {
    server_log!(Level::Warning, "{text}");
}

/// Writes the content over the old one and cuts the rest. Until the cut, empty lines fill the place of a longer old
/// content, so that a crash after the write leaves a valid file. A write that fails is taken back as far as possible.
fn overwrite_in_place(path: &Path, old: &[u8], content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut padded = content.to_vec();
    padded.resize(old.len().max(content.len()), b'\n');
    let file = File::options().write(true).open(path)?;
    if let Err(error) = file.write_all_at(&padded, 0).and_then(|()| file.sync_all()) {
        warn(&format!(
            "Could not write the config file in place ({})",
            strerror(&error)
        ));
        // The old bytes have their blocks, so this can work on a full disk.
        let _ = file.write_all_at(old, 0);
        let _ = u64::try_from(old.len()).map(|length| file.set_len(length));
        let _ = file.sync_all();
        return Err(error);
    }
    file.set_len(
        u64::try_from(content.len()).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?,
    )?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::load::load_server_config;
    use super::super::rewrite_lines::SIGNATURE;
    use super::super::split_value;
    use super::super::value::SaveParam;
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    fn set(config: &mut Config, name: &str, value: &str) {
        let row = lookup(name.as_bytes()).expect("a directive");
        assert!(
            row.set(config, &split_value(row, value.as_bytes()), false)
                .is_ok(),
            "{name} {value}"
        );
    }

    fn load(text: &[u8]) -> Config {
        let mut config = Config::default();
        let loaded = load_server_config(&mut config, None, None, text);
        assert_eq!(loaded, Ok(()));
        config
    }

    /// The content without the lines that every rewrite writes.
    fn rewrite(config: &Config, old: &str) -> String {
        let text = rewrite_config_text(config, old.as_bytes(), false, &[]);
        let always = [
            "dir ",
            "save 3600 1",
            "save 300 100",
            "save 60 10000",
            "latency-tracking-info-percentiles",
        ];
        let text = String::from_utf8(text).expect("text");
        text.lines()
            .filter(|line| !always.iter().any(|a| line.starts_with(a)))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    #[test]
    fn comments_and_order_stay() {
        let old = "# first\n\n\n\n  # second\nport 7000\n\nslave-priority 7\nmaxmemory 1048576\nnonsense 1\nbad \"quote\n\
                   include /x.conf\nrename-command A B\nuser bob on\nappendonly NO\ntimeout 5\n";
        let mut config = Config::default();
        set(&mut config, "port", "7001");
        set(&mut config, "replica-priority", "8");
        set(&mut config, "maxmemory", "1gb");
        set(&mut config, "loglevel", "debug");
        assert_eq!(
            rewrite(&config, old),
            "# first\n\n# second\nport 7001\n\nreplica-priority 8\nmaxmemory 1gb\n# ??? nonsense 1\n\
             # ??? bad \"quote\ninclude /x.conf\nrename-command A B\nuser bob on\nappendonly no\ntimeout 0\n\n\
             # Generated by CONFIG REWRITE\nloglevel debug\n"
        );
    }

    #[test]
    fn the_signature_comes_once() {
        let mut config = Config::default();
        set(&mut config, "loglevel", "debug");
        let once = rewrite_config_text(&config, b"port 6379\n", false, &[]);
        set(&mut config, "timeout", "7");
        let twice = rewrite_config_text(&config, &once, false, &[]);
        let text = String::from_utf8(twice).expect("text");
        assert_eq!(text.matches("# Generated by CONFIG REWRITE").count(), 1);
        assert!(text.contains("\ntimeout 7\n"));
        // An empty line may come at the end, as the old content's last newline counts as one; no more of them follow.
        let thrice = rewrite_config_text(&config, text.as_bytes(), false, &[]);
        assert_eq!(String::from_utf8_lossy(&thrice).trim_end(), text.trim_end());
        assert_eq!(rewrite_config_text(&config, &thrice, false, &[]), thrice);
    }

    #[test]
    fn lines_that_are_left_over_go() {
        let mut config =
            load(b"replicaof 1.2.3.4 5\nrequirepass x\nport 1\nport 2\nsave 900 1\nsave 300 10\n");
        set(&mut config, "replicaof", "no one");
        set(&mut config, "requirepass", "");
        set(&mut config, "save", "5 6");
        let old =
            "replicaof 1.2.3.4 5\nrequirepass x\nport 1\nport 2\nsave 900 1\nsave 300 10\n# end\n";
        assert_eq!(
            rewrite(&config, old),
            "\nport 2\n\nsave 5 6\n\n# end\n\n# Generated by CONFIG REWRITE\n"
        );
    }

    #[test]
    fn directives_of_several_lines() {
        let old = "save 1 1\nclient-output-buffer-limit slave 1 1 1\nclient-output-buffer-limit pubsub 0 0 0\n";
        let mut config = load(old.as_bytes());
        config.save = vec![
            SaveParam {
                seconds: 7,
                changes: 8,
            },
            SaveParam {
                seconds: 9,
                changes: 10,
            },
        ];
        set(
            &mut config,
            "client-output-buffer-limit",
            "replica 1mb 2kb 3",
        );
        assert_eq!(
            rewrite(&config, old),
            "save 7 8\nclient-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 1mb 2kb 3\n\n\
             # Generated by CONFIG REWRITE\nsave 9 10\nclient-output-buffer-limit pubsub 0 0 0\n"
        );
        config.save.clear();
        assert!(rewrite(&config, "").contains("save \"\"\n"));
    }

    #[test]
    fn extra_lines() {
        let extra = [ExtraLines {
            option: "user".into(),
            lines: vec![b"user default on nopass".to_vec()],
            force: true,
        }];
        let text = rewrite_config_text(
            &Config::default(),
            b"user a\nuser b\nloadmodule /x.so\n",
            false,
            &extra,
        );
        assert!(text.starts_with(b"user default on nopass\n\nloadmodule /x.so\n"));
    }

    #[test]
    fn all_directives_load_again() {
        let mut config = Config::default();
        for (name, value) in [
            ("requirepass", "a \"b\"\\\n\u{1}"),
            ("maxmemory-clients", "5%"),
            ("unixsocket", "/tmp/a b.sock"),
            ("shutdown-on-sigterm", "nosave now"),
            ("notify-keyspace-events", "KEg"),
            ("bind", ""),
            ("oom-score-adj-values", "1 2 3"),
            ("slaveof", "evil\nport\t1 1"),
        ] {
            set(&mut config, name, value);
        }
        let text = rewrite_config_text(&config, b"", true, &[]);
        for row in TABLE {
            let shown = [b"\n", row.name.as_bytes(), b" "].concat();
            let optional = matches!(row.kind, Kind::Text { get, .. } if get(&config).is_none());
            assert_eq!(
                memchr::memmem::find(&text, &shown).is_some(),
                !optional,
                "{}",
                row.name
            );
        }
        let mut again = load(&text);
        again.save_loaded = false;
        assert_eq!(again, config);
    }

    /// A value that some directive may take: often near what is valid.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let likely = "(yes|no|[0-9]{1,20}(mb|kb|%)?|-?[0-9]{1,4}|save|nosave now|[0-9]{1,3} [0-9]{1,3}|KEA|[a-z/.{}]{0,9})";
        prop_oneof![
            likely.prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..12)
        ]
    }

    proptest! {
        /// Whatever CONFIG SET takes is shown so that CONFIG SET takes it, and written so that the next start reads it.
        #[test]
        fn values_survive_get_and_rewrite(pairs in prop::collection::vec((0..TABLE.len(), value()), 1..40)) {
            let mut config = Config::default();
            for (index, value) in pairs {
                let row = &TABLE[index];
                let elsewhere = ["dir", "logfile", "cluster-enabled", "hz"];
                if elsewhere.contains(&row.name) || row.set(&mut config, &split_value(row, &value), false).is_err() {
                    continue;
                }
                let shown = row.get(&config);
                let mut again = config.clone();
                if !row.is_special(&super::super::special::REPLICAOF) {
                    prop_assert!(row.set(&mut again, &split_value(row, &shown), false).is_ok(), "{}", row.name);
                    prop_assert_eq!(&row.get(&again), &shown, "{}", row.name);
                }
            }
            let text = rewrite_config_text(&config, b"", true, &[]);
            let again = load(&text);
            for row in TABLE {
                prop_assert_eq!(row.get(&again), row.get(&config), "{}", row.name);
            }
            prop_assert_eq!(rewrite_config_text(&again, b"", true, &[]), text);
        }

        /// No old file is too odd, and what is written is stable but for empty lines at the end.
        #[test]
        fn any_old_file_is_rewritten(old in prop::collection::vec(any::<u8>(), 0..200)) {
            let config = Config::default();
            let once = rewrite_config_text(&config, &old, false, &[]);
            let twice = rewrite_config_text(&config, &once, false, &[]);
            prop_assert_eq!(rewrite_config_text(&config, &twice, false, &[]), twice);
        }
    }

    #[test]
    fn memory_units() {
        let cases = [
            (0, "0"),
            (1 << 30, "1gb"),
            (3 << 20, "3mb"),
            (1024, "1kb"),
            (1025, "1025"),
        ];
        for (bytes, text) in cases {
            assert_eq!(format_memory(bytes), text);
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("aedile-rewrite-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("writable");
        folder
    }

    #[test]
    fn files_are_replaced() {
        let folder = folder("replace");
        let (path, link) = (folder.join("a.conf"), folder.join("link.conf"));
        fs::write(&path, "port 1\n").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("allowed");
        std::os::unix::fs::symlink(&path, &link).expect("allowed");
        let inode = fs::metadata(&path).expect("there").ino();
        assert!(rewrite_config(&Config::default(), &link, false, &[]).is_ok());
        assert!(fs::read(&path).expect("there").starts_with(b"port 6379\n"));
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!(metadata.mode() & 0o777, 0o640);
        assert_ne!(metadata.ino(), inode);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 2);

        let new = folder.join("new.conf");
        assert!(rewrite_config(&Config::default(), &new, false, &[]).is_ok());
        assert!(fs::read(&new).expect("there").starts_with(SIGNATURE));
        assert!(
            rewrite_config(&Config::default(), &folder.join("none/x.conf"), false, &[]).is_err()
        );
        fs::remove_dir_all(folder).expect("removable");
    }

    #[test]
    fn files_are_written_in_place() {
        let folder = folder("in-place");
        let path = folder.join("a.conf");
        for (old, new) in [
            ("port 1\n# long comment\n", "port 2\n"),
            ("a\n", "port 3\nloglevel debug\n"),
        ] {
            fs::write(&path, old).expect("writable");
            let inode = fs::metadata(&path).expect("there").ino();
            assert!(overwrite_in_place(&path, old.as_bytes(), new.as_bytes()).is_ok());
            assert_eq!(fs::read(&path).expect("there"), new.as_bytes());
            assert_eq!(fs::metadata(&path).expect("there").ino(), inode);
        }
        fs::remove_dir_all(folder).expect("removable");
    }

    #[test]
    fn only_the_folders_faults_lead_to_writing_in_place() {
        for (errno, forbids) in [
            (13, true),
            (1, true),
            (30, true),
            (16, true),
            (28, false),
            (5, false),
        ] {
            assert_eq!(
                folder_forbids(&io::Error::from_raw_os_error(errno)),
                forbids,
                "{errno}"
            );
        }
    }

    #[test]
    fn debug_lines() {
        let text = get_config_debug_info(&Config::default());
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("io-threads 1\n") && text.contains("proto-max-bulk-len 512mb\n"));
        assert!(!text.contains("port") && !text.contains('#'));
    }

    #[test]
    fn the_working_folder_is_written() {
        let text = rewrite_config_text(&Config::default(), b"dir ./\n", false, &[]);
        let cwd = std::env::current_dir().expect("there");
        let mut line = b"dir ".to_vec();
        sdscatrepr(&mut line, cwd.as_os_str().as_bytes());
        assert!(text.starts_with(&line));
    }
}
