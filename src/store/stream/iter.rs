//! Entries of a stream in a range of ids, in either direction (streamIterator).
//!
//! It borrows the nodes and holds a place in one of them; it allocates nothing, and what it yields are slices of the nodes.

use super::node::{ItemHead, Master, start_of_item};
use crate::ds::idmap::{IdMap, IdPos, StreamId};
use crate::ds::listpack::{Iter, Listpack, LpPos, LpValue};

/// An entry as it is met.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub id: StreamId,
    pub num_fields: usize,
    /// The entry is deleted; only seen when the iterator was told to show such.
    #[cfg(test)]
    pub deleted: bool,
    /// The master's fields, when they are this entry's.
    shared: Option<Iter<'a>>,
    body: Iter<'a>,
}

impl<'a> Item<'a> {
    /// Fields and values. Corrupt nodes may have fewer than `num_fields`.
    #[inline]
    pub(crate) fn fields(&self) -> impl Iterator<Item = (LpValue<'a>, LpValue<'a>)> + use<'a> {
        let mut shared = self.shared.clone();
        let mut body = self.body.clone();
        let mut left = self.num_fields;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let field = match &mut shared {
                Some(s) => s.next()?,
                None => body.next()?,
            };
            Some((field, body.next()?))
        })
    }
}

/// Where it stands in a node.
enum Place<'a> {
    /// At the start of an entry, or behind the last.
    Forward(Iter<'a>),
    /// At the last element of an entry, or of the master entry.
    Backward(Option<LpPos>),
}

struct Current<'a> {
    lp: &'a Listpack,
    id: StreamId,
    master: Master<'a>,
    place: Place<'a>,
}

/// See the module's text.
pub(crate) struct StreamIter<'a> {
    nodes: &'a IdMap<Listpack>,
    start: StreamId,
    end: StreamId,
    rev: bool,
    /// Deleted entries are left out, as they are by default.
    skip_tombstones: bool,
    /// The node to look at after the current one.
    ahead: Option<IdPos>,
    current: Option<Current<'a>>,
}

impl<'a> StreamIter<'a> {
    /// The entries with ids from `start` to `end`, both included; from the end when `rev` (streamIteratorStart).
    pub(crate) fn new(
        nodes: &'a IdMap<Listpack>,
        start: StreamId,
        end: StreamId,
        rev: bool,
    ) -> StreamIter<'a> {
        let ahead = match rev {
            false if start.is_zero() => nodes.first(),
            false => nodes.at_or_before(start).or_else(|| nodes.first()),
            true if end == StreamId::MAX => nodes.last(),
            true => nodes.at_or_before(end),
        };
        StreamIter {
            nodes,
            start,
            end,
            rev,
            skip_tombstones: true,
            ahead,
            current: None,
        }
    }

    /// Shows deleted entries too.
    pub(crate) fn with_tombstones(mut self) -> StreamIter<'a> {
        self.skip_tombstones = false;
        self
    }

    fn next_node(&mut self) -> Option<Current<'a>> {
        loop {
            let p = self.ahead?;
            let (id, lp) = self.nodes.at(p);
            if !self.rev && id > self.end {
                return None;
            }
            self.ahead = if self.rev {
                self.nodes.prev(p)
            } else {
                self.nodes.next(p)
            };
            let Some(master) = Master::of(lp) else {
                continue;
            };
            let place = if self.rev {
                Place::Backward(lp.last())
            } else {
                match master.entries() {
                    Some(e) => Place::Forward(e),
                    None => continue,
                }
            };
            return Some(Current {
                lp,
                id,
                master,
                place,
            });
        }
    }
}

impl<'a> Current<'a> {
    /// The entry at this place; the place is then the one of the entry that follows in the direction of the walk.
    #[inline]
    fn step(&mut self) -> Option<(ItemHead, Iter<'a>)> {
        match &mut self.place {
            Place::Forward(e) => {
                let head = ItemHead::read(e, self.id, self.master.num_fields)?;
                let body = e.clone();
                e.pass(head.body().checked_add(1)?)?;
                Some((head, body))
            }
            Place::Backward(last) => {
                let flags_at = start_of_item(self.lp, (*last)?)?;
                *last = self.lp.prev(flags_at);
                let mut e = self.lp.iter_from(flags_at);
                let head = ItemHead::read(&mut e, self.id, self.master.num_fields)?;
                Some((head, e))
            }
        }
    }
}

impl<'a> Iterator for StreamIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if self.current.is_none() {
                self.current = Some(self.next_node()?);
            }
            let Some(node) = &mut self.current else {
                return None;
            };
            let Some((head, body)) = node.step() else {
                self.current = None;
                continue;
            };
            let (not_yet, past) = if self.rev {
                (head.id > self.end, head.id < self.start)
            } else {
                (head.id < self.start, head.id > self.end)
            };
            if not_yet || (self.skip_tombstones && head.is_deleted()) {
                continue;
            }
            if past {
                self.current = None;
                self.ahead = None;
                return None;
            }
            return Some(Item {
                id: head.id,
                num_fields: head.num_fields,
                #[cfg(test)]
                deleted: head.is_deleted(),
                shared: head.same_fields().then(|| node.master.fields.clone()),
                body,
            });
        }
    }
}
