//! Giving a value's memory back after a forked child has saved it (dismissObject of object.c).
//!
//! While a child saves, the pages that both processes share are copied when the parent writes to them. A page that the child
//! has given back is not copied: the parent is its only owner then.
//!
//! Invariants: in a process that is no saving child nothing happens (`base::sys` sees to that). Only bytes inside one
//! allocation of one owner go, never a header that a walk or another value still needs: a buffer that two values or a client
//! share stays. Whoever gives a value's memory back is its only owner and never drops it: [`super::keyspace`].

use std::borrow::Cow;

use super::Entry;
use super::value::Value;
use crate::base::sys::{PAGE_SIZE, dismiss_memory, is_saving_child};
use crate::ds::quicklist::{NodeRef, Quicklist};
use crate::ds::sbuf::SBuf;
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::stream::Stream;
use crate::store::zset::Zset;

/// # Safety
/// As for [`dismiss_object`].
unsafe fn dismiss_buf(b: &SBuf) {
    if b.is_unique() {
        // SAFETY: by the caller's word, and nobody else has a part in the buffer.
        unsafe { dismiss_memory(b.as_slice()) };
    }
}

/// Whether parts of a value are worth a look each: on average they take a page.
fn worth_it(size_hint: u64, parts: usize) -> bool {
    size_hint / (parts.max(1) as u64) >= PAGE_SIZE as u64
}

/// Gives the value's memory back. `size_hint` is about how many bytes it took in the file. Small members stay: they have no
/// pages of their own.
///
/// # Safety
/// The value is neither read nor dropped any more, nor is the entry.
pub(super) unsafe fn dismiss_object(e: &Entry, size_hint: u64) {
    if size_hint < PAGE_SIZE as u64 || !is_saving_child() {
        return;
    }
    if let Some(b) = e.buf() {
        // SAFETY: by the caller's word.
        return unsafe { dismiss_buf(b) };
    }
    let Some(value) = e.any_value() else {
        return;
    };
    // SAFETY: by the caller's word. A table's arrays go last, when its elements have been looked at.
    unsafe { dismiss_value(&value, size_hint) }
}

/// # Safety
/// As for [`dismiss_object`].
unsafe fn dismiss_value(value: &Value, size_hint: u64) {
    let dismiss = |bytes: &[u8]| {
        // SAFETY: by the caller's word; the bytes are part of the value's own allocation.
        unsafe { dismiss_memory(bytes) }
    };
    match value {
        Value::List(List::Listpack(lp))
        | Value::Set(Set::Listpack(lp))
        | Value::Zset(Zset::Listpack(lp))
        | Value::Hash(Hash::Listpack(lp)) => dismiss(lp.bytes()),
        Value::Set(Set::Intset(s)) => dismiss(s.bytes()),
        Value::List(List::Quicklist(q)) => dismiss_quicklist(q, size_hint, dismiss),
        Value::Set(Set::Table(t)) => {
            if worth_it(size_hint, t.len()) {
                t.iter().for_each(dismiss);
            }
            // SAFETY: by the caller's word.
            unsafe { t.table().dismiss() };
        }
        Value::Zset(Zset::Tree(t)) => {
            if worth_it(size_hint, t.len()) {
                t.iter().for_each(|(member, _)| dismiss(member));
            }
            // SAFETY: by the caller's word.
            unsafe { t.table().dismiss() };
        }
        Value::Hash(Hash::Table(t)) => {
            if worth_it(size_hint, t.len()) {
                t.table().for_each(|field| match field.buf() {
                    // SAFETY: by the caller's word.
                    Some(b) => unsafe { dismiss_buf(b) },
                    // Fields themselves are mostly short.
                    None => dismiss(field.value()),
                });
            }
            // SAFETY: by the caller's word.
            unsafe { t.table().dismiss() };
        }
        Value::Stream(s) => dismiss_stream(s, size_hint, dismiss),
    }
}

fn dismiss_quicklist(q: &Quicklist, size_hint: u64, dismiss: impl Fn(&[u8])) {
    if !worth_it(size_hint, q.node_count()) {
        return;
    }
    for (node, _) in q.nodes() {
        match node {
            NodeRef::Packed(Cow::Borrowed(b)) | NodeRef::Plain(b) => dismiss(b),
            NodeRef::Lzf { data, .. } => dismiss(data),
            NodeRef::Packed(Cow::Owned(_)) => {}
        }
    }
}

fn dismiss_stream(s: &Stream, size_hint: u64, dismiss: impl Fn(&[u8])) {
    let nodes = s.0.nodes();
    if worth_it(size_hint, nodes.len()) {
        for (_, lp) in nodes.iter() {
            dismiss(lp.bytes());
        }
    }
}
