#!lua flags=allow-oom
-- Takes what cannot be read out of the head of an outbox: it becomes dead letters. A claim of it is over.
-- KEYS: 1 the subscription's hash  2 its outbox  3 the partition's due zset
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id  4 the claim's fence  5 how many entries were claimed
-- Returns {name, why} of each entry, for the log, and what became dead letters (shared/endings.lua). With another fence nothing is done.

local id = ARGV[3]

local function mend()
  local of = redis.call('HMGET', KEYS[1], 'number', 'fence', 'format')
  if of[2] ~= ARGV[4] or is_newer(of[3]) then
    return
  end
  local latest = whole(of[1], 'number')
  whole(of[2], 'fence')
  readable_head(id, latest, tonumber(ARGV[5]))
  redis.call('HINCRBY', KEYS[1], 'fence', 1)
  redis.call('HSET', KEYS[1], 'lease_until', 0)
  if #damaged > 0 then
    due_unless_empty(id)
  else
    -- It must not come back at once.
    on_index('ZADD', KEYS[3], 'XX', now + DEFERRED_MS, id)
  end
end

local done, why = guarded(mend)
if not done then
  report_damaged(id, why)
end
return {damaged, given_up}
