//! A large value, written piece by piece: what a snapshot does that is taken while clients are served.
//!
//! What is written is what [`super::rdb_save_object`] writes, but for a string of more than [`BULKY_BYTES`]: it is not compressed,
//! since that cannot be done by halves. Each piece is found again without a walk over those before it: by the cursor of a
//! table, a rank, the number of a node, an id.
//!
//! Invariant: between the first piece and the last the value must not change. The caller sees to that.

use std::io::{self, Write};

use super::parts::{save_list_node, save_value};
use super::stream::StreamAt;
use super::{rdb_save_object, rdb_save_object_type};
use crate::store::entry::value::Value;
use crate::store::entry::{Entry, Str};
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::zset::Zset;
use crate::wire::rdb::{RDB_TYPE_LIST, RdbWriter};

/// A string above this many bytes is written by pieces: below, its compression takes less than a millisecond.
pub(crate) const BULKY_BYTES: usize = 256 * 1024;
/// So are a table and a tree of more elements, and what has more nodes.
const BULKY_ELEMENTS: usize = 512;
const BULKY_NODES: usize = 16;

/// Whether the value is so large that it is written by pieces.
#[inline]
pub(crate) fn is_bulky(e: &Entry) -> bool {
    if let Some(buf) = e.buf() {
        return buf.len() > BULKY_BYTES;
    }
    e.any_value().is_some_and(|v| is_bulky_value(&v))
}

fn is_bulky_value(value: &Value) -> bool {
    match value {
        Value::Set(Set::Table(t)) => t.len() > BULKY_ELEMENTS,
        Value::Hash(Hash::Table(t)) => t.len() > BULKY_ELEMENTS,
        Value::Zset(Zset::Tree(t)) => t.len() > BULKY_ELEMENTS,
        Value::List(List::Quicklist(q)) => q.node_count() > BULKY_NODES,
        Value::Stream(s) => {
            let pending =
                |n: usize, g: &crate::store::stream::Group| n + g.pel().len() + g.consumers_len();
            s.0.nodes().len() > BULKY_NODES || s.0.groups().iter().fold(0, pending) > BULKY_ELEMENTS
        }
        Value::Set(_) | Value::Hash(_) | Value::Zset(_) | Value::List(_) => false,
    }
}

/// How far a value is written.
pub(crate) struct Pieces(At);

enum At {
    /// Bytes of a string.
    Bytes(usize),
    /// The cursor of a table.
    Cursor(u64),
    /// Members of a sorted set that are still to come.
    Left(usize),
    /// A node of a list, or an element where the form has no nodes.
    Node(usize),
    Element(usize),
    Stream(StreamAt),
    Done,
}

impl Pieces {
    /// Writes what stands before the first piece of the value: a count, a length. What is not bulky is written as a whole.
    ///
    /// # Errors
    /// The sink's.
    pub(crate) fn begin<W: Write>(w: &mut RdbWriter<W>, e: &Entry) -> io::Result<Pieces> {
        if !is_bulky(e) {
            rdb_save_object(w, e)?;
            return Ok(Pieces(At::Done));
        }
        let (count, at) = match e.any_value().as_deref() {
            Some(Value::Set(v)) => (v.len(), At::Cursor(0)),
            Some(Value::Hash(v)) => (v.len(), At::Cursor(0)),
            Some(Value::Zset(v)) => (v.len(), At::Left(v.len())),
            Some(Value::List(v)) if rdb_save_object_type(e, w.version()) == RDB_TYPE_LIST => {
                (v.len(), At::Element(0))
            }
            Some(Value::List(List::Quicklist(q))) => (q.node_count(), At::Node(0)),
            Some(Value::Stream(s)) => {
                let at = StreamAt::START;
                (s.0.nodes().len(), At::Stream(at))
            }
            // Bulky, so no listpack; and a string that is bulky is one of bytes.
            Some(Value::List(List::Listpack(_))) | None => {
                (e.buf().map_or(0, |b| b.len()), At::Bytes(0))
            }
        };
        w.len(count as u64)?;
        Ok(Pieces(at))
    }

    /// Writes about so many bytes more. False: the value is whole.
    ///
    /// # Errors
    /// The sink's.
    pub(crate) fn more<W: Write>(
        &mut self,
        w: &mut RdbWriter<W>,
        e: &Entry,
        bytes: u64,
    ) -> io::Result<bool> {
        let until = w.bytes_written().saturating_add(bytes);
        let mut done = Ok(());
        let at = std::mem::replace(&mut self.0, At::Done);
        let value = e.any_value();
        self.0 = match (at, value.as_deref()) {
            (At::Bytes(from), _) => match e.string() {
                Str::Bytes(b) => {
                    let to = from.saturating_add(bytes as usize).min(b.len());
                    w.raw(&b[from..to])?;
                    match to < b.len() {
                        true => At::Bytes(to),
                        false => At::Done,
                    }
                }
                Str::Int(_) => At::Done,
            },
            (At::Cursor(mut cursor), Some(value)) => {
                loop {
                    cursor = match value {
                        Value::Set(Set::Table(t)) => t.scan(cursor, |member| {
                            if done.is_ok() {
                                done = w.string(member);
                            }
                        }),
                        Value::Hash(Hash::Table(t)) => t.scan(cursor, |field, value| {
                            if done.is_ok() {
                                done = w.string(field).and_then(|()| w.string(value));
                            }
                        }),
                        _ => 0,
                    };
                    if cursor == 0 || w.bytes_written() >= until || done.is_err() {
                        break;
                    }
                }
                match cursor {
                    0 => At::Done,
                    cursor => At::Cursor(cursor),
                }
            }
            (At::Left(mut left), Some(Value::Zset(zset))) => {
                for (member, score) in zset.range_rev(0..left) {
                    save_value(w, member)?;
                    w.double(score)?;
                    left -= 1;
                    if w.bytes_written() >= until {
                        break;
                    }
                }
                match left {
                    0 => At::Done,
                    left => At::Left(left),
                }
            }
            (At::Node(mut at), Some(Value::List(List::Quicklist(q)))) => {
                for (node, _) in q.nodes_from(at) {
                    save_list_node(w, node)?;
                    at += 1;
                    if w.bytes_written() >= until {
                        break;
                    }
                }
                match at < q.node_count() {
                    true => At::Node(at),
                    false => At::Done,
                }
            }
            (At::Element(mut at), Some(Value::List(list))) => {
                list.for_each_from(at, false, |v| {
                    done = save_value(w, v.value());
                    at += 1;
                    done.is_ok() && w.bytes_written() < until
                });
                match at < list.len() {
                    true => At::Element(at),
                    false => At::Done,
                }
            }
            (At::Stream(mut at), Some(Value::Stream(s))) => {
                let rdb_type = rdb_save_object_type(e, w.version());
                while !matches!(at, StreamAt::Done) && w.bytes_written() < until {
                    at = at.more(w, &s.0, rdb_type, until)?;
                }
                match at {
                    StreamAt::Done => At::Done,
                    at => At::Stream(at),
                }
            }
            _ => At::Done,
        };
        done?;
        Ok(!matches!(self.0, At::Done))
    }
}
