//! The server under test against scripted masters and scripted replicas that err, stall and hang up.

mod support;

mod peer {
    mod failover;
    mod later;
    mod masters;
    mod pace;
    mod replicas;
}
