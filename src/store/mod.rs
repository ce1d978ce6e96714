//! The keyspace: entries, databases, expiry. Floor 3: it knows keys, values and time stamps handed to it, and nothing of
//! clients, replication or files.

pub mod db;
pub mod entry;
pub mod evict;
pub mod hash;
pub mod list;
pub mod rdb_value;
pub mod rewrite;
pub mod set;
pub mod stream;
pub mod zset;
