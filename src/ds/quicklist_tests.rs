//! Tests of the quicklist against a `VecDeque`, for all fills and compress depths.

use proptest::prelude::*;

use super::*;

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0i64..6).prop_map(|v| v.to_string().into_bytes()),
        4 => prop::collection::vec(b'a'..=b'c', 0..3),
        2 => (20usize..90).prop_map(|n| vec![b'x'; n]),
        1 => prop::collection::vec(any::<u8>(), 90..120),
        1 => (2000usize..9000).prop_map(|n| vec![b'y'; n]),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool),
    Insert(usize, bool, Vec<u8>),
    Replace(usize, Vec<u8>),
    DeleteRange(usize, usize),
    Remove(usize, usize, bool),
    Clone,
    Listpack(Vec<Vec<u8>>),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), prop::collection::vec(element(), 1..12)).prop_map(|(h, e)| Op::Push(h, e)),
        5 => any::<bool>().prop_map(Op::Pop),
        4 => (any::<usize>(), any::<bool>(), element()).prop_map(|(i, a, e)| Op::Insert(i, a, e)),
        4 => (any::<usize>(), element()).prop_map(|(i, e)| Op::Replace(i, e)),
        2 => (any::<usize>(), 0usize..12).prop_map(|(i, n)| Op::DeleteRange(i, n)),
        2 => (any::<usize>(), 1usize..6, any::<bool>()).prop_map(|(i, n, t)| Op::Remove(i, n, t)),
        1 => Just(Op::Clone),
        1 => prop::collection::vec(element(), 0..6).prop_map(Op::Listpack),
    ]
}

fn collect(q: &Quicklist, from: usize, backward: bool) -> Vec<Vec<u8>> {
    let mut out = vec![];
    q.for_each_from(from, backward, |v| {
        out.push(v.value().to_vec());
        true
    });
    out
}

fn check(q: &Quicklist, model: &VecDeque<Vec<u8>>) {
    let want: Vec<Vec<u8>> = model.iter().cloned().collect();
    assert_eq!(q.len(), want.len());
    assert_eq!(size_of::<Node>(), 24);
    assert_eq!(collect(q, 0, false), want);
    if let Some(last) = want.len().checked_sub(1) {
        let mut back = collect(q, last, true);
        back.reverse();
        assert_eq!(back, want);
        let mid = want.len() / 2;
        assert_eq!(collect(q, mid, false), want[mid..]);
        assert_eq!(collect(q, mid, true).len(), mid + 1);
    }
    let depth = q.compress_depth() as usize;
    let n = q.node_count();
    let mut sum = 0;
    for (i, (node, count)) in q.nodes().enumerate() {
        assert!(count > 0);
        sum += count;
        let inside = depth > 0 && i >= depth && i + depth < n;
        match node {
            NodeRef::Lzf { .. } => assert!(inside, "node {i} of {n} at depth {depth}"),
            NodeRef::Packed(bytes) => {
                assert!(listpack::validate_integrity(&bytes, true, &mut |_| true));
                // Such bytes are the same over and over.
                let same = bytes.len() > 100 && bytes[9..60].iter().all(|b| *b == bytes[9]);
                assert!(!(inside && count == 1 && same), "node {i} of {n}");
            }
            NodeRef::Plain(_) => assert_eq!(count, 1),
        }
    }
    assert_eq!(sum, q.len());
}

proptest! {
    #![proptest_config(crate::ds::effort::cases(ProptestConfig::with_cases(400), 1))]
    #[test]
    fn behaves_as_a_deque(
        fill in prop_oneof![-6i32..=5, Just(30)],
        compress in 0i32..4,
        large in prop_oneof![Just(PACKED_THRESHOLD), Just(1usize), Just(50)],
        ops in prop::collection::vec(op(), 1..crate::ds::effort::of(40, 6)),
    ) {
        let mut q = Quicklist::new(fill, compress);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for op in ops {
            let n = model.len();
            match op {
                Op::Push(head, es) => for e in es {
                    q.push(if head { End::Head } else { End::Tail }, &e, large);
                    if head { model.push_front(e) } else { model.push_back(e) }
                },
                Op::Pop(head) => {
                    let got = q.pop(if head { End::Head } else { End::Tail }, |v| v.value().to_vec());
                    prop_assert_eq!(got, if head { model.pop_front() } else { model.pop_back() });
                }
                Op::Insert(i, after, e) if n > 0 => {
                    let pivot = model[i % n].clone();
                    let first = model.iter().position(|x| *x == pivot).unwrap();
                    prop_assert!(q.insert_at_pivot(&pivot, after, &e, large));
                    model.insert(first + usize::from(after), e);
                }
                Op::Replace(i, e) if n > 0 => {
                    prop_assert!(q.replace(i % n, &e, large));
                    model[i % n] = e;
                }
                Op::DeleteRange(i, c) if n > 0 => {
                    let i = i % n;
                    q.delete_range(i, c);
                    model.drain(i..(i + c).min(n));
                }
                Op::Remove(i, max, tail) if n > 0 => {
                    let s = model[i % n].clone();
                    let got = q.remove(&s, max, if tail { End::Tail } else { End::Head });
                    let mut hits: Vec<usize> = (0..n).filter(|i| model[*i] == s).collect();
                    if tail { hits.reverse(); }
                    hits.truncate(max);
                    prop_assert_eq!(got, hits.len());
                    hits.sort();
                    for i in hits.into_iter().rev() { model.remove(i); }
                }
                Op::Clone => q = q.deep_clone(),
                Op::Listpack(es) => {
                    let mut lp = Listpack::new();
                    for e in &es { lp.append(e); }
                    q.append_listpack(lp);
                    model.extend(es);
                }
                _ => {}
            }
            prop_assert!(!q.insert_at_pivot(b"not there", true, b"x", large));
            prop_assert!(!q.replace(model.len(), b"x", large));
            check(&q, &model);
        }
    }
}

proptest! {
    #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
    /// Replacing an element is the one thing that may overfill a node.
    #[test]
    fn nodes_keep_to_their_limits(
        fill in -6i32..6,
        ops in prop::collection::vec((0usize..4, any::<usize>(), element()), 1..crate::ds::effort::of(150, 20)),
    ) {
        let mut q = Quicklist::new(fill, 0);
        for (op, i, e) in ops {
            match op {
                0 | 1 if i % 2 == 0 => q.push(End::Head, &e, PACKED_THRESHOLD),
                0 | 1 => q.push(End::Tail, &e, PACKED_THRESHOLD),
                2 => { q.insert_at_pivot(&e, i % 2 == 0, &e, PACKED_THRESHOLD); }
                _ => q.delete_range(i % 50, 2),
            }
            for (node, count) in q.nodes() {
                let NodeRef::Packed(bytes) = node else { panic!("not packed") };
                prop_assert!(count == 1 || !node_exceeds_limit(fill.max(-5), bytes.len(), count));
            }
        }
    }
}

#[test]
fn limits_are_upstreams() {
    assert_eq!(node_limit(0), (usize::MAX, 1));
    assert_eq!(node_limit(128), (usize::MAX, 128));
    assert_eq!(node_limit(-1), (4096, usize::MAX));
    assert_eq!(node_limit(-5), (65536, usize::MAX));
    assert_eq!(node_limit(-9), (65536, usize::MAX));
    assert!(node_exceeds_limit(5, 100, 6) && !node_exceeds_limit(5, 8192, 5));
    assert!(node_exceeds_limit(5, 8193, 1));
    assert!(node_exceeds_limit(-2, 8193, 1) && !node_exceeds_limit(-2, 8192, 9999));
}

#[test]
fn the_middle_is_compressed_and_the_ends_are_not() {
    let mut q = Quicklist::new(4, 1);
    for i in 0..40 {
        q.push(End::Tail, &[b'a' + (i % 26); 100], PACKED_THRESHOLD);
    }
    let kinds: Vec<bool> = q
        .nodes()
        .map(|(n, _)| matches!(n, NodeRef::Lzf { .. }))
        .collect();
    assert_eq!(kinds.len(), 10);
    assert!(!kinds[0] && !kinds[9] && kinds[1..9].iter().all(|k| *k));
    let packed = q.mem_usage();
    q.delete_range(4, 32);
    assert_eq!(q.node_count(), 2);
    assert!(q.nodes().all(|(n, _)| matches!(n, NodeRef::Packed(_))));
    assert!(q.mem_usage() < packed);
    assert!(q.take_only_listpack(usize::MAX, 100).is_none());
    q.delete_range(0, 4);
    assert!(q.take_only_listpack(usize::MAX, 3).is_none());
    assert_eq!(q.take_only_listpack(usize::MAX, 4).unwrap().len(), 4);
}
