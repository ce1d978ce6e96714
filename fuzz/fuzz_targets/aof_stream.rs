//! See `aedile::fuzz::aof_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::aof_stream(bytes));
