//! The rows of group `hash`: hashes.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::hash;
use crate::server::command::{
    ACL_CATEGORY_FAST, ACL_CATEGORY_HASH, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE,
    Arg, ArgType, CMD_DENYOOM, CMD_DOC_DEPRECATED, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_DELETE,
    CMD_KEY_INSERT, CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE, CMD_READONLY, CMD_WRITE, Command, Docs,
    Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "hdel",
        proc: Some(hash::hdel_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of fields to be removed."),
            history: &[("2.4.0", "Accepts multiple `field` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("field", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hexists",
        proc: Some(hash::hexists_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("field", ArgType::String)],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Determines whether a field exists in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hget",
        proc: Some(hash::hget_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("field", ArgType::String)],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Returns the value of a field in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hgetall",
        proc: Some(hash::hgetall_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the size of the hash."),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Returns all fields and values in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hincrby",
        proc: Some(hash::hincrby_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::new("field", ArgType::String),
                Arg::new("increment", ArgType::Integer),
            ],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hincrbyfloat",
        proc: Some(hash::hincrbyfloat_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::new("field", ArgType::String),
                Arg::new("increment", ArgType::Double),
            ],
            ..Docs::new(
                Group::Hash,
                "2.6.0",
                "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hkeys",
        proc: Some(hash::hkeys_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the size of the hash."),
            args: &[Arg::key("key", 0)],
            ..Docs::new(Group::Hash, "2.0.0", "Returns all fields in a hash.")
        },
        ..Command::ROW
    },
    Command {
        name: "hlen",
        proc: Some(hash::hlen_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Returns the number of fields in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hmget",
        proc: Some(hash::hmget_command),
        arity: -3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of fields being requested."),
            args: &[
                Arg::key("key", 0),
                Arg::new("field", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Returns the values of all fields in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hmset",
        proc: Some(hash::hmset_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of fields being set."),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`HSET` with multiple field-value pairs"),
            deprecated_since: Some("4.0.0"),
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "data",
                    &[
                        Arg::new("field", ArgType::String),
                        Arg::new("value", ArgType::String),
                    ],
                )
                .multiple(),
            ],
            ..Docs::new(Group::Hash, "2.0.0", "Sets the values of multiple fields.")
        },
        ..Command::ROW
    },
    Command {
        name: "hrandfield",
        proc: Some(hash::hrandfield_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of fields returned"),
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "options",
                    &[
                        Arg::new("count", ArgType::Integer),
                        Arg::token_only("withvalues", "WITHVALUES").optional(),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Hash,
                "6.2.0",
                "Returns one or more random fields from a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hscan",
        proc: Some(hash::hscan_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("cursor", ArgType::Integer),
                Arg::new("pattern", ArgType::Pattern)
                    .token("MATCH")
                    .optional(),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::Hash,
                "2.8.0",
                "Iterates over fields and values of a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hset",
        proc: Some(hash::hset_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
            ),
            history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "data",
                    &[
                        Arg::new("field", ArgType::String),
                        Arg::new("value", ArgType::String),
                    ],
                )
                .multiple(),
            ],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Creates or modifies the value of a field in a hash.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hsetnx",
        proc: Some(hash::hsetnx_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::new("field", ArgType::String),
                Arg::new("value", ArgType::String),
            ],
            ..Docs::new(
                Group::Hash,
                "2.0.0",
                "Sets the value of a field in a hash only when the field doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hstrlen",
        proc: Some(hash::hstrlen_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("field", ArgType::String)],
            ..Docs::new(
                Group::Hash,
                "3.2.0",
                "Returns the length of the value of a field.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "hvals",
        proc: Some(hash::hvals_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HASH | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the size of the hash."),
            args: &[Arg::key("key", 0)],
            ..Docs::new(Group::Hash, "2.0.0", "Returns all values in a hash.")
        },
        ..Command::ROW
    },
];
