#!lua
-- Matches network events, in order, with this partition's subscriptions and appends each to
-- every matching outbox. The append that reaches a maximum, or ends a registration, queues the
-- ends in the same step. Keeps the registration's latest state for initial events.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 options (common.lua)
--       3... ten for each event:
--         name for dedupe, type (last part of it), registrationId or '', mediaSessionId or '',
--         deadline_ms, payload, '1' to count its sequence number,
--         the registrations that the session is known to involve as a JSON array or '',
--         whether it is a session's last status: '1', '0', or '' for other events, its time, ms
-- Returns for each event, in order, two values: 1 if new or 0 if seen within the window; the
--   number of subscriptions that it was appended to (0 when seen before). Last comes a list of {name, why}
--   for what is damaged, if anything is: it is passed over. Error OOM, with nothing
--   written, when the store is above its watermark. Error NEWER: the events before the one that meets
--   what a newer release wrote may be appended, the others are not.

local PREFIX = 'org.camaraproject.webrtc-events.v0.'

local function involved(list)
  if list == '' then
    return nil
  end
  local set = {}
  for _, registration in ipairs(cjson.decode(list)) do
    set[registration] = true
  end
  return set
end

local function matches(id, event)
  local of = redis.call('HMGET', subscription_key(id), 'registration', 'initial_seen', 'initial_time', 'format')
  leave_newer(of[4])
  if event.registration ~= '' and of[1] ~= event.registration then
    if event.kind ~= 'session-status' and (of[1] or of[4]) then
      unreadable('its field registration is not that of the index that has it')
    end
    return false
  end
  if event.involved and not event.involved[of[1]] then
    return false
  end
  -- What happened before the state that the subscription began with is no news to it.
  if of[3] and event.kind == 'session-status' and event.time < whole(of[3], 'initial_time') then
    return false
  end
  return of[2] ~= event.name and takes_events(id)
end

local function publish(event)
  local index = tag .. ':registration:' .. PREFIX .. event.kind .. ':' .. event.registration
  if event.kind == 'session-status' then
    index = tag .. ':session:' .. event.session
  end
  local matched = {}
  for_each(members(index), function(id)
    if matches(id, event) then
      matched[#matched + 1] = id
    end
  end, tell_damaged)
  if event.kind == 'registration-ends' then
    leave_newer(newest_ending_with(event.registration))
  end
  local appended = 0
  for_each(matched, function(id)
    append_event(id, event)
    appended = appended + 1
  end, tell_damaged)
  if event.kind == 'registration-ends' then
    registration_ended(event.registration, event.name, event.payload)
  elseif event.kind == 'session-invitation' then
    local state = tag .. ':registration-state:' .. event.registration
    write('HSET', state, 'invitation_name', event.name, 'invitation', event.payload,
      'invitation_session', event.session, 'invitation_count', event.count == '' and '0' or '1', 'invitation_at', now)
    redis.call('PEXPIRE', state, options.state_ms)
  end
  return appended
end

if above_watermark() then
  return redis.error_reply(FULL)
end
local results = {}
for first = 3, #ARGV, 10 do
  local seen = tag .. ':seen:' .. ARGV[first]
  local new, matched = 1, 0
  if redis.call('EXISTS', seen) == 1 then
    new = 0
    -- A write, so that WAIT after a repeat speaks of the first append too.
    redis.call('PEXPIRE', seen, options.dedupe_ms)
  else
    matched = publish({
      name = ARGV[first], kind = ARGV[first + 1], registration = ARGV[first + 2], session = ARGV[first + 3],
      deadline_ms = tonumber(ARGV[first + 4]), payload = ARGV[first + 5],
      count = ARGV[first + 6] == '1' and ARGV[first + 3] or '',
      involved = involved(ARGV[first + 7]), last = ARGV[first + 8],
      time = tonumber(ARGV[first + 9]),
    })
    redis.call('SET', seen, '1', 'PX', options.dedupe_ms)
  end
  results[#results + 1] = new
  results[#results + 1] = matched
end
if #damaged > 0 then
  results[#results + 1] = damaged
end
return results
