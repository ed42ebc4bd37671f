#!lua flags=allow-oom
-- What is known of the conditions that are reported to operators.
-- KEYS: 1 the hash of the conditions
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 for how long they are kept from now on, ms
-- Returns {now, version, state or ''}; version 0: there are none.

local of = write('HMGET', KEYS[1], 'version', 'state')
if of[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {now, tonumber(of[1] or nil) or 0, of[2] or ''}
