//! The largest and the hottest keys, found by a walk over all keys that the cron takes a few steps of (key-sampling-rate): MEMORY BIGKEYS
//! and MEMORY HOTKEYS answer without a client that scans.
//!
//! Invariants: while the rate is 0 there is nothing of it; a call of the cron looks at its share of the rate and ends after
//! [`STEP_US`]; at most [`KEPT`] keys are kept of each kind, and of a key's name [`NAME_MAX`] bytes. A key that a walk has not
//! come to again may be gone, or be another one by now.

use crate::base::clock::monotonic_us;
use crate::ds::table::Element;
use crate::server::Server;
use crate::store::evict::{lfu_decr_and_return, policy_is_lfu};

/// Keys of each list.
const KEPT: usize = 64;
/// Bytes of a key's name.
const NAME_MAX: usize = 512;
/// Microseconds of one call.
const STEP_US: u64 = 500;
/// Elements of a value that are looked at.
const SAMPLES: usize = 5;

/// One key, as it was when the walk came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SampledKey {
    pub db: usize,
    /// Its first bytes.
    pub name: Vec<u8>,
    pub kind: &'static str,
    /// Bytes in memory, of large values by a sample.
    pub bytes: usize,
    /// The logarithmic counter of accesses (OBJECT FREQ); 0 where there is none.
    pub freq: u8,
}

/// What one walk has found: the largest first, the hottest first.
#[derive(Clone, Default)]
struct Found {
    big: Vec<SampledKey>,
    hot: Vec<SampledKey>,
}

/// Puts a key into a list that is in falling order by `by`, if it belongs there.
fn keep(list: &mut Vec<SampledKey>, by: fn(&SampledKey) -> usize, key: &SampledKey) {
    let at = list.partition_point(|k| by(k) >= by(key));
    if at < KEPT {
        list.truncate(KEPT - 1);
        list.insert(at, key.clone());
    }
}

/// The walk.
#[derive(Default)]
pub(crate) struct KeySamples {
    db: usize,
    cursor: u64,
    now: Found,
    /// Of the last walk that came to its end.
    last: Option<Found>,
}

impl KeySamples {
    /// A list: of the last whole walk, with what this one has found already.
    fn list(
        &self,
        of: fn(&Found) -> &Vec<SampledKey>,
        by: fn(&SampledKey) -> usize,
    ) -> Vec<SampledKey> {
        let mut list = of(&self.now).clone();
        for key in self.last.iter().flat_map(of) {
            // What this walk has seen is newer.
            if !list.iter().any(|k| k.db == key.db && k.name == key.name) {
                keep(&mut list, by, key);
            }
        }
        list
    }

    /// The largest keys, the largest first.
    pub(crate) fn biggest(&self) -> Vec<SampledKey> {
        self.list(|f| &f.big, |k| k.bytes)
    }

    /// The keys that are used most, the hottest first.
    pub(crate) fn hottest(&self) -> Vec<SampledKey> {
        self.list(|f| &f.hot, |k| usize::from(k.freq))
    }
}

impl Server {
    /// The cron's share of the walk: `hz` calls make up a second (key-sampling-rate).
    pub(crate) fn sample_keys(&mut self) {
        let hz = u64::try_from(self.cron.hz.max(1)).unwrap_or(1);
        let most = u64::try_from(self.config.key_sampling_rate).unwrap_or(0) / hz;
        let begun = monotonic_us();
        let mut samples = self.key_samples.take().unwrap_or_default();
        let lfu = policy_is_lfu(self.config.maxmemory_policy);
        let (minutes, decay) = (self.clock.lfu_minutes(), self.config.lfu_decay_time);
        let mut looked = 0;
        while looked < most.max(1) && monotonic_us().saturating_sub(begun) < STEP_US {
            let Some(db) = self.dbs.get(samples.db) else {
                samples.last = Some(std::mem::take(&mut samples.now));
                samples.db = 0;
                break;
            };
            let (now, number) = (&mut samples.now, samples.db);
            let next = db.keys.scan(samples.cursor, |e| {
                looked += 1;
                let name = e.key();
                let key = SampledKey {
                    db: number,
                    name: name[..name.len().min(NAME_MAX)].to_vec(),
                    kind: e.value_type().name(),
                    bytes: e.mem_usage_by(|v| v.mem_usage_sampled(SAMPLES)),
                    freq: if lfu {
                        lfu_decr_and_return(e.lru(), minutes, decay)
                    } else {
                        0
                    },
                };
                keep(&mut now.big, |k| k.bytes, &key);
                if lfu {
                    keep(&mut now.hot, |k| usize::from(k.freq), &key);
                }
            });
            samples.cursor = next;
            if next == 0 {
                samples.db += 1;
                looked += 1;
            }
        }
        self.key_samples = Some(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, bytes: usize) -> SampledKey {
        SampledKey {
            db: 0,
            name: name.into(),
            kind: "string",
            bytes,
            freq: 0,
        }
    }

    #[test]
    fn the_largest_are_kept_in_order() {
        let mut list = Vec::new();
        for n in 0..1000 {
            keep(
                &mut list,
                |k| k.bytes,
                &key(&n.to_string(), n * 7919 % 1000),
            );
        }
        let sizes: Vec<usize> = list.iter().map(|k| k.bytes).collect();
        let want: Vec<usize> = (1000 - KEPT..1000).rev().collect();
        assert_eq!(sizes, want);
    }

    #[test]
    fn a_walk_under_way_is_newer_than_the_last_one() {
        let mut s = KeySamples::default();
        s.now.big = vec![key("a", 5)];
        s.last = Some(Found {
            big: vec![key("a", 9), key("b", 7)],
            hot: Vec::new(),
        });
        assert_eq!(s.biggest(), [key("b", 7), key("a", 5)]);
    }
}
