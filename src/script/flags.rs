//! What scripts declare of themselves, what is true of a run, and whose machine is meant.

use std::cell::Cell;

use bitflags::bitflags;

use crate::server::execution::command::CommandFlags;

/// What all runs of a script or function have taken.
#[derive(Default, Debug)]
pub(crate) struct Usage {
    calls: Cell<u64>,
    /// Microseconds.
    us: Cell<u64>,
}

impl Usage {
    #[inline]
    pub(crate) fn add(&self, us: u64) {
        self.calls.set(self.calls.get() + 1);
        self.us.set(self.us.get() + us);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    pub(crate) fn us(&self) -> u64 {
        self.us.get()
    }
}

/// Whose machine it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Eval,
    Functions,
}

bitflags! {
    /// What a script declares of itself (script.h, SCRIPT_FLAG_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct ScriptFlags: u8 {
        const NO_WRITES = 1 << 0;
        const ALLOW_OOM = 1 << 1;
        const ALLOW_STALE = 1 << 2;
        const NO_CLUSTER = 1 << 3;
        const ALLOW_CROSS_SLOT = 1 << 4;
        /// An EVAL script without a first line of its own: the flags of the commands it calls count.
        const EVAL_COMPAT_MODE = 1 << 5;
    }

    /// What is true of a run (script.h, SCRIPT_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct RunFlags: u8 {
        /// It has called a command that writes.
        const WRITE_DIRTY = 1 << 0;
        const TIMED_OUT = 1 << 1;
        const KILLED = 1 << 2;
        const READ_ONLY = 1 << 3;
        const ALLOW_OOM = 1 << 4;
        const ALLOW_CROSS_SLOT = 1 << 5;
        /// It has called a command whose result is not the same everywhere.
        const RANDOM_DIRTY = 1 << 6;
        /// It goes to replicas as it is, not as its effects.
        const VERBATIM = 1 << 7;
    }
}

impl ScriptFlags {
    /// In the order in which FUNCTION LIST shows them.
    pub(crate) const NAMES: &[(&str, ScriptFlags)] = &[
        ("no-writes", ScriptFlags::NO_WRITES),
        ("allow-oom", ScriptFlags::ALLOW_OOM),
        ("allow-stale", ScriptFlags::ALLOW_STALE),
        ("no-cluster", ScriptFlags::NO_CLUSTER),
        ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT),
    ];

    pub(crate) fn by_name(name: &[u8]) -> Option<ScriptFlags> {
        let found = ScriptFlags::NAMES
            .iter()
            .find(|(n, _)| n.as_bytes() == name);
        found.map(|(_, f)| *f)
    }
}

/// The flags of a command that calls a script which declares its own (scriptFlagsToCmdFlags).
pub(super) fn script_flags_to_cmd_flags(flags: CommandFlags, script: ScriptFlags) -> CommandFlags {
    const REPLACED: CommandFlags = CommandFlags::of(&[
        CommandFlags::STALE,
        CommandFlags::DENYOOM,
        CommandFlags::WRITE,
        CommandFlags::MAY_REPLICATE,
    ]);
    let mut flags = flags & !REPLACED;
    let writes = !script.contains(ScriptFlags::NO_WRITES);
    flags.set(CommandFlags::WRITE, writes);
    flags.set(
        CommandFlags::DENYOOM,
        writes && !script.contains(ScriptFlags::ALLOW_OOM),
    );
    flags.set(
        CommandFlags::STALE,
        script.contains(ScriptFlags::ALLOW_STALE),
    );
    flags
}
