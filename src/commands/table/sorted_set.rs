//! The rows of group `sorted_set`: sorted sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::sorted_set;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::SortedSet, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("bzmpop", -5, sorted_set::bzmpop_command)
        .flags(&[Flag::WRITE, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS, Key::DELETE]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Removes and returns a member by score from one or more sorted \
             sets. Blocks until a member is available otherwise. Deletes the \
             sorted set if the last element was popped.",
        )
        .complexity(
            "O(K) + O(M*log(N)) where K is the number of provided keys, N \
             being the number of elements in the sorted set, and M being the \
             number of elements popped.",
        )
        .args(&[
            Arg::new("timeout", ArgType::Double),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::one_of(
                "where",
                &[Arg::token_only("min", "MIN"), Arg::token_only("max", "MAX")],
            ),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
        ]),
    row("bzpopmax", -3, sorted_set::bzpopmax_command)
        .flags(&[Flag::WRITE, Flag::FAST, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).range(-2, 1, 0)])
        .docs(
            "5.0.0",
            "Removes and returns the member with the highest score from one \
             or more sorted sets. Blocks until a member available otherwise.  \
             Deletes the sorted set if the last element was popped.",
        )
        .complexity("O(log(N)) with N being the number of elements in the sorted set.")
        .history(&[(
            "6.0.0",
            "`timeout` is interpreted as a double instead of an integer.",
        )])
        .args(&[
            Arg::key("key", 0).multiple(),
            Arg::new("timeout", ArgType::Double),
        ]),
    row("bzpopmin", -3, sorted_set::bzpopmin_command)
        .flags(&[Flag::WRITE, Flag::FAST, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).range(-2, 1, 0)])
        .docs(
            "5.0.0",
            "Removes and returns the member with the lowest score from one \
             or more sorted sets. Blocks until a member is available \
             otherwise. Deletes the sorted set if the last element was \
             popped.",
        )
        .complexity("O(log(N)) with N being the number of elements in the sorted set.")
        .history(&[(
            "6.0.0",
            "`timeout` is interpreted as a double instead of an integer.",
        )])
        .args(&[
            Arg::key("key", 0).multiple(),
            Arg::new("timeout", ArgType::Double),
        ]),
    row("zadd", -4, sorted_set::zadd_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "1.2.0",
            "Adds one or more members to a sorted set, or updates their \
             scores. Creates the key if it doesn't exist.",
        )
        .complexity(
            "O(log(N)) for each item added, where N is the number of \
             elements in the sorted set.",
        )
        .history(&[
            ("2.4.0", "Accepts multiple elements."),
            ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
            ("6.2.0", "Added the `GT` and `LT` options."),
        ])
        .args(&[
            Arg::key("key", 0),
            Arg::one_of(
                "condition",
                &[Arg::token_only("nx", "NX"), Arg::token_only("xx", "XX")],
            )
            .since("3.0.2")
            .optional(),
            Arg::one_of(
                "comparison",
                &[Arg::token_only("gt", "GT"), Arg::token_only("lt", "LT")],
            )
            .since("6.2.0")
            .optional(),
            Arg::token_only("change", "CH").since("3.0.2").optional(),
            Arg::token_only("increment", "INCR")
                .since("3.0.2")
                .optional(),
            Arg::block(
                "data",
                &[
                    Arg::new("score", ArgType::Double),
                    Arg::new("member", ArgType::String),
                ],
            )
            .multiple(),
        ]),
    row("zcard", 2, sorted_set::zcard_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("1.2.0", "Returns the number of members in a sorted set.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("zcount", 4, sorted_set::zcount_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.0.0",
            "Returns the count of members in a sorted set that have scores \
             within a range.",
        )
        .complexity("O(log(N)) with N being the number of elements in the sorted set.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::Double),
            Arg::new("max", ArgType::Double),
        ]),
    row("zdiff", -3, sorted_set::zdiff_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1)])
        .docs(
            "6.2.0",
            "Returns the difference between multiple sorted sets.",
        )
        .complexity(
            "O(L + (N-K)log(N)) worst case where L is the total number of \
             elements in all the sets, N is the size of the first set, and K \
             is the size of the result set.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::token_only("withscores", "WITHSCORES").optional(),
        ]),
    row("zdiffstore", -4, sorted_set::zdiffstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1),
        ])
        .docs(
            "6.2.0",
            "Stores the difference of multiple sorted sets in a key.",
        )
        .complexity(
            "O(L + (N-K)log(N)) worst case where L is the total number of \
             elements in all the sets, N is the size of the first set, and K \
             is the size of the result set.",
        )
        .args(&[
            Arg::key("destination", 0),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 1).multiple(),
        ]),
    row("zincrby", 4, sorted_set::zincrby_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::UPDATE])])
        .docs("1.2.0", "Increments the score of a member in a sorted set.")
        .complexity("O(log(N)) where N is the number of elements in the sorted set.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("increment", ArgType::Integer),
            Arg::new("member", ArgType::String),
        ]),
    row("zinter", -3, sorted_set::zinter_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1)])
        .docs("6.2.0", "Returns the intersect of multiple sorted sets.")
        .complexity(
            "O(N*K)+O(M*log(M)) worst case with N being the smallest input \
             sorted set, K being the number of input sorted sets and M being \
             the number of elements in the resulting sorted set.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::new("weight", ArgType::Integer)
                .token("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::token_only("sum", "SUM"),
                    Arg::token_only("min", "MIN"),
                    Arg::token_only("max", "MAX"),
                ],
            )
            .token("AGGREGATE")
            .optional(),
            Arg::token_only("withscores", "WITHSCORES").optional(),
        ]),
    row("zintercard", -3, sorted_set::zintercard_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Returns the number of members of the intersect of multiple \
             sorted sets.",
        )
        .complexity(
            "O(N*K) worst case with N being the smallest input sorted set, K \
             being the number of input sorted sets.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::new("limit", ArgType::Integer)
                .token("LIMIT")
                .optional(),
        ]),
    row("zinterstore", -4, sorted_set::zinterstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1),
        ])
        .docs(
            "2.0.0",
            "Stores the intersect of multiple sorted sets in a key.",
        )
        .complexity(
            "O(N*K)+O(M*log(M)) worst case with N being the smallest input \
             sorted set, K being the number of input sorted sets and M being \
             the number of elements in the resulting sorted set.",
        )
        .args(&[
            Arg::key("destination", 0),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 1).multiple(),
            Arg::new("weight", ArgType::Integer)
                .token("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::token_only("sum", "SUM"),
                    Arg::token_only("min", "MIN"),
                    Arg::token_only("max", "MAX"),
                ],
            )
            .token("AGGREGATE")
            .optional(),
        ]),
    row("zlexcount", 4, sorted_set::zlexcount_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.8.9",
            "Returns the number of members in a sorted set within a \
             lexicographical range.",
        )
        .complexity("O(log(N)) with N being the number of elements in the sorted set.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::String),
            Arg::new("max", ArgType::String),
        ]),
    row("zmpop", -4, sorted_set::zmpop_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Returns the highest- or lowest-scoring members from one or more \
             sorted sets after removing them. Deletes the sorted set if the \
             last member was popped.",
        )
        .complexity(
            "O(K) + O(M*log(N)) where K is the number of provided keys, N \
             being the number of elements in the sorted set, and M being the \
             number of elements popped.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::one_of(
                "where",
                &[Arg::token_only("min", "MIN"), Arg::token_only("max", "MAX")],
            ),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
        ]),
    row("zmscore", -3, sorted_set::zmscore_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "6.2.0",
            "Returns the score of one or more members in a sorted set.",
        )
        .complexity("O(N) where N is the number of members being requested.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).multiple(),
        ]),
    row("zpopmax", -2, sorted_set::zpopmax_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .docs(
            "5.0.0",
            "Returns the highest-scoring members from a sorted set after \
             removing them. Deletes the sorted set if the last member was \
             popped.",
        )
        .complexity(
            "O(log(N)*M) with N being the number of elements in the sorted \
             set, and M being the number of elements popped.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer).optional(),
        ]),
    row("zpopmin", -2, sorted_set::zpopmin_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .docs(
            "5.0.0",
            "Returns the lowest-scoring members from a sorted set after \
             removing them. Deletes the sorted set if the last member was \
             popped.",
        )
        .complexity(
            "O(log(N)*M) with N being the number of elements in the sorted \
             set, and M being the number of elements popped.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer).optional(),
        ]),
    row("zrandmember", -2, sorted_set::zrandmember_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs(
            "6.2.0",
            "Returns one or more random members from a sorted set.",
        )
        .complexity("O(N) where N is the number of members returned")
        .args(&[
            Arg::key("key", 0),
            Arg::block(
                "options",
                &[
                    Arg::new("count", ArgType::Integer),
                    Arg::token_only("withscores", "WITHSCORES").optional(),
                ],
            )
            .optional(),
        ]),
    row("zrange", -4, sorted_set::zrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "1.2.0",
            "Returns members in a sorted set within a range of indexes.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements returned.",
        )
        .history(&[(
            "6.2.0",
            "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.",
        )])
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::String),
            Arg::new("stop", ArgType::String),
            Arg::one_of(
                "sortby",
                &[
                    Arg::token_only("byscore", "BYSCORE"),
                    Arg::token_only("bylex", "BYLEX"),
                ],
            )
            .since("6.2.0")
            .optional(),
            Arg::token_only("rev", "REV").since("6.2.0").optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .since("6.2.0")
            .optional(),
            Arg::token_only("withscores", "WITHSCORES").optional(),
        ]),
    row("zrangebylex", -4, sorted_set::zrangebylex_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.8.9",
            "Returns members in a sorted set within a lexicographical range.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements being returned. If M is \
             constant (e.g. always asking for the first 10 elements with \
             LIMIT), you can consider it O(log(N)).",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument")
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::String),
            Arg::new("max", ArgType::String),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
        ]),
    row("zrangebyscore", -4, sorted_set::zrangebyscore_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "1.0.5",
            "Returns members in a sorted set within a range of scores.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements being returned. If M is \
             constant (e.g. always asking for the first 10 elements with \
             LIMIT), you can consider it O(log(N)).",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument")
        .history(&[("2.0.0", "Added the `WITHSCORES` modifier.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::Double),
            Arg::new("max", ArgType::Double),
            Arg::token_only("withscores", "WITHSCORES")
                .since("2.0.0")
                .optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
        ]),
    row("zrangestore", -5, sorted_set::zrangestore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]),
        ])
        .docs(
            "6.2.0",
            "Stores a range of members from sorted set in a key.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements stored into the destination \
             key.",
        )
        .args(&[
            Arg::key("dst", 0),
            Arg::key("src", 1),
            Arg::new("min", ArgType::String),
            Arg::new("max", ArgType::String),
            Arg::one_of(
                "sortby",
                &[
                    Arg::token_only("byscore", "BYSCORE"),
                    Arg::token_only("bylex", "BYLEX"),
                ],
            )
            .optional(),
            Arg::token_only("rev", "REV").optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
        ]),
    row("zrank", -3, sorted_set::zrank_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.0.0",
            "Returns the index of a member in a sorted set ordered by \
             ascending scores.",
        )
        .complexity("O(log(N))")
        .history(&[("7.2.0", "Added the optional `WITHSCORE` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String),
            Arg::token_only("withscore", "WITHSCORE").optional(),
        ]),
    row("zrem", -3, sorted_set::zrem_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "1.2.0",
            "Removes one or more members from a sorted set. Deletes the \
             sorted set if all members were removed.",
        )
        .complexity(
            "O(M*log(N)) with N being the number of elements in the sorted \
             set and M the number of elements to be removed.",
        )
        .history(&[("2.4.0", "Accepts multiple elements.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).multiple(),
        ]),
    row("zremrangebylex", 4, sorted_set::zremrangebylex_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "2.8.9",
            "Removes members in a sorted set within a lexicographical range. \
             Deletes the sorted set if all members were removed.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements removed by the operation.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::String),
            Arg::new("max", ArgType::String),
        ]),
    row("zremrangebyrank", 4, sorted_set::zremrangebyrank_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "2.0.0",
            "Removes members in a sorted set within a range of indexes. \
             Deletes the sorted set if all members were removed.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements removed by the operation.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("stop", ArgType::Integer),
        ]),
    row("zremrangebyscore", 4, sorted_set::zremrangebyscore_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "1.2.0",
            "Removes members in a sorted set within a range of scores. \
             Deletes the sorted set if all members were removed.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements removed by the operation.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("min", ArgType::Double),
            Arg::new("max", ArgType::Double),
        ]),
    row("zrevrange", -4, sorted_set::zrevrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "1.2.0",
            "Returns members in a sorted set within a range of indexes in \
             reverse order.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements returned.",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument")
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("stop", ArgType::Integer),
            Arg::token_only("withscores", "WITHSCORES").optional(),
        ]),
    row("zrevrangebylex", -4, sorted_set::zrevrangebylex_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.8.9",
            "Returns members in a sorted set within a lexicographical range \
             in reverse order.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements being returned. If M is \
             constant (e.g. always asking for the first 10 elements with \
             LIMIT), you can consider it O(log(N)).",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")
        .args(&[
            Arg::key("key", 0),
            Arg::new("max", ArgType::String),
            Arg::new("min", ArgType::String),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
        ]),
    row("zrevrangebyscore", -4, sorted_set::zrevrangebyscore_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.2.0",
            "Returns members in a sorted set within a range of scores in \
             reverse order.",
        )
        .complexity(
            "O(log(N)+M) with N being the number of elements in the sorted \
             set and M the number of elements being returned. If M is \
             constant (e.g. always asking for the first 10 elements with \
             LIMIT), you can consider it O(log(N)).",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")
        .history(&[("2.1.6", "`min` and `max` can be exclusive.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("max", ArgType::Double),
            Arg::new("min", ArgType::Double),
            Arg::token_only("withscores", "WITHSCORES").optional(),
            Arg::block(
                "limit",
                &[
                    Arg::new("offset", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ],
            )
            .token("LIMIT")
            .optional(),
        ]),
    row("zrevrank", -3, sorted_set::zrevrank_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "2.0.0",
            "Returns the index of a member in a sorted set ordered by \
             descending scores.",
        )
        .complexity("O(log(N))")
        .history(&[("7.2.0", "Added the optional `WITHSCORE` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String),
            Arg::token_only("withscore", "WITHSCORE").optional(),
        ]),
    row("zscan", -3, sorted_set::zscan_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs("2.8.0", "Iterates over members and scores of a sorted set.")
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
    row("zscore", 3, sorted_set::zscore_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("1.2.0", "Returns the score of a member in a sorted set.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0), Arg::new("member", ArgType::String)]),
    row("zunion", -3, sorted_set::zunion_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1)])
        .docs("6.2.0", "Returns the union of multiple sorted sets.")
        .complexity(
            "O(N)+O(M*log(M)) with N being the sum of the sizes of the input \
             sorted sets, and M being the number of elements in the \
             resulting sorted set.",
        )
        .args(&[
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 0).multiple(),
            Arg::new("weight", ArgType::Integer)
                .token("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::token_only("sum", "SUM"),
                    Arg::token_only("min", "MIN"),
                    Arg::token_only("max", "MAX"),
                ],
            )
            .token("AGGREGATE")
            .optional(),
            Arg::token_only("withscores", "WITHSCORES").optional(),
        ]),
    row("zunionstore", -4, sorted_set::zunionstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]).keynum(0, 1, 1),
        ])
        .docs(
            "2.0.0",
            "Stores the union of multiple sorted sets in a key.",
        )
        .complexity(
            "O(N)+O(M log(M)) with N being the sum of the sizes of the input \
             sorted sets, and M being the number of elements in the \
             resulting sorted set.",
        )
        .args(&[
            Arg::key("destination", 0),
            Arg::new("numkeys", ArgType::Integer),
            Arg::key("key", 1).multiple(),
            Arg::new("weight", ArgType::Integer)
                .token("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::token_only("sum", "SUM"),
                    Arg::token_only("min", "MIN"),
                    Arg::token_only("max", "MAX"),
                ],
            )
            .token("AGGREGATE")
            .optional(),
        ]),
];
