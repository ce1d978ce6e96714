//! The commands: the table of rows, and a file of procs for each family of them. Floor 5.

pub mod bitops;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod debug;
pub mod dump;
pub mod expire;
pub mod hash;
pub mod hyperloglog;
pub mod info;
pub mod keyspace;
pub mod latency;
pub mod list;
pub mod migrate;
pub mod object;
pub mod persist;
pub mod pubsub;
pub mod replication;
pub mod server;
pub mod set;
pub mod slowlog;
pub mod sort;
pub mod string;
pub mod table;
pub mod transactions;
