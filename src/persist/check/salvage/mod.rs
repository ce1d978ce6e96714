//! `redis-check-rdb --salvage IN OUT`: writes every key that can still be told from a damaged snapshot into a new one, and
//! lists what was lost. Upstream has no such tool.
//!
//! The format has no marks between records, so after damage the next record has to be found by its structure. Wrong keys are
//! worse than lost ones; these rules follow from it:
//!
//! - A place where reading can begin again starts a chain of [`search::CHAIN`] keys with different names, nearly all of them
//!   texts, or of `search::BINARY_CHAIN`, each value checked in depth, or a chain that reaches the end mark exactly at the
//!   end of the file.
//! - The first key after such a place is given up: what precedes it (an expiry, half a name) may be lost. Only if the place
//!   begins with the selection of a database and its sizes it is whole. Where other chains begin within it or the next,
//!   everything is given up until all of them agree.
//! - A key whose value does not tell its own end (see [`record::Strength`]) counts only when enough of what follows it is sound, so
//!   the key right before the damage is given up, too: its length may be what is wrong.
//! - Which database the keys after the damage belong to is known if the selection of another one cannot have been lost: the
//!   file says how many keys each database has, and databases come in the order of their numbers. Else the keys up to the
//!   next selection are given up. Only where no selection is left in the whole file they are put into database 0.
//! - What was found after damage and then ends in an end mark in the middle of the file, with other keys behind it, was a
//!   snapshot inside a value: none of it counts.
//! - Of two keys of one name the first counts.
//!
//! A change that leaves the structure intact (a letter in a value) cannot be seen but by the checksum; it is reported then.
//!
//! Cost: the file is read once to find what is good, once to look for names that come twice (unless the checksum is right)
//! and once to copy; looking for places to go on reads at most [`search::FACTOR`] times the file and [`search::MORE`] bytes,
//! whatever is in it. Memory: one value, and some 30 bytes a key for their names' fingerprints.

mod findings;
mod output;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use self::findings::Findings;
use self::output::{drop_duplicates, write_output};
use self::walk::Salvage;
use super::shown;
use crate::base::sys::{fsync_file_dir, path_of, strerror};
use crate::wire::rdb::RdbChecksum;

/// Nothing was written, or not for sure: wrong usage, or a file that cannot be read or made.
pub(crate) const EXIT_FAILED: i32 = 2;
/// A new file is there, and something of the old one is not in it.
const EXIT_LOST: i32 = 1;

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
    if found.presumed > 0 {
        writeln!(
            out,
            "[warning] The selection of a database is lost, and no other one is left: {} keys are taken for those of DB 0.",
            found.presumed
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
pub(crate) fn salvage_main(out: &mut dyn Write, input: &[u8], output: &[u8]) -> i32 {
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
    if let Err(e) = fsync_file_dir(&to) {
        eprintln!(
            "{} is written, but may be gone after a power loss: its folder cannot be synced: {}",
            shown(output),
            strerror(&e)
        );
        return EXIT_FAILED;
    }
    if found.losses.is_empty() && !found.checksum_is_wrong {
        0
    } else {
        EXIT_LOST
    }
}
