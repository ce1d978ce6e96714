//! What precedes a full sync's payload, and the mark that may end it (the first half of readSyncBulkPayload).
//!
//! Must not know sockets or files. What the payload itself looks like is `wire::rdb`'s.

use crate::base::num::strtol;
use crate::wire::replication::capabilities::{SnapshotId, plain_number};
use crate::wire::replication::handshake::{LogLine, c_string, notice, text, warning};
use crate::wire::replication::replid::REPLID_LEN;

/// What precedes the RDB payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BulkHeader<'a> {
    /// The payload is of so many bytes.
    Length(u64),
    /// The payload ends in these 40 bytes.
    EofMark([u8; REPLID_LEN]),
    /// A snapshot that has a name, of so many bytes: if the link breaks, the rest of it may come over the next one. Between
    /// Aediles.
    Snapshot {
        /// Its name.
        id: SnapshotId,
        /// Bytes.
        size: u64,
    },
    /// Of such a snapshot the bytes from `from` on follow.
    Resume {
        /// Its name.
        id: SnapshotId,
        /// Bytes of the whole.
        size: u64,
        /// Offset of the first byte to come.
        from: u64,
    },
    /// The master is still at work: the link lives, another line follows.
    KeepAlive,
    /// The master gave up; its words, without the minus.
    Aborted(&'a [u8]),
    /// Anything else.
    Malformed,
}

/// `<40 bytes>:<number>...`: a snapshot's name and so many numbers.
fn named<const N: usize>(text: &[u8]) -> Option<(SnapshotId, [u64; N])> {
    let (id, rest) = text.split_first_chunk()?;
    let mut words = rest.strip_prefix(b":")?.split(|b| *b == b':');
    let mut numbers = [0; N];
    for n in &mut numbers {
        *n = plain_number(words.next()?)?;
    }
    words.next().is_none().then_some((*id, numbers))
}

/// Reads the line before the RDB payload, given without its end: `$<length>`, `$EOF:<40 bytes>`,
/// `$SNAPSHOT:<40 bytes>:<length>`, `$RESUME:<40 bytes>:<length>:<offset>`, `-<error>` or nothing.
///
/// Stricter than upstream, which takes `$` without a number for an empty payload.
pub(crate) fn parse_bulk_header(line: &[u8]) -> BulkHeader<'_> {
    let line = c_string(line);
    if let Some(rest) = line.strip_prefix(b"$SNAPSHOT:") {
        return match named(rest) {
            Some((id, [size])) => BulkHeader::Snapshot { id, size },
            _ => BulkHeader::Malformed,
        };
    }
    if let Some(rest) = line.strip_prefix(b"$RESUME:") {
        return match named(rest) {
            Some((id, [size, from])) if from <= size => BulkHeader::Resume { id, size, from },
            _ => BulkHeader::Malformed,
        };
    }
    match line {
        [] => BulkHeader::KeepAlive,
        [b'-', why @ ..] => BulkHeader::Aborted(why),
        [b'$', b'E', b'O', b'F', b':', mark @ ..] => match mark.first_chunk() {
            Some(mark) => BulkHeader::EofMark(*mark),
            None => BulkHeader::Malformed,
        },
        [b'$', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            match strtol(digits).0 {
                i64::MAX => BulkHeader::Malformed,
                n => BulkHeader::Length(n.unsigned_abs()),
            }
        }
        _ => BulkHeader::Malformed,
    }
}

impl BulkHeader<'_> {
    /// The line for it, with its end; none for `Aborted`, `Malformed` and `KeepAlive`, which nobody announces.
    pub(crate) fn line(&self) -> String {
        match self {
            BulkHeader::Length(n) => format!("${n}\r\n"),
            BulkHeader::Snapshot { id, size } => format!("$SNAPSHOT:{}:{size}\r\n", text(id)),
            BulkHeader::Resume { id, size, from } => {
                format!("$RESUME:{}:{size}:{from}\r\n", text(id))
            }
            BulkHeader::EofMark(mark) => format!("$EOF:{}\r\n", text(mark)),
            BulkHeader::KeepAlive | BulkHeader::Aborted(_) | BulkHeader::Malformed => String::new(),
        }
    }

    /// The bytes that follow it: the offset of the first one in the whole, and of the end. Nothing where the end is a mark.
    pub(crate) fn range(&self) -> (u64, u64) {
        match *self {
            BulkHeader::Length(size) | BulkHeader::Snapshot { size, .. } => (0, size),
            BulkHeader::Resume { size, from, .. } => (from, size),
            _ => (0, 0),
        }
    }

    /// What upstream logs about this header, which was read from `line`; `to_parser`: the payload is loaded as it comes,
    /// not stored in a file.
    pub(crate) fn log(&self, line: &[u8], to_parser: bool) -> Option<LogLine> {
        let to = if to_parser { "to parser" } else { "to disk" };
        match self {
            BulkHeader::KeepAlive | BulkHeader::Resume { .. } => None,
            BulkHeader::Length(n) | BulkHeader::Snapshot { size: n, .. } => Some(notice(format!(
                "MASTER <-> REPLICA sync: receiving {n} bytes from master {to}"
            ))),
            BulkHeader::EofMark(_) => Some(notice(format!(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {to}"
            ))),
            BulkHeader::Aborted(why) => Some(warning(format!(
                "MASTER aborted replication with an error: {}",
                text(why)
            ))),
            BulkHeader::Malformed => Some(warning(format!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you \
                 sure the host and port are right?",
                text(c_string(line))
            ))),
        }
    }
}

/// Finds the 40 bytes that end a payload of unknown length.
#[derive(Clone, Debug)]
pub(crate) struct EofMark {
    mark: [u8; REPLID_LEN],
    /// The last bytes seen, the newest at the end.
    last: [u8; REPLID_LEN],
}

impl EofMark {
    /// The bytes to look for.
    pub(crate) fn mark(&self) -> [u8; REPLID_LEN] {
        self.mark
    }

    /// Looks for `mark`, which came with [`BulkHeader::EofMark`].
    pub(crate) fn new(mark: [u8; REPLID_LEN]) -> Self {
        EofMark {
            mark,
            last: [0; REPLID_LEN],
        }
    }

    /// Takes the next bytes of the stream, and tells whether they end in the mark. The master sends nothing after it
    /// before it hears of the replica, so the mark can only be at the end of what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        match bytes.last_chunk() {
            Some(tail) => self.last = *tail,
            None => {
                self.last.copy_within(bytes.len().., 0);
                self.last[REPLID_LEN - bytes.len()..].copy_from_slice(bytes);
            }
        }
        self.last == self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &SnapshotId = b"0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn bulk_headers() {
        let mark = text(ID);
        let eof = format!("$EOF:{mark}");
        let long = format!("$EOF:{mark}more");
        let cases: &[(&str, BulkHeader<'_>)] = &[
            ("", BulkHeader::KeepAlive),
            ("$0", BulkHeader::Length(0)),
            ("$123456789012", BulkHeader::Length(123456789012)),
            (&eof, BulkHeader::EofMark(*ID)),
            (&long, BulkHeader::EofMark(*ID)),
            ("-ERR no", BulkHeader::Aborted(b"ERR no")),
            ("-", BulkHeader::Aborted(b"")),
            ("$EOF:short", BulkHeader::Malformed),
            ("$", BulkHeader::Malformed),
            ("$-1", BulkHeader::Malformed),
            ("$12x", BulkHeader::Malformed),
            ("$99999999999999999999", BulkHeader::Malformed),
            ("+OK", BulkHeader::Malformed),
            ("REDIS0011", BulkHeader::Malformed),
        ];
        for (line, want) in cases {
            assert_eq!(parse_bulk_header(line.as_bytes()), *want, "{line}");
        }
        let log = |line: &[u8], to_parser| parse_bulk_header(line).log(line, to_parser);
        assert_eq!(log(b"", true), None);
        assert_eq!(
            log(b"$5", false),
            Some(notice(
                "MASTER <-> REPLICA sync: receiving 5 bytes from master to disk"
            ))
        );
        let want = "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to parser";
        assert_eq!(log(eof.as_bytes(), true), Some(notice(want)));
        assert_eq!(
            log(b"-ERR x", true),
            Some(warning("MASTER aborted replication with an error: ERR x"))
        );
        let want = "Bad protocol from MASTER, the first byte is not '$' (we received '+OK'), are you sure the host and port are right?";
        assert_eq!(log(b"+OK", true), Some(warning(want)));
    }

    #[test]
    fn the_eof_mark_is_found_however_it_is_cut() {
        let stream = [b"REDIS0011 and so on, 0123456789".as_slice(), ID].concat();
        for step in 1..=stream.len() {
            let mut m = EofMark::new(*ID);
            let found: Vec<bool> = stream.chunks(step).map(|c| m.push(c)).collect();
            let (last, before) = found.split_last().unwrap();
            assert!(*last && before.iter().all(|f| !f), "{step}");
        }
        let mut m = EofMark::new(*ID);
        assert!(!m.push(&ID[..39]));
        assert!(!m.push(b"x"));
        assert!(!m.push(b""));
        assert!(m.push(ID));
    }

    #[test]
    fn named_snapshots() {
        for h in [
            BulkHeader::Length(7),
            BulkHeader::EofMark(*ID),
            BulkHeader::Snapshot { id: *ID, size: 100 },
            BulkHeader::Resume {
                id: *ID,
                size: 100,
                from: 40,
            },
        ] {
            let line = h.line();
            let line = line.strip_suffix("\r\n").expect("an end");
            assert_eq!(parse_bulk_header(line.as_bytes()), h);
        }
        let id = text(ID);
        for bad in [
            "$SNAPSHOT:".to_string(),
            format!("$SNAPSHOT:{id}"),
            format!("$SNAPSHOT:{id}:"),
            format!("$SNAPSHOT:{id}:1:2"),
            format!("$SNAPSHOT:{id}x1"),
            format!("$RESUME:{id}:1"),
            format!("$RESUME:{id}:1:2"),
            format!("$RESUME:{id}::"),
            format!("$RESUME:{id}:1:-1"),
            format!("$RESUME:{id}:2:1:1"),
        ] {
            assert_eq!(
                parse_bulk_header(bad.as_bytes()),
                BulkHeader::Malformed,
                "{bad}"
            );
        }
    }
}
