#!lua flags=allow-oom
-- Removes what is kept of a subscription that cannot be read, as far as that is known. Nothing is sent.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id
-- Returns 1 if there was something, else 0.

local id = ARGV[3]
local of = redis.pcall('HMGET', KEYS[1], 'type', 'registration', 'session', 'sink', 'device', 'client')
if not of.err then
  if of[1] and of[2] then
    on_index('SREM', tag .. ':registration:' .. of[1] .. ':' .. of[2], id)
  end
  if of[3] then
    on_index('SREM', tag .. ':session:' .. of[3], id)
  end
  if of[5] and of[6] then
    on_index('SREM', device_index_key(of[5], of[6]), id)
  end
  if of[4] then
    -- Whatever its format says, which may be what is damaged: no other URL ends with the id of a channel.
    on_index('SREM', channel_index_key(string.sub(of[4], -32)), id)
  end
end
guarded(release_all, id, -1)
local found = redis.call('DEL', KEYS[1], outbox_key(id))
for _, name in ipairs({':due', ':ends', ':initial'}) do
  on_index('ZREM', tag .. name, id)
end
return found > 0 and 1 or 0
