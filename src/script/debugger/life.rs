//! The beginning and the end of a session, its process where it has one, and SCRIPT DEBUG (ldbStartSession to
//! ldbKillForkedSessions of eval.c).
//!
//! A forked session is a copy of the server that runs one script and ends: what the script does is seen by nobody else, reaches no
//! file and no replica. The client's connection is the copy's from then on. It ends with the server, whichever way that does.

use std::os::fd::AsRawFd;

use crate::base::clock::monotonic_us;
use crate::base::log::{self, Level, Role};
use crate::base::sys::{self, strerror};
use crate::script::debugger::calls::session;
use crate::script::debugger::session::Session;
use crate::script::debugger::wire::{self, Wire};
use crate::script::eval::extract_shebang_flags;
use crate::script::flags::Engine;
use crate::script::machine::{Machine, USER_SCRIPT};
use crate::script::run::Invocation;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::process::oom_score::ProcessClass;
use crate::server_log;

impl Server {
    /// Whether the client has asked for its scripts to be debugged.
    #[inline]
    pub(in crate::script) fn is_debugging(&self, cid: ClientId) -> bool {
        self.clients
            .get(cid)
            .is_some_and(|c| c.has(ClientFlags::LUA_DEBUG))
    }

    /// Its scripts run as others do (ldbDisable).
    fn ldb_disable(&mut self, cid: ClientId) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags &= !(ClientFlags::LUA_DEBUG | ClientFlags::LUA_DEBUG_SYNC);
        }
    }

    /// EVAL of a client that debugs (evalGenericCommandWithDebugging).
    #[cold]
    pub(in crate::script) fn eval_with_debugging(
        &mut self,
        cid: ClientId,
        args: &Args,
        evalsha: bool,
        read_only: bool,
    ) {
        if evalsha {
            let text = "Please use EVAL instead of EVALSHA for debugging";
            return self.add_reply_error(cid, text);
        }
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let sync = c.has(ClientFlags::LUA_DEBUG_SYNC);
        let conn = match c.conn.as_ref().map(Connection::try_clone) {
            Some(Ok(conn)) => conn,
            Some(Err(e)) => {
                let text = format!("can't run EVAL in debugging mode: {}", strerror(&e));
                return self.add_reply_error(cid, &text);
            }
            None => return self.add_reply_error(cid, "a client without a connection cannot debug"),
        };
        if !c.has(ClientFlags::DENY_BLOCKING) && !c.out.is_empty() {
            // What was replied before comes before what the session says. In a transaction the array has begun already.
            self.flush_append_only_file(false);
            self.flush_output(cid, &conn);
        }
        if sync {
            server_log!(
                Level::Notice,
                "Redis synchronous debugging eval session started"
            );
            self.run_session(cid, args, read_only, conn);
            return self.end_sync_session(cid);
        }
        let start = monotonic_us();
        let parent = sys::getpid();
        let forked = sys::fork(|| {
            sys::die_with_parent(parent);
            self.run_forked_session(cid, args, read_only, conn)
        });
        match forked {
            Ok(pid) => {
                self.note_fork(start);
                self.scripts.sessions.push(pid);
                if let Some(c) = self.clients.get_mut(cid) {
                    c.flags |= ClientFlags::HANDED_OVER;
                }
                self.free_client_async(cid);
            }
            Err(e) => {
                let text = format!(
                    "Fork() failed: can't run EVAL in debugging mode: {}",
                    strerror(&e)
                );
                self.add_reply_error(cid, &text);
            }
        }
        self.ldb_disable(cid);
    }

    /// Writes what there is for the client, for a bounded time; a client that does not take it ends there.
    fn flush_output(&mut self, cid: ClientId, conn: &Connection) {
        let end = wire::send_bound();
        while self.client_has_pending_replies(cid) {
            if !self.write_to_client(cid) {
                return;
            }
            let blocked = self.client_has_pending_replies(cid);
            if blocked && wire::wait_writable(conn, end).is_err() {
                return self.free_client_async(cid);
            }
        }
    }

    /// The script, from its first line to `<endsession>`.
    fn run_session(&mut self, cid: ClientId, args: &Args, read_only: bool, conn: Connection) {
        let begun = Session::new(Wire::new(conn), &args[1]);
        self.scripts.debugger = Some(Box::new(begun));
        self.eval_script(cid, args, false, read_only);
        if let Some(s) = session(self) {
            s.log("<endsession>");
            s.wire.send_logs();
        }
    }

    /// Runs script `i` of the cache as its user has written it.
    pub(in crate::script) fn eval_debugged(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: usize,
        mut machine: Box<Machine>,
        i: usize,
        read_only: bool,
    ) -> Box<Machine> {
        let script = self.scripts.cache.get(i);
        let (name, flags, usage) = (script.sha.clone(), script.flags, script.usage.clone());
        let body = script.body.clone();
        // What the first line declares is no Lua. It is right: the cache has the script.
        let shebang = extract_shebang_flags(&body).map_or(0, |(_, len)| len);
        let function = match machine.compile_plain(&body[shebang..], USER_SCRIPT) {
            Ok(function) => function,
            Err(problem) => {
                self.add_reply_error_bytes(cid, &problem);
                return machine;
            }
        };
        machine.set_words(args, keys);
        machine.push_call(&function);
        let call = Invocation {
            caller: cid,
            engine: Engine::Eval,
            name,
            flags,
            usage,
            read_only,
            args,
        };
        let mut machine = self.run_script(machine, &function, &call);
        machine.lua.drop_kept(function);
        machine
    }

    /// The server goes on; the client is closed behind its reply.
    fn end_sync_session(&mut self, cid: ClientId) {
        server_log!(
            Level::Notice,
            "Redis synchronous debugging eval session ended"
        );
        let session = self.scripts.debugger.take();
        self.ldb_disable(cid);
        // Whoever thinks lets time pass.
        self.exec.clock_stale = true;
        match session {
            // What is half sent cannot be gone on with.
            Some(s) if s.wire.is_gone() => self.free_client_async(cid),
            _ => self.close_after_reply(cid),
        }
    }

    /// The whole life of the process of a session.
    fn run_forked_session(
        &mut self,
        cid: ClientId,
        args: &Args,
        read_only: bool,
        conn: Connection,
    ) -> i32 {
        log::set_role(Role::Child);
        sys::ignore_shutdown_signals();
        // A failure is in the log.
        let _ = self.set_oom_score_adj(ProcessClass::Child);
        self.part_from_server(cid);
        server_log!(Level::Notice, "Redis forked for debugging eval");
        self.run_session(cid, args, read_only, conn);
        if let Some(session) = self.scripts.debugger.take()
            && !session.wire.is_gone()
        {
            self.flush_output(cid, session.wire.conn());
            session.wire.end();
        }
        server_log!(Level::Notice, "Lua debugging session child exiting");
        0
    }

    /// A copy of the server is not one: what it shares with it is left alone. Connections that end there are not held open here,
    /// FLUSHALL neither ends the server's save nor replaces its file, and what threads do is done by threads of its own.
    fn part_from_server(&mut self, cid: ClientId) {
        self.close_inherited_listening_sockets();
        let fds: Vec<_> = self
            .clients
            .iter()
            .filter(|c| c.cid != cid)
            .filter_map(|c| c.conn.as_ref())
            .map(AsRawFd::as_raw_fd)
            .collect();
        sys::detach(&fds);
        self.forget_inline();
        self.persist.child = None;
        self.config.save.clear();
        std::mem::forget(std::mem::take(&mut self.persist.lazyfree));
        self.migrate = Default::default();
    }

    // The server's side ------------------------------------------------------------------------------------------------

    /// Takes note of sessions that have ended.
    #[inline]
    pub(crate) fn reap_debug_sessions(&mut self) {
        if !self.scripts.sessions.is_empty() {
            self.scripts.sessions.retain(|pid| !sys::has_ended(*pid));
        }
    }

    /// Whether the process that was reaped was a session's, which is over then (ldbRemoveChild).
    pub(crate) fn ldb_remove_child(&mut self, pid: i32) -> bool {
        let before = self.scripts.sessions.len();
        self.scripts.sessions.retain(|p| *p != pid);
        self.scripts.sessions.len() < before
    }

    /// The server ends, and all sessions with it (ldbKillForkedSessions).
    pub(crate) fn ldb_kill_forked_sessions(&mut self) {
        self.reap_debug_sessions();
        for pid in std::mem::take(&mut self.scripts.sessions) {
            server_log!(Level::Notice, "Killing debugging session {}", pid);
            let _ = sys::kill(pid, sys::SIGKILL);
            sys::wait_for(pid);
        }
    }
}

/// SCRIPT DEBUG YES|SYNC|NO
pub(crate) fn script_debug_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.client_has_pending_replies(cid) {
        let text = "SCRIPT DEBUG must be called outside a pipeline";
        return server.add_reply_error(cid, text);
    }
    let flags = match () {
        () if args.is(2, "no") => ClientFlags::empty(),
        () if args.is(2, "yes") => ClientFlags::LUA_DEBUG,
        () if args.is(2, "sync") => ClientFlags::LUA_DEBUG | ClientFlags::LUA_DEBUG_SYNC,
        () => return server.add_reply_error(cid, "Use SCRIPT DEBUG YES/SYNC/NO"),
    };
    if let Some(c) = server.clients.get_mut(cid) {
        c.flags &= !(ClientFlags::LUA_DEBUG | ClientFlags::LUA_DEBUG_SYNC);
        c.flags |= flags;
    }
    server.add_reply_ok(cid);
}
