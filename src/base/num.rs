//! Numbers and their texts: integers, doubles, memory sizes.
//!
//! Owns the acceptance rules and the exact output of util.c's conversions. Where a text is accepted as an integer, the
//! integer's text is that text again, byte by byte, so an encoding can change without loss.
//!
//! Invariants: no allocation except in the `push_*` helpers; no panic on any input; overflow is refused, never wrapped
//! (but see `string2ull`).
//! Must not know: objects, replies, error texts. The 80-bit format is in `long_double`, Grisu in `fpconv`.

use super::fpconv::{FPCONV_SIZE, fpconv_dtoa};
use super::strtod::{is_space, strtod};

/// Room for every `i64` as text ("-9223372036854775808" has 20 bytes).
pub(crate) const LONG_STR_SIZE: usize = 21;

/// Room for every double as `d2string` or `d2string_g17` writes it.
pub(crate) const D2STRING_SIZE: usize = 32;

const DIGIT_PAIRS: &[u8; 200] = b"\
0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Number of decimal digits of `v` (1 for 0). util.c.
#[inline]
pub(crate) fn digits10(v: u64) -> u32 {
    v.checked_ilog10().map_or(1, |n| n + 1)
}

/// Number of bytes of `v` as text, the sign included. util.c.
#[inline]
pub(crate) fn sdigits10(v: i64) -> u32 {
    digits10(v.unsigned_abs()) + u32::from(v < 0)
}

/// Writes `v` in decimal; the text is the returned slice, which may start anywhere in `buf`. util.c.
#[inline]
pub(crate) fn ll2string(buf: &mut [u8; LONG_STR_SIZE], v: i64) -> &[u8] {
    let mut at = write_digits(buf, v.unsigned_abs());
    if v < 0 {
        at -= 1;
        buf[at] = b'-';
    }
    &buf[at..]
}

/// Writes `v` in decimal; the text is the returned slice, which may start anywhere in `buf`. util.c.
#[inline]
pub(crate) fn ull2string(buf: &mut [u8; LONG_STR_SIZE], v: u64) -> &[u8] {
    let at = write_digits(buf, v);
    &buf[at..]
}

/// Right-aligned digits of `v`; returns where they start. At most 20 of the 21 bytes are used.
#[inline]
fn write_digits(buf: &mut [u8; LONG_STR_SIZE], mut v: u64) -> usize {
    let mut at = LONG_STR_SIZE;
    while v >= 100 {
        let pair = (v % 100) as usize * 2;
        v /= 100;
        at -= 2;
        buf[at] = DIGIT_PAIRS[pair];
        buf[at + 1] = DIGIT_PAIRS[pair + 1];
    }
    if v >= 10 {
        let pair = v as usize * 2;
        at -= 2;
        buf[at] = DIGIT_PAIRS[pair];
        buf[at + 1] = DIGIT_PAIRS[pair + 1];
    } else {
        at -= 1;
        buf[at] = b'0' + v as u8;
    }
    at
}

/// Appends `v` in decimal.
#[inline]
pub(crate) fn push_ll(out: &mut Vec<u8>, v: i64) {
    out.extend_from_slice(ll2string(&mut [0; LONG_STR_SIZE], v));
}

/// Appends `v` in decimal.
#[inline]
pub(crate) fn push_ull(out: &mut Vec<u8>, v: u64) {
    out.extend_from_slice(ull2string(&mut [0; LONG_STR_SIZE], v));
}

/// The value of four to eight digits; `None` for any other text, or length.
#[inline(always)]
fn up_to_eight_digits(s: &[u8]) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let n = s.len();
    if !(4..=8).contains(&n) {
        return None;
    }
    let low = u64::from(u32::from_le_bytes(*s.first_chunk()?));
    let high = u64::from(u32::from_le_bytes(*s.last_chunk()?));
    // The last digit in the top byte, zeros before the first one.
    let pad = 8 * (8 - n);
    let word = (low | high << (8 * (n - 4))) << pad | ZEROS & ((1 << pad) - 1);
    // A byte is a digit when its upper half is 3, also after six are added.
    let above = word.wrapping_add(0x0606_0606_0606_0606);
    if (word | above) & 0xf0f0_f0f0_f0f0_f0f0 != ZEROS || word & ZEROS != ZEROS {
        return None;
    }
    // Digits to pairs, pairs to fours, fours to the whole.
    let pairs = (word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(10 << 8 | 1) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    Some((fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// Parses a canonical `i64`: `0`, or an optional `-` and digits that do not start with `0`. Anything else (`+1`, ` 1`,
/// `01`, `-0`, the empty string, an overflow) is `None`. util.c.
#[inline]
pub(crate) fn string2ll(s: &[u8]) -> Option<i64> {
    let (negative, digits) = match s {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, s),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        // 20 digits are past i64 on either side; 19 cannot overflow a u64.
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    if let Some(v) = up_to_eight_digits(digits) {
        return Some(if negative { -(v as i64) } else { v as i64 });
    }
    let mut v = 0u64;
    for b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        v = v * 10 + u64::from(digit);
    }
    if negative {
        (v <= i64::MIN.unsigned_abs()).then(|| (v as i64).wrapping_neg())
    } else {
        i64::try_from(v).ok()
    }
}

/// A number as C's strtol reads it in base 10: blanks, a sign, digits; what is too large is the nearest that fits. And how
/// many bytes of the text it took: none, and zero, where there is no number.
pub(crate) fn strtol(text: &[u8]) -> (i64, usize) {
    let blanks = text.len() - text.trim_ascii_start().len();
    let signed = matches!(text.get(blanks), Some(b'-' | b'+'));
    let start = blanks + usize::from(signed);
    let digits = text[start..]
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .count();
    if digits == 0 {
        return (0, 0);
    }
    let negative = signed && text[blanks] == b'-';
    let n = text[start..start + digits].iter().fold(0i64, |n, c| {
        let d = i64::from(c - b'0');
        let n = n.saturating_mul(10);
        if negative {
            n.saturating_sub(d)
        } else {
            n.saturating_add(d)
        }
    });
    (n, start + digits)
}

/// Parses a `u64` as stream ids and config values are parsed: a canonical integer, else whatever `strtoull` takes
/// whole, which means leading blanks, a `+`, leading zeros, and a `-` that negates modulo 2^64 where the text is not
/// canonical (`-05`, but not `-5`). Overflow is `None`. util.c.
#[inline]
pub(crate) fn string2ull(s: &[u8]) -> Option<u64> {
    match string2ll(s) {
        Some(v) => u64::try_from(v).ok(),
        None => strtoull(s),
    }
}

fn strtoull(s: &[u8]) -> Option<u64> {
    let blanks = s.iter().position(|b| !is_space(*b))?;
    let (negative, digits) = match &s[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let v = parse_digits(digits)?;
    Some(if negative { v.wrapping_neg() } else { v })
}

/// One or more digits, nothing else, leading zeros allowed.
fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |acc, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        acc.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Parses a double: all of `s` must be what `strtod` takes, without leading blanks; `inf` and hex floats are in, NaN is
/// out, and so is a number that overflows or underflows to zero. util.c.
#[inline]
pub(crate) fn string2d(s: &[u8]) -> Option<f64> {
    if let Some(value) = short_decimal(s) {
        return Some(value);
    }
    if s.first().is_none_or(|b| is_space(*b)) {
        return None;
    }
    let r = strtod(s);
    let lost = r.range_error && (r.value == 0.0 || r.value.is_infinite());
    (r.len == s.len() && !r.value.is_nan() && !lost).then_some(r.value)
}

/// `[-]digits[.digits]` with at most 15 digits and at least one before the point: digits and power of ten are then exact
/// in an f64, and their one division rounds correctly (Clinger's fast path). Most scores look like that.
#[inline]
fn short_decimal(s: &[u8]) -> Option<f64> {
    let (negative, digits) = match s {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, s),
    };
    if digits.len() > 16 || !digits.first()?.is_ascii_digit() {
        return None;
    }
    if let Some(n) = up_to_eight_digits(digits) {
        let n = n as f64;
        return Some(if negative { -n } else { n });
    }
    let mut value = 0u64;
    let mut point = None;
    for (i, b) in digits.iter().enumerate() {
        match b {
            b'0'..=b'9' => value = value * 10 + u64::from(b - b'0'),
            b'.' if point.is_none() => point = Some(i),
            _ => return None,
        }
    }
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let magnitude = match point {
        Some(at) => value as f64 / POWERS.get(digits.len() - 1 - at)?,
        None if digits.len() == 16 => return None,
        None => value as f64,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Parses a score bound as t_zset.c's ranges do: like `strtod` over all of `s`, so leading blanks are skipped, an
/// overflow is infinite, an underflow 0, and the empty string is 0. NaN and trailing bytes are `None`.
pub(crate) fn string2d_range(s: &[u8]) -> Option<f64> {
    let r = strtod(s);
    (r.len == s.len() && !r.value.is_nan()).then_some(r.value)
}

/// `Some` when `d` is an integer of at most 2^62 in magnitude, so that the cast loses nothing. util.c.
#[inline]
pub(crate) fn double2ll(d: f64) -> Option<i64> {
    const LIMIT: f64 = (1u64 << 62) as f64;
    if !(-LIMIT..=LIMIT).contains(&d) {
        return None;
    }
    let v = d as i64;
    (v as f64 == d).then_some(v)
}

/// Appends a double with exactly four decimals, as distances are sent (util.c's fixedpoint_d2string). What has no
/// ten-thousandths in 64 bits comes out as their lowest number, as the processor's conversion has it.
pub(crate) fn push_fixed4(out: &mut Vec<u8>, d: f64) {
    let scaled = (d * 10_000.0).round_ties_even();
    let fits = scaled.abs() < (1u64 << 63) as f64;
    let n = if fits { scaled as i64 } else { i64::MIN };
    if n < 0 {
        out.push(b'-');
    }
    push_ull(out, n.unsigned_abs() / 10_000);
    let decimals = n.unsigned_abs() % 10_000;
    out.push(b'.');
    for power in [1000, 100, 10, 1] {
        out.push(b'0' + (decimals / power % 10) as u8);
    }
}

/// The text of a double in replies and in listpacks: `nan`, `inf`, `-inf`, `-0`, an integer where `double2ll` gives one,
/// else Grisu2 digits. util.c; the text is the returned slice.
#[inline]
pub(crate) fn d2string(buf: &mut [u8; D2STRING_SIZE], value: f64) -> &[u8] {
    if value == 0.0 {
        return if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        };
    }
    if let Some(v) = double2ll(value) {
        let mut digits = [0; LONG_STR_SIZE];
        let text = ll2string(&mut digits, v);
        buf[..text.len()].copy_from_slice(text);
        return &buf[..text.len()];
    }
    if let Some(text) = non_finite(value) {
        return text;
    }
    let mut digits = [0; FPCONV_SIZE];
    let len = fpconv_dtoa(value, &mut digits);
    buf[..FPCONV_SIZE].copy_from_slice(&digits);
    &buf[..len]
}

fn non_finite(value: f64) -> Option<&'static [u8]> {
    if value.is_nan() {
        Some(b"nan")
    } else if value.is_infinite() {
        Some(if value > 0.0 { b"inf" } else { b"-inf" })
    } else {
        None
    }
}

/// The text of a double as `%.17g`: what ZSCAN sends for a big sorted set, and old RDB files hold. util.c's
/// ld2string(LD_STR_AUTO) for a value that came from a double.
pub(crate) fn d2string_g17(buf: &mut [u8; D2STRING_SIZE], value: f64) -> &[u8] {
    if let Some(text) = non_finite(value) {
        return text;
    }
    if value == 0.0 {
        return if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        };
    }
    // Whole numbers of up to sixteen digits are what their digits say.
    if value.abs() < 1e16 && value as i64 as f64 == value {
        return match buf.first_chunk_mut() {
            Some(room) => ll2string(room, value as i64),
            None => b"",
        };
    }
    // "d.dddddddddddddddde[-]xxx": exactly 17 significant digits, correctly rounded.
    let mut sci = ByteWriter::<32>::new();
    let _ = std::fmt::Write::write_fmt(&mut sci, format_args!("{:.16e}", value.abs()));
    let sci = sci.as_bytes();
    let mut digits = [b'0'; 17];
    let mut exp = 0i32;
    if let Some(e) = sci.iter().position(|b| *b == b'e') {
        digits[0] = sci[0];
        for (to, from) in digits[1..].iter_mut().zip(&sci[2..e]) {
            *to = *from;
        }
        exp = string2ll(&sci[e + 1..]).map_or(0, |v| v as i32);
    }
    let significant = digits.iter().rposition(|b| *b != b'0').map_or(1, |i| i + 1);
    let digits = &digits[..significant];

    let mut out = ByteWriter::<D2STRING_SIZE>::new();
    if value < 0.0 {
        out.push(b"-");
    }
    if (-4..17).contains(&exp) {
        if exp < 0 {
            out.push(&b"0.000"[..1 + exp.unsigned_abs() as usize]);
            out.push(digits);
        } else {
            let int_len = exp as usize + 1;
            for i in 0..int_len {
                out.push(&[digits.get(i).copied().unwrap_or(b'0')]);
            }
            if significant > int_len {
                out.push(b".");
                out.push(&digits[int_len..]);
            }
        }
    } else {
        out.push(&digits[..1]);
        if significant > 1 {
            out.push(b".");
            out.push(&digits[1..]);
        }
        out.push(if exp < 0 { b"e-" } else { b"e+" });
        if exp.abs() < 10 {
            out.push(b"0");
        }
        out.push(ll2string(&mut [0; LONG_STR_SIZE], i64::from(exp.abs())));
    }
    let len = out.as_bytes().len();
    buf[..len].copy_from_slice(out.as_bytes());
    &buf[..len]
}

/// Appends `value` with exactly `fractional_digits` (at most 17) digits after the point, rounded half to even after the
/// scaling as an f64. A product past 2^63 saturates. util.c's fixedpoint_d2string; GEODIST sends four digits.
#[cfg(test)]
pub(crate) fn push_fixedpoint(out: &mut Vec<u8>, value: f64, fractional_digits: u32) {
    let fraction = fractional_digits.min(17);
    let unit = 10u64.pow(fraction);
    let scaled = (value * unit as f64).round_ties_even() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let scaled = scaled.unsigned_abs();
    push_ull(out, scaled / unit);
    if fraction > 0 {
        out.push(b'.');
        let mut digits = [0; LONG_STR_SIZE];
        let rest = ull2string(&mut digits, scaled % unit);
        out.extend(std::iter::repeat_n(
            b'0',
            (fraction as usize).saturating_sub(rest.len()),
        ));
        out.extend_from_slice(rest);
    }
}

/// A fixed buffer that drops what does not fit.
struct ByteWriter<const N: usize> {
    buf: [u8; N],
    len: usize,
}

impl<const N: usize> ByteWriter<N> {
    fn new() -> Self {
        ByteWriter {
            buf: [0; N],
            len: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(N - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&bytes[..n]);
        self.len += n;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

impl<const N: usize> std::fmt::Write for ByteWriter<N> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}

/// Why a memory size was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemtoullError {
    /// A minus sign, an unknown unit, or 128 digits and more.
    Syntax,
    /// More than 2^64 - 1 bytes. Upstream wraps silently.
    Overflow,
}

/// Parses an amount of memory in bytes: digits and, in either case, `b`, `k` (10^3), `kb` (2^10), `m`, `mb`, `g`, `gb`.
/// No digits at all are 0, as upstream has it. util.c.
pub(crate) fn memtoull(s: &[u8]) -> Result<u64, MemtoullError> {
    let digits_len = s
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(s.len());
    let (digits, unit) = s.split_at(digits_len);
    const UNITS: [(&[u8], u64); 8] = [
        (b"", 1),
        (b"b", 1),
        (b"k", 1000),
        (b"kb", 1 << 10),
        (b"m", 1_000_000),
        (b"mb", 1 << 20),
        (b"g", 1_000_000_000),
        (b"gb", 1 << 30),
    ];
    let factor = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name))
        .map(|(_, factor)| *factor)
        .ok_or(MemtoullError::Syntax)?;
    if digits.len() >= 128 {
        return Err(MemtoullError::Syntax);
    }
    if digits.is_empty() {
        return Ok(0);
    }
    parse_digits(digits)
        .and_then(|v| v.checked_mul(factor))
        .ok_or(MemtoullError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn d2s(v: f64) -> String {
        String::from_utf8(d2string(&mut [0; D2STRING_SIZE], v).to_vec()).unwrap()
    }

    fn g17(v: f64) -> String {
        String::from_utf8(d2string_g17(&mut [0; D2STRING_SIZE], v).to_vec()).unwrap()
    }

    #[test]
    fn numbers_as_c_reads_them() {
        assert_eq!(strtol(b"12\r\n"), (12, 2));
        assert_eq!(strtol(b" -7x"), (-7, 3));
        assert_eq!(strtol(b"+"), (0, 0));
        assert_eq!(strtol(b""), (0, 0));
        assert_eq!(strtol(b"99999999999999999999"), (i64::MAX, 20));
        assert_eq!(strtol(b"-99999999999999999999"), (i64::MIN, 21));
    }

    proptest! {
        #[test]
        fn digits_are_read_together_as_one_by_one(s in "[0-9]{0,10}", at in any::<prop::sample::Index>(), c in any::<u8>()) {
            let fits = (4..=8).contains(&s.len());
            prop_assert_eq!(up_to_eight_digits(s.as_bytes()), s.parse().ok().filter(|_| fits));
            if fits && !c.is_ascii_digit() {
                let mut b = s.into_bytes();
                let i = at.index(b.len());
                b[i] = c;
                prop_assert_eq!(up_to_eight_digits(&b), None);
            }
        }
    }

    #[test]
    fn four_decimals() {
        for (d, want) in [
            (0.0, "0.0000"),
            (0.0001, "0.0001"),
            (6.06429515983917e-05, "0.0001"),
            (0.00005, "0.0000"),
            (0.775, "0.7750"),
            (-0.01, "-0.0100"),
            (166274.15156960033, "166274.1516"),
            (5.0, "5.0000"),
            (f64::NAN, "-922337203685477.5808"),
            (1e300, "-922337203685477.5808"),
        ] {
            let mut out = Vec::new();
            push_fixed4(&mut out, d);
            assert_eq!(std::str::from_utf8(&out), Ok(want), "{d}");
        }
    }

    #[test]
    fn digit_counts() {
        for (v, n) in [
            (0, 1),
            (9, 1),
            (10, 2),
            (99, 2),
            (100, 3),
            (999_999_999_999, 12),
            (1_000_000_000_000, 13),
            (u64::MAX, 20),
        ] {
            assert_eq!(digits10(v), n);
        }
        assert_eq!(sdigits10(i64::MIN), 20);
        assert_eq!(sdigits10(-1), 2);
        assert_eq!(sdigits10(0), 1);
    }

    #[test]
    fn string2ll_is_strict() {
        for bad in [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "01",
            "00",
            "-0",
            "-01",
            "--1",
            "1a",
            "a",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "92233720368547758070",
            "99999999999999999999999999",
            "0x10",
            "1.0",
            "1\0",
            "12:",
            "12/",
        ] {
            assert_eq!(string2ll(bad.as_bytes()), None, "{bad:?}");
        }
        for good in [0, 1, -1, 9, 10, i64::MAX, i64::MIN, 1234567890123456789] {
            assert_eq!(string2ll(good.to_string().as_bytes()), Some(good));
        }
    }

    #[test]
    fn string2ull_takes_what_strtoull_takes() {
        let max = u64::MAX.to_string();
        for (text, want) in [
            ("0", Some(0)),
            ("-1", None),
            ("-0", Some(0)),
            ("-05", Some(5u64.wrapping_neg())),
            ("+7", Some(7)),
            (" 7", Some(7)),
            ("007", Some(7)),
            ("7 ", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("x", None),
            (max.as_str(), Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551616", None),
        ] {
            assert_eq!(string2ull(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn string2d_rules() {
        for bad in [
            "", " 1", "1 ", "nan", "-nan", "NAN(1)", "1e400", "-1e400", "1e-400", "1e", "0x",
            "abc", "1\0", "(1", "--1", "+", ".", "0x1p5000",
        ] {
            assert_eq!(string2d(bad.as_bytes()), None, "{bad:?}");
        }
        for (good, want) in [
            ("inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("+1", 1.0),
            ("1.5e3", 1500.0),
            ("0x1F", 31.0),
            ("4.9e-324", 5e-324),
            ("0e-400", 0.0),
            ("123456789012345", 123456789012345.0),
            ("123456789012345678901", 123456789012345678901.0),
        ] {
            assert_eq!(string2d(good.as_bytes()), Some(want), "{good:?}");
        }
        assert_eq!(string2d_range(b""), Some(0.0));
        assert_eq!(string2d_range(b" 1e999"), Some(f64::INFINITY));
        assert_eq!(string2d_range(b"nan"), None);
        assert_eq!(string2d_range(b"1 "), None);
    }

    #[test]
    fn d2string_texts() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (3.25, "3.25"),
            (0.1, "0.1"),
            (1e17, "100000000000000000"),
            (4611686018427387904.0, "4611686018427387904"),
            (-4611686018427387904.0, "-4611686018427387904"),
            (9223372036854775808.0, "9223372036854776000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000001, "0.000001"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(d2s(v), want);
        }
    }

    #[test]
    fn g17_texts() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123456789.0, "123456789"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1.5e300, "1.5000000000000001e+300"),
            (5e-324, "4.9406564584124654e-324"),
            (-f64::MAX, "-1.7976931348623157e+308"),
            (99999999999999999.0, "1e+17"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(g17(v), want);
        }
    }

    #[test]
    fn fixedpoint_texts() {
        for (v, digits, want) in [
            (0.0, 4, "0.0000"),
            (0.775, 4, "0.7750"),
            (166274.15156960035, 4, "166274.1516"),
            (0.0005, 4, "0.0005"),
            (0.00005, 4, "0.0000"),
            (-1.5, 1, "-1.5"),
            (12.0, 0, "12"),
            (5.0, 4, "5.0000"),
        ] {
            let mut out = Vec::new();
            push_fixedpoint(&mut out, v, digits);
            assert_eq!(out, want.as_bytes());
        }
    }

    #[test]
    fn memory_units() {
        for (text, want) in [
            ("", Ok(0)),
            ("kb", Ok(0)),
            ("100", Ok(100)),
            ("100b", Ok(100)),
            ("1k", Ok(1000)),
            ("1Kb", Ok(1024)),
            ("2m", Ok(2_000_000)),
            ("2MB", Ok(2 << 20)),
            ("3g", Ok(3_000_000_000)),
            ("1gB", Ok(1 << 30)),
            ("-1", Err(MemtoullError::Syntax)),
            ("1t", Err(MemtoullError::Syntax)),
            ("1 k", Err(MemtoullError::Syntax)),
            ("1.5gb", Err(MemtoullError::Syntax)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(MemtoullError::Overflow)),
            ("17179869184gb", Err(MemtoullError::Overflow)),
        ] {
            assert_eq!(memtoull(text.as_bytes()), want, "{text}");
        }
        assert_eq!(
            memtoull("0".repeat(128).as_bytes()),
            Err(MemtoullError::Syntax)
        );
    }

    proptest! {
        #[test]
        fn ll_round_trip(v: i64, shift in 0u32..64) {
            let v = v >> shift;
            let mut buf = [0; LONG_STR_SIZE];
            let text = ll2string(&mut buf, v);
            let want = v.to_string();
            prop_assert_eq!(text, want.as_bytes());
            prop_assert_eq!(string2ll(text), Some(v));
            prop_assert_eq!(text.len() as u32, sdigits10(v));
            let mut out = Vec::new();
            push_ull(&mut out, v as u64);
            prop_assert_eq!(out, (v as u64).to_string().into_bytes());
        }

        #[test]
        fn string2ll_accepts_only_its_own_texts(s in "[-+ 0-9a]{0,22}") {
            let want = s.parse::<i64>().ok().filter(|v| v.to_string() == s);
            prop_assert_eq!(string2ll(s.as_bytes()), want);
        }

        #[test]
        fn short_decimals_are_exact(s in "-?[0-9]{1,9}\\.?[0-9]{0,9}") {
            prop_assert_eq!(string2d(s.as_bytes()), s.parse().ok());
        }

        #[test]
        fn doubles_round_trip(bits: u64) {
            let v = f64::from_bits(bits);
            prop_assume!(v.is_finite());
            prop_assert_eq!(string2d(d2s(v).as_bytes()).map(f64::to_bits), Some(bits));
            prop_assert_eq!(string2d(g17(v).as_bytes()).map(f64::to_bits), Some(bits));
            // Whole numbers around the size from which on they take the long way.
            let whole = (bits as i64 >> 9 >> (bits % 40)) as f64;
            prop_assert_eq!(g17(whole), format!("{whole}"));
        }
    }
}
