//! The command table: every command has one row, and each group of commands one file of rows.
//!
//! A row declares all that is known of a command without running it; look-up, arity and ACL checks, key extraction and
//! COMMAND's answers are made from it. A command without a row does not exist; those of
//! 7.2 that are not built have a list of their own.
//!
//! To add a command, write its row in the file of its group, in alphabetical order. What follows from other columns
//! (`server::execution::command`'s `row` says what does) is not written down; a test below finds what is said twice.

use crate::server::execution::command::Command;

mod bitmap;
mod cluster;
mod connection;
mod generic;
mod geo;
mod get_keys;
mod hash;
mod hyperloglog;
mod list;
mod pubsub;
mod scripting;
mod sentinel;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;
mod unbuilt;

pub(crate) use unbuilt::UNBUILT;

/// All rows, for `CommandTable::new`.
pub(crate) static FAMILIES: &[&[Command]] = &[
    bitmap::COMMANDS,
    cluster::COMMANDS,
    connection::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    sentinel::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    sorted_set::COMMANDS,
    stream::COMMANDS,
    string::COMMANDS,
    transactions::COMMANDS,
];

#[cfg(test)]
mod tests {
    use super::FAMILIES;
    use crate::server::execution::command::*;

    fn all_rows() -> impl Iterator<Item = &'static Command> {
        FAMILIES
            .iter()
            .copied()
            .flatten()
            .flat_map(|c| std::iter::once(c).chain(c.subcommands))
    }

    fn table() -> CommandTable {
        CommandTable::new(FAMILIES, false)
    }

    fn keys_of(argv: &[&str]) -> Result<Vec<(usize, KeyFlags)>, GetKeysError> {
        let table = table();
        let id = table.lookup_command(argv).expect(argv[0]);
        let mut keys = KeyRefs::default();
        get_keys_from_command(table.command(id), argv, KeySearch::empty(), &mut keys)?;
        Ok(keys.iter().map(|k| (k.pos, k.flags)).collect())
    }

    #[test]
    fn names_are_lower_case_sorted_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for family in FAMILIES {
            assert!(family.is_sorted_by_key(|c| c.name));
            for row in *family {
                assert!(!row.name.contains('|'), "{}", row.name);
                assert!(row.subcommands.is_sorted_by_key(|c| c.name), "{}", row.name);
                for sub in row.subcommands {
                    let parent = sub.name.split_once('|').map(|(parent, _)| parent);
                    assert_eq!(parent, Some(row.name), "{}", sub.name);
                    assert!(sub.subcommands.is_empty(), "{}", sub.name);
                }
            }
        }
        for row in all_rows() {
            assert_eq!(row.name, row.name.to_ascii_lowercase());
            assert!(seen.insert(row.name), "{}", row.name);
        }
    }

    #[test]
    fn every_row_can_run_and_is_documented() {
        for row in all_rows() {
            assert!(
                row.proc.is_some() || !row.subcommands.is_empty(),
                "{}",
                row.name
            );
            assert_ne!(row.arity, 0, "{}", row.name);
            assert!(i16::try_from(row.arity).is_ok(), "{}", row.name);
            assert!(!row.docs.summary.is_empty(), "{}", row.name);
            assert!(!row.docs.since.is_empty(), "{}", row.name);
        }
    }

    /// What the number of arguments says, or one of them, of the keys that decide about a node is what a search finds.
    #[test]
    fn what_is_told_of_keys_is_what_is_found() {
        let table = table();
        let mut told_of = 0;
        for id in table.ids() {
            let row = table.row(id);
            for argc in (1..20).filter(|n| row.accepts_argc(*n)) {
                for word in ["1", "0", "2", "5", "x", "-1", "9223372036854775807"] {
                    let argv = vec![word; argc];
                    let Some(told) = row.key_places(&argv[..]) else {
                        continue;
                    };
                    told_of += 1;
                    let told: Vec<usize> = told.collect();
                    let mut keys = KeyRefs::default();
                    get_keys_for_routing(row.command, &argv[..], &mut keys);
                    let found: Vec<usize> = keys.iter().map(|k| k.pos).collect();
                    assert_eq!(told, found, "{} {argv:?}", row.command.name);
                }
            }
        }
        assert!(told_of > 10_000, "{told_of}");
        let is_told = |argv: &[&str]| {
            let id = table.lookup_command(argv).expect(argv[0]);
            table.row(id).key_places(argv).is_some()
        };
        for line in [
            "get k",
            "set k v",
            "del k k",
            "mset k v",
            "blpop k 0",
            "rename k l",
            "sinterstore d k",
            "publish c m",
            "spublish c m",
            "eval script 1 k",
            "zunion 1 k",
        ] {
            let argv: Vec<&str> = line.split(' ').collect();
            assert!(is_told(&argv), "{line}");
        }
        for line in [
            "xread streams k 0",
            "sort k",
            "zunionstore d 1 k",
            "pfmerge d k",
        ] {
            let argv: Vec<&str> = line.split(' ').collect();
            assert!(!is_told(&argv), "{line}");
        }
    }

    /// What a row says at a glance of a call's keys is what a search finds.
    #[test]
    fn what_is_simple_is_what_is_found() {
        let table = table();
        let mut one = 0;
        for id in table.ids() {
            let row = table.row(id);
            let mut keys = KeyRefs::default();
            for more in 0..4 {
                let argc = usize::from(row.command.arity.unsigned_abs() as u16) + more;
                let argv: Vec<String> = (0..argc).map(|i| i.to_string()).collect();
                let wanted = KeySearch::empty();
                let found = get_keys_from_command(row.command, &argv[..], wanted, &mut keys);
                match row.touches() {
                    Touches::Nothing => assert_eq!(found, Err(GetKeysError::NoKeyArguments)),
                    Touches::Key(at, flags) => {
                        one += 1;
                        let places: Vec<usize> = keys.iter().map(|k| k.pos).collect();
                        assert_eq!(places, [usize::from(at)], "{}", row.command.name);
                        const NEEDED: KeyFlags = KeyFlags::of(&[
                            KeyFlags::ACCESS,
                            KeyFlags::INSERT,
                            KeyFlags::DELETE,
                            KeyFlags::UPDATE,
                        ]);
                        assert!(
                            flags.contains(keys[0].flags & NEEDED),
                            "{}",
                            row.command.name
                        );
                    }
                    Touches::More => {}
                }
            }
        }
        assert!(one > 400, "{one}");
        let of = |name: &[u8]| table.row(table.lookup(name).expect("a command")).touches();
        assert!(
            matches!(of(b"get"), Touches::Key(1, _)) && matches!(of(b"set"), Touches::Key(1, _))
        );
        assert_eq!(
            (of(b"mget"), of(b"publish"), of(b"ping")),
            (Touches::More, Touches::More, Touches::Nothing)
        );
    }

    /// What rows write down as an exception is one.
    #[test]
    fn no_column_says_what_follows_from_others() {
        for row in all_rows() {
            assert!(row.says_nothing_twice(), "{}", row.name);
        }
    }

    #[test]
    fn key_arguments_refer_to_existing_specs() {
        fn check(row: &Command, args: &[Arg]) {
            for arg in args {
                if let Some(n) = arg.key_spec_index {
                    assert!(usize::from(n) < row.key_specs.len(), "{}", row.name);
                }
                assert_eq!(
                    arg.arg_type.is_compound(),
                    !arg.subargs.is_empty(),
                    "{}: {}",
                    row.name,
                    arg.name
                );
                check(row, arg.subargs);
            }
        }
        for row in all_rows() {
            check(row, row.docs.args);
            let unsure = row.key_specs.iter().any(|s| {
                s.flags
                    .intersects(KeyFlags::INCOMPLETE | KeyFlags::VARIABLE_FLAGS)
                    || s.begin_search == BeginSearch::Unknown
                    || s.find_keys == FindKeys::Unknown
            });
            assert!(!unsure || row.get_keys.is_some(), "{}", row.name);
        }
    }

    /// All names, each in 64 mixtures of cases.
    #[test]
    fn every_name_is_found_in_any_case() {
        let table = table();
        for id in table.ids() {
            let command = table.command(id);
            let name = command.declared_name();
            let mut mix = 0x9e37_79b9_7f4a_7c15_u64;
            for round in 0..64 {
                mix = mix.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let bits = match round {
                    0 => 0,
                    1 => u64::MAX,
                    _ => mix >> 20,
                };
                let mixed: Vec<u8> = name
                    .bytes()
                    .enumerate()
                    .map(|(i, b)| {
                        if bits >> (i % 40) & 1 == 1 {
                            b.to_ascii_uppercase()
                        } else {
                            b
                        }
                    })
                    .collect();
                let found = match table.parent(id) {
                    None => table.lookup(&mixed),
                    Some(parent) => table.lookup_subcommand(parent, &mixed),
                };
                assert_eq!(found, Some(id), "{}", command.name);
            }
            assert_eq!(
                table.lookup_command_by_full_name(command.name.as_bytes()),
                Some(id)
            );
        }
    }

    /// Every name with one byte changed, cut or added is another name's or nobody's.
    #[test]
    fn near_misses_are_not_found() {
        let table = table();
        let names: std::collections::HashMap<&[u8], CommandId> = table
            .callable()
            .map(|id| (table.full_name(id).as_bytes(), id))
            .collect();
        let check = |bytes: &[u8]| {
            let lower = bytes.to_ascii_lowercase();
            assert_eq!(
                table.lookup(bytes),
                names.get(lower.as_slice()).copied(),
                "{bytes:?}"
            );
        };
        for name in names.keys() {
            for at in 0..name.len() {
                for byte in 0..=255 {
                    let mut changed = name.to_vec();
                    changed[at] = byte;
                    check(&changed);
                }
                let mut shorter = name.to_vec();
                shorter.remove(at);
                check(&shorter);
            }
            check(&[name, &b"x"[..]].concat());
            check(&[name, &b"\0"[..]].concat());
        }
        check(b"");
        check(&vec![b'g'; 70_000]);
        // The ends of a name and, modulo 65,536, its length.
        check(&[&b"shutdown"[..], &vec![b'x'; 65_528], b"shutdown"].concat());
    }

    #[test]
    fn subcommands_belong_to_their_container() {
        let table = table();
        let config = table.lookup(b"config").unwrap();
        let get = table.lookup_subcommand(config, b"GET").unwrap();
        assert_eq!(table.full_name(get), "config|get");
        assert_eq!(table.parent(get), Some(config));
        assert_ne!(table.lookup(b"get"), Some(get));
        assert_eq!(table.lookup(b"config|get"), None);
        assert_eq!(table.lookup_subcommand(config, b"strlen"), None);
        let subs: Vec<_> = table
            .subcommands(config)
            .map(|id| table.full_name(id))
            .collect();
        assert_eq!(
            subs,
            [
                "config|get",
                "config|help",
                "config|resetstat",
                "config|rewrite",
                "config|set"
            ]
        );
        let ping = table.lookup(b"ping").unwrap();
        assert_eq!(table.subcommands(ping).count(), 0);
        for argv in [
            &["config"][..],
            &["config", "get"],
            &["config", "get", "maxmemory"],
        ] {
            let expected = if argv.len() == 1 { config } else { get };
            assert_eq!(table.lookup_command(argv), Some(expected));
        }
        assert_eq!(table.lookup_command(&["config", "x"][..]), None);
        assert_eq!(table.lookup_command(&["ping", "x"][..]), Some(ping));
        assert_eq!(table.lookup_command(&[""; 0][..]), None);
        assert_eq!(table.lookup_command_by_full_name(b"ping|x"), None);
        assert_eq!(table.lookup_command_by_full_name(b"ping|"), None);
        assert_eq!(table.lookup_command_by_full_name(b""), None);
    }

    #[test]
    fn renamed_commands_are_found_by_their_new_name_only() {
        let mut table = table();
        let before = table.callable().count();
        let config = table.lookup(b"config").unwrap();
        let flushall = table.lookup(b"flushall").unwrap();
        let set = table.lookup(b"set").unwrap();
        let long = b"A-name-that-is-longer-than-16-bytes_0";

        table.rename(b"CONFIG", long).unwrap();
        table.rename(b"flushall", b"").unwrap();
        assert_eq!(table.lookup(b"config"), None);
        assert_eq!(
            table.lookup(b"a-NAME-that-is-longer-than-16-bytes_0"),
            Some(config)
        );
        assert_eq!(table.lookup(b"a-NAME-that-is-longEr-thaN-16-bytes_1"), None);
        assert_eq!(table.lookup(b"a-NAME-that-is-LONGER.than-16-bytes_0"), None);
        let get = table.lookup_subcommand(config, b"get").unwrap();
        assert_eq!(table.full_name(get), "config|get");
        assert_eq!(table.lookup(b"flushall"), None);
        assert_eq!(table.lookup(b""), None);
        assert_eq!(table.callable().count(), before - 1);
        assert_eq!(
            table.lookup_command_or_original(&["CONFIG", "GET"][..]),
            Some(get)
        );
        assert_eq!(
            table.lookup_command_or_original(&["FlushAll"][..]),
            Some(flushall)
        );

        assert_eq!(
            table.rename(b"config", b"x"),
            Err(RenameError::NoSuchCommand)
        );
        assert_eq!(table.rename(long, b"SET"), Err(RenameError::TargetExists));
        assert_eq!(table.lookup(long), Some(config));
        table.rename(b"set", b"SET").unwrap();
        assert_eq!(table.lookup(b"set"), Some(set));
        // A name that has become free can be taken.
        table.rename(b"set", b"flushall").unwrap();
        assert_eq!(table.lookup(b"FLUSHALL"), Some(set));
    }

    #[test]
    fn sentinel_mode_has_its_own_selection() {
        let table = CommandTable::new(FAMILIES, true);
        assert_eq!(table.lookup(b"get"), None);
        assert!(table.lookup(b"ping").is_some());
        for id in table.ids() {
            assert!(table.row(id).flags.contains(CommandFlags::SENTINEL));
        }
    }

    #[test]
    fn arity() {
        let table = table();
        let accepts = |name: &[u8], argc| table.row(table.lookup(name).unwrap()).accepts_argc(argc);
        assert!(accepts(b"get", 2) && !accepts(b"get", 1) && !accepts(b"get", 3));
        assert!(accepts(b"set", 3) && accepts(b"set", 9) && !accepts(b"set", 2));
        assert!(accepts(b"set", usize::MAX) && !accepts(b"get", usize::MAX));
    }

    #[test]
    fn get_keys_by_range() {
        const READ: KeyFlags = KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]);
        assert_eq!(keys_of(&["get", "k"]), Ok(vec![(1, READ)]));
        assert_eq!(
            keys_of(&["mget", "a", "b", "c"]),
            Ok(vec![(1, READ), (2, READ), (3, READ)])
        );
        const OVERWRITE: KeyFlags = KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]);
        assert_eq!(
            keys_of(&["mset", "a", "1", "b", "2"]),
            Ok(vec![(1, OVERWRITE), (3, OVERWRITE)])
        );
        assert_eq!(
            keys_of(&["bitop", "and", "dest", "a", "b"]),
            Ok(vec![(2, OVERWRITE), (3, READ), (4, READ)])
        );
        assert_eq!(
            keys_of(&["bitop", "and", "dest"]),
            Err(GetKeysError::InvalidArguments)
        );
        assert_eq!(
            keys_of(&["copy", "a", "b", "replace"]),
            Ok(vec![(1, READ), (2, OVERWRITE)])
        );
        assert_eq!(
            keys_of(&["object", "encoding", "k"]),
            Ok(vec![(2, KeyFlags::RO)])
        );
        assert_eq!(keys_of(&["ping"]), Err(GetKeysError::NoKeyArguments));
        assert_eq!(
            keys_of(&["config", "get", "x"]),
            Err(GetKeysError::NoKeyArguments)
        );
    }

    #[test]
    fn get_keys_by_procedure() {
        const WRITE: KeyFlags = KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]);
        const READ: KeyFlags = KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]);
        const BOTH: KeyFlags = KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]);
        assert_eq!(keys_of(&["set", "k", "get"]), Ok(vec![(1, WRITE)]));
        assert_eq!(
            keys_of(&["set", "k", "v", "nx", "GeT"]),
            Ok(vec![(1, BOTH)])
        );
        assert_eq!(keys_of(&["bitfield", "k"]), Ok(vec![(1, READ)]));
        let get: &[&str] = &["bitfield", "k", "get", "u8", "0", "overflow", "sat"];
        assert_eq!(keys_of(get), Ok(vec![(1, READ)]));
        assert_eq!(keys_of(&get[..4]), Ok(vec![(1, BOTH)]));
        assert_eq!(
            keys_of(&["bitfield", "k", "set", "u8", "0", "1"]),
            Ok(vec![(1, BOTH)])
        );
    }
}
