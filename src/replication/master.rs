//! The master's side: who may sync and how, the shared snapshot, the stream.

use std::fs::File;
use std::io::{self, Write};

use socket2::Socket;

use crate::ae::{ClientData, FileId, Mask};
use crate::base::log::Level;
use crate::base::sys::{self, path_of, strerror};
use crate::server::Server;
use crate::server::client::{
    CLIENT_CLOSE_ASAP, CLIENT_MONITOR, CLIENT_SLAVE, CLIENT_UNIX_SOCKET, ClientId, ReplState,
    Replica, SLAVE_CAPA_EOF, SLAVE_CAPA_PSYNC2,
};
use crate::server::exec::Args;
use crate::server::repl::{FailoverState, ReplicaState};
use crate::server_log;
use crate::wire::psync::{History, Refusal};
use crate::wire::resp;

/// Bytes of the RDB file handed to the kernel in one callback: large enough to be cheap, small enough that other clients
/// get their turn.
const BULK_CHUNK: usize = 256 * 1024;

impl Server {
    /// `ip:port` of a replica, by what it announced or where it connects from (replicationGetSlaveName).
    pub fn replication_get_slave_name(&self, cid: ClientId) -> String {
        let Some(c) = self.clients.get(cid) else {
            return String::new();
        };
        let ip = self.replica_ip(cid);
        let port = c.repl().map_or(0, |r| r.listening_port);
        match ip {
            Some(ip) if port != 0 && ip.contains(':') => format!("[{ip}]:{port}"),
            Some(ip) if port != 0 => format!("{ip}:{port}"),
            Some(ip) => format!("{ip}:<unknown-replica-port>"),
            None => format!("client id #{}", c.id),
        }
    }

    /// The address that a replica announced, or that its connection comes from.
    pub fn replica_ip(&self, cid: ClientId) -> Option<String> {
        let c = self.clients.get(cid)?;
        if let Some(r) = c.repl()
            && !r.announced_ip.is_empty()
        {
            return Some(String::from_utf8_lossy(&r.announced_ip).into_owned());
        }
        let addr = c.conn.as_ref()?.peer_addr().ok()?.as_socket()?;
        Some(addr.ip().to_canonical().to_string())
    }

    // Ids and backlog -------------------------------------------------------------------------------------------------

    /// A new history begins (changeReplicationId).
    pub fn change_replication_id(&mut self) {
        self.repl.replid = self.random.run_id();
    }

    /// Forgets the second id (clearReplicationId2).
    pub fn clear_replication_id2(&mut self) {
        self.repl.replid2 = [b'0'; 40];
        self.repl.second_replid_offset = -1;
    }

    /// A promotion: our history up to here stays known under the second id, so that siblings can continue
    /// (shiftReplicationId).
    pub fn shift_replication_id(&mut self) {
        self.repl.replid2 = self.repl.replid;
        // A sibling asks for the first byte it has not got: one behind the last we share.
        self.repl.second_replid_offset = self.repl.log.master_repl_offset() + 1;
        self.change_replication_id();
        server_log!(
            Level::Notice,
            "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
            id_text(&self.repl.replid2),
            self.repl.second_replid_offset,
            id_text(&self.repl.replid)
        );
    }

    /// From now on the stream is kept, up to repl-backlog-size bytes.
    pub fn create_replication_backlog(&mut self) {
        self.repl.log.activate_backlog();
    }

    /// The stream is kept no more; replicas still get what they have not read.
    pub fn free_replication_backlog(&mut self) {
        drop(self.repl.log.deactivate_backlog());
    }

    /// repl-backlog-size has changed (resizeReplicationBacklog).
    pub fn resize_replication_backlog(&mut self) {
        let min = crate::wire::backlog::REPL_BACKLOG_MIN_SIZE;
        self.config.repl_backlog_size = self.config.repl_backlog_size.max(min);
        self.repl.log.resize_backlog(self.config.repl_backlog_size);
    }

    // The stream ------------------------------------------------------------------------------------------------------

    /// Writes a command into the stream (replicationFeedSlaves); `db` is none for one that touches no keys. Only a server
    /// without a master does: a replica passes its master's bytes on.
    #[inline]
    pub fn replication_feed_slaves(&mut self, db: Option<usize>, args: &Args) {
        if self.repl.master_host.is_some() {
            return;
        }
        if !self.repl.log.backlog_active() {
            // Others take the offset for a clock of writes (WAIT).
            if self.clients.slaves.is_empty() {
                self.repl.log.bump_offset();
                return;
            }
        }
        self.prepare_replicas_to_write();
        let mut added = false;
        if let Some(db) = db
            && self.repl.slave_seldb != Some(db)
        {
            let mut select = Vec::with_capacity(32);
            let mut n = itoa::Buffer::new();
            let words: [&[u8]; 2] = [b"SELECT", n.format(db).as_bytes()];
            resp::push_command(&mut select, words.into_iter());
            added |= self.repl.log.append(&select);
            self.repl.slave_seldb = Some(db);
        }
        added |= match args.raw() {
            Some(raw) => self.repl.log.append(raw),
            None => {
                let mut wire = std::mem::take(&mut self.repl.feed_buf);
                wire.clear();
                resp::push_command(&mut wire, args.iter());
                let added = self.repl.log.append(&wire);
                if wire.capacity() <= 64 * 1024 {
                    self.repl.feed_buf = wire;
                }
                added
            }
        };
        if added {
            self.check_replicas_output_limits();
        }
    }

    /// Passes our master's bytes on (replicationFeedStreamFromMasterStream).
    pub fn replication_feed_stream_from_master_stream(&mut self, bytes: &[u8]) {
        if !self.repl.log.backlog_active() {
            return;
        }
        self.feed_replication_backlog(bytes);
    }

    /// Adds bytes to the stream as they are, for the backlog and for every replica.
    fn feed_replication_backlog(&mut self, bytes: &[u8]) {
        self.prepare_replicas_to_write();
        if self.repl.log.append(bytes) {
            self.check_replicas_output_limits();
        }
    }

    /// Every replica that is online is written to before the next sleep (prepareReplicasToWrite).
    #[inline]
    fn prepare_replicas_to_write(&mut self) {
        for i in 0..self.clients.slaves.len() {
            let cid = self.clients.slaves[i];
            self.clients.queue_write(cid);
        }
    }

    fn check_replicas_output_limits(&mut self) {
        for i in 0..self.clients.slaves.len() {
            let cid = self.clients.slaves[i];
            self.close_client_on_output_buffer_limit_reached(cid);
        }
    }

    /// Shows a command to the clients in MONITOR (replicationFeedMonitors).
    pub fn replication_feed_monitors(&mut self, cid: ClientId, args: &Args) {
        if self.clients.monitors.is_empty() || self.loading.is_some() {
            return;
        }
        let us = self.clock.unix_us;
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let mut line = format!("+{}.{:06} ", us / 1_000_000, us % 1_000_000);
        let db = c.db;
        if c.has(CLIENT_UNIX_SOCKET) {
            let path = self.config.unixsocket.as_deref().unwrap_or_default();
            line.push_str(&format!("[{db} unix:{}] ", String::from_utf8_lossy(path)));
        } else {
            line.push_str(&format!("[{db} {}] ", self.client_peer(cid)));
        }
        let mut line = line.into_bytes();
        for (i, a) in args.iter().enumerate() {
            if i > 0 {
                line.push(b' ');
            }
            if self.exec.redacted.contains(&i) {
                line.extend_from_slice(b"\"(redacted)\"");
            } else {
                crate::base::split_args::sdscatrepr(&mut line, a);
            }
        }
        line.extend_from_slice(b"\r\n");
        for i in 0..self.clients.monitors.len() {
            let m = self.clients.monitors[i];
            self.clients.add_reply_proto(m, &line);
            self.close_client_on_output_buffer_limit_reached(m);
        }
    }

    // SYNC and PSYNC --------------------------------------------------------------------------------------------------

    /// SYNC and PSYNC (syncCommand); `psync` is the id and the offset asked for.
    pub fn sync(&mut self, cid: ClientId, args: &Args) {
        if self.clients[cid].has(CLIENT_SLAVE) {
            return;
        }
        let psync = args.is(0, "psync");
        if psync && args.len() > 3 && args.is(3, "failover") && !self.accept_failover(cid, args) {
            return;
        }
        if self.repl.failover.state != FailoverState::None {
            return self.add_reply_error(cid, "-NOMASTERLINK Can't SYNC while failing over");
        }
        if self.repl.master_host.is_some() && self.repl.state != ReplicaState::Connected {
            return self.add_reply_error(
                cid,
                "-NOMASTERLINK Can't SYNC while not connected with my master",
            );
        }
        // The preamble goes straight to the socket: nothing may wait before it.
        if self.client_has_pending_replies(cid) {
            return self.add_reply_error(cid, "SYNC and PSYNC are invalid with pending output");
        }
        let name = self.replication_get_slave_name(cid);
        let capa = self.clients[cid].repl().map_or(0, |r| r.capa);
        let req = self.clients[cid].repl().map_or(0, |r| r.req);
        if req != 0 && capa & SLAVE_CAPA_EOF == 0 {
            return self.add_reply_error(cid, "Filtered replica requires EOF capability");
        }
        server_log!(Level::Notice, "Replica {} asks for synchronization", name);
        if psync {
            let Some(offset) = self.get_long_long_or_reply(cid, args, 2) else {
                server_log!(
                    Level::Warning,
                    "Replica {} asks for synchronization but with a wrong offset",
                    name
                );
                return;
            };
            if self.master_try_partial_resynchronization(cid, &args[1], offset) {
                self.stats.sync_partial_ok += 1;
                return;
            }
            if args[1].first() != Some(&b'?') {
                self.stats.sync_partial_err += 1;
            }
        } else {
            self.clients[cid].repl_mut().pre_psync = true;
        }
        self.full_resync(cid);
    }

    /// Tries to go on where the replica's history ends (masterTryPartialResynchronization).
    fn master_try_partial_resynchronization(
        &mut self,
        cid: ClientId,
        asked: &[u8],
        offset: i64,
    ) -> bool {
        let name = self.replication_get_slave_name(cid);
        let history = History {
            replid: &self.repl.replid,
            replid2: &self.repl.replid2,
            second_offset: self.repl.second_replid_offset,
        };
        if let Err(why) = history.try_partial(&self.repl.log, asked, offset) {
            let line = history.log_refusal(why, &name, asked, offset);
            server_log!(Level::Notice, "{}", line);
            if why == Refusal::AheadOfMaster {
                server_log!(
                    Level::Warning,
                    "Warning: replica {} tried to PSYNC with an offset that is greater than the master replication offset.",
                    name
                );
            }
            return false;
        }
        let psync2 = self.clients[cid]
            .repl()
            .is_some_and(|r| r.capa & SLAVE_CAPA_PSYNC2 != 0);
        let reply = if psync2 {
            format!("+CONTINUE {}\r\n", id_text(&self.repl.replid))
        } else {
            "+CONTINUE\r\n".into()
        };
        self.become_replica(cid, ReplState::Online);
        if !self.write_directly(cid, reply.as_bytes()) {
            self.free_client_async(cid);
            return true;
        }
        let sent = self.add_reply_replication_backlog(cid, offset);
        server_log!(
            Level::Notice,
            "Partial resynchronization request from {} accepted. Sending {} bytes of backlog starting from offset {}.",
            name,
            sent,
            offset
        );
        self.refresh_good_slaves_count();
        true
    }

    /// Lets a replica read the stream from `offset` on; returns how many bytes of the backlog wait for it.
    fn add_reply_replication_backlog(&mut self, cid: ClientId, offset: i64) -> u64 {
        let Some((reader, pending)) = self.repl.log.add_reader_at(offset) else {
            return 0;
        };
        self.clients[cid].repl_mut().reader = Some(reader);
        self.clients.queue_write(cid);
        pending
    }

    /// The client is a replica from now on.
    fn become_replica(&mut self, cid: ClientId, state: ReplState) {
        let now = self.clock.unix_s;
        let c = &mut self.clients[cid];
        c.flags |= CLIENT_SLAVE;
        let r = c.repl_mut();
        r.state = state;
        r.ack_time = now;
        r.start_cmd_stream_on_ack = false;
        self.clients.slaves.push(cid);
    }

    /// Bytes that must precede the stream, past all buffers. The socket's buffer is empty at these times, so a short write
    /// means that the link is gone.
    fn write_directly(&mut self, cid: ClientId, bytes: &[u8]) -> bool {
        let Some(conn) = self.clients.get(cid).and_then(|c| c.conn.as_ref()) else {
            return false;
        };
        let mut conn: &Socket = conn;
        conn.write(bytes).is_ok_and(|n| n == bytes.len())
    }

    fn full_resync(&mut self, cid: ClientId) {
        self.stats.sync_full += 1;
        if self.config.repl_disable_tcp_nodelay
            && let Some(conn) = &self.clients[cid].conn
        {
            let _ = conn.set_tcp_nodelay(false);
        }
        self.become_replica(cid, ReplState::WaitBgsaveStart);
        if self.clients.slaves.len() == 1 && !self.repl.log.backlog_active() {
            // What was written while there was no backlog is nowhere: no old id may lead here.
            self.change_replication_id();
            self.clear_replication_id2();
            self.create_replication_backlog();
            server_log!(
                Level::Notice,
                "Replication backlog created, my new replication IDs are '{}' and '{}'",
                id_text(&self.repl.replid),
                id_text(&self.repl.replid2)
            );
        }
        if self.persist.child.is_some() {
            // A snapshot that another replica waits for serves this one too, from the same offset on.
            let (capa, rdb_only) = self.clients[cid]
                .repl()
                .map_or((0, false), |r| (r.capa, r.rdb_only));
            let other = self.clients.slaves.iter().copied().find(|s| {
                self.clients
                    .get(*s)
                    .and_then(|c| c.repl())
                    .is_some_and(|r| {
                        // One that only wants the snapshot has no place in the stream to be shared.
                        r.state == ReplState::WaitBgsaveEnd
                            && capa & r.capa == r.capa
                            && (rdb_only || !r.rdb_only)
                    })
            });
            match other {
                Some(other) => {
                    let (reader, offset) = match self.clients[other].repl() {
                        Some(r) => (r.reader, r.psync_initial_offset),
                        None => (None, 0),
                    };
                    let reader = reader
                        .filter(|_| !rdb_only)
                        .and_then(|r| self.repl.log.add_reader_like(r));
                    self.clients[cid].repl_mut().reader = reader;
                    self.replication_setup_slave_for_full_resync(cid, offset);
                    server_log!(Level::Notice, "Waiting for end of BGSAVE for SYNC");
                }
                None => server_log!(
                    Level::Notice,
                    "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
                ),
            }
        } else {
            self.start_bgsave_for_replication();
        }
    }

    /// Announces the full resync and makes the replica a reader of the stream from this very offset on
    /// (replicationSetupSlaveForFullResync).
    fn replication_setup_slave_for_full_resync(&mut self, cid: ClientId, offset: i64) {
        let reply = format!("+FULLRESYNC {} {offset}\r\n", id_text(&self.repl.replid));
        let wants_stream = |r: &Replica| r.reader.is_none() && !r.rdb_only;
        if self.clients[cid].repl().is_some_and(wants_stream) {
            let reader = self.repl.log.add_reader();
            self.clients[cid].repl_mut().reader = Some(reader);
        }
        let r = self.clients[cid].repl_mut();
        r.psync_initial_offset = offset;
        r.state = ReplState::WaitBgsaveEnd;
        let pre_psync = r.pre_psync;
        // A snapshot starts in database 0: the stream has to say which one it means.
        self.repl.slave_seldb = None;
        if !pre_psync && !self.write_directly(cid, reply.as_bytes()) {
            self.free_client_async(cid);
        }
    }

    /// Forks the child that writes the snapshot for all replicas that wait for one (startBgsaveForReplication).
    pub fn start_bgsave_for_replication(&mut self) {
        server_log!(Level::Notice, "Starting BGSAVE for SYNC with target: disk");
        let info = self.rdb_populate_save_info();
        let started = match info {
            Some(info) => {
                let path = path_of(&self.config.dbfilename);
                self.rdb_save_background(&path, Some(info))
            }
            None => {
                server_log!(
                    Level::Warning,
                    "BGSAVE for replication: replication information not available, can't generate the RDB file right now. \
                     Try later."
                );
                false
            }
        };
        let waiting: Vec<ClientId> = self
            .clients
            .slaves
            .iter()
            .copied()
            .filter(|s| {
                self.clients
                    .get(*s)
                    .and_then(|c| c.repl())
                    .is_some_and(|r| r.state == ReplState::WaitBgsaveStart)
            })
            .collect();
        if started {
            self.repl.rdb_generated_by_replication = self.config.rdb_del_sync_files;
            let offset = self.get_psync_initial_offset();
            for cid in waiting {
                self.replication_setup_slave_for_full_resync(cid, offset);
            }
            return;
        }
        server_log!(Level::Warning, "BGSAVE for replication failed");
        for cid in waiting {
            self.clients.slaves.retain(|s| *s != cid);
            let c = &mut self.clients[cid];
            c.flags &= !CLIENT_SLAVE;
            c.replica = None;
            self.add_reply_error(cid, "BGSAVE failed, replication can't continue");
            self.close_after_reply(cid);
        }
    }

    /// The offset that a snapshot forked now ends at (getPsyncInitialOffset).
    fn get_psync_initial_offset(&self) -> i64 {
        self.repl.log.master_repl_offset()
    }

    /// The child has ended: its file goes to those who wait for it, or they are closed (updateSlavesWaitingBgsave).
    pub fn update_slaves_waiting_bgsave(&mut self, ok: bool) {
        for cid in self.clients.slaves.clone() {
            let waits = self
                .clients
                .get(cid)
                .and_then(|c| c.repl())
                .is_some_and(|r| r.state == ReplState::WaitBgsaveEnd);
            if !waits {
                continue;
            }
            if !ok {
                self.free_client_async(cid);
                server_log!(
                    Level::Warning,
                    "SYNC failed. BGSAVE child returned an error"
                );
                continue;
            }
            let path = path_of(&self.config.dbfilename);
            let opened = File::open(path).and_then(|f| Ok((f.metadata()?.len(), f)));
            match opened {
                Ok((size, f)) => {
                    let r = self.clients[cid].repl_mut();
                    r.db_file = Some(f);
                    r.db_off = 0;
                    r.db_size = size;
                    r.state = ReplState::SendBulk;
                    r.preamble = format!("${size}\r\n").into_bytes();
                    if let Some(file) = self.clients[cid].file {
                        self.el.create_file_event(
                            file,
                            Mask::WRITABLE,
                            send_bulk_to_slave,
                            cid.to_data(),
                        );
                    }
                }
                Err(e) => {
                    self.free_client_async(cid);
                    server_log!(
                        Level::Warning,
                        "SYNC failed. Can't open/stat DB after BGSAVE: {}",
                        strerror(&e)
                    );
                }
            }
        }
        // Replicas that came too late for this snapshot need another one.
        self.replication_start_pending_fork();
    }

    /// Starts a snapshot if replicas wait for one and none is under way (replicationStartPendingFork).
    pub fn replication_start_pending_fork(&mut self) {
        let waiting = self.clients.slaves.iter().any(|s| {
            self.clients
                .get(*s)
                .and_then(|c| c.repl())
                .is_some_and(|r| r.state == ReplState::WaitBgsaveStart)
        });
        if waiting && self.persist.child.is_none() {
            self.start_bgsave_for_replication();
        }
    }

    /// The replica has its snapshot: the stream may flow (replicaPutOnline, replicaStartCommandStream).
    fn replica_put_online(&mut self, cid: ClientId) {
        let now = self.clock.unix_s;
        let name = self.replication_get_slave_name(cid);
        let rdb_only = self.clients[cid].repl().is_some_and(|r| r.rdb_only);
        let r = self.clients[cid].repl_mut();
        if rdb_only {
            r.state = ReplState::RdbTransmitted;
            server_log!(
                Level::Notice,
                "RDB transfer completed, rdb only replica ({}) should be disconnected asap",
                name
            );
            self.free_client_async(cid);
            return;
        }
        r.state = ReplState::Online;
        r.ack_time = now;
        self.refresh_good_slaves_count();
        server_log!(
            Level::Notice,
            "Synchronization with replica {} succeeded",
            name
        );
        self.clients.queue_write(cid);
    }

    /// A replica has gone, or is sent away: it is no reader any more (the replica part of freeClient).
    pub fn free_replica(&mut self, cid: ClientId) {
        let name = self.replication_get_slave_name(cid);
        server_log!(Level::Notice, "Connection with replica {} lost.", name);
        self.clients.slaves.retain(|s| *s != cid);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags &= !CLIENT_SLAVE;
        let Some(r) = c.replica.take() else {
            return;
        };
        if let Some(reader) = r.reader {
            self.repl.log.remove_reader(reader);
        }
        if self.clients.slaves.is_empty() {
            self.repl.no_slaves_since = self.clock.unix_s;
        }
        self.refresh_good_slaves_count();
        // A snapshot that nobody waits for, and that the user has not asked for, is work for nothing.
        let others = self.clients.slaves.iter().any(|s| {
            self.clients
                .get(*s)
                .and_then(|c| c.repl())
                .is_some_and(|r| r.state == ReplState::WaitBgsaveEnd)
        });
        if self.config.save.is_empty()
            && r.state == ReplState::WaitBgsaveEnd
            && self.persist.child.is_some()
            && !others
        {
            self.kill_rdb_child();
        }
    }

    /// Sends every replica away: they come back and find out about the new history (disconnectSlaves).
    pub fn disconnect_slaves(&mut self) {
        for cid in self.clients.slaves.clone() {
            self.free_replica(cid);
            self.free_client_async(cid);
        }
    }

    /// Writes what the replicas' sockets take, before the process ends (flushSlavesOutputBuffers).
    pub fn flush_slaves_output_buffers(&mut self) {
        for cid in self.clients.slaves.clone() {
            let online = self.clients.get(cid).is_some_and(|c| {
                !c.has(CLIENT_CLOSE_ASAP)
                    && c.repl()
                        .is_some_and(|r| r.state == ReplState::Online && !r.start_cmd_stream_on_ack)
            });
            if online && self.client_has_pending_replies(cid) {
                self.write_to_client(cid);
            }
        }
    }

    // What replicas tell -----------------------------------------------------------------------------------------------

    /// REPLCONF ACK offset [FACK offset].
    pub fn replconf_ack(&mut self, cid: ClientId, offset: i64, aof_offset: Option<i64>) {
        let now = self.clock.unix_s;
        let r = self.clients[cid].repl_mut();
        r.ack_off = r.ack_off.max(offset);
        if let Some(a) = aof_offset {
            r.aof_off = r.aof_off.max(a);
        }
        r.ack_time = now;
        if r.start_cmd_stream_on_ack && r.state == ReplState::Online {
            r.start_cmd_stream_on_ack = false;
            self.clients.queue_write(cid);
        }
    }

    /// How many replicas are connected and not too far behind (refreshGoodSlavesCount).
    pub fn refresh_good_slaves_count(&mut self) {
        let max_lag = i64::from(self.config.min_replicas_max_lag);
        if self.config.min_replicas_to_write == 0 || max_lag == 0 {
            return;
        }
        let now = self.clock.unix_s;
        let good = self
            .clients
            .slaves
            .iter()
            .filter_map(|s| self.clients.get(*s)?.repl())
            .filter(|r| r.state == ReplState::Online && now - r.ack_time <= max_lag)
            .count();
        self.repl.good_slaves_count = i32::try_from(good).unwrap_or(i32::MAX);
    }

    /// Replicas with their replication part, in the order in which they came.
    pub fn replicas(&self) -> impl Iterator<Item = (ClientId, &Replica)> {
        self.clients.slaves.iter().filter_map(|s| {
            let c = self.clients.get(*s)?;
            (!c.has(CLIENT_MONITOR)).then_some(())?;
            Some((*s, c.repl()?))
        })
    }
}

/// An id as text: it may be whatever forty bytes a master sent.
pub(super) fn id_text(id: &[u8; 40]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(id)
}

/// The socket of a replica that is being sent the RDB file is writable (sendBulkToSlave).
pub(super) fn send_bulk_to_slave(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    use std::os::fd::AsRawFd;
    let cid = ClientId::from_data(data);
    server.exec.clock_stale = true;
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    let (Some(conn), Some(r)) = (c.conn.as_ref(), c.replica.as_deref_mut()) else {
        return;
    };
    let mut conn: &Socket = conn;
    if !r.preamble.is_empty() {
        match conn.write(&r.preamble) {
            Ok(n) => {
                server.stats.net_repl_output_bytes += n as u64;
                r.preamble.drain(..n);
                if !r.preamble.is_empty() {
                    server.el.clear_ready(file, Mask::WRITABLE);
                    return;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                server.el.clear_ready(file, Mask::WRITABLE);
                return;
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Write error sending RDB preamble to replica: {}",
                    strerror(&e)
                );
                return server.free_client_async(cid);
            }
        }
    }
    let Some(db) = r.db_file.as_ref() else {
        return;
    };
    let left = r.db_size - r.db_off;
    let want = usize::try_from(left).unwrap_or(BULK_CHUNK).min(BULK_CHUNK);
    if want > 0 {
        match sys::sendfile(conn.as_raw_fd(), db, r.db_off, want) {
            Ok(0) => {
                server_log!(
                    Level::Warning,
                    "Read error sending DB to replica: premature EOF"
                );
                return server.free_client_async(cid);
            }
            Ok(n) => {
                r.db_off += n as u64;
                r.ack_time = server.clock.unix_s;
                server.stats.net_repl_output_bytes += n as u64;
                if n < want {
                    server.el.clear_ready(file, Mask::WRITABLE);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                server.el.clear_ready(file, Mask::WRITABLE);
                return;
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Write error sending DB to replica: {}",
                    strerror(&e)
                );
                return server.free_client_async(cid);
            }
        }
    }
    if r.db_off == r.db_size {
        r.db_file = None;
        server.el.delete_file_event(file, Mask::WRITABLE);
        server.replica_put_online(cid);
    }
}
