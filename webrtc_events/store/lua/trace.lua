#!lua
-- Adds entries to the trace of a media session. The oldest go once it has too many, or too many bytes.
-- KEYS: 1 the trace: hash, 'e:<number>' -> an entry as JSON, 'r:<registration>' -> '' for each that is involved,
--         and: format, level, born (when it was made, ms), first and last (moments of its entries, ms),
--         status (the session's) and status_at, from and next (the numbers of its first entry and of the one to come), bytes (of its entries),
--         batch:<who writes> (the last that it wrote), and how many events and attempts of each kind there were
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 who writes  4 the number of this batch, counted by who writes  5 maximum of entries  6 maximum of bytes
--       7 after how many ms without another entry the trace goes  8 level
--       9, 10 the first and the last moment of the entries, ms  11, 12 the session's status, or '', and its moment
--       13 how many counts, then for each its name and by how much it grows, then
--       how many registrations, then each, then the entries, at least one
-- Returns 'written', 'repeated' (this batch, or a later one of who writes, is there already: nothing was written), or 'left' (a newer release
--   wrote the trace, or it is a key of another type: nothing was written).

local key, writer = KEYS[1], 'batch:' .. ARGV[3]
local COUNTS = 13
local names = {'format', writer, 'from', 'next', 'bytes', 'first', 'last', 'status_at'}
local KNOWN = #names
for at = COUNTS + 1, COUNTS + 2 * ARGV[COUNTS], 2 do
  names[#names + 1] = ARGV[at]
end
local of = redis.pcall('HMGET', key, unpack(names))
if of.err then
  if not string.find(of.err, '^WRONGTYPE') then
    return of
  end
  return 'left'
end

-- What is no number counts as none.
local function count(index)
  local text = of[index]
  return text and #text <= 16 and string.find(text, '^%d+$') and tonumber(text) or nil
end
if (count(1) or 1) > options.format then
  return 'left'
end
-- Batches are sent in order, and again in order.
if (count(2) or 0) >= tonumber(ARGV[4]) then
  return 'repeated'
end

local from, following, bytes = count(3) or 1, count(4) or 1, count(5) or 0
local MAX_KEPT = 10000
if following < from or following - from > MAX_KEPT then
  -- Damaged. It begins anew, with none of its entries.
  redis.call('DEL', key)
  of, from, following, bytes = {}, 1, 1, 0
end
local fields = {'format', 1, 'level', ARGV[8], writer, ARGV[4],
  'first', math.min(count(6) or math.huge, ARGV[9]), 'last', math.max(count(7) or 0, ARGV[10])}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if not of[4] then
  set('born', now)
end
if ARGV[11] ~= '' and tonumber(ARGV[12]) >= (count(8) or 0) then
  set('status', ARGV[11])
  set('status_at', ARGV[12])
end
local at = COUNTS
for index = 1, ARGV[COUNTS] do
  set(ARGV[at + 1], (count(KNOWN + index) or 0) + ARGV[at + 2])
  at = at + 2
end
at = at + 1
for _ = 1, ARGV[at] do
  at = at + 1
  set('r:' .. ARGV[at], '')
end
for index = at + 1, #ARGV do
  set('e:' .. following, ARGV[index])
  bytes = bytes + #ARGV[index]
  following = following + 1
end
set('next', following)
local function is_too_large()
  return following - from > tonumber(ARGV[5]) or bytes > tonumber(ARGV[6]) and following - from > 1
end
if is_too_large() then
  -- Some of those that go may have come just now.
  redis.call('HSET', key, unpack(fields))
  fields = {}
end
while is_too_large() do
  bytes = bytes - redis.call('HSTRLEN', key, 'e:' .. from)
  redis.call('HDEL', key, 'e:' .. from)
  from = from + 1
end
set('from', from)
set('bytes', math.max(0, bytes))
redis.call('HSET', key, unpack(fields))
redis.call('PEXPIRE', key, ARGV[7])
return 'written'
