//! The last hour, for the page's charts: a sample every five seconds, of lag the worst within them.
//!
//! Invariants: every series has the same slots, oldest first; there are [`SLOTS`] of them at the most, and series of
//! [`REPLICAS_MAX`] replicas; one that has not been seen for the whole of the hour is forgotten.
//!
//! Must not know the server, clocks, nor how it is shown.

use std::collections::{BTreeMap, VecDeque};

/// Seconds that a slot stands for.
pub(crate) const SLOT_S: i64 = 5;
/// Slots of an hour.
pub(crate) const SLOTS: usize = 720;
/// Replicas whose lag is kept.
const REPLICAS_MAX: usize = 32;
/// In the place of a value that there is not.
pub(crate) const NONE: i64 = -1;

/// One look at the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Commands and bytes of the stream that it writes, a second.
    pub ops: i64,
    /// Bytes.
    pub memory: i64,
    pub clients: i64,
    /// As a replica: milliseconds since the master was heard of; [`NONE`] while there is no link.
    pub master_ms: i64,
    /// Milliseconds that each replica is behind; [`NONE`] before it is online.
    pub lag_ms: Vec<(String, i64)>,
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct History {
    /// Unix seconds over [`SLOT_S`] of the newest slot; 0: there is none.
    slot: i64,
    ops: VecDeque<i64>,
    memory: VecDeque<i64>,
    clients: VecDeque<i64>,
    master_ms: VecDeque<i64>,
    lag_ms: BTreeMap<String, VecDeque<i64>>,
}

fn push(series: &mut VecDeque<i64>, v: i64) {
    if series.len() == SLOTS {
        series.pop_front();
    }
    series.push_back(v);
}

fn raise(series: &mut VecDeque<i64>, v: i64) {
    if let Some(last) = series.back_mut() {
        *last = (*last).max(v);
    }
}

fn replace(series: &mut VecDeque<i64>, v: i64) {
    if let Some(last) = series.back_mut() {
        *last = v;
    }
}

impl History {
    /// Unix seconds over [`SLOT_S`] of the newest slot.
    pub(crate) fn slot(&self) -> i64 {
        self.slot
    }

    fn begin_slot(&mut self) {
        push(&mut self.ops, NONE);
        push(&mut self.memory, NONE);
        push(&mut self.clients, NONE);
        push(&mut self.master_ms, NONE);
        for series in self.lag_ms.values_mut() {
            push(series, NONE);
        }
        self.lag_ms.retain(|_, s| s.iter().any(|v| *v != NONE));
    }

    /// Takes a sample; `now` is unix seconds. Slots in which nobody looked are empty.
    pub(crate) fn add(&mut self, now: i64, sample: &Sample) {
        let slot = now.div_euclid(SLOT_S);
        if slot < self.slot {
            // The clock was put back: the newest slot takes it.
        } else if self.slot == 0 {
            self.slot = slot;
            self.begin_slot();
        } else {
            let missed = usize::try_from(slot - self.slot)
                .unwrap_or(SLOTS)
                .min(SLOTS);
            for _ in 0..missed {
                self.begin_slot();
            }
            self.slot = slot;
        }
        replace(&mut self.ops, sample.ops);
        replace(&mut self.memory, sample.memory);
        replace(&mut self.clients, sample.clients);
        raise(&mut self.master_ms, sample.master_ms);
        let len = self.ops.len();
        for (name, v) in &sample.lag_ms {
            if !self.lag_ms.contains_key(name) {
                if self.lag_ms.len() >= REPLICAS_MAX {
                    continue;
                }
                self.lag_ms.insert(name.clone(), vec![NONE; len].into());
            }
            if let Some(series) = self.lag_ms.get_mut(name) {
                raise(series, *v);
            }
        }
    }

    /// The series that are there for every server, by name.
    pub(crate) fn own(&self) -> [(&'static str, &VecDeque<i64>); 4] {
        [
            ("ops", &self.ops),
            ("memory", &self.memory),
            ("clients", &self.clients),
            ("master_ms", &self.master_ms),
        ]
    }

    /// The lag of each replica, by its address.
    pub(crate) fn lags(&self) -> impl Iterator<Item = (&str, &VecDeque<i64>)> {
        self.lag_ms.iter().map(|(name, s)| (name.as_str(), s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ops: i64, lag: &[(&str, i64)]) -> Sample {
        Sample {
            ops,
            lag_ms: lag.iter().map(|(n, v)| ((*n).to_string(), *v)).collect(),
            master_ms: NONE,
            ..Sample::default()
        }
    }

    fn lag(h: &History, name: &str) -> Vec<i64> {
        let found = h.lags().find(|(n, _)| *n == name);
        found.map_or(Vec::new(), |(_, s)| s.iter().copied().collect())
    }

    #[test]
    fn a_slot_keeps_the_worst_lag_and_the_last_of_all_else() {
        let mut h = History::default();
        h.add(1000, &sample(1, &[("a", 3)]));
        h.add(1002, &sample(2, &[("a", 9)]));
        h.add(1004, &sample(3, &[("a", 5)]));
        h.add(1005, &sample(4, &[("a", 1), ("b", NONE)]));
        assert_eq!(h.own()[0].1, &[3, 4]);
        assert_eq!(lag(&h, "a"), [9, 1]);
        assert_eq!(lag(&h, "b"), [NONE, NONE]);
        // Nobody looked for a while; and then the clock went back.
        h.add(1017, &sample(5, &[("a", 2)]));
        h.add(900, &sample(6, &[("a", 7)]));
        assert_eq!(h.own()[0].1, &[3, 4, NONE, 6]);
        assert_eq!(lag(&h, "a"), [9, 1, NONE, 7]);
        assert_eq!(h.slot(), 1017 / 5);
        // It was never online.
        assert_eq!(lag(&h, "b"), [0; 0]);
    }

    #[test]
    fn an_hour_is_all_there_is() {
        let mut h = History::default();
        h.add(5, &sample(1, &[("gone", 4)]));
        for i in 2..1000 {
            h.add(i * 5, &sample(i, &[("a", i)]));
        }
        assert_eq!(h.own()[0].1.len(), SLOTS);
        assert_eq!(h.own()[0].1.front(), Some(&(1000 - SLOTS as i64)));
        assert!(lag(&h, "gone").is_empty());
        assert_eq!(lag(&h, "a").len(), SLOTS);
        for n in 0..100 {
            h.add(5000, &sample(1, &[(&format!("r{n}"), 1)]));
        }
        assert_eq!(h.lags().count(), REPLICAS_MAX);
        h.add(i64::MAX, &sample(1, &[]));
        assert_eq!(h.own()[0].1.len(), SLOTS);
    }
}
