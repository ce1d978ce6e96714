//! See `aedile::fuzz::dump_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::dump_payload(bytes));
