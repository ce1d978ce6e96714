//! What all commands owe the keys: looking them up, their expiry and eviction, emptying a data set, telling who listens or
//! caches.

pub mod evict;
pub mod expire;
pub mod flush;
pub mod lookup;
pub mod notify;
pub mod tracking;
