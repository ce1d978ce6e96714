//! Black-box tests of the binary: start-up, protocol, clients, configuration, persistence, lists, sets,
//! hashes, sorted sets, the debugger of scripts, payloads that lie, pub/sub, transactions, memory and eviction, clients beside each other, users, TLS, Sentinel mode, clusters.

mod support;

mod server {
    mod acl;
    mod acl_files;
    mod aof_load;
    mod client_buffers;
    mod client_eviction;
    mod clients;
    mod cluster;
    mod cluster_chaos;
    mod cluster_migration;
    mod cluster_tls;
    mod config;
    mod crash_report;
    mod debugger;
    mod docs;
    mod evict;
    mod explained;
    mod functions;
    mod geo;
    mod hash;
    mod held_up;
    mod hyperloglog;
    mod latency;
    mod later_files;
    mod list;
    mod logs;
    mod masters_above;
    mod memory;
    mod metrics;
    mod metrics_page;
    mod neighbours;
    mod persist;
    mod protocol;
    mod pubsub;
    mod replication;
    mod restore;
    mod salvage;
    mod script_fuzz;
    mod scripts;
    mod sentinel;
    mod set;
    mod shortcuts;
    mod shutdown;
    mod snapshot;
    mod sort;
    mod sorted_set;
    mod startup;
    mod stream;
    mod tls;
    mod tools;
    mod tracking;
    mod transactions;
    mod unbuilt;
    mod wait;
    mod wall;
}
