//! The rows of group `sorted_set`: sorted sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::sorted_set;
use crate::server::command::{
    ACL_CATEGORY_BLOCKING, ACL_CATEGORY_FAST, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW,
    ACL_CATEGORY_SORTEDSET, ACL_CATEGORY_WRITE, Arg, ArgType, CMD_BLOCKING, CMD_DENYOOM,
    CMD_DOC_DEPRECATED, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_DELETE, CMD_KEY_OW, CMD_KEY_RO,
    CMD_KEY_RW, CMD_KEY_UPDATE, CMD_MOVABLE_KEYS, CMD_READONLY, CMD_WRITE, Command, Docs, Group,
    KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "bzmpop",
        proc: Some(sorted_set::bzmpop_command),
        arity: -5,
        flags: CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SORTEDSET
            | ACL_CATEGORY_SLOW
            | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "7.0.0",
                "Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bzpopmax",
        proc: Some(sorted_set::bzpopmax_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SORTEDSET
            | ACL_CATEGORY_FAST
            | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).range(-2, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(log(N)) with N being the number of elements in the sorted set."),
            history: &[(
                "6.0.0",
                "`timeout` is interpreted as a double instead of an integer.",
            )],
            args: &[
                Arg::key("key", 0).multiple(),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::SortedSet,
                "5.0.0",
                "Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member available otherwise.  Deletes the sorted set if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "bzpopmin",
        proc: Some(sorted_set::bzpopmin_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE
            | ACL_CATEGORY_SORTEDSET
            | ACL_CATEGORY_FAST
            | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).range(-2, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(log(N)) with N being the number of elements in the sorted set."),
            history: &[(
                "6.0.0",
                "`timeout` is interpreted as a double instead of an integer.",
            )],
            args: &[
                Arg::key("key", 0).multiple(),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::SortedSet,
                "5.0.0",
                "Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zadd",
        proc: Some(sorted_set::zadd_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
            ),
            history: &[
                ("2.4.0", "Accepts multiple elements."),
                ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
                ("6.2.0", "Added the `GT` and `LT` options."),
            ],
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zcard",
        proc: Some(sorted_set::zcard_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Returns the number of members in a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zcount",
        proc: Some(sorted_set::zcount_command),
        arity: 4,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(log(N)) with N being the number of elements in the sorted set."),
            args: &[
                Arg::key("key", 0),
                Arg::new("min", ArgType::Double),
                Arg::new("max", ArgType::Double),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Returns the count of members in a sorted set that have scores within a range.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zdiff",
        proc: Some(sorted_set::zdiff_command),
        arity: -3,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1)],
        docs: Docs {
            complexity: Some(
                "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
            ),
            args: &[
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::token_only("withscores", "WITHSCORES").optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Returns the difference between multiple sorted sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zdiffstore",
        proc: Some(sorted_set::zdiffstore_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
            ),
            args: &[
                Arg::key("destination", 0),
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 1).multiple(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Stores the difference of multiple sorted sets in a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zincrby",
        proc: Some(sorted_set::zincrby_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_UPDATE,
        )],
        docs: Docs {
            complexity: Some("O(log(N)) where N is the number of elements in the sorted set."),
            args: &[
                Arg::key("key", 0),
                Arg::new("increment", ArgType::Integer),
                Arg::new("member", ArgType::String),
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Increments the score of a member in a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zinter",
        proc: Some(sorted_set::zinter_command),
        arity: -3,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1)],
        docs: Docs {
            complexity: Some(
                "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Returns the intersect of multiple sorted sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zintercard",
        proc: Some(sorted_set::zintercard_command),
        arity: -3,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1)],
        docs: Docs {
            complexity: Some(
                "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
            ),
            args: &[
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::new("limit", ArgType::Integer)
                    .token("LIMIT")
                    .optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "7.0.0",
                "Returns the number of members of the intersect of multiple sorted sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zinterstore",
        proc: Some(sorted_set::zinterstore_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Stores the intersect of multiple sorted sets in a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zlexcount",
        proc: Some(sorted_set::zlexcount_command),
        arity: 4,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(log(N)) with N being the number of elements in the sorted set."),
            args: &[
                Arg::key("key", 0),
                Arg::new("min", ArgType::String),
                Arg::new("max", ArgType::String),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.8.9",
                "Returns the number of members in a sorted set within a lexicographical range.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zmpop",
        proc: Some(sorted_set::zmpop_command),
        arity: -4,
        flags: CMD_WRITE | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
            ),
            args: &[
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::one_of(
                    "where",
                    &[Arg::token_only("min", "MIN"), Arg::token_only("max", "MAX")],
                ),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "7.0.0",
                "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zmscore",
        proc: Some(sorted_set::zmscore_command),
        arity: -3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of members being requested."),
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Returns the score of one or more members in a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zpopmax",
        proc: Some(sorted_set::zpopmax_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        docs: Docs {
            complexity: Some(
                "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer).optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "5.0.0",
                "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zpopmin",
        proc: Some(sorted_set::zpopmin_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        docs: Docs {
            complexity: Some(
                "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer).optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "5.0.0",
                "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrandmember",
        proc: Some(sorted_set::zrandmember_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(N) where N is the number of members returned"),
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "options",
                    &[
                        Arg::new("count", ArgType::Integer),
                        Arg::token_only("withscores", "WITHSCORES").optional(),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Returns one or more random members from a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrange",
        proc: Some(sorted_set::zrange_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
            ),
            history: &[(
                "6.2.0",
                "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.",
            )],
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Returns members in a sorted set within a range of indexes.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrangebylex",
        proc: Some(sorted_set::zrangebylex_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`ZRANGE` with the `BYLEX` argument"),
            deprecated_since: Some("6.2.0"),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.8.9",
                "Returns members in a sorted set within a lexicographical range.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrangebyscore",
        proc: Some(sorted_set::zrangebyscore_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`ZRANGE` with the `BYSCORE` argument"),
            deprecated_since: Some("6.2.0"),
            history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.0.5",
                "Returns members in a sorted set within a range of scores.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrangestore",
        proc: Some(sorted_set::zrangestore_command),
        arity: -5,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS),
        ],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Stores a range of members from sorted set in a key.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrank",
        proc: Some(sorted_set::zrank_command),
        arity: -3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(log(N))"),
            history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String),
                Arg::token_only("withscore", "WITHSCORE").optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Returns the index of a member in a sorted set ordered by ascending scores.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrem",
        proc: Some(sorted_set::zrem_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
            ),
            history: &[("2.4.0", "Accepts multiple elements.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zremrangebylex",
        proc: Some(sorted_set::zremrangebylex_command),
        arity: 4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("min", ArgType::String),
                Arg::new("max", ArgType::String),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.8.9",
                "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zremrangebyrank",
        proc: Some(sorted_set::zremrangebyrank_command),
        arity: 4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("stop", ArgType::Integer),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zremrangebyscore",
        proc: Some(sorted_set::zremrangebyscore_command),
        arity: 4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("min", ArgType::Double),
                Arg::new("max", ArgType::Double),
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrevrange",
        proc: Some(sorted_set::zrevrange_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`ZRANGE` with the `REV` argument"),
            deprecated_since: Some("6.2.0"),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("stop", ArgType::Integer),
                Arg::token_only("withscores", "WITHSCORES").optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Returns members in a sorted set within a range of indexes in reverse order.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrevrangebylex",
        proc: Some(sorted_set::zrevrangebylex_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`ZRANGE` with the `REV` and `BYLEX` arguments"),
            deprecated_since: Some("6.2.0"),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.8.9",
                "Returns members in a sorted set within a lexicographical range in reverse order.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrevrangebyscore",
        proc: Some(sorted_set::zrevrangebyscore_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`ZRANGE` with the `REV` and `BYSCORE` arguments"),
            deprecated_since: Some("6.2.0"),
            history: &[("2.1.6", "`min` and `max` can be exclusive.")],
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.2.0",
                "Returns members in a sorted set within a range of scores in reverse order.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zrevrank",
        proc: Some(sorted_set::zrevrank_command),
        arity: -3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(log(N))"),
            history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String),
                Arg::token_only("withscore", "WITHSCORE").optional(),
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Returns the index of a member in a sorted set ordered by descending scores.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zscan",
        proc: Some(sorted_set::zscan_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
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
                Group::SortedSet,
                "2.8.0",
                "Iterates over members and scores of a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zscore",
        proc: Some(sorted_set::zscore_command),
        arity: 3,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0), Arg::new("member", ArgType::String)],
            ..Docs::new(
                Group::SortedSet,
                "1.2.0",
                "Returns the score of a member in a sorted set.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zunion",
        proc: Some(sorted_set::zunion_command),
        arity: -3,
        flags: CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1)],
        docs: Docs {
            complexity: Some(
                "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "6.2.0",
                "Returns the union of multiple sorted sets.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "zunionstore",
        proc: Some(sorted_set::zunionstore_command),
        arity: -4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_SORTEDSET | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
            ),
            args: &[
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
            ],
            ..Docs::new(
                Group::SortedSet,
                "2.0.0",
                "Stores the union of multiple sorted sets in a key.",
            )
        },
        ..Command::ROW
    },
];
