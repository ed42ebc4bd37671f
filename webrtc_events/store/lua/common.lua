-- What the scripts share; store.py puts it in front of each of them.
--
-- Every script gets
--   ARGV: 1 tag, the partition's hash tag: every other key is derived from it
--         2 options as JSON, in ms: offset_ms (0 outside tests), lease_ms, end_deadline_ms,
--           registration_ends_deadline_ms, dedupe_ms, retention_ms, token_lead_ms, linger_ms,
--           state_ms, max_lifetime_ms (0: none), outbox_age_ms, dead_letters_ms, attempts_ms,
--           sink_failure_ms (0: never), sink_validation_ms; counts: outbox_length, dead_letters,
--           attempts, work (subscriptions that a script goes through before it makes way for
--           others); bytes: outbox_bytes, dead_letters_bytes; watermark, percent of maxmemory;
--           format, the newest stored format that is known here
-- and may answer the error NEWER, before anything is written: a newer release wrote what it would touch; or
-- REBUILD: an index is a key of another type, which the sweeper is about to make anew (store_rebuild.py).
--
-- Every record is read on its own: what cannot be read is told of in `damaged`, and the others go on.
--
-- An outbox entry is one line of five numbers, then the payload:
--   <number> <kind> <accepted, ms> <deadline, ms> <sequence number or 0>\n<payload>
-- Its kind is 0 for an event, 1 for the end, 2 for the handshake: the sink is to be asked whether it agrees.
-- In place of the payload of an event '@<sha1 of it> <bytes of it>' may stand: it is kept once (payloads.lua).

local tag = ARGV[1]
local options = cjson.decode(ARGV[2])

-- What is done with payloads that outboxes share. To make its functions takes longer than most scripts' work, and
-- most scripts need none of them.
local load_payloads, loaded_payloads
local function payloads()
  loaded_payloads = loaded_payloads or load_payloads()
  return loaded_payloads
end

-- The store's own time in ms, so that no host's clock decides anything.
local time = redis.call('TIME')
local store_ms = time[1] * 1000 + math.floor(time[2] / 1000) + options.offset_ms

-- The store's clock may go back: it is set, or another node takes over whose clock is behind. Then what waits
-- for a moment would wait all the longer. The time of a partition does not go back: it goes on from where
-- it was, a tenth slower, until the clock is up with it. What it had come to is kept, at most every
-- KEPT_EVERY_MS, so a clock that goes back by less than that is followed.
local KEPT_EVERY_MS = 5000
-- A longer step is one that set the clock, or nobody came by for so long.
local MAX_STEP_MS = 60000
-- What is further ahead is no time of a partition, but damaged, or of a clock that was wrong by far.
local MAX_AHEAD_MS = 86400000

local function partition_time()
  local clock = tag .. ':clock'
  local kept = redis.pcall('GET', clock)
  local of, at = string.match(type(kept) == 'string' and kept or '', '^(%d+) (%d+)$')
  of, at = tonumber(of), tonumber(at)
  local usable = of and at and at - store_ms <= MAX_AHEAD_MS
  local passed = usable and store_ms - of or 0
  local ms = store_ms
  if passed < 0 or usable and at > of and (passed <= MAX_STEP_MS or store_ms < at) then
    ms = math.max(store_ms, at + math.floor(math.max(0, math.min(passed, MAX_STEP_MS)) * 0.9))
  end
  if not usable or passed < 0 or passed >= KEPT_EVERY_MS then
    redis.call('SET', clock, string.format('%.0f %.0f', store_ms, ms), 'PX', MAX_AHEAD_MS)
  end
  return ms
end

-- Scripts for a client or a sink have no partition.
local now = tag == '' and store_ms or partition_time()

-- To make a function, Lua looks for each variable that it uses among those of the function right around it, one
-- after the other; what is further out it has at hand. So what follows is in functions of its own, which
-- scripts.py closes. Measured: a fifth of a short script.
return (function()

local function subscription_key(id)
  return tag .. ':subscription:' .. id
end

local function outbox_key(id)
  return tag .. ':outbox:' .. id
end

-- {name, why} of what cannot be read, the first of them, for the log.
local damaged = {}
local MAX_TOLD = 20

local function tell_damaged(name, why)
  if #damaged < MAX_TOLD then
    damaged[#damaged + 1] = {name, why}
  end
end

-- Ends what is done under `guarded`: the record cannot be read.
local function unreadable(why)
  error(redis.error_reply('DAMAGED ' .. why))
end

local WRONG_TYPE = 'it is a key of another type'

-- sweep.lua goes on with the others when an index is to be made anew.
local rebuild_is_damage = false

-- Why an error means that one record is damaged; nil if it concerns more than that. Errors of commands and of
-- scripts begin with a word in capitals, those of Lua do not.
local function damage_of(text)
  local code = string.match(text, '^(%u+) ')
  if code == 'WRONGTYPE' then
    return WRONG_TYPE
  elseif code == 'DAMAGED' then
    return string.sub(text, 9)
  elseif code == 'REBUILD' then
    return rebuild_is_damage and text or nil
  elseif code == 'ERR' then
    return not string.find(text, 'non local key', 1, true) and text or nil
  elseif code then
    return nil
  end
  return 'it lacks a field, or has a wrong one: ' .. text
end

-- Does `act` for one record. Returns true and its answer, or false and why the record cannot be read.
-- Other errors go through.
local function guarded(act, ...)
  local done, answer = pcall(act, ...)
  if done then
    return true, answer
  end
  local text = type(answer) == 'table' and answer.err or tostring(answer)
  local why = damage_of(text)
  if not why then
    error(redis.error_reply(text))
  end
  return false, why
end

-- Does `act` for each record in turn; where it fails, `failed` with the record and why. As `guarded`, which is
-- entered once for all that are well.
local function for_each(records, act, failed)
  local at = 0
  local function rest()
    while at < #records do
      at = at + 1
      act(records[at])
    end
  end
  repeat
    local done, why = guarded(rest)
    if not done then
      failed(records[at], why)
    end
  until done
end

-- Whether what has this format, or none, is in a form that is not known here.
local MAX_FORMAT = 9999
local function is_newer(format)
  local number = tonumber(format or 1)
  if not number or number > MAX_FORMAT then
    unreadable('its field format is no format')
  end
  return number > options.format
end

-- What a newer release wrote is left to it. To be called before anything is written.
local function leave_newer(format)
  if is_newer(format) then
    error(redis.error_reply('NEWER a newer release of the service wrote what this would touch'))
  end
end

-- A field that holds a count or a moment. Lua keeps up to 2^53 exactly.
local function whole(text, field)
  if not text or #text > 16 or not string.find(text, '^%d+$') then
    unreadable('its field ' .. field .. ' is no number')
  end
  return tonumber(text)
end

-- Nothing is lost with a key of another type: it is renamed, for an operator to look at.
local function set_aside(key)
  redis.call('RENAME', key, 'set-aside:' .. key)
  tell_damaged(key, WRONG_TYPE .. ' and was set aside')
end

-- Runs a command on a key whose former value is not needed if it cannot be used.
local function write(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if not damage_of(answer.err) then
      error(answer)
    end
    set_aside(key)
    answer = redis.call(command, key, ...)
  end
  return answer
end

local function ask_rebuild(key)
  redis.pcall('SADD', tag .. ':rebuild', key)
  tell_damaged(key, WRONG_TYPE .. ' and is made anew')
end

-- Runs a command on an index. Of one that is made anew nothing is missed: the records tell what it holds.
local function on_index(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if not string.find(answer.err, '^WRONGTYPE') then
      error(answer)
    end
    ask_rebuild(key)
    return nil
  end
  return answer
end

-- How many ids are in these indexes. Once it has answered, each of them can be read. While one cannot be,
-- nobody can tell who is to be served: error REBUILD.
local function members_of(indexes)
  local count = 0
  for _, index in ipairs(indexes) do
    count = count + (on_index('SCARD', index) or error(redis.error_reply('REBUILD an index is made anew')))
  end
  return count
end

-- nil: the entry cannot be read.
local function entry_number(entry)
  return tonumber(string.match(entry, '^(%d+) [012] '))
end

local function entry_is_end(entry)
  return string.match(entry, '^%d+ (%d)') == '1'
end

local function entry_accepted(entry)
  return tonumber(string.match(entry, '^%d+ %d (%d+)'))
end

return (function()

-- Whether it refers to a payload. An entry that does is short, so that no payload is searched.
local MAX_REFERENCE = 160
local function refers(entry)
  return #entry <= MAX_REFERENCE and string.find(entry, '\n@', 1, true) ~= nil
end

-- How many bytes an entry stands for.
local function entry_bytes(entry)
  return refers(entry) and payloads().bytes(entry) or #entry
end

-- To be called for every entry that has left its outbox.
local function release(id, entry)
  if refers(entry) then
    payloads().release(id, entry)
  end
end

-- The most by which the store may grow: by so many copies of so many bytes, a large one getting up to a quarter more
-- memory than it has bytes, and by so many entries, each the first of its outbox, with all that names them.
local ROUNDED_UP = 1.25
local ENTRY_BYTES = 1000
local function growth(copies, bytes, entries)
  return copies * bytes * ROUNDED_UP + entries * ENTRY_BYTES
end

-- How many bytes the store may still take, up to its watermark: what is left up to maxmemory is for those who
-- empty it. Who refuses to take more says so before any write. Also how many bytes it may have in all.
local function room()
  local memory = redis.call('INFO', 'memory')
  local function told(name)
    local _, last = string.find(memory, '\n' .. name .. ':', 1, true)
    return tonumber(string.match(memory, '^%d+', last + 1))
  end
  local most = told('maxmemory') * options.watermark / 100
  if most == 0 then
    return math.huge, math.huge
  end
  return most - told('used_memory'), most - told('used_memory_startup')
end

local function above_watermark()
  return room() < 0
end

local FULL = 'OOM the store is above its watermark'

local EVENT, END, HANDSHAKE = 0, 1, 2

-- Who has the store's writes: it changes when the store is restarted or another node takes over, and
-- then the latest writes may be lost.
local known_epoch = nil
local function store_epoch()
  known_epoch = known_epoch or string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  return known_epoch
end

-- The next outbox number. A number that was sent may have been lost, and may not come again for another
-- event: with each epoch of the store numbers go on from the next million.
local NUMBERS_AN_EPOCH = 1000000
local function next_number(epoch, number)
  local latest = whole(number, 'number')
  -- A hash of the release before this one has no epoch yet.
  if epoch and epoch ~= store_epoch() then
    latest = (math.floor(latest / NUMBERS_AN_EPOCH) + 1) * NUMBERS_AN_EPOCH
  end
  return string.format('%.0f', latest + 1)
end

-- The field outbox_size says what an outbox had when it was last written to: '<entries> <bytes>'. Who does not keep it
-- up to date (a step that clears the outbox, a release that does not know it) is found out by the number of
-- entries, and the outbox is summed up anew.
local OUTBOX_SIZE = '^(%d+) (%d+)$'

-- The format of a subscription whose outbox may refer to payloads: a release that knows of none leaves it alone.
local REFERRING = 2

-- The payload is in the entry, or, where `sha` is given, kept under it already.
-- Returns how many entries, and how many bytes, the outbox then has.
local function push_entry(id, kind, deadline_ms, sequence, payload, sha)
  local key = subscription_key(id)
  local of = redis.call('HMGET', key, 'epoch', 'number', 'outbox_size')
  local number = next_number(of[1], of[2])
  local head = string.format('%s %d %.0f %.0f %d\n', number, kind, now, now + deadline_ms, sequence)
  local entry = head .. (sha and payloads().reference(sha, payload) or payload)
  local length = redis.call('RPUSH', outbox_key(id), entry)
  local entries, bytes = string.match(of[3] or '0 0', OUTBOX_SIZE)
  if tonumber(entries) == length - 1 then
    bytes = tonumber(bytes) + entry_bytes(entry)
  else
    bytes = payloads().summed(id, length)
  end
  redis.call('HSET', key, 'number', number, 'outbox_size', length .. ' ' .. bytes)
  if of[1] ~= store_epoch() then
    redis.call('HSET', key, 'epoch', store_epoch())
  end
  if sha then
    redis.call('HSET', key, 'format', REFERRING)
    payloads().hold(sha, id, number)
  end
  return length, bytes
end

-- Where many are due, what becomes due is listed by client and host too, for claims to take turns (claim.lua):
-- `clients` has their turns, `hosts:<client>` those of its hosts, `queue:<client> <host>` the subscriptions. The newest
-- comes first, and goes behind all others with each turn. The lists are hints: `due` alone says what is due. Whose
-- sink fails is not listed: it waits by its age.
local CROWD, MAX_QUEUE = 2, 1000
local function list_in_crowd(id)
  if (on_index('ZCOUNT', tag .. ':due', '-inf', now) or 0) <= CROWD then
    return
  end
  local of = redis.call('HMGET', subscription_key(id), 'client', 'sink', 'failing_since')
  local host = of[2] and string.match(of[2], '^%a+://([^/?#]+)')
  if of[1] and host and not of[3] then
    host = string.lower(host)
    write('ZADD', tag .. ':clients', 'NX', -now, of[1])
    write('ZADD', tag .. ':hosts:' .. of[1], 'NX', -now, host)
    local queue = tag .. ':queue:' .. of[1] .. ' ' .. host
    if write('RPUSH', queue, id) > MAX_QUEUE then
      -- It comes by its age; so does all where no worker knows of the lists yet.
      redis.call('LPOP', queue)
    end
  end
end

-- Makes the subscription due now, unless it is due, leased or waiting for a retry already.
local function make_due(id)
  if on_index('ZADD', tag .. ':due', 'NX', now, id) == 1 then
    list_in_crowd(id)
    redis.call('SPUBLISH', tag .. ':wakeup', '1')
  end
end

-- The moment at which time ends a subscription, and the reason; nil if nothing sets one: its expiry, the
-- lead ahead of its sink token's expiry, a linger after its session's last status, the latest moment for
-- its sink to agree.
local MOMENTS = {'expires_at', 'token_stop_at', 'linger_at', 'agree_by'}
local REASONS = {'SUBSCRIPTION_EXPIRED', 'ACCESS_TOKEN_EXPIRED', 'NETWORK_TERMINATED', 'SINK_REFUSED'}

local function end_by_time(id)
  local moment, reason = nil, nil
  local moments = redis.call('HMGET', subscription_key(id), unpack(MOMENTS))
  for number, at in ipairs(moments) do
    if at and at ~= '' and (moment == nil or whole(at, MOMENTS[number]) < moment) then
      moment, reason = whole(at, MOMENTS[number]), REASONS[number]
    end
  end
  return moment, reason
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
-- what is pending is given up. The lead is at most half the life that the token had left when it was
-- first told of: to tell of it again changes nothing.
local function set_token_expiry(id, token_expires_at)
  local key = subscription_key(id)
  if token_expires_at == redis.call('HGET', key, 'token_expires_at') then
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

-- A subscription that ends gets its last status, and leaves every index. That of its client is elsewhere: a note
-- stays until it is known there.
local function leave(id, reason, status)
  local key = subscription_key(id)
  local of = redis.call('HMGET', key, 'type', 'registration', 'session', 'client')
  redis.call('HSET', key, 'status', status, 'end_reason', reason)
  redis.call('HDEL', key, 'initial_pending')
  if of[1] and of[2] then
    on_index('SREM', tag .. ':registration:' .. of[1] .. ':' .. of[2], id)
  end
  if of[3] and of[3] ~= '' then
    on_index('SREM', tag .. ':session:' .. of[3], id)
  end
  on_index('ZREM', tag .. ':initial', id)
  if of[4] then
    on_index('ZADD', tag .. ':ended', 0, end_note(id, of[4]))
  end
end

-- The first cause wins: the status leaves ACTIVE here and nowhere else. Queues the one
-- subscription-ended behind what is in the outbox.
-- With a sink token, time comes back at half its lead, to make room for the end.
local function queue_end(id, reason, status)
  -- What would fail, fails before the status says that the end is queued.
  whole(redis.call('HGET', subscription_key(id), 'number'), 'number')
  redis.call('LLEN', outbox_key(id))
  leave(id, reason, status)
  local token_cut_at = redis.call('HGET', subscription_key(id), 'token_cut_at')
  if tonumber(token_cut_at) then
    on_index('ZADD', tag .. ':ends', token_cut_at, id)
  else
    on_index('ZREM', tag .. ':ends', id)
  end
  push_entry(id, END, options.end_deadline_ms, 0, reason)
  make_due(id)
end

-- For the entries up to a place of an outbox, which are about to go unseen.
local function release_all(id, last)
  if tonumber(redis.call('HGET', subscription_key(id), 'format') or 1) == REFERRING then
    for _, entry in ipairs(redis.call('LRANGE', outbox_key(id), 0, last)) do
      release(id, entry)
    end
  end
end

-- The subscription's last act: nothing is left to send, the credential is erased, and the
-- sweeper removes the rest once the retention time is over (at once when it was deleted).
local function finish(id)
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
local function abandon(id, reason, status)
  leave(id, reason, status)
  finish(id)
end

-- Ends what is not over yet, for the cause that came first. True: this was it.
local function end_unless_over(id, reason, status)
  local was = redis.call('HGET', subscription_key(id), 'status')
  if was == 'ACTIVE' then
    queue_end(id, reason, status)
  elseif was == 'ACTIVATION_REQUESTED' then
    abandon(id, reason, status)
  else
    return false
  end
  return true
end

-- Adds to a stream that is bounded in length and age; sweep.lua removes what grows old without new entries.
local function add_bounded(stream, most, ms, ...)
  write('XADD', stream, 'MAXLEN', most, '*', ...)
  redis.call('PEXPIRE', stream, ms)
end

-- Its bytes are those of all letters up to it: so the difference of two tells what those between them have.
local function add_letter(id, entry, reason, detail)
  local bytes = payloads().letters_with(entry)
  add_bounded(tag .. ':dead', options.dead_letters, options.dead_letters_ms,
    'subscription', id, 'at', now, 'reason', reason, 'detail', detail, 'entry', entry,
    'registration', redis.call('HGET', subscription_key(id), 'registration') or '', 'bytes', bytes)
  if bytes > options.dead_letters_bytes then
    payloads().bound_letters(bytes)
  end
end

-- What leaves an outbox becomes a dead letter, with a payload of its own.
local function dead_letter(id, entry, reason, detail)
  if refers(entry) then
    local letter, left_out = payloads().letter_of(entry)
    add_letter(id, letter, reason, left_out and 'its payload was left out: the store was full' or detail)
    payloads().release(id, entry)
  else
    add_letter(id, entry, reason, detail)
  end
end

-- An entry that cannot be read becomes a dead letter, of which so much is kept.
local MAX_DAMAGED_BYTES = 65536
local function entry_damaged(id, entry)
  add_letter(id, string.sub(entry, 1, MAX_DAMAGED_BYTES), 'damaged', 'the entry could not be read')
  release(id, entry)
  tell_damaged(id, 'an entry of its outbox could not be read; it is a dead letter now, reason damaged')
end

-- Gives up what is before the end, which is queued already. A live lease is not broken: what is
-- leased may still be delivered, and the rest goes when it is settled or ran out.
-- reason '' drops without a trace, as the owner's DELETE does; else the rest is dead-lettered.
local function drop_pending(id, reason)
  local key, outbox = subscription_key(id), outbox_key(id)
  local of = redis.call('HMGET', key, 'lease_until', 'number', 'fence')
  local lease_until, number = whole(of[1], 'lease_until'), whole(of[2], 'number')
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

-- Whether a registration may be listened to: nothing is known of it, or it is that client's, and that
-- subject's where both name one. What is known may change after a subscription was made.
local function may_listen(registration, client, subject)
  local record = tag .. ':registration-record:' .. registration
  local known = redis.pcall('HMGET', record, 'owner', 'subject', 'format')
  if known.err then
    if not damage_of(known.err) then
      error(known)
    end
    unreadable('the record of its registration is a key of another type')
  end
  leave_newer(known[3])
  if not known[1] then
    if known[2] or known[3] then
      unreadable('the record of its registration lacks its owner')
    end
    return true
  end
  return known[1] == client and (known[2] == '' or subject == '' or known[2] == subject)
end

local STATUSES = {ACTIVATION_REQUESTED = true, ACTIVE = true, EXPIRED = true, INACTIVE = true, DELETED = true}

-- Whether a subscription that has that status may be used: not for others' registrations, after expiry, or
-- once the sink token's lead began.
local function is_good(id, status)
  local of = redis.call('HMGET', subscription_key(id), 'status', 'expires_at', 'token_stop_at',
    'registration', 'client', 'subject')
  if not STATUSES[of[1]] and (of[1] or of[4] or of[5]) then
    unreadable('its status is not known')
  end
  return of[1] == status
    and may_listen(of[4], of[5], of[6])
    and (of[2] == '' or whole(of[2], 'expires_at') > now)
    and (of[3] == '' or whole(of[3], 'token_stop_at') > now)
end

-- Whether events may come in.
local function takes_events(id)
  return is_good(id, 'ACTIVE')
end

-- Counted per subscription and session from 1, for a gateway that numbers nothing; session '' counts not.
local function next_sequence(id, session)
  if session == '' then
    return 0
  end
  local key = tag .. ':sequence:' .. id .. ':' .. session
  local sequence = write('INCR', key)
  redis.call('PEXPIRE', key, options.state_ms)
  return sequence
end

-- A session-status subscription ends a while after its session's last status. A later status
-- that is not the last takes that back. last: '1', '0', or '' for events that are no status.
local function linger(id, last)
  local key = subscription_key(id)
  if last == '1' then
    redis.call('HSET', key, 'linger_at', now + options.linger_ms)
    schedule(id)
  elseif last == '0' and redis.call('HDEL', key, 'linger_at') == 1 then
    schedule(id)
  end
end

-- How far a live lease reaches: entries up to this number may be on their way. A claim of the release
-- before this one does not say.
local function leased_through(id)
  local of = redis.call('HMGET', subscription_key(id), 'lease_until', 'leased_through', 'leased_fence', 'fence')
  if (tonumber(of[1]) or 0) <= now then
    return 0
  end
  return of[3] == of[4] and tonumber(of[2]) or math.huge
end

-- Keeps an outbox, which has just grown to so many entries and bytes, within its bounds: the oldest that
-- are not leased become dead letters. The failures of the first entry go on counting for what takes its
-- place: its sink failed.
local function bound_outbox(id, length, bytes)
  local outbox, oldest = outbox_key(id), now - options.outbox_age_ms
  local is_within = length <= options.outbox_length and bytes <= options.outbox_bytes
  if is_within and (entry_accepted(redis.call('LINDEX', outbox, 0)) or now) >= oldest then
    return
  end
  local index, through = 0, leased_through(id)
  local entry = redis.call('LINDEX', outbox, index)
  -- What cannot be read is left to the claim, which sets it aside.
  while entry and (entry_number(entry) or 0) <= through do
    index = index + 1
    entry = redis.call('LINDEX', outbox, index)
  end
  -- What has just come stays.
  while entry and length > index + 1 and (not is_within or (entry_accepted(entry) or now) < oldest) do
    redis.call('LREM', outbox, 1, entry)
    length, bytes = length - 1, bytes - entry_bytes(entry)
    is_within = length <= options.outbox_length and bytes <= options.outbox_bytes
    dead_letter(id, entry, 'outbox_full', '')
    entry = redis.call('LINDEX', outbox, index)
  end
  redis.call('HSET', subscription_key(id), 'outbox_size', length .. ' ' .. bytes)
end

-- Appends one event to one subscription that takes events, and ends it at its maximum.
-- event: {payload, deadline_ms, count (session to count sequence numbers for, or ''), last, sha (nil: the
-- payload is not kept yet)}
local function append_event(id, event)
  local key = subscription_key(id)
  local most = redis.call('HGET', key, 'max_events')
  most = most == '' and math.huge or whole(most, 'max_events')
  -- What cannot be counted is not appended.
  local appended = redis.call('HINCRBY', key, 'appended', 1)
  local sequence = next_sequence(id, event.count)
  bound_outbox(id, push_entry(id, EVENT, event.deadline_ms, sequence, event.payload, event.sha))
  if appended >= most then
    queue_end(id, 'MAX_EVENTS_REACHED', 'EXPIRED')
  else
    linger(id, event.last)
    make_due(id)
  end
end

-- The indexes of subscriptions that end with their registration.
local function ending_with(registration)
  local prefix = tag .. ':registration:org.camaraproject.webrtc-events.v0.'
  return {prefix .. 'session-invitation:' .. registration, prefix .. 'registration-ends:' .. registration}
end

local function is_newer_subscription(id)
  return is_newer(redis.call('HGET', subscription_key(id), 'format'))
end

-- What follows for each of them once the registration has ended and its own event is appended.
local function end_with_registration(id)
  if redis.call('HGET', subscription_key(id), 'status') == 'ACTIVE' then
    queue_end(id, 'NETWORK_TERMINATED', 'EXPIRED')
  end
end

-- The end is remembered for those that come late.
local function remember_end(registration, name, payload)
  local state = tag .. ':registration-state:' .. registration
  write('HSET', state, 'end_name', name, 'end', payload)
  redis.call('HDEL', state, 'invitation_name', 'invitation', 'invitation_count', 'invitation_session', 'invitation_at')
  redis.call('PEXPIRE', state, options.state_ms)
end

-- Time ends it no more.
local function close_registration(registration)
  redis.call('DEL', tag .. ':ending:' .. registration)
  on_index('ZREM', tag .. ':ends', 'registration:' .. registration)
  redis.call('PEXPIRE', tag .. ':registration-record:' .. registration, options.state_ms)
end

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
  else
    on_index('ZREM', tag .. ':due', id)
  end
end

-- Up to so many entries from the head of the outbox; what cannot be read goes out of it. So many rounds at once: the
-- next claim goes on.
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

-- What the score in a client's index says: when the subscription was named, and its standing. A score of the release
-- before is that of one which is being made, so it is looked at before it keeps others out.
--   'pending'  named             it is being made, or was: it counts
--   'live'     named / 2^20      it was made, and was not over when it was looked at: it counts
--   'ended'    named - 2^34      it is over: it does not count
-- Each keeps the 16384th of a second, and the order.
local STANDINGS = {'ended', 'live', 'pending'}
local FIRST_PENDING = 1048576

local function standing_of(score)
  return score < 0 and 'ended' or score < FIRST_PENDING and 'live' or 'pending'
end

local function named_at(score)
  local standing = standing_of(score)
  return standing == 'ended' and score + 2 ^ 34 or standing == 'live' and score * 2 ^ 20 or score
end

local function score_of(named, standing)
  local score = standing == 'ended' and named - 2 ^ 34 or standing == 'live' and named / 2 ^ 20 or named
  return string.format('%.17g', score)
end
