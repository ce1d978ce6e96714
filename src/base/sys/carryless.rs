//! CRC-16/XMODEM of keys, or of the `{...}` in them, by carry-less multiplication, where the processor has it (x86-64's PCLMULQDQ
//! and SSSE3).
//!
//! A message of bits is a polynomial over GF(2), its sum the remainder of the message times x^16. Sixteen bytes at a time, with what
//! was left of those before as their highest part, are folded to ten by x^80 mod P; of these the quotient is found by Barrett's
//! reduction: exactly, since nothing carries.
//!
//! Of a key that is no longer than a block the tag is cut out within it.
//!
//! Must not know: slots; what a sum that is not there is made of instead.

use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi32_si128,
    _mm_cvtsi128_si32, _mm_load_si128, _mm_loadu_si128, _mm_movemask_epi8, _mm_set_epi64x,
    _mm_set1_epi8, _mm_shuffle_epi8, _mm_slli_si128, _mm_srli_si128, _mm_unpackhi_epi64,
    _mm_xor_si128,
};

/// The polynomial of CRC-16/XMODEM, P, without its highest bit, x^16.
const POLYNOMIAL: u16 = 0x1021;
/// The bytes that are summed at once.
const BLOCK: usize = 16;
/// x^80 mod P.
const FOLD: i64 = divided().1 as i64;
/// The quotient of x^80 and P, without its highest bit, x^64.
const QUOTIENT: i64 = divided().0 as i64;

/// x^80 divided by P: the quotient without x^64, and the remainder.
const fn divided() -> (u64, u16) {
    let mut left = (POLYNOMIAL as u128) << 64;
    let mut quotient = 0u64;
    let mut bit = 80;
    while bit > 16 {
        bit -= 1;
        if left >> bit & 1 != 0 {
            left ^= (1 << 16 | POLYNOMIAL as u128) << (bit - 16);
            quotient |= 1 << (bit - 16);
        }
    }
    (quotient, left as u16)
}

/// The sum of sixteen bytes, whose first one is the highest of `block`.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn sum_block(block: __m128i) -> u16 {
    let constants = _mm_set_epi64x(QUOTIENT, FOLD);
    let folded = _mm_clmulepi64_si128::<0x01>(block, constants);
    // Of the ten bytes, the lowest two are those of `folded`. What stands above the low half is not looked at.
    let upper = _mm_xor_si128(_mm_srli_si128::<2>(folded), block);
    let product = _mm_clmulepi64_si128::<0x10>(upper, constants);
    let quotient = _mm_xor_si128(_mm_unpackhi_epi64(product, product), upper);
    let rest = _mm_clmulepi64_si128::<0x00>(quotient, _mm_set_epi64x(0, POLYNOMIAL.into()));
    _mm_cvtsi128_si32(_mm_xor_si128(rest, folded)) as u16
}

/// A bit for each byte of a block that is this one.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn places_of(byte: u8, block: __m128i) -> u32 {
    _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u32
}

/// Up to sixteen bytes as two numbers, with zeros in front, which change no sum.
#[inline]
fn numbers(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let all = u64::from_be_bytes(*first);
        // By half of the way twice, for sixteen less eight is all of them.
        let half = (4 * (BLOCK - bytes.len())) as u32 & 63;
        return (all >> half >> half, u64::from_be_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // They overlap in bytes that are the same in both.
        let first = u64::from(u32::from_be_bytes(*first));
        let up = (8 * bytes.len() - 32) as u32 & 63;
        return (0, first << up | u64::from(u32::from_be_bytes(*last)));
    }
    (0, bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

/// Two numbers, `high` before `low`, as a block.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn block_of((high, low): (u64, u64)) -> __m128i {
    _mm_set_epi64x(high as i64, low as i64)
}

#[repr(align(16))]
struct Orders([[u8; BLOCK]; BLOCK + 1]);

impl Orders {
    /// One for each number of bytes, and the byte that stands for a zero: one with the highest bit set.
    const fn new(zero: u8, last_first: bool) -> Orders {
        let mut orders = [[zero; BLOCK]; BLOCK + 1];
        let mut n = 0;
        while n <= BLOCK {
            let mut i = 0;
            while i < n {
                let at = if last_first { BLOCK - 1 - i } else { i };
                orders[n][i] = at as u8;
                i += 1;
            }
            n += 1;
        }
        Orders(orders)
    }

    /// The order of `n` bytes. None: they are more than a block.
    #[inline]
    #[target_feature(enable = "pclmulqdq,ssse3")]
    fn of(&self, n: u32) -> Option<__m128i> {
        let order = self.0.get(n as usize)?;
        // SAFETY: sixteen bytes, in a table of such that is aligned.
        Some(unsafe { _mm_load_si128(order.as_ptr().cast()) })
    }
}

/// `n`: the last `n` bytes of a block in reverse order, then zeros. A few less than their numbers is as good.
static LAST_FIRST: Orders = Orders::new(0xff, true);
/// `n`: the first `n` bytes of a block, then zeros. A few more than their numbers is as good.
static FIRST: Orders = Orders::new(0x80, false);

/// The sum of what counts of a key that is this block: all of it, or what stands between the first `{` and the first `}` behind it, if
/// that is anything.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn sum_of_short_key(block: __m128i) -> u16 {
    let Some(first) = places_of(b'{', block).checked_ilog2() else {
        return sum_block(block);
    };
    let behind = places_of(b'}', block) & ((1 << first) - 1);
    let close = behind.checked_ilog2().unwrap_or(first);
    let len = first.wrapping_sub(close + 1);
    match FIRST.of(len) {
        Some(order) if len > 0 => {
            let order = _mm_add_epi8(order, _mm_set1_epi8(close as i8 + 1));
            sum_block(_mm_shuffle_epi8(block, order))
        }
        _ => sum_block(block),
    }
}

#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn load(bytes: &[u8; BLOCK]) -> __m128i {
    // SAFETY: sixteen bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Where a byte is for the first time, from a place on. None also where there is less than a block in all.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn find(byte: u8, bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(block) = bytes.get(at..)?.first_chunk() {
        let places = places_of(byte, load(block));
        if places != 0 {
            return Some(at + places.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    // The last one overlaps with what has been looked at.
    let places = places_of(byte, load(bytes.last_chunk()?)) >> (BLOCK + at - bytes.len());
    (places != 0).then(|| at + places.trailing_zeros() as usize)
}

/// The sum of more than a block. None: it is less.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn sum_of_long(bytes: &[u8]) -> Option<u16> {
    // What is left over comes first.
    let (head, blocks) = bytes.as_rchunks::<BLOCK>();
    let n = head.len();
    let order = _mm_add_epi8(
        LAST_FIRST.of(n as u32)?,
        _mm_set1_epi8(n as i8 - BLOCK as i8),
    );
    let mut crc = sum_block(_mm_shuffle_epi8(load(bytes.first_chunk()?), order));
    let reverse = LAST_FIRST.of(BLOCK as u32)?;
    for block in blocks {
        let before = _mm_slli_si128::<14>(_mm_cvtsi32_si128(crc.into()));
        crc = sum_block(_mm_xor_si128(
            _mm_shuffle_epi8(load(block), reverse),
            before,
        ));
    }
    Some(crc)
}

#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn sum(bytes: &[u8]) -> u16 {
    match bytes.len() > BLOCK {
        true => sum_of_long(bytes).unwrap_or_default(),
        false => sum_block(block_of(numbers(bytes))),
    }
}

/// The tag of a key that is longer than a block and has its first `{` here. None: it has none.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn tag(key: &[u8], open: usize) -> Option<&[u8]> {
    let close = find(b'}', key, open + 1)?;
    key.get(open + 1..close).filter(|tag| !tag.is_empty())
}

#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn sum_of_key(key: &[u8]) -> u16 {
    match key.len() > BLOCK {
        true => match find(b'{', key, 0) {
            None => sum_of_long(key).unwrap_or_default(),
            Some(open) => sum(tag(key, open).unwrap_or(key)),
        },
        false => sum_of_short_key(block_of(numbers(key))),
    }
}

/// The key that is `text[start..end]` as a number, its last byte being the lowest of the block. None: it is no such part, is longer
/// than a block, or ends nearer than that to the beginning of the text.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn short_key(text: &[u8], (start, end): (u32, u32)) -> Option<__m128i> {
    let order = LAST_FIRST.of(end.wrapping_sub(start))?;
    let text = text.get(..end as usize)?;
    let at = text.len().checked_sub(BLOCK)?;
    // SAFETY: sixteen bytes of the text begin there. (A last_chunk would look whether it is at address 0, for each key.)
    let last = unsafe { _mm_loadu_si128(text.as_ptr().add(at).cast()) };
    Some(_mm_shuffle_epi8(last, order))
}

/// See [`Carryless::each_sum`].
#[target_feature(enable = "pclmulqdq,ssse3")]
fn each_sum<'a>(
    mut keys: impl Iterator<Item = (&'a [u8], (u32, u32))>,
    mut f: impl FnMut(u16) -> bool,
) -> bool {
    keys.all(|(text, span)| {
        f(match short_key(text, span) {
            Some(block) => sum_of_short_key(block),
            None => sum_of_key(
                text.get(span.0 as usize..span.1 as usize)
                    .unwrap_or_default(),
            ),
        })
    })
}

/// See [`Carryless::with_sum`]. What most keys need is here, since what is made for a processor is called, not inlined.
#[target_feature(enable = "pclmulqdq,ssse3")]
fn with_sum<R>(text: &[u8], span: (u32, u32), f: impl FnOnce(u16) -> R) -> Option<R> {
    match short_key(text, span) {
        Some(block) if places_of(b'{', block) == 0 => Some(f(sum_block(block))),
        _ => with_sum_of_odd(text, span, f),
    }
}

/// For a key that has a tag or is longer, or stands at the beginning of its text.
#[inline(never)]
#[target_feature(enable = "pclmulqdq,ssse3")]
fn with_sum_of_odd<R>(
    text: &[u8],
    (start, end): (u32, u32),
    f: impl FnOnce(u16) -> R,
) -> Option<R> {
    let key = text.get(start as usize..end as usize)?;
    Some(f(sum_of_key(key)))
}

/// Says that the processor has what it takes: there is one only where it does.
#[derive(Clone, Copy)]
pub(crate) struct Carryless(());

impl Carryless {
    #[inline(always)]
    pub(crate) fn detect() -> Option<Carryless> {
        let has = std::arch::is_x86_feature_detected!("pclmulqdq")
            && std::arch::is_x86_feature_detected!("ssse3");
        has.then_some(Carryless(()))
    }

    /// The CRC-16/XMODEM of what counts of a key.
    #[inline(always)]
    pub(crate) fn sum_of_key(self, key: &[u8]) -> u16 {
        // SAFETY: the processor has what the function is made for, since this value is there.
        unsafe { sum_of_key(key) }
    }

    /// Calls `f` with the CRC-16/XMODEM of what counts of each key `text[start..end]`, while that says true; false when it said no. What is
    /// outside of its text counts as empty.
    #[inline(always)]
    pub(crate) fn each_sum<'a>(
        self,
        keys: impl Iterator<Item = (&'a [u8], (u32, u32))>,
        f: impl FnMut(u16) -> bool,
    ) -> bool {
        // SAFETY: as above.
        unsafe { each_sum(keys, f) }
    }

    /// Calls `f` with the CRC-16/XMODEM of what counts of the key that is `text[start..end]`. None: that is outside of the text.
    #[inline(always)]
    pub(crate) fn with_sum<R>(
        self,
        text: &[u8],
        (start, end): (u32, u32),
        f: impl FnOnce(u16) -> R,
    ) -> Option<R> {
        // SAFETY: as above.
        unsafe { with_sum(text, (start, end), f) }
    }
}
