//! The state of replication (the repl_* fields of redisServer). The code is in `replication/`, which draws the states.
//!
//! Invariants: `master_host` is some exactly while this server is configured as a replica, and `link` is none exactly while it is
//! not; a link that is connected and a `cached_master` are never both there; `log` is the one store of the stream, for the backlog and for every replica's output.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;

use crate::ae::{ClientData, FileId, FileProc, Mask};
use crate::base::resolve::{Lookup, Resolver};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::master_link::{Inquiry, MasterLink};
use crate::wire::rdb::FrameCheck;
use crate::wire::replication::backlog::{ReaderId, ReplicationLog};
use crate::wire::replication::backoff::{Floor, Pacing};
use crate::wire::replication::capabilities::SnapshotId;
use crate::wire::replication::diagnose::Problem;
use crate::wire::replication::lag::LagIndex;
use crate::wire::replication::replid::ReplId;
use crate::wire::replication::ring::RingWatch;
use crate::wire::replication::upstream::MasterAbove;

/// What is kept of a master whose link broke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedMaster {
    pub replid: ReplId,
    /// The offset up to which its stream was applied.
    pub reploff: i64,
    /// The database that its stream had selected.
    pub db: usize,
}

/// The beginning of a payload whose transfer was interrupted. The master may go on with it as long as it has the file.
pub(crate) struct PartialPayload {
    pub file: File,
    pub path: PathBuf,
    /// The snapshot's name; bytes of the whole, and of what is there.
    pub snapshot: SnapshotId,
    pub size: u64,
    pub read: u64,
    /// What is known of the file so far.
    pub frame: FrameCheck,
}

/// How far FAILOVER is; `replication::failover` draws it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum FailoverState {
    #[default]
    None,
    /// Until a replica has all that was written.
    WaitForSync,
    /// Until the target has taken over; this server is its replica already.
    InProgress,
}

impl FailoverState {
    /// As INFO shows it (getFailoverStateString).
    pub(crate) fn name(self) -> &'static str {
        match self {
            FailoverState::None => "no-failover",
            FailoverState::WaitForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        }
    }
}

/// An attempt to hand the master's role over.
#[derive(Default)]
pub(crate) struct Failover {
    pub state: FailoverState,
    /// Unix ms at which it stops waiting for a replica; 0: never.
    pub end: i64,
    /// Then it does so without having waited long enough.
    pub force: bool,
    pub target: Option<(String, u16)>,
}
/// A diskless transfer under way, on the master's side. See `replication/rdb_pipe.rs`.
pub(crate) struct RdbPipe {
    /// The end that is read, and its event.
    pub read: File,
    pub file: FileId,
    /// The child lives until this is closed; none: all has been read.
    pub exit: Option<File>,
    /// Those who take part.
    pub replicas: Vec<ClientId>,
    /// The last chunk: its bytes are the first `len`.
    pub buf: Vec<u8>,
    pub len: usize,
}

/// Limits how many bytes a second pass, all transfers together. What is not used up is lost after a tenth of a second, so
/// that there are no bursts.
#[derive(Default, Debug)]
pub(crate) struct Rate {
    tokens: u64,
    at_ms: u64,
}

impl Rate {
    /// How many bytes may pass now; `rate` is in bytes per second, 0: no limit. `now_ms` is of a clock that never goes back.
    pub(crate) fn allowance(&mut self, rate: u64, now_ms: u64) -> usize {
        if rate == 0 {
            return usize::MAX;
        }
        let elapsed = now_ms.saturating_sub(self.at_ms).min(100);
        let more = u128::from(rate) * u128::from(elapsed) / 1000;
        if more > 0 {
            let most = (rate / 10).max(1);
            self.tokens = self
                .tokens
                .saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
                .min(most);
            self.at_ms = now_ms;
        }
        usize::try_from(self.tokens).unwrap_or(usize::MAX)
    }

    /// So many bytes have passed.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }
}

/// Why a replica gets a full sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SyncReason {
    /// It has nothing yet.
    FirstSync,
    /// It asked with SYNC.
    NoPsync,
    ReplidUnknown,
    /// It has gone on, beyond our promotion, with the history that we had before.
    BeyondSecondId,
    BacklogTooShort,
    /// It has more than we: we have been restarted with older data.
    OffsetAhead,
    /// Its link was closed because its output passed client-output-buffer-limit.
    OutputBufferLimit,
    /// Its link was closed because it was silent for repl-timeout.
    Timeout,
    /// Its last full sync lost the link.
    SyncInterrupted,
    /// The snapshot for its last full sync could not be made.
    SnapshotFailed,
    /// It took the whole of its last full sync, and left without acknowledging it.
    Unacknowledged,
}

impl SyncReason {
    /// All, in the order of INFO.
    pub(crate) const ALL: [SyncReason; 11] = [
        SyncReason::FirstSync,
        SyncReason::NoPsync,
        SyncReason::ReplidUnknown,
        SyncReason::BeyondSecondId,
        SyncReason::BacklogTooShort,
        SyncReason::OffsetAhead,
        SyncReason::OutputBufferLimit,
        SyncReason::Timeout,
        SyncReason::SyncInterrupted,
        SyncReason::SnapshotFailed,
        SyncReason::Unacknowledged,
    ];

    /// The name in INFO and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SyncReason::FirstSync => "first_sync",
            SyncReason::NoPsync => "no_psync",
            SyncReason::ReplidUnknown => "replid_unknown",
            SyncReason::BeyondSecondId => "beyond_second_id",
            SyncReason::BacklogTooShort => "backlog_too_short",
            SyncReason::OffsetAhead => "offset_ahead",
            SyncReason::OutputBufferLimit => "output_buffer_limit",
            SyncReason::Timeout => "timeout",
            SyncReason::SyncInterrupted => "sync_interrupted",
            SyncReason::SnapshotFailed => "snapshot_failed",
            SyncReason::Unacknowledged => "unacknowledged",
        }
    }
}

/// What is remembered of a replica that is gone.
struct LostReplica {
    name: String,
    /// Why its link ended, until it comes back.
    why: Option<SyncReason>,
    /// Full syncs in a row that it ended without acknowledging one, and when it may have the next.
    unacknowledged: u32,
    pace: Pacing,
}

/// Why links to replicas ended, by replica, until they come back; and who comes back again and again without ever having
/// acknowledged what it got. Bounded: the one that was gone first is forgotten.
#[derive(Default)]
pub(crate) struct LostReplicas(VecDeque<LostReplica>);

impl LostReplicas {
    const MOST: usize = 64;

    fn find(&mut self, name: &str) -> Option<&mut LostReplica> {
        self.0.iter_mut().find(|l| l.name == name)
    }

    /// The link to this replica has ended.
    pub(crate) fn remember(&mut self, name: String, why: SyncReason) {
        let mut lost = match self.0.iter().position(|l| l.name == name) {
            Some(i) => self.0.remove(i),
            None if self.0.len() >= Self::MOST => {
                self.0.pop_front();
                None
            }
            None => None,
        }
        .unwrap_or(LostReplica {
            name,
            why: None,
            unacknowledged: 0,
            pace: Pacing::default(),
        });
        lost.why = Some(why);
        self.0.push_back(lost);
    }

    /// The replica is back.
    pub(crate) fn take(&mut self, name: &str) -> Option<SyncReason> {
        let i = self.0.iter().position(|l| l.name == name)?;
        let why = self.0[i].why.take();
        if self.0[i].unacknowledged == 0 {
            self.0.remove(i);
        }
        why
    }

    /// A replica that is remembered ended a full sync without acknowledging it. From the second one in a row on its next one
    /// is put off. Returns how many in a row it were, and by how many milliseconds the next is put off. `now` and `most` are
    /// in milliseconds, see [`Pacing::failed`].
    pub(crate) fn ended_unacknowledged(
        &mut self,
        name: &str,
        now: u64,
        most: u64,
        random: u64,
    ) -> (u32, u64) {
        let Some(lost) = self.find(name) else {
            return (0, 0);
        };
        lost.unacknowledged = lost.unacknowledged.saturating_add(1);
        let wait = match lost.unacknowledged {
            1 => 0,
            _ => lost.pace.failed(now, most, random),
        };
        (lost.unacknowledged, wait)
    }

    /// How many full syncs in a row it ended without acknowledging one, and milliseconds until it may have the next.
    pub(crate) fn unacknowledged(&self, name: &str, now: u64) -> (u32, u64) {
        let lost = self.0.iter().find(|l| l.name == name);
        lost.map_or((0, 0), |l| (l.unacknowledged, l.pace.wait(now)))
    }

    /// It has acknowledged a full sync.
    pub(crate) fn acknowledged(&mut self, name: &str) {
        self.0.retain(|l| l.name != name);
    }
}

/// The snapshot of the last full sync over disk: a replica that lost the link may have the rest of it.
pub(crate) struct KeptSnapshot {
    pub id: SnapshotId,
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// Its history, and the offset at which it was taken.
    pub replid: ReplId,
    pub offset: i64,
    /// Keeps the stream from the snapshot on, while somebody may come back.
    pub reader: Option<ReaderId>,
    /// Unix seconds until when it is kept without being sent.
    pub until: i64,
}

/// A handler that rests: where it is to be put back.
pub(crate) type PausedIo = (FileId, Mask, FileProc<Server>, ClientData);

/// A master whose full sync was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub replid: ReplId,
    pub offset: i64,
    /// Unix seconds of the last log line about it.
    pub logged: i64,
}

/// Our attempts at a link to the master. See `replication/guard.rs`.
#[derive(Default)]
pub(crate) struct LinkAttempts {
    pub pace: Pacing,
    /// What is wrong with the link, and the cure: of the last attempt, or of the link that is up.
    pub problem: Option<Problem>,
    /// The master's name, while it is being looked up: then there is an attempt, though the link has no socket yet.
    pub lookup: Option<Lookup>,
    /// What this attempt has found.
    pub found: Option<Problem>,
    /// The text that the log has told last, until a link has lasted.
    pub told: Option<String>,
    /// What the master said to REPLCONF, if it refuses that.
    pub refused: Option<String>,
    /// When the link was last up, milliseconds on the loop's clock.
    pub up_at: u64,
    /// It was up since REPLICAOF, or the start.
    pub was_up: bool,
    /// In this attempt the master has said that it will be there in a while, or has begun to send a snapshot.
    pub promising: bool,
    /// Attempts in a row that ended with what was `told`, or with nothing to tell.
    pub alike: u32,
}

/// The masters further up. See `replication/upstream.rs`.
#[derive(Default)]
pub(crate) struct Upstream {
    /// Nearest first, without our own master; empty: it has told of none.
    pub masters: Vec<MasterAbove>,
    /// When that was told, milliseconds on the loop's clock.
    pub told_ms: u64,
    /// When it was last asked for beside the link, on the same clock.
    pub asked_ms: u64,
    pub inquiry: Option<Inquiry>,
}

/// Everything replication keeps.
pub(crate) struct Repl {
    // As master -------------------------------------------------------------------------------------------------------
    /// Our replication id, and the one we had as a replica before a promotion, valid up to `second_replid_offset`.
    pub replid: ReplId,
    pub replid2: ReplId,
    pub second_replid_offset: i64,
    /// The stream: offsets, backlog, replicas' output.
    pub log: ReplicationLog,
    /// The database that the stream has selected; none: the next command sends SELECT.
    pub slave_seldb: Option<usize>,
    /// Unix seconds since when there are no replicas.
    pub no_slaves_since: i64,
    pub good_slaves_count: i32,
    /// Clients in WAIT and WAITAOF.
    pub waiting_acks: Vec<ClientId>,
    pub failover: Failover,
    /// A REPLCONF GETACK is to be sent before the next sleep.
    pub get_ack_from_slaves: bool,
    /// Where a command is put into wire form before it joins the stream.
    pub feed_buf: Vec<u8>,
    /// The RDB file on the disk is there only because a replica needed it.
    pub rdb_generated_by_replication: bool,
    /// The diskless transfer under way.
    pub rdb_pipe: Option<RdbPipe>,
    /// Full syncs by reason ([`SyncReason::ALL`]), and those that went on where they had been interrupted.
    pub full_syncs: [u64; SyncReason::ALL.len()],
    pub resumed_syncs: u64,
    pub lost: LostReplicas,
    /// How soon another snapshot may be made for replicas, whoever asks for it.
    pub snapshots: Floor,
    pub lag: LagIndex,
    pub kept_snapshot: Option<KeptSnapshot>,
    /// Replicas that slow the writers down (repl-overflow-policy backpressure).
    pub backpressure: Vec<ClientId>,
    /// What repl-full-sync-rate leaves, and the transfers that wait for more of it.
    pub sync_rate: Rate,
    pub paused_io: Vec<PausedIo>,
    /// Unix seconds of the last line end sent to a master while loading.
    pub newline_sent: i64,
    /// Unix ms of the last log line about a write of the master's that the disk did not take.
    pub disk_error_logged_ms: i64,
    /// Calls of the replication cron: once a second.
    pub cron_loops: u64,
    /// Clients that are blocked (INFO blocked_clients), postponed ones included.
    pub blocked_clients: usize,

    // As replica ------------------------------------------------------------------------------------------------------
    pub master_host: Option<String>,
    pub master_port: u16,
    pub link: MasterLink,
    pub partial_payload: Option<PartialPayload>,
    /// The file of a payload that is being loaded.
    pub loading_payload: Option<PathBuf>,
    /// The user has asked for this master's data by a REPLICAOF that no sync has followed yet.
    pub full_sync_consent: bool,
    pub refusal: Option<Refusal>,
    pub refused_syncs: u64,
    pub attempts: LinkAttempts,
    pub resolver: Resolver,
    /// What is heard of those behind this server, and the loop that it may be part of; time is in `cron_loops`.
    pub ring: RingWatch,
    /// The master reads who is behind us.
    pub master_hears_behind: bool,
    /// What the master has told of the masters above it, and a question about them that is under way.
    pub upstream: Upstream,
    /// The master asks how far we are; and it was told of bytes that were not on the disk yet.
    pub ack_asked: bool,
    pub ack_when_synced: bool,
    /// What was known of the master when the link broke: enough to ask for a partial resync.
    pub cached_master: Option<CachedMaster>,
    /// Unix seconds; 0: never was up.
    pub down_since: i64,
    /// When we last heard of the master whose link broke last (unix s); 0: of none.
    pub master_heard_s: i64,
}

impl Repl {
    pub(crate) fn new(run_id: &ReplId, replid: ReplId, backlog_size: u64, now: i64) -> Repl {
        Repl {
            replid,
            replid2: [b'0'; 40],
            second_replid_offset: -1,
            log: ReplicationLog::new(backlog_size),
            slave_seldb: None,
            no_slaves_since: now,
            good_slaves_count: 0,
            waiting_acks: Vec::new(),
            failover: Failover::default(),
            get_ack_from_slaves: false,
            feed_buf: Vec::new(),
            rdb_generated_by_replication: false,
            rdb_pipe: None,
            full_syncs: [0; SyncReason::ALL.len()],
            resumed_syncs: 0,
            lost: LostReplicas::default(),
            snapshots: Floor::default(),
            lag: LagIndex::default(),
            kept_snapshot: None,
            backpressure: Vec::new(),
            sync_rate: Rate::default(),
            paused_io: Vec::new(),
            newline_sent: 0,
            disk_error_logged_ms: 0,
            cron_loops: 0,
            blocked_clients: 0,
            master_host: None,
            master_port: 6379,
            link: MasterLink::None,
            partial_payload: None,
            loading_payload: None,
            full_sync_consent: false,
            refusal: None,
            refused_syncs: 0,
            attempts: LinkAttempts::default(),
            resolver: Resolver::default(),
            ring: RingWatch::new(run_id),
            master_hears_behind: false,
            upstream: Upstream::default(),
            ack_asked: false,
            ack_when_synced: false,
            cached_master: None,
            down_since: 0,
            master_heard_s: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_over_time_and_without_bursts() {
        let mut r = Rate::default();
        assert_eq!(r.allowance(0, 5), usize::MAX);
        let (rate, mut sent) = (1_000_000u64, 0u64);
        for ms in 0..10_000u64 {
            let n = r.allowance(rate, 1_000_000 + ms).min(3_000);
            r.take(n);
            sent += n as u64;
        }
        assert!((9_900_000..=10_200_000).contains(&sent), "{sent}");
        // A pause earns a tenth of a second at the most.
        assert_eq!(r.allowance(rate, 9_000_000), 100_000);
    }

    #[test]
    fn who_never_acknowledges_is_put_off_and_forgotten_last() {
        let mut lost = LostReplicas::default();
        let gone = |lost: &mut LostReplicas, name: &str, now| {
            lost.remember(name.into(), SyncReason::SyncInterrupted);
            lost.ended_unacknowledged(name, now, 60_000, 0)
        };
        // Of nobody that is not remembered.
        assert_eq!(lost.ended_unacknowledged("a", 0, 60_000, 0), (0, 0));
        assert_eq!(gone(&mut lost, "a", 0), (1, 0));
        assert_eq!(lost.take("a"), Some(SyncReason::SyncInterrupted));
        assert_eq!(lost.unacknowledged("a", 0), (1, 0));
        assert_eq!(gone(&mut lost, "a", 10), (2, 1000));
        assert_eq!(lost.unacknowledged("a", 510), (2, 500));
        assert_eq!(lost.take("a"), Some(SyncReason::SyncInterrupted));
        assert_eq!(lost.take("a"), None);
        assert_eq!(gone(&mut lost, "a", 1010), (3, 2000));
        // Others are told apart from it, and are as many as there may be.
        for i in 0..LostReplicas::MOST - 1 {
            assert_eq!(gone(&mut lost, &i.to_string(), 2000), (1, 0));
        }
        assert_eq!(lost.unacknowledged("a", 3010), (3, 0));
        assert_eq!(gone(&mut lost, "a", 3010), (4, 4000));
        lost.remember("one more".into(), SyncReason::Timeout);
        assert_eq!(lost.0.len(), LostReplicas::MOST);
        assert_eq!(lost.unacknowledged("0", 2000), (0, 0));
        assert_eq!(lost.unacknowledged("a", 3010).0, 4);
        lost.acknowledged("a");
        assert_eq!(lost.unacknowledged("a", 3010), (0, 0));
        assert_eq!(gone(&mut lost, "a", 3010), (1, 0));
        // Whose link ended for another reason is forgotten when it is back.
        assert_eq!(lost.take("one more"), Some(SyncReason::Timeout));
        assert_eq!(lost.0.len(), LostReplicas::MOST - 1);
    }
}
