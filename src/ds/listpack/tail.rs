//! Elements that are added to a listpack together: encoded side by side first, then put in by one copy, so that the
//! allocation is looked at once.

use super::{Encoded, Listpack, LpPos, UNKNOWN, entry_size};

/// Bytes that need no allocation.
const SMALL: usize = 256;
/// Bytes of the longest element but a string: encoding, eight bytes, backwards length; with slack for whole-word writes.
const MAX_INT: usize = 16;

/// See the module's text.
pub(crate) struct Tail {
    small: [u8; SMALL],
    len: usize,
    /// All of it, once it has become larger than `small`.
    large: Vec<u8>,
    count: usize,
}

impl Default for Tail {
    fn default() -> Tail {
        Tail::new()
    }
}

impl Tail {
    #[inline]
    pub(crate) fn new() -> Tail {
        Tail {
            small: [0; SMALL],
            len: 0,
            large: Vec::new(),
            count: 0,
        }
    }

    /// A place of `n` bytes at the end, when `small` has it.
    #[inline]
    fn place(&mut self, n: usize) -> Option<&mut [u8]> {
        if !self.large.is_empty() {
            return None;
        }
        self.small.get_mut(self.len..)?.get_mut(..n)
    }

    #[cold]
    fn add(&mut self, e: &Encoded<'_>) {
        let size = e.size();
        if self.large.is_empty() && self.len + size <= SMALL {
            e.write(&mut self.small[self.len..self.len + size]);
            self.len += size;
            return;
        }
        if self.large.is_empty() {
            self.large.reserve(self.len + size);
            self.large.extend_from_slice(&self.small[..self.len]);
        }
        let at = self.large.len();
        self.large.resize(at + size, 0);
        e.write(&mut self.large[at..]);
    }

    /// A string, stored as an integer if it is one.
    #[inline]
    pub(crate) fn push(&mut self, s: &[u8]) {
        self.count += 1;
        let n = s.len();
        let first = s.first().copied().unwrap_or(b'x');
        if n < 64
            && !(first.is_ascii_digit() || first == b'-')
            && let Some(to) = self.place(n + 2)
        {
            to[0] = 0x80 | n as u8;
            to[1..=n].copy_from_slice(s);
            to[n + 1] = n as u8 + 1;
            self.len += n + 2;
            return;
        }
        self.add(&Encoded::str(s));
    }

    #[inline]
    pub(crate) fn push_int(&mut self, v: i64) {
        self.count += 1;
        if let 0..=127 = v
            && let Some(to) = self.place(2)
        {
            to[0] = v as u8;
            to[1] = 1;
            self.len += 2;
            return;
        }
        self.push_large_int(v);
    }

    fn push_large_int(&mut self, v: i64) {
        let e = Encoded::int(v);
        let n = e.head_len;
        if let Some(to) = self.place(MAX_INT) {
            to[..9].copy_from_slice(&e.head);
            to[n] = n as u8;
            self.len += n + 1;
            return;
        }
        self.add(&e);
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        if self.large.is_empty() {
            &self.small[..self.len]
        } else {
            &self.large
        }
    }
}

impl Listpack {
    /// Adds all these elements at the end.
    #[inline]
    pub(crate) fn append_tail(&mut self, tail: &Tail) {
        let new = tail.bytes();
        let at = self.total_bytes() - 1;
        self.splice(at, 0, new.len());
        self.bytes_mut()[at..at + new.len()].copy_from_slice(new);
        let n = self.count();
        if n != UNKNOWN {
            let n = usize::from(n) + tail.count;
            self.set_count(u16::try_from(n).unwrap_or(UNKNOWN));
        }
    }

    /// As `replace_int`, without moving anything when the element keeps its length.
    #[inline]
    pub(crate) fn set_int(&mut self, p: LpPos, v: i64) {
        let at = p.0 as usize;
        let e = Encoded::int(v);
        let size = e.size();
        if entry_size(self.bytes(), at) != size {
            self.put_over(p, &e);
            return;
        }
        e.write(&mut self.bytes_mut()[at..at + size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Element {
        Str(Vec<u8>),
        Int(i64),
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80).prop_map(Element::Str),
            (0usize..5000).prop_map(|n| Element::Str(vec![b'x'; n])),
            any::<i64>().prop_map(|n| Element::Str(n.to_string().into_bytes())),
            any::<i64>().prop_map(Element::Int),
            (-200i64..5000).prop_map(Element::Int),
        ]
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn together_is_as_one_by_one(groups in proptest::collection::vec(proptest::collection::vec(element(), 0..crate::ds::effort::of(12, 4)), 0..crate::ds::effort::of(8, 4))) {
            let mut one = Listpack::new();
            let mut all = Listpack::new();
            for g in groups {
                let mut tail = Tail::new();
                for e in g {
                    match e {
                        Element::Str(s) => {
                            one.append(&s);
                            tail.push(&s);
                        }
                        Element::Int(n) => {
                            one.append_int(n);
                            tail.push_int(n);
                        }
                    }
                }
                all.append_tail(&tail);
                prop_assert_eq!(one.bytes(), all.bytes());
            }
        }

        #[test]
        fn an_integer_is_set_as_it_is_replaced(values in proptest::collection::vec(element(), 1..5), to in element(), at in any::<prop::sample::Index>()) {
            let Element::Int(to) = to else { return Ok(()) };
            let mut a = Listpack::new();
            for v in &values {
                match v {
                    Element::Str(s) => a.append(s),
                    Element::Int(n) => a.append_int(*n),
                }
            }
            let mut b = a.deep_clone();
            let p = a.seek(at.index(values.len()) as i64).expect("an element");
            a.replace_int(p, to);
            b.set_int(p, to);
            prop_assert_eq!(a.bytes(), b.bytes());
        }
    }

    #[test]
    #[cfg_attr(
        miri,
        ignore = "70,000 elements, and the others go the same ways but for the count"
    )]
    fn the_count_becomes_unknown_as_one_by_one() {
        let mut lp = Listpack::new();
        let mut tail = Tail::new();
        for _ in 0..65_530 {
            tail.push_int(1);
        }
        lp.append_tail(&tail);
        let mut four = Tail::new();
        for _ in 0..4 {
            four.push_int(2);
        }
        lp.append_tail(&four);
        assert_eq!((lp.count(), lp.len()), (65_534, 65_534));
        lp.append_tail(&four);
        assert_eq!((lp.count(), lp.len()), (UNKNOWN, 65_538));
    }
}
