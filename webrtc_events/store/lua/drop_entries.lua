#!lua flags=allow-oom
-- Takes events out of an outbox without a trace. A claim that has one of them settles as 'lost', and what else it has is sent
-- again.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id  4... the entries, as they are in the outbox
-- Returns how many there were, or -1 when a newer release wrote the subscription, which is then left alone.

local id, key = ARGV[3], KEYS[1]
local read, newer = guarded(is_newer_subscription, id)
if read and newer then
  return -1
end
local outbox, through = outbox_key(id), leased_through(id)
local head = redis.call('LINDEX', outbox, 0)
local dropped, is_leased = 0, false
for index = 4, #ARGV do
  if redis.call('LREM', outbox, 1, ARGV[index]) == 1 then
    release(id, ARGV[index])
    dropped = dropped + 1
    is_leased = is_leased or (entry_number(ARGV[index]) or 0) <= through
  end
end
if dropped > 0 then
  redis.call('HSET', key, 'outbox_size', '')
end
if is_leased then
  redis.call('HINCRBY', key, 'fence', 1)
  redis.call('HSET', key, 'lease_until', 0)
end
if is_leased or redis.call('LINDEX', outbox, 0) ~= head then
  -- The failures were those of what is gone.
  redis.call('HSET', key, 'attempts', 0)
  due_unless_empty(id)
end
return dropped
