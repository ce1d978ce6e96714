//! One node as this one knows it, and one connection of the bus (clusterNode, clusterLink).
//!
//! Must not know: what is done with them.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::rc::Rc;

use crate::ae::FileId;
use crate::server::clients::connection::Connection;
use crate::server::clients::link_io::LinkState;
use crate::wire::cluster::NodeFlags;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::SlotSet;

/// Names a node; never used again when it is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct NodeId(pub(super) NonZeroU32);

/// Names a connection of the bus; never used again when it is closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LinkId(pub(super) u64);

/// A node. All times are in unix milliseconds, 0 for never. What the cron and each entry of gossip look at stands first, in one line of
/// the cache: with a hundred nodes, waiting for memory is most of their work.
#[repr(C, align(64))]
pub(crate) struct Node {
    pub id: NodeId,
    pub flags: NodeFlags,
    /// The connection that we have made to it.
    pub link: Option<LinkId>,
    pub ping_sent: i64,
    pub pong_received: i64,
    /// Who has reported it as failing, and when last.
    pub fail_reports: Vec<(NodeId, i64)>,
    pub data_received: i64,
    pub ctime: i64,
    pub name: Name,
    pub shard_id: Name,
    pub config_epoch: u64,
    pub slots: SlotSet,
    pub slaves: Vec<NodeId>,
    /// It may be unknown although the node is a replica.
    pub slaveof: Option<NodeId>,
    /// The number of the PING that carried it last, among all that were sent.
    pub last_in_ping_gossip: u64,
    pub fail_time: i64,
    pub voted_time: i64,
    pub orphaned_time: i64,
    pub repl_offset: i64,
    /// Empty: not known.
    pub ip: String,
    pub hostname: String,
    pub human_nodename: String,
    pub tcp_port: u16,
    pub tls_port: u16,
    pub cport: u16,
    /// The connection that it has made to us.
    pub inbound_link: Option<LinkId>,
}

impl Node {
    pub(super) fn new(id: NodeId, name: Name, shard_id: Name, flags: NodeFlags, now: i64) -> Node {
        Node {
            id,
            ctime: now,
            name,
            shard_id,
            flags,
            config_epoch: 0,
            slots: SlotSet::default(),
            slaves: Vec::new(),
            slaveof: None,
            last_in_ping_gossip: 0,
            ping_sent: 0,
            pong_received: 0,
            data_received: 0,
            fail_time: 0,
            voted_time: 0,
            orphaned_time: 0,
            repl_offset: 0,
            ip: String::new(),
            hostname: String::new(),
            human_nodename: String::new(),
            tcp_port: 0,
            tls_port: 0,
            cport: 0,
            link: None,
            inbound_link: None,
            fail_reports: Vec::new(),
        }
    }

    /// One of these flags is set.
    pub(crate) fn has(&self, flags: NodeFlags) -> bool {
        self.flags.intersects(flags)
    }

    pub(crate) fn is_master(&self) -> bool {
        self.has(NodeFlags::MASTER)
    }

    pub(crate) fn is_slave(&self) -> bool {
        self.has(NodeFlags::SLAVE)
    }

    pub(crate) fn in_handshake(&self) -> bool {
        self.has(NodeFlags::HANDSHAKE)
    }

    /// Most masters take it for down.
    pub(crate) fn failed(&self) -> bool {
        self.has(NodeFlags::FAIL)
    }

    /// It does not answer us.
    pub(crate) fn timed_out(&self) -> bool {
        self.has(NodeFlags::PFAIL)
    }

    /// Until when (unix ms) the cron has nothing to do for it, unless it changes, where it is pinged so long (ms) after its last PONG.
    pub(super) fn calm_until(&self, ping_interval: i64) -> i64 {
        let waits = self.link.is_none()
            || self.ping_sent != 0
            || self.has(NodeFlags::HANDSHAKE | NodeFlags::PFAIL | NodeFlags::FAIL);
        match waits {
            _ if self.has(NodeFlags::MYSELF | NodeFlags::NOADDR) => i64::MAX,
            true => 0,
            false => self.pong_received.saturating_add(ping_interval),
        }
    }

    pub(crate) fn numslots(&self) -> usize {
        self.slots.len()
    }

    /// The port for clients.
    pub(crate) fn port(&self, tls: bool) -> u16 {
        match tls {
            true => self.tls_port,
            false => self.tcp_port,
        }
    }
}

/// A connection, made by us or to us.
pub(crate) struct Link {
    pub id: LinkId,
    /// Unix milliseconds.
    pub ctime: i64,
    /// Known from the begin where we made the connection, else since the first message.
    pub node: Option<NodeId>,
    pub inbound: bool,
    /// The address of the other end.
    pub peer: Box<str>,
    pub conn: Connection,
    pub file: FileId,
    pub state: LinkState,
    /// Messages that wait; of the first one, so many bytes have gone.
    pub out: VecDeque<Rc<[u8]>>,
    pub sent: usize,
    /// Bytes of all of them.
    pub out_bytes: usize,
    /// A message that is not whole yet.
    pub rcvbuf: Vec<u8>,
}
