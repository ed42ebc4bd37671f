#!lua
-- Sends a dead letter again: its event goes to the tail of its subscription's outbox, uncounted and with a
-- new deadline, and the letter is removed.
-- KEYS: 1 the subscription's hash  2 the partition's dead letters
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 subscription id  4 the letter's id in the stream  5 deadline_ms
--       6 sequence number or 0  7 payload, which keeps the event's number (outbox_entries.py)
-- Returns {'redelivered', ''}, or with nothing written {why not, terminationReason or ''}: 'no_letter',
--   'gone' when the subscription is not kept any more, 'not_owner' when its registration is another's,
--   'ended' when it takes no more events, 'full' when its outbox is, 'newer' when a newer release made it,
--   'damaged' (and why) when it cannot be read.
--   Error OOM, with nothing written, when the store has no room for it.

local id, letter = ARGV[3], ARGV[4]
if #redis.call('XRANGE', KEYS[2], letter, letter) == 0 then
  return {'no_letter', ''}
end
local function act()
  local of = redis.call('HMGET', KEYS[1], 'status', 'end_reason', 'registration', 'client', 'subject', 'format')
  if is_newer(of[6]) then
    return {'newer', ''}
  end
  if not of[1] then
    return {'gone', ''}
  end
  if of[1] == 'ACTIVE' and not may_listen(of[3], of[4], of[5]) then
    return {'not_owner', ''}
  end
  if not takes_events(id) then
    return {'ended', of[2] or ''}
  end
  if payloads().is_full(id, #ARGV[7]) then
    return {'full', ''}
  end
  if room() < growth(1, #ARGV[7], 1) then
    return redis.error_reply(FULL)
  end
  push_entry(id, EVENT, tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7])
  redis.call('XDEL', KEYS[2], letter)
  make_due(id)
  return {'redelivered', ''}
end

local done, answer = guarded(act)
if done then
  return answer
end
return {'damaged', answer}
