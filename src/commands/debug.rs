//! DEBUG: for tests and for people who look into a server (debugCommand of debug.c). Whether a connection may use it at all is
//! decided before (enable-debug-command).
//!
//! The digests are upstream's, so that those of an upstream server and ours over the same data are equal.

mod encodings;

use std::time::Duration;

use sha1::{Digest, Sha1};

use crate::base::alloc;
use crate::base::clock::LRU_CLOCK_MAX;
use crate::base::fpconv::{FPCONV_SIZE, fpconv_dtoa};
use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::base::strtod::strtod;
use crate::base::sys;
use crate::commands::config::rewrite_config_or_reply;
use crate::ds::table::{Element, HashKey, Table};
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::keyspace::lookup::{At, Lookup};
use crate::server::persist::ReloadFlags;
use crate::server::process::crash::server_panic;
use crate::server::{DebugSettings, Server};
use crate::server_log;
use crate::store::entry::value::Value;
use crate::store::entry::{Encoding, Entry, NewValue, Str, Type};
use crate::store::hash::Hash;
use crate::store::rdb_value::rdb_save_object;
use crate::store::set::Set;
use crate::store::stream::{Stream, StreamId};
use crate::store::zset::Zset;
use crate::wire::rdb::{RdbWriter, RdbWriterOptions};

const HELP: &[&str] = &[
    "AOF-FLUSH-SLEEP <microsec>",
    "    Server will sleep before flushing the AOF, this is used for testing.",
    "ASSERT",
    "    Crash by assertion failed.",
    "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.",
    "    Dangerous: should be used only for testing the replication subsystem.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Like CONFIG REWRITE but writes all configuration options, including",
    "    keywords not listed in original configuration file or default values.",
    "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message. Useful for clients",
    "    unit tests to simulate Redis errors.",
    "LOG <message>",
    "    Write <message> to the server log.",
    "HTSTATS <dbid> [full]",
    "    Return hash table statistics of the specified Redis database.",
    "HTSTATS-KEY <key> [full]",
    "    Like HTSTATS but for the hash table stored at <key>'s value.",
    "LOADAOF",
    "    Flush the AOF buffers on disk and reload the AOF in memory.",
    "REPLICATE <string>",
    "    Replicates the provided string to replicas, allowing data divergence.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.",
    "OBJECT <key>",
    "    Show low level info about `key` and associated value.",
    "OOM",
    "    Crash the server simulating an out-of-memory error.",
    "PANIC",
    "    Crash the server simulating a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>. If <prefix> is specified then",
    "    it is used instead of the 'key' prefix. These are not propagated to",
    "    replicas. Cluster slots are not respected so keys not belonging to the",
    "    current node can be created in cluster mode.",
    "PROTOCOL <type>",
    "    Reply with a test value of the specified type. <type> can be: string,",
    "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
    "    true, false.",
    "MALLCTL <key> [<val>]",
    "    Get or set a malloc tuning integer.",
    "MALLCTL-STR <key> [<val>]",
    "    Get or set a malloc tuning string.",
    "QUICKLIST <key> [<0|1>]",
    "    Show low level info about the quicklist encoding of <key>.",
    "    The optional argument (0 by default) sets the level of detail",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Sets the threshold for elements to be inserted as plain vs packed nodes",
    "    Default value is 1GB, allows values up to 4GB. Setting to 0 restores to default.",
    "RELOAD [option ...]",
    "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
    "    * MERGE: conflicting keys will be loaded from RDB.",
    "    * NOFLUSH: the existing database will not be removed before load, but",
    "      conflicting keys will generate an exception and kill the server.",
    "    * NOSAVE: the database will be loaded from an existing RDB file.",
    "    Examples:",
    "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
    "      the database.",
    "    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an",
    "      existing RDB file.",
    "    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB",
    "      file to the database.",
    "SDSLEN <key>",
    "    Show low level SDS string info representing `key` and value.",
    "SEGFAULT",
    "    Crash the server with sigsegv.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background when they are not",
    "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
    "    default.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
    "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "CLUSTERLINK KILL <to|from|all> <node-id>",
    "    Kills the link based on the direction to/from (both) with the provided node.",
    "DROP-CLUSTER-PACKET-FILTER <packet-type>",
    "    Drop all packets that match the filtered type. Set to -1 allow all packets.",
    "CLIENT-EVICTION",
    "    Show low level client eviction pools info (maxmemory-clients).",
    "PAUSE-CRON <0|1>",
    "    Stop periodic cron job processing.",
    "REPLYBUFFER PEAK-RESET-TIME <NEVER||RESET|time>",
    "    Sets the time (in milliseconds) to wait between client reply buffer peak resets.",
    "    In case NEVER is provided the last observed peak will never be reset",
    "    In case RESET is provided the peak reset time will be restored to the default value",
    "REPLYBUFFER RESIZING <0|1>",
    "    Enable or disable the reply buffer resize cron job",
];

/// DEBUG subcommand ...
pub(crate) fn debug_command(server: &mut Server, cid: ClientId, args: &Args) {
    let n = args.len();
    let is = |word: &str| args.is(1, word);
    match () {
        _ if is("help") && n == 2 => server.add_reply_help(cid, args, HELP),
        _ if is("segfault") => sys::segfault(),
        _ if is("panic") => {
            let text = format!("DEBUG PANIC called at Unix time {}", server.clock.unix_s);
            server_panic(&server.config, &text)
        }
        _ if is("oom") => {
            // More than any address space has.
            let all: Vec<u8> = Vec::with_capacity(std::hint::black_box(usize::MAX / 4));
            std::hint::black_box(all);
        }
        _ if is("assert") => assert!(!is("assert"), "DEBUG ASSERT called"),
        _ if is("log") && n == 3 => {
            server_log!(
                Level::Warning,
                "DEBUG LOG: {}",
                String::from_utf8_lossy(&args[2])
            );
            server.clients.add_reply_ok(cid);
        }
        _ if is("error") && n == 3 => {
            // No error of ours: the text goes out as it is, uncounted.
            let mut line = vec![b'-'];
            line.extend(args[2].iter().map(|b| match b {
                b'\r' | b'\n' => b' ',
                b => *b,
            }));
            line.extend_from_slice(b"\r\n");
            server.clients.add_reply_proto(cid, &line);
        }
        _ if is("sleep") && n == 3 => {
            // What is no number, or negative, is no time.
            if let Ok(d) = Duration::try_from_secs_f64(strtod(&args[2]).value) {
                std::thread::sleep(d);
            }
            server.clients.add_reply_ok(cid);
        }
        _ if is("reload") => reload(server, cid, args),
        _ if is("loadaof") && n == 2 => match server.debug_loadaof(cid) {
            Ok(()) => server.clients.add_reply_ok(cid),
            Err(text) => server.add_reply_error(cid, text),
        },
        _ if is("aof-flush-sleep") && n == 3 => {
            if let Some(us) = server.get_long_long_or_reply(cid, args, 2) {
                server.aof.flush_sleep_us = u64::try_from(us).unwrap_or(0);
                server.clients.add_reply_ok(cid);
            }
        }
        _ if is("object") && n == 3 => object(server, cid, args),
        _ if is("listpack") && n == 3 => encodings::listpack(server, cid, args),
        _ if is("quicklist") && (n == 3 || n == 4) => encodings::quicklist(server, cid, args),
        _ if is("quicklist-packed-threshold") && n == 3 => {
            encodings::packed_threshold(server, cid, args);
        }
        _ if is("sdslen") && n == 3 => sdslen(server, cid, args),
        _ if is("populate") && (3..=5).contains(&n) => populate(server, cid, args),
        _ if is("digest") && n == 2 => {
            let digest = compute_dataset_digest(server);
            server.clients.add_reply_status(cid, &hex(&digest));
        }
        _ if is("digest-value") => digest_value(server, cid, args),
        _ if is("protocol") && n == 3 => protocol(server, cid, args),
        _ if is("set-active-expire") && n == 3 => {
            set(server, cid, args, |d, on| d.active_expire = on);
        }
        _ if is("set-disable-deny-scripts") && n == 3 => {
            server.scripts.allow_all_commands = args.is(2, "1");
            server.add_reply_ok(cid);
        }
        _ if is("set-skip-checksum-validation") && n == 3 => {
            set(server, cid, args, |d, on| d.skip_checksum_validation = on);
        }
        _ if is("pause-cron") && n == 3 => set(server, cid, args, |d, on| d.pause_cron = on),
        _ if is("replicate") && n >= 3 => {
            let words: Vec<&[u8]> = (2..n).map(|i| &args[i]).collect();
            let words = OwnedArgs::from_slices(&words);
            // In whatever database the stream is.
            server.replication_feed_slaves(None, &words.as_args());
            server.clients.add_reply_ok(cid);
        }
        _ if is("htstats") && n >= 3 => htstats(server, cid, args),
        _ if is("htstats-key") && n >= 3 => htstats_key(server, cid, args),
        _ if is("change-repl-id") && n == 2 => {
            server_log!(
                Level::Notice,
                "Changing replication IDs after receiving DEBUG change-repl-id"
            );
            server.repl.replid = server.random.run_id();
            server.repl.replid2 = [b'0'; 40];
            server.repl.second_replid_offset = -1;
            server.clients.add_reply_ok(cid);
        }
        _ if is("config-rewrite-force-all") && n == 2 => {
            rewrite_config_or_reply(server, cid, true);
        }
        _ if is("client-eviction") && n == 2 => match server.client_eviction_report() {
            Some(text) => server
                .clients
                .add_reply_verbatim(cid, text.as_bytes(), *b"txt"),
            None => server.add_reply_error(cid, "maxmemory-clients is disabled."),
        },
        _ if is("mallctl") && n >= 3 => mallctl(server, cid, args),
        _ if is("mallctl-str") && n >= 3 => mallctl_str(server, cid, args),
        _ if is("clusterlink") && n == 5 && args.is(2, "kill") => {
            server.debug_clusterlink(cid, args);
        }
        _ if is("drop-cluster-packet-filter") && n == 3 => {
            server.debug_drop_cluster_packets(cid, args);
        }
        _ if is("slotmigration") && n == 4 => {
            if server.debug_slotmigration(&args[2], args.is(3, "1")) {
                return server.add_reply_ok(cid);
            }
            server.add_reply_syntax_error(cid);
        }
        _ if is("replybuffer") && n == 4 => replybuffer(server, cid, args),
        _ => server.add_reply_subcommand_syntax_error(cid, args),
    }
}

/// C's `atoi(argument) != 0`.
fn is_on(arg: &[u8]) -> bool {
    let value = strtod(arg).value;
    value >= 1.0 || value <= -1.0
}

fn set(server: &mut Server, cid: ClientId, args: &Args, f: fn(&mut DebugSettings, bool)) {
    f(&mut server.debug, is_on(&args[2]));
    server.clients.add_reply_ok(cid);
}

/// A number that the allocator goes by.
fn mallctl(server: &mut Server, cid: ClientId, args: &Args) {
    let mut new = None;
    if args.len() > 3 {
        new = server.get_long_long_or_reply(cid, args, 3);
        if new.is_none() {
            return;
        }
    }
    let name = std::ffi::CString::new(&args[2]).unwrap_or_default();
    match alloc::mallctl_int(&name, new) {
        Ok(Some(n)) => server.add_reply_long_long(cid, n),
        Ok(None) => server.add_reply_ok(cid),
        Err(e) => server.add_reply_error(cid, &crate::base::sys::strerror(&e)),
    }
}

/// A text that the allocator goes by; with `VOID`, something that it does.
fn mallctl_str(server: &mut Server, cid: ClientId, args: &Args) {
    let name = std::ffi::CString::new(&args[2]).unwrap_or_default();
    let done = match args.len() {
        3 => alloc::mallctl_str(&name).map(Some),
        _ if &args[3] == b"VOID" => alloc::mallctl_trigger(&name).map(|()| None),
        // A text would have to outlive whatever jemalloc does with it.
        _ => Err(std::io::Error::from_raw_os_error(libc::EPERM)),
    };
    match done {
        Ok(Some(text)) => server.add_reply_bulk(cid, text.as_bytes()),
        Ok(None) => server.add_reply_ok(cid),
        Err(e) => server.add_reply_error(cid, &crate::base::sys::strerror(&e)),
    }
}

fn replybuffer(server: &mut Server, cid: ClientId, args: &Args) {
    if args.is(2, "peak-reset-time") {
        let ms = if args.is(3, "never") {
            -1
        } else if args.is(3, "reset") {
            DebugSettings::default().reply_buffer_peak_reset_ms
        } else {
            match server.get_long_long_or_reply(cid, args, 3) {
                Some(ms) => ms,
                None => return,
            }
        };
        server.debug.reply_buffer_peak_reset_ms = ms;
    } else if args.is(2, "resizing") {
        server.debug.reply_buffer_resizing = is_on(&args[3]);
    } else {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    server.clients.add_reply_ok(cid);
}

fn reload(server: &mut Server, cid: ClientId, args: &Args) {
    let mut how = ReloadFlags::empty();
    for i in 2..args.len() {
        how |= if args.is(i, "merge") {
            ReloadFlags::MERGE
        } else if args.is(i, "noflush") {
            ReloadFlags::NOFLUSH
        } else if args.is(i, "nosave") {
            ReloadFlags::NOSAVE
        } else {
            return server.add_reply_error(
                cid,
                "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            );
        };
    }
    match server.debug_reload(cid, how) {
        Ok(()) => {
            server_log!(Level::Notice, "DB reloaded by DEBUG RELOAD");
            server.clients.add_reply_ok(cid);
        }
        Err(text) => server.add_reply_error(cid, &text),
    }
}

/// A key as it is in the table, expired or not, touched and counted by nobody.
fn find(server: &Server, cid: ClientId, key: &[u8]) -> Option<At> {
    server.find_key(server.client_db(cid), key)
}

/// The same, with an error to the client when there is none.
fn find_or_reply(server: &mut Server, cid: ClientId, key: &[u8]) -> Option<At> {
    let at = find(server, cid, key);
    if at.is_none() {
        server.add_reply_no_such_key(cid);
    }
    at
}

/// Bytes of the value as an RDB file would have it (rdbSavedObjectLen).
fn rdb_saved_object_len(server: &Server, e: &Entry) -> u64 {
    let options = RdbWriterOptions {
        compression: server.config.rdbcompression,
        checksum: false,
        ..RdbWriterOptions::default()
    };
    let mut w = RdbWriter::new(std::io::sink(), options);
    // A sink takes everything.
    rdb_save_object(&mut w, e).map_or(0, |()| w.bytes_written())
}

fn object(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = find_or_reply(server, cid, &args[2]) else {
        return;
    };
    let e = at.entry(&server.dbs);
    let (now, lru) = (server.clock.lru_clock, e.lru());
    let idle = if now >= lru {
        now - lru
    } else {
        now + (LRU_CLOCK_MAX - lru)
    };
    let text = format!(
        "Value at:{:#x} refcount:1 encoding:{} serializedlength:{} lru:{lru} lru_seconds_idle:{idle}{}",
        e.address(),
        e.encoding().name(),
        rdb_saved_object_len(server, e),
        encodings::quicklist_facts(e)
    );
    server.clients.add_reply_status(cid, &text);
}

fn sdslen(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = find_or_reply(server, cid, &args[2]) else {
        return;
    };
    let e = at.entry(&server.dbs);
    if e.value_type() != Type::String || e.encoding() == Encoding::Int {
        return server.add_reply_error(cid, "Not an sds encoded string.");
    }
    // Key and a short value lie in one allocation, exactly as long as they are; only a buffer has room and a size of its own.
    let (len, avail, size) = match (e.buf(), e.string()) {
        (Some(b), _) => (b.len(), b.capacity() - b.len(), b.alloc_size()),
        (None, Str::Bytes(b)) => (b.len(), 0, e.mem_usage()),
        (None, Str::Int(_)) => (0, 0, 0),
    };
    let text = format!(
        "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{len}, val_sds_avail:{avail}, val_zmalloc: {size}",
        e.name().len(),
        e.name().len(),
    );
    server.clients.add_reply_status(cid, &text);
}

fn populate(server: &mut Server, cid: ClientId, args: &Args) {
    let positive = |server: &mut Server, i: usize| {
        let n = string2ll(&args[i]).filter(|n| *n >= 0);
        if n.is_none() {
            server.add_reply_error(cid, "value is out of range, must be positive");
        }
        n
    };
    let Some(count) = positive(server, 2) else {
        return;
    };
    let mut size = 0;
    if args.len() == 5 {
        match positive(server, 4) {
            Some(n) if n > server.config.proto_max_bulk_len => {
                return server.add_reply_error(
                    cid,
                    "string exceeds maximum allowed size (proto-max-bulk-len)",
                );
            }
            Some(n) => size = n as usize,
            None => return,
        }
    }
    let db = server.client_db(cid);
    // The table alone must fit into the machine.
    let room = sys::total_system_memory() / 16;
    match usize::try_from(count) {
        Ok(n) if n as u64 <= room => {
            let n = server.dbs[db].keys.len().saturating_add(n);
            server.dbs[db].keys.reserve(n);
        }
        _ => return server.add_reply_error(cid, "OOM in dictTryExpand"),
    }
    let mut key = if args.len() == 3 {
        b"key".to_vec()
    } else {
        args[3].to_vec()
    };
    key.push(b':');
    let prefix = key.len();
    let mut value = b"value:".to_vec();
    let mut number = itoa::Buffer::new();
    for n in 0..count {
        let n = number.format(n).as_bytes();
        key.truncate(prefix);
        key.extend_from_slice(n);
        let flags = Lookup::WRITE | Lookup::NOSTATS;
        if server.lookup_key(db, &key, flags).is_some() {
            continue;
        }
        value.truncate(b"value:".len());
        value.extend_from_slice(n);
        if size != 0 {
            value.resize(size, 0);
        }
        let new = NewValue::Bytes {
            bytes: &value,
            raw: false,
        };
        server.db_add(db, &key, new, None);
        server.signal_modified_key(cid, db, &key);
        if size != 0 {
            value.clear();
            value.extend_from_slice(b"value:");
        }
    }
    server.clients.add_reply_ok(cid);
}

// Digests -----------------------------------------------------------------------------------------------------------------

type Sha = [u8; 20];

/// digest ^= SHA1(bytes): what is mixed in so does not depend on the order.
fn xor_digest(digest: &mut Sha, bytes: &[u8]) {
    for (d, h) in digest.iter_mut().zip(Sha1::digest(bytes)) {
        *d ^= h;
    }
}

/// digest = SHA1(digest ^ SHA1(bytes)): the order counts.
fn mix_digest(digest: &mut Sha, bytes: &[u8]) {
    xor_digest(digest, bytes);
    *digest = Sha1::digest(*digest).into();
}

/// Mixes the value and whether it expires into `digest` (xorObjectDigest).
fn xor_object_digest(digest: &mut Sha, e: &Entry) {
    mix_digest(digest, &(e.value_type() as u32).to_be_bytes());
    match e.any_value().as_deref() {
        None => match e.string() {
            Str::Int(n) => mix_digest(digest, itoa::Buffer::new().format(n).as_bytes()),
            Str::Bytes(b) => mix_digest(digest, b),
        },
        Some(Value::List(l)) => l.for_each(|v| v.with_bytes(|b| mix_digest(digest, b))),
        Some(Value::Set(s)) => s
            .iter()
            .for_each(|v| v.with_bytes(|b| xor_digest(digest, b))),
        Some(Value::Hash(h)) => {
            for (field, value) in h.iter() {
                let mut one = [0; 20];
                field.with_bytes(|b| mix_digest(&mut one, b));
                value.value().with_bytes(|b| mix_digest(&mut one, b));
                xor_digest(digest, &one);
            }
        }
        Some(Value::Zset(z)) => {
            for (member, score) in z.iter() {
                let mut one = [0; 20];
                member.with_bytes(|b| mix_digest(&mut one, b));
                let mut text = [0; FPCONV_SIZE];
                let len = fpconv_dtoa(score, &mut text);
                mix_digest(&mut one, &text[..len]);
                xor_digest(digest, &one);
            }
        }
        Some(Value::Stream(s)) => stream_digest(digest, s),
    }
    if e.expire().is_some() {
        xor_digest(digest, b"!!expire!!");
    }
}

/// Entries in order, each its id with a dot, its fields and values.
fn stream_digest(digest: &mut Sha, s: &Stream) {
    for item in s.0.range(StreamId::MIN, StreamId::MAX, false) {
        let id = format!("{}.{}", item.id.ms, item.id.seq);
        mix_digest(digest, id.as_bytes());
        for (field, value) in item.fields() {
            field.with_bytes(|b| mix_digest(digest, b));
            value.with_bytes(|b| mix_digest(digest, b));
        }
    }
}

/// The digest of all databases, zeros when they are empty (computeDatasetDigest).
fn compute_dataset_digest(server: &Server) -> Sha {
    let mut all = [0; 20];
    for (n, db) in server.dbs.iter().enumerate() {
        if db.keys.is_empty() {
            continue;
        }
        mix_digest(&mut all, &(n as u32).to_be_bytes());
        db.keys.for_each(|e| {
            let mut one = [0; 20];
            mix_digest(&mut one, e.name());
            xor_object_digest(&mut one, e);
            xor_digest(&mut all, &one);
        });
    }
    all
}

fn hex(digest: &Sha) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn digest_value(server: &mut Server, cid: ClientId, args: &Args) {
    server.clients.add_reply_array_len(cid, args.len() - 2);
    for i in 2..args.len() {
        let mut digest = [0; 20];
        if let Some(at) = find(server, cid, &args[i]) {
            xor_object_digest(&mut digest, at.entry(&server.dbs));
        }
        server.clients.add_reply_status(cid, &hex(&digest));
    }
}

// Replies of every kind ---------------------------------------------------------------------------------------------------

fn protocol(server: &mut Server, cid: ClientId, args: &Args) {
    let resp3 = server.clients.resp_version(cid) >= 3;
    let c = &mut server.clients;
    match args[2].to_ascii_lowercase().as_slice() {
        b"string" => c.add_reply_bulk(cid, b"Hello World"),
        b"integer" => c.add_reply_long_long(cid, 12345),
        b"double" => c.add_reply_double(cid, 3141.0 / 1000.0),
        b"bignum" => c.add_reply_big_num(cid, b"1234567999999999999999999999999999999"),
        b"null" => c.add_reply_null(cid),
        b"array" => {
            c.add_reply_array_len(cid, 3);
            (0..3).for_each(|j| c.add_reply_long_long(cid, j));
        }
        b"set" => {
            c.add_reply_set_len(cid, 3);
            (0..3).for_each(|j| c.add_reply_long_long(cid, j));
        }
        b"map" => {
            c.add_reply_map_len(cid, 3);
            for j in 0..3 {
                c.add_reply_long_long(cid, j);
                c.add_reply_bool(cid, j == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                c.add_reply_attribute_len(cid, 1);
                c.add_reply_bulk(cid, b"key-popularity");
                c.add_reply_array_len(cid, 2);
                c.add_reply_bulk(cid, b"key:123");
                c.add_reply_long_long(cid, 90);
            }
            c.add_reply_bulk(cid, b"Some real reply following the attribute");
        }
        b"push" => {
            if !resp3 {
                return server.add_reply_error(cid, "RESP2 is not supported by this command");
            }
            // A push that comes up while a command runs is sent behind the command's reply.
            c.add_reply_bulk(cid, b"Some real reply following the push reply");
            c.add_reply_push_len(cid, 2);
            c.add_reply_bulk(cid, b"server-cpu-usage");
            c.add_reply_long_long(cid, 42);
        }
        b"true" => c.add_reply_bool(cid, true),
        b"false" => c.add_reply_bool(cid, false),
        b"verbatim" => c.add_reply_verbatim(cid, b"This is a verbatim\nstring", *b"txt"),
        _ => server.add_reply_error(
            cid,
            "Wrong protocol type name. Please use one of the following: \
             string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ),
    }
}

// Hash tables -------------------------------------------------------------------------------------------------------------

/// One array of a table, in upstream's words. A size is in elements that fit, not in buckets; a slot is a bucket, and its
/// chain all that hashes to it.
fn ht_stats(text: &mut String, n: usize, size: usize, used: usize) {
    let name = ["main hash table", "rehashing target"][n];
    text.push_str(&format!("Hash table {n} stats ({name}):\n"));
    if used == 0 {
        text.push_str("No stats available for empty dictionaries\n");
    } else {
        text.push_str(&format!(
            " table size: {size}\n number of elements: {used}\n"
        ));
    }
}

/// Both arrays of a table (dictGetStats).
fn table_stats<E: Element, H: HashKey>(text: &mut String, table: &Table<E, H>, full: bool) {
    let arrays = if table.is_rehashing() { 2 } else { 1 };
    let slots = table.capacity() / (table.array_stats(0).0 + table.array_stats(1).0).max(1);
    for n in 0..arrays {
        let (buckets, used, _) = table.array_stats(n);
        ht_stats(text, n, buckets * slots, used);
        if used == 0 || !full {
            continue;
        }
        let (mut different, mut longest) = (0, 0);
        table.for_each_chain(n, |len| {
            different += usize::from(len > 0);
            longest = longest.max(len);
        });
        let average = used as f64 / different as f64;
        text.push_str(&format!(
            " different slots: {different}\n max chain length: {longest}\n avg chain length (counted): {average:.02}\n"
        ));
    }
}

fn htstats(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(db) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let db = usize::try_from(db).ok().and_then(|db| server.dbs.get(db));
    let Some(db) = db else {
        return server.add_reply_error(cid, "Out of range database");
    };
    let full = args.len() >= 4 && args.is(3, "full");
    let mut text = "[Dictionary HT]\n".to_string();
    table_stats(&mut text, db.keys.table(), full);
    // Keys that expire are kept in a list, whose size is its room.
    text.push_str("[Expires HT]\n");
    let room = db.keys.overhead().1 / size_of::<usize>();
    ht_stats(&mut text, 0, room, db.keys.expires_len());
    server
        .clients
        .add_reply_verbatim(cid, text.as_bytes(), *b"txt");
}

fn htstats_key(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = encodings::lookup_or_reply(server, cid, &args[2]) else {
        return;
    };
    let full = args.len() >= 4 && args.is(3, "full");
    let mut text = String::new();
    let e = at.entry(&server.dbs);
    if let Some(Set::Table(t)) = e.value::<Set>().as_deref() {
        table_stats(&mut text, t.table(), full);
    } else if let Some(Hash::Table(t)) = e.value::<Hash>().as_deref() {
        table_stats(&mut text, t.table(), full);
    } else if let Some(Zset::Tree(t)) = e.value::<Zset>().as_deref() {
        table_stats(&mut text, t.table(), full);
    } else {
        return server.add_reply_error(
            cid,
            "The value stored at the specified key is not represented using an hash table",
        );
    }
    server
        .clients
        .add_reply_verbatim(cid, text.as_bytes(), *b"txt");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &[u8], value: &[u8], expire: Option<i64>) -> Entry {
        let v = NewValue::Bytes {
            bytes: value,
            raw: false,
        };
        Entry::new(key, v, expire)
    }

    #[test]
    fn digests_see_value_type_and_expiry_but_not_encoding() {
        let digest = |e: &Entry| {
            let mut d = [0; 20];
            xor_object_digest(&mut d, e);
            d
        };
        let a = digest(&entry(b"k", b"12", None));
        assert_eq!(a, digest(&Entry::new(b"other", NewValue::Int(12), None)));
        assert_ne!(a, digest(&entry(b"k", b"13", None)));
        let expiring = digest(&entry(b"k", b"12", Some(1)));
        assert_ne!(a, expiring);
        assert_eq!(expiring, digest(&entry(b"k", b"12", Some(2))));
    }

    #[test]
    fn mixing_keeps_order_and_xor_does_not() {
        let digest = |words: &[&[u8]], f: fn(&mut Sha, &[u8])| {
            let mut d = [0; 20];
            words.iter().for_each(|w| f(&mut d, w));
            d
        };
        let (ab, ba) = ([&b"a"[..], b"b"], [&b"b"[..], b"a"]);
        assert_ne!(digest(&ab, mix_digest), digest(&ba, mix_digest));
        assert_eq!(digest(&ab, xor_digest), digest(&ba, xor_digest));
        assert_eq!(hex(&[0xa0; 20]), "a0".repeat(20));
    }

    #[test]
    fn switches_read_like_atoi() {
        assert!(is_on(b"1") && is_on(b"-1") && is_on(b"2x"));
        assert!(!is_on(b"0") && !is_on(b"") && !is_on(b"x") && !is_on(b"0.5"));
    }
}
