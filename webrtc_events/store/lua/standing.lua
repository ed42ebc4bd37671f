#!lua flags=allow-oom
-- Writes into a client's index what is known of its subscriptions.
-- KEYS: 1 the client's index
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3... in turn an id and what it is: 'live', 'ended' (for good), 'gone' (it leaves the index)
-- Returns how many count no longer. What is not in the index stays out of it, and an index that is a key of another
-- type as it is: it is made anew from the subscriptions. Repeating it changes nothing.

local key = KEYS[1]
local freed = 0
if redis.call('TYPE', key).ok ~= 'zset' then
  return freed
end
for at = 3, #ARGV, 2 do
  local id, standing = ARGV[at], ARGV[at + 1]
  local score = tonumber(redis.call('ZSCORE', key, id) or nil)
  if score and standing == 'gone' then
    redis.call('ZREM', key, id)
  elseif score and (standing == 'ended' or score >= 0) then
    redis.call('ZADD', key, score_of(named_at(score), standing), id)
  end
  if score and score >= 0 and standing ~= 'live' then
    freed = freed + 1
  end
end
return freed
