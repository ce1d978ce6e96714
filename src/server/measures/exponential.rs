//! A histogram of durations with exponential buckets: eight to each power of two, which is schema 3 of Prometheus' native
//! histograms. Recording takes a logarithm, so it is for what happens once a turn of the loop and not once a command.
//!
//! Must not know who is timed, nor how it is shown.

/// Buckets in each power of two.
const PER_POWER: i32 = 1 << SCHEMA;
/// As Prometheus numbers such histograms.
pub(crate) const SCHEMA: i32 = 3;
/// The least and the greatest power of two, in seconds: 2^-20 (a microsecond) and 2^6 (a minute).
const LEAST: i32 = -20;
const GREATEST: i32 = 6;
const BUCKETS: usize = ((GREATEST - LEAST) * PER_POWER) as usize;

/// Counts of durations.
#[derive(Debug)]
pub(crate) struct Exponential {
    /// Of durations up to a microsecond.
    zero: u64,
    counts: [u64; BUCKETS],
    count: u64,
    /// Microseconds.
    sum: u64,
}

impl Default for Exponential {
    fn default() -> Exponential {
        Exponential {
            zero: 0,
            counts: [0; BUCKETS],
            count: 0,
            sum: 0,
        }
    }
}

/// The bucket of a duration: its upper bound is 2^((index + 1 + LEAST * PER_POWER) / PER_POWER) seconds. None: it counts as zero.
fn index(us: u64) -> Option<usize> {
    let seconds = us as f64 / 1e6;
    let number = (seconds.log2() * f64::from(PER_POWER)).ceil() as i32 - LEAST * PER_POWER - 1;
    let number = usize::try_from(number).ok()?;
    Some(number.min(BUCKETS - 1))
}

impl Exponential {
    /// Counts one duration, in microseconds. What is longer than a minute counts as a minute, but for the sum.
    pub(crate) fn record_us(&mut self, us: u64) {
        match index(us) {
            Some(i) => self.counts[i] += 1,
            None => self.zero += 1,
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Of all durations together, in seconds.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum as f64 / 1e6
    }

    /// Durations that count as zero, and how long they are at the most, in seconds.
    pub(crate) fn zero(&self) -> (u64, f64) {
        (self.zero, f64::from(LEAST).exp2())
    }

    /// The buckets that are not empty: Prometheus' index of each, by which its upper bound is 2^(index / 8) seconds, and its count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        let first = LEAST * PER_POWER + 1;
        let used = self.counts.iter().zip(first..);
        used.filter(|(n, _)| **n > 0).map(|(n, i)| (i, *n))
    }

    /// How many durations were up to 2^`power` seconds long, `power` being one of those that have buckets.
    pub(crate) fn up_to_power(&self, power: i32) -> u64 {
        let n = (power.clamp(LEAST, GREATEST) - LEAST) * PER_POWER;
        let n = usize::try_from(n).unwrap_or(0);
        self.zero + self.counts[..n].iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_lies_in_its_bucket() {
        for us in (0..3000).chain((1..60_000).map(|n| n * 1000)) {
            let mut h = Exponential::default();
            h.record_us(us);
            let seconds = us as f64 / 1e6;
            match h.buckets().next() {
                None => assert!(seconds <= h.zero().1 && h.zero().0 == 1, "{us}"),
                Some((i, n)) => {
                    let (low, high) = (f64::from(i - 1) / 8.0, f64::from(i) / 8.0);
                    assert!(low.exp2() < seconds && seconds <= high.exp2(), "{us}");
                    assert_eq!((n, h.zero().0), (1, 0), "{us}");
                }
            }
        }
    }

    #[test]
    fn counts_up_to_a_power_add_up() {
        let mut h = Exponential::default();
        for us in [0, 1, 900, 1000, 2_000_000, 500_000_000, u64::MAX] {
            h.record_us(us);
        }
        assert_eq!(h.up_to_power(-20), 1);
        // 0.98 ms
        assert_eq!(h.up_to_power(-10), 3);
        assert_eq!(h.up_to_power(-9), 4);
        assert_eq!(h.up_to_power(1), 5);
        // What is beyond the last bucket is in it.
        assert_eq!(h.up_to_power(6), 7);
        assert_eq!(h.count(), 7);
        assert!(h.sum_seconds() > 1e12);
    }
}
