//! Aedile: a Redis server whose heart is replication.
//!
//! One thread, one hand-rolled event loop ([`ae`]) over mio; every protocol, replication's too, runs as readiness callbacks.
//! The house has floors, and a file imports only from its own or lower ones (`tests/tidy.rs` checks it):
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`base`], [`ae`] |
//! | 1 | [`ds`]: hash table, shared buffers |
//! | 2 | [`wire`]: RESP, RDB, the append-only file's format, what replication says |
//! | 3 | [`store`]: entries and databases; also `config::fields` and `config::value`, which hold values and know nobody |
//! | 4 | [`server`]: the one `Server`, its clients, execution, what all commands owe the keys, the process |
//! | 5 | [`commands`], [`replication`], [`persist`], [`config`], [`script`], [`acl`], [`tls`], [`sentinel`], [`cluster`], [`metrics`] |
//!
//! Floor 5 adds methods to `Server`; floor 4 calls them by name and imports nothing from there but to put the house together
//! (`server::process::startup`).
//!
//! What is absent on purpose: locks on the data path, `unsafe` outside `base::sys`, `base::alloc`, `ds`, `store::entry` and
//! `script::lua`, and globals, but for what is the process' own:
//!
//! | where | what |
//! |---|---|
//! | `base::log` | threshold, role, offset of the local time, form of lines and of their times, whether users' data is hidden, destination |
//! | `base::alloc` | the threads' counters, the request that failed last, address space kept for a report (`RESERVE_AT`), its name (`NAME`) |
//! | `base::sys` | what signal handlers set and read, the hooks of crashes and of the watchdog, the file that goes with an unfinished save (`UNFINISHED_FILE`), the collation (`COLLATION`), a number for temporary files, whether the command line's memory is lent |
//! | `base::lzf` | the compressor's workspace, one a thread |
//! | `base::clock` | where the monotonic clock began (`ORIGIN`) |
//! | `ds::table` | the key of the hash that all big collections share, the versions of tables (`BLOCKS`) |
//! | `tls::ciphers` | the suites of TLS 1.2 with a bound that long connections do not meet (`LONG_LIVED`) |
//! | `script::lua` | what its hook, and the alarm behind it, must find without an argument: the machine that runs, since when, whether its time is up |
//!
//! Where this differs from the first design: the expire index is a dense list beside the table (`store::entry`), since a
//! second hash table, as upstream has, costs more than the budget for a key with an expiry. Where it is known ahead what will
//! be touched (a file that is loaded, the master's stream), commands are parsed in groups ([`wire::ahead`]) and the table's
//! lines for all of a group are on their way before the first one runs: half of the time went into waiting for them.
//!
//! The cron comes along with a turn of the loop that is awake anyway, up to a fifth of its period before it is due, and keeps its pace
//! ([`ae`], paced timers): a process that wakes up seldom pays most for what others have pushed out of the caches meanwhile.
//!
//! Scripts run on LuaJIT with its compiler off, through `mlua-sys`, the interface that mlua is built on (vendored). By callgrind, a
//! call of `return 1` takes 218 instructions there and 422 in Lua 5.1, a loop of 1,000 additions 76,270 and 147,599, a call of a
//! function of ours 146 and 330: with Lua 5.1 the loop alone would cost 0.79 of what upstream's EVAL costs, and it is to be at most
//! 0.50. What upstream's tests accept holds with both. What differs: hash tables are visited in another order, `newproxy` is not
//! given, an endless tail recursion in a script's own body is none (`script::source`), and the machine's own errors say less of
//! where a wrong value came from ("a nil value" for "field '?' (a nil value)").
//!
//! TLS is rustls' with `ring`, in its unbuffered form: the connection's buffers are ours (`server::clients::tls`). Of the two providers
//! that rustls knows, `ring` takes 10 seconds to build on two cores and `aws-lc-rs` 54, and it adds the licence ISC only. By one core:
//! a record of 16 KB is encrypted with AES-128-GCM in 1.75 and 1.17 microseconds, with AES-256-GCM in 2.08 and 1.40, one of 64 bytes in
//! 0.08 with both, and an RSA key of 2,048 bits signs in 614 and 428. What is gained on a snapshot of a gigabyte is 45 milliseconds.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn, unreachable_pub)]

mod acl;
mod ae;
mod base;
mod cluster;
mod commands;
mod config;
#[allow(unsafe_code)]
mod ds;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod metrics;
mod persist;
mod replication;
mod script;
mod sentinel;
mod server;
mod store;
mod tls;
mod wire;

pub use server::process::startup::main;
