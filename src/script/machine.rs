//! A virtual machine with what scripts find in it: the sandbox that `prelude.lua` builds, our libraries, `redis.*`, the error
//! handler. One for EVAL, one for functions, each made when the first script comes.
//!
//! Invariant: between two calls its stack is empty, and the globals `KEYS` and `ARGV` are gone or those of the last call.

use std::ffi::CStr;

use crate::base::log::Level;
use crate::script::convert::{ErrorInfo, error_info};
use crate::script::flags::Engine;
use crate::script::lua::{Call, Failure, Kept, Kind, Lua, NOT_ENOUGH_MEMORY, Returned, Stack};
use crate::script::source::{OUR_VALUES, Parameters, Script, Source, Takes, Words};
use crate::server::Server;
use crate::server::execution::args::Args;
use crate::server_log;

const PRELUDE: &str = include_str!("prelude.lua");

/// What scripts are compiled as; errors name them so.
pub(crate) const USER_SCRIPT: &CStr = c"@user_script";
pub(crate) const USER_FUNCTION: &CStr = c"@user_function";

pub(crate) struct Machine {
    pub lua: Lua<Server>,
    handler: Kept,
    /// The table that scripts see the globals of.
    globals: Kept,
    /// What scripts have as their environment.
    environment: Kept,
    /// What scripts have as locals of ours: the last of [`Takes`] first.
    ours: [Kept; OUR_VALUES],
    /// Called with true before a library loads, with false behind it.
    loading: Option<Kept>,
    /// KEYS or ARGV are set.
    has_words: bool,
}

impl Machine {
    /// `open` pushes the table of our functions that the prelude is given. None when there is no memory for it.
    pub(crate) fn new(engine: Engine, open: fn(&mut Lua<Server>)) -> Option<Machine> {
        let mut lua = Lua::new()?;
        lua.compile_own(PRELUDE.as_bytes(), c"=redis").ok()?;
        open(&mut lua);
        lua.push_mark();
        lua.push_bool(engine == Engine::Eval);
        lua.push_bool(engine == Engine::Functions);
        let Ok(results) = lua.call_free(4) else {
            let said = lua.to_bytes(-1).unwrap_or_default();
            let said = String::from_utf8_lossy(said).into_owned();
            server_log!(
                Level::Warning,
                "The sandbox of scripts cannot be built: {said}"
            );
            return None;
        };
        let loading = (results == 3 + OUR_VALUES).then(|| lua.keep());
        let ours = std::array::from_fn(|_| lua.keep());
        let globals = lua.keep();
        let environment = lua.keep();
        lua.push_function(error_handler);
        let handler = lua.keep();
        lua.push_kept(&environment);
        lua.set_globals();
        lua.truncate(0);
        lua.set_interrupt(Server::script_interrupt);
        lua.settle();
        Some(Machine {
            lua,
            handler,
            globals,
            environment,
            ours,
            loading,
            has_words: false,
        })
    }

    /// Compiles a script into a function that is kept, and says which parameters it has.
    pub(crate) fn compile_script(&mut self, code: &[u8]) -> Result<(Kept, Parameters), Vec<u8>> {
        let takes = self.compile(code, USER_SCRIPT, |script| script.prepare())?;
        let mut parameters = Parameters::default();
        if let Takes::OursForScript(its) = takes {
            parameters = its;
            self.push_ours();
            if self.lua.call_free(OUR_VALUES) != Ok(1) {
                self.lua.truncate(0);
                return Err(NOT_ENOUGH_MEMORY.to_vec());
            }
        }
        Ok((self.lua.keep(), parameters))
    }

    /// Compiles a library into a function that is kept; whether it is to be called with what [`Machine::push_ours`] pushes.
    pub(crate) fn compile_library(&mut self, code: &[u8]) -> Result<(Kept, bool), Vec<u8>> {
        let takes = self.compile(code, USER_FUNCTION, |script| script.prepare_library())?;
        Ok((self.lua.keep(), takes == Takes::Ours))
    }

    /// Pushes what `prepare` makes of `code`, compiled.
    fn compile(
        &mut self,
        code: &[u8],
        name: &CStr,
        prepare: fn(&Script) -> Option<Source>,
    ) -> Result<Takes, Vec<u8>> {
        let script = Script::read(code);
        refuse_foreign(&script, name)?;
        let prepared = prepare(&script).filter(|s| self.lua.compile(&s.text, name).is_ok());
        match prepared {
            Some(source) => Ok(source.takes),
            None => {
                // Errors are about the text as it is.
                compile_as_is(&mut self.lua, &script, name)?;
                Ok(Takes::Nothing)
            }
        }
    }

    /// Compiles a script as it was written: its function takes no arguments, and has no variables but its own.
    pub(crate) fn compile_plain(&mut self, code: &[u8], name: &CStr) -> Result<Kept, Vec<u8>> {
        compile_with_frames(&mut self.lua, code, name)?;
        Ok(self.lua.keep())
    }

    /// Gives the function its environment back, after a script that has changed one.
    pub(crate) fn reset_environment(&mut self, function: &Kept) {
        self.lua.push_kept(function);
        self.lua.push_kept(&self.environment);
        self.lua.set_environment(-2);
        self.lua.truncate(0);
    }

    /// Pushes a function that is to be called by [`Machine::call`], and before it the handler of its errors. Its arguments follow.
    #[inline]
    pub(crate) fn push_call(&mut self, function: &Kept) {
        debug_assert_eq!(self.lua.top(), 0);
        self.lua.push_kept(&self.handler);
        self.lua.push_kept(function);
    }

    /// Pushes a table of the `keys` arguments that are keys: those behind their number, which is argument 2.
    #[inline]
    pub(crate) fn push_keys(&mut self, args: &Args, keys: usize) {
        self.lua.push_words(keys, |i| &args[3 + i]);
    }

    /// Pushes a table of the arguments behind the keys.
    #[inline]
    pub(crate) fn push_argv(&mut self, args: &Args, keys: usize) {
        let first = 3 + keys;
        self.lua
            .push_words(args.len() - first, |i| &args[first + i]);
    }

    /// Pushes what the parameters of a script are, of a call with so many keys.
    #[inline]
    pub(crate) fn push_parameters(&mut self, parameters: Parameters, args: &Args, keys: usize) {
        match parameters.keys {
            Words::No => {}
            Words::Table => self.push_keys(args, keys),
            Words::Places { places, n } => {
                self.push_places(&places[..usize::from(n)], args, 3, keys)
            }
        }
        let first = 3 + keys;
        let rest = args.len() - first;
        match parameters.argv {
            Words::No => {}
            Words::Table => self.push_argv(args, keys),
            Words::Places { places, n } => {
                self.push_places(&places[..usize::from(n)], args, first, rest);
            }
        }
    }

    /// Pushes these of the `n` words from argument `first` on.
    #[inline]
    fn push_places(&mut self, places: &[u8], args: &Args, first: usize, n: usize) {
        for place in places {
            let place = usize::from(*place);
            match place <= n {
                true => self.lua.push_bytes(&args[first + place - 1]),
                false => self.lua.push_nil(),
            }
        }
    }

    /// Pushes our own values, for what is compiled to be called with them ([`Takes`]).
    pub(crate) fn push_ours(&mut self) {
        // Kept from the top of the stack downwards.
        for kept in self.ours.iter().rev() {
            self.lua.push_kept(kept);
        }
    }

    /// Sets the globals KEYS and ARGV.
    #[cold]
    pub(crate) fn set_words(&mut self, args: &Args, keys: usize) {
        self.has_words = true;
        let top = self.lua.top();
        self.lua.push_kept(&self.globals);
        self.push_keys(args, keys);
        self.lua.set_raw_field(top + 1, b"KEYS");
        self.push_argv(args, keys);
        self.lua.set_raw_field(top + 1, b"ARGV");
        self.lua.truncate(top);
    }

    /// No script finds the globals of another.
    #[inline]
    pub(crate) fn forget_words(&mut self) {
        if std::mem::take(&mut self.has_words) {
            self.clear_words();
        }
    }

    #[cold]
    fn clear_words(&mut self) {
        let top = self.lua.top();
        self.lua.push_kept(&self.globals);
        for name in [&b"KEYS"[..], b"ARGV"] {
            self.lua.push_nil();
            self.lua.set_raw_field(top + 1, name);
        }
        self.lua.truncate(top);
    }

    /// Calls the function that [`Machine::push_call`] has pushed with the values above it. The result, or the error, is the one
    /// value on the stack then; nothing when the script was killed.
    ///
    /// `started_us` and `threshold_us` are those of [`Lua::call`].
    pub(crate) fn call(
        &mut self,
        server: &mut Server,
        started_us: i64,
        threshold_us: Option<i64>,
    ) -> Result<(), Failure> {
        let args = self.lua.top() - 2;
        let result = self
            .lua
            .call(server, args as usize, 1, started_us, threshold_us);
        self.lua.remove(1);
        result
    }

    /// What it may have from now on, in bytes. A limit is about what is used, not about what has not been collected yet.
    #[cold]
    pub(crate) fn limit_memory(&mut self, limit: usize) {
        if self.lua.memory() > limit / 2 {
            self.lua.collect_garbage();
        }
        self.lua.set_memory_limit(Some(limit));
    }

    /// The error on top of the stack, which is taken (luaExtractErrorInformation).
    pub(crate) fn take_error(&mut self) -> ErrorInfo {
        let info = error_info(&mut self.lua, -1);
        self.lua.pop(1);
        info
    }

    /// A library is about to load, or has loaded: what it sees of the globals changes.
    pub(crate) fn set_loading(&mut self, loading: bool) {
        if let Some(switch) = &self.loading {
            let top = self.lua.top();
            self.lua.push_kept(switch);
            self.lua.push_bool(loading);
            // It can only fail for want of memory, which nothing does here.
            let done = self.lua.call_free(1);
            debug_assert!(done.is_ok());
            self.lua.truncate(top);
        }
    }
}

/// Pushes the compiled chunk, unless it has what Lua 5.1 does not know.
pub(crate) fn compile_checked(stack: &mut Stack, code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
    let script = Script::read(code);
    refuse_foreign(&script, name)?;
    compile_as_is(stack, &script, name)
}

/// Pushes the compiled chunk; its body's returns keep their place for errors.
pub(crate) fn compile_with_frames(
    stack: &mut Stack,
    code: &[u8],
    name: &CStr,
) -> Result<(), Vec<u8>> {
    let script = Script::read(code);
    refuse_foreign(&script, name)?;
    let kept = script.keep_frames();
    match kept.is_some_and(|code| stack.compile(&code, name).is_ok()) {
        true => Ok(()),
        false => compile_as_is(stack, &script, name),
    }
}

/// The error that Lua 5.1 has for what it does not know.
fn refuse_foreign(script: &Script, name: &CStr) -> Result<(), Vec<u8>> {
    let Some(problem) = script.foreign() else {
        return Ok(());
    };
    let source = name.to_bytes();
    let source = source.strip_prefix(b"@").unwrap_or(source);
    Err([source, b":", problem.as_bytes()].concat())
}

/// Pushes the compiled chunk, in which nothing foreign was found.
fn compile_as_is(stack: &mut Stack, script: &Script, name: &CStr) -> Result<(), Vec<u8>> {
    stack.compile(script.text(), name)?;
    // What could not be looked through must not compile: it may have such things.
    if !script.is_understood() {
        stack.pop(1);
        return Err(b"the script is not well-formed".to_vec());
    }
    Ok(())
}

/// Makes a table of whatever a script fails with: `err`, `source`, `line`.
fn error_handler(call: &mut Call<Server>) -> Returned {
    let mut info = error_info(call, 1);
    if info.text.is_none() {
        let text = match call.kind(1) {
            Kind::Table => "an error without a text".to_string(),
            Kind::Boolean if call.truth(1) => "true".to_string(),
            Kind::Boolean => "false".to_string(),
            Kind::Nil => "nil".to_string(),
            _ => format!("{}: {:#x}", call.kind_name(1), call.identity(1)),
        };
        info.text = Some(format!("ERR {text}").into_bytes());
    }
    if let Some((source, line)) = call.script_place(1) {
        info.source = Some(source);
        info.line = Some(i64::from(line));
    }
    call.truncate(0);
    call.push_table(0, 4);
    for (name, value) in [(&b"err"[..], &info.text), (b"source", &info.source)] {
        if let Some(value) = value {
            call.push_bytes(value);
            call.set_raw_field(1, name);
        }
    }
    if let Some(line) = info.line {
        call.push_number(line as f64);
        call.set_raw_field(1, b"line");
    }
    if info.counted {
        call.push_bool(true);
        call.set_raw_field(1, b"ignore_error_stats_update");
    }
    Ok(1)
}
