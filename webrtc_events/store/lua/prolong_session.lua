#!lua
-- Leads a media session to a partition for as long as a subscription may need it.
-- KEYS: 1 the session's index, a set of partitions
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 the partition's number
--       4 how long the index is kept, s  5 until when it is kept at least, ms, or ''
-- Returns {when it would have gone, when it goes now}, ms; the first is -2 of one that is new, -1 of one that was to
--   stay; {} if it is a key of another type. The second differs with each run: so who takes its own back
--   (shorten_session.lua) sees whether another has relied on it since.

local index = KEYS[1]
local kind = redis.call('TYPE', index).ok
if kind ~= 'set' and kind ~= 'none' then
  return {}
end
local was = redis.call('PEXPIRETIME', index)
local from_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local goes = math.max(from_ms + ARGV[4] * 1000, tonumber(ARGV[5]) or 0, was + 1)
redis.call('SADD', index, ARGV[3])
redis.call('PEXPIREAT', index, string.format('%.0f', goes))
return {was, redis.call('PEXPIRETIME', index)}
