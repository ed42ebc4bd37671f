#!lua
-- Stores a new channel.
-- KEYS: 1 the channel, a hash
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 how long it lives unless it is used, ms
--       4... its fields, name and value in turn
-- Returns when it was made, ms. Repeating it changes nothing.

local made = redis.call('HGET', KEYS[1], 'created_at')
if made then
  return made
end
local text = string.format('%.0f', now)
redis.call('HSET', KEYS[1], 'format', 1, 'created_at', text, 'used_at', text, unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return text
