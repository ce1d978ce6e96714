//! One record of a damaged snapshot: read with all checks, or looked at to see whether it can be one at all.
//!
//! Invariant: nothing is moved in the file, and no more is read than was allowed. It knows no neighbours of a record.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use crate::store::rdb_value::{LoadLimits, rdb_load_entry};
use crate::wire::rdb::{
    RDB_ENC_LZF, RDB_ENCVAL, RDB_OPCODE_AUX, RDB_OPCODE_EOF, RDB_OPCODE_EXPIRETIME,
    RDB_OPCODE_EXPIRETIME_MS, RDB_OPCODE_FREQ, RDB_OPCODE_FUNCTION_PRE_GA, RDB_OPCODE_FUNCTION2,
    RDB_OPCODE_IDLE, RDB_OPCODE_MODULE_AUX, RDB_OPCODE_RESIZEDB, RDB_OPCODE_SELECTDB,
    RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK, RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_LIST,
    RDB_TYPE_LIST_QUICKLIST, RDB_TYPE_LIST_QUICKLIST_2, RDB_TYPE_LIST_ZIPLIST, RDB_TYPE_MODULE_2,
    RDB_TYPE_SET, RDB_TYPE_SET_INTSET, RDB_TYPE_SET_LISTPACK, RDB_TYPE_STRING, RDB_TYPE_ZSET,
    RDB_TYPE_ZSET_2, RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_ZSET_ZIPLIST, RDB_VERSION, RdbChecksum,
    RdbError, RdbErrorKind, RdbReader, RdbRecord, no_poll, rdb_is_object_type,
};

/// Databases of a higher number are taken for damage.
pub(super) const DB_MAX: u64 = 1 << 20;

/// A stretch of a file that is in memory.
pub(super) struct Window {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

impl Window {
    /// What is in memory from this place of the file on.
    pub(super) fn from(&self, at: u64) -> &[u8] {
        let start = at.checked_sub(self.at).map(usize::try_from);
        match start {
            Some(Ok(start)) => self.bytes.get(start..).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// A part of a file, read without moving anything; `left` bytes of it at the most.
pub(super) struct Part<'a> {
    file: &'a File,
    pos: u64,
    left: u64,
    /// What need not be read again.
    window: Option<Rc<Window>>,
    /// Bytes that came from the file, not from the window.
    pub(super) fetched: u64,
}

impl<'a> Part<'a> {
    pub(super) fn new(file: &'a File, pos: u64, left: u64) -> Part<'a> {
        Part {
            file,
            pos,
            left,
            window: None,
            fetched: 0,
        }
    }

    /// The same, where a stretch of the file is in memory.
    pub(super) fn near(file: &'a File, pos: u64, left: u64, window: Rc<Window>) -> Part<'a> {
        Part {
            window: Some(window),
            ..Part::new(file, pos, left)
        }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buf.len(), |l| l.min(buf.len()));
        if most == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let had = match self.window.as_deref().map(|w| w.from(self.pos)) {
            Some(bytes) if !bytes.is_empty() => {
                let n = bytes.len().min(most);
                buf[..n].copy_from_slice(&bytes[..n]);
                n
            }
            _ => {
                let n = self.file.read_at(&mut buf[..most], self.pos)?;
                self.fetched += n as u64;
                n
            }
        };
        self.pos += had as u64;
        self.left -= had as u64;
        Ok(had)
    }
}

/// Whether a record tells its own end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strength {
    /// By a count or a length only, which nothing else repeats.
    Weak,
    /// By an encoding with its own total and end mark, or by compressed bytes that expand to what was announced.
    Strong,
}

impl Strength {
    pub(super) fn score(self) -> u32 {
        match self {
            Strength::Weak => 1,
            Strength::Strong => 2,
        }
    }
}

/// What a record is.
pub(super) enum Kind {
    Select(u64),
    /// The sizes of the selected database.
    Resize(u64),
    /// A field about the file, a function library, data of a module.
    Other,
    Key {
        name: Vec<u8>,
        rdb_type: u8,
        expires: bool,
    },
    End(RdbChecksum),
}

/// A record: bytes `start..end` of the file.
pub(super) struct Item {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
    pub(super) strength: Strength,
}

/// Reads the next record, value and all.
pub(super) fn next_item<R: Read>(
    r: &mut RdbReader<R>,
    limits: &LoadLimits,
    name: &mut Vec<u8>,
) -> Result<Item, RdbError> {
    let poll = &mut no_poll;
    let start = r.bytes_read();
    let mut strength = Strength::Weak;
    let kind = match r.next_record(name, poll)? {
        RdbRecord::Aux { .. } | RdbRecord::Function2(_) => Kind::Other,
        RdbRecord::SelectDb(n) if n >= DB_MAX => {
            return Err(r.error(RdbErrorKind::Value(
                "The number of a database is beyond reason",
            )));
        }
        RdbRecord::SelectDb(n) => Kind::Select(n),
        RdbRecord::ResizeDb { keys, .. } => Kind::Resize(keys),
        RdbRecord::ModuleAux { .. } => {
            r.skip_module_value(poll)?;
            Kind::Other
        }
        RdbRecord::Eof(sum) => Kind::End(sum),
        RdbRecord::Key(k) => {
            let compressed = RDB_ENCVAL << 6 | RDB_ENC_LZF;
            let is_packed = matches!(
                k.rdb_type,
                RDB_TYPE_LIST_ZIPLIST
                    | RDB_TYPE_SET_INTSET
                    | RDB_TYPE_ZSET_ZIPLIST
                    | RDB_TYPE_HASH_ZIPLIST
                    | RDB_TYPE_HASH_LISTPACK
                    | RDB_TYPE_ZSET_LISTPACK
                    | RDB_TYPE_SET_LISTPACK
            );
            if is_packed || (k.rdb_type == RDB_TYPE_STRING && r.peek() == Some(compressed)) {
                strength = Strength::Strong;
            }
            if k.rdb_type == RDB_TYPE_MODULE_2 {
                r.skip_value(k.rdb_type, poll)?;
            } else if rdb_load_entry(r, k.rdb_type, b"", k.expire_ms, limits, poll)?.is_none() {
                return Err(r.error(RdbErrorKind::Value("A collection without elements")));
            }
            Kind::Key {
                name: name.clone(),
                rdb_type: k.rdb_type,
                expires: k.expire_ms.is_some(),
            }
        }
    };
    Ok(Item {
        start,
        end: r.bytes_read(),
        kind,
        strength,
    })
}

/// A length at the start of `b`: its value and its bytes. `None` when it is none, or a string in a special encoding.
pub(super) fn length_at(b: &[u8]) -> Option<(u64, usize)> {
    let first = *b.first()?;
    Some(match first >> 6 {
        0 => (u64::from(first), 1),
        1 => (u64::from(first & 0x3f) << 8 | u64::from(*b.get(1)?), 2),
        2 if first == 0x80 => (
            u64::from(u32::from_be_bytes(b.get(1..5)?.try_into().ok()?)),
            5,
        ),
        2 if first == 0x81 => (u64::from_be_bytes(b.get(1..9)?.try_into().ok()?), 9),
        _ => return None,
    })
}

/// Whether a string can begin at `b`, with `left` bytes to the end of the file.
pub(super) fn may_be_string(b: &[u8], left: u64) -> bool {
    match b.first() {
        // Integers and compressed text.
        Some(0xc0..=0xc3) => true,
        _ => length_at(b).is_some_and(|(n, _)| n <= left),
    }
}

/// How many bytes the string at `b` takes.
fn string_size(b: &[u8]) -> Option<u64> {
    Some(match b.first()? {
        0xc0 => 2,
        0xc1 => 3,
        0xc2 => 5,
        0xc3 => {
            let (packed, n) = length_at(b.get(1..)?)?;
            let (_, m) = length_at(b.get(1 + n..)?)?;
            packed.saturating_add((1 + n + m) as u64)
        }
        _ => {
            let (len, n) = length_at(b)?;
            len.saturating_add(n as u64)
        }
    })
}

/// What the first bytes of a key say.
pub(super) struct KeyAhead {
    pub(super) rdb_type: u8,
    /// How far from there the name begins, and its length, if it stands there as it is.
    pub(super) name: Option<(u64, u64)>,
    /// How far from there the value begins.
    pub(super) value: u64,
}

/// The key at `b`, with what may precede it. `None`: these bytes are no key, or there is more before it.
pub(super) fn key_ahead(b: &[u8]) -> Option<KeyAhead> {
    let skip = match *b.first()? {
        RDB_OPCODE_EXPIRETIME_MS => 9,
        RDB_OPCODE_EXPIRETIME => 5,
        _ => 0,
    };
    // Types that came with later versions are not looked for behind damage.
    let rdb_type = *b
        .get(skip)
        .filter(|t| rdb_is_object_type(**t, RDB_VERSION))?;
    let from = skip as u64 + 1;
    let name = b.get(skip + 1..)?;
    Some(KeyAhead {
        rdb_type,
        name: length_at(name).map(|(len, n)| (from + n as u64, len)),
        value: from.saturating_add(string_size(name)?),
    })
}

/// The length of the plain string at `b`, and where its bytes begin.
pub(super) fn plain_string(b: &[u8]) -> Option<(u64, u64)> {
    length_at(b).map(|(len, n)| (len, n as u64))
}

/// Whether a value of this type can begin at `b`, by its first count or length and what must stand behind it.
pub(super) fn may_be_value(t: u8, b: &[u8], left: u64) -> bool {
    let le = |at: usize| {
        let four = b.get(at..at + 4).and_then(|b| b.try_into().ok());
        four.map(|b| u64::from(u32::from_le_bytes(b)))
    };
    let Some((n, size)) = length_at(b) else {
        // In a special encoding, or nothing.
        return may_be_string(b, left) && !matches!(t, RDB_TYPE_LIST..=RDB_TYPE_HASH);
    };
    if n > left {
        return false;
    }
    let rest = b.get(size..).unwrap_or_default();
    match t {
        RDB_TYPE_LIST
        | RDB_TYPE_SET
        | RDB_TYPE_ZSET
        | RDB_TYPE_HASH
        | RDB_TYPE_ZSET_2
        | RDB_TYPE_LIST_QUICKLIST => n > 0 && may_be_string(rest, left),
        // What a node is, then the node.
        RDB_TYPE_LIST_QUICKLIST_2 => {
            n > 0 && matches!(rest.first(), Some(1 | 2)) && may_be_string(&rest[1..], left)
        }
        // Their own number of bytes, in front.
        RDB_TYPE_LIST_ZIPLIST
        | RDB_TYPE_ZSET_ZIPLIST
        | RDB_TYPE_HASH_ZIPLIST
        | RDB_TYPE_HASH_LISTPACK
        | RDB_TYPE_ZSET_LISTPACK
        | RDB_TYPE_SET_LISTPACK => le(size) == Some(n),
        // The width of the numbers, and how many they are.
        RDB_TYPE_SET_INTSET => match (le(size), le(size + 4)) {
            (Some(width @ (2 | 4 | 8)), Some(count)) => 8 + width * count == n,
            _ => false,
        },
        _ => true,
    }
}

/// Whether a key can begin at `b` with its type.
pub(super) fn may_be_key(b: &[u8], left: u64) -> bool {
    let Some((&t, rest)) = b.split_first() else {
        return false;
    };
    // Zeros would be keys without name or value, of which there is one at the most.
    rdb_is_object_type(t, RDB_VERSION) && may_be_string(rest, left) && !b.starts_with(&[0; 5])
}

/// Whether a record, with what belongs before a key, can begin at `b`; `left` bytes are between it and the file's end.
pub(super) fn may_be_record(b: &[u8], left: u64, mark: u64) -> bool {
    let at = |i: usize| b.get(i..).unwrap_or_default();
    let Some(&first) = b.first() else {
        return false;
    };
    // What may follow an expiry and its kin.
    let attribute_or_key = |b: &[u8]| match b.first() {
        Some(&(RDB_OPCODE_IDLE | RDB_OPCODE_FREQ)) => true,
        _ => may_be_key(b, left),
    };
    match first {
        RDB_OPCODE_EOF => left == mark,
        // The top byte of a time in milliseconds is zero for ages to come.
        RDB_OPCODE_EXPIRETIME_MS => b.get(8) == Some(&0) && attribute_or_key(at(9)),
        RDB_OPCODE_EXPIRETIME => attribute_or_key(at(5)),
        RDB_OPCODE_FREQ => may_be_key(at(2), left),
        RDB_OPCODE_IDLE => length_at(at(1)).is_some_and(|(_, n)| may_be_key(at(1 + n), left)),
        RDB_OPCODE_SELECTDB => length_at(at(1)).is_some_and(|(db, n)| {
            db < DB_MAX
                && match b.get(1 + n) {
                    Some(
                        &(RDB_OPCODE_RESIZEDB | RDB_OPCODE_EXPIRETIME_MS | RDB_OPCODE_EXPIRETIME),
                    ) => true,
                    _ => attribute_or_key(at(1 + n)),
                }
        }),
        RDB_OPCODE_AUX | RDB_OPCODE_FUNCTION2 => may_be_string(at(1), left),
        // Sizes alone say nothing, and the others are too rare to begin with.
        RDB_OPCODE_RESIZEDB | RDB_OPCODE_MODULE_AUX | RDB_OPCODE_FUNCTION_PRE_GA => false,
        _ => may_be_key(b, left),
    }
}

/// Reads as much as there is, up to the whole of `buf`.
pub(super) fn read_full_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
