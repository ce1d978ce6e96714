//! Requests that are parsed before the ones in front of them have run, so that a caller knows what they will touch.
//!
//! Invariants: the requests are whole, canonical and in the buffer's order, without a gap from its first byte; spans lie inside
//! their request. Must not know what a request does: that one may not run, and the rest with it, is the caller's affair.

use super::resp::{Span, whole_request};

/// Requests that are parsed at once, at the most. What they touch should fit the processor's first cache.
pub(crate) const AHEAD_MAX: usize = 16;

/// One of [`Ahead`]'s requests.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// Its bytes, counted from the buffer's first.
    start: usize,
    end: usize,
    /// Its spans end here in `Ahead::spans`.
    spans_end: usize,
}

/// The requests at the front of a buffer.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Of all requests; each counts from its request's first byte.
    spans: Vec<Span>,
    requests: Vec<Request>,
}

impl Ahead {
    /// Finds the requests at the front of `buf`, up to [`AHEAD_MAX`], and forgets those it had. It ends before the first one
    /// that is not whole, or not in the form that servers write; that one is left to [`super::resp::Parser`].
    pub(crate) fn parse(&mut self, buf: &[u8]) {
        self.spans.clear();
        self.requests.clear();
        let mut rest = buf;
        while self.requests.len() < AHEAD_MAX {
            let before = self.spans.len();
            let Some(behind) = whole_request(rest, true, &mut self.spans, before) else {
                break;
            };
            self.requests.push(Request {
                start: buf.len() - rest.len(),
                end: buf.len() - behind.len(),
                spans_end: self.spans.len(),
            });
            rest = behind;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The bytes of request `i` of `buf`, which is the buffer that was parsed, and the spans of its arguments in them.
    #[inline]
    pub(crate) fn get<'a>(&'a self, i: usize, buf: &'a [u8]) -> (&'a [u8], &'a [Span]) {
        let r = &self.requests[i];
        let spans_start = match i {
            0 => 0,
            _ => self.requests[i - 1].spans_end,
        };
        (&buf[r.start..r.end], &self.spans[spans_start..r.spans_end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::{Limits, Parsed, Parser};
    use proptest::prelude::*;

    fn words(request: &[u8], spans: &[Span]) -> Vec<Vec<u8>> {
        let word = |s: &Span| request[s.start as usize..s.end as usize].to_vec();
        spans.iter().map(word).collect()
    }

    proptest! {
        /// Whatever the buffer holds, the requests are those that the parser gives one by one.
        #[test]
        fn requests_are_the_parsers(
            requests in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..5)
                        .prop_map(|args| {
                            let mut b = format!("*{}\r\n", args.len()).into_bytes();
                            for a in args {
                                b.extend(format!("${}\r\n", a.len()).bytes());
                                b.extend(a);
                                b.extend(b"\r\n");
                            }
                            b
                        }),
                    Just(b"\r\n".to_vec()),
                    Just(b"PING\r\n".to_vec()),
                    Just(b"*01\r\n$4\r\nPING\r\n".to_vec()),
                ],
                0..30,
            ),
            cut in 0usize..40,
        ) {
            let mut buf = requests.concat();
            buf.truncate(buf.len().saturating_sub(cut));
            let mut ahead = Ahead::default();
            ahead.parse(&buf);
            let limits = Limits { max_bulk_len: 1 << 29, authenticated: true, is_master: true };
            let mut at = 0;
            for i in 0..ahead.len() {
                let (request, spans) = ahead.get(i, &buf);
                let mut p = Parser::default();
                prop_assert_eq!(p.parse(&buf[at..], &limits), Parsed::Request);
                prop_assert_eq!(&buf[at..at + p.consumed()], request);
                prop_assert_eq!(words(&buf[at..], p.spans()), words(request, spans));
                prop_assert!(p.is_canonical());
                at += p.consumed();
            }
            // It stops early only where the parser needs more than one look, or at its limit.
            let mut p = Parser::default();
            let next = if at < buf.len() { p.parse(&buf[at..], &limits) } else { Parsed::Incomplete };
            if next == Parsed::Request {
                prop_assert!(ahead.len() == AHEAD_MAX || !p.is_canonical());
            }
        }
    }
}
