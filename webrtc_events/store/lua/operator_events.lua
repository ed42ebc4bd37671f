#!lua flags=allow-oom
-- Writes the conditions that are reported to operators, with the events that follow from the change, if nobody else has
--   changed them meanwhile. So of several workers that see the same, one says it.
-- It takes no notice of the watermark: that the store is above it must still be said. Its outbox is bounded as any.
-- KEYS: 1 the hash of the conditions
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the version that was read, or '' to change no condition  4 the new state
--       5 for how long an event is worth sending, ms  6 for how long all of this is kept, ms  7... the events, as JSON
-- Returns {1 if it is written or 0 if others came first, {name, why} of what is damaged, what the outbox had no room
--   for (shared/endings.lua)}.

local ID = 'operator'

if ARGV[3] ~= '' then
  local version = tonumber(redis.call('HGET', KEYS[1], 'version') or nil) or 0
  if version ~= tonumber(ARGV[3]) then
    return {0, damaged, given_up}
  end
  redis.call('HSET', KEYS[1], 'version', version + 1, 'state', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
end
if #ARGV > 6 then
  local key = subscription_key(ID)
  if redis.call('EXISTS', key) == 0 then
    -- Where it goes is a setting, and is not kept here.
    redis.call('HSET', key, 'format', 1, 'status', 'ACTIVE', 'contract', 'operator', 'sink', 'https://operator.invalid/',
      'client', '', 'registration', '', 'type', 'operator', 'epoch', store_epoch(), 'number', 0, 'fence', 0)
  end
  for index = 7, #ARGV do
    bound_outbox(ID, push_entry(ID, EVENT, tonumber(ARGV[5]), 0, ARGV[index]))
  end
  make_due(ID)
  for _, name in ipairs({key, outbox_key(ID), tag .. ':due'}) do
    redis.call('PEXPIRE', name, ARGV[6])
  end
end
return {1, damaged, given_up}
