#!lua flags=allow-oom
-- When is it a subscription's turn at a sink that allows so many notifications a minute? Every notification
-- has a turn of its own, whichever subscription and worker it comes from.
-- KEYS: 1 the sink's turns, a zset: subscription → the turn kept for it, ms; 'used' → the latest that was used
-- ARGV: 1 the sink's hash tag (unused: the key is whole)  2 options (common.lua)
--       3 subscription id  4 ms from one turn to the next  5 how long its worker can wait, ms
-- Returns after how many ms its turn comes. Up to (5) the worker uses it; beyond that it is kept for the
--   subscription, which asks again before it. A turn that passes unused goes to whoever asks next.

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

local turn = tonumber(redis.call('ZSCORE', key, id))
if not turn then
  turn = used and math.max(now, used + interval) or now
  local first = score_at(0)
  if first and first < turn + interval then
    turn = math.max(turn, score_at(-1) + interval)
  end
end
local wait_ms = math.ceil(turn - now)
if wait_ms > patience then
  redis.call('ZADD', key, turn, id)
else
  redis.call('ZREM', key, id)
  used = math.max(used or turn, turn)
end
if used then
  redis.call('ZADD', key, used, 'used')
end
redis.call('PEXPIRE', key, math.ceil(score_at(-1) - now + interval) + 1000)
return wait_ms
