//! What a database owes to a snapshot that is taken while clients are served: every entry as it was when the snapshot began,
//! written once, whatever has become of it since.
//!
//! Each entry's header has the number of the last snapshot that has its record, or that is not to have one since the key is
//! younger (`Entry::snapshot`). While a capture is there, [`super::keyspace`] looks at that number before it changes, replaces
//! or removes an entry, and gives the number to each entry that it adds; nobody else can change one. So a record is made of
//! each old entry exactly once: by the walk over the table, or, before that comes to it, by the first change.
//!
//! The walk goes by SCAN's cursor, so that the table may grow and shrink meanwhile; what it meets twice has its number.
//!
//! Of a bulky value ([`is_bulky`]) a record is made by pieces, by one at a time. Meanwhile the records of what changes go into
//! `early`, since nothing may come between the pieces. What becomes of a bulky value that is not in the snapshot yet:
//! - it is removed or replaced as a whole: it is set aside, written from there by pieces, and freed then. Nobody waits;
//! - it is changed: whoever changes it should wait until it is written ([`super::keyspace::Keyspace::unsaved`] tells who has to
//!   wait, [`super::keyspace::Keyspace::capture_soon`] makes it the next). Who cannot wait has it written at once, all of it:
//!   right, but as long as it takes; `forced` counts those.
//!
//! Invariants: bytes of `stream` are whole records but for the last, which goes on in the next bytes while `current` is some;
//! `early` has whole records. A capture is dropped only after it has been ended. It knows neither files nor the server.

use std::collections::VecDeque;
use std::io::{self, Sink};

use super::{Entry, NewValue};
use crate::ds::table::{Element, Table};
use crate::store::entry::Type;
use crate::store::entry::value::Value;
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::rdb_value::{Pieces, Records, is_bulky};
use crate::store::set::Set;
use crate::store::stream::Stream;
use crate::store::zset::Zset;
use crate::wire::rdb::{RdbWriter, RdbWriterOptions};

/// Buckets that one step of the walk visits at the most: some ten microseconds.
const GROUP: usize = 6;
/// Bytes after which a step ends.
const PIECE: usize = 64 * 1024;

/// Where the value is that is being written by pieces.
enum Source {
    /// In the table, under this key.
    Table(Box<[u8]>),
    /// It was removed or replaced.
    Aside(Entry),
}

struct Current {
    source: Source,
    pieces: Pieces,
}

/// Whether a change of a key has to do with a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsaved {
    /// It has not: there is no such key, or the snapshot has it, or is not to have it.
    No,
    /// Its record is made before the change, which takes some memory.
    Small,
    /// Its value is bulky, and not in the snapshot yet.
    Bulky,
}

/// One database's part of a snapshot that is being taken. See the head of the file.
pub(crate) struct Capture {
    /// The number that the database had when the snapshot began.
    db: usize,
    /// That of the snapshot, 1 to 15.
    number: u8,
    records: Records,
    /// Its buffer is the stream: what the walk has written, in order.
    w: RdbWriter<Sink>,
    /// Records of entries that changed before the walk came to them.
    early: Vec<u8>,
    cursor: u64,
    walked: bool,
    current: Option<Current>,
    /// Bulky values that were removed or replaced before they were written, in that order.
    aside: VecDeque<Entry>,
    /// Keys of bulky values that somebody waits for.
    wanted: VecDeque<Box<[u8]>>,
    /// Entries that are written and belong to nobody any more.
    spent: Vec<Entry>,
    /// Records begun; bytes of those that changes made; bulky values that were written at once since their change could not
    /// wait.
    keys: u64,
    early_bytes: u64,
    forced: u64,
    /// A bulky value has been written whole since this was last asked.
    value_done: bool,
    ended: bool,
}

/// Memory cannot fail.
fn written(done: io::Result<()>) {
    debug_assert!(done.is_ok());
}

impl Capture {
    pub(crate) fn new(
        db: usize,
        number: u8,
        records: Records,
        options: RdbWriterOptions,
    ) -> Capture {
        debug_assert!((1..16).contains(&number));
        Capture {
            db,
            number,
            records,
            w: RdbWriter::in_memory(options),
            early: Vec::new(),
            cursor: 0,
            walked: false,
            current: None,
            aside: VecDeque::new(),
            wanted: VecDeque::new(),
            spent: Vec::new(),
            keys: 0,
            early_bytes: 0,
            forced: 0,
            value_done: false,
            ended: false,
        }
    }

    /// The number that the database had when the snapshot began.
    pub(crate) fn db(&self) -> usize {
        self.db
    }

    /// Every entry has its record.
    pub(crate) fn is_done(&self) -> bool {
        self.walked && self.current.is_none() && self.aside.is_empty()
    }

    /// The last record of the stream goes on in the bytes to come.
    pub(crate) fn is_amid_value(&self) -> bool {
        self.current.is_some()
    }

    /// What was written and is to be taken: the walk's records, and, to be put between two whole records of all, those that
    /// changes made.
    pub(crate) fn stream(&mut self) -> &mut Vec<u8> {
        self.w.buffer()
    }

    pub(crate) fn early(&mut self) -> &mut Vec<u8> {
        &mut self.early
    }

    /// Bytes of records that nobody has taken yet.
    pub(crate) fn buffered(&self) -> usize {
        self.w.bytes_written() as usize + self.early.len()
    }

    /// Records begun so far.
    pub(crate) fn keys(&self) -> u64 {
        self.keys
    }

    /// Bytes of records that changes made, so far.
    pub(crate) fn early_bytes(&self) -> u64 {
        self.early_bytes
    }

    /// Somebody waits for a value.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Bulky values that were written at once.
    pub(crate) fn forced(&self) -> u64 {
        self.forced
    }

    /// Entries to be freed.
    pub(crate) fn spent(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.spent)
    }

    /// Whether a bulky value has been written whole since this was last asked.
    pub(crate) fn value_done(&mut self) -> bool {
        std::mem::take(&mut self.value_done)
    }

    /// The snapshot is over, or given up. Returns entries to be freed.
    pub(super) fn end(&mut self) -> Vec<Entry> {
        self.ended = true;
        let mut rest = std::mem::take(&mut self.spent);
        rest.extend(std::mem::take(&mut self.aside));
        if let Some(Current {
            source: Source::Aside(e),
            ..
        }) = self.current.take()
        {
            rest.push(e);
        }
        rest
    }

    /// Whether the snapshot has the entry, or is not to have it.
    #[inline]
    pub(super) fn has(&self, e: &Entry) -> bool {
        e.snapshot() == self.number
    }

    /// A key that is younger than the snapshot, or has its record.
    pub(super) fn pass(&self, e: &Entry) {
        e.set_snapshot(self.number);
    }

    fn is_current(&self, e: &Entry) -> bool {
        self.current.as_ref().is_some_and(
            |c| matches!(&c.source, Source::Table(key) if key.as_ref() == Element::key(e)),
        )
    }

    pub(super) fn unsaved(&self, e: &Entry) -> Unsaved {
        if self.has(e) {
            Unsaved::No
        } else if is_bulky(e) {
            Unsaved::Bulky
        } else {
            Unsaved::Small
        }
    }

    /// An entry is about to change: its record is made.
    pub(super) fn save(&mut self, e: &Entry) {
        if self.has(e) {
            return;
        }
        if is_bulky(e) {
            self.forced += 1;
        }
        if self.is_current(e) {
            while self.current_goes_on(e) {}
            self.current = None;
            self.value_done = true;
        } else {
            let before = self.early.len();
            std::mem::swap(&mut self.early, self.w.buffer());
            written(self.records.begin(&mut self.w, e));
            if let Ok(mut pieces) = Pieces::begin(&mut self.w, e) {
                while pieces
                    .more(&mut self.w, e, PIECE as u64)
                    .is_ok_and(|more| more)
                {}
            }
            std::mem::swap(&mut self.early, self.w.buffer());
            self.early_bytes += (self.early.len() - before) as u64;
            self.keys += 1;
        }
        self.pass(e);
    }

    /// An entry is about to be replaced or removed as a whole. True: the caller gives it to [`Self::set_aside`] then; false: its
    /// record is made, if it was due.
    pub(super) fn wants(&mut self, e: &Entry) -> bool {
        if self.has(e) {
            return false;
        }
        if is_bulky(e) {
            return true;
        }
        self.save(e);
        false
    }

    /// Takes an entry over whose key has another value now, or none.
    pub(super) fn set_aside(&mut self, e: Entry) {
        if self.is_current(&e) {
            if let Some(c) = &mut self.current {
                c.source = Source::Aside(e);
            }
        } else {
            self.aside.push_back(e);
        }
    }

    /// This key's value is to be the next that is written.
    pub(super) fn want(&mut self, key: &[u8]) {
        let there = self.wanted.iter().any(|k| k.as_ref() == key);
        if !there {
            self.wanted.push_back(key.into());
        }
    }

    /// Writes a piece of the current value, which is `e`. False: it is whole.
    fn current_goes_on(&mut self, e: &Entry) -> bool {
        let Some(c) = self.current.as_mut() else {
            return false;
        };
        c.pieces
            .more(&mut self.w, e, PIECE as u64)
            .is_ok_and(|more| more)
    }

    /// Begins the record of a bulky value.
    fn begin_value(&mut self, e: &Entry) -> Option<Pieces> {
        debug_assert!(self.current.is_none());
        written(self.records.begin(&mut self.w, e));
        self.keys += 1;
        Pieces::begin(&mut self.w, e).ok()
    }

    fn begin_in_table(&mut self, e: &Entry) {
        if let Some(pieces) = self.begin_value(e) {
            let source = Source::Table(Element::key(e).into());
            self.current = Some(Current { source, pieces });
        }
    }

    /// Does a bounded part of what is left: a piece of a value, or up to `group` buckets of the walk.
    pub(super) fn step(&mut self, table: &Table<Entry>, group: usize) {
        if self.current.is_some() {
            return self.step_of_value(table);
        }
        if let Some(e) = self.aside.pop_front() {
            if let Some(pieces) = self.begin_value(&e) {
                let source = Source::Aside(e);
                self.current = Some(Current { source, pieces });
            }
            return;
        }
        while let Some(key) = self.wanted.pop_front() {
            let Some(slot) = table.find(table.hash(&key), &key) else {
                continue;
            };
            let e = table.at(slot);
            if self.unsaved(e) == Unsaved::Bulky {
                return self.begin_in_table(e);
            }
        }
        if !self.walked {
            self.walk(table, group.clamp(1, GROUP));
        }
    }

    fn step_of_value(&mut self, table: &Table<Entry>) {
        let Some(mut c) = self.current.take() else {
            return;
        };
        let more = match &c.source {
            Source::Aside(e) => c.pieces.more(&mut self.w, e, PIECE as u64),
            Source::Table(key) => match table.find(table.hash(key), key) {
                Some(slot) => {
                    let e = table.at(slot);
                    let more = c.pieces.more(&mut self.w, e, PIECE as u64);
                    if !matches!(more, Ok(true)) {
                        self.pass(e);
                    }
                    more
                }
                // It cannot go without being set aside.
                None => unreachable!("a value that is being written is in the table"),
            },
        };
        if matches!(more, Ok(true)) {
            self.current = Some(c);
            return;
        }
        self.value_done = true;
        if let Source::Aside(e) = c.source {
            self.spent.push(e);
        }
    }

    fn walk(&mut self, table: &Table<Entry>, group: usize) {
        table.prefetch_scan(self.cursor, group);
        let enough = self.w.buffer().len() + PIECE;
        for _ in 0..group {
            let (mut bulky, mut rest) = (None, false);
            let next = table.scan(self.cursor, |e| {
                if self.has(e) || bulky.is_some() {
                    return;
                }
                if is_bulky(e) {
                    bulky = Some(Box::<[u8]>::from(Element::key(e)));
                } else if self.w.buffer().len() >= enough {
                    rest = true;
                } else {
                    written(self.records.write(&mut self.w, e));
                    self.keys += 1;
                    self.pass(e);
                }
            });
            if let Some(key) = bulky {
                // The chain is visited again when the value is written.
                if let Some(slot) = table.find(table.hash(&key), &key) {
                    self.begin_in_table(table.at(slot));
                }
                return;
            }
            if rest {
                return;
            }
            self.cursor = next;
            if next == 0 {
                self.walked = true;
                return;
            }
            if self.w.buffer().len() >= enough {
                return;
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        debug_assert!(
            self.ended || std::thread::panicking(),
            "a database is gone that a snapshot has not written yet"
        );
    }
}

/// An empty value in the place of one that is set aside, so that whoever removes the key finds its type.
pub(super) fn husk(of: Type) -> NewValue<'static> {
    NewValue::Value(match of {
        Type::String => return NewValue::Int(0),
        Type::List => Value::List(List::new()),
        Type::Set => Value::Set(Set::Listpack(crate::ds::listpack::Listpack::new())),
        Type::Zset => Value::Zset(Zset::Listpack(crate::ds::listpack::Listpack::new())),
        Type::Hash => Value::Hash(Hash::Listpack(crate::ds::listpack::Listpack::new())),
        Type::Stream => Value::Stream(Stream::new()),
    })
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
