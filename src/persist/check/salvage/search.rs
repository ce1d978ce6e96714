//! Looking for the place where reading can begin again.
//!
//! Invariant: what is read and gone through is counted against a budget that is a multiple of the file's size, whatever is in
//! the file; when it is used up nothing more is found.

use std::fs::File;
use std::rc::Rc;

use super::record::{
    Kind, Part, Window, may_be_record, may_be_value, next_item, read_full_at, value_ahead,
};
use crate::config::fields::Config;
use crate::store::rdb_value::LoadLimits;
use crate::wire::rdb::{RDB_VERSION_CHECKSUM, RdbReader};

/// Sound keys in a row that make a place to begin again.
pub(super) const CHAIN: usize = 4;
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
        let allowed = self.budget.min(TRY_MAX);
        let part = Part::near(self.file, at, allowed, window.clone());
        let r = &mut self.reader;
        r.resume(part, at);
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
        // What was gone through, or had to be fetched for a value that is not all there.
        let cost = (r.bytes_read() - at).max(r.source_mut().fetched) + TRY_COST;
        self.budget = self.budget.saturating_sub(cost);
        begins.then_some(chain)
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

    /// Whether the value of the key at `at` can be one, so that its name need not be read in vain: in a text every other
    /// byte may be a length.
    fn value_is_likely(&mut self, look: &[u8], at: u64, window: &Window) -> bool {
        let Some((rdb_type, ahead)) = value_ahead(look) else {
            return true;
        };
        let place = at.saturating_add(ahead);
        let left = self.len.saturating_sub(place);
        if left == 0 {
            return false;
        }
        self.charge(TRY_COST);
        let there = window.from(place);
        if there.len() >= LOOK || there.len() as u64 == left {
            return may_be_value(rdb_type, &there[..there.len().min(LOOK)], left);
        }
        let mut bytes = [0; LOOK];
        match read_full_at(self.file, &mut bytes, place) {
            Ok(n) => may_be_value(rdb_type, &bytes[..n], left),
            Err(_) => false,
        }
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
                    && self.value_is_likely(look, at, &window)
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
