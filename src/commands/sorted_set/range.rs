//! ZRANGE in all its forms, ZRANGESTORE, and the removal of ranges (zrangeGenericCommand, zremrangeGenericCommand).
//!
//! Whatever a range is given by, it becomes a range of ranks first; a limit and the direction are then arithmetic.

use std::ops::Range;

use super::reply::{NOT_A_LEX_RANGE, NOT_A_SCORE_RANGE, add_reply_pair, add_reply_pairs_len};
use crate::base::num::{D2STRING_SIZE, d2string};
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Lookup, Replied};
use crate::store::zset::{AddFlags, LexRange, ScoreRange, Zset};

/// By what a range is given (zrange_type).
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A parsed range.
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

/// What a command of the ZRANGE family asks for.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
}

/// What the command's name fixes; the rest comes as options.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    store: bool,
}

const ZRANGE: Form = Form {
    by: None,
    reverse: None,
    store: false,
};

/// The bounds in arguments `min` and `max`, or the error.
fn parse_bounds<'a>(
    server: &mut Server,
    cid: ClientId,
    args: &'a Args,
    by: By,
    min: usize,
    max: usize,
) -> Option<Bounds<'a>> {
    let (bounds, text) = match by {
        By::Rank => {
            let start = server.get_long_long_or_reply(cid, args, min)?;
            let stop = server.get_long_long_or_reply(cid, args, max)?;
            return Some(Bounds::Rank(start, stop));
        }
        By::Score => (
            ScoreRange::parse(&args[min], &args[max]).map(Bounds::Score),
            NOT_A_SCORE_RANGE,
        ),
        By::Lex => (
            LexRange::parse(&args[min], &args[max]).map(Bounds::Lex),
            NOT_A_LEX_RANGE,
        ),
    };
    if bounds.is_none() {
        server.add_reply_error(cid, text);
    }
    bounds
}

/// Reads range and options, the range being behind argument `key`; or the error.
#[inline]
fn parse_query<'a>(
    server: &mut Server,
    cid: ClientId,
    args: &'a Args,
    key: usize,
    form: Form,
) -> Option<Query<'a>> {
    let (mut by, mut reverse) = (form.by, form.reverse);
    let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
    let mut i = key + 3;
    while i < args.len() {
        if !form.store && args.is(i, "withscores") {
            with_scores = true;
        } else if args.is(i, "limit") && i + 2 < args.len() {
            offset = server.get_long_long_or_reply(cid, args, i + 1)?;
            limit = server.get_long_long_or_reply(cid, args, i + 2)?;
            i += 2;
        } else if reverse.is_none() && args.is(i, "rev") {
            reverse = Some(true);
        } else if by.is_none() && args.is(i, "bylex") {
            by = Some(By::Lex);
        } else if by.is_none() && args.is(i, "byscore") {
            by = Some(By::Score);
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
        i += 1;
    }
    let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
    let conflict = if limit != -1 && by == By::Rank {
        "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
    } else if with_scores && by == By::Lex {
        "syntax error, WITHSCORES not supported in combination with BYLEX"
    } else {
        ""
    };
    if !conflict.is_empty() {
        server.add_reply_error(cid, conflict);
        return None;
    }
    let (mut min, mut max) = (key + 1, key + 2);
    if reverse && by != By::Rank {
        (min, max) = (max, min);
    }
    Some(Query {
        bounds: parse_bounds(server, cid, args, by, min, max)?,
        reverse,
        with_scores,
        offset,
        limit,
    })
}

/// Ranks counted from the highest score as ranks counted from the lowest.
#[inline]
fn mirrored(z: &Zset, ranks: Range<usize>) -> Range<usize> {
    let len = z.len();
    len - ranks.end..len - ranks.start
}

impl Query<'_> {
    /// The ranks of the members that are asked for, counted from the lowest score.
    #[inline]
    fn ranks(&self, z: &Zset) -> Range<usize> {
        let found = match &self.bounds {
            Bounds::Rank(start, stop) => {
                let r = z.rank_range(*start, *stop);
                return if self.reverse { mirrored(z, r) } else { r };
            }
            Bounds::Score(r) => z.score_range(r),
            Bounds::Lex(r) => z.lex_range(r, self.reverse),
        };
        let Ok(offset) = usize::try_from(self.offset) else {
            return 0..0;
        };
        let offset = offset.min(found.len());
        let left = found.len() - offset;
        let n = usize::try_from(self.limit).map_or(left, |limit| limit.min(left));
        if self.reverse {
            found.end - offset - n..found.end - offset
        } else {
            found.start + offset..found.start + offset + n
        }
    }
}

/// Answers with the members of these ranks.
#[inline]
fn add_reply_members(
    clients: &mut Clients,
    cid: ClientId,
    (reverse, with_scores): (bool, bool),
    z: &Zset,
    ranks: Range<usize>,
) {
    add_reply_pairs_len(clients, cid, with_scores, ranks.len());
    if !with_scores {
        clients.write_bulks(cid, |w| {
            z.for_each_in(ranks, reverse, |member, _| w.bulk_value(member));
        });
    } else if clients.resp_version(cid) == 2 {
        clients.write_bulks(cid, |w| {
            z.for_each_in(ranks, reverse, |member, score| {
                w.bulk_value(member);
                w.bulk(d2string(&mut [0; D2STRING_SIZE], score));
            });
        });
    } else {
        z.for_each_in(ranks, reverse, |member, score| {
            add_reply_pair(clients, cid, true, member, score);
        });
    }
}

/// The plain form: `start` and `stop`, and nothing else.
#[inline]
fn zrange_by_rank(server: &mut Server, cid: ClientId, args: &Args, reverse: bool) {
    let Some(start) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Some(stop) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let Ok((clients, z)) = server.zset_to_read(cid, args) else {
        return;
    };
    match z {
        None => clients.add_reply_array_len(cid, 0),
        Some(z) => {
            let ranks = z.rank_range(start, stop);
            let ranks = if reverse { mirrored(&z, ranks) } else { ranks };
            add_reply_members(clients, cid, (reverse, false), &z, ranks);
        }
    }
}

#[inline]
fn zrange_generic_command(server: &mut Server, cid: ClientId, args: &Args, form: Form) {
    if args.len() == 4 && form.by.is_none_or(|by| by == By::Rank) {
        return zrange_by_rank(server, cid, args, form.reverse.unwrap_or(false));
    }
    let Some(q) = parse_query(server, cid, args, 1, form) else {
        return;
    };
    let Ok((clients, z)) = server.zset_to_read(cid, args) else {
        return;
    };
    let Some(z) = z else {
        return clients.add_reply_array_len(cid, 0);
    };
    let ranks = q.ranks(&z);
    add_reply_members(clients, cid, (q.reverse, q.with_scores), &z, ranks);
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub(crate) fn zrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_generic_command(server, cid, args, ZRANGE);
}

/// `ZREVRANGE key start stop [WITHSCORES]`
pub(crate) fn zrevrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_as(server, cid, args, By::Rank, true);
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
pub(crate) fn zrangebyscore_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_as(server, cid, args, By::Score, false);
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
pub(crate) fn zrevrangebyscore_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_as(server, cid, args, By::Score, true);
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
pub(crate) fn zrangebylex_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_as(server, cid, args, By::Lex, false);
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
pub(crate) fn zrevrangebylex_command(server: &mut Server, cid: ClientId, args: &Args) {
    zrange_as(server, cid, args, By::Lex, true);
}

fn zrange_as(server: &mut Server, cid: ClientId, args: &Args, by: By, reverse: bool) {
    let form = Form {
        by: Some(by),
        reverse: Some(reverse),
        store: false,
    };
    zrange_generic_command(server, cid, args, form);
}

/// `ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]`
pub(crate) fn zrangestore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let form = Form {
        store: true,
        ..ZRANGE
    };
    let Some(q) = parse_query(server, cid, args, 2, form) else {
        return;
    };
    let at = match server.lookup_typed::<Zset>(cid, &args[2], Lookup::READ) {
        Ok(at) => at,
        Err(Replied) => return,
    };
    let limits = server.zset_limits();
    let mut result = Zset::create(0, 0, &limits);
    if let Some(z) = at.and_then(|s| s.value::<Zset>(&server.dbs)) {
        let ranks = q.ranks(&z);
        if let Bounds::Rank(..) = q.bounds {
            result = Zset::create(ranks.len(), 0, &limits);
        }
        for (member, score) in z.range(ranks) {
            // A stored score is a number.
            let _ = member.with_bytes(|m| result.add(score, m, AddFlags::default(), &limits));
        }
    }
    server.store_zset(cid, &args[1], result, "zrangestore");
}

fn zremrange_generic_command(server: &mut Server, cid: ClientId, args: &Args, by: By, event: &str) {
    let Some(bounds) = parse_bounds(server, cid, args, by, 2, 3) else {
        return;
    };
    server.remove_from_zset(cid, args, event, |z, limits| {
        let ranks = match bounds {
            Bounds::Rank(start, stop) => z.rank_range(start, stop),
            Bounds::Score(r) => z.score_range(&r),
            Bounds::Lex(r) => z.lex_range(&r, false),
        };
        z.remove_range(ranks, limits)
    });
}

/// ZREMRANGEBYRANK key start stop
pub(crate) fn zremrangebyrank_command(server: &mut Server, cid: ClientId, args: &Args) {
    zremrange_generic_command(server, cid, args, By::Rank, "zremrangebyrank");
}

/// ZREMRANGEBYSCORE key min max
pub(crate) fn zremrangebyscore_command(server: &mut Server, cid: ClientId, args: &Args) {
    zremrange_generic_command(server, cid, args, By::Score, "zremrangebyscore");
}

/// ZREMRANGEBYLEX key min max
pub(crate) fn zremrangebylex_command(server: &mut Server, cid: ClientId, args: &Args) {
    zremrange_generic_command(server, cid, args, By::Lex, "zremrangebylex");
}
