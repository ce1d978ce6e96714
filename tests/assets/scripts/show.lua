-- One printable text for whatever a function returns, or for its error without the place in the script: for golden results, which
-- a real server's EVAL and the tests' own machine both make with this.
local type, pairs, tostring, select = type, pairs, tostring, select
local format, byte, sub, char = string.format, string.byte, string.sub, string.char
local concat, sort = table.concat, table.sort

local function quote(s)
  local out = {}
  for i = 1, #s do
    local b = byte(s, i)
    if b >= 32 and b < 127 and b ~= 92 then out[i] = char(b) else out[i] = format('\\%02x', b) end
  end
  return '"' .. concat(out) .. '"'
end

local function number(n)
  if n ~= n then return 'nan' end
  if n == 1/0 then return 'inf' end
  if n == -1/0 then return '-inf' end
  if n == 0 then return 1/n < 0 and '-0' or '0' end
  return format('%.17g', n)
end

local function one(v, depth)
  local t = type(v)
  if t == 'string' then return quote(v) end
  if t == 'number' then return number(v) end
  if t == 'table' then
    if depth > 4 then return '{...}' end
    local parts = {}
    for k, e in pairs(v) do parts[#parts + 1] = '[' .. one(k, depth + 1) .. ']=' .. one(e, depth + 1) end
    sort(parts)
    return '{' .. concat(parts, ',') .. '}'
  end
  if t == 'userdata' then return v == cjson.null and 'null' or t end
  if t == 'function' then return t end
  return tostring(v)
end

local function without_place(s)
  -- No pattern: these are under test themselves.
  local prefix = 'user_script:'
  if sub(s, 1, #prefix) ~= prefix then return s end
  local i = #prefix + 1
  while byte(s, i) ~= 58 do i = i + 1 end
  return sub(s, i + 2)
end

local function all(ok, ...)
  if not ok then
    local e = ...
    if type(e) == 'table' then e = e.err end
    return 'ERR ' .. quote(without_place(tostring(e)))
  end
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = one((select(i, ...)), 0) end
  return concat(parts, ' ')
end

return function(f)
  return all(pcall(f))
end
