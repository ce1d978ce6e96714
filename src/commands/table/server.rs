//! The rows of group `server`: the commands on the server, its configuration, persistence and replication.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::{
    command, config, debug, dump, keyspace, latency, memory, persist, replication, server, slowlog,
};
use crate::server::command::{
    ACL_CATEGORY_ADMIN, ACL_CATEGORY_CONNECTION, ACL_CATEGORY_DANGEROUS, ACL_CATEGORY_FAST,
    ACL_CATEGORY_KEYSPACE, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE, Arg, ArgType,
    CMD_ADMIN, CMD_ALLOW_BUSY, CMD_ASKING, CMD_DENYOOM, CMD_DOC_DEPRECATED, CMD_DOC_SYSCMD,
    CMD_FAST, CMD_KEY_OW, CMD_KEY_RO, CMD_KEY_UPDATE, CMD_LOADING, CMD_NO_ASYNC_LOADING,
    CMD_NO_MULTI, CMD_NOSCRIPT, CMD_PROTECTED, CMD_READONLY, CMD_SENTINEL, CMD_STALE, CMD_WRITE,
    Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "bgrewriteaof",
        proc: Some(persist::bgrewriteaof_command),
        arity: 1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Asynchronously rewrites the append-only file to disk.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bgsave",
        proc: Some(persist::bgsave_command),
        arity: -1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[("3.2.2", "Added the `SCHEDULE` option.")],
            args: &[Arg::token_only("schedule", "SCHEDULE")
                .since("3.2.2")
                .optional()],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Asynchronously saves the database(s) to disk.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "command",
        proc: Some(command::command_command),
        arity: -1,
        flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of Redis commands"),
            ..Docs::new(
                Group::Server,
                "2.8.13",
                "Returns detailed information about all commands.",
            )
        },
        subcommands: &[
            Command {
                name: "command|count",
                proc: Some(command::command_count_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(Group::Server, "2.8.13", "Returns a count of commands.")
                },
                ..Command::ROW
            },
            Command {
                name: "command|docs",
                proc: Some(command::command_docs_command),
                arity: -2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["nondeterministic_output_order"],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of commands to look up"),
                    args: &[Arg::new("command-name", ArgType::String)
                        .optional()
                        .multiple()],
                    ..Docs::new(
                        Group::Server,
                        "7.0.0",
                        "Returns documentary information about one, multiple or all commands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "command|getkeys",
                proc: Some(command::command_get_keys_command),
                arity: -3,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(N) where N is the number of arguments to the command"),
                    args: &[
                        Arg::new("command", ArgType::String),
                        Arg::new("arg", ArgType::String).optional().multiple(),
                    ],
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Extracts the key names from an arbitrary command.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "command|getkeysandflags",
                proc: Some(command::command_get_keys_and_flags_command),
                arity: -3,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(N) where N is the number of arguments to the command"),
                    args: &[
                        Arg::new("command", ArgType::String),
                        Arg::new("arg", ArgType::String).optional().multiple(),
                    ],
                    ..Docs::new(
                        Group::Server,
                        "7.0.0",
                        "Extracts the key names and access flags for an arbitrary command.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "command|help",
                proc: Some(command::command_help_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "5.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "command|info",
                proc: Some(command::command_info_command),
                arity: -2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["nondeterministic_output_order"],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of commands to look up"),
                    history: &[(
                        "7.0.0",
                        "Allowed to be called with no argument to get info on all commands.",
                    )],
                    args: &[Arg::new("command-name", ArgType::String)
                        .optional()
                        .multiple()],
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns information about one, multiple or all commands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "command|list",
                proc: Some(command::command_list_command),
                arity: -2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["nondeterministic_output_order"],
                docs: Docs {
                    complexity: Some("O(N) where N is the total number of Redis commands"),
                    args: &[Arg::one_of(
                        "filterby",
                        &[
                            Arg::new("module-name", ArgType::String).token("MODULE"),
                            Arg::new("category", ArgType::String).token("ACLCAT"),
                            Arg::new("pattern", ArgType::Pattern).token("PATTERN"),
                        ],
                    )
                    .token("FILTERBY")
                    .optional()],
                    ..Docs::new(Group::Server, "7.0.0", "Returns a list of command names.")
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "config",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Server,
                "2.0.0",
                "A container for server configuration commands.",
            )
        },
        subcommands: &[
            Command {
                name: "config|get",
                proc: Some(config::config_get_command),
                arity: -3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                docs: Docs {
                    complexity: Some(
                        "O(N) when N is the number of configuration parameters provided",
                    ),
                    history: &[(
                        "7.0.0",
                        "Added the ability to pass multiple pattern parameters in one call",
                    )],
                    args: &[Arg::new("parameter", ArgType::String).multiple()],
                    ..Docs::new(
                        Group::Server,
                        "2.0.0",
                        "Returns the effective values of configuration parameters.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "config|help",
                proc: Some(config::config_help_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "5.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "config|resetstat",
                proc: Some(config::config_resetstat_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(Group::Server, "2.0.0", "Resets the server's statistics.")
                },
                ..Command::ROW
            },
            Command {
                name: "config|rewrite",
                proc: Some(config::config_rewrite_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "2.8.0",
                        "Persists the effective configuration to file.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "config|set",
                proc: Some(config::config_set_command),
                arity: -4,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some(
                        "O(N) when N is the number of configuration parameters provided",
                    ),
                    history: &[(
                        "7.0.0",
                        "Added the ability to set multiple parameters in one call.",
                    )],
                    args: &[Arg::block(
                        "data",
                        &[
                            Arg::new("parameter", ArgType::String),
                            Arg::new("value", ArgType::String),
                        ],
                    )
                    .multiple()],
                    ..Docs::new(
                        Group::Server,
                        "2.0.0",
                        "Sets configuration parameters in-flight.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "dbsize",
        proc: Some(keyspace::dbsize_command),
        arity: 1,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE | ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Returns the number of keys in the database.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "debug",
        proc: Some(debug::debug_command),
        arity: -2,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            doc_flags: CMD_DOC_SYSCMD,
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "A container for debugging commands.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "failover",
        proc: Some(replication::failover_command),
        arity: -1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::block(
                    "target",
                    &[
                        Arg::new("host", ArgType::String),
                        Arg::new("port", ArgType::Integer),
                        Arg::token_only("force", "FORCE").optional(),
                    ],
                )
                .token("TO")
                .optional(),
                Arg::token_only("abort", "ABORT").optional(),
                Arg::new("milliseconds", ArgType::Integer)
                    .token("TIMEOUT")
                    .optional(),
            ],
            ..Docs::new(
                Group::Server,
                "6.2.0",
                "Starts a coordinated failover from a server to one of its replicas.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "flushall",
        proc: Some(keyspace::flushall_command),
        arity: -1,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_DANGEROUS,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of keys in all databases"),
            history: &[
                ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
                ("6.2.0", "Added the `SYNC` flushing mode modifier."),
            ],
            args: &[Arg::one_of(
                "flush-type",
                &[
                    Arg::token_only("async", "ASYNC").since("4.0.0"),
                    Arg::token_only("sync", "SYNC").since("6.2.0"),
                ],
            )
            .optional()],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Removes all keys from all databases.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "flushdb",
        proc: Some(keyspace::flushdb_command),
        arity: -1,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_DANGEROUS,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys in the selected database"),
            history: &[
                ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
                ("6.2.0", "Added the `SYNC` flushing mode modifier."),
            ],
            args: &[Arg::one_of(
                "flush-type",
                &[
                    Arg::token_only("async", "ASYNC").since("4.0.0"),
                    Arg::token_only("sync", "SYNC").since("6.2.0"),
                ],
            )
            .optional()],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Remove all keys from the current database.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "info",
        proc: Some(server::info_command),
        arity: -1,
        flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        tips: &[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[(
                "7.0.0",
                "Added support for taking multiple section arguments.",
            )],
            args: &[Arg::new("section", ArgType::String).optional().multiple()],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Returns information and statistics about the server.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lastsave",
        proc: Some(persist::lastsave_command),
        arity: 1,
        flags: CMD_LOADING | CMD_STALE | CMD_FAST,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_FAST | ACL_CATEGORY_DANGEROUS,
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Returns the Unix timestamp of the last successful save to disk.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "latency",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Server,
                "2.8.13",
                "A container for latency diagnostics commands.",
            )
        },
        subcommands: &[
            Command {
                name: "latency|doctor",
                proc: Some(latency::latency_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns a human-readable latency analysis report.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|graph",
                proc: Some(latency::latency_command),
                arity: 3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::new("event", ArgType::String)],
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns a latency graph for an event.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|help",
                proc: Some(latency::latency_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|histogram",
                proc: Some(latency::latency_command),
                arity: -2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some(
                        "O(N) where N is the number of commands with latency information being retrieved.",
                    ),
                    args: &[Arg::new("COMMAND", ArgType::String).optional().multiple()],
                    ..Docs::new(
                        Group::Server,
                        "7.0.0",
                        "Returns the cumulative distribution of latencies of a subset or all commands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|history",
                proc: Some(latency::latency_command),
                arity: 3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::new("event", ArgType::String)],
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns timestamp-latency samples for an event.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|latest",
                proc: Some(latency::latency_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Returns the latest latency samples for all events.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "latency|reset",
                proc: Some(latency::latency_command),
                arity: -2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::new("event", ArgType::String).optional().multiple()],
                    ..Docs::new(
                        Group::Server,
                        "2.8.13",
                        "Resets the latency data for one or more events.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "lolwut",
        proc: Some(server::lolwut_command),
        arity: -1,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_FAST,
        docs: Docs {
            args: &[Arg::new("version", ArgType::Integer)
                .token("VERSION")
                .optional()],
            ..Docs::new(
                Group::Server,
                "5.0.0",
                "Displays computer art and the Redis version",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "memory",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Server,
                "4.0.0",
                "A container for memory diagnostics commands.",
            )
        },
        subcommands: &[
            Command {
                name: "memory|doctor",
                proc: Some(memory::memory_command),
                arity: 2,
                acl: ACL_CATEGORY_SLOW,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(Group::Server, "4.0.0", "Outputs a memory problems report.")
                },
                ..Command::ROW
            },
            Command {
                name: "memory|help",
                proc: Some(memory::memory_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "4.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "memory|malloc-stats",
                proc: Some(memory::memory_command),
                arity: 2,
                acl: ACL_CATEGORY_SLOW,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("Depends on how much memory is allocated, could be slow"),
                    ..Docs::new(Group::Server, "4.0.0", "Returns the allocator statistics.")
                },
                ..Command::ROW
            },
            Command {
                name: "memory|purge",
                proc: Some(memory::memory_command),
                arity: 2,
                acl: ACL_CATEGORY_SLOW,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("Depends on how much memory is allocated, could be slow"),
                    ..Docs::new(
                        Group::Server,
                        "4.0.0",
                        "Asks the allocator to release memory.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "memory|stats",
                proc: Some(memory::memory_command),
                arity: 2,
                acl: ACL_CATEGORY_SLOW,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "4.0.0",
                        "Returns details about memory usage.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "memory|usage",
                proc: Some(memory::memory_command),
                arity: -3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_READ | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO)],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of samples."),
                    args: &[
                        Arg::key("key", 0),
                        Arg::new("count", ArgType::Integer)
                            .token("SAMPLES")
                            .optional(),
                    ],
                    ..Docs::new(
                        Group::Server,
                        "4.0.0",
                        "Estimates the memory usage of a key.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "monitor",
        proc: Some(server::monitor_command),
        arity: 1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs::new(
            Group::Server,
            "1.0.0",
            "Listens for all requests received by the server in real-time.",
        ),
        ..Command::ROW
    },
    Command {
        name: "psync",
        proc: Some(replication::sync_command),
        arity: -3,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            args: &[
                Arg::new("replicationid", ArgType::String),
                Arg::new("offset", ArgType::Integer),
            ],
            ..Docs::new(
                Group::Server,
                "2.8.0",
                "An internal command used in replication.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "replconf",
        proc: Some(replication::replconf_command),
        arity: -1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_SYSCMD,
            ..Docs::new(
                Group::Server,
                "3.0.0",
                "An internal command for configuring the replication stream.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "replicaof",
        proc: Some(replication::replicaof_command),
        arity: 3,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::one_of(
                "args",
                &[
                    Arg::block(
                        "host-port",
                        &[
                            Arg::new("host", ArgType::String),
                            Arg::new("port", ArgType::Integer),
                        ],
                    ),
                    Arg::block(
                        "no-one",
                        &[Arg::token_only("no", "NO"), Arg::token_only("one", "ONE")],
                    ),
                ],
            )],
            ..Docs::new(
                Group::Server,
                "5.0.0",
                "Configures a server as replica of another, or promotes it to a master.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "restore-asking",
        proc: Some(dump::restore_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_ASKING,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_DANGEROUS,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
            ),
            doc_flags: CMD_DOC_SYSCMD,
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
                Group::Server,
                "3.0.0",
                "An internal command for migrating keys in a cluster.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "role",
        proc: Some(replication::role_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_SENTINEL,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_FAST | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(Group::Server, "2.8.12", "Returns the replication role.")
        },
        ..Command::ROW
    },
    Command {
        name: "save",
        proc: Some(persist::save_command),
        arity: 1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(N) where N is the total number of keys in all databases"),
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Synchronously saves the database(s) to disk.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "shutdown",
        proc: Some(server::shutdown_command),
        arity: -1,
        flags: CMD_ADMIN
            | CMD_NOSCRIPT
            | CMD_LOADING
            | CMD_STALE
            | CMD_NO_MULTI
            | CMD_ALLOW_BUSY
            | CMD_SENTINEL,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some(
                "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
            ),
            history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
            args: &[
                Arg::one_of(
                    "save-selector",
                    &[
                        Arg::token_only("nosave", "NOSAVE"),
                        Arg::token_only("save", "SAVE"),
                    ],
                )
                .optional(),
                Arg::token_only("now", "NOW").since("7.0.0").optional(),
                Arg::token_only("force", "FORCE").since("7.0.0").optional(),
                Arg::token_only("abort", "ABORT").since("7.0.0").optional(),
            ],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Synchronously saves the database(s) to disk and shuts down the Redis server.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "slaveof",
        proc: Some(replication::replicaof_command),
        arity: 3,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("5.0.0"),
            replaced_by: Some("`REPLICAOF`"),
            args: &[Arg::one_of(
                "args",
                &[
                    Arg::block(
                        "host-port",
                        &[
                            Arg::new("host", ArgType::String),
                            Arg::new("port", ArgType::Integer),
                        ],
                    ),
                    Arg::block(
                        "no-one",
                        &[Arg::token_only("no", "NO"), Arg::token_only("one", "ONE")],
                    ),
                ],
            )],
            ..Docs::new(
                Group::Server,
                "1.0.0",
                "Sets a Redis server as a replica of another, or promotes it to being a master.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "slowlog",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Server,
                "2.2.12",
                "A container for slow log commands.",
            )
        },
        subcommands: &[
            Command {
                name: "slowlog|get",
                proc: Some(slowlog::slowlog_command),
                arity: -2,
                flags: CMD_ADMIN | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of entries returned"),
                    history: &[(
                        "4.0.0",
                        "Added client IP address, port and name to the reply.",
                    )],
                    args: &[Arg::new("count", ArgType::Integer).optional()],
                    ..Docs::new(Group::Server, "2.2.12", "Returns the slow log's entries.")
                },
                ..Command::ROW
            },
            Command {
                name: "slowlog|help",
                proc: Some(slowlog::slowlog_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "6.2.0",
                        "Show helpful text about the different subcommands",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "slowlog|len",
                proc: Some(slowlog::slowlog_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &[
                    "request_policy:all_nodes",
                    "response_policy:agg_sum",
                    "nondeterministic_output",
                ],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Server,
                        "2.2.12",
                        "Returns the number of entries in the slow log.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "slowlog|reset",
                proc: Some(slowlog::slowlog_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of entries in the slowlog"),
                    ..Docs::new(
                        Group::Server,
                        "2.2.12",
                        "Clears all entries from the slow log.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "swapdb",
        proc: Some(keyspace::swapdb_command),
        arity: 3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_KEYSPACE
            | ACL_CATEGORY_WRITE
            | ACL_CATEGORY_FAST
            | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some(
                "O(N) where N is the count of clients watching or blocking on keys from both databases.",
            ),
            args: &[
                Arg::new("index1", ArgType::Integer),
                Arg::new("index2", ArgType::Integer),
            ],
            ..Docs::new(Group::Server, "4.0.0", "Swaps two Redis databases.")
        },
        ..Command::ROW
    },
    Command {
        name: "sync",
        proc: Some(replication::sync_command),
        arity: 1,
        flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
        acl: ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs::new(
            Group::Server,
            "1.0.0",
            "An internal command used in replication.",
        ),
        ..Command::ROW
    },
    Command {
        name: "time",
        proc: Some(server::time_command),
        arity: 1,
        flags: CMD_LOADING | CMD_STALE | CMD_FAST,
        acl: ACL_CATEGORY_FAST,
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(Group::Server, "2.6.0", "Returns the server time.")
        },
        ..Command::ROW
    },
];
