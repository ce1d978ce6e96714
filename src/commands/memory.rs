//! MEMORY: where the memory is, what looks wrong with it, and what one key takes (memoryCommand of object.c).
//!
//! Everything is measured when it is asked for. Absent: what a value takes (`store`), what a client takes (`client_info`).

use crate::base::{alloc, clock, sys};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::measures::key_samples::SampledKey;
use crate::server::measures::stats::MemorySample;
use crate::store::evict::policy_is_lfu;

/// Elements that MEMORY USAGE looks at unless it is told a number (OBJ_COMPUTE_SIZE_DEF_SAMPLES).
const USAGE_DEFAULT_SAMPLES: usize = 5;
/// What a key costs in the table beside its entry: a slot of a bucket that is half full.
const TABLE_BYTES_PER_KEY: usize = 2 * size_of::<usize>();
/// What a key with an expiry costs in the expire index.
const EXPIRE_INDEX_BYTES_PER_KEY: usize = size_of::<usize>();
/// Header of an entry: what a key costs besides its own bytes and its value's.
const ENTRY_HEADER: usize = 8;

/// How long a sample of the memory is good for, in us: as often upstream's cron takes one (cronUpdateMemoryStats).
const MEMORY_SAMPLE_US: u64 = 100_000;

const MIB: usize = 1024 * 1024;
/// Below this use of memory, in bytes, ratios say nothing.
const DOCTOR_MIN_USED: usize = 5 * MIB;
/// A ratio is no trouble while the difference behind it is no larger than this, in bytes.
const DOCTOR_MIN_DIFFERENCE: i64 = 10 * MIB as i64;
/// A client on average takes more than this, in bytes: that is much.
const DOCTOR_CLIENT_BYTES: usize = 200 * 1024;
/// The same for a replica's output.
const DOCTOR_REPLICA_BYTES: usize = 10 * MIB;

const MEMORY_HELP: &[&str] = &[
    "BIGKEYS [COUNT <count>]",
    "    Return the largest keys that a walk over all keys has found: database, key,",
    "    type and bytes (needs key-sampling-rate; default count: 10).",
    "DOCTOR",
    "    Return memory problems reports.",
    "HOTKEYS [COUNT <count>]",
    "    Return the keys that are used most, with the counter of OBJECT FREQ (needs",
    "    key-sampling-rate and an LFU maxmemory-policy).",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];

/// What the tables of one database take, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DbOverhead {
    pub db: usize,
    /// The table, and the headers of its entries.
    pub main: usize,
    pub expires: usize,
    /// Which keys are in which hash slot.
    pub slots: usize,
}

/// Where the memory is (redisMemOverhead), in bytes.
#[derive(Clone, Default, Debug)]
pub(crate) struct MemOverhead {
    pub used: usize,
    pub peak: usize,
    /// Of the process, as the system sees it.
    pub rss: usize,
    pub allocator: alloc::AllocatorInfo,
    pub startup: usize,
    pub repl_backlog: usize,
    pub clients_slaves: usize,
    pub clients_normal: usize,
    pub cluster_links: usize,
    pub aof_buffer: usize,
    /// Scripts and libraries, compiled code not counted.
    pub scripts: usize,
    pub functions: usize,
    /// Databases that have keys.
    pub dbs: Vec<DbOverhead>,
    /// All of what is needed besides the data: start-up, log, clients, AOF buffer, tables.
    pub total: usize,
    /// `used` without that.
    pub dataset: usize,
    pub keys: usize,
}

/// `a / b`, and `a - b`.
fn compare(a: usize, b: usize) -> (f64, i64) {
    let ratio = if b == 0 { 0.0 } else { a as f64 / b as f64 };
    (ratio, a as i64 - b as i64)
}

impl MemOverhead {
    /// Bytes that came after the start; at least 1.
    fn net(&self) -> usize {
        self.used.saturating_sub(self.startup).max(1)
    }

    pub(crate) fn dataset_percentage(&self) -> f64 {
        compare(self.dataset, self.net()).0 * 100.0
    }

    pub(crate) fn peak_percentage(&self) -> f64 {
        compare(self.used, self.peak).0 * 100.0
    }

    /// Pages in use against bytes in use, as the allocator sees them: ratio and difference, as in the following.
    pub(crate) fn allocator_fragmentation(&self) -> (f64, i64) {
        compare(self.allocator.active, self.allocator.allocated)
    }

    /// Pages that the allocator holds against those in use.
    pub(crate) fn allocator_rss(&self) -> (f64, i64) {
        compare(self.allocator.resident, self.allocator.active)
    }

    /// The process against its allocator.
    pub(crate) fn rss_overhead(&self) -> (f64, i64) {
        compare(self.rss, self.allocator.resident)
    }

    /// The process against the bytes in use.
    pub(crate) fn fragmentation(&self) -> (f64, i64) {
        compare(self.rss, self.used)
    }
}

/// What MEMORY DOCTOR can find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Finding {
    BigPeak,
    HighFragmentation,
    HighAllocatorFragmentation,
    HighAllocatorRss,
    HighProcessRss,
    BigReplicaBuffers,
    BigClientBuffers,
}

use Finding::*;

impl Finding {
    fn text(self) -> &'static str {
        match self {
            BigPeak => {
                "Peak memory: at its peak this instance used more than one and a half times what it uses now. The allocator \
                 keeps much of such a peak, which shows as fragmentation and does no harm: the memory is used again when the \
                 data grows. MEMORY PURGE may give some of it back; a restart gives back all."
            }
            HighFragmentation => {
                "High total RSS: the process takes more than 1.4 times the memory that it has allocated. After a peak (see \
                 above, if it is listed) that is to be expected; else the load fragments the allocator's memory."
            }
            HighAllocatorFragmentation => {
                "High allocator fragmentation: the allocator has a tenth more memory in use than it has handed out. That \
                 comes from a peak, or from values whose sizes change a lot."
            }
            HighAllocatorRss => {
                "High allocator RSS overhead: the allocator holds a tenth more memory than it has in use, most likely since \
                 a peak. MEMORY PURGE gives it back."
            }
            HighProcessRss => {
                "High process RSS overhead: the process takes a tenth more memory than its allocator holds."
            }
            BigReplicaBuffers => {
                "Big replica buffers: more than 10MB of the stream wait for each replica on average, so one of them is too \
                 slow, or its network is. INFO REPLICATION shows how far each is behind, CLIENT LIST its output."
            }
            BigClientBuffers => {
                "Big client buffers: clients take more than 200K each on average. Subscribers that do not read fast enough \
                 do that, and so do huge replies and long pipelines. CLIENT LIST shows who it is; maxmemory-clients sets a \
                 limit."
            }
        }
    }
}

/// What looks wrong; none when there is too little in use to tell.
fn examine(m: &MemOverhead, clients: usize, replicas: usize) -> Option<Vec<Finding>> {
    if m.used < DOCTOR_MIN_USED {
        return None;
    }
    let high = |(ratio, bytes): (f64, i64), limit| ratio > limit && bytes > DOCTOR_MIN_DIFFERENCE;
    let all = [
        (BigPeak, compare(m.peak, m.used).0 > 1.5),
        (HighFragmentation, high(m.fragmentation(), 1.4)),
        (
            HighAllocatorFragmentation,
            high(m.allocator_fragmentation(), 1.1),
        ),
        (HighAllocatorRss, high(m.allocator_rss(), 1.1)),
        (HighProcessRss, high(m.rss_overhead(), 1.1)),
        (
            BigReplicaBuffers,
            replicas > 0 && m.clients_slaves / replicas > DOCTOR_REPLICA_BYTES,
        ),
        (
            BigClientBuffers,
            m.clients_normal / clients.max(1) > DOCTOR_CLIENT_BYTES,
        ),
    ];
    Some(all.into_iter().filter(|f| f.1).map(|f| f.0).collect())
}

/// What MEMORY DOCTOR says to that.
fn report(findings: Option<Vec<Finding>>) -> String {
    let Some(findings) = findings else {
        return "This instance uses very little memory: there is nothing to be found out about it. Ask again when it holds \
                some data.\n"
            .into();
    };
    if findings.is_empty() {
        return "No memory issue was found in this instance.\n".into();
    }
    let mut text = String::from("These memory issues were found in this instance:\n\n");
    for f in findings {
        text.push_str(" * ");
        text.push_str(f.text());
        text.push_str("\n\n");
    }
    text
}

impl Server {
    /// What the system and the allocator say of the memory, a tenth of a second old at the most: to ask them is dear.
    fn memory_sample(&self) -> MemorySample {
        let now_us = clock::monotonic_us();
        let known = self.stats.memory_sample.get();
        if known.taken_us != 0 && now_us.saturating_sub(known.taken_us) < MEMORY_SAMPLE_US {
            return known;
        }
        let new = MemorySample {
            taken_us: now_us,
            rss: sys::resident_memory(),
            allocator: alloc::allocator_info(),
        };
        self.stats.memory_sample.set(new);
        new
    }

    /// Splits the memory in use by what uses it; `used` are the bytes in use (getMemoryOverheadData).
    pub(crate) fn get_memory_overhead_data(&self, used: usize) -> MemOverhead {
        let MemorySample {
            rss, mut allocator, ..
        } = self.memory_sample();
        // An allocator without statistics: the nearest that is known, as upstream's cron takes it.
        for (value, known) in [
            (&mut allocator.resident, rss),
            (&mut allocator.active, rss),
            (&mut allocator.allocated, used),
        ] {
            if *value == 0 {
                *value = known;
            }
        }
        let mut m = MemOverhead {
            used,
            peak: self.stats.peak_memory.max(used),
            rss,
            allocator,
            startup: self.initial_memory,
            ..MemOverhead::default()
        };
        // One store holds the backlog and the replicas' output: what is more than the backlog may be is the replicas'.
        let log = self.repl.log.mem_usage();
        let backlog = self.repl.log.backlog_size() as usize;
        if !self.clients.slaves.is_empty() && log > backlog {
            m.clients_slaves = log - backlog;
            m.repl_backlog = backlog;
        } else {
            m.repl_backlog = log;
        }
        m.clients_normal = self
            .clients
            .iter()
            .filter(|c| !c.has(ClientFlags::FAKE | ClientFlags::SLAVE))
            .map(|c| self.client_memory_usage(c.cid))
            .sum();
        m.cluster_links = self.cluster_links_memory();
        m.scripts = self.scripts.cache.bytes();
        m.functions = self.scripts.libraries.memory();
        if !self.aof.is_off() {
            m.aof_buffer = self.aof.buf.capacity();
        }
        let filled = self.dbs.iter().enumerate();
        for (db, d) in filled.filter(|(_, d)| !d.keys.is_empty()) {
            let (table, expires) = d.keys.overhead();
            m.keys += d.keys.len();
            let main = table + d.keys.len() * ENTRY_HEADER;
            let slots = d.keys.slots_overhead();
            m.dbs.push(DbOverhead {
                db,
                main,
                expires,
                slots,
            });
        }
        let tables: usize = m.dbs.iter().map(|d| d.main + d.expires + d.slots).sum();
        m.total = m.startup
            + m.repl_backlog
            + m.clients_slaves
            + m.clients_normal
            + m.cluster_links
            + m.aof_buffer
            + m.scripts
            + m.functions
            + tables;
        m.dataset = m.used.saturating_sub(m.total);
        m
    }
}

/// MEMORY HELP
pub(crate) fn memory_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, MEMORY_HELP);
}

/// MEMORY MALLOC-STATS
pub(crate) fn memory_malloc_stats_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_verbatim(cid, &alloc::malloc_stats(), *b"txt");
}

/// MEMORY DOCTOR
pub(crate) fn memory_doctor_command(server: &mut Server, cid: ClientId, _: &Args) {
    let m = server.get_memory_overhead_data(alloc::used_memory());
    let replicas = server.clients.slaves.len();
    let clients = server.connected_clients().saturating_sub(replicas);
    let text = report(examine(&m, clients, replicas));
    server.add_reply_verbatim(cid, text.as_bytes(), *b"txt");
}

/// MEMORY PURGE
pub(crate) fn memory_purge_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.stats.memory_sample.take();
    if alloc::purge() {
        server.add_reply_ok(cid);
    } else {
        server.add_reply_error(cid, "Error purging dirty pages");
    }
}

/// `MEMORY USAGE key [SAMPLES count]`
pub(crate) fn memory_usage_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut samples = USAGE_DEFAULT_SAMPLES;
    let mut i = 3;
    while i < args.len() {
        if !args.is(i, "samples") || i + 1 == args.len() {
            return server.add_reply_syntax_error(cid);
        }
        match server.get_long_long_or_reply(cid, args, i + 1) {
            None => return,
            Some(n) if n < 0 => return server.add_reply_syntax_error(cid),
            Some(0) => samples = usize::MAX,
            Some(n) => samples = usize::try_from(n).unwrap_or(usize::MAX),
        }
        i += 2;
    }
    let keys = &server.dbs[server.client_db(cid)].keys;
    // Expired or not: what is there uses memory.
    let Some(slot) = keys.find(keys.hash(&args[2]), &args[2]) else {
        return server.add_reply_null(cid);
    };
    let e = keys.at(slot);
    let mut n = e.mem_usage_by(|v| v.mem_usage_sampled(samples)) + TABLE_BYTES_PER_KEY;
    if e.expire().is_some() {
        n += EXPIRE_INDEX_BYTES_PER_KEY;
    }
    server.add_reply_long_long(cid, n as i64);
}

/// How many keys are asked for, or an error has been answered.
fn sampled_count(server: &mut Server, cid: ClientId, args: &Args) -> Option<usize> {
    if server.config.key_sampling_rate == 0 {
        server.add_reply_error(
            cid,
            "keys are not sampled: set key-sampling-rate to how many keys may be looked at in a second",
        );
        return None;
    }
    if args.len() == 2 {
        return Some(10);
    }
    if args.len() != 4 || !args.is(2, "count") {
        server.add_reply_syntax_error(cid);
        return None;
    }
    let n = server.get_range_long_or_reply(cid, args, 3, 1, 1000, None)?;
    usize::try_from(n).ok()
}

fn reply_sampled(
    server: &mut Server,
    cid: ClientId,
    mut keys: Vec<SampledKey>,
    count: usize,
    measure: fn(&SampledKey) -> usize,
) {
    keys.truncate(count);
    server.add_reply_array_len(cid, keys.len());
    for key in keys {
        server.add_reply_array_len(cid, 4);
        server.add_reply_long_long(cid, key.db as i64);
        server.add_reply_bulk(cid, &key.name);
        server.add_reply_bulk(cid, key.kind.as_bytes());
        server.add_reply_long_long(cid, measure(&key) as i64);
    }
}

/// `MEMORY BIGKEYS [COUNT count]`
pub(crate) fn memory_bigkeys_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some(count) = sampled_count(server, cid, args) {
        let keys = server.key_samples.as_ref().map(|s| s.biggest());
        reply_sampled(server, cid, keys.unwrap_or_default(), count, |k| k.bytes);
    }
}

/// `MEMORY HOTKEYS [COUNT count]`
pub(crate) fn memory_hotkeys_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(count) = sampled_count(server, cid, args) else {
        return;
    };
    if !policy_is_lfu(server.config.maxmemory_policy) {
        return server.add_reply_error(
            cid,
            "An LFU maxmemory policy is not selected, access frequency not tracked.",
        );
    }
    let keys = server.key_samples.as_ref().map(|s| s.hottest());
    reply_sampled(server, cid, keys.unwrap_or_default(), count, |k| {
        usize::from(k.freq)
    });
}

/// A value of MEMORY STATS.
enum Stat {
    Int(i64),
    Double(f64),
    Db(DbOverhead),
}

/// The pairs of MEMORY STATS, in upstream's order.
fn stat_pairs(m: &MemOverhead) -> Vec<(String, Stat)> {
    let mut pairs: Vec<(String, Stat)> = Vec::new();
    let mut int = |name: &str, n: usize| pairs.push((name.into(), Stat::Int(n as i64)));
    int("peak.allocated", m.peak);
    int("total.allocated", m.used);
    int("startup.allocated", m.startup);
    int("replication.backlog", m.repl_backlog);
    int("clients.slaves", m.clients_slaves);
    int("clients.normal", m.clients_normal);
    int("cluster.links", m.cluster_links);
    int("aof.buffer", m.aof_buffer);
    int("lua.caches", m.scripts);
    int("functions.caches", m.functions);
    for d in &m.dbs {
        pairs.push((format!("db.{}", d.db), Stat::Db(*d)));
    }
    let mut int = |name: &str, n: usize| pairs.push((name.into(), Stat::Int(n as i64)));
    int("overhead.total", m.total);
    int("keys.count", m.keys);
    int(
        "keys.bytes-per-key",
        m.net() / m.keys.max(1) * usize::from(m.keys > 0),
    );
    int("dataset.bytes", m.dataset);
    pairs.push((
        "dataset.percentage".into(),
        Stat::Double(m.dataset_percentage()),
    ));
    pairs.push(("peak.percentage".into(), Stat::Double(m.peak_percentage())));
    let mut int = |name: &str, n: usize| pairs.push((name.into(), Stat::Int(n as i64)));
    int("allocator.allocated", m.allocator.allocated);
    int("allocator.active", m.allocator.active);
    int("allocator.resident", m.allocator.resident);
    for (ratio, bytes, (r, b)) in [
        (
            "allocator-fragmentation.ratio",
            "allocator-fragmentation.bytes",
            m.allocator_fragmentation(),
        ),
        (
            "allocator-rss.ratio",
            "allocator-rss.bytes",
            m.allocator_rss(),
        ),
        ("rss-overhead.ratio", "rss-overhead.bytes", m.rss_overhead()),
        ("fragmentation", "fragmentation.bytes", m.fragmentation()),
    ] {
        pairs.push((ratio.into(), Stat::Double(r)));
        pairs.push((bytes.into(), Stat::Int(b)));
    }
    pairs
}

/// MEMORY STATS
pub(crate) fn memory_stats_command(server: &mut Server, cid: ClientId, _: &Args) {
    let pairs = stat_pairs(&server.get_memory_overhead_data(alloc::used_memory()));
    server.add_reply_map_len(cid, pairs.len());
    for (name, value) in pairs {
        server.add_reply_bulk(cid, name.as_bytes());
        match value {
            Stat::Int(n) => server.add_reply_long_long(cid, n),
            Stat::Double(d) => server.add_reply_double(cid, d),
            Stat::Db(d) => {
                server.add_reply_map_len(cid, 3);
                for (name, n) in [
                    ("overhead.hashtable.main", d.main),
                    ("overhead.hashtable.expires", d.expires),
                    ("overhead.hashtable.slot-to-keys", d.slots),
                ] {
                    server.add_reply_bulk(cid, name.as_bytes());
                    server.add_reply_long_long(cid, n as i64);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> MemOverhead {
        MemOverhead {
            used: 100 * MIB,
            peak: 110 * MIB,
            rss: 104 * MIB,
            allocator: alloc::AllocatorInfo {
                allocated: 100 * MIB,
                active: 101 * MIB,
                resident: 103 * MIB,
            },
            ..MemOverhead::default()
        }
    }

    #[test]
    fn the_doctor_finds_each_issue_and_only_that() {
        assert_eq!(examine(&healthy(), 1, 0), Some(vec![]));
        let little = MemOverhead {
            used: 5 * MIB - 1,
            ..healthy()
        };
        assert_eq!(examine(&little, 1, 0), None);
        let case = |change: fn(&mut MemOverhead), want: &[Finding]| {
            let mut m = healthy();
            change(&mut m);
            assert_eq!(examine(&m, 10, 2).as_deref(), Some(want));
        };
        case(|m| m.peak = 151 * MIB, &[BigPeak]);
        case(|m| m.rss = 150 * MIB, &[HighFragmentation, HighProcessRss]);
        case(
            |m| {
                m.allocator.active = 120 * MIB;
                m.allocator.resident = 121 * MIB;
            },
            &[HighAllocatorFragmentation],
        );
        case(|m| m.allocator.resident = 130 * MIB, &[HighAllocatorRss]);
        case(|m| m.clients_slaves = 21 * MIB, &[BigReplicaBuffers]);
        case(|m| m.clients_slaves = 19 * MIB, &[]);
        case(|m| m.clients_normal = 2 * MIB, &[BigClientBuffers]);
        case(|m| m.clients_normal = MIB, &[]);
        // A ratio alone is no issue.
        let mut m = healthy();
        m.used = 10 * MIB;
        m.peak = 10 * MIB;
        m.rss = 19 * MIB;
        m.allocator = alloc::AllocatorInfo {
            allocated: 10 * MIB,
            active: 12 * MIB,
            resident: 15 * MIB,
        };
        assert_eq!(examine(&m, 1, 0), Some(vec![]));
    }

    #[test]
    fn stats_have_a_map_for_each_database() {
        let mut m = healthy();
        assert_eq!(stat_pairs(&m).len(), 27);
        m.dbs = [3, 9]
            .map(|db| DbOverhead {
                db,
                main: 1,
                expires: 2,
                slots: 0,
            })
            .into();
        let names: Vec<String> = stat_pairs(&m).into_iter().map(|p| p.0).collect();
        assert_eq!(names.len(), 29);
        assert_eq!(
            names[9..13],
            ["functions.caches", "db.3", "db.9", "overhead.total"]
        );
    }
}
