#!lua
-- Stores what the gateway says of a registration, in place of what was known.
-- KEYS: 1 the registration's record, a hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 registrationId  4 its expiry, ms, or ''
--       5... the fields of the record, name and value in turn
-- Returns 1 if nothing was known before, else 0.

local registration, expires_at = ARGV[3], ARGV[4]
local known = redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
-- It lives: those who come late no longer get its former end.
write('HDEL', tag .. ':registration-state:' .. registration, 'end_name', 'end')
redis.call('DEL', tag .. ':ending:' .. registration)
if expires_at == '' then
  on_index('ZREM', tag .. ':ends', 'registration:' .. registration)
else
  on_index('ZADD', tag .. ':ends', expires_at, 'registration:' .. registration)
end
return 1 - known
