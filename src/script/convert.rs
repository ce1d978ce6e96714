//! Replies into Lua values, and Lua values into replies (redisProtocolToLuaType, luaReplyToRedisReply of script_lua.c).
//!
//! What comes from a command is well-formed; still nothing is read beyond its end. Nesting that the machine's stack has no room for
//! is cut: there the value is nil, or the reply an error.

use crate::base::num::string2ll;
use crate::script::flags::RunFlags;
use crate::script::lua::{Kind, MAX_ELEMENTS, MAX_STRING, Stack, Value};
use crate::server::Server;
use crate::server::clients::flags::ClientId;

/// What a command has replied to a script.
pub(crate) struct ScriptReply {
    first: Vec<u8>,
    /// None: the first part is all.
    whole: Option<Vec<u8>>,
}

impl ScriptReply {
    pub(super) fn bytes(&self) -> &[u8] {
        self.whole.as_deref().unwrap_or(&self.first)
    }
}

/// Why a reply is not made to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It was to be made elsewhere.
    Large,
    Killed,
    OutOfMemory,
    /// Nobody is there who could get it.
    Unheard,
}

/// How far the reply is that a script's value is made into.
#[derive(Default)]
pub(crate) struct ReplyPace {
    /// Steps until it pauses: an element is one, and so are [`BYTES_PER_STEP`] of a string.
    pub left: usize,
    pub cut: Option<Cut>,
    /// It is made in the script client's output; bytes that it may have there.
    pub large: Option<usize>,
    /// When others had their turn last; unix us.
    pub turn_us: i64,
}

const BYTES_PER_STEP: usize = 64;

impl ReplyPace {
    pub(super) fn new(left: usize, large: Option<usize>) -> ReplyPace {
        ReplyPace {
            left,
            large,
            ..ReplyPace::default()
        }
    }

    /// Part of a string: the next step may be one that waits.
    #[inline]
    fn pass(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes / BYTES_PER_STEP);
    }
}

/// The line at the start of `reply`, behind its first byte, and what follows it.
fn line(reply: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\r', reply)?;
    Some((reply.get(1..end)?, reply.get(end + 2..)?))
}

fn length(text: &[u8]) -> Option<usize> {
    // The lengths of most replies have one or two digits.
    match *text {
        [a @ b'0'..=b'9'] => Some(usize::from(a - b'0')),
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => {
            Some(usize::from(a - b'0') * 10 + usize::from(b - b'0'))
        }
        _ => string2ll(text).and_then(|n| usize::try_from(n).ok()),
    }
}

/// The number at the start of `reply`, behind its first byte, and what follows its line; none where it is negative, or long.
#[inline]
fn short_number(reply: &[u8]) -> Option<(usize, &[u8])> {
    const DIGITS: usize = 9;
    let mut n = 0;
    for i in 1..=DIGITS + 1 {
        match *reply.get(i)? {
            c @ b'0'..=b'9' => n = n * 10 + usize::from(c - b'0'),
            b'\r' if i > 1 => return Some((n, reply.get(i + 2..)?)),
            _ => return None,
        }
    }
    None
}

/// Pushes what the reply says, and returns what follows it. `None`: it is more than the machine takes; what was pushed is to go.
pub(crate) fn push_reply<'r>(stack: &mut Stack, reply: &'r [u8]) -> Option<&'r [u8]> {
    let kind = *reply.first()?;
    // Most replies are these.
    if let (b':' | b'$' | b'*', Some((n, rest))) = (kind, short_number(reply)) {
        return match kind {
            b':' => {
                stack.push_number(n as f64);
                Some(rest)
            }
            b'$' => {
                stack.push_bytes(rest.get(..n)?);
                rest.get(n + 2..)
            }
            _ => push_array(stack, n, rest),
        };
    }
    let (text, rest) = line(reply)?;
    match kind {
        b'$' => {
            let Some(n) = length(text) else {
                stack.push_bool(false);
                return Some(rest);
            };
            let text = rest.get(..n).filter(|t| t.len() <= MAX_STRING)?;
            stack.push_bytes(text);
            return rest.get(n + 2..);
        }
        b':' => stack.push_number(string2ll(text)? as f64),
        b'+' => {
            stack.push_table(0, 1);
            stack.push_bytes(text);
            stack.set_raw_field(-2, b"ok");
        }
        b'-' => {
            push_error(stack, &[b"-", text].concat());
            stack.push_bool(true);
            stack.set_raw_field(-2, b"ignore_error_stats_update");
        }
        b'*' => {
            let Some(n) = length(text) else {
                stack.push_bool(false);
                return Some(rest);
            };
            return push_array(stack, n, rest);
        }
        b'%' => return push_pairs(stack, b"map", length(text)?, rest, true),
        b'~' => return push_pairs(stack, b"set", length(text)?, rest, false),
        b'#' => stack.push_bool(text == b"t"),
        b'_' => stack.push_nil(),
        b',' => {
            stack.push_table(0, 1);
            stack.push_number(double(text));
            stack.set_raw_field(-2, b"double");
        }
        b'(' => {
            stack.push_table(0, 1);
            stack.push_bytes(text);
            stack.set_raw_field(-2, b"big_number");
        }
        b'=' => {
            let n = length(text)?;
            let body = rest.get(..n)?;
            let (format, string) = body.split_at_checked(4)?;
            stack.push_table(0, 1);
            stack.push_table(0, 2);
            stack.push_bytes(string);
            stack.set_raw_field(-2, b"string");
            stack.push_bytes(&format[..3]);
            stack.set_raw_field(-2, b"format");
            stack.set_raw_field(-2, b"verbatim_string");
            return rest.get(n + 2..);
        }
        b'|' => {
            // Scripts do not see attributes.
            let mut rest = rest;
            let top = stack.top();
            for _ in 0..length(text)? * 2 {
                rest = push_reply(stack, rest)?;
                stack.truncate(top);
            }
            return push_reply(stack, rest);
        }
        _ => return None,
    }
    Some(rest)
}

fn push_array<'r>(stack: &mut Stack, n: usize, mut rest: &'r [u8]) -> Option<&'r [u8]> {
    if n > MAX_ELEMENTS || !stack.has_room(8) {
        return None;
    }
    stack.push_table(n, 0);
    for i in 1..=n {
        rest = push_reply(stack, rest)?;
        stack.set_raw_index(-2, i32::try_from(i).ok()?);
    }
    Some(rest)
}

/// A table whose one field, `name`, has the pairs, or the elements as keys of true.
fn push_pairs<'r>(
    stack: &mut Stack,
    name: &[u8],
    n: usize,
    mut rest: &'r [u8],
    values: bool,
) -> Option<&'r [u8]> {
    if n > MAX_ELEMENTS || !stack.has_room(8) {
        return None;
    }
    stack.push_table(0, 1);
    stack.push_table(0, n);
    for _ in 0..n {
        rest = push_reply(stack, rest)?;
        if values {
            rest = push_reply(stack, rest)?;
        } else {
            stack.push_bool(true);
        }
        stack.set_raw(-3);
    }
    stack.set_raw_field(-2, name);
    Some(rest)
}

fn double(text: &[u8]) -> f64 {
    match text {
        b"inf" => f64::INFINITY,
        b"-inf" => f64::NEG_INFINITY,
        b"nan" | b"-nan" => f64::NAN,
        _ => std::str::from_utf8(text)
            .ok()
            .and_then(|t| t.parse().ok())
            .unwrap_or(0.0),
    }
}

/// Pushes a table whose field `err` says the error: with `-CODE` before it, it has a code of its own, else it gets `ERR`
/// (luaPushErrorBuff).
pub(crate) fn push_error(stack: &mut Stack, text: &[u8]) {
    let (code, message) = match text.strip_prefix(b"-") {
        None => (&b"ERR"[..], text),
        Some(text) => match memchr::memchr(b' ', text) {
            Some(space) => (&text[..space], &text[space + 1..]),
            None => (&b"ERR"[..], text),
        },
    };
    let is_end = |c: &u8| matches!(c, b'\r' | b'\n');
    let start = message
        .iter()
        .position(|c| !is_end(c))
        .unwrap_or(message.len());
    let end = message
        .iter()
        .rposition(|c| !is_end(c))
        .map_or(start, |e| e + 1);
    stack.push_table(0, 2);
    stack.push_bytes(&[code, b" ", &message[start..end]].concat());
    stack.set_raw_field(-2, b"err");
}

/// An error as the handler leaves it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorInfo {
    /// With its code, without the sign before it; none: the error had none.
    pub text: Option<Vec<u8>>,
    pub source: Option<Vec<u8>>,
    pub line: Option<i64>,
    /// It was counted where it arose.
    pub counted: bool,
}

/// What a table that stands for an error says, or the text that is the error.
pub(crate) fn error_info(stack: &mut Stack, at: i32) -> ErrorInfo {
    let at = if at < 0 { stack.top() + at + 1 } else { at };
    let mut info = ErrorInfo::default();
    if stack.kind(at) != Kind::Table {
        info.text = stack.to_bytes(at).map(|text| [b"ERR ", text].concat());
        return info;
    }
    let top = stack.top();
    stack.get_raw_field(at, b"err");
    info.text = stack.to_bytes(-1).map(<[u8]>::to_vec);
    stack.get_raw_field(at, b"source");
    info.source = stack.to_bytes(-1).map(<[u8]>::to_vec);
    stack.get_raw_field(at, b"line");
    info.line = stack.number(-1).map(|n| n as i64);
    stack.get_raw_field(at, b"ignore_error_stats_update");
    info.counted = stack.truth(-1);
    stack.truncate(top);
    info
}

/// Bytes of a string up to a NUL, as C takes them, with line ends made spaces.
fn one_line(text: &[u8]) -> Vec<u8> {
    let blank = |c: &u8| match c {
        b'\r' | b'\n' => b' ',
        c => *c,
    };
    text.iter().map(blank).collect()
}

fn c_string(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |end| &text[..end])
}

impl Server {
    /// The output of the script client. It comes back by [`Server::give_script_reply`].
    pub(super) fn take_script_reply(&mut self) -> ScriptReply {
        let client = self
            .scripts
            .client
            .and_then(|cid| self.clients.get_mut(cid));
        let Some(c) = client else {
            return ScriptReply {
                first: Vec::new(),
                whole: None,
            };
        };
        let first = std::mem::take(&mut c.out.buf);
        let whole = (!c.out.list.is_empty()).then(|| {
            let mut whole = first.clone();
            for part in &c.out.list {
                whole.extend_from_slice(part.as_slice());
            }
            c.out.list.clear();
            c.out.list_bytes = 0;
            whole
        });
        ScriptReply { first, whole }
    }

    pub(super) fn give_script_reply(&mut self, reply: ScriptReply) {
        if let Some(c) = self
            .scripts
            .client
            .and_then(|cid| self.clients.get_mut(cid))
        {
            c.out.buf = reply.first;
            c.out.buf.clear();
        }
    }

    /// Replies to `cid` with the value on top of the stack, which is taken. `resp` is what the script has set with
    /// `redis.setresp`.
    pub(super) fn lua_reply_to_redis_reply(&mut self, cid: ClientId, resp: u8, stack: &mut Stack) {
        match stack.look(-1) {
            Value::String(text) => {
                self.scripts.reply.pass(text.len());
                self.clients.add_reply_bulk(cid, text);
            }
            Value::Boolean(truth) => match (truth, resp) {
                (truth, 3) => self.clients.add_reply_bool(cid, truth),
                (true, _) => self.add_reply_long_long(cid, 1),
                (false, _) => self.add_reply_null(cid),
            },
            Value::Number(n) => self.clients.add_reply_long_long(cid, to_integer(n)),
            Value::Table => return self.table_reply(cid, resp, stack),
            Value::Other if stack.is_passed_on(-1) => self.pass_on(cid),
            Value::Nil | Value::Other => self.add_reply_null(cid),
        }
        stack.pop(1);
    }

    /// Whether the reply of the script's last command may go to its caller as it came: made a value and a reply again, it would be
    /// the same.
    #[inline]
    pub(super) fn may_pass_on(&self, reply: &[u8]) -> bool {
        let resp = |cid| self.clients.get(cid).map(|c| c.resp);
        let scripts = &self.scripts;
        let (Some(client), Some(run)) = (scripts.client, &scripts.run) else {
            return false;
        };
        resp(client) == Some(2)
            && !run.flags.contains(RunFlags::VERBATIM)
            && resp(run.caller).is_some_and(|resp| stays_as_it_is(reply, resp == 2))
    }

    fn pass_on(&mut self, cid: ClientId) {
        match self.scripts.passed_on.take() {
            Some(reply) => {
                self.clients.add_reply_proto(cid, reply.bytes());
                self.give_script_reply(reply);
            }
            // It stands for one reply alone. That a script returns it twice is a fault of ours, and shall be no more than that.
            None => {
                debug_assert!(false, "a reply is returned once");
                self.add_reply_null(cid);
            }
        }
    }

    /// One more element of a reply; false: it is not to go on.
    #[inline]
    fn reply_goes_on(&mut self) -> bool {
        match self.scripts.reply.left.checked_sub(1) {
            Some(left) => {
                self.scripts.reply.left = left;
                true
            }
            None => self.reply_pauses(),
        }
    }

    fn table_reply(&mut self, cid: ClientId, resp: u8, stack: &mut Stack) {
        if !stack.has_room(8) {
            stack.pop(1);
            self.add_reply_error(cid, "reached lua stack limit");
            return;
        }
        let table = stack.top();
        if let Some(text) = lone_status(stack) {
            // What redis.call has replied with most.
            match memchr::memchr3(b'\r', b'\n', 0, text) {
                None => self.clients.add_status(cid, text),
                Some(_) => self.clients.add_status(cid, &one_line(c_string(text))),
            }
            return stack.truncate(table - 1);
        }
        // Most tables are arrays: one look tells that none of the names below is there.
        if stack.is_plain_array(table) {
            self.array_reply(cid, resp, stack, table);
        } else if stack.get_raw_field(table, b"err") == Kind::String {
            let info = error_info(stack, table);
            let text = info.text.unwrap_or_default();
            let text = [b"-", c_string(&text)].concat();
            self.add_reply_error_of_script(cid, &text, info.counted);
        } else if stack.get_raw_field(table, b"ok") == Kind::String {
            let text = one_line(c_string(stack.bytes(-1).unwrap_or_default()));
            self.clients.add_status(cid, &text);
        } else if stack.get_raw_field(table, b"double") == Kind::Number {
            let n = stack.number(-1).unwrap_or(0.0);
            self.add_reply_double(cid, n);
        } else if stack.get_raw_field(table, b"big_number") == Kind::String {
            let digits = one_line(stack.bytes(-1).unwrap_or_default());
            self.clients.add_reply_big_num(cid, &digits);
        } else if !self.verbatim_reply(cid, stack, table) {
            for (name, values) in [(&b"map"[..], true), (b"set", false)] {
                if stack.get_raw_field(table, name) == Kind::Table {
                    self.pairs_reply(cid, resp, stack, values);
                    stack.truncate(table - 1);
                    return;
                }
            }
            self.array_reply(cid, resp, stack, table);
        }
        stack.truncate(table - 1);
    }

    fn verbatim_reply(&mut self, cid: ClientId, stack: &mut Stack, table: i32) -> bool {
        if stack.get_raw_field(table, b"verbatim_string") != Kind::Table {
            return false;
        }
        let inner = stack.top();
        if stack.get_raw_field(inner, b"format") != Kind::String {
            return false;
        }
        let format = stack.bytes(-1).unwrap_or_default();
        // As C has it, to a zero byte.
        let mut ext = *b"   ";
        for (to, from) in ext.iter_mut().zip(format.iter().take_while(|b| **b != 0)) {
            *to = *from;
        }
        if stack.get_raw_field(inner, b"string") != Kind::String {
            return false;
        }
        let text = stack.bytes(-1).unwrap_or_default();
        self.clients.add_reply_verbatim(cid, text, ext);
        true
    }

    fn pairs_reply(&mut self, cid: ClientId, resp: u8, stack: &mut Stack, values: bool) {
        let pairs = stack.top();
        let mut n = 0;
        stack.push_nil();
        while stack.next(pairs) {
            n += 1;
            stack.pop(1);
        }
        if values {
            self.add_reply_map_len(cid, n);
        } else {
            self.add_reply_set_len(cid, n);
        }
        stack.push_nil();
        while self.reply_goes_on() && stack.next(pairs) {
            // Key and value: the key is needed for the step after.
            stack.push_copy(-2);
            self.lua_reply_to_redis_reply(cid, resp, stack);
            if values {
                self.lua_reply_to_redis_reply(cid, resp, stack);
            } else {
                stack.pop(1);
            }
        }
    }

    fn array_reply(&mut self, cid: ClientId, resp: u8, stack: &mut Stack, table: i32) {
        stack.truncate(table);
        // The first nil ends it, which need not be where the table's own length ends.
        let n = stack.sequence_len(table);
        self.add_reply_array_len(cid, n as usize);
        for i in 1..=n {
            if !self.reply_goes_on() {
                return;
            }
            stack.get_raw_index(table, i);
            self.lua_reply_to_redis_reply(cid, resp, stack);
        }
    }
}

/// The text of the table on top, when it has a status and nothing else; the stack may grow.
fn lone_status(stack: &mut Stack) -> Option<&[u8]> {
    let table = stack.top();
    stack.push_nil();
    if !stack.next(table) {
        return None;
    }
    let is_status = stack.look(-2) == Value::String(b"ok");
    stack.push_copy(-2);
    if !is_status || stack.next(table) {
        stack.truncate(table);
        return None;
    }
    match stack.look(-1) {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Whether a reply in RESP2 is the same after it has been a value: strings, statuses, integers that a double holds, and arrays of
/// them. `nulls`: so are those of strings.
fn stays_as_it_is(reply: &[u8], nulls: bool) -> bool {
    /// Digits, and a sign, of an integer that a double surely holds.
    const EXACT: usize = 15;
    let (mut left, mut rest) = (1_usize, reply);
    while left > 0 {
        left -= 1;
        let Some(kind) = rest.first() else {
            return false;
        };
        if let (b'$' | b'*', Some((n, behind))) = (kind, short_number(rest)) {
            match kind {
                b'$' => match behind.get(n + 2..) {
                    Some(behind) => rest = behind,
                    None => return false,
                },
                _ if n > MAX_ELEMENTS => return false,
                _ => (left, rest) = (left + n, behind),
            }
            continue;
        }
        let Some((text, behind)) = line(rest) else {
            return false;
        };
        let stays = match kind {
            b'+' => memchr::memchr2(b'\n', 0, text).is_none(),
            b':' => text.len() <= EXACT,
            b'$' => nulls && text == b"-1",
            _ => false,
        };
        if !stays {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// As C converts: what no integer can be is the smallest one.
pub(crate) fn to_integer(n: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&n) {
        n as i64
    } else {
        i64::MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_as_it_is() {
        for reply in [
            "+OK\r\n",
            "$0\r\n\r\n",
            "$3\r\na\r\n\r\n",
            ":-12\r\n",
            ":999999999999999\r\n",
            "*0\r\n",
            "*3\r\n$1\r\na\r\n*2\r\n:1\r\n+x\r\n*0\r\n",
        ] {
            assert!(stays_as_it_is(reply.as_bytes(), false), "{reply:?}");
        }
        for reply in [
            "",
            "-ERR x\r\n",
            ":9007199254740993\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n*-1\r\n",
            "*1\r\n-ERR x\r\n",
            "+a\0b\r\n",
            "%1\r\n:1\r\n:2\r\n",
            "*2\r\n:1\r\n",
            ":1\r\n:2\r\n",
            "$5\r\nab\r\n",
        ] {
            assert!(!stays_as_it_is(reply.as_bytes(), false), "{reply:?}");
        }
        assert!(stays_as_it_is(b"$-1\r\n", true) && stays_as_it_is(b"*1\r\n$-1\r\n", true));
        assert!(!stays_as_it_is(b"*-1\r\n", true));
    }
}
