//! What replication says over a link, as bytes and states: the replica's handshake and the master's answer to it, payloads, what
//! a replica can do, the stream's log, how far behind replicas are, loops, the masters further up, and what a broken link means. No sockets, no clocks.

pub(crate) mod backlog;
pub(crate) mod backoff;
pub(crate) mod capabilities;
pub(crate) mod diagnose;
pub(crate) mod handshake;
pub(crate) mod lag;
pub(crate) mod payload;
pub(crate) mod psync;
pub(crate) mod replid;
pub(crate) mod ring;
pub(crate) mod upstream;
