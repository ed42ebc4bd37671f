#!lua flags=allow-oom
-- Writes the conditions that are reported to operators, with the events that follow from the change, if nobody else has
--   changed them meanwhile. So of several workers that see the same, one says it.
-- What is damaged is made anew: nobody else would, and it must not keep from operators what is wrong. What
--   waits is kept as far as it can be read.
-- It takes no notice of the watermark: that the store is above it must still be said. Its outbox is bounded as any.
-- KEYS: 1 the hash of the conditions
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the version that was read, or '' to change no condition  4 the new state
--       5 for how long an event is worth sending, ms  6 for how long all of this is kept, ms  7... the events, as JSON; none:
--       it repairs only
-- Returns {1 if it is written or 0 if others came first, {name, why} of what is damaged, what the outbox had no room
--   for (shared/endings.lua)}.

local ID = 'operator'
local RECORD, OUTBOX, DUE = subscription_key(ID), outbox_key(ID), tag .. ':due'

-- Whether there is a record that can be read.
local function check_record()
  local of = redis.call('HMGET', RECORD, 'number', 'fence', 'drop_before', 'attempts', 'sink')
  if not of[1] and redis.call('EXISTS', RECORD) == 0 then
    return false
  end
  whole(of[1], 'number')
  whole(of[2], 'fence')
  whole_or_0(of[3], 'drop_before')
  whole_or_0(of[4], 'attempts')
  if not of[5] then
    unreadable('it lacks its sink')
  end
  return true
end

-- Numbers go on behind what waits.
local function latest_waiting()
  local last = redis.call('LINDEX', OUTBOX, -1)
  return last and entry_number(last) or 0
end

local function repair()
  for key, expected in pairs({[RECORD] = 'hash', [OUTBOX] = 'list', [DUE] = 'zset', [tag .. ':dead'] = 'stream',
    [tag .. ':attempts'] = 'stream'}) do
    local is = redis.call('TYPE', key).ok
    if is ~= 'none' and is ~= expected then
      set_aside(key)
    end
  end
  -- It is for the sweeper, which does not come by here.
  redis.call('DEL', tag .. ':rebuild')
  local done, answer = guarded(check_record)
  if not done then
    report_damaged(RECORD, answer .. ', and was made anew')
    redis.call('DEL', RECORD)
  end
  if not (done and answer) then
    -- A claim defers what it cannot read.
    redis.call('DEL', DUE)
    -- Where it goes is a setting, and is not kept here.
    redis.call('HSET', RECORD, 'format', 1, 'status', 'ACTIVE', 'contract', 'operator', 'sink', 'https://operator.invalid/',
      'client', '', 'registration', '', 'type', 'operator', 'epoch', store_epoch(), 'number', latest_waiting(), 'fence', 0)
  end
end

local version = write('HGET', KEYS[1], 'version')
if ARGV[3] ~= '' and (tonumber(version or nil) or 0) ~= tonumber(ARGV[3]) then
  return {0, damaged, given_up}
end
repair()
for index = 7, #ARGV do
  bound_outbox(ID, push_entry(ID, EVENT, tonumber(ARGV[5]), 0, ARGV[index]))
end
if redis.call('EXISTS', OUTBOX) == 1 then
  make_due(ID)
end
for _, key in ipairs({RECORD, OUTBOX, DUE}) do
  redis.call('PEXPIRE', key, ARGV[6])
end
if ARGV[3] ~= '' then
  -- Last: what is said to be reported waits in the outbox.
  redis.call('HSET', KEYS[1], 'version', (tonumber(version or nil) or 0) + 1, 'state', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
end
return {1, damaged, given_up}
