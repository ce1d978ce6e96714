//! All that is kept of slots that move whole, in its one place: `Server::slot_migrations`, beside the cluster, since what is propagated
//! concerns it while the cluster is at work; and the words that the two sides have for each other.
//!
//! Must not know: how the steps are made.

use std::collections::VecDeque;

use crate::ae::FileId;
use crate::base::log::Level;
use crate::cluster::node::NodeId;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::ClientId;
use crate::server::clients::link_io::LinkState;
use crate::server::execution::args::OwnedArgs;
use crate::server_log;
use crate::store::rewrite::pieces::RewritePieces;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::SlotSet;
use crate::wire::reply::ReplyReader;
use crate::wire::resp;

/// How far a job is (slotMigrationJobState), as GETSLOTMIGRATIONS says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JobState {
    Connecting,
    ReadingAuthResponse,
    ReadingEstablishResponse,
    Snapshotting,
    Replicating,
    WaitingToPause,
    FailoverPaused,
    FailoverGranted,
    CleaningUp,
    WaitingForAck,
    ReceivingSnapshot,
    WaitingForPaused,
    FailoverRequested,
    Success,
    Cancelled,
    Failed,
}

impl JobState {
    pub(crate) fn word(self) -> &'static str {
        match self {
            JobState::Connecting => "connecting",
            JobState::ReadingAuthResponse => "reading-auth-response",
            JobState::ReadingEstablishResponse => "reading-establish-response",
            JobState::Snapshotting => "snapshotting",
            JobState::Replicating => "replicating",
            JobState::WaitingToPause => "waiting-to-pause",
            JobState::FailoverPaused => "failover-paused",
            JobState::FailoverGranted => "failover-granted",
            JobState::CleaningUp => "cleaning-up",
            JobState::WaitingForAck => "waiting-for-ack",
            JobState::ReceivingSnapshot => "receiving-snapshot",
            JobState::WaitingForPaused => "waiting-for-paused",
            JobState::FailoverRequested => "failover-requested",
            JobState::Success => "success",
            JobState::Cancelled => "cancelled",
            JobState::Failed => "failed",
        }
    }
}

/// Which side of a job is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Export,
    Import,
}

/// What is told of a job, while it goes on and afterwards.
#[derive(Clone)]
pub(crate) struct Record {
    pub name: Name,
    pub operation: Operation,
    pub slots: SlotSet,
    pub source: Name,
    pub target: Name,
    pub state: JobState,
    pub message: String,
    /// Unix seconds.
    pub created: i64,
    pub updated: i64,
    /// When the other side was last heard of.
    pub acked: i64,
}

impl Record {
    pub(super) fn new(
        operation: Operation,
        name: Name,
        nodes: (Name, Name),
        slots: SlotSet,
        now: i64,
    ) -> Record {
        Record {
            name,
            operation,
            slots,
            source: nodes.0,
            target: nodes.1,
            state: match operation {
                Operation::Export => JobState::Connecting,
                Operation::Import => JobState::CleaningUp,
            },
            message: String::new(),
            created: now,
            updated: now,
            acked: now,
        }
    }

    /// As the log names the job.
    pub(super) fn description(&self) -> String {
        let (operation, other, node) = match self.operation {
            Operation::Export => ("export", "target_node", self.target),
            Operation::Import => ("import", "source_node", self.source),
        };
        format!(
            "{{name: {}, operation: {operation}, {other}_id: {node}, slots: {}}}",
            self.name,
            self.slots.text(" ")
        )
    }

    pub(super) fn enter(&mut self, state: JobState, now: i64) {
        server_log!(
            Level::Notice,
            "Slot migration {} state transition: {} -> {}",
            self.description(),
            self.state.word(),
            state.word()
        );
        self.state = state;
        self.updated = now;
    }
}

/// Why a job ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Success,
    Cancelled,
    Failed(String),
}

impl End {
    pub(super) fn failed(why: &str) -> End {
        End::Failed(why.to_string())
    }
}

pub(super) struct Link {
    pub(super) conn: Connection,
    pub(super) file: FileId,
    pub(super) state: LinkState,
    pub(super) reader: ReplyReader,
}

/// A bulky value that is being sent.
pub(super) struct Amid {
    pub(super) key: Box<[u8]>,
    pub(super) pieces: RewritePieces,
    pub(super) begun: bool,
    pub(super) restarts: u32,
}

/// How far the walk is.
pub(super) struct Walk {
    /// All slots below it are done; the number of all slots: all are.
    pub(super) slot: u16,
    /// The place in this slot.
    pub(super) place: u32,
    /// Keys at this very place that are done: others may have the same.
    pub(super) done_here: Vec<Box<[u8]>>,
    pub(super) amid: Option<Amid>,
}

/// A job on its source. `export` works with it.
pub(crate) struct Export {
    pub record: Record,
    /// Why it ends, at the next step.
    pub end: Option<End>,
    pub(super) id: u64,
    pub(super) target: NodeId,
    pub(super) link: Option<Link>,
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) walk: Walk,
    /// Until when writes to the slots wait (unix ms); 0: they do not.
    pub(super) paused_until: i64,
    /// When the last ACK was sent (unix s).
    pub(super) ack_sent: i64,
    /// Commands wait for the value that is being sent.
    pub(super) awaited: bool,
}

/// A job on its target. `import` works with it.
pub(crate) struct Import {
    pub record: Record,
    /// Why it ends, at the next step.
    pub end: Option<End>,
    pub client: ClientId,
    pub(super) source: NodeId,
    /// When the source was asked for the last word (unix ms).
    pub(super) asked: i64,
    /// When the last ACK was sent (unix s).
    pub(super) ack_sent: i64,
}

/// Slots that this replica's master hides. `replica` works with it.
pub(super) struct MasterImport {
    /// Valkey names each import; one of ours tells all at once.
    pub(super) name: Option<Name>,
    pub(super) slots: SlotSet,
}

/// All that a node keeps of slots that move whole.
#[derive(Default)]
pub(crate) struct Migrations {
    pub exports: Vec<Export>,
    pub imports: Vec<Import>,
    /// Jobs that have ended, the last one first.
    pub log: VecDeque<Record>,
    /// Slots whose keys are here and not served.
    pub hidden: SlotSet,
    /// Those of them whose keys have to go.
    pub leaving: SlotSet,
    /// On a replica: slots whose keys its master hides.
    pub(super) of_master: Vec<MasterImport>,
    /// On a master: the hidden slots as its stream has told them last.
    pub(super) told: SlotSet,
    /// The commands of a transaction that is being propagated.
    pub(super) unit: Option<Vec<OwnedArgs>>,
    next_export: u64,
    /// Commands that had been called when the last step ended.
    pub(super) commands: u64,
    /// DEBUG SLOTMIGRATION.
    pub prevent_pause: bool,
    pub prevent_failover: bool,
}

impl Migrations {
    /// Nothing is under way.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.exports.is_empty()
            && self.imports.is_empty()
            && self.leaving.is_empty()
            && self.of_master.is_empty()
    }

    /// What a process has left behind that was ended in the middle.
    pub(crate) fn stray(&mut self, slots: SlotSet, is_master: bool) {
        if is_master {
            self.leaving = slots;
        } else if !slots.is_empty() {
            // The stream goes on where it was.
            self.of_master.push(MasterImport { name: None, slots });
        }
        self.rehide();
    }

    /// Works out which slots are hidden.
    pub(super) fn rehide(&mut self) {
        let mut hidden = self.leaving.clone();
        let imports = self.imports.iter().map(|i| &i.record.slots);
        let of_master = self.of_master.iter().map(|i| &i.slots);
        for slots in imports.chain(of_master) {
            for slot in slots.iter() {
                hidden.insert(slot);
            }
        }
        self.hidden = hidden;
    }

    pub(super) fn next_export_id(&mut self) -> u64 {
        self.next_export += 1;
        self.next_export
    }

    pub(super) fn exporting(&self, slot: u16) -> bool {
        self.exports.iter().any(|e| e.record.slots.contains(slot))
    }

    pub(super) fn importing(&self, slot: u16) -> bool {
        self.imports.iter().any(|i| i.record.slots.contains(slot))
    }

    /// All keys are gone: what was to be moved, or has come, is not what it was (clusterHandleFlushDuringSlotMigration).
    pub(crate) fn data_was_flushed(&mut self) {
        for e in &mut self.exports {
            e.end.get_or_insert_with(|| End::failed("Data was flushed"));
        }
        for i in &mut self.imports {
            i.end.get_or_insert_with(|| End::failed("Data was flushed"));
        }
    }

    /// A job has ended (clusterCleanupSlotMigrationLog).
    pub(super) fn remember(&mut self, mut record: Record, end: End, most: usize, now: i64) {
        let (level, state, message) = match end {
            End::Success => (Level::Notice, JobState::Success, String::new()),
            End::Cancelled => (Level::Notice, JobState::Cancelled, String::new()),
            End::Failed(why) => (Level::Warning, JobState::Failed, why),
        };
        let shown = if message.is_empty() { "none" } else { &message };
        server_log!(
            level,
            "Slot migration {} finished. State: {}, Message: {}",
            record.description(),
            state.word(),
            shown
        );
        record.enter(state, now);
        record.message = message;
        self.log.push_front(record);
        self.log.truncate(most);
    }

    /// Bytes that wait for the targets.
    pub(crate) fn output_memory(&self) -> usize {
        self.exports.iter().map(|e| e.out.capacity()).sum()
    }
}

/// Adds a word of one side to the other.
pub(super) fn push_message(out: &mut Vec<u8>, word: &str) {
    let words: [&[u8]; 3] = [b"CLUSTER", b"SYNCSLOTS", word.as_bytes()];
    resp::push_command(out, words.into_iter());
}
