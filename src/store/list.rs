//! Values of type list: one listpack while short, a quicklist when long, and when each becomes the other (the list type API
//! of t_list.c).
//!
//! A list grows into a quicklist just before elements are added that would overfill a node, and shrinks back into a listpack
//! when it is down to half a node, so that it does not go back and forth. Both depend on the directives as they are at that
//! moment ([`ListLimits`]); a quicklist keeps those that it was made with.
//!
//! It knows no command and no key.

use crate::ds::listpack::{Listpack, LpPos, LpValue, Needle};
use crate::ds::owned::Own;
use crate::ds::quicklist::{
    End, PACKED_THRESHOLD, QlValue, Quicklist, Span, node_exceeds_limit, node_limit,
};

/// The directives that shape a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ListLimits {
    /// list-max-listpack-size.
    pub fill: i32,
    /// list-compress-depth.
    pub compress: i32,
    /// Bytes from which on an element of a quicklist has a node of its own.
    pub large: usize,
}

impl Default for ListLimits {
    fn default() -> ListLimits {
        ListLimits {
            fill: -2,
            compress: 0,
            large: PACKED_THRESHOLD,
        }
    }
}

/// A list, by encoding.
pub(crate) enum List {
    Listpack(Listpack),
    Quicklist(Own<Quicklist>),
}

impl List {
    /// An empty one.
    #[inline]
    pub(crate) fn new() -> List {
        List::Listpack(Listpack::new())
    }

    /// Elements (listTypeLength).
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            List::Listpack(lp) => lp.len(),
            List::Quicklist(q) => q.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            List::Listpack(lp) => lp.is_empty(),
            List::Quicklist(q) => q.is_empty(),
        }
    }

    /// Bytes that hang off the entry.
    pub(crate) fn mem_usage(&self) -> usize {
        match self {
            List::Listpack(lp) => lp.mem_usage(),
            List::Quicklist(q) => q.mem_usage(),
        }
    }

    /// How many allocations it takes to free it, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        match self {
            List::Listpack(_) => 1,
            List::Quicklist(q) => q.node_count(),
        }
    }

    /// An own copy, in the same encoding (listTypeDup).
    pub(crate) fn deep_clone(&self) -> List {
        match self {
            List::Listpack(lp) => List::Listpack(lp.deep_clone()),
            List::Quicklist(q) => List::Quicklist(Own::new(q.deep_clone())),
        }
    }

    /// Gets ready for `n` more elements of `bytes` bytes together: a listpack that they would overfill becomes a quicklist
    /// (listTypeTryConversionAppend).
    #[inline(always)]
    pub(crate) fn grow(&mut self, limits: ListLimits, bytes: usize, n: usize) {
        if let List::Listpack(lp) = self
            && node_exceeds_limit(
                limits.fill,
                lp.total_bytes().saturating_add(bytes),
                lp.len().saturating_add(n),
            )
        {
            self.make_quicklist(limits);
        }
    }

    #[cold]
    fn make_quicklist(&mut self, limits: ListLimits) {
        if let List::Listpack(lp) = self {
            let mut q = Quicklist::new(limits.fill, limits.compress);
            q.append_listpack(std::mem::take(lp));
            *self = List::Quicklist(Own::new(q));
        }
    }

    /// After elements were removed or made smaller: a quicklist down to half a node becomes a listpack
    /// (listTypeTryConversion with LIST_CONV_SHRINKING).
    #[inline]
    pub(crate) fn shrink(&mut self, limits: ListLimits) {
        if let List::Quicklist(q) = self
            && q.node_count() == 1
        {
            let (bytes, n) = node_limit(limits.fill);
            self.make_listpack(bytes / 2, n / 2);
        }
    }

    #[cold]
    fn make_listpack(&mut self, max_bytes: usize, max_count: usize) {
        if let List::Quicklist(q) = self
            && let Some(lp) = q.take_only_listpack(max_bytes, max_count)
        {
            *self = List::Listpack(lp);
        }
    }

    /// Gives a list that was built in one go the encoding that it deserves (listTypeTryConversion with LIST_CONV_AUTO).
    pub(crate) fn fit(&mut self, limits: ListLimits) {
        match self {
            List::Listpack(_) => self.grow(limits, 0, 0),
            List::Quicklist(_) => {
                let (bytes, n) = node_limit(limits.fill);
                self.make_listpack(bytes, n);
            }
        }
    }

    /// Adds an element at an end, after [`List::grow`] (listTypePush).
    #[inline(always)]
    pub(crate) fn push(&mut self, end: End, s: &[u8], limits: ListLimits) {
        match (self, end) {
            (List::Listpack(lp), End::Head) => lp.prepend(s),
            (List::Listpack(lp), End::Tail) => lp.append(s),
            (List::Quicklist(q), _) => q.push(end, s, limits.large),
        }
    }

    /// Takes an element off an end and gives it to `f`; `None` when there is none (listTypePop).
    #[inline]
    pub(crate) fn pop<R>(&mut self, end: End, f: impl FnOnce(QlValue<'_>) -> R) -> Option<R> {
        match self {
            List::Listpack(lp) => {
                let p = match end {
                    End::Head => lp.first()?,
                    End::Tail => lp.last()?,
                };
                let r = f(QlValue::Packed(lp.get(p)));
                lp.delete(p);
                Some(r)
            }
            List::Quicklist(q) => q.pop(end, f),
        }
    }

    /// Gives `f` the elements from `index` on, towards the tail, or with `backward` towards the head, until it answers false.
    #[inline]
    pub(crate) fn for_each_from(
        &self,
        index: usize,
        backward: bool,
        mut f: impl FnMut(QlValue<'_>) -> bool,
    ) {
        self.spans_from(index, backward, |span| span.for_each(backward, &mut f));
    }

    /// The same, a run of elements that lie together at a time.
    #[inline]
    pub(crate) fn spans_from(
        &self,
        index: usize,
        backward: bool,
        mut f: impl FnMut(Span<'_>) -> bool,
    ) {
        match self {
            List::Quicklist(q) => q.spans_from(index, backward, f),
            List::Listpack(lp) => {
                if let Some(from) = i64::try_from(index).ok().and_then(|i| lp.seek(i)) {
                    let first = LpPos::FIRST;
                    f(Span::Packed { lp, first, from });
                }
            }
        }
    }

    /// All elements, from head to tail.
    pub(crate) fn for_each(&self, mut f: impl FnMut(LpValue<'_>)) {
        self.for_each_from(0, false, |v| {
            f(v.value());
            true
        });
    }

    /// Puts `s` before the first element that is `pivot`, or `after` it; false when there is none. To be called after
    /// [`List::grow`] (listTypeInsert).
    pub(crate) fn insert_at_pivot(
        &mut self,
        pivot: &[u8],
        after: bool,
        s: &[u8],
        limits: ListLimits,
    ) -> bool {
        let lp = match self {
            List::Listpack(lp) => lp,
            List::Quicklist(q) => return q.insert_at_pivot(pivot, after, s, limits.large),
        };
        let Some(p) = lp.first().and_then(|first| lp.find(first, pivot, 0)) else {
            return false;
        };
        match after {
            true => lp.insert_after(p, s),
            false => lp.insert_before(p, s),
        };
        true
    }

    /// Puts `s` in place of the element at `index`; false when there is none. To be called after [`List::grow`]
    /// (listTypeReplaceAtIndex).
    pub(crate) fn replace(&mut self, index: usize, s: &[u8], limits: ListLimits) -> bool {
        let lp = match self {
            List::Listpack(lp) => lp,
            List::Quicklist(q) => return q.replace(index, s, limits.large),
        };
        match i64::try_from(index).ok().and_then(|i| lp.seek(i)) {
            Some(p) => {
                lp.replace(p, s);
                true
            }
            None => false,
        }
    }

    /// Removes up to `n` elements from `index` on (listTypeDelRange).
    pub(crate) fn delete_range(&mut self, index: usize, n: usize) {
        match self {
            List::Listpack(lp) => {
                if let Ok(i) = i64::try_from(index) {
                    lp.delete_range_with_index(i, n);
                }
            }
            List::Quicklist(q) => q.delete_range(index, n),
        }
    }

    /// Removes up to `max` elements that are `s`, the first ones from `from`; the answer is how many.
    pub(crate) fn remove(&mut self, s: &[u8], max: usize, from: End) -> usize {
        let lp = match self {
            List::Listpack(lp) => lp,
            List::Quicklist(q) => return q.remove(s, max, from),
        };
        let needle = Needle::new(s);
        let mut hits: Vec<LpPos> = Vec::new();
        let mut p = match from {
            End::Head => lp.first(),
            End::Tail => lp.last(),
        };
        while let Some(here) = p
            && hits.len() < max
        {
            if needle.is(lp.get(here)) {
                hits.push(here);
            }
            p = match from {
                End::Head => lp.next(here),
                End::Tail => lp.prev(here),
            };
        }
        if from == End::Tail {
            hits.reverse();
        }
        lp.batch_delete(&hits);
        hits.len()
    }
}

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn items(l: &List) -> Vec<Vec<u8>> {
        let mut out = vec![];
        l.for_each(|v| out.push(v.to_vec()));
        out
    }

    fn add(l: &mut List, s: &[u8], limits: ListLimits) {
        l.grow(limits, s.len(), 1);
        l.push(End::Tail, s, limits);
    }

    #[test]
    fn it_grows_at_the_limit_and_shrinks_at_half_of_it() {
        let limits = ListLimits {
            fill: 4,
            ..ListLimits::default()
        };
        let mut l = List::new();
        for _ in 0..4 {
            add(&mut l, b"a", limits);
        }
        assert!(matches!(l, List::Listpack(_)));
        add(&mut l, b"a", limits);
        assert!(matches!(l, List::Quicklist(_)) && l.len() == 5);
        l.delete_range(3, 2);
        l.shrink(limits);
        assert!(matches!(l, List::Quicklist(_)) && l.len() == 3);
        l.pop(End::Head, |_| ());
        l.shrink(limits);
        assert!(matches!(l, List::Listpack(_)) && l.len() == 2);
        l.grow(limits, 9000, 1);
        assert!(matches!(l, List::Quicklist(_)));
        l.fit(limits);
        assert!(matches!(l, List::Listpack(_)) && l.free_effort() == 1);
        assert_eq!(items(&l.deep_clone()), items(&l));
    }

    proptest! {
        #[test]
        fn behaves_as_a_deque(
            fill in -2i32..6,
            ops in prop::collection::vec((0u8..8, any::<usize>(), prop_oneof![
                (0i64..4).prop_map(|v| v.to_string().into_bytes()),
                prop::collection::vec(b'a'..=b'b', 0..2),
                Just(vec![b'z'; 3000]),
            ]), 1..60),
        ) {
            let limits = ListLimits { fill, compress: 1, large: 2000 };
            let mut l = List::new();
            let mut model: VecDeque<Vec<u8>> = VecDeque::new();
            for (op, i, s) in ops {
                let n = model.len();
                match op {
                    0..3 => { add(&mut l, &s, limits); model.push_back(s); }
                    3 if n > 0 => {
                        let (end, got) = if i % 2 == 0 { (End::Head, model.pop_front()) } else { (End::Tail, model.pop_back()) };
                        prop_assert_eq!(l.pop(end, |v| v.value().to_vec()), got);
                        l.shrink(limits);
                    }
                    4 if n > 0 => {
                        l.grow(limits, s.len(), 1);
                        prop_assert!(l.replace(i % n, &s, limits));
                        l.shrink(limits);
                        model[i % n] = s;
                    }
                    5 => {
                        l.grow(limits, s.len(), 1);
                        let at = model.iter().position(|x| *x == s);
                        prop_assert_eq!(l.insert_at_pivot(&s, i % 2 == 0, b"new", limits), at.is_some());
                        if let Some(at) = at { model.insert(at + usize::from(i % 2 == 0), b"new".to_vec()); }
                    }
                    6 => {
                        let from = if i % 2 == 0 { End::Head } else { End::Tail };
                        let mut hits: Vec<usize> = (0..n).filter(|i| model[*i] == s).collect();
                        if from == End::Tail { hits.reverse(); }
                        hits.truncate(i % 5);
                        prop_assert_eq!(l.remove(&s, i % 5, from), hits.len());
                        hits.sort();
                        for i in hits.into_iter().rev() { model.remove(i); }
                        l.shrink(limits);
                    }
                    _ if n > 0 => {
                        l.delete_range(i % n, 2);
                        model.drain(i % n..(i % n + 2).min(n));
                        l.shrink(limits);
                    }
                    _ => {}
                }
                let want: Vec<Vec<u8>> = model.iter().cloned().collect();
                prop_assert_eq!(l.len(), want.len());
                prop_assert_eq!(l.is_empty(), want.is_empty());
                prop_assert_eq!(items(&l), &want[..]);
                let mut back = vec![];
                l.for_each_from(want.len().saturating_sub(1), true, |v| { back.push(v.value().to_vec()); true });
                back.reverse();
                prop_assert_eq!(back, want);
            }
        }
    }
}
