-- What the scripts share; store.py puts it in front of each of them.
-- An outbox entry is one line of four numbers, then the payload:
--   <number> <1 if it is the end, else 0> <accepted, ms> <deadline, ms>\n<payload>

-- The store's own time in ms, so that no host's clock decides anything; offset_ms is 0 outside tests.
local function now_ms(offset_ms)
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + offset_ms
end

local function entry_number(entry)
  return tonumber(string.match(entry, '^%d+'))
end

local function entry_is_end(entry)
  return string.match(entry, '^%d+ (%d)') == '1'
end

local function push_entry(tag, id, is_end, now, deadline_ms, payload)
  local number = redis.call('HINCRBY', tag .. ':subscription:' .. id, 'number', 1)
  local head = string.format('%d %d %.0f %.0f\n', number, is_end, now, now + deadline_ms)
  redis.call('RPUSH', tag .. ':outbox:' .. id, head .. payload)
  return number
end

-- Makes the subscription due now, unless it is due, leased or waiting for a retry already.
local function make_due(tag, id, now)
  if redis.call('ZADD', tag .. ':due', 'NX', now, id) == 1 then
    redis.call('SPUBLISH', tag .. ':wakeup', '1')
  end
end

-- The first cause wins: the status leaves ACTIVE here and nowhere else. Queues the one
-- subscription-ended behind what is in the outbox and takes the subscription out of every index.
-- Returns the outbox number of the end.
local function queue_end(tag, id, now, reason, status, deadline_ms)
  local key = tag .. ':subscription:' .. id
  local of = redis.call('HMGET', key, 'type', 'registration', 'session')
  redis.call('HSET', key, 'status', status, 'end_reason', reason)
  redis.call('SREM', tag .. ':registration:' .. of[1] .. ':' .. of[2], id)
  if of[3] ~= '' then
    redis.call('SREM', tag .. ':session:' .. of[3], id)
  end
  redis.call('ZREM', tag .. ':ends', id)
  local number = push_entry(tag, id, 1, now, deadline_ms, reason)
  make_due(tag, id, now)
  return number
end

-- The subscription's last act: nothing is left to send, the credential is erased, and the
-- keeper removes the rest once the retention time is over (at once when it was deleted).
local function finish(tag, id, now, retention_ms)
  local key = tag .. ':subscription:' .. id
  redis.call('HDEL', key, 'credential')
  redis.call('HSET', key, 'ended_at', now, 'lease_until', 0)
  redis.call('DEL', tag .. ':outbox:' .. id)
  redis.call('ZREM', tag .. ':due', id)
  if redis.call('HGET', key, 'status') == 'DELETED' then
    retention_ms = 0
  end
  redis.call('ZADD', tag .. ':ends', now + retention_ms, id)
end

local function dead_letter(tag, id, entry, now, reason, detail, cap, ttl_ms)
  redis.call('XADD', tag .. ':dead', 'MAXLEN', '~', cap, '*',
    'subscription', id, 'at', now, 'reason', reason, 'detail', detail, 'entry', entry)
  redis.call('PEXPIRE', tag .. ':dead', ttl_ms)
end
