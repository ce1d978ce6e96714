//! See `aedile::fuzz::rdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::rdb(bytes));
