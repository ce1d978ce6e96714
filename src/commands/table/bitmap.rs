//! The rows of group `bitmap`: the commands on strings as bit arrays.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::bitfield_get_keys;
use crate::commands::bitops;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Bitmap, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("bitcount", -2, bitops::bitcount_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.6.0",
            "Counts the number of set bits (population counting) in a string.",
        )
        .complexity("O(N)")
        .history(&[("7.0.0", "Added the `BYTE|BIT` option.")])
        .args(&[
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
        ]),
    row("bitfield", -2, bitops::bitfield_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE, Key::VARIABLE_FLAGS])
                .notes("This command allows both access and modification of the key"),
        ])
        .get_keys(bitfield_get_keys)
        .docs(
            "3.2.0",
            "Performs arbitrary bitfield integer operations on strings.",
        )
        .complexity("O(1) for each subcommand specified")
        .args(&[
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
        ]),
    row("bitfield_ro", -2, bitops::bitfieldro_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "6.0.0",
            "Performs arbitrary read-only bitfield integer operations on \
             strings.",
        )
        .complexity("O(1) for each subcommand specified")
        .args(&[
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
        ]),
    row("bitop", -4, bitops::bitop_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(2, &[Key::OW, Key::UPDATE]),
            KeySpec::index(3, &[Key::RO, Key::ACCESS]).range(-1, 1, 0),
        ])
        .docs(
            "2.6.0",
            "Performs bitwise operations on multiple strings, and stores the \
             result.",
        )
        .complexity("O(N)")
        .args(&[
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
        ]),
    row("bitpos", -3, bitops::bitpos_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.8.7",
            "Finds the first set (1) or clear (0) bit in a string.",
        )
        .complexity("O(N)")
        .history(&[("7.0.0", "Added the `BYTE|BIT` option.")])
        .args(&[
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
        ]),
    row("getbit", 3, bitops::getbit_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("2.2.0", "Returns a bit value by offset.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("offset", ArgType::Integer)]),
    row("setbit", 4, bitops::setbit_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "2.2.0",
            "Sets or clears the bit at offset of the string value. Creates \
             the key if it doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::key("key", 0),
            Arg::new("offset", ArgType::Integer),
            Arg::new("value", ArgType::Integer),
        ]),
];
