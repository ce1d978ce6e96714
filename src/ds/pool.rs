//! Small pieces of memory for one big collection, cut from chunks of its own: all of them are given back at once, chunk by chunk,
//! when the collection goes, where the allocator would have to look up and take back each piece by itself.
//!
//! ```text
//! chunk   2,048 bytes, aligned to as many, of slots of one size: header | slot | slot | ...
//! header  links to the chunks before and behind it | size class | slots in use | first free slot | where no slot was used yet
//! slot    a multiple of 8 bytes; a free one begins with the offset of the next free one
//! ```
//!
//! Invariants: a chunk is in one list, that of its size class while it has a free slot, else that of the full ones; it has a
//! slot in use, for with its last one it is given back. A piece's chunk begins at the multiple of 2,048 before it.
//!
//! It must not know what is in the pieces: what they own is forgotten with the pool.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

use crate::base::alloc::size_class;

/// Bytes of a chunk, and its alignment.
const CHUNK: usize = 2048;
/// Pieces are multiples of this, and aligned to it.
const GRAIN: usize = 8;
/// The largest piece, in bytes.
pub(crate) const PIECE_MAX: usize = 136;
/// Sizes of pieces.
pub(crate) const CLASSES: usize = PIECE_MAX / GRAIN;
const HEADER: usize = size_of::<Header>();
const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
    Ok(l) => l,
    Err(_) => unreachable!(),
};

#[repr(C)]
struct Header {
    before: *mut Header,
    behind: *mut Header,
    class: u16,
    used: u16,
    /// The offset of a free slot that was used before; 0: there is none.
    free: u16,
    /// The offset behind the slots that were ever used.
    fresh: u16,
}

impl Header {
    fn slot_size(&self) -> usize {
        (usize::from(self.class) + 1) * GRAIN
    }

    fn is_full(&self) -> bool {
        self.free == 0 && usize::from(self.fresh) + self.slot_size() > CHUNK
    }
}

/// Which of the sizes a piece of `size` bytes has, `1..=`[`PIECE_MAX`].
#[inline]
pub(crate) fn class_of(size: usize) -> usize {
    debug_assert!((1..=PIECE_MAX).contains(&size));
    (size - 1) / GRAIN
}

/// See the file's head.
pub(crate) struct Pool {
    /// The first chunk with a free slot, by size class.
    open: [*mut Header; CLASSES],
    full: *mut Header,
    chunks: usize,
}

// SAFETY: the chunks are the pool's alone; what is in the pieces is for who keeps them to answer for.
unsafe impl Send for Pool {}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            open: [null_mut(); CLASSES],
            full: null_mut(),
            chunks: 0,
        }
    }

    /// A piece of a size class, aligned to 8 bytes.
    #[inline]
    pub(crate) fn alloc(&mut self, class: usize) -> NonNull<u8> {
        let mut chunk = self.open[class];
        if chunk.is_null() {
            chunk = self.add_chunk(class);
        }
        // SAFETY: a chunk in a list of open ones is alive and has a free slot; the pool is borrowed mutably, and nobody holds a
        // reference to a header. Offsets are within the chunk, as `free` and this wrote them.
        unsafe {
            let at = match (*chunk).free {
                0 => {
                    let at = (*chunk).fresh;
                    (*chunk).fresh += ((class + 1) * GRAIN) as u16;
                    at
                }
                at => {
                    (*chunk).free = chunk.byte_add(usize::from(at)).cast::<u16>().read();
                    at
                }
            };
            (*chunk).used += 1;
            if (*chunk).is_full() {
                self.unlink(chunk, false);
                self.link(chunk, true);
            }
            NonNull::new_unchecked(chunk.byte_add(usize::from(at)).cast())
        }
    }

    /// Takes a piece back.
    ///
    /// # Safety
    /// It is one of this pool's, and is not used any more.
    #[inline]
    pub(crate) unsafe fn free(&mut self, piece: NonNull<u8>) {
        let piece = piece.as_ptr();
        // Both have one provenance: the chunk's.
        let chunk = piece.map_addr(|a| a & !(CHUNK - 1)).cast::<Header>();
        // SAFETY: by the caller's word the piece is a slot in use of a chunk of this pool, which is borrowed mutably.
        unsafe {
            let was_full = (*chunk).is_full();
            (*chunk).used -= 1;
            if (*chunk).used == 0 {
                self.unlink(chunk, was_full);
                self.chunks -= 1;
                dealloc(chunk.cast(), LAYOUT);
                return;
            }
            piece.cast::<u16>().write((*chunk).free);
            (*chunk).free = (piece.addr() & (CHUNK - 1)) as u16;
            if was_full {
                self.unlink(chunk, true);
                self.link(chunk, false);
            }
        }
    }

    /// Bytes of all chunks and of the pool itself.
    pub(crate) fn mem_usage(&self) -> usize {
        size_class(size_of::<Pool>()) + self.chunks * size_class(CHUNK)
    }

    #[cold]
    fn add_chunk(&mut self, class: usize) -> *mut Header {
        // SAFETY: the size is not zero.
        let chunk = unsafe { alloc(LAYOUT) }.cast::<Header>();
        if chunk.is_null() {
            handle_alloc_error(LAYOUT);
        }
        // SAFETY: it has room for a header, and is aligned.
        unsafe {
            chunk.write(Header {
                before: null_mut(),
                behind: null_mut(),
                class: class as u16,
                used: 0,
                free: 0,
                fresh: HEADER as u16,
            });
            self.link(chunk, false);
        }
        self.chunks += 1;
        chunk
    }

    /// The list that a chunk is in.
    ///
    /// # Safety
    /// It is alive.
    unsafe fn list(&mut self, chunk: *mut Header, full: bool) -> &mut *mut Header {
        match full {
            true => &mut self.full,
            // SAFETY: by the caller's word.
            false => &mut self.open[usize::from(unsafe { (*chunk).class })],
        }
    }

    /// # Safety
    /// The chunk is alive, and in no list.
    unsafe fn link(&mut self, chunk: *mut Header, full: bool) {
        // SAFETY: by the caller's word, and so are those that are in lists.
        unsafe {
            let first = std::mem::replace(self.list(chunk, full), chunk);
            (*chunk).before = null_mut();
            (*chunk).behind = first;
            if !first.is_null() {
                (*first).before = chunk;
            }
        }
    }

    /// # Safety
    /// The chunk is alive, and in this list.
    unsafe fn unlink(&mut self, chunk: *mut Header, full: bool) {
        // SAFETY: by the caller's word, and so are its neighbours.
        unsafe {
            let (before, behind) = ((*chunk).before, (*chunk).behind);
            match before.is_null() {
                true => *self.list(chunk, full) = behind,
                false => (*before).behind = behind,
            }
            if !behind.is_null() {
                (*behind).before = before;
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for first in self.open.iter().chain(std::iter::once(&self.full)) {
            let mut chunk = *first;
            while !chunk.is_null() {
                // SAFETY: each chunk is in one list; it is not looked at after.
                unsafe {
                    let behind = (*chunk).behind;
                    dealloc(chunk.cast(), LAYOUT);
                    chunk = behind;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Pool {
        /// Panics unless the invariants hold; returns how many slots are in use.
        pub(crate) fn check(&self) -> usize {
            let (mut chunks, mut pieces) = (0, 0);
            for (i, first) in self.open.iter().chain([&self.full]).enumerate() {
                let (mut before, mut chunk) = (null_mut(), *first);
                while !chunk.is_null() {
                    // SAFETY: what is in a list is alive.
                    let h = unsafe { &*chunk };
                    assert_eq!(h.before, before);
                    assert_eq!(h.is_full(), i == CLASSES);
                    assert!(h.used > 0 && (i == CLASSES || usize::from(h.class) == i));
                    let mut free = 0;
                    let mut at = h.free;
                    while at != 0 {
                        free += 1;
                        // SAFETY: a free slot of this chunk.
                        at = unsafe { chunk.byte_add(usize::from(at)).cast::<u16>().read() };
                    }
                    let ever = (usize::from(h.fresh) - HEADER) / h.slot_size();
                    assert_eq!(ever, usize::from(h.used) + free);
                    chunks += 1;
                    pieces += usize::from(h.used);
                    (before, chunk) = (chunk, h.behind);
                }
            }
            assert_eq!(chunks, self.chunks);
            pieces
        }
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::with_cases(60), 3))]
        #[test]
        fn pieces_keep_what_is_written_to_them(
            ops in proptest::collection::vec(
                (prop_oneof![4 => Just(25), 1 => 1..=PIECE_MAX], 0u8..100, any::<proptest::sample::Index>()),
                1..crate::ds::effort::of(2000, 150))
        ) {
            let mut pool = Pool::new();
            let mut pieces: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
            for (turn, (size, way, which)) in ops.iter().enumerate() {
                // Mostly growing first, mostly shrinking later.
                if pieces.is_empty() || usize::from(*way) > turn * 100 / ops.len() {
                    let p = pool.alloc(class_of(*size));
                    prop_assert!(p.addr().get().is_multiple_of(GRAIN));
                    // SAFETY: the piece has this many bytes.
                    unsafe { p.as_ptr().write_bytes(*way, *size) };
                    pieces.push((p, *size, *way));
                } else {
                    let (p, size, byte) = pieces.swap_remove(which.index(pieces.len()));
                    // SAFETY: as above, and all of them are written.
                    let bytes = unsafe { std::slice::from_raw_parts(p.as_ptr(), size) };
                    prop_assert!(bytes.iter().all(|b| *b == byte));
                    // SAFETY: it is in use, and is forgotten here.
                    unsafe { pool.free(p) };
                }
                prop_assert_eq!(pool.check(), pieces.len());
            }
            for (p, size, byte) in &pieces {
                // SAFETY: as above.
                let bytes = unsafe { std::slice::from_raw_parts(p.as_ptr(), *size) };
                prop_assert!(bytes.iter().all(|b| b == byte));
            }
            // Some are given back, the rest goes with the pool.
            for (p, ..) in pieces.drain(..pieces.len() / 2) {
                // SAFETY: it is in use, and is forgotten here.
                unsafe { pool.free(p) };
            }
            prop_assert_eq!(pool.check(), pieces.len());
        }
    }

    #[test]
    fn nothing_in_use_is_nothing_allocated() {
        let mut pool = Pool::new();
        let empty = pool.mem_usage();
        let pieces: Vec<_> = (0..crate::ds::effort::of(1000, 200))
            .map(|i| pool.alloc(class_of(1 + i % PIECE_MAX)))
            .collect();
        assert!(pool.mem_usage() > empty);
        for p in pieces {
            // SAFETY: it is in use, and is forgotten here.
            unsafe { pool.free(p) };
        }
        assert_eq!((pool.check(), pool.mem_usage()), (0, empty));
    }
}
