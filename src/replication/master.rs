//! The master's side: who may sync and how, the shared snapshot, the stream.

use std::io::Write;

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::persist::{ChildKind, RdbTarget};
use crate::server::repl::{FailoverState, SyncReason};
use crate::server::replica::{ReplState, Replica, SlaveCapa};
use crate::server_log;
use crate::wire::replication::psync::{History, Refusal};
use crate::wire::resp;

use super::id_text;

impl Server {
    /// `ip:port` of a replica, by what it announced or where it connects from (replicationGetSlaveName).
    pub(crate) fn replication_get_slave_name(&self, cid: ClientId) -> String {
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
    pub(crate) fn replica_ip(&self, cid: ClientId) -> Option<String> {
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
    pub(crate) fn change_replication_id(&mut self) {
        self.repl.replid = self.random.run_id();
    }

    /// Forgets the second id (clearReplicationId2).
    pub(crate) fn clear_replication_id2(&mut self) {
        self.repl.replid2 = [b'0'; 40];
        self.repl.second_replid_offset = -1;
    }

    /// A promotion: our history up to here stays known under the second id, so that siblings can continue
    /// (shiftReplicationId).
    pub(crate) fn shift_replication_id(&mut self) {
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
    pub(crate) fn create_replication_backlog(&mut self) {
        self.repl.log.activate_backlog();
    }

    /// Somebody needs the stream: it is kept from now on, if it is not yet.
    pub(crate) fn begin_to_keep_stream(&mut self) {
        if self.repl.log.backlog_active() {
            return;
        }
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

    /// The stream is kept no more; replicas still get what they have not read.
    pub(crate) fn free_replication_backlog(&mut self) {
        drop(self.repl.log.deactivate_backlog());
    }

    /// repl-backlog-size has changed (resizeReplicationBacklog).
    pub(crate) fn resize_replication_backlog(&mut self) {
        let min = crate::wire::replication::backlog::REPL_BACKLOG_MIN_SIZE;
        self.config.repl_backlog_size = self.config.repl_backlog_size.max(min);
        self.repl.log.resize_backlog(self.config.repl_backlog_size);
    }

    // The stream ------------------------------------------------------------------------------------------------------

    /// Writes a command into the stream (replicationFeedSlaves); `db` is none for one that touches no keys. Only a server
    /// without a master does: a replica passes its master's bytes on.
    #[inline]
    pub(crate) fn replication_feed_slaves(&mut self, db: Option<usize>, args: &Args) {
        if self.repl.master_host.is_some() {
            return;
        }
        if !self.repl.log.backlog_active() {
            // Only the append-only file takes it, and its syncs are told by the offset (WAITAOF).
            if self.clients.slaves.is_empty() {
                self.repl.log.bump_offset();
                return;
            }
        }
        if !self.slot_migrations.exports.is_empty() {
            self.feed_slot_exports(args);
        }
        self.prepare_replicas_to_write();
        self.repl.lag.count_write();
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
    pub(crate) fn replication_feed_stream_from_master_stream(&mut self, bytes: &[u8]) {
        if !self.repl.log.backlog_active() {
            return;
        }
        self.feed_replication_backlog(bytes);
    }

    /// Adds bytes to the stream as they are, for the backlog and for every replica.
    fn feed_replication_backlog(&mut self, bytes: &[u8]) {
        self.prepare_replicas_to_write();
        self.repl.lag.count_write();
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
        self.kept_snapshot_limit();
        for i in 0..self.clients.slaves.len() {
            let cid = self.clients.slaves[i];
            self.replica_output_limit(cid);
        }
    }

    /// Shows a command to the clients in MONITOR (replicationFeedMonitors).
    pub(crate) fn replication_feed_monitors(&mut self, cid: ClientId, args: &Args) {
        if self.clients.monitors.is_empty() || self.loading.is_some() {
            return;
        }
        let us = self.clock.unix_us;
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let mut line = format!("+{}.{:06} ", us / 1_000_000, us % 1_000_000);
        let db = c.db;
        if c.has(ClientFlags::SCRIPT) {
            line.push_str(&format!("[{db} lua] "));
        } else if c.has(ClientFlags::UNIX_SOCKET) {
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
            if self.exec.call.is_redacted(i) {
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
            if self.config.maxmemory_clients != 0 {
                self.update_client_mem_usage_and_bucket(m);
            }
        }
    }

    // SYNC and PSYNC --------------------------------------------------------------------------------------------------

    /// SYNC (syncCommand): the whole data set, and the stream behind it.
    pub(crate) fn sync(&mut self, cid: ClientId) {
        if self.clients[cid].has(ClientFlags::SLAVE) || self.name_if_it_may_sync(cid).is_none() {
            return;
        }
        self.clients[cid].repl_mut().pre_psync = true;
        self.full_resync(cid, SyncReason::NoPsync);
    }

    /// PSYNC (syncCommand): the stream from an offset of a history on, or the whole data set where that cannot be.
    pub(crate) fn psync(&mut self, cid: ClientId, args: &Args) {
        if self.clients[cid].has(ClientFlags::SLAVE) {
            return;
        }
        if args.len() > 3 && args.is(3, "failover") && !self.accept_failover(cid, args) {
            return;
        }
        let Some(name) = self.name_if_it_may_sync(cid) else {
            return;
        };
        let Some(offset) = self.get_long_long_or_reply(cid, args, 2) else {
            server_log!(
                Level::Warning,
                "Replica {} asks for synchronization but with a wrong offset",
                name
            );
            return;
        };
        let lost = self.repl.lost.take(&name);
        let Err(why) = self.master_try_partial_resynchronization(cid, &args[1], offset) else {
            self.stats.sync_partial_ok += 1;
            return;
        };
        if args[1].first() != Some(&b'?') {
            self.stats.sync_partial_err += 1;
        }
        if self.try_resume_full_sync(cid) {
            return;
        }
        // What ended its last link is the cause, where the backlog only shows the effect.
        let reason = match why {
            SyncReason::FirstSync | SyncReason::BacklogTooShort | SyncReason::ReplidUnknown => {
                lost.unwrap_or(why)
            }
            _ => why,
        };
        self.full_resync(cid, reason);
    }

    /// The name of a client that asks for the stream; none, and an error to it, if it cannot have it.
    fn name_if_it_may_sync(&mut self, cid: ClientId) -> Option<String> {
        let refusal = if self.repl.failover.state != FailoverState::None {
            "-NOMASTERLINK Can't SYNC while failing over"
        } else if self.repl.master_host.is_some() && !self.repl.link.is_connected() {
            "-NOMASTERLINK Can't SYNC while not connected with my master"
        } else if self.client_has_pending_replies(cid) {
            // The preamble goes straight to the socket: nothing may wait before it.
            "SYNC and PSYNC are invalid with pending output"
        } else if self.clients[cid]
            .repl()
            .is_some_and(|r| !r.req.is_empty() && !r.capa.contains(SlaveCapa::EOF))
        {
            "Filtered replica requires EOF capability"
        } else {
            let name = self.replication_get_slave_name(cid);
            server_log!(Level::Notice, "Replica {} asks for synchronization", name);
            return Some(name);
        };
        self.add_reply_error(cid, refusal);
        None
    }

    /// Tries to go on where the replica's history ends (masterTryPartialResynchronization).
    fn master_try_partial_resynchronization(
        &mut self,
        cid: ClientId,
        asked: &[u8],
        offset: i64,
    ) -> Result<(), SyncReason> {
        let name = self.replication_get_slave_name(cid);
        let history = History {
            replid: &self.repl.replid,
            replid2: &self.repl.replid2,
            second_offset: self.repl.second_replid_offset,
        };
        let psync2 = self.clients[cid]
            .repl()
            .is_some_and(|r| r.capa.contains(SlaveCapa::PSYNC2));
        if let Err(why) = history.try_partial(&self.repl.log, asked, offset, psync2) {
            let line = history.log_refusal(why, &name, asked, offset);
            server_log!(Level::Notice, "{}", line);
            if why == Refusal::AheadOfMaster {
                server_log!(
                    Level::Warning,
                    "Warning: replica {} tried to PSYNC with an offset that is greater than the master replication offset.",
                    name
                );
            }
            return Err(match why {
                Refusal::FullResyncRequested => SyncReason::FirstSync,
                Refusal::UnknownId => SyncReason::ReplidUnknown,
                // One that cannot be told the new name has nothing that goes beyond the old one either.
                Refusal::BeyondSecondId | Refusal::CannotBeRenamed => SyncReason::BeyondSecondId,
                Refusal::LackOfBacklog => SyncReason::BacklogTooShort,
                Refusal::AheadOfMaster => SyncReason::OffsetAhead,
            });
        }
        let reply = if psync2 {
            format!("+CONTINUE {}\r\n", id_text(&self.repl.replid))
        } else {
            "+CONTINUE\r\n".into()
        };
        self.become_replica(cid, ReplState::Online);
        if !self.write_directly(cid, reply.as_bytes()) {
            self.free_client_async(cid);
            return Ok(());
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
        Ok(())
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
    pub(super) fn become_replica(&mut self, cid: ClientId, state: ReplState) {
        let now = self.clock.unix_s;
        let c = &mut self.clients[cid];
        c.flags |= ClientFlags::SLAVE;
        let r = c.repl_mut();
        r.state = state;
        r.ack_time = now;
        r.start_cmd_stream_on_ack = false;
        self.replication_script_cache_flush();
        self.clients.slaves.push(cid);
    }

    /// Bytes that must precede the stream, past all buffers. The socket's buffer is empty at these times, so a short write
    /// means that the link is gone.
    pub(super) fn write_directly(&mut self, cid: ClientId, bytes: &[u8]) -> bool {
        let Some(conn) = self.clients.get(cid).and_then(|c| c.conn.as_ref()) else {
            return false;
        };
        let mut conn: &Connection = conn;
        conn.write(bytes).is_ok_and(|n| n == bytes.len())
    }

    /// A replica has gone, or is sent away: it is no reader any more (the replica part of freeClient).
    pub(crate) fn free_replica(&mut self, cid: ClientId) {
        let name = self.replication_get_slave_name(cid);
        server_log!(Level::Notice, "Connection with replica {} lost.", name);
        self.repl.ring.gone(&name);
        self.clients.slaves.retain(|s| *s != cid);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags.remove(ClientFlags::SLAVE);
        let state = c.repl().map_or(ReplState::None, |r| r.state);
        self.rdb_pipe_replica_gone(cid);
        self.end_backpressure(cid);
        let Some(r) = self.clients.get_mut(cid).and_then(|c| c.replica.take()) else {
            return;
        };
        let in_sync = matches!(
            r.state,
            ReplState::WaitBgsaveStart | ReplState::WaitBgsaveEnd | ReplState::SendBulk
        );
        let left = r.unacknowledged && r.hung_up && r.state == ReplState::Online;
        let why = r
            .lost_for
            .or(in_sync.then_some(SyncReason::SyncInterrupted))
            .or(left.then_some(SyncReason::Unacknowledged));
        if let Some(why) = why {
            self.repl.lost.remember(name.clone(), why);
        }
        if never_acknowledges(&r) {
            self.put_off_full_sync(&name);
        }
        if let Some(reader) = r.reader
            && !self.keep_for_resume(&r, reader)
        {
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
        let to_disk = self
            .persist
            .child
            .as_ref()
            .is_some_and(|c| c.kind == ChildKind::Rdb && c.target == RdbTarget::Disk);
        if self.config.save.is_empty() && state == ReplState::WaitBgsaveEnd && to_disk && !others {
            self.kill_rdb_child();
        }
    }

    /// This replica has ended a full sync without acknowledging it. Once may be an accident; if it does so again and again,
    /// it probably cannot load what it gets, and asks for it for ever.
    fn put_off_full_sync(&mut self, name: &str) {
        let (now, random) = (self.el.now_ms(), self.random.next_u64());
        let most = self.sync_backoff_most();
        let (times, wait) = self.repl.lost.ended_unacknowledged(name, now, most, random);
        match times {
            0 | 1 => {}
            // The first time, and then for those who look closely.
            2 => server_log!(
                Level::Warning,
                "Replica {} has ended 2 full syncs in a row without acknowledging one: it probably cannot load what it gets (its \
                 own log says why: an RDB version that it does not know, fewer databases, no room on its disk). From now on its \
                 full syncs are put off, the longer the more of them it ends (repl-sync-backoff-max).",
                name
            ),
            _ => server_log!(
                Level::Verbose,
                "Replica {} has ended {} full syncs in a row without acknowledging one: the next is put off by {} milliseconds",
                name,
                times,
                wait
            ),
        }
    }

    /// Sends every replica away: they come back and find out about the new history (disconnectSlaves).
    pub(crate) fn disconnect_slaves(&mut self) {
        for cid in self.clients.slaves.clone() {
            self.free_replica(cid);
            self.free_client_async(cid);
        }
    }

    /// Writes what the replicas' sockets take, before the process ends (flushSlavesOutputBuffers).
    pub(crate) fn flush_slaves_output_buffers(&mut self) {
        for cid in self.clients.slaves.clone() {
            let online = self.clients.get(cid).is_some_and(|c| {
                !c.has(ClientFlags::CLOSE_ASAP) && c.repl().is_some_and(Replica::streams)
            });
            if online && self.client_has_pending_replies(cid) {
                self.write_to_client(cid);
            }
        }
    }

    // What replicas tell -----------------------------------------------------------------------------------------------

    /// REPLCONF ACK offset [FACK offset].
    pub(crate) fn replconf_ack(&mut self, cid: ClientId, offset: i64, aof_offset: Option<i64>) {
        let now = self.clock.unix_s;
        let r = self.clients[cid].repl_mut();
        r.ack_off = r.ack_off.max(offset);
        if let Some(a) = aof_offset {
            r.aof_off = r.aof_off.max(a);
        }
        r.ack_time = now;
        if std::mem::take(&mut r.unacknowledged) {
            let name = self.replication_get_slave_name(cid);
            self.repl.lost.acknowledged(&name);
        }
        let r = self.clients[cid].repl_mut();
        if r.start_cmd_stream_on_ack && r.state == ReplState::Online {
            r.start_cmd_stream_on_ack = false;
            self.clients.queue_write(cid);
        }
    }

    /// How many replicas are connected and not too far behind (refreshGoodSlavesCount).
    pub(crate) fn refresh_good_slaves_count(&mut self) {
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
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (ClientId, &Replica)> {
        self.clients.slaves.iter().filter_map(|s| {
            let c = self.clients.get(*s)?;
            (!c.has(ClientFlags::MONITOR)).then_some(())?;
            Some((*s, c.repl()?))
        })
    }
}

/// Whether a replica that is gone left its full sync of its own accord, though it is one that would have acknowledged it: it
/// knows PSYNC, has said where it listens, and wants more than the snapshot.
fn never_acknowledges(r: &Replica) -> bool {
    let acknowledges = !r.pre_psync && !r.rdb_only && r.listening_port != 0;
    r.unacknowledged && r.hung_up && r.state != ReplState::WaitBgsaveStart && acknowledges
}
