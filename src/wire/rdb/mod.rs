//! The RDB file format: versions 1 to 13 of Redis and 80 of Valkey are read as far as there is a place for what is in them, 9 to 11
//! are written.
//!
//! Owns the layout ([`mod@format`]), a writer and a reader of its primitives and records ([`mod@write`], [`read`]), a look at
//! header and checksum of bytes that pass by ([`frame`]), and the framing of DUMP payloads. Must not know the store, files or processes: what a hash looks like in memory, and when a
//! save runs, is decided above. Source: rdb.c, rdb.h and cluster.c (DUMP, RESTORE) of Redis 7.2.

pub(crate) mod error;
pub(crate) mod format;
pub(crate) mod frame;
mod functions;
pub(crate) mod read;
pub(crate) mod write;

#[cfg(test)]
mod tests;

pub(crate) use error::{RdbError, RdbErrorKind};
pub(crate) use format::*;
pub(crate) use frame::{FrameCheck, VersionCheck, header_of, parse_header};
pub(crate) use functions::{push_function, read_functions};
pub(crate) use read::{Poll, PollPoint, RdbChecksum, RdbReader, RdbRecord, RdbString, no_poll};
pub(crate) use write::{Paced, RdbWriter, RdbWriterOptions};

use crate::base::crc::crc64;

/// Bytes that follow the value in a DUMP payload: version, 2 bytes LE, and CRC-64, 8 bytes LE, of all before it.
#[cfg(test)]
pub(crate) const DUMP_FOOTER_LEN: usize = 10;

/// Why a payload given to RESTORE is refused. All of them are `ERR DUMP payload version or checksum are wrong` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DumpError {
    /// Shorter than its footer.
    TooShort,
    /// Of a version that is not read.
    UnsupportedVersion(u16),
    /// Altered on its way.
    ChecksumMismatch,
}

/// Makes a DUMP payload of `payload`, which holds a type byte and a value, by appending version and CRC-64
/// (createDumpPayload).
pub(crate) fn create_dump_payload(payload: &mut Vec<u8>, version: u16) {
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc64(payload);
    payload.extend_from_slice(&sum.to_le_bytes());
}

/// Checks the footer of a DUMP payload and returns its version and its body: type byte and value
/// (verifyDumpPayload). With `skip_checksum` only the version is checked.
pub(crate) fn verify_dump_payload(
    payload: &[u8],
    skip_checksum: bool,
    check: VersionCheck,
) -> Result<(u16, &[u8]), DumpError> {
    let (covered, sum) = payload.split_last_chunk::<8>().ok_or(DumpError::TooShort)?;
    let (body, version) = covered.split_last_chunk::<2>().ok_or(DumpError::TooShort)?;
    let version = u16::from_le_bytes(*version);
    if version > 0 && !check.allows(version) {
        return Err(DumpError::UnsupportedVersion(version));
    }
    if !skip_checksum && crc64(covered) != u64::from_le_bytes(*sum) {
        return Err(DumpError::ChecksumMismatch);
    }
    Ok((version, body))
}
