//! The replica's side: connecting, the handshake, the payload, the stream, and becoming a replica or a master.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use socket2::Socket;

use super::link::{LinkEnd, LinkRead, read_link};
use crate::ae::{ClientData, FileId, Mask};
use crate::base::log::{self, Level};
use crate::base::resolve::{self, Addresses};
use crate::base::sys::strerror;
use crate::server::Server;
use crate::server::clients::connection::{Connection, begin_connecting};
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::tls::TlsConnection;
use crate::server::master_link::{HandshakeLink, History, LinkSocket, MasterLink};
use crate::server::persist::RdbLoadInfo;
use crate::server::repl::{FailoverState, LinkAttempts};
use crate::server::replica::MasterStream;
use crate::server_log;
use crate::wire::replication::backlog::OFFSET_BOUND;
use crate::wire::replication::capabilities::ResumeRequest;
use crate::wire::replication::diagnose::{self, Problem, Stage};
use crate::wire::replication::handshake::{
    HANDSHAKE_LINE_SIZE, Handshake, HandshakeParams, HandshakeState, LineReader, LogLevel, Outcome,
    Step,
};
use crate::wire::replication::replid::ReplId;

impl Server {
    // Roles -----------------------------------------------------------------------------------------------------------

    /// Becomes a replica of this master, or of another one than before (replicationSetMaster).
    pub(crate) fn replication_set_master(&mut self, host: &str, port: u16) {
        let was_master = self.repl.master_host.is_none();
        self.repl.master_host = None;
        if let Some(old) = self.repl.link.client() {
            self.replication_cache_master(old);
        }
        self.disconnect_all_blocked_clients();
        self.repl.master_host = Some(host.to_string());
        self.repl.master_port = port;
        self.config.masterhost = Some(host.as_bytes().to_vec());
        self.config.masterport = port;
        log::set_role(log::Role::Replica);
        // A failure is in the log, and no reason against the new role.
        let _ = self.update_oom_score_adj();
        self.cancel_replication_handshake(false);
        if was_master {
            self.replication_discard_cached_master();
            self.replication_cache_master_using_myself();
        }
        self.forget_upstream();
        self.repl.full_sync_consent = true;
        self.repl.refusal = None;
        self.repl.attempts = LinkAttempts::default();
        self.repl.ring.begin(self.repl.cron_loops);
        self.discard_partial_payload();
        self.repl.link = MasterLink::Connect;
        server_log!(Level::Notice, "Connecting to MASTER {}:{}", host, port);
        self.connect_with_master();
    }

    /// Becomes a master (replicationUnsetMaster).
    pub(crate) fn replication_unset_master(&mut self) {
        if self.repl.master_host.take().is_none() {
            return;
        }
        self.config.masterhost = None;
        if let Some(old) = self.repl.link.client() {
            self.replication_cache_master(old);
        }
        self.replication_discard_cached_master();
        self.cancel_replication_handshake(false);
        self.discard_partial_payload();
        self.forget_upstream();
        self.repl.attempts = LinkAttempts::default();
        self.repl.ring.begin(self.repl.cron_loops);
        self.repl.refusal = None;
        log::set_role(log::Role::Master);
        let _ = self.update_oom_score_adj();
        self.shift_replication_id();
        // They come back at once, learn the new id and continue.
        self.disconnect_slaves();
        self.repl.link = MasterLink::None;
        // The new stream has to begin with a SELECT.
        self.repl.slave_seldb = None;
        self.repl.no_slaves_since = self.clock.unix_s;
        self.repl.down_since = 0;
        if self.config.appendonly && self.aof.is_off() {
            // A sync that failed had switched it off.
            self.restart_aof_after_sync();
        }
    }

    /// Clients that wait for what only a master can give them (disconnectAllBlockedClients).
    fn disconnect_all_blocked_clients(&mut self) {
        for cid in self.clients.ids() {
            let Some(b) = self.clients.get(cid).and_then(|c| c.block.as_deref()) else {
                continue;
            };
            if b.kind.ends_by_itself() {
                continue;
            }
            self.unblock_client_on_error(
                cid,
                "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            );
            self.close_after_reply(cid);
        }
    }

    /// An RDB that was loaded at start-up told which history it belongs to (the end of loadDataFromDisk).
    pub(crate) fn replication_restore_from_rdb(&mut self, info: RdbLoadInfo) {
        let Some(replid) = info.repl_id else {
            return;
        };
        let offset = info.repl_offset;
        if !self.i_am_master() {
            self.repl.replid = replid;
            drop(self.repl.log.reset(offset));
            self.replication_cache_master_using_myself();
            if let (Some(c), Some(db)) = (self.repl.cached_master.as_mut(), info.repl_stream_db) {
                c.db = db;
            }
        } else {
            // Replicas of the former process continue under the second id; our own history is a new one from here.
            self.repl.replid2 = replid;
            self.repl.second_replid_offset = offset.saturating_add(1);
            self.repl.log.rebase(offset);
            self.repl.no_slaves_since = self.clock.unix_s;
        }
    }

    // Connecting ------------------------------------------------------------------------------------------------------

    /// Starts a connection to the master (connectWithMaster), or the look-up of its name: [`Self::master_name_resolved`] goes on. On
    /// a failure the cron tries again.
    pub(crate) fn connect_with_master(&mut self) {
        let Some(host) = self.repl.master_host.clone() else {
            return;
        };
        if self.repl.attempts.lookup.is_some() {
            // This attempt is the one that began with it.
            return;
        }
        let port = self.repl.master_port;
        self.repl.attempts.pace.begin(self.el.now_ms());
        self.repl.attempts.found = None;
        self.repl.attempts.refused = None;
        self.repl.attempts.promising = false;
        if let Some(addr) = resolve::literal(&host, port) {
            return self.connect_to_master(&host, Ok(vec![addr]));
        }
        let waker = self.el.waker();
        match self
            .repl
            .resolver
            .look_up(&host, port, move || waker.wake())
        {
            Ok(lookup) => self.repl.attempts.lookup = Some(lookup),
            Err(e) => self.connect_to_master(&host, Err(e)),
        }
    }

    /// Before the loop sleeps, while the master's name is being looked up: goes on if there is an answer.
    pub(crate) fn master_name_resolved(&mut self) {
        let Some(found) = self.repl.attempts.lookup.as_ref().and_then(|l| l.answer()) else {
            return;
        };
        self.repl.attempts.lookup = None;
        if let Some(host) = self.repl.master_host.clone()
            && matches!(self.repl.link, MasterLink::Connect)
        {
            self.connect_to_master(&host, found);
        }
    }

    fn connect_to_master(&mut self, host: &str, addresses: Addresses) {
        let connected = match addresses {
            Ok(addrs) => self
                .open_connection(addrs.into_iter())
                .and_then(|s| self.tls.outgoing(s, self.config.tls_replication))
                .and_then(|s| Ok((self.el.add_file(s.as_raw_fd())?, s)))
                .inspect_err(|e| self.found_no_connection(e)),
            Err(e) => {
                let text = diagnose::unresolved(host, &strerror(&e));
                self.found(Problem::passing(Stage::Resolve, text));
                Err(e)
            }
        };
        let (file, sock) = match connected {
            Ok(link) => link,
            Err(e) => {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Unable to connect to MASTER: {}",
                    strerror(&e)
                );
                self.repl.link = MasterLink::Connect;
                return self.attempt_in_vain();
            }
        };
        self.link_reached(Stage::Resolve);
        self.repl.link = MasterLink::Connecting(LinkSocket {
            sock,
            file,
            last_io: self.clock.unix_s,
        });
        self.el
            .create_file_event(file, Mask::WRITABLE, sync_with_master, 0);
        server_log!(
            self.attempt_level(Level::Notice),
            "MASTER <-> REPLICA sync started"
        );
    }

    /// A socket on its way to the master; the first address that is not refused at once.
    fn open_connection(&self, addrs: impl Iterator<Item = SocketAddr>) -> io::Result<Socket> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for addr in addrs {
            match begin_connecting(addr, self.config.bind_source_addr.as_deref()) {
                Ok(s) => return Ok(s),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Gives a handshake or a transfer up; true when there was one (cancelReplicationHandshake). What has come of a payload
    /// is kept where the next link may bring the rest, else removed (replicationAbortSyncTransfer).
    pub(crate) fn cancel_replication_handshake(&mut self, reconnect: bool) -> bool {
        let Some(link) = self.repl.link.take_unfinished() else {
            return false;
        };
        let conn = match link {
            MasterLink::Transfer(t) => Some(self.keep_or_remove_payload(*t)),
            other => other.into_conn(),
        };
        if let Some(conn) = conn {
            self.el.remove_file(conn.file);
        }
        if reconnect {
            self.attempt_lost();
        }
        true
    }

    // The handshake ---------------------------------------------------------------------------------------------------

    /// Runs one input of the handshake through its states and does what they say.
    fn handshake_step(&mut self, f: impl FnOnce(&mut Handshake, &HandshakeParams<'_>) -> Step) {
        let port = match self.config.replica_announce_port {
            0 if self.config.tls_replication && self.config.tls_port != 0 => self.config.tls_port,
            0 => self.config.port,
            p => p,
        };
        let cached = self.repl.cached_master;
        let behind = self.marks_behind();
        let failing_over = self.repl.failover.state == FailoverState::InProgress;
        let params = HandshakeParams {
            masteruser: self.config.masteruser.as_deref(),
            masterauth: self.config.masterauth.as_deref(),
            listening_port: port,
            announce_ip: self.config.replica_announce_ip.as_deref(),
            cached_master: cached
                .as_ref()
                .map(|c| (&c.replid, c.reploff.saturating_add(1))),
            resume: self.config.repl_resume_full_sync.then(|| {
                let p = self.repl.partial_payload.as_ref()?;
                Some(ResumeRequest {
                    snapshot: p.snapshot,
                    have: p.read,
                })
            }),
            behind: &behind,
            failover_in_progress: failing_over,
        };
        let Some(link) = self.repl.link.handshake_mut() else {
            return;
        };
        let step = f(&mut link.handshake, &params);
        let state = link.handshake.state();
        self.repl.master_hears_behind = link.handshake.hears_behind();
        let told = link.handshake.take_upstream();
        if let Some(stage) = stage_before(state, &step.outcome) {
            self.link_reached(stage);
        }
        if let Some(masters) = told {
            self.upstream_told(masters);
        }
        self.take_step(step);
    }

    /// Does what a step of the handshake says.
    fn take_step(&mut self, step: Step) {
        let news = self.is_news(&step.outcome);
        for l in &step.logs {
            let level = match l.level {
                LogLevel::Notice => Level::Notice,
                LogLevel::Warning => Level::Warning,
            };
            let level = match news {
                true => level,
                false => self.attempt_level(level),
            };
            server_log!(level, "{}", l.text);
        }
        if let Some(link) = self.repl.link.handshake_mut() {
            link.out.extend_from_slice(&step.send);
            if !self.flush_handshake() {
                return;
            }
        }
        if self.repl.failover.state == FailoverState::InProgress
            && matches!(
                step.outcome,
                Outcome::Continue { .. } | Outcome::FullResync(_)
            )
        {
            self.clear_failover_state();
        }
        match step.outcome {
            Outcome::Pending => {}
            Outcome::FailoverRejected => {
                self.abort_failover("Failover target rejected psync request");
            }
            Outcome::RetryLater | Outcome::Error => {
                self.undo_connect_with_master();
                self.attempt_in_vain();
            }
            Outcome::FullResync(history) if self.refuses_full_sync(history) => {
                self.undo_connect_with_master();
                self.attempt_in_vain();
            }
            Outcome::FullResync(Some((replid, offset))) => self.begin_transfer(History {
                replid,
                // As the log does it: they go on together.
                offset: offset.clamp(-OFFSET_BOUND, OFFSET_BOUND),
            }),
            Outcome::FullResync(None) | Outcome::FallBackToSync => {
                let history = self.nameless_history();
                self.begin_transfer(history);
            }
            Outcome::Continue { new_replid } => self.continue_with_master(new_replid),
        }
    }

    /// The master counts nothing, or what it said made no sense: its stream cannot be asked for again. For our own replicas
    /// it has a name and offsets all the same, which are ours.
    fn nameless_history(&mut self) -> History {
        History {
            replid: self.random.run_id(),
            offset: -1,
        }
    }

    /// Sends what the handshake has to say; false when the link is gone.
    fn flush_handshake(&mut self) -> bool {
        loop {
            let Some(link) = self.repl.link.handshake_mut() else {
                return false;
            };
            let file = link.conn.file;
            if link.out.is_empty() {
                if link.conn.sock.has_unsent() && (&link.conn.sock).flush().is_err() {
                    // The read finds what has failed.
                    self.el.clear_ready(file, Mask::WRITABLE);
                    self.el
                        .create_file_event(file, Mask::WRITABLE, sync_with_master, 0);
                }
                return true;
            }
            match (&link.conn.sock).write(&link.out) {
                Ok(n) => {
                    link.out.drain(..n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.el.clear_ready(file, Mask::WRITABLE);
                    self.el
                        .create_file_event(file, Mask::WRITABLE, sync_with_master, 0);
                    return true;
                }
                Err(e) => {
                    link.out.clear();
                    let asking = link.handshake.state() == HandshakeState::ReceivePsyncReply;
                    let why = LinkEnd::Failed(e);
                    self.found_broken(&why);
                    self.handshake_step(|h, _| h.on_write_error(&why.text()));
                    if asking && self.repl.failover.state == FailoverState::InProgress {
                        self.abort_failover("Write error to failover target");
                    }
                    return false;
                }
            }
        }
    }

    /// +CONTINUE: the old stream goes on over the new connection.
    fn continue_with_master(&mut self, new_replid: Option<ReplId>) {
        if let (Some(id), Some(cached)) = (new_replid, self.repl.cached_master.as_mut()) {
            // The master was promoted meanwhile: what we share with it so far has the old name.
            self.repl.replid2 = cached.replid;
            self.repl.second_replid_offset = self.repl.log.master_repl_offset() + 1;
            self.repl.replid = id;
            cached.replid = id;
            // Our own replicas have to learn it too.
            self.disconnect_slaves();
        }
        let Some(sock) = self.take_link_socket() else {
            return;
        };
        self.repl.refusal = None;
        self.notify_systemd(
            "STATUS=MASTER <-> REPLICA sync: Partial Resynchronization accepted. Ready to accept connections in read-write \
             mode.\n",
        );
        let cid = self.replication_resurrect_cached_master(sock);
        if !self.repl.log.backlog_active() {
            // This instance was restarted, and its history came from the RDB file.
            self.create_replication_backlog();
        }
        match cid {
            Some(_) => self.link_is_up(),
            None => self.attempt_in_vain(),
        }
    }

    /// The data set has been replaced: the append-only file begins anew (restartAOFAfterSYNC). Without it the server would
    /// not keep what it is configured to keep, so that it cannot go on.
    pub(super) fn restart_aof_after_sync(&mut self) {
        const TRIES: u32 = 10;
        for left in (0..TRIES).rev() {
            if self.start_append_only() {
                return;
            }
            server_log!(
                Level::Warning,
                "Failed enabling the AOF after successful master synchronization! Trying it again in one second."
            );
            if left > 0 {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        }
        server_log!(
            Level::Warning,
            "FATAL: this replica instance finished the synchronization with its master, but the AOF can't be turned on. \
             Exiting now."
        );
        self.exit(1);
    }

    // The link as a client --------------------------------------------------------------------------------------------

    /// The connection becomes a client whose commands are the stream (replicationCreateMasterClient).
    pub(super) fn replication_create_master_client(
        &mut self,
        conn: Connection,
        history: History,
        db: Option<usize>,
    ) -> Option<ClientId> {
        let _ = conn.socket().set_tcp_nodelay(true);
        let cid = self.clients.create_client(Some(conn), self.clock.unix_s);
        let databases = self.dbs.len();
        let busy = self.scripts.is_timed_out();
        let c = &mut self.clients[cid];
        c.flags |= ClientFlags::MASTER;
        c.flags.set(ClientFlags::HELD, busy);
        c.authenticated = true;
        if let Some(db) = db {
            c.db = db.min(databases - 1);
        }
        let offset = history.offset.max(0);
        c.master_stream = Some(Box::new(MasterStream {
            transaction: Vec::new(),
            reploff: offset,
            read_reploff: offset,
            // A master without offsets sends a stream that nobody can ask to be continued.
            replid: (history.offset != -1).then_some(history.replid),
        }));
        if let Err(e) = self.install_client(cid) {
            server_log!(
                Level::Warning,
                "Error registering the link to the master: {}",
                strerror(&e)
            );
            self.clients.remove(cid);
            return None;
        }
        self.repl.link = MasterLink::Connected(cid);
        Some(cid)
    }

    /// Bytes of the stream that were read together with the end of the handshake.
    pub(super) fn feed_master_client(&mut self, cid: ClientId, bytes: &[u8]) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.querybuf.extend_from_slice(bytes);
            if let Some(m) = c.master_stream.as_deref_mut() {
                m.read_reploff += bytes.len() as i64;
            }
        }
        self.process_pending_input(cid);
    }

    /// A command of the stream has run: the offset moves on, and its bytes go to our own replicas as they are
    /// (commandProcessed).
    pub(crate) fn command_from_master_processed(&mut self, cid: ClientId, raw: &[u8]) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let multi = c.has(ClientFlags::MULTI);
        let Some(m) = c.master_stream.as_deref_mut() else {
            return;
        };
        // A transaction is applied by its EXEC: until then a new link would have to begin with its MULTI.
        if multi {
            return m.transaction.extend_from_slice(raw);
        }
        let begun = std::mem::take(&mut m.transaction);
        m.reploff += (begun.len() + raw.len()) as i64;
        if !begun.is_empty() {
            self.replication_feed_stream_from_master_stream(&begun);
        }
        self.replication_feed_stream_from_master_stream(raw);
    }

    /// Tells the master how far we are (replicationSendAck).
    pub(crate) fn replication_send_ack(&mut self) {
        self.send_ack_and("");
    }

    /// The acknowledgement that is due each second. It tells a master that reads it who is behind us: a REPLCONF of its own
    /// would be answered, in the midst of the stream.
    pub(super) fn send_ack_of_the_second(&mut self) {
        let behind = match self.repl.master_hears_behind {
            true => self.marks_behind(),
            false => String::new(),
        };
        self.send_ack_and(&behind);
    }

    fn send_ack_and(&mut self, behind: &str) {
        let Some(cid) = self.repl.link.client() else {
            return;
        };
        let Some(m) = self.clients.get(cid).and_then(|c| c.master_stream()) else {
            return;
        };
        let offset = m.reploff;
        let on_disk = self.aof.fsynced_reploff;
        self.with_forced_reply(cid, |s| {
            let words = 3 + 2 * usize::from(on_disk != -1) + 2 * usize::from(!behind.is_empty());
            s.add_reply_array_len(cid, words);
            s.add_reply_bulk(cid, b"REPLCONF");
            s.add_reply_bulk(cid, b"ACK");
            s.add_reply_bulk_long_long(cid, offset);
            if on_disk != -1 {
                s.add_reply_bulk(cid, b"FACK");
                s.add_reply_bulk_long_long(cid, on_disk);
            }
            if !behind.is_empty() {
                s.add_reply_bulk(cid, b"BEHIND");
                s.add_reply_bulk(cid, behind.as_bytes());
            }
        });
    }

    /// While a data set is emptied or loaded the master hears a line end each second, lest it takes us for dead
    /// (replicationSendNewlineToMaster).
    pub(crate) fn replication_send_newline_to_master(&mut self) {
        let now = crate::base::clock::mstime() / 1000;
        if self.repl.newline_sent == now {
            return;
        }
        self.repl.newline_sent = now;
        if let Some(conn) = self.repl.link.conn() {
            let _ = (&conn.sock).write(b"\n");
        }
    }
}

/// How far the link is in any case when the handshake has come to this state.
fn stage_before(state: HandshakeState, outcome: &Outcome) -> Option<Stage> {
    Some(match (outcome, state) {
        (Outcome::FullResync(_) | Outcome::Continue { .. }, _) => Stage::Psync,
        (Outcome::Pending, HandshakeState::ReceiveAuthReply) => Stage::Greeting,
        (
            Outcome::Pending,
            HandshakeState::ReceivePortReply
            | HandshakeState::ReceiveIpReply
            | HandshakeState::ReceiveCapaReply
            | HandshakeState::ReceivePsyncReply,
        ) => Stage::Auth,
        _ => return None,
    })
}

/// The link is ready in its handshake (syncWithMaster).
pub(super) fn sync_with_master(server: &mut Server, file: FileId, _: ClientData, mask: Mask) {
    server.exec.clock_stale = true;
    if server.repl.link.file() != Some(file) {
        return;
    }
    if let MasterLink::Connecting(conn) = &server.repl.link {
        let error = match conn.sock.socket().take_error() {
            Ok(error) => error,
            Err(e) => Some(e),
        };
        return match error {
            Some(e) => {
                server.found_no_connection(&e);
                server.take_step(Handshake::not_connected(&strerror(&e)));
            }
            None => tls_handshake_with_master(server),
        };
    }
    if mask.has(Mask::WRITABLE)
        && let Some(link) = server.repl.link.handshake()
        && (!link.out.is_empty() || link.conn.sock.has_unsent())
    {
        server.el.delete_file_event(file, Mask::WRITABLE);
        if !server.flush_handshake() {
            return;
        }
    }
    let mut buf = [0; 1024];
    let n = match read_link(server, &mut buf) {
        LinkRead::Bytes(n) => n,
        LinkRead::Nothing => return,
        LinkRead::Ended(why) => {
            server.found_broken(&why);
            let why = why.text();
            return server.handshake_step(|h, p| h.on_read_error(&why, p.failover_in_progress));
        }
    };
    let mut rest = &buf[..n];
    while !rest.is_empty() {
        let Some(link) = server.repl.link.handshake_mut() else {
            break;
        };
        let (taken, line) = link.line.feed(rest);
        let line = line.map(<[u8]>::to_vec);
        rest = &rest[taken..];
        if let Some(line) = line {
            server.diagnose_reply(&line);
            server.handshake_step(|h, p| h.on_reply(&line, p));
        }
    }
    // What came behind the last line of the handshake belongs to what follows it.
    match &server.repl.link {
        MasterLink::Transfer(_) => super::payload::payload_bytes(server, rest),
        MasterLink::Connected(cid) if !rest.is_empty() => server.feed_master_client(*cid, rest),
        _ => {}
    }
}

/// The socket is connected: over TLS its handshake comes first, which goes on whenever the socket is ready.
fn tls_handshake_with_master(server: &mut Server) {
    let MasterLink::Connecting(conn) = &server.repl.link else {
        return;
    };
    let file = conn.file;
    match conn.sock.tls().map_or(Ok(true), TlsConnection::handshake) {
        Ok(true) => begin_handshake(server),
        Ok(false) => {
            let unsent = conn.sock.has_unsent();
            server.await_tls_handshake(file, unsent, sync_with_master, 0);
        }
        Err(e) => {
            server.found_no_connection(&e);
            server.take_step(Handshake::not_connected(&strerror(&e)));
        }
    }
}

/// The connection is made: the handshake is next.
fn begin_handshake(server: &mut Server) {
    let Some(conn) = server
        .repl
        .link
        .take_unfinished()
        .and_then(MasterLink::into_conn)
    else {
        return;
    };
    server.el.delete_file_event(conn.file, Mask::WRITABLE);
    server
        .el
        .create_file_event(conn.file, Mask::READABLE, sync_with_master, 0);
    let (handshake, step) = Handshake::begin();
    server.repl.link = MasterLink::Handshake(HandshakeLink {
        conn,
        handshake,
        line: LineReader::new(HANDSHAKE_LINE_SIZE),
        out: Vec::new(),
    });
    server.link_reached(Stage::Connect);
    server.take_step(step);
}
