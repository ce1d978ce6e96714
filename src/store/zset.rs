//! Values of type zset (the encodings of t_zset.c): a listpack of members and scores in turn, in order, while they are few
//! and short, a [`ScoredSet`] else, which answers `skiplist`.
//!
//! Both give each member a rank, so a range by score, by bytes or by index is a range of ranks, and whatever is done to a
//! range is done to ranks.
//!
//! Invariants: members are in the order of score, then bytes; no score is NaN. Nothing but a store of a result leads back
//! from a tree to a listpack. A sorted set that is stored is never empty, but for the moment in which a command takes its
//! last member.
//!
//! It knows nothing of keys, clients and the configuration, but for the limits that it is handed.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

use crate::base::num::{D2STRING_SIZE, d2string, double2ll, string2d, string2d_range};
use crate::base::random::{Prng, Selection};
use crate::base::strtod::strtod;
use crate::config::fields::Config;
use crate::ds::listpack::{self, Listpack, ListpackBuilder, LpPos, LpValue};
use crate::ds::ordered::{self, Gathered, ScoredSet};
use crate::ds::owned::Own;
use crate::ds::table::Resize;

/// A sample of more than a third of the members passes over all of them (ZRANDMEMBER_SUB_STRATEGY_MUL).
const PASS_RATIO: usize = 3;

/// What decides about encodings, and whether a table may resize.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZsetLimits {
    /// `zset-max-listpack-entries`
    pub listpack_entries: usize,
    /// `zset-max-listpack-value`, in bytes.
    pub listpack_value: usize,
    pub resize: Resize,
}

impl ZsetLimits {
    pub(crate) fn new(config: &Config, resize: Resize) -> ZsetLimits {
        ZsetLimits {
            listpack_entries: config.zset_max_listpack_entries,
            listpack_value: config.zset_max_listpack_value,
            resize,
        }
    }
}

/// What hangs off the entry of a big sorted set.
pub(crate) type ZsetTree = ScoredSet;

/// A sorted set, by encoding.
pub(crate) enum Zset {
    Listpack(Listpack),
    Tree(Own<ZsetTree>),
}

/// When and how [`Zset::add`] changes something (ZADD_IN_*).
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct AddFlags {
    /// The score is added to the one that is there.
    pub incr: bool,
    /// Only new members.
    pub nx: bool,
    /// Only members that are there.
    pub xx: bool,
    /// Only to a greater score.
    pub gt: bool,
    /// Only to a smaller score.
    pub lt: bool,
}

/// What [`Zset::add`] did, and the member's score after it (ZADD_OUT_*).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Added {
    New(f64),
    Updated(f64),
    /// It has this score already.
    Same(f64),
    /// The flags forbade it.
    Nop,
}

/// The score would not be a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotANumber;

impl AddFlags {
    /// What becomes of a member that is there.
    #[inline]
    fn decide(self, old: f64, score: f64) -> Result<Added, NotANumber> {
        if self.nx {
            return Ok(Added::Nop);
        }
        let score = if self.incr { score + old } else { score };
        if score.is_nan() {
            return Err(NotANumber);
        }
        Ok(if (self.lt && score >= old) || (self.gt && score <= old) {
            Added::Nop
        } else if score == old {
            Added::Same(score)
        } else {
            Added::Updated(score)
        })
    }
}

/// A range of scores (zrangespec).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreRange {
    pub min: f64,
    pub max: f64,
    pub min_excluded: bool,
    pub max_excluded: bool,
}

impl ScoreRange {
    /// From two arguments; `None` when one of them is no number (zslParseRange).
    pub(crate) fn parse(min: &[u8], max: &[u8]) -> Option<ScoreRange> {
        fn bound(s: &[u8]) -> Option<(f64, bool)> {
            match s {
                [b'(', rest @ ..] => Some((string2d_range(rest)?, true)),
                _ => Some((string2d_range(s)?, false)),
            }
        }
        let ((min, min_excluded), (max, max_excluded)) = (bound(min)?, bound(max)?);
        Some(ScoreRange {
            min,
            max,
            min_excluded,
            max_excluded,
        })
    }

    /// zslValueGteMin
    #[inline]
    fn reaches_min(&self, score: f64) -> bool {
        if self.min_excluded {
            score > self.min
        } else {
            score >= self.min
        }
    }

    /// zslValueLteMax
    #[inline]
    fn within_max(&self, score: f64) -> bool {
        if self.max_excluded {
            score < self.max
        } else {
            score <= self.max
        }
    }
}

/// A bound of a range of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LexBound<'a> {
    /// `-`: below every string.
    Lowest,
    /// `+`: above every string.
    Highest,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
}

impl<'a> LexBound<'a> {
    /// zslParseLexRangeItem
    fn parse(s: &'a [u8]) -> Option<LexBound<'a>> {
        match s {
            // As C sees it: a NUL ends the text.
            [b'+'] | [b'+', 0, ..] => Some(LexBound::Highest),
            [b'-'] | [b'-', 0, ..] => Some(LexBound::Lowest),
            [b'(', rest @ ..] => Some(LexBound::Excluded(rest)),
            [b'[', rest @ ..] => Some(LexBound::Included(rest)),
            _ => None,
        }
    }

    /// How a string compares with it.
    #[inline]
    fn order_of(self, s: &[u8]) -> Ordering {
        match self {
            LexBound::Lowest => Ordering::Greater,
            LexBound::Highest => Ordering::Less,
            LexBound::Included(b) | LexBound::Excluded(b) => s.cmp(b),
        }
    }
}

/// A range of bytes, for members that all have one score (zlexrangespec).
#[derive(Clone, Copy, Debug)]
pub(crate) struct LexRange<'a> {
    pub min: LexBound<'a>,
    pub max: LexBound<'a>,
}

impl<'a> LexRange<'a> {
    /// From two arguments; `None` when one of them is no bound (zslParseLexRange).
    pub(crate) fn parse(min: &'a [u8], max: &'a [u8]) -> Option<LexRange<'a>> {
        Some(LexRange {
            min: LexBound::parse(min)?,
            max: LexBound::parse(max)?,
        })
    }

    /// zslLexValueGteMin
    #[inline]
    fn reaches_min(&self, s: &[u8]) -> bool {
        match self.min.order_of(s) {
            Ordering::Greater => true,
            Ordering::Equal => matches!(self.min, LexBound::Included(_)),
            Ordering::Less => false,
        }
    }

    /// zslLexValueLteMax
    #[inline]
    fn within_max(&self, s: &[u8]) -> bool {
        match self.max.order_of(s) {
            Ordering::Less => true,
            Ordering::Equal => matches!(self.max, LexBound::Included(_)),
            Ordering::Greater => false,
        }
    }

    /// No string is in it, whatever there is.
    fn is_void(&self) -> bool {
        use LexBound::{Excluded, Highest, Included, Lowest};
        match (self.min, self.max) {
            (Highest, _) | (_, Lowest) => true,
            (Lowest, _) | (_, Highest) => false,
            (Included(a), Included(b)) => a > b,
            (Included(a) | Excluded(a), Included(b) | Excluded(b)) => a >= b,
        }
    }
}

/// Members of a sorted set with their scores.
pub(crate) enum Iter<'a> {
    Listpack(listpack::Iter<'a>, usize),
    Tree(ordered::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (LpValue<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Listpack(i, left) => {
                *left = left.checked_sub(1)?;
                Some((i.next()?, score_of(i.next()?)))
            }
            Iter::Tree(i) => i.next().map(|(text, score)| (LpValue::Str(text), score)),
        }
    }
}

/// The same from the last one to the first.
pub(crate) enum IterRev<'a> {
    /// The next member's place, and how many are left.
    Listpack(&'a Listpack, Option<LpPos>, usize),
    Tree(ordered::IterRev<'a>),
}

impl<'a> Iterator for IterRev<'a> {
    type Item = (LpValue<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            IterRev::Listpack(lp, at, left) => {
                *left = left.checked_sub(1)?;
                let p = (*at)?;
                let item = (lp.get(p), score_of(lp.get(lp.next(p)?)));
                *at = lp.prev(p).and_then(|score| lp.prev(score));
                Some(item)
            }
            IterRev::Tree(i) => i.next().map(|(text, score)| (LpValue::Str(text), score)),
        }
    }
}

/// The score that an element of a listpack stands for (zzlGetScore). A damaged file may hold anything.
#[inline]
fn score_of(v: LpValue<'_>) -> f64 {
    match v {
        LpValue::Int(n) => n as f64,
        LpValue::Str(s) => string2d(s).unwrap_or_else(|| {
            let d = strtod(s).value;
            if d.is_nan() { 0.0 } else { d }
        }),
    }
}

/// The place of a member (zzlFind).
#[inline]
fn find(lp: &Listpack, member: &[u8]) -> Option<LpPos> {
    lp.find(lp.first()?, member, 1)
}

/// The score of the member at `p`.
#[inline]
fn score_at(lp: &Listpack, p: LpPos) -> f64 {
    lp.next(p).map_or(0.0, |s| score_of(lp.get(s)))
}

#[inline]
fn is_before(v: LpValue<'_>, member: &[u8]) -> bool {
    match v {
        LpValue::Str(s) => s < member,
        LpValue::Int(_) => v.with_bytes(|s| s < member),
    }
}

/// Before which member one that is not there belongs; none, if it would be the last.
#[inline]
fn place_for(lp: &Listpack, member: &[u8], score: f64) -> Option<LpPos> {
    let belongs_before = |there: LpValue<'_>, its_score: LpValue<'_>| {
        let its_score = score_of(its_score);
        its_score > score || (its_score == score && !is_before(there, member))
    };
    // Often it is the last.
    let last = lp.last()?;
    let before_last = lp.prev(last)?;
    if !belongs_before(lp.get(before_last), lp.get(last)) {
        return None;
    }
    let mut p = lp.first()?;
    loop {
        let at = lp.next(p)?;
        let its_score = score_of(lp.get(at));
        // Few scores are equal: the member is looked at only then.
        if its_score > score || (its_score == score && !is_before(lp.get(p), member)) {
            return Some(p);
        }
        p = lp.next(at)?;
    }
}

/// Adds a member, which is not there, where it belongs (zzlInsert).
fn insert(lp: &mut Listpack, member: &[u8], score: f64) {
    let before = place_for(lp, member, score);
    match double2ll(score) {
        Some(n) => lp.insert_pair(before, member, LpValue::Int(n)),
        None => {
            let mut text = [0; D2STRING_SIZE];
            let text = d2string(&mut text, score);
            lp.insert_pair(before, member, LpValue::Str(text));
        }
    }
}

impl Zset {
    /// An empty one for about so many members of about this length (zsetTypeCreate).
    pub(crate) fn create(members: usize, length: usize, limits: &ZsetLimits) -> Zset {
        if members <= limits.listpack_entries && length <= limits.listpack_value {
            Zset::Listpack(Listpack::new())
        } else {
            Zset::Tree(Own::new(ScoredSet::new(members)))
        }
    }

    /// A sorted set of these members, as a store of a result makes it (GEORADIUS ... STORE).
    pub(crate) fn from_members<'m>(
        members: impl Iterator<Item = (&'m [u8], f64)>,
        config: &Config,
    ) -> Zset {
        let mut b = ZsetBuilder::default();
        for (member, score) in members {
            b.put(member, score);
        }
        b.finish(&ZsetLimits::new(config, Resize::Allow))
    }

    /// Becomes a tree when so many members are to come that a listpack would not last (zsetTypeMaybeConvert).
    #[inline]
    pub(crate) fn maybe_convert(&mut self, members: usize, limits: &ZsetLimits) {
        if members > limits.listpack_entries {
            self.convert_to_tree(members);
        }
    }

    /// A tree that the limits allow to be a listpack becomes one (zsetConvertToListpackIfNeeded).
    pub(crate) fn convert_to_listpack_if_needed(self, limits: &ZsetLimits) -> Zset {
        match self {
            Zset::Tree(set) => in_smallest_encoding(set.into_inner(), limits),
            small => small,
        }
    }

    /// zsetConvertAndExpand to a skiplist.
    #[cold]
    pub(crate) fn convert_to_tree(&mut self, capacity: usize) {
        let Zset::Listpack(lp) = self else {
            return;
        };
        let mut set = ScoredSet::new(capacity.max(lp.len() / 2));
        for (member, score) in self.iter() {
            member.with_bytes(|m| put(&mut set, m, score));
        }
        *self = Zset::Tree(Own::new(set));
    }

    /// Number of members (zsetLength).
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Zset::Listpack(lp) => lp.len() / 2,
            Zset::Tree(t) => t.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member (zsetScore).
    #[inline]
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Listpack(lp) => find(lp, member).map(|p| score_at(lp, p)),
            Zset::Tree(t) => t.score(member),
        }
    }

    /// The same for a member as another collection has it.
    pub(crate) fn score_of_value(&self, member: LpValue<'_>) -> Option<f64> {
        match member {
            LpValue::Str(s) => self.score(s),
            LpValue::Int(_) => member.with_bytes(|s| self.score(s)),
        }
    }

    /// Adds a member or changes its score (zsetAdd).
    ///
    /// # Errors
    /// The score is not a number, or becomes none.
    #[inline]
    pub(crate) fn add(
        &mut self,
        score: f64,
        member: &[u8],
        flags: AddFlags,
        limits: &ZsetLimits,
    ) -> Result<Added, NotANumber> {
        if score.is_nan() {
            return Err(NotANumber);
        }
        if let Zset::Listpack(lp) = self {
            if let Some(p) = find(lp, member) {
                let done = flags.decide(score_at(lp, p), score)?;
                if let Added::Updated(new) = done {
                    lp.delete_range(p, 2);
                    insert(lp, member, new);
                }
                return Ok(done);
            }
            if flags.xx {
                return Ok(Added::Nop);
            }
            if lp.len() / 2 < limits.listpack_entries
                && member.len() <= limits.listpack_value
                && lp.safe_to_add(member.len())
            {
                insert(lp, member, score);
                return Ok(Added::New(score));
            }
            let capacity = self.len() + 1;
            self.convert_to_tree(capacity);
        }
        let Zset::Tree(t) = self else {
            return Ok(Added::Nop);
        };
        let hash = t.hash(member);
        if let Some(found) = t.find_mut(hash, member) {
            let done = flags.decide(found.score(), score)?;
            if let Added::Updated(new) = done {
                found.set_score(new);
            }
            return Ok(done);
        }
        if flags.xx {
            return Ok(Added::Nop);
        }
        t.set_resize(limits.resize);
        t.insert_new(hash, member, score);
        Ok(Added::New(score))
    }

    /// Removes a member; false when it was not there (zsetDel).
    pub(crate) fn remove(&mut self, member: &[u8], limits: &ZsetLimits) -> bool {
        match self {
            Zset::Listpack(lp) => match find(lp, member) {
                Some(p) => {
                    lp.delete_range(p, 2);
                    true
                }
                None => false,
            },
            Zset::Tree(t) => {
                t.set_resize(limits.resize);
                t.remove(member)
            }
        }
    }

    /// Removes the members of these ranks; returns how many there were.
    pub(crate) fn remove_range(&mut self, range: Range<usize>, limits: &ZsetLimits) -> usize {
        let n = range.end.min(self.len()).saturating_sub(range.start);
        match self {
            _ if n == 0 => {}
            Zset::Listpack(lp) => lp.delete_range_with_index(range.start as i64 * 2, n * 2),
            Zset::Tree(t) => {
                t.set_resize(limits.resize);
                t.remove_range(range);
            }
        }
        n
    }

    /// A member's rank, counted from the lowest score, and its score (zsetRank).
    #[inline]
    pub(crate) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Zset::Tree(t) => t.rank(member),
            Zset::Listpack(lp) => {
                let found = find(lp, member)?;
                let rank = places(lp).take_while(|p| *p != found).count();
                Some((rank, score_at(lp, found)))
            }
        }
    }

    /// The ranks of the members in a range of scores; empty when there are none.
    #[inline]
    pub(crate) fn score_range(&self, r: &ScoreRange) -> Range<usize> {
        let void = r.min > r.max || (r.min == r.max && (r.min_excluded || r.max_excluded));
        if void {
            return 0..0;
        }
        let start;
        let end = match self {
            Zset::Tree(t) => {
                start = t.scores_before(|score| !r.reaches_min(score));
                t.scores_before(|score| r.within_max(score))
            }
            Zset::Listpack(_) => {
                let mut scores = self.iter().map(|(_, score)| score).peekable();
                let mut rank = 0;
                while scores.next_if(|score| !r.reaches_min(*score)).is_some() {
                    rank += 1;
                }
                start = rank;
                rank + scores.take_while(|score| r.within_max(*score)).count()
            }
        };
        start..end.max(start)
    }

    /// The ranks of the members in a range of bytes; empty when there are none. When scores differ, there is no such range:
    /// then it is what a walk through a listpack finds, from the end when `reverse`.
    pub(crate) fn lex_range(&self, r: &LexRange<'_>, reverse: bool) -> Range<usize> {
        if r.is_void() {
            return 0..0;
        }
        let (start, end) = match self {
            Zset::Tree(t) => (
                t.texts_before(|s| !r.reaches_min(s)),
                t.texts_before(|s| r.within_max(s)),
            ),
            Zset::Listpack(lp) => {
                let reaches = |p: &LpPos| lp.get(*p).with_bytes(|s| r.reaches_min(s));
                let within = |p: &LpPos| lp.get(*p).with_bytes(|s| r.within_max(s));
                let last = lp.last().and_then(|s| lp.prev(s));
                if !last.is_some_and(|p| reaches(&p)) || !lp.first().is_some_and(|p| within(&p)) {
                    return 0..0;
                }
                let len = self.len();
                if reverse {
                    let all: Vec<LpPos> = places(lp).collect();
                    let end = len - all.iter().rev().take_while(|p| !within(p)).count();
                    let n = all[..end].iter().rev().take_while(|p| reaches(p)).count();
                    (end - n, end)
                } else {
                    let start = places(lp).take_while(|p| !reaches(p)).count();
                    let n = places(lp).skip(start).take_while(within).count();
                    (start, start + n)
                }
            }
        };
        start..end.max(start)
    }

    /// The ranks from `start` to `stop`, which is included; negative ones count from the end.
    #[inline]
    pub(crate) fn rank_range(&self, start: i64, stop: i64) -> Range<usize> {
        let len = self.len() as i64;
        let absolute = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
        let (start, stop) = (absolute(start).max(0), absolute(stop).min(len - 1));
        if start > stop {
            return 0..0;
        }
        // Both lie within the length.
        start as usize..stop as usize + 1
    }

    /// The members of these ranks, in order.
    #[inline]
    pub(crate) fn range(&self, range: Range<usize>) -> Iter<'_> {
        match self {
            Zset::Tree(t) => Iter::Tree(t.range(range)),
            Zset::Listpack(lp) => match lp.seek(range.start as i64 * 2) {
                Some(p) => Iter::Listpack(lp.iter_from(p), range.len()),
                None => Iter::Listpack(lp.iter(), 0),
            },
        }
    }

    /// The members of these ranks, the last one first.
    #[inline]
    pub(crate) fn range_rev(&self, range: Range<usize>) -> IterRev<'_> {
        match self {
            Zset::Tree(t) => IterRev::Tree(t.range_rev(range)),
            Zset::Listpack(lp) => {
                let end = range.end.min(self.len());
                let n = end.saturating_sub(range.start);
                let last = (n > 0).then(|| lp.seek((end as i64 - 1) * 2)).flatten();
                IterRev::Listpack(lp, last, n)
            }
        }
    }

    /// Calls `f` with each of the members of these ranks, the last one first when `reverse`: quicker than the iterators.
    #[inline]
    pub(crate) fn for_each_in(
        &self,
        range: Range<usize>,
        reverse: bool,
        mut f: impl FnMut(LpValue<'_>, f64),
    ) {
        match (self, reverse) {
            (Zset::Tree(t), false) => t.for_each_in(range, |text, s| f(LpValue::Str(text), s)),
            (Zset::Tree(t), true) => t.for_each_in_rev(range, |text, s| f(LpValue::Str(text), s)),
            (Zset::Listpack(_), false) => self.range(range).for_each(|(m, s)| f(m, s)),
            (Zset::Listpack(_), true) => self.range_rev(range).for_each(|(m, s)| f(m, s)),
        }
    }

    /// All members in order.
    #[inline]
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Zset::Tree(t) => Iter::Tree(t.iter()),
            Zset::Listpack(lp) => Iter::Listpack(lp.iter(), usize::MAX),
        }
    }

    /// Calls `f` with each member whose score is at least `min` and below `end`, in order, until `f` says no.
    pub(crate) fn for_each_in_score_range(
        &self,
        min: f64,
        end: f64,
        mut f: impl FnMut(&[u8], f64) -> bool,
    ) {
        let range = self.score_range(&ScoreRange {
            min,
            max: end,
            min_excluded: false,
            max_excluded: true,
        });
        for (member, score) in self.range(range) {
            if !member.with_bytes(|m| f(m, score)) {
                return;
            }
        }
    }

    /// A random member, each with the same chance; none of an empty set (zsetTypeRandomElement).
    pub(crate) fn random(&self, prng: &mut Prng) -> Option<(LpValue<'_>, f64)> {
        let rank = prng.index(self.len());
        self.range(rank..rank + 1).next()
    }

    /// Calls `f` with `n` random members, each of which may come again.
    pub(crate) fn random_many(&self, n: u64, prng: &mut Prng, mut f: impl FnMut(LpValue<'_>, f64)) {
        if let Zset::Listpack(lp) = self {
            let places: Vec<LpPos> = places(lp).collect();
            for _ in 0..if places.is_empty() { 0 } else { n } {
                let p = places[prng.index(places.len())];
                f(lp.get(p), score_at(lp, p));
            }
            return;
        }
        for _ in 0..n {
            let Some((member, score)) = self.random(prng) else {
                return;
            };
            f(member, score);
        }
    }

    /// Calls `f` with `count` different members, each subset with the same chance; in no particular order.
    pub(crate) fn sample(
        &self,
        count: usize,
        prng: &mut Prng,
        mut f: impl FnMut(LpValue<'_>, f64),
    ) {
        let len = self.len();
        if let Zset::Tree(t) = self
            && count.saturating_mul(PASS_RATIO) <= len
        {
            // Few of many: try until they differ.
            let mut seen = HashSet::new();
            while seen.len() < count {
                let rank = prng.index(len);
                if seen.insert(rank)
                    && let Some((member, score)) = t.at(rank)
                {
                    f(LpValue::Str(member), score);
                }
            }
            return;
        }
        let mut selection = Selection::new(len, count);
        for (member, score) in self.iter() {
            if selection.takes(prng) {
                f(member, score);
            }
            if selection.is_done() {
                return;
            }
        }
    }

    /// Bytes that hang off the entry.
    pub(crate) fn mem_usage(&self) -> usize {
        match self {
            Zset::Listpack(lp) => lp.mem_usage(),
            Zset::Tree(t) => t.mem_usage(),
        }
    }

    /// How many allocations it takes to free it, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        match self {
            Zset::Tree(t) => t.len(),
            Zset::Listpack(_) => 1,
        }
    }

    /// A copy in the same encoding (zsetDup).
    pub(crate) fn deep_clone(&self) -> Zset {
        match self {
            Zset::Listpack(lp) => Zset::Listpack(lp.deep_clone()),
            Zset::Tree(t) => Zset::Tree(Own::new(t.deep_clone())),
        }
    }
}

/// Where the members are.
fn places(lp: &Listpack) -> impl Iterator<Item = LpPos> {
    std::iter::successors(lp.first(), |p| lp.next(lp.next(*p)?))
}

/// Adds a member, or gives it the score.
fn put(set: &mut ScoredSet, member: &[u8], score: f64) {
    let hash = set.hash(member);
    match set.find_mut(hash, member) {
        Some(found) => {
            if found.score() != score {
                found.set_score(score);
            }
        }
        None => set.insert_new(hash, member, score),
    }
}

/// Gathers the result of a command that combines sets or stores a selection.
pub(crate) struct ZsetBuilder(Gathered);

impl Default for ZsetBuilder {
    fn default() -> ZsetBuilder {
        ZsetBuilder::with_capacity(0)
    }
}

impl ZsetBuilder {
    /// Nothing, with room for so many members.
    pub(crate) fn with_capacity(members: usize) -> ZsetBuilder {
        ZsetBuilder(Gathered::new(members))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a member or changes its score, which is not NaN.
    pub(crate) fn put(&mut self, member: &[u8], score: f64) {
        self.combine(member, score, |_| score);
    }

    /// Adds a member with a score; one that is there gets what `f` makes of its score instead. Neither is NaN.
    pub(crate) fn combine(&mut self, member: &[u8], score: f64, f: impl FnOnce(f64) -> f64) {
        self.0.combine(member, score, f);
    }

    pub(crate) fn remove(&mut self, member: &[u8]) {
        self.0.remove(member);
    }

    /// The result, to be read.
    pub(crate) fn in_order(self) -> ScoredSet {
        self.0.in_order()
    }

    /// The result, in the smaller encoding if the limits allow it.
    pub(crate) fn finish(self, limits: &ZsetLimits) -> Zset {
        in_smallest_encoding(self.in_order(), limits)
    }
}

/// A set in the smaller encoding if the limits allow it (zsetConvertToListpackIfNeeded).
fn in_smallest_encoding(set: ScoredSet, limits: &ZsetLimits) -> Zset {
    let (mut longest, mut total) = (0, 0);
    if set.len() <= limits.listpack_entries {
        for (member, _) in set.iter() {
            longest = longest.max(member.len());
            total += member.len();
        }
    }
    if set.len() > limits.listpack_entries
        || longest > limits.listpack_value
        || total > listpack::MAX_SAFETY_SIZE
    {
        return Zset::Tree(Own::new(set));
    }
    let mut b = ListpackBuilder::with_capacity(total + set.len() * 12);
    let mut text = [0; D2STRING_SIZE];
    for (member, score) in set.iter() {
        b.push(member);
        match double2ll(score) {
            Some(n) => b.push_int(n),
            None => b.push(d2string(&mut text, score)),
        }
    }
    Zset::Listpack(b.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::Encoding;
    use crate::store::entry::value::SlotValue;
    use proptest::prelude::*;

    const LIMITS: ZsetLimits = ZsetLimits {
        listpack_entries: 12,
        listpack_value: 10,
        resize: Resize::Allow,
    };

    /// What a sorted set is: members in the order of score, then bytes.
    #[derive(Default, Clone)]
    struct Model(Vec<(f64, Vec<u8>)>);

    impl Model {
        fn put(&mut self, member: &[u8], score: f64) {
            self.0.retain(|m| m.1 != member);
            let at = self
                .0
                .partition_point(|m| m.0 < score || (m.0 == score && m.1.as_slice() < member));
            self.0.insert(at, (score, member.to_vec()));
        }

        fn score(&self, member: &[u8]) -> Option<f64> {
            self.0.iter().find(|m| m.1 == member).map(|m| m.0)
        }

        /// zsetAdd, told once more.
        fn add(&mut self, score: f64, member: &[u8], f: AddFlags) -> Result<Added, NotANumber> {
            let Some(old) = self.score(member) else {
                if f.xx {
                    return Ok(Added::Nop);
                }
                self.put(member, score);
                return Ok(Added::New(score));
            };
            let new = if f.incr { old + score } else { score };
            if f.nx {
                return Ok(Added::Nop);
            }
            if new.is_nan() {
                return Err(NotANumber);
            }
            if (f.gt && new <= old) || (f.lt && new >= old) {
                return Ok(Added::Nop);
            }
            if new == old {
                return Ok(Added::Same(new));
            }
            self.put(member, new);
            Ok(Added::Updated(new))
        }

        fn ranks(&self, inside: impl Fn(&(f64, Vec<u8>)) -> bool) -> Range<usize> {
            let start = self.0.iter().position(&inside).unwrap_or(0);
            let n = self.0.iter().filter(|m| inside(m)).count();
            start..start + n
        }
    }

    fn content(z: &Zset) -> Vec<(f64, Vec<u8>)> {
        z.iter().map(|(m, s)| (s, m.to_vec())).collect()
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            5 => (-3i32..12).prop_map(|n| n.to_string().into_bytes()),
            4 => proptest::collection::vec(b'a'..b'd', 0..3),
            1 => proptest::collection::vec(any::<u8>(), 0..14),
        ]
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-3i32..5).prop_map(f64::from),
            2 => (-9i32..9).prop_map(|n| f64::from(n) / 4.0),
            1 => Just(f64::INFINITY),
            1 => Just(f64::NEG_INFINITY),
            1 => Just(-0.0),
            1 => any::<i64>().prop_map(|n| n as f64),
            1 => any::<f64>().prop_filter("a number", |d| !d.is_nan()),
        ]
    }

    fn flags() -> impl Strategy<Value = AddFlags> {
        (any::<bool>(), 0..7).prop_map(|(incr, n)| AddFlags {
            incr,
            nx: n == 1,
            xx: n == 2 || n == 3 || n == 4,
            gt: n == 3 || n == 5,
            lt: n == 4 || n == 6,
        })
    }

    #[derive(Debug, Clone)]
    enum Op {
        Add(f64, Vec<u8>, AddFlags),
        Put(f64, Vec<u8>),
        Remove(Vec<u8>),
        RemoveRanks(i64, i64),
        RemoveScores(f64, f64),
        Prepare(usize),
        Rebuild,
        Clone,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (score(), member(), flags()).prop_map(|(s, m, f)| Op::Add(s, m, f)),
            8 => (score(), member()).prop_map(|(s, m)| Op::Put(s, m)),
            6 => member().prop_map(Op::Remove),
            1 => (-20i64..20, -20i64..20).prop_map(|(a, b)| Op::RemoveRanks(a, b)),
            1 => (score(), score()).prop_map(|(a, b)| Op::RemoveScores(a, b)),
            1 => (0usize..16).prop_map(Op::Prepare),
            1 => Just(Op::Rebuild),
            1 => Just(Op::Clone),
        ]
    }

    fn score_range() -> impl Strategy<Value = ScoreRange> {
        (score(), score(), any::<bool>(), any::<bool>()).prop_map(|(min, max, a, b)| ScoreRange {
            min,
            max,
            min_excluded: a,
            max_excluded: b,
        })
    }

    fn rank_range(len: usize, start: i64, stop: i64) -> Range<usize> {
        let len = len as i64;
        let at = |i: i64| if i < 0 { i + len } else { i };
        let (a, b) = (at(start).max(0), at(stop).min(len - 1));
        if a > b {
            0..0
        } else {
            a as usize..b as usize + 1
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_list(
            ops in proptest::collection::vec(op(), 1..120),
            ranges in proptest::collection::vec(score_range(), 1..6),
            ranks in proptest::collection::vec((-25i64..25, -25i64..25), 1..6),
        ) {
            let mut z = Zset::create(0, 0, &LIMITS);
            let mut m = Model::default();
            let mut tree = false;
            for o in ops {
                match o {
                    Op::Add(score, member, f) => {
                        let done = m.add(score, &member, f);
                        prop_assert_eq!(z.add(score, &member, f, &LIMITS), done);
                        if let Ok(Added::New(_)) = done {
                            tree |= member.len() > LIMITS.listpack_value || m.0.len() > LIMITS.listpack_entries;
                        }
                    }
                    Op::Put(score, member) => {
                        let done = m.add(score, &member, AddFlags::default());
                        prop_assert_eq!(z.add(score, &member, AddFlags::default(), &LIMITS), done);
                        if let Ok(Added::New(_)) = done {
                            tree |= member.len() > LIMITS.listpack_value || m.0.len() > LIMITS.listpack_entries;
                        }
                    }
                    Op::Remove(member) => {
                        let there = m.score(&member).is_some();
                        m.0.retain(|x| x.1 != member);
                        prop_assert_eq!(z.remove(&member, &LIMITS), there);
                    }
                    Op::RemoveRanks(a, b) => {
                        let r = rank_range(m.0.len(), a, b);
                        prop_assert_eq!(z.rank_range(a, b), r.clone());
                        prop_assert_eq!(z.remove_range(r.clone(), &LIMITS), r.len());
                        m.0.drain(r);
                    }
                    Op::RemoveScores(min, max) => {
                        let r = ScoreRange { min, max, min_excluded: false, max_excluded: true };
                        let before = m.0.len();
                        m.0.retain(|x| !(x.0 >= min && x.0 < max));
                        prop_assert_eq!(z.remove_range(z.score_range(&r), &LIMITS), before - m.0.len());
                    }
                    Op::Prepare(n) => {
                        z.maybe_convert(n, &LIMITS);
                        tree |= n > LIMITS.listpack_entries;
                    }
                    Op::Rebuild => {
                        let mut b = ZsetBuilder::default();
                        z.iter().for_each(|(member, score)| member.with_bytes(|x| b.put(x, score)));
                        z = b.finish(&LIMITS);
                        tree = m.0.len() > LIMITS.listpack_entries
                            || m.0.iter().any(|x| x.1.len() > LIMITS.listpack_value);
                    }
                    Op::Clone => z = z.deep_clone(),
                }
                let encoding = if tree { Encoding::Skiplist } else { Encoding::Listpack };
                prop_assert_eq!(z.encoding(), encoding);
                prop_assert_eq!(z.len(), m.0.len());
                prop_assert_eq!(content(&z), m.0.clone());
                if let Zset::Listpack(lp) = &z {
                    prop_assert!(listpack::validate_integrity(lp.bytes(), true, &mut |_| true));
                }
            }
            for (rank, (score, member)) in m.0.iter().enumerate() {
                prop_assert_eq!(z.score(member), Some(*score));
                prop_assert_eq!(z.rank(member), Some((rank, *score)));
            }
            prop_assert_eq!((z.score(b"nobody"), z.rank(b"nobody")), (None, None));
            for r in ranges {
                let found = z.score_range(&r);
                let wanted = m.ranks(|x| r.reaches_min(x.0) && r.within_max(x.0));
                prop_assert!(found == wanted || (found.is_empty() && wanted.is_empty()));
            }
            for (a, b) in ranks {
                let r = z.rank_range(a, b);
                let wanted = &m.0[r.clone()];
                let got: Vec<_> = z.range(r.clone()).map(|(m, s)| (s, m.to_vec())).collect();
                prop_assert_eq!(got.as_slice(), wanted);
                for reverse in [false, true] {
                    let mut got = Vec::new();
                    z.for_each_in(r.clone(), reverse, |m, s| got.push((s, m.to_vec())));
                    if reverse {
                        got.reverse();
                    }
                    prop_assert_eq!(got.as_slice(), wanted);
                }
                let mut got: Vec<_> = z.range_rev(r).map(|(m, s)| (s, m.to_vec())).collect();
                got.reverse();
                prop_assert_eq!(got.as_slice(), wanted);
            }
        }

        #[test]
        fn ranges_of_bytes(
            members in proptest::collection::btree_set(member(), 0..30),
            bounds in proptest::collection::vec((member(), member(), 0..4u8, 0..4u8), 1..20),
        ) {
            let mut z = Zset::create(0, 0, &LIMITS);
            for m in &members {
                z.add(0.0, m, AddFlags::default(), &LIMITS).expect("a number");
            }
            let text = |m: &[u8], kind: u8| match kind {
                0 => b"-".to_vec(),
                1 => b"+".to_vec(),
                2 => [b"(", m].concat(),
                _ => [b"[", m].concat(),
            };
            for (a, b, ka, kb) in bounds {
                let (min, max) = (text(&a, ka), text(&b, kb));
                let r = LexRange::parse(&min, &max).expect("bounds");
                let inside = |m: &Vec<u8>| {
                    (match ka { 0 => true, 1 => false, 2 => *m > a, _ => *m >= a })
                        && (match kb { 0 => false, 1 => true, 2 => *m < b, _ => *m <= b })
                };
                let wanted: Vec<_> = members.iter().filter(|m| inside(m)).cloned().collect();
                for reverse in [false, true] {
                    let found = z.lex_range(&r, reverse);
                    let got: Vec<_> = z.range(found).map(|(m, _)| m.to_vec()).collect();
                    prop_assert_eq!(&got, &wanted);
                }
            }
        }
    }

    #[test]
    fn scores_are_written_as_upstream_writes_them() {
        let mut z = Zset::create(0, 0, &LIMITS);
        for (score, member) in [
            (1.5, "a"),
            (3.0, "b"),
            (-0.0, "c"),
            (f64::INFINITY, "d"),
            (1e300, "e"),
            (-7e18, "12"),
        ] {
            z.add(score, member.as_bytes(), AddFlags::default(), &LIMITS)
                .expect("a number");
        }
        let Zset::Listpack(lp) = &z else {
            panic!("a small one");
        };
        let elements: Vec<_> = lp.iter().collect();
        let s = |s: &'static str| LpValue::Str(s.as_bytes());
        let int = LpValue::Int;
        assert_eq!(
            elements,
            [
                int(12),
                s("-7e+18"),
                s("c"),
                int(0),
                s("a"),
                s("1.5"),
                s("b"),
                int(3),
                s("e"),
                s("1e+300"),
                s("d"),
                s("inf")
            ]
        );
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        let range = |a: &str, b: &str| ScoreRange::parse(a.as_bytes(), b.as_bytes());
        for (a, b) in [("x", "1"), ("1", "nan"), ("((1", "2"), ("1", "(")] {
            // "(" alone is strtod's empty string: zero.
            assert_eq!(range(a, b).is_none(), b != "(", "{a} {b}");
        }
        let r = range("(1", "+inf").expect("a range");
        assert!(r.min == 1.0 && r.min_excluded && r.max == f64::INFINITY && !r.max_excluded);
        let lex = |a: &'static str| LexBound::parse(a.as_bytes());
        for bad in ["", "a", "+a", "-[", "1"] {
            assert_eq!(lex(bad), None, "{bad}");
        }
        assert_eq!(lex("["), Some(LexBound::Included(b"")));
        assert_eq!(lex("((x"), Some(LexBound::Excluded(b"(x")));
    }

    #[test]
    fn random_members_are_spread_evenly() {
        let mut prng = Prng::new(11);
        for size in [10u32, 300] {
            let mut z = Zset::create(
                0,
                0,
                &ZsetLimits {
                    listpack_entries: 100,
                    ..LIMITS
                },
            );
            for i in 0..size {
                let name = i.to_string();
                let limits = ZsetLimits {
                    listpack_entries: 100,
                    ..LIMITS
                };
                z.add(f64::from(i), name.as_bytes(), AddFlags::default(), &limits)
                    .expect("a number");
            }
            let mut hits = vec![0; size as usize];
            z.random_many(200 * u64::from(size), &mut prng, |_, score| {
                hits[score as usize] += 1;
            });
            for _ in 0..200 * size {
                let (_, score) = z.random(&mut prng).expect("not empty");
                hits[score as usize] += 1;
            }
            assert!(hits.iter().all(|n| (280..540).contains(n)), "{hits:?}");
            for count in [1, 5, size as usize / 2, size as usize] {
                let mut seen = HashSet::new();
                z.sample(count, &mut prng, |m, _| {
                    seen.insert(m.to_vec());
                });
                assert_eq!(seen.len(), count);
            }
        }
    }

    /// What a damaged file can hold is read somehow, and never with a NaN.
    #[test]
    fn damaged_listpacks_are_survived() {
        let mut lp = Listpack::new();
        for s in ["b", "nan", "a", "12x", "b", "", "c", "1e999", "b", "5"] {
            lp.append(s.as_bytes());
        }
        let mut z = Zset::Listpack(lp);
        assert!(z.iter().all(|(_, s)| !s.is_nan()));
        let all = ScoreRange {
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            min_excluded: false,
            max_excluded: false,
        };
        assert_eq!(z.score_range(&all), 0..5);
        z.maybe_convert(1000, &LIMITS);
        assert_eq!(
            content(&z),
            [
                (5.0, b"b".to_vec()),
                (12.0, b"a".to_vec()),
                (f64::INFINITY, b"c".to_vec())
            ]
        );
    }
}
