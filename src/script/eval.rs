//! EVAL, EVALSHA, their read-only forms, and SCRIPT (eval.c).

use std::rc::Rc;

use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::script::cache::{as_sha, sha1hex};
use crate::script::flags::{Engine, ScriptFlags, script_flags_to_cmd_flags};
use crate::script::function_set::{Problem, first_line, shown};
use crate::script::machine::Machine;
use crate::script::run::Invocation;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::command::CommandFlags;
use crate::server_log;

/// A machine runs one script at a time.
pub(super) const NO_MACHINE: &str = "-OOM no Lua machine can be had now";
const NOSCRIPT: &str = "-NOSCRIPT No matching script. Please use EVAL.";

const SCRIPT_HELP: &[&str] = &[
    "DEBUG (YES|SYNC|NO)",
    "    Set the debug mode for subsequent scripts executed.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Return information about the existence of the scripts in the script cache.",
    "FLUSH [ASYNC|SYNC]",
    "    Flush the Lua scripts cache. Very dangerous on replicas.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the scripts cache.",
    "    * SYNC: Synchronously flush the scripts cache.",
    "KILL",
    "    Kill the currently executing Lua script.",
    "LOAD <script>",
    "    Load a script into the scripts cache without executing it.",
    "SHOW <sha1>",
    "    Show a script in the scripts cache.",
];

/// What the first line of a script declares, and how long it is without its end (evalExtractShebangFlags). Without such a line
/// the script is one of the old kind.
pub(super) fn extract_shebang_flags(body: &[u8]) -> Result<(ScriptFlags, usize), Problem> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::EVAL_COMPAT_MODE, 0));
    }
    let (parts, end) = first_line(body).ok_or("Invalid script shebang")?;
    let Some((engine, options)) = parts.split_first() else {
        return Err("Invalid engine in script shebang".into());
    };
    if engine != b"#!lua" {
        return Err(format!(
            "Unexpected engine in script shebang: {}",
            shown(engine)
        ));
    }
    let mut flags = ScriptFlags::empty();
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err(format!("Unknown lua shebang option: {}", shown(option)));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|c| *c == b',') {
            flags |= ScriptFlags::by_name(name)
                .ok_or_else(|| format!("Unexpected flag in script shebang: {}", shown(name)))?;
        }
    }
    Ok((flags, end))
}

impl Server {
    /// Where the cache has the script that is `given` by its digest or by its text.
    #[inline]
    fn find_script(&mut self, given: &[u8], is_sha: bool) -> Option<usize> {
        match is_sha {
            true => as_sha(given).and_then(|sha| self.scripts.cache.find(&sha)),
            false => self.scripts.cache.find_body(given),
        }
    }

    /// The flags of a call of EVAL and its kin, whose arguments need not be right (evalGetCommandFlags).
    pub(super) fn eval_get_command_flags(
        &mut self,
        args: &Args,
        flags: CommandFlags,
        evalsha: bool,
    ) -> CommandFlags {
        let declared = match self.find_script(&args[1], evalsha) {
            Some(i) => self.scripts.cache.get(i).flags,
            None if evalsha => return flags,
            None => match extract_shebang_flags(&args[1]) {
                Ok((declared, _)) => declared,
                Err(_) => return flags,
            },
        };
        if declared.contains(ScriptFlags::EVAL_COMPAT_MODE) {
            return flags;
        }
        script_flags_to_cmd_flags(flags, declared)
    }

    /// Compiles a script that is not in the cache and keeps it there; returns where (luaCreateFunction).
    fn create_script(
        &mut self,
        machine: &mut Machine,
        body: &[u8],
        loaded: bool,
    ) -> Result<usize, Vec<u8>> {
        let (flags, shebang) = extract_shebang_flags(body)?;
        // The line's end stays, so that lines keep their numbers.
        let compiled = machine.compile_script(&body[shebang..]);
        let function = compiled.map_err(|problem| {
            [b"Error compiling script (new function): ", &problem[..]].concat()
        })?;
        let cache = &mut self.scripts.cache;
        let i = cache.insert(sha1hex(body), body, flags, function, loaded);
        let max = usize::try_from(self.config.maxmemory_scripts).ok();
        let max = max.filter(|max| *max > 0);
        while let Some(gone) = self.scripts.cache.evict(max, i) {
            machine.lua.drop_kept(gone.function);
        }
        Ok(i)
    }

    /// The number of keys in argument 2; replies with the error, which is `no_number` where it is none.
    pub(super) fn number_of_keys(
        &mut self,
        cid: ClientId,
        args: &Args,
        no_number: &str,
    ) -> Option<usize> {
        let problem = match string2ll(&args[2]) {
            None => no_number,
            Some(n) if n > (args.len() - 3) as i64 => {
                "Number of keys can't be greater than number of args"
            }
            Some(n) if n < 0 => "Number of keys can't be negative",
            Some(n) => return Some(n as usize),
        };
        self.add_reply_error(cid, problem);
        None
    }

    /// EVAL and its kin (evalGenericCommand).
    fn eval_generic_command(&mut self, cid: ClientId, args: &Args, evalsha: bool, read_only: bool) {
        if !self.clients.monitors.is_empty() {
            // Before the commands that the script calls.
            self.replication_feed_monitors(cid, args);
        }
        if evalsha && args[1].len() != 40 {
            return self.add_reply_error(cid, NOSCRIPT);
        }
        if self.is_debugging(cid) {
            return self.eval_with_debugging(cid, args, evalsha, read_only);
        }
        self.eval_script(cid, args, evalsha, read_only);
    }

    /// The rest of [`Self::eval_generic_command`].
    pub(super) fn eval_script(
        &mut self,
        cid: ClientId,
        args: &Args,
        evalsha: bool,
        read_only: bool,
    ) {
        let no_number = "value is not an integer or out of range";
        let Some(keys) = self.number_of_keys(cid, args, no_number) else {
            return;
        };
        let found = self.find_script(&args[1], evalsha);
        if evalsha && found.is_none() {
            return self.add_reply_error(cid, NOSCRIPT);
        }
        let Some((mut machine, generation)) = self.take_machine(Engine::Eval) else {
            return self.add_reply_error(cid, NO_MACHINE);
        };
        // What a master or a file brings may be called by its digest later.
        let stays = !evalsha && self.must_obey_client(cid);
        self.scripts.has_obeyed |= stays;
        let found = match found {
            Some(i) => {
                if stays {
                    self.scripts.cache.note_loaded(i);
                }
                Ok(i)
            }
            None => self.create_script(&mut machine, &args[1], stays),
        };
        match found {
            Ok(i) => machine = self.eval_found(cid, args, keys, machine, i, read_only),
            Err(problem) => self.add_reply_error_bytes(cid, &problem),
        }
        self.put_machine(Engine::Eval, machine, generation);
    }

    fn eval_found(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: usize,
        mut machine: Box<Machine>,
        i: usize,
        read_only: bool,
    ) -> Box<Machine> {
        if self.scripts.debugger.is_some() {
            return self.eval_debugged(cid, args, keys, machine, i, read_only);
        }
        let script = self.scripts.cache.get(i);
        let (function, name, flags) = (script.function, script.sha.clone(), script.flags);
        let (parameters, global) = (script.parameters, script.uses_words);
        let usage = script.usage.clone();
        if global {
            machine.set_words(args, keys);
        } else {
            machine.forget_words();
        }
        machine.push_call(&function);
        machine.push_parameters(parameters, args, keys);
        self.run_script(
            machine,
            &function,
            &Invocation {
                caller: cid,
                engine: Engine::Eval,
                name,
                flags,
                usage,
                read_only,
                args,
            },
        )
    }

    /// A script that a snapshot has brought; one that does not compile is of a server with other libraries, and is left out.
    pub(crate) fn load_script(&mut self, body: &[u8]) {
        if let Some(i) = self.scripts.cache.find_body(body) {
            return self.scripts.cache.note_loaded(i);
        }
        if self.scripts.eval.is_taken() {
            // A script runs, and all that are there were compiled in its machine.
            self.flush_scripts(false);
        }
        let Some((mut machine, generation)) = self.take_machine(Engine::Eval) else {
            return;
        };
        if self.create_script(&mut machine, body, true).is_err() {
            server_log!(
                Level::Warning,
                "A script of the snapshot does not compile here and is left out: {}",
                shown(&sha1hex(body))
            );
        }
        self.put_machine(Engine::Eval, machine, generation);
    }

    /// Forgets all scripts (scriptingReset).
    pub(crate) fn flush_scripts(&mut self, lazy: bool) {
        self.scripts.known.flush();
        let cache = self.scripts.cache.take_all();
        let machine = self.scripts.eval.give_up();
        self.free_scripts(machine, lazy);
        drop(cache);
    }

    /// Frees a machine: here, or in the thread that frees what is large.
    pub(super) fn free_scripts(&mut self, machine: Option<Box<Machine>>, lazy: bool) {
        if lazy && let Some(machine) = machine {
            self.persist.lazyfree.free_machine(Box::new(machine.lua));
        }
    }
}

pub(crate) fn eval_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.eval_generic_command(cid, args, false, false);
}

pub(crate) fn eval_ro_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.eval_generic_command(cid, args, false, true);
}

pub(crate) fn evalsha_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.eval_generic_command(cid, args, true, false);
}

pub(crate) fn evalsha_ro_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.eval_generic_command(cid, args, true, true);
}

/// SCRIPT HELP
pub(crate) fn script_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, SCRIPT_HELP);
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub(crate) fn script_exists_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_array_len(cid, args.len() - 2);
    for i in 2..args.len() {
        let there = server.scripts.cache.has(&args[i]);
        server.add_reply_long_long(cid, i64::from(there));
    }
}

/// ASYNC or SYNC in argument 2; neither is what the configuration says. None: something else.
pub(super) fn flush_mode(server: &Server, args: &Args) -> Option<bool> {
    match args.len() {
        2 => Some(server.config.lazyfree_lazy_user_flush),
        3 if args.is(2, "sync") => Some(false),
        3 if args.is(2, "async") => Some(true),
        _ => None,
    }
}

/// `SCRIPT FLUSH [ASYNC|SYNC]`
pub(crate) fn script_flush_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(lazy) = flush_mode(server, args) else {
        return server.add_reply_error(cid, "SCRIPT FLUSH only support SYNC|ASYNC option");
    };
    server.flush_scripts(lazy);
    server.add_reply_ok(cid);
}

/// SCRIPT LOAD script
pub(crate) fn script_load_command(server: &mut Server, cid: ClientId, args: &Args) {
    let found = match server.scripts.cache.find_body(&args[2]) {
        Some(i) => {
            server.scripts.cache.note_loaded(i);
            Ok(i)
        }
        None => {
            let Some((mut machine, generation)) = server.take_machine(Engine::Eval) else {
                return server.add_reply_error(cid, NO_MACHINE);
            };
            let created = server.create_script(&mut machine, &args[2], true);
            server.put_machine(Engine::Eval, machine, generation);
            created
        }
    };
    match found {
        Ok(i) => {
            let sha: Rc<[u8]> = server.scripts.cache.get(i).sha.clone();
            server.add_reply_bulk(cid, &sha);
        }
        Err(problem) => server.add_reply_error_bytes(cid, &problem),
    }
}

/// SCRIPT SHOW sha1
pub(crate) fn script_show_command(server: &mut Server, cid: ClientId, args: &Args) {
    match server.scripts.cache.peek(&args[2]).map(|s| s.body.clone()) {
        Some(body) => server.add_reply_bulk(cid, &body),
        None => server.add_reply_error(cid, NOSCRIPT),
    }
}

/// SCRIPT KILL
pub(crate) fn script_kill_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.script_kill(cid, Engine::Eval);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_declares() {
        let of = |body: &str| extract_shebang_flags(body.as_bytes());
        assert_eq!(of("return 1"), Ok((ScriptFlags::EVAL_COMPAT_MODE, 0)));
        assert_eq!(of("#!lua\nreturn 1"), Ok((ScriptFlags::empty(), 5)));
        assert_eq!(
            of("#!lua flags=no-writes,allow-oom\n"),
            Ok((ScriptFlags::NO_WRITES | ScriptFlags::ALLOW_OOM, 31))
        );
        for (body, problem) in [
            ("#!lua", "Invalid script shebang"),
            (
                "#!not-lua\n",
                "Unexpected engine in script shebang: #!not-lua",
            ),
            (
                "#!lua badger=data\n",
                "Unknown lua shebang option: badger=data",
            ),
            (
                "#!lua flags=allow-what?\n",
                "Unexpected flag in script shebang: allow-what?",
            ),
        ] {
            assert_eq!(of(body), Err(problem.into()));
        }
    }
}
