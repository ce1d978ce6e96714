//! What every test binary shares: child servers, a byte-exact client, a TCP proxy, scripted peers, state dumps.
//!
//! Owns every process and thread a test starts, so that none outlives it. Knows the wire protocol and the file format
//! only through its own code: nothing here calls the library under test, or a shared mistake would cancel out.
//!
//! Environment:
//! - `AEDILE_SERVER`: path of the binary under test (default: the one cargo built).
//! - `AEDILE_STAND_IN`: set to `7.0` or `7.2` when `AEDILE_SERVER` is a redis-server of that version, to validate the
//!   tests themselves. Expectations that only Aedile or only 7.2 meets are then left out.
//! - `REDIS_72_SERVER`, `REDIS_8_SERVER`, `VALKEY_9_SERVER`: paths of newer servers, for tests of what they write and read, and for the
//!   guide to migrate.
//! - `REDIS_28_SERVER`, `REDIS_3_SERVER`, `REDIS_5_SERVER`, `REDIS_62_SERVER`: paths of older ones, likewise.
//! - `REDIS_SERVER`: path of the reference server (default: `redis-server` in PATH).
//! - `AEDILE_REQUIRE_REDIS=1` or `CI=true`: a test that needs a reference server and finds none fails, not skips.

// Each test binary compiles this module anew and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod cluster;
pub mod conn;
pub mod fake;
pub mod guide;
pub mod http;
pub mod net;
pub mod proxy;
pub mod rdb;
pub mod sentinel;
pub mod server;
pub mod state;
pub mod tls;
pub mod tools;

pub use conn::{Conn, Value};
pub use fake::{FakeMaster, Peer};
pub use net::Network;
pub use proxy::Proxy;
pub use sentinel::Sentinel;
pub use server::{Kind, Server};
pub use state::{assert_equal_state, assert_synced, comparable_stream, dump_state, synced_states};

use std::time::{Duration, Instant};

/// Bound on any single wait. It exists to end a hang; no test may pass or fail by being fast.
pub const HANG: Duration = Duration::from_secs(60);

/// Polls `probe` until it yields a value; panics with `what` after [`HANG`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < HANG, "hang: still waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Polls a condition until it holds; panics with `what` after [`HANG`].
#[track_caller]
pub fn wait_until(what: &str, mut probe: impl FnMut() -> bool) {
    wait_for(what, || probe().then_some(()));
}

/// The version a stand-in claims (`7.0`, `7.2`), or `None` when the binary under test is Aedile itself.
pub fn stand_in() -> Option<String> {
    std::env::var("AEDILE_STAND_IN")
        .ok()
        .filter(|v| !v.is_empty())
}

/// True when texts and commands newer than 7.0 may be expected of the binary under test.
pub fn has_72() -> bool {
    stand_in().is_none_or(|v| v != "7.0")
}

/// True when a reference redis-server can be started. When none can: false, or a panic if one is required.
pub fn redis_available() -> bool {
    let found = server::runs(&Kind::Redis.program());
    if !found {
        let required = std::env::var("AEDILE_REQUIRE_REDIS").is_ok_and(|v| v == "1")
            || std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(
            !required,
            "no redis-server to test against, and one is required"
        );
        eprintln!("SKIPPED: no redis-server in PATH; install it or set REDIS_SERVER");
    }
    found
}

/// Leaves the calling test when no reference server is there (see [`redis_available`]).
#[macro_export]
macro_rules! need_redis {
    () => {
        if !$crate::support::redis_available() {
            return;
        }
    };
}

/// SplitMix64: a small seeded generator, so that a failing stream can be run again by its seed.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_u64() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next_u64() as u8).collect()
    }
}

/// A seed: the value of the environment variable `name`, or one from the clock. The caller prints it.
pub fn seed_from_env(name: &str) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(1, |d| d.as_nanos() as u64)
        })
}
