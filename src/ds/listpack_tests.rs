//! Tests of the listpack against a `Vec<Vec<u8>>`, and of the integrity check against arbitrary bytes.

use proptest::prelude::*;

use super::*;

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i64>().prop_map(|v| v.to_string().into_bytes()),
        4 => (-5000i64..5000).prop_map(|v| v.to_string().into_bytes()),
        2 => (0u32..63).prop_map(|s| (1i64 << s).wrapping_neg().to_string().into_bytes()),
        4 => prop::collection::vec(any::<u8>(), 0..20),
        2 => prop::collection::vec(any::<u8>(), 60..140),
        1 => prop::collection::vec(any::<u8>(), 4000..4200),
        1 => Just(b"0012".to_vec()),
        1 => Just(b"-0".to_vec()),
        1 => Just(b"9223372036854775808".to_vec()),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<u8>),
    Prepend(Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    ReplaceInt(usize, i64),
    Delete(usize),
    DeleteRange(usize, usize),
    DeleteRangeWithIndex(i64, usize),
    Batch(Vec<bool>),
    Merge(Vec<Vec<u8>>),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        element().prop_map(Op::Append),
        element().prop_map(Op::Append),
        element().prop_map(Op::Prepend),
        (any::<usize>(), element()).prop_map(|(i, e)| Op::InsertBefore(i, e)),
        (any::<usize>(), element()).prop_map(|(i, e)| Op::InsertAfter(i, e)),
        (any::<usize>(), element()).prop_map(|(i, e)| Op::Replace(i, e)),
        (any::<usize>(), any::<i64>()).prop_map(|(i, e)| Op::ReplaceInt(i, e)),
        any::<usize>().prop_map(Op::Delete),
        (any::<usize>(), 0usize..5).prop_map(|(i, n)| Op::DeleteRange(i, n)),
        (-20i64..20, 0usize..5).prop_map(|(i, n)| Op::DeleteRangeWithIndex(i, n)),
        prop::collection::vec(any::<bool>(), 0..6).prop_map(Op::Batch),
        prop::collection::vec(element(), 0..4).prop_map(Op::Merge),
    ]
}

fn strings(lp: &Listpack) -> Vec<Vec<u8>> {
    lp.iter().map(LpValue::to_vec).collect()
}

fn at(lp: &Listpack, i: usize) -> LpPos {
    lp.seek(i as i64).unwrap()
}

fn check(lp: &Listpack, model: &[Vec<u8>]) {
    assert!(validate_integrity(lp.bytes(), true, &mut |_| true));
    assert_eq!(lp.len(), model.len());
    assert_eq!(strings(lp), model);
    let mut back: Vec<_> = lp.iter_rev().map(LpValue::to_vec).collect();
    back.reverse();
    assert_eq!(back, model);
    for (i, m) in model.iter().enumerate() {
        let p = at(lp, i);
        assert_eq!(lp.seek(i as i64 - model.len() as i64), Some(p));
        let v = lp.get(p);
        assert!(v.eq_bytes(m) && v.len_bytes() == m.len());
        assert_eq!(matches!(v, LpValue::Int(_)), string2ll(m).is_some());
        let first = model.iter().position(|x| x == m).unwrap();
        assert_eq!(lp.find(lp.first().unwrap(), m, 0), Some(at(lp, first)));
        let even = model.iter().step_by(2).position(|x| x == m);
        assert_eq!(
            lp.find(lp.first().unwrap(), m, 1),
            even.map(|i| at(lp, 2 * i))
        );
    }
    assert_eq!(lp.seek(model.len() as i64), None);
    assert_eq!(lp.seek(-1 - model.len() as i64), None);
}

proptest! {
    #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
    #[test]
    fn behaves_as_a_vec(ops in prop::collection::vec(op(), 1..crate::ds::effort::of(40, 6))) {
        let mut lp = Listpack::new();
        let mut model: Vec<Vec<u8>> = vec![];
        for op in ops {
            let n = model.len();
            match op {
                Op::Append(e) => { lp.append(&e); model.push(e); }
                Op::Prepend(e) => { lp.prepend(&e); model.insert(0, e); }
                Op::InsertBefore(i, e) if n > 0 => {
                    let i = i % n;
                    let p = lp.insert_before(at(&lp, i), &e);
                    prop_assert!(lp.get(p).eq_bytes(&e));
                    model.insert(i, e);
                }
                Op::InsertAfter(i, e) if n > 0 => {
                    let i = i % n;
                    let p = lp.insert_after(at(&lp, i), &e);
                    prop_assert!(lp.get(p).eq_bytes(&e));
                    model.insert(i + 1, e);
                }
                Op::Replace(i, e) if n > 0 => {
                    let i = i % n;
                    lp.replace(at(&lp, i), &e);
                    model[i] = e;
                }
                Op::ReplaceInt(i, v) if n > 0 => {
                    let i = i % n;
                    lp.replace_int(at(&lp, i), v);
                    model[i] = v.to_string().into_bytes();
                }
                Op::Delete(i) if n > 0 => {
                    let i = i % n;
                    let next = lp.delete(at(&lp, i));
                    model.remove(i);
                    prop_assert_eq!(next, lp.seek(i as i64));
                }
                Op::DeleteRange(i, c) if n > 0 => {
                    let i = i % n;
                    let next = lp.delete_range(at(&lp, i), c);
                    model.drain(i..(i + c).min(n));
                    prop_assert_eq!(next, lp.seek(i as i64));
                }
                Op::DeleteRangeWithIndex(i, c) => {
                    lp.delete_range_with_index(i, c);
                    let from = if i < 0 { i + n as i64 } else { i };
                    if (0..n as i64).contains(&from) {
                        let from = from as usize;
                        model.drain(from..(from + c).min(n));
                    }
                }
                Op::Batch(which) => {
                    let chosen: Vec<usize> = (0..n).filter(|i| *which.get(*i).unwrap_or(&false)).collect();
                    let ps: Vec<LpPos> = chosen.iter().map(|i| at(&lp, *i)).collect();
                    lp.batch_delete(&ps);
                    for i in chosen.into_iter().rev() { model.remove(i); }
                }
                Op::Merge(es) => {
                    let mut b = ListpackBuilder::with_capacity(8);
                    for e in &es { b.push(e); }
                    lp = lp.merge(b.finish());
                    model.extend(es);
                }
                _ => {}
            }
            check(&lp, &model);
        }
        prop_assert_eq!(strings(&lp.deep_clone()), model);
    }

    #[test]
    fn any_bytes_are_safe(mut bytes in prop::collection::vec(any::<u8>(), 0..80), framed in any::<bool>(), count in 0u8..20) {
        if framed && bytes.len() >= EMPTY_BYTES {
            let n = bytes.len();
            bytes[..4].copy_from_slice(&(n as u32).to_le_bytes());
            bytes[4..6].copy_from_slice(&[count, 0]);
            bytes[n - 1] = EOF;
        }
        if validate_integrity(&bytes, true, &mut |_| true) {
            let lp = Listpack::from_validated(&bytes);
            prop_assert_eq!(lp.iter().count(), lp.iter_rev().count());
        }
    }

    #[test]
    fn a_changed_byte_is_found_or_harmless(es in prop::collection::vec(element(), 1..crate::ds::effort::of(8, 3)), i in any::<prop::sample::Index>(), x in 1u8..) {
        let mut b = ListpackBuilder::with_capacity(0);
        for e in &es { b.push(e); }
        let mut bytes = b.finish().bytes().to_vec();
        let i = i.index(bytes.len());
        bytes[i] ^= x;
        let mut seen = 0;
        if validate_integrity(&bytes, true, &mut |_| { seen += 1; true }) {
            let lp = Listpack::from_validated(&bytes);
            prop_assert_eq!(lp.iter().count(), seen);
            prop_assert_eq!(lp.iter_rev().count(), seen);
        }
    }
}

#[test]
fn the_bytes_are_upstreams() {
    let mut lp = Listpack::new();
    for e in ["a", "1", "-1", "4096", "-32769", "8388608", "2147483648"] {
        lp.append(e.as_bytes());
    }
    let body: &[u8] = &[
        0x81, b'a', 2, 0x01, 1, 0xDF, 0xFF, 2, 0xF1, 0x00, 0x10, 3, 0xF2, 0xFF, 0x7F, 0xFF, 4,
        0xF3, 0x00, 0x00, 0x80, 0x00, 5, 0xF4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9, 0xFF,
    ];
    assert_eq!(&lp.bytes()[6..], body);
    assert_eq!(lp.bytes()[..6], [6 + body.len() as u8, 0, 0, 0, 7, 0]);
    let mut lp = Listpack::new();
    lp.append(&[b'x'; 5000]);
    assert_eq!(lp.bytes()[6..11], [0xF0, 0x88, 0x13, 0, 0]);
    assert_eq!(lp.bytes()[5011..], [39, 141, 0xFF]);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "70,000 elements, and the others go the same ways but for the count"
)]
fn past_65534_elements_the_count_is_walked() {
    let mut lp = Listpack::new();
    for i in 0..70_000 {
        lp.append_int(i % 100);
    }
    assert_eq!(lp.len(), 70_000);
    assert_eq!(lp.seek(-1), lp.last());
    assert_eq!(lp.get(lp.seek(69_999).unwrap()), LpValue::Int(99));
    assert!(validate_integrity(lp.bytes(), true, &mut |_| true));
    lp.delete_range_with_index(10, 69_000);
    assert_eq!(lp.len(), 1000);
    assert_eq!(estimate_bytes_repeated_integer(5, 100), EMPTY_BYTES + 200);
}

#[test]
fn a_shallow_check_reads_the_header_only() {
    let mut bad = Listpack::new();
    bad.append(b"hello");
    let mut bytes = bad.bytes().to_vec();
    bytes[6] = 0x8F;
    assert!(validate_integrity(&bytes, false, &mut |_| true));
    assert!(!validate_integrity(&bytes, true, &mut |_| true));
    assert!(!validate_integrity(bad.bytes(), true, &mut |_| false));
}

/// Short strings are compared by their ends first: of every length, with what differs at every place.
#[test]
fn find_tells_apart_strings_that_differ_in_one_byte() {
    for len in (0..70usize).step_by(crate::ds::effort::of(1, 23)) {
        let base = vec![b'x'; len];
        let mut others = vec![[&base[..], b"x"].concat()];
        others.extend((0..len).map(|i| {
            let mut other = base.clone();
            other[i] = b'y';
            other
        }));
        for (at, other) in others.iter().enumerate() {
            let mut lp = Listpack::new();
            for m in others.iter().take(at + 1) {
                lp.append(m);
            }
            let first = lp.first().expect("not empty");
            assert_eq!(lp.find(first, &base, 0), None, "{len}");
            let p = lp.find(first, other, 0).expect("it is there");
            assert!(lp.get(p).eq_bytes(other) && Some(p) == lp.last());
        }
    }
}

#[test]
fn elements_are_passed_over_as_they_are_read() {
    let mut lp = Listpack::new();
    let long = vec![b'x'; 5000];
    let elements: [&[u8]; 13] = [
        b"0",
        b"127",
        b"5",
        b"1",
        b"2",
        b"128",
        b"",
        b"-1",
        b"a",
        &long[..64],
        &long,
        b"70000",
        b"9",
    ];
    elements.iter().for_each(|e| lp.append(e));
    for from in 0..=elements.len() {
        let p = || lp.seek(from as i64);
        for n in 0..=elements.len() + 1 {
            let Some(p) = p() else { continue };
            let mut e = lp.iter_from(p);
            let passed = e.pass(n);
            assert_eq!(passed.is_some(), from + n <= elements.len());
            if passed.is_some() {
                let left: Vec<Vec<u8>> = e.map(|v| v.to_vec()).collect();
                assert_eq!(left, elements[from + n..]);
            }
        }
        let Some(p) = p() else { continue };
        let mut e = lp.iter_from(p);
        let three = match from {
            0 => Some([0, 127, 5]),
            1 => Some([127, 5, 1]),
            2 => Some([5, 1, 2]),
            _ => None,
        };
        assert_eq!(e.next_three_small(), three);
        let read = if three.is_some() { 3 } else { 0 };
        let left: Vec<Vec<u8>> = e.map(|v| v.to_vec()).collect();
        assert_eq!(left, elements[from + read..]);
    }
}
