//! Looking for the place where reading can begin again.
//!
//! Invariant: what is read and gone through is counted against a budget that is a multiple of the file's size, whatever is in
//! the file; when it is used up nothing more is found.

use std::fs::File;
use std::rc::Rc;

use super::record::{
    Kind, Part, Window, key_ahead, may_be_record, may_be_value, next_item, plain_string,
    read_full_at,
};
use crate::config::fields::Config;
use crate::store::rdb_value::LoadLimits;
use crate::wire::rdb::{RDB_TYPE_STRING, RDB_VERSION_CHECKSUM, RdbReader};

/// Sound keys in a row that make a place to begin again.
pub(super) const CHAIN: usize = 4;
/// So many where more than one name is no text: compressed values have much that looks like short strings.
const BINARY_CHAIN: usize = 16;
/// Records of a chain at the most.
const CHAIN_ITEMS_MAX: usize = 64;
/// The search goes through so many times the file at the most ...
pub(super) const FACTOR: u64 = 16;
/// ... and so many bytes more.
pub(super) const MORE: u64 = 1 << 30;
/// Bytes that one try may read.
const TRY_MAX: u64 = 64 << 20;
/// What a try counts besides what it reads.
const TRY_COST: u64 = 16;
/// A key with a longer name is no place to begin at.
const NAME_MAX: u64 = 64 * 1024;
/// Longer plain strings are passed over.
const SKIP_MIN: u64 = 512;
/// Bytes of the file that are in memory.
const WINDOW: usize = 256 * 1024;
/// Bytes behind a place that its first look may need.
const LOOK: usize = 32;
/// Bytes that a try reads at a time.
const TRY_BUFFER: usize = 1024;

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
pub(super) struct Anchor {
    pub(super) at: u64,
    pub(super) names: Vec<(Vec<u8>, u8)>,
}

fn is_text(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|s| !s.contains(char::is_control))
}

/// What comes of a record by its first bytes.
enum Ahead {
    /// It cannot be one.
    No,
    /// It has to be read.
    Read,
    /// A plain string so long that it is passed over: its bytes say nothing.
    Skip { name: Vec<u8>, end: u64 },
}

/// The search through one file.
pub(super) struct Search<'a> {
    file: &'a File,
    len: u64,
    limits: LoadLimits,
    reader: RdbReader<Part<'a>>,
    window: Option<Rc<Window>>,
    /// Bytes of the checksum.
    mark: u64,
    /// Bytes that may still be gone through.
    budget: u64,
}

impl<'a> Search<'a> {
    /// A search through `len` bytes of a file of this version.
    pub(super) fn new(file: &'a File, len: u64, version: u16) -> Search<'a> {
        let mut reader = RdbReader::with_buffer_size(Part::new(file, 0, 0), TRY_BUFFER);
        reader.assume_version(version);
        reader.set_total_len(len);
        Search {
            file,
            len,
            limits: LoadLimits::new(&Config::default(), true),
            reader,
            window: None,
            mark: if version >= RDB_VERSION_CHECKSUM {
                8
            } else {
                0
            },
            budget: len.saturating_mul(FACTOR).saturating_add(MORE),
        }
    }

    /// So much was gone through elsewhere on the search's account.
    pub(super) fn charge(&mut self, bytes: u64) {
        self.budget = self.budget.saturating_sub(bytes);
    }

    /// The budget is used up.
    pub(super) fn has_given_up(&self) -> bool {
        self.budget == 0
    }

    /// The chain that begins at `at`, if one does.
    fn chain_at(&mut self, at: u64, window: &Rc<Window>) -> Option<Chain> {
        let mut left = self.budget.min(TRY_MAX);
        let mut chain = Chain {
            starts: vec![at],
            names: Vec::new(),
            is_whole: false,
        };
        let mut name = Vec::new();
        let (mut from, mut pos) = (at, at);
        let part = |from, left| Part::near(self.file, from, left, window.clone());
        self.reader.resume(part(at, left), at);
        self.reader.set_limit(self.len.min(at + left));
        // What was gone through, or had to be fetched for a value that is not all there.
        let cost = |r: &mut RdbReader<Part>, from: u64| {
            (r.bytes_read() - from).max(r.source_mut().fetched) + TRY_COST
        };
        let begins = loop {
            let (end, kind) = match self.ahead(pos, window) {
                Ahead::No => break false,
                Ahead::Skip { name, end } => {
                    left = left.saturating_sub(cost(&mut self.reader, from));
                    self.reader.resume(part(end, left), end);
                    self.reader.set_limit(self.len.min(end + left));
                    from = end;
                    let rdb_type = RDB_TYPE_STRING;
                    (
                        end,
                        Kind::Key {
                            name,
                            rdb_type,
                            expires: false,
                        },
                    )
                }
                Ahead::Read => match next_item(&mut self.reader, &self.limits, &mut name) {
                    Ok(item) => (item.end, item.kind),
                    Err(_) => break false,
                },
            };
            pos = end;
            let nth = chain.starts.len();
            chain.is_whole = match kind {
                Kind::Select(_) if nth == 1 => true,
                Kind::Resize(_) if nth == 2 => chain.is_whole,
                _ => chain.is_whole && nth > 2,
            };
            match kind {
                // One key would be given up, and none is nothing to go on with.
                Kind::End(_) => break end == self.len && chain.names.len() > 1,
                // Zeros are keys without names.
                Kind::Key { name, .. } if name.is_empty() => break false,
                Kind::Key { name, .. } if chain.names.iter().any(|(n, _)| *n == name) => {
                    break false;
                }
                Kind::Key { name, rdb_type, .. } => chain.names.push((name, rdb_type)),
                _ => {}
            }
            chain.starts.push(end);
            // The first name may be chance that runs into the true ones.
            let texts = chain.names.iter().filter(|(name, _)| is_text(name)).count();
            let enough = if texts + 1 >= CHAIN {
                CHAIN
            } else {
                BINARY_CHAIN
            };
            if chain.names.len() >= enough {
                break true;
            }
            if chain.starts.len() > CHAIN_ITEMS_MAX {
                break false;
            }
        };
        left = left.saturating_sub(cost(&mut self.reader, from));
        let spent = self.budget.min(TRY_MAX) - left;
        self.charge(spent);
        begins.then_some(chain)
    }

    /// What the first bytes of the record at `at`, of its name and of its value say, so that nothing long is read in vain: in a
    /// text every other byte may be a length.
    fn ahead(&self, at: u64, window: &Window) -> Ahead {
        let (mut look, mut value) = ([0; LOOK], [0; LOOK]);
        let Some(key) = key_ahead(self.bytes_at(at, window, &mut look)) else {
            return Ahead::Read;
        };
        let place = at.saturating_add(key.value);
        if key.value > NAME_MAX || place >= self.len {
            return Ahead::No;
        }
        let left = self.len - place;
        let value = self.bytes_at(place, window, &mut value);
        if !may_be_value(key.rdb_type, value, left) {
            return Ahead::No;
        }
        match (key.rdb_type, key.name, plain_string(value)) {
            (RDB_TYPE_STRING, Some((from, len)), Some((n, head))) if n > SKIP_MIN => {
                let end = place.saturating_add(head).saturating_add(n);
                // No longer than NAME_MAX.
                let mut name = vec![0; len as usize];
                let had = read_full_at(self.file, &mut name, at + from);
                match had {
                    Ok(had) if had == name.len() && end <= self.len => Ahead::Skip { name, end },
                    _ => Ahead::No,
                }
            }
            _ => Ahead::Read,
        }
    }

    /// Up to [`LOOK`] bytes of the file from `at` on.
    fn bytes_at<'b>(&self, at: u64, window: &'b Window, buf: &'b mut [u8; LOOK]) -> &'b [u8] {
        let there = window.from(at);
        if there.len() >= LOOK {
            return &there[..LOOK];
        }
        let n = read_full_at(self.file, buf, at).unwrap_or(0);
        &buf[..n]
    }

    /// The file from `at` on, in memory: [`LOOK`] bytes at the least, but at the file's end.
    fn window(&mut self, at: u64) -> Option<Rc<Window>> {
        if let Some(w) = &self.window {
            let there = w.from(at).len();
            let at_end = w.at + w.bytes.len() as u64 >= self.len;
            if there > LOOK || (there > 0 && at_end) {
                return Some(w.clone());
            }
        }
        let mut bytes = vec![0; WINDOW];
        let n = read_full_at(self.file, &mut bytes, at).ok()?;
        bytes.truncate(n);
        self.budget = self.budget.saturating_sub(n as u64);
        let w = Rc::new(Window { at, bytes });
        self.window = Some(w.clone());
        Some(w)
    }

    /// The first place from `from` on where a chain begins, and the chain; not beyond `upto`.
    fn next_chain(&mut self, from: u64, upto: u64) -> Option<Chain> {
        let mut base = from;
        while base < upto && self.budget > 0 {
            let window = self.window(base)?;
            let bytes = window.from(base);
            let at_end = base + bytes.len() as u64 >= self.len;
            let n = if at_end {
                bytes.len()
            } else {
                bytes.len() - LOOK
            };
            let n = usize::try_from(upto - base).map_or(n, |most| n.min(most));
            if n == 0 {
                return None;
            }
            for i in 0..n {
                let at = base + i as u64;
                let look = &bytes[i..bytes.len().min(i + LOOK)];
                if may_be_record(look, self.len - at - 1, self.mark)
                    && let Some(chain) = self.chain_at(at, &window)
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
    pub(super) fn place_after(&mut self, from: u64) -> Option<Anchor> {
        let mut from = from;
        'place: while let Some(chain) = self.next_chain(from, self.len) {
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
            while let Some(other) = self.next_chain(other_from, second_end) {
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
}
