//! What a client has besides when it is a replica of ours, or the link to our master. The code is in `replication/`.

use std::fs::File;

use bitflags::bitflags;

use crate::server::clients::spill::Spill;
use crate::server::repl::SyncReason;
use crate::wire::replication::backlog::ReaderId;
use crate::wire::replication::capabilities::{RDB_VERSION_UNTOLD, ResumeRequest, SnapshotId};
use crate::wire::replication::replid::ReplId;

/// A replica as its master sees it (SLAVE_STATE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReplState {
    None,
    /// Needs a new RDB file (SLAVE_STATE_WAIT_BGSAVE_START).
    WaitBgsaveStart,
    /// Waits for the RDB file that is being written.
    WaitBgsaveEnd,
    SendBulk,
    Online,
    /// Has got the RDB it asked for, and nothing follows (SLAVE_STATE_RDB_TRANSMITTED).
    RdbTransmitted,
}

impl ReplState {
    /// As INFO shows it (replstateToString).
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReplState::WaitBgsaveStart | ReplState::WaitBgsaveEnd => "wait_bgsave",
            ReplState::SendBulk | ReplState::RdbTransmitted => "send_bulk",
            ReplState::Online => "online",
            ReplState::None => "",
        }
    }
}

impl ReplState {
    /// As the diagram in `replication` draws it.
    pub(crate) fn drawn_name(self) -> &'static str {
        match self {
            ReplState::None => "None",
            ReplState::WaitBgsaveStart => "WaitBgsaveStart",
            ReplState::WaitBgsaveEnd => "WaitBgsaveEnd",
            ReplState::SendBulk => "SendBulk",
            ReplState::Online => "Online",
            ReplState::RdbTransmitted => "RdbTransmitted",
        }
    }
}

bitflags! {
    /// What a replica can do (SLAVE_CAPA_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct SlaveCapa: u32 {
        /// It finds the end of a snapshot of unknown length.
        const EOF = 1 << 0;
        /// It takes a new name for its master's history.
        const PSYNC2 = 1 << 1;
    }

    /// What a replica asks for (SLAVE_REQ_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct SlaveReq: u32 {
        const RDB_EXCLUDE_DATA = 1 << 0;
        const RDB_EXCLUDE_FUNCTIONS = 1 << 1;
    }
}

/// The replication side of a client that is a replica of ours, or about to become one.
pub(crate) struct Replica {
    pub state: ReplState,
    /// Where in the replication log it reads.
    pub reader: Option<ReaderId>,
    /// The RDB file that is being sent, the next offset in it, its size, and the header line before it.
    pub db_file: Option<File>,
    pub db_off: u64,
    pub db_size: u64,
    pub preamble: Vec<u8>,
    /// Diskless: of the chunk under way something has still to come; unix seconds of the last write that was short, 0 when
    /// none is; and the file with what it did not take of the snapshot.
    pub rdb_pipe_late: bool,
    pub repl_last_partial_write: i64,
    pub rdb_spill: Option<Spill>,
    /// Part of the stream that it has to get before what its reader has: it was moved out of memory.
    pub log_spill: Option<Spill>,
    /// It has not had the whole stream since its full sync began.
    pub in_full_sync: bool,
    /// Why it got its last full sync, and why its link is being closed.
    pub sync_reason: Option<SyncReason>,
    pub lost_for: Option<SyncReason>,
    /// It has not acknowledged anything since its full sync began; and its side has closed the link.
    pub unacknowledged: bool,
    pub hung_up: bool,
    /// When its full sync may make a snapshot of its own: milliseconds on the loop's clock.
    pub snapshot_not_before: u64,
    /// It can go on with a snapshot that was interrupted, and what it has of one.
    pub can_resume: bool,
    pub resume: Option<ResumeRequest>,
    /// The name of the snapshot that is being sent, if it may go on with it after an interruption.
    pub snapshot: Option<SnapshotId>,
    /// The newest RDB version that it reads, as far as it has told.
    pub rdb_version: u16,
    /// Acknowledged offset, and when (unix seconds); while the file is sent, when the socket last took some of it.
    pub ack_off: i64,
    pub ack_time: i64,
    pub aof_off: i64,
    /// The offset a full resync was promised to start at.
    pub psync_initial_offset: i64,
    /// Goes online when its first ACK arrives (diskless), not when the file is sent.
    pub start_cmd_stream_on_ack: bool,
    /// It synced with SYNC: it sends no ACKs and does not want +FULLRESYNC (CLIENT_PRE_PSYNC).
    pub pre_psync: bool,
    /// It wants the snapshot and nothing after it (CLIENT_REPL_RDBONLY).
    pub rdb_only: bool,
    pub listening_port: u16,
    pub announced_ip: Vec<u8>,
    pub capa: SlaveCapa,
    pub req: SlaveReq,
}

impl Replica {
    /// Bytes for it that wait in files (repl-overflow-policy spill).
    pub(crate) fn spilled_bytes(&self) -> u64 {
        let files = [&self.rdb_spill, &self.log_spill];
        files.into_iter().flatten().map(Spill::pending).sum()
    }

    /// Online, and given the stream: after a diskless sync that begins with its first ACK.
    #[inline]
    pub(crate) fn streams(&self) -> bool {
        self.state == ReplState::Online && !self.start_cmd_stream_on_ack
    }
}

impl Default for Replica {
    fn default() -> Replica {
        Replica {
            state: ReplState::None,
            reader: None,
            db_file: None,
            db_off: 0,
            db_size: 0,
            preamble: Vec::new(),
            rdb_pipe_late: false,
            repl_last_partial_write: 0,
            rdb_spill: None,
            log_spill: None,
            in_full_sync: false,
            sync_reason: None,
            lost_for: None,
            unacknowledged: false,
            hung_up: false,
            snapshot_not_before: 0,
            can_resume: false,
            resume: None,
            snapshot: None,
            rdb_version: RDB_VERSION_UNTOLD,
            ack_off: 0,
            ack_time: 0,
            aof_off: 0,
            psync_initial_offset: 0,
            start_cmd_stream_on_ack: false,
            pre_psync: false,
            rdb_only: false,
            listening_port: 0,
            announced_ip: Vec::new(),
            capa: SlaveCapa::empty(),
            req: SlaveReq::empty(),
        }
    }
}

/// The replication side of the client that is the link to our master.
#[derive(Default)]
pub(crate) struct MasterStream {
    /// Bytes of a transaction that has begun; they are applied, and passed on, as a whole.
    pub transaction: Vec<u8>,
    /// Offset applied and offset read.
    pub reploff: i64,
    pub read_reploff: i64,
    /// The master's history; none: it counts nothing, and its stream cannot be asked for again (CLIENT_PRE_PSYNC).
    pub replid: Option<ReplId>,
}
