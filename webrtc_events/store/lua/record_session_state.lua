#!lua
-- Records what is known of a media session: the registrations it involves and its latest status.
-- KEYS: 1 the session's state hash
-- ARGV: 1 the session's hash tag (unused: the key is whole)  2 options (shared/common.lua)
--       3 registrationId or ''  4 time of the event, ms
--       5 name of a status, or '' for an event that is none  6 its payload
--       7 '1' to count its sequence number  8 '1' if it is the session's last status
-- Returns the registrations known to be involved. A status older than the one kept, as a repeat may
--   be, does not replace it. Error OOM, with nothing written, when that would bring the store
--   above its watermark.

if room() < growth(1, #ARGV[6], 1) then
  return redis.error_reply(FULL)
end
local key = KEYS[1]
if ARGV[3] ~= '' then
  write('HSET', key, 'r:' .. ARGV[3], '1')
end
if ARGV[5] ~= '' then
  -- A time that cannot be read is replaced.
  local kept = tonumber(write('HGET', key, 'at') or nil)
  if not kept or kept <= tonumber(ARGV[4]) then
    redis.call('HSET', key, 'at', ARGV[4], 'name', ARGV[5], 'payload', ARGV[6], 'count', ARGV[7], 'last', ARGV[8])
  end
end
redis.call('PEXPIRE', key, options.state_ms)
local registrations = {}
for _, name in ipairs(write('HKEYS', key)) do
  if string.sub(name, 1, 2) == 'r:' then
    registrations[#registrations + 1] = string.sub(name, 3)
  end
end
return registrations
