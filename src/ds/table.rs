//! The hash table behind every keyspace and every big collection (dict.c's job).
//!
//! Layout. A table is an array of 64-byte buckets, one cache line each:
//!
//! ```text
//! byte 0..7   seven tags, one a slot: 0 = empty, 0x80 | seven bits of the hash = full
//! byte 7      1 when the bucket is chained: then slot 6 is not an element but points to the next bucket
//! byte 8..64  seven words, each an owned `E` (a pointer)
//! ```
//!
//! A look-up compares seven tags at once in one 64-bit word and touches an element only when its tag matches, so a miss
//! costs one cache line and a hit two.
//!
//! Growing and shrinking are incremental: while `rehash_next` is some, `tables[0]` is emptied bucket by bucket into
//! `tables[1]`; each write moves one bucket and [`Table::rehash_for`] moves more when the owner is idle. The only big step
//! is the allocation of the new array.
//!
//! Invariants:
//! - the number of buckets of a table is a power of two (SCAN's reverse-binary cursor needs it);
//! - an element is reachable from exactly one bucket chain of exactly one of the two tables;
//! - every bucket of `tables[0]` below `rehash_next` is empty and unchained;
//! - `version` changes whenever an element may have moved, so a stale [`Slot`] is found out before it is followed.
//!
//! SCAN's guarantee: an element present during the whole of an iteration is returned at least once, however the table grows
//! or shrinks in between, because all elements of one chain are returned together and the cursor counts in reversed bits.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::hash::Hasher;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::base::sys;

/// Elements a bucket holds before it chains.
const SLOTS: usize = 7;
const LOW: u64 = 0x0101_0101_0101_0101;
/// The top bit of each of the seven tag bytes.
const TAGS: u64 = 0x0080_8080_8080_8080;
/// The same without slot 6, which is a pointer in a chained bucket.
const TAGS_CHAINED: u64 = 0x0000_8080_8080_8080;
const CHAINED: u64 = 1 << 56;
/// Bucket arrays from this size on give their pages back to the kernel as soon as they are freed.
const RELEASE_BYTES: usize = 256 * 1024;

/// The key of a keyed hash, random per process, so that nobody outside can choose colliding keys.
#[derive(Clone)]
pub struct KeyHasher(ahash::RandomState);

impl KeyHasher {
    /// A hasher from 32 random bytes.
    pub fn new(seed: [u64; 4]) -> KeyHasher {
        KeyHasher(ahash::RandomState::with_seeds(
            seed[0], seed[1], seed[2], seed[3],
        ))
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::BuildHasher;
        let mut h = self.0.build_hasher();
        h.write(key);
        h.finish()
    }
}

/// For the standard maps with keys that clients choose.
impl std::hash::BuildHasher for KeyHasher {
    type Hasher = ahash::AHasher;
    #[inline]
    fn build_hasher(&self) -> ahash::AHasher {
        self.0.build_hasher()
    }
}

/// What a table stores: a pointer-sized owner of one allocation that knows its key.
///
/// # Safety
/// The type must be `repr(transparent)` over a non-null pointer: eight bytes, never zero, movable bit by bit.
pub unsafe trait Element: Sized {
    fn key(&self) -> &[u8];
}

/// Whether a table may start to resize. While a child shares the pages (fork), moving elements costs copies of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resize {
    Allow,
    /// Only when the table is badly overfull.
    Avoid,
}

/// Where an element sits, as found by a look-up. Good until the table changes shape; following a stale one panics.
#[derive(Clone, Copy)]
pub struct Slot {
    word: NonNull<usize>,
    version: u64,
}

#[repr(C, align(64))]
struct Bucket {
    meta: u64,
    words: [usize; SLOTS],
}

impl Bucket {
    #[inline]
    fn slots_mask(&self) -> u64 {
        if self.meta & CHAINED != 0 {
            TAGS_CHAINED
        } else {
            TAGS
        }
    }

    /// The full slots, as the top bits of their tag bytes.
    #[inline]
    fn full(&self) -> u64 {
        self.meta & self.slots_mask()
    }

    #[inline]
    fn next(&self) -> Option<NonNull<Bucket>> {
        if self.meta & CHAINED != 0 {
            NonNull::new(self.words[SLOTS - 1] as *mut Bucket)
        } else {
            None
        }
    }

    fn next_mut(&mut self) -> Option<&mut Bucket> {
        // SAFETY: a chained bucket's last word points to a bucket that this table allocated and frees only when it unlinks it.
        self.next().map(|p| unsafe { &mut *p.as_ptr() })
    }

    /// Full slots whose tag may be `tag`: all that have it, and by a borrow perhaps the one above such a slot when its tag
    /// differs in the lowest bit alone. An empty slot and the link of a chained bucket are never among them: their tag is 0,
    /// which differs from `tag` in the top bit.
    #[inline]
    fn candidates(&self, tag: u8) -> u64 {
        debug_assert!(tag & 0x80 != 0);
        let x = self.meta ^ (u64::from(tag) * LOW);
        x.wrapping_sub(LOW) & !x & TAGS
    }

    fn set(&mut self, slot: usize, tag: u8, word: usize) {
        let shift = slot * 8;
        self.meta = (self.meta & !(0xff << shift)) | (u64::from(tag) << shift);
        self.words[slot] = word;
    }

    fn clear(&mut self, slot: usize) {
        self.meta &= !(0xff << (slot * 8));
        self.words[slot] = 0;
    }

    fn tag(&self, slot: usize) -> u8 {
        (self.meta >> (slot * 8)) as u8
    }
}

#[inline]
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let slot = mask.trailing_zeros() as usize / 8;
        mask &= mask - 1;
        Some(slot)
    })
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash >> 57) as u8 | 0x80
}

/// One array of buckets; `len` is zero (nothing allocated) or a power of two.
struct Buckets {
    ptr: NonNull<Bucket>,
    len: usize,
    used: usize,
    /// Chain buckets allocated besides the array.
    chained: usize,
}

impl Buckets {
    const fn none() -> Buckets {
        Buckets {
            ptr: NonNull::dangling(),
            len: 0,
            used: 0,
            chained: 0,
        }
    }

    fn layout(len: usize) -> Layout {
        Layout::array::<Bucket>(len).unwrap_or_else(|_| handle_alloc_error(Layout::new::<Bucket>()))
    }

    fn alloc(len: usize) -> Buckets {
        let layout = Self::layout(len);
        // SAFETY: the layout has a non-zero size, since len is at least one.
        let p = unsafe { alloc_zeroed(layout) } as *mut Bucket;
        let Some(ptr) = NonNull::new(p) else {
            handle_alloc_error(layout)
        };
        Buckets {
            ptr,
            len,
            used: 0,
            chained: 0,
        }
    }

    /// Frees the array itself; the caller has emptied it.
    fn free(&mut self) {
        if self.len > 0 {
            let layout = Self::layout(self.len);
            if layout.size() >= RELEASE_BYTES {
                sys::release_pages(self.ptr.as_ptr().cast(), layout.size());
            }
            // SAFETY: allocated in `alloc` with the same layout, and not used after.
            unsafe { dealloc(self.ptr.as_ptr().cast(), layout) };
        }
        *self = Buckets::none();
    }

    #[inline]
    fn mask(&self) -> u64 {
        self.len as u64 - 1
    }

    #[inline]
    fn bucket(&self, index: usize) -> &Bucket {
        debug_assert!(index < self.len);
        // SAFETY: callers mask the index with len - 1 or count below len; the array holds len initialised buckets.
        unsafe { &*self.ptr.as_ptr().add(index) }
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        debug_assert!(index < self.len);
        // SAFETY: as in `bucket`; &mut self gives exclusive access.
        unsafe { &mut *self.ptr.as_ptr().add(index) }
    }

    fn insert_word(&mut self, hash: u64, word: usize) -> NonNull<usize> {
        let index = (hash & self.mask()) as usize;
        let tag = tag_of(hash);
        self.used += 1;
        let mut grown = 0;
        let mut b = self.bucket_mut(index);
        let place = loop {
            let free = !b.meta & b.slots_mask();
            if free != 0 {
                let slot = free.trailing_zeros() as usize / 8;
                b.set(slot, tag, word);
                break NonNull::from(&mut b.words[slot]);
            }
            if b.meta & CHAINED == 0 {
                // Full: its last element moves to a new bucket behind it, and the last word becomes the link.
                let mut child = Buckets::alloc(1);
                let c = child.bucket_mut(0);
                c.set(0, b.tag(SLOTS - 1), b.words[SLOTS - 1]);
                b.set(SLOTS - 1, 0, child.ptr.as_ptr() as usize);
                b.meta |= CHAINED;
                grown += 1;
            }
            match b.next_mut() {
                Some(n) => b = n,
                None => unreachable!("a chained bucket has a successor"),
            }
        };
        self.chained += grown;
        place
    }

    /// Takes the element in `slot` of the `depth`-th bucket of the chain at `index`, and fills the hole from the chain's end.
    fn remove_at(&mut self, index: usize, depth: usize, slot: usize) -> usize {
        self.used -= 1;
        let mut freed = 0;
        let mut b = self.bucket_mut(index);
        for _ in 0..depth {
            match b.next_mut() {
                Some(n) => b = n,
                None => unreachable!("the depth was just walked"),
            }
        }
        let word = b.words[slot];
        b.clear(slot);
        if b.meta & CHAINED != 0 {
            let hole: *mut Bucket = b;
            // Walk to the last bucket, remembering the one before it.
            let mut before: *mut Bucket = hole;
            // SAFETY: the chain's buckets belong to this table, which is borrowed mutably; the pointers are used one at a time.
            unsafe {
                while let Some(n) = (*before).next() {
                    if (*n.as_ptr()).next().is_none() {
                        break;
                    }
                    before = n.as_ptr();
                }
                if let Some(last) = (*before).next() {
                    let last = last.as_ptr();
                    if let Some(from) = bits((*last).full()).next() {
                        let (tag, moved) = ((*last).tag(from), (*last).words[from]);
                        (*last).clear(from);
                        (*hole).set(slot, tag, moved);
                    }
                    if (*last).full() == 0 {
                        (*before).meta &= !CHAINED;
                        (*before).clear(SLOTS - 1);
                        dealloc(last.cast(), Buckets::layout(1));
                        freed += 1;
                    }
                }
            }
        }
        self.chained -= freed;
        word
    }
}

/// A hash table of owned elements, each found by its key.
pub struct Table<E: Element> {
    tables: [Buckets; 2],
    /// The next bucket of `tables[0]` to empty, while a rehash runs.
    rehash_next: Option<usize>,
    version: u64,
    hasher: KeyHasher,
    resize: Resize,
    /// Elements moved by rehashing, for the test that no insert does more than a bucket's worth of it.
    #[cfg(test)]
    moved: usize,
    owns: PhantomData<E>,
}

impl<E: Element> Table<E> {
    pub fn new(hasher: KeyHasher) -> Table<E> {
        const { assert!(size_of::<E>() == size_of::<usize>()) };
        Table {
            tables: [Buckets::none(), Buckets::none()],
            rehash_next: None,
            version: 0,
            hasher,
            resize: Resize::Allow,
            #[cfg(test)]
            moved: 0,
            owns: PhantomData,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.tables[0].used + self.tables[1].used
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buckets of both arrays times the elements that fit without a chain: what DEBUG HTSTATS calls the table size.
    pub fn capacity(&self) -> usize {
        (self.tables[0].len + self.tables[1].len) * SLOTS
    }

    pub fn is_rehashing(&self) -> bool {
        self.rehash_next.is_some()
    }

    /// Bytes of the arrays and chains, without the elements.
    pub fn mem_usage(&self) -> usize {
        let t = &self.tables;
        (t[0].len + t[0].chained + t[1].len + t[1].chained) * size_of::<Bucket>()
    }

    /// Elements and buckets of one of the two arrays (0: the main one, 1: the target of a rehash), for DEBUG HTSTATS.
    pub fn array_stats(&self, which: usize) -> (usize, usize, usize) {
        let t = &self.tables[which];
        (t.len, t.used, t.chained)
    }

    pub fn set_resize(&mut self, resize: Resize) {
        self.resize = resize;
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// Finds an element for its removal: which array, bucket and depth in its chain, and slot.
    fn find_word(&self, hash: u64, key: &[u8]) -> Option<(usize, usize, usize, NonNull<usize>)> {
        let tag = tag_of(hash);
        for which in 0..2 {
            let t = &self.tables[which];
            if t.len == 0 {
                break;
            }
            let index = (hash & t.mask()) as usize;
            let mut b = t.bucket(index);
            let mut depth = 0;
            loop {
                for slot in bits(b.candidates(tag)) {
                    let word = &b.words[slot];
                    // SAFETY: a full slot holds a live element (invariant of set/clear), and E is transparent over the word.
                    if unsafe { &*(word as *const usize).cast::<E>() }.key() == key {
                        return Some((which, index << 8 | depth, slot, NonNull::from(word)));
                    }
                }
                match b.next() {
                    // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                    Some(n) => b = unsafe { &*n.as_ptr() },
                    None => break,
                }
                depth += 1;
            }
            if self.rehash_next.is_none() {
                break;
            }
        }
        None
    }

    /// Finds the element with this key; `hash` is [`Table::hash`] of it.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        let tag = tag_of(hash);
        let mut t = &self.tables[0];
        loop {
            if t.len > 0 {
                let mut b = t.bucket((hash & t.mask()) as usize);
                loop {
                    let mut mask = b.candidates(tag);
                    while mask != 0 {
                        let word = &b.words[mask.trailing_zeros() as usize / 8];
                        mask &= mask - 1;
                        // SAFETY: as in `find_word`.
                        if unsafe { &*(word as *const usize).cast::<E>() }.key() == key {
                            return Some(Slot {
                                word: NonNull::from(word),
                                version: self.version,
                            });
                        }
                    }
                    match b.next() {
                        // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                        Some(n) => b = unsafe { &*n.as_ptr() },
                        None => break,
                    }
                }
            }
            if self.rehash_next.is_none() || std::ptr::eq(t, &self.tables[1]) {
                return None;
            }
            t = &self.tables[1];
        }
    }

    /// The element at a slot. Panics when the table has changed shape since the slot was found.
    #[inline]
    pub fn at(&self, slot: Slot) -> &E {
        assert!(slot.version == self.version, "stale table slot");
        // SAFETY: nothing has moved since `find`, so the word is alive and holds an element.
        unsafe { &*slot.word.as_ptr().cast::<E>() }
    }

    /// The same, mutably; the element may be replaced, its key may not change.
    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut E {
        assert!(slot.version == self.version, "stale table slot");
        // SAFETY: as in `at`, and &mut self gives exclusive access.
        unsafe { &mut *slot.word.as_ptr().cast::<E>() }
    }

    /// Adds an element whose key is not in the table.
    #[inline]
    pub fn insert_new(&mut self, hash: u64, element: E) -> Slot {
        if self.rehash_next.is_some() {
            self.rehash_step();
        }
        self.grow_if_needed();
        let word = into_word(element);
        let t = if self.rehash_next.is_some() { 1 } else { 0 };
        let place = self.tables[t].insert_word(hash, word);
        self.version += 1;
        Slot {
            word: place,
            version: self.version,
        }
    }

    /// Takes the element with this key out of the table.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        if self.rehash_next.is_some() {
            self.rehash_step();
        }
        let (which, at, slot, _) = self.find_word(hash, key)?;
        let word = self.tables[which].remove_at(at >> 8, at & 0xff, slot);
        self.version += 1;
        self.shrink_if_needed();
        Some(from_word(word))
    }

    fn start_resize(&mut self, buckets: usize) {
        debug_assert!(self.rehash_next.is_none());
        if self.tables[0].used == 0 {
            // Nothing to move: no element, so no chain either.
            self.tables[0].free();
            self.tables[0] = Buckets::alloc(buckets);
        } else {
            self.tables[1] = Buckets::alloc(buckets);
            self.rehash_next = Some(0);
        }
        self.version += 1;
    }

    #[inline]
    fn grow_if_needed(&mut self) {
        let t = &self.tables[0];
        if self.rehash_next.is_some() {
            return;
        }
        // Seven eighths of the slots: chains stay rare, and the array stays small.
        if t.used >= t.len * SLOTS - t.len * SLOTS / 8 {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let t = &self.tables[0];
        if t.len == 0 {
            self.start_resize(1);
        } else if self.resize == Resize::Allow || t.used >= t.len * SLOTS * 3 {
            self.start_resize(t.len * 2);
        }
    }

    /// Grows at once to hold `n` elements; for a loader that was told the number. Bounded by the caller.
    pub fn reserve(&mut self, n: usize) {
        if self.rehash_next.is_some() {
            return;
        }
        let want = (n / (SLOTS - 1)).next_power_of_two().max(1);
        if want > self.tables[0].len {
            self.start_resize(want);
        }
    }

    #[inline]
    fn shrink_if_needed(&mut self) {
        let t = &self.tables[0];
        if self.rehash_next.is_none()
            && t.len > 4
            && t.used * 10 < t.len * SLOTS
            && self.resize == Resize::Allow
        {
            let want = (t.used / (SLOTS - 2) + 1).next_power_of_two();
            self.start_resize(want.max(1));
        }
    }

    /// Gives the table the chance to shrink, as tryResizeHashTables does in the cron.
    pub fn try_resize(&mut self) {
        self.shrink_if_needed();
    }

    /// Moves one bucket, skipping a bounded run of empty ones. True while there is more to do.
    pub fn rehash_step(&mut self) -> bool {
        let Some(mut next) = self.rehash_next else {
            return false;
        };
        self.version += 1;
        let len = self.tables[0].len;
        for _ in 0..10 {
            if next >= len || self.tables[0].used == 0 {
                break;
            }
            if self.tables[0].bucket(next).meta == 0 {
                next += 1;
                continue;
            }
            self.move_bucket(next);
            next += 1;
            break;
        }
        if self.tables[0].used == 0 {
            self.tables[0].free();
            self.tables.swap(0, 1);
            self.rehash_next = None;
            return false;
        }
        self.rehash_next = Some(next);
        true
    }

    /// Rehashes for up to `us` microseconds, as dictRehashMilliseconds. True when it did some work.
    pub fn rehash_for(&mut self, us: u64) -> bool {
        if self.rehash_next.is_none() {
            return false;
        }
        let start = std::time::Instant::now();
        loop {
            for _ in 0..100 {
                if !self.rehash_step() {
                    return true;
                }
            }
            if start.elapsed().as_micros() as u64 >= us {
                return true;
            }
        }
    }

    fn move_bucket(&mut self, index: usize) {
        let head: *mut Bucket = self.tables[0].bucket_mut(index);
        let mut b = head;
        loop {
            // SAFETY: b is a bucket of tables[0]'s chain at `index`; nothing else refers to it, and the elements' words move
            // to tables[1] before the bucket is cleared or freed.
            unsafe {
                for slot in bits((*b).full()) {
                    let word = (*b).words[slot];
                    let element = &*(&raw const word).cast::<E>();
                    let hash = self.hasher.hash(element.key());
                    self.tables[1].insert_word(hash, word);
                    self.tables[0].used -= 1;
                    #[cfg(test)]
                    {
                        self.moved += 1;
                    }
                }
                let next = (*b).next();
                if b != head {
                    dealloc(b.cast(), Buckets::layout(1));
                    self.tables[0].chained -= 1;
                }
                match next {
                    Some(n) => b = n.as_ptr(),
                    None => break,
                }
            }
        }
        // SAFETY: the head bucket is part of the array, still allocated.
        unsafe { (*head).meta = 0 };
    }

    /// Calls `f` for each element of the chain at `index` of one array.
    fn visit(&self, which: usize, index: usize, f: &mut impl FnMut(&E)) {
        let mut b = self.tables[which].bucket(index);
        loop {
            for slot in bits(b.full()) {
                // SAFETY: a full slot holds a live element.
                f(unsafe { &*(&raw const b.words[slot]).cast::<E>() });
            }
            match b.next() {
                // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                Some(n) => b = unsafe { &*n.as_ptr() },
                None => return,
            }
        }
    }

    /// One step of an iteration: calls `f` for some elements and returns the next cursor; 0 starts and ends (dictScan).
    pub fn scan(&self, cursor: u64, mut f: impl FnMut(&E)) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let mut v = cursor;
        if self.rehash_next.is_none() {
            let m = self.tables[0].mask();
            self.visit(0, (v & m) as usize, &mut f);
            return next_cursor(v, m);
        }
        let (small, large) = if self.tables[0].len <= self.tables[1].len {
            (0, 1)
        } else {
            (1, 0)
        };
        let (m0, m1) = (self.tables[small].mask(), self.tables[large].mask());
        self.visit(small, (v & m0) as usize, &mut f);
        loop {
            self.visit(large, (v & m1) as usize, &mut f);
            v = next_cursor(v, m1);
            if v & (m0 ^ m1) == 0 {
                return v;
            }
        }
    }

    /// Every element, once, in no order. The table is borrowed, so nothing moves meanwhile.
    pub fn for_each(&self, mut f: impl FnMut(&E)) {
        for which in 0..2 {
            for index in 0..self.tables[which].len {
                self.visit(which, index, &mut f);
            }
        }
    }

    /// A random element: uniform over buckets, then over the elements of the bucket's chain (dictGetRandomKey).
    pub fn random(&self, mut next_random: impl FnMut() -> u64) -> Option<&E> {
        if self.is_empty() {
            return None;
        }
        let total = self.tables[0].len + self.tables[1].len;
        loop {
            let r = (next_random() % total as u64) as usize;
            let (which, index) = if r < self.tables[0].len {
                (0, r)
            } else {
                (1, r - self.tables[0].len)
            };
            let mut count = 0u64;
            self.visit(which, index, &mut |_| count += 1);
            if count == 0 {
                continue;
            }
            let pick = next_random() % count;
            let mut found = None;
            let mut seen = 0;
            self.visit(which, index, &mut |e| {
                if seen == pick {
                    found = Some(std::ptr::from_ref(e));
                }
                seen += 1;
            });
            // SAFETY: the element lives in the table, which is borrowed for the result's lifetime.
            return found.map(|p| unsafe { &*p });
        }
    }

    /// Drops all elements and arrays.
    pub fn clear(&mut self) {
        for which in 0..2 {
            for index in 0..self.tables[which].len {
                let head: *mut Bucket = self.tables[which].bucket_mut(index);
                let mut b = head;
                loop {
                    // SAFETY: each element is read out once and its bucket is freed or forgotten right after.
                    unsafe {
                        for slot in bits((*b).full()) {
                            drop(from_word::<E>((*b).words[slot]));
                        }
                        let next = (*b).next();
                        if b != head {
                            dealloc(b.cast(), Buckets::layout(1));
                        }
                        match next {
                            Some(n) => b = n.as_ptr(),
                            None => break,
                        }
                    }
                }
            }
            self.tables[which].free();
        }
        self.rehash_next = None;
        self.version += 1;
    }
}

impl<E: Element> Drop for Table<E> {
    fn drop(&mut self) {
        self.clear();
    }
}

// SAFETY: the table owns its buckets and elements; sending it sends them.
unsafe impl<E: Element + Send> Send for Table<E> {}

fn into_word<E: Element>(element: E) -> usize {
    let element = std::mem::ManuallyDrop::new(element);
    // SAFETY: E is transparent over one pointer (Element's contract), checked by size in `new`.
    unsafe { std::mem::transmute_copy::<std::mem::ManuallyDrop<E>, usize>(&element) }
}

fn from_word<E: Element>(word: usize) -> E {
    debug_assert!(word != 0);
    // SAFETY: the word came from `into_word` of the same type and is given back once.
    unsafe { std::mem::transmute_copy::<usize, E>(&word) }
}

#[inline]
fn next_cursor(v: u64, mask: u64) -> u64 {
    (v | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    #[repr(transparent)]
    struct Item(NonNull<(Vec<u8>, u64)>);
    // SAFETY: transparent over a Box's pointer.
    unsafe impl Element for Item {
        fn key(&self) -> &[u8] {
            // SAFETY: the box is alive while the item is.
            unsafe { &self.0.as_ref().0 }
        }
    }
    impl Item {
        fn new(k: &[u8], v: u64) -> Item {
            Item(NonNull::from(Box::leak(Box::new((k.to_vec(), v)))))
        }
        fn value(&self) -> u64 {
            // SAFETY: as above.
            unsafe { self.0.as_ref().1 }
        }
    }
    impl Drop for Item {
        fn drop(&mut self) {
            // SAFETY: made by Box::leak in `new`, dropped once.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }

    fn table() -> Table<Item> {
        Table::new(KeyHasher::new([1, 2, 3, 4]))
    }
    fn put(t: &mut Table<Item>, k: &[u8], v: u64) -> bool {
        let h = t.hash(k);
        match t.find(h, k) {
            Some(s) => {
                *t.at_mut(s) = Item::new(k, v);
                false
            }
            None => {
                t.insert_new(h, Item::new(k, v));
                true
            }
        }
    }
    fn get(t: &Table<Item>, k: &[u8]) -> Option<u64> {
        t.find(t.hash(k), k).map(|s| t.at(s).value())
    }

    #[derive(Debug, Clone)]
    enum Op {
        Put(u16, u64),
        Del(u16),
        Step,
        Clear,
        Avoid(bool),
    }
    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (any::<u16>(), any::<u64>()).prop_map(|(k, v)| Op::Put(k % 600, v)),
            5 => any::<u16>().prop_map(|k| Op::Del(k % 600)),
            1 => Just(Op::Step),
            1 => any::<bool>().prop_map(Op::Avoid),
            1 => any::<u8>().prop_map(|b| if b < 8 { Op::Clear } else { Op::Step }),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(ops in proptest::collection::vec(op(), 1..3000)) {
            let mut t = table();
            let mut model = HashMap::new();
            for o in ops {
                match o {
                    Op::Put(k, v) => {
                        let key = k.to_string();
                        prop_assert_eq!(put(&mut t, key.as_bytes(), v), model.insert(k, v).is_none());
                    }
                    Op::Del(k) => {
                        let key = k.to_string();
                        let h = t.hash(key.as_bytes());
                        prop_assert_eq!(t.remove(h, key.as_bytes()).map(|i| i.value()), model.remove(&k));
                    }
                    Op::Step => { t.rehash_step(); }
                    Op::Clear => { t.clear(); model.clear(); }
                    Op::Avoid(yes) => t.set_resize(if yes { Resize::Avoid } else { Resize::Allow }),
                }
                prop_assert_eq!(t.len(), model.len());
            }
            for (k, v) in &model {
                prop_assert_eq!(get(&t, k.to_string().as_bytes()), Some(*v));
            }
            let mut seen = HashMap::new();
            t.for_each(|i| { seen.insert(i.key().to_vec(), i.value()); });
            prop_assert_eq!(seen.len(), model.len());
        }

        /// Keys present from the first to the last step are returned, whatever happens to the others.
        #[test]
        fn scan_returns_all_that_stay(start in 1usize..2000, changes in proptest::collection::vec((any::<bool>(), 0u32..4000), 0..6000)) {
            let mut t = table();
            for i in 0..start {
                put(&mut t, format!("stay:{i}").as_bytes(), 0);
            }
            let mut seen = HashSet::new();
            let mut cursor = 0;
            let mut changes = changes.into_iter();
            loop {
                cursor = t.scan(cursor, |i| { seen.insert(i.key().to_vec()); });
                if cursor == 0 { break; }
                for (add, n) in changes.by_ref().take(40) {
                    let k = format!("come:{n}");
                    if add { put(&mut t, k.as_bytes(), 1); } else {
                        let h = t.hash(k.as_bytes());
                        t.remove(h, k.as_bytes());
                    }
                }
            }
            for i in 0..start {
                let key = format!("stay:{i}");
                prop_assert!(seen.contains(key.as_bytes()));
            }
        }
    }

    #[test]
    fn scan_survives_a_shrink_by_deletion() {
        let mut t = table();
        for i in 0..20_000 {
            put(&mut t, format!("k{i}").as_bytes(), i);
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut victim = 100;
        loop {
            cursor = t.scan(cursor, |i| {
                seen.insert(i.value());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..30 {
                if victim < 20_000 {
                    let k = format!("k{victim}");
                    let h = t.hash(k.as_bytes());
                    t.remove(h, k.as_bytes());
                    victim += 1;
                }
            }
            t.rehash_step();
        }
        assert!((0..100).all(|i| seen.contains(&i)));
    }

    /// A key of eight bytes, so that ten million of them fit into a test.
    #[repr(transparent)]
    struct Num(NonNull<[u8; 8]>);
    // SAFETY: transparent over a Box's pointer.
    unsafe impl Element for Num {
        fn key(&self) -> &[u8] {
            // SAFETY: the box is alive while the item is.
            unsafe { self.0.as_ref() }
        }
    }
    impl Drop for Num {
        fn drop(&mut self) {
            // SAFETY: made by Box::leak below, dropped once.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }

    /// No insert of ten million does more than its share of a rehash: one bucket with its chain. All else it may have to do
    /// is to allocate the next array.
    #[test]
    fn ten_million_inserts_never_stall() {
        let mut t: Table<Num> = Table::new(KeyHasher::new([5, 6, 7, 8]));
        let mut most = 0;
        for i in 0..10_000_000u64 {
            let key = i.to_le_bytes();
            let before = t.moved;
            let h = t.hash(&key);
            t.insert_new(h, Num(NonNull::from(Box::leak(Box::new(key)))));
            most = most.max(t.moved - before);
        }
        assert_eq!(t.len(), 10_000_000);
        assert!(t.moved > 5_000_000, "it did grow step by step");
        assert!(most <= 4 * SLOTS, "{most} elements moved by one insert");
    }

    #[test]
    fn it_shrinks_and_frees_its_chains() {
        let mut t = table();
        for i in 0..50_000 {
            put(&mut t, format!("k{i}").as_bytes(), i);
        }
        let big = t.mem_usage();
        for i in 0..49_990 {
            let k = format!("k{i}");
            let h = t.hash(k.as_bytes());
            assert!(t.remove(h, k.as_bytes()).is_some());
        }
        while t.rehash_step() {}
        t.try_resize();
        while t.rehash_step() {}
        assert!(t.mem_usage() * 100 < big, "{} of {big}", t.mem_usage());
        assert_eq!(t.len(), 10);
        t.clear();
        assert_eq!((t.len(), t.mem_usage()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "stale table slot")]
    fn a_stale_slot_is_refused() {
        let mut t = table();
        put(&mut t, b"a", 1);
        let s = t.find(t.hash(b"a"), b"a").expect("just added");
        put(&mut t, b"b", 1);
        t.at(s);
    }

    #[test]
    fn random_reaches_every_element() {
        let mut t = table();
        for i in 0..100 {
            put(&mut t, format!("k{i}").as_bytes(), i);
        }
        let mut x = 88172645463325252u64;
        let mut rng = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            seen.insert(t.random(&mut rng).map(|i| i.value()));
        }
        assert_eq!(seen.len(), 100);
    }
}
