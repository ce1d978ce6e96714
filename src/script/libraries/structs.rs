//! `struct`: numbers and strings to the bytes of C structures and back.
//!
//! Answers to lua_struct.c, also where it lets more pass than it documents: integers of up to 32 bytes, alignment to sizes that are
//! no powers of 2, characters of a format that `size` does not know.

use super::super::lua::{Call, Lua, Raise, Returned};
use super::{
    LibraryHost, Pace, argument_error, check_number, check_result, check_string, optional_integer,
    to_u64,
};

/// Bytes of an integer at most.
const MAX_INTEGER: i32 = 32;
/// What `!` alone aligns to.
const MAX_ALIGN: i32 = 8;

/// Pushes the table of the library.
pub(crate) fn open<H: LibraryHost>(lua: &mut Lua<H>) {
    lua.push_table(0, 3);
    let t = lua.top();
    lua.push_function(pack::<H>);
    lua.set_raw_field(t, b"pack");
    lua.push_function(unpack::<H>);
    lua.set_raw_field(t, b"unpack");
    lua.push_function(size::<H>);
    lua.set_raw_field(t, b"size");
}

/// A format on its way, and what its controls have set.
struct Format {
    text: Vec<u8>,
    at: usize,
    big: bool,
    align: i32,
}

/// One option of a format.
#[derive(Clone, Copy)]
struct Item {
    option: u8,
    /// Bytes; 0 for `s`, `c0` and what is no item.
    size: usize,
}

impl Format {
    /// The first argument, to its first zero.
    fn new<H>(call: &mut Call<H>) -> Result<Format, Raise> {
        check_string(call, 1)?;
        let bytes = call.bytes(1).unwrap_or_default();
        let text = bytes.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        Ok(Format {
            text,
            at: 0,
            big: false,
            align: 1,
        })
    }

    /// The number that stands here, if one does.
    fn number(&mut self, default: i32) -> Result<i32, Raise> {
        let mut value = None;
        while let Some(b @ b'0'..=b'9') = self.text.get(self.at).copied() {
            let next = value
                .unwrap_or(0i32)
                .checked_mul(10)
                .and_then(|v| v.checked_add(i32::from(b - b'0')));
            value = Some(next.ok_or_else(|| Raise::text("integral size overflow"))?);
            self.at += 1;
        }
        Ok(value.unwrap_or(default))
    }

    fn next(&mut self) -> Result<Option<Item>, Raise> {
        let Some(option) = self.text.get(self.at).copied() else {
            return Ok(None);
        };
        self.at += 1;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MAX_INTEGER {
                    return Err(Raise::text(format!(
                        "integral size {size} is larger than limit of {MAX_INTEGER}"
                    )));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Item {
            option,
            size: size as usize,
        }))
    }

    /// Bytes to fill up at `position` before an item.
    fn padding(&self, position: usize, item: Item) -> usize {
        if item.size == 0 || item.option == b'c' {
            return 0;
        }
        let size = item.size.min(self.align as usize);
        (size.wrapping_sub(position & (size - 1))) & (size - 1)
    }

    /// What is no item: sets byte order and alignment.
    fn control<H>(&mut self, call: &Call<H>, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.number(MAX_ALIGN)?;
                if align <= 0 || !(align as u32).is_power_of_two() {
                    let text = format!("alignment {align} is not a power of 2");
                    return Err(Raise::text(text));
                }
                self.align = align;
            }
            _ => {
                // The byte as it is: the text of an error need not be UTF-8.
                return Err(
                    match argument_error(call, 1, "invalid format option '\u{1}'") {
                        Raise::Text(text) => Raise::Text(
                            text.into_iter()
                                .map(|b| if b == 1 { option } else { b })
                                .collect(),
                        ),
                        other => other,
                    },
                );
            }
        }
        Ok(())
    }

    /// Appends bytes that are in the order of small ends.
    fn push_ordered(&self, out: &mut Vec<u8>, little: &[u8]) {
        let begin = out.len();
        out.extend_from_slice(little);
        if self.big {
            out[begin..].reverse();
        }
    }
}

fn pack<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let mut format = Format::new(call)?;
    // Upstream's mark above the arguments: the first that is missing is nil, as its error says.
    call.push_nil();
    let mut out = Vec::new();
    let mut arg = 2;
    let mut pace = Pace::new();
    while let Some(item) = format.next()? {
        pace.step(call, 1)?;
        out.resize(out.len() + format.padding(out.len(), item), 0);
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let value = to_u64(check_number(call, arg)?);
                let mut bytes = [0; MAX_INTEGER as usize];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                format.push_ordered(&mut out, &bytes[..item.size]);
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let n = check_number(call, arg)? as f32;
                format.push_ordered(&mut out, &n.to_le_bytes());
                arg += 1;
            }
            b'd' => {
                let n = check_number(call, arg)?;
                format.push_ordered(&mut out, &n.to_le_bytes());
                arg += 1;
            }
            b'c' | b's' => {
                check_string(call, arg)?;
                let bytes = call.bytes(arg).unwrap_or_default();
                arg += 1;
                let size = match item.size {
                    0 => bytes.len(),
                    size => size,
                };
                let Some(bytes) = bytes.get(..size) else {
                    // The number is the next one's, as upstream has it.
                    return Err(argument_error(call, arg as usize, "string too short"));
                };
                out.extend_from_slice(bytes);
                if item.option == b's' {
                    out.push(0);
                }
            }
            option => format.control(call, option)?,
        }
        check_result(call, out.len(), "resulting string too large")?;
    }
    call.push_bytes(&out);
    Ok(1)
}

/// The integer in `bytes`: of more than eight, the lowest. The sign of such a long one is taken where the processor takes it for
/// upstream, whose shift is then by too much.
fn integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let add = |v: u64, b: &u8| v << 8 | u64::from(*b);
    let mut value = if big {
        bytes.iter().fold(0, add)
    } else {
        bytes.iter().rev().fold(0, add)
    };
    if !signed {
        return value as f64;
    }
    let sign = u64::MAX << ((8 * bytes.len()).wrapping_sub(1) % 64);
    if value & sign != 0 {
        value |= sign;
    }
    value as i64 as f64
}

fn unpack<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let mut format = Format::new(call)?;
    check_string(call, 2)?;
    let len = call.len(2);
    // A negative one is beyond every string.
    let position = optional_integer(call, 3, 1)? as usize;
    if position == 0 {
        return Err(argument_error(call, 3, "offset must be 1 or greater"));
    }
    let mut position = position - 1;
    // What is read stands above the arguments; a string is copied from its place below.
    let below = call.top();
    let mut pace = Pace::new();
    let mut copy = Vec::new();
    while let Some(item) = format.next()? {
        pace.step(call, 1)?;
        position = position.wrapping_add(format.padding(position, item));
        let mut size = item.size;
        let fits = |position: usize, size: usize| size <= len && position <= len - size;
        if !fits(position, size) {
            return Err(argument_error(call, 2, "data string too short"));
        }
        if !call.has_room(2) {
            return Err(Raise::text("stack overflow (too many results)"));
        }
        let data = |size: usize| {
            let data = call.bytes(2).unwrap_or_default();
            data.get(position..position + size).unwrap_or_default()
        };
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let signed = item.option.is_ascii_lowercase();
                let n = integer(data(size), format.big, signed);
                call.push_number(n);
            }
            b'x' => {}
            b'f' => {
                let mut bytes: [u8; 4] = data(4).try_into().unwrap_or_default();
                if format.big {
                    bytes.reverse();
                }
                call.push_number(f64::from(f32::from_le_bytes(bytes)));
            }
            b'd' => {
                let mut bytes: [u8; 8] = data(8).try_into().unwrap_or_default();
                if format.big {
                    bytes.reverse();
                }
                call.push_number(f64::from_le_bytes(bytes));
            }
            b'c' => {
                if size == 0 {
                    let before = match call.top() > below {
                        true => call.number(-1),
                        false => None,
                    };
                    let Some(n) = before else {
                        return Err(Raise::text("format 'c0' needs a previous size"));
                    };
                    call.pop(1);
                    size = to_u64(n) as usize;
                    if !fits(position, size) {
                        return Err(argument_error(call, 2, "data string too short"));
                    }
                }
                push_part(call, &mut copy, position, size);
            }
            b's' => {
                let rest = data(len - position);
                let Some(end) = memchr::memchr(0, rest) else {
                    return Err(Raise::text("unfinished string in data"));
                };
                push_part(call, &mut copy, position, end);
                size = end + 1;
            }
            option => format.control(call, option)?,
        }
        position += size;
    }
    call.push_number(position.wrapping_add(1) as i64 as f64);
    Ok((call.top() - below) as usize)
}

/// Pushes a part of the data.
fn push_part<H>(call: &mut Call<H>, copy: &mut Vec<u8>, position: usize, size: usize) {
    copy.clear();
    let data = call.bytes(2).unwrap_or_default();
    copy.extend_from_slice(data.get(position..position + size).unwrap_or_default());
    call.push_bytes(copy);
}

fn size<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let mut format = Format::new(call)?;
    let mut position = 0usize;
    let mut pace = Pace::new();
    while let Some(item) = format.next()? {
        pace.step(call, 1)?;
        position = position.wrapping_add(format.padding(position, item));
        match (item.option, item.size) {
            (b's', _) => return Err(argument_error(call, 1, "option 's' has no fixed size")),
            (b'c', 0) => return Err(argument_error(call, 1, "option 'c0' has no fixed size")),
            (option, _) if !option.is_ascii_alphanumeric() => format.control(call, option)?,
            _ => {}
        }
        position = position.wrapping_add(item.size);
    }
    call.push_number(position as i64 as f64);
    Ok(1)
}
