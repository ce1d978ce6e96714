//! DUMP and RESTORE (cluster.c): a key's value as bytes that another server takes.
//!
//! A payload is a type byte, the value as in an RDB file, the RDB version and a checksum. Nothing in it is trusted: a key is
//! added only when the whole value was read.

use crate::base::clock::{LRU_CLOCK_MAX, LRU_CLOCK_RESOLUTION};
use crate::base::log::Level;
use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Free;
use crate::server::keyspace::notify::NOTIFY_GENERIC;
use crate::server_log;
use crate::store::entry::Entry;
use crate::store::evict::policy_is_lfu;
use crate::store::rdb_value::{self, LoadLimits, Loaded, rdb_load_object};
use crate::wire::rdb::{RdbReader, no_poll, verify_dump_payload};

/// DUMP key
pub(crate) fn dump_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = server.lookup_key_read(cid, &args[1]) else {
        return server.add_reply_null(cid);
    };
    match dump_payload(server, at.entry(&server.dbs)) {
        Some(payload) => server.add_reply_bulk(cid, &payload),
        None => server.add_reply_error(cid, "Can't serialize the value"),
    }
}

/// The payload that makes a value, in the version of our files.
pub(crate) fn dump_payload(server: &Server, e: &Entry) -> Option<Vec<u8>> {
    let version = server.config.rdb_save_version.of_files();
    rdb_value::dump_payload(e, version, server.config.rdbcompression)
}

/// The value in the body of a payload; none when it is not well-formed, empty, or of a type that is not kept here.
fn load_payload(server: &mut Server, cid: ClientId, body: &[u8]) -> Option<Loaded> {
    let mut r = RdbReader::for_payload(body);
    let limits = LoadLimits::new(&server.config, server.sanitizes_payloads(Some(cid)));
    let loaded = r
        .read_u8(&mut no_poll)
        .and_then(|rdb_type| rdb_load_object(&mut r, rdb_type, &limits, &mut no_poll));
    server.stats.dump_payload_sanitizations += limits.sanitizations();
    match loaded {
        Ok(Loaded::Empty) => None,
        Ok(loaded) => Some(loaded),
        Err(e) => {
            server_log!(
                Level::Verbose,
                "Internal error in RDB reading offset {} -> {}",
                e.offset,
                e.kind
            );
            None
        }
    }
}

/// What RESTORE's options say.
#[derive(Default)]
struct RestoreOptions {
    replace: bool,
    absttl: bool,
    /// Seconds.
    idle: Option<i64>,
    freq: Option<u8>,
}

fn parse_options_or_reply(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
) -> Option<RestoreOptions> {
    let mut o = RestoreOptions::default();
    let mut i = 4;
    while i < args.len() {
        let more = i + 1 < args.len();
        if args.is(i, "replace") {
            o.replace = true;
        } else if args.is(i, "absttl") {
            o.absttl = true;
        } else if args.is(i, "idletime") && more && o.freq.is_none() {
            let n = server.get_long_long_or_reply(cid, args, i + 1)?;
            if n < 0 {
                server.add_reply_error(cid, "Invalid IDLETIME value, must be >= 0");
                return None;
            }
            o.idle = Some(n);
            i += 1;
        } else if args.is(i, "freq") && more && o.idle.is_none() {
            let n = server.get_long_long_or_reply(cid, args, i + 1)?;
            let Ok(n) = u8::try_from(n) else {
                server.add_reply_error(cid, "Invalid FREQ value, must be >= 0 and <= 255");
                return None;
            };
            o.freq = Some(n);
            i += 1;
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
        i += 1;
    }
    Some(o)
}

/// The LRU bits for a value that was idle for `idle` seconds, or accessed with the frequency `freq`, whichever the policy
/// keeps (objectSetLRUOrLFU); none: those of a new value.
pub(crate) fn lru_or_lfu_bits(server: &Server, idle: Option<i64>, freq: Option<u8>) -> Option<u32> {
    if policy_is_lfu(server.config.maxmemory_policy) {
        return freq.map(|f| u32::from(server.clock.lfu_minutes()) << 8 | u32::from(f));
    }
    let ticks = idle?.wrapping_mul(1000) / LRU_CLOCK_RESOLUTION;
    let mut at = i64::from(server.clock.lru_clock).wrapping_sub(ticks);
    if at < 0 {
        // The clock wraps, and so does the time before its start.
        at = at.wrapping_add(i64::from(LRU_CLOCK_MAX));
    }
    Some((at & i64::from(LRU_CLOCK_MAX)) as u32)
}

/// `RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`
pub(crate) fn restore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(options) = parse_options_or_reply(server, cid, args) else {
        return;
    };
    let key = &args[1];
    let db = server.client_db(cid);
    if !options.replace && server.lookup_key_write(cid, key).is_some() {
        return server.add_reply_error(cid, "-BUSYKEY Target key name already exists.");
    }
    let Some(ttl) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    if ttl < 0 {
        return server.add_reply_error(cid, "Invalid TTL value, must be >= 0");
    }
    let skip_checksum = server.debug.skip_checksum_validation;
    let Ok((_, body)) = verify_dump_payload(&args[3], skip_checksum) else {
        return server.add_reply_error(cid, "DUMP payload version or checksum are wrong");
    };
    let mut buf = Vec::new();
    let value = load_payload(server, cid, body).and_then(|loaded| loaded.into_new_value(&mut buf));
    let Some(value) = value else {
        return server.add_reply_error(cid, "Bad data format");
    };

    let deleted = options.replace && server.db_delete(db, key);
    let expire = match (ttl, options.absttl) {
        (0, _) => None,
        (at, true) => Some(at),
        // A sum beyond the end of time wraps to a time long past, as upstream's does.
        (ttl, false) => Some(ttl.wrapping_add(server.command_time_ms())),
    };
    if expire.is_some_and(|at| server.check_already_expired(at)) {
        if deleted {
            let verb = Free::lazily_if(server.config.lazyfree_lazy_server_del).verb();
            server.rewrite_client_command_vector(&[verb, key]);
            server.signal_modified_key(cid, db, key);
            server.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
            server.dirty += 1;
        }
        return server.add_reply_ok(cid);
    }
    let bits = lru_or_lfu_bits(server, options.idle, options.freq);
    let at = server.db_add(db, key, value, expire);
    if let Some(bits) = bits {
        server.dbs[at.db].keys.set_lru(at.slot, bits);
    }
    if let Some(at) = expire {
        server.remember_slave_key_with_expire(cid, db, key);
        if !options.absttl && server.propagation_wanted() {
            let mut buf = [0; LONG_STR_SIZE];
            let at = ll2string(&mut buf, at);
            let mut words: Vec<&[u8]> = args.iter().collect();
            words[2] = at;
            words.push(b"ABSTTL");
            server.rewrite_client_command_vector(&words);
        }
    }
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_GENERIC, "restore", key, db);
    server.dirty += 1;
    server.add_reply_ok(cid);
}
