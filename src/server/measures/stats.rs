//! Counters that INFO shows and CONFIG RESETSTAT clears.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::base::alloc::AllocatorInfo;
use crate::server::Server;
use crate::server::clients::buffers::ClientPeaks;

/// Distinct error codes that are counted at the most; then counting new ones stops.
const MAX_ERROR_CODES: usize = 128;
/// Samples of an instantaneous metric (STATS_METRIC_SAMPLES).
const SAMPLES: usize = 16;

/// An average over the last samples (trackInstantaneousMetric).
#[derive(Default, Clone)]
pub(crate) struct Instantaneous {
    last_value: u64,
    last_us: u64,
    samples: [u64; SAMPLES],
    next: usize,
}

impl Instantaneous {
    /// Takes a sample: growth of `value` since the last one, over `base`'s growth times `factor`.
    pub(crate) fn sample(&mut self, value: u64, base: u64, factor: u64) {
        if self.last_us > 0 {
            let dv = value.saturating_sub(self.last_value);
            let db = base.saturating_sub(self.last_us);
            let v = if db > 0 {
                (u128::from(dv) * u128::from(factor) / u128::from(db)) as u64
            } else {
                0
            };
            self.samples[self.next] = v;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last_value = value;
        self.last_us = base;
    }

    pub(crate) fn get(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

/// Sum, count and maximum of durations in microseconds (durationStats).
#[derive(Default, Clone, Copy)]
pub(crate) struct Duration {
    pub count: u64,
    pub sum: u64,
    pub max: u64,
}

impl Duration {
    #[inline]
    pub(crate) fn add(&mut self, us: u64) {
        self.count += 1;
        self.sum += us;
        self.max = self.max.max(us);
    }
}

/// What the system and the allocator said of the memory when they were asked last; see `commands/memory`.
#[derive(Default, Clone, Copy)]
pub(crate) struct MemorySample {
    /// Monotonic, in us; 0: never.
    pub taken_us: u64,
    pub rss: usize,
    pub allocator: AllocatorInfo,
}

/// See INFO stats for what each means.
#[derive(Default)]
pub(crate) struct Stats {
    pub num_commands: u64,
    pub num_connections: u64,
    pub rejected_conn: u64,
    pub expired_keys: u64,
    pub expired_stale_perc: f64,
    pub expired_time_cap_reached: u64,
    pub expire_cycle_time_used_us: u64,
    /// By how many milliseconds the active cycle deleted a key too late, at the most.
    pub expire_late_max_ms: i64,
    pub evicted_keys: u64,
    pub evicted_clients: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub total_forks: u64,
    pub last_fork_us: u64,
    pub fork_rate_gb_s: f64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    pub net_repl_input_bytes: u64,
    pub net_repl_output_bytes: u64,
    pub total_error_replies: u64,
    pub unexpected_error_replies: u64,
    pub dump_payload_sanitizations: u64,
    pub total_reads_processed: u64,
    pub total_writes_processed: u64,
    pub reply_buffer_shrinks: u64,
    pub reply_buffer_expands: u64,
    pub client_peaks: ClientPeaks,
    pub client_query_buffer_limit_disconnections: u64,
    pub client_output_buffer_limit_disconnections: u64,
    pub peak_memory: usize,
    pub memory_sample: Cell<MemorySample>,
    pub errors: BTreeMap<Box<[u8]>, u64>,
    pub ops: Instantaneous,
    pub input_bps: Instantaneous,
    pub output_bps: Instantaneous,
    pub repl_input_bps: Instantaneous,
    pub repl_output_bps: Instantaneous,
    pub loop_rate: Instantaneous,
    pub loop_duration: Instantaneous,
    pub el_duration: Duration,
    pub cron_duration: Duration,
    /// Time spent in commands, us.
    pub cmd_us: u64,
    pub aof_duration: Duration,
    /// Commands run in one turn of the loop, at the most.
    pub cmd_per_cycle_max: u64,
    pub cycle_start_us: u64,
    pub cycle_start_commands: u64,
}

impl Stats {
    /// Counts an error reply by its code (incrementErrorCount).
    pub(crate) fn count_error(&mut self, code: &[u8]) {
        if let Some(n) = self.errors.get_mut(code) {
            *n += 1;
        } else if self.errors.len() < MAX_ERROR_CODES {
            self.errors.insert(code.into(), 1);
        }
    }
}

impl Server {
    /// CONFIG RESETSTAT (resetServerStats).
    pub(crate) fn reset_server_stats(&mut self) {
        let old = std::mem::take(&mut self.stats);
        // What describes the present and not the past stays, and so do the counters that upstream leaves alone.
        self.stats.peak_memory = old.peak_memory;
        self.stats.cycle_start_us = old.cycle_start_us;
        self.stats.client_peaks = old.client_peaks;
        self.stats.client_query_buffer_limit_disconnections =
            old.client_query_buffer_limit_disconnections;
        self.stats.client_output_buffer_limit_disconnections =
            old.client_output_buffer_limit_disconnections;
        self.persist.rdb_saves = 0;
        self.persist.lazyfree.reset_stats();
        self.commands.reset_stats();
        self.evict.reset_stats();
        self.aof.delayed_fsync = 0;
        self.aof.rewrites = 0;
        self.aof.consecutive_failures = 0;
    }
}
