//! The new snapshot: the good pieces of the old one, each name once.
//!
//! Invariant: the new file appears under its name only when it is whole and on the disk, and nothing is overwritten.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use super::findings::{Findings, Loss, Piece};
use super::record::{Part, read_full_at};
use crate::wire::rdb::{
    RDB_OPCODE_EOF, RDB_VERSION_CHECKSUM, RdbError, RdbReader, RdbRecord, RdbWriter,
    RdbWriterOptions, header_of, no_poll,
};

/// Bytes that are copied at a time.
const COPY: usize = 256 * 1024;

/// What stands for a key: 128 bits that nobody's names share by chance.
fn fingerprint(db: u64, name: &[u8]) -> [u8; 16] {
    let mut h = Sha1::new();
    h.update(db.to_le_bytes());
    h.update(name);
    let mut out = [0; 16];
    out.copy_from_slice(&h.finalize()[..16]);
    out
}

/// Takes keys out whose names were there before, in a file whose checksum does not vouch for it.
pub(super) fn drop_duplicates(file: &File, found: &mut Findings) -> Result<(), RdbError> {
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
pub(super) fn write_pieces<W: Write>(file: &File, found: &Findings, sink: W) -> io::Result<()> {
    let mut w = RdbWriter::new(sink, RdbWriterOptions::default());
    w.raw(&header_of(found.version))?;
    let mut sizes: HashMap<u64, (u64, u64)> = HashMap::new();
    for p in &found.pieces {
        if let Some(db) = p.db {
            let s = sizes.entry(db).or_default();
            s.0 += p.keys;
            s.1 += p.expires;
        }
    }
    let mut selected = None;
    let mut buf = vec![0; COPY];
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
            let want = usize::try_from(p.end - at).map_or(COPY, |n| n.min(COPY));
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

/// Writes the new file under another name, and it is on the disk before it gets its own. Its folder is the caller's to sync.
pub(super) fn write_output(file: &File, found: &Findings, output: &Path) -> io::Result<()> {
    let temp = temp_path(output);
    let written = (|| {
        let sink = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temp)?;
        write_pieces(file, found, &sink)?;
        sink.sync_all()?;
        fs::rename(&temp, output)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written
}
