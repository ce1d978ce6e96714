//! Streams (the data half of t_stream.c): macro nodes in a map by id, and what is known of all entries together.
//!
//! A node ([`node`]) is a listpack in upstream's layout; the map ([`crate::ds::idmap`]) has it under the id of its first
//! entry. Entries are read by [`StreamIter`]. [`group`] has the consumer groups; [`load`] builds a stream from the parts of
//! an RDB file.
//!
//! Invariants: `length` is the number of live entries of all nodes; ids rise; `last_id` is at least the last entry's. A node
//! whose last live entry goes is freed, but for one that MINID leaves with a deleted entry above it, as upstream does. From a file they may not hold (upstream does not check either), so nothing here relies on them
//! for more than a right answer: counters saturate, and walks end where the nodes do.
//!
//! Nothing is known here of keys, clients, propagation, or of when "now" is.

mod group;
mod iter;
mod load;
mod node;

pub(crate) use group::{Consumer, ConsumerId, Group, Nack, SCG_INVALID_ENTRIES_READ};
pub(crate) use iter::{Item, StreamIter};
pub(crate) use load::StreamParts;
pub(crate) use node::NodeLimits;

pub(crate) use crate::ds::idmap::StreamId;

use group::Groups;
use node::{STREAM_LISTPACK_MAX_SIZE, Verdict};

use crate::base::alloc::good_size;
use crate::ds::idmap::IdMap;
use crate::ds::listpack::Listpack;
use crate::ds::owned::Own;

/// Pairs of one entry at the most: so many empty ones still fit into a listpack's 32 bits.
const MAX_FIELDS: usize = 1 << 27;

/// A stream.
pub(crate) struct Stream(pub Own<StreamData>);

/// What is known of a stream's entries without looking at them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct StreamMeta {
    /// Live entries.
    pub length: u64,
    /// The last id given, even if its entry is gone.
    pub last_id: StreamId,
    /// The first live entry; 0-0 when there is none.
    pub first_id: StreamId,
    /// The highest id that XDEL has removed; 0-0: none.
    pub max_deleted_entry_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

/// The beginning or the end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edge {
    First,
    Last,
}

impl Edge {
    /// The id that comes first, from here on; of nothing the highest or lowest possible one.
    fn of(self, mut entries: StreamIter<'_>) -> StreamId {
        match (entries.next(), self) {
            (Some(item), _) => item.id,
            (None, Edge::First) => StreamId::MAX,
            (None, Edge::Last) => StreamId::MIN,
        }
    }
}

/// What hangs off the entry.
#[derive(Default)]
pub(crate) struct StreamData {
    nodes: IdMap<Listpack>,
    pub meta: StreamMeta,
    groups: Groups,
}

/// The id that XADD was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IdChoice {
    /// `*`
    Auto,
    /// `<ms>-*`
    Ms(u64),
    Given(StreamId),
}

/// What to keep when a stream is trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TrimStrategy {
    /// So many entries (MAXLEN).
    MaxLen(u64),
    /// Those with this id or above (MINID).
    MinId(StreamId),
}

/// How a stream is trimmed (streamAddTrimArgs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trim {
    pub strategy: TrimStrategy,
    /// Only whole nodes go.
    pub approx: bool,
    /// Entries to remove at the most; 0: no limit.
    pub limit: u64,
}

impl StreamMeta {
    /// Whether an entry between the ids has been deleted, as far as that is known (streamRangeHasTombstones).
    pub(crate) fn range_has_tombstones(&self, start: StreamId, end: StreamId) -> bool {
        let deleted = self.max_deleted_entry_id;
        self.length > 0
            && !deleted.is_zero()
            && self.first_id <= deleted
            && (start..=end).contains(&deleted)
    }

    /// How many entries were ever added up to and with `id`; [`SCG_INVALID_ENTRIES_READ`] where it cannot be told
    /// (streamEstimateDistanceFromFirstEverEntry).
    pub(crate) fn estimate_distance_from_first_ever_entry(&self, id: StreamId) -> i64 {
        let added = self.entries_added as i64;
        if added == 0 {
            return 0;
        }
        if id == self.last_id || (self.length == 0 && id < self.last_id) {
            return added;
        }
        if id > self.last_id {
            return SCG_INVALID_ENTRIES_READ;
        }
        let deleted = self.max_deleted_entry_id;
        if deleted.is_zero() || deleted < self.first_id {
            let before_first = added.wrapping_sub(self.length as i64);
            if id < self.first_id {
                return before_first;
            }
            if id == self.first_id {
                return before_first.wrapping_add(1);
            }
        }
        SCG_INVALID_ENTRIES_READ
    }

    /// A group's counter after the entry `id` was read in it for the first time.
    pub(crate) fn entries_read_after(&self, before: i64, id: StreamId) -> i64 {
        if before != SCG_INVALID_ENTRIES_READ && !self.range_has_tombstones(id, StreamId::MAX) {
            before.wrapping_add(1)
        } else if self.entries_added > 0 {
            self.estimate_distance_from_first_ever_entry(id)
        } else {
            before
        }
    }

    /// Entries that the group has not read yet, where that can be told (streamReplyWithCGLag).
    pub(crate) fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.entries_added as i64;
        if added == 0 {
            return Some(0);
        }
        let known = group.entries_read != SCG_INVALID_ENTRIES_READ
            && !self.range_has_tombstones(group.last_id, StreamId::MAX);
        let read = if known {
            group.entries_read
        } else {
            self.estimate_distance_from_first_ever_entry(group.last_id)
        };
        (read != SCG_INVALID_ENTRIES_READ).then(|| added.wrapping_sub(read))
    }

    /// The id that a new entry gets at `now` (unix ms); `None` when it would not be above the last one (streamNextID).
    pub(crate) fn next_id(&self, choice: IdChoice, now: i64) -> Option<StreamId> {
        let last = self.last_id;
        let id = match choice {
            IdChoice::Given(id) => id,
            IdChoice::Ms(ms) if ms == last.ms => StreamId {
                ms,
                seq: last.seq.checked_add(1)?,
            },
            IdChoice::Ms(ms) => StreamId { ms, seq: 0 },
            IdChoice::Auto if now as u64 > last.ms => StreamId {
                ms: now as u64,
                seq: 0,
            },
            IdChoice::Auto => last.next()?,
        };
        (id > last).then_some(id)
    }
}

impl StreamData {
    #[cfg(test)]
    pub(crate) fn new() -> StreamData {
        StreamData::default()
    }

    /// The nodes: master id and listpack, in order.
    pub(crate) fn nodes(&self) -> &IdMap<Listpack> {
        &self.nodes
    }

    /// The entries with ids from `start` to `end`, both included; from the end when `rev`.
    pub(crate) fn range(&self, start: StreamId, end: StreamId, rev: bool) -> StreamIter<'_> {
        StreamIter::new(&self.nodes, start, end, rev)
    }

    /// Adds an entry under `id`, which [`StreamMeta::next_id`] has made, with `num_fields` pairs that `arg` gives in turn:
    /// field, value, field .. False when they are too large together (streamAppendItem).
    pub(crate) fn append_item<'f>(
        &mut self,
        id: StreamId,
        num_fields: usize,
        arg: impl Fn(usize) -> &'f [u8],
        limits: NodeLimits,
    ) -> bool {
        debug_assert!(id > self.meta.last_id);
        let total: usize = (0..2 * num_fields).map(|i| arg(i).len()).sum();
        if total > STREAM_LISTPACK_MAX_SIZE || num_fields > MAX_FIELDS {
            return false;
        }
        let added = match self.nodes.last() {
            Some(p) => {
                let master_id = self.nodes.at(p).0;
                let lp = self.nodes.at_mut(p);
                node::append(lp, (master_id, id), num_fields, &arg, total, limits)
            }
            None => false,
        };
        if !added {
            self.nodes.insert(id, node::new_node(id, num_fields, arg));
        }
        let m = &mut self.meta;
        m.length += 1;
        m.entries_added = m.entries_added.wrapping_add(1);
        m.last_id = id;
        if m.length == 1 {
            m.first_id = id;
        }
        true
    }

    /// Removes entries from the front; the answer is how many went (streamTrim).
    pub(crate) fn trim(&mut self, how: &Trim) -> u64 {
        let mut deleted = 0u64;
        while let Some(p) = self.nodes.first() {
            let length = self.meta.length;
            let (master_id, lp) = self.nodes.at(p);
            let live = node::live_entries(lp);
            let whole = match how.strategy {
                TrimStrategy::MaxLen(max) if length <= max => break,
                TrimStrategy::MaxLen(max) => length.saturating_sub(live) >= max,
                TrimStrategy::MinId(min) => node::last_id(lp, master_id).unwrap_or_default() < min,
            };
            if how.limit > 0 && deleted.saturating_add(live) > how.limit {
                break;
            }
            if whole {
                self.nodes.remove(master_id);
                self.meta.length = length.saturating_sub(live);
                deleted = deleted.saturating_add(live);
                continue;
            }
            if how.approx {
                break;
            }
            let mut left = length;
            let lp = self.nodes.at_mut(p);
            let marked = node::mark_deleted(lp, master_id, |id| {
                let stop = match how.strategy {
                    TrimStrategy::MaxLen(max) => left <= max,
                    TrimStrategy::MinId(min) => id >= min,
                };
                if stop {
                    return Verdict::Stop;
                }
                left = left.saturating_sub(1);
                Verdict::Delete
            });
            self.meta.length = left;
            deleted = deleted.saturating_add(marked);
            break;
        }
        if self.meta.length == 0 {
            self.meta.first_id = StreamId::MIN;
        } else if deleted > 0 {
            self.meta.first_id = self.edge_id(Edge::First);
        }
        deleted
    }

    /// Removes one entry; false when it is not there (streamDeleteItem).
    fn delete_item(&mut self, id: StreamId) -> bool {
        let Some(p) = self.nodes.at_or_before(id) else {
            return false;
        };
        let (master_id, lp) = self.nodes.at(p);
        let last = node::live_entries(lp) == 1;
        if last {
            // The node goes as a whole, when that one is it.
            if self.range(id, id, false).next().is_none() {
                return false;
            }
            self.nodes.remove(master_id);
        } else {
            let marked =
                node::mark_deleted(self.nodes.at_mut(p), master_id, |at| match at.cmp(&id) {
                    std::cmp::Ordering::Less => Verdict::Keep,
                    std::cmp::Ordering::Equal => Verdict::Delete,
                    std::cmp::Ordering::Greater => Verdict::Stop,
                });
            if marked == 0 {
                return false;
            }
        }
        self.meta.length = self.meta.length.saturating_sub(1);
        true
    }

    /// Removes entries, as XDEL does; the answer is how many were there.
    pub(crate) fn delete_items(&mut self, ids: &[StreamId]) -> usize {
        let mut deleted = 0;
        let mut first_gone = false;
        for &id in ids {
            if self.delete_item(id) {
                deleted += 1;
                first_gone |= id == self.meta.first_id;
                let m = &mut self.meta;
                m.max_deleted_entry_id = m.max_deleted_entry_id.max(id);
            }
        }
        if deleted > 0 {
            if self.meta.length == 0 {
                self.meta.first_id = StreamId::MIN;
            } else if first_gone {
                self.meta.first_id = self.edge_id(Edge::First);
            }
        }
        deleted
    }

    /// The id of the first or last live entry; of an empty stream the highest or lowest possible one (streamGetEdgeID).
    pub(crate) fn edge_id(&self, edge: Edge) -> StreamId {
        edge.of(self.range(StreamId::MIN, StreamId::MAX, edge == Edge::Last))
    }

    /// [`StreamData::edge_id`], entries that are deleted and still there included.
    pub(crate) fn edge_id_with_tombstones(&self, edge: Edge) -> StreamId {
        edge.of(self
            .range(StreamId::MIN, StreamId::MAX, edge == Edge::Last)
            .with_tombstones())
    }

    /// The id of the last live entry; 0-0 when there is none (streamLastValidID).
    pub(crate) fn last_valid_id(&self) -> StreamId {
        self.edge_id(Edge::Last)
    }

    /// Whether a live entry has this id (streamEntryExists).
    #[cfg(test)]
    pub(crate) fn entry_exists(&self, id: StreamId) -> bool {
        self.range(id, id, false).next().is_some()
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> &[Group] {
        self.groups.as_slice()
    }

    /// The group of that name (streamLookupCG).
    pub(crate) fn lookup_cg(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// As [`StreamData::lookup_cg`], for a change.
    pub(crate) fn lookup_cg_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// The nodes for reading, the meta data, and a group for a change.
    pub(crate) fn split_for_group(
        &mut self,
        name: &[u8],
    ) -> Option<(&IdMap<Listpack>, &StreamMeta, &mut Group)> {
        let group = self.groups.get_mut(name)?;
        Some((&self.nodes, &self.meta, group))
    }

    /// Adds a group; `None` when there is one of that name (streamCreateCG).
    pub(crate) fn create_cg(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: i64,
    ) -> Option<&mut Group> {
        self.groups.insert(Group::new(name, last_id, entries_read))
    }

    /// Takes a group out.
    pub(crate) fn destroy_cg(&mut self, name: &[u8]) -> Option<Group> {
        self.groups.remove(name)
    }
}

impl Stream {
    pub(crate) fn new() -> Stream {
        Stream(Own::default())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.meta.length as usize
    }

    /// Bytes of all its allocations.
    pub(crate) fn mem_usage(&self) -> usize {
        let s = &*self.0;
        let nodes: usize = s.nodes.iter().map(|(_, lp)| lp.mem_usage()).sum();
        good_size(size_of::<StreamData>()) + s.nodes.mem_usage() + nodes + s.groups.mem_usage()
    }

    /// See `Value::free_effort`. The nodes of a large stream are counted, not those of the radix tree that upstream has: that
    /// would be a walk, and it is large either way.
    pub(crate) fn free_effort(&self) -> usize {
        let s = &*self.0;
        let nodes = match s.nodes.len() {
            n @ 0..=64 => n.max(s.nodes.radix_tree_nodes()),
            n => n,
        };
        let groups = s.groups();
        let pending = groups.first().map_or(0, |g| 1 + g.pel().len());
        nodes + groups.len() * pending
    }

    /// A copy that shares nothing (streamDup).
    pub(crate) fn deep_clone(&self) -> Stream {
        let mut nodes = IdMap::new();
        for (id, lp) in self.0.nodes.iter() {
            nodes.insert(id, lp.deep_clone());
        }
        Stream(Own::new(StreamData {
            nodes,
            meta: self.0.meta,
            groups: self.0.groups.clone(),
        }))
    }
}

impl Default for Stream {
    fn default() -> Stream {
        Stream::new()
    }
}

#[cfg(test)]
mod tests;
