//! A member with its score: one allocation, of which the set's table is the owner and its tree keeps the address.
//!
//! ```text
//! score (f64) | length (a byte; 255: eight more follow) | bytes
//! ```
//!
//! Invariant: a [`Scored`] owns its allocation; whoever keeps a [`Ref`] of it answers for its life.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::ds::table::Element;

/// Where the length stands.
const LENGTH_AT: usize = 8;
/// A member begins with its score.
const ALIGN: usize = align_of::<f64>();
const SHORT_HEADER: usize = LENGTH_AT + 1;
const LONG_HEADER: usize = LENGTH_AT + 9;
/// The length byte of a member whose length stands behind it.
const LONG: u8 = 255;

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
        // SAFETY: by the caller's word; the length is as `Scored::new` wrote it.
        unsafe {
            match p.add(LENGTH_AT).read() {
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

    pub(super) fn size(len: usize) -> usize {
        let header = if len < usize::from(LONG) {
            SHORT_HEADER
        } else {
            LONG_HEADER
        };
        header.saturating_add(len)
    }

    #[inline]
    pub(super) fn new(text: &[u8], score: f64) -> Scored {
        let size = Scored::size(text.len());
        let l = layout(size);
        // SAFETY: the size is not zero.
        let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
            handle_alloc_error(l)
        };
        // SAFETY: the allocation has room for score, length and text, and is aligned for the score.
        unsafe {
            p.cast::<f64>().write(score);
            let at = p.as_ptr().add(LENGTH_AT);
            if text.len() < usize::from(LONG) {
                at.write(text.len() as u8);
            } else {
                at.write(LONG);
                at.add(1).cast::<u64>().write_unaligned(text.len() as u64);
            }
            let to = p.as_ptr().add(size - text.len());
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
        Scored(Ref(p))
    }
}

impl Drop for Scored {
    #[inline]
    fn drop(&mut self) {
        let p = self.0.0.as_ptr();
        // SAFETY: the length is as `new` wrote it, so that the size and its layout are those that `new` allocated with; the
        // allocation is owned by this word alone.
        unsafe {
            let size = match p.add(LENGTH_AT).read() {
                LONG => LONG_HEADER + p.add(SHORT_HEADER).cast::<u64>().read_unaligned() as usize,
                len => SHORT_HEADER + usize::from(len),
            };
            dealloc(p, Layout::from_size_align_unchecked(size, ALIGN));
        }
    }
}
