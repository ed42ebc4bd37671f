-- The index of a media session: which partitions hold subscriptions to it.

-- In front of a registration's id, in the state of a session that involves it. Source: store/keys.py.
local REGISTRATION_FIELD = 'r:'

-- Leads the session to a partition, ttl_s from now on at least, and until until_ms, or ''. Returns {when it would have gone, when
-- it goes now}, see prolong_session.lua.
local function prolong(index, partition, ttl_s, until_ms)
  local was = redis.call('PEXPIRETIME', index)
  local from_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  local goes = math.max(from_ms + ttl_s * 1000, tonumber(until_ms) or 0, was + 1)
  redis.call('SADD', index, partition)
  redis.call('PEXPIREAT', index, string.format('%.0f', goes))
  return {was, redis.call('PEXPIRETIME', index)}
end
