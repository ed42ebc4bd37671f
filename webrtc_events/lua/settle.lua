#!lua flags=allow-oom
-- Writes what became of a claim, if the claim is still the latest.
-- KEYS: 1 the subscription's hash  2 its outbox  3 the partition's due zset
-- ARGV: 1 tag  2 offset_ms  3 id  4 fence
--       5 the outbox number up to which all are done with (0: none)
--       6 what is next: 'next' go on, 'retry' the first one left, 'end' the subscription
--       7 retry: delay_ms; end: the terminationReason
--       8 retry: failed attempts of the first one left; end: '1' if the sink is still told (once)
--       9 deadline of a subscription-ended, ms  10 retention_ms
--       11 cap and 12 TTL, ms, of the dead letters and of the attempts
--       13 how many dead letters, then for each: outbox number, reason, detail
--       then each attempt as JSON
-- Returns 'lost' (another claim came after; nothing was written), 'idle' (outbox empty),
--   'due' (more to send, now or later), 'ended' (the end is settled).

local tag, id = ARGV[1], ARGV[3]
local key, outbox, due = KEYS[1], KEYS[2], KEYS[3]
local of = redis.call('HMGET', key, 'fence', 'drop_before', 'ended_at', 'status')
if of[1] ~= ARGV[4] or of[3] then
  return 'lost'
end
local now = now_ms(tonumber(ARGV[2]))
local through, verdict = tonumber(ARGV[5]), ARGV[6]
local drop_before = tonumber(of[2])
local cap, ttl_ms = ARGV[11], ARGV[12]

local reasons = {}
local at = 14
for _ = 1, tonumber(ARGV[13]) do
  reasons[tonumber(ARGV[at])] = {ARGV[at + 1], ARGV[at + 2]}
  at = at + 3
end
if at <= #ARGV then
  for index = at, #ARGV do
    redis.call('XADD', tag .. ':attempts', 'MAXLEN', '~', cap, '*', 'subscription', id, 'attempt', ARGV[index])
  end
  redis.call('PEXPIRE', tag .. ':attempts', ttl_ms)
end

local end_settled = false
local head = redis.call('LINDEX', outbox, 0)
while head and (entry_number(head) <= through or entry_number(head) < drop_before) do
  redis.call('LPOP', outbox)
  local dead = reasons[entry_number(head)]
  if dead then
    dead_letter(tag, id, head, now, dead[1], dead[2], cap, ttl_ms)
  end
  end_settled = end_settled or (entry_is_end(head) and entry_number(head) <= through)
  head = redis.call('LINDEX', outbox, 0)
end
if end_settled then
  finish(tag, id, now, tonumber(ARGV[10]))
  return 'ended'
end

redis.call('HSET', key, 'lease_until', 0)
if verdict == 'end' then
  -- Nothing but the end may still go to this sink.
  local queued_end = nil
  head = redis.call('LPOP', outbox)
  while head do
    if entry_is_end(head) then
      queued_end = head
    else
      dead_letter(tag, id, head, now, 'subscription_ended', ARGV[7], cap, ttl_ms)
    end
    head = redis.call('LPOP', outbox)
  end
  if of[4] == 'ACTIVE' then
    queue_end(tag, id, now, ARGV[7], 'EXPIRED', tonumber(ARGV[9]))
  elseif queued_end then
    redis.call('RPUSH', outbox, queued_end)
  end
  if ARGV[8] ~= '1' then
    finish(tag, id, now, tonumber(ARGV[10]))
    return 'ended'
  end
  redis.call('HSET', key, 'end_once', '1', 'attempts', 0)
  redis.call('ZADD', due, now, id)
  return 'due'
end

if not head then
  redis.call('HSET', key, 'attempts', 0)
  redis.call('ZREM', due, id)
  return 'idle'
end
-- A DELETE in the meantime took the failed event away: its delay means nothing to the end.
if verdict == 'retry' and entry_number(head) == through + 1 then
  redis.call('HSET', key, 'attempts', ARGV[8])
  redis.call('ZADD', due, now + tonumber(ARGV[7]), id)
else
  redis.call('HSET', key, 'attempts', 0)
  redis.call('ZADD', due, now, id)
end
return 'due'
