//! `cmsgpack`: values to MessagePack and back.
//!
//! Answers to lua_cmsgpack.c. Writing recurses by the sixteen levels that it nests at most; reading does not recurse.

use super::super::lua::{Call, Kind, Lua, Raise, Returned};
use super::{
    LibraryHost, MAX_ELEMENTS, Pace, STACK_SLOTS, argument_error, check_integer, check_result,
    check_string, keep, optional_integer, to_i32, to_i64,
};

const NAME: &[u8] = b"cmsgpack";
const VERSION: &[u8] = b"lua-cmsgpack 0.4.0";
const COPYRIGHT: &[u8] = b"Copyright (C) 2012, Salvatore Sanfilippo";
const DESCRIPTION: &[u8] = b"MessagePack C implementation for Lua";

/// Tables of up to this many named fields are written in an order that only their names give.
const SORTED_MAX: usize = 1024;

/// A table this deep, and all below it, is written as nil.
const MAX_NESTING: u32 = 16;

/// Pushes the table of the library.
pub(crate) fn open<H: LibraryHost>(lua: &mut Lua<H>) {
    lua.push_table(0, 8);
    let t = lua.top();
    lua.push_function(pack::<H>);
    lua.set_raw_field(t, b"pack");
    lua.push_function(unpack::<H>);
    lua.set_raw_field(t, b"unpack");
    lua.push_function(unpack_one::<H>);
    lua.set_raw_field(t, b"unpack_one");
    lua.push_function(unpack_limit::<H>);
    lua.set_raw_field(t, b"unpack_limit");
    for (name, text) in [
        (&b"_NAME"[..], NAME),
        (b"_VERSION", VERSION),
        (b"_COPYRIGHT", COPYRIGHT),
        (b"_DESCRIPTION", DESCRIPTION),
    ] {
        lua.push_bytes(text);
        lua.set_raw_field(t, name);
    }
}

// Packing -------------------------------------------------------------------------------------------------------------------

fn pack<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let args = call.top();
    if args == 0 {
        return Err(argument_error(call, 0, "MessagePack pack needs input."));
    }
    if !call.has_room(args as usize) {
        let what = "Too many arguments for MessagePack pack.";
        return Err(argument_error(call, 0, what));
    }
    let out = std::mem::take(&mut call.host().library_state().buffers.output);
    let mut packer = Packer {
        call,
        out,
        pace: Pace::new(),
    };
    let done = (1..=args).try_for_each(|i| {
        // Below, what is written is the topmost value.
        packer.call.push_copy(i);
        let at = packer.call.top();
        let kind = packer.call.kind(at);
        packer.value(at, kind, 0)?;
        packer.call.truncate(args);
        Ok(())
    });
    let out = packer.out;
    if done.is_ok() {
        call.push_bytes(&out);
    }
    keep(&mut call.host().library_state().buffers.output, out);
    done.map(|()| 1)
}

struct Packer<'a, 'b, H> {
    call: &'a mut Call<'b, H>,
    out: Vec<u8>,
    pace: Pace,
}

impl<H: LibraryHost> Packer<'_, '_, H> {
    /// Writes the value at `at`, the topmost one.
    fn value(&mut self, at: i32, kind: Kind, level: u32) -> Result<(), Raise> {
        self.pace.step(self.call, 1)?;
        match kind {
            Kind::String => {
                let bytes = self.call.bytes(at).unwrap_or_default();
                push_raw_header(&mut self.out, bytes.len());
                self.out.extend_from_slice(bytes);
            }
            Kind::Boolean => self.out.push(if self.call.truth(at) { 0xc3 } else { 0xc2 }),
            Kind::Number => push_number(&mut self.out, self.call.number(at).unwrap_or(0.0)),
            Kind::Table if level < MAX_NESTING => self.table(at, level)?,
            _ => self.out.push(0xc0),
        }
        check_result(self.call, self.out.len(), "result too large")
    }

    fn table(&mut self, t: i32, level: u32) -> Result<(), Raise> {
        self.pace.step(self.call, 64)?;
        if !self.call.has_room(4) {
            let text = "stack overflow (in function table_is_an_array)";
            return Err(Raise::text(text));
        }
        if let Some(len) = self.array_len(t)? {
            push_header(&mut self.out, len, 0x90, 0xdc);
            for i in 1..=len {
                let kind = self.call.get_raw_index(t, i as i32);
                self.value(t + 1, kind, level + 1)?;
                self.call.truncate(t);
            }
            return Ok(());
        }
        let mut len = 0;
        let mut names: Vec<Vec<u8>> = Vec::new();
        self.call.push_nil();
        while self.call.next(t) {
            self.pace.step(self.call, 1)?;
            self.call.truncate(t + 1);
            len += 1;
            if names.len() + 1 == len
                && len <= SORTED_MAX
                && let Some(name) = self.call.bytes(t + 1)
            {
                names.push(name.to_vec());
            }
        }
        push_header(&mut self.out, len, 0x80, 0xde);
        if names.len() == len {
            return self.named_fields(t, names, level);
        }
        self.call.push_nil();
        while self.call.next(t) {
            self.call.push_copy(t + 1);
            let kind = self.call.kind(t + 3);
            self.value(t + 3, kind, level + 1)?;
            self.call.truncate(t + 2);
            let kind = self.call.kind(t + 2);
            self.value(t + 2, kind, level + 1)?;
            self.call.truncate(t + 1);
        }
        Ok(())
    }

    /// The fields of a table in an order of their own, since the machine visits them in one that says nothing: by the places
    /// that their names hash to in a table of their number, as Lua 5.1 visits one in which no two names share a place.
    fn named_fields(&mut self, t: i32, mut names: Vec<Vec<u8>>, level: u32) -> Result<(), Raise> {
        let last = names.len().next_power_of_two() as u32 - 1;
        names.sort_by_cached_key(|name| (string_hash(name) & last, name.clone()));
        for name in names {
            push_raw_header(&mut self.out, name.len());
            self.out.extend_from_slice(&name);
            let kind = self.call.get_raw_field(t, &name);
            self.value(t + 1, kind, level + 1)?;
            self.call.truncate(t);
        }
        Ok(())
    }

    /// The number of elements, when the keys are the numbers from 1 to it.
    fn array_len(&mut self, t: i32) -> Result<Option<usize>, Raise> {
        let mut highest = 0;
        let mut count = 0;
        self.call.push_nil();
        while self.call.next(t) {
            self.pace.step(self.call, 1)?;
            self.call.truncate(t + 1);
            let key = match self.call.kind(t + 1) {
                Kind::Number => self.call.number(t + 1).unwrap_or(0.0),
                _ => 0.0,
            };
            if !(key > 0.0 && f64::from(to_i32(key)) == key) {
                self.call.truncate(t);
                return Ok(None);
            }
            highest = highest.max(to_i32(key));
            count += 1;
        }
        Ok((highest == count).then_some(count as usize))
    }
}

/// The hash of a string in the Lua 5.1 of Redis: every byte counts, from the last on.
fn string_hash(s: &[u8]) -> u32 {
    s.iter().rev().fold(s.len() as u32, |hash, byte| {
        let shifted = (hash << 5).wrapping_add(hash >> 2);
        hash ^ shifted.wrapping_add(u32::from(*byte))
    })
}

fn push_raw_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..32 => out.push(0xa0 | len as u8),
        32..0x100 => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

/// The header of an array or a map: `short` for up to fifteen elements, `long` (and the one after it) for more.
fn push_header(out: &mut Vec<u8>, len: usize, short: u8, long: u8) {
    match len {
        0..16 => out.push(short | len as u8),
        16..0x1_0000 => {
            out.push(long);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(long + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

fn push_number(out: &mut Vec<u8>, n: f64) {
    let whole = to_i64(n);
    if whole as f64 == n {
        push_integer(out, whole);
    } else if f64::from(n as f32) == n {
        out.push(0xca);
        out.extend_from_slice(&(n as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&n.to_be_bytes());
    }
}

/// The shortest form of an integer.
fn push_integer(out: &mut Vec<u8>, n: i64) {
    let (first, bytes) = match n {
        -32..=127 => return out.push(n as u8),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80.. => (0xd0, 1),
        -0x8000.. => (0xd1, 2),
        -0x8000_0000.. => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(first);
    out.extend_from_slice(&n.to_be_bytes()[8 - bytes..]);
}

// Unpacking -----------------------------------------------------------------------------------------------------------------

fn unpack<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    unpack_full(call, 0, 0)
}

fn unpack_one<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let offset = optional_integer(call, 2, 0)?;
    unpack_full(call, 1, offset)
}

fn unpack_limit<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let limit = check_integer(call, 2)?;
    let offset = optional_integer(call, 3, 0)?;
    unpack_full(call, limit, offset)
}

/// Pushes up to `limit` values that the first argument has from `offset` on, and before them where the next one is, -1 for the
/// end. With neither, all values and no place.
fn unpack_full<H: LibraryHost>(call: &mut Call<H>, limit: i64, offset: i64) -> Returned {
    check_string(call, 1)?;
    let len = call.len(1);
    // What the texts say is upstream's: the length stands for the limit, and both are ints.
    if offset < 0 || limit < 0 {
        return Err(Raise::text(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, len as i32
        )));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    if start > len {
        return Err(Raise::text(format!(
            "Start offset {} greater than input length {}.",
            offset as i32, len as i32
        )));
    }
    let all = limit == 0 && offset == 0;
    call.truncate(1);
    if !all {
        // The place of the next value, which is known at the end.
        call.push_nil();
    }
    let mut input = std::mem::take(&mut call.host().library_state().buffers.input);
    // A copy, since the machine's strings are lent for no longer than its stack is left alone.
    input.extend_from_slice(&call.bytes(1).unwrap_or_default()[start..]);
    let mut reader = Unpacker {
        call,
        left: &input,
        open: Vec::new(),
        expected: 0,
        used: 1,
        pace: Pace::new(),
    };
    let limit = if all { i64::from(i32::MAX) } else { limit };
    let mut done = Ok(());
    let mut count = 0;
    while !reader.left.is_empty() && count < limit && done.is_ok() {
        done = reader.value();
        count += 1;
    }
    let left = reader.left.len();
    keep(&mut call.host().library_state().buffers.input, input);
    done?;
    if !all {
        let next = match left {
            0 => -1.0,
            _ => (len - left) as f64,
        };
        if !call.has_room(1) {
            return Err(Raise::text("stack overflow (in function mp_unpack_full)"));
        }
        call.push_number(next);
        call.replace(2);
        count += 1;
    }
    Ok(count as usize)
}

struct Unpacker<'a, 'b, H> {
    call: &'a mut Call<'b, H>,
    left: &'a [u8],
    open: Vec<Unfinished>,
    /// Values that the open tables still have to get.
    expected: u64,
    /// Slots of the stack that upstream would have in use, whose number bounds the depth.
    used: usize,
    pace: Pace,
}

/// A table that is being read.
struct Unfinished {
    table: i32,
    /// Values still to come, a key of a map being one.
    left: u64,
    /// Elements so far.
    done: usize,
    map: bool,
}

/// What begins with a byte, and the bytes that belong to it.
enum Item<'a> {
    Number(f64),
    Nil,
    Boolean(bool),
    Bytes(&'a [u8]),
    Array(u64),
    Map(u64),
}

#[derive(Debug)]
enum Malformed {
    Short,
    Format,
}

impl From<Malformed> for Raise {
    #[cold]
    fn from(m: Malformed) -> Raise {
        Raise::text(match m {
            Malformed::Short => "Missing bytes in input.",
            Malformed::Format => "Bad data format in input.",
        })
    }
}

/// Takes `n` bytes from the front.
fn take<'a>(from: &mut &'a [u8], n: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = from.split_at_checked(n).ok_or(Malformed::Short)?;
    *from = rest;
    Ok(taken)
}

/// Takes `n` bytes, at most eight, as a number.
fn take_number(from: &mut &[u8], n: usize) -> Result<u64, Malformed> {
    let bytes = take(from, n)?;
    Ok(bytes.iter().fold(0, |v, b| v << 8 | u64::from(*b)))
}

fn item<'a>(from: &mut &'a [u8]) -> Result<Item<'a>, Malformed> {
    let first = take(from, 1)?[0];
    let signed = |n: i64| Item::Number(n as f64);
    Ok(match first {
        0x00..=0x7f => Item::Number(f64::from(first)),
        0xe0..=0xff => signed(i64::from(first as i8)),
        0xa0..=0xbf => Item::Bytes(take(from, usize::from(first & 0x1f))?),
        0x90..=0x9f => Item::Array(u64::from(first & 0xf)),
        0x80..=0x8f => Item::Map(u64::from(first & 0xf)),
        0xc0 => Item::Nil,
        0xc2 => Item::Boolean(false),
        0xc3 => Item::Boolean(true),
        0xcc => signed(take_number(from, 1)? as i64),
        0xcd => signed(take_number(from, 2)? as i64),
        0xce => signed(take_number(from, 4)? as i64),
        // Beyond the signed ones it is negative, as upstream has it.
        0xcf | 0xd3 => signed(take_number(from, 8)? as i64),
        0xd0 => signed(i64::from(take_number(from, 1)? as i8)),
        0xd1 => signed(i64::from(take_number(from, 2)? as i16)),
        0xd2 => signed(i64::from(take_number(from, 4)? as i32)),
        0xca => Item::Number(f64::from(f32::from_bits(take_number(from, 4)? as u32))),
        0xcb => Item::Number(f64::from_bits(take_number(from, 8)?)),
        0xd9..=0xdb => {
            let len = take_number(from, 1 << (first - 0xd9))?;
            Item::Bytes(take(from, usize::try_from(len).unwrap_or(usize::MAX))?)
        }
        0xdc => Item::Array(take_number(from, 2)?),
        0xdd => Item::Array(take_number(from, 4)?),
        0xde => Item::Map(take_number(from, 2)?),
        0xdf => Item::Map(take_number(from, 4)?),
        _ => return Err(Malformed::Format),
    })
}

const TOO_MANY: &str =
    "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
const TOO_DEEP: &str = "stack overflow (in function mp_decode_to_lua_array)";

impl<H: LibraryHost> Unpacker<'_, '_, H> {
    /// Reads one value, and pushes it.
    fn value(&mut self) -> Result<(), Raise> {
        loop {
            if self.left.is_empty() {
                return Err(Malformed::Short.into());
            }
            if self.used + 1 > STACK_SLOTS || !self.call.has_room(1) {
                return Err(Raise::text(TOO_MANY));
            }
            self.pace.step(self.call, 1)?;
            match item(&mut self.left)? {
                Item::Number(n) => self.call.push_number(n),
                Item::Nil => self.call.push_nil(),
                Item::Boolean(b) => self.call.push_bool(b),
                Item::Bytes(b) => self.call.push_bytes(b),
                Item::Array(len) => {
                    if self.begin(len, false)? {
                        continue;
                    }
                }
                Item::Map(len) => {
                    if self.begin(len, true)? {
                        continue;
                    }
                }
            }
            self.used += 1;
            if self.place()? {
                return Ok(());
            }
        }
    }

    /// Pushes a table. False: it is empty, and a whole value.
    fn begin(&mut self, len: u64, map: bool) -> Result<bool, Raise> {
        if !map && self.used + 2 > STACK_SLOTS {
            return Err(Raise::text(TOO_DEEP));
        }
        let values = if map { 2 * len } else { len };
        // A table gets its room at once only where the input can be long enough for all that is expected.
        let room = if self.expected + values <= self.left.len() as u64 {
            len as usize
        } else {
            0
        };
        if map {
            self.call.push_table(0, room);
        } else {
            // The array's part begins with index 0.
            self.call.push_table(room, 0);
        }
        if len == 0 {
            return Ok(false);
        }
        self.expected += values;
        // An array's index stands on upstream's stack beside it.
        self.used += if map { 1 } else { 2 };
        self.open.push(Unfinished {
            table: self.call.top(),
            left: values,
            done: 0,
            map,
        });
        Ok(true)
    }

    /// Puts the topmost value where it belongs, and so on with every table that is thereby complete. True: a whole value is on
    /// top.
    fn place(&mut self) -> Result<bool, Raise> {
        while let Some(last) = self.open.last_mut() {
            last.left -= 1;
            self.expected -= 1;
            if last.map && last.left % 2 == 1 {
                // A key.
                return Ok(false);
            }
            last.done += 1;
            if last.done > MAX_ELEMENTS {
                return Err(Raise::text("table overflow"));
            }
            if last.map {
                let nil = self.call.kind(-2) == Kind::Nil;
                if !self.call.set_raw(last.table) {
                    let what = if nil { "nil" } else { "NaN" };
                    // As the machine's own errors in a function that is no script's: without a place.
                    self.call
                        .push_bytes(format!("table index is {what}").as_bytes());
                    return Err(Raise::Top);
                }
                self.used -= 2;
            } else {
                self.call.set_raw_index(last.table, last.done as i32);
                self.used -= 1;
            }
            if last.left > 0 {
                return Ok(false);
            }
            if !last.map {
                self.used -= 1;
            }
            self.open.pop();
        }
        Ok(true)
    }
}
