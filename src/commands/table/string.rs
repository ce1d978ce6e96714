//! The rows of group `string`: the commands on string values.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::set_get_keys;
use crate::commands::string;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::String, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("append", 3, string::append_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.0.0",
            "Appends a string to the value of a key. Creates the key if it \
             doesn't exist.",
        )
        .complexity(
            "O(1). The amortized time complexity is O(1) assuming the \
             appended value is small and the already present value is of any \
             size, since the dynamic string library used by Redis will \
             double the free space available on every reallocation.",
        )
        .args(&[Arg::key("key", 0), Arg::new("value", ArgType::String)]),
    row("decr", 2, string::decr_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Decrements the integer value of a key by one. Uses 0 as initial \
             value if the key doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("decrby", 3, string::decrby_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Decrements a number from the integer value of a key. Uses 0 as \
             initial value if the key doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("decrement", ArgType::Integer)]),
    row("get", 2, string::get_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("1.0.0", "Returns the string value of a key.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("getdel", 2, string::getdel_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .docs(
            "6.2.0",
            "Returns the string value of a key after deleting the key.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("getex", -2, string::getex_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])
            .notes("RW and UPDATE because it changes the TTL")])
        .docs(
            "6.2.0",
            "Returns the string value of a key after setting its expiration \
             time.",
        )
        .complexity("O(1)")
        .args(&[
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
        ]),
    row("getrange", 4, string::getrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.4.0",
            "Returns a substring of the string stored at a key.",
        )
        .complexity(
            "O(N) where N is the length of the returned string. The \
             complexity is ultimately determined by the returned length, but \
             because creating a substring from an existing string is very \
             cheap, it can be considered O(1) for small strings.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("end", ArgType::Integer),
        ]),
    row("getset", 3, string::getset_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Returns the previous string value of a key after setting it to \
             a new value.",
        )
        .complexity("O(1)")
        .deprecated("6.2.0", "`SET` with the `!GET` argument")
        .args(&[Arg::key("key", 0), Arg::new("value", ArgType::String)]),
    row("incr", 2, string::incr_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Increments the integer value of a key by one. Uses 0 as initial \
             value if the key doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("incrby", 3, string::incrby_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Increments the integer value of a key by a number. Uses 0 as \
             initial value if the key doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("increment", ArgType::Integer)]),
    row("incrbyfloat", 3, string::incrbyfloat_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Increment the floating point value of a key by a number. Uses 0 \
             as initial value if the key doesn't exist.",
        )
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("increment", ArgType::Double)]),
    row("lcs", -3, string::lcs_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).range(1, 1, 0)])
        .docs("7.0.0", "Finds the longest common substring.")
        .complexity("O(N*M) where N and M are the lengths of s1 and s2, respectively")
        .args(&[
            Arg::key("key1", 0),
            Arg::key("key2", 0),
            Arg::token_only("len", "LEN").optional(),
            Arg::token_only("idx", "IDX").optional(),
            Arg::new("min-match-len", ArgType::Integer)
                .token("MINMATCHLEN")
                .optional(),
            Arg::token_only("withmatchlen", "WITHMATCHLEN").optional(),
        ]),
    row("mget", -2, string::mget_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).range(-1, 1, 0)])
        .tips(&["request_policy:multi_shard"])
        .docs(
            "1.0.0",
            "Atomically returns the string values of one or more keys.",
        )
        .complexity("O(N) where N is the number of keys to retrieve.")
        .args(&[Arg::key("key", 0).multiple()]),
    row("mset", -3, string::mset_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::UPDATE]).range(-1, 2, 0)])
        .tips(&[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ])
        .docs(
            "1.0.1",
            "Atomically creates or modifies the string values of one or more \
             keys.",
        )
        .complexity("O(N) where N is the number of keys to set.")
        .args(&[Arg::block(
            "data",
            &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
        )
        .multiple()]),
    row("msetnx", -3, string::msetnx_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::INSERT]).range(-1, 2, 0)])
        .docs(
            "1.0.1",
            "Atomically modifies the string values of one or more keys only \
             when all keys don't exist.",
        )
        .complexity("O(N) where N is the number of keys to set.")
        .args(&[Arg::block(
            "data",
            &[Arg::key("key", 0), Arg::new("value", ArgType::String)],
        )
        .multiple()]),
    row("psetex", 4, string::psetex_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::UPDATE])])
        .docs(
            "2.6.0",
            "Sets both string value and expiration time in milliseconds of a \
             key. The key is created if it doesn't exist.",
        )
        .complexity("O(1)")
        .deprecated("2.6.12", "`SET` with the `PX` argument")
        .args(&[
            Arg::key("key", 0),
            Arg::new("milliseconds", ArgType::Integer),
            Arg::new("value", ArgType::String),
        ]),
    row("set", -3, string::set_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE, Key::VARIABLE_FLAGS])
                .notes("RW and ACCESS due to the optional `GET` argument"),
        ])
        .get_keys(set_get_keys)
        .docs(
            "1.0.0",
            "Sets the string value of a key, ignoring its type. The key is \
             created if it doesn't exist.",
        )
        .complexity("O(1)")
        .history(&[
            ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
            ("6.0.0", "Added the `KEEPTTL` option."),
            ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
            (
                "7.0.0",
                "Allowed the `NX` and `GET` options to be used together.",
            ),
        ])
        .args(&[
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
        ]),
    row("setex", 4, string::setex_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::UPDATE])])
        .docs(
            "2.0.0",
            "Sets the string value and expiration time of a key. Creates the \
             key if it doesn't exist.",
        )
        .complexity("O(1)")
        .deprecated("2.6.12", "`SET` with the `EX` argument")
        .args(&[
            Arg::key("key", 0),
            Arg::new("seconds", ArgType::Integer),
            Arg::new("value", ArgType::String),
        ]),
    row("setnx", 3, string::setnx_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::OW, Key::INSERT])])
        .docs(
            "1.0.0",
            "Set the string value of a key only when the key doesn't exist.",
        )
        .complexity("O(1)")
        .deprecated("2.6.12", "`SET` with the `NX` argument")
        .args(&[Arg::key("key", 0), Arg::new("value", ArgType::String)]),
    row("setrange", 4, string::setrange_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "2.2.0",
            "Overwrites a part of a string value with another by an offset. \
             Creates the key if it doesn't exist.",
        )
        .complexity(
            "O(1), not counting the time taken to copy the new string in \
             place. Usually, this string is very small so the amortized \
             complexity is O(1). Otherwise, complexity is O(M) with M being \
             the length of the value argument.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("offset", ArgType::Integer),
            Arg::new("value", ArgType::String),
        ]),
    row("strlen", 2, string::strlen_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("2.2.0", "Returns the length of a string value.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("substr", 4, string::getrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("1.0.0", "Returns a substring from a string value.")
        .complexity(
            "O(N) where N is the length of the returned string. The \
             complexity is ultimately determined by the returned length, but \
             because creating a substring from an existing string is very \
             cheap, it can be considered O(1) for small strings.",
        )
        .deprecated("2.0.0", "`GETRANGE`")
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("end", ArgType::Integer),
        ]),
];
