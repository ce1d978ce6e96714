//! One run of a script or function: what is checked before it, the commands it calls, its time, its end (script.c).
//!
//! The machine is taken out of the server for the run, and the server is lent to it. The commands come from one client without
//! a connection, the script client, whose output is what the script gets to see.
//!
//! Invariant: `Scripts::run` is set exactly while a script runs. What it did goes out with the command that called it, as its
//! effects; the call itself does not, but in verbatim mode (`verbatim.rs`).

use std::borrow::Cow;
use std::rc::Rc;

use crate::base::clock::ustime;
use crate::base::log::Level;
use crate::script::api;
use crate::script::convert::Cut;
use crate::script::flags::{Engine, RunFlags, ScriptFlags, Usage};
use crate::script::lua::{Failure, Kept, Verdict};
use crate::script::machine::Machine;
use crate::script::state::{Run, SlowRun};
use crate::server::Server;
use crate::server::clients::client::PROTO_REPLY_CHUNK_BYTES;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::command::{CommandFlags, CommandId};
use crate::server::execution::exec::{MASTERDOWN, OOM, READONLY};
use crate::server::execution::propagate::Propagate;
use crate::server_log;

/// What a script is called with.
pub(super) struct Invocation<'a> {
    pub caller: ClientId,
    pub engine: Engine,
    pub name: Rc<[u8]>,
    pub flags: ScriptFlags,
    pub usage: Rc<Usage>,
    /// EVAL_RO, EVALSHA_RO, FCALL_RO.
    pub read_only: bool,
    /// The command that calls it.
    pub args: &'a Args<'a>,
}

type Refusal = Cow<'static, str>;

impl Server {
    /// Whose commands are never refused: our master's, and those of a file (mustObeyClient).
    pub(crate) fn must_obey_client(&self, cid: ClientId) -> bool {
        self.is_master_client(cid)
            || (self.loading.is_some() && self.clients.get(cid).is_some_and(|c| c.conn.is_none()))
    }

    /// Whether it is where the commands of scripts come from.
    pub(crate) fn is_script_client(&self, cid: ClientId) -> bool {
        self.scripts.client == Some(cid)
    }

    /// The script client, made when it is needed first.
    fn script_client(&mut self) -> ClientId {
        if let Some(cid) = self
            .scripts
            .client
            .filter(|cid| self.clients.get(*cid).is_some())
        {
            return cid;
        }
        let cid = self.clients.create_client(None, self.clock.unix_s);
        self.exec.fake_clients += 1;
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags |= ClientFlags::SCRIPT | ClientFlags::DENY_BLOCKING;
            c.authenticated = true;
            // Its output is read by the script: it never stands in the queue of those who are written to.
            c.pending_write = true;
            c.out.buf = Vec::with_capacity(PROTO_REPLY_CHUNK_BYTES);
        }
        self.scripts.client = Some(cid);
        cid
    }

    // Before and after -------------------------------------------------------------------------------------------------

    /// Why the script may not run now, if it may not (scriptPrepareForRun).
    fn script_refusal(&self, call: &Invocation) -> Option<Refusal> {
        let (flags, obey) = (call.flags, self.must_obey_client(call.caller));
        if self.scripts.run.is_some() {
            // Only DEBUG lets one call another.
            return Some("A script cannot run another".into());
        }
        if flags.contains(ScriptFlags::EVAL_COMPAT_MODE) {
            return self.is_stale().then_some(MASTERDOWN.into());
        }
        if flags.contains(ScriptFlags::NO_CLUSTER) && self.config.cluster_enabled {
            return Some("Can not run script on cluster, 'no-cluster' flag is set.".into());
        }
        if self.is_stale() && !flags.contains(ScriptFlags::ALLOW_STALE) {
            return Some(
                "-MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is \
                 not set on the script."
                    .into(),
            );
        }
        if !flags.contains(ScriptFlags::NO_WRITES) {
            if self.is_replica() && self.config.replica_read_only && !obey {
                let text = "-READONLY Can not run script with write flag on readonly replica";
                return Some(text.into());
            }
            if !obey && let Some(denied) = self.denied_by_disk_error() {
                let of_aof = denied.strip_prefix("-MISCONF Errors writing to the AOF file: ");
                return Some(match of_aof {
                    None => "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
                             disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
                        .into(),
                    Some(problem) => format!(
                        "-MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
                         Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {problem}"
                    )
                    .into(),
                });
            }
            if call.read_only {
                return Some("Can not execute a script with write flag using *_ro command.".into());
            }
            if let Some(text) = self.too_few_good_replicas() {
                return Some(text.into());
            }
        }
        let short = ScriptFlags::ALLOW_OOM | ScriptFlags::NO_WRITES;
        if self.is_over_memory() && !flags.intersects(short) {
            let text = "-OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
            return Some(text.into());
        }
        None
    }

    /// Memory was over the limit when the command began.
    fn is_over_memory(&self) -> bool {
        self.config.maxmemory != 0 && self.scripts.pre_command_oom
    }

    /// Runs `function`, which has been pushed with its arguments, and replies with what it returns (luaCallFunction).
    pub(super) fn run_script(
        &mut self,
        mut machine: Box<Machine>,
        function: &Kept,
        call: &Invocation,
    ) -> Box<Machine> {
        if let Some(text) = self.script_refusal(call) {
            self.add_reply_error(call.caller, &text);
            machine.lua.truncate(0);
            return machine;
        }
        let client = self.script_client();
        let db = self.client_db(call.caller);
        self.acl_act_as(client, call.caller);
        if let Some(c) = self.clients.get_mut(client) {
            c.db = db;
            c.resp = 2;
            // It hears what its commands reply.
            c.flags.remove(ClientFlags::FAKE);
        }
        let declared = !call.flags.contains(ScriptFlags::EVAL_COMPAT_MODE);
        let mut flags = RunFlags::empty();
        flags.set(
            RunFlags::READ_ONLY,
            call.read_only || declared && call.flags.contains(ScriptFlags::NO_WRITES),
        );
        flags.set(
            RunFlags::ALLOW_OOM,
            declared && call.flags.contains(ScriptFlags::ALLOW_OOM),
        );
        flags.set(
            RunFlags::ALLOW_CROSS_SLOT,
            !declared || call.flags.contains(ScriptFlags::ALLOW_CROSS_SLOT),
        );
        if self.is_verbatim(call, flags.contains(RunFlags::READ_ONLY)) {
            flags |= RunFlags::VERBATIM;
            self.scripts.library_state.seed_random(0);
        }
        let dirty = self.dirty;
        let started_us = self.clock.unix_us;
        self.scripts.run = Some(Run {
            engine: call.engine,
            caller: call.caller,
            name: call.name.clone(),
            flags,
            target: Propagate::BOTH,
            started_us,
            last_us: started_us,
            slowest: None,
        });
        if call.engine == Engine::Functions {
            self.scripts.command.refill(call.args);
        }
        // What our master's script has done there, it has to do here.
        let obey = self.config.lua_memory_limit != 0 && self.must_obey_client(call.caller);
        self.limit_memory(&mut machine, obey);
        let threshold = self.config.busy_reply_threshold.saturating_mul(1000);
        let threshold = (threshold > 0).then_some(threshold);
        let debugged = self.scripts.debugger.is_some();
        if debugged {
            machine
                .lua
                .set_line_hook(Some(crate::script::debugger::stop::line_hook));
        }
        let result = machine.call(self, started_us, threshold);
        if debugged {
            machine.lua.set_line_hook(None);
        }
        machine.lua.set_memory_limit(None);
        let resp = self.clients.get(client).map_or(2, |c| c.resp);
        match result {
            Ok(()) => {
                if let Err(cut) = self.reply_of_script(call.caller, resp, obey, &mut machine.lua) {
                    self.cut_reply(cut, call);
                }
            }
            Err(failure) => self.script_error(&mut machine, failure, call),
        }
        machine.lua.truncate(0);
        // Of a script that was ended before it could return it.
        self.scripts.passed_on = None;
        if let Some(c) = self.clients.get_mut(client) {
            c.flags |= ClientFlags::FAKE;
        }
        self.reset_run(call, self.dirty > dirty);
        self.scripts.library_state.reset();
        if std::mem::take(&mut self.scripts.environment_changed) {
            machine.reset_environment(function);
        }
        machine
    }

    /// Limits what the machine may have while it runs; `unlimited`: to nothing.
    #[inline]
    pub(super) fn limit_memory(&self, machine: &mut Machine, unlimited: bool) {
        if self.config.lua_memory_limit != 0 && !unlimited {
            let limit = usize::try_from(self.config.lua_memory_limit).unwrap_or(usize::MAX);
            machine.limit_memory(limit);
        }
    }

    /// Replies with the error on the machine's stack.
    #[cold]
    fn script_error(&mut self, machine: &mut Machine, failure: Failure, call: &Invocation) {
        let name = String::from_utf8_lossy(&call.name).into_owned();
        if failure == Failure::Killed {
            let place = machine.lua.killed_at();
            return self.killed_error(call, &name, place);
        }
        if machine.lua.kind(-1) != crate::script::lua::Kind::Table {
            let said = machine.lua.to_bytes(-1).unwrap_or(b"execution failure");
            let said = String::from_utf8_lossy(&said[..said.len().min(100)]).into_owned();
            if machine.lua.was_exhausted() {
                machine.lua.truncate(0);
                machine.lua.collect_garbage();
            }
            return self.add_reply_error(
                call.caller,
                &format!("Error running script {name}, {said}\n"),
            );
        }
        let info = machine.take_error();
        let mut text = b"-".to_vec();
        text.extend_from_slice(&info.text.unwrap_or_default());
        let place = info.source.as_deref().zip(info.line);
        push_place(&mut text, &name, place);
        self.add_reply_error_of_script(call.caller, &text, info.counted);
    }

    fn killed_error(&mut self, call: &Invocation, name: &str, place: Option<(Vec<u8>, i32)>) {
        let by_debugger = self.scripts.debugger.as_mut().and_then(|d| d.take_end());
        let mut text = match by_debugger {
            Some(text) => format!("-ERR {text}").into_bytes(),
            None => {
                server_log!(Level::Notice, "Lua script killed by user with SCRIPT KILL.");
                b"-ERR Script killed by user with SCRIPT KILL...".to_vec()
            }
        };
        let place = place.as_ref().map(|(s, l)| (&s[..], i64::from(*l)));
        push_place(&mut text, name, place);
        self.add_reply_error_of_script(call.caller, &text, false);
    }

    /// What the script returned makes no reply.
    #[cold]
    fn cut_reply(&mut self, cut: Cut, call: &Invocation) {
        let name = String::from_utf8_lossy(&call.name).into_owned();
        match cut {
            Cut::Killed => self.killed_error(call, &name, None),
            Cut::Large | Cut::OutOfMemory => {
                let text = format!("Error running script {name}, not enough memory\n");
                self.add_reply_error(call.caller, &text);
            }
            Cut::Unheard => {}
        }
    }

    /// The run is over (scriptResetRun).
    fn reset_run(&mut self, call: &Invocation, changed: bool) {
        let Some(run) = self.scripts.run.take() else {
            return;
        };
        if run.flags.contains(RunFlags::VERBATIM) && changed {
            self.propagate_verbatim(call.args, &run.name);
        } else {
            self.prevent_command_propagation();
        }
        let us = (ustime() - run.started_us).max(0) as u64;
        call.usage.add(us);
        if us >= self.config.slowlog_log_slower_than as u64 {
            self.scripts.last_run = Some(SlowRun {
                name: run.name,
                slowest: run.slowest,
            });
        }
        if run.flags.contains(RunFlags::TIMED_OUT) {
            self.unprotect_client(call.caller);
            self.release_master();
            self.exec.clock_stale = true;
            self.refresh_shortcuts(call.caller);
        }
    }

    // Commands of a script ---------------------------------------------------------------------------------------------

    /// Runs a command of the running script and returns which it was; the script client's output is its reply. The error: it was
    /// refused (scriptCall).
    pub(super) fn script_call(&mut self, args: &Args) -> Result<CommandId, Refusal> {
        let Some(client) = self.scripts.client.filter(|_| self.scripts.run.is_some()) else {
            // A library that loads, whose `redis` has no such function.
            let text = "Script attempted to access nonexistent global variable 'call'";
            return Err(text.into());
        };
        let id = match self.script_command(args) {
            Ok(id) => id,
            Err((text, id)) => {
                self.reject_script_command(id, &text);
                return Err(text);
            }
        };
        let Some(run) = &mut self.scripts.run else {
            return Err("a command of a script that does not run".into());
        };
        if self.commands.row(id).flags.contains(CommandFlags::WRITE) {
            run.flags |= RunFlags::WRITE_DIRTY;
        }
        let mut target = run.target;
        if run.flags.contains(RunFlags::VERBATIM) {
            target = Propagate::empty();
        }
        let last = run.last_us;
        let end = self.call_in_unit(client, id, args, last, target);
        if let Some(run) = &mut self.scripts.run {
            let us = (end - last).max(0) as u64;
            run.last_us = end;
            if run.slowest.is_none_or(|(_, most)| us > most) {
                run.slowest = Some((id, us));
            }
        }
        Ok(id)
    }

    /// The command that a script calls, if it may; else why not, and the command where there is one.
    #[inline]
    fn script_command(&mut self, args: &Args) -> Result<CommandId, (Refusal, Option<CommandId>)> {
        let unknown = || ("Unknown Redis command called from script".into(), None);
        let mut id = self.lookup_for_script(args).ok_or_else(unknown)?;
        if self.commands.row(id).has_subcommands() && args.len() > 1 {
            id = self
                .commands
                .lookup_subcommand(id, &args[1])
                .ok_or_else(unknown)?;
        }
        let row = self.commands.row(id);
        let refuse = |text: &'static str| Err((text.into(), Some(id)));
        if row.proc.is_none() || !row.accepts_argc(args.len()) {
            return refuse("Wrong number of args calling Redis command from script");
        }
        let flags = row.flags;
        if flags.contains(CommandFlags::NOSCRIPT) && !self.scripts.allow_all_commands {
            return refuse("This Redis command is not allowed from script");
        }
        let Some(run) = &self.scripts.run else {
            return refuse("a command of a script that does not run");
        };
        let (run_flags, caller) = (run.flags, run.caller);
        if let Some(text) = self.acl_refusal_in_script(id, args) {
            return Err((text.into(), Some(id)));
        }
        const WRITES: CommandFlags =
            CommandFlags::of(&[CommandFlags::WRITE, CommandFlags::MAY_REPLICATE]);
        if run_flags.contains(RunFlags::READ_ONLY) && flags.intersects(WRITES) {
            return refuse("Write commands are not allowed from read-only scripts.");
        }
        if (self.exec.unusual || self.is_replica())
            && let Some(text) = self.script_command_refusal(flags, run_flags)
        {
            return Err((text, Some(id)));
        }
        if self.config.cluster_enabled {
            let may_cross = run_flags.contains(RunFlags::ALLOW_CROSS_SLOT);
            if let Some(text) = self.cluster_refusal_in_script(caller, id, args, may_cross) {
                return refuse(text);
            }
        }
        if run_flags.contains(RunFlags::VERBATIM)
            && let Some(text) = self.verbatim_refusal(id, flags.contains(CommandFlags::WRITE))
        {
            return refuse(text);
        }
        Ok(id)
    }

    /// What the server's state says against a command of a script (scriptVerifyAllowStale, scriptVerifyWriteCommandAllow,
    /// scriptVerifyOOM).
    #[cold]
    fn script_command_refusal(&self, flags: CommandFlags, run: RunFlags) -> Option<Refusal> {
        if self.is_stale() && !flags.contains(CommandFlags::STALE) {
            return Some("Can not execute the command on a stale replica".into());
        }
        // What has begun to write cannot be stopped in its middle.
        if run.contains(RunFlags::WRITE_DIRTY) {
            return None;
        }
        let caller = self.scripts.run.as_ref().map(|r| r.caller)?;
        let obey = self.must_obey_client(caller);
        if flags.contains(CommandFlags::WRITE) {
            if self.is_replica() && self.config.replica_read_only && !obey {
                return Some(READONLY.into());
            }
            if let Some(denied) = self.denied_by_disk_error() {
                return Some(denied);
            }
            if let Some(text) = self.too_few_good_replicas() {
                return Some(text.into());
            }
        }
        let oom = !run.contains(RunFlags::ALLOW_OOM)
            && self.is_over_memory()
            && !obey
            && flags.contains(CommandFlags::DENYOOM);
        oom.then_some(OOM.into())
    }

    /// A refused command counts as one, and as an error.
    #[cold]
    fn reject_script_command(&mut self, id: Option<CommandId>, text: &str) {
        self.count_error_of_script(text);
        if let Some(id) = id {
            self.commands.stats_mut(id).rejected_calls += 1;
        }
    }

    /// `redis.setresp`
    pub(super) fn set_script_resp(&mut self, version: u8) {
        if let Some(c) = self
            .scripts
            .client
            .and_then(|cid| self.clients.get_mut(cid))
        {
            c.resp = version;
        }
    }

    // Time -------------------------------------------------------------------------------------------------------------

    /// A script that is due: others are served (scriptInterrupt). Called from within it.
    pub(super) fn script_interrupt(&mut self) -> Verdict {
        let Some(run) = &mut self.scripts.run else {
            return match self.is_loading_too_long() {
                true => Verdict::Kill,
                false => Verdict::Continue,
            };
        };
        if !run.flags.contains(RunFlags::TIMED_OUT) {
            run.flags |= RunFlags::TIMED_OUT;
            let (engine, caller, name) = (run.engine, run.caller, run.name.clone());
            let ms = (ustime() - run.started_us).max(0) / 1000;
            server_log!(
                Level::Warning,
                "Slow script detected: still in execution after {ms} milliseconds. You can try killing the script using the \
                 {} command. Script name is: {}.",
                kill_command(engine),
                String::from_utf8_lossy(&name)
            );
            // Its connection may end meanwhile; the client stays until the script is over.
            self.protect_client(caller);
            self.hold_master();
        }
        self.process_events_while_blocked();
        self.exec.call.set_served(ustime());
        match &self.scripts.run {
            Some(run) if run.flags.contains(RunFlags::KILLED) => Verdict::Kill,
            _ => Verdict::Continue,
        }
    }

    /// The master is not told that we are busy: what it sends waits. Also called when its link comes while we are.
    pub(crate) fn hold_master(&mut self) {
        let caller = self.scripts.run.as_ref().map(|r| r.caller);
        if let Some(master) = self.repl.link.client().filter(|m| Some(*m) != caller)
            && let Some(c) = self.clients.get_mut(master)
        {
            c.flags |= ClientFlags::HELD;
        }
    }

    fn release_master(&mut self) {
        if let Some(master) = self.repl.link.client()
            && let Some(c) = self.clients.get_mut(master)
            && c.has(ClientFlags::HELD)
        {
            c.flags.remove(ClientFlags::HELD);
            self.exec.unblocked.push(master);
        }
    }

    /// What others are told while a script has been running for too long.
    pub(crate) fn busy_script_error(&self) -> &'static str {
        match &self.scripts.run {
            Some(run) if run.engine == Engine::Functions => {
                "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
            }
            _ => {
                "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            }
        }
    }

    /// SCRIPT KILL and FUNCTION KILL (scriptKill).
    pub(super) fn script_kill(&mut self, cid: ClientId, engine: Engine) {
        let Some(run) = &self.scripts.run else {
            return self.add_reply_error(cid, "-NOTBUSY No scripts in execution right now.");
        };
        let (caller, flags, runs) = (run.caller, run.flags, run.engine);
        if self.must_obey_client(caller) {
            return self.add_reply_error(
                cid,
                "-UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be \
                 killed.",
            );
        }
        if flags.contains(RunFlags::WRITE_DIRTY) {
            return self.add_reply_error(
                cid,
                "-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
                 script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            );
        }
        if runs != engine {
            let text = self.busy_script_error();
            return self.add_reply_error(cid, text);
        }
        if let Some(run) = &mut self.scripts.run {
            run.flags |= RunFlags::KILLED;
        }
        self.add_reply_ok(cid);
    }

    // Machines ---------------------------------------------------------------------------------------------------------

    /// Takes the machine of an engine out, made when it is needed first.
    pub(super) fn take_machine(&mut self, engine: Engine) -> Option<(Box<Machine>, u64)> {
        self.scripts
            .slot(engine)
            .take(|| Machine::new(engine, api::open))
    }

    /// The same, or another machine where that one is taken: for what needs none any more when it is put back.
    pub(super) fn take_machine_or_spare(&mut self, engine: Engine) -> Option<(Box<Machine>, u64)> {
        self.scripts
            .slot(engine)
            .take_or_spare(|| Machine::new(engine, api::open))
    }

    pub(super) fn put_machine(&mut self, engine: Engine, machine: Box<Machine>, generation: u64) {
        self.scripts.slot(engine).put(machine, generation);
    }
}

fn kill_command(engine: Engine) -> &'static str {
    match engine {
        Engine::Eval => "SCRIPT KILL",
        Engine::Functions => "FUNCTION KILL",
    }
}

fn push_place(text: &mut Vec<u8>, name: &str, place: Option<(&[u8], i64)>) {
    if let Some((source, line)) = place {
        text.extend_from_slice(format!(" script: {name}, on ").as_bytes());
        text.extend_from_slice(source);
        text.extend_from_slice(format!(":{line}.").as_bytes());
    }
}
