//! `/metrics`: what the usual exporter for Redis shows, by its names and labels, and what is Aedile's own (`aedile_`), in steps that
//! are each far shorter than a millisecond.
//!
//! Invariants: a family's samples follow each other, so a step that has too many goes on where it stopped; a value is read when its
//! family is written, and those of INFO when its section is. What clients have sent is in no label: of errors the
//! codes, of commands their names; scripts are named by their digests and functions by their names.

use super::exposition::{Exposition, Form, Type};
use super::names::{COUNTERS, GAUGES, SECTIONS, SENTINEL_SECTIONS};
use super::state::Scrape;
use crate::base::clock::monotonic_us;
use crate::server::clients::flags::ClientId;
use crate::server::execution::command::{CommandId, CommandStats};
use crate::server::measures::watched::WatchedMaster;
use crate::server::repl::SyncReason;
use crate::server::replica::Replica;
use crate::server::{AEDILE_VERSION, Server};
use crate::wire::replication::lag::Lag;

/// Commands, or databases, of which one step writes a family.
const MANY: usize = 64;
/// Databases that are shown though they are empty.
const EMPTY_DBS: usize = 16;
/// Masters of which one step asks a Sentinel.
const WATCHED: usize = 16;
/// Replicas that are shown.
const REPLICAS: usize = 256;
/// Powers of two in seconds that are bounds of the loop's histogram in the texts: 15 microseconds to 4 seconds.
const LOOP_POWERS: [i32; 10] = [-16, -14, -12, -10, -8, -6, -4, -2, 0, 2];

/// What one step does; true: it is over.
type Step = fn(&Server, &mut Scrape) -> bool;

const STEPS: &[Step] = &[
    read_info,
    instance,
    of_info,
    cluster_messages,
    databases,
    replicas,
    master,
    configuration,
    errors_and_slowness,
    command_counters,
    command_summaries,
    command_histograms,
    own_replication,
    own_replicas,
    own_persistence,
    own_loop,
    own_scripts,
    scrapes,
];

/// In Sentinel mode there is neither a data set nor a link to a master.
const SENTINEL_STEPS: &[Step] = &[
    read_info,
    read_watched,
    instance,
    of_info,
    watched_masters,
    errors_and_slowness,
    command_counters,
    command_summaries,
    command_histograms,
    own_loop,
    scrapes,
];

impl Scrape {
    fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }

    fn number(&self, name: &str) -> Option<f64> {
        number_of(self.field(name)?)
    }
}

/// A field's value as a number; words that say whether something is well are 1 and 0.
fn number_of(text: &str) -> Option<f64> {
    match text {
        "ok" | "true" => Some(1.0),
        "err" | "fail" | "false" => Some(0.0),
        text => text.parse().ok(),
    }
}

impl Server {
    /// Begins a scrape in the form that is accepted.
    pub(super) fn metrics_begin_scrape(&mut self, accept: &str, chunked: bool) -> Box<Scrape> {
        if let Some(metrics) = &mut self.metrics {
            metrics.scrapes += 1;
        }
        let seen = |s: &CommandStats| s.calls > 0 || s.failed_calls > 0 || s.rejected_calls > 0;
        let used = |id: &CommandId| seen(self.commands.stats(*id));
        Box::new(Scrape {
            exposition: Exposition::new(Form::of_accept(accept)),
            chunked,
            step: 0,
            at: 0,
            fields: Vec::new(),
            watched: Vec::new(),
            commands: self.commands.ids().filter(used).collect(),
            us: 0,
        })
    }

    /// One step of a scrape; true: it is whole.
    pub(super) fn metrics_scrape_step(&mut self, s: &mut Scrape) -> bool {
        let begun = monotonic_us();
        let steps = match self.config.sentinel_mode {
            true => SENTINEL_STEPS,
            false => STEPS,
        };
        let step = steps.get(s.step);
        match step {
            Some(step) if step(self, s) => {
                s.step += 1;
                s.at = 0;
            }
            Some(_) => {}
            None => s.exposition.finish(),
        }
        s.us += monotonic_us().saturating_sub(begun);
        if step.is_none()
            && let Some(metrics) = &mut self.metrics
        {
            metrics.last_scrape_us = s.us;
        }
        step.is_none()
    }

    /// Replicas that have a state to be shown: each with its address and port.
    fn shown_replicas(&self) -> impl Iterator<Item = (ClientId, &Replica, String, String)> {
        self.replicas()
            .filter(|(_, r)| !r.state.name().is_empty())
            .take(REPLICAS)
            .map(|(cid, r)| {
                let ip = self.replica_ip(cid).unwrap_or_default();
                (cid, r, ip, r.listening_port.to_string())
            })
    }
}

/// One section of INFO; at last what a Sentinel or a node of a cluster has besides.
fn read_info(server: &Server, s: &mut Scrape) -> bool {
    let sections = match server.config.sentinel_mode {
        true => SENTINEL_SECTIONS,
        false => SECTIONS,
    };
    let section = sections.get(s.at);
    let text = match section {
        Some(name) => server.info_section(name),
        None => server.sentinel_info_section() + &server.cluster_info_text(),
    };
    s.at += 1;
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(':') {
            s.fields.push((name.into(), value.into()));
        }
    }
    section.is_none()
}

/// A few of the masters that a Sentinel watches: of each, others are counted.
fn read_watched(server: &Server, s: &mut Scrape) -> bool {
    let some = server.sentinel_watched(s.watched.len(), WATCHED);
    let is_last = some.len() < WATCHED;
    s.watched.extend(some);
    is_last
}

/// Who this is.
fn instance(server: &Server, s: &mut Scrape) -> bool {
    let role = s.field("role").unwrap_or_default().to_string();
    let names = [
        "redis_version",
        "redis_build_id",
        "redis_mode",
        "os",
        "maxmemory_policy",
        "tcp_port",
        "run_id",
        "process_id",
        "master_replid",
    ];
    let values: Vec<String> = names
        .iter()
        .map(|n| s.field(n).unwrap_or_default().to_string())
        .collect();
    let mut labels = vec![("role", role.as_str())];
    labels.extend(names.iter().copied().zip(values.iter().map(String::as_str)));
    let uptime = s.number("uptime_in_seconds").unwrap_or(0.0);
    let e = &mut s.exposition;
    e.single("redis_up", Type::Gauge, "The server answers", 1.0);
    e.family("redis_instance_info", Type::Gauge, "Who this is");
    e.sample(&labels, 1.0);
    e.family("aedile_info", Type::Gauge, "Aedile's own version");
    e.sample(&[("version", AEDILE_VERSION)], 1.0);
    let start = server.clock.unix_s as f64 - uptime;
    e.single(
        "redis_start_time_seconds",
        Type::Gauge,
        "Unix seconds at which the server started",
        start,
    );
    true
}

/// Every field of INFO that has a name.
fn of_info(_: &Server, s: &mut Scrape) -> bool {
    let all = GAUGES.iter().map(|row| (row, Type::Gauge));
    let all = all.chain(COUNTERS.iter().map(|row| (row, Type::Counter)));
    let mut seen = 0;
    for ((field, name), kind) in all.skip(s.at).take(MANY) {
        seen += 1;
        let Some(v) = s.number(field) else {
            continue;
        };
        let help = format!("INFO's {field}");
        s.exposition
            .single(&format!("redis_{name}"), kind, &help, v);
    }
    s.at += seen;
    if seen == MANY {
        return false;
    }
    // One field is in another unit than INFO's.
    if let Some(us) = s.number("latest_fork_usec") {
        let help = "How long the last fork took";
        s.exposition
            .single("redis_latest_fork_seconds", Type::Gauge, help, us / 1e6);
    }
    true
}

/// The messages of the cluster's bus by their kinds, which differ from node to node.
fn cluster_messages(_: &Server, s: &mut Scrape) -> bool {
    for (field, value) in &s.fields {
        let is_listed = |rows: &[(&str, &str)]| rows.iter().any(|(f, _)| f == field);
        if !field.starts_with("cluster_stats_messages_") || is_listed(COUNTERS) {
            continue;
        }
        if let Some(v) = number_of(value) {
            let name = format!("redis_{}", field.replace('-', "_"));
            let help = format!("CLUSTER INFO's {field}");
            s.exposition.single(&name, Type::Gauge, &help, v);
        }
    }
    true
}

/// A family of the masters that a Sentinel watches: its name behind `redis_sentinel_master_`, what it is, and its value.
type OfWatched = (&'static str, &'static str, fn(&WatchedMaster) -> f64);

const OF_WATCHED: &[OfWatched] = &[
    ("status", "The master is well", |m| {
        f64::from(u8::from(m.status == "ok"))
    }),
    ("ckquorum_status", "A failover could be agreed upon", |m| {
        f64::from(u8::from(m.quorum_reachable))
    }),
    ("slaves", "Its replicas", |m| m.slaves as f64),
    ("ok_slaves", "Its replicas that are not down", |m| {
        m.ok_slaves as f64
    }),
    ("sentinels", "Its Sentinels", |m| m.sentinels as f64),
    ("ok_sentinels", "Its Sentinels that are not down", |m| {
        m.ok_sentinels as f64
    }),
    ("setting_ckquorum", "Its quorum", |m| f64::from(m.quorum)),
    ("setting_failover_timeout", "failover-timeout", |m| {
        m.failover_timeout_ms as f64
    }),
    ("setting_parallel_syncs", "parallel-syncs", |m| {
        f64::from(m.parallel_syncs)
    }),
    (
        "setting_down_after_milliseconds",
        "down-after-milliseconds",
        |m| m.down_after_ms as f64,
    ),
    ("config_epoch", "The epoch of its configuration", |m| {
        m.config_epoch as f64
    }),
    (
        "last_ok_ping_reply_seconds",
        "Since it answered a PING well",
        |m| m.last_ok_ping_ms as f64 / 1e3,
    ),
];

/// The masters that a Sentinel watches.
fn watched_masters(_: &Server, s: &mut Scrape) -> bool {
    let n = s.watched.len();
    let family = s.at.checked_div(n).and_then(|i| OF_WATCHED.get(i));
    let Some((name, help, value)) = family else {
        return true;
    };
    let first = s.at % n;
    if first == 0 {
        let name = format!("redis_sentinel_master_{name}");
        s.exposition.family(&name, Type::Gauge, help);
    }
    let last = (first + MANY).min(n);
    for m in &s.watched[first..last] {
        let master = ("master_name", m.name.as_str());
        let address = ("master_address", m.address.as_str());
        let v = value(m);
        match *name {
            "status" => {
                let labels = [master, address, ("master_status", m.status)];
                s.exposition.sample(&labels, v);
            }
            "ckquorum_status" => {
                let labels = [master, ("message", m.quorum_text.as_str())];
                s.exposition.sample(&labels, v);
            }
            _ => s.exposition.sample(&[master, address], v),
        }
    }
    s.at += last - first;
    false
}

fn databases(server: &Server, s: &mut Scrape) -> bool {
    let n = server.dbs.len();
    let shown = |i: usize| i < EMPTY_DBS || !server.dbs[i].keys.is_empty();
    let (family, first) = (s.at / n, s.at % n);
    let (name, help) = match family {
        0 => ("redis_db_keys", "Keys by database"),
        1 => ("redis_db_keys_expiring", "Keys that expire, by database"),
        2 => (
            "redis_db_avg_ttl_seconds",
            "Average time until keys expire, by database",
        ),
        _ => return true,
    };
    if first == 0 {
        s.exposition.family(name, Type::Gauge, help);
    }
    let last = (first + 16 * MANY).min(n);
    for i in (first..last).filter(|i| shown(*i)) {
        let db = &server.dbs[i];
        let v = match family {
            0 => db.keys.len() as f64,
            1 => db.keys.expires_len() as f64,
            // Of empty ones there is none.
            _ if db.keys.is_empty() => continue,
            _ => db.avg_ttl as f64 / 1000.0,
        };
        s.exposition.sample(&[("db", &format!("db{i}"))], v);
    }
    s.at += last - first;
    false
}

/// Replicas of ours.
fn replicas(server: &Server, s: &mut Scrape) -> bool {
    if server.clients.slaves.is_empty() {
        return true;
    }
    let e = &mut s.exposition;
    for (name, help) in [
        (
            "redis_connected_slave_offset_bytes",
            "The offset that a replica has acknowledged",
        ),
        (
            "redis_connected_slave_lag_seconds",
            "Seconds since a replica has acknowledged anything",
        ),
    ] {
        e.family(name, Type::Gauge, help);
        for (_, r, ip, port) in server.shown_replicas() {
            let labels = [
                ("slave_ip", ip.as_str()),
                ("slave_port", port.as_str()),
                ("slave_state", r.state.name()),
            ];
            let v = if name.ends_with("bytes") {
                r.ack_off
            } else if r.state == crate::server::replica::ReplState::Online {
                (server.clock.unix_s - r.ack_time).max(0)
            } else {
                0
            };
            e.sample(&labels, v as f64);
        }
    }
    true
}

/// A master of ours.
fn master(server: &Server, s: &mut Scrape) -> bool {
    let Some(host) = &server.repl.master_host else {
        return true;
    };
    let port = server.repl.master_port.to_string();
    let labels = [("master_host", host.as_str()), ("master_port", &port)];
    let up = server.repl.link.is_connected();
    let rows = [
        (
            "master_link_up",
            "The link to the master is up",
            Some(f64::from(u8::from(up))),
        ),
        (
            "master_last_io_seconds_ago",
            "Seconds since the master was heard of",
            s.number("master_last_io_seconds_ago"),
        ),
        (
            "master_sync_in_progress",
            "A full sync is under way",
            s.number("master_sync_in_progress"),
        ),
        (
            "slave_repl_offset",
            "The offset up to which the master's stream is applied",
            s.number("slave_repl_offset"),
        ),
    ];
    let read_only = s.field("slave_read_only").unwrap_or_default().to_string();
    for (name, help, v) in rows {
        if let Some(v) = v {
            s.exposition
                .family(&format!("redis_{name}"), Type::Gauge, help);
            s.exposition.sample(&labels, v);
        }
    }
    let [host, port] = labels;
    s.exposition
        .family("redis_slave_info", Type::Gauge, "This is a replica");
    s.exposition
        .sample(&[host, port, ("read_only", &read_only)], 1.0);
    true
}

fn configuration(server: &Server, s: &mut Scrape) -> bool {
    let config = &server.config;
    let e = &mut s.exposition;
    for (name, v) in [
        ("redis_config_io_threads", config.io_threads as f64),
        ("redis_config_maxclients", f64::from(config.maxclients)),
        ("redis_config_maxmemory", config.maxmemory as f64),
        (
            "redis_config_repl_backlog_size",
            config.repl_backlog_size as f64,
        ),
    ] {
        e.single(name, Type::Gauge, "A directive", v);
    }
    let classes = ["normal", "slave", "pubsub"];
    let limits = &config.client_output_buffer_limit;
    let name = "redis_config_client_output_buffer_limit_bytes";
    e.family(name, Type::Gauge, "client-output-buffer-limit");
    for (class, limit) in classes.iter().zip(limits) {
        let labels = |which| [("class", *class), ("limit", which)];
        e.sample(&labels("hard"), limit.hard_limit_bytes as f64);
        e.sample(&labels("soft"), limit.soft_limit_bytes as f64);
    }
    let name = "redis_config_client_output_buffer_limit_overcome_seconds";
    e.family(name, Type::Gauge, "client-output-buffer-limit");
    for (class, limit) in classes.iter().zip(limits) {
        let labels = [("class", *class), ("limit", "soft")];
        e.sample(&labels, limit.soft_limit_seconds as f64);
    }
    true
}

fn errors_and_slowness(server: &Server, s: &mut Scrape) -> bool {
    let e = &mut s.exposition;
    e.family("redis_errors_total", Type::Counter, "Error replies by code");
    for (code, n) in &server.stats.errors {
        e.sample(&[("err", &String::from_utf8_lossy(code))], *n as f64);
    }
    let stats = &server.stats;
    for (which, n) in [
        ("query", stats.client_query_buffer_limit_disconnections),
        ("output", stats.client_output_buffer_limit_disconnections),
    ] {
        let name = format!("redis_client_{which}_buffer_limit_disconnections_total");
        let help = "Clients that were closed as a buffer passed its limit";
        e.single(&name, Type::Counter, help, n as f64);
    }
    let log = &server.slowlog;
    let newest = log.entries.front();
    for (name, help, v) in [
        (
            "redis_slowlog_length",
            "Entries of the slow log",
            log.entries.len() as f64,
        ),
        (
            "redis_slowlog_last_id",
            "The number of its newest entry",
            newest.map_or(0.0, |e| e.id as f64),
        ),
        (
            "redis_last_slow_execution_duration_seconds",
            "How long its newest entry took",
            newest.map_or(0.0, |e| e.duration_us as f64 / 1e6),
        ),
    ] {
        e.single(name, Type::Gauge, help, v);
    }
    let events = &server.latency.events;
    if !events.is_empty() {
        let name = "redis_latency_spike_last";
        e.family(name, Type::Gauge, "Unix seconds of an event's last spike");
        for (event, series) in events {
            e.sample(&[("event_name", event)], series.last().time as f64);
        }
        let name = "redis_latency_spike_duration_seconds";
        e.family(name, Type::Gauge, "How long an event's last spike was");
        for (event, series) in events {
            let seconds = series.last().latency_ms as f64 / 1e3;
            e.sample(&[("event_name", event)], seconds);
        }
    }
    true
}

fn command_counters(server: &Server, s: &mut Scrape) -> bool {
    let n = s.commands.len().max(1);
    let (family, first) = (s.at / n, s.at % n);
    type Value = fn(&CommandStats) -> f64;
    let rows: [(&str, &str, Value); 4] = [
        ("commands_total", "Calls by command", |s| s.calls as f64),
        (
            "commands_duration_seconds_total",
            "Time that calls took, by command",
            |s| s.microseconds as f64 / 1e6,
        ),
        (
            "commands_rejected_calls_total",
            "Calls that were refused before they ran, by command",
            |s| s.rejected_calls as f64,
        ),
        (
            "commands_failed_calls_total",
            "Calls that ended with an error, by command",
            |s| s.failed_calls as f64,
        ),
    ];
    let Some((name, help, value)) = rows.get(family) else {
        return true;
    };
    if first == 0 {
        s.exposition
            .family(&format!("redis_{name}"), Type::Counter, help);
    }
    let some = s.commands.iter().skip(first).take(MANY);
    for id in some {
        let v = value(server.commands.stats(*id));
        let cmd = server.commands.full_name(*id);
        s.exposition.sample(&[("cmd", cmd)], v);
    }
    s.at = (s.at + MANY).min((family + 1) * n);
    false
}

/// The usual exporter's summaries, whose quantiles are percentiles. OpenMetrics does not take such: there they are samples of no
/// type, by the same names.
fn command_summaries(server: &Server, s: &mut Scrape) -> bool {
    const NAME: &str = "redis_latency_percentiles_usec";
    const HELP: &str = "Percentiles of latencies in microseconds, by command";
    if !server.config.latency_tracking {
        return true;
    }
    let n = s.commands.len().max(1);
    let (family, at) = (s.at / n, s.at % n);
    let as_one = s.exposition.form() != Form::OpenMetrics;
    let families = if as_one { 1 } else { 3 };
    if family >= families {
        return true;
    }
    if at == 0 {
        let suffix = ["", "_sum", "_count"][family];
        // In OpenMetrics a counter whose name does not say so is of no type.
        let kind = if as_one { Type::Summary } else { Type::Counter };
        s.exposition.family(&format!("{NAME}{suffix}"), kind, HELP);
    }
    s.at += 1;
    let Some(id) = s.commands.get(at).copied() else {
        return false;
    };
    let stats = server.commands.stats(id);
    let Some(h) = stats.latency.as_deref() else {
        return false;
    };
    let cmd = server.commands.full_name(id);
    let percentiles = &server.config.latency_tracking_info_percentiles;
    let (sum, calls) = (stats.microseconds as f64, stats.calls);
    let value = |p: f64| h.value_at_percentile(p) as f64 / 1e3;
    if as_one {
        let quantiles: Vec<(f64, f64)> = percentiles.iter().map(|p| (*p, value(*p))).collect();
        s.exposition
            .summary(&[("cmd", cmd)], &quantiles, sum, calls);
        return false;
    }
    match family {
        0 => {
            for p in percentiles {
                let q = p.to_string();
                let labels = [("cmd", cmd), ("quantile", q.as_str())];
                s.exposition.sample(&labels, value(*p));
            }
        }
        1 => s.exposition.sample(&[("cmd", cmd)], sum),
        _ => s.exposition.sample(&[("cmd", cmd)], calls as f64),
    }
    false
}

fn command_histograms(server: &Server, s: &mut Scrape) -> bool {
    if s.at == 0 {
        s.exposition.family(
            "redis_commands_latencies_usec",
            Type::Histogram,
            "Latencies in microseconds, by command",
        );
    }
    let Some(id) = s.commands.get(s.at).copied() else {
        return true;
    };
    s.at += 1;
    let stats = server.commands.stats(id);
    if let Some(h) = stats.latency.as_deref() {
        let steps = h.cumulative_by_doubling();
        let buckets: Vec<(f64, u64)> = steps.iter().map(|(us, n)| (*us as f64, *n)).collect();
        let cmd = server.commands.full_name(id);
        let sum = stats.microseconds as f64;
        s.exposition
            .histogram(&[("cmd", cmd)], &buckets, sum, h.total(), None);
    }
    false
}

/// Replication, beyond what the usual exporter knows.
fn own_replication(server: &Server, s: &mut Scrape) -> bool {
    let r = &server.repl;
    let now = server.el.now_ms();
    let e = &mut s.exposition;
    let name = "aedile_full_syncs_total";
    e.family(name, Type::Counter, "Full syncs of replicas by reason");
    for reason in SyncReason::ALL {
        let n = r.full_syncs[reason as usize];
        e.sample(&[("reason", reason.name())], n as f64);
    }
    let seconds = |ms: u64| ms as f64 / 1e3;
    for (name, kind, help, v) in [
        (
            "full_syncs_resumed_total",
            Type::Counter,
            "Full syncs that went on where they had been interrupted",
            r.resumed_syncs as f64,
        ),
        (
            "stream_writes_total",
            Type::Counter,
            "Writes that went into the replication stream",
            r.lag.writes() as f64,
        ),
        (
            "snapshot_backoff_seconds",
            Type::Gauge,
            "Seconds until another snapshot may be made for replicas",
            seconds(r.snapshots.wait(now)),
        ),
        (
            "replicas_slowing_writers",
            Type::Gauge,
            "Replicas for which writers wait (repl-overflow-policy backpressure)",
            r.backpressure.len() as f64,
        ),
        (
            "full_syncs_waiting",
            Type::Gauge,
            "Replicas that wait for a snapshot to begin",
            server
                .replicas()
                .filter(|(_, r)| r.state == crate::server::replica::ReplState::WaitBgsaveStart)
                .count() as f64,
        ),
    ] {
        e.single(&format!("aedile_{name}"), kind, help, v);
    }
    if r.master_host.is_none() {
        return true;
    }
    let attempts = &r.attempts;
    let (wait, failures) = (attempts.pace.wait(now), attempts.pace.failures());
    for (name, kind, help, v) in [
        (
            "master_refused_syncs_total",
            Type::Counter,
            "Full syncs that were refused since the master came back without its data",
            r.refused_syncs as f64,
        ),
        (
            "master_link_failures",
            Type::Gauge,
            "Attempts in a row that failed for a reason that stays",
            f64::from(failures),
        ),
        (
            "master_link_next_attempt_seconds",
            Type::Gauge,
            "Seconds until the next attempt at the link may begin",
            seconds(if r.link.is_connected() { 0 } else { wait }),
        ),
    ] {
        e.single(&format!("aedile_{name}"), kind, help, v);
    }
    let name = "aedile_master_link_problem";
    e.family(
        name,
        Type::Gauge,
        "What is wrong with the link to the master",
    );
    let problem = attempts.problem.as_ref();
    let text = problem.map_or("", |p| p.text.as_str());
    e.sample(&[("problem", text)], f64::from(u8::from(problem.is_some())));
    true
}

/// Each replica, beyond what the usual exporter knows.
fn own_replicas(server: &Server, s: &mut Scrape) -> bool {
    if server.clients.slaves.is_empty() {
        return true;
    }
    type Value = fn(&Server, ClientId, &Replica, Option<&Lag>) -> Option<f64>;
    let rows: [(&str, &str, Value); 6] = [
        (
            "lag_seconds",
            "How old the oldest write is that a replica has not acknowledged",
            |_, _, _, l| Some(l?.ms as f64 / 1e3),
        ),
        (
            "lag_bytes",
            "Bytes of the stream that a replica has not acknowledged",
            |_, _, _, l| Some(l?.bytes as f64),
        ),
        (
            "lag_writes",
            "Writes that a replica has not acknowledged",
            |_, _, _, l| Some(l?.writes as f64),
        ),
        (
            "spilled_bytes",
            "Bytes for a replica that wait in a file",
            |_, _, r, _| Some(r.spilled_bytes() as f64),
        ),
        (
            "sync_sent_ratio",
            "How much of its snapshot a replica has been sent",
            |_, _, r, _| (r.db_size > 0).then(|| r.db_off as f64 / r.db_size as f64),
        ),
        (
            "unacknowledged_syncs",
            "Full syncs in a row that a replica ended without acknowledging one",
            |s, cid, _, _| {
                let name = s.replication_get_slave_name(cid);
                Some(f64::from(s.repl.lost.unacknowledged(&name, 0).0))
            },
        ),
    ];
    let Some((name, help, value)) = rows.get(s.at) else {
        return true;
    };
    s.at += 1;
    let e = &mut s.exposition;
    e.family(&format!("aedile_replica_{name}"), Type::Gauge, help);
    for (cid, r, ip, port) in server.shown_replicas() {
        let lag = server.replica_lag(r);
        let Some(v) = value(server, cid, r, lag.as_ref()) else {
            continue;
        };
        let labels = [
            ("slave_ip", ip.as_str()),
            ("slave_port", &port),
            ("slave_state", r.state.name()),
            ("sync_reason", r.sync_reason.map_or("none", |w| w.name())),
        ];
        e.sample(&labels, v);
    }
    false
}

fn own_persistence(server: &Server, s: &mut Scrape) -> bool {
    let aof = &server.aof;
    let (p, stats) = (&server.persist, &server.stats);
    let on = !aof.is_off();
    let behind = server.repl.log.master_repl_offset() - aof.fsynced_reploff;
    let known = |v: i64| (on && aof.fsynced_reploff >= 0).then_some(v as f64);
    let annotated = aof.annotated.as_ref();
    let child = p.child.as_ref();
    let done = child.map_or(1.0, |c| match c.keys_total {
        0 => 0.0,
        total => c.keys_processed as f64 / total as f64,
    });
    for (name, kind, help, v) in [
        (
            "aof_synced_offset_bytes",
            Type::Gauge,
            "The replication offset up to which the append-only file is on the disk",
            known(aof.fsynced_reploff),
        ),
        (
            "aof_unsynced_bytes",
            Type::Gauge,
            "Bytes of the stream that are not known to be on the disk",
            known(behind.max(0)),
        ),
        (
            "aof_exact",
            Type::Gauge,
            "The append-only file says where in the stream it ends (aof-replication-state)",
            on.then(|| f64::from(u8::from(annotated.is_some()))),
        ),
        (
            "aof_annotated_offset_bytes",
            Type::Gauge,
            "The replication offset that the append-only file says last",
            annotated.filter(|_| on).map(|m| m.offset as f64),
        ),
        (
            "aof_rewrite_failures",
            Type::Gauge,
            "Rewrites in a row that failed",
            Some(aof.consecutive_failures as f64),
        ),
        (
            "expire_lateness_seconds",
            Type::Gauge,
            "By how much keys that have expired are deleted too late now",
            Some(server.expire_lateness_ms() as f64 / 1e3),
        ),
        (
            "expire_lateness_max_seconds",
            Type::Gauge,
            "By how much a key that had expired was deleted too late, at the most",
            Some(stats.expire_late_max_ms as f64 / 1e3),
        ),
        (
            "forks_total",
            Type::Counter,
            "Processes that were forked",
            Some(stats.total_forks as f64),
        ),
        (
            "fork_last_seconds",
            Type::Gauge,
            "How long the last fork took",
            Some(stats.last_fork_us as f64 / 1e6),
        ),
        (
            "snapshot_last_seconds",
            Type::Gauge,
            "How long the last snapshot took; -1: there was none",
            Some(p.last_bgsave_seconds.unwrap_or(-1) as f64),
        ),
        (
            "snapshot_progress_ratio",
            Type::Gauge,
            "How far the child that writes a snapshot or a base is; 1: there is none",
            Some(done),
        ),
    ] {
        if let Some(v) = v {
            s.exposition
                .single(&format!("aedile_{name}"), kind, help, v);
        }
    }
    true
}

fn own_loop(server: &Server, s: &mut Scrape) -> bool {
    let Some(metrics) = &server.metrics else {
        return true;
    };
    let h = &metrics.loop_duration;
    let name = "aedile_loop_duration_seconds";
    let help = "How long turns of the event loop took, without the wait";
    s.exposition.family(name, Type::Histogram, help);
    let buckets: Vec<(f64, u64)> = LOOP_POWERS
        .iter()
        .map(|p| (f64::from(*p).exp2(), h.up_to_power(*p)))
        .collect();
    s.exposition
        .histogram(&[], &buckets, h.sum_seconds(), h.count(), Some(h));
    true
}

/// The scripts and functions that took most time: INFO's section has a hundred of them at the most.
fn own_scripts(_: &Server, s: &mut Scrape) -> bool {
    let mut rows = Vec::new();
    for (field, value) in &s.fields {
        let kinds = [("script", "script_"), ("function", "function_")];
        let found = kinds
            .iter()
            .find_map(|(kind, prefix)| Some((*kind, field.strip_prefix(prefix)?)));
        let Some((kind, name)) = found.filter(|_| value.starts_with("calls=")) else {
            continue;
        };
        let of = |key: &str| -> f64 {
            value
                .split(',')
                .find_map(|part| part.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
                .unwrap_or(0.0)
        };
        rows.push((kind, name, of("calls"), of("usec") / 1e6));
    }
    for (name, help) in [
        ("calls_total", "Calls of scripts and functions"),
        ("seconds_total", "Time that scripts and functions took"),
    ] {
        let full = format!("aedile_script_{name}");
        s.exposition.family(&full, Type::Counter, help);
        for (kind, script, calls, seconds) in &rows {
            let v = if name == "calls_total" {
                *calls
            } else {
                *seconds
            };
            s.exposition.sample(&[("kind", kind), ("name", script)], v);
        }
    }
    true
}

/// What the usual exporter says of itself, as far as there is something to say.
fn scrapes(server: &Server, s: &mut Scrape) -> bool {
    let Some(metrics) = &server.metrics else {
        return true;
    };
    let e = &mut s.exposition;
    let name = "redis_exporter_scrapes_total";
    e.single(
        name,
        Type::Counter,
        "Scrapes so far",
        metrics.scrapes as f64,
    );
    let name = "redis_exporter_last_scrape_error";
    e.family(name, Type::Gauge, "The last scrape failed");
    e.sample(&[("err", "")], 0.0);
    e.single(
        "redis_exporter_last_scrape_duration_seconds",
        Type::Gauge,
        "Time of the event loop that the last scrape took",
        metrics.last_scrape_us as f64 / 1e6,
    );
    true
}
