//! See `aedile::fuzz::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::handshake(bytes));
