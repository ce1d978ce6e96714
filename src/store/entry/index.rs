//! The expire index: a dense list of all entries that have an expiry, so that sampling one costs a random number and a load
//! whatever share of the keys can expire. Six bytes a key: upstream keeps a second hash table.
//!
//! Invariants: the entry at place `i` has an expiry and carries `i` as its expire index; entries are borrowed from the
//! table, which outlives this list. Only [`super::keyspace`] may touch it, since it alone knows when an entry moves.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use super::{Entry, NO_INDEX};

/// Places a chunk: chunks are never reallocated, so growth costs no copy and at most this much slack.
const CHUNK: usize = 4096;
/// As many as have places that an entry can keep, below [`NO_INDEX`].
const CHUNKS_MAX: usize = NO_INDEX as usize / CHUNK;

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

#[derive(Default)]
pub(super) struct ExpireIndex {
    chunks: Vec<Vec<Place>>,
    len: usize,
}

impl ExpireIndex {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn mem_usage(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Place>()
    }

    /// Appends an entry and tells it its place. Panics when there are 2^32 places, or nearly: an entry has no room for more. The
    /// process ends then, as it does when there is no memory. Entries and places of so many keys take some 300 GB in one
    /// database; a command that is refused would not help whoever has come here, since its master, or its file, has that key;
    /// and a key that expires and has no place would never go.
    pub(super) fn push(&mut self, entry: &mut Entry) {
        if self.len == self.chunks.len() * CHUNK {
            assert!(self.chunks.len() < CHUNKS_MAX, "too many keys that expire");
            // The first chunk grows by itself: most databases have few keys that expire.
            let cap = if self.len == 0 { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(cap));
        }
        entry.set_expire_index(self.len as u32);
        if let Some(last) = self.chunks.get_mut(self.len / CHUNK) {
            last.push(Place::of(entry));
        }
        self.len += 1;
    }

    /// The entry has moved in memory: its place points to it again.
    pub(super) fn moved(&mut self, entry: &Entry) {
        let i = entry.expire_index() as usize;
        self.chunks[i / CHUNK][i % CHUNK] = Place::of(entry);
    }

    /// Takes the entry at `i` out; the last one takes its place.
    pub(super) fn remove(&mut self, i: u32) {
        let i = i as usize;
        self.len -= 1;
        let last = self.len;
        let Some(p) = self.chunks[last / CHUNK].pop() else {
            unreachable!("len counts the places of all chunks")
        };
        if i != last {
            self.chunks[i / CHUNK][i % CHUNK] = p;
            p.entry().set_expire_index(i as u32);
        }
        if last.is_multiple_of(CHUNK) {
            self.chunks.pop();
        }
    }

    /// The entry at `i`.
    #[inline]
    pub(super) fn get(&self, i: usize) -> Listed<'_> {
        // The entry is alive while it is listed (invariant), and the borrow of the index keeps it listed.
        Listed {
            entry: self.chunks[i / CHUNK][i % CHUNK].entry(),
            borrowed: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NewValue;
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "a million chunks, for a comparison of two numbers")]
    fn places_are_given_up_to_the_last_that_an_entry_can_keep() {
        let mut index = ExpireIndex {
            chunks: vec![Vec::new(); CHUNKS_MAX - 1],
            len: (CHUNKS_MAX - 1) * CHUNK,
        };
        let mut e = Entry::new(b"k", NewValue::Int(1), Some(1));
        for _ in 0..CHUNK {
            index.push(&mut e);
        }
        assert_eq!(e.expire_index() as usize, CHUNKS_MAX * CHUNK - 1);
        assert!(e.expire_index() < NO_INDEX);
        let more = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| index.push(&mut e)));
        assert!(more.is_err() && index.len() == CHUNKS_MAX * CHUNK);
    }
}
