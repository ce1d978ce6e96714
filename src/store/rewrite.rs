//! Values as the commands that make them, for a rewrite of the append-only file (rewriteListObject and its kin of aof.c).
//!
//! A large one is written by [`pieces`]. It knows values and RESP; not where the commands go.

pub(crate) mod pieces;

use std::io::{self, Write};

use crate::base::num::{D2STRING_SIZE, d2string};
use crate::ds::idmap::STREAM_ID_STR_LEN;
use crate::ds::listpack::LpValue;
use crate::store::entry::value::Value;
use crate::store::entry::{Entry, Str};
use crate::store::stream::{Consumer, Group, Item, Stream, StreamId};
use crate::wire::resp;

/// Elements a command has at the most (AOF_REWRITE_ITEMS_PER_CMD).
const AOF_REWRITE_ITEMS_PER_CMD: usize = 64;

/// A sink for commands, which puts each together before it writes it.
struct Commands<'a, W: Write> {
    w: &'a mut W,
    line: Vec<u8>,
    done: io::Result<()>,
}

impl<W: Write> Commands<'_, W> {
    /// A command of `argc` words follows, one by one.
    fn begin(&mut self, argc: usize) {
        self.flush();
        resp::push_header(&mut self.line, b'*', argc as i64);
    }

    fn word(&mut self, word: &[u8]) {
        resp::push_header(&mut self.line, b'$', word.len() as i64);
        self.line.extend_from_slice(word);
        self.line.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, n: i64) {
        self.word(itoa::Buffer::new().format(n).as_bytes());
    }

    fn unsigned(&mut self, n: u64) {
        self.word(itoa::Buffer::new().format(n).as_bytes());
    }

    fn value(&mut self, v: LpValue<'_>) {
        v.with_bytes(|b| self.word(b));
    }

    fn id(&mut self, id: StreamId) {
        let mut buf = [0; STREAM_ID_STR_LEN];
        self.word(id.text(&mut buf));
    }

    /// Writes what is complete; after an error nothing more is.
    fn flush(&mut self) {
        if self.done.is_ok() {
            self.done = self.w.write_all(&self.line);
        }
        self.line.clear();
    }

    /// The head of a command with the next batch of `left` items of `each` words.
    fn batch(&mut self, verb: &[u8], key: &[u8], left: usize, each: usize) {
        self.begin(2 + left.min(AOF_REWRITE_ITEMS_PER_CMD) * each);
        self.word(verb);
        self.word(key);
    }

    /// All items in commands of [`AOF_REWRITE_ITEMS_PER_CMD`]; `item` is called for each of the `len` items with what writes
    /// it.
    fn batches<T>(
        &mut self,
        verb: &[u8],
        key: &[u8],
        (len, each): (usize, usize),
        items: impl Iterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        for (i, x) in items.enumerate() {
            if i.is_multiple_of(AOF_REWRITE_ITEMS_PER_CMD) {
                self.batch(verb, key, len.saturating_sub(i), each);
            }
            item(self, x);
        }
    }

    /// rewriteStreamObject
    fn stream(&mut self, key: &[u8], s: &Stream) {
        for item in s.0.range(StreamId::MIN, StreamId::MAX, false) {
            self.stream_item(key, &item);
        }
        self.stream_meta(key, s);
        for group in s.0.groups() {
            self.group(key, group);
        }
    }

    fn stream_item(&mut self, key: &[u8], item: &Item<'_>) {
        self.begin(3 + 2 * item.fields().count());
        self.word(b"XADD");
        self.word(key);
        self.id(item.id);
        for (field, value) in item.fields() {
            self.value(field);
            self.value(value);
        }
    }

    /// What stands behind a stream's items, up to its groups.
    fn stream_meta(&mut self, key: &[u8], s: &Stream) {
        let meta = s.0.meta;
        if meta.length == 0 {
            // An entry that does not stay makes an empty stream.
            self.begin(7);
            for word in [b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"] {
                self.word(word);
            }
        }
        self.begin(7);
        self.word(b"XSETID");
        self.word(key);
        self.id(meta.last_id);
        self.word(b"ENTRIESADDED");
        self.unsigned(meta.entries_added);
        self.word(b"MAXDELETEDID");
        self.id(meta.max_deleted_entry_id);
    }

    fn group(&mut self, key: &[u8], group: &Group) {
        self.group_head(key, group);
        for consumer in group.consumers() {
            self.consumer_head(key, group, consumer);
            for (id, ()) in consumer.pel().iter() {
                self.claim(key, group, consumer, id);
            }
        }
    }

    fn group_head(&mut self, key: &[u8], group: &Group) {
        self.begin(7);
        for word in [b"XGROUP", &b"CREATE"[..], key, group.name()] {
            self.word(word);
        }
        self.id(group.last_id);
        self.word(b"ENTRIESREAD");
        self.number(group.entries_read_argument());
    }

    /// A consumer with pending entries is made by the first of them.
    fn consumer_head(&mut self, key: &[u8], group: &Group, consumer: &Consumer) {
        if !consumer.pel().is_empty() {
            return;
        }
        self.begin(5);
        for word in [
            b"XGROUP",
            &b"CREATECONSUMER"[..],
            key,
            group.name(),
            consumer.name(),
        ] {
            self.word(word);
        }
    }

    /// A pending entry.
    fn claim(&mut self, key: &[u8], group: &Group, consumer: &Consumer, id: StreamId) {
        let Some(nack) = group.pel().get(id) else {
            return;
        };
        self.begin(12);
        for word in [b"XCLAIM", key, group.name(), consumer.name(), b"0"] {
            self.word(word);
        }
        self.id(id);
        self.word(b"TIME");
        self.number(nack.delivery_time);
        self.word(b"RETRYCOUNT");
        self.unsigned(nack.delivery_count);
        self.word(b"JUSTID");
        self.word(b"FORCE");
    }
}

/// Writes the commands that make the entry's value; its expiry is the caller's.
///
/// # Errors
/// The sink's.
pub(crate) fn rewrite_object<W: Write>(w: &mut W, e: &Entry) -> io::Result<()> {
    let key = e.name();
    let mut c = Commands {
        w,
        line: Vec::new(),
        done: Ok(()),
    };
    match e.any_value().as_deref() {
        None => {
            c.begin(3);
            c.word(b"SET");
            c.word(key);
            match e.string() {
                Str::Int(n) => c.number(n),
                Str::Bytes(b) => c.word(b),
            }
        }
        Some(Value::List(list)) => {
            let (len, mut i) = (list.len(), 0);
            list.for_each(|v| {
                if i % AOF_REWRITE_ITEMS_PER_CMD == 0 {
                    c.batch(b"RPUSH", key, len - i, 1);
                }
                c.value(v);
                i += 1;
            });
        }
        Some(Value::Set(set)) => {
            c.batches(b"SADD", key, (set.len(), 1), set.iter(), |c, m| c.value(m));
        }
        Some(Value::Hash(hash)) => {
            c.batches(b"HMSET", key, (hash.len(), 2), hash.iter(), |c, (f, v)| {
                c.value(f);
                c.value(v.value());
            });
        }
        Some(Value::Zset(zset)) => {
            c.batches(
                b"ZADD",
                key,
                (zset.len(), 2),
                zset.iter(),
                |c, (m, score)| {
                    c.word(d2string(&mut [0; D2STRING_SIZE], score));
                    c.value(m);
                },
            );
        }
        Some(Value::Stream(s)) => c.stream(key, s),
    }
    c.flush();
    c.done
}
