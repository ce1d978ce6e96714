//! Text to binary floating point: the scanner that `f64` and the 80-bit format share, and `strtod`.
//!
//! Owns the grammar of C's `strtod` in the "C" locale: optional blanks and sign, then a decimal or `0x` number, `inf`,
//! `infinity`, `nan` or `nan(...)`, letters of either case. The longest valid prefix counts.
//!
//! Invariants: work is linear in the text; exponents saturate, so no text can overflow the arithmetic.
//! Must not know: what a caller refuses (NaN, blanks, trailing bytes): that is `num::string2d` and its like.

/// What a scanned prefix denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    /// Digits in base ten; the exponent is a power of ten.
    Decimal,
    /// Digits in base sixteen; the exponent is a power of two.
    Hex,
    /// `inf` or `infinity`.
    Infinite,
    /// `nan`, with or without a parenthesised payload.
    Nan,
}

/// The longest prefix of a text that is a number, taken apart but not yet converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberText<'a> {
    /// A leading `-`.
    pub negative: bool,
    /// How to read the digits.
    pub kind: NumberKind,
    /// Digits before the point; may be empty.
    pub int: &'a [u8],
    /// Digits after the point; may be empty.
    pub frac: &'a [u8],
    /// The written exponent, saturated at +-`EXP_LIMIT`.
    pub exp: i64,
    /// Number of bytes the prefix takes, blanks and sign included.
    pub len: usize,
    /// The number without blanks and sign, as written.
    body: &'a [u8],
}

/// Written exponents saturate here: far beyond every format, yet safe to add a digit count to.
const EXP_LIMIT: i64 = 1 << 60;

/// `isspace(3)` in the "C" locale.
#[inline]
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn digits_len(s: &[u8], hex: bool) -> usize {
    s.iter()
        .position(|b| {
            !(if hex {
                b.is_ascii_hexdigit()
            } else {
                b.is_ascii_digit()
            })
        })
        .unwrap_or(s.len())
}

/// Reads `[eE]` or `[pP]`, a sign and digits. Returns the exponent and its length; length 0 when there is none.
fn scan_exponent(s: &[u8], marker: u8) -> (i64, usize) {
    if s.first().map(u8::to_ascii_lowercase) != Some(marker) {
        return (0, 0);
    }
    let (negative, start) = match s.get(1) {
        Some(b'-') => (true, 2),
        Some(b'+') => (false, 2),
        _ => (false, 1),
    };
    let digits = &s[start.min(s.len())..];
    let n = digits_len(digits, false);
    if n == 0 {
        return (0, 0);
    }
    let magnitude = digits[..n].iter().fold(0i64, |acc, d| {
        acc.saturating_mul(10)
            .saturating_add(i64::from(d - b'0'))
            .min(EXP_LIMIT)
    });
    (if negative { -magnitude } else { magnitude }, start + n)
}

/// Splits off the longest prefix of `s` that `strtod` would convert; `None` when there is none.
pub(crate) fn scan_number(s: &[u8]) -> Option<NumberText<'_>> {
    let blanks = s.iter().position(|b| !is_space(*b))?;
    let (negative, start) = match s[blanks] {
        b'-' => (true, blanks + 1),
        b'+' => (false, blanks + 1),
        _ => (false, blanks),
    };
    let body = &s[start..];
    let special = |kind, len: usize| NumberText {
        negative,
        kind,
        int: &[],
        frac: &[],
        exp: 0,
        len: start + len,
        body: &body[..len],
    };
    let starts = |word: &[u8]| {
        body.get(..word.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(word))
    };
    match body.first()? {
        b'i' | b'I' => {
            return if starts(b"infinity") {
                Some(special(NumberKind::Infinite, 8))
            } else if starts(b"inf") {
                Some(special(NumberKind::Infinite, 3))
            } else {
                None
            };
        }
        b'n' | b'N' => {
            if !starts(b"nan") {
                return None;
            }
            let mut len = 3;
            if body.get(3) == Some(&b'(') {
                let payload = body[4..]
                    .iter()
                    .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
                if let Some(n) = payload
                    && body[4 + n] == b')'
                {
                    len = 4 + n + 1;
                }
            }
            return Some(special(NumberKind::Nan, len));
        }
        _ => {}
    }
    if starts(b"0x")
        && let Some(number) = scan_digits(&body[2..], true)
    {
        return Some(NumberText {
            negative,
            len: start + 2 + number.len,
            body: &body[..2 + number.len],
            ..number
        });
    }
    // A "0x" without digits after it is the number 0, followed by an x.
    let number = scan_digits(body, false)?;
    Some(NumberText {
        negative,
        len: start + number.len,
        ..number
    })
}

fn scan_digits(s: &[u8], hex: bool) -> Option<NumberText<'_>> {
    let int_len = digits_len(s, hex);
    let mut len = int_len;
    let mut frac: &[u8] = &[];
    if s.get(len) == Some(&b'.') {
        let rest = &s[len + 1..];
        frac = &rest[..digits_len(rest, hex)];
        if int_len + frac.len() > 0 {
            len += 1 + frac.len();
        }
    }
    if int_len + frac.len() == 0 {
        return None;
    }
    let (exp, exp_len) = scan_exponent(&s[len..], if hex { b'p' } else { b'e' });
    len += exp_len;
    Some(NumberText {
        negative: false,
        kind: if hex {
            NumberKind::Hex
        } else {
            NumberKind::Decimal
        },
        int: &s[..int_len],
        frac,
        exp,
        len,
        body: &s[..len],
    })
}

impl NumberText<'_> {
    /// Whether any digit is not zero, so a result of zero means underflow.
    pub(crate) fn has_nonzero_digit(&self) -> bool {
        self.int.iter().chain(self.frac).any(|d| *d != b'0')
    }

    /// A hex number as `mantissa * 2^exponent`, plus whether bits beyond the mantissa's 124 were dropped.
    pub(crate) fn hex_value(&self) -> (u128, i64, bool) {
        let mut mantissa = 0u128;
        let mut exp = self.exp;
        let mut sticky = false;
        for (i, digit) in self.int.iter().chain(self.frac).enumerate() {
            let value = char::from(*digit).to_digit(16).unwrap_or(0);
            let in_frac = i >= self.int.len();
            if mantissa >> 120 == 0 {
                mantissa = mantissa << 4 | u128::from(value);
                exp -= if in_frac { 4 } else { 0 };
            } else {
                sticky |= value != 0;
                exp += if in_frac { 0 } else { 4 };
            }
        }
        (mantissa, exp, sticky)
    }
}

/// What `strtod` found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strtod {
    /// The value; infinite on overflow, zero (signed) on underflow.
    pub value: f64,
    /// Bytes converted, leading blanks included; 0 when the text is no number (then `value` is 0).
    pub len: usize,
    /// `errno == ERANGE`: overflow, or a nonzero number whose result is zero or a (taken as inexact) subnormal.
    pub range_error: bool,
}

/// C's `strtod` (C17 7.22.1.3, "C" locale, round to nearest even) over a byte slice; a NUL ends the number like any
/// other foreign byte.
pub(crate) fn strtod(s: &[u8]) -> Strtod {
    let Some(text) = scan_number(s) else {
        return Strtod {
            value: 0.0,
            len: 0,
            range_error: false,
        };
    };
    let mut range_error = false;
    let magnitude = match text.kind {
        NumberKind::Infinite => f64::INFINITY,
        NumberKind::Nan => f64::NAN,
        NumberKind::Decimal => {
            let value = if text.body.len() <= 15 && text.body.len() == text.int.len() {
                // 15 digits are exact in an f64, and this is what most scores look like.
                text.int
                    .iter()
                    .fold(0u64, |acc, d| acc * 10 + u64::from(d - b'0')) as f64
            } else {
                std::str::from_utf8(text.body)
                    .ok()
                    .and_then(|t| t.parse().ok())
                    .unwrap_or(0.0)
            };
            if value < f64::MIN_POSITIVE {
                range_error = value != 0.0 || text.has_nonzero_digit();
            } else {
                range_error = value.is_infinite();
            }
            value
        }
        NumberKind::Hex => {
            let (mantissa, exp, sticky) = text.hex_value();
            let (value, inexact) = round_to_f64(mantissa, exp, sticky);
            if mantissa != 0 {
                range_error = value.is_infinite() || (value < f64::MIN_POSITIVE && inexact);
            }
            value
        }
    };
    Strtod {
        value: if text.negative { -magnitude } else { magnitude },
        len: text.len,
        range_error,
    }
}

/// `mantissa * 2^exp` to the nearest f64, ties to even; also whether that was inexact.
fn round_to_f64(mantissa: u128, exp: i64, sticky: bool) -> (f64, bool) {
    if mantissa == 0 {
        return (0.0, sticky);
    }
    let bits = i64::from(128 - mantissa.leading_zeros());
    let top = exp.saturating_add(bits - 1);
    if top > 1023 {
        return (f64::INFINITY, true);
    }
    if top < -1076 {
        return (0.0, true);
    }
    // `top` is small here, so is `exp`, and none of the below can overflow.
    let lsb = (top - 52).max(-1074);
    let (rounded, inexact) = shift_right_even(mantissa, lsb - exp, sticky);
    // A carry out of the mantissa lands in the exponent field, which is what it has to do.
    let raw = (((lsb + 1074) as u64) << 52).wrapping_add(rounded as u64);
    let value = f64::from_bits(raw);
    (value, inexact || value.is_infinite())
}

/// `value / 2^shift` to the nearest integer, ties to even, and whether that lost anything. A negative shift is a shift
/// to the left, which must fit. `sticky` says that nonzero bits lie below `value`.
pub(super) fn shift_right_even(value: u128, shift: i64, sticky: bool) -> (u128, bool) {
    if shift <= 0 {
        return (value << shift.unsigned_abs().min(127), sticky);
    }
    if shift > 128 {
        return (0, value != 0 || sticky);
    }
    let (quotient, rest, half) = if shift == 128 {
        (0, value, 1u128 << 127)
    } else {
        (
            value >> shift,
            value & ((1 << shift) - 1),
            1u128 << (shift - 1),
        )
    };
    let up = rest > half || (rest == half && (sticky || quotient & 1 == 1));
    (quotient + u128::from(up), rest != 0 || sticky)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(s: &str) -> (f64, usize, bool) {
        let r = strtod(s.as_bytes());
        (r.value, r.len, r.range_error)
    }

    #[test]
    fn longest_prefix() {
        assert_eq!(parse("1e"), (1.0, 1, false));
        assert_eq!(parse("1e+"), (1.0, 1, false));
        assert_eq!(parse("1.5e3x"), (1500.0, 5, false));
        assert_eq!(parse(".5"), (0.5, 2, false));
        assert_eq!(parse("5."), (5.0, 2, false));
        assert_eq!(parse("5.e1"), (50.0, 4, false));
        assert_eq!(parse("."), (0.0, 0, false));
        assert_eq!(parse(".e1"), (0.0, 0, false));
        assert_eq!(parse("+"), (0.0, 0, false));
        assert_eq!(parse(""), (0.0, 0, false));
        assert_eq!(parse("   "), (0.0, 0, false));
        assert_eq!(parse(" \t\n\x0b\x0c\r-7 "), (-7.0, 8, false));
        assert_eq!(parse("0x"), (0.0, 1, false));
        assert_eq!(parse("0xg"), (0.0, 1, false));
        assert_eq!(parse("0x.p1"), (0.0, 1, false));
        assert_eq!(parse("infinit"), (f64::INFINITY, 3, false));
        assert_eq!(parse("-InFiNiTy"), (f64::NEG_INFINITY, 9, false));
        assert_eq!(parse("in"), (0.0, 0, false));
        assert_eq!(parse("1\x002"), (1.0, 1, false));
    }

    #[test]
    fn nan_forms() {
        for (text, len) in [
            ("nan", 3),
            ("NaN(", 3),
            ("nan(0x_1)", 9),
            ("nan()", 5),
            ("nan(a b)", 3),
        ] {
            let (value, n, _) = parse(text);
            assert!(value.is_nan());
            assert_eq!(n, len, "{text}");
        }
    }

    #[test]
    fn hex_floats() {
        assert_eq!(parse("0x10"), (16.0, 4, false));
        assert_eq!(parse("0X1.8p1"), (3.0, 7, false));
        assert_eq!(parse("0x.8"), (0.5, 4, false));
        assert_eq!(parse("-0xA.p-1"), (-5.0, 8, false));
        assert_eq!(parse("0x1p"), (1.0, 3, false));
        assert_eq!(parse("0x1p-1074"), (f64::from_bits(1), 9, false));
        assert_eq!(parse("0x1p-1075"), (0.0, 9, true));
        assert_eq!(parse("0x1.8p-1075"), (f64::from_bits(1), 11, true));
        assert_eq!(parse("0x1p1024"), (f64::INFINITY, 8, true));
        assert_eq!(
            parse("0x1.fffffffffffffp1023"),
            (f64::MAX, "0x1.fffffffffffffp1023".len(), false)
        );
        assert_eq!(parse("0x1.fffffffffffff8p1023").0, f64::INFINITY);
        // Ties to even, and a far sticky bit that breaks the tie.
        assert_eq!(parse("0x1.00000000000008").0, 1.0);
        assert_eq!(
            parse("0x1.000000000000080000000000000000000000001").0,
            1.0 + f64::EPSILON
        );
        assert_eq!(parse("0x1p99999999999999999999999").0, f64::INFINITY);
        assert_eq!(parse("0x1p-99999999999999999999999").0, 0.0);
        assert_eq!(parse("0x0p99999999999999999999999").0, 0.0);
    }

    #[test]
    fn range_errors() {
        assert_eq!(parse("1e400"), (f64::INFINITY, 5, true));
        assert_eq!(parse("-1e400"), (f64::NEG_INFINITY, 6, true));
        assert_eq!(parse("1e-400"), (0.0, 6, true));
        assert_eq!(parse("0e-400"), (0.0, 6, false));
        assert_eq!(parse("0.000e99999999999999999999").0, 0.0);
        assert!(parse("1e-310").2);
        assert!(!parse("2.2250738585072014e-308").2);
        assert_eq!(parse("1e99999999999999999999").0, f64::INFINITY);
        assert!(parse("-0").0.is_sign_negative());
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_std(bits: u64) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.20e}")] {
                let r = strtod(text.as_bytes());
                proptest::prop_assert_eq!(r.value.to_bits(), bits);
                proptest::prop_assert_eq!(r.len, text.len());
            }
        }

        #[test]
        fn hex_round_trip(bits: u64) {
            let value = f64::from_bits(bits & !(1 << 63));
            proptest::prop_assume!(value.is_finite());
            let field = (bits >> 52 & 0x7ff) as i64;
            let fraction = bits & ((1 << 52) - 1);
            let text = if field == 0 {
                format!("0x0.{fraction:013x}p-1022")
            } else {
                format!("0x1.{fraction:013x}p{}", field - 1023)
            };
            proptest::prop_assert_eq!(strtod(text.as_bytes()).value, value);
        }

        #[test]
        fn never_panics(s in proptest::collection::vec(proptest::sample::select(b"0019aAfFxXpPeE+-. inft()\0".to_vec()), 0..40)) {
            let r = strtod(&s);
            proptest::prop_assert!(r.len <= s.len());
        }
    }
}
