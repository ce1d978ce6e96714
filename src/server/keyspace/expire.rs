//! Keys that expire without being asked for: the active cycle of a master, and a writable replica's own keys (expire.c).
//!
//! The expire index (`store::entry::index`) knows which keys are due, and so the cycle deletes those and looks at no others. It
//! works by short steps, before the loop sleeps: an idle loop does little else until all are gone, a busy one gives it at most half
//! of its time. How late it is, INFO tells.
//!
//! Invariants: nothing is left in the queue of `exec.call` by a cycle; `SlaveKeys` names keys that may be gone.

use std::collections::HashMap;

use crate::base::clock::{monotonic_us, mstime};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::blocked::PauseActions;
use crate::store::db::Db;
use crate::store::entry::index::Turn;

// For an effort of 1; see Effort.
/// Keys that are sampled of a database, for what INFO says of it (ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP).
const ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP: usize = 20;
/// The longest that a cycle takes, and how much longer with each step of the effort; microseconds.
const STEP_US: u64 = 500;
const STEP_MORE_US: u64 = 100;
/// What a busy turn of the loop leaves it at least.
const SHORTEST_US: u64 = 50;
/// The index is asked again after so many milliseconds if it had nothing more.
const LOOK_AGAIN_MS: i64 = 16;
/// Databases that are sampled in one call (CRON_DBS_PER_CALL).
const CRON_DBS_PER_CALL: usize = 16;
/// The clock is read once for so many keys.
const KEYS_PER_CLOCK_READ: u32 = 16;
/// A buffer for names that is larger than this is given back.
const NAME_KEPT: usize = 4096;
/// Databases whose keys a writable replica remembers: one bit each.
const SLAVE_KEY_DBS: usize = 64;
/// Keys in a row that have not expired yet end expire_slave_keys.
const SLAVE_KEYS_NOT_EXPIRED_MAX: u32 = 3;

/// Which cycle runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cycle {
    /// From the cron: it samples the databases, too.
    Slow,
    /// Before the loop sleeps.
    Fast,
}

/// What active-expire-effort (1 to 10) means.
struct Effort {
    samples: usize,
    step_us: u64,
}

impl Effort {
    fn new(effort: i32) -> Effort {
        let more = effort.clamp(1, 10).unsigned_abs() - 1;
        Effort {
            samples: ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP
                + ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP / 4 * more as usize,
            step_us: STEP_US + STEP_MORE_US * u64::from(more),
        }
    }
}

/// What expiry remembers between two calls.
#[derive(Default)]
pub(crate) struct ExpireState {
    /// The database that the cycle goes on with, and the next one to be sampled.
    current_db: usize,
    sampled_db: usize,
    /// The last cycle ran out of time: there is more.
    more: bool,
    /// Else the next one looks for work from then on; unix ms.
    look_at: i64,
    /// When the last cycle that had work ended, monotonic microseconds, and what had been called by then.
    ended_us: u64,
    commands: u64,
    /// By how many milliseconds the key was late that the last cycle deleted last, while there is more; else 0.
    late_ms: i64,
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

/// What sampling a database found.
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
    /// Deletes keys that have expired, as many as the time allows (activeExpireCycle). True: there are more, and the loop should
    /// not wait.
    pub(crate) fn active_expire_cycle(&mut self, cycle: Cycle) -> bool {
        if cycle == Cycle::Fast && !self.expire.more && self.clock.unix_ms < self.expire.look_at {
            return false;
        }
        if self.is_paused(PauseActions::EXPIRE) || !self.snapshot_lets_change() {
            return false;
        }
        // Keys on their way from another node go when that one says so; until they are here, none goes by itself.
        if !self.slot_migrations.imports.is_empty() {
            return false;
        }
        let e = Effort::new(self.config.active_expire_effort);
        if cycle == Cycle::Slow {
            self.sample_expiry(e.samples);
        }
        let start = monotonic_us();
        let limit = if self.stats.num_commands == self.expire.commands {
            e.step_us
        } else {
            let since = start.saturating_sub(self.expire.ended_us);
            since.clamp(SHORTEST_US, e.step_us)
        };
        let now = mstime();
        let (deleted, more) = self.delete_due_keys(now, start + limit);
        self.expire.more = more;
        if !more {
            self.expire.late_ms = 0;
            self.expire.look_at = now + LOOK_AGAIN_MS;
        }
        if deleted || more {
            let end = monotonic_us();
            let us = end.saturating_sub(start);
            self.stats.expire_cycle_time_used_us += us;
            self.latency_add_sample_if_needed("expire-cycle", (us / 1000) as i64);
            self.stats.expired_time_cap_reached += u64::from(more);
            self.expire.ended_us = end;
            self.expire.commands = self.stats.num_commands;
        }
        more
    }

    /// Deletes keys that are due at this moment (unix ms) until a time on the monotonic clock. Returns whether there were any, and
    /// whether there are more.
    fn delete_due_keys(&mut self, now: i64, until: u64) -> (bool, bool) {
        let (mut any, mut turns) = (false, 0u32);
        for _ in 0..self.dbs.len() {
            let db = self.expire.current_db % self.dbs.len();
            loop {
                match self.dbs[db].keys.next_expired(now) {
                    Turn::Nothing => break,
                    Turn::Listed => {}
                    Turn::Expired(e) => {
                        let late = now.saturating_sub(e.expire().unwrap_or(now));
                        let mut name = std::mem::take(&mut self.expire.name);
                        name.clear();
                        name.extend_from_slice(e.name());
                        self.active_expire_cycle_expire(db, &name);
                        // A name of many megabytes is not worth keeping room for.
                        if name.capacity() <= NAME_KEPT {
                            self.expire.name = name;
                        }
                        any = true;
                        self.expire.late_ms = late;
                        self.stats.expire_late_max_ms = self.stats.expire_late_max_ms.max(late);
                    }
                }
                turns += 1;
                if turns.is_multiple_of(KEYS_PER_CLOCK_READ) && monotonic_us() >= until {
                    return (any, true);
                }
            }
            self.expire.current_db = (db + 1) % self.dbs.len();
        }
        (any, false)
    }

    /// By how many milliseconds keys are deleted too late at present: INFO's expire_lateness_ms.
    pub(crate) fn expire_lateness_ms(&self) -> i64 {
        self.expire.late_ms
    }

    /// Estimates the time to live of each database's keys, and how many have expired that are still there.
    fn sample_expiry(&mut self, most: usize) {
        let now = mstime();
        let (mut sampled, mut expired) = (0, 0);
        for _ in 0..CRON_DBS_PER_CALL.min(self.dbs.len()) {
            let n = self.expire.sampled_db % self.dbs.len();
            self.expire.sampled_db = (n + 1) % self.dbs.len();
            let Server { dbs, rng, .. } = self;
            let db = &mut dbs[n];
            let len = db.keys.expires_len();
            if len == 0 {
                db.avg_ttl = 0;
                continue;
            }
            let mut round = Round::default();
            for _ in 0..len.min(most) {
                let Some(e) = db.keys.random_expiring(|| rng.next_u64()) else {
                    break;
                };
                round.sampled += 1;
                let ttl = e.expire().map_or(0, |at| at.saturating_sub(now));
                match ttl {
                    ..0 => round.expired += 1,
                    0 => {}
                    1.. => {
                        round.ttl_sum = round.ttl_sum.saturating_add(ttl);
                        round.ttl_samples += 1;
                    }
                }
            }
            update_avg_ttl(db, &round);
            sampled += round.sampled;
            expired += round.expired;
        }
        let share = match sampled {
            0 => 0.0,
            n => expired as f64 / n as f64,
        };
        self.stats.expired_stale_perc = share * 0.05 + self.stats.expired_stale_perc * 0.95;
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
        assert_eq!((low.samples, high.samples), (20, 65));
        assert_eq!((low.step_us, high.step_us), (500, 1400));
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
