//! Replies (addReply* of networking.c), in RESP2 or RESP3 as the client asked.
//!
//! The functions live on [`Clients`], so that a command can write a value it borrows from the keyspace straight into the
//! client's buffer; [`Server`] forwards those that need nothing but the client. They write nothing for a client that gets
//! no replies.

use crate::base::log::Level;
use crate::base::num::{D2STRING_SIZE, d2string};
use crate::base::split_args::sdscatrepr;
use crate::config::value::PropagationErrorBehavior;
use crate::ds::copy_short;
use crate::ds::listpack::LpValue;
use crate::ds::sbuf::SBuf;
use crate::server::Server;
use crate::server::clients::client::{
    ClientType, Clients, Output, PROTO_REPLY_CHUNK_BYTES, SHARE_MIN,
};
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::store::entry::{Entry, Str};

/// The writer's room is made in steps of this, in bytes.
const BULK_STEP: usize = 2000;

/// The first of these steps: enough for a short reply.
const FIRST_STEP: usize = 256;

/// With this much left of a block, in bytes, the writer begins in it.
const SOME_ROOM: usize = 128;

/// Longer elements are not copied into the writer's block but handed to the output.
const LONG_BULK: usize = 2048;

/// `$`, the index and a line end, for all lengths of two digits at most.
static BULK_HEADS: [[u8; 8]; 100] = {
    let mut heads = [[0; 8]; 100];
    let mut n = 0;
    while n < 100 {
        let (tens, ones) = (b'0' + n as u8 / 10, b'0' + n as u8 % 10);
        heads[n] = if n < 10 {
            [b'$', ones, b'\r', b'\n', 0, 0, 0, 0]
        } else {
            [b'$', tens, ones, b'\r', b'\n', 0, 0, 0]
        };
        n += 1;
    }
    heads
};

/// `prefix`, a number of one or two digits and a line end; and how long that is.
#[inline(always)]
fn short_head(prefix: u8, n: usize) -> Option<([u8; 8], usize)> {
    let head = u64::from_le_bytes(*BULK_HEADS.get(n)?) ^ u64::from(b'$' ^ prefix);
    Some((head.to_le_bytes(), 4 + usize::from(n >= 10)))
}

/// Appends `s` to `buf`, in moves of fixed lengths when it is short: those need no call.
#[inline(always)]
fn extend_short(buf: &mut Vec<u8>, s: &[u8]) {
    match s.len() {
        8..=16 => extend_ends::<8>(buf, s),
        17..=32 => extend_ends::<16>(buf, s),
        33..=64 => extend_ends::<32>(buf, s),
        4..=7 => extend_ends::<4>(buf, s),
        _ => buf.extend_from_slice(s),
    }
}

/// Appends `s` as a bulk string; it has fewer than 100 bytes, and `buf` has room for [`SOME_ROOM`].
#[inline(always)]
fn extend_short_bulk(buf: &mut Vec<u8>, s: &[u8]) {
    let end = buf.len() + 4 + usize::from(s.len() >= 10);
    buf.extend_from_slice(&BULK_HEADS[s.len()]);
    buf.truncate(end);
    extend_short(buf, s);
    buf.extend_from_slice(b"\r\n");
}

/// Two moves that may overlap: `N` bytes at each end, which must be all of `s`.
#[inline(always)]
fn extend_ends<const N: usize>(buf: &mut Vec<u8>, s: &[u8]) {
    if let (Some(first), Some(last)) = (s.first_chunk::<N>(), s.last_chunk::<N>()) {
        let end = buf.len() + s.len() - N;
        buf.extend_from_slice(first);
        buf.truncate(end);
        buf.extend_from_slice(last);
    }
}

/// Writes `s` as a bulk string to the start of `room`; returns its length, 0 when `s` is not short or there is no room.
#[inline(always)]
fn write_short_bulk(room: &mut [u8], s: &[u8]) -> usize {
    let n = s.len();
    // Whole arrays, so that their copies are single moves.
    let (Some(bytes), Some(room)) = (BULK_HEADS.get(n), room.get_mut(..n + 8)) else {
        return 0;
    };
    if let Some(head) = room.first_chunk_mut() {
        *head = *bytes;
    }
    let head = 4 + usize::from(n >= 10);
    let (text, end) = room[head..].split_at_mut(n);
    copy_short(text, s);
    if let Some(end) = end.first_chunk_mut() {
        *end = *b"\r\n";
    }
    head + n + 2
}

/// Writes many bulk strings into a client's output in one pass; see [`Clients::write_bulks`].
pub(crate) struct BulkWriter<'a> {
    /// `None`: the client gets no replies.
    out: Option<&'a mut Output>,
    /// The output's last block, taken out; zeros from `at` on. Empty when there is no output.
    block: Vec<u8>,
    at: usize,
    /// The block is the output's first buffer, not one of its list.
    first: bool,
}

impl BulkWriter<'_> {
    fn take_block(&mut self) {
        if let Some(out) = &mut self.out {
            (self.block, self.first) = out.take_last_block();
            self.at = self.block.len();
        }
    }

    fn give_block(&mut self) {
        if let Some(out) = &mut self.out {
            self.block.truncate(self.at);
            out.put_last_block(std::mem::take(&mut self.block), self.first);
            self.at = 0;
        }
    }

    /// Makes room for `n` more bytes: in this block, or a new one.
    fn make_room(&mut self, n: usize) {
        if self.block.capacity() - self.at < n {
            self.give_block();
            self.block = Vec::with_capacity(n.max(PROTO_REPLY_CHUNK_BYTES));
            self.first = false;
        }
        let room = self.block.capacity() - self.at;
        self.block.resize(self.at + room.min(n.max(BULK_STEP)), 0);
    }

    /// A bulk string.
    #[inline]
    pub(crate) fn bulk(&mut self, s: &[u8]) {
        let room = &mut self.block[self.at..];
        match write_short_bulk(room, s) {
            0 => self.bulk_anyway(s),
            n => self.at += n,
        }
    }

    /// The header of an array of `n`: an element that is an array itself.
    #[inline]
    pub(crate) fn array_len(&mut self, n: usize) {
        let room = &mut self.block[self.at..];
        if let (Some((head, len)), Some(place)) = (short_head(b'*', n), room.first_chunk_mut()) {
            *place = head;
            self.at += len;
            return;
        }
        let mut b = itoa::Buffer::new();
        self.pieces(&[b"*", b.format(n).as_bytes(), b"\r\n"]);
    }

    /// Elements of a listpack; returns how many there were.
    #[inline]
    pub(crate) fn bulks<'v>(&mut self, values: impl Iterator<Item = LpValue<'v>>) -> usize {
        let mut n = 0;
        let mut room = &mut self.block[self.at..];
        for v in values {
            n += 1;
            if let LpValue::Str(s) = v {
                let written = write_short_bulk(room, s);
                if written > 0 {
                    self.at += written;
                    room = &mut room[written..];
                    continue;
                }
            }
            self.bulk_value(v);
            room = &mut self.block[self.at..];
        }
        n
    }

    #[cold]
    fn bulk_anyway(&mut self, s: &[u8]) {
        let mut b = itoa::Buffer::new();
        self.pieces(&[b"$", b.format(s.len()).as_bytes(), b"\r\n", s, b"\r\n"]);
    }

    #[cold]
    fn pieces(&mut self, parts: &[&[u8]]) {
        if self.out.is_none() {
            return;
        }
        let size = parts.iter().map(|p| p.len()).sum();
        if size >= LONG_BULK {
            self.give_block();
            if let Some(out) = &mut self.out {
                parts.iter().for_each(|p| out.push(p));
            }
            return self.take_block();
        }
        if self.block.len() - self.at < size {
            self.make_room(size);
        }
        for p in parts {
            self.block[self.at..self.at + p.len()].copy_from_slice(p);
            self.at += p.len();
        }
    }

    /// An integer as a bulk string.
    #[inline]
    pub(crate) fn bulk_long_long(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    /// An element of a listpack as a bulk string.
    #[inline]
    pub(crate) fn bulk_value(&mut self, v: LpValue<'_>) {
        match v {
            LpValue::Str(s) => self.bulk(s),
            LpValue::Int(n) => self.bulk_long_long(n),
        }
    }

    /// A value's buffer as a bulk string, by reference when it is large.
    pub(crate) fn bulk_shared(&mut self, b: &SBuf) {
        if b.len() < SHARE_MIN {
            return self.bulk(b.as_slice());
        }
        self.give_block();
        if let Some(out) = &mut self.out {
            let mut n = itoa::Buffer::new();
            out.push(b"$");
            out.push(n.format(b.len()).as_bytes());
            out.push(b"\r\n");
            out.push_shared(b.clone(), 0..b.len());
            out.push(b"\r\n");
        }
        self.take_block();
    }
}

/// A header whose number has more than two digits, or a sign.
#[inline(never)]
fn push_long_header(out: &mut Output, prefix: u8, n: i64) {
    let mut b = itoa::Buffer::new();
    let s = b.format(n).as_bytes();
    let mut line = [0u8; 24];
    line[0] = prefix;
    line[1..1 + s.len()].copy_from_slice(s);
    line[1 + s.len()] = b'\r';
    line[2 + s.len()] = b'\n';
    out.push(&line[..s.len() + 3]);
}

impl Clients {
    /// Bytes that are RESP already.
    #[inline]
    pub(crate) fn add_reply_proto(&mut self, cid: ClientId, bytes: &[u8]) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push(bytes);
        }
    }

    /// The same, by value.
    pub(crate) fn add_reply_vec(&mut self, cid: ClientId, bytes: Vec<u8>) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push_vec(bytes);
        }
    }

    #[inline]
    fn add_header(&mut self, cid: ClientId, prefix: u8, n: i64) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            match usize::try_from(n).ok().and_then(|n| short_head(prefix, n)) {
                Some((head, len)) => c.out.push_head(&head, len),
                None => push_long_header(&mut c.out, prefix, n),
            }
        }
    }

    /// A bulk string.
    #[inline]
    pub(crate) fn add_reply_bulk(&mut self, cid: ClientId, s: &[u8]) {
        let Some(c) = self.prepare_client_to_write(cid) else {
            return;
        };
        let out = &mut c.out;
        let room = out.buf.capacity() - out.buf.len();
        if s.len() < BULK_HEADS.len() && room >= SOME_ROOM && out.list.is_empty() {
            return extend_short_bulk(&mut out.buf, s);
        }
        self.add_reply_long_bulk(cid, s);
    }

    #[cold]
    fn add_reply_long_bulk(&mut self, cid: ClientId, s: &[u8]) {
        // One of the many short ones of a long reply.
        if s.len() < BULK_HEADS.len()
            && let Some(c) = self.prepare_client_to_write(cid)
            && let Some(block) = c.out.last_block(SOME_ROOM)
        {
            return extend_short_bulk(block, s);
        }
        self.add_header(cid, b'$', s.len() as i64);
        self.add_reply_proto(cid, s);
        self.add_reply_proto(cid, b"\r\n");
    }

    /// Lets `f` write bulk strings, with little work for each. Headers of arrays come before.
    #[inline]
    pub(crate) fn write_bulks(&mut self, cid: ClientId, f: impl FnOnce(&mut BulkWriter<'_>)) {
        let mut w = BulkWriter {
            out: self.prepare_client_to_write(cid).map(|c| &mut c.out),
            block: Vec::new(),
            at: 0,
            first: false,
        };
        w.take_block();
        if w.block.capacity() - w.at >= SOME_ROOM {
            let room = (w.block.capacity() - w.at).min(FIRST_STEP);
            w.block.resize(w.at + room, 0);
        }
        f(&mut w);
        w.give_block();
    }

    /// Bytes that are RESP already, by reference.
    pub(crate) fn add_reply_shared_proto(&mut self, cid: ClientId, b: &SBuf) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push_shared(b.clone(), 0..b.len());
        }
    }

    /// A part of a value's buffer as a bulk string, by reference when it is large.
    pub(crate) fn add_reply_bulk_shared(
        &mut self,
        cid: ClientId,
        b: &SBuf,
        range: std::ops::Range<usize>,
    ) {
        if range.len() < SHARE_MIN {
            return self.add_reply_bulk(cid, &b.as_slice()[range]);
        }
        self.add_header(cid, b'$', range.len() as i64);
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push_shared(b.clone(), range);
            c.out.push(b"\r\n");
        }
    }

    /// An integer as a bulk string.
    #[inline]
    pub(crate) fn add_reply_bulk_long_long(&mut self, cid: ClientId, n: i64) {
        let mut b = itoa::Buffer::new();
        self.add_reply_bulk(cid, b.format(n).as_bytes());
    }

    /// The string value of an entry.
    #[inline]
    pub(crate) fn add_reply_bulk_entry(&mut self, cid: ClientId, e: &Entry) {
        match e.string() {
            Str::Int(n) => self.add_reply_bulk_long_long(cid, n),
            Str::Bytes(b) if b.len() < SHARE_MIN => self.add_reply_bulk(cid, b),
            Str::Bytes(b) => match e.buf() {
                Some(buf) => self.add_reply_bulk_shared(cid, buf, 0..b.len()),
                None => self.add_reply_bulk(cid, b),
            },
        }
    }

    #[inline]
    pub(crate) fn add_reply_long_long(&mut self, cid: ClientId, n: i64) {
        match n {
            0 => self.add_reply_proto(cid, b":0\r\n"),
            1 => self.add_reply_proto(cid, b":1\r\n"),
            _ => self.add_header(cid, b':', n),
        }
    }

    pub(crate) fn resp_version(&self, cid: ClientId) -> u8 {
        self.get(cid).map_or(2, |c| c.resp)
    }

    /// The null of a missing bulk string.
    #[inline]
    pub(crate) fn add_reply_null(&mut self, cid: ClientId) {
        if self.resp_version(cid) == 2 {
            self.add_reply_proto(cid, b"$-1\r\n");
        } else {
            self.add_reply_proto(cid, b"_\r\n");
        }
    }

    /// The null of a missing array.
    pub(crate) fn add_reply_null_array(&mut self, cid: ClientId) {
        if self.resp_version(cid) == 2 {
            self.add_reply_proto(cid, b"*-1\r\n");
        } else {
            self.add_reply_proto(cid, b"_\r\n");
        }
    }

    #[inline]
    pub(crate) fn add_reply_array_len(&mut self, cid: ClientId, n: usize) {
        self.add_header(cid, b'*', n as i64);
    }

    /// A map of `n` pairs: in RESP2 an array of twice as many.
    pub(crate) fn add_reply_map_len(&mut self, cid: ClientId, n: usize) {
        if self.resp_version(cid) == 2 {
            self.add_header(cid, b'*', 2 * n as i64);
        } else {
            self.add_header(cid, b'%', n as i64);
        }
    }

    pub(crate) fn add_reply_set_len(&mut self, cid: ClientId, n: usize) {
        let prefix = if self.resp_version(cid) == 2 {
            b'*'
        } else {
            b'~'
        };
        self.add_header(cid, prefix, n as i64);
    }

    /// An attribute of `n` pairs; only RESP3 clients can take one.
    pub(crate) fn add_reply_attribute_len(&mut self, cid: ClientId, n: usize) {
        self.add_header(cid, b'|', n as i64);
    }

    pub(crate) fn add_reply_push_len(&mut self, cid: ClientId, n: usize) {
        let prefix = if self.resp_version(cid) == 2 {
            b'*'
        } else {
            b'>'
        };
        self.add_header(cid, prefix, n as i64);
    }

    pub(crate) fn add_reply_bool(&mut self, cid: ClientId, b: bool) {
        let s: &[u8] = match (self.resp_version(cid), b) {
            (2, true) => b":1\r\n",
            (2, false) => b":0\r\n",
            (_, true) => b"#t\r\n",
            (_, false) => b"#f\r\n",
        };
        self.add_reply_proto(cid, s);
    }

    pub(crate) fn add_reply_double(&mut self, cid: ClientId, d: f64) {
        let mut buf = [0; D2STRING_SIZE];
        let s = d2string(&mut buf, d);
        if self.resp_version(cid) == 2 {
            self.add_reply_bulk(cid, s);
        } else {
            self.add_reply_proto(cid, &[b",", s, b"\r\n"].concat());
        }
    }

    pub(crate) fn add_reply_big_num(&mut self, cid: ClientId, digits: &[u8]) {
        if self.resp_version(cid) == 2 {
            self.add_reply_bulk(cid, digits);
        } else {
            self.add_reply_proto(cid, &[b"(", digits, b"\r\n"].concat());
        }
    }

    /// A verbatim string; `ext` says of which kind.
    pub(crate) fn add_reply_verbatim(&mut self, cid: ClientId, s: &[u8], ext: [u8; 3]) {
        if self.resp_version(cid) == 2 {
            self.add_reply_bulk(cid, s);
        } else {
            self.add_header(cid, b'=', s.len() as i64 + 4);
            self.add_reply_proto(cid, &ext);
            self.add_reply_proto(cid, b":");
            self.add_reply_proto(cid, s);
            self.add_reply_proto(cid, b"\r\n");
        }
    }

    /// A status line; `s` has no line ends.
    #[inline]
    /// A status that has no line end in it.
    pub(crate) fn add_status(&mut self, cid: ClientId, s: &[u8]) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push(b"+");
            c.out.push(s);
            c.out.push(b"\r\n");
        }
    }

    pub(crate) fn add_reply_status(&mut self, cid: ClientId, s: &str) {
        if let Some(c) = self.prepare_client_to_write(cid) {
            c.out.push(b"+");
            c.out.push(s.as_bytes());
            c.out.push(b"\r\n");
        }
    }

    #[inline]
    pub(crate) fn add_reply_ok(&mut self, cid: ClientId) {
        self.add_reply_proto(cid, b"+OK\r\n");
    }
}

/// Forwards to [`Clients`].
macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*);)+) => {
        impl Server {
            $(
                #[doc = concat!("See [`Clients::", stringify!($name), "`].")]
                #[inline]
                pub(crate) fn $name(&mut self, cid: ClientId, $($arg: $ty),*) {
                    self.clients.$name(cid, $($arg),*);
                }
            )+
        }
    };
}

forward! {
    add_reply_proto(bytes: &[u8]);
    add_reply_bulk(s: &[u8]);
    add_reply_bulk_long_long(n: i64);
    add_reply_long_long(n: i64);
    add_reply_null();
    add_reply_null_array();
    add_reply_array_len(n: usize);
    add_reply_map_len(n: usize);
    add_reply_set_len(n: usize);
    add_reply_double(d: f64);
    add_reply_verbatim(s: &[u8], ext: [u8; 3]);
    add_reply_status(s: &str);
    add_reply_ok();
}

impl Server {
    /// An error reply (addReplyError). The text has no leading `-` and gets the code ERR, unless it begins with `-` and so
    /// brings a code of its own.
    pub(crate) fn add_reply_error(&mut self, cid: ClientId, text: &str) {
        self.add_reply_error_bytes(cid, text.as_bytes());
    }

    /// The same for a text that quotes bytes of a client; line ends become spaces.
    pub(crate) fn add_reply_error_bytes(&mut self, cid: ClientId, text: &[u8]) {
        self.error_reply(cid, text, false);
    }

    fn error_reply(&mut self, cid: ClientId, text: &[u8], counted: bool) {
        let mut line = Vec::with_capacity(text.len() + 8);
        if text.first() != Some(&b'-') {
            line.extend_from_slice(b"-ERR ");
        }
        line.extend(text.iter().map(|c| match c {
            b'\r' | b'\n' => b' ',
            c => *c,
        }));
        while line.last() == Some(&b' ') && matches!(text.last(), Some(b'\r' | b'\n')) {
            line.pop();
        }
        self.after_error_reply(cid, &line, counted);
        line.extend_from_slice(b"\r\n");
        self.clients.add_reply_proto(cid, &line);
    }

    /// The error that a script ends with; `counted`: where it arose it was counted already.
    pub(crate) fn add_reply_error_of_script(&mut self, cid: ClientId, text: &[u8], counted: bool) {
        self.error_reply(cid, text, counted);
    }

    /// A command of a script was refused: that is an error like another, but nobody is sent it, and the script has not failed.
    #[cold]
    pub(crate) fn count_error_of_script(&mut self, text: &str) {
        let line = match text.strip_prefix('-') {
            Some(_) => text.to_string(),
            None => format!("-ERR {text}"),
        };
        self.count_error(line.as_bytes());
    }

    /// What every error reply does besides being sent: it is counted, by code, and reported when a master's or replica's
    /// command caused it (afterErrorReply). `counted`: it was counted before.
    fn after_error_reply(&mut self, cid: ClientId, line: &[u8], counted: bool) {
        self.exec.call.set_error_reply_sent();
        if !counted {
            self.count_error(line);
        }
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        // Who sends it, and to whom: the names of both are in the log.
        let link = match c.client_type() {
            _ if c.has(ClientFlags::SCRIPT) => return,
            _ if c.has(ClientFlags::IMPORT) => return self.slot_import_error(cid, line),
            _ if c.conn.is_none() && self.loading.is_some() => ("AOF-loading-client", "server"),
            ClientType::Master => ("replica", "master"),
            ClientType::Slave => ("master", "replica"),
            ClientType::Normal | ClientType::Pubsub => return,
        };
        self.error_of_link(link, line);
    }

    fn count_error(&mut self, line: &[u8]) {
        self.stats.total_error_replies += 1;
        let code = line[1..].split(|c| *c == b' ').next().unwrap_or_default();
        if code.len() == line.len() - 1 && code.len() > 64 {
            self.stats.count_error(b"ERR");
        } else {
            self.stats.count_error(code);
        }
    }

    /// A command of the stream, or of a file, that fails here did not fail where it came from: the data sets may differ.
    #[cold]
    fn error_of_link(&mut self, (from, to): (&str, &str), line: &[u8]) {
        let name = self.exec.call.cmd.map_or("<unknown>".into(), |id| {
            self.commands.full_name(id).to_string()
        });
        // The general code is not shown, as its sender has not spelled it.
        let said = line.strip_prefix(b"-ERR ").unwrap_or(line);
        crate::server_log!(
            Level::Warning,
            "== CRITICAL == This {} is sending an error to its {}: '{}' after processing the command '{}'",
            from,
            to,
            crate::base::log::user_data(&said[..said.len().min(4096)]),
            name
        );
        if to == "master" {
            self.show_latest_backlog();
        }
        self.stats.unexpected_error_replies += 1;
        use PropagationErrorBehavior::{Panic, PanicOnReplicas};
        let behavior = self.config.propagation_error_behavior;
        let fatal = match to {
            "master" => {
                self.config.replica_read_only && matches!(behavior, Panic | PanicOnReplicas)
            }
            "server" => behavior == Panic,
            _ => false,
        };
        if fatal {
            crate::server::process::crash::server_panic(
                &self.config,
                &format!(
                    "This {from} panicked sending an error to its {to} after processing the command '{name}'"
                ),
            );
        }
    }

    /// Logs the end of the stream, to see what led to an error (showLatestBacklog).
    fn show_latest_backlog(&self) {
        let bytes = self.repl.log.last_bytes(256);
        if bytes.is_empty() {
            return;
        }
        if crate::base::log::hides_user_data() {
            crate::server_log!(
                Level::Notice,
                "hide-user-data-from-log is on, skip logging backlog content to avoid spilling user data."
            );
            return;
        }
        let mut shown = Vec::new();
        sdscatrepr(&mut shown, &bytes);
        crate::server_log!(
            Level::Notice,
            "Latest backlog is: '{}'",
            String::from_utf8_lossy(&shown)
        );
    }

    pub(crate) fn add_reply_syntax_error(&mut self, cid: ClientId) {
        self.add_reply_error(cid, "syntax error");
    }

    pub(crate) fn add_reply_wrong_type(&mut self, cid: ClientId) {
        self.add_reply_error(
            cid,
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    pub(crate) fn add_reply_no_such_key(&mut self, cid: ClientId) {
        self.add_reply_error(cid, "no such key");
    }

    /// "wrong number of arguments for '...' command", with the full name of the command that runs.
    pub(crate) fn add_reply_error_arity(&mut self, cid: ClientId) {
        let name = self
            .exec
            .call
            .cmd
            .map_or(String::new(), |id| self.commands.full_name(id).to_string());
        self.add_reply_error(
            cid,
            &format!("wrong number of arguments for '{name}' command"),
        );
    }

    /// "invalid expire time in '...' command".
    pub(crate) fn add_reply_error_expire_time(&mut self, cid: ClientId) {
        let name = self
            .exec
            .call
            .cmd
            .map_or(String::new(), |id| self.commands.full_name(id).to_string());
        self.add_reply_error(cid, &format!("invalid expire time in '{name}' command"));
    }

    /// A subcommand that is not there (addReplySubcommandSyntaxError).
    pub(crate) fn add_reply_subcommand_syntax_error(&mut self, cid: ClientId, args: &Args) {
        let mut text = b"unknown subcommand or wrong number of arguments for '".to_vec();
        let sub = if args.len() > 1 { &args[1] } else { b"" };
        text.extend_from_slice(crate::server::execution::exec::shown_part(sub));
        text.extend_from_slice(b"'. Try ");
        text.extend(args[0].to_ascii_uppercase());
        text.extend_from_slice(b" HELP.");
        self.add_reply_error_bytes(cid, &text);
    }

    /// The lines of a HELP subcommand between upstream's first and last ones (addReplyHelp).
    pub(crate) fn add_reply_help(&mut self, cid: ClientId, args: &Args, lines: &[&str]) {
        self.add_reply_array_len(cid, lines.len() + 3);
        let first = format!(
            "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            String::from_utf8_lossy(&args[0].to_ascii_uppercase())
        );
        self.add_reply_status(cid, &first);
        for l in lines {
            self.add_reply_status(cid, l);
        }
        self.add_reply_status(cid, "HELP");
        self.add_reply_status(cid, "    Print this help.");
    }

    /// What `f` replies to the client, which is not sent; `None` when the client gets no replies.
    pub(crate) fn reply_of(&mut self, cid: ClientId, f: impl FnOnce(&mut Server)) -> Option<SBuf> {
        let c = self.clients.prepare_client_to_write(cid)?;
        let before = std::mem::take(&mut c.out);
        f(self);
        let reply = std::mem::replace(&mut self.clients.get_mut(cid)?.out, before);
        let mut bytes = SBuf::with_capacity(reply.pending());
        bytes.extend_from_slice(&reply.buf);
        for part in &reply.list {
            bytes.extend_from_slice(part.as_slice());
        }
        Some(bytes)
    }

    /// Answers even a master, as REPLCONF GETACK must be (CLIENT_MASTER_FORCE_REPLY).
    pub(crate) fn with_forced_reply(&mut self, cid: ClientId, f: impl FnOnce(&mut Server)) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags |= ClientFlags::MASTER_FORCE_REPLY;
        }
        f(self);
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags.remove(ClientFlags::MASTER_FORCE_REPLY);
        }
    }

    /// The connection ends as soon as what was written to it is sent: at once when that is nothing, since CLIENT REPLY is off.
    pub(crate) fn close_after_reply(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags |= ClientFlags::CLOSE_AFTER_REPLY;
        if !c.out.is_empty() {
            return;
        }
        match c.conn.as_ref().is_some_and(Connection::has_unsent) {
            true => self.install_write_handler(cid),
            false => self.free_client_async(cid),
        }
    }

    /// Whether this is the link to our master.
    #[inline]
    pub(crate) fn is_master_client(&self, cid: ClientId) -> bool {
        self.clients
            .get(cid)
            .is_some_and(|c| c.has(ClientFlags::MASTER))
    }
}
