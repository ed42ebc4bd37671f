#!lua flags=allow-oom
-- Forgets a registration.
-- KEYS: 1 the registration's record, a hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 registrationId
-- Returns 1 if it was known, else 0.

redis.call('DEL', tag .. ':ending:' .. ARGV[3])
on_index('ZREM', tag .. ':ends', 'registration:' .. ARGV[3])
return redis.call('DEL', KEYS[1])
