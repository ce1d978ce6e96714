//! The listpack: a sequence of short strings and integers in one allocation, in the byte format that RDB files hold.
//!
//! ```text
//! total bytes: u32 LE | elements: u16 LE (65535: unknown, walk) | element ... | 0xFF
//! element: encoding (1, 2 or 5 bytes) and content | length of those, readable backwards, 1 to 5 bytes
//!
//! 0xxxxxxx  7-bit unsigned integer          110xxxxx +1  13-bit integer       F1 +2, F2 +3, F3 +4, F4 +8  integers, LE
//! 10llllll  string of up to 63 bytes        1110llll +1  up to 4095 bytes     F0 +4  up to 4 GB
//! ```
//!
//! Invariants: the bytes pass [`validate_integrity`] (deep); a string that is the canonical form of an `i64` is stored as an
//! integer when it is added here; the allocation is `size_class(total bytes)` long, so no capacity is kept and a change that
//! stays in its class does not call the allocator. Every access is checked against the bounds: a stale position may give a
//! wrong element or a panic, never a read outside. It knows nothing of fields, scores or commands.

mod tail;

pub(crate) use tail::Tail;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::base::alloc::size_class;
use crate::base::num::{LONG_STR_SIZE, ll2string, push_ll, sdigits10, string2ll};
use crate::ds::{copy_short, same_bytes, short_word};

/// Bytes before the first element.
const HEADER: usize = 6;
/// The element count that means "walk to know".
const UNKNOWN: u16 = u16::MAX;
const EOF: u8 = 0xFF;
/// Bytes of a listpack without elements.
pub(crate) const EMPTY_BYTES: usize = HEADER + 1;
/// A listpack is not made larger than this, in bytes (lpSafeToAdd).
pub(crate) const MAX_SAFETY_SIZE: usize = 1 << 30;
/// Alignment of the allocation; leaves low pointer bits for tags.
const ALIGN: usize = 8;

/// A sequence of strings and integers in one allocation.
#[repr(transparent)]
pub(crate) struct Listpack(NonNull<u8>);

// SAFETY: it owns its allocation alone.
unsafe impl Send for Listpack {}

/// Where an element starts: its byte offset. Good until the listpack changes before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LpPos(u32);

impl LpPos {
    /// Where the first element of any listpack is, if it has one.
    pub(crate) const FIRST: LpPos = LpPos(HEADER as u32);
}

/// An element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum LpValue<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl<'a> LpValue<'a> {
    /// Whether the element, as a string, is `s` (lpCompare).
    #[inline]
    pub(crate) fn eq_bytes(self, s: &[u8]) -> bool {
        match self {
            LpValue::Str(v) => v == s,
            LpValue::Int(v) => string2ll(s) == Some(v),
        }
    }

    /// Appends the element as a string.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        match self {
            LpValue::Str(v) => out.extend_from_slice(v),
            LpValue::Int(v) => push_ll(out, v),
        }
    }

    /// Gives `f` the element as a string.
    #[inline]
    pub(crate) fn with_bytes<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            LpValue::Str(v) => f(v),
            LpValue::Int(v) => f(ll2string(&mut [0; LONG_STR_SIZE], v)),
        }
    }

    /// Its length as a string, in bytes.
    #[inline]
    pub(crate) fn len_bytes(self) -> usize {
        match self {
            LpValue::Str(v) => v.len(),
            LpValue::Int(v) => sdigits10(v) as usize,
        }
    }

    /// Its value when it is an integer, whichever way it is stored.
    #[inline]
    pub(crate) fn as_int(self) -> Option<i64> {
        match self {
            LpValue::Int(v) => Some(v),
            LpValue::Str(s) => string2ll(s),
        }
    }

    /// A copy of it as a string.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        match self {
            LpValue::Str(v) => v.to_vec(),
            LpValue::Int(v) => {
                let mut out = Vec::with_capacity(sdigits10(v) as usize);
                push_ll(&mut out, v);
                out
            }
        }
    }
}

/// A string to compare many elements with: it is parsed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle<'a> {
    bytes: &'a [u8],
    number: Option<i64>,
}

impl<'a> Needle<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Needle<'a> {
        Needle {
            bytes,
            number: string2ll(bytes),
        }
    }

    /// Whether the element, as a string, is this one.
    #[inline]
    pub(crate) fn is(&self, v: LpValue<'_>) -> bool {
        match v {
            LpValue::Str(s) => s == self.bytes,
            LpValue::Int(v) => self.number == Some(v),
        }
    }
}

/// Bytes of the backwards length of `len` encoded bytes.
#[inline]
const fn backlen_size(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16383 => 2,
        16383..2097151 => 3,
        2097151..268435455 => 4,
        _ => 5,
    }
}

/// Writes the backwards length of `len` into `out`, which is `backlen_size(len)` long.
#[inline]
fn write_backlen(out: &mut [u8], len: usize) {
    if let [b] = out {
        *b = len as u8;
        return;
    }
    let mut rest = len;
    for (i, b) in out.iter_mut().enumerate().rev() {
        *b = (rest & 127) as u8 | if i == 0 { 0 } else { 128 };
        rest >>= 7;
    }
}

/// The backwards length that ends just before `end`.
#[inline]
fn read_backlen(b: &[u8], end: usize) -> Option<usize> {
    let mut len = 0;
    for i in 0..5 {
        let byte = *b.get(end.checked_sub(i + 1)?)?;
        len |= usize::from(byte & 127) << (7 * i);
        if byte & 128 == 0 {
            return Some(len);
        }
    }
    None
}

/// Bytes of the encoding and the content of the element at `p`, without its backwards length; `None` when there is no such
/// encoding or its length is cut off. EOF is no element.
#[inline]
fn encoded_size(b: &[u8], p: usize) -> Option<usize> {
    let first = *b.get(p)?;
    Some(match first {
        0x00..=0x7F => 1,
        0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(*b.get(p + 1)?)),
        0xF0 => 5 + u32::from_le_bytes(b.get(p + 1..p + 5)?.try_into().ok()?) as usize,
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        0xF4 => 9,
        0xF5.. => return None,
    })
}

/// Bytes of a whole element by its first byte; 0 where that does not tell: the longer strings, the end mark, and what is no
/// encoding.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut first = 0;
    while first < 256 {
        sizes[first] = match first {
            0x00..=0x7F => 2,
            0x80..=0xBF => (first as u8 & 0x3F) + 2,
            0xC0..=0xDF => 3,
            0xF1 => 4,
            0xF2 => 5,
            0xF3 => 6,
            0xF4 => 10,
            _ => 0,
        };
        first += 1;
    }
    sizes
};

/// The most of these.
const MAX_BY_FIRST_BYTE: usize = 65;

/// The byte at `p` and the little-endian word `at` bytes behind it.
///
/// # Safety
/// `p + at + 8` is at most the length.
#[inline(always)]
unsafe fn first_and_word(b: &[u8], p: usize, at: usize) -> (u8, u64) {
    debug_assert!(p + at + 8 <= b.len());
    // SAFETY: by the caller's word both lie within `b`.
    unsafe {
        let p = b.as_ptr().add(p);
        let word = p.add(at).cast::<u64>().read_unaligned();
        (p.read(), u64::from_le(word))
    }
}

/// Bytes of the whole element at `p`.
#[inline(always)]
fn entry_size(b: &[u8], p: usize) -> usize {
    match SIZES[usize::from(b[p])] {
        0 => long_entry_size(b, p),
        n => usize::from(n),
    }
}

#[cold]
fn long_entry_size(b: &[u8], p: usize) -> usize {
    let n = encoded_size(b, p).expect("a position within a listpack");
    n + backlen_size(n)
}

/// The eight bytes from `at` on, if there are so many.
#[inline]
fn word_at(b: &[u8], at: usize) -> Option<u64> {
    let word = b.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// The element at `p` and its `encoded_size`.
#[inline]
fn decode(b: &[u8], p: usize) -> (LpValue<'_>, usize) {
    // The two shortest encodings by hand: nearly all elements of small values have them.
    match b[p] {
        v @ 0x00..=0x7F => (LpValue::Int(i64::from(v)), 1),
        v @ 0x80..=0xBF => {
            let n = usize::from(v & 0x3F);
            (LpValue::Str(&b[p + 1..p + 1 + n]), 1 + n)
        }
        // Integers of two, three and four bytes, unless they stand at the end.
        v @ 0xF1..=0xF3 => match word_at(b, p + 1) {
            Some(word) => {
                let n = usize::from(v - 0xEF);
                let shift = 64 - 8 * n;
                (LpValue::Int((word << shift) as i64 >> shift), 1 + n)
            }
            None => decode_longer(b, p),
        },
        _ => decode_longer(b, p),
    }
}

#[inline(never)]
fn decode_longer(b: &[u8], p: usize) -> (LpValue<'_>, usize) {
    let e = &b[p..];
    let le = |n: usize| {
        // Little-endian, its sign bit on top, then shifted down with its sign.
        let mut w = [0; 8];
        w[8 - n..].copy_from_slice(&e[1..1 + n]);
        LpValue::Int(i64::from_le_bytes(w) >> (64 - 8 * n))
    };
    match e[0] {
        v @ 0xC0..=0xDF => {
            let u = i64::from(v & 0x1F) << 8 | i64::from(e[1]);
            (LpValue::Int(u << 51 >> 51), 2)
        }
        v @ 0xE0..=0xEF => {
            let n = 2 + (usize::from(v & 0x0F) << 8 | usize::from(e[1]));
            (LpValue::Str(&e[2..n]), n)
        }
        0xF0 => {
            let n = 5 + u32::from_le_bytes([e[1], e[2], e[3], e[4]]) as usize;
            (LpValue::Str(&e[5..n]), n)
        }
        0xF1 => (le(2), 3),
        0xF2 => (le(3), 4),
        0xF3 => (le(4), 5),
        0xF4 => (le(8), 9),
        _ => panic!("not a position within a listpack"),
    }
}

/// Whether a string is short and does not begin like an integer: then it is an element with one byte before it and one
/// behind.
#[inline(always)]
fn is_short_text(s: &[u8]) -> bool {
    s.len() < 64 && !matches!(s.first(), Some(b'-' | b'0'..=b'9'))
}

/// Writes such a string to `place`, which is two bytes longer.
#[inline(always)]
fn write_short_text(place: &mut [u8], s: &[u8]) {
    let n = s.len();
    place[0] = 0x80 | n as u8;
    copy_short(&mut place[1..n + 1], s);
    place[n + 1] = n as u8 + 1;
}

/// An element about to be written: `head` is its encoding and, for an integer, its value; `tail` a string's content.
struct Encoded<'a> {
    head: [u8; 9],
    head_len: usize,
    tail: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    fn int(v: i64) -> Encoded<'static> {
        let mut head = [0; 9];
        let w = v.to_le_bytes();
        let head_len = match v {
            0..=127 => {
                head[0] = w[0];
                1
            }
            -4096..=4095 => {
                head[0] = 0xC0 | w[1] & 0x1F;
                head[1] = w[0];
                2
            }
            _ => {
                let (code, n) = match v {
                    -32768..=32767 => (0xF1, 2),
                    -8388608..=8388607 => (0xF2, 3),
                    -2147483648..=2147483647 => (0xF3, 4),
                    _ => (0xF4, 8),
                };
                head[0] = code;
                head[1..9].copy_from_slice(&w);
                1 + n
            }
        };
        Encoded {
            head,
            head_len,
            tail: &[],
        }
    }

    #[inline]
    fn str(s: &'a [u8]) -> Encoded<'a> {
        if let Some(v) = string2ll(s) {
            return Encoded::int(v);
        }
        let mut head = [0; 9];
        let n = s.len();
        let head_len = match n {
            0..64 => {
                head[0] = 0x80 | n as u8;
                1
            }
            64..4096 => {
                head[0] = 0xE0 | (n >> 8) as u8;
                head[1] = n as u8;
                2
            }
            _ => {
                head[0] = 0xF0;
                let n = u32::try_from(n).expect("elements are within safe_to_add");
                head[1..5].copy_from_slice(&n.to_le_bytes());
                5
            }
        };
        Encoded {
            head,
            head_len,
            tail: s,
        }
    }

    /// Bytes of the whole element.
    #[inline]
    fn size(&self) -> usize {
        let n = self.head_len + self.tail.len();
        n + backlen_size(n)
    }

    /// Writes it to `out`, which is `size()` long.
    #[inline]
    fn write(&self, out: &mut [u8]) {
        let n = self.head_len + self.tail.len();
        let (content, back) = out.split_at_mut(n);
        if self.head_len == 1 {
            content[0] = self.head[0];
            copy_short(&mut content[1..], self.tail);
        } else {
            content[..self.head_len].copy_from_slice(&self.head[..self.head_len]);
            content[self.head_len..].copy_from_slice(self.tail);
        }
        write_backlen(back, n);
    }
}

/// Bytes that `s` takes as an element.
pub(crate) fn element_bytes(s: &[u8]) -> usize {
    Encoded::str(s).size()
}

/// Bytes of a listpack of `rep` times the integer `v` (lpEstimateBytesRepeatedInteger).
pub(crate) fn estimate_bytes_repeated_integer(v: i64, rep: usize) -> usize {
    EMPTY_BYTES + Encoded::int(v).size().saturating_mul(rep)
}

fn layout(total: usize) -> Layout {
    Layout::from_size_align(size_class(total), ALIGN)
        .unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

impl Listpack {
    /// An empty one (lpNew).
    pub(crate) fn new() -> Listpack {
        Listpack::from_valid_bytes(&[EMPTY_BYTES as u8, 0, 0, 0, 0, 0, EOF])
    }

    /// A copy of `bytes`, which [`validate_integrity`] (deep) has found good.
    pub(crate) fn from_validated(bytes: &[u8]) -> Listpack {
        debug_assert!(validate_integrity(bytes, true, &mut |_| true));
        Listpack::from_valid_bytes(bytes)
    }

    fn from_valid_bytes(bytes: &[u8]) -> Listpack {
        assert!(
            bytes.len() >= EMPTY_BYTES && total_of(bytes) == bytes.len(),
            "a listpack's own length"
        );
        let l = layout(bytes.len());
        // SAFETY: the layout is not of size zero.
        let Some(p) = NonNull::new(unsafe { alloc(l) }) else {
            handle_alloc_error(l)
        };
        // SAFETY: the allocation is at least as long as the bytes, and new.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), p.as_ptr(), bytes.len()) };
        Listpack(p)
    }

    /// An own copy (lpDup).
    pub(crate) fn deep_clone(&self) -> Listpack {
        Listpack::from_valid_bytes(self.bytes())
    }

    /// Bytes from the header to the end mark (lpBytes).
    #[inline]
    pub(crate) fn total_bytes(&self) -> usize {
        // SAFETY: the allocation has a header, and is aligned for a u32.
        u32::from_le(unsafe { self.0.cast::<u32>().read() }) as usize
    }

    /// The whole of it, as files hold it.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `total_bytes` are allocated and initialised.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.total_bytes()) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `total_bytes` are allocated and initialised, and owned alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), self.total_bytes()) }
    }

    /// Bytes of its allocation.
    pub(crate) fn mem_usage(&self) -> usize {
        size_class(self.total_bytes())
    }

    /// Total bytes and count.
    #[inline]
    fn header(&self) -> (usize, u16) {
        // SAFETY: the allocation is of 8 bytes at least, initialised up to the total length of 7 at least; a u32 and a u16
        // lie in it, aligned.
        let (total, count) = unsafe {
            let p = self.0.as_ptr();
            (p.cast::<u32>().read(), p.add(4).cast::<u16>().read())
        };
        (u32::from_le(total) as usize, u16::from_le(count))
    }

    #[inline]
    fn set_header(&mut self, total: usize, count: u16) {
        // SAFETY: as in `header`.
        unsafe {
            let p = self.0.as_ptr();
            p.cast::<u32>().write((total as u32).to_le());
            p.add(4).cast::<u16>().write(count.to_le());
        }
    }

    #[inline]
    fn count(&self) -> u16 {
        self.header().1
    }

    #[inline]
    fn set_count(&mut self, n: u16) {
        self.set_header(self.total_bytes(), n);
    }

    /// Number of elements; past 65534 it walks (lpLength).
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.count() {
            UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.total_bytes() == EMPTY_BYTES
    }

    /// Whether `add` more bytes keep it within 1 GB (lpSafeToAdd).
    #[inline]
    pub(crate) fn safe_to_add(&self, add: usize) -> bool {
        self.total_bytes().saturating_add(add) <= MAX_SAFETY_SIZE
    }

    /// `p` as an element's position, unless it is the end mark's.
    #[inline]
    fn pos(&self, p: usize) -> Option<LpPos> {
        // Within u32: so is the total.
        (self.bytes()[p] != EOF).then_some(LpPos(p as u32))
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<LpPos> {
        self.pos(HEADER)
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<LpPos> {
        self.before(self.total_bytes() - 1)
    }

    /// The element that ends where `p` starts.
    #[inline]
    fn before(&self, p: usize) -> Option<LpPos> {
        if p <= HEADER {
            return None;
        }
        let n = read_backlen(self.bytes(), p).expect("a position within a listpack");
        Some(LpPos((p - n - backlen_size(n)) as u32))
    }

    #[inline]
    pub(crate) fn next(&self, p: LpPos) -> Option<LpPos> {
        let p = p.0 as usize;
        self.pos(p + entry_size(self.bytes(), p))
    }

    #[inline]
    pub(crate) fn prev(&self, p: LpPos) -> Option<LpPos> {
        self.before(p.0 as usize)
    }

    /// The element at `index`; a negative one counts from the end, -1 being the last (lpSeek).
    pub(crate) fn seek(&self, index: i64) -> Option<LpPos> {
        let mut index = index;
        let mut forward = index >= 0;
        if self.count() != UNKNOWN {
            let n = i64::from(self.count());
            if index < 0 {
                index = index.saturating_add(n);
            }
            if index < 0 || index >= n {
                return None;
            }
            forward = index <= n / 2;
            if !forward {
                index -= n;
            }
        }
        if forward {
            let mut p = self.first()?;
            for _ in 0..index {
                p = self.next(p)?;
            }
            Some(p)
        } else {
            let mut p = self.last()?;
            while index < -1 {
                p = self.prev(p)?;
                index += 1;
            }
            Some(p)
        }
    }

    /// The element at `p` (lpGet).
    #[inline]
    pub(crate) fn get(&self, p: LpPos) -> LpValue<'_> {
        decode(self.bytes(), p.0 as usize).0
    }

    /// The first element from `from` on that is `needle`; after each comparison `skip` elements are passed over (lpFind).
    #[inline(always)]
    pub(crate) fn find(&self, from: LpPos, needle: &[u8], skip: usize) -> Option<LpPos> {
        if skip < 2 && is_short_text(needle) {
            return match (skip, needle.len() < 8) {
                (0, true) => self.find_short::<true, false>(from, needle),
                (0, false) => self.find_short::<false, false>(from, needle),
                (_, true) => self.find_short::<true, true>(from, needle),
                (_, false) => self.find_short::<false, true>(from, needle),
            };
        }
        self.find_any(from, needle, string2ll(needle), skip)
    }

    /// A short string that is no integer: it has one encoding, so that most elements are told from it by one word. That is
    /// the encoding's byte with the whole text when that has no more than seven bytes (`WHOLE`); else the text's last eight,
    /// since names are often alike but for their ends. `PAIRS`: every other element is passed over.
    #[inline(never)]
    fn find_short<const WHOLE: bool, const PAIRS: bool>(
        &self,
        from: LpPos,
        needle: &[u8],
    ) -> Option<LpPos> {
        let b = self.bytes();
        let n = needle.len();
        let code = 0x80 | n as u8;
        // Where in the element the word is, what it is to be, and which of its bits count.
        let (at, want, mask) = if WHOLE {
            let word = u64::from(code) | short_word(needle) << 8;
            (0, word, u64::MAX >> (56 - 8 * n))
        } else {
            (n - 7, word_at(needle, n - 8)?, u64::MAX)
        };
        let is_here = |p: usize| {
            b[p] == code
                && b.get(p + 1..p + 1 + n)
                    .is_some_and(|text| same_bytes(text, needle))
        };
        // The next element to look at behind the one at `p`; none when the end comes before it.
        let behind = |p: usize| {
            let next = p + entry_size(b, p);
            match PAIRS {
                false => Some(next),
                true => (b[next] != EOF).then(|| next + entry_size(b, next)),
            }
        };
        let mut p = from.0 as usize;
        // Elements of a group, which share the questions whether they end before the end, and whether their first bytes
        // tell their lengths: one whose does not seems to have none, and so is the group's last one as well.
        let group = if PAIRS { 2 } else { 4 };
        let end = b
            .len()
            .saturating_sub((group - 1) * MAX_BY_FIRST_BYTE + at + 8);
        while p < end {
            let (mut q, mut size) = (p, 0);
            for i in 0..group {
                // SAFETY: `p + (group - 1) * MAX_BY_FIRST_BYTE + at + 8` is less than the length, and each of the elements
                // before this one moved `q` by MAX_BY_FIRST_BYTE at the most.
                let (first, word) = unsafe { first_and_word(b, q, at) };
                if (!PAIRS || i == 0) && word & mask == want && (WHOLE || is_here(q)) {
                    return Some(LpPos(q as u32));
                }
                size = usize::from(SIZES[usize::from(first)]);
                q += size;
            }
            p = match (size, PAIRS) {
                (1.., _) => q,
                (_, true) => behind(p)?,
                (_, false) => behind(q)?,
            };
        }
        // One by one while there is a word, and the end mark is not the next byte.
        let end = b.len().saturating_sub(at + 8);
        while p < end {
            // SAFETY: `p + at + 8` is less than the length.
            let (_, word) = unsafe { first_and_word(b, p, at) };
            if word & mask == want && (WHOLE || is_here(p)) {
                return Some(LpPos(p as u32));
            }
            p = behind(p)?;
        }
        while b[p] != EOF {
            if is_here(p) {
                return Some(LpPos(p as u32));
            }
            p = behind(p)?;
        }
        None
    }

    fn find_any(
        &self,
        from: LpPos,
        needle: &[u8],
        number: Option<i64>,
        skip: usize,
    ) -> Option<LpPos> {
        let b = self.bytes();
        let mut p = from.0 as usize;
        while b[p] != EOF {
            let (v, n) = decode(b, p);
            let found = match v {
                LpValue::Int(v) => number == Some(v),
                LpValue::Str(s) => s == needle,
            };
            if found {
                return Some(LpPos(p as u32));
            }
            p += n + backlen_size(n);
            for _ in 0..skip {
                if b[p] == EOF {
                    return None;
                }
                p += entry_size(b, p);
            }
        }
        None
    }

    /// Makes the `old` bytes at `at` into `new` bytes of any content; what follows moves.
    #[inline]
    fn splice(&mut self, at: usize, old: usize, new: usize) {
        let total = self.total_bytes();
        let rest = total
            .checked_sub(at + old)
            .expect("a position within a listpack");
        let after = total - old + new;
        assert!(after <= u32::MAX as usize, "a listpack's length is 32 bits");
        let (from, to) = (size_class(total), size_class(after));
        if to > from {
            self.resize(total, after);
        }
        // SAFETY: both ranges lie within the larger of the two lengths, which is allocated here.
        unsafe {
            let p = self.0.as_ptr();
            if rest == 1 {
                p.add(at + new).write(EOF);
            } else {
                std::ptr::copy(p.add(at + old), p.add(at + new), rest);
            }
        }
        if to < from {
            self.resize(total, after);
        }
        // SAFETY: the allocation has a header, and is aligned for a u32.
        unsafe { self.0.cast::<u32>().write((after as u32).to_le()) };
    }

    /// From the allocation for `old` bytes to the one for `new`.
    #[cold]
    fn resize(&mut self, old: usize, new: usize) {
        let l = layout(new);
        // SAFETY: it was allocated with the layout of its length, and the new size is not zero.
        let p =
            unsafe { crate::base::alloc::resize(self.0.as_ptr(), layout(old), l, old.min(new)) };
        let Some(p) = NonNull::new(p) else {
            handle_alloc_error(l)
        };
        self.0 = p;
    }

    /// Makes room for `n` elements of `size` bytes together at the offset `at`, where an element starts or the end mark is;
    /// the caller writes them there.
    #[inline(always)]
    fn make_room(&mut self, at: usize, size: usize, n: u16) -> &mut [u8] {
        let (total, count) = self.header();
        let after = total + size;
        assert!(
            at < total && after <= u32::MAX as usize,
            "a position within a listpack of 32 bits"
        );
        if after > size_class(total) {
            self.resize(total, after);
        }
        // What reaches 65535 is "unknown" for good.
        self.set_header(after, count.saturating_add(n));
        // SAFETY: `at` is below `total`, and `after` bytes are allocated now.
        unsafe {
            let p = self.0.as_ptr();
            if at + 1 == total {
                p.add(after - 1).write(EOF);
            } else {
                std::ptr::copy(p.add(at), p.add(at + size), total - at);
            }
            std::slice::from_raw_parts_mut(p.add(at), size)
        }
    }

    /// Puts an element at the offset `at`, where one starts or the end mark is.
    fn put(&mut self, at: usize, e: &Encoded<'_>) -> LpPos {
        e.write(self.make_room(at, e.size(), 1));
        LpPos(at as u32)
    }

    /// Puts the element that stands for `s` there.
    #[inline(always)]
    fn put_str(&mut self, at: usize, s: &[u8]) -> LpPos {
        if !is_short_text(s) {
            return self.put(at, &Encoded::str(s));
        }
        write_short_text(self.make_room(at, s.len() + 2, 1), s);
        LpPos(at as u32)
    }

    /// Puts two elements there, with one change of the allocation.
    fn put_two(&mut self, at: usize, first: &Encoded<'_>, second: &Encoded<'_>) {
        let split = first.size();
        let (a, b) = self
            .make_room(at, split + second.size(), 2)
            .split_at_mut(split);
        first.write(a);
        second.write(b);
    }

    fn put_over(&mut self, p: LpPos, e: &Encoded<'_>) -> LpPos {
        let at = p.0 as usize;
        let size = e.size();
        let old = entry_size(self.bytes(), at);
        self.splice(at, old, size);
        e.write(&mut self.bytes_mut()[at..at + size]);
        p
    }

    /// Adds `s` at the end (lpAppend).
    #[inline]
    pub(crate) fn append(&mut self, s: &[u8]) {
        self.put_str(self.total_bytes() - 1, s);
    }

    /// Adds a field and its value at the end.
    #[inline]
    pub(crate) fn append_pair(&mut self, field: &[u8], value: &[u8]) {
        let at = self.total_bytes() - 1;
        if is_short_text(field) && is_short_text(value) {
            let split = field.len() + 2;
            let place = self.make_room(at, split + value.len() + 2, 2);
            let (a, b) = place.split_at_mut(split);
            write_short_text(a, field);
            write_short_text(b, value);
            return;
        }
        self.put_two(at, &Encoded::str(field), &Encoded::str(value));
    }

    #[inline]
    pub(crate) fn append_int(&mut self, v: i64) {
        self.put(self.total_bytes() - 1, &Encoded::int(v));
    }

    /// Adds `s` at the start (lpPrepend).
    #[inline]
    pub(crate) fn prepend(&mut self, s: &[u8]) {
        self.put_str(HEADER, s);
    }

    #[inline]
    #[cfg(any(test, fuzzing))]
    pub(crate) fn prepend_int(&mut self, v: i64) {
        self.put(HEADER, &Encoded::int(v));
    }

    /// Puts `s` before the element at `p`; the answer is where it is.
    pub(crate) fn insert_before(&mut self, p: LpPos, s: &[u8]) -> LpPos {
        self.put(p.0 as usize, &Encoded::str(s))
    }

    /// Puts `s` and an element after it before the one at `p`, or at the end: both in one move.
    #[inline]
    pub(crate) fn insert_pair(&mut self, p: Option<LpPos>, s: &[u8], second: LpValue<'_>) {
        let second = match second {
            LpValue::Int(v) => Encoded::int(v),
            LpValue::Str(s) => Encoded::str(s),
        };
        let at = p.map_or(self.total_bytes() - 1, |p| p.0 as usize);
        if is_short_text(s) {
            let split = s.len() + 2;
            let place = self.make_room(at, split + second.size(), 2);
            let (a, b) = place.split_at_mut(split);
            write_short_text(a, s);
            second.write(b);
            return;
        }
        self.put_two(at, &Encoded::str(s), &second);
    }

    /// Puts `s` after the element at `p`; the answer is where it is.
    pub(crate) fn insert_after(&mut self, p: LpPos, s: &[u8]) -> LpPos {
        let p = p.0 as usize;
        self.put(p + entry_size(self.bytes(), p), &Encoded::str(s))
    }

    /// Puts `s` in place of the element at `p` (lpReplace).
    pub(crate) fn replace(&mut self, p: LpPos, s: &[u8]) -> LpPos {
        let at = p.0 as usize;
        let size = s.len() + 2;
        if is_short_text(s) && entry_size(self.bytes(), at) == size {
            // Nothing moves.
            write_short_text(&mut self.bytes_mut()[at..at + size], s);
            return p;
        }
        self.put_over(p, &Encoded::str(s))
    }

    /// Puts `v` in place of the element at `p` (lpReplaceInteger).
    #[cfg(test)]
    pub(crate) fn replace_int(&mut self, p: LpPos, v: i64) -> LpPos {
        self.put_over(p, &Encoded::int(v))
    }

    /// Removes the element at `p`; the answer is the one that followed (lpDelete).
    #[inline]
    pub(crate) fn delete(&mut self, p: LpPos) -> Option<LpPos> {
        self.delete_range(p, 1)
    }

    /// Removes up to `n` elements from `p` on; the answer is the one that followed (lpDeleteRangeWithEntry).
    pub(crate) fn delete_range(&mut self, p: LpPos, n: usize) -> Option<LpPos> {
        let at = p.0 as usize;
        let b = self.bytes();
        let (mut end, mut deleted) = (at, 0);
        while deleted < n && b[end] != EOF {
            end += entry_size(b, end);
            deleted += 1;
        }
        self.splice(at, end - at, 0);
        self.uncount(deleted);
        self.pos(at)
    }

    /// Where the element behind the one at `p` starts, if there is one, or where it would.
    #[inline]
    pub(crate) fn end_of(&self, p: LpPos) -> LpPos {
        let p = p.0 as usize;
        LpPos((p + entry_size(self.bytes(), p)) as u32)
    }

    /// Bytes of the elements before `p`.
    #[inline]
    pub(crate) fn bytes_before(&self, p: LpPos) -> usize {
        (p.0 as usize).saturating_sub(HEADER)
    }

    /// Removes the `n` elements before `p`, without a walk over them.
    pub(crate) fn delete_before(&mut self, p: LpPos, n: usize) {
        self.splice(HEADER, self.bytes_before(p), 0);
        self.uncount(n);
    }

    fn uncount(&mut self, deleted: usize) {
        let n = self.count();
        if n != UNKNOWN {
            self.set_count(usize::from(n).saturating_sub(deleted) as u16);
        }
    }

    /// Removes up to `n` elements from the one at `index` on, which may count from the end (lpDeleteRange).
    pub(crate) fn delete_range_with_index(&mut self, index: i64, n: usize) {
        if n == 0 {
            return;
        }
        let Some(p) = self.seek(index) else { return };
        let count = self.count();
        let len = i64::from(count);
        let index = if index < 0 { index + len } else { index };
        if count != UNKNOWN && (len - index) as usize <= n {
            // All up to the end: no walk.
            let at = p.0 as usize;
            self.splice(at, self.total_bytes() - 1 - at, 0);
            self.set_count(index as u16);
        } else {
            self.delete_range(p, n);
        }
    }

    /// Removes the elements at `ps`, which ascend (lpBatchDelete).
    pub(crate) fn batch_delete(&mut self, ps: &[LpPos]) {
        let Some(first) = ps.first() else { return };
        let total = self.total_bytes();
        let b = self.bytes_mut();
        let mut dst = first.0 as usize;
        for (i, p) in ps.iter().enumerate() {
            let p = p.0 as usize;
            let keep = p + entry_size(b, p);
            let end = ps.get(i + 1).map_or(total - 1, |p| p.0 as usize);
            b.copy_within(keep..end, dst);
            dst += end - keep;
        }
        self.splice(dst, total - 1 - dst, 0);
        self.uncount(ps.len());
    }

    /// `self` and then `other` (lpMerge). Both together must be [`Listpack::safe_to_add`].
    pub(crate) fn merge(mut self, other: Listpack) -> Listpack {
        let n = self.len() + other.len();
        let src = other.bytes();
        let content = &src[HEADER..src.len() - 1];
        let at = self.total_bytes() - 1;
        self.splice(at, 0, content.len());
        self.bytes_mut()[at..at + content.len()].copy_from_slice(content);
        self.set_count(u16::try_from(n).unwrap_or(UNKNOWN));
        self
    }

    #[inline]
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.iter_from(LpPos::FIRST)
    }

    /// The elements from `p` on.
    #[inline]
    pub(crate) fn iter_from(&self, p: LpPos) -> Iter<'_> {
        let bytes = self.bytes();
        Iter {
            rest: &bytes[p.0 as usize..],
            total: bytes.len(),
        }
    }

    /// The elements from the last to the first.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn iter_rev(&self) -> impl Iterator<Item = LpValue<'_>> {
        let mut p = self.last();
        std::iter::from_fn(move || {
            let at = p?;
            p = self.prev(at);
            Some(self.get(at))
        })
    }
}

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack::new()
    }
}

impl Drop for Listpack {
    fn drop(&mut self) {
        // SAFETY: allocated with the layout of its length, owned alone.
        unsafe { dealloc(self.0.as_ptr(), layout(self.total_bytes())) };
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The elements of a listpack, in order.
#[derive(Clone)]
pub(crate) struct Iter<'a> {
    /// From the next element to the end mark.
    rest: &'a [u8],
    /// Bytes of the whole listpack.
    total: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = LpValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<LpValue<'a>> {
        let first = *self.rest.first()?;
        // By hand, as in `decode`.
        if first & 0xC0 == 0x80 {
            let n = usize::from(first & 0x3F);
            let (element, rest) = self.rest.split_at_checked(n + 2)?;
            self.rest = rest;
            return Some(LpValue::Str(&element[1..=n]));
        }
        if first == EOF {
            return None;
        }
        let (v, n) = decode(self.rest, 0);
        self.rest = &self.rest[n + backlen_size(n)..];
        Some(v)
    }
}

impl Iter<'_> {
    /// The next three elements, when each is an integer from 0 to 127; else none is taken.
    #[inline]
    pub(crate) fn next_three_small(&mut self) -> Option<[u8; 3]> {
        // Such an element is its value and, for its length, a one.
        const NOT_VALUES: u64 = 0xFF80_FF80_FF80;
        const ONES: u64 = 0x0100_0100_0100;
        let word = u64::from_le_bytes(*self.rest.first_chunk()?);
        if word & NOT_VALUES != ONES {
            return None;
        }
        self.rest = &self.rest[6..];
        Some([word as u8, (word >> 16) as u8, (word >> 32) as u8])
    }

    /// Passes over `n` elements; `None` when there are fewer, and some may have been passed then.
    #[inline]
    pub(crate) fn pass(&mut self, n: usize) -> Option<()> {
        let mut p = 0;
        for _ in 0..n {
            let first = *self.rest.get(p)?;
            p += match SIZES[usize::from(first)] {
                0 if first == EOF => return None,
                0 => long_entry_size(self.rest, p),
                n => usize::from(n),
            };
        }
        self.rest = self.rest.get(p..)?;
        Some(())
    }

    /// Where the next element is; at the end, nowhere.
    #[inline]
    pub(crate) fn position(&self) -> LpPos {
        // Within u32: so is the total.
        LpPos((self.total - self.rest.len()) as u32)
    }
}

/// Builds a listpack of many elements with few allocations.
pub(crate) struct ListpackBuilder {
    /// Header and elements, without the end mark.
    buf: Vec<u8>,
    count: usize,
}

impl ListpackBuilder {
    /// Room for `bytes` of elements is made at once.
    pub(crate) fn with_capacity(bytes: usize) -> ListpackBuilder {
        let mut buf = Vec::with_capacity(bytes.saturating_add(EMPTY_BYTES));
        buf.extend_from_slice(&[0; HEADER]);
        ListpackBuilder { buf, count: 0 }
    }

    fn add(&mut self, e: &Encoded<'_>) {
        let at = self.buf.len();
        self.buf.resize(at + e.size(), 0);
        e.write(&mut self.buf[at..]);
        self.count += 1;
    }

    pub(crate) fn push(&mut self, s: &[u8]) {
        self.add(&Encoded::str(s));
    }

    pub(crate) fn push_int(&mut self, v: i64) {
        self.add(&Encoded::int(v));
    }

    pub(crate) fn push_value(&mut self, v: LpValue<'_>) {
        match v {
            LpValue::Int(v) => self.push_int(v),
            LpValue::Str(s) => self.push(s),
        }
    }

    /// Bytes of the listpack as it would be now.
    pub(crate) fn total_bytes(&self) -> usize {
        self.buf.len() + 1
    }

    pub(crate) fn finish(mut self) -> Listpack {
        self.buf.push(EOF);
        let total = u32::try_from(self.buf.len()).expect("elements are within safe_to_add");
        self.buf[..4].copy_from_slice(&total.to_le_bytes());
        let n = u16::try_from(self.count).unwrap_or(UNKNOWN);
        self.buf[4..6].copy_from_slice(&n.to_le_bytes());
        Listpack::from_valid_bytes(&self.buf)
    }
}

fn total_of(bytes: &[u8]) -> usize {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
}

/// Whether `bytes`, of any origin, are a listpack: its header only, or with `deep` every element too, for which `per_entry`
/// may add a condition (lpValidateIntegrity).
pub(crate) fn validate_integrity(
    bytes: &[u8],
    deep: bool,
    per_entry: &mut dyn FnMut(LpValue<'_>) -> bool,
) -> bool {
    if bytes.len() < EMPTY_BYTES || total_of(bytes) != bytes.len() {
        return false;
    }
    let end = bytes.len() - 1;
    if bytes[end] != EOF {
        return false;
    }
    if !deep {
        return true;
    }
    let (mut p, mut n) = (HEADER, 0usize);
    while bytes[p] != EOF {
        let Some(size) = encoded_size(bytes, p) else {
            return false;
        };
        // No overflow: lengths are 32 bits, offsets no more.
        let next = p + size + backlen_size(size);
        if next > end || read_backlen(bytes, next) != Some(size) {
            return false;
        }
        if !per_entry(decode(bytes, p).0) {
            return false;
        }
        p = next;
        n += 1;
    }
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    p == end && (count == UNKNOWN || usize::from(count) == n)
}

#[cfg(test)]
#[path = "listpack_tests.rs"]
mod tests;
