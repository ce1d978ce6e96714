//! Paths that match a pattern of `include` (POSIX glob): `*`, `?` and `[...]` within each part of a path.
//!
//! A leading dot is only matched by a dot. What cannot be read is passed over. Results are in byte order.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Most paths that one pattern may give: a bound on memory, far above any use.
const MAX_PATHS: usize = 10_000;

/// Whether a path holds a character that makes it a pattern.
pub(super) fn is_pattern(path: &[u8]) -> bool {
    memchr::memchr3(b'*', b'?', b'[', path).is_some()
}

/// The existing paths that match, in byte order.
pub(super) fn glob(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    for (index, part) in pattern.split(|b| *b == b'/').enumerate() {
        let mut next = Vec::new();
        for path in &paths {
            let mut base = path.clone();
            if index > 0 {
                base.push(b'/');
            }
            if !is_pattern(part) {
                base.extend_from_slice(part);
                next.push(base);
            } else {
                let room = MAX_PATHS.saturating_sub(next.len());
                next.extend(
                    matching_names(&base, part)
                        .into_iter()
                        .take(room)
                        .map(|name| [&base[..], &name].concat()),
                );
            }
        }
        paths = next;
    }
    paths.retain(|path| std::fs::symlink_metadata(OsStr::from_bytes(path)).is_ok());
    paths.sort_unstable();
    paths
}

/// Names in a folder that match one part of a pattern; an empty folder is the working one.
fn matching_names(folder: &[u8], part: &[u8]) -> Vec<Vec<u8>> {
    let folder = if folder.is_empty() { b"." } else { folder };
    let Ok(entries) = std::fs::read_dir(OsStr::from_bytes(folder)) else {
        return Vec::new();
    };
    let names = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().into_vec());
    names
        .filter(|name| {
            (name.first() != Some(&b'.') || part.first() == Some(&b'.')) && fnmatch(part, name)
        })
        .collect()
}

/// Whether a name matches a pattern without slashes. Linear in the pattern times the name: only the last star is tried
/// again.
fn fnmatch(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => match bracket(&pattern[p + 1..], name[n]) {
                Some((matched, length)) => matched.then_some(length + 1),
                None => (name[n] == b'[').then_some(1),
            },
            Some(b'\\') if p + 1 < pattern.len() => (pattern[p + 1] == name[n]).then_some(2),
            Some(&literal) => (literal == name[n]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((after, from))) => {
                p = after;
                n = from + 1;
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Matches a byte against the inside of a bracket. Gives the result and the length up to and with the closing bracket;
/// `None` if the bracket is not closed.
fn bracket(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut matched = false;
    loop {
        let low = *pattern.get(at)?;
        // The first character is a member even if it is the closing bracket.
        if low == b']' && at > start {
            return Some((matched != negated, at + 1));
        }
        let high = match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                at += 2;
                high
            }
            _ => low,
        };
        matched |= (low..=high).contains(&byte);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        let cases = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "a", true),
            ("?", "", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("**", "", true),
        ];
        for (pattern, name, matches) in cases {
            assert_eq!(
                fnmatch(pattern.as_bytes(), name.as_bytes()),
                matches,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in prop::collection::vec(any::<u8>(), 0..20), name in "[a\\-\\]\\[*?!]{0,20}") {
            let literal: Vec<u8> = name.bytes().flat_map(|b| [b'\\', b]).collect();
            prop_assert!(fnmatch(&literal, name.as_bytes()));
            prop_assert!(fnmatch(b"*", name.as_bytes()));
            prop_assert!(!fnmatch(&[&pattern[..], b"/"].concat(), name.as_bytes()));
        }
    }

    #[test]
    fn files() {
        let folder = std::env::temp_dir().join(format!("aedile-glob-{}", std::process::id()));
        for name in ["a/2.conf", "b/1.conf", "b/.hidden.conf", "b/x.txt"] {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            std::fs::write(path, "").expect("writable");
        }
        let base = folder.as_os_str().as_bytes();
        let found = glob(&[base, b"/*/*.conf"].concat());
        assert_eq!(
            found,
            [[base, b"/a/2.conf"].concat(), [base, b"/b/1.conf"].concat()]
        );
        assert_eq!(glob(&[base, b"/nope*/x"].concat()), Vec::<Vec<u8>>::new());
        std::fs::remove_dir_all(folder).expect("removable");
    }
}
