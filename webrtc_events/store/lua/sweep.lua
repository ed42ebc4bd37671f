#!lua flags=allow-oom
-- What time does in one partition: ends subscriptions and registrations, gives up what an expiring
-- sink token leaves no time for, drops old letters and attempts, removes stale holders of payloads, names
-- what is to be removed or completed from outside.
-- It makes way for others when it has done some work; the next call goes on.
-- KEYS: 1 the partition's ends zset
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 maximum of each
-- Returns {how many it touched, {id to remove, its client...}, {id whose initial event is pending...},
--   how many a newer release wrote, which are skipped, {name, why} of each that is damaged, {index to be made anew...},
--   by how many ms the partition's time is ahead of the store's clock, which went back, {note of one that is over and still counts
--   in its client's index...}, the partition's time, ms, what the store gave up (shared/endings.lua),
--   {name, note in turn of registrations that ended, for the subscriptions to their devices...},
--   how many moments have come that it has not attended to}

-- A create that did not come back for its initial event after this long will not.
local INITIAL_PENDING_MS = 5000
local REGISTRATION = '^registration:(.*)$'
local PREFIX = 'org.camaraproject.webrtc-events.v0.'

rebuild_is_damage = true

-- Where many end at once, their subscribers are notified over a while, evenly: events of others do not wait behind all
-- of them.
local MANY_ENDS, FEW_ENDS = 50, 4
local END_EVERY_MS = 25
-- Where this many are due within this, most are ends; they may be retries too, so a few ends are never spread.
local SOON_MS = 2 * MANY_ENDS * END_EVERY_MS
-- Whatever an end has until its deadline, half of it is left once it is due.
local MAX_SPREAD_MS = math.min(40000, options.end_deadline_ms / 2)

-- How many subscriptions and entries it went through, how many moments have come that it has not attended to, and whether so
-- many end that their ends are spread.
local work, left, many = 0, 0, false

-- Whom the end of the registration still concerns: all, or, if they are more than one call may go through, some
-- of those that were there when the first call came by.
local function some_ending_with(registration)
  local ending, indexes = tag .. ':ending:' .. registration, ending_with(registration)
  if write('SCARD', ending) == 0 then
    if members_of(indexes) <= options.work then
      return redis.call('SUNION', unpack(indexes))
    end
    redis.call('SUNIONSTORE', ending, unpack(indexes))
    redis.call('PEXPIRE', ending, options.state_ms)
  end
  return redis.call('SRANDMEMBER', ending, options.work)
end

-- What is damaged has no format.
local function some_is_newer(ids)
  for _, id in ipairs(ids) do
    local read, newer = guarded(is_newer_subscription, id)
    if read and newer then
      return true
    end
  end
  return false
end

-- What the subscriptions to its device are to hear. Whoever sweeps appends it there, and removes the note (device_ends.py).
local function note_for_device(registration, record)
  if record[4] and record[5] and is_marked(record[4]) then
    write('HSET', tag .. ':device-ends', record[1] .. ' ' .. registration,
      cjson.encode({device = record[4], owner = record[5], subject = record[6] or '', ['end'] = record[2]}))
  end
end

local function end_registration(registration)
  local record = redis.call('HMGET', tag .. ':registration-record:' .. registration, 'expires_at_ms', 'end', 'format',
    'device', 'owner', 'subject')
  if is_newer(record[3]) then
    return false
  end
  if not record[1] or record[1] == '' or whole(record[1], 'expires_at_ms') > now then
    redis.call('ZREM', KEYS[1], 'registration:' .. registration)
    return true
  end
  if not record[2] then
    unreadable('the record of the registration lacks its end')
  end
  local ids = some_ending_with(registration)
  if some_is_newer(ids) then
    return false
  end
  work = work + #ids
  record_end(registration, '', record[2])
  local event = {deadline_ms = options.registration_ends_deadline_ms, payload = record[2], count = '', last = ''}
  local function append_end(id)
    local of = redis.call('HMGET', subscription_key(id), 'type', 'registration', 'format')
    is_newer(of[3])
    if not (of[1] or of[2] or of[3]) then
      return
    elseif of[2] ~= registration then
      unreadable('its field registration is not that of the index that has it')
    elseif of[1] == PREFIX .. 'registration-ends' then
      if takes_events(id) then
        append_event(id, event)
      end
    elseif of[1] ~= PREFIX .. 'session-invitation' then
      unreadable('its field type is not that of the index that has it')
    end
  end
  for_each(ids, append_end, report_damaged)
  -- Whoever cannot be given the event ends with it all the same.
  for_each(ids, end_with_registration, report_damaged)
  if #ids > 0 then
    redis.call('SREM', tag .. ':ending:' .. registration, unpack(ids))
  end
  if redis.call('EXISTS', tag .. ':ending:' .. registration) == 0 then
    note_for_device(registration, record)
    close_registration(registration)
  end
  return true
end

local function end_if_due(id, status, moments)
  local moment, reason = first_of(moments)
  if moment and moment <= now then
    local after_ms = many and math.floor(math.max(left, 0) * END_EVERY_MS % MAX_SPREAD_MS) or 0
    end_unless_over(id, status, reason, 'EXPIRED', after_ms)
  else
    schedule(id)
  end
end

-- Letters and attempts that nothing new pushes out.
write('XTRIM', tag .. ':dead', 'MINID', string.format('%.0f', now - options.dead_letters_ms))
write('XTRIM', tag .. ':attempts', 'MINID', string.format('%.0f', now - options.attempts_ms))

local touched, skipped, removable = 0, 0, {}

-- False: a newer release wrote it, and it is skipped.
local function keep_time(member)
  local registration = string.match(member, REGISTRATION)
  if registration then
    return end_registration(registration)
  end
  local of = redis.call('HMGET', subscription_key(member), 'status', 'ended_at', 'client', 'format', unpack(MOMENTS))
  if is_newer(of[4]) then
    return false
  end
  if not STATUSES[of[1]] and (of[1] or of[2] or of[3] or of[4]) then
    unreadable('its status is not known')
  end
  if of[2] then
    removable[#removable + 1] = member
    removable[#removable + 1] = of[3] or ''
  elseif of[1] == 'ACTIVE' or of[1] == 'ACTIVATION_REQUESTED' then
    end_if_due(member, of[1], {of[5], of[6], of[7], of[8]})
  else
    -- It may have ended with its registration since it was found here: then it is here for its token only, in time.
    local cut_at = of[1] and redis.call('HGET', subscription_key(member), 'token_cut_at') or ''
    if cut_at ~= '' and whole(cut_at, 'token_cut_at') > now then
      redis.call('ZADD', KEYS[1], cut_at, member)
      return true
    elseif cut_at ~= '' then
      -- The token's last half lead has begun: only the end still goes out.
      work = work + redis.call('LLEN', outbox_key(member))
      drop_pending(member, 'access_token_expired')
    end
    redis.call('ZREM', KEYS[1], member)
  end
  return true
end

-- A damaged one comes back after a while.
local function attend(member)
  local done, answer = guarded(keep_time, member)
  if not done then
    redis.call('ZADD', KEYS[1], 'XX', now + DEFERRED_MS, member)
    report_damaged(member, answer)
    return true
  end
  return answer
end

work = work + payloads().check()

local readable = on_index('ZRANGE', KEYS[1], 0, 0)
left = readable and redis.call('ZCOUNT', KEYS[1], '-inf', now) or 0
-- The last of many come behind the others, not all at once.
many = left > MANY_ENDS or left > FEW_ENDS and (on_index('ZCOUNT', tag .. ':due', '(' .. now, now + SOON_MS) or 0) > MANY_ENDS

-- Attends to these. Returns how many are skipped.
local function attend_all(members)
  local met = 0
  for _, member in ipairs(members) do
    if attend(member) then
      touched, work = touched + 1, work + 1
    else
      met = met + 1
    end
    left = left - 1
    if work >= options.work then
      break
    end
  end
  return met
end

local met
repeat
  -- What is skipped, and what is removable, stays where it is.
  local first, wanted = skipped + #removable / 2, ARGV[3] - touched
  local members = readable and redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', first, wanted) or {}
  gather()
  local done, answer = pcall(attend_all, members)
  write_gathered()
  if not done then
    error(answer)
  end
  met = answer
  skipped = skipped + met
until met == 0 or work >= options.work

local pending = {}
local function is_known(id)
  return not is_newer_subscription(id)
end
local initial = tag .. ':initial'
for _, id in ipairs(on_index('ZRANGE', initial, '-inf', now - INITIAL_PENDING_MS, 'BYSCORE', 'LIMIT', 0, ARGV[3]) or {}) do
  local done, answer = guarded(is_known, id)
  if not done then
    redis.call('ZADD', initial, 'XX', now + DEFERRED_MS, id)
    report_damaged(id, answer)
  elseif answer then
    pending[#pending + 1] = id
  end
end
local notes = on_index('ZRANGE', tag .. ':ended', 0, ARGV[3] - 1) or {}
return {touched, removable, pending, skipped, damaged, write('SMEMBERS', tag .. ':rebuild'), now - store_ms, notes, now, given_up,
  write('HRANDFIELD', tag .. ':device-ends', ARGV[3], 'WITHVALUES'), left}
