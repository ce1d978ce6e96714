//! The rows of group `hyperloglog`: the commands that count distinct elements.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::hyperloglog;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Hyperloglog, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("pfadd", -2, hyperloglog::pfadd_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.8.9",
            "Adds elements to a HyperLogLog key. Creates the key if it \
             doesn't exist.",
        )
        .complexity("O(1) to add every element.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String).optional().multiple(),
        ]),
    row("pfcount", -2, hyperloglog::pfcount_command)
        .flags(&[Flag::READONLY, Flag::MAY_REPLICATE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS])
            .range(-1, 1, 0)
            .notes(
                "RW because it may change the internal representation of the \
                 key, and propagate to replicas",
            )])
        .docs(
            "2.8.9",
            "Returns the approximated cardinality of the set(s) observed by \
             the HyperLogLog key(s).",
        )
        .complexity(
            "O(1) with a very small average constant time when called with a \
             single key. O(N) with N being the number of keys, and much \
             bigger constant times, when called with multiple keys.",
        )
        .args(&[Arg::key("key", 0).multiple()]),
    row("pfdebug", 3, hyperloglog::pfdebug_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::ADMIN])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS])])
        .docs(
            "2.8.9",
            "Internal commands for debugging HyperLogLog values.",
        )
        .complexity("N/A")
        .syscmd()
        .args(&[Arg::new("subcommand", ArgType::String), Arg::key("key", 0)]),
    row("pfmerge", -2, hyperloglog::pfmerge_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::INSERT]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).range(-1, 1, 0),
        ])
        .docs(
            "2.8.9",
            "Merges one or more HyperLogLog values into a single key.",
        )
        .complexity("O(N) to merge N HyperLogLogs, but with high constant times.")
        .args(&[
            Arg::key("destkey", 0),
            Arg::key("sourcekey", 1).optional().multiple(),
        ]),
    row("pfselftest", 1, hyperloglog::pfselftest_command)
        .flags(&[Flag::ADMIN])
        .docs(
            "2.8.9",
            "An internal command for testing HyperLogLog values.",
        )
        .complexity("N/A")
        .syscmd(),
];
