//! The HyperLogLog commands (the command half of hyperloglog.c): PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST.
//!
//! A HyperLogLog is a string, so every string command may have been at it: what a key holds is checked before each use.
//! PFCOUNT of one key keeps the estimate in the value, which is a change that is propagated.
//!
//! Absent: what the bytes mean (`ds::hll`).

use crate::ds::hll::{
    Corrupt, HLL_REGISTERS, Union, create_hll, hll_add, hll_cached, hll_count, hll_dense_registers,
    hll_invalidate_cache, hll_is_dense, hll_self_test, hll_set_cached, hll_sparse_decode,
    hll_sparse_to_dense, is_hll,
};
use crate::ds::sbuf::SBuf;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup};
use crate::server::keyspace::notify::NOTIFY_STRING;
use crate::store::entry::{Encoding, NewValue, Str};

const INVALID_HLL: &str = "-INVALIDOBJ Corrupted HLL object detected";

impl Server {
    /// False, and upstream's error to the client, when the value at `at` is no HyperLogLog (isHLLObjectOrReply).
    fn is_hll_object_or_reply(&mut self, cid: ClientId, at: At) -> bool {
        if !self.check_type_string(cid, at) {
            return false;
        }
        let ok = match at.entry(&self.dbs).string() {
            Str::Int(_) => false,
            Str::Bytes(b) => is_hll(b),
        };
        if !ok {
            let text = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
            self.add_reply_error(cid, text);
        }
        ok
    }

    /// The union of every key from argument 1 on, a missing key being empty, and whether one of them is dense. `None`, and an
    /// error to the client, when one is no HyperLogLog.
    fn merge_hlls(&mut self, cid: ClientId, args: &Args) -> Option<(Union, bool)> {
        let db = self.client_db(cid);
        let mut union = Union::default();
        let mut dense = false;
        for i in 1..args.len() {
            let Some(at) = self.lookup_key(db, &args[i], Lookup::READ) else {
                continue;
            };
            if !self.is_hll_object_or_reply(cid, at) {
                return None;
            }
            if let Str::Bytes(b) = at.entry(&self.dbs).string() {
                dense |= hll_is_dense(b);
                if union.merge(b).is_err() {
                    self.add_reply_error(cid, INVALID_HLL);
                    return None;
                }
            }
        }
        Some((union, dense))
    }
}

/// `PFADD key [element [element ...]]`
pub(crate) fn pfadd_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let key = &args[1];
    let max_bytes = server.config.hll_sparse_max_bytes;
    let hash = server.dbs[db].keys.hash(key);
    let found = server.lookup_key_hashed(db, hash, key, Lookup::WRITE);
    if let Some(at) = found
        && !server.is_hll_object_or_reply(cid, at)
    {
        return;
    }
    let mut updated = 0;
    let mut add = |b: &mut SBuf| -> Result<(), Corrupt> {
        // A damaged value may be found out in the midst of several elements: then none of them is added. One that was would
        // stay unknown to replicas. A dense one cannot be damaged so that only a walk over it tells.
        let before = (args.len() > 3 && !hll_is_dense(b.as_slice())).then(|| b.as_slice().to_vec());
        for i in 2..args.len() {
            match hll_add(b, &args[i], max_bytes) {
                Ok(changed) => updated += i64::from(changed),
                Err(e) => {
                    if let Some(before) = before {
                        b.resize(0, true);
                        b.extend_from_slice(&before);
                    }
                    return Err(e);
                }
            }
        }
        if updated > 0 {
            hll_invalidate_cache(b);
        }
        Ok(())
    };
    let done = match found {
        Some(at) => server.dbs[at.db].keys.update_raw(at.slot, add),
        None => {
            let mut b = create_hll();
            let done = add(&mut b);
            updated += 1;
            hll_invalidate_cache(&mut b);
            server.db_add_hashed(db, hash, key, NewValue::Buf(b), None);
            done
        }
    };
    if done.is_err() {
        return server.add_reply_error(cid, INVALID_HLL);
    }
    if updated > 0 {
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_STRING, "pfadd", key, db);
        server.dirty += updated;
    }
    server.add_reply_long_long(cid, i64::from(updated > 0));
}

/// `PFCOUNT key [key ...]`: of several keys, their union.
pub(crate) fn pfcount_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 2 {
        if let Some((union, _)) = server.merge_hlls(cid, args) {
            server.add_reply_long_long(cid, union.count() as i64);
        }
        return;
    }
    let db = server.client_db(cid);
    let key = &args[1];
    let Some(at) = server.lookup_key(db, key, Lookup::READ) else {
        return server.add_reply_long_long(cid, 0);
    };
    if !server.is_hll_object_or_reply(cid, at) {
        return;
    }
    let keys = &mut server.dbs[db].keys;
    let card = match keys.at(at.slot).string() {
        Str::Bytes(b) => hll_cached(b),
        Str::Int(_) => None,
    };
    // As upstream has it, a look makes the value `raw`.
    if card.is_some() && keys.at(at.slot).encoding() == Encoding::Raw {
        return server.add_reply_long_long(cid, card.unwrap_or(0) as i64);
    }
    let counted = keys.update_raw(at.slot, |b| match card {
        Some(card) => Ok((card, false)),
        None => hll_count(b.as_slice()).map(|card| {
            hll_set_cached(b, card);
            (card, true)
        }),
    });
    let Ok((card, changed)) = counted else {
        return server.add_reply_error(cid, INVALID_HLL);
    };
    if changed {
        server.signal_modified_key(cid, db, key);
        server.dirty += 1;
    }
    server.add_reply_long_long(cid, card as i64);
}

/// `PFMERGE destkey [sourcekey [sourcekey ...]]`: what the destination holds is merged too.
pub(crate) fn pfmerge_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some((union, dense)) = server.merge_hlls(cid, args) else {
        return;
    };
    let db = server.client_db(cid);
    let key = &args[1];
    let max_bytes = server.config.hll_sparse_max_bytes;
    let hash = server.dbs[db].keys.hash(key);
    let stored = match server.lookup_key_hashed(db, hash, key, Lookup::WRITE) {
        Some(at) => server.dbs[at.db]
            .keys
            .update_raw(at.slot, |b| union.store(b, dense, max_bytes)),
        None => {
            let mut b = create_hll();
            let stored = union.store(&mut b, dense, max_bytes);
            server.db_add_hashed(db, hash, key, NewValue::Buf(b), None);
            stored
        }
    };
    if stored.is_err() {
        return server.add_reply_error(cid, INVALID_HLL);
    }
    server.signal_modified_key(cid, db, key);
    // A merge adds elements, so upstream gives it the name of that.
    server.notify_keyspace_event(NOTIFY_STRING, "pfadd", key, db);
    server.dirty += 1;
    server.add_reply_ok(cid);
}

/// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key
pub(crate) fn pfdebug_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = server.lookup_key_write(cid, &args[2]) else {
        return server.add_reply_error(cid, "The specified key does not exist");
    };
    if !server.is_hll_object_or_reply(cid, at) {
        return;
    }
    let Server {
        clients,
        dbs,
        dirty,
        ..
    } = server;
    let wants_dense = args.is(1, "getreg") || args.is(1, "todense");
    let shown = dbs[at.db].keys.update_raw(at.slot, |b| {
        let converted = wants_dense && hll_sparse_to_dense(b)?;
        if converted {
            *dirty += 1;
        }
        let bytes = b.as_slice();
        let dense = hll_is_dense(bytes);
        if args.is(1, "getreg") {
            clients.add_reply_array_len(cid, HLL_REGISTERS);
            for r in hll_dense_registers(bytes) {
                clients.add_reply_long_long(cid, i64::from(r));
            }
        } else if args.is(1, "todense") {
            clients.add_reply_long_long(cid, i64::from(converted));
        } else if args.is(1, "encoding") {
            clients.add_reply_status(cid, if dense { "dense" } else { "sparse" });
        } else if args.is(1, "decode") {
            if dense {
                return Ok(Some("HLL encoding is not sparse".into()));
            }
            clients.add_reply_bulk(cid, hll_sparse_decode(bytes).as_bytes());
        } else {
            let name = String::from_utf8_lossy(&args[1]);
            return Ok(Some(format!("Unknown PFDEBUG subcommand '{name}'")));
        }
        Ok(None)
    });
    match shown {
        Ok(None) => {}
        Ok(Some(error)) => server.add_reply_error(cid, &error),
        Err(Corrupt) => server.add_reply_error(cid, INVALID_HLL),
    }
}

/// PFSELFTEST
pub(crate) fn pfselftest_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let rng = &mut server.rng;
    let max_bytes = server.config.hll_sparse_max_bytes;
    match hll_self_test(|| rng.next_u64(), max_bytes) {
        Ok(()) => server.add_reply_ok(cid),
        Err(what) => server.add_reply_error(cid, &format!("TESTFAILED {what}")),
    }
}
