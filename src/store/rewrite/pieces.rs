//! A large value as commands, piece by piece: for who serves clients between the pieces.
//!
//! The commands are those of a rewrite, but for a string, which is made by SET and APPEND. A piece is found again without a walk over
//! those before it, or by one over nodes. An element may be written twice where a table grows meanwhile, which makes no difference to
//! what the commands make.
//!
//! Invariant: between the first piece and the last the value must not change. The caller sees to that.

use super::{AOF_REWRITE_ITEMS_PER_CMD, Commands};
use crate::base::num::{D2STRING_SIZE, d2string};
use crate::store::entry::value::Value;
use crate::store::entry::{Entry, Str};
use crate::store::hash::Hash;
use crate::store::set::Set;
use crate::store::stream::{Stream, StreamId};
use crate::wire::resp;

/// Bytes of a string in one command.
const PART: usize = 64 * 1024;

/// How far a value is written.
pub(crate) struct RewritePieces(At);

enum At {
    /// Bytes of a string.
    Bytes(usize),
    /// The cursor of a table.
    Cursor(u64),
    /// A member of a sorted set, or an element of a list.
    Element(usize),
    /// Items of a stream from this id on.
    Items(StreamId),
    /// A group of it, a consumer of that, and what is pending there from this id on.
    Group(usize),
    Consumer(usize, usize),
    Pending(usize, usize, StreamId),
    Done,
}

/// Items of which it is not known how many there will be, in commands of [`AOF_REWRITE_ITEMS_PER_CMD`].
struct Batch<'a> {
    out: &'a mut Vec<u8>,
    head: [&'a [u8]; 2],
    words: Vec<u8>,
    /// Words, and how many of them are a whole command.
    n: usize,
    most: usize,
}

impl<'a> Batch<'a> {
    fn new(out: &'a mut Vec<u8>, verb: &'a [u8], key: &'a [u8], each: usize) -> Batch<'a> {
        Batch {
            out,
            head: [verb, key],
            words: Vec::new(),
            n: 0,
            most: AOF_REWRITE_ITEMS_PER_CMD * each,
        }
    }

    fn word(&mut self, word: &[u8]) {
        resp::push_bulk(&mut self.words, word);
        self.n += 1;
        if self.n == self.most {
            self.flush();
        }
    }

    /// Writes what there is; so must the caller at the end.
    fn flush(&mut self) {
        if self.n == 0 {
            return;
        }
        resp::push_header(self.out, b'*', (self.head.len() + self.n) as i64);
        for word in self.head {
            resp::push_bulk(self.out, word);
        }
        self.out.append(&mut self.words);
        self.n = 0;
    }

    fn written(&self) -> usize {
        self.out.len() + self.words.len()
    }
}

impl RewritePieces {
    /// Before the first piece of the value.
    pub(crate) fn begin(e: &Entry) -> RewritePieces {
        RewritePieces(match e.any_value().as_deref() {
            None => At::Bytes(0),
            Some(Value::Set(_) | Value::Hash(_)) => At::Cursor(0),
            Some(Value::Zset(_) | Value::List(_)) => At::Element(0),
            Some(Value::Stream(_)) => At::Items(StreamId::MIN),
        })
    }

    /// Adds commands to `out`, about so many bytes. False: the value is whole.
    pub(crate) fn more(&mut self, out: &mut Vec<u8>, e: &Entry, bytes: usize) -> bool {
        let until = out.len().saturating_add(bytes);
        let key = e.name();
        let at = std::mem::replace(&mut self.0, At::Done);
        self.0 = match (at, e.any_value().as_deref()) {
            (At::Bytes(from), _) => string(out, key, &e.string(), from),
            (At::Cursor(cursor), Some(Value::Set(set))) => {
                let mut batch = Batch::new(out, b"SADD", key, 1);
                let next = match set {
                    Set::Table(t) => scan(cursor, until, &mut batch, |c, b| {
                        t.scan(c, |member| b.word(member))
                    }),
                    other => {
                        for member in other.iter() {
                            member.with_bytes(|m| batch.word(m));
                        }
                        At::Done
                    }
                };
                batch.flush();
                next
            }
            (At::Cursor(cursor), Some(Value::Hash(hash))) => {
                let mut batch = Batch::new(out, b"HMSET", key, 2);
                let next = match hash {
                    Hash::Table(t) => scan(cursor, until, &mut batch, |c, b| {
                        t.scan(c, |field, value| {
                            b.word(field);
                            b.word(value);
                        })
                    }),
                    other => {
                        for (field, value) in other.iter() {
                            field.with_bytes(|f| batch.word(f));
                            value.value().with_bytes(|v| batch.word(v));
                        }
                        At::Done
                    }
                };
                batch.flush();
                next
            }
            (At::Element(mut at), Some(Value::Zset(zset))) => {
                let mut batch = Batch::new(out, b"ZADD", key, 2);
                for (member, score) in zset.range(at..zset.len()) {
                    batch.word(d2string(&mut [0; D2STRING_SIZE], score));
                    member.with_bytes(|m| batch.word(m));
                    at += 1;
                    if batch.written() >= until {
                        break;
                    }
                }
                batch.flush();
                match at < zset.len() {
                    true => At::Element(at),
                    false => At::Done,
                }
            }
            (At::Element(mut at), Some(Value::List(list))) => {
                let mut batch = Batch::new(out, b"RPUSH", key, 1);
                list.for_each_from(at, false, |v| {
                    v.value().with_bytes(|v| batch.word(v));
                    at += 1;
                    batch.written() < until
                });
                batch.flush();
                match at < list.len() {
                    true => At::Element(at),
                    false => At::Done,
                }
            }
            (at, Some(Value::Stream(s))) => stream(out, key, s, at, until),
            _ => At::Done,
        };
        !matches!(self.0, At::Done)
    }
}

/// The next part of a string.
fn string(out: &mut Vec<u8>, key: &[u8], value: &Str<'_>, from: usize) -> At {
    let mut number = itoa::Buffer::new();
    let bytes = match value {
        Str::Int(n) => number.format(*n).as_bytes(),
        Str::Bytes(b) => b,
    };
    let to = from.saturating_add(PART).min(bytes.len());
    let verb: &[u8] = if from == 0 { b"SET" } else { b"APPEND" };
    resp::push_command(out, [verb, key, &bytes[from..to]].into_iter());
    match to < bytes.len() {
        true => At::Bytes(to),
        false => At::Done,
    }
}

/// Some steps over a table.
fn scan<'a>(
    mut cursor: u64,
    until: usize,
    batch: &mut Batch<'a>,
    step: impl Fn(u64, &mut Batch<'a>) -> u64,
) -> At {
    loop {
        cursor = step(cursor, batch);
        if cursor == 0 {
            return At::Done;
        }
        if batch.written() >= until {
            return At::Cursor(cursor);
        }
    }
}

/// The next part of a stream.
fn stream(out: &mut Vec<u8>, key: &[u8], s: &Stream, mut at: At, until: usize) -> At {
    let mut c = Commands {
        w: out,
        line: Vec::new(),
        done: Ok(()),
    };
    let groups = s.0.groups();
    let behind = |group: usize| match group < groups.len() {
        true => At::Group(group),
        false => At::Done,
    };
    while !matches!(at, At::Done) && c.w.len() < until {
        at = match at {
            At::Items(from) => {
                let mut next = None;
                for item in s.0.range(from, StreamId::MAX, false) {
                    if c.w.len() >= until {
                        next = Some(item.id);
                        break;
                    }
                    c.stream_item(key, &item);
                }
                match next {
                    Some(id) => At::Items(id),
                    None => {
                        c.stream_meta(key, s);
                        behind(0)
                    }
                }
            }
            At::Group(g) => {
                c.group_head(key, &groups[g]);
                At::Consumer(g, 0)
            }
            At::Consumer(g, n) => match groups[g].consumer_at(n) {
                Some(consumer) => {
                    c.consumer_head(key, &groups[g], consumer);
                    At::Pending(g, n, StreamId::MIN)
                }
                None => behind(g + 1),
            },
            At::Pending(g, n, from) => {
                let mut next = None;
                if let Some(consumer) = groups[g].consumer_at(n)
                    && let Some(first) = consumer.pel().at_or_after(from)
                {
                    for (id, ()) in consumer.pel().iter_from(Some(first)) {
                        if c.w.len() >= until {
                            next = Some(id);
                            break;
                        }
                        c.claim(key, &groups[g], consumer, id);
                    }
                }
                match next {
                    Some(id) => At::Pending(g, n, id),
                    None => At::Consumer(g, n + 1),
                }
            }
            At::Bytes(_) | At::Cursor(_) | At::Element(_) | At::Done => At::Done,
        };
    }
    c.flush();
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::NewValue;

    #[test]
    fn a_string_is_made_of_parts() {
        let text = vec![b'x'; PART * 2 + 7];
        let value = NewValue::Bytes {
            bytes: &text,
            raw: true,
        };
        let e = Entry::new(b"key", value, None);
        let mut pieces = RewritePieces::begin(&e);
        let (mut out, mut n) = (Vec::new(), 1);
        while pieces.more(&mut out, &e, 1) {
            n += 1;
        }
        assert_eq!(n, 3);
        assert!(out.starts_with(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$65536\r\n"));
        assert!(out.ends_with(b"*3\r\n$6\r\nAPPEND\r\n$3\r\nkey\r\n$7\r\nxxxxxxx\r\n"));
    }
}
