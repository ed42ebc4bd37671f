#!lua flags=allow-oom
-- Stores a new subscription and puts it into the indexes of its partition.
-- KEYS: 1 the subscription's hash
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
--       19... further fields of the hash, name and value in turn
-- With (14) it is not active until its sink has agreed (settle.lua), and an initial event waits for that.
-- Returns {'created', starts_at, expires_at or ''}, or {why not, now, ''}: 'expired' when (7) is not in
--   the future, 'token_expired' when (8) is not, 'mismatch' when the registration is another's,
--   'unknown_registration', 'registration_quota' and 'session_quota' by (15) and (16), 'no_channel' when (17) has no log
--   here (any more), 'full' when the store is above its watermark. Repeating a create of the same id changes nothing.

local id, registration, session, device = ARGV[3], ARGV[5], ARGV[6], ARGV[18]
local is_to_device = device ~= ''
local expires_at, token_expires_at, subject = ARGV[7], ARGV[8], ARGV[10]
local key = KEYS[1]

local made = redis.call('HMGET', key, 'starts_at', 'expires_at')
if made[1] then
  return {'created', made[1], made[2]}
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
if ARGV[16] ~= '' and in_session >= tonumber(ARGV[16]) then
  return {'session_quota', now, ''}
end

if above_watermark() then
  return {'full', now, ''}
end
expires_at = limited_expiry(expires_at, now)
local asks = ARGV[14] ~= ''
local status = asks and 'ACTIVATION_REQUESTED' or 'ACTIVE'
redis.call('HSET', key, 'format', first_format(ARGV[17] ~= '', is_to_device), 'status', status, 'type', ARGV[4], 'registration', registration,
  'session', session, 'client', ARGV[9], 'subject', subject, 'starts_at', now, 'expires_at', expires_at,
  'epoch', store_epoch(), 'appended', 0, 'number', 0, 'fence', 0, unpack(ARGV, 19))
if is_to_device then
  redis.call('HSET', key, 'device', device)
  -- Whoever set the marks may have done so in a store that was emptied since. From this one the sweeper sets the others.
  redis.call('SET', tag .. ':devices', '1')
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
