//! The rows of group `hash`: hashes.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::hash;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Hash, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("hdel", -3, hash::hdel_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "2.0.0",
            "Deletes one or more fields and their values from a hash. \
             Deletes the hash if no fields remain.",
        )
        .complexity("O(N) where N is the number of fields to be removed.")
        .history(&[("2.4.0", "Accepts multiple `field` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgType::String).multiple(),
        ]),
    row("hexists", 3, hash::hexists_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("2.0.0", "Determines whether a field exists in a hash.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("field", ArgType::String)]),
    row("hget", 3, hash::hget_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("2.0.0", "Returns the value of a field in a hash.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("field", ArgType::String)]),
    row("hgetall", 2, hash::hgetall_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output_order"])
        .docs("2.0.0", "Returns all fields and values in a hash.")
        .complexity("O(N) where N is the size of the hash.")
        .args(&[Arg::key("key", 0)]),
    row("hincrby", 4, hash::hincrby_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "2.0.0",
            "Increments the integer value of a field in a hash by a number. \
             Uses 0 as initial value if the field doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgType::String),
            Arg::new("increment", ArgType::Integer),
        ]),
    row("hincrbyfloat", 4, hash::hincrbyfloat_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Increments the floating point value of a field by a number. \
             Uses 0 as initial value if the field doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgType::String),
            Arg::new("increment", ArgType::Double),
        ]),
    row("hkeys", 2, hash::hkeys_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output_order"])
        .docs("2.0.0", "Returns all fields in a hash.")
        .complexity("O(N) where N is the size of the hash.")
        .args(&[Arg::key("key", 0)]),
    row("hlen", 2, hash::hlen_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("2.0.0", "Returns the number of fields in a hash.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("hmget", -3, hash::hmget_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("2.0.0", "Returns the values of all fields in a hash.")
        .complexity("O(N) where N is the number of fields being requested.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgType::String).multiple(),
        ]),
    row("hmset", -4, hash::hmset_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs("2.0.0", "Sets the values of multiple fields.")
        .complexity("O(N) where N is the number of fields being set.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
        .args(&[
            Arg::key("key", 0),
            Arg::block(
                "data",
                &[
                    Arg::new("field", ArgType::String),
                    Arg::new("value", ArgType::String),
                ],
            )
            .multiple(),
        ]),
    row("hrandfield", -2, hash::hrandfield_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("6.2.0", "Returns one or more random fields from a hash.")
        .complexity("O(N) where N is the number of fields returned")
        .args(&[
            Arg::key("key", 0),
            Arg::block(
                "options",
                &[
                    Arg::new("count", ArgType::Integer),
                    Arg::token_only("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ]),
    row("hscan", -3, hash::hscan_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("2.8.0", "Iterates over fields and values of a hash.")
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
    row("hset", -4, hash::hset_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "2.0.0",
            "Creates or modifies the value of a field in a hash.",
        )
        .complexity(
            "O(1) for each field/value pair added, so O(N) to add N \
             field/value pairs when the command is called with multiple \
             field/value pairs.",
        )
        .history(&[("4.0.0", "Accepts multiple `field` and `value` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::block(
                "data",
                &[
                    Arg::new("field", ArgType::String),
                    Arg::new("value", ArgType::String),
                ],
            )
            .multiple(),
        ]),
    row("hsetnx", 4, hash::hsetnx_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.0.0",
            "Sets the value of a field in a hash only when the field doesn't \
             exist.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::key("key", 0),
            Arg::new("field", ArgType::String),
            Arg::new("value", ArgType::String),
        ]),
    row("hstrlen", 3, hash::hstrlen_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("3.2.0", "Returns the length of the value of a field.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("field", ArgType::String)]),
    row("hvals", 2, hash::hvals_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output_order"])
        .docs("2.0.0", "Returns all values in a hash.")
        .complexity("O(N) where N is the size of the hash.")
        .args(&[Arg::key("key", 0)]),
];
