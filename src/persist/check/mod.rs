//! The tools that look at files without a server: `redis-check-rdb` and `redis-check-aof` (redis-check-rdb.c,
//! redis-check-aof.c), which are this program under other names.
//!
//! Each tool has a `main` that gets the arguments and returns the exit code. Their words and exit codes are upstream's, since
//! scripts look for them. They know files and formats; there is no `Server`, no event loop and no log file here, and a
//! damaged file is their daily bread: nothing in one may end them but by their own decision.

pub(crate) mod aof;
pub(crate) mod data;
pub(crate) mod rdb;
pub(crate) mod salvage;

pub(crate) use aof::redis_check_aof_main;
pub(crate) use rdb::redis_check_rdb_main;

use std::borrow::Cow;
use std::path::Path;

use crate::base::sys::path_of;

/// The longest text between two brackets of a line, in bytes.
const TEXT_MAX: usize = 1023;

/// Text of a file as a C string shows it: up to the first zero byte, and no longer than a line may be.
fn c_text(bytes: &[u8]) -> Cow<'_, str> {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end.min(TEXT_MAX)])
}

/// A file's name as it is printed.
fn shown(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

/// The folder of a file (dirname).
fn folder_of(file: &[u8]) -> std::path::PathBuf {
    match path_of(file).parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        Some(_) => Path::new(".").to_path_buf(),
        None => Path::new("/").to_path_buf(),
    }
}

/// The name of a value's type.
fn rdb_type_string(rdb_type: u8) -> &'static str {
    const NAMES: [&str; 27] = [
        "string",
        "list-linked",
        "set-hashtable",
        "zset-v1",
        "hash-hashtable",
        "zset-v2",
        "module-pre-release",
        "module-value",
        "",
        "hash-zipmap",
        "list-ziplist",
        "set-intset",
        "zset-ziplist",
        "hash-ziplist",
        "quicklist",
        "stream",
        "hash-listpack",
        "zset-listpack",
        "quicklist-v2",
        "stream-v2",
        "set-listpack",
        "stream-v3",
        "hash-hashtable-md-pre-release",
        "hash-listpack-md-pre-release",
        "hash-hashtable-md",
        "hash-listpack-md",
        "stream-v4",
    ];
    NAMES
        .get(usize::from(rdb_type))
        .copied()
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_c_ends_them() {
        assert_eq!(c_text(b"ab\0c"), "ab");
        assert_eq!(c_text(&[b'x'; 5000]).len(), TEXT_MAX);
    }

    #[test]
    fn folders() {
        for (file, folder) in [("a", "."), ("d/a", "d"), ("/a", "/"), ("/d/e/a", "/d/e")] {
            assert_eq!(folder_of(file.as_bytes()), Path::new(folder), "{file}");
        }
    }
}
