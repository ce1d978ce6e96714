//! One row per directive: name, old name, flags, kind of value, effect, and whether its feature is built. Rows only.
//!
//! Names, ranges and flags are those of upstream 7.2 (config.c, static_configs).

use super::effect::Apply;
use super::row::{
    Kind, NumberForm, Row, RowFlags, choice, number, opt_bytes, opt_text, row, shutdown_flags,
    text, yes_no,
};
use super::special;
use super::valid::{
    is_valid_announced_hostname, is_valid_announced_nodename, is_valid_aof_dirname,
    is_valid_aof_filename, is_valid_db_filename, is_valid_proc_title_template,
    is_valid_shutdown_on_sig_flags,
};
use super::value::{
    AclPubsubDefault, AppendFsync, ClusterEndpointType, LogFormat, LogLevel, LogTimestampFormat,
    MaxmemoryPolicy, OomScoreAdj, PropagationErrorBehavior, ProtectedAction, RdbSaveVersion,
    RdbVersionCheck, ReplDisklessLoad, ReplOverflowPolicy, SanitizeDumpPayload, ScriptReplication,
    ShutdownFlags, SnapshotMode, Supervised, SyslogFacility, TlsAuthClients, TlsAuthClientsUser,
};

/// Every directive that CONFIG knows, by subject. CONFIG GET answers and CONFIG REWRITE appends in this order.
pub(crate) static TABLE: &[Row] = &[
    // Network.
    row(
        "bind",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::BIND),
    )
    .apply(Apply::Bind),
    row(
        "bind-source-addr",
        RowFlags::MODIFIABLE,
        opt_text!(bind_source_addr),
    ),
    row(
        "protected-mode",
        RowFlags::MODIFIABLE,
        yes_no!(protected_mode),
    ),
    row(
        "enable-protected-configs",
        RowFlags::IMMUTABLE,
        choice!(enable_protected_configs, ProtectedAction),
    ),
    row(
        "enable-debug-command",
        RowFlags::IMMUTABLE,
        choice!(enable_debug_command, ProtectedAction),
    ),
    row(
        "enable-module-command",
        RowFlags::IMMUTABLE,
        choice!(enable_module_command, ProtectedAction),
    )
    .accepted(),
    row(
        "port",
        RowFlags::MODIFIABLE,
        number!(port, Integer, 0, 65535),
    )
    .apply(Apply::Port),
    row(
        "tcp-backlog",
        RowFlags::IMMUTABLE,
        number!(tcp_backlog, Integer, 0, i32::MAX),
    ),
    row("unixsocket", RowFlags::IMMUTABLE, opt_text!(unixsocket)),
    row(
        "unixsocketperm",
        RowFlags::IMMUTABLE,
        number!(unixsocketperm, Octal, 0, 0o777),
    ),
    row(
        "socket-mark-id",
        RowFlags::IMMUTABLE,
        number!(socket_mark_id, Integer, 0, u32::MAX),
    )
    .refused("marked packets, by which others filter or route them"),
    row(
        "timeout",
        RowFlags::MODIFIABLE,
        number!(timeout, Integer, 0, i32::MAX),
    ),
    row(
        "tcp-keepalive",
        RowFlags::MODIFIABLE,
        number!(tcp_keepalive, Integer, 0, i32::MAX),
    ),
    row(
        "maxclients",
        RowFlags::MODIFIABLE,
        number!(maxclients, Integer, 1, u32::MAX),
    )
    .apply(Apply::Maxclients),
    // TLS.
    row(
        "tls-port",
        RowFlags::MODIFIABLE,
        number!(tls_port, Integer, 0, 65535),
    )
    .apply(Apply::TlsPort),
    row(
        "tls-replication",
        RowFlags::MODIFIABLE,
        yes_no!(tls_replication),
    )
    .apply(Apply::Tls),
    row("tls-cluster", RowFlags::MODIFIABLE, yes_no!(tls_cluster)).apply(Apply::Tls),
    row(
        "tls-auth-clients",
        RowFlags::MODIFIABLE,
        choice!(tls_auth_clients, TlsAuthClients),
    )
    .apply(Apply::Tls),
    row(
        "tls-auth-clients-user",
        RowFlags::MODIFIABLE,
        choice!(tls_auth_clients_user, TlsAuthClientsUser),
    ),
    row(
        "tls-cert-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_cert_file),
    )
    .apply(Apply::Tls),
    row(
        "tls-key-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_key_file),
    )
    .apply(Apply::Tls),
    row(
        "tls-key-file-pass",
        RowFlags::SENSITIVE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_key_file_pass),
    )
    .apply(Apply::Tls),
    row(
        "tls-client-cert-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_client_cert_file),
    )
    .apply(Apply::Tls),
    row(
        "tls-client-key-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_client_key_file),
    )
    .apply(Apply::Tls),
    row(
        "tls-client-key-file-pass",
        RowFlags::SENSITIVE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_client_key_file_pass),
    )
    .apply(Apply::Tls),
    row(
        "tls-dh-params-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_dh_params_file),
    )
    .accepted(),
    row(
        "tls-ca-cert-file",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_ca_cert_file),
    )
    .apply(Apply::Tls),
    row(
        "tls-ca-cert-dir",
        RowFlags::VOLATILE.union(RowFlags::MODIFIABLE),
        opt_text!(tls_ca_cert_dir),
    )
    .apply(Apply::Tls),
    row(
        "tls-protocols",
        RowFlags::MODIFIABLE,
        opt_text!(tls_protocols),
    )
    .apply(Apply::Tls),
    row("tls-ciphers", RowFlags::MODIFIABLE, opt_text!(tls_ciphers)).apply(Apply::Tls),
    row(
        "tls-ciphersuites",
        RowFlags::MODIFIABLE,
        opt_text!(tls_ciphersuites),
    )
    .apply(Apply::Tls),
    row(
        "tls-prefer-server-ciphers",
        RowFlags::MODIFIABLE,
        yes_no!(tls_prefer_server_ciphers),
    )
    .apply(Apply::Tls),
    row(
        "tls-session-caching",
        RowFlags::MODIFIABLE,
        yes_no!(tls_session_caching),
    )
    .apply(Apply::Tls),
    row(
        "tls-session-cache-size",
        RowFlags::MODIFIABLE,
        number!(tls_session_cache_size, Integer, 0, i32::MAX),
    )
    .apply(Apply::Tls),
    row(
        "tls-session-cache-timeout",
        RowFlags::MODIFIABLE,
        number!(tls_session_cache_timeout, Integer, 0, i32::MAX),
    )
    .apply(Apply::Tls),
    row(
        "tls-auto-reload-interval",
        RowFlags::MODIFIABLE,
        number!(tls_auto_reload_interval, Integer, 0, i32::MAX),
    ),
    // General.
    row("daemonize", RowFlags::IMMUTABLE, yes_no!(daemonize)),
    row(
        "supervised",
        RowFlags::IMMUTABLE,
        choice!(supervised, Supervised),
    ),
    row("pidfile", RowFlags::IMMUTABLE, opt_text!(pidfile)),
    row(
        "loglevel",
        RowFlags::MODIFIABLE,
        choice!(loglevel, LogLevel),
    )
    .apply(Apply::LogLevel),
    row("logfile", RowFlags::IMMUTABLE, text!(logfile)),
    row(
        "syslog-enabled",
        RowFlags::IMMUTABLE,
        yes_no!(syslog_enabled),
    ),
    row("syslog-ident", RowFlags::IMMUTABLE, text!(syslog_ident)),
    row(
        "syslog-facility",
        RowFlags::IMMUTABLE,
        choice!(syslog_facility, SyslogFacility),
    ),
    row(
        "databases",
        RowFlags::IMMUTABLE,
        number!(databases, Integer, 1, i32::MAX),
    ),
    row(
        "always-show-logo",
        RowFlags::IMMUTABLE,
        yes_no!(always_show_logo),
    ),
    row(
        "set-proc-title",
        RowFlags::IMMUTABLE,
        yes_no!(set_proc_title),
    ),
    row(
        "proc-title-template",
        RowFlags::MODIFIABLE,
        text!(proc_title_template, Some(is_valid_proc_title_template)),
    )
    .apply(Apply::ProcTitle),
    row(
        "locale-collate",
        RowFlags::MODIFIABLE,
        text!(locale_collate),
    )
    .apply(Apply::LocaleCollate),
    row(
        "hz",
        RowFlags::MODIFIABLE,
        number!(hz, Integer, 0, i32::MAX),
    )
    .apply(Apply::Hz),
    row("dynamic-hz", RowFlags::MODIFIABLE, yes_no!(dynamic_hz)),
    row(
        "activerehashing",
        RowFlags::MODIFIABLE,
        yes_no!(activerehashing),
    ),
    row(
        "crash-log-enabled",
        RowFlags::MODIFIABLE,
        yes_no!(crash_log_enabled),
    )
    .apply(Apply::CrashLog),
    row(
        "hide-user-data-from-log",
        RowFlags::MODIFIABLE,
        yes_no!(hide_user_data_from_log),
    )
    .apply(Apply::HideUserData),
    row(
        "crash-memcheck-enabled",
        RowFlags::MODIFIABLE,
        yes_no!(crash_memcheck_enabled),
    ),
    row(
        "use-exit-on-panic",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        yes_no!(use_exit_on_panic),
    )
    .apply(Apply::CrashLog),
    row(
        "watchdog-period",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        number!(watchdog_period, Integer, 0, i32::MAX),
    )
    .apply(Apply::WatchdogPeriod),
    row("disable-thp", RowFlags::IMMUTABLE, yes_no!(disable_thp)),
    row(
        "ignore-warnings",
        RowFlags::MODIFIABLE,
        text!(ignore_warnings),
    )
    .accepted(),
    row(
        "jemalloc-bg-thread",
        RowFlags::MODIFIABLE,
        yes_no!(jemalloc_bg_thread),
    )
    .apply(Apply::AllocatorThread),
    row(
        "server_cpulist",
        RowFlags::IMMUTABLE,
        opt_text!(server_cpulist),
    )
    .accepted(),
    row("bio_cpulist", RowFlags::IMMUTABLE, opt_text!(bio_cpulist)).accepted(),
    row(
        "aof_rewrite_cpulist",
        RowFlags::IMMUTABLE,
        opt_text!(aof_rewrite_cpulist),
    )
    .accepted(),
    row(
        "bgsave_cpulist",
        RowFlags::IMMUTABLE,
        opt_text!(bgsave_cpulist),
    )
    .accepted(),
    row(
        "io-threads",
        RowFlags::DEBUG.union(RowFlags::IMMUTABLE),
        number!(io_threads, Integer, 1, 128),
    )
    .accepted(),
    row(
        "io-threads-do-reads",
        RowFlags::DEBUG.union(RowFlags::IMMUTABLE),
        yes_no!(io_threads_do_reads),
    )
    .accepted(),
    row(
        "oom-score-adj",
        RowFlags::MODIFIABLE,
        choice!(oom_score_adj, OomScoreAdj),
    )
    .apply(Apply::OomScoreAdj),
    row(
        "oom-score-adj-values",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::OOM_SCORE_ADJ_VALUES),
    )
    .apply(Apply::OomScoreAdj),
    row(
        "shutdown-timeout",
        RowFlags::MODIFIABLE,
        number!(shutdown_timeout, Integer, 0, i32::MAX),
    ),
    row(
        "shutdown-on-sigint",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        shutdown_flags!(shutdown_on_sigint),
    ),
    row(
        "shutdown-on-sigterm",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        shutdown_flags!(shutdown_on_sigterm),
    ),
    // Snapshots.
    row(
        "save",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::SAVE),
    ),
    row(
        "stop-writes-on-bgsave-error",
        RowFlags::MODIFIABLE,
        yes_no!(stop_writes_on_bgsave_error),
    ),
    row(
        "rdbcompression",
        RowFlags::MODIFIABLE,
        yes_no!(rdbcompression),
    ),
    row("rdbchecksum", RowFlags::IMMUTABLE, yes_no!(rdbchecksum)),
    row(
        "sanitize-dump-payload",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        choice!(sanitize_dump_payload, SanitizeDumpPayload),
    ),
    row(
        "dbfilename",
        RowFlags::MODIFIABLE.union(RowFlags::PROTECTED),
        text!(dbfilename, Some(is_valid_db_filename)),
    ),
    row(
        "rdb-del-sync-files",
        RowFlags::MODIFIABLE,
        yes_no!(rdb_del_sync_files),
    ),
    row(
        "dir",
        RowFlags::MODIFIABLE
            .union(RowFlags::PROTECTED)
            .union(RowFlags::DENY_LOADING),
        Kind::Special(&special::DIR),
    ),
    row(
        "rdb-save-incremental-fsync",
        RowFlags::MODIFIABLE,
        yes_no!(rdb_save_incremental_fsync),
    ),
    row(
        "snapshot-mode",
        RowFlags::MODIFIABLE,
        choice!(snapshot_mode, SnapshotMode),
    ),
    row(
        "snapshot-cpu-share",
        RowFlags::MODIFIABLE,
        number!(snapshot_cpu_share, Integer, 1, 100),
    ),
    row(
        "rdb-key-save-delay",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        number!(rdb_key_save_delay, Integer, i32::MIN, i32::MAX),
    ),
    row(
        "key-load-delay",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        number!(key_load_delay, Integer, i32::MIN, i32::MAX),
    ),
    row(
        "loading-process-events-interval-bytes",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        number!(
            loading_process_events_interval_bytes,
            Integer,
            1024,
            i32::MAX
        ),
    ),
    row(
        "rdb-save-version",
        RowFlags::MODIFIABLE,
        choice!(rdb_save_version, RdbSaveVersion),
    ),
    row(
        "rdb-version-check",
        RowFlags::MODIFIABLE,
        choice!(rdb_version_check, RdbVersionCheck),
    ),
    // Replication.
    row(
        "replicaof",
        RowFlags::IMMUTABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::REPLICAOF),
    )
    .alias("slaveof"),
    row(
        "masterauth",
        RowFlags::MODIFIABLE.union(RowFlags::SENSITIVE),
        opt_bytes!(masterauth),
    ),
    row(
        "masteruser",
        RowFlags::MODIFIABLE.union(RowFlags::SENSITIVE),
        opt_text!(masteruser),
    ),
    row(
        "replica-serve-stale-data",
        RowFlags::MODIFIABLE,
        yes_no!(replica_serve_stale_data),
    )
    .alias("slave-serve-stale-data"),
    row(
        "replica-read-only",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(replica_read_only),
    )
    .alias("slave-read-only"),
    row(
        "repl-diskless-sync",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(repl_diskless_sync),
    ),
    row(
        "repl-diskless-sync-delay",
        RowFlags::MODIFIABLE,
        number!(repl_diskless_sync_delay, Integer, 0, i32::MAX),
    ),
    row(
        "repl-diskless-sync-max-replicas",
        RowFlags::MODIFIABLE,
        number!(repl_diskless_sync_max_replicas, Integer, 0, i32::MAX),
    ),
    row(
        "repl-diskless-load",
        RowFlags::DEBUG
            .union(RowFlags::MODIFIABLE)
            .union(RowFlags::DENY_LOADING),
        choice!(repl_diskless_load, ReplDisklessLoad),
    ),
    row(
        "aof-replication-state",
        RowFlags::MODIFIABLE,
        yes_no!(aof_replication_state),
    ),
    row(
        "repl-overflow-policy",
        RowFlags::MODIFIABLE,
        choice!(repl_overflow_policy, ReplOverflowPolicy),
    ),
    row(
        "repl-max-full-syncs",
        RowFlags::MODIFIABLE,
        number!(repl_max_full_syncs, Integer, 0, i32::MAX),
    ),
    row(
        "repl-full-sync-rate",
        RowFlags::MODIFIABLE,
        number!(repl_full_sync_rate, Memory, 0, i64::MAX),
    ),
    row(
        "repl-sync-backoff-max",
        RowFlags::MODIFIABLE,
        number!(repl_sync_backoff_max, Integer, 0, 86400),
    ),
    row(
        "repl-resume-full-sync",
        RowFlags::MODIFIABLE,
        yes_no!(repl_resume_full_sync),
    ),
    row(
        "replica-refuse-empty-master",
        RowFlags::MODIFIABLE,
        yes_no!(replica_refuse_empty_master),
    ),
    row(
        "repl-ping-replica-period",
        RowFlags::MODIFIABLE,
        number!(repl_ping_replica_period, Integer, 1, i32::MAX),
    )
    .alias("repl-ping-slave-period"),
    row(
        "repl-timeout",
        RowFlags::MODIFIABLE,
        number!(repl_timeout, Integer, 1, i32::MAX),
    ),
    row(
        "repl-disable-tcp-nodelay",
        RowFlags::MODIFIABLE,
        yes_no!(repl_disable_tcp_nodelay),
    ),
    row(
        "repl-backlog-size",
        RowFlags::MODIFIABLE,
        number!(repl_backlog_size, Memory, 1, i64::MAX),
    )
    .apply(Apply::ReplBacklogSize),
    row(
        "repl-backlog-ttl",
        RowFlags::MODIFIABLE,
        number!(repl_backlog_ttl, Integer, 0, isize::MAX),
    ),
    row(
        "replica-priority",
        RowFlags::MODIFIABLE,
        number!(replica_priority, Integer, 0, i32::MAX),
    )
    .alias("slave-priority"),
    row(
        "replica-announced",
        RowFlags::MODIFIABLE,
        yes_no!(replica_announced),
    ),
    row(
        "replica-announce-ip",
        RowFlags::MODIFIABLE,
        opt_text!(replica_announce_ip),
    )
    .alias("slave-announce-ip"),
    row(
        "replica-announce-port",
        RowFlags::MODIFIABLE,
        number!(replica_announce_port, Integer, 0, 65535),
    )
    .alias("slave-announce-port"),
    row(
        "min-replicas-to-write",
        RowFlags::MODIFIABLE,
        number!(min_replicas_to_write, Integer, 0, i32::MAX),
    )
    .alias("min-slaves-to-write")
    .apply(Apply::GoodSlaves),
    row(
        "min-replicas-max-lag",
        RowFlags::MODIFIABLE,
        number!(min_replicas_max_lag, Integer, 0, i32::MAX),
    )
    .alias("min-slaves-max-lag")
    .apply(Apply::GoodSlaves),
    row(
        "replica-ignore-maxmemory",
        RowFlags::MODIFIABLE,
        yes_no!(replica_ignore_maxmemory),
    )
    .alias("slave-ignore-maxmemory"),
    row(
        "replica-ignore-disk-write-errors",
        RowFlags::MODIFIABLE,
        yes_no!(replica_ignore_disk_write_errors),
    ),
    row(
        "propagation-error-behavior",
        RowFlags::MODIFIABLE,
        choice!(propagation_error_behavior, PropagationErrorBehavior),
    ),
    // Keys tracking and security.
    row(
        "tracking-table-max-keys",
        RowFlags::MODIFIABLE,
        number!(tracking_table_max_keys, Integer, 0, isize::MAX),
    ),
    row(
        "requirepass",
        RowFlags::MODIFIABLE.union(RowFlags::SENSITIVE),
        opt_bytes!(requirepass),
    )
    .apply(Apply::RequirePass),
    row("aclfile", RowFlags::IMMUTABLE, text!(aclfile)),
    row(
        "acl-pubsub-default",
        RowFlags::MODIFIABLE,
        choice!(acl_pubsub_default, AclPubsubDefault),
    ),
    row(
        "acllog-max-len",
        RowFlags::MODIFIABLE,
        number!(acllog_max_len, Integer, 0, isize::MAX),
    ),
    // Limits.
    row(
        "client-output-buffer-limit",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::CLIENT_OUTPUT_BUFFER_LIMIT),
    ),
    row(
        "client-query-buffer-limit",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        number!(client_query_buffer_limit, Memory, 1 << 20, isize::MAX),
    ),
    row(
        "proto-max-bulk-len",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        number!(proto_max_bulk_len, Memory, 1 << 20, isize::MAX),
    ),
    row(
        "maxmemory",
        RowFlags::MODIFIABLE,
        number!(maxmemory, Memory, 0, u64::MAX),
    )
    .apply(Apply::Maxmemory),
    row(
        "maxmemory-policy",
        RowFlags::MODIFIABLE,
        choice!(maxmemory_policy, MaxmemoryPolicy),
    ),
    row(
        "maxmemory-samples",
        RowFlags::MODIFIABLE,
        number!(maxmemory_samples, Integer, 1, i32::MAX),
    ),
    row(
        "maxmemory-eviction-tenacity",
        RowFlags::MODIFIABLE,
        number!(maxmemory_eviction_tenacity, Integer, 0, 100),
    ),
    row(
        "maxmemory-clients",
        RowFlags::MODIFIABLE,
        number!(maxmemory_clients, MemoryOrPercent, -100, isize::MAX),
    )
    .apply(Apply::MaxmemoryClients),
    row(
        "lfu-log-factor",
        RowFlags::MODIFIABLE,
        number!(lfu_log_factor, Integer, 0, i32::MAX),
    ),
    row(
        "lfu-decay-time",
        RowFlags::MODIFIABLE,
        number!(lfu_decay_time, Integer, 0, i32::MAX),
    ),
    row(
        "active-expire-effort",
        RowFlags::MODIFIABLE,
        number!(active_expire_effort, Integer, 1, 10),
    ),
    // Lazy freeing.
    row(
        "lazyfree-large",
        RowFlags::MODIFIABLE,
        yes_no!(lazyfree_large),
    ),
    row(
        "lazyfree-lazy-eviction",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(lazyfree_lazy_eviction),
    ),
    row(
        "lazyfree-lazy-expire",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(lazyfree_lazy_expire),
    ),
    row(
        "lazyfree-lazy-server-del",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(lazyfree_lazy_server_del),
    ),
    row(
        "replica-lazy-flush",
        RowFlags::MODIFIABLE,
        yes_no!(replica_lazy_flush),
    )
    .alias("slave-lazy-flush"),
    row(
        "lazyfree-lazy-user-del",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(lazyfree_lazy_user_del),
    ),
    row(
        "lazyfree-lazy-user-flush",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(lazyfree_lazy_user_flush),
    ),
    // Append-only file.
    row(
        "appendonly",
        RowFlags::MODIFIABLE.union(RowFlags::DENY_LOADING),
        yes_no!(appendonly),
    )
    .apply(Apply::AppendOnly),
    row(
        "appendfilename",
        RowFlags::IMMUTABLE,
        text!(appendfilename, Some(is_valid_aof_filename)),
    ),
    row(
        "appenddirname",
        RowFlags::IMMUTABLE,
        text!(appenddirname, Some(is_valid_aof_dirname)),
    ),
    row(
        "appendfsync",
        RowFlags::MODIFIABLE,
        choice!(appendfsync, AppendFsync),
    )
    .apply(Apply::AppendFsync),
    row(
        "no-appendfsync-on-rewrite",
        RowFlags::MODIFIABLE,
        yes_no!(no_appendfsync_on_rewrite),
    ),
    row(
        "auto-aof-rewrite-percentage",
        RowFlags::MODIFIABLE,
        number!(auto_aof_rewrite_percentage, Integer, 0, i32::MAX),
    ),
    row(
        "auto-aof-rewrite-min-size",
        RowFlags::MODIFIABLE,
        number!(auto_aof_rewrite_min_size, Memory, 0, i64::MAX),
    ),
    row(
        "aof-load-truncated",
        RowFlags::MODIFIABLE,
        yes_no!(aof_load_truncated),
    ),
    row(
        "aof-use-rdb-preamble",
        RowFlags::MODIFIABLE,
        yes_no!(aof_use_rdb_preamble),
    ),
    row(
        "aof-timestamp-enabled",
        RowFlags::MODIFIABLE,
        yes_no!(aof_timestamp_enabled),
    ),
    row(
        "aof-rewrite-incremental-fsync",
        RowFlags::MODIFIABLE,
        yes_no!(aof_rewrite_incremental_fsync),
    ),
    row(
        "aof-disable-auto-gc",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        yes_no!(aof_disable_auto_gc),
    )
    .apply(Apply::AofHistory),
    // Scripts.
    row(
        "busy-reply-threshold",
        RowFlags::MODIFIABLE,
        number!(busy_reply_threshold, Integer, 0, isize::MAX),
    )
    .alias("lua-time-limit"),
    row(
        "script-replication",
        RowFlags::MODIFIABLE,
        choice!(script_replication, ScriptReplication),
    ),
    row(
        "lua-memory-limit",
        RowFlags::MODIFIABLE,
        number!(lua_memory_limit, Memory, 0, isize::MAX),
    ),
    row(
        "maxmemory-scripts",
        RowFlags::MODIFIABLE,
        number!(maxmemory_scripts, Memory, 0, isize::MAX),
    ),
    // Cluster.
    row(
        "cluster-enabled",
        RowFlags::IMMUTABLE,
        yes_no!(cluster_enabled),
    ),
    row(
        "cluster-config-file",
        RowFlags::IMMUTABLE,
        text!(cluster_config_file),
    ),
    row(
        "cluster-node-timeout",
        RowFlags::MODIFIABLE,
        number!(cluster_node_timeout, Integer, 0, i64::MAX),
    ),
    row(
        "cluster-ping-interval",
        RowFlags::MODIFIABLE.union(RowFlags::HIDDEN),
        number!(cluster_ping_interval, Integer, 0, i64::MAX),
    ),
    row(
        "cluster-port",
        RowFlags::IMMUTABLE,
        number!(cluster_port, Integer, 0, 65535),
    ),
    row(
        "cluster-replica-validity-factor",
        RowFlags::MODIFIABLE,
        number!(cluster_replica_validity_factor, Integer, 0, i32::MAX),
    )
    .alias("cluster-slave-validity-factor"),
    row(
        "cluster-migration-barrier",
        RowFlags::MODIFIABLE,
        number!(cluster_migration_barrier, Integer, 0, i32::MAX),
    ),
    row(
        "cluster-allow-replica-migration",
        RowFlags::MODIFIABLE,
        yes_no!(cluster_allow_replica_migration),
    ),
    row(
        "cluster-require-full-coverage",
        RowFlags::MODIFIABLE,
        yes_no!(cluster_require_full_coverage),
    ),
    row(
        "cluster-replica-no-failover",
        RowFlags::MODIFIABLE,
        yes_no!(cluster_replica_no_failover),
    )
    .alias("cluster-slave-no-failover")
    .apply(Apply::ClusterMyself),
    row(
        "cluster-allow-reads-when-down",
        RowFlags::MODIFIABLE,
        yes_no!(cluster_allow_reads_when_down),
    ),
    row(
        "cluster-allow-pubsubshard-when-down",
        RowFlags::MODIFIABLE,
        yes_no!(cluster_allow_pubsubshard_when_down),
    ),
    row(
        "cluster-link-sendbuf-limit",
        RowFlags::MODIFIABLE,
        number!(cluster_link_sendbuf_limit, Memory, 0, u64::MAX),
    ),
    row(
        "cluster-slot-migration-log-max-len",
        RowFlags::MODIFIABLE,
        number!(cluster_slot_migration_log_max_len, Integer, 0, i64::MAX),
    ),
    row(
        "slot-migration-max-failover-repl-bytes",
        RowFlags::MODIFIABLE,
        number!(slot_migration_max_failover_repl_bytes, Memory, -1, i64::MAX),
    ),
    row(
        "auto-failover-on-shutdown",
        RowFlags::MODIFIABLE,
        yes_no!(auto_failover_on_shutdown),
    ),
    row(
        "cluster-announce-hostname",
        RowFlags::MODIFIABLE,
        opt_text!(cluster_announce_hostname, Some(is_valid_announced_hostname)),
    )
    .apply(Apply::ClusterMyself),
    row(
        "cluster-announce-human-nodename",
        RowFlags::MODIFIABLE,
        opt_text!(
            cluster_announce_human_nodename,
            Some(is_valid_announced_nodename)
        ),
    )
    .apply(Apply::ClusterMyself),
    row(
        "cluster-preferred-endpoint-type",
        RowFlags::MODIFIABLE,
        choice!(cluster_preferred_endpoint_type, ClusterEndpointType),
    ),
    row(
        "cluster-announce-ip",
        RowFlags::MODIFIABLE,
        opt_text!(cluster_announce_ip),
    )
    .apply(Apply::ClusterMyself),
    row(
        "cluster-announce-port",
        RowFlags::MODIFIABLE,
        number!(cluster_announce_port, Integer, 0, 65535),
    )
    .apply(Apply::ClusterMyself),
    row(
        "cluster-announce-tls-port",
        RowFlags::MODIFIABLE,
        number!(cluster_announce_tls_port, Integer, 0, 65535),
    )
    .apply(Apply::ClusterMyself),
    row(
        "cluster-announce-bus-port",
        RowFlags::MODIFIABLE,
        number!(cluster_announce_bus_port, Integer, 0, 65535),
    )
    .apply(Apply::ClusterMyself),
    // Observation.
    row(
        "metrics-port",
        RowFlags::MODIFIABLE,
        number!(metrics_port, Integer, 0, 65535),
    )
    .apply(Apply::Metrics),
    row(
        "metrics-bind",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::METRICS_BIND),
    )
    .apply(Apply::Metrics),
    row(
        "metrics-unixsocket",
        RowFlags::MODIFIABLE,
        opt_text!(metrics_unixsocket),
    )
    .apply(Apply::Metrics),
    row("metrics-tls", RowFlags::MODIFIABLE, yes_no!(metrics_tls)).apply(Apply::MetricsTls),
    row(
        "metrics-user",
        RowFlags::MODIFIABLE,
        opt_text!(metrics_user),
    ),
    row(
        "ready-max-lag",
        RowFlags::MODIFIABLE,
        number!(ready_max_lag, Integer, 0, i32::MAX),
    ),
    row(
        "slowlog-log-slower-than",
        RowFlags::MODIFIABLE,
        number!(slowlog_log_slower_than, Integer, -1, i64::MAX),
    ),
    row(
        "key-sampling-rate",
        RowFlags::MODIFIABLE,
        number!(key_sampling_rate, Integer, 0, 1_000_000),
    )
    .apply(Apply::KeySampling),
    row(
        "slowlog-to-log",
        RowFlags::MODIFIABLE,
        yes_no!(slowlog_to_log),
    ),
    row(
        "log-format",
        RowFlags::MODIFIABLE,
        choice!(log_format, LogFormat),
    )
    .apply(Apply::LogFormat),
    row(
        "log-timestamp-format",
        RowFlags::MODIFIABLE,
        choice!(log_timestamp_format, LogTimestampFormat),
    )
    .apply(Apply::LogFormat),
    row(
        "slowlog-max-len",
        RowFlags::MODIFIABLE,
        number!(slowlog_max_len, Integer, 0, isize::MAX),
    ),
    row(
        "latency-monitor-threshold",
        RowFlags::MODIFIABLE,
        number!(latency_monitor_threshold, Integer, 0, i64::MAX),
    ),
    row(
        "latency-tracking",
        RowFlags::MODIFIABLE,
        yes_no!(latency_tracking),
    ),
    row(
        "latency-tracking-info-percentiles",
        RowFlags::MODIFIABLE.union(RowFlags::MULTI_ARG),
        Kind::Special(&special::LATENCY_TRACKING_INFO_PERCENTILES),
    ),
    row(
        "notify-keyspace-events",
        RowFlags::MODIFIABLE,
        Kind::Special(&special::NOTIFY_KEYSPACE_EVENTS),
    ),
    // Encodings.
    row(
        "hash-max-listpack-entries",
        RowFlags::MODIFIABLE,
        number!(hash_max_listpack_entries, Integer, 0, isize::MAX),
    )
    .alias("hash-max-ziplist-entries"),
    row(
        "hash-max-listpack-value",
        RowFlags::MODIFIABLE,
        number!(hash_max_listpack_value, Memory, 0, isize::MAX),
    )
    .alias("hash-max-ziplist-value"),
    row(
        "list-max-listpack-size",
        RowFlags::MODIFIABLE,
        number!(list_max_listpack_size, Integer, i32::MIN, i32::MAX),
    )
    .alias("list-max-ziplist-size"),
    row(
        "list-compress-depth",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        number!(list_compress_depth, Integer, 0, i32::MAX),
    ),
    row(
        "set-max-intset-entries",
        RowFlags::MODIFIABLE,
        number!(set_max_intset_entries, Integer, 0, isize::MAX),
    ),
    row(
        "set-max-listpack-entries",
        RowFlags::MODIFIABLE,
        number!(set_max_listpack_entries, Integer, 0, isize::MAX),
    ),
    row(
        "set-max-listpack-value",
        RowFlags::MODIFIABLE,
        number!(set_max_listpack_value, Integer, 0, isize::MAX),
    ),
    row(
        "zset-max-listpack-entries",
        RowFlags::MODIFIABLE,
        number!(zset_max_listpack_entries, Integer, 0, isize::MAX),
    )
    .alias("zset-max-ziplist-entries"),
    row(
        "zset-max-listpack-value",
        RowFlags::MODIFIABLE,
        number!(zset_max_listpack_value, Memory, 0, isize::MAX),
    )
    .alias("zset-max-ziplist-value"),
    row(
        "hll-sparse-max-bytes",
        RowFlags::MODIFIABLE,
        number!(hll_sparse_max_bytes, Memory, 0, isize::MAX),
    ),
    row(
        "stream-node-max-bytes",
        RowFlags::MODIFIABLE,
        number!(stream_node_max_bytes, Memory, 0, isize::MAX),
    ),
    row(
        "stream-node-max-entries",
        RowFlags::MODIFIABLE,
        number!(stream_node_max_entries, Integer, 0, i64::MAX),
    ),
    // Defragmentation.
    row(
        "activedefrag",
        RowFlags::DEBUG.union(RowFlags::MODIFIABLE),
        yes_no!(activedefrag),
    )
    .accepted()
    .apply(Apply::ActiveDefrag),
    row(
        "active-defrag-ignore-bytes",
        RowFlags::MODIFIABLE,
        number!(active_defrag_ignore_bytes, Memory, 1, i64::MAX),
    )
    .accepted(),
    row(
        "active-defrag-threshold-lower",
        RowFlags::MODIFIABLE,
        number!(active_defrag_threshold_lower, Integer, 0, 1000),
    )
    .accepted(),
    row(
        "active-defrag-threshold-upper",
        RowFlags::MODIFIABLE,
        number!(active_defrag_threshold_upper, Integer, 0, 1000),
    )
    .accepted(),
    row(
        "active-defrag-cycle-min",
        RowFlags::MODIFIABLE,
        number!(active_defrag_cycle_min, Integer, 1, 99),
    )
    .accepted(),
    row(
        "active-defrag-cycle-max",
        RowFlags::MODIFIABLE,
        number!(active_defrag_cycle_max, Integer, 1, 99),
    )
    .accepted(),
    row(
        "active-defrag-max-scan-fields",
        RowFlags::MODIFIABLE,
        number!(active_defrag_max_scan_fields, Integer, 1, isize::MAX),
    )
    .accepted(),
];
