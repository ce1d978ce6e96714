//! The rows of group `sentinel`: SENTINEL, which is there in Sentinel mode only.
//!
//! Rows only; the procedures are in `sentinel::commands`. The facts are those of Redis 7.2, as COMMAND INFO and COMMAND DOCS tell
//! them; EXPLAIN, and what FAILOVER can be told, are ours.

use crate::sentinel::commands as sentinel;
use crate::server::execution::command::{Arg, ArgType, Command, CommandFlags as Flag, Group, Proc};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Sentinel, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[Command::container(
    Group::Sentinel,
    "sentinel",
    -2,
    &[
        row("sentinel|ckquorum", 3, sentinel::ckquorum_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Checks for a Redis Sentinel quorum.")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|config", -4, sentinel::config_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("6.2.0", "Configures Redis Sentinel.")
            .complexity("O(N) when N is the number of configuration parameters provided")
            .history(&[(
                "7.2.0",
                "Added the ability to set and get multiple parameters in one call.",
            )])
            .args(&[Arg::one_of(
                "action",
                &[
                    Arg::block(
                        "set",
                        &[
                            Arg::new("parameter", ArgType::String),
                            Arg::new("value", ArgType::String),
                        ],
                    )
                    .token("SET")
                    .multiple(),
                    Arg::new("parameter", ArgType::String)
                        .token("GET")
                        .multiple(),
                ],
            )]),
        row("sentinel|debug", -2, sentinel::debug_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs(
                "7.0.0",
                "Lists or updates the current configurable parameters of Redis Sentinel.",
            )
            .complexity("O(N) where N is the number of configurable parameters")
            .args(&[Arg::block(
                "data",
                &[
                    Arg::new("parameter", ArgType::String),
                    Arg::new("value", ArgType::String),
                ],
            )
            .optional()
            .multiple()]),
        row("sentinel|explain", 3, sentinel::explain_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs(
                "7.2.4",
                "Says whether a failover would begin now, and why not.",
            )
            .complexity("O(N) where N is the number of replicas and Sentinels")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|failover", -3, sentinel::failover_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Forces a Redis Sentinel failover.")
            .args(&[
                Arg::new("master-name", ArgType::String),
                Arg::token_only("coordinated", "COORDINATED").optional(),
            ]),
        row("sentinel|flushconfig", 2, sentinel::flushconfig_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Rewrites the Redis Sentinel configuration file.")
            .complexity("O(1)"),
        row(
            "sentinel|get-master-addr-by-name",
            3,
            sentinel::get_master_addr_by_name_command,
        )
        .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
        .docs(
            "2.8.4",
            "Returns the port and address of a master Redis instance.",
        )
        .complexity("O(1)")
        .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|help", 2, sentinel::help_command)
            .flags(&[
                Flag::LOADING,
                Flag::STALE,
                Flag::SENTINEL,
                Flag::ONLY_SENTINEL,
            ])
            .docs(
                "6.2.0",
                "Returns helpful text about the different subcommands.",
            )
            .complexity("O(1)"),
        row("sentinel|info-cache", -3, sentinel::info_cache_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs(
                "3.2.0",
                "Returns the cached `INFO` replies from the deployment's instances.",
            )
            .complexity("O(N) where N is the number of instances")
            .args(&[Arg::new("nodename", ArgType::String).multiple()]),
        row(
            "sentinel|is-master-down-by-addr",
            6,
            sentinel::is_master_down_by_addr_command,
        )
        .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
        .docs(
            "2.8.4",
            "Determines whether a master Redis instance is down.",
        )
        .complexity("O(1)")
        .args(&[
            Arg::new("ip", ArgType::String),
            Arg::new("port", ArgType::Integer),
            Arg::new("current-epoch", ArgType::Integer),
            Arg::new("runid", ArgType::String),
        ]),
        row("sentinel|master", 3, sentinel::master_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Returns the state of a master Redis instance.")
            .complexity("O(1)")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|masters", 2, sentinel::masters_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Returns a list of monitored Redis masters.")
            .complexity("O(N) where N is the number of masters"),
        row("sentinel|monitor", 6, sentinel::monitor_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Starts monitoring.")
            .complexity("O(1)")
            .args(&[
                Arg::new("name", ArgType::String),
                Arg::new("ip", ArgType::String),
                Arg::new("port", ArgType::Integer),
                Arg::new("quorum", ArgType::Integer),
            ]),
        row("sentinel|myid", 2, sentinel::myid_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("6.2.0", "Returns the Redis Sentinel instance ID.")
            .complexity("O(1)"),
        row(
            "sentinel|pending-scripts",
            2,
            sentinel::pending_scripts_command,
        )
        .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
        .docs(
            "2.8.4",
            "Returns information about pending scripts for Redis Sentinel.",
        ),
        row("sentinel|remove", 3, sentinel::remove_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Stops monitoring.")
            .complexity("O(1)")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|replicas", 3, sentinel::replicas_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("5.0.0", "Returns a list of the monitored Redis replicas.")
            .complexity("O(N) where N is the number of replicas")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|reset", 3, sentinel::reset_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Resets Redis masters by name matching a pattern.")
            .complexity("O(N) where N is the number of monitored masters")
            .args(&[Arg::new("pattern", ArgType::Pattern)]),
        row("sentinel|sentinels", 3, sentinel::sentinels_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.4", "Returns a list of Sentinel instances.")
            .complexity("O(N) where N is the number of Sentinels")
            .args(&[Arg::new("master-name", ArgType::String)]),
        row("sentinel|set", -5, sentinel::set_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs(
                "2.8.4",
                "Changes the configuration of a monitored Redis master.",
            )
            .complexity("O(1)")
            .args(&[
                Arg::new("master-name", ArgType::String),
                Arg::block(
                    "data",
                    &[
                        Arg::new("option", ArgType::String),
                        Arg::new("value", ArgType::String),
                    ],
                )
                .multiple(),
            ]),
        row(
            "sentinel|simulate-failure",
            -3,
            sentinel::simulate_failure_command,
        )
        .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
        .docs("3.2.0", "Simulates failover scenarios.")
        .args(&[Arg::one_of(
            "mode",
            &[
                Arg::new("crash-after-election", ArgType::PureToken),
                Arg::new("crash-after-promotion", ArgType::PureToken),
                Arg::new("help", ArgType::PureToken),
            ],
        )
        .optional()
        .multiple()]),
        row("sentinel|slaves", 3, sentinel::replicas_command)
            .flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
            .docs("2.8.0", "Returns a list of the monitored replicas.")
            .complexity("O(N) where N is the number of replicas.")
            .deprecated("5.0.0", "`SENTINEL REPLICAS`")
            .args(&[Arg::new("master-name", ArgType::String)]),
    ],
)
.flags(&[Flag::ADMIN, Flag::SENTINEL, Flag::ONLY_SENTINEL])
.docs("2.8.4", "A container for Redis Sentinel commands.")
.complexity("Depends on subcommand.")];
