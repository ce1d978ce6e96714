//! What the page shows: a look at the server once a second for its charts, and the state as JSON for its streams.
//!
//! Invariants: the lists are bounded, whatever the server has; nothing is shown of what clients have sent but names of commands:
//! of slow ones no argument, which SLOWLOG GET shows to whom may call it.

use super::history::{NONE, SLOT_S, Sample};
use super::json::Json;
use super::state::{FirstEvent, SeenSync};
use crate::server::master_link::{MasterLink, PayloadEnd};
use crate::server::repl::SyncReason;
use crate::server::replica::{ReplState, Replica};
use crate::server::{AEDILE_VERSION, REDIS_VERSION, Server};

/// Replicas, full syncs, slow commands, commands and databases that are shown at the most.
const REPLICAS: usize = 64;
const SYNCS: usize = 20;
const SLOW: usize = 12;
const COMMANDS: usize = 10;
const DATABASES: usize = 32;

fn link_name(link: &MasterLink) -> &'static str {
    match link {
        MasterLink::None => "None",
        MasterLink::Connect => "Connect",
        MasterLink::Connecting(_) => "Connecting",
        MasterLink::Handshake(_) => "Handshake",
        MasterLink::Transfer(_) => "Transfer",
        MasterLink::Connected(_) => "Connected",
    }
}

/// The sections of INFO that the page shows, and the fields of each.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "memory",
        &[
            "used_memory",
            "used_memory_rss",
            "used_memory_peak",
            "used_memory_dataset",
            "used_memory_overhead",
            "maxmemory",
            "maxmemory_policy",
            "mem_fragmentation_ratio",
            "mem_total_replication_buffers",
            "mem_clients_normal",
            "total_system_memory",
        ],
    ),
    (
        "clients",
        &[
            "connected_clients",
            "blocked_clients",
            "maxclients",
            "tracking_clients",
        ],
    ),
    (
        "stats",
        &[
            "instantaneous_ops_per_sec",
            "instantaneous_input_kbps",
            "instantaneous_output_kbps",
            "total_commands_processed",
            "keyspace_hits",
            "keyspace_misses",
            "expired_keys",
            "evicted_keys",
            "rejected_connections",
            "sync_full",
            "sync_partial_ok",
            "sync_partial_err",
            "latest_fork_usec",
            "instantaneous_eventloop_duration_usec",
        ],
    ),
    (
        "persistence",
        &[
            "rdb_changes_since_last_save",
            "rdb_bgsave_in_progress",
            "rdb_last_save_time",
            "rdb_last_bgsave_status",
            "rdb_last_bgsave_time_sec",
            "current_fork_perc",
            "aof_enabled",
            "aof_rewrite_in_progress",
            "aof_last_write_status",
            "aof_last_bgrewrite_status",
        ],
    ),
];

/// One section of INFO, field by field.
struct Fields(String);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default()
    }

    fn put(&self, j: &mut Json, names: &[&str]) {
        for name in names {
            j.key(name);
            match self.get(name).parse::<f64>() {
                Ok(v) => j.float(v),
                Err(_) => j.string(self.get(name)),
            }
        }
    }
}

impl Server {
    fn replica_address(&self, cid: crate::server::clients::flags::ClientId) -> String {
        self.replication_get_slave_name(cid)
    }

    /// The look of this second.
    fn metrics_sample(&self) -> Sample {
        let link = &self.repl.link;
        let master = link.client().and_then(|m| self.clients.get(m));
        Sample {
            ops: i64::try_from(self.stats.ops.get()).unwrap_or(i64::MAX),
            memory: i64::try_from(crate::base::alloc::used_memory()).unwrap_or(i64::MAX),
            clients: i64::try_from(self.connected_clients()).unwrap_or(i64::MAX),
            master_ms: master.map_or(NONE, |m| (self.clock.unix_s - m.last_interaction) * 1000),
            lag_ms: self
                .replicas()
                .filter(|(_, r)| r.state != ReplState::None)
                .take(REPLICAS)
                .map(|(cid, r)| {
                    let ms = self.replica_lag(r).map(|l| l.ms);
                    let ms = ms.map_or(NONE, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
                    (self.replica_address(cid), ms)
                })
                .collect(),
        }
    }

    /// Takes the look of this second: for the charts, and for the list of full syncs.
    pub(super) fn metrics_look(&mut self) {
        let sample = self.metrics_sample();
        let now = crate::base::clock::mstime();
        let syncing = |r: &Replica| r.in_full_sync || r.state != ReplState::Online;
        let seen: Vec<(u64, bool, String, &'static str)> = self
            .replicas()
            .filter(|(_, r)| r.state != ReplState::None)
            .take(REPLICAS)
            .filter_map(|(cid, r)| {
                let id = self.clients.get(cid)?.id;
                let why = r.sync_reason.map_or("none", SyncReason::name);
                Some((id, syncing(r), self.replica_address(cid), why))
            })
            .collect();
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        metrics.history.add(now.div_euclid(1000), &sample);
        for s in metrics.syncs.iter_mut().filter(|s| s.ended.is_none()) {
            match seen.iter().find(|(id, ..)| *id == s.client) {
                Some((_, true, ..)) => {}
                Some(_) => (s.ended, s.done) = (Some(now), true),
                None => s.ended = Some(now),
            }
        }
        let before = std::mem::take(&mut metrics.seen);
        metrics.seen = seen.iter().map(|(client, ..)| *client).collect();
        for (client, under_way, replica, reason) in seen {
            let known = |s: &SeenSync| s.client == client && s.ended.is_none();
            // One that was over between two looks was one as well.
            let fast = !under_way && reason != "none" && !before.contains(&client);
            if !fast && (!under_way || metrics.syncs.iter().any(known)) {
                continue;
            }
            if metrics.syncs.len() == SYNCS {
                metrics.syncs.pop_front();
            }
            metrics.syncs.push_back(SeenSync {
                replica,
                reason,
                began: now,
                ended: fast.then_some(now),
                done: fast,
                client,
            });
        }
    }

    /// The last hour as the first event of a stream, a series at a time; true: it is whole.
    pub(super) fn metrics_first_event(&self, event: &mut FirstEvent, out: &mut Vec<u8>) -> bool {
        let Some(metrics) = &self.metrics else {
            return true;
        };
        let h = &metrics.history;
        let mut text = String::new();
        let mut series = |before: &str, name: &str, values: &mut dyn Iterator<Item = i64>| {
            let mut j = Json::default();
            j.key(name).open('[');
            values.for_each(|v| j.int(v));
            j.close(']');
            text.push_str(before);
            text.push_str(&j.finish());
        };
        let step = event.step;
        event.step += 1;
        let own = h.own();
        if step < own.len() {
            let (name, values) = own[step];
            if step == 0 {
                let head = format!(
                    "retry: 2000\nevent: history\ndata: {{\"step\":{SLOT_S},\"slot\":{}",
                    h.slot()
                );
                series(&format!("{head},"), name, &mut values.iter().copied());
            } else {
                series(",", name, &mut values.iter().copied());
            }
            out.extend_from_slice(text.as_bytes());
            return false;
        }
        let n = step - own.len();
        if let Some((name, values)) = h.lags().nth(n) {
            let before = if n == 0 { ",\"lag\":{" } else { "," };
            series(before, name, &mut values.iter().copied());
            out.extend_from_slice(text.as_bytes());
            return false;
        }
        let end = if n == 0 { ",\"lag\":{}}" } else { "}}" };
        out.extend_from_slice(end.as_bytes());
        let state = self.metrics_state_json();
        out.extend_from_slice(format!("\n\nevent: state\ndata: {state}\n\n").as_bytes());
        true
    }

    /// All that the page shows, but for the last hour.
    pub(super) fn metrics_state_json(&self) -> String {
        let mut j = Json::default();
        j.open('{');
        self.json_server(&mut j);
        self.json_master(&mut j);
        self.json_replicas(&mut j);
        self.json_syncs(&mut j);
        self.json_sections(&mut j);
        self.json_commands(&mut j);
        self.json_slowlog(&mut j);
        self.json_keyspace(&mut j);
        self.json_sample(&mut j);
        j.close('}');
        j.finish()
    }

    fn json_server(&self, j: &mut Json) {
        j.key("server").open('{');
        j.key("version").string(AEDILE_VERSION);
        j.key("redis_version").string(REDIS_VERSION);
        let role = if self.is_replica() {
            "replica"
        } else {
            "master"
        };
        j.key("role").string(role);
        let port = match self.config.port {
            0 => self.config.tls_port,
            port => port,
        };
        j.key("port").uint(port.into());
        j.key("pid").uint(std::process::id().into());
        j.key("uptime")
            .int(crate::base::clock::mstime().div_euclid(1000) - self.start_time);
        j.key("replid")
            .string(&String::from_utf8_lossy(&self.repl.replid));
        j.key("offset").int(self.repl.log.master_repl_offset());
        j.key("failover").string(self.repl.failover.state.name());
        j.key("loading");
        match &self.loading {
            None => j.null(),
            Some(l) => {
                j.open('{');
                j.key("bytes").uint(l.loaded_bytes);
                j.key("total").uint(l.total_bytes);
                j.close('}');
            }
        }
        j.close('}');
    }

    fn json_master(&self, j: &mut Json) {
        let r = &self.repl;
        j.key("master");
        let Some(host) = &r.master_host else {
            return j.null();
        };
        let now = self.el.now_ms();
        j.open('{');
        j.key("address")
            .string(&format!("{host}:{}", r.master_port));
        j.key("state").string(link_name(&r.link));
        let up = r.link.is_connected();
        j.key("up").bool(up);
        let master = r.link.client().and_then(|m| self.clients.get(m));
        j.key("silent_s");
        match master {
            Some(m) => j.int(self.clock.unix_s - m.last_interaction),
            None => j.null(),
        }
        j.key("down_s");
        match r.down_since {
            since if !up && since > 0 => j.int(self.clock.unix_s - since),
            _ => j.null(),
        }
        j.key("problem");
        match &r.attempts.problem {
            Some(p) => j.string(&p.text),
            None => j.null(),
        }
        j.key("failures").uint(r.attempts.pace.failures().into());
        j.key("next_ms")
            .uint(if up { 0 } else { r.attempts.pace.wait(now) });
        j.key("above").open('[');
        for m in self.masters_above() {
            j.open('{');
            j.key("address").string(&m.address);
            j.key("up").bool(m.up);
            j.close('}');
        }
        j.close(']');
        j.key("above_ms").uint(self.masters_above_age_ms());
        j.key("sync");
        match r.link.transfer() {
            None => j.null(),
            Some(t) => {
                j.open('{');
                j.key("read").uint(t.read);
                j.key("total");
                match &t.end {
                    PayloadEnd::Size(n) => j.uint(*n),
                    _ => j.null(),
                }
                j.close('}');
            }
        }
        j.close('}');
    }

    fn json_replicas(&self, j: &mut Json) {
        j.key("replicas").open('[');
        for (cid, r) in self
            .replicas()
            .filter(|(_, r)| r.state != ReplState::None)
            .take(REPLICAS)
        {
            let name = self.replica_address(cid);
            let lag = self.replica_lag(r);
            j.open('{');
            j.key("address").string(&name);
            j.key("state").string(r.state.drawn_name());
            j.key("streams").bool(r.streams());
            for (key, v) in [
                ("lag_ms", lag.as_ref().map(|l| l.ms)),
                ("lag_bytes", lag.as_ref().map(|l| l.bytes)),
                ("lag_writes", lag.as_ref().map(|l| l.writes)),
            ] {
                j.key(key);
                match v {
                    Some(v) => j.uint(v),
                    None => j.null(),
                }
            }
            j.key("offset").int(r.ack_off);
            j.key("silent_s");
            match r.state {
                ReplState::Online => j.int((self.clock.unix_s - r.ack_time).max(0)),
                _ => j.null(),
            }
            j.key("reason")
                .string(r.sync_reason.map_or("none", SyncReason::name));
            j.key("sent").uint(r.db_off);
            j.key("size").uint(r.db_size);
            j.key("spilled").uint(r.spilled_bytes());
            let (unacknowledged, wait) = self.repl.lost.unacknowledged(&name, self.el.now_ms());
            j.key("unacknowledged").uint(unacknowledged.into());
            j.key("wait_ms").uint(wait);
            j.close('}');
        }
        j.close(']');
        j.key("replicas_all").uint(self.clients.slaves.len() as u64);
    }

    fn json_syncs(&self, j: &mut Json) {
        j.key("sync_reasons").open('{');
        for reason in SyncReason::ALL {
            let n = self.repl.full_syncs[reason as usize];
            if n > 0 {
                j.key(reason.name()).uint(n);
            }
        }
        j.close('}');
        j.key("syncs").open('[');
        for s in self.metrics.iter().flat_map(|m| m.syncs.iter().rev()) {
            j.open('{');
            j.key("replica").string(&s.replica);
            j.key("reason").string(s.reason);
            j.key("began").int(s.began);
            j.key("ended");
            match s.ended {
                Some(at) => j.int(at),
                None => j.null(),
            }
            j.key("done").bool(s.done);
            j.close('}');
        }
        j.close(']');
    }

    fn json_sections(&self, j: &mut Json) {
        for (name, fields) in SECTIONS {
            j.key(name).open('{');
            Fields(self.info_section(name)).put(j, fields);
            j.close('}');
        }
    }

    /// The commands that took most time.
    fn json_commands(&self, j: &mut Json) {
        let mut all: Vec<_> = self
            .commands
            .ids()
            .map(|id| (self.commands.stats(id).microseconds, id))
            .filter(|(_, id)| self.commands.stats(*id).calls > 0)
            .collect();
        all.sort_unstable_by_key(|(us, _)| std::cmp::Reverse(*us));
        j.key("commands").open('[');
        for (us, id) in all.into_iter().take(COMMANDS) {
            let stats = self.commands.stats(id);
            j.open('{');
            j.key("name").string(self.commands.full_name(id));
            j.key("calls").uint(stats.calls);
            j.key("usec").uint(us);
            j.key("failed")
                .uint(stats.failed_calls + stats.rejected_calls);
            j.key("p99");
            match &stats.latency {
                Some(h) => j.float(h.value_at_percentile(99.0) as f64 / 1e3),
                None => j.null(),
            }
            j.close('}');
        }
        j.close(']');
    }

    fn json_slowlog(&self, j: &mut Json) {
        j.key("slowlog").open('[');
        for e in self.slowlog.entries.iter().take(SLOW) {
            // Only what is a command's name for sure is shown.
            let id = e.args.first().and_then(|name| self.commands.lookup(name));
            let id = id.map(|id| {
                let sub = e.args.get(1);
                sub.and_then(|sub| self.commands.lookup_subcommand(id, sub))
                    .unwrap_or(id)
            });
            j.open('{');
            j.key("id").uint(e.id);
            j.key("time").int(e.time);
            j.key("usec").uint(e.duration_us);
            let name = id.map_or("(unknown)", |id| self.commands.full_name(id));
            j.key("command").string(name);
            j.key("args").uint(e.args.len() as u64);
            j.key("peer").string(&e.peer);
            j.close('}');
        }
        j.close(']');
    }

    fn json_keyspace(&self, j: &mut Json) {
        j.key("keyspace").open('[');
        let used = self.dbs.iter().enumerate();
        let used = used.filter(|(_, db)| !db.keys.is_empty());
        for (n, db) in used.take(DATABASES) {
            j.open('{');
            j.key("db").uint(n as u64);
            j.key("keys").uint(db.keys.len() as u64);
            j.key("expires").uint(db.keys.expires_len() as u64);
            j.key("avg_ttl").int(db.avg_ttl);
            j.close('}');
        }
        j.close(']');
    }

    /// The newest point of the charts.
    fn json_sample(&self, j: &mut Json) {
        let sample = self.metrics_sample();
        j.key("sample").open('{');
        let now = crate::base::clock::mstime().div_euclid(1000);
        j.key("slot").int(now.div_euclid(SLOT_S));
        j.key("ops").int(sample.ops);
        j.key("memory").int(sample.memory);
        j.key("clients").int(sample.clients);
        j.key("master_ms").int(sample.master_ms);
        j.key("lag").open('{');
        for (name, ms) in &sample.lag_ms {
            j.key(name).int(*ms);
        }
        j.close('}');
        j.close('}');
    }
}
