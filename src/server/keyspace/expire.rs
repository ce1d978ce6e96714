//! Keys that expire without being asked for: the active cycle of a master, and a writable replica's own keys (expire.c).
//!
//! The cycle samples the expire index of each database and goes on with a database as long as the share of expired keys
//! among the sampled ones is high. Keys lie in the index in the order in which they were created, and keys that were created
//! together tend to expire together; so the walk visits the places in a scattered order: a few samples then speak for the
//! whole database, and still every place is visited once in a sweep.
//!
//! Invariants: nothing is left in the queue of `exec.call` by a cycle; `SlaveKeys` names keys that may be gone.

use std::collections::HashMap;

use crate::base::clock::{mstime, ustime};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::blocked::PauseActions;
use crate::store::db::Db;

// For an effort of 1; see Effort.
const ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP: usize = 20;
/// Microseconds.
const ACTIVE_EXPIRE_CYCLE_FAST_DURATION: i64 = 1000;
/// Percent of the time.
const ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC: i64 = 25;
/// Percent of the sampled keys.
const ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE: usize = 10;
/// Databases looked at in one call (CRON_DBS_PER_CALL).
const CRON_DBS_PER_CALL: usize = 16;
/// The clock is read once in so many rounds.
const ROUNDS_PER_CLOCK_READ: u32 = 16;
/// Places that are tried for one sample, at the most: some of them are beyond the end of the index.
const TRIES_PER_SAMPLE: usize = 20;
/// A buffer for names that is larger than this is given back.
const NAME_KEPT: usize = 4096;
/// Databases whose keys a writable replica remembers: one bit each.
const SLAVE_KEY_DBS: usize = 64;
/// Keys in a row that have not expired yet end expire_slave_keys.
const SLAVE_KEYS_NOT_EXPIRED_MAX: u32 = 3;

/// Which cycle runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cycle {
    /// From the cron: a share of the time between two calls.
    Slow,
    /// Before the loop sleeps: short, and only when the last cycle left work.
    Fast,
}

/// What active-expire-effort (1 to 10) means.
struct Effort {
    keys_per_loop: usize,
    fast_duration_us: i64,
    slow_time_perc: i64,
    acceptable_stale: usize,
}

impl Effort {
    fn new(effort: i32) -> Effort {
        let more = effort.clamp(1, 10) - 1;
        let (n, m) = (more as usize, i64::from(more));
        Effort {
            keys_per_loop: ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP
                + ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP / 4 * n,
            fast_duration_us: ACTIVE_EXPIRE_CYCLE_FAST_DURATION
                + ACTIVE_EXPIRE_CYCLE_FAST_DURATION / 4 * m,
            slow_time_perc: ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC + 2 * m,
            acceptable_stale: ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE - n,
        }
    }
}

/// What expiry remembers between two calls.
#[derive(Default)]
pub(crate) struct ExpireState {
    /// The next database of the cycle.
    current_db: usize,
    /// The last cycle ran out of time.
    timelimit_exit: bool,
    /// Unix microseconds of the last fast cycle.
    last_fast_cycle: i64,
    /// The name of the key that is being deleted.
    name: Vec<u8>,
    slave_keys: SlaveKeys,
}

/// Keys that a writable replica gave an expiry to on its own account: their master will send no DEL for them
/// (slaveKeysWithExpire).
#[derive(Default)]
struct SlaveKeys {
    /// Name, and the databases it may be in as bits.
    list: Vec<(Box<[u8]>, u64)>,
    places: HashMap<Box<[u8]>, usize>,
    /// The place in the list to look at next.
    next: usize,
}

impl SlaveKeys {
    fn insert(&mut self, db: usize, key: &[u8]) {
        let bit = 1u64 << db;
        if let Some(i) = self.places.get(key) {
            self.list[*i].1 |= bit;
            return;
        }
        self.places.insert(key.into(), self.list.len());
        self.list.push((key.into(), bit));
    }

    /// The last one takes the place of the one that goes.
    fn remove(&mut self, i: usize) {
        let (key, _) = self.list.swap_remove(i);
        self.places.remove(&key);
        if let Some((moved, _)) = self.list.get(i)
            && let Some(place) = self.places.get_mut(moved)
        {
            *place = i;
        }
    }
}

/// Bits of the places in an index of `len` keys.
fn place_bits(len: usize) -> u32 {
    usize::BITS - len.saturating_sub(1).leading_zeros()
}

/// The `i`-th place of a sweep over all places of so many bits: a permutation in which neighbours are far apart. Multiplying
/// by an odd number and folding the upper half into the lower one are both one-to-one on `bits` bits.
fn scattered_place(i: usize, bits: u32) -> usize {
    const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9];
    if bits == 0 {
        return 0;
    }
    let mask = u64::MAX >> (64 - bits.min(64));
    let mut p = i as u64 & mask;
    for odd in ODD {
        p = p.wrapping_mul(odd) & mask;
        p ^= p >> bits.div_ceil(2);
    }
    p as usize
}

/// What one round found.
#[derive(Default)]
struct Round {
    sampled: usize,
    expired: usize,
    /// Sum of the times to live, in ms, of those that have not expired, and how many they are.
    ttl_sum: i64,
    ttl_samples: i64,
}

/// A running average of the time to live, in which a sample weighs 2%.
fn update_avg_ttl(db: &mut Db, round: &Round) {
    if let Some(avg) = round.ttl_sum.checked_div(round.ttl_samples) {
        if db.avg_ttl == 0 {
            db.avg_ttl = avg;
        }
        db.avg_ttl = db.avg_ttl / 50 * 49 + avg / 50;
    }
}

impl Server {
    /// Deletes keys that have expired, as many as the time allows and the share of them asks for (activeExpireCycle).
    pub(crate) fn active_expire_cycle(&mut self, cycle: Cycle) {
        // Asked before the clock is read: a fast cycle is considered in each turn of the loop. Upstream compares a fraction
        // with a percentage here, so that only the time limit ever counts.
        let e = Effort::new(self.config.active_expire_effort);
        if cycle == Cycle::Fast
            && !self.expire.timelimit_exit
            && self.stats.expired_stale_perc < e.acceptable_stale as f64
        {
            return;
        }
        if self.is_paused(PauseActions::EXPIRE) || !self.snapshot_lets_change() {
            return;
        }
        let start = ustime();
        if cycle == Cycle::Fast {
            if start < self.expire.last_fast_cycle + e.fast_duration_us * 2 {
                return;
            }
            self.expire.last_fast_cycle = start;
        }
        let dbs = self.dbs.len();
        let dbs_per_call = if self.expire.timelimit_exit {
            dbs
        } else {
            CRON_DBS_PER_CALL.min(dbs)
        };
        let hz = i64::from(self.cron.hz.max(1));
        let timelimit = match cycle {
            Cycle::Slow => (e.slow_time_perc * 1_000_000 / hz / 100).max(1),
            Cycle::Fast => e.fast_duration_us,
        };
        self.expire.timelimit_exit = false;

        let (mut sampled, mut expired) = (0, 0);
        let mut rounds = 0u32;
        for _ in 0..dbs_per_call {
            let db = self.expire.current_db % dbs;
            self.expire.current_db = (db + 1) % dbs;
            loop {
                rounds += 1;
                if self.dbs[db].keys.expires_len() == 0 {
                    self.dbs[db].avg_ttl = 0;
                    break;
                }
                let round = self.expire_round(db, e.keys_per_loop);
                sampled += round.sampled;
                expired += round.expired;
                update_avg_ttl(&mut self.dbs[db], &round);
                if rounds.is_multiple_of(ROUNDS_PER_CLOCK_READ) && ustime() - start > timelimit {
                    self.expire.timelimit_exit = true;
                    self.stats.expired_time_cap_reached += 1;
                    break;
                }
                if round.expired * 100 <= e.acceptable_stale * round.sampled {
                    break;
                }
            }
            if self.expire.timelimit_exit {
                break;
            }
        }
        let us = (ustime() - start).max(0) as u64;
        self.stats.expire_cycle_time_used_us += us;
        self.latency_add_sample_if_needed("expire-cycle", (us / 1000) as i64);
        let share = if sampled > 0 {
            expired as f64 / sampled as f64
        } else {
            0.0
        };
        self.stats.expired_stale_perc = share * 0.05 + self.stats.expired_stale_perc * 0.95;
    }

    /// Looks at up to `most` keys of a database and deletes those that have expired.
    fn expire_round(&mut self, db: usize, most: usize) -> Round {
        let now = mstime();
        let mut round = Round::default();
        let len = self.dbs[db].keys.expires_len();
        let n = len.min(most);
        let bits = place_bits(len);
        // At least every other place is in the index when the round starts, and each deletion is a sample.
        for _ in 0..n * TRIES_PER_SAMPLE {
            if round.sampled == n {
                break;
            }
            let d = &mut self.dbs[db];
            let place = scattered_place(d.expires_cursor, bits);
            let Some(entry) = d.keys.expiring(place) else {
                d.expires_cursor = d.expires_cursor.wrapping_add(1);
                continue;
            };
            round.sampled += 1;
            let ttl = entry.expire().map_or(0, |at| at.saturating_sub(now));
            if ttl < 0 {
                let mut name = std::mem::take(&mut self.expire.name);
                name.clear();
                name.extend_from_slice(entry.name());
                self.active_expire_cycle_expire(db, &name);
                // A name of many megabytes is not worth keeping room for.
                if name.capacity() <= NAME_KEPT {
                    self.expire.name = name;
                }
                round.expired += 1;
                // The last key has taken the place: it is looked at next.
                continue;
            }
            if ttl > 0 {
                round.ttl_sum = round.ttl_sum.saturating_add(ttl);
                round.ttl_samples += 1;
            }
            d.expires_cursor = d.expires_cursor.wrapping_add(1);
        }
        round
    }

    /// Deletes a key whose time has come, and sends its DEL by itself.
    fn active_expire_cycle_expire(&mut self, db: usize, key: &[u8]) {
        self.delete_expired_key_and_propagate(db, key);
        self.propagate_pending_commands();
    }

    /// A key was given an expiry by a command. On a writable replica it is remembered, unless the command is our master's
    /// (rememberSlaveKeyWithExpire, and its condition in setExpire).
    #[inline]
    pub(crate) fn remember_slave_key_with_expire(&mut self, cid: ClientId, db: usize, key: &[u8]) {
        if self.repl.master_host.is_some()
            && !self.config.replica_read_only
            && db < SLAVE_KEY_DBS
            && !self.is_master_client(cid)
        {
            self.expire.slave_keys.insert(db, key);
        }
    }

    /// How many keys are remembered: INFO's slave_expires_tracked_keys (getSlaveKeyWithExpireCount).
    pub(crate) fn slave_keys_with_expire_count(&self) -> usize {
        self.expire.slave_keys.list.len()
    }

    /// Forgets them: the data set is another one (flushSlaveKeysWithExpireList).
    pub(crate) fn flush_slave_keys_with_expire_list(&mut self) {
        self.expire.slave_keys = SlaveKeys::default();
    }

    /// Deletes remembered keys whose time has come (expireSlaveKeys); for a millisecond or so.
    pub(crate) fn expire_slave_keys(&mut self) {
        if self.expire.slave_keys.list.is_empty() {
            return;
        }
        let start = mstime();
        let mut not_expired = 0;
        let mut cycles = 0u32;
        loop {
            let keys = &mut self.expire.slave_keys;
            let len = keys.list.len();
            if len == 0 {
                break;
            }
            if keys.next >= len {
                keys.next = 0;
            }
            let place = keys.next;
            let (key, dbs) = (keys.list[place].0.clone(), keys.list[place].1);
            let mut left = 0;
            for db in 0..self.dbs.len().min(SLAVE_KEY_DBS) {
                if dbs >> db & 1 == 0 {
                    continue;
                }
                let table = &self.dbs[db].keys;
                let found = table.find(table.hash(&key), &key);
                match found.and_then(|s| table.at(s).expire()) {
                    Some(at) if start > at => self.active_expire_cycle_expire(db, &key),
                    Some(_) => {
                        left |= 1 << db;
                        not_expired += 1;
                    }
                    None => {}
                }
            }
            let keys = &mut self.expire.slave_keys;
            if left == 0 {
                keys.remove(place);
            } else {
                keys.list[place].1 = left;
                keys.next = place + 1;
            }
            cycles += 1;
            if not_expired > SLAVE_KEYS_NOT_EXPIRED_MAX
                || (cycles.is_multiple_of(64) && mstime() - start > 1)
            {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_scales_as_configured() {
        let (low, high) = (Effort::new(1), Effort::new(10));
        assert_eq!((low.keys_per_loop, high.keys_per_loop), (20, 65));
        assert_eq!((low.fast_duration_us, high.fast_duration_us), (1000, 3250));
        assert_eq!((low.slow_time_perc, high.slow_time_perc), (25, 43));
        assert_eq!((low.acceptable_stale, high.acceptable_stale), (10, 1));
    }

    #[test]
    fn a_sweep_visits_every_place_once() {
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 1 << 20].map(place_bits),
            [0, 0, 1, 2, 2, 3, 20]
        );
        for bits in 0..=13 {
            let mut seen = vec![false; 1 << bits];
            for i in 77..77 + seen.len() {
                let p = scattered_place(i, bits);
                assert!(!std::mem::replace(&mut seen[p], true), "{bits} {i} {p}");
            }
        }
    }

    #[test]
    fn a_few_samples_speak_for_the_whole_index() {
        // Each pattern marks half of the places; no run of twenty samples may miss it or see nothing else.
        let bits = 16;
        let patterns: [fn(usize) -> bool; 5] = [
            |p| p < 1 << 15,
            |p| p >= 1 << 15,
            |p| p & 1 == 0,
            |p| p & 2 == 0,
            |p| p & 0x100 == 0,
        ];
        for (n, marked) in patterns.iter().enumerate() {
            for start in (0..1 << bits).step_by(20) {
                let hits = (start..start + 20)
                    .filter(|i| marked(scattered_place(*i, bits)))
                    .count();
                assert!((1..=19).contains(&hits), "{n} {start} {hits}");
            }
        }
    }

    #[test]
    fn remembered_keys_keep_their_places() {
        let mut k = SlaveKeys::default();
        for name in [b"a", b"b", b"c"] {
            k.insert(1, name);
        }
        k.insert(3, b"a");
        assert_eq!(k.list[0], (b"a".as_slice().into(), 0b1010));
        k.remove(0);
        assert_eq!(k.list.len(), 2);
        for (i, (name, _)) in k.list.iter().enumerate() {
            assert_eq!(k.places[name], i);
        }
        k.remove(1);
        k.remove(0);
        assert!(k.list.is_empty() && k.places.is_empty());
    }
}
