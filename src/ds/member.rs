//! A member of a big set: one word that owns its bytes.
//!
//! ```text
//! low byte odd     the member itself: bits 1..4 its length (0..=7), the other seven bytes its text
//! low byte even    bits 0..48 a pointer to the text, bits 48..64 its length
//!                  ... or LONG: then the length, eight bytes, stands before the text
//! ```
//!
//! So a short member (a small number, a word) costs no allocation at all, and one of sixteen bytes exactly sixteen.
//!
//! Invariants: the word is never zero; a word with an even low byte owns its allocation.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::short_word;
use super::table::Element;
use super::tagged::{ADDRESS, Tagged};

/// The longest text inside the word, in bytes.
const INLINE_MAX: usize = 7;
/// The length field of a member whose length stands before its text.
const LONG: u64 = 0xffff;
const LENGTH_SHIFT: u32 = 48;
const _: () = assert!(ADDRESS == (1 << LENGTH_SHIFT) - 1);
/// Bytes of the length before a long text.
const LONG_HEADER: usize = 8;

/// An owned member. Its bytes in memory are the little-endian ones of the word above, whatever the machine.
#[repr(transparent)]
pub(crate) struct Member(Tagged);

// A set's table is one cache line; tests count what their tables do.
#[cfg(not(test))]
const _: () = assert!(size_of::<super::table::SubTable<Member>>() == 64);

// SAFETY: it owns what it points to.
unsafe impl Send for Member {}

// SAFETY: transparent over a non-zero word, movable: what it owns does not point back.
unsafe impl Element for Member {
    #[inline]
    fn key(&self) -> &[u8] {
        let w = self.0.bits();
        // SAFETY: the tag and the length field say where the text is, as `new` wrote it; an inline text lies in `self`.
        unsafe {
            if w & 1 != 0 {
                let text = std::ptr::from_ref(self).cast::<u8>().add(1);
                return std::slice::from_raw_parts(text, (w >> 1) as usize & INLINE_MAX);
            }
            let (p, len) = (self.0.pointer(ADDRESS), w >> LENGTH_SHIFT);
            if len != LONG {
                return std::slice::from_raw_parts(p.as_ptr(), len as usize);
            }
            let len = p.cast::<u64>().read() as usize;
            std::slice::from_raw_parts(p.as_ptr().add(LONG_HEADER), len)
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

impl Member {
    #[inline]
    pub(crate) fn new(text: &[u8]) -> Member {
        if text.len() <= INLINE_MAX {
            let w = short_word(text) << 8 | (text.len() as u64) << 1 | 1;
            return Member(Tagged::of_bits(w));
        }
        Member::allocate(text)
    }

    fn allocate(text: &[u8]) -> Member {
        let long = text.len() as u64 >= LONG;
        let header = if long { LONG_HEADER } else { 0 };
        let l = layout(text.len().saturating_add(header));
        // SAFETY: the size is not zero: a text that comes here has more than seven bytes.
        let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
            handle_alloc_error(l)
        };
        // SAFETY: the allocation has room for header and text, and is aligned for the header.
        unsafe {
            if long {
                p.cast::<u64>().write(text.len() as u64);
            }
            let to = p.as_ptr().add(header);
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
        let length = (text.len() as u64).min(LONG) << LENGTH_SHIFT;
        Member(Tagged::of_pointer(p, length, ADDRESS))
    }

    /// Bytes of the allocation; none for a short member.
    fn alloc_size(&self) -> usize {
        let w = self.0.bits();
        if w & 1 != 0 {
            return 0;
        }
        let long = w >> LENGTH_SHIFT == LONG;
        self.key().len() + if long { LONG_HEADER } else { 0 }
    }

    /// Bytes allocated besides the word.
    pub(crate) fn mem_usage(&self) -> usize {
        crate::base::alloc::good_size(self.alloc_size())
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        let w = self.0.bits();
        if w & 1 == 0 {
            let size = self.alloc_size();
            // SAFETY: allocated in `allocate` with this size, and owned by this word alone.
            unsafe { dealloc(self.0.pointer(ADDRESS).as_ptr(), layout(size)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_keeps_its_bytes_and_moves() {
        for len in (0..40).chain([255, 65_534, 65_535, 65_536, 1 << 20]) {
            let mut text = (0..=255u8)
                .map(|i| i.wrapping_mul(7))
                .collect::<Vec<_>>()
                .repeat(len / 256 + 1);
            text.truncate(len);
            let members = vec![Member::new(&text), Member::new(&text)];
            for m in members {
                assert_eq!(m.key(), text, "{len}");
            }
        }
    }

    #[test]
    fn short_members_cost_nothing_and_others_their_length() {
        assert_eq!(Member::new(b"1234567").mem_usage(), 0);
        assert_eq!(Member::new(b"12345678").mem_usage(), 8);
        assert_eq!(Member::new(&[0; 16]).mem_usage(), 16);
        assert_eq!(Member::new(&[0xff; 17]).mem_usage(), 32);
    }
}
