//! Function libraries in the server: how they are loaded, restored and deleted, and FCALL (functions.c, function_lua.c).

use std::collections::HashSet;
use std::rc::Rc;

use crate::base::clock::ustime;
use crate::script::eval::NO_MACHINE;
use crate::script::flags::{Engine, script_flags_to_cmd_flags};
use crate::script::function_set::{
    CreateFlags, Libraries, Library, Loading, Problem, Restore, extract_metadata, shown,
};
use crate::script::lua::Failure;
use crate::script::machine::Machine;
use crate::script::run::Invocation;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::command::CommandFlags;

/// How long a library may take to load, in microseconds; what a master or a file brings has no limit.
const LOAD_TIMEOUT_US: i64 = 500_000;

impl Server {
    /// Compiles a library and lets it register its functions (luaEngineCreate).
    fn build_library(
        &mut self,
        machine: &mut Machine,
        code: &[u8],
        unlimited: bool,
    ) -> Result<Library, Problem> {
        let (name, line) = extract_metadata(code)?;
        machine.set_loading(true);
        let (chunk, takes_ours) = match machine.compile_library(&code[line..]) {
            Ok(compiled) => compiled,
            Err(problem) => {
                machine.set_loading(false);
                return Err(format!("Error compiling function: {}", shown(&problem)));
            }
        };
        let now = ustime();
        self.scripts.loading = Some(Loading {
            functions: Vec::new(),
            names: HashSet::default(),
            ends_us: (!unlimited).then_some(now + LOAD_TIMEOUT_US),
        });
        let timeout = (!unlimited).then_some(LOAD_TIMEOUT_US);
        machine.push_call(&chunk);
        if takes_ours {
            machine.push_ours();
        }
        self.limit_memory(machine, unlimited);
        let result = machine.call(self, now, timeout);
        machine.lua.set_memory_limit(None);
        machine.lua.drop_kept(chunk);
        machine.set_loading(false);
        let functions = self
            .scripts
            .loading
            .take()
            .map_or(Vec::new(), |l| l.functions);
        let problem = match result {
            Ok(()) if functions.is_empty() => Some("No functions registered".into()),
            Ok(()) => None,
            Err(Failure::Killed) => {
                Some("Error registering functions: ERR FUNCTION LOAD timeout".into())
            }
            Err(Failure::Error) => {
                let text = machine.take_error().text.unwrap_or_default();
                Some(format!("Error registering functions: {}", shown(&text)))
            }
        };
        machine.lua.truncate(0);
        if let Some(problem) = problem {
            for f in functions {
                machine.lua.drop_kept(f.function);
            }
            return Err(problem);
        }
        Ok(Library {
            name: name.into(),
            code: code.into(),
            functions: functions.into_iter().map(Rc::new).collect(),
        })
    }

    /// Loads a library into the server's own set (functionsCreateWithLibraryCtx); returns its name.
    pub(crate) fn functions_create(
        &mut self,
        code: &[u8],
        how: CreateFlags,
    ) -> Result<Rc<[u8]>, Problem> {
        let (name, _) = extract_metadata(code)?;
        if !how.contains(CreateFlags::REPLACE)
            && self.scripts.libraries.libraries.contains_key(&name[..])
        {
            return Err(format!("Library '{}' already exists", shown(&name)));
        }
        let (mut machine, generation) = self.take_machine(Engine::Functions).ok_or(NO_MACHINE)?;
        let built = self.build_library(&mut machine, code, how.contains(CreateFlags::UNLIMITED));
        let linked = built.and_then(|library| {
            let old = self.scripts.libraries.unlink(&library.name);
            if let Some(problem) = self.scripts.libraries.collision(&library) {
                drop_library(&mut machine, &library);
                old.into_iter()
                    .for_each(|old| self.scripts.libraries.link(old));
                return Err(problem);
            }
            old.iter().for_each(|old| drop_library(&mut machine, old));
            let name = library.name.clone();
            self.scripts.libraries.link(library);
            Ok(name)
        });
        self.put_machine(Engine::Functions, machine, generation);
        linked
    }

    /// Whether a library could be loaded; nothing is left of it.
    pub(crate) fn functions_check(&mut self, code: &[u8]) -> Result<(), Problem> {
        let (mut machine, generation) = self
            .take_machine_or_spare(Engine::Functions)
            .ok_or(NO_MACHINE)?;
        let built = self.build_library(&mut machine, code, true);
        let result = built.map(|library| drop_library(&mut machine, &library));
        self.put_machine(Engine::Functions, machine, generation);
        result
    }

    /// Joins libraries given by their code to the server's own, all or none. `unlimited`: each may take its time.
    pub(crate) fn functions_restore<'c>(
        &mut self,
        codes: impl IntoIterator<Item = &'c [u8]>,
        how: Restore,
        unlimited: bool,
    ) -> Result<(), Problem> {
        // A function may run, while a full sync brings others: what is there was compiled in its machine.
        let runs = self.scripts.functions.is_taken();
        if runs && how != Restore::Flush {
            return Err(NO_MACHINE.into());
        }
        let (mut machine, mut generation) = self
            .take_machine_or_spare(Engine::Functions)
            .ok_or(NO_MACHINE)?;
        let mut new = Libraries::default();
        let mut problem = None;
        for code in codes {
            let built = self.build_library(&mut machine, code, unlimited);
            let built = built.and_then(|l| {
                let twice = new.libraries.contains_key(&l.name);
                let twice = twice.then(|| format!("Library '{}' already exists", shown(&l.name)));
                match twice.or_else(|| new.collision(&l)) {
                    None => Ok(l),
                    Some(problem) => {
                        drop_library(&mut machine, &l);
                        Err(problem)
                    }
                }
            });
            match built {
                Ok(library) => new.link(library),
                Err(text) => {
                    problem = Some(text);
                    break;
                }
            }
        }
        let result = match problem {
            Some(problem) => Err((problem, new)),
            None if how == Restore::Flush => {
                let old = std::mem::replace(&mut self.scripts.libraries, new);
                if runs {
                    generation = self.scripts.functions.succeed();
                }
                Ok(old.libraries.into_values().collect())
            }
            None => self.scripts.libraries.join(new, how == Restore::Replace),
        };
        let result = match result {
            // They go with their machine.
            Ok(_) if runs => Ok(()),
            Ok(old) => {
                old.iter().for_each(|l| drop_library(&mut machine, l));
                Ok(())
            }
            Err((problem, new)) => {
                new.iter().for_each(|l| drop_library(&mut machine, l));
                Err(problem)
            }
        };
        self.put_machine(Engine::Functions, machine, generation);
        result
    }

    /// Deletes all libraries (functionsLibCtxClearCurrent).
    pub(crate) fn flush_functions(&mut self, lazy: bool) {
        self.scripts.libraries = Libraries::default();
        let machine = self.scripts.functions.give_up();
        self.free_scripts(machine, lazy);
    }

    pub(super) fn function_delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.scripts.libraries.unlink(name) else {
            return false;
        };
        if let Some(machine) = self.scripts.functions.get_mut() {
            drop_library(machine, &library);
        }
        true
    }

    /// The time of a library that loads is over.
    pub(super) fn is_loading_too_long(&self) -> bool {
        let ends = self.scripts.loading.as_ref().and_then(|l| l.ends_us);
        ends.is_some_and(|ends| ustime() >= ends)
    }

    /// The flags of a call of FCALL, whose arguments need not be right (fcallGetCommandFlags).
    pub(super) fn fcall_get_command_flags(&self, args: &Args, flags: CommandFlags) -> CommandFlags {
        match self.scripts.libraries.find(&args[1]) {
            Some(f) => script_flags_to_cmd_flags(flags, f.flags),
            None => flags,
        }
    }

    fn fcall_generic_command(&mut self, cid: ClientId, args: &Args, read_only: bool) {
        if !self.clients.monitors.is_empty() {
            self.replication_feed_monitors(cid, args);
        }
        let Some(f) = self.scripts.libraries.find(&args[1]).cloned() else {
            return self.add_reply_error(cid, "Function not found");
        };
        let Some(keys) = self.number_of_keys(cid, args, "Bad number of keys provided") else {
            return;
        };
        let Some((mut machine, generation)) = self.take_machine(Engine::Functions) else {
            return self.add_reply_error(cid, NO_MACHINE);
        };
        machine.push_call(&f.function);
        machine.push_keys(args, keys);
        machine.push_argv(args, keys);
        let machine = self.run_script(
            machine,
            &f.function,
            &Invocation {
                caller: cid,
                engine: Engine::Functions,
                name: f.name.clone(),
                flags: f.flags,
                usage: f.usage.clone(),
                read_only,
                args,
            },
        );
        self.put_machine(Engine::Functions, machine, generation);
    }
}

fn drop_library(machine: &mut Machine, library: &Library) {
    for f in &library.functions {
        machine.lua.drop_kept(f.function);
    }
}

/// `FCALL function numkeys [key ...] [arg ...]`
pub(crate) fn fcall_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.fcall_generic_command(cid, args, false);
}

/// `FCALL_RO function numkeys [key ...] [arg ...]`
pub(crate) fn fcall_ro_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.fcall_generic_command(cid, args, true);
}
