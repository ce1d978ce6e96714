//! Where what stands in a message, and what its small numbers mean.

use bitflags::bitflags;

use crate::base::key_slot::CLUSTER_SLOTS;

/// What a message begins with.
pub(crate) const SIGNATURE: &[u8; 4] = b"RCmb";
/// The version of the protocol (CLUSTER_PROTO_VER).
pub(crate) const CLUSTER_PROTO_VER: u16 = 1;
/// Bytes of a node's name (CLUSTER_NAMELEN).
pub(crate) const CLUSTER_NAMELEN: usize = 40;
/// Bytes of an address, with the zero at its end (NET_IP_STR_LEN).
pub(super) const NET_IP_STR_LEN: usize = 46;
/// Bytes of a map of slots.
pub(crate) const SLOT_BYTES: usize = CLUSTER_SLOTS / 8;
/// Bytes of a message before its type's part (CLUSTERMSG_MIN_LEN).
pub(crate) const HEADER_LEN: usize = 2256;
/// The bit of a type whose message has a header of [`LIGHT_HEADER_LEN`] bytes: signature, length, version, type (CLUSTERMSG_LIGHT of
/// Valkey 8 and Redis 8). Nothing is said of the sender, whom the link is known to belong to.
pub(super) const LIGHT: u16 = 0x8000;
pub(crate) const LIGHT_HEADER_LEN: usize = 16;
/// Bytes of a gossip entry.
pub(super) const GOSSIP_LEN: usize = 104;
/// Bytes of an extension's head.
pub(super) const EXTENSION_HEAD: usize = 8;

// Where the header's fields begin.
pub(super) const AT_LENGTH: usize = 4;
pub(super) const AT_VERSION: usize = 8;
pub(super) const AT_PORT: usize = 10;
pub(super) const AT_TYPE: usize = 12;
pub(super) const AT_COUNT: usize = 14;
pub(super) const AT_CURRENT_EPOCH: usize = 16;
pub(super) const AT_CONFIG_EPOCH: usize = 24;
pub(super) const AT_OFFSET: usize = 32;
pub(super) const AT_SENDER: usize = 40;
pub(super) const AT_SLOTS: usize = 80;
pub(super) const AT_SLAVEOF: usize = AT_SLOTS + SLOT_BYTES;
pub(super) const AT_MYIP: usize = AT_SLAVEOF + CLUSTER_NAMELEN;
pub(super) const AT_EXTENSIONS: usize = AT_MYIP + NET_IP_STR_LEN;
pub(super) const AT_PPORT: usize = AT_EXTENSIONS + 2 + 30;
pub(super) const AT_CPORT: usize = AT_PPORT + 2;
pub(super) const AT_FLAGS: usize = AT_CPORT + 2;
pub(super) const AT_STATE: usize = AT_FLAGS + 2;
pub(super) const AT_MFLAGS: usize = AT_STATE + 1;
const _: () = assert!(AT_MFLAGS + 3 == HEADER_LEN);

/// What a message is for (CLUSTERMSG_TYPE_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ping = 0,
    Pong = 1,
    Meet = 2,
    Fail = 3,
    Publish = 4,
    AuthRequest = 5,
    AuthAck = 6,
    Update = 7,
    MfStart = 8,
    Module = 9,
    PublishShard = 10,
}

/// How many kinds there are (CLUSTERMSG_TYPE_COUNT).
pub(crate) const KINDS: usize = 11;

impl Kind {
    pub(crate) const ALL: [Kind; KINDS] = [
        Kind::Ping,
        Kind::Pong,
        Kind::Meet,
        Kind::Fail,
        Kind::Publish,
        Kind::AuthRequest,
        Kind::AuthAck,
        Kind::Update,
        Kind::MfStart,
        Kind::Module,
        Kind::PublishShard,
    ];

    pub(super) fn of(number: u16) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }

    /// As CLUSTER INFO has it (clusterGetMessageTypeString).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Meet => "meet",
            Kind::Fail => "fail",
            Kind::Publish => "publish",
            Kind::AuthRequest => "auth-req",
            Kind::AuthAck => "auth-ack",
            Kind::Update => "update",
            Kind::MfStart => "mfstart",
            Kind::Module => "module",
            Kind::PublishShard => "publishshard",
        }
    }
}

bitflags! {
    /// What is said of a node in one word each (CLUSTER_NODE_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct NodeFlags: u16 {
        const MASTER = 1;
        const SLAVE = 2;
        /// It does not answer us.
        const PFAIL = 4;
        /// Most masters agree that it is down.
        const FAIL = 8;
        const MYSELF = 16;
        /// Its name is not known yet.
        const HANDSHAKE = 32;
        const NOADDR = 64;
        /// The first message to it is MEET.
        const MEET = 128;
        /// A master that replicas may move to.
        const MIGRATE_TO = 256;
        /// A replica that does not want to be promoted.
        const NOFAILOVER = 512;
        /// It understands messages with a short header; said by itself only (CLUSTER_NODE_LIGHT_HDR_SUPPORTED).
        const LIGHT_HDR = 2048;
    }

    /// The first byte of a message's own flags (CLUSTERMSG_FLAG0_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MessageFlags: u8 {
        /// The sender is a master that has paused its clients for a manual failover.
        const PAUSED = 1;
        /// The vote is asked for although the master is up.
        const FORCEACK = 2;
        const EXT_DATA = 4;
    }
}

/// CLUSTERMSG_EXT_TYPE_*.
pub(super) const EXT_HOSTNAME: u16 = 0;
pub(super) const EXT_HUMAN_NODENAME: u16 = 1;
pub(super) const EXT_FORGOTTEN_NODE: u16 = 2;
pub(super) const EXT_SHARDID: u16 = 3;

/// A text that can stand in a line of nodes.conf as an address: what addresses and names of hosts consist of.
pub(crate) fn is_address(text: &[u8]) -> bool {
    text.len() < NET_IP_STR_LEN
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b".:-_%".contains(b))
}

/// A text that can stand in a line of nodes.conf as the name of a host (isValidAnnouncedHostname).
pub(crate) fn is_hostname(text: &[u8]) -> bool {
    text.len() < 256
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(b))
}

/// A text that can stand in a line of nodes.conf as a node's name for people (isValidAuxString, and what separates words and fields).
pub(crate) fn is_nodename(text: &[u8]) -> bool {
    text.len() < 4096
        && text
            .iter()
            .all(|b| b.is_ascii_graphic() && !b"!#$%&()*+:;<>?@[]^{|}~,=\"'\\".contains(b))
}
