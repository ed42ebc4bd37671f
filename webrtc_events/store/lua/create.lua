#!lua flags=allow-oom
-- Stores a new subscription and puts it into the indexes of its partition.
-- KEYS: 1 the subscription's hash; only where the store has no slots may follow what is to lead to it, which this does then
--       too: 2 its client's index  3 its session's index and 4 the session's state, if it is to one
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id  4 type  5 registrationId  6 mediaSessionId or ''
--       7 expires_at, ms, or ''  8 the sink token's expiry, ms, or ''
--       9 client  10 subject or ''  11 '1' if the registration must be known
--       12 '1' if an initial event is wanted  13 '1' if its session is known to be over
--       14 the name under which its sink is asked whether it agrees, or '' not to ask
--       15 how many subscriptions its registration may have that are not over, or '' for no limit
--       16 how many its session may have in this partition, or ''
--       17 the channel that is its sink, or ''
--       18 its deviceId, in lower case; then (5) and (6) are '', (11) to (13) say nothing, and (15) is of what its client has to
--          that device; or '' if it is to a registration
--       19... further fields of the hash, name and value in turn; and behind these, with more keys than one
--         (a) how many its client may have that are not over, or ''  (b) its partition's number
--         (c) how long its session's index is kept, s  (d) until when at least, ms, or ''  (e) '1' if its session must be known
--         (f)... others of its client that were made  and last how many values there are from (a) on
--         Then (13) is '', and (16) is of all partitions.
-- With (14) it is not active until its sink has agreed (settle.lua), and an initial event waits for that.
-- Returns {'created', starts_at, expires_at or ''}, or {why not, now, ''}: 'expired' when (7) is not in
--   the future, 'token_expired' when (8) is not, 'mismatch' when the registration is another's,
--   'unknown_registration', 'registration_quota' and 'session_quota' by (15) and (16), 'no_channel' when (17) has no log
--   here (any more), 'full' when the store is above its watermark; with more keys than one also 'session_mismatch' and
--   'unknown_session', as join_session.lua has it, and 'apart': there is something with what leads to it that a create with
--   one key, and the scripts that go before it, are to see to. Repeating a create of the same id changes nothing.

local id, registration, session, device = ARGV[3], ARGV[5], ARGV[6], ARGV[18]
local is_to_device = device ~= ''
local expires_at, token_expires_at, subject = ARGV[7], ARGV[8], ARGV[10]
local key = KEYS[1]

local made = redis.call('HMGET', key, 'starts_at', 'expires_at')
if made[1] then
  return {'created', made[1], made[2]}
end

-- What leads to it, if that is to be done here.
local client_index, session_index, session_state = KEYS[2], KEYS[3], KEYS[4]
local last_field = #ARGV
local a = nil
if client_index then
  last_field = #ARGV - 1 - ARGV[#ARGV]
  a = last_field + 1
end

-- Whether a key is of this type, or is not there.
local function is_usable_as(kind, key)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

-- Why its session may not lead to it, or nil and how many subscriptions to that other partitions have.
local function refused_by_session()
  if not (is_usable_as('set', session_index) and is_usable_as('hash', session_state)) then
    return 'apart'
  end
  local known, own = false, false
  for _, field in ipairs(redis.call('HKEYS', session_state)) do
    known = known or string.sub(field, 1, #REGISTRATION_FIELD) == REGISTRATION_FIELD
    own = own or field == REGISTRATION_FIELD .. registration
  end
  if known and not own then
    return 'session_mismatch'
  elseif not known and ARGV[a + 4] == '1' then
    return 'unknown_session'
  elseif redis.call('HGET', session_state, 'last') == '1' then
    -- It may be over: whether its state can be read is not for a script to say.
    return 'apart'
  end
  local elsewhere = 0
  for _, number in ipairs(redis.call('SMEMBERS', session_index)) do
    if not string.find(number, '^%d+$') then
      return 'apart'
    elseif number ~= ARGV[a + 1] and ARGV[16] ~= '' then
      local count = redis.pcall('SCARD', '{' .. number .. '}:session:' .. session)
      -- One that cannot be read counts nothing until it is made anew.
      elsewhere = elsewhere + (type(count) == 'number' and count or 0)
    end
  end
  return nil, elsewhere
end

local elsewhere = 0
if client_index then
  if not is_usable_as('zset', client_index) then
    return {'apart', now, ''}
  end
  mark_made(client_index, a + 5, #ARGV - 1)
  local why = nil
  if session_index then
    why, elsewhere = refused_by_session()
  end
  if why then
    return {why, now, ''}
  elseif not has_room(client_index, id, ARGV[a]) then
    return {'apart', now, ''}
  end
end

if expires_at ~= '' and tonumber(expires_at) <= now then
  return {'expired', now, ''}
end
if token_expires_at ~= '' and tonumber(token_expires_at) <= now then
  return {'token_expired', now, ''}
end
if not is_to_device and not may_listen(registration, ARGV[9], subject) then
  return {'mismatch', now, ''}
end
if not is_to_device and ARGV[11] == '1' and redis.call('EXISTS', tag .. ':registration-record:' .. registration) == 0 then
  return {'unknown_registration', now, ''}
end

if ARGV[17] ~= '' and redis.call('EXISTS', tag .. ':channel:' .. ARGV[17]) == 0 then
  return {'no_channel', now, ''}
end

-- An index that is made anew from the records could miss this one.
local index = is_to_device and device_index_key(device, ARGV[9]) or tag .. ':registration:' .. ARGV[4] .. ':' .. registration
local indexed = members_of({index})
local in_session = session == '' and 0 or members_of({tag .. ':session:' .. session})
if ARGV[15] ~= '' and is_to_device then
  if indexed >= tonumber(ARGV[15]) then
    return {'registration_quota', now, ''}
  end
elseif ARGV[15] ~= '' then
  local registered = {}
  for index, kind in ipairs({'session-invitation', 'session-status', 'registration-ends'}) do
    registered[index] = tag .. ':registration:org.camaraproject.webrtc-events.v0.' .. kind .. ':' .. registration
  end
  if members_of(registered) >= tonumber(ARGV[15]) then
    return {'registration_quota', now, ''}
  end
end
if ARGV[16] ~= '' and in_session + elsewhere >= tonumber(ARGV[16]) then
  return {'session_quota', now, ''}
end

if above_watermark() then
  return {'full', now, ''}
end
if client_index then
  name_in(client_index, id)
end
if session_index then
  prolong(session_index, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
end
expires_at = limited_expiry(expires_at, now)
local asks = ARGV[14] ~= ''
local status = asks and 'ACTIVATION_REQUESTED' or 'ACTIVE'
redis.call('HSET', key, 'format', first_format(ARGV[17] ~= '', is_to_device), 'status', status, 'type', ARGV[4], 'registration', registration,
  'session', session, 'client', ARGV[9], 'subject', subject, 'starts_at', now, 'expires_at', expires_at,
  'epoch', store_epoch(), 'appended', 0, 'number', 0, 'fence', 0, unpack(ARGV, 19, last_field))
if is_to_device then
  redis.call('HSET', key, 'device', device)
  -- Whoever set the marks may have done so in a store that was emptied since. From this one the sweeper sets the others.
  redis.pcall('SETBIT', tag .. ':devices', device_mark(device), 1)
end
if options.omits_defaults == 0 then
  redis.call('HSET', key, 'lease_until', 0, 'attempts', 0, 'drop_before', 0, 'drop_reason', '')
end
set_token_expiry(id, token_expires_at)
if ARGV[12] == '1' and not is_to_device then
  redis.call('HSET', key, 'initial_pending', '1')
  if not asks then
    on_index('ZADD', tag .. ':initial', now, id)
  end
end
if ARGV[13] == '1' then
  redis.call('HSET', key, 'linger_at', now + options.linger_ms)
end
if asks then
  push_entry(id, HANDSHAKE, options.sink_validation_ms, 0, '')
  -- An answer that is on its way at the deadline still counts.
  redis.call('HSET', key, 'origin', ARGV[14], 'agree_by', now + options.sink_validation_ms + options.lease_ms)
  make_due(id)
end
schedule(id)
if session ~= '' then
  redis.call('SADD', tag .. ':session:' .. session, id)
end
redis.call('SADD', index, id)
if ARGV[17] ~= '' and redis.call('EXISTS', channel_index_key(ARGV[17])) == 1 then
  write('SADD', channel_index_key(ARGV[17]), id)
end
return {'created', now, expires_at}
