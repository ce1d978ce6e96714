//! The keyspace: entries, databases, expiry. Floor 3: it knows keys, values and time stamps handed to it, and nothing of
//! clients, replication or files.

pub(crate) mod db;
#[allow(unsafe_code)]
pub(crate) mod entry;
pub(crate) mod evict;
pub(crate) mod hash;
pub(crate) mod list;
pub(crate) mod rdb_value;
pub(crate) mod rewrite;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod zset;
