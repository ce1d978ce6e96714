//! The LZF format, in which RDB files and quicklist nodes hold compressed strings (liblzf's, bit for bit).
//!
//! ```text
//! 000nnnnn                    n + 1 literal bytes follow (1 to 32)
//! nnnooooo oooooooo           copy n + 2 bytes (3 to 8)    from o + 1 bytes back, o being 13 bits, high bits first
//! 111ooooo nnnnnnnn oooooooo  copy n + 9 bytes (9 to 264)  from o + 1 bytes back
//! ```
//!
//! Invariants: the compressor's output depends on its input alone, never on the past of its workspace, of which there is one a
//! thread; the decompressor checks
//! all of its input before it allocates, and allocates what the input stands for, no more.
//! Must not know: where the lengths are kept (the format has no header and no checksum).

use std::cell::RefCell;

const MAX_LITERALS: usize = 32;
const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 264;
const MAX_DISTANCE: usize = 1 << 13;
const HASH_BITS: u32 = 14;
/// Bytes of output that are made room for at once; more as they come.
const FIRST_ROOM: usize = 4096;

/// The compressor's workspace: 64 KB, made once and used again; it needs no clearing between two calls.
#[derive(Debug)]
struct LzfState {
    /// Where each hash was last seen: `base` plus the position, modulo 2^32.
    slots: Box<[u32]>,
    /// Greater than all that earlier calls have stored, so that their entries lie before the input's start.
    base: u32,
}

impl LzfState {
    /// An empty workspace.
    fn new() -> Self {
        LzfState {
            slots: vec![0; 1 << HASH_BITS].into_boxed_slice(),
            base: 1,
        }
    }

    /// Makes all earlier entries invalid for an input of `len` bytes.
    fn start(&mut self, len: usize) -> u32 {
        let base = self.base;
        match u32::try_from(len).ok().and_then(|l| base.checked_add(l)) {
            Some(next) => {
                self.base = next;
                base
            }
            None => {
                self.slots.fill(0);
                // After an input of 4 GB and more the table holds all sorts of values: let the next call clear it, too.
                self.base = u32::try_from(len).map_or(u32::MAX, |l| l.saturating_add(1));
                1
            }
        }
    }
}

thread_local! {
    static WORKSPACE: RefCell<LzfState> = RefCell::new(LzfState::new());
}

#[inline]
fn hash(three: u32) -> usize {
    // The three bytes on top, times the golden ratio.
    ((three << 8).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

#[inline]
fn three_at(input: &[u8], at: usize) -> u32 {
    match input.get(at..at + 4) {
        Some(four) => u32::from_le_bytes([four[0], four[1], four[2], 0]),
        None => match input.get(at..at + 3) {
            Some(t) => u32::from_le_bytes([t[0], t[1], t[2], 0]),
            None => u32::MAX,
        },
    }
}

/// Appends `literals` in runs of at most 32. `false` when that would pass `limit` bytes of output.
#[inline]
fn put_literals(out: &mut Vec<u8>, literals: &[u8], limit: usize) -> bool {
    let size = literals.len() + literals.len().div_ceil(MAX_LITERALS);
    if limit.saturating_sub(out.len()) < size {
        return false;
    }
    for run in literals.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
    true
}

/// Number of equal bytes at `a` and `b`, `a < b`, at most `MAX_MATCH`.
#[inline]
fn match_len(input: &[u8], a: usize, b: usize) -> usize {
    let limit = (input.len() - b).min(MAX_MATCH);
    let (x, y) = (&input[a..a + limit], &input[b..b + limit]);
    let mut n = 0;
    for (p, q) in x.chunks_exact(8).zip(y.chunks_exact(8)) {
        let p = u64::from_le_bytes([p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]]);
        let q = u64::from_le_bytes([q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7]]);
        if p != q {
            return n + ((p ^ q).trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    while n < limit && x[n] == y[n] {
        n += 1;
    }
    n
}

/// Appends the compressed `input` to `out` and returns its length, or `None` (and `out` as it was) when it is empty or
/// does not fit `max_out` bytes. lzf_c.c.
pub(crate) fn lzf_compress(input: &[u8], out: &mut Vec<u8>, max_out: usize) -> Option<usize> {
    WORKSPACE.with_borrow_mut(|state| lzf_compress_in(state, input, out, max_out))
}

fn lzf_compress_in(
    state: &mut LzfState,
    input: &[u8],
    out: &mut Vec<u8>,
    max_out: usize,
) -> Option<usize> {
    if input.is_empty() {
        return None;
    }
    let start = out.len();
    out.reserve(input.len().min(max_out).min(FIRST_ROOM));
    let limit = start.saturating_add(max_out);
    let fits = compress_into(state, input, out, limit);
    if !fits {
        out.truncate(start);
        return None;
    }
    Some(out.len() - start)
}

fn compress_into(state: &mut LzfState, input: &[u8], out: &mut Vec<u8>, limit: usize) -> bool {
    let base = state.start(input.len());
    let slots = &mut state.slots;
    let mut literals_from = 0;
    let mut at = 0;
    while at + MIN_MATCH <= input.len() {
        let three = three_at(input, at);
        let slot = &mut slots[hash(three)];
        let here = base.wrapping_add(at as u32);
        // An older call's entry is more than `at` bytes back, and a wrapped one fails the comparison of bytes.
        let distance = here.wrapping_sub(*slot) as usize;
        *slot = here;
        if distance == 0
            || distance > MAX_DISTANCE
            || distance > at
            || three_at(input, at - distance) != three
        {
            // Steps grow where nothing has matched for long: incompressible input costs little.
            at += 1 + ((at - literals_from) >> 6);
            continue;
        }
        let len = match_len(input, at - distance, at);
        if !put_literals(out, &input[literals_from..at], limit) {
            return false;
        }
        let offset = distance - 1;
        let high = (offset >> 8) as u8;
        let low = offset as u8;
        let size = if len < 9 { 2 } else { 3 };
        if limit - out.len() < size {
            return false;
        }
        if len < 9 {
            out.extend_from_slice(&[((len - 2) as u8) << 5 | high, low]);
        } else {
            out.extend_from_slice(&[0b1110_0000 | high, (len - 9) as u8, low]);
        }
        let end = at + len;
        // The match's last two positions are where the next one is most likely to come from.
        for p in end - 2..end {
            if p + MIN_MATCH <= input.len() {
                slots[hash(three_at(input, p))] = base.wrapping_add(p as u32);
            }
        }
        at = end;
        literals_from = end;
    }
    put_literals(out, &input[literals_from..], limit)
}

/// Why a compressed text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LzfError {
    /// The input ends inside a run or a reference.
    Truncated,
    /// A reference points before the start of the output.
    BadReference,
    /// The input stands for another number of bytes than expected.
    WrongLength,
}

impl std::fmt::Display for LzfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LzfError::Truncated => "LZF data is truncated",
            LzfError::BadReference => "LZF data refers to bytes before its start",
            LzfError::WrongLength => "LZF data has another length than announced",
        })
    }
}

impl std::error::Error for LzfError {}

/// One step of the format.
enum Step<'a> {
    Literals(&'a [u8]),
    Copy { distance: usize, len: usize },
}

/// Takes the next step off `input`; `None` at the end.
#[inline]
fn next_step<'a>(input: &mut &'a [u8]) -> Result<Option<Step<'a>>, LzfError> {
    let rest: &'a [u8] = input;
    let (step, rest) = match rest {
        [] => return Ok(None),
        [control @ 0..32, rest @ ..] => {
            let len = usize::from(*control) + 1;
            let (run, rest) = rest.split_at_checked(len).ok_or(LzfError::Truncated)?;
            (Step::Literals(run), rest)
        }
        [control @ 32..224, low, rest @ ..] => (
            Step::Copy {
                distance: (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1,
                len: usize::from(control >> 5) + 2,
            },
            rest,
        ),
        [control @ 224..=255, extra, low, rest @ ..] => (
            Step::Copy {
                distance: (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1,
                len: usize::from(*extra) + 9,
            },
            rest,
        ),
        _ => return Err(LzfError::Truncated),
    };
    *input = rest;
    Ok(Some(step))
}

/// The number of bytes that `input` stands for, all of its structure checked.
fn decompressed_len(mut input: &[u8]) -> Result<usize, LzfError> {
    // Cannot overflow: three bytes of input give at most 264.
    let mut len = 0usize;
    while let Some(step) = next_step(&mut input)? {
        len += match step {
            Step::Literals(run) => run.len(),
            Step::Copy { distance, .. } if distance > len => return Err(LzfError::BadReference),
            Step::Copy { len, .. } => len,
        };
    }
    Ok(len)
}

/// Decompresses `input`, which must stand for exactly `out_len` bytes. Nothing is allocated before that is known to be
/// so. lzf_d.c.
pub(crate) fn lzf_decompress(mut input: &[u8], out_len: usize) -> Result<Vec<u8>, LzfError> {
    if decompressed_len(input)? != out_len {
        return Err(LzfError::WrongLength);
    }
    let mut out = vec![0; out_len];
    let mut at = 0;
    while let Some(step) = next_step(&mut input)? {
        at += match step {
            Step::Literals(run) => {
                out.get_mut(at..at + run.len())
                    .ok_or(LzfError::WrongLength)?
                    .copy_from_slice(run);
                run.len()
            }
            Step::Copy { distance, len } => {
                let from = at.checked_sub(distance).ok_or(LzfError::BadReference)?;
                if out_len - at < len {
                    return Err(LzfError::WrongLength);
                }
                copy_back(&mut out, from, at, len);
                len
            }
        };
    }
    Ok(out)
}

/// Copies `len` bytes from `from` to `at`, `from < at`, lowest first, so that an overlap repeats. `at + len` must be within
/// `out`. Bytes behind the copy, which later steps fill, may be overwritten.
#[inline]
fn copy_back(out: &mut [u8], from: usize, at: usize, len: usize) {
    const WIDE: usize = 16;
    let distance = at - from;
    // Whole blocks of a constant size are two moves each; most copies are one block.
    if distance >= WIDE && at + len + WIDE <= out.len() {
        let mut done = 0;
        while done < len {
            out.copy_within(from + done..from + done + WIDE, at + done);
            done += WIDE;
        }
    } else if distance >= len {
        out.copy_within(from..from + len, at);
    } else if distance == 1 {
        let byte = out[from];
        out[at..at + len].fill(byte);
    } else {
        for i in 0..len {
            out[at + i] = out[from + i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compress(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        lzf_compress(input, &mut out, usize::MAX).map(|_| out)
    }

    /// Streams that liblzf made.
    #[test]
    fn golden_streams() {
        let words: &[u8] = b"\x06hello h\xe0\x01\x05\x06, world\x40\x05\x01ld";
        let text = b"hello hello hello, world world";
        assert_eq!(lzf_decompress(words, text.len()).unwrap(), text);
        let a100: &[u8] = &[1, b'a', b'a', 0xe0, 87, 0, 1, b'a', b'a'];
        assert_eq!(lzf_decompress(a100, 100).unwrap(), vec![b'a'; 100]);
        let abc: &[u8] = &[3, b'a', b'b', b'c', b'a', 0xe0, 0, 2, 1, b'b', b'c'];
        assert_eq!(lzf_decompress(abc, 15).unwrap(), b"abcabcabcabcabc");
    }

    #[test]
    fn shapes() {
        assert_eq!(compress(b""), None);
        assert_eq!(compress(b"a").unwrap(), [0, b'a']);
        assert_eq!(compress(&[b'a'; 100]).unwrap().len(), 2 + 3);
        assert_eq!(compress(&[0; 10_000]).unwrap().len(), 2 + 3 * 38);
        let text = b"some words, some words, and some more words".repeat(20);
        assert!(compress(&text).unwrap().len() < text.len() / 8);
    }

    #[test]
    fn limits_are_kept() {
        let input = [b'x'; 500];
        let full = compress(&input).unwrap();
        let mut state = LzfState::new();
        for max in 0..full.len() + 3 {
            let mut out = b"kept".to_vec();
            match lzf_compress_in(&mut state, &input, &mut out, max) {
                Some(n) => {
                    assert!(max >= full.len());
                    assert_eq!(&out[4..], full);
                    assert_eq!(n, full.len());
                }
                None => {
                    assert!(max < full.len());
                    assert_eq!(out, b"kept");
                }
            }
        }
    }

    #[test]
    fn malformed_input_is_refused() {
        use LzfError::*;
        for (input, out_len, error) in [
            (&[5u8, 1, 2][..], 6, Truncated),
            (&[31], 32, Truncated),
            (&[0x20], 3, Truncated),
            (&[0xe0, 0], 9, Truncated),
            (&[0xe0], 9, Truncated),
            (&[0x20, 0], 3, BadReference),
            (&[0, 7, 0x20, 1], 4, BadReference),
            (&[0, 7, 0x3f, 0xff], 4, BadReference),
            (&[0, 7, 0x20, 0], 5, WrongLength),
            (&[0, 7, 0x20, 0], usize::MAX, WrongLength),
            (&[], 1, WrongLength),
        ] {
            assert_eq!(lzf_decompress(input, out_len), Err(error), "{input:?}");
        }
        assert_eq!(lzf_decompress(&[], 0), Ok(vec![]));
        assert_eq!(lzf_decompress(&[0, 7, 0x20, 0], 4), Ok(vec![7; 4]));
    }

    #[test]
    fn the_past_does_not_show() {
        let input = b"abcdefgh".repeat(50);
        let want = compress(&input).unwrap();
        let mut state = LzfState::new();
        let mut out = Vec::new();
        for base in [
            1,
            77,
            u32::MAX - 401,
            u32::MAX - 400,
            u32::MAX - 399,
            u32::MAX,
        ] {
            state.base = base;
            out.clear();
            lzf_compress_in(&mut state, &input, &mut out, usize::MAX).unwrap();
            assert_eq!(out, want, "{base}");
        }
    }

    /// Bytes with repeats, near and far.
    fn repetitive() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..80),
            proptest::collection::vec(0u8..3, 1..300),
            (any::<u8>(), 1usize..700).prop_map(|(b, n)| vec![b; n]),
        ];
        proptest::collection::vec((piece, 1usize..4), 0..12).prop_map(|pieces| {
            let mut all = Vec::new();
            for (piece, times) in &pieces {
                all.extend(piece.repeat(*times));
            }
            for (piece, _) in &pieces {
                all.extend(piece);
            }
            all
        })
    }

    proptest! {
        #[test]
        fn round_trip(inputs in proptest::collection::vec(repetitive(), 1..4)) {
            let mut state = LzfState::new();
            for input in inputs.iter().filter(|i| !i.is_empty()) {
                let mut out = Vec::new();
                let n = lzf_compress_in(&mut state, input, &mut out, usize::MAX).unwrap();
                prop_assert_eq!(n, out.len());
                prop_assert!(n <= input.len() + input.len().div_ceil(32));
                prop_assert_eq!(&lzf_decompress(&out, input.len()).unwrap(), input);
                prop_assert_eq!(Some(out), compress(input));
            }
        }

        #[test]
        fn any_input_is_safe(input in proptest::collection::vec(any::<u8>(), 0..400), out_len in 0usize..20_000) {
            if let Ok(out) = lzf_decompress(&input, out_len) {
                prop_assert_eq!(out.len(), out_len);
            }
            if let Ok(len) = decompressed_len(&input) {
                prop_assert_eq!(lzf_decompress(&input, len).unwrap().len(), len);
            }
        }

        #[test]
        fn cut_streams_are_refused(input in repetitive(), cut in 0usize..1000) {
            prop_assume!(!input.is_empty());
            let packed = compress(&input).unwrap();
            let cut = cut % packed.len();
            prop_assert!(lzf_decompress(&packed[..cut], input.len()).is_err());
        }
    }
}
