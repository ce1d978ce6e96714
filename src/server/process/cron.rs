//! What happens between requests: before and after the loop sleeps, and `hz` times a second (beforeSleep, afterSleep,
//! serverCron, databasesCron, clientsCron of server.c).

use crate::ae::{Next, TimeId};
use crate::base::log::Level;
use crate::base::{alloc, sys};
use crate::server::Server;
use crate::server::clients::flags::ClientFlags;
use crate::server::repl::FailoverState;
use crate::server_log;

/// Databases resized or rehashed in one call (CRON_DBS_PER_CALL).
const CRON_DBS_PER_CALL: usize = 16;
/// Clients looked at in one call, at least (CLIENTS_CRON_MIN_ITERATIONS).
const CLIENTS_CRON_MIN_ITERATIONS: usize = 5;
/// The most that `dynamic-hz` raises `hz` to (CONFIG_MAX_HZ).
const CONFIG_MAX_HZ: i32 = 500;
/// One client's look a second needs hz raised when there are more than this many a call (MAX_CLIENTS_PER_CLOCK_TICK).
const MAX_CLIENTS_PER_CLOCK_TICK: usize = 200;

/// From so many bytes in use on the allocator has a thread of its own, where it may.
const ALLOCATOR_THREAD_BYTES: usize = 32 << 20;
/// Fifths of a second for which unused pages are let go after memory has come or gone.
const DECAYS_AFTER_CHANGE: u32 = 10;

/// The cron's own state.
#[derive(Default)]
pub(crate) struct Cron {
    /// Calls so far.
    pub loops: u64,
    /// The rate in force, between `hz` and CONFIG_MAX_HZ.
    pub hz: i32,
    /// Where the walk over the clients goes on.
    next_client: usize,
    /// Where resizing and rehashing of databases go on.
    next_db: usize,
    rehash_db: usize,
    /// Unix ms of the last call while the loop was blocked.
    blocked_last_ms: i64,
    /// The allocator gives memory back in a thread of its own.
    allocator_thread: bool,
    /// The memory in use when it was last looked at, and how often unused pages are still to be let go.
    decay_used: usize,
    decays_left: u32,
}

impl Cron {
    pub(crate) fn new(hz: i32) -> Cron {
        Cron {
            hz,
            ..Cron::default()
        }
    }
}

impl Server {
    /// hz was configured: it takes effect at the next call.
    pub(crate) fn update_hz(&mut self) {
        self.cron.hz = self.config.hz;
    }

    /// True in one of the calls that make up `ms` milliseconds (run_with_period).
    fn run_with_period(&self, ms: i64) -> bool {
        let tick = 1000 / i64::from(self.cron.hz.max(1));
        ms <= tick || self.cron.loops.is_multiple_of((ms / tick) as u64)
    }

    /// Some of the cron's work while a load blocks the loop (whileBlockedCron).
    pub(crate) fn while_blocked_cron(&mut self) {
        let now = self.clock.unix_ms;
        let tick = 1000 / i64::from(self.cron.hz.max(1));
        if now - self.cron.blocked_last_ms < tick {
            return;
        }
        self.cron.blocked_last_ms = now;
        let start = self.latency_start_monitor();
        self.update_peak_memory();
        if self.metrics.is_some() {
            self.metrics_cron();
        }
        self.latency_end_monitor("while-blocked-cron", start);
        if self.loading.is_some()
            && let Some(s) = sys::shutdown_signal()
        {
            // Nothing is saved: the data set is half there.
            let name = if s == sys::SIGINT {
                "SIGINT"
            } else {
                "SIGTERM"
            };
            server_log!(Level::Warning, "Received {} scheduling shutdown...", name);
            self.exit_while_loading();
        }
    }

    /// The allocator has a thread of its own if it may, and once there is so much memory that to give some of it back would be a wait:
    /// each system call costs a little more where there is another thread.
    pub(crate) fn update_allocator_thread(&mut self) {
        let want = self.config.jemalloc_bg_thread && alloc::used_memory() >= ALLOCATOR_THREAD_BYTES;
        let keep = self.config.jemalloc_bg_thread && self.cron.allocator_thread;
        if want != self.cron.allocator_thread && !keep {
            alloc::set_background_thread(want);
            self.cron.allocator_thread = want;
        }
    }

    /// While memory comes and goes, and for some time after: unused pages go over half a second.
    fn let_pages_go(&mut self) {
        let used = alloc::used_memory();
        if used != self.cron.decay_used {
            self.cron.decay_used = used;
            self.cron.decays_left = DECAYS_AFTER_CHANGE;
        }
        if self.cron.decays_left > 0 {
            self.cron.decays_left -= 1;
            alloc::decay();
        }
    }

    fn update_peak_memory(&mut self) {
        let used = alloc::used_memory();
        self.stats.peak_memory = self.stats.peak_memory.max(used);
    }
}

/// The timer behind everything periodic (serverCron).
pub(crate) fn server_cron(server: &mut Server, _: TimeId) -> Next {
    let start = crate::base::clock::monotonic_us();
    server.watchdog_schedule_signal();
    server.update_cached_time();
    server.exec.clock_stale = true;
    server.cron.hz = server.config.hz;
    if server.config.dynamic_hz {
        while server.clients.len() / server.cron.hz.max(1) as usize > MAX_CLIENTS_PER_CLOCK_TICK
            && server.cron.hz < CONFIG_MAX_HZ
        {
            server.cron.hz = (server.cron.hz * 2).min(CONFIG_MAX_HZ);
        }
    }
    if server.debug.pause_cron {
        return Next::Paced(1000 / server.cron.hz.max(1) as u64);
    }
    if server.run_with_period(100) {
        let us = start;
        let s = &mut server.stats;
        let cycles = s.el_duration;
        s.ops.sample(s.num_commands, us, 1_000_000);
        s.input_bps
            .sample(s.net_input_bytes + s.net_repl_input_bytes, us, 1_000_000);
        s.output_bps
            .sample(s.net_output_bytes + s.net_repl_output_bytes, us, 1_000_000);
        s.repl_input_bps
            .sample(s.net_repl_input_bytes, us, 1_000_000);
        s.repl_output_bps
            .sample(s.net_repl_output_bytes, us, 1_000_000);
        s.loop_rate.sample(cycles.count, us, 1_000_000);
        s.loop_duration.sample(cycles.sum, cycles.count, 1);
    }
    server.update_peak_memory();
    if !server.cron.allocator_thread && server.run_with_period(200) {
        server.let_pages_go();
        server.update_allocator_thread();
    }
    if server.run_with_period(1000) {
        crate::base::log::set_utc_offset(sys::utc_offset());
        server.migrate.close_timedout(server.clock.unix_s);
        server.clients.trim_pool();
    }
    if let Some(signal) = sys::shutdown_signal() {
        server.shutdown_on_signal(signal);
    }
    server.shutdown_cron();
    if server.listeners.held {
        server.resume_accepting();
    }
    if server.run_with_period(5000) {
        server.log_summary();
    }
    clients_cron(server);
    if server.config.key_sampling_rate > 0 && server.loading.is_none() {
        server.sample_keys();
    }
    if server.tracking.clients() > 0 {
        server.tracking_limit_used_slots();
    }
    databases_cron(server);
    server.persistence_cron();
    // A failover wants to be noticed sooner than once a second.
    let failing_over = server.repl.failover.state != FailoverState::None;
    if server.run_with_period(if failing_over { 100 } else { 1000 }) {
        server.replication_cron();
    }
    server.connect_when_due();
    if server.run_with_period(1000) {
        server.tls_cron();
        server.metrics_cron();
    }
    if server.config.cluster_enabled && server.run_with_period(100) {
        server.cluster_cron();
    }
    if server.config.sentinel_mode {
        server.sentinel_timer();
    }
    server.cron.loops += 1;
    let us = crate::base::clock::monotonic_us() - start;
    server.stats.cron_duration.add(us);
    Next::Paced(1000 / server.cron.hz.max(1) as u64)
}

fn clients_cron(server: &mut Server) {
    let all = server.clients.capacity();
    if all == 0 {
        return;
    }
    // Every client is looked at once a second.
    let n = (server.clients.len() / server.cron.hz.max(1) as usize)
        .max(CLIENTS_CRON_MIN_ITERATIONS)
        .min(all);
    server.stats.client_peaks.begin(server.clock.unix_s);
    let mut seen = 0;
    for _ in 0..all {
        if seen >= n {
            break;
        }
        server.cron.next_client = (server.cron.next_client + 1) % all;
        let Some(cid) = server.clients.by_key(server.cron.next_client) else {
            continue;
        };
        seen += 1;
        let now = server.clock.unix_s;
        let c = &server.clients[cid];
        let limit = i64::from(server.config.timeout);
        let exempt =
            ClientFlags::SLAVE | ClientFlags::MASTER | ClientFlags::PUBSUB | ClientFlags::BLOCKED;
        if limit > 0 && c.conn.is_some() && !c.has(exempt) && now - c.last_interaction > limit {
            server_log!(Level::Verbose, "Closing idle client");
            server.free_client_async(cid);
            continue;
        }
        if server.tls_handshake_timed_out(cid) {
            continue;
        }
        if server.config.cluster_enabled {
            server.cluster_redirect_blocked_client(cid);
        }
        server.clients_cron_resize_query_buffer(cid);
        server.clients_cron_resize_output_buffer(cid);
        server.clients_cron_track_expansive_clients(cid);
        if server.config.maxmemory_clients != 0 {
            server.update_client_mem_usage_and_bucket(cid);
        }
        if server.clients.get(cid).is_some_and(|c| c.is_replica()) {
            server.replica_output_limit(cid);
        } else {
            server.close_client_on_output_buffer_limit_reached(cid);
        }
    }
}

fn databases_cron(server: &mut Server) {
    if server.debug.active_expire && server.i_am_master() {
        server.active_expire_cycle(crate::server::keyspace::expire::Cycle::Slow);
    } else if server.repl.master_host.is_some() {
        server.expire_slave_keys();
    }
    server.free_replaced();
    // A child's pages are shared: moving elements would copy them.
    if server.has_active_child_process() {
        return;
    }
    let n = server.dbs.len();
    for _ in 0..CRON_DBS_PER_CALL.min(n) {
        server.cron.next_db = (server.cron.next_db + 1) % n;
        server.dbs[server.cron.next_db].keys.try_resize();
    }
    if server.config.activerehashing {
        for _ in 0..n {
            let db = server.cron.rehash_db % n;
            if server.dbs[db].keys.rehash_for(1000) {
                break;
            }
            server.cron.rehash_db = (db + 1) % n;
        }
    }
}

/// Before the loop sleeps (beforeSleep). While a load or a slow script has re-entered the loop, only what serves clients is done.
pub(crate) fn before_sleep(server: &mut Server) {
    if server.exec.blocked_depth > 0 {
        // Of the commands before the one that takes long, some were not answered yet: what is acknowledged is written first.
        if !server.aof.is_off() {
            server.flush_append_only_file(false);
        }
        server.handle_clients_with_pending_writes();
        server.free_clients_in_async_queue();
        return;
    }
    // From here on it is said by who has more to do.
    server.el.set_dont_wait(false);
    if server.config.cluster_enabled {
        server.cluster_before_sleep();
    }
    let expires = server.debug.active_expire
        && server.i_am_master()
        && server.loading.is_none()
        && server.active_expire_cycle(crate::server::keyspace::expire::Cycle::Fast);
    if expires {
        server.el.set_dont_wait(true);
    }
    let mut synced = server.refresh_fsynced_reploff();
    if !server.repl.waiting_acks.is_empty() {
        server.process_clients_waiting_replicas();
    }
    if server.blocking.timeout_table_len() > 0 {
        server.handle_blocked_clients_timeout();
    }
    if server.blocking.has_ready_keys() {
        server.handle_clients_blocked_on_keys();
    }
    if !server.pause.actions.is_empty() {
        server.update_paused_actions();
    }
    if !server.persist.lazyfree.waiting.is_empty() {
        server.unblock_clients_waiting_for_memory();
    }
    if !server.exec.unblocked.is_empty() {
        server.process_unblocked_clients();
    }
    if server.repl.attempts.lookup.is_some() {
        server.master_name_resolved();
    }
    // After all that may have begun to wait for an acknowledgement, before the output is written.
    if server.repl.get_ack_from_slaves
        && !server.is_paused(crate::server::execution::blocked::PauseActions::REPLICA)
    {
        server.send_getack_to_replicas();
    }
    server.update_failover_status();
    if server.tracking.has_broadcasts() {
        server.tracking_broadcast_invalidation_messages();
    }
    // What is acknowledged is written first.
    if !server.aof.is_off() {
        let start = crate::base::clock::monotonic_us();
        server.flush_append_only_file(false);
        let us = crate::base::clock::monotonic_us() - start;
        server.stats.aof_duration.add(us);
        synced |= server.refresh_fsynced_reploff();
        if synced && !server.repl.waiting_acks.is_empty() {
            // Their answers go out now; their further requests, which may write again, follow in the next turn.
            server.process_clients_waiting_replicas();
            if !server.exec.unblocked.is_empty() {
                server.el.set_dont_wait(true);
            }
        }
    }
    server.acknowledge_before_sleep(synced);
    server.note_lag();
    server.handle_clients_with_pending_writes();
    if !server.clients.to_close.is_empty() {
        server.free_clients_in_async_queue();
    }
    if !server.repl.backpressure.is_empty() {
        server.backpressure_before_sleep();
    }
    if server.config.maxmemory_clients != 0 {
        server.evict_clients();
        server.free_clients_in_async_queue();
    }
    server
        .repl
        .log
        .trim(10 * crate::wire::replication::backlog::REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
    if server.persist.inline.is_some() {
        server.snapshot_before_sleep();
    }
    end_cycle(server);
}

/// The turn's work is done: how long it took, how much it was.
fn end_cycle(server: &mut Server) {
    let start = server.stats.cycle_start_us;
    if start == 0 {
        return;
    }
    let us = crate::base::clock::monotonic_us().saturating_sub(start);
    if let Some(metrics) = &mut server.metrics {
        metrics.loop_duration.record_us(us);
    }
    let s = &mut server.stats;
    s.el_duration.add(us);
    s.cmd_per_cycle_max = s
        .cmd_per_cycle_max
        .max(s.num_commands - s.cycle_start_commands);
}

/// After the loop has slept (afterSleep): the clock is read for the commands to come.
pub(crate) fn after_sleep(server: &mut Server) {
    server.update_cached_time();
    server.exec.clock_stale = false;
    if server.exec.blocked_depth == 0 {
        server.stats.cycle_start_us = crate::base::clock::monotonic_us();
        server.stats.cycle_start_commands = server.stats.num_commands;
    }
}
