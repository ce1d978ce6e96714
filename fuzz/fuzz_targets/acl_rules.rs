//! See `aedile::fuzz::acl_rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aedile::fuzz::acl_rules(bytes));
