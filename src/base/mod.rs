//! What everything stands on: system calls, clocks, numbers, patterns, checksums, randomness, the log and the allocator.
//! Floor 0: nothing here knows what Redis is.

pub mod alloc;
pub mod bio;
pub mod clock;
pub mod crc;
pub mod fpconv;
pub mod geohash;
pub mod glob;
pub mod log;
pub mod long_double;
pub mod lzf;
pub mod num;
pub mod random;
pub mod split_args;
pub mod strtod;
pub mod sys;
