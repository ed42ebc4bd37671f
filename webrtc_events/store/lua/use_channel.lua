#!lua flags=allow-oom
-- A channel is used, so it lives on; it may get a log in one more partition, or end.
-- KEYS: 1 the channel, a hash
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 how long it lives unless it is used, ms
--       4 'use'; 'join', with a partition's number as 5; 'end'
-- Returns the hash as a list, or nothing if there is none. One that ends is not used any more: it is only ended again.

local of = redis.call('HMGET', KEYS[1], 'created_at', 'ended')
if not of[1] or of[2] and ARGV[4] ~= 'end' then
  return {}
end
if ARGV[4] == 'end' then
  redis.call('HSET', KEYS[1], 'ended', '1')
else
  redis.call('HSET', KEYS[1], 'used_at', string.format('%.0f', now))
  if ARGV[4] == 'join' then
    redis.call('HSET', KEYS[1], 'partition:' .. ARGV[5], '')
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HGETALL', KEYS[1])
