//! OBJECT, which shows how a value is kept (objectCommand of object.c).
//!
//! Looking at a key here does not touch its LRU or LFU data.

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::store::entry::{Entry, Str, Type};
use crate::store::evict::{
    estimate_object_idle_time, lfu_decr_and_return, policy_is_lfu, policy_is_lru,
};

/// Integers below this one share one object in upstream (OBJ_SHARED_INTEGERS), which shows in OBJECT REFCOUNT.
const SHARED_INTEGERS: i64 = 10_000;
/// The reference count of a shared object (OBJ_SHARED_REFCOUNT).
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

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

/// The entry of the key that OBJECT is asked about, or a null to the client.
fn object_lookup_or_reply<'a>(
    server: &'a mut Server,
    cid: ClientId,
    args: &Args,
) -> Option<(&'a Server, &'a Entry)> {
    let db = server.client_db(cid);
    let at = server.lookup_key(db, &args[2], Lookup::NOTOUCH | Lookup::NONOTIFY);
    if at.is_none() {
        server.add_reply_null(cid);
    }
    let server = &*server;
    at.map(|at| (server, at.entry(&server.dbs)))
}

/// OBJECT HELP
pub(crate) fn object_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, OBJECT_HELP);
}

/// OBJECT ENCODING key
pub(crate) fn object_encoding_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some((_, e)) = object_lookup_or_reply(server, cid, args) {
        let name = e.encoding().name();
        server.add_reply_bulk(cid, name.as_bytes());
    }
}

/// OBJECT REFCOUNT key
pub(crate) fn object_refcount_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some((s, e)) = object_lookup_or_reply(server, cid, args) {
        let n = refcount(s, e);
        server.add_reply_long_long(cid, n);
    }
}

/// OBJECT IDLETIME key
pub(crate) fn object_idletime_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some((s, e)) = object_lookup_or_reply(server, cid, args) else {
        return;
    };
    if policy_is_lfu(s.config.maxmemory_policy) {
        return server.add_reply_error(
            cid,
            "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        );
    }
    let seconds = estimate_object_idle_time(e.lru(), s.clock.lru_clock) / 1000;
    server.add_reply_long_long(cid, seconds);
}

/// OBJECT FREQ key
pub(crate) fn object_freq_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some((s, e)) = object_lookup_or_reply(server, cid, args) else {
        return;
    };
    if !policy_is_lfu(s.config.maxmemory_policy) {
        return server.add_reply_error(
            cid,
            "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        );
    }
    let n = lfu_decr_and_return(e.lru(), s.clock.lfu_minutes(), s.config.lfu_decay_time);
    server.add_reply_long_long(cid, i64::from(n));
}
