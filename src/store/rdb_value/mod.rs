//! Values to and from their RDB form (rdbSaveObjectType, rdbSaveObject, rdbLoadObject of rdb.c), for snapshots as well as for
//! DUMP and RESTORE.
//!
//! It knows entries and the wire's primitives. Must not know databases, files, or why a value is read. What comes in is
//! hostile: every count and length is a claim, and the reader allocates nothing ahead of the bytes.

mod load;
mod parts;
mod pieces;
mod record;
mod stream;

pub(crate) use load::{LoadLimits, Loaded, rdb_load_entry, rdb_load_object};
pub(crate) use pieces::{Pieces, is_bulky};
pub(crate) use record::{Records, Usage};

use std::io::{self, Write};

use self::parts::{save_list_node, save_value};
use self::stream::rdb_save_stream;
use crate::store::entry::value::Value;
use crate::store::entry::{Encoding, Entry, Str, Type};
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::zset::Zset;
use crate::wire::rdb::{
    QUICKLIST_NODE_PACKED, RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK, RDB_TYPE_LIST,
    RDB_TYPE_LIST_QUICKLIST_2, RDB_TYPE_SET, RDB_TYPE_SET_INTSET, RDB_TYPE_SET_LISTPACK,
    RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3,
    RDB_TYPE_STRING, RDB_TYPE_ZSET_2, RDB_TYPE_ZSET_LISTPACK, RdbWriter, RdbWriterOptions,
    create_dump_payload,
};

/// The first version whose readers know listpacks (Redis 7.0), and sets of them and the active time of consumers (7.2).
const RDB_VERSION_LISTPACK: u16 = 10;
const RDB_VERSION_SET_LISTPACK: u16 = 11;

/// The payload that makes a value (createDumpPayload). None when it cannot be written: it must not be sent in part.
pub(crate) fn dump_payload(e: &Entry, version: u16, compression: bool) -> Option<Vec<u8>> {
    let mut w = RdbWriter::in_memory(RdbWriterOptions {
        version,
        compression,
        checksum: false,
    });
    w.type_byte(rdb_save_object_type(e, version))
        .and_then(|()| rdb_save_object(&mut w, e))
        .ok()?;
    let mut payload = w.into_bytes();
    create_dump_payload(&mut payload, version);
    Some(payload)
}

/// The type byte that the entry's value is written with (rdbSaveObjectType), for a file of this version.
#[inline]
pub(crate) fn rdb_save_object_type(e: &Entry, version: u16) -> u8 {
    let listpacks = version >= RDB_VERSION_LISTPACK;
    match (e.value_type(), e.encoding()) {
        (Type::String, _) => RDB_TYPE_STRING,
        (Type::List, _) if listpacks => RDB_TYPE_LIST_QUICKLIST_2,
        (Type::List, _) => RDB_TYPE_LIST,
        (Type::Set, Encoding::Intset) => RDB_TYPE_SET_INTSET,
        (Type::Set, Encoding::Listpack) if version >= RDB_VERSION_SET_LISTPACK => {
            RDB_TYPE_SET_LISTPACK
        }
        (Type::Set, _) => RDB_TYPE_SET,
        (Type::Hash, Encoding::Listpack) if listpacks => RDB_TYPE_HASH_LISTPACK,
        (Type::Hash, _) => RDB_TYPE_HASH,
        (Type::Zset, Encoding::Listpack) if listpacks => RDB_TYPE_ZSET_LISTPACK,
        (Type::Zset, _) => RDB_TYPE_ZSET_2,
        (Type::Stream, _) if version >= RDB_VERSION_SET_LISTPACK => RDB_TYPE_STREAM_LISTPACKS_3,
        (Type::Stream, _) if listpacks => RDB_TYPE_STREAM_LISTPACKS_2,
        (Type::Stream, _) => RDB_TYPE_STREAM_LISTPACKS,
    }
}

/// Writes the entry's value, without type and key (rdbSaveObject).
///
/// # Errors
/// The sink's.
#[inline]
pub(crate) fn rdb_save_object<W: Write>(w: &mut RdbWriter<W>, e: &Entry) -> io::Result<()> {
    if e.value_type() == Type::String {
        return match e.string() {
            Str::Int(n) => w.int_string(n),
            Str::Bytes(b) => w.string(b),
        };
    }
    let rdb_type = rdb_save_object_type(e, w.version());
    match e.any_value().as_deref() {
        Some(Value::List(list)) if rdb_type == RDB_TYPE_LIST => rdb_save_plain_list(w, list),
        Some(Value::List(list)) => rdb_save_list(w, list),
        Some(Value::Set(set)) if rdb_type == RDB_TYPE_SET => rdb_save_plain_set(w, set),
        Some(Value::Set(Set::Intset(s))) => w.string(s.bytes()),
        Some(Value::Set(Set::Listpack(lp))) => w.string(lp.bytes()),
        Some(Value::Hash(hash)) if rdb_type == RDB_TYPE_HASH => rdb_save_plain_hash(w, hash),
        Some(Value::Hash(Hash::Listpack(lp))) => w.string(lp.bytes()),
        Some(Value::Zset(zset)) if rdb_type == RDB_TYPE_ZSET_2 => rdb_save_plain_zset(w, zset),
        Some(Value::Zset(Zset::Listpack(lp))) => w.string(lp.bytes()),
        Some(Value::Stream(s)) => rdb_save_stream(w, &s.0, rdb_type),
        // A table has no other form than the plain one.
        Some(Value::Set(_) | Value::Hash(_) | Value::Zset(_)) | None => Ok(()),
    }
}

fn rdb_save_plain_list<W: Write>(w: &mut RdbWriter<W>, list: &List) -> io::Result<()> {
    w.len(list.len() as u64)?;
    let mut done = Ok(());
    list.for_each(|v| {
        if done.is_ok() {
            done = save_value(w, v);
        }
    });
    done
}

fn rdb_save_plain_set<W: Write>(w: &mut RdbWriter<W>, set: &Set) -> io::Result<()> {
    w.len(set.len() as u64)?;
    set.iter().try_for_each(|m| save_value(w, m))
}

fn rdb_save_plain_hash<W: Write>(w: &mut RdbWriter<W>, hash: &Hash) -> io::Result<()> {
    w.len(hash.len() as u64)?;
    hash.iter().try_for_each(|(field, value)| {
        save_value(w, field)?;
        save_value(w, value.value())
    })
}

/// From the highest score down, as upstream writes it: a reader that adds at the front of its list is quick then.
fn rdb_save_plain_zset<W: Write>(w: &mut RdbWriter<W>, zset: &Zset) -> io::Result<()> {
    let n = zset.len();
    w.len(n as u64)?;
    for (member, score) in zset.range_rev(0..n) {
        save_value(w, member)?;
        w.double(score)?;
    }
    Ok(())
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
    q.nodes().try_for_each(|(node, _)| save_list_node(w, node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Prng;
    use crate::config::fields::Config;
    use crate::ds::field::FieldValue;
    use crate::ds::listpack::Listpack;
    use crate::ds::listpack::LpValue;
    use crate::ds::quicklist::End;
    use crate::ds::ziplist::tests::ziplist;
    use crate::store::entry::NewValue;
    use crate::store::rewrite::pieces::RewritePieces;
    use crate::store::rewrite::rewrite_object;
    use crate::store::stream::StreamId;
    use crate::store::stream::{NodeLimits, Stream};
    use crate::store::zset::AddFlags;
    use crate::wire::rdb::{
        RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_LIST_QUICKLIST, RDB_TYPE_LIST_ZIPLIST,
        RDB_TYPE_ZSET_ZIPLIST, RdbError, RdbErrorKind, RdbReader, RdbWriterOptions, no_poll,
    };

    fn limits() -> LoadLimits {
        LoadLimits::new(&Config::default(), true)
    }

    fn entry(v: Value) -> Entry {
        Entry::new(b"k", NewValue::Value(v), None)
    }

    /// The commands that make a value: what it holds, in its order.
    fn contents(e: &Entry) -> Vec<u8> {
        let mut out = Vec::new();
        rewrite_object(&mut out, e).expect("memory");
        out
    }

    fn saved(e: &Entry, version: u16) -> (u8, Vec<u8>) {
        let mut w = RdbWriter::in_memory(RdbWriterOptions {
            version,
            ..RdbWriterOptions::default()
        });
        rdb_save_object(&mut w, e).expect("memory");
        (rdb_save_object_type(e, version), w.into_bytes())
    }

    /// Commands by pieces, and in how many.
    fn contents_by_pieces(e: &Entry, bytes: usize) -> (Vec<u8>, usize) {
        let (mut out, mut n) = (Vec::new(), 1);
        let mut pieces = RewritePieces::begin(e);
        while pieces.more(&mut out, e, bytes) {
            n += 1;
        }
        (out, n)
    }

    #[test]
    fn commands_by_pieces_make_what_the_whole_makes() {
        // The order of a table's elements, and how they are put together, make no difference.
        let words = |commands: &[u8]| {
            let lines = commands.split(|b| *b == b'\n');
            let lines = lines.filter(|l| !l.starts_with(b"*") && !l.starts_with(b"$"));
            let mut words: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
            words.retain(|w| {
                !matches!(
                    &w[..],
                    b"SADD\r" | b"HMSET\r" | b"ZADD\r" | b"RPUSH\r" | b"k\r"
                )
            });
            words.sort();
            words
        };
        let mut several = 0;
        for e in values() {
            for bytes in [1, 1000, usize::MAX] {
                let (out, n) = contents_by_pieces(&e, bytes);
                assert!(words(&out) == words(&contents(&e)), "{:?}", e.value_type());
                several += usize::from(n > 10);
            }
        }
        assert!(several > 10);
    }

    fn load(rdb_type: u8, bytes: &[u8]) -> Result<Option<Entry>, RdbError> {
        let mut r = RdbReader::for_payload(bytes);
        rdb_load_entry(&mut r, rdb_type, b"k", None, &limits(), &mut no_poll)
    }

    /// Values of every type in every encoding.
    fn values() -> Vec<Entry> {
        let l = limits();
        let big = vec![b'x'; 9000];
        let mut out = Vec::new();
        for n in [1, 10, 600, 20_000] {
            let mut list = List::new();
            let mut ints = Set::create(b"1", 1, &l.set);
            let mut words = Set::create(b"x", 1, &l.set);
            let mut hash = Hash::Listpack(Listpack::new());
            let mut zset = Zset::create(1, 1, &l.zset);
            for i in 0..n {
                let word = format!("element {i}");
                let number = (i * 7919).to_string();
                for s in [word.as_bytes(), number.as_bytes()] {
                    list.grow(l.list, s.len(), 1);
                    list.push(End::Tail, s, l.list);
                }
                ints.add(number.as_bytes(), &l.set);
                words.add(word.as_bytes(), &l.set);
                hash.set(
                    word.as_bytes(),
                    FieldValue::Bytes(number.as_bytes()),
                    &l.hash,
                );
                let score = f64::from(i) / 3.0 - 5.0;
                let added = zset.add(score, word.as_bytes(), AddFlags::default(), &l.zset);
                assert!(added.is_ok());
            }
            if n == 10 {
                list.grow(l.list, big.len(), 1);
                list.push(End::Head, &big, l.list);
                hash.set(b"big", FieldValue::Bytes(&big), &l.hash);
                let inf = zset.add(f64::INFINITY, b"inf", AddFlags::default(), &l.zset);
                assert!(inf.is_ok());
            }
            out.push(entry(Value::List(list)));
            out.push(entry(Value::Set(ints)));
            out.push(entry(Value::Set(words)));
            out.push(entry(Value::Hash(hash)));
            out.push(entry(Value::Zset(zset)));
        }
        out.push(entry(Value::Stream(stream())));
        out
    }

    fn stream() -> Stream {
        let mut s = Stream::new();
        let node = NodeLimits {
            max_bytes: 4096,
            max_entries: 100,
        };
        for i in 1..500u64 {
            let value = i.to_string();
            let fields: [&[u8]; 4] = [b"field", value.as_bytes(), b"other", b"x"];
            let id = StreamId::new(i, i % 3);
            assert!(s.0.append_item(id, 2, |i| fields[i], node));
        }
        s.0.delete_items(&[StreamId::new(7, 1), StreamId::new(8, 2)]);
        let group = s.0.create_cg(b"g", StreamId::new(100, 1), 98).expect("new");
        let a = group.create_consumer(b"alice", 5000).expect("new");
        group.create_consumer(b"bob", 6000).expect("new");
        for i in [3, 9, 90] {
            group.deliver(StreamId::new(i, i % 3), a, 7000 + i as i64);
        }
        s
    }

    #[test]
    fn every_value_survives_every_version() {
        for e in values() {
            let want = contents(&e);
            for version in [9, 10, 11] {
                let (rdb_type, bytes) = saved(&e, version);
                let back = load(rdb_type, &bytes).expect("valid").expect("not empty");
                assert_eq!(back.value_type(), e.value_type());
                let unordered = e.encoding() == Encoding::Ht;
                if !unordered {
                    assert_eq!(back.encoding(), e.encoding(), "version {version}");
                    // Version 9 does not know all of a stream's counters.
                    let whole = version >= 10 || e.value_type() != Type::Stream;
                    assert!(
                        !whole || contents(&back) == want,
                        "{:?} {version}",
                        e.encoding()
                    );
                } else {
                    let (Some(a), Some(b)) = (e.any_value(), back.any_value()) else {
                        panic!("a table is no string")
                    };
                    assert_eq!(a.len(), b.len());
                }
            }
        }
    }

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
            let (rdb_type, file) = saved(&e, 11);
            let e = load(rdb_type, &file).expect("valid").expect("a string");
            assert_eq!(e.string(), int.map_or(Str::Bytes(bytes), Str::Int));
            let mut r = RdbReader::for_payload(&file);
            let loaded = rdb_load_object(&mut r, rdb_type, &limits(), &mut no_poll);
            match (loaded.expect("valid"), int) {
                (Loaded::Int(n), Some(want)) => assert_eq!(n, want),
                (Loaded::Bytes(b), None) => assert_eq!(b, bytes),
                _ => panic!("another form of {bytes:?}"),
            }
        }
    }

    #[test]
    fn old_encodings_are_converted() {
        let z = ziplist(&[LpValue::Str(b"a"), LpValue::Int(5)]);
        let payload = |bytes: &[u8], count: bool| {
            let mut w = RdbWriter::in_memory(RdbWriterOptions::default());
            if count {
                w.len(1).expect("memory");
            }
            w.string(bytes).expect("memory");
            w.into_bytes()
        };
        let read = |t: u8, count| {
            let e = load(t, &payload(&z, count)).expect("valid");
            String::from_utf8(contents(&e.expect("not empty"))).expect("text")
        };
        let lists = "*4\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\n5\r\n";
        assert_eq!(read(RDB_TYPE_LIST_ZIPLIST, false), lists);
        assert_eq!(read(RDB_TYPE_LIST_QUICKLIST, true), lists);
        let hash = "*4\r\n$5\r\nHMSET\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\n5\r\n";
        assert_eq!(read(RDB_TYPE_HASH_ZIPLIST, false), hash);
        let zset = "*4\r\n$4\r\nZADD\r\n$1\r\nk\r\n$1\r\n5\r\n$1\r\na\r\n";
        assert_eq!(read(RDB_TYPE_ZSET_ZIPLIST, false), zset);
    }

    #[test]
    fn empty_collections_are_told_from_errors() {
        for t in [RDB_TYPE_LIST, RDB_TYPE_SET, RDB_TYPE_HASH, RDB_TYPE_ZSET_2] {
            assert!(matches!(load(t, &[0]), Ok(None)));
            assert!(load(t, &[1]).is_err());
        }
        // Two members that are the same.
        assert_eq!(
            load(RDB_TYPE_SET, b"\x02\x01a\x01a").err().map(|e| e.kind),
            Some(RdbErrorKind::Value("Duplicate set members detected"))
        );
    }

    /// Flipped bytes and cuts: refused, or a value that can be walked, copied and written.
    #[test]
    fn damage_is_survived() {
        let mut rng = Prng::new(20_241_124);
        for e in values().iter().filter(|e| e.mem_usage() < 20_000) {
            for version in [10, 11] {
                let (rdb_type, bytes) = saved(e, version);
                for _ in 0..300 {
                    let mut bad = bytes.clone();
                    let i = rng.index(bad.len());
                    bad[i] = rng.next_u64() as u8;
                    if rng.below(4) == 0 {
                        bad.truncate(rng.index(bad.len() + 1));
                    }
                    if let Ok(Some(e)) = load(rdb_type, &bad) {
                        contents(&e);
                        saved(&e, version);
                        if let Some(v) = e.any_value() {
                            drop(v.deep_clone());
                        }
                    }
                }
            }
        }
    }

    fn load_of(
        version: u16,
        rdb_type: u8,
        bytes: &[u8],
        now: Option<i64>,
    ) -> Result<Option<Entry>, RdbErrorKind> {
        let mut r = RdbReader::for_payload(bytes);
        r.assume_version(version);
        let mut limits = limits();
        limits.fields_expired_by = now;
        rdb_load_entry(&mut r, rdb_type, b"k", None, &limits, &mut no_poll).map_err(|e| e.kind)
    }

    /// Values as redis-server 8.2 and valkey-server 9.1 write them.
    #[test]
    fn hashes_of_later_servers() {
        /// Unix milliseconds of the field `a`.
        const AT: i64 = 9_999_999_999_999;
        let valkey =
            b"\x02\x01a\xc0\x01\xff\x9frN\x18\x09\0\0\x01b\xc0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
        let table = b"\xff\x9frN\x18\x09\0\0\x02\x00\x01b\xc0\x02\x01\x01a\xc0\x01";
        let packed = b"\xff\x9frN\x18\x09\0\0\x1d\x1d\0\0\0\x06\0\x81a\x02\x01\x01\xf4\xff\x9frN\x18\x09\0\0\x09\x81b\x02\x02\x01\0\x01\xff";
        let persisted = b"\xff\x9frN\x18\x09\0\0\x15\x15\0\0\0\x06\0\x81b\x02\x02\x01\0\x01\x81a\x02\x01\x01\0\x01\xff";
        let forms: [(u16, u8, &[u8]); 5] = [
            (80, 22, valkey),
            (12, 24, table),
            (12, 25, packed),
            // The release candidates had no least expiry in front.
            (
                12,
                22,
                b"\x02\x00\x01b\xc0\x02\x81\x00\x00\x09\x18\x4er\x9f\xff\x01a\xc0\x01",
            ),
            (12, 23, &packed[8..]),
        ];
        for (version, t, bytes) in forms {
            let refused = Some(RdbErrorKind::FieldExpiry);
            assert_eq!(load_of(version, t, bytes, None).err(), refused, "{t}");
            assert_eq!(load_of(version, t, bytes, Some(AT)).err(), refused, "{t}");
            // Who wrote it would not show the field any more.
            let e = load_of(version, t, bytes, Some(AT + 1))
                .expect("valid")
                .expect("not empty");
            let text = String::from_utf8(contents(&e)).expect("text");
            assert_eq!(
                text, "*4\r\n$5\r\nHMSET\r\n$1\r\nk\r\n$1\r\nb\r\n$1\r\n2\r\n",
                "{t}"
            );
            // An older file has no such type.
            let unknown = Some(RdbErrorKind::UnknownType(t));
            assert_eq!(load_of(11, t, bytes, None).err(), unknown);
        }
        let e = load_of(12, 25, persisted, None)
            .expect("valid")
            .expect("not empty");
        assert_eq!(
            (e.encoding(), e.value_type()),
            (Encoding::Listpack, Type::Hash)
        );
        // Nothing is left of a hash whose fields have all expired.
        let gone = load_of(80, 22, &[&[1u8][..], &valkey[1..13]].concat(), Some(AT + 1));
        assert!(gone.is_ok_and(|e| e.is_none()));
        let twice = b"\x02\x00\x01b\xc0\x02\x00\x01b\xc0\x03";
        assert_eq!(
            load_of(12, 22, twice, None).err(),
            Some(RdbErrorKind::Value("Duplicate hash fields detected"))
        );
    }

    #[test]
    fn streams_of_redis_8_6() {
        let e = entry(Value::Stream(stream()));
        let (_, bytes) = saved(&e, 11);
        let without = [&bytes[..], b"\x40\x64\x40\x64\x00\x00\x00"].concat();
        let back = load_of(13, 26, &without, None)
            .expect("valid")
            .expect("not empty");
        assert_eq!(contents(&back), contents(&e));
        let with = [
            &bytes[..],
            b"\x40\x64\x40\x64\x01\x03pid\x01\x03iid\x01\x01\x01\x00",
        ]
        .concat();
        let refused = Some(RdbErrorKind::IdempotentProducers);
        assert_eq!(load_of(13, 26, &with, None).err(), refused);
        assert_eq!(
            load_of(13, 26, &bytes, None).err(),
            Some(RdbErrorKind::ShortRead)
        );
        assert_eq!(
            load_of(80, 26, &with, None).err(),
            Some(RdbErrorKind::UnknownType(26))
        );
    }

    #[test]
    fn unknown_types_are_refused() {
        let kind = load(22, b"\x01a").err().map(|e| e.kind);
        assert_eq!(kind, Some(RdbErrorKind::UnknownType(22)));
    }
}
