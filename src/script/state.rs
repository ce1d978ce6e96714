//! What the server keeps of scripts and functions: the machines, the run under way, the script client, the caches.
//!
//! A machine is taken out while a script runs in it, so that nobody can hold or free it; whoever wants it gone meanwhile has its
//! generation raised, and it is dropped instead of being put back. Nothing is made before the first script comes.

use std::rc::Rc;

use bitflags::bitflags;

use crate::script::cache::ScriptCache;
use crate::script::functions::Libraries;
use crate::script::libraries::LibraryState;
use crate::script::machine::{Engine, Machine};
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::command::CommandId;
use crate::wire::resp::Span;

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
        let found = ScriptFlags::NAMES.iter().find(|(n, _)| n.as_bytes() == name);
        found.map(|(_, f)| *f)
    }
}

/// The script or function that runs now.
pub(crate) struct Run {
    pub engine: Engine,
    pub caller: ClientId,
    /// The digest, or the function's name.
    pub name: Rc<[u8]>,
    pub flags: RunFlags,
    /// Where what it does goes (PROPAGATE_*).
    pub target: u8,
    /// Unix us.
    pub started_us: i64,
    /// When its last command ended, unix us.
    pub last_us: i64,
    /// The command that took longest in it, and its microseconds.
    pub slowest: Option<(CommandId, u64)>,
    /// The call itself, for FUNCTION STATS.
    pub command: Option<OwnedArgs>,
}

#[derive(Default)]
pub(crate) struct Scripts {
    /// `None`: none was needed yet, or it runs.
    pub eval: Option<Box<Machine>>,
    pub functions: Option<Box<Machine>>,
    /// Raised when a machine is to go: one that was taken before is not put back.
    pub eval_generation: u64,
    pub functions_generation: u64,
    pub cache: ScriptCache,
    pub libraries: Libraries,
    pub run: Option<Run>,
    /// Who the commands of scripts come from.
    pub client: Option<ClientId>,
    /// The arguments of the command that a script calls; emptied after it.
    pub words: Vec<u8>,
    pub spans: Vec<Span>,
    pub library_state: LibraryState,
    /// The environment of a function was changed.
    pub environment_changed: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS.
    pub allow_all_commands: bool,
    /// What the functions of a library that loads are registered in.
    pub loading: Option<crate::script::functions::Loading>,
    /// Memory was over the limit before the command that runs (pre_command_oom_state).
    pub pre_command_oom: bool,
}

impl Scripts {
    /// Whether a script has been running for too long (scriptIsTimedout).
    #[inline]
    pub(crate) fn is_timed_out(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|r| r.flags.contains(RunFlags::TIMED_OUT))
    }

    /// Bytes of the machines (used_memory_vm_eval, used_memory_vm_functions); one that runs counts as of its start.
    pub(crate) fn machine_memory(&self, engine: Engine) -> usize {
        let machine = match engine {
            Engine::Eval => &self.eval,
            Engine::Functions => &self.functions,
        };
        machine.as_ref().map_or(0, |m| m.lua.memory())
    }
}
