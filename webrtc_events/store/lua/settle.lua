#!lua flags=allow-oom
-- Writes what became of some claims of one partition, of each if it is still the latest of its subscription.
-- KEYS: 1 the partition's due zset, then for each claim: its subscription's hash, its outbox
-- ARGV: 1 tag  2 offset_ms (shared/common.lua), then for each claim: how many arguments follow for it, and these:
--       1 id  2 fence
--       3 the outbox number up to which all are done with
--       4 what is next: 'next' go on, 'retry' the first one left, 'end' the subscription; after a
--         handshake 'agree' or 'refuse'
--       5 retry: delay_ms; end: the terminationReason; agree: the notifications a minute that it allows, or ''
--       6 retry: failed attempts of that one; end: '1' if the sink is still notified (once)
--       7 retry: the outbox number of that one
--       8 what the sink did: 'delivered' (some event), 'failed' (to take any), '' (it was not asked)
--       9 how many of the claimed events all are done with  10 how many bytes their entries have, as they were claimed
--       11 the channel that is the sink, or ''  12 how many events are for its log, then for each: outbox number, type, event;
--         with (11) then for each the registrations that it concerns, as a JSON array, or '' where its subscription says which
--       then how many dead letters, then for each: outbox number, reason, detail
--       then for each attempt, or run of deliveries: how many attempts it is, and it as JSON
-- Returns for each claim 'lost' (another claim, or a newer release, came after; nothing was written), 'idle' (outbox
--   empty), 'due' (more to send, now or later), 'ended' (the end is settled, or the sink refused), 'active' (the
--   sink agreed; what its subscription missed meanwhile is to be looked up), 'damaged: <why>' (the subscription
--   cannot be read; what was done with before that was found stays written). Behind them, if the store gave something
--   up that is not among the dead letters given, a list of it (shared/endings.lua).
--   Behind that, which is then there even if it is empty, a list of the subscriptions whose sinks have failed for half of
--   sink_failure_ms or longer, of each {id, 'failing', 'delivered' if that is over, or 'ended' by it, since when, ms, its sink}.
-- What is for a channel is written into its log here, and so is delivered once. Where nothing is written the answer is
--   'gone': the channel is gone, which is as a sink that answers 410, so the subscription is over; or 'full': the store
--   is above its watermark, and the events wait in the outbox, due again after FULL_DELAY_MS.

local due = KEYS[1]

local FULL_DELAY_MS = 1000

-- How many attempts the entries up to this one have. What a release before wrote does not say.
local function count_up_to(entry)
  for index = 1, #entry[2], 2 do
    if entry[2][index] == 'count' then
      return tonumber(entry[2][index + 1])
    end
  end
end

-- Keeps the attempts that `given` has from `at` on. A run has many, so they are counted, not their entries: the oldest
-- entry goes once those after it have as many as are kept.
local function keep_attempts(id, given, at, registration)
  if at > #given then
    return
  end
  local stream = tag .. ':attempts'
  local latest = write('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local count = latest and (count_up_to(latest) or redis.call('XLEN', stream)) or 0
  local entries = {}
  for index = at, #given, 2 do
    count = count + tonumber(given[index])
    entries[#entries + 1] = {'subscription', id, 'attempt', given[index + 1], 'registration', registration,
      'count', string.format('%.0f', count)}
  end
  add_all_bounded(stream, options.attempts, options.attempts_ms, entries)
  while true do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    local up_to = count_up_to(oldest)
    if not up_to or count - up_to < options.attempts then
      return
    end
    redis.call('XDEL', stream, oldest[1])
  end
end

-- What the operator is to know of sinks. Most runs have none of it.
local noted_sinks = {}
local function note_sink(id, key, what, since)
  if options.sink_failure_ms > 0 and now - since >= options.sink_failure_ms / 2 then
    noted_sinks[#noted_sinks + 1] = {id, what, since, redis.call('HGET', key, 'sink') or ''}
  end
end

local function settle(key, outbox, given)
  local id = given[1]
  local of = redis.call('HMGET', key, 'fence', 'drop_before', 'drop_reason', 'ended_at', 'status', 'credential_fence',
    'format', 'registration', 'outbox_size', 'failing_since')
  if of[1] ~= given[2] or of[4] or is_newer(of[7]) then
    return 'lost'
  end
  local drop_before, drop_reason = whole_or_0(of[2], 'drop_before'), of[3] or ''
  local through, verdict = tonumber(given[3]), given[4]

  local events, at = {}, 13
  for index = 1, tonumber(given[12]) do
    events[index] = {tonumber(given[at]), given[at + 1], given[at + 2]}
    at = at + 3
  end
  if given[11] ~= '' then
    for index, event in ipairs(events) do
      event[4] = given[at + index - 1]
    end
    at = at + #events
  end
  local dead, done = {}, tonumber(given[9])
  local count = tonumber(given[at])
  at = at + 1
  for _ = 1, count do
    dead[tonumber(given[at])] = {given[at + 1], given[at + 2]}
    at = at + 3
  end

  -- Why nothing of it was written to the channel.
  local refused = nil

  -- Writes what is for the channel. What has left the outbox was written by this very settle, which is repeated.
  local function store_events()
    local first = redis.call('LINDEX', outbox, 0)
    local number = first and (entry_number(first) or 0)
    local unwritten = {}
    for _, event in ipairs(events) do
      if number and event[1] >= number then
        unwritten[#unwritten + 1] = event
      end
    end
    local answer = append_to_channel(given[11], id, of[8] or '', unwritten)
    if answer ~= 'written' then
      -- Nothing came of the claim.
      refused = answer
      dead, done, through, given[8], at = {}, 0, (number or 1) - 1, '', #given + 1
      if answer == 'gone' then
        verdict, given[5], given[6] = 'end', 'NETWORK_TERMINATED', ''
      else
        verdict, given[5], given[6], given[7] = 'retry', FULL_DELAY_MS, 0, number
      end
    elseif not is_to_channel(of[7]) then
      -- Made by a release that did not say so.
      of[7] = first_format(true, tonumber(of[7] or 1) == DEVICE)
      redis.call('HSET', key, 'format', of[7])
    end
  end

  if given[11] ~= '' then
    store_events()
  end
  keep_attempts(id, given, at, of[8] or '')

  -- The token that the sink refused was replaced while the claim was under way (update.lua): what was
  -- refused with it is sent again with the new one.
  local blames_token = verdict == 'end' and given[5] == 'ACCESS_TOKEN_EXPIRED' and of[5] == 'ACTIVE'
  if (blames_token or verdict == 'refuse') and of[6] == given[2] then
    dead[through] = nil
    through, verdict = through - 1, 'next'
  end

  -- From now on events come in. Whatever came before is settled with the wish for an initial event.
  local function activate(rate)
    redis.call('HSET', key, 'status', 'ACTIVE', 'starts_at', now, 'rate', rate)
    redis.call('HDEL', key, 'agree_by')
    local missed = redis.call('HMGET', key, 'initial_pending', 'session')
    if missed[1] or (missed[2] and missed[2] ~= '') then
      redis.call('HSETNX', key, 'initial_pending', '0')
      on_index('ZADD', tag .. ':initial', now, id)
    end
    schedule(id)
  end

  if of[5] == 'ACTIVATION_REQUESTED' and (verdict == 'agree' or verdict == 'refuse') then
    local moment, reason = end_by_time(id)
    if verdict == 'refuse' then
      moment, reason = now, 'SINK_REFUSED'
    end
    if moment and moment <= now then
      cancel(id, reason, 'EXPIRED')
      return 'ended'
    end
    activate(given[5])
  end

  local taken, taken_bytes = 0, 0
  -- The first entry of the outbox, once it is known: false if there is none.
  local head = nil
  local function read_head()
    head = redis.call('LINDEX', outbox, 0)
  end

  -- Takes what was delivered from the head, all at once, where it is still just what was claimed. The one that was
  -- delivered last shows it: numbers grow.
  local function take_claimed()
    local around = redis.call('LRANGE', outbox, done - 1, done)
    local last = around[1]
    if last and entry_number(last) == through and not entry_is_end(last) then
      redis.call('LTRIM', outbox, done, -1)
      taken, taken_bytes = done, tonumber(given[10])
      head = around[2] or false
    end
  end

  -- The same, where entries may refer to payloads: each is looked at, and what it refers to is released.
  local function take_referring()
    local delivered, around = {}, redis.call('LRANGE', outbox, 0, done)
    for index, entry in ipairs(around) do
      local number = entry_number(entry)
      if index > done or not number or number > through or dead[number] or entry_is_end(entry) then
        break
      end
      delivered[#delivered + 1] = entry
    end
    if #delivered > 0 then
      redis.call('LPOP', outbox, #delivered)
    end
    head = around[#delivered + 1] or false
    for _, entry in ipairs(delivered) do
      taken, taken_bytes = taken + 1, taken_bytes + entry_bytes(entry)
      release(id, entry)
    end
  end

  -- Takes what is done with, and what was given up meanwhile, from the head. True: the end was among it.
  local function take_done()
    local end_settled = false
    local number = head and (entry_number(head) or 0)
    while head and (number <= through or number < drop_before) do
      redis.call('LPOP', outbox)
      taken, taken_bytes = taken + 1, taken_bytes + entry_bytes(head)
      if number == 0 then
        entry_damaged(id, head)
        replace_lost(id)
      elseif dead[number] then
        dead_letter(id, head, dead[number][1], dead[number][2], true)
      elseif number > through and drop_reason ~= '' then
        dead_letter(id, head, drop_reason, '')
      else
        release(id, head)
      end
      end_settled = end_settled or (entry_is_end(head) and number <= through)
      read_head()
      number = head and (entry_number(head) or 0)
    end
    return end_settled
  end

  -- '' if it is not known any more.
  local function size_left()
    if not head then
      return '0 0'
    end
    local entries, bytes = string.match(of[9] or '', OUTBOX_SIZE)
    if not entries or tonumber(entries) < taken or tonumber(bytes) < taken_bytes then
      return ''
    end
    return string.format('%.0f %.0f', tonumber(entries) - taken, tonumber(bytes) - taken_bytes)
  end

  -- Nothing but the end may still go to this sink: the rest is dead-lettered.
  local function clear_for_end(reason)
    local queued_end = nil
    local entry = redis.call('LPOP', outbox)
    while entry do
      if entry_is_end(entry) then
        queued_end = entry
      else
        dead_letter(id, entry, 'subscription_ended', reason)
      end
      entry = redis.call('LPOP', outbox)
    end
    if of[5] == 'ACTIVE' then
      queue_end(id, reason, 'EXPIRED')
    elseif queued_end then
      redis.call('RPUSH', outbox, queued_end)
    end
  end

  -- Whether the sink has failed continuously for so long that the subscription ends.
  local function ends_by_failure()
    if given[8] == 'delivered' then
      if of[10] then
        redis.call('HDEL', key, 'failing_since')
        note_sink(id, key, 'delivered', tonumber(of[10]) or now)
      end
    elseif given[8] == 'failed' then
      redis.call('HSETNX', key, 'failing_since', now)
      local since = whole(redis.call('HGET', key, 'failing_since'), 'failing_since')
      local too_long = options.sink_failure_ms > 0 and now - since >= options.sink_failure_ms
      local ends = too_long and verdict ~= 'end' and of[5] == 'ACTIVE'
      note_sink(id, key, ends and 'ended' or 'failing', since)
      return ends
    end
    return false
  end

  -- Whoever settles a retry asks again once its delay is over; all others ask at once by themselves.
  local function due_now()
    on_index('ZADD', due, now, id)
    if verdict == 'retry' then
      redis.call('SPUBLISH', tag .. ':wakeup', '1')
    end
  end

  if done > 0 and tonumber(of[7] or 1) >= REFERRING then
    take_referring()
  elseif done > 0 and not next(dead) then
    take_claimed()
  end
  if head == nil then
    read_head()
  end
  if take_done() then
    close(id)
    return 'ended'
  end
  redis.call('HSET', key, 'lease_until', 0, 'attempts', 0, 'outbox_size', size_left())
  local reason, notify = given[5], given[6] == '1'
  if ends_by_failure() then
    verdict, reason, notify = 'end', 'NETWORK_TERMINATED', true
  end
  if verdict == 'end' then
    clear_for_end(reason)
    if not notify then
      close(id)
      return refused or 'ended'
    end
    redis.call('HSET', key, 'end_once', '1')
    due_now()
    return 'due'
  end

  if not head then
    on_index('ZREM', due, id)
    if tonumber(of[7]) == REFERRING then
      -- Nothing in it refers any more.
      redis.call('HSET', key, 'format', 1)
    end
    return refused or verdict == 'agree' and 'active' or 'idle'
  end
  -- What was given up in the meantime took the failed event along: its delay means nothing to the next.
  if verdict == 'retry' and entry_number(head) == tonumber(given[7]) then
    redis.call('HSET', key, 'attempts', given[6])
    on_index('ZADD', due, now + tonumber(given[5]), id)
  else
    due_now()
    list_in_crowd(id)
  end
  return refused or 'due'
end

local outcomes, at = {}, 3
for claim = 1, (#KEYS - 1) / 2 do
  local given = {unpack(ARGV, at + 1, at + ARGV[at])}
  at = at + 1 + ARGV[at]
  local done, answer = guarded(settle, KEYS[2 * claim], KEYS[2 * claim + 1], given)
  if not done then
    -- The lease guards it; then it may have been repaired.
    on_index('ZADD', due, 'XX', now + DEFERRED_MS, given[1])
    answer = 'damaged: ' .. answer
  end
  outcomes[claim] = answer
end
if #given_up > 0 or #noted_sinks > 0 then
  outcomes[#outcomes + 1] = given_up
end
if #noted_sinks > 0 then
  outcomes[#outcomes + 1] = noted_sinks
end
return outcomes
