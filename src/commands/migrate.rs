//! MIGRATE (cluster.c): keys go to another server, and are deleted here as that server acknowledges them.
//!
//! Invariant: a key is deleted here only after the target has said that it has it, and replicas and AOF see exactly these
//! deletions, whatever goes wrong afterwards.

use std::time::Duration;

use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::commands::dump::dump_payload;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::notify::NOTIFY_GENERIC;
use crate::server::migrate::{ConnectError, MigrateSocket, SyncIoError};
use crate::wire::resp::{push_bulk, push_header};

/// Milliseconds, where a client gives none.
const DEFAULT_TIMEOUT_MS: u64 = 1000;

/// What a call asks for. Arguments are named by their positions.
struct Migrate {
    copy: bool,
    replace: bool,
    username: Option<usize>,
    password: Option<usize>,
    /// Those of the keys that are there.
    keys: Vec<usize>,
    dbid: i64,
    timeout: Duration,
}

/// How an attempt failed whose client has no answer yet.
enum Failure {
    Writing(SyncIoError),
    /// Nothing is known to have been done by the target.
    Reading(SyncIoError),
    /// Some keys have moved, and their deletion is told already.
    Midway,
}

/// `MIGRATE host port key|"" destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password]`
/// [KEYS key [key ...]]
pub(crate) fn migrate_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(mut call) = parse_or_reply(server, cid, args) else {
        return;
    };
    call.keys
        .retain(|i| server.lookup_key_read(cid, &args[*i]).is_some());
    if call.keys.is_empty() {
        return server.add_reply_status(cid, "NOKEY");
    }
    let mut may_retry = true;
    loop {
        let now = server.clock.unix_s;
        let tls = server
            .tls
            .client
            .clone()
            .filter(|_| server.config.tls_cluster);
        let tls = tls.map(|config| (config, server.tls.scratch.clone()));
        let target = server
            .migrate
            .take(&args[1], &args[2], call.timeout, now, tls);
        let result = match target {
            Ok(socket) => attempt(server, cid, args, &call, socket),
            // Upstream learns of a refusal when it first writes, and says so.
            Err(ConnectError::Refused) => Err(Failure::Writing(SyncIoError::Broken)),
            Err(ConnectError::NoAnswer) => {
                let text = "-IOERR error or timeout connecting to the client";
                return server.add_reply_error(cid, text);
            }
        };
        let Err(failure) = result else {
            return;
        };
        // The target may have closed a kept socket meanwhile: a new one often works.
        let again = match failure {
            Failure::Writing(e) | Failure::Reading(e) => e != SyncIoError::Timeout,
            Failure::Midway => false,
        };
        if again && may_retry {
            may_retry = false;
            continue;
        }
        let text = match failure {
            Failure::Writing(_) => "-IOERR error or timeout writing to target instance",
            _ => "-IOERR error or timeout reading to target instance",
        };
        return server.add_reply_error(cid, text);
    }
}

fn parse_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Option<Migrate> {
    let mut call = Migrate {
        copy: false,
        replace: false,
        username: None,
        password: None,
        keys: vec![3],
        dbid: 0,
        timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
    };
    let mut i = 6;
    while i < args.len() {
        let more = args.len() - 1 - i;
        if args.is(i, "copy") {
            call.copy = true;
        } else if args.is(i, "replace") {
            call.replace = true;
        } else if args.is(i, "auth") && more >= 1 {
            call.password = Some(i + 1);
            server.redact_client_command_argument(cid, i + 1);
            i += 1;
        } else if args.is(i, "auth2") && more >= 2 {
            call.username = Some(i + 1);
            call.password = Some(i + 2);
            server.redact_client_command_argument(cid, i + 1);
            server.redact_client_command_argument(cid, i + 2);
            i += 2;
        } else if args.is(i, "keys") {
            if !args[3].is_empty() {
                server.add_reply_error(
                    cid,
                    "When using MIGRATE KEYS option, the key argument must be set to the empty string",
                );
                return None;
            }
            call.keys = (i + 1..args.len()).collect();
            break;
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
        i += 1;
    }
    let timeout = server.get_long_long_or_reply(cid, args, 5)?;
    call.dbid = server.get_long_long_or_reply(cid, args, 4)?;
    if let Some(ms) = u64::try_from(timeout).ok().filter(|ms| *ms > 0) {
        call.timeout = Duration::from_millis(ms);
    }
    Some(call)
}

/// The requests for the target, and the keys that they carry: those that have not expired by now.
fn build_requests(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    call: &Migrate,
    select: bool,
) -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let mut digits = [0; LONG_STR_SIZE];
    if let Some(password) = call.password {
        push_header(&mut out, b'*', if call.username.is_some() { 3 } else { 2 });
        push_bulk(&mut out, b"AUTH");
        if let Some(username) = call.username {
            push_bulk(&mut out, &args[username]);
        }
        push_bulk(&mut out, &args[password]);
    }
    if select {
        push_header(&mut out, b'*', 2);
        push_bulk(&mut out, b"SELECT");
        push_bulk(&mut out, ll2string(&mut digits, call.dbid));
    }
    let verb: &[u8] = if server.config.cluster_enabled {
        b"RESTORE-ASKING"
    } else {
        b"RESTORE"
    };
    let now = server.command_time_ms();
    let keys = &server.dbs[server.client_db(cid)].keys;
    let mut sent = Vec::with_capacity(call.keys.len());
    for &i in &call.keys {
        let key = &args[i];
        let Some(slot) = keys.find(keys.hash(key), key) else {
            continue;
        };
        let e = keys.at(slot);
        let ttl = match e.expire() {
            None => 0,
            Some(at) if at < now => continue,
            Some(at) => at.saturating_sub(now).max(1),
        };
        let version = server.config.rdb_save_version.of_files();
        let Some(payload) = dump_payload(server, e, version) else {
            continue;
        };
        push_header(&mut out, b'*', if call.replace { 5 } else { 4 });
        push_bulk(&mut out, verb);
        push_bulk(&mut out, key);
        push_bulk(&mut out, ll2string(&mut digits, ttl));
        push_bulk(&mut out, &payload);
        if call.replace {
            push_bulk(&mut out, b"REPLACE");
        }
        sent.push(i);
    }
    (out, sent)
}

/// One try: sends everything, then reads reply after reply. `Ok`: the client has its answer. The socket is kept unless it
/// failed.
fn attempt(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    call: &Migrate,
    mut socket: MigrateSocket,
) -> Result<(), Failure> {
    let select = socket.last_dbid != Some(call.dbid);
    let (requests, keys) = build_requests(server, cid, args, call, select);
    socket
        .sync_write(&requests, call.timeout)
        .map_err(Failure::Writing)?;
    drop(requests);

    // What AUTH or SELECT was refused with; the first of them counts.
    let mut refused = None;
    for _ in 0..usize::from(call.password.is_some()) + usize::from(select) {
        let line = socket
            .sync_read_line(call.timeout)
            .map_err(Failure::Reading)?;
        if refused.is_none() && line.starts_with(b"-") {
            refused = Some(line);
        }
    }

    let db = server.client_db(cid);
    let mut target_error = false;
    let mut broken = None;
    let mut moved: Vec<&[u8]> = vec![b"DEL"];
    for (n, i) in keys.iter().enumerate() {
        let line = match socket.sync_read_line(call.timeout) {
            Ok(line) => line,
            Err(e) => {
                broken = Some((n, e));
                break;
            }
        };
        if refused.is_some() || line.starts_with(b"-") {
            if !target_error {
                target_error = true;
                let line = refused.as_ref().unwrap_or(&line);
                let mut text = b"Target instance replied with error: ".to_vec();
                text.extend_from_slice(&line[1..]);
                server.add_reply_error_bytes(cid, &text);
            }
        } else if !call.copy {
            let key = &args[*i];
            server.db_delete(db, key);
            server.signal_modified_key(cid, db, key);
            server.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
            server.dirty += 1;
            moved.push(key);
        }
    }
    if moved.len() > 1 {
        server.rewrite_client_command_vector(&moved);
    }
    if let Some((n, error)) = broken {
        return match (target_error, n) {
            (true, _) => Ok(()),
            (false, 0) => Err(Failure::Reading(error)),
            (false, _) => Err(Failure::Midway),
        };
    }
    if target_error {
        // Which database is selected there is not sure.
        socket.last_dbid = None;
    } else {
        socket.last_dbid = Some(call.dbid);
        server.add_reply_ok(cid);
    }
    server.migrate.keep(socket);
    Ok(())
}
