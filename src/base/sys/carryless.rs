//! CRC-16/XMODEM of short keys by carry-less multiplication, where the processor has it (x86-64's PCLMULQDQ).
//!
//! A message of bits is a polynomial over GF(2), its sum the remainder of the message times x^16. Sixteen bytes at a time, with what
//! was left of those before as their highest part, are folded to ten by x^80 mod P; of these the quotient is found by Barrett's
//! reduction: exactly, since nothing carries.
//!
//! Must not know: slots, what a `{` is about; what a sum that is not there is made of instead.

use std::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si32, _mm_load_si128,
    _mm_loadu_si128, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8, _mm_shuffle_epi8,
    _mm_srli_si128, _mm_unpackhi_epi64, _mm_xor_si128,
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
#[target_feature(enable = "pclmulqdq")]
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

/// Not 0: one of the bytes is `{`.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn braces(block: __m128i) -> i32 {
    _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(b'{' as i8)))
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
#[target_feature(enable = "pclmulqdq")]
fn block_of((high, low): (u64, u64)) -> __m128i {
    _mm_set_epi64x(high as i64, low as i64)
}

#[target_feature(enable = "pclmulqdq")]
fn sum(key: &[u8]) -> Option<u16> {
    if key.len() <= BLOCK {
        let block = block_of(numbers(key));
        return (braces(block) == 0).then(|| sum_block(block));
    }
    // What is left over comes first.
    let (head, blocks) = key.as_rchunks::<BLOCK>();
    let block = block_of(numbers(head));
    let (mut crc, mut found) = (sum_block(block), braces(block));
    for bytes in blocks {
        let both = u128::from_be_bytes(*bytes);
        let (high, low) = ((both >> 64) as u64, both as u64);
        found |= braces(block_of((high, low)));
        crc = sum_block(block_of((high ^ u64::from(crc) << 48, low)));
    }
    (found == 0).then_some(crc)
}

#[repr(align(16))]
struct Aligned<T>(T);

/// `LAST_FIRST[n]`: the last `n` bytes of a block in reverse order, then zeros.
static LAST_FIRST: Aligned<[[u8; BLOCK]; BLOCK + 1]> = Aligned({
    // A number with the highest bit set stands for a zero.
    let mut orders = [[0x80; BLOCK]; BLOCK + 1];
    let mut n = 0;
    while n <= BLOCK {
        let mut i = 0;
        while i < n {
            orders[n][i] = (BLOCK - 1 - i) as u8;
            i += 1;
        }
        n += 1;
    }
    orders
});

/// See [`ShortSums::with_sum`]. All of it is here, since what is made for a processor is called, not inlined.
#[target_feature(enable = "pclmulqdq,ssse3")]
fn with_sum<R>(text: &[u8], (start, end): (u32, u32), f: impl FnOnce(u16) -> R) -> Option<R> {
    let order = LAST_FIRST.0.get(end.checked_sub(start)? as usize)?;
    let end = end as usize;
    let text: &[u8; BLOCK] = text.get(end.checked_sub(BLOCK)?..end)?.try_into().ok()?;
    // SAFETY: the addresses are of sixteen bytes; the second one is in a table of such that is aligned.
    let (text, order) = unsafe {
        (
            _mm_loadu_si128(text.as_ptr().cast()),
            _mm_load_si128(order.as_ptr().cast()),
        )
    };
    let block = _mm_shuffle_epi8(text, order);
    (braces(block) == 0).then(|| f(sum_block(block)))
}

/// Says that the processor has what it takes: there is one only where it does.
#[derive(Clone, Copy)]
pub(crate) struct Carryless(());

impl Carryless {
    #[inline(always)]
    pub(crate) fn detect() -> Option<Carryless> {
        std::arch::is_x86_feature_detected!("pclmulqdq").then_some(Carryless(()))
    }

    /// The CRC-16/XMODEM of a key. None: there is a `{` in it.
    #[inline(always)]
    pub(crate) fn sum_without_brace(self, key: &[u8]) -> Option<u16> {
        // SAFETY: the processor has what the function is made for, since this value is there.
        unsafe { sum(key) }
    }
}

/// Says that the processor can shuffle bytes as well.
#[derive(Clone, Copy)]
pub(crate) struct ShortSums(());

impl ShortSums {
    pub(crate) fn detect() -> Option<ShortSums> {
        let has = Carryless::detect().is_some() && std::arch::is_x86_feature_detected!("ssse3");
        has.then_some(ShortSums(()))
    }

    /// Calls `f` with the CRC-16/XMODEM of a key that is `text[start..end]`. None: there is a `{` in it, it is longer than sixteen bytes,
    /// or nearer than that to the beginning of the text, or outside of it.
    #[inline(always)]
    pub(crate) fn with_sum<R>(
        self,
        text: &[u8],
        (start, end): (u32, u32),
        f: impl FnOnce(u16) -> R,
    ) -> Option<R> {
        // SAFETY: the processor has what the function is made for, since this value is there.
        unsafe { with_sum(text, (start, end), f) }
    }
}
