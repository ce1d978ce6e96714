//! The cluster as clients are shown it: CLUSTER INFO, SLOTS, SHARDS and LINKS (genClusterInfoString, clusterReplyMultiBulkSlots,
//! clusterReplyShards, addReplyClusterLinksDescription).

use std::fmt::Write as _;

use crate::ae::Mask;
use crate::base::key_slot::CLUSTER_SLOTS;
use crate::cluster::node::{Link, Node, NodeId};
use crate::cluster::state::Cluster;
use crate::config::value::ClusterEndpointType;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::wire::cluster::{Kind, NodeFlags};

/// How a node is shown to a client.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// With the port for TLS.
    tls: bool,
    endpoint: ClusterEndpointType,
}

/// How it is shown to the client that asks.
fn shown_to(server: &Server) -> Shown {
    Shown {
        tls: server.client_sees_tls(),
        endpoint: server.config.cluster_preferred_endpoint_type,
    }
}

impl Server {
    /// What CLUSTER INFO says; empty where this is no node.
    pub(crate) fn cluster_info_text(&self) -> String {
        self.cluster
            .as_ref()
            .map_or_else(String::new, |c| c.info_string())
    }
}

impl Cluster {
    /// genClusterInfoString.
    pub(super) fn info_string(&self) -> String {
        let (mut assigned, mut ok, mut pfail, mut fail) = (0, 0, 0, 0);
        for owner in (0..CLUSTER_SLOTS as u16).filter_map(|slot| self.owner(slot)) {
            assigned += 1;
            let n = &self[owner];
            if n.failed() {
                fail += 1;
            } else if n.timed_out() {
                pfail += 1;
            } else {
                ok += 1;
            }
        }
        let me = self.me();
        let epoch = match me.slaveof {
            Some(master) if me.is_slave() => self[master].config_epoch,
            _ => me.config_epoch,
        };
        let mut out = format!(
            "cluster_state:{}\r\n\
             cluster_slots_assigned:{assigned}\r\n\
             cluster_slots_ok:{ok}\r\n\
             cluster_slots_pfail:{pfail}\r\n\
             cluster_slots_fail:{fail}\r\n\
             cluster_known_nodes:{}\r\n\
             cluster_size:{}\r\n\
             cluster_current_epoch:{}\r\n\
             cluster_my_epoch:{epoch}\r\n",
            if self.down { "fail" } else { "ok" },
            self.len(),
            self.size,
            self.current_epoch,
        );
        let counts = [
            ("sent", &self.stats.sent),
            ("received", &self.stats.received),
        ];
        for (word, counts) in counts {
            for kind in Kind::ALL {
                let n = counts[kind as usize];
                if n > 0 {
                    let _ = write!(out, "cluster_stats_messages_{}_{word}:{n}\r\n", kind.name());
                }
            }
            let all: u64 = counts.iter().sum();
            let _ = write!(out, "cluster_stats_messages_{word}:{all}\r\n");
        }
        if self.stats.invalid > 0 {
            let _ = write!(
                out,
                "cluster_stats_messages_invalid:{}\r\n",
                self.stats.invalid
            );
        }
        let _ = write!(
            out,
            "total_cluster_links_buffer_limit_exceeded:{}\r\n",
            self.stats.buffer_limit_exceeded
        );
        out
    }

    /// A replica that has data to be read (isReplicaAvailable).
    fn is_replica_available(&self, server: &Server, n: &Node) -> bool {
        let offset = match n.has(NodeFlags::MYSELF) {
            true => server.replication_get_slave_offset(),
            false => n.repl_offset,
        };
        !n.failed() && offset != 0
    }

    /// addNodeToNodeReply.
    fn reply_node(&self, server: &mut Server, cid: ClientId, id: NodeId, shown: Shown) {
        let n = &self[id];
        server.add_reply_array_len(cid, 4);
        match shown.endpoint {
            ClusterEndpointType::Ip => server.add_reply_bulk(cid, n.ip.as_bytes()),
            ClusterEndpointType::Hostname if n.hostname.is_empty() => {
                server.add_reply_bulk(cid, b"?");
            }
            ClusterEndpointType::Hostname => server.add_reply_bulk(cid, n.hostname.as_bytes()),
            ClusterEndpointType::UnknownEndpoint => server.clients.add_reply_null(cid),
        }
        server.add_reply_long_long(cid, i64::from(n.port(shown.tls)));
        server.add_reply_bulk(cid, n.name.as_bytes());
        let ip = shown.endpoint != ClusterEndpointType::Ip;
        let hostname = shown.endpoint != ClusterEndpointType::Hostname && !n.hostname.is_empty();
        let len = usize::from(ip) + usize::from(hostname);
        server.clients.add_reply_map_len(cid, len);
        if ip {
            server.add_reply_bulk(cid, b"ip");
            server.add_reply_bulk(cid, n.ip.as_bytes());
        }
        if hostname {
            server.add_reply_bulk(cid, b"hostname");
            server.add_reply_bulk(cid, n.hostname.as_bytes());
        }
    }

    /// clusterReplyMultiBulkSlots.
    pub(super) fn reply_slots(&self, server: &mut Server, cid: ClientId) {
        let shown = shown_to(server);
        let ranges = self.slot_ranges();
        server.add_reply_array_len(cid, ranges.len());
        for (first, last, owner) in ranges {
            let slaves = self[owner].slaves.iter().copied();
            let available: Vec<NodeId> = slaves
                .filter(|s| self.is_replica_available(server, &self[*s]))
                .collect();
            server.add_reply_array_len(cid, 3 + available.len());
            server.add_reply_long_long(cid, i64::from(first));
            server.add_reply_long_long(cid, i64::from(last));
            self.reply_node(server, cid, owner, shown);
            for slave in available {
                self.reply_node(server, cid, slave, shown);
            }
        }
    }

    /// clusterReplyShards.
    pub(super) fn reply_shards(&self, server: &mut Server, cid: ClientId) {
        let mut shards = Vec::new();
        for n in self.nodes().filter(|n| !n.in_handshake()) {
            if !shards.contains(&n.shard_id) {
                shards.push(n.shard_id);
            }
        }
        server.add_reply_array_len(cid, shards.len());
        for shard in shards {
            let nodes = self.nodes_of_shard(shard);
            server.clients.add_reply_map_len(cid, 2);
            server.add_reply_bulk(cid, b"slots");
            let master = nodes.first().map(|n| self.master_of(*n));
            let ranges = master.map(|m| self[m].slots.ranges()).unwrap_or_default();
            server.add_reply_array_len(cid, ranges.len() * 2);
            for (first, last) in ranges {
                server.add_reply_long_long(cid, i64::from(first));
                server.add_reply_long_long(cid, i64::from(last));
            }
            server.add_reply_bulk(cid, b"nodes");
            server.add_reply_array_len(cid, nodes.len());
            for id in nodes {
                self.reply_node_details(server, cid, &self[id]);
            }
        }
    }

    /// addNodeDetailsToShardReply.
    fn reply_node_details(&self, server: &mut Server, cid: ClientId, n: &Node) {
        let ports = usize::from(n.tcp_port != 0) + usize::from(n.tls_port != 0);
        let len = 6 + ports + usize::from(!n.hostname.is_empty());
        server.clients.add_reply_map_len(cid, len);
        server.add_reply_bulk(cid, b"id");
        server.add_reply_bulk(cid, n.name.as_bytes());
        for (word, port) in [("port", n.tcp_port), ("tls-port", n.tls_port)] {
            if port != 0 {
                server.add_reply_bulk(cid, word.as_bytes());
                server.add_reply_long_long(cid, i64::from(port));
            }
        }
        let endpoint = match server.config.cluster_preferred_endpoint_type {
            ClusterEndpointType::Ip => &n.ip[..],
            ClusterEndpointType::Hostname if n.hostname.is_empty() => "?",
            ClusterEndpointType::Hostname => &n.hostname,
            ClusterEndpointType::UnknownEndpoint => "",
        };
        server.add_reply_bulk(cid, b"ip");
        server.add_reply_bulk(cid, n.ip.as_bytes());
        server.add_reply_bulk(cid, b"endpoint");
        server.add_reply_bulk(cid, endpoint.as_bytes());
        if !n.hostname.is_empty() {
            server.add_reply_bulk(cid, b"hostname");
            server.add_reply_bulk(cid, n.hostname.as_bytes());
        }
        let offset = match (n.has(NodeFlags::MYSELF), n.is_slave()) {
            (true, true) => server.replication_get_slave_offset(),
            (true, false) => server.repl.log.master_repl_offset(),
            (false, _) => n.repl_offset,
        };
        let role = if n.is_slave() { "replica" } else { "master" };
        let health = if n.failed() {
            "fail"
        } else if n.is_slave() && offset == 0 {
            "loading"
        } else {
            "online"
        };
        server.add_reply_bulk(cid, b"role");
        server.add_reply_bulk(cid, role.as_bytes());
        server.add_reply_bulk(cid, b"replication-offset");
        server.add_reply_long_long(cid, offset);
        server.add_reply_bulk(cid, b"health");
        server.add_reply_bulk(cid, health.as_bytes());
    }

    /// addReplyClusterLinksDescription.
    pub(super) fn reply_links(&self, server: &mut Server, cid: ClientId) {
        let links = self.nodes().flat_map(|n| [n.link, n.inbound_link]);
        let links: Vec<&Link> = links.flatten().filter_map(|l| self.links.get(&l)).collect();
        server.add_reply_array_len(cid, links.len());
        for l in links {
            server.clients.add_reply_map_len(cid, 6);
            let direction = if l.inbound { "from" } else { "to" };
            server.add_reply_bulk(cid, b"direction");
            server.add_reply_bulk(cid, direction.as_bytes());
            let name = l.node.map(|n| self[n].name.to_string()).unwrap_or_default();
            server.add_reply_bulk(cid, b"node");
            server.add_reply_bulk(cid, name.as_bytes());
            server.add_reply_bulk(cid, b"create-time");
            server.add_reply_long_long(cid, l.ctime);
            let mut events = String::new();
            for (mask, letter) in [(Mask::READABLE, 'r'), (Mask::WRITABLE, 'w')] {
                if server.el.get_file_events(l.file).has(mask) {
                    events.push(letter);
                }
            }
            server.add_reply_bulk(cid, b"events");
            server.add_reply_bulk(cid, events.as_bytes());
            for word in [&b"send-buffer-allocated"[..], b"send-buffer-used"] {
                server.add_reply_bulk(cid, word);
                server.add_reply_long_long(cid, l.queue_mem() as i64);
            }
        }
    }
}
