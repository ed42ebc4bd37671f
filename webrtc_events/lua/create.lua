#!lua
-- Stores a new subscription and puts it into the indexes of its partition.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms  3 id  4 type  5 registrationId  6 mediaSessionId or ''
--       7 expires_at, ms, or ''  8 the sink token's expiry, ms, or ''
--       9... further fields of the hash, name and value in turn
-- Returns {'created', starts_at_ms}, {'expired', now_ms} when (7) is not in the future,
--   {'token_expired', now_ms} when (8) is not. Repeating a create of the same id changes nothing.

local tag, id = ARGV[1], ARGV[3]
local now = now_ms(tonumber(ARGV[2]))
local key = KEYS[1]
local started = redis.call('HGET', key, 'starts_at')
if started then
  return {'created', tonumber(started)}
end
if ARGV[7] ~= '' and tonumber(ARGV[7]) <= now then
  return {'expired', now}
end
if ARGV[8] ~= '' and tonumber(ARGV[8]) <= now then
  return {'token_expired', now}
end

redis.call('HSET', key, 'format', 1, 'status', 'ACTIVE', 'type', ARGV[4], 'registration', ARGV[5],
  'session', ARGV[6], 'expires_at', ARGV[7], 'starts_at', now,
  'appended', 0, 'number', 0, 'fence', 0, 'lease_until', 0, 'attempts', 0, 'drop_before', 0)
redis.call('HSET', key, unpack(ARGV, 9))
if ARGV[6] ~= '' then
  redis.call('SADD', tag .. ':session:' .. ARGV[6], id)
end
if ARGV[7] ~= '' then
  redis.call('ZADD', tag .. ':ends', ARGV[7], id)
end
redis.call('SADD', tag .. ':registration:' .. ARGV[4] .. ':' .. ARGV[5], id)
return {'created', now}
