//! How attempts at one thing are spaced: never without a pause, and ever more seldom while trying again does not help.
//!
//! Three rules, all in [`Pacing`]. Whatever ended the last attempt, there is one a second, but for a second one that may follow
//! the first at once: what was lost a moment after it began comes back as fast as it can, once. What has never worked is tried
//! ten times in a minute at the most, and then every half a minute or so. And what fails for a reason that will still be there
//! waits twice as long each time, up to a bound, and never as long as another server.
//!
//! Must not know what is tried, nor clocks: time is milliseconds of one that never goes back.

/// Milliseconds for each attempt: as many attempts as this goes into a time, and one more, are made in it at the most.
pub(crate) const FLOOR_MS: u64 = 1000;

/// Seconds between the first attempts at what has never worked; from then on the last of them.
const NEVER_WORKED_S: [u64; 9] = [1, 1, 2, 3, 5, 8, 13, 20, 30];

/// When the next attempt may begin. See the head of the file.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pacing {
    /// Failures in a row for a reason that stays.
    failed: u32,
    /// Attempts in a row at what has never worked.
    never: u32,
    /// When the last attempt began, and where the next would begin if each took [`FLOOR_MS`].
    begun: u64,
    next: u64,
    not_before: u64,
}

impl Pacing {
    /// Nothing is held against the next attempt.
    pub(crate) fn reset(&mut self) {
        *self = Pacing::default();
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, now: u64) {
        self.begun = now;
        self.next = self.next.max(now).saturating_add(FLOOR_MS);
    }

    /// It went well: later failures are the first ones again.
    pub(crate) fn succeeded(&mut self) {
        self.failed = 0;
        self.never = 0;
        self.not_before = 0;
    }

    /// It had got somewhere, and was lost. Returns the milliseconds until the next one may begin: none for the first.
    pub(crate) fn lost(&mut self, now: u64) -> u64 {
        self.not_before = self.next.saturating_sub(FLOOR_MS);
        self.wait(now)
    }

    /// It got nowhere, which costs little: it is tried again each second. Returns milliseconds as [`Self::lost`].
    pub(crate) fn in_vain(&mut self, now: u64) -> u64 {
        self.not_before = self.begun.saturating_add(FLOOR_MS);
        self.not_before = self.not_before.max(self.next.saturating_sub(FLOOR_MS));
        self.wait(now)
    }

    /// It has never worked; `lost`: it got somewhere, so that the first one after it may follow at once. Returns milliseconds as
    /// [`Self::lost`]; they are counted from the beginning of one to that of the next, `most` at the most, but never less than
    /// [`FLOOR_MS`]. `random` is any number.
    pub(crate) fn never_worked(&mut self, lost: bool, now: u64, most: u64, random: u64) -> u64 {
        let nth = usize::try_from(self.never).unwrap_or(usize::MAX);
        self.never = self.never.saturating_add(1);
        if lost && nth == 0 {
            return self.lost(now);
        }
        let step = NEVER_WORKED_S[nth.min(NEVER_WORKED_S.len() - 1)] * 1000;
        let step = step.min(most.max(FLOOR_MS));
        // The longer ones differ from server to server, by a quarter.
        let less = match step {
            ..5000 => 0,
            _ => random % (step / 4 + 1),
        };
        self.not_before = self.begun.saturating_add(step - less);
        self.not_before = self.not_before.max(self.next.saturating_sub(FLOOR_MS));
        self.wait(now)
    }

    /// It failed, and will fail again. Returns the milliseconds until the next one may begin: `most` at the most, but never
    /// less than [`FLOOR_MS`]. `random` is any number.
    pub(crate) fn failed(&mut self, now: u64, most: u64, random: u64) -> u64 {
        self.failed = self.failed.saturating_add(1);
        let delay = backoff_ms(self.failed, most, random);
        self.not_before = now.saturating_add(delay);
        delay
    }

    /// How often it failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failed
    }

    /// Milliseconds until the next one may begin.
    pub(crate) fn wait(&self, now: u64) -> u64 {
        self.not_before.saturating_sub(now)
    }
}

/// So many of what a [`Floor`] paces may follow each other at once.
pub(crate) const BURST: u64 = 8;

/// Lets [`BURST`] of a thing follow each other at once, and from then on one every [`FLOOR_MS`]; what is not used comes back at
/// that pace.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Floor {
    /// When all that was let through would be over, had each taken [`FLOOR_MS`].
    over: u64,
}

impl Floor {
    /// Milliseconds until the next one may pass.
    pub(crate) fn wait(&self, now: u64) -> u64 {
        let most = (BURST - 1) * FLOOR_MS;
        self.over.saturating_sub(now.saturating_add(most))
    }

    /// One passes.
    pub(crate) fn pass(&mut self, now: u64) {
        self.over = self.over.max(now).saturating_add(FLOOR_MS);
    }

    /// The last one went wrong: the next one waits as if as many as may had followed each other.
    pub(crate) fn use_up(&mut self, now: u64) {
        self.over = self.over.max(now.saturating_add(BURST * FLOOR_MS));
    }
}

/// Milliseconds before the next attempt, after `failed` in a row (1 or more): between half of the step and all of it. Steps
/// begin at two seconds and end at `most`, or at two seconds where that is less. `random` is any number.
fn backoff_ms(failed: u32, most: u64, random: u64) -> u64 {
    let step = (FLOOR_MS << failed.clamp(1, 20)).min(most.max(2 * FLOOR_MS));
    let half = step / 2;
    half + random % (half + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_bound_and_differ() {
        let mut least_before = 0;
        for (failed, step) in [(1, 2000), (2, 4000), (3, 8000), (6, 60_000), (1000, 60_000)] {
            let of = |random| backoff_ms(failed, 60_000, random);
            let all: Vec<u64> = (0..100_000).step_by(7).map(of).collect();
            let (least, most) = (all.iter().min().copied(), all.iter().max().copied());
            assert_eq!(least, Some(step / 2), "{failed}");
            assert!(
                most.is_some_and(|m| m <= step && m > step * 9 / 10),
                "{failed}"
            );
            assert!(least >= Some(least_before));
            least_before = step / 2;
        }
        assert_eq!(backoff_ms(0, 60_000, 0), FLOOR_MS);
        // However short it is to be, it is no less than the floor.
        for most in [0, 1, 2000] {
            assert!((1000..=2000).contains(&backoff_ms(9, most, u64::MAX)));
        }
        assert!(backoff_ms(u32::MAX, u64::MAX, u64::MAX) <= 1000 << 20);
    }

    #[test]
    fn a_floor_lets_some_pass_and_then_one_a_second() {
        let passed = |from: u64, to: u64, floor: &mut Floor| {
            let mut n = 0;
            for now in from..to {
                if floor.wait(now) == 0 {
                    floor.pass(now);
                    n += 1;
                }
            }
            n
        };
        let mut floor = Floor::default();
        assert_eq!(passed(5, 1_000, &mut floor), BURST);
        assert_eq!(passed(1_000, 11_000, &mut floor), 10);
        // What a rest gives back has a bound.
        assert_eq!(passed(100_000, 100_100, &mut floor), BURST);
        let mut floor = Floor::default();
        floor.pass(50);
        floor.use_up(60);
        assert_eq!(floor.wait(60), FLOOR_MS);
        assert_eq!(passed(60, 10_060, &mut floor), 9);
        floor.use_up(u64::MAX);
        assert_eq!(floor.wait(u64::MAX), 0);
    }

    /// Plays attempts that each take `lasts` ms for ten seconds; returns how many began.
    fn attempts(lasts: u64, end: impl Fn(&mut Pacing, u64) -> u64) -> u32 {
        let (mut pace, mut now, mut n) = (Pacing::default(), 5, 0);
        while now < 10_005 {
            assert_eq!(pace.wait(now), 0);
            pace.begin(now);
            n += 1;
            now += lasts;
            now += end(&mut pace, now);
        }
        n
    }

    #[test]
    fn nothing_repeats_without_a_pace() {
        for lasts in [0, 1, 10, 300] {
            // One more than there are seconds.
            assert_eq!(attempts(lasts, Pacing::lost), 11, "{lasts}");
            assert_eq!(attempts(lasts, Pacing::in_vain), 10, "{lasts}");
            // A second, two, four.
            assert_eq!(
                attempts(lasts, |p, now| p.failed(now, 60_000, 0)),
                4,
                "{lasts}"
            );
            assert!(
                attempts(lasts, |p, now| p.failed(now, 0, 0)) <= 10,
                "{lasts}"
            );
        }
    }

    #[test]
    fn what_never_worked_is_tried_ten_times_in_a_minute_and_then_every_half() {
        for (lasts, lost) in [(0, false), (300, false), (0, true), (2500, true)] {
            for random in [0, 1234, u64::MAX] {
                let (mut pace, mut now) = (Pacing::default(), 7);
                let mut begun = Vec::new();
                while now < 600_000 {
                    pace.begin(now);
                    begun.push(now);
                    now += lasts;
                    now += pace.never_worked(lost, now, 30_000, random);
                }
                let first = begun.iter().filter(|t| **t < 60_007).count();
                assert!((7..=10).contains(&first), "{first} {begun:?}");
                let gaps = begun.windows(2).map(|w| w[1] - w[0]);
                assert!(gaps.clone().all(|g| g <= 30_000), "{begun:?}");
                assert!(gaps.skip(9).all(|g| g >= 22_000), "{begun:?}");
            }
        }
        // One that takes longer than it would wait is followed by the next at once.
        let mut pace = Pacing::default();
        for i in 0..20 {
            pace.begin(i * 60_000);
            assert_eq!(pace.never_worked(false, i * 60_000 + 59_000, 30_000, 0), 0);
        }
        // However short it is to be, it is no less than the floor; and what has worked begins anew.
        pace.begin(2_000_000);
        assert_eq!(pace.never_worked(false, 2_000_000, 10, 0), FLOOR_MS);
        pace.succeeded();
        pace.begin(3_000_000);
        assert_eq!(pace.never_worked(false, 3_000_000, 30_000, 0), 1000);
    }

    #[test]
    fn what_was_up_for_a_while_comes_back_at_once() {
        let mut pace = Pacing::default();
        pace.begin(1000);
        assert_eq!(pace.lost(1001), 0);
        pace.begin(1001);
        assert_eq!(pace.lost(1002), 998);
        pace.begin(2000);
        pace.succeeded();
        assert_eq!(pace.lost(60_000), 0);
        assert_eq!(pace.failed(60_000, 60_000, 0), 1000);
        assert_eq!(pace.failed(61_000, 60_000, 0), 2000);
        assert_eq!((pace.failures(), pace.wait(61_500)), (2, 1500));
        pace.succeeded();
        assert_eq!((pace.failures(), pace.wait(61_500)), (0, 0));
        assert_eq!(pace.failed(70_000, 60_000, 0), 1000);
        pace.reset();
        assert_eq!(pace.wait(70_000), 0);
    }
}
