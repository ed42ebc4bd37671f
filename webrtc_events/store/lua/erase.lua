#!lua flags=allow-oom
-- Removes a subscription without a trace and without a word to its sink. A claim of it that is under way
-- settles as 'lost'.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id  4 registrationId, or '' with (5)  5 deviceId in lower case, or ''
-- Returns 'erased'; 'gone' when there is none to that registration or device; 'newer' when a newer release wrote it: it is skipped.

local id, registration, device = ARGV[3], ARGV[4], ARGV[5]
local of = redis.call('HMGET', KEYS[1], 'registration', 'type', 'session', 'format', 'client', 'sink', 'device')
if device ~= '' and of[7] ~= device or device == '' and of[1] ~= registration then
  return 'gone'
end
local read, newer = guarded(is_newer, of[4])
if read and newer then
  return 'newer'
end
on_index('ZREM', tag .. ':due', id)
on_index('ZREM', tag .. ':ends', id)
on_index('ZREM', tag .. ':initial', id)
on_index('ZREM', tag .. ':ended', end_note(id, of[5] or ''))
on_index('SREM', tag .. ':registration:' .. (of[2] or '') .. ':' .. registration, id)
on_index('SREM', tag .. ':session:' .. (of[3] or ''), id)
if of[7] then
  on_index('SREM', device_index_key(of[7], of[5] or ''), id)
end
guarded(unlist_from_channel, id, of[4], of[6])
guarded(release_all, id, -1)
redis.call('DEL', outbox_key(id), KEYS[1])
return 'erased'
