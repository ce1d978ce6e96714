//! See `aedile::fuzz::listpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::listpack(bytes));
