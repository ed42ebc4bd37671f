#!lua
-- Matches network events, in order, with this partition's subscriptions and appends each to
-- every matching outbox. The append that reaches a maximum, or ends a registration, queues the
-- ends in the same step. Keeps the registration's latest state for initial events.
-- An event for more subscriptions than one call may go through is cut: it is matched once, with those that
-- there are at its first call; whom it is still to be appended to is kept, and each call takes some of them.
-- So whoever calls goes on where the last call stopped, whose answer may be lost.
-- A call may be for several partitions, where the store has no slots: each for itself, one after the other. What such a
-- call may go through is for all of them, so those at its end may get nothing done.
-- KEYS: the due zset of each partition; behind them, if the store has no slots, may be the state hash of the session of each
--       event that has one, in order: what the events say of their sessions is recorded before any of them is matched
-- ARGV: 1 tag of the first  2 offset_ms (shared/common.lua)
--       3 a payload is kept once for all its outboxes if that saves this many bytes, and the payload has a sixteenth
--         of that: a short one costs less where it is copied; 0: never
--       4... for each partition its tag and how many events it has, then ten for each event:
--         name for dedupe, type (last part of it), registrationId or '', mediaSessionId or '',
--         deadline_ms, payload, '1' to count its sequence number,
--         the registrations that the session is known to involve as a JSON array, or whom it is for by a device, as a JSON
--         object {device, owner, subjects}, '' among these for any, or '',
--         whether it is a session's last status: '1', '0', or '' for other events, its time, ms
-- Returns for each partition a list, or the error of its first event. In a list are, for each event that is done with, in
--   order, two values: 1 if new or 0 if seen within the window; the number of subscriptions that it was appended to, by
--   whatever call (0 when seen before). The others are to be given again, first those that are left: an error of one that is
--   not the first is that of the next call. Last comes, if there is anything to say, a list of three:
--   {name, why} for what is damaged and so passed over, what the store gave up (shared/endings.lua), and for each event that is
--   done with the {device, owner, subject or ''} of its registration when it was new, or ''; empty if there is none. Error OOM when an event, with all the subscriptions that it matches,
--   would bring the store above its watermark: '... needs <bytes> of <bytes>' if it could never fit. Error NEWER when one
--   meets what a newer release wrote. With either, some of the event may be appended if it was
--   cut before; the others of its partition are not. Error OOM for the whole call: nothing was done.

local PREFIX = 'org.camaraproject.webrtc-events.v0.'
-- A long payload takes its time too, each time that it is written.
local BYTES_AS_LONG_AS_A_MATCH = 8192
local SHARED_FROM = tonumber(ARGV[3])
local left_room, all_room = room()

-- The registrations that its session involves, as a set, or whom an event is for by a device.
local function audience(text)
  if text == '' then
    return nil, nil
  end
  local given = cjson.decode(text)
  if given.device then
    return nil, given
  end
  local set = {}
  for _, registration in ipairs(given) do
    set[registration] = true
  end
  return set, nil
end

local function indexes_of(event)
  if event.by_device then
    return {device_index_key(event.by_device.device, event.by_device.owner)}
  elseif event.kind == 'session-status' then
    return {tag .. ':session:' .. event.session}
  elseif event.kind == 'registration-ends' then
    -- Those that end with it, whether they get the event or not.
    return ending_with(event.registration)
  end
  return {tag .. ':registration:' .. PREFIX .. event.kind .. ':' .. event.registration}
end

-- Of a subscription to a device that was read.
local function matches_by_device(of, event)
  local to, by = redis.call('HMGET', subscription_key(of.id), 'device', 'types'), event.by_device
  if to[1] ~= by.device or of.client ~= by.owner then
    unreadable('its field device or client is not that of the index that has it')
  elseif not to[2] or not of.subject then
    unreadable('it lacks its field types or subject')
  elseif not string.find(' ' .. to[2] .. ' ', ' ' .. event.kind .. ' ', 1, true) then
    return false
  end
  local is_heard = of.subject == ''
  for _, subject in ipairs(by.subjects) do
    is_heard = is_heard or subject == '' or subject == of.subject
  end
  return is_heard and is_usable(of, 'ACTIVE')
end

-- Whether a subscription that was read takes the event.
local function matches(of, event)
  refuse_newer(of.format)
  if not (of.registration or of.format or of.type) then
    return false
  elseif event.by_device then
    return matches_by_device(of, event)
  end
  if event.registration ~= '' and of.registration ~= event.registration then
    if event.kind ~= 'session-status' then
      unreadable('its field registration is not that of the index that has it')
    end
    return false
  end
  if of.type ~= PREFIX .. event.kind then
    if event.kind ~= 'registration-ends' or of.type ~= PREFIX .. 'session-invitation' then
      unreadable('its field type is not that of the index that has it')
    end
    return false
  end
  if event.involved and not event.involved[of.registration] then
    return false
  end
  -- What happened before the state that the subscription began with is no news to it.
  if of.initial_time and event.kind == 'session-status' and event.time < whole(of.initial_time, 'initial_time') then
    return false
  end
  return of.initial_seen ~= event.name and is_usable(of, 'ACTIVE')
end

-- For initial events of those that come from now on.
local function keep_state(event)
  if event.by_device then
    return
  elseif event.kind == 'registration-ends' then
    record_end(event.registration, event.name, event.payload)
    close_registration(event.registration)
  elseif event.kind == 'session-invitation' then
    local state = tag .. ':registration-state:' .. event.registration
    write('HSET', state, 'invitation_name', event.name, 'invitation', event.payload,
      'invitation_session', event.session, 'invitation_count', event.count == '' and '0' or '1', 'invitation_at', now)
    redis.call('PEXPIRE', state, options.state_ms)
  end
end

local function take_if_matched(id, matched)
  local of = read_subscription(id)
  if matches(of, matched.event) then
    matched[#matched + 1] = of
  end
end

-- Those of these that it matches, as they were read. All are looked at before anything is written for one.
local function matched_of(ids, event)
  local matched = {event = event, appended = 0}
  for_each(ids, take_if_matched, report_damaged, matched)
  return matched
end

local function report_read(of, why)
  report_damaged(of.id, why)
end

local function append_counted(of, matched)
  append_read(of, matched.event)
  matched.appended = matched.appended + 1
end

-- Returns to how many. Whoever cannot be given the end of its registration ends with it all the same.
local function append_to(ids, matched, event)
  if event.sha and #matched > 0 then
    payloads().keep(event.sha, event.payload)
  end
  for_each(matched, append_counted, report_read, matched)
  if event.sha then
    payloads().drop_unheld(event.sha)
  end
  if event.kind == 'registration-ends' and not event.by_device then
    for_each(ids, end_with_registration, report_damaged)
  end
  return matched.appended
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
local function publish_some(event, lacking, weight, holds_room)
  local ids = redis.call('SRANDMEMBER', lacking, math.max(1, math.floor(options.work / weight)))
  local matched = matched_of(ids, event)
  if not holds_room then
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

-- The subscriptions in these indexes if one call may go through them, and how many they are in all. Where there is
-- one index, which is nearly always, one command tells both.
local function some_of(indexes)
  if #indexes > 1 then
    local count = members_of(indexes)
    return count <= options.work and redis.call('SUNION', unpack(indexes)) or {}, count
  end
  local ids = on_index('SRANDMEMBER', indexes[1], options.work + 1)
  if ids and #ids <= options.work then
    return ids, #ids
  end
  return {}, members_of(indexes)
end

-- Returns how many it was appended to by now, or nil if it is not done with, and how much work that was.
-- Nothing is done if that is more than is left, unless nothing was done before in this call. is_known: it may
-- have been cut.
local function publish(event, left, is_known)
  local lacking = tag .. ':lacking:' .. event.name
  local indexes = indexes_of(event)
  -- Where it cannot be read who is left, the event begins anew: some may get it twice, and nobody misses it.
  local lacks = is_known and write('SCARD', lacking) or 0
  local cut = lacks > 0
  local ids, members = {}, lacks
  if not cut then
    ids, members = some_of(indexes)
  end
  local count = math.max(1, members)
  local long = math.floor(#event.payload / BYTES_AS_LONG_AS_A_MATCH)
  event.sha = shared(event, count, cut)
  local weight = event.sha and 1 or 1 + long
  local work = count * weight + (event.sha and long or 0)
  if work > left and left < options.work then
    return nil, 0
  end
  local states = (event.kind == 'session-status' or event.by_device) and 0 or 1
  if not cut and count * weight <= options.work then
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

-- Of each event.
local ARGUMENTS = 10

-- Whether the partition knows any of these events, as done or as cut, and whether anybody may have a subscription to a
-- device there. Most often neither, which one command tells.
local function known_here(first, last)
  local devices = tag .. ':devices'
  local keys = {devices, tag .. ':seen:' .. ARGV[first], tag .. ':lacking:' .. ARGV[first]}
  for at = first + ARGUMENTS, last, ARGUMENTS do
    keys[#keys + 1] = tag .. ':seen:' .. ARGV[at]
    keys[#keys + 1] = tag .. ':lacking:' .. ARGV[at]
  end
  local found = redis.call('EXISTS', unpack(keys))
  local has_devices = found > 0 and redis.call('EXISTS', devices) == 1
  return found > (has_devices and 1 or 0), has_devices
end

local left = options.work

-- Whose subscriptions to a device hear of the registration's event too. What ended a registration first is its end.
local function heard_by(event)
  local registration = event.registration
  if registration == '' or event.by_device then
    return ''
  end
  local record = tag .. ':registration-record:' .. registration
  local of = redis.pcall('HMGET', record, 'device', 'owner', 'subject', 'format')
  if of.err then
    if not damage_of(of.err) then
      error(of)
    end
    report_damaged(record, WRONG_TYPE)
    return ''
  end
  refuse_newer(of[4])
  if not (of[1] and of[2]) then
    if of[1] or of[2] or of[4] then
      report_damaged(record, 'it lacks its device or its owner')
    end
    return ''
  end
  if not is_marked(of[1]) then
    return ''
  end
  if event.kind == 'registration-ends' then
    local ended = write('HMGET', tag .. ':registration-state:' .. registration, 'end', 'end_name')
    if ended[1] and ended[2] ~= event.name then
      return ''
    end
  end
  return {of[1], of[2], of[3] or ''}
end

-- What was kept with the name of an event, when it was new. What is damaged says that nobody heard it.
local function was_heard_by(seen)
  local kept = redis.pcall('GET', seen)
  if kept == '1' then
    return ''
  end
  local is_json, heard = pcall(cjson.decode, kept)
  local texts = is_json and type(heard) == 'table' and heard or {}
  for index = 1, 3 do
    if type(texts[index]) ~= 'string' then
      report_damaged(seen, 'it does not say whose device its event was for')
      return ''
    end
  end
  return {texts[1], texts[2], texts[3]}
end

-- Appends the events of a partition, whose arguments are these. Adds to `results` what is said of each that is done with, and
-- to `devices` who hears of it, with `is_heard` if anybody does.
local function append_all(first, last, results, devices)
  local named = {}
  local known, has_devices = known_here(first, last)
  devices = has_devices and devices
  for at = first, last, ARGUMENTS do
    local name = ARGV[at]
    local seen = tag .. ':seen:' .. name
    local is_known = known or named[name]
    local new, matched, work, heard = 1, 0, nil, ''
    if is_known and redis.call('EXISTS', seen) == 1 then
      new = 0
      left = left - 1
      -- A write, so that WAIT after a repeat speaks of the first append too.
      redis.call('PEXPIRE', seen, options.dedupe_ms)
      heard = devices and was_heard_by(seen)
    else
      local involved, by_device = audience(ARGV[at + 7])
      local event = {
        name = name, kind = ARGV[at + 1], registration = ARGV[at + 2], session = ARGV[at + 3],
        deadline_ms = tonumber(ARGV[at + 4]), payload = ARGV[at + 5],
        count = ARGV[at + 6] == '1' and ARGV[at + 3] or '',
        involved = involved, by_device = by_device, last = ARGV[at + 8],
        time = tonumber(ARGV[at + 9]),
      }
      heard = devices and heard_by(event)
      matched, work = publish(event, left, is_known)
      left = left - work
      if not matched then
        break
      end
      redis.call('SET', seen, heard and heard ~= '' and cjson.encode(heard) or '1', 'PX', options.dedupe_ms)
      if at + ARGUMENTS <= last then
        named[name] = true
      end
    end
    results[#results + 1] = new
    results[#results + 1] = matched
    if devices then
      devices[#devices + 1] = heard
      devices.is_heard = devices.is_heard or heard ~= ''
    end
  end
end

-- Records the states of the events' sessions, whose keys come behind those of the parts. Error OOM, with nothing written.
local function record_states(parts)
  local events = {}
  for _, part in ipairs(parts) do
    for at = part + 2, part + 1 + ARGV[part + 1] * ARGUMENTS, ARGUMENTS do
      if ARGV[at + 3] ~= '' then
        events[#events + 1] = at
        left_room = left_room - growth(1, #ARGV[at + 5], 1)
      end
    end
  end
  if left_room < 0 then
    error(redis.error_reply(FULL))
  end
  for number, at in ipairs(events) do
    local name = ARGV[at + 1] == 'session-status' and ARGV[at] or ''
    record_session_state(KEYS[#parts + number], ARGV[at + 2], ARGV[at + 9], name, ARGV[at + 5], ARGV[at + 6], ARGV[at + 8])
  end
end

if left_room < 0 then
  return redis.error_reply(FULL)
end
-- Where the arguments of each partition begin.
local parts, next_part = {}, 4
while next_part <= #ARGV do
  parts[#parts + 1] = next_part
  next_part = next_part + 2 + ARGV[next_part + 1] * ARGUMENTS
end
if #KEYS > #parts then
  record_states(parts)
end
local answers = {}
for number, at in ipairs(parts) do
  if number > 1 then
    enter_partition(ARGV[at])
    damaged, given_up = {}, {}
  end
  local results, devices = {}, {}
  local done, why = pcall(append_all, at + 2, at + 1 + ARGV[at + 1] * ARGUMENTS, results, devices)
  if not done and #results == 0 then
    results = redis.error_reply(type(why) == 'table' and why.err or tostring(why))
  elseif #damaged > 0 or #given_up > 0 or devices.is_heard then
    results[#results + 1] = {damaged, given_up, devices.is_heard and devices or {}}
  end
  answers[number] = results
end
return answers
