//! All that a node keeps of its cluster (clusterState of cluster.c), in its one place: `Server::cluster`; and the changes of it that need
//! nothing else.
//!
//! Invariants: an id in a table, in `slaveof`, in a list of replicas or of reports, or beside a slot is of a node that is known; a slot is
//! in a node's set if and only if the table says that it serves it; a node is in the list of its master's replicas; `myself` is never
//! forgotten. What changes sets in `todo` what has to follow before the loop sleeps.
//!
//! While the cluster works, it is taken out of the server, so that both can be changed (`cluster::with_cluster`).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};
use std::rc::Rc;

use bitflags::bitflags;
use socket2::Socket;

use crate::ae::FileId;
use crate::base::key_slot::CLUSTER_SLOTS;
use crate::base::random::RandomSource;
use crate::cluster::home::Home;
use crate::cluster::node::{Link, LinkId, Node, NodeId};
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::SlotSet;
use crate::wire::cluster::{KINDS, NodeFlags};

/// A failure report counts for so many times the node timeout (CLUSTER_FAIL_REPORT_VALIDITY_MULT).
const CLUSTER_FAIL_REPORT_VALIDITY_MULT: i64 = 2;
/// Seconds in which a node that was forgotten is not added again (CLUSTER_BLACKLIST_TTL).
const CLUSTER_BLACKLIST_TTL: i64 = 60;
/// Nodes that are kept at the most: they come from what others say. Upstream has no limit; clusters have up to a thousand.
pub(super) const MAX_KNOWN: usize = 16384;

bitflags! {
    /// What is to be done before the loop sleeps (CLUSTER_TODO_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Todo: u8 {
        const HANDLE_FAILOVER = 1;
        const UPDATE_STATE = 2;
        const SAVE_CONFIG = 4;
        const FSYNC_CONFIG = 8;
        const HANDLE_MANUALFAILOVER = 16;
        const MIGRATE_SLOTS = 32;
    }
}

impl Todo {
    pub(crate) const SAVE_AND_UPDATE: Todo = Todo::SAVE_CONFIG.union(Todo::UPDATE_STATE);
    pub(crate) const SAVE_AND_SYNC: Todo = Todo::SAVE_CONFIG.union(Todo::FSYNC_CONFIG);
    pub(crate) const ALL_OF_CONFIG: Todo = Todo::SAVE_AND_UPDATE.union(Todo::FSYNC_CONFIG);
}

/// Why a replica does not take its master's place (CLUSTER_CANT_FAILOVER_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CantFailover {
    #[default]
    None,
    DataAge,
    WaitingDelay,
    Expired,
    WaitingVotes,
}

/// An election that this replica holds, or has held.
#[derive(Debug, Default)]
pub(crate) struct Election {
    /// When it begins, or began (unix ms).
    pub time: i64,
    pub count: usize,
    pub sent: bool,
    pub rank: usize,
    pub epoch: u64,
    pub cant: CantFailover,
    /// When the log was last told why not (unix s).
    pub logged_s: i64,
}

/// A manual failover, on either side.
#[derive(Debug)]
pub(crate) struct ManualFailover {
    /// When it is given up (unix ms); 0: there is none.
    pub end: i64,
    /// On the master: who takes its place.
    pub slave: Option<NodeId>,
    /// On the replica: where the paused master's stream ends.
    pub master_offset: Option<i64>,
    pub can_start: bool,
}

impl ManualFailover {
    const NONE: ManualFailover = ManualFailover {
        end: 0,
        slave: None,
        master_offset: None,
        can_start: false,
    };
}

/// The socket that other nodes connect to.
pub(crate) struct BusListener {
    pub socket: Socket,
    pub file: FileId,
}

/// What is counted of the bus.
#[derive(Debug, Default)]
pub(crate) struct BusStats {
    pub sent: [u64; KINDS],
    pub received: [u64; KINDS],
    /// Packets that were dropped, since they were not to be believed.
    pub invalid: u64,
    /// Links that were closed since too much waited for them.
    pub buffer_limit_exceeded: u64,
}

/// See the head of the file.
pub(crate) struct Cluster {
    pub myself: NodeId,
    pub current_epoch: u64,
    /// Of the last vote that we have given.
    pub last_vote_epoch: u64,
    /// Requests for keys are refused.
    pub down: bool,
    /// Masters that serve slots.
    pub size: usize,
    /// All nodes, in the order in which they came; the cron goes over them ten times a second.
    nodes: Vec<Node>,
    /// Their ids, each at its node's place; later ones are greater.
    order: Vec<NodeId>,
    /// See [`Self::restless`]; each at its node's place.
    calm_until: Vec<i64>,
    /// The pace of PINGs (ms) by which they are calm.
    pub ping_interval: i64,
    by_name: HashMap<Name, NodeId>,
    next_node: u32,
    next_link: u64,
    pub links: HashMap<LinkId, Link>,
    /// Links that were given something to send since the loop slept; some may be gone.
    pub unsent: Vec<LinkId>,
    /// What is read goes through it; nothing is in it between two reads.
    pub read_buffer: Vec<u8>,
    pub listeners: Vec<BusListener>,
    /// Accepting has failed, and is to be tried again.
    pub accepting_rests: bool,
    slots: Box<[Option<NodeId>; CLUSTER_SLOTS]>,
    /// Which of them are this node's.
    pub home: Rc<Home>,
    pub migrating: BTreeMap<u16, NodeId>,
    pub importing: BTreeMap<u16, NodeId>,
    /// Slots that their owner does not claim any more (owner_not_claiming_slot).
    pub not_claimed: SlotSet,
    /// Slots that have left their owner since somebody looked: their channels have no subscribers any more.
    pub left: SlotSet,
    /// What nodes.conf has of slots whose keys have to go; it is in `Server::slot_migrations` once the file has been read.
    pub stray: SlotSet,
    /// Names that are not to be added, and until when (unix s).
    pub blacklist: BTreeMap<Name, i64>,
    pub election: Election,
    pub manual: ManualFailover,
    pub todo: Todo,
    pub stats: BusStats,
    /// Nodes that do not answer us, as of the last cron.
    pub pfail_nodes: usize,
    pub pings_sent: u64,
    /// Calls of the cron.
    pub iterations: u64,
    /// When the state was first worked out, and when we were last among a minority (unix ms).
    pub first_update: i64,
    pub among_minority: i64,
    /// DEBUG DROP-CLUSTER-PACKET-FILTER.
    pub drop_packet_filter: i64,
    /// The file of the state, locked.
    pub lock: Option<File>,
    /// The address that was announced last.
    pub announced_ip: Option<Vec<u8>>,
    /// When the log was last told of a packet that is not to be believed (unix s).
    pub invalid_logged_s: i64,
    /// The number of such packets that it has not been told of.
    pub invalid_unlogged: u64,
}

/// # Panics
/// Of a node that is gone.
impl Index<NodeId> for Cluster {
    type Output = Node;
    fn index(&self, id: NodeId) -> &Node {
        match self.get(id) {
            Some(n) => n,
            None => unreachable!("a node that is gone"),
        }
    }
}

/// Whoever changes a node has the cron look at it.
impl IndexMut<NodeId> for Cluster {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        let (node, calm_until) = self.with_calm(id);
        *calm_until = 0;
        node
    }
}

/// A name that nobody has.
pub(crate) fn random_name(random: &mut RandomSource) -> Name {
    loop {
        if let Some(name) = Name::parse(&random.run_id()) {
            return name;
        }
    }
}

impl Cluster {
    /// A cluster of this node alone, a master without slots.
    pub(crate) fn new(name: Name, shard_id: Name, now: i64) -> Cluster {
        let mut c = Cluster {
            myself: NodeId(NonZeroU32::MIN),
            current_epoch: 0,
            last_vote_epoch: 0,
            down: true,
            size: 0,
            nodes: Vec::new(),
            order: Vec::new(),
            calm_until: Vec::new(),
            ping_interval: 0,
            by_name: HashMap::new(),
            next_node: 0,
            next_link: 0,
            links: HashMap::new(),
            unsent: Vec::new(),
            read_buffer: Vec::new(),
            listeners: Vec::new(),
            accepting_rests: false,
            slots: Box::new([None; CLUSTER_SLOTS]),
            home: Home::new(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            not_claimed: SlotSet::default(),
            left: SlotSet::default(),
            stray: SlotSet::default(),
            blacklist: BTreeMap::new(),
            election: Election::default(),
            manual: ManualFailover::NONE,
            todo: Todo::empty(),
            stats: BusStats::default(),
            pfail_nodes: 0,
            pings_sent: 0,
            iterations: 0,
            first_update: 0,
            among_minority: 0,
            drop_packet_filter: -1,
            lock: None,
            announced_ip: None,
            invalid_logged_s: 0,
            invalid_unlogged: 0,
        };
        let flags = NodeFlags::MYSELF | NodeFlags::MASTER;
        c.myself = c.add_node(name, shard_id, flags, now);
        c
    }

    // Nodes ------------------------------------------------------------------------------------------------------------

    pub(crate) fn me(&self) -> &Node {
        &self[self.myself]
    }

    pub(crate) fn me_mut(&mut self) -> &mut Node {
        let me = self.myself;
        &mut self[me]
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(self.order.binary_search(&id).ok()?)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The ids of all nodes, in the order in which they came.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.order.clone()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// A node, and until when it is calm.
    fn with_calm(&mut self, id: NodeId) -> (&mut Node, &mut i64) {
        let at = self.order.binary_search(&id).ok();
        let both = at.and_then(|at| Some((self.nodes.get_mut(at)?, self.calm_until.get_mut(at)?)));
        match both {
            Some(both) => both,
            None => unreachable!("a node that is gone"),
        }
    }

    /// A node, for a change that the cron need not see.
    pub(super) fn at_ease(&mut self, id: NodeId) -> &mut Node {
        self.with_calm(id).0
    }

    /// The nodes that the cron has to look at now (unix ms): all but those that were calm when it last did, are to be so still, and have not
    /// changed since.
    pub(super) fn restless(&self, now: i64) -> Vec<NodeId> {
        let calm = self.calm_until.iter();
        let all = calm.zip(&self.order);
        all.filter(|(until, _)| **until < now)
            .map(|(_, id)| *id)
            .collect()
    }

    /// Until then (unix ms) the cron need not look at a node that does not change.
    pub(super) fn set_calm(&mut self, id: NodeId, until: i64) {
        *self.with_calm(id).1 = until;
    }

    /// What makes nodes calm is another now.
    pub(super) fn wake_all(&mut self) {
        self.calm_until.fill(0);
    }

    /// The `i`-th node, in no meaningful order.
    pub(crate) fn nth(&self, i: usize) -> NodeId {
        self.order.get(i).copied().unwrap_or(self.myself)
    }

    /// clusterLookupNode.
    pub(crate) fn lookup(&self, name: Name) -> Option<NodeId> {
        self.by_name.get(&name).copied()
    }

    /// The same by what a client has sent.
    pub(crate) fn lookup_bytes(&self, name: &[u8]) -> Option<NodeId> {
        self.lookup(Name::parse(name)?)
    }

    /// There is no room for another node.
    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= MAX_KNOWN
    }

    /// Adds a node; its name must be new (createClusterNode, clusterAddNode).
    pub(crate) fn add_node(
        &mut self,
        name: Name,
        shard_id: Name,
        flags: NodeFlags,
        now: i64,
    ) -> NodeId {
        debug_assert!(!self.by_name.contains_key(&name));
        self.next_node += 1;
        let id = NodeId(NonZeroU32::new(self.next_node).unwrap_or(NonZeroU32::MAX));
        self.nodes.push(Node::new(id, name, shard_id, flags, now));
        self.order.push(id);
        self.calm_until.push(0);
        self.by_name.insert(name, id);
        id
    }

    /// Forgets a node, and whatever was known by it; its links are the caller's to close first (clusterDelNode).
    pub(crate) fn remove_node(&mut self, id: NodeId) {
        debug_assert!(id != self.myself);
        self.importing.retain(|_, n| *n != id);
        self.migrating.retain(|_, n| *n != id);
        self.del_node_slots(id);
        for n in &mut self.nodes {
            n.fail_reports.retain(|(by, _)| *by != id);
        }
        let Ok(at) = self.order.binary_search(&id) else {
            return;
        };
        self.order.remove(at);
        self.calm_until.remove(at);
        let node = self.nodes.remove(at);
        self.by_name.remove(&node.name);
        for slave in &node.slaves {
            self[*slave].slaveof = None;
        }
        if let Some(master) = node.slaveof {
            self.forget_slave(master, id);
        }
        if self.manual.slave == Some(id) {
            self.manual.slave = None;
        }
    }

    /// The name that a node is known to have now (clusterRenameNode).
    pub(crate) fn rename_node(&mut self, id: NodeId, name: Name) {
        let old = std::mem::replace(&mut self[id].name, name);
        self.by_name.remove(&old);
        self.by_name.insert(name, id);
    }

    /// clusterNodeAddSlave.
    pub(crate) fn add_slave(&mut self, master: NodeId, slave: NodeId) {
        let m = &mut self[master];
        if !m.slaves.contains(&slave) {
            m.slaves.push(slave);
            m.flags |= NodeFlags::MIGRATE_TO;
        }
    }

    /// clusterNodeRemoveSlave.
    pub(crate) fn forget_slave(&mut self, master: NodeId, slave: NodeId) {
        let m = &mut self[master];
        let before = m.slaves.len();
        m.slaves.retain(|s| *s != slave);
        if m.slaves.is_empty() && before > 0 {
            m.flags.remove(NodeFlags::MIGRATE_TO);
        }
    }

    /// clusterCountNonFailingSlaves.
    pub(crate) fn count_non_failing_slaves(&self, master: NodeId) -> usize {
        let slaves = self[master].slaves.iter();
        slaves.filter(|s| !self[**s].failed()).count()
    }

    /// The master at the head of a node's chain; itself if it is one (clusterNodeGetMaster).
    pub(crate) fn master_of(&self, id: NodeId) -> NodeId {
        let mut at = id;
        // Replicas of each other would have no head.
        for _ in 0..self.order.len() {
            match self[at].slaveof {
                Some(master) => at = master,
                None => break,
            }
        }
        at
    }

    /// All of one shard, in the order in which they came. Nodes whose name is not known yet are in none.
    pub(crate) fn nodes_of_shard(&self, shard: Name) -> Vec<NodeId> {
        let all = self.nodes();
        all.filter(|n| n.shard_id == shard && !n.in_handshake())
            .map(|n| n.id)
            .collect()
    }

    /// A node that was taken for a replica is a master (clusterSetNodeAsMaster).
    pub(crate) fn set_node_as_master(&mut self, id: NodeId) {
        if self[id].is_master() {
            return;
        }
        if let Some(master) = self[id].slaveof {
            self.forget_slave(master, id);
            if id != self.myself {
                self[id].flags |= NodeFlags::MIGRATE_TO;
            }
        }
        let n = &mut self[id];
        n.flags.remove(NodeFlags::SLAVE);
        n.flags |= NodeFlags::MASTER;
        n.slaveof = None;
        self.todo |= Todo::SAVE_AND_UPDATE;
    }

    /// A node is in the shard of its master, as the master says (updateShardId).
    pub(crate) fn update_shard_id(&mut self, id: NodeId, shard: Name) {
        if self[id].shard_id != shard {
            self[id].shard_id = shard;
            self.todo |= Todo::SAVE_CONFIG;
        }
        if id != self.myself && self.me().slaveof == Some(id) && self.me().shard_id != shard {
            self.me_mut().shard_id = shard;
            self.todo |= Todo::SAVE_AND_SYNC;
        }
    }

    // Failure reports --------------------------------------------------------------------------------------------------

    /// True when it is the first one of this sender (clusterNodeAddFailureReport).
    pub(crate) fn add_failure_report(&mut self, failing: NodeId, by: NodeId, now: i64) -> bool {
        let reports = &mut self[failing].fail_reports;
        if let Some((_, time)) = reports.iter_mut().find(|(n, _)| *n == by) {
            *time = now;
            return false;
        }
        reports.push((by, now));
        true
    }

    /// True when there was one (clusterNodeDelFailureReport).
    pub(crate) fn del_failure_report(
        &mut self,
        failing: NodeId,
        by: NodeId,
        now: i64,
        node_timeout: i64,
    ) -> bool {
        if self[failing].fail_reports.is_empty() {
            return false;
        }
        let reports = &mut self[failing].fail_reports;
        let before = reports.len();
        reports.retain(|(n, _)| *n != by);
        if reports.len() == before {
            return false;
        }
        self.failure_reports_count(failing, now, node_timeout);
        true
    }

    /// How many others report the node, old reports left out (clusterNodeFailureReportsCount).
    pub(crate) fn failure_reports_count(
        &mut self,
        id: NodeId,
        now: i64,
        node_timeout: i64,
    ) -> usize {
        if self[id].fail_reports.is_empty() {
            return 0;
        }
        let most = node_timeout.saturating_mul(CLUSTER_FAIL_REPORT_VALIDITY_MULT);
        let reports = &mut self[id].fail_reports;
        reports.retain(|(_, time)| now - time <= most);
        reports.len()
    }

    // Slots ------------------------------------------------------------------------------------------------------------

    /// Who serves a slot.
    #[inline]
    pub(crate) fn owner(&self, slot: u16) -> Option<NodeId> {
        self.slots.get(usize::from(slot)).copied().flatten()
    }

    /// Requests for keys of this node's slots are served, whatever they ask.
    pub(crate) fn is_settled(&self) -> bool {
        !self.down && self.migrating.is_empty()
    }

    /// A slot that nobody has, or whose owner does not claim it (isSlotUnclaimed).
    pub(crate) fn is_unclaimed(&self, slot: u16) -> bool {
        self.owner(slot).is_none() || self.not_claimed.contains(slot)
    }

    /// A master other than this one has replicas (clusterMastersHaveSlaves).
    fn masters_have_slaves(&self) -> bool {
        self.nodes
            .iter()
            .any(|n| !n.is_slave() && !n.slaves.is_empty())
    }

    /// False when somebody has it (clusterAddSlot).
    pub(crate) fn add_slot(&mut self, id: NodeId, slot: u16) -> bool {
        if self.owner(slot).is_some() {
            return false;
        }
        if self[id].slots.insert(slot) && self[id].slots.len() == 1 && self.masters_have_slaves() {
            self[id].flags |= NodeFlags::MIGRATE_TO;
        }
        self.slots[usize::from(slot)] = Some(id);
        self.home.set(slot, id == self.myself);
        true
    }

    /// False when nobody had it (clusterDelSlot).
    pub(crate) fn del_slot(&mut self, slot: u16) -> bool {
        let Some(owner) = self.slots[usize::from(slot)].take() else {
            return false;
        };
        self.home.set(slot, false);
        self[owner].slots.remove(slot);
        self.not_claimed.remove(slot);
        self.left.insert(slot);
        true
    }

    /// clusterDelNodeSlots.
    pub(crate) fn del_node_slots(&mut self, id: NodeId) {
        let slots: Vec<u16> = self[id].slots.iter().collect();
        for slot in slots {
            self.del_slot(slot);
        }
    }

    /// clusterCloseAllSlots.
    pub(crate) fn close_all_slots(&mut self) {
        self.migrating.clear();
        self.importing.clear();
    }

    /// All slots that somebody serves, as ranges in order.
    pub(crate) fn slot_ranges(&self) -> Vec<(u16, u16, NodeId)> {
        let mut ranges: Vec<(u16, u16, NodeId)> = Vec::new();
        for (slot, owner) in self.slots.iter().enumerate() {
            let Some(owner) = *owner else {
                continue;
            };
            let slot = slot as u16;
            match ranges.last_mut() {
                Some((_, last, n)) if *n == owner && *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot, owner)),
            }
        }
        ranges
    }

    // Epochs -----------------------------------------------------------------------------------------------------------

    /// clusterGetMaxEpoch.
    pub(crate) fn max_epoch(&self) -> u64 {
        let of_nodes = self.nodes.iter().map(|n| n.config_epoch).max();
        of_nodes.unwrap_or(0).max(self.current_epoch)
    }

    /// Gives this node a new epoch without asking anybody, unless its own is the greatest; false then
    /// (clusterBumpConfigEpochWithoutConsensus).
    pub(crate) fn bump_config_epoch_without_consensus(&mut self) -> bool {
        let own = self.me().config_epoch;
        if own != 0 && own == self.max_epoch() {
            return false;
        }
        self.current_epoch += 1;
        self.me_mut().config_epoch = self.current_epoch;
        self.todo |= Todo::SAVE_AND_SYNC;
        true
    }

    // The blacklist ----------------------------------------------------------------------------------------------------

    fn blacklist_cleanup(&mut self, now_s: i64) {
        self.blacklist.retain(|_, until| *until >= now_s);
    }

    /// clusterBlacklistAddNode.
    pub(crate) fn blacklist_add(&mut self, name: Name, now_s: i64) {
        self.blacklist_cleanup(now_s);
        self.blacklist.insert(name, now_s + CLUSTER_BLACKLIST_TTL);
    }

    /// The same as others tell it, who had forgotten it before: not for longer than we would.
    pub(crate) fn blacklist_add_for(&mut self, name: Name, now_s: i64, ttl_s: u64) {
        self.blacklist_cleanup(now_s);
        let ttl = i64::try_from(ttl_s).unwrap_or(i64::MAX);
        let until = now_s.saturating_add(ttl.min(CLUSTER_BLACKLIST_TTL));
        self.blacklist.insert(name, until);
    }

    /// clusterBlacklistExists.
    pub(crate) fn blacklist_has(&mut self, name: Name, now_s: i64) -> bool {
        self.blacklist_cleanup(now_s);
        self.blacklist.contains_key(&name)
    }

    // Links ------------------------------------------------------------------------------------------------------------

    pub(super) fn new_link_id(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// No manual failover is under way any more.
    pub(super) fn clear_manual_failover(&mut self) {
        self.manual = ManualFailover::NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cluster::CLUSTER_NAMELEN;

    fn name(c: u8) -> Name {
        Name::parse(&[c; CLUSTER_NAMELEN]).expect("a name")
    }

    fn three() -> (Cluster, NodeId, NodeId) {
        let mut c = Cluster::new(name(b'a'), name(b'a'), 1);
        let b = c.add_node(name(b'b'), name(b'b'), NodeFlags::MASTER, 1);
        let r = c.add_node(name(b'c'), name(b'c'), NodeFlags::SLAVE, 1);
        c[r].slaveof = Some(b);
        c.add_slave(b, r);
        (c, b, r)
    }

    #[test]
    fn slots_have_one_owner() {
        let (mut c, b, _) = three();
        let me = c.myself;
        for slot in 0..10 {
            assert!(c.add_slot(me, slot));
        }
        assert!(!c.add_slot(b, 3) && c.add_slot(b, 12));
        // The other master has replicas: so is this one worth some.
        assert!(c.me().has(NodeFlags::MIGRATE_TO));
        c.not_claimed.insert(3);
        assert!(c.is_unclaimed(3) && c.is_unclaimed(77) && !c.is_unclaimed(4));
        assert!(c.del_slot(3) && !c.del_slot(3) && c.add_slot(b, 3));
        assert!(!c.is_unclaimed(3) && c.left.contains(3));
        assert_eq!(
            c.slot_ranges(),
            [(0, 2, me), (3, 3, b), (4, 9, me), (12, 12, b)]
        );
        let at_home = |c: &Cluster| (0..20).filter(|s| c.home.has(*s)).collect::<Vec<_>>();
        assert_eq!(at_home(&c), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        c.del_node_slots(b);
        assert_eq!(at_home(&c), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(
            (c[b].numslots(), c.owner(12), c.me().numslots()),
            (0, None, 9)
        );
    }

    #[test]
    fn a_node_that_is_forgotten_leaves_nothing() {
        let (mut c, b, r) = three();
        c.add_slot(b, 1);
        c.migrating.insert(5, b);
        c.importing.insert(6, b);
        let me = c.myself;
        c.add_failure_report(me, b, 1);
        c.remove_node(b);
        assert_eq!((c.len(), c.owner(1), c.lookup(name(b'b'))), (2, None, None));
        assert!(c.migrating.is_empty() && c.importing.is_empty());
        assert!(c.me().fail_reports.is_empty() && c[r].slaveof.is_none());
        let again = c.add_node(name(b'b'), name(b'b'), NodeFlags::MASTER, 1);
        assert_ne!(again, b);
        c.remove_node(r);
        assert_eq!(c.ids(), [me, again]);
    }

    #[test]
    fn who_is_calm_is_left_alone_until_he_changes() {
        let (mut c, b, r) = three();
        let me = c.myself;
        assert_eq!(c.restless(100), [me, b, r]);
        for id in [me, b, r] {
            c.set_calm(id, 100);
        }
        assert_eq!((c.restless(100), c.restless(101)), (vec![], vec![me, b, r]));
        c[r].ping_sent = 7;
        assert_eq!(c.restless(100), [r]);
        c.at_ease(b).last_in_ping_gossip = 7;
        assert_eq!(c.restless(100), [r]);
        c.remove_node(b);
        assert_eq!(c.restless(100), [r]);
        c.wake_all();
        assert_eq!(c.restless(100), [me, r]);
        // Until when is the node's own matter.
        let n = &mut c[r];
        n.link = Some(LinkId(1));
        n.pong_received = 50;
        assert_eq!(n.calm_until(10), 0);
        n.ping_sent = 0;
        assert_eq!(n.calm_until(10), 60);
        for flag in [NodeFlags::PFAIL, NodeFlags::FAIL, NodeFlags::HANDSHAKE] {
            n.flags |= flag;
            assert_eq!(n.calm_until(10), 0);
            n.flags -= flag;
        }
        n.link = None;
        assert_eq!(n.calm_until(10), 0);
    }

    #[test]
    fn reports_grow_old() {
        let (mut c, b, r) = three();
        let me = c.myself;
        assert!(c.add_failure_report(r, b, 1000) && !c.add_failure_report(r, b, 1500));
        assert!(c.add_failure_report(r, me, 2000));
        assert_eq!(c.failure_reports_count(r, 3500, 1000), 2);
        assert_eq!(c.failure_reports_count(r, 3501, 1000), 1);
        assert!(c.del_failure_report(r, me, 3501, 1000));
        assert!(!c.del_failure_report(r, me, 3501, 1000));
    }

    #[test]
    fn an_epoch_is_new_unless_it_is_the_greatest() {
        let (mut c, b, _) = three();
        assert!(c.bump_config_epoch_without_consensus());
        assert_eq!((c.current_epoch, c.me().config_epoch), (1, 1));
        assert!(!c.bump_config_epoch_without_consensus());
        c[b].config_epoch = 9;
        c.current_epoch = 9;
        assert!(c.bump_config_epoch_without_consensus());
        assert_eq!(c.max_epoch(), 10);
    }

    #[test]
    fn replicas_of_each_other_have_a_head_all_the_same() {
        let (mut c, b, r) = three();
        c[b].slaveof = Some(r);
        let head = c.master_of(r);
        assert!(head == b || head == r);
        c[b].slaveof = None;
        c.set_node_as_master(r);
        assert!(c[b].slaves.is_empty() && c[r].has(NodeFlags::MIGRATE_TO));
        assert!(c.todo.contains(Todo::SAVE_AND_UPDATE));
    }

    #[test]
    fn what_was_forgotten_is_not_added_for_a_minute() {
        let (mut c, _, _) = three();
        c.blacklist_add(name(b'x'), 100);
        c.blacklist_add_for(name(b'y'), 100, u64::MAX);
        assert!(c.blacklist_has(name(b'x'), 160) && c.blacklist_has(name(b'y'), 160));
        assert!(!c.blacklist_has(name(b'x'), 161));
    }
}
