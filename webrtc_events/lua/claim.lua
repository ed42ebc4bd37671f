#!lua flags=allow-oom
-- Leases due subscriptions of one partition, each with the head of its outbox.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 offset_ms  3 lease_ms  4 most subscriptions  5 most events of each
--       6 ms to look away from a due subscription whose keys are missing
-- Returns {now_ms, claim...}, a claim being
--   {id, fence, lease_until_ms, sink, headers as JSON, sealed credential or '', failed attempts
--    of the first event, '1' if the end is tried once only, entry...}
-- A missing key never removes a due entry: only a settle that saw the outbox empty does.

local tag = ARGV[1]
local now = now_ms(tonumber(ARGV[2]))
local lease_until = now + tonumber(ARGV[3])

-- Entries given up by a DELETE that came while they were leased.
local function skip_dropped(outbox, before)
  local head = redis.call('LINDEX', outbox, 0)
  while head and entry_number(head) < before do
    redis.call('LPOP', outbox)
    head = redis.call('LINDEX', outbox, 0)
  end
end

local claims = {now}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])) do
  local key, outbox = tag .. ':subscription:' .. id, tag .. ':outbox:' .. id
  local of = redis.call('HMGET', key, 'sink', 'headers', 'credential', 'attempts', 'end_once', 'drop_before')
  local entries = {}
  if of[1] then
    skip_dropped(outbox, tonumber(of[6]))
    entries = redis.call('LRANGE', outbox, 0, tonumber(ARGV[5]) - 1)
  end
  if #entries == 0 then
    redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[6]), id)
  else
    local fence = redis.call('HINCRBY', key, 'fence', 1)
    redis.call('HSET', key, 'lease_until', lease_until)
    redis.call('ZADD', KEYS[1], 'XX', lease_until, id)
    claims[#claims + 1] = {id, fence, lease_until, of[1], of[2], of[3] or '', tonumber(of[4]), of[5] or '',
      unpack(entries)}
  end
end
return claims
