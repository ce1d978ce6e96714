//! The rows of group `connection`: the commands on the client's own connection and on others'.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::{client, connection};
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, DatabaseArgs, Group, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Connection, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Connection, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("auth", -2, connection::auth_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::NO_AUTH,
            Flag::ALLOW_BUSY,
            Flag::SENTINEL,
        ])
        .docs("1.0.0", "Authenticates the connection.")
        .complexity("O(N) where N is the number of passwords defined for the user")
        .history(&[("6.0.0", "Added ACL style (username and password).")])
        .args(&[
            Arg::new("username", ArgType::String)
                .since("6.0.0")
                .optional(),
            Arg::new("password", ArgType::String),
        ]),
    container(
        "client",
        -2,
        &[
            row("client|caching", 3, client::client_caching_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs(
                    "6.0.0",
                    "Instructs the server whether to track the keys in the next \
                     request.",
                )
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "mode",
                    &[Arg::token_only("yes", "YES"), Arg::token_only("no", "NO")],
                )]),
            row("client|getname", 2, client::client_getname_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs("2.6.9", "Returns the name of the connection.")
                .complexity("O(1)"),
            row("client|getredir", 2, client::client_getredir_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs(
                    "6.0.0",
                    "Returns the client ID to which the connection's tracking \
                     notifications are redirected.",
                )
                .complexity("O(1)"),
            row("client|help", 2, client::client_help_command)
                .flags(&[Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("client|id", 2, client::client_id_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs("5.0.0", "Returns the unique client ID of the connection.")
                .complexity("O(1)"),
            row("client|info", 2, client::client_info_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .tips(&["nondeterministic_output"])
                .docs("6.2.0", "Returns information about the connection.")
                .complexity("O(1)"),
            row("client|kill", -3, client::client_kill_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .docs("2.4.0", "Terminates open connections.")
                .complexity("O(N) where N is the number of client connections")
                .history(&[
                    ("2.8.12", "Added new filter format."),
                    ("2.8.12", "`ID` option."),
                    ("3.2.0", "Added `master` type in for `TYPE` option."),
                    (
                        "5.0.0",
                        "Replaced `slave` `TYPE` with `replica`. `slave` still supported \
                         for backward compatibility.",
                    ),
                    ("6.2.0", "`LADDR` option."),
                ])
                .args(&[Arg::one_of(
                    "filter",
                    &[
                        Arg::new("old-format", ArgType::String)
                            .display("ip:port")
                            .deprecated_since("2.8.12"),
                        Arg::one_of(
                            "new-format",
                            &[
                                Arg::new("client-id", ArgType::Integer)
                                    .token("ID")
                                    .since("2.8.12")
                                    .optional(),
                                Arg::one_of(
                                    "client-type",
                                    &[
                                        Arg::token_only("normal", "NORMAL"),
                                        Arg::token_only("master", "MASTER").since("3.2.0"),
                                        Arg::token_only("slave", "SLAVE"),
                                        Arg::token_only("replica", "REPLICA").since("5.0.0"),
                                        Arg::token_only("pubsub", "PUBSUB"),
                                    ],
                                )
                                .token("TYPE")
                                .since("2.8.12")
                                .optional(),
                                Arg::new("username", ArgType::String)
                                    .token("USER")
                                    .optional(),
                                Arg::new("addr", ArgType::String)
                                    .display("ip:port")
                                    .token("ADDR")
                                    .optional(),
                                Arg::new("laddr", ArgType::String)
                                    .display("ip:port")
                                    .token("LADDR")
                                    .since("6.2.0")
                                    .optional(),
                                Arg::one_of(
                                    "skipme",
                                    &[Arg::token_only("yes", "YES"), Arg::token_only("no", "NO")],
                                )
                                .token("SKIPME")
                                .optional(),
                            ],
                        )
                        .multiple(),
                    ],
                )]),
            row("client|list", -2, client::client_list_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .tips(&["nondeterministic_output"])
                .docs("2.4.0", "Lists open connections.")
                .complexity("O(N) where N is the number of client connections")
                .history(&[
                    ("2.8.12", "Added unique client `id` field."),
                    ("5.0.0", "Added optional `TYPE` filter."),
                    ("6.0.0", "Added `user` field."),
                    (
                        "6.2.0",
                        "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the \
                         optional `ID` filter.",
                    ),
                    (
                        "7.0.0",
                        "Added `resp`, `multi-mem`, `rbs` and `rbp` fields.",
                    ),
                    ("7.0.3", "Added `ssub` field."),
                ])
                .args(&[
                    Arg::one_of(
                        "client-type",
                        &[
                            Arg::token_only("normal", "NORMAL"),
                            Arg::token_only("master", "MASTER"),
                            Arg::token_only("replica", "REPLICA"),
                            Arg::token_only("pubsub", "PUBSUB"),
                        ],
                    )
                    .token("TYPE")
                    .since("5.0.0")
                    .optional(),
                    Arg::new("client-id", ArgType::Integer)
                        .token("ID")
                        .since("6.2.0")
                        .optional()
                        .multiple(),
                ]),
            row("client|no-evict", 3, client::client_no_evict_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .docs("7.0.0", "Sets the client eviction mode of the connection.")
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "enabled",
                    &[Arg::token_only("on", "ON"), Arg::token_only("off", "OFF")],
                )]),
            row("client|no-touch", 3, client::client_no_touch_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE])
                .docs(
                    "7.2.0",
                    "Controls whether commands sent by the client affect the LRU/LFU \
                     of accessed keys.",
                )
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "enabled",
                    &[Arg::token_only("on", "ON"), Arg::token_only("off", "OFF")],
                )]),
            row("client|pause", -3, client::client_pause_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .docs("3.0.0", "Suspends commands processing.")
                .complexity("O(1)")
                .history(&[(
                    "6.2.0",
                    "`CLIENT PAUSE WRITE` mode added along with the `mode` option.",
                )])
                .args(&[
                    Arg::new("timeout", ArgType::Integer),
                    Arg::one_of(
                        "mode",
                        &[
                            Arg::token_only("write", "WRITE"),
                            Arg::token_only("all", "ALL"),
                        ],
                    )
                    .since("6.2.0")
                    .optional(),
                ]),
            row("client|reply", 3, client::client_reply_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs(
                    "3.2.0",
                    "Instructs the server whether to reply to commands.",
                )
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "action",
                    &[
                        Arg::token_only("on", "ON"),
                        Arg::token_only("off", "OFF"),
                        Arg::token_only("skip", "SKIP"),
                    ],
                )]),
            row("client|setinfo", 4, client::client_setinfo_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs(
                    "7.2.0",
                    "Sets information specific to the client or connection.",
                )
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "attr",
                    &[
                        Arg::new("libname", ArgType::String).token("LIB-NAME"),
                        Arg::new("libver", ArgType::String).token("LIB-VER"),
                    ],
                )]),
            row("client|setname", 3, client::client_setname_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs("2.6.9", "Sets the connection name.")
                .complexity("O(1)")
                .args(&[Arg::new("connection-name", ArgType::String)]),
            row("client|tracking", -3, client::client_tracking_command)
                .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
                .docs(
                    "6.0.0",
                    "Controls server-assisted client-side caching for the connection.",
                )
                .complexity("O(1). Some options may introduce additional complexity.")
                .args(&[
                    Arg::one_of(
                        "status",
                        &[Arg::token_only("on", "ON"), Arg::token_only("off", "OFF")],
                    ),
                    Arg::new("client-id", ArgType::Integer)
                        .token("REDIRECT")
                        .optional(),
                    Arg::new("prefix", ArgType::String)
                        .token("PREFIX")
                        .optional()
                        .multiple()
                        .multiple_token(),
                    Arg::token_only("bcast", "BCAST").optional(),
                    Arg::token_only("optin", "OPTIN").optional(),
                    Arg::token_only("optout", "OPTOUT").optional(),
                    Arg::token_only("noloop", "NOLOOP").optional(),
                ]),
            row(
                "client|trackinginfo",
                2,
                client::client_trackinginfo_command,
            )
            .flags(&[Flag::NOSCRIPT, Flag::LOADING, Flag::STALE, Flag::SENTINEL])
            .docs(
                "6.2.0",
                "Returns information about server-assisted client-side caching \
                     for the connection.",
            )
            .complexity("O(1)"),
            row("client|unblock", -3, client::client_unblock_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .docs(
                    "5.0.0",
                    "Unblocks a client blocked by a blocking command from a \
                     different connection.",
                )
                .complexity("O(log N) where N is the number of client connections")
                .args(&[
                    Arg::new("client-id", ArgType::Integer),
                    Arg::one_of(
                        "unblock-type",
                        &[
                            Arg::token_only("timeout", "TIMEOUT"),
                            Arg::token_only("error", "ERROR"),
                        ],
                    )
                    .optional(),
                ]),
            row("client|unpause", 2, client::client_unpause_command)
                .flags(&[
                    Flag::ADMIN,
                    Flag::NOSCRIPT,
                    Flag::LOADING,
                    Flag::STALE,
                    Flag::SENTINEL,
                ])
                .docs("6.2.0", "Resumes processing commands from paused clients.")
                .complexity("O(N) Where N is the number of paused clients"),
        ],
    )
    .flags(&[Flag::SENTINEL, Flag::KEEPS_CACHING])
    .not_in(&[Acl::CONNECTION])
    .docs("2.4.0", "A container for client connection commands.")
    .complexity("Depends on subcommand."),
    row("echo", 2, connection::echo_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::FAST])
        .docs("1.0.0", "Returns the given string.")
        .complexity("O(1)")
        .args(&[Arg::new("message", ArgType::String)]),
    row("hello", -1, connection::hello_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::NO_AUTH,
            Flag::ALLOW_BUSY,
            Flag::SENTINEL,
        ])
        .docs("6.0.0", "Handshakes with the Redis server.")
        .complexity("O(1)")
        .history(&[(
            "6.2.0",
            "`protover` made optional; when called without arguments the \
             command reports the current connection's context.",
        )])
        .args(&[Arg::block(
            "arguments",
            &[
                Arg::new("protover", ArgType::Integer),
                Arg::block(
                    "auth",
                    &[
                        Arg::new("username", ArgType::String),
                        Arg::new("password", ArgType::String),
                    ],
                )
                .token("AUTH")
                .optional(),
                Arg::new("clientname", ArgType::String)
                    .token("SETNAME")
                    .optional(),
            ],
        )
        .optional()]),
    row("ping", -1, connection::ping_command)
        .flags(&[
            Flag::FAST,
            Flag::SENTINEL,
            Flag::ALLOWED_IN_PUBSUB,
            Flag::TELLS_DISK_ERROR,
        ])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("1.0.0", "Returns the server's liveliness response.")
        .complexity("O(1)")
        .args(&[Arg::new("message", ArgType::String).optional()]),
    row("quit", -1, connection::quit_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::NO_AUTH,
            Flag::ALLOW_BUSY,
            Flag::ALLOWED_IN_PUBSUB,
            Flag::RUNS_IN_MULTI,
            Flag::LEAVES_MULTI,
        ])
        .docs("1.0.0", "Closes the connection.")
        .complexity("O(1)")
        .deprecated("7.2.0", "just closing the connection"),
    row("reset", 1, connection::reset_command)
        .flags(&[
            Flag::NOSCRIPT,
            Flag::LOADING,
            Flag::STALE,
            Flag::FAST,
            Flag::NO_AUTH,
            Flag::ALLOW_BUSY,
            Flag::ALLOWED_IN_PUBSUB,
            Flag::RUNS_IN_MULTI,
            Flag::LEAVES_MULTI,
        ])
        .docs("6.2.0", "Resets the connection.")
        .complexity("O(1)"),
    row("select", 2, connection::select_command)
        .flags(&[Flag::LOADING, Flag::STALE, Flag::FAST])
        .databases(DatabaseArgs::Selects)
        .docs("1.0.0", "Changes the selected database.")
        .complexity("O(1)")
        .args(&[Arg::new("index", ArgType::Integer)]),
];
