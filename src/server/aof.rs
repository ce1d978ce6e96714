//! The append-only file as the running server has it: the buffer that commands are added to, and where its files stand
//! (feedAppendOnlyFile of aof.c and the aof_* fields of the server). The files themselves are the business of `persist/`.
//!
//! Invariant: `buf` holds what has been propagated and is not written; it is written before any reply to a client is, so
//! an acknowledged write has at least reached the kernel.

use std::fs::File;

use crate::base::bio::Bio;
use crate::server::Server;
use crate::server::execution::args::Args;
use crate::server::persist::ChildKind;
use crate::wire::aof::{AofManifest, ReplicationMark, timestamp_annotation};
use crate::wire::resp;

/// Whether there is an append-only file (AOF_OFF ..).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum AofState {
    #[default]
    Off,
    On,
    /// It was switched on, and its first base is being made.
    WaitRewrite,
}

/// See INFO persistence.
#[derive(Default)]
pub(crate) struct Aof {
    pub state: AofState,
    pub buf: Vec<u8>,
    /// So many bytes of it are written already; 0 but while what has waited for a sync is being written.
    pub written_front: usize,
    /// The increment that is written to.
    pub file: Option<File>,
    /// What the manifest in place says, unless it is `dirty`.
    pub manifest: AofManifest,
    /// The manifest in place may not last: its folder could not be synced. Until it is, nothing is removed, and nothing counts
    /// as on the disk.
    pub folder_unsynced: bool,
    /// Unix seconds of the last try to sync it, and of the last log line about that.
    pub folder_sync_try: i64,
    pub folder_sync_error_log: i64,
    /// The database that the file has selected; none: the next command says which.
    pub selected_db: Option<usize>,
    /// The last annotation about the replication stream in the increment (aof-replication-state).
    pub annotated: Option<ReplicationMark>,
    /// Where the files that were loaded stand in the stream, if they say so exactly.
    pub loaded_mark: Option<ReplicationMark>,
    /// Bytes of all parts, and of the base when it was made.
    pub current_size: u64,
    pub rewrite_base_size: u64,
    /// Bytes of the increment that is written to, and how many of them are synced or being synced.
    pub last_incr_size: u64,
    pub last_incr_fsync_offset: u64,
    /// Unix seconds.
    pub last_fsync: i64,
    /// Unix seconds since when a write waits for a slow sync; 0: none does.
    pub flush_postponed_start: i64,
    /// The last write failed with this error number.
    pub last_write_errno: Option<i32>,
    pub last_write_error_log: i64,
    /// Writes that did not wait for a sync any longer.
    pub delayed_fsync: u64,
    pub rewrite_scheduled: bool,
    /// Seconds that the last rewrite took; unix seconds since when one runs.
    pub rewrite_time_last: Option<i64>,
    pub rewrite_time_start: Option<i64>,
    pub last_rewrite_failed: bool,
    pub rewrites: u64,
    pub consecutive_failures: u64,
    /// After repeated failures: the delay in force, and the unix second of the next try; 0: none.
    pub next_delay_minutes: i64,
    pub next_rewrite_time: i64,
    pub last_cow_size: u64,
    /// Unix seconds of the last annotation.
    pub cur_timestamp: i64,
    /// DEBUG AOF-FLUSH-SLEEP, microseconds.
    pub flush_sleep_us: u64,
    pub bio: Bio,
    /// The replication offset up to which everything is on the disk; -1: there is no append-only file.
    pub fsynced_reploff: i64,
}

impl Aof {
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.state == AofState::Off
    }

    /// Bytes of the buffer that are not written yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.buf.len().saturating_sub(self.written_front)
    }

    /// What is buffered is wanted no more.
    pub(crate) fn drop_buffer(&mut self) {
        self.buf = Vec::new();
        self.written_front = 0;
    }

    /// Another increment is written to from now on; it has `len` bytes, and those are on the disk.
    pub(crate) fn begin_incr(&mut self, file: File, len: u64) {
        self.file = Some(file);
        self.annotated = None;
        self.last_incr_size = len;
        self.last_incr_fsync_offset = len;
    }

    /// A write or a sync has failed: the error number. No write is accepted until it is mended.
    pub(crate) fn write_error(&self) -> Option<i32> {
        if self.is_off() {
            return None;
        }
        self.last_write_errno.or_else(|| self.bio.error())
    }
}

impl Server {
    /// Takes note of what has been synced since the last call; true: the offset has moved. While a first base is made, or the
    /// manifest may not last, nothing more counts as on the disk.
    pub(crate) fn refresh_fsynced_reploff(&mut self) -> bool {
        let aof = &mut self.aof;
        if aof.state != AofState::On || aof.fsynced_reploff == -1 || aof.folder_unsynced {
            return false;
        }
        let before = std::mem::replace(&mut aof.fsynced_reploff, aof.bio.mark());
        before != aof.fsynced_reploff
    }

    /// Adds a command to the buffer (feedAppendOnlyFile); `db` is none for one that touches no keys.
    pub(crate) fn feed_append_only_file(&mut self, db: Option<usize>, args: &Args) {
        let aof = &mut self.aof;
        // While the first base is made there is nothing to add to, but for what comes after the child's snapshot.
        let rewriting = self
            .persist
            .child
            .as_ref()
            .is_some_and(|c| c.kind == ChildKind::Aof);
        if self.config.aof_timestamp_enabled && aof.cur_timestamp < self.clock.unix_s {
            aof.cur_timestamp = self.clock.unix_s;
            timestamp_annotation(&mut aof.buf, aof.cur_timestamp);
        }
        if aof.state != AofState::On && !rewriting {
            aof.written_front = 0;
            return aof.buf.clear();
        }
        if let Some(db) = db
            && aof.selected_db != Some(db)
        {
            let mut n = itoa::Buffer::new();
            let words: [&[u8]; 2] = [b"SELECT", n.format(db).as_bytes()];
            resp::push_command(&mut aof.buf, words.into_iter());
            aof.selected_db = Some(db);
        }
        match args.raw() {
            Some(raw) => aof.buf.extend_from_slice(raw),
            None => resp::push_command(&mut aof.buf, args.iter()),
        }
    }
}
