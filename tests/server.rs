//! Black-box tests of the binary: start-up, protocol, clients, configuration, persistence.

mod support;

mod server {
    mod clients;
    mod config;
    mod persist;
    mod protocol;
    mod startup;
}
