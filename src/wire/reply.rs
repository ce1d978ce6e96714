//! Reading the replies of another server, of RESP2 and what RESP3 adds to it without being asked: what a link of ours receives.
//!
//! The bytes are hostile: a reply that is too long, too deep or has too many parts is an error, told as soon as that is known,
//! and no more memory is taken than bytes have come, but for a constant. After an error the connection is of no use.
//!
//! Must not know: sockets, and what was asked.

/// Bytes of one reply at the most. INFO is the longest that is read, and is kept; a line of it for each of 10,000 replicas has room.
const MAX_REPLY: usize = 1 << 20;
/// Bytes of a line that is not a bulk.
const MAX_LINE: usize = 64 << 10;
/// Parts of one reply, nested ones included.
const MAX_PARTS: usize = 4096;
/// Arrays in arrays.
const MAX_DEPTH: usize = 8;

/// One reply. Simple and bulk strings are told apart, as PING's answer may be either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(Vec<u8>),
    /// Without the leading `-`.
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    /// An array, or a push message.
    Array(Vec<Reply>),
}

/// Why what has come is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyError {
    /// The protocol has no such thing.
    Malformed,
    /// More than this end is ready to keep.
    TooLong,
}

/// Bytes as they come in, replies as they go out.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    buf: Vec<u8>,
    /// Bytes of `buf` that were given out as replies.
    taken: usize,
    /// Nothing is whole before `buf` has this many bytes.
    wanted: usize,
}

/// A part was read up to this position, or more bytes are wanted: `buf` must have at least so many.
enum Step {
    Whole(Reply, usize),
    Wants(usize),
}

impl ReplyReader {
    /// Adds what was received.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buf.drain(..self.taken);
            self.wanted = self.wanted.saturating_sub(self.taken);
            self.taken = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next reply, if it is whole.
    ///
    /// # Errors
    /// The connection is of no use from then on.
    pub(crate) fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        if self.taken == self.buf.len() || self.buf.len() < self.wanted {
            return Ok(None);
        }
        let mut parts = MAX_PARTS;
        match read(&self.buf, self.taken, self.taken, 0, &mut parts)? {
            Step::Whole(reply, end) => {
                self.taken = end;
                self.wanted = 0;
                if self.taken == self.buf.len() {
                    // A long reply's room is not kept for the short ones that follow.
                    self.buf = Vec::new();
                    self.taken = 0;
                }
                Ok(Some(reply))
            }
            Step::Wants(length) => {
                if length - self.taken > MAX_REPLY || self.buf.len() - self.taken > MAX_REPLY {
                    return Err(ReplyError::TooLong);
                }
                self.wanted = length;
                Ok(None)
            }
        }
    }
}

/// The line at `at`, without its end, and where the next one begins.
fn line(buf: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, ReplyError> {
    let rest = buf.get(at..).unwrap_or_default();
    let found = memchr::memchr(b'\r', &rest[..rest.len().min(MAX_LINE)]);
    match found {
        Some(end) => match rest.get(end + 1) {
            Some(b'\n') => Ok(Some((&rest[..end], at + end + 2))),
            Some(_) => Err(ReplyError::Malformed),
            None => Ok(None),
        },
        None if rest.len() >= MAX_LINE => Err(ReplyError::TooLong),
        None => Ok(None),
    }
}

/// Reads the part at `at` of a reply that begins at `start`.
fn read(
    buf: &[u8],
    start: usize,
    at: usize,
    depth: usize,
    parts: &mut usize,
) -> Result<Step, ReplyError> {
    *parts = parts.checked_sub(1).ok_or(ReplyError::TooLong)?;
    let Some((text, next)) = line(buf, at)? else {
        return Ok(Step::Wants(buf.len() + 1));
    };
    let (kind, text) = text.split_first().ok_or(ReplyError::Malformed)?;
    let number = || crate::base::num::string2ll(text).ok_or(ReplyError::Malformed);
    let reply = match kind {
        b'+' => Reply::Status(text.to_vec()),
        b'-' => Reply::Error(text.to_vec()),
        b':' => Reply::Integer(number()?),
        b'_' => Reply::Nil,
        b'$' | b'=' => return read_bulk(buf, start, next, number()?),
        b'*' | b'>' => {
            let count = match number()? {
                -1 => return Ok(Step::Whole(Reply::Nil, next)),
                n => usize::try_from(n).map_err(|_| ReplyError::Malformed)?,
            };
            if depth == MAX_DEPTH || count > *parts {
                return Err(ReplyError::TooLong);
            }
            let mut items = Vec::new();
            let mut at = next;
            for _ in 0..count {
                match read(buf, start, at, depth + 1, parts)? {
                    Step::Whole(item, end) => {
                        items.push(item);
                        at = end;
                    }
                    wants => return Ok(wants),
                }
            }
            return Ok(Step::Whole(Reply::Array(items), at));
        }
        _ => return Err(ReplyError::Malformed),
    };
    Ok(Step::Whole(reply, next))
}

fn read_bulk(buf: &[u8], start: usize, at: usize, length: i64) -> Result<Step, ReplyError> {
    let length = match length {
        -1 => return Ok(Step::Whole(Reply::Nil, at)),
        n => usize::try_from(n).map_err(|_| ReplyError::Malformed)?,
    };
    if length > MAX_REPLY || at - start > MAX_REPLY {
        return Err(ReplyError::TooLong);
    }
    let (end, next) = (at + length, at + length + 2);
    match buf.get(at..next) {
        None => Ok(Step::Wants(next)),
        Some(bytes) if bytes.ends_with(b"\r\n") => {
            Ok(Step::Whole(Reply::Bulk(buf[at..end].to_vec()), next))
        }
        Some(_) => Err(ReplyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], step: usize) -> Result<Vec<Reply>, ReplyError> {
        let mut reader = ReplyReader::default();
        let mut found = Vec::new();
        for chunk in bytes.chunks(step.max(1)) {
            reader.feed(chunk);
            while let Some(reply) = reader.next_reply()? {
                found.push(reply);
            }
        }
        Ok(found)
    }

    const SAMPLE: &[u8] = b"+PONG\r\n-ERR no\r\n:-7\r\n$5\r\nab\r\nc\r\n$-1\r\n*-1\r\n*3\r\n$1\r\nx\r\n:1\r\n*0\r\n>1\r\n_\r\n=5\r\ntxt:a\r\n";

    #[test]
    fn replies_come_in_pieces_of_any_size() {
        let expected = vec![
            Reply::Status(b"PONG".to_vec()),
            Reply::Error(b"ERR no".to_vec()),
            Reply::Integer(-7),
            Reply::Bulk(b"ab\r\nc".to_vec()),
            Reply::Nil,
            Reply::Nil,
            Reply::Array(vec![
                Reply::Bulk(b"x".to_vec()),
                Reply::Integer(1),
                Reply::Array(vec![]),
            ]),
            Reply::Array(vec![Reply::Nil]),
            Reply::Bulk(b"txt:a".to_vec()),
        ];
        for step in 1..=SAMPLE.len() {
            assert_eq!(all(SAMPLE, step), Ok(expected.clone()), "{step}");
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for bad in [
            &b"hello\r\n"[..],
            b"\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"$1\r\nabc\r\n",
            b"+a\rb\r\n",
            b"*-3\r\n",
        ] {
            assert_eq!(all(bad, 1), Err(ReplyError::Malformed), "{bad:?}");
        }
        let deep = [&b"*1\r\n".repeat(MAX_DEPTH + 1)[..], b":1\r\n"].concat();
        for long in [
            &b"$1048577\r\n"[..],
            b"*1000000000\r\n",
            b"$9223372036854775807\r\n",
            &deep,
            &vec![b'+'; MAX_LINE + 1],
        ] {
            assert_eq!(all(long, 4096), Err(ReplyError::TooLong));
        }
        // Many bulks in one array, each of a good size.
        let one = [&b"$262144\r\n"[..], &vec![b'x'; 1 << 18], b"\r\n"].concat();
        let many = [&b"*6\r\n"[..], &one.repeat(6)].concat();
        assert_eq!(all(&many, 65_536), Err(ReplyError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1..50_usize) {
            let _ = all(&bytes, step);
        }

        /// Near what is valid.
        #[test]
        fn damage_is_borne(at in 0..SAMPLE.len(), byte: u8, step in 1..50_usize) {
            let mut bytes = SAMPLE.to_vec();
            bytes[at] = byte;
            let _ = all(&bytes, step);
        }
    }
}
