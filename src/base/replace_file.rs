//! Replacing a file as a whole: the new content stands beside the old one, synced, before it takes its name. A crash leaves the old
//! file or the new one.
//!
//! Invariant: the new file has the old one's permissions, and nobody else may read it before it has. Must not know what is in it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::base::sys::fsync_file_dir;

/// Tries to find an unused name for the new file.
const TEMP_NAME_TRIES: usize = 16;

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Write,
    Permit,
    Sync,
    Rename,
    /// The new file is in place; a crash of the machine may still bring the old one back.
    SyncFolder,
}

/// Puts `content` in the place of the file at `path`, which need not be there. `told` hears what fails, once.
///
/// # Errors
/// The system's; the file is the old one then, unless only the folder could not be synced.
pub(crate) fn replace_file(
    path: &Path,
    content: &[u8],
    told: impl Fn(Step, &io::Error),
) -> io::Result<()> {
    let old = fs::metadata(path).ok();
    let (temp, mut file) =
        create_temp_file(path, old.is_some()).inspect_err(|e| told(Step::Create, e))?;
    let written = write_and_rename(&mut file, &temp, path, old.as_ref(), content, &told);
    if written.is_err() {
        // The error to report is the first one.
        let _ = fs::remove_file(&temp);
        return written;
    }
    fsync_file_dir(path).inspect_err(|e| told(Step::SyncFolder, e))
}

fn write_and_rename(
    file: &mut File,
    temp: &Path,
    path: &Path,
    old: Option<&fs::Metadata>,
    content: &[u8],
    told: &impl Fn(Step, &io::Error),
) -> io::Result<()> {
    file.write_all(content)
        .inspect_err(|e| told(Step::Write, e))?;
    if let Some(old) = old {
        // The owner can only be kept by root; without it the permissions still hold.
        let _ = fchown(&*file, Some(old.uid()), Some(old.gid()));
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))
            .inspect_err(|e| told(Step::Permit, e))?;
    }
    file.sync_all().inspect_err(|e| told(Step::Sync, e))?;
    fs::rename(temp, path).inspect_err(|e| told(Step::Rename, e))
}

/// A new file with an unused name beside `path`. Where there is an old file, nobody else may read the new one until it has
/// the old one's permissions; else it has those of any new file.
fn create_temp_file(path: &Path, has_old: bool) -> io::Result<(PathBuf, File)> {
    let mode = if has_old { 0o600 } else { 0o644 };
    let mut result = Err(ErrorKind::AlreadyExists.into());
    for _ in 0..TEMP_NAME_TRIES {
        let random = RandomState::new().build_hasher().finish() & 0xff_ffff;
        let mut temp: OsString = path.into();
        temp.push(format!(".{random:06x}"));
        match File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temp)
        {
            Ok(file) => return Ok((temp.into(), file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => result = Err(error),
            Err(error) => return Err(error),
        }
    }
    result
}
