#!lua
-- Matches network events, in order, with this partition's subscriptions and appends each to
-- every matching outbox. The append that reaches a maximum, or ends a registration, queues the
-- ends in the same step. Keeps the registration's latest state for initial events.
-- An event for more subscriptions than one call may go through is cut: it is matched once, with those that
-- there are at its first call; whom it is still to be appended to is kept, and each call takes some of them.
-- So whoever calls goes on where the last call stopped, whose answer may be lost.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 options (shared/common.lua)
--       3 a payload is kept once for all its outboxes if that saves this many bytes, and the payload has a sixteenth
--         of that: a short one costs less where it is copied; 0: never
--       4... ten for each event:
--         name for dedupe, type (last part of it), registrationId or '', mediaSessionId or '',
--         deadline_ms, payload, '1' to count its sequence number,
--         the registrations that the session is known to involve as a JSON array or '',
--         whether it is a session's last status: '1', '0', or '' for other events, its time, ms
-- Returns for each event that is done with, in order, two values: 1 if new or 0 if seen within the window; the
--   number of subscriptions that it was appended to, by whatever call (0 when seen before). The others are
--   to be given again, first those that are left. Last comes a list of {name, why} for what is damaged, if
--   anything is: it is passed over. Error OOM when an event, with all the subscriptions that it matches, would bring the
--   store above its watermark: '... needs <bytes> of <bytes>' if it could never fit. Error NEWER when one meets what a
--   newer release wrote. With either, the events before that one may be appended, and some of it if it was cut
--   before; the others are not.

local PREFIX = 'org.camaraproject.webrtc-events.v0.'
-- A long payload takes its time too, each time that it is written.
local BYTES_AS_LONG_AS_A_MATCH = 8192
local SHARED_FROM = tonumber(ARGV[3])
local left_room, all_room = room()

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

local function indexes_of(event)
  if event.kind == 'session-status' then
    return {tag .. ':session:' .. event.session}
  elseif event.kind == 'registration-ends' then
    -- Those that end with it, whether they get the event or not.
    return ending_with(event.registration)
  end
  return {tag .. ':registration:' .. PREFIX .. event.kind .. ':' .. event.registration}
end

local function matches(id, event)
  local of = redis.call('HMGET', subscription_key(id), 'registration', 'initial_seen', 'initial_time', 'format', 'type')
  refuse_newer(of[4])
  if not (of[1] or of[4] or of[5]) then
    return false
  end
  if event.registration ~= '' and of[1] ~= event.registration then
    if event.kind ~= 'session-status' then
      unreadable('its field registration is not that of the index that has it')
    end
    return false
  end
  if of[5] ~= PREFIX .. event.kind then
    if event.kind ~= 'registration-ends' or of[5] ~= PREFIX .. 'session-invitation' then
      unreadable('its field type is not that of the index that has it')
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

-- For initial events of those that come from now on.
local function keep_state(event)
  if event.kind == 'registration-ends' then
    record_end(event.registration, event.name, event.payload)
    close_registration(event.registration)
  elseif event.kind == 'session-invitation' then
    local state = tag .. ':registration-state:' .. event.registration
    write('HSET', state, 'invitation_name', event.name, 'invitation', event.payload,
      'invitation_session', event.session, 'invitation_count', event.count == '' and '0' or '1', 'invitation_at', now)
    redis.call('PEXPIRE', state, options.state_ms)
  end
end

-- Which of these it matches. All are looked at before anything is written for one.
local function matched_of(ids, event)
  local matched = {}
  for_each(ids, function(id)
    if matches(id, event) then
      matched[#matched + 1] = id
    end
  end, report_damaged)
  return matched
end

-- Returns to how many. Whoever cannot be given the end of its registration ends with it all the same.
local function append_to(ids, matched, event)
  local appended = 0
  if event.sha and #matched > 0 then
    payloads().keep(event.sha, event.payload)
  end
  for_each(matched, function(id)
    append_event(id, event)
    appended = appended + 1
  end, report_damaged)
  if event.sha then
    payloads().drop_unheld(event.sha)
  end
  if event.kind == 'registration-ends' then
    for_each(ids, end_with_registration, report_damaged)
  end
  return appended
end

-- Whether it saves enough that this many outboxes refer to the payload rather than have it each.
local function saves(event, outboxes)
  return #event.payload >= SHARED_FROM / 16 and #event.payload * (outboxes - 1) >= SHARED_FROM
end

-- The payload's sha1 if this many outboxes are to refer to it, else nil. Of an event that is cut, those that come
-- later do as the first.
local function shared(event, outboxes, cut)
  local enough = saves(event, outboxes)
  if SHARED_FROM == 0 or not (enough or cut) then
    return nil
  end
  local sha = redis.sha1hex(event.payload)
  return (enough or payloads().is_kept(sha)) and sha or nil
end

-- Takes the room that the event needs in this many outboxes; error OOM, before anything is written, if there is less.
local function take_room(event, outboxes, states)
  local copies = event.sha and 1 or outboxes
  local needed = growth(copies + states, #event.payload, outboxes + 1)
  if needed > all_room then
    error(redis.error_reply(string.format('%s: the event needs %.0f bytes of %.0f', FULL, needed, all_room)))
  elseif needed > left_room then
    error(redis.error_reply(FULL))
  end
  left_room = left_room - needed
end

-- Takes some of those that a cut event is still to be appended to; one that is damaged is passed over. Returns to
-- how many it was appended by now, once nobody is left.
local function publish_some(event, lacking, weight, has_room)
  local ids = redis.call('SRANDMEMBER', lacking, math.max(1, math.floor(options.work / weight)))
  local matched = matched_of(ids, event)
  if not has_room then
    take_room(event, #matched, 0)
  end
  local count = append_to(ids, matched, event)
  if #ids > 0 then
    redis.call('SREM', lacking, unpack(ids))
  end
  local counter = tag .. ':matched:' .. event.name
  count = write('INCRBY', counter, count)
  if redis.call('EXISTS', lacking) == 0 then
    redis.call('DEL', counter)
    return count
  end
  redis.call('PEXPIRE', lacking, options.dedupe_ms)
  redis.call('PEXPIRE', counter, options.dedupe_ms)
  return nil
end

-- Returns how many it was appended to by now, or nil if it is not done with, and how much work that was.
-- Nothing is done if that is more than is left, unless nothing was done before in this call.
local function publish(event, left)
  local lacking = tag .. ':lacking:' .. event.name
  local indexes = indexes_of(event)
  -- Where it cannot be read who is left, the event begins anew: some may get it twice, and nobody misses it.
  local some = write('SCARD', lacking)
  local cut = some > 0
  local count = math.max(1, cut and some or members_of(indexes))
  local long = math.floor(#event.payload / BYTES_AS_LONG_AS_A_MATCH)
  event.sha = shared(event, count, cut)
  local weight = event.sha and 1 or 1 + long
  local work = count * weight + (event.sha and long or 0)
  if work > left and left < options.work then
    return nil, 0
  end
  local states = event.kind == 'session-status' and 0 or 1
  if not cut and count * weight <= options.work then
    local ids = redis.call('SUNION', unpack(indexes))
    local matched = matched_of(ids, event)
    event.sha = saves(event, #matched) and event.sha or nil
    take_room(event, #matched, states)
    keep_state(event)
    return append_to(ids, matched, event), work
  end
  if not cut then
    -- All of it, so that it is not refused half way.
    take_room(event, count, states)
    redis.call('SUNIONSTORE', lacking, unpack(indexes))
    redis.call('PEXPIRE', lacking, options.dedupe_ms)
    keep_state(event)
  end
  return publish_some(event, lacking, weight, not cut), math.min(work, options.work)
end

if left_room < 0 then
  return redis.error_reply(FULL)
end
local results, left = {}, options.work
for first = 4, #ARGV, 10 do
  local seen = tag .. ':seen:' .. ARGV[first]
  local new, matched, work = 1, 0, 1
  if redis.call('EXISTS', seen) == 1 then
    new = 0
    -- A write, so that WAIT after a repeat speaks of the first append too.
    redis.call('PEXPIRE', seen, options.dedupe_ms)
  else
    matched, work = publish({
      name = ARGV[first], kind = ARGV[first + 1], registration = ARGV[first + 2], session = ARGV[first + 3],
      deadline_ms = tonumber(ARGV[first + 4]), payload = ARGV[first + 5],
      count = ARGV[first + 6] == '1' and ARGV[first + 3] or '',
      involved = involved(ARGV[first + 7]), last = ARGV[first + 8],
      time = tonumber(ARGV[first + 9]),
    }, left)
    if not matched then
      break
    end
    redis.call('SET', seen, '1', 'PX', options.dedupe_ms)
  end
  left = left - work
  results[#results + 1] = new
  results[#results + 1] = matched
end
if #damaged > 0 then
  results[#results + 1] = damaged
end
return results
