//! [`Config`]: the value of every directive, as plain typed fields.
//!
//! It holds values only and knows neither files nor the server. Strings are bytes, since paths and passwords need not be
//! UTF-8. `Default` is what upstream 7.2 starts with; CONFIG REWRITE compares against it.

use std::path::PathBuf;

use super::value::{
    AclPubsubDefault, AppendFsync, ClientBufferLimit, ClusterEndpointType, DeferredLine, LogFormat,
    LogLevel, LogTimestampFormat, MaxmemoryPolicy, NotifyFlags, OomScoreAdj,
    PropagationErrorBehavior, ProtectedAction, RdbSaveVersion, RdbVersionCheck, ReplDisklessLoad,
    ReplOverflowPolicy, SanitizeDumpPayload, SaveParam, ScriptReplication, ShutdownFlags,
    SnapshotMode, Supervised, SyslogFacility, TlsAuthClients, TlsAuthClientsUser,
};

/// The value of every directive. Fields bear the directives' names; `dir` has none, as the process' working folder is
/// its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    // Network.
    /// `bind`: Addresses to listen on; `*` is every IPv4 address, `::*` every IPv6 one, a leading `-` forgives an
    /// address that is not there. Empty: no TCP.
    pub bind: Vec<Vec<u8>>,
    /// `bind-source-addr`: Local address of outgoing connections (to a master).
    pub bind_source_addr: Option<Vec<u8>>,
    /// `protected-mode`: Refuse clients of other hosts while the default user has no password.
    pub protected_mode: bool,
    /// `enable-protected-configs`: Who may CONFIG SET the protected directives (`dir`, `dbfilename`).
    pub enable_protected_configs: ProtectedAction,
    /// `enable-debug-command`: Who may use DEBUG.
    pub enable_debug_command: ProtectedAction,
    /// `enable-module-command`: Who may use MODULE.
    pub enable_module_command: ProtectedAction,
    /// `port`: TCP port, 0..=65535; 0 turns TCP off.
    pub port: u16,
    /// `tcp-backlog`: Length of the listen queue asked of the kernel.
    pub tcp_backlog: i32,
    /// `unixsocket`: Path of the Unix socket; `None`: no such socket.
    pub unixsocket: Option<Vec<u8>>,
    /// `unixsocketperm`: Permission bits of the Unix socket, 0..=0o777; 0 leaves what the umask gave.
    pub unixsocketperm: u32,
    /// `socket-mark-id`: Mark (SO_MARK) of the listening sockets; 0 is none.
    pub socket_mark_id: u32,
    /// `timeout`: Seconds after which an idle client is closed; 0 is never.
    pub timeout: i32,
    /// `tcp-keepalive`: Seconds between keep-alive probes to clients; 0 is none.
    pub tcp_keepalive: i32,
    /// `maxclients`: Most clients connected at a time; lowered by the server where the limit of open files is.
    pub maxclients: u32,

    // TLS.
    /// `tls-port`: TLS port, 0..=65535; 0 is none.
    pub tls_port: u16,
    /// `tls-replication`: Use TLS towards the master.
    pub tls_replication: bool,
    /// `tls-cluster`: Use TLS on the cluster bus.
    pub tls_cluster: bool,
    /// `tls-auth-clients`: Whether clients must present a certificate.
    pub tls_auth_clients: TlsAuthClients,
    /// `tls-cert-file`: Certificate of the server.
    pub tls_cert_file: Option<Vec<u8>>,
    /// `tls-key-file`: Private key of the server.
    pub tls_key_file: Option<Vec<u8>>,
    /// `tls-key-file-pass`: Passphrase of the private key.
    pub tls_key_file_pass: Option<Vec<u8>>,
    /// `tls-client-cert-file`: Certificate of outgoing connections.
    pub tls_client_cert_file: Option<Vec<u8>>,
    /// `tls-client-key-file`: Private key of outgoing connections.
    pub tls_client_key_file: Option<Vec<u8>>,
    /// `tls-client-key-file-pass`: Passphrase of that private key.
    pub tls_client_key_file_pass: Option<Vec<u8>>,
    /// `tls-dh-params-file`: Diffie-Hellman parameters.
    pub tls_dh_params_file: Option<Vec<u8>>,
    /// `tls-ca-cert-file`: Bundle of trusted authorities.
    pub tls_ca_cert_file: Option<Vec<u8>>,
    /// `tls-ca-cert-dir`: Folder of trusted authorities.
    pub tls_ca_cert_dir: Option<Vec<u8>>,
    /// `tls-protocols`: Protocol versions that are allowed.
    pub tls_protocols: Option<Vec<u8>>,
    /// `tls-ciphers`: Ciphers up to TLS 1.2.
    pub tls_ciphers: Option<Vec<u8>>,
    /// `tls-ciphersuites`: Cipher suites of TLS 1.3.
    pub tls_ciphersuites: Option<Vec<u8>>,
    /// `tls-prefer-server-ciphers`: The server's order of ciphers wins.
    pub tls_prefer_server_ciphers: bool,
    /// `tls-session-caching`: Allow sessions to be resumed.
    pub tls_session_caching: bool,
    /// `tls-session-cache-size`: Most sessions in the cache; 0 is no limit.
    pub tls_session_cache_size: i32,
    /// `tls-session-cache-timeout`: Seconds a session stays in the cache.
    pub tls_session_cache_timeout: i32,
    /// `tls-auto-reload-interval`: Seconds between looks at the certificates' files; 0: never.
    pub tls_auto_reload_interval: i32,
    /// `tls-auth-clients-user`: What of a client's certificate is its user's name.
    pub tls_auth_clients_user: TlsAuthClientsUser,

    // General.
    /// `daemonize`: Detach from the terminal at the start.
    pub daemonize: bool,
    /// `supervised`: Which supervisor is told of readiness.
    pub supervised: Supervised,
    /// `pidfile`: Path of the file with the process id; `None`: written only when daemonized, at the built-in path.
    pub pidfile: Option<Vec<u8>>,
    /// `loglevel`: Least severe level that is logged.
    pub loglevel: LogLevel,
    /// `logfile`: Path of the log; empty is standard output.
    pub logfile: Vec<u8>,
    /// `syslog-enabled`: Log to the system's logger too.
    pub syslog_enabled: bool,
    /// `syslog-ident`: Name under which the system's logger gets the lines.
    pub syslog_ident: Vec<u8>,
    /// `syslog-facility`: Facility of the system's logger.
    pub syslog_facility: SyslogFacility,
    /// `databases`: Number of databases, at least 1.
    pub databases: i32,
    /// `always-show-logo`: Show the banner even where the log is not a terminal.
    pub always_show_logo: bool,
    /// `set-proc-title`: Rewrite the process title.
    pub set_proc_title: bool,
    /// `proc-title-template`: Template of the process title.
    pub proc_title_template: Vec<u8>,
    /// `locale-collate`: Locale of string comparison (LC_COLLATE); empty is the environment's.
    pub locale_collate: Vec<u8>,
    /// `hz`: Times a second that background work runs; held to 1..=500.
    pub hz: i32,
    /// `dynamic-hz`: Raise `hz` with the number of clients.
    pub dynamic_hz: bool,
    /// `activerehashing`: Spend a little time each tick on rehashing.
    pub activerehashing: bool,
    /// `crash-log-enabled`: Write a report on a crash.
    pub crash_log_enabled: bool,
    /// `hide-user-data-from-log`: Leave out of the log what users have sent: arguments, keys, names.
    pub hide_user_data_from_log: bool,
    /// `crash-memcheck-enabled`: Check the memory after a crash.
    pub crash_memcheck_enabled: bool,
    /// `use-exit-on-panic`: Exit instead of abort on a failed assertion.
    pub use_exit_on_panic: bool,
    /// `watchdog-period`: Milliseconds after which a slow event loop is reported; 0 is off.
    pub watchdog_period: i32,
    /// `disable-thp`: Turn transparent huge pages off for the process.
    pub disable_thp: bool,
    /// `ignore-warnings`: Start-up checks that must not stop the server.
    pub ignore_warnings: Vec<u8>,
    /// `jemalloc-bg-thread`: Let the allocator purge in a thread of its own.
    pub jemalloc_bg_thread: bool,
    /// `server_cpulist`: Processors of the main thread.
    pub server_cpulist: Option<Vec<u8>>,
    /// `bio_cpulist`: Processors of the background threads.
    pub bio_cpulist: Option<Vec<u8>>,
    /// `aof_rewrite_cpulist`: Processors of the AOF rewriting child.
    pub aof_rewrite_cpulist: Option<Vec<u8>>,
    /// `bgsave_cpulist`: Processors of the saving child.
    pub bgsave_cpulist: Option<Vec<u8>>,
    /// `io-threads`: Number of I/O threads, 1..=128.
    pub io_threads: i32,
    /// `io-threads-do-reads`: Let I/O threads read as well.
    pub io_threads_do_reads: bool,
    /// `oom-score-adj`: Whether the kernel's out-of-memory score is adjusted, and how.
    pub oom_score_adj: OomScoreAdj,
    /// `oom-score-adj-values`: Scores of a master, a replica and a child, each -2000..=2000.
    pub oom_score_adj_values: [i32; 3],
    /// `shutdown-timeout`: Seconds that SHUTDOWN waits for lagging replicas.
    pub shutdown_timeout: i32,
    /// `shutdown-on-sigint`: What SIGINT does.
    pub shutdown_on_sigint: ShutdownFlags,
    /// `shutdown-on-sigterm`: What SIGTERM does.
    pub shutdown_on_sigterm: ShutdownFlags,

    // Snapshots.
    /// `save`: Pairs of seconds and changes after which a snapshot is due; empty is none.
    pub save: Vec<SaveParam>,
    /// `stop-writes-on-bgsave-error`: Refuse writes after a snapshot failed.
    pub stop_writes_on_bgsave_error: bool,
    /// `rdbcompression`: Compress strings in RDB files with LZF.
    pub rdbcompression: bool,
    /// `rdbchecksum`: End RDB files with a CRC-64, and check it.
    pub rdbchecksum: bool,
    /// `sanitize-dump-payload`: How thoroughly RDB and RESTORE payloads are checked.
    pub sanitize_dump_payload: SanitizeDumpPayload,
    /// `dbfilename`: Name of the RDB file inside `dir`.
    pub dbfilename: Vec<u8>,
    /// `rdb-del-sync-files`: Delete RDB files that only served a replication, when nothing else persists.
    pub rdb_del_sync_files: bool,
    /// `rdb-save-incremental-fsync`: Sync an RDB file every 4 MB while it is written.
    pub rdb_save_incremental_fsync: bool,
    /// `snapshot-mode`: Aedile's own, see the choices.
    pub snapshot_mode: SnapshotMode,
    /// `snapshot-cpu-share`: the part of a busy loop's time, in percent, that a snapshot in the loop takes. Aedile's own.
    pub snapshot_cpu_share: i32,
    /// `rdb-key-save-delay`: Microseconds of delay after each key saved (negative: average of a key), for tests.
    pub rdb_key_save_delay: i32,
    /// `key-load-delay`: Microseconds of delay after each key loaded (negative: average of a key), for tests.
    pub key_load_delay: i32,
    /// `loading-process-events-interval-bytes`: Bytes loaded between two turns of the event loop, 1024 or more.
    pub loading_process_events_interval_bytes: u64,
    /// `rdb-save-version`: RDB version that is written. Aedile's own: lets an older server load the file or replicate from
    /// here.
    pub rdb_save_version: RdbSaveVersion,
    /// `rdb-version-check`: which RDB versions are read, in files, from a master and by RESTORE. As Valkey 8.1 has it.
    pub rdb_version_check: RdbVersionCheck,

    // Replication.
    /// `replicaof`: Host of the master; `None`: this server is a master. REPLICAOF and failover keep it up to date.
    pub masterhost: Option<Vec<u8>>,
    /// `replicaof`: port of the master.
    pub masterport: u16,
    /// `masterauth`: Password towards the master.
    pub masterauth: Option<Vec<u8>>,
    /// `masteruser`: User name towards the master; `None` is the default user.
    pub masteruser: Option<Vec<u8>>,
    /// `replica-serve-stale-data`: Answer reads while the master is away or a sync runs.
    pub replica_serve_stale_data: bool,
    /// `replica-read-only`: Refuse writes of clients on a replica.
    pub replica_read_only: bool,
    /// `repl-diskless-sync`: Stream snapshots to replicas without a file.
    pub repl_diskless_sync: bool,
    /// `repl-diskless-sync-delay`: Seconds to wait for more replicas before such a stream.
    pub repl_diskless_sync_delay: i32,
    /// `repl-diskless-sync-max-replicas`: Replicas that end that wait early; 0 is none.
    pub repl_diskless_sync_max_replicas: i32,
    /// `repl-diskless-load`: Whether a replica loads straight from the socket.
    pub repl_diskless_load: ReplDisklessLoad,
    /// `aof-replication-state`: The append-only file says where it stands in the replication stream. Aedile's own.
    pub aof_replication_state: bool,
    /// `repl-overflow-policy`: Aedile's own, see the choices.
    pub repl_overflow_policy: ReplOverflowPolicy,
    /// `repl-max-full-syncs`: replicas that are in a full sync at once at the most, 0: no limit. Aedile's own.
    pub repl_max_full_syncs: i32,
    /// `repl-full-sync-rate`: bytes a second that all full syncs together send, 0: no limit. Aedile's own.
    pub repl_full_sync_rate: u64,
    /// `repl-sync-backoff-max`: seconds that a full sync waits at the most because those before it failed, on both
    /// sides; less than 2 are a second or two.
    pub repl_sync_backoff_max: i32,
    /// `repl-resume-full-sync`: A full sync over disk that was interrupted goes on where it stopped, between two Aediles.
    pub repl_resume_full_sync: bool,
    /// `replica-refuse-empty-master`: Don't give a data set up for that of a master that restarted with less. Aedile's own.
    pub replica_refuse_empty_master: bool,
    /// `repl-ping-replica-period`: Seconds between PINGs to replicas, at least 1.
    pub repl_ping_replica_period: i32,
    /// `repl-timeout`: Seconds of silence after which a replication link is cut, at least 1.
    pub repl_timeout: i32,
    /// `repl-disable-tcp-nodelay`: Leave small packets to replicas to the kernel's delay.
    pub repl_disable_tcp_nodelay: bool,
    /// `repl-backlog-size`: Bytes of the replication backlog.
    pub repl_backlog_size: u64,
    /// `repl-backlog-ttl`: Seconds without replicas after which the backlog is freed; 0 is never.
    pub repl_backlog_ttl: i64,
    /// `replica-priority`: Rank that Sentinel reads; 0 is never promoted.
    pub replica_priority: i32,
    /// `replica-announced`: Whether Sentinel tells clients of this replica.
    pub replica_announced: bool,
    /// `replica-announce-ip`: Address told to the master in place of the socket's.
    pub replica_announce_ip: Option<Vec<u8>>,
    /// `replica-announce-port`: Port told to the master in place of the own; 0 is the own.
    pub replica_announce_port: u16,
    /// `min-replicas-to-write`: Replicas that must be near for writes to be accepted; 0 is off.
    pub min_replicas_to_write: i32,
    /// `min-replicas-max-lag`: Seconds within which a replica counts as near; 0 is off.
    pub min_replicas_max_lag: i32,
    /// `replica-ignore-maxmemory`: A replica does not evict by itself.
    pub replica_ignore_maxmemory: bool,
    /// `replica-ignore-disk-write-errors`: A replica goes on with its master's writes when its own disk fails.
    pub replica_ignore_disk_write_errors: bool,
    /// `propagation-error-behavior`: What a replica does with a command of its master that fails.
    pub propagation_error_behavior: PropagationErrorBehavior,

    // Keys tracking and security.
    /// `tracking-table-max-keys`: Most keys in the invalidation table; 0 is no limit.
    pub tracking_table_max_keys: usize,
    /// `requirepass`: Password of the default user; `None` is none.
    pub requirepass: Option<Vec<u8>>,
    /// `aclfile`: Path of the file of users; empty is none.
    pub aclfile: Vec<u8>,
    /// `acl-pubsub-default`: Channels of a new user.
    pub acl_pubsub_default: AclPubsubDefault,
    /// `acllog-max-len`: Most entries of the ACL log.
    pub acllog_max_len: u64,

    // Limits.
    /// `client-output-buffer-limit`: Limits by class of client: normal, replica, pubsub.
    pub client_output_buffer_limit: [ClientBufferLimit; 3],
    /// `client-query-buffer-limit`: Most bytes of a client's unparsed input, at least 1 MB.
    pub client_query_buffer_limit: usize,
    /// `proto-max-bulk-len`: Most bytes of one argument, at least 1 MB.
    pub proto_max_bulk_len: i64,
    /// `maxmemory`: Most bytes of data; 0 is no limit.
    pub maxmemory: u64,
    /// `maxmemory-policy`: What is evicted at that limit.
    pub maxmemory_policy: MaxmemoryPolicy,
    /// `maxmemory-samples`: Keys looked at for one eviction.
    pub maxmemory_samples: i32,
    /// `maxmemory-eviction-tenacity`: How long one turn of eviction may take, 0..=100.
    pub maxmemory_eviction_tenacity: i32,
    /// `maxmemory-clients`: Most bytes of all clients' buffers; negative is a percentage of `maxmemory`, 0 no limit.
    pub maxmemory_clients: i64,
    /// `lfu-log-factor`: How slowly the frequency counter saturates.
    pub lfu_log_factor: i32,
    /// `lfu-decay-time`: Minutes after which the frequency counter is lowered; 0 is at each look.
    pub lfu_decay_time: i32,
    /// `active-expire-effort`: How hard expired keys are looked for, 1..=10.
    pub active_expire_effort: i32,

    // Lazy freeing.
    /// `lazyfree-large`: Free large values and databases in the background, whatever the other directives say. Aedile's own.
    pub lazyfree_large: bool,
    /// `lazyfree-lazy-eviction`: Free evicted values in the background.
    pub lazyfree_lazy_eviction: bool,
    /// `lazyfree-lazy-expire`: Free expired values in the background.
    pub lazyfree_lazy_expire: bool,
    /// `lazyfree-lazy-server-del`: Free overwritten values in the background.
    pub lazyfree_lazy_server_del: bool,
    /// `replica-lazy-flush`: Free the old data set in the background before a full sync.
    pub replica_lazy_flush: bool,
    /// `lazyfree-lazy-user-del`: DEL acts as UNLINK.
    pub lazyfree_lazy_user_del: bool,
    /// `lazyfree-lazy-user-flush`: FLUSHALL and the like are asynchronous when not told.
    pub lazyfree_lazy_user_flush: bool,

    // Append-only file.
    /// `appendonly`: Keep an append-only file.
    pub appendonly: bool,
    /// `appendfilename`: Base name of its files.
    pub appendfilename: Vec<u8>,
    /// `appenddirname`: Folder of its files, inside `dir`.
    pub appenddirname: Vec<u8>,
    /// `appendfsync`: When it is synced.
    pub appendfsync: AppendFsync,
    /// `no-appendfsync-on-rewrite`: Do not sync it while a child writes to disk.
    pub no_appendfsync_on_rewrite: bool,
    /// `auto-aof-rewrite-percentage`: Growth in percent that starts a rewrite; 0 is never.
    pub auto_aof_rewrite_percentage: i32,
    /// `auto-aof-rewrite-min-size`: Bytes below which no rewrite starts by itself.
    pub auto_aof_rewrite_min_size: u64,
    /// `aof-load-truncated`: Load a file that ends in the middle of a command.
    pub aof_load_truncated: bool,
    /// `aof-use-rdb-preamble`: Rewrites write an RDB base.
    pub aof_use_rdb_preamble: bool,
    /// `aof-timestamp-enabled`: Write time annotations.
    pub aof_timestamp_enabled: bool,
    /// `aof-rewrite-incremental-fsync`: Sync a rewrite every 4 MB while it is written.
    pub aof_rewrite_incremental_fsync: bool,
    /// `aof-disable-auto-gc`: Keep files of the history.
    pub aof_disable_auto_gc: bool,

    // Scripts.
    /// `busy-reply-threshold`: Milliseconds after which a slow script lets others be told BUSY; 0 is never.
    pub busy_reply_threshold: i64,
    /// `script-replication`
    pub script_replication: ScriptReplication,
    /// `lua-memory-limit`: bytes that a machine of scripts may have; 0: no limit.
    pub lua_memory_limit: i64,
    /// `maxmemory-scripts`: bytes that scripts which only EVAL has brought may take together; 0: no limit.
    pub maxmemory_scripts: i64,

    // Cluster.
    /// `cluster-enabled`: Be a cluster node.
    pub cluster_enabled: bool,
    /// `cluster-config-file`: File of the cluster's state.
    pub cluster_config_file: Vec<u8>,
    /// `cluster-node-timeout`: Milliseconds after which a node counts as failing.
    pub cluster_node_timeout: i64,
    /// `cluster-ping-interval`: Milliseconds between pings of nodes, for tests.
    pub cluster_ping_interval: i64,
    /// `cluster-port`: Port of the cluster bus; 0 is `port` + 10000.
    pub cluster_port: u16,
    /// `cluster-replica-validity-factor`: How old a replica's data may be for it to be promoted; 0 is any age.
    pub cluster_replica_validity_factor: i32,
    /// `cluster-migration-barrier`: Replicas a master keeps before one may move away.
    pub cluster_migration_barrier: i32,
    /// `cluster-allow-replica-migration`: Let replicas move to masters without any.
    pub cluster_allow_replica_migration: bool,
    /// `cluster-require-full-coverage`: Stop serving when a slot has no node.
    pub cluster_require_full_coverage: bool,
    /// `cluster-replica-no-failover`: Never promote this replica by itself.
    pub cluster_replica_no_failover: bool,
    /// `cluster-allow-reads-when-down`: Serve reads while the cluster is down.
    pub cluster_allow_reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`: Serve sharded pub/sub while the cluster is down.
    pub cluster_allow_pubsubshard_when_down: bool,
    /// `cluster-link-sendbuf-limit`: Bytes after which a link of the bus is cut; 0 is no limit.
    pub cluster_link_sendbuf_limit: u64,
    /// `cluster-slot-migration-log-max-len`: Moves of slots that have ended, of which CLUSTER GETSLOTMIGRATIONS tells.
    pub cluster_slot_migration_log_max_len: i64,
    /// `slot-migration-max-failover-repl-bytes`: Bytes that may still wait for the target when writes to slots that move are paused;
    /// -1 is any number.
    pub slot_migration_max_failover_repl_bytes: i64,
    /// `auto-failover-on-shutdown`: A master that ends hands over to a replica that has all.
    pub auto_failover_on_shutdown: bool,
    /// `cluster-announce-hostname`: Host name told to the cluster.
    pub cluster_announce_hostname: Option<Vec<u8>>,
    /// `cluster-announce-human-nodename`: Name of the node in logs.
    pub cluster_announce_human_nodename: Option<Vec<u8>>,
    /// `cluster-preferred-endpoint-type`: Which address clients are redirected to.
    pub cluster_preferred_endpoint_type: ClusterEndpointType,
    /// `cluster-announce-ip`: Address told to the cluster.
    pub cluster_announce_ip: Option<Vec<u8>>,
    /// `cluster-announce-port`: Port told to the cluster; 0 is the own.
    pub cluster_announce_port: u16,
    /// `cluster-announce-tls-port`: TLS port told to the cluster; 0 is the own.
    pub cluster_announce_tls_port: u16,
    /// `cluster-announce-bus-port`: Bus port told to the cluster; 0 is the own.
    pub cluster_announce_bus_port: u16,

    // Observation.
    /// `metrics-port`: TCP port for metrics, the page and health checks over HTTP, 0..=65535; 0 is none.
    pub metrics_port: u16,
    /// `metrics-bind`: Addresses of `metrics_port`, as those of `bind`.
    pub metrics_bind: Vec<Vec<u8>>,
    /// `metrics-unixsocket`: Path of a Unix socket for the same; `None`: no such socket.
    pub metrics_unixsocket: Option<Vec<u8>>,
    /// `metrics-tls`: `metrics_port` is spoken to over TLS, with the certificates of clients.
    pub metrics_tls: bool,
    /// `metrics-user`: The user that may read them, by Basic authentication; `None`: whoever is on this host.
    pub metrics_user: Option<Vec<u8>>,
    /// `ready-max-lag`: Seconds since the master was heard of last, at the most, for a replica to be ready; 0: no bound.
    pub ready_max_lag: i32,
    /// `log-format`: What lines of the log look like.
    pub log_format: LogFormat,
    /// `log-timestamp-format`: What their times look like.
    pub log_timestamp_format: LogTimestampFormat,
    /// `slowlog-to-log`: What goes into the slow log is also a line of the log.
    pub slowlog_to_log: bool,
    /// `key-sampling-rate`: Keys that the cron looks at in a second, for MEMORY BIGKEYS and HOTKEYS; 0: none.
    pub key_sampling_rate: i32,
    /// `slowlog-log-slower-than`: Microseconds from which a command is slow; negative is off.
    pub slowlog_log_slower_than: i64,
    /// `slowlog-max-len`: Most entries of the slow log.
    pub slowlog_max_len: u64,
    /// `latency-monitor-threshold`: Milliseconds from which an event is recorded; 0 is off.
    pub latency_monitor_threshold: i64,
    /// `latency-tracking`: Keep a histogram of latencies by command.
    pub latency_tracking: bool,
    /// `latency-tracking-info-percentiles`: Percentiles that INFO latencystats shows, each 0..=100.
    pub latency_tracking_info_percentiles: Vec<f64>,
    /// `notify-keyspace-events`: Classes of keyspace events.
    pub notify_keyspace_events: NotifyFlags,

    // Encodings.
    /// `hash-max-listpack-entries`: Most fields of a hash kept as a listpack.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`: Most bytes of a field or value in such a hash.
    pub hash_max_listpack_value: usize,
    /// `list-max-listpack-size`: Size of a list's node: entries, or -1..=-5 for 4..64 kB.
    pub list_max_listpack_size: i32,
    /// `list-compress-depth`: Nodes at either end of a list that are not compressed; 0 is no compression.
    pub list_compress_depth: i32,
    /// `set-max-intset-entries`: Most members of a set kept as an intset.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`: Most members of a set kept as a listpack.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`: Most bytes of a member of such a set.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`: Most members of a sorted set kept as a listpack.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`: Most bytes of a member of such a sorted set.
    pub zset_max_listpack_value: usize,
    /// `hll-sparse-max-bytes`: Most bytes of a sparse HyperLogLog.
    pub hll_sparse_max_bytes: usize,
    /// `stream-node-max-bytes`: Most bytes of a stream's node; 0 is no limit.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`: Most entries of a stream's node; 0 is no limit.
    pub stream_node_max_entries: i64,

    // Defragmentation.
    /// `activedefrag`: Defragment memory while serving.
    pub activedefrag: bool,
    /// `active-defrag-ignore-bytes`: Bytes of fragmentation below which nothing is done.
    pub active_defrag_ignore_bytes: usize,
    /// `active-defrag-threshold-lower`: Percent of fragmentation at which it starts.
    pub active_defrag_threshold_lower: i32,
    /// `active-defrag-threshold-upper`: Percent of fragmentation at which effort is greatest.
    pub active_defrag_threshold_upper: i32,
    /// `active-defrag-cycle-min`: Least percent of processor time.
    pub active_defrag_cycle_min: i32,
    /// `active-defrag-cycle-max`: Most percent of processor time.
    pub active_defrag_cycle_max: i32,
    /// `active-defrag-max-scan-fields`: Fields of one value handled in a single step.
    pub active_defrag_max_scan_fields: u64,

    // Not directives.
    /// Absolute path of the configuration file, which CONFIG REWRITE writes; `None` if there is none.
    pub configfile: Option<PathBuf>,
    /// The process is a Sentinel.
    pub sentinel_mode: bool,
    /// `rename-command` lines, for the command table to judge.
    pub renamed_commands: Vec<DeferredLine>,
    /// `user` lines, for the ACL to judge.
    pub users: Vec<DeferredLine>,
    /// `loadmodule` lines.
    pub loadmodules: Vec<DeferredLine>,
    /// Lines with a dot in their name: directives of modules.
    pub module_directives: Vec<DeferredLine>,
    /// `sentinel` lines.
    pub sentinel_lines: Vec<DeferredLine>,
    /// A `save` line of the file has replaced the default points.
    pub(super) save_loaded: bool,
}

impl Config {
    /// standalone, cluster or sentinel.
    pub(crate) fn mode_name(&self) -> &'static str {
        if self.sentinel_mode {
            "sentinel"
        } else if self.cluster_enabled {
            "cluster"
        } else {
            "standalone"
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bind: vec![b"*".to_vec(), b"-::*".to_vec()],
            bind_source_addr: None,
            protected_mode: true,
            enable_protected_configs: ProtectedAction::No,
            enable_debug_command: ProtectedAction::No,
            enable_module_command: ProtectedAction::No,
            port: 6379,
            tcp_backlog: 511,
            unixsocket: None,
            unixsocketperm: 0,
            socket_mark_id: 0,
            timeout: 0,
            tcp_keepalive: 300,
            maxclients: 10000,
            tls_port: 0,
            tls_replication: false,
            tls_cluster: false,
            tls_auth_clients: TlsAuthClients::Yes,
            tls_cert_file: None,
            tls_key_file: None,
            tls_key_file_pass: None,
            tls_client_cert_file: None,
            tls_client_key_file: None,
            tls_client_key_file_pass: None,
            tls_dh_params_file: None,
            tls_ca_cert_file: None,
            tls_ca_cert_dir: None,
            tls_protocols: None,
            tls_ciphers: None,
            tls_ciphersuites: None,
            tls_prefer_server_ciphers: false,
            tls_session_caching: true,
            tls_session_cache_size: 20 << 10,
            tls_session_cache_timeout: 300,
            tls_auto_reload_interval: 0,
            tls_auth_clients_user: TlsAuthClientsUser::Off,
            daemonize: false,
            supervised: Supervised::No,
            pidfile: None,
            loglevel: LogLevel::Notice,
            logfile: Vec::new(),
            syslog_enabled: false,
            syslog_ident: b"redis".to_vec(),
            syslog_facility: SyslogFacility::Local0,
            databases: 16,
            always_show_logo: false,
            set_proc_title: true,
            proc_title_template: b"{title} {listen-addr} {server-mode}".to_vec(),
            locale_collate: Vec::new(),
            hz: 10,
            dynamic_hz: true,
            activerehashing: true,
            crash_log_enabled: true,
            hide_user_data_from_log: false,
            crash_memcheck_enabled: true,
            use_exit_on_panic: false,
            watchdog_period: 0,
            disable_thp: true,
            ignore_warnings: Vec::new(),
            jemalloc_bg_thread: true,
            server_cpulist: None,
            bio_cpulist: None,
            aof_rewrite_cpulist: None,
            bgsave_cpulist: None,
            io_threads: 1,
            io_threads_do_reads: false,
            oom_score_adj: OomScoreAdj::No,
            oom_score_adj_values: [0, 200, 800],
            shutdown_timeout: 10,
            shutdown_on_sigint: ShutdownFlags::empty(),
            shutdown_on_sigterm: ShutdownFlags::empty(),
            save: SaveParam::defaults(),
            stop_writes_on_bgsave_error: true,
            rdbcompression: true,
            rdbchecksum: true,
            sanitize_dump_payload: SanitizeDumpPayload::No,
            dbfilename: b"dump.rdb".to_vec(),
            rdb_del_sync_files: false,
            rdb_save_incremental_fsync: true,
            snapshot_mode: SnapshotMode::Fork,
            snapshot_cpu_share: 30,
            rdb_key_save_delay: 0,
            key_load_delay: 0,
            loading_process_events_interval_bytes: 2 << 20,
            rdb_save_version: RdbSaveVersion::Auto,
            rdb_version_check: RdbVersionCheck::Strict,
            masterhost: None,
            masterport: 6379,
            masterauth: None,
            masteruser: None,
            replica_serve_stale_data: true,
            replica_read_only: true,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            repl_diskless_load: ReplDisklessLoad::Disabled,
            aof_replication_state: false,
            repl_overflow_policy: ReplOverflowPolicy::Disconnect,
            repl_max_full_syncs: 0,
            repl_full_sync_rate: 0,
            repl_sync_backoff_max: 30,
            repl_resume_full_sync: true,
            replica_refuse_empty_master: false,
            repl_ping_replica_period: 10,
            repl_timeout: 60,
            repl_disable_tcp_nodelay: false,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            replica_priority: 100,
            replica_announced: true,
            replica_announce_ip: None,
            replica_announce_port: 0,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            replica_ignore_maxmemory: true,
            replica_ignore_disk_write_errors: false,
            propagation_error_behavior: PropagationErrorBehavior::Ignore,
            tracking_table_max_keys: 1000000,
            requirepass: None,
            aclfile: Vec::new(),
            acl_pubsub_default: AclPubsubDefault::ResetChannels,
            acllog_max_len: 128,
            client_output_buffer_limit: ClientBufferLimit::DEFAULTS,
            client_query_buffer_limit: 1 << 30,
            proto_max_bulk_len: 512 << 20,
            maxmemory: 0,
            maxmemory_policy: MaxmemoryPolicy::NoEviction,
            maxmemory_samples: 5,
            maxmemory_eviction_tenacity: 10,
            maxmemory_clients: 0,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            active_expire_effort: 1,
            lazyfree_large: true,
            lazyfree_lazy_eviction: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            replica_lazy_flush: false,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
            appendonly: false,
            appendfilename: b"appendonly.aof".to_vec(),
            appenddirname: b"appendonlydir".to_vec(),
            appendfsync: AppendFsync::EverySec,
            no_appendfsync_on_rewrite: false,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size: 64 << 20,
            aof_load_truncated: true,
            aof_use_rdb_preamble: true,
            aof_timestamp_enabled: false,
            aof_rewrite_incremental_fsync: true,
            aof_disable_auto_gc: false,
            busy_reply_threshold: 5000,
            script_replication: ScriptReplication::Effects,
            lua_memory_limit: 0,
            maxmemory_scripts: 0,
            cluster_enabled: false,
            cluster_config_file: b"nodes.conf".to_vec(),
            cluster_node_timeout: 15000,
            cluster_ping_interval: 0,
            cluster_port: 0,
            cluster_replica_validity_factor: 10,
            cluster_migration_barrier: 1,
            cluster_allow_replica_migration: true,
            cluster_require_full_coverage: true,
            cluster_replica_no_failover: false,
            cluster_allow_reads_when_down: false,
            cluster_allow_pubsubshard_when_down: true,
            cluster_link_sendbuf_limit: 0,
            cluster_slot_migration_log_max_len: 1000,
            slot_migration_max_failover_repl_bytes: 0,
            auto_failover_on_shutdown: false,
            cluster_announce_hostname: None,
            cluster_announce_human_nodename: None,
            cluster_preferred_endpoint_type: ClusterEndpointType::Ip,
            cluster_announce_ip: None,
            cluster_announce_port: 0,
            cluster_announce_tls_port: 0,
            cluster_announce_bus_port: 0,
            metrics_port: 0,
            metrics_bind: vec![b"127.0.0.1".to_vec(), b"-::1".to_vec()],
            metrics_unixsocket: None,
            metrics_tls: false,
            metrics_user: None,
            ready_max_lag: 15,
            log_format: LogFormat::Legacy,
            log_timestamp_format: LogTimestampFormat::Legacy,
            slowlog_to_log: false,
            key_sampling_rate: 0,
            slowlog_log_slower_than: 10000,
            slowlog_max_len: 128,
            latency_monitor_threshold: 0,
            latency_tracking: true,
            latency_tracking_info_percentiles: vec![50.0, 99.0, 99.9],
            notify_keyspace_events: NotifyFlags::empty(),
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            hll_sparse_max_bytes: 3000,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            activedefrag: false,
            active_defrag_ignore_bytes: 100 << 20,
            active_defrag_threshold_lower: 10,
            active_defrag_threshold_upper: 100,
            active_defrag_cycle_min: 1,
            active_defrag_cycle_max: 25,
            active_defrag_max_scan_fields: 1000,
            configfile: None,
            sentinel_mode: false,
            renamed_commands: Vec::new(),
            users: Vec::new(),
            loadmodules: Vec::new(),
            module_directives: Vec::new(),
            sentinel_lines: Vec::new(),
            save_loaded: false,
        }
    }
}

/// Bounds of `hz`.
const CONFIG_MIN_HZ: i32 = 1;
const CONFIG_MAX_HZ: i32 = 500;

impl Config {
    /// Holds `hz` to what the event loop can do.
    pub(crate) fn clamp_hz(&mut self) {
        self.hz = self.hz.clamp(CONFIG_MIN_HZ, CONFIG_MAX_HZ);
    }
}
