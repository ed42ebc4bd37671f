#!lua flags=allow-oom
-- Takes a rate-limit slot at a sink that limits the notifications a minute. Every notification takes one,
-- whichever subscription and worker it comes from.
-- KEYS: 1 the sink's slots, a zset: subscription → the slot kept for it, ms; 'used' → the latest that was used
-- ARGV: 1 the sink's hash tag (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 subscription id  4 ms from one slot to the next  5 how long its worker can wait, ms
-- Returns after how many ms its slot comes. Up to (5) the worker uses it; beyond that it is kept for the
--   subscription, which asks again before it. A slot that passes unused goes to whoever asks next.

local key, id, interval, patience = KEYS[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

-- The score of the first (0) or the last (-1) member; nil if there is none.
local function score_at(index)
  return tonumber(redis.call('ZRANGE', key, index, index, 'WITHSCORES')[2])
end

if redis.call('TYPE', key).ok ~= 'zset' then
  -- It holds nothing that is missed.
  redis.call('DEL', key)
end
local used = tonumber(redis.call('ZSCORE', key, 'used'))
redis.call('ZREM', key, 'used')
redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.0f', now))

local slot = tonumber(redis.call('ZSCORE', key, id))
if not slot then
  slot = used and math.max(now, used + interval) or now
  local first = score_at(0)
  if first and first < slot + interval then
    slot = math.max(slot, score_at(-1) + interval)
  end
end
local wait_ms = math.ceil(slot - now)
if wait_ms > patience then
  redis.call('ZADD', key, slot, id)
else
  redis.call('ZREM', key, id)
  used = math.max(used or slot, slot)
end
if used then
  redis.call('ZADD', key, used, 'used')
end
redis.call('PEXPIRE', key, math.ceil(score_at(-1) - now + interval) + 1000)
return wait_ms
