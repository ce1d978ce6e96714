//! See `aedile::fuzz::resp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::resp(bytes));
