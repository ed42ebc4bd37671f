-- The head of an outbox, as a claim reads it.

-- What must go out although its entry was lost: the end of one that is over, the question to a sink.
local function replace_lost(id)
  local of = redis.call('HMGET', subscription_key(id), 'status', 'ended_at', 'end_reason')
  local tail = redis.call('LINDEX', outbox_key(id), -1)
  local over = of[1] == 'EXPIRED' or of[1] == 'DELETED'
  if over and not of[2] and of[3] and not (tail and entry_is_end(tail)) then
    push_entry(id, END, options.end_deadline_ms, 0, of[3])
  elseif of[1] == 'ACTIVATION_REQUESTED' and not tail then
    push_entry(id, HANDSHAKE, options.sink_validation_ms, 0, '')
  end
end

-- The number of an entry of this subscription in its place: they grow, up to the latest that was given. nil: the
-- entry cannot be read.
local function number_in_place(entry, former, latest)
  local _, last, digits = string.find(entry, '^(%d+) [012] %d+ %d+ %d+\n')
  local number = tonumber(digits)
  return number and last <= 70 and number > former and number <= latest and number or nil
end

-- An outbox that was seen empty is not due, so that the next event makes it due; else it is due now.
local function due_unless_empty(id)
  if redis.call('EXISTS', outbox_key(id)) == 1 then
    on_index('ZADD', tag .. ':due', 'XX', now, id)
    redis.call('SPUBLISH', tag .. ':wakeup', '1')
  else
    on_index('ZREM', tag .. ':due', id)
  end
end

-- Up to `count` entries from the head of the outbox; what cannot be read goes out of it. After MAX_ROUNDS the next
-- claim goes on.
local MAX_ROUNDS = 16
local function readable_head(id, latest, count)
  local outbox = outbox_key(id)
  for _ = 1, MAX_ROUNDS do
    local entries, lost, former = {}, {}, 0
    for _, entry in ipairs(redis.call('LRANGE', outbox, 0, count - 1)) do
      local number = number_in_place(entry, former, latest)
      if number then
        entries[#entries + 1] = entry
        former = number
      else
        lost[#lost + 1] = entry
      end
    end
    for _, entry in ipairs(lost) do
      redis.call('LREM', outbox, 1, entry)
      entry_damaged(id, entry)
    end
    if #lost > 0 then
      replace_lost(id)
      latest = whole(redis.call('HGET', subscription_key(id), 'number'), 'number')
    end
    if #entries > 0 or #lost == 0 then
      return entries
    end
  end
  return {}
end
