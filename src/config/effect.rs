//! What a changed value may have to do, by name, and what a change needs of its surroundings. Knows nobody: `apply` does it.

use super::fields::Config;

/// An effect of changed values. It runs after all values of one CONFIG SET are in place, and once for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apply {
    /// `hz`
    Hz,
    /// `port`
    Port,
    /// `tls-port`
    TlsPort,
    /// All else of TLS.
    Tls,
    /// `bind`
    Bind,
    /// `metrics-port`, `metrics-bind`, `metrics-unixsocket`
    Metrics,
    /// `metrics-tls`
    MetricsTls,
    /// `loglevel`
    LogLevel,
    /// `key-sampling-rate`
    KeySampling,
    /// `log-format`, `log-timestamp-format`
    LogFormat,
    /// `hide-user-data-from-log`
    HideUserData,
    /// `repl-backlog-size`
    ReplBacklogSize,
    /// `min-replicas-to-write`, `min-replicas-max-lag`
    GoodSlaves,
    /// `maxclients`
    Maxclients,
    /// `maxmemory`
    Maxmemory,
    /// `maxmemory-clients`
    MaxmemoryClients,
    /// `locale-collate`
    LocaleCollate,
    /// `requirepass`
    RequirePass,
    /// `appendonly`
    AppendOnly,
    /// `appendfsync`
    AppendFsync,
    /// `aof-disable-auto-gc`
    AofHistory,
    /// `proc-title-template`
    ProcTitle,
    /// `oom-score-adj`, `oom-score-adj-values`
    OomScoreAdj,
    /// `watchdog-period`
    WatchdogPeriod,
    /// `jemalloc-bg-thread`
    AllocatorThread,
    /// `crash-log-enabled`, `use-exit-on-panic`
    CrashLog,
    /// `activedefrag`
    ActiveDefrag,
    /// What a node says of itself to its cluster.
    ClusterMyself,
}

/// What a change needs of its surroundings: the server and the client that asks.
pub(crate) trait ConfigHost {
    /// The values.
    fn config(&mut self) -> &mut Config;
    /// Lets changed values take effect.
    ///
    /// # Errors
    /// The text for the client; the values are then put back and this is called again.
    fn apply(&mut self, apply: Apply) -> Result<(), String>;
    /// Whether a data set is being loaded.
    fn is_loading(&self) -> bool;
    /// Whether the client is on this host (connIsLocal).
    fn is_local(&self) -> bool;
    /// Keeps the value of pair `index` out of logs.
    fn redact(&mut self, index: usize);
}
