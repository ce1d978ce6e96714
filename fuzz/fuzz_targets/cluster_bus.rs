//! See `aedile::fuzz::cluster_bus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::cluster_bus(bytes));
