//! A latency histogram: log-linear buckets with two significant digits (what hdr_histogram is to upstream). Recording is a
//! few instructions; a histogram is a fixed array, made at a command's first call.

/// Linear buckets in each power of two: values are kept to better than one part in 128.
const SUB_BITS: u32 = 7;
const SUB: usize = 1 << SUB_BITS;
/// The largest value that is told apart: about one second in nanoseconds (LATENCY_HISTOGRAM_MAX_VALUE).
const MAX_VALUE: u64 = 1_000_000_000;
const BUCKETS: usize = index(MAX_VALUE) + 1;

/// Counts of durations in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [u32; BUCKETS],
    total: u64,
}

const fn index(v: u64) -> usize {
    if v < SUB as u64 * 2 {
        return v as usize;
    }
    let exp = 63 - v.leading_zeros() - SUB_BITS;
    ((exp as usize) << SUB_BITS) + (v >> exp) as usize
}

/// The largest value that falls into the same bucket.
const fn highest_equivalent(i: usize) -> u64 {
    if i < SUB * 2 {
        return i as u64;
    }
    let exp = (i >> SUB_BITS) - 1;
    let sub = (i - (exp << SUB_BITS)) as u64;
    ((sub + 1) << exp) - 1
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: [0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one value, in nanoseconds.
    #[inline]
    pub(crate) fn record(&mut self, ns: u64) {
        let i = index(ns.min(MAX_VALUE));
        // Four thousand million calls of one duration: a wrap is no harm to a percentile.
        self.counts[i] = self.counts[i].wrapping_add(1);
        self.total += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The value below or at which `percentile` (0..=100) of the recorded ones lie, in nanoseconds.
    pub(crate) fn value_at_percentile(&self, percentile: f64) -> u64 {
        let want = (percentile.clamp(0.0, 100.0) / 100.0 * self.total as f64 + 0.5) as u64;
        let want = want.max(1);
        let mut seen = 0;
        for (i, n) in self.counts.iter().enumerate() {
            seen += u64::from(*n);
            if seen >= want {
                return highest_equivalent(i);
            }
        }
        0
    }

    /// Counts of the values up to some bound, the bound in microseconds: bounds double from a microsecond on, and those that
    /// bring nothing new are left out (fillCommandCDF).
    pub(crate) fn cumulative_by_doubling(&self) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        let mut before = 0;
        let mut level = 1024u64;
        while before < self.total {
            let past_all = level > MAX_VALUE;
            let count = if past_all {
                self.total
            } else {
                self.count_up_to(level)
            };
            if count > before {
                let bound = if past_all {
                    level - 1
                } else {
                    highest_equivalent(index(level))
                };
                out.push((bound / 1000, count));
            }
            if past_all {
                break;
            }
            before = count;
            level *= 2;
        }
        out
    }

    /// How many values are at most `ns`.
    pub(crate) fn count_up_to(&self, ns: u64) -> u64 {
        let last = index(ns.min(MAX_VALUE));
        self.counts[..=last].iter().map(|n| u64::from(*n)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_precise() {
        let mut last = 0;
        for v in 0..2_000_000u64 {
            let i = index(v);
            assert!(i == last || i == last + 1, "{v}");
            last = i;
            let high = highest_equivalent(i);
            assert!(
                high >= v && (high - v) as f64 <= v as f64 / 100.0,
                "{v} {high}"
            );
        }
        assert!(index(MAX_VALUE) < BUCKETS);
    }

    #[test]
    fn percentiles() {
        let mut h = Histogram::default();
        for us in 1..=1000u64 {
            h.record(us * 1000);
        }
        let near = |p: f64, want: f64| {
            let got = h.value_at_percentile(p) as f64;
            assert!((got / want - 1.0).abs() < 0.02, "{p}: {got}");
        };
        near(50.0, 500_000.0);
        near(99.0, 990_000.0);
        near(99.9, 999_000.0);
        assert_eq!(h.total(), 1000);
        let steps = h.cumulative_by_doubling();
        let bounds: Vec<u64> = steps.iter().map(|s| s.0).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056]);
        assert_eq!((steps[0].1, steps[4].1, steps[10].1), (1, 16, 1000));
        assert_eq!(h.count_up_to(MAX_VALUE), 1000);
        h.record(5_000_000_000);
        assert_eq!(h.cumulative_by_doubling().last(), Some(&(1_073_741, 1001)));
    }
}
