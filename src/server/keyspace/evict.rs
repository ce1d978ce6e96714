//! Eviction: memory above `maxmemory` is given back by deleting keys, as the policy chooses them (evict.c).
//!
//! Invariants: nothing is evicted while loading, on a replica that follows its master's choice, or in a pause; each evicted
//! key's deletion is propagated before the next is chosen. The pool's scores belong to one policy.

use std::time::Duration;

use crate::ae::{Next, TimeId};
use crate::base::alloc::used_memory;
use crate::base::clock::monotonic_us;
use crate::base::log::Level;
use crate::config::value::MaxmemoryPolicy;
use crate::ds::table::{Resize, Slot};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::blocked::PauseActions;
use crate::server::keyspace::lookup::Free;
use crate::server::keyspace::notify::NOTIFY_EVICTED;
use crate::server_log;
use crate::store::entry::Entry;
use crate::store::entry::capture::Unsaved;
use crate::store::evict::{
    EvictionPool, LFU_INIT_VAL, estimate_object_idle_time, eviction_time_limit_us,
    lfu_decr_and_return, lfu_log_incr, policy_is_allkeys, policy_is_lfu,
};

/// What an attempt to get below the limit came to (EVICT_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Evicted {
    /// Memory is below the limit, or none of our business.
    Ok,
    /// It is above; a timer goes on.
    Running,
    /// It is above, and there is nothing to evict.
    Fail,
}

/// What eviction remembers.
#[derive(Default)]
pub(crate) struct EvictState {
    pool: EvictionPool,
    /// Whose scores the pool holds.
    pool_policy: Option<MaxmemoryPolicy>,
    /// The timer that goes on is set.
    timer: bool,
    /// Where the random policies go on.
    next_db: usize,
    /// Microseconds on the monotonic clock since when memory is above the limit.
    exceeded_since: Option<u64>,
    /// Microseconds that it was above the limit in all, before that.
    exceeded_us: u64,
}

impl EvictState {
    /// Microseconds above the limit: in all, and since it was crossed last.
    pub(crate) fn exceeded_times(&self) -> (u64, u64) {
        let current = self
            .exceeded_since
            .map_or(0, |t| monotonic_us().saturating_sub(t));
        (self.exceeded_us + current, current)
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset_stats(&mut self) {
        self.exceeded_us = 0;
        self.exceeded_since = None;
    }
}

/// What part of the limit memory may be above it while something is being freed, or a snapshot has to make room.
const GARBAGE_PART: u64 = 16;
/// Keys that a snapshot without room still needs, in a row: then it has to make some first.
const PASSED_OVER_MAX: u32 = 64;
/// Keys between two looks at the clock.
const KEYS_PER_CHECK: u64 = 16;

impl Server {
    /// The LRU field of a new key.
    pub(crate) fn lru_bits_of_new(&self) -> u32 {
        if policy_is_lfu(self.config.maxmemory_policy) {
            return u32::from(self.clock.lfu_minutes()) << 8 | u32::from(LFU_INIT_VAL);
        }
        self.clock.lru_clock
    }

    /// The LRU field, under an LFU policy, of a key that is accessed (updateLFU).
    pub(crate) fn lfu_bits_after_access(&mut self, db: usize, slot: Slot) -> u32 {
        let now = self.clock.lfu_minutes();
        let lru = self.dbs[db].keys.at(slot).lru();
        let counter = lfu_decr_and_return(lru, now, self.config.lfu_decay_time);
        let counter = lfu_log_incr(counter, self.config.lfu_log_factor, &mut self.rng);
        u32::from(now) << 8 | u32::from(counter)
    }

    /// Memory that does not count against maxmemory: the AOF buffer, the records of a snapshot that are not written yet, what
    /// nodes that take slots have not read, and what replicas hold of the log beyond the backlog. Else
    /// the deletions of an eviction would be the reason for the next (freeMemoryGetNotCountedMemory).
    pub(crate) fn free_memory_get_not_counted_memory(&self) -> usize {
        let aof = if self.aof.is_off() {
            0
        } else {
            self.aof.buf.capacity()
        };
        let log = &self.repl.log;
        // The notes on how far replicas lag grow with the log, and are bounded.
        let lag = self.repl.lag.mem_usage();
        let exports = self.slot_migrations.output_memory();
        let beyond = log.mem_usage().saturating_sub(log.backlog_mem_limit());
        beyond + lag + aof + self.snapshot_memory() + exports
    }

    /// Bytes above the limit; 0: within it (getMaxmemoryState).
    #[inline]
    pub(in crate::server) fn memory_above_limit(&self) -> u64 {
        let limit = self.config.maxmemory;
        let used = used_memory() as u64;
        if limit == 0 || used <= limit {
            return 0;
        }
        let not_counted = self.free_memory_get_not_counted_memory() as u64;
        used.saturating_sub(not_counted).saturating_sub(limit)
    }

    fn is_safe_to_perform_evictions(&self) -> bool {
        // What a script has read must not go in its middle, nor its writes come behind what was evicted after them.
        let busy = self.loading.is_some() || self.scripts.is_timed_out();
        let ignored = self.is_replica() && self.config.replica_ignore_maxmemory;
        !busy && !ignored && !self.pause.actions.intersects(PauseActions::EVICT)
    }

    /// Before a command, while there is a limit: makes room; false when there is none and the command would need some
    /// (`deny_oom`).
    pub(crate) fn has_memory_for(&mut self, cid: ClientId, deny_oom: bool) -> bool {
        if !deny_oom
            && self.evict.timer
            && eviction_time_limit_us(self.config.maxmemory_eviction_tenacity).is_some()
        {
            // It is being made, and this one needs none.
            return true;
        }
        let fail = self.perform_evictions() == Evicted::Fail;
        if !deny_oom {
            return true;
        }
        if !fail && !self.has_active_child_process() {
            self.hold_back_growth(cid);
        }
        !fail
    }

    /// A table that would pass the limit by doubling does not: all the room it takes would have to be evicted at once
    /// (dictExpandAllowed).
    fn hold_back_growth(&mut self, cid: ClientId) {
        let room = (self.config.maxmemory).saturating_sub(used_memory() as u64);
        let db = self.client_db(cid);
        let next = 2 * self.dbs[db].keys.overhead().0 as u64;
        let short = next > room && {
            let not_counted = self.free_memory_get_not_counted_memory() as u64;
            let used = (used_memory() as u64).saturating_sub(not_counted);
            used.saturating_add(next) > self.config.maxmemory
        };
        let resize = if short {
            Resize::AvoidGrowth
        } else {
            Resize::Allow
        };
        self.dbs[db].keys.set_resize(resize);
    }

    /// Deletes keys until memory is within the limit, the time is up, or there is nothing to delete (performEvictions).
    #[inline]
    pub(crate) fn perform_evictions(&mut self) -> Evicted {
        if !self.is_safe_to_perform_evictions() {
            return Evicted::Ok;
        }
        let mut above = self.memory_above_limit();
        if above > 0 {
            // Rather than keys: what a burst of messages about evicted keys has left would else evict more of them.
            self.clients.empty_pool();
            above = self.memory_above_limit();
        }
        if above == 0 {
            if self.evict.exceeded_since.is_some() {
                self.note_eviction_state(Evicted::Ok);
            }
            return Evicted::Ok;
        }
        self.evict_bytes(above)
    }

    #[cold]
    fn evict_bytes(&mut self, above: u64) -> Evicted {
        self.free_replaced();
        if self.garbage_may_do(above) {
            self.start_eviction_timer();
            self.note_eviction_state(Evicted::Running);
            return Evicted::Running;
        }
        let result = if self.config.maxmemory_policy == MaxmemoryPolicy::NoEviction {
            Evicted::Fail
        } else {
            let latency = self.latency_start_monitor();
            let start = monotonic_us();
            let limit_us = eviction_time_limit_us(self.config.maxmemory_eviction_tenacity);
            let result = match self.evict_keys(above, start, limit_us) {
                Evicted::Fail => self.wait_for_lazyfree(start, limit_us),
                r => r,
            };
            self.latency_end_monitor("eviction-cycle", latency);
            result
        };
        self.note_eviction_state(result);
        result
    }

    /// What is being freed in the background may be all that memory is above the limit by: then no key has to go for it, and no
    /// write has to be refused. Not where it is above by much.
    fn garbage_may_do(&self, above: u64) -> bool {
        self.persist.lazyfree.large_pending() > 0 && above < self.config.maxmemory / GARBAGE_PART
    }

    /// `start` is the cycle's on the monotonic clock, and `limit_us` how long it may take.
    fn evict_keys(&mut self, above: u64, start: u64, limit_us: Option<u64>) -> Evicted {
        let free = Free::lazily_if(self.config.lazyfree_lazy_eviction);
        let (mut freed, mut keys, mut passed_over) = (0_i64, 0_u64, 0);
        let pending = self.persist.lazyfree.large_pending();
        while freed < above as i64 {
            let Some((db, key)) = self.choose_key_to_evict() else {
                return Evicted::Fail;
            };
            if !self.slot_migrations.imports.is_empty() && self.is_hidden_key(&key) {
                // What comes from another node is not this one's to lose.
                passed_over += 1;
                if passed_over < PASSED_OVER_MAX {
                    continue;
                }
                return Evicted::Fail;
            }
            if !self.snapshot_lets_change() && self.dbs[db].keys.unsaved(&key) != Unsaved::No {
                // It would only go from the table into what the snapshot has to keep.
                passed_over += 1;
                if passed_over < PASSED_OVER_MAX {
                    continue;
                }
                if above >= self.config.maxmemory / GARBAGE_PART {
                    return Evicted::Fail;
                }
                self.start_eviction_timer();
                break;
            }
            let before = used_memory() as i64;
            let latency = self.latency_start_monitor();
            self.db_generic_delete(db, &key, free);
            self.latency_end_monitor("eviction-del", latency);
            freed += before - used_memory() as i64;
            self.stats.evicted_keys += 1;
            self.key_modified(None, db, &key);
            self.notify_keyspace_event(NOTIFY_EVICTED, "evicted", &key, db);
            self.propagate_deletion(db, &key, free);
            self.propagate_pending_commands();
            keys += 1;
            if limit_us.is_some() && self.persist.lazyfree.large_pending() > pending {
                // How much that is will show.
                self.start_eviction_timer();
                break;
            }
            if keys.is_multiple_of(KEYS_PER_CHECK) {
                // A long cycle must not keep its deletions from the replicas.
                if !self.clients.slaves.is_empty() {
                    self.flush_slaves_output_buffers();
                }
                if free == Free::Lazily && self.memory_above_limit() == 0 {
                    break;
                }
                if limit_us.is_some_and(|us| monotonic_us() - start > us) {
                    self.start_eviction_timer();
                    break;
                }
            }
        }
        if keys >= KEYS_PER_CHECK {
            self.exec.clock_stale = true;
        }
        if self.evict.timer {
            Evicted::Running
        } else {
            Evicted::Ok
        }
    }

    /// Nothing is left to evict, but what is being freed in the background may be enough: the rest of the cycle's time is
    /// spent waiting for it.
    fn wait_for_lazyfree(&mut self, start: u64, limit_us: Option<u64>) -> Evicted {
        let latency = self.latency_start_monitor();
        let nap = limit_us.unwrap_or(1000).min(1000);
        let mut result = Evicted::Fail;
        while self.persist.lazyfree.pending() > 0
            && limit_us.is_none_or(|us| monotonic_us() - start < us)
        {
            if self.memory_above_limit() == 0 {
                result = Evicted::Ok;
                break;
            }
            std::thread::sleep(Duration::from_micros(nap));
        }
        self.exec.clock_stale = true;
        self.latency_end_monitor("eviction-lazyfree", latency);
        result
    }

    fn note_eviction_state(&mut self, result: Evicted) {
        let e = &mut self.evict;
        if result != Evicted::Ok {
            e.exceeded_since.get_or_insert_with(monotonic_us);
        } else if let Some(since) = e.exceeded_since.take() {
            e.exceeded_us += monotonic_us().saturating_sub(since);
        }
    }

    fn start_eviction_timer(&mut self) {
        if !self.evict.timer {
            self.evict.timer = true;
            self.el.create_time_event(0, eviction_time_proc);
        }
    }

    /// CONFIG SET maxmemory takes effect at once (updateMaxmemory).
    pub(crate) fn update_maxmemory(&mut self) {
        // Tables that were held back may grow again, or will be held back anew.
        self.update_dict_resize_policy();
        if self.config.maxmemory == 0 {
            return;
        }
        if self.memory_above_limit() > 0 {
            server_log!(
                Level::Warning,
                "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current memory usage ({}). \
                 This will result in key eviction and/or the inability to accept new write commands depending on the \
                 maxmemory-policy.",
                self.config.maxmemory,
                used_memory()
            );
        }
        self.start_eviction_timer();
    }

    /// The key that the policy gives up next.
    fn choose_key_to_evict(&mut self) -> Option<(usize, Box<[u8]>)> {
        let policy = self.config.maxmemory_policy;
        match policy {
            MaxmemoryPolicy::NoEviction => None,
            MaxmemoryPolicy::AllkeysRandom | MaxmemoryPolicy::VolatileRandom => {
                self.random_key_to_evict(policy_is_allkeys(policy))
            }
            _ => self.best_key_to_evict(policy),
        }
    }

    fn random_key_to_evict(&mut self, all: bool) -> Option<(usize, Box<[u8]>)> {
        for _ in 0..self.dbs.len() {
            self.evict.next_db = (self.evict.next_db + 1) % self.dbs.len();
            let db = self.evict.next_db;
            let Server { dbs, rng, .. } = self;
            let keys = &dbs[db].keys;
            if all {
                if let Some(e) = keys.random(|| rng.next_u64()) {
                    return Some((db, e.name().into()));
                }
            } else if let Some(e) = keys.random_expiring(|| rng.next_u64()) {
                return Some((db, e.name().into()));
            }
        }
        None
    }

    fn best_key_to_evict(&mut self, policy: MaxmemoryPolicy) -> Option<(usize, Box<[u8]>)> {
        if self.evict.pool_policy != Some(policy) {
            self.evict.pool.clear();
            self.evict.pool_policy = Some(policy);
        }
        let all = policy_is_allkeys(policy);
        loop {
            let mut any = false;
            for db in 0..self.dbs.len() {
                any |= self.eviction_pool_populate(db, policy, all);
            }
            if !any {
                return None;
            }
            while let Some(c) = self.evict.pool.pop() {
                // It may have been deleted, or have lost its expiry, since it was sampled.
                let keys = &self.dbs[c.db].keys;
                if let Some(slot) = keys.find(keys.hash(&c.key), &c.key)
                    && (all || keys.at(slot).expire().is_some())
                {
                    return Some((c.db, c.key));
                }
            }
        }
    }

    /// Offers some keys of a database to the pool (evictionPoolPopulate); false when there are none.
    fn eviction_pool_populate(&mut self, db: usize, policy: MaxmemoryPolicy, all: bool) -> bool {
        let Server {
            dbs,
            rng,
            evict,
            clock,
            config,
            ..
        } = self;
        let keys = &dbs[db].keys;
        let len = if all { keys.len() } else { keys.expires_len() };
        if len == 0 {
            return false;
        }
        let score = |e: &Entry| match policy {
            MaxmemoryPolicy::VolatileTtl => {
                u64::MAX - e.expire().and_then(|t| u64::try_from(t).ok()).unwrap_or(0)
            }
            p if policy_is_lfu(p) => {
                255 - u64::from(lfu_decr_and_return(
                    e.lru(),
                    clock.lfu_minutes(),
                    config.lfu_decay_time,
                ))
            }
            _ => estimate_object_idle_time(e.lru(), clock.lru_clock).max(0) as u64,
        };
        let samples = usize::try_from(config.maxmemory_samples).unwrap_or(1);
        if all {
            let offer = |e: &Entry| evict.pool.offer(score(e), db, e.name());
            keys.some(|| rng.next_u64(), samples.min(len), offer);
            return true;
        }
        for _ in 0..samples.min(len) {
            if let Some(e) = keys.random_expiring(|| rng.next_u64()) {
                evict.pool.offer(score(&e), db, e.name());
            }
        }
        true
    }
}

/// Goes on with an eviction that ran out of time (evictionTimeProc).
fn eviction_time_proc(server: &mut Server, _: TimeId) -> Next {
    if server.perform_evictions() == Evicted::Running {
        // A thread that is freeing something needs some time, and so does a snapshot that has no room.
        let waits = server.persist.lazyfree.large_pending() > 0 || !server.snapshot_lets_change();
        return Next::After(u64::from(waits));
    }
    server.evict.timer = false;
    Next::Stop
}
