#!lua flags=allow-oom
-- Makes the log of a channel in one partition, or lets it live on; what has become too old goes.
-- KEYS: 1 the hash with its counters
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the channel  4 how long its keys live from now on, ms; the log until
--         its latest event is too old, if that is sooner
--       5 '1' to make it if it is not there
-- Returns 1, or 0 if there is none.

local channel, index = ARGV[3], channel_index_key(ARGV[3])
if ARGV[5] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'number', 0, 'bytes', 0, 'gone', 0, 'acked', 0, 'epoch', store_epoch())
  -- Whoever is delivered into it is made from now on, and so will be in its index.
  write('SADD', index, ALL_ARE_LISTED)
end
local bytes = redis.call('HGET', KEYS[1], 'bytes')
if not bytes then
  return 0
end
trim_channel(channel, whole(bytes, 'bytes'))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', index, ARGV[4])
local log = channel_log_key(channel)
local latest = write('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if latest then
  local left_ms = string.match(latest[1], '%d+$') + options.channel_age_ms - now
  redis.call('PEXPIRE', log, string.format('%.0f', math.max(1, math.min(ARGV[4], left_ms))))
end
return 1
