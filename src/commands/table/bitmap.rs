//! The rows of group `bitmap`: the commands on strings as bit arrays.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::bitfield_get_keys;
use crate::commands::bitops;
use crate::server::command::{
    ACL_CATEGORY_BITMAP, ACL_CATEGORY_FAST, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW,
    ACL_CATEGORY_WRITE, Arg, ArgType, CMD_DENYOOM, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_OW,
    CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE, CMD_KEY_VARIABLE_FLAGS, CMD_READONLY, CMD_WRITE,
    Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "bitcount",
        proc: Some(bitops::bitcount_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_BITMAP | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(N)"),
            history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "range",
                    &[
                        Arg::new("start", ArgType::Integer),
                        Arg::new("end", ArgType::Integer),
                        Arg::one_of(
                            "unit",
                            &[
                                Arg::token_only("byte", "BYTE"),
                                Arg::token_only("bit", "BIT"),
                            ],
                        )
                        .since("7.0.0")
                        .optional(),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Bitmap,
                "2.6.0",
                "Counts the number of set bits (population counting) in a string.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bitfield",
        proc: Some(bitops::bitfield_command),
        arity: -2,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_BITMAP | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE | CMD_KEY_VARIABLE_FLAGS,
        )
        .notes("This command allows both access and modification of the key")],
        get_keys: Some(bitfield_get_keys),
        docs: Docs {
            complexity: Some("O(1) for each subcommand specified"),
            args: &[
                Arg::key("key", 0),
                Arg::one_of(
                    "operation",
                    &[
                        Arg::block(
                            "get-block",
                            &[
                                Arg::new("encoding", ArgType::String),
                                Arg::new("offset", ArgType::Integer),
                            ],
                        )
                        .token("GET"),
                        Arg::block(
                            "write",
                            &[
                                Arg::one_of(
                                    "overflow-block",
                                    &[
                                        Arg::token_only("wrap", "WRAP"),
                                        Arg::token_only("sat", "SAT"),
                                        Arg::token_only("fail", "FAIL"),
                                    ],
                                )
                                .token("OVERFLOW")
                                .optional(),
                                Arg::one_of(
                                    "write-operation",
                                    &[
                                        Arg::block(
                                            "set-block",
                                            &[
                                                Arg::new("encoding", ArgType::String),
                                                Arg::new("offset", ArgType::Integer),
                                                Arg::new("value", ArgType::Integer),
                                            ],
                                        )
                                        .token("SET"),
                                        Arg::block(
                                            "incrby-block",
                                            &[
                                                Arg::new("encoding", ArgType::String),
                                                Arg::new("offset", ArgType::Integer),
                                                Arg::new("increment", ArgType::Integer),
                                            ],
                                        )
                                        .token("INCRBY"),
                                    ],
                                ),
                            ],
                        ),
                    ],
                )
                .optional()
                .multiple(),
            ],
            ..Docs::new(
                Group::Bitmap,
                "3.2.0",
                "Performs arbitrary bitfield integer operations on strings.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bitfield_ro",
        proc: Some(bitops::bitfieldro_command),
        arity: -2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_BITMAP | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1) for each subcommand specified"),
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "get-block",
                    &[
                        Arg::new("encoding", ArgType::String),
                        Arg::new("offset", ArgType::Integer),
                    ],
                )
                .token("GET")
                .optional()
                .multiple()
                .multiple_token(),
            ],
            ..Docs::new(
                Group::Bitmap,
                "6.0.0",
                "Performs arbitrary read-only bitfield integer operations on strings.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bitop",
        proc: Some(bitops::bitop_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_BITMAP | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(2, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(3, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(N)"),
            args: &[
                Arg::one_of(
                    "operation",
                    &[
                        Arg::token_only("and", "AND"),
                        Arg::token_only("or", "OR"),
                        Arg::token_only("xor", "XOR"),
                        Arg::token_only("not", "NOT"),
                    ],
                ),
                Arg::key("destkey", 0),
                Arg::key("key", 1).multiple(),
            ],
            ..Docs::new(
                Group::Bitmap,
                "2.6.0",
                "Performs bitwise operations on multiple strings, and stores the result.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bitpos",
        proc: Some(bitops::bitpos_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_BITMAP | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(N)"),
            history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("bit", ArgType::Integer),
                Arg::block(
                    "range",
                    &[
                        Arg::new("start", ArgType::Integer),
                        Arg::block(
                            "end-unit-block",
                            &[
                                Arg::new("end", ArgType::Integer),
                                Arg::one_of(
                                    "unit",
                                    &[
                                        Arg::token_only("byte", "BYTE"),
                                        Arg::token_only("bit", "BIT"),
                                    ],
                                )
                                .since("7.0.0")
                                .optional(),
                            ],
                        )
                        .optional(),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Bitmap,
                "2.8.7",
                "Finds the first set (1) or clear (0) bit in a string.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "getbit",
        proc: Some(bitops::getbit_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_BITMAP | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("offset", ArgType::Integer)],
            ..Docs::new(Group::Bitmap, "2.2.0", "Returns a bit value by offset.")
        },
        ..Command::ROW
    },
    Command {
        name: "setbit",
        proc: Some(bitops::setbit_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_BITMAP | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::new("offset", ArgType::Integer),
                Arg::new("value", ArgType::Integer),
            ],
            ..Docs::new(
                Group::Bitmap,
                "2.2.0",
                "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
];
