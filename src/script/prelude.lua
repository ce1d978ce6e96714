-- What scripts find: the sandbox. Run once for each machine, before any script; `machine.rs` passes our own functions.
--
-- Every table that scripts share is seen through a proxy, an empty table that reads the real one and refuses writes. What would
-- reach past a metatable (rawset, table.insert, setmetatable, setfenv, next) is replaced by functions that know the proxies.
-- The functions of ours that can fail return the mark and their error; `guard` raises it. Functions of the machine itself are
-- called as tail calls, so that their errors name the script's place and not this file's.
--
-- Left out on purpose: newproxy (its finalisers could run Lua code at any time), dofile, loadfile, print, the libraries debug, io,
-- package, ffi and jit, and of os all but clock. Binary code is never loaded.

local raw, mark, with_debugging, function_engine = ...

local error, type, select, tostring, tonumber = error, type, select, tostring, tonumber
local rawget, rawset, next, pairs = rawget, rawset, next, pairs
local setmetatable, getmetatable, setfenv, getfenv = setmetatable, getmetatable, setfenv, getfenv
local pcall, concat, collectgarbage, floor, ceil = pcall, table.concat, collectgarbage, math.floor, math.ceil
local insert, sort, gmatch, string_metatable = table.insert, table.sort, string.gmatch, getmetatable("")
local find, sub, byte, gsub, log, xpcall = string.find, string.sub, string.byte, string.gsub, math.log, xpcall
local is_deep, is_over = raw.is_deep, raw.is_over
local std = _G

local READONLY = "Attempt to modify a readonly table"

-- Proxies ---------------------------------------------------------------------------------------------------------------

local real = {}
-- What getmetatable shows of a proxy; most have none to show.
local shown = {}

local function readonly()
  error(READONLY, 2)
end

local function protect(t)
  local proxy = {}
  real[proxy] = t
  return setmetatable(proxy, { __index = t, __newindex = readonly, __metatable = false })
end

-- Functions of ours have an environment without anything, which getfenv may show: those above, and those from here on.
local nothing = protect({})
setfenv(readonly, nothing)
setfenv(protect, nothing)
setfenv(1, nothing)

-- Our own functions -----------------------------------------------------------------------------------------------------

-- No result at all is none here as well.
local function check(...)
  if (...) == mark then
    error((select(2, ...)), 0)
  end
  return ...
end

local function guard(f)
  return function(...)
    return check(f(...))
  end
end

local function guarded(library)
  local t = {}
  for name, f in pairs(library) do
    t[name] = type(f) == "function" and guard(f) or f
  end
  return t
end

-- Functions that know proxies -------------------------------------------------------------------------------------------

local base = {}

for name in gmatch("tostring assert rawequal type select unpack ipairs error", "%a+") do
  base[name] = std[name]
end
base._VERSION = std._VERSION

function base.rawset(t, k, v)
  if real[t] then
    error(READONLY, 2)
  end
  return rawset(t, k, v)
end

function base.rawget(t, k)
  return rawget(real[t] or t, k)
end

function base.next(t, k)
  return next(real[t] or t, k)
end

function base.pairs(t)
  local shared = real[t]
  if not shared then
    return pairs(t)
  end
  -- What is handed out may be written to.
  local copy = {}
  for k, v in next, shared do
    copy[k] = v
  end
  return next, copy, nil
end

function base.setmetatable(t, m)
  if real[t] then
    error(READONLY, 2)
  end
  return setmetatable(t, m)
end

function base.getmetatable(t)
  if real[t] then
    return shown[t]
  end
  return getmetatable(t)
end

-- The machine's functions that scripts share: their environments are not to be changed.
local shared_functions = {}

local globals

-- A level, which the machine takes as a text as well, and without its fraction.
local function level(f)
  local n = type(f) ~= "function" and tonumber(f)
  if n and n > -1 and n < 1 then
    return 0
  end
  return n
end

-- Tail calls keep the levels that these count.
function base.getfenv(f)
  if level(f) == 0 then
    return globals
  end
  return getfenv(f)
end

function base.setfenv(f, t)
  local n = level(f)
  if n == 0 or real[f] then
    error(READONLY, 2)
  end
  if shared_functions[f] or (n and n ~= 1) then
    error("'setfenv' cannot change environment of given object", 2)
  end
  raw.note_environment()
  return setfenv(f, t)
end

local function caught(ok, ...)
  if ok then
    return true, ...
  end
  local e = ...
  if type(e) == "table" and not real[e] then
    local text = e.err
    if type(text) == "string" or type(text) == "number" then
      e = text
    end
  end
  return false, e
end

function base.pcall(...)
  if select("#", ...) == 0 then
    return false, "attempt to call a boolean value"
  end
  return caught(pcall(...))
end

-- The handler of what ends a script is not the script's: hooks do not run in it, so that nothing could end that. And each handler
-- takes of the process's stack.
function base.xpcall(...)
  local f, handler = ...
  if select("#", ...) < 2 then
    return xpcall(...)
  end
  return xpcall(f, function(e)
    if is_over() or is_deep() then
      return e
    end
    return handler(e)
  end)
end

-- The machine knows binary numbers.
function base.tonumber(...)
  local v, n = ...
  if type(v) == "string" and (n == nil or n == 10) then
    local first = byte(v)
    if first and first <= 48 and find(v, "^%s*[-+]?0[bB]") then
      return nil
    end
  end
  if n ~= nil then
    -- Of another base than 10 it is an unsigned number of 64 bits, a negative one what wraps to it.
    local number = tonumber(...)
    if number and number < 0 and tonumber(n) ~= 10 then
      return number > -2 ^ 64 and number + 2 ^ 64 or 1
    end
    return number
  end
  return tonumber(...)
end

local function compile(s, name)
  return check(raw.compile(s, name))
end

function base.loadstring(s, name)
  if type(s) ~= "string" and type(s) ~= "number" then
    error("bad argument #1 to 'loadstring' (string expected, got " .. (s == nil and "no value" or type(s)) .. ")", 2)
  end
  s = tostring(s)
  return compile(s, name and tostring(name) or s)
end

function base.load(f, name)
  if type(f) ~= "function" then
    error("bad argument #1 to 'load' (function expected, got " .. (f == nil and "no value" or type(f)) .. ")", 2)
  end
  local pieces = {}
  while true do
    local ok, piece = pcall(f)
    if not ok then
      return nil, piece
    end
    if piece == nil or piece == "" then
      return compile(concat(pieces), name and tostring(name) or "=(load)")
    end
    if type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    pieces[#pieces + 1] = piece
  end
end

-- A script may ask for a collection, but not switch it off for those after it.
function base.collectgarbage(option, n)
  if option == "count" then
    return collectgarbage("count")
  end
  if option == nil or option == "collect" or option == "step" then
    return collectgarbage(option or "collect", n)
  end
  if option == "stop" or option == "restart" or option == "setpause" or option == "setstepmul" then
    return 0
  end
  error("bad argument #1 to 'collectgarbage' (invalid option '" .. tostring(option) .. "')", 2)
end

function base.gcinfo()
  return floor(collectgarbage("count"))
end

-- Libraries -------------------------------------------------------------------------------------------------------------

local function chosen(library, names)
  local t = {}
  for name in gmatch(names, "%w+") do
    t[name] = library[name]
  end
  return t
end

local libraries = {
  string = chosen(std.string, "char dump len lower reverse upper"),
  table = chosen(std.table, "concat foreach foreachi getn maxn remove"),
  math = chosen(
    std.math,
    "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log10 max min mod modf pi pow rad sin "
      .. "sinh sqrt tan tanh"
  ),
  bit = chosen(std.bit, "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex"),
  os = chosen(std.os, "clock"),
  coroutine = chosen(std.coroutine, "create resume running status wrap yield"),
  cjson = guarded(raw.cjson),
  cmsgpack = guarded(raw.cmsgpack),
  struct = guarded(raw.struct),
}
libraries.math.mod = libraries.math.fmod
-- The machine's own takes a base.
function libraries.math.log(x)
  return log(x)
end

-- The machine's own takes a huge negative width for one of 254 digits.
local tohex = libraries.bit.tohex
function libraries.bit.tohex(x, ...)
  local n = tonumber((...))
  if n and (n > 8 or n < -8) then
    return tohex(x, n > 0 and 8 or -8)
  end
  return tohex(x, ...)
end

-- Each coroutine that is resumed within another one takes of the process's stack, of which there is no more than upstream's limit
-- (LUAI_MAXCCALLS) would take.
local MOST_NESTED = 190
local create, resume, running, wrap = std.coroutine.create, std.coroutine.resume, std.coroutine.running, std.coroutine.wrap
local depths = setmetatable({}, { __mode = "k" })

local function resume_within(co, ...)
  if type(co) == "thread" then
    local within = running()
    local depth = (within and depths[within] or 0) + 1
    if depth > MOST_NESTED or is_deep() then
      return false, "C stack overflow"
    end
    depths[co] = depth
  end
  return resume(co, ...)
end

local function resumed(ok, e, ...)
  if ok then
    return e, ...
  end
  error(e, type(e) == "string" and 2 or 0)
end

libraries.coroutine.resume = resume_within
function libraries.coroutine.wrap(f)
  if type(f) ~= "function" then
    return wrap(f)
  end
  local co = create(f)
  return function(...)
    return resumed(resume_within(co, ...))
  end
end

for name, f in pairs(guarded(raw.string)) do
  libraries.string[name] = f
end
libraries.string.gmatch_step = nil

-- The machine's own know places of 32 bits only. Beyond 63 there is the lowest one.
local MAX_PLACE = 2147483647
local function place(n)
  local x = tonumber(n)
  if not x or (x >= -MAX_PLACE and x <= MAX_PLACE) then
    return n
  end
  return x > 0 and x < 2 ^ 63 and MAX_PLACE or -MAX_PLACE
end

function libraries.string.sub(s, from, to)
  if to == nil then
    return sub(s, place(from))
  end
  return sub(s, place(from), place(to))
end

function libraries.string.byte(s, from, to)
  if from == nil and to == nil then
    return byte(s)
  end
  if to == nil then
    return byte(s, place(from))
  end
  return byte(s, from and place(from), place(to))
end

local step, begin = raw.string.gmatch_step, raw.string.gmatch
local function iterate(s, p)
  local place = { 0 }
  return function()
    return check(step(s, p, place))
  end
end
function libraries.string.gmatch(...)
  return iterate(check(begin(...)))
end
libraries.string.gfind = libraries.string.gmatch

-- An encoder with options of its own.
local cjson = libraries.cjson
local options, instance = raw.cjson.options, raw.cjson.instance
cjson.options, cjson.instance = nil, nil
function cjson.new()
  local own, library = options(), {}
  for name, f in next, instance do
    library[name] = function(...)
      return check(f(own, ...))
    end
  end
  library.null, library._NAME, library._VERSION, library.new = cjson.null, cjson._NAME, cjson._VERSION, cjson.new
  return library
end
for name, f in pairs(guarded(raw.math)) do
  libraries.math[name] = f
end

-- Elements that the machine's own code moves at once: it cannot be interrupted, and what a table says of its length may be any
-- number, whatever there is in it.
local PLAIN_MOVE = 65536
function libraries.table.insert(t, ...)
  if real[t] then
    error(READONLY, 2)
  end
  if select("#", ...) == 2 and type(t) == "table" then
    local at, v = ...
    at = tonumber(at)
    if at then
      if not (at >= -65536 and at <= MAX_PLACE) then
        error("bad argument #2 to 'insert' (position out of bounds)", 2)
      end
      local last = #t
      if last - at > PLAIN_MOVE then
        at = at < 0 and ceil(at) or floor(at)
        for i = last + 1, at + 1, -1 do
          rawset(t, i, rawget(t, i - 1))
        end
        rawset(t, at, v)
        return
      end
    end
  end
  return insert(t, ...)
end

-- Elements that are compared by Lua code can be interrupted. The machine's own takes n * n / 4 comparisons for the worst order, and
-- each looks at all the bytes that two strings have in common.
local PLAIN_SORT = 4096
local PLAIN_SORT_BYTES = 1048576
local function is_less(a, b)
  return a < b
end
local function is_plain(t)
  local n = #t
  if n > PLAIN_SORT then
    return false
  end
  local bytes = 0
  for i = 1, n do
    local v = rawget(t, i)
    if type(v) == "string" then
      bytes = bytes + #v
    end
  end
  return bytes <= PLAIN_SORT_BYTES
end
-- The machine's own comparisons have no place in the script.
local function sorted(ok, e)
  if not ok then
    if type(e) == "string" then
      e = gsub(e, "^redis:%d+: ", "")
    end
    error(e, 0)
  end
end
function libraries.table.sort(t, less)
  if is_deep() then
    error("C stack overflow", 2)
  end
  if less == nil and type(t) == "table" and not is_plain(t) then
    return sorted(pcall(sort, t, is_less))
  end
  return sort(t, less)
end

function libraries.table.setn()
  error("'setn' is obsolete", 2)
end

-- redis.* ---------------------------------------------------------------------------------------------------------------

local redis = {}

for name, v in pairs(raw.redis) do
  if type(v) == "function" then
    v = guard(v)
  end
  redis[name] = v
end

-- Commands that fail give no reply, and an error.
local function raising(command)
  return function(...)
    local reply, e = command(...)
    if e then
      error(e, 0)
    end
    return reply
  end
end

redis.call = raising(raw.redis.call)
-- What it returns is only to be returned by a script.
local last = raising(raw.last)

-- Its errors are values.
redis.pcall = raw.redis.pcall

if not with_debugging then
  redis.breakpoint, redis.debug, redis.replicate_commands = nil, nil, nil
end

-- Globals ---------------------------------------------------------------------------------------------------------------

local real_globals = base

local function nonexistent(t, k)
  if type(k) ~= "string" and type(k) ~= "number" then
    error("Second argument to luaProtectedTableError must be a string or number", 2)
  end
  error("Script attempted to access nonexistent global variable '" .. k .. "'", 2)
end

local function note(library)
  for _, f in next, library do
    if type(f) == "function" then
      shared_functions[f] = true
      -- Some of the machine's functions are Lua code, whose environment is the machine's globals. The others have none.
      pcall(setfenv, f, nothing)
    end
  end
end

note(base)
note(redis)
note({ nonexistent })
for name, library in next, libraries do
  note(library)
  real_globals[name] = protect(library)
end
local shown_redis = protect(redis)
real_globals.redis, real_globals.server = shown_redis, shown_redis

string_metatable.__index = libraries.string
string_metatable.__metatable = protect({ __index = real_globals.string })

-- Whoever finds the machine's own globals, finds nothing in them, and can leave nothing there.
for name in next, std do
  std[name] = nil
end
real[std] = {}
setmetatable(std, { __index = real[std], __newindex = readonly, __metatable = false })

local missing = { __index = nonexistent }
setmetatable(real_globals, missing)
globals = protect(real_globals)
real_globals._G = globals
shown[globals] = protect(missing)

if not function_engine then
  return globals, real_globals, shown_redis, redis.call, redis.pcall, last, cjson.encode, cjson.decode
end

-- Functions -------------------------------------------------------------------------------------------------------------

-- While a library loads, all that there is of the globals is a `redis` of its own, to register functions with.
local loading_redis = {}
for name in gmatch("log LOG_DEBUG LOG_VERBOSE LOG_NOTICE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM", "[%u%l_]+") do
  loading_redis[name] = redis[name]
end
loading_redis.register_function = guard(raw.register_function)
note(loading_redis)
setmetatable(loading_redis, missing)
local loading_globals = setmetatable({}, missing)
local shown_loading = protect(loading_redis)
loading_globals.redis, loading_globals.server = shown_loading, shown_loading

-- The environment of libraries is a proxy whose source can be changed.
local reads = { __index = real_globals, __newindex = readonly, __metatable = false }
local environment = setmetatable({}, reads)
real[environment] = real_globals
shown[environment] = protect({})
real_globals._G = environment
globals = environment

return environment, real_globals, shown_redis, redis.call, redis.pcall, last, cjson.encode, cjson.decode, function(loading)
  reads.__index = loading and loading_globals or real_globals
  real[environment] = loading and loading_globals or real_globals
end
