//! Tests of reader and writer together: round trips, files by hand, files that are cut or altered.

use std::io::{self, Read};

use proptest::prelude::*;

use super::read::RdbKey;
use super::*;

fn options(compression: bool) -> RdbWriterOptions {
    RdbWriterOptions {
        compression,
        ..Default::default()
    }
}

/// Hands out its bytes in pieces of at most `step`, saying `WouldBlock` before each if told so.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
    block: bool,
    blocked: bool,
}

impl<'a> Drip<'a> {
    fn new(bytes: &'a [u8], step: usize, block: bool) -> Self {
        Drip {
            bytes,
            step,
            block,
            blocked: false,
        }
    }
}

impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.blocked = self.block && !self.blocked;
        if self.blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = buf.len().min(self.step).min(self.bytes.len());
        buf[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

/// A record that owns its bytes; values of type string only, others are skipped.
#[derive(Debug, PartialEq)]
enum Owned {
    Aux(Vec<u8>, Vec<u8>),
    ResizeDb(u64, u64),
    SelectDb(u64),
    Function2(Vec<u8>),
    ModuleAux(u64, u64),
    Key(RdbKey, Vec<u8>, Option<Vec<u8>>),
    Eof(RdbChecksum),
}

fn walk<R: Read>(r: &mut RdbReader<R>, poll: Poll<'_>) -> Result<Vec<Owned>, RdbError> {
    r.header(poll)?;
    let mut all = Vec::new();
    let mut key = Vec::new();
    loop {
        let one = match r.next_record(&mut key, poll)? {
            RdbRecord::Aux { key, value } => Owned::Aux(key.into(), value.into()),
            RdbRecord::ResizeDb { keys, expires } => Owned::ResizeDb(keys, expires),
            RdbRecord::SelectDb(id) => Owned::SelectDb(id),
            RdbRecord::Function2(code) => Owned::Function2(code.into()),
            RdbRecord::ModuleAux { id, when } => {
                r.skip_module_value(poll)?;
                Owned::ModuleAux(id, when)
            }
            RdbRecord::Key(k) if k.rdb_type == RDB_TYPE_STRING => {
                let mut value = Vec::new();
                r.read_string(poll)?.append_to(&mut value);
                Owned::Key(k, key.clone(), Some(value))
            }
            RdbRecord::Key(k) => {
                r.skip_value(k.rdb_type, poll)?;
                Owned::Key(k, key.clone(), None)
            }
            RdbRecord::Eof(sum) => Owned::Eof(sum),
        };
        let end = matches!(one, Owned::Eof(_));
        all.push(one);
        if end {
            return Ok(all);
        }
    }
}

fn walk_bytes(bytes: &[u8]) -> Result<Vec<Owned>, RdbError> {
    walk(&mut RdbReader::new(bytes), &mut no_poll)
}

fn kind(bytes: &[u8]) -> RdbErrorKind {
    walk_bytes(bytes).unwrap_err().kind
}

fn key(rdb_type: u8) -> RdbKey {
    RdbKey {
        rdb_type,
        expire_ms: None,
        idle: None,
        freq: None,
    }
}

/// A file of version 11 around `records`, with a right checksum.
fn file(records: &[u8]) -> Vec<u8> {
    let mut bytes = [b"REDIS0011", records, b"\xff"].concat();
    let sum = crc64(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// The body of a value of each type, as small as shows its structure.
fn values() -> Vec<(u8, Vec<u8>)> {
    let id = [7u8; 16];
    let ms = [1u8; 8];
    let stream = |t: u8| {
        let mut v = vec![1, 16];
        v.extend(id);
        v.extend(b"\x03lpx"); // node
        v.extend([1, 2, 3]); // length, last id
        if t != RDB_TYPE_STREAM_LISTPACKS {
            v.extend([4, 5, 6, 7, 8]);
        }
        v.push(1); // groups
        v.extend(b"\x01g\x02\x03");
        if t != RDB_TYPE_STREAM_LISTPACKS {
            v.push(9);
        }
        v.push(1); // pending
        v.extend(id);
        v.extend(ms);
        v.push(5);
        v.push(1); // consumers
        v.extend(b"\x01c");
        v.extend(ms);
        if t == RDB_TYPE_STREAM_LISTPACKS_3 {
            v.extend(ms);
        }
        v.push(1);
        v.extend(id);
        v
    };
    let one = b"\x04blob".to_vec();
    vec![
        (RDB_TYPE_STRING, b"\xc1\x00\x10".to_vec()),
        (RDB_TYPE_LIST, b"\x02\x01a\xc0\x05".to_vec()),
        (RDB_TYPE_SET, b"\x02\x01a\x01b".to_vec()),
        (
            RDB_TYPE_ZSET,
            b"\x04\x01a\x031.5\x01b\xff\x01c\xfe\x01d\xfd".to_vec(),
        ),
        (RDB_TYPE_HASH, b"\x01\x01f\x01v".to_vec()),
        (
            RDB_TYPE_ZSET_2,
            [b"\x01\x01a".as_slice(), &1.5f64.to_le_bytes()].concat(),
        ),
        (
            RDB_TYPE_MODULE_2,
            [
                b"\x81\0\0\0\0\0\0\0\x01\x01\x05\x02\x06\x03".as_slice(),
                &[0; 4],
                b"\x04",
                &[0; 8],
                b"\x05\x01s\x00",
            ]
            .concat(),
        ),
        (RDB_TYPE_HASH_ZIPMAP, one.clone()),
        (RDB_TYPE_LIST_ZIPLIST, one.clone()),
        (RDB_TYPE_SET_INTSET, one.clone()),
        (RDB_TYPE_ZSET_ZIPLIST, one.clone()),
        (RDB_TYPE_HASH_ZIPLIST, one.clone()),
        (RDB_TYPE_LIST_QUICKLIST, b"\x02\x02lp\x02lq".to_vec()),
        (RDB_TYPE_STREAM_LISTPACKS, stream(RDB_TYPE_STREAM_LISTPACKS)),
        (RDB_TYPE_HASH_LISTPACK, one.clone()),
        (RDB_TYPE_ZSET_LISTPACK, one.clone()),
        (
            RDB_TYPE_LIST_QUICKLIST_2,
            b"\x02\x02\x02lp\x01\x05plain".to_vec(),
        ),
        (
            RDB_TYPE_STREAM_LISTPACKS_2,
            stream(RDB_TYPE_STREAM_LISTPACKS_2),
        ),
        (RDB_TYPE_SET_LISTPACK, one),
        (
            RDB_TYPE_STREAM_LISTPACKS_3,
            stream(RDB_TYPE_STREAM_LISTPACKS_3),
        ),
    ]
}

/// One key of every type, and every opcode.
fn everything() -> Vec<u8> {
    let mut r =
        b"\xfa\x01a\xc0\x07\xf5\x04code\xf7\x05\x02\x01\x02\x09\x00\xfe\x03\xfb\x14\x03".to_vec();
    r.extend(b"\xfd\x02\x00\x00\x00\xf8\x40\x80\xf9\xc8");
    for (t, body) in values() {
        r.extend([t, 2, b'k', t]);
        r.extend(body);
        r.extend(b"\xfc\x10\x00\x00\x00\x00\x00\x00\x00");
    }
    r.extend(b"\x00\x01z\xc3\x05\x40\x64\x00a\xe0\x5a\x00");
    file(&r)
}

#[test]
fn every_opcode_and_type_is_walked() {
    let bytes = everything();
    for (step, block) in [(1, true), (1, false), (7, true), (usize::MAX, false)] {
        let mut r = RdbReader::new(Drip::new(&bytes, step, block));
        let all = walk(&mut r, &mut |_| Ok(())).unwrap();
        assert_eq!(all[0], Owned::Aux(b"a".into(), b"7".into()));
        assert_eq!(all[1], Owned::Function2(b"code".into()));
        assert_eq!(all[2], Owned::ModuleAux(5, 1));
        assert_eq!(all[3], Owned::SelectDb(3));
        assert_eq!(all[4], Owned::ResizeDb(20, 3));
        let first = RdbKey {
            rdb_type: 0,
            expire_ms: Some(2000),
            idle: Some(128),
            freq: Some(200),
        };
        assert_eq!(
            all[5],
            Owned::Key(first, b"k\0".into(), Some(b"4096".into()))
        );
        let rest: Vec<u8> = values().iter().map(|v| v.0).collect();
        for (got, t) in all[6..].iter().zip(&rest[1..]) {
            assert_eq!(
                *got,
                Owned::Key(
                    RdbKey {
                        expire_ms: Some(16),
                        ..key(*t)
                    },
                    vec![b'k', *t],
                    None
                )
            );
        }
        let z = RdbKey {
            expire_ms: Some(16),
            ..key(0)
        };
        assert_eq!(all[25], Owned::Key(z, b"z".into(), Some(vec![b'a'; 100])));
        assert_eq!(all[26], Owned::Eof(RdbChecksum::Verified));
        assert_eq!(all.len(), 27);
        assert_eq!(r.bytes_read(), bytes.len() as u64);
    }
}

#[test]
fn every_type_byte_is_walked_or_refused() {
    let known: Vec<u8> = values().iter().map(|v| v.0).collect();
    for t in 0..=u8::MAX {
        let mut r = RdbReader::for_payload(&[0; 64]);
        let got = r.skip_value(t, &mut no_poll).map_err(|e| e.kind);
        match t {
            RDB_TYPE_MODULE_PRE_GA => assert_eq!(got, Err(RdbErrorKind::ModulePreGa)),
            t if known.contains(&t) => assert_eq!(got, Ok(()), "{t}"),
            t => assert_eq!(got, Err(RdbErrorKind::UnknownType(t))),
        }
    }
}

/// The bodies of values that came after version 11, by the version of a file that they are in.
fn later_values() -> Vec<(u16, u8, Vec<u8>)> {
    let ms = [1u8; 8];
    let producers = b"\x40\x64\x40\x64\x01\x03pid\x01\x03iid\x05\x06\x01\x00";
    let stream = [&[0u8; 10][..], producers].concat();
    vec![
        (
            80,
            RDB_TYPE_HASH_2,
            [b"\x01\x01f\x01v".as_slice(), &ms].concat(),
        ),
        (
            12,
            RDB_TYPE_HASH_METADATA_PRE_GA,
            b"\x02\x00\x01f\x01v\x05\x01g\x01v".to_vec(),
        ),
        (12, RDB_TYPE_HASH_LISTPACK_EX_PRE_GA, b"\x04blob".to_vec()),
        (
            12,
            RDB_TYPE_HASH_METADATA,
            [&ms[..], b"\x02\x00\x01f\x01v\x05\x01g\x01v"].concat(),
        ),
        (
            12,
            RDB_TYPE_HASH_LISTPACK_EX,
            [&ms[..], b"\x04blob"].concat(),
        ),
        (13, RDB_TYPE_STREAM_LISTPACKS_4, stream),
    ]
}

#[test]
fn later_values_are_walked_in_files_that_have_them() {
    for (version, t, body) in later_values() {
        let bytes = [&body[..], b"next"].concat();
        let mut r = RdbReader::for_payload(&bytes);
        r.assume_version(version);
        assert_eq!(r.skip_value(t, &mut no_poll), Ok(()), "{t}");
        assert_eq!(r.bytes_read(), body.len() as u64, "{t}");
        for cut in 0..body.len() {
            let mut r = RdbReader::for_payload(&body[..cut]);
            r.assume_version(version);
            let walked = r.skip_value(t, &mut no_poll).map_err(|e| e.kind);
            assert_eq!(walked, Err(RdbErrorKind::ShortRead), "{t} cut at {cut}");
        }
    }
}

/// Sizes of slots are passed over, and what nobody here can do anything with is named, with its key.
#[test]
fn later_records() {
    use RdbErrorKind::*;
    let read = |bytes: &[u8]| {
        let mut r = RdbReader::new(bytes);
        r.set_version_check(VersionCheck::Relaxed);
        r.header(&mut no_poll).expect("a header");
        let mut name = b"stale".to_vec();
        let got = match r.next_record(&mut name, &mut no_poll) {
            Ok(RdbRecord::Key(k)) => Ok(k.rdb_type),
            Ok(_) => panic!("no key"),
            Err(e) => Err(e.kind),
        };
        (got, name)
    };
    let k = || b"k".to_vec();
    for header in [b"REDIS0012", b"VALKEY080"] {
        let with_slot = [header, &b"\xf4\x05\x02\x01\x00\x01k\x01v"[..]].concat();
        assert_eq!(read(&with_slot), (Ok(RDB_TYPE_STRING), k()));
    }
    assert_eq!(
        read(b"REDIS0011\xf4\x05\x02\x01\x00\x01k\x01v").0,
        Err(UnknownType(244))
    );
    // One class of metadata: its name, a string, the end.
    let metadata = b"REDIS0013\xf3\x01abcd\x05\x03xyz\x00\x00\x01k\x01v";
    assert_eq!(read(metadata), (Err(KeyMetadata), k()));
    assert_eq!(
        read(b"REDIS0013\xf3\x00\x00\x01k\x01v"),
        (Ok(RDB_TYPE_STRING), k())
    );
    assert_eq!(read(b"VALKEY080\xf3\x01j\x00").0, Err(SlotImport));
    // What seems to be a type has a key behind it, what seems to be an opcode has none.
    assert_eq!(
        read(b"REDIS0015\x1c\x01k\x01v"),
        (Err(UnknownType(28)), k())
    );
    assert_eq!(
        read(b"VALKEY090\x17\x01k\x01v"),
        (Err(UnknownType(23)), k())
    );
    for nameless in [
        &b"REDIS0015\xf2\x01k\x01v"[..],
        b"REDIS0015\x1c",
        b"REDIS0015\x1c\x05k",
        b"REDIS0015\x1c\x81\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let (got, name) = read(nameless);
        assert!(matches!(got, Err(UnknownType(_))), "{got:?}");
        assert_eq!(name, b"", "{nameless:?}");
    }
}

#[test]
fn headers_say_their_version() {
    for version in [1, 9, 11, 12, 79, 80, 999] {
        let header = header_of(version);
        assert_eq!(parse_header(&header, VersionCheck::Relaxed), Ok(version));
        assert!(is_rdb_magic(&header[..6]));
    }
    assert!(!is_rdb_magic(b"REDI") && !is_rdb_magic(b"VALKE") && !is_rdb_magic(b""));
}

#[test]
fn every_cut_is_a_short_read() {
    let bytes = everything();
    for n in 0..bytes.len() {
        let e = walk_bytes(&bytes[..n]).unwrap_err();
        assert_eq!(e.kind, RdbErrorKind::ShortRead, "{n}");
        assert!(e.offset <= n as u64);
    }
}

#[test]
fn every_altered_bit_is_noticed_by_the_checksum_and_harmless_without() {
    let bytes = everything();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            // But one: 0011 becomes 0001, a version that had no checksum.
            match walk_bytes(&bad) {
                Ok(all) => assert_eq!(
                    (at, bit, all.last()),
                    (7, 0, Some(&Owned::Eof(RdbChecksum::Absent)))
                ),
                Err(e) => assert!(e.offset <= bad.len() as u64),
            }
            let mut r = RdbReader::new(bad.as_slice());
            r.set_verify_checksum(false);
            let _ = walk(&mut r, &mut no_poll);
            let held = r.held();
            assert!(held <= 2 * 64 * 1024, "byte {at} bit {bit}: {held}");
        }
    }
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    for n in [1 << 20, 1 << 40, u64::MAX / 2, u64::MAX] {
        let mut bytes = b"\x81".to_vec();
        bytes.extend(n.to_be_bytes());
        bytes.extend([b'x'; 1000]);
        for read in [
            |r: &mut RdbReader<&[u8]>, _: &mut Vec<u8>| r.read_string(&mut no_poll).map(|_| ()),
            |r: &mut RdbReader<&[u8]>, out: &mut Vec<u8>| r.read_string_into(out, &mut no_poll),
            |r: &mut RdbReader<&[u8]>, _: &mut Vec<u8>| r.skip_value(RDB_TYPE_STRING, &mut no_poll),
            |r: &mut RdbReader<&[u8]>, _: &mut Vec<u8>| r.skip_value(RDB_TYPE_LIST, &mut no_poll),
        ] {
            let mut out = Vec::new();
            let mut r = RdbReader::new(bytes.as_slice());
            let e = read(&mut r, &mut out).unwrap_err();
            assert!(matches!(
                e.kind,
                RdbErrorKind::ShortRead | RdbErrorKind::TooLong(_)
            ));
            assert!(out.capacity() + r.held() <= 2 * 64 * 1024);
        }
    }
    // LZF: 5 bytes cannot become 2^40, nor 441.
    for plain in [b"\x81\0\0\x01\0\0\0\0\0".as_slice(), b"\x41\xb9"] {
        let bytes = [b"\xc3\x05", plain, b"\x00a\xe0\x5a\x00"].concat();
        let e = RdbReader::new(bytes.as_slice())
            .read_string(&mut no_poll)
            .unwrap_err();
        assert_eq!(e.kind, RdbErrorKind::LzfCorrupt);
    }
}

#[test]
fn errors_are_told_apart() {
    use RdbErrorKind::*;
    assert_eq!(kind(b"RESP20011"), BadMagic);
    assert_eq!(kind(b"REDIS0014"), UnsupportedVersion(14));
    assert_eq!(kind(b"VALKEY081"), UnsupportedVersion(81));
    assert_eq!(kind(b"REDIS0000"), UnsupportedVersion(0));
    assert_eq!(kind(b"REDIS001a"), BadMagic);
    assert_eq!(kind(b"REDIS9999"), UnsupportedVersion(9999));
    assert_eq!(kind(b"REDIS0011\x08"), UnknownType(8));
    assert_eq!(kind(b"REDIS0011\x16"), UnknownType(22));
    assert_eq!(kind(b"REDIS0011\xf4"), UnknownType(244));
    assert_eq!(kind(b"REDIS0011\xf6\x01x"), FunctionPreGa);
    assert_eq!(kind(b"REDIS0011\x06\x01x"), ModulePreGa);
    assert_eq!(kind(b"REDIS0011\xf7\x05\x01\x01"), ModuleData(1));
    assert_eq!(kind(b"REDIS0011\x07\x01x\x05\x09"), ModuleData(9));
    assert_eq!(kind(b"REDIS0011\xfe\xc0"), BadLength(0xc0));
    assert_eq!(kind(b"REDIS0011\xfe\x82"), BadLength(0x82));
    assert_eq!(kind(b"REDIS0011\x00\xc4"), UnknownEncoding(4));
    assert_eq!(kind(b"REDIS0011\x12\x01k\x01\x03\x00"), BadContainer(3));
    assert_eq!(kind(b"REDIS0011\x03\x01k\x01\x01m\x02xy"), BadDouble);
    assert_eq!(kind(b"REDIS0011\x00\x01k\xc3\x00\x01"), LzfCorrupt);
    let bytes = file(b"");
    let found = u64::from_le_bytes(*bytes.last_chunk().unwrap());
    let mut bad = bytes.clone();
    bad[10] ^= 1;
    assert_eq!(
        kind(&bad),
        ChecksumMismatch {
            expected: found,
            found: found ^ 1
        }
    );
    let e = walk_bytes(b"REDIS0011\xfe\x82").unwrap_err();
    assert_eq!(
        e.to_string(),
        "RDB error at offset 11: Unknown length encoding, first byte 0x82"
    );
}

#[test]
fn checksums_of_old_and_unsummed_files() {
    assert_eq!(
        walk_bytes(b"REDIS0004\xff"),
        Ok(vec![Owned::Eof(RdbChecksum::Absent)])
    );
    assert_eq!(
        walk_bytes(b"REDIS0005\xff"),
        Err(RdbError {
            offset: 10,
            kind: RdbErrorKind::ShortRead
        })
    );
    let zero = b"REDIS0005\xff\0\0\0\0\0\0\0\0";
    assert_eq!(
        walk_bytes(zero),
        Ok(vec![Owned::Eof(RdbChecksum::DisabledAtSave)])
    );
    let mut r = RdbReader::new(b"REDIS0005\xff\x01\0\0\0\0\0\0\0".as_slice());
    r.set_verify_checksum(false);
    assert_eq!(
        walk(&mut r, &mut no_poll),
        Ok(vec![Owned::Eof(RdbChecksum::NotVerified)])
    );
}

#[test]
fn what_follows_the_file_is_handed_back() {
    let mut bytes = file(b"\x00\x01k\x01v");
    let len = bytes.len() as u64;
    bytes.extend(b"*1\r\n$4\r\nPING\r\n");
    let mut r = RdbReader::new(Drip::new(&bytes, 40, false));
    walk(&mut r, &mut no_poll).unwrap();
    assert_eq!(r.bytes_read(), len);
    assert_eq!(r.read_array(&mut no_poll), Ok(*b"*1\r\n"));
    let (mut source, mut rest) = r.into_parts();
    source.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"$4\r\nPING\r\n");
}

#[test]
fn progress_is_reported_between_keys_and_inside_huge_strings() {
    let big = vec![b'b'; 3_000_000];
    let mut w = RdbWriter::in_memory(options(false));
    w.magic().unwrap();
    w.raw(b"\x00\x03big").unwrap();
    w.string(&big).unwrap();
    for i in 0..50_000 {
        w.type_byte(RDB_TYPE_STRING).unwrap();
        w.int_string(i).unwrap();
        w.int_string(i).unwrap();
    }
    w.raw(b"\xff\0\0\0\0\0\0\0\0").unwrap();
    let bytes = w.into_bytes();
    let mut r = RdbReader::new(bytes.as_slice());
    r.set_poll_interval(100_000);
    let mut seen = Vec::new();
    walk(&mut r, &mut |p| {
        let PollPoint::Progress(at) = p else {
            panic!("{p:?}")
        };
        seen.push(at);
        Ok(())
    })
    .unwrap();
    assert!(
        seen.windows(2)
            .all(|w| w[0] < w[1] && w[1] - w[0] < 1_200_000),
        "{seen:?}"
    );
    let (inside, keys): (Vec<u64>, Vec<u64>) = seen.iter().partition(|&&at| at < 3_000_000);
    assert!(inside.len() >= 3, "{inside:?}");
    assert!(keys.len() >= 3, "{keys:?}");

    // The hook can end the load.
    let mut r = RdbReader::new(bytes.as_slice());
    r.set_poll_interval(100_000);
    let e = walk(
        &mut r,
        &mut |_| Err(io::ErrorKind::ConnectionAborted.into()),
    )
    .unwrap_err();
    assert_eq!(e.kind, RdbErrorKind::Io(io::ErrorKind::ConnectionAborted));
    assert!(e.offset < 1_200_000);
}

#[test]
fn a_source_that_blocks_is_waited_for() {
    let big = vec![b'x'; 200_000];
    let mut w = RdbWriter::in_memory(options(false));
    w.magic().unwrap();
    w.raw(b"\x00\x01k").unwrap();
    w.string(&big).unwrap();
    w.raw(b"\xff\0\0\0\0\0\0\0\0").unwrap();
    let bytes = w.into_bytes();
    let mut waits = 0;
    let got = walk(
        &mut RdbReader::new(Drip::new(&bytes, 1000, true)),
        &mut |p| {
            waits += usize::from(p == PollPoint::WouldBlock);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(got[0], Owned::Key(key(0), b"k".into(), Some(big)));
    assert!(waits >= 200, "{waits}");
    let e = walk(
        &mut RdbReader::new(Drip::new(&bytes, 1000, true)),
        &mut no_poll,
    )
    .unwrap_err();
    assert_eq!(e.kind, RdbErrorKind::Io(io::ErrorKind::WouldBlock));
}

#[test]
fn long_strings_end_up_in_exactly_the_memory_they_need() {
    for n in [70_000usize, 1_000_000, 5_000_001] {
        let s: Vec<u8> = (0..n).map(|i| (i % 253) as u8).collect();
        let mut w = RdbWriter::in_memory(options(false));
        w.string(&s).unwrap();
        let bytes = w.into_bytes();
        for step in [999, usize::MAX] {
            let mut r = RdbReader::new(Drip::new(&bytes, step, false));
            let mut out = Vec::new();
            r.read_string_into(&mut out, &mut no_poll).unwrap();
            assert!(out == s);
            assert_eq!(out.capacity(), n);
            assert_eq!(r.bytes_read(), bytes.len() as u64);
        }
    }
}

#[test]
fn counts_are_believed_as_far_as_the_file_reaches() {
    let mut r = RdbReader::new([0u8; 100].as_slice());
    assert_eq!(r.plausible_count(10, 2), 10);
    assert_eq!(r.plausible_count(u64::MAX, 2), 4096);
    r.set_total_len(100);
    assert_eq!(r.plausible_count(u64::MAX, 2), 50);
    r.read_array::<90>(&mut no_poll).unwrap();
    assert_eq!(r.plausible_count(u64::MAX, 2), 5);
    assert_eq!(r.plausible_count(3, 0), 3);
}

#[test]
fn scores() {
    let mut w = RdbWriter::in_memory(options(true));
    for d in [
        0.0,
        -0.0,
        1.5,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        w.double(d).unwrap();
    }
    let bytes = w.into_bytes();
    let mut r = RdbReader::for_payload(&bytes);
    for d in [
        0.0,
        -0.0,
        1.5,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert_eq!(
            r.read_double(&mut no_poll).unwrap().to_bits(),
            f64::to_bits(d)
        );
    }
    let mut r = RdbReader::for_payload(b"\x0517e-1\x023 \xff\xfe\xfd\x00");
    let mut next = || r.read_text_double(&mut no_poll).map_err(|e| e.kind);
    assert_eq!(next(), Ok(1.7));
    assert_eq!(next(), Ok(3.0));
    assert_eq!(next(), Ok(f64::NEG_INFINITY));
    assert_eq!(next(), Ok(f64::INFINITY));
    assert!(next().unwrap().is_nan());
    assert_eq!(next(), Err(RdbErrorKind::BadDouble));
    assert_eq!(next(), Err(RdbErrorKind::ShortRead));
}

#[test]
fn dump_payloads() {
    use VersionCheck::Strict;
    // DUMP of the string "v" by redis-server 7.0.15, which writes version 10.
    let payload = DUMP_OF_V;
    assert_eq!(
        verify_dump_payload(payload, false, Strict),
        Ok((10, b"\x00\x01v".as_slice()))
    );
    let mut own = b"\x00\x01v".to_vec();
    create_dump_payload(&mut own, 10);
    assert_eq!(own, payload);
    for at in 0..own.len() {
        let mut bad = own.clone();
        bad[at] ^= 0x10;
        let want = match at {
            3 => DumpError::UnsupportedVersion(26),
            4 => DumpError::UnsupportedVersion(0x100a),
            _ => DumpError::ChecksumMismatch,
        };
        if at == 3 {
            bad[at] = 26;
        }
        if at == 4 {
            bad[at] = 0x10;
        }
        assert_eq!(verify_dump_payload(&bad, false, Strict), Err(want), "{at}");
        assert_eq!(
            verify_dump_payload(&bad, true, Strict).is_ok(),
            at != 3 && at != 4
        );
    }
    for n in 0..DUMP_FOOTER_LEN {
        assert_eq!(
            verify_dump_payload(&own[..n], true, Strict),
            Err(DumpError::TooShort)
        );
    }
    assert_eq!(
        verify_dump_payload(&[0; 10], true, Strict),
        Ok((0, b"".as_slice()))
    );
    let mut r = RdbReader::for_payload(b"\x00\x01v");
    assert_eq!(r.read_u8(&mut no_poll), Ok(RDB_TYPE_STRING));
    assert_eq!(r.read_string(&mut no_poll), Ok(RdbString::Bytes(b"v")));
    assert_eq!(
        r.read_u8(&mut no_poll).map_err(|e| e.kind),
        Err(RdbErrorKind::ShortRead)
    );
    assert_eq!(
        RdbReader::for_payload(b"")
            .read_len(&mut no_poll)
            .map_err(|e| e.kind),
        Err(RdbErrorKind::ShortRead)
    );
}

const DUMP_OF_V: &[u8] = b"\x00\x01v\x0a\x00\x91\x08\xce\xb2\x19\x38\x8a\xce";

/// `tests/assets/strings-7.0.rdb`, saved by redis-server 7.0.15.
#[test]
fn a_file_of_redis_7_0() {
    let bytes = include_bytes!("../../../tests/assets/strings-7.0.rdb");
    let mut r = RdbReader::new(bytes.as_slice());
    let all = walk(&mut r, &mut no_poll).unwrap();
    assert_eq!(r.version(), 10);
    assert_eq!(all[0], Owned::Aux(b"redis-ver".into(), b"7.0.15".into()));
    assert_eq!(all.last(), Some(&Owned::Eof(RdbChecksum::Verified)));
    let mut keys: Vec<(Vec<u8>, Option<i64>, Vec<u8>)> = all
        .into_iter()
        .filter_map(|o| match o {
            Owned::Key(k, name, Some(value)) => Some((name, k.expire_ms, value)),
            _ => None,
        })
        .collect();
    keys.sort();
    let want: Vec<(Vec<u8>, Option<i64>, Vec<u8>)> = vec![
        (b"db9".into(), None, b"nine".into()),
        (b"empty".into(), None, b"".into()),
        (b"int16".into(), None, b"-300".into()),
        (b"int32".into(), None, b"70000".into()),
        (b"int64".into(), None, b"9223372036854775807".into()),
        (b"int8".into(), Some(4102444800000), b"12".into()),
        (b"lzf".into(), Some(4102444800123), vec![b'a'; 200]),
        (b"plain".into(), None, b"hello".into()),
    ];
    assert_eq!(keys, want);
}

proptest! {
    #[test]
    fn strings_round_trip(
        strings in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                any::<i64>().prop_map(|v| v.to_string().into_bytes()),
                any::<i16>().prop_map(|v| v.to_string().into_bytes()),
                (any::<u8>(), 0..200_000usize).prop_map(|(b, n)| vec![b; n]),
            ],
            0..20,
        ),
        compression: bool,
        step in prop_oneof![Just(usize::MAX), 1..70_000usize],
    ) {
        let mut w = RdbWriter::in_memory(options(compression));
        for s in &strings {
            w.string(s).unwrap();
        }
        let bytes = w.into_bytes();
        let mut r = RdbReader::new(Drip::new(&bytes, step, false));
        let mut into = RdbReader::new(Drip::new(&bytes, step, false));
        let mut skip = RdbReader::new(Drip::new(&bytes, step, false));
        let mut payload = RdbReader::for_payload(&bytes);
        for s in &strings {
            let mut got = Vec::new();
            r.read_string(&mut no_poll).unwrap().append_to(&mut got);
            prop_assert!(&got == s);
            into.read_string_into(&mut got, &mut no_poll).unwrap();
            prop_assert!(&got == s);
            got.clear();
            payload.read_string(&mut no_poll).unwrap().append_to(&mut got);
            prop_assert!(&got == s);
            skip.skip_value(RDB_TYPE_STRING, &mut no_poll).unwrap();
        }
        for r in [r, into, skip] {
            prop_assert_eq!(r.bytes_read(), bytes.len() as u64);
        }
    }

    #[test]
    fn lengths_and_integers_round_trip(lens: Vec<u64>, ints: Vec<i64>, times: Vec<i64>) {
        let mut w = RdbWriter::in_memory(options(true));
        for &n in &lens {
            w.len(n >> (n % 64)).unwrap();
        }
        for &v in &ints {
            w.int_string(v >> (v & 63)).unwrap();
        }
        for &t in &times {
            w.millisecond_time(t).unwrap();
        }
        let bytes = w.into_bytes();
        let mut r = RdbReader::new(Drip::new(&bytes, 3, false));
        for &n in &lens {
            prop_assert_eq!(r.read_len(&mut no_poll).unwrap(), n >> (n % 64));
        }
        for &v in &ints {
            let v = v >> (v & 63);
            let mut text = Vec::new();
            let s = r.read_string(&mut no_poll).unwrap();
            prop_assert_eq!(matches!(s, RdbString::Int(_)), i32::try_from(v).is_ok());
            s.append_to(&mut text);
            prop_assert_eq!(text, v.to_string().into_bytes());
        }
        for &t in &times {
            prop_assert_eq!(r.read_millisecond_time(&mut no_poll).unwrap(), t);
        }
    }

    #[test]
    fn files_round_trip(
        keys in proptest::collection::vec(
            (any::<Vec<u8>>(), any::<Vec<u8>>(), any::<Option<i64>>(), any::<Option<u64>>(), any::<Option<u8>>()),
            0..50,
        ),
        checksum: bool,
        version in 9u16..=11,
        step in prop_oneof![Just(usize::MAX), 1..100usize],
    ) {
        let mut bytes = Vec::new();
        let mut w = RdbWriter::new(&mut bytes, RdbWriterOptions { version, compression: true, checksum });
        w.magic().unwrap();
        w.select_db(1).unwrap();
        let mut want = vec![Owned::SelectDb(1)];
        for (name, value, expire_ms, idle, freq) in keys {
            let expire_ms = expire_ms.filter(|&t| t != -1);
            if let Some(t) = expire_ms {
                w.expiry_ms(t).unwrap();
            }
            if let Some(s) = idle {
                w.idle(s).unwrap();
            }
            if let Some(f) = freq {
                w.freq(f).unwrap();
            }
            w.type_byte(RDB_TYPE_STRING).unwrap();
            w.string(&name).unwrap();
            w.string(&value).unwrap();
            want.push(Owned::Key(RdbKey { rdb_type: 0, expire_ms, idle, freq }, name, Some(value)));
        }
        w.eof().unwrap();
        want.push(Owned::Eof(if checksum { RdbChecksum::Verified } else { RdbChecksum::DisabledAtSave }));
        let mut r = RdbReader::new(Drip::new(&bytes, step, false));
        prop_assert_eq!(walk(&mut r, &mut no_poll).unwrap(), want);
        prop_assert_eq!(r.version(), version);
    }

    #[test]
    fn noise_never_panics_nor_swells(noise: Vec<u8>, t in 0u8..=22) {
        let bytes = [b"REDIS0011", noise.as_slice()].concat();
        let _ = walk_bytes(&bytes);
        let mut r = RdbReader::for_payload(&noise);
        let _ = r.skip_value(t, &mut no_poll);
        prop_assert!(r.bytes_read() <= noise.len() as u64);
    }
}
