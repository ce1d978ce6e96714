//! OBJECT, which shows how a value is kept, and MEMORY USAGE (objectCommand, memoryCommand of object.c).
//!
//! Looking at a key here does not touch its LRU or LFU data.

use crate::base::clock::{LRU_CLOCK_MAX, LRU_CLOCK_RESOLUTION};
use crate::config::value::MaxmemoryPolicy;
use crate::ds::table::Slot;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::lookup::{LOOKUP_NONOTIFY, LOOKUP_NOTOUCH};
use crate::store::entry::{Entry, Str, Type};

/// Integers below this one share one object in upstream (OBJ_SHARED_INTEGERS), which shows in OBJECT REFCOUNT.
const SHARED_INTEGERS: i64 = 10_000;
/// The reference count of a shared object (OBJ_SHARED_REFCOUNT).
const SHARED_REFCOUNT: i64 = i32::MAX as i64;
/// Elements that MEMORY USAGE looks at unless it is told a number (OBJ_COMPUTE_SIZE_DEF_SAMPLES).
const USAGE_DEFAULT_SAMPLES: usize = 5;
/// What a key costs in the table beside its entry: a slot of a bucket that is half full.
const TABLE_BYTES_PER_KEY: usize = 2 * size_of::<usize>();
/// What a key with an expiry costs in the expire index.
const EXPIRE_INDEX_BYTES_PER_KEY: usize = size_of::<usize>();

const OBJECT_HELP: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

const MEMORY_HELP: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
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

/// A policy that keeps LFU counters (MAXMEMORY_FLAG_LFU).
pub fn policy_is_lfu(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu
    )
}

/// A policy that keeps access times (MAXMEMORY_FLAG_LRU).
pub fn policy_is_lru(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru
    )
}

/// Milliseconds since an access whose LRU clock was `lru` (estimateObjectIdleTime); the clock wraps.
pub fn estimate_object_idle_time(lru: u32, now: u32) -> i64 {
    let ticks = match now.checked_sub(lru) {
        Some(d) => i64::from(d),
        None => i64::from(now) + i64::from(LRU_CLOCK_MAX) - i64::from(lru),
    };
    ticks * LRU_CLOCK_RESOLUTION
}

/// The LFU counter in `lru`, lowered by one for each `decay_minutes` since its last change (LFUDecrAndReturn).
/// `now` is in minutes modulo 2^16; a decay of zero or less: never.
pub fn lfu_decr_and_return(lru: u32, now: u16, decay_minutes: i32) -> u8 {
    let then = (lru >> 8) as u16;
    let counter = (lru & 0xff) as u8;
    let elapsed = match now.checked_sub(then) {
        Some(d) => d,
        None => u16::MAX - then + now,
    };
    let periods = match u16::try_from(decay_minutes) {
        Ok(0) | Err(_) => 0,
        Ok(d) => elapsed / d,
    };
    u8::try_from(periods).map_or(0, |p| counter.saturating_sub(p))
}

/// The reference count that upstream shows.
fn refcount(server: &Server, e: &Entry) -> i64 {
    let policy = server.config.maxmemory_policy;
    // Eviction by access needs an access time of its own for every value.
    let may_share =
        server.config.maxmemory == 0 || !(policy_is_lru(policy) || policy_is_lfu(policy));
    if e.value_type() != Type::String {
        return 1;
    }
    match e.string() {
        Str::Int(0..SHARED_INTEGERS) if may_share => SHARED_REFCOUNT,
        _ => 1,
    }
}

/// The key of OBJECT, or a null to the client.
fn object_lookup_or_reply(server: &mut Server, cid: ClientId, key: &[u8]) -> Option<Slot> {
    let db = server.client_db(cid);
    let slot = server.lookup_key(db, key, LOOKUP_NOTOUCH | LOOKUP_NONOTIFY);
    if slot.is_none() {
        server.add_reply_null(cid);
    }
    slot
}

/// OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key, OBJECT HELP
pub fn object_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() == 2 && args.is(1, "help") {
        return server.add_reply_help(cid, args, OBJECT_HELP);
    }
    if args.len() != 3 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let known = ["refcount", "encoding", "idletime", "freq"];
    let Some(what) = known.into_iter().find(|k| args.is(1, k)) else {
        return server.add_reply_subcommand_syntax_error(cid, args);
    };
    let Some(slot) = object_lookup_or_reply(server, cid, &args[2]) else {
        return;
    };
    let lfu = policy_is_lfu(server.config.maxmemory_policy);
    let e = server.entry(cid, slot);
    let n = match what {
        "encoding" => {
            let name = e.encoding().name();
            return server.add_reply_bulk(cid, name.as_bytes());
        }
        "refcount" => refcount(server, e),
        "idletime" if lfu => {
            return server.add_reply_error(
                cid,
                "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
                 policies at runtime LRU and LFU data will take some time to adjust.",
            );
        }
        "idletime" => estimate_object_idle_time(e.lru(), server.clock.lru_clock) / 1000,
        _ if !lfu => {
            return server.add_reply_error(
                cid,
                "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust.",
            );
        }
        _ => i64::from(lfu_decr_and_return(
            e.lru(),
            server.clock.lfu_minutes(),
            server.config.lfu_decay_time,
        )),
    };
    server.add_reply_long_long(cid, n);
}

/// MEMORY USAGE key [SAMPLES count], MEMORY HELP
pub fn memory_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() == 2 && args.is(1, "help") {
        return server.add_reply_help(cid, args, MEMORY_HELP);
    }
    if args.len() < 3 || !args.is(1, "usage") {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        assert_eq!(estimate_object_idle_time(10, 10), 0);
        assert_eq!(estimate_object_idle_time(10, 15), 5000);
        assert_eq!(estimate_object_idle_time(LRU_CLOCK_MAX, 3), 3000);
        assert_eq!(estimate_object_idle_time(LRU_CLOCK_MAX - 2, 3), 5000);
    }

    #[test]
    fn lfu_counters_decay_by_the_minute() {
        let at = |minutes: u16, counter: u8| u32::from(minutes) << 8 | u32::from(counter);
        assert_eq!(lfu_decr_and_return(at(100, 7), 100, 1), 7);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 1), 4);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 2), 6);
        assert_eq!(lfu_decr_and_return(at(100, 7), 103, 0), 7);
        assert_eq!(lfu_decr_and_return(at(100, 7), 110, 1), 0);
        assert_eq!(lfu_decr_and_return(at(100, 255), 1100, 1), 0);
        assert_eq!(lfu_decr_and_return(at(65535, 7), 2, 1), 5);
    }
}
