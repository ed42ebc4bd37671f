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
local of = redis.pcall('HMGET', key, 'format', writer, 'from', 'next', 'bytes', 'first', 'last', 'status_at')
if of.err then
  if not string.find(of.err, '^WRONGTYPE') then
    return of
  end
  return 'left'
end
if (tonumber(of[1]) or 1) > options.format then
  return 'left'
end
-- Batches are sent in order, and again in order.
if (tonumber(of[2]) or 0) >= tonumber(ARGV[4]) then
  return 'repeated'
end

local from, following, bytes = tonumber(of[3]) or 1, tonumber(of[4]) or 1, tonumber(of[5]) or 0
local fields = {'format', 1, 'level', ARGV[8], writer, ARGV[4],
  'first', math.min(tonumber(of[6]) or math.huge, ARGV[9]), 'last', math.max(tonumber(of[7]) or 0, ARGV[10])}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if not of[4] then
  set('born', now)
end
if ARGV[11] ~= '' and tonumber(ARGV[12]) >= (tonumber(of[8]) or 0) then
  set('status', ARGV[11])
  set('status_at', ARGV[12])
end
local at = 13
for _ = 1, ARGV[13] do
  redis.call('HINCRBY', key, ARGV[at + 1], ARGV[at + 2])
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
redis.call('HSET', key, unpack(fields))
while following - from > tonumber(ARGV[5]) or bytes > tonumber(ARGV[6]) and following - from > 1 do
  bytes = bytes - redis.call('HSTRLEN', key, 'e:' .. from)
  redis.call('HDEL', key, 'e:' .. from)
  from = from + 1
end
redis.call('HSET', key, 'from', from, 'bytes', bytes)
redis.call('PEXPIRE', key, ARGV[7])
return 'written'
