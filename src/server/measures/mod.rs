//! What is counted and timed, for those who look: counters, latencies, the slow log.

pub(crate) mod exponential;
pub(crate) mod histogram;
pub(crate) mod key_samples;
pub(crate) mod latency;
pub(crate) mod slowlog;
pub(crate) mod stats;
pub(crate) mod watched;
