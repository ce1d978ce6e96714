//! From a parsed request to a command that has run: look-up, the checks that may refuse it, the call with its counters, and
//! what it propagates (processCommand, call, afterCommand of server.c).
//!
//! A command is a `fn(&mut Server, ClientId, &Args)`; its arguments are slices of the query buffer, which is taken out of
//! the server while the command runs, so nothing is copied or allocated per argument.
//!
//! # State that all clients share
//!
//! What one request sets here, no other may find. All of it, by who sets it and what ends it; "nested" says what becomes of it
//! while [`Server::process_events_while_blocked`] serves others in the middle of a command. What a call sets is one value,
//! [`CallState`], and is put aside as one. None of it belongs to a client: one
//! that is freed, blocked or postponed takes nothing along and leaves nothing. What is said of a client's next request
//! (CLIENT REPLY SKIP, CLIENT CACHING) is in its own flags; it ends with the request ([`Server::after_empty_request`],
//! `after_unusual_command`), or, when that waits, with the reply ([`Server::after_waiting`]).
//!
//! | state | set by | cleared by | nested |
//! |---|---|---|---|
//! | `Server::read_buf` | a read, which takes it out | put back; what a request has not used is copied to its client | another is made |
//! | `parser` | a read, which takes it out | `Parser::reset` after each request and after the read; half a request takes the parser along to its client (`keep_rest`), a first line that has not ended too; after a protocol error it is reset with the rest of the read unread | a new one |
//! | `ahead` | `run_groups`, which takes it out | each group begins by forgetting the last | a new one |
//! | `call.client` | `refresh_shortcuts` before the requests of a read and before a waiting command runs again; a part of the AOF | the end of the read; the one before comes back | put aside |
//! | `client_flags` | `refresh_shortcuts`, and after each command from its client | the next client's `refresh_shortcuts` | looked at again |
//! | `authenticated`, `no_touch`, `unusual` | `refresh_shortcuts`; a child's begin and end (`refresh_no_touch`), a pause. Moves of slots go on, and a cluster goes down, between reads. Whatever else changes them within a pipeline calls `refresh_shortcuts` (commands with ADMIN, EXEC with one of them, AUTH, HELLO, CLIENT TRACKING, CLIENT NO-TOUCH, RESET). A command with ADMIN in a script or in EXEC makes `unusual` true until then | the next one | looked at again |
//! | `call.cmd` | each command before its checks; none for an unknown command or an empty request | the next one; it stays behind the last, for the report of a crash | put aside |
//! | `call`: that an error was answered | each error reply | after the command, counted or (refused) not; `refresh_shortcuts` and a protocol error, so that an error to somebody else, outside of any command, is nobody's | put aside |
//! | `call`: what the command says of its propagation, and what is redacted | the running command | after it, in `call`, `call_in_unit`, `run_loaded_command`. A refused request has run nothing and says nothing | put aside |
//! | `call`: what is queued to be propagated | the running command; expiry and eviction, also outside of one | sent after the command, or at the end of the unit; expiry and eviction send what they queue | put aside |
//! | `call`: messages behind the reply | what is published or invalidated while `call.client` is who hears it | sent behind the command's reply, refused or not; before it for what eviction says | put aside |
//! | `call`: `leftovers` | whoever sets one of the four rows above | `call`. Left set it costs a look, no more | put aside |
//! | `call.in_exec` | EXEC around its commands | EXEC | put aside |
//! | `home` | nobody but the cluster, when a slot gets or loses its owner | never | the same |
//! | `call.slot` | each request that runs a script, each that a node of a cluster looks at closer; a script's commands | the next one | put aside |
//! | `routed_keys` | who asks the cluster about a request, which takes it out | put back; emptied before it is used | another is made |
//! | `unblocked` | the end of a client's waiting | before the loop sleeps, not nested | stays |
//! | `last_word`, `last_id`, `script_word`, `script_id` | a look-up by name | never: the command table does not change | stays |
//! | `clock_stale`, `Server::clock` | slow work | the next command reads the clock | the outer command's time stands still, but for what TIME says (`call`: `served_us`, which ends with the unit) |
//! | `scripts.run`, `scripts.client` (its database, user, RESP version), the caller's own in `eval_found` | `run_script` | its end (`reset_run`) | stay: they are how others are told BUSY. What others run finds that a script runs, and may not begin another |
//! | `scripts.words`, `spans`, `passed_on`, the script client's output | a command of a script | the script's next command, or its end; what a killed script leaves is dropped there | not used: others' commands come from no script |
//! | `scripts.pre_command_oom` | `may_not_run`, before a command that runs scripts and before EXEC | the next one; not while a script is slow, whose verdict it is | stays |
//! | `scripts.last_run`, `environment_changed`, `library_state` | the script that runs | the slow log, the end of the run | stay |
//! | `scripts.loading`, `scripts.debugger` | a library that loads; a session of the debugger | their end | stay; others are served in neither but when a library is slow |
//! | `evict` (when the limit was passed, what a cycle has left) | `perform_evictions` | the next one; none while a script is slow | stays |
//! | `attack_logged_s` | a request that is HTTP | never: a line a minute, whoever asks | stays |
//! | `fake_clients`, `blocked_depth` | counters | in pairs | stay |
//! | `Blocking::just_blocked` | a command that waits for keys | `call`, at once: in a unit, and from a file, nothing may wait | never set across one |
//! | `Blocking::ready` | a key that somebody waits for | after the command or the unit | put aside: served after the outer command |
//! | `Blocking::serving`, `reprocessing` | around a waiting command that runs again | the same function. Postponed by a pause, the command goes back in front of its client's query buffer | never set: what waits does not load |
//! | `Repl::feed_buf` | a command that is no raw copy | emptied before each use | never in use |
//! | reply buffers of `Clients` | a sent buffer, or a freed client's | emptied when given back | shared |
//! | `tls.scratch` | a read or a write over TLS, which takes a buffer out | given back by the same function | a new one |
//! | `Clients::pending_write`, `to_close` | replies, marks | before the loop sleeps; a client with ClientFlags::PROTECTED, whose command is the outer one, is skipped | shared |

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use crate::base::clock::CachedClock;
use crate::base::key_slot::SeveralSlots;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::cluster::home::Home;
use crate::cluster::state::Cluster;
use crate::config::value::ProtectedAction;
use crate::server::Server;
use crate::server::clients::client::Client;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::{Args, Argv, OwnedArgs};
use crate::server::execution::blocked::PauseActions;
use crate::server::execution::call_state::CallState;
use crate::server::execution::command::{
    Command, CommandFlags, CommandId, CommandRow, Guard, KeyPlaces, KeyRefs, Unbuilt,
    get_keys_for_routing,
};
use crate::server::execution::propagate::{Propagate, PropagateOp};
use crate::server::process::crash::server_panic;
use crate::server_log;
use crate::wire::ahead::Ahead;
use crate::wire::resp::Parser;

// Refusals that a script's commands get too.
pub(crate) const MASTERDOWN: &str =
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
pub(crate) const READONLY: &str = "-READONLY You can't write against a read only replica.";
pub(crate) const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

/// The state of execution.
#[derive(Default)]
pub(crate) struct Exec {
    /// What the running call has set.
    pub call: CallState,
    /// Clients whose postponed command can run again.
    pub unblocked: Vec<ClientId>,
    /// The name that was looked up last (0: none yet), and what it led to.
    last_word: u64,
    last_id: Option<CommandId>,
    /// The same for the commands that scripts call: they alternate with those that call scripts.
    script_word: u64,
    script_id: Option<CommandId>,
    /// The parser of requests that are whole in the shared read buffer.
    pub parser: Parser,
    /// The next requests of the master's stream.
    pub ahead: Ahead,
    /// Flags of the current client, as its last command left them; and whether it need not authenticate, or has.
    pub client_flags: ClientFlags,
    pub authenticated: bool,
    /// The server is in a state that may refuse commands, or somebody monitors or tracks: see [`Server::refresh_shortcuts`].
    pub unusual: bool,
    /// In cluster mode, which slots are served here.
    pub home: Option<Rc<Home>>,
    /// Where the keys of a request are collected for the cluster; nothing counts that is in it between two.
    pub routed_keys: Cell<KeyRefs>,
    /// The current client's look-ups leave LRU data alone.
    pub no_touch: bool,
    /// Clients without a connection.
    pub fake_clients: usize,
    /// How deep process_events_while_blocked is.
    pub blocked_depth: u32,
    /// The clock must be read before the next command: something slow ran since.
    pub clock_stale: bool,
    /// When the log was last told of an HTTP request, in unix seconds.
    attack_logged_s: Option<i64>,
}

/// What is to become of the connection's further requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Processed {
    /// The next request may be looked at.
    Done,
    /// The client is blocked, or about to be closed: stop here.
    Stop,
    /// Clients are paused: this very request is to be looked at again later.
    Postponed,
}

/// What a cluster says of a request.
pub(crate) enum Route {
    /// This node serves it.
    Here,
    /// It does not, and this is what the client is told.
    Elsewhere(String),
    /// It serves it, but the request has to wait: its slot is about to leave, or its key is just being sent to another node.
    Later,
}

/// Clients with one of these are looked at more closely before a command runs.
const UNUSUAL_CLIENT: ClientFlags = ClientFlags::of(&[
    ClientFlags::SLAVE,
    ClientFlags::PUBSUB,
    ClientFlags::MULTI,
    ClientFlags::RESTRICTED,
]);

/// What an error text shows of an argument: the first 128 bytes, up to a NUL, as C's formats do.
pub(crate) fn shown_part(arg: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, arg).unwrap_or(arg.len());
    &arg[..end.min(128)]
}

impl Exec {
    /// A node of a cluster serves this call and nothing is in the way: it has no keys, or all are in one slot of its. So does a server that
    /// is no such node. False: that has to be looked at.
    #[inline(always)]
    fn is_at_home(&self, row: &CommandRow, args: &Args) -> bool {
        let Some(home) = self.home.as_deref() else {
            return true;
        };
        if row.key_arg() == 0 {
            return true;
        }
        args.place(row.key_arg())
            .is_some_and(|(text, span)| home.has_key_in(text, span))
            || self.has_odd_keys_at_home(home, row, args)
    }

    /// For a key that has a buffer of its own or may be one of several; one that is not here is looked at once more, too.
    #[inline(never)]
    fn has_odd_keys_at_home(&self, home: &Home, row: &CommandRow, args: &Args) -> bool {
        let places = row.key_places(args);
        if let Some(places) = &places
            && !row.flags.contains(CommandFlags::RUNS_SCRIPT)
        {
            if places.is_empty() {
                return true;
            }
            if let Some(pos) = places.only() {
                let (text, span) = args.place_of(pos);
                return home.has_key_in(text, span);
            }
        }
        self.has_several_keys_at_home(home, places, row, args)
    }

    /// For several keys, and for a script, whose slot is noted.
    #[inline(never)]
    fn has_several_keys_at_home(
        &self,
        home: &Home,
        places: Option<KeyPlaces>,
        row: &CommandRow,
        args: &Args,
    ) -> bool {
        let Ok(slot) = self.one_slot(home, places, row.command, args) else {
            return false;
        };
        if row.flags.contains(CommandFlags::RUNS_SCRIPT) {
            self.call.slot.set(slot);
        }
        slot.is_none_or(|slot| home.has(slot))
    }

    /// What [`Self::is_at_home`] says of a request, of a command that a script calls: its keys are in the slot that is noted for the script,
    /// or make it be noted. If the script may use several slots, they only have to be this node's.
    pub(crate) fn is_at_home_of_script(
        &self,
        row: &CommandRow,
        args: &Args,
        may_cross: bool,
    ) -> bool {
        let Some(home) = self.home.as_deref() else {
            return true;
        };
        match self.one_slot(home, row.key_places(args), row.command, args) {
            Err(SeveralSlots) => false,
            Ok(None) => true,
            Ok(Some(slot)) if !home.has(slot) => false,
            Ok(_) if may_cross => true,
            Ok(slot) => {
                if self.call.slot.get().is_none() {
                    self.call.slot.set(slot);
                }
                self.call.slot.get() == slot
            }
        }
    }

    /// The slot of all keys of a call, which are at these places, or have to be searched for; none: it has no keys.
    #[inline(always)]
    fn one_slot(
        &self,
        home: &Home,
        places: Option<KeyPlaces>,
        command: &Command,
        args: &Args,
    ) -> Result<Option<u16>, SeveralSlots> {
        let Some(places) = places else {
            return self.one_slot_by_search(home, command, args);
        };
        if let Some(pos) = places.only() {
            return Ok(Some(home.slot_of(&args[pos])));
        }
        home.slot_of_all(places.map(|pos| args.place_of(pos)))
    }

    #[inline(never)]
    fn one_slot_by_search(
        &self,
        home: &Home,
        command: &Command,
        args: &Args,
    ) -> Result<Option<u16>, SeveralSlots> {
        self.with_routed_keys(command, args, |keys| {
            home.slot_of_all(keys.iter().map(|k| args.place_of(k.pos)))
        })
    }

    /// Calls `f` with what decides about the node that serves a call: see [`get_keys_for_routing`].
    pub(crate) fn with_routed_keys<R>(
        &self,
        command: &Command,
        argv: &(impl Argv + ?Sized),
        f: impl FnOnce(&KeyRefs) -> R,
    ) -> R {
        let mut keys = self.routed_keys.take();
        get_keys_for_routing(command, argv, &mut keys);
        let result = f(&keys);
        keys.clear();
        self.routed_keys.set(keys);
        result
    }
}

impl Server {
    /// Runs or refuses one request (processCommand). `Done`: the client is still there and neither blocked nor closing.
    #[inline(always)]
    pub(crate) fn process_command(&mut self, cid: ClientId, args: &Args) -> Processed {
        let Some(mut id) = self.lookup_cached(args) else {
            return self.no_such_command(cid, args);
        };
        let mut row = self.commands.row(id);
        if row.has_subcommands() && args.len() > 1 {
            match self.commands.lookup_subcommand(id, &args[1]) {
                Some(sub) => {
                    id = sub;
                    row = self.commands.row(id);
                }
                None => return self.no_such_subcommand(cid, id, args),
            }
        }
        let flags = row.flags;
        self.exec.call.cmd = Some(id);
        // A pure container without its subcommand has no proc.
        let (Some(proc), true) = (row.proc, row.accepts_argc(args.len())) else {
            let name = self.commands.full_name(id);
            let text = format!("wrong number of arguments for '{name}' command");
            return self.reject_command(cid, Some(id), &text);
        };
        let client_flags = self.exec.client_flags;
        if !self.exec.authenticated && !flags.contains(CommandFlags::NO_AUTH) {
            return self.reject_command(cid, Some(id), "-NOAUTH Authentication required.");
        }
        const LOOK: CommandFlags =
            CommandFlags::of(&[CommandFlags::PROTECTED, CommandFlags::RUNS_SCRIPT]);
        let mut flags = flags;
        if flags.intersects(LOOK) {
            if flags.contains(CommandFlags::RUNS_SCRIPT) {
                flags = self.script_command_flags(id, args, flags);
                row = self.commands.row(id);
            } else if let Some(text) = self.protected_command_error(cid, id) {
                return self.reject_command(cid, Some(id), &text);
            }
        }
        if (self.exec.unusual
            || client_flags.intersects(UNUSUAL_CLIENT)
            || !self.exec.is_at_home(row, args))
            && let Some(p) = self.look_closer(cid, id, flags, client_flags, args)
        {
            return p;
        }
        let done = self.call(cid, id, proc, flags, args);
        if self.blocking.has_ready_keys() {
            self.handle_clients_blocked_on_keys();
        }
        if flags.contains(CommandFlags::ADMIN) {
            // CONFIG, REPLICAOF, SYNC, CLIENT, MONITOR, DEBUG: what the shortcuts assume may have changed.
            self.refresh_shortcuts(cid);
        }
        done
    }

    /// Looks once at what most commands need not look at each: whether the server is in any state that may refuse a command
    /// or shows it to others. To be called before the requests of a read, and after whatever may change it: a command with
    /// ADMIN, one that changes its client's flags for its look-ups or its tracking, a nested turn of the event loop.
    #[inline]
    pub(crate) fn refresh_shortcuts(&mut self, cid: ClientId) {
        let unsettled = |c: &Cluster| !c.is_settled() || !self.slot_migrations.is_idle();
        let unusual = self.repl.master_host.is_some()
            || self.loading.is_some()
            || !self.pause.actions.is_empty()
            || self.persist.last_bgsave_failed
            || self.aof.write_error().is_some()
            || self.config.min_replicas_to_write > 0
            || self.config.maxmemory != 0
            || self.config.maxmemory_clients != 0
            || !self.clients.monitors.is_empty()
            || self.tracking.clients() > 0
            || self.persist.inline.is_some()
            || self.scripts.run.is_some()
            || self.cluster.as_deref().is_some_and(unsettled);
        self.exec.unusual = unusual;
        if let Some(c) = self.clients.get(cid) {
            self.exec.client_flags = c.flags;
            self.exec.authenticated = c.authenticated || self.acl.is_open();
        }
        self.exec.call.client = Some(cid);
        // An error that nobody's command was answered with (a time-out's, say) is not that of the next one.
        self.exec.call.forget_error_reply();
        self.refresh_no_touch();
    }

    /// Whether the current client's look-ups leave LRU data alone. To be called when a child begins or ends: that can be in
    /// the middle of any command.
    pub(crate) fn refresh_no_touch(&mut self) {
        let client = self.exec.call.client;
        let c = client.and_then(|cid| self.clients.get(cid));
        self.exec.no_touch =
            self.has_forked_child() || c.is_some_and(|c| c.has(ClientFlags::NO_TOUCH));
    }

    /// The command that is called; pipelines repeat one, so the last is tried first.
    #[inline]
    fn lookup_cached(&mut self, args: &Args) -> Option<CommandId> {
        let word = args.short_name();
        if word != 0 && word == self.exec.last_word {
            return self.exec.last_id;
        }
        self.lookup_named(word, args)
    }

    /// The command that a script calls.
    #[inline]
    pub(crate) fn lookup_for_script(&mut self, args: &Args) -> Option<CommandId> {
        let word = args.short_name();
        if word != 0 && word == self.exec.script_word {
            return self.exec.script_id;
        }
        let id = self.commands.lookup(&args[0])?;
        if word != 0 {
            (self.exec.script_word, self.exec.script_id) = (word, Some(id));
        }
        Some(id)
    }

    #[inline(never)]
    fn lookup_named(&mut self, word: u64, args: &Args) -> Option<CommandId> {
        let id = self.commands.lookup(&args[0])?;
        if word != 0 {
            self.exec.last_word = word;
            self.exec.last_id = Some(id);
        }
        Some(id)
    }

    /// The rights of a restricted client, and what else may be in the way. `None`: the command may run.
    #[inline(never)]
    fn look_closer(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        client_flags: ClientFlags,
        args: &Args,
    ) -> Option<Processed> {
        let others = UNUSUAL_CLIENT.difference(ClientFlags::RESTRICTED);
        if self.exec.unusual || client_flags.intersects(others) {
            return self.may_not_run(cid, id, flags, client_flags, args);
        }
        if client_flags.intersects(ClientFlags::RESTRICTED) {
            if let Some(refused) = self.refused_by_rights(cid, id, args) {
                return Some(refused);
            }
            if self.exec.is_at_home(self.commands.row(id), args) {
                return None;
            }
        }
        self.redirected(cid, id, flags, client_flags, args)
    }

    /// Refuses a command that a restricted client may not run.
    #[inline]
    fn refused_by_rights(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
    ) -> Option<Processed> {
        let text = self.acl_refusal(cid, id, args)?;
        Some(self.reject_command(cid, Some(id), &text))
    }

    /// Sends a client to the node that has its keys, if that is another one.
    #[inline]
    fn redirected(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        client_flags: ClientFlags,
        args: &Args,
    ) -> Option<Processed> {
        let text = match self.cluster_redirection(cid, id, args, flags, client_flags) {
            Route::Here => return None,
            Route::Elsewhere(text) => text,
            Route::Later => {
                self.block_postpone_client(cid);
                return Some(Processed::Postponed);
            }
        };
        self.flag_transaction(cid);
        if flags.contains(CommandFlags::RUNS_QUEUED) {
            self.discard_transaction(cid);
        }
        self.commands.stats_mut(id).rejected_calls += 1;
        if let Some(c) = self.clients.get_mut(cid) {
            c.last_cmd = Some(id);
        }
        self.add_reply_error(cid, &text);
        Some(self.after_rejected_command(cid))
    }

    /// The checks that depend on the state of the server or of the client; inside MULTI the command is queued. `None`: it
    /// may run.
    #[inline]
    fn may_not_run(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        client_flags: ClientFlags,
        args: &Args,
    ) -> Option<Processed> {
        let multi = client_flags.intersects(ClientFlags::MULTI);
        let mut counted = flags;
        if multi {
            if flags.contains(CommandFlags::NO_MULTI) {
                let text = "Command not allowed inside a transaction";
                return Some(self.reject_command(cid, Some(id), text));
            }
            counted = self.flags_inside_multi(cid, flags);
        }
        if client_flags.intersects(ClientFlags::RESTRICTED)
            && let Some(refused) = self.refused_by_rights(cid, id, args)
        {
            return Some(refused);
        }
        if self.config.cluster_enabled
            && !client_flags.intersects(ClientFlags::MASTER)
            && let Some(redirected) = self.redirected(cid, id, flags, client_flags, args)
        {
            return Some(redirected);
        }
        if self.persist.inline.is_some()
            && (!multi || flags.contains(CommandFlags::RUNS_QUEUED))
            && self.snapshot_holds_back(cid, id, counted, args)
        {
            self.block_postpone_client(cid);
            return Some(Processed::Postponed);
        }
        if self.config.maxmemory_clients != 0 && !self.survives_client_eviction(cid) {
            return Some(Processed::Stop);
        }
        // Others who are served while a script is slow find its memory, and its own verdict on it, as they are.
        if self.config.maxmemory != 0 && !self.scripts.is_timed_out() {
            let fits = self.has_memory_for(cid, counted.contains(CommandFlags::DENYOOM));
            if self.exec.call.has_push_messages() {
                // What it is told of evicted keys is about the time before the command.
                self.send_pending_push_messages(cid);
            }
            if flags.contains(CommandFlags::RUNS_SCRIPT) || multi {
                self.scripts.pre_command_oom = self.memory_above_limit() > 0;
            }
            if !fits {
                return Some(self.reject_command(cid, Some(id), OOM));
            }
        }
        if self.tracking.clients() > 0 {
            self.tracking_before_command(cid);
        }
        if client_flags.intersects(ClientFlags::MASTER)
            && counted.contains(CommandFlags::WRITE)
            && (self.persist.last_bgsave_failed || self.aof.write_error().is_some())
        {
            self.master_writes_despite_disk_error();
        }
        if !client_flags.intersects(ClientFlags::MASTER) || self.loading.is_some() {
            let refused = self.may_refuse(cid, id, counted, client_flags);
            if refused.is_some() {
                return refused;
            }
        }
        if !self.pause.actions.is_empty() && self.is_postponed(counted, client_flags) {
            self.block_postpone_client(cid);
            return Some(Processed::Postponed);
        }
        (multi && self.queue_inside_multi(cid, id, flags, args))
            .then(|| self.after_rejected_command(cid))
    }

    /// The checks that depend on the server's state. `None`: the command may run.
    #[inline]
    fn may_refuse(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        client_flags: ClientFlags,
    ) -> Option<Processed> {
        let obey = client_flags.intersects(ClientFlags::MASTER);
        if flags.contains(CommandFlags::WRITE) && !obey {
            if let Some(text) = self.write_refused() {
                return Some(self.reject_command(cid, Some(id), &text));
            }
        } else if (self.persist.last_bgsave_failed || self.aof.write_error().is_some())
            && !obey
            && flags.contains(CommandFlags::TELLS_DISK_ERROR)
            && let Some(text) = self.denied_by_disk_error()
        {
            return Some(self.reject_command(cid, Some(id), &text));
        }
        if client_flags.intersects(ClientFlags::PUBSUB)
            && self.clients.resp_version(cid) == 2
            && !flags.contains(CommandFlags::ALLOWED_IN_PUBSUB)
        {
            let text = format!(
                "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
                 context",
                self.commands.full_name(id)
            );
            return Some(self.reject_command(cid, Some(id), &text));
        }
        if self.is_stale() && !flags.contains(CommandFlags::STALE) {
            return Some(self.reject_command(cid, Some(id), MASTERDOWN));
        }
        let refused = self.loading.as_ref().is_some_and(|l| match l.is_async {
            // The old data set is still served.
            true => flags.contains(CommandFlags::NO_ASYNC_LOADING),
            false => !flags.contains(CommandFlags::LOADING),
        });
        if refused {
            return Some(self.reject_command(
                cid,
                Some(id),
                "-LOADING Redis is loading the dataset in memory",
            ));
        }
        if self.scripts.is_timed_out() && !flags.contains(CommandFlags::ALLOW_BUSY) {
            let text = self.busy_script_error();
            return Some(self.reject_command(cid, Some(id), text));
        }
        if client_flags.intersects(ClientFlags::SLAVE)
            && flags.intersects(
                CommandFlags::MAY_REPLICATE | CommandFlags::WRITE | CommandFlags::READONLY,
            )
        {
            return Some(self.reject_command(
                cid,
                Some(id),
                "Replica can't interact with the keyspace",
            ));
        }
        None
    }

    /// Whether a pause holds this command back; our master's too, but never a replica's.
    #[cold]
    fn is_postponed(&self, flags: CommandFlags, client_flags: ClientFlags) -> bool {
        let a = self.pause.actions;
        let writes = flags.intersects(CommandFlags::WRITE | CommandFlags::MAY_REPLICATE);
        !client_flags.intersects(ClientFlags::SLAVE)
            && (a.intersects(PauseActions::CLIENT_ALL)
                || (a.intersects(PauseActions::CLIENT_WRITE) && writes))
    }

    /// The data of a broken link are not to be served.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.repl.master_host.is_some()
            && !self.repl.link.is_connected()
            && !self.config.replica_serve_stale_data
    }

    /// Why a write is refused to a normal client now, if it is.
    #[inline]
    fn write_refused(&self) -> Option<Cow<'static, str>> {
        if self.persist.last_bgsave_failed || self.aof.write_error().is_some() {
            let denied = self.denied_by_disk_error();
            if denied.is_some() {
                return denied;
            }
        }
        if self.repl.master_host.is_some() {
            if self.config.replica_read_only {
                return Some(READONLY.into());
            }
            return None;
        }
        self.too_few_good_replicas().map(Cow::Borrowed)
    }

    /// Not enough replicas take part to accept writes (checkGoodReplicasStatus).
    pub(crate) fn too_few_good_replicas(&self) -> Option<&'static str> {
        let few = self.config.min_replicas_to_write > 0
            && self.config.min_replicas_max_lag > 0
            && self.repl.master_host.is_none()
            && self.repl.good_slaves_count < self.config.min_replicas_to_write;
        few.then_some("-NOREPLICAS Not enough good replicas to write.")
    }

    /// A save or a write of the append-only file failed, and the configuration takes that for a reason to refuse
    /// (writeCommandsDeniedByDiskError).
    #[cold]
    pub(crate) fn denied_by_disk_error(&self) -> Option<Cow<'static, str>> {
        let denied = self.persist.last_bgsave_failed
            && self.config.stop_writes_on_bgsave_error
            && !self.config.save.is_empty();
        if let Some(errno) = self.aof.write_error().filter(|_| !denied) {
            let e = std::io::Error::from_raw_os_error(errno);
            let text = format!("-MISCONF Errors writing to the AOF file: {}", strerror(&e));
            return Some(text.into());
        }
        denied.then_some(Cow::Borrowed(
            "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
             Commands that may modify the data set are disabled, because this instance is configured to report \
             errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the \
             Redis logs for details about the RDB error.",
        ))
    }

    /// What the master has done is done: it cannot be refused, only applied without being kept, or not at all
    /// (`replica-ignore-disk-write-errors`).
    #[cold]
    fn master_writes_despite_disk_error(&mut self) {
        const LOG_INTERVAL_MS: i64 = 10_000;
        if self.denied_by_disk_error().is_none() {
            return;
        }
        if !self.config.replica_ignore_disk_write_errors {
            server_panic(&self.config, "Replica was unable to write command to disk.");
        }
        let now = self.clock.unix_ms;
        if now > self.repl.disk_error_logged_ms + LOG_INTERVAL_MS {
            self.repl.disk_error_logged_ms = now;
            server_log!(
                Level::Warning,
                "Replica is applying a command even though it is unable to write to disk."
            );
        }
    }

    /// Refuses a request before it runs (rejectCommand).
    #[cold]
    pub(crate) fn reject_command(
        &mut self,
        cid: ClientId,
        id: Option<CommandId>,
        text: &str,
    ) -> Processed {
        self.flag_transaction(cid);
        if let Some(id) = id {
            self.commands.stats_mut(id).rejected_calls += 1;
            if let Some(c) = self.clients.get_mut(cid) {
                c.last_cmd = Some(id);
            }
        }
        let flags = id.map_or(CommandFlags::empty(), |id| self.commands.row(id).flags);
        if flags.contains(CommandFlags::RUNS_QUEUED) {
            self.exec_command_abort(cid, text);
        } else {
            self.add_reply_error(cid, text);
        }
        self.after_rejected_command(cid)
    }

    /// What a client has called last was no command.
    fn forget_command(&mut self, cid: ClientId) {
        self.exec.call.cmd = None;
        if let Some(c) = self.clients.get_mut(cid) {
            c.last_cmd = None;
        }
    }

    #[cold]
    fn no_such_command(&mut self, cid: ClientId, args: &Args) -> Processed {
        self.forget_command(cid);
        if args.is(0, "host:") || args.is(0, "post") {
            return self.security_warning(cid);
        }
        if let Some(unbuilt) = self.commands.lookup_unbuilt(&args[0]) {
            return self.unbuilt_command(cid, unbuilt);
        }
        let mut text = b"unknown command '".to_vec();
        text.extend_from_slice(shown_part(&args[0]));
        text.extend_from_slice(b"', with args beginning with: ");
        let mut shown = 0;
        for i in 1..args.len() {
            if shown >= 128 {
                break;
            }
            let a = shown_part(&args[i]);
            let a = &a[..a.len().min(128 - shown)];
            let before = text.len();
            text.push(b'\'');
            text.extend_from_slice(a);
            text.extend_from_slice(b"' ");
            shown += text.len() - before;
        }
        self.flag_transaction(cid);
        self.add_reply_error_bytes(cid, &text);
        self.after_rejected_command(cid)
    }

    /// A browser was tricked into talking to us (securityWarningCommand). The log hears of it once a minute: it must not be
    /// possible to fill it.
    #[cold]
    fn security_warning(&mut self, cid: ClientId) -> Processed {
        const LOG_INTERVAL_S: i64 = 60;
        let now = self.clock.unix_s;
        let before = self.exec.attack_logged_s.replace(now);
        if before.is_none_or(|t| (now - t).abs() > LOG_INTERVAL_S) {
            let peer = self.client_peer(cid);
            server_log!(
                Level::Warning,
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
                 This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
                 instance. Connection from {} aborted.",
                peer
            );
        } else {
            self.exec.attack_logged_s = before;
        }
        self.free_client_async(cid);
        Processed::Stop
    }

    /// A command of 7.2 that is not built says so.
    #[cold]
    fn unbuilt_command(&mut self, cid: ClientId, unbuilt: &Unbuilt) -> Processed {
        if !self.exec.authenticated {
            return self.reject_command(cid, None, "-NOAUTH Authentication required.");
        }
        let text = format!(
            "'{}' needs {}, which this version does not have yet",
            unbuilt.name, unbuilt.feature
        );
        self.reject_command(cid, None, &text)
    }

    #[cold]
    fn no_such_subcommand(&mut self, cid: ClientId, parent: CommandId, args: &Args) -> Processed {
        self.forget_command(cid);
        if let Some(unbuilt) = self.commands.lookup_unbuilt_subcommand(parent, &args[1]) {
            return self.unbuilt_command(cid, unbuilt);
        }
        let mut text = b"unknown subcommand '".to_vec();
        text.extend_from_slice(shown_part(&args[1]));
        text.extend_from_slice(b"'. Try ");
        text.extend(
            self.commands
                .full_name(parent)
                .bytes()
                .map(|b| b.to_ascii_uppercase()),
        );
        text.extend_from_slice(b" HELP.");
        self.flag_transaction(cid);
        self.add_reply_error_bytes(cid, &text);
        self.after_rejected_command(cid)
    }

    /// Whether a protected directive or command may be used over this connection (allowProtectedAction).
    pub(crate) fn allow_protected_action(&self, action: ProtectedAction, cid: ClientId) -> bool {
        match action {
            ProtectedAction::Yes => true,
            ProtectedAction::No => false,
            ProtectedAction::Local => self.client_is_local(cid),
        }
    }

    /// A connection from this host: a Unix socket or a loopback address; fake clients are ourselves.
    pub(crate) fn client_is_local(&self, cid: ClientId) -> bool {
        let Some(c) = self.clients.get(cid) else {
            return false;
        };
        if c.has(ClientFlags::UNIX_SOCKET) {
            return true;
        }
        let Some(conn) = &c.conn else {
            return true;
        };
        conn.peer_addr()
            .ok()
            .and_then(|a| a.as_socket())
            .is_some_and(|a| match a.ip() {
                std::net::IpAddr::V4(ip) => ip.is_loopback(),
                std::net::IpAddr::V6(ip) => {
                    ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
                }
            })
    }

    fn protected_command_error(&self, cid: ClientId, id: CommandId) -> Option<String> {
        let (name, action) = match self.commands.command(id).guard? {
            Guard::Debug => ("DEBUG", self.config.enable_debug_command),
        };
        if self.allow_protected_action(action, cid) {
            return None;
        }
        Some(format!(
            "{} command not allowed. If the enable-{}-command option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the server.",
            name,
            name.to_ascii_lowercase()
        ))
    }

    /// Runs a command, counts it, and propagates its effect (call).
    #[inline(always)]
    pub(crate) fn call(
        &mut self,
        cid: ClientId,
        id: CommandId,
        proc: crate::server::execution::command::Proc,
        flags: CommandFlags,
        args: &Args,
    ) -> Processed {
        if self.exec.clock_stale {
            self.exec.clock_stale = false;
            self.update_cached_time();
        }
        let start_us = self.clock.unix_us;
        let dirty = self.dirty;
        proc(self, cid, args);

        // The one clock read of a command: its end is the next one's start.
        self.clock = CachedClock::new();
        let us = (self.clock.unix_us - start_us).max(0) as u64;
        if self.blocking.just_blocked {
            self.after_blocking_call(cid, us);
        } else {
            self.stats.cmd_us += us;
            self.account(cid, id, flags, args, us);
        }
        if self.exec.unusual {
            self.after_watched_call(cid, id, flags, args);
        }
        let mut woff = None;
        // SAVE sets it back to zero: that is no change to propagate.
        let changed = self.dirty > dirty;
        if changed || self.exec.call.has_leftovers() {
            let before = self.repl.log.master_repl_offset();
            if self.exec.unusual || self.exec.call.has_leftovers() || !self.nobody_listens() {
                self.propagate_call(cid, args, changed);
            }
            let after = self.repl.log.master_repl_offset();
            woff = (after != before).then_some(after);
        }
        if self.exec.call.has_leftovers() {
            let own = self.exec.call.end_command();
            if own.error_reply_sent {
                self.commands.stats_mut(id).failed_calls += 1;
            }
            if self.exec.call.has_push_messages() {
                self.send_pending_push_messages(cid);
            }
        }
        let Some(c) = self.clients.get_mut(cid) else {
            return Processed::Stop;
        };
        c.last_cmd = Some(id);
        self.exec.client_flags = c.flags;
        if let Some(offset) = woff {
            // What this client has written ends here: WAIT waits for it.
            c.woff = offset;
        }
        if !c.out.list.is_empty() {
            return self.after_rejected_command(cid);
        }
        const LOOK: ClientFlags = ClientFlags::of(&[
            ClientFlags::REPLY_SKIP,
            ClientFlags::REPLY_SKIP_NEXT,
            ClientFlags::ASKING,
            ClientFlags::ASKING_NEXT,
            ClientFlags::CLOSE_ASAP,
            ClientFlags::CLOSE_AFTER_REPLY,
            ClientFlags::BLOCKED,
        ]);
        if !c.has(LOOK) {
            return Processed::Done;
        }
        let done = Self::after_unusual_command(c);
        self.exec.client_flags = c.flags;
        done
    }

    /// Counts a command that has run for `us` microseconds, and remembers it where it was slow.
    #[inline(always)]
    fn account(&mut self, cid: ClientId, id: CommandId, flags: CommandFlags, args: &Args, us: u64) {
        self.count(cid, id, flags, args, us);
        if self.config.latency_monitor_threshold != 0 {
            self.sample_command_latency(flags, us);
        }
    }

    /// As [`Server::account`], but for the latency monitor: its event of those who have waited is about modules' replies.
    #[inline(always)]
    pub(super) fn count(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        args: &Args,
        us: u64,
    ) {
        let stats = self.commands.stats_mut(id);
        stats.calls += 1;
        stats.microseconds += us;
        self.stats.num_commands += 1;
        if self.config.latency_tracking {
            stats
                .latency
                .get_or_insert_default()
                .record(us.wrapping_mul(1000));
        }
        // A negative threshold switches the log off: as an unsigned number it is out of reach.
        if us >= self.config.slowlog_log_slower_than as u64
            && !flags.contains(CommandFlags::SKIP_SLOWLOG)
        {
            self.slowlog_push_entry_if_needed(cid, args, us);
        }
    }

    /// The command is shown to those who monitor, and what it has read is noted for those who track.
    #[inline(never)]
    fn after_watched_call(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        args: &Args,
    ) {
        if !self.clients.monitors.is_empty()
            && !flags.intersects(CommandFlags::SKIP_MONITOR | CommandFlags::ADMIN)
            && !self.blocking.is_reprocessing(cid)
        {
            self.replication_feed_monitors(cid, args);
        }
        if self.tracking.clients() > 0 {
            self.tracking_after_call(id, flags, args);
        }
    }

    /// The latency monitor has two events for commands: one for those that should never take long.
    #[cold]
    fn sample_command_latency(&mut self, flags: CommandFlags, us: u64) {
        let event = if flags.contains(CommandFlags::FAST) {
            "fast-command"
        } else {
            "command"
        };
        self.latency_add_sample_if_needed(event, (us / 1000) as i64);
    }

    /// The end of a command that was refused, or of one that left more output than its client's first buffer holds.
    #[inline(never)]
    fn after_rejected_command(&mut self, cid: ClientId) -> Processed {
        // It counts as rejected, not as failed.
        self.exec.call.forget_error_reply();
        // Output gathers while a pipeline runs: the limits are looked at after each command.
        self.close_client_on_output_buffer_limit_reached(cid);
        if self.tracking.clients() > 0 {
            self.tracking_forget_caching(cid);
        }
        if self.exec.call.has_push_messages() {
            self.send_pending_push_messages(cid);
        }
        match self.clients.get_mut(cid) {
            Some(c) => {
                let done = Self::after_unusual_command(c);
                self.exec.client_flags = c.flags;
                done
            }
            None => Processed::Stop,
        }
    }

    #[cold]
    fn after_unusual_command(c: &mut Client) -> Processed {
        if c.block.is_some() {
            // It is not over: the reply comes when the waiting ends.
            return Processed::Stop;
        }
        c.shift_reply_skip();
        match c.has(ClientFlags::CLOSE_ASAP | ClientFlags::CLOSE_AFTER_REPLY) {
            true => Processed::Stop,
            false => Processed::Done,
        }
    }

    /// An empty request is one, too, for what is said of the next one only (resetClient).
    #[cold]
    pub(in crate::server) fn after_empty_request(&mut self, cid: ClientId) {
        self.exec.call.cmd = None;
        if self.tracking.clients() > 0 {
            self.tracking_forget_caching(cid);
        }
        if let Some(c) = self.clients.get_mut(cid) {
            c.shift_reply_skip();
            self.exec.client_flags = c.flags;
        }
    }

    /// A command that has waited is over, its reply written (resetClient).
    #[cold]
    pub(in crate::server) fn after_waiting(&mut self, cid: ClientId) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.shift_reply_skip();
            c.flags.remove(ClientFlags::TRACKING_CACHING);
        }
    }

    /// Queues the running command behind what it propagates besides, or sends it at once when there is nothing else.
    fn propagate_call(&mut self, cid: ClientId, args: &Args, changed: bool) {
        let target = self.exec.call.own().propagation_target(changed);
        if !target.is_empty() {
            let db = self.clients.get(cid).map_or(0, |c| c.db);
            let rewrite = self.exec.call.own().rewrite.take();
            if !self.exec.call.has_queued() {
                match rewrite {
                    Some(w) => self.propagate_now(Some(db), &w.as_args(), target),
                    None => self.propagate_now(Some(db), args, target),
                }
                return;
            }
            if self.should_propagate(target) {
                let args = rewrite.unwrap_or_else(|| args.to_owned());
                self.exec.call.queue(PropagateOp { db, args, target });
            }
        }
        self.propagate_pending_commands();
    }

    /// Runs a queued command within the unit of another one (call, when it is nested): it has its own counters, the clock
    /// of the unit stands still, and what it changes is propagated when the unit ends, where `allowed` (PROPAGATE_*) says.
    /// `start_us` is the end of the one before it, in unix us; returns its own end.
    pub(crate) fn call_in_unit(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
        start_us: i64,
        allowed: Propagate,
    ) -> i64 {
        let row = self.commands.row(id);
        let (flags, Some(proc)) = (row.flags, row.proc) else {
            return start_us;
        };
        let outer = self.exec.call.begin_nested(id);
        let dirty = self.dirty;
        proc(self, cid, args);
        if flags.contains(CommandFlags::ADMIN) {
            // CLUSTER SETSLOT: what the unit's next commands, and the next request, may do has to be looked at.
            self.exec.unusual = true;
        }
        let end_us = CachedClock::new().unix_us;
        let us = (end_us - start_us).max(0) as u64;
        self.account(cid, id, flags, args, us);
        self.after_watched_call(cid, id, flags, args);
        let own = self.exec.call.end_nested(outer).unwrap_or_default();
        self.commands.stats_mut(id).failed_calls += u64::from(own.error_reply_sent);
        let target = own.propagation_target(self.dirty > dirty) & allowed;
        if self.should_propagate(target) {
            let words = own.rewrite.unwrap_or_else(|| args.to_owned());
            let db = self.client_db(cid);
            self.also_propagate(db, words, target);
        }
        if self
            .clients
            .get(cid)
            .is_some_and(|c| !c.out.list.is_empty())
        {
            self.close_client_on_output_buffer_limit_reached(cid);
        }
        end_us
    }

    /// Runs a command that was read from a file: no check, no statistics, nothing propagated.
    pub(crate) fn run_loaded_command(&mut self, cid: ClientId, id: CommandId, args: &Args) {
        let row = self.commands.row(id);
        let Some(proc) = row.proc else {
            return;
        };
        let flags = row.flags;
        self.exec.call.cmd = Some(id);
        let multi = self
            .clients
            .get(cid)
            .is_some_and(|c| c.has(ClientFlags::MULTI));
        if multi && self.queue_inside_multi(cid, id, flags, args) {
            return;
        }
        proc(self, cid, args);
        if self.exec.call.has_leftovers() {
            self.exec.call.end_command();
        }
    }

    /// The running command is not propagated, whatever it changes (preventCommandPropagation); what it queues itself is.
    pub(crate) fn prevent_command_propagation(&mut self) {
        self.exec.call.prevent_propagation();
    }

    /// The running command is propagated there (PROPAGATE_*) even if it changes nothing (forceCommandPropagation).
    pub(crate) fn force_command_propagation(&mut self, target: Propagate) {
        self.exec.call.force_propagation(target);
    }

    /// The running command is to be propagated as these words (rewriteClientCommandVector).
    pub(crate) fn rewrite_client_command_vector(&mut self, args: &[&[u8]]) {
        if self.exec.call.is_rewritten() || self.propagation_wanted() {
            self.exec.call.rewrite_as(OwnedArgs::from_slices(args));
        }
    }
}
