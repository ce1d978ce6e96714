//! Configuration: every directive of upstream 7.2, its file, its command line, and CONFIG GET, SET and REWRITE.
//!
//! `value` and `fields` hold values and know nothing else; `table` has one row per directive, of which everything else
//! follows; `load` reads files, `cmdline` the command line, `rewrite` writes the file back, `set` changes values while
//! serving. Only `apply` knows the server.
//!
//! Invariants: a value in [`Config`] has passed its row's checks; whatever fails leaves every value as it was.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod cmdline;
mod effect;
pub(crate) mod error;
pub(crate) mod fields;
mod glob_files;
pub(crate) mod load;
#[cfg(test)]
mod man;
pub(crate) mod rewrite;
mod rewrite_lines;
pub(crate) mod row;
pub(crate) mod set;
mod special;
pub(crate) mod table;
mod unbuilt;
mod valid;
pub(crate) mod value;

pub(crate) use fields::Config;
use row::Feature;
pub(crate) use row::{Row, RowFlags};
pub(crate) use table::TABLE;

pub(crate) use crate::base::sys::strerror;

use crate::base::glob::string_match_len;
use crate::base::log::Level;
use crate::server_log;

/// The directive of this name, in any case; old names count.
pub(crate) fn lookup(name: &[u8]) -> Option<&'static Row> {
    lookup_entry(name).map(|(row, _)| row)
}

/// The directive of this name, in any case, with the name as the table spells it: the old one if that was given.
pub(crate) fn lookup_entry(name: &[u8]) -> Option<(&'static Row, &'static str)> {
    TABLE.iter().find_map(|row| {
        let known = [Some(row.name), row.alias].into_iter().flatten();
        let mut matching = known.filter(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        matching.next().map(|known| (row, known))
    })
}

/// Directives that are accepted and have no effect, in the table's order, whether they are set or not.
pub(crate) fn accepted_directives() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .filter(|row| row.feature == Feature::Accepted && !row.has(RowFlags::HIDDEN))
        .map(|row| row.name)
}

/// Directives whose feature is not built, in the table's order: they have no effect, or are refused. This is the one list
/// of them: README and tests take it from here.
#[cfg(test)]
pub(crate) fn unbuilt_directives() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .filter(|row| row.feature != Feature::Built)
        .map(|row| row.name)
}

/// Those of `unbuilt_directives` that are accepted and that this configuration gives another value than the default:
/// whoever set them expects something that will not happen.
pub(crate) fn ineffective_directives(config: &Config) -> impl Iterator<Item = &'static str> {
    let default = Config::default();
    TABLE
        .iter()
        .filter(move |row| row.is_ineffective(config, &default))
        .map(|row| row.name)
}

/// Tells whoever has set one of the [`ineffective_directives`].
pub(crate) fn log_ineffective(name: &str) {
    server_log!(
        Level::Warning,
        "WARNING: '{}' is set, but what it is about is not built in this version: it has no effect.",
        name
    );
}

/// The arguments of a value that came as one string, as CONFIG SET splits it: at each single space, where the directive
/// takes several arguments.
pub(crate) fn split_value(row: &Row, value: &[u8]) -> Vec<Vec<u8>> {
    if !row.has(RowFlags::MULTI_ARG) {
        vec![value.to_vec()]
    } else if value.is_empty() {
        Vec::new()
    } else {
        value.split(|b| *b == b' ').map(<[u8]>::to_vec).collect()
    }
}

/// Names and values that CONFIG GET answers for these names and patterns. A name without a pattern is answered as it was
/// typed, and finds hidden directives too; old names are answered beside new ones where a pattern matches both.
pub(crate) fn config_get<'a>(
    config: &Config,
    patterns: impl Iterator<Item = &'a [u8]>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |name: &[u8], row: &Row| {
        if !found
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            found.push((name.to_vec(), row.get(config)));
        }
    };
    for pattern in patterns {
        if memchr::memchr3(b'[', b'*', b'?', pattern).is_none() {
            if let Some(row) = lookup(pattern) {
                add(pattern, row);
            }
            continue;
        }
        for row in TABLE.iter().filter(|row| !row.has(RowFlags::HIDDEN)) {
            for name in [Some(row.name), row.alias].into_iter().flatten() {
                if string_match_len(pattern, name.as_bytes(), true) {
                    add(name.as_bytes(), row);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::row::{Kind, NumberForm};
    use super::*;

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut names: Vec<&str> = TABLE
            .iter()
            .flat_map(|row| [Some(row.name), row.alias])
            .flatten()
            .collect();
        assert!(
            names
                .iter()
                .all(|name| !name.bytes().any(|b| b.is_ascii_uppercase()))
        );
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_row_is_either_immutable_or_modifiable() {
        for row in TABLE {
            assert_ne!(
                row.has(RowFlags::IMMUTABLE),
                row.has(RowFlags::MODIFIABLE),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn defaults_are_in_range_and_bounds_fit_the_field() {
        for row in TABLE {
            if let Kind::Number {
                get,
                set,
                min,
                max,
                form,
            } = row.kind
            {
                let default = get(&Config::default());
                assert!((min..=max).contains(&default), "{}", row.name);
                assert!(form != NumberForm::Octal || min >= 0, "{}", row.name);
                for bound in [min, max] {
                    let mut config = Config::default();
                    assert!(set(&mut config, bound), "{}", row.name);
                    assert_eq!(get(&config), bound, "{}", row.name);
                }
            }
        }
    }

    #[test]
    fn every_choice_is_stored_and_shown() {
        for row in TABLE {
            let Kind::Enum { names, .. } = row.kind else {
                continue;
            };
            for (name, value) in names {
                let mut config = Config::default();
                let set = row.set(&mut config, &[name.as_bytes().to_vec()], false);
                assert!(set.is_ok(), "{} {name}", row.name);
                let first = names.iter().find(|(_, v)| v == value).map(|(n, _)| *n);
                assert_eq!(
                    first.map(str::as_bytes),
                    Some(&row.get(&config)[..]),
                    "{} {name}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn what_get_answers_is_accepted_by_set() {
        for row in TABLE
            .iter()
            .filter(|row| !row.is_special(&special::REPLICAOF))
        {
            let mut config = Config::default();
            let shown = row.get(&config);
            let set = row.set(&mut config, &split_value(row, &shown), false);
            assert!(set.is_ok(), "{}: {set:?}", row.name);
            assert_eq!(row.get(&config), shown, "{}", row.name);
            assert_eq!(config, Config::default(), "{}", row.name);
        }
    }

    #[test]
    fn get_by_name_and_pattern() {
        let config = Config::default();
        let get = |patterns: &[&str]| -> Vec<String> {
            let found = config_get(&config, patterns.iter().map(|p| p.as_bytes()));
            found
                .into_iter()
                .map(|(name, _)| String::from_utf8(name).expect("a name"))
                .collect()
        };
        assert_eq!(get(&["PORT"]), ["PORT"]);
        assert_eq!(get(&["port", "Port", "por?"]), ["port"]);
        assert_eq!(get(&["*-PRIORITY"]), ["replica-priority", "slave-priority"]);
        assert_eq!(get(&["slave-priority"]), ["slave-priority"]);
        assert_eq!(get(&["*-load-delay"]), [""; 0]);
        assert_eq!(get(&["key-load-delay"]), ["key-load-delay"]);
        assert_eq!(get(&["maxmemory", "maxmemory*", "bind", "*of"]).len(), 9);
        assert_eq!(get(&["nope", "no[pP]e"]), [""; 0]);
    }

    #[test]
    fn unbuilt_directives_come_from_the_table() {
        let unbuilt: Vec<&str> = unbuilt_directives().collect();
        assert!(unbuilt.contains(&"activedefrag"));
        assert!(!unbuilt.contains(&"port") && !unbuilt.contains(&"crash-memcheck-enabled"));
        for name in unbuilt {
            assert!(
                lookup(name.as_bytes()).is_some_and(|row| {
                    row.apply
                        .is_none_or(|apply| apply == effect::Apply::ActiveDefrag)
                }),
                "{name}"
            );
        }
    }

    const DEFAULT_FILE: &str = include_str!("../../conf/aedile.conf");

    #[test]
    fn the_default_file_sets_the_defaults() {
        let mut config = Config::default();
        let loaded = load::load_server_config(&mut config, None, None, DEFAULT_FILE.as_bytes());
        assert_eq!(loaded, Ok(()));
        assert_eq!(config.bind, [&b"127.0.0.1"[..], b"-::1"]);
        config.bind = Config::default().bind;
        config.save_loaded = false;
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_default_file_names_every_directive_and_what_is_not_built() {
        let (built, unbuilt) = DEFAULT_FILE
            .split_once("is not built yet:\n")
            .expect("the last chapter");
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace()
                .filter(|word| *word != "#")
                .map(Into::into)
                .collect()
        };
        let shown = |row: &&Row| !row.has(RowFlags::HIDDEN);
        let built = words(built);
        for row in TABLE
            .iter()
            .filter(shown)
            .filter(|row| row.feature == Feature::Built)
        {
            assert!(built.iter().any(|word| word == row.name), "{}", row.name);
        }
        let mut listed = words(unbuilt);
        let hidden =
            |name: &str| lookup(name.as_bytes()).is_some_and(|row| row.has(RowFlags::HIDDEN));
        let mut expected: Vec<&str> = unbuilt_directives().filter(|name| !hidden(name)).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }

    #[test]
    fn values_split_at_single_spaces() {
        let row = lookup(b"save").expect("a directive");
        assert!(row.has(RowFlags::MULTI_ARG));
        assert_eq!(split_value(row, b""), Vec::<Vec<u8>>::new());
        assert_eq!(split_value(row, b"1  2"), [&b"1"[..], b"", b"2"]);
    }

    #[test]
    fn system_errors_have_no_number() {
        assert_eq!(
            strerror(&std::io::Error::from_raw_os_error(2)),
            "No such file or directory"
        );
        assert_eq!(strerror(&std::io::Error::other("x")), "x");
    }
}
