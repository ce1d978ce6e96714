//! See `aedile::fuzz::replies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::replies(bytes));
