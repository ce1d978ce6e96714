//! Which hash slot a key belongs to (keyHashSlot of cluster.c, crc16.c): CRC-16/XMODEM of the key, or of its hash tag, modulo the number
//! of slots.
//!
//! Must not know: who serves a slot.

#[cfg(target_arch = "x86_64")]
use crate::base::sys::Carryless;

/// Hash slots of a cluster (CLUSTER_SLOTS).
pub(crate) const CLUSTER_SLOTS: usize = 16384;

/// The polynomial of CRC-16/XMODEM.
const POLYNOMIAL: u16 = 0x1021;
/// Bytes that are summed at once.
const STRIDE: usize = 8;

/// `TABLES[k][b]` is what byte `b` adds to the sum when `k` bytes follow it.
static TABLES: [[u16; 256]; STRIDE] = tables();

const fn tables() -> [[u16; 256]; STRIDE] {
    let mut t = [[0u16; 256]; STRIDE];
    let mut b = 0;
    while b < 256 {
        let mut crc = (b as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                crc << 1 ^ POLYNOMIAL
            } else {
                crc << 1
            };
            bit += 1;
        }
        t[0][b] = crc;
        b += 1;
    }
    let mut k = 1;
    while k < STRIDE {
        let mut b = 0;
        while b < 256 {
            let before = t[k - 1][b];
            t[k][b] = before << 8 ^ t[0][(before >> 8) as usize];
            b += 1;
        }
        k += 1;
    }
    t
}

/// Adds eight bytes to a sum.
#[inline(always)]
fn add_eight(crc: u16, eight: u64) -> u16 {
    let w = (eight ^ u64::from(crc.swap_bytes())).to_le_bytes();
    let at = |k: usize| TABLES[k][usize::from(w[STRIDE - 1 - k])];
    at(7) ^ at(6) ^ at(5) ^ at(4) ^ at(3) ^ at(2) ^ at(1) ^ at(0)
}

#[inline(always)]
fn add_one(crc: u16, byte: u8) -> u16 {
    crc << 8 ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)]
}

/// CRC-16/XMODEM: initial value 0, nothing reflected, no final xor (crc16).
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    let (chunks, rest) = bytes.as_chunks::<STRIDE>();
    let chunks = chunks.iter().map(|c| u64::from_le_bytes(*c));
    let crc = chunks.fold(0, add_eight);
    rest.iter().fold(crc, |crc, b| add_one(crc, *b))
}

/// Whether one of eight bytes is `{`.
#[inline(always)]
fn has_brace(eight: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let zero_if = eight ^ (LOW * b'{' as u64);
    zero_if.wrapping_sub(LOW) & !zero_if & LOW << 7 != 0
}

/// The hash slot of a key, below [`CLUSTER_SLOTS`]. Of a key with a `{...}` that is not empty, only what is between the first `{` and the
/// first `}` behind it counts (keyHashSlot).
#[inline]
pub(crate) fn key_hash_slot(key: &[u8]) -> u16 {
    KeySlots::new().of(key)
}

/// Finds hash slots, for whoever does that often: it knows how this processor does it best.
#[derive(Clone, Copy)]
pub(crate) struct KeySlots {
    #[cfg(target_arch = "x86_64")]
    sums: Option<Carryless>,
}

impl KeySlots {
    #[inline]
    pub(crate) fn new() -> KeySlots {
        KeySlots {
            #[cfg(target_arch = "x86_64")]
            sums: Carryless::detect(),
        }
    }

    /// See [`key_hash_slot`].
    #[inline]
    pub(crate) fn of(self, key: &[u8]) -> u16 {
        #[cfg(target_arch = "x86_64")]
        if let Some(c) = self.sums {
            return c.sum_of_key(key) & MASK;
        }
        slot_by_tables(key)
    }

    /// The slot that keys share, each being `text[start..end]`, as keys are in requests; none: there is no key.
    ///
    /// # Errors
    /// They are in several; not all were looked at.
    #[inline(always)]
    pub(crate) fn of_all<'a>(
        self,
        mut keys: impl Iterator<Item = (&'a [u8], (u32, u32))>,
    ) -> Result<Option<u16>, SeveralSlots> {
        let mut slot = None;
        let agrees = |s: u16| *slot.get_or_insert(s & MASK) == s & MASK;
        #[cfg(target_arch = "x86_64")]
        if let Some(c) = self.sums {
            return match c.each_sum(keys, agrees) {
                true => Ok(slot),
                false => Err(SeveralSlots),
            };
        }
        let mut agrees = agrees;
        let key = |text: &'a [u8], (start, end): (u32, u32)| text.get(start as usize..end as usize);
        match keys.all(|(text, span)| agrees(slot_by_tables(key(text, span).unwrap_or_default()))) {
            true => Ok(slot),
            false => Err(SeveralSlots),
        }
    }

    /// Calls `f` with the hash slot of the key that is `text[start..end]`, as keys are in requests: for a short one with no branch on how
    /// long it is. None: that is outside of the text.
    #[inline(always)]
    pub(crate) fn with<R>(
        self,
        text: &[u8],
        span: (u32, u32),
        f: impl FnOnce(u16) -> R,
    ) -> Option<R> {
        #[cfg(target_arch = "x86_64")]
        if let Some(c) = self.sums {
            return c.with_sum(text, span, |crc| f(crc & MASK));
        }
        let key = text.get(span.0 as usize..span.1 as usize)?;
        Some(f(slot_by_tables(key)))
    }
}

/// Keys are in more than one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeveralSlots;

const MASK: u16 = (CLUSTER_SLOTS - 1) as u16;

/// The slot, whatever the processor and the key are.
fn slot_by_tables(key: &[u8]) -> u16 {
    let (chunks, rest) = key.as_chunks::<STRIDE>();
    let mut crc = 0;
    for c in chunks {
        let eight = u64::from_le_bytes(*c);
        if has_brace(eight) {
            return crc16(tagged(key)) & MASK;
        }
        crc = add_eight(crc, eight);
    }
    for b in rest {
        if *b == b'{' {
            return crc16(tagged(key)) & MASK;
        }
        crc = add_one(crc, *b);
    }
    crc & MASK
}

/// What is hashed of a key with a `{`.
#[inline(never)]
fn tagged(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let behind = &key[open + 1..];
    match memchr::memchr(b'}', behind) {
        None | Some(0) => key,
        Some(close) => &behind[..close],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(bytes: &[u8]) -> u16 {
        let mut crc = 0u16;
        for b in bytes {
            crc ^= u16::from(*b) << 8;
            for _ in 0..8 {
                crc = match crc & 0x8000 {
                    0 => crc << 1,
                    _ => crc << 1 ^ POLYNOMIAL,
                };
            }
        }
        crc
    }

    fn of_part(text: &[u8], (start, end): (usize, usize)) -> Option<u16> {
        KeySlots::new().with(text, (start as u32, end as u32), |slot| slot)
    }

    #[test]
    fn every_length_agrees_with_the_definition() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(key_hash_slot(b"123456789"), 0x31c3);
        let data: Vec<u8> = (0..200u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8)
            .collect();
        for from in 0..9 {
            for to in from..data.len() {
                let (part, sum) = (&data[from..to], reference(&data[from..to]));
                assert_eq!(crc16(part), sum);
                if !part.contains(&b'{') {
                    assert_eq!(key_hash_slot(part), sum & MASK);
                    assert_eq!(slot_by_tables(part), sum & MASK);
                }
                assert_eq!(of_part(&data, (from, to)), Some(key_hash_slot(part)));
            }
        }
        for span in [
            (3, 2),
            (150, 201),
            (300, 310),
            (190, 201),
            (u32::MAX as usize, 4),
        ] {
            assert_eq!(of_part(&data, span), None);
        }
    }

    #[test]
    fn a_tag_decides_if_there_is_one() {
        assert_eq!(key_hash_slot(b"foo"), 12182);
        assert_eq!(key_hash_slot(b"{foo}bar"), 12182);
        assert_eq!(key_hash_slot(b"bar{foo}{zap}"), 12182);
        for whole in [&b"foo{}{bar}"[..], b"{foo", b"foo}", b"}{foo", b"{}", b""] {
            assert_eq!(key_hash_slot(whole), reference(whole) & 0x3fff);
        }
        assert_eq!(key_hash_slot(b"foo{{bar}}zap"), reference(b"{bar") & 0x3fff);
        // Wherever it stands, and whatever stands around it.
        for at in 0..40 {
            for around in [0, b'z', b'|', 0x80, 0xff] {
                let mut key = vec![around; 40];
                assert_eq!(key_hash_slot(&key), reference(&key) & 0x3fff);
                key[at] = b'{';
                assert_eq!(key_hash_slot(&key), reference(&key) & 0x3fff);
                key.extend(b"}");
                let tag = match at {
                    39 => &key[..],
                    _ => &key[at + 1..40],
                };
                assert_eq!(key_hash_slot(&key), reference(tag) & 0x3fff);
            }
        }
    }

    /// Keys of all lengths, braces among their letters: in a text and alone.
    #[test]
    fn braces_are_found_wherever_they_are() {
        let mut seed = 1u64;
        for round in 0..300_000usize {
            let len = round % 70;
            let mut text = [b'{'; 100];
            let start = round % 20;
            let end = start + len;
            for b in &mut text[start..end] {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *b = match round % 3 {
                    0 => b"{}{}ab\0z"[(seed >> 61) as usize],
                    // One in 32: the tag of a long key is long.
                    _ => b"{}abcdefghijklmnopqrstuvwxyz|~\0\xff"[(seed >> 59) as usize],
                };
            }
            let key = &text[start..end];
            let part = match key.iter().position(|b| *b == b'{') {
                None => key,
                Some(open) => match key[open + 1..].iter().position(|b| *b == b'}') {
                    None | Some(0) => key,
                    Some(close) => &key[open + 1..open + 1 + close],
                },
            };
            let want = reference(part) & MASK;
            assert_eq!(key_hash_slot(key), want, "{}", key.escape_ascii());
            assert_eq!(slot_by_tables(key), want, "{}", key.escape_ascii());
            assert_eq!(of_part(&text, (start, end)), Some(want));
        }
    }
}
