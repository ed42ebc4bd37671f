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
return prolong(index, ARGV[3], ARGV[4], ARGV[5])
