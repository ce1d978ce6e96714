//! The rows of group `pubsub`: the commands on channels.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::pubsub;
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, ChannelArgs, Command, CommandFlags as Flag, Group,
    KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Pubsub, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Pubsub, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("psubscribe", -2, pubsub::psubscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::SENTINEL,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .channels(ChannelArgs::AllPatterns)
        .docs(
            "2.0.0",
            "Listens for messages published to channels that match one or \
             more patterns.",
        )
        .complexity("O(N) where N is the number of patterns to subscribe to.")
        .args(&[Arg::new("pattern", ArgType::Pattern).multiple()]),
    row("publish", 3, pubsub::publish_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::MAY_REPLICATE,
            Flag::SENTINEL,
        ])
        .channels(ChannelArgs::First)
        .docs("2.0.0", "Posts a message to a channel.")
        .complexity(
            "O(N+M) where N is the number of clients subscribed to the \
             receiving channel and M is the total number of subscribed \
             patterns (by any client).",
        )
        .args(&[
            Arg::new("channel", ArgType::String),
            Arg::new("message", ArgType::String),
        ]),
    container(
        "pubsub",
        -2,
        &[
            row("pubsub|channels", -2, pubsub::pubsub_channels_command)
                .flags(&[Flag::PUBSUB, Flag::LOADING, Flag::STALE])
                .docs("2.8.0", "Returns the active channels.")
                .complexity(
                    "O(N) where N is the number of active channels, and assuming \
                     constant time pattern matching (relatively short channels and \
                     patterns)",
                )
                .args(&[Arg::new("pattern", ArgType::Pattern).optional()]),
            row("pubsub|help", 2, pubsub::pubsub_help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .not_in(&[Acl::PUBSUB])
                .docs(
                    "6.2.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("pubsub|numpat", 2, pubsub::pubsub_numpat_command)
                .flags(&[Flag::PUBSUB, Flag::LOADING, Flag::STALE])
                .docs("2.8.0", "Returns a count of unique pattern subscriptions.")
                .complexity("O(1)"),
            row("pubsub|numsub", -2, pubsub::pubsub_numsub_command)
                .flags(&[Flag::PUBSUB, Flag::LOADING, Flag::STALE])
                .docs("2.8.0", "Returns a count of subscribers to channels.")
                .complexity(
                    "O(N) for the NUMSUB subcommand, where N is the number of \
                     requested channels",
                )
                .args(&[Arg::new("channel", ArgType::String).optional().multiple()]),
            row(
                "pubsub|shardchannels",
                -2,
                pubsub::pubsub_shardchannels_command,
            )
            .flags(&[Flag::PUBSUB, Flag::LOADING, Flag::STALE])
            .docs("7.0.0", "Returns the active shard channels.")
            .complexity(
                "O(N) where N is the number of active shard channels, and \
                     assuming constant time pattern matching (relatively short shard \
                     channels).",
            )
            .args(&[Arg::new("pattern", ArgType::Pattern).optional()]),
            row("pubsub|shardnumsub", -2, pubsub::pubsub_shardnumsub_command)
                .flags(&[Flag::PUBSUB, Flag::LOADING, Flag::STALE])
                .docs(
                    "7.0.0",
                    "Returns the count of subscribers of shard channels.",
                )
                .complexity(
                    "O(N) for the SHARDNUMSUB subcommand, where N is the number of \
                     requested shard channels",
                )
                .args(&[Arg::new("shardchannel", ArgType::String)
                    .optional()
                    .multiple()]),
        ],
    )
    .not_in(&[Acl::PUBSUB])
    .docs("2.8.0", "A container for Pub/Sub commands.")
    .complexity("Depends on subcommand."),
    row("punsubscribe", -1, pubsub::punsubscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::SENTINEL,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .docs(
            "2.0.0",
            "Stops listening to messages published to channels that match \
             one or more patterns.",
        )
        .complexity("O(N) where N is the number of patterns to unsubscribe.")
        .args(&[Arg::new("pattern", ArgType::Pattern).optional().multiple()]),
    row("spublish", 3, pubsub::spublish_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::MAY_REPLICATE,
        ])
        .channels(ChannelArgs::First)
        .key_specs(&[KeySpec::index(1, &[Key::NOT_KEY])])
        .docs("7.0.0", "Post a message to a shard channel")
        .complexity(
            "O(N) where N is the number of clients subscribed to the \
             receiving shard channel.",
        )
        .args(&[
            Arg::new("shardchannel", ArgType::String),
            Arg::new("message", ArgType::String),
        ]),
    row("ssubscribe", -2, pubsub::ssubscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .channels(ChannelArgs::All)
        .key_specs(&[KeySpec::index(1, &[Key::NOT_KEY]).range(-1, 1, 0)])
        .docs("7.0.0", "Listens for messages published to shard channels.")
        .complexity("O(N) where N is the number of shard channels to subscribe to.")
        .args(&[Arg::new("shardchannel", ArgType::String).multiple()]),
    row("subscribe", -2, pubsub::subscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::SENTINEL,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .channels(ChannelArgs::All)
        .docs("2.0.0", "Listens for messages published to channels.")
        .complexity("O(N) where N is the number of channels to subscribe to.")
        .args(&[Arg::new("channel", ArgType::String).multiple()]),
    row("sunsubscribe", -1, pubsub::sunsubscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .key_specs(&[KeySpec::index(1, &[Key::NOT_KEY]).range(-1, 1, 0)])
        .docs(
            "7.0.0",
            "Stops listening to messages posted to shard channels.",
        )
        .complexity("O(N) where N is the number of shard channels to unsubscribe.")
        .args(&[Arg::new("shardchannel", ArgType::String)
            .optional()
            .multiple()]),
    row("unsubscribe", -1, pubsub::unsubscribe_command)
        .flags(&[
            Flag::PUBSUB,
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::SENTINEL,
            Flag::ALLOWED_IN_PUBSUB,
        ])
        .docs("2.0.0", "Stops listening to messages posted to channels.")
        .complexity("O(N) where N is the number of channels to unsubscribe.")
        .args(&[Arg::new("channel", ArgType::String).optional().multiple()]),
];
