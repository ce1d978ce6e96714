//! Glob patterns, as KEYS, SCAN, PSUBSCRIBE, CONFIG GET and the ACLs use them.
//!
//! `*` any run of bytes, `?` any byte, `[a-z]`, `[^a]` and `[\]]` sets, `\x` the byte x. Patterns and texts are bytes;
//! `nocase` folds ASCII letters only.
//!
//! Invariants: time is bounded by text length times pattern length times the number of `*` at worst, and recursion by
//! `MAX_NESTING`; malformed patterns (an open set, a trailing backslash) mean what they mean upstream.
//! Must not know: what is matched.
//!
//! One trait of upstream's is kept on purpose: an empty text is matched by the empty pattern alone, not by `*`.

/// More `*` than this in a row of nested attempts match nothing.
const MAX_NESTING: u32 = 1000;

/// Whether all of `string` matches `pattern`. util.c's stringmatchlen.
pub(crate) fn string_match_len(pattern: &[u8], string: &[u8], nocase: bool) -> bool {
    let mut skip_longer_matches = false;
    match_from(pattern, string, nocase, &mut skip_longer_matches, 0)
}

/// A pattern to match many texts with, in their own case: most of them differ in what stands before its first wildcard.
#[derive(Clone, Copy)]
pub(crate) struct Glob<'a> {
    pattern: &'a [u8],
    literal: &'a [u8],
}

impl<'a> Glob<'a> {
    pub(crate) fn new(pattern: &'a [u8]) -> Glob<'a> {
        let special = |b: &u8| matches!(b, b'*' | b'?' | b'[' | b'\\');
        let n = pattern.iter().position(special).unwrap_or(pattern.len());
        Glob {
            pattern,
            literal: &pattern[..n],
        }
    }

    /// Whether all of `string` matches.
    #[inline(never)]
    pub(crate) fn matches(&self, string: &[u8]) -> bool {
        let (Some(a), Some(b)) = (self.literal.first(), string.first()) else {
            return string_match_len(self.pattern, string, false);
        };
        a == b && string.starts_with(self.literal) && string_match_len(self.pattern, string, false)
    }
}

/// The rest of `pattern` against the rest of `string`. Once an attempt after some `*` has failed at every position of the
/// text, an earlier `*` that takes more bytes cannot help: `skip_longer_matches` tells all outer levels to give up, which
/// is what keeps `a*a*a*a*b` from taking exponential time.
fn match_from(
    mut pattern: &[u8],
    mut string: &[u8],
    nocase: bool,
    skip_longer_matches: &mut bool,
    nesting: u32,
) -> bool {
    if nesting > MAX_NESTING {
        return false;
    }
    while let (Some(&p), Some(&c)) = (pattern.first(), string.first()) {
        match p {
            b'*' => {
                let stars = pattern.iter().take_while(|b| **b == b'*').count();
                let rest = &pattern[stars..];
                let Some(&next) = rest.first() else {
                    return true;
                };
                // A literal byte after the star must occur: look for it instead of trying every position.
                let literal = !nocase && !matches!(next, b'?' | b'[' | b'\\');
                while !string.is_empty() {
                    if literal {
                        match memchr::memchr(next, string) {
                            Some(at) => string = &string[at..],
                            None => break,
                        }
                    }
                    if match_from(rest, string, nocase, skip_longer_matches, nesting + 1) {
                        return true;
                    }
                    if *skip_longer_matches {
                        return false;
                    }
                    string = &string[1..];
                }
                *skip_longer_matches = true;
                return false;
            }
            b'?' => pattern = &pattern[1..],
            b'[' => {
                let (matched, rest) = match_set(&pattern[1..], c, nocase);
                if !matched {
                    return false;
                }
                pattern = rest;
            }
            _ => {
                if p == b'\\' && pattern.len() >= 2 {
                    pattern = &pattern[1..];
                }
                if !same(pattern[0], c, nocase) {
                    return false;
                }
                pattern = &pattern[1..];
            }
        }
        string = &string[1..];
        if string.is_empty() {
            let stars = pattern.iter().take_while(|b| **b == b'*').count();
            pattern = &pattern[stars..];
            break;
        }
    }
    pattern.is_empty() && string.is_empty()
}

/// Whether `c` is in the set whose text starts at `set` (behind the bracket), and what follows the set. A set that is
/// never closed ends with the pattern.
fn match_set(mut set: &[u8], c: u8, nocase: bool) -> (bool, &[u8]) {
    let negated = set.first() == Some(&b'^');
    if negated {
        set = &set[1..];
    }
    let mut matched = false;
    loop {
        match set {
            [] => return (matched != negated, set),
            [b'\\', escaped, rest @ ..] => {
                // Escaped bytes are compared exactly, whatever the case mode.
                matched |= *escaped == c;
                set = rest;
            }
            [b']', rest @ ..] => return (matched != negated, rest),
            [start, b'-', end, rest @ ..] => {
                matched |= in_range(*start, *end, c, nocase);
                set = rest;
            }
            [byte, rest @ ..] => {
                matched |= same(*byte, c, nocase);
                set = rest;
            }
        }
    }
}

#[inline]
fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

/// Bounds in either order. Bytes compare as x86-64's signed `char`; folding makes all but 0xff positive, after the bounds
/// have been put in order.
fn in_range(start: u8, end: u8, c: u8, nocase: bool) -> bool {
    let signed = |b: u8| i32::from(b.cast_signed());
    let (mut low, mut high) = (start, end);
    if signed(low) > signed(high) {
        std::mem::swap(&mut low, &mut high);
    }
    if nocase {
        let folded = |b: u8| match b {
            0xff => -1,
            _ => i32::from(b.to_ascii_lowercase()),
        };
        (folded(low)..=folded(high)).contains(&folded(c))
    } else {
        (signed(low)..=signed(high)).contains(&signed(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(pattern: &str, string: &str) -> bool {
        string_match_len(pattern.as_bytes(), string.as_bytes(), false)
    }

    #[test]
    fn table() {
        for (pattern, string, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("*", "a", true),
            ("**", "abc", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("a*b", "ab", true),
            ("a*b", "acccb", true),
            ("a*b", "acccbc", false),
            ("*b", "b", true),
            ("*a*b*", "xxayybzz", true),
            ("?", "", false),
            ("?", "x", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("[a-]", "a", true),
            ("[a-]", "]", true),
            ("[a-]", "-", false),
            ("[", "a", false),
            ("[^", "a", true),
            ("[a", "a", true),
            ("[ab", "b", true),
            ("[]", "a", false),
            ("[]a]", "a", false),
            ("[\\]]", "]", true),
            ("[\\", "\\", true),
            ("[a\\-z]", "-", true),
            ("[a\\-z]", "m", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("a\\", "a", false),
            ("\\\\", "\\", true),
            ("[a]*", "a", true),
            ("a[", "ab", false),
            ("x*[0-9]", "xyz7", true),
            ("*\\a", "bca", true),
            ("*?", "", false),
            ("*?", "ab", true),
            ("a?*", "a", false),
        ] {
            assert_eq!(m(pattern, string), want, "{pattern:?} on {string:?}");
        }
    }

    #[test]
    fn nocase() {
        let n = |p: &[u8], s: &[u8]| string_match_len(p, s, true);
        assert!(n(b"HeLLo*", b"hEllO world"));
        assert!(n(b"*WORLD", b"hello world"));
        assert!(n(b"[A-C]x", b"bX"));
        assert!(n(b"[abc]", b"B"));
        assert!(!n(b"[\\A]", b"a"));
        assert!(!n(b"a", b"b"));
        assert!(n(b"\xe4", b"\xe4"));
        assert!(!n(b"\xe4", b"\xc4"));
    }

    #[test]
    fn bytes_are_signed_in_ranges() {
        // 0x80..0xff are below 0.
        assert!(string_match_len(b"[\x80-\x01]", b"\xf0", false));
        assert!(!string_match_len(b"[\x01-\x7f]", b"\xf0", false));
        assert!(string_match_len(b"[a-\xff]", b"\xff", false));
        assert!(string_match_len(b"[a-\xff]", b"A", false));
        assert!(!string_match_len(b"[a-\xff]", b"\xfe", false));
    }

    #[test]
    fn abusive_patterns_end() {
        // Exponential without the guard.
        let pattern = "a*".repeat(60) + "b";
        assert!(!m(&pattern, &"a".repeat(100_000)));
        let pattern = "*?".repeat(400) + "b";
        assert!(!m(&pattern, &"a".repeat(2000)));
        // Past the nesting limit nothing matches, below it all is well.
        let text = "a".repeat(3000);
        assert!(m(&"*a".repeat(1000), &text));
        assert!(!m(&"*a".repeat(1001), &text));
        assert!(!m(&"*[".repeat(100_000), &text));
    }

    proptest::proptest! {
        #[test]
        fn literal_texts_match_themselves(s in proptest::collection::vec(proptest::num::u8::ANY, 1..40)) {
            let escaped: Vec<u8> = s.iter().flat_map(|b| [b'\\', *b]).collect();
            proptest::prop_assert!(string_match_len(&escaped, &s, false));
            proptest::prop_assert!(string_match_len(&escaped, &s, true));
            let mut starred = escaped.clone();
            starred.push(b'*');
            proptest::prop_assert!(string_match_len(&starred, &s, false));
        }

        /// Against the plain definition, on patterns of literals, `*` and `?` only.
        #[test]
        fn agrees_with_the_definition(p in "[ab*?]{0,8}", s in "[ab]{1,10}") {
            fn reference(p: &[u8], s: &[u8]) -> bool {
                match (p.first(), s.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => {
                        reference(&p[1..], s) || (!s.is_empty() && reference(p, &s[1..]))
                    }
                    (Some(b'?'), Some(_)) => reference(&p[1..], &s[1..]),
                    (Some(a), Some(b)) if a == b => reference(&p[1..], &s[1..]),
                    _ => false,
                }
            }
            proptest::prop_assert_eq!(m(&p, &s), reference(p.as_bytes(), s.as_bytes()));
        }

        #[test]
        fn never_panics(p in proptest::collection::vec(proptest::sample::select(b"ab*?[]^-\\\xff\0".to_vec()), 0..20),
                        s in proptest::collection::vec(proptest::sample::select(b"aAb]-\\\xff\0".to_vec()), 0..20)) {
            string_match_len(&p, &s, true);
            proptest::prop_assert_eq!(Glob::new(&p).matches(&s), string_match_len(&p, &s, false));
            // Texts that begin alike are the ones that must be told apart further on.
            let begins = [p.as_slice(), &s].concat();
            proptest::prop_assert_eq!(Glob::new(&p).matches(&begins), string_match_len(&p, &begins, false));
        }
    }
}
