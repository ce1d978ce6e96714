//! Where the key specs of a row cannot tell its keys, or not what happens to them: the row's `get_keys`
//! (db.c, `*GetKeys`).
//!
//! A `get_keys` sees arguments that nobody has checked, except that their number fits the row's arity.

use crate::server::execution::args::Argv;
use crate::server::execution::command::{GetKeysError, KeyFlags as Key, KeyRefs};

/// SET reads the old value only with the option GET.
pub(super) fn set_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    let get = (3..argv.argc()).any(|i| argv.arg(i).eq_ignore_ascii_case(b"get"));
    let flags = if get {
        Key::RW | Key::ACCESS | Key::UPDATE
    } else {
        Key::OW | Key::UPDATE
    };
    keys.push(1, flags);
    Ok(())
}

/// BITFIELD only reads when all its operations are GETs. What is no valid operation counts as a write.
pub(super) fn bitfield_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    let argc = argv.argc();
    let mut readonly = true;
    let mut i = 2;
    while i < argc {
        let op = argv.arg(i);
        let following = argc - i - 1;
        i += if op.eq_ignore_ascii_case(b"get") && following >= 2 {
            3
        } else if op.eq_ignore_ascii_case(b"overflow") && following >= 1 {
            2
        } else {
            readonly = false;
            break;
        };
    }
    let flags = if readonly {
        Key::RO | Key::ACCESS
    } else {
        Key::RW | Key::ACCESS | Key::UPDATE
    };
    keys.push(1, flags);
    Ok(())
}

/// XREAD and XREADGROUP: the first half of what follows the option STREAMS. A group or a key may be called `streams`, so the
/// options before it are passed over one by one.
pub(super) fn xread_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    let argc = argv.argc();
    let mut i = 1;
    while i < argc {
        let word = argv.arg(i);
        let is = |s: &str| word.eq_ignore_ascii_case(s.as_bytes());
        i += match () {
            _ if is("block") || is("count") => 2,
            _ if is("group") => 3,
            _ if is("noack") => 1,
            _ if is("streams") => {
                let n = argc - i - 1;
                if n.is_multiple_of(2) {
                    for k in 0..n / 2 {
                        keys.push(i + 1 + k, Key::empty());
                    }
                }
                break;
            }
            _ => break,
        };
    }
    Ok(())
}

/// MIGRATE has one key, or with the option KEYS all the arguments behind it. KEYS besides a key is a syntax error: no keys.
pub(super) fn migrate_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    let argc = argv.argc();
    let mut named = 3..4;
    let mut i = 6;
    while i < argc {
        let word = argv.arg(i);
        if word.eq_ignore_ascii_case(b"keys") {
            named = if argv.arg(3).is_empty() {
                i + 1..argc
            } else {
                0..0
            };
            break;
        }
        i += if word.eq_ignore_ascii_case(b"auth2") {
            3
        } else if word.eq_ignore_ascii_case(b"auth") {
            2
        } else {
            1
        };
    }
    for i in named {
        keys.push(i, Key::RW | Key::ACCESS | Key::DELETE);
    }
    Ok(())
}

/// SORT reads one key, and writes the last one that STORE names. An argument that is no option is skipped, as upstream does.
pub(super) fn sort_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    keys.push(1, Key::RO | Key::ACCESS);
    let argc = argv.argc();
    let mut store = None;
    let mut i = 2;
    while i < argc {
        let word = argv.arg(i);
        if word.eq_ignore_ascii_case(b"limit") {
            i += 2;
        } else if word.eq_ignore_ascii_case(b"get") || word.eq_ignore_ascii_case(b"by") {
            i += 1;
        } else if word.eq_ignore_ascii_case(b"store") && i + 1 < argc {
            store = Some(i + 1);
            // It may be called as an option is.
            i += 1;
        }
        i += 1;
    }
    if let Some(i) = store {
        keys.push(i, Key::OW | Key::UPDATE);
    }
    Ok(())
}

/// The keys that BY and GET of SORT_RO lead to depend on the data: only the first one is known.
pub(super) fn sort_ro_get_keys(_: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    keys.push(1, Key::RO | Key::ACCESS);
    Ok(())
}

/// GEORADIUS and GEORADIUSBYMEMBER: the sorted set, and the last key that STORE or STOREDIST names. Upstream gives these keys
/// no flags.
pub(super) fn georadius_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
    let argc = argv.argc();
    let mut store = None;
    let mut i = 5;
    while i < argc {
        let word = argv.arg(i);
        if (word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist"))
            && i + 1 < argc
        {
            store = Some(i + 1);
            i += 1;
        }
        i += 1;
    }
    keys.push(1, Key::empty());
    if let Some(i) = store {
        keys.push(i, Key::empty());
    }
    Ok(())
}
