//! The bit commands (bitops.c): SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. BITFIELD has a file of its own, [`bitfield`].
//!
//! Bit 0 is the most significant bit of the first byte. A string counts as followed by zero bits without end where a
//! command reads beyond it; nothing is extended before it is written to.

mod bitfield;

use std::ops::RangeInclusive;

use crate::base::num::{LONG_STR_SIZE, string2ll};
use crate::ds::sbuf::SBuf;
use crate::ds::wide;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::server::keyspace::notify::NOTIFY_STRING;
use crate::store::entry::NewValue;

use super::string::string_bytes;

pub(crate) use bitfield::{bitfield_command, bitfieldro_command};

/// Bytes of a result that BITOP works on at a time, so that they stay in the cache while the sources pass.
const BITOP_BLOCK: usize = 16 * 1024;

/// Where the first bit that is `bit` lies, counted from the first byte (redisBitpos, without its conventions for "none").
fn redis_bitpos(s: &[u8], bit: bool) -> Option<u64> {
    let skip = if bit { 0 } else { u8::MAX };
    let i = wide::position_of_other(s, skip)?;
    Some(i as u64 * 8 + u64::from((s[i] ^ skip).leading_zeros()))
}

/// The bits of `byte` whose position in it (0 is the most significant) lies in `bits`.
fn bits_of_byte(bits: RangeInclusive<u64>) -> u8 {
    (0xff >> bits.start()) & (0xff_u8 << (7 - bits.end()))
}

/// How many bits are set among the bits of a range, which lies inside of `s`.
fn count_range(s: &[u8], bits: RangeInclusive<u64>) -> u64 {
    let (start, end) = (*bits.start(), *bits.end());
    let (first, last) = ((start / 8) as usize, (end / 8) as usize);
    let mut n = wide::popcount(&s[first..=last]);
    if start % 8 != 0 {
        n -= u64::from((s[first] & bits_of_byte(0..=start % 8 - 1)).count_ones());
    }
    if end % 8 != 7 {
        n -= u64::from((s[last] & bits_of_byte(end % 8 + 1..=7)).count_ones());
    }
    n
}

/// The first bit that is `bit` among the bits of a range, which lies inside of `s`.
fn find_in_range(s: &[u8], bits: RangeInclusive<u64>, bit: bool) -> Option<u64> {
    let (start, end) = (*bits.start(), *bits.end());
    let (mut first, last) = ((start / 8) as usize, (end / 8) as usize);
    if start % 8 != 0 {
        let b = if bit { s[first] } else { !s[first] };
        let b = b & bits_of_byte(start % 8..=7);
        if b != 0 {
            let at = first as u64 * 8 + u64::from(b.leading_zeros());
            return (at <= end).then_some(at);
        }
        first += 1;
    }
    let at = first as u64 * 8 + redis_bitpos(s.get(first..=last)?, bit)?;
    (at <= end).then_some(at)
}

/// The bits from `start` to `end` of a string of `len` bytes: numbers of bytes or of bits, counted from the end when
/// negative. `None` when the range is empty.
fn bit_range(len: usize, start: i64, end: i64, in_bits: bool) -> Option<RangeInclusive<u64>> {
    let total = i64::try_from(len).ok()?;
    let total = if in_bits {
        total.checked_mul(8)?
    } else {
        total
    };
    let from_end = |i: i64| if i < 0 { (total + i).max(0) } else { i };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end {
        return None;
    }
    let (start, end) = (start as u64, end as u64);
    Some(if in_bits {
        start..=end
    } else {
        start * 8..=end * 8 + 7
    })
}

impl Server {
    /// A bit offset, or an error to the client. With `bits` above 0 the form `#n` is allowed, which counts in steps of
    /// `bits` (getBitOffsetFromArgument).
    fn get_bit_offset_from_argument(
        &mut self,
        cid: ClientId,
        arg: &[u8],
        bits: u32,
    ) -> Option<u64> {
        let n = match arg {
            [b'#', n @ ..] if bits > 0 => string2ll(n).and_then(|n| n.checked_mul(i64::from(bits))),
            n => string2ll(n),
        };
        let offset = n.and_then(|n| u64::try_from(n).ok());
        if let Some(at) = offset {
            let limit = self.config.proto_max_bulk_len.max(0) as u64;
            if at / 8 < limit || self.is_master_client(cid) {
                return offset;
            }
        }
        self.add_reply_error(cid, "bit offset is not an integer or out of range");
        None
    }

    /// Lets `f` change the string at a key, made or grown with zero bytes so that `maxbit` is in it; `f` is told whether
    /// that changed the string. `None` when the key holds no string, which the client has then been told
    /// (lookupStringForBitCommand).
    fn with_string_for_bit_command<R>(
        &mut self,
        cid: ClientId,
        db: usize,
        key: &[u8],
        maxbit: u64,
        f: impl FnOnce(&mut [u8], bool) -> R,
    ) -> Option<R> {
        let len = usize::try_from(maxbit / 8).ok()?.checked_add(1)?;
        let hash = self.dbs[db].keys.hash(key);
        match self.lookup_key_hashed(db, hash, key, Lookup::WRITE) {
            Some(at) => {
                if !self.check_type_string(cid, at) {
                    return None;
                }
                Some(self.dbs[at.db].keys.update_raw(at.slot, |b| {
                    let grown = b.len() < len;
                    if grown {
                        b.resize(len, false);
                    }
                    f(b.as_mut_slice(), grown)
                }))
            }
            None => {
                let mut b = SBuf::with_capacity(len);
                b.resize(len, true);
                let r = f(b.as_mut_slice(), true);
                self.db_add_hashed(db, hash, key, NewValue::Buf(b), None);
                Some(r)
            }
        }
    }
}

/// SETBIT key offset value.
pub(crate) fn setbit_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(offset) = server.get_bit_offset_from_argument(cid, &args[2], 0) else {
        return;
    };
    let on = match &args[3] {
        b"0" => false,
        b"1" => true,
        _ => return server.add_reply_error(cid, "bit is not an integer or out of range"),
    };
    let db = server.client_db(cid);
    let key = &args[1];
    let set = |s: &mut [u8], grown: bool| {
        let mask = 0x80 >> (offset % 8);
        let byte = &mut s[(offset / 8) as usize];
        let was = *byte & mask != 0;
        if on {
            *byte |= mask;
        } else {
            *byte &= !mask;
        }
        (was, grown || was != on)
    };
    let Some((was, changed)) = server.with_string_for_bit_command(cid, db, key, offset, set) else {
        return;
    };
    if changed {
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_STRING, "setbit", key, db);
        server.dirty += 1;
    }
    server.add_reply_long_long(cid, i64::from(was));
}

/// GETBIT key offset.
pub(crate) fn getbit_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(offset) = server.get_bit_offset_from_argument(cid, &args[2], 0) else {
        return;
    };
    let db = server.client_db(cid);
    let Some(at) = server.lookup_key(db, &args[1], Lookup::READ) else {
        return server.add_reply_long_long(cid, 0);
    };
    if !server.check_type_string(cid, at) {
        return;
    }
    let mut text = [0; LONG_STR_SIZE];
    let s = string_bytes(at.entry(&server.dbs), &mut text);
    let byte = usize::try_from(offset / 8).ok().and_then(|i| s.get(i));
    let on = byte.is_some_and(|b| b & (0x80 >> (offset % 8)) != 0);
    server.add_reply_long_long(cid, i64::from(on));
}

/// The unit that BITCOUNT and BITPOS take as their last argument: true for BIT.
fn unit_is_bit(args: &Args, i: usize) -> Option<bool> {
    if args.is(i, "bit") {
        Some(true)
    } else if args.is(i, "byte") {
        Some(false)
    } else {
        None
    }
}

/// `BITCOUNT key [start end [BYTE|BIT]]`. A missing key is 0, whatever else is said.
pub(crate) fn bitcount_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let Some(at) = server.lookup_key(db, &args[1], Lookup::READ) else {
        return server.add_reply_long_long(cid, 0);
    };
    if !server.check_type_string(cid, at) {
        return;
    }
    let (mut start, mut end, mut in_bits) = (0, -1, false);
    match args.len() {
        2 => {}
        4 | 5 => {
            let Some(s) = server.get_long_long_or_reply(cid, args, 2) else {
                return;
            };
            let Some(e) = server.get_long_long_or_reply(cid, args, 3) else {
                return;
            };
            (start, end) = (s, e);
            if start < 0 && end < 0 && start > end {
                return server.add_reply_long_long(cid, 0);
            }
            if args.len() == 5 {
                match unit_is_bit(args, 4) {
                    Some(b) => in_bits = b,
                    None => return server.add_reply_syntax_error(cid),
                }
            }
        }
        _ => return server.add_reply_syntax_error(cid),
    }
    let mut text = [0; LONG_STR_SIZE];
    let s = string_bytes(at.entry(&server.dbs), &mut text);
    let n = bit_range(s.len(), start, end, in_bits).map_or(0, |r| count_range(s, r));
    server.add_reply_long_long(cid, n as i64);
}

/// `BITPOS key bit [start [end [BYTE|BIT]]]`. Without an end, the string is followed by zeros.
pub(crate) fn bitpos_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(bit) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let bit = match bit {
        0 => false,
        1 => true,
        _ => return server.add_reply_error(cid, "The bit argument must be 1 or 0."),
    };
    let db = server.client_db(cid);
    let Some(at) = server.lookup_key(db, &args[1], Lookup::READ) else {
        return server.add_reply_long_long(cid, if bit { -1 } else { 0 });
    };
    if !server.check_type_string(cid, at) {
        return;
    }
    if args.len() > 6 {
        return server.add_reply_syntax_error(cid);
    }
    let (mut start, mut end, mut in_bits) = (0, -1, false);
    if args.len() > 3 {
        let Some(n) = server.get_long_long_or_reply(cid, args, 3) else {
            return;
        };
        start = n;
    }
    if args.len() == 6 {
        match unit_is_bit(args, 5) {
            Some(b) => in_bits = b,
            None => return server.add_reply_syntax_error(cid),
        }
    }
    let end_given = args.len() > 4;
    if end_given {
        let Some(n) = server.get_long_long_or_reply(cid, args, 4) else {
            return;
        };
        end = n;
    }
    let mut text = [0; LONG_STR_SIZE];
    let s = string_bytes(at.entry(&server.dbs), &mut text);
    let at = match bit_range(s.len(), start, end, in_bits) {
        None => -1,
        Some(range) => match find_in_range(s, range, bit) {
            Some(at) => at as i64,
            None if !bit && !end_given => s.len() as i64 * 8,
            None => -1,
        },
    };
    server.add_reply_long_long(cid, at);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BitOp {
    And,
    Or,
    Xor,
    Not,
}

/// Combines one more source into a block of the result; what the source lacks counts as zero.
fn combine(op: BitOp, result: &mut [u8], source: &[u8]) {
    let n = source.len().min(result.len());
    let pairs = result.iter_mut().zip(source);
    match op {
        BitOp::And => {
            pairs.for_each(|(r, s)| *r &= s);
            result[n..].fill(0);
        }
        BitOp::Or => pairs.for_each(|(r, s)| *r |= s),
        BitOp::Xor => pairs.for_each(|(r, s)| *r ^= s),
        BitOp::Not => {}
    }
}

/// The result of an operation, as long as the longest source.
fn bitop(op: BitOp, sources: &[&[u8]]) -> SBuf {
    let len = sources.iter().map(|s| s.len()).max().unwrap_or(0);
    let first = sources.first().copied().unwrap_or_default();
    let mut result = SBuf::with_capacity(len);
    result.extend_from_slice(first);
    result.resize(len, true);
    let bytes = result.as_mut_slice();
    if op == BitOp::Not {
        bytes.iter_mut().for_each(|b| *b = !*b);
        return result;
    }
    for (i, block) in bytes.chunks_mut(BITOP_BLOCK).enumerate() {
        let at = i * BITOP_BLOCK;
        for s in &sources[1..] {
            combine(op, block, s.get(at..).unwrap_or_default());
        }
    }
    result
}

/// `BITOP operation destkey key [key ...]`.
pub(crate) fn bitop_command(server: &mut Server, cid: ClientId, args: &Args) {
    let op = match () {
        () if args.is(1, "and") => BitOp::And,
        () if args.is(1, "or") => BitOp::Or,
        () if args.is(1, "xor") => BitOp::Xor,
        () if args.is(1, "not") => BitOp::Not,
        () => return server.add_reply_syntax_error(cid),
    };
    if op == BitOp::Not && args.len() != 4 {
        return server.add_reply_error(cid, "BITOP NOT must be called with a single source key.");
    }
    let db = server.client_db(cid);
    // A look-up may delete a key and so move the others: places are asked for again once all have been looked up.
    let mut found = Vec::with_capacity(args.len() - 3);
    for i in 3..args.len() {
        let at = server.lookup_key(db, &args[i], Lookup::READ);
        if let Some(at) = at
            && !server.check_type_string(cid, at)
        {
            return;
        }
        found.push(at.is_some());
    }
    let keys = &server.dbs[db].keys;
    let mut texts = vec![[0; LONG_STR_SIZE]; found.len()];
    let sources: Vec<&[u8]> = (3..args.len())
        .zip(&found)
        .zip(&mut texts)
        .map(|((i, found), text)| {
            let slot = found.then(|| keys.find(keys.hash(&args[i]), &args[i]));
            match slot.flatten() {
                Some(slot) => string_bytes(keys.at(slot), text),
                None => &[],
            }
        })
        .collect();
    let result = bitop(op, &sources);
    let len = result.len();
    let target = &args[2];
    let result = (len > 0).then_some(NewValue::Buf(result));
    server.store_result(cid, target, result, (NOTIFY_STRING, "set"), 1);
    server.add_reply_long_long(cid, len as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit_at(s: &[u8], i: u64) -> bool {
        s.get((i / 8) as usize)
            .is_some_and(|b| b & (0x80 >> (i % 8)) != 0)
    }

    proptest! {
        #[test]
        fn counting_and_finding_agree_with_bit_by_bit(
            s in proptest::collection::vec(prop_oneof![Just(0u8), Just(255u8), any::<u8>()], 1..40),
            x in any::<u64>(), y in any::<u64>(), bit in any::<bool>())
        {
            let total = s.len() as u64 * 8;
            let (x, y) = (x % total, y % total);
            let range = x.min(y)..=x.max(y);
            let want = range.clone().filter(|i| bit_at(&s, *i)).count() as u64;
            prop_assert_eq!(count_range(&s, range.clone()), want);
            let want = range.clone().find(|i| bit_at(&s, *i) == bit);
            prop_assert_eq!(find_in_range(&s, range, bit), want);
        }

        #[test]
        fn operations_agree_with_byte_by_byte(
            sources in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..5))
        {
            let refs: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let len = refs.iter().map(|s| s.len()).max().unwrap_or(0);
            let byte = |s: &[u8], i: usize| s.get(i).copied().unwrap_or(0);
            type Op = fn(u8, u8) -> u8;
            for (op, f) in [
                (BitOp::And, (|a, b| a & b) as Op),
                (BitOp::Or, |a, b| a | b),
                (BitOp::Xor, |a, b| a ^ b),
            ] {
                let want: Vec<u8> = (0..len)
                    .map(|i| refs[1..].iter().fold(byte(refs[0], i), |r, s| f(r, byte(s, i))))
                    .collect();
                let got = bitop(op, &refs);
                prop_assert_eq!(got.as_slice(), &want[..]);
            }
            let want: Vec<u8> = refs[0].iter().map(|b| !b).collect();
            let got = bitop(BitOp::Not, &refs[..1]);
            prop_assert_eq!(got.as_slice(), &want[..]);
        }
    }

    #[test]
    fn blocks_join_seamlessly() {
        let a = vec![0b1010_1010u8; BITOP_BLOCK * 2 + 5];
        let b = vec![0b0110_0110u8; BITOP_BLOCK + 3];
        let r = bitop(BitOp::And, &[&a, &b]);
        let (common, rest) = r.as_slice().split_at(b.len());
        assert!(common.iter().all(|x| *x == 0b0010_0010) && rest.iter().all(|x| *x == 0));
        assert_eq!(r.len(), a.len());
    }
}
