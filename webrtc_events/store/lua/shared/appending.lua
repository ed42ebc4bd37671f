-- Appending: which subscriptions take an event, and what follows from one.

-- What is known of a registration: owner, subject, format. Read once in a script.
local known_registrations = {}
local function known_of(registration)
  local record = tag .. ':registration-record:' .. registration
  local known = known_registrations[record]
  if not known then
    known = redis.pcall('HMGET', record, 'owner', 'subject', 'format')
    if known.err then
      if not damage_of(known.err) then
        error(known)
      end
      unreadable('the record of its registration is a key of another type')
    end
    known_registrations[record] = known
  end
  return known
end

-- Whether a registration may be listened to: nothing is known of it, or it is that client's, and that
-- subject's where both name one. What is known may change after a subscription was made.
local function may_listen(registration, client, subject)
  local known = known_of(registration)
  refuse_newer(known[3])
  if not known[1] then
    if known[2] or known[3] then
      unreadable('the record of its registration lacks its owner')
    end
    return true
  end
  return known[1] == client and (known[2] == '' or subject == '' or known[2] == subject)
end

-- What is read of a subscription, once for each event, for all that decides about it.
local function read_subscription(id)
  local of = redis.call('HMGET', subscription_key(id), 'status', 'expires_at', 'token_stop_at', 'registration', 'client',
    'subject', 'format', 'type', 'initial_seen', 'initial_time', 'max_events', 'appended', 'linger_at',
    'epoch', 'number', 'outbox_size')
  local read = {
    id = id, status = of[1], expires_at = of[2], token_stop_at = of[3], registration = of[4], client = of[5],
    subject = of[6], format = of[7], type = of[8], initial_seen = of[9], max_events = of[11],
    appended = of[12], linger_at = of[13], epoch = of[14], number = of[15], outbox_size = of[16],
  }
  -- Few have it, and Lua doubles a table for a seventeenth field.
  if of[10] then
    read.initial_time = of[10]
  end
  return read
end

local STATUSES = {ACTIVATION_REQUESTED = true, ACTIVE = true, EXPIRED = true, INACTIVE = true, DELETED = true}

-- Whether a subscription that was read has that status and may be used: not for others' registrations, after expiry,
-- or once the sink token's lead began.
local function is_usable(of, status)
  if not STATUSES[of.status] and (of.status or of.registration or of.client) then
    unreadable('its status is not known')
  end
  return of.status == status
    and (of.registration == '' or may_listen(of.registration, of.client, of.subject))
    and (of.expires_at == '' or whole(of.expires_at, 'expires_at') > now)
    and (not of.token_stop_at or of.token_stop_at == '' or whole(of.token_stop_at, 'token_stop_at') > now)
end

-- Counted per subscription and session from 1, for a gateway that numbers nothing; session '' counts not.
local function next_sequence(id, session)
  if session == '' then
    return 0
  end
  local key = tag .. ':sequence:' .. id .. ':' .. session
  local sequence = write('INCR', key)
  redis.call('PEXPIRE', key, options.state_ms)
  return sequence
end

-- A session-status subscription ends a while after its session's last status. A later status
-- that is not the last takes that back. last: '1', '0', or '' for events that are no status.
local function linger(id, last)
  local key = subscription_key(id)
  if last == '1' then
    redis.call('HSET', key, 'linger_at', now + options.linger_ms)
    schedule(id)
  elseif last == '0' and redis.call('HDEL', key, 'linger_at') == 1 then
    schedule(id)
  end
end

-- How far a live lease reaches: entries up to this number may be on their way. A claim of the release
-- before this one does not say.
local function leased_through(id)
  local of = redis.call('HMGET', subscription_key(id), 'lease_until', 'leased_through', 'leased_fence', 'fence')
  if (tonumber(of[1]) or 0) <= now then
    return 0
  end
  return of[3] == of[4] and tonumber(of[2]) or math.huge
end

-- Keeps an outbox, which has just grown to `length` entries and `bytes`, within its bounds: the oldest that
-- are not leased become dead letters. The failures of the first entry go on counting for what takes its
-- place: its sink failed.
local function bound_outbox(id, length, bytes)
  if length == 1 then
    return
  end
  local outbox, oldest = outbox_key(id), now - options.outbox_age_ms
  local is_within = length <= options.outbox_length and bytes <= options.outbox_bytes
  if is_within and (entry_accepted(redis.call('LINDEX', outbox, 0)) or now) >= oldest then
    return
  end
  local index, through = 0, leased_through(id)
  local entry = redis.call('LINDEX', outbox, index)
  -- What cannot be read is left to the claim, which sets it aside.
  while entry and (entry_number(entry) or 0) <= through do
    index = index + 1
    entry = redis.call('LINDEX', outbox, index)
  end
  -- What has just come stays.
  while entry and length > index + 1 and (not is_within or (entry_accepted(entry) or now) < oldest) do
    redis.call('LREM', outbox, 1, entry)
    length, bytes = length - 1, bytes - entry_bytes(entry)
    is_within = length <= options.outbox_length and bytes <= options.outbox_bytes
    dead_letter(id, entry, 'outbox_full', '')
    entry = redis.call('LINDEX', outbox, index)
  end
  redis.call('HSET', subscription_key(id), 'outbox_size', length .. ' ' .. bytes)
end

-- Appends one event to one subscription, as it was read, that takes events, and ends it at its maximum.
-- event: {payload, deadline_ms, count (session to count sequence numbers for, or ''), last, sha (nil: the
-- payload is not kept yet)}
local function append_read(of, event)
  local id = of.id
  local is_bounded = of.max_events and of.max_events ~= ''
  local max_events = is_bounded and whole(of.max_events, 'max_events') or math.huge
  -- What cannot be counted is not appended.
  local appended = (of.appended and whole(of.appended, 'appended') or 0) + 1
  local sequence = next_sequence(id, event.count)
  bound_outbox(id, push_to(of, EVENT, event.deadline_ms, sequence, event.payload, event.sha, 'appended', appended))
  if appended >= max_events then
    queue_end(id, 'MAX_EVENTS_REACHED', 'EXPIRED')
  else
    if event.last == '1' or of.linger_at then
      linger(id, event.last)
    end
    make_due(id)
  end
end

-- The indexes of subscriptions that end with their registration.
local function ending_with(registration)
  local prefix = tag .. ':registration:org.camaraproject.webrtc-events.v0.'
  return {prefix .. 'session-invitation:' .. registration, prefix .. 'registration-ends:' .. registration}
end

-- What follows for each of them once the registration has ended and its own event is appended.
local function end_with_registration(id)
  if redis.call('HGET', subscription_key(id), 'status') == 'ACTIVE' then
    queue_end(id, 'NETWORK_TERMINATED', 'EXPIRED')
  end
end

-- The end is kept for those that come late.
local function record_end(registration, name, payload)
  local state = tag .. ':registration-state:' .. registration
  write('HSET', state, 'end_name', name, 'end', payload)
  redis.call('HDEL', state, 'invitation_name', 'invitation', 'invitation_count', 'invitation_session', 'invitation_at')
  redis.call('PEXPIRE', state, options.state_ms)
end

-- Time ends it no more.
local function close_registration(registration)
  redis.call('DEL', tag .. ':ending:' .. registration)
  on_index('ZREM', tag .. ':ends', 'registration:' .. registration)
  redis.call('PEXPIRE', tag .. ':registration-record:' .. registration, options.state_ms)
end
