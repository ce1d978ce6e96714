//! Loops over many bytes in the processor's widest registers: counting bits, looking for a byte, and the registers of a
//! HyperLogLog.
//!
//! Each operation has a portable form, and on x86-64 one in AVX2, which is chosen while the program runs where the
//! processor has it and there are bytes enough to be worth it. Both give the same answers: the tests call both. Under Miri
//! only the portable forms run.

/// Fewer bytes than this are left to the portable forms.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const WIDE_MIN: usize = 64;

/// Registers of a HyperLogLog that are unpacked and packed at a time.
pub(crate) const GROUP: usize = 32;

/// Bytes that [`GROUP`] registers of six bits take.
pub(crate) const PACKED: usize = GROUP * 6 / 8;

/// Six bits.
const SIX: u8 = 0x3f;

/// How often each of the 64 values of six bits occurs.
pub(crate) type Histogram = [u32; SIX as usize + 1];
/// Of no registers at all.
pub(crate) const NO_REGISTERS: Histogram = [0; SIX as usize + 1];

/// Calls the form of a function that fits the processor.
macro_rules! choose {
    ($name:ident($($arg:expr),*) when $worth:expr) => {{
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if $worth && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just been asked.
            return unsafe { avx2::$name($($arg),*) };
        }
        portable::$name($($arg),*)
    }};
}

/// How many bits are set.
pub(crate) fn popcount(s: &[u8]) -> u64 {
    choose!(popcount(s) when s.len() >= WIDE_MIN)
}

/// Where the first byte is that is not `b`.
pub(crate) fn position_of_other(s: &[u8], b: u8) -> Option<usize> {
    choose!(position_of_other(s, b) when s.len() >= WIDE_MIN)
}

/// Appends registers that are packed in six bits each, the first in the lowest bits of the first byte, as a byte each.
pub(crate) fn unpack(to: &mut Vec<[u8; GROUP]>, packed: &[[u8; PACKED]]) {
    choose!(unpack(to, packed) when true)
}

/// Raises registers to packed ones, where those are higher. What is left over of either slice counts for nothing.
pub(crate) fn raise(to: &mut [[u8; GROUP]], packed: &[[u8; PACKED]]) {
    choose!(raise(to, packed) when true)
}

/// The opposite of [`unpack`]; only the lower six bits of a byte count.
pub(crate) fn pack(to: &mut [[u8; PACKED]], registers: &[[u8; GROUP]]) {
    choose!(pack(to, registers) when true)
}

/// How often each value occurs; only the lower six bits of a byte count.
pub(crate) fn count_values(registers: &[[u8; GROUP]]) -> Histogram {
    choose!(count_values(registers) when true)
}

mod portable {
    use super::{GROUP, Histogram, NO_REGISTERS, PACKED, SIX};

    pub(super) fn popcount(s: &[u8]) -> u64 {
        let (words, tail) = s.as_chunks::<8>();
        let n: u64 = words
            .iter()
            .map(|w| u64::from(u64::from_ne_bytes(*w).count_ones()))
            .sum();
        n + tail.iter().map(|b| u64::from(b.count_ones())).sum::<u64>()
    }

    pub(super) fn position_of_other(s: &[u8], b: u8) -> Option<usize> {
        let whole = u64::from_ne_bytes([b; 8]);
        let (words, _) = s.as_chunks::<8>();
        let n = words
            .iter()
            .position(|w| u64::from_ne_bytes(*w) != whole)
            .unwrap_or(words.len());
        let at = n * 8;
        Some(at + s[at..].iter().position(|x| *x != b)?)
    }

    /// Eight registers of six bits, the lowest first, spread to bytes.
    #[inline]
    fn spread(bits: u64) -> u64 {
        let x = (bits & 0xff_ffff) | (bits & 0xffff_ff00_0000) << 8;
        let x = (x & 0x0000_0fff_0000_0fff) | (x & 0x00ff_f000_00ff_f000) << 4;
        (x & 0x003f_003f_003f_003f) | (x & 0x0fc0_0fc0_0fc0_0fc0) << 2
    }

    /// The opposite of [`spread`].
    #[inline]
    fn gather(x: u64) -> u64 {
        let x = (x & 0x003f_003f_003f_003f) | (x & 0x3f00_3f00_3f00_3f00) >> 2;
        let x = (x & 0x0000_0fff_0000_0fff) | (x & 0x0fff_0000_0fff_0000) >> 4;
        (x & 0xff_ffff) | (x & 0x00ff_ffff_0000_0000) >> 8
    }

    fn spread_group(packed: &[u8; PACKED]) -> [u8; GROUP] {
        let mut registers = [0; GROUP];
        let words = registers.as_chunks_mut::<8>().0.iter_mut();
        for (to, packed) in words.zip(packed.as_chunks::<6>().0) {
            let [a, b, c, d, e, f] = *packed;
            *to = spread(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])).to_le_bytes();
        }
        registers
    }

    pub(super) fn unpack(to: &mut Vec<[u8; GROUP]>, packed: &[[u8; PACKED]]) {
        to.extend(packed.iter().map(spread_group));
    }

    pub(super) fn raise(to: &mut [[u8; GROUP]], packed: &[[u8; PACKED]]) {
        for (to, packed) in to.iter_mut().zip(packed) {
            for (t, r) in to.iter_mut().zip(spread_group(packed)) {
                *t = r.max(*t);
            }
        }
    }

    pub(super) fn pack(to: &mut [[u8; PACKED]], registers: &[[u8; GROUP]]) {
        for (to, registers) in to.iter_mut().zip(registers) {
            let groups = to.as_chunks_mut::<6>().0.iter_mut();
            for (to, registers) in groups.zip(registers.as_chunks::<8>().0) {
                let [a, b, c, d, e, f, ..] = gather(u64::from_le_bytes(*registers)).to_le_bytes();
                *to = [a, b, c, d, e, f];
            }
        }
    }

    pub(super) fn count_values(registers: &[[u8; GROUP]]) -> Histogram {
        let mut histogram = NO_REGISTERS;
        for r in registers.as_flattened() {
            histogram[usize::from(*r & SIX)] += 1;
        }
        histogram
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{GROUP, Histogram, NO_REGISTERS, PACKED, SIX, portable};

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: 32 bytes are read, of any alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(to: &mut [u8; 32], v: __m256i) {
        // SAFETY: 32 bytes are written, of any alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    /// The sum of four words.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sum64(v: __m256i) -> u64 {
        let two = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        let one = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
        _mm_cvtsi128_si64(one) as u64
    }

    /// The bits set in each of four words, looked up by half bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits_of_words(v: __m256i) -> __m256i {
        let bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        ));
        let half = _mm256_set1_epi8(0x0f);
        let low = _mm256_shuffle_epi8(bits, _mm256_and_si256(v, half));
        let high = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
        _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
    }

    /// Two numbers of one bit in each of 256 places: the first, and where the second differs from it.
    #[derive(Clone, Copy)]
    struct Pair {
        first: __m256i,
        differ: __m256i,
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pair(block: &[u8; 512], at: usize) -> Pair {
        let vectors = block.as_chunks::<32>().0;
        let first = load(&vectors[at]);
        Pair {
            first,
            differ: _mm256_xor_si256(first, load(&vectors[at + 1])),
        }
    }

    /// Adds a pair to `sum`: its new value, and the carry.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_pair(sum: __m256i, a: Pair) -> (__m256i, __m256i) {
        let any = _mm256_or_si256(a.differ, _mm256_xor_si256(a.first, sum));
        let sum = _mm256_xor_si256(a.differ, sum);
        (sum, _mm256_xor_si256(any, sum))
    }

    /// Adds two pairs to `sum`: its new value, and both carries.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_pairs(sum: __m256i, a: Pair, b: Pair) -> (__m256i, Pair) {
        let any = _mm256_or_si256(a.differ, _mm256_xor_si256(a.first, sum));
        let sum = _mm256_xor_si256(a.differ, sum);
        let first = _mm256_xor_si256(any, sum);
        let only = _mm256_andnot_si256(b.differ, _mm256_xor_si256(b.first, sum));
        let carries = Pair {
            first,
            differ: _mm256_xor_si256(any, only),
        };
        (_mm256_xor_si256(b.differ, sum), carries)
    }

    /// A tree of adders (Harley and Seal): only every sixteenth vector's bits are counted one by one. The adders work on
    /// pairs, as in Demenkov et al., "New upper bounds on the Boolean circuit complexity of symmetric functions", 2010: that
    /// takes four steps for an addition instead of five.
    #[target_feature(enable = "avx2")]
    pub(super) fn popcount(s: &[u8]) -> u64 {
        let (blocks, tail) = s.as_chunks::<512>();
        let zero = _mm256_setzero_si256();
        let (mut ones, mut twos, mut fours, mut eights, mut sixteens) =
            (zero, zero, zero, zero, zero);
        for block in blocks {
            let (two_a, two_b, two_c, two_d, four_a, four_b, eight, sixteen);
            (ones, two_a) = add_pairs(ones, pair(block, 0), pair(block, 2));
            (ones, two_b) = add_pairs(ones, pair(block, 4), pair(block, 6));
            (twos, four_a) = add_pairs(twos, two_a, two_b);
            (ones, two_c) = add_pairs(ones, pair(block, 8), pair(block, 10));
            (ones, two_d) = add_pairs(ones, pair(block, 12), pair(block, 14));
            (twos, four_b) = add_pairs(twos, two_c, two_d);
            (fours, eight) = add_pairs(fours, four_a, four_b);
            (eights, sixteen) = add_pair(eights, eight);
            sixteens = _mm256_add_epi64(sixteens, bits_of_words(sixteen));
        }
        let mut sum = _mm256_slli_epi64(sixteens, 4);
        for (v, log) in [(ones, 0), (twos, 1), (fours, 2), (eights, 3)] {
            let n = _mm256_sll_epi64(bits_of_words(v), _mm_cvtsi64_si128(log));
            sum = _mm256_add_epi64(sum, n);
        }
        let (vectors, tail) = tail.as_chunks::<32>();
        for v in vectors {
            sum = _mm256_add_epi64(sum, bits_of_words(load(v)));
        }
        sum64(sum) + portable::popcount(tail)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn position_of_other(s: &[u8], b: u8) -> Option<usize> {
        let same = _mm256_set1_epi8(b as i8);
        let mut at = 0;
        for block in s.as_chunks::<128>().0 {
            let mut differs = _mm256_setzero_si256();
            for v in block.as_chunks::<32>().0 {
                differs = _mm256_or_si256(differs, _mm256_xor_si256(load(v), same));
            }
            if _mm256_testz_si256(differs, differs) == 0 {
                break;
            }
            at += block.len();
        }
        portable::position_of_other(&s[at..], b).map(|i| at + i)
    }

    /// Registers of six bits, spread to a byte each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn spread(packed: &[u8; PACKED]) -> __m256i {
        // Three bytes, four registers, to each word of four bytes: the first twelve bytes into the lower half, the others
        // into the upper one, which is read from the ninth byte on.
        let places = _mm256_setr_epi8(
            0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, //
            4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1,
        );
        // SAFETY: sixteen bytes from the first and from the ninth on are read, of any alignment, of 24.
        let (low, high) = unsafe {
            let p = packed.as_ptr();
            (
                _mm_loadu_si128(p.cast()),
                _mm_loadu_si128(p.add(PACKED - 16).cast()),
            )
        };
        let x = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        let x = _mm256_shuffle_epi8(x, places);
        // Two registers to each half of a word, then one to each byte.
        let x = _mm256_or_si256(
            _mm256_and_si256(x, _mm256_set1_epi32(0x0fff)),
            _mm256_slli_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0x00ff_f000)), 4),
        );
        _mm256_or_si256(
            _mm256_and_si256(x, _mm256_set1_epi16(0x003f)),
            _mm256_slli_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0x0fc0)), 2),
        )
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn unpack(to: &mut Vec<[u8; GROUP]>, packed: &[[u8; PACKED]]) {
        to.reserve(packed.len());
        let before = to.len();
        for (to, packed) in to.spare_capacity_mut().iter_mut().zip(packed) {
            // SAFETY: 32 bytes are written, of any alignment, to a place of that size.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), spread(packed)) };
        }
        // SAFETY: there was room for all of them, so as many places have been written.
        unsafe { to.set_len(before + packed.len()) };
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn raise(to: &mut [[u8; GROUP]], packed: &[[u8; PACKED]]) {
        for (to, packed) in to.iter_mut().zip(packed) {
            let higher = _mm256_max_epu8(spread(packed), load(to));
            store(to, higher);
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn pack(to: &mut [[u8; PACKED]], registers: &[[u8; GROUP]]) {
        let places = _mm256_broadcastsi128_si256(_mm_setr_epi8(
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
        ));
        for (to, registers) in to.iter_mut().zip(registers) {
            let x = _mm256_and_si256(load(registers), _mm256_set1_epi8(SIX as i8));
            // The second of two bytes moves down by two bits, the second of two such pairs by four.
            let x = _mm256_maddubs_epi16(x, _mm256_set1_epi16(0x4001));
            let x = _mm256_madd_epi16(x, _mm256_set1_epi32(0x1000_0001));
            let x = _mm256_shuffle_epi8(x, places);
            // Twelve bytes of each half, side by side.
            let x = _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
            // SAFETY: 16 and 8 bytes are written, of any alignment, to 24.
            unsafe {
                let p = to.as_mut_ptr();
                _mm_storeu_si128(p.cast(), _mm256_castsi256_si128(x));
                _mm_storel_epi64(p.add(16).cast(), _mm256_extracti128_si256(x, 1));
            }
        }
    }

    /// Values that are counted in one pass: as many as there are registers to count them in.
    const VALUES: usize = 8;

    #[target_feature(enable = "avx2")]
    pub(super) fn count_values(registers: &[[u8; GROUP]]) -> Histogram {
        let six = _mm256_set1_epi8(SIX as i8);
        let mut histogram = NO_REGISTERS;
        let mut left = registers.as_flattened().len() as u64;
        // Low values are the common ones: the passes end when everything is counted.
        for (pass, counts) in histogram.as_chunks_mut::<VALUES>().0.iter_mut().enumerate() {
            if left == 0 {
                break;
            }
            let first = (pass * VALUES) as i8;
            let value = |k: usize| _mm256_set1_epi8(first + k as i8);
            // A byte of a count holds no more than 255.
            for part in registers.chunks(255) {
                let mut found = [_mm256_setzero_si256(); VALUES];
                for r in part {
                    let r = _mm256_and_si256(load(r), six);
                    for (k, n) in found.iter_mut().enumerate() {
                        // Where they are the same stands -1.
                        *n = _mm256_sub_epi8(*n, _mm256_cmpeq_epi8(r, value(k)));
                    }
                }
                for (count, n) in counts.iter_mut().zip(found) {
                    let n = sum64(_mm256_sad_epu8(n, _mm256_setzero_si256()));
                    *count += n as u32;
                    left -= n;
                }
            }
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::effort;
    use proptest::prelude::*;

    /// What the fastest form says is `$want`, and what the portable one says too.
    macro_rules! both {
        ($name:ident($($arg:expr),*) == $want:expr) => {
            prop_assert_eq!($name($($arg),*), $want);
            prop_assert_eq!(portable::$name($($arg),*), $want);
        };
    }

    /// Bytes of which many are 0 and many 255, at any alignment: they begin at the index.
    fn bytes(most: usize) -> impl Strategy<Value = (Vec<u8>, usize)> {
        let byte = prop_oneof![Just(0), Just(255), any::<u8>()];
        let most = effort::of(most, 100);
        (proptest::collection::vec(byte, 32..most), 0..32_usize)
    }

    fn bit(s: &[u8], i: usize) -> bool {
        s[i / 8] >> (i % 8) & 1 != 0
    }

    proptest! {
        #![proptest_config(effort::cases(ProptestConfig::default(), 2))]
        #[test]
        fn bits_are_counted((s, at) in bytes(2000)) {
            let s = &s[at..];
            let want = (0..s.len() * 8).filter(|i| bit(s, *i)).count() as u64;
            both!(popcount(s) == want);
        }

        #[test]
        fn the_first_other_byte_is_found(
            len in 0..effort::of(1500_usize, 100), at in 0..32_usize, other in any::<usize>(), b in any::<u8>(), second in any::<u8>())
        {
            let mut s = vec![b; at + len];
            let s = &mut s[at..];
            both!(position_of_other(s, b) == None);
            if len > 0 {
                let i = other % len;
                s[i] = !b;
                s[i + 1..].fill(second);
                both!(position_of_other(s, b) == Some(i));
            }
        }

        #[test]
        fn registers_are_unpacked_packed_and_counted(
            (packed, _) in bytes(PACKED * 40), old in any::<u8>(), at in 0..5_usize, most in 0..8_u32)
        {
            let mut packed = packed.as_chunks::<PACKED>().0.to_vec();
            // Small values are the common ones.
            for r in 0..packed.len() * GROUP {
                let i = r * 6 + most as usize % 6;
                packed.as_flattened_mut()[i / 8] &= !(1 << (i % 8));
            }
            let packed = &packed[at.min(packed.len())..];
            let register = |r: usize| {
                (0..6).map(|i| u8::from(bit(packed.as_flattened(), r * 6 + i)) << i).sum::<u8>()
            };
            let want: Vec<u8> = (0..packed.len() * GROUP).map(register).collect();
            let want = want.as_chunks::<GROUP>().0.to_vec();
            let higher: Vec<u8> = want.as_flattened().iter().map(|r| *r.max(&old)).collect();
            type Unpack = fn(&mut Vec<[u8; GROUP]>, &[[u8; PACKED]]);
            for unpack in [unpack as Unpack, portable::unpack] {
                let mut to = vec![[old; GROUP]];
                unpack(&mut to, packed);
                prop_assert_eq!(to[0], [old; GROUP]);
                prop_assert_eq!(&to[1..], &want[..]);
            }
            type Raise = fn(&mut [[u8; GROUP]], &[[u8; PACKED]]);
            for raise in [raise as Raise, portable::raise] {
                let mut to = vec![[old; GROUP]; want.len()];
                raise(&mut to, packed);
                prop_assert_eq!(to.as_flattened(), &higher[..]);
            }
            // The two bits above do not count.
            let dirty: Vec<u8> = want.as_flattened().iter().map(|r| r | old << 6).collect();
            let dirty = dirty.as_chunks::<GROUP>().0;
            for pack in [pack, portable::pack] {
                let mut to = vec![[0; PACKED]; packed.len()];
                pack(&mut to, dirty);
                prop_assert_eq!(&to[..], packed);
            }
            let mut counts = [0; 64];
            want.as_flattened().iter().for_each(|r| counts[usize::from(*r)] += 1);
            both!(count_values(dirty) == counts);
        }
    }

    #[test]
    fn many_registers_of_one_value_are_counted() {
        const N: usize = effort::of(1000, 10);
        for value in [0, 7, 8, 63] {
            let registers = vec![[value; GROUP]; N];
            let mut want = [0; 64];
            want[usize::from(value)] = (N * GROUP) as u32;
            assert_eq!(count_values(&registers), want);
            assert_eq!(portable::count_values(&registers), want);
        }
    }
}
