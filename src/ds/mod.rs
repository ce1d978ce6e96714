//! Data structures that the stores are made of. Floor 1: they know bytes and pointers, never a key's meaning, a client or a
//! clock. Each file states its own invariants; `unsafe` is confined to them.

pub mod field;
pub mod hll;
pub mod idmap;
pub mod intset;
pub mod listpack;
pub mod member;
pub mod ordered;
pub mod quicklist;
pub mod sbuf;
pub mod table;
pub mod ziplist;
pub mod zipmap;
