//! A set of members with scores, in the order of score, then bytes: what a big sorted set is made of.
//!
//! ```text
//! member   one piece of memory with score and bytes; see `scored`
//! table    finds a member by its bytes, and owns it
//! tree     keeps the members in their order; see `tree`
//! ```
//!
//! Invariants: table and tree have the same members; the tree has each under the score that the member itself holds; no
//! score is NaN. So a member's address in the tree is good as long as the member is in the table, and each change takes it
//! out of the tree before it is freed.
//!
//! It knows nothing of commands, encodings and limits.

mod scored;
mod tree;

use std::cmp::Ordering;
use std::ops::Range;

use self::scored::{Members, Ref, Scored};
use self::tree::{Leaf, Place, Tree};
use super::table::{Element, Resize, SubTable};
use crate::base::alloc::size_class;

/// Members with scores, in order.
pub(crate) struct ScoredSet {
    table: SubTable<Scored>,
    tree: Tree,
    /// Behind the table, whose elements are dropped first.
    members: Members,
}

// SAFETY: the addresses in the tree are of members that the table owns; both move together.
unsafe impl Send for ScoredSet {}

/// Members with scores that are in no order yet: for a set of which many members are put together before it is used.
pub(crate) struct Gathered {
    table: SubTable<Scored>,
    /// Behind the table, whose elements are dropped first.
    members: Members,
}

impl Gathered {
    /// Nothing, with room for `capacity` members.
    pub(crate) fn new(capacity: usize) -> Gathered {
        let mut table = SubTable::shared();
        table.reserve(capacity);
        Gathered {
            table,
            members: Members::default(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member with a score; one that is there gets what `f` makes of its score instead. Neither is NaN.
    #[inline]
    pub(crate) fn combine(&mut self, text: &[u8], score: f64, f: impl FnOnce(f64) -> f64) {
        let hash = self.table.hash(text);
        if let Some(slot) = self.table.find(hash, text) {
            let member = self.table.at(slot);
            let new = f(member.score());
            assert!(!new.is_nan(), "a score is a number");
            // SAFETY: the table owns the member and is borrowed for writing; nothing but the member itself knows its score.
            return unsafe { member.0.set_score(new) };
        }
        assert!(!score.is_nan(), "a score is a number");
        let member = self.members.make(text, score);
        self.table.insert_new(hash, member);
    }

    pub(crate) fn remove(&mut self, text: &[u8]) {
        if let Some(member) = self.table.remove(self.table.hash(text), text) {
            self.members.free(member);
        }
    }

    /// The set that they make.
    pub(crate) fn in_order(self) -> ScoredSet {
        let Gathered { table, members } = self;
        let mut places = Vec::with_capacity(table.len());
        table.for_each(|m| {
            places.push(Place {
                score: m.score(),
                member: m.0,
            });
        });
        places.sort_unstable_by(|a: &Place, b: &Place| {
            let scores = a.score.partial_cmp(&b.score);
            // SAFETY: the table owns the members, and is here still.
            let texts = || unsafe { a.member.text().cmp(b.member.text()) };
            scores.unwrap_or(Ordering::Equal).then_with(texts)
        });
        let tree = Tree::from_sorted(&places);
        ScoredSet {
            table,
            tree,
            members,
        }
    }
}

/// A member that was found, for a look at its score and a change of it. The set, which owns it, is borrowed, and so it lives.
pub(crate) struct Found<'a> {
    set: &'a mut ScoredSet,
    member: Ref,
}

impl Found<'_> {
    #[inline]
    pub(crate) fn score(&self) -> f64 {
        // SAFETY: it lives.
        unsafe { self.member.score() }
    }

    /// `score` is not NaN.
    #[inline]
    pub(crate) fn set_score(self, score: f64) {
        assert!(!score.is_nan(), "a score is a number");
        let old = self.score();
        // SAFETY: it lives on in the set, which this alone uses.
        unsafe {
            self.set.tree.set_score(self.member, old, score);
            self.member.set_score(score);
        }
    }
}

impl ScoredSet {
    /// An empty one with room for `capacity` members.
    pub(crate) fn new(capacity: usize) -> ScoredSet {
        let mut table = SubTable::shared();
        table.reserve(capacity);
        ScoredSet {
            table,
            tree: Tree::new(),
            members: Members::default(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether the table may resize from now on.
    pub(crate) fn set_resize(&mut self, resize: Resize) {
        self.table.set_resize(resize);
    }

    /// The hash of a member's bytes.
    #[inline]
    pub(crate) fn hash(&self, text: &[u8]) -> u64 {
        self.table.hash(text)
    }

    #[inline]
    fn find(&self, hash: u64, text: &[u8]) -> Option<Ref> {
        self.table.find(hash, text).map(|s| self.table.at(s).0)
    }

    /// The score of a member.
    #[inline]
    pub(crate) fn score(&self, text: &[u8]) -> Option<f64> {
        let slot = self.table.find(self.hash(text), text)?;
        Some(self.table.at(slot).score())
    }

    /// Adds a member that is not there; `hash` is that of its bytes. `score` is not NaN.
    #[inline]
    pub(crate) fn insert_new(&mut self, hash: u64, text: &[u8], score: f64) {
        assert!(!score.is_nan(), "a score is a number");
        debug_assert!(self.find(hash, text).is_none());
        let member = self.members.make(text, score);
        // SAFETY: the table has it from now on, and each way out of the table leads through the tree.
        unsafe { self.tree.insert(score, member.0) };
        self.table.insert_new(hash, member);
    }

    /// A member whose hash is at hand.
    #[inline]
    pub(crate) fn find_mut(&mut self, hash: u64, text: &[u8]) -> Option<Found<'_>> {
        let member = self.find(hash, text)?;
        Some(Found { set: self, member })
    }

    /// Removes a member; false when it was not there.
    pub(crate) fn remove(&mut self, text: &[u8]) -> bool {
        let hash = self.hash(text);
        let Some(member) = self.find(hash, text) else {
            return false;
        };
        // SAFETY: the table has it.
        let gone = unsafe { self.tree.remove(member.score(), member) };
        assert!(gone, "the tree has what the table has");
        if let Some(member) = self.table.remove(hash, text) {
            self.members.free(member);
        }
        true
    }

    /// Removes the members at these places in the order; returns how many there were.
    pub(crate) fn remove_range(&mut self, range: Range<usize>) -> usize {
        let end = range.end.min(self.len());
        let mut left = end.saturating_sub(range.start);
        let all = left;
        while left > 0 {
            let taken = self.tree.remove_some(range.start, left);
            left -= taken.len;
            for member in &taken.members[..taken.len] {
                // SAFETY: the table has it still, and gives it out before it is freed, when the text is not used any more.
                let text = unsafe { member.text() };
                if let Some(member) = self.table.remove(self.table.hash(text), text) {
                    self.members.free(member);
                }
            }
        }
        all
    }

    /// A member's place in the order, and its score.
    #[inline]
    pub(crate) fn rank(&self, text: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(text)?;
        Some((self.tree.rank(score, text), score))
    }

    /// How many members have a score for which `before` holds; it holds for a beginning of the order.
    #[inline]
    pub(crate) fn scores_before(&self, before: impl Fn(f64) -> bool) -> usize {
        self.tree.partition_point(|score, _| before(score))
    }

    /// How many members have bytes for which `before` holds; it holds for a beginning of the order, which it does only when
    /// all scores are equal.
    #[inline]
    pub(crate) fn texts_before(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.tree.partition_point(|_, text| before(text))
    }

    /// The member at this place in the order.
    pub(crate) fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.range(rank..rank + 1).next()
    }

    /// The members at these places, as far as there are any.
    #[inline]
    pub(crate) fn range(&self, range: Range<usize>) -> Iter<'_> {
        let end = range.end.min(self.len());
        let (leaf, at) = self.tree.leaf_at(range.start);
        Iter {
            tree: &self.tree,
            leaf,
            at,
            rank: range.start,
            end,
        }
    }

    /// The same members, the last one first.
    #[inline]
    pub(crate) fn range_rev(&self, range: Range<usize>) -> IterRev<'_> {
        let end = range.end.min(self.len());
        let (leaf, at) = self.tree.leaf_at(end.saturating_sub(1));
        IterRev {
            tree: &self.tree,
            leaf,
            at: (at + 1).min(leaf.members().len()),
            start: range.start,
            rank: end,
        }
    }

    /// Calls `f` with each of the members at these places, in order: quicker than [`ScoredSet::range`].
    #[inline]
    pub(crate) fn for_each_in(&self, range: Range<usize>, mut f: impl FnMut(&[u8], f64)) {
        let end = range.end.min(self.len());
        let mut rank = range.start;
        while rank < end {
            let (leaf, at) = self.tree.leaf_at(rank);
            let n = (leaf.members().len() - at).min(end - rank);
            let scores = &leaf.scores()[at..at + n];
            for (member, score) in leaf.members()[at..at + n].iter().zip(scores) {
                // SAFETY: what the tree has lives.
                f(unsafe { member.text() }, *score);
            }
            rank += n;
        }
    }

    /// The same, the last one first.
    #[inline]
    pub(crate) fn for_each_in_rev(&self, range: Range<usize>, mut f: impl FnMut(&[u8], f64)) {
        let mut left = range.end.min(self.len()).saturating_sub(range.start);
        while left > 0 {
            let (leaf, at) = self.tree.leaf_at(range.start + left - 1);
            let n = (at + 1).min(left);
            let part = at + 1 - n..at + 1;
            let scores = &leaf.scores()[part.clone()];
            for (member, score) in leaf.members()[part].iter().zip(scores).rev() {
                // SAFETY: what the tree has lives.
                f(unsafe { member.text() }, *score);
            }
            left -= n;
        }
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// Some members in the order of the table, for a scan; see [`super::table::Table::scan`].
    pub(crate) fn scan(&self, cursor: u64, mut f: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, |m| f(m.key(), m.score()))
    }

    /// The table itself, for DEBUG HTSTATS-KEY.
    pub(crate) fn table(&self) -> &SubTable<Scored> {
        &self.table
    }

    /// Bytes allocated for all of it, itself included.
    pub(crate) fn mem_usage(&self) -> usize {
        size_class(size_of::<ScoredSet>())
            + self.table.mem_usage()
            + self.tree.mem_usage()
            + self.members.mem_usage()
    }

    /// A copy that shares nothing.
    pub(crate) fn deep_clone(&self) -> ScoredSet {
        let mut copy = ScoredSet::new(self.len());
        for (text, score) in self.iter() {
            copy.insert_new(copy.hash(text), text, score);
        }
        copy
    }
}

/// See [`ScoredSet::range`].
pub(crate) struct Iter<'a> {
    tree: &'a Tree,
    leaf: &'a Leaf,
    /// The next member's index in the leaf, and its place in the order.
    at: usize,
    rank: usize,
    end: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        if self.rank >= self.end {
            return None;
        }
        if self.at == self.leaf.members().len() {
            (self.leaf, self.at) = self.tree.leaf_at(self.rank);
        }
        let item = (self.leaf.text(self.at), self.leaf.scores()[self.at]);
        self.at += 1;
        self.rank += 1;
        Some(item)
    }
}

/// See [`ScoredSet::range_rev`].
pub(crate) struct IterRev<'a> {
    tree: &'a Tree,
    leaf: &'a Leaf,
    /// The next member's index in the leaf and its place in the order, both plus one.
    at: usize,
    rank: usize,
    start: usize,
}

impl<'a> Iterator for IterRev<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        if self.rank <= self.start {
            return None;
        }
        self.rank -= 1;
        if self.at == 0 {
            let (leaf, at) = self.tree.leaf_at(self.rank);
            (self.leaf, self.at) = (leaf, at + 1);
        }
        self.at -= 1;
        Some((self.leaf.text(self.at), self.leaf.scores()[self.at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The model: sorted, and searched one by one.
    #[derive(Default)]
    struct Model(Vec<(f64, Vec<u8>)>);

    impl Model {
        fn order(a: &(f64, Vec<u8>), b: &(f64, Vec<u8>)) -> Ordering {
            a.0.partial_cmp(&b.0)
                .expect("no NaN")
                .then_with(|| a.1.cmp(&b.1))
        }

        fn put(&mut self, text: &[u8], score: f64) {
            self.remove(text);
            self.0.push((score, text.to_vec()));
            self.0.sort_by(Model::order);
        }

        fn remove(&mut self, text: &[u8]) -> bool {
            let before = self.0.len();
            self.0.retain(|m| m.1 != text);
            self.0.len() < before
        }
    }

    #[test]
    fn what_is_gathered_is_in_order_then_and_may_be_changed() {
        // Around the sizes at which leaves and inner nodes are full.
        for n in [
            0,
            1,
            2,
            62,
            63,
            64,
            126,
            127,
            63 * 26,
            63 * 26 + 1,
            63 * 26 * 2 + 5,
        ] {
            if n > crate::ds::effort::of(usize::MAX, 8) {
                break;
            }
            let mut gathered = Gathered::new(n / 2);
            let mut model = Model::default();
            for i in 0..n {
                let text = format!("m:{}", i * 7919 % n).into_bytes();
                gathered.combine(&text, (i % 50) as f64, |_| unreachable!("all differ"));
                model.0.push(((i % 50) as f64, text));
            }
            for i in (0..n).step_by(3) {
                let text = format!("m:{i}").into_bytes();
                gathered.combine(&text, f64::NAN, |old| old * 100.0 - 30.0);
                model
                    .0
                    .iter_mut()
                    .filter(|m| m.1 == text)
                    .for_each(|m| m.0 = m.0 * 100.0 - 30.0);
            }
            for i in (0..n).step_by(5) {
                let text = format!("m:{i}").into_bytes();
                gathered.remove(&text);
                model.remove(&text);
            }
            gathered.remove(b"nobody");
            model.0.sort_by(Model::order);
            assert_eq!(gathered.len(), model.0.len());
            let mut set = gathered.in_order();
            let check = |set: &ScoredSet, model: &Model| {
                set.tree.check();
                let got: Vec<_> = set.iter().map(|(m, score)| (score, m.to_vec())).collect();
                assert!(got == model.0);
                set.members.check(got.iter().map(|m| m.1.len()));
            };
            check(&set, &model);
            for i in 0..100 {
                let text = format!("new:{i}").into_bytes();
                put(&mut set, &text, f64::from(i * 31 % 60));
                model.0.push((f64::from(i * 31 % 60), text));
            }
            model.0.sort_by(Model::order);
            check(&set, &model);
            while set.len() > 10 {
                let text = model.0.remove(model.0.len() / 3).1;
                assert!(set.remove(&text));
            }
            check(&set, &model);
        }
    }

    fn put(s: &mut ScoredSet, text: &[u8], score: f64) {
        let hash = s.hash(text);
        match s.find_mut(hash, text) {
            Some(f) => {
                if f.score() != score {
                    f.set_score(score);
                }
            }
            None => s.insert_new(hash, text, score),
        }
    }

    fn assert_same(s: &ScoredSet, m: &Model) {
        s.tree.check();
        assert_eq!(s.len(), m.0.len());
        assert_eq!(s.table.len(), m.0.len());
        assert!(s.iter().eq(m.0.iter().map(|(d, t)| (t.as_slice(), *d))));
        s.members.check(m.0.iter().map(|(_, t)| t.len()));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Put(u16, f64),
        Nudge(u16, f64),
        Remove(u16),
        RemoveRange(usize, usize),
        Fill(u16, i8),
        Clone,
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0i32..40).prop_map(f64::from),
            4 => any::<i16>().prop_map(|n| f64::from(n) / 8.0),
            1 => Just(f64::INFINITY),
            1 => Just(f64::NEG_INFINITY),
            1 => Just(-0.0),
            1 => Just(0.0),
            1 => any::<f64>().prop_filter("a number", |d| !d.is_nan()),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            30 => (0..3000u16, score()).prop_map(|(n, d)| Op::Put(n, d)),
            6 => (0..3000u16, -1.0..1.0f64).prop_map(|(n, d)| Op::Nudge(n, d)),
            25 => (0..3000u16).prop_map(Op::Remove),
            2 => (0usize..900, 0usize..300).prop_map(|(a, n)| Op::RemoveRange(a, n)),
            2 => (0..2000u16, -1i8..2).prop_map(|(n, d)| Op::Fill(n, d)),
            1 => Just(Op::Clone),
        ]
    }

    fn name(n: u16) -> Vec<u8> {
        match n % 50 {
            0 => vec![n as u8; usize::from(n)],
            _ => format!("m{n}").into_bytes(),
        }
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::with_cases(60), 1))]
        #[test]
        fn behaves_as_a_sorted_list(ops in proptest::collection::vec(op(), 1..crate::ds::effort::of(400, 15))) {
            let mut s = ScoredSet::new(0);
            let mut m = Model::default();
            for o in ops {
                match o {
                    Op::Put(n, d) => {
                        put(&mut s, &name(n), d);
                        m.put(&name(n), d);
                    }
                    Op::Nudge(n, by) => {
                        if let Some(d) = s.score(&name(n)).filter(|d| d.is_finite()) {
                            put(&mut s, &name(n), d + by);
                            m.put(&name(n), d + by);
                        }
                    }
                    Op::Remove(n) => prop_assert_eq!(s.remove(&name(n)), m.remove(&name(n))),
                    Op::RemoveRange(a, n) => {
                        let end = (a + n).min(m.0.len());
                        let gone = if a < end { m.0.drain(a..end).count() } else { 0 };
                        prop_assert_eq!(s.remove_range(a..a + n), gone);
                    }
                    Op::Fill(n, step) => for i in 0..crate::ds::effort::of(200u16, 70) {
                        let d = f64::from(step) * f64::from(i);
                        put(&mut s, &name(n + i), d);
                        m.put(&name(n + i), d);
                    },
                    Op::Clone => s = s.deep_clone(),
                }
                assert_same(&s, &m);
            }
            for (i, (d, t)) in m.0.iter().enumerate() {
                let (rank, score) = s.rank(t).expect("a member");
                prop_assert!(rank == i && score == *d);
                prop_assert!(s.at(i) == Some((t.as_slice(), *d)));
            }
            prop_assert_eq!(s.at(m.0.len()), None);
            prop_assert_eq!(s.rank(b"nobody"), None);
            let mut seen = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = s.scan(cursor, |t, d| seen.push((d, t.to_vec())));
                if cursor == 0 { break }
            }
            seen.sort_by(Model::order);
            prop_assert!(seen == m.0);
        }

        #[test]
        fn ranges_in_both_directions(
            scores in proptest::collection::vec(score(), 0..crate::ds::effort::of(700, 40)),
            bounds in proptest::collection::vec((score(), 0usize..800, 0usize..800), 1..crate::ds::effort::of(20, 3)),
        ) {
            let mut s = ScoredSet::new(0);
            let mut m = Model::default();
            for (i, d) in scores.into_iter().enumerate() {
                s.insert_new(s.hash(&name(i as u16)), &name(i as u16), d);
                m.put(&name(i as u16), d);
            }
            assert_same(&s, &m);
            for (d, a, b) in bounds {
                prop_assert_eq!(s.scores_before(|x| x < d), m.0.iter().filter(|x| x.0 < d).count());
                prop_assert_eq!(s.scores_before(|x| x <= d), m.0.iter().filter(|x| x.0 <= d).count());
                let wanted: Vec<_> = m.0.iter().skip(a).take(b.saturating_sub(a))
                    .map(|(d, t)| (t.as_slice(), *d)).collect();
                let mut got: Vec<_> = s.range(a..b).collect();
                prop_assert!(got == wanted);
                got = s.range_rev(a..b).collect();
                got.reverse();
                prop_assert!(got == wanted);
                let mut seen = 0;
                s.for_each_in(a..b, |t, d| {
                    assert!(wanted[seen] == (t, d));
                    seen += 1;
                });
                prop_assert_eq!(seen, wanted.len());
                s.for_each_in_rev(a..b, |t, d| {
                    seen -= 1;
                    assert!(wanted[seen] == (t, d));
                });
                prop_assert_eq!(seen, 0);
            }
        }

        #[test]
        fn equal_scores_are_in_the_order_of_bytes(
            texts in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..4), 0..crate::ds::effort::of(500, 20)),
            bound in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut s = ScoredSet::new(0);
            // Any order but the sorted one.
            let mut shuffled: Vec<_> = texts.iter().collect();
            shuffled.sort_by_key(|t| s.hash(t));
            for t in shuffled {
                let zero = if t.len() % 2 == 0 { 0.0 } else { -0.0 };
                s.insert_new(s.hash(t), t, zero);
            }
            s.tree.check();
            prop_assert!(s.iter().map(|(t, _)| t).eq(texts.iter().map(Vec::as_slice)));
            let below = texts.iter().filter(|t| **t < bound).count();
            prop_assert_eq!(s.texts_before(|t| t < bound.as_slice()), below);
        }
    }

    #[test]
    fn sorted_input_lies_densely_and_random_input_well() {
        let per_member = |scores: &mut dyn Iterator<Item = u32>| {
            let mut s = ScoredSet::new(0);
            for d in scores {
                let text = format!("member:{d:09}");
                s.insert_new(s.hash(text.as_bytes()), text.as_bytes(), f64::from(d));
            }
            s.tree.check();
            s.mem_usage() / s.len()
        };
        if cfg!(miri) {
            // Of so few that the ends of nodes and tables weigh.
            assert!(per_member(&mut (0..100)) <= 120);
            return;
        }
        assert!(per_member(&mut (0..100_000)) <= 68);
        assert!(per_member(&mut (0..100_000).rev()) <= 68);
        let scattered = |i: u32| i.wrapping_mul(2_654_435_761) >> 4;
        assert!(per_member(&mut (0..100_000).map(scattered)) <= 76);
    }

    #[test]
    fn it_shrinks_when_emptied_from_any_side() {
        for way in crate::ds::effort::of(0, 2)..3 {
            let mut s = ScoredSet::new(0);
            let empty = s.tree.mem_usage();
            let n = crate::ds::effort::of(20_000u32, 190);
            for i in 0..n {
                let text = i.to_le_bytes();
                s.insert_new(s.hash(&text), &text, f64::from(i));
            }
            let full = s.tree.mem_usage();
            let rest = crate::ds::effort::of(1000, 40);
            for i in 0..n as usize - rest {
                let at = match way {
                    0 => 0,
                    1 => s.len() - 1,
                    _ => i * 7919 % s.len(),
                };
                assert_eq!(s.remove_range(at..at + 1), 1);
            }
            s.tree.check();
            let left = s.tree.mem_usage();
            assert!(
                left * crate::ds::effort::of(8, 3) < full,
                "{left} of {full}"
            );
            assert_eq!(s.remove_range(0..usize::MAX), rest);
            assert_eq!((s.len(), s.tree.mem_usage()), (0, empty));
            s.members.check(std::iter::empty());
            assert!(s.iter().next().is_none() && s.range_rev(0..9).next().is_none());
        }
    }

    #[test]
    #[should_panic(expected = "a score is a number")]
    fn nan_is_refused() {
        let mut s = ScoredSet::new(0);
        s.insert_new(s.hash(b"a"), b"a", f64::NAN);
    }
}
