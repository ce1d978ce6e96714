//! Values as the commands that make them, for a rewrite of the append-only file (rewriteListObject and its kin of aof.c).
//!
//! It knows values and RESP; not which file the commands go to.

use std::io::{self, Write};

use crate::store::entry::{Entry, Str, Type};
use crate::wire::resp;

/// Elements a command has at the most (AOF_REWRITE_ITEMS_PER_CMD).
pub const AOF_REWRITE_ITEMS_PER_CMD: usize = 64;

/// Writes the commands that make the entry's value; its expiry is the caller's.
///
/// # Errors
/// The sink's.
pub fn rewrite_object<W: Write>(w: &mut W, e: &Entry) -> io::Result<()> {
    let mut line = Vec::new();
    match e.value_type() {
        Type::String => {
            let mut n = itoa::Buffer::new();
            let value = match e.string() {
                Str::Int(i) => n.format(i).as_bytes(),
                Str::Bytes(b) => b,
            };
            let words: [&[u8]; 3] = [b"SET", e.name(), value];
            resp::push_command(&mut line, words.into_iter());
        }
        Type::List | Type::Set | Type::Zset | Type::Hash | Type::Stream => {}
    }
    w.write_all(&line)
}
