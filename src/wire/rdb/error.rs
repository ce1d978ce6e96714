//! What can be wrong with an RDB file, in upstream's words.

use std::fmt;
use std::io;

/// What is wrong with an RDB file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RdbError {
    /// Bytes consumed before the error.
    pub offset: u64,
    /// What is wrong.
    pub kind: RdbErrorKind,
}

/// The kinds of [`RdbError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RdbErrorKind {
    /// The source ended inside a record.
    ShortRead,
    /// The file does not begin with `REDIS` and four digits.
    BadMagic,
    /// The header announces a version that [`super::VersionCheck`] does not allow.
    UnsupportedVersion(u32),
    /// A byte that is neither an opcode nor a type. Where it seems to be a type, the reader has tried to read the key.
    UnknownType(u8),
    /// A hash with a field that has an expiry.
    FieldExpiry,
    /// A stream that remembers what its producers have added.
    IdempotentProducers,
    /// A key with metadata of a module.
    KeyMetadata,
    /// Slots are being imported.
    SlotImport,
    /// The first byte of a length is none of its forms, or a string's encoding stands where a count should.
    BadLength(u8),
    /// A string in a special encoding that does not exist.
    UnknownEncoding(u8),
    /// A length that does not fit in memory's address space.
    TooLong(u64),
    /// Compressed bytes that do not expand to the length announced.
    LzfCorrupt,
    /// A textual score that is no number.
    BadDouble,
    /// A value is not what its encoding promises; the text says what of it.
    Value(&'static str),
    /// A value of a module type that is not there; its name.
    NoModuleType([u8; 9]),
    /// A quicklist node of an unknown container.
    BadContainer(u64),
    /// The checksum computed (`expected`) is not the one in the file (`found`).
    ChecksumMismatch {
        /// The CRC-64 of the bytes read.
        expected: u64,
        /// The CRC-64 at the end of the file.
        found: u64,
    },
    /// A module value of the 4.0 release candidates, which nobody can walk over.
    ModulePreGa,
    /// A module's data are not made of the annotated fields they should be made of.
    ModuleData(u64),
    /// A function library of the 7.0 release candidates.
    FunctionPreGa,
    /// The source failed, or the poll hook asked for an end.
    Io(io::ErrorKind),
}

impl fmt::Display for RdbErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortRead => write!(f, "Unexpected EOF reading RDB file"),
            Self::BadMagic => write!(f, "Wrong signature trying to load DB from file"),
            Self::UnsupportedVersion(v) => write!(f, "Can't handle RDB format version {v}"),
            Self::UnknownType(t) => write!(f, "Unknown RDB encoding type {t}"),
            Self::FieldExpiry => {
                write!(
                    f,
                    "Hash fields have an expiry of their own, which cannot be kept here"
                )
            }
            Self::IdempotentProducers => write!(
                f,
                "A stream remembers what its idempotent producers have added, which cannot be kept here"
            ),
            Self::KeyMetadata => {
                write!(
                    f,
                    "A key has metadata of a module, which cannot be kept here"
                )
            }
            Self::SlotImport => {
                write!(
                    f,
                    "Slots are being imported, which cannot be gone on with here"
                )
            }
            Self::BadLength(b) => write!(f, "Unknown length encoding, first byte 0x{b:02x}"),
            Self::UnknownEncoding(e) => write!(f, "Unknown RDB string encoding type {e}"),
            Self::TooLong(n) => write!(f, "Length {n} is beyond what can be addressed"),
            Self::LzfCorrupt => write!(f, "Invalid LZF compressed string"),
            Self::BadDouble => write!(f, "A sorted set's score is not a number"),
            Self::Value(text) => f.write_str(text),
            Self::NoModuleType(name) => write!(
                f,
                "The RDB file contains module data I can't load: no matching module type '{}'",
                String::from_utf8_lossy(name)
            ),
            Self::BadContainer(c) => {
                write!(f, "Quicklist integrity check failed: unknown container {c}")
            }
            Self::ChecksumMismatch { expected, found } => {
                write!(
                    f,
                    "Wrong RDB checksum expected: ({expected:x}) but got ({found:x})"
                )
            }
            Self::ModulePreGa => write!(f, "Pre-release module format not supported"),
            Self::ModuleData(opcode) => {
                write!(f, "Module data contain the unknown opcode {opcode}")
            }
            Self::FunctionPreGa => write!(f, "Pre-release function format not supported."),
            Self::Io(kind) => write!(f, "I/O error reading RDB data: {kind}"),
        }
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RDB error at offset {}: {}", self.offset, self.kind)
    }
}

impl std::error::Error for RdbError {}

impl RdbErrorKind {
    /// Did the source fail rather than the format? A replica may then try again; a bad format stays bad.
    pub(crate) fn is_read_error(&self) -> bool {
        matches!(self, Self::ShortRead | Self::Io(_))
    }

    /// Is it something that another server has, and this one has not, rather than a fault?
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::UnknownType(_)
                | Self::FieldExpiry
                | Self::IdempotentProducers
                | Self::KeyMetadata
                | Self::SlotImport
        )
    }
}
