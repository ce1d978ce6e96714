//! Commands on keys whatever their type: DEL, EXISTS, TYPE, RENAME, COPY, MOVE, KEYS, RANDOMKEY, SWAPDB (db.c). SCAN and the
//! FLUSH commands are in files of their own below this one.
//!
//! Invariant: a key that counts as missing because it has expired is never shown; who deletes it is decided in
//! `server::keyspace::lookup`.

mod flush;
mod scan;

pub(crate) use flush::{flushall_command, flushdb_command};
pub(crate) use scan::{Emit, scan_command, scan_generic_command};

use crate::base::glob::Glob;
use crate::base::num::string2ll;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Free, Lookup};
use crate::server::keyspace::notify::NOTIFY_GENERIC;
use crate::store::entry::{Encoding, Entry, NewValue, Str};
use crate::wire::resp::push_bulk;

/// Random keys that are tried before RANDOMKEY settles for one that has expired (dbRandomKey).
const RANDOM_KEY_TRIES: u32 = 100;

/// DEL and UNLINK (delGenericCommand): one look-up a key, the expired ones told to the replicas by themselves and not counted.
fn del_generic(server: &mut Server, cid: ClientId, args: &Args, free: Free) {
    let db = server.client_db(cid);
    let mut deleted = 0;
    for i in 1..args.len() {
        let key = &args[i];
        let keys = &mut server.dbs[db].keys;
        let hash = keys.hash(key);
        let Some(e) = keys.remove_for_good(hash, key) else {
            continue;
        };
        server.signal_deleted_key_as_ready(db, key, e.value_type());
        if server.entry_is_expired(&e)
            && server.repl.master_host.is_none()
            && !server.pause.expire_paused()
        {
            let free = Free::lazily_if(server.config.lazyfree_lazy_expire);
            server.free_entry(e, free);
            server.after_expired_key_was_deleted(db, key, free);
            continue;
        }
        server.free_entry(e, free);
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
        server.dirty += 1;
        deleted += 1;
    }
    server.add_reply_long_long(cid, deleted);
}

/// `DEL key [key ...]`
pub(crate) fn del_command(server: &mut Server, cid: ClientId, args: &Args) {
    let free = Free::lazily_if(server.config.lazyfree_lazy_user_del);
    del_generic(server, cid, args, free);
}

/// `UNLINK key [key ...]`
pub(crate) fn unlink_command(server: &mut Server, cid: ClientId, args: &Args) {
    del_generic(server, cid, args, Free::Lazily);
}

/// `EXISTS key [key ...]`: a key named twice counts twice.
pub(crate) fn exists_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let found = (1..args.len())
        .filter(|i| server.lookup_key(db, &args[*i], Lookup::NOTOUCH).is_some())
        .count();
    server.add_reply_long_long(cid, found as i64);
}

/// TYPE key
pub(crate) fn type_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let name = match server.lookup_key(db, &args[1], Lookup::NOTOUCH) {
        Some(at) => at.entry(&server.dbs).value_type().name(),
        None => "none",
    };
    server.add_reply_status(cid, name);
}

/// DBSIZE: keys that have expired and are still there count.
pub(crate) fn dbsize_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let mut n = server.dbs[server.client_db(cid)].keys.len();
    if server.hides_keys() {
        n = n.saturating_sub(server.hidden_keys());
    }
    server.add_reply_long_long(cid, n as i64);
}

/// The value of an entry, for another entry to hold: a large string is shared until one of them changes it, what is no string
/// is copied.
pub(crate) fn dup_value(e: &Entry) -> NewValue<'_> {
    if let Some(value) = e.any_value() {
        return NewValue::Value(value.deep_clone());
    }
    if let Some(buf) = e.buf() {
        return NewValue::Buf(buf.clone());
    }
    match e.string() {
        Str::Int(n) => NewValue::Int(n),
        Str::Bytes(bytes) => NewValue::Bytes {
            bytes,
            raw: e.encoding() == Encoding::Raw,
        },
    }
}

/// Adds an entry with the key `key`, which is not there.
fn add_entry(server: &mut Server, cid: ClientId, db: usize, key: &[u8], e: Entry) {
    let expires = e.expire().is_some();
    server.db_add_entry(db, key, e);
    if expires {
        server.remember_slave_key_with_expire(cid, db, key);
    }
}

fn rename_generic(server: &mut Server, cid: ClientId, args: &Args, nx: bool) {
    let (from, to) = (&args[1], &args[2]);
    let db = server.client_db(cid);
    if server.lookup_key_write(cid, from).is_none() {
        return server.add_reply_no_such_key(cid);
    }
    let same = from == to;
    let to_exists = !same && server.lookup_key_write(cid, to).is_some();
    if nx && (same || to_exists) {
        return server.add_reply_long_long(cid, 0);
    }
    if same {
        return server.add_reply_ok(cid);
    }
    if to_exists {
        server.db_delete(db, to);
    }
    let keys = &mut server.dbs[db].keys;
    let hash = keys.hash(from);
    let Some(e) = keys.remove(hash, from) else {
        return server.add_reply_no_such_key(cid);
    };
    let kind = e.value_type();
    add_entry(server, cid, db, to, e.renamed(to));
    server.signal_deleted_key_as_ready(db, from, kind);
    server.signal_modified_key(cid, db, from);
    server.signal_modified_key(cid, db, to);
    server.notify_keyspace_event(NOTIFY_GENERIC, "rename_from", from, db);
    server.notify_keyspace_event(NOTIFY_GENERIC, "rename_to", to, db);
    server.dirty += 1;
    if nx {
        server.add_reply_long_long(cid, 1);
    } else {
        server.add_reply_ok(cid);
    }
}

/// RENAME key newkey
pub(crate) fn rename_command(server: &mut Server, cid: ClientId, args: &Args) {
    rename_generic(server, cid, args, false);
}

/// RENAMENX key newkey
pub(crate) fn renamenx_command(server: &mut Server, cid: ClientId, args: &Args) {
    rename_generic(server, cid, args, true);
}

/// An argument as the number of a database, or the error that `text` says (getIntFromObjectOrReply); none when it is no
/// `int`. The caller checks that there is such a database.
fn get_int_or_reply(
    server: &mut Server,
    cid: ClientId,
    arg: &[u8],
    text: Option<&str>,
) -> Option<i32> {
    let (n, error) = match string2ll(arg) {
        Some(n) => (
            i32::try_from(n).ok(),
            "value is out of range, value must between -2147483648 and 2147483647",
        ),
        None => (None, "value is not an integer or out of range"),
    };
    if n.is_none() {
        server.add_reply_error(cid, text.unwrap_or(error));
    }
    n
}

/// The database with the number in `arg`, or the error.
fn get_db_or_reply(server: &mut Server, cid: ClientId, arg: &[u8]) -> Option<usize> {
    let n = get_int_or_reply(server, cid, arg, None)?;
    let db = usize::try_from(n).ok().filter(|n| *n < server.dbs.len());
    if db.is_none() {
        server.add_reply_error(cid, "DB index is out of range");
    }
    db
}

const SAME_OBJECT: &str = "source and destination objects are the same";

/// MOVE key db
pub(crate) fn move_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.cluster_enabled {
        return server.add_reply_error(cid, "MOVE is not allowed in cluster mode");
    }
    let src = server.client_db(cid);
    let key = &args[1];
    let Some(dst) = get_db_or_reply(server, cid, &args[2]) else {
        return;
    };
    if src == dst {
        return server.add_reply_error(cid, SAME_OBJECT);
    }
    if server.lookup_key_write(cid, key).is_none()
        || server
            .lookup_key(dst, key, crate::server::keyspace::lookup::Lookup::WRITE)
            .is_some()
    {
        return server.add_reply_long_long(cid, 0);
    }
    let hash = server.dbs[src].keys.hash(key);
    let Some(e) = server.dbs[src].keys.remove(hash, key) else {
        return server.add_reply_long_long(cid, 0);
    };
    let kind = e.value_type();
    add_entry(server, cid, dst, key, e);
    server.signal_deleted_key_as_ready(src, key, kind);
    server.signal_modified_key(cid, src, key);
    server.signal_modified_key(cid, dst, key);
    server.notify_keyspace_event(NOTIFY_GENERIC, "move_from", key, src);
    server.notify_keyspace_event(NOTIFY_GENERIC, "move_to", key, dst);
    server.dirty += 1;
    server.add_reply_long_long(cid, 1);
}

/// `COPY source destination [DB destination-db] [REPLACE]`
pub(crate) fn copy_command(server: &mut Server, cid: ClientId, args: &Args) {
    let src = server.client_db(cid);
    let mut dst = src;
    let mut replace = false;
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "db") && i + 1 < args.len() {
            let Some(db) = get_db_or_reply(server, cid, &args[i + 1]) else {
                return;
            };
            dst = db;
            i += 1;
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 1;
    }
    if server.config.cluster_enabled && (src != 0 || dst != 0) {
        let text = "Copying to another database is not allowed in cluster mode";
        return server.add_reply_error(cid, text);
    }
    let (from, to) = (&args[1], &args[2]);
    if src == dst && from == to {
        return server.add_reply_error(cid, SAME_OBJECT);
    }
    if server.lookup_key_read(cid, from).is_none() {
        return server.add_reply_long_long(cid, 0);
    }
    if server
        .lookup_key(dst, to, crate::server::keyspace::lookup::Lookup::WRITE)
        .is_some()
    {
        if !replace {
            return server.add_reply_long_long(cid, 0);
        }
        server.db_delete(dst, to);
    }
    // Found again: deleting the target may have moved it.
    let Some(at) = server.find_key(src, from) else {
        return server.add_reply_long_long(cid, 0);
    };
    let e = at.entry(&server.dbs);
    let copy = Entry::new(to, dup_value(e), e.expire());
    add_entry(server, cid, dst, to, copy);
    server.signal_modified_key(cid, dst, to);
    server.notify_keyspace_event(NOTIFY_GENERIC, "copy_to", to, dst);
    server.dirty += 1;
    server.add_reply_long_long(cid, 1);
}

/// KEYS pattern
pub(crate) fn keys_command(server: &mut Server, cid: ClientId, args: &Args) {
    let pattern = &args[1];
    let all = pattern == b"*";
    let glob = Glob::new(pattern);
    let keys = &server.dbs[server.client_db(cid)].keys;
    let check_expiry = keys.expires_len() > 0;
    let hides = server.hides_keys();
    let mut n = 0;
    let mut out = Vec::new();
    keys.for_each(|e| {
        if (all || glob.matches(e.name()))
            && !(check_expiry && server.entry_is_expired(e))
            && !(hides && server.is_hidden_key(e.name()))
        {
            push_bulk(&mut out, e.name());
            n += 1;
        }
    });
    server.add_reply_array_len(cid, n);
    server.add_reply_proto(cid, &out);
}

/// RANDOMKEY
pub(crate) fn randomkey_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let db = server.client_db(cid);
    let keys = &server.dbs[db].keys;
    // Where expired keys stay until somebody else deletes them, a database of nothing but such keys must not keep us here.
    let may_never_end = keys.len() == keys.expires_len()
        && (server.repl.master_host.is_some() || server.pause.expire_paused());
    if server.hides_keys() {
        return match server.random_served_key() {
            Some(key) => server.add_reply_bulk(cid, &key),
            None => server.add_reply_null(cid),
        };
    }
    let mut tries = 0;
    let mut name = Vec::new();
    loop {
        let (rng, clients) = (&mut server.rng, &mut server.clients);
        let Some(e) = server.dbs[db].keys.random(|| rng.next_u64()) else {
            return server.add_reply_null(cid);
        };
        tries += 1;
        if e.expire().is_none() || (may_never_end && tries == RANDOM_KEY_TRIES) {
            return clients.add_reply_bulk(cid, e.name());
        }
        name.clear();
        name.extend_from_slice(e.name());
        let flags = Lookup::NOTOUCH | Lookup::NOSTATS | Lookup::NONOTIFY;
        if server.lookup_key(db, &name, flags).is_some() {
            return server.add_reply_bulk(cid, &name);
        }
    }
}

/// SWAPDB index1 index2: clients stay with their number and so see the other data.
pub(crate) fn swapdb_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.cluster_enabled {
        return server.add_reply_error(cid, "SWAPDB is not allowed in cluster mode");
    }
    let Some(a) = get_int_or_reply(server, cid, &args[1], Some("invalid first DB index")) else {
        return;
    };
    let Some(b) = get_int_or_reply(server, cid, &args[2], Some("invalid second DB index")) else {
        return;
    };
    let n = server.dbs.len();
    let (Ok(a), Ok(b)) = (usize::try_from(a), usize::try_from(b)) else {
        return server.add_reply_error(cid, "DB index is out of range");
    };
    if a >= n || b >= n {
        return server.add_reply_error(cid, "DB index is out of range");
    }
    if a != b {
        server.touch_all_watched_keys_in_db(a, Some(b));
        server.touch_all_watched_keys_in_db(b, Some(a));
    }
    server.scan_database_for_deleted_keys(a, Some(b));
    server.scan_database_for_deleted_keys(b, Some(a));
    server.dbs.swap(a, b);
    // Clients stay with the number that they selected, so they may find now what they wait for.
    server.scan_database_for_ready_keys(a);
    server.scan_database_for_ready_keys(b);
    server.dirty += 1;
    server.add_reply_ok(cid);
}
