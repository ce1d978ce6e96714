//! CRC-16/XMODEM of short keys by carry-less multiplication, where the processor has it (x86-64's PCLMULQDQ).
//!
//! A message of bits is a polynomial over GF(2), its sum the remainder of the message times x^16. Sixteen bytes at a time, with what
//! was left of those before as their highest part, are folded to eight by x^64 mod P, twice since the product is longer; of these the
//! quotient is found by Barrett's reduction: exactly, since nothing carries.
//!
//! Must not know: slots, hash tags; what a sum that is not there is made of instead.

use std::arch::x86_64::{
    _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_cvtsi128_si32, _mm_movemask_epi8,
    _mm_set1_epi8, _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm_xor_si128,
};

/// The polynomial of CRC-16/XMODEM, P, without its highest bit, x^16.
const POLYNOMIAL: u16 = 0x1021;
/// The bytes that are summed at once.
const BLOCK: usize = 16;
/// x^64 mod P.
const FOLD: i64 = power(64).1 as i64;
/// The quotient of x^80 and P, without its highest bit, x^64.
const QUOTIENT: i64 = power(80).0 as i64;

/// x^n divided by P, 64 < n + 16 and n <= 80: the quotient without x^(n-16), and the remainder.
const fn power(n: u32) -> (u64, u16) {
    let mut left = (POLYNOMIAL as u128) << (n - 16);
    let mut quotient = 0u64;
    let mut bit = n;
    while bit > 16 {
        bit -= 1;
        if left >> bit & 1 != 0 {
            left ^= (1 << 16 | POLYNOMIAL as u128) << (bit - 16);
            quotient |= 1 << (bit - 16);
        }
    }
    (quotient, left as u16)
}

/// The sum of what came before and sixteen bytes, as two numbers whose first byte is the highest; and, not 0: one of them is `{`.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn sum_block(crc: u16, high: u64, low: u64) -> (u16, i32) {
    let number = |n: i64| _mm_cvtsi64_si128(n);
    let low = number(low as i64);
    let both = _mm_unpacklo_epi64(low, number(high as i64));
    let braces = _mm_movemask_epi8(_mm_cmpeq_epi8(both, _mm_set1_epi8(b'{' as i8)));
    let high = number((high ^ u64::from(crc) << 48) as i64);
    let fold = number(FOLD);
    let once = _mm_xor_si128(_mm_clmulepi64_si128::<0>(high, fold), low);
    let twice = _mm_xor_si128(_mm_clmulepi64_si128::<1>(once, fold), once);
    let product = _mm_clmulepi64_si128::<0>(twice, number(QUOTIENT));
    let quotient = _mm_xor_si128(_mm_unpackhi_epi64(product, product), twice);
    let rest = _mm_clmulepi64_si128::<0>(quotient, number(POLYNOMIAL as i64));
    (_mm_cvtsi128_si32(rest) as u16, braces)
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

/// See [`sum_without_brace`].
#[target_feature(enable = "pclmulqdq")]
fn sum(key: &[u8]) -> Option<u16> {
    if key.len() <= BLOCK {
        let (high, low) = numbers(key);
        let (crc, braces) = sum_block(0, high, low);
        return (braces == 0).then_some(crc);
    }
    // What is left over comes first.
    let (head, blocks) = key.as_rchunks::<BLOCK>();
    let (high, low) = numbers(head);
    let (mut crc, mut braces) = sum_block(0, high, low);
    for block in blocks {
        let both = u128::from_be_bytes(*block);
        let (next, more) = sum_block(crc, (both >> 64) as u64, both as u64);
        crc = next;
        braces |= more;
    }
    (braces == 0).then_some(crc)
}

/// The CRC-16/XMODEM of a key. None: there is a `{` in it, or the processor does not know how.
#[inline(always)]
pub(crate) fn sum_without_brace(key: &[u8]) -> Option<u16> {
    if !std::arch::is_x86_feature_detected!("pclmulqdq") {
        return None;
    }
    // SAFETY: the processor has what the function is made for.
    unsafe { sum(key) }
}
