//! The guides of `docs/`: every example in them is run.
//!
//! Besides the redis-server of all tests, these are newer and older servers that the environment names (`Kind::PEERS`, `Kind::OLD`); where one is not
//! there, what the guide says of that program is not run.

use crate::need_redis;
use crate::support::Kind;
use crate::support::guide::{Old, found_in_path, run_guide};

const KNOWN: [&str; 4] = ["redis-7", "redis-8", "valkey-9", "redis-6"];

fn redis_7() -> Old {
    Old {
        name: KNOWN[0],
        program: found_in_path(Kind::Redis.program()),
    }
}

#[test]
fn migrating() {
    need_redis!();
    let mut programs = vec![redis_7()];
    for (name, kind) in [
        (KNOWN[1], Kind::Redis8),
        (KNOWN[2], Kind::Valkey9),
        (KNOWN[3], Kind::Redis62),
    ] {
        if kind.is_here() {
            programs.push(Old {
                name,
                program: kind.program().into(),
            });
        }
    }
    run_guide("migrating.md", &programs, &KNOWN);
}

#[test]
fn troubleshooting() {
    need_redis!();
    run_guide("troubleshooting.md", &[redis_7()], &KNOWN);
}
