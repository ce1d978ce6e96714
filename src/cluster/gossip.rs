//! What nodes tell each other of themselves and of third ones: PING, PONG and MEET with their gossip and extensions, and the messages that
//! say one thing (clusterSendPing and its kin, clusterProcessGossipSection, clusterProcessPingExtensions).

use std::rc::Rc;

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::cluster::node::{LinkId, Node, NodeId};
use crate::cluster::state::{Cluster, Todo, random_name};
use crate::server::Server;
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::{
    Body, Gossip, Header, Kind, MessageFlags, MessageWriter, NodeFlags, UpdateOf, light_publish,
};

/// To whom a PONG goes that nobody has asked for (CLUSTER_BROADCAST_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broadcast {
    All,
    /// The replicas of our master, or ours.
    LocalSlaves,
}

/// Gossip entries of a message at the least, where there are so many nodes.
const GOSSIP_MIN: usize = 3;

/// Two ports as one of the two kinds of nodes has them: the one that the bus' kind of connection uses first.
fn in_order(tls_cluster: bool, tcp: u16, tls: u16) -> (u16, u16) {
    match tls_cluster {
        true => (tls, tcp),
        false => (tcp, tls),
    }
}

/// The other way round: the TCP port, then that for TLS.
pub(super) fn tcp_and_tls(tls_cluster: bool, port: u16, pport: u16) -> (u16, u16) {
    match tls_cluster {
        true => (pport, port),
        false => (port, pport),
    }
}

fn gossip_of(n: &Node, tls_cluster: bool) -> Gossip<'_> {
    let (port, pport) = in_order(tls_cluster, n.tcp_port, n.tls_port);
    Gossip {
        name: n.name,
        // 32 bits last until the year 2106.
        ping_sent_s: (n.ping_sent / 1000) as u32,
        pong_received_s: (n.pong_received / 1000) as u32,
        ip: &n.ip,
        port,
        cport: n.cport,
        flags: n.flags - NodeFlags::LIGHT_HDR,
        pport,
    }
}

impl Server {
    /// How far this replica has applied its master's stream (replicationGetSlaveOffset).
    pub(super) fn replication_get_slave_offset(&self) -> i64 {
        if self.repl.master_host.is_none() {
            return 0;
        }
        let stream = self.repl.link.client().and_then(|m| self.clients.get(m));
        let offset = match stream.and_then(|c| c.master_stream()) {
            Some(m) => m.reploff,
            None => self.repl.cached_master.as_ref().map_or(0, |m| m.reploff),
        };
        offset.max(0)
    }
}

impl Cluster {
    /// A message of ours, with its header (clusterBuildMessageHdr).
    fn message(&self, server: &Server, kind: Kind, extra: MessageFlags) -> MessageWriter {
        let me = self.me();
        let master = match me.slaveof {
            Some(master) if me.is_slave() => &self[master],
            _ => me,
        };
        let config = &server.config;
        let (tcp, tls, cport) = announced_ports(server);
        let (port, pport) = in_order(config.tls_cluster, tcp, tls);
        let offset = match me.is_slave() {
            true => server.replication_get_slave_offset(),
            false => server.repl.log.master_repl_offset(),
        };
        let mut message_flags = extra;
        message_flags.set(MessageFlags::PAUSED, me.is_master() && self.manual.end != 0);
        MessageWriter::new(
            kind,
            &Header {
                sender: me.name,
                slaveof: me.slaveof.map(|m| self[m].name),
                slots: master.slots.bits(),
                current_epoch: self.current_epoch,
                config_epoch: master.config_epoch,
                offset: u64::try_from(offset).unwrap_or(0),
                ip: config.cluster_announce_ip.as_deref().unwrap_or_default(),
                port,
                pport,
                cport,
                flags: me.flags | NodeFlags::LIGHT_HDR,
                down: self.down,
                message_flags,
            },
        )
    }

    fn plain_message(&self, server: &Server, kind: Kind, extra: MessageFlags) -> Rc<[u8]> {
        self.message(server, kind, extra).finish().into()
    }

    /// PING, PONG or MEET (clusterSendPing).
    pub(super) fn send_ping(&mut self, server: &mut Server, link: LinkId, kind: Kind) {
        self.pings_sent += 1;
        let Some(l) = self.links.get(&link) else {
            return;
        };
        if kind == Kind::Ping
            && !l.inbound
            && let Some(node) = l.node
        {
            self[node].ping_sent = mstime();
        }
        let tls_cluster = server.config.tls_cluster;
        let mut message = self.message(server, kind, MessageFlags::empty());
        // We are in the header, and the receiver knows itself.
        let mut fresh = self.len().saturating_sub(2);
        let wanted = (self.len() / 10).max(GOSSIP_MIN).min(fresh);
        let mut count = 0;
        message.reserve(wanted);
        for _ in 0..wanted * 3 {
            if fresh == 0 || count >= wanted {
                break;
            }
            let id = self.nth(server.rng.index(self.len()));
            let number = self.pings_sent;
            let n = self.at_ease(id);
            // Those that do not answer follow below.
            if n.has(NodeFlags::MYSELF | NodeFlags::PFAIL) {
                continue;
            }
            if n.has(NodeFlags::HANDSHAKE | NodeFlags::NOADDR)
                || (n.link.is_none() && n.slots.is_empty())
            {
                fresh -= 1;
                continue;
            }
            if n.last_in_ping_gossip == number {
                continue;
            }
            n.last_in_ping_gossip = number;
            message.gossip(&gossip_of(n, tls_cluster));
            fresh -= 1;
            count += 1;
        }
        let mut pfail = self.pfail_nodes;
        if pfail > 0 {
            for n in self.nodes() {
                if pfail == 0 {
                    break;
                }
                let known = !n.has(NodeFlags::HANDSHAKE | NodeFlags::NOADDR);
                if known && n.timed_out() {
                    message.gossip(&gossip_of(n, tls_cluster));
                    pfail -= 1;
                }
            }
        }
        self.write_ping_extensions(&mut message, server.clock.unix_s);
        let message: Rc<[u8]> = message.finish().into();
        self.send(server, Some(link), kind, &message);
    }

    /// writePingExt.
    fn write_ping_extensions(&self, message: &mut MessageWriter, now_s: i64) {
        let me = self.me();
        if !me.hostname.is_empty() {
            message.hostname(&me.hostname);
        }
        if !me.human_nodename.is_empty() {
            message.human_nodename(&me.human_nodename);
        }
        for (name, until) in &self.blacklist {
            if let Ok(ttl) = u64::try_from(until - now_s) {
                message.forgotten_node(*name, ttl);
            }
        }
        message.shard_id(me.shard_id);
    }

    /// A PONG to those who have not asked (clusterBroadcastPong).
    pub(super) fn broadcast_pong(&mut self, server: &mut Server, to: Broadcast) {
        let (me, my_master) = (self.myself, self.me().slaveof);
        for id in self.ids() {
            let n = &self[id];
            if id == me || n.in_handshake() {
                continue;
            }
            let local = n.is_slave()
                && n.slaveof.is_some()
                && (n.slaveof == Some(me) || n.slaveof == my_master);
            if to == Broadcast::LocalSlaves && !local {
                continue;
            }
            if let Some(link) = n.link {
                self.send_ping(server, link, Kind::Pong);
            }
        }
    }

    /// clusterSendFail.
    pub(super) fn send_fail(&mut self, server: &mut Server, about: Name) {
        let mut message = self.message(server, Kind::Fail, MessageFlags::empty());
        message.failing(about);
        let message: Rc<[u8]> = message.finish().into();
        self.broadcast(server, Kind::Fail, &message);
    }

    /// Tells what we know of the slots of node `about` (clusterSendUpdate).
    pub(super) fn send_update(&mut self, server: &mut Server, link: Option<LinkId>, about: NodeId) {
        let n = &self[about];
        let mut message = self.message(server, Kind::Update, MessageFlags::empty());
        message.update(
            &UpdateOf {
                name: n.name,
                config_epoch: n.config_epoch,
                slots: n.slots.bits(),
            },
            self.not_claimed.bits(),
        );
        let message: Rc<[u8]> = message.finish().into();
        self.send(server, link, Kind::Update, &message);
    }

    /// clusterRequestFailoverAuth.
    pub(super) fn request_failover_auth(&mut self, server: &mut Server) {
        let mut flags = MessageFlags::empty();
        flags.set(MessageFlags::FORCEACK, self.manual.end != 0);
        let message = self.plain_message(server, Kind::AuthRequest, flags);
        self.broadcast(server, Kind::AuthRequest, &message);
    }

    /// Sends a message that is nothing but its header (clusterSendFailoverAuth, clusterSendMFStart).
    pub(super) fn send_header(&mut self, server: &mut Server, to: NodeId, kind: Kind) {
        let message = self.plain_message(server, kind, MessageFlags::empty());
        let link = self[to].link;
        self.send(server, link, kind, &message);
    }

    /// A message of pub/sub: to all, or, of a shard channel, to those of this node's shard (clusterPropagatePublish).
    pub(super) fn propagate_publish(
        &mut self,
        server: &mut Server,
        channel: &[u8],
        payload: &[u8],
        sharded: bool,
    ) {
        let kind = match sharded {
            true => Kind::PublishShard,
            false => Kind::Publish,
        };
        let to = match sharded {
            true => self.nodes_of_shard(self.me().shard_id),
            false => self.ids(),
        };
        // Of each form one, made when it is needed first.
        let mut short: Option<Rc<[u8]>> = None;
        let mut long: Option<Rc<[u8]>> = None;
        for id in to {
            let n = &self[id];
            if n.has(NodeFlags::MYSELF | NodeFlags::HANDSHAKE) {
                continue;
            }
            let link = n.link;
            let message = match n.has(NodeFlags::LIGHT_HDR) {
                true => short.get_or_insert_with(|| light_publish(kind, channel, payload).into()),
                false => long.get_or_insert_with(|| {
                    let mut message = self.message(server, kind, MessageFlags::empty());
                    message.publish(channel, payload);
                    message.finish().into()
                }),
            };
            let message = message.clone();
            self.send(server, link, kind, &message);
        }
    }

    /// What a message tells of third nodes; nodes that we do not know are added only if `sender` is one that we know
    /// (clusterProcessGossipSection).
    pub(super) fn process_gossip_section(
        &mut self,
        server: &mut Server,
        entries: &[Gossip<'_>],
        sender: Option<NodeId>,
    ) {
        let now = mstime();
        let timeout = server.config.cluster_node_timeout;
        let failing = NodeFlags::FAIL | NodeFlags::PFAIL;
        for g in entries {
            let (tcp, tls) = tcp_and_tls(server.config.tls_cluster, g.port, g.pport);
            let Some(id) = self.lookup(g.name) else {
                if sender.is_some()
                    && !g.flags.contains(NodeFlags::NOADDR)
                    && !self.blacklist_has(g.name, server.clock.unix_s)
                    && !self.is_full()
                {
                    let shard = random_name(&mut server.random);
                    // What it is to itself, or to a handshake of somebody's, it is not to us.
                    let flags =
                        g.flags - (NodeFlags::MYSELF | NodeFlags::HANDSHAKE | NodeFlags::MEET);
                    let id = self.add_node(g.name, shard, flags, now);
                    let n = &mut self[id];
                    g.ip.clone_into(&mut n.ip);
                    (n.tcp_port, n.tls_port, n.cport) = (tcp, tls, g.cport);
                }
                continue;
            };
            // As it nearly always is: it is well there and here, and nobody says otherwise.
            let n = &self[id];
            let well = !g.flags.intersects(failing) && !n.has(failing);
            if well && n.fail_reports.is_empty() {
                let pong = i64::from(g.pong_received_s) * 1000;
                if n.ping_sent == 0 && pong <= now + 500 && pong > n.pong_received {
                    // Others have heard of it later than we have: one PING less.
                    self[id].pong_received = pong;
                }
                continue;
            }
            if let Some(by) = sender
                && self[by].is_master()
                && id != self.myself
            {
                if g.flags.intersects(failing) {
                    if self.add_failure_report(id, by, now) {
                        server_log!(
                            Level::Verbose,
                            "Node {} reported node {} as not reachable.",
                            self.shown(by),
                            self.shown(id)
                        );
                    }
                    self.mark_node_as_failing_if_needed(server, id);
                } else if self.del_failure_report(id, by, now, timeout) {
                    server_log!(
                        Level::Verbose,
                        "Node {} reported node {} is back online.",
                        self.shown(by),
                        self.shown(id)
                    );
                }
            }
            // The same for one that is reported.
            if !g.flags.intersects(failing)
                && self[id].ping_sent == 0
                && self.failure_reports_count(id, now, timeout) == 0
            {
                let pong = i64::from(g.pong_received_s) * 1000;
                let n = &mut self[id];
                if pong <= now + 500 && pong > n.pong_received {
                    n.pong_received = pong;
                }
            }
            // It does not answer us, and somebody reaches it elsewhere.
            let n = &self[id];
            let moved = !n.ip.eq_ignore_ascii_case(g.ip)
                || (n.tcp_port, n.tls_port, n.cport) != (tcp, tls, g.cport);
            if n.has(failing)
                && !g.flags.intersects(failing | NodeFlags::NOADDR)
                && moved
                && id != self.myself
            {
                let link = n.link;
                self.close_link(server, link);
                let n = &mut self[id];
                g.ip.clone_into(&mut n.ip);
                (n.tcp_port, n.tls_port, n.cport) = (tcp, tls, g.cport);
                n.flags.remove(NodeFlags::NOADDR);
            }
        }
    }

    /// clusterProcessPingExtensions. A node may be gone afterwards, the sender not.
    pub(super) fn process_ping_extensions(
        &mut self,
        server: &mut Server,
        sender: NodeId,
        body: &Body<'_>,
    ) {
        let Body::Ping {
            hostname,
            human_nodename,
            shard_id,
            forgotten,
            unknown,
            ..
        } = body
        else {
            return;
        };
        for (name, ttl) in forgotten {
            let Some(id) = self.lookup(*name) else {
                continue;
            };
            // Nobody tells us to forget ourselves, our master, or, of itself, the sender.
            let mine = id == self.myself || self.me().is_slave() && self.me().slaveof == Some(id);
            if !mine && id != sender {
                self.blacklist_add_for(*name, server.clock.unix_s, *ttl);
                self.del_node(server, id);
                self.todo |= Todo::SAVE_AND_UPDATE;
            }
        }
        for kind in unknown {
            server_log!(Level::Warning, "Received unknown extension type {}", kind);
        }
        self.update_announced_hostname(sender, hostname.as_deref().unwrap_or_default());
        let name = human_nodename.as_deref().unwrap_or_default();
        self.update_announced_human_nodename(sender, name);
        // An older version has none: the replica's is its master's.
        let shard = shard_id.unwrap_or_else(|| self[self.master_of(sender)].shard_id);
        self.update_shard_id(sender, shard);
    }

    /// updateAnnouncedHostname.
    pub(super) fn update_announced_hostname(&mut self, id: NodeId, name: &str) {
        if self[id].hostname != name {
            self[id].hostname = name.into();
            self.todo |= Todo::SAVE_CONFIG;
        }
    }

    /// updateAnnouncedHumanNodename.
    pub(super) fn update_announced_human_nodename(&mut self, id: NodeId, name: &str) {
        if self[id].human_nodename != name {
            self[id].human_nodename = name.into();
            self.todo |= Todo::SAVE_CONFIG;
        }
    }

    /// A node as the log has it: its name, and that for people.
    pub(super) fn shown(&self, id: NodeId) -> String {
        let n = &self[id];
        format!("{} ({})", n.name, n.human_nodename)
    }
}

/// The ports that others are told: for clients, for them over TLS, the bus' (deriveAnnouncedPorts).
pub(super) fn announced_ports(server: &Server) -> (u16, u16, u16) {
    let c = &server.config;
    let or = |first: u16, second: u16| if first != 0 { first } else { second };
    let tcp = or(c.cluster_announce_port, c.port);
    let tls = or(c.cluster_announce_tls_port, c.tls_port);
    let bus = or(c.cluster_announce_bus_port, bus_port(server));
    (tcp, tls, bus)
}

/// The port that the bus listens on.
pub(super) fn bus_port(server: &Server) -> u16 {
    let c = &server.config;
    let port = match c.tls_cluster {
        true => c.tls_port,
        false => c.port,
    };
    match c.cluster_port {
        0 => port.saturating_add(super::nodes_conf::CLUSTER_PORT_INCR),
        port => port,
    }
}
