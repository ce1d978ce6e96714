//! The stream commands (t_stream.c): what the files of this folder share, which is reading ids, building replies, and the
//! commands by which the effects on groups are propagated.
//!
//! A reply whose length is not known beforehand is built aside ([`Reply`]) and handed to the client at once; a large one is
//! handed over without a copy. Reading for a group changes it, and is propagated as what it did: XCLAIM for each entry that
//! was delivered, XGROUP SETID or CREATECONSUMER where nothing else tells.
//!
//! Absent: how a stream looks in memory (`store::stream`).

pub(crate) mod claim;
pub(crate) mod group;
pub(crate) mod info;
pub(crate) mod pending;
pub(crate) mod range;
pub(crate) mod read;
pub(crate) mod xadd;

use crate::base::num::{LONG_STR_SIZE, ll2string, string2ull};
use crate::ds::idmap::STREAM_ID_STR_LEN;
use crate::ds::listpack::LpValue;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::propagate::Propagate;
use crate::store::stream::{Group, IdChoice, Item, Nack, StreamId};
use crate::wire::resp;

/// The longest id argument that is looked at, in bytes.
const ID_ARG_MAX: usize = 127;

/// An argument as a C string.
fn up_to_nul(arg: &[u8]) -> &[u8] {
    memchr::memchr(0, arg).map_or(arg, |end| &arg[..end])
}

/// Milliseconds, and what is behind the first `-`. As upstream reads it, text behind a NUL does not count.
fn split_id(arg: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    if arg.len() > ID_ARG_MAX {
        return None;
    }
    let arg = up_to_nul(arg);
    match memchr::memchr(b'-', arg) {
        Some(i) => Some((string2ull(&arg[..i])?, Some(&arg[i + 1..]))),
        None => Some((string2ull(arg)?, None)),
    }
}

/// An id without the special forms; one without its second half gets `missing_seq` (streamGenericParseIDOrReply, strict).
fn parse_strict_id(arg: &[u8], missing_seq: u64) -> Option<StreamId> {
    let (ms, seq) = split_id(arg)?;
    let seq = match seq {
        Some(s) => string2ull(s)?,
        None => missing_seq,
    };
    Some(StreamId { ms, seq })
}

/// The same where `-` and `+` stand for the lowest and the highest id.
fn parse_id(arg: &[u8], missing_seq: u64) -> Option<StreamId> {
    match arg {
        b"-" => Some(StreamId::MIN),
        b"+" => Some(StreamId::MAX),
        _ => parse_strict_id(arg, missing_seq),
    }
}

/// The id argument of XADD, but for `*` alone.
fn parse_id_choice(arg: &[u8]) -> Option<IdChoice> {
    match split_id(arg)? {
        (ms, Some(b"*")) => Some(IdChoice::Ms(ms)),
        _ => parse_strict_id(arg, 0).map(IdChoice::Given),
    }
}

impl Server {
    fn reply_invalid_stream_id(&mut self, cid: ClientId) {
        self.add_reply_error(
            cid,
            "Invalid stream ID specified as stream command argument",
        );
    }

    /// See [`parse_strict_id`]; an error to the client when it is none (streamParseStrictIDOrReply).
    fn strict_id_or_reply(&mut self, cid: ClientId, arg: &[u8]) -> Option<StreamId> {
        let id = parse_strict_id(arg, 0);
        if id.is_none() {
            self.reply_invalid_stream_id(cid);
        }
        id
    }

    /// Ids of arguments from `from` on, all of them or none.
    fn strict_ids_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        from: usize,
    ) -> Option<Vec<StreamId>> {
        (from..args.len())
            .map(|i| self.strict_id_or_reply(cid, &args[i]))
            .collect()
    }

    /// The lower end of a range; with `(` it is left out (streamParseIntervalIDOrReply).
    fn interval_start_or_reply(&mut self, cid: ClientId, arg: &[u8]) -> Option<StreamId> {
        let (id, exclusive) = interval_id(arg, 0);
        let Some(id) = id else {
            self.reply_invalid_stream_id(cid);
            return None;
        };
        let id = if exclusive { id.next() } else { Some(id) };
        if id.is_none() {
            self.add_reply_error(cid, "invalid start ID for the interval");
        }
        id
    }

    /// The upper end of a range, as [`Server::interval_start_or_reply`].
    fn interval_end_or_reply(&mut self, cid: ClientId, arg: &[u8]) -> Option<StreamId> {
        let (id, exclusive) = interval_id(arg, u64::MAX);
        let Some(id) = id else {
            self.reply_invalid_stream_id(cid);
            return None;
        };
        let id = if exclusive { id.prev() } else { Some(id) };
        if id.is_none() {
            self.add_reply_error(cid, "invalid end ID for the interval");
        }
        id
    }

    /// An integer argument, or this error to the client.
    fn long_long_or_text(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
        text: &str,
    ) -> Option<i64> {
        let n = crate::base::num::string2ll(&args[i]);
        if n.is_none() {
            self.add_reply_error(cid, text);
        }
        n
    }

    /// NOGROUP, when it is not known whether the key or the group is missing.
    fn reply_no_key_or_group(&mut self, cid: ClientId, key: &[u8], group: &[u8], tail: &str) {
        let text = [
            b"-NOGROUP No such key '",
            up_to_nul(key),
            b"' or consumer group '",
            up_to_nul(group),
            b"'",
            tail.as_bytes(),
        ];
        self.add_reply_error_bytes(cid, &text.concat());
    }

    /// NOGROUP, for a key that is there.
    fn reply_no_group(&mut self, cid: ClientId, key: &[u8], group: &[u8]) {
        let text: [&[u8]; 5] = [
            b"-NOGROUP No such consumer group '",
            up_to_nul(group),
            b"' for key name '",
            up_to_nul(key),
            b"'",
        ];
        self.add_reply_error_bytes(cid, &text.concat());
    }

    /// Queues what a command did to a group.
    fn propagate_effects(&mut self, db: usize, effects: Effects) {
        for e in effects.0.into_iter().flatten() {
            self.also_propagate(db, e, Propagate::BOTH);
        }
    }
}

fn interval_id(arg: &[u8], missing_seq: u64) -> (Option<StreamId>, bool) {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => (parse_strict_id(rest, missing_seq), true),
        _ => (parse_id(arg, missing_seq), false),
    }
}

/// Commands that tell others what was done to a group; `None` when nobody listens.
struct Effects(Option<Vec<OwnedArgs>>);

impl Effects {
    fn new(server: &Server) -> Effects {
        Effects(server.propagation_wanted().then(Vec::new))
    }

    /// An entry's NACK as it is now, and the group's position (streamPropagateXCLAIM). `id` as the command spelled it.
    fn xclaim(&mut self, key: &[u8], group: &Group, id: &[u8], nack: &Nack) {
        if let Some(ops) = &mut self.0 {
            let (mut time, mut count) = ([0; LONG_STR_SIZE], [0; LONG_STR_SIZE]);
            ops.push(OwnedArgs::from_slices(&[
                b"XCLAIM",
                key,
                group.name(),
                group.consumer(nack.consumer()).name(),
                b"0",
                id,
                b"TIME",
                ll2string(&mut time, nack.delivery_time),
                b"RETRYCOUNT",
                ll2string(&mut count, nack.delivery_count as i64),
                b"FORCE",
                b"JUSTID",
                b"LASTID",
                group.last_id.text(&mut [0; STREAM_ID_STR_LEN]),
            ]));
        }
    }

    /// The group's position (streamPropagateGroupID).
    fn group_id(&mut self, key: &[u8], group: &Group) {
        if let Some(ops) = &mut self.0 {
            ops.push(OwnedArgs::from_slices(&[
                b"XGROUP",
                b"SETID",
                key,
                group.name(),
                group.last_id.text(&mut [0; STREAM_ID_STR_LEN]),
                b"ENTRIESREAD",
                ll2string(&mut [0; LONG_STR_SIZE], group.entries_read_argument()),
            ]));
        }
    }

    /// A new consumer that no XCLAIM will create (streamPropagateConsumerCreation).
    fn consumer_creation(&mut self, key: &[u8], group: &[u8], consumer: &[u8]) {
        if let Some(ops) = &mut self.0 {
            ops.push(OwnedArgs::from_slices(&[
                b"XGROUP",
                b"CREATECONSUMER",
                key,
                group,
                consumer,
            ]));
        }
    }
}

/// A reply that is being built. A client that gets no replies costs nothing but the walk.
struct Reply {
    buf: Vec<u8>,
    resp: u8,
    wanted: bool,
}

impl Reply {
    fn new(server: &mut Server, cid: ClientId) -> Reply {
        let wanted = server.clients.prepare_client_to_write(cid).is_some();
        Reply {
            buf: Vec::with_capacity(if wanted { 512 } else { 0 }),
            resp: server.clients.resp_version(cid),
            wanted,
        }
    }

    fn send(self, server: &mut Server, cid: ClientId) {
        server.clients.add_reply_vec(cid, self.buf);
    }

    fn header(&mut self, prefix: u8, n: i64) {
        if self.wanted {
            resp::push_header(&mut self.buf, prefix, n);
        }
    }

    fn array(&mut self, n: usize) {
        self.header(b'*', n as i64);
    }

    /// A map of `n` pairs.
    fn map(&mut self, n: usize) {
        if self.resp == 2 {
            self.array(2 * n);
        } else {
            self.header(b'%', n as i64);
        }
    }

    /// An array of as many elements as `f` says that it has added.
    fn deferred_array(&mut self, f: impl FnOnce(&mut Reply) -> usize) -> usize {
        self.deferred(b'*', f)
    }

    /// A length with this prefix, that `f` answers, before all that `f` adds.
    fn deferred(&mut self, prefix: u8, f: impl FnOnce(&mut Reply) -> usize) -> usize {
        let at = self.buf.len();
        let n = f(self);
        if self.wanted {
            let mut head = Vec::with_capacity(24);
            resp::push_header(&mut head, prefix, n as i64);
            self.buf.splice(at..at, head);
        }
        n
    }

    fn int(&mut self, n: i64) {
        self.header(b':', n);
    }

    fn bulk(&mut self, s: &[u8]) {
        if self.wanted {
            resp::push_bulk(&mut self.buf, s);
        }
    }

    fn bulk_long_long(&mut self, n: i64) {
        self.bulk(ll2string(&mut [0; LONG_STR_SIZE], n));
    }

    fn id(&mut self, id: StreamId) {
        self.bulk(id.text(&mut [0; STREAM_ID_STR_LEN]));
    }

    fn null(&mut self) {
        let s: &[u8] = if self.resp == 2 { b"$-1\r\n" } else { b"_\r\n" };
        if self.wanted {
            self.buf.extend_from_slice(s);
        }
    }

    fn null_array(&mut self) {
        let s: &[u8] = if self.resp == 2 { b"*-1\r\n" } else { b"_\r\n" };
        if self.wanted {
            self.buf.extend_from_slice(s);
        }
    }

    fn null_or_int(&mut self, n: Option<i64>) {
        match n {
            Some(n) => self.int(n),
            None => self.null(),
        }
    }

    fn element(&mut self, v: LpValue<'_>) {
        match v {
            LpValue::Str(s) => self.bulk(s),
            LpValue::Int(n) => self.bulk_long_long(n),
        }
    }

    /// An entry: its id, and its fields and values.
    fn item(&mut self, item: &Item<'_>) {
        if !self.wanted {
            return;
        }
        self.array(2);
        self.id(item.id);
        self.array(2 * item.num_fields);
        for (field, value) in item.fields() {
            self.element(field);
            self.element(value);
        }
    }

    /// Entries, up to `count` of them if that is not 0; the answer is how many (streamReplyWithRange without a group).
    fn items<'a>(&mut self, items: impl Iterator<Item = Item<'a>>, count: usize) -> usize {
        let mut n = 0;
        for item in items {
            self.item(&item);
            n += 1;
            if n == count {
                break;
            }
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_upstream_reads_them() {
        let id = |ms, seq| Some(StreamId { ms, seq });
        let max = u64::MAX;
        for (text, missing, expected) in [
            (&b"5"[..], 7, id(5, 7)),
            (b"5-0", 7, id(5, 0)),
            (
                b"18446744073709551615-18446744073709551615",
                0,
                id(max, max),
            ),
            (b"18446744073709551616-0", 0, None),
            (b"05-007", 0, id(5, 7)),
            (b" 5-+1", 0, id(5, 1)),
            (b"5--1", 0, None),
            (b"5--01", 0, id(5, max)),
            (b"5-1\0x", 0, id(5, 1)),
            (b"5-1-1", 0, None),
            (b"5-*", 0, None),
            (b"", 0, None),
            (b"-5", 0, None),
            (b"$", 0, None),
        ] {
            assert_eq!(parse_strict_id(text, missing), expected, "{text:?}");
            assert_eq!(parse_id(text, missing), expected, "{text:?}");
        }
        assert_eq!(parse_strict_id(&[b'1'; 128], 0), None);
        assert_eq!(parse_strict_id(b"-", 0), None);
        assert_eq!(parse_strict_id(b"+", 0), None);
        assert_eq!(parse_id(b"-", 3), Some(StreamId::MIN));
        assert_eq!(parse_id(b"+", 3), Some(StreamId::MAX));
        assert_eq!(parse_id_choice(b"5-*"), Some(IdChoice::Ms(5)));
        assert_eq!(parse_id_choice(b"5-**"), None);
        assert_eq!(
            parse_id_choice(b"5"),
            Some(IdChoice::Given(StreamId::new(5, 0)))
        );
        assert_eq!(interval_id(b"(5", max), (id(5, max), true));
        assert_eq!(interval_id(b"(", 0), (None, false));
        assert_eq!(interval_id(b"(-", 0), (None, true));
    }
}
