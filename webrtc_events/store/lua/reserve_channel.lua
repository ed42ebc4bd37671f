#!lua
-- Names a channel that is about to be made, or is used, in the index of its client.
-- KEYS: 1 the client's channels: zset, channel -> when it is forgotten unless it is used before, ms
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 the channel
--       4 how long it lives unless it is used, ms  5 how many the client may have, or '' for no limit
-- Returns 1, or 0 if the client has as many as it may.

local key, channel = KEYS[1], ARGV[3]
local kind = redis.call('TYPE', key).ok
if kind ~= 'zset' and kind ~= 'none' then
  -- Damaged. Those that are used are named again; who counts them meanwhile counts too few.
  redis.call('RENAME', key, 'set-aside:' .. key)
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
if ARGV[5] ~= '' and not redis.call('ZSCORE', key, channel) and redis.call('ZCARD', key) >= tonumber(ARGV[5]) then
  return 0
end
redis.call('ZADD', key, string.format('%.0f', now + ARGV[4]), channel)
redis.call('PEXPIRE', key, ARGV[4])
return 1
