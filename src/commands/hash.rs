//! The hash commands (t_hash.c).
//!
//! A key is hashed once and looked up once; a value is written from the hash into the client's buffer. What becomes of
//! encodings is decided in `store::hash`.

use crate::base::long_double::{LongDouble, ld2string, string2ld};
use crate::base::num::{LONG_STR_SIZE, ll2string, string2ll};
use crate::commands::keyspace::{Emit, scan_generic_command};
use crate::ds::field::FieldValue;
use crate::ds::listpack::LpValue;
use crate::ds::table::Resize;
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_HASH;
use crate::store::entry::NewValue;
use crate::store::entry::value::{Value, ValueRef};
use crate::store::hash::{Hash, HashLimits, HashValue};

/// What HGETALL and its kin show of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Keys,
    Values,
    Both,
}

/// An argument as the value of a field.
#[inline]
fn field_value<'a>(args: &'a Args, i: usize) -> FieldValue<'a> {
    match args.big(i) {
        Some(b) => FieldValue::Buf(b.clone()),
        None => FieldValue::Bytes(&args[i]),
    }
}

#[inline]
fn add_reply_element(clients: &mut Clients, cid: ClientId, v: LpValue<'_>) {
    match v {
        LpValue::Str(s) => clients.add_reply_bulk(cid, s),
        LpValue::Int(n) => clients.add_reply_bulk_long_long(cid, n),
    }
}

#[inline]
fn add_reply_value(clients: &mut Clients, cid: ClientId, v: HashValue<'_>) {
    match v {
        HashValue::Small(v) => add_reply_element(clients, cid, v),
        HashValue::Buf(b) => clients.add_reply_bulk_shared(cid, b, 0..b.len()),
    }
}

impl Server {
    /// Whether the tables inside values may resize now: not while a child shares their pages.
    #[inline]
    pub(super) fn resize_policy(&self) -> Resize {
        if self.has_forked_child() {
            Resize::Avoid
        } else {
            Resize::Allow
        }
    }

    #[inline]
    fn hash_limits(&self) -> HashLimits {
        HashLimits::new(&self.config, self.resize_policy())
    }

    /// The hash at argument 1 for reading, and the clients to answer to. `Ok(None)`: there is none.
    #[inline(always)]
    fn hash_to_read(
        &mut self,
        cid: ClientId,
        args: &Args,
    ) -> Result<(&mut Clients, Option<ValueRef<'_, Hash>>), Replied> {
        let db = self.client_db(cid);
        let hash = self.dbs[db].keys.hash(&args[1]);
        let at = self.lookup_typed_hashed::<Hash>(cid, db, hash, &args[1], Lookup::READ)?;
        let Server { clients, dbs, .. } = self;
        Ok((clients, at.and_then(|s| s.value(dbs))))
    }

    /// Lets `change` work on the hash at argument 1, a new one if there is none. `None`: it is of another type, or `change`
    /// has answered an error and left it as it was.
    #[inline(always)]
    fn change_hash<R>(
        &mut self,
        cid: ClientId,
        args: &Args,
        change: impl FnOnce(&mut Hash, &HashLimits) -> Result<R, &'static str>,
    ) -> Option<R> {
        let db = self.client_db(cid);
        let key = &args[1];
        let hash = self.dbs[db].keys.hash(key);
        let found = self
            .lookup_typed_hashed::<Hash>(cid, db, hash, key, Lookup::WRITE)
            .ok()?;
        let limits = self.hash_limits();
        let done = match found {
            Some(at) => {
                let mut h = at.value_mut::<Hash>(&mut self.dbs)?;
                change(&mut h, &limits)
            }
            None => {
                let mut h = Hash::default();
                let done = change(&mut h, &limits);
                if done.is_ok() {
                    let value = NewValue::Value(Value::Hash(h));
                    self.db_add_hashed(db, hash, key, value, None);
                }
                done
            }
        };
        match done {
            Ok(r) => Some(r),
            Err(text) => {
                self.add_reply_error(cid, text);
                None
            }
        }
    }

    /// A hash has changed by `changes`.
    #[inline(always)]
    fn hash_changed(&mut self, cid: ClientId, args: &Args, event: &str, changes: usize) {
        let db = self.client_db(cid);
        self.signal_modified_key(cid, db, &args[1]);
        self.notify_keyspace_event(NOTIFY_HASH, event, &args[1], db);
        self.dirty += changes as i64;
    }
}

/// HSETNX key field value
pub(crate) fn hsetnx_command(server: &mut Server, cid: ClientId, args: &Args) {
    let set = server.change_hash(cid, args, |h, limits| {
        if h.contains(&args[2]) {
            return Ok(false);
        }
        let lengths = [args[2].len(), args[3].len()];
        h.try_conversion(1, lengths.into_iter(), limits);
        h.set(&args[2], field_value(args, 3), limits);
        Ok(true)
    });
    if let Some(set) = set {
        server.add_reply_long_long(cid, i64::from(set));
        if set {
            server.hash_changed(cid, args, "hset", 1);
        }
    }
}

/// Sets the pairs from argument 2 on; answers how many fields are new.
#[inline(always)]
fn hset_generic_command(server: &mut Server, cid: ClientId, args: &Args) -> Option<usize> {
    if args.len() % 2 == 1 {
        server.add_reply_error_arity(cid);
        return None;
    }
    if args.len() == 4 {
        // What a single pair leads to is decided when it is set.
        return server.change_hash(cid, args, |h, limits| {
            Ok(usize::from(h.set(&args[2], field_value(args, 3), limits)))
        });
    }
    set_many(server, cid, args)
}

/// The same for more than one pair.
#[inline(never)]
fn set_many(server: &mut Server, cid: ClientId, args: &Args) -> Option<usize> {
    server.change_hash(cid, args, |h, limits| {
        let lengths = (2..args.len()).map(|i| args[i].len());
        h.try_conversion((args.len() - 2) / 2, lengths, limits);
        let mut created = 0;
        for i in (2..args.len()).step_by(2) {
            created += usize::from(h.set(&args[i], field_value(args, i + 1), limits));
        }
        Ok(created)
    })
}

/// `HSET key field value [field value ...]`
pub(crate) fn hset_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some(created) = hset_generic_command(server, cid, args) {
        server.add_reply_long_long(cid, created as i64);
        server.hash_changed(cid, args, "hset", (args.len() - 2) / 2);
    }
}

/// `HMSET key field value [field value ...]`
pub(crate) fn hmset_command(server: &mut Server, cid: ClientId, args: &Args) {
    if hset_generic_command(server, cid, args).is_some() {
        server.add_reply_ok(cid);
        server.hash_changed(cid, args, "hset", (args.len() - 2) / 2);
    }
}

/// HINCRBY key field increment
pub(crate) fn hincrby_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(incr) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let value = server.change_hash(cid, args, |h, limits| {
        let old = match h.get(&args[2]).map(HashValue::value) {
            None => 0,
            Some(LpValue::Int(n)) => n,
            Some(LpValue::Str(s)) => string2ll(s).ok_or("hash value is not an integer")?,
        };
        let value = old
            .checked_add(incr)
            .ok_or("increment or decrement would overflow")?;
        let text = &mut [0; LONG_STR_SIZE];
        let text = FieldValue::Bytes(ll2string(text, value));
        h.set(&args[2], text, limits);
        Ok(value)
    });
    if let Some(value) = value {
        server.add_reply_long_long(cid, value);
        server.hash_changed(cid, args, "hincrby", 1);
    }
}

/// HINCRBYFLOAT key field increment
pub(crate) fn hincrbyfloat_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(incr) = string2ld(&args[3]) else {
        return server.add_reply_error(cid, "value is not a valid float");
    };
    if incr.is_nan() || incr.is_infinite() {
        return server.add_reply_error(cid, "value is NaN or Infinity");
    }
    let text = server.change_hash(cid, args, |h, limits| {
        let old = match h.get(&args[2]).map(HashValue::value) {
            None => LongDouble::ZERO,
            Some(LpValue::Int(n)) => LongDouble::from(n),
            Some(LpValue::Str(s)) => string2ld(s).ok_or("hash value is not a float")?,
        };
        let value = old + incr;
        if value.is_nan() || value.is_infinite() {
            return Err("increment would produce NaN or Infinity");
        }
        let mut text = Vec::new();
        ld2string(&mut text, value);
        h.set(&args[2], FieldValue::Bytes(&text), limits);
        Ok(text)
    });
    if let Some(text) = text {
        server.add_reply_bulk(cid, &text);
        server.hash_changed(cid, args, "hincrbyfloat", 1);
        // As its result: floats must not differ on a replica.
        server.rewrite_client_command_vector(&[b"HSET", &args[1], &args[2], &text]);
    }
}

/// HGET key field
pub(crate) fn hget_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok((clients, h)) = server.hash_to_read(cid, args) else {
        return;
    };
    match h.as_ref().and_then(|h| h.get(&args[2])) {
        Some(v) => add_reply_value(clients, cid, v),
        None => clients.add_reply_null(cid),
    }
}

/// `HMGET key field [field ...]`
pub(crate) fn hmget_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok((clients, h)) = server.hash_to_read(cid, args) else {
        return;
    };
    clients.add_reply_array_len(cid, args.len() - 2);
    for i in 2..args.len() {
        match h.as_ref().and_then(|h| h.get(&args[i])) {
            Some(v) => add_reply_value(clients, cid, v),
            None => clients.add_reply_null(cid),
        }
    }
}

/// `HDEL key field [field ...]`
pub(crate) fn hdel_command(server: &mut Server, cid: ClientId, args: &Args) {
    let key = &args[1];
    let limits = server.hash_limits();
    let at = match server.lookup_typed::<Hash>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_long_long(cid, 0),
        Err(Replied) => return,
    };
    let changed = server.change_value(at, |h: &mut Hash, _| {
        let mut deleted = 0;
        for i in 2..args.len() {
            if h.remove(&args[i], &limits) {
                deleted += 1;
                if h.is_empty() {
                    break;
                }
            }
        }
        deleted
    });
    let Some((deleted, left)) = changed else {
        return;
    };
    if deleted > 0 {
        server.hash_changed(cid, args, "hdel", deleted);
    }
    server.delete_if_empty(at.db, key, left);
    server.add_reply_long_long(cid, deleted as i64);
}

/// HLEN key
pub(crate) fn hlen_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, h)) = server.hash_to_read(cid, args) {
        clients.add_reply_long_long(cid, h.map_or(0, |h| h.len() as i64));
    }
}

/// HSTRLEN key field
pub(crate) fn hstrlen_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, h)) = server.hash_to_read(cid, args) {
        let v = h.as_ref().and_then(|h| h.get(&args[2]));
        clients.add_reply_long_long(cid, v.map_or(0, |v| v.value().len_bytes() as i64));
    }
}

/// HEXISTS key field
pub(crate) fn hexists_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, h)) = server.hash_to_read(cid, args) {
        let there = h.is_some_and(|h| h.contains(&args[2]));
        clients.add_reply_long_long(cid, i64::from(there));
    }
}

#[inline]
fn generic_hgetall_command(server: &mut Server, cid: ClientId, args: &Args, part: Part) {
    let Ok((clients, h)) = server.hash_to_read(cid, args) else {
        return;
    };
    let len = h.as_ref().map_or(0, |h| h.len());
    if part == Part::Both {
        clients.add_reply_map_len(cid, len);
    } else {
        clients.add_reply_array_len(cid, len);
    }
    let Some(h) = h else { return };
    let (keys, values) = (part != Part::Values, part != Part::Keys);
    clients.write_bulks(cid, |w| {
        for (k, v) in h.iter() {
            if keys {
                w.bulk_value(k);
            }
            if values {
                match v {
                    HashValue::Small(v) => w.bulk_value(v),
                    HashValue::Buf(b) => w.bulk_shared(b),
                }
            }
        }
    });
}

/// HKEYS key
pub(crate) fn hkeys_command(server: &mut Server, cid: ClientId, args: &Args) {
    generic_hgetall_command(server, cid, args, Part::Keys);
}

/// HVALS key
pub(crate) fn hvals_command(server: &mut Server, cid: ClientId, args: &Args) {
    generic_hgetall_command(server, cid, args, Part::Values);
}

/// HGETALL key
pub(crate) fn hgetall_command(server: &mut Server, cid: ClientId, args: &Args) {
    generic_hgetall_command(server, cid, args, Part::Both);
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count]`
pub(crate) fn hscan_command(server: &mut Server, cid: ClientId, args: &Args) {
    fn step(h: &Hash, cursor: u64, f: &mut Emit<'_>) -> u64 {
        match h {
            Hash::Table(t) => t.scan(cursor, |k, v| f(k, Some(v))),
            Hash::Listpack(_) => {
                for (k, v) in h.iter() {
                    k.with_bytes(|k| v.value().with_bytes(|v| f(k, Some(v))));
                }
                0
            }
        }
    }
    scan_generic_command(server, cid, args, step);
}

/// One field of HRANDFIELD's answer, with its value if asked for.
fn add_reply_pair(
    clients: &mut Clients,
    cid: ClientId,
    with_values: bool,
    k: LpValue<'_>,
    v: HashValue<'_>,
) {
    if with_values && clients.resp_version(cid) > 2 {
        clients.add_reply_array_len(cid, 2);
    }
    add_reply_element(clients, cid, k);
    if with_values {
        add_reply_value(clients, cid, v);
    }
}

fn hrandfield_with_count(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    count: i64,
    with_values: bool,
) {
    let at = match server.lookup_typed::<Hash>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) if count != 0 => at,
        Ok(_) => return server.add_reply_array_len(cid, 0),
        Err(Replied) => return,
    };
    if let Some(mut h) = at.value_mut::<Hash>(&mut server.dbs) {
        h.rehash_step();
    }
    let distinct = count > 1;
    let mut wanted = count.unsigned_abs();
    if distinct && let Some(h) = at.value::<Hash>(&server.dbs) {
        wanted = wanted.min(h.len() as u64);
    }
    let flat = with_values && server.clients.resp_version(cid) == 2;
    let headers = wanted.saturating_mul(if flat { 2 } else { 1 });
    server.add_reply_array_len(cid, usize::try_from(headers).unwrap_or(usize::MAX));
    if distinct {
        let Server {
            clients, dbs, rng, ..
        } = server;
        if let Some(h) = at.value::<Hash>(dbs) {
            h.sample(wanted as usize, rng, |k, v| {
                add_reply_pair(clients, cid, with_values, k, v);
            });
        }
        return;
    }
    server.add_reply_random_many(cid, at, wanted, |h: &Hash, n, rng, clients| {
        h.random_many(n, rng, |k, v| {
            add_reply_pair(clients, cid, with_values, k, v);
        });
    });
}

/// `HRANDFIELD key [count [WITHVALUES]]`
pub(crate) fn hrandfield_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() >= 3 {
        if let Some((count, with_values)) = server.random_count_or_reply(cid, args, "withvalues") {
            hrandfield_with_count(server, cid, args, count, with_values);
        }
        return;
    }
    let at = match server.lookup_typed::<Hash>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_null(cid),
        Err(Replied) => return,
    };
    if let Some(mut h) = at.value_mut::<Hash>(&mut server.dbs) {
        h.rehash_step();
    }
    let Server {
        clients, dbs, rng, ..
    } = server;
    if let Some(h) = at.value::<Hash>(dbs)
        && let Some((k, _)) = h.random(rng)
    {
        add_reply_element(clients, cid, k);
    }
}
