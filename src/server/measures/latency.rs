//! The latency monitor (latency.c): what took at least `latency-monitor-threshold` milliseconds, by event, as a short history
//! of the worst of each second.
//!
//! Whoever does something that may take long measures it and calls [`Server::latency_add_sample_if_needed`]; while the
//! monitor is off, which is a threshold of 0, that costs one test.

use std::collections::BTreeMap;

use crate::base::clock::mstime;
use crate::server::Server;

/// Seconds of history an event keeps (LATENCY_TS_LEN).
const LATENCY_TS_LEN: usize = 160;

/// The worst of one second.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Unix seconds.
    pub time: i64,
    pub latency_ms: u64,
}

/// The history of one event.
#[derive(Default)]
pub(crate) struct TimeSeries {
    /// Oldest first.
    samples: std::collections::VecDeque<Sample>,
    /// The worst ever, in ms.
    max: u64,
}

/// What the samples of an event amount to (latencyStats).
#[derive(Debug, PartialEq)]
pub(crate) struct LatencyStats {
    pub samples: usize,
    /// Milliseconds.
    pub avg: u64,
    /// Mean absolute deviation, ms.
    pub mad: u64,
    /// Seconds since the oldest sample, at least 1.
    pub period: i64,
}

impl TimeSeries {
    fn add(&mut self, time: i64, latency_ms: u64) {
        self.max = self.max.max(latency_ms);
        if let Some(last) = self.samples.back_mut()
            && last.time == time
        {
            last.latency_ms = last.latency_ms.max(latency_ms);
            return;
        }
        if self.samples.len() == LATENCY_TS_LEN {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { time, latency_ms });
    }

    /// Oldest first; never empty.
    pub(crate) fn samples(&self) -> impl ExactSizeIterator<Item = Sample> {
        self.samples.iter().copied()
    }

    pub(crate) fn last(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }

    /// The worst ever, in ms.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// `now` is unix seconds (analyzeLatencyForEvent).
    pub(crate) fn analyze(&self, now: i64) -> LatencyStats {
        let n = self.samples.len().max(1) as u64;
        let avg = self.samples().map(|s| s.latency_ms).sum::<u64>() / n;
        let off: u64 = self.samples().map(|s| s.latency_ms.abs_diff(avg)).sum();
        let oldest = self.samples().map(|s| s.time).min().unwrap_or(now);
        LatencyStats {
            samples: self.samples.len(),
            avg,
            mad: off / n,
            period: (now - oldest).max(1),
        }
    }
}

/// Events that have been slow, by name.
#[derive(Default)]
pub(crate) struct Latency {
    pub events: BTreeMap<&'static str, TimeSeries>,
}

impl Latency {
    /// Forgets an event, or all; returns how many there were (latencyResetEvent).
    pub(crate) fn reset(&mut self, event: Option<&[u8]>) -> usize {
        let before = self.events.len();
        match event {
            None => self.events.clear(),
            Some(name) => self
                .events
                .retain(|e, _| !e.as_bytes().eq_ignore_ascii_case(name)),
        }
        before - self.events.len()
    }
}

impl Server {
    /// Something took `ms` milliseconds: it is noted when the monitor is on and finds that long
    /// (latencyAddSampleIfNeeded).
    #[inline]
    pub(crate) fn latency_add_sample_if_needed(&mut self, event: &'static str, ms: i64) {
        let threshold = self.config.latency_monitor_threshold;
        if threshold != 0 && ms >= threshold {
            self.latency_add_sample(event, ms);
        }
    }

    #[cold]
    fn latency_add_sample(&mut self, event: &'static str, ms: i64) {
        let series = self.latency.events.entry(event).or_default();
        series.add(mstime().div_euclid(1000), u64::try_from(ms).unwrap_or(0));
    }

    /// The time, in ms, at which something begins that may be noted; 0 while the monitor is off (latencyStartMonitor).
    #[inline]
    pub(crate) fn latency_start_monitor(&self) -> i64 {
        if self.config.latency_monitor_threshold == 0 {
            return 0;
        }
        mstime()
    }

    /// Notes what began at `start`, unless the monitor was off then (latencyEndMonitor, latencyAddSampleIfNeeded).
    #[inline]
    pub(crate) fn latency_end_monitor(&mut self, event: &'static str, start: i64) {
        if start != 0 {
            self.latency_add_sample_if_needed(event, mstime() - start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_and_the_history_its_length() {
        let mut t = TimeSeries::default();
        t.add(10, 5);
        t.add(10, 9);
        t.add(10, 7);
        assert_eq!(
            t.last(),
            Sample {
                time: 10,
                latency_ms: 9
            }
        );
        for s in 11..11 + LATENCY_TS_LEN as i64 {
            t.add(s, 3);
        }
        assert_eq!(t.samples().len(), LATENCY_TS_LEN);
        assert_eq!(t.samples().next().map(|s| s.time), Some(11));
        assert_eq!(t.max(), 9);
    }

    #[test]
    fn statistics() {
        let mut t = TimeSeries::default();
        for (s, ms) in [(100, 10), (101, 20), (105, 60)] {
            t.add(s, ms);
        }
        let want = LatencyStats {
            samples: 3,
            avg: 30,
            mad: 20,
            period: 10,
        };
        assert_eq!(t.analyze(110), want);
        assert_eq!(t.analyze(100).period, 1);
    }

    #[test]
    fn events_are_reset_in_any_case() {
        let mut l = Latency::default();
        l.events.entry("fork").or_default().add(1, 1);
        l.events.entry("command").or_default().add(1, 1);
        assert_eq!(l.reset(Some(b"nosuch")), 0);
        assert_eq!(l.reset(Some(b"FORK")), 1);
        assert_eq!(l.reset(None), 1);
        assert!(l.events.is_empty());
    }
}
