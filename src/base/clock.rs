//! Time: the wall clock, a monotonic clock, and the copy of both that the event loop keeps.
//!
//! Invariants: reading never fails; a wall clock set before 1970 gives negative times, no panic.
//! Must not know: who uses a time, and how often; a command takes the cached one.
//!
//! `ORIGIN` is process-wide because `Instant` has no absolute value; it is written once and never changes.

use std::sync::OnceLock;
use std::time::Instant;

use crate::base::sys;

/// The moment that `monotonic_us` counts from.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Bits of an object's LRU field, and milliseconds per unit of it (server.h).
pub(crate) const LRU_BITS: u32 = 24;
/// The largest LRU clock value; it wraps to 0 after some 194 days.
pub(crate) const LRU_CLOCK_MAX: u32 = (1 << LRU_BITS) - 1;
/// Milliseconds per tick of the LRU clock.
pub(crate) const LRU_CLOCK_RESOLUTION: i64 = 1000;

/// Unix time in microseconds. server.c.
#[inline]
pub(crate) fn ustime() -> i64 {
    let (s, ns) = sys::realtime();
    s.wrapping_mul(1_000_000).wrapping_add(ns / 1000)
}

/// Unix time in milliseconds. server.c.
pub(crate) fn mstime() -> i64 {
    ustime().div_euclid(1000)
}

/// Microseconds since some moment early in the process's life; never goes back. monotonic.c's getMonotonicUs.
#[inline]
pub(crate) fn monotonic_us() -> u64 {
    let origin = ORIGIN.get_or_init(Instant::now);
    origin.elapsed().as_micros() as u64
}

/// The LRU clock at a unix time in milliseconds. evict.c's getLRUClock.
#[inline]
pub(crate) fn lru_clock_at(unix_ms: i64) -> u32 {
    (unix_ms.div_euclid(LRU_CLOCK_RESOLUTION) & i64::from(LRU_CLOCK_MAX)) as u32
}

/// Minutes modulo 2^16 at a unix time in seconds. evict.c's LFUGetTimeInMinutes.
#[inline]
pub(crate) fn lfu_minutes_at(unix_s: i64) -> u16 {
    (unix_s.div_euclid(60) & 0xffff) as u16
}

/// The time as of the last update. Its owner says when that is; all fields are of the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CachedClock {
    /// Unix time in microseconds.
    pub unix_us: i64,
    /// Unix time in milliseconds.
    pub unix_ms: i64,
    /// Unix time in seconds.
    pub unix_s: i64,
    /// The LRU clock, `0..=LRU_CLOCK_MAX`.
    pub lru_clock: u32,
}

impl CachedClock {
    /// Of now.
    #[inline]
    pub(crate) fn new() -> Self {
        let (s, ns) = sys::realtime();
        if s < 0 {
            return CachedClock::at(ustime());
        }
        // All from seconds and nanoseconds: one short division instead of three long ones.
        let us = ns as u32 / 1000;
        CachedClock {
            unix_us: s.wrapping_mul(1_000_000).wrapping_add(i64::from(us)),
            unix_ms: s.wrapping_mul(1000).wrapping_add(i64::from(us / 1000)),
            unix_s: s,
            lru_clock: s as u32 & LRU_CLOCK_MAX,
        }
    }

    /// Of the unix time `unix_us` in microseconds.
    #[inline]
    pub(crate) fn at(unix_us: i64) -> Self {
        if unix_us < 0 {
            return CachedClock::before_1970(unix_us);
        }
        // Unsigned divisions by constants cost half of what euclidean ones do, and this runs once a command.
        let unix_ms = unix_us as u64 / 1000;
        let unix_s = unix_ms / 1000;
        CachedClock {
            unix_us,
            unix_ms: unix_ms as i64,
            unix_s: unix_s as i64,
            lru_clock: unix_s as u32 & LRU_CLOCK_MAX,
        }
    }

    #[cold]
    fn before_1970(unix_us: i64) -> Self {
        let unix_ms = unix_us.div_euclid(1000);
        CachedClock {
            unix_us,
            unix_ms,
            unix_s: unix_ms.div_euclid(1000),
            lru_clock: lru_clock_at(unix_ms),
        }
    }

    /// Reads the wall clock. server.c's updateCachedTime.
    #[inline]
    #[cfg(test)]
    pub(crate) fn update(&mut self) {
        *self = CachedClock::new();
    }

    /// Takes a time that was read anyway.
    #[inline]
    #[cfg(test)]
    pub(crate) fn update_at(&mut self, unix_us: i64) {
        *self = CachedClock::at(unix_us);
    }

    /// Minutes modulo 2^16, for LFU decay.
    #[inline]
    pub(crate) fn lfu_minutes(&self) -> u16 {
        lfu_minutes_at(self.unix_s)
    }
}

impl Default for CachedClock {
    fn default() -> Self {
        CachedClock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree() {
        let (a, ms, b) = (ustime(), mstime(), ustime());
        assert!(a / 1000 <= ms && ms <= b / 1000);
        // After 2020, before 2200.
        assert!((1_577_836_800_000_000..7_258_118_400_000_000).contains(&a));
    }

    #[test]
    fn monotonic_goes_on() {
        let start = monotonic_us();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let passed = monotonic_us() - start;
        assert!((3000..3_000_000).contains(&passed), "{passed}");
    }

    #[test]
    fn cached_fields_are_of_one_moment() {
        let c = CachedClock::at(1_700_000_000_123_456);
        assert_eq!(c.unix_ms, 1_700_000_000_123);
        assert_eq!(c.unix_s, 1_700_000_000);
        assert_eq!(c.lru_clock, 1_700_000_000 % (1 << 24));
        assert_eq!(c.lfu_minutes(), (1_700_000_000u64 / 60 % 65536) as u16);
        let before = CachedClock::at(-1);
        assert_eq!((before.unix_ms, before.unix_s), (-1, -1));
        assert_eq!(before.lru_clock, LRU_CLOCK_MAX);
        let mut now = CachedClock::at(0);
        now.update();
        assert!(now.unix_s > 1_577_836_800);
        now.update_at(5_000_000);
        assert_eq!(now, CachedClock::at(5_000_000));
    }
}
