//! The sorted set commands (t_zset.c): adding, removing, scores and ranks, counting, ZSCAN and ZRANDMEMBER here; ranges,
//! combinations of several sets, and pops in the files below.
//!
//! A key is hashed once and looked up once; members are written from the set into the client's buffer. What becomes of
//! encodings is decided in `store::zset`.

mod combine;
mod pop;
mod range;
mod reply;

pub(crate) use self::combine::{
    zdiff_command, zdiffstore_command, zinter_command, zintercard_command, zinterstore_command,
    zunion_command, zunionstore_command,
};
pub(crate) use self::pop::{
    bzmpop_command, bzpopmax_command, bzpopmin_command, zmpop_command, zpopmax_command,
    zpopmin_command,
};
pub(crate) use self::range::{
    zrange_command, zrangebylex_command, zrangebyscore_command, zrangestore_command,
    zremrangebylex_command, zremrangebyrank_command, zremrangebyscore_command, zrevrange_command,
    zrevrangebylex_command, zrevrangebyscore_command,
};

use self::reply::{
    NOT_A_LEX_RANGE, NOT_A_SCORE_RANGE, add_reply_member, add_reply_pair, add_reply_pairs_len,
};
use crate::base::num::{D2STRING_SIZE, d2string_g17, string2d};
use crate::commands::keyspace::{Emit, scan_generic_command};
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_ZSET;
use crate::store::entry::NewValue;
use crate::store::entry::value::{Value, ValueRef};
use crate::store::zset::{AddFlags, Added, LexRange, ScoreRange, Zset, ZsetLimits};

const NOT_A_FLOAT: &str = "value is not a valid float";

impl Server {
    #[inline]
    fn zset_limits(&self) -> ZsetLimits {
        ZsetLimits::new(&self.config, self.resize_policy())
    }

    /// The sorted set at argument 1 for reading, and the clients to answer to. `Ok(None)`: there is none.
    #[inline(always)]
    fn zset_to_read(
        &mut self,
        cid: ClientId,
        args: &Args,
    ) -> Result<(&mut Clients, Option<ValueRef<'_, Zset>>), Replied> {
        let db = self.client_db(cid);
        let hash = self.dbs[db].keys.hash(&args[1]);
        let at = self.lookup_typed_hashed::<Zset>(cid, db, hash, &args[1], Lookup::READ)?;
        let Server { clients, dbs, .. } = self;
        Ok((clients, at.and_then(|s| s.value(dbs))))
    }

    /// Lets `remove` take members out of the sorted set at argument 1, answers how many it took, and deletes the key with
    /// the last of them.
    fn remove_from_zset(
        &mut self,
        cid: ClientId,
        args: &Args,
        event: &str,
        remove: impl FnOnce(&mut Zset, &ZsetLimits) -> usize,
    ) {
        let key = &args[1];
        let limits = self.zset_limits();
        let at = match self.lookup_typed::<Zset>(cid, key, Lookup::WRITE) {
            Ok(Some(at)) => at,
            Ok(None) => return self.add_reply_long_long(cid, 0),
            Err(Replied) => return,
        };
        let Some((removed, left)) = self.change_value(at, |z, _| remove(z, &limits)) else {
            return;
        };
        if removed > 0 {
            self.signal_modified_key(cid, at.db, key);
            self.notify_keyspace_event(NOTIFY_ZSET, event, key, at.db);
            self.dirty += removed as i64;
        }
        self.delete_if_empty(at.db, key, left);
        self.add_reply_long_long(cid, removed as i64);
    }

    /// Stores the result of a command at `key` and answers its size; an empty result deletes the key.
    fn store_zset(&mut self, cid: ClientId, key: &[u8], zset: Zset, event: &str) {
        let len = zset.len();
        let value = (len > 0).then(|| NewValue::Value(Value::Zset(zset)));
        self.store_result(cid, key, value, (NOTIFY_ZSET, event), 1);
        self.add_reply_long_long(cid, len as i64);
    }

    /// An argument as a score, or the error `text` to the client (getDoubleFromObjectOrReply).
    #[inline]
    fn get_double_or_reply(&mut self, cid: ClientId, arg: &[u8], text: &str) -> Option<f64> {
        let d = string2d(arg);
        if d.is_none() {
            self.add_reply_error(cid, text);
        }
        d
    }
}

/// What ZADD says besides the pairs.
#[derive(Default)]
struct AddOptions {
    flags: AddFlags,
    /// Answer with the number of changed members, not of new ones.
    ch: bool,
}

/// Reads ZADD's options from argument 2 on; the first argument that is none is where the pairs begin.
#[inline]
fn parse_add_options(args: &Args) -> (AddOptions, usize) {
    let mut o = AddOptions::default();
    let mut i = 2;
    while i < args.len() {
        // Nearly always a number stands here.
        match args[i].first() {
            Some(b'a'..=b'z' | b'A'..=b'Z') => {}
            _ => break,
        }
        match () {
            () if args.is(i, "nx") => o.flags.nx = true,
            () if args.is(i, "xx") => o.flags.xx = true,
            () if args.is(i, "ch") => o.ch = true,
            () if args.is(i, "incr") => o.flags.incr = true,
            () if args.is(i, "gt") => o.flags.gt = true,
            () if args.is(i, "lt") => o.flags.lt = true,
            () => break,
        }
        i += 1;
    }
    (o, i)
}

/// ZADD and ZINCRBY (zaddGenericCommand).
#[inline(always)]
fn zadd_generic_command(server: &mut Server, cid: ClientId, args: &Args, incr: bool) {
    let is_option = |s: &[u8]| matches!(s.first(), Some(b'a'..=b'z' | b'A'..=b'Z'));
    if args.len() == 4 && !is_option(&args[2]) {
        zadd_one(server, cid, args, incr);
    } else {
        zadd_any(server, cid, args, incr);
    }
}

/// One pair without options, which is what nearly all ask for.
#[inline(always)]
fn zadd_one(server: &mut Server, cid: ClientId, args: &Args, incr: bool) {
    let flags = AddFlags {
        incr,
        ..AddFlags::default()
    };
    let Some(score) = server.get_double_or_reply(cid, &args[2], NOT_A_FLOAT) else {
        return;
    };
    let db = server.client_db(cid);
    let (key, member) = (&args[1], &args[3]);
    let hash = server.dbs[db].keys.hash(key);
    let Ok(found) = server.lookup_typed_hashed::<Zset>(cid, db, hash, key, Lookup::WRITE) else {
        return;
    };
    let limits = server.zset_limits();
    let done = match found {
        Some(at) => match at.value_mut::<Zset>(&mut server.dbs) {
            Some(mut z) => {
                z.maybe_convert(1, &limits);
                z.add(score, member, flags, &limits)
            }
            None => return,
        },
        None => {
            let mut z = Zset::create(1, member.len(), &limits);
            let done = z.add(score, member, flags, &limits);
            let value = NewValue::Value(Value::Zset(z));
            server.db_add_hashed(db, hash, key, value, None);
            done
        }
    };
    let (new, updated) = match done {
        Ok(Added::New(_)) => (1, 0),
        Ok(Added::Updated(_)) => (0, 1),
        _ => (0, 0),
    };
    zset_added(server, cid, args, (db, incr), done.ok(), new, new + updated);
}

/// What follows when members were added to the sorted set at argument 1: the reply, the last result or `answer`, and what
/// there is to be told of `changes`.
#[inline(always)]
fn zset_added(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    (db, incr): (usize, bool),
    last: Option<Added>,
    answer: i64,
    changes: i64,
) {
    let Some(last) = last else {
        return server.add_reply_error(cid, "resulting score is not a number (NaN)");
    };
    if incr {
        match last {
            Added::New(score) | Added::Updated(score) | Added::Same(score) => {
                server.clients.add_reply_double(cid, score);
            }
            Added::Nop => server.add_reply_null(cid),
        }
    } else {
        server.add_reply_long_long(cid, answer);
    }
    if changes > 0 {
        server.dirty += changes;
        server.signal_modified_key(cid, db, &args[1]);
        let event = if incr { "zincr" } else { "zadd" };
        server.notify_keyspace_event(NOTIFY_ZSET, event, &args[1], db);
    }
}

/// Any number of pairs, with options.
#[inline(never)]
fn zadd_any(server: &mut Server, cid: ClientId, args: &Args, incr: bool) {
    let (mut o, first) = parse_add_options(args);
    o.flags.incr |= incr;
    let f = o.flags;
    let words = args.len() - first;
    if words == 0 || words % 2 == 1 {
        return server.add_reply_syntax_error(cid);
    }
    let pairs = words / 2;
    if f.nx && f.xx {
        let text = "XX and NX options at the same time are not compatible";
        return server.add_reply_error(cid, text);
    }
    if u8::from(f.gt) + u8::from(f.lt) + u8::from(f.nx) > 1 {
        let text = "GT, LT, and/or NX options at the same time are not compatible";
        return server.add_reply_error(cid, text);
    }
    if f.incr && pairs > 1 {
        let text = "INCR option supports a single increment-element pair";
        return server.add_reply_error(cid, text);
    }
    // All or nothing: every score must be good before the first is added.
    let mut scores = Vec::new();
    let mut one = 0.0;
    for i in 0..pairs {
        let arg = &args[first + 2 * i];
        let Some(score) = server.get_double_or_reply(cid, arg, NOT_A_FLOAT) else {
            return;
        };
        if pairs == 1 {
            one = score;
        } else {
            scores.push(score);
        }
    }
    let scores = match pairs {
        1 => std::slice::from_ref(&one),
        _ => scores.as_slice(),
    };

    let db = server.client_db(cid);
    let key = &args[1];
    let hash = server.dbs[db].keys.hash(key);
    let Ok(found) = server.lookup_typed_hashed::<Zset>(cid, db, hash, key, Lookup::WRITE) else {
        return;
    };
    let limits = server.zset_limits();
    let (mut new, mut updated) = (0, 0);
    let mut last = Some(Added::Nop);
    let mut add_all = |z: &mut Zset| {
        for (i, score) in scores.iter().enumerate() {
            let done = z.add(*score, &args[first + 2 * i + 1], f, &limits);
            match done {
                Ok(Added::New(_)) => new += 1,
                Ok(Added::Updated(_)) => updated += 1,
                Ok(Added::Same(_) | Added::Nop) => {}
                Err(_) => return None,
            }
            last = done.ok();
        }
        last
    };
    let last = match found {
        Some(at) => match at.value_mut::<Zset>(&mut server.dbs) {
            Some(mut z) => {
                z.maybe_convert(pairs, &limits);
                add_all(&mut z)
            }
            None => return,
        },
        None if f.xx => last,
        None => {
            let mut z = Zset::create(pairs, args[first + 1].len(), &limits);
            let last = add_all(&mut z);
            let value = NewValue::Value(Value::Zset(z));
            server.db_add_hashed(db, hash, key, value, None);
            last
        }
    };
    let answer = if o.ch { new + updated } else { new };
    zset_added(server, cid, args, (db, f.incr), last, answer, new + updated);
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]`
pub(crate) fn zadd_command(server: &mut Server, cid: ClientId, args: &Args) {
    zadd_generic_command(server, cid, args, false);
}

/// ZINCRBY key increment member
pub(crate) fn zincrby_command(server: &mut Server, cid: ClientId, args: &Args) {
    zadd_generic_command(server, cid, args, true);
}

/// `ZREM key member [member ...]`
pub(crate) fn zrem_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.remove_from_zset(cid, args, "zrem", |z, limits| {
        let mut removed = 0;
        for i in 2..args.len() {
            removed += usize::from(z.remove(&args[i], limits));
            if z.is_empty() {
                break;
            }
        }
        removed
    });
}

/// ZCARD key
pub(crate) fn zcard_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, z)) = server.zset_to_read(cid, args) {
        clients.add_reply_long_long(cid, z.map_or(0, |z| z.len() as i64));
    }
}

/// ZSCORE key member
pub(crate) fn zscore_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, z)) = server.zset_to_read(cid, args) {
        match z.and_then(|z| z.score(&args[2])) {
            Some(score) => clients.add_reply_double(cid, score),
            None => clients.add_reply_null(cid),
        }
    }
}

/// `ZMSCORE key member [member ...]`
pub(crate) fn zmscore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok((clients, z)) = server.zset_to_read(cid, args) else {
        return;
    };
    clients.add_reply_array_len(cid, args.len() - 2);
    for i in 2..args.len() {
        match z.as_ref().and_then(|z| z.score(&args[i])) {
            Some(score) => clients.add_reply_double(cid, score),
            None => clients.add_reply_null(cid),
        }
    }
}

/// ZRANK and ZREVRANK (zrankGenericCommand).
fn zrank_generic_command(server: &mut Server, cid: ClientId, args: &Args, reverse: bool) {
    if args.len() > 4 {
        return server.add_reply_error_arity(cid);
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return server.add_reply_syntax_error(cid);
    }
    let Ok((clients, z)) = server.zset_to_read(cid, args) else {
        return;
    };
    let found = z.and_then(|z| {
        let (rank, score) = z.rank(&args[2])?;
        let rank = if reverse { z.len() - 1 - rank } else { rank };
        Some((rank as i64, score))
    });
    match found {
        Some((rank, score)) => {
            if with_score {
                clients.add_reply_array_len(cid, 2);
            }
            clients.add_reply_long_long(cid, rank);
            if with_score {
                clients.add_reply_double(cid, score);
            }
        }
        None if with_score => clients.add_reply_null_array(cid),
        None => clients.add_reply_null(cid),
    }
}

/// `ZRANK key member [WITHSCORE]`
pub(crate) fn zrank_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrank_generic_command(server, cid, args, false);
}

/// `ZREVRANK key member [WITHSCORE]`
pub(crate) fn zrevrank_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrank_generic_command(server, cid, args, true);
}

/// ZCOUNT key min max
pub(crate) fn zcount_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(range) = ScoreRange::parse(&args[2], &args[3]) else {
        return server.add_reply_error(cid, NOT_A_SCORE_RANGE);
    };
    if let Ok((clients, z)) = server.zset_to_read(cid, args) {
        let n = z.map_or(0, |z| z.score_range(&range).len());
        clients.add_reply_long_long(cid, n as i64);
    }
}

/// ZLEXCOUNT key min max
pub(crate) fn zlexcount_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(range) = LexRange::parse(&args[2], &args[3]) else {
        return server.add_reply_error(cid, NOT_A_LEX_RANGE);
    };
    if let Ok((clients, z)) = server.zset_to_read(cid, args) {
        let n = z.map_or(0, |z| z.lex_range(&range, false).len());
        clients.add_reply_long_long(cid, n as i64);
    }
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]`
pub(crate) fn zscan_command(server: &mut Server, cid: ClientId, args: &Args) {
    fn step(z: &Zset, cursor: u64, f: &mut Emit<'_>) -> u64 {
        match z {
            Zset::Tree(t) => t.scan(cursor, |member, score| {
                f(member, Some(d2string_g17(&mut [0; D2STRING_SIZE], score)));
            }),
            Zset::Listpack(lp) => {
                let mut elements = lp.iter();
                while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
                    member.with_bytes(|m| score.with_bytes(|s| f(m, Some(s))));
                }
                0
            }
        }
    }
    scan_generic_command(server, cid, args, step);
}

fn zrandmember_with_count(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    count: i64,
    with_scores: bool,
) {
    let at = match server.lookup_typed::<Zset>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) if count != 0 => at,
        Ok(_) => return server.add_reply_array_len(cid, 0),
        Err(Replied) => return,
    };
    let distinct = count > 1;
    let mut wanted = count.unsigned_abs();
    if distinct && let Some(z) = at.value::<Zset>(&server.dbs) {
        wanted = wanted.min(z.len() as u64);
    }
    let headers = usize::try_from(wanted).unwrap_or(usize::MAX);
    add_reply_pairs_len(&mut server.clients, cid, with_scores, headers);
    if distinct {
        let Server {
            clients, dbs, rng, ..
        } = server;
        if let Some(z) = at.value::<Zset>(dbs) {
            z.sample(headers, rng, |member, score| {
                add_reply_pair(clients, cid, with_scores, member, score);
            });
        }
        return;
    }
    server.add_reply_random_many(cid, at, wanted, |z: &Zset, n, rng, clients| {
        z.random_many(n, rng, |member, score| {
            add_reply_pair(clients, cid, with_scores, member, score);
        });
    });
}

/// `ZRANDMEMBER key [count [WITHSCORES]]`
pub(crate) fn zrandmember_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() >= 3 {
        if let Some((count, with_scores)) = server.random_count_or_reply(cid, args, "withscores") {
            zrandmember_with_count(server, cid, args, count, with_scores);
        }
        return;
    }
    let at = match server.lookup_typed::<Zset>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_null(cid),
        Err(Replied) => return,
    };
    let Server {
        clients, dbs, rng, ..
    } = server;
    if let Some(z) = at.value::<Zset>(dbs)
        && let Some((member, _)) = z.random(rng)
    {
        add_reply_member(clients, cid, member);
    }
}
