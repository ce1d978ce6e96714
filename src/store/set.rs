//! Values of type set (the encodings of t_set.c): an intset while all members are integers and few, a listpack while they
//! are few and short, a table of [`Member`]s else.
//!
//! Invariants: the encoding follows from what was added and from the limits at that moment; nothing but a store of a result
//! or SPOP of most members leads back from a table. A set that is stored is never empty, but for the moment in which a
//! command takes its last member.
//!
//! It knows nothing of keys, clients and the configuration, but for the limits that it is handed.

use std::collections::HashSet;

use crate::base::num::{sdigits10, string2ll};
use crate::base::random::{Prng, Selection};
use crate::config::fields::Config;
use crate::ds::intset::Intset;
use crate::ds::listpack::{self, Listpack, LpPos, LpValue, estimate_bytes_repeated_integer};
use crate::ds::member::Member;
use crate::ds::owned::Own;
use crate::ds::table::{self, Element, Resize, SubTable};

/// An intset's length is 32 bits; upstream stops well before.
const INTSET_ENTRIES_MAX: usize = 1 << 30;
/// Members looked at to tell the size of a table.
const SIZE_SAMPLE: usize = 1000;
/// SPOP of so many times what is to stay keeps those instead of taking the others one by one (SPOP_MOVE_STRATEGY_MUL).
const MOVE_RATIO: usize = 5;
/// A sample of more than a third of the members passes over all of them (SRANDMEMBER_SUB_STRATEGY_MUL).
const PASS_RATIO: usize = 3;

/// What decides about encodings, and whether a table may resize.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetLimits {
    /// `set-max-intset-entries`
    pub intset_entries: usize,
    /// `set-max-listpack-entries`
    pub listpack_entries: usize,
    /// `set-max-listpack-value`, in bytes.
    pub listpack_value: usize,
    pub resize: Resize,
}

impl SetLimits {
    pub(crate) fn new(config: &Config, resize: Resize) -> SetLimits {
        SetLimits {
            intset_entries: config.set_max_intset_entries,
            listpack_entries: config.set_max_listpack_entries,
            listpack_value: config.set_max_listpack_value,
            resize,
        }
    }

    fn intset_max(&self) -> usize {
        self.intset_entries.min(INTSET_ENTRIES_MAX)
    }
}

/// A set, by encoding.
pub(crate) enum Set {
    Intset(Intset),
    Listpack(Listpack),
    Table(Own<SetTable>),
}

/// A big set.
pub(crate) struct SetTable {
    table: SubTable<Member>,
}

impl SetTable {
    /// An empty one with room for `capacity` members.
    pub(crate) fn new(capacity: usize) -> SetTable {
        let mut table = SubTable::shared();
        table.reserve(capacity);
        SetTable { table }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// False when it was a member.
    #[inline(always)]
    pub(crate) fn add(&mut self, text: &[u8], resize: Resize) -> bool {
        let hash = self.table.hash(text);
        self.table.set_resize(resize);
        self.table
            .insert_if_absent(hash, text, || Member::new(text))
    }

    #[inline]
    fn remove(&mut self, text: &[u8], resize: Resize) -> bool {
        self.table.set_resize(resize);
        self.table.remove(self.table.hash(text), text).is_some()
    }

    #[inline]
    fn contains(&self, text: &[u8]) -> bool {
        self.table.find(self.table.hash(text), text).is_some()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.table.iter().map(Element::key)
    }

    /// See [`table::Table::scan`].
    pub(crate) fn scan(&self, cursor: u64, mut f: impl FnMut(&[u8])) -> u64 {
        self.table.scan(cursor, |m| f(m.key()))
    }

    /// The table itself, for DEBUG HTSTATS-KEY.
    pub(crate) fn table(&self) -> &SubTable<Member> {
        &self.table
    }
}

/// The members of a set, in the order of its encoding.
pub(crate) enum Iter<'a> {
    Intset(&'a Intset, usize),
    Listpack(listpack::Iter<'a>),
    Table(table::Iter<'a, Member>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = LpValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<LpValue<'a>> {
        match self {
            Iter::Intset(s, at) => {
                if *at == s.len() {
                    return None;
                }
                *at += 1;
                Some(LpValue::Int(s.get(*at - 1)))
            }
            Iter::Listpack(i) => i.next(),
            Iter::Table(i) => i.next().map(|m| LpValue::Str(m.key())),
        }
    }
}

impl Set {
    /// An empty set that can hold `text`, made for about `size_hint` members (setTypeCreate).
    pub(crate) fn create(text: &[u8], size_hint: usize, limits: &SetLimits) -> Set {
        if size_hint <= limits.intset_entries && string2ll(text).is_some() {
            return Set::Intset(Intset::new());
        }
        if size_hint <= limits.listpack_entries {
            return Set::Listpack(Listpack::new());
        }
        Set::Table(Own::new(SetTable::new(size_hint)))
    }

    /// Becomes a table when so many members are to come that no other encoding would last (setTypeMaybeConvert).
    pub(crate) fn maybe_convert(&mut self, size_hint: usize, limits: &SetLimits) {
        let max = match self {
            Set::Listpack(_) => limits.listpack_entries,
            Set::Intset(_) => limits.intset_entries,
            Set::Table(_) => return,
        };
        if size_hint > max {
            self.convert_to_table(size_hint);
        }
    }

    #[cold]
    fn convert_to_table(&mut self, capacity: usize) {
        let mut t = SetTable::new(capacity.max(self.len()));
        for v in self.iter() {
            v.with_bytes(|text| t.table.insert_new(t.table.hash(text), Member::new(text)));
        }
        *self = Set::Table(Own::new(t));
    }

    /// Becomes an intset when that holds as many members, all of which are integers (maybeConvertToIntset).
    pub(crate) fn convert_to_intset(&mut self, limits: &SetLimits) {
        if matches!(self, Set::Intset(_)) || self.len() > limits.intset_max() {
            return;
        }
        let mut numbers: Vec<i64> = self.iter().filter_map(LpValue::as_int).collect();
        debug_assert_eq!(numbers.len(), self.len());
        numbers.sort_unstable();
        let mut set = Intset::new();
        for n in numbers {
            set.add(n);
        }
        *self = Set::Intset(set);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Set::Intset(s) => s.len(),
            Set::Listpack(lp) => lp.len(),
            Set::Table(t) => t.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member; false when it was one (setTypeAdd).
    #[inline(always)]
    pub(crate) fn add(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        match self {
            Set::Table(t) => t.add(text, limits.resize),
            _ => self.add_to_small(text, limits),
        }
    }

    #[inline(never)]
    fn add_to_small(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        match self {
            Set::Table(t) => t.add(text, limits.resize),
            Set::Listpack(lp) => {
                if find(lp, text).is_some() {
                    return false;
                }
                if lp.len() < limits.listpack_entries
                    && text.len() <= limits.listpack_value
                    && lp.safe_to_add(text.len())
                {
                    lp.append(text);
                    return true;
                }
                self.convert_and_add(text, limits)
            }
            Set::Intset(_) => match string2ll(text) {
                Some(n) => self.add_int(n, limits),
                None => self.add_text_to_intset(text, limits),
            },
        }
    }

    /// The same for an element as another set has it.
    pub(crate) fn add_value(&mut self, value: LpValue<'_>, limits: &SetLimits) -> bool {
        match (&self, value) {
            (_, LpValue::Str(text)) => self.add(text, limits),
            (Set::Intset(_), LpValue::Int(n)) => self.add_int(n, limits),
            (_, LpValue::Int(_)) => value.with_bytes(|text| self.add(text, limits)),
        }
    }

    #[cold]
    fn convert_and_add(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        // It grows: with room for as many again it does not begin with a rehash.
        self.convert_to_table(self.len() * 2);
        self.add(text, limits)
    }

    fn add_int(&mut self, n: i64, limits: &SetLimits) -> bool {
        let Set::Intset(s) = self else {
            return false;
        };
        if !s.add(n) {
            return false;
        }
        let len = s.len();
        if len > limits.intset_max() {
            self.convert_to_table(len);
        }
        true
    }

    /// A member that is no integer, which an intset cannot hold.
    fn add_text_to_intset(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        let Set::Intset(s) = self else {
            return false;
        };
        // No member takes more room than the longer one of the least and the greatest.
        let bounds = [s.min(), s.max()];
        let bounds = bounds.iter().flatten();
        let digits = bounds.clone().map(|n| sdigits10(*n) as usize).max();
        let bytes = bounds
            .map(|n| estimate_bytes_repeated_integer(*n, s.len()))
            .max()
            .unwrap_or(0);
        let mut lp = Listpack::new();
        if s.len() < limits.listpack_entries
            && text.len().max(digits.unwrap_or(0)) <= limits.listpack_value
            && lp.safe_to_add(bytes.saturating_add(text.len()))
        {
            s.iter().for_each(|n| lp.append_int(n));
            lp.append(text);
            *self = Set::Listpack(lp);
            return true;
        }
        self.convert_and_add(text, limits)
    }

    /// Takes a member out; false when it was none (setTypeRemove).
    #[inline]
    pub(crate) fn remove(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        match self {
            Set::Table(t) => t.remove(text, limits.resize),
            Set::Listpack(lp) => match find(lp, text) {
                Some(p) => {
                    lp.delete(p);
                    true
                }
                None => false,
            },
            Set::Intset(s) => string2ll(text).is_some_and(|n| s.remove(n)),
        }
    }

    /// The same for an element as another set has it.
    pub(crate) fn remove_value(&mut self, value: LpValue<'_>, limits: &SetLimits) -> bool {
        match (&mut *self, value) {
            (Set::Intset(s), LpValue::Int(n)) => s.remove(n),
            _ => value.with_bytes(|text| self.remove(text, limits)),
        }
    }

    /// Whether it is a member (setTypeIsMember).
    #[inline]
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        match self {
            Set::Table(t) => t.contains(text),
            Set::Listpack(lp) => find(lp, text).is_some(),
            Set::Intset(s) => string2ll(text).is_some_and(|n| s.find(n)),
        }
    }

    /// The same for an element as another set has it.
    #[inline(always)]
    pub(crate) fn contains_value(&self, value: LpValue<'_>) -> bool {
        match value {
            LpValue::Str(text) => self.contains(text),
            LpValue::Int(n) => self.contains_int(n),
        }
    }

    #[inline(never)]
    fn contains_int(&self, n: i64) -> bool {
        match self {
            Set::Intset(s) => s.find(n),
            _ => LpValue::Int(n).with_bytes(|text| self.contains(text)),
        }
    }

    /// All members (setTypeInitIterator, setTypeNext).
    #[inline]
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Set::Intset(s) => Iter::Intset(s, 0),
            Set::Listpack(lp) => Iter::Listpack(lp.iter()),
            Set::Table(t) => Iter::Table(t.table.iter()),
        }
    }

    /// Moves a table's running rehash on by a step.
    #[inline]
    pub(crate) fn rehash_step(&mut self) {
        if let Set::Table(t) = self {
            t.table.rehash_step();
        }
    }

    /// A random member, each with the same chance; none of an empty set (setTypeRandomElement).
    pub(crate) fn random(&self, prng: &mut Prng) -> Option<LpValue<'_>> {
        match self {
            Set::Intset(s) => (!s.is_empty()).then(|| LpValue::Int(s.random(prng))),
            Set::Listpack(lp) => {
                let p = lp.seek(prng.index(lp.len()) as i64)?;
                Some(lp.get(p))
            }
            Set::Table(t) => {
                let m = t.table.random(|| prng.next_u64())?;
                Some(LpValue::Str(m.key()))
            }
        }
    }

    /// Calls `f` with `n` random members, each of which may come again.
    pub(crate) fn random_many(&self, n: u64, prng: &mut Prng, mut f: impl FnMut(LpValue<'_>)) {
        if let Set::Listpack(lp) = self {
            let places: Vec<LpPos> = positions(lp).collect();
            for _ in 0..if places.is_empty() { 0 } else { n } {
                f(lp.get(places[prng.index(places.len())]));
            }
            return;
        }
        for _ in 0..n {
            let Some(v) = self.random(prng) else {
                return;
            };
            f(v);
        }
    }

    /// Calls `f` with `count` different members, each subset with the same chance; in no particular order.
    pub(crate) fn sample(&self, count: usize, prng: &mut Prng, mut f: impl FnMut(LpValue<'_>)) {
        let len = self.len();
        let pass = matches!(self, Set::Listpack(_)) || count.saturating_mul(PASS_RATIO) > len;
        if pass {
            let mut selection = Selection::new(len, count);
            for v in self.iter() {
                if selection.takes(prng) {
                    f(v);
                }
                if selection.is_done() {
                    return;
                }
            }
            return;
        }
        // Few of many: try until they differ. Nothing moves meanwhile, so a place stands for its member.
        let mut seen = HashSet::new();
        while seen.len() < count {
            match self {
                Set::Table(t) => {
                    let Some(m) = t.table.random(|| prng.next_u64()) else {
                        return;
                    };
                    if seen.insert(std::ptr::from_ref(m).addr()) {
                        f(LpValue::Str(m.key()));
                    }
                }
                Set::Intset(s) => {
                    let i = prng.index(s.len());
                    if seen.insert(i) {
                        f(LpValue::Int(s.get(i)));
                    }
                }
                Set::Listpack(_) => return,
            }
        }
    }

    /// Takes a random member out and hands it to `f` (setTypePopRandom).
    pub(crate) fn pop_random<R>(
        &mut self,
        prng: &mut Prng,
        limits: &SetLimits,
        f: impl FnOnce(LpValue<'_>) -> R,
    ) -> Option<R> {
        match self {
            Set::Intset(s) => {
                if s.is_empty() {
                    return None;
                }
                let i = prng.index(s.len());
                let n = s.get(i);
                s.remove_at(i);
                Some(f(LpValue::Int(n)))
            }
            Set::Listpack(lp) => {
                let p = lp.seek(prng.index(lp.len()) as i64)?;
                let r = f(lp.get(p));
                lp.delete(p);
                Some(r)
            }
            Set::Table(t) => {
                t.table.set_resize(limits.resize);
                let m = t.table.pop_random(|| prng.next_u64())?;
                Some(f(LpValue::Str(m.key())))
            }
        }
    }

    /// Takes `count` random members out, fewer than there are, and hands each to `f`. When few are to stay, those make up a
    /// new set, whose encoding starts small again.
    pub(crate) fn pop_many(
        &mut self,
        count: usize,
        prng: &mut Prng,
        limits: &SetLimits,
        mut f: impl FnMut(LpValue<'_>),
    ) {
        let len = self.len();
        let remaining = len.saturating_sub(count);
        if let Set::Listpack(lp) = self {
            let mut selection = Selection::new(len, count);
            let taken: Vec<LpPos> = positions(lp).filter(|_| selection.takes(prng)).collect();
            taken.iter().for_each(|p| f(lp.get(*p)));
            lp.batch_delete(&taken);
            return;
        }
        if remaining.saturating_mul(MOVE_RATIO) > count {
            for _ in 0..count {
                self.pop_random(prng, limits, &mut f);
            }
            return;
        }
        if let Set::Intset(s) = self {
            let mut selection = Selection::new(len, count);
            let mut stay = Intset::new();
            for n in s.iter() {
                if selection.takes(prng) {
                    f(LpValue::Int(n));
                } else {
                    stay.add(n);
                }
            }
            *s = stay;
            return;
        }
        let mut stay = Set::Listpack(Listpack::new());
        for _ in 0..remaining {
            self.pop_random(prng, limits, |v| stay.add_value(v, limits));
        }
        self.iter().for_each(f);
        *self = stay;
    }

    /// Bytes that hang off the entry; of a table, as a sample of its members has it.
    pub(crate) fn mem_usage(&self) -> usize {
        self.mem_usage_sampled(SIZE_SAMPLE)
    }

    /// The same from a sample of so many members.
    pub(crate) fn mem_usage_sampled(&self, samples: usize) -> usize {
        match self {
            Set::Intset(s) => s.mem_usage(),
            Set::Listpack(lp) => lp.mem_usage(),
            Set::Table(t) => {
                let sample = t.len().min(samples);
                let bytes: usize = t.table.iter().take(sample).map(Member::mem_usage).sum();
                let members = bytes.saturating_mul(t.len()) / sample.max(1);
                size_of::<SetTable>() + t.table.mem_usage() + members
            }
        }
    }

    /// How many allocations it takes to free it, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        match self {
            Set::Table(t) => t.len(),
            _ => 1,
        }
    }

    /// A copy that shares nothing, in the same encoding (setTypeDup).
    pub(crate) fn deep_clone(&self) -> Set {
        match self {
            Set::Intset(s) => Set::Intset(s.deep_clone()),
            Set::Listpack(lp) => Set::Listpack(lp.deep_clone()),
            Set::Table(t) => {
                let mut copy = SetTable::new(t.len());
                for text in t.iter() {
                    let hash = copy.table.hash(text);
                    copy.table.insert_new(hash, Member::new(text));
                }
                Set::Table(Own::new(copy))
            }
        }
    }
}

#[inline]
fn find(lp: &Listpack, text: &[u8]) -> Option<LpPos> {
    lp.find(lp.first()?, text, 0)
}

fn positions(lp: &Listpack) -> impl Iterator<Item = LpPos> {
    std::iter::successors(lp.first(), |p| lp.next(*p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::Encoding;
    use crate::store::entry::value::SlotValue;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIMITS: SetLimits = SetLimits {
        intset_entries: 8,
        listpack_entries: 6,
        listpack_value: 10,
        resize: Resize::Allow,
    };

    fn members(s: &Set) -> BTreeSet<Vec<u8>> {
        let all: Vec<Vec<u8>> = s.iter().map(LpValue::to_vec).collect();
        assert_eq!(all.len(), s.len());
        let distinct: BTreeSet<Vec<u8>> = all.iter().cloned().collect();
        assert_eq!(distinct.len(), all.len());
        distinct
    }

    #[derive(Debug, Clone)]
    enum Op {
        Add(Vec<u8>),
        Remove(Vec<u8>),
        Pop,
        PopMany(u8),
        ToIntset,
        Hint(u8),
        Clone,
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => (-30i32..30).prop_map(|n| n.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            4 => proptest::collection::vec(b'a'..b'd', 0..4),
            1 => proptest::collection::vec(any::<u8>(), 0..20),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            10 => text().prop_map(Op::Add),
            8 => text().prop_map(Op::Remove),
            2 => Just(Op::Pop),
            1 => any::<u8>().prop_map(Op::PopMany),
            1 => Just(Op::ToIntset),
            1 => (0u8..9).prop_map(Op::Hint),
            1 => Just(Op::Clone),
        ]
    }

    /// Whether this encoding may hold these members.
    fn fits(s: &Set, model: &BTreeSet<Vec<u8>>) -> bool {
        match s {
            Set::Intset(_) => {
                model.len() <= LIMITS.intset_entries && model.iter().all(|m| string2ll(m).is_some())
            }
            // What an intset hands over may be longer than what is added.
            Set::Listpack(_) => model.len() <= LIMITS.listpack_entries,
            Set::Table(_) => true,
        }
    }

    proptest! {
        #[test]
        fn every_encoding_is_a_set(ops in proptest::collection::vec(op(), 1..200)) {
            let mut prng = Prng::new(1);
            let mut set = Set::Intset(Intset::new());
            let mut model = BTreeSet::new();
            for o in ops {
                match o {
                    Op::Add(m) => {
                        prop_assert!(set.contains(&m) == model.contains(&m));
                        prop_assert_eq!(set.add(&m, &LIMITS), model.insert(m.clone()));
                        prop_assert!(set.contains(&m) && set.contains_value(LpValue::Str(&m)));
                    }
                    Op::Remove(m) => prop_assert_eq!(set.remove(&m, &LIMITS), model.remove(&m)),
                    Op::Pop => {
                        let m = set.pop_random(&mut prng, &LIMITS, |v| v.to_vec());
                        prop_assert_eq!(m.is_none(), model.is_empty());
                        prop_assert!(m.is_none_or(|m| model.remove(&m)));
                    }
                    Op::PopMany(n) if !model.is_empty() => {
                        let mut popped = Vec::new();
                        let n = usize::from(n) % model.len();
                        set.pop_many(n, &mut prng, &LIMITS, |v| popped.push(v.to_vec()));
                        prop_assert_eq!(popped.len(), n);
                        prop_assert!(popped.iter().all(|m| model.remove(m)));
                    }
                    Op::ToIntset if model.iter().all(|m| string2ll(m).is_some()) => {
                        set.convert_to_intset(&LIMITS);
                    }
                    Op::Hint(n) => set.maybe_convert(usize::from(n), &LIMITS),
                    Op::Clone => {
                        let copy = set.deep_clone();
                        prop_assert_eq!(copy.encoding(), set.encoding());
                        set = copy;
                    }
                    _ => {}
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(fits(&set, &model));
                for n in [0, 1, 2, model.len() / 2, model.len()] {
                    let n = n.min(model.len());
                    let mut sample = BTreeSet::new();
                    set.sample(n, &mut prng, |v| { sample.insert(v.to_vec()); });
                    prop_assert!(sample.len() == n && sample.is_subset(&model));
                }
                prop_assert_eq!(set.random(&mut prng).map(LpValue::to_vec).is_some_and(|m| model.contains(&m)), !model.is_empty());
            }
            prop_assert_eq!(members(&set), model);
        }
    }

    #[test]
    fn encodings_change_as_upstream_changes_them() {
        let build = |texts: &[&str]| {
            let first = texts[0].as_bytes();
            let mut s = Set::create(first, texts.len(), &LIMITS);
            for t in texts {
                s.add(t.as_bytes(), &LIMITS);
            }
            s.encoding()
        };
        assert_eq!(build(&["1", "2"]), Encoding::Intset);
        assert_eq!(build(&["a", "2"]), Encoding::Listpack);
        assert_eq!(build(&["1", "b"]), Encoding::Listpack);
        assert_eq!(build(&["1", "elevenbytes"]), Encoding::Ht);
        assert_eq!(build(&["elevenbytes"]), Encoding::Ht);
        assert_eq!(
            build(&["1", "2", "3", "4", "5", "6", "7", "8"]),
            Encoding::Intset
        );
        assert_eq!(
            build(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]),
            Encoding::Ht
        );
        assert_eq!(
            build(&["1", "2", "3", "4", "5", "6", "7", "x"]),
            Encoding::Ht
        );
        assert_eq!(build(&["a", "b", "c", "d", "e", "f"]), Encoding::Listpack);
        assert_eq!(build(&["a", "b", "c", "d", "e", "f", "g"]), Encoding::Ht);
        // A member of an intset that is too long for a listpack.
        assert_eq!(build(&["12345678901", "x"]), Encoding::Ht);
    }

    #[test]
    fn a_set_of_which_little_stays_starts_small_again() {
        let mut prng = Prng::new(5);
        let fill = |n: u32| {
            let mut s = Set::create(b"x", 100, &LIMITS);
            for i in 0..n {
                s.add(format!("member:{i}").as_bytes(), &LIMITS);
            }
            s
        };
        let mut s = fill(100);
        s.pop_many(50, &mut prng, &LIMITS, |_| {});
        assert_eq!((s.encoding(), s.len()), (Encoding::Ht, 50));
        s.pop_many(46, &mut prng, &LIMITS, |_| {});
        assert_eq!((s.encoding(), s.len()), (Encoding::Listpack, 4));
        let mut s = fill(100);
        s.pop_many(90, &mut prng, &LIMITS, |_| {});
        assert_eq!((s.encoding(), s.len()), (Encoding::Ht, 10));
    }
}
