//! What replication says over a link, as bytes and states: the replica's handshake and the master's answer to it, payloads, what
//! a replica can do, the stream's log, how far behind replicas are, loops, and what a broken link means. No sockets, no clocks.

pub mod backlog;
pub mod backoff;
pub mod capabilities;
pub mod diagnose;
pub mod handshake;
pub mod lag;
pub mod payload;
pub mod psync;
pub mod replid;
pub mod ring;
