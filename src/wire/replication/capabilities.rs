//! What a replica tells its master of itself with `REPLCONF capa`: a codec of the words, and which of them a replica offers.
//!
//! A master ignores words that it does not know, so that more may be said to an Aedile than to a real Redis. Must not know what
//! either end does about it. Source of the first two: replconfCommand of Redis 7.2; of `REPLCONF version`: Valkey 8.

use crate::wire::rdb::{RDB_VERSION, RDB_VERSION_MIN_WRITTEN};
use crate::wire::replication::replid::REPLID_LEN;

/// Names a snapshot that a master has made: no two of them have the same.
pub(crate) type SnapshotId = [u8; REPLID_LEN];

/// What there is of a snapshot whose transfer was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumeRequest {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Bytes that are there, from its beginning on.
    pub have: u64,
}

/// One word of `REPLCONF capa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability<'a> {
    /// `eof`: reads a payload that ends in a mark.
    Eof,
    /// `psync2`: reads the new id in `+CONTINUE`.
    Psync2,
    /// `rdb:<version>`: reads files up to this version. Aedile's own.
    Rdb(u16),
    /// `resume`, or `resume:<snapshot>:<have>`: takes the rest of a snapshot. Aedile's own.
    Resume(Option<ResumeRequest>),
    /// `behind`, or `behind:<marks>`: tells who is behind it (`wire::replication::ring`), and goes on to with its acknowledgements if the
    /// master says that it reads it. Aedile's own.
    Behind(&'a [u8]),
    /// `upstream`: reads the masters above the master in its answer (`wire::replication::upstream`). Aedile's own.
    Upstream,
    /// Another one, or one that makes no sense.
    Unknown,
}

/// The status with which a master that reads `behind` answers.
pub(crate) const HEARS_BEHIND: &str = "OK behind";

const RDB: &[u8] = b"rdb:";
const RESUME: &[u8] = b"resume";
const BEHIND: &[u8] = b"behind";
const UPSTREAM: &[u8] = b"upstream";

/// What a master says in its stream with the same command, since replicas ignore words that they do not know as well: which slots' keys
/// it has and does not serve.
const HIDDEN_SLOTS: &[u8] = b"hidden-slots:";

/// The word for these slots, `0-5,9-9`, or for none.
pub(crate) fn hidden_slots_word(slots: &str) -> Vec<u8> {
    [HIDDEN_SLOTS, slots.as_bytes()].concat()
}

/// The slots of such a word. None: it is another one.
pub(crate) fn hidden_slots_of_word(word: &[u8]) -> Option<&[u8]> {
    word.strip_prefix(HIDDEN_SLOTS)
}

/// A plain decimal number of at most 18 digits.
pub(super) fn plain_number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.len() < 19 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}

impl<'a> Capability<'a> {
    /// Reads a word; capital letters mean the same.
    pub(crate) fn parse(word: &'a [u8]) -> Capability<'a> {
        if word.eq_ignore_ascii_case(b"eof") {
            return Capability::Eof;
        }
        if word.eq_ignore_ascii_case(b"psync2") {
            return Capability::Psync2;
        }
        let ours = || {
            if let Some(version) = word.strip_prefix(RDB) {
                let version = u16::try_from(plain_number(version)?).ok()?;
                return Some(Capability::Rdb(version));
            }
            if let Some(rest) = word.strip_prefix(RESUME) {
                if rest.is_empty() {
                    return Some(Capability::Resume(None));
                }
                let (snapshot, have) = rest.strip_prefix(b":")?.split_first_chunk()?;
                let have = plain_number(have.strip_prefix(b":")?)?;
                return Some(Capability::Resume(Some(ResumeRequest {
                    snapshot: *snapshot,
                    have,
                })));
            }
            if word == UPSTREAM {
                return Some(Capability::Upstream);
            }
            match word.strip_prefix(BEHIND)? {
                [] => Some(Capability::Behind(&[])),
                [b':', marks @ ..] => Some(Capability::Behind(marks)),
                _ => None,
            }
        };
        ours().unwrap_or(Capability::Unknown)
    }

    /// The word for it; none for `Unknown`.
    pub(crate) fn word(&self) -> Vec<u8> {
        match self {
            Capability::Eof => b"eof".to_vec(),
            Capability::Psync2 => b"psync2".to_vec(),
            Capability::Rdb(version) => [RDB, version.to_string().as_bytes()].concat(),
            Capability::Resume(None) => RESUME.to_vec(),
            Capability::Resume(Some(r)) => {
                let have = r.have.to_string();
                [RESUME, b":", &r.snapshot[..], b":", have.as_bytes()].concat()
            }
            Capability::Behind([]) => BEHIND.to_vec(),
            Capability::Behind(marks) => [BEHIND, b":", marks].concat(),
            Capability::Upstream => UPSTREAM.to_vec(),
            Capability::Unknown => Vec::new(),
        }
    }

    /// What a replica offers besides the RDB version that it reads and `upstream`: `resume` as it is configured, `behind` with these marks,
    /// which may be empty.
    pub(crate) fn offer(
        resume: Option<Option<ResumeRequest>>,
        marks: &'a str,
    ) -> Vec<Capability<'a>> {
        let mut all = vec![Capability::Eof, Capability::Psync2];
        all.extend(resume.map(Capability::Resume));
        all.push(Capability::Behind(marks.as_bytes()));
        all
    }
}

/// The newest RDB version that a server which calls itself by this version (`REPLCONF version 8.1.0`) reads, as far as we
/// write it. None: that is no version.
pub(crate) fn rdb_version_of_server(version: &[u8]) -> Option<u16> {
    let mut parts = version.split(|b| *b == b'.').map(plain_number);
    let (major, minor) = (parts.next()??, parts.next().unwrap_or(Some(0))?);
    Some(match (major, minor) {
        (0..=6, _) => RDB_VERSION_MIN_WRITTEN,
        (7, 0..=1) => 10,
        _ => RDB_VERSION,
    })
}

/// The RDB version for a replica that has not said what it reads: Redis says nothing up to 7.2 and beyond, and 7.0 reads this.
pub(crate) const RDB_VERSION_UNTOLD: u16 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &SnapshotId = b"0123456789012345678901234567890123456789";

    #[test]
    fn every_word_is_read_as_it_was_meant() {
        let resume = ResumeRequest {
            snapshot: *ID,
            have: 1 << 40,
        };
        for c in [
            Capability::Eof,
            Capability::Psync2,
            Capability::Rdb(11),
            Capability::Resume(None),
            Capability::Resume(Some(resume)),
            Capability::Behind(b""),
            Capability::Behind(b"a,b"),
            Capability::Upstream,
        ] {
            assert_eq!(Capability::parse(&c.word()), c);
        }
        assert_eq!(Capability::parse(b"EOF"), Capability::Eof);
        assert_eq!(Capability::parse(b"Psync2"), Capability::Psync2);
    }

    #[test]
    fn words_that_make_no_sense_are_unknown() {
        for word in [
            &b""[..],
            b"e",
            b"rdb",
            b"rdb:",
            b"rdb:x",
            b"rdb:-1",
            b"rdb:65536",
            b"rdb:99999999999999999999",
            b"resumed",
            b"resume:",
            b"resume:0123456789012345678901234567890123456789",
            b"resume:0123456789012345678901234567890123456789:",
            b"resume:0123456789012345678901234567890123456789:-1",
            b"resume:0123456789012345678901234567890123456789:1:2",
            b"resume:0123456789012345678901234567890123456789:9999999999999999999",
            b"behindx",
            b"behin",
            b"upstreams",
            b"upstream:",
        ] {
            assert_eq!(Capability::parse(word), Capability::Unknown, "{word:?}");
        }
    }

    #[test]
    fn what_servers_read() {
        for (version, want) in [
            ("5.0.14", Some(9)),
            ("6.2.0", Some(9)),
            ("7.0.15", Some(10)),
            ("7.1.240", Some(10)),
            ("7.2.6", Some(11)),
            ("8.1.0", Some(11)),
            ("9.0.0-rc1", Some(11)),
            ("255.255.255", Some(11)),
            ("8", Some(11)),
            ("", None),
            ("x", None),
            ("-8.0.0", None),
            ("8.x.0", None),
        ] {
            assert_eq!(rdb_version_of_server(version.as_bytes()), want, "{version}");
        }
    }
}
