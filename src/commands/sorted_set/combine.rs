//! Unions, intersections and differences of sorted sets and plain sets, whose members have the score 1
//! (zunionInterDiffGenericCommand).

use super::reply::{add_reply_pair, add_reply_pairs_len};
use crate::base::num::{D2STRING_SIZE, d2string};
use crate::ds::listpack::LpValue;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Lookup, Replied};
use crate::store::entry::Type;
use crate::store::entry::value::ValueRef;
use crate::store::set::Set;
use crate::store::zset::{Zset, ZsetBuilder};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

/// What becomes of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reply,
    Store,
    /// Only its size is wanted.
    Card,
}

/// How the scores of a member in several sets become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// zunionInterAggregate
    #[inline]
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // inf and -inf: no number, and 0 by convention.
            Aggregate::Sum => number_or_zero(a + b),
            Aggregate::Min if b < a => b,
            Aggregate::Max if b > a => b,
            Aggregate::Min | Aggregate::Max => a,
        }
    }
}

#[inline]
fn number_or_zero(d: f64) -> f64 {
    if d.is_nan() { 0.0 } else { d }
}

enum Members<'a> {
    None,
    Set(ValueRef<'a, Set>),
    Zset(ValueRef<'a, Zset>),
}

/// One of the sets (zsetopsrc).
struct Source<'a> {
    members: Members<'a>,
    weight: f64,
}

impl Source<'_> {
    fn len(&self) -> usize {
        match &self.members {
            Members::None => 0,
            Members::Set(s) => s.len(),
            Members::Zset(z) => z.len(),
        }
    }

    /// Calls `f` with each member and its score until it says no.
    fn each(&self, mut f: impl FnMut(LpValue<'_>, f64) -> bool) {
        match &self.members {
            Members::None => {}
            Members::Set(s) => {
                s.iter().all(|m| f(m, 1.0));
            }
            Members::Zset(z) => {
                z.iter().all(|(m, score)| f(m, score));
            }
        }
    }

    /// The score of a member (zuiFind).
    fn score(&self, member: LpValue<'_>) -> Option<f64> {
        match &self.members {
            Members::None => None,
            Members::Set(s) => s.contains_value(member).then_some(1.0),
            Members::Zset(z) => z.score_of_value(member),
        }
    }
}

/// The options behind the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// ZINTERCARD stops there; 0: never.
    limit: usize,
}

/// Reads the options from argument `i` on, or the error.
fn parse_options(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    mut i: usize,
    (op, form, keys): (Op, Form, usize),
) -> Option<Options> {
    let mut o = Options {
        weights: vec![1.0; keys],
        aggregate: Aggregate::Sum,
        with_scores: false,
        limit: 0,
    };
    let scored = op != Op::Diff && form != Form::Card;
    while i < args.len() {
        let left = args.len() - i;
        if scored && left > keys && args.is(i, "weights") {
            for (n, w) in o.weights.iter_mut().enumerate() {
                let text = "weight value is not a float";
                *w = server.get_double_or_reply(cid, &args[i + 1 + n], text)?;
            }
            i += keys + 1;
        } else if scored && left >= 2 && args.is(i, "aggregate") {
            o.aggregate = match () {
                () if args.is(i + 1, "sum") => Aggregate::Sum,
                () if args.is(i + 1, "min") => Aggregate::Min,
                () if args.is(i + 1, "max") => Aggregate::Max,
                () => {
                    server.add_reply_syntax_error(cid);
                    return None;
                }
            };
            i += 2;
        } else if form == Form::Reply && args.is(i, "withscores") {
            o.with_scores = true;
            i += 1;
        } else if form == Form::Card && left >= 2 && args.is(i, "limit") {
            let text = Some("LIMIT can't be negative");
            let n = server.get_range_long_or_reply(cid, args, i + 1, 0, i64::MAX, text)?;
            o.limit = usize::try_from(n).unwrap_or(usize::MAX);
            i += 2;
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
    }
    Some(o)
}

/// Calls `f` with each member that is in all sources, the smallest of which is the first, and its score, until `f` says no.
fn intersect(
    sources: &[Source<'_>],
    aggregate: Aggregate,
    mut f: impl FnMut(LpValue<'_>, f64) -> bool,
) {
    let Some((first, others)) = sources.split_first() else {
        return;
    };
    first.each(|member, score| {
        let mut sum = number_or_zero(first.weight * score);
        for s in others {
            match s.score(member) {
                Some(score) => sum = aggregate.of(sum, score * s.weight),
                None => return true,
            }
        }
        f(member, sum)
    });
}

fn unite(sources: &[Source<'_>], aggregate: Aggregate) -> ZsetBuilder {
    let most = sources.iter().map(Source::len).max().unwrap_or(0);
    let mut result = ZsetBuilder::with_capacity(most);
    for s in sources {
        s.each(|member, score| {
            let score = number_or_zero(s.weight * score);
            member.with_bytes(|m| result.combine(m, score, |old| aggregate.of(old, score)));
            true
        });
    }
    result
}

/// The members of the first source that are in none of the others (zdiff).
fn subtract(sources: &mut [Source<'_>]) -> ZsetBuilder {
    let mut result = ZsetBuilder::default();
    let Some((first, others)) = sources.split_first_mut() else {
        return result;
    };
    // Either each member is looked up in the others, or the others' members are taken out of a copy. The first way has an
    // advantage where sets have much in common.
    let look_ups = first.len().saturating_mul(others.len() + 1) / 2;
    let removals = others.iter().fold(first.len(), |sum, s| sum + s.len());
    if look_ups <= removals {
        others.sort_by_key(|s| std::cmp::Reverse(s.len()));
        first.each(|member, score| {
            if others.iter().all(|s| s.score(member).is_none()) {
                member.with_bytes(|m| result.put(m, score));
            }
            true
        });
        return result;
    }
    first.each(|member, score| {
        member.with_bytes(|m| result.put(m, score));
        true
    });
    for s in others {
        s.each(|member, _| {
            member.with_bytes(|m| result.remove(m));
            !result.is_empty()
        });
    }
    result
}

impl Server {
    /// Looks up the sets named by these arguments, in their order: the hash and the type of each that there is.
    ///
    /// # Errors
    /// One of them holds a value of another type: WRONGTYPE has been sent.
    fn look_up_set_sources(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: std::ops::Range<usize>,
    ) -> Result<Vec<Option<(u64, Type)>>, Replied> {
        let db = self.client_db(cid);
        let mut found = Vec::with_capacity(keys.len());
        for i in keys {
            let hash = self.dbs[db].keys.hash(&args[i]);
            let at = self.lookup_key_hashed(db, hash, &args[i], Lookup::READ);
            let kind = at.map(|s| s.entry(&self.dbs).value_type());
            if kind.is_some_and(|t| !matches!(t, Type::Set | Type::Zset)) {
                self.add_reply_wrong_type(cid);
                return Err(Replied);
            }
            found.push(kind.map(|t| (hash, t)));
        }
        Ok(found)
    }
}

/// All of them; the number of keys is argument `numkeys`.
fn combine_generic_command(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    numkeys: usize,
    op: Op,
    form: Form,
) {
    let Some(keys) = server.get_long_long_or_reply(cid, args, numkeys) else {
        return;
    };
    if keys < 1 {
        let name = server
            .exec
            .call
            .cmd
            .map_or("", |id| server.commands.full_name(id));
        let text = format!("at least 1 input key is needed for '{name}' command");
        return server.add_reply_error(cid, &text);
    }
    let first = numkeys + 1;
    let keys = match usize::try_from(keys) {
        Ok(n) if n <= args.len() - first => n,
        _ => return server.add_reply_syntax_error(cid),
    };
    let Ok(found) = server.look_up_set_sources(cid, args, first..first + keys) else {
        return;
    };
    let Some(o) = parse_options(server, cid, args, first + keys, (op, form, keys)) else {
        return;
    };

    let limits = server.zset_limits();
    let db = server.client_db(cid);
    let Server { clients, dbs, .. } = &mut *server;
    let table = &dbs[db].keys;
    let mut sources: Vec<Source<'_>> = found
        .iter()
        .enumerate()
        .map(|(i, found)| {
            let members = found
                .and_then(|(hash, kind)| {
                    let e = table.at(table.find(hash, &args[first + i])?);
                    match kind {
                        Type::Set => e.value().map(Members::Set),
                        _ => e.value().map(Members::Zset),
                    }
                })
                .unwrap_or(Members::None);
            let weight = o.weights[i];
            Source { members, weight }
        })
        .collect();
    if op != Op::Diff {
        sources.sort_by_key(Source::len);
    }
    if form == Form::Card {
        let mut n = 0;
        intersect(&sources, o.aggregate, |_, _| {
            n += 1;
            n != o.limit
        });
        return clients.add_reply_long_long(cid, n as i64);
    }
    let result = match op {
        Op::Union => unite(&sources, o.aggregate),
        Op::Diff => subtract(&mut sources),
        Op::Inter => {
            let mut result = ZsetBuilder::default();
            intersect(&sources, o.aggregate, |member, score| {
                member.with_bytes(|m| result.put(m, score));
                true
            });
            result
        }
    };
    if form == Form::Store {
        let event = match op {
            Op::Union => "zunionstore",
            Op::Inter => "zinterstore",
            Op::Diff => "zdiffstore",
        };
        return server.store_zset(cid, &args[1], result.finish(&limits), event);
    }
    let result = result.in_order();
    add_reply_pairs_len(clients, cid, o.with_scores, result.len());
    if o.with_scores && clients.resp_version(cid) > 2 {
        for (member, score) in result.iter() {
            add_reply_pair(clients, cid, true, LpValue::Str(member), score);
        }
        return;
    }
    clients.write_bulks(cid, |w| {
        result.for_each_in(0..result.len(), |member, score| {
            w.bulk(member);
            if o.with_scores {
                w.bulk(d2string(&mut [0; D2STRING_SIZE], score));
            }
        });
    });
}

/// `ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub(crate) fn zunion_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 1, Op::Union, Form::Reply);
}

/// `ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]`
pub(crate) fn zunionstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 2, Op::Union, Form::Store);
}

/// `ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub(crate) fn zinter_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 1, Op::Inter, Form::Reply);
}

/// `ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]`
pub(crate) fn zinterstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 2, Op::Inter, Form::Store);
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT limit]`
pub(crate) fn zintercard_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 1, Op::Inter, Form::Card);
}

/// `ZDIFF numkeys key [key ...] [WITHSCORES]`
pub(crate) fn zdiff_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 1, Op::Diff, Form::Reply);
}

/// `ZDIFFSTORE destination numkeys key [key ...]`
pub(crate) fn zdiffstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    combine_generic_command(server, cid, args, 2, Op::Diff, Form::Store);
}
