//! The rows of group `set`: sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::set;
use crate::server::command::{
    ACL_CATEGORY_FAST, ACL_CATEGORY_READ, ACL_CATEGORY_SET, ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE,
    Arg, ArgType, CMD_DENYOOM, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_DELETE, CMD_KEY_INSERT,
    CMD_KEY_OW, CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE, CMD_MOVABLE_KEYS, CMD_READONLY, CMD_WRITE,
    Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "sadd",
        proc: Some(set::sadd_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
            ),
            history: &[("2.4.0", "Accepts multiple `member` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Adds one or more members to a set. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "scard",
        proc: Some(set::scard_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Returns the number of members in a set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sdiff",
        proc: Some(set::sdiff_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of elements in all given sets."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Returns the difference of multiple sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sdiffstore",
        proc: Some(set::sdiffstore_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of elements in all given sets."),
            args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Stores the difference of multiple sets in a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sinter",
        proc: Some(set::sinter_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some(
                "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
            ),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Returns the intersect of multiple sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sintercard",
        proc: Some(set::sintercard_command),
        arity: -3,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1)],
        docs: Docs {
            complexity: Some(
                "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
            ),
            args: &[
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::new("limit", ArgType::Integer)
                    .token("LIMIT")
                    .optional(),
            ],
            ..Docs::new(
                Group::Set,
                "7.0.0",
                "Returns the number of members of the intersect of multiple sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sinterstore",
        proc: Some(set::sinterstore_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0),
        ],
        docs: Docs {
            complexity: Some(
                "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
            ),
            args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Stores the intersect of multiple sets in a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sismember",
        proc: Some(set::sismember_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("member", ArgType::String)],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Determines whether a member belongs to a set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "smembers",
        proc: Some(set::smembers_command),
        arity: 2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the set cardinality."),
            args: &[Arg::key("key", 0)],
            ..Docs::new(Group::Set, "1.0.0", "Returns all members of a set.")
        },
        ..Command::ROW
    },
    Command {
        name: "smismember",
        proc: Some(set::smismember_command),
        arity: -3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of elements being checked for membership"),
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Set,
                "6.2.0",
                "Determines whether multiple members belong to a set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "smove",
        proc: Some(set::smove_command),
        arity: 4,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::new("member", ArgType::String),
            ],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Moves a member from one set to another.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "spop",
        proc: Some(set::spop_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
            ),
            history: &[("3.2.0", "Added the `count` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer)
                    .since("3.2.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "srandmember",
        proc: Some(set::srandmember_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
            ),
            history: &[("2.6.0", "Added the optional `count` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer)
                    .since("2.6.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Get one or multiple random members from a set",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "srem",
        proc: Some(set::srem_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of members to be removed."),
            history: &[("2.4.0", "Accepts multiple `member` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Removes one or more members from a set. Deletes the set if the last member was removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sscan",
        proc: Some(set::sscan_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
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
            ..Docs::new(Group::Set, "2.8.0", "Iterates over members of a set.")
        },
        ..Command::ROW
    },
    Command {
        name: "sunion",
        proc: Some(set::sunion_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0)],
        tips: &["nondeterministic_output_order"],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of elements in all given sets."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(Group::Set, "1.0.0", "Returns the union of multiple sets.")
        },
        ..Command::ROW
    },
    Command {
        name: "sunionstore",
        proc: Some(set::sunionstore_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(N) where N is the total number of elements in all given sets."),
            args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
            ..Docs::new(
                Group::Set,
                "1.0.0",
                "Stores the union of multiple sets in a key.",
            )
        },
        ..Command::ROW
    },
];
