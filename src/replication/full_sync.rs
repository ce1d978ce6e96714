//! A full sync, the master's side: which snapshot serves which replica, on the disk or through a pipe, and sending it
//! (syncCommand's last part, startBgsaveForReplication, updateSlavesWaitingBgsave, sendBulkToSlave).
//!
//! Invariants: a replica becomes a reader of the stream in the call that promises it the snapshot's offset, so that nothing
//! written after the fork can be missed; at most `repl-max-full-syncs` replicas are beyond WaitBgsaveStart at a time.

use std::fs::File;
use std::io::{self, Write};

use crate::ae::{ClientData, FileId, Mask};
use crate::base::log::Level;
use crate::base::sys::{path_of, strerror};
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::persist::{ChildKind, RdbTarget, SnapshotForm};
use crate::server::repl::SyncReason;
use crate::server::replica::{ReplState, Replica, SlaveCapa, SlaveReq};
use crate::server_log;
use crate::wire::rdb::RDB_VERSION;
use crate::wire::replication::backlog::ReaderId;
use crate::wire::replication::payload::BulkHeader;

use super::id_text;

/// Bytes of the RDB file handed to the kernel in one callback: large enough to be cheap, small enough that other clients
/// get their turn.
const BULK_CHUNK: usize = 256 * 1024;

/// What the replicas of one snapshot have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct SnapshotFor {
    /// What every one of them can do.
    capa: SlaveCapa,
    /// What every one of them asks for.
    req: SlaveReq,
    /// The newest RDB version that every one of them reads.
    reads: u16,
}

impl SnapshotFor {
    /// What serves this one replica.
    fn one(r: &Replica) -> SnapshotFor {
        SnapshotFor {
            capa: r.capa,
            req: r.req,
            reads: r.rdb_version,
        }
    }

    /// What serves this one too.
    fn and(self, r: &Replica) -> SnapshotFor {
        SnapshotFor {
            capa: self.capa & r.capa,
            req: self.req,
            reads: self.reads.min(r.rdb_version),
        }
    }
}

impl Server {
    /// A replica that cannot continue gets everything (the last part of syncCommand).
    pub(super) fn full_resync(&mut self, cid: ClientId, why: SyncReason) {
        self.stats.sync_full += 1;
        self.repl.full_syncs[why as usize] += 1;
        let r = self.clients[cid].repl_mut();
        r.sync_reason = Some(why);
        r.in_full_sync = true;
        r.unacknowledged = true;
        let put_off = self.put_off_snapshot(cid);
        if self.config.repl_disable_tcp_nodelay
            && let Some(conn) = &self.clients[cid].conn
        {
            let _ = conn.socket().set_tcp_nodelay(false);
        }
        self.become_replica(cid, ReplState::WaitBgsaveStart);
        if self.clients.slaves.len() == 1 {
            self.begin_to_keep_stream();
        }
        let child = self.persist.child.as_ref().map(|c| (c.kind, c.target));
        match child {
            Some((ChildKind::Rdb, RdbTarget::Disk)) => self.attach_to_current_bgsave(cid),
            Some((ChildKind::Rdb, RdbTarget::Sockets)) => server_log!(
                Level::Notice,
                "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC"
            ),
            other => {
                let what = SnapshotFor::one(self.clients[cid].repl_mut());
                if put_off > 0 {
                    server_log!(
                        Level::Verbose,
                        "BGSAVE for replica {} is put off by {} milliseconds",
                        self.replication_get_slave_name(cid),
                        put_off
                    );
                } else if self.repl.snapshots.wait(self.el.now_ms()) > 0 {
                    server_log!(
                        Level::Verbose,
                        "BGSAVE for SYNC is put off: there were as many as may follow each other at once"
                    );
                } else if self.config.repl_diskless_sync
                    && what.capa.contains(SlaveCapa::EOF)
                    && self.config.repl_diskless_sync_delay > 0
                {
                    // The cron starts it, so that others may arrive and share it.
                    server_log!(Level::Notice, "Delay next BGSAVE for diskless SYNC");
                } else if other.is_some() {
                    server_log!(
                        Level::Notice,
                        "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed"
                    );
                } else if self.full_sync_slots() > 0 && self.repl.rdb_pipe.is_none() {
                    self.start_bgsave_for_replication(what);
                }
            }
        }
    }

    /// A replica that never acknowledges what it gets (`put_off_full_sync`) has to wait before another snapshot is made for it;
    /// it may join one that is made for others. Returns for how many milliseconds.
    fn put_off_snapshot(&mut self, cid: ClientId) -> u64 {
        let name = self.replication_get_slave_name(cid);
        let now = self.el.now_ms();
        let (_, wait) = self.repl.lost.unacknowledged(&name, now);
        self.clients[cid].repl_mut().snapshot_not_before = now.saturating_add(wait);
        wait
    }

    /// Whether a snapshot may be made for this one.
    fn is_snapshot_due(&self, cid: ClientId) -> bool {
        let now = self.el.now_ms();
        self.replica(cid)
            .is_some_and(|r| r.snapshot_not_before <= now)
    }

    /// A snapshot on its way to the disk that another replica waits for serves this one too, from the same offset on.
    fn attach_to_current_bgsave(&mut self, cid: ClientId) {
        let Some(r) = self.clients[cid].repl() else {
            return;
        };
        let (capa, req, rdb_only) = (r.capa, r.req, r.rdb_only);
        let written = self.persist.child.as_ref().map(|c| c.rdb_version);
        let readable = written.is_some_and(|v| v <= self.version_for(r.rdb_version));
        let room = self.full_sync_slots() > 0 && readable;
        let other = self.clients.slaves.iter().copied().find(|s| {
            self.replica(*s).is_some_and(|r| {
                // One that only wants the snapshot has no place in the stream to be shared.
                r.state == ReplState::WaitBgsaveEnd
                    && capa.contains(r.capa)
                    && req == r.req
                    && (rdb_only || !r.rdb_only)
            })
        });
        // All who wait for it have been promised the same offset.
        let offset = other
            .filter(|_| room)
            .and_then(|s| Some(self.replica(s)?.psync_initial_offset));
        let place = offset.and_then(|offset| match rdb_only {
            true => Some((None, offset)),
            false => Some((Some(self.reader_behind_snapshot(offset)?), offset)),
        });
        let Some((reader, offset)) = place else {
            server_log!(
                Level::Notice,
                "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
            );
            return;
        };
        self.clients[cid].repl_mut().reader = reader;
        self.replication_setup_slave_for_full_resync(cid, offset);
        server_log!(Level::Notice, "Waiting for end of BGSAVE for SYNC");
    }

    /// A reader of the stream from right behind a snapshot that was taken at `offset`. One that waits for it may stand there
    /// still; it does not when its output was moved into a file (`overflow`), for the file is its own.
    fn reader_behind_snapshot(&mut self, offset: i64) -> Option<ReaderId> {
        let first = offset.saturating_add(1);
        let there = self.replicas().find_map(|(_, r)| {
            let reader = r.reader.filter(|_| r.state == ReplState::WaitBgsaveEnd)?;
            (self.repl.log.reader_position(reader) == Some(first)).then_some(reader)
        });
        match there {
            Some(reader) => self.repl.log.add_reader_like(reader),
            None => self.repl.log.add_reader_at(first).map(|(reader, _)| reader),
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

    /// The RDB version of payloads in the stream: one that every replica reads.
    pub(crate) fn payload_version_of_stream(&self) -> u16 {
        let reads = self.replicas().map(|(_, r)| r.rdb_version).min();
        self.version_for(reads.unwrap_or(RDB_VERSION))
    }

    /// The RDB version of a full sync for a replica that reads versions up to this one.
    fn version_for(&self, reads: u16) -> u16 {
        self.config.rdb_save_version.of_full_sync(reads)
    }

    /// Forks the child that writes the snapshot for the replicas that wait for one like this (startBgsaveForReplication).
    fn start_bgsave_for_replication(&mut self, what: SnapshotFor) {
        let what = self.snapshot_for(what);
        self.repl.snapshots.pass(self.el.now_ms());
        // A filtered snapshot must not take the place of the file with everything.
        let target = if (self.config.repl_diskless_sync || !what.req.is_empty())
            && what.capa.contains(SlaveCapa::EOF)
        {
            RdbTarget::Sockets
        } else {
            RdbTarget::Disk
        };
        server_log!(
            Level::Notice,
            "Starting BGSAVE for SYNC with target: {}",
            match target {
                RdbTarget::Sockets => "replicas sockets",
                RdbTarget::Disk => "disk",
            }
        );
        let waiting = self.replicas_waiting_for(what.req);
        let version = self.version_for(what.reads);
        let named =
            version == self.config.rdb_save_version.of_files() && !self.file_is_worth_more();
        let started = match (self.rdb_populate_save_info(), target) {
            (Some(rsi), RdbTarget::Disk) if named => {
                let path = path_of(&self.config.dbfilename);
                self.rdb_save_background(&path, Some(rsi))
            }
            (Some(rsi), target) => {
                let form = SnapshotForm {
                    version,
                    req: what.req,
                    rsi: Some(rsi),
                    aof_base: false,
                };
                match target {
                    RdbTarget::Disk => self.rdb_save_background_nameless(form),
                    RdbTarget::Sockets => self.rdb_save_to_slaves_sockets(form, &waiting),
                }
            }
            (None, _) => {
                server_log!(
                    Level::Warning,
                    "BGSAVE for replication: replication information not available, can't generate the RDB file right now. \
                     Try later."
                );
                false
            }
        };
        if started {
            if target == RdbTarget::Disk && named {
                self.repl.rdb_generated_by_replication = self.config.rdb_del_sync_files;
            }
            let offset = self.get_psync_initial_offset();
            for cid in waiting {
                self.replication_setup_slave_for_full_resync(cid, offset);
            }
            return;
        }
        server_log!(Level::Warning, "BGSAVE for replication failed");
        self.repl.snapshots.use_up(self.el.now_ms());
        let failed: Vec<ClientId> = self.waiting_replicas().collect();
        for cid in failed {
            self.clients.slaves.retain(|s| *s != cid);
            let c = &mut self.clients[cid];
            c.flags.remove(ClientFlags::SLAVE);
            c.replica = None;
            self.add_reply_error(cid, "BGSAVE failed, replication can't continue");
            self.close_after_reply(cid);
        }
    }

    /// The offset that a snapshot forked now ends at (getPsyncInitialOffset).
    fn get_psync_initial_offset(&self) -> i64 {
        self.repl.log.master_repl_offset()
    }

    /// The replication side of a client in the list of replicas.
    pub(super) fn replica(&self, cid: ClientId) -> Option<&Replica> {
        self.clients.get(cid)?.repl()
    }

    /// Replicas that need a snapshot which nobody writes yet.
    fn waiting_replicas(&self) -> impl Iterator<Item = ClientId> {
        self.clients.slaves.iter().copied().filter(|s| {
            self.replica(*s)
                .is_some_and(|r| r.state == ReplState::WaitBgsaveStart)
        })
    }

    /// Those among them whom one snapshot with these requirements serves, as many as may sync at once: those for whom it is
    /// made come first.
    fn replicas_waiting_for(&self, req: SlaveReq) -> Vec<ClientId> {
        let (mut all, others): (Vec<_>, Vec<_>) = self
            .waiting_replicas()
            .filter(|s| self.replica(*s).is_some_and(|r| r.req == req))
            .partition(|s| self.is_snapshot_due(*s));
        all.extend(others);
        all.truncate(self.full_sync_slots());
        all
    }

    /// What a snapshot that is made for one of them has to be for all whom it serves.
    fn snapshot_for(&self, what: SnapshotFor) -> SnapshotFor {
        self.replicas_waiting_for(what.req)
            .into_iter()
            .filter_map(|s| self.replica(s))
            .fold(what, SnapshotFor::and)
    }

    /// How many more replicas may begin a full sync now (repl-max-full-syncs).
    fn full_sync_slots(&self) -> usize {
        let Ok(limit @ 1..) = usize::try_from(self.config.repl_max_full_syncs) else {
            return usize::MAX;
        };
        let busy = self
            .replicas()
            .filter(|(_, r)| matches!(r.state, ReplState::WaitBgsaveEnd | ReplState::SendBulk))
            .count();
        limit.saturating_sub(busy)
    }

    /// What the next snapshot has to be, when it is time for one (shouldStartChildReplication): a diskless one waits
    /// repl-diskless-sync-delay seconds for others to arrive.
    fn should_start_child_replication(&self) -> Option<SnapshotFor> {
        // The last transfer's pipe must be empty before another begins.
        if self.has_active_child_process()
            || self.repl.rdb_pipe.is_some()
            || self.repl.snapshots.wait(self.el.now_ms()) > 0
        {
            return None;
        }
        let first = self.waiting_replicas().find(|s| self.is_snapshot_due(*s))?;
        let what = SnapshotFor::one(self.replica(first)?);
        let (mut max_idle, mut n) = (0, 0);
        for cid in self.replicas_waiting_for(what.req) {
            let Some(c) = self.clients.get(cid).filter(|_| self.is_snapshot_due(cid)) else {
                continue;
            };
            max_idle = max_idle.max(self.clock.unix_s - c.last_interaction);
            n += 1;
        }
        let enough = usize::try_from(self.config.repl_diskless_sync_max_replicas)
            .is_ok_and(|most| most > 0 && n >= most);
        let due = !self.config.repl_diskless_sync
            || enough
            || max_idle >= i64::from(self.config.repl_diskless_sync_delay);
        (n > 0 && due).then_some(what)
    }

    /// Starts a snapshot if replicas wait for one and it is time (replicationStartPendingFork).
    pub(crate) fn replication_start_pending_fork(&mut self) {
        if let Some(what) = self.should_start_child_replication() {
            self.start_bgsave_for_replication(what);
        }
    }

    /// The child has ended: its file, which may have no name, goes to those who wait for it, those who have got it through the
    /// pipe are online; or they are closed (updateSlavesWaitingBgsave).
    pub(crate) fn update_slaves_waiting_bgsave(
        &mut self,
        ok: bool,
        target: RdbTarget,
        nameless: Option<File>,
    ) {
        for cid in self.clients.slaves.clone() {
            let waits = self
                .replica(cid)
                .is_some_and(|r| r.state == ReplState::WaitBgsaveEnd);
            if !waits {
                continue;
            }
            if !ok {
                // It will be back at once, whoever it is. A snapshot that was ended since nobody waited for it has not failed.
                self.repl.snapshots.use_up(self.el.now_ms());
                self.clients[cid].repl_mut().lost_for = Some(SyncReason::SnapshotFailed);
                self.free_client_async(cid);
                server_log!(
                    Level::Warning,
                    "SYNC failed. BGSAVE child returned an error"
                );
                continue;
            }
            match target {
                RdbTarget::Sockets => self.streamed_transfer_done(cid),
                RdbTarget::Disk => self.begin_send_bulk(cid, nameless.as_ref()),
            }
        }
        // Replicas that came too late for this snapshot need another one.
        self.replication_start_pending_fork();
    }

    /// The whole of a diskless transfer is in the replica's socket, or kept for it in a file.
    fn streamed_transfer_done(&mut self, cid: ClientId) {
        let left = self
            .replica(cid)
            .and_then(|r| r.rdb_spill.as_ref())
            .is_some_and(|s| s.pending() > 0);
        if left {
            self.clients[cid].repl_mut().state = ReplState::SendBulk;
            return;
        }
        self.streamed_replica_online(cid);
    }

    /// It goes on with the stream once it has said that it found the end mark: so it need not look for the mark in what
    /// follows.
    pub(super) fn streamed_replica_online(&mut self, cid: ClientId) {
        server_log!(
            Level::Notice,
            "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from replica to enable \
             streaming",
            self.replication_get_slave_name(cid)
        );
        let r = self.clients[cid].repl_mut();
        r.start_cmd_stream_on_ack = true;
        r.rdb_spill = None;
        self.replica_put_online(cid);
    }

    /// The file is there: it is sent from now on.
    fn begin_send_bulk(&mut self, cid: ClientId, nameless: Option<&File>) {
        let opened = match nameless {
            Some(f) => f.try_clone(),
            None => File::open(path_of(&self.config.dbfilename)),
        };
        let opened = opened.and_then(|f| Ok((f.metadata()?.len(), f)));
        let (size, f) = match opened {
            Ok(o) => o,
            Err(e) => {
                self.free_client_async(cid);
                server_log!(
                    Level::Warning,
                    "SYNC failed. Can't open/stat DB after BGSAVE: {}",
                    strerror(&e)
                );
                return;
            }
        };
        let kept = self.keep_snapshot(cid, &f, size);
        self.clients[cid].repl_mut().snapshot = kept;
        let header = match kept {
            Some(id) => BulkHeader::Snapshot { id, size },
            None => BulkHeader::Length(size),
        };
        self.send_snapshot(cid, f, header);
    }

    /// The bytes of a snapshot are sent from now on, those that the header announces, behind it.
    pub(super) fn send_snapshot(&mut self, cid: ClientId, snapshot: File, header: BulkHeader<'_>) {
        let (from, size) = header.range();
        let c = &mut self.clients[cid];
        let file = c.file;
        let r = c.repl_mut();
        r.db_file = Some(snapshot);
        r.db_off = from;
        r.db_size = size;
        r.state = ReplState::SendBulk;
        r.preamble = header.line().into_bytes();
        if let Some(file) = file {
            self.el
                .create_file_event(file, Mask::WRITABLE, send_bulk_to_slave, cid.to_data());
        }
    }

    /// Nothing of the snapshot (of `what`) was taken: the socket is full, or the link is gone.
    fn snapshot_not_sent(&mut self, cid: ClientId, file: FileId, what: &str, e: &io::Error) {
        match e.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => self.el.clear_ready(file, Mask::WRITABLE),
            _ => {
                server_log!(
                    Level::Warning,
                    "Write error sending {} to replica: {}",
                    what,
                    strerror(e)
                );
                self.hung_up(cid);
            }
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
            // Its end may still wait for the socket.
            self.close_after_reply(cid);
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
}

/// The socket of a replica that is being sent the RDB file is writable (sendBulkToSlave).
fn send_bulk_to_slave(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let cid = ClientId::from_data(data);
    server.exec.clock_stale = true;
    let allowed = server.full_sync_allowance(BULK_CHUNK);
    if allowed == 0 {
        return server.pause_full_sync_io(file, Mask::WRITABLE, send_bulk_to_slave, data);
    }
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    let (Some(conn), Some(r)) = (c.conn.as_ref(), c.replica.as_deref_mut()) else {
        return;
    };
    let mut conn: &Connection = conn;
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
            Err(e) => return server.snapshot_not_sent(cid, file, "RDB preamble", &e),
        }
    }
    let Some(db) = r.db_file.as_ref() else {
        return;
    };
    let left = r.db_size - r.db_off;
    let want = usize::try_from(left).unwrap_or(allowed).min(allowed);
    if want > 0 {
        match conn.send_file(db, r.db_off, want) {
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
                server.repl.sync_rate.take(n);
                if n < want {
                    server.el.clear_ready(file, Mask::WRITABLE);
                }
            }
            Err(e) => return server.snapshot_not_sent(cid, file, "DB", &e),
        }
    }
    if r.db_off == r.db_size {
        r.db_file = None;
        server.el.delete_file_event(file, Mask::WRITABLE);
        server.replica_put_online(cid);
    }
}
