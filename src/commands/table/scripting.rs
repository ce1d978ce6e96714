//! The rows of group `scripting`: scripts and functions.
//!
//! Rows only. The facts are those of Redis 7.2, as COMMAND INFO and COMMAND DOCS tell them.

use crate::script::{eval, function_commands, functions};
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key,
    KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Scripting, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Scripting, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("eval", -3, eval::eval_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::MAY_REPLICATE,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS, Key::UPDATE])
            .keynum(0, 1, 1)
            .notes(
                "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
            )])
        .docs("2.6.0", "Executes a server-side Lua script.")
        .complexity("Depends on the script that is executed.")
        .args(&[
            Arg::new("script", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    row("eval_ro", -3, eval::eval_ro_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::READONLY,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])
            .keynum(0, 1, 1)
            .notes(
                "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
            )])
        .docs("7.0.0", "Executes a read-only server-side Lua script.")
        .complexity("Depends on the script that is executed.")
        .args(&[
            Arg::new("script", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    row("evalsha", -3, eval::evalsha_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::MAY_REPLICATE,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS, Key::UPDATE]).keynum(0, 1, 1)])
        .docs("2.6.0", "Executes a server-side Lua script by SHA1 digest.")
        .complexity("Depends on the script that is executed.")
        .args(&[
            Arg::new("sha1", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    row("evalsha_ro", -3, eval::evalsha_ro_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::READONLY,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])
            .keynum(0, 1, 1)
            .notes(
                "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
            )])
        .docs(
            "7.0.0",
            "Executes a read-only server-side Lua script by SHA1 digest.",
        )
        .complexity("Depends on the script that is executed.")
        .args(&[
            Arg::new("sha1", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    row("fcall", -3, functions::fcall_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::MAY_REPLICATE,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS, Key::UPDATE])
            .keynum(0, 1, 1)
            .notes(
                "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
            )])
        .docs("7.0.0", "Invokes a function.")
        .complexity("Depends on the function that is executed.")
        .args(&[
            Arg::new("function", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    row("fcall_ro", -3, functions::fcall_ro_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::SKIP_MONITOR,
            Flag::NO_MANDATORY_KEYS,
            Flag::STALE,
            Flag::READONLY,
            Flag::RUNS_SCRIPT,
        ])
        .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])
            .keynum(0, 1, 1)
            .notes(
                "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
            )])
        .docs("7.0.0", "Invokes a read-only function.")
        .complexity("Depends on the function that is executed.")
        .args(&[
            Arg::new("function", ArgType::String),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).optional().multiple(),
            Arg::new("arg", ArgType::String).optional().multiple(),
        ]),
    container(
        "function",
        -2,
        &[
            row(
                "function|delete",
                3,
                function_commands::function_delete_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::WRITE])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .docs("7.0.0", "Deletes a library and its functions.")
            .complexity("O(1)")
            .args(&[Arg::new("library-name", ArgType::String)]),
            row("function|dump", 2, function_commands::function_dump_command)
                .flags(&[Flag::NOSCRIPT])
                .docs(
                    "7.0.0",
                    "Dumps all libraries into a serialized binary payload.",
                )
                .complexity("O(N) where N is the number of functions"),
            row(
                "function|flush",
                -2,
                function_commands::function_flush_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::WRITE])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .docs("7.0.0", "Deletes all libraries and functions.")
            .complexity("O(N) where N is the number of functions deleted")
            .args(&[Arg::one_of(
                "flush-type",
                &[
                    Arg::token_only("async", "ASYNC"),
                    Arg::token_only("sync", "SYNC"),
                ],
            )
            .optional()]),
            row("function|help", 2, function_commands::function_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "7.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("function|kill", 2, function_commands::function_kill_command)
                .flags(&[Flag::NOSCRIPT, Flag::ALLOW_BUSY])
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .docs("7.0.0", "Terminates a function during execution.")
                .complexity("O(1)"),
            row(
                "function|list",
                -2,
                function_commands::function_list_command,
            )
            .flags(&[Flag::NOSCRIPT])
            .tips(&["nondeterministic_output_order"])
            .docs("7.0.0", "Returns information about all libraries.")
            .complexity("O(N) where N is the number of functions")
            .args(&[
                Arg::new("library-name-pattern", ArgType::String)
                    .token("LIBRARYNAME")
                    .optional(),
                Arg::token_only("withcode", "WITHCODE").optional(),
            ]),
            row(
                "function|load",
                -3,
                function_commands::function_load_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::WRITE, Flag::DENYOOM])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .docs("7.0.0", "Creates a library.")
            .complexity("O(1) (considering compilation time is redundant)")
            .args(&[
                Arg::token_only("replace", "REPLACE").optional(),
                Arg::new("function-code", ArgType::String),
            ]),
            row(
                "function|restore",
                -3,
                function_commands::function_restore_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::WRITE, Flag::DENYOOM])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .docs("7.0.0", "Restores all libraries from a payload.")
            .complexity("O(N) where N is the number of functions on the payload")
            .args(&[
                Arg::new("serialized-value", ArgType::String),
                Arg::one_of(
                    "policy",
                    &[
                        Arg::token_only("flush", "FLUSH"),
                        Arg::token_only("append", "APPEND"),
                        Arg::token_only("replace", "REPLACE"),
                    ],
                )
                .optional(),
            ]),
            row(
                "function|stats",
                2,
                function_commands::function_stats_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::ALLOW_BUSY])
            .tips(&[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ])
            .docs(
                "7.0.0",
                "Returns information about a function during execution.",
            )
            .complexity("O(1)"),
        ],
    )
    .not_in(&[Acl::SCRIPTING])
    .docs("7.0.0", "A container for function commands.")
    .complexity("Depends on subcommand."),
    container(
        "script",
        -2,
        &[
            row(
                "script|debug",
                3,
                crate::script::debugger::life::script_debug_command,
            )
            .flags(&[Flag::NOSCRIPT])
            .docs("3.2.0", "Sets the debug mode of server-side Lua scripts.")
            .complexity("O(1)")
            .args(&[Arg::one_of(
                "mode",
                &[
                    Arg::token_only("yes", "YES"),
                    Arg::token_only("sync", "SYNC"),
                    Arg::token_only("no", "NO"),
                ],
            )]),
            row("script|exists", -3, eval::script_exists_command)
                .flags(&[Flag::NOSCRIPT])
                .tips(&[
                    "request_policy:all_shards",
                    "response_policy:agg_logical_and",
                ])
                .docs(
                    "2.6.0",
                    "Determines whether server-side Lua scripts exist in the script \
                     cache.",
                )
                .complexity(
                    "O(N) with N being the number of scripts to check (so checking a \
                     single script is an O(1) operation).",
                )
                .args(&[Arg::new("sha1", ArgType::String).multiple()]),
            row("script|flush", -2, eval::script_flush_command)
                .flags(&[Flag::NOSCRIPT])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs(
                    "2.6.0",
                    "Removes all server-side Lua scripts from the script cache.",
                )
                .complexity("O(N) with N being the number of scripts in cache")
                .history(&[(
                    "6.2.0",
                    "Added the `ASYNC` and `SYNC` flushing mode modifiers.",
                )])
                .args(&[Arg::one_of(
                    "flush-type",
                    &[
                        Arg::token_only("async", "ASYNC"),
                        Arg::token_only("sync", "SYNC"),
                    ],
                )
                .since("6.2.0")
                .optional()]),
            row("script|help", 2, eval::script_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("script|kill", 2, eval::script_kill_command)
                .flags(&[Flag::NOSCRIPT, Flag::ALLOW_BUSY])
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .docs(
                    "2.6.0",
                    "Terminates a server-side Lua script during execution.",
                )
                .complexity("O(1)"),
            row("script|load", 3, eval::script_load_command)
                .flags(&[Flag::NOSCRIPT, Flag::STALE])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs(
                    "2.6.0",
                    "Loads a server-side Lua script to the script cache.",
                )
                .complexity("O(N) with N being the length in bytes of the script body.")
                .args(&[Arg::new("script", ArgType::String)]),
            row("script|show", 3, eval::script_show_command)
                .flags(&[Flag::NOSCRIPT])
                .docs(
                    "8.0.0",
                    "Shows a server-side Lua script in the script cache.",
                )
                .complexity("O(1)")
                .args(&[Arg::new("sha1", ArgType::String)]),
        ],
    )
    .not_in(&[Acl::SCRIPTING])
    .docs("2.6.0", "A container for Lua scripts management commands.")
    .complexity("Depends on subcommand."),
];
