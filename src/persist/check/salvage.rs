//! `redis-check-rdb --salvage IN OUT`: writes every key that can still be told from a damaged snapshot into a new one, and
//! lists what was lost. Upstream has no such tool.
//!
//! The format has no marks between records, so after damage the next record has to be found by its structure. Wrong keys are
//! worse than lost ones; these rules follow from it:
//!
//! - A place where reading can begin again starts a chain of [`CHAIN`] keys with different names, each value checked in
//!   depth, or a chain that reaches the end mark exactly at the end of the file.
//! - The first key after such a place is given up: what precedes it (an expiry, half a name) may be lost. Only if the place
//!   begins with the selection of a database and its sizes it is whole. Where other chains begin within it or the next,
//!   everything is given up until all of them agree.
//! - A key whose value does not tell its own end (see [`Strength`]) counts only when enough of what follows it is sound, so
//!   the key right before the damage is given up, too: its length may be what is wrong.
//! - Which database the keys after the damage belong to is known if the selection of another one cannot have been lost: the
//!   file says how many keys each database has. Else the keys up to the next selection are given up.
//! - What was found after damage and then ends in an end mark in the middle of the file, with other keys behind it, was a
//!   snapshot inside a value: none of it counts.
//! - Of two keys of one name the first counts.
//!
//! A change that leaves the structure intact (a letter in a value) cannot be seen but by the checksum; it is reported then.
//!
//! Cost: the file is read once to find what is good, once to look for names that come twice (unless the checksum is right)
//! and once to copy; looking for places to go on reads at most
//! [`SEARCH_FACTOR`] times the file and [`SEARCH_MORE`] bytes, whatever is in it. Memory: one value, and some 30 bytes a key
//! for their names' fingerprints.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use super::rdb::rdb_type_string;
use super::shown;
use crate::base::split_args::sdscatrepr;
use crate::base::sys::{fsync_file_dir, path_of, strerror};
use crate::config::fields::Config;
use crate::store::rdb_value::{LoadLimits, rdb_load_entry};
use crate::wire::rdb::{
    RDB_ENC_LZF, RDB_ENCVAL, RDB_HEADER_LEN, RDB_MAGIC, RDB_OPCODE_AUX, RDB_OPCODE_EOF,
    RDB_OPCODE_EXPIRETIME, RDB_OPCODE_EXPIRETIME_MS, RDB_OPCODE_FREQ, RDB_OPCODE_FUNCTION_PRE_GA,
    RDB_OPCODE_FUNCTION2, RDB_OPCODE_IDLE, RDB_OPCODE_MODULE_AUX, RDB_OPCODE_RESIZEDB,
    RDB_OPCODE_SELECTDB, RDB_TYPE_HASH_LISTPACK, RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_LIST_ZIPLIST,
    RDB_TYPE_MODULE_2, RDB_TYPE_SET_INTSET, RDB_TYPE_SET_LISTPACK, RDB_TYPE_STRING,
    RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_ZSET_ZIPLIST, RDB_VERSION, RDB_VERSION_CHECKSUM, RdbChecksum,
    RdbError, RdbErrorKind, RdbReader, RdbRecord, RdbWriter, RdbWriterOptions, no_poll,
    rdb_is_object_type,
};

/// Nothing was written: wrong usage, or a file that cannot be read or made.
pub const EXIT_FAILED: i32 = 2;
/// A new file is there, and something of the old one is not in it.
const EXIT_LOST: i32 = 1;

/// Sound keys in a row that make a place to begin again.
const CHAIN: usize = 4;
/// The search reads so many times the file at the most ...
const SEARCH_FACTOR: u64 = 16;
/// ... and so many bytes more.
const SEARCH_MORE: u64 = 1 << 30;
/// Bytes that one try of the search may read.
const TRY_MAX: u64 = 64 << 20;
/// Bytes of the file that are looked at together by the search.
const WINDOW: usize = 256 * 1024;
/// Bytes behind a place that its first look may need.
const LOOK: usize = 32;
/// Databases of a higher number are taken for damage.
const DB_MAX: u64 = 1 << 20;
/// Bytes that a key takes in a file at the least, and those of a selection with its sizes.
const KEY_MIN: u64 = 3;
const SELECT_MIN: u64 = 5;
/// Bytes of a lost key's name that are shown, and lost keys that are named per place.
const NAME_MAX: usize = 100;
const NAMES_MAX: usize = 20;
/// Records of a chain at the most.
const CHAIN_ITEMS_MAX: usize = 64;
/// What the record counts for that the file's end cuts.
const CUT_SCORE: u32 = 1;
/// So much sound matter after a record settles where it ends.
const SETTLED: u32 = 2;

/// A part of a file, read without moving anything; `left` bytes of it at the most.
struct Part<'a> {
    file: &'a File,
    pos: u64,
    left: u64,
}

impl<'a> Part<'a> {
    fn new(file: &'a File, pos: u64, left: u64) -> Part<'a> {
        Part { file, pos, left }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buf.len(), |l| l.min(buf.len()));
        if most == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let n = self.file.read_at(&mut buf[..most], self.pos)?;
        self.pos += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// Whether a record tells its own end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Strength {
    /// By a count or a length only, which nothing else repeats.
    Weak,
    /// By an encoding with its own total and end mark, or by compressed bytes that expand to what was announced.
    Strong,
}

impl Strength {
    fn score(self) -> u32 {
        match self {
            Strength::Weak => 1,
            Strength::Strong => 2,
        }
    }
}

/// What a record is.
enum Kind {
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
struct Item {
    start: u64,
    end: u64,
    kind: Kind,
    strength: Strength,
}

/// Bytes to be copied: records of one database, or of none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    start: u64,
    end: u64,
    db: Option<u64>,
    keys: u64,
    expires: u64,
}

/// Bytes that are not copied.
#[derive(PartialEq, Eq, Debug)]
struct Loss {
    start: u64,
    end: u64,
    db: Option<u64>,
    reason: String,
    /// Keys that were in there, as they are shown, and how many more.
    names: Vec<String>,
    more_names: u64,
}

impl Loss {
    fn new(start: u64, end: u64, db: Option<u64>, reason: String) -> Loss {
        Loss {
            start,
            end,
            db,
            reason,
            names: Vec::new(),
            more_names: 0,
        }
    }

    fn name(&mut self, name: &[u8], rdb_type: u8) {
        if self.names.len() >= NAMES_MAX {
            self.more_names += 1;
            return;
        }
        let mut text = Vec::new();
        sdscatrepr(&mut text, &name[..name.len().min(NAME_MAX)]);
        if name.len() > NAME_MAX {
            text.extend_from_slice(b"...");
        }
        self.names
            .push(format!("{} ({})", shown(&text), rdb_type_string(rdb_type)));
    }
}

/// All that a file has.
#[derive(Default)]
struct Findings {
    version: u16,
    pieces: Vec<Piece>,
    losses: Vec<Loss>,
    checksum: Option<RdbChecksum>,
    /// The structure is sound, yet the checksum is wrong.
    checksum_is_wrong: bool,
    /// Bytes behind the end mark.
    trailing: u64,
}

/// What stands for a key: 128 bits that nobody's names share by chance.
fn fingerprint(db: u64, name: &[u8]) -> [u8; 16] {
    let mut h = Sha1::new();
    h.update(db.to_le_bytes());
    h.update(name);
    let mut out = [0; 16];
    out.copy_from_slice(&h.finalize()[..16]);
    out
}

/// Sound records in a row.
struct Chain {
    /// Where they begin, and where the last one ends.
    starts: Vec<u64>,
    /// Names and types of the keys among them.
    names: Vec<(Vec<u8>, u8)>,
    /// It begins with the selection of a database and its sizes.
    is_whole: bool,
}

/// Where reading goes on, and the keys before it that are given up.
struct Anchor {
    at: u64,
    names: Vec<(Vec<u8>, u8)>,
}

/// The walk through a damaged file.
struct Salvage<'a> {
    file: &'a File,
    len: u64,
    limits: LoadLimits,
    /// Bytes that the search may still read.
    budget: u64,
    found: Findings,
    /// The database of what is settled, how many keys it has by the file's word, and how many of them have passed.
    db: Option<u64>,
    claimed: Option<u64>,
    passed: u64,
    /// Damaged places among its keys, and how many keys may have gone with them at the most.
    gaps: u64,
    gone_at_most: u64,
    /// The database is only presumed since this piece.
    presumed_from: Option<usize>,
    /// What the last search has found begins at this piece.
    run_from: Option<usize>,
    /// Records whose ends are not settled.
    pending: VecDeque<Item>,
}

/// Reads the next record, value and all.
fn next_item<R: Read>(
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
fn length_at(b: &[u8]) -> Option<(u64, usize)> {
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
fn may_be_string(b: &[u8], left: u64) -> bool {
    match b.first() {
        // Integers and compressed text.
        Some(0xc0..=0xc3) => true,
        _ => length_at(b).is_some_and(|(n, _)| n <= left),
    }
}

/// Whether a key can begin at `b` with its type.
fn may_be_key(b: &[u8], left: u64) -> bool {
    let Some((&t, rest)) = b.split_first() else {
        return false;
    };
    // Zeros would be keys without name or value, of which there is one at the most.
    rdb_is_object_type(t) && may_be_string(rest, left) && !b.starts_with(&[0; 5])
}

/// Whether a record, with what belongs before a key, can begin at `b`; `left` bytes are between it and the file's end.
fn may_be_record(b: &[u8], left: u64, mark: u64) -> bool {
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

impl<'a> Salvage<'a> {
    fn new(file: &'a File, len: u64) -> Salvage<'a> {
        Salvage {
            file,
            len,
            limits: LoadLimits::new(&Config::default(), true),
            budget: len
                .saturating_mul(SEARCH_FACTOR)
                .saturating_add(SEARCH_MORE),
            found: Findings::default(),
            db: None,
            claimed: None,
            passed: 0,
            gaps: 0,
            gone_at_most: 0,
            presumed_from: None,
            run_from: None,
            pending: VecDeque::new(),
        }
    }

    /// Bytes of the checksum.
    fn mark_len(&self) -> u64 {
        if self.found.version >= RDB_VERSION_CHECKSUM {
            8
        } else {
            0
        }
    }

    /// A record whose place is beyond doubt.
    fn commit(&mut self, item: Item) {
        let db = self.db;
        match item.kind {
            Kind::Select(n) => {
                self.settle_db();
                self.db = Some(n);
                self.claimed = None;
                (self.passed, self.gaps, self.gone_at_most) = (0, 0, 0);
            }
            Kind::Resize(keys) => self.claimed = Some(keys),
            Kind::End(_) => {}
            Kind::Other => self.extend_piece(item.start, item.end, None, 0, false),
            Kind::Key { expires, .. } => {
                self.passed += 1;
                self.extend_piece(item.start, item.end, Some(db.unwrap_or(0)), 1, expires);
            }
        }
    }

    fn extend_piece(&mut self, start: u64, end: u64, db: Option<u64>, keys: u64, expires: bool) {
        let bound = [self.presumed_from, self.run_from];
        let at = self.found.pieces.len();
        let fits = |p: &&mut Piece| {
            // A run, or a presumption, begins with a piece of its own.
            p.end == start && p.db == db && !bound.contains(&Some(at))
        };
        match self.found.pieces.last_mut().filter(fits) {
            Some(p) => {
                p.end = end;
                p.keys += keys;
                p.expires += u64::from(expires);
            }
            None => self.found.pieces.push(Piece {
                start,
                end,
                db,
                keys,
                expires: u64::from(expires),
            }),
        }
    }

    /// Keys of the pieces from this one on do not count.
    fn discredit(&mut self, from: usize, reason: &str) {
        let pieces = &mut self.found.pieces;
        for p in pieces.split_off(from.min(pieces.len())) {
            if p.db.is_none() {
                pieces.push(p);
                continue;
            }
            let text = format!("{reason} ({} keys)", p.keys);
            let loss = Loss::new(p.start, p.end, p.db, text);
            self.found.losses.push(loss);
        }
    }

    /// The keys of the selected database are over. If it was only presumed that they are its keys, their number tells.
    fn settle_db(&mut self) {
        let Some(from) = self.presumed_from.take() else {
            return;
        };
        // At least one key has gone with each damage.
        let fits = match self.claimed {
            Some(n) => self.passed.saturating_add(self.gaps) <= n,
            // A file without sizes is an old one.
            None => self.found.version < 7,
        };
        if !fits {
            self.discredit(from, "which database the keys belong to cannot be told");
        }
    }

    /// Commits what is settled by what follows it.
    fn commit_settled(&mut self) {
        while let Some(front) = self.pending.front() {
            let settled =
                front.strength == Strength::Strong || self.score_of(1, u64::MAX) >= SETTLED;
            if !settled {
                return;
            }
            if let Some(item) = self.pending.pop_front() {
                self.commit(item);
            }
        }
    }

    /// What the pending records from this one on that end by `end` count together.
    fn score_of(&self, from: usize, end: u64) -> u32 {
        let mut score = 0;
        for i in from..self.pending.len() {
            let item = &self.pending[i];
            if item.end > end {
                break;
            }
            score += match item.kind {
                Kind::Select(_) => 0,
                _ => item.strength.score(),
            };
        }
        score
    }

    /// Whether a pending key has this name.
    fn is_pending(&self, wanted: &[u8]) -> bool {
        self.pending
            .iter()
            .any(|i| matches!(&i.kind, Kind::Key { name, .. } if name == wanted))
    }

    /// The chain that begins at `at`, if one does.
    fn chain_at(&mut self, r: &mut RdbReader<Part<'a>>, at: u64) -> Option<Chain> {
        let allowed = self.budget.min(TRY_MAX);
        r.resume(Part::new(self.file, at, allowed), at);
        let mut chain = Chain {
            starts: vec![at],
            names: Vec::new(),
            is_whole: false,
        };
        let mut name = Vec::new();
        let begins = loop {
            let Ok(item) = next_item(r, &self.limits, &mut name) else {
                break false;
            };
            let nth = chain.starts.len();
            chain.is_whole = match item.kind {
                Kind::Select(_) if nth == 1 => true,
                Kind::Resize(_) if nth == 2 => chain.is_whole,
                _ => chain.is_whole && nth > 2,
            };
            match item.kind {
                // One key would be given up, and none is nothing to go on with.
                Kind::End(_) => break item.end == self.len && chain.names.len() > 1,
                // Zeros are keys without names.
                Kind::Key { name, .. } if name.is_empty() => break false,
                Kind::Key { name, .. } if chain.names.iter().any(|(n, _)| *n == name) => {
                    break false;
                }
                Kind::Key { name, rdb_type, .. } => chain.names.push((name, rdb_type)),
                _ => {}
            }
            chain.starts.push(item.end);
            if chain.names.len() == CHAIN {
                break true;
            }
            if chain.starts.len() > CHAIN_ITEMS_MAX {
                break false;
            }
        };
        self.budget -= allowed - r.source_mut().left;
        begins.then_some(chain)
    }

    /// The first place from `from` on where a chain begins, and the chain; not beyond `upto`.
    fn next_chain(&mut self, r: &mut RdbReader<Part<'a>>, from: u64, upto: u64) -> Option<Chain> {
        let mark = self.mark_len();
        let mut window = vec![0; WINDOW + LOOK];
        let mut base = from;
        while base < upto && self.budget > 0 {
            let want = usize::try_from(upto - base).map_or(WINDOW, |n| n.min(WINDOW));
            let have = read_full_at(self.file, &mut window[..want + LOOK], base).ok()?;
            self.budget = self.budget.saturating_sub(have as u64);
            let n = have.min(want);
            if n == 0 {
                return None;
            }
            for i in 0..n {
                let at = base + i as u64;
                let look = &window[i..have.min(i + LOOK)];
                if may_be_record(look, self.len - at - 1, mark)
                    && let Some(chain) = self.chain_at(r, at)
                {
                    return Some(chain);
                }
            }
            base += n as u64;
        }
        None
    }

    /// The first place from `from` on where reading can begin again.
    ///
    /// A chain may begin with bytes that are a record by chance, and run into the true ones. So all chains are looked at that
    /// begin within its first two keys: only where they agree is it certain.
    fn search(&mut self, from: u64) -> Option<Anchor> {
        let mut r = RdbReader::with_buffer_size(Part::new(self.file, 0, 0), 4096);
        r.assume_version(self.found.version);
        r.set_total_len(self.len);
        let mut from = from;
        'place: while let Some(chain) = self.next_chain(&mut r, from, self.len) {
            let place = chain.starts[0];
            from = place + 1;
            // Where the first key ends, and how far there has to be agreement.
            let first_key = if chain.is_whole { 3 } else { 1 };
            let end_of = |nth: usize| chain.starts.get(nth).copied();
            let Some(first_end) = end_of(first_key) else {
                continue;
            };
            let second_end = end_of(first_key + 1).unwrap_or(first_end);
            let mut agreed = if chain.is_whole { place } else { first_end };
            let mut other_from = from;
            while let Some(other) = self.next_chain(&mut r, other_from, second_end) {
                other_from = other.starts[0] + 1;
                if chain.starts.contains(&other.starts[0]) {
                    continue;
                }
                let meets = other.starts.iter().find(|s| chain.starts.contains(s));
                let Some(&meets) = meets else {
                    continue 'place;
                };
                agreed = agreed.max(meets);
            }
            let lost = chain.starts.iter().filter(|s| **s < agreed).count();
            let mut names = chain.names;
            names.truncate(lost);
            return Some(Anchor { at: agreed, names });
        }
        None
    }

    /// Reading has failed: settles what came before, finds where to go on, books what is between. `at` is the start of the
    /// record that failed, `key` its name and type where they were read. `None`: there is nothing more.
    fn recover(&mut self, at: u64, key: Option<(&[u8], u8)>, e: &RdbError) -> Option<u64> {
        let first = self.pending.front().map_or(at, |i| i.start);
        let next = self.search(first + 1);
        let upto = next.as_ref().map_or(self.len, |a| a.at);
        let cut = u32::from(e.kind == RdbErrorKind::ShortRead) * CUT_SCORE;
        let mut kept = self.pending.len();
        while let Some(i) = kept.checked_sub(1) {
            let item = &self.pending[i];
            let settled =
                item.strength == Strength::Strong || self.score_of(kept, upto) + cut >= SETTLED;
            if item.end <= upto && settled {
                break;
            }
            kept = i;
        }
        let lost: Vec<Item> = self.pending.drain(kept..).collect();
        while let Some(item) = self.pending.pop_front() {
            self.commit(item);
        }
        let start = lost.first().map_or(at, |i| i.start);
        let db = self.db;
        let mut loss = Loss::new(
            start,
            upto,
            db,
            format!("at offset {}: {}", e.offset, e.kind),
        );
        for item in &lost {
            if let Kind::Key { name, rdb_type, .. } = &item.kind {
                loss.name(name, *rdb_type);
            }
        }
        if let Some((name, rdb_type)) = key {
            loss.name(name, rdb_type);
        }
        for (name, rdb_type) in next.iter().flat_map(|a| &a.names) {
            loss.name(name, *rdb_type);
        }
        if next.is_none() && self.budget == 0 {
            loss.reason.push_str("; the search for more was given up");
        }
        self.found.losses.push(loss);
        // All keys of a database come before the next one is selected: where those that are missing have no room in the
        // gap, the selection was not in there.
        let gap = upto - start;
        let gone = self.passed.saturating_add(self.gone_at_most);
        let missing = self.claimed.map_or(0, |n| n.saturating_sub(gone));
        let room = missing.saturating_mul(KEY_MIN).saturating_add(SELECT_MIN);
        let is_certain = missing > 0 && gap < room;
        self.gaps += 1;
        self.gone_at_most = self.gone_at_most.saturating_add(gap / KEY_MIN);
        let from = self.found.pieces.len();
        if !is_certain && self.presumed_from.is_none() {
            self.presumed_from = Some(from);
        }
        self.run_from = Some(from);
        next.map(|a| a.at)
    }

    /// Reads the header: where the records begin.
    fn header(&mut self, r: &mut RdbReader<Part<'a>>) -> Option<u64> {
        match r.header(&mut no_poll) {
            Ok(version) => {
                self.found.version = version;
                Some(RDB_HEADER_LEN as u64)
            }
            Err(e) => {
                self.found.version = RDB_VERSION;
                r.assume_version(RDB_VERSION);
                let next = self.search(0).map(|a| a.at);
                let loss = Loss::new(0, next.unwrap_or(self.len), None, e.kind.to_string());
                self.found.losses.push(loss);
                self.presumed_from = Some(0);
                self.run_from = Some(0);
                next
            }
        }
    }

    /// Finds all that is good.
    fn walk(mut self) -> Findings {
        let mut r = RdbReader::new(Part::new(self.file, 0, u64::MAX));
        r.set_total_len(self.len);
        let Some(mut at) = self.header(&mut r) else {
            return self.found;
        };
        if !self.found.losses.is_empty() {
            r.resume(Part::new(self.file, at, u64::MAX), at);
        }
        let mut name = Vec::new();
        loop {
            name.clear();
            let failed = match next_item(&mut r, &self.limits, &mut name) {
                Ok(item) => match self.take(item) {
                    Ok(end) => {
                        at = end;
                        continue;
                    }
                    Err(None) => break,
                    Err(Some(e)) => e,
                },
                Err(e) => e,
            };
            let mismatch = matches!(failed.kind, RdbErrorKind::ChecksumMismatch { .. });
            if mismatch && r.bytes_read() == self.len {
                self.found.checksum_is_wrong = true;
                self.finish();
                break;
            }
            let mid_file_end = self.is_end_mark(at);
            if mid_file_end && failed.kind == RdbErrorKind::ShortRead {
                // Only the checksum is cut.
                self.finish();
                let reason = "the checksum is not all there".to_string();
                self.found
                    .losses
                    .push(Loss::new(at, self.len, None, reason));
                break;
            }
            self.budget = self
                .budget
                .saturating_sub(r.bytes_read().saturating_sub(at));
            // A type is known once a name is there.
            let key = self.key_at(at, &name);
            let key = key.as_ref().map(|(n, t)| (&n[..], *t));
            let run = self.run_from;
            let next = self.recover(at, key, &failed);
            if mid_file_end
                && next.is_some()
                && let Some(from) = run
            {
                self.discredit(from, "part of a snapshot that a value holds");
                let n = self.found.pieces.len();
                self.run_from = Some(n);
                self.presumed_from = self.presumed_from.map(|from| from.min(n));
            }
            let Some(next) = next else {
                break;
            };
            at = next;
            r.resume(Part::new(self.file, at, u64::MAX), at);
        }
        self.settle_db();
        self.found
    }

    /// The end is where it should be: all that is pending is settled.
    fn finish(&mut self) {
        while let Some(item) = self.pending.pop_front() {
            self.commit(item);
        }
        self.settle_db();
    }

    /// Takes in a record that was read: the offset behind it. Nothing inside: that was the last; an error inside: it cannot
    /// be.
    fn take(&mut self, mut item: Item) -> Result<u64, Option<RdbError>> {
        let end = item.end;
        let start = item.start;
        let wrong = |text| {
            Err(Some(RdbError {
                offset: start,
                kind: RdbErrorKind::Value(text),
            }))
        };
        match &item.kind {
            Kind::End(sum) if end == self.len || (*sum == RdbChecksum::Verified) => {
                self.found.checksum = Some(*sum);
                self.found.trailing = self.len - end;
                self.finish();
                return Err(None);
            }
            Kind::End(_) => return wrong("An end mark before the end of the file"),
            Kind::Key { name, .. } if self.is_pending(name) => {
                return wrong("The same key twice in a row");
            }
            Kind::Resize(_) if matches!(self.pending.back(), Some(i) if matches!(i.kind, Kind::Select(_))) =>
            {
                item.strength = Strength::Strong;
            }
            _ => {}
        }
        self.pending.push_back(item);
        self.commit_settled();
        Ok(end)
    }

    /// Whether the end mark's opcode stands here.
    fn is_end_mark(&self, at: u64) -> bool {
        let mut b = [0; 1];
        matches!(self.file.read_at(&mut b, at), Ok(1)) && b[0] == RDB_OPCODE_EOF
    }

    /// The name and type of a record that failed, if it got that far: `name` was read then.
    fn key_at(&self, at: u64, name: &[u8]) -> Option<(Vec<u8>, u8)> {
        if name.is_empty() {
            return None;
        }
        let mut r = RdbReader::with_buffer_size(Part::new(self.file, at, TRY_MAX), 4096);
        r.resume(Part::new(self.file, at, TRY_MAX), at);
        let mut again = Vec::new();
        match r.next_record(&mut again, &mut no_poll) {
            Ok(RdbRecord::Key(k)) => Some((again, k.rdb_type)),
            _ => None,
        }
    }
}

/// Reads as much as there is, up to the whole of `buf`.
fn read_full_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
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

/// Takes keys out whose names were there before, in a file whose checksum does not vouch for it.
fn drop_duplicates(file: &File, found: &mut Findings) -> Result<(), RdbError> {
    let mut r = RdbReader::new(Part::new(file, 0, 0));
    r.assume_version(found.version);
    let mut seen = HashSet::new();
    let mut kept: Vec<Piece> = Vec::new();
    let mut name = Vec::new();
    for piece in std::mem::take(&mut found.pieces) {
        let Some(db) = piece.db else {
            kept.push(piece);
            continue;
        };
        r.resume(Part::new(file, piece.start, u64::MAX), piece.start);
        // The stretch of keys that stay.
        let mut good = Piece {
            end: piece.start,
            keys: 0,
            expires: 0,
            ..piece
        };
        while r.bytes_read() < piece.end {
            let start = r.bytes_read();
            let RdbRecord::Key(k) = r.next_record(&mut name, &mut no_poll)? else {
                // A function library or data of a module, amid the keys.
                good.end = piece.end.min(r.bytes_read());
                continue;
            };
            r.skip_value(k.rdb_type, &mut no_poll)?;
            let end = r.bytes_read();
            if seen.insert(fingerprint(db, &name)) {
                good.end = end;
                good.keys += 1;
                good.expires += u64::from(k.expire_ms.is_some());
                continue;
            }
            let reason = "a key of this name was there before".to_string();
            let mut loss = Loss::new(start, end, piece.db, reason);
            loss.name(&name, k.rdb_type);
            found.losses.push(loss);
            if good.end > good.start {
                kept.push(good);
            }
            good = Piece {
                start: end,
                end,
                keys: 0,
                expires: 0,
                ..piece
            };
        }
        if good.end > good.start {
            kept.push(good);
        }
    }
    found.pieces = kept;
    Ok(())
}

/// Writes the good pieces of `file` as a snapshot of their own.
fn write_pieces<W: Write>(file: &File, found: &Findings, sink: W) -> io::Result<()> {
    let mut w = RdbWriter::new(sink, RdbWriterOptions::default());
    let mut header = RDB_MAGIC.to_vec();
    header.extend_from_slice(format!("{:04}", found.version).as_bytes());
    w.raw(&header)?;
    let mut sizes: HashMap<u64, (u64, u64)> = HashMap::new();
    for p in &found.pieces {
        if let Some(db) = p.db {
            let s = sizes.entry(db).or_default();
            s.0 += p.keys;
            s.1 += p.expires;
        }
    }
    let mut selected = None;
    let mut buf = vec![0; WINDOW];
    for p in &found.pieces {
        if let Some(db) = p.db
            && selected != Some(db)
        {
            selected = Some(db);
            w.select_db(db)?;
            // Fields and sizes are as old as each other.
            if let Some((keys, expires)) = sizes.remove(&db)
                && found.version >= 7
            {
                w.resize_db(keys, expires)?;
            }
        }
        let mut at = p.start;
        while at < p.end {
            let want = usize::try_from(p.end - at).map_or(WINDOW, |n| n.min(WINDOW));
            if read_full_at(file, &mut buf[..want], at)? < want {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            w.raw(&buf[..want])?;
            at += want as u64;
        }
    }
    if found.version >= RDB_VERSION_CHECKSUM {
        w.eof()
    } else {
        w.raw(&[RDB_OPCODE_EOF])?;
        w.flush()
    }
}

/// Where the new file is written before it gets its name.
fn temp_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_os_string();
    name.push(format!(".salvage-{}", std::process::id()));
    PathBuf::from(name)
}

/// Writes the new file under another name, and it is on the disk before it gets its own.
fn write_output(file: &File, found: &Findings, output: &Path) -> io::Result<()> {
    let temp = temp_path(output);
    let written = (|| {
        let sink = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temp)?;
        write_pieces(file, found, &sink)?;
        sink.sync_all()?;
        fs::rename(&temp, output)?;
        fsync_file_dir(output)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written
}

/// Lists what was lost, and counts.
fn report(out: &mut dyn Write, found: &Findings) -> io::Result<()> {
    for l in &found.losses {
        let db = match l.db {
            Some(db) => format!("DB {db}"),
            None => "no DB".to_string(),
        };
        writeln!(
            out,
            "[lost] offset {} to {} ({} bytes), {db}: {}",
            l.start,
            l.end,
            l.end.saturating_sub(l.start),
            l.reason
        )?;
        for name in &l.names {
            writeln!(out, "[lost] key {name}")?;
        }
        if l.more_names > 0 {
            writeln!(out, "[lost] and {} keys more", l.more_names)?;
        }
    }
    if found.checksum_is_wrong {
        writeln!(
            out,
            "[warning] The checksum is wrong, but every record reads well: something in a key or a value has changed, and \
             it cannot be told where."
        )?;
    }
    if found.trailing > 0 {
        writeln!(
            out,
            "[info] {} bytes after the end mark are no part of the snapshot",
            found.trailing
        )?;
    }
    let keys: u64 = found.pieces.iter().map(|p| p.keys).sum();
    let lost: u64 = found
        .losses
        .iter()
        .map(|l| l.end.saturating_sub(l.start))
        .sum();
    writeln!(out, "[info] {keys} keys written")?;
    writeln!(
        out,
        "[info] {} places lost, {lost} bytes",
        found.losses.len()
    )
}

/// The tool: `input` is the damaged file, `output` the new one, which must not be there yet. Returns the exit code: 0 when
/// nothing was lost, 1 when something was, [`EXIT_FAILED`] when there is no new file.
pub fn salvage_main(out: &mut dyn Write, input: &[u8], output: &[u8]) -> i32 {
    let (from, to) = (path_of(input), path_of(output));
    let opened = File::open(&from).and_then(|f| {
        let m = f.metadata()?;
        Ok((f, m))
    });
    let (file, meta) = match opened {
        Ok(o) => o,
        Err(e) => {
            eprintln!("Cannot open file {}: {}", shown(input), strerror(&e));
            return EXIT_FAILED;
        }
    };
    match fs::symlink_metadata(&to) {
        Ok(m) if (m.dev(), m.ino()) == (meta.dev(), meta.ino()) => {
            eprintln!("{} and {} are the same file", shown(input), shown(output));
            return EXIT_FAILED;
        }
        Ok(_) => {
            eprintln!(
                "{} exists: it is not overwritten. Give another name, or remove it.",
                shown(output)
            );
            return EXIT_FAILED;
        }
        Err(_) => {}
    }
    let _ = writeln!(
        out,
        "[info] Salvaging RDB file {} into {}",
        shown(input),
        shown(output)
    );
    let mut found = Salvage::new(&file, meta.len()).walk();
    if found.checksum != Some(RdbChecksum::Verified)
        && let Err(e) = drop_duplicates(&file, &mut found)
    {
        eprintln!("{} changes while it is read: {e}", shown(input));
        return EXIT_FAILED;
    }
    if found.pieces.is_empty() && !found.losses.is_empty() {
        let _ = report(out, &found);
        eprintln!(
            "Nothing in {} can be read: no file is written",
            shown(input)
        );
        return EXIT_FAILED;
    }
    if let Err(e) = write_output(&file, &found, &to) {
        eprintln!("Cannot write {}: {}", shown(output), strerror(&e));
        return EXIT_FAILED;
    }
    let _ = report(out, &found);
    if found.losses.is_empty() && !found.checksum_is_wrong {
        0
    } else {
        EXIT_LOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Prng;
    use crate::ds::field::FieldValue;
    use crate::store::entry::value::Value;
    use crate::store::entry::{Entry, NewValue};
    use crate::store::hash::Hash;
    use crate::store::rdb_value::{rdb_save_object, rdb_save_object_type};

    /// A record of the sound file.
    struct Truth {
        db: u64,
        start: usize,
        end: usize,
    }

    fn random_bytes(rng: &mut Prng, n: usize) -> Vec<u8> {
        (0..n).map(|_| rng.next_u64() as u8).collect()
    }

    /// A value of some type, as it is written.
    fn write_value(w: &mut RdbWriter<Vec<u8>>, rng: &mut Prng, name: &[u8]) -> io::Result<()> {
        match rng.below(6) {
            0 => {
                w.type_byte(0)?;
                w.string(name)?;
                let n = rng.index(100);
                w.string(&random_bytes(rng, n))
            }
            1 => {
                w.type_byte(0)?;
                w.string(name)?;
                w.int_string(rng.next_u64() as i64 >> rng.below(64))
            }
            2 => {
                w.type_byte(0)?;
                w.string(name)?;
                w.string(&b"words and words ".repeat(rng.index(20)))
            }
            3 => {
                w.type_byte(1)?;
                w.string(name)?;
                let n = 1 + rng.below(8);
                w.len(n)?;
                (0..n).try_for_each(|i| w.string(format!("element {i}").as_bytes()))
            }
            4 => {
                w.type_byte(0)?;
                w.string(name)?;
                w.string(&b"some text, longer than a few letters"[..rng.index(30)])
            }
            _ => {
                let mut hash = Hash::default();
                let limits = LoadLimits::new(&Config::default(), true);
                for i in 0..1 + rng.below(9) {
                    let field = format!("field {i}");
                    let number = rng.next_u64().to_string();
                    hash.set(
                        field.as_bytes(),
                        FieldValue::Bytes(number.as_bytes()),
                        &limits.hash,
                    );
                }
                let e = Entry::new(name, NewValue::Value(Value::Hash(hash)), None);
                w.type_byte(rdb_save_object_type(&e, 11))?;
                w.string(name)?;
                rdb_save_object(w, &e)
            }
        }
    }

    /// A file of `keys` keys in each database.
    fn sound(rng: &mut Prng, dbs: u64, keys: u64) -> (Vec<u8>, Vec<Truth>) {
        let mut truths = Vec::new();
        let mut w = RdbWriter::new(Vec::new(), RdbWriterOptions::default());
        let written = (|| {
            w.magic()?;
            w.aux(b"redis-ver", b"7.2.4")?;
            for db in 0..dbs {
                w.select_db(db)?;
                w.resize_db(keys, 0)?;
                for i in 0..keys {
                    let start = w.bytes_written() as usize;
                    if rng.below(5) == 0 {
                        w.expiry_ms(1_900_000_000_000 + i as i64)?;
                    }
                    write_value(&mut w, rng, format!("key:{db}:{i}").as_bytes())?;
                    let end = w.bytes_written() as usize;
                    truths.push(Truth { db, start, end });
                }
            }
            w.eof()
        })();
        assert!(written.is_ok());
        (std::mem::take(w.sink_mut()), truths)
    }

    fn salvaged(bytes: &[u8]) -> (Findings, File) {
        // A file without a name.
        let path = std::env::temp_dir().join(format!(
            "aedile-salvage-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::write(&path, bytes).expect("temporary file");
        let file = File::open(&path).expect("temporary file");
        fs::remove_file(&path).expect("temporary file");
        let mut found = Salvage::new(&file, bytes.len() as u64).walk();
        drop_duplicates(&file, &mut found).expect("readable");
        (found, file)
    }

    /// The records in what was found: database, start, end.
    fn records(found: &Findings, bytes: &[u8]) -> Vec<(u64, usize, usize)> {
        let mut out = Vec::new();
        for p in &found.pieces {
            let Some(db) = p.db else {
                continue;
            };
            let mut r = RdbReader::new(&bytes[p.start as usize..]);
            r.set_verify_checksum(false);
            let mut name = Vec::new();
            while p.start + r.bytes_read() < p.end {
                let start = (p.start + r.bytes_read()) as usize;
                match r.next_record(&mut name, &mut no_poll) {
                    Ok(RdbRecord::Key(k)) => {
                        r.skip_value(k.rdb_type, &mut no_poll).expect("a value");
                    }
                    other => panic!("{other:?} at {start}"),
                }
                out.push((db, start, (p.start + r.bytes_read()) as usize));
            }
        }
        out
    }

    /// Nothing but true records, and those that damage has touched without moving their ends; returns how many of the
    /// untouched ones away from the damage are missing.
    fn judge(bad: &[u8], truths: &[Truth], damage: &[(usize, usize)], what: &str) -> usize {
        let (found, _) = salvaged(bad);
        let got = records(&found, bad);
        let hit = |a: usize, b: usize| damage.iter().any(|&(x, y)| x < b && y > a);
        // Damage may change a key's value without a trace, and even its length, if what follows happens to begin there.
        let mut after_hit = usize::MAX;
        for &(db, start, end) in &got {
            let here = truths.iter().find(|t| t.db == db && t.start == start);
            let is_hit = hit(start, end);
            let is_true = match here {
                Some(t) => t.end == end || is_hit,
                None => start == after_hit && truths.iter().any(|t| t.end == end),
            };
            if is_hit {
                after_hit = end;
            }
            assert!(
                is_true,
                "{what}: an invented key at {start}..{end} of DB {db}: {:?}; {:?}",
                found.losses,
                &bad[start..end.min(start + 60)]
            );
        }
        let touched = |t: &Truth| damage.iter().any(|&(a, b)| a < t.end && b > t.start);
        let mut missing = 0;
        for (i, t) in truths.iter().enumerate() {
            let near = truths[i.saturating_sub(3)..truths.len().min(i + 4)]
                .iter()
                .any(touched);
            let is_there = got.contains(&(t.db, t.start, t.end));
            if !near && !is_there {
                missing += 1;
                eprintln!(
                    "{what}: {}..{} is missing: {:?}",
                    t.start, t.end, found.losses
                );
            }
        }
        missing
    }

    #[test]
    fn a_sound_file_is_copied() {
        let mut rng = Prng::new(1);
        let (bytes, truths) = sound(&mut rng, 3, 20);
        let (found, file) = salvaged(&bytes);
        assert_eq!(found.losses, []);
        assert_eq!(found.checksum, Some(RdbChecksum::Verified));
        assert_eq!(records(&found, &bytes).len(), truths.len());
        let mut copy = Vec::new();
        write_pieces(&file, &found, &mut copy).expect("written");
        let (again, _) = salvaged(&copy);
        assert_eq!(records(&again, &copy).len(), truths.len());
        assert_eq!(again.checksum, Some(RdbChecksum::Verified));
        assert_eq!(bytes[bytes.len() - 9], 0xff);
    }

    /// Beyond the neighbours a few keys more may go where records can be read in two ways, but seldom.
    struct Toll {
        rounds: usize,
        missing: usize,
    }

    impl Toll {
        fn add(&mut self, missing: usize) {
            assert!(missing <= 2 * CHAIN, "{missing} keys missing at once");
            self.rounds += 1;
            self.missing += missing;
        }

        fn is_small(&self) -> bool {
            self.missing * 50 <= self.rounds
        }
    }

    #[test]
    fn one_changed_byte_costs_its_neighbours_at_the_most() {
        let mut rng = Prng::new(20_241_124);
        let mut toll = Toll {
            rounds: 0,
            missing: 0,
        };
        for round in 0..60 {
            let (bytes, truths) = sound(&mut rng, 1, 30);
            let first = truths[0].start;
            for _ in 0..40 {
                let at = first + rng.index(bytes.len() - 9 - first);
                let mut bad = bytes.clone();
                bad[at] ^= 1 + rng.below(255) as u8;
                let damage = [(at, at + 1)];
                toll.add(judge(&bad, &truths, &damage, &format!("{round}, {at}")));
            }
        }
        assert!(toll.is_small(), "{} missing", toll.missing);
    }

    #[test]
    fn holes_cost_what_was_in_them() {
        let mut rng = Prng::new(7);
        let mut toll = Toll {
            rounds: 0,
            missing: 0,
        };
        for round in 0..600 {
            let (bytes, truths) = sound(&mut rng, 1, 40);
            let first = truths[0].start;
            let len = 1 + rng.index(200);
            let at = first + rng.index(bytes.len() - 9 - first - len);
            let mut bad = bytes.clone();
            let noise = match round % 3 {
                0 => vec![0; len],
                1 => random_bytes(&mut rng, len),
                _ => vec![b'A'; len],
            };
            bad[at..at + len].copy_from_slice(&noise);
            let what = format!("round {round}, {len} bytes at {at}");
            toll.add(judge(&bad, &truths, &[(at, at + len)], &what));
        }
        assert!(toll.is_small(), "{} missing", toll.missing);
    }

    #[test]
    fn cut_files_and_missing_stretches() {
        let mut rng = Prng::new(77);
        for _ in 0..200 {
            let (bytes, truths) = sound(&mut rng, 1, 20);
            let first = truths[0].start;
            let cut = first + rng.index(bytes.len() - first);
            let missing = judge(&bytes[..cut], &truths, &[(cut, bytes.len())], "cut");
            assert_eq!(missing, 0, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_invented_in_other_databases() {
        let mut rng = Prng::new(99);
        for round in 0..300 {
            let (bytes, truths) = sound(&mut rng, 4, 12);
            let mut bad = bytes.clone();
            let mut damage = Vec::new();
            for _ in 0..1 + rng.below(3) {
                let len = 1 + rng.index(60);
                let at = 9 + rng.index(bytes.len() - 9 - len);
                let noise = random_bytes(&mut rng, len);
                bad[at..at + len].copy_from_slice(&noise);
                damage.push((at, at + len));
            }
            judge(
                &bad,
                &truths,
                &damage,
                &format!("round {round}, {damage:?}"),
            );
        }
    }

    #[test]
    fn noise_alone_gives_nothing() {
        let mut rng = Prng::new(5);
        for _ in 0..10 {
            let bytes = random_bytes(&mut rng, 20_000);
            let (found, _) = salvaged(&bytes);
            assert!(found.pieces.is_empty(), "{:?}", found.pieces);
        }
        let (found, _) = salvaged(&[0; 20_000]);
        assert!(found.pieces.is_empty());
    }

    #[test]
    fn a_snapshot_inside_a_value_is_no_find() {
        let mut rng = Prng::new(31);
        let (inner, _) = sound(&mut rng, 1, 30);
        let (outer, truths) = sound(&mut rng, 1, 30);
        // The inner one as the value of a key amid the outer one's keys, whose length is damaged.
        let t = &truths[15];
        let mut value = vec![0, 5];
        value.extend_from_slice(b"inner\x80");
        value.extend_from_slice(&(inner.len() as u32).to_be_bytes());
        let at = t.start + value.len() - 1;
        value.extend_from_slice(&inner);
        let mut bad = outer[..t.start].to_vec();
        bad.extend_from_slice(&value);
        bad.extend_from_slice(&outer[t.start..]);
        bad[at] ^= 0xff;
        let (found, _) = salvaged(&bad);
        for (_, start, end) in records(&found, &bad) {
            assert!(
                end <= t.start || start >= t.start + value.len(),
                "{start}..{end} is of the inner snapshot"
            );
        }
    }
}
