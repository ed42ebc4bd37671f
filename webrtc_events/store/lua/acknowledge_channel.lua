#!lua flags=allow-oom
-- Removes what was read from the log of a channel in one partition.
-- KEYS: 1 the hash with its counters  2 the stream
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the number of the last event that was read
-- Returns 1, or 0 if there is no such log. To repeat it changes nothing.

local of = redis.call('HMGET', KEYS[1], 'number', 'gone', 'acked')
if not of[1] then
  return 0
end
local through = math.min(tonumber(ARGV[3]), whole(of[1], 'number'))
if through > whole(of[3], 'acked') then
  local text = string.format('%.0f', through)
  redis.call('HSET', KEYS[1], 'acked', text)
  if through > whole(of[2], 'gone') then
    redis.call('HSET', KEYS[1], 'gone', text)
  end
  write('XTRIM', KEYS[2], 'MINID', string.format('%.0f', through + 1) .. '-0')
end
return 1
