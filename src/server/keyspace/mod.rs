//! What all commands owe the keys: looking them up, their expiry and eviction, emptying a data set, telling who listens or
//! caches.

pub(crate) mod evict;
pub(crate) mod expire;
pub(crate) mod flush;
pub(crate) mod lookup;
pub(crate) mod notify;
pub(crate) mod tracking;
