//! The ziplist of RDB files before Redis 7.0, read only (ziplist.c's format).
//!
//! ```text
//! 4 bytes  total length, little endian        4 bytes  offset of the last entry        2 bytes  number of entries, 65535: count
//! entries: length of the one before (1 byte, or 254 and 4 bytes), encoding, data       1 byte   255
//! ```
//!
//! Nothing in it is trusted: an iterator ends with an error instead of leaving the bytes.

use crate::ds::listpack::LpValue;

const HEADER: usize = 10;
const END: u8 = 255;
const BIG_PREVLEN: u8 = 254;

/// The bytes are no ziplist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoZiplist;

/// The entries of a ziplist, in order.
pub(crate) struct ZiplistIter<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the entry before.
    before: usize,
    seen: usize,
}

/// The entries of `bytes`.
///
/// # Errors
/// The header is wrong; later, from the iterator, an entry is (ziplistValidateIntegrity).
pub(crate) fn entries(bytes: &[u8]) -> Result<ZiplistIter<'_>, NoZiplist> {
    let total = bytes.first_chunk::<4>().ok_or(NoZiplist)?;
    if bytes.len() <= HEADER || u32::from_le_bytes(*total) as usize != bytes.len() {
        return Err(NoZiplist);
    }
    if bytes.last() != Some(&END) {
        return Err(NoZiplist);
    }
    Ok(ZiplistIter {
        bytes,
        at: HEADER,
        before: 0,
        seen: 0,
    })
}

impl<'a> ZiplistIter<'a> {
    fn bytes_at(&self, at: usize, n: usize) -> Result<&'a [u8], NoZiplist> {
        let end = at.checked_add(n).ok_or(NoZiplist)?;
        // The end mark is no entry's.
        if end >= self.bytes.len() {
            return Err(NoZiplist);
        }
        Ok(&self.bytes[at..end])
    }

    fn number<const N: usize>(&self, at: usize) -> Result<[u8; N], NoZiplist> {
        let b = self.bytes_at(at, N)?;
        b.first_chunk::<N>().copied().ok_or(NoZiplist)
    }

    fn entry(&mut self) -> Result<LpValue<'a>, NoZiplist> {
        let start = self.at;
        let [first] = self.number::<1>(start)?;
        let (prevlen, mut at) = if first < BIG_PREVLEN {
            (usize::from(first), start + 1)
        } else if first == BIG_PREVLEN {
            let n = u32::from_le_bytes(self.number::<4>(start + 1)?);
            (n as usize, start + 5)
        } else {
            return Err(NoZiplist);
        };
        if prevlen != self.before {
            return Err(NoZiplist);
        }
        let [encoding] = self.number::<1>(at)?;
        let string = match encoding >> 6 {
            0 => Some((usize::from(encoding & 0x3f), 1)),
            1 => {
                let [_, low] = self.number::<2>(at)?;
                Some((usize::from(encoding & 0x3f) << 8 | usize::from(low), 2))
            }
            2 if encoding == 0x80 => {
                let n = u32::from_be_bytes(self.number::<4>(at + 1)?);
                Some((n as usize, 5))
            }
            2 => return Err(NoZiplist),
            _ => None,
        };
        let value = match string {
            Some((len, head)) => {
                let s = self.bytes_at(at + head, len)?;
                at += head + len;
                LpValue::Str(s)
            }
            None => {
                at += 1;
                let (n, size) = match encoding {
                    0xc0 => (i64::from(i16::from_le_bytes(self.number(at)?)), 2),
                    0xd0 => (i64::from(i32::from_le_bytes(self.number(at)?)), 4),
                    0xe0 => (i64::from_le_bytes(self.number(at)?), 8),
                    0xf0 => {
                        let [a, b, c] = self.number::<3>(at)?;
                        (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 3)
                    }
                    0xfe => (i64::from(i8::from_le_bytes(self.number(at)?)), 1),
                    0xf1..=0xfd => (i64::from(encoding & 0x0f) - 1, 0),
                    _ => return Err(NoZiplist),
                };
                at += size;
                LpValue::Int(n)
            }
        };
        self.before = at - start;
        self.at = at;
        self.seen += 1;
        Ok(value)
    }

    /// After the last entry: whether the header was right about their number and about the last one's place.
    fn header_is_right(&self) -> bool {
        let word = |at: usize| {
            let mut w = [0; 4];
            w.copy_from_slice(&self.bytes[at..at + 4]);
            u32::from_le_bytes(w) as usize
        };
        let count = usize::from(self.bytes[8]) | usize::from(self.bytes[9]) << 8;
        let last = if self.seen == 0 {
            HEADER
        } else {
            self.at - self.before
        };
        (count == 0xffff || count == self.seen) && word(4) == last
    }
}

impl<'a> Iterator for ZiplistIter<'a> {
    type Item = Result<LpValue<'a>, NoZiplist>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        if self.bytes[self.at] == END {
            let whole = self.at + 1 == self.bytes.len() && self.header_is_right();
            self.at = self.bytes.len();
            return (!whole).then_some(Err(NoZiplist));
        }
        let entry = self.entry();
        if entry.is_err() {
            self.at = self.bytes.len();
        }
        Some(entry)
    }
}

/// Writers of the format, for tests of those that read it.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(v: &LpValue<'_>, out: &mut Vec<u8>) {
        match *v {
            LpValue::Str(s) if s.len() < 64 => {
                out.push(s.len() as u8);
                out.extend_from_slice(s);
            }
            LpValue::Str(s) if s.len() < 16384 => {
                out.push(0x40 | (s.len() >> 8) as u8);
                out.push(s.len() as u8);
                out.extend_from_slice(s);
            }
            LpValue::Str(s) => {
                out.push(0x80);
                out.extend((s.len() as u32).to_be_bytes());
                out.extend_from_slice(s);
            }
            LpValue::Int(n @ 0..=12) => out.push(0xf1 + n as u8),
            LpValue::Int(n) => {
                if let Ok(n) = i8::try_from(n) {
                    out.push(0xfe);
                    out.extend(n.to_le_bytes());
                } else if let Ok(n) = i16::try_from(n) {
                    out.push(0xc0);
                    out.extend(n.to_le_bytes());
                } else if (-(1 << 23)..1 << 23).contains(&n) {
                    out.push(0xf0);
                    out.extend(&(n as i32).to_le_bytes()[..3]);
                } else if let Ok(n) = i32::try_from(n) {
                    out.push(0xd0);
                    out.extend(n.to_le_bytes());
                } else {
                    out.push(0xe0);
                    out.extend(n.to_le_bytes());
                }
            }
        }
    }

    /// A ziplist of these values.
    pub(crate) fn ziplist(values: &[LpValue<'_>]) -> Vec<u8> {
        let mut out = vec![0; HEADER];
        let (mut before, mut last) = (0, HEADER);
        for v in values {
            last = out.len();
            if before < usize::from(BIG_PREVLEN) {
                out.push(before as u8);
            } else {
                out.push(BIG_PREVLEN);
                out.extend((before as u32).to_le_bytes());
            }
            encode(v, &mut out);
            before = out.len() - last;
        }
        out.push(END);
        let total = (out.len() as u32).to_le_bytes();
        out[..4].copy_from_slice(&total);
        out[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        out[8..10].copy_from_slice(&(values.len() as u16).to_le_bytes());
        out
    }

    fn value() -> impl Strategy<Value = Result<i64, Vec<u8>>> {
        prop_oneof![
            any::<i64>().prop_map(Ok),
            (-40i64..40).prop_map(Ok),
            (-10_000_000i64..10_000_000).prop_map(Ok),
            proptest::collection::vec(any::<u8>(), 0..400).prop_map(Err),
        ]
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn reads_what_was_written(values in proptest::collection::vec(value(), 0..40)) {
            let values: Vec<LpValue<'_>> = values.iter().map(|v| match v {
                Ok(n) => LpValue::Int(*n),
                Err(s) => LpValue::Str(s),
            }).collect();
            let bytes = ziplist(&values);
            let read: Result<Vec<LpValue<'_>>, NoZiplist> = entries(&bytes).expect("a header").collect();
            prop_assert_eq!(read.expect("whole"), values);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(i) = entries(&bytes) {
                i.for_each(drop);
            }
        }

        #[test]
        fn mutations_are_survived(values in proptest::collection::vec(value(), 1..20), at: prop::sample::Index, to: u8) {
            let values: Vec<LpValue<'_>> = values.iter().map(|v| match v {
                Ok(n) => LpValue::Int(*n),
                Err(s) => LpValue::Str(s),
            }).collect();
            let mut bytes = ziplist(&values);
            let i = at.index(bytes.len());
            bytes[i] = to;
            if let Ok(i) = entries(&bytes) {
                i.for_each(drop);
            }
        }
    }
}
