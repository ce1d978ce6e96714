//! How far behind a replica is, in time and in writes: which write, of what time, an offset of the stream covers.
//!
//! An acknowledgement names an offset and nothing else. The master notes now and then what it had written when the stream
//! stood at an offset; between two notes the earlier one is what an offset certainly covers.
//!
//! Invariants: offsets, writes and times of the notes rise; there are at most [`NOTES_MAX`]. When there are more, the older
//! half becomes coarser: whoever is far behind is measured less finely, never wrongly the good way. Must not know replicas,
//! sockets or clocks.

use std::collections::VecDeque;

/// Notes that are kept.
pub(crate) const NOTES_MAX: usize = 4096;

/// What was true when the stream stood at an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Note {
    offset: i64,
    /// Commands fed into the stream up to there.
    writes: u64,
    /// Monotonic milliseconds.
    at_ms: u64,
}

/// How far an acknowledged offset is behind the stream.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Lag {
    /// Age of the oldest write that is not acknowledged; 0: all are.
    pub ms: u64,
    pub bytes: u64,
    /// Commands that are not acknowledged.
    pub writes: u64,
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct LagIndex {
    notes: VecDeque<Note>,
    /// Commands fed into the stream since the start.
    writes: u64,
}

impl LagIndex {
    /// Bytes that the notes take.
    pub(crate) fn mem_usage(&self) -> usize {
        self.notes.capacity() * size_of::<Note>()
    }

    /// A command joins the stream.
    #[inline]
    pub(crate) fn count_write(&mut self) {
        self.writes += 1;
    }

    /// Commands fed into the stream since the start.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// The stream stands at `offset` now; to be called when a batch of writes is complete.
    pub(crate) fn note(&mut self, offset: i64, now_ms: u64) {
        match self.notes.back() {
            Some(n) if n.offset == offset => return,
            // The stream has another history now.
            Some(n) if n.offset > offset => self.notes.clear(),
            _ => {}
        }
        if self.notes.len() == NOTES_MAX {
            self.thin_out();
        }
        self.notes.push_back(Note {
            offset,
            writes: self.writes,
            at_ms: now_ms,
        });
    }

    /// Every second one of the older half goes.
    fn thin_out(&mut self) {
        let half = NOTES_MAX / 2;
        let mut i = 0;
        self.notes.retain(|_| {
            i += 1;
            i > half || i % 2 == 0
        });
    }

    /// How far `acked` is behind a stream that stands at `offset`.
    pub(crate) fn lag(&self, acked: i64, offset: i64, now_ms: u64) -> Lag {
        let bytes = offset.saturating_sub(acked).max(0).unsigned_abs();
        if bytes == 0 {
            return Lag::default();
        }
        let first_open = self.notes.partition_point(|n| n.offset <= acked);
        let covered = first_open
            .checked_sub(1)
            .and_then(|i| self.notes.get(i))
            .map(|n| n.writes);
        // The oldest note that is not covered: its bytes were fed at its time or shortly before.
        let since = self.notes.get(first_open).map_or(now_ms, |n| n.at_ms);
        Lag {
            ms: now_ms.saturating_sub(since),
            bytes,
            writes: self.writes - covered.unwrap_or(0).min(self.writes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_acknowledged_is_no_lag() {
        let mut l = LagIndex::default();
        assert_eq!(l.lag(0, 0, 5), Lag::default());
        l.count_write();
        l.note(100, 1000);
        assert_eq!(l.lag(100, 100, 9000), Lag::default());
        // A replica may even be ahead, after a restart of ours.
        assert_eq!(l.lag(120, 100, 9000), Lag::default());
    }

    #[test]
    fn the_age_is_that_of_the_oldest_unacknowledged_write() {
        let mut l = LagIndex::default();
        for i in 1..=10 {
            l.count_write();
            l.note(i * 10, 1000 * i.unsigned_abs());
        }
        let lag = l.lag(30, 100, 11_000);
        assert_eq!(
            lag,
            Lag {
                ms: 7_000,
                bytes: 70,
                writes: 7
            }
        );
        // In the middle of the fourth write: that one is not acknowledged.
        assert_eq!(l.lag(35, 100, 11_000).writes, 7);
        assert_eq!(l.lag(0, 100, 11_000).writes, 10);
    }

    proptest! {
        /// Against a full history: bytes are exact, time and writes never less than the truth, and exact within the notes of
        /// the newer half.
        #[test]
        fn never_better_than_the_truth(steps in prop::collection::vec((1i64..50, 0u64..3), 1..9000), ack in 0usize..9000) {
            let mut l = LagIndex::default();
            let (mut offset, mut now, mut all) = (0i64, 0u64, vec![(0i64, 0u64)]);
            for (bytes, ms) in steps {
                offset += bytes;
                now += ms;
                l.count_write();
                l.note(offset, now);
                all.push((offset, now));
            }
            let ack = ack.min(all.len() - 1);
            let lag = l.lag(all[ack].0, offset, now);
            let writes = (all.len() - 1 - ack) as u64;
            let ms = all.get(ack + 1).map_or(0, |n| now - n.1);
            prop_assert_eq!(lag.bytes, (offset - all[ack].0) as u64);
            prop_assert!(lag.writes >= writes);
            if all.len() - ack < NOTES_MAX / 2 {
                prop_assert_eq!(lag.writes, writes);
                prop_assert_eq!(lag.ms, ms);
            }
            prop_assert!(l.notes.len() <= NOTES_MAX);
        }
    }
}
