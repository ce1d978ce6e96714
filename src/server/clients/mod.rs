//! Connections and those at their other end: accepting, reading requests as they come, the client and its output, what it may
//! take of memory, and what it is sent without having asked.

pub mod buffers;
pub mod client;
pub mod eviction;
pub mod flags;
pub mod info;
pub mod listen;
pub mod networking;
pub mod pubsub;
pub mod reply;
pub mod spill;
pub mod subscriptions;
