//! Black-box tests of the binary: start-up, protocol, clients, configuration, persistence, pub/sub, transactions.

mod support;

mod server {
    mod clients;
    mod config;
    mod latency;
    mod persist;
    mod protocol;
    mod pubsub;
    mod startup;
    mod stream;
    mod transactions;
}
