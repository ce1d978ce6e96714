//! CRC-64 as RDB files, DUMP payloads and RESTORE carry it ("CRC-64/REDIS" in the CRC catalogue).
//!
//! Polynomial 0xad93d23594c935a9 (Jones), reflected in and out, initial value 0, final xor 0. The work is `crc-fast`'s,
//! with carry-less multiplication where the processor has it.
//!
//! Invariants: the value after any split of the input into `update` calls is the same.
//! Must not know: what is summed, nor in which byte order it is stored (little endian, in both formats).

use crc_fast::{CrcAlgorithm, Digest};

/// A running CRC-64. Cheap to make and to copy; feed it buffers, not single fields: a call costs as much as a
/// kilobyte does, some 25 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc64 {
    digest: Digest,
}

impl Crc64 {
    /// Over no bytes yet.
    pub(crate) fn new() -> Self {
        Crc64::resume(0)
    }

    /// Continues from a value that `value` gave earlier.
    pub(crate) fn resume(value: u64) -> Self {
        Crc64 {
            digest: Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, value),
        }
    }

    /// Adds `bytes`.
    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The sum of everything added so far.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

/// The CRC-64 of `bytes`. crc64.c.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, from the definition; the polynomial's bits reversed.
    fn reference(mut crc: u64, bytes: &[u8]) -> u64 {
        for b in bytes {
            crc ^= u64::from(*b);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0xad93_d235_94c9_35a9_u64.reverse_bits()
                } else {
                    crc >> 1
                };
            }
        }
        crc
    }

    #[test]
    fn check_values() {
        assert_eq!(crc64(b""), 0);
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(reference(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(&[0; 1000]), 0);
    }

    #[test]
    fn every_length_agrees_with_the_definition() {
        let data: Vec<u8> = (0..2100u32)
            .map(|i| (i.wrapping_mul(2654435761) >> 13) as u8)
            .collect();
        let mut want = 0;
        for len in 0..data.len() {
            assert_eq!(crc64(&data[..len]), want, "{len}");
            want = reference(want, &data[len..=len]);
        }
    }

    proptest::proptest! {
        #[test]
        fn splits_do_not_matter(
            data in proptest::collection::vec(proptest::num::u8::ANY, 0..3000),
            cuts in proptest::collection::vec(0usize..3000, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(data.len())).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            let mut crc = Crc64::new();
            for pair in cuts.windows(2) {
                crc = Crc64::resume(crc.value());
                crc.update(&data[pair[0]..pair[1]]);
            }
            proptest::prop_assert_eq!(crc.value(), reference(0, &data));
        }
    }
}
