//! The rows of group `stream`.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::xread_get_keys;
use crate::commands::stream;
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key,
    KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Stream, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Stream, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("xack", -4, stream::pending::xack_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "5.0.0",
            "Returns the number of messages that were successfully \
             acknowledged by the consumer group member of a stream.",
        )
        .complexity("O(1) for each message ID processed.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("group", ArgType::String),
            Arg::new("ID", ArgType::String).multiple(),
        ]),
    row("xadd", -5, stream::xadd::xadd_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE]).notes(
            "UPDATE instead of INSERT because of the optional trimming \
             feature",
        )])
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "Appends a new message to a stream. Creates the key if it \
             doesn't exist.",
        )
        .complexity(
            "O(1) when adding a new entry, O(N) when trimming where N being \
             the number of entries evicted.",
        )
        .history(&[
            (
                "6.2.0",
                "Added the `NOMKSTREAM` option, `MINID` trimming strategy and \
                 the `LIMIT` option.",
            ),
            ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
        ])
        .args(&[
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
        ]),
    row("xautoclaim", -6, stream::claim::xautoclaim_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .tips(&["nondeterministic_output"])
        .docs(
            "6.2.0",
            "Changes, or acquires, ownership of messages in a consumer \
             group, as if the messages were delivered to as consumer group \
             member.",
        )
        .complexity("O(1) if COUNT is small.")
        .history(&[(
            "7.0.0",
            "Added an element to the reply array, containing deleted entries \
             the command cleared from the PEL",
        )])
        .args(&[
            Arg::key("key", 0),
            Arg::new("group", ArgType::String),
            Arg::new("consumer", ArgType::String),
            Arg::new("min-idle-time", ArgType::String),
            Arg::new("start", ArgType::String),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
            Arg::token_only("justid", "JUSTID").optional(),
        ]),
    row("xclaim", -6, stream::claim::xclaim_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "Changes, or acquires, ownership of a message in a consumer \
             group, as if the message was delivered a consumer group member.",
        )
        .complexity(
            "O(log N) with N being the number of messages in the PEL of the \
             consumer group.",
        )
        .args(&[
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
        ]),
    row("xdel", -3, stream::xadd::xdel_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "5.0.0",
            "Returns the number of messages after removing them from a \
             stream.",
        )
        .complexity(
            "O(1) for each single item to delete in the stream, regardless \
             of the stream size.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("ID", ArgType::String).multiple(),
        ]),
    container(
        "xgroup",
        -2,
        &[
            row("xgroup|create", -5, stream::group::xgroup_create_command)
                .flags(&[Flag::WRITE, Flag::DENYOOM])
                .key_specs(&[KeySpec::index(2, &[Key::RW, Key::INSERT])])
                .docs("5.0.0", "Creates a consumer group.")
                .complexity("O(1)")
                .history(&[("7.0.0", "Added the `entries_read` named argument.")])
                .args(&[
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
                ]),
            row(
                "xgroup|createconsumer",
                5,
                stream::group::xgroup_createconsumer_command,
            )
            .flags(&[Flag::WRITE, Flag::DENYOOM])
            .key_specs(&[KeySpec::index(2, &[Key::RW, Key::INSERT])])
            .docs("6.2.0", "Creates a consumer in a consumer group.")
            .complexity("O(1)")
            .args(&[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::new("consumer", ArgType::String),
            ]),
            row(
                "xgroup|delconsumer",
                5,
                stream::group::xgroup_delconsumer_command,
            )
            .flags(&[Flag::WRITE])
            .key_specs(&[KeySpec::index(2, &[Key::RW, Key::DELETE])])
            .docs("5.0.0", "Deletes a consumer from a consumer group.")
            .complexity("O(1)")
            .args(&[
                Arg::key("key", 0),
                Arg::new("group", ArgType::String),
                Arg::new("consumer", ArgType::String),
            ]),
            row("xgroup|destroy", 4, stream::group::xgroup_destroy_command)
                .flags(&[Flag::WRITE])
                .key_specs(&[KeySpec::index(2, &[Key::RW, Key::DELETE])])
                .docs("5.0.0", "Destroys a consumer group.")
                .complexity(
                    "O(N) where N is the number of entries in the group's pending \
                     entries list (PEL).",
                )
                .args(&[Arg::key("key", 0), Arg::new("group", ArgType::String)]),
            row("xgroup|help", 2, stream::group::xgroup_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("xgroup|setid", -5, stream::group::xgroup_setid_command)
                .flags(&[Flag::WRITE])
                .key_specs(&[KeySpec::index(2, &[Key::RW, Key::UPDATE])])
                .docs("5.0.0", "Sets the last-delivered ID of a consumer group.")
                .complexity("O(1)")
                .history(&[("7.0.0", "Added the optional `entries_read` argument.")])
                .args(&[
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
                ]),
        ],
    )
    .not_in(&[Acl::STREAM])
    .docs("5.0.0", "A container for consumer groups commands.")
    .complexity("Depends on subcommand."),
    container(
        "xinfo",
        -2,
        &[
            row("xinfo|consumers", 4, stream::info::xinfo_consumers_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])])
                .tips(&["nondeterministic_output"])
                .docs(
                    "5.0.0",
                    "Returns a list of the consumers in a consumer group.",
                )
                .complexity("O(1)")
                .history(&[("7.2.0", "Added the `inactive` field.")])
                .args(&[Arg::key("key", 0), Arg::new("group", ArgType::String)]),
            row("xinfo|groups", 3, stream::info::xinfo_groups_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])])
                .docs(
                    "5.0.0",
                    "Returns a list of the consumer groups of a stream.",
                )
                .complexity("O(1)")
                .history(&[("7.0.0", "Added the `entries-read` and `lag` fields")])
                .args(&[Arg::key("key", 0)]),
            row("xinfo|help", 2, stream::info::xinfo_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("xinfo|stream", -3, stream::info::xinfo_stream_command)
                .flags(&[Flag::READONLY])
                .key_specs(&[KeySpec::index(2, &[Key::RO, Key::ACCESS])])
                .docs("5.0.0", "Returns information about a stream.")
                .complexity("O(1)")
                .history(&[
                    ("6.0.0", "Added the `FULL` modifier."),
                    (
                        "7.0.0",
                        "Added the `max-deleted-entry-id`, `entries-added`, \
                         `recorded-first-entry-id`, `entries-read` and `lag` fields",
                    ),
                    (
                        "7.2.0",
                        "Added the `active-time` field, and changed the meaning of \
                         `seen-time`.",
                    ),
                ])
                .args(&[
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
                ]),
        ],
    )
    .not_in(&[Acl::STREAM])
    .docs("5.0.0", "A container for stream introspection commands.")
    .complexity("Depends on subcommand."),
    row("xlen", 2, stream::range::xlen_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("5.0.0", "Return the number of messages in a stream.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("xpending", -3, stream::pending::xpending_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "Returns the information and entries from a stream consumer \
             group's pending entries list.",
        )
        .complexity(
            "O(N) with N being the number of elements returned, so asking \
             for a small fixed number of entries per call is O(1). O(M), \
             where M is the total number of entries scanned when used with \
             the IDLE filter. When the command returns just the summary and \
             the list of consumers is small, it runs in O(1) time; \
             otherwise, an additional O(N) time for iterating every consumer.",
        )
        .history(&[(
            "6.2.0",
            "Added the `IDLE` option and exclusive range intervals.",
        )])
        .args(&[
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
        ]),
    row("xrange", -4, stream::range::xrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "5.0.0",
            "Returns the messages from a stream within a range of IDs.",
        )
        .complexity(
            "O(N) with N being the number of elements being returned. If N \
             is constant (e.g. always asking for the first 10 elements with \
             COUNT), you can consider it O(1).",
        )
        .history(&[("6.2.0", "Added exclusive ranges.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::String),
            Arg::new("end", ArgType::String),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
        ]),
    row("xread", -4, stream::read::xread_command)
        .flags(&[Flag::BLOCKING, Flag::READONLY])
        .key_specs(&[KeySpec::keyword("STREAMS", 1, &[Key::RO, Key::ACCESS]).range(-1, 1, 2)])
        .get_keys(xread_get_keys)
        .docs(
            "5.0.0",
            "Returns messages from multiple streams with IDs greater than \
             the ones requested. Blocks until a message is available \
             otherwise.",
        )
        .args(&[
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
        ]),
    row("xreadgroup", -7, stream::read::xreadgroup_command)
        .flags(&[Flag::BLOCKING, Flag::WRITE])
        .key_specs(&[KeySpec::keyword("STREAMS", 4, &[Key::RO, Key::ACCESS]).range(-1, 1, 2)])
        .get_keys(xread_get_keys)
        .docs(
            "5.0.0",
            "Returns new or historical messages from a stream for a consumer \
             in a group. Blocks until a message is available otherwise.",
        )
        .complexity(
            "For each stream mentioned: O(M) with M being the number of \
             elements returned. If M is constant (e.g. always asking for the \
             first 10 elements with COUNT), you can consider it O(1). On the \
             other side when XREADGROUP blocks, XADD will pay the O(N) time \
             in order to serve the N clients blocked on the stream getting \
             new data.",
        )
        .args(&[
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
        ]),
    row("xrevrange", -4, stream::range::xrevrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "5.0.0",
            "Returns the messages from a stream within a range of IDs in \
             reverse order.",
        )
        .complexity(
            "O(N) with N being the number of elements returned. If N is \
             constant (e.g. always asking for the first 10 elements with \
             COUNT), you can consider it O(1).",
        )
        .history(&[("6.2.0", "Added exclusive ranges.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("end", ArgType::String),
            Arg::new("start", ArgType::String),
            Arg::new("count", ArgType::Integer)
                .token("COUNT")
                .optional(),
        ]),
    row("xsetid", -3, stream::xadd::xsetid_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "5.0.0",
            "An internal command for replicating stream values.",
        )
        .complexity("O(1)")
        .history(&[(
            "7.0.0",
            "Added the `entries_added` and `max_deleted_entry_id` arguments.",
        )])
        .args(&[
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
        ]),
    row("xtrim", -4, stream::xadd::xtrim_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "Deletes messages from the beginning of a stream.")
        .complexity(
            "O(N), with N being the number of evicted entries. Constant \
             times are very small however, since entries are organized in \
             macro nodes containing multiple entries that can be released \
             with a single deallocation.",
        )
        .history(&[(
            "6.2.0",
            "Added the `MINID` trimming strategy and the `LIMIT` option.",
        )])
        .args(&[
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
        ]),
];
