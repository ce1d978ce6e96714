//! The keys of one database: the table that owns the entries and the index of those that expire, kept in step.
//!
//! Invariant: an entry is in the index if and only if it has an expiry, and the index points to where the entry is now.
//! Every operation that can move an entry goes through here, and every one that changes, adds or removes one: so this is also where
//! a snapshot that is being taken learns of it ([`super::capture`]). Nobody else has an entry to change: the table is private, and
//! what it gives out is borrowed to be read. LRU bits alone change without a notice. In a cluster's node, the keys of each hash slot
//! are known too.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::capture::{Capture, Unsaved as Uncaptured, husk};
use super::dismiss::dismiss_object;
use super::index::{ExpireIndex, Listed, Turn};
use super::value::{SlotValue, ValueMut, ValueRef};
use super::{Entry, NewValue};
use crate::base::key_slot::{CLUSTER_SLOTS, KeySlots, key_hash_slot};
use crate::base::sys;
use crate::ds::sbuf::SBuf;
use crate::ds::slot_index::{HASH_BITS, SlotIndex, WALK_END, walk_place};
use crate::ds::table::{Element, KeyHasher, Resize, Slot, Table};

/// An entry that [`Keyspace::save_each`] hands out.
pub(crate) struct Unsaved<'a> {
    entry: &'a Entry,
    /// Invariant: then the entry's table is that walk's own, which comes here once, and is never dropped.
    in_child: bool,
}

impl Unsaved<'_> {
    /// It has been saved, and its value took about so many bytes in the file.
    #[inline]
    pub(crate) fn saved(self, size_hint: u64) {
        if self.in_child {
            // SAFETY: by the invariant; whatever was borrowed from the entry was borrowed from `self`.
            unsafe { dismiss_object(self.entry, size_hint) };
        }
    }
}

impl Deref for Unsaved<'_> {
    type Target = Entry;
    fn deref(&self) -> &Entry {
        self.entry
    }
}

/// A part of a walk over the keys of a hash slot.
pub(crate) struct Stretch {
    /// In the order of the walk, each with its place.
    pub keys: Vec<(u32, Box<[u8]>)>,
    /// Where the walk goes on; [`WALK_END`]: it is over.
    pub next: u32,
}

/// One database's entries.
pub(crate) struct Keyspace {
    table: Table<Entry>,
    expires: ExpireIndex,
    by_slot: Option<Box<BySlot>>,
    /// A snapshot that is being taken while clients are served; it has not passed all of this database yet.
    capture: Option<Box<Capture>>,
    /// One of these two is there.
    observed: bool,
    /// Large values that were replaced and are still to be freed.
    replaced: Vec<Entry>,
}

/// For keys that are longer.
#[inline(never)]
fn slot_of_long_key(slots: KeySlots, e: &Entry) -> u16 {
    slots.of(e.name())
}

/// The keys of each hash slot.
struct BySlot {
    index: SlotIndex,
    slots: KeySlots,
}

impl BySlot {
    fn new() -> BySlot {
        BySlot {
            index: SlotIndex::new(CLUSTER_SLOTS),
            slots: KeySlots::new(),
        }
    }

    #[inline(always)]
    fn slot_of(&self, e: &Entry) -> u16 {
        let short = e
            .up_to_short_key()
            .and_then(|(text, span)| self.slots.with(text, span, |slot| slot));
        short.unwrap_or_else(|| slot_of_long_key(self.slots, e))
    }

    #[inline(always)]
    fn add(&mut self, hash: u64, e: &Entry) {
        self.index.add(self.slot_of(e), hash);
    }

    #[inline(always)]
    fn remove(&mut self, hash: u64, e: &Entry) {
        self.index.remove(self.slot_of(e), hash);
    }
}

/// A key is new: it has its place in its hash slot, and a snapshot does not want it.
#[inline(never)]
fn after_addition(
    by_slot: &mut Option<Box<BySlot>>,
    capture: &Option<Box<Capture>>,
    hash: u64,
    e: &Entry,
) {
    if let Some(by_slot) = by_slot {
        by_slot.add(hash, e);
    }
    if let Some(c) = capture {
        c.pass(e);
    }
}

impl Keyspace {
    pub(crate) fn new(hasher: KeyHasher) -> Keyspace {
        Keyspace {
            table: Table::new(hasher),
            expires: ExpireIndex::default(),
            by_slot: None,
            capture: None,
            observed: false,
            replaced: Vec::new(),
        }
    }

    /// The same, and it knows the keys of each hash slot.
    pub(crate) fn with_slots(hasher: KeyHasher) -> Keyspace {
        Keyspace {
            by_slot: Some(Box::new(BySlot::new())),
            observed: true,
            ..Keyspace::new(hasher)
        }
    }

    /// How many keys a hash slot has (countKeysInSlot).
    pub(crate) fn count_in_slot(&self, slot: u16) -> usize {
        self.by_slot.as_ref().map_or(0, |s| s.index.len(slot))
    }

    /// Some keys of a hash slot, `most` of them if there are so many.
    pub(crate) fn keys_in_slot(&self, slot: u16, most: usize) -> Vec<Box<[u8]>> {
        let Some(by_slot) = self.by_slot.as_ref().map(|s| &s.index) else {
            return Vec::new();
        };
        let bits = self.table.bucket_bits().min(HASH_BITS);
        let mut keys = Vec::with_capacity(most.min(by_slot.len(slot)));
        for group in 0..by_slot.groups(slot) {
            for low in by_slot.low_bits(slot, group, bits) {
                if keys.len() >= most {
                    return keys;
                }
                self.table.for_each_near(low, bits, |e| {
                    let key = e.name();
                    if keys.len() < most
                        && key_hash_slot(key) == slot
                        && by_slot.group_of(slot, self.table.hash(key)) == group
                    {
                        keys.push(key.into());
                    }
                });
            }
        }
        keys
    }

    /// A stretch of a walk over the keys of a hash slot, from `place` on. A key that is there from the begin of a walk to its end is met
    /// once; one that comes meanwhile is met if the walk was not beyond its place.
    pub(crate) fn walk_slot(&self, slot: u16, place: u32) -> Stretch {
        let Some(by_slot) = self.by_slot.as_ref().map(|s| &s.index) else {
            return Stretch {
                keys: Vec::new(),
                next: WALK_END,
            };
        };
        let bits = self.table.bucket_bits().min(HASH_BITS);
        let (group, end) = by_slot.group_at(slot, place);
        let mut keys = Vec::new();
        for low in by_slot.low_bits(slot, group, bits) {
            self.table.for_each_near(low, bits, |e| {
                let key = e.name();
                let at = walk_place(self.table.hash(key));
                if at >= place && at < end && key_hash_slot(key) == slot {
                    keys.push((at, key.into()));
                }
            });
        }
        keys.sort_unstable();
        Stretch { keys, next: end }
    }

    /// Where a walk over the keys of its slot comes by a key.
    pub(crate) fn walk_place(&self, key: &[u8]) -> u32 {
        walk_place(self.table.hash(key))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many keys have an expiry.
    #[inline]
    pub(crate) fn expires_len(&self) -> usize {
        self.expires.len()
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.table.hash(key)
    }

    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.table.find(hash, key)
    }

    /// The same for who is in no hurry.
    #[cold]
    #[inline(never)]
    fn find_unhurried(&self, key: &[u8]) -> Option<Slot> {
        self.table.find(self.table.hash(key), key)
    }

    /// See [`Table::prefetch_bucket`].
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// See [`Table::prefetch_element`].
    #[inline]
    pub(crate) fn prefetch_element(&self, hash: u64) {
        self.table.prefetch_element(hash);
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> &Entry {
        self.table.at(slot)
    }

    /// A change of the value that moves nothing.
    #[inline(always)]
    fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        if self.capture.is_some() {
            self.before_change(slot);
        }
        self.table.at_mut(slot)
    }

    /// Sets the LRU bits of the entry at `slot`.
    #[inline]
    pub(crate) fn set_lru(&mut self, slot: Slot, lru: u32) {
        self.table.at_mut(slot).set_lru(lru);
    }

    /// Adds a key that is not there.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, entry: Entry) -> Slot {
        let slot = self.table.insert_new(hash, entry);
        let e = self.table.at_mut(slot);
        if e.expire().is_some() {
            self.expires.push(e);
        }
        if self.observed {
            after_addition(&mut self.by_slot, &self.capture, hash, e);
        }
        slot
    }

    /// Replaces the value at `slot`; expiry and LRU bits stay.
    #[inline]
    pub(crate) fn set_value(&mut self, slot: Slot, value: NewValue<'_>) {
        if self.capture.is_some() {
            return self.set_value_captured(slot, value);
        }
        let e = self.table.at_mut(slot);
        // What fits in the place of the old value moves nothing.
        if !e.overwrite(&value) {
            let old = e.replace_value(value);
            if e.expire().is_some() {
                self.expires.moved(e);
            }
            if old.is_large() {
                self.replaced.push(old);
            }
        }
    }

    /// Large values that were replaced, to be freed.
    pub(crate) fn take_replaced(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.replaced)
    }

    /// Lets `f` change the string value as a growable buffer; the encoding becomes `raw`.
    pub(crate) fn update_raw<R>(&mut self, slot: Slot, f: impl FnOnce(&mut SBuf) -> R) -> R {
        let captured = self.capture.is_some();
        let e = self.entry_mut(slot);
        e.make_raw();
        if e.expire().is_some() {
            // Before the call out, which may not return.
            let e = self.table.at(slot);
            self.expires.moved(e);
        }
        if captured {
            self.after_change(slot);
        }
        f(self.table.at_mut(slot).raw_buf())
    }

    /// Sets (unix ms) or clears the expiry at `slot`.
    pub(crate) fn set_expire(&mut self, slot: Slot, at: Option<i64>) {
        if self.capture.is_some() {
            self.before_change(slot);
            self.set_expire_anyway(slot, at);
            return self.after_change(slot);
        }
        self.set_expire_anyway(slot, at);
    }

    #[inline(always)]
    fn set_expire_anyway(&mut self, slot: Slot, at: Option<i64>) {
        let e = self.table.at_mut(slot);
        match (e.expire().is_some(), at) {
            (true, None) => {
                let i = e.expire_index();
                self.expires.remove(i);
                self.table.at_mut(slot).set_expire(None);
            }
            (false, Some(_)) => {
                e.set_expire(at);
                self.expires.push(e);
            }
            (_, at) => {
                e.set_expire(at);
                if at.is_some() {
                    self.expires.rescheduled(e);
                }
            }
        }
    }

    /// Takes a key out, to be freed, which is up to the caller: of its entry the key, the expiry and the type are good, not the
    /// value, for a snapshot may have taken that over.
    #[inline]
    pub(crate) fn remove_for_good(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        if self.observed {
            return self.remove_observed(hash, key, true);
        }
        self.remove_unobserved(hash, key)
    }

    /// Takes a key out.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        if self.observed {
            return self.remove_observed(hash, key, false);
        }
        self.remove_unobserved(hash, key)
    }

    fn remove_unobserved(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let e = self.table.remove(hash, key)?;
        if e.expire().is_some() {
            self.expires.remove(e.expire_index());
        }
        Some(e)
    }

    #[inline(never)]
    fn remove_observed(&mut self, hash: u64, key: &[u8], for_good: bool) -> Option<Entry> {
        if self.capture.is_some() {
            match self.find_unhurried(key) {
                Some(slot) if for_good => self.before_removal(slot),
                Some(slot) => self.before_change(slot),
                None => {}
            }
        }
        let e = self.remove_unobserved(hash, key)?;
        if let Some(by_slot) = &mut self.by_slot {
            by_slot.remove(hash, &e);
        }
        Some(e)
    }

    /// A snapshot begins here: what this database holds now is in it.
    pub(crate) fn capture(&mut self, capture: Capture) {
        debug_assert!(self.capture.is_none());
        self.capture = Some(Box::new(capture));
        self.observed = true;
    }

    /// The snapshot that is being taken.
    pub(crate) fn captured(&mut self) -> Option<&mut Capture> {
        self.capture.as_deref_mut()
    }

    /// Bytes of the snapshot's records that nobody has taken yet.
    pub(crate) fn capture_buffered(&self) -> usize {
        self.capture.as_deref().map_or(0, Capture::buffered)
    }

    /// Whether a snapshot has still to pass all or some of this database.
    pub(crate) fn is_captured(&self) -> bool {
        self.capture.is_some()
    }

    /// Does a bounded part of what the snapshot has left to do here: a piece of a value, or up to `group` buckets. False: nothing is
    /// left.
    pub(crate) fn capture_step(&mut self, group: usize) -> bool {
        let Some(c) = self.capture.as_deref_mut() else {
            return false;
        };
        c.step(&self.table, group);
        !c.is_done()
    }

    /// The snapshot is done with this database, or given up. Returns entries to be freed.
    pub(crate) fn end_capture(&mut self) -> Vec<Entry> {
        self.observed = self.by_slot.is_some();
        self.capture.take().map_or_else(Vec::new, |mut c| c.end())
    }

    /// What a change of this key would mean for the snapshot.
    pub(crate) fn unsaved(&self, key: &[u8]) -> Uncaptured {
        let Some(c) = self.capture.as_deref() else {
            return Uncaptured::No;
        };
        match self.find_unhurried(key) {
            Some(slot) => c.unsaved(self.table.at(slot)),
            None => Uncaptured::No,
        }
    }

    /// This key's value is to be written next.
    pub(crate) fn capture_soon(&mut self, key: &[u8]) {
        if let Some(c) = self.capture.as_deref_mut() {
            c.want(key);
        }
    }

    /// Forgets which entries earlier snapshots had; it takes a look at each.
    pub(crate) fn forget_captures(&mut self) {
        self.table.for_each(|e| e.set_snapshot(0));
    }

    #[cold]
    #[inline(never)]
    fn before_change(&mut self, slot: Slot) {
        if let Some(c) = self.capture.as_deref_mut() {
            c.save(self.table.at(slot));
        }
    }

    /// The entry is another one now, or may be; the snapshot does not want it.
    #[cold]
    #[inline(never)]
    fn after_change(&mut self, slot: Slot) {
        if let Some(c) = self.capture.as_deref_mut() {
            c.pass(self.table.at(slot));
        }
    }

    #[cold]
    #[inline(never)]
    fn set_value_captured(&mut self, slot: Slot, value: NewValue<'_>) {
        let Some(c) = self.capture.as_deref_mut() else {
            return;
        };
        let e = self.table.at_mut(slot);
        if c.wants(e) {
            c.set_aside(e.replace_value(value));
        } else {
            let old = e.replace_value(value);
            if old.is_large() {
                self.replaced.push(old);
            }
        }
        c.pass(e);
        if e.expire().is_some() {
            self.expires.moved(e);
        }
    }

    #[cold]
    #[inline(never)]
    fn before_removal(&mut self, slot: Slot) {
        let kind = self.table.at(slot).value_type();
        let wants = match self.capture.as_deref_mut() {
            Some(c) => c.wants(self.table.at(slot)),
            None => false,
        };
        if wants {
            self.set_value_captured(slot, husk(kind));
        }
    }

    /// What is to be done next about keys that expire, at this moment (unix ms). A key that is given is the caller's to remove.
    pub(crate) fn next_expired(&mut self, now: i64) -> Turn<Listed<'_>> {
        match self.expires.turn(now) {
            Turn::Nothing => Turn::Nothing,
            Turn::Listed => Turn::Listed,
            Turn::Expired(i) => {
                // The bucket of one that will be given soon is on its way meanwhile.
                if let Some(soon) = self.expires.soon(i) {
                    self.table.prefetch_bucket(self.table.hash(soon.name()));
                }
                Turn::Expired(self.expires.get(i))
            }
        }
    }

    /// A random key with an expiry.
    pub(crate) fn random_expiring(&self, next_random: impl FnMut() -> u64) -> Option<Listed<'_>> {
        self.expires.random(next_random)
    }

    /// See [`Table::scan`].
    pub(crate) fn scan(&self, cursor: u64, f: impl FnMut(&Entry)) -> u64 {
        self.table.scan(cursor, f)
    }

    pub(crate) fn for_each(&self, f: impl FnMut(&Entry)) {
        self.table.for_each(f)
    }

    /// Every entry, once, in no order, to be saved. In a forked child that saves, the memory of what has been saved goes back to
    /// the kernel, and so the keys are gone afterwards: the keyspace is empty.
    pub(crate) fn save_each(&mut self, mut f: impl FnMut(Unsaved<'_>)) {
        if !sys::is_saving_child() {
            return self.for_each(|entry| {
                f(Unsaved {
                    entry,
                    in_child: false,
                });
            });
        }
        // Nothing is written: each page that is costs a copy.
        let table = ManuallyDrop::new(self.table.take());
        std::mem::forget(std::mem::take(&mut self.expires));
        table.for_each(|entry| {
            f(Unsaved {
                entry,
                in_child: true,
            });
        });
    }

    pub(crate) fn random(&self, next_random: impl FnMut() -> u64) -> Option<&Entry> {
        self.table.random(next_random)
    }

    /// Some keys that lie side by side; see [`Table::some`].
    pub(crate) fn some(&self, next_random: impl FnMut() -> u64, n: usize, f: impl FnMut(&Entry)) {
        self.table.some(next_random, n, f);
    }

    /// Makes room for `n` keys at once.
    pub(crate) fn reserve(&mut self, n: usize) {
        self.table.reserve(n);
    }

    pub(crate) fn set_resize(&mut self, resize: Resize) {
        self.table.set_resize(resize);
    }

    pub(crate) fn try_resize(&mut self) {
        self.table.try_resize();
    }

    pub(crate) fn rehash_for(&mut self, us: u64) -> bool {
        self.table.rehash_for(us)
    }

    /// The table itself, for DEBUG HTSTATS.
    pub(crate) fn table(&self) -> &Table<Entry> {
        &self.table
    }

    /// Bytes of table and index, without the entries.
    pub(crate) fn overhead(&self) -> (usize, usize) {
        (self.table.mem_usage(), self.expires.mem_usage())
    }

    /// Bytes for knowing the keys of each hash slot.
    pub(crate) fn slots_overhead(&self) -> usize {
        self.by_slot.as_ref().map_or(0, |s| s.index.mem_usage())
    }
}

impl Entry {
    /// The key's bytes (also through [`Element::key`]).
    #[inline]
    pub(crate) fn name(&self) -> &[u8] {
        Element::key(self)
    }
}

impl Keyspace {
    /// The value at `slot`, for reading; `None` when it is of another type.
    #[inline]
    pub(crate) fn value<T: SlotValue>(&self, slot: Slot) -> Option<ValueRef<'_, T>> {
        self.at(slot).value()
    }

    /// The value at `slot`, for a change; `None` when it is of another type. The entry stays where it is, and the slot good.
    #[inline]
    pub(crate) fn value_mut<T: SlotValue>(&mut self, slot: Slot) -> Option<ValueMut<'_, T>> {
        self.entry_mut(slot).value_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Str;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Op {
        Set(u8, Vec<u8>),
        Int(u8, i64),
        Append(u8, Vec<u8>),
        Expire(u8, Option<i64>),
        Remove(u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        let v = || proptest::collection::vec(any::<u8>(), 0..60);
        prop_oneof![
            (any::<u8>(), v()).prop_map(|(k, v)| Op::Set(k, v)),
            (any::<u8>(), any::<i64>()).prop_map(|(k, v)| Op::Int(k, v)),
            (any::<u8>(), v()).prop_map(|(k, v)| Op::Append(k, v)),
            (any::<u8>(), any::<Option<i64>>()).prop_map(|(k, v)| Op::Expire(k, v)),
            any::<u8>().prop_map(Op::Remove),
        ]
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn table_and_index_stay_in_step(ops in proptest::collection::vec(op(), 0..crate::ds::effort::of(600, 80))) {
            let mut ks = Keyspace::with_slots(KeyHasher::new([7, 8, 9, 10]));
            let mut model: BTreeMap<u8, (Vec<u8>, Option<i64>)> = BTreeMap::new();
            for o in ops {
                let k = match &o { Op::Set(k, _) | Op::Int(k, _) | Op::Append(k, _) | Op::Expire(k, _) | Op::Remove(k) => *k };
                let h = ks.hash(&[k]);
                let slot = ks.find(h, &[k]);
                prop_assert_eq!(slot.is_some(), model.contains_key(&k));
                match (o, slot) {
                    (Op::Set(_, v), Some(s)) => {
                        ks.set_value(s, NewValue::Bytes { bytes: &v, raw: false });
                        model.entry(k).and_modify(|e| e.0 = v);
                    }
                    (Op::Set(_, v), None) => {
                        ks.add(h, Entry::new(&[k], NewValue::Bytes { bytes: &v, raw: false }, None));
                        model.insert(k, (v, None));
                    }
                    (Op::Int(_, v), Some(s)) => {
                        ks.set_value(s, NewValue::Int(v));
                        model.entry(k).and_modify(|e| e.0 = v.to_string().into_bytes());
                    }
                    (Op::Append(_, v), Some(s)) => {
                        ks.update_raw(s, |b| b.extend_from_slice(&v));
                        model.entry(k).and_modify(|e| e.0.extend(v));
                    }
                    (Op::Expire(_, at), Some(s)) => {
                        ks.set_expire(s, at);
                        model.entry(k).and_modify(|e| e.1 = at);
                    }
                    (Op::Remove(_), _) => {
                        prop_assert_eq!(ks.remove(h, &[k]).is_some(), model.remove(&k).is_some());
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(ks.len(), model.len());
            let mut by_slot: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
            for k in model.keys() {
                by_slot.entry(key_hash_slot(&[*k])).or_default().push(*k);
            }
            for (slot, keys) in by_slot {
                let mut found: Vec<u8> = ks.keys_in_slot(slot, 1000).iter().map(|k| k[0]).collect();
                found.sort_unstable();
                prop_assert_eq!(ks.count_in_slot(slot), keys.len());
                prop_assert_eq!(ks.keys_in_slot(slot, 1).len(), 1);
                prop_assert_eq!(found, keys);
            }
            let mut got = BTreeMap::new();
            ks.for_each(|e| {
                let v = match e.string() {
                    Str::Int(n) => n.to_string().into_bytes(),
                    Str::Bytes(b) => b.to_vec(),
                };
                got.insert(e.name()[0], (v, e.expire()));
            });
            let with_expiry = model.values().filter(|v| v.1.is_some()).count();
            prop_assert_eq!(ks.expires_len(), with_expiry);
            prop_assert_eq!(ks.expires.iter().count(), with_expiry);
            for e in ks.expires.iter() {
                prop_assert!(e.expire().is_some() && model.get(&e.name()[0]).is_some_and(|m| m.1 == e.expire()));
            }
            prop_assert_eq!(got, model);
        }
    }

    #[test]
    fn a_change_that_unwinds_leaves_the_index_right() {
        let mut ks = Keyspace::new(KeyHasher::new([1, 2, 3, 4]));
        let h = ks.hash(b"k");
        let short = NewValue::Bytes {
            bytes: b"v",
            raw: false,
        };
        let slot = ks.add(h, Entry::new(b"k", short, Some(7)));
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ks.update_raw(slot, |_| std::panic::resume_unwind(Box::new(())))
        }));
        assert!(unwound.is_err());
        let listed = ks.random_expiring(|| 0).expect("it expires");
        let found = ks.find(h, b"k").expect("it is there");
        assert_eq!(listed.address(), ks.at(found).address());
        assert_eq!((listed.name(), listed.expire()), (&b"k"[..], Some(7)));
    }

    #[test]
    fn saving_leaves_the_keys_but_in_a_child_that_saves() {
        let mut ks = Keyspace::new(KeyHasher::new([1, 2, 3, 4]));
        for k in 0..50u8 {
            let h = ks.hash(&[k]);
            ks.add(h, Entry::new(&[k], NewValue::Int(i64::from(k)), None));
        }
        let mut seen = 0;
        ks.save_each(|e| {
            seen += 1;
            let bytes = e.mem_usage() as u64;
            e.saved(bytes);
        });
        assert_eq!((seen, ks.len()), (50, 50));
    }
}
