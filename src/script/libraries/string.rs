//! The string functions that match patterns, and `rep`.
//!
//! Answers to lstrlib.c of Lua 5.1, whose patterns end at the first zero. A match does not recurse: what it may come back to is
//! kept in a list, so that it can stop in the middle, let others have their turn, and go on.

use memchr::{memchr, memmem};

use super::super::lua::{Call, Kind, Lua, Raise, Returned, is_due};
use super::{
    LibraryHost, MAX_NESTED, argument_error, check_number, check_result, check_string, interrupt,
    keep, optional_integer, to_i64, type_error,
};

/// Captures of a pattern at most (LUA_MAXCAPTURES).
const MAX_CAPTURES: usize = 32;
/// Items of a pattern that may be open at once.
const MAX_CHOICES: usize = 1 << 16;

/// Pushes the table of `find`, `match`, `gsub`, `rep`, and of two functions of which Lua code of ours makes `gmatch`: `gmatch`
/// returns the subject and the pattern as strings; `gmatch_step` takes both and a table, whose first element is the place where the
/// next match may begin (0 at first), changes that, and returns the captures, or nothing at the end.
pub(crate) fn open<H: LibraryHost>(lua: &mut Lua<H>) {
    lua.push_table(0, 8);
    let t = lua.top();
    lua.push_function(super::format::format::<H>);
    lua.set_raw_field(t, b"format");
    lua.push_function(find::<H>);
    lua.set_raw_field(t, b"find");
    lua.push_function(match_::<H>);
    lua.set_raw_field(t, b"match");
    lua.push_function(gsub::<H>);
    lua.set_raw_field(t, b"gsub");
    lua.push_function(rep::<H>);
    lua.set_raw_field(t, b"rep");
    lua.push_function(gmatch::<H>);
    lua.set_raw_field(t, b"gmatch");
    lua.push_function(gmatch_step::<H>);
    lua.set_raw_field(t, b"gmatch_step");
}

// The matcher ---------------------------------------------------------------------------------------------------------------

/// What a match comes back to when it does not go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// `*` and `+`: `count` repetitions were taken from `s` on; one less, and on with `p`.
    Fewer { s: u32, count: u32, p: u32 },
    /// `-`: one more repetition of the item from `p` to `end`, at `s`.
    OneMore { s: u32, p: u32, end: u32 },
    /// `?`: without the item, on with `p` at `s`.
    Without { s: u32, p: u32 },
    /// The last capture was opened.
    Opened,
    /// This capture was closed.
    Closed(u8),
}

/// A part of the subject.
#[derive(Clone, Copy, Debug)]
struct Capture {
    start: u32,
    len: u32,
}

/// In place of a length: not closed yet; a position.
const UNFINISHED: u32 = u32::MAX;
const POSITION: u32 = u32::MAX - 1;

/// Where a search stands. It knows subject and pattern by offsets only.
#[derive(Debug)]
struct Matcher {
    /// The pattern's length, to its first zero.
    pattern_len: usize,
    level: usize,
    captures: [Capture; MAX_CAPTURES],
    choices: Vec<Choice>,
    /// Where the match begins.
    start: usize,
    s: usize,
    p: usize,
    /// The last item did not match: the next choice is to be taken.
    failed: bool,
    /// Steps since it was last asked whether the script is due.
    steps: usize,
}

enum Ran {
    /// Up to there.
    Matched(usize),
    Failed,
    /// The script is due: others are to have their turn before the next step.
    Due,
}

fn malformed(what: &str) -> Raise {
    Raise::text(format!("malformed pattern ({what})"))
}

/// The byte of a pattern, or of the subject, at a place; 0 at its end.
#[inline]
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Where the single-character item at `p` ends.
#[inline]
fn item_end(pattern: &[u8], p: usize) -> Result<usize, Raise> {
    match byte(pattern, p) {
        b'%' => {
            if p + 1 >= pattern.len() {
                return Err(malformed("ends with '%'"));
            }
            Ok(p + 2)
        }
        b'[' => {
            let mut p = p + 1;
            if byte(pattern, p) == b'^' {
                p += 1;
            }
            // What comes first is no end.
            loop {
                match pattern.get(p) {
                    None => return Err(malformed("missing ']'")),
                    Some(b'%') if p + 1 < pattern.len() => p += 2,
                    Some(_) => p += 1,
                }
                if byte(pattern, p) == b']' {
                    return Ok(p + 1);
                }
            }
        }
        _ => Ok(p + 1),
    }
}

/// Whether a byte is of the class that a letter names; what is no class's letter stands for itself.
fn in_class(c: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => c.is_ascii_alphabetic(),
        b'c' => c.is_ascii_control(),
        b'd' => c.is_ascii_digit(),
        b'l' => c.is_ascii_lowercase(),
        b'p' => c.is_ascii_punctuation(),
        b's' => matches!(c, b' ' | 0x09..=0x0d),
        b'u' => c.is_ascii_uppercase(),
        b'w' => c.is_ascii_alphanumeric(),
        b'x' => c.is_ascii_hexdigit(),
        b'z' => c == 0,
        _ => return class == c,
    };
    is == class.is_ascii_lowercase()
}

/// Whether a byte is in the set that begins at `p` and whose bracket closes at `close`.
fn in_set(c: u8, pattern: &[u8], p: usize, close: usize) -> bool {
    let mut p = p;
    let negated = byte(pattern, p + 1) == b'^';
    if negated {
        p += 1;
    }
    loop {
        p += 1;
        if p >= close {
            return negated;
        }
        let first = byte(pattern, p);
        if first == b'%' {
            p += 1;
            if in_class(c, byte(pattern, p)) {
                return !negated;
            }
        } else if byte(pattern, p + 1) == b'-' && p + 2 < close {
            p += 2;
            if (first..=byte(pattern, p)).contains(&c) {
                return !negated;
            }
        } else if first == c {
            return !negated;
        }
    }
}

/// Whether a byte matches the item from `p` to `end`.
#[inline]
fn matches_item(c: u8, pattern: &[u8], p: usize, end: usize) -> bool {
    match byte(pattern, p) {
        b'.' => true,
        b'%' => in_class(c, byte(pattern, p + 1)),
        b'[' => in_set(c, pattern, p, end - 1),
        literal => literal == c,
    }
}

/// How many bytes from the subject's front match the item.
fn repetitions(subject: &[u8], pattern: &[u8], p: usize, end: usize) -> usize {
    match byte(pattern, p) {
        b'.' => Some(subject.len()),
        b'%' => {
            let class = byte(pattern, p + 1);
            subject.iter().position(|c| !in_class(*c, class))
        }
        b'[' => subject
            .iter()
            .position(|c| !in_set(*c, pattern, p, end - 1)),
        literal => subject.iter().position(|c| *c != literal),
    }
    .unwrap_or(subject.len())
}

/// The byte that every match begins with, if the pattern says so.
fn first_byte(pattern: &[u8], p: usize) -> Option<u8> {
    let first = byte(pattern, p);
    let literal = !matches!(first, 0 | b'(' | b')' | b'%' | b'.' | b'[' | b'$');
    (literal && !matches!(byte(pattern, p + 1), b'*' | b'?' | b'-')).then_some(first)
}

impl Matcher {
    fn new(pattern_len: usize, choices: Vec<Choice>) -> Matcher {
        Matcher {
            pattern_len,
            level: 0,
            captures: [Capture { start: 0, len: 0 }; MAX_CAPTURES],
            choices,
            start: 0,
            s: 0,
            p: 0,
            failed: false,
            steps: 0,
        }
    }

    /// The next step is the first of a match at `start`, of the pattern from `p` on.
    fn begin(&mut self, start: usize, p: usize) {
        self.level = 0;
        self.choices.clear();
        self.start = start;
        self.s = start;
        self.p = p;
        self.failed = false;
    }

    /// Goes on with a match at `start`, or at a later place where it need not be there.
    fn search(&mut self, subject: &[u8], pattern: &[u8], anchored: bool) -> Result<Ran, Raise> {
        let first = if anchored { 1 } else { 0 };
        let literal = if anchored {
            None
        } else {
            first_byte(pattern, first)
        };
        loop {
            match self.run(subject, pattern)? {
                Ran::Failed => {}
                ran => return Ok(ran),
            }
            if anchored || self.start >= subject.len() {
                return Ok(Ran::Failed);
            }
            let mut start = self.start + 1;
            if let Some(literal) = literal {
                let Some(skip) = memchr(literal, &subject[start..]) else {
                    return Ok(Ran::Failed);
                };
                start += skip;
                self.steps += skip / 64;
            }
            self.begin(start, first);
        }
    }

    fn choose(&mut self, choice: Choice) -> Result<(), Raise> {
        if self.choices.len() >= MAX_CHOICES {
            return Err(Raise::text("pattern too complex"));
        }
        self.choices.push(choice);
        Ok(())
    }

    fn run(&mut self, subject: &[u8], pattern: &[u8]) -> Result<Ran, Raise> {
        const STEPS: usize = 4096;
        loop {
            self.steps += 1;
            if self.steps >= STEPS {
                self.steps = 0;
                if is_due() {
                    return Ok(Ran::Due);
                }
            }
            if self.failed {
                let Some(choice) = self.choices.pop() else {
                    return Ok(Ran::Failed);
                };
                self.take(choice, subject, pattern);
                continue;
            }
            let (s, p) = (self.s, self.p);
            match byte(pattern, p) {
                0 => return Ok(Ran::Matched(s)),
                b'(' => {
                    if self.level >= MAX_CAPTURES {
                        return Err(Raise::text("too many captures"));
                    }
                    let is_position = byte(pattern, p + 1) == b')';
                    self.captures[self.level] = Capture {
                        start: s as u32,
                        len: if is_position { POSITION } else { UNFINISHED },
                    };
                    self.level += 1;
                    self.choose(Choice::Opened)?;
                    self.p = if is_position { p + 2 } else { p + 1 };
                }
                b')' => {
                    let open = self.captures[..self.level]
                        .iter()
                        .rposition(|c| c.len == UNFINISHED);
                    let Some(i) = open else {
                        return Err(Raise::text("invalid pattern capture"));
                    };
                    self.captures[i].len = s as u32 - self.captures[i].start;
                    self.choose(Choice::Closed(i as u8))?;
                    self.p = p + 1;
                }
                b'$' if p + 1 == pattern.len() => {
                    if s == subject.len() {
                        return Ok(Ran::Matched(s));
                    }
                    self.failed = true;
                }
                b'%' => match byte(pattern, p + 1) {
                    b'b' => match self.balanced(subject, pattern)? {
                        Some(s) => (self.s, self.p) = (s, p + 4),
                        None => self.failed = true,
                    },
                    b'f' => {
                        if byte(pattern, p + 2) != b'[' {
                            return Err(Raise::text("missing '[' after '%f' in pattern"));
                        }
                        let end = item_end(pattern, p + 2)?;
                        let before = match s {
                            0 => 0,
                            _ => byte(subject, s - 1),
                        };
                        if in_set(before, pattern, p + 2, end - 1)
                            || !in_set(byte(subject, s), pattern, p + 2, end - 1)
                        {
                            self.failed = true;
                        } else {
                            self.p = end;
                        }
                    }
                    digit @ b'0'..=b'9' => {
                        if self.capture_again(subject, digit)? {
                            self.p = p + 2;
                        } else {
                            self.failed = true;
                        }
                    }
                    _ => self.item(subject, pattern)?,
                },
                _ => self.item(subject, pattern)?,
            }
        }
    }

    /// A single character and what may follow it.
    #[inline]
    fn item(&mut self, subject: &[u8], pattern: &[u8]) -> Result<(), Raise> {
        let (s, p) = (self.s, self.p);
        let end = item_end(pattern, p)?;
        let here = s < subject.len() && matches_item(subject[s], pattern, p, end);
        let after = end + 1;
        match byte(pattern, end) {
            b'?' => {
                if here {
                    self.choose(Choice::Without {
                        s: s as u32,
                        p: after as u32,
                    })?;
                    self.s = s + 1;
                }
                self.p = after;
            }
            b'+' if !here => self.failed = true,
            c @ (b'*' | b'+') => {
                let s = if c == b'+' { s + 1 } else { s };
                let count = if c == b'*' && !here {
                    0
                } else {
                    repetitions(&subject[s..], pattern, p, end)
                };
                self.steps += count / 16;
                if count > 0 {
                    self.choose(Choice::Fewer {
                        s: s as u32,
                        count: count as u32,
                        p: after as u32,
                    })?;
                }
                self.s = s + count;
                self.p = after;
            }
            b'-' => {
                self.choose(Choice::OneMore {
                    s: s as u32,
                    p: p as u32,
                    end: end as u32,
                })?;
                self.p = after;
            }
            _ if here => (self.s, self.p) = (s + 1, end),
            _ => self.failed = true,
        }
        Ok(())
    }

    /// Goes on where another way is left.
    fn take(&mut self, choice: Choice, subject: &[u8], pattern: &[u8]) {
        match choice {
            Choice::Fewer { s, count, p } => {
                let count = count - 1;
                if count > 0 {
                    self.choices.push(Choice::Fewer { s, count, p });
                }
                self.s = s as usize + count as usize;
                self.p = p as usize;
                self.failed = false;
            }
            Choice::OneMore { s, p, end } => {
                let (at, item) = (s as usize, p as usize);
                if at < subject.len() && matches_item(subject[at], pattern, item, end as usize) {
                    self.choices.push(Choice::OneMore { s: s + 1, p, end });
                    self.s = at + 1;
                    self.p = end as usize + 1;
                    self.failed = false;
                }
            }
            Choice::Without { s, p } => {
                self.s = s as usize;
                self.p = p as usize;
                self.failed = false;
            }
            Choice::Opened => self.level -= 1,
            Choice::Closed(i) => self.captures[usize::from(i)].len = UNFINISHED,
        }
    }

    /// `%b` here: the end of the balanced text.
    fn balanced(&mut self, subject: &[u8], pattern: &[u8]) -> Result<Option<usize>, Raise> {
        let (open, close) = match pattern.get(self.p + 2..self.p + 4) {
            Some(pair) => (pair[0], pair[1]),
            None => return Err(Raise::text("unbalanced pattern")),
        };
        if self.s >= subject.len() || subject[self.s] != open {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (i, c) in subject[self.s + 1..].iter().enumerate() {
            if *c == close {
                depth -= 1;
                if depth == 0 {
                    self.steps += i / 16;
                    return Ok(Some(self.s + i + 2));
                }
            } else if *c == open {
                depth += 1;
            }
        }
        self.steps += (subject.len() - self.s) / 16;
        Ok(None)
    }

    /// `%1` here: whether the capture's text comes again.
    fn capture_again(&mut self, subject: &[u8], digit: u8) -> Result<bool, Raise> {
        let capture = match usize::from(digit).checked_sub(usize::from(b'1')) {
            Some(i) if i < self.level => self.captures[i],
            _ => return Err(Raise::text("invalid capture index")),
        };
        match capture.len {
            UNFINISHED => return Err(Raise::text("invalid capture index")),
            // A position is a text that is too long for every subject.
            POSITION => return Ok(false),
            _ => {}
        }
        let text = part(subject, capture);
        self.steps += text.len() / 64;
        let again = subject[self.s..].starts_with(text);
        if again {
            self.s += text.len();
        }
        Ok(again)
    }
}

fn part(subject: &[u8], capture: Capture) -> &[u8] {
    let start = capture.start as usize;
    subject
        .get(start..start + capture.len as usize)
        .unwrap_or_default()
}

// The functions -------------------------------------------------------------------------------------------------------------

/// Subjects and patterns are known by 32-bit offsets; the machine has no string that is longer.
#[inline]
fn check_texts<H>(call: &mut Call<H>) -> Result<(), Raise> {
    check_string(call, 1)?;
    check_string(call, 2)
}

/// A matcher for the pattern that argument 2 is, with the kept list.
fn matcher<H: LibraryHost>(call: &mut Call<H>) -> Matcher {
    let pattern = call.bytes(2).unwrap_or_default();
    let len = memchr(0, pattern).unwrap_or(pattern.len());
    let choices = std::mem::take(&mut call.host().library_state().buffers.choices);
    Matcher::new(len, choices)
}

/// Gives the list back.
fn done<H: LibraryHost>(call: &mut Call<H>, matcher: Matcher) {
    const KEPT: usize = 1024;
    if matcher.choices.capacity() <= KEPT {
        call.host().library_state().buffers.choices = matcher.choices;
    }
}

/// Where the next match is: at `start`, or later where the pattern is not anchored.
fn search<H: LibraryHost>(
    call: &mut Call<H>,
    matcher: &mut Matcher,
    start: usize,
    anchored: bool,
) -> Result<Option<(usize, usize)>, Raise> {
    matcher.begin(start, usize::from(anchored));
    loop {
        let subject = call.bytes(1).unwrap_or_default();
        let pattern = call.bytes(2).unwrap_or_default();
        let pattern = &pattern[..matcher.pattern_len];
        match matcher.search(subject, pattern, anchored)? {
            Ran::Matched(end) => return Ok(Some((matcher.start, end))),
            Ran::Failed => return Ok(None),
            Ran::Due => interrupt(call)?,
        }
    }
}

/// Pushes a part of the subject.
fn push_part<H>(call: &mut Call<H>, start: usize, end: usize) {
    const SHORT: usize = 64;
    let subject = call.bytes(1).unwrap_or_default();
    let text = subject.get(start..end).unwrap_or_default();
    // A copy, since the stack must be left alone while its strings are lent.
    let mut short = [0; SHORT];
    match short.get_mut(..text.len()) {
        Some(copy) => {
            copy.copy_from_slice(text);
            call.push_bytes(&short[..end - start]);
        }
        None => {
            let copy = text.to_vec();
            call.push_bytes(&copy);
        }
    }
}

/// What capture `i` of a match is; the whole match in place of the first of none.
enum Captured {
    Part(usize, usize),
    Position(usize),
}

fn captured(m: &Matcher, i: usize, start: usize, end: usize) -> Result<Captured, Raise> {
    if i >= m.level {
        return match i {
            0 => Ok(Captured::Part(start, end)),
            _ => Err(Raise::text("invalid capture index")),
        };
    }
    let capture = m.captures[i];
    let start = capture.start as usize;
    match capture.len {
        UNFINISHED => Err(Raise::text("unfinished capture")),
        POSITION => Ok(Captured::Position(start + 1)),
        len => Ok(Captured::Part(start, start + len as usize)),
    }
}

fn push_capture<H>(
    call: &mut Call<H>,
    m: &Matcher,
    i: usize,
    start: usize,
    end: usize,
) -> Result<(), Raise> {
    match captured(m, i, start, end)? {
        Captured::Part(start, end) => push_part(call, start, end),
        Captured::Position(n) => call.push_number(n as f64),
    }
    Ok(())
}

/// Pushes `n` captures.
fn push_captures<H>(
    call: &mut Call<H>,
    m: &Matcher,
    n: usize,
    start: usize,
    end: usize,
) -> Result<(), Raise> {
    if !call.has_room(n + 1) {
        return Err(Raise::text("stack overflow (too many captures)"));
    }
    (0..n).try_for_each(|i| push_capture(call, m, i, start, end))
}

/// What a text has to have to be a pattern.
const SPECIAL: [bool; 256] = {
    let mut t = [false; 256];
    let specials = b"^$*+?.([%-";
    let mut i = 0;
    while i < specials.len() {
        t[specials[i] as usize] = true;
        i += 1;
    }
    t
};

fn find<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_texts(call)?;
    let subject = call.bytes(1).unwrap_or_default();
    let pattern = call.bytes(2).unwrap_or_default();
    let start = start_argument(call, subject.len())?;
    let is_plain = pattern
        .iter()
        .take_while(|c| **c != 0)
        .all(|c| !SPECIAL[usize::from(*c)]);
    if is_plain || call.truth(4) {
        // The whole of it, also behind a zero.
        let wanted = pattern;
        match memmem::find(&subject[start..], wanted) {
            Some(at) => {
                let first = start + at + 1;
                let last = start + at + wanted.len();
                call.push_number(first as f64);
                call.push_number(last as f64);
                return Ok(2);
            }
            None => {
                call.push_nil();
                return Ok(1);
            }
        }
    }
    find_pattern(call, start, true)
}

fn match_<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_texts(call)?;
    let start = start_argument(call, call.len(1))?;
    find_pattern(call, start, false)
}

/// The third argument as an offset within a subject of `len` bytes.
#[inline]
fn start_argument<H>(call: &Call<H>, len: usize) -> Result<usize, Raise> {
    let len = len as i64;
    let mut at = optional_integer(call, 3, 1)?;
    if at < 0 {
        at = at.wrapping_add(len + 1);
    }
    Ok((at.max(1) - 1).min(len) as usize)
}

fn find_pattern<H: LibraryHost>(call: &mut Call<H>, start: usize, places: bool) -> Returned {
    let mut m = matcher(call);
    let returned = find_with(call, &mut m, start, places);
    done(call, m);
    returned
}

fn find_with<H: LibraryHost>(
    call: &mut Call<H>,
    m: &mut Matcher,
    start: usize,
    places: bool,
) -> Returned {
    let anchored = call.bytes(2).unwrap_or_default().first() == Some(&b'^');
    let Some((start, end)) = search(call, m, start, anchored)? else {
        call.push_nil();
        return Ok(1);
    };
    if places {
        call.push_number(start as f64 + 1.0);
        call.push_number(end as f64);
        push_captures(call, m, m.level, start, end)?;
        return Ok(m.level + 2);
    }
    let n = m.level.max(1);
    push_captures(call, m, n, start, end)?;
    Ok(n)
}

fn gmatch<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_texts(call)?;
    call.truncate(2);
    Ok(2)
}

fn gmatch_step<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    // The texts are as `gmatch` has returned them.
    if call.kind(3) != Kind::Table {
        return Err(type_error(call, 3, "table"));
    }
    call.truncate(3);
    call.get_raw_index(3, 1);
    let from = call.number(4).map_or(-1, to_i64);
    // What an empty match at the end leaves is beyond it.
    let Some(from) = usize::try_from(from).ok().filter(|n| *n <= call.len(1)) else {
        return Ok(0);
    };
    let mut m = matcher(call);
    let returned = gmatch_with(call, &mut m, from);
    done(call, m);
    returned
}

fn gmatch_with<H: LibraryHost>(call: &mut Call<H>, m: &mut Matcher, from: usize) -> Returned {
    // An anchor is nothing special here.
    let Some((start, end)) = search(call, m, from, false)? else {
        return Ok(0);
    };
    let next = if end == start { end + 1 } else { end };
    call.push_number(next as f64);
    call.set_raw_index(3, 1);
    let n = m.level.max(1);
    push_captures(call, m, n, start, end)?;
    Ok(n)
}

fn gsub<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_texts(call)?;
    let kind = call.kind(3);
    let default = call.len(1) as i64 + 1;
    let most = optional_integer(call, 4, default)? as i32;
    if !matches!(
        kind,
        Kind::Number | Kind::String | Kind::Function | Kind::Table
    ) {
        return Err(argument_error(call, 3, "string/function/table expected"));
    }
    if kind == Kind::Number {
        check_string(call, 3)?;
    }
    let mut m = matcher(call);
    let mut out = std::mem::take(&mut call.host().library_state().buffers.output);
    let returned = gsub_with(call, &mut m, most, &mut out);
    keep(&mut call.host().library_state().buffers.output, out);
    done(call, m);
    returned
}

fn gsub_with<H: LibraryHost>(
    call: &mut Call<H>,
    m: &mut Matcher,
    most: i32,
    out: &mut Vec<u8>,
) -> Returned {
    let anchored = call.bytes(2).unwrap_or_default().first() == Some(&b'^');
    let len = call.len(1);
    let mut at = 0;
    let mut n = 0;
    while n < most {
        let Some((start, end)) = search(call, m, at, anchored)? else {
            break;
        };
        n += 1;
        let subject = call.bytes(1).unwrap_or_default();
        out.extend_from_slice(&subject[at..start]);
        replacement(call, m, out, start, end)?;
        check_result(call, out.len(), TOO_LARGE)?;
        at = end;
        if end == start {
            // Nothing was matched: one byte stays, so that it goes on.
            let subject = call.bytes(1).unwrap_or_default();
            match subject.get(end) {
                Some(c) => out.push(*c),
                None => break,
            }
            at = end + 1;
        }
        if anchored {
            break;
        }
        if m.steps >= GSUB_STEPS {
            m.steps = 0;
            if is_due() {
                interrupt(call)?;
            }
        }
    }
    if n == 0 {
        call.push_copy(1);
    } else {
        let subject = call.bytes(1).unwrap_or_default();
        out.extend_from_slice(subject.get(at.min(len)..).unwrap_or_default());
        check_result(call, out.len(), TOO_LARGE)?;
        call.push_bytes(out);
    }
    call.push_number(f64::from(n));
    Ok(2)
}

/// Steps of a substitution after which it is asked whether the script is due.
const GSUB_STEPS: usize = 2048;

const TOO_LARGE: &str = "resulting string too large";

/// Appends what takes the place of a match.
fn replacement<H: LibraryHost>(
    call: &mut Call<H>,
    m: &mut Matcher,
    out: &mut Vec<u8>,
    start: usize,
    end: usize,
) -> Result<(), Raise> {
    let top = call.top();
    match call.kind(3) {
        Kind::Function => {
            call.push_copy(3);
            let n = m.level.max(1);
            push_captures(call, m, n, start, end)?;
            call_nested(call, n)?;
        }
        Kind::Table => {
            push_capture(call, m, 0, start, end)?;
            index(call, 3)?;
        }
        _ => return expand(call, m, out, start, end),
    }
    if call.truth(top + 1) {
        if !matches!(call.kind(top + 1), Kind::String | Kind::Number) {
            let kind = call.kind_name(top + 1);
            return Err(Raise::text(format!("invalid replacement value (a {kind})")));
        }
        out.extend_from_slice(call.to_bytes(top + 1).unwrap_or_default());
    } else {
        let subject = call.bytes(1).unwrap_or_default();
        out.extend_from_slice(&subject[start..end]);
    }
    call.truncate(top);
    Ok(())
}

/// Calls the function below `args` arguments; exactly one result takes their place.
fn call_nested<H: LibraryHost>(call: &mut Call<H>, args: usize) -> Result<(), Raise> {
    let base = call.top() - args as i32;
    let state = call.host().library_state();
    if state.nested >= MAX_NESTED {
        return Err(Raise::text("C stack overflow"));
    }
    state.nested += 1;
    let results = call.call_lua(args);
    call.host().library_state().nested -= 1;
    if results? == 0 {
        call.push_nil();
    }
    call.truncate(base);
    Ok(())
}

/// Replaces the key on top by its value in table `t`, as scripts see it.
fn index<H: LibraryHost>(call: &mut Call<H>, t: i32) -> Result<(), Raise> {
    const MAX_LOOPS: usize = 100;
    let key = call.top();
    call.push_copy(t);
    for _ in 0..MAX_LOOPS {
        let table = call.top();
        if call.kind(table) == Kind::Table {
            call.push_copy(key);
            call.get_raw(table);
            if call.kind(-1) != Kind::Nil {
                call.replace(key);
                call.truncate(key);
                return Ok(());
            }
            call.pop(1);
        }
        let has_handler =
            call.push_metatable(table) && call.get_raw_field(-1, b"__index") != Kind::Nil;
        if !has_handler {
            if call.kind(table) != Kind::Table {
                let kind = call.kind_name(table);
                return Err(Raise::text(format!("attempt to index a {kind} value")));
            }
            call.truncate(key);
            call.push_nil();
            call.replace(key);
            return Ok(());
        }
        if call.kind(-1) == Kind::Function {
            call.push_copy(table);
            call.push_copy(key);
            call_nested(call, 2)?;
            call.replace(key);
            call.truncate(key);
            return Ok(());
        }
        // Another table in its place.
        call.replace(table);
        call.truncate(table);
    }
    Err(Raise::text("loop in gettable"))
}

/// Appends the replacement string, its captures filled in.
fn expand<H>(
    call: &Call<H>,
    m: &mut Matcher,
    out: &mut Vec<u8>,
    start: usize,
    end: usize,
) -> Result<(), Raise> {
    let mut text = call.bytes(3).unwrap_or_default();
    let subject = call.bytes(1).unwrap_or_default();
    while let Some(plain) = memchr(b'%', text) {
        out.extend_from_slice(&text[..plain]);
        // Behind the last character stands a zero.
        let what = byte(text, plain + 1);
        text = text.get(plain + 2..).unwrap_or_default();
        match what {
            b'0' => out.extend_from_slice(&subject[start..end]),
            b'1'..=b'9' => match captured(m, usize::from(what - b'1'), start, end)? {
                Captured::Part(start, end) => out.extend_from_slice(&subject[start..end]),
                Captured::Position(n) => out.extend_from_slice(n.to_string().as_bytes()),
            },
            _ => out.push(what),
        }
        m.steps += 1;
        check_result(call, out.len(), TOO_LARGE)?;
    }
    out.extend_from_slice(text);
    Ok(())
}

fn rep<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    check_string(call, 1)?;
    let n = check_number(call, 2)?;
    let text = call.bytes(1).unwrap_or_default();
    // NaN is no number of times either.
    if text.is_empty() || n.is_nan() || n < 1.0 {
        call.push_bytes(b"");
        return Ok(1);
    }
    // Too many of them are as many as there can be.
    let n = n as usize;
    let len = text.len().saturating_mul(n);
    check_result(call, len, TOO_LARGE)?;
    let repeated = call.bytes(1).unwrap_or_default().repeat(n);
    call.push_bytes(&repeated);
    Ok(1)
}
