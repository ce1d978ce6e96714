//! Data structures that the stores are made of. Floor 1: they know bytes and pointers, never a key's meaning, a client or a
//! clock. Each file states its own invariants; `unsafe` is confined to them.

pub(crate) mod field;
pub(crate) mod hll;
pub(crate) mod idmap;
pub(crate) mod intset;
pub(crate) mod listpack;
pub(crate) mod member;
pub(crate) mod ordered;
pub(crate) mod owned;
mod pool;
pub(crate) mod quicklist;
pub(crate) mod sbuf;
pub(crate) mod slot_index;
pub(crate) mod table;
mod tagged;
pub(crate) mod wide;
pub(crate) mod ziplist;
pub(crate) mod zipmap;

/// Copies `from` to `to`, which is as long; without a call when that is a few dozen bytes.
#[inline(always)]
pub(crate) fn copy_short(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => copy_ends::<8>(to, from),
        17..=32 => copy_ends::<16>(to, from),
        33..=64 => copy_ends::<32>(to, from),
        4..=7 => copy_ends::<4>(to, from),
        2..=3 => copy_ends::<2>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Two moves that may overlap: `N` bytes at each end, which must be all of it.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}

/// Whether both are the same; without a call when they have a few dozen bytes, as names have.
#[inline(always)]
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let n = a.len();
    if n != b.len() {
        return false;
    }
    if n < 8 {
        return match n {
            4..=7 => same_ends::<4>(a, b),
            2..=3 => same_ends::<2>(a, b),
            _ => a == b,
        };
    }
    match n {
        8..=16 => same_ends::<8>(a, b),
        17..=32 => same_ends::<16>(a, b),
        _ => a == b,
    }
}

/// Two comparisons that may overlap: `N` bytes at each end, which must be all of it.
#[inline(always)]
fn same_ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<N>() == b.first_chunk::<N>() && a.last_chunk::<N>() == b.last_chunk::<N>()
}

/// Asks the processor to bring a cache line near that is soon to be used. It reads nothing and cannot fail, wherever `p`
/// points.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint: an address that is not mapped is ignored.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast())
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) p, options(nostack, preserves_flags, readonly))
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = p;
}

/// Up to seven bytes as one little-endian word.
#[inline(always)]
pub(crate) fn short_word(s: &[u8]) -> u64 {
    debug_assert!(s.len() < 8);
    let n = s.len();
    if let (Some(low), Some(high)) = (s.first_chunk(), s.last_chunk()) {
        let high = u64::from(u32::from_le_bytes(*high));
        return u64::from(u32::from_le_bytes(*low)) | high << (8 * (n - 4));
    }
    match *s {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, ..] => u64::from(u32::from_le_bytes([a, b, c, 0])),
    }
}

/// How much of a test there is time for: Miri is some thousand times slower.
#[cfg(test)]
pub(crate) mod effort {
    use proptest::prelude::ProptestConfig;

    /// `all`; under Miri `few`.
    pub(crate) const fn of<T: Copy>(all: T, few: T) -> T {
        if cfg!(miri) { few } else { all }
    }

    /// The configuration as it is; under Miri with so many cases, and without a file of those that failed.
    pub(crate) fn cases(config: ProptestConfig, few: u32) -> ProptestConfig {
        if !cfg!(miri) {
            return config;
        }
        ProptestConfig {
            cases: few,
            failure_persistence: None,
            ..config
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn copies_of_all_lengths_are_whole() {
        let from: Vec<u8> = (1..=100).collect();
        for n in 0..from.len() {
            let mut to = vec![0; n];
            super::copy_short(&mut to, &from[..n]);
            assert_eq!(to, from[..n]);
        }
    }

    #[test]
    fn comparisons_of_all_lengths_see_each_byte() {
        let a: Vec<u8> = (1..=80).collect();
        for n in (0..a.len()).step_by(super::effort::of(1, 9)) {
            let mut b = a[..n].to_vec();
            assert!(super::same_bytes(&a[..n], &b));
            assert!(!super::same_bytes(&a[..n + 1], &b));
            for i in 0..n {
                b[i] ^= 0x80;
                assert!(!super::same_bytes(&a[..n], &b), "{n} {i}");
                b[i] ^= 0x80;
            }
        }
    }

    #[test]
    fn short_words_have_all_their_bytes() {
        let a = [1, 2, 3, 0xff, 5, 6, 7];
        for n in 0..=7 {
            let mut whole = [0; 8];
            whole[..n].copy_from_slice(&a[..n]);
            assert_eq!(super::short_word(&a[..n]), u64::from_le_bytes(whole));
        }
    }
}
