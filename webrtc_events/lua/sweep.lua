#!lua flags=allow-oom
-- What time does to the subscriptions of one partition: ends those that expired, and names
-- those that ended long enough ago to be removed.
-- KEYS: 1 the partition's ends zset
-- ARGV: 1 tag  2 offset_ms  3 deadline of a subscription-ended, ms  4 most subscriptions
-- Returns {how many expired, id to remove, its client, id to remove, its client...}

local tag = ARGV[1]
local now = now_ms(tonumber(ARGV[2]))
local result = {0}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])) do
  local of = redis.call('HMGET', tag .. ':subscription:' .. id, 'status', 'ended_at', 'client')
  if of[2] then
    result[#result + 1] = id
    result[#result + 1] = of[3]
  elseif of[1] == 'ACTIVE' then
    queue_end(tag, id, now, 'SUBSCRIPTION_EXPIRED', 'EXPIRED', tonumber(ARGV[3]))
    result[1] = result[1] + 1
  else
    -- Its hash is gone: there is nothing left to end.
    redis.call('ZREM', KEYS[1], id)
  end
end
return result
