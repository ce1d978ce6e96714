//! The connection of a debugged client while its session runs: commands in, what was logged out (ldbReplParseCommand, ldbSendLogs).
//!
//! It is another descriptor of the client's own socket, past the event loop. A read waits for as long as the user thinks; a write
//! has a bound. The client may send anything: what it sends is kept up to [`INPUT_MAX`], and of that one command at a time is copied.
//! A client that has sent its last may still listen; once it cannot be written to, nothing is read, logged or sent.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use crate::base::clock::monotonic_us;
use crate::base::sys;
use crate::server::clients::connection::Connection;

/// Bytes of a command that is not whole yet.
const INPUT_MAX: usize = 1 << 20;
/// Words of a command, and bytes of a word.
const WORDS_MAX: i64 = 1024;
const WORD_MAX: i64 = 1024;
/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;
/// How long the client may take to read what it is sent, in microseconds.
const SEND_TIMEOUT_US: u64 = 5_000_000;
/// A read looks so often whether the server is to end, in milliseconds: a signal may come just before it waits.
const LOOK_AROUND_MS: i32 = 500;

/// Why there is no command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadEnd {
    /// The connection has ended, or the server is to end.
    Gone,
    /// What came is no command: the text of the error.
    Refused(&'static str),
}

pub(super) struct Wire {
    conn: Connection,
    input: Vec<u8>,
    log: Vec<Vec<u8>>,
    /// Nothing more comes.
    ended: bool,
    /// Nothing can be sent any more.
    gone: bool,
}

impl Wire {
    pub(super) fn new(conn: Connection) -> Wire {
        Wire {
            conn,
            input: Vec::new(),
            log: Vec::new(),
            ended: false,
            gone: false,
        }
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn log(&mut self, entry: Vec<u8>) {
        if !self.gone {
            self.log.push(entry);
        }
    }

    /// Sends what was logged since the last time, an array of statuses.
    pub(super) fn send_logs(&mut self) {
        let proto = encode(&std::mem::take(&mut self.log));
        if !self.gone && self.send(&proto).is_err() {
            (self.ended, self.gone) = (true, true);
            self.input.clear();
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let end = send_bound();
        while !bytes.is_empty() {
            match (&self.conn).write(bytes) {
                Ok(n) => bytes = &bytes[n.min(bytes.len())..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    wait_writable(&self.conn, end)?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        while let Err(e) = (&self.conn).flush() {
            match e.kind() {
                io::ErrorKind::WouldBlock => wait_writable(&self.conn, end)?,
                _ => return Err(e),
            }
        }
        Ok(())
    }

    /// The next command; it has a word at least.
    pub(super) fn read_command(&mut self) -> Result<Vec<Vec<u8>>, ReadEnd> {
        loop {
            if let Some((argv, n)) = parse(&self.input)? {
                self.input.drain(..n);
                return Ok(argv);
            }
            if self.ended {
                return Err(ReadEnd::Gone);
            }
            if self.input.len() > INPUT_MAX {
                self.input = Vec::new();
                return Err(ReadEnd::Refused("max client buffer reached"));
            }
            if !self.read_some() {
                sys::wait_readable(self.conn.as_raw_fd(), LOOK_AROUND_MS);
                self.ended = sys::shutdown_signal().is_some();
            }
        }
    }

    /// Whether nothing more comes from the client; it is not waited for.
    pub(super) fn has_ended(&mut self) -> bool {
        if !self.ended && self.input.len() <= INPUT_MAX {
            self.read_some();
        }
        self.ended || sys::shutdown_signal().is_some()
    }

    /// One read; false: there is nothing to read now.
    fn read_some(&mut self) -> bool {
        let mut buf = [0; READ_BYTES];
        match (&self.conn).read(&mut buf) {
            Ok(0) => self.ended = true,
            Ok(n) => self.input.extend_from_slice(&buf[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => (self.ended, self.gone) = (true, true),
        }
        true
    }

    /// The client is told that nothing follows, also when another process still has the socket.
    pub(super) fn end(&self) {
        self.conn.end();
        let _ = self.conn.socket().shutdown(Shutdown::Write);
    }

    /// One that nobody is at the other end of.
    #[cfg(test)]
    pub(super) fn toy() -> Wire {
        let pair = socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        Wire::new(Connection::Plain(pair.expect("a pair of sockets").0))
    }

    #[cfg(test)]
    pub(super) fn take_log(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.log)
    }
}

/// Waits until the socket takes more.
///
/// # Errors
/// `end` (monotonic microseconds) has come.
pub(super) fn wait_writable(conn: &Connection, end: u64) -> io::Result<()> {
    let left = end.saturating_sub(monotonic_us());
    if left == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let ms = i32::try_from(left.div_ceil(1000)).unwrap_or(i32::MAX);
    sys::wait_writable(conn.as_raw_fd(), ms);
    Ok(())
}

/// When a write that begins now must have ended, monotonic microseconds.
pub(super) fn send_bound() -> u64 {
    monotonic_us().saturating_add(SEND_TIMEOUT_US)
}

/// An array of statuses; line ends become spaces.
fn encode(log: &[Vec<u8>]) -> Vec<u8> {
    let mut proto = format!("*{}\r\n", log.len()).into_bytes();
    for entry in log {
        proto.push(b'+');
        proto.extend(entry.iter().map(|c| match c {
            b'\r' | b'\n' => b' ',
            c => *c,
        }));
        proto.extend_from_slice(b"\r\n");
    }
    proto
}

/// The number that a text begins with; 0: there is none, and what is too large is the largest (atoi).
pub(super) fn atoi(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits = digits.iter().take_while(|c| c.is_ascii_digit());
    let n = digits.fold(0i64, |n, c| {
        (n * 10 + i64::from(c - b'0')).min(i64::from(i32::MAX))
    });
    if negative { -n } else { n }
}

/// The words of a command, and how many bytes of the text they took.
type Command = (Vec<Vec<u8>>, usize);

/// The first command of `text`; none: it is not whole. What stands before its `*` is passed over.
fn parse(text: &[u8]) -> Result<Option<Command>, ReadEnd> {
    const ERROR: ReadEnd = ReadEnd::Refused("protocol error");
    if text.is_empty() {
        return Ok(None);
    }
    let mut at = memchr::memchr(b'*', text).ok_or(ERROR)? + 1;
    let Some(n) = number(text, &mut at, WORDS_MAX)? else {
        return Ok(None);
    };
    let mut spans = Vec::with_capacity(n);
    for _ in 0..n {
        match text.get(at) {
            None => return Ok(None),
            Some(b'$') => at += 1,
            Some(_) => return Err(ERROR),
        }
        let Some(len) = number(text, &mut at, WORD_MAX)? else {
            return Ok(None);
        };
        match text.get(at + len..at + len + 2) {
            None => return Ok(None),
            Some(b"\r\n") => spans.push(at..at + len),
            Some(_) => return Err(ERROR),
        }
        at += len + 2;
    }
    let argv = spans.into_iter().map(|s| text[s].to_vec()).collect();
    Ok(Some((argv, at)))
}

/// The number at `at`, from 1 to `max`, and its line's end, which are passed; none: they are not all there.
fn number(text: &[u8], at: &mut usize, max: i64) -> Result<Option<usize>, ReadEnd> {
    let rest = &text[*at..];
    let Some(end) = memchr::memmem::find(rest, b"\r\n") else {
        return Ok(None);
    };
    *at += end + 2;
    match atoi(&rest[..end]) {
        n if (1..=max).contains(&n) => Ok(Some(n as usize)),
        _ => Err(ReadEnd::Refused("protocol error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        for (text, n) in [
            ("12", 12),
            (" -7x", -7),
            ("+3", 3),
            ("", 0),
            ("x1", 0),
            ("-", 0),
            ("99999999999999999999", i64::from(i32::MAX)),
        ] {
            assert_eq!(atoi(text.as_bytes()), n, "{text}");
        }
    }

    #[test]
    fn commands() {
        let whole = b"x*2\r\n$1\r\nl\r\n$2\r\n\0*\r\n";
        let words = vec![b"l".to_vec(), b"\0*".to_vec()];
        assert_eq!(parse(whole), Ok(Some((words, whole.len()))));
        for n in 0..whole.len() {
            let expected = match n {
                1 => Err(ReadEnd::Refused("protocol error")),
                _ => Ok(None),
            };
            assert_eq!(parse(&whole[..n]), expected, "{n}");
        }
        for wrong in [
            "step\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*1025\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$0\r\n\r\n",
            "*1\r\n$1025\r\n",
            "*1\r\n$1\r\nab\r\n",
        ] {
            assert_eq!(
                parse(wrong.as_bytes()),
                Err(ReadEnd::Refused("protocol error")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_comes_behind_a_command_is_kept_for_the_next() {
        let (ours, theirs) =
            socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None)
                .expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket");
        let mut wire = Wire::new(Connection::Plain(ours));
        (&theirs)
            .write_all(b"*1\r\n$1\r\ns\r\n*1\r\n$1\r\nc\r\n*1\r\n$")
            .expect("room");
        assert_eq!(wire.read_command(), Ok(vec![b"s".to_vec()]));
        assert_eq!(wire.read_command(), Ok(vec![b"c".to_vec()]));
        theirs.shutdown(Shutdown::Write).expect("a socket");
        assert_eq!(wire.read_command(), Err(ReadEnd::Gone));
        wire.log(b"heard".to_vec());
        wire.send_logs();
        let mut heard = [0; 12];
        (&theirs).read_exact(&mut heard).expect("an entry");
        assert_eq!(&heard, b"*1\r\n+heard\r\n");
        drop(theirs);
        wire.log(b"lost".to_vec());
        wire.send_logs();
        assert!(wire.is_gone());
        wire.log(b"lost".to_vec());
        wire.send_logs();
        assert!(wire.take_log().is_empty());
    }

    #[test]
    fn a_command_without_end_is_refused() {
        let mut wire = Wire::toy();
        wire.input = b"*1\r\n$1024".to_vec();
        wire.input.resize(INPUT_MAX + 1, b'7');
        assert_eq!(
            wire.read_command(),
            Err(ReadEnd::Refused("max client buffer reached"))
        );
        assert!(wire.input.is_empty());
    }

    #[test]
    fn entries_are_one_line_each() {
        let log = [b"a\r\nb".to_vec(), Vec::new()];
        assert_eq!(encode(&log), b"*2\r\n+a  b\r\n+\r\n");
    }
}
