-- What is known of a media session: the registrations that it involves, and its latest status.

-- For an event of the session. name: its name if it is a status, or ''. count: '1' to count its sequence number. last: '1'
-- if it is the session's last status. A status older than the one kept, as a repeat may be, does not replace it.
local function record_session_state(key, registration, time, name, payload, count, last)
  local involved = 'r:' .. registration
  local kept = write('HMGET', key, 'at', involved)
  local is_new = registration ~= '' and not kept[2]
  -- A time that cannot be read is replaced.
  local at = tonumber(kept[1] or nil)
  local is_latest = name ~= '' and (not at or at <= tonumber(time))
  if is_latest and is_new then
    redis.call('HSET', key, involved, '1', 'at', time, 'name', name, 'payload', payload, 'count', count, 'last', last)
  elseif is_latest then
    redis.call('HSET', key, 'at', time, 'name', name, 'payload', payload, 'count', count, 'last', last)
  elseif is_new then
    redis.call('HSET', key, involved, '1')
  end
  redis.call('PEXPIRE', key, options.state_ms)
end
