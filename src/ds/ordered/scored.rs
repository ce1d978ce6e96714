//! A member with its score: one piece of memory, of which the set's table is the owner and its tree keeps the address.
//!
//! ```text
//! score (f64) | a byte: the length (127: eight more bytes have it), 128 more in a pool | bytes
//! ```
//!
//! The first members of each size are allocations of their own. The others, if they are short, are in a pool of the set, which
//! costs about as much memory, and next to no time when the set goes.
//!
//! Invariants: a [`Scored`] owns its piece; whoever keeps a [`Ref`] of it answers for its life. What [`Members`] has made is
//! gone before that is.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::base::alloc::size_class;
use crate::ds::pool::{CLASSES, PIECE_MAX, Pool, class_of};
use crate::ds::table::Element;

/// Where the length stands.
const LENGTH_AT: usize = 8;
/// A member begins with its score.
const ALIGN: usize = align_of::<f64>();
const SHORT_HEADER: usize = LENGTH_AT + 1;
const LONG_HEADER: usize = LENGTH_AT + 9;
/// The length of a member whose length stands behind the byte.
const LONG: u8 = 0x7f;
/// The bit of a member in a pool.
const POOLED: u8 = 0x80;
/// How many members of one size a set has as allocations of their own; the others are in its pool, where what the last chunk has
/// free weighs little then.
const ALONE_MOST: u8 = if cfg!(miri) {
    4
} else if cfg!(test) {
    20
} else {
    128
};

const _: () = assert!(SHORT_HEADER + LONG as usize - 1 <= PIECE_MAX);

/// An owned member.
#[repr(transparent)]
pub(crate) struct Scored(pub(super) Ref);

/// The address of a member that a [`Scored`] owns, or owned.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Ref(NonNull<u8>);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN)
        .unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

impl Ref {
    /// Stands where there is no member.
    pub(super) const NONE: Ref = Ref(NonNull::dangling());

    /// # Safety
    /// The member lives.
    #[inline]
    pub(super) unsafe fn score(self) -> f64 {
        // SAFETY: by the caller's word; a member begins with its score.
        unsafe { self.0.cast::<f64>().read() }
    }

    /// # Safety
    /// The member lives, and nobody else uses it meanwhile.
    pub(super) unsafe fn set_score(self, score: f64) {
        // SAFETY: by the caller's word; nobody ever holds a reference to the score itself.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    /// The bytes.
    ///
    /// # Safety
    /// The member lives as long as `'a`.
    #[inline]
    pub(super) unsafe fn text<'a>(self) -> &'a [u8] {
        let p = self.0.as_ptr();
        // SAFETY: by the caller's word; the length is as `Scored::write` wrote it.
        unsafe {
            match p.add(LENGTH_AT).read() & !POOLED {
                LONG => {
                    let len = p.add(SHORT_HEADER).cast::<u64>().read_unaligned();
                    std::slice::from_raw_parts(p.add(LONG_HEADER), len as usize)
                }
                len => std::slice::from_raw_parts(p.add(SHORT_HEADER), usize::from(len)),
            }
        }
    }
}

// SAFETY: transparent over a non-null pointer to an allocation that does not point back.
unsafe impl Element for Scored {
    #[inline]
    fn key(&self) -> &[u8] {
        // SAFETY: it owns the member, and is borrowed as long.
        unsafe { self.0.text() }
    }
}

impl Scored {
    #[inline]
    pub(super) fn score(&self) -> f64 {
        // SAFETY: it owns the member.
        unsafe { self.0.score() }
    }

    fn size(len: usize) -> usize {
        let header = if len < usize::from(LONG) {
            SHORT_HEADER
        } else {
            LONG_HEADER
        };
        header.saturating_add(len)
    }

    #[inline]
    fn is_pooled(&self) -> bool {
        // SAFETY: it owns the member.
        unsafe { self.0.0.as_ptr().add(LENGTH_AT).read() & POOLED != 0 }
    }

    /// Writes a member where it is to be; `mark` is [`POOLED`] or 0.
    ///
    /// # Safety
    /// `p` has room for it, is aligned for a score, and is the member's from now on.
    #[inline]
    unsafe fn write(p: NonNull<u8>, text: &[u8], score: f64, mark: u8) -> Scored {
        let size = Scored::size(text.len());
        // SAFETY: by the caller's word.
        unsafe {
            p.cast::<f64>().write(score);
            let at = p.as_ptr().add(LENGTH_AT);
            if text.len() < usize::from(LONG) {
                at.write(text.len() as u8 | mark);
            } else {
                at.write(LONG | mark);
                at.add(1).cast::<u64>().write_unaligned(text.len() as u64);
            }
            let to = p.as_ptr().add(size - text.len());
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
        Scored(Ref(p))
    }

    /// A member that is an allocation.
    #[inline]
    fn alone(text: &[u8], score: f64) -> Scored {
        let l = layout(Scored::size(text.len()));
        // SAFETY: the size is not zero.
        let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
            handle_alloc_error(l)
        };
        // SAFETY: it is as large as the member, and aligned as `layout` says.
        unsafe { Scored::write(p, text, score, 0) }
    }
}

/// Makes the members of one set, and takes them back.
#[derive(Default)]
pub(super) struct Members {
    pool: Option<Box<Pool>>,
    /// Short members that are allocations of their own, by size: [`ALONE_MOST`] at most.
    alone: [u8; CLASSES],
    /// Bytes of all that are.
    bytes: usize,
}

impl Members {
    #[inline]
    pub(super) fn make(&mut self, text: &[u8], score: f64) -> Scored {
        let size = Scored::size(text.len());
        if text.len() < usize::from(LONG) {
            let class = class_of(size);
            if self.alone[class] == ALONE_MOST {
                let pool = self.pool.get_or_insert_with(|| Box::new(Pool::new()));
                let p = pool.alloc(class);
                // SAFETY: it is as large as the member and aligned to 8 bytes.
                return unsafe { Scored::write(p, text, score, POOLED) };
            }
            self.alone[class] += 1;
        }
        self.bytes += size_class(size);
        Scored::alone(text, score)
    }

    /// The end of a member that this has made.
    #[inline]
    pub(super) fn free(&mut self, member: Scored) {
        match &mut self.pool {
            Some(pool) if member.is_pooled() => {
                let piece = member.0.0;
                drop(member);
                // SAFETY: `make` has it from this pool, and its owner is gone.
                unsafe { pool.free(piece) };
            }
            _ => {
                let len = member.key().len();
                let size = Scored::size(len);
                if len < usize::from(LONG) {
                    self.alone[class_of(size)] -= 1;
                }
                self.bytes -= size_class(size);
            }
        }
    }

    /// Bytes of all members, and of what is kept for more.
    pub(super) fn mem_usage(&self) -> usize {
        self.bytes + self.pool.as_ref().map_or(0, |p| p.mem_usage())
    }
}

impl Drop for Scored {
    #[inline]
    fn drop(&mut self) {
        let p = self.0.0.as_ptr();
        // SAFETY: the length is as `write` wrote it, so that the size and its layout are those that `alone` allocated with; the
        // allocation is owned by this word alone. A pool outlives what is in it.
        unsafe {
            let head = p.add(LENGTH_AT).read();
            if head & POOLED != 0 {
                return;
            }
            let size = match head {
                LONG => LONG_HEADER + p.add(SHORT_HEADER).cast::<u64>().read_unaligned() as usize,
                len => SHORT_HEADER + usize::from(len),
            };
            dealloc(p, Layout::from_size_align_unchecked(size, ALIGN));
        }
    }
}

#[cfg(test)]
impl Members {
    /// Panics unless there are members of these lengths, in the pool or beside it.
    pub(super) fn check(&self, lengths: impl Iterator<Item = usize>) {
        let pooled = self.pool.as_ref().map_or(0, |p| p.check());
        let alone: usize = self.alone.iter().map(|n| usize::from(*n)).sum();
        let (mut short, mut bytes) = (0, 0);
        for len in lengths {
            short += usize::from(len < usize::from(LONG));
            bytes += size_class(Scored::size(len));
        }
        assert_eq!(alone + pooled, short);
        assert!(self.alone.iter().all(|n| *n <= ALONE_MOST));
        assert!(self.bytes <= bytes && (self.bytes == bytes) == (pooled == 0));
    }
}
