//! The zipmap of RDB files before Redis 2.6, read only (zipmap.c's format).
//!
//! ```text
//! 1 byte  number of pairs, 254: count        pairs: length, field, length, 1 byte unused, value, the unused bytes
//! 1 byte  255                                a length is 1 byte, or 254 and 4 bytes
//! ```
//!
//! A zipmap is not empty. Nothing in it is trusted: the iterator ends with an error instead of leaving the bytes.

const END: u8 = 255;
const BIG: u8 = 254;

/// The bytes are no zipmap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoZipmap;

/// Fields and values of a zipmap, in order.
pub(crate) struct ZipmapIter<'a> {
    bytes: &'a [u8],
    at: usize,
    seen: usize,
}

/// The pairs of `bytes`.
///
/// # Errors
/// They are too short; later, from the iterator, a pair is wrong (zipmapValidateIntegrity).
pub(crate) fn pairs(bytes: &[u8]) -> Result<ZipmapIter<'_>, NoZipmap> {
    if bytes.len() < 2 || bytes.last() != Some(&END) {
        return Err(NoZipmap);
    }
    Ok(ZipmapIter {
        bytes,
        at: 1,
        seen: 0,
    })
}

impl<'a> ZipmapIter<'a> {
    fn take_bytes(&mut self, n: usize) -> Result<&'a [u8], NoZipmap> {
        let end = self.at.checked_add(n).ok_or(NoZipmap)?;
        // The end mark is no pair's.
        if end >= self.bytes.len() {
            return Err(NoZipmap);
        }
        let s = &self.bytes[self.at..end];
        self.at = end;
        Ok(s)
    }

    fn length(&mut self) -> Result<usize, NoZipmap> {
        match self.take_bytes(1)?[0] {
            END => Err(NoZipmap),
            BIG => {
                let b = self.take_bytes(4)?;
                let b = b.first_chunk::<4>().ok_or(NoZipmap)?;
                Ok(u32::from_le_bytes(*b) as usize)
            }
            n => Ok(usize::from(n)),
        }
    }

    fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), NoZipmap> {
        let n = self.length()?;
        let field = self.take_bytes(n)?;
        let n = self.length()?;
        let free = usize::from(self.take_bytes(1)?[0]);
        let value = self.take_bytes(n)?;
        self.take_bytes(free)?;
        self.seen += 1;
        Ok((field, value))
    }
}

impl<'a> Iterator for ZipmapIter<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), NoZipmap>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        if self.bytes[self.at] == END {
            let count = self.bytes[0];
            let whole = self.at + 1 == self.bytes.len()
                && self.seen > 0
                && (count == BIG || usize::from(count) == self.seen);
            self.at = self.bytes.len();
            return (!whole).then_some(Err(NoZipmap));
        }
        let pair = self.pair();
        if pair.is_err() {
            self.at = self.bytes.len();
        }
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zipmap(pairs: &[(Vec<u8>, Vec<u8>)], free: u8) -> Vec<u8> {
        let mut out = vec![pairs.len().min(254) as u8];
        let len = |out: &mut Vec<u8>, n: usize| {
            if n < 254 {
                out.push(n as u8);
            } else {
                out.push(BIG);
                out.extend((n as u32).to_le_bytes());
            }
        };
        for (f, v) in pairs {
            len(&mut out, f.len());
            out.extend(f);
            len(&mut out, v.len());
            out.push(free);
            out.extend(v);
            out.extend(std::iter::repeat_n(b'?', free.into()));
        }
        out.push(END);
        out
    }

    fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..max)
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn reads_what_was_written(p in proptest::collection::vec((bytes(300), bytes(300)), 1..10), free in 0u8..5) {
            let z = zipmap(&p, free);
            let read: Result<Vec<_>, NoZipmap> = pairs(&z).expect("a header")
                .map(|r| r.map(|(f, v)| (f.to_vec(), v.to_vec()))).collect();
            prop_assert_eq!(read.expect("whole"), p);
        }

        #[test]
        fn mutations_are_survived(
            p in proptest::collection::vec((bytes(300), bytes(9)), 1..5),
            at: prop::sample::Index,
            to: u8,
        ) {
            let mut z = zipmap(&p, 0);
            let i = at.index(z.len());
            z[i] = to;
            if let Ok(i) = pairs(&z) {
                i.for_each(drop);
            }
        }

        #[test]
        fn any_bytes_are_survived(b in bytes(80)) {
            if let Ok(i) = pairs(&b) {
                i.for_each(drop);
            }
        }
    }
}
