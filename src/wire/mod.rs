//! What goes over a wire or into a file, as bytes: RESP, RDB, the replication log, the replica's handshake and the
//! master's answer to it. Floor 2: no sockets, no clocks, no keyspace; everything here is driven by its caller and tested
//! without a server.

pub(crate) mod ahead;
pub(crate) mod aof;
pub(crate) mod cluster;
pub(crate) mod rdb;
pub(crate) mod replication;
pub(crate) mod reply;
pub(crate) mod resp;
