#!lua flags=allow-oom
-- Replaces a sealed credential by the same one under another key, unless it was replaced meanwhile.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the sealed credential that was read  4 what replaces it
-- Returns 'resealed'; 'replaced' if another credential, or none, is there by now; 'newer' when a newer
--   release wrote it: it is skipped; 'damaged' when the subscription cannot be read.

local function act()
  if is_newer(redis.call('HGET', KEYS[1], 'format')) then
    return 'newer'
  end
  if redis.call('HGET', KEYS[1], 'credential') ~= ARGV[3] then
    return 'replaced'
  end
  redis.call('HSET', KEYS[1], 'credential', ARGV[4])
  return 'resealed'
end

local done, answer = guarded(act)
if done then
  return answer
end
return 'damaged'
