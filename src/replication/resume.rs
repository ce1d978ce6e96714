//! A full sync over disk that lost its link goes on where it stopped, between two Aediles: the master keeps the snapshot, and
//! the stream from it on, for a while; the replica says what it has of it with the capabilities (`ResumeRequest`).
//!
//! ```text
//!   replica                                       master
//!                                                 +FULLRESYNC <id> <offset>
//!                                                 $SNAPSHOT:<snapshot>:<size>
//!                                                 bytes 0..have; the link breaks
//!   REPLCONF capa resume:<snapshot>:<have>
//!   PSYNC ? -1                                    the same snapshot is there, and the stream from it on
//!                                                 +FULLRESYNC <id> <offset>
//!                                                 $RESUME:<snapshot>:<size>:<have>
//!                                                 bytes have..size, then the stream
//! ```
//!
//! Invariants: only the very same file goes on, and each file has a name of its own: an idle master may make several snapshots at
//! one offset and of one size. The checksum at its end covers the bytes of both links. A master that has it no more makes a
//! new full sync of it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::client::ClientType;
use crate::server::clients::flags::ClientId;
use crate::server::repl::{KeptSnapshot, SyncReason};
use crate::server::replica::{ReplState, Replica};
use crate::server_log;
use crate::wire::replication::backlog::ReaderId;
use crate::wire::replication::capabilities::SnapshotId;
use crate::wire::replication::payload::BulkHeader;

use super::id_text;

/// Seconds for which a snapshot is kept for a replica that lost the link.
const KEEP_SNAPSHOT: i64 = 60;

impl Server {
    /// A snapshot begins to be sent to a replica that may come back for the rest of it: the name under which it is kept. None:
    /// it is not.
    pub(super) fn keep_snapshot(
        &mut self,
        cid: ClientId,
        file: &File,
        size: u64,
    ) -> Option<SnapshotId> {
        let r = self.replica(cid)?;
        let offset = r.psync_initial_offset;
        if !r.can_resume || !self.config.repl_resume_full_sync {
            return None;
        }
        // While it is open nothing else gets its place on the disk.
        let place = |f: &File| f.metadata().ok().map(|m| (m.dev(), m.ino()));
        let this = place(file)?;
        if let Some(k) = &self.repl.kept_snapshot
            && place(&k.file) == Some(this)
        {
            return Some(k.id);
        }
        let file = file.try_clone().ok()?;
        self.drop_kept_snapshot();
        let id = self.random.run_id();
        self.repl.kept_snapshot = Some(KeptSnapshot {
            id,
            file,
            size,
            replid: self.repl.replid,
            offset,
            reader: None,
            until: 0,
        });
        Some(id)
    }

    /// A replica is gone. True: its reader stays, for it may come back for the rest of its snapshot.
    pub(super) fn keep_for_resume(&mut self, r: &Replica, reader: ReaderId) -> bool {
        let now = self.clock.unix_s;
        let Some(k) = self.repl.kept_snapshot.as_mut() else {
            return false;
        };
        if r.state != ReplState::SendBulk || r.log_spill.is_some() || r.snapshot != Some(k.id) {
            return false;
        }
        k.until = now + KEEP_SNAPSHOT;
        if k.reader.is_some() {
            return false;
        }
        k.reader = Some(reader);
        true
    }

    pub(super) fn drop_kept_snapshot(&mut self) {
        if let Some(reader) = self.repl.kept_snapshot.take().and_then(|k| k.reader) {
            self.repl.log.remove_reader(reader);
        }
    }

    /// The log has grown: what is kept for a replica that may come back is bounded as if it were there.
    #[inline]
    pub(super) fn kept_snapshot_limit(&mut self) {
        let kept = self.repl.kept_snapshot.as_ref();
        if let Some(reader) = kept.and_then(|k| k.reader) {
            let limit = self.config.client_output_buffer_limit[ClientType::Slave as usize]
                .hard_limit_bytes
                .max(self.config.repl_backlog_size);
            if self.repl.log.pending_memory(reader) as u64 > limit {
                self.drop_kept_snapshot();
            }
        }
    }

    /// Once a second: nobody has come back.
    pub(super) fn kept_snapshot_cron(&mut self) {
        self.kept_snapshot_limit();
        let Some(k) = &self.repl.kept_snapshot else {
            return;
        };
        let sent = self
            .replicas()
            .any(|(_, r)| r.state == ReplState::SendBulk && r.db_file.is_some());
        if k.replid != self.repl.replid
            || !sent && self.clock.unix_s > k.until
            || !self.config.repl_resume_full_sync
        {
            self.drop_kept_snapshot();
        }
    }

    /// Goes on with the snapshot of which the replica has the beginning. False: it cannot be done.
    pub(super) fn try_resume_full_sync(&mut self, cid: ClientId) -> bool {
        let r = self.clients[cid].repl_mut();
        let plain = r.req.is_empty() && !r.rdb_only && !r.pre_psync;
        let Some(want) = r.resume.take().filter(|_| plain) else {
            return false;
        };
        let Some(k) = &self.repl.kept_snapshot else {
            return false;
        };
        if k.id != want.snapshot
            || k.replid != self.repl.replid
            || want.have > k.size
            || !self.config.repl_resume_full_sync
        {
            return false;
        }
        let Ok(file) = k.file.try_clone() else {
            return false;
        };
        let (id, size, offset, kept_reader) = (k.id, k.size, k.offset, k.reader);
        let reader = match kept_reader {
            Some(reader) => self.repl.log.add_reader_like(reader),
            None => self.repl.log.add_reader_at(offset + 1).map(|(r, _)| r),
        };
        let Some(reader) = reader else {
            return false;
        };
        self.repl.resumed_syncs += 1;
        server_log!(
            Level::Notice,
            "Replica {} goes on with an interrupted full sync at byte {} of {}",
            self.replication_get_slave_name(cid),
            want.have,
            size
        );
        self.become_replica(cid, ReplState::SendBulk);
        let reply = format!("+FULLRESYNC {} {offset}\r\n", id_text(&self.repl.replid));
        let r = self.clients[cid].repl_mut();
        r.reader = Some(reader);
        r.psync_initial_offset = offset;
        r.in_full_sync = true;
        r.sync_reason = Some(SyncReason::SyncInterrupted);
        r.snapshot = Some(id);
        if !self.write_directly(cid, reply.as_bytes()) {
            self.free_client_async(cid);
            return true;
        }
        let header = BulkHeader::Resume {
            id,
            size,
            from: want.have,
        };
        self.send_snapshot(cid, file, header);
        true
    }
}
