//! What a message does (clusterProcessPacket): addresses, roles, slots and epochs as others tell them; failures, votes, pub/sub.
//!
//! Invariant: only what a known node says changes anything, but for MEET, which asks to become known. A message that is not to be believed
//! is counted and dropped.

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::cluster::gossip::{Broadcast, tcp_and_tls};
use crate::cluster::node::{LinkId, NodeId};
use crate::cluster::state::{Cluster, Todo, random_name};
use crate::server::Server;
use crate::server::clients::subscriptions::Kind as Channels;
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::{SlotBits, has_slot, slots_of};
use crate::wire::cluster::{
    Body, Kind, Light, Message, MessageFlags, NodeFlags, PacketError, parse, parse_light,
};

/// Whether the rest of a message still counts.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    /// The link, or the node behind it, is gone.
    Nowhere,
}

impl Cluster {
    /// A message has come on a link, whole.
    pub(super) fn process_packet(&mut self, server: &mut Server, link: LinkId, bytes: &[u8]) {
        match parse_light(bytes) {
            Ok(None) => {}
            Ok(Some(light)) => return self.hear_light(server, link, &light),
            Err(e) => return self.drop_packet(server, &e),
        }
        let message = match parse(bytes) {
            Ok(message) => message,
            Err(e) => return self.drop_packet(server, &e),
        };
        if let Some(kind) = message.kind {
            self.stats.received[kind as usize] += 1;
        }
        if self.drop_packet_filter == i64::from(message.type_number) {
            server_log!(
                Level::Warning,
                "Dropping packet that matches debug drop filter"
            );
            return;
        }
        let sender = self.sender_of(server, link, &message);
        if let Some(sender) = sender {
            self.hear_header(sender, &message);
        }
        let Some(kind) = message.kind else {
            server_log!(
                Level::Debug,
                "Received unknown packet type: {}",
                message.type_number
            );
            return;
        };
        match (kind, sender) {
            (Kind::Ping | Kind::Pong | Kind::Meet, _) => {
                self.hear_ping(server, link, sender, kind, &message);
            }
            (Kind::Fail, sender) => self.hear_fail(sender, &message),
            // Of the rest, nothing counts that a stranger says.
            (_, None) => {}
            (Kind::Publish | Kind::PublishShard, Some(_)) => {
                if let Body::Publish { channel, message } = message.body {
                    hear_publish(server, kind, channel, message);
                }
            }
            (Kind::AuthRequest, Some(sender)) => {
                self.send_failover_auth_if_needed(server, sender, &message);
            }
            (Kind::AuthAck, Some(sender)) => {
                // A vote counts of a master with slots, and for this election or a later one.
                let n = &self[sender];
                if n.is_master() && n.numslots() > 0 && message.current_epoch >= self.election.epoch
                {
                    self.election.count += 1;
                    self.todo |= Todo::HANDLE_FAILOVER;
                }
            }
            (Kind::MfStart, Some(sender)) => self.hear_mfstart(server, link, sender),
            (Kind::Update, Some(_)) => self.hear_update(server, &message),
            // There are no modules.
            (Kind::Module, Some(_)) => {}
        }
    }

    fn drop_packet(&mut self, server: &Server, why: &PacketError) {
        self.stats.invalid += 1;
        if self.may_log_invalid(server) {
            server_log!(Level::Warning, "{}", why);
        }
    }

    /// A message of pub/sub that says nothing of its sender (clusterProcessLightPacket).
    fn hear_light(&mut self, server: &mut Server, link: LinkId, light: &Light<'_>) {
        let of_link = self.links.get(&link).and_then(|l| l.node);
        let Some(sender) = of_link.filter(|id| !self[*id].in_handshake()) else {
            server_log!(
                Level::Warning,
                "Closing link for node that sent a lightweight message of type {} as its first message on the link",
                light.kind as u16
            );
            return self.close_link(server, Some(link));
        };
        self.stats.received[light.kind as usize] += 1;
        if self.drop_packet_filter == light.kind as i64 {
            return;
        }
        self[sender].data_received = mstime();
        hear_publish(server, light.kind, light.channel, light.message);
    }

    /// Who has sent a message, if we know it (getNodeFromLinkAndMsg).
    fn sender_of(
        &mut self,
        server: &mut Server,
        link: LinkId,
        message: &Message<'_>,
    ) -> Option<NodeId> {
        let of_link = self.links.get(&link)?.node;
        if let Some(id) = of_link
            && !self[id].in_handshake()
        {
            return Some(id);
        }
        let sender = self.lookup(message.sender)?;
        if of_link.is_none() && sender != self.myself {
            self.set_inbound_link(server, sender, link);
        }
        Some(sender)
    }

    /// What every message says of its sender.
    fn hear_header(&mut self, sender: NodeId, message: &Message<'_>) {
        let now = mstime();
        self[sender].data_received = now;
        if self[sender].in_handshake() || sender == self.myself {
            return;
        }
        self.current_epoch = self.current_epoch.max(message.current_epoch);
        let n = &mut self[sender];
        if message.config_epoch > n.config_epoch {
            n.config_epoch = message.config_epoch;
            self.todo |= Todo::SAVE_AND_SYNC;
        }
        let offset = i64::try_from(message.offset).unwrap_or(i64::MAX);
        let light = message.flags.contains(NodeFlags::LIGHT_HDR);
        self[sender].flags.set(NodeFlags::LIGHT_HDR, light);
        self[sender].repl_offset = offset;
        if self.manual.end != 0
            && self.me().is_slave()
            && self.me().slaveof == Some(sender)
            && message.message_flags.contains(MessageFlags::PAUSED)
            && self.manual.master_offset.is_none()
        {
            self.manual.master_offset = Some(offset);
            self.todo |= Todo::HANDLE_MANUALFAILOVER;
            server_log!(
                Level::Notice,
                "Received replication offset for paused master manual failover: {}",
                offset
            );
        }
    }

    // PING, PONG, MEET -------------------------------------------------------------------------------------------------

    fn hear_ping(
        &mut self,
        server: &mut Server,
        link: LinkId,
        sender: Option<NodeId>,
        kind: Kind,
        message: &Message<'_>,
    ) {
        if kind != Kind::Pong {
            self.learn_own_address(server, link, kind);
            if sender.is_none() && kind == Kind::Meet {
                self.meet_stranger(server, link, message);
            }
            self.send_ping(server, link, Kind::Pong);
        }
        if self.hear_on_own_link(server, link, sender, message) == Goes::Nowhere {
            return;
        }
        if let Some(sender) = sender {
            let flags = message.flags & NodeFlags::NOFAILOVER;
            let n = &mut self[sender];
            n.flags = (n.flags - NodeFlags::NOFAILOVER) | flags;
            if kind == Kind::Ping
                && !self[sender].in_handshake()
                && self.node_update_address_if_needed(server, sender, link, message)
            {
                self.todo |= Todo::SAVE_AND_UPDATE;
            }
        }
        if kind == Kind::Pong {
            self.hear_pong(server, link);
        }
        let Some(sender) = sender.filter(|s| *s != self.myself) else {
            return;
        };
        self.hear_role(sender, message.slaveof);
        self.hear_slots(server, sender, message);
        if self.me().is_master()
            && self[sender].is_master()
            && message.config_epoch == self.me().config_epoch
        {
            self.handle_config_epoch_collision(server, sender);
        }
        if let Body::Ping { gossip, .. } = &message.body {
            let by = self.links.get(&link).and_then(|l| l.node);
            self.process_gossip_section(server, gossip, by.or(Some(sender)));
        }
        if self.get(sender).is_some() {
            self.process_ping_extensions(server, sender, &message.body);
        }
    }

    /// Others connect to the address that we are known by: so it is seen on the connection of who meets us.
    fn learn_own_address(&mut self, server: &Server, link: LinkId, kind: Kind) {
        if server.config.cluster_announce_ip.is_some()
            || kind != Kind::Meet && !self.me().ip.is_empty()
        {
            return;
        }
        if let Some(ip) = self.local_ip(link)
            && ip != self.me().ip
        {
            server_log!(Level::Notice, "IP address for this node updated to {}", ip);
            self.me_mut().ip = ip;
            self.todo |= Todo::SAVE_CONFIG;
        }
    }

    /// A node that we do not know asks to become known: we connect to it, and see who it is.
    fn meet_stranger(&mut self, server: &mut Server, link: LinkId, message: &Message<'_>) {
        let Some(ip) = self.node_ip(link, message) else {
            return;
        };
        if self.is_full() {
            return;
        }
        let (tcp, tls) = tcp_and_tls(server.config.tls_cluster, message.port, message.pport);
        let known = self.nodes().any(|n| {
            n.in_handshake()
                && n.ip == ip
                && (n.tcp_port, n.tls_port, n.cport) == (tcp, tls, message.cport)
        });
        // One handshake at a time is enough, however often it asks.
        if !known {
            let ip = ip.to_owned();
            let name = random_name(&mut server.random);
            let shard = random_name(&mut server.random);
            let id = self.add_node(name, shard, NodeFlags::HANDSHAKE, mstime());
            let n = &mut self[id];
            n.ip = ip;
            (n.tcp_port, n.tls_port, n.cport) = (tcp, tls, message.cport);
            self.todo |= Todo::SAVE_CONFIG;
        }
        if let Body::Ping { gossip, .. } = &message.body {
            self.process_gossip_section(server, gossip, None);
        }
    }

    /// The address that a node has announced, or else that its connection comes from (nodeIp2String).
    fn node_ip<'a>(&'a self, link: LinkId, message: &Message<'a>) -> Option<&'a str> {
        match message.ip.is_empty() {
            true => self.peer_ip(link),
            false => Some(message.ip),
        }
    }

    /// On a connection that we have made, there is who we think, or who we are about to learn.
    fn hear_on_own_link(
        &mut self,
        server: &mut Server,
        link: LinkId,
        sender: Option<NodeId>,
        message: &Message<'_>,
    ) -> Goes {
        let Some(l) = self.links.get(&link) else {
            return Goes::Nowhere;
        };
        let (false, Some(id)) = (l.inbound, l.node) else {
            return Goes::On;
        };
        if self[id].in_handshake() {
            if let Some(sender) = sender {
                server_log!(
                    Level::Verbose,
                    "Handshake: we already know node {}, updating the address if needed.",
                    self.shown(sender)
                );
                if self.node_update_address_if_needed(server, sender, link, message) {
                    self.todo |= Todo::SAVE_AND_UPDATE;
                }
                self.del_node(server, id);
                return Goes::Nowhere;
            }
            server_log!(
                Level::Debug,
                "Handshake with node {} completed.",
                message.sender
            );
            self.rename_node(id, message.sender);
            let role = message.flags & (NodeFlags::MASTER | NodeFlags::SLAVE);
            let n = &mut self[id];
            n.flags = (n.flags - NodeFlags::HANDSHAKE) | role;
            self.todo |= Todo::SAVE_CONFIG;
            return Goes::On;
        }
        if self[id].name != message.sender {
            server_log!(
                Level::Debug,
                "PONG contains mismatching sender ID. About node {} added {} ms ago, having flags {}",
                self[id].name,
                mstime() - self[id].ctime,
                self[id].flags.bits()
            );
            let n = &mut self[id];
            n.flags |= NodeFlags::NOADDR;
            n.ip.clear();
            (n.tcp_port, n.tls_port, n.cport) = (0, 0, 0);
            self.close_link(server, Some(link));
            self.todo |= Todo::SAVE_CONFIG;
            return Goes::Nowhere;
        }
        Goes::On
    }

    fn hear_pong(&mut self, server: &Server, link: LinkId) {
        let Some(l) = self.links.get(&link) else {
            return;
        };
        let (false, Some(id)) = (l.inbound, l.node) else {
            return;
        };
        let n = &mut self[id];
        n.pong_received = mstime();
        n.ping_sent = 0;
        if n.timed_out() {
            n.flags.remove(NodeFlags::PFAIL);
            self.todo |= Todo::SAVE_AND_UPDATE;
        } else if n.failed() {
            self.clear_node_failure_if_needed(server, id);
        }
    }

    /// A node may have moved: its announced address or its connection says so. True when it has; it is connected to anew then
    /// (nodeUpdateAddressIfNeeded).
    fn node_update_address_if_needed(
        &mut self,
        server: &mut Server,
        id: NodeId,
        link: LinkId,
        message: &Message<'_>,
    ) -> bool {
        // Of a connection that we have made we know where it leads.
        if self[id].link == Some(link) || id == self.myself {
            return false;
        }
        let Some(ip) = self.node_ip(link, message) else {
            return false;
        };
        let tls_cluster = server.config.tls_cluster;
        let (tcp, tls) = tcp_and_tls(tls_cluster, message.port, message.pport);
        let n = &self[id];
        if n.ip == ip && (n.tcp_port, n.tls_port, n.cport) == (tcp, tls, message.cport) {
            return false;
        }
        let ip = ip.to_owned();
        let n = &mut self[id];
        n.ip = ip;
        (n.tcp_port, n.tls_port, n.cport) = (tcp, tls, message.cport);
        n.flags.remove(NodeFlags::NOADDR);
        let own = n.link;
        self.close_link(server, own);
        let n = &self[id];
        server_log!(
            Level::Notice,
            "Address updated for node {}, now {}:{}",
            self.shown(id),
            n.ip,
            n.port(tls_cluster)
        );
        if self.me().is_slave() && self.me().slaveof == Some(id) {
            let (ip, port) = (n.ip.clone(), n.port(server.config.tls_replication));
            server.replication_set_master(&ip, port);
        }
        true
    }

    /// Whether the sender is a master or a replica, and of whom.
    fn hear_role(&mut self, sender: NodeId, slaveof: Option<Name>) {
        let Some(master) = slaveof else {
            return self.set_node_as_master(sender);
        };
        if self[sender].is_master() {
            self.del_node_slots(sender);
            let n = &mut self[sender];
            n.flags -= NodeFlags::MASTER | NodeFlags::MIGRATE_TO;
            n.flags |= NodeFlags::SLAVE;
            self.todo |= Todo::SAVE_AND_UPDATE;
        }
        let Some(master) = self.lookup(master).filter(|m| *m != sender) else {
            return;
        };
        if self[sender].slaveof != Some(master) {
            if let Some(old) = self[sender].slaveof {
                self.forget_slave(old, sender);
            }
            self.add_slave(master, sender);
            self[sender].slaveof = Some(master);
            let shard = self[master].shard_id;
            self.update_shard_id(sender, shard);
            self.todo |= Todo::SAVE_CONFIG;
        }
    }

    /// The slots that the sender, or its master, claims.
    fn hear_slots(&mut self, server: &mut Server, sender: NodeId, message: &Message<'_>) {
        let claims = match self[sender].is_master() {
            true => Some(sender),
            false => self[sender].slaveof,
        };
        if claims.is_none_or(|n| self[n].slots.bits() == message.slots) {
            return;
        }
        if self[sender].is_master() {
            self.update_slots_config_with(server, sender, message.config_epoch, message.slots);
        }
        // It may claim what others have, by a configuration that is newer than its own: then it should know.
        for slot in slots_of(message.slots) {
            let Some(owner) = self.owner(slot) else {
                continue;
            };
            if owner == sender || self.is_unclaimed(slot) {
                continue;
            }
            if self[owner].config_epoch > message.config_epoch {
                server_log!(
                    Level::Verbose,
                    "Node {} has old slots configuration, sending an UPDATE message about {}",
                    self[sender].name,
                    self[owner].name
                );
                let link = self[sender].link;
                return self.send_update(server, link, owner);
            }
        }
    }

    /// `sender` claims these slots by this epoch: those go to it that nobody claims by a greater one. Whoever loses its last slot this
    /// way becomes a replica of who has got it (clusterUpdateSlotsConfigWith).
    fn update_slots_config_with(
        &mut self,
        server: &mut Server,
        sender: NodeId,
        epoch: u64,
        slots: &SlotBits,
    ) {
        if sender == self.myself {
            server_log!(Level::Notice, "Discarding UPDATE message about myself.");
            return;
        }
        let me = self.myself;
        let current = match self.me().is_master() {
            true => Some(me),
            false => self.me().slaveof,
        };
        let mut dirty = Vec::new();
        let (mut taken, mut claimed) = (0, 0);
        for slot in 0..crate::base::key_slot::CLUSTER_SLOTS as u16 {
            let owner = self.owner(slot);
            if !has_slot(slots, slot) {
                if owner == Some(sender) {
                    // It does not say who has it now: that is seen when that one claims it.
                    self.not_claimed.insert(slot);
                }
                continue;
            }
            claimed += 1;
            if owner == Some(sender) {
                self.not_claimed.remove(slot);
                continue;
            }
            // Whoever imports a slot ends that himself.
            if self.importing.contains_key(&slot) {
                continue;
            }
            let older = owner.is_none_or(|o| self[o].config_epoch < epoch);
            if !self.is_unclaimed(slot) && !older {
                continue;
            }
            if owner.is_some() && owner == current && server.count_keys_in_slot(slot) > 0 {
                dirty.push(slot);
            }
            if owner.is_some() && owner == current {
                taken += 1;
            }
            self.del_slot(slot);
            self.add_slot(sender, slot);
            self.todo |= Todo::ALL_OF_CONFIG;
        }
        if taken > 0
            && current.is_some_and(|c| self[c].slots.is_empty())
            && (server.config.cluster_allow_replica_migration || claimed == taken)
        {
            server_log!(
                Level::Notice,
                "Configuration change detected. Reconfiguring myself as a replica of {}",
                self.shown(sender)
            );
            self.set_master(server, sender);
            self.todo |= Todo::ALL_OF_CONFIG;
            return;
        }
        let grandmaster = self.me().slaveof.and_then(|m| self[m].slaveof);
        if let Some(grandmaster) = grandmaster.filter(|g| *g != me) {
            server_log!(
                Level::Notice,
                "I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {}",
                self.shown(grandmaster)
            );
            self.set_master(server, grandmaster);
            self.todo |= Todo::ALL_OF_CONFIG;
            return;
        }
        for slot in dirty {
            self.slot_is_leaving(server, slot);
        }
    }

    /// Two masters have the same epoch: the one with the lesser name takes a new one (clusterHandleConfigEpochCollision).
    fn handle_config_epoch_collision(&mut self, server: &mut Server, sender: NodeId) {
        if self[sender].config_epoch != self.me().config_epoch
            || self[sender].name <= self.me().name
        {
            return;
        }
        self.current_epoch += 1;
        self.me_mut().config_epoch = self.current_epoch;
        self.save_config_or_die(server, true);
        server_log!(
            Level::Verbose,
            "WARNING: configEpoch collision with node {}. configEpoch set to {}",
            self.shown(sender),
            self.current_epoch
        );
    }

    // The rest ---------------------------------------------------------------------------------------------------------

    fn hear_fail(&mut self, sender: Option<NodeId>, message: &Message<'_>) {
        let Body::Fail { about } = message.body else {
            return;
        };
        let Some(sender) = sender else {
            server_log!(
                Level::Notice,
                "Ignoring FAIL message from unknown node {} about {}",
                message.sender,
                about
            );
            return;
        };
        let Some(failing) = self.lookup(about) else {
            return;
        };
        if self[failing].has(NodeFlags::FAIL | NodeFlags::MYSELF) {
            return;
        }
        server_log!(
            Level::Notice,
            "FAIL message received from {} about {}",
            self.shown(sender),
            self.shown(failing)
        );
        let n = &mut self[failing];
        n.flags = (n.flags - NodeFlags::PFAIL) | NodeFlags::FAIL;
        n.fail_time = mstime();
        self.todo |= Todo::SAVE_AND_UPDATE;
    }

    fn hear_update(&mut self, server: &mut Server, message: &Message<'_>) {
        let Body::Update {
            config_epoch,
            name,
            slots,
        } = message.body
        else {
            return;
        };
        let Some(id) = self.lookup(name) else {
            return;
        };
        if self[id].config_epoch >= config_epoch {
            return;
        }
        if self[id].is_slave() && id != self.myself {
            self.set_node_as_master(id);
        }
        self[id].config_epoch = config_epoch;
        self.todo |= Todo::SAVE_AND_SYNC;
        self.update_slots_config_with(server, id, config_epoch, slots);
    }

    /// A link that we have made is up: the first message is sent at once (clusterLinkConnectHandler).
    pub(super) fn link_is_up(&mut self, server: &mut Server, link: LinkId) {
        let Some(id) = self.links.get(&link).and_then(|l| l.node) else {
            return;
        };
        let before = self[id].ping_sent;
        let kind = match self[id].has(NodeFlags::MEET) {
            true => Kind::Meet,
            false => Kind::Ping,
        };
        self.send_ping(server, link, kind);
        let n = &mut self[id];
        if before != 0 {
            // It has been waiting for an answer since then.
            n.ping_sent = before;
        }
        n.flags.remove(NodeFlags::MEET);
    }

    /// All others shall know at once what this node is and has now.
    pub(super) fn tell_all(&mut self, server: &mut Server) {
        self.broadcast_pong(server, Broadcast::All);
    }
}

fn hear_publish(server: &mut Server, kind: Kind, channel: &[u8], message: &[u8]) {
    let channels = match kind {
        Kind::PublishShard => Channels::Shard,
        _ => Channels::Channel,
    };
    server.pubsub_publish_message(channel, message, channels);
}
