//! A master and three replicas, one of them a real redis-server and one chained below another, under writes of all types,
//! while links, processes, roles and settings change by chance. In the end all are equal, and what was promised is there.
//! And three servers over which three Sentinels watch: these decide who is the master while it is killed, stopped and cut off.
//!
//! Environment:
//! - `CHAOS_SEED`: the first episode's seed (default: from the clock). Printed, with the log of actions, on failure.
//! - `CHAOS_ROUNDS`: how many rounds (default: a dozen; eight of Sentinels).
//! - `CHAOS_EPISODE`: how many of them the same servers go through (default: a dozen). Then comes another episode, with new
//!   servers and the next seed: a failure in the fifth is run again by its seed alone, and the rounds of one episode.

mod support;

mod chaos {
    mod actions;
    mod cluster;
    mod episode;
    // The random commands of tests/diff; what that test alone needs is not used here.
    #[path = "../diff/generator.rs"]
    #[allow(dead_code)]
    mod generator;
    mod led;
    mod ledger;
    mod writers;
}
