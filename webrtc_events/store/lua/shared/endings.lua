-- Ends: what time sets, how a subscription leaves the indexes, and what becomes of its events.

-- The moment at which time ends a subscription, and the reason; nil if nothing sets one: its expiry, the
-- lead ahead of its sink token's expiry, a linger after its session's last status, the latest moment for
-- its sink to agree.
local MOMENTS = {'expires_at', 'token_stop_at', 'linger_at', 'agree_by'}
local REASONS = {'SUBSCRIPTION_EXPIRED', 'ACCESS_TOKEN_EXPIRED', 'NETWORK_TERMINATED', 'SINK_REFUSED'}

-- `moments` are these fields of it, in their order.
local function first_of(moments)
  local moment, reason = nil, nil
  for number, at in ipairs(moments) do
    if at and at ~= '' and (moment == nil or whole(at, MOMENTS[number]) < moment) then
      moment, reason = whole(at, MOMENTS[number]), REASONS[number]
    end
  end
  return moment, reason
end

local function end_by_time(id)
  return first_of(redis.call('HMGET', subscription_key(id), unpack(MOMENTS)))
end

-- Puts that moment into the ends zset.
local function schedule(id)
  local moment = end_by_time(id)
  if moment then
    on_index('ZADD', tag .. ':ends', moment, id)
  else
    on_index('ZREM', tag .. ':ends', id)
  end
end

-- Until when a sink token can be used: appending stops a lead ahead of its expiry, and at half of it
-- what is pending is given up. The lead is at most half the life that the token had left when it
-- was first given: to give it again changes nothing.
local function set_token_expiry(id, token_expires_at)
  local key = subscription_key(id)
  local former = redis.call('HGET', key, 'token_expires_at') or options.omits_defaults == 1 and ''
  if token_expires_at == former then
    return
  end
  local stop_at, cut_at = '', ''
  if token_expires_at ~= '' then
    local expiry = tonumber(token_expires_at)
    local lead = math.min(options.token_lead_ms, (expiry - now) / 2)
    stop_at = string.format('%.0f', expiry - lead)
    cut_at = string.format('%.0f', expiry - lead / 2)
  end
  redis.call('HSET', key, 'token_expires_at', token_expires_at, 'token_stop_at', stop_at, 'token_cut_at', cut_at)
end

-- When a subscription that asks for expires_at, ms or '' for never, really ends: the server may limit
-- its life, which is counted from starts_at.
local function limited_expiry(expires_at, starts_at)
  local latest = starts_at + options.max_lifetime_ms
  if options.max_lifetime_ms > 0 and (expires_at == '' or tonumber(expires_at) > latest) then
    return string.format('%.0f', latest)
  end
  return expires_at
end

-- That it is over and still counts in its client's index (client_index.py).
local function end_note(id, client)
  return #client .. ':' .. client .. ' ' .. id
end

-- What ends leave in indexes that all of a partition share. A script that ends many gathers it, and writes it with one command
-- for each index: `over` leave the ends, `notes` and `due` are scores with members. It must be written whatever happens.
local gathered
local function gather()
  gathered = {over = {}, notes = {}, due = {}}
end

local function write_gathered()
  local of = gathered
  gathered = nil
  if #of.due > 0 then
    on_index('ZADD', tag .. ':due', 'NX', unpack(of.due))
  end
  if #of.notes > 0 then
    on_index('ZADD', tag .. ':ended', unpack(of.notes))
  end
  if #of.over > 0 then
    on_index('ZREM', tag .. ':ends', unpack(of.over))
  end
end

-- The index of a channel's subscriptions in this partition, those that are not over: a set. It has the member
-- ALL_ARE_LISTED if it has listed them since the channel has had a log here; where a release before made the log there is none.
local ALL_ARE_LISTED = ''
local function channel_index_key(channel)
  return tag .. ':channel-subscriptions:' .. channel
end

-- It goes out of the index of its channel, if its format says that its sink is one.
local function unlist_from_channel(id, format, sink)
  if is_to_channel(format) and sink then
    on_index('SREM', channel_index_key(string.sub(sink, -32)), id)
  end
end

-- What is read of a subscription that is about to end.
local function read_for_end(id)
  return redis.call('HMGET', subscription_key(id), 'type', 'registration', 'session', 'client', 'initial_pending',
    'number', 'token_cut_at', 'epoch', 'outbox_size', 'format', 'sink', 'device')
end

-- A subscription that ends goes out of every index. That of its client is elsewhere: a note stays until it is known
-- there.
local function unindex(id, of)
  if of[5] then
    redis.call('HDEL', subscription_key(id), 'initial_pending')
  end
  if of[12] and of[4] then
    on_index('SREM', device_index_key(of[12], of[4]), id)
  elseif of[1] and of[2] then
    on_index('SREM', tag .. ':registration:' .. of[1] .. ':' .. of[2], id)
  end
  if of[3] and of[3] ~= '' then
    on_index('SREM', tag .. ':session:' .. of[3], id)
  end
  on_index('ZREM', tag .. ':initial', id)
  unlist_from_channel(id, of[10], of[11])
  local note = of[4] and end_note(id, of[4])
  if note and gathered then
    gathered.notes[#gathered.notes + 1] = 0
    gathered.notes[#gathered.notes + 1] = note
  elseif note then
    on_index('ZADD', tag .. ':ended', 0, note)
  end
end

-- The first cause wins: the status leaves ACTIVE here and nowhere else. Queues the one
-- subscription-ended behind what is in the outbox.
-- With a sink token, time comes back at half its lead, to make room for the end.
-- `after_ms`: an end with nothing before it is sent after this only. Where a token has little time left, at once.
local function queue_end(id, reason, status, after_ms)
  local of = read_for_end(id)
  -- What would fail, fails in here, before anything is written. The status is written with the entry.
  push_to({id = id, epoch = of[8], number = of[6], outbox_size = of[9]}, END, options.end_deadline_ms, 0, reason, nil,
    'status', status, 'end_reason', reason)
  unindex(id, of)
  local cut_at = tonumber(of[7] or nil)
  if cut_at then
    on_index('ZADD', tag .. ':ends', of[7], id)
  elseif gathered then
    gathered.over[#gathered.over + 1] = id
  else
    on_index('ZREM', tag .. ':ends', id)
  end
  if gathered and not cut_at and after_ms and after_ms > 0 then
    gathered.due[#gathered.due + 1] = now + after_ms
    gathered.due[#gathered.due + 1] = id
  else
    make_due(id, not cut_at and after_ms)
  end
end

-- For the entries up to a place of an outbox, which are about to go unseen.
local function release_all(id, last)
  if tonumber(redis.call('HGET', subscription_key(id), 'format') or 1) >= REFERRING then
    for _, entry in ipairs(redis.call('LRANGE', outbox_key(id), 0, last)) do
      release(id, entry)
    end
  end
end

-- The subscription's last act: nothing is left to send, the credential is erased, and the
-- sweeper removes the rest once the retention time is over (at once when it was deleted).
local function close(id)
  local key = subscription_key(id)
  redis.call('HDEL', key, 'credential')
  redis.call('HSET', key, 'ended_at', now, 'lease_until', 0)
  release_all(id, -1)
  redis.call('DEL', outbox_key(id))
  on_index('ZREM', tag .. ':due', id)
  local retention_ms = options.retention_ms
  if redis.call('HGET', key, 'status') == 'DELETED' then
    retention_ms = 0
  end
  on_index('ZADD', tag .. ':ends', now + retention_ms, id)
end

-- Ends a subscription whose sink has not agreed, so at once: it has been sent nothing, and is sent no end.
-- A handshake that is under way finds nothing left to settle.
local function cancel(id, reason, status)
  local of = read_for_end(id)
  redis.call('HSET', subscription_key(id), 'status', status, 'end_reason', reason)
  unindex(id, of)
  close(id)
end

-- Ends what is not over yet, for the cause that came first. True: this was it. `was`: the status that it has.
-- `after_ms`: see queue_end.
local function end_unless_over(id, was, reason, status, after_ms)
  if was == 'ACTIVE' then
    queue_end(id, reason, status, after_ms)
  elseif was == 'ACTIVATION_REQUESTED' then
    cancel(id, reason, status)
  else
    return false
  end
  return true
end

-- Adds to a stream that is bounded in length and age; sweep.lua removes what grows old without new entries.
local function add_all_bounded(stream, max_length, ms, entries)
  for _, fields in ipairs(entries) do
    write('XADD', stream, 'MAXLEN', max_length, '*', unpack(fields))
  end
  if #entries > 0 then
    redis.call('PEXPIRE', stream, ms)
  end
end

local function add_bounded(stream, max_length, ms, ...)
  add_all_bounded(stream, max_length, ms, {{...}})
end

-- The mediaSessionId of an entry of a subscription that is to `session`, or ''. Text that was said in a call cannot look
-- like it: its quotation marks are escaped.
local function session_of(entry, session)
  local said = not entry_is_end(entry) and string.match(entry, '"mediaSessionId"%s*:%s*"([^"\\]*)"')
  return said or session or ''
end

-- Notes that the store gave up an entry by itself. A row is {subscription, reason}, and of the first MAX_NOTED of a run also
--   its registration, type, client, sink, the mediaSessionId or '', the beginning of the entry, and '1' if its sink is a
--   channel, else ''.
local MAX_NOTED, NOTED_BYTES = 200, 120
local function note_given_up(id, entry, reason, of)
  local row = {id, reason}
  if #given_up < MAX_NOTED and of[1] and of[2] and of[3] and of[4] then
    row = {id, reason, of[1], of[2], of[3], of[4], session_of(entry, of[5]), string.sub(entry, 1, NOTED_BYTES),
      is_to_channel(of[6]) and '1' or ''}
  end
  given_up[#given_up + 1] = row
end

-- Its bytes are those of all letters up to it: so the difference of two is what those between them have. `decided`: its
-- caller gave it up, and knows of it.
local function add_letter(id, entry, reason, detail, decided)
  local bytes = payloads().letters_with(entry)
  local of = redis.call('HMGET', subscription_key(id), 'registration', 'type', 'client', 'sink', 'session', 'format')
  if not decided then
    note_given_up(id, entry, reason, of)
  end
  add_bounded(tag .. ':dead', options.dead_letters, options.dead_letters_ms,
    'subscription', id, 'at', now, 'reason', reason, 'detail', detail, 'entry', entry,
    'registration', of[1] or '', 'bytes', bytes)
  if bytes > options.dead_letters_bytes then
    payloads().bound_letters(bytes)
  end
end

-- What leaves an outbox becomes a dead letter, with a payload of its own. `decided`: see add_letter.
local function dead_letter(id, entry, reason, detail, decided)
  if refers(entry) then
    local letter, left_out = payloads().letter_of(entry)
    add_letter(id, letter, reason, left_out and 'its payload was left out: the store was full' or detail, decided)
    payloads().release(id, entry)
  else
    add_letter(id, entry, reason, detail, decided)
  end
end

-- An entry that cannot be read becomes a dead letter, of which this much is kept.
local MAX_DAMAGED_BYTES = 65536
local function entry_damaged(id, entry)
  add_letter(id, string.sub(entry, 1, MAX_DAMAGED_BYTES), 'damaged', 'the entry could not be read')
  release(id, entry)
  report_damaged(id, 'an entry of its outbox could not be read; it is a dead letter now, reason damaged')
end

-- Gives up what is before the end, which is queued already. A live lease is not broken: what is
-- leased may still be delivered, and the rest goes when it is settled or ran out.
-- reason '' drops without a trace, as the owner's DELETE does; else the rest is dead-lettered.
local function drop_pending(id, reason)
  local key, outbox = subscription_key(id), outbox_key(id)
  local of = redis.call('HMGET', key, 'lease_until', 'number', 'fence')
  local lease_until, number = whole_or_0(of[1], 'lease_until'), whole(of[2], 'number')
  whole(of[3], 'fence')
  if lease_until > now then
    local last = redis.call('LINDEX', outbox, -1)
    redis.call('HSET', key, 'drop_before', last and entry_number(last) or number, 'drop_reason', reason)
    return
  end
  if reason ~= '' then
    for _, entry in ipairs(redis.call('LRANGE', outbox, 0, -2)) do
      dead_letter(id, entry, reason, '')
    end
  else
    release_all(id, -2)
  end
  redis.call('LTRIM', outbox, -1, -1)
  -- A settle that comes after its lease ran out must not touch the end.
  redis.call('HINCRBY', key, 'fence', 1)
  redis.call('HSET', key, 'attempts', 0)
  on_index('ZADD', tag .. ':due', now, id)
  redis.call('SPUBLISH', tag .. ':wakeup', '1')
end
