//! The hash table behind every keyspace and every big collection (dict.c's job).
//!
//! Layout. A table is an array of 64-byte buckets, one cache line each:
//!
//! ```text
//! byte 0..7   seven tags, one a slot: 0 = empty, 0x80 | seven bits of the hash = full
//! byte 7      1 when the bucket is chained: then slot 6 is not an element but points to the next bucket
//! byte 8..64  seven words, each an owned `E` (a pointer, or what fits in its place)
//! ```
//!
//! A look-up compares seven tags at once in one 64-bit word and touches an element only when its tag matches, so a miss
//! costs one cache line and a hit two.
//!
//! Growing and shrinking are incremental: while a rehash runs, `tables[0]` is emptied bucket by bucket into
//! `tables[1]`; each write moves one bucket and [`Table::rehash_for`] moves more when the owner is idle. The only big step
//! is the allocation of the new array.
//!
//! Invariants:
//! - the number of buckets of a table is a power of two (SCAN's reverse-binary cursor needs it);
//! - an element is reachable from exactly one bucket chain of exactly one of the two tables;
//! - every bucket of `tables[0]` below `rehash_next` is empty and unchained;
//! - `version` changes whenever an element may have moved, and is never that of another table, so a [`Slot`] that is stale or
//!   another table's is found out before it is followed.
//!
//! SCAN's guarantee: an element present during the whole of an iteration is returned at least once, however the table grows
//! or shrinks in between, because all elements of one chain are returned together and the cursor counts in reversed bits.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::hash::Hasher;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::sys;
use crate::ds::{prefetch, same_bytes};

/// Elements a bucket holds before it chains.
const SLOTS: usize = 7;
const LOW: u64 = 0x0101_0101_0101_0101;
/// The top bit of each of the seven tag bytes.
const TAGS: u64 = 0x0080_8080_8080_8080;
/// The same without slot 6, which is a pointer in a chained bucket.
const TAGS_CHAINED: u64 = 0x0000_8080_8080_8080;
const CHAINED: u64 = 1 << 56;
/// Bucket arrays from this size on are asked for zeroed.
const ZEROED_BYTES: usize = 32 * 1024;
/// Bucket arrays from this size on give their pages back to the kernel as soon as they are freed; what a rehash has emptied of
/// them, so many buckets at a time.
const RELEASE_BYTES: usize = 256 * 1024;
const RELEASE_STEP: u32 = 4096;
/// Elements of arrays from this size on are brought near so many buckets before a walk comes to them.
const FAR_BUCKETS: usize = 4096;
const AHEAD_BUCKETS: usize = 4;

/// The key of a keyed hash, random per process, so that nobody outside can choose colliding keys.
#[derive(Clone)]
pub(crate) struct KeyHasher(ahash::RandomState);

impl KeyHasher {
    /// A hasher from 32 random bytes.
    pub(crate) fn new(seed: [u64; 4]) -> KeyHasher {
        KeyHasher(ahash::RandomState::with_seeds(
            seed[0], seed[1], seed[2], seed[3],
        ))
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::BuildHasher;
        let mut h = self.0.build_hasher();
        h.write(key);
        h.finish()
    }
}

/// The key of the process, for maps that are none of the databases'.
impl Default for KeyHasher {
    fn default() -> KeyHasher {
        SHARED_KEY.clone()
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

/// How a table hashes its keys.
pub(crate) trait HashKey {
    fn hash(&self, key: &[u8]) -> u64;
}

impl HashKey for KeyHasher {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        KeyHasher::hash(self, key)
    }
}

/// The hash of the tables inside values: one key for the process, so that a small table does not carry its own, and one
/// hash of a member is good for all of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct SharedHasher;

static SHARED_KEY: LazyLock<KeyHasher> = LazyLock::new(|| {
    use std::hash::BuildHasher;
    // The standard library's keys come from the system's randomness.
    let random = std::hash::RandomState::new();
    KeyHasher::new([0, 1, 2, 3].map(|n: u64| random.hash_one(n)))
});

impl HashKey for SharedHasher {
    #[inline(always)]
    fn hash(&self, key: &[u8]) -> u64 {
        SHARED_KEY.hash(key)
    }
}

/// A table inside a value: a set, a hash, a sorted set.
pub(crate) type SubTable<E> = Table<E, SharedHasher>;

/// What a table stores: an owner of one word that knows its key.
///
/// # Safety
/// The type must be `repr(transparent)` over a non-null pointer or the like: eight bytes, never zero, movable bit by bit.
/// Its key may lie inside the word itself.
pub(crate) unsafe trait Element: Sized {
    fn key(&self) -> &[u8];
}

/// Whether a table may start to resize. While a child shares the pages (fork), moving elements costs copies of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resize {
    Allow,
    /// Only when the table is badly overfull.
    Avoid,
    /// It may shrink, but grows only when it holds half again what it has slots for: memory is short.
    AvoidGrowth,
}

/// Where an element sits, as found by a look-up. Good until the table changes shape, and in that table alone; following another
/// one panics.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    /// For reading and writing: it comes from the array's own pointer, not through a reference.
    word: NonNull<Word>,
    version: u64,
}

/// A table takes versions by the block, each block once, so no two tables ever have the same one.
const VERSIONS: u64 = 1 << 16;

/// The first of a block of versions that nobody has had.
fn new_versions() -> u64 {
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    let block = BLOCKS.fetch_add(1, Ordering::Relaxed);
    assert!(block < u64::MAX / VERSIONS, "all versions are used up");
    block * VERSIONS
}

/// An element or a link as it lies in a bucket: a pointer, so that what it points to may be reached through it. An element that
/// keeps its bytes in the word is a pointer to nowhere.
type Word = *mut ();

#[repr(C, align(64))]
struct Bucket {
    meta: u64,
    /// Written before they are full or a link, never read else: a new array has but its `meta`s set.
    words: [MaybeUninit<Word>; SLOTS],
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
            NonNull::new(self.word(SLOTS - 1).cast::<Bucket>())
        } else {
            None
        }
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

    /// The word of a full slot, or the link of a chained bucket.
    #[inline(always)]
    fn word(&self, slot: usize) -> Word {
        debug_assert!(slot == SLOTS - 1 && self.meta & CHAINED != 0 || self.tag(slot) != 0);
        // SAFETY: `set` wrote it before it set the tag; a link was written by `link`.
        unsafe { self.words[slot].assume_init() }
    }

    #[inline(always)]
    fn set(&mut self, slot: usize, tag: u8, word: Word) {
        let shift = slot * 8;
        self.meta = (self.meta & !(0xff << shift)) | (u64::from(tag) << shift);
        self.words[slot].write(word);
    }

    /// Makes the last slot, which is moved away, the link to `next`.
    fn link(&mut self, next: NonNull<Bucket>) {
        self.clear(SLOTS - 1);
        self.words[SLOTS - 1].write(next.as_ptr().cast());
        self.meta |= CHAINED;
    }

    fn clear(&mut self, slot: usize) {
        self.meta &= !(0xff << (slot * 8));
    }

    fn tag(&self, slot: usize) -> u8 {
        (self.meta >> (slot * 8)) as u8
    }

    /// # Safety
    /// The slot is full, and the table's elements are `E`s.
    #[inline]
    unsafe fn element<E>(&self, slot: usize) -> &E {
        // SAFETY: by the caller's word the slot holds an E, which is transparent over one word.
        unsafe { &*(&raw const self.words[slot]).cast::<E>() }
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

/// The most elements that [`Table::some`] gives at once.
const SOME_MAX: usize = 64;
/// The most buckets of one array: 128 GB of them.
const BUCKETS_MAX: usize = 1 << 31;

/// One array of buckets; `len` is zero (nothing allocated) or a power of two. Compact: two of them sit in every big
/// collection.
struct Buckets {
    ptr: NonNull<Bucket>,
    used: usize,
    len: u32,
    /// Chain buckets allocated besides the array.
    chained: u32,
}

impl Buckets {
    const fn none() -> Buckets {
        Buckets {
            ptr: NonNull::dangling(),
            used: 0,
            len: 0,
            chained: 0,
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.len as usize
    }

    fn layout(len: usize) -> Layout {
        Layout::array::<Bucket>(len).unwrap_or_else(|_| handle_alloc_error(Layout::new::<Bucket>()))
    }

    fn alloc(len: usize) -> Buckets {
        let layout = Self::layout(len);
        // A large array comes zeroed from the system, and is not touched. Of a small one the words are left as they are.
        let zeroed = layout.size() >= ZEROED_BYTES;
        // SAFETY: the layout has a non-zero size, since len is at least one.
        let p = unsafe {
            match zeroed {
                true => alloc_zeroed(layout),
                false => alloc(layout),
            }
        } as *mut Bucket;
        let Some(ptr) = NonNull::new(p) else {
            handle_alloc_error(layout)
        };
        if !zeroed {
            for i in 0..len {
                // SAFETY: the array has `len` buckets.
                unsafe { (&raw mut (*ptr.as_ptr().add(i)).meta).write(0) };
            }
        }
        debug_assert!(len <= BUCKETS_MAX);
        Buckets {
            ptr,
            used: 0,
            len: len as u32,
            chained: 0,
        }
    }

    /// The array's memory.
    fn bytes(&self) -> *mut [u8] {
        let bytes = self.ptr.as_ptr().cast();
        std::ptr::slice_from_raw_parts_mut(bytes, self.len() * size_of::<Bucket>())
    }

    /// Frees the array itself; the caller has emptied it.
    fn free(&mut self) {
        if self.len > 0 {
            let layout = Self::layout(self.len());
            if layout.size() >= RELEASE_BYTES {
                // SAFETY: freed below, and not looked at before.
                unsafe { sys::release_pages(self.bytes()) };
            }
            // SAFETY: allocated in `alloc` with the same layout, and not used after.
            unsafe { dealloc(self.ptr.as_ptr().cast(), layout) };
        }
        *self = Buckets::none();
    }

    /// Seven eighths of the slots are taken: chains are rare up to there, and the array stays small.
    #[inline(always)]
    fn is_well_filled(&self) -> bool {
        self.used * 8 >= self.len() * (SLOTS * 7)
    }

    #[inline]
    fn mask(&self) -> u64 {
        u64::from(self.len) - 1
    }

    /// The address of a bucket, by which it may be read and written as the borrow of the array allows.
    #[inline]
    fn at(&self, index: usize) -> NonNull<Bucket> {
        debug_assert!(index < self.len());
        // SAFETY: callers mask the index with len - 1 or count below len, and the array has len buckets.
        unsafe { self.ptr.add(index) }
    }

    #[inline]
    fn bucket(&self, index: usize) -> &Bucket {
        // SAFETY: the bucket is initialised, and the array is borrowed.
        unsafe { self.at(index).as_ref() }
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        // SAFETY: as in `bucket`; &mut self gives exclusive access.
        unsafe { self.at(index).as_mut() }
    }

    /// A walk over all of a large array is at this bucket: brings near the elements of one that it comes to soon. Nothing depends
    /// on it.
    #[inline]
    fn prefetch_ahead(&self, index: usize) {
        if self.len() >= FAR_BUCKETS && index + AHEAD_BUCKETS < self.len() {
            let b = self.bucket(index + AHEAD_BUCKETS);
            for slot in bits(b.full()) {
                prefetch(b.word(slot).cast::<u8>());
            }
        }
    }

    #[inline(always)]
    fn insert_word(&mut self, hash: u64, word: Word) -> NonNull<Word> {
        let index = (hash & self.mask()) as usize;
        self.used += 1;
        let b = self.bucket_mut(index);
        let free = !b.meta & b.slots_mask();
        if free == 0 {
            return self.insert_word_behind(index, tag_of(hash), word);
        }
        let slot = free.trailing_zeros() as usize / 8;
        b.set(slot, tag_of(hash), word);
        place_in(self.at(index), slot)
    }

    /// The same where the first bucket of the chain is full.
    #[cold]
    fn insert_word_behind(&mut self, index: usize, tag: u8, word: Word) -> NonNull<Word> {
        let mut at = self.at(index);
        loop {
            // SAFETY: a bucket of this table, which is borrowed mutably, and the only reference to one of this chain.
            let b = unsafe { at.as_mut() };
            let free = !b.meta & b.slots_mask();
            if free != 0 {
                let slot = free.trailing_zeros() as usize / 8;
                b.set(slot, tag, word);
                return place_in(at, slot);
            }
            if b.meta & CHAINED == 0 {
                // Full: its last element moves to a new bucket behind it, and the last word becomes the link.
                let mut child = Buckets::alloc(1);
                let c = child.bucket_mut(0);
                c.set(0, b.tag(SLOTS - 1), b.word(SLOTS - 1));
                b.link(child.ptr);
                self.chained += 1;
            }
            match b.next() {
                Some(next) => at = next,
                None => unreachable!("a chained bucket has a successor"),
            }
        }
    }

    /// Takes the element at `place` out of its chain, and fills the hole from the chain's end.
    fn remove_at(&mut self, place: Place) -> Word {
        let slot = place.slot as usize;
        self.used -= 1;
        let mut freed = 0;
        let mut at = self.at(place.index);
        for _ in 0..place.depth {
            // SAFETY: a bucket of this table, which is borrowed.
            match unsafe { at.as_ref() }.next() {
                Some(next) => at = next,
                None => unreachable!("the depth was just walked"),
            }
        }
        // SAFETY: as above, and the table is borrowed mutably; the reference is not used after the last look at `b`.
        let b = unsafe { at.as_mut() };
        let word = b.word(slot);
        b.clear(slot);
        if b.meta & CHAINED != 0 {
            let hole = at.as_ptr();
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
                        let (tag, moved) = ((*last).tag(from), (*last).word(from));
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

/// The place of a slot's word.
#[inline(always)]
fn place_in(bucket: NonNull<Bucket>, slot: usize) -> NonNull<Word> {
    debug_assert!(slot < SLOTS);
    // SAFETY: the slot is inside the bucket, which is there; no reference to it is made, so what else refers to it stays good.
    unsafe {
        let words = &raw mut (*bucket.as_ptr()).words;
        NonNull::new_unchecked(words.cast::<Word>().add(slot))
    }
}

/// Where an element is.
#[derive(Clone, Copy)]
struct Place {
    /// Which of the two arrays.
    which: usize,
    index: usize,
    /// How many buckets down the chain.
    depth: u32,
    slot: u32,
}

/// `Table::rehash_next` while no rehash runs.
const NO_REHASH: u32 = u32::MAX;

/// A hash table of owned elements, each found by its key. 64 bytes without the hasher.
pub(crate) struct Table<E: Element, H: HashKey = KeyHasher> {
    tables: [Buckets; 2],
    version: u64,
    /// The next bucket of `tables[0]` to empty, while a rehash runs.
    rehash_next: u32,
    resize: Resize,
    hasher: H,
    /// Elements moved by rehashing, for the test that no insert does more than a bucket's worth of it.
    #[cfg(test)]
    moved: usize,
    owns: PhantomData<E>,
}

impl<E: Element> SubTable<E> {
    /// An empty table for a value.
    pub(crate) fn shared() -> SubTable<E> {
        Table::new(SharedHasher)
    }
}

impl<E: Element, H: HashKey> Table<E, H> {
    pub(crate) fn new(hasher: H) -> Table<E, H> {
        const { assert!(size_of::<E>() == size_of::<Word>()) };
        Table {
            tables: [Buckets::none(), Buckets::none()],
            version: new_versions(),
            rehash_next: NO_REHASH,
            resize: Resize::Allow,
            hasher,
            #[cfg(test)]
            moved: 0,
            owns: PhantomData,
        }
    }

    /// An element may have moved: no slot is good any more.
    #[inline(always)]
    fn changed(&mut self) {
        self.version += 1;
        if self.version.is_multiple_of(VERSIONS) {
            self.change_block();
        }
    }

    #[cold]
    fn change_block(&mut self) {
        self.version = new_versions();
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tables[0].used + self.tables[1].used
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buckets of both arrays times the elements that fit without a chain: what DEBUG HTSTATS calls the table size.
    pub(crate) fn capacity(&self) -> usize {
        (self.tables[0].len() + self.tables[1].len()) * SLOTS
    }

    #[inline]
    pub(crate) fn is_rehashing(&self) -> bool {
        self.rehash_next != NO_REHASH
    }

    /// Bytes of the arrays and chains, without the elements.
    pub(crate) fn mem_usage(&self) -> usize {
        let buckets = |t: &Buckets| t.len() + t.chained as usize;
        (buckets(&self.tables[0]) + buckets(&self.tables[1])) * size_of::<Bucket>()
    }

    /// In a forked child that saves: gives the arrays' memory back, and with it all elements are lost to it (dismissMemory).
    /// Elsewhere it does nothing.
    ///
    /// # Safety
    /// The table is not used any more, nor dropped.
    pub(crate) unsafe fn dismiss(&self) {
        for t in &self.tables {
            if t.len > 0 {
                // SAFETY: by the caller's word.
                unsafe { sys::dismiss_memory(t.bytes()) };
            }
        }
    }

    /// The table as it is; an empty one of the same hash is in its place.
    pub(crate) fn take(&mut self) -> Table<E, H>
    where
        H: Clone,
    {
        let empty = Table::new(self.hasher.clone());
        std::mem::replace(self, empty)
    }

    /// Buckets, elements and chained buckets of one of the two arrays (0: the main one, 1: the target of a rehash), for
    /// DEBUG HTSTATS.
    pub(crate) fn array_stats(&self, which: usize) -> (usize, usize, usize) {
        let t = &self.tables[which];
        (t.len(), t.used, t.chained as usize)
    }

    /// Calls `f` with the number of elements of each bucket of the array, with its chain.
    pub(crate) fn for_each_chain(&self, which: usize, mut f: impl FnMut(usize)) {
        for index in 0..self.tables[which].len() {
            f(self.chain_len(which, index));
        }
    }

    pub(crate) fn set_resize(&mut self, resize: Resize) {
        self.resize = resize;
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// Brings near the bucket where an element of this hash is looked for. For callers that know ahead of time what they are
    /// going to touch: a look-up in a large table is little else than waiting for this line, and for the element's.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        for t in &self.tables {
            if t.len > 0 {
                prefetch(t.bucket((hash & t.mask()) as usize));
            }
        }
    }

    /// Brings near the head of what may be the element of this hash; its bucket should have come by then.
    #[inline]
    pub(crate) fn prefetch_element(&self, hash: u64) {
        let t = &self.tables[usize::from(self.is_rehashing())];
        if t.len == 0 {
            return;
        }
        let b = t.bucket((hash & t.mask()) as usize);
        let candidates = b.candidates(tag_of(hash));
        if candidates != 0 {
            let p = b
                .word(candidates.trailing_zeros() as usize / 8)
                .cast::<u8>();
            prefetch(p);
            prefetch(p.wrapping_add(64));
        }
    }

    /// Finds an element for its removal.
    fn find_place(&self, hash: u64, key: &[u8]) -> Option<Place> {
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
                    // SAFETY: a full slot holds a live element (invariant of set/clear), and E is transparent over the word.
                    if unsafe { b.element::<E>(slot) }.key() == key {
                        return Some(Place {
                            which,
                            index,
                            depth,
                            slot: slot as u32,
                        });
                    }
                }
                match b.next() {
                    // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                    Some(n) => b = unsafe { &*n.as_ptr() },
                    None => break,
                }
                depth += 1;
            }
            if !self.is_rehashing() {
                break;
            }
        }
        None
    }

    /// Finds the element with this key; `hash` is [`Table::hash`] of it.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        // The first place to look at by hand: nearly always it is the last one, too.
        let t = &self.tables[0];
        if t.len > 0 {
            let index = (hash & t.mask()) as usize;
            let b = t.bucket(index);
            let candidates = b.candidates(tag_of(hash));
            if candidates != 0 {
                let slot = candidates.trailing_zeros() as usize / 8;
                // SAFETY: as in `find_place`.
                if same_bytes(unsafe { b.element::<E>(slot) }.key(), key) {
                    return Some(Slot {
                        word: place_in(t.at(index), slot),
                        version: self.version,
                    });
                }
            }
            let others = candidates & candidates.wrapping_sub(1);
            if others == 0 && b.meta & CHAINED == 0 && !self.is_rehashing() {
                return None;
            }
        }
        self.find_anywhere(hash, key)
    }

    #[inline(never)]
    fn find_anywhere(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        let tag = tag_of(hash);
        let mut t = &self.tables[0];
        loop {
            if t.len > 0 {
                let mut at = t.at((hash & t.mask()) as usize);
                loop {
                    // SAFETY: a bucket of the array, or the link of a chained one, valid while the table is borrowed.
                    let b = unsafe { at.as_ref() };
                    let mut mask = b.candidates(tag);
                    while mask != 0 {
                        let slot = mask.trailing_zeros() as usize / 8;
                        mask &= mask - 1;
                        // SAFETY: as in `find_place`.
                        if unsafe { b.element::<E>(slot) }.key() == key {
                            return Some(Slot {
                                word: place_in(at, slot),
                                version: self.version,
                            });
                        }
                    }
                    match b.next() {
                        Some(next) => at = next,
                        None => break,
                    }
                }
            }
            if !self.is_rehashing() || std::ptr::eq(t, &self.tables[1]) {
                return None;
            }
            t = &self.tables[1];
        }
    }

    /// The element at a slot. Panics when the table has changed shape since the slot was found, or is another one.
    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> &E {
        assert!(slot.version == self.version, "stale table slot");
        // SAFETY: it is this table's version, so the slot is this table's, and nothing has moved since `find`: the word is alive
        // and holds an element.
        unsafe { &*slot.word.as_ptr().cast::<E>() }
    }

    /// The same, mutably; the element may be replaced, its key may not change.
    #[inline]
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut E {
        assert!(slot.version == self.version, "stale table slot");
        // SAFETY: as in `at`, and &mut self gives exclusive access.
        unsafe { &mut *slot.word.as_ptr().cast::<E>() }
    }

    /// Adds an element whose key is not in the table.
    #[inline(always)]
    pub(crate) fn insert_new(&mut self, hash: u64, element: E) -> Slot {
        if self.is_rehashing() || self.tables[0].is_well_filled() {
            return self.insert_and_grow(hash, element);
        }
        let place = self.tables[0].insert_word(hash, into_word(element));
        self.changed();
        Slot {
            word: place,
            version: self.version,
        }
    }

    /// The same where the table is being rehashed, or may have to grow.
    #[inline(never)]
    fn insert_and_grow(&mut self, hash: u64, element: E) -> Slot {
        if self.is_rehashing() {
            self.rehash_step();
        }
        self.grow_if_needed();
        let word = into_word(element);
        let t = usize::from(self.is_rehashing());
        let place = self.tables[t].insert_word(hash, word);
        self.changed();
        Slot {
            word: place,
            version: self.version,
        }
    }

    /// Adds the element that `make` gives unless there is one with this key; false when there is.
    #[inline(always)]
    pub(crate) fn insert_if_absent(
        &mut self,
        hash: u64,
        key: &[u8],
        make: impl FnOnce() -> E,
    ) -> bool {
        // By hand where one bucket tells, and has room.
        let t = &mut self.tables[0];
        if self.rehash_next == NO_REHASH && !t.is_well_filled() {
            let b = t.bucket_mut((hash & t.mask()) as usize);
            let free = !b.meta & TAGS;
            if b.candidates(tag_of(hash)) == 0 && b.meta & CHAINED == 0 && free != 0 {
                b.set(
                    free.trailing_zeros() as usize / 8,
                    tag_of(hash),
                    into_word(make()),
                );
                t.used += 1;
                self.changed();
                return true;
            }
        }
        if self.find(hash, key).is_some() {
            return false;
        }
        self.insert_new(hash, make());
        true
    }

    /// Takes the element with this key out of the table.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        if self.is_rehashing() {
            self.rehash_step();
        }
        let place = self.find_place(hash, key)?;
        Some(self.remove_place(place))
    }

    fn remove_place(&mut self, place: Place) -> E {
        let word = self.tables[place.which].remove_at(place);
        self.changed();
        self.shrink_if_needed();
        from_word(word)
    }

    fn start_resize(&mut self, buckets: usize) {
        debug_assert!(!self.is_rehashing());
        if self.tables[0].used == 0 {
            // Nothing to move: no element, so no chain either.
            self.tables[0].free();
            self.tables[0] = Buckets::alloc(buckets);
        } else {
            self.tables[1] = Buckets::alloc(buckets);
            self.rehash_next = 0;
        }
        self.changed();
    }

    #[inline]
    fn grow_if_needed(&mut self) {
        let t = &self.tables[0];
        if self.is_rehashing() {
            return;
        }
        if t.is_well_filled() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let t = &self.tables[0];
        if t.len == 0 {
            self.start_resize(1);
        } else if t.len() < BUCKETS_MAX {
            let slots = t.len() * SLOTS;
            let enough = match self.resize {
                Resize::Allow => 0,
                Resize::Avoid => slots * 3,
                Resize::AvoidGrowth => slots + slots / 2,
            };
            if t.used >= enough {
                self.start_resize(t.len() * 2);
            }
        }
    }

    /// Grows at once to hold `n` elements; for a loader that was told the number. Bounded by the caller.
    pub(crate) fn reserve(&mut self, n: usize) {
        if self.is_rehashing() {
            return;
        }
        let want = (n / (SLOTS - 1)).min(BUCKETS_MAX).next_power_of_two();
        if want > self.tables[0].len() {
            self.start_resize(want);
        }
    }

    #[inline]
    fn shrink_if_needed(&mut self) {
        let t = &self.tables[0];
        if !self.is_rehashing()
            && t.len > 4
            && t.used * 10 < t.len() * SLOTS
            && self.resize != Resize::Avoid
        {
            let want = (t.used / (SLOTS - 2) + 1).next_power_of_two();
            self.start_resize(want.max(1));
        }
    }

    /// Gives the table the chance to shrink, as tryResizeHashTables does in the cron.
    pub(crate) fn try_resize(&mut self) {
        self.shrink_if_needed();
    }

    /// Moves one bucket, or looks at two when the first is empty. True while there is more to do.
    pub(crate) fn rehash_step(&mut self) -> bool {
        if !self.is_rehashing() {
            return false;
        }
        self.changed();
        let len = self.tables[0].len;
        let mut next = self.rehash_next;
        for _ in 0..2 {
            if next >= len || self.tables[0].used == 0 {
                break;
            }
            let empty = self.tables[0].bucket(next as usize).meta == 0;
            if !empty {
                self.move_bucket(next as usize);
            }
            next += 1;
            if !empty {
                break;
            }
        }
        if self.tables[0].used == 0 {
            self.tables[0].free();
            self.tables.swap(0, 1);
            self.rehash_next = NO_REHASH;
            return false;
        }
        if next / RELEASE_STEP != self.rehash_next / RELEASE_STEP {
            self.release_emptied(next / RELEASE_STEP * RELEASE_STEP);
        }
        self.rehash_next = next;
        true
    }

    /// The last buckets before this one give their pages back: the whole array at once would be a wait.
    #[cold]
    fn release_emptied(&mut self, next: u32) {
        let t = &self.tables[0];
        let bytes = RELEASE_STEP as usize * size_of::<Bucket>();
        if t.len() * size_of::<Bucket>() < RELEASE_BYTES {
            return;
        }
        let from = t.at((next - RELEASE_STEP) as usize).as_ptr().cast::<u8>();
        // SAFETY: these buckets are part of the array, and empty, which is what pages of zeros say too; the table is borrowed
        // mutably.
        unsafe { sys::release_pages(std::ptr::slice_from_raw_parts_mut(from, bytes)) };
    }

    /// Rehashes for up to `us` microseconds, as dictRehashMilliseconds. True when it did some work.
    pub(crate) fn rehash_for(&mut self, us: u64) -> bool {
        if !self.is_rehashing() {
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
                    let word = (*b).word(slot);
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
                f(unsafe { b.element::<E>(slot) });
            }
            match b.next() {
                // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                Some(n) => b = unsafe { &*n.as_ptr() },
                None => return,
            }
        }
    }

    /// How many of the lowest bits of a hash tell the bucket, while a rehash runs that in the smaller array.
    pub(crate) fn bucket_bits(&self) -> u32 {
        let lens = self.tables.iter().map(|t| t.len).filter(|len| *len > 0);
        lens.min().map_or(0, u32::trailing_zeros)
    }

    /// Calls `f` for each element of the chains where elements with these lowest `bits` bits of their hash are; and for others that
    /// are there.
    pub(crate) fn for_each_near(&self, low: u64, bits: u32, mut f: impl FnMut(&E)) {
        for (which, t) in self.tables.iter().enumerate() {
            if t.len == 0 {
                continue;
            }
            let known = (1u64 << bits) - 1;
            let mut index = low & known & t.mask();
            while index <= t.mask() {
                self.visit(which, index as usize, &mut f);
                index += known + 1;
            }
        }
    }

    /// One step of an iteration: calls `f` for some elements and returns the next cursor; 0 starts and ends (dictScan).
    pub(crate) fn scan(&self, cursor: u64, mut f: impl FnMut(&E)) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let mut v = cursor;
        if !self.is_rehashing() {
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

    /// Brings near the elements of the next `n` buckets that an iteration at `cursor` visits, and the buckets of the `n` after
    /// these. For a walk over all of a table that is too large for the caches, called each `n` steps. Nothing depends on it.
    pub(crate) fn prefetch_scan(&self, cursor: u64, n: usize) {
        if self.is_empty() || self.is_rehashing() {
            return;
        }
        let t = &self.tables[0];
        let m = t.mask();
        let mut v = cursor;
        for _ in 0..n {
            let b = t.bucket((v & m) as usize);
            for slot in bits(b.full()) {
                let p = b.word(slot).cast::<u8>();
                prefetch(p);
                prefetch(p.wrapping_add(64));
            }
            v = next_cursor(v, m);
        }
        for _ in 0..n {
            prefetch(t.bucket((v & m) as usize));
            v = next_cursor(v, m);
        }
    }

    /// Every element, once, in no order. The table is borrowed, so nothing moves meanwhile.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&E)) {
        for which in 0..2 {
            for index in 0..self.tables[which].len() {
                self.tables[which].prefetch_ahead(index);
                self.visit(which, index, &mut f);
            }
        }
    }

    /// The same as an iterator.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        Iter {
            tables: &self.tables,
            which: 0,
            index: 0,
            bucket: None,
            full: 0,
            left: self.len(),
            elements: PhantomData,
        }
    }

    fn chain_len(&self, which: usize, index: usize) -> usize {
        let mut b = self.tables[which].bucket(index);
        let mut n = b.full().count_ones() as usize;
        while let Some(next) = b.next() {
            // SAFETY: the link of a chained bucket is valid while the table is borrowed.
            b = unsafe { &*next.as_ptr() };
            n += b.full().count_ones() as usize;
        }
        n
    }

    /// The bucket of a place.
    fn bucket_at(&self, place: Place) -> &Bucket {
        let mut b = self.tables[place.which].bucket(place.index);
        for _ in 0..place.depth {
            match b.next() {
                // SAFETY: as in `chain_len`.
                Some(n) => b = unsafe { &*n.as_ptr() },
                None => unreachable!("a place lies in its chain"),
            }
        }
        b
    }

    /// A random place with an element. Every element is equally likely, but for those of a chain that is much longer than
    /// the table's load explains: they share the chance of two buckets or so.
    fn random_place(&self, next_random: &mut impl FnMut() -> u64) -> Option<Place> {
        if self.is_empty() {
            return None;
        }
        let [t0, t1] = &self.tables;
        // What a rehash has emptied is not looked at.
        let done = if self.is_rehashing() {
            self.rehash_next as usize
        } else {
            0
        };
        let buckets = (t0.len() - done + t1.len()) as u128;
        // An overfull table (see `Resize::Avoid`) has longer chains.
        let chained = (t0.chained + t1.chained) as usize;
        let room = match chained {
            0 => SLOTS,
            n => SLOTS * (2 + 2 * n / (t0.len() + t1.len())),
        };
        loop {
            // One random number chooses the bucket by its high bits and the slot by the rest. An empty slot is a miss.
            let r = u128::from(next_random()) * buckets;
            let (at, fraction) = ((r >> 64) as usize + done, r as u64);
            let (which, index) = if at < t0.len() {
                (0, at)
            } else {
                (1, at - t0.len())
            };
            let count = self.chain_len(which, index);
            let pick = ((u128::from(fraction) * room.max(count) as u128) >> 64) as usize;
            if pick >= count {
                continue;
            }
            let (mut left, mut place) = (
                pick as u32,
                Place {
                    which,
                    index,
                    depth: 0,
                    slot: 0,
                },
            );
            loop {
                let full = self.bucket_at(place).full();
                if left < full.count_ones() {
                    place.slot = bits(full).nth(left as usize).unwrap_or_default() as u32;
                    return Some(place);
                }
                left -= full.count_ones();
                place.depth += 1;
            }
        }
    }

    /// A random element, as likely as any other (dictGetFairRandomKey).
    pub(crate) fn random(&self, mut next_random: impl FnMut() -> u64) -> Option<&E> {
        let place = self.random_place(&mut next_random)?;
        // SAFETY: the place has an element, which lives while the table is borrowed.
        Some(unsafe { self.bucket_at(place).element(place.slot as usize) })
    }

    /// Calls `f` for up to `n` elements that lie side by side, from a random place on (dictGetSomeKeys): they are as good as random
    /// ones where a few are to speak for all, and come at a fraction of the cost. An element may come twice.
    pub(crate) fn some(
        &self,
        mut next_random: impl FnMut() -> u64,
        n: usize,
        mut f: impl FnMut(&E),
    ) {
        let Some(place) = self.random_place(&mut next_random) else {
            return;
        };
        let mut near = [std::ptr::null(); SOME_MAX];
        let mut found = 0;
        let (mut which, mut index) = (place.which, place.index);
        // Of a table that is well filled, a few buckets have enough.
        for _ in 0..2 * SOME_MAX {
            self.visit(which, index, &mut |e| {
                if found < n.min(SOME_MAX) {
                    near[found] = std::ptr::from_ref(e);
                    // SAFETY: an element is one word; where it is a pointer, its memory is brought near.
                    prefetch(unsafe { std::ptr::from_ref(e).cast::<*const u8>().read() });
                    found += 1;
                }
            });
            if found >= n.min(SOME_MAX) {
                break;
            }
            index += 1;
            if index == self.tables[which].len() {
                (which, index) = (1 - which, 0);
                if self.tables[which].len == 0 {
                    which = 1 - which;
                }
            }
        }
        for e in &near[..found] {
            // SAFETY: it is one of the elements that were just visited, and the table is borrowed.
            f(unsafe { &**e });
        }
    }

    /// Takes a random element out; see [`Table::random`].
    pub(crate) fn pop_random(&mut self, mut next_random: impl FnMut() -> u64) -> Option<E> {
        if self.is_rehashing() {
            self.rehash_step();
        }
        let place = self.random_place(&mut next_random)?;
        Some(self.remove_place(place))
    }

    /// Drops all elements and arrays.
    pub(crate) fn clear(&mut self) {
        for which in 0..2 {
            for index in 0..self.tables[which].len() {
                let head: *mut Bucket = self.tables[which].bucket_mut(index);
                let mut b = head;
                loop {
                    // SAFETY: each element is read out once and its bucket is freed or forgotten right after.
                    unsafe {
                        for slot in bits((*b).full()) {
                            drop(from_word::<E>((*b).word(slot)));
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
        self.rehash_next = NO_REHASH;
        self.changed();
    }
}

/// See [`Table::iter`].
pub(crate) struct Iter<'a, E> {
    tables: &'a [Buckets; 2],
    which: usize,
    /// The next bucket of the array.
    index: usize,
    bucket: Option<&'a Bucket>,
    /// Full slots of `bucket` that are still to come.
    full: u64,
    left: usize,
    elements: PhantomData<&'a E>,
}

impl<'a, E: Element> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(b) = self.bucket {
                if self.full != 0 {
                    let slot = self.full.trailing_zeros() as usize / 8;
                    self.full &= self.full - 1;
                    self.left -= 1;
                    // SAFETY: a full slot holds a live element.
                    return Some(unsafe { b.element(slot) });
                }
                // SAFETY: the link of a chained bucket is valid while the table is borrowed.
                self.bucket = b.next().map(|n| unsafe { &*n.as_ptr() });
            } else {
                let t = self.tables.get(self.which)?;
                if self.index >= t.len() {
                    self.which += 1;
                    self.index = 0;
                    continue;
                }
                t.prefetch_ahead(self.index);
                self.bucket = Some(t.bucket(self.index));
                self.index += 1;
            }
            self.full = self.bucket.map_or(0, Bucket::full);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E: Element> ExactSizeIterator for Iter<'_, E> {}

impl<E: Element, H: HashKey> Drop for Table<E, H> {
    fn drop(&mut self) {
        self.clear();
    }
}

// SAFETY: the table owns its buckets and elements; sending it sends them.
unsafe impl<E: Element + Send, H: HashKey + Send> Send for Table<E, H> {}

fn into_word<E: Element>(element: E) -> Word {
    let element = std::mem::ManuallyDrop::new(element);
    // SAFETY: E is transparent over one word (Element's contract), checked by size in `new`; any bytes are a pointer.
    unsafe { std::mem::transmute_copy::<std::mem::ManuallyDrop<E>, Word>(&element) }
}

fn from_word<E: Element>(word: Word) -> E {
    debug_assert!(!word.is_null());
    // SAFETY: the word came from `into_word` of the same type and is given back once.
    unsafe { std::mem::transmute_copy::<Word, E>(&word) }
}

#[inline]
fn next_cursor(v: u64, mask: u64) -> u64 {
    (v | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
