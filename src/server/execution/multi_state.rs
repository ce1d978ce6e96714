//! What a client has queued, and what it watches. The code is in `multi`.

use std::rc::Rc;

use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::command::{CommandFlags, CommandId};

/// A command that waits for EXEC.
pub(super) struct MultiCmd {
    pub(super) id: CommandId,
    pub(super) args: OwnedArgs,
}

/// A key that a client watches.
pub(super) struct WatchedKey {
    pub(super) db: usize,
    pub(super) key: Rc<[u8]>,
    /// It had expired, and was still there, when it was watched.
    pub(super) expired: bool,
}

/// A client's queue and its watched keys.
#[derive(Default)]
pub(crate) struct MultiState {
    pub(super) commands: Vec<MultiCmd>,
    /// Commands queued; it stays while EXEC runs them.
    pub(super) count: usize,
    /// Flags that some command has, and flags that some command has not.
    pub(super) cmd_flags: CommandFlags,
    pub(super) cmd_inv_flags: CommandFlags,
    /// Bytes of the queued arguments, as CLIENT LIST counts them.
    pub(super) argv_len_sums: usize,
    /// What the last SELECT among them selects.
    pub(super) selected_db: Option<usize>,
    pub(super) watched: Vec<WatchedKey>,
}

impl MultiState {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.watched.is_empty()
    }

    /// The queued commands.
    pub(crate) fn queued(&self) -> impl Iterator<Item = (CommandId, Args<'_>)> {
        self.commands.iter().map(|c| (c.id, c.args.as_args()))
    }

    /// Bytes of the queued commands' arguments (argv_len_sums).
    pub(crate) fn argv_len_sums(&self) -> usize {
        self.argv_len_sums
    }

    /// Bytes that it holds (multiStateMemOverhead).
    pub(crate) fn mem_usage(&self) -> usize {
        size_of::<MultiState>()
            + self.argv_len_sums
            + self.commands.capacity() * size_of::<MultiCmd>()
            + self.watched.capacity() * size_of::<WatchedKey>()
    }
}
