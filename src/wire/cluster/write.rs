//! Messages of the bus, put together (clusterBuildMessageHdr and the functions that send).

use super::format::{
    AT_CONFIG_EPOCH, AT_COUNT, AT_CPORT, AT_CURRENT_EPOCH, AT_EXTENSIONS, AT_FLAGS, AT_LENGTH,
    AT_MFLAGS, AT_MYIP, AT_OFFSET, AT_PORT, AT_PPORT, AT_SENDER, AT_SLAVEOF, AT_SLOTS, AT_STATE,
    AT_TYPE, AT_VERSION, CLUSTER_PROTO_VER, EXT_FORGOTTEN_NODE, EXT_HOSTNAME, EXT_HUMAN_NODENAME,
    EXT_SHARDID, EXTENSION_HEAD, GOSSIP_LEN, HEADER_LEN, Kind, LIGHT, LIGHT_HEADER_LEN,
    MessageFlags, NET_IP_STR_LEN, NodeFlags, SIGNATURE, SLOT_BYTES,
};
use super::name::Name;
use super::read::Gossip;
use super::slot_set::SlotBits;

/// What the header of every message says of its sender.
pub(crate) struct Header<'a> {
    pub sender: Name,
    pub slaveof: Option<Name>,
    /// Those of its master, if it is a replica.
    pub slots: &'a SlotBits,
    pub current_epoch: u64,
    pub config_epoch: u64,
    pub offset: u64,
    /// Empty: the receiver sees for itself.
    pub ip: &'a [u8],
    pub port: u16,
    pub pport: u16,
    pub cport: u16,
    pub flags: NodeFlags,
    /// It takes the cluster for down.
    pub down: bool,
    pub message_flags: MessageFlags,
}

/// What an UPDATE tells of a node.
pub(crate) struct UpdateOf<'a> {
    pub name: Name,
    pub config_epoch: u64,
    pub slots: &'a SlotBits,
}

/// A whole message of pub/sub with a short header; `kind` is one of those two.
pub(crate) fn light_publish(kind: Kind, channel: &[u8], message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LIGHT_HEADER_LEN + 8 + channel.len() + message.len());
    let len = LIGHT_HEADER_LEN + 8 + channel.len() + message.len();
    bytes.extend_from_slice(SIGNATURE);
    bytes.extend_from_slice(&(len as u32).to_be_bytes());
    for n in [CLUSTER_PROTO_VER, 0, kind as u16 | LIGHT, 0] {
        bytes.extend_from_slice(&n.to_be_bytes());
    }
    push_publish(&mut bytes, channel, message);
    bytes
}

fn push_publish(bytes: &mut Vec<u8>, channel: &[u8], message: &[u8]) {
    for part in [channel, message] {
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
    }
    bytes.extend_from_slice(channel);
    bytes.extend_from_slice(message);
}

/// Bytes behind the header for which there is room from the begin: the gossip of a hundred nodes, and extensions.
const USUAL: usize = 10 * GOSSIP_LEN + 128;

/// A message that is being written.
pub(crate) struct MessageWriter {
    bytes: Vec<u8>,
    gossip: u16,
    extensions: u16,
}

impl MessageWriter {
    pub(crate) fn new(kind: Kind, h: &Header<'_>) -> MessageWriter {
        let mut bytes = Vec::with_capacity(HEADER_LEN + USUAL);
        bytes.resize(HEADER_LEN, 0);
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, SIGNATURE);
        put(AT_VERSION, &CLUSTER_PROTO_VER.to_be_bytes());
        put(AT_PORT, &h.port.to_be_bytes());
        put(AT_TYPE, &(kind as u16).to_be_bytes());
        put(AT_CURRENT_EPOCH, &h.current_epoch.to_be_bytes());
        put(AT_CONFIG_EPOCH, &h.config_epoch.to_be_bytes());
        put(AT_OFFSET, &h.offset.to_be_bytes());
        put(AT_SENDER, h.sender.as_bytes());
        put(AT_SLOTS, h.slots);
        if let Some(master) = h.slaveof {
            put(AT_SLAVEOF, master.as_bytes());
        }
        put(AT_MYIP, &h.ip[..h.ip.len().min(NET_IP_STR_LEN - 1)]);
        put(AT_PPORT, &h.pport.to_be_bytes());
        put(AT_CPORT, &h.cport.to_be_bytes());
        put(AT_FLAGS, &h.flags.bits().to_be_bytes());
        put(AT_STATE, &[u8::from(h.down)]);
        put(AT_MFLAGS, &[h.message_flags.bits()]);
        MessageWriter {
            bytes,
            gossip: 0,
            extensions: 0,
        }
    }

    /// Makes room for so many entries of gossip, and for the usual extensions.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.bytes.reserve(entries * GOSSIP_LEN + 128);
    }

    /// Adds what we know of another node; before any extension (clusterSetGossipEntry).
    pub(crate) fn gossip(&mut self, g: &Gossip<'_>) {
        self.bytes.extend_from_slice(g.name.as_bytes());
        self.bytes.extend_from_slice(&g.ping_sent_s.to_be_bytes());
        self.bytes
            .extend_from_slice(&g.pong_received_s.to_be_bytes());
        let ip = g.ip.as_bytes();
        let ip = &ip[..ip.len().min(NET_IP_STR_LEN - 1)];
        self.bytes.extend_from_slice(ip);
        self.bytes
            .resize(self.bytes.len() + NET_IP_STR_LEN - ip.len(), 0);
        for n in [g.port, g.cport, g.flags.bits(), g.pport, 0] {
            self.bytes.extend_from_slice(&n.to_be_bytes());
        }
        self.gossip += 1;
    }

    fn extension(&mut self, kind: u16, data: &[&[u8]]) {
        let len: usize = data.iter().map(|d| d.len()).sum();
        let padded = EXTENSION_HEAD + len.next_multiple_of(8);
        self.bytes.extend_from_slice(&(padded as u32).to_be_bytes());
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        for d in data {
            self.bytes.extend_from_slice(d);
        }
        self.bytes
            .resize(self.bytes.len() + padded - EXTENSION_HEAD - len, 0);
        self.extensions += 1;
        self.bytes[AT_MFLAGS] |= MessageFlags::EXT_DATA.bits();
    }

    pub(crate) fn hostname(&mut self, name: &str) {
        self.extension(EXT_HOSTNAME, &[name.as_bytes(), &[0]]);
    }

    pub(crate) fn human_nodename(&mut self, name: &str) {
        self.extension(EXT_HUMAN_NODENAME, &[name.as_bytes(), &[0]]);
    }

    /// A node that is not to be added again for `ttl_s` seconds.
    pub(crate) fn forgotten_node(&mut self, name: Name, ttl_s: u64) {
        self.extension(EXT_FORGOTTEN_NODE, &[name.as_bytes(), &ttl_s.to_be_bytes()]);
    }

    pub(crate) fn shard_id(&mut self, id: Name) {
        self.extension(EXT_SHARDID, &[id.as_bytes()]);
    }

    /// The rest of a FAIL message.
    pub(crate) fn failing(&mut self, name: Name) {
        self.bytes.extend_from_slice(name.as_bytes());
    }

    /// The rest of an UPDATE message; `not_claimed` are slots that the node has given up.
    pub(crate) fn update(&mut self, of: &UpdateOf<'_>, not_claimed: &SlotBits) {
        self.bytes.extend_from_slice(&of.config_epoch.to_be_bytes());
        self.bytes.extend_from_slice(of.name.as_bytes());
        let mut slots = [0; SLOT_BYTES];
        for ((to, has), not) in slots.iter_mut().zip(of.slots).zip(not_claimed) {
            *to = has & !not;
        }
        self.bytes.extend_from_slice(&slots);
    }

    /// The rest of a message of pub/sub.
    pub(crate) fn publish(&mut self, channel: &[u8], message: &[u8]) {
        push_publish(&mut self.bytes, channel, message);
    }

    /// The whole message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let len = (self.bytes.len() as u32).to_be_bytes();
        self.bytes[AT_LENGTH..AT_LENGTH + 4].copy_from_slice(&len);
        self.bytes[AT_COUNT..AT_COUNT + 2].copy_from_slice(&self.gossip.to_be_bytes());
        self.bytes[AT_EXTENSIONS..AT_EXTENSIONS + 2]
            .copy_from_slice(&self.extensions.to_be_bytes());
        self.bytes
    }
}
