//! RESP requests, parsed in place (processInlineBuffer, processMultibulkBuffer) and the small pieces that replies are made of.
//!
//! The parser looks at a buffer that starts with the current request and never copies an argument of a multi-bulk request:
//! it notes spans. When a request is incomplete it keeps what it knows, so that bytes are looked at once however they
//! arrive; the caller keeps the buffer from the request's first byte on. An argument that is large and not all there can be
//! taken out of the buffer: the parser reports it ([`Parsed::BigArg`]) and goes on behind it.
//!
//! Invariants: spans lie inside the parsed part of the buffer; no allocation is larger than the bytes that have arrived
//! call for (the span list grows with the arguments, never by a length that was only announced).

use crate::base::split_args::sdssplitargs;
use crate::ds::sbuf::SBuf;

/// Longest inline request, and longest line that announces a length (PROTO_INLINE_MAX_SIZE).
pub(crate) const PROTO_INLINE_MAX_SIZE: usize = 64 * 1024;
/// From this length on an argument gets a buffer of its own (PROTO_MBULK_BIG_ARG).
pub(crate) const PROTO_MBULK_BIG_ARG: usize = 32 * 1024;

/// Where an argument lies; `start == BIG` marks the `end`-th big argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

/// Bytes of a request that a span can point into, at the most; its big arguments do not count. The caller closes a
/// connection that sends more.
pub(crate) const MAX_REQUEST: usize = u32::MAX as usize - 1;
/// See [`Span`].
pub(crate) const BIG: u32 = u32::MAX;

/// What limits a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// proto-max-bulk-len, bytes.
    pub max_bulk_len: u64,
    pub authenticated: bool,
    /// The peer is our master: no limit on bulks, no inline requests.
    pub is_master: bool,
}

/// Why a connection is closed for its protocol (the text behind "Protocol error: ").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    TooBigInline,
    UnbalancedQuotes,
    TooBigCount,
    InvalidMultibulk,
    UnauthenticatedMultibulk,
    TooBigBulkCount,
    ExpectedDollar(u8),
    InvalidBulk,
    UnauthenticatedBulk,
    MasterInline,
}

impl ProtocolError {
    /// The text as upstream words it; bytes, since it may quote one.
    pub(crate) fn text(self) -> Vec<u8> {
        let s: &[u8] = match self {
            ProtocolError::TooBigInline => b"too big inline request",
            ProtocolError::UnbalancedQuotes => b"unbalanced quotes in request",
            ProtocolError::TooBigCount => b"too big mbulk count string",
            ProtocolError::InvalidMultibulk => b"invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulk => b"unauthenticated multibulk length",
            ProtocolError::TooBigBulkCount => b"too big bulk count string",
            ProtocolError::ExpectedDollar(c) => {
                return [b"expected '$', got '", &[c][..], b"'"].concat();
            }
            ProtocolError::InvalidBulk => b"invalid bulk length",
            ProtocolError::UnauthenticatedBulk => b"unauthenticated bulk length",
            ProtocolError::MasterInline => b"Master using the inline protocol. Desync?",
        };
        s.to_vec()
    }
}

/// What became of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A request with at least one argument is complete.
    Request,
    /// Nothing to run: an empty line or an empty multi-bulk.
    Empty,
    Incomplete,
    /// The next argument has this many bytes and is not all there; the caller may read it into a buffer of its own and
    /// call [`Parser::push_big`], or go on as after `Incomplete`.
    BigArg(usize),
    Error(ProtocolError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No byte of a request has been looked at: all but `spans` is as in a new parser.
    Unknown,
    Inline,
    /// A multi-bulk whose first line has not ended.
    Header,
    Multibulk,
}

/// The state of one request.
pub(crate) struct Parser {
    kind: Kind,
    /// Arguments still to come.
    remaining: i64,
    bulk_len: Option<u64>,
    /// Bytes of the buffer that are parsed.
    pos: usize,
    /// Where the search for a line's end goes on.
    searched: usize,
    spans: Vec<Span>,
    inline: Vec<u8>,
    big: Vec<SBuf>,
    /// The request is byte for byte what we would write ourselves.
    canonical: bool,
    /// An inline request is parsed: parsing again gives the same one, for a caller that could not run it yet. (Of a multi-bulk,
    /// `remaining` tells.)
    complete: bool,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            kind: Kind::Unknown,
            remaining: 0,
            bulk_len: None,
            pos: 0,
            searched: 0,
            spans: Vec::new(),
            inline: Vec::new(),
            big: Vec::new(),
            canonical: true,
            complete: false,
        }
    }
}

/// A canonical decimal line of up to ten digits at `pos`: the value and the position behind the line feed.
#[inline]
fn short_number(buf: &[u8], pos: usize) -> Option<(u64, usize)> {
    let rest = buf.get(pos..)?;
    let mut v = 0u64;
    let mut i = 0;
    while i < 10 {
        let c = *rest.get(i)?;
        let d = c.wrapping_sub(b'0');
        if d > 9 {
            break;
        }
        v = v * 10 + u64::from(d);
        i += 1;
    }
    let canonical = i > 0 && (rest[0] != b'0' || i == 1);
    (canonical && rest.get(i) == Some(&b'\r') && rest.get(i + 1) == Some(&b'\n'))
        .then_some((v, pos + i + 2))
}

/// `prefix`, a number of one to three digits in canonical form, and CRLF: the number and what is behind it. One digit or two
/// are by far the most common: they are comparisons of four bytes.
#[inline(always)]
fn tiny_header(s: &[u8], prefix: u8) -> Option<(usize, &[u8])> {
    let (four, rest) = s.split_first_chunk()?;
    let four = u32::from_le_bytes(*four);
    // What is as it should be is then zero, and digits are their values; `prefix` goes on top.
    let but = |shape: [u8; 4]| (four ^ u32::from_le_bytes(shape)).rotate_right(8);
    let one = but([prefix, b'0', b'\r', b'\n']);
    if one <= 9 {
        return Some((one as usize, rest));
    }
    let two = but([prefix, b'0', b'0', b'\r']);
    let (a, b) = (two as usize & 0xff, two as usize >> 8);
    if (1..=9).contains(&a)
        && b <= 9
        && let [b'\n', rest @ ..] = rest
    {
        return Some((a * 10 + b, rest));
    }
    let three = but([prefix, b'0', b'0', b'0']);
    let (b, c) = (three as usize >> 8 & 0xff, three as usize >> 16);
    match rest {
        [b'\r', b'\n', rest @ ..] if (1..=9).contains(&a) && b <= 9 && c <= 9 => {
            Some((a * 100 + b * 10 + c, rest))
        }
        _ => None,
    }
}

/// A canonical request of short arguments that is all there, parsed in one go, with nothing kept in between: its spans go
/// behind the `before` ones that are there, and what follows it is returned. None, and no span is added, when it is anything
/// else.
#[inline(always)]
pub(super) fn whole_request<'a>(
    buf: &'a [u8],
    authenticated: bool,
    spans: &mut Vec<Span>,
    before: usize,
) -> Option<&'a [u8]> {
    debug_assert_eq!(spans.len(), before);
    let (n, mut rest) = tiny_header(buf, b'*')?;
    if n == 0 || (n > 10 && !authenticated) {
        return None;
    }
    for _ in 0..n {
        let Some((len, text)) = tiny_header(rest, b'$') else {
            break;
        };
        let behind = text.get(len..).and_then(|s| s.split_first_chunk());
        let Some((b"\r\n", behind)) = behind else {
            break;
        };
        let start = buf.len() - text.len();
        spans.push(Span {
            start: start as u32,
            end: (start + len) as u32,
        });
        rest = behind;
    }
    if spans.len() < before + n {
        spans.truncate(before);
        return None;
    }
    Some(rest)
}

impl Parser {
    /// The common case, to be tried before [`Parser::parse`] where no request has begun: a whole request in the form that
    /// servers write. Its length; the parser knows its spans and nothing else of it, and the next one may follow. None, and
    /// nothing is noted, when it is anything else.
    #[inline(always)]
    pub(crate) fn whole(&mut self, buf: &[u8], authenticated: bool) -> Option<usize> {
        if self.kind != Kind::Unknown {
            return None;
        }
        debug_assert!(buf.len() <= MAX_REQUEST);
        self.spans.clear();
        let rest = whole_request(buf, authenticated, &mut self.spans, 0)?;
        Some(buf.len() - rest.len())
    }

    /// Ready for a new request; keeps its memory.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if self.kind != Kind::Unknown {
            self.reset_rest();
        }
    }

    #[cold]
    fn reset_rest(&mut self) {
        self.kind = Kind::Unknown;
        self.spans.clear();
        self.remaining = 0;
        self.bulk_len = None;
        self.pos = 0;
        self.searched = 0;
        self.canonical = true;
        self.complete = false;
        self.inline = Vec::new();
        self.big.clear();
        if self.spans.capacity() > 4096 {
            self.spans = Vec::new();
        }
    }

    /// Bytes of the buffer that belong to the parsed part of the request; all of it once it is complete.
    #[inline]
    pub(crate) fn consumed(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The text that the spans of an inline request lie in.
    #[inline]
    pub(crate) fn inline_text(&self) -> Option<&[u8]> {
        (self.kind == Kind::Inline).then_some(&self.inline)
    }

    #[inline]
    pub(crate) fn big(&self) -> &[SBuf] {
        &self.big
    }

    /// Whether buf[..consumed] is the request in canonical form.
    #[inline]
    pub(crate) fn is_canonical(&self) -> bool {
        self.canonical
    }

    /// Bytes of all arguments so far.
    pub(crate) fn argv_len(&self) -> usize {
        let small = |s: &Span| (s.end - s.start) as usize;
        let spans = self.spans.iter().filter(|s| s.start != BIG);
        spans.map(small).sum::<usize>() + self.big.iter().map(SBuf::len).sum::<usize>()
    }

    /// Whether a request has begun.
    pub(crate) fn in_request(&self) -> bool {
        self.kind != Kind::Unknown
    }

    /// Gives the argument that [`Parsed::BigArg`] announced, read by the caller together with its CRLF.
    pub(crate) fn push_big(&mut self, arg: SBuf) {
        self.spans.push(Span {
            start: BIG,
            end: self.big.len() as u32,
        });
        self.big.push(arg);
        self.bulk_len = None;
        self.canonical = false;
        self.remaining -= 1;
    }

    /// Parses on. `buf` starts with the request's first byte and holds all bytes of it that arrived so far, without the big
    /// arguments that were taken out.
    #[inline]
    pub(crate) fn parse(&mut self, buf: &[u8], limits: &Limits) -> Parsed {
        if matches!(self.kind, Kind::Unknown | Kind::Header) {
            let Some(&first) = buf.first() else {
                return Parsed::Incomplete;
            };
            self.spans.clear();
            if first != b'*' {
                self.kind = Kind::Inline;
                return self.parse_inline(buf, limits);
            }
            let n = match short_number(buf, 1) {
                Some((n, next)) if n > 0 && (n <= 10 || n <= 16384 && limits.authenticated) => {
                    self.pos = next;
                    n as i64
                }
                _ => match self.multibulk_header(buf, limits) {
                    Ok(n) => n,
                    Err(p) => return p,
                },
            };
            self.kind = Kind::Multibulk;
            self.searched = 0;
            if n <= 0 {
                return Parsed::Empty;
            }
            self.remaining = n;
        } else if self.kind == Kind::Inline {
            if self.complete {
                return Parsed::Request;
            }
            return self.parse_inline(buf, limits);
        }
        while self.remaining > 0 {
            let len = match self.bulk_len {
                Some(len) => len,
                None => {
                    let short = match buf.get(self.pos) {
                        Some(b'$') => short_number(buf, self.pos + 1),
                        _ => None,
                    };
                    let len = match short {
                        Some((n, next)) if n <= 16384 => {
                            self.pos = next;
                            n
                        }
                        _ => match self.bulk_header(buf, limits) {
                            Ok(n) => n,
                            Err(p) => return p,
                        },
                    };
                    self.bulk_len = Some(len);
                    len
                }
            };
            let len = len as usize;
            let there = buf.len() - self.pos;
            if there < len.saturating_add(2) {
                if len >= PROTO_MBULK_BIG_ARG {
                    return Parsed::BigArg(len);
                }
                return Parsed::Incomplete;
            }
            let (start, end) = (self.pos, self.pos + len);
            if end >= BIG as usize {
                // More than 4 GB of small arguments: beyond what spans can say.
                return Parsed::Error(ProtocolError::InvalidBulk);
            }
            if buf[end] != b'\r' || buf[end + 1] != b'\n' {
                self.canonical = false;
            }
            self.spans.push(Span {
                start: start as u32,
                end: end as u32,
            });
            self.pos = end + 2;
            self.bulk_len = None;
            self.remaining -= 1;
        }
        Parsed::Request
    }

    /// Finds the CR that ends the line at `pos`, with its LF arrived too.
    fn line_end(&mut self, buf: &[u8], too_big: ProtocolError) -> Result<usize, Parsed> {
        let from = self.searched.max(self.pos);
        match memchr::memchr(b'\r', &buf[from.min(buf.len())..]) {
            Some(i) if from + i + 1 < buf.len() => {
                self.searched = 0;
                Ok(from + i)
            }
            Some(i) => {
                self.searched = from + i;
                Err(Parsed::Incomplete)
            }
            None => {
                self.searched = buf.len();
                if buf.len() - self.pos > PROTO_INLINE_MAX_SIZE {
                    Err(Parsed::Error(too_big))
                } else {
                    Err(Parsed::Incomplete)
                }
            }
        }
    }

    #[cold]
    fn multibulk_header(&mut self, buf: &[u8], limits: &Limits) -> Result<i64, Parsed> {
        // From here on there is something to remember: where the search for the line's end goes on.
        self.kind = Kind::Header;
        let end = self.line_end(buf, ProtocolError::TooBigCount)?;
        let n = crate::base::num::string2ll(&buf[1..end])
            .filter(|n| *n <= i64::from(i32::MAX))
            .ok_or(Parsed::Error(ProtocolError::InvalidMultibulk))?;
        if n > 10 && !limits.authenticated {
            return Err(Parsed::Error(ProtocolError::UnauthenticatedMultibulk));
        }
        if buf[end + 1] != b'\n' {
            self.canonical = false;
        }
        self.pos = end + 2;
        Ok(n)
    }

    #[cold]
    fn bulk_header(&mut self, buf: &[u8], limits: &Limits) -> Result<u64, Parsed> {
        let end = self.line_end(buf, ProtocolError::TooBigBulkCount)?;
        let first = buf[self.pos];
        if first != b'$' {
            return Err(Parsed::Error(ProtocolError::ExpectedDollar(first)));
        }
        let n = crate::base::num::string2ll(&buf[self.pos + 1..end])
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| limits.is_master || *n <= limits.max_bulk_len)
            .ok_or(Parsed::Error(ProtocolError::InvalidBulk))?;
        if n > 16384 && !limits.authenticated {
            return Err(Parsed::Error(ProtocolError::UnauthenticatedBulk));
        }
        if buf[end + 1] != b'\n' {
            self.canonical = false;
        }
        self.pos = end + 2;
        Ok(n)
    }

    #[cold]
    fn parse_inline(&mut self, buf: &[u8], limits: &Limits) -> Parsed {
        self.canonical = false;
        let from = self.searched.min(buf.len());
        let Some(i) = memchr::memchr(b'\n', &buf[from..]) else {
            self.searched = buf.len();
            if buf.len() > PROTO_INLINE_MAX_SIZE {
                return Parsed::Error(ProtocolError::TooBigInline);
            }
            return Parsed::Incomplete;
        };
        let end = from + i;
        let line = match &buf[..end] {
            [line @ .., b'\r'] => line,
            line => line,
        };
        self.pos = end + 1;
        let Some(args) = sdssplitargs(line) else {
            return Parsed::Error(ProtocolError::UnbalancedQuotes);
        };
        if limits.is_master && !line.is_empty() {
            return Parsed::Error(ProtocolError::MasterInline);
        }
        for a in args {
            let start = self.inline.len() as u32;
            self.inline.extend_from_slice(&a);
            self.spans.push(Span {
                start,
                end: self.inline.len() as u32,
            });
        }
        if self.spans.is_empty() {
            Parsed::Empty
        } else {
            self.complete = true;
            Parsed::Request
        }
    }
}

/// Appends `prefix`, a decimal number and CRLF: the head of every length and integer reply.
#[inline]
pub(crate) fn push_header(out: &mut Vec<u8>, prefix: u8, n: i64) {
    match n {
        0..=9 => out.extend_from_slice(&[prefix, b'0' + n as u8, b'\r', b'\n']),
        10..=99 => {
            let (tens, ones) = (b'0' + n as u8 / 10, b'0' + n as u8 % 10);
            out.extend_from_slice(&[prefix, tens, ones, b'\r', b'\n']);
        }
        _ => push_long_header(out, prefix, n),
    }
}

#[inline(never)]
fn push_long_header(out: &mut Vec<u8>, prefix: u8, n: i64) {
    let mut b = itoa::Buffer::new();
    let s = b.format(n).as_bytes();
    out.reserve(s.len() + 3);
    out.push(prefix);
    out.extend_from_slice(s);
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
#[inline]
pub(crate) fn push_bulk(out: &mut Vec<u8>, s: &[u8]) {
    push_header(out, b'$', s.len() as i64);
    out.reserve(s.len() + 2);
    out.extend_from_slice(s);
    out.extend_from_slice(b"\r\n");
}

/// Appends a request as a multi-bulk of bulks.
pub(crate) fn push_command<'a, I>(out: &mut Vec<u8>, args: I)
where
    I: ExactSizeIterator<Item = &'a [u8]>,
{
    push_header(out, b'*', args.len() as i64);
    for a in args {
        push_bulk(out, a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPEN: Limits = Limits {
        max_bulk_len: 512 << 20,
        authenticated: true,
        is_master: false,
    };

    fn args(p: &Parser, buf: &[u8]) -> Vec<Vec<u8>> {
        let text = p.inline_text().unwrap_or(buf);
        p.spans()
            .iter()
            .map(|s| match s.start {
                BIG => p.big()[s.end as usize].as_slice().to_vec(),
                start => text[start as usize..s.end as usize].to_vec(),
            })
            .collect()
    }

    /// All that a parser is. A new field belongs in here, and in `reset`.
    fn all_of(p: &Parser) -> impl PartialEq + std::fmt::Debug + use<> {
        let Parser {
            kind,
            remaining,
            bulk_len,
            pos,
            searched,
            spans,
            inline,
            big,
            canonical,
            complete,
        } = p;
        let big: Vec<Vec<u8>> = big.iter().map(|b| b.as_slice().to_vec()).collect();
        let sizes = (*remaining, *bulk_len, *pos, *searched);
        let texts = (spans.clone(), inline.clone(), big);
        (*kind, sizes, texts, *canonical, *complete)
    }

    /// Pieces of what peers send, whole and broken.
    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let piece = prop_oneof![
            (1usize..20_000, 0usize..40).prop_map(|(n, len)| {
                let mut b = format!("*{n}\r\n").into_bytes();
                for _ in 0..n.min(5) {
                    push_bulk(&mut b, &b"a".repeat(len));
                }
                b
            }),
            proptest::collection::vec("[a-z]{0,9}", 1..4).prop_map(|words| [
                words.join(" ").as_bytes(),
                b"\r\n"
            ]
            .concat()),
            Just(b"*1234567890".to_vec()),
            Just(b"*0000000000000000000001\r".to_vec()),
            Just(b"*16385\r\n$16385\r\n".to_vec()),
            Just(b"*2\r\n$3\r\nGET\r\n$40000\r\nabc".to_vec()),
            Just(b"*1\r\n$x\r\n".to_vec()),
            Just(b"\"\r\n".to_vec()),
            Just(b"*0\r\n".to_vec()),
            Just(b"\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..30),
        ];
        proptest::collection::vec(piece, 1..4)
    }

    fn one(buf: &[u8], limits: &Limits) -> (Parsed, Vec<Vec<u8>>) {
        let mut p = Parser::default();
        let r = p.parse(buf, limits);
        let a = args(&p, buf);
        (r, a)
    }

    #[test]
    fn errors_have_upstreams_texts() {
        let long = [b'*'].repeat(70_000);
        let dollars = [&b"*1\r\n$"[..], &b"1".repeat(70_000)].concat();
        let no_line = b"x".repeat(70_000);
        let closed = Limits {
            authenticated: false,
            ..OPEN
        };
        for (input, limits, text) in [
            (&b"*x\r\n"[..], &OPEN, "invalid multibulk length"),
            (b"*2147483648\r\n", &OPEN, "invalid multibulk length"),
            (&long, &OPEN, "too big mbulk count string"),
            (&dollars, &OPEN, "too big bulk count string"),
            (&no_line, &OPEN, "too big inline request"),
            (b"*1\r\nfoo\r\n", &OPEN, "expected '$', got 'f'"),
            (b"*1\r\n$-1\r\n", &OPEN, "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", &OPEN, "invalid bulk length"),
            (b"*11\r\n", &closed, "unauthenticated multibulk length"),
            (b"*1\r\n$16385\r\n", &closed, "unauthenticated bulk length"),
            (b"set \"a\r\n", &OPEN, "unbalanced quotes in request"),
        ] {
            match one(input, limits).0 {
                Parsed::Error(e) => assert_eq!(String::from_utf8_lossy(&e.text()), text),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn empty_requests_are_skipped() {
        for b in [&b"\r\n"[..], b"\n", b"*0\r\n", b"*-1\r\n", b"   \r\n"] {
            let mut p = Parser::default();
            assert_eq!(p.parse(b, &OPEN), Parsed::Empty, "{b:?}");
            assert_eq!(p.consumed(), b.len());
        }
    }

    #[test]
    fn a_request_that_could_not_run_is_given_again() {
        for b in [
            &b"SET k v\r\nPING\r\n"[..],
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1",
        ] {
            let mut p = Parser::default();
            assert_eq!(p.parse(b, &OPEN), Parsed::Request);
            let (first, n) = (args(&p, b), p.consumed());
            assert_eq!(p.parse(b, &OPEN), Parsed::Request);
            assert_eq!((args(&p, b), p.consumed()), (first, n));
        }
    }

    #[test]
    fn only_what_we_would_write_is_canonical() {
        for (b, yes) in [
            (&b"*1\r\n$4\r\nPING\r\n"[..], true),
            (b"*01\r\n$4\r\nPING\r\n", false),
            (b"*1\r\n$04\r\nPING\r\n", false),
            (b"*1\r\n$4\r\nPINGxx", false),
            (b"PING\r\n", false),
        ] {
            let mut p = Parser::default();
            if p.parse(b, &OPEN) == Parsed::Request {
                assert_eq!(p.is_canonical(), yes, "{b:?}");
            } else {
                assert!(!yes, "{b:?}");
            }
        }
    }

    #[test]
    fn a_big_argument_is_taken_out_and_the_rest_goes_on() {
        let mut p = Parser::default();
        let head = b"*3\r\n$3\r\nSET\r\n$100000\r\n";
        assert_eq!(p.parse(head, &OPEN), Parsed::BigArg(100_000));
        assert_eq!(p.consumed(), head.len());
        p.push_big(SBuf::from_slice(&[b'v'; 100_000]));
        let more = [&head[..], b"$1\r\nx\r\n"].concat();
        assert_eq!(p.parse(&more, &OPEN), Parsed::Request);
        let a = args(&p, &more);
        assert_eq!(
            (a[0].as_slice(), a[1].len(), a[2].as_slice()),
            (&b"SET"[..], 100_000, &b"x"[..])
        );
    }

    #[test]
    fn a_first_line_that_has_not_ended_is_a_request() {
        let mut p = Parser::default();
        for head in [&b"*"[..], b"*1", b"*1234567890", b"*1234567890\r"] {
            assert_eq!(p.parse(head, &OPEN), Parsed::Incomplete);
            assert!(p.in_request(), "{head:?}");
            assert_eq!(p.whole(b"*1\r\n$4\r\nPING\r\n", true), None);
        }
        p.reset();
        assert!(!p.in_request());
        assert_eq!(p.parse(b"PING\r\n", &OPEN), Parsed::Request);
        assert_eq!(args(&p, b""), [b"PING"]);
    }

    proptest! {
        /// Whatever became of the bytes it was used for, nothing of them is left after a reset: neither in its fields nor in
        /// what it makes of the next ones.
        #[test]
        fn a_parser_is_as_new_after_a_reset(
            before in pieces(), after in pieces(), cuts in proptest::collection::vec(1usize..30, 1..20),
            authenticated in any::<bool>(), is_master in any::<bool>())
        {
            let limits = Limits { authenticated, is_master, ..OPEN };
            let (before, after) = (before.concat(), after.concat());
            let mut p = Parser::default();
            let mut end = 0;
            let mut cuts = cuts.into_iter().cycle();
            while end < before.len() {
                end = (end + cuts.next().unwrap_or(1)).min(before.len());
                if p.whole(&before[..end], authenticated).is_some() {
                    continue;
                }
                match p.parse(&before[..end], &limits) {
                    Parsed::Incomplete => {}
                    Parsed::BigArg(n) if n < 100_000 && end % 2 == 0 => {
                        p.push_big(SBuf::from_slice(&b"v".repeat(n)));
                        break;
                    }
                    _ => break,
                }
            }
            p.reset();
            // Those of a request that was whole stay until the next one is looked at.
            p.spans.clear();
            let mut fresh = Parser::default();
            prop_assert_eq!(all_of(&p), all_of(&fresh));
            let limits = &limits;
            prop_assert_eq!(p.whole(&after, authenticated), fresh.whole(&after, authenticated));
            prop_assert_eq!(p.parse(&after, limits), fresh.parse(&after, limits));
            prop_assert_eq!(all_of(&p), all_of(&fresh));
        }

        #[test]
        fn a_request_cut_anywhere_is_the_same_request(
            want in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..12),
            cuts in proptest::collection::vec(1usize..40, 1..60))
        {
            let mut wire = Vec::new();
            push_command(&mut wire, want.iter().map(|a| a.as_slice()));
            let mut p = Parser::default();
            let mut end = 0;
            let mut cuts = cuts.into_iter().cycle();
            loop {
                end = (end + cuts.next().unwrap_or(1)).min(wire.len());
                match p.parse(&wire[..end], &OPEN) {
                    Parsed::Request => break,
                    Parsed::Incomplete => prop_assert!(end < wire.len()),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(args(&p, &wire), want);
            prop_assert_eq!(p.consumed(), wire.len());
            prop_assert!(p.is_canonical());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..400), star in any::<bool>()) {
            let mut b = if star { b"*3\r\n$".to_vec() } else { Vec::new() };
            b.extend(noise);
            let mut p = Parser::default();
            for end in 0..=b.len() {
                if !matches!(p.parse(&b[..end], &OPEN), Parsed::Incomplete) { break; }
            }
        }
    }
}
