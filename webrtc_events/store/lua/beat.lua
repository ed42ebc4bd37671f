#!lua flags=allow-oom
-- A worker says that it is running, or that it ends.
-- KEYS: 1 the running workers: zset, name of a worker -> when it is forgotten unless it says so again, ms
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 the worker's name
--       4 after how many ms it is forgotten; 0: at once
-- Returns the names of all that are running.

local key, lasting_ms = KEYS[1], tonumber(ARGV[4])
local kind = redis.call('TYPE', key).ok
if kind ~= 'zset' and kind ~= 'none' then
  -- Damaged, and of no worth: each says soon again that it is running.
  redis.call('DEL', key)
end
if lasting_ms > 0 then
  redis.call('ZADD', key, now + lasting_ms, ARGV[3])
  redis.call('PEXPIRE', key, lasting_ms)
  -- Of these the store's clock has gone back since: who of them is running says so again.
  redis.call('ZREMRANGEBYSCORE', key, string.format('(%.0f', now + lasting_ms), '+inf')
else
  redis.call('ZREM', key, ARGV[3])
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
return redis.call('ZRANGE', key, 0, -1)
