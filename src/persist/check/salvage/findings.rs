//! What a walk through a damaged file comes to: what is good, and what is lost.

use crate::base::split_args::sdscatrepr;
use crate::persist::check::{rdb_type_string, shown};
use crate::wire::rdb::RdbChecksum;

/// Bytes of a lost key's name that are shown, and lost keys that are named per place.
const NAME_MAX: usize = 100;
const NAMES_MAX: usize = 20;

/// Bytes to be copied: records of one database, or of none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) db: Option<u64>,
    pub(super) keys: u64,
    pub(super) expires: u64,
}

/// Bytes that are not copied.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Loss {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) db: Option<u64>,
    pub(super) reason: String,
    /// Keys that were in there, as they are shown, and how many more.
    pub(super) names: Vec<String>,
    pub(super) more_names: u64,
}

impl Loss {
    pub(super) fn new(start: u64, end: u64, db: Option<u64>, reason: String) -> Loss {
        Loss {
            start,
            end,
            db,
            reason,
            names: Vec::new(),
            more_names: 0,
        }
    }

    pub(super) fn name(&mut self, name: &[u8], rdb_type: u8) {
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
pub(super) struct Findings {
    pub(super) version: u16,
    pub(super) pieces: Vec<Piece>,
    pub(super) losses: Vec<Loss>,
    pub(super) checksum: Option<RdbChecksum>,
    /// The structure is sound, yet the checksum is wrong.
    pub(super) checksum_is_wrong: bool,
    /// Bytes behind the end mark.
    pub(super) trailing: u64,
    /// Keys of database 0, as long as nothing says otherwise.
    pub(super) presumed: u64,
}
