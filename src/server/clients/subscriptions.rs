//! What a client listens to. The code is in `pubsub`.

use std::collections::HashMap;
use std::rc::Rc;

pub(super) type Name = Rc<[u8]>;

/// The three kinds of names that one can listen to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Channel = 0,
    Pattern = 1,
    Shard = 2,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

/// What one client listens to: names and its place among the listeners of each.
#[derive(Default)]
pub(crate) struct Subscriptions {
    pub(super) places: [HashMap<Name, u32>; 3],
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(HashMap::is_empty)
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.places[kind as usize].len()
    }

    /// Names of one kind.
    pub(crate) fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.places[kind as usize].keys().map(|n| &**n)
    }

    /// Bytes that the client's own tables take; the names are shared with the server (pubsubMemOverhead).
    pub(crate) fn mem_usage(&self) -> usize {
        let entry = size_of::<Name>() + size_of::<u32>() + 1;
        let tables: usize = self.places.iter().map(HashMap::capacity).sum();
        size_of::<Subscriptions>() + tables * entry
    }
}
