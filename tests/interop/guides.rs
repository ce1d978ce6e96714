//! The guides of `docs/`: every example in them is run.
//!
//! Besides the redis-server of all tests, `PEER_REDIS_8` and `PEER_VALKEY_9` name programs that one may come from; where a variable
//! is not set, what the guide says of that program is not run.

use crate::need_redis;
use crate::support::Kind;
use crate::support::guide::{Old, found_in_path, run_guide};

const KNOWN: [&str; 3] = ["redis-7", "redis-8", "valkey-9"];

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
    for (name, variable) in [(KNOWN[1], "PEER_REDIS_8"), (KNOWN[2], "PEER_VALKEY_9")] {
        match std::env::var_os(variable).filter(|v| !v.is_empty()) {
            Some(program) => programs.push(Old {
                name,
                program: program.into(),
            }),
            None => eprintln!("SKIPPED: moving from {name} ({variable} is not set)"),
        }
    }
    run_guide("migrating.md", &programs, &KNOWN);
}

#[test]
fn troubleshooting() {
    need_redis!();
    run_guide("troubleshooting.md", &[redis_7()], &KNOWN);
}
