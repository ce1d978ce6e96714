//! The rows of group `scripting`: what can be answered without scripts and functions. The rest of the group is in `unbuilt`.
//!
//! Rows only. The facts are those of Redis 7.2, as COMMAND INFO and COMMAND DOCS tell them.

use crate::commands::unbuilt;
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, Group, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Scripting, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Scripting, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    container(
        "function",
        -2,
        &[
            row("function|delete", 3, unbuilt::function_delete_command)
                .flags(&[Flag::NOSCRIPT, Flag::WRITE])
                .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
                .docs("7.0.0", "Deletes a library and its functions.")
                .complexity("O(1)")
                .args(&[Arg::new("library-name", ArgType::String)]),
            row("function|dump", 2, unbuilt::function_dump_command)
                .flags(&[Flag::NOSCRIPT])
                .docs(
                    "7.0.0",
                    "Dumps all libraries into a serialized binary payload.",
                )
                .complexity("O(N) where N is the number of functions"),
            row("function|flush", -2, unbuilt::function_flush_command)
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
            row("function|help", 2, unbuilt::function_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "7.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("function|kill", 2, unbuilt::function_kill_command)
                .flags(&[Flag::NOSCRIPT, Flag::ALLOW_BUSY])
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .docs("7.0.0", "Terminates a function during execution.")
                .complexity("O(1)"),
            row("function|list", -2, unbuilt::function_list_command)
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
            row("function|stats", 2, unbuilt::function_stats_command)
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
            row("script|exists", -3, unbuilt::script_exists_command)
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
            row("script|flush", -2, unbuilt::script_flush_command)
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
            row("script|help", 2, unbuilt::script_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("script|kill", 2, unbuilt::script_kill_command)
                .flags(&[Flag::NOSCRIPT, Flag::ALLOW_BUSY])
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .docs(
                    "2.6.0",
                    "Terminates a server-side Lua script during execution.",
                )
                .complexity("O(1)"),
        ],
    )
    .not_in(&[Acl::SCRIPTING])
    .docs("2.6.0", "A container for Lua scripts management commands.")
    .complexity("Depends on subcommand."),
];
