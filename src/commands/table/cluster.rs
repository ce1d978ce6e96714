//! The rows of group `cluster`.
//!
//! Rows only; the procedures are in `cluster::commands` and `cluster::slots`. The facts are those of Redis 7.2, as COMMAND INFO and COMMAND DOCS tell them.

use crate::cluster::migration::commands as migration;
use crate::cluster::{commands as cluster, slots};
use crate::server::execution::command::{
    AclCategories as Acl, Arg, ArgType, Command, CommandFlags as Flag, Group, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Cluster, name, arity, proc)
}

const fn container(name: &'static str, arity: i32, subcommands: &'static [Command]) -> Command {
    Command::container(Group::Cluster, name, arity, subcommands)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("asking", 1, cluster::asking_command)
        .flags(&[Flag::FAST])
        .also_in(&[Acl::CONNECTION])
        .docs(
            "3.0.0",
            "Signals that a cluster client is following an -ASK redirect.",
        )
        .complexity("O(1)"),
    container(
        "cluster",
        -2,
        &[
            row("cluster|addslots", -3, slots::addslots_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Assigns new hash slots to a node.")
                .complexity("O(N) where N is the total number of hash slot arguments")
                .args(&[Arg::new("slot", ArgType::Integer).multiple()]),
            row("cluster|addslotsrange", -4, slots::addslotsrange_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("7.0.0", "Assigns new hash slot ranges to a node.")
                .complexity(
                    "O(N) where N is the total number of the slots between the start \
                 slot and end slot arguments.",
                )
                .args(&[Arg::block(
                    "range",
                    &[
                        Arg::new("start-slot", ArgType::Integer),
                        Arg::new("end-slot", ArgType::Integer),
                    ],
                )
                .multiple()]),
            row("cluster|bumpepoch", 2, cluster::bumpepoch_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Advances the cluster config epoch.")
                .complexity("O(1)"),
            row(
                "cluster|cancelslotmigrations",
                2,
                migration::cancelslotmigrations_command,
            )
            .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
            .docs("9.0.0", "Gives up all moves of slots that were begun on this node.")
            .complexity("O(N), where N is the number of moves"),
            row(
                "cluster|count-failure-reports",
                3,
                cluster::count_failure_reports_command,
            )
            .flags(&[Flag::ADMIN, Flag::STALE])
            .tips(&["nondeterministic_output"])
            .docs(
                "3.0.0",
                "Returns the number of active failure reports active for a node.",
            )
            .complexity("O(N) where N is the number of failure reports")
            .args(&[Arg::new("node-id", ArgType::String)]),
            row("cluster|countkeysinslot", 3, slots::countkeysinslot_command)
                .flags(&[Flag::STALE])
                .docs("3.0.0", "Returns the number of keys in a hash slot.")
                .complexity("O(1)")
                .args(&[Arg::new("slot", ArgType::Integer)]),
            row("cluster|delslots", -3, slots::delslots_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Sets hash slots as unbound for a node.")
                .complexity("O(N) where N is the total number of hash slot arguments")
                .args(&[Arg::new("slot", ArgType::Integer).multiple()]),
            row("cluster|delslotsrange", -4, slots::delslotsrange_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("7.0.0", "Sets hash slot ranges as unbound for a node.")
                .complexity(
                    "O(N) where N is the total number of the slots between the start \
                 slot and end slot arguments.",
                )
                .args(&[Arg::block(
                    "range",
                    &[
                        Arg::new("start-slot", ArgType::Integer),
                        Arg::new("end-slot", ArgType::Integer),
                    ],
                )
                .multiple()]),
            row("cluster|failover", -2, cluster::failover_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs(
                    "3.0.0",
                    "Forces a replica to perform a manual failover of its master.",
                )
                .complexity("O(1)")
                .args(&[Arg::one_of(
                    "options",
                    &[
                        Arg::token_only("force", "FORCE"),
                        Arg::token_only("takeover", "TAKEOVER"),
                    ],
                )
                .optional()]),
            row("cluster|flushslot", -3, slots::flushslot_command)
                .flags(&[Flag::WRITE, Flag::NO_ASYNC_LOADING, Flag::ADMIN])
                .also_in(&[Acl::KEYSPACE])
                .docs("9.0.0", "Removes all keys of a hash slot.")
                .complexity("O(N) where N is the number of keys in the slot")
                .args(&[
                    Arg::new("slot", ArgType::Integer),
                    Arg::one_of(
                        "flush-type",
                        &[
                            Arg::token_only("async", "ASYNC"),
                            Arg::token_only("sync", "SYNC"),
                        ],
                    )
                    .optional(),
                ]),
            row("cluster|flushslots", 2, slots::flushslots_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Deletes all slots information from a node.")
                .complexity("O(1)"),
            row("cluster|forget", 3, cluster::forget_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Removes a node from the nodes table.")
                .complexity("O(1)")
                .args(&[Arg::new("node-id", ArgType::String)]),
            row("cluster|getkeysinslot", 4, slots::getkeysinslot_command)
                .flags(&[Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Returns the key names in a hash slot.")
                .complexity("O(N) where N is the number of requested keys")
                .args(&[
                    Arg::new("slot", ArgType::Integer),
                    Arg::new("count", ArgType::Integer),
                ]),
            row(
                "cluster|getslotmigrations",
                2,
                migration::getslotmigrations_command,
            )
            .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
            .tips(&["nondeterministic_output"])
            .docs(
                "9.0.0",
                "Returns moves of slots that are under way or have ended lately.",
            )
            .complexity("O(N), where N is the number of moves"),
            row("cluster|help", 2, cluster::help_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .docs(
                    "5.0.0",
                    "Returns helpful text about the different subcommands.",
                )
                .complexity("O(1)"),
            row("cluster|info", 2, cluster::info_command)
                .flags(&[Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Returns information about the state of a node.")
                .complexity("O(1)"),
            row("cluster|keyslot", 3, cluster::keyslot_command)
                .flags(&[Flag::STALE])
                .docs("3.0.0", "Returns the hash slot for a key.")
                .complexity("O(N) where N is the number of bytes in the key")
                .args(&[Arg::new("key", ArgType::String)]),
            row("cluster|links", 2, cluster::links_command)
                .flags(&[Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs(
                    "7.0.0",
                    "Returns a list of all TCP links to and from peer nodes.",
                )
                .complexity("O(N) where N is the total number of Cluster nodes"),
            row("cluster|meet", -4, cluster::meet_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Forces a node to handshake with another node.")
                .complexity("O(1)")
                .history(&[("4.0.0", "Added the optional `cluster_bus_port` argument.")])
                .args(&[
                    Arg::new("ip", ArgType::String),
                    Arg::new("port", ArgType::Integer),
                    Arg::new("cluster-bus-port", ArgType::Integer)
                        .since("4.0.0")
                        .optional(),
                ]),
            row(
                "cluster|migrateslots",
                -4,
                migration::migrateslots_command,
            )
            .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
            .docs("9.0.0", "Moves slots of this node, with their keys, to other nodes.")
            .complexity(
                "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
            )
            .args(&[Arg::block(
                "migration-group",
                &[
                    Arg::token_only("slotsrange-token", "SLOTSRANGE"),
                    Arg::block(
                        "range",
                        &[
                            Arg::new("start-slot", ArgType::Integer),
                            Arg::new("end-slot", ArgType::Integer),
                        ],
                    )
                    .multiple(),
                    Arg::token_only("node-token", "NODE"),
                    Arg::new("node-id", ArgType::String),
                ],
            )
            .multiple()]),
            row("cluster|myid", 2, cluster::myid_command)
                .flags(&[Flag::STALE])
                .docs("3.0.0", "Returns the ID of a node.")
                .complexity("O(1)"),
            row("cluster|myshardid", 2, cluster::myshardid_command)
                .flags(&[Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("7.2.0", "Returns the shard ID of a node.")
                .complexity("O(1)"),
            row("cluster|nodes", 2, cluster::nodes_command)
                .flags(&[Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Returns the cluster configuration for a node.")
                .complexity("O(N) where N is the total number of Cluster nodes"),
            row("cluster|replicas", 3, cluster::replicas_command)
                .flags(&[Flag::ADMIN, Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("5.0.0", "Lists the replica nodes of a master node.")
                .complexity("O(N) where N is the number of replicas.")
                .args(&[Arg::new("node-id", ArgType::String)]),
            row("cluster|replicate", 3, cluster::replicate_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Configure a node as replica of a master node.")
                .complexity("O(1)")
                .args(&[Arg::new("node-id", ArgType::String)]),
            row("cluster|reset", -2, cluster::reset_command)
                .flags(&[Flag::ADMIN, Flag::STALE, Flag::NOSCRIPT])
                .docs("3.0.0", "Resets a node.")
                .complexity(
                    "O(N) where N is the number of known nodes. The command may \
                     execute a FLUSHALL as a side effect.",
                )
                .args(&[Arg::one_of(
                    "reset-type",
                    &[
                        Arg::token_only("hard", "HARD"),
                        Arg::token_only("soft", "SOFT"),
                    ],
                )
                .optional()]),
            row("cluster|saveconfig", 2, cluster::saveconfig_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs(
                    "3.0.0",
                    "Forces a node to save the cluster configuration to disk.",
                )
                .complexity("O(1)"),
            row(
                "cluster|set-config-epoch",
                3,
                cluster::set_config_epoch_command,
            )
            .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
            .docs("3.0.0", "Sets the configuration epoch for a new node.")
            .complexity("O(1)")
            .args(&[Arg::new("config-epoch", ArgType::Integer)]),
            row("cluster|setslot", -4, slots::setslot_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("3.0.0", "Binds a hash slot to a node.")
                .complexity("O(1)")
                .args(&[
                    Arg::new("slot", ArgType::Integer),
                    Arg::one_of(
                        "subcommand",
                        &[
                            Arg::new("importing", ArgType::String)
                                .display("node-id")
                                .token("IMPORTING"),
                            Arg::new("migrating", ArgType::String)
                                .display("node-id")
                                .token("MIGRATING"),
                            Arg::new("node", ArgType::String)
                                .display("node-id")
                                .token("NODE"),
                            Arg::token_only("stable", "STABLE"),
                        ],
                    ),
                ]),
            row("cluster|shards", 2, cluster::shards_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("7.0.0", "Returns the mapping of cluster slots to shards.")
                .complexity("O(N) where N is the total number of cluster nodes"),
            row("cluster|slaves", 3, cluster::replicas_command)
                .flags(&[Flag::ADMIN, Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Lists the replica nodes of a master node.")
                .complexity("O(N) where N is the number of replicas.")
                .deprecated("5.0.0", "`CLUSTER REPLICAS`")
                .args(&[Arg::new("node-id", ArgType::String)]),
            row("cluster|slot-stats", -4, slots::slot_stats_command)
                .flags(&[Flag::STALE, Flag::LOADING])
                .tips(&["nondeterministic_output", "request_policy:all_shards"])
                .docs(
                    "8.0.0",
                    "Returns usage statistics of the slots that this node, or its master, serves.",
                )
                .complexity("O(N) where N is the number of slots; O(N*log(N)) with ORDERBY")
                .args(&[Arg::one_of(
                    "filter",
                    &[
                        Arg::block(
                            "slotsrange",
                            &[
                                Arg::new("start-slot", ArgType::Integer),
                                Arg::new("end-slot", ArgType::Integer),
                            ],
                        )
                        .token("SLOTSRANGE"),
                        Arg::block(
                            "orderby",
                            &[
                                Arg::new("metric", ArgType::String),
                                Arg::new("limit", ArgType::Integer)
                                    .token("LIMIT")
                                    .optional(),
                                Arg::one_of(
                                    "order",
                                    &[
                                        Arg::token_only("asc", "ASC"),
                                        Arg::token_only("desc", "DESC"),
                                    ],
                                )
                                .optional(),
                            ],
                        )
                        .token("ORDERBY"),
                    ],
                )]),
            row("cluster|slots", 2, cluster::slots_command)
                .flags(&[Flag::LOADING, Flag::STALE])
                .tips(&["nondeterministic_output"])
                .docs("3.0.0", "Returns the mapping of cluster slots to nodes.")
                .complexity("O(N) where N is the total number of Cluster nodes")
                .deprecated("7.0.0", "`CLUSTER SHARDS`")
                .history(&[
                    ("4.0.0", "Added node IDs."),
                    ("7.0.0", "Added additional networking metadata field."),
                ]),
            row("cluster|syncslots", -3, migration::syncslots_command)
                .flags(&[Flag::NO_ASYNC_LOADING, Flag::ADMIN, Flag::STALE])
                .docs("9.0.0", "What nodes say to each other while slots move.")
                .complexity("Depends on subcommand."),
        ],
    )
    .docs("3.0.0", "A container for Redis Cluster commands.")
    .complexity("Depends on subcommand."),
    row("readonly", 1, cluster::readonly_command)
        .flags(&[Flag::FAST, Flag::LOADING, Flag::STALE])
        .also_in(&[Acl::CONNECTION])
        .docs(
            "3.0.0",
            "Enables read-only queries for a connection to a Redis Cluster \
             replica node.",
        )
        .complexity("O(1)"),
    row("readwrite", 1, cluster::readwrite_command)
        .flags(&[Flag::FAST, Flag::LOADING, Flag::STALE])
        .also_in(&[Acl::CONNECTION])
        .docs(
            "3.0.0",
            "Enables read-write queries for a connection to a Reids Cluster \
             replica node.",
        )
        .complexity("O(1)"),
];
