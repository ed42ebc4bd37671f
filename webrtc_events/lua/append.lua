#!lua
-- Matches network events, in order, with this partition's subscriptions and appends each to
-- every matching outbox. The append that reaches a maximum queues the end in the same step.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 offset_ms  3 dedupe window, ms  4 deadline of a subscription-ended, ms
--       5... seven for each event:
--         name for dedupe, type, registrationId or '', mediaSessionId or '', deadline, ms,
--         '1' to match by session (narrowed by the registration if given), else by registration, payload
-- Returns for each event, in order, two values: 1 if new or 0 if seen within the window; the
--   number of subscriptions that it was appended to (0 when seen before).

local tag = ARGV[1]
local now = now_ms(tonumber(ARGV[2]))
local window_ms, end_deadline_ms = ARGV[3], tonumber(ARGV[4])

local function append(id, registration, deadline_ms, payload)
  local key = tag .. ':subscription:' .. id
  local of = redis.call('HMGET', key, 'status', 'expires_at', 'registration', 'max_events')
  if of[1] ~= 'ACTIVE' then
    return 0
  end
  if of[2] ~= '' and tonumber(of[2]) <= now then
    return 0
  end
  if registration ~= '' and of[3] ~= registration then
    return 0
  end
  push_entry(tag, id, 0, now, deadline_ms, payload)
  local appended = redis.call('HINCRBY', key, 'appended', 1)
  if of[4] ~= '' and appended >= tonumber(of[4]) then
    queue_end(tag, id, now, 'MAX_EVENTS_REACHED', 'EXPIRED', end_deadline_ms)
  else
    make_due(tag, id, now)
  end
  return 1
end

local results = {}
for first = 5, #ARGV, 7 do
  local seen = tag .. ':seen:' .. ARGV[first]
  local new, matched = 1, 0
  if redis.call('EXISTS', seen) == 1 then
    new = 0
    -- A write, so that WAIT after a repeat speaks of the first append too.
    redis.call('PEXPIRE', seen, window_ms)
  else
    local event_type, registration, session = ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
    local index = tag .. ':registration:' .. event_type .. ':' .. registration
    if ARGV[first + 5] == '1' then
      index = tag .. ':session:' .. session
    end
    for _, id in ipairs(redis.call('SMEMBERS', index)) do
      matched = matched + append(id, registration, tonumber(ARGV[first + 4]), ARGV[first + 6])
    end
    redis.call('SET', seen, '1', 'PX', window_ms)
  end
  results[#results + 1] = new
  results[#results + 1] = matched
end
return results
