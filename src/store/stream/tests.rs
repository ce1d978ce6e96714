//! Streams against a plain model: a sorted map of ids to fields and values.

use crate::ds::owned::Own;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::node::stream_validate_listpack_integrity;
use super::*;

type Pairs = Vec<Vec<u8>>;
type Model = BTreeMap<StreamId, Pairs>;

const LIMITS: NodeLimits = NodeLimits {
    max_bytes: 300,
    max_entries: 7,
};

fn pairs_of(item: &Item) -> Pairs {
    item.fields()
        .flat_map(|(f, v)| [f.to_vec(), v.to_vec()])
        .collect()
}

fn all(s: &StreamData, start: StreamId, end: StreamId, rev: bool) -> Vec<(StreamId, Pairs)> {
    s.range(start, end, rev)
        .map(|i| {
            assert!(!i.deleted);
            (i.id, pairs_of(&i))
        })
        .collect()
}

fn check(s: &StreamData, model: &Model) {
    assert_eq!(s.meta.length, model.len() as u64);
    let expected: Vec<_> = model.iter().map(|(i, p)| (*i, p.clone())).collect();
    assert_eq!(all(s, StreamId::MIN, StreamId::MAX, false), expected);
    let mut back = all(s, StreamId::MIN, StreamId::MAX, true);
    back.reverse();
    assert_eq!(back, expected);
    let first = model.keys().next().copied().unwrap_or_default();
    assert_eq!(s.meta.first_id, first);
    assert_eq!(
        s.last_valid_id(),
        model.keys().next_back().copied().unwrap_or_default()
    );
    for (_, lp) in s.nodes.iter() {
        assert!(stream_validate_listpack_integrity(lp.bytes(), true));
    }
}

fn add(s: &mut StreamData, choice: IdChoice, now: i64, pairs: &Pairs) -> Option<StreamId> {
    let id = s.meta.next_id(choice, now)?;
    assert!(s.append_item(id, pairs.len() / 2, |i| &pairs[i], LIMITS));
    Some(id)
}

/// Field sets that often repeat, values that are often numbers.
fn pairs() -> impl Strategy<Value = Pairs> {
    let value = || {
        prop_oneof![
            any::<i32>().prop_map(|n| n.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..70),
        ]
    };
    prop_oneof![
        (value(), value()).prop_map(|(a, b)| vec![b"temp".to_vec(), a, b"17".to_vec(), b]),
        value().prop_map(|a| vec![b"x".to_vec(), a]),
        proptest::collection::vec(value(), 1..4).prop_map(|v| {
            let twice = |x: Vec<u8>| [x.clone(), x];
            v.into_iter().flat_map(twice).collect()
        }),
    ]
}

#[derive(Debug, Clone)]
enum Op {
    Add(IdChoice, i64, Pairs),
    Delete(Vec<(u64, u64)>),
    MaxLen(u64, bool, u64),
    MinId(u64, bool, u64),
    Range((u64, u64), (u64, u64)),
}

fn op() -> impl Strategy<Value = Op> {
    let id = || (0u64..60, 0u64..4);
    let choice = prop_oneof![
        3 => Just(IdChoice::Auto),
        1 => (0u64..60).prop_map(IdChoice::Ms),
        1 => id().prop_map(|(a, b)| IdChoice::Given(StreamId::new(a, b))),
    ];
    prop_oneof![
        6 => (choice, 0i64..60, pairs()).prop_map(|(c, n, p)| Op::Add(c, n, p)),
        2 => proptest::collection::vec(id(), 1..4).prop_map(Op::Delete),
        1 => (0u64..40, any::<bool>(), 0u64..20).prop_map(|(n, a, l)| Op::MaxLen(n, a, l)),
        1 => (0u64..60, any::<bool>(), 0u64..20).prop_map(|(n, a, l)| Op::MinId(n, a, l)),
        2 => (id(), id()).prop_map(|(a, b)| Op::Range(a, b)),
    ]
}

/// Takes the removed entries out of the model: `approx` and `limit` leave more than was asked for, never less, and always
/// the newest ones.
fn trimmed(s: &StreamData, model: &mut Model, keep: impl Fn(&Model) -> usize, how: &Trim, n: u64) {
    let before = model.len();
    let wanted = before - keep(model);
    assert!(n as usize <= wanted);
    if !how.approx {
        assert_eq!(n as usize, wanted);
    }
    if how.limit > 0 {
        assert!(n <= how.limit);
    }
    for _ in 0..n {
        model.pop_first();
    }
    check(s, model);
}

proptest! {
    #[test]
    fn behaves_as_a_map_of_entries(ops in proptest::collection::vec(op(), 0..200)) {
        let mut s = StreamData::new();
        let mut model = Model::new();
        for o in ops {
            match o {
                Op::Add(choice, now, p) => {
                    let last = s.meta.last_id;
                    match add(&mut s, choice, now, &p) {
                        Some(id) => {
                            prop_assert!(id > last && s.meta.last_id == id);
                            if let IdChoice::Given(g) = choice {
                                prop_assert_eq!(g, id);
                            }
                            model.insert(id, p);
                        }
                        None => match choice {
                            IdChoice::Given(g) => prop_assert!(g <= last),
                            IdChoice::Ms(ms) => prop_assert!(ms < last.ms || (ms == 0 && last.is_zero())),
                            IdChoice::Auto => prop_assert!(false, "an id can be made"),
                        },
                    }
                }
                Op::Delete(ids) => {
                    let ids: Vec<StreamId> = ids.iter().map(|(a, b)| StreamId::new(*a, *b)).collect();
                    let before = s.meta.max_deleted_entry_id;
                    let gone: Vec<StreamId> = ids.iter().copied().filter(|i| model.remove(i).is_some()).collect();
                    prop_assert_eq!(s.delete_items(&ids), gone.len());
                    let max = gone.iter().copied().max().unwrap_or_default();
                    prop_assert_eq!(s.meta.max_deleted_entry_id, before.max(max));
                }
                Op::MaxLen(n, approx, limit) => {
                    let limit = if approx { limit } else { 0 };
                    let how = Trim { strategy: TrimStrategy::MaxLen(n), approx, limit };
                    let gone = s.trim(&how);
                    trimmed(&s, &mut model, |m| m.len().min(n as usize), &how, gone);
                }
                Op::MinId(ms, approx, limit) => {
                    let limit = if approx { limit } else { 0 };
                    let min = StreamId::new(ms, 1);
                    let how = Trim { strategy: TrimStrategy::MinId(min), approx, limit };
                    let gone = s.trim(&how);
                    trimmed(&s, &mut model, |m| m.range(min..).count(), &how, gone);
                }
                Op::Range(a, b) => {
                    let (a, b) = (StreamId::new(a.0, a.1), StreamId::new(b.0, b.1));
                    let mut expected: Vec<_> = if a <= b {
                        model.range(a..=b).map(|(i, p)| (*i, p.clone())).collect()
                    } else {
                        Vec::new()
                    };
                    prop_assert_eq!(&all(&s, a, b, false), &expected);
                    expected.reverse();
                    prop_assert_eq!(&all(&s, a, b, true), &expected);
                    prop_assert_eq!(s.entry_exists(a), model.contains_key(&a));
                }
            }
        }
        check(&s, &model);
        let copy = Stream(Own::new(s)).deep_clone();
        check(&copy.0, &model);
        let mut parts = StreamParts::new();
        for (id, lp) in copy.0.nodes.iter() {
            prop_assert_eq!(parts.add_node(&id.to_bytes(), lp.bytes()), Ok(()));
            prop_assert!(parts.add_node(&id.to_bytes(), lp.bytes()).is_err());
        }
        prop_assert_eq!(parts.set_meta(copy.0.meta), Ok(()));
        check(&parts.finish().0, &model);
    }

    /// Bytes that were changed anywhere are refused, or give a stream that can be used.
    #[test]
    fn nodes_that_lie_are_found_out_or_harmless(
        entries in proptest::collection::vec(pairs(), 1..6),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut s = StreamData::new();
        for p in &entries {
            add(&mut s, IdChoice::Auto, 5, p);
        }
        let (id, bytes) = match s.nodes.iter().next() {
            Some((id, lp)) => (id, lp.bytes().to_vec()),
            None => return Ok(()),
        };
        let mut bad = bytes;
        for (at, to) in changes {
            let at = at.index(bad.len());
            bad[at] = to;
        }
        let mut parts = StreamParts::new();
        if parts.add_node(&id.to_bytes(), &bad).is_err() {
            return Ok(());
        }
        let meta = StreamMeta { length: entries.len() as u64, last_id: StreamId::new(9, 9), ..s.meta };
        prop_assert!(parts.set_meta(meta).is_ok());
        let mut s = parts.finish();
        let s = &mut *s.0;
        for rev in [false, true] {
            for i in s.range(StreamId::MIN, StreamId::MAX, rev).with_tombstones() {
                pairs_of(&i);
            }
        }
        add(s, IdChoice::Auto, 5, &vec![b"a".to_vec(), b"b".to_vec()]);
        s.delete_items(&[StreamId::new(5, 1), StreamId::new(5, 0)]);
        for strategy in [
            TrimStrategy::MaxLen(3),
            TrimStrategy::MinId(StreamId::new(5, 2)),
            TrimStrategy::MaxLen(0),
        ] {
            s.trim(&Trim { strategy, approx: false, limit: 0 });
        }
        s.edge_id_with_tombstones(Edge::Last);
    }
}

#[test]
fn a_node_is_laid_out_as_upstream_lays_it_out() {
    let mut s = StreamData::new();
    let limits = NodeLimits {
        max_bytes: 4096,
        max_entries: 100,
    };
    let args: [&[u8]; 4] = [b"f", b"1", b"gg", b"vv"];
    assert!(s.append_item(StreamId::new(7, 1), 2, |i| args[i], limits));
    assert!(s.append_item(StreamId::new(9, 0), 2, |i| args[i], limits));
    assert!(s.append_item(StreamId::new(9, 1), 1, |i| args[i], limits));
    s.delete_items(&[StreamId::new(9, 0)]);
    let nodes: Vec<_> = s.nodes.iter().collect();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].0, StreamId::new(7, 1));
    let elements: Vec<String> = nodes[0]
        .1
        .iter()
        .map(|v| String::from_utf8_lossy(&v.to_vec()).into_owned())
        .collect();
    let expected = "2 1 2 f gg 0 2 0 0 1 vv 5 3 2 -1 1 vv 5 0 2 0 1 f 1 6";
    assert_eq!(elements.join(" "), expected);
}

#[test]
fn ids_do_not_run_over() {
    let mut m = StreamMeta {
        last_id: StreamId::MAX,
        ..StreamMeta::default()
    };
    assert_eq!(m.next_id(IdChoice::Auto, 5), None);
    assert_eq!(m.next_id(IdChoice::Ms(u64::MAX), 5), None);
    m.last_id = StreamId::new(5, u64::MAX);
    assert_eq!(m.next_id(IdChoice::Auto, 3), Some(StreamId::new(6, 0)));
    assert_eq!(m.next_id(IdChoice::Auto, 6), Some(StreamId::new(6, 0)));
    assert_eq!(m.next_id(IdChoice::Ms(5), 3), None);
    assert_eq!(m.next_id(IdChoice::Ms(7), 3), Some(StreamId::new(7, 0)));
}
