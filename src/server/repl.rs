//! The state of replication (the repl_* fields of redisServer). The code is in `replication/`, which draws the states.
//!
//! Invariants: `master_host` is some exactly while this server is configured as a replica; `master` and `cached_master` are
//! never both there; `log` is the one store of the stream, for the backlog and for every replica's output.

use std::fs::File;
use std::path::PathBuf;

use socket2::Socket;

use crate::ae::{ClientData, FileId, FileProc, Mask};
use crate::server::Server;
use crate::server::client::ClientId;
use crate::wire::backlog::ReplicationLog;
use crate::wire::handshake::{EofMark, HANDSHAKE_LINE_SIZE, Handshake, LineReader};

/// A replication id: 40 hexadecimal characters.
pub type ReplId = [u8; 40];

/// Our side of the link to the master (REPL_STATE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplicaState {
    /// Not a replica.
    None,
    /// Must connect.
    Connect,
    Connecting,
    /// In the handshake; which step is the handshake's own business.
    Handshake,
    /// Receiving the RDB.
    Transfer,
    Connected,
}

/// What is kept of a master whose link broke.
#[derive(Clone, Copy, Debug)]
pub struct CachedMaster {
    pub replid: ReplId,
    /// The offset up to which its stream was applied.
    pub reploff: i64,
    /// The database that its stream had selected.
    pub db: usize,
}

/// How a payload's end is known.
pub enum PayloadEnd {
    /// The header line has not come yet.
    Unknown,
    /// After this many bytes.
    Size(u64),
    /// At these forty bytes.
    Mark(EofMark),
}

/// Where a payload goes.
pub enum PayloadTo {
    /// Into a temporary file.
    File { file: File, path: PathBuf },
    /// Into the data set, as it comes.
    Parser,
}

/// The beginning of a payload whose transfer was interrupted. The master may go on with it as long as it has the file.
pub struct PartialPayload {
    pub file: File,
    pub path: PathBuf,
    /// Bytes of the whole, and of what is there.
    pub size: u64,
    pub read: u64,
    /// The history that the snapshot is of, and the offset at which it was taken.
    pub replid: ReplId,
    pub offset: i64,
}

/// An RDB payload on its way from the master.
pub struct Transfer {
    pub to: PayloadTo,
    pub end: PayloadEnd,
    /// Bytes read, and bytes known to be on the disk.
    pub read: u64,
    pub synced: u64,
    pub header: LineReader,
}

/// A diskless transfer under way, on the master's side. See `replication/rdb_pipe.rs`.
pub struct RdbPipe {
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
    /// Replicas that have not taken all of it.
    pub writing: usize,
}

/// Limits how many bytes a second pass, all transfers together. What is not used up is lost after a tenth of a second, so
/// that there are no bursts.
#[derive(Default, Debug)]
pub struct Rate {
    tokens: u64,
    at_ms: u64,
}

impl Rate {
    /// How many bytes may pass now; `rate` is in bytes per second, 0: no limit. `now_ms` is of a clock that never goes back.
    pub fn allowance(&mut self, rate: u64, now_ms: u64) -> usize {
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
    pub fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }
}

/// A handler that rests: where it is to be put back.
pub type PausedIo = (FileId, Mask, FileProc<Server>, ClientData);

/// Everything replication keeps.
pub struct Repl {
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
    /// Clients in WAIT.
    pub waiting_acks: Vec<ClientId>,
    /// A REPLCONF GETACK is to be sent before the next sleep.
    pub get_ack_from_slaves: bool,
    /// Where a command is put into wire form before it joins the stream.
    pub feed_buf: Vec<u8>,
    /// The RDB file on the disk is there only because a replica needed it.
    pub rdb_generated_by_replication: bool,
    /// The diskless transfer under way.
    pub rdb_pipe: Option<RdbPipe>,
    /// What repl-full-sync-rate leaves, and the transfers that wait for more of it.
    pub sync_rate: Rate,
    pub paused_io: Vec<PausedIo>,
    /// Unix seconds of the last line end sent to a master while loading.
    pub newline_sent: i64,
    /// Calls of the replication cron: once a second.
    pub cron_loops: u64,
    /// Clients that are blocked (INFO blocked_clients), postponed ones included.
    pub blocked_clients: usize,

    // As replica ------------------------------------------------------------------------------------------------------
    pub master_host: Option<String>,
    pub master_port: u16,
    pub state: ReplicaState,
    /// The socket of a link that is not a client yet, its event, and the handshake's state.
    pub sock: Option<Socket>,
    pub sock_file: Option<FileId>,
    pub handshake: Option<Handshake>,
    pub handshake_line: LineReader,
    /// Bytes of the handshake that the socket has not taken yet.
    pub handshake_out: Vec<u8>,
    pub transfer: Option<Transfer>,
    pub partial_payload: Option<PartialPayload>,
    /// Unix seconds of the last input while there is no client yet.
    pub transfer_lastio: i64,
    pub master: Option<ClientId>,
    /// What was known of the master when the link broke: enough to ask for a partial resync.
    pub cached_master: Option<CachedMaster>,
    /// Unix seconds; 0: never was up.
    pub down_since: i64,
    pub master_initial_offset: i64,
    pub master_replid: ReplId,
    /// The next connection attempt follows at once, not at the next cron.
    pub connect_now: bool,
}

impl Repl {
    pub fn new(replid: ReplId, backlog_size: u64, now: i64) -> Repl {
        Repl {
            replid,
            replid2: [b'0'; 40],
            second_replid_offset: -1,
            log: ReplicationLog::new(backlog_size),
            slave_seldb: None,
            no_slaves_since: now,
            good_slaves_count: 0,
            waiting_acks: Vec::new(),
            get_ack_from_slaves: false,
            feed_buf: Vec::new(),
            rdb_generated_by_replication: false,
            rdb_pipe: None,
            sync_rate: Rate::default(),
            paused_io: Vec::new(),
            newline_sent: 0,
            cron_loops: 0,
            blocked_clients: 0,
            master_host: None,
            master_port: 6379,
            state: ReplicaState::None,
            sock: None,
            sock_file: None,
            handshake: None,
            handshake_line: LineReader::new(HANDSHAKE_LINE_SIZE),
            handshake_out: Vec::new(),
            transfer: None,
            partial_payload: None,
            transfer_lastio: 0,
            master: None,
            cached_master: None,
            down_since: 0,
            master_initial_offset: -1,
            master_replid: [b'0'; 40],
            connect_now: false,
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
}
