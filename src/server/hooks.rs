//! What this floor calls of floor 5, by moment. It calls methods of `Server` by name and imports nothing from there, so that
//! the calls cannot be told from its own: here they are listed, and `tests/tidy.rs` fails on one that is not, and on one
//! that is listed and not called. (`startup` puts the house together, and is listed for the reader.)
//!
//! A method that is called from here must bear being called at its moment for every client and in every state of the server.
//!
//! | moment | method of floor 5 | what it does |
//! |---|---|---|
//! | start | `acl_load_users_at_startup` | who there is, and what each may do |
//! | | `aof_load_manifest_from_disk` | which files the append-only file consists of |
//! | | `tls_configure_at_start` | certificates and keys |
//! | | `metrics_open_at_start` | the listener for metrics |
//! | | `cluster_init` | who is in the cluster |
//! | | `cluster_init_listeners` | the bus |
//! | | `verify_cluster_config_with_data` | slots that have keys |
//! | | `load_data_from_disk` | the data set |
//! | | `aof_open_if_needed_on_server_start` | the file that the next commands go to |
//! | | `aof_del_history_files` | what an interrupted rewrite has left |
//! | | `sentinel_load_config` | `sentinel` lines |
//! | | `sentinel_check_config_file` | a Sentinel's state can be kept |
//! | | `sentinel_is_running` | a Sentinel has an id |
//! | before the loop sleeps | `cluster_before_sleep` | what the turn has changed of the cluster |
//! | | `flush_append_only_file` | the commands of this turn, to the disk as `appendfsync` says; also before who must not be answered without |
//! | | `master_name_resolved` | the master's address is known, or is not to be had |
//! | | `acknowledge_before_sleep` | to the master: how far we are, if it asked |
//! | | `process_clients_waiting_replicas` | WAIT and WAITAOF that have enough |
//! | | `send_getack_to_replicas` | to the replicas: how far are you |
//! | | `backpressure_before_sleep` | writers wait for replicas that cannot keep up |
//! | | `note_lag` | which offset was reached when |
//! | | `snapshot_before_sleep` | a snapshot that is taken in the loop |
//! | every turn of the cron | `persistence_cron` | children, save points, rewrites that are due |
//! | | `connect_when_due` | the next attempt at the master |
//! | | `update_failover_status` | a FAILOVER under way |
//! | | `tls_cron` | certificates that have changed |
//! | | `metrics_cron` | once a second, also while a load goes on: what charts show, connections that take too long |
//! | | `sentinel_timer` | all of a Sentinel's |
//! | | `cluster_cron` | links, PINGs, failures, failovers |
//! | a blocked client is looked at | `cluster_redirect_blocked_client` | its slot has left |
//! | once a second | `replication_cron` | time-outs, PINGs, acknowledgements of both sides |
//! | a client comes | `cluster_connections_count` | how many connections the bus needs besides |
//! | | `client_set_default_auth` | it is the default user |
//! | its TLS handshake is done | `tls_names_of_peer` | who its certificate names |
//! | | `acl_authenticate_by_certificate` | it is that user |
//! | a command is looked at | `acl_refusal` | its client's user may not call it |
//! | | `acl_refusal_in_exec` | may not any more |
//! | | `cluster_redirection` | its keys are another node's, or are about to be |
//! | | `script_command_flags` | what the script that it runs declares |
//! | | `reply_pauses` | its reply is larger than most |
//! | | `busy_script_error` | a script has been running for too long |
//! | a command is propagated | `replication_feed_slaves` | into the stream |
//! | | `slot_import_error` | a command failed that another node's slots came with |
//! | a command has run | `replication_feed_monitors` | to those who watch |
//! | a command of the stream has run | `command_from_master_processed` | the offset moves on |
//! | a replica's output grows | `replica_output_limit` | what its limit means for a replica |
//! | a client goes | `free_replica` | it was a replica of ours |
//! | | `master_link_closed` | it was the master |
//! | | `slot_import_closed` | it sent slots |
//! | a client's waiting ends | `reply_acks` | WAIT and WAITAOF answer with what there is |
//! | keys are evicted | `flush_slaves_output_buffers` | replicas are told at once; also before the process ends |
//! | | `update_dict_resize_policy` | tables may grow, or not while a child shares them |
//! | a data set is emptied | `replication_send_newline_to_master` | we are alive |
//! | a replica is named in the log | `replication_get_slave_name` | its name |
//! | the process ends | `ldb_kill_forked_sessions` | the debugger's processes |
//! | | `kill_rdb_child` | a save would be of the same data |
//! | | `kill_append_only_child` | a rewrite is done at the next start |
//! | | `rdb_save_to_dbfilename` | the last save |
//! | | `finish_append_only_file` | the last commands, forced to the disk |
//! | | `discard_payloads` | half a snapshot of the master's |
//! | | `metrics_close` | its listener and connections |
//! | | `cluster_hand_over_at_shutdown` | a replica is to take the master's place |
//! | | `cluster_close_listeners` | the bus' sockets, and the lock |
//! | the process is forked | `cluster_close_inherited` | the same, which are the parent's |
//! | somebody asks who decides about the data | `cluster_says_master` | a replica in a cluster does not |
//! | the process crashes | `info_for_crash_report` | INFO |
//! | | `config_for_crash_report` | the configuration |
