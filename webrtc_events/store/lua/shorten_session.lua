#!lua flags=allow-oom
-- Takes back that a media session's index was prolonged, for a subscription that was not made.
-- KEYS: 1 the session's index, a set of partitions
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 when it would have gone, 4 when it goes since, both as prolong_session.lua said
--       5 how long it is kept at least, s: another subscription may be on its way to be made
-- Changes nothing if another has prolonged it since, or if it was to stay.

local index, was = KEYS[1], tonumber(ARGV[3])
if was ~= -1 and redis.call('PEXPIRETIME', index) == tonumber(ARGV[4]) then
  local from_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('PEXPIREAT', index, string.format('%.0f', math.max(was, from_ms + ARGV[5] * 1000)))
end
