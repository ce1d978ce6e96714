//! A field of a big hash with its value: one word that owns both.
//!
//! ```text
//! low bits xx1   both texts lie in the word: bits 1..4 the field's length, bits 4..7 the value's, then their seven bytes
//!          000   bits 3..48 a pointer to field and value, bits 48..56 the field's length, bits 56..64 the value's
//!          010   a pointer to eight bytes (the field's length << 16 | the value's), the field and the value
//!          100   a pointer to eight bytes (the field's length), an [`SBuf`] with the value, and the field
//! ```
//!
//! Invariants: the word is never zero; but for the first form it owns its allocation, and the last form its buffer.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::sbuf::SBuf;
use super::table::Element;
use super::tagged::{self, Tagged};

/// The longest field and value inside the word, in bytes together.
const INLINE_MAX: usize = 7;
/// The longest field or value whose length stands in the word.
const SHORT_MAX: usize = 255;
/// A longer value is kept in a buffer of its own.
const VALUE_MAX: usize = 16 * 1024;
const HEADER: usize = 8;
const VALUE_BITS: u32 = 16;

const FORM: u64 = 0b110;
const SHORT: u64 = 0b000;
const MEDIUM: u64 = 0b010;
const BUFFER: u64 = 0b100;
/// Without the form.
const ADDRESS: u64 = tagged::ADDRESS & !0b111;

/// A value to be stored.
pub(crate) enum FieldValue<'a> {
    /// Bytes to copy.
    Bytes(&'a [u8]),
    /// A buffer to keep as it is.
    Buf(SBuf),
}

/// An owned field with its value. Its bytes in memory are the little-endian ones of the word above, whatever the machine.
#[repr(transparent)]
pub(crate) struct Field(Tagged);

// SAFETY: it owns what it points to.
unsafe impl Send for Field {}

/// How long the field is, and where the value; the pointer is good for all of what the value is part of, the word or the
/// allocation.
struct Parts {
    field_len: usize,
    value: *const u8,
    value_len: usize,
}

// SAFETY: transparent over a non-zero word, movable: what it owns does not point back.
unsafe impl Element for Field {
    #[inline]
    fn key(&self) -> &[u8] {
        let w = self.word();
        // SAFETY: the form says where the field is, as `new` wrote it; an inline one lies in `self`.
        unsafe {
            if w & 1 != 0 {
                let text = std::ptr::from_ref(self).cast::<u8>().add(1);
                return std::slice::from_raw_parts(text, (w >> 1) as usize & INLINE_MAX);
            }
            let p = self.pointer().as_ptr();
            match w & FORM {
                SHORT => std::slice::from_raw_parts(p, (w >> 48) as usize & SHORT_MAX),
                MEDIUM => {
                    let len = p.cast::<u64>().read() >> VALUE_BITS;
                    std::slice::from_raw_parts(p.add(HEADER), len as usize)
                }
                _ => {
                    let len = p.cast::<u64>().read() as usize;
                    std::slice::from_raw_parts(p.add(HEADER + size_of::<SBuf>()), len)
                }
            }
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

fn allocate(size: usize) -> NonNull<u8> {
    let l = layout(size);
    // SAFETY: callers ask for at least eight bytes.
    let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
        handle_alloc_error(l)
    };
    p
}

/// The word of an allocation; `bits` are the form and what stands above the address.
fn word_of(p: NonNull<u8>, bits: u64) -> Field {
    Field(Tagged::of_pointer(p, bits, ADDRESS))
}

impl Field {
    #[inline]
    pub(crate) fn new(field: &[u8], value: FieldValue<'_>) -> Field {
        match value {
            FieldValue::Bytes(v) if field.len() <= SHORT_MAX && v.len() <= SHORT_MAX => {
                Field::short(field, v)
            }
            FieldValue::Bytes(v) if v.len() <= VALUE_MAX => Field::medium(field, v),
            FieldValue::Bytes(v) => Field::buffer(field, SBuf::from_slice(v)),
            FieldValue::Buf(b) if b.len() > VALUE_MAX => Field::buffer(field, b),
            FieldValue::Buf(b) => Field::new(field, FieldValue::Bytes(b.as_slice())),
        }
    }

    #[inline]
    fn short(field: &[u8], value: &[u8]) -> Field {
        let (f, v) = (field.len(), value.len());
        if f + v <= INLINE_MAX {
            let mut w = [0u8; 8];
            w[0] = 1 | (f as u8) << 1 | (v as u8) << 4;
            w[1..1 + f].copy_from_slice(field);
            w[1 + f..1 + f + v].copy_from_slice(value);
            return Field(Tagged::of_bits(u64::from_le_bytes(w)));
        }
        let p = allocate(f + v);
        // SAFETY: the allocation has room for both.
        unsafe {
            std::ptr::copy_nonoverlapping(field.as_ptr(), p.as_ptr(), f);
            std::ptr::copy_nonoverlapping(value.as_ptr(), p.as_ptr().add(f), v);
        }
        word_of(p, SHORT | (f as u64) << 48 | (v as u64) << 56)
    }

    fn medium(field: &[u8], value: &[u8]) -> Field {
        let (f, v) = (field.len(), value.len());
        let p = allocate(HEADER.saturating_add(f).saturating_add(v));
        // SAFETY: the allocation has room for the header and both texts.
        unsafe {
            let lengths = (f as u64) << VALUE_BITS | v as u64;
            p.cast::<u64>().write(lengths);
            let to = p.as_ptr().add(HEADER);
            std::ptr::copy_nonoverlapping(field.as_ptr(), to, f);
            std::ptr::copy_nonoverlapping(value.as_ptr(), to.add(f), v);
        }
        word_of(p, MEDIUM)
    }

    fn buffer(field: &[u8], value: SBuf) -> Field {
        let f = field.len();
        let p = allocate((HEADER + size_of::<SBuf>()).saturating_add(f));
        // SAFETY: the allocation has room for the header, the buffer's pointer and the field.
        unsafe {
            p.cast::<u64>().write(f as u64);
            let slot = p.as_ptr().add(HEADER);
            slot.cast::<SBuf>().write(value);
            let to = slot.add(size_of::<SBuf>());
            std::ptr::copy_nonoverlapping(field.as_ptr(), to, f);
        }
        word_of(p, BUFFER)
    }

    /// # Safety
    /// The low bit of the word is clear: it has a pointer.
    #[inline(always)]
    unsafe fn pointer(&self) -> NonNull<u8> {
        // SAFETY: by the caller's word.
        unsafe { self.0.pointer(ADDRESS) }
    }

    #[inline]
    fn word(&self) -> u64 {
        self.0.bits()
    }

    #[inline]
    fn parts(&self) -> Parts {
        let w = self.word();
        // SAFETY: as in `key`; the value follows the field in all forms but the last.
        unsafe {
            if w & 1 != 0 {
                let field_len = (w >> 1) as usize & INLINE_MAX;
                return Parts {
                    field_len,
                    value: std::ptr::from_ref(self).cast::<u8>().add(1 + field_len),
                    value_len: (w >> 4) as usize & INLINE_MAX,
                };
            }
            let p = self.pointer().as_ptr();
            match w & FORM {
                SHORT => {
                    let field_len = (w >> 48) as usize & SHORT_MAX;
                    Parts {
                        field_len,
                        value: p.add(field_len),
                        value_len: (w >> 56) as usize,
                    }
                }
                MEDIUM => {
                    let lengths = p.cast::<u64>().read();
                    let field_len = (lengths >> VALUE_BITS) as usize;
                    Parts {
                        field_len,
                        value: p.add(HEADER + field_len),
                        value_len: (lengths & ((1 << VALUE_BITS) - 1)) as usize,
                    }
                }
                _ => {
                    let v = (*p.add(HEADER).cast::<SBuf>()).as_slice();
                    Parts {
                        field_len: p.cast::<u64>().read() as usize,
                        value: v.as_ptr(),
                        value_len: v.len(),
                    }
                }
            }
        }
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        let p = self.parts();
        // SAFETY: the value lives as long as this word, which is borrowed.
        unsafe { std::slice::from_raw_parts(p.value, p.value_len) }
    }

    /// The value's own buffer, when it has one: a large value.
    #[inline]
    pub(crate) fn buf(&self) -> Option<&SBuf> {
        let w = self.word();
        if w & 1 != 0 || w & FORM != BUFFER {
            return None;
        }
        // SAFETY: this form keeps an SBuf here.
        Some(unsafe { &*self.pointer().as_ptr().add(HEADER).cast::<SBuf>() })
    }

    /// Replaces the value; the field stays.
    pub(crate) fn set_value(&mut self, value: FieldValue<'_>) {
        let w = self.word();
        let p = self.parts();
        match &value {
            // Of the same length: where the old one was.
            FieldValue::Bytes(v) if v.len() == p.value_len && w & (1 | FORM) != BUFFER => {
                // SAFETY: the old value's place is part of this word or of its allocation, borrowed mutably, and the new
                // one, which comes from elsewhere, is as long.
                unsafe {
                    let to = if w & 1 != 0 {
                        std::ptr::from_mut(self).cast::<u8>().add(1 + p.field_len)
                    } else {
                        p.value.cast_mut()
                    };
                    std::ptr::copy_nonoverlapping(v.as_ptr(), to, v.len());
                }
                return;
            }
            // Short before and after: the allocation is resized, which often moves nothing.
            FieldValue::Bytes(v)
                if w & (1 | FORM) == SHORT
                    && v.len() <= SHORT_MAX
                    && p.field_len + v.len() > INLINE_MAX =>
            {
                let (f, v_len) = (p.field_len, v.len());
                let (old, new) = (layout(f + p.value_len), layout(f + v_len));
                // SAFETY: the allocation was made with the old size, and the new one is at least eight bytes; then there is
                // room for the value behind the field.
                unsafe {
                    let used = f + p.value_len.min(v_len);
                    let moved = crate::base::alloc::resize(self.pointer().as_ptr(), old, new, used);
                    let Some(moved) = NonNull::new(moved) else {
                        handle_alloc_error(new)
                    };
                    std::ptr::copy_nonoverlapping(v.as_ptr(), moved.as_ptr().add(f), v_len);
                    let word = word_of(moved, SHORT | (f as u64) << 48 | (v_len as u64) << 56);
                    // The old word's allocation is the new one's: it must not be dropped.
                    std::mem::forget(std::mem::replace(self, word));
                }
                return;
            }
            _ => {}
        }
        *self = Field::new(self.key(), value);
    }

    /// Bytes of the allocation, without a buffer's.
    fn alloc_size(&self) -> usize {
        let w = self.word();
        if w & 1 != 0 {
            return 0;
        }
        let p = self.parts();
        match w & FORM {
            SHORT => p.field_len + p.value_len,
            MEDIUM => HEADER + p.field_len + p.value_len,
            _ => HEADER + size_of::<SBuf>() + p.field_len,
        }
    }

    /// Bytes allocated besides the word.
    pub(crate) fn mem_usage(&self) -> usize {
        let buf = self.buf().map_or(0, |b| b.alloc_size());
        crate::base::alloc::good_size(self.alloc_size()) + crate::base::alloc::good_size(buf)
    }
}

impl Clone for Field {
    /// A copy that shares nothing but a large value's buffer, which is copied before a change.
    fn clone(&self) -> Field {
        match self.buf() {
            Some(b) => Field::buffer(self.key(), b.clone()),
            None => Field::new(self.key(), FieldValue::Bytes(self.value())),
        }
    }
}

impl Drop for Field {
    #[inline]
    fn drop(&mut self) {
        let w = self.word();
        if w & 1 != 0 {
            return;
        }
        let size = self.alloc_size();
        // SAFETY: allocated with this size and owned by this word alone, the buffer too.
        unsafe {
            let p = self.pointer().as_ptr();
            if w & FORM == BUFFER {
                p.add(HEADER).cast::<SBuf>().drop_in_place();
            }
            dealloc(p, layout(size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::effort;

    /// Bytes by seed; a text is so many times the same.
    const PERIODS: [[u8; 256]; 5] = {
        let mut all = [[0; 256]; 5];
        let mut i = 0;
        while i < 5 * 256 {
            all[i / 256][i % 256] = (i % 256 * 31 + i / 256) as u8;
            i += 1;
        }
        all
    };

    fn text(len: usize, seed: usize) -> Vec<u8> {
        let mut text = PERIODS[seed].repeat(len / 256 + 1);
        text.truncate(len);
        text
    }

    const ALL_LENGTHS: [usize; 15] = [
        0,
        1,
        3,
        4,
        7,
        8,
        15,
        32,
        255,
        256,
        1000,
        VALUE_MAX,
        VALUE_MAX + 1,
        70_000,
        1 << 20,
    ];

    /// One for each form and its ends.
    const LENGTHS: &[usize] = effort::of(&ALL_LENGTHS, &[0, 3, 4, 8, 255, 256, VALUE_MAX + 1]);

    #[test]
    fn every_form_keeps_field_and_value() {
        for f in LENGTHS.iter().copied() {
            let field = text(f, 1);
            for v in LENGTHS.iter().copied() {
                let value = text(v, 2);
                let e = Field::new(&field, FieldValue::Bytes(&value));
                assert!(e.key() == field && e.value() == value, "{f} {v}");
                assert_eq!(e.buf().is_some(), v > VALUE_MAX);
                let b = Field::new(&field, FieldValue::Buf(SBuf::from_slice(&value)));
                assert!(b.key() == field && b.value() == value, "{f} {v}");
                let moved = [b.clone(), b];
                assert!(moved.iter().all(|e| e.key() == field && e.value() == value));
            }
        }
    }

    #[test]
    fn any_value_can_follow_any_other() {
        for f in effort::of(&[0, 1, 5, 9, 255, 256, 3000][..], &[1, 9, 256])
            .iter()
            .copied()
        {
            let field = text(f, 1);
            for from in LENGTHS.iter().copied() {
                for to in LENGTHS.iter().copied() {
                    let mut e = Field::new(&field, FieldValue::Bytes(&text(from, 2)));
                    e.set_value(FieldValue::Bytes(&text(to, 3)));
                    assert!(
                        e.key() == field && e.value() == text(to, 3),
                        "{f} {from} {to}"
                    );
                    e.set_value(FieldValue::Buf(SBuf::from_slice(&text(from, 4))));
                    assert!(
                        e.key() == field && e.value() == text(from, 4),
                        "{f} {from} {to}"
                    );
                }
            }
        }
    }

    #[test]
    fn sizes_fit_the_budget() {
        let size = |f: usize, v: usize| {
            Field::new(&text(f, 0), FieldValue::Bytes(&text(v, 0))).mem_usage()
        };
        assert_eq!(size(3, 4), 0);
        assert_eq!(size(4, 4), 8);
        assert_eq!(size(15, 32), 48);
        assert_eq!(size(16, 256), 320);
    }
}
