#!lua flags=allow-oom
-- What time does in one partition: ends subscriptions and registrations, gives up what an expiring
-- sink token leaves no time for, drops old letters and attempts, names what is to be removed or
-- completed from outside.
-- KEYS: 1 the partition's ends zset
-- ARGV: 1 tag  2 options (common.lua)  3 most of each
-- Returns {how many it touched, {id to remove, its client...}, {id whose initial event is pending...},
--   how many it left to a newer release}

-- A create that did not come back for its initial event after this long will not.
local INITIAL_PENDING_MS = 5000
local REGISTRATION = '^registration:(.*)$'

local function end_registration(registration)
  local record = redis.call('HMGET', tag .. ':registration-record:' .. registration, 'expires_at_ms', 'end', 'format')
  if is_newer(math.max(tonumber(record[3] or 1), newest_ending_with(registration))) then
    return false
  end
  redis.call('ZREM', KEYS[1], 'registration:' .. registration)
  if not record[1] or record[1] == '' or tonumber(record[1]) > now then
    return true
  end
  local index = tag .. ':registration:org.camaraproject.webrtc-events.v0.registration-ends:' .. registration
  for _, id in ipairs(redis.call('SMEMBERS', index)) do
    if takes_events(id) then
      append_event(id, {deadline_ms = options.registration_ends_deadline_ms, payload = record[2], count = '', last = ''})
    end
  end
  registration_ended(registration, '', record[2])
  return true
end

local function end_if_due(id)
  local moment, reason = end_by_time(id)
  if moment and moment <= now then
    end_unless_over(id, reason, 'EXPIRED')
  else
    schedule(id)
  end
end

-- Letters and attempts that nothing new pushes out.
redis.call('XTRIM', tag .. ':dead', 'MINID', string.format('%.0f', now - options.dead_letters_ms))
redis.call('XTRIM', tag .. ':attempts', 'MINID', string.format('%.0f', now - options.attempts_ms))

local touched, left, removable = 0, 0, {}

-- False: it is left to a newer release.
local function keep_time(member)
  local registration = string.match(member, REGISTRATION)
  if registration then
    return end_registration(registration)
  end
  local of = redis.call('HMGET', subscription_key(member), 'status', 'ended_at', 'client', 'format')
  if is_newer(of[4]) then
    return false
  end
  if of[2] then
    removable[#removable + 1] = member
    removable[#removable + 1] = of[3]
  elseif of[1] == 'ACTIVE' or of[1] == 'ACTIVATION_REQUESTED' then
    end_if_due(member)
  else
    redis.call('ZREM', KEYS[1], member)
    if of[1] then
      -- The token's last half lead has begun: only the end still goes out.
      drop_pending(member, 'access_token_expired')
    end
  end
  return true
end

repeat
  local met = 0
  -- What is left, and what is removable, stays where it is.
  local first, wanted = left + #removable / 2, ARGV[3] - touched
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', first, wanted)) do
    if keep_time(member) then
      touched = touched + 1
    else
      met = met + 1
    end
  end
  left = left + met
until met == 0

local pending = {}
for _, id in ipairs(redis.call('ZRANGE', tag .. ':initial', '-inf', now - INITIAL_PENDING_MS, 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
  if not is_newer(redis.call('HGET', subscription_key(id), 'format')) then
    pending[#pending + 1] = id
  end
end
return {touched, removable, pending, left}
