//! The intset: a sorted set of integers in one allocation, in the byte format that RDB files hold.
//!
//! ```text
//! width: u32 LE (2, 4 or 8) | members: u32 LE | members, ascending, each `width` bytes LE
//! ```
//!
//! Invariants: strictly ascending; the width only grows; the allocation is `size_class(bytes)` long. Accesses are checked
//! against the bounds. It knows nothing of the limits that turn a set into another encoding.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::base::alloc::size_class;
use crate::base::random::Prng;

const HEADER: usize = 8;
const ALIGN: usize = 8;

/// A sorted set of integers in one allocation.
#[repr(transparent)]
pub(crate) struct Intset(NonNull<u8>);

// SAFETY: it owns its allocation alone.
unsafe impl Send for Intset {}

/// Bytes that `v` needs as a member.
#[inline]
fn width_of(v: i64) -> usize {
    if i16::try_from(v).is_ok() {
        2
    } else if i32::try_from(v).is_ok() {
        4
    } else {
        8
    }
}

#[inline]
fn read(b: &[u8], width: usize, i: usize) -> i64 {
    let at = HEADER + i * width;
    match width {
        2 => i64::from(i16::from_le_bytes([b[at], b[at + 1]])),
        4 => i64::from(i32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])),
        _ => {
            let mut w = [0; 8];
            w.copy_from_slice(&b[at..at + 8]);
            i64::from_le_bytes(w)
        }
    }
}

#[inline]
fn write(b: &mut [u8], width: usize, i: usize, v: i64) {
    let at = HEADER + i * width;
    b[at..at + width].copy_from_slice(&v.to_le_bytes()[..width]);
}

fn u32_at(b: &[u8], at: usize) -> usize {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]) as usize
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(size_class(bytes), ALIGN)
        .unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

impl Intset {
    pub(crate) fn new() -> Intset {
        Intset::from_valid_bytes(&[2, 0, 0, 0, 0, 0, 0, 0])
    }

    /// A copy of `bytes`, which [`validate_integrity`] (deep) has found good.
    pub(crate) fn from_validated(bytes: &[u8]) -> Intset {
        debug_assert!(validate_integrity(bytes, true));
        Intset::from_valid_bytes(bytes)
    }

    fn from_valid_bytes(bytes: &[u8]) -> Intset {
        assert!(
            bytes.len() >= HEADER && bytes.len() == HEADER + u32_at(bytes, 0) * u32_at(bytes, 4),
            "an intset's own length"
        );
        let l = layout(bytes.len());
        // SAFETY: the layout is not of size zero.
        let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
            handle_alloc_error(l)
        };
        // SAFETY: the allocation is at least as long as the bytes, and new.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), p.as_ptr(), bytes.len()) };
        Intset(p)
    }

    /// An own copy.
    pub(crate) fn deep_clone(&self) -> Intset {
        Intset::from_valid_bytes(self.bytes())
    }

    #[inline]
    fn header(&self) -> [u32; 2] {
        // SAFETY: the allocation has a header, and is aligned for it.
        let [w, n] = unsafe { self.0.cast::<[u32; 2]>().read() };
        [u32::from_le(w), u32::from_le(n)]
    }

    #[inline]
    fn set_header(&mut self, width: usize, len: usize) {
        // SAFETY: the allocation has a header, and is aligned for it.
        unsafe {
            self.0
                .cast::<[u32; 2]>()
                .write([(width as u32).to_le(), (len as u32).to_le()]);
        }
    }

    /// Number of members.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.header()[1] as usize
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes a member: 2, 4 or 8.
    #[inline]
    pub(crate) fn width(&self) -> usize {
        self.header()[0] as usize
    }

    fn byte_len(&self) -> usize {
        HEADER + self.len() * self.width()
    }

    /// The whole of it, as files hold it.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: that many bytes are allocated and initialised.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.byte_len()) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: that many bytes are allocated and initialised, and owned alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), self.byte_len()) }
    }

    /// Bytes of its allocation.
    pub(crate) fn mem_usage(&self) -> usize {
        size_class(self.byte_len())
    }

    /// The member at `i`, in ascending order.
    ///
    /// # Panics
    /// When `i` is not below `len`.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> i64 {
        read(self.bytes(), self.width(), i)
    }

    /// Where `v` is, or where it belongs (intsetSearch).
    #[inline]
    fn search(&self, v: i64) -> Result<usize, usize> {
        let (b, w) = (self.bytes(), self.width());
        let (mut lo, mut hi) = (0, self.len());
        // Members often come in ascending order.
        match hi.checked_sub(1).map(|last| v.cmp(&read(b, w, last))) {
            None | Some(std::cmp::Ordering::Greater) => return Err(hi),
            Some(std::cmp::Ordering::Equal) => return Ok(hi - 1),
            Some(std::cmp::Ordering::Less) => {}
        }
        while lo < hi {
            let mid = (lo + hi) / 2;
            match read(b, w, mid).cmp(&v) {
                std::cmp::Ordering::Less => lo = mid + 1,
                std::cmp::Ordering::Greater => hi = mid,
                std::cmp::Ordering::Equal => return Ok(mid),
            }
        }
        Err(lo)
    }

    /// Where `v` is, or where it belongs, among the members from `from` on; all before are less. Near the start it is quick.
    #[inline]
    pub(crate) fn search_from(&self, v: i64, from: usize) -> Result<usize, usize> {
        use std::cmp::Ordering;
        let (b, w, n) = (self.bytes(), self.width(), self.len());
        let (mut lo, mut hi, mut step) = (from, from, 1);
        while hi < n {
            match read(b, w, hi).cmp(&v) {
                Ordering::Equal => return Ok(hi),
                Ordering::Greater => break,
                Ordering::Less => {}
            }
            lo = hi + 1;
            hi = lo.saturating_add(step);
            step *= 2;
        }
        let mut hi = hi.min(n);
        while lo < hi {
            let mid = (lo + hi) / 2;
            match read(b, w, mid).cmp(&v) {
                Ordering::Less => lo = mid + 1,
                Ordering::Greater => hi = mid,
                Ordering::Equal => return Ok(mid),
            }
        }
        Err(lo)
    }

    #[inline]
    pub(crate) fn find(&self, v: i64) -> bool {
        self.search(v).is_ok()
    }

    /// Makes the allocation fit `len` members of `width` bytes; the first bytes stay, the header becomes so.
    fn resize(&mut self, width: usize, len: usize) {
        assert!(u32::try_from(len).is_ok(), "an intset's length is 32 bits");
        let (old, new) = (layout(self.byte_len()), layout(HEADER + len * width));
        if old != new {
            // SAFETY: it was allocated with the layout of its length, and the new size is not zero.
            let p = unsafe {
                crate::base::alloc::resize(self.0.as_ptr(), old, new, old.size().min(new.size()))
            };
            let Some(p) = NonNull::new(p) else {
                handle_alloc_error(new)
            };
            self.0 = p;
        }
        let had = self.byte_len();
        let has = HEADER + len * width;
        if has > had {
            // SAFETY: within the new allocation; so that all of it is initialised.
            unsafe { std::ptr::write_bytes(self.0.as_ptr().add(had), 0, has - had) };
        }
        self.set_header(width, len);
    }

    /// Adds `v`; false when it was a member (intsetAdd).
    pub(crate) fn add(&mut self, v: i64) -> bool {
        let (len, width) = (self.len(), self.width());
        let need = width_of(v);
        if need > width {
            // It lies outside of all members: below or above.
            self.resize(need, len + 1);
            let shift = usize::from(v < 0);
            let b = self.bytes_mut();
            for i in (0..len).rev() {
                let old = read(b, width, i);
                write(b, need, i + shift, old);
            }
            write(b, need, if v < 0 { 0 } else { len }, v);
            return true;
        }
        let Err(at) = self.search(v) else {
            return false;
        };
        self.resize(width, len + 1);
        let b = self.bytes_mut();
        let from = HEADER + at * width;
        b.copy_within(from..HEADER + len * width, from + width);
        write(b, width, at, v);
        true
    }

    /// Removes `v`; false when it was no member (intsetRemove).
    pub(crate) fn remove(&mut self, v: i64) -> bool {
        let Ok(at) = self.search(v) else {
            return false;
        };
        self.remove_at(at);
        true
    }

    /// Removes the member at `i`, which must be below `len`.
    pub(crate) fn remove_at(&mut self, i: usize) {
        let (len, width) = (self.len(), self.width());
        let from = HEADER + i * width;
        self.bytes_mut().copy_within(from + width.., from);
        self.resize(width, len - 1);
    }

    /// A random member; the set must not be empty (intsetRandom).
    pub(crate) fn random(&self, prng: &mut Prng) -> i64 {
        self.get(prng.index(self.len()))
    }

    pub(crate) fn min(&self) -> Option<i64> {
        (!self.is_empty()).then(|| self.get(0))
    }

    pub(crate) fn max(&self) -> Option<i64> {
        self.len().checked_sub(1).map(|i| self.get(i))
    }

    /// The members, ascending.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = i64> + DoubleEndedIterator + '_ {
        let (b, w) = (self.bytes(), self.width());
        (0..self.len()).map(move |i| read(b, w, i))
    }
}

impl Default for Intset {
    fn default() -> Intset {
        Intset::new()
    }
}

impl Drop for Intset {
    fn drop(&mut self) {
        // SAFETY: allocated with the layout of its length, owned alone.
        unsafe { dealloc(self.0.as_ptr(), layout(self.byte_len())) };
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Whether `bytes`, of any origin, are an intset that is not empty; with `deep`, also strictly ascending
/// (intsetValidateIntegrity).
pub(crate) fn validate_integrity(bytes: &[u8], deep: bool) -> bool {
    if bytes.len() < HEADER {
        return false;
    }
    let (width, len) = (u32_at(bytes, 0), u32_at(bytes, 4));
    if !matches!(width, 2 | 4 | 8) || len == 0 || bytes.len() - HEADER != len * width {
        return false;
    }
    !deep || (1..len).all(|i| read(bytes, width, i - 1) < read(bytes, width, i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![
            8 => -20i64..20,
            2 => Just(i64::from(i16::MIN)),
            2 => Just(i64::from(i16::MAX) + 1),
            1 => any::<i32>().prop_map(i64::from),
            1 => any::<i64>(),
        ]
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn behaves_as_a_btree_set(ops in prop::collection::vec((0u8..3, number()), 1..crate::ds::effort::of(80, 20))) {
            let mut is = Intset::new();
            let mut model = BTreeSet::new();
            let mut prng = Prng::new(1);
            for (op, v) in ops {
                match op {
                    0 | 1 => prop_assert_eq!(is.add(v), model.insert(v)),
                    _ => prop_assert_eq!(is.remove(v), model.remove(&v)),
                }
                prop_assert_eq!(is.find(v), model.contains(&v));
                prop_assert!(is.iter().eq(model.iter().copied()));
                prop_assert_eq!(is.min(), model.first().copied());
                prop_assert_eq!(is.max(), model.last().copied());
                prop_assert_eq!(validate_integrity(is.bytes(), true), !model.is_empty());
                if !model.is_empty() {
                    prop_assert!(model.contains(&is.random(&mut prng)));
                }
            }
            let all: Vec<i64> = is.iter().collect();
            for from in 0..=all.len() {
                let less_before = |v: &i64| from == 0 || all[from - 1] < *v;
                for v in all.iter().flat_map(|v| [v.saturating_sub(1), *v, v.saturating_add(1)]).filter(less_before) {
                    prop_assert_eq!(is.search_from(v, from), all.binary_search(&v));
                }
            }
            prop_assert!(is.deep_clone().iter().eq(model.iter().copied()));
        }

        #[test]
        fn any_bytes_are_safe(mut bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0u8..9, framed in any::<bool>()) {
            if framed && bytes.len() >= HEADER {
                let n = (bytes.len() - HEADER) / usize::from(width.max(1));
                bytes[..HEADER].copy_from_slice(&[width, 0, 0, 0, n as u8, 0, 0, 0]);
            }
            if validate_integrity(&bytes, true) {
                let is = Intset::from_validated(&bytes);
                prop_assert!(is.iter().all(|v| is.find(v)));
            }
        }
    }

    #[test]
    fn the_bytes_are_upstreams() {
        let mut is = Intset::new();
        assert_eq!(is.width(), 2);
        is.add(3);
        is.add(-1);
        assert_eq!(is.bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 3, 0]);
        is.add(1 << 20);
        assert_eq!(is.width(), 4);
        assert!(!validate_integrity(&[2, 0, 0, 0, 0, 0, 0, 0], false));
        assert!(!validate_integrity(
            &[2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 3, 0],
            true
        ));
        assert!(!validate_integrity(
            &[8, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            false
        ));
    }
}
