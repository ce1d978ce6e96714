//! What commands do to a value once its key is found: change it, delete the key when nothing is left, store a result.
//!
//! Who listens is told in upstream's order of events; `dirty` is counted by the caller, who knows how much has changed.
//!
//! Must not know: any particular command, and what is in a value.

use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::keyspace::lookup::At;
use crate::server::keyspace::notify::{EventClass, NOTIFY_GENERIC};
use crate::store::entry::NewValue;
use crate::store::entry::value::SlotValue;
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::stream::Stream;
use crate::store::zset::Zset;

/// A value made of elements.
pub(super) trait Collection: SlotValue {
    /// Whether its key stays.
    fn left(&self) -> Left;
}

macro_rules! collections {
    ($($t:ident),+) => {
        $(impl Collection for $t {
            #[inline]
            fn left(&self) -> Left {
                match self.is_empty() {
                    true => Left::Nothing,
                    false => Left::Something,
                }
            }
        })+
    };
}

collections!(Hash, List, Set, Zset);

impl Collection for Stream {
    /// An empty stream still has its last id and its groups.
    #[inline]
    fn left(&self) -> Left {
        Left::Something
    }
}

/// What a change has left of a collection.
#[must_use = "a key of which nothing is left has to be deleted"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    Something,
    Nothing,
}

impl Server {
    /// Lets `change` change the collection at `at`, and answer while it can see it. `None`: there is no `T` there.
    ///
    /// [`Server::delete_if_empty`] has to follow, after the event of the change.
    #[inline(always)]
    pub(super) fn change_value<T: Collection, R>(
        &mut self,
        at: At,
        change: impl FnOnce(&mut T, &mut Clients) -> R,
    ) -> Option<(R, Left)> {
        let Server { clients, dbs, .. } = self;
        let mut value = at.value_mut::<T>(dbs)?;
        let result = change(&mut value, clients);
        Some((result, value.left()))
    }

    /// Deletes a key of which nothing is left, and tells those who listen.
    #[inline]
    pub(super) fn delete_if_empty(&mut self, db: usize, key: &[u8], left: Left) {
        if left == Left::Nothing {
            self.db_delete(db, key);
            self.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
        }
    }

    /// Stores the result of a command at `key`, whatever that held, and counts `changes`; an empty result, `None`, deletes the
    /// key.
    pub(super) fn store_result(
        &mut self,
        cid: ClientId,
        key: &[u8],
        result: Option<NewValue<'_>>,
        (class, event): (EventClass, &str),
        changes: usize,
    ) {
        let db = self.client_db(cid);
        let (class, event, changes) = match result {
            Some(value) => {
                self.set_key_with_lookup(db, key, value);
                (class, event, changes)
            }
            None if self.db_delete(db, key) => (NOTIFY_GENERIC, "del", 1),
            None => return,
        };
        self.signal_modified_key(cid, db, key);
        self.notify_keyspace_event(class, event, key, db);
        self.dirty += changes as i64;
    }
}
