//! A virtual machine with what scripts find in it: the sandbox that `prelude.lua` builds, our libraries, `redis.*`, the error
//! handler. One for EVAL, one for functions, each made when the first script comes.
//!
//! Invariant: between two calls its stack is empty, and the globals `KEYS` and `ARGV` are gone or those of the last call.

use std::ffi::CStr;

use crate::base::log::Level;
use crate::script::convert::{ErrorInfo, error_info};
use crate::script::flags::Engine;
use crate::script::lua::{Call, Failure, Kept, Kind, Lua, Returned, Stack};
use crate::script::source::{Locals, foreign_number, keep_frames, prepare};
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
    /// `cjson.decode`, `cjson.encode`, `redis.pcall`, `redis.call` and `redis`, for those who have them as locals.
    redis: [Kept; 5],
    /// Called with true before a library loads, with false behind it.
    loading: Option<Kept>,
    /// KEYS or ARGV are set.
    has_words: bool,
}

impl Machine {
    /// None when there is no memory for it.
    /// `open` pushes the table of our functions that the prelude is given.
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
        let loading = (results == 8).then(|| lua.keep());
        let redis = std::array::from_fn(|_| lua.keep());
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
            redis,
            loading,
            has_words: false,
        })
    }

    /// Compiles `code`, a script's body or a library, into a function that is kept, and says which arguments it takes.
    pub(crate) fn compile(
        &mut self,
        code: &[u8],
        name: &CStr,
        body: bool,
    ) -> Result<(Kept, Locals), Vec<u8>> {
        refuse_foreign_numbers(code, name)?;
        let source = prepare(code, body);
        let prepared = source.filter(|s| self.lua.compile(&s.text, name).is_ok());
        let locals = match prepared {
            Some(source) => source.locals,
            None => {
                // Errors are about the text as it is.
                compile_checked(&mut self.lua, code, name)?;
                Locals::default()
            }
        };
        Ok((self.lua.keep(), locals))
    }

    /// Compiles a script as it was written: its function takes no arguments, and has no variables but its own.
    pub(crate) fn compile_plain(&mut self, code: &[u8], name: &CStr) -> Result<Kept, Vec<u8>> {
        refuse_foreign_numbers(code, name)?;
        let kept = keep_frames(code);
        let done = kept.is_some_and(|code| self.lua.compile(&code, name).is_ok());
        if !done {
            compile_checked(&mut self.lua, code, name)?;
        }
        Ok(self.lua.keep())
    }

    /// Gives the function its environment back, after a script that has changed one.
    pub(crate) fn reset_environment(&mut self, function: &Kept) {
        self.lua.push_kept(function);
        self.lua.push_kept(&self.environment);
        self.lua.set_environment(-2);
        self.lua.truncate(0);
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

    /// Pushes what stands behind KEYS and ARGV in the arguments of a function with `locals`.
    pub(crate) fn push_redis(&mut self, locals: Locals) {
        let wanted = match (locals.cjson, locals.redis) {
            (true, _) => 5,
            (false, true) => 3,
            (false, false) => 0,
        };
        // Kept from the top of the stack downwards.
        for kept in self.redis.iter().rev().take(wanted) {
            self.lua.push_kept(kept);
        }
    }

    /// Sets the globals KEYS and ARGV to the two tables on the stack, which stay there.
    pub(crate) fn set_words(&mut self) {
        self.has_words = true;
        self.lua.push_kept(&self.globals);
        for (place, name) in [(1, &b"KEYS"[..]), (2, b"ARGV")] {
            self.lua.push_copy(place);
            self.lua.set_raw_field(3, name);
        }
        self.lua.truncate(2);
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

    /// Calls `function` with the values on the stack. The result, or the error, is the one value on it; nothing when the script
    /// was killed.
    ///
    /// `started_us` and `threshold_us` are those of [`Lua::call`].
    pub(crate) fn call(
        &mut self,
        server: &mut Server,
        function: &Kept,
        started_us: i64,
        threshold_us: Option<i64>,
    ) -> Result<(), Failure> {
        let args = self.lua.top();
        self.lua.push_kept(&self.handler);
        self.lua.push_kept(function);
        if args > 0 {
            // Below the arguments: the handler, then the function.
            self.lua.insert(1);
            self.lua.insert(1);
        }
        let result = self
            .lua
            .call(server, args as usize, 1, started_us, threshold_us);
        self.lua.remove(1);
        result
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

/// The compiler's own error for numbers that Lua 5.1 does not know.
fn refuse_foreign_numbers(code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
    match foreign_number(code) {
        Ok(Some(problem)) => {
            let source = name.to_bytes();
            let source = source.strip_prefix(b"@").unwrap_or(source);
            Err([source, b":", problem.as_bytes()].concat())
        }
        Ok(None) | Err(()) => Ok(()),
    }
}

/// Pushes the compiled chunk, unless it has such numbers: what could not be looked through may not compile at all.
pub(crate) fn compile_checked(stack: &mut Stack, code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
    refuse_foreign_numbers(code, name)?;
    stack.compile(code, name)?;
    if foreign_number(code).is_err() {
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
