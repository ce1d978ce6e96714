//! The replica's side: connecting, the handshake, the payload, the stream, and becoming a replica or a master.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket, Type};

use crate::ae::{ClientData, FileId, Mask};
use crate::base::log::{self, Level};
use crate::base::sys::{self, path_of, strerror};
use crate::server::Server;
use crate::server::client::{CLIENT_MASTER, CLIENT_MULTI, ClientId};
use crate::server::networking::PROTO_IOBUF_LEN;
use crate::server::persist::{RDBFLAGS_REPLICATION, RdbLoadInfo};
use crate::server::repl::{PayloadEnd, ReplicaState, Transfer};
use crate::server_log;
use crate::wire::backlog::OFFSET_BOUND;
use crate::wire::handshake::{
    BULK_HEADER_LINE_SIZE, BulkHeader, EofMark, HANDSHAKE_LINE_SIZE, Handshake, HandshakeParams,
    HandshakeState, LineReader, LogLevel, Outcome, Step, parse_bulk_header,
};

/// The payload is forced to the disk every so many bytes, so that the end of a transfer does not wait for all of them
/// (REPL_MAX_WRITTEN_BEFORE_FSYNC).
const REPL_MAX_WRITTEN_BEFORE_FSYNC: u64 = 8 * 1024 * 1024;
/// Bytes of the payload read in one callback.
const BULK_READ: usize = 4 * PROTO_IOBUF_LEN;

impl Server {
    // Roles -----------------------------------------------------------------------------------------------------------

    /// Becomes a replica of this master, or of another one than before (replicationSetMaster).
    pub fn replication_set_master(&mut self, host: &str, port: u16) {
        let was_master = self.repl.master_host.is_none();
        self.repl.master_host = None;
        if let Some(old) = self.repl.master {
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
        self.repl.state = ReplicaState::Connect;
        server_log!(Level::Notice, "Connecting to MASTER {}:{}", host, port);
        self.connect_with_master();
    }

    /// Becomes a master (replicationUnsetMaster).
    pub fn replication_unset_master(&mut self) {
        if self.repl.master_host.take().is_none() {
            return;
        }
        self.config.masterhost = None;
        if let Some(old) = self.repl.master {
            self.replication_cache_master(old);
        }
        self.replication_discard_cached_master();
        self.cancel_replication_handshake(false);
        log::set_role(log::Role::Master);
        let _ = self.update_oom_score_adj();
        self.shift_replication_id();
        // They come back at once, learn the new id and continue.
        self.disconnect_slaves();
        self.repl.state = ReplicaState::None;
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
        use crate::server::client::BlockType;
        for cid in self.clients.ids() {
            let Some(b) = self.clients.get(cid).and_then(|c| c.block.as_deref()) else {
                continue;
            };
            if b.kind == BlockType::Postpone || b.kind == BlockType::Shutdown {
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
    pub fn replication_restore_from_rdb(&mut self, info: RdbLoadInfo) {
        let Some(replid) = info.repl_id else {
            return;
        };
        let offset = info.repl_offset;
        if self.repl.master_host.is_some() {
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

    /// Starts a connection to the master (connectWithMaster). On a failure the cron tries again.
    pub fn connect_with_master(&mut self) -> bool {
        let Some(host) = self.repl.master_host.clone() else {
            return false;
        };
        match self
            .open_connection(&host, self.repl.master_port)
            .and_then(|s| Ok((self.el.add_file(s.as_raw_fd())?, s)))
        {
            Ok((file, sock)) => {
                self.repl.sock = Some(sock);
                self.repl.sock_file = Some(file);
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Unable to connect to MASTER: {}",
                    strerror(&e)
                );
                return false;
            }
        }
        self.repl.handshake = Some(Handshake::new());
        self.repl.handshake_line = LineReader::new(HANDSHAKE_LINE_SIZE);
        self.repl.handshake_out.clear();
        self.repl.transfer_lastio = self.clock.unix_s;
        self.repl.state = ReplicaState::Connecting;
        if let Some(file) = self.repl.sock_file {
            self.el
                .create_file_event(file, Mask::WRITABLE, sync_with_master, 0);
        }
        server_log!(Level::Notice, "MASTER <-> REPLICA sync started");
        true
    }

    /// A socket on its way to the host; the first address that is not refused at once.
    fn open_connection(&self, host: &str, port: u16) -> io::Result<Socket> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for addr in (host, port).to_socket_addrs()? {
            let attempt = || -> io::Result<Socket> {
                let s = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
                s.set_nonblocking(true)?;
                if let Some(source) = &self.config.bind_source_addr {
                    let text = String::from_utf8_lossy(source);
                    if let Ok(ip) = text.parse() {
                        s.bind(&SocketAddr::new(ip, 0).into())?;
                    }
                }
                match s.connect(&addr.into()) {
                    Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
                    _ => Ok(s),
                }
            };
            match attempt() {
                Ok(s) => return Ok(s),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Closes the link that is not a client yet (undoConnectWithMaster).
    fn undo_connect_with_master(&mut self) {
        if let Some(file) = self.repl.sock_file.take() {
            self.el.remove_file(file);
        }
        self.repl.sock = None;
        self.repl.handshake = None;
    }

    /// Closes the link and removes what has come of the payload.
    fn replication_abort_sync_transfer(&mut self) {
        self.undo_connect_with_master();
        if let Some(t) = self.repl.transfer.take() {
            let _ = std::fs::remove_file(&t.path);
        }
    }

    /// Gives a handshake or a transfer up; true when there was one (cancelReplicationHandshake).
    pub fn cancel_replication_handshake(&mut self, reconnect: bool) -> bool {
        match self.repl.state {
            ReplicaState::Transfer | ReplicaState::Connecting | ReplicaState::Handshake => {}
            _ => return false,
        }
        self.replication_abort_sync_transfer();
        self.repl.state = ReplicaState::Connect;
        if reconnect {
            if let Some(host) = &self.repl.master_host {
                server_log!(
                    Level::Notice,
                    "Reconnecting to MASTER {}:{} after failure",
                    host,
                    self.repl.master_port
                );
            }
            self.connect_with_master();
        }
        true
    }

    // The handshake ---------------------------------------------------------------------------------------------------

    /// Runs one input of the handshake through its states and does what they say.
    fn handshake_step(&mut self, f: impl FnOnce(&mut Handshake, &HandshakeParams<'_>) -> Step) {
        let Some(mut handshake) = self.repl.handshake.take() else {
            return;
        };
        let port = match self.config.replica_announce_port {
            0 => self.config.port,
            p => p,
        };
        let cached = self.repl.cached_master;
        let params = HandshakeParams {
            masteruser: self.config.masteruser.as_deref(),
            masterauth: self.config.masterauth.as_deref(),
            listening_port: port,
            announce_ip: self.config.replica_announce_ip.as_deref(),
            cached_master: cached
                .as_ref()
                .map(|c| (&c.replid, c.reploff.saturating_add(1))),
            failover_in_progress: false,
        };
        let step = f(&mut handshake, &params);
        self.repl.handshake = Some(handshake);
        for l in &step.logs {
            let level = match l.level {
                LogLevel::Notice => Level::Notice,
                LogLevel::Warning => Level::Warning,
            };
            server_log!(level, "{}", l.text);
        }
        self.repl.handshake_out.extend_from_slice(&step.send);
        if !self.flush_handshake() {
            return;
        }
        match step.outcome {
            Outcome::Pending => {}
            Outcome::RetryLater | Outcome::Error | Outcome::FailoverRejected => {
                self.undo_connect_with_master();
                self.repl.state = ReplicaState::Connect;
            }
            Outcome::FullResync(history) => {
                match history {
                    Some((id, offset)) => {
                        self.repl.master_replid = id;
                        // As the log does it: they go on together.
                        self.repl.master_initial_offset = offset.clamp(-OFFSET_BOUND, OFFSET_BOUND);
                    }
                    None => {
                        self.repl.master_replid = [0; 40];
                        self.repl.master_initial_offset = -1;
                    }
                }
                self.begin_transfer();
            }
            Outcome::FallBackToSync => {
                self.repl.master_replid = [0; 40];
                self.repl.master_initial_offset = -1;
                self.begin_transfer();
            }
            Outcome::Continue { new_replid } => self.continue_with_master(new_replid),
        }
    }

    /// Sends what the handshake has to say; false when the link is gone.
    fn flush_handshake(&mut self) -> bool {
        while !self.repl.handshake_out.is_empty() {
            let Some(sock) = &self.repl.sock else {
                return false;
            };
            let mut sock: &Socket = sock;
            match sock.write(&self.repl.handshake_out) {
                Ok(n) => {
                    self.repl.handshake_out.drain(..n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(file) = self.repl.sock_file {
                        self.el.clear_ready(file, Mask::WRITABLE);
                        self.el
                            .create_file_event(file, Mask::WRITABLE, sync_with_master, 0);
                    }
                    return true;
                }
                Err(e) => {
                    self.repl.handshake_out.clear();
                    let why = strerror(&e);
                    self.handshake_step(|h, _| h.on_write_error(&why));
                    return false;
                }
            }
        }
        true
    }

    /// +CONTINUE: the old stream goes on over the new connection.
    fn continue_with_master(&mut self, new_replid: Option<[u8; 40]>) {
        if let (Some(id), Some(cached)) = (new_replid, self.repl.cached_master.as_mut()) {
            // The master was promoted meanwhile: what we share with it so far has the old name.
            self.repl.replid2 = cached.replid;
            self.repl.second_replid_offset = self.repl.log.master_repl_offset() + 1;
            self.repl.replid = id;
            cached.replid = id;
            // Our own replicas have to learn it too.
            self.disconnect_slaves();
        }
        let file = self.repl.sock_file.take();
        let Some(sock) = self.repl.sock.take() else {
            return;
        };
        if let Some(file) = file {
            self.el.remove_file(file);
        }
        self.repl.handshake = None;
        let cid = self.replication_resurrect_cached_master(sock);
        if !self.repl.log.backlog_active() {
            // This instance was restarted, and its history came from the RDB file.
            self.create_replication_backlog();
        }
        if cid.is_none() {
            self.repl.state = ReplicaState::Connect;
        }
    }

    /// The payload comes next: it goes to a temporary file.
    fn begin_transfer(&mut self) {
        let now = self.clock.unix_s;
        let path = PathBuf::from(format!("temp-{now}.{}.rdb", std::process::id()));
        let file = match File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
        {
            Ok(f) => f,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Opening the temp file needed for MASTER <-> REPLICA synchronization: {}",
                    strerror(&e)
                );
                self.undo_connect_with_master();
                self.repl.state = ReplicaState::Connect;
                return;
            }
        };
        self.repl.transfer = Some(Transfer {
            file,
            path,
            end: PayloadEnd::Unknown,
            read: 0,
            synced: 0,
            header: LineReader::new(BULK_HEADER_LINE_SIZE),
        });
        self.repl.state = ReplicaState::Transfer;
        self.repl.transfer_lastio = now;
        if let Some(f) = self.repl.sock_file {
            self.el
                .create_file_event(f, Mask::READABLE, read_sync_bulk_payload, 0);
        }
    }

    // The payload -----------------------------------------------------------------------------------------------------

    /// Takes bytes of the payload's header line and of the payload. Returns how many belong to it; the rest is the stream
    /// that follows. An error ends the transfer.
    fn take_payload(&mut self, bytes: &[u8]) -> Result<(usize, bool), ()> {
        self.repl.transfer_lastio = self.clock.unix_s;
        let Some(t) = self.repl.transfer.as_mut() else {
            return Err(());
        };
        let mut at = 0;
        while matches!(t.end, PayloadEnd::Unknown) {
            if at == bytes.len() {
                return Ok((at, false));
            }
            let (n, line) = t.header.feed(&bytes[at..]);
            at += n;
            let Some(line) = line else {
                continue;
            };
            let header = parse_bulk_header(line);
            if let Some(l) = header.log(line, false) {
                let level = match l.level {
                    LogLevel::Notice => Level::Notice,
                    LogLevel::Warning => Level::Warning,
                };
                server_log!(level, "{}", l.text);
            }
            match header {
                BulkHeader::Length(n) => t.end = PayloadEnd::Size(n),
                BulkHeader::EofMark(m) => t.end = PayloadEnd::Mark(EofMark::new(m)),
                BulkHeader::KeepAlive => {}
                BulkHeader::Aborted(_) | BulkHeader::Malformed => return Err(()),
            }
        }
        let mine = match &t.end {
            PayloadEnd::Size(size) => {
                let left = usize::try_from(size - t.read).unwrap_or(usize::MAX);
                &bytes[at..at + left.min(bytes.len() - at)]
            }
            _ => &bytes[at..],
        };
        if let Err(e) = t.file.write_all(mine) {
            server_log!(
                Level::Warning,
                "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
            return Err(());
        }
        t.read += mine.len() as u64;
        let done = match &mut t.end {
            PayloadEnd::Size(size) => t.read == *size,
            PayloadEnd::Mark(m) => {
                let done = m.push(mine);
                if done && let Err(e) = t.file.set_len(t.read - 40) {
                    server_log!(
                        Level::Warning,
                        "Error truncating the RDB file received from the master for SYNC: {}",
                        strerror(&e)
                    );
                    return Err(());
                }
                done
            }
            PayloadEnd::Unknown => false,
        };
        if t.read >= t.synced + REPL_MAX_WRITTEN_BEFORE_FSYNC {
            // Best effort: the file is synced as a whole at the end.
            let _ = sys::sync_file_range(&t.file, t.synced, t.read - t.synced);
            t.synced = t.read;
        }
        Ok((at + mine.len(), done))
    }

    /// The payload is complete: it replaces the data set, and its sender becomes our master. `rest` is what came behind it.
    fn finish_transfer(&mut self, rest: &[u8]) {
        let Some(t) = self.repl.transfer.take() else {
            return;
        };
        let path = path_of(&self.config.dbfilename);
        let used_mark = matches!(t.end, PayloadEnd::Mark(_));
        if self.persist.child.is_some() {
            server_log!(
                Level::Notice,
                "Replica is about to load the RDB file received from the master, but there is a pending RDB child running. \
                 Killing process {} and removing its temp file to avoid any race",
                self.persist.child.as_ref().map_or(0, |c| c.pid)
            );
            self.kill_rdb_child();
        }
        // The file would get what the load does; a new base of it follows.
        if !self.aof.is_off() {
            self.stop_append_only();
        }
        // From here on the old history is over, for us and for our own replicas.
        self.replication_discard_cached_master();
        self.disconnect_slaves();
        self.free_replication_backlog();
        server_log!(Level::Notice, "MASTER <-> REPLICA sync: Flushing old data");
        self.empty_data(None, self.config.replica_lazy_flush);
        if let Some(f) = self.repl.sock_file {
            // It would be entered again from the nested event loop.
            self.el.delete_file_event(f, Mask::READABLE);
        }
        server_log!(
            Level::Notice,
            "MASTER <-> REPLICA sync: Loading DB in memory"
        );
        let renamed = t
            .file
            .sync_all()
            .map_err(|e| (e, "sync the temp DB to disk"))
            .and_then(|()| {
                std::fs::rename(&t.path, &path).map_err(|e| (e, "rename the temp DB into place"))
            });
        if let Err((e, what)) = renamed {
            server_log!(
                Level::Warning,
                "Failed trying to {} in MASTER <-> REPLICA synchronization: {}",
                what,
                strerror(&e)
            );
            let _ = std::fs::remove_file(&t.path);
            self.cancel_replication_handshake(true);
            return;
        }
        if let Err(e) = sys::fsync_file_dir(&path) {
            server_log!(
                Level::Warning,
                "Failed trying to sync DB directory . in MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
        }
        let loaded = self.rdb_load(&path, RDBFLAGS_REPLICATION);
        let remove = self.config.rdb_del_sync_files && self.all_persistence_disabled();
        if remove {
            server_log!(
                Level::Notice,
                "Removing the RDB file obtained from the master. This replica has persistence disabled"
            );
            let _ = std::fs::remove_file(&path);
        }
        let Ok(info) = loaded else {
            server_log!(
                Level::Warning,
                "Failed trying to load the MASTER synchronization DB from disk, check server logs."
            );
            self.empty_data(None, self.config.replica_lazy_flush);
            self.cancel_replication_handshake(true);
            return;
        };
        let file = self.repl.sock_file.take();
        let Some(sock) = self.repl.sock.take() else {
            return;
        };
        if let Some(f) = file {
            self.el.remove_file(f);
        }
        self.repl.handshake = None;
        self.update_cached_time();
        let Some(cid) = self.replication_create_master_client(sock, info.repl_stream_db) else {
            self.repl.state = ReplicaState::Connect;
            return;
        };
        self.repl.state = ReplicaState::Connected;
        self.repl.down_since = 0;
        // The master's history is ours now.
        self.repl.replid = self.repl.master_replid;
        self.clear_replication_id2();
        drop(self.repl.log.reset(self.repl.master_initial_offset));
        self.create_replication_backlog();
        server_log!(
            Level::Notice,
            "MASTER <-> REPLICA sync: Finished with success"
        );
        if self.config.appendonly {
            self.restart_aof_after_sync();
        }
        if used_mark {
            // The master waits for this before it sends the stream.
            self.replication_send_ack();
        }
        if !rest.is_empty() {
            self.feed_master_client(cid, rest);
        }
    }

    /// The data set has been replaced: the append-only file begins anew (restartAOFAfterSYNC). Without it the server would
    /// not keep what it is configured to keep, so that it cannot go on.
    fn restart_aof_after_sync(&mut self) {
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

    /// No save points and no AOF: files on the disk are nobody's data.
    pub fn all_persistence_disabled(&self) -> bool {
        self.config.save.is_empty() && !self.config.appendonly
    }

    // The link as a client --------------------------------------------------------------------------------------------

    /// The connection becomes a client whose commands are the stream (replicationCreateMasterClient).
    pub(super) fn replication_create_master_client(
        &mut self,
        conn: Socket,
        db: Option<usize>,
    ) -> Option<ClientId> {
        let _ = conn.set_tcp_nodelay(true);
        let cid = self.clients.create_client(Some(conn), self.clock.unix_s);
        let (offset, id) = (self.repl.master_initial_offset, self.repl.master_replid);
        let databases = self.dbs.len();
        let c = &mut self.clients[cid];
        c.flags |= CLIENT_MASTER;
        c.authenticated = true;
        if let Some(db) = db {
            c.db = db.min(databases - 1);
        }
        let r = c.repl_mut();
        r.reploff = offset;
        r.read_reploff = offset;
        r.replid = id;
        // A master without offsets sends a stream that nobody can ask to be continued.
        r.pre_psync = offset == -1;
        if let Err(e) = self.install_client(cid) {
            server_log!(
                Level::Warning,
                "Error registering the link to the master: {}",
                strerror(&e)
            );
            self.clients.remove(cid);
            return None;
        }
        self.repl.master = Some(cid);
        Some(cid)
    }

    /// Bytes of the stream that were read together with the end of the handshake.
    fn feed_master_client(&mut self, cid: ClientId, bytes: &[u8]) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.querybuf.extend_from_slice(bytes);
            c.repl_mut().read_reploff += bytes.len() as i64;
        }
        self.process_pending_input(cid);
    }

    /// A command of the stream has run: the offset moves on, and its bytes go to our own replicas as they are
    /// (commandProcessed).
    pub fn command_from_master_processed(&mut self, cid: ClientId, raw: &[u8]) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        if !c.has(CLIENT_MASTER) {
            return;
        }
        // A transaction is applied by its EXEC: until then a new link would have to begin with its MULTI.
        if c.has(CLIENT_MULTI) {
            return c.repl_mut().transaction.extend_from_slice(raw);
        }
        let r = c.repl_mut();
        let begun = std::mem::take(&mut r.transaction);
        r.reploff += (begun.len() + raw.len()) as i64;
        if !begun.is_empty() {
            self.replication_feed_stream_from_master_stream(&begun);
        }
        self.replication_feed_stream_from_master_stream(raw);
    }

    /// Tells the master how far we are (replicationSendAck).
    pub fn replication_send_ack(&mut self) {
        let Some(cid) = self.repl.master else {
            return;
        };
        let Some(r) = self.clients.get(cid).and_then(|c| c.repl()) else {
            return;
        };
        let offset = r.reploff;
        self.with_forced_reply(cid, |s| {
            s.add_reply_array_len(cid, 3);
            s.add_reply_bulk(cid, b"REPLCONF");
            s.add_reply_bulk(cid, b"ACK");
            s.add_reply_bulk_long_long(cid, offset);
        });
    }

    /// While a data set is emptied or loaded the master hears a line end each second, lest it takes us for dead
    /// (replicationSendNewlineToMaster).
    pub fn replication_send_newline_to_master(&mut self) {
        let now = crate::base::clock::mstime() / 1000;
        if self.repl.newline_sent == now {
            return;
        }
        self.repl.newline_sent = now;
        if let Some(sock) = &self.repl.sock {
            let mut sock: &Socket = sock;
            let _ = sock.write(b"\n");
        }
    }
}

/// The link is ready in its handshake (syncWithMaster).
pub(super) fn sync_with_master(server: &mut Server, file: FileId, _: ClientData, mask: Mask) {
    server.exec.clock_stale = true;
    if server.repl.sock_file != Some(file) {
        return;
    }
    if server.repl.state == ReplicaState::Connecting {
        let error = match server.repl.sock.as_ref().map(|s| s.take_error()) {
            Some(Ok(None)) => None,
            Some(Ok(Some(e)) | Err(e)) => Some(e),
            None => return,
        };
        if let Some(e) = error {
            let why = strerror(&e);
            return server.handshake_step(|h, _| h.on_socket_error(&why));
        }
        server.repl.state = ReplicaState::Handshake;
        server.el.delete_file_event(file, Mask::WRITABLE);
        server
            .el
            .create_file_event(file, Mask::READABLE, sync_with_master, 0);
        return server.handshake_step(|h, _| h.on_connected());
    }
    if mask.has(Mask::WRITABLE) && !server.repl.handshake_out.is_empty() {
        server.el.delete_file_event(file, Mask::WRITABLE);
        if !server.flush_handshake() {
            return;
        }
    }
    let mut buf = [0; 1024];
    let n = match read_link(server, file, &mut buf) {
        Ok(n) => n,
        Err(None) => return,
        Err(Some(why)) => return server.handshake_step(|h, _| h.on_read_error(&why, false)),
    };
    server.repl.transfer_lastio = server.clock.unix_s;
    let mut rest = &buf[..n];
    while !rest.is_empty() {
        let (taken, line) = server.repl.handshake_line.feed(rest);
        let line = line.map(<[u8]>::to_vec);
        rest = &rest[taken..];
        let Some(line) = line else {
            continue;
        };
        server.handshake_step(|h, p| h.on_reply(&line, p));
        match server.repl.state {
            ReplicaState::Handshake => {}
            // What came behind the last line of the handshake belongs to what follows it.
            ReplicaState::Transfer => return payload_bytes(server, rest),
            ReplicaState::Connected => {
                if let (Some(cid), false) = (server.repl.master, rest.is_empty()) {
                    server.feed_master_client(cid, rest);
                }
                return;
            }
            _ => return,
        }
    }
    debug_assert!(
        server
            .repl
            .handshake
            .as_ref()
            .is_none_or(|h| h.state() != HandshakeState::Done)
    );
}

/// One read of the link. `Err(None)`: nothing to read now. `Err(Some(why))`: the link is broken.
fn read_link(server: &mut Server, file: FileId, buf: &mut [u8]) -> Result<usize, Option<String>> {
    let Some(sock) = &server.repl.sock else {
        return Err(None);
    };
    let mut sock: &Socket = sock;
    match sock.read(buf) {
        Ok(0) => Err(Some("Connection closed by peer".into())),
        Ok(n) => {
            if n < buf.len() {
                server.el.clear_ready(file, Mask::READABLE);
            }
            server.stats.net_repl_input_bytes += n as u64;
            Ok(n)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            server.el.clear_ready(file, Mask::READABLE);
            Err(None)
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(None),
        Err(e) => Err(Some(strerror(&e))),
    }
}

/// The link is readable while the payload comes (readSyncBulkPayload).
pub(super) fn read_sync_bulk_payload(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    server.exec.clock_stale = true;
    if server.repl.sock_file != Some(file) {
        return;
    }
    let mut buf = [0; BULK_READ];
    // Of a payload with a size nothing beyond its end is read: that is the stream's.
    let limit = match server.repl.transfer.as_ref() {
        Some(Transfer {
            end: PayloadEnd::Size(size),
            read,
            ..
        }) => usize::try_from(size - read)
            .unwrap_or(BULK_READ)
            .clamp(1, BULK_READ),
        _ => BULK_READ,
    };
    match read_link(server, file, &mut buf[..limit]) {
        Ok(n) => payload_bytes(server, &buf[..n]),
        Err(None) => {}
        Err(Some(why)) => {
            let started = server
                .repl
                .transfer
                .as_ref()
                .is_some_and(|t| !matches!(t.end, PayloadEnd::Unknown));
            if started {
                let why = if why == "Connection closed by peer" {
                    "connection lost".into()
                } else {
                    why
                };
                server_log!(
                    Level::Warning,
                    "I/O error trying to sync with MASTER: {}",
                    why
                );
            } else {
                server_log!(
                    Level::Warning,
                    "I/O error reading bulk count from MASTER: {}",
                    why
                );
            }
            server.cancel_replication_handshake(true);
        }
    }
}

fn payload_bytes(server: &mut Server, bytes: &[u8]) {
    match server.take_payload(bytes) {
        Ok((n, true)) => server.finish_transfer(&bytes[n..]),
        Ok((_, false)) => {
            let empty = server
                .repl
                .transfer
                .as_ref()
                .is_some_and(|t| matches!(t.end, PayloadEnd::Size(0)));
            if empty {
                server.finish_transfer(&[]);
            }
        }
        Err(()) => {
            server.cancel_replication_handshake(true);
        }
    }
}
