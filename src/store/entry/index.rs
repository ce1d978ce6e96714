//! The expire index: the entries of a database that have an expiry, by when that is, so that those that are due are found without
//! looking at others, and a random one costs a random number and a load. Six bytes a key: upstream keeps a second hash table.
//!
//! It is a hierarchical timing wheel. A slot of level 0 stands for 16 ms, one of each other level for 64 of the level below; each
//! level has a ring of 128 slots, which begins at the first that is not done (`done`). An entry is listed in a slot that begins no
//! later than the entry expires: whoever works the slots off in order finds each entry in time. What is found in a slot of a higher
//! level is listed anew further down, somewhat before that slot begins ([`AHEAD`]); and what is found whose expiry was put off
//! meanwhile is listed anew, too: putting it off costs nothing else. So a key is listed anew some three times a life.
//!
//! The list of a slot is a chain of chunks, of which all but the first are full; the hole that a removal leaves is filled from the
//! first one. Chunks never move and are never reallocated when they are full, so growth costs no copy.
//!
//! Time comes from whoever asks for what is due; where nobody does (a replica leaves that to its master), slots are coarse for what
//! is listed later, and all is put right when somebody does. When the clock has gone back by more than a second, all entries are
//! listed anew, by and by.
//!
//! Invariants: the entry at place `i` has an expiry and carries `i` as its expire index; entries are borrowed from the
//! table, which outlives this list. Only [`super::keyspace`] may touch it, since it alone knows when an entry moves. All slots of a
//! level before its `done` are empty; `live` names the chunks that have entries, which are all that are in a chain.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use super::{Entry, NO_INDEX};
use crate::base::clock::mstime;
use crate::ds::prefetch;

/// Places a chunk.
const CHUNK: usize = 256;
/// As many as have places that an entry can keep, below [`NO_INDEX`].
const CHUNKS_MAX: usize = NO_INDEX as usize / CHUNK;
/// Levels, slots of each, and how many times as long a slot is as one of the level below, as a power of two.
const LEVELS: usize = 7;
const RING: u64 = 128;
const FACTOR_BITS: u32 = 6;
/// A slot of level 0 is so many milliseconds, as a power of two.
const SLOT_BITS: u32 = 4;
/// Slots of the level below by which a slot is listed anew before it begins.
const AHEAD: u64 = 16;
/// All slots of all levels, and one for what is to be listed anew.
const SLOTS: usize = LEVELS * RING as usize + 1;
const LIMBO: u16 = SLOTS as u16 - 1;
/// At least as many, and a power of two: then an index needs no check.
const HEADS: usize = SLOTS.next_power_of_two();
/// Slots of level 0 by which the clock may go back before all is listed anew: a second or so.
const BACK: u64 = 64;
/// Entries that are listed anew in one step.
const STEP: usize = 16;
/// How many entries before its turn the memory of one is brought near, and its key is there to be read.
const NEAR: usize = 16;
const THERE: usize = 8;
/// No chunk.
const NONE: u32 = u32::MAX;

/// The address of an entry. User space has 47 bits of addresses on the machines we run on, so the top two bytes are zero.
#[cfg(not(miri))]
#[derive(Clone, Copy)]
struct Place([u8; 6]);

#[cfg(not(miri))]
impl Place {
    fn of(entry: &Entry) -> Place {
        let [a, b, c, d, e, f, zero, none] =
            (entry.0.as_ptr().expose_provenance() as u64).to_le_bytes();
        assert!(zero == 0 && none == 0, "an address beyond 48 bits");
        Place([a, b, c, d, e, f])
    }

    /// The entry that lives there; the caller knows that it still does.
    fn entry(self) -> ManuallyDrop<Entry> {
        let [a, b, c, d, e, f] = self.0;
        let address = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) as usize;
        let p = std::ptr::with_exposed_provenance_mut::<u8>(address);
        // SAFETY: `of` took it from a NonNull.
        ManuallyDrop::new(Entry(unsafe { NonNull::new_unchecked(p) }))
    }

    /// Its memory will be looked at soon.
    fn bring_near(self) {
        prefetch(self.entry().0.as_ptr());
    }
}

/// The same with the whole pointer: Miri looks at how the index uses it, and follows no address that has been cut out of one.
#[cfg(miri)]
#[derive(Clone, Copy)]
struct Place(NonNull<u8>);

// SAFETY: as the bytes of an address may be; entries may be sent.
#[cfg(miri)]
unsafe impl Send for Place {}

#[cfg(miri)]
impl Place {
    fn of(entry: &Entry) -> Place {
        Place(entry.0)
    }

    fn entry(self) -> ManuallyDrop<Entry> {
        ManuallyDrop::new(Entry(self.0))
    }

    fn bring_near(self) {}
}

/// An entry as the index finds it: borrowed from the keyspace.
pub(crate) struct Listed<'a> {
    entry: ManuallyDrop<Entry>,
    borrowed: PhantomData<&'a Entry>,
}

impl Deref for Listed<'_> {
    type Target = Entry;
    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// A part of a slot's list.
struct Chunk {
    places: Vec<Place>,
    /// The next one of the list.
    next: u32,
    /// Its place in `live`.
    live: u32,
    slot: u16,
}

/// When a slot of this level that has this number begins, as a shift of it: unix ms.
const fn shift(level: usize) -> u32 {
    SLOT_BITS + FACTOR_BITS * level as u32
}

/// The slots, and how far they are worked off.
struct Wheel {
    /// The first chunk of each slot's list.
    heads: [u32; HEADS],
    /// The slots of each level that have a list, a bit each.
    busy: [u128; LEVELS],
    /// The first slot of each level that is not done, counted from 1970.
    done: [u64; LEVELS],
    /// Before this one they are to be done; nothing is listed there that can be listed elsewhere.
    open: [u64; LEVELS],
    /// A slot that is not to be done yet: when it begins, unix ms, and how long it is; 0: none is known.
    last_from: u64,
    last_ms: u64,
    last_slot: u16,
}

impl Wheel {
    fn new(now: i64) -> Wheel {
        let mut wheel = Wheel {
            heads: [NONE; HEADS],
            busy: [0; LEVELS],
            done: [0; LEVELS],
            open: [0; LEVELS],
            last_from: 0,
            last_ms: 0,
            last_slot: 0,
        };
        wheel.begin(now);
        wheel
    }

    /// Nothing before this moment (unix ms) has to be done.
    fn begin(&mut self, now: i64) {
        for level in 0..LEVELS {
            self.done[level] = now.max(0) as u64 >> shift(level);
        }
        self.open = self.done;
        self.last_ms = 0;
        self.note_time(now);
    }

    fn note_time(&mut self, now: i64) {
        let now = now.max(0) as u64;
        self.open[0] = now >> shift(0);
        for level in 1..LEVELS {
            let ahead = AHEAD << shift(level - 1);
            let open = (now.saturating_add(ahead) >> shift(level)) + 1;
            self.open[level] = self.open[level].max(open);
        }
        let level = usize::from(self.last_slot) / RING as usize;
        if self.last_from >> shift(level) < self.open[level] {
            self.last_ms = 0;
        }
    }

    /// The slot where an entry is to be listed that expires then. Entries that come one after another often go to the same one.
    #[inline]
    fn slot_for(&mut self, at: i64) -> u16 {
        if (at as u64).wrapping_sub(self.last_from) < self.last_ms {
            return self.last_slot;
        }
        self.find_slot(at)
    }

    #[inline(never)]
    fn find_slot(&mut self, at: i64) -> u16 {
        let at = at.max(0) as u64;
        let first = self.done[0];
        let n = (at >> shift(0)).max(first);
        if n - first < RING {
            return (n % RING) as u16;
        }
        // Nearly always it is this level, or the one above.
        let bits = 63 - (n - first).leading_zeros();
        let mut level = ((bits - 1) / FACTOR_BITS) as usize;
        level = level.min(LEVELS - 1);
        while level > 0 && at >> shift(level) < self.open[level] {
            level -= 1;
        }
        loop {
            let first = self.done[level];
            let n = (at >> shift(level)).max(first);
            let ring = level as u16 * RING as u16;
            let up = level + 1;
            if n - first < RING {
                let slot = ring + (n % RING) as u16;
                if n >= self.open[level] && n == at >> shift(level) {
                    self.last_slot = slot;
                    self.last_from = n << shift(level);
                    self.last_ms = 1 << shift(level);
                }
                return slot;
            }
            if up >= LEVELS || at >> shift(up) < self.open[up] {
                // Far away, or what is before it is late: it is found early, and listed anew then.
                return ring + ((first + RING - 1) % RING) as u16;
            }
            level = up;
        }
    }

    /// Whether this moment (unix ms) comes before the slot begins.
    #[inline]
    fn is_before(&self, at: i64, slot: u16) -> bool {
        if slot == LIMBO {
            return false;
        }
        let (level, n) = (usize::from(slot) / RING as usize, u64::from(slot) % RING);
        let first = self.done[level];
        let begins = first + n.wrapping_sub(first) % RING;
        at.max(0) as u64 >> shift(level) < begins
    }

    fn set_head(&mut self, slot: u16, head: u32) {
        self.heads[usize::from(slot)] = head;
        if slot != LIMBO {
            let (level, bit) = (usize::from(slot) / RING as usize, u64::from(slot) % RING);
            match head {
                NONE => self.busy[level] &= !(1 << bit),
                _ => self.busy[level] |= 1 << bit,
            }
        }
    }

    /// The first slot of a level that is to be done and has a list. Those before it are done.
    fn next_slot(&mut self, level: usize) -> Option<u16> {
        let (first, open) = (self.done[level], self.open[level]);
        if first >= open {
            return None;
        }
        let at = (first % RING) as u32;
        let busy = self.busy[level].rotate_right(at);
        let empty = u64::from(busy.trailing_zeros());
        if busy == 0 || empty >= open - first {
            self.done[level] = open;
            return None;
        }
        self.done[level] = first + empty;
        Some(level as u16 * RING as u16 + ((first + empty) % RING) as u16)
    }
}

/// What is to be done next about entries that expire. An entry is told by its place, or as it is found there.
pub(crate) enum Turn<E> {
    /// This one's time is over.
    Expired(E),
    /// Some have been listed anew.
    Listed,
    /// Nothing.
    Nothing,
}

#[derive(Default)]
pub(super) struct ExpireIndex {
    chunks: Vec<Chunk>,
    live: Vec<u32>,
    /// Chunks that are in no list.
    free: Vec<u32>,
    len: usize,
    wheel: Option<Box<Wheel>>,
}

impl ExpireIndex {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn mem_usage(&self) -> usize {
        self.live.len() * CHUNK * size_of::<Place>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + (self.live.capacity() + self.free.capacity()) * size_of::<u32>()
            + self.wheel.as_ref().map_or(0, |_| size_of::<Wheel>())
    }

    /// Lists an entry and tells it its place. Panics when there are 2^32 places, or nearly: an entry has no room for more. The
    /// process ends then, as it does when there is no memory. Entries and places of so many keys take some 300 GB in one
    /// database; a command that is refused would not help whoever has come here, since its master, or its file, has that key;
    /// and a key that expires and has no place would never go.
    pub(super) fn push(&mut self, entry: &mut Entry) {
        let at = entry.expire().unwrap_or(i64::MAX);
        let Some(wheel) = &mut self.wheel else {
            return self.push_first(entry);
        };
        let slot = wheel.slot_for(at);
        let head = wheel.heads[usize::from(slot) % HEADS];
        // No chunk's number is beyond all chunks.
        if let Some(c) = self.chunks.get_mut(head as usize)
            && c.places.len() < c.places.capacity()
        {
            entry.set_expire_index(head * CHUNK as u32 + c.places.len() as u32);
            c.places.push(Place::of(entry));
            self.len += 1;
            return;
        }
        self.push_in_new_room(entry, slot, head);
    }

    /// The first of all.
    #[cold]
    #[inline(never)]
    fn push_first(&mut self, entry: &mut Entry) {
        self.wheel = Some(Box::new(Wheel::new(mstime())));
        self.push(entry);
    }

    /// The first chunk of the list has no room, or there is none.
    #[cold]
    #[inline(never)]
    fn push_in_new_room(&mut self, entry: &mut Entry, slot: u16, mut head: u32) {
        if head == NONE || self.chunks[head as usize].places.len() == CHUNK {
            head = self.begin_chunk(slot, head);
        }
        let places = &mut self.chunks[head as usize].places;
        let room = (2 * places.len()).clamp(4, CHUNK);
        places.reserve_exact(room - places.len());
        entry.set_expire_index(head * CHUNK as u32 + places.len() as u32);
        places.push(Place::of(entry));
        self.len += 1;
    }

    /// A chunk before the first one of a list.
    fn begin_chunk(&mut self, slot: u16, next: u32) -> u32 {
        // The first chunk grows by itself: many slots have few keys.
        let room = if next == NONE { 0 } else { CHUNK };
        let chunk = Chunk {
            places: Vec::with_capacity(room),
            next,
            live: self.live.len() as u32,
            slot,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.chunks[id as usize] = chunk;
                id
            }
            None => {
                assert!(self.chunks.len() < CHUNKS_MAX, "too many keys that expire");
                self.chunks.push(chunk);
                self.chunks.len() as u32 - 1
            }
        };
        self.live.push(id);
        if let Some(wheel) = &mut self.wheel {
            wheel.set_head(slot, id);
        }
        id
    }

    /// The entry has moved in memory: its place points to it again.
    pub(super) fn moved(&mut self, entry: &Entry) {
        let i = entry.expire_index() as usize;
        self.chunks[i / CHUNK].places[i % CHUNK] = Place::of(entry);
    }

    /// The entry, which is listed, expires at another time now.
    pub(super) fn rescheduled(&mut self, entry: &mut Entry) {
        let i = entry.expire_index();
        let slot = self.chunks[i as usize / CHUNK].slot;
        let at = entry.expire().unwrap_or(i64::MAX);
        let Some(w) = &self.wheel else {
            return;
        };
        // Most often it is the slot that is known.
        let stays = w.last_ms != 0 && slot == w.last_slot && at >= w.last_from as i64;
        if !stays && w.is_before(at, slot) {
            self.list_again(entry);
        }
    }

    /// The entry, which is listed, is listed where it belongs now.
    #[cold]
    #[inline(never)]
    fn list_again(&mut self, entry: &mut Entry) {
        self.remove(entry.expire_index());
        self.push(entry);
    }

    /// Takes the entry at `i` out; another one of its list takes its place.
    pub(super) fn remove(&mut self, i: u32) {
        let slot = self.chunks[i as usize / CHUNK].slot;
        let Some(wheel) = &mut self.wheel else {
            unreachable!("what is listed is listed in a slot")
        };
        let head = wheel.heads[usize::from(slot)];
        let first = &mut self.chunks[head as usize];
        let Some(p) = first.places.pop() else {
            unreachable!("a chunk of a list has entries")
        };
        self.len -= 1;
        if head * CHUNK as u32 + first.places.len() as u32 != i {
            self.chunks[i as usize / CHUNK].places[i as usize % CHUNK] = p;
            p.entry().set_expire_index(i);
        }
        let first = &mut self.chunks[head as usize];
        if first.places.is_empty() {
            let (next, live) = (first.next, first.live);
            first.places = Vec::new();
            wheel.set_head(slot, next);
            self.free.push(head);
            self.live.swap_remove(live as usize);
            if let Some(moved) = self.live.get(live as usize) {
                self.chunks[*moved as usize].live = live;
            }
        }
    }

    /// All that is listed is to be listed anew, as of this moment.
    #[cold]
    fn list_all_anew(&mut self, now: i64) {
        let Some(wheel) = &mut self.wheel else {
            return;
        };
        let mut partial = Vec::new();
        let mut head = NONE;
        for id in &self.live {
            let c = &mut self.chunks[*id as usize];
            c.slot = LIMBO;
            if c.places.len() < CHUNK {
                partial.push(*id);
                continue;
            }
            (c.next, head) = (head, *id);
        }
        // They may be several: of this list alone, chunks behind the first need not be full.
        for id in partial {
            (self.chunks[id as usize].next, head) = (head, id);
        }
        wheel.heads = [NONE; HEADS];
        wheel.busy = [0; LEVELS];
        wheel.begin(now);
        wheel.set_head(LIMBO, head);
    }

    /// Does a bounded part of what is to be done at this moment (unix ms). Who is given an entry removes it, or gets it again.
    pub(super) fn turn(&mut self, now: i64) -> Turn<u32> {
        let Some(wheel) = self.wheel.as_deref_mut() else {
            return Turn::Nothing;
        };
        if (now.max(0) as u64 >> shift(0)) + BACK < wheel.done[0] {
            self.list_all_anew(now);
            return Turn::Listed;
        }
        if self.len == 0 {
            return Turn::Nothing;
        }
        wheel.note_time(now);
        if wheel.heads[usize::from(LIMBO)] != NONE {
            return self.list_anew();
        }
        if let Some(slot) = wheel.next_slot(0) {
            let head = &self.chunks[wheel.heads[usize::from(slot)] as usize];
            let n = head.places.len();
            if let Some(near) = n.checked_sub(NEAR).and_then(|i| head.places.get(i)) {
                near.bring_near();
            }
            let last = head.places[n - 1].entry();
            if last.expire().is_some_and(|at| at < now) {
                return Turn::Expired(last.expire_index());
            }
            return self.leave_slot(slot);
        }
        for level in 1..LEVELS {
            if let Some(slot) = wheel.next_slot(level) {
                return self.leave_slot(slot);
            }
        }
        Turn::Nothing
    }

    /// All that is in this slot, the first of its level that is not done, is to be listed anew, and the slot is done: so none of it
    /// is listed there again.
    fn leave_slot(&mut self, slot: u16) -> Turn<u32> {
        let Some(wheel) = self.wheel.as_deref_mut() else {
            return Turn::Nothing;
        };
        let level = usize::from(slot) / RING as usize;
        let first = wheel.heads[usize::from(slot)];
        let mut last = first;
        loop {
            let c = &mut self.chunks[last as usize];
            c.slot = LIMBO;
            if c.next == NONE {
                c.next = wheel.heads[usize::from(LIMBO)];
                break;
            }
            last = c.next;
        }
        wheel.set_head(slot, NONE);
        wheel.set_head(LIMBO, first);
        wheel.done[level] += 1;
        if wheel.busy[level] == 0 {
            wheel.done[level] = wheel.done[level].max(wheel.open[level]);
        }
        self.list_anew()
    }

    /// The entry at `i`.
    pub(super) fn get(&self, i: u32) -> Listed<'_> {
        let i = i as usize;
        // The entry is alive while it is listed (invariant), and the borrow of the index keeps it listed.
        Listed {
            entry: self.chunks[i / CHUNK].places[i % CHUNK].entry(),
            borrowed: PhantomData,
        }
    }

    /// One that [`Self::turn`] gives soon after the one at `i`.
    pub(super) fn soon(&self, i: u32) -> Option<Listed<'_>> {
        (i as usize % CHUNK >= THERE).then(|| self.get(i - THERE as u32))
    }

    /// Lists some of the entries that wait for it where they belong now.
    fn list_anew(&mut self) -> Turn<u32> {
        for _ in 0..STEP {
            let head = match &self.wheel {
                Some(w) if w.heads[usize::from(LIMBO)] != NONE => w.heads[usize::from(LIMBO)],
                _ => break,
            };
            let places = &self.chunks[head as usize].places;
            let n = places.len();
            if let Some(near) = n.checked_sub(NEAR).and_then(|i| places.get(i)) {
                near.bring_near();
            }
            let mut e = places[n - 1].entry();
            self.remove(e.expire_index());
            self.push(&mut e);
        }
        Turn::Listed
    }

    /// One of the entries, each as likely as any other; none if there are none.
    pub(super) fn random(&self, mut next_random: impl FnMut() -> u64) -> Option<Listed<'_>> {
        if self.len == 0 {
            return None;
        }
        loop {
            let r = next_random();
            let chunk = ((r >> 32) * self.live.len() as u64) >> 32;
            let id = self.live[chunk as usize];
            // Of a chunk with few entries most places are empty: a miss.
            if let Some(p) = self.chunks[id as usize].places.get(r as usize % CHUNK) {
                return Some(Listed {
                    entry: p.entry(),
                    borrowed: PhantomData,
                });
            }
        }
    }

    /// Every entry, in no order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        let places = self
            .live
            .iter()
            .flat_map(|id| &self.chunks[*id as usize].places);
        places.map(|p| Listed {
            entry: p.entry(),
            borrowed: PhantomData,
        })
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
