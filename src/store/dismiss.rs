//! Giving a value's memory back after a forked child has saved it (dismissObject of object.c).
//!
//! While a child saves, the pages that both processes share are copied when the parent writes to them. A page that the child
//! has given back is not copied: the parent is its only owner then.
//!
//! Invariants: in a process that is no saving child nothing happens (`base::sys` sees to that). Only bytes inside one
//! allocation of one owner go, never a header that a walk or another value still needs: a buffer that two values or a client
//! share stays.

use std::borrow::Cow;

use crate::base::sys::{PAGE_SIZE, dismiss_memory, is_saving_child};
use crate::ds::quicklist::{NodeRef, Quicklist};
use crate::ds::sbuf::SBuf;
use crate::store::entry::Entry;
use crate::store::entry::value::Value;
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::stream::Stream;
use crate::store::zset::Zset;

fn dismiss_buf(b: &SBuf) {
    if b.is_unique() {
        dismiss_memory(b.as_slice());
    }
}

/// Whether parts of a value are worth a look each: on average they take a page.
fn worth_it(size_hint: u64, parts: usize) -> bool {
    size_hint / (parts.max(1) as u64) >= PAGE_SIZE as u64
}

/// Gives the value's memory back; it must not be read again. `size_hint` is about how many bytes it took in the file. Small
/// members stay: they have no pages of their own.
pub fn dismiss_object(e: &Entry, size_hint: u64) {
    if size_hint < PAGE_SIZE as u64 || !is_saving_child() {
        return;
    }
    if let Some(b) = e.buf() {
        return dismiss_buf(b);
    }
    let Some(value) = e.any_value() else {
        return;
    };
    match &*value {
        Value::List(List::Listpack(lp))
        | Value::Set(Set::Listpack(lp))
        | Value::Zset(Zset::Listpack(lp))
        | Value::Hash(Hash::Listpack(lp)) => dismiss_memory(lp.bytes()),
        Value::Set(Set::Intset(s)) => dismiss_memory(s.bytes()),
        Value::List(List::Quicklist(q)) => dismiss_quicklist(q, size_hint),
        Value::Set(Set::Table(t)) => {
            if worth_it(size_hint, t.len()) {
                t.iter().for_each(dismiss_memory);
            }
            t.table().dismiss();
        }
        Value::Zset(Zset::Tree(t)) => {
            if worth_it(size_hint, t.len()) {
                t.iter().for_each(|(member, _)| dismiss_memory(member));
            }
            t.table().dismiss();
        }
        Value::Hash(Hash::Table(t)) => {
            if worth_it(size_hint, t.len()) {
                t.table().for_each(|field| match field.buf() {
                    Some(b) => dismiss_buf(b),
                    // Fields themselves are mostly short.
                    None => dismiss_memory(field.value()),
                });
            }
            t.table().dismiss();
        }
        Value::Stream(s) => dismiss_stream(s, size_hint),
    }
}

fn dismiss_quicklist(q: &Quicklist, size_hint: u64) {
    if !worth_it(size_hint, q.node_count()) {
        return;
    }
    for (node, _) in q.nodes() {
        match node {
            NodeRef::Packed(Cow::Borrowed(b)) | NodeRef::Plain(b) => dismiss_memory(b),
            NodeRef::Lzf { data, .. } => dismiss_memory(data),
            NodeRef::Packed(Cow::Owned(_)) => {}
        }
    }
}

fn dismiss_stream(s: &Stream, size_hint: u64) {
    let nodes = s.0.nodes();
    if worth_it(size_hint, nodes.len()) {
        for (_, lp) in nodes.iter() {
            dismiss_memory(lp.bytes());
        }
    }
}
