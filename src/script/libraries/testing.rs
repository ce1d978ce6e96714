//! What the tests of the libraries run scripts with: a machine that has them, and a guard as scripts get it.

use super::super::lua::{Call, Failure, Kind, Lua, Returned};
use super::{LibraryHost, LibraryState, cjson, cmsgpack, random, string, structs};

/// Knows nothing but the libraries' state.
#[derive(Default)]
pub(crate) struct ToyHost {
    pub(crate) state: LibraryState,
    /// How often a slow script was interrupted, and after how many times it is killed.
    pub(crate) interrupts: u32,
    pub(crate) killed_after: u32,
}

impl LibraryHost for ToyHost {
    fn library_state(&mut self) -> &mut LibraryState {
        &mut self.state
    }
}

/// Stands between scripts and raw functions.
const GUARD: &[u8] = br#"
local cjson_raw, cmsgpack_raw, struct_raw, string_raw, random_raw, mark = ...
local error, pairs, type, select = error, pairs, type, select
-- No result at all is none here as well.
local function check(...)
  if (...) == mark then error((select(2, ...)), 0) end
  return ...
end
local function wrap(f)
  return function(...) return check(f(...)) end
end
local function wrap_all(raw, into)
  for name, f in pairs(raw) do
    if type(f) == 'function' then into[name] = wrap(f)
    elseif type(f) ~= 'table' then into[name] = f end
  end
  return into
end
cjson = wrap_all(cjson_raw, {})
cjson.options = nil
local function new()
  local options, lib = cjson_raw.options(), {}
  for name, f in pairs(cjson_raw.instance) do
    lib[name] = function(...) return check(f(options, ...)) end
  end
  lib.null, lib._NAME, lib._VERSION, lib.new = cjson.null, cjson._NAME, cjson._VERSION, new
  return lib
end
cjson.new = new
cmsgpack = wrap_all(cmsgpack_raw, {})
struct = wrap_all(struct_raw, {})
wrap_all(random_raw, math)
wrap_all(string_raw, string)
string.gmatch_step = nil
local step, begin = string_raw.gmatch_step, string_raw.gmatch
local function iterate(s, p)
  local place = {0}
  return function() return check(step(s, p, place)) end
end
string.gmatch = function(...) return iterate(check(begin(...))) end
"#;

/// What scripts of tests find besides: one text for any values.
const SHOW: &[u8] = include_bytes!("../../../tests/assets/scripts/show.lua");

pub(crate) struct Machine {
    pub(crate) lua: Lua<ToyHost>,
    pub(crate) host: ToyHost,
}

fn handler(_: &mut Call<ToyHost>) -> Returned {
    Ok(1)
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let mut lua = Lua::<ToyHost>::new().expect("a machine");
        lua.push_function(handler);
        assert_eq!(lua.compile(GUARD, c"=guard"), Ok(()));
        cjson::open(&mut lua);
        cmsgpack::open(&mut lua);
        structs::open(&mut lua);
        string::open(&mut lua);
        random::open(&mut lua);
        lua.push_mark();
        let mut host = ToyHost::default();
        let done = lua.call(&mut host, 6, 1, 0, None);
        assert_eq!(done, Ok(()), "{:?}", lua.bytes(-1));
        lua.truncate(0);
        let mut machine = Machine { lua, host };
        machine.lua.push_function(handler);
        assert_eq!(machine.lua.compile(SHOW, c"=show"), Ok(()));
        let done = machine.lua.call(&mut machine.host, 0, 1, 0, None);
        assert_eq!(done, Ok(()));
        machine.lua.push_globals();
        machine.lua.insert(-2);
        machine.lua.set_raw_field(-2, b"show");
        machine.lua.truncate(0);
        machine
    }

    /// Runs a script with one argument, `...`; its result is a string, or its error is.
    pub(crate) fn run(&mut self, code: &str, arg: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        self.run_timed(code, arg, None)
            .expect("nobody ends the script")
    }

    /// The same; it is interrupted again and again after `threshold_us`. None: it was killed.
    pub(crate) fn run_timed(
        &mut self,
        code: &str,
        arg: &[u8],
        threshold_us: Option<i64>,
    ) -> Option<Result<Vec<u8>, Vec<u8>>> {
        self.lua.truncate(0);
        self.lua.push_function(handler);
        if let Err(text) = self.lua.compile(code.as_bytes(), c"@user_script") {
            return Some(Err(text));
        }
        self.lua.push_bytes(arg);
        let started = crate::base::clock::ustime();
        let done = self.lua.call(&mut self.host, 1, 1, started, threshold_us);
        if done == Err(Failure::Killed) {
            return None;
        }
        let text = match self.lua.kind(-1) {
            Kind::Nil => b"nil".to_vec(),
            _ => self.lua.to_bytes(-1).unwrap_or(b"?").to_vec(),
        };
        self.lua.truncate(0);
        Some(done.map(|()| text.clone()).map_err(|_| text))
    }

    /// One text for what an expression gives, or for its error without the place.
    pub(crate) fn eval(&mut self, expression: &str) -> String {
        self.eval_with(expression, b"")
    }

    /// The same of a byte string, which the expression calls `arg`.
    pub(crate) fn eval_with(&mut self, expression: &str, arg: &[u8]) -> String {
        // No call of the expression is a tail call: it has a name.
        let code = format!(
            "local arg = ... local function k(...) return ... end \
             return (show(function() return k({expression}) end))"
        );
        match self.run(&code, arg) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(text) => format!("FAILED {}", String::from_utf8_lossy(&text)),
        }
    }
}
