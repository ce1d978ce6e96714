//! `cjson`: values to JSON and back.
//!
//! Answers to lua_cjson.c. A value is written straight into one buffer, and a text is read without values in between. Neither
//! recurses: what is open is kept in a list, and the depth is bounded by the options and by the machine's stack.

use super::super::lua::{Call, Kind, Lua, Raise, Returned};
use super::{
    LibraryHost, MAX_ELEMENTS, Pace, argument_error, check_result, check_string, keep, to_i32,
    to_i64, type_error,
};
use crate::base::num::push_ll;
use crate::base::strtod::strtod;

const NAME: &[u8] = b"cjson";
const VERSION: &[u8] = b"2.1.0";

/// What encoding does with NaN and infinities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Invalid {
    Refuse,
    Write,
    /// As `null`.
    Null,
}

/// What scripts may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// An array with too many holes is written as an object instead of refused.
    sparse_convert: bool,
    /// Indexes for each element beyond which there are too many holes; 0: never.
    sparse_ratio: i32,
    /// The highest index up to which holes do not matter.
    sparse_safe: i32,
    encode_max_depth: i32,
    decode_max_depth: i32,
    /// Significant digits, 1 to 14.
    precision: i32,
    /// Has no effect but its value: the buffer is the machine's.
    keep_buffer: bool,
    encode_invalid: Invalid,
    decode_invalid: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_max_depth: 1000,
            decode_max_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refuse,
            decode_invalid: true,
        }
    }
}

/// Where the options of a call are: the library's own in the state, those of what `new` has made in a table of the script's, the
/// first argument. A type, so that the library's own calls cost nothing for it.
trait Place {
    /// Values below the script's arguments.
    const BELOW: i32;
    fn load<H: LibraryHost>(call: &mut Call<H>) -> Result<Options, Raise>;
    fn save<H: LibraryHost>(call: &mut Call<H>, options: Options);
}

#[derive(Clone, Copy)]
struct Shared;

impl Place for Shared {
    const BELOW: i32 = 0;

    #[inline]
    fn load<H: LibraryHost>(call: &mut Call<H>) -> Result<Options, Raise> {
        Ok(call.host().library_state().json.clone())
    }

    fn save<H: LibraryHost>(call: &mut Call<H>, options: Options) {
        let state = call.host().library_state();
        state.json = options;
        state.dirty = true;
    }
}

#[derive(Clone, Copy)]
struct Own;

impl Own {
    const FIELDS: usize = 9;

    fn to_numbers(o: &Options) -> [i32; Own::FIELDS] {
        [
            i32::from(o.sparse_convert),
            o.sparse_ratio,
            o.sparse_safe,
            o.encode_max_depth,
            o.decode_max_depth,
            o.precision,
            i32::from(o.keep_buffer),
            match o.encode_invalid {
                Invalid::Refuse => 0,
                Invalid::Write => 1,
                Invalid::Null => 2,
            },
            i32::from(o.decode_invalid),
        ]
    }

    /// None of it is believed: the table is in a script's hands.
    fn from_numbers(n: [i32; Own::FIELDS]) -> Options {
        Options {
            sparse_convert: n[0] != 0,
            sparse_ratio: n[1].max(0),
            sparse_safe: n[2].max(0),
            encode_max_depth: n[3].max(1),
            decode_max_depth: n[4].max(1),
            precision: n[5].clamp(1, 14),
            keep_buffer: n[6] != 0,
            encode_invalid: match n[7] {
                0 => Invalid::Refuse,
                1 => Invalid::Write,
                _ => Invalid::Null,
            },
            decode_invalid: n[8] != 0,
        }
    }

    /// Into the table at `t`.
    fn write<H>(call: &mut Call<H>, t: i32, options: &Options) {
        for (i, n) in Own::to_numbers(options).into_iter().enumerate() {
            call.push_number(f64::from(n));
            call.set_raw_index(t, i as i32 + 1);
        }
    }
}

impl Place for Own {
    const BELOW: i32 = 1;

    fn load<H: LibraryHost>(call: &mut Call<H>) -> Result<Options, Raise> {
        if call.kind(1) != Kind::Table {
            return Err(type_error(call, 1, "table"));
        }
        let mut numbers = [0; Own::FIELDS];
        for (i, n) in numbers.iter_mut().enumerate() {
            call.get_raw_index(1, i as i32 + 1);
            *n = call.number(-1).map_or(0, to_i32);
            call.pop(1);
        }
        Ok(Own::from_numbers(numbers))
    }

    fn save<H: LibraryHost>(call: &mut Call<H>, options: Options) {
        Own::write(call, 1, &options);
    }
}

/// Pushes the table of the library: functions, `null`, `_NAME` and `_VERSION`.
///
/// Two of its fields are for Lua code of ours, which makes `new` of them: `options` is a raw function that returns the options of
/// a new library, and `instance` is a table of raw functions that take them as their first argument.
pub(crate) fn open<H: LibraryHost>(lua: &mut Lua<H>) {
    functions::<H, Shared>(lua);
    let t = lua.top();
    functions::<H, Own>(lua);
    lua.set_raw_field(t, b"instance");
    lua.push_function(options::<H>);
    lua.set_raw_field(t, b"options");
    lua.push_null();
    lua.set_raw_field(t, b"null");
    lua.push_bytes(NAME);
    lua.set_raw_field(t, b"_NAME");
    lua.push_bytes(VERSION);
    lua.set_raw_field(t, b"_VERSION");
}

fn functions<H: LibraryHost, P: Place>(lua: &mut Lua<H>) {
    lua.push_table(0, 16);
    let t = lua.top();
    lua.push_function(encode::<H, P>);
    lua.set_raw_field(t, b"encode");
    lua.push_function(decode::<H, P>);
    lua.set_raw_field(t, b"decode");
    lua.push_function(encode_sparse_array::<H, P>);
    lua.set_raw_field(t, b"encode_sparse_array");
    lua.push_function(encode_max_depth::<H, P>);
    lua.set_raw_field(t, b"encode_max_depth");
    lua.push_function(decode_max_depth::<H, P>);
    lua.set_raw_field(t, b"decode_max_depth");
    lua.push_function(encode_number_precision::<H, P>);
    lua.set_raw_field(t, b"encode_number_precision");
    lua.push_function(encode_keep_buffer::<H, P>);
    lua.set_raw_field(t, b"encode_keep_buffer");
    lua.push_function(encode_invalid_numbers::<H, P>);
    lua.set_raw_field(t, b"encode_invalid_numbers");
    lua.push_function(decode_invalid_numbers::<H, P>);
    lua.set_raw_field(t, b"decode_invalid_numbers");
}

fn options<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    call.push_table(Own::FIELDS, 0);
    let t = call.top();
    Own::write(call, t, &Options::default());
    Ok(1)
}

// Options -------------------------------------------------------------------------------------------------------------------

/// The options, when there are at most `most` arguments.
fn configure<H: LibraryHost, P: Place>(call: &mut Call<H>, most: i32) -> Result<Options, Raise> {
    if call.top() - P::BELOW > most {
        let n = most as usize + 1;
        return Err(argument_error(call, n, "found too many arguments"));
    }
    P::load(call)
}

/// Argument `n`, when it is given: an integer of a range. What is wrong with any is said of the first.
fn integer_argument<H, P: Place>(
    call: &mut Call<H>,
    n: i32,
    least: i32,
    most: i32,
) -> Result<Option<i32>, Raise> {
    let at = P::BELOW + n;
    if call.kind(at) == Kind::Nil {
        return Ok(None);
    }
    let Some(value) = call.number(at) else {
        let what = format!("number expected, got {}", call.kind_name(at));
        return Err(argument_error(call, n as usize, &what));
    };
    let value = to_i64(value) as i32;
    if !(least..=most).contains(&value) {
        let what = format!("expected integer between {least} and {most}");
        return Err(argument_error(call, 1, &what));
    }
    Ok(Some(value))
}

/// Argument `n`, when it is given: a boolean, or one of `names`; the number of the name.
fn name_argument<H, P: Place>(
    call: &mut Call<H>,
    n: i32,
    names: &[&str],
) -> Result<Option<usize>, Raise> {
    let at = P::BELOW + n;
    match call.kind(at) {
        Kind::Nil => return Ok(None),
        Kind::Boolean => return Ok(Some(usize::from(call.truth(at)))),
        _ => {}
    }
    let Some(name) = call.to_bytes(at) else {
        let what = format!("string expected, got {}", call.kind_name(at));
        return Err(argument_error(call, n as usize, &what));
    };
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    match names.iter().position(|known| known.as_bytes() == name) {
        Some(i) => Ok(Some(i)),
        None => {
            let what = format!("invalid option '{}'", String::from_utf8_lossy(name));
            Err(argument_error(call, n as usize, &what))
        }
    }
}

const OFF_ON: [&str; 2] = ["off", "on"];

fn encode_sparse_array<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let mut options = configure::<H, P>(call, 3)?;
    // What stands before a wrong argument is set nevertheless.
    if let Some(on) = name_argument::<H, P>(call, 1, &OFF_ON)? {
        options.sparse_convert = on != 0;
        P::save(call, options.clone());
    }
    if let Some(n) = integer_argument::<H, P>(call, 2, 0, i32::MAX)? {
        options.sparse_ratio = n;
        P::save(call, options.clone());
    }
    if let Some(n) = integer_argument::<H, P>(call, 3, 0, i32::MAX)? {
        options.sparse_safe = n;
        P::save(call, options.clone());
    }
    call.push_bool(options.sparse_convert);
    call.push_number(f64::from(options.sparse_ratio));
    call.push_number(f64::from(options.sparse_safe));
    Ok(3)
}

/// A function that sets or reads one number.
fn integer_option<H: LibraryHost, P: Place>(
    call: &mut Call<H>,
    most: i32,
    field: fn(&mut Options) -> &mut i32,
) -> Returned {
    let mut options = configure::<H, P>(call, 1)?;
    let n = match integer_argument::<H, P>(call, 1, 1, most)? {
        Some(n) => {
            *field(&mut options) = n;
            P::save(call, options);
            n
        }
        None => *field(&mut options),
    };
    call.push_number(f64::from(n));
    Ok(1)
}

fn encode_max_depth<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    integer_option::<H, P>(call, i32::MAX, |o| &mut o.encode_max_depth)
}

fn decode_max_depth<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    integer_option::<H, P>(call, i32::MAX, |o| &mut o.decode_max_depth)
}

fn encode_number_precision<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    integer_option::<H, P>(call, 14, |o| &mut o.precision)
}

fn encode_keep_buffer<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let mut options = configure::<H, P>(call, 1)?;
    let on = match name_argument::<H, P>(call, 1, &OFF_ON)? {
        Some(on) => {
            options.keep_buffer = on != 0;
            P::save(call, options);
            on != 0
        }
        None => options.keep_buffer,
    };
    call.push_bool(on);
    Ok(1)
}

fn encode_invalid_numbers<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let mut options = configure::<H, P>(call, 1)?;
    if let Some(i) = name_argument::<H, P>(call, 1, &["off", "on", "null"])? {
        options.encode_invalid = match i {
            0 => Invalid::Refuse,
            1 => Invalid::Write,
            _ => Invalid::Null,
        };
        P::save(call, options.clone());
    }
    match options.encode_invalid {
        Invalid::Refuse => call.push_bool(false),
        Invalid::Write => call.push_bool(true),
        Invalid::Null => call.push_bytes(b"null"),
    }
    Ok(1)
}

fn decode_invalid_numbers<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let mut options = configure::<H, P>(call, 1)?;
    let on = match name_argument::<H, P>(call, 1, &OFF_ON)? {
        Some(on) => {
            options.decode_invalid = on != 0;
            P::save(call, options);
            on != 0
        }
        None => options.decode_invalid,
    };
    call.push_bool(on);
    Ok(1)
}

/// The options of a function of exactly one argument, which is then the only value of the stack.
#[inline]
fn begin<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Result<Options, Raise> {
    let options = P::load(call)?;
    if P::BELOW > 0 {
        call.remove(1);
    }
    if call.top() != 1 {
        return Err(argument_error(call, 1, "expected 1 argument"));
    }
    Ok(options)
}

// Encoding ------------------------------------------------------------------------------------------------------------------

fn encode<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let options = begin::<H, P>(call)?;
    let out = std::mem::take(&mut call.host().library_state().buffers.output);
    let mut encoder = Encoder {
        call,
        options: &options,
        out,
        pace: Pace::new(),
    };
    let done = encoder.run();
    let out = encoder.out;
    if done.is_ok() {
        call.push_bytes(&out);
    }
    keep(&mut call.host().library_state().buffers.output, out);
    done.map(|()| 1)
}

struct Encoder<'a, 'b, H> {
    call: &'a mut Call<'b, H>,
    options: &'a Options,
    out: Vec<u8>,
    pace: Pace,
}

/// A table that is being written: what of it comes next.
enum Open {
    /// Elements from `next` to `len`, which is an `i32`: `next` goes beyond it.
    Array { table: i32, next: i64, len: i64 },
    /// The key before stands above the table.
    Object { table: i32 },
}

/// What a table is.
enum Shape {
    Array(i32),
    Object,
}

const TOO_LARGE: &str = "Cannot serialise, result too large";

const SPARSE: &str = "excessively sparse array";

impl<H: LibraryHost> Encoder<'_, '_, H> {
    /// Writes the value at place 1.
    fn run(&mut self) -> Result<(), Raise> {
        let mut open: Vec<Open> = Vec::new();
        let mut at = 1;
        let mut kind = self.call.kind(at);
        loop {
            if kind == Kind::Table {
                self.pace.step(self.call, 64)?;
                let depth = open.len() as i32 + 1;
                if depth > self.options.encode_max_depth || !self.call.has_room(3) {
                    let text = format!("Cannot serialise, excessive nesting ({depth})");
                    return Err(Raise::text(text));
                }
                if let Some(table) = self.begin_table(at)? {
                    at = match table {
                        Open::Array { table, .. } => table + 1,
                        Open::Object { table } => table + 2,
                    };
                    kind = self.call.kind(at);
                    open.push(table);
                    continue;
                }
            } else {
                self.scalar(at, kind)?;
            }
            // The value is written, and is the topmost one.
            loop {
                self.pace.step(self.call, 1)?;
                check_result(self.call, self.out.len(), TOO_LARGE)?;
                match open.last_mut() {
                    None => return Ok(()),
                    Some(Open::Array { table, next, len }) => {
                        let table = *table;
                        self.call.truncate(table);
                        if *next <= *len {
                            self.out.push(b',');
                            kind = self.call.get_raw_index(table, *next as i32);
                            *next += 1;
                            at = table + 1;
                            break;
                        }
                        self.out.push(b']');
                    }
                    Some(Open::Object { table }) => {
                        let table = *table;
                        self.call.truncate(table + 1);
                        if self.call.next(table) {
                            self.out.push(b',');
                            let key = self.call.kind(table + 1);
                            self.key(table + 1, key)?;
                            at = table + 2;
                            kind = self.call.kind(at);
                            break;
                        }
                        self.out.push(b'}');
                    }
                }
                open.pop();
            }
        }
    }

    /// Begins table `t`, the topmost value. None: it is written, and again the topmost value. Else its first value that is not is
    /// on top.
    fn begin_table(&mut self, t: i32) -> Result<Option<Open>, Raise> {
        self.call.push_nil();
        if !self.call.next(t) {
            self.out.extend_from_slice(b"{}");
            return Ok(None);
        }
        let mut key = self.call.kind(t + 1);
        if key == Kind::Number {
            let begin = self.out.len();
            let mut written = 0i32;
            // An array without holes is met in order: plain values are written on the spot, while they come so.
            self.out.push(b'[');
            while key == Kind::Number
                && self.call.number(t + 1) == Some(f64::from(written) + 1.0)
                && self.plain(t + 2, written > 0)?
            {
                written += 1;
                self.call.truncate(t + 1);
                if !self.call.next(t) {
                    self.out.push(b']');
                    return Ok(None);
                }
                key = self.call.kind(t + 1);
                self.pace.step(self.call, 1)?;
            }
            self.call.truncate(t);
            if let Shape::Array(len) = self.shape(t)? {
                if written > 0 {
                    self.out.push(b',');
                }
                self.call.get_raw_index(t, written + 1);
                return Ok(Some(Open::Array {
                    table: t,
                    next: i64::from(written) + 2,
                    len: i64::from(len),
                }));
            }
            self.out.truncate(begin);
            self.call.push_nil();
            if !self.call.next(t) {
                return Ok(None);
            }
            key = self.call.kind(t + 1);
        }
        self.out.push(b'{');
        self.key(t + 1, key)?;
        Ok(Some(Open::Object { table: t }))
    }

    /// Writes an element, after a comma if it is not the first, when it is of those that can always be written.
    #[inline]
    fn plain(&mut self, at: i32, comma: bool) -> Result<bool, Raise> {
        let kind = self.call.kind(at);
        let n = match kind {
            Kind::Number => self.call.number(at).unwrap_or(0.0),
            Kind::String | Kind::Boolean => 0.0,
            _ => return Ok(false),
        };
        if !n.is_finite() {
            return Ok(false);
        }
        if comma {
            self.out.push(b',');
        }
        if kind == Kind::Number {
            push_number(&mut self.out, n, self.options.precision as usize);
        } else {
            self.scalar(at, kind)?;
        }
        check_result(self.call, self.out.len(), TOO_LARGE)?;
        Ok(true)
    }

    /// What table `t`, the topmost value, is: an array when all its keys are whole numbers from 1 on.
    fn shape(&mut self, t: i32) -> Result<Shape, Raise> {
        let mut highest = 0i32;
        let mut items = 0i32;
        self.call.push_nil();
        while self.call.next(t) {
            self.pace.step(self.call, 1)?;
            let key = match self.call.kind(t + 1) {
                Kind::Number => self.call.number(t + 1).unwrap_or(0.0),
                _ => 0.0,
            };
            if !(key >= 1.0 && key.floor() == key) {
                self.call.truncate(t);
                return Ok(Shape::Object);
            }
            if key > f64::from(highest) {
                highest = to_i32(key);
            }
            items = items.wrapping_add(1);
            self.call.truncate(t + 1);
        }
        let ratio = self.options.sparse_ratio;
        if ratio > 0 && highest > items.wrapping_mul(ratio) && highest > self.options.sparse_safe {
            if !self.options.sparse_convert {
                return Err(self.refuse(t, SPARSE));
            }
            return Ok(Shape::Object);
        }
        Ok(if highest > 0 {
            Shape::Array(highest)
        } else {
            Shape::Object
        })
    }

    #[cold]
    fn refuse(&self, at: i32, reason: &str) -> Raise {
        let kind = self.call.kind_name(at);
        Raise::text(format!("Cannot serialise {kind}: {reason}"))
    }

    /// Writes an object's key and the colon.
    #[inline]
    fn key(&mut self, at: i32, kind: Kind) -> Result<(), Raise> {
        match kind {
            Kind::String => self.string(at)?,
            Kind::Number => {
                self.out.push(b'"');
                self.number(at)?;
                self.out.push(b'"');
            }
            _ => return Err(self.refuse(at, "table key must be a number or string")),
        }
        self.out.push(b':');
        Ok(())
    }

    /// Writes a value that is no table.
    #[inline]
    fn scalar(&mut self, at: i32, kind: Kind) -> Result<(), Raise> {
        match kind {
            Kind::String => self.string(at)?,
            Kind::Number => self.number(at)?,
            Kind::Boolean => {
                let text: &[u8] = if self.call.truth(at) {
                    b"true"
                } else {
                    b"false"
                };
                self.out.extend_from_slice(text);
            }
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::Light if self.call.is_null(at) => self.out.extend_from_slice(b"null"),
            _ => return Err(self.refuse(at, "type not supported")),
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self, at: i32) -> Result<(), Raise> {
        const PIECE: usize = 1 << 20;
        let bytes = self.call.bytes(at).unwrap_or_default();
        self.out.push(b'"');
        for piece in bytes.chunks(PIECE) {
            push_escaped(&mut self.out, piece);
            check_result(self.call, self.out.len(), TOO_LARGE)?;
        }
        self.out.push(b'"');
        Ok(())
    }

    #[inline]
    fn number(&mut self, at: i32) -> Result<(), Raise> {
        let n = self.call.number(at).unwrap_or(0.0);
        if !n.is_finite() {
            let text: &[u8] = match self.options.encode_invalid {
                Invalid::Refuse => return Err(self.refuse(at, "must not be NaN or Inf")),
                Invalid::Null => b"null",
                Invalid::Write if n.is_nan() => b"nan",
                Invalid::Write if n > 0.0 => b"inf",
                Invalid::Write => b"-inf",
            };
            self.out.extend_from_slice(text);
            return Ok(());
        }
        push_number(&mut self.out, n, self.options.precision as usize);
        Ok(())
    }
}

/// What stands for a byte of a string: itself (0), an escape's letter, or `u` for its number.
const ESCAPES: [u8; 256] = {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 32 {
        t[i] = b'u';
        i += 1;
    }
    t[0x7f] = b'u';
    t[0x08] = b'b';
    t[b'\t' as usize] = b't';
    t[b'\n' as usize] = b'n';
    t[0x0c] = b'f';
    t[b'\r' as usize] = b'r';
    t[b'"' as usize] = b'"';
    t[b'\\' as usize] = b'\\';
    t[b'/' as usize] = b'/';
    t
};

fn push_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(n) = bytes.iter().position(|b| ESCAPES[usize::from(*b)] != 0) {
        out.extend_from_slice(&bytes[..n]);
        let b = bytes[n];
        match ESCAPES[usize::from(b)] {
            b'u' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(b >> 4)]);
                out.push(DIGITS[usize::from(b & 15)]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        bytes = &bytes[n + 1..];
    }
    out.extend_from_slice(bytes);
}

/// Appends a finite number with at most `precision` (1 to 17) significant digits, as `%.*g` has it.
fn push_number(out: &mut Vec<u8>, n: f64, precision: usize) {
    const POWERS: [f64; 15] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
    ];
    let magnitude = n.abs();
    if magnitude < POWERS[precision.min(14)] {
        let whole = n as i64;
        if whole as f64 == n && (whole != 0 || n.is_sign_positive()) {
            push_ll(out, whole);
            return;
        }
        // What is a whole number of ten-thousandths, to the last bit: its digits are that number's.
        let scaled = magnitude * 1e4;
        if precision == 14 && (1.0..1e13).contains(&scaled) {
            let units = scaled as u64;
            if units as f64 == scaled && scaled / 1e4 == magnitude {
                if n < 0.0 {
                    out.push(b'-');
                }
                push_ll(out, (units / 10_000) as i64);
                push_decimals(out, units % 10_000);
                return;
            }
        }
    }
    push_general(out, n, precision);
}

/// Appends the point and ten-thousandths, at least one of them, without zeros at their end.
fn push_decimals(out: &mut Vec<u8>, decimals: u64) {
    let mut text = *b".0000";
    let mut rest = decimals;
    for place in (1..5).rev() {
        text[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let last = text.iter().rposition(|b| *b != b'0').unwrap_or(0);
    out.extend_from_slice(&text[..=last]);
}

#[cold]
fn push_general(out: &mut Vec<u8>, n: f64, precision: usize) {
    if n == 0.0 {
        out.extend_from_slice(if n.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    // One digit, a point and the others, an exponent; correctly rounded.
    let scientific = format!("{:.*e}", precision.max(1) - 1, n.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let significant = digits.iter().rposition(|b| *b != b'0').map_or(1, |i| i + 1);
    let digits = &digits[..significant.min(digits.len())];
    if n < 0.0 {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= precision as i32 {
        out.extend_from_slice(&digits[..1]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    } else if exponent < 0 {
        out.extend_from_slice(&b"0.000"[..1 + exponent.unsigned_abs() as usize]);
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        out.extend(std::iter::repeat_n(
            b'0',
            whole.saturating_sub(digits.len()),
        ));
        if digits.len() > whole {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

// Decoding ------------------------------------------------------------------------------------------------------------------

fn decode<H: LibraryHost, P: Place>(call: &mut Call<H>) -> Returned {
    let options = begin::<H, P>(call)?;
    check_string(call, 1)?;
    let mut buffers = std::mem::take(&mut call.host().library_state().buffers);
    let text = call.bytes(1).unwrap_or_default();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        call.host().library_state().buffers = buffers;
        return Err(Raise::text("JSON parser does not support UTF-16 or UTF-32"));
    }
    // A copy, since the machine's strings are lent for no longer than its stack is left alone. It ends at the first zero, as the
    // text does for upstream.
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    buffers.input.extend_from_slice(&text[..end]);
    let mut decoder = Decoder {
        call,
        options: &options,
        text: &buffers.input,
        at: 0,
        unescaped: std::mem::take(&mut buffers.output),
        pace: Pace::new(),
    };
    let done = decoder.run();
    let unescaped = decoder.unescaped;
    let kept = &mut call.host().library_state().buffers;
    keep(&mut kept.output, unescaped);
    keep(&mut kept.input, buffers.input);
    kept.choices = buffers.choices;
    done.map(|()| 1)
}

struct Decoder<'a, 'b, H> {
    call: &'a mut Call<'b, H>,
    options: &'a Options,
    text: &'a [u8],
    at: usize,
    /// A string that has escapes, without them.
    unescaped: Vec<u8>,
    pace: Pace,
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Where it stands in the text.
    Plain(usize, usize),
    /// It is in `unescaped`.
    Unescaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// As errors call it.
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Plain(..) | Token::Unescaped => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(what) => what,
        }
    }
}

/// A table that is being read; its place, and how many elements it has.
struct Unfinished {
    table: i32,
    elements: usize,
    object: bool,
}

/// Elements that a table that is not empty has room for at first: what it would have to grow by otherwise, one step after the other.
const FIRST_ELEMENTS: usize = 4;

const INVALID_NUMBER: Token = Token::Error("invalid number");
const INVALID_TOKEN: Token = Token::Error("invalid token");

impl<H: LibraryHost> Decoder<'_, '_, H> {
    /// Pushes the value that the text is.
    fn run(&mut self) -> Result<(), Raise> {
        let mut open: Vec<Unfinished> = Vec::new();
        let (mut token, mut begin) = self.token();
        loop {
            // A value.
            match token {
                Token::Plain(from, to) => self.call.push_bytes(&self.text[from..to]),
                Token::Unescaped => self.call.push_bytes(&self.unescaped),
                Token::Number(n) => self.call.push_number(n),
                Token::Boolean(b) => self.call.push_bool(b),
                Token::Null => self.call.push_null(),
                Token::ObjectBegin | Token::ArrayBegin => {
                    let object = matches!(token, Token::ObjectBegin);
                    let depth = open.len() + 1;
                    if depth > self.options.decode_max_depth as usize
                        || !self.call.has_room(if object { 3 } else { 2 })
                    {
                        return Err(Raise::text(format!(
                            "Found too many nested data structures ({depth}) at character {}",
                            self.at
                        )));
                    }
                    (token, begin) = self.token();
                    let empty = matches!(
                        (object, &token),
                        (true, Token::ObjectEnd) | (false, Token::ArrayEnd)
                    );
                    match (empty, object) {
                        (true, _) => self.call.push_table(0, 0),
                        (false, true) => self.call.push_table(0, FIRST_ELEMENTS),
                        (false, false) => self.call.push_table(FIRST_ELEMENTS, 0),
                    }
                    if !empty {
                        open.push(Unfinished {
                            table: self.call.top(),
                            elements: 0,
                            object,
                        });
                        if object {
                            (token, begin) = self.object_key(token, begin)?;
                        }
                        continue;
                    }
                }
                _ => return Err(unexpected("value", &token, begin)),
            }
            // The value is on top.
            loop {
                self.pace.step(self.call, 1)?;
                let Some(last) = open.last_mut() else {
                    (token, begin) = self.token();
                    return match token {
                        Token::End => Ok(()),
                        _ => Err(unexpected("the end", &token, begin)),
                    };
                };
                last.elements += 1;
                if last.elements > MAX_ELEMENTS {
                    return Err(Raise::text("table overflow"));
                }
                if last.object {
                    self.call.set_raw(last.table);
                    (token, begin) = self.token();
                    match token {
                        Token::Comma => {
                            (token, begin) = self.token();
                            (token, begin) = self.object_key(token, begin)?;
                            break;
                        }
                        Token::ObjectEnd => {}
                        _ => return Err(unexpected("comma or object end", &token, begin)),
                    }
                } else {
                    self.call.set_raw_index(last.table, last.elements as i32);
                    (token, begin) = self.token();
                    match token {
                        Token::Comma => {
                            (token, begin) = self.token();
                            break;
                        }
                        Token::ArrayEnd => {}
                        _ => return Err(unexpected("comma or array end", &token, begin)),
                    }
                }
                open.pop();
            }
        }
    }

    /// Pushes the key that `token` is; returns the first token of its value.
    #[inline]
    fn object_key(&mut self, token: Token, begin: usize) -> Result<(Token, usize), Raise> {
        match token {
            Token::Plain(from, to) => self.call.push_bytes(&self.text[from..to]),
            Token::Unescaped => self.call.push_bytes(&self.unescaped),
            _ => return Err(unexpected("object key string", &token, begin)),
        }
        match self.token() {
            (Token::Colon, _) => Ok(self.token()),
            (token, begin) => Err(unexpected("colon", &token, begin)),
        }
    }

    /// The next token, and where it is (an error: where the error is).
    #[inline]
    fn token(&mut self) -> (Token, usize) {
        let first = loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b) => break *b,
                None => return (Token::End, self.at),
            }
        };
        let begin = self.at;
        let token = match first {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                let token = self.string();
                let at = match token {
                    Token::Error(_) => self.at,
                    _ => begin,
                };
                return (token, at);
            }
            b'-' | b'0'..=b'9' => return (self.number(), begin),
            _ => return (self.word(first), begin),
        };
        self.at += 1;
        (token, begin)
    }

    #[inline]
    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// A token that begins with a letter or a plus.
    fn word(&mut self, first: u8) -> Token {
        for (text, token) in [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ] {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return token;
            }
        }
        let may_be_number = matches!(first, b'+' | b'i' | b'I' | b'n' | b'N');
        if may_be_number && self.options.decode_invalid && is_invalid_number(self.rest()) {
            return self.any_number();
        }
        INVALID_TOKEN
    }

    /// A token that begins with a digit or a minus.
    #[inline]
    fn number(&mut self) -> Token {
        let rest = self.rest();
        // Up to fifteen digits, with a point or without one, are exact, and so is their one division.
        let negative = rest[0] == b'-';
        let mut i = usize::from(negative);
        let first = i;
        let mut digits = 0u64;
        while let Some(b @ b'0'..=b'9') = rest.get(i).copied() {
            if i - first >= 15 {
                return self.odd_number();
            }
            digits = digits * 10 + u64::from(b - b'0');
            i += 1;
        }
        let whole = i - first;
        let leading_zero = whole > 1 && rest[first] == b'0';
        if whole == 0 || leading_zero {
            return self.odd_number();
        }
        let mut decimals = 0;
        if rest.get(i) == Some(&b'.') {
            i += 1;
            let point = i;
            while let Some(b @ b'0'..=b'9') = rest.get(i).copied() {
                if whole + i - point >= 15 {
                    return self.odd_number();
                }
                digits = digits * 10 + u64::from(b - b'0');
                i += 1;
            }
            decimals = i - point;
        }
        if let Some(b'e' | b'E' | b'x' | b'X') = rest.get(i) {
            return self.odd_number();
        }
        const POWERS: [f64; 16] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        ];
        let magnitude = match decimals {
            0 => digits as f64,
            n => digits as f64 / POWERS[n.min(15)],
        };
        self.at += i;
        Token::Number(if negative { -magnitude } else { magnitude })
    }

    #[cold]
    fn odd_number(&mut self) -> Token {
        if !self.options.decode_invalid && is_invalid_number(self.rest()) {
            return INVALID_NUMBER;
        }
        self.any_number()
    }

    fn any_number(&mut self) -> Token {
        let number = strtod(self.rest());
        if number.len == 0 {
            return INVALID_NUMBER;
        }
        self.at += number.len;
        Token::Number(number.value)
    }

    /// A string; an error leaves the place where it is.
    #[inline]
    fn string(&mut self) -> Token {
        let begin = self.at + 1;
        let mut at = begin;
        loop {
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Token::Plain(begin, at);
                }
                Some(b'\\') => break,
                Some(_) => at += 1,
                None => {
                    self.at = at;
                    return Token::Error("unexpected end of string");
                }
            }
        }
        self.unescaped.clear();
        self.unescaped.extend_from_slice(&self.text[begin..at]);
        self.at = at;
        self.escaped_string()
    }

    /// The rest of a string, from its first escape on.
    fn escaped_string(&mut self) -> Token {
        loop {
            let rest = &self.text[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            self.unescaped.extend_from_slice(&rest[..plain]);
            self.at += plain;
            let rest = &rest[plain..];
            let escaped = match rest {
                [] => return Token::Error("unexpected end of string"),
                [b'"', ..] => {
                    self.at += 1;
                    return Token::Unescaped;
                }
                [_, b @ (b'"' | b'\\' | b'/'), ..] => *b,
                [_, b'b', ..] => 0x08,
                [_, b't', ..] => b'\t',
                [_, b'n', ..] => b'\n',
                [_, b'f', ..] => 0x0c,
                [_, b'r', ..] => b'\r',
                [_, b'u', ..] => match unicode_escape(rest) {
                    Some((c, len)) => {
                        let mut utf8 = [0; 4];
                        self.unescaped
                            .extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
                        self.at += len;
                        continue;
                    }
                    None => return Token::Error("invalid unicode escape code"),
                },
                _ => return Token::Error("invalid escape code"),
            };
            self.unescaped.push(escaped);
            self.at += 2;
        }
    }
}

#[cold]
fn unexpected(expected: &str, found: &Token, at: usize) -> Raise {
    Raise::text(format!(
        "Expected {expected} but found {} at character {}",
        found.name(),
        at + 1
    ))
}

/// The character of an escape `\uXXXX`, or of two that are a surrogate pair, and its length. None: it is malformed, or half a
/// pair.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let hex = text.get(at..at + 4)?;
        hex.iter()
            .try_fold(0u32, |v, b| Some(v << 4 | (*b as char).to_digit(16)?))
    };
    let first = unit(2)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    if first >= 0xdc00 || text.get(6..8) != Some(b"\\u") {
        return None;
    }
    let second = unit(8)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let c = 0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff);
    Some((char::from_u32(c)?, 12))
}

/// Whether what begins here, although it may read as a number, is none in JSON: a plus, hex, leading zeros, NaN, infinities.
fn is_invalid_number(text: &[u8]) -> bool {
    if text.first() == Some(&b'+') {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text {
        [b'0', next, ..] => matches!(next, b'x' | b'X' | b'0'..=b'9'),
        [first, ..] if *first <= b'9' => false,
        _ => text
            .get(..3)
            .is_some_and(|t| t.eq_ignore_ascii_case(b"inf") || t.eq_ignore_ascii_case(b"nan")),
    }
}

#[cfg(test)]
pub(super) fn number_text(n: f64, precision: usize) -> Vec<u8> {
    let mut out = Vec::new();
    push_number(&mut out, n, precision);
    out
}
