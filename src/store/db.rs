//! One logical database (redisDb): its keys and what expiry estimates about them.

use crate::ds::table::KeyHasher;
use crate::store::entry::keyspace::Keyspace;

/// A numbered database.
pub(crate) struct Db {
    pub keys: Keyspace,
    /// Average time to live of the keys with an expiry, in ms, as the active cycle last estimated it.
    pub avg_ttl: i64,
}

/// A database of so many keys is not freed where others wait for it.
const LARGE_KEYS: usize = 512;

impl Db {
    /// Freeing it takes so long that others would notice.
    pub(crate) fn is_large(&self) -> bool {
        let mut any = self.keys.len() > LARGE_KEYS;
        if !any {
            self.keys.for_each(|e| any |= e.is_large());
        }
        any
    }

    /// With `by_slot`, it knows the keys of each hash slot of a cluster.
    pub(crate) fn new(hasher: KeyHasher, by_slot: bool) -> Db {
        Db {
            keys: match by_slot {
                false => Keyspace::new(hasher),
                true => Keyspace::with_slots(hasher),
            },
            avg_ttl: 0,
        }
    }
}
