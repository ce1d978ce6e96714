//! Function libraries: what FUNCTION LOAD brings, how they are found, joined and kept, and FCALL (functions.c, function_lua.c).
//!
//! A library is its code; compiling it again gives the same functions, so that its code is all that files and replicas get. Names of
//! functions are looked up without regard to case, names of libraries with it.
//!
//! Invariants: each function of a library is in the index of functions, and no other is; a set of libraries belongs to the machine
//! it was compiled in.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;


use crate::base::clock::ustime;
use crate::base::num::string2ll;
use crate::base::split_args::sdssplitargs;
use crate::ds::table::KeyHasher;
use crate::script::convert::push_error;
use crate::script::lua::{Call, Failure, Kept, Kind, Raise, Returned};
use crate::script::machine::{Engine, Machine, USER_FUNCTION};
use crate::script::run::Invocation;
use crate::script::state::ScriptFlags;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::command::CommandFlags;

/// How long a library may take to load, in microseconds; what a master or a file brings has no limit.
const LOAD_TIMEOUT_US: i64 = 500_000;

/// The engine's name, as it is shown.
pub(crate) const ENGINE_NAME: &str = "LUA";

const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character \
                        long";

pub(crate) struct Function {
    pub name: Rc<[u8]>,
    pub description: Option<Vec<u8>>,
    pub flags: ScriptFlags,
    function: Kept,
}

pub(crate) struct Library {
    pub name: Rc<[u8]>,
    /// As it came, its first line included.
    pub code: Rc<[u8]>,
    /// In the order in which they were registered.
    pub functions: Vec<Rc<Function>>,
}

impl Library {
    fn memory(&self) -> usize {
        const OVERHEAD: usize = size_of::<Library>() + size_of::<Rc<[u8]>>();
        let functions = self.functions.iter().map(|f| {
            let description = f.description.as_ref().map_or(0, Vec::len);
            2 * f.name.len() + description + size_of::<Function>()
        });
        OVERHEAD + self.name.len() + self.code.len() + functions.sum::<usize>()
    }
}

/// A set of libraries (functionsLibCtx).
#[derive(Default)]
pub(crate) struct Libraries {
    libraries: BTreeMap<Rc<[u8]>, Library>,
    functions: HashMap<Box<[u8]>, Rc<Function>, KeyHasher>,
}

/// What the functions of a library that loads are registered in.
pub(crate) struct Loading {
    functions: Vec<Function>,
    /// Unix us; none: it may take its time.
    ends_us: Option<i64>,
}

/// Why libraries could not be joined or loaded, as it is replied.
pub(crate) type Problem = String;

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

impl Libraries {
    pub(crate) fn len(&self) -> usize {
        self.libraries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    pub(crate) fn functions_len(&self) -> usize {
        self.functions.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.libraries.values()
    }

    /// Bytes of the libraries, compiled code not counted (functionsMemoryOverhead).
    pub(crate) fn memory(&self) -> usize {
        self.libraries.values().map(Library::memory).sum()
    }

    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Rc<Function>> {
        const SHORT: usize = 64;
        // Most names are in lower case already.
        if let Some(found) = self.functions.get(name) {
            return Some(found);
        }
        let mut lower = [0; SHORT];
        match lower.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                self.functions.get(&*lower)
            }
            None => self.functions.get(&name.to_ascii_lowercase()[..]),
        }
    }

    fn link(&mut self, library: Library) {
        for f in &library.functions {
            let name = f.name.to_ascii_lowercase().into_boxed_slice();
            self.functions.insert(name, f.clone());
        }
        self.libraries.insert(library.name.clone(), library);
    }

    fn unlink(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.libraries.remove(name)?;
        for f in &library.functions {
            self.functions.remove(&f.name.to_ascii_lowercase()[..]);
        }
        Some(library)
    }

    /// The first function of `library` that is here already.
    fn collision(&self, library: &Library) -> Option<Problem> {
        let taken = |f: &&Rc<Function>| self.find(&f.name).is_some();
        let f = library.functions.iter().find(taken)?;
        Some(format!("Function {} already exists", shown(&f.name)))
    }

    /// Takes all libraries of `others` in, or none (libraryJoin). Returns what they have replaced.
    fn join(&mut self, others: Libraries, replace: bool) -> Result<Vec<Library>, (Problem, Libraries)> {
        let mut old = Vec::new();
        let mut problem = None;
        for name in others.libraries.keys() {
            if !self.libraries.contains_key(name) {
                continue;
            }
            if !replace {
                problem = Some(format!("Library {} already exists", shown(name)));
                break;
            }
            old.extend(self.unlink(name));
        }
        let problem = problem.or_else(|| others.iter().find_map(|l| self.collision(l)));
        if let Some(problem) = problem {
            for library in old {
                self.link(library);
            }
            return Err((problem, others));
        }
        for library in others.libraries.into_values() {
            self.link(library);
        }
        Ok(old)
    }
}

/// What the first line of a library says: its name, and how long the line is without its end.
fn extract_metadata(code: &[u8]) -> Result<(Vec<u8>, usize), Problem> {
    if !code.starts_with(b"#!") {
        return Err("Missing library metadata".into());
    }
    let text = memchr::memchr(0, code).map_or(code, |end| &code[..end]);
    let end = memchr::memchr(b'\n', text).ok_or("Invalid library metadata")?;
    let parts = sdssplitargs(&code[..end]).unwrap_or_default();
    let (engine, options) = parts.split_first().ok_or("Invalid library metadata")?;
    let mut name: Option<Vec<u8>> = None;
    for option in options {
        match option.get(..5) {
            Some(key) if key.eq_ignore_ascii_case(b"name=") => {
                if name.is_some() {
                    return Err("Invalid metadata value, name argument was given multiple times".into());
                }
                name = Some(option[5..].to_vec());
            }
            _ => return Err(format!("Invalid metadata value given: {}", shown(option))),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    if !is_name(&name) {
        return Err(BAD_NAME.into());
    }
    let engine = &engine[2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(format!("Engine '{}' not found", shown(engine)));
    }
    Ok((name, end))
}

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
        let compiled = machine.compile(&code[line..], USER_FUNCTION);
        let chunk = match compiled {
            Ok(chunk) => chunk,
            Err(problem) => {
                machine.set_loading(false);
                return Err(format!("Error compiling function: {}", shown(&problem)));
            }
        };
        let now = ustime();
        self.scripts.loading = Some(Loading {
            functions: Vec::new(),
            ends_us: (!unlimited).then_some(now + LOAD_TIMEOUT_US),
        });
        let timeout = (!unlimited).then_some(LOAD_TIMEOUT_US);
        let result = machine.call(self, &chunk, now, timeout);
        machine.lua.drop_kept(chunk);
        machine.set_loading(false);
        let functions = self.scripts.loading.take().map_or(Vec::new(), |l| l.functions);
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
        replace: bool,
        unlimited: bool,
    ) -> Result<Rc<[u8]>, Problem> {
        let (name, _) = extract_metadata(code)?;
        if !replace && self.scripts.libraries.libraries.contains_key(&name[..]) {
            return Err(format!("Library '{}' already exists", shown(&name)));
        }
        let (mut machine, generation) = self
            .take_machine(Engine::Functions)
            .ok_or("no memory for a Lua machine")?;
        let built = self.build_library(&mut machine, code, unlimited);
        let linked = built.and_then(|library| {
            let old = self.scripts.libraries.unlink(&library.name);
            if let Some(problem) = self.scripts.libraries.collision(&library) {
                drop_library(&mut machine, &library);
                old.into_iter().for_each(|old| self.scripts.libraries.link(old));
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

    /// Joins libraries given by their code to the server's own, all or none; with `flush` they take the place of all.
    pub(crate) fn functions_restore<'c>(
        &mut self,
        codes: impl IntoIterator<Item = &'c [u8]>,
        flush: bool,
        replace: bool,
    ) -> Result<(), Problem> {
        let (mut machine, generation) = self
            .take_machine(Engine::Functions)
            .ok_or("no memory for a Lua machine")?;
        let mut new = Libraries::default();
        let mut problem = None;
        for code in codes {
            let built = self.build_library(&mut machine, code, true).and_then(|l| {
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
            None if flush => {
                let old = std::mem::replace(&mut self.scripts.libraries, new);
                Ok(old.libraries.into_values().collect())
            }
            None => self.scripts.libraries.join(new, replace),
        };
        let result = match result {
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
        self.scripts.functions_generation += 1;
        let machine = self.scripts.functions.take();
        self.free_scripts(machine, lazy);
    }

    pub(super) fn function_delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.scripts.libraries.unlink(name) else {
            return false;
        };
        if let Some(machine) = &mut self.scripts.functions {
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
            Some(f) => super::eval::script_flags_to_cmd_flags(flags, f.flags),
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
        let keys = match string2ll(&args[2]) {
            None => return self.add_reply_error(cid, "Bad number of keys provided"),
            Some(n) if n > (args.len() - 3) as i64 => {
                let text = "Number of keys can't be greater than number of args";
                return self.add_reply_error(cid, text);
            }
            Some(n) if n < 0 => {
                return self.add_reply_error(cid, "Number of keys can't be negative");
            }
            Some(n) => n as usize,
        };
        let Some((mut machine, generation)) = self.take_machine(Engine::Functions) else {
            return self.add_reply_error(cid, "-OOM no memory for a Lua machine");
        };
        machine.push_words(args, 3, keys);
        machine.push_words(args, 3 + keys, args.len() - 3 - keys);
        let machine = self.run_script(
            machine,
            &f.function,
            &Invocation {
                caller: cid,
                engine: Engine::Functions,
                name: f.name.clone(),
                flags: f.flags,
                read_only,
                args,
                keys,
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

/// FCALL function numkeys [key ...] [arg ...]
pub(crate) fn fcall_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.fcall_generic_command(cid, args, false);
}

/// FCALL_RO function numkeys [key ...] [arg ...]
pub(crate) fn fcall_ro_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.fcall_generic_command(cid, args, true);
}

// redis.register_function ----------------------------------------------------------------------------------------------------

/// A string, or a number as one, up to a NUL where it has one.
fn string_at(call: &mut Call<Server>, i: i32) -> Option<Vec<u8>> {
    call.to_bytes(i).map(<[u8]>::to_vec)
}

/// The flags in the table on top of the stack; none: it has one that is unknown.
fn flags_on_top(call: &mut Call<Server>) -> Option<ScriptFlags> {
    let table = call.top();
    let mut flags = ScriptFlags::empty();
    for i in 1.. {
        if call.get_raw_index(table, i) == Kind::Nil {
            break;
        }
        let name = call.to_bytes(-1)?.to_ascii_lowercase();
        flags |= ScriptFlags::by_name(&name)?;
        call.pop(1);
    }
    call.truncate(table);
    Some(flags)
}

/// The one table of named arguments.
fn named_arguments(call: &mut Call<Server>) -> Result<(Vec<u8>, Function), &'static str> {
    if call.kind(1) != Kind::Table {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named \
             arguments).",
        );
    }
    let (mut name, mut description, mut callback) = (None, None, None);
    let mut flags = ScriptFlags::empty();
    call.push_nil();
    let mut result = Ok(());
    while call.next(1) {
        // A copy, since a number would become a string in its place, and the walk would lose its way.
        call.push_copy(-2);
        let Some(key) = string_at(call, -1) else {
            result = Err("named argument key given to redis.register_function is not a string");
            break;
        };
        call.pop(1);
        let is = |word: &str| key.eq_ignore_ascii_case(word.as_bytes());
        result = if is("function_name") {
            name = string_at(call, -1);
            name.is_some()
                .then_some(())
                .ok_or("function_name argument given to redis.register_function must be a string")
        } else if is("description") {
            description = string_at(call, -1);
            description
                .is_some()
                .then_some(())
                .ok_or("description argument given to redis.register_function must be a string")
        } else if is("callback") {
            if call.kind(-1) == Kind::Function {
                call.push_copy(-1);
                let before = callback.replace(call.keep());
                before.into_iter().for_each(|k| call.drop_kept(k));
                Ok(())
            } else {
                Err("callback argument given to redis.register_function must be a function")
            }
        } else if is("flags") {
            match call.kind(-1) {
                Kind::Table => flags_on_top(call)
                    .map(|f| flags = f)
                    .ok_or("unknown flag given"),
                _ => Err(
                    "flags argument to redis.register_function must be a table representing function flags",
                ),
            }
        } else {
            Err("unknown argument given to redis.register_function")
        };
        if result.is_err() {
            break;
        }
        call.pop(1);
    }
    let result = result.and_then(|()| {
        let name = name.ok_or("redis.register_function must get a function name argument")?;
        callback.ok_or("redis.register_function must get a callback argument")?;
        Ok(name)
    });
    match (result, callback) {
        (Ok(name), Some(function)) => {
            let f = Function {
                name: name[..].into(),
                description,
                flags,
                function,
            };
            Ok((name, f))
        }
        (Err(problem), callback) => {
            callback.into_iter().for_each(|k| call.drop_kept(k));
            Err(problem)
        }
        (Ok(_), None) => Err("redis.register_function must get a callback argument"),
    }
}

fn positional_arguments(call: &mut Call<Server>) -> Result<(Vec<u8>, Function), &'static str> {
    let Some(name) = string_at(call, 1) else {
        return Err("first argument to redis.register_function must be a string");
    };
    if call.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function");
    }
    call.truncate(2);
    let f = Function {
        name: name[..].into(),
        description: None,
        flags: ScriptFlags::empty(),
        function: call.keep(),
    };
    Ok((name, f))
}

/// `redis.register_function(name, callback)`, or a table with `function_name`, `callback`, `description`, `flags`.
pub(super) fn register_function(call: &mut Call<Server>) -> Returned {
    fn fail(call: &mut Call<Server>, problem: &str) -> Returned {
        push_error(call, problem.as_bytes());
        Err(Raise::Top)
    }
    if call.host().scripts.loading.is_none() {
        let problem = "redis.register_function can only be called on FUNCTION LOAD command";
        return fail(call, problem);
    }
    let read = match call.top() {
        1 => named_arguments(call),
        2 => positional_arguments(call),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    let (name, f) = match read {
        Ok(read) => read,
        Err(problem) => return fail(call, problem),
    };
    let functions = call.host().scripts.loading.as_ref().map(|l| &l.functions);
    let problem = if !is_name(&name) {
        Some(BAD_NAME)
    } else if functions.is_some_and(|all| all.iter().any(|other| *other.name == name[..])) {
        Some("Function already exists in the library")
    } else {
        None
    };
    if let Some(problem) = problem {
        call.drop_kept(f.function);
        return fail(call, problem);
    }
    if let Some(loading) = &mut call.host().scripts.loading {
        loading.functions.push(f);
    }
    Ok(0)
}
