//! What is counted and timed, for those who look: counters, latencies, the slow log.

pub mod histogram;
pub mod latency;
pub mod slowlog;
pub mod stats;
