//! Values to and from their RDB form (rdbSaveObjectType, rdbSaveObject, rdbLoadObject of rdb.c), for snapshots as well as for
//! DUMP and RESTORE.
//!
//! It knows entries and the wire's primitives. Must not know databases, files, or why a value is read. What comes in is
//! hostile: every count and length is a claim, and the reader allocates nothing ahead of the bytes.

mod stream;

use std::io::{self, Read, Write};

use crate::base::num::string2ll;
use crate::ds::quicklist::NodeRef;
use crate::store::entry::value::Value;
use crate::store::entry::{Encoding, Entry, NewValue, Str, Type};
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::wire::rdb::{
    Poll, QUICKLIST_NODE_PACKED, QUICKLIST_NODE_PLAIN, RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK,
    RDB_TYPE_LIST_QUICKLIST_2, RDB_TYPE_SET, RDB_TYPE_SET_INTSET, RDB_TYPE_SET_LISTPACK,
    RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3,
    RDB_TYPE_STRING, RdbError, RdbErrorKind, RdbReader, RdbString, RdbWriter,
};

/// Strings up to this length may be the decimal text of a 64-bit integer.
const INT_TEXT_MAX: usize = 20;

/// A value that was read and has no key yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loaded {
    /// A string that is a canonical integer.
    Int(i64),
    /// Any other string.
    Bytes(Vec<u8>),
}

impl Loaded {
    /// As an entry takes it.
    pub fn as_new_value(&self) -> NewValue<'_> {
        match self {
            Loaded::Int(n) => NewValue::Int(*n),
            Loaded::Bytes(bytes) => NewValue::Bytes { bytes, raw: false },
        }
    }
}

/// The type byte that the entry's value is written with in a file of this version (rdbSaveObjectType).
#[inline]
pub fn rdb_save_object_type(e: &Entry, version: u16) -> u8 {
    match e.value_type() {
        Type::String => RDB_TYPE_STRING,
        Type::List => RDB_TYPE_LIST_QUICKLIST_2,
        Type::Set => match e.encoding() {
            Encoding::Intset => RDB_TYPE_SET_INTSET,
            Encoding::Listpack => RDB_TYPE_SET_LISTPACK,
            _ => RDB_TYPE_SET,
        },
        Type::Hash => match e.encoding() {
            Encoding::Listpack => RDB_TYPE_HASH_LISTPACK,
            _ => RDB_TYPE_HASH,
        },
        Type::Stream => stream::stream_type(version),
        // No command makes a value of this type yet.
        Type::Zset => RDB_TYPE_STRING,
    }
}

/// Writes the entry's value, without type and key (rdbSaveObject).
///
/// # Errors
/// The sink's.
#[inline]
pub fn rdb_save_object<W: Write>(w: &mut RdbWriter<W>, e: &Entry) -> io::Result<()> {
    match e.any_value().as_deref() {
        Some(Value::List(list)) => return rdb_save_list(w, list),
        Some(Value::Set(set)) => return rdb_save_set(w, set),
        Some(Value::Hash(hash)) => return rdb_save_hash(w, hash),
        Some(Value::Stream(s)) => return stream::save(w, s),
        _ => {}
    }
    match e.string() {
        Str::Int(n) => w.int_string(n),
        Str::Bytes(b) => w.string(b),
    }
}

fn rdb_save_set<W: Write>(w: &mut RdbWriter<W>, set: &Set) -> io::Result<()> {
    match set {
        Set::Intset(s) => w.string(s.bytes()),
        Set::Listpack(lp) => w.string(lp.bytes()),
        Set::Table(t) => {
            w.len(t.len() as u64)?;
            t.iter().try_for_each(|m| w.string(m))
        }
    }
}

fn rdb_save_hash<W: Write>(w: &mut RdbWriter<W>, hash: &Hash) -> io::Result<()> {
    match hash {
        Hash::Listpack(lp) => w.string(lp.bytes()),
        Hash::Table(t) => {
            w.len(t.len() as u64)?;
            t.iter().try_for_each(|(field, value)| {
                w.string(field)?;
                w.string(value)
            })
        }
    }
}

/// A list: its nodes, a listpack being one; compressed nodes go out as they are.
fn rdb_save_list<W: Write>(w: &mut RdbWriter<W>, list: &List) -> io::Result<()> {
    let q = match list {
        List::Listpack(lp) => {
            w.len(1)?;
            w.len(QUICKLIST_NODE_PACKED)?;
            return w.string(lp.bytes());
        }
        List::Quicklist(q) => q,
    };
    w.len(q.node_count() as u64)?;
    for (node, _) in q.nodes() {
        match node {
            NodeRef::Packed(bytes) => {
                w.len(QUICKLIST_NODE_PACKED)?;
                w.string(&bytes)?;
            }
            NodeRef::Lzf { data, raw_len } => {
                w.len(QUICKLIST_NODE_PACKED)?;
                w.lzf_blob(data, raw_len as u64)?;
            }
            NodeRef::Plain(bytes) => {
                w.len(QUICKLIST_NODE_PLAIN)?;
                w.string(bytes)?;
            }
        }
    }
    Ok(())
}

/// The integer that a string is stored as, if it is one (tryObjectEncoding).
#[inline]
fn as_integer(s: &RdbString<'_>) -> Option<i64> {
    match *s {
        RdbString::Int(n) => Some(n),
        RdbString::Bytes(b) if b.len() <= INT_TEXT_MAX => string2ll(b),
        RdbString::Bytes(_) => None,
    }
}

/// Reads a value of type `rdb_type` (rdbLoadObject).
///
/// # Errors
/// What the reader finds wrong; a type that this server does not know is [`RdbErrorKind::UnknownType`].
pub fn rdb_load_object<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    poll: Poll<'_>,
) -> Result<Loaded, RdbError> {
    if rdb_type != RDB_TYPE_STRING {
        return Err(r.error(RdbErrorKind::UnknownType(rdb_type)));
    }
    let s = r.read_string(poll)?;
    Ok(match (as_integer(&s), s) {
        (Some(n), _) | (None, RdbString::Int(n)) => Loaded::Int(n),
        (None, RdbString::Bytes(b)) => Loaded::Bytes(b.to_vec()),
    })
}

/// Reads a value of type `rdb_type` straight into a new entry for `key`, without LRU information; `expire` is Unix
/// milliseconds. The value's bytes are copied once.
///
/// # Errors
/// As [`rdb_load_object`].
#[inline]
pub fn rdb_load_entry<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    key: &[u8],
    expire: Option<i64>,
    poll: Poll<'_>,
) -> Result<Entry, RdbError> {
    match rdb_type {
        RDB_TYPE_STRING => {}
        RDB_TYPE_STREAM_LISTPACKS | RDB_TYPE_STREAM_LISTPACKS_2 | RDB_TYPE_STREAM_LISTPACKS_3 => {
            let value = Value::Stream(stream::load(r, rdb_type, poll)?);
            return Ok(Entry::new(key, NewValue::Value(value), expire));
        }
        _ => return Err(r.error(RdbErrorKind::UnknownType(rdb_type))),
    }
    let s = r.read_string(poll)?;
    let value = match (as_integer(&s), s) {
        (Some(n), _) | (None, RdbString::Int(n)) => NewValue::Int(n),
        (None, RdbString::Bytes(bytes)) => NewValue::Bytes { bytes, raw: false },
    };
    Ok(Entry::new(key, value, expire))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rdb::{RDB_TYPE_HASH, RDB_VERSION, RdbWriterOptions, no_poll};

    #[test]
    fn strings_survive_in_the_encoding_they_deserve() {
        let big = vec![b'x'; 100_000];
        let text: &[(&[u8], Option<i64>)] = &[
            (b"", None),
            (b"12", Some(12)),
            (b"-9223372036854775808", Some(i64::MIN)),
            (b"9223372036854775808", None),
            (b"012", None),
            (b"hello", None),
            (&big, None),
        ];
        for &(bytes, int) in text {
            // An integer's text may also have been stored as bytes, by SETRANGE for one.
            let e = Entry::new(b"k", NewValue::Bytes { bytes, raw: true }, None);
            let mut w = RdbWriter::in_memory(RdbWriterOptions::default());
            rdb_save_object(&mut w, &e).expect("memory");
            let file = w.into_bytes();
            let mut r = RdbReader::for_payload(&file);
            let want = int.map_or(Loaded::Bytes(bytes.to_vec()), Loaded::Int);
            let t = rdb_save_object_type(&e, RDB_VERSION);
            assert_eq!(rdb_load_object(&mut r, t, &mut no_poll), Ok(want));
            let mut r = RdbReader::for_payload(&file);
            let e = rdb_load_entry(&mut r, t, b"key", Some(5), &mut no_poll).expect("valid");
            assert_eq!((e.name(), e.expire()), (&b"key"[..], Some(5)));
            assert_eq!(e.string(), int.map_or(Str::Bytes(bytes), Str::Int));
        }
    }

    #[test]
    fn unknown_types_are_refused() {
        let mut r = RdbReader::for_payload(b"\x01a");
        let e = rdb_load_object(&mut r, RDB_TYPE_HASH, &mut no_poll).expect_err("no hashes");
        assert_eq!(e.kind, RdbErrorKind::UnknownType(RDB_TYPE_HASH));
    }
}
