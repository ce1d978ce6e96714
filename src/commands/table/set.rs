//! The rows of group `set`: sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::set;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Set, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("sadd", -3, set::sadd_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "1.0.0",
            "Adds one or more members to a set. Creates the key if it \
             doesn't exist.",
        )
        .complexity(
            "O(1) for each element added, so O(N) to add N elements when the \
             command is called with multiple arguments.",
        )
        .history(&[("2.4.0", "Accepts multiple `member` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).multiple(),
        ]),
    row("scard", 2, set::scard_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("1.0.0", "Returns the number of members in a set.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("sdiff", -2, set::sdiff_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).range(-1, 1, 0)])
        .tips(&["nondeterministic_output_order"])
        .docs("1.0.0", "Returns the difference of multiple sets.")
        .complexity("O(N) where N is the total number of elements in all given sets.")
        .args(&[Arg::key("key", 0).multiple()]),
    row("sdiffstore", -3, set::sdiffstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).range(-1, 1, 0),
        ])
        .docs("1.0.0", "Stores the difference of multiple sets in a key.")
        .complexity("O(N) where N is the total number of elements in all given sets.")
        .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
    row("sinter", -2, set::sinter_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).range(-1, 1, 0)])
        .tips(&["nondeterministic_output_order"])
        .docs("1.0.0", "Returns the intersect of multiple sets.")
        .complexity(
            "O(N*M) worst case where N is the cardinality of the smallest \
             set and M is the number of sets.",
        )
        .args(&[Arg::key("key", 0).multiple()]),
    row("sintercard", -3, set::sintercard_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Returns the number of members of the intersect of multiple sets.",
        )
        .complexity(
            "O(N*M) worst case where N is the cardinality of the smallest \
             set and M is the number of sets.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::new("limit", ArgType::Integer)
                .token("LIMIT")
                .optional(),
        ]),
    row("sinterstore", -3, set::sinterstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).range(-1, 1, 0),
        ])
        .docs("1.0.0", "Stores the intersect of multiple sets in a key.")
        .complexity(
            "O(N*M) worst case where N is the cardinality of the smallest \
             set and M is the number of sets.",
        )
        .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
    row("sismember", 3, set::sismember_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("1.0.0", "Determines whether a member belongs to a set.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("member", ArgType::String)]),
    row("smembers", 2, set::smembers_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output_order"])
        .docs("1.0.0", "Returns all members of a set.")
        .complexity("O(N) where N is the set cardinality.")
        .args(&[Arg::key("key", 0)]),
    row("smismember", -3, set::smismember_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "6.2.0",
            "Determines whether multiple members belong to a set.",
        )
        .complexity(
            "O(N) where N is the number of elements being checked for \
             membership",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).multiple(),
        ]),
    row("smove", 4, set::smove_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::RW, Key::INSERT]),
        ])
        .docs("1.0.0", "Moves a member from one set to another.")
        .complexity("O(1)")
        .args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::new("member", ArgType::String),
        ]),
    row("spop", -2, set::spop_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .tips(&["nondeterministic_output"])
        .docs(
            "1.0.0",
            "Returns one or more random members from a set after removing \
             them. Deletes the set if the last member was popped.",
        )
        .complexity(
            "Without the count argument O(1), otherwise O(N) where N is the \
             value of the passed count.",
        )
        .history(&[("3.2.0", "Added the `count` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer)
                .since("3.2.0")
                .optional(),
        ]),
    row("srandmember", -2, set::srandmember_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("1.0.0", "Get one or multiple random members from a set")
        .complexity(
            "Without the count argument O(1), otherwise O(N) where N is the \
             absolute value of the passed count.",
        )
        .history(&[("2.6.0", "Added the optional `count` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer)
                .since("2.6.0")
                .optional(),
        ]),
    row("srem", -3, set::srem_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "1.0.0",
            "Removes one or more members from a set. Deletes the set if the \
             last member was removed.",
        )
        .complexity("O(N) where N is the number of members to be removed.")
        .history(&[("2.4.0", "Accepts multiple `member` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).multiple(),
        ]),
    row("sscan", -3, set::sscan_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("2.8.0", "Iterates over members of a set.")
        .complexity(
            "O(1) for every call. O(N) for a complete iteration, including \
             enough command calls for the cursor to return back to 0. N is \
             the number of elements inside the collection.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("cursor", ArgType::Integer),
            Arg::new("pattern", ArgType::Pattern)
                .token("MATCH")
                .optional(),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
        ]),
    row("sunion", -2, set::sunion_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).range(-1, 1, 0)])
        .tips(&["nondeterministic_output_order"])
        .docs("1.0.0", "Returns the union of multiple sets.")
        .complexity("O(N) where N is the total number of elements in all given sets.")
        .args(&[Arg::key("key", 0).multiple()]),
    row("sunionstore", -3, set::sunionstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).range(-1, 1, 0),
        ])
        .docs("1.0.0", "Stores the union of multiple sets in a key.")
        .complexity("O(N) where N is the total number of elements in all given sets.")
        .args(&[Arg::key("destination", 0), Arg::key("key", 1).multiple()]),
];
