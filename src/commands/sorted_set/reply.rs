//! What the sorted set commands answer alike: members with and without scores, and why a range is refused.

use crate::ds::listpack::LpValue;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;

pub(super) const NOT_A_SCORE_RANGE: &str = "min or max is not a float";
pub(super) const NOT_A_LEX_RANGE: &str = "min or max not valid string range item";

#[inline]
pub(super) fn add_reply_member(clients: &mut Clients, cid: ClientId, v: LpValue<'_>) {
    match v {
        LpValue::Str(s) => clients.add_reply_bulk(cid, s),
        LpValue::Int(n) => clients.add_reply_bulk_long_long(cid, n),
    }
}

/// One of several members, with its score if asked for: in RESP3 the two are an array of their own.
#[inline]
pub(super) fn add_reply_pair(
    clients: &mut Clients,
    cid: ClientId,
    with_scores: bool,
    member: LpValue<'_>,
    score: f64,
) {
    if with_scores && clients.resp_version(cid) > 2 {
        clients.add_reply_array_len(cid, 2);
    }
    add_reply_member(clients, cid, member);
    if with_scores {
        clients.add_reply_double(cid, score);
    }
}

/// The header for `n` members that [`add_reply_pair`] writes.
#[inline]
pub(super) fn add_reply_pairs_len(
    clients: &mut Clients,
    cid: ClientId,
    with_scores: bool,
    n: usize,
) {
    let flat = with_scores && clients.resp_version(cid) == 2;
    clients.add_reply_array_len(cid, if flat { n.saturating_mul(2) } else { n });
}
