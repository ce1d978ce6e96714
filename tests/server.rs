//! Black-box tests of the binary: start-up, protocol, clients, configuration, persistence, lists, pub/sub, transactions.

mod support;

mod server {
    mod client_buffers;
    mod clients;
    mod config;
    mod hyperloglog;
    mod latency;
    mod list;
    mod persist;
    mod protocol;
    mod pubsub;
    mod startup;
    mod transactions;
}
