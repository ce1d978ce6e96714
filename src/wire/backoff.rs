//! How long to wait before trying again what has failed: twice as long each time, up to a bound, and never as long as another.
//!
//! Must not know what is tried, nor clocks.

/// Milliseconds before the next attempt, after `failed` in a row (1 or more): between half of the step and all of it. Steps
/// begin at two seconds and end at `most_ms`. `random` is any number.
pub fn backoff_ms(failed: u32, most_ms: i64, random: u64) -> i64 {
    let step = (1000i64 << failed.clamp(1, 20)).min(most_ms.max(0));
    let half = step / 2;
    let jitter = random % (half.unsigned_abs() + 1);
    half + i64::try_from(jitter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_bound_and_differ() {
        let mut least_before = 0;
        for (failed, step) in [(1, 2000), (2, 4000), (3, 8000), (6, 60_000), (1000, 60_000)] {
            let of = |random| backoff_ms(failed, 60_000, random);
            let all: Vec<i64> = (0..100_000).step_by(7).map(of).collect();
            let (least, most) = (all.iter().min().copied(), all.iter().max().copied());
            assert_eq!(least, Some(step / 2), "{failed}");
            assert!(
                most.is_some_and(|m| m <= step && m > step * 9 / 10),
                "{failed}"
            );
            assert!(least >= Some(least_before));
            least_before = step / 2;
        }
        assert_eq!(backoff_ms(0, 60_000, 0), 1000);
        for most in [i64::MIN, -1, 0, 1] {
            assert!((0..=1).contains(&backoff_ms(3, most, u64::MAX)));
        }
        assert!(backoff_ms(u32::MAX, i64::MAX, u64::MAX) <= 1000 << 20);
    }
}
