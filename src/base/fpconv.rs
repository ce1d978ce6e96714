//! Doubles to text with Grisu2, as `redis-server` 7.2 sends them.
//!
//! Grisu2 (F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", PLDI 2010) always prints
//! digits that read back as the same double, but in about one case of a thousand neither the shortest nor the closest
//! such digits. Replies must agree with upstream's byte by byte, so this is the same algorithm with the same table step and
//! the same rounding, not a better one: Rust's own formatter differs.
//!
//! Invariants: at most 17 digits; the text never exceeds `FPCONV_SIZE`; no allocation.
//! Must not know: which doubles are written as integers (`num::d2string` decides that).

/// Room for the longest text: a sign, 17 digits and 7 zeros.
pub(crate) const FPCONV_SIZE: usize = 25;

/// Decimal exponent of `POWERS[0]`, and the step from one entry to the next.
const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

/// The product's binary exponent must fall into this range, so that its integer part fits 32 bits (the paper's alpha and
/// gamma).
const MIN_EXP: i32 = -60;
const MAX_EXP: i32 = -32;

/// `10^(FIRST_POWER + i * POWER_STEP)` rounded to the nearest 64-bit mantissa whose top bit is set. The binary exponents
/// follow from the decimal ones: see `power_exponent`.
#[rustfmt::skip]
const POWERS: [u64; 87] = [
    0xfa8f_d5a0_081c_0288, 0xbaae_e17f_a23e_bf76, 0x8b16_fb20_3055_ac76, 0xcf42_894a_5dce_35ea,
    0x9a6b_b0aa_5565_3b2d, 0xe61a_cf03_3d1a_45df, 0xab70_fe17_c79a_c6ca, 0xff77_b1fc_bebc_dc4f,
    0xbe56_91ef_416b_d60c, 0x8dd0_1fad_907f_fc3c, 0xd351_5c28_3155_9a83, 0x9d71_ac8f_ada6_c9b5,
    0xea9c_2277_23ee_8bcb, 0xaecc_4991_4078_536d, 0x823c_1279_5db6_ce57, 0xc210_9436_4dfb_5637,
    0x9096_ea6f_3848_984f, 0xd774_85cb_2582_3ac7, 0xa086_cfcd_97bf_97f4, 0xef34_0a98_172a_ace5,
    0xb238_67fb_2a35_b28e, 0x84c8_d4df_d2c6_3f3b, 0xc5dd_4427_1ad3_cdba, 0x936b_9fce_bb25_c996,
    0xdbac_6c24_7d62_a584, 0xa3ab_6658_0d5f_daf6, 0xf3e2_f893_dec3_f126, 0xb5b5_ada8_aaff_80b8,
    0x8762_5f05_6c7c_4a8b, 0xc9bc_ff60_34c1_3053, 0x964e_858c_91ba_2655, 0xdff9_7724_7029_7ebd,
    0xa6df_bd9f_b8e5_b88f, 0xf8a9_5fcf_8874_7d94, 0xb944_7093_8fa8_9bcf, 0x8a08_f0f8_bf0f_156b,
    0xcdb0_2555_6531_31b6, 0x993f_e2c6_d07b_7fac, 0xe45c_10c4_2a2b_3b06, 0xaa24_2499_6973_92d3,
    0xfd87_b5f2_8300_ca0e, 0xbce5_0864_9211_1aeb, 0x8cbc_cc09_6f50_88cc, 0xd1b7_1758_e219_652c,
    0x9c40_0000_0000_0000, 0xe8d4_a510_0000_0000, 0xad78_ebc5_ac62_0000, 0x813f_3978_f894_0984,
    0xc097_ce7b_c907_15b3, 0x8f7e_32ce_7bea_5c70, 0xd5d2_38a4_abe9_8068, 0x9f4f_2726_179a_2245,
    0xed63_a231_d4c4_fb27, 0xb0de_6538_8cc8_ada8, 0x83c7_088e_1aab_65db, 0xc45d_1df9_4271_1d9a,
    0x924d_692c_a61b_e758, 0xda01_ee64_1a70_8dea, 0xa26d_a399_9aef_774a, 0xf209_787b_b47d_6b85,
    0xb454_e4a1_79dd_1877, 0x865b_8692_5b9b_c5c2, 0xc835_53c5_c896_5d3d, 0x952a_b45c_fa97_a0b3,
    0xde46_9fbd_99a0_5fe3, 0xa59b_c234_db39_8c25, 0xf6c6_9a72_a398_9f5c, 0xb7dc_bf53_54e9_bece,
    0x88fc_f317_f222_41e2, 0xcc20_ce9b_d35c_78a5, 0x9816_5af3_7b21_53df, 0xe2a0_b5dc_971f_303a,
    0xa8d9_d153_5ce3_b396, 0xfb9b_7cd9_a4a7_443c, 0xbb76_4c4c_a7a4_4410, 0x8bab_8eef_b640_9c1a,
    0xd01f_ef10_a657_842c, 0x9b10_a4e5_e991_3129, 0xe710_9bfb_a19c_0c9d, 0xac28_20d9_623b_f429,
    0x8044_4b5e_7aa7_cf85, 0xbf21_e440_03ac_dd2d, 0x8e67_9c2f_5e44_ff8f, 0xd433_179d_9c8c_b841,
    0x9e19_db92_b4e3_1ba9, 0xeb96_bf6e_badf_77d9, 0xaf87_023b_9bf0_ee6b,
];

/// Binary exponent `e` such that `10^k = m * 2^e` with `2^63 <= m < 2^64`: `floor(k * log2(10)) - 63`.
const fn power_exponent(k: i32) -> i32 {
    ((k * 217_706) >> 16) - 63
}

/// A number `frac * 2^exp` without a sign ("do-it-yourself floating point" in the paper).
#[derive(Clone, Copy)]
struct DiyFp {
    frac: u64,
    exp: i32,
}

impl DiyFp {
    /// The same value with the top bit set. `frac` must not be 0.
    fn normalized(self) -> DiyFp {
        let shift = self.frac.leading_zeros();
        DiyFp {
            frac: self.frac << shift,
            exp: self.exp - shift as i32,
        }
    }

    /// The product, rounded to 64 bits half up.
    fn times(self, other: DiyFp) -> DiyFp {
        let product = u128::from(self.frac) * u128::from(other.frac) + (1 << 63);
        DiyFp {
            frac: (product >> 64) as u64,
            exp: self.exp + other.exp + 64,
        }
    }
}

/// The cached power of ten to multiply a number of binary exponent `exp` with, and its decimal exponent.
fn cached_power(exp: i32) -> (DiyFp, i32) {
    // Two neighbours can both fit: the estimate decides between them, so it must be upstream's.
    let estimate = (f64::from(-(exp + POWERS.len() as i32)) * std::f64::consts::LOG10_2) as i32;
    let mut index = (estimate - FIRST_POWER) / POWER_STEP;
    loop {
        let k = FIRST_POWER + index * POWER_STEP;
        let power_exp = power_exponent(k);
        let result = exp + power_exp + 64;
        if result < MIN_EXP {
            index += 1;
        } else if result > MAX_EXP {
            index -= 1;
        } else {
            let frac = POWERS[index as usize];
            return (
                DiyFp {
                    frac,
                    exp: power_exp,
                },
                k,
            );
        }
    }
}

/// Digits of a positive finite double, and the power of ten of the last one.
struct Digits {
    buf: [u8; 18],
    len: usize,
    exp10: i32,
}

impl Digits {
    /// Leading zeros are not digits.
    fn push(&mut self, digit: u64) {
        if digit != 0 || self.len != 0 {
            self.buf[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// Moves the last digit down as long as that brings the text, now `rest` below the upper bound, closer to the
    /// value, which lies `distance` below it, and keeps it within `delta`. `ten_kappa` is the weight of that digit.
    fn round_weed(&mut self, delta: u64, mut rest: u64, ten_kappa: u64, distance: u64) {
        while rest < distance
            && delta - rest >= ten_kappa
            && (rest + ten_kappa < distance || distance - rest > rest + ten_kappa - distance)
        {
            self.buf[self.len - 1] -= 1;
            rest += ten_kappa;
        }
    }
}

fn grisu2(value: f64) -> Digits {
    const HIDDEN_BIT: u64 = 1 << 52;
    let bits = value.to_bits();
    let field = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & (HIDDEN_BIT - 1);
    let w = if field == 0 {
        DiyFp {
            frac: fraction,
            exp: -1074,
        }
    } else {
        DiyFp {
            frac: fraction | HIDDEN_BIT,
            exp: field - 1075,
        }
    };
    // Half way to either neighbour; the lower one is nearer when the value is a power of two.
    let upper = DiyFp {
        frac: (w.frac << 1) + 1,
        exp: w.exp - 1,
    }
    .normalized();
    let shift = if w.frac == HIDDEN_BIT { 2 } else { 1 };
    let lower = DiyFp {
        frac: ((w.frac << shift) - 1) << (w.exp - shift - upper.exp),
        exp: upper.exp,
    };

    let (power, k) = cached_power(upper.exp);
    let w = w.normalized().times(power);
    // One unit on either side: the product is off by less than that.
    let upper = upper.times(power).frac - 1;
    let lower = lower.times(power).frac + 1;
    generate_digits(w, upper, lower, -k)
}

fn generate_digits(w: DiyFp, upper: u64, lower: u64, exp10: i32) -> Digits {
    let mut digits = Digits {
        buf: [0; 18],
        len: 0,
        exp10,
    };
    let distance = upper - w.frac;
    let mut delta = upper - lower;
    let shift = -w.exp;
    let one = 1u64 << shift;
    // At most 32 bits, since `shift` is at least 32; and not 0, since it is at most 60.
    let mut int = (upper >> shift) as u32;
    let mut frac = upper & (one - 1);

    // All of `upper` is more than `delta`, so nothing is lost by starting at the first digit that is not 0.
    let int_digits = int.checked_ilog10().unwrap_or(0);
    let mut weight = 10u32.pow(int_digits);
    for kappa in (0..=int_digits as i32).rev() {
        digits.push(u64::from(int / weight));
        int %= weight;
        let rest = (u64::from(int) << shift) + frac;
        if rest <= delta {
            digits.exp10 += kappa;
            digits.round_weed(delta, rest, u64::from(weight) << shift, distance);
            return digits;
        }
        weight /= 10;
    }
    let mut unit = 1u64;
    loop {
        frac *= 10;
        delta *= 10;
        unit *= 10;
        digits.exp10 -= 1;
        digits.push(frac >> shift);
        frac &= one - 1;
        if frac < delta {
            // Only the low 64 bits count upstream, too.
            digits.round_weed(delta, frac, one, distance.wrapping_mul(unit));
            return digits;
        }
    }
}

/// Writes `value`'s text to the start of `out` and returns its length. Plain notation is for integers with fewer than
/// eight zeros behind their digits, for at most six decimals, and for magnitudes from 0.001 up to 10000; all else is
/// `d.ddde[+-]x`. Zero is `0` or `-0`; a NaN or an infinity is `nan`, `inf`, with its sign. deps/fpconv.
pub(crate) fn fpconv_dtoa(value: f64, out: &mut [u8; FPCONV_SIZE]) -> usize {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        // Nothing is ever cut; the bound keeps a mistake from becoming a panic.
        let n = bytes.len().min(FPCONV_SIZE - at);
        out[at..at + n].copy_from_slice(&bytes[..n]);
        at += n;
    };
    if value.is_sign_negative() {
        put(b"-");
    }
    if value == 0.0 {
        put(b"0");
        return at;
    }
    if !value.is_finite() {
        put(if value.is_nan() { b"nan" } else { b"inf" });
        return at;
    }
    const ZEROS: &[u8; 24] = &[b'0'; 24];
    let Digits { buf, len, exp10 } = grisu2(value.abs());
    let digits = &buf[..len];
    let n = len as i32;
    let exp = exp10 + n - 1;
    if exp10 >= 0 && exp < n + 7 {
        put(digits);
        put(&ZEROS[..exp10 as usize]);
    } else if exp10 < 0 && (exp10 > -7 || exp.abs() < 4) {
        let int_len = n + exp10;
        if int_len <= 0 {
            put(b"0.");
            put(&ZEROS[..int_len.unsigned_abs() as usize]);
            put(digits);
        } else {
            put(&digits[..int_len as usize]);
            put(b".");
            put(&digits[int_len as usize..]);
        }
    } else {
        put(&digits[..1]);
        if len > 1 {
            put(b".");
            put(&digits[1..]);
        }
        put(if exp < 0 { b"e-" } else { b"e+" });
        let e = exp.unsigned_abs();
        let text = [(e / 100) as u8, (e / 10 % 10) as u8, (e % 10) as u8].map(|d| b'0' + d);
        put(match e {
            0..10 => &text[2..],
            10..100 => &text[1..],
            _ => &text,
        });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::long_double::test_support::power_of_ten;

    fn text(v: f64) -> String {
        let mut out = [0; FPCONV_SIZE];
        let len = fpconv_dtoa(v, &mut out);
        String::from_utf8(out[..len].to_vec()).unwrap()
    }

    /// The table is exact arithmetic's, not somebody's.
    #[test]
    fn powers_are_correctly_rounded() {
        for (i, frac) in POWERS.iter().enumerate() {
            let k = FIRST_POWER + i as i32 * POWER_STEP;
            assert_eq!(power_of_ten(k), (*frac, power_exponent(k)), "10^{k}");
        }
    }

    #[test]
    fn golden() {
        for (v, want) in [
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (123456.789, "123456.789"),
            (1e-6, "0.000001"),
            (1.5e-6, "1.5e-6"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (0.00012345678901234567, "1.2345678901234567e-4"),
            (0.0012345678901234567, "0.0012345678901234567"),
            (1e20, "1e+20"),
            (-12e18, "-1.2e+19"),
            (123456789012e8, "12345678901199999000"),
            (1.2345e22, "1.2345e+22"),
            (5e-324, "5e-324"),
            (2.2250738585072014e-308, "2.2250738585072014e-308"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0"),
        ] {
            assert_eq!(text(v), want);
        }
    }

    /// Doubles whose Grisu2 digits are not what a better algorithm gives; texts as redis-server 7.2 sends them.
    #[test]
    fn where_grisu2_is_not_the_best() {
        for (bits, want) in [
            (0x4482cddb8ead6fa0, "11100000000000001000000"),
            (0x414dec5d08ad965c, "3.9221060677974653e+6"),
            (0x44abf3bbfd9a06ca, "65999999999999996000000"),
            (0x40e5160663bc0946, "4.3184199674623596e+4"),
            (0x431c673449293f05, "1998693402824641.3"),
            (0xb89b481d2f4ad38d, "-5.1311165974225907e-36"),
            (0x3e60000000000000, "2.9802322387695313e-8"),
        ] {
            assert_eq!(text(f64::from_bits(bits)), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_back(bits: u64) {
            let v = f64::from_bits(bits);
            proptest::prop_assume!(v.is_finite());
            let t = text(v);
            proptest::prop_assert_eq!(t.parse::<f64>().unwrap().to_bits(), bits, "{}", t);
        }

        #[test]
        fn reads_back_common(mantissa in -10_000_000i64..10_000_000, scale in 0i32..12) {
            let v = mantissa as f64 / 10f64.powi(scale);
            proptest::prop_assert_eq!(text(v).parse::<f64>().unwrap(), v);
        }
    }
}
