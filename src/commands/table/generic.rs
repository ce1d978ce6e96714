//! The rows of group `generic`: the commands on keys of any type.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::{migrate_get_keys, sort_get_keys, sort_ro_get_keys};
use crate::commands::{dump, expire, keyspace, migrate, object, replication, sort};
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, DatabaseArgs, Group,
    KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Generic, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Generic, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("copy", -3, keyspace::copy_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .databases(DatabaseArgs::BehindOption("db"))
        .key_specs(&[
            KeySpec::index(1, &[Key::RO, Key::ACCESS]),
            KeySpec::index(2, &[Key::OW, Key::UPDATE]),
        ])
        .docs("6.2.0", "Copies the value of a key to a new key.")
        .complexity(
            "O(N) worst case for collections, where N is the number of \
             nested items. O(1) for string values.",
        )
        .args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::new("destination-db", ArgType::Integer)
                .token("DB")
                .optional(),
            Arg::token_only("replace", "REPLACE").optional(),
        ]),
    row("del", -2, keyspace::del_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RM, Key::DELETE]).range(-1, 1, 0)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("1.0.0", "Deletes one or more keys.")
        .complexity(
            "O(N) where N is the number of keys that will be removed. When a \
             key to remove holds a value other than a string, the individual \
             complexity for this key is O(M) where M is the number of \
             elements in the list, set, sorted set or hash. Removing a \
             single key that holds a string value is O(1).",
        )
        .args(&[Arg::key("key", 0).multiple()]),
    row("dump", 2, dump::dump_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "Returns a serialized representation of the value stored at a \
             key.",
        )
        .complexity(
            "O(1) to access the key and additional O(N*M) to serialize it, \
             where N is the number of Redis objects composing the value and \
             M their average size. For small string values the time \
             complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        )
        .args(&[Arg::key("key", 0)]),
    row("exists", -2, keyspace::exists_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO]).range(-1, 1, 0)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("1.0.0", "Determines whether one or more keys exist.")
        .complexity("O(N) where N is the number of keys to check.")
        .history(&[("3.0.3", "Accepts multiple `key` arguments.")])
        .args(&[Arg::key("key", 0).multiple()]),
    row("expire", -3, expire::expire_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs("1.0.0", "Sets the expiration time of a key in seconds.")
        .complexity("O(1)")
        .history(&[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")])
        .args(&[
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
        ]),
    row("expireat", -3, expire::expireat_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "1.2.0",
            "Sets the expiration time of a key to a Unix timestamp.",
        )
        .complexity("O(1)")
        .history(&[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")])
        .args(&[
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
        ]),
    row("expiretime", 2, expire::expiretime_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "7.0.0",
            "Returns the expiration time of a key as a Unix timestamp.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("keys", 2, keyspace::keys_command)
        .flags(&[Flag::READONLY])
        .also_in(&[Acl::DANGEROUS])
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .docs("1.0.0", "Returns all key names that match a pattern.")
        .complexity(
            "O(N) with N being the number of keys in the database, under the \
             assumption that the key names in the database and the given \
             pattern have limited length.",
        )
        .args(&[Arg::new("pattern", ArgType::Pattern)]),
    row("migrate", -6, migrate::migrate_command)
        .flags(&[Flag::WRITE, Flag::REACHES_OUT])
        .databases(DatabaseArgs::Besides(&[4]))
        .also_in(&[Acl::DANGEROUS])
        .key_specs(&[
            KeySpec::index(3, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::keyword(
                "KEYS",
                -2,
                &[Key::RW, Key::ACCESS, Key::DELETE, Key::INCOMPLETE],
            )
            .range(-1, 1, 0),
        ])
        .get_keys(migrate_get_keys)
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "Atomically transfers a key from one Redis instance to another.",
        )
        .complexity(
            "This command actually executes a DUMP+DEL in the source \
             instance, and a RESTORE in the target instance. See the pages \
             of these commands for time complexity. Also an O(N) data \
             transfer between the two instances is performed.",
        )
        .history(&[
            ("3.0.0", "Added the `COPY` and `REPLACE` options."),
            ("3.0.6", "Added the `KEYS` option."),
            ("4.0.7", "Added the `AUTH` option."),
            ("6.0.0", "Added the `AUTH2` option."),
        ])
        .args(&[
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
        ]),
    row("move", 3, keyspace::move_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .databases(DatabaseArgs::Besides(&[2]))
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs("1.0.0", "Moves a key to another database.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("db", ArgType::Integer)]),
    container(
        "object",
        -2,
        &[
            row("object|encoding", 3, object::object_encoding_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO])])
                .tips(&["nondeterministic_output"])
                .docs("2.2.3", "Returns the internal encoding of a Redis object.")
                .complexity("O(1)")
                .args(&[Arg::key("key", 0)]),
            row("object|freq", 3, object::object_freq_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO])])
                .tips(&["nondeterministic_output"])
                .docs(
                    "4.0.0",
                    "Returns the logarithmic access frequency counter of a Redis \
                     object.",
                )
                .complexity("O(1)")
                .args(&[Arg::key("key", 0)]),
            row("object|help", 2, object::object_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "6.2.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("object|idletime", 3, object::object_idletime_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO])])
                .tips(&["nondeterministic_output"])
                .docs(
                    "2.2.3",
                    "Returns the time since the last access to a Redis object.",
                )
                .complexity("O(1)")
                .args(&[Arg::key("key", 0)]),
            row("object|refcount", 3, object::object_refcount_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO])])
                .tips(&["nondeterministic_output"])
                .docs("2.2.3", "Returns the reference count of a value of a key.")
                .complexity("O(1)")
                .args(&[Arg::key("key", 0)]),
        ],
    )
    .not_in(&[Acl::KEYSPACE])
    .docs("2.2.3", "A container for object introspection commands.")
    .complexity("Depends on subcommand."),
    row("persist", 2, expire::persist_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs("2.2.0", "Removes the expiration time of a key.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("pexpire", -3, expire::pexpire_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Sets the expiration time of a key in milliseconds.",
        )
        .complexity("O(1)")
        .history(&[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")])
        .args(&[
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
        ]),
    row("pexpireat", -3, expire::pexpireat_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Sets the expiration time of a key to a Unix milliseconds \
             timestamp.",
        )
        .complexity("O(1)")
        .history(&[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")])
        .args(&[
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
        ]),
    row("pexpiretime", 2, expire::pexpiretime_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "7.0.0",
            "Returns the expiration time of a key as a Unix milliseconds \
             timestamp.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("pttl", 2, expire::pttl_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs(
            "2.6.0",
            "Returns the expiration time in milliseconds of a key.",
        )
        .complexity("O(1)")
        .history(&[("2.8.0", "Added the -2 reply.")])
        .args(&[Arg::key("key", 0)]),
    row("randomkey", 1, keyspace::randomkey_command)
        .flags(&[Flag::READONLY, Flag::TOUCHES_ARBITRARY_KEYS])
        .tips(&[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ])
        .docs("1.0.0", "Returns a random key name from the database.")
        .complexity("O(1)"),
    row("rename", 3, keyspace::rename_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::OW, Key::UPDATE]),
        ])
        .docs("1.0.0", "Renames a key and overwrites the destination.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::key("newkey", 1)]),
    row("renamenx", 3, keyspace::renamenx_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::OW, Key::INSERT]),
        ])
        .docs(
            "1.0.0",
            "Renames a key only when the target key name doesn't exist.",
        )
        .complexity("O(1)")
        .history(&[(
            "3.2.0",
            "The command no longer returns an error when source and \
             destination names are the same.",
        )])
        .args(&[Arg::key("key", 0), Arg::key("newkey", 1)]),
    row("restore", -4, dump::restore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .also_in(&[Acl::DANGEROUS])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Creates a key from the serialized representation of a value.",
        )
        .complexity(
            "O(1) to create the new key and additional O(N*M) to reconstruct \
             the serialized value, where N is the number of Redis objects \
             composing the value and M their average size. For small string \
             values the time complexity is thus O(1)+O(1*M) where M is \
             small, so simply O(1). However for sorted set values the \
             complexity is O(N*M*log(N)) because inserting values into \
             sorted sets is O(log(N)).",
        )
        .history(&[
            ("3.0.0", "Added the `REPLACE` modifier."),
            ("5.0.0", "Added the `ABSTTL` modifier."),
            ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
        ])
        .args(&[
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
        ]),
    row("scan", -2, keyspace::scan_command)
        .flags(&[Flag::READONLY, Flag::TOUCHES_ARBITRARY_KEYS])
        .tips(&[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ])
        .docs("2.8.0", "Iterates over the key names in the database.")
        .complexity(
            "O(1) for every call. O(N) for a complete iteration, including \
             enough command calls for the cursor to return back to 0. N is \
             the number of elements inside the collection.",
        )
        .history(&[("6.0.0", "Added the `TYPE` subcommand.")])
        .args(&[
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
        ]),
    row("sort", -2, sort::sort_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .also_in(&[Acl::SET, Acl::SORTEDSET, Acl::LIST, Acl::DANGEROUS])
        .not_in(&[Acl::KEYSPACE])
        .key_specs(&[
            KeySpec::index(1, &[Key::RO, Key::ACCESS]),
            KeySpec::unknown(&[Key::RO, Key::ACCESS]).notes(
                "For the optional BY/GET keyword. It is marked 'unknown' because \
                 the key names derive from the content of the key we sort",
            ),
            KeySpec::unknown(&[Key::OW, Key::UPDATE]).notes(
                "For the optional STORE keyword. It is marked 'unknown' because \
                 the keyword can appear anywhere in the argument array",
            ),
        ])
        .get_keys(sort_get_keys)
        .docs(
            "1.0.0",
            "Sorts the elements in a list, a set, or a sorted set, \
             optionally storing the result.",
        )
        .complexity(
            "O(N+M*log(M)) where N is the number of elements in the list or \
             set to sort, and M the number of returned elements. When the \
             elements are not sorted, complexity is O(N).",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("by-pattern", ArgType::Pattern)
                .key_spec(1)
                .token("BY")
                .display("pattern")
                .optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
            Arg::new("get-pattern", ArgType::Pattern)
                .key_spec(1)
                .token("GET")
                .display("pattern")
                .optional()
                .multiple()
                .multiple_token(),
            Arg::one_of(
                "order",
                &[
                    Arg::token_only("asc", "ASC"),
                    Arg::token_only("desc", "DESC"),
                ],
            )
            .optional(),
            Arg::token_only("sorting", "ALPHA").optional(),
            Arg::key("destination", 2).token("STORE").optional(),
        ]),
    row("sort_ro", -2, sort::sortro_command)
        .flags(&[Flag::READONLY])
        .also_in(&[Acl::SET, Acl::SORTEDSET, Acl::LIST, Acl::DANGEROUS])
        .not_in(&[Acl::KEYSPACE])
        .key_specs(&[
            KeySpec::index(1, &[Key::RO, Key::ACCESS]),
            KeySpec::unknown(&[Key::RO, Key::ACCESS]).notes(
                "For the optional BY/GET keyword. It is marked 'unknown' because \
                 the key names derive from the content of the key we sort",
            ),
        ])
        .get_keys(sort_ro_get_keys)
        .docs(
            "7.0.0",
            "Returns the sorted elements of a list, a set, or a sorted set.",
        )
        .complexity(
            "O(N+M*log(M)) where N is the number of elements in the list or \
             set to sort, and M the number of returned elements. When the \
             elements are not sorted, complexity is O(N).",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("by-pattern", ArgType::Pattern)
                .key_spec(1)
                .token("BY")
                .display("pattern")
                .optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
            Arg::new("get-pattern", ArgType::Pattern)
                .key_spec(1)
                .token("GET")
                .display("pattern")
                .optional()
                .multiple()
                .multiple_token(),
            Arg::one_of(
                "order",
                &[
                    Arg::token_only("asc", "ASC"),
                    Arg::token_only("desc", "DESC"),
                ],
            )
            .optional(),
            Arg::token_only("sorting", "ALPHA").optional(),
        ]),
    row("touch", -2, expire::touch_command)
        .flags(&[Flag::READONLY, Flag::FAST, Flag::ALWAYS_TOUCHES])
        .key_specs(&[KeySpec::index(1, &[Key::RO]).range(-1, 1, 0)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs(
            "3.2.1",
            "Returns the number of existing keys out of those specified \
             after updating the time they were last accessed.",
        )
        .complexity("O(N) where N is the number of keys that will be touched.")
        .args(&[Arg::key("key", 0).multiple()]),
    row("ttl", 2, expire::ttl_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("1.0.0", "Returns the expiration time in seconds of a key.")
        .complexity("O(1)")
        .history(&[("2.8.0", "Added the -2 reply.")])
        .args(&[Arg::key("key", 0)]),
    row("type", 2, keyspace::type_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("1.0.0", "Determines the type of value stored at a key.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("unlink", -2, keyspace::unlink_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RM, Key::DELETE]).range(-1, 1, 0)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("4.0.0", "Asynchronously deletes one or more keys.")
        .complexity(
            "O(1) for each key removed regardless of its size. Then the \
             command does O(N) work in a different thread in order to \
             reclaim memory, where N is the number of allocations the \
             deleted objects where composed of.",
        )
        .args(&[Arg::key("key", 0).multiple()]),
    row("wait", 3, replication::wait_command)
        .also_in(&[Acl::CONNECTION])
        .not_in(&[Acl::KEYSPACE])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs(
            "3.0.0",
            "Blocks until the asynchronous replication of all preceding \
             write commands sent by the connection is completed.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::new("numreplicas", ArgType::Integer),
            Arg::new("timeout", ArgType::Integer),
        ]),
    row("waitaof", 4, replication::waitaof_command)
        .flags(&[Flag::NOSCRIPT])
        .also_in(&[Acl::CONNECTION])
        .not_in(&[Acl::KEYSPACE])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs(
            "7.2.0",
            "Blocks until all of the preceding write commands sent by the \
             connection are written to the append-only file of the master \
             and/or replicas.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::new("numlocal", ArgType::Integer),
            Arg::new("numreplicas", ArgType::Integer),
            Arg::new("timeout", ArgType::Integer),
        ]),
];
