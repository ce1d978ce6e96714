//! What eviction goes by: the policies, idle times, LFU counters, and the pool of candidates (the pure half of evict.c).
//!
//! Invariants: the pool is sorted by score, the best candidate last, and never holds more than [`EVPOOL_SIZE`] nor a key
//! twice. It must not know the server: keys, scores and chance are handed to it.

use crate::base::clock::{LRU_CLOCK_MAX, LRU_CLOCK_RESOLUTION};
use crate::base::random::Prng;
use crate::config::value::MaxmemoryPolicy;

/// Candidates that the pool keeps (EVPOOL_SIZE).
pub(crate) const EVPOOL_SIZE: usize = 16;
/// The LFU counter of a new key, so that it has a chance to collect accesses (LFU_INIT_VAL).
pub(crate) const LFU_INIT_VAL: u8 = 5;

/// A key that may be evicted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    /// The larger, the sooner it goes.
    pub score: u64,
    pub db: usize,
    pub key: Box<[u8]>,
}

/// The best candidates of all samples so far.
#[derive(Default)]
pub(crate) struct EvictionPool {
    sorted: Vec<Candidate>,
}

impl EvictionPool {
    /// Takes a candidate in, unless the pool is full of better ones.
    pub(crate) fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        let full = self.sorted.len() == EVPOOL_SIZE;
        if full && self.sorted.first().is_some_and(|c| c.score >= score) {
            return;
        }
        if let Some(i) = self
            .sorted
            .iter()
            .position(|c| c.db == db && *c.key == *key)
        {
            self.sorted.remove(i);
        }
        if self.sorted.len() == EVPOOL_SIZE {
            self.sorted.remove(0);
        }
        let at = self.sorted.partition_point(|c| c.score < score);
        let key = key.into();
        self.sorted.insert(at, Candidate { score, db, key });
    }

    /// Takes the best candidate out. It may be gone from its database by now.
    pub(crate) fn pop(&mut self) -> Option<Candidate> {
        self.sorted.pop()
    }

    /// Scores of another policy, or of databases that were swapped, mean nothing any more.
    pub(crate) fn clear(&mut self) {
        self.sorted.clear();
    }
}

/// Whether keys without an expiry may go too (MAXMEMORY_FLAG_ALLKEYS).
pub(crate) fn policy_is_allkeys(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::AllkeysRandom
    )
}

/// The microseconds that one turn of eviction may take at a tenacity of 0..=100; none: no limit (evictionTimeLimitUs).
pub(crate) fn eviction_time_limit_us(tenacity: i32) -> Option<u64> {
    match tenacity {
        ..=10 => Some(50 * tenacity.max(0) as u64),
        11..100 => Some((500.0 * 1.15_f64.powi(tenacity - 10)) as u64),
        _ => None,
    }
}

/// The LFU counter after one more access: the higher it is, the less likely it rises (LFULogIncr).
pub(crate) fn lfu_log_incr(counter: u8, log_factor: i32, prng: &mut Prng) -> u8 {
    if counter == u8::MAX {
        return counter;
    }
    let base = f64::from(counter.saturating_sub(LFU_INIT_VAL));
    let p = 1.0 / (base * f64::from(log_factor) + 1.0);
    counter + u8::from(prng.unit_f64() < p)
}

/// A policy that keeps LFU counters (MAXMEMORY_FLAG_LFU).
pub(crate) fn policy_is_lfu(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu
    )
}

/// A policy that keeps access times (MAXMEMORY_FLAG_LRU).
pub(crate) fn policy_is_lru(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru
    )
}

/// Milliseconds since an access whose LRU clock was `lru` (estimateObjectIdleTime); the clock wraps.
pub(crate) fn estimate_object_idle_time(lru: u32, now: u32) -> i64 {
    let ticks = match now.checked_sub(lru) {
        Some(d) => i64::from(d),
        None => i64::from(now) + i64::from(LRU_CLOCK_MAX) - i64::from(lru),
    };
    ticks * LRU_CLOCK_RESOLUTION
}

/// The LFU counter in `lru`, lowered by one for each `decay_minutes` since its last change (LFUDecrAndReturn).
/// `now` is in minutes modulo 2^16; a decay of zero or less: never.
pub(crate) fn lfu_decr_and_return(lru: u32, now: u16, decay_minutes: i32) -> u8 {
    let then = (lru >> 8) as u16;
    let counter = (lru & 0xff) as u8;
    let elapsed = match now.checked_sub(then) {
        Some(d) => d,
        None => u16::MAX - then + now,
    };
    let periods = match u16::try_from(decay_minutes) {
        Ok(0) | Err(_) => 0,
        Ok(d) => elapsed / d,
    };
    u8::try_from(periods).map_or(0, |p| counter.saturating_sub(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        assert_eq!(estimate_object_idle_time(10, 10), 0);
        assert_eq!(estimate_object_idle_time(10, 15), 5000);
        assert_eq!(estimate_object_idle_time(LRU_CLOCK_MAX, 3), 3000);
        assert_eq!(estimate_object_idle_time(LRU_CLOCK_MAX - 2, 3), 5000);
    }

    #[test]
    fn lfu_counters_decay_by_the_minute() {
        let at = |minutes: u16, counter: u8| u32::from(minutes) << 8 | u32::from(counter);
        assert_eq!(lfu_decr_and_return(at(100, 7), 100, 1), 7);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 1), 4);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 2), 6);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 0), 7);
        assert_eq!(lfu_decr_and_return(at(100, 7), 110, 1), 0);
        assert_eq!(lfu_decr_and_return(at(100, 255), 1100, 1), 0);
        assert_eq!(lfu_decr_and_return(at(65535, 7), 2, 1), 5);
    }

    #[test]
    fn the_pool_keeps_the_best_and_no_key_twice() {
        let mut pool = EvictionPool::default();
        for n in 0..100_u64 {
            pool.offer(n * 37 % 101, 0, &n.to_le_bytes());
            pool.offer(n * 37 % 101, 0, &n.to_le_bytes());
        }
        let mut want: Vec<u64> = (0..100).map(|n| n * 37 % 101).collect();
        want.sort_unstable_by(|a, b| b.cmp(a));
        let got: Vec<u64> = std::iter::from_fn(|| pool.pop()).map(|c| c.score).collect();
        assert_eq!(got, want[..EVPOOL_SIZE]);
    }

    #[test]
    fn counters_rise_ever_more_slowly() {
        let mut prng = Prng::new(1);
        assert_eq!(lfu_log_incr(LFU_INIT_VAL, 10, &mut prng), LFU_INIT_VAL + 1);
        assert_eq!(lfu_log_incr(255, 0, &mut prng), 255);
        let mut counter = LFU_INIT_VAL;
        for _ in 0..1000 {
            counter = lfu_log_incr(counter, 10, &mut prng);
        }
        assert!((10..40).contains(&counter), "{counter}");
    }

    #[test]
    fn tenacity_is_time() {
        assert_eq!(eviction_time_limit_us(0), Some(0));
        assert_eq!(eviction_time_limit_us(10), Some(500));
        assert!(eviction_time_limit_us(99).is_some_and(|us| us > 60_000_000));
        assert_eq!(eviction_time_limit_us(100), None);
    }
}
