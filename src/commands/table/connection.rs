//! The rows of group `connection`: the commands on the client's own connection and on others'.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::{client, connection};
use crate::server::command::{
    ACL_CATEGORY_ADMIN, ACL_CATEGORY_CONNECTION, ACL_CATEGORY_DANGEROUS, ACL_CATEGORY_FAST,
    ACL_CATEGORY_SLOW, Arg, ArgType, CMD_ADMIN, CMD_ALLOW_BUSY, CMD_DOC_DEPRECATED, CMD_FAST,
    CMD_LOADING, CMD_NO_AUTH, CMD_NOSCRIPT, CMD_SENTINEL, CMD_STALE, Command, Docs, Group,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "auth",
        proc: Some(connection::auth_command),
        arity: -2,
        flags: CMD_NOSCRIPT
            | CMD_LOADING
            | CMD_STALE
            | CMD_FAST
            | CMD_NO_AUTH
            | CMD_ALLOW_BUSY
            | CMD_SENTINEL,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(N) where N is the number of passwords defined for the user"),
            history: &[("6.0.0", "Added ACL style (username and password).")],
            args: &[
                Arg::new("username", ArgType::String)
                    .since("6.0.0")
                    .optional(),
                Arg::new("password", ArgType::String),
            ],
            ..Docs::new(Group::Connection, "1.0.0", "Authenticates the connection.")
        },
        ..Command::ROW
    },
    Command {
        name: "client",
        arity: -2,
        flags: CMD_SENTINEL,
        acl: ACL_CATEGORY_SLOW,
        docs: Docs {
            complexity: Some("Depends on subcommand."),
            ..Docs::new(
                Group::Connection,
                "2.4.0",
                "A container for client connection commands.",
            )
        },
        subcommands: &[
            Command {
                name: "client|caching",
                proc: Some(client::client_command),
                arity: 3,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::one_of(
                        "mode",
                        &[Arg::token_only("yes", "YES"), Arg::token_only("no", "NO")],
                    )],
                    ..Docs::new(
                        Group::Connection,
                        "6.0.0",
                        "Instructs the server whether to track the keys in the next request.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|getname",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "2.6.9",
                        "Returns the name of the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|getredir",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "6.0.0",
                        "Returns the client ID to which the connection's tracking notifications are redirected.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|help",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "5.0.0",
                        "Returns helpful text about the different subcommands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|id",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "5.0.0",
                        "Returns the unique client ID of the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|info",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "6.2.0",
                        "Returns information about the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|kill",
                proc: Some(client::client_command),
                arity: -3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(N) where N is the number of client connections"),
                    history: &[
                        ("2.8.12", "Added new filter format."),
                        ("2.8.12", "`ID` option."),
                        ("3.2.0", "Added `master` type in for `TYPE` option."),
                        (
                            "5.0.0",
                            "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.",
                        ),
                        ("6.2.0", "`LADDR` option."),
                    ],
                    args: &[Arg::one_of(
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
                                        &[
                                            Arg::token_only("yes", "YES"),
                                            Arg::token_only("no", "NO"),
                                        ],
                                    )
                                    .token("SKIPME")
                                    .optional(),
                                ],
                            )
                            .multiple(),
                        ],
                    )],
                    ..Docs::new(Group::Connection, "2.4.0", "Terminates open connections.")
                },
                ..Command::ROW
            },
            Command {
                name: "client|list",
                proc: Some(client::client_command),
                arity: -2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                tips: &["nondeterministic_output"],
                docs: Docs {
                    complexity: Some("O(N) where N is the number of client connections"),
                    history: &[
                        ("2.8.12", "Added unique client `id` field."),
                        ("5.0.0", "Added optional `TYPE` filter."),
                        ("6.0.0", "Added `user` field."),
                        (
                            "6.2.0",
                            "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.",
                        ),
                        (
                            "7.0.0",
                            "Added `resp`, `multi-mem`, `rbs` and `rbp` fields.",
                        ),
                        ("7.0.3", "Added `ssub` field."),
                    ],
                    args: &[
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
                    ],
                    ..Docs::new(Group::Connection, "2.4.0", "Lists open connections.")
                },
                ..Command::ROW
            },
            Command {
                name: "client|no-evict",
                proc: Some(client::client_command),
                arity: 3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::one_of(
                        "enabled",
                        &[Arg::token_only("on", "ON"), Arg::token_only("off", "OFF")],
                    )],
                    ..Docs::new(
                        Group::Connection,
                        "7.0.0",
                        "Sets the client eviction mode of the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|no-touch",
                proc: Some(client::client_command),
                arity: 3,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::one_of(
                        "enabled",
                        &[Arg::token_only("on", "ON"), Arg::token_only("off", "OFF")],
                    )],
                    ..Docs::new(
                        Group::Connection,
                        "7.2.0",
                        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|pause",
                proc: Some(client::client_command),
                arity: -3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    history: &[(
                        "6.2.0",
                        "`CLIENT PAUSE WRITE` mode added along with the `mode` option.",
                    )],
                    args: &[
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
                    ],
                    ..Docs::new(Group::Connection, "3.0.0", "Suspends commands processing.")
                },
                ..Command::ROW
            },
            Command {
                name: "client|reply",
                proc: Some(client::client_command),
                arity: 3,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::one_of(
                        "action",
                        &[
                            Arg::token_only("on", "ON"),
                            Arg::token_only("off", "OFF"),
                            Arg::token_only("skip", "SKIP"),
                        ],
                    )],
                    ..Docs::new(
                        Group::Connection,
                        "3.2.0",
                        "Instructs the server whether to reply to commands.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|setinfo",
                proc: Some(client::client_command),
                arity: 4,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::one_of(
                        "attr",
                        &[
                            Arg::new("libname", ArgType::String).token("LIB-NAME"),
                            Arg::new("libver", ArgType::String).token("LIB-VER"),
                        ],
                    )],
                    ..Docs::new(
                        Group::Connection,
                        "7.2.0",
                        "Sets information specific to the client or connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|setname",
                proc: Some(client::client_command),
                arity: 3,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: Docs {
                    complexity: Some("O(1)"),
                    args: &[Arg::new("connection-name", ArgType::String)],
                    ..Docs::new(Group::Connection, "2.6.9", "Sets the connection name.")
                },
                ..Command::ROW
            },
            Command {
                name: "client|tracking",
                proc: Some(client::client_command),
                arity: -3,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1). Some options may introduce additional complexity."),
                    args: &[
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
                    ],
                    ..Docs::new(
                        Group::Connection,
                        "6.0.0",
                        "Controls server-assisted client-side caching for the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|trackinginfo",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_SLOW | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(1)"),
                    ..Docs::new(
                        Group::Connection,
                        "6.2.0",
                        "Returns information about server-assisted client-side caching for the connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|unblock",
                proc: Some(client::client_command),
                arity: -3,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(log N) where N is the number of client connections"),
                    args: &[
                        Arg::new("client-id", ArgType::Integer),
                        Arg::one_of(
                            "unblock-type",
                            &[
                                Arg::token_only("timeout", "TIMEOUT"),
                                Arg::token_only("error", "ERROR"),
                            ],
                        )
                        .optional(),
                    ],
                    ..Docs::new(
                        Group::Connection,
                        "5.0.0",
                        "Unblocks a client blocked by a blocking command from a different connection.",
                    )
                },
                ..Command::ROW
            },
            Command {
                name: "client|unpause",
                proc: Some(client::client_command),
                arity: 2,
                flags: CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SENTINEL,
                acl: ACL_CATEGORY_ADMIN
                    | ACL_CATEGORY_SLOW
                    | ACL_CATEGORY_DANGEROUS
                    | ACL_CATEGORY_CONNECTION,
                docs: Docs {
                    complexity: Some("O(N) Where N is the number of paused clients"),
                    ..Docs::new(
                        Group::Connection,
                        "6.2.0",
                        "Resumes processing commands from paused clients.",
                    )
                },
                ..Command::ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "echo",
        proc: Some(connection::echo_command),
        arity: 2,
        flags: CMD_LOADING | CMD_STALE | CMD_FAST,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::new("message", ArgType::String)],
            ..Docs::new(Group::Connection, "1.0.0", "Returns the given string.")
        },
        ..Command::ROW
    },
    Command {
        name: "hello",
        proc: Some(connection::hello_command),
        arity: -1,
        flags: CMD_NOSCRIPT
            | CMD_LOADING
            | CMD_STALE
            | CMD_FAST
            | CMD_NO_AUTH
            | CMD_ALLOW_BUSY
            | CMD_SENTINEL,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(1)"),
            history: &[(
                "6.2.0",
                "`protover` made optional; when called without arguments the command reports the current connection's context.",
            )],
            args: &[Arg::block(
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
            .optional()],
            ..Docs::new(
                Group::Connection,
                "6.0.0",
                "Handshakes with the Redis server.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "ping",
        proc: Some(connection::ping_command),
        arity: -1,
        flags: CMD_FAST | CMD_SENTINEL,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::new("message", ArgType::String).optional()],
            ..Docs::new(
                Group::Connection,
                "1.0.0",
                "Returns the server's liveliness response.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "quit",
        proc: Some(connection::quit_command),
        arity: -1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            deprecated_since: Some("7.2.0"),
            replaced_by: Some("just closing the connection"),
            ..Docs::new(Group::Connection, "1.0.0", "Closes the connection.")
        },
        ..Command::ROW
    },
    Command {
        name: "reset",
        proc: Some(connection::reset_command),
        arity: 1,
        flags: CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(1)"),
            ..Docs::new(Group::Connection, "6.2.0", "Resets the connection.")
        },
        ..Command::ROW
    },
    Command {
        name: "select",
        proc: Some(connection::select_command),
        arity: 2,
        flags: CMD_LOADING | CMD_STALE | CMD_FAST,
        acl: ACL_CATEGORY_FAST | ACL_CATEGORY_CONNECTION,
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::new("index", ArgType::Integer)],
            ..Docs::new(Group::Connection, "1.0.0", "Changes the selected database.")
        },
        ..Command::ROW
    },
];
