//! A shared, growable byte buffer in one allocation: what a large string value, a large argument and a large reply have in
//! common, so that a value read from a socket moves into the keyspace and from there to other sockets without a copy.
//!
//! Invariants: bytes `0..len` are initialised; the contents change only while there is a single owner (a write to a shared
//! one copies first); the count is atomic because a background thread may drop an owner while the main one holds another.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

#[repr(C)]
struct Header {
    owners: AtomicU32,
    len: usize,
    cap: usize,
}

const HEADER: usize = size_of::<Header>();

/// A reference-counted byte buffer with spare capacity. Cloning shares; mutation copies when shared.
#[repr(transparent)]
pub(crate) struct SBuf(NonNull<Header>);

// SAFETY: the count is atomic and the bytes are only written by a sole owner.
unsafe impl Send for SBuf {}

fn layout(cap: usize) -> Layout {
    cap.checked_add(HEADER)
        .and_then(|n| Layout::from_size_align(n, align_of::<Header>()).ok())
        .unwrap_or_else(|| handle_alloc_error(Layout::new::<Header>()))
}

impl SBuf {
    /// An empty buffer with room for `cap` bytes.
    pub(crate) fn with_capacity(cap: usize) -> SBuf {
        let l = layout(cap);
        // SAFETY: the layout is never of size zero: it has the header.
        let p = unsafe { alloc(l) }.cast::<Header>();
        let Some(p) = NonNull::new(p) else {
            handle_alloc_error(l)
        };
        // SAFETY: freshly allocated, large enough and aligned for a Header.
        unsafe {
            p.as_ptr().write(Header {
                owners: AtomicU32::new(1),
                len: 0,
                cap,
            });
        }
        SBuf(p)
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> SBuf {
        let mut b = SBuf::with_capacity(bytes.len());
        b.extend_from_slice(bytes);
        b
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the allocation lives as long as any owner.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.header().len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.header().cap
    }

    pub(crate) fn is_unique(&self) -> bool {
        self.header().owners.load(Ordering::Acquire) == 1
    }

    #[inline]
    fn data(&self) -> *mut u8 {
        // SAFETY: the bytes follow the header in the same allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER) }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: 0..len is initialised.
        unsafe { std::slice::from_raw_parts(self.data(), self.len()) }
    }

    /// The bytes, for writing; a shared buffer is copied first.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.make_unique(0);
        // SAFETY: sole owner now, 0..len is initialised.
        unsafe { std::slice::from_raw_parts_mut(self.data(), self.len()) }
    }

    fn make_unique(&mut self, extra: usize) {
        if !self.is_unique() {
            let mut copy = SBuf::with_capacity(self.len().saturating_add(extra));
            copy.extend_from_slice(self.as_slice());
            *self = copy;
        }
    }

    /// Room for `extra` more bytes, exactly when `exact`, else with the growth policy of sds (doubling up to 1 MB a step).
    pub(crate) fn reserve(&mut self, extra: usize, exact: bool) {
        self.make_unique(extra);
        let need = self.len().saturating_add(extra);
        if need <= self.capacity() {
            return;
        }
        let cap = if exact {
            need
        } else {
            need.saturating_add(need.min(1024 * 1024))
        };
        self.set_capacity(cap);
    }

    fn set_capacity(&mut self, cap: usize) {
        debug_assert!(self.is_unique() && cap >= self.len());
        let new = layout(cap);
        // SAFETY: allocated with layout(capacity), sole owner, and the new size is not zero.
        let p = unsafe { realloc(self.0.as_ptr().cast(), layout(self.capacity()), new.size()) };
        let Some(p) = NonNull::new(p.cast::<Header>()) else {
            handle_alloc_error(new)
        };
        self.0 = p;
        // SAFETY: sole owner of a live allocation.
        unsafe { self.0.as_mut().cap = cap };
    }

    /// Gives unused capacity back.
    pub(crate) fn shrink_to_fit(&mut self) {
        if self.is_unique() && self.capacity() > self.len() {
            self.set_capacity(self.len());
        }
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len(), self.is_empty());
        // SAFETY: room was just made, the source does not overlap a uniquely owned buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.data().add(self.len()), bytes.len());
            self.0.as_mut().len += bytes.len();
        }
    }

    /// Appends the bytes that `fill` answers with: the part that it has filled of room for `room` bytes, from its start.
    /// The room is made exactly when `exact`.
    pub(crate) fn append_with<E>(
        &mut self,
        room: usize,
        exact: bool,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<&mut [u8], E>,
    ) -> Result<usize, E> {
        self.reserve(room, exact);
        let len = self.len();
        // SAFETY: that many bytes behind the length were just reserved, and are owned alone.
        let start = unsafe { self.data().add(len) };
        // SAFETY: as above; nothing is said of what they hold.
        let spare = unsafe { std::slice::from_raw_parts_mut(start.cast(), room) };
        let filled = fill(spare)?;
        let n = filled.len();
        assert!(
            n == 0 || n <= room && std::ptr::eq(filled.as_ptr(), start),
            "what was filled is the start of the room"
        );
        // SAFETY: within the capacity, and a slice of bytes has shown that they are initialised.
        unsafe { self.0.as_mut().len = len + n };
        Ok(n)
    }

    /// Grows with zero bytes to `len`, or cuts to it.
    pub(crate) fn resize(&mut self, len: usize, exact: bool) {
        let old = self.len();
        if len > old {
            self.reserve(len - old, exact);
            // SAFETY: room was just made.
            unsafe { std::ptr::write_bytes(self.data().add(old), 0, len - old) };
        } else {
            self.make_unique(0);
        }
        // SAFETY: sole owner; 0..len is initialised.
        unsafe { self.0.as_mut().len = len };
    }

    /// Bytes of the allocation.
    pub(crate) fn alloc_size(&self) -> usize {
        self.capacity() + HEADER
    }

    /// The bare pointer, for a tagged slot; give it back with [`SBuf::from_raw`].
    pub(crate) fn into_raw(self) -> NonNull<u8> {
        let p = self.0.cast();
        std::mem::forget(self);
        p
    }

    /// # Safety
    /// `p` came from [`SBuf::into_raw`] and is given back once.
    pub(crate) unsafe fn from_raw(p: NonNull<u8>) -> SBuf {
        SBuf(p.cast())
    }
}

impl Clone for SBuf {
    fn clone(&self) -> SBuf {
        let old = self.header().owners.fetch_add(1, Ordering::Relaxed);
        assert!(old < u32::MAX / 2, "too many owners of a buffer");
        SBuf(self.0)
    }
}

impl Drop for SBuf {
    fn drop(&mut self) {
        if self.header().owners.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            let l = layout(self.capacity());
            // SAFETY: the last owner frees what `with_capacity` or `set_capacity` allocated with this layout.
            unsafe { dealloc(self.0.as_ptr().cast(), l) };
        }
    }
}

impl std::fmt::Debug for SBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SBuf({} of {} bytes)", self.len(), self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_filled_from_its_start() {
        let mut b = SBuf::from_slice(b"head");
        let shared = b.clone();
        // SAFETY: the whole room is written before it is taken for bytes.
        let fill = |room: &mut [MaybeUninit<u8>], n: usize| unsafe {
            room.iter_mut().for_each(|r| {
                r.write(b'x');
            });
            std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), n)
        };
        let n = b.append_with::<()>(10, true, |room| Ok(fill(room, 3)));
        assert_eq!(
            (n, b.as_slice(), b.capacity()),
            (Ok(3), &b"headxxx"[..], 14)
        );
        assert_eq!(b.append_with(10, true, |_| Err("nothing")), Err("nothing"));
        assert_eq!(b.append_with::<()>(0, true, |_| Ok(&mut [])), Ok(0));
        assert_eq!(
            (b.as_slice(), shared.as_slice()),
            (&b"headxxx"[..], &b"head"[..])
        );
    }

    #[test]
    #[should_panic = "the start of the room"]
    fn what_is_elsewhere_has_not_been_filled() {
        let _ = SBuf::from_slice(b"").append_with::<()>(5, true, |room| {
            Ok(std::slice::from_mut(room[1].write(b'x')))
        });
    }

    #[test]
    fn a_shared_buffer_is_copied_before_a_write() {
        let mut a = SBuf::from_slice(b"hello");
        let b = a.clone();
        assert!(!a.is_unique());
        a.as_mut_slice()[0] = b'j';
        a.extend_from_slice(b" world");
        assert_eq!(a.as_slice(), b"jello world");
        assert_eq!(b.as_slice(), b"hello");
        assert!(a.is_unique() && b.is_unique());
    }

    #[test]
    fn resize_zero_fills_and_cuts() {
        let mut a = SBuf::from_slice(b"abc");
        a.resize(6, false);
        assert_eq!(a.as_slice(), b"abc\0\0\0");
        a.resize(1, false);
        assert_eq!(a.as_slice(), b"a");
        a.shrink_to_fit();
        assert_eq!(a.capacity(), 1);
    }

    #[test]
    fn raw_round_trip_keeps_the_count() {
        let a = SBuf::from_slice(b"x");
        let b = a.clone();
        let p = a.into_raw();
        assert!(!b.is_unique());
        // SAFETY: p came from into_raw just above.
        drop(unsafe { SBuf::from_raw(p) });
        assert!(b.is_unique());
    }
}
