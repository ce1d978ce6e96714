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
use crate::wire::rdb::{
    RDB_OPCODE_KEY_META, RDB_VERSION, RdbErrorKind, RdbReader, is_valkey, no_poll,
    verify_dump_payload,
};

/// DUMP key
pub(crate) fn dump_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = server.lookup_key_read(cid, &args[1]) else {
        return server.add_reply_null(cid);
    };
    let version = server.config.rdb_save_version.of_files();
    match dump_payload(server, at.entry(&server.dbs), version) {
        Some(payload) => server.add_reply_bulk(cid, &payload),
        None => server.add_reply_error(cid, "Can't serialize the value"),
    }
}

/// The payload that makes a value, of this RDB version. None when it cannot be written: it must not be sent in part.
pub(crate) fn dump_payload(server: &Server, e: &Entry, version: u16) -> Option<Vec<u8>> {
    rdb_value::dump_payload(e, version, server.config.rdbcompression)
}

/// The value in the body of a payload of this RDB version.
///
/// # Errors
/// It is not well-formed, or of a kind that is not kept here; without a reason: it is empty.
fn load_payload(
    server: &mut Server,
    cid: ClientId,
    version: u16,
    body: &[u8],
) -> Result<Loaded, Option<RdbErrorKind>> {
    let mut r = RdbReader::for_payload(body);
    r.assume_version(version);
    let mut limits = LoadLimits::new(&server.config, server.sanitizes_payloads(Some(cid)));
    // Whether a field has expired is for a master to say.
    limits.fields_expired_by = server.i_am_master().then(|| server.command_time_ms());
    let loaded = match r.read_u8(&mut no_poll) {
        Ok(RDB_OPCODE_KEY_META) if version > RDB_VERSION && !is_valkey(version) => {
            Err(r.error(RdbErrorKind::KeyMetadata))
        }
        Ok(rdb_type) => rdb_load_object(&mut r, rdb_type, &limits, &mut no_poll),
        Err(e) => Err(e),
    };
    server.stats.dump_payload_sanitizations += limits.sanitizations();
    match loaded {
        Ok(Loaded::Empty) => Err(None),
        Ok(loaded) => Ok(loaded),
        Err(e) => {
            server_log!(
                Level::Verbose,
                "Internal error in RDB reading offset {} -> {}",
                e.offset,
                e.kind
            );
            Err(Some(e.kind))
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
    let check = server.config.rdb_version_check.into();
    let Ok((version, body)) = verify_dump_payload(&args[3], skip_checksum, check) else {
        return server.add_reply_error(cid, "DUMP payload version or checksum are wrong");
    };
    let mut buf = Vec::new();
    let value = match load_payload(server, cid, version, body) {
        Ok(loaded) => loaded.into_new_value(&mut buf),
        // What is well-formed, and has no place here, is told from what is wrong.
        Err(Some(kind)) if kind.is_foreign() && version > RDB_VERSION => {
            return server.add_reply_error(cid, &format!("Bad data format: {kind}"));
        }
        Err(_) => None,
    };
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
    if expire.is_some() {
        server.remember_slave_key_with_expire(cid, db, key);
    }
    if server.propagation_wanted() {
        // Replicas and the append-only file get what they can read, and a time that does not depend on when they do.
        let readable = server.payload_version_of_stream();
        let payload = (version > readable)
            .then(|| dump_payload(server, at.entry(&server.dbs), readable))
            .flatten();
        let absolute = expire.filter(|_| !options.absttl);
        if payload.is_some() || absolute.is_some() {
            let mut buf = [0; LONG_STR_SIZE];
            let mut words: Vec<&[u8]> = args.iter().collect();
            if let Some(at) = absolute {
                words[2] = ll2string(&mut buf, at);
                words.push(b"ABSTTL");
            }
            if let Some(payload) = &payload {
                words[3] = payload;
            }
            server.rewrite_client_command_vector(&words);
        }
    }
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_GENERIC, "restore", key, db);
    server.dirty += 1;
    server.add_reply_ok(cid);
}
