//! Values of type hash (the encodings of t_hash.c): a listpack of fields and values in turn while they are few and short, a
//! table of [`Field`]s else.
//!
//! Invariants: nothing leads back from a table to a listpack; a listpack has each field once and an even number of
//! elements. A hash that is stored is never empty, but for the moment in which a command takes its last field.
//!
//! It knows nothing of keys, clients and the configuration, but for the limits that it is handed.

use std::collections::HashSet;

use crate::base::random::{Prng, Selection};
use crate::config::fields::Config;
use crate::ds::field::{Field, FieldValue};
use crate::ds::listpack::{self, Listpack, LpPos, LpValue};
use crate::ds::owned::Own;
use crate::ds::sbuf::SBuf;
use crate::ds::table::{self, Element, Resize, SubTable};

/// Fields looked at to tell the size of a table.
const SIZE_SAMPLE: usize = 1000;
/// A sample of more than a third of the fields passes over all of them (HRANDFIELD_SUB_STRATEGY_MUL).
const PASS_RATIO: usize = 3;

/// What decides about encodings, and whether a table may resize.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashLimits {
    /// `hash-max-listpack-entries`
    pub listpack_entries: usize,
    /// `hash-max-listpack-value`, in bytes.
    pub listpack_value: usize,
    pub resize: Resize,
}

impl HashLimits {
    pub(crate) fn new(config: &Config, resize: Resize) -> HashLimits {
        HashLimits {
            listpack_entries: config.hash_max_listpack_entries,
            listpack_value: config.hash_max_listpack_value,
            resize,
        }
    }
}

/// A hash, by encoding.
pub(crate) enum Hash {
    Listpack(Listpack),
    Table(Own<HashTable>),
}

/// A big hash.
pub(crate) struct HashTable {
    table: SubTable<Field>,
}

/// The value of a field as it is read.
#[derive(Clone, Copy)]
pub(crate) enum HashValue<'a> {
    Small(LpValue<'a>),
    /// A large value, which can be shared.
    Buf(&'a SBuf),
}

impl<'a> HashValue<'a> {
    #[inline]
    fn of(field: &'a Field) -> HashValue<'a> {
        match field.buf() {
            Some(b) => HashValue::Buf(b),
            None => HashValue::Small(LpValue::Str(field.value())),
        }
    }

    #[inline]
    pub(crate) fn value(self) -> LpValue<'a> {
        match self {
            HashValue::Small(v) => v,
            HashValue::Buf(b) => LpValue::Str(b.as_slice()),
        }
    }
}

impl HashTable {
    /// An empty one with room for `capacity` fields.
    pub(crate) fn new(capacity: usize) -> HashTable {
        let mut table = SubTable::shared();
        table.reserve(capacity);
        HashTable { table }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Sets a field; true when it is new.
    #[inline]
    pub(crate) fn set(&mut self, field: &[u8], value: FieldValue<'_>, resize: Resize) -> bool {
        let hash = self.table.hash(field);
        match self.table.find(hash, field) {
            Some(slot) => {
                self.table.at_mut(slot).set_value(value);
                false
            }
            None => {
                self.table.set_resize(resize);
                self.table.insert_new(hash, Field::new(field, value));
                true
            }
        }
    }

    #[inline]
    fn get(&self, field: &[u8]) -> Option<&Field> {
        let slot = self.table.find(self.table.hash(field), field)?;
        Some(self.table.at(slot))
    }

    /// See [`table::Table::scan`].
    pub(crate) fn scan(&self, cursor: u64, mut f: impl FnMut(&[u8], &[u8])) -> u64 {
        self.table.scan(cursor, |e| f(e.key(), e.value()))
    }

    /// The table itself, for DEBUG HTSTATS-KEY.
    pub(crate) fn table(&self) -> &SubTable<Field> {
        &self.table
    }
}

/// The fields of a hash with their values, in the order of its encoding.
pub(crate) enum Iter<'a> {
    Listpack(listpack::Iter<'a>),
    Table(table::Iter<'a, Field>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (LpValue<'a>, HashValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Listpack(i) => Some((i.next()?, HashValue::Small(i.next()?))),
            Iter::Table(i) => i.next().map(|f| (LpValue::Str(f.key()), HashValue::of(f))),
        }
    }
}

impl Default for Hash {
    /// An empty one, as small as can be (createHashObject).
    fn default() -> Hash {
        Hash::Listpack(Listpack::new())
    }
}

impl Hash {
    /// Becomes a table when what is to be set would not stay in a listpack: so many fields, or one of these lengths of
    /// fields and values (hashTypeTryConversion).
    #[inline]
    pub(crate) fn try_conversion(
        &mut self,
        fields: usize,
        lengths: impl Iterator<Item = usize>,
        limits: &HashLimits,
    ) {
        let Hash::Listpack(lp) = self else {
            return;
        };
        if fields > limits.listpack_entries {
            return self.convert_to_table(fields);
        }
        let mut sum = 0usize;
        for n in lengths {
            if n > limits.listpack_value {
                return self.convert_to_table(0);
            }
            sum = sum.saturating_add(n);
        }
        if !lp.safe_to_add(sum) {
            self.convert_to_table(0);
        }
    }

    #[cold]
    fn convert_to_table(&mut self, capacity: usize) {
        let mut t = HashTable::new(capacity.max(self.len()));
        for (field, value) in self.iter() {
            field.with_bytes(|f| {
                value
                    .value()
                    .with_bytes(|v| t.set(f, FieldValue::Bytes(v), Resize::Allow))
            });
        }
        *self = Hash::Table(Own::new(t));
    }

    /// Number of fields (hashTypeLength).
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Hash::Listpack(lp) => lp.len() / 2,
            Hash::Table(t) => t.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets a field; true when it is new (hashTypeSet).
    #[inline]
    pub(crate) fn set(&mut self, field: &[u8], value: FieldValue<'_>, limits: &HashLimits) -> bool {
        if let Hash::Table(t) = self {
            return t.set(field, value, limits.resize);
        }
        let max = limits.listpack_value;
        let v = match &value {
            FieldValue::Bytes(v) => v,
            FieldValue::Buf(b) => b.as_slice(),
        };
        let fits = field.len() <= max && v.len() <= max;
        let lp = match self {
            Hash::Listpack(lp) if fits && lp.safe_to_add(field.len() + v.len()) => lp,
            _ => {
                self.convert_to_table(self.len() + 1);
                return self.set(field, value, limits);
            }
        };
        if let Some(at) = find(lp, field) {
            lp.replace(at, v);
            // A limit that has been lowered since counts from now on.
            if lp.len() / 2 > limits.listpack_entries {
                self.convert_to_table(0);
            }
            return false;
        }
        lp.append_pair(field, v);
        if lp.len() / 2 > limits.listpack_entries {
            self.convert_to_table(0);
        }
        true
    }

    /// The value of a field (hashTypeGetValue).
    #[inline]
    pub(crate) fn get(&self, field: &[u8]) -> Option<HashValue<'_>> {
        match self {
            Hash::Listpack(lp) => find(lp, field).map(|p| HashValue::Small(lp.get(p))),
            Hash::Table(t) => t.get(field).map(HashValue::of),
        }
    }

    /// Whether the field is there (hashTypeExists).
    #[inline]
    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        match self {
            Hash::Listpack(lp) => find(lp, field).is_some(),
            Hash::Table(t) => t.get(field).is_some(),
        }
    }

    /// Removes a field; false when it was not there (hashTypeDelete).
    #[inline]
    pub(crate) fn remove(&mut self, field: &[u8], limits: &HashLimits) -> bool {
        match self {
            Hash::Listpack(lp) => match find(lp, field).and_then(|value| lp.prev(value)) {
                Some(p) => {
                    lp.delete_range(p, 2);
                    true
                }
                None => false,
            },
            Hash::Table(t) => {
                t.table.set_resize(limits.resize);
                let hash = t.table.hash(field);
                t.table.remove(hash, field).is_some()
            }
        }
    }

    /// All fields and values (hashTypeInitIterator, hashTypeNext).
    #[inline]
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Hash::Listpack(lp) => Iter::Listpack(lp.iter()),
            Hash::Table(t) => Iter::Table(t.table.iter()),
        }
    }

    /// Moves a table's running rehash on by a step.
    #[inline]
    pub(crate) fn rehash_step(&mut self) {
        if let Hash::Table(t) = self {
            t.table.rehash_step();
        }
    }

    /// A random field, each with the same chance; none of an empty hash (hashTypeRandomElement).
    pub(crate) fn random(&self, prng: &mut Prng) -> Option<(LpValue<'_>, HashValue<'_>)> {
        match self {
            Hash::Listpack(lp) => {
                let p = lp.seek(prng.index(self.len()) as i64 * 2)?;
                pair(lp, p)
            }
            Hash::Table(t) => {
                let f = t.table.random(|| prng.next_u64())?;
                Some((LpValue::Str(f.key()), HashValue::of(f)))
            }
        }
    }

    /// Calls `f` with `n` random fields, each of which may come again.
    pub(crate) fn random_many(
        &self,
        n: u64,
        prng: &mut Prng,
        mut f: impl FnMut(LpValue<'_>, HashValue<'_>),
    ) {
        if let Hash::Listpack(lp) = self {
            let places: Vec<LpPos> = fields(lp).collect();
            for _ in 0..if places.is_empty() { 0 } else { n } {
                if let Some((k, v)) = pair(lp, places[prng.index(places.len())]) {
                    f(k, v);
                }
            }
            return;
        }
        for _ in 0..n {
            let Some((k, v)) = self.random(prng) else {
                return;
            };
            f(k, v);
        }
    }

    /// Calls `f` with `count` different fields, each subset with the same chance; in no particular order.
    pub(crate) fn sample(
        &self,
        count: usize,
        prng: &mut Prng,
        mut f: impl FnMut(LpValue<'_>, HashValue<'_>),
    ) {
        let len = self.len();
        if let Hash::Table(t) = self
            && count.saturating_mul(PASS_RATIO) <= len
        {
            // Few of many: try until they differ. Nothing moves meanwhile, so a place stands for its field.
            let mut seen = HashSet::new();
            while seen.len() < count {
                let Some(e) = t.table.random(|| prng.next_u64()) else {
                    return;
                };
                if seen.insert(std::ptr::from_ref(e).addr()) {
                    f(LpValue::Str(e.key()), HashValue::of(e));
                }
            }
            return;
        }
        let mut selection = Selection::new(len, count);
        for (k, v) in self.iter() {
            if selection.takes(prng) {
                f(k, v);
            }
            if selection.is_done() {
                return;
            }
        }
    }

    /// Bytes that hang off the entry; of a table, as a sample of its fields has it.
    pub(crate) fn mem_usage(&self) -> usize {
        self.mem_usage_sampled(SIZE_SAMPLE)
    }

    /// The same from a sample of so many fields.
    pub(crate) fn mem_usage_sampled(&self, samples: usize) -> usize {
        match self {
            Hash::Listpack(lp) => lp.mem_usage(),
            Hash::Table(t) => {
                let sample = t.len().min(samples);
                let bytes: usize = t.table.iter().take(sample).map(Field::mem_usage).sum();
                let fields = bytes.saturating_mul(t.len()) / sample.max(1);
                size_of::<HashTable>() + t.table.mem_usage() + fields
            }
        }
    }

    /// How many allocations it takes to free it, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        match self {
            Hash::Table(t) => t.len(),
            Hash::Listpack(_) => 1,
        }
    }

    /// A copy in the same encoding; only the buffers of large values are shared, and copied before they change
    /// (hashTypeDup).
    pub(crate) fn deep_clone(&self) -> Hash {
        match self {
            Hash::Listpack(lp) => Hash::Listpack(lp.deep_clone()),
            Hash::Table(t) => {
                let mut copy = HashTable::new(t.len());
                for e in t.table.iter() {
                    let hash = copy.table.hash(e.key());
                    copy.table.insert_new(hash, e.clone());
                }
                Hash::Table(Own::new(copy))
            }
        }
    }
}

/// Where the value of `field` is.
#[inline]
fn find(lp: &Listpack, field: &[u8]) -> Option<LpPos> {
    lp.next(lp.find(lp.first()?, field, 1)?)
}

/// Where the fields are.
fn fields(lp: &Listpack) -> impl Iterator<Item = LpPos> {
    std::iter::successors(lp.first(), |p| lp.next(lp.next(*p)?))
}

fn pair(lp: &Listpack, field: LpPos) -> Option<(LpValue<'_>, HashValue<'_>)> {
    let value = lp.get(lp.next(field)?);
    Some((lp.get(field), HashValue::Small(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::Encoding;
    use crate::store::entry::value::SlotValue;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LIMITS: HashLimits = HashLimits {
        listpack_entries: 6,
        listpack_value: 10,
        resize: Resize::Allow,
    };

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn content(h: &Hash) -> Model {
        let all: Vec<_> = h
            .iter()
            .map(|(k, v)| (k.to_vec(), v.value().to_vec()))
            .collect();
        assert_eq!(all.len(), h.len());
        let distinct: Model = all.iter().cloned().collect();
        assert_eq!(distinct.len(), all.len());
        distinct
    }

    #[derive(Debug, Clone)]
    enum Op {
        Set(Vec<u8>, Vec<u8>),
        SetBuf(Vec<u8>, usize),
        Remove(Vec<u8>),
        Prepare(usize, usize),
        Clone,
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            5 => (0i32..12).prop_map(|n| n.to_string().into_bytes()),
            3 => proptest::collection::vec(b'a'..b'c', 0..3),
            1 => proptest::collection::vec(any::<u8>(), 0..300),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            10 => (text(), text()).prop_map(|(f, v)| Op::Set(f, v)),
            1 => (text(), 0usize..40_000).prop_map(|(f, n)| Op::SetBuf(f, n)),
            6 => text().prop_map(Op::Remove),
            1 => (0usize..8, 0usize..14).prop_map(|(n, l)| Op::Prepare(n, l)),
            1 => Just(Op::Clone),
        ]
    }

    proptest! {
        #[test]
        fn both_encodings_are_maps(ops in proptest::collection::vec(op(), 1..150)) {
            let mut prng = Prng::new(1);
            let mut hash = Hash::default();
            let mut model = Model::new();
            for o in ops {
                let was_table = matches!(hash, Hash::Table(_));
                match o {
                    Op::Set(f, v) => {
                        prop_assert_eq!(hash.contains(&f), model.contains_key(&f));
                        let new = hash.set(&f, FieldValue::Bytes(&v), &LIMITS);
                        prop_assert_eq!(new, model.insert(f.clone(), v.clone()).is_none());
                        prop_assert_eq!(hash.get(&f).map(|v| v.value().to_vec()), Some(v));
                    }
                    Op::SetBuf(f, n) => {
                        let v: Vec<u8> = (0..n).map(|i| i as u8).collect();
                        let new = hash.set(&f, FieldValue::Buf(SBuf::from_slice(&v)), &LIMITS);
                        prop_assert_eq!(new, model.insert(f, v).is_none());
                    }
                    Op::Remove(f) => {
                        prop_assert_eq!(hash.remove(&f, &LIMITS), model.remove(&f).is_some());
                        prop_assert!(hash.get(&f).is_none());
                    }
                    Op::Prepare(n, len) => {
                        hash.try_conversion(n, [len].into_iter(), &LIMITS);
                        let small = n <= 6 && len <= 10;
                        prop_assert!(matches!(hash, Hash::Table(_)) == (was_table || !small));
                    }
                    Op::Clone => {
                        let copy = hash.deep_clone();
                        prop_assert_eq!(copy.encoding(), hash.encoding());
                        hash = copy;
                    }
                }
                prop_assert!(!was_table || matches!(hash, Hash::Table(_)));
                prop_assert!(matches!(hash, Hash::Table(_))
                    || (model.len() <= 6 && model.iter().all(|(f, v)| f.len() <= 10 && v.len() <= 10)));
                for n in [0, 1, 2, model.len() / 2, model.len()] {
                    let n = n.min(model.len());
                    let mut sample = Model::new();
                    hash.sample(n, &mut prng, |k, v| { sample.insert(k.to_vec(), v.value().to_vec()); });
                    prop_assert_eq!(sample.len(), n);
                    prop_assert!(sample.iter().all(|(k, v)| model.get(k) == Some(v)));
                }
                let mut drawn = 0;
                hash.random_many(5, &mut prng, |k, v| {
                    drawn += usize::from(model.get(&k.to_vec()) == Some(&v.value().to_vec()));
                });
                prop_assert_eq!(drawn, if model.is_empty() { 0 } else { 5 });
            }
            prop_assert_eq!(content(&hash), model);
        }
    }

    #[test]
    fn the_seventh_field_or_the_eleventh_byte_makes_it_a_table() {
        let build = |n: usize, value: &[u8]| {
            let mut h = Hash::default();
            for i in 0..n {
                h.set(i.to_string().as_bytes(), FieldValue::Bytes(value), &LIMITS);
            }
            h.encoding()
        };
        assert_eq!(build(6, b"0123456789"), Encoding::Listpack);
        assert_eq!(build(7, b"0123456789"), Encoding::Ht);
        assert_eq!(build(1, b"0123456789x"), Encoding::Ht);
    }
}
