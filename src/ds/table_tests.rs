//! Tests of the hash table: against a model, at its limits, and for what a scan promises.

use super::*;
use crate::ds::effort;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

#[repr(transparent)]
struct Item(NonNull<(Vec<u8>, u64)>);
// SAFETY: transparent over a Box's pointer.
unsafe impl Element for Item {
    fn key(&self) -> &[u8] {
        // SAFETY: the box is alive while the item is.
        unsafe { &self.0.as_ref().0 }
    }
}
impl Item {
    fn new(k: &[u8], v: u64) -> Item {
        Item(NonNull::from(Box::leak(Box::new((k.to_vec(), v)))))
    }
    fn value(&self) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.as_ref().1 }
    }
}
impl Drop for Item {
    fn drop(&mut self) {
        // SAFETY: made by Box::leak in `new`, dropped once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

fn table() -> Table<Item> {
    Table::new(KeyHasher::new([1, 2, 3, 4]))
}
fn put(t: &mut Table<Item>, k: &[u8], v: u64) -> bool {
    let h = t.hash(k);
    match t.find(h, k) {
        Some(s) => {
            *t.at_mut(s) = Item::new(k, v);
            false
        }
        None => {
            t.insert_new(h, Item::new(k, v));
            true
        }
    }
}
fn get(t: &Table<Item>, k: &[u8]) -> Option<u64> {
    t.find(t.hash(k), k).map(|s| t.at(s).value())
}

#[derive(Debug, Clone)]
enum Op {
    Put(u16, u64),
    Add(u16, u64),
    Del(u16),
    Step,
    Clear,
    Policy(Resize),
}
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<u16>(), any::<u64>()).prop_map(|(k, v)| Op::Put(k % 600, v)),
        6 => (any::<u16>(), any::<u64>()).prop_map(|(k, v)| Op::Add(k % 600, v)),
        9 => any::<u16>().prop_map(|k| Op::Del(k % 600)),
        1 => Just(Op::Step),
        1 => prop_oneof![Just(Resize::Allow), Just(Resize::Avoid), Just(Resize::AvoidGrowth)].prop_map(Op::Policy),
        1 => any::<u8>().prop_map(|b| if b < 8 { Op::Clear } else { Op::Step }),
    ]
}

proptest! {
    #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
    #[test]
    fn behaves_as_a_map(ops in proptest::collection::vec(op(), 1..effort::of(3000, 100))) {
        let mut t = table();
        let mut model = HashMap::new();
        for o in ops {
            match o {
                Op::Put(k, v) => {
                    let key = k.to_string();
                    prop_assert_eq!(put(&mut t, key.as_bytes(), v), model.insert(k, v).is_none());
                let again = t.hash(key.as_bytes());
                prop_assert!(!t.insert_if_absent(again, key.as_bytes(), || Item::new(b"", 0)));
                }
                Op::Del(k) => {
                    let key = k.to_string();
                    let h = t.hash(key.as_bytes());
                    prop_assert_eq!(t.remove(h, key.as_bytes()).map(|i| i.value()), model.remove(&k));
                }
                Op::Add(k, v) => {
                    let key = k.to_string();
                    let h = t.hash(key.as_bytes());
                    let added = t.insert_if_absent(h, key.as_bytes(), || Item::new(key.as_bytes(), v));
                    prop_assert_eq!(added, !model.contains_key(&k));
                    model.entry(k).or_insert(v);
                }
                Op::Step => { t.rehash_step(); }
                Op::Clear => { t.clear(); model.clear(); }
                Op::Policy(resize) => t.set_resize(resize),
            }
            prop_assert_eq!(t.len(), model.len());
        }
        for (k, v) in &model {
            prop_assert_eq!(get(&t, k.to_string().as_bytes()), Some(*v));
        }
        let mut seen = HashMap::new();
        t.for_each(|i| { seen.insert(i.key().to_vec(), i.value()); });
        prop_assert_eq!(seen.len(), model.len());
    }

    /// Keys present from the first to the last step are returned, whatever happens to the others.
    #[test]
    fn scan_returns_all_that_stay(start in 1usize..effort::of(2000, 60), changes in proptest::collection::vec((any::<bool>(), 0u32..4000), 0..effort::of(6000, 100))) {
        let mut t = table();
        for i in 0..start {
            put(&mut t, format!("stay:{i}").as_bytes(), 0);
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut changes = changes.into_iter();
        loop {
            cursor = t.scan(cursor, |i| { seen.insert(i.key().to_vec()); });
            if cursor == 0 { break; }
            for (add, n) in changes.by_ref().take(40) {
                let k = format!("come:{n}");
                if add { put(&mut t, k.as_bytes(), 1); } else {
                    let h = t.hash(k.as_bytes());
                    t.remove(h, k.as_bytes());
                }
            }
        }
        for i in 0..start {
            let key = format!("stay:{i}");
            prop_assert!(seen.contains(key.as_bytes()));
        }
    }
}

#[test]
fn scan_survives_a_shrink_by_deletion() {
    let n = effort::of(20_000, 150);
    let mut t = table();
    for i in 0..n {
        put(&mut t, format!("k{i}").as_bytes(), i);
    }
    let mut seen = HashSet::new();
    let mut cursor = 0;
    let mut victim = 100;
    loop {
        cursor = t.scan(cursor, |i| {
            seen.insert(i.value());
        });
        if cursor == 0 {
            break;
        }
        for _ in 0..30 {
            if victim < n {
                let k = format!("k{victim}");
                let h = t.hash(k.as_bytes());
                t.remove(h, k.as_bytes());
                victim += 1;
            }
        }
        t.rehash_step();
    }
    assert!((0..100).all(|i| seen.contains(&i)));
}

/// A key of eight bytes, so that ten million of them fit into a test.
#[repr(transparent)]
struct Num(NonNull<[u8; 8]>);
// SAFETY: transparent over a Box's pointer.
unsafe impl Element for Num {
    fn key(&self) -> &[u8] {
        // SAFETY: the box is alive while the item is.
        unsafe { self.0.as_ref() }
    }
}
impl Drop for Num {
    fn drop(&mut self) {
        // SAFETY: made by Box::leak below, dropped once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// No insert of ten million does more than its share of a rehash: one bucket with its chain. All else it may have to do
/// is to allocate the next array.
#[test]
fn ten_million_inserts_never_stall() {
    let mut t: Table<Num> = Table::new(KeyHasher::new([5, 6, 7, 8]));
    let mut most = 0;
    let n = effort::of(10_000_000u64, 300);
    for i in 0..n {
        let key = i.to_le_bytes();
        let before = t.moved;
        let h = t.hash(&key);
        t.insert_new(h, Num(NonNull::from(Box::leak(Box::new(key)))));
        most = most.max(t.moved - before);
    }
    assert_eq!(t.len() as u64, n);
    assert!(t.moved as u64 > n / 2, "it did grow step by step");
    assert!(most <= 4 * SLOTS, "{most} elements moved by one insert");
}

#[test]
fn it_shrinks_and_frees_its_chains() {
    let n = effort::of(50_000, 150);
    let mut t = table();
    for i in 0..n {
        put(&mut t, format!("k{i}").as_bytes(), i);
    }
    let big = t.mem_usage();
    for i in 0..n - 10 {
        let k = format!("k{i}");
        let h = t.hash(k.as_bytes());
        assert!(t.remove(h, k.as_bytes()).is_some());
    }
    while t.rehash_step() {}
    t.try_resize();
    while t.rehash_step() {}
    assert!(
        t.mem_usage() * effort::of(100, 4) < big,
        "{} of {big}",
        t.mem_usage()
    );
    assert_eq!(t.len(), 10);
    t.clear();
    assert_eq!((t.len(), t.mem_usage()), (0, 0));
}

#[test]
#[should_panic(expected = "stale table slot")]
fn a_stale_slot_is_refused() {
    let mut t = table();
    put(&mut t, b"a", 1);
    let s = t.find(t.hash(b"a"), b"a").expect("just added");
    put(&mut t, b"b", 1);
    t.at(s);
}

#[test]
#[should_panic(expected = "stale table slot")]
fn a_slot_of_another_table_is_refused() {
    let (mut one, mut other) = (table(), table());
    put(&mut one, b"a", 1);
    put(&mut other, b"a", 1);
    let s = one.find(one.hash(b"a"), b"a").expect("just added");
    drop(one);
    other.at(s);
}

#[test]
fn versions_never_come_again() {
    let mut t = table();
    put(&mut t, b"a", 1);
    let mut seen = HashSet::new();
    for _ in 0..3 {
        // As after so many changes.
        t.version |= VERSIONS - 3;
        for _ in 0..5 {
            let slot = t.find(t.hash(b"a"), b"a").expect("it stays");
            assert_eq!(t.at(slot).value(), 1);
            assert!(seen.insert(t.version));
            t.changed();
        }
    }
    let blocks: HashSet<u64> = seen.iter().map(|v| v / VERSIONS).collect();
    assert!(blocks.len() > 3 && seen.len() == 15);
    assert!(!blocks.contains(&(table().version / VERSIONS)));
}

#[test]
fn a_found_element_is_changed_through_its_slot() {
    // With chains: the table may not grow.
    let mut t = table();
    t.set_resize(Resize::Avoid);
    for i in 0..60 {
        put(&mut t, &[i], 0);
    }
    for i in 0..60 {
        let s = t.find(t.hash(&[i]), &[i]).expect("just added");
        // A look elsewhere does not spoil it.
        assert!(t.find(t.hash(&[i ^ 1]), &[i ^ 1]).is_some());
        *t.at_mut(s) = Item::new(&[i], u64::from(i));
        assert_eq!(t.at(s).value(), u64::from(i));
    }
    assert!((0..60).all(|i| get(&t, &[i]) == Some(u64::from(i))));
    let mut taken = t.take();
    assert!(t.is_empty() && taken.len() == 60);
    assert!(taken.remove(taken.hash(&[7]), &[7]).is_some());
}

fn numbers() -> impl FnMut() -> u64 {
    let mut prng = crate::base::random::Prng::new(11);
    move || prng.next_u64()
}

/// Pearson's statistic of `hits` against a uniform distribution.
fn chi_square(hits: &HashMap<u64, u64>, classes: usize) -> f64 {
    let n: u64 = hits.values().sum();
    let expected = n as f64 / classes as f64;
    let missed = (classes - hits.len()) as f64 * expected;
    let d = |h: u64| (h as f64 - expected).powi(2) / expected;
    hits.values().map(|h| d(*h)).sum::<f64>() + missed
}

#[test]
fn every_element_is_equally_likely() {
    let mut rng = numbers();
    // With and without chains, and in the middle of a rehash.
    for n in effort::of(&[1, 5, 6, 49, 100, 150, 400][..], &[1, 6, 20])
        .iter()
        .copied()
    {
        let mut t = table();
        t.set_resize(if n == 150 {
            Resize::Avoid
        } else {
            Resize::Allow
        });
        for i in 0..n {
            put(&mut t, format!("k{i}").as_bytes(), i);
        }
        let mut hits = HashMap::new();
        for _ in 0..n * effort::of(200, 10) {
            let e = t.random(&mut rng).map(|i| i.value());
            *hits.entry(e.expect("not empty")).or_insert(0) += 1;
        }
        let df = n as f64 - 1.0;
        let x = chi_square(&hits, n as usize);
        assert!(x < df + 5.0 * (2.0 * df).sqrt() + 1.0, "{n}: {x}");
    }
}

#[test]
fn one_long_chain_is_sampled_and_emptied() {
    let n = effort::of(30_000, 240);
    let mut t = table();
    for i in 0..n {
        put(&mut t, format!("k{i}").as_bytes(), i);
    }
    while t.rehash_step() {}
    // Only those stay that a small table has in one bucket.
    t.set_resize(Resize::Avoid);
    let mut stay = HashSet::new();
    let gone: Vec<Vec<u8>> = t
        .iter()
        .filter(|e| {
            let mask = effort::of(63, 7);
            let last = t.hash(e.key()) & mask == mask;
            last.then(|| stay.insert(e.value()));
            !last
        })
        .map(|e| e.key().to_vec())
        .collect();
    for k in gone {
        t.remove(t.hash(&k), &k);
    }
    t.set_resize(Resize::Allow);
    t.try_resize();
    while t.rehash_step() {}
    let mut longest = 0;
    t.for_each_chain(0, |n| longest = longest.max(n));
    assert!(longest > effort::of(100, 10), "{longest}");
    let mut rng = numbers();
    let mut hits = HashMap::new();
    for _ in 0..effort::of(100_000, 60) {
        let e = t.random(&mut rng).map(|i| i.value());
        *hits.entry(e.expect("not empty")).or_insert(0) += 1;
    }
    assert!(cfg!(miri) || hits.len() == stay.len());
    assert!(hits.keys().all(|v| stay.contains(v)));
    while let Some(e) = t.pop_random(&mut rng) {
        assert!(stay.remove(&e.value()));
        assert_eq!(t.len(), stay.len());
    }
    assert!(stay.is_empty());
}

#[test]
fn the_iterator_sees_each_element_once() {
    let mut t = table();
    assert_eq!(t.iter().count(), 0);
    for i in 0..effort::of(3000, 100) {
        put(&mut t, format!("k{i}").as_bytes(), i);
        if i % 97 == 0 {
            assert_eq!(t.iter().len(), t.len());
            let seen: HashSet<u64> = t.iter().map(|e| e.value()).collect();
            assert_eq!(seen, (0..=i).collect());
        }
    }
}
