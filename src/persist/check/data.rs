//! The data files that a start would read, looked at from outside: which there are, of which version, whether they can be read,
//! and whether a start would overlook one (`--check-config`).
//!
//! Only the beginning of a file is read: whether all of it is sound is `redis-check-rdb`'s and `redis-check-aof`'s to say.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::shown;
use crate::base::sys::{path_of, strerror};
use crate::config::fields::Config;
use crate::server::process::finding::Finding;
use crate::wire::aof::{AofManifest, manifest_file_name};
use crate::wire::rdb::{RdbReader, RdbRecord, is_rdb_magic, no_poll};

/// What the beginning of an RDB file says.
struct RdbLook {
    bytes: u64,
    /// Its version, or why it cannot be read.
    version: Result<u16, String>,
    has_keys: bool,
}

/// Looks at the beginning of a file. None: it is not there.
fn look_at_rdb(config: &Config, path: &Path) -> io::Result<Option<RdbLook>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let bytes = file.metadata()?.len();
    let mut reader = RdbReader::new(file);
    reader.set_version_check(config.rdb_version_check.into());
    let mut poll = no_poll;
    let version = reader.header(&mut poll).map_err(|e| e.to_string());
    let mut look = RdbLook {
        bytes,
        version,
        has_keys: false,
    };
    let mut key = Vec::new();
    while look.version.is_ok() {
        match reader.next_record(&mut key, &mut poll) {
            Ok(RdbRecord::Key(_)) => look.has_keys = true,
            Ok(RdbRecord::Aux { .. } | RdbRecord::SelectDb(_) | RdbRecord::ResizeDb { .. }) => {
                continue;
            }
            Ok(_) => {}
            Err(e) => look.version = Err(e.to_string()),
        }
        break;
    }
    Ok(Some(look))
}

fn rdb_finding(name: &str, look: &RdbLook) -> Finding {
    let keys = if look.has_keys {
        "holds keys"
    } else {
        "holds no keys"
    };
    match &look.version {
        Ok(v) => Finding::note(format!(
            "{name}: RDB version {v}, {} bytes, {keys}, can be read",
            look.bytes
        )),
        Err(why) => Finding::fault(format!("{name}: cannot be read: {why}")),
    }
}

/// The parts of an append-only file.
fn look_at_aof(config: &Config, dir: &Path, found: &mut Vec<Finding>) -> bool {
    let folder = dir.join(path_of(&config.appenddirname));
    let manifest = folder.join(path_of(&manifest_file_name(&config.appendfilename)));
    let text = match std::fs::read(&manifest) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return false,
        Err(e) => {
            found.push(Finding::fault(format!(
                "{}: {}",
                manifest.display(),
                strerror(&e)
            )));
            return true;
        }
    };
    let parsed = match AofManifest::parse(&text) {
        Ok(m) => m,
        Err(e) => {
            let place = format!("{}, line {}", manifest.display(), e.line);
            found.push(Finding::fault(format!("{place}: {e}")));
            return true;
        }
    };
    for part in parsed.parts() {
        let path = folder.join(path_of(&part.file_name));
        let name = path.display().to_string();
        let mut head = [0; 6];
        let begins = File::open(&path).and_then(|mut f| {
            let n = f.read(&mut head)?;
            Ok((f.metadata()?.len(), is_rdb_magic(&head[..n])))
        });
        found.push(match begins {
            Err(e) => Finding::fault(format!("{name}: {}", strerror(&e))),
            Ok((_, true)) => match look_at_rdb(config, &path) {
                Ok(Some(look)) => rdb_finding(&name, &look),
                Ok(None) => Finding::fault(format!("{name}: it is gone")),
                Err(e) => Finding::fault(format!("{name}: {}", strerror(&e))),
            },
            Ok((bytes, false)) => Finding::note(format!("{name}: commands, {bytes} bytes")),
        });
    }
    true
}

/// Looks at the data files that a server with this configuration has in its folder.
pub(crate) fn look_at_data(config: &Config, dir: PathBuf) -> Vec<Finding> {
    let mut found = Vec::new();
    let rdb_path = dir.join(path_of(&config.dbfilename));
    let name = rdb_path.display().to_string();
    let rdb = match look_at_rdb(config, &rdb_path) {
        Ok(rdb) => rdb,
        Err(e) => {
            found.push(Finding::fault(format!("{name}: {}", strerror(&e))));
            None
        }
    };
    let has_aof = look_at_aof(config, &dir, &mut found);
    if let Some(rdb) = &rdb {
        let finding = rdb_finding(&name, rdb);
        // What a start does not read does not stop it.
        found.push(match config.appendonly && has_aof {
            true => Finding::note(finding.text),
            false => finding,
        });
    }
    let old_aof = dir.join(path_of(&config.appendfilename)).is_file();
    if config.appendonly && !has_aof && !old_aof && rdb.is_some_and(|r| r.has_keys) {
        found.push(Finding::warning(format!(
            "appendonly is yes, there is no append-only file, and {} holds keys: a start would not read them and begin \
             empty. Start with appendonly no, and then CONFIG SET appendonly yes",
            shown(&config.dbfilename)
        )));
    }
    if !config.appendonly && has_aof {
        found.push(Finding::warning(
            "appendonly is no, and there is an append-only file: a start would not read it",
        ));
    }
    found
}
