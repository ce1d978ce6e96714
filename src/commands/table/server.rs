//! The rows of group `server`: the commands on the server, its configuration, persistence and replication.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::acl::commands as acl;
use crate::commands::{
    command, config, debug, dump, keyspace, latency, memory, persist, replication, server, slowlog,
    unbuilt,
};
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, DatabaseArgs, Group, Guard,
    KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Server, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Server, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    container(
        "acl",
        -2,
        &[
row("acl|cat", -2, acl::acl_cat_command).flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Lists the ACL categories, or the commands inside a category.").complexity("O(1) since the categories and commands are a fixed set.").args(&[Arg::new("category", ArgType::String).optional()]),
row("acl|deluser", -3, acl::acl_deluser_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).docs("6.0.0", "Deletes ACL users, and terminates their connections.").complexity("O(1) amortized time considering the typical user.").args(&[Arg::new("username", ArgType::String).multiple()]),
row("acl|dryrun", -4, acl::acl_dryrun_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("7.0.0", "Simulates the execution of a command by a user, without executing the command.").complexity("O(1).").args(&[Arg::new("username", ArgType::String), Arg::new("command", ArgType::String), Arg::new("arg", ArgType::String).optional().multiple()]),
row("acl|genpass", -2, acl::acl_genpass_command).flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Generates a pseudorandom, secure password that can be used to identify ACL users.").complexity("O(1)").args(&[Arg::new("bits", ArgType::Integer).optional()]),
row("acl|getuser", 3, acl::acl_getuser_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Lists the ACL rules of a user.").complexity("O(N). Where N is the number of password, command and pattern rules that the user has.").history(&[("6.2.0", "Added Pub/Sub channel patterns."), ("7.0.0", "Added selectors and changed the format of key and channel patterns from a list to their rule representation.")]).args(&[Arg::new("username", ArgType::String)]),
row("acl|help", 2, acl::acl_help_command).flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Returns helpful text about the different subcommands.").complexity("O(1)"),
row("acl|list", 2, acl::acl_list_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Dumps the effective rules in ACL file format.").complexity("O(N). Where N is the number of configured users."),
row("acl|load", 2, acl::acl_load_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Reloads the rules from the configured ACL file.").complexity("O(N). Where N is the number of configured users."),
row("acl|log", -2, acl::acl_log_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Lists recent security events generated due to ACL rules.").complexity("O(N) with N being the number of entries shown.").history(&[("7.2.0", "Added entry ID, timestamp created, and timestamp last updated.")]).args(&[Arg::one_of("operation", const { &[Arg::new("count", ArgType::Integer), Arg::token_only("reset", "RESET")] }).optional()]),
row("acl|save", 2, acl::acl_save_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).docs("6.0.0", "Saves the effective ACL rules in the configured ACL file.").complexity("O(N). Where N is the number of configured users."),
row("acl|setuser", -3, acl::acl_setuser_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).docs("6.0.0", "Creates and modifies an ACL user and its rules.").complexity("O(N). Where N is the number of rules provided.").history(&[("6.2.0", "Added Pub/Sub channel patterns."), ("7.0.0", "Added selectors and key based permissions.")]).args(&[Arg::new("username", ArgType::String), Arg::new("rule", ArgType::String).optional().multiple()]),
row("acl|users", 2, acl::acl_users_command).flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Lists all ACL users.").complexity("O(N). Where N is the number of configured users."),
row("acl|whoami", 2, acl::acl_whoami_command).flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
.docs("6.0.0", "Returns the authenticated username of the current connection.").complexity("O(1)"),
        ],
    )
    .flags(&[Flag::SENTINEL])
    .docs("6.0.0", "A container for Access List Control commands.")
    .complexity("Depends on subcommand."),
    row("bgrewriteaof", 1, persist::bgrewriteaof_command)
        .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::NO_ASYNC_LOADING])
        .docs(
            "1.0.0",
            "Asynchronously rewrites the append-only file to disk.",
        )
        .complexity("O(1)"),
    row("bgsave", -1, persist::bgsave_command)
        .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::NO_ASYNC_LOADING])
        .docs("1.0.0", "Asynchronously saves the database(s) to disk.")
        .complexity("O(1)")
        .history(&[("3.2.2", "Added the `SCHEDULE` option.")])
        .args(&[Arg::token_only("schedule", "SCHEDULE")
            .since("3.2.2")
            .optional()]),
    row("command", -1, command::command_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
        .also_in(&[Acl::CONNECTION])
        .tips(&["nondeterministic_output_order"])
        .docs("2.8.13", "Returns detailed information about all commands.")
        .complexity("O(N) where N is the total number of Redis commands")
        .subcommands(&[
            row("command|count", 2, command::command_count_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .docs("2.8.13", "Returns a count of commands.")
                .complexity("O(1)"),
            row("command|docs", -2, command::command_docs_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .tips(&["nondeterministic_output_order"])
                .docs(
                    "7.0.0",
                    "Returns documentary information about one, multiple or all \
                     commands.",
                )
                .complexity("O(N) where N is the number of commands to look up")
                .args(&[Arg::new("command-name", ArgType::String)
                    .optional()
                    .multiple()]),
            row("command|getkeys", -3, command::command_get_keys_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .docs(
                    "2.8.13",
                    "Extracts the key names from an arbitrary command.",
                )
                .complexity("O(N) where N is the number of arguments to the command")
                .args(&[
                    Arg::new("command", ArgType::String),
                    Arg::new("arg", ArgType::String).optional().multiple(),
                ]),
            row(
                "command|getkeysandflags",
                -3,
                command::command_get_keys_and_flags_command,
            )
            .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
            .also_in(&[Acl::CONNECTION])
            .docs(
                "7.0.0",
                "Extracts the key names and access flags for an arbitrary \
                 command.",
            )
            .complexity("O(N) where N is the number of arguments to the command")
            .args(&[
                Arg::new("command", ArgType::String),
                Arg::new("arg", ArgType::String).optional().multiple(),
            ]),
            row("command|help", 2, command::command_help_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("command|info", -2, command::command_info_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .tips(&["nondeterministic_output_order"])
                .docs(
                    "2.8.13",
                    "Returns information about one, multiple or all commands.",
                )
                .complexity("O(N) where N is the number of commands to look up")
                .history(&[(
                    "7.0.0",
                    "Allowed to be called with no argument to get info on all \
                     commands.",
                )])
                .args(&[Arg::new("command-name", ArgType::String)
                    .optional()
                    .multiple()]),
            row("command|list", -2, command::command_list_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .also_in(&[Acl::CONNECTION])
                .tips(&["nondeterministic_output_order"])
                .docs("7.0.0", "Returns a list of command names.")
                .complexity("O(N) where N is the total number of Redis commands")
                .args(&[Arg::one_of(
                    "filterby",
                    &[
                        Arg::new("module-name", ArgType::String).token("MODULE"),
                        Arg::new("category", ArgType::String).token("ACLCAT"),
                        Arg::new("pattern", ArgType::Pattern).token("PATTERN"),
                    ],
                )
                .token("FILTERBY")
                .optional()]),
        ]),
    container(
        "config",
        -2,
        &[
            row("config|get", -3, config::config_get_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .docs(
                    "2.0.0",
                    "Returns the effective values of configuration parameters.",
                )
                .complexity("O(N) when N is the number of configuration parameters provided")
                .history(&[(
                    "7.0.0",
                    "Added the ability to pass multiple pattern parameters in one \
                     call",
                )])
                .args(&[Arg::new("parameter", ArgType::String).multiple()]),
            row("config|help", 2, config::config_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("config|resetstat", 2, config::config_resetstat_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs("2.0.0", "Resets the server's statistics.")
                .complexity("O(1)"),
            row("config|rewrite", 2, config::config_rewrite_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs("2.8.0", "Persists the effective configuration to file.")
                .complexity("O(1)"),
            row("config|set", -4, config::config_set_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs("2.0.0", "Sets configuration parameters in-flight.")
                .complexity("O(N) when N is the number of configuration parameters provided")
                .history(&[(
                    "7.0.0",
                    "Added the ability to set multiple parameters in one call.",
                )])
                .args(&[Arg::block(
                    "data",
                    &[
                        Arg::new("parameter", ArgType::String),
                        Arg::new("value", ArgType::String),
                    ],
                )
                .multiple()]),
        ],
    )
    .docs("2.0.0", "A container for server configuration commands.")
    .complexity("Depends on subcommand."),
    row("dbsize", 1, keyspace::dbsize_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .also_in(&[Acl::KEYSPACE])
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .docs("1.0.0", "Returns the number of keys in the database.")
        .complexity("O(1)"),
    row("debug", -2, debug::debug_command)
        .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
        .guard(Guard::Debug)
        .docs("1.0.0", "A container for debugging commands.")
        .complexity("Depends on subcommand.")
        .syscmd(),
    row("failover", -1, replication::failover_command)
        .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::STALE])
        .docs(
            "6.2.0",
            "Starts a coordinated failover from a server to one of its \
             replicas.",
        )
        .complexity("O(1)")
        .args(&[
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
        ]),
    row("flushall", -1, keyspace::flushall_command)
        .flags(&[Flag::WRITE])
        .databases(DatabaseArgs::All)
        .also_in(&[Acl::KEYSPACE, Acl::DANGEROUS])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("1.0.0", "Removes all keys from all databases.")
        .complexity("O(N) where N is the total number of keys in all databases")
        .history(&[
            ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
            ("6.2.0", "Added the `SYNC` flushing mode modifier."),
        ])
        .args(&[Arg::one_of(
            "flush-type",
            &[
                Arg::token_only("async", "ASYNC").since("4.0.0"),
                Arg::token_only("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    row("flushdb", -1, keyspace::flushdb_command)
        .flags(&[Flag::WRITE])
        .also_in(&[Acl::KEYSPACE, Acl::DANGEROUS])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("1.0.0", "Remove all keys from the current database.")
        .complexity("O(N) where N is the number of keys in the selected database")
        .history(&[
            ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
            ("6.2.0", "Added the `SYNC` flushing mode modifier."),
        ])
        .args(&[Arg::one_of(
            "flush-type",
            &[
                Arg::token_only("async", "ASYNC").since("4.0.0"),
                Arg::token_only("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    row("info", -1, server::info_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
        .also_in(&[Acl::DANGEROUS])
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ])
        .docs(
            "1.0.0",
            "Returns information and statistics about the server.",
        )
        .complexity("O(1)")
        .history(&[(
            "7.0.0",
            "Added support for taking multiple section arguments.",
        )])
        .args(&[Arg::new("section", ArgType::String).optional().multiple()]),
    row("lastsave", 1, persist::lastsave_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::FAST])
        .also_in(&[Acl::ADMIN, Acl::DANGEROUS])
        .tips(&["nondeterministic_output"])
        .docs(
            "1.0.0",
            "Returns the Unix timestamp of the last successful save to disk.",
        )
        .complexity("O(1)"),
    container(
        "latency",
        -2,
        &[
            row("latency|doctor", 2, latency::latency_doctor_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ])
                .docs(
                    "2.8.13",
                    "Returns a human-readable latency analysis report.",
                )
                .complexity("O(1)"),
            row("latency|graph", 3, latency::latency_graph_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ])
                .docs("2.8.13", "Returns a latency graph for an event.")
                .complexity("O(1)")
                .args(&[Arg::new("event", ArgType::String)]),
            row("latency|help", 2, latency::latency_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "2.8.13",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("latency|histogram", -2, latency::latency_histogram_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ])
                .docs(
                    "7.0.0",
                    "Returns the cumulative distribution of latencies of a subset or \
                     all commands.",
                )
                .complexity(
                    "O(N) where N is the number of commands with latency information \
                     being retrieved.",
                )
                .args(&[Arg::new("COMMAND", ArgType::String).optional().multiple()]),
            row("latency|history", 3, latency::latency_history_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ])
                .docs("2.8.13", "Returns timestamp-latency samples for an event.")
                .complexity("O(1)")
                .args(&[Arg::new("event", ArgType::String)]),
            row("latency|latest", 2, latency::latency_latest_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ])
                .docs(
                    "2.8.13",
                    "Returns the latest latency samples for all events.",
                )
                .complexity("O(1)"),
            row("latency|reset", -2, latency::latency_reset_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
                .docs("2.8.13", "Resets the latency data for one or more events.")
                .complexity("O(1)")
                .args(&[Arg::new("event", ArgType::String).optional().multiple()]),
        ],
    )
    .docs("2.8.13", "A container for latency diagnostics commands.")
    .complexity("Depends on subcommand."),
    row("lolwut", -1, server::lolwut_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .docs("5.0.0", "Displays computer art and the Redis version")
        .args(&[Arg::new("version", ArgType::Integer)
            .token("VERSION")
            .optional()]),
    container(
        "memory",
        -2,
        &[
            row("memory|bigkeys", -2, memory::memory_bigkeys_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT])
                .tips(&["nondeterministic_output"])
                .docs("7.2.4", "Returns the largest keys that were found by sampling.")
                .complexity("O(N) where N is the number of keys returned.")
                .args(&[Arg::new("count", ArgType::Integer).token("COUNT").optional()]),
            row("memory|doctor", 2, memory::memory_doctor_command)
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ])
                .docs("4.0.0", "Outputs a memory problems report.")
                .complexity("O(1)"),
            row("memory|help", 2, memory::memory_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "4.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("memory|hotkeys", -2, memory::memory_hotkeys_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT])
                .tips(&["nondeterministic_output"])
                .docs("7.2.4", "Returns the most used keys that were found by sampling.")
                .complexity("O(N) where N is the number of keys returned.")
                .args(&[Arg::new("count", ArgType::Integer).token("COUNT").optional()]),
            row(
                "memory|malloc-stats",
                2,
                memory::memory_malloc_stats_command,
            )
            .tips(&[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ])
            .docs("4.0.0", "Returns the allocator statistics.")
            .complexity("Depends on how much memory is allocated, could be slow"),
            row("memory|purge", 2, memory::memory_purge_command)
                .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
                .docs("4.0.0", "Asks the allocator to release memory.")
                .complexity("Depends on how much memory is allocated, could be slow"),
            row("memory|stats", 2, memory::memory_stats_command)
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ])
                .docs("4.0.0", "Returns details about memory usage.")
                .complexity("O(1)"),
            row("memory|usage", -3, memory::memory_usage_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO])])
                .docs("4.0.0", "Estimates the memory usage of a key.")
                .complexity("O(N) where N is the number of samples.")
                .args(&[
                    Arg::key("key", 0),
                    Arg::new("count", ArgType::Integer)
                        .token("SAMPLES")
                        .optional(),
                ]),
        ],
    )
    .docs("4.0.0", "A container for memory diagnostics commands.")
    .complexity("Depends on subcommand."),
    container(
        "module",
        -2,
        &[
            row("module|help", 2, unbuilt::module_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("module|list", 2, unbuilt::module_list_command)
                .flags(&[Flag::ADMIN, Flag::NOSCRIPT])
                .tips(&["nondeterministic_output_order"])
                .docs("4.0.0", "Returns all loaded modules.")
                .complexity("O(N) where N is the number of loaded modules."),
        ],
    )
    .docs("4.0.0", "A container for module commands.")
    .complexity("Depends on subcommand."),
    row("monitor", 1, server::monitor_command)
        .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
        .docs(
            "1.0.0",
            "Listens for all requests received by the server in real-time.",
        ),
    row("psync", -3, replication::psync_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::NO_ASYNC_LOADING,
            Flag::NO_MULTI,
        ])
        .docs("2.8.0", "An internal command used in replication.")
        .args(&[
            Arg::new("replicationid", ArgType::String),
            Arg::new("offset", ArgType::Integer),
        ]),
    row("replconf", -1, replication::replconf_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::ALLOW_BUSY,
        ])
        .docs(
            "3.0.0",
            "An internal command for configuring the replication stream.",
        )
        .complexity("O(1)")
        .syscmd(),
    row("replicaof", 3, replication::replicaof_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::STALE,
            Flag::NO_ASYNC_LOADING,
        ])
        .docs(
            "5.0.0",
            "Configures a server as replica of another, or promotes it to a \
             master.",
        )
        .complexity("O(1)")
        .args(&[Arg::one_of(
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
        )]),
    container(
        "replication",
        -2,
        &[
            row(
                "replication|explain",
                2,
                replication::replication_explain_command,
            )
            .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
            .tips(&["nondeterministic_output"])
            .docs(
                "7.2.4",
                "Says in words where each replication link stands, and what would happen if it broke.",
            )
            .complexity("O(N) where N is the number of replicas."),
            row(
                "replication|help",
                2,
                replication::replication_help_command,
            )
            .flags(&[Flag::LOADING, Flag::STALE])
            .docs(
                "7.2.4",
                "Returns helpful text about the different subcommands.",
            )
            .complexity("O(1)"),
            row(
                "replication|lag",
                2,
                replication::replication_lag_command,
            )
            .flags(&[Flag::ADMIN, Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
            .tips(&["nondeterministic_output"])
            .docs("7.2.4", "Returns how far behind each replica is.")
            .complexity("O(N) where N is the number of replicas."),
        ],
    )
    .docs("7.2.4", "A container for replication diagnostics commands.")
    .complexity("Depends on subcommand."),
    row("restore-asking", -4, dump::restore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::ASKING])
        .also_in(&[Acl::KEYSPACE, Acl::DANGEROUS])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::UPDATE])])
        .docs(
            "3.0.0",
            "An internal command for migrating keys in a cluster.",
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
        .syscmd()
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
    row("role", 1, replication::role_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::SENTINEL,
        ])
        .also_in(&[Acl::ADMIN, Acl::DANGEROUS])
        .docs("2.8.12", "Returns the replication role.")
        .complexity("O(1)"),
    row("save", 1, persist::save_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::NO_ASYNC_LOADING,
            Flag::NO_MULTI,
        ])
        .docs("1.0.0", "Synchronously saves the database(s) to disk.")
        .complexity("O(N) where N is the total number of keys in all databases"),
    row("shutdown", -1, server::shutdown_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::NO_MULTI,
            Flag::ALLOW_BUSY,
            Flag::SENTINEL,
        ])
        .docs(
            "1.0.0",
            "Synchronously saves the database(s) to disk and shuts down the \
             Redis server.",
        )
        .complexity(
            "O(N) when saving, where N is the total number of keys in all \
             databases when saving data, otherwise O(1)",
        )
        .history(&[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")])
        .args(&[
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
        ]),
    row("slaveof", 3, replication::replicaof_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::STALE,
            Flag::NO_ASYNC_LOADING,
        ])
        .docs(
            "1.0.0",
            "Sets a Redis server as a replica of another, or promotes it to \
             being a master.",
        )
        .complexity("O(1)")
        .deprecated("5.0.0", "`REPLICAOF`")
        .args(&[Arg::one_of(
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
        )]),
    container(
        "slowlog",
        -2,
        &[
            row("slowlog|get", -2, slowlog::slowlog_get_command)
                .flags(&[Flag::ADMIN, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "nondeterministic_output"])
                .docs("2.2.12", "Returns the slow log's entries.")
                .complexity("O(N) where N is the number of entries returned")
                .history(&[(
                    "4.0.0",
                    "Added client IP address, port and name to the reply.",
                )])
                .args(&[Arg::new("count", ArgType::Integer).optional()]),
            row("slowlog|help", 2, slowlog::slowlog_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs("6.2.0", "Show helpful text about the different subcommands")
                .complexity("O(1)"),
            row("slowlog|len", 2, slowlog::slowlog_len_command)
                .flags(&[Flag::ADMIN, Flag::LOADING, Flag::STALE])
                .tips(&[
                    "request_policy:all_nodes",
                    "response_policy:agg_sum",
                    "nondeterministic_output",
                ])
                .docs("2.2.12", "Returns the number of entries in the slow log.")
                .complexity("O(1)"),
            row("slowlog|reset", 2, slowlog::slowlog_reset_command)
                .flags(&[Flag::ADMIN, Flag::LOADING, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs("2.2.12", "Clears all entries from the slow log.")
                .complexity("O(N) where N is the number of entries in the slowlog"),
        ],
    )
    .docs("2.2.12", "A container for slow log commands.")
    .complexity("Depends on subcommand."),
    row("swapdb", 3, keyspace::swapdb_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .databases(DatabaseArgs::Instead(&[1, 2]))
        .also_in(&[Acl::KEYSPACE, Acl::DANGEROUS])
        .docs("4.0.0", "Swaps two Redis databases.")
        .complexity(
            "O(N) where N is the count of clients watching or blocking on \
             keys from both databases.",
        )
        .args(&[
            Arg::new("index1", ArgType::Integer),
            Arg::new("index2", ArgType::Integer),
        ]),
    row("sync", 1, replication::sync_command)
        .flags(&[
            Flag::ADMIN,
            Flag::NOSCRIPT,
            Flag::NO_ASYNC_LOADING,
            Flag::NO_MULTI,
        ])
        .docs("1.0.0", "An internal command used in replication."),
    row("time", 1, server::time_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::FAST])
        .tips(&["nondeterministic_output"])
        .docs("2.6.0", "Returns the server time.")
        .complexity("O(1)"),
];
