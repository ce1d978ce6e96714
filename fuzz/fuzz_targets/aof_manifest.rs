//! See `aedile::fuzz::aof_manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::aof_manifest(bytes));
