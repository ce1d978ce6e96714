//! SORT and SORT_RO (sort.c): the elements of a list, a set or a sorted set in another order, or what other keys hold for
//! them.
//!
//! The elements are copied out first: looking at other keys may delete expired ones, so nothing can stay borrowed. All
//! texts lie in one buffer, each with a zero byte behind it, and what is sorted are places in it.
//!
//! Unlike upstream, a sorted set keeps its encoding.

use std::cmp::Ordering;
use std::ffi::CStr;

use crate::base::num::string2ll;
use crate::base::strtod::strtod;
use crate::base::sys;
use crate::ds::listpack::LpValue;
use crate::ds::owned::Own;
use crate::ds::quicklist::{End, Quicklist};
use crate::ds::sbuf::SBuf;
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup};
use crate::server::keyspace::notify::NOTIFY_LIST;
use crate::store::entry::value::Value;
use crate::store::entry::{NewValue, Str, Type};
use crate::store::hash::{Hash, HashValue};
use crate::store::list::List;

/// The longest text of a 64-bit integer, in bytes.
const INT_TEXT_MAX: usize = 20;

/// A pattern of BY or GET.
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without a `*`, it names nothing.
    Nothing,
    /// The key is what stands before the first `*`, the element, and what follows; its value, or a field of it.
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    /// As upstream reads it: the marks are looked for in what a C string would be.
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        let c_len = memchr::memchr(0, text).unwrap_or(text.len());
        if text[..c_len] == *b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', &text[..c_len]) else {
            return Pattern::Nothing;
        };
        let arrow = memchr::memmem::find(&text[star + 1..c_len], b"->")
            .map(|i| star + 1 + i)
            .filter(|i| i + 2 < c_len);
        Pattern::Key {
            before: &text[..star],
            after: &text[star + 1..arrow.unwrap_or(text.len())],
            field: arrow.map(|i| &text[i + 2..]),
        }
    }
}

/// A place in the buffer of texts.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// What an element is sorted by.
#[derive(Clone, Copy)]
enum SortKey {
    /// A text that is not there comes before all others.
    Missing,
    Score(f64),
    Text(Span),
}

#[derive(Clone, Copy)]
struct Item {
    element: Span,
    key: SortKey,
}

/// Texts one behind the other, each followed by a zero byte.
#[derive(Default)]
struct Texts(Vec<u8>);

impl Texts {
    fn push(&mut self, v: LpValue<'_>) -> Span {
        let start = self.0.len();
        v.push_to(&mut self.0);
        let end = self.0.len();
        self.0.push(0);
        Span { start, end }
    }

    fn get(&self, s: Span) -> &[u8] {
        &self.0[s.start..s.end]
    }

    /// By bytes, or as the locale has it, which knows only what stands before a zero byte.
    fn compare(&self, a: Span, b: Span, by_bytes: bool) -> Ordering {
        if by_bytes {
            return self.get(a).cmp(self.get(b));
        }
        let c_str = |s: Span| CStr::from_bytes_until_nul(&self.0[s.start..]).unwrap_or_default();
        sys::strcoll(c_str(a), c_str(b))
    }
}

/// What a pattern led to.
enum Found<'a> {
    Text(LpValue<'a>),
    /// A large value, which can be shared.
    Buf(&'a SBuf),
}

impl<'a> Found<'a> {
    fn value(self) -> LpValue<'a> {
        match self {
            Found::Text(v) => v,
            Found::Buf(b) => LpValue::Str(b.as_slice()),
        }
    }

    fn reply(self, clients: &mut Clients, cid: ClientId) {
        match self {
            Found::Text(LpValue::Int(n)) => clients.add_reply_bulk_long_long(cid, n),
            Found::Text(LpValue::Str(s)) => clients.add_reply_bulk(cid, s),
            Found::Buf(b) => clients.add_reply_bulk_shared(cid, b, 0..b.len()),
        }
    }
}

/// Gives `f` what the pattern stands for with this element in it (lookupKeyByPattern). `name` is room for the key's name.
fn lookup_key_by_pattern<R>(
    server: &mut Server,
    db: usize,
    pattern: &Pattern<'_>,
    element: &[u8],
    name: &mut Vec<u8>,
    f: impl FnOnce(&mut Clients, Option<Found<'_>>) -> R,
) -> R {
    let (before, after, field) = match pattern {
        Pattern::Element => {
            return f(
                &mut server.clients,
                Some(Found::Text(LpValue::Str(element))),
            );
        }
        Pattern::Nothing => return f(&mut server.clients, None),
        Pattern::Key {
            before,
            after,
            field,
        } => (before, after, field),
    };
    name.clear();
    name.extend_from_slice(before);
    name.extend_from_slice(element);
    name.extend_from_slice(after);
    let Some(at) = server.lookup_key(db, name, Lookup::READ) else {
        return f(&mut server.clients, None);
    };
    let Server { clients, dbs, .. } = server;
    let e = at.entry(dbs);
    let Some(field) = field else {
        if e.value_type() != Type::String {
            return f(clients, None);
        }
        let found = match (e.string(), e.buf()) {
            (Str::Int(n), _) => Found::Text(LpValue::Int(n)),
            (Str::Bytes(_), Some(b)) => Found::Buf(b),
            (Str::Bytes(b), None) => Found::Text(LpValue::Str(b)),
        };
        return f(clients, Some(found));
    };
    let hash = e.value::<Hash>();
    let found = hash.as_ref().and_then(|h| h.get(field)).map(|v| match v {
        HashValue::Small(v) => Found::Text(v),
        HashValue::Buf(b) => Found::Buf(b),
    });
    f(clients, found)
}

/// A value as a number to sort by; `None` when it is none. What strtod takes up to a zero byte counts, the empty text is 0.
fn score_of(v: LpValue<'_>) -> Option<f64> {
    let s = match v {
        LpValue::Int(n) => return Some(n as f64),
        LpValue::Str(s) => s,
    };
    if s.len() <= INT_TEXT_MAX
        && let Some(n) = string2ll(s)
    {
        return Some(n as f64);
    }
    let r = strtod(s);
    let whole = s.get(r.len).is_none_or(|b| *b == 0);
    (whole && !r.range_error && !r.value.is_nan()).then_some(r.value)
}

/// What SORT was asked to do.
struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// First element, and how many; negative: all.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    /// BY a pattern without a `*`: nothing is sorted.
    dont_sort: bool,
    get: Vec<Pattern<'a>>,
    store: Option<&'a [u8]>,
}

impl Server {
    /// The options of SORT, or an error to the client.
    fn parse_sort_options<'a>(
        &mut self,
        cid: ClientId,
        args: &'a Args,
        readonly: bool,
    ) -> Option<Options<'a>> {
        let mut o = Options {
            descending: false,
            alpha: false,
            limit: (0, -1),
            by: None,
            dont_sort: false,
            get: Vec::new(),
            store: None,
        };
        let cluster = self.config.cluster_enabled;
        let mut i = 2;
        while i < args.len() {
            let following = args.len() - i - 1;
            let is = |word: &str| args.is(i, word);
            if is("asc") {
                o.descending = false;
            } else if is("desc") {
                o.descending = true;
            } else if is("alpha") {
                o.alpha = true;
            } else if is("limit") && following >= 2 {
                o.limit.0 = self.get_long_long_or_reply(cid, args, i + 1)?;
                o.limit.1 = self.get_long_long_or_reply(cid, args, i + 2)?;
                i += 2;
            } else if !readonly && is("store") && following >= 1 {
                o.store = Some(&args[i + 1]);
                i += 1;
            } else if is("by") && following >= 1 {
                // Here `#` is as good as any other pattern without a `*`.
                let pattern = Pattern::parse(&args[i + 1]);
                if !matches!(pattern, Pattern::Key { .. }) {
                    o.dont_sort = true;
                } else if cluster {
                    self.add_reply_error(cid, "BY option of SORT denied in Cluster mode.");
                    return None;
                } else if !self.acl_has_unrestricted_key_access(cid, args) {
                    let text = "BY option of SORT denied due to insufficient ACL permissions.";
                    self.add_reply_error(cid, text);
                    return None;
                }
                o.by = Some(pattern);
                i += 1;
            } else if is("get") && following >= 1 {
                if cluster {
                    self.add_reply_error(cid, "GET option of SORT denied in Cluster mode.");
                    return None;
                }
                if !self.acl_has_unrestricted_key_access(cid, args) {
                    let text = "GET option of SORT denied due to insufficient ACL permissions.";
                    self.add_reply_error(cid, text);
                    return None;
                }
                o.get.push(Pattern::parse(&args[i + 1]));
                i += 1;
            } else {
                self.add_reply_syntax_error(cid);
                return None;
            }
            i += 1;
        }
        Some(o)
    }

    /// The elements of the value at `at`: `n` from `first` on in its own order, or backwards.
    fn load_sort_items(
        &self,
        at: At,
        (first, n, backward): (usize, usize, bool),
        texts: &mut Texts,
    ) -> Vec<Item> {
        let mut items = Vec::new();
        let Some(value) = at.entry(&self.dbs).any_value() else {
            return items;
        };
        let mut add = |v: LpValue<'_>| {
            items.push(Item {
                element: texts.push(v),
                key: SortKey::Missing,
            });
            items.len() < n
        };
        if n > 0 {
            match &*value {
                Value::List(l) => {
                    let start = if backward { l.len() - 1 - first } else { first };
                    l.for_each_from(start, backward, |v| add(v.value()));
                }
                Value::Set(s) => {
                    s.iter().all(add);
                }
                Value::Zset(z) if backward => {
                    z.range_rev(0..z.len() - first).all(|(m, _)| add(m));
                }
                Value::Zset(z) => {
                    z.range(first..z.len()).all(|(m, _)| add(m));
                }
                Value::Hash(_) | Value::Stream(_) => {}
            }
        }
        items
    }

    /// Notes for each element what it is sorted by; texts that BY leads to go into `by_texts`. False when there is something
    /// that is no number, where numbers are needed.
    fn load_sort_keys(
        &mut self,
        db: usize,
        o: &Options<'_>,
        items: &mut [Item],
        texts: &Texts,
        by_texts: &mut Texts,
    ) -> bool {
        let mut name = Vec::new();
        for item in items {
            let element = texts.get(item.element);
            let key = match &o.by {
                None if o.alpha => Some(SortKey::Text(item.element)),
                None => score_of(LpValue::Str(element)).map(SortKey::Score),
                Some(by) => {
                    lookup_key_by_pattern(self, db, by, element, &mut name, |_, found| match found
                        .map(|f| f.value())
                    {
                        None if o.alpha => Some(SortKey::Missing),
                        None => Some(SortKey::Score(0.0)),
                        Some(v) if o.alpha => Some(SortKey::Text(by_texts.push(v))),
                        Some(v) => score_of(v).map(SortKey::Score),
                    })
                }
            };
            match key {
                Some(key) => item.key = key,
                None => return false,
            }
        }
        true
    }
}

/// Numbers in the order of scores, none of which is NaN; the two zeros are one.
#[inline]
fn order_of(score: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = (score + 0.0).to_bits();
    if bits & SIGN != 0 { !bits } else { bits | SIGN }
}

/// Puts items in order that all have scores, by those alone; then those with the same score by their elements.
fn sort_by_scores(descending: bool, items: &mut Vec<Item>, texts: &Texts) {
    let key = |(i, item): (usize, &Item)| {
        let SortKey::Score(score) = item.key else {
            return None;
        };
        let order = if descending {
            !order_of(score)
        } else {
            order_of(score)
        };
        Some(u128::from(order) << 64 | i as u128)
    };
    let Some(mut keys) = items
        .iter()
        .enumerate()
        .map(key)
        .collect::<Option<Vec<u128>>>()
    else {
        return;
    };
    keys.sort_unstable();
    let mut sorted: Vec<Item> = keys.iter().map(|k| items[*k as u64 as usize]).collect();
    let mut start = 0;
    for same in keys.chunk_by(|a, b| a >> 64 == b >> 64) {
        let part = &mut sorted[start..start + same.len()];
        start += same.len();
        if part.len() > 1 {
            // Stable: equal elements stay in the order of the value.
            part.sort_by(|a, b| {
                let order = texts.compare(a.element, b.element, true);
                if descending { order.reverse() } else { order }
            });
        }
    }
    *items = sorted;
}

/// Puts the items in order; only the first `wanted` need to be in their places.
fn sort_items(
    o: &Options<'_>,
    items: &mut Vec<Item>,
    wanted: usize,
    texts: &Texts,
    key_texts: &Texts,
) {
    let all_scores = items.iter().all(|i| matches!(i.key, SortKey::Score(_)));
    if all_scores && wanted > items.len() / 8 {
        return sort_by_scores(o.descending, items, texts);
    }
    let by_bytes = o.store.is_some() || sys::collate_is_c() && !have_zeros(items, key_texts);
    let compare = |a: &Item, b: &Item| {
        let order = match (a.key, b.key) {
            (SortKey::Score(x), SortKey::Score(y)) => x
                .partial_cmp(&y)
                .unwrap_or(Ordering::Equal)
                .then_with(|| texts.compare(a.element, b.element, true)),
            (SortKey::Text(x), SortKey::Text(y)) => key_texts.compare(x, y, by_bytes),
            (SortKey::Missing, SortKey::Missing) => Ordering::Equal,
            (SortKey::Missing, _) => Ordering::Less,
            (_, SortKey::Missing) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        let order = if o.descending { order.reverse() } else { order };
        // Equal ones stay in the order of the value.
        order.then(a.element.start.cmp(&b.element.start))
    };
    let mut part = &mut items[..];
    if wanted < part.len() && wanted > 0 {
        part.select_nth_unstable_by(wanted - 1, compare);
        part = &mut part[..wanted];
    }
    part.sort_unstable_by(compare);
}

/// Whether a text that is sorted by has a zero byte in it, at which C stops to compare.
fn have_zeros(items: &[Item], texts: &Texts) -> bool {
    items.iter().any(|i| match i.key {
        SortKey::Text(s) => memchr::memchr(0, texts.get(s)).is_some(),
        _ => false,
    })
}

/// SORT and SORT_RO (sortCommandGeneric).
fn sort_generic(server: &mut Server, cid: ClientId, args: &Args, readonly: bool) {
    let Some(mut o) = server.parse_sort_options(cid, args, readonly) else {
        return;
    };
    let db = server.client_db(cid);
    let at = server.lookup_key(db, &args[1], Lookup::READ);
    let mut kind = Type::List;
    let mut len = 0;
    if let Some(at) = at {
        let e = at.entry(&server.dbs);
        kind = e.value_type();
        if !matches!(kind, Type::List | Type::Set | Type::Zset) {
            return server.add_reply_wrong_type(cid);
        }
        len = e.any_value().map_or(0, |v| v.len());
    }
    // What is stored, or given to a script, does not depend on how a set happens to lie in memory.
    let settled = o.store.is_some() || server.is_script_client(cid);
    if o.dont_sort && kind == Type::Set && settled {
        // A set has no order of its own that a replica would share.
        o.dont_sort = false;
        o.alpha = true;
        o.by = None;
    }
    let start = usize::try_from(o.limit.0).unwrap_or(0).min(len);
    let count = usize::try_from(o.limit.1).unwrap_or(len).min(len - start);
    let mut wanted = start..start + count;
    let mut texts = Texts::default();
    let mut items = Vec::new();
    if let Some(at) = at {
        let part = if o.dont_sort && kind != Type::Set {
            wanted = 0..count;
            (start, count, o.descending)
        } else {
            (0, len, false)
        };
        items = server.load_sort_items(at, part, &mut texts);
    }
    if !o.dont_sort {
        let mut by_texts = Texts::default();
        if !server.load_sort_keys(db, &o, &mut items, &texts, &mut by_texts) {
            let text = "One or more scores can't be converted into double";
            return server.add_reply_error(cid, text);
        }
        let key_texts = if o.by.is_some() { &by_texts } else { &texts };
        sort_items(&o, &mut items, wanted.end, &texts, key_texts);
    }
    let chosen = items.get(wanted).unwrap_or_default();
    match o.store {
        None => reply_sorted(server, cid, db, &o, chosen, &texts),
        Some(key) => store_sorted(server, cid, key, &o, chosen, &texts),
    }
}

/// Sends the elements, or what GET asks for in their places.
fn reply_sorted(
    server: &mut Server,
    cid: ClientId,
    db: usize,
    o: &Options<'_>,
    items: &[Item],
    texts: &Texts,
) {
    let n = items.len().saturating_mul(o.get.len().max(1));
    server.add_reply_array_len(cid, n);
    if o.get.is_empty() {
        server.clients.write_bulks(cid, |w| {
            items.iter().for_each(|i| w.bulk(texts.get(i.element)));
        });
    }
    let mut name = Vec::new();
    for item in items {
        let element = texts.get(item.element);
        for pattern in &o.get {
            lookup_key_by_pattern(server, db, pattern, element, &mut name, |clients, found| {
                match found {
                    Some(found) => found.reply(clients, cid),
                    None => clients.add_reply_null(cid),
                }
            });
        }
    }
}

/// Stores the same as a list, with empty elements for what is missing; nothing deletes the key.
fn store_sorted(
    server: &mut Server,
    cid: ClientId,
    key: &[u8],
    o: &Options<'_>,
    items: &[Item],
    texts: &Texts,
) {
    let db = server.client_db(cid);
    let limits = server.list_limits();
    let mut list = List::Quicklist(Own::new(Quicklist::new(limits.fill, limits.compress)));
    let mut name = Vec::new();
    for item in items {
        let element = texts.get(item.element);
        if o.get.is_empty() {
            list.push(End::Tail, element, limits);
        }
        for pattern in &o.get {
            lookup_key_by_pattern(
                server,
                db,
                pattern,
                element,
                &mut name,
                |_, found| match found {
                    Some(found) => found
                        .value()
                        .with_bytes(|s| list.push(End::Tail, s, limits)),
                    None => list.push(End::Tail, b"", limits),
                },
            );
        }
    }
    let n = list.len();
    let result = (n > 0).then(|| {
        list.fit(limits);
        NewValue::Value(Value::List(list))
    });
    server.store_result(cid, key, result, (NOTIFY_LIST, "sortstore"), n);
    server.add_reply_long_long(cid, n as i64);
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]`
pub(crate) fn sort_command(server: &mut Server, cid: ClientId, args: &Args) {
    sort_generic(server, cid, args, false);
}

/// SORT_RO: SORT that cannot store.
pub(crate) fn sortro_command(server: &mut Server, cid: ClientId, args: &Args) {
    sort_generic(server, cid, args, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_upstream_reads_them() {
        type Parts<'a> = (&'a [u8], &'a [u8], Option<&'a [u8]>);
        let key = |text| match Pattern::parse(text) {
            Pattern::Key {
                before,
                after,
                field,
            } => Some((before, after, field)),
            _ => None,
        };
        let cases: &[(&[u8], Parts<'_>)] = &[
            (b"w_*", (b"w_", b"", None)),
            (b"*", (b"", b"", None)),
            (b"a*b*c", (b"a", b"b*c", None)),
            (b"w_*->f", (b"w_", b"", Some(b"f"))),
            (b"w_*_x->f->g", (b"w_", b"_x", Some(b"f->g"))),
            (b"w->_*->f", (b"w->_", b"", Some(b"f"))),
            (b"w_*->", (b"w_", b"->", None)),
            (b"#*", (b"#", b"", None)),
            (b"w_*\0->f", (b"w_", b"\0->f", None)),
        ];
        for (text, parts) in cases {
            assert_eq!(key(text), Some(*parts), "{text:?}");
        }
        assert!(matches!(Pattern::parse(b"#"), Pattern::Element));
        assert!(matches!(Pattern::parse(b"w_\0*"), Pattern::Nothing));
        assert!(matches!(Pattern::parse(b""), Pattern::Nothing));
    }

    #[test]
    fn scores_are_sorted_as_numbers_and_equal_ones_by_their_elements() {
        let scores = [
            0.0,
            -0.0,
            1.5,
            f64::INFINITY,
            -1e-310,
            f64::NEG_INFINITY,
            7.0,
            -2.0,
            7.0,
            1.5,
        ];
        let mut texts = Texts::default();
        let elements: [&[u8]; 10] = [b"b", b"a", b"x", b"i", b"t", b"n", b"z", b"m", b"y", b"x"];
        let items: Vec<Item> = elements
            .iter()
            .zip(scores)
            .map(|(e, score)| Item {
                element: texts.push(LpValue::Str(e)),
                key: SortKey::Score(score),
            })
            .collect();
        let sorted = |descending| {
            let mut items = items.clone();
            sort_by_scores(descending, &mut items, &texts);
            let places: Vec<usize> = items.iter().map(|i| i.element.start / 2).collect();
            places
        };
        assert_eq!(sorted(false), [5, 7, 4, 1, 0, 2, 9, 8, 6, 3]);
        assert_eq!(sorted(true), [3, 6, 8, 2, 9, 0, 1, 4, 7, 5]);
    }

    #[test]
    fn numbers_are_what_strtod_takes() {
        for (text, want) in [
            (&b"1"[..], Some(1.0)),
            (b"-1.5", Some(-1.5)),
            (b" 7", Some(7.0)),
            (b"", Some(0.0)),
            (b"1\0x", Some(1.0)),
            (b"0x10", Some(16.0)),
            (b"inf", Some(f64::INFINITY)),
            (b"nan", None),
            (b"1x", None),
            (b"1 ", None),
            (b"1e999", None),
            (b"12345678901234567890123", Some(12345678901234567890123.0)),
        ] {
            assert_eq!(score_of(LpValue::Str(text)), want, "{text:?}");
        }
    }
}
