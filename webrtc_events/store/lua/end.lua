#!lua flags=allow-oom
-- Ends a subscription for a cause other than time or the maximum.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id  4 terminationReason
--       5 the status it gets: EXPIRED or DELETED  6 '1' to drop what is not delivered yet
-- Returns 'ended'; 'already' when another cause came first (its reason stays; a DELETE still hides
--   it and drops what is pending); 'gone' when there is none; 'damaged: <why>' when it cannot be read.

local id, status = ARGV[3], ARGV[5]
local key = KEYS[1]

local function end_it()
  local of = redis.call('HMGET', key, 'status', 'format')
  refuse_newer(of[2])
  if not of[1] or of[1] == 'DELETED' then
    return 'gone'
  end
  if not STATUSES[of[1]] then
    unreadable('its status is not known')
  end
  local answer = 'already'
  if end_unless_over(id, of[1], ARGV[4], status) then
    answer = 'ended'
  end
  if status == 'DELETED' then
    redis.call('HSET', key, 'status', status)
  end
  if redis.call('HEXISTS', key, 'ended_at') == 1 then
    if status == 'DELETED' then
      on_index('ZADD', tag .. ':ends', now, id)
    end
  elseif ARGV[6] == '1' then
    drop_pending(id, '')
  end
  return answer
end

local done, answer = guarded(end_it)
if done then
  return answer
end
return 'damaged: ' .. answer
