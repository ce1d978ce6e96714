//! OBJECT, which shows how a value is kept (objectCommand of object.c).
//!
//! Looking at a key here does not touch its LRU or LFU data.

use crate::ds::table::Slot;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::lookup::{LOOKUP_NONOTIFY, LOOKUP_NOTOUCH};
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
