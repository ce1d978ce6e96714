//! The rows of group `generic`: the commands on keys of any type.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::{migrate_get_keys, sort_get_keys, sort_ro_get_keys};
use crate::commands::{dump, expire, keyspace, migrate, object, replication, sort};
use crate::server::command::{
    ACL_CATEGORY_CONNECTION, ACL_CATEGORY_DANGEROUS, ACL_CATEGORY_FAST, ACL_CATEGORY_KEYSPACE,
    ACL_CATEGORY_LIST, ACL_CATEGORY_READ, ACL_CATEGORY_SET, ACL_CATEGORY_SLOW,
    ACL_CATEGORY_SORTEDSET, ACL_CATEGORY_WRITE, Arg, ArgType, CMD_DENYOOM, CMD_FAST,
    CMD_KEY_ACCESS, CMD_KEY_DELETE, CMD_KEY_INCOMPLETE, CMD_KEY_INSERT, CMD_KEY_OW, CMD_KEY_RM,
    CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE, CMD_LOADING, CMD_MOVABLE_KEYS, CMD_NOSCRIPT,
    CMD_READONLY, CMD_STALE, CMD_TOUCHES_ARBITRARY_KEYS, CMD_WRITE, Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "copy",
        proc: Some(keyspace::copy_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS),
            KeySpec::index(2, CMD_KEY_OW | CMD_KEY_UPDATE),
        ],
        docs: Docs {
            complexity: Some(
                "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
            ),
            args: &[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::new("destination-db", ArgType::Integer)
                    .token("DB")
                    .optional(),
                Arg::token_only("replace", "REPLACE").optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "6.2.0",
                "Copies the value of a key to a new key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "del",
        proc: Some(keyspace::del_command),
        arity: -2,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RM | CMD_KEY_DELETE).range(-1, 1, 0)],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
            ),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(Group::Generic, "1.0.0", "Deletes one or more keys.")
        },
        ..Command::ROW
    },
    Command {
        name: "dump",
        proc: Some(dump::dump_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
            ),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Returns a serialized representation of the value stored at a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "exists",
        proc: Some(keyspace::exists_command),
        arity: -2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO).range(-1, 1, 0)],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys to check."),
            history: &[("3.0.3", "Accepts multiple `key` arguments.")],
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Determines whether one or more keys exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "expire",
        proc: Some(expire::expire_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("seconds", ArgType::Integer),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::token_only("nx", "NX"),
                        Arg::token_only("xx", "XX"),
                        Arg::token_only("gt", "GT"),
                        Arg::token_only("lt", "LT"),
                    ],
                )
                .since("7.0.0")
                .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Sets the expiration time of a key in seconds.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "expireat",
        proc: Some(expire::expireat_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("unix-time-seconds", ArgType::UnixTime),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::token_only("nx", "NX"),
                        Arg::token_only("xx", "XX"),
                        Arg::token_only("gt", "GT"),
                        Arg::token_only("lt", "LT"),
                    ],
                )
                .since("7.0.0")
                .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "1.2.0",
                "Sets the expiration time of a key to a Unix timestamp.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "expiretime",
        proc: Some(expire::expiretime_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "7.0.0",
                "Returns the expiration time of a key as a Unix timestamp.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "keys",
        proc: Some(keyspace::keys_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        docs: Docs {
            complexity: Some(
                "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
            ),
            args: &[Arg::new("pattern", ArgType::Pattern)],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Returns all key names that match a pattern.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "migrate",
        proc: Some(migrate::migrate_command),
        arity: -6,
        flags: CMD_WRITE | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_DANGEROUS,
        key_specs: &[
            KeySpec::index(3, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::keyword(
                "KEYS",
                -2,
                CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE | CMD_KEY_INCOMPLETE,
            )
            .range(-1, 1, 0),
        ],
        get_keys: Some(migrate_get_keys),
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
            ),
            history: &[
                ("3.0.0", "Added the `COPY` and `REPLACE` options."),
                ("3.0.6", "Added the `KEYS` option."),
                ("4.0.7", "Added the `AUTH` option."),
                ("6.0.0", "Added the `AUTH2` option."),
            ],
            args: &[
                Arg::new("host", ArgType::String),
                Arg::new("port", ArgType::Integer),
                Arg::one_of(
                    "key-selector",
                    &[Arg::key("key", 0), Arg::token_only("empty-string", "")],
                ),
                Arg::new("destination-db", ArgType::Integer),
                Arg::new("timeout", ArgType::Integer),
                Arg::token_only("copy", "COPY").since("3.0.0").optional(),
                Arg::token_only("replace", "REPLACE")
                    .since("3.0.0")
                    .optional(),
                Arg::one_of(
                    "authentication",
                    &[
                        Arg::new("auth", ArgType::String)
                            .display("password")
                            .token("AUTH")
                            .since("4.0.7"),
                        Arg::block(
                            "auth2",
                            &[
                                Arg::new("username", ArgType::String),
                                Arg::new("password", ArgType::String),
                            ],
                        )
                        .token("AUTH2")
                        .since("6.0.0"),
                    ],
                )
                .optional(),
                Arg::key("keys", 1)
                    .display("key")
                    .token("KEYS")
                    .since("3.0.6")
                    .optional()
                    .multiple(),
            ],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Atomically transfers a key from one Redis instance to another.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "move",
        proc: Some(keyspace::move_command),
        arity: 3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("db", ArgType::Integer)],
            ..Docs::new(Group::Generic, "1.0.0", "Moves a key to another database.")
        },
        ..Command::ROW
    },
    Command {
        name: "object",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Generic,
                "2.2.3",
                "A container for object introspection commands.",
            )
        },
        subcommands: &[
            Command {
                name: "object|encoding",
                proc: Some(object::object_command),
                arity: 3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO)],
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::key("key", 0)],
                    ..Docs::new(
                        Group::Generic,
                        "2.2.3",
                        "Returns the internal encoding of a Redis object.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "object|freq",
                proc: Some(object::object_command),
                arity: 3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO)],
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::key("key", 0)],
                    ..Docs::new(
                        Group::Generic,
                        "4.0.0",
                        "Returns the logarithmic access frequency counter of a Redis object.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "object|help",
                proc: Some(object::object_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Generic,
                        "6.2.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "object|idletime",
                proc: Some(object::object_command),
                arity: 3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO)],
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::key("key", 0)],
                    ..Docs::new(
                        Group::Generic,
                        "2.2.3",
                        "Returns the time since the last access to a Redis object.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "object|refcount",
                proc: Some(object::object_command),
                arity: 3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO)],
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::key("key", 0)],
                    ..Docs::new(
                        Group::Generic,
                        "2.2.3",
                        "Returns the reference count of a value of a key.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "persist",
        proc: Some(expire::persist_command),
        arity: 2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "2.2.0",
                "Removes the expiration time of a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "pexpire",
        proc: Some(expire::pexpire_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("milliseconds", ArgType::Integer),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::token_only("nx", "NX"),
                        Arg::token_only("xx", "XX"),
                        Arg::token_only("gt", "GT"),
                        Arg::token_only("lt", "LT"),
                    ],
                )
                .since("7.0.0")
                .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Sets the expiration time of a key in milliseconds.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "pexpireat",
        proc: Some(expire::pexpireat_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("unix-time-milliseconds", ArgType::UnixTime),
                Arg::one_of(
                    "condition",
                    &[
                        Arg::token_only("nx", "NX"),
                        Arg::token_only("xx", "XX"),
                        Arg::token_only("gt", "GT"),
                        Arg::token_only("lt", "LT"),
                    ],
                )
                .since("7.0.0")
                .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Sets the expiration time of a key to a Unix milliseconds timestamp.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "pexpiretime",
        proc: Some(expire::pexpiretime_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "7.0.0",
                "Returns the expiration time of a key as a Unix milliseconds timestamp.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "pttl",
        proc: Some(expire::pttl_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("2.8.0", "Added the -2 reply.")],
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Returns the expiration time in milliseconds of a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "randomkey",
        proc: Some(keyspace::randomkey_command),
        arity: 1,
        flags: CMD_READONLY | CMD_TOUCHES_ARBITRARY_KEYS,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
        tips: &[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Returns a random key name from the database.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "rename",
        proc: Some(keyspace::rename_command),
        arity: 3,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_OW | CMD_KEY_UPDATE),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::key("newkey", 1)],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Renames a key and overwrites the destination.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "renamenx",
        proc: Some(keyspace::renamenx_command),
        arity: 3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_OW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[(
                "3.2.0",
                "The command no longer returns an error when source and destination names are the same.",
            )],
            args: &[Arg::key("key", 0), Arg::key("newkey", 1)],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Renames a key only when the target key name doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "restore",
        proc: Some(dump::restore_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_DANGEROUS,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
            ),
            history: &[
                ("3.0.0", "Added the `REPLACE` modifier."),
                ("5.0.0", "Added the `ABSTTL` modifier."),
                ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
            ],
            args: &[
                Arg::key("key", 0),
                Arg::new("ttl", ArgType::Integer),
                Arg::new("serialized-value", ArgType::String),
                Arg::token_only("replace", "REPLACE")
                    .since("3.0.0")
                    .optional(),
                Arg::token_only("absttl", "ABSTTL")
                    .since("5.0.0")
                    .optional(),
                Arg::new("seconds", ArgType::Integer)
                    .token("IDLETIME")
                    .since("5.0.0")
                    .optional(),
                Arg::new("frequency", ArgType::Integer)
                    .token("FREQ")
                    .since("5.0.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "2.6.0",
                "Creates a key from the serialized representation of a value.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "scan",
        proc: Some(keyspace::scan_command),
        arity: -2,
        flags: CMD_READONLY | CMD_TOUCHES_ARBITRARY_KEYS,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
        tips: &[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ],
        docs: Docs {
            complexity: Some(
                "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
            ),
            history: &[("6.0.0", "Added the `TYPE` subcommand.")],
            args: &[
                Arg::new("cursor", ArgType::Integer),
                Arg::new("pattern", ArgType::Pattern)
                    .token("MATCH")
                    .optional(),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
                Arg::new("type", ArgType::String)
                    .token("TYPE")
                    .since("6.0.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::Generic,
                "2.8.0",
                "Iterates over the key names in the database.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sort",
        proc: Some(sort::sort_command),
        arity: -2,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS), KeySpec::unknown(CMD_KEY_RO | CMD_KEY_ACCESS).notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"), KeySpec::unknown(CMD_KEY_OW | CMD_KEY_UPDATE).notes("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array")],
        get_keys: Some(sort_get_keys),
        docs: Docs {
            complexity: Some("O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N)."),
            args: &[Arg::key("key", 0), Arg::new("by-pattern", ArgType::Pattern).key_spec(1).token("BY").display("pattern").optional(), Arg::block("limit", &[Arg::new("offset", ArgType::Integer), Arg::new("count", ArgType::Integer)]).token("LIMIT").optional(), Arg::new("get-pattern", ArgType::Pattern).key_spec(1).token("GET").display("pattern").optional().multiple().multiple_token(), Arg::one_of("order", &[Arg::token_only("asc", "ASC"), Arg::token_only("desc", "DESC")]).optional(), Arg::token_only("sorting", "ALPHA").optional(), Arg::key("destination", 2).token("STORE").optional()],
            ..Docs::new(Group::Generic, "1.0.0", "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.")
        },
        ..Command::ROW
    },
    Command {
        name: "sort_ro",
        proc: Some(sort::sortro_command),
        arity: -2,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS), KeySpec::unknown(CMD_KEY_RO | CMD_KEY_ACCESS).notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort")],
        get_keys: Some(sort_ro_get_keys),
        docs: Docs {
            complexity: Some("O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N)."),
            args: &[Arg::key("key", 0), Arg::new("by-pattern", ArgType::Pattern).key_spec(1).token("BY").display("pattern").optional(), Arg::block("limit", &[Arg::new("offset", ArgType::Integer), Arg::new("count", ArgType::Integer)]).token("LIMIT").optional(), Arg::new("get-pattern", ArgType::Pattern).key_spec(1).token("GET").display("pattern").optional().multiple().multiple_token(), Arg::one_of("order", &[Arg::token_only("asc", "ASC"), Arg::token_only("desc", "DESC")]).optional(), Arg::token_only("sorting", "ALPHA").optional()],
            ..Docs::new(Group::Generic, "7.0.0", "Returns the sorted elements of a list, a set, or a sorted set.")
        },
        ..Command::ROW
    },
    Command {
        name: "touch",
        proc: Some(expire::touch_command),
        arity: -2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO).range(-1, 1, 0)],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys that will be touched."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Generic,
                "3.2.1",
                "Returns the number of existing keys out of those specified after updating the time they were last accessed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "ttl",
        proc: Some(expire::ttl_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("2.8.0", "Added the -2 reply.")],
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Returns the expiration time in seconds of a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "type",
        proc: Some(keyspace::type_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Generic,
                "1.0.0",
                "Determines the type of value stored at a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "unlink",
        proc: Some(keyspace::unlink_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_WRITE | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RM | CMD_KEY_DELETE).range(-1, 1, 0)],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        docs: Docs {
            complexity: Some(
                "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
            ),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Generic,
                "4.0.0",
                "Asynchronously deletes one or more keys.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "wait",
        proc: Some(replication::wait_command),
        arity: 3,
        acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::new("numreplicas", ArgType::Integer),
                Arg::new("timeout", ArgType::Integer),
            ],
            ..Docs::new(
                Group::Generic,
                "3.0.0",
                "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "waitaof",
        proc: Some(replication::waitaof_command),
        arity: 4,
        flags: CMD_NOSCRIPT,
        acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::new("numlocal", ArgType::Integer),
                Arg::new("numreplicas", ArgType::Integer),
                Arg::new("timeout", ArgType::Integer),
            ],
            ..Docs::new(
                Group::Generic,
                "7.2.0",
                "Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the master and/or replicas.",
            )
        },
        ..Command::ROW
    },
];
