//! `string.format`, with what C's printf makes of its directives (str_format of lstrlib.c): up to five flags, two digits of width
//! and of precision, and the conversions c, d, i, o, u, x, X, e, E, f, g, G, q and s.
//!
//! The machine's own takes values of any type for `%s`, knows more conversions, and writes small numbers wrong (`%.3f` of 1e-160).
//! Zero bytes are characters like others here.

use super::super::lua::{Call, Raise, Returned};
use super::{
    LibraryHost, Pace, argument_error, check_number, check_result, check_string, to_i64, to_u64,
};

/// Flags that may stand in a row, repeated or not.
const MAX_FLAGS: usize = 5;
/// A string of so many bytes goes as it is where no precision is given.
const LONG_STRING: usize = 100;
/// Significant digits of `%e` and `%g` without a precision, and decimals of `%f`.
const DEFAULT_PRECISION: usize = 6;

/// A directive but for its conversion.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// The number of at most two digits that a text begins with, and how many they are.
fn two_digits(text: &[u8]) -> (usize, usize) {
    let digits = text.iter().take(2).take_while(|b| b.is_ascii_digit());
    digits.fold((0, 0), |(value, n), d| {
        (value * 10 + usize::from(d - b'0'), n + 1)
    })
}

impl Spec {
    /// The directive behind a `%`, and the bytes that it has (scanformat).
    fn read(text: &[u8]) -> Result<(Spec, usize), Raise> {
        let flags = text
            .iter()
            .take_while(|b| matches!(b, b'-' | b'+' | b' ' | b'#' | b'0'));
        let mut at = flags.count();
        if at > MAX_FLAGS {
            return Err(Raise::text("invalid format (repeated flags)"));
        }
        let has = |flag: u8| text[..at].contains(&flag);
        let mut spec = Spec {
            left: has(b'-'),
            plus: has(b'+'),
            space: has(b' '),
            alternate: has(b'#'),
            zeros: has(b'0'),
            ..Spec::default()
        };
        let (width, n) = two_digits(&text[at..]);
        spec.width = width;
        at += n;
        if text.get(at) == Some(&b'.') {
            let (precision, n) = two_digits(&text[at + 1..]);
            spec.precision = Some(precision);
            at += 1 + n;
        }
        if text.get(at).is_some_and(u8::is_ascii_digit) {
            return Err(Raise::text("invalid format (width or precision too long)"));
        }
        Ok((spec, at))
    }

    /// Appends `body`, padded with blanks to the width.
    fn put_text(&self, out: &mut Vec<u8>, body: &[u8]) {
        let padding = self.width.saturating_sub(body.len());
        if !self.left {
            out.resize(out.len() + padding, b' ');
        }
        out.extend_from_slice(body);
        if self.left {
            out.resize(out.len() + padding, b' ');
        }
    }

    /// Appends a number: its sign or prefix, then its digits, with zeros between them where `zeros` says so.
    fn put_number(&self, out: &mut Vec<u8>, prefix: &str, digits: &str, zeros: bool) {
        let mut body = prefix.as_bytes().to_vec();
        if zeros && !self.left {
            let len = (self.width.saturating_sub(digits.len())).max(prefix.len());
            body.resize(len, b'0');
        }
        body.extend_from_slice(digits.as_bytes());
        self.put_text(out, &body);
    }

    fn sign(&self, negative: bool) -> &'static str {
        match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        }
    }

    /// Appends an integer's digits with at least as many as the precision asks for; none at all of 0 with none asked for.
    fn put_integer(&self, out: &mut Vec<u8>, prefix: &str, mut digits: String) {
        if let Some(precision) = self.precision {
            if digits == "0" {
                digits.clear();
            }
            while digits.len() < precision {
                digits.insert(0, '0');
            }
        }
        self.put_number(out, prefix, &digits, self.zeros && self.precision.is_none());
    }

    fn put_unsigned(&self, out: &mut Vec<u8>, value: u64, conversion: u8) {
        match conversion {
            b'o' => {
                let mut digits = format!("{value:o}");
                let has_zeros = self.precision.is_some_and(|p| p > digits.len());
                if self.alternate && value != 0 && !has_zeros {
                    digits.insert(0, '0');
                }
                match self.alternate && value == 0 {
                    true => Spec {
                        precision: self.precision.map(|p| p.max(1)),
                        ..*self
                    },
                    false => *self,
                }
                .put_integer(out, "", digits);
            }
            b'x' | b'X' => {
                let prefix = match (self.alternate && value != 0, conversion) {
                    (false, _) => "",
                    (true, b'x') => "0x",
                    (true, _) => "0X",
                };
                let digits = match conversion {
                    b'x' => format!("{value:x}"),
                    _ => format!("{value:X}"),
                };
                self.put_integer(out, prefix, digits);
            }
            _ => self.put_integer(out, "", value.to_string()),
        }
    }

    fn put_double(&self, out: &mut Vec<u8>, value: f64, conversion: u8) {
        let upper = conversion.is_ascii_uppercase();
        let sign = self.sign(value.is_sign_negative());
        if !value.is_finite() {
            let name = match (value.is_nan(), upper) {
                (true, false) => "nan",
                (true, true) => "NAN",
                (false, false) => "inf",
                (false, true) => "INF",
            };
            return self.put_number(out, sign, name, false);
        }
        let precision = self.precision.unwrap_or(DEFAULT_PRECISION);
        let value = value.abs();
        let mut digits = match conversion {
            b'f' => fixed(value, precision, self.alternate),
            b'e' | b'E' => scientific(value, precision, self.alternate),
            _ => general(value, precision.max(1), self.alternate),
        };
        if upper {
            digits.make_ascii_uppercase();
        }
        self.put_number(out, sign, &digits, self.zeros);
    }
}

/// `%f` of a number that is not negative; `point`: a point though no decimals follow.
fn fixed(value: f64, decimals: usize, point: bool) -> String {
    let mut text = format!("{value:.decimals$}");
    if point && decimals == 0 {
        text.push('.');
    }
    text
}

/// `%e`: an exponent of two digits at least.
fn scientific(value: f64, decimals: usize, point: bool) -> String {
    let text = format!("{value:.decimals$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if point && decimals == 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.unsigned_abs())
}

/// `%g` with so many significant digits, at least one; `all`: zeros at the end stay.
fn general(value: f64, significant: usize, all: bool) -> String {
    let text = scientific(value, significant - 1, all);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let shortened = |text: String| match all || !text.contains('.') {
        true => text,
        false => text.trim_end_matches('0').trim_end_matches('.').to_string(),
    };
    if exponent < -4 || exponent >= significant as i32 {
        let rest = &text[digits.len()..];
        return shortened(digits.to_string()) + rest;
    }
    let decimals = (significant as i32 - 1 - exponent) as usize;
    shortened(fixed(value, decimals, all))
}

/// `%q`: a literal that Lua reads as the same string.
fn put_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for b in text {
        match b {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', *b]),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\000"),
            b => out.push(*b),
        }
    }
    out.push(b'"');
}

/// `string.format`.
pub(super) fn format<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_string(call, 1)?;
    let format = call.bytes(1).unwrap_or_default().to_vec();
    let mut pace = Pace::new();
    let mut out = Vec::with_capacity(format.len() + 32);
    let (mut rest, mut argument) = (&format[..], 1);
    while let Some(n) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..n]);
        rest = &rest[n + 1..];
        if let [b'%', behind @ ..] = rest {
            out.push(b'%');
            rest = behind;
            continue;
        }
        argument += 1;
        if argument > call.top() {
            return Err(argument_error(call, argument as usize, "no value"));
        }
        let (spec, n) = Spec::read(rest)?;
        let conversion = rest.get(n).copied().unwrap_or(0);
        rest = rest.get(n + 1..).unwrap_or_default();
        match conversion {
            b'c' => {
                let c = to_i64(check_number(call, argument)?) as u8;
                spec.put_text(&mut out, &[c]);
            }
            b'd' | b'i' => {
                let value = to_i64(check_number(call, argument)?);
                let digits = value.unsigned_abs().to_string();
                spec.put_integer(&mut out, spec.sign(value < 0), digits);
            }
            b'o' | b'u' | b'x' | b'X' => {
                let value = to_u64(check_number(call, argument)?);
                spec.put_unsigned(&mut out, value, conversion);
            }
            b'e' | b'E' | b'f' | b'g' | b'G' => {
                let value = check_number(call, argument)?;
                spec.put_double(&mut out, value, conversion);
            }
            b'q' => {
                check_string(call, argument)?;
                put_quoted(&mut out, call.bytes(argument).unwrap_or_default());
            }
            b's' => {
                check_string(call, argument)?;
                let text = call.bytes(argument).unwrap_or_default();
                match spec.precision {
                    None if text.len() >= LONG_STRING => out.extend_from_slice(text),
                    precision => {
                        let n = precision.unwrap_or(usize::MAX).min(text.len());
                        spec.put_text(&mut out, &text[..n]);
                    }
                }
            }
            other => {
                let mut text = b"invalid option '%".to_vec();
                if other != 0 {
                    text.push(other);
                }
                text.extend_from_slice(b"' to 'format'");
                return Err(Raise::Text(text));
            }
        }
        check_result(call, out.len(), "resulting string too large")?;
        pace.step(call, 1)?;
    }
    out.extend_from_slice(rest);
    check_result(call, out.len(), "resulting string too large")?;
    call.push_bytes(&out);
    Ok(1)
}
