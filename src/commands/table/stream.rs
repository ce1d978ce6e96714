//! The rows of group `stream`.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::xread_get_keys;
use crate::commands::stream;
use crate::server::command::{
    ACL_CATEGORY_BLOCKING, ACL_CATEGORY_FAST, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW,
    ACL_CATEGORY_STREAM, ACL_CATEGORY_WRITE, Arg, ArgType, CMD_BLOCKING, CMD_DENYOOM, CMD_FAST,
    CMD_KEY_ACCESS, CMD_KEY_DELETE, CMD_KEY_INSERT, CMD_KEY_RO, CMD_KEY_RW, CMD_KEY_UPDATE,
    CMD_LOADING, CMD_MOVABLE_KEYS, CMD_READONLY, CMD_STALE, CMD_WRITE, Command, Docs, Group,
    KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "xack",
        proc: Some(stream::pending::xack_command),
        arity: -4,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1) for each message ID processed."),
            args: &[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::new("ID", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns the number of messages that were successfully acknowledged by the consumer group member of a stream.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xadd",
        proc: Some(stream::xadd::xadd_command),
        arity: -5,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)
            .notes("UPDATE instead of INSERT because of the optional trimming feature")],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
            ),
            history: &[
                (
                    "6.2.0",
                    "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.",
                ),
                ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
            ],
            args: &[
                Arg::key("key", 0),
                Arg::token_only("nomkstream", "NOMKSTREAM")
                    .since("6.2.0")
                    .optional(),
                Arg::block(
                    "trim",
                    &[
                        Arg::one_of(
                            "strategy",
                            &[
                                Arg::token_only("maxlen", "MAXLEN"),
                                Arg::token_only("minid", "MINID").since("6.2.0"),
                            ],
                        ),
                        Arg::one_of(
                            "operator",
                            &[
                                Arg::token_only("equal", "="),
                                Arg::token_only("approximately", "~"),
                            ],
                        )
                        .optional(),
                        Arg::new("threshold", ArgType::String),
                        Arg::new("count", ArgType::Integer)
                            .token("LIMIT")
                            .since("6.2.0")
                            .optional(),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "id-selector",
                    &[
                        Arg::token_only("auto-id", "*"),
                        Arg::new("id", ArgType::String),
                    ],
                ),
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
                Group::Stream,
                "5.0.0",
                "Appends a new message to a stream. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xautoclaim",
        proc: Some(stream::claim::xautoclaim_command),
        arity: -6,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some("O(1) if COUNT is small."),
            history: &[(
                "7.0.0",
                "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
            )],
            args: &[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::new("consumer", ArgType::String),
                Arg::new("min-idle-time", ArgType::String),
                Arg::new("start", ArgType::String),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
                Arg::token_only("justid", "JUSTID").optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "6.2.0",
                "Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to as consumer group member.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xclaim",
        proc: Some(stream::claim::xclaim_command),
        arity: -6,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(log N) with N being the number of messages in the PEL of the consumer group.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::new("consumer", ArgType::String),
                Arg::new("min-idle-time", ArgType::String),
                Arg::new("ID", ArgType::String).multiple(),
                Arg::new("ms", ArgType::Integer).token("IDLE").optional(),
                Arg::new("unix-time-milliseconds", ArgType::UnixTime)
                    .token("TIME")
                    .optional(),
                Arg::new("count", ArgType::Integer)
                    .token("RETRYCOUNT")
                    .optional(),
                Arg::token_only("force", "FORCE").optional(),
                Arg::token_only("justid", "JUSTID").optional(),
                Arg::new("lastid", ArgType::String)
                    .token("LASTID")
                    .optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered a consumer group member.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xdel",
        proc: Some(stream::xadd::xdel_command),
        arity: -3,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(1) for each single item to delete in the stream, regardless of the stream size.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("ID", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns the number of messages after removing them from a stream.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xgroup",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "A container for consumer groups commands.",
            )
        },
        subcommands: &[
            Command {
                name: "xgroup|create",
                proc: Some(stream::group::xgroup_command),
                arity: -5,
                flags: CMD_WRITE | CMD_DENYOOM,
                acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[("7.0.0", "Added the `entries_read` named argument.")],
                    args: &[
                        Arg::key("key", 0),
                        Arg::new("group", ArgType::String),
                        Arg::one_of(
                            "id-selector",
                            &[
                                Arg::new("id", ArgType::String),
                                Arg::token_only("new-id", "$"),
                            ],
                        ),
                        Arg::token_only("mkstream", "MKSTREAM").optional(),
                        Arg::new("entries-read", ArgType::Integer)
                            .token("ENTRIESREAD")
                            .optional(),
                    ],
                    ..Docs::new(Group::Stream, "5.0.0", "Creates a consumer group.")
                },
                ..Command::ROW
            },
            Command {
                name: "xgroup|createconsumer",
                proc: Some(stream::group::xgroup_command),
                arity: 5,
                flags: CMD_WRITE | CMD_DENYOOM,
                acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[
                        Arg::key("key", 0),
                        Arg::new("group", ArgType::String),
                        Arg::new("consumer", ArgType::String),
                    ],
                    ..Docs::new(
                        Group::Stream,
                        "6.2.0",
                        "Creates a consumer in a consumer group.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xgroup|delconsumer",
                proc: Some(stream::group::xgroup_command),
                arity: 5,
                flags: CMD_WRITE,
                acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_DELETE)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[
                        Arg::key("key", 0),
                        Arg::new("group", ArgType::String),
                        Arg::new("consumer", ArgType::String),
                    ],
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Deletes a consumer from a consumer group.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xgroup|destroy",
                proc: Some(stream::group::xgroup_command),
                arity: 4,
                flags: CMD_WRITE,
                acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_DELETE)],
                docs: Docs {
                    complexity: Some(
                        "O(N) where N is the number of entries in the group's pending entries list (PEL).",
                    ),
                    args: &[Arg::key("key", 0), Arg::new("group", ArgType::String)],
                    ..Docs::new(Group::Stream, "5.0.0", "Destroys a consumer group.")
                },
                ..Command::ROW
            },
            Command {
                name: "xgroup|help",
                proc: Some(stream::group::xgroup_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xgroup|setid",
                proc: Some(stream::group::xgroup_command),
                arity: -5,
                flags: CMD_WRITE,
                acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_UPDATE)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[("7.0.0", "Added the optional `entries_read` argument.")],
                    args: &[
                        Arg::key("key", 0),
                        Arg::new("group", ArgType::String),
                        Arg::one_of(
                            "id-selector",
                            &[
                                Arg::new("id", ArgType::String),
                                Arg::token_only("new-id", "$"),
                            ],
                        ),
                        Arg::new("entriesread", ArgType::Integer)
                            .display("entries-read")
                            .token("ENTRIESREAD")
                            .optional(),
                    ],
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Sets the last-delivered ID of a consumer group.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "xinfo",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "A container for stream introspection commands.",
            )
        },
        subcommands: &[
            Command {
                name: "xinfo|consumers",
                proc: Some(stream::info::xinfo_command),
                arity: 4,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS)],
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[("7.2.0", "Added the `inactive` field.")],
                    args: &[Arg::key("key", 0), Arg::new("group", ArgType::String)],
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Returns a list of the consumers in a consumer group.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xinfo|groups",
                proc: Some(stream::info::xinfo_command),
                arity: 3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
                    args: &[Arg::key("key", 0)],
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Returns a list of the consumer groups of a stream.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xinfo|help",
                proc: Some(stream::info::xinfo_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "xinfo|stream",
                proc: Some(stream::info::xinfo_command),
                arity: -3,
                flags: CMD_READONLY,
                acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
                key_specs: &[KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS)],
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[
                        ("6.0.0", "Added the `FULL` modifier."),
                        (
                            "7.0.0",
                            "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
                        ),
                        (
                            "7.2.0",
                            "Added the `active-time` field, and changed the meaning of `seen-time`.",
                        ),
                    ],
                    args: &[
                        Arg::key("key", 0),
                        Arg::block(
                            "full-block",
                            &[
                                Arg::token_only("full", "FULL"),
                                Arg::new("count", ArgType::Integer)
                                    .token("COUNT")
                                    .optional(),
                            ],
                        )
                        .optional(),
                    ],
                    ..Docs::new(
                        Group::Stream,
                        "5.0.0",
                        "Returns information about a stream.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "xlen",
        proc: Some(stream::range::xlen_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Return the number of messages in a stream.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xpending",
        proc: Some(stream::pending::xpending_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
            ),
            history: &[(
                "6.2.0",
                "Added the `IDLE` option and exclusive range intervals.",
            )],
            args: &[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::block(
                    "filters",
                    &[
                        Arg::new("min-idle-time", ArgType::Integer)
                            .token("IDLE")
                            .since("6.2.0")
                            .optional(),
                        Arg::new("start", ArgType::String),
                        Arg::new("end", ArgType::String),
                        Arg::new("count", ArgType::Integer),
                        Arg::new("consumer", ArgType::String).optional(),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns the information and entries from a stream consumer group's pending entries list.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xrange",
        proc: Some(stream::range::xrange_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
            ),
            history: &[("6.2.0", "Added exclusive ranges.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::String),
                Arg::new("end", ArgType::String),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns the messages from a stream within a range of IDs.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xread",
        proc: Some(stream::read::xread_command),
        arity: -4,
        flags: CMD_BLOCKING | CMD_READONLY | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_BLOCKING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::keyword("STREAMS", 1, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 2)],
        get_keys: Some(xread_get_keys),
        docs: Docs {
            args: &[
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
                Arg::new("milliseconds", ArgType::Integer)
                    .token("BLOCK")
                    .optional(),
                Arg::block(
                    "streams",
                    &[
                        Arg::key("key", 0).multiple(),
                        Arg::new("ID", ArgType::String).multiple(),
                    ],
                )
                .token("STREAMS"),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message is available otherwise.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xreadgroup",
        proc: Some(stream::read::xreadgroup_command),
        arity: -7,
        flags: CMD_BLOCKING | CMD_WRITE | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_BLOCKING | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::keyword("STREAMS", 4, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 2)],
        get_keys: Some(xread_get_keys),
        docs: Docs {
            complexity: Some(
                "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
            ),
            args: &[
                Arg::block(
                    "group-block",
                    &[
                        Arg::new("group", ArgType::String),
                        Arg::new("consumer", ArgType::String),
                    ],
                )
                .token("GROUP"),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
                Arg::new("milliseconds", ArgType::Integer)
                    .token("BLOCK")
                    .optional(),
                Arg::token_only("noack", "NOACK").optional(),
                Arg::block(
                    "streams",
                    &[
                        Arg::key("key", 0).multiple(),
                        Arg::new("ID", ArgType::String).multiple(),
                    ],
                )
                .token("STREAMS"),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is available otherwise.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xrevrange",
        proc: Some(stream::range::xrevrange_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
            ),
            history: &[("6.2.0", "Added exclusive ranges.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("end", ArgType::String),
                Arg::new("start", ArgType::String),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Returns the messages from a stream within a range of IDs in reverse order.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xsetid",
        proc: Some(stream::xadd::xsetid_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[(
                "7.0.0",
                "Added the `entries_added` and `max_deleted_entry_id` arguments.",
            )],
            args: &[
                Arg::key("key", 0),
                Arg::new("last-id", ArgType::String),
                Arg::new("entries-added", ArgType::Integer)
                    .token("ENTRIESADDED")
                    .since("7.0.0")
                    .optional(),
                Arg::new("max-deleted-id", ArgType::String)
                    .token("MAXDELETEDID")
                    .since("7.0.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "An internal command for replicating stream values.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "xtrim",
        proc: Some(stream::xadd::xtrim_command),
        arity: -4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_STREAM | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        tips: &["nondeterministic_output"],
        docs: Docs {
            complexity: Some(
                "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
            ),
            history: &[(
                "6.2.0",
                "Added the `MINID` trimming strategy and the `LIMIT` option.",
            )],
            args: &[
                Arg::key("key", 0),
                Arg::block(
                    "trim",
                    &[
                        Arg::one_of(
                            "strategy",
                            &[
                                Arg::token_only("maxlen", "MAXLEN"),
                                Arg::token_only("minid", "MINID").since("6.2.0"),
                            ],
                        ),
                        Arg::one_of(
                            "operator",
                            &[
                                Arg::token_only("equal", "="),
                                Arg::token_only("approximately", "~"),
                            ],
                        )
                        .optional(),
                        Arg::new("threshold", ArgType::String),
                        Arg::new("count", ArgType::Integer)
                            .token("LIMIT")
                            .since("6.2.0")
                            .optional(),
                    ],
                ),
            ],
            ..Docs::new(
                Group::Stream,
                "5.0.0",
                "Deletes messages from the beginning of a stream.",
            )
        },
        ..Command::ROW
    },
];
