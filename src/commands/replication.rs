//! REPLICAOF, FAILOVER, SYNC, PSYNC, REPLCONF, ROLE, WAIT, WAITAOF: arguments in, replies out. What they do is in `replication`.

use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::base::split_args::sdssplitargs;
use crate::replication::{FailoverRequest, WAITAOF_WITHOUT_AOF};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::block::BlockType;
use crate::server::execution::blocked::TimeoutUnit;
use crate::server::repl::FailoverState;
use crate::server::replica::{ReplState, SlaveCapa, SlaveReq};
use crate::server_log;
use crate::wire::replication::capabilities::{
    Capability, HEARS_BEHIND, hidden_slots_of_word, rdb_version_of_server,
};

/// Longest host name or address that a replica may announce (NET_HOST_STR_LEN).
const NET_HOST_STR_LEN: usize = 256;

/// REPLICAOF host port | NO ONE, and SLAVEOF
pub(crate) fn replicaof_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.cluster_enabled {
        return server.add_reply_error(cid, "REPLICAOF not allowed in cluster mode.");
    }
    if server.repl.failover.state != FailoverState::None {
        return server.add_reply_error(cid, "REPLICAOF not allowed while failing over.");
    }
    if args.is(1, "no") && args.is(2, "one") {
        if server.repl.master_host.is_some() {
            server.replication_unset_master();
            let info = server.client_log_string(cid);
            server_log!(
                Level::Notice,
                "MASTER MODE enabled (user request from '{}')",
                info
            );
        }
        return server.add_reply_ok(cid);
    }
    if server.clients[cid].has(ClientFlags::SLAVE) {
        return server.add_reply_error(cid, "Command is not valid when client is a replica.");
    }
    let text = Some("Invalid master port");
    let Some(port) = server.get_range_long_or_reply(cid, args, 2, 0, 65535, text) else {
        return;
    };
    let host = String::from_utf8_lossy(&args[1]).into_owned();
    let same = server
        .repl
        .master_host
        .as_ref()
        .is_some_and(|h| h.eq_ignore_ascii_case(&host));
    let same = same && i64::from(server.repl.master_port) == port;
    if same && server.consent_to_refused_sync() {
        return server.add_reply_ok(cid);
    }
    if same {
        server.attempt_at_once();
        server_log!(
            Level::Notice,
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."
        );
        return server.add_reply_status(cid, "OK Already connected to specified master");
    }
    server.replication_set_master(&host, port as u16);
    let info = server.client_log_string(cid);
    server_log!(
        Level::Notice,
        "REPLICAOF {}:{} enabled (user request from '{}')",
        host,
        port,
        info
    );
    server.add_reply_ok(cid);
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`
pub(crate) fn failover_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.cluster_enabled {
        return server.add_reply_error(cid, "FAILOVER not allowed in cluster mode.");
    }
    if args.len() == 2 && args.is(1, "abort") {
        if server.repl.failover.state == FailoverState::None {
            return server.add_reply_error(cid, "No failover in progress.");
        }
        server.abort_failover("Failover manually aborted");
        return server.add_reply_ok(cid);
    }
    let mut request = FailoverRequest {
        target: None,
        timeout: 0,
        force: false,
    };
    let mut i = 1;
    while i < args.len() {
        if args.is(i, "timeout") && i + 1 < args.len() && request.timeout == 0 {
            let Some(ms) = server.get_long_long_or_reply(cid, args, i + 1) else {
                return;
            };
            if ms <= 0 {
                return server.add_reply_error(cid, "FAILOVER timeout must be greater than 0");
            }
            request.timeout = ms;
            i += 1;
        } else if args.is(i, "to") && i + 2 < args.len() && request.target.is_none() {
            let Some(port) = server.get_long_long_or_reply(cid, args, i + 2) else {
                return;
            };
            let host = String::from_utf8_lossy(&args[i + 1]).into_owned();
            request.target = Some((host, port));
            i += 2;
        } else if args.is(i, "force") && !request.force {
            request.force = true;
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 1;
    }
    match server.start_failover(request) {
        Ok(()) => server.add_reply_ok(cid),
        Err(text) => server.add_reply_error(cid, text),
    }
}

/// SYNC
pub(crate) fn sync_command(server: &mut Server, cid: ClientId, _args: &Args) {
    server.sync(cid);
}

/// `PSYNC replicationid offset [FAILOVER]`
pub(crate) fn psync_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.psync(cid, args);
}

/// `REPLCONF option value [option value ...]`
pub(crate) fn replconf_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len().is_multiple_of(2) {
        return server.add_reply_syntax_error(cid);
    }
    let mut reply = "OK";
    let mut upstream = None;
    let mut i = 1;
    while i < args.len() {
        if args.is(i, "listening-port") {
            let Some(port) = server.get_long_long_or_reply(cid, args, i + 1) else {
                return;
            };
            // Upstream keeps any number, and shows and uses what is left of it in an int.
            let Ok(port) = u16::try_from(port) else {
                let text = "value is out of range, value must between 0 and 65535";
                return server.add_reply_error(cid, text);
            };
            server.clients[cid].repl_mut().listening_port = port;
        } else if args.is(i, "ip-address") {
            let ip = &args[i + 1];
            if ip.len() >= NET_HOST_STR_LEN {
                let text = format!(
                    "REPLCONF ip-address provided by replica instance is too long: {} bytes",
                    ip.len()
                );
                return server.add_reply_error(cid, &text);
            }
            server.clients[cid].repl_mut().announced_ip = ip.to_vec();
        } else if args.is(i, "capa") && server.is_master_client(cid) {
            if let Some(slots) = hidden_slots_of_word(&args[i + 1]) {
                server.master_hides_slots(slots);
            }
        } else if args.is(i, "capa") {
            let r = server.clients[cid].repl_mut();
            match Capability::parse(&args[i + 1]) {
                Capability::Eof => r.capa |= SlaveCapa::EOF,
                Capability::Psync2 => r.capa |= SlaveCapa::PSYNC2,
                Capability::Rdb(version) => r.rdb_version = version,
                Capability::Resume(resume) => {
                    r.can_resume = true;
                    r.resume = resume;
                }
                Capability::Behind(marks) => {
                    server.replica_tells_behind(cid, marks);
                    reply = HEARS_BEHIND;
                }
                Capability::Upstream => upstream = server.tell_upstream(),
                Capability::Unknown => {}
            }
        } else if args.is(i, "version") {
            let Some(version) = rdb_version_of_server(&args[i + 1]) else {
                return server.add_reply_error(cid, "Unrecognized version format");
            };
            server.clients[cid].repl_mut().rdb_version = version;
        } else if args.is(i, "ack") {
            if !server.clients[cid].has(ClientFlags::SLAVE) {
                return;
            }
            let Some(offset) = string2ll(&args[i + 1]) else {
                return;
            };
            let fack = args.len() > i + 3 && args.is(i + 2, "fack");
            let aof = if fack { string2ll(&args[i + 3]) } else { None };
            let at = if fack { i + 4 } else { i + 2 };
            if at + 1 < args.len() && args.is(at, "behind") {
                server.replica_tells_behind(cid, &args[at + 1]);
            }
            // No reply: the replica does not read any.
            return server.replconf_ack(cid, offset, aof);
        } else if args.is(i, "getack") {
            if server.is_master_client(cid) {
                // Answered before the next sleep: by then its own bytes count, and what came before it is written.
                server.repl.ack_asked = true;
            } else {
                server.replication_send_ack();
            }
            return;
        } else if args.is(i, "getlag") {
            return server.reply_with_lags(cid);
        } else if args.is(i, "rdb-only") {
            let Some(n) = server.get_range_long_or_reply(cid, args, i + 1, 0, 1, None) else {
                return;
            };
            server.clients[cid].repl_mut().rdb_only = n == 1;
        } else if args.is(i, "rdb-filter-only") {
            let Some(filters) = sdssplitargs(&args[i + 1]) else {
                return server.add_reply_error(cid, "Missing rdb-filter-only values");
            };
            let mut req = SlaveReq::all();
            for f in filters {
                if f.eq_ignore_ascii_case(b"functions") {
                    req.remove(SlaveReq::RDB_EXCLUDE_FUNCTIONS);
                } else {
                    let text = [b"Unsupported rdb-filter-only option: ", &f[..]].concat();
                    return server.add_reply_error_bytes(cid, &text);
                }
            }
            server.clients[cid].repl_mut().req |= req;
        } else {
            let text = [b"Unrecognized REPLCONF option: ", &args[i]].concat();
            return server.add_reply_error_bytes(cid, &text);
        }
        i += 2;
    }
    match upstream {
        Some(word) => server.add_reply_status(cid, &format!("{reply} {word}")),
        None => server.add_reply_status(cid, reply),
    }
}

/// REPLICATION LAG: as REPLCONF GETLAG
pub(crate) fn replication_lag_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.reply_with_lags(cid);
}

/// REPLICATION EXPLAIN: lines of text
pub(crate) fn replication_explain_command(server: &mut Server, cid: ClientId, _: &Args) {
    let lines = server.explain_replication();
    server.add_reply_array_len(cid, lines.len());
    for line in lines {
        server.add_reply_bulk(cid, line.as_bytes());
    }
}

/// REPLICATION HELP
pub(crate) fn replication_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(
        cid,
        args,
        &[
            "EXPLAIN",
            "    Say where each link stands, what it waits for, and what would happen if it",
            "    broke now.",
            "LAG",
            "    For each replica: address, port, state, acknowledged offset, milliseconds,",
            "    bytes and writes that it is behind (-1: it is not online), and why it had",
            "    its last full sync.",
        ],
    );
}

/// ROLE
pub(crate) fn role_command(server: &mut Server, cid: ClientId, _: &Args) {
    if server.config.sentinel_mode {
        return server.sentinel_role(cid);
    }
    if let Some(host) = server.repl.master_host.clone() {
        let state = server.repl.link.name();
        let offset = server
            .repl
            .link
            .client()
            .and_then(|m| server.clients.get(m)?.master_stream())
            .map_or(-1, |r| r.reploff);
        server.add_reply_array_len(cid, 5);
        server.add_reply_bulk(cid, b"slave");
        server.add_reply_bulk(cid, host.as_bytes());
        server.add_reply_long_long(cid, i64::from(server.repl.master_port));
        server.add_reply_bulk(cid, state.as_bytes());
        server.add_reply_long_long(cid, offset);
        return;
    }
    let online: Vec<(String, u16, i64)> = server
        .replicas()
        .filter(|(_, r)| r.state == ReplState::Online)
        .filter_map(|(s, r)| Some((server.replica_ip(s)?, r.listening_port, r.ack_off)))
        .collect();
    let offset = server.repl.log.master_repl_offset();
    server.add_reply_array_len(cid, 3);
    server.add_reply_bulk(cid, b"master");
    server.add_reply_long_long(cid, offset);
    server.add_reply_array_len(cid, online.len());
    for (ip, port, ack) in online {
        server.add_reply_array_len(cid, 3);
        server.add_reply_bulk(cid, ip.as_bytes());
        server.add_reply_bulk_long_long(cid, i64::from(port));
        server.add_reply_bulk_long_long(cid, ack);
    }
}

/// WAIT numreplicas timeout
pub(crate) fn wait_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.repl.master_host.is_some() {
        return server.add_reply_error(
            cid,
            "WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to \
             be writable (which is not the default) writes to replicas are just local and are not propagated.",
        );
    }
    let Some(replicas) = server.get_long_long_or_reply(cid, args, 1) else {
        return;
    };
    let Some(until) = server.get_timeout_or_reply(cid, &args[2], TimeoutUnit::Milliseconds) else {
        return;
    };
    let have = server.replication_count_acks_by_offset(server.clients[cid].woff);
    if have >= replicas || server.is_blocking_denied(cid) {
        return server.add_reply_long_long(cid, have);
    }
    server.block_for_replication(cid, until, replicas);
}

/// WAITAOF numlocal numreplicas timeout
pub(crate) fn waitaof_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(local) = server.get_range_long_or_reply(cid, args, 1, 0, 1, None) else {
        return;
    };
    let text = Some("value is out of range, must be positive");
    let Some(replicas) = server.get_range_long_or_reply(cid, args, 2, 0, i64::MAX, text) else {
        return;
    };
    let Some(until) = server.get_timeout_or_reply(cid, &args[3], TimeoutUnit::Milliseconds) else {
        return;
    };
    if server.repl.master_host.is_some() {
        return server.add_reply_error(
            cid,
            "WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are \
             not propagated.",
        );
    }
    if local > 0 && !server.config.appendonly {
        return server.add_reply_error(cid, WAITAOF_WITHOUT_AOF);
    }
    let offset = server.clients[cid].woff;
    let done = server.replication_count_aof_acks_by_offset(offset) >= replicas
        && i64::from(server.aof.fsynced_reploff >= offset) >= local;
    if done || server.is_blocking_denied(cid) {
        return server.reply_acks(cid, BlockType::WaitAof, offset);
    }
    server.block_for_aof_fsync(cid, until, local > 0, replicas);
}
