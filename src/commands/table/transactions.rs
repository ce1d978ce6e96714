//! The rows of group `transactions`: MULTI, EXEC and WATCH.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::transactions;
use crate::server::command::{
    ACL_CATEGORY_FAST, ACL_CATEGORY_SLOW, ACL_CATEGORY_TRANSACTION, Arg, CMD_ALLOW_BUSY, CMD_FAST,
    CMD_KEY_RO, CMD_LOADING, CMD_NOSCRIPT, CMD_SKIP_SLOWLOG, CMD_STALE, Command, Docs, Group,
    KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "discard",
        proc: Some(transactions::discard_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_TRANSACTION,
        docs: Docs {
            complexity: Some("O(N), when N is the number of queued commands"),
            ..Docs::new(Group::Transactions, "2.0.0", "Discards a transaction.")
        },
        ..Command::ROW
    },
    Command {
        name: "exec",
        proc: Some(transactions::exec_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG,
        acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_TRANSACTION,
        docs: Docs {
            complexity: Some("Depends on commands in the transaction"),
            ..Docs::new(
                Group::Transactions,
                "1.2.0",
                "Executes all commands in a transaction.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "multi",
        proc: Some(transactions::multi_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_TRANSACTION,
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(Group::Transactions, "1.2.0", "Starts a transaction.")
        },
        ..Command::ROW
    },
    Command {
        name: "unwatch",
        proc: Some(transactions::unwatch_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_TRANSACTION,
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(
                Group::Transactions,
                "2.2.0",
                "Forgets about watched keys of a transaction.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "watch",
        proc: Some(transactions::watch_command),
        arity: -2,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_TRANSACTION,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO).range(-1, 1, 0)],
        docs: Docs {
            complexity: Some("O(1) for every key."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Transactions,
                "2.2.0",
                "Monitors changes to keys to determine the execution of a transaction.",
            )
        },
        ..Command::ROW
    },
];
