//! The walk through a damaged file: what is certain by what stands around it, and which database it belongs to.
//!
//! Invariant: records are committed in the order of the file, and only when nothing that follows can still make them doubtful.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::findings::{Findings, Loss, Piece};
use super::record::{Item, Kind, Part, Strength, next_item};
use super::search::Search;
use crate::config::fields::Config;
use crate::store::rdb_value::LoadLimits;
use crate::wire::rdb::{
    RDB_HEADER_LEN, RDB_OPCODE_EOF, RDB_VERSION, RdbChecksum, RdbError, RdbErrorKind, RdbReader,
    RdbRecord, no_poll,
};

/// Bytes that a key takes in a file at the least, and those of a selection with its sizes.
const KEY_MIN: u64 = 3;
const SELECT_MIN: u64 = 5;
/// What the record counts for that the file's end cuts.
const CUT_SCORE: u32 = 1;
/// So much sound matter after a record settles where it ends.
const SETTLED: u32 = 2;
/// Bytes in which a name is looked for.
const NAME_LOOK: u64 = 64 << 20;

/// The walk through a damaged file.
pub(super) struct Salvage<'a> {
    file: &'a File,
    len: u64,
    limits: LoadLimits,
    /// Made when it is first needed: by then the version is known.
    search: Option<Search<'a>>,
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

impl<'a> Salvage<'a> {
    pub(super) fn new(file: &'a File, len: u64) -> Salvage<'a> {
        Salvage {
            file,
            len,
            limits: LoadLimits::new(&Config::default(), true),
            search: None,
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

    fn search(&mut self) -> &mut Search<'a> {
        let (file, len, version) = (self.file, self.len, self.found.version);
        self.search
            .get_or_insert_with(|| Search::new(file, len, version))
    }

    /// A record whose place is beyond doubt.
    fn commit(&mut self, item: Item) {
        let db = self.db;
        match item.kind {
            Kind::Select(n) => {
                self.settle_db(Some(n));
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

    /// The keys of the selected database are over, and `next` is selected; none: the file is. If it was only presumed that
    /// they are its keys, that number tells, or how many they are.
    fn settle_db(&mut self, next: Option<u64>) {
        let Some(from) = self.presumed_from.take() else {
            return;
        };
        let fits = match (next, self.claimed) {
            // Databases come in the order of their numbers: there is none between these two.
            (Some(next), _) if next == self.db.map_or(1, |db| db + 1) => true,
            // At least one key has gone with each damage.
            (_, Some(n)) => self.passed.saturating_add(self.gaps) <= n,
            (None, None) if self.db.is_none() => {
                let keys = self.found.pieces.iter().skip(from).map(|p| p.keys);
                self.found.presumed = keys.sum();
                true
            }
            // A file without sizes is an old one.
            (_, None) => self.found.version < 7,
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

    /// Reading has failed: settles what came before, finds where to go on, books what is between. `at` is the start of the
    /// record that failed, `key` its name and type where they were read. `None`: there is nothing more.
    fn recover(&mut self, at: u64, key: Option<(&[u8], u8)>, e: &RdbError) -> Option<u64> {
        let first = self.pending.front().map_or(at, |i| i.start);
        let next = self.search().place_after(first + 1);
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
        if next.is_none() && self.search().has_given_up() {
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
                let next = self.search().place_after(0).map(|a| a.at);
                let loss = Loss::new(0, next.unwrap_or(self.len), None, e.kind.to_string());
                self.found.losses.push(loss);
                self.presumed_from = Some(0);
                self.run_from = Some(0);
                next
            }
        }
    }

    /// Finds all that is good.
    pub(super) fn walk(mut self) -> Findings {
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
            let read = r.bytes_read().saturating_sub(at);
            self.search().charge(read);
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
        self.settle_db(None);
        self.found
    }

    /// The end is where it should be: all that is pending is settled.
    fn finish(&mut self) {
        while let Some(item) = self.pending.pop_front() {
            self.commit(item);
        }
        self.settle_db(None);
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
        let mut r = RdbReader::with_buffer_size(Part::new(self.file, at, NAME_LOOK), 4096);
        r.resume(Part::new(self.file, at, NAME_LOOK), at);
        let mut again = Vec::new();
        match r.next_record(&mut again, &mut no_poll) {
            Ok(RdbRecord::Key(k)) => Some((again, k.rdb_type)),
            _ => None,
        }
    }
}
