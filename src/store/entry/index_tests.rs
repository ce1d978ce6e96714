//! The expire index against a plain list of deadlines.

use proptest::prelude::*;

use super::super::NewValue;
use super::*;
use crate::ds::table::Element;

/// Entries in an index, and by their numbers.
struct World {
    index: ExpireIndex,
    entries: Vec<Option<Entry>>,
    /// By how many milliseconds an entry may be late: a slot of level 0 is looked at when it is over, and what is late when it is listed
    /// anew, a slot or two later; what a clock that goes back by a second leaves, when it has caught up.
    late: i64,
}

impl World {
    fn new() -> World {
        World {
            index: ExpireIndex::default(),
            entries: Vec::new(),
            late: 3 * 16,
        }
    }

    fn add(&mut self, at: i64) {
        let key = self.entries.len().to_string();
        let mut e = Entry::new(key.as_bytes(), NewValue::Int(1), Some(at));
        self.index.push(&mut e);
        self.entries.push(Some(e));
    }

    fn remove(&mut self, n: usize) {
        if let Some(e) = self.entries[n].take() {
            self.index.remove(e.expire_index());
        }
    }

    fn put_off(&mut self, n: usize, at: i64) {
        if let Some(e) = &mut self.entries[n] {
            e.set_expire(Some(at));
            self.index.rescheduled(e);
        }
    }

    /// All that expires by this moment goes. What is late when it is listed anew goes when the slot of this moment is over.
    fn expire(&mut self, now: i64) {
        self.expire_once(now);
        self.expire_once(now + 16);
    }

    fn expire_once(&mut self, now: i64) {
        // An entry is given or listed anew a few times; there must be an end of it.
        let most = 1000 + 200 * self.entries.len();
        for turns in 0.. {
            assert!(turns < most, "it goes on for ever");
            let n: usize = match self.index.turn(now) {
                Turn::Nothing => return,
                Turn::Listed => continue,
                Turn::Expired(i) => {
                    let e = self.index.get(i);
                    assert!(e.expire().is_some_and(|at| at < now));
                    std::str::from_utf8(Element::key(&*e))
                        .expect("a number")
                        .parse()
                        .expect("a number")
                }
            };
            self.remove(n);
        }
    }

    fn check(&self, now: i64) {
        let left = self.entries.iter().flatten();
        assert_eq!(self.index.len(), left.clone().count());
        assert_eq!(self.index.iter().count(), self.index.len());
        for e in left {
            let i = e.expire_index() as usize;
            let place = self.index.chunks[i / CHUNK].places[i % CHUNK];
            assert_eq!(place.entry().address(), e.address());
            assert!(e.expire().is_some_and(|at| at >= now - self.late), "late");
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Add(i64),
    Remove(usize),
    PutOff(usize, i64),
    Pass(i64),
}

/// Milliseconds from the next moment to some centuries, each order of magnitude as likely as any other.
fn span() -> impl Strategy<Value = i64> {
    (0u32..43, any::<i64>()).prop_map(|(bits, r)| (1 << bits) + (r & ((1 << bits) - 1)))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => span().prop_map(Op::Add),
        2 => any::<usize>().prop_map(Op::Remove),
        2 => (any::<usize>(), span()).prop_map(|(n, at)| Op::PutOff(n, at)),
        2 => span().prop_map(Op::Pass),
        1 => (0i64..100_000).prop_map(|back| Op::Pass(-back)),
    ]
}

proptest! {
    #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
    #[test]
    fn what_is_due_is_found_and_nothing_else(ops in proptest::collection::vec(op(), 0..crate::ds::effort::of(400, 60))) {
        let mut w = World::new();
        let mut now = mstime();
        for op in ops {
            let n = w.entries.len().max(1);
            match op {
                Op::Add(span) => {
                    w.add(now.saturating_add(span));
                    // The wheel learns of a clock that has gone back when it is asked the next time, which is soon.
                    w.expire_once(now);
                }
                Op::Remove(i) if i % n < w.entries.len() => w.remove(i % n),
                Op::PutOff(i, span) if i % n < w.entries.len() => w.put_off(i % n, now.saturating_add(span)),
                Op::Pass(span) => {
                    if span < 0 {
                        w.late = 16 * (BACK as i64 + 4);
                    }
                    now = now.saturating_add(span).min(1 << 50);
                    w.expire(now);
                    w.check(now);
                }
                _ => {}
            }
        }
        w.expire(now);
        w.check(now);
        let far = i64::MAX / 2;
        w.expire(far);
        w.check(far);
    }
}

/// Many at once, of which most are put off before their time.
#[test]
fn what_was_put_off_is_found_at_its_new_time() {
    let mut w = World::new();
    let now = mstime();
    let n = crate::ds::effort::of(20_000, 1000);
    for i in 0..n {
        w.add(now + 5000 + i as i64 % 100);
    }
    for i in 0..n {
        if i % 10 != 0 {
            w.put_off(i, now + 100_000 + i as i64);
        }
    }
    w.expire(now + 6000);
    assert_eq!(w.index.len(), n - n / 10);
    w.check(now + 6000);
    // Sooner, too.
    for i in 0..n {
        w.put_off(i, now + 7000);
    }
    w.expire(now + 7100);
    assert_eq!(w.index.len(), 0);
    assert!(w.index.live.is_empty());
}

/// Nobody asks for what is due for a year, as on a replica; and then somebody does.
#[test]
fn a_wheel_that_stood_still_catches_up() {
    let mut w = World::new();
    let now = mstime();
    let year = 365 * 86_400_000i64;
    for day in 0..365 {
        w.add(now + day * 86_400_000 + 60_000);
    }
    w.expire(now + year);
    w.check(now + year);
    assert_eq!(w.index.len(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "statistics of many draws, by code that the others run")]
fn random_ones_are_all_alike() {
    let mut w = World::new();
    let now = mstime();
    for i in 0..100 {
        w.add(now + (1 << (i % 30)));
    }
    let mut prng = crate::base::random::Prng::new(5);
    let mut seen = std::collections::HashMap::new();
    for _ in 0..20_000 {
        let e = w.index.random(|| prng.next_u64()).expect("one");
        *seen.entry(e.address()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 100);
    assert!(seen.values().all(|n| (100..350).contains(n)), "{seen:?}");
}
