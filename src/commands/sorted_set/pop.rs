//! ZPOPMIN, ZPOPMAX, ZMPOP and their blocking forms (genericZpopCommand, blockingGenericZpopCommand).
//!
//! What a blocking form or ZMPOP takes is propagated as a plain pop of one key.

use std::ops::Range;

use super::reply::add_reply_member;
use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::ds::listpack::LpValue;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::block::BlockType;
use crate::server::execution::blocked::TimeoutUnit;
use crate::server::keyspace::lookup::{At, Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_ZSET;
use crate::store::zset::Zset;

/// From which end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

/// How the answer looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Members and scores in turn.
    Flat,
    /// A pair of member and score for each.
    Pairs,
    /// The key, then one member and its score.
    KeyAndOne,
    /// The key, then an array of pairs.
    KeyAndPairs,
}

impl End {
    fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }

    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }
}

impl Server {
    /// The first of the keys that holds a sorted set: its argument.
    ///
    /// # Errors
    /// A key before it holds something else: WRONGTYPE has been sent.
    fn first_zset(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: Range<usize>,
    ) -> Result<Option<usize>, Replied> {
        for i in keys {
            if self
                .lookup_typed::<Zset>(cid, &args[i], Lookup::WRITE)?
                .is_some()
            {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// Takes up to `count` (at least one) members off the sorted set at `key` and answers with them; returns how many.
    fn zpop_and_reply(
        &mut self,
        cid: ClientId,
        key: &[u8],
        end: End,
        count: usize,
        shape: Shape,
    ) -> usize {
        let db = self.client_db(cid);
        let limits = self.zset_limits();
        let hash = self.dbs[db].keys.hash(key);
        let Some(slot) = self.dbs[db].keys.find(hash, key) else {
            return 0;
        };
        let popped = self.change_value(At { db, slot }, |z: &mut Zset, clients| {
            let len = z.len();
            let n = count.min(len);
            match shape {
                Shape::Flat => clients.add_reply_array_len(cid, n * 2),
                Shape::Pairs => clients.add_reply_array_len(cid, n),
                Shape::KeyAndOne => {
                    clients.add_reply_array_len(cid, n * 2 + 1);
                    clients.add_reply_bulk(cid, key);
                }
                Shape::KeyAndPairs => {
                    clients.add_reply_array_len(cid, 2);
                    clients.add_reply_bulk(cid, key);
                    clients.add_reply_array_len(cid, n);
                }
            }
            let pairs = matches!(shape, Shape::Pairs | Shape::KeyAndPairs);
            let reply = |member: LpValue<'_>, score| {
                if pairs {
                    clients.add_reply_array_len(cid, 2);
                }
                add_reply_member(clients, cid, member);
                clients.add_reply_double(cid, score);
            };
            let ranks = match end {
                End::Min => 0..n,
                End::Max => len - n..len,
            };
            z.for_each_in(ranks.clone(), end == End::Max, reply);
            z.remove_range(ranks, &limits);
            n
        });
        let Some((n, left)) = popped else {
            return 0;
        };
        self.dirty += n as i64;
        self.notify_keyspace_event(NOTIFY_ZSET, end.event(), key, db);
        self.signal_modified_key(cid, db, key);
        self.delete_if_empty(db, key, left);
        n
    }

    /// Propagates a pop of `n` members as ZPOPMIN or ZPOPMAX with a count.
    fn propagate_zpop(&mut self, key: &[u8], end: End, n: usize) {
        let mut text = [0; LONG_STR_SIZE];
        let n = ll2string(&mut text, n as i64);
        self.rewrite_client_command_vector(&[end.command(), key, n]);
    }

    /// BZPOPMIN, BZPOPMAX and BZMPOP; without `count` one member, in a flat answer.
    fn blocking_zpop_generic_command(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: Range<usize>,
        end: End,
        timeout_index: usize,
        count: Option<usize>,
    ) {
        let Some(timeout) =
            self.get_timeout_or_reply(cid, &args[timeout_index], TimeoutUnit::Seconds)
        else {
            return;
        };
        match self.first_zset(cid, args, keys.clone()) {
            Err(Replied) => return,
            Ok(Some(i)) => {
                let key = &args[i];
                match count {
                    None => {
                        self.zpop_and_reply(cid, key, end, 1, Shape::KeyAndOne);
                        self.rewrite_client_command_vector(&[end.command(), key]);
                    }
                    Some(count) => {
                        let n = self.zpop_and_reply(cid, key, end, count, Shape::KeyAndPairs);
                        self.propagate_zpop(key, end, n);
                    }
                }
                return;
            }
            Ok(None) => {}
        }
        if self.is_blocking_denied(cid) {
            return self.add_reply_null_array(cid);
        }
        let keys = keys.map(|i| &args[i]);
        self.block_for_keys(cid, BlockType::Zset, keys, timeout, false, args.to_owned());
    }
}

fn zpop_generic_command(server: &mut Server, cid: ClientId, args: &Args, end: End) {
    if args.len() > 3 {
        return server.add_reply_syntax_error(cid);
    }
    let mut count = None;
    if args.len() == 3 {
        let text = Some("value is out of range, must be positive");
        count = server.get_range_long_or_reply(cid, args, 2, 0, i64::MAX, text);
        if count.is_none() {
            return;
        }
    }
    match server.first_zset(cid, args, 1..2) {
        Err(Replied) => return,
        Ok(Some(_)) if count != Some(0) => {}
        Ok(_) => return server.add_reply_array_len(cid, 0),
    }
    let shape = match count {
        Some(_) if server.clients.resp_version(cid) > 2 => Shape::Pairs,
        _ => Shape::Flat,
    };
    let count = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
    server.zpop_and_reply(cid, &args[1], end, count, shape);
}

/// `ZPOPMIN key [count]`
pub(crate) fn zpopmin_command(server: &mut Server, cid: ClientId, args: &Args) {
    zpop_generic_command(server, cid, args, End::Min);
}

/// `ZPOPMAX key [count]`
pub(crate) fn zpopmax_command(server: &mut Server, cid: ClientId, args: &Args) {
    zpop_generic_command(server, cid, args, End::Max);
}

/// The keys, the end and the count of ZMPOP and BZMPOP, the number of keys being at `numkeys`; or the error.
fn parse_zmpop(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    numkeys: usize,
) -> Option<(Range<usize>, End, usize)> {
    let text = Some("numkeys should be greater than 0");
    let keys = server.get_range_long_or_reply(cid, args, numkeys, 1, i64::MAX, text)?;
    let first = numkeys + 1;
    let end_at = usize::try_from(keys)
        .ok()
        .and_then(|n| first.checked_add(n))
        .filter(|i| *i < args.len());
    let end = end_at.and_then(|i| match () {
        () if args.is(i, "min") => Some(End::Min),
        () if args.is(i, "max") => Some(End::Max),
        () => None,
    });
    let (Some(end_at), Some(end)) = (end_at, end) else {
        server.add_reply_syntax_error(cid);
        return None;
    };
    let mut count = None;
    let mut i = end_at + 1;
    while i < args.len() {
        if count.is_none() && args.is(i, "count") && i + 1 < args.len() {
            let text = Some("count should be greater than 0");
            count = Some(server.get_range_long_or_reply(cid, args, i + 1, 1, i64::MAX, text)?);
            i += 2;
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
    }
    let count = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
    Some((first..end_at, end, count))
}

/// `ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]`
pub(crate) fn zmpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some((keys, end, count)) = parse_zmpop(server, cid, args, 1) else {
        return;
    };
    match server.first_zset(cid, args, keys) {
        Err(Replied) => {}
        Ok(None) => server.add_reply_null_array(cid),
        Ok(Some(i)) => {
            let n = server.zpop_and_reply(cid, &args[i], end, count, Shape::KeyAndPairs);
            server.propagate_zpop(&args[i], end, n);
        }
    }
}

/// `BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]`
pub(crate) fn bzmpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some((keys, end, count)) = parse_zmpop(server, cid, args, 2) {
        server.blocking_zpop_generic_command(cid, args, keys, end, 1, Some(count));
    }
}

/// `BZPOPMIN key [key ...] timeout`
pub(crate) fn bzpopmin_command(server: &mut Server, cid: ClientId, args: &Args) {
    let last = args.len() - 1;
    server.blocking_zpop_generic_command(cid, args, 1..last, End::Min, last, None);
}

/// `BZPOPMAX key [key ...] timeout`
pub(crate) fn bzpopmax_command(server: &mut Server, cid: ClientId, args: &Args) {
    let last = args.len() - 1;
    server.blocking_zpop_generic_command(cid, args, 1..last, End::Max, last, None);
}
