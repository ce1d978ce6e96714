//! Lines of words, as inline commands and config files have them, and the quoting that undoes it.
//!
//! Words are parted by blanks; `"..."` takes `\n \r \t \b \a \xHH` and `\c` for any other c; `'...'` takes only `\'`.
//!
//! Invariants: `sdssplitargs` of `sdscatrepr` of any bytes gives those bytes back; no work beyond one pass.
//! Must not know: what the words mean.

use super::strtod::is_space;

/// Splits `line` into words. `None` where a quote is not closed, or is closed and not followed by a blank or the end. As in
/// C, a NUL ends the line. sds.c.
pub(crate) fn sdssplitargs(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let mut rest = &line[..end];
    let mut words = Vec::new();
    loop {
        let blanks = rest
            .iter()
            .position(|b| !is_space(*b))
            .unwrap_or(rest.len());
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = split_word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// The first word of `s`, which does not start with a blank, and what follows it.
fn split_word(mut s: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match s {
            // A vertical tab or a form feed parts words only where one is looked for.
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some((word, s)),
            [b'"', inside @ ..] => {
                s = double_quoted(inside, &mut word)?;
                return ends_word(s).then_some((word, s));
            }
            [b'\'', inside @ ..] => {
                s = single_quoted(inside, &mut word)?;
                return ends_word(s).then_some((word, s));
            }
            [b, rest @ ..] => {
                word.push(*b);
                s = rest;
            }
        }
    }
}

fn ends_word(s: &[u8]) -> bool {
    s.first().is_none_or(|b| is_space(*b))
}

fn hex_digit_to_int(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|d| d as u8)
}

/// Appends what is inside the quotes to `word`; returns what follows the closing one.
fn double_quoted<'a>(mut s: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match s {
            [] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] => {
                if *escaped == b'x'
                    && let [high, low, rest @ ..] = rest
                    && let (Some(high), Some(low)) =
                        (hex_digit_to_int(*high), hex_digit_to_int(*low))
                {
                    word.push(high << 4 | low);
                    s = rest;
                    continue;
                }
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                s = rest;
            }
            [b, rest @ ..] => {
                word.push(*b);
                s = rest;
            }
        }
    }
}

/// The same for single quotes.
fn single_quoted<'a>(mut s: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match s {
            [] => return None,
            [b'\\', b'\'', rest @ ..] => {
                word.push(b'\'');
                s = rest;
            }
            [b'\'', rest @ ..] => return Some(rest),
            [b, rest @ ..] => {
                word.push(*b);
                s = rest;
            }
        }
    }
}

/// Appends `s` in double quotes, with everything that is not printable ASCII escaped. sds.c.
pub(crate) fn sdscatrepr(out: &mut Vec<u8>, s: &[u8]) {
    out.reserve(s.len() + 2);
    out.push(b'"');
    for b in s {
        match b {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', *b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(*b),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(&[
                    b'\\',
                    b'x',
                    HEX[usize::from(b >> 4)],
                    HEX[usize::from(b & 15)],
                ]);
            }
        }
    }
    out.push(b'"');
}

/// Whether `s` needs quotes to come back as one word: blanks, quotes, backslashes, bytes that are not printable. The empty
/// string does not count as such. sds.c.
pub(crate) fn sdsneedsrepr(s: &[u8]) -> bool {
    s.iter()
        .any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<Vec<String>> {
        sdssplitargs(line.as_bytes()).map(|words| {
            words
                .into_iter()
                .map(|w| w.into_iter().map(char::from).collect())
                .collect()
        })
    }

    #[test]
    fn words() {
        for (line, want) in [
            ("", &[][..]),
            ("  \t\r\n", &[]),
            ("a", &["a"]),
            ("  set  a\tb\r\n", &["set", "a", "b"]),
            ("a\x0bb \x0bc", &["a\x0bb", "c"]),
            ("\"a b\" c", &["a b", "c"]),
            ("\"\"", &[""]),
            ("'' x", &["", "x"]),
            (
                "\"\\x41\\x4g\\n\\r\\t\\a\\b\\q\\\"\"",
                &["Ax4g\n\r\t\x07\x08q\""],
            ),
            ("'a\\'b\\n'", &["a'b\\n"]),
            ("'\"'", &["\""]),
            ("foo\"bar\"", &["foobar"]),
            ("foo'b r' x", &["foob r", "x"]),
            ("a\\b", &["a\\b"]),
            ("a\0b", &["a"]),
            ("\"\\xff\"", &["\u{ff}"]),
            ("\"a\"\x0b", &["a"]),
        ] {
            assert_eq!(split(line).unwrap(), want, "{line:?}");
        }
        for bad in [
            "\"",
            "'",
            "\"foo\"bar",
            "\"foo'",
            "'foo\"",
            "'a'b",
            "a \"b",
            "\"\\\"",
            "\"a\\",
            "\"a\0\"",
            "foo\"bar\"baz",
            "\"\\x4\0\"",
        ] {
            assert_eq!(split(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn repr() {
        let mut out = b"x".to_vec();
        sdscatrepr(&mut out, b"a \"\\\n\r\t\x07\x08\0\x7f\xff");
        assert_eq!(out, br#"x"a \"\\\n\r\t\a\b\x00\x7f\xff""#);
        assert!(!sdsneedsrepr(b"") && !sdsneedsrepr(b"plain-word_1'"));
        for needs in [&b"a b"[..], b"\"", b"\\", b"\n", b"\x7f", b"\xc3"] {
            assert!(sdsneedsrepr(needs));
        }
    }

    proptest::proptest! {
        #[test]
        fn repr_round_trip(words in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..30), 0..5)) {
            let mut line = Vec::new();
            for w in &words {
                sdscatrepr(&mut line, w);
                line.push(b' ');
            }
            proptest::prop_assert_eq!(sdssplitargs(&line), Some(words));
        }

        #[test]
        fn unquoted_words_come_back(s in proptest::collection::vec(proptest::num::u8::ANY, 1..20)) {
            if !sdsneedsrepr(&s) && !s.contains(&b'\'') {
                proptest::prop_assert_eq!(sdssplitargs(&s), Some(vec![s]));
            }
        }

        #[test]
        fn never_panics(s in proptest::collection::vec(proptest::sample::select(b"ab\"'\\xnF0 \0\n".to_vec()), 0..30)) {
            if let Some(words) = sdssplitargs(&s) {
                proptest::prop_assert!(words.iter().map(Vec::len).sum::<usize>() <= s.len());
            }
        }
    }
}
