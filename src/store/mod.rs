//! The keyspace: entries, databases, expiry. Floor 3: it knows keys, values and time stamps handed to it, and nothing of
//! clients, replication or files.

pub mod db;
pub mod entry;
pub mod rdb_value;
