//! What INFO says (genRedisInfoString of server.c): sections, field names and their order are 7.2's, with `aedile_version`
//! besides.
//!
//! Everything is read when it is asked for. A field about a feature that is not built has the value that upstream shows for a
//! feature that is not used.

use std::borrow::Cow;
use std::fmt::Write;

use crate::base::sys::{self, CpuTimes, Who};
use crate::base::{alloc, clock};
use crate::config::ineffective_directives;
use crate::config::value::Supervised;
use crate::script::flags::Engine;
use crate::server::clients::connection::ListenKind;
use crate::server::clients::flags::ClientId;
use crate::server::clients::subscriptions::Kind;
use crate::server::master_link::PayloadEnd;
use crate::server::persist::{ChildKind, Loading};
use crate::server::repl::SyncReason;
use crate::server::replica::{ReplState, Replica};
use crate::server::{AEDILE_VERSION, REDIS_VERSION, Server};
use crate::wire::replication::lag::Lag;

/// Sections that INFO shows when it is not told which.
const DEFAULT_SECTIONS: &[&str] = &[
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "module_list",
    "errorstats",
    "cluster",
    "keyspace",
];

/// What INFO has in Sentinel mode.
const SENTINEL_SECTIONS: &[&str] = &["server", "clients", "stats", "cpu", "sentinel"];

/// Which sections are asked for.
pub(crate) struct InfoSections {
    all: bool,
    /// Lower case.
    names: Vec<String>,
}

impl InfoSections {
    /// As INFO's arguments name them; unknown names ask for nothing.
    pub(crate) fn of<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> InfoSections {
        let mut s = InfoSections {
            all: false,
            names: Vec::new(),
        };
        let default = || DEFAULT_SECTIONS.iter().map(|n| (*n).to_string());
        if args.len() == 0 {
            s.names.extend(default());
        }
        for a in args {
            match a.to_ascii_lowercase().as_slice() {
                b"default" => s.names.extend(default()),
                b"all" | b"everything" => s.all = true,
                name => s.names.push(String::from_utf8_lossy(name).into_owned()),
            }
        }
        s
    }

    /// The same in Sentinel mode, which has a few of them and one of its own.
    pub(crate) fn of_sentinel<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> InfoSections {
        let args: Vec<&[u8]> = args.collect();
        let is_default = |a: &&[u8]| a.eq_ignore_ascii_case(b"default");
        let all = args.is_empty() || args.iter().any(is_default);
        let asked = InfoSections::of(args.into_iter());
        let names = SENTINEL_SECTIONS
            .iter()
            .filter(|n| all || asked.wants(n))
            .map(|n| (*n).to_string());
        InfoSections {
            all: false,
            names: names.collect(),
        }
    }

    /// Every section, as for a crash report.
    pub(crate) fn all() -> InfoSections {
        InfoSections {
            all: true,
            names: Vec::new(),
        }
    }

    pub(crate) fn named(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    fn wants(&self, name: &str) -> bool {
        self.all || self.named(name)
    }
}

/// What a field has behind its colon: INFO has some two hundred of them, most of which are numbers and need no formatter.
trait FieldValue {
    fn append_to(self, text: &mut String);
}

macro_rules! number_values {
    ($($t:ty),*) => {$(
        impl FieldValue for $t {
            fn append_to(self, text: &mut String) {
                text.push_str(itoa::Buffer::new().format(self));
            }
        }
    )*};
}

number_values!(i32, i64, u8, u16, u32, u64, usize);

impl FieldValue for &str {
    fn append_to(self, text: &mut String) {
        text.push_str(self);
    }
}

impl FieldValue for String {
    fn append_to(self, text: &mut String) {
        text.push_str(&self);
    }
}

impl FieldValue for Cow<'_, str> {
    fn append_to(self, text: &mut String) {
        text.push_str(&self);
    }
}

/// A number with two decimals, rounded half to even after the scaling.
struct Hundredths(f64);

impl FieldValue for Hundredths {
    fn append_to(self, text: &mut String) {
        // All below are whole numbers of 64 bits.
        const EXACT: f64 = (1u64 << 53) as f64;
        let scaled = self.0 * 100.0;
        if !(scaled.is_sign_positive() && scaled < EXACT) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{:.2}", self.0);
            return;
        }
        let n = scaled.round_ties_even() as u64;
        (n / 100).append_to(text);
        let decimals = (n % 100) as u8;
        text.push('.');
        text.push(char::from(b'0' + decimals / 10));
        text.push(char::from(b'0' + decimals % 10));
    }
}

/// A percentage with two decimals and its sign.
struct Percent(f64);

impl FieldValue for Percent {
    fn append_to(self, text: &mut String) {
        Hundredths(self.0).append_to(text);
        text.push('%');
    }
}

/// Microseconds as seconds with six decimals.
struct Micros(u64);

impl FieldValue for Micros {
    fn append_to(self, text: &mut String) {
        (self.0 / 1_000_000).append_to(text);
        // The one in front keeps the zeros behind it.
        let decimals = 1_000_000 + self.0 % 1_000_000;
        let mut digits = itoa::Buffer::new();
        text.push('.');
        text.push_str(digits.format(decimals).get(1..).unwrap_or_default());
    }
}

impl FieldValue for std::path::Display<'_> {
    fn append_to(self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{self}");
    }
}

/// The text while it grows.
struct Info {
    text: String,
    /// Bytes in use before the text began to grow.
    used_memory: usize,
}

impl Info {
    fn section(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        self.text.push_str("# ");
        self.text.push_str(name);
        self.text.push_str("\r\n");
    }

    fn field(&mut self, name: &str, value: impl FieldValue) {
        self.text.push_str(name);
        self.text.push(':');
        value.append_to(&mut self.text);
        self.text.push_str("\r\n");
    }

    /// A number with two decimals.
    fn f2(&mut self, name: &str, value: f64) {
        self.field(name, Hundredths(value));
    }

    fn percent(&mut self, name: &str, value: f64) {
        self.field(name, Percent(value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.field(name, u8::from(value));
    }

    fn bytes_and_human(&mut self, name: &str, n: u64) {
        self.field(name, n);
        self.text.push_str(name);
        self.field("_human", bytes_to_human(n));
    }

    fn put(&mut self, args: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(args);
    }
}

/// A byte count for people: 1.50K, 3.00M (bytesToHuman).
pub(crate) fn bytes_to_human(n: u64) -> String {
    let mut text = String::with_capacity(32);
    let mut unit = 1024f64;
    for letter in ["K", "M", "G", "T", "P"] {
        let next = unit * 1024.0;
        if n >= 1024 && (n as f64) < next {
            Hundredths(n as f64 / unit).append_to(&mut text);
            text.push_str(letter);
            return text;
        }
        unit = next;
    }
    n.append_to(&mut text);
    text.push('B');
    text
}

/// A percentile as INFO and LATENCY write it: no trailing zeros.
pub(crate) fn percentile_name(p: f64) -> String {
    let s = format!("{p:.6}");
    s.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn ratio(a: usize, b: usize) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// Characters that would break a line of INFO are replaced (getSafeInfoString).
fn safe_info_string(s: &[u8]) -> String {
    String::from_utf8_lossy(s)
        .chars()
        .map(|c| match c {
            '#' | ':' | '\n' | '\r' => '_',
            c => c,
        })
        .collect()
}

impl Server {
    /// INFO's text for a report of a crash.
    pub(crate) fn info_for_crash_report(&self) -> String {
        self.gen_redis_info_string(&InfoSections::all())
    }

    /// The directives that a report of a crash shows.
    pub(crate) fn config_for_crash_report(&self) -> Vec<u8> {
        crate::config::rewrite::get_config_debug_info(&self.config)
    }

    /// One section of INFO by its name; empty where there is none of it.
    pub(crate) fn info_section(&self, name: &str) -> String {
        let sections = InfoSections {
            all: false,
            names: vec![name.into()],
        };
        self.gen_redis_info_string(&sections)
    }

    /// INFO's text (genRedisInfoString).
    pub(crate) fn gen_redis_info_string(&self, sections: &InfoSections) -> String {
        let mut info = Info {
            used_memory: alloc::used_memory(),
            text: String::with_capacity(8192),
        };
        type Section = fn(&Server, &mut Info);
        let all: [(&str, Section); 15] = [
            ("server", Server::info_server),
            ("clients", Server::info_clients),
            ("memory", Server::info_memory),
            ("persistence", Server::info_persistence),
            ("stats", Server::info_stats),
            ("replication", Server::info_replication),
            ("tls", Server::info_tls),
            ("cpu", Server::info_cpu),
            ("modules", Server::info_modules),
            ("commandstats", Server::info_commandstats),
            ("errorstats", Server::info_errorstats),
            ("scripts", Server::info_scripts),
            ("latencystats", Server::info_latencystats),
            ("cluster", Server::info_cluster),
            ("keyspace", Server::info_keyspace),
        ];
        for (name, write) in all {
            // By itself where it is used, else only by its name: upstream has no such section.
            let is_tls = name == "tls" && !sections.names.is_empty() && self.tls.server.is_some();
            if sections.wants(name)
                || (name == "modules" && sections.named("module_list"))
                || (is_tls && sections.named("server"))
            {
                write(self, &mut info);
            }
        }
        // Only by its own name, as upstream has it.
        if sections.named("debug") {
            self.info_debug(&mut info);
        }
        info.text
    }

    /// The scripts and functions that have taken most time, with their calls, their microseconds and the bytes of their text.
    fn info_scripts(&self, i: &mut Info) {
        const SHOWN: usize = 100;
        let mut all: Vec<(u64, u64, usize, &str, &[u8])> = Vec::new();
        for s in self.scripts.cache.iter() {
            let (calls, us) = (s.usage.calls(), s.usage.us());
            all.push((us, calls, s.body.len(), "script", &s.sha));
        }
        for library in self.scripts.libraries.iter() {
            for f in &library.functions {
                let (calls, us) = (f.usage.calls(), f.usage.us());
                all.push((us, calls, library.code.len(), "function", &f.name));
            }
        }
        all.retain(|s| s.1 > 0);
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.truncate(SHOWN);
        i.section("Scripts");
        for (us, calls, bytes, kind, name) in all {
            i.put(format_args!(
                "{kind}_{}:calls={calls},usec={us},usec_per_call={:.2},bytes={bytes}\r\n",
                String::from_utf8_lossy(name),
                us as f64 / calls as f64
            ));
        }
    }

    fn info_server(&self, i: &mut Info) {
        let uptime = self.clock.unix_s - self.start_time;
        let (sysname, release, machine) = sys::uname();
        let build = format!("aedile-{AEDILE_VERSION}-{}", alloc::name());
        let supervised = match self.config.supervised {
            Supervised::No => "no",
            Supervised::Systemd => "systemd",
            Supervised::Upstart => "upstart",
            Supervised::Auto if std::env::var_os("NOTIFY_SOCKET").is_some() => "systemd",
            Supervised::Auto => "no",
        };
        let config_file = self.config.configfile.as_deref();
        i.section("Server");
        i.field("redis_version", REDIS_VERSION);
        i.field("aedile_version", AEDILE_VERSION);
        i.field("redis_git_sha1", "00000000");
        i.field("redis_git_dirty", 0);
        i.put(format_args!(
            "redis_build_id:{:x}\r\n",
            crate::base::crc::crc64(build.as_bytes())
        ));
        i.field("redis_mode", self.config.mode_name());
        i.put(format_args!("os:{sysname} {release} {machine}\r\n"));
        i.field("arch_bits", usize::BITS);
        i.field("monotonic_clock", "POSIX clock_gettime");
        i.field("multiplexing_api", "epoll");
        i.field("atomicvar_api", "c11-builtin");
        i.field("gcc_version", "0.0.0");
        i.field("process_id", std::process::id());
        i.field("process_supervised", supervised);
        i.field("run_id", self.run_id.as_str());
        i.field(
            "tcp_port",
            match self.config.port {
                0 => self.config.tls_port,
                port => port,
            },
        );
        i.field("server_time_usec", self.clock.unix_us);
        i.field("uptime_in_seconds", uptime);
        i.field("uptime_in_days", uptime / (24 * 3600));
        i.field("hz", self.cron.hz);
        i.field("configured_hz", self.config.hz);
        i.field("lru_clock", self.clock.lru_clock);
        i.field("executable", self.executable.display());
        i.field("config_file", config_file.unwrap_or("".as_ref()).display());
        i.field("io_threads_active", 0);
        let ineffective: Vec<&str> = ineffective_directives(&self.config).collect();
        if !ineffective.is_empty() {
            i.field("directives_without_effect", ineffective.join(","));
        }
        if let Some(s) = &self.shutdown {
            i.field(
                "shutdown_in_milliseconds",
                s.until_ms - self.command_time_ms(),
            );
        }
        if self.config.port != 0 && self.listeners.has(ListenKind::Tcp) {
            i.text.push_str("listener0:name=tcp");
            for b in &self.config.bind {
                i.put(format_args!(",bind={}", String::from_utf8_lossy(b)));
            }
            i.put(format_args!(",port={}\r\n", self.config.port));
        }
        if let (Some(path), true) = (
            &self.config.unixsocket,
            self.listeners.has(ListenKind::Unix),
        ) {
            let path = String::from_utf8_lossy(path);
            i.put(format_args!("listener1:name=unix,bind={path}\r\n"));
        }
        if self.config.tls_port != 0 && self.listeners.has(ListenKind::Tls) {
            i.text.push_str("listener2:name=tls");
            for b in &self.config.bind {
                i.put(format_args!(",bind={}", String::from_utf8_lossy(b)));
            }
            i.put(format_args!(",port={}\r\n", self.config.tls_port));
        }
    }

    fn info_clients(&self, i: &mut Info) {
        let (max_in, max_out) = self.stats.client_peaks.get();
        let slaves = self.clients.slaves.len();
        i.section("Clients");
        i.field(
            "connected_clients",
            self.connected_clients().saturating_sub(slaves),
        );
        i.field("cluster_connections", self.cluster_connections_count());
        i.field("maxclients", self.config.maxclients);
        i.field("client_recent_max_input_buffer", max_in);
        i.field("client_recent_max_output_buffer", max_out);
        i.field("blocked_clients", self.repl.blocked_clients);
        i.field("tracking_clients", self.tracking.clients());
        i.field(
            "clients_in_timeout_table",
            self.blocking.timeout_table_len(),
        );
        let (keys, on_nokey) = self.blocking.total_blocking_keys();
        i.field("total_blocking_keys", keys);
        i.field("total_blocking_keys_on_nokey", on_nokey);
    }

    fn info_memory(&self, i: &mut Info) {
        let m = self.get_memory_overhead_data(i.used_memory);
        i.section("Memory");
        i.bytes_and_human("used_memory", m.used as u64);
        i.bytes_and_human("used_memory_rss", m.rss as u64);
        i.bytes_and_human("used_memory_peak", m.peak as u64);
        i.percent("used_memory_peak_perc", m.peak_percentage());
        i.field("used_memory_overhead", m.total);
        i.field("used_memory_startup", m.startup);
        i.field("used_memory_dataset", m.dataset);
        i.percent("used_memory_dataset_perc", m.dataset_percentage());
        i.field("allocator_allocated", m.allocator.allocated);
        i.field("allocator_active", m.allocator.active);
        i.field("allocator_resident", m.allocator.resident);
        i.bytes_and_human("total_system_memory", sys::total_system_memory());
        let s = &self.scripts;
        let vm_eval = s.machine_memory(Engine::Eval);
        let vm_functions = s.machine_memory(Engine::Functions);
        let (scripts, functions) = (s.cache.bytes(), s.libraries.memory());
        i.field("used_memory_lua", vm_eval);
        i.field("used_memory_vm_eval", vm_eval);
        i.field("used_memory_lua_human", bytes_to_human(vm_eval as u64));
        i.field("used_memory_scripts_eval", scripts);
        i.field("number_of_cached_scripts", s.cache.len());
        i.field("number_of_functions", s.libraries.functions_len());
        i.field("number_of_libraries", s.libraries.len());
        i.field("used_memory_vm_functions", vm_functions);
        i.bytes_and_human("used_memory_vm_total", (vm_eval + vm_functions) as u64);
        i.field("used_memory_functions", functions);
        i.bytes_and_human("used_memory_scripts", (scripts + functions) as u64);
        i.bytes_and_human("maxmemory", self.config.maxmemory);
        i.field("maxmemory_policy", self.config.maxmemory_policy.name());
        let (ratio, bytes) = m.allocator_fragmentation();
        i.f2("allocator_frag_ratio", ratio);
        i.field("allocator_frag_bytes", bytes);
        let (ratio, bytes) = m.allocator_rss();
        i.f2("allocator_rss_ratio", ratio);
        i.field("allocator_rss_bytes", bytes);
        let (ratio, bytes) = m.rss_overhead();
        i.f2("rss_overhead_ratio", ratio);
        i.field("rss_overhead_bytes", bytes);
        let (ratio, bytes) = m.fragmentation();
        i.f2("mem_fragmentation_ratio", ratio);
        i.field("mem_fragmentation_bytes", bytes);
        i.field(
            "mem_not_counted_for_evict",
            self.free_memory_get_not_counted_memory(),
        );
        i.field("mem_replication_backlog", m.repl_backlog);
        i.field("mem_total_replication_buffers", self.repl.log.mem_usage());
        i.field("mem_clients_slaves", m.clients_slaves);
        i.field("mem_clients_normal", m.clients_normal);
        i.field("mem_cluster_links", self.cluster_links_memory());
        i.field("mem_aof_buffer", m.aof_buffer);
        i.field("mem_allocator", alloc::name());
        i.field("active_defrag_running", 0);
        i.field("lazyfree_pending_objects", self.persist.lazyfree.pending());
        i.field("lazyfreed_objects", self.persist.lazyfree.freed());
    }

    fn info_persistence(&self, i: &mut Info) {
        let p = &self.persist;
        let child = p.child.as_ref();
        let rdb = child.filter(|c| c.kind == ChildKind::Rdb);
        let status = |failed: bool| if failed { "err" } else { "ok" };
        let age = child.filter(|c| c.cow_updated_us != 0).map_or(0, |c| {
            clock::monotonic_us().saturating_sub(c.cow_updated_us) / 1_000_000
        });
        let (done, total) = child.map_or((0, 0), |c| (c.keys_processed, c.keys_total));
        let async_load = self.loading.as_ref().is_some_and(|l| l.is_async);
        i.section("Persistence");
        i.flag("loading", self.loading.is_some() && !async_load);
        i.flag("async_loading", async_load);
        i.field("current_cow_peak", child.map_or(0, |c| c.cow_peak));
        i.field("current_cow_size", child.map_or(0, |c| c.cow_size));
        i.field("current_cow_size_age", age);
        i.f2(
            "current_fork_perc",
            ratio(done as usize, total as usize) * 100.0,
        );
        i.field("current_save_keys_processed", done);
        i.field("current_save_keys_total", total);
        i.field("rdb_changes_since_last_save", self.dirty);
        i.flag("rdb_bgsave_in_progress", rdb.is_some());
        i.field("rdb_last_save_time", p.last_save);
        i.field("rdb_last_bgsave_status", status(p.last_bgsave_failed));
        i.field(
            "rdb_last_bgsave_time_sec",
            p.last_bgsave_seconds.unwrap_or(-1),
        );
        i.field(
            "rdb_current_bgsave_time_sec",
            rdb.map_or(-1, |c| clock::ustime() / 1_000_000 - c.start),
        );
        i.field("rdb_saves", p.rdb_saves);
        i.field("rdb_last_cow_size", p.last_cow_size);
        i.flag("snapshot_inline_in_progress", p.inline.is_some());
        i.field("snapshot_inline_buffered_bytes", self.snapshot_memory());
        i.field("snapshot_inline_taken", p.inline_stats.taken);
        i.field("snapshot_inline_value_waits", p.inline_stats.value_waits);
        i.field("snapshot_inline_room_waits", p.inline_stats.room_waits);
        i.field("snapshot_inline_values_at_once", p.inline_stats.forced);
        i.field("rdb_last_load_keys_expired", p.last_load_keys_expired);
        i.field("rdb_last_load_keys_loaded", p.last_load_keys_loaded);
        let aof = &self.aof;
        let rewriting = p.child.as_ref().is_some_and(|c| c.kind == ChildKind::Aof);
        i.flag("aof_enabled", !aof.is_off());
        i.flag("aof_rewrite_in_progress", rewriting);
        i.flag("aof_rewrite_scheduled", aof.rewrite_scheduled);
        i.field(
            "aof_last_rewrite_time_sec",
            aof.rewrite_time_last.unwrap_or(-1),
        );
        i.field(
            "aof_current_rewrite_time_sec",
            match aof.rewrite_time_start {
                Some(start) if rewriting => clock::ustime() / 1_000_000 - start,
                _ => -1,
            },
        );
        i.field("aof_last_bgrewrite_status", status(aof.last_rewrite_failed));
        i.field("aof_rewrites", aof.rewrites);
        i.field(
            "aof_rewrites_consecutive_failures",
            aof.consecutive_failures,
        );
        i.field("aof_last_write_status", status(aof.write_error().is_some()));
        i.field("aof_last_cow_size", aof.last_cow_size);
        i.field("module_fork_in_progress", 0);
        i.field("module_fork_last_cow_size", 0);
        if !aof.is_off() {
            i.field("aof_current_size", aof.current_size);
            i.field("aof_base_size", aof.rewrite_base_size);
            i.flag("aof_pending_rewrite", aof.rewrite_scheduled);
            i.field("aof_buffer_length", aof.unwritten());
            i.field("aof_pending_bio_fsync", aof.bio.syncing());
            i.field("aof_delayed_fsync", aof.delayed_fsync);
            i.field("aof_synced_offset", aof.fsynced_reploff);
            i.field(
                "aof_exact_offset",
                aof.annotated.as_ref().map_or(-1, |m| m.offset),
            );
        }
        if let Some(l) = &self.loading {
            let (percent, eta) = loading_progress(l, clock::ustime() / 1_000_000 - l.start);
            i.field("loading_start_time", l.start);
            i.field("loading_total_bytes", l.total_bytes);
            i.field("loading_rdb_used_mem", l.rdb_used_mem);
            i.field("loading_loaded_bytes", l.loaded_bytes);
            i.f2("loading_loaded_perc", percent);
            i.field("loading_eta_seconds", eta);
        }
    }

    fn info_stats(&self, i: &mut Info) {
        let s = &self.stats;
        let kbps = |m: &crate::server::measures::stats::Instantaneous| m.get() as f64 / 1024.0;
        i.section("Stats");
        i.field("total_connections_received", s.num_connections);
        i.field("total_commands_processed", s.num_commands);
        i.field("instantaneous_ops_per_sec", s.ops.get());
        i.field(
            "total_net_input_bytes",
            s.net_input_bytes + s.net_repl_input_bytes,
        );
        i.field(
            "total_net_output_bytes",
            s.net_output_bytes + s.net_repl_output_bytes,
        );
        i.field("total_net_repl_input_bytes", s.net_repl_input_bytes);
        i.field("total_net_repl_output_bytes", s.net_repl_output_bytes);
        i.f2("instantaneous_input_kbps", kbps(&s.input_bps));
        i.f2("instantaneous_output_kbps", kbps(&s.output_bps));
        i.f2("instantaneous_input_repl_kbps", kbps(&s.repl_input_bps));
        i.f2("instantaneous_output_repl_kbps", kbps(&s.repl_output_bps));
        i.field("rejected_connections", s.rejected_conn);
        i.field("sync_full", s.sync_full);
        i.field("sync_partial_ok", s.sync_partial_ok);
        i.field("sync_partial_err", s.sync_partial_err);
        i.field("expired_keys", s.expired_keys);
        i.f2("expired_stale_perc", s.expired_stale_perc * 100.0);
        i.field("expired_time_cap_reached_count", s.expired_time_cap_reached);
        i.field(
            "expire_cycle_cpu_milliseconds",
            s.expire_cycle_time_used_us / 1000,
        );
        i.field("expire_lateness_ms", self.expire_lateness_ms());
        i.field("expire_lateness_max_ms", s.expire_late_max_ms);
        i.field("evicted_keys", s.evicted_keys);
        i.field("evicted_clients", s.evicted_clients);
        i.field("evicted_scripts", self.scripts.cache.evicted);
        let (total, current) = self.evict.exceeded_times();
        i.field("total_eviction_exceeded_time", total / 1000);
        i.field("current_eviction_exceeded_time", current / 1000);
        i.field("keyspace_hits", s.keyspace_hits);
        i.field("keyspace_misses", s.keyspace_misses);
        i.field("pubsub_channels", self.pubsub.len(Kind::Channel));
        i.field("pubsub_patterns", self.pubsub.len(Kind::Pattern));
        i.field("pubsubshard_channels", self.pubsub.len(Kind::Shard));
        i.field("latest_fork_usec", s.last_fork_us);
        i.field("total_forks", s.total_forks);
        i.field("migrate_cached_sockets", self.migrate.len());
        i.field(
            "slave_expires_tracked_keys",
            self.slave_keys_with_expire_count(),
        );
        i.field("active_defrag_hits", 0);
        i.field("active_defrag_misses", 0);
        i.field("active_defrag_key_hits", 0);
        i.field("active_defrag_key_misses", 0);
        i.field("total_active_defrag_time", 0);
        i.field("current_active_defrag_time", 0);
        i.field("tracking_total_keys", self.tracking.total_keys());
        i.field("tracking_total_items", self.tracking.total_items());
        i.field("tracking_total_prefixes", self.tracking.total_prefixes());
        i.field("unexpected_error_replies", s.unexpected_error_replies);
        i.field("total_error_replies", s.total_error_replies);
        i.field("dump_payload_sanitizations", s.dump_payload_sanitizations);
        i.field("total_reads_processed", s.total_reads_processed);
        i.field("total_writes_processed", s.total_writes_processed);
        i.field("io_threaded_reads_processed", 0);
        i.field("io_threaded_writes_processed", 0);
        i.field("reply_buffer_shrinks", s.reply_buffer_shrinks);
        i.field("reply_buffer_expands", s.reply_buffer_expands);
        i.field("eventloop_cycles", s.el_duration.count);
        i.field("eventloop_duration_sum", s.el_duration.sum);
        i.field("eventloop_duration_cmd_sum", s.cmd_us);
        i.field("instantaneous_eventloop_cycles_per_sec", s.loop_rate.get());
        i.field(
            "instantaneous_eventloop_duration_usec",
            s.loop_duration.get(),
        );
        let denied = &self.acl.denied;
        i.field("acl_access_denied_auth", denied.auth);
        i.field("acl_access_denied_cmd", denied.cmd);
        i.field("acl_access_denied_key", denied.key);
        i.field("acl_access_denied_channel", denied.channel);
        i.field("acl_access_denied_db", denied.db);
        i.field("acl_access_denied_tls_cert", denied.tls_cert);
    }

    fn info_replication(&self, i: &mut Info) {
        let r = &self.repl;
        let log = &r.log;
        i.section("Replication");
        i.field("role", if self.is_replica() { "slave" } else { "master" });
        if let Some(host) = &r.master_host {
            self.info_master_link(i, host);
        }
        i.field("connected_slaves", self.clients.slaves.len());
        if self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag > 0 {
            i.field("min_slaves_good_slaves", r.good_slaves_count);
        }
        let mut n = 0;
        for cid in &self.clients.slaves {
            n += usize::from(self.info_slave(i, *cid, n));
        }
        let active = log.backlog_active();
        let or_zero = |v: i64| if active { v } else { 0 };
        i.field("master_failover_state", r.failover.state.name());
        i.field("master_replid", String::from_utf8_lossy(&r.replid));
        i.field("master_replid2", String::from_utf8_lossy(&r.replid2));
        i.field("master_repl_offset", log.master_repl_offset());
        i.field("second_repl_offset", r.second_replid_offset);
        i.flag("repl_backlog_active", active);
        i.field("repl_backlog_size", log.backlog_size());
        i.field(
            "repl_backlog_first_byte_offset",
            or_zero(log.backlog_first_byte_offset()),
        );
        i.field(
            "repl_backlog_histlen",
            or_zero(log.backlog_histlen() as i64),
        );
        i.field("repl_stream_writes", r.lag.writes());
        i.text.push_str("full_sync_reasons:");
        for (n, reason) in SyncReason::ALL.into_iter().enumerate() {
            i.text.push_str(if n == 0 { "" } else { "," });
            i.text.push_str(reason.name());
            i.text.push('=');
            r.full_syncs[reason as usize].append_to(&mut i.text);
        }
        i.text.push_str("\r\n");
        i.field("full_syncs_resumed", r.resumed_syncs);
        let waits = |r: &Replica| r.state == ReplState::WaitBgsaveStart;
        let waiting = self.replicas().filter(|(_, r)| waits(r)).count();
        i.field("full_syncs_waiting", waiting);
        let mut n = 0;
        for cid in &self.clients.slaves {
            n += usize::from(self.info_replica_lag(i, *cid, n));
        }
    }

    /// A replica's side: the link to the master.
    fn info_master_link(&self, i: &mut Info, host: &str) {
        let r = &self.repl;
        let now = self.clock.unix_s;
        let master = r.link.client().and_then(|m| self.clients.get(m));
        let (read_offset, offset) = match (master.and_then(|m| m.master_stream()), &r.cached_master)
        {
            (Some(m), _) => (m.read_reploff, m.reploff),
            (None, Some(c)) => (c.reploff, c.reploff),
            (None, None) => (1, 1),
        };
        let connected = r.link.is_connected();
        let transfer = r.link.transfer();
        i.field("master_host", host);
        i.field("master_port", r.master_port);
        i.field("master_link_status", if connected { "up" } else { "down" });
        i.field(
            "master_last_io_seconds_ago",
            master.map_or(-1, |m| now - m.last_interaction),
        );
        i.flag("master_sync_in_progress", transfer.is_some());
        i.field("slave_read_repl_offset", read_offset);
        i.field("slave_repl_offset", offset);
        if let Some(t) = transfer {
            let read = t.read as i64;
            // -1 before the header has come, 0 when it tells no size.
            let size = match &t.end {
                PayloadEnd::Size(n) => *n as i64,
                PayloadEnd::Mark(_) => 0,
                PayloadEnd::Unknown => -1,
            };
            let percent = if size > 0 {
                read as f64 / size as f64 * 100.0
            } else {
                0.0
            };
            i.field("master_sync_total_bytes", size);
            i.field("master_sync_read_bytes", read);
            i.field("master_sync_left_bytes", size - read);
            i.f2("master_sync_perc", percent);
            i.field("master_sync_last_io_seconds_ago", now - t.conn.last_io);
        }
        if !connected {
            let down = match r.down_since {
                0 => -1,
                since => now - since,
            };
            i.field("master_link_down_since_seconds", down);
        }
        if let Some(problem) = &r.attempts.problem {
            i.field("master_link_problem", problem.text.as_str());
        }
        let above = self.masters_above();
        if !above.is_empty() {
            let own = format!("{host}:{}", r.master_port);
            let all = std::iter::once(own.as_str()).chain(above.iter().map(|m| m.address.as_str()));
            i.field("master_chain", all.collect::<Vec<_>>().join(","));
            let told = self.masters_above_age_ms() / 1000;
            i.field("master_chain_told_seconds_ago", told);
        }
        if !connected {
            let pace = &r.attempts.pace;
            i.field("master_link_next_attempt_ms", pace.wait(self.el.now_ms()));
            i.field("master_link_failed_attempts", pace.failures());
        }
        if let Some(refusal) = &r.refusal {
            i.field(
                "master_refused_history",
                format!(
                    "{}:{}",
                    String::from_utf8_lossy(&refusal.replid),
                    refusal.offset
                ),
            );
        }
        if r.refused_syncs > 0 {
            i.field("master_refused_syncs", r.refused_syncs);
        }
        i.field("slave_priority", self.config.replica_priority);
        i.flag("slave_read_only", self.config.replica_read_only);
        i.flag("replica_announced", self.config.replica_announced);
    }

    /// The line of one replica; false when it has none yet.
    fn info_slave(&self, i: &mut Info, cid: ClientId, n: usize) -> bool {
        let Some(c) = self.clients.get(cid) else {
            return false;
        };
        let Some(r) = c.repl().filter(|r| !r.state.name().is_empty()) else {
            return false;
        };
        let ip = self.replica_ip(cid).unwrap_or_default();
        let lag = match r.state {
            ReplState::Online => clock::ustime() / 1_000_000 - r.ack_time,
            _ => 0,
        };
        i.put(format_args!(
            "slave{n}:ip={ip},port={},state={},offset={},lag={lag}\r\n",
            r.listening_port,
            r.state.name(),
            r.ack_off
        ));
        true
    }

    /// Aedile's own line of one replica, in the order of the `slave` lines.
    fn info_replica_lag(&self, i: &mut Info, cid: ClientId, n: usize) -> bool {
        let Some(r) = self.clients.get(cid).and_then(|c| c.repl()) else {
            return false;
        };
        if r.state.name().is_empty() {
            return false;
        }
        let lag = self.replica_lag(r);
        let shown = |f: fn(&Lag) -> u64| lag.as_ref().map_or(-1, |l| f(l) as i64);
        i.put(format_args!(
            "replica{n}:lag_ms={},lag_bytes={},lag_writes={},sync_reason={},state={},spilled_bytes={},unacknowledged_syncs={}\r\n",
            shown(|l| l.ms),
            shown(|l| l.bytes),
            shown(|l| l.writes),
            r.sync_reason.map_or("none", |w| w.name()),
            r.state.drawn_name(),
            r.spilled_bytes(),
            self.repl
                .lost
                .unacknowledged(&self.replication_get_slave_name(cid), 0)
                .0
        ));
        true
    }

    fn info_cpu(&self, i: &mut Info) {
        i.section("CPU");
        let mut times = |who: &str, t: CpuTimes| {
            for (kind, us) in [("sys", t.sys_us), ("user", t.user_us)] {
                i.text.push_str("used_cpu_");
                i.text.push_str(kind);
                i.field(who, Micros(u64::try_from(us).unwrap_or(0)));
            }
        };
        times("", sys::cpu_times(Who::Myself));
        times("_children", sys::cpu_times(Who::Children));
        times("_main_thread", sys::cpu_times(Who::Thread));
    }

    fn info_modules(&self, i: &mut Info) {
        i.section("Modules");
    }

    fn info_commandstats(&self, i: &mut Info) {
        i.section("Commandstats");
        for id in self.commands.ids() {
            let s = self.commands.stats(id);
            if s.calls == 0 && s.failed_calls == 0 && s.rejected_calls == 0 {
                continue;
            }
            let per_call = ratio(s.microseconds as usize, s.calls as usize);
            i.put(format_args!(
                "cmdstat_{}:calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}\r\n",
                self.commands.full_name(id),
                s.calls,
                s.microseconds,
                s.rejected_calls,
                s.failed_calls
            ));
        }
    }

    fn info_errorstats(&self, i: &mut Info) {
        i.section("Errorstats");
        for (code, n) in &self.stats.errors {
            i.put(format_args!(
                "errorstat_{}:count={n}\r\n",
                safe_info_string(code)
            ));
        }
    }

    fn info_latencystats(&self, i: &mut Info) {
        i.section("Latencystats");
        if !self.config.latency_tracking {
            return;
        }
        for id in self.commands.ids() {
            let Some(h) = &self.commands.stats(id).latency else {
                continue;
            };
            i.put(format_args!(
                "latency_percentiles_usec_{}:",
                self.commands.full_name(id)
            ));
            let percentiles = &self.config.latency_tracking_info_percentiles;
            for (n, p) in percentiles.iter().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                let us = h.value_at_percentile(*p) as f64 / 1000.0;
                i.put(format_args!("{comma}p{}={us:.3}", percentile_name(*p)));
            }
            i.text.push_str("\r\n");
        }
    }

    /// The certificates in use, as Valkey 9.1 shows them; of the authorities the one that ends first.
    fn info_tls(&self, i: &mut Info) {
        i.section("TLS");
        let now = self.clock.unix_s;
        for (name, cert) in [
            ("server", &self.tls.server_cert),
            ("client", &self.tls.client_cert),
            ("ca", &self.tls.ca_cert),
        ] {
            let (serial, left) = match cert {
                Some(c) => (
                    c.serial.as_str(),
                    i64::try_from(c.not_after).unwrap_or(i64::MAX) - now,
                ),
                None => ("none", 0),
            };
            i.put(format_args!("tls_{name}_cert_serial:{serial}\r\n"));
            i.put(format_args!(
                "tls_{name}_cert_expires_in_seconds:{left}\r\n"
            ));
        }
    }

    fn info_cluster(&self, i: &mut Info) {
        i.section("Cluster");
        i.flag("cluster_enabled", self.config.cluster_enabled);
    }

    fn info_keyspace(&self, i: &mut Info) {
        i.section("Keyspace");
        for (n, db) in self.dbs.iter().enumerate() {
            if !db.keys.is_empty() {
                i.put(format_args!(
                    "db{n}:keys={},expires={},avg_ttl={}\r\n",
                    db.keys.len(),
                    db.keys.expires_len(),
                    db.avg_ttl
                ));
            }
        }
    }

    fn info_debug(&self, i: &mut Info) {
        let s = &self.stats;
        i.section("Debug");
        i.field("eventloop_duration_aof_sum", s.aof_duration.sum);
        i.field("eventloop_duration_cron_sum", s.cron_duration.sum);
        i.field("eventloop_duration_max", s.el_duration.max);
        i.field("eventloop_cmd_per_cycle_max", s.cmd_per_cycle_max);
    }
}

/// How far a load is, in percent, and the seconds it will still take at this pace.
fn loading_progress(l: &Loading, elapsed_s: i64) -> (f64, i64) {
    let of = |total: u64| l.loaded_bytes as f64 / total as f64 * 100.0;
    let (percent, left) = if l.total_bytes != 0 {
        (
            of(l.total_bytes),
            l.total_bytes.saturating_sub(l.loaded_bytes),
        )
    } else if l.rdb_used_mem != 0 {
        // Memory is a poor guess at the size of the payload: never call it done.
        (
            of(l.rdb_used_mem).min(99.99),
            l.rdb_used_mem.saturating_sub(l.loaded_bytes).max(1),
        )
    } else {
        (0.0, 1)
    };
    if elapsed_s <= 0 {
        return (percent, 1);
    }
    let eta = i128::from(elapsed_s) * i128::from(left) / (i128::from(l.loaded_bytes) + 1);
    (percent, i64::try_from(eta).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (n, want) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1536, "1.50K"),
            (1 << 20, "1.00M"),
            (3 << 30, "3.00G"),
            (1 << 40, "1.00T"),
            (1 << 50, "1.00P"),
        ] {
            assert_eq!(bytes_to_human(n), want);
        }
        assert_eq!(bytes_to_human(u64::MAX), format!("{}B", u64::MAX));
    }

    fn text_of(value: impl FieldValue) -> String {
        let mut text = String::new();
        value.append_to(&mut text);
        text
    }

    #[test]
    fn decimals_are_as_many_as_asked_for() {
        for (us, want) in [
            (0, "0.000000"),
            (1, "0.000001"),
            (1_234_567, "1.234567"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            assert_eq!(text_of(Micros(us)), want);
        }
        assert_eq!(text_of(Percent(99.999)), "100.00%");
        for v in [
            0.0,
            -0.0,
            0.005001,
            0.994999,
            0.999,
            1.0,
            1.5,
            -2.125001,
            123_456.789,
            1e15 + 0.5,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ] {
            assert_eq!(text_of(Hundredths(v)), format!("{v:.2}"));
        }
    }

    #[test]
    fn percentiles_lose_their_zeros() {
        let names: Vec<String> = [0.0, 50.0, 99.0, 99.9, 100.0, 99.999999]
            .map(percentile_name)
            .to_vec();
        assert_eq!(names, ["0", "50", "99", "99.9", "100", "99.999999"]);
    }

    #[test]
    fn sections_by_name() {
        let of = |names: &[&str]| {
            let names: Vec<&[u8]> = names.iter().map(|n| n.as_bytes()).collect();
            InfoSections::of(names.into_iter())
        };
        let none = of(&[]);
        assert!(none.wants("server") && !none.wants("commandstats"));
        let two = of(&["CPU", "nonsense"]);
        assert!(two.wants("cpu") && !two.wants("server"));
        let all = of(&["ALL"]);
        assert!(all.wants("latencystats") && !all.named("debug"));
        assert!(of(&["cpu", "default"]).wants("keyspace"));
    }

    #[test]
    fn a_load_has_an_end() {
        let mut l = Loading {
            start: 0,
            total_bytes: 1000,
            loaded_bytes: 249,
            done_bytes: 0,
            rdb_used_mem: 0,
            peak_mem: 0,
            last_report_ms: 0,
            is_async: false,
            functions: Vec::new(),
        };
        assert_eq!(loading_progress(&l, 0).1, 1);
        let (percent, eta) = loading_progress(&l, 10);
        assert!((percent - 24.9).abs() < 1e-9);
        assert_eq!(eta, 10 * 751 / 250);
        (l.total_bytes, l.rdb_used_mem, l.loaded_bytes) = (0, 100, 5000);
        assert_eq!(loading_progress(&l, 10), (99.99, 0));
        l.rdb_used_mem = 0;
        assert_eq!(loading_progress(&l, 5).0, 0.0);
    }

    #[test]
    fn error_codes_cannot_break_lines() {
        assert_eq!(safe_info_string(b"A:b#c\r\n"), "A_b_c__");
    }
}
