//! Connections and those at their other end: accepting, reading requests as they come, the client and its output, what it may
//! take of memory, and what it is sent without having asked.

pub(crate) mod buffers;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod eviction;
pub(crate) mod flags;
pub(crate) mod info;
pub(crate) mod link_io;
pub(crate) mod listen;
pub(crate) mod networking;
pub(crate) mod pubsub;
pub(crate) mod reply;
pub(crate) mod spill;
pub(crate) mod subscriptions;
pub(crate) mod tls;
