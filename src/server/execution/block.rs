//! What a client waits for, and what it does then (blockingState).

use crate::server::execution::args::OwnedArgs;
use crate::server::execution::command::CommandId;

/// Why a client is blocked (blockingType).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BlockType {
    /// WAIT: for replicas to acknowledge.
    Wait,
    /// WAITAOF: for replicas, and this server, to have it on the disk.
    WaitAof,
    /// CLIENT PAUSE: the command runs when the pause ends.
    Postpone,
    /// SHUTDOWN waiting for replicas.
    Shutdown,
    /// FLUSHALL and FLUSHDB: for a thread to have freed what was there.
    Freeing,
    /// A command that waits for keys of this type.
    List,
    Zset,
    Stream,
}

impl BlockType {
    /// Nobody but what it waits for ends it: what the client asked for has been done, or will be.
    pub(crate) fn ends_by_itself(self) -> bool {
        matches!(
            self,
            BlockType::Postpone | BlockType::Shutdown | BlockType::Freeing
        )
    }
}

/// The state of a blocked client.
pub(crate) struct Block {
    pub kind: BlockType,
    /// Unix ms; 0: for ever.
    pub timeout: i64,
    /// WAIT and WAITAOF: how many replicas, and up to which offset.
    pub num_replicas: i64,
    pub repl_offset: i64,
    /// WAITAOF: this server's own disk counts too.
    pub num_local: bool,
    /// The keys and the command of a client that waits for keys.
    pub waiting: Option<Box<Waiting>>,
}

impl Block {
    /// One that has no end of its own.
    pub(crate) fn new(kind: BlockType) -> Block {
        Block {
            kind,
            timeout: 0,
            num_replicas: 0,
            repl_offset: 0,
            num_local: false,
            waiting: None,
        }
    }
}

/// What a client that is blocked on keys waits for.
pub(crate) struct Waiting {
    pub(super) db: usize,
    /// Without repetitions.
    pub(super) keys: Vec<Box<[u8]>>,
    /// Its place in the queues of all its keys.
    pub(super) ticket: u64,
    /// It wants to know, too, when a key goes away or changes its type.
    pub(super) on_nokey: bool,
    /// The command, to be run again.
    pub(super) words: OwnedArgs,
    pub(super) cmd: CommandId,
    /// Microseconds that its attempts have taken so far.
    pub(super) duration: u64,
}

impl Waiting {
    /// One of the keys; in a cluster all are in one slot.
    pub(crate) fn first_key(&self) -> Option<&[u8]> {
        self.keys.first().map(|k| &**k)
    }

    pub(crate) fn command(&self) -> CommandId {
        self.cmd
    }
}
