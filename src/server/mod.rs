//! The server's state, and what every feature shares: clients, networking, execution, propagation, the cron. Floor 4.
//!
//! There is no global: everything is reached through `&mut Server`, which the event loop passes to each handler. The struct
//! has one part per owner; each part's invariants are in its file. Features of floor 5 (commands, replication, persistence,
//! configuration, scripts) are `impl Server` blocks in their own folders; this floor calls their methods by name and imports none of
//! their modules. [`process::startup`] is the exception: it puts the house together.
//!
//! Whatever may enter the event loop again takes `&mut Server`, so nobody can hold a client or a value across it.

pub(crate) mod aof;
pub(crate) mod clients;
pub(crate) mod execution;
mod hooks;
pub(crate) mod keyspace;
pub(crate) mod master_link;
pub(crate) mod measures;
pub(crate) mod migrate;
pub(crate) mod persist;
pub(crate) mod process;
pub(crate) mod repl;
pub(crate) mod replica;
pub(crate) mod snapshot;
pub(crate) mod tls;

use std::path::PathBuf;

use crate::ae::EventLoop;
use crate::base::clock::CachedClock;
use crate::base::random::{Prng, RandomSource};
use crate::config::fields::Config;
use crate::ds::sbuf::SBuf;
use crate::ds::table::KeyHasher;
use crate::server::clients::client::Clients;
use crate::server::clients::listen::Listeners;
use crate::server::execution::command::CommandTable;
use crate::server::execution::exec::Exec;
use crate::server::measures::slowlog::Slowlog;
use crate::server::measures::stats::Stats;
use crate::server::persist::{Loading, Persist};
use crate::server::repl::Repl;
use crate::store::db::Db;

/// The Redis whose behaviour this server has, as clients are told.
pub(crate) const REDIS_VERSION: &str = "7.2.4";
/// A byte each of major, minor and patch, as scripts are told (REDIS_VERSION_NUM).
pub(crate) const REDIS_VERSION_NUM: u32 = 0x07_02_04;
/// Our own version.
pub(crate) const AEDILE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Descriptors beyond the clients': listening sockets, files, pipes (CONFIG_MIN_RESERVED_FDS).
pub(crate) const CONFIG_MIN_RESERVED_FDS: u64 = 32;

/// The whole server.
///
/// Its methods stand with what they are about. Floor 4: how clients are served, how a request becomes a command and a command
/// is propagated, what keys cost and when they go, the process' own life. Floor 5: a method for each thing that a command, a
/// directive, a file, a link or a script asks for, in `commands`, `config`, `persist`, `replication`, `script`. What floor 4 calls
/// of floor 5 is listed in `hooks`. To find a method: its name is upstream's in snake_case.
pub(crate) struct Server {
    pub el: EventLoop<Server>,
    pub config: Config,
    pub clock: CachedClock,
    pub random: RandomSource,
    pub rng: Prng,
    /// 40 hexadecimal characters, new at each start.
    pub run_id: String,
    /// What a Sentinel keeps, in that mode; `sentinel` works with it.
    pub sentinel: Option<Box<crate::sentinel::state::Sentinel>>,
    /// What a node keeps of its cluster, in that mode; `cluster` works with it.
    pub cluster: Option<Box<crate::cluster::state::Cluster>>,
    /// Slots that move whole, from here or to here. Beside the cluster, since what is propagated concerns it while that is at work.
    pub slot_migrations: Box<crate::cluster::migration::state::Migrations>,
    /// The program's path and arguments.
    pub executable: PathBuf,
    pub argv: Vec<String>,
    pub proc_title: process::proc_title::ProcTitle,
    /// Unix seconds.
    pub start_time: i64,
    /// Bytes in use when the server was set up, before any data (initial_memory_usage).
    pub initial_memory: usize,

    pub dbs: Vec<Db>,
    pub hasher: KeyHasher,
    /// Changes since the last save.
    pub dirty: i64,
    pub clients: Clients,
    /// What they take, while there is a limit for that.
    pub client_memory: clients::eviction::ClientMemory,
    pub listeners: Listeners,
    pub tls: tls::TlsState,
    /// The listener for metrics, while there is one.
    pub metrics: Option<Box<crate::metrics::state::Metrics>>,
    /// The shared read buffer; taken while a request is being run.
    pub read_buf: Vec<u8>,
    pub commands: CommandTable,
    /// The whole reply of COMMAND in RESP2 and in RESP3, kept once it has been asked for: the table is what it was at the
    /// start.
    pub command_replies: [Option<SBuf>; 2],
    pub exec: Exec,
    /// Users, and what was denied to them.
    pub acl: crate::acl::state::Acl,
    /// Scripts and functions.
    pub scripts: crate::script::state::Scripts,
    pub stats: Stats,
    pub slowlog: Slowlog,
    pub latency: measures::latency::Latency,
    /// The walk over the keys, while there is one.
    pub key_samples: Option<measures::key_samples::KeySamples>,
    pub pubsub: clients::pubsub::Pubsub,
    pub watch: execution::multi::Watch,
    pub tracking: keyspace::tracking::Tracking,
    /// Connections that MIGRATE keeps.
    pub migrate: migrate::MigrateSockets,
    pub repl: Repl,
    pub persist: Persist,
    pub aof: aof::Aof,
    /// A data set is being loaded.
    pub loading: Option<Loading>,
    pub cron: process::cron::Cron,
    pub expire: keyspace::expire::ExpireState,
    pub evict: keyspace::evict::EvictState,
    pub pause: execution::blocked::Pause,
    /// Clients that wait for keys, and the ends of all waiting.
    pub blocking: execution::blocked::Blocking,
    pub debug: DebugSettings,
    pub oom_score: process::oom_score::OomScore,
    /// SHUTDOWN is waiting for replicas, or for the loop to end.
    pub shutdown: Option<process::shutdown::ShutdownState>,
}

/// What DEBUG can switch.
pub(crate) struct DebugSettings {
    pub active_expire: bool,
    pub skip_checksum_validation: bool,
    pub pause_cron: bool,
    /// DEBUG REPLYBUFFER.
    pub reply_buffer_peak_reset_ms: i64,
    pub reply_buffer_resizing: bool,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD, in bytes.
    pub packed_threshold: usize,
}

impl Default for DebugSettings {
    fn default() -> DebugSettings {
        DebugSettings {
            active_expire: true,
            skip_checksum_validation: false,
            pause_cron: false,
            reply_buffer_peak_reset_ms: 5000,
            reply_buffer_resizing: true,
            packed_threshold: crate::ds::quicklist::PACKED_THRESHOLD,
        }
    }
}

impl crate::ae::Host for Server {
    #[inline]
    fn event_loop(&mut self) -> &mut EventLoop<Server> {
        &mut self.el
    }
    fn before_sleep(&mut self) {
        process::cron::before_sleep(self);
    }
    fn after_sleep(&mut self) {
        process::cron::after_sleep(self);
    }
}

impl Server {
    /// Reads the clock (updateCachedTime).
    #[inline]
    pub(crate) fn update_cached_time(&mut self) {
        self.clock = CachedClock::new();
    }

    pub(crate) fn is_replica(&self) -> bool {
        self.repl.master_host.is_some()
    }

    /// Whether the data set is this server's own; a replica in a cluster has none even before it knows where its master is (iAmMaster).
    pub(crate) fn i_am_master(&self) -> bool {
        self.cluster_says_master().unwrap_or(!self.is_replica())
    }
}
