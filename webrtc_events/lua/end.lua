#!lua flags=allow-oom
-- Ends a subscription for a cause other than time or the maximum. An end never breaks a live
-- lease: what is leased may still be delivered, then comes the end.
-- KEYS: 1 the subscription's hash  2 its outbox  3 the partition's due zset
-- ARGV: 1 tag  2 offset_ms  3 id  4 terminationReason  5 the status it gets: EXPIRED or DELETED
--       6 deadline of the subscription-ended, ms  7 '1' to drop what is not delivered yet
-- Returns 'ended'; 'already' when another cause came first (its reason stays; the status is
--   overwritten, so that a deleted subscription is seen no more); 'gone' when there is none.

local tag, id = ARGV[1], ARGV[3]
local key, outbox, due = KEYS[1], KEYS[2], KEYS[3]
local of = redis.call('HMGET', key, 'status', 'ended_at', 'lease_until')
if not of[1] or of[1] == 'DELETED' then
  return 'gone'
end
local now = now_ms(tonumber(ARGV[2]))
local answer = 'ended'
if of[1] == 'ACTIVE' then
  queue_end(tag, id, now, ARGV[4], ARGV[5], tonumber(ARGV[6]))
else
  answer = 'already'
  redis.call('HSET', key, 'status', ARGV[5])
end

if of[2] then
  redis.call('ZADD', tag .. ':ends', now, id)
elseif ARGV[7] == '1' then
  if tonumber(of[3]) > now then
    redis.call('HSET', key, 'drop_before', entry_number(redis.call('LINDEX', outbox, -1)))
  else
    redis.call('LTRIM', outbox, -1, -1)
    -- A settle that comes after its lease ran out must not touch the end.
    redis.call('HINCRBY', key, 'fence', 1)
    redis.call('HSET', key, 'attempts', 0)
    redis.call('ZADD', due, now, id)
    redis.call('SPUBLISH', tag .. ':wakeup', '1')
  end
end
return answer
