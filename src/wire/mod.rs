//! What goes over a wire or into a file, as bytes: RESP, RDB, the replication log, the replica's handshake and the
//! master's answer to it. Floor 2: no sockets, no clocks, no keyspace; everything here is driven by its caller and tested
//! without a server.

pub mod ahead;
pub mod aof;
pub mod backlog;
pub mod backoff;
pub mod capabilities;
pub mod diagnose;
pub mod handshake;
pub mod lag;
pub mod payload;
pub mod psync;
pub mod rdb;
pub mod replid;
pub mod resp;
pub mod ring;
