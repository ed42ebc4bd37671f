#!lua flags=allow-oom
-- Replaces an index that is a key of another type. That one is renamed, for an operator to look at.
-- KEYS: 1 the index
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the type that it should have, as TYPE names it
--       4 a key whose content becomes the index, or ''
-- Returns 1 if it was of another type, else 0, and then (4) is dropped: somebody was faster.

local key, filled = KEYS[1], ARGV[4]
local is = redis.call('TYPE', key).ok
if is == ARGV[3] then
  if filled ~= '' then
    redis.call('DEL', filled)
  end
  return 0
end
if is ~= 'none' then
  set_aside(key)
end
if filled ~= '' and redis.call('EXISTS', filled) == 1 then
  redis.call('RENAME', filled, key)
end
return 1
