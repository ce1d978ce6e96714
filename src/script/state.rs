//! What the server keeps of scripts and functions: the machines, the run under way, the script client, the caches.
//!
//! A machine is taken out while a script runs in it, so that nobody can hold or free it; whoever wants it gone meanwhile has its
//! generation raised, and it is dropped instead of being put back. Nothing is made before the first script comes.

use std::rc::Rc;

use crate::script::cache::ScriptCache;
use crate::script::convert::{ReplyPace, ScriptReply};
use crate::script::debugger::session::Session;
use crate::script::flags::{Engine, RunFlags};
use crate::script::function_set::{Libraries, Loading};
use crate::script::known::ReplicationScriptCache;
use crate::script::libraries::LibraryState;
use crate::script::machine::Machine;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::command::CommandId;
use crate::server::execution::propagate::Propagate;
use crate::wire::resp::Span;

/// The script or function that runs now.
pub(crate) struct Run {
    pub engine: Engine,
    pub caller: ClientId,
    /// The digest, or the function's name.
    pub name: Rc<[u8]>,
    pub flags: RunFlags,
    /// Where what it does goes.
    pub target: Propagate,
    /// Unix us.
    pub started_us: i64,
    /// When its last command ended, unix us.
    pub last_us: i64,
    /// The command that took longest in it, and its microseconds.
    pub slowest: Option<(CommandId, u64)>,
}

/// What the slow log says of a slow script: its digest or name, and the command that took longest in it with its microseconds.
pub(crate) struct SlowRun {
    pub name: Rc<[u8]>,
    pub slowest: Option<(CommandId, u64)>,
}

/// Where an engine's machine stands while it does not run.
#[derive(Default)]
pub(crate) struct MachineSlot {
    /// `None`: none was needed yet, or it runs.
    machine: Option<Box<Machine>>,
    /// Counts the machines that were given up: one that was taken before is not put back.
    generation: u64,
    /// The one of this generation is taken: what was compiled in it is called in no other.
    taken: bool,
}

/// The generation of a machine that is never put back.
const SPARE: u64 = u64::MAX;

impl MachineSlot {
    pub(crate) fn get_mut(&mut self) -> Option<&mut Machine> {
        self.machine.as_deref_mut()
    }

    /// Whether it runs, or a library loads in it.
    pub(super) fn is_taken(&self) -> bool {
        self.taken
    }

    /// A machine for what is over before it is put back: another one where the machine is taken.
    pub(super) fn take_or_spare(
        &mut self,
        make: impl FnOnce() -> Option<Machine>,
    ) -> Option<(Box<Machine>, u64)> {
        match self.taken {
            true => Some((Box::new(make()?), SPARE)),
            false => self.take(make),
        }
    }

    /// The machine that is taken is given up, and a spare one has its place; returns the number to put it back with.
    pub(super) fn succeed(&mut self) -> u64 {
        self.give_up();
        self.taken = true;
        self.generation
    }

    /// Takes it out, to be put back with the number that comes with it; `make` makes one where there is none. None: it is taken
    /// already, or none can be made.
    pub(super) fn take(
        &mut self,
        make: impl FnOnce() -> Option<Machine>,
    ) -> Option<(Box<Machine>, u64)> {
        if self.taken {
            return None;
        }
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => Box::new(make()?),
        };
        self.taken = true;
        Some((machine, self.generation))
    }

    /// Puts it back, unless it has been given up meanwhile.
    pub(super) fn put(&mut self, machine: Box<Machine>, generation: u64) {
        debug_assert_eq!(machine.lua.top(), 0, "the stack is empty between calls");
        if generation == self.generation {
            self.machine = Some(machine);
            self.taken = false;
        }
    }

    /// Gives the machine up, the one that runs as well; returns it where it does not.
    pub(super) fn give_up(&mut self) -> Option<Box<Machine>> {
        self.generation += 1;
        self.taken = false;
        self.machine.take()
    }

    /// Bytes of the machine (used_memory_vm_eval, used_memory_vm_functions); none while it runs.
    fn memory(&self) -> usize {
        self.machine.as_ref().map_or(0, |m| m.lua.memory())
    }
}

#[derive(Default)]
pub(crate) struct Scripts {
    pub eval: MachineSlot,
    pub functions: MachineSlot,
    pub cache: ScriptCache,
    /// What replicas and the append-only file know.
    pub known: ReplicationScriptCache,
    pub libraries: Libraries,
    pub run: Option<Run>,
    /// The last call of a function, for FUNCTION STATS.
    pub command: OwnedArgs,
    /// The last run, where it was slow: for the slow log, which takes it.
    pub last_run: Option<SlowRun>,
    /// The reply that the script returns as it came.
    pub passed_on: Option<ScriptReply>,
    /// How far the reply is that a script's value is made into.
    pub reply: ReplyPace,
    /// Who the commands of scripts come from.
    pub client: Option<ClientId>,
    /// The arguments of the command that a script calls; emptied after it.
    pub words: Vec<u8>,
    pub spans: Vec<Span>,
    pub library_state: LibraryState,
    /// The environment of a function was changed.
    pub environment_changed: bool,
    /// A master or a file has called a script: it may do so again by its digest.
    pub has_obeyed: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS.
    pub allow_all_commands: bool,
    /// What the functions of a library that loads are registered in.
    pub loading: Option<Loading>,
    /// The session of the debugger that is under way.
    pub debugger: Option<Box<Session>>,
    /// The processes of forked sessions.
    pub sessions: Vec<i32>,
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

    pub(super) fn slot(&mut self, engine: Engine) -> &mut MachineSlot {
        match engine {
            Engine::Eval => &mut self.eval,
            Engine::Functions => &mut self.functions,
        }
    }

    /// Bytes of an engine's machine.
    pub(crate) fn machine_memory(&self, engine: Engine) -> usize {
        match engine {
            Engine::Eval => self.eval.memory(),
            Engine::Functions => self.functions.memory(),
        }
    }
}
