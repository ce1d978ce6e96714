//! One logical database (redisDb): its keys and the counters that expiry keeps about them.
//!
//! Invariant: `expires_cursor` is a hint; it may lie beyond the expire index, whose length changes under it.

use crate::ds::table::KeyHasher;
use crate::store::entry::keyspace::Keyspace;

/// A numbered database.
pub(crate) struct Db {
    pub keys: Keyspace,
    /// Average time to live of the keys with an expiry, in ms, as the active cycle last estimated it.
    pub avg_ttl: i64,
    /// Where the active expire cycle goes on in the expire index.
    pub expires_cursor: usize,
}

impl Db {
    /// With `by_slot`, it knows the keys of each hash slot of a cluster.
    pub(crate) fn new(hasher: KeyHasher, by_slot: bool) -> Db {
        Db {
            keys: match by_slot {
                false => Keyspace::new(hasher),
                true => Keyspace::with_slots(hasher),
            },
            avg_ttl: 0,
            expires_cursor: 0,
        }
    }
}
