//! A macro node: a listpack that holds about a hundred entries of a stream, in exactly upstream's layout, since RDB files
//! carry it raw.
//!
//! ```text
//! master entry   live | deleted | n | field 1 .. field n | 0
//! entry          flags | ms - master ms | seq - master seq | n | field 1 | value 1 | .. | elements of the entry before this
//! with SAMEFIELDS        flags | ms - .. | seq - .. | value 1 .. value n (of the master) | elements ..
//! ```
//!
//! The master id is the node's key in the map: the id of its first entry, whose fields are the master's. The last element
//! of an entry tells how to walk backwards; the master's is zero. A deleted entry stays and is flagged.
//!
//! What is read here may come from a file: it has passed [`stream_validate_listpack_integrity`], but its counts and ids may
//! still lie. So every step may end early, and nothing is added up unchecked. Nothing is known here of the stream around.

use crate::ds::idmap::StreamId;
use crate::ds::listpack::{Iter, Listpack, LpPos, LpValue, Tail, validate_integrity};

/// Bytes that a node, and so the fields and values of one entry, may have at the most (STREAM_LISTPACK_MAX_SIZE).
pub(super) const STREAM_LISTPACK_MAX_SIZE: usize = 1 << 30;

/// When a node is full (stream-node-max-bytes, stream-node-max-entries); 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLimits {
    pub max_bytes: usize,
    pub max_entries: i64,
}

/// The entry is deleted (STREAM_ITEM_FLAG_DELETED).
pub(super) const ITEM_DELETED: i64 = 1;
/// It has the master's fields, which are left out (STREAM_ITEM_FLAG_SAMEFIELDS).
pub(super) const ITEM_SAMEFIELDS: i64 = 2;

/// An element that should be an integer.
#[inline]
fn int(v: Option<LpValue<'_>>) -> Option<i64> {
    v?.as_int()
}

/// A count of elements that should follow.
#[inline]
fn count(v: Option<LpValue<'_>>) -> Option<usize> {
    usize::try_from(int(v)?).ok()
}

/// The id that is `ms` and `seq` past the master's.
#[inline]
fn id_at(master: StreamId, ms: i64, seq: i64) -> StreamId {
    StreamId {
        ms: master.ms.wrapping_add(ms as u64),
        seq: master.seq.wrapping_add(seq as u64),
    }
}

/// A node's master entry.
#[derive(Clone)]
pub(super) struct Master<'a> {
    pub live: i64,
    pub deleted: i64,
    pub num_fields: usize,
    pub fields: Iter<'a>,
}

impl<'a> Master<'a> {
    #[inline]
    pub(super) fn of(lp: &'a Listpack) -> Option<Master<'a>> {
        let mut fields = lp.iter();
        let live = int(fields.next())?;
        let deleted = int(fields.next())?;
        let num_fields = count(fields.next())?;
        Some(Master {
            live,
            deleted,
            num_fields,
            fields,
        })
    }

    /// The elements behind the master entry.
    #[inline]
    pub(super) fn entries(&self) -> Option<Iter<'a>> {
        let mut e = self.fields.clone();
        e.pass(self.num_fields.checked_add(1)?)?;
        Some(e)
    }
}

/// How many entries of the node live.
pub(super) fn live_entries(lp: &Listpack) -> u64 {
    Master::of(lp).map_or(0, |m| m.live.max(0) as u64)
}

/// The head of an entry: all before its fields and values.
#[derive(Clone, Copy)]
pub(super) struct ItemHead {
    pub flags: i64,
    pub id: StreamId,
    pub num_fields: usize,
}

impl ItemHead {
    /// Reads the head of the entry that `e` is at; `e` is at its first field or value then.
    #[inline]
    pub(super) fn read(
        e: &mut Iter<'_>,
        master: StreamId,
        master_fields: usize,
    ) -> Option<ItemHead> {
        let (flags, ms, seq) = match e.next_three_small() {
            Some([flags, ms, seq]) => (flags.into(), ms.into(), seq.into()),
            None => (int(e.next())?, int(e.next())?, int(e.next())?),
        };
        let num_fields = if flags & ITEM_SAMEFIELDS != 0 {
            master_fields
        } else {
            count(e.next())?
        };
        Some(ItemHead {
            flags,
            id: id_at(master, ms, seq),
            num_fields,
        })
    }

    #[inline]
    pub(super) fn is_deleted(self) -> bool {
        self.flags & ITEM_DELETED != 0
    }

    #[inline]
    pub(super) fn same_fields(self) -> bool {
        self.flags & ITEM_SAMEFIELDS != 0
    }

    /// Elements between the head and the last one, which counts them all.
    #[inline]
    pub(super) fn body(self) -> usize {
        if self.same_fields() {
            self.num_fields
        } else {
            self.num_fields.saturating_mul(2)
        }
    }

    /// Elements of the whole entry.
    #[inline]
    fn elements(self) -> usize {
        let head = if self.same_fields() { 4 } else { 5 };
        self.body().saturating_add(head)
    }
}

/// What an entry adds to a node. `arg` gives its fields and values in turn; with `same` the fields are the master's.
#[inline]
fn encode_item<'f>(
    tail: &mut Tail,
    master_id: StreamId,
    id: StreamId,
    same: bool,
    num_fields: usize,
    arg: impl Fn(usize) -> &'f [u8],
) {
    tail.push_int(if same { ITEM_SAMEFIELDS } else { 0 });
    tail.push_int(id.ms.wrapping_sub(master_id.ms) as i64);
    tail.push_int(id.seq.wrapping_sub(master_id.seq) as i64);
    let n = num_fields as i64;
    if same {
        for i in 0..num_fields {
            tail.push(arg(2 * i + 1));
        }
        tail.push_int(n + 3);
    } else {
        tail.push_int(n);
        for i in 0..2 * num_fields {
            tail.push(arg(i));
        }
        tail.push_int(2 * n + 4);
    }
}

/// A new node that begins with this entry.
pub(super) fn new_node<'f>(
    id: StreamId,
    num_fields: usize,
    arg: impl Fn(usize) -> &'f [u8],
) -> Listpack {
    let mut tail = Tail::new();
    tail.push_int(1);
    tail.push_int(0);
    tail.push_int(num_fields as i64);
    for i in 0..num_fields {
        tail.push(arg(2 * i));
    }
    tail.push_int(0);
    encode_item(&mut tail, id, id, true, num_fields, arg);
    let mut lp = Listpack::new();
    lp.append_tail(&tail);
    lp
}

/// Adds an entry at the end, unless the node is full; `bytes` is the length of all its fields and values.
#[inline]
pub(super) fn append<'f>(
    lp: &mut Listpack,
    (master_id, id): (StreamId, StreamId),
    num_fields: usize,
    arg: impl Fn(usize) -> &'f [u8],
    bytes: usize,
    limits: NodeLimits,
) -> bool {
    let max_bytes = match limits.max_bytes {
        0 => STREAM_LISTPACK_MAX_SIZE,
        n => n.min(STREAM_LISTPACK_MAX_SIZE),
    };
    if lp.total_bytes() + bytes >= max_bytes {
        return false;
    }
    let Some(mut m) = Master::of(lp) else {
        return false;
    };
    if limits.max_entries != 0 && m.live.saturating_add(m.deleted) >= limits.max_entries {
        return false;
    }
    let same = m.num_fields == num_fields
        && (0..num_fields).all(|i| m.fields.next().is_some_and(|f| f.eq_bytes(arg(2 * i))));
    let live = m.live;
    let mut tail = Tail::new();
    encode_item(&mut tail, master_id, id, same, num_fields, arg);
    lp.append_tail(&tail);
    if let Some(p) = lp.first() {
        lp.set_int(p, live.saturating_add(1));
    }
    true
}

/// What is to become of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Delete,
    /// Keep it and all behind it.
    Stop,
}

/// Flags entries as deleted. `verdict` sees the live ones in order; the answer is how many were flagged.
pub(super) fn mark_deleted(
    lp: &mut Listpack,
    master_id: StreamId,
    mut verdict: impl FnMut(StreamId) -> Verdict,
) -> u64 {
    let Some(m) = Master::of(lp) else {
        return 0;
    };
    let (live, deleted, master_fields) = (m.live, m.deleted, m.num_fields);
    let mut marked = 0;
    let mut from = m.entries().map(|e| e.position());
    while let Some(start) = from {
        let mut e = lp.iter_from(start);
        let mut next_to_delete = || {
            loop {
                let flags_at = e.position();
                let head = ItemHead::read(&mut e, master_id, master_fields)?;
                if !head.is_deleted() {
                    match verdict(head.id) {
                        Verdict::Keep => {}
                        Verdict::Delete => return Some((flags_at, head)),
                        Verdict::Stop => return None,
                    }
                }
                e.pass(head.body().checked_add(1)?)?;
            }
        };
        let Some((flags_at, head)) = next_to_delete() else {
            break;
        };
        lp.set_int(flags_at, head.flags | ITEM_DELETED);
        marked += 1;
        from = forward(lp, flags_at, head.elements());
    }
    if marked > 0
        && let Some(p) = lp.first()
    {
        lp.set_int(p, live.saturating_sub(marked));
        if let Some(p) = lp.next(p) {
            lp.set_int(p, deleted.saturating_add(marked));
        }
    }
    marked as u64
}

/// The element `n` elements behind `p`.
fn forward(lp: &Listpack, p: LpPos, n: usize) -> Option<LpPos> {
    let mut at = p;
    for _ in 0..n {
        at = lp.next(at)?;
    }
    Some(at)
}

/// The flags of the entry that ends with the count at `p`; `None` when that is the master's.
pub(super) fn start_of_item(lp: &Listpack, p: LpPos) -> Option<LpPos> {
    let n = count(Some(lp.get(p)))?;
    if n == 0 {
        return None;
    }
    let mut at = p;
    for _ in 0..n {
        at = lp.prev(at)?;
    }
    Some(at)
}

/// The id of the last entry, a deleted one included (lpGetEdgeStreamID).
pub(super) fn last_id(lp: &Listpack, master_id: StreamId) -> Option<StreamId> {
    let m = Master::of(lp)?;
    let mut e = lp.iter_from(start_of_item(lp, lp.last()?)?);
    ItemHead::read(&mut e, master_id, m.num_fields).map(|h| h.id)
}

/// Whether bytes of any origin are a macro node: a listpack, and with `deep` one whose elements make up the entries that its
/// master entry counts (streamValidateListpackIntegrity). Stricter than upstream: what would need an unknown flag or a
/// negative count is refused, and so is a node without entries.
pub(super) fn stream_validate_listpack_integrity(bytes: &[u8], deep: bool) -> bool {
    let mut shape = Shape::Live;
    let mut s = Counts::default();
    if !deep {
        return validate_integrity(bytes, false, &mut |_| true);
    }
    validate_integrity(bytes, true, &mut |v| match s.next(shape, v) {
        Some(next) => {
            shape = next;
            true
        }
        None => false,
    }) && matches!(shape, Shape::Flags)
        && s.entries > 0
        && s.live.checked_add(s.deleted) == Some(s.entries)
}

/// What the next element of a node should be.
#[derive(Clone, Copy)]
enum Shape {
    Live,
    Deleted,
    NumMasterFields,
    /// A master field, of which so many are still to come; after the last the zero.
    MasterFields(i64),
    Flags,
    Ms,
    Seq,
    NumFields,
    /// A field or value, of which so many are still to come; after the last the count of elements.
    Body(i64),
}

#[derive(Default)]
struct Counts {
    live: i64,
    deleted: i64,
    master_fields: i64,
    same: bool,
    /// Elements of this entry up to here.
    elements: i64,
    entries: i64,
}

impl Counts {
    /// Checks an element against what should be there; the answer is what should follow.
    fn next(&mut self, shape: Shape, v: LpValue<'_>) -> Option<Shape> {
        let number = || int(Some(v)).filter(|n| *n >= 0);
        self.elements += 1;
        Some(match shape {
            Shape::Live => {
                self.live = number()?;
                Shape::Deleted
            }
            Shape::Deleted => {
                self.deleted = number()?;
                Shape::NumMasterFields
            }
            Shape::NumMasterFields => {
                self.master_fields = number()?;
                Shape::MasterFields(self.master_fields)
            }
            Shape::MasterFields(0) => (number()? == 0).then_some(Shape::Flags)?,
            Shape::MasterFields(n) => Shape::MasterFields(n - 1),
            Shape::Flags => {
                let flags = number()?;
                if flags & !(ITEM_DELETED | ITEM_SAMEFIELDS) != 0 {
                    return None;
                }
                self.same = flags & ITEM_SAMEFIELDS != 0;
                self.elements = 1;
                Shape::Ms
            }
            Shape::Ms => {
                int(Some(v))?;
                Shape::Seq
            }
            Shape::Seq => {
                int(Some(v))?;
                if self.same {
                    Shape::Body(self.master_fields)
                } else {
                    Shape::NumFields
                }
            }
            Shape::NumFields => Shape::Body(number()?.checked_mul(2)?),
            Shape::Body(0) => {
                self.entries += 1;
                // It does not count itself.
                (number()? == self.elements - 1).then_some(Shape::Flags)?
            }
            Shape::Body(n) => Shape::Body(n - 1),
        })
    }
}
