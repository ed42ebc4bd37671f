#!lua
-- Settles a subscription's wish for an initial event, once. One whose sink had to agree first, and that
-- wishes none, comes by to learn whether its session is over by now.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id
--       4 name of the event, or '' if there is none  5 deadline_ms  6 payload
--       7 session to count its sequence number for, or ''
--       8 whether it is a session's last status: '1', '0', or '' for other events
--       9 time of the event, ms  10 '1' if its registration has ended, so that the subscription ends after it
--       11 from when on it is news no more, ms, or ''
-- Returns 'appended'; 'late' when a newer event came first or none is taken any more; 'none'. Error
--   DAMAGED: the subscription cannot be read. Error OOM, with nothing written, when the store has no room for it.

local id = ARGV[3]
local key = KEYS[1]
local function act()
  local of = redis.call('HMGET', key, 'initial_pending', 'appended', 'format')
  refuse_newer(of[3])
  if not of[1] then
    return 'late'
  end
  local takes = takes_events(id)
  if ARGV[4] ~= '' and room() < growth(1, #ARGV[6], 1) then
    return redis.error_reply(FULL)
  end
  redis.call('HDEL', key, 'initial_pending')
  on_index('ZREM', tag .. ':initial', id)
  if ARGV[4] == '' or (tonumber(ARGV[11]) or math.huge) <= now then
    if ARGV[8] == '1' and takes then
      linger(id, '1')
    end
    return 'none'
  end
  if tonumber(of[2]) > 0 or not takes then
    return 'late'
  end
  redis.call('HSET', key, 'initial_seen', ARGV[4], 'initial_time', ARGV[9])
  append_event(id, {deadline_ms = tonumber(ARGV[5]), payload = ARGV[6], count = ARGV[7], last = ARGV[8]})
  if ARGV[10] == '1' and redis.call('HGET', key, 'status') == 'ACTIVE' then
    queue_end(id, 'NETWORK_TERMINATED', 'EXPIRED')
  end
  return 'appended'
end

local done, answer = guarded(act)
if done then
  return answer
end
return redis.error_reply('DAMAGED ' .. answer)
