//! The rows of group `string`: the commands on string values.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::set_get_keys;
use crate::commands::string;
use crate::server::command::{
    ACL_CATEGORY_FAST, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW, ACL_CATEGORY_STRING,
    ACL_CATEGORY_WRITE, Arg, ArgType, CMD_DENYOOM, CMD_DOC_DEPRECATED, CMD_FAST, CMD_KEY_ACCESS,
    CMD_KEY_DELETE, CMD_KEY_INSERT, CMD_KEY_OW, CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE,
    CMD_KEY_VARIABLE_FLAGS, CMD_READONLY, CMD_WRITE, Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "append",
        proc: Some(string::append_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.",
            ),
            args: &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
            ..Docs::new(
                Group::String,
                "2.0.0",
                "Appends a string to the value of a key. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "decr",
        proc: Some(string::decr_command),
        arity: 2,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "decrby",
        proc: Some(string::decrby_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("decrement", ArgType::Integer)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "get",
        proc: Some(string::get_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(Group::String, "1.0.0", "Returns the string value of a key.")
        },
        ..Command::ROW
    },
    Command {
        name: "getdel",
        proc: Some(string::getdel_command),
        arity: 2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::String,
                "6.2.0",
                "Returns the string value of a key after deleting the key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "getex",
        proc: Some(string::getex_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE)
                .notes("RW and UPDATE because it changes the TTL"),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::one_of(
                    "expiration",
                    &[
                        Arg::new("seconds", ArgType::Integer).token("EX"),
                        Arg::new("milliseconds", ArgType::Integer).token("PX"),
                        Arg::new("unix-time-seconds", ArgType::UnixTime).token("EXAT"),
                        Arg::new("unix-time-milliseconds", ArgType::UnixTime).token("PXAT"),
                        Arg::token_only("persist", "PERSIST"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::String,
                "6.2.0",
                "Returns the string value of a key after setting its expiration time.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "getrange",
        proc: Some(string::getrange_command),
        arity: 4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("end", ArgType::Integer),
            ],
            ..Docs::new(
                Group::String,
                "2.4.0",
                "Returns a substring of the string stored at a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "getset",
        proc: Some(string::getset_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("6.2.0"),
            replaced_by: Some("`SET` with the `!GET` argument"),
            args: &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Returns the previous string value of a key after setting it to a new value.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "incr",
        proc: Some(string::incr_command),
        arity: 2,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "incrby",
        proc: Some(string::incrby_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("increment", ArgType::Integer)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "incrbyfloat",
        proc: Some(string::incrbyfloat_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("increment", ArgType::Double)],
            ..Docs::new(
                Group::String,
                "2.6.0",
                "Increment the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lcs",
        proc: Some(string::lcs_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).range(1, 1, 0)],
        docs: Docs {
            complexity: Some("O(N*M) where N and M are the lengths of s1 and s2, respectively"),
            args: &[
                Arg::key("key1", 0),
                Arg::key("key2", 0),
                Arg::token_only("len", "LEN").optional(),
                Arg::token_only("idx", "IDX").optional(),
                Arg::new("min-match-len", ArgType::Integer)
                    .token("MINMATCHLEN")
                    .optional(),
                Arg::token_only("withmatchlen", "WITHMATCHLEN").optional(),
            ],
            ..Docs::new(
                Group::String,
                "7.0.0",
                "Finds the longest common substring.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "mget",
        proc: Some(string::mget_command),
        arity: -2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0)],
        tips: &["request_policy:multi_shard"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys to retrieve."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Atomically returns the string values of one or more keys.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "mset",
        proc: Some(string::mset_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE).range(-1, 2, 0)],
        tips: &[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys to set."),
            args: &[Arg::block(
                "data",
                &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
            )
            .multiple()],
            ..Docs::new(
                Group::String,
                "1.0.1",
                "Atomically creates or modifies the string values of one or more keys.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "msetnx",
        proc: Some(string::msetnx_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_INSERT).range(-1, 2, 0)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of keys to set."),
            args: &[Arg::block(
                "data",
                &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
            )
            .multiple()],
            ..Docs::new(
                Group::String,
                "1.0.1",
                "Atomically modifies the string values of one or more keys only when all keys don't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "psetex",
        proc: Some(string::psetex_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("2.6.12"),
            replaced_by: Some("`SET` with the `PX` argument"),
            args: &[
                Arg::key("key", 0),
                Arg::new("milliseconds", ArgType::Integer),
                Arg::new("value", ArgType::String),
            ],
            ..Docs::new(
                Group::String,
                "2.6.0",
                "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "set",
        proc: Some(string::set_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE | CMD_KEY_VARIABLE_FLAGS,
        )
        .notes("RW and ACCESS due to the optional `GET` argument")],
        get_keys: Some(set_get_keys),
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[
                ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
                ("6.0.0", "Added the `KEEPTTL` option."),
                ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
                (
                    "7.0.0",
                    "Allowed the `NX` and `GET` options to be used together.",
                ),
            ],
            args: &[
                Arg::key("key", 0),
                Arg::new("value", ArgType::String),
                Arg::one_of(
                    "condition",
                    &[Arg::token_only("nx", "NX"), Arg::token_only("xx", "XX")],
                )
                .since("2.6.12")
                .optional(),
                Arg::token_only("get", "GET").since("6.2.0").optional(),
                Arg::one_of(
                    "expiration",
                    &[
                        Arg::new("seconds", ArgType::Integer)
                            .token("EX")
                            .since("2.6.12"),
                        Arg::new("milliseconds", ArgType::Integer)
                            .token("PX")
                            .since("2.6.12"),
                        Arg::new("unix-time-seconds", ArgType::UnixTime)
                            .token("EXAT")
                            .since("6.2.0"),
                        Arg::new("unix-time-milliseconds", ArgType::UnixTime)
                            .token("PXAT")
                            .since("6.2.0"),
                        Arg::token_only("keepttl", "KEEPTTL").since("6.0.0"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "setex",
        proc: Some(string::setex_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("2.6.12"),
            replaced_by: Some("`SET` with the `EX` argument"),
            args: &[
                Arg::key("key", 0),
                Arg::new("seconds", ArgType::Integer),
                Arg::new("value", ArgType::String),
            ],
            ..Docs::new(
                Group::String,
                "2.0.0",
                "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "setnx",
        proc: Some(string::setnx_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_OW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("2.6.12"),
            replaced_by: Some("`SET` with the `NX` argument"),
            args: &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Set the string value of a key only when the key doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "setrange",
        proc: Some(string::setrange_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("offset", ArgType::Integer),
                Arg::new("value", ArgType::String),
            ],
            ..Docs::new(
                Group::String,
                "2.2.0",
                "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "strlen",
        proc: Some(string::strlen_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::String,
                "2.2.0",
                "Returns the length of a string value.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "substr",
        proc: Some(string::getrange_command),
        arity: 4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STRING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("2.0.0"),
            replaced_by: Some("`GETRANGE`"),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("end", ArgType::Integer),
            ],
            ..Docs::new(
                Group::String,
                "1.0.0",
                "Returns a substring from a string value.",
            )
        },
        ..Command::ROW
    },
];
