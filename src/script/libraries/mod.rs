//! The libraries that scripts see and the machine does not have: cjson, cmsgpack, struct, the string functions that match
//! patterns or repeat, and the random numbers.
//!
//! Each file's `open` pushes one table of raw functions. A raw function never raises: its results are those of the script's
//! function, or the mark and an error (see `lua`). Lua code of ours stands between it and the script, one frame, and raises what
//! follows the mark; the names in argument errors are those by which that frame was called.
//!
//! Invariants: no function recurses without a bound, nothing that a script builds is longer than [`MAX_RESULT`], and whatever may
//! take long asks [`Pace`] now and then.
//! Must not know: Redis, the server, what else scripts may call.

pub(crate) mod cjson;
pub(crate) mod cmsgpack;
mod format;
pub(crate) mod random;
pub(crate) mod string;
pub(crate) mod structs;

#[cfg(test)]
mod cjson_tests;
#[cfg(test)]
mod cmsgpack_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod string_tests;
#[cfg(test)]
mod structs_tests;
#[cfg(test)]
pub(crate) mod testing;

use super::lua::{Call, Kind, NOT_ENOUGH_MEMORY, Raise, Verdict, is_due};

/// Bytes that a string may have that one of these functions makes: as many as a value of the server.
pub(crate) const MAX_RESULT: usize = 512 << 20;

/// Elements that a table may have that one of these functions fills: the machine's own limit would raise.
const MAX_ELEMENTS: usize = 1 << 26;

/// Slots of the stack that a function may use (LUAI_MAXCSTACK): what nests deeper is refused.
const STACK_SLOTS: usize = 8000;

/// Calls of Lua code by these functions that may be under way at once (LUAI_MAXCCALLS): each has frames of ours.
const MAX_NESTED: u32 = 200;

/// Bytes of a buffer that is kept from one call to the next.
const KEPT_BYTES: usize = 64 << 10;

/// What the libraries ask of the host of their machine.
pub(crate) trait LibraryHost {
    fn library_state(&mut self) -> &mut LibraryState;
}

/// What the libraries remember between calls.
#[derive(Debug, Default)]
pub(crate) struct LibraryState {
    json: cjson::Options,
    random: random::Random,
    /// What the random numbers would have gone on with, had the script not seeded them.
    random_before_seed: Option<random::Random>,
    /// The options have changed, or the random numbers were seeded, since the last reset.
    dirty: bool,
    /// Calls of Lua code by these functions that are under way.
    nested: u32,
    buffers: Buffers,
}

/// Kept for their memory only: empty between calls, and while they are lent.
#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    choices: Vec<string::Choice>,
}

impl LibraryState {
    /// What one script has set, no other finds: the options are as at first, and the random numbers go on as if nobody had
    /// seeded them.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if self.dirty {
            self.json = cjson::Options::default();
            if let Some(before) = self.random_before_seed.take() {
                self.random = before;
            }
            self.dirty = false;
        }
    }

    /// Bytes that are held between calls.
    #[cfg(test)]
    fn kept_bytes(&self) -> usize {
        let choices = self.buffers.choices.capacity() * size_of::<string::Choice>();
        self.buffers.input.capacity() + self.buffers.output.capacity() + choices
    }

    /// Random numbers from `seed` on, for scripts that have to draw the same ones wherever they run. They stay so.
    pub(crate) fn seed_random(&mut self, seed: i32) {
        self.random = random::Random::seeded(seed);
    }
}

/// Gives a buffer back, unless it has grown too large to keep.
fn keep(place: &mut Vec<u8>, mut buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT_BYTES {
        buffer.clear();
        *place = buffer;
    }
}

/// Counts the steps of what may take long, and lets others have their turn once the script is due.
#[derive(Debug)]
struct Pace {
    left: u32,
}

impl Pace {
    const STEPS: u32 = 4096;

    fn new() -> Pace {
        Pace { left: Pace::STEPS }
    }

    /// `steps` more are done. An error: the script is to end.
    #[inline]
    fn step<H: LibraryHost>(&mut self, call: &mut Call<H>, steps: u32) -> Result<(), Raise> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = Pace::STEPS;
                if call.is_over_limit() {
                    return Err(Raise::text(NOT_ENOUGH_MEMORY));
                }
                if is_due() { interrupt(call) } else { Ok(()) }
            }
        }
    }
}

/// Whether a result of `len` bytes can be had; `too_large` is the error of one beyond [`MAX_RESULT`].
#[inline]
fn check_result<H>(call: &Call<H>, len: usize, too_large: &str) -> Result<(), Raise> {
    if len > MAX_RESULT {
        return Err(Raise::text(too_large));
    }
    if len > call.room() && call.lacks(len) {
        return Err(Raise::text(NOT_ENOUGH_MEMORY));
    }
    Ok(())
}

/// Serves others while a due script runs one of our functions. An error: the script is to end; its text is seen by nobody.
#[cold]
fn interrupt<H: LibraryHost>(call: &mut Call<H>) -> Result<(), Raise> {
    match call.interrupt() {
        Verdict::Continue => Ok(()),
        Verdict::Kill => Err(Raise::text("killed")),
    }
}

// Arguments, and what upstream's auxiliary library says of wrong ones ---------------------------------------------------------

/// What names begin with that scripts' texts have for functions of a library; the function's own name follows.
pub(crate) const LOCALS_PREFIX: &str = "_redis_";

/// The error of argument `n` (luaL_argerror).
#[cold]
fn argument_error<H>(call: &Call<H>, n: usize, what: &str) -> Raise {
    // One frame up is the Lua code between the script and the raw function.
    let name = call.function_name(1).unwrap_or_else(|| b"?".to_vec());
    // Ours stand for functions whose own names follow.
    let name = name.strip_prefix(LOCALS_PREFIX.as_bytes()).unwrap_or(&name);
    let mut text = format!("bad argument #{n} to '").into_bytes();
    text.extend_from_slice(name);
    text.extend_from_slice(format!("' ({what})").as_bytes());
    Raise::Text(text)
}

/// The error of argument `n` that has another type (luaL_typerror).
#[cold]
fn type_error<H>(call: &Call<H>, n: i32, expected: &str) -> Raise {
    let what = format!("{expected} expected, got {}", call.kind_name(n));
    argument_error(call, n as usize, &what)
}

/// Sees to it that argument `n` is a string: a number becomes one in its place (luaL_checklstring). No error: it may be read with
/// `Stack::bytes`.
#[inline]
fn check_string<H>(call: &mut Call<H>, n: i32) -> Result<(), Raise> {
    match call.kind(n) {
        Kind::String => Ok(()),
        Kind::Number => {
            call.to_bytes(n);
            Ok(())
        }
        _ => Err(type_error(call, n, "string")),
    }
}

/// luaL_checknumber.
fn check_number<H>(call: &Call<H>, n: i32) -> Result<f64, Raise> {
    call.number(n).ok_or_else(|| type_error(call, n, "number"))
}

/// luaL_checkinteger.
fn check_integer<H>(call: &Call<H>, n: i32) -> Result<i64, Raise> {
    check_number(call, n).map(to_i64)
}

/// luaL_checkint: the lower half of the integer.
fn check_int<H>(call: &Call<H>, n: i32) -> Result<i32, Raise> {
    check_integer(call, n).map(|v| v as i32)
}

/// luaL_optinteger.
fn optional_integer<H>(call: &Call<H>, n: i32, default: i64) -> Result<i64, Raise> {
    match call.kind(n) {
        Kind::Nil => Ok(default),
        _ => check_integer(call, n),
    }
}

/// A double as the processor makes an integer of it: what does not fit, and NaN, is the lowest.
#[inline]
fn to_i64(n: f64) -> i64 {
    const LIMIT: f64 = (1u64 << 63) as f64;
    if (-LIMIT..LIMIT).contains(&n) {
        n as i64
    } else {
        i64::MIN
    }
}

/// A double as compilers have the processor make an unsigned integer of it: a negative one wraps, one that is too large is 0.
fn to_u64(n: f64) -> u64 {
    const LIMIT: f64 = (1u64 << 63) as f64;
    if n >= LIMIT {
        to_i64(n - LIMIT) as u64 ^ 1 << 63
    } else {
        to_i64(n) as u64
    }
}

/// A double as an `int`: what does not fit, and NaN, is the lowest.
#[inline]
fn to_i32(n: f64) -> i32 {
    // The fraction is cut before the range is judged.
    if n > -2_147_483_649.0 && n < 2_147_483_648.0 {
        n as i32
    } else {
        i32::MIN
    }
}
