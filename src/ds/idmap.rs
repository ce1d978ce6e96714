//! An ordered map from 128-bit stream ids: the macro nodes of a stream, and the pending entries of its groups and consumers.
//!
//! Upstream uses a radix tree (rax.c) for all three. Here it is a sequence of sorted leaves of up to [`LEAF_MAX`] items, the
//! sequence being a ring buffer. Ids come in rising order and go from the front, so that appending fills a leaf and touches
//! nothing else, and taking the first one moves part of a leaf; anything else is a binary search over the leaves and one in
//! a leaf. It costs 16 bytes an id, the value, and under one byte besides, where a radix tree of ids spends about two
//! nodes an id; and it is a page of safe code. What it pays: a leaf that comes or goes in the middle of a map of millions
//! moves up to half of the sequence, 40 bytes for each 64 ids.
//!
//! Invariants: no leaf is empty; ids rise strictly within a leaf and over the leaves; a leaf's `low` is at most its first
//! id and above the last id of the leaf before.
//!
//! A [`IdPos`] names an item until the map changes. The map knows nothing of listpacks, groups or time.

use std::collections::VecDeque;
use std::fmt;

use crate::base::alloc::good_size;

/// Items of a leaf at the most.
const LEAF_MAX: usize = 64;
/// A leaf below this looks for a neighbour to merge with.
const LEAF_LOW: usize = LEAF_MAX / 4;

/// The id of a stream's entry (streamID): milliseconds, and a number within the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(crate) struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

/// Bytes of an id's text at the most.
pub(crate) const STREAM_ID_STR_LEN: usize = 41;

impl StreamId {
    pub(crate) const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    pub(crate) const MAX: StreamId = StreamId {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    #[inline]
    pub(crate) const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// Whether it is 0-0, which no entry can have (streamIDEqZero).
    #[inline]
    pub(crate) fn is_zero(self) -> bool {
        self == StreamId::MIN
    }

    /// The next id; `None` after the last possible one (streamIncrID).
    #[inline]
    pub(crate) fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId {
                ms: self.ms.checked_add(1)?,
                seq: 0,
            }),
        }
    }

    /// The id before; `None` before 0-0 (streamDecrID).
    #[inline]
    pub(crate) fn prev(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId {
                ms: self.ms.checked_sub(1)?,
                seq: u64::MAX,
            }),
        }
    }

    /// 16 bytes, big endian, as RDB files have them (streamEncodeID).
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The reverse of [`StreamId::to_bytes`] (streamDecodeID).
    #[inline]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> StreamId {
        let n = u128::from_be_bytes(bytes);
        StreamId {
            ms: (n >> 64) as u64,
            seq: n as u64,
        }
    }

    /// `<ms>-<seq>`, written to the front of `buf` (createStreamIDString).
    #[inline]
    pub(crate) fn text(self, buf: &mut [u8; STREAM_ID_STR_LEN]) -> &[u8] {
        let mut n = itoa::Buffer::new();
        let ms = n.format(self.ms).as_bytes();
        let at = ms.len();
        buf[..at].copy_from_slice(ms);
        buf[at] = b'-';
        let seq = n.format(self.seq).as_bytes();
        let end = at + 1 + seq.len();
        buf[at + 1..end].copy_from_slice(seq);
        &buf[..end]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[derive(Clone)]
struct Leaf<V> {
    low: StreamId,
    items: Vec<(StreamId, V)>,
}

/// Where an item is: leaf, and place in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IdPos {
    leaf: usize,
    item: usize,
}

/// See the module's text.
#[derive(Clone)]
pub(crate) struct IdMap<V> {
    leaves: VecDeque<Leaf<V>>,
    len: usize,
}

impl<V> Default for IdMap<V> {
    fn default() -> IdMap<V> {
        IdMap::new()
    }
}

impl<V> IdMap<V> {
    pub(crate) const fn new() -> IdMap<V> {
        IdMap {
            leaves: VecDeque::new(),
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The leaf that has `id` if any has: the last whose `low` is not above it.
    #[inline]
    fn leaf_of(&self, id: StreamId) -> Option<usize> {
        let last = self.leaves.len().checked_sub(1)?;
        if self.leaves[last].low <= id {
            return Some(last);
        }
        self.leaves.partition_point(|l| l.low <= id).checked_sub(1)
    }

    /// Where `id` is, or the place in its leaf where it would be.
    #[inline]
    fn locate(&self, id: StreamId) -> Result<IdPos, Option<IdPos>> {
        let Some(leaf) = self.leaf_of(id) else {
            return Err(None);
        };
        match self.leaves[leaf].items.binary_search_by(|i| i.0.cmp(&id)) {
            Ok(item) => Ok(IdPos { leaf, item }),
            Err(item) => Err(Some(IdPos { leaf, item })),
        }
    }

    pub(crate) fn find(&self, id: StreamId) -> Option<IdPos> {
        self.locate(id).ok()
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&V> {
        self.find(id).map(|p| self.at(p).1)
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        self.find(id).map(|p| self.at_mut(p))
    }

    /// The item at a place that one of these functions has answered; the map must not have changed since.
    #[inline]
    pub(crate) fn at(&self, p: IdPos) -> (StreamId, &V) {
        let (id, v) = &self.leaves[p.leaf].items[p.item];
        (*id, v)
    }

    /// The value at a place, as [`IdMap::at`].
    #[inline]
    pub(crate) fn at_mut(&mut self, p: IdPos) -> &mut V {
        &mut self.leaves[p.leaf].items[p.item].1
    }

    pub(crate) fn first(&self) -> Option<IdPos> {
        (self.len > 0).then_some(IdPos { leaf: 0, item: 0 })
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<IdPos> {
        let leaf = self.leaves.len().checked_sub(1)?;
        let item = self.leaves[leaf].items.len().checked_sub(1)?;
        Some(IdPos { leaf, item })
    }

    #[inline]
    pub(crate) fn next(&self, p: IdPos) -> Option<IdPos> {
        if p.item + 1 < self.leaves[p.leaf].items.len() {
            return Some(IdPos {
                leaf: p.leaf,
                item: p.item + 1,
            });
        }
        (p.leaf + 1 < self.leaves.len()).then_some(IdPos {
            leaf: p.leaf + 1,
            item: 0,
        })
    }

    #[inline]
    pub(crate) fn prev(&self, p: IdPos) -> Option<IdPos> {
        if let Some(item) = p.item.checked_sub(1) {
            return Some(IdPos { leaf: p.leaf, item });
        }
        let leaf = p.leaf.checked_sub(1)?;
        let item = self.leaves[leaf].items.len().checked_sub(1)?;
        Some(IdPos { leaf, item })
    }

    /// The first item whose id is `id` or above.
    pub(crate) fn at_or_after(&self, id: StreamId) -> Option<IdPos> {
        match self.locate(id) {
            Ok(p) => Some(p),
            Err(None) => self.first(),
            Err(Some(p)) if p.item < self.leaves[p.leaf].items.len() => Some(p),
            Err(Some(p)) => (p.leaf + 1 < self.leaves.len()).then_some(IdPos {
                leaf: p.leaf + 1,
                item: 0,
            }),
        }
    }

    /// The last item whose id is `id` or below.
    pub(crate) fn at_or_before(&self, id: StreamId) -> Option<IdPos> {
        match self.locate(id) {
            Ok(p) => Some(p),
            Err(None) => None,
            Err(Some(p)) => self.prev(p),
        }
    }

    /// All items from place `p` on.
    pub(crate) fn iter_from(&self, p: Option<IdPos>) -> Iter<'_, V> {
        Iter { map: self, at: p }
    }

    pub(crate) fn iter(&self) -> Iter<'_, V> {
        self.iter_from(self.first())
    }

    /// Adds an id. False when it is there already: nothing has changed then.
    pub(crate) fn insert(&mut self, id: StreamId, value: V) -> bool {
        let (leaf, item) = match self.locate(id) {
            Ok(_) => return false,
            Err(Some(p)) => (p.leaf, p.item),
            Err(None) if self.leaves.is_empty() => {
                if self.leaves.capacity() == 0 {
                    // Most maps have one leaf only.
                    self.leaves.reserve_exact(1);
                }
                let items = vec![(id, value)];
                self.leaves.push_back(Leaf { low: id, items });
                self.len = 1;
                return true;
            }
            Err(None) => {
                self.leaves[0].low = id;
                (0, 0)
            }
        };
        self.len += 1;
        let full = self.leaves[leaf].items.len() == LEAF_MAX;
        if full && leaf + 1 == self.leaves.len() && item == LEAF_MAX {
            // In rising order leaves stay full.
            let items = vec![(id, value)];
            self.leaves.push_back(Leaf { low: id, items });
            return true;
        }
        let (leaf, item) = if full {
            self.split(leaf, item)
        } else {
            (leaf, item)
        };
        let items = &mut self.leaves[leaf].items;
        if items.len() == items.capacity() {
            items.reserve_exact(items.len().max(1));
        }
        items.insert(item, (id, value));
        true
    }

    /// Halves a leaf; returns where its place `item` is now.
    fn split(&mut self, leaf: usize, item: usize) -> (usize, usize) {
        let upper = self.leaves[leaf].items.split_off(LEAF_MAX / 2);
        let Some(&(low, _)) = upper.first() else {
            unreachable!("half of a full leaf")
        };
        self.leaves.insert(leaf + 1, Leaf { low, items: upper });
        if item > LEAF_MAX / 2 {
            (leaf + 1, item - LEAF_MAX / 2)
        } else {
            (leaf, item)
        }
    }

    pub(crate) fn remove(&mut self, id: StreamId) -> Option<V> {
        let p = self.find(id)?;
        let items = &mut self.leaves[p.leaf].items;
        let (_, value) = items.remove(p.item);
        self.len -= 1;
        let left = items.len();
        if left == 0 {
            self.leaves.remove(p.leaf);
            if self.leaves.is_empty() {
                self.leaves = VecDeque::new();
            }
        } else if left < LEAF_LOW {
            self.merge(p.leaf);
        }
        Some(value)
    }

    /// Joins a small leaf with a neighbour, when the two leave room for more.
    fn merge(&mut self, leaf: usize) {
        let fits = |a: usize, b: usize| {
            let size = |i: usize| self.leaves.get(i).map_or(LEAF_MAX, |l| l.items.len());
            size(a) + size(b) <= LEAF_MAX * 3 / 4
        };
        let into = if fits(leaf, leaf + 1) {
            leaf
        } else if leaf > 0 && fits(leaf - 1, leaf) {
            leaf - 1
        } else {
            return;
        };
        if let Some(upper) = self.leaves.remove(into + 1) {
            self.leaves[into].items.extend(upper.items);
        }
    }

    /// Bytes of the map's own allocations; what the values own is not in it.
    pub(crate) fn mem_usage(&self) -> usize {
        let bytes = |n: usize| if n == 0 { 0 } else { good_size(n) };
        let leaves = bytes(self.leaves.capacity() * size_of::<Leaf<V>>());
        let items = |l: &Leaf<V>| bytes(l.items.capacity() * size_of::<(StreamId, V)>());
        leaves + self.leaves.iter().map(items).sum::<usize>()
    }

    /// How many nodes upstream's radix tree of the same ids would have (numnodes): XINFO STREAM shows it, and what it costs
    /// to free a stream is judged by it. Walks all ids.
    pub(crate) fn radix_tree_nodes(&self) -> usize {
        const KEY: usize = 16;
        let mut ids = self
            .iter()
            .map(|(id, _)| u128::from(id.ms) << 64 | u128::from(id.seq));
        let Some(mut before) = ids.next() else {
            return 1;
        };
        // A leaf for each id, a node for each prefix at which ids part, and a compressed node for what lies between two of
        // them besides the byte that the upper one branches by. `open` has the depths of the prefixes at which the path to
        // the current id has branched so far.
        let mut nodes = self.len;
        let mut open: Vec<usize> = Vec::with_capacity(KEY);
        let between = |lower: usize, upper: usize| usize::from(lower > upper + 1);
        for id in ids {
            // Bytes at which both begin alike; they are never the same.
            let common = (before ^ id).leading_zeros() as usize / 8;
            let mut lower = KEY;
            while let Some(&upper) = open.last()
                && upper > common
            {
                nodes += between(lower, upper);
                lower = upper;
                open.pop();
            }
            nodes += between(lower, common);
            if open.last() != Some(&common) {
                open.push(common);
                nodes += 1;
            }
            before = id;
        }
        let mut lower = KEY;
        while let Some(upper) = open.pop() {
            nodes += between(lower, upper);
            lower = upper;
        }
        nodes + usize::from(lower > 0)
    }
}

/// Items in rising order.
pub(crate) struct Iter<'a, V> {
    map: &'a IdMap<V>,
    at: Option<IdPos>,
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (StreamId, &'a V);
    #[inline]
    fn next(&mut self) -> Option<(StreamId, &'a V)> {
        let p = self.at?;
        self.at = self.map.next(p);
        Some(self.map.at(p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn id(n: u32) -> StreamId {
        // Both halves take part in the order.
        StreamId::new(u64::from(n >> 4), u64::from(n & 15))
    }

    fn check(map: &IdMap<u32>, model: &BTreeMap<StreamId, u32>) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter().map(|(k, v)| (*k, v))));
        let mut last = None;
        for l in &map.leaves {
            assert!(!l.items.is_empty() && l.items.len() <= LEAF_MAX);
            assert!(l.low <= l.items[0].0);
            assert!(last.is_none_or(|x| x < l.low));
            last = l.items.last().map(|i| i.0);
        }
        let mut back = Vec::new();
        let mut p = map.last();
        while let Some(at) = p {
            back.push(map.at(at).0);
            p = map.prev(at);
        }
        assert!(back.iter().rev().eq(model.keys()));
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn behaves_as_a_sorted_map(
            start in 0u32..crate::ds::effort::of(2000, 80),
            ops in proptest::collection::vec((0u8..5, 0u32..1000), 0..crate::ds::effort::of(1500, 40)),
        ) {
            let mut map = IdMap::new();
            let mut model = BTreeMap::new();
            for n in 0..start {
                map.insert(id(n), n);
                model.insert(id(n), n);
            }
            check(&map, &model);
            for (op, n) in ops {
                match op {
                    0 | 1 => {
                        let new = !model.contains_key(&id(n));
                        prop_assert_eq!(map.insert(id(n), n), new);
                        model.entry(id(n)).or_insert(n);
                    }
                    2 => prop_assert_eq!(map.remove(id(n)), model.remove(&id(n))),
                    3 => {
                        let first = map.first().map(|p| map.at(p).0);
                        prop_assert_eq!(first, model.keys().next().copied());
                        if let Some(f) = first {
                            prop_assert!(map.remove(f) == model.remove(&f));
                        }
                    }
                    _ => {
                        if let Some(v) = map.get_mut(id(n)) {
                            *v += 1;
                        }
                        model.entry(id(n)).and_modify(|v| *v += 1);
                    }
                }
                let at = |p: Option<IdPos>| p.map(|p| map.at(p).0);
                prop_assert_eq!(at(map.at_or_after(id(n))), model.range(id(n)..).next().map(|e| *e.0));
                prop_assert_eq!(at(map.at_or_before(id(n))), model.range(..=id(n)).next_back().map(|e| *e.0));
                prop_assert_eq!(map.get(id(n)), model.get(&id(n)));
            }
            check(&map, &model);
        }

        /// Counted in an uncompressed trie whose runs of single children are then put together.
        #[test]
        fn radix_tree_nodes_are_those_of_a_compressed_trie(
            ids in proptest::collection::btree_set((0u64..3, 0u64..70_000), 0..crate::ds::effort::of(200, 10)),
        ) {
            let mut map = IdMap::new();
            let keys: BTreeSet<[u8; 16]> = ids.iter().map(|(a, b)| StreamId::new(*a << 40, *b).to_bytes()).collect();
            for k in &keys {
                map.insert(StreamId::from_bytes(*k), ());
            }
            let mut prefixes: BTreeMap<Vec<u8>, BTreeSet<u8>> = BTreeMap::new();
            for k in &keys {
                for n in 0..16 {
                    prefixes.entry(k[..n].to_vec()).or_default().insert(k[n]);
                }
            }
            // A node with one child goes on in its parent, when that has one child too.
            let single = |p: &[u8]| prefixes.get(p).is_some_and(|c| c.len() == 1);
            let kept = prefixes.keys().filter(|p| {
                !(single(p) && p.split_last().is_some_and(|(_, up)| single(up)))
            });
            let expected = if keys.is_empty() { 1 } else { kept.count() + keys.len() };
            prop_assert_eq!(map.radix_tree_nodes(), expected);
        }
    }

    #[test]
    fn rising_ids_fill_their_leaves_and_falling_ones_do_not_break_them() {
        let all = crate::ds::effort::of(6400u32, 320);
        let mut map = IdMap::new();
        for n in 0..all {
            assert!(map.insert(id(n), n));
        }
        assert_eq!(map.leaves.len(), all as usize / LEAF_MAX);
        assert!(map.mem_usage() < all as usize * 28);
        let mut map = IdMap::new();
        for n in (0..all).rev() {
            assert!(map.insert(id(n), n));
        }
        check(&map, &(0..all).map(|n| (id(n), n)).collect());
        for n in 0..all {
            if n % 32 != 0 {
                map.remove(id(n));
            }
        }
        assert!(
            map.leaves.len() < crate::ds::effort::of(20, 3),
            "sparse leaves are merged"
        );
        for n in 0..all {
            map.remove(id(n));
        }
        assert_eq!((map.len(), map.mem_usage()), (0, 0));
    }

    #[test]
    fn ids_count_up_and_down() {
        let (a, b) = (StreamId::new(5, u64::MAX), StreamId::new(6, 0));
        assert_eq!((a.next(), b.prev()), (Some(b), Some(a)));
        assert_eq!(StreamId::new(5, 1).next(), Some(StreamId::new(5, 2)));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.prev()), (None, None));
        let mut buf = [0; STREAM_ID_STR_LEN];
        assert_eq!(StreamId::new(0, 7).text(&mut buf), b"0-7");
        assert_eq!(
            StreamId::MAX.text(&mut buf),
            b"18446744073709551615-18446744073709551615"
        );
        assert_eq!(StreamId::from_bytes(a.to_bytes()), a);
        assert!(a.to_bytes() < b.to_bytes());
    }
}
