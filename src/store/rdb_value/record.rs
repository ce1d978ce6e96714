//! The record of a key in an RDB file: when it expires, how it was used, its type, its name, its value (rdbSaveKeyValuePair).
//!
//! It knows entries and the wire's primitives, not where the record goes nor which keys there are.

use std::io::{self, Write};

use super::{rdb_save_object, rdb_save_object_type};
use crate::config::value::MaxmemoryPolicy;
use crate::store::entry::Entry;
use crate::store::evict::{estimate_object_idle_time, lfu_decr_and_return};
use crate::wire::rdb::RdbWriter;

/// What the LRU bits of entries mean under a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Usage {
    Lru,
    Lfu,
    /// Nothing that a snapshot keeps.
    Unused,
}

impl Usage {
    pub(crate) fn of(policy: MaxmemoryPolicy) -> Usage {
        match policy {
            MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru => Usage::Lru,
            MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu => Usage::Lfu,
            MaxmemoryPolicy::VolatileTtl
            | MaxmemoryPolicy::VolatileRandom
            | MaxmemoryPolicy::AllkeysRandom
            | MaxmemoryPolicy::NoEviction => Usage::Unused,
        }
    }
}

/// Seconds since the entry was used, as the file keeps it.
fn idle_seconds(lru_clock: u32, lru: u32) -> u64 {
    estimate_object_idle_time(lru, lru_clock).unsigned_abs() / 1000
}

/// How the records of one file tell of the use of keys: by the clocks at its moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    usage: Usage,
    lru_clock: u32,
    minutes: u16,
    decay_time: i32,
}

impl Records {
    /// `lru_clock` and `minutes` are the LRU and the LFU clock, `decay_time` is `lfu-decay-time`.
    pub(crate) fn new(
        policy: MaxmemoryPolicy,
        lru_clock: u32,
        minutes: u16,
        decay_time: i32,
    ) -> Records {
        Records {
            usage: Usage::of(policy),
            lru_clock,
            minutes,
            decay_time,
        }
    }

    /// All that stands before the value.
    ///
    /// # Errors
    /// The sink's.
    #[inline]
    pub(crate) fn begin<W: Write>(&self, w: &mut RdbWriter<W>, e: &Entry) -> io::Result<()> {
        if let Some(when) = e.expire() {
            w.expiry_ms(when)?;
        }
        match self.usage {
            Usage::Unused => {}
            Usage::Lru => w.idle(idle_seconds(self.lru_clock, e.lru()))?,
            Usage::Lfu => w.freq(lfu_decr_and_return(e.lru(), self.minutes, self.decay_time))?,
        }
        w.type_byte(rdb_save_object_type(e, w.version()))?;
        w.string(e.name())
    }

    /// The whole record.
    ///
    /// # Errors
    /// The sink's.
    #[inline]
    pub(crate) fn write<W: Write>(&self, w: &mut RdbWriter<W>, e: &Entry) -> io::Result<()> {
        self.begin(w, e)?;
        rdb_save_object(w, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::LRU_CLOCK_MAX;

    #[test]
    fn idle_time_over_the_clocks_wrap() {
        assert_eq!(idle_seconds(100, 40), 60);
        assert_eq!(idle_seconds(5, LRU_CLOCK_MAX), 5);
        assert_eq!(idle_seconds(5, LRU_CLOCK_MAX - 10), 15);
    }

    #[test]
    fn frequencies_decay() {
        let lru = |minutes: u16, counter: u8| u32::from(minutes) << 8 | u32::from(counter);
        assert_eq!(lfu_decr_and_return(lru(100, 50), 100, 1), 50);
        assert_eq!(lfu_decr_and_return(lru(100, 50), 110, 1), 40);
        assert_eq!(lfu_decr_and_return(lru(100, 50), 110, 5), 48);
        assert_eq!(lfu_decr_and_return(lru(100, 50), 999, 1), 0);
        assert_eq!(lfu_decr_and_return(lru(100, 50), 999, 0), 50);
        assert_eq!(lfu_decr_and_return(lru(65530, 50), 4, 1), 41);
    }
}
