//! The frame of an RDB file, looked at as its bytes pass by: the header at its front, the checksum at its end.
//!
//! For whoever must know that a file is whole before anything depends on it, and cannot afford to read it twice. Must not
//! know where the bytes come from or go to. What lies between header and checksum is the reader's business.

use super::error::RdbErrorKind;
use super::format::{
    RDB_HEADER_LEN, RDB_MAGIC, RDB_MAGIC_VALKEY, RDB_VERSION_CHECKSUM, RDB_VERSION_REDIS,
    RDB_VERSION_VALKEY, RDB_VERSION_VALKEY_MIN, is_valkey,
};
use crate::base::crc::Crc64;

/// Bytes of the checksum.
const CHECKSUM_LEN: usize = 8;
/// The most bytes that may follow the file: an end mark.
const BEHIND_MOST: usize = 40;

/// Which versions are read (rdb-version-check).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum VersionCheck {
    /// Those whose content is known.
    #[default]
    Strict,
    /// Later ones too, up to the first thing in them that is not known.
    Relaxed,
}

impl VersionCheck {
    /// Whether files, and payloads of DUMP, of this version are read.
    pub(crate) fn allows(self, version: u16) -> bool {
        match (is_valkey(version), self) {
            (false, _) if version == 0 => false,
            (false, VersionCheck::Strict) => version <= RDB_VERSION_REDIS,
            (true, VersionCheck::Strict) => version <= RDB_VERSION_VALKEY,
            (_, VersionCheck::Relaxed) => true,
        }
    }
}

/// Reads a file's header: its version.
///
/// # Errors
/// `BadMagic`; or `UnsupportedVersion`, of what `check` does not allow.
pub(crate) fn parse_header(
    header: &[u8; RDB_HEADER_LEN],
    check: VersionCheck,
) -> Result<u16, RdbErrorKind> {
    let redis = header.strip_prefix(RDB_MAGIC.as_slice());
    let valkey = header.strip_prefix(RDB_MAGIC_VALKEY.as_slice());
    let digits = redis.or(valkey).ok_or(RdbErrorKind::BadMagic)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(RdbErrorKind::BadMagic);
    }
    let version = digits
        .iter()
        .fold(0u16, |v, d| v * 10 + u16::from(d - b'0'));
    // Each has its own numbers.
    if (version >= RDB_VERSION_VALKEY_MIN) != valkey.is_some() || !check.allows(version) {
        return Err(RdbErrorKind::UnsupportedVersion(u32::from(version)));
    }
    Ok(version)
}

/// The header of a file of this version.
pub(crate) fn header_of(version: u16) -> [u8; RDB_HEADER_LEN] {
    let mut header = [0; RDB_HEADER_LEN];
    let text = match is_valkey(version) {
        true => format!("VALKEY{version:03}"),
        false => format!("REDIS{version:04}"),
    };
    // Versions are of four digits at the most, Valkey's of three.
    for (to, from) in header.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    header
}

/// What is known of a file so far.
#[derive(Clone, Debug)]
pub(crate) struct FrameCheck {
    check: VersionCheck,
    head: [u8; RDB_HEADER_LEN],
    /// Bytes of `head` that have come.
    head_len: usize,
    /// 0: not known yet.
    version: u16,
    crc: Crc64,
    /// The last bytes, which may be the checksum and what follows it: they are not summed yet.
    held: [u8; CHECKSUM_LEN + BEHIND_MOST],
    held_len: usize,
    /// Bytes that follow the file and are pushed too.
    behind: usize,
}

impl FrameCheck {
    /// Of a file that is followed by `behind` bytes, 40 at the most.
    pub(crate) fn new(behind: usize, check: VersionCheck) -> FrameCheck {
        debug_assert!(behind <= BEHIND_MOST);
        FrameCheck {
            check,
            head: [0; RDB_HEADER_LEN],
            head_len: 0,
            version: 0,
            crc: Crc64::new(),
            held: [0; CHECKSUM_LEN + BEHIND_MOST],
            held_len: 0,
            behind: behind.min(BEHIND_MOST),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The header is none that can be read: [`parse_header`]'s.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), RdbErrorKind> {
        if self.version == 0 {
            let n = bytes.len().min(RDB_HEADER_LEN - self.head_len);
            self.head[self.head_len..self.head_len + n].copy_from_slice(&bytes[..n]);
            self.head_len += n;
            if self.head_len == RDB_HEADER_LEN {
                self.version = parse_header(&self.head, self.check)?;
            }
        }
        let hold = CHECKSUM_LEN + self.behind;
        if bytes.len() >= hold {
            self.crc.update(&self.held[..self.held_len]);
            let (pass, keep) = bytes.split_at(bytes.len() - hold);
            self.crc.update(pass);
            self.held[..hold].copy_from_slice(keep);
            self.held_len = hold;
            return Ok(());
        }
        let pass = (self.held_len + bytes.len()).saturating_sub(hold);
        self.crc.update(&self.held[..pass]);
        self.held.copy_within(pass..self.held_len, 0);
        self.held_len -= pass;
        self.held[self.held_len..self.held_len + bytes.len()].copy_from_slice(bytes);
        self.held_len += bytes.len();
        Ok(())
    }

    /// All bytes have come.
    ///
    /// # Errors
    /// `ShortRead`: they are no file; `ChecksumMismatch`, unless the file was written without a checksum.
    pub(crate) fn finish(&self) -> Result<(), RdbErrorKind> {
        if self.version == 0 || self.held_len < CHECKSUM_LEN + self.behind {
            return Err(RdbErrorKind::ShortRead);
        }
        if self.version < RDB_VERSION_CHECKSUM {
            return Ok(());
        }
        let mut found = [0; CHECKSUM_LEN];
        found.copy_from_slice(&self.held[..CHECKSUM_LEN]);
        let (expected, found) = (self.crc.value(), u64::from_le_bytes(found));
        if found != 0 && found != expected {
            return Err(RdbErrorKind::ChecksumMismatch { expected, found });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crc::crc64;
    use proptest::prelude::*;

    fn file(version: &str, body: &[u8]) -> Vec<u8> {
        let mut f = [b"REDIS", version.as_bytes(), body, b"\xff"].concat();
        let sum = crc64(&f);
        f.extend_from_slice(&sum.to_le_bytes());
        f
    }

    fn check(bytes: &[u8], behind: usize, cuts: &[usize]) -> Result<(), RdbErrorKind> {
        let mut frame = FrameCheck::new(behind, VersionCheck::Strict);
        let mut rest = bytes;
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            frame.push(now)?;
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        frame.finish()
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_is_sound_and_a_changed_one_is_not(
            body in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(1usize..80, 1..20),
            mark in any::<bool>(),
            at in any::<proptest::sample::Index>())
        {
            let behind = if mark { 40 } else { 0 };
            let whole = [file("0011", &body), vec![b'm'; behind]].concat();
            prop_assert_eq!(check(&whole, behind, &cuts), Ok(()));
            let mut bad = whole.clone();
            // Another digit of the version may make it one that has no checksum.
            let at = RDB_HEADER_LEN + at.index(whole.len() - behind - RDB_HEADER_LEN);
            bad[at] ^= 1;
            prop_assert!(check(&bad, behind, &cuts).is_err());
        }
    }

    #[test]
    fn headers_are_judged_as_soon_as_they_are_there() {
        let with = |check, bytes: &[u8]| FrameCheck::new(0, check).push(bytes);
        let of = |bytes: &[u8]| with(VersionCheck::Strict, bytes);
        assert_eq!(of(b"REDIS001"), Ok(()));
        assert_eq!(of(b"REDIS0011"), Ok(()));
        assert_eq!(of(b"REDIS0001"), Ok(()));
        assert_eq!(of(b"REDIS0012and more"), Ok(()));
        assert_eq!(of(b"VALKEY080"), Ok(()));
        let unsupported = |v| Err(RdbErrorKind::UnsupportedVersion(v));
        for (header, version, relaxed) in [
            (&b"REDIS0014and more"[..], 14, true),
            (b"VALKEY081", 81, true),
            (b"REDIS0079", 79, true),
            (b"REDIS0000", 0, false),
            // Each has its own numbers.
            (b"REDIS0080", 80, false),
            (b"VALKEY079", 79, false),
            (b"VALKEY000", 0, false),
        ] {
            assert_eq!(of(header), unsupported(version));
            let want = if relaxed {
                Ok(())
            } else {
                unsupported(version)
            };
            assert_eq!(with(VersionCheck::Relaxed, header), want, "{version}");
        }
        for header in [b"REDIS00a1", b"VALKEY0a1", b"VALKEX080", b"REDISVALK"] {
            assert_eq!(of(header), Err(RdbErrorKind::BadMagic));
            let relaxed = with(VersionCheck::Relaxed, header);
            assert_eq!(relaxed, Err(RdbErrorKind::BadMagic));
        }
    }

    #[test]
    fn files_without_a_checksum() {
        // Version 4 has none; a later one may have been written without.
        assert_eq!(check(b"REDIS0004\xfe\0\0\x01k\x01v\xff", 0, &[7]), Ok(()));
        let mut f = file("0011", b"x");
        let end = f.len();
        f[end - 8..].fill(0);
        assert_eq!(check(&f, 0, &[3]), Ok(()));
        for short in [&b""[..], b"REDIS", b"REDIS0011", b"REDIS0011\xff"] {
            let mut frame = FrameCheck::new(40, VersionCheck::Strict);
            assert_eq!(frame.push(short), Ok(()));
            assert_eq!(frame.finish(), Err(RdbErrorKind::ShortRead), "{short:?}");
        }
    }
}
