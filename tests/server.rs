//! Black-box tests of the binary: start-up, protocol, clients, configuration, persistence, lists, pub/sub, transactions.

mod support;

mod server {
    mod clients;
    mod config;
    mod latency;
    mod list;
    mod persist;
    mod protocol;
    mod pubsub;
    mod startup;
    mod transactions;
}
