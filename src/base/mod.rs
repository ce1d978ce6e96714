//! What everything stands on: system calls, clocks, numbers, patterns, checksums, randomness, the log and the allocator.
//! Floor 0: nothing here knows what Redis is.

#[allow(unsafe_code)]
pub(crate) mod alloc;
pub(crate) mod bio;
pub(crate) mod clock;
pub(crate) mod crc;
pub(crate) mod file_writer;
pub(crate) mod fpconv;
pub(crate) mod geohash;
pub(crate) mod glob;
pub(crate) mod key_slot;
pub(crate) mod log;
pub(crate) mod long_double;
pub(crate) mod lzf;
pub(crate) mod num;
pub(crate) mod random;
pub(crate) mod replace_file;
pub(crate) mod resolve;
pub(crate) mod split_args;
pub(crate) mod strtod;
#[allow(unsafe_code)]
pub(crate) mod sys;
