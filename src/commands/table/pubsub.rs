//! The rows of group `pubsub`: the commands on channels.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::pubsub;
use crate::server::command::{
    ACL_CATEGORY_FAST, ACL_CATEGORY_PUBSUB, ACL_CATEGORY_SLOW, Arg, ArgType, CMD_FAST,
    CMD_KEY_NOT_KEY, CMD_LOADING, CMD_MAY_REPLICATE, CMD_NOSCRIPT, CMD_PUBSUB, CMD_SENTINEL,
    CMD_STALE, Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "psubscribe",
        proc: Some(pubsub::psubscribe_command),
        arity: -2,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("O(N) where N is the number of patterns to subscribe to."),
            args: &[Arg::new("pattern", ArgType::Pattern).multiple()],
            ..Docs::new(
                Group::Pubsub,
                "2.0.0",
                "Listens for messages published to channels that match one or more patterns.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "publish",
        proc: Some(pubsub::publish_command),
        arity: 3,
        flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE | CMD_SENTINEL,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_FAST,
        docs: Docs {
            complexity: Some(
                "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
            ),
            args: &[
                Arg::new("channel", ArgType::String),
                Arg::new("message", ArgType::String),
            ],
            ..Docs::new(Group::Pubsub, "2.0.0", "Posts a message to a channel.")
        },
        ..Command::ROW
    },
    Command {
        name: "pubsub",
        arity: -2,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(Group::Pubsub, "2.8.0", "A container for Pub/Sub commands.")
        },
        subcommands: &[
            Command {
                name: "pubsub|channels",
                proc: Some(pubsub::pubsub_command),
                arity: -2,
                flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some(
                        "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
                    ),
                    args: &[Arg::new("pattern", ArgType::Pattern).optional()],
                    ..Docs::new(Group::Pubsub, "2.8.0", "Returns the active channels.")
                },
                ..Command::ROW
            },
            Command {
                name: "pubsub|help",
                proc: Some(pubsub::pubsub_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Pubsub,
                        "6.2.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "pubsub|numpat",
                proc: Some(pubsub::pubsub_command),
                arity: 2,
                flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Pubsub,
                        "2.8.0",
                        "Returns a count of unique pattern subscriptions.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "pubsub|numsub",
                proc: Some(pubsub::pubsub_command),
                arity: -2,
                flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some(
                        "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
                    ),
                    args: &[Arg::new("channel", ArgType::String).optional().multiple()],
                    ..Docs::new(
                        Group::Pubsub,
                        "2.8.0",
                        "Returns a count of subscribers to channels.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "pubsub|shardchannels",
                proc: Some(pubsub::pubsub_command),
                arity: -2,
                flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some(
                        "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
                    ),
                    args: &[Arg::new("pattern", ArgType::Pattern).optional()],
                    ..Docs::new(Group::Pubsub, "7.0.0", "Returns the active shard channels.")
                },
                ..Command::ROW
            },
            Command {
                name: "pubsub|shardnumsub",
                proc: Some(pubsub::pubsub_command),
                arity: -2,
                flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
                docs: Docs {
                    complexity: Some(
                        "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
                    ),
                    args: &[Arg::new("shardchannel", ArgType::String)
                        .optional()
                        .multiple()],
                    ..Docs::new(
                        Group::Pubsub,
                        "7.0.0",
                        "Returns the count of subscribers of shard channels.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "punsubscribe",
        proc: Some(pubsub::punsubscribe_command),
        arity: -1,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("O(N) where N is the number of patterns to unsubscribe."),
            args: &[Arg::new("pattern", ArgType::Pattern).optional().multiple()],
            ..Docs::new(
                Group::Pubsub,
                "2.0.0",
                "Stops listening to messages published to channels that match one or more patterns.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "spublish",
        proc: Some(pubsub::spublish_command),
        arity: 3,
        flags: CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_NOT_KEY)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of clients subscribed to the receiving shard channel.",
            ),
            args: &[
                Arg::new("shardchannel", ArgType::String),
                Arg::new("message", ArgType::String),
            ],
            ..Docs::new(Group::Pubsub, "7.0.0", "Post a message to a shard channel")
        },
        ..Command::ROW
    },
    Command {
        name: "ssubscribe",
        proc: Some(pubsub::ssubscribe_command),
        arity: -2,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_NOT_KEY).range(-1, 1, 0)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of shard channels to subscribe to."),
            args: &[Arg::new("shardchannel", ArgType::String).multiple()],
            ..Docs::new(
                Group::Pubsub,
                "7.0.0",
                "Listens for messages published to shard channels.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "subscribe",
        proc: Some(pubsub::subscribe_command),
        arity: -2,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("O(N) where N is the number of channels to subscribe to."),
            args: &[Arg::new("channel", ArgType::String).multiple()],
            ..Docs::new(
                Group::Pubsub,
                "2.0.0",
                "Listens for messages published to channels.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "sunsubscribe",
        proc: Some(pubsub::sunsubscribe_command),
        arity: -1,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_NOT_KEY).range(-1, 1, 0)],
        docs: Docs {
            complexity: Some("O(N) where N is the number of shard channels to unsubscribe."),
            args: &[Arg::new("shardchannel", ArgType::String)
                .optional()
                .multiple()],
            ..Docs::new(
                Group::Pubsub,
                "7.0.0",
                "Stops listening to messages posted to shard channels.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "unsubscribe",
        proc: Some(pubsub::unsubscribe_command),
        arity: -1,
        flags: CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
        acl: ACL_CATEGORY_PUBSUB | ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("O(N) where N is the number of channels to unsubscribe."),
            args: &[Arg::new("channel", ArgType::String).optional().multiple()],
            ..Docs::new(
                Group::Pubsub,
                "2.0.0",
                "Stops listening to messages posted to channels.",
            )
        },
        ..Command::ROW
    },
];
