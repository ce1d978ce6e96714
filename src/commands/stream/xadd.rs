//! XADD, XTRIM, XDEL, XSETID: what changes the entries of a stream.
//!
//! What is propagated is deterministic: the id that was made, and trimming by the length or the first id that it led to.

use super::parse_id_choice;
use crate::base::num::{LONG_STR_SIZE, string2ll, ull2string};
use crate::ds::idmap::STREAM_ID_STR_LEN;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::server::keyspace::notify::NOTIFY_STREAM;
use crate::store::entry::value::Value;
use crate::store::entry::{NewValue, Type};
use crate::store::stream::{
    Edge, IdChoice, NodeLimits, Stream, StreamData, StreamId, Trim, TrimStrategy,
};

/// The options of XADD and XTRIM.
#[derive(Clone, Copy)]
struct AddTrimArgs {
    id: IdChoice,
    /// Which argument is the id; the number of arguments when none is.
    id_pos: usize,
    no_mkstream: bool,
    trim: Option<Trim>,
    /// Which argument says how much to keep.
    strategy_arg: usize,
}

impl Server {
    /// Reads the arguments from 2 on up to the id, or all (streamParseAddOrTrimArgsOrReply).
    #[inline]
    fn add_or_trim_args_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        xadd: bool,
    ) -> Option<AddTrimArgs> {
        let parsed = AddTrimArgs {
            id: IdChoice::Auto,
            id_pos: 2,
            no_mkstream: false,
            trim: None,
            strategy_arg: 0,
        };
        if xadd && &args[2] == b"*" {
            return Some(parsed);
        }
        self.parse_add_or_trim_args(cid, args, xadd, parsed)
    }

    fn parse_add_or_trim_args(
        &mut self,
        cid: ClientId,
        args: &Args,
        xadd: bool,
        mut parsed: AddTrimArgs,
    ) -> Option<AddTrimArgs> {
        let mut strategy = None;
        let mut approx = false;
        let mut limit = None;
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if xadd && &args[i] == b"*" {
                break;
            }
            let maxlen = args.is(i, "maxlen");
            if (maxlen || args.is(i, "minid")) && more > 0 {
                if strategy.is_some() {
                    self.add_reply_error(
                        cid,
                        "syntax error, MAXLEN and MINID options at the same time are not compatible",
                    );
                    return None;
                }
                approx = more >= 2 && &args[i + 1] == b"~";
                if approx || (more >= 2 && &args[i + 1] == b"=") {
                    i += 1;
                }
                i += 1;
                strategy = Some(if maxlen {
                    let n = self.get_long_long_or_reply(cid, args, i)?;
                    let Ok(n) = u64::try_from(n) else {
                        self.add_reply_error(cid, "The MAXLEN argument must be >= 0.");
                        return None;
                    };
                    TrimStrategy::MaxLen(n)
                } else {
                    TrimStrategy::MinId(self.strict_id_or_reply(cid, &args[i])?)
                });
                parsed.strategy_arg = i;
            } else if args.is(i, "limit") && more > 0 {
                i += 1;
                let n = self.get_long_long_or_reply(cid, args, i)?;
                let Ok(n) = u64::try_from(n) else {
                    self.add_reply_error(cid, "The LIMIT argument must be >= 0.");
                    return None;
                };
                limit = Some(n);
            } else if xadd && args.is(i, "nomkstream") {
                parsed.no_mkstream = true;
            } else if xadd {
                match parse_id_choice(&args[i]) {
                    Some(id) => parsed.id = id,
                    None => {
                        self.reply_invalid_stream_id(cid);
                        return None;
                    }
                }
                break;
            } else {
                self.add_reply_syntax_error(cid);
                return None;
            }
            i += 1;
        }
        parsed.id_pos = i;
        let Some(strategy) = strategy else {
            if limit.is_some_and(|n| n > 0) {
                self.add_reply_error(
                    cid,
                    "syntax error, LIMIT cannot be used without specifying a trimming strategy",
                );
                return None;
            }
            if !xadd {
                self.add_reply_error(
                    cid,
                    "syntax error, XTRIM must be called with a trimming strategy",
                );
                return None;
            }
            // LIMIT 0 without a strategy is refused as one without `~`.
            return self
                .trim_limit_or_reply(cid, false, limit)
                .is_some()
                .then_some(parsed);
        };
        parsed.trim = Some(Trim {
            strategy,
            approx,
            limit: self.trim_limit_or_reply(cid, approx, limit)?,
        });
        Some(parsed)
    }

    /// Entries to trim at the most, 0 for no limit. What was propagated to us has been limited where it came from.
    fn trim_limit_or_reply(
        &mut self,
        cid: ClientId,
        approx: bool,
        given: Option<u64>,
    ) -> Option<u64> {
        if self.is_master_client(cid) || self.loading.is_some() {
            return Some(0);
        }
        match given {
            Some(_) if !approx => {
                self.add_reply_error(
                    cid,
                    "syntax error, LIMIT cannot be used without the special ~ option",
                );
                None
            }
            Some(n) => Some(n),
            None if approx => {
                // A hundred nodes, so that no trimming takes long.
                let n = self.config.stream_node_max_entries.saturating_mul(100);
                Some(if n <= 0 { 10_000 } else { n.min(1_000_000) } as u64)
            }
            None => Some(0),
        }
    }

    /// Propagates the command with the given arguments replaced.
    fn rewrite_arguments(&mut self, args: &Args, replaced: &[(usize, &[u8])]) {
        if !self.propagation_wanted() {
            return;
        }
        let mut words: Vec<&[u8]> = args.iter().collect();
        for (i, w) in replaced {
            if let Some(place) = words.get_mut(*i) {
                *place = w;
            }
        }
        self.rewrite_client_command_vector(&words);
    }

    fn node_limits(&self) -> NodeLimits {
        NodeLimits {
            max_bytes: self.config.stream_node_max_bytes,
            max_entries: self.config.stream_node_max_entries,
        }
    }
}

/// What trimming has led to: it is propagated in place of what was asked for (streamRewriteTrimArgument).
fn exact_limit(s: &StreamData, how: &Trim) -> TrimStrategy {
    match how.strategy {
        TrimStrategy::MaxLen(_) => TrimStrategy::MaxLen(s.meta.length),
        TrimStrategy::MinId(_) => TrimStrategy::MinId(s.edge_id_with_tombstones(Edge::First)),
    }
}

/// It as an argument.
fn limit_text(exact: TrimStrategy, buf: &mut [u8; STREAM_ID_STR_LEN]) -> &[u8] {
    match exact {
        TrimStrategy::MaxLen(n) => {
            let mut digits = [0; LONG_STR_SIZE];
            let text = ull2string(&mut digits, n);
            buf[..text.len()].copy_from_slice(text);
            &buf[..text.len()]
        }
        TrimStrategy::MinId(id) => id.text(buf),
    }
}

/// `XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value [field value ...]`
pub(crate) fn xadd_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(parsed) = server.add_or_trim_args_or_reply(cid, args, true) else {
        return;
    };
    let field_pos = parsed.id_pos + 1;
    let words = args.len().saturating_sub(field_pos);
    if words < 2 || words % 2 == 1 {
        return server.add_reply_error_arity(cid);
    }
    if parsed.id == IdChoice::Given(StreamId::MIN) {
        return server.add_reply_error(cid, "The ID specified in XADD must be greater than 0-0");
    }
    let key = &args[1];
    let db = server.client_db(cid);
    let hash = server.dbs[db].keys.hash(key);
    let Ok(found) = server.lookup_typed_hashed::<Stream>(cid, db, hash, key, Lookup::WRITE) else {
        return;
    };
    if found.is_none() && parsed.no_mkstream {
        return server.add_reply_null(cid);
    }
    let now = server.command_time_ms();
    let limits = server.node_limits();
    let add = |s: &mut StreamData| {
        if s.meta.last_id == StreamId::MAX {
            return Err("The stream has exhausted the last possible ID, unable to add more items");
        }
        let Some(id) = s.meta.next_id(parsed.id, now) else {
            return Err(
                "The ID specified in XADD is equal or smaller than the target stream top item",
            );
        };
        if !s.append_item(id, words / 2, |i| &args[field_pos + i], limits) {
            return Err("Elements are too large to be stored");
        }
        let mut trimmed = 0;
        let mut exact = None;
        if let Some(how) = &parsed.trim {
            trimmed = s.trim(how);
            if how.approx {
                exact = Some(exact_limit(s, how));
            }
        }
        Ok((id, trimmed, exact))
    };
    let added = match found {
        Some(at) => match at.value_mut::<Stream>(&mut server.dbs) {
            Some(mut s) => add(&mut s.0),
            None => return,
        },
        None => {
            let mut s = Stream::new();
            let added = add(&mut s.0);
            if added.is_ok() {
                let value = NewValue::Value(Value::Stream(s));
                server.db_add_hashed(db, hash, key, value, None);
            }
            added
        }
    };
    let (id, trimmed, exact) = match added {
        Ok(a) => a,
        Err(text) => return server.add_reply_error(cid, text),
    };
    let mut id_text = [0; STREAM_ID_STR_LEN];
    let id_text = id.text(&mut id_text);
    server.add_reply_bulk(cid, id_text);
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_STREAM, "xadd", key, db);
    server.dirty += 1;
    if trimmed > 0 {
        server.notify_keyspace_event(NOTIFY_STREAM, "xtrim", key, db);
    }
    let made = !matches!(parsed.id, IdChoice::Given(_));
    if let Some(exact) = exact {
        // The id that was given is written out in full only when it was made.
        let id_word = if made { id_text } else { &args[parsed.id_pos] };
        let at = parsed.strategy_arg;
        let mut text = [0; STREAM_ID_STR_LEN];
        let limit = limit_text(exact, &mut text);
        let replaced = [(at - 1, &b"="[..]), (at, limit), (parsed.id_pos, id_word)];
        server.rewrite_arguments(args, &replaced);
    } else if made {
        server.rewrite_arguments(args, &[(parsed.id_pos, id_text)]);
    }
    server.signal_key_as_ready(db, key, Type::Stream);
}

/// `XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]`
pub(crate) fn xtrim_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(parsed) = server.add_or_trim_args_or_reply(cid, args, false) else {
        return;
    };
    let Some(how) = parsed.trim else {
        return;
    };
    let key = &args[1];
    let db = server.client_db(cid);
    let at = match server.lookup_typed::<Stream>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_long_long(cid, 0),
        Err(_) => return,
    };
    let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs) else {
        return;
    };
    let deleted = s.0.trim(&how);
    let exact = exact_limit(&s.0, &how);
    drop(s);
    if deleted > 0 {
        server.notify_keyspace_event(NOTIFY_STREAM, "xtrim", key, db);
        if how.approx {
            let at = parsed.strategy_arg;
            let mut text = [0; STREAM_ID_STR_LEN];
            let limit = limit_text(exact, &mut text);
            server.rewrite_arguments(args, &[(at - 1, b"="), (at, limit)]);
        }
        server.signal_modified_key(cid, db, key);
        server.dirty += deleted as i64;
    }
    server.add_reply_long_long(cid, deleted as i64);
}

/// `XDEL key id [id ...]`
pub(crate) fn xdel_command(server: &mut Server, cid: ClientId, args: &Args) {
    let key = &args[1];
    let db = server.client_db(cid);
    let at = match server.lookup_typed::<Stream>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_long_long(cid, 0),
        Err(_) => return,
    };
    let Some(ids) = server.strict_ids_or_reply(cid, args, 2) else {
        return;
    };
    let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs) else {
        return;
    };
    let deleted = s.0.delete_items(&ids);
    drop(s);
    if deleted > 0 {
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_STREAM, "xdel", key, db);
        server.dirty += deleted as i64;
    }
    server.add_reply_long_long(cid, deleted as i64);
}

/// `XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]`
pub(crate) fn xsetid_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(id) = server.strict_id_or_reply(cid, &args[2]) else {
        return;
    };
    let mut entries_added = None;
    let mut max_deleted = StreamId::MIN;
    let mut i = 3;
    while i < args.len() {
        let more = args.len() - 1 - i;
        if args.is(i, "entriesadded") && more > 0 {
            let Some(n) = string2ll(&args[i + 1]) else {
                let text = "value is not an integer or out of range";
                return server.add_reply_error(cid, text);
            };
            let Ok(n) = u64::try_from(n) else {
                return server.add_reply_error(cid, "entries_added must be positive");
            };
            entries_added = Some(n);
        } else if args.is(i, "maxdeletedid") && more > 0 {
            let Some(d) = server.strict_id_or_reply(cid, &args[i + 1]) else {
                return;
            };
            if id < d {
                return server.add_reply_error(
                    cid,
                    "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                );
            }
            max_deleted = d;
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 2;
    }
    let key = &args[1];
    let db = server.client_db(cid);
    let at = match server.lookup_typed::<Stream>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_no_such_key(cid),
        Err(_) => return,
    };
    let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs) else {
        return;
    };
    let text = if id < s.0.meta.max_deleted_entry_id {
        Some("The ID specified in XSETID is smaller than current max_deleted_entry_id")
    } else if s.0.meta.length > 0 && id < s.0.last_valid_id() {
        Some("The ID specified in XSETID is smaller than the target stream top item")
    } else if s.0.meta.length > 0 && entries_added.is_some_and(|n| s.0.meta.length > n) {
        Some("The entries_added specified in XSETID is smaller than the target stream length")
    } else {
        None
    };
    if let Some(text) = text {
        drop(s);
        return server.add_reply_error(cid, text);
    }
    let meta = &mut s.0.meta;
    meta.last_id = id;
    meta.entries_added = entries_added.unwrap_or(meta.entries_added);
    if !max_deleted.is_zero() {
        meta.max_deleted_entry_id = max_deleted;
    }
    drop(s);
    server.add_reply_ok(cid);
    server.dirty += 1;
    server.notify_keyspace_event(NOTIFY_STREAM, "xsetid", key, db);
}
