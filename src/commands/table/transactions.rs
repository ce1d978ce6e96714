//! The rows of group `transactions`: MULTI, EXEC and WATCH.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::transactions;
use crate::server::execution::command::{
    Arg, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Transactions, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("discard", 1, transactions::discard_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::ALLOW_BUSY,
            Flag::RUNS_IN_MULTI,
            Flag::LEAVES_MULTI,
        ])
        .docs("2.0.0", "Discards a transaction.")
        .complexity("O(N), when N is the number of queued commands"),
    row("exec", 1, transactions::exec_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::SKIP_SLOWLOG,
            Flag::RUNS_IN_MULTI,
            Flag::RUNS_QUEUED,
        ])
        .docs("1.2.0", "Executes all commands in a transaction.")
        .complexity("Depends on commands in the transaction"),
    row("multi", 1, transactions::multi_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::ALLOW_BUSY,
            Flag::RUNS_IN_MULTI,
            Flag::BEGINS_MULTI,
        ])
        .docs("1.2.0", "Starts a transaction.")
        .complexity("O(1)"),
    row("unwatch", 1, transactions::unwatch_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::ALLOW_BUSY,
        ])
        .docs("2.2.0", "Forgets about watched keys of a transaction.")
        .complexity("O(1)"),
    row("watch", -2, transactions::watch_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::ALLOW_BUSY,
            Flag::RUNS_IN_MULTI,
        ])
        .key_specs(&[KeySpec::index(1, &[Key::RO]).range(-1, 1, 0)])
        .docs(
            "2.2.0",
            "Monitors changes to keys to determine the execution of a \
             transaction.",
        )
        .complexity("O(1) for every key.")
        .args(&[Arg::key("key", 0).multiple()]),
];
