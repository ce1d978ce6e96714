//! HyperLogLog in upstream's byte format (the representation half of hyperloglog.c): a string value that counts distinct
//! elements with a standard error of 0.81 %.
//!
//! ```text
//! offset 0   4 bytes  "HYLL"
//!        4   1 byte   encoding: 0 dense, 1 sparse
//!        5   3 bytes  zero
//!        8   8 bytes  the last estimate, little endian; the top bit says that it is out of date
//!       16   dense:   16384 registers of 6 bits, the first one in the low bits of the first byte
//!            sparse:  opcodes that cover the registers in order:
//!                     00llllll             a run of l+1 zeros
//!                     01llllll llllllll    a run of l+1 zeros
//!                     1vvvvvll             a run of l+1 registers of value v+1
//! ```
//!
//! A value starts sparse and turns dense when it would get longer than the caller allows or a register does not fit.
//!
//! The bytes may come from anybody (SETRANGE, RESTORE): a sparse value is trusted nowhere, and what does not cover exactly
//! the registers is [`Corrupt`]. It knows nothing of keys and clients.

use crate::ds::sbuf::SBuf;
use crate::ds::wide::{self, GROUP, Histogram, NO_REGISTERS, PACKED};

/// The bits of an element's hash that choose its register (HLL_P).
const P: u32 = 14;
/// The bits of the hash whose leading zeros are counted (HLL_Q).
const Q: u32 = 64 - P;
/// How many registers there are (HLL_REGISTERS).
pub(crate) const HLL_REGISTERS: usize = 1 << P;
/// The largest value of a register (HLL_REGISTER_MAX).
pub(crate) const HLL_REGISTER_MAX: u8 = 63;
/// Bytes before the registers (HLL_HDR_SIZE).
const HDR_SIZE: usize = 16;
/// Bytes of a dense value (HLL_DENSE_SIZE).
const DENSE_SIZE: usize = HDR_SIZE + HLL_REGISTERS * 6 / 8;
const MAGIC: &[u8; 4] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// The largest register value that an opcode holds (HLL_SPARSE_VAL_MAX_VALUE).
const VAL_MAX_VALUE: u8 = 32;
/// The longest run of a value (HLL_SPARSE_VAL_MAX_LEN).
const VAL_MAX_LEN: usize = 4;
/// The longest run of zeros in a one-byte opcode (HLL_SPARSE_ZERO_MAX_LEN).
const ZERO_MAX_LEN: usize = 64;
/// 0.5 / ln(2) (HLL_ALPHA_INF).
const ALPHA_INF: f64 = 0.721_347_520_444_481_7;
/// The seed of the elements' hash.
const SEED: u64 = 0xadc8_3b19;

/// The bytes are no HyperLogLog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// MurmurHash2, the 64-bit variant for 64-bit machines (MurmurHash64A).
fn murmur_hash64a(key: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let (words, tail) = key.as_chunks::<8>();
    let mut h = seed ^ (key.len() as u64).wrapping_mul(M);
    for w in words {
        let mut k = u64::from_le_bytes(*w).wrapping_mul(M);
        k ^= k >> R;
        h = (h ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        h = (h ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    h ^= h >> R;
    h = h.wrapping_mul(M);
    h ^ (h >> R)
}

/// The register of an element, and the value that the element wants it to have at least (hllPatLen).
fn hll_pat_len(element: &[u8]) -> (usize, u8) {
    let hash = murmur_hash64a(element, SEED);
    let index = hash as usize & (HLL_REGISTERS - 1);
    // The bit above the Q ones ends the run at the latest.
    let run = (hash >> P) | 1 << Q;
    (index, run.trailing_zeros() as u8 + 1)
}

/// One opcode of a sparse value.
#[derive(Clone, Copy)]
struct Op {
    /// The value of the registers it covers.
    value: u8,
    /// How many registers it covers.
    span: usize,
    /// Its bytes.
    size: usize,
}

/// The opcode at the start of `bytes`; `None` when they end in it.
#[inline]
fn op_at(bytes: &[u8]) -> Option<Op> {
    let first = *bytes.first()?;
    let low = usize::from(first & 0x3f);
    let op = |value, span, size| Some(Op { value, span, size });
    if first & 0x80 != 0 {
        op((first >> 2 & 0x1f) + 1, (low & 3) + 1, 1)
    } else if first & 0x40 == 0 {
        op(0, low + 1, 1)
    } else {
        op(0, (low << 8 | usize::from(*bytes.get(1)?)) + 1, 2)
    }
}

/// How many registers an opcode of one byte covers, by that byte; 0 for the first byte of one of two.
const SPANS: [u8; 256] = {
    let mut spans = [0; 256];
    let mut first = 0;
    while first < 256 {
        spans[first] = match first as u8 {
            zeros @ 0..0x40 => zeros + 1,
            0x40..0x80 => 0,
            values => (values & 3) + 1,
        };
        first += 1;
    }
    spans
};

/// The place of the opcode that covers a register, looked for from `from` on, and the place before it if one was passed.
#[inline]
fn seek(bytes: &[u8], from: Place, index: usize) -> Result<(Option<Place>, Place), Corrupt> {
    let (mut before, mut place) = (None, from);
    loop {
        let first = *bytes.get(place.at).ok_or(Corrupt)?;
        let (span, size) = match SPANS[usize::from(first)] {
            0 => {
                let low = *bytes.get(place.at + 1).ok_or(Corrupt)?;
                ((usize::from(first & 0x3f) << 8 | usize::from(low)) + 1, 2)
            }
            n => (usize::from(n), 1),
        };
        let next = Place {
            at: place.at + size,
            first: place.first + span,
        };
        if index < next.first {
            return Ok((before, place));
        }
        before = Some(place);
        place = next;
    }
}

/// Up to five bytes of new opcodes.
#[derive(Default)]
struct Seq {
    bytes: [u8; 5],
    len: usize,
}

impl Seq {
    fn push(&mut self, b: u8) {
        self.bytes[self.len] = b;
        self.len += 1;
    }

    fn zeros(&mut self, span: usize) {
        if span > ZERO_MAX_LEN {
            self.push(0x40 | ((span - 1) >> 8) as u8);
            self.push((span - 1) as u8);
        } else if span > 0 {
            self.push((span - 1) as u8);
        }
    }

    fn values(&mut self, value: u8, span: usize) {
        if span > 0 {
            self.push(val_op(value, span));
        }
    }
}

/// The opcode of a short run of a value.
fn val_op(value: u8, span: usize) -> u8 {
    debug_assert!((1..=VAL_MAX_VALUE).contains(&value) && (1..=VAL_MAX_LEN).contains(&span));
    0x80 | (value - 1) << 2 | (span - 1) as u8
}

/// The runs of a sparse value's opcodes, as (value, registers); ends early with `Corrupt` where the bytes do not cover
/// exactly the registers.
fn sparse_runs(
    opcodes: &[u8],
    mut f: impl FnMut(u8, std::ops::Range<usize>),
) -> Result<(), Corrupt> {
    let (mut at, mut first) = (0, 0);
    while at < opcodes.len() {
        let op = op_at(&opcodes[at..]).ok_or(Corrupt)?;
        if op.span > HLL_REGISTERS - first {
            return Err(Corrupt);
        }
        f(op.value, first..first + op.span);
        at += op.size;
        first += op.span;
    }
    if first == HLL_REGISTERS {
        Ok(())
    } else {
        Err(Corrupt)
    }
}

/// The registers of a dense value, in groups.
fn dense_groups(dense: &[u8]) -> &[[u8; PACKED]] {
    dense[HDR_SIZE..].as_chunks().0
}

/// The two bytes that a dense register lies in (the second one may be missing) and its place in them, in bits.
fn dense_place(index: usize) -> (usize, u32) {
    (HDR_SIZE + index * 6 / 8, (index * 6 % 8) as u32)
}

/// A register of a dense value (HLL_DENSE_GET_REGISTER).
fn dense_get(dense: &[u8], index: usize) -> u8 {
    let (at, shift) = dense_place(index);
    let high = dense.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([dense[at], high]) >> shift) as u8 & HLL_REGISTER_MAX
}

/// Sets a register of a dense value (HLL_DENSE_SET_REGISTER).
fn dense_put(dense: &mut [u8], index: usize, value: u8) {
    let (at, shift) = dense_place(index);
    let high = dense.get(at + 1).copied().unwrap_or(0);
    let mut word = u16::from_le_bytes([dense[at], high]);
    word &= !(u16::from(HLL_REGISTER_MAX) << shift);
    word |= u16::from(value & HLL_REGISTER_MAX) << shift;
    let [low, high] = word.to_le_bytes();
    dense[at] = low;
    if let Some(b) = dense.get_mut(at + 1) {
        *b = high;
    }
}

/// Raises a register of a dense value to `value`; true when it was lower (hllDenseSet).
fn hll_dense_set(dense: &mut [u8], index: usize, value: u8) -> bool {
    let raise = dense_get(dense, index) < value;
    if raise {
        dense_put(dense, index, value);
    }
    raise
}

/// A place in a sparse value: an opcode and the first register it covers.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    first: usize,
}

const START: Place = Place {
    at: HDR_SIZE,
    first: 0,
};

/// Raises a register of a sparse value to `value`; true when it was lower. It turns dense when it would get longer than
/// `max_bytes` (hllSparseSet). `hint` is a place before the register, from an earlier call for a lower one, and becomes one
/// for the next.
fn hll_sparse_set(
    b: &mut SBuf,
    index: usize,
    value: u8,
    max_bytes: usize,
    hint: &mut Place,
) -> Result<bool, Corrupt> {
    if value > VAL_MAX_VALUE {
        hll_sparse_to_dense(b)?;
        return Ok(hll_dense_set(b.as_mut_slice(), index, value));
    }
    let bytes = b.as_slice();
    let (mut prev, mut place) = seek(bytes, *hint, index)?;
    if prev.is_none() && place.at != HDR_SIZE {
        // What stands before the opcode matters and is not known here.
        (prev, place) = seek(bytes, START, index)?;
    }
    let op = op_at(&bytes[place.at..]).ok_or(Corrupt)?;
    *hint = prev.unwrap_or(START);
    if op.value >= value {
        return Ok(false);
    }
    let before = index - place.first;
    let after = op.span - before - 1;
    let mut seq = Seq::default();
    if op.value == 0 {
        seq.zeros(before);
        seq.values(value, 1);
        seq.zeros(after);
    } else {
        seq.values(op.value, before);
        seq.values(value, 1);
        seq.values(op.value, after);
    }
    if seq.len > op.size && b.len() + seq.len - op.size > max_bytes {
        hll_sparse_to_dense(b)?;
        return Ok(hll_dense_set(b.as_mut_slice(), index, value));
    }
    splice(b, place.at, op.size, &seq.bytes[..seq.len]);
    merge_values(b, hint.at);
    hll_invalidate_cache(b);
    Ok(true)
}

/// Puts other bytes in the place of `old` bytes.
fn splice(b: &mut SBuf, at: usize, old: usize, new: &[u8]) {
    let len = b.len();
    if new.len() > old {
        b.resize(len + new.len() - old, false);
    }
    if new.len() != old {
        b.as_mut_slice().copy_within(at + old..len, at + new.len());
    }
    if new.len() < old {
        b.resize(len + new.len() - old, false);
    }
    b.as_mut_slice()[at..at + new.len()].copy_from_slice(new);
}

/// Joins neighbouring runs of one value among the few opcodes from `at` on.
fn merge_values(b: &mut SBuf, mut at: usize) {
    for _ in 0..5 {
        let bytes = b.as_slice();
        let Some(op) = bytes.get(at..).and_then(op_at) else {
            return;
        };
        let next = bytes.get(at + op.size..).and_then(op_at);
        match next {
            Some(next)
                if op.value != 0
                    && next.value == op.value
                    && op.span + next.span <= VAL_MAX_LEN =>
            {
                splice(b, at, 2, &[val_op(op.value, op.span + next.span)]);
            }
            _ => at += op.size,
        }
    }
}

/// Whether the bytes look like a HyperLogLog: a dense one is one then, of a sparse one only the header is checked.
pub(crate) fn is_hll(bytes: &[u8]) -> bool {
    bytes.len() >= HDR_SIZE
        && bytes.starts_with(MAGIC)
        && match bytes[4] {
            DENSE => bytes.len() == DENSE_SIZE,
            SPARSE => true,
            _ => false,
        }
}

/// Whether a HyperLogLog is dense; else it is sparse.
pub(crate) fn hll_is_dense(bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&DENSE)
}

/// An empty HyperLogLog, sparse (createHLLObject).
pub(crate) fn create_hll() -> SBuf {
    let mut seq = Seq::default();
    seq.zeros(HLL_REGISTERS);
    let mut b = SBuf::with_capacity(HDR_SIZE + seq.len);
    b.extend_from_slice(MAGIC);
    b.extend_from_slice(&[SPARSE]);
    b.resize(HDR_SIZE, true);
    b.extend_from_slice(&seq.bytes[..seq.len]);
    b
}

/// Adds an element to a HyperLogLog; true when a register changed (hllAdd). A sparse one gets no longer than `max_bytes`.
pub(crate) fn hll_add(b: &mut SBuf, element: &[u8], max_bytes: usize) -> Result<bool, Corrupt> {
    let (index, value) = hll_pat_len(element);
    if hll_is_dense(b.as_slice()) {
        Ok(hll_dense_set(b.as_mut_slice(), index, value))
    } else {
        hll_sparse_set(b, index, value, max_bytes, &mut START.clone())
    }
}

/// Makes a HyperLogLog dense; true when it was sparse (hllSparseToDense). A corrupt one stays as it is.
pub(crate) fn hll_sparse_to_dense(b: &mut SBuf) -> Result<bool, Corrupt> {
    let bytes = b.as_slice();
    if hll_is_dense(bytes) {
        return Ok(false);
    }
    let mut dense = SBuf::with_capacity(DENSE_SIZE);
    dense.extend_from_slice(bytes.get(..HDR_SIZE).ok_or(Corrupt)?);
    dense.resize(DENSE_SIZE, true);
    let to = dense.as_mut_slice();
    to[4] = DENSE;
    sparse_runs(&bytes[HDR_SIZE..], |value, registers| {
        if value != 0 {
            registers.for_each(|i| dense_put(to, i, value));
        }
    })?;
    *b = dense;
    Ok(true)
}

/// The union of HyperLogLogs: the highest that each register is in any of them.
#[derive(Default)]
pub(crate) struct Union {
    /// All registers, a byte each; none before the first merge.
    registers: Vec<[u8; GROUP]>,
}

impl Union {
    /// Takes a HyperLogLog in (hllMerge). After an error the registers are in no certain state.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        if hll_is_dense(bytes) {
            if self.registers.is_empty() {
                wide::unpack(&mut self.registers, dense_groups(bytes));
            } else {
                wide::raise(&mut self.registers, dense_groups(bytes));
            }
            return Ok(());
        }
        self.registers
            .resize(HLL_REGISTERS / GROUP, Default::default());
        let max = self.registers.as_flattened_mut();
        sparse_runs(bytes.get(HDR_SIZE..).ok_or(Corrupt)?, |value, registers| {
            if value != 0 {
                max[registers].iter_mut().for_each(|m| *m = value.max(*m));
            }
        })
    }

    /// How many distinct elements the union has, about.
    pub(crate) fn count(&self) -> u64 {
        if self.registers.is_empty() {
            return 0;
        }
        estimate(&wide::count_values(&self.registers))
    }

    /// Puts the registers, none of which may be lower than what it holds, into a HyperLogLog; it becomes dense when `dense`,
    /// or when it would get longer than `max_bytes`.
    pub(crate) fn store(&self, b: &mut SBuf, dense: bool, max_bytes: usize) -> Result<(), Corrupt> {
        if dense {
            hll_sparse_to_dense(b)?;
        }
        let mut hint = START;
        for (i, r) in self.registers.as_flattened().iter().enumerate() {
            if hll_is_dense(b.as_slice()) {
                let to = b.as_mut_slice()[HDR_SIZE..].as_chunks_mut().0;
                wide::pack(to, &self.registers);
                break;
            }
            if *r != 0 {
                hll_sparse_set(b, i, *r, max_bytes, &mut hint)?;
            }
        }
        hll_invalidate_cache(b);
        Ok(())
    }
}

/// The estimate that is kept in a HyperLogLog, when it is up to date.
pub(crate) fn hll_cached(bytes: &[u8]) -> Option<u64> {
    let card = u64::from_le_bytes(bytes.get(8..HDR_SIZE)?.try_into().ok()?);
    (card >> 63 == 0).then_some(card)
}

/// Keeps an estimate.
pub(crate) fn hll_set_cached(b: &mut SBuf, card: u64) {
    if let Some(to) = b.as_mut_slice().get_mut(8..HDR_SIZE) {
        to.copy_from_slice(&card.to_le_bytes());
    }
}

/// Says that the estimate is out of date (HLL_INVALIDATE_CACHE).
pub(crate) fn hll_invalidate_cache(b: &mut SBuf) {
    if let Some(top) = b.as_mut_slice().get_mut(HDR_SIZE - 1) {
        *top |= 0x80;
    }
}

/// How many distinct elements were added, about (hllCount).
pub(crate) fn hll_count(bytes: &[u8]) -> Result<u64, Corrupt> {
    if hll_is_dense(bytes) {
        let mut only = Union::default();
        only.merge(bytes)?;
        return Ok(only.count());
    }
    let mut histogram = NO_REGISTERS;
    sparse_runs(bytes.get(HDR_SIZE..).ok_or(Corrupt)?, |value, registers| {
        histogram[usize::from(value)] += registers.len() as u32;
    })?;
    Ok(estimate(&histogram))
}

/// The improved raw estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
/// arXiv:1702.01284, algorithm 6, in upstream's order of operations.
fn estimate(histogram: &Histogram) -> u64 {
    let m = HLL_REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[Q as usize + 1])) / m);
    for count in histogram[1..=Q as usize].iter().rev() {
        z += f64::from(*count);
        z *= 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA_INF * m * m / z).round() as u64
}

/// For `x` from 0 to 1 (hllSigma).
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// For `x` from 0 to 1 (hllTau).
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

/// The registers of a dense value in order (PFDEBUG GETREG).
pub(crate) fn hll_dense_registers(dense: &[u8]) -> impl Iterator<Item = u8> + '_ {
    (0..HLL_REGISTERS).map(|i| dense_get(dense, i))
}

/// The opcodes of a sparse value in words (PFDEBUG DECODE): `z:` and `Z:` for zeros, `v:` for value and length.
pub(crate) fn hll_sparse_decode(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut at = HDR_SIZE;
    while let Some(op) = bytes.get(at..).and_then(op_at) {
        if !out.is_empty() {
            out.push(' ');
        }
        // Writing to a string does not fail.
        let _ = match (op.value, op.size) {
            (0, 1) => write!(out, "z:{}", op.span),
            (0, _) => write!(out, "Z:{}", op.span),
            (value, _) => write!(out, "v:{value},{}", op.span),
        };
        at += op.size;
    }
    out
}

/// Checks the registers and the error of the estimate with random data (the body of PFSELFTEST); the error says what
/// failed. Ten million elements: it takes its time.
pub(crate) fn hll_self_test(
    mut random: impl FnMut() -> u64,
    max_bytes: usize,
) -> Result<(), String> {
    let mut dense = create_hll();
    hll_sparse_to_dense(&mut dense).map_err(|_| "an empty one is corrupt")?;
    for _ in 0..1000 {
        let mut want = [0u8; HLL_REGISTERS];
        for (i, w) in want.iter_mut().enumerate() {
            *w = random() as u8 & HLL_REGISTER_MAX;
            dense_put(dense.as_mut_slice(), i, *w);
        }
        for (i, w) in want.iter().enumerate() {
            let got = dense_get(dense.as_slice(), i);
            if got != *w {
                return Err(format!("Register {i} should be {w} but is {got}"));
            }
        }
    }
    dense.as_mut_slice()[HDR_SIZE..].fill(0);
    let mut other = create_hll();
    let standard_error = 1.04 / (HLL_REGISTERS as f64).sqrt();
    let seed = random();
    let mut checkpoint = 1u64;
    for j in 1..=10_000_000u64 {
        let element = (j ^ seed).to_le_bytes();
        let added = hll_add(&mut dense, &element, max_bytes)
            .and_then(|_| hll_add(&mut other, &element, max_bytes));
        if added.is_err() {
            return Err("an element made it corrupt".into());
        }
        if j != checkpoint {
            continue;
        }
        if j < max_bytes as u64 / 2 && hll_is_dense(other.as_slice()) {
            return Err("sparse encoding not used".into());
        }
        let count = hll_count(dense.as_slice());
        if count != hll_count(other.as_slice()) {
            return Err("dense/sparse disagree".into());
        }
        // Among ten elements a collision is a large error, and likely enough.
        let most = match j {
            10 => 1,
            _ => (standard_error * 6.0 * j as f64).ceil() as u64,
        };
        let error = count.map_or(u64::MAX, |n| n.abs_diff(j));
        if error > most {
            return Err(format!("Too big error. card:{j} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Prng;
    use proptest::prelude::*;

    #[test]
    fn hashes_as_murmur_hash_64a() {
        // Of the published implementation.
        for (key, seed, want) in [(&b""[..], 0u64, 0u64), (b"hello", 0, 0x1e68_d17c_457b_f117)] {
            assert_eq!(murmur_hash64a(key, seed), want);
        }
    }

    fn union_of(b: &SBuf) -> Union {
        let mut union = Union::default();
        union.merge(b.as_slice()).expect("valid");
        union
    }

    fn registers_of(b: &SBuf) -> Vec<u8> {
        union_of(b).registers.into_flattened()
    }

    #[test]
    fn estimates_are_near() {
        let mut rng = Prng::new(2);
        let mut b = create_hll();
        assert_eq!(hll_count(b.as_slice()), Ok(0));
        for n in 1..=crate::ds::effort::of(200_000u64, 2) {
            hll_add(&mut b, &rng.next_u64().to_le_bytes(), 3000).expect("valid");
            if n.is_power_of_two() {
                let got = hll_count(b.as_slice()).expect("valid") as f64;
                assert!(
                    (got - n as f64).abs() <= (n as f64 * 0.04).max(1.0),
                    "{n}: {got}"
                );
                assert_eq!(union_of(&b).count() as f64, got);
            }
        }
        assert!(cfg!(miri) || hll_is_dense(b.as_slice()));
    }

    #[test]
    fn the_cache_tells_when_it_is_out_of_date() {
        let mut b = create_hll();
        assert_eq!(hll_cached(b.as_slice()), Some(0));
        hll_add(&mut b, b"a", 3000).expect("valid");
        assert_eq!(hll_cached(b.as_slice()), None);
        hll_set_cached(&mut b, 1);
        assert_eq!(hll_cached(b.as_slice()), Some(1));
        assert_eq!(hll_add(&mut b, b"a", 3000), Ok(false));
        assert_eq!(hll_cached(b.as_slice()), Some(1));
    }

    #[test]
    fn what_covers_too_little_or_too_much_is_corrupt() {
        let good = create_hll();
        for (tail, cut) in [
            (&b"\x00"[..], 0),
            (b"\x80", 0),
            (b"", 1),
            (b"", 2),
            (b"\x7f\xff", 0),
        ] {
            let mut b = good.clone();
            b.resize(b.len() - cut, true);
            b.extend_from_slice(tail);
            let bytes = b.as_slice().to_vec();
            assert!(is_hll(&bytes));
            assert_eq!(hll_count(&bytes), Err(Corrupt));
            assert_eq!(Union::default().merge(&bytes), Err(Corrupt));
            assert_eq!(hll_sparse_to_dense(&mut b), Err(Corrupt));
            assert_eq!(b.as_slice(), bytes);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten million elements, and the others go the same ways")]
    fn the_self_test_passes() {
        let mut rng = Prng::new(3);
        assert_eq!(hll_self_test(|| rng.next_u64(), 3000), Ok(()));
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::with_cases(64), 1))]

        #[test]
        #[cfg_attr(miri, ignore = "all registers many times over, and the others go the same ways")]
        fn sparse_and_dense_are_as_the_model(
            sets in proptest::collection::vec((0..HLL_REGISTERS, 1..40u8), 0..crate::ds::effort::of(700, 30)),
            max_bytes in 20..4000usize,
        ) {
            let mut model = vec![0; HLL_REGISTERS];
            let mut sparse = create_hll();
            let mut dense = create_hll();
            hll_sparse_to_dense(&mut dense).expect("valid");
            for (i, value) in sets {
                // Few registers and few values, so that runs meet.
                let (i, value) = (i % 300 * (1 + i % 2 * 50), 1 + value / (1 + i as u8 % 8));
                let raised = value > model[i];
                model[i] = value.max(model[i]);
                let mut hint = START;
                let got = if hll_is_dense(sparse.as_slice()) {
                    Ok(hll_dense_set(sparse.as_mut_slice(), i, value))
                } else {
                    hll_sparse_set(&mut sparse, i, value, max_bytes, &mut hint)
                };
                prop_assert_eq!(got, Ok(raised));
                prop_assert_eq!(hll_dense_set(dense.as_mut_slice(), i, value), raised);
                let is_dense = hll_is_dense(sparse.as_slice());
                prop_assert!(is_dense || sparse.len() <= max_bytes.max(HDR_SIZE + 2));
            }
            prop_assert_eq!(&registers_of(&sparse), &model);
            prop_assert_eq!(&registers_of(&dense), &model);
            prop_assert_eq!(hll_count(sparse.as_slice()), hll_count(dense.as_slice()));
            // Stored in one go, with the hint, it is as if each register had been set by itself.
            let mut stored = create_hll();
            let union = Union { registers: model.as_chunks().0.to_vec() };
            union.store(&mut stored, false, max_bytes).expect("valid");
            let mut single = create_hll();
            for (i, r) in model.iter().enumerate().filter(|(_, r)| **r != 0) {
                if hll_is_dense(single.as_slice()) {
                    hll_dense_set(single.as_mut_slice(), i, *r);
                } else {
                    hll_sparse_set(&mut single, i, *r, max_bytes, &mut START.clone()).expect("valid");
                }
            }
            hll_invalidate_cache(&mut single);
            prop_assert_eq!(stored.as_slice(), single.as_slice());
            // In whatever order the encodings meet, and into whichever they are put.
            for pair in [[&sparse, &dense], [&dense, &sparse], [&dense, &dense]] {
                let mut union = Union::default();
                for b in pair {
                    union.merge(b.as_slice()).expect("valid");
                }
                prop_assert_eq!(Ok(union.count()), hll_count(dense.as_slice()));
                let mut stored = create_hll();
                union.store(&mut stored, true, max_bytes).expect("valid");
                prop_assert_eq!(&stored.as_slice()[HDR_SIZE..], &dense.as_slice()[HDR_SIZE..]);
            }
        }

        #[test]
        fn no_bytes_are_fatal(
            tail in proptest::collection::vec(any::<u8>(), 0..600),
            elements in proptest::collection::vec(any::<u32>(), 0..50),
        ) {
            let mut b = create_hll();
            b.resize(HDR_SIZE, true);
            b.extend_from_slice(&tail);
            let _ = hll_count(b.as_slice());
            let _ = hll_sparse_decode(b.as_slice());
            let _ = Union::default().merge(b.as_slice());
            for e in elements {
                let _ = hll_add(&mut b, &e.to_le_bytes(), 3000);
            }
            let _ = hll_sparse_to_dense(&mut b);
            let _ = hll_count(b.as_slice());
        }
    }
}
