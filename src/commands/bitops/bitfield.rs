//! BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a string (the second half of bitops.c).
//!
//! A request is parsed whole before anything is done, so that a bad argument changes nothing. Then its operations run in
//! order on the string, which a write has first extended up to the highest bit that any operation writes.

use crate::base::num::{LONG_STR_SIZE, string2ll};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::server::keyspace::notify::NOTIFY_STRING;

use super::string_bytes;

/// What a value that does not fit becomes (BFOVERFLOW_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overflow {
    Wrap,
    Sat,
    Fail,
}

/// The type of a field: `i1`..`i64`, `u1`..`u63`.
#[derive(Clone, Copy, Debug)]
struct Field {
    signed: bool,
    bits: u32,
}

#[derive(Clone, Copy)]
enum Op {
    Get,
    Set(i64),
    IncrBy(i64),
}

/// One parsed operation.
struct BitfieldOp {
    op: Op,
    field: Field,
    offset: u64,
    overflow: Overflow,
}

impl Field {
    fn parse(arg: &[u8]) -> Option<Field> {
        let (signed, digits) = match arg {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let max = if signed { 64 } else { 63 };
        let bits = string2ll(digits).filter(|n| (1..=max).contains(n))?;
        Some(Field {
            signed,
            bits: bits as u32,
        })
    }

    fn min(self) -> i128 {
        if self.signed {
            -(1 << (self.bits - 1))
        } else {
            0
        }
    }

    fn max(self) -> i128 {
        if self.signed {
            (1 << (self.bits - 1)) - 1
        } else {
            (1 << self.bits) - 1
        }
    }

    /// The field's bits as a number: sign-extended when it is signed.
    fn extend(self, raw: u64) -> i64 {
        let shift = 64 - self.bits;
        if self.signed {
            ((raw << shift) as i64) >> shift
        } else {
            ((raw << shift) >> shift) as i64
        }
    }

    /// What is stored for `value`, which may lie outside of the field's range; `None` when it must not be stored.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        if (self.min()..=self.max()).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.extend(value as u64)),
            Overflow::Sat => Some(value.clamp(self.min(), self.max()) as i64),
            Overflow::Fail => None,
        }
    }

    /// A SET's argument as a number to be stored. An unsigned field takes a negative one for the large one it is in two's
    /// complement. A signed one takes a number so low that its distance from the maximum is no 64-bit integer for one
    /// that is too high: upstream saturates it upwards, and replicas of either kind must agree.
    fn operand(self, n: i64) -> i128 {
        if !self.signed {
            return i128::from(n as u64);
        }
        let n = i128::from(n);
        if self.bits < 64 && self.max() - n > i128::from(i64::MAX) {
            // The same number modulo 2^64, for wrapping.
            return n + (1 << 64);
        }
        n
    }
}

/// The number at a bit offset; beyond the end of `s` there are zeros (getSignedBitfield, getUnsignedBitfield).
fn get_bitfield(s: &[u8], offset: u64, field: Field) -> i64 {
    let mut window = [0u8; 16];
    let start = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    if let Some(rest) = s.get(start..) {
        let n = rest.len().min(9);
        window[..n].copy_from_slice(&rest[..n]);
    }
    let shift = 128 - (offset % 8) as u32 - field.bits;
    field.extend((u128::from_be_bytes(window) >> shift) as u64)
}

/// Stores the low bits of `value` at a bit offset, all of which lies inside of `s` (setUnsignedBitfield).
fn set_bitfield(s: &mut [u8], offset: u64, field: Field, value: i64) {
    let start = (offset / 8) as usize;
    let bit = (offset % 8) as u32;
    let n = (bit + field.bits).div_ceil(8) as usize;
    let bytes = &mut s[start..start + n];
    let mut window = [0u8; 16];
    window[..n].copy_from_slice(bytes);
    let shift = 128 - bit - field.bits;
    let mask = (u128::MAX >> (128 - field.bits)) << shift;
    let old = u128::from_be_bytes(window);
    let new = (old & !mask) | ((u128::from(value as u64) << shift) & mask);
    bytes.copy_from_slice(&new.to_be_bytes()[..n]);
}

impl Server {
    /// The operations of a request, or an error to the client.
    fn parse_bitfield_ops(&mut self, cid: ClientId, args: &Args) -> Option<Vec<BitfieldOp>> {
        let mut ops = Vec::new();
        let mut overflow = Overflow::Wrap;
        let mut i = 2;
        while i < args.len() {
            let left = args.len() - i - 1;
            if args.is(i, "overflow") && left >= 1 {
                overflow = match () {
                    () if args.is(i + 1, "wrap") => Overflow::Wrap,
                    () if args.is(i + 1, "sat") => Overflow::Sat,
                    () if args.is(i + 1, "fail") => Overflow::Fail,
                    () => {
                        self.add_reply_error(cid, "Invalid OVERFLOW type specified");
                        return None;
                    }
                };
                i += 2;
                continue;
            }
            let make: fn(i64) -> Op = match () {
                () if args.is(i, "get") && left >= 2 => |_| Op::Get,
                () if args.is(i, "set") && left >= 3 => Op::Set,
                () if args.is(i, "incrby") && left >= 3 => Op::IncrBy,
                () => {
                    self.add_reply_syntax_error(cid);
                    return None;
                }
            };
            let reads = matches!(make(0), Op::Get);
            let Some(field) = Field::parse(&args[i + 1]) else {
                self.add_reply_error(
                    cid,
                    "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
                );
                return None;
            };
            let offset = self.get_bit_offset_from_argument(cid, &args[i + 2], field.bits)?;
            let n = if reads {
                0
            } else {
                self.get_long_long_or_reply(cid, args, i + 3)?
            };
            ops.push(BitfieldOp {
                op: make(n),
                field,
                offset,
                overflow,
            });
            i += if reads { 3 } else { 4 };
        }
        Some(ops)
    }

    /// BITFIELD and BITFIELD_RO (bitfieldGeneric).
    fn bitfield_generic(&mut self, cid: ClientId, args: &Args, read_only: bool) {
        let Some(ops) = self.parse_bitfield_ops(cid, args) else {
            return;
        };
        let highest = ops
            .iter()
            .filter(|o| !matches!(o.op, Op::Get))
            .map(|o| o.offset.saturating_add(u64::from(o.field.bits) - 1))
            .max();
        match highest {
            None => self.bitfield_read(cid, args, &ops),
            Some(_) if read_only => {
                self.add_reply_error(cid, "BITFIELD_RO only supports the GET subcommand");
            }
            Some(maxbit) => self.bitfield_write(cid, args, &ops, maxbit),
        }
    }

    fn bitfield_read(&mut self, cid: ClientId, args: &Args, ops: &[BitfieldOp]) {
        let db = self.client_db(cid);
        let at = self.lookup_key(db, &args[1], Lookup::READ);
        if let Some(at) = at
            && !self.check_type_string(cid, at)
        {
            return;
        }
        let mut text = [0; LONG_STR_SIZE];
        let s = match at {
            Some(at) => string_bytes(at.entry(&self.dbs), &mut text),
            None => &[],
        };
        self.clients.add_reply_array_len(cid, ops.len());
        for o in ops {
            self.clients
                .add_reply_long_long(cid, get_bitfield(s, o.offset, o.field));
        }
    }

    fn bitfield_write(&mut self, cid: ClientId, args: &Args, ops: &[BitfieldOp], maxbit: u64) {
        let db = self.client_db(cid);
        let key = &args[1];
        let (mut changes, mut longer) = (0, false);
        let run = |s: &mut [u8], grown: bool| {
            longer = grown;
            let mut answers = Vec::with_capacity(ops.len());
            for o in ops {
                let old = get_bitfield(s, o.offset, o.field);
                let value = match o.op {
                    Op::Get => {
                        answers.push(Some(old));
                        continue;
                    }
                    Op::Set(n) => o.field.operand(n),
                    Op::IncrBy(n) => i128::from(old) + i128::from(n),
                };
                let new = o.field.fit(value, o.overflow);
                if let Some(new) = new {
                    set_bitfield(s, o.offset, o.field, new);
                    if grown || old != new {
                        changes += 1;
                    }
                }
                answers.push(match o.op {
                    Op::Set(_) => new.and(Some(old)),
                    _ => new,
                });
            }
            answers
        };
        let Some(answers) = self.with_string_for_bit_command(cid, db, key, maxbit, run) else {
            return;
        };
        self.add_reply_array_len(cid, answers.len());
        for a in answers {
            match a {
                Some(n) => self.add_reply_long_long(cid, n),
                None => self.add_reply_null(cid),
            }
        }
        if changes > 0 {
            self.signal_modified_key(cid, db, key);
            self.notify_keyspace_event(NOTIFY_STRING, "setbit", key, db);
            self.dirty += changes;
        } else if longer {
            // No operation took place, for all overflowed, and still the string is another, or is there now. Upstream keeps
            // that to itself, and its replicas differ from then on.
            self.signal_modified_key(cid, db, key);
            self.dirty += 1;
        }
    }
}

/// `BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value | INCRBY type offset increment ...]`.
pub(crate) fn bitfield_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.bitfield_generic(cid, args, false);
}

/// BITFIELD_RO key [GET type offset ...].
pub(crate) fn bitfieldro_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.bitfield_generic(cid, args, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn i(bits: u32) -> Field {
        Field { signed: true, bits }
    }
    const fn u(bits: u32) -> Field {
        Field {
            signed: false,
            bits,
        }
    }

    #[test]
    fn types_have_their_bounds() {
        for good in ["i1", "i64", "u1", "u63"] {
            assert!(Field::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "i", "u0", "u64", "i65", "I8", "x8", "i 8", "u-1", "u08"] {
            assert!(Field::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit() {
        use Overflow::*;
        for (f, v, wrap, sat) in [
            (u(8), 256, 0, 255),
            (u(8), -1, 255, 0),
            (i(8), 128, -128, 127),
            (i(8), -129, 127, -128),
            (i(64), i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            (i(64), i128::from(i64::MIN) - 1, i64::MAX, i64::MIN),
            (u(63), 1 << 63, 0, i64::MAX),
            (i(1), 1, -1, 0),
        ] {
            assert_eq!(f.fit(v, Wrap), Some(wrap), "{f:?} {v}");
            assert_eq!(f.fit(v, Sat), Some(sat), "{f:?} {v}");
            assert_eq!(f.fit(v, Fail), None, "{f:?} {v}");
        }
        assert_eq!(u(8).fit(255, Fail), Some(255));
        let lowest = i(8).operand(i64::MIN);
        assert_eq!(i(8).fit(lowest, Sat), Some(127));
        assert_eq!(i(8).fit(lowest, Wrap), Some(0));
        assert_eq!(i(8).fit(i(8).operand(i64::MIN + 128), Sat), Some(-128));
        assert_eq!(i(64).fit(i128::from(i64::MIN), Fail), Some(i64::MIN));
    }

    proptest! {
        #[test]
        fn fields_are_bits_in_order(
            before in proptest::collection::vec(any::<u8>(), 17..30),
            offset in 0u64..70, bits in 1u32..=64, value in any::<i64>())
        {
            let mut s = before.clone();
            let bit = |s: &[u8], i: u64| s[(i / 8) as usize] >> (7 - i % 8) & 1;
            set_bitfield(&mut s, offset, i(bits), value);
            for at in 0..s.len() as u64 * 8 {
                let want = if at >= offset && at < offset + u64::from(bits) {
                    (value as u64 >> (u64::from(bits) - 1 - (at - offset)) & 1) as u8
                } else {
                    bit(&before, at)
                };
                prop_assert_eq!(bit(&s, at), want, "bit {}", at);
            }
            prop_assert_eq!(get_bitfield(&s, offset, i(bits)), i(bits).extend(value as u64));
            prop_assert_eq!(get_bitfield(&s, 1 << 60, i(bits)), 0);
        }
    }
}
