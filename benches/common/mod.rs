//! What the benches share: the servers to measure, started as the tests start theirs.
//!
//! `AEDILE_SERVER` and `REDIS_SERVER` override the programs. Without a redis-server only Aedile is measured.

// Each bench uses a part of it.
#![allow(dead_code)]

#[path = "../../tests/support/mod.rs"]
pub mod support;

pub use support::{Kind, Server};

use std::ops::Range;
use std::time::Duration;

/// The kinds that can be started here, with the name they bear in reports.
pub fn kinds() -> Vec<(Kind, &'static str)> {
    let mut kinds = vec![(Kind::Aedile, "aedile")];
    if support::server::runs(&Kind::Redis.program()) {
        kinds.push((Kind::Redis, "redis"));
    } else {
        eprintln!("no redis-server: only aedile is measured");
    }
    kinds
}

/// Short runs: the suite is to be run often.
pub fn criterion() -> criterion::Criterion {
    criterion::Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Writes keys of 32 bytes, by these numbers.
pub fn populate(server: &Server, keys: Range<usize>) {
    let mut c = server.connect();
    for from in keys.clone().step_by(1000) {
        let cmds: Vec<Vec<String>> = (from..keys.end.min(from + 1000))
            .map(|i| vec!["SET".into(), format!("key:{i:012}"), format!("{i:032}")])
            .collect();
        c.pipeline(&cmds);
    }
}
