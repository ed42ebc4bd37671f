#!lua
-- Keeps the index of the sessions that have a trace, by the moment of their last entry, and bounds how many there are.
-- KEYS: 1 the index: zset, session -> moment, ms
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 how many sessions are kept  4 after how many ms without another entry a trace goes
--       5... sessions and their moments, in turn
-- Returns the sessions that are kept no more: whoever asked removes their traces. More may be left for the next run.

local key, MAX_REMOVED = KEYS[1], 1000
local kind = redis.call('TYPE', key).ok
if kind ~= 'zset' and kind ~= 'none' then
  -- Damaged, and of little worth: a call that goes on comes in again.
  redis.call('DEL', key)
end
for at = 5, #ARGV, 2 do
  redis.call('ZADD', key, 'GT', ARGV[at + 1], ARGV[at])
end
redis.call('PEXPIRE', key, ARGV[4])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ARGV[4])
local excess = redis.call('ZCARD', key) - ARGV[3]
local removed = {}
if excess > 0 then
  local popped = redis.call('ZPOPMIN', key, math.min(excess, MAX_REMOVED))
  for at = 1, #popped, 2 do
    removed[#removed + 1] = popped[at]
  end
end
return removed
