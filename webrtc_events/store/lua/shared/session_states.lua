-- What is known of a media session: the registrations that it involves, and its latest status.

-- For an event of the session. name: its name if it is a status, or ''. count: '1' to count its sequence number. last: '1'
-- if it is the session's last status. A status older than the one kept, as a repeat may be, does not replace it.
local function record_session_state(key, registration, time, name, payload, count, last)
  local fields = {}
  local kept = write('HMGET', key, 'at', 'r:' .. registration)
  if registration ~= '' and not kept[2] then
    fields = {'r:' .. registration, '1'}
  end
  -- A time that cannot be read is replaced.
  local at = tonumber(kept[1] or nil)
  if name ~= '' and (not at or at <= tonumber(time)) then
    for _, value in ipairs({'at', time, 'name', name, 'payload', payload, 'count', count, 'last', last}) do
      fields[#fields + 1] = value
    end
  end
  if #fields > 0 then
    redis.call('HSET', key, unpack(fields))
  end
  redis.call('PEXPIRE', key, options.state_ms)
end
