//! Crash proofs: the server is killed at random moments, its disk is full, slow or broken, and what it has acknowledged is
//! looked for.
//!
//! Environment: `CRASH_SEED` (else from the clock; printed), `CRASH_ROUNDS` (rounds of each test that kills; the default
//! keeps the whole binary well under 90 seconds).

mod support;

mod crash {
    mod disk;
    mod folder_sync;
    mod kill;
    mod payload;
    mod slow_disk;
    mod slow_sync;
    mod writers;
}
