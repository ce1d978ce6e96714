//! Files that are written under a temporary name until they are whole: what they are called, and what becomes of those whose
//! writer is gone.
//!
//! Invariant: whoever writes one holds a lock on it (flock), which ends with the process however that ends. So one that is not
//! locked and whose name is of no living process is nobody's. Must not know what is in them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::bio::Bio;
use crate::base::log::Level;
use crate::base::sys;
use crate::server_log;

/// What process `pid` writes a snapshot to.
pub(crate) fn rdb(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-{pid}.rdb"))
}

/// What process `pid` writes a snapshot to that is taken in the loop.
pub(crate) fn rdb_inline(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-0.{pid}.rdb"))
}

/// What this process writes a master's snapshot to that began to come at `unix_us`.
pub(crate) fn payload(unix_us: i64) -> PathBuf {
    PathBuf::from(format!("temp-{unix_us}.{}.rdb", std::process::id()))
}

/// What process `pid` writes a base of the append-only file to.
pub(crate) fn aof(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-{pid}.aof"))
}

/// What that is called once it is whole, until the append-only file has taken it over.
pub(crate) fn aof_background(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-bg-{pid}.aof"))
}

/// Removes what a child has left that wrote a base (aofRemoveTempFile).
pub(crate) fn remove_aof(bio: &mut Bio, pid: i32) {
    let pid = pid.unsigned_abs();
    bio.unlink(&aof_background(pid));
    bio.unlink(&aof(pid));
}

/// Removes what a child that did not finish has written (rdbRemoveTempFile).
pub(crate) fn remove_rdb(bio: &mut Bio, pid: i32) {
    bio.unlink(&rdb(pid.unsigned_abs()));
}

/// Makes such a file, empty.
///
/// # Errors
/// The system's.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    // Where files cannot be locked they are not taken for abandoned ones either.
    let _ = sys::lock_file(&file);
    Ok(file)
}

/// The process that such a name is of; none: it is another file's.
fn writer_of(name: &[u8]) -> Option<u32> {
    let rest = name.strip_prefix(b"temp-")?;
    let pid = if let Some(rest) = rest.strip_suffix(b".aof") {
        let rest = rest.strip_prefix(b"rewriteaof-")?;
        rest.strip_prefix(b"bg-").unwrap_or(rest)
    } else {
        let rest = rest.strip_suffix(b".rdb")?;
        match memchr::memchr(b'.', rest) {
            Some(dot) if dot > 0 && rest[..dot].iter().all(u8::is_ascii_digit) => &rest[dot + 1..],
            _ => rest,
        }
    };
    if pid.is_empty() || !pid.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(pid).ok()?.parse().ok()
}

/// Removes what earlier processes have left in the working folder. A server of another make locks nothing: what a living
/// process may be writing stays.
pub(crate) fn remove_abandoned() {
    let Ok(entries) = fs::read_dir(".") else {
        return;
    };
    for name in entries.filter_map(|e| Some(e.ok()?.file_name())) {
        let Some(pid) = writer_of(name.as_bytes()) else {
            continue;
        };
        if pid != std::process::id() && sys::process_exists(pid) {
            continue;
        }
        remove_if_unlocked(&name);
    }
}

fn remove_if_unlocked(name: &OsStr) {
    let path = Path::new(name);
    let is_file = fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    let unlocked = || File::open(path).and_then(|f| sys::lock_file(&f)).is_ok();
    if is_file && unlocked() && fs::remove_file(path).is_ok() {
        server_log!(
            Level::Notice,
            "Removed the temporary file {}, which an earlier process had left",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_of_a_process() {
        for (path, pid) in [
            (rdb(7), 7),
            (rdb_inline(6), 6),
            (aof(8), 8),
            (aof_background(9), 9),
        ] {
            assert_eq!(writer_of(path.as_os_str().as_bytes()), Some(pid));
        }
        let mine = payload(1_700_000_000_000_000);
        assert_eq!(
            writer_of(mine.as_os_str().as_bytes()),
            Some(std::process::id())
        );
        for other in [
            "dump.rdb",
            "temp-.rdb",
            "temp-x.rdb",
            "temp-1x.rdb",
            "temp-1.2.3.rdb",
            "temp-.5.rdb",
            "temp-a.5.rdb",
            "temp-5.rdb.bak",
            "temp-5",
            "xtemp-5.rdb",
            "temp-rewriteaof.aof",
            "temp-rewriteaof-x.aof",
            "temp-appendonly.aof.manifest",
            "temp-5.aof",
            "temp-99999999999.rdb",
        ] {
            assert_eq!(writer_of(other.as_bytes()), None, "{other}");
        }
    }
}
