//! CLUSTER, ASKING, READONLY and READWRITE: arguments in, replies out (clusterCommand and the commands after it), but for what is about
//! slots (`slots`).

use crate::base::clock::mstime;
use crate::base::key_slot::key_hash_slot;
use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::base::sys::strerror;
use crate::cluster::failover::CLUSTER_MF_TIMEOUT;
use crate::cluster::node::NodeId;
use crate::cluster::nodes_conf::{CLUSTER_PORT_INCR, Reader};
use crate::cluster::state::{Cluster, Todo, random_name};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server_log;
use crate::wire::cluster::{Kind, NodeFlags};

const HELP: &[&str] = &[
    "ADDSLOTS <slot> [<slot> ...]",
    "    Assign slots to current node.",
    "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
    "    Assign slots which are between <start-slot> and <end-slot> to current node.",
    "BUMPEPOCH",
    "    Advance the cluster config epoch.",
    "COUNT-FAILURE-REPORTS <node-id>",
    "    Return number of failure reports for <node-id>.",
    "COUNTKEYSINSLOT <slot>",
    "    Return the number of keys in <slot>.",
    "DELSLOTS <slot> [<slot> ...]",
    "    Delete slots information from current node.",
    "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
    "    Delete slots information which are between <start-slot> and <end-slot> from current node.",
    "FAILOVER [FORCE|TAKEOVER]",
    "    Promote current replica node to being a master.",
    "FORGET <node-id>",
    "    Remove a node from the cluster.",
    "GETKEYSINSLOT <slot> <count>",
    "    Return key names stored by current node in a slot.",
    "FLUSHSLOT <slot> [ASYNC|SYNC]",
    "    Delete all keys of <slot>.",
    "FLUSHSLOTS",
    "    Delete current node own slots information.",
    "INFO",
    "    Return information about the cluster.",
    "KEYSLOT <key>",
    "    Return the hash slot for <key>.",
    "MIGRATESLOTS SLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...] NODE <node-id> [SLOTSRANGE ... NODE ...]",
    "    Move slots of this node, with their keys, to other nodes.",
    "CANCELSLOTMIGRATIONS",
    "    Give up all moves of slots that were begun on this node.",
    "GETSLOTMIGRATIONS",
    "    Return moves of slots that are under way or have ended lately.",
    "MEET <ip> <port> [<bus-port>]",
    "    Connect nodes into a working cluster.",
    "MYID",
    "    Return the node id.",
    "MYSHARDID",
    "    Return the node's shard id.",
    "NODES",
    "    Return cluster configuration seen by node. Output format:",
    "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
    "REPLICATE <node-id>",
    "    Configure current node as replica to <node-id>.",
    "RESET [HARD|SOFT]",
    "    Reset current node (default: soft).",
    "SET-CONFIG-EPOCH <epoch>",
    "    Set config epoch of current node.",
    "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
    "    Set slot state.",
    "REPLICAS <node-id>",
    "    Return <node-id> replicas.",
    "SAVECONFIG",
    "    Force saving cluster configuration on disk.",
    "SLOTS",
    "    Return information about slots range mappings. Each range is made of:",
    "    start, end, master and replicas IP addresses, ports and ids",
    "SLOT-STATS SLOTSRANGE <start-slot> <end-slot> | ORDERBY key-count [LIMIT <limit>] [ASC|DESC]",
    "    Return how many keys the slots of this node have.",
    "SHARDS",
    "    Return information about slot range mappings and the nodes associated with them.",
    "LINKS",
    "    Return information about all network links between this node and its peers.",
    "    Output format is an array where each array element is a map containing attributes of a link",
];

/// Runs a part of CLUSTER with the cluster, or says that there is none.
pub(super) fn with(server: &mut Server, cid: ClientId, f: impl FnOnce(&mut Cluster, &mut Server)) {
    if server.with_cluster(f).is_none() {
        server.add_reply_error(cid, "This instance has cluster support disabled");
    }
}

/// The node that an argument names, or an error to the client.
fn node_or_reply(c: &Cluster, server: &mut Server, cid: ClientId, name: &[u8]) -> Option<NodeId> {
    let id = c.lookup_bytes(name);
    if id.is_none() {
        let text = [b"Unknown node ", name].concat();
        server.add_reply_error_bytes(cid, &text);
    }
    id
}

fn set_flag(server: &mut Server, cid: ClientId, f: impl FnOnce(&mut ClientFlags)) {
    if server.cluster.is_none() {
        return server.add_reply_error(cid, "This instance has cluster support disabled");
    }
    if let Some(client) = server.clients.get_mut(cid) {
        f(&mut client.flags);
    }
    server.add_reply_ok(cid);
}

/// ASKING
pub(crate) fn asking_command(server: &mut Server, cid: ClientId, _: &Args) {
    set_flag(server, cid, |flags| *flags |= ClientFlags::ASKING_NEXT);
}

/// READONLY
pub(crate) fn readonly_command(server: &mut Server, cid: ClientId, _: &Args) {
    set_flag(server, cid, |flags| *flags |= ClientFlags::READONLY);
}

/// READWRITE
pub(crate) fn readwrite_command(server: &mut Server, cid: ClientId, _: &Args) {
    set_flag(server, cid, |flags| *flags -= ClientFlags::READONLY);
}

/// CLUSTER HELP
pub(crate) fn help_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |_, server| {
        server.add_reply_help(cid, args, HELP);
    });
}

/// CLUSTER MEET ip port [bus port]
pub(crate) fn meet_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        if args.len() > 5 {
            return server.add_reply_subcommand_syntax_error(cid, args);
        }
        let Some(port) = string2ll(&args[3]) else {
            let text = [b"Invalid base port specified: ", &args[3]].concat();
            return server.add_reply_error_bytes(cid, &text);
        };
        let bus = match args.len() {
            5 => string2ll(&args[4]),
            _ => port.checked_add(i64::from(CLUSTER_PORT_INCR)),
        };
        let Some(bus) = bus else {
            let text = [b"Invalid bus port specified: ", &args[args.len() - 1]].concat();
            return server.add_reply_error_bytes(cid, &text);
        };
        match c.start_handshake(server, &args[2], port, bus) {
            Ok(()) => server.add_reply_ok(cid),
            Err(()) => {
                let text = [
                    b"Invalid node address specified: ",
                    &args[2],
                    b":",
                    &args[3],
                ];
                server.add_reply_error_bytes(cid, &text.concat());
            }
        }
    });
}

/// CLUSTER NODES
pub(crate) fn nodes_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        let tls = server.client_sees_tls();
        let text = c.nodes_description(Reader::Client, NodeFlags::empty(), tls);
        server
            .clients
            .add_reply_verbatim(cid, text.as_bytes(), *b"txt");
    });
}

/// CLUSTER MYID
pub(crate) fn myid_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        server.add_reply_bulk(cid, c.me().name.as_bytes());
    });
}

/// CLUSTER MYSHARDID
pub(crate) fn myshardid_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        server.add_reply_bulk(cid, c.me().shard_id.as_bytes());
    });
}

/// CLUSTER INFO
pub(crate) fn info_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        let text = c.info_string();
        server
            .clients
            .add_reply_verbatim(cid, text.as_bytes(), *b"txt");
    });
}

/// CLUSTER SLOTS
pub(crate) fn slots_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| c.reply_slots(server, cid));
}

/// CLUSTER SHARDS
pub(crate) fn shards_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| c.reply_shards(server, cid));
}

/// CLUSTER LINKS
pub(crate) fn links_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| c.reply_links(server, cid));
}

/// CLUSTER BUMPEPOCH
pub(crate) fn bumpepoch_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        let bumped = c.bump_config_epoch(Level::Notice);
        let word = if bumped { "BUMPED" } else { "STILL" };
        let text = format!("{word} {}", c.me().config_epoch);
        server.add_reply_status(cid, &text);
    });
}

/// CLUSTER SAVECONFIG
pub(crate) fn saveconfig_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| match c.save_config(server, true) {
        Ok(()) => server.add_reply_ok(cid),
        Err(e) => {
            let text = format!("error saving the cluster node config: {}", strerror(&e));
            server.add_reply_error(cid, &text);
        }
    });
}

/// CLUSTER KEYSLOT key; outside of cluster mode, too
pub(crate) fn keyslot_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_long_long(cid, i64::from(key_hash_slot(&args[2])));
}

/// CLUSTER FORGET node
pub(crate) fn forget_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let now_s = server.clock.unix_s;
        let name = crate::wire::cluster::name::Name::parse(&args[2]);
        let id = name.and_then(|n| c.lookup(n));
        let Some(id) = id else {
            // Another node may have told us to forget it before.
            return match name.is_some_and(|n| c.blacklist_has(n, now_s)) {
                true => server.add_reply_ok(cid),
                false => {
                    let text = [b"Unknown node ", &args[2]].concat();
                    server.add_reply_error_bytes(cid, &text);
                }
            };
        };
        if id == c.myself {
            return server.add_reply_error(cid, "I tried hard but I can't forget myself...");
        }
        if c.me().is_slave() && c.me().slaveof == Some(id) {
            return server.add_reply_error(cid, "Can't forget my master!");
        }
        let name = c[id].name;
        c.blacklist_add(name, now_s);
        c.del_node(server, id);
        c.todo |= Todo::SAVE_AND_UPDATE;
        server.add_reply_ok(cid);
    });
}

/// CLUSTER REPLICATE node
pub(crate) fn replicate_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let Some(id) = node_or_reply(c, server, cid, &args[2]) else {
            return;
        };
        if id == c.myself {
            return server.add_reply_error(cid, "Can't replicate myself");
        }
        if c[id].is_slave() {
            let text = "I can only replicate a master, not a replica.";
            return server.add_reply_error(cid, text);
        }
        if c.me().is_master() && (c.me().numslots() > 0 || !server.dbs[0].keys.is_empty()) {
            let text = "To set a master the node must be empty and without assigned slots.";
            return server.add_reply_error(cid, text);
        }
        c.set_master(server, id);
        c.todo |= Todo::SAVE_AND_UPDATE;
        server.add_reply_ok(cid);
    });
}

/// CLUSTER REPLICAS node, CLUSTER SLAVES node
pub(crate) fn replicas_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let Some(id) = node_or_reply(c, server, cid, &args[2]) else {
            return;
        };
        if c[id].is_slave() {
            return server.add_reply_error(cid, "The specified node is not a master");
        }
        let tls = server.client_sees_tls();
        server.add_reply_array_len(cid, c[id].slaves.len());
        for slave in &c[id].slaves {
            let text = c.node_description(&c[*slave], Reader::Client, tls);
            server.add_reply_bulk(cid, text.as_bytes());
        }
    });
}

/// CLUSTER COUNT-FAILURE-REPORTS node
pub(crate) fn count_failure_reports_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        if let Some(id) = node_or_reply(c, server, cid, &args[2]) {
            let timeout = server.config.cluster_node_timeout;
            let n = c.failure_reports_count(id, mstime(), timeout);
            server.add_reply_long_long(cid, n as i64);
        }
    });
}

/// CLUSTER FAILOVER [FORCE | TAKEOVER]
pub(crate) fn failover_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let takeover = args.len() == 3 && args.is(2, "takeover");
        // Our master ends, and has chosen one of its replicas.
        let by_master = args.len() == 5
            && args.is(2, "force")
            && args.is(3, "replicaid")
            && server.is_master_client(cid);
        if by_master && args[4] != c.me().name.as_bytes()[..] {
            return server.add_reply_ok(cid);
        }
        let force = takeover || by_master || args.len() == 3 && args.is(2, "force");
        if args.len() > 3 && !by_master {
            return server.add_reply_subcommand_syntax_error(cid, args);
        }
        if args.len() == 3 && !force {
            return server.add_reply_syntax_error(cid);
        }
        if c.me().is_master() {
            let text = "You should send CLUSTER FAILOVER to a replica";
            return server.add_reply_error(cid, text);
        }
        let Some(master) = c.me().slaveof else {
            let text = "I'm a replica but my master is unknown to me";
            return server.add_reply_error(cid, text);
        };
        if !force && (c[master].failed() || c[master].link.is_none()) {
            let text = "Master is down or failed, please use CLUSTER FAILOVER FORCE";
            return server.add_reply_error(cid, text);
        }
        c.reset_manual_failover(server);
        c.manual.end = mstime() + CLUSTER_MF_TIMEOUT;
        if takeover {
            server_log!(Level::Notice, "Taking over the master (user request).");
            c.bump_config_epoch(Level::Notice);
            c.failover_replace_your_master(server);
        } else if force {
            server_log!(Level::Notice, "Forced failover user request accepted.");
            c.manual.can_start = true;
            c.todo |= Todo::HANDLE_FAILOVER;
        } else {
            server_log!(Level::Notice, "Manual failover user request accepted.");
            c.send_header(server, master, Kind::MfStart);
        }
        server.add_reply_ok(cid);
    });
}

/// CLUSTER SET-CONFIG-EPOCH epoch
pub(crate) fn set_config_epoch_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let Some(epoch) = server.get_long_long_or_reply(cid, args, 2) else {
            return;
        };
        let Ok(epoch) = u64::try_from(epoch) else {
            let text = format!("Invalid config epoch specified: {epoch}");
            return server.add_reply_error(cid, &text);
        };
        if c.len() > 1 {
            let text = "The user can assign a config epoch only when the node does not know any other node.";
            return server.add_reply_error(cid, text);
        }
        if c.me().config_epoch != 0 {
            return server.add_reply_error(cid, "Node config epoch is already non-zero");
        }
        c.me_mut().config_epoch = epoch;
        server_log!(
            Level::Notice,
            "configEpoch set to {} via CLUSTER SET-CONFIG-EPOCH",
            epoch
        );
        c.current_epoch = c.current_epoch.max(epoch);
        c.todo |= Todo::SAVE_AND_UPDATE;
        server.add_reply_ok(cid);
    });
}

/// CLUSTER RESET [HARD | SOFT]
pub(crate) fn reset_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        if args.len() > 3 {
            return server.add_reply_subcommand_syntax_error(cid, args);
        }
        let hard = args.len() == 3 && args.is(2, "hard");
        if args.len() == 3 && !hard && !args.is(2, "soft") {
            return server.add_reply_syntax_error(cid);
        }
        if c.me().is_master() && !server.dbs[0].keys.is_empty() {
            let text = "CLUSTER RESET can't be called with master nodes containing keys";
            return server.add_reply_error(cid, text);
        }
        c.reset(server, hard);
        server.add_reply_ok(cid);
    });
}

impl Server {
    /// DEBUG CLUSTERLINK KILL TO | FROM | ALL node
    pub(crate) fn debug_clusterlink(&mut self, cid: ClientId, args: &Args) {
        let known = self.with_cluster(|c, server| {
            let Some(id) = node_or_reply(c, server, cid, &args[4]) else {
                return;
            };
            let (link, inbound) = (c[id].link, c[id].inbound_link);
            let (to, from) = (args.is(3, "to"), args.is(3, "from"));
            let all = args.is(3, "all");
            if !to && !from && !all {
                let text = [b"Unknown direction ", &args[3]].concat();
                return server.add_reply_error_bytes(cid, &text);
            }
            if to || all {
                c.close_link(server, link);
            }
            if from || all {
                c.close_link(server, inbound);
            }
            server.add_reply_ok(cid);
        });
        if known.is_none() {
            let text = "Debug option only available for cluster mode enabled setup!";
            self.add_reply_error(cid, text);
        }
    }

    /// DEBUG DROP-CLUSTER-PACKET-FILTER type
    pub(crate) fn debug_drop_cluster_packets(&mut self, cid: ClientId, args: &Args) {
        if let Some(kind) = self.get_long_long_or_reply(cid, args, 2) {
            self.with_cluster(|c, _| c.drop_packet_filter = kind);
            self.add_reply_ok(cid);
        }
    }

    /// What INFO says of the bus, besides that there is one.
    pub(crate) fn cluster_links_memory(&self) -> usize {
        let links = self.cluster.iter().flat_map(|c| c.links.values());
        links.map(|l| l.mem_usage()).sum()
    }
}

impl Cluster {
    /// As `bump_config_epoch_without_consensus`; the log hears of it.
    pub(super) fn bump_config_epoch(&mut self, level: Level) -> bool {
        let bumped = self.bump_config_epoch_without_consensus();
        if bumped {
            server_log!(level, "New configEpoch set to {}", self.me().config_epoch);
        }
        bumped
    }

    /// Begins to get to know the node at an address, unless that is under way (clusterStartHandshake).
    ///
    /// # Errors
    /// That is no address.
    fn start_handshake(
        &mut self,
        server: &mut Server,
        ip: &[u8],
        port: i64,
        bus: i64,
    ) -> Result<(), ()> {
        let ip: Option<std::net::IpAddr> =
            std::str::from_utf8(ip).ok().and_then(|t| t.parse().ok());
        let valid = |port: i64| u16::try_from(port).ok().filter(|p| *p != 0);
        let (Some(ip), Some(port), Some(bus)) = (ip, valid(port), valid(bus)) else {
            return Err(());
        };
        let ip = ip.to_string();
        let tls = server.config.tls_cluster;
        let under_way = self
            .nodes()
            .any(|n| n.in_handshake() && n.ip == ip && n.port(tls) == port && n.cport == bus);
        if under_way || self.is_full() {
            return Ok(());
        }
        let name = random_name(&mut server.random);
        let shard = random_name(&mut server.random);
        let flags = NodeFlags::HANDSHAKE | NodeFlags::MEET;
        let id = self.add_node(name, shard, flags, mstime());
        let n = &mut self[id];
        n.ip = ip;
        match tls {
            true => n.tls_port = port,
            false => n.tcp_port = port,
        }
        n.cport = bus;
        Ok(())
    }

    /// This node alone again, without slots; with `hard`, as another one (clusterReset).
    fn reset(&mut self, server: &mut Server, hard: bool) {
        let me = self.myself;
        if self.me().is_slave() {
            self.set_node_as_master(me);
            server.replication_unset_master();
            server.empty_data(None, false);
            self.imports_of_master_end(server);
        }
        self.close_all_slots();
        self.reset_manual_failover(server);
        for slot in 0..crate::base::key_slot::CLUSTER_SLOTS as u16 {
            self.del_slot(slot);
        }
        for id in self.ids() {
            if id != me {
                self.del_node(server, id);
            }
        }
        self.blacklist.clear();
        if hard {
            self.current_epoch = 0;
            self.last_vote_epoch = 0;
            self.me_mut().config_epoch = 0;
            server_log!(Level::Notice, "configEpoch set to 0 via CLUSTER RESET HARD");
            let name = random_name(&mut server.random);
            self.rename_node(me, name);
            self.me_mut().shard_id = random_name(&mut server.random);
            server_log!(Level::Notice, "Node hard reset, now I'm {}", name);
        }
        self.todo |= Todo::ALL_OF_CONFIG;
    }
}
