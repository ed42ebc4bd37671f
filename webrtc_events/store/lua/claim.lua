#!lua flags=allow-oom
-- Leases due subscriptions of one partition, each with the head of its outbox.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 maximum of subscriptions  4 maximum of events of each
--       5 who claims  6 the number of this claim, counted by who claims
--       7 the number of the first claim of this partition whose answer did not arrive; (6) if all did
--       8 maximum of bytes of all that is claimed  9 maximum of bytes of each subscription, so that one whose
--       sink hangs keeps little from the others; the first event is claimed also if it alone has more
--       10 what the claim before returned as passed, or ''
-- Returns {now_ms, how many that are due were written by a newer release, and skipped, {name, why} of each that is
--   damaged, in how many ms the next is due, 0 if more may be due now, or -1 if none is within SOON_MS, what the store
--   gave up (shared/endings.lua), how many that are due have a channel as sink that this worker does not know
--   (options.channels_url), and skipped, up to which of those that are due all were skipped, claim...}, a claim being
--   {id, fence, lease_until_ms, sink, headers as JSON, sealed credential or '', failed attempts
--    of the first event, '1' if the end is tried once only, contract version or '', the name under
--    which the sink is asked or '', the notifications a minute that it allows or '', client, registration,
--    mediaSessionId or '', deviceId or '', entry...}
-- Half of them are those that are due for longest. The others are of clients in a round robin, and of a client's hosts
--   in another, where many are due (list_in_crowd): so whoever has little due waits behind nobody who has much.
-- A claim that has passed MAX_PASSED that are skipped ends, and the next one begins behind them: what becomes due comes
--   with a later score. Now and then they are looked at again (LOOK_AGAIN_MS).
-- A missing key never removes a due entry: only a settle that saw the outbox empty does.

local lease_until = now + options.lease_ms

-- Entries given up while they were leased. True if there were any.
local function skip_dropped(id, before, reason)
  local outbox = outbox_key(id)
  local head = redis.call('LINDEX', outbox, 0)
  local skipped = false
  while head and (entry_number(head) or 0) < before do
    redis.call('LPOP', outbox)
    skipped = true
    if not entry_number(head) then
      entry_damaged(id, head)
      replace_lost(id)
    elseif reason ~= '' then
      dead_letter(id, head, reason, '')
    else
      release(id, head)
    end
    head = redis.call('LINDEX', outbox, 0)
  end
  return skipped
end

-- What an earlier claim took whose answer did not arrive is nobody's: its leases are over. If this one
-- comes late itself, what a later one took is not its own to release.
local function release_lost()
  local first, this = tonumber(ARGV[7]), tonumber(ARGV[6])
  local function release(id)
    local of = redis.call('HMGET', subscription_key(id), 'claim', 'fence', 'lease_until')
    local by, number, fence = string.match(of[1] or '', '^(%S+) (%d+) (%d+)$')
    local lost = by == ARGV[5] and tonumber(number) >= first and tonumber(number) < this
    if lost and fence == of[2] and tonumber(of[3]) > now then
      redis.call('HSET', subscription_key(id), 'lease_until', 0)
      redis.call('ZADD', KEYS[1], now, id)
    end
  end
  for_each(redis.call('ZRANGE', KEYS[1], '(' .. now, now + options.lease_ms, 'BYSCORE'), release, report_damaged)
end

-- What is due later is found by a look at all.
local SOON_MS = 1500

-- Whether its sink is a channel, though not by the URLs that this worker was given: it would take it for a web server.
-- A release before this one did not say so in the format; then the log says it.
local CHANNELS = options.channels_url .. '/'
local function is_unknown_channel(format, sink)
  local is_channel = is_to_channel(format)
  if not is_channel and sink and string.sub(sink, -42, -33) == '/channels/' then
    is_channel = redis.call('EXISTS', tag .. ':channel:' .. string.sub(sink, -32)) == 1
  end
  return is_channel and (CHANNELS == '/' or string.sub(sink or '', 1, #CHANNELS) ~= CHANNELS)
end
local unknown_channels = 0

local claims = {now, 0, damaged, -1, given_up, 0, ARGV[10]}
local HEAD = #claims
local left_bytes, full = tonumber(ARGV[8]), false
local MAX_SUBSCRIPTION_BYTES = tonumber(ARGV[9])

-- As many of the first of these entries as there is room for, and how much room remains.
local function fitting(entries)
  local kept, left = {}, left_bytes
  for _, entry in ipairs(entries) do
    local bytes = entry_bytes(entry)
    if #kept > 0 and left_bytes - left + bytes > MAX_SUBSCRIPTION_BYTES then
      break
    elseif bytes > left and #claims + #kept > HEAD then
      full = true
      break
    end
    left = left - bytes
    kept[#kept + 1] = entry
  end
  return kept, left
end

-- These entries with their payloads. One whose payload is lost goes out of the outbox.
local function with_payloads(id, entries)
  local found = {}
  for _, entry in ipairs(entries) do
    local whole = not refers(entry) and entry or payloads().whole(id, entry)
    if whole then
      found[#found + 1] = whole
    else
      redis.call('LREM', outbox_key(id), 1, entry)
      entry_damaged(id, entry)
    end
  end
  return found
end

-- Leases one, or defers one that has nothing to send: either is no longer due. False: a newer release wrote it, or another
-- worker knows its channel, and it is skipped. Where there is no room for it, it stays due.
local function lease(id)
  local key = subscription_key(id)
  local of = redis.call('HMGET', key, 'sink', 'headers', 'credential', 'attempts', 'end_once', 'drop_before', 'drop_reason',
    'contract', 'format', 'fence', 'leased_fence', 'origin', 'rate', 'client', 'number',
    'registration', 'session', 'device')
  if is_newer(of[9]) then
    return false
  end
  if is_unknown_channel(of[9], of[1]) then
    unknown_channels = unknown_channels + 1
    return false
  end
  local entries, through, left, attempts = {}, nil, left_bytes, 0
  if of[1] then
    local before, latest = whole_or_0(of[6], 'drop_before'), whole(of[15], 'number')
    attempts = whole_or_0(of[4], 'attempts')
    whole(of[10], 'fence')
    if skip_dropped(id, before, of[7] or '') then
      redis.call('HSET', key, 'attempts', 0)
      attempts = 0
    end
    entries, left = fitting(redis.call('LRANGE', outbox_key(id), 0, tonumber(ARGV[4]) - 1))
    if #entries > 0 then
      -- Who reads all of them looks closer, and comes back with what is found (mend.lua).
      through = entry_number(entries[#entries])
      if not through or through > latest then
        entries = readable_head(id, latest, tonumber(ARGV[4]))
        if #entries == 0 then
          due_unless_empty(id)
          return true
        end
        entries, left = fitting(entries)
      end
    end
    if #entries == 0 and full then
      return true
    end
    if #entries > 1 and entry_is_end(entries[#entries]) then
      -- The end goes alone, once all before it is settled: a crash must not repeat an event after it.
      entries[#entries] = nil
    end
    if #entries > 0 then
      entries = with_payloads(id, entries)
      if #entries == 0 then
        due_unless_empty(id)
        return true
      end
    end
  end
  if not of[1] and redis.call('EXISTS', key) == 1 then
    unreadable('it lacks its sink')
  end
  if #entries == 0 then
    redis.call('ZADD', KEYS[1], 'XX', now + DEFERRED_MS, id)
  else
    if of[11] and of[11] ~= of[10] then
      -- The former claim was one of the release before this one, which does not say what the sink did.
      redis.call('HDEL', key, 'failing_since')
    end
    -- Above any that was given before, even by a store that lost its latest writes.
    local fence = string.format('%.0f', math.max(tonumber(of[10]) + 1, now))
    redis.call('HSET', key, 'fence', fence, 'lease_until', lease_until, 'leased_through', entry_number(entries[#entries]),
      'leased_fence', fence, 'claim', ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. fence)
    redis.call('ZADD', KEYS[1], 'XX', lease_until, id)
    claims[#claims + 1] = {id, fence, lease_until, of[1], of[2] or '{}', of[3] or '', attempts, of[5] or '',
      of[8] or '', of[12] or '', of[13] or '', of[14] or '', of[16] or '', of[17] or '', of[18] or '', unpack(entries)}
    left_bytes = left
  end
  return true
end

if not on_index('ZRANGE', KEYS[1], 0, 0) then
  return claims
end
if ARGV[7] ~= ARGV[6] then
  release_lost()
end
-- The first of a round, which goes behind the others: none of them is new from then on.
local function next_in_round(round)
  local member = write('ZRANGE', round, 0, 0)[1]
  if member then
    local last = tonumber(redis.call('ZRANGE', round, -1, -1, 'WITHSCORES')[2])
    redis.call('ZADD', round, math.max(0, last) + 1, member)
  end
  return member
end

-- Up to `count` that are due, in a round robin. What is listed and due no longer was claimed by its age.
local MAX_LISTED = 64
local function due_round_robin(count)
  local clients, found, taken = tag .. ':clients', {}, {}
  for _ = 1, MAX_LISTED do
    local client = #found < count and next_in_round(clients)
    if not client then
      break
    end
    local hosts = tag .. ':hosts:' .. client
    local host = next_in_round(hosts)
    local queue = tag .. ':queue:' .. client .. ' ' .. (host or '')
    local id = host and write('LPOP', queue)
    if not host then
      redis.call('ZREM', clients, client)
    elseif redis.call('EXISTS', queue) == 0 then
      redis.call('ZREM', hosts, host)
    end
    local due_at = id and tonumber(redis.call('ZSCORE', KEYS[1], id))
    if due_at and due_at <= now and not taken[id] then
      taken[id] = true
      found[#found + 1] = id
    end
  end
  return found
end

local wanted = tonumber(ARGV[3])
-- Returns how many of these were skipped, and the last of them.
local function lease_each(found)
  local met, last = 0, nil
  for_each(found, function(id)
    if full then
      return
    elseif lease(id) then
      wanted = wanted - 1
    else
      met, last = met + 1, id
    end
  end, function(id, why)
    -- It comes back after a while, when it may have been repaired.
    redis.call('ZADD', KEYS[1], 'XX', now + DEFERRED_MS, id)
    report_damaged(id, why)
    wanted = wanted - 1
  end)
  return met, last
end

-- Where a claim begins: '<when all were looked at last, ms> <score> <id>' of the last that was passed.
local MAX_PASSED, LOOK_AGAIN_MS = 500, 60000
local function passed_before()
  local at, score, id = string.match(ARGV[10], '^(%d+) (%S+) (.+)$')
  local after_ms = at and now - math.max(tonumber(at), tonumber(score))
  -- Time went back: what has become due since then stands before them.
  if not at or after_ms < 0 or now - tonumber(at) >= LOOK_AGAIN_MS then
    return string.format('%.0f', now), 0, ''
  elseif redis.call('ZSCORE', KEYS[1], id) == score then
    return at, redis.call('ZRANK', KEYS[1], id) + 1, ARGV[10]
  end
  -- Who knows its channel has taken it.
  return at, redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score), ARGV[10]
end

-- Up to `count` that are due, without the first `rank` of all.
local function due_by_age(rank, count)
  local found = {}
  local scored = count > 0 and redis.call('ZRANGE', KEYS[1], rank, rank + count - 1, 'WITHSCORES') or {}
  for at = 1, #scored, 2 do
    if tonumber(scored[at + 1]) > now then
      break
    end
    found[#found + 1] = scored[at]
  end
  return found
end

-- Of an odd number the one in the middle is in the round robin in every second claim. What is skipped is counted below.
lease_each(due_round_robin(math.floor((wanted + tonumber(ARGV[6]) % 2) / 2)))
unknown_channels = 0
local looked_at, rank, passed = passed_before()
local skipped, met = 0, 0
repeat
  local last
  met, last = lease_each(due_by_age(rank, wanted))
  skipped, rank = skipped + met, rank + met
  local score = last and redis.call('ZSCORE', KEYS[1], last)
  -- Of this very ms more may come, also before it.
  if score and tonumber(score) < now then
    passed = looked_at .. ' ' .. score .. ' ' .. last
  end
until met == 0 or full or skipped >= MAX_PASSED
claims[2], claims[6], claims[7] = skipped - unknown_channels, unknown_channels, passed
if skipped >= MAX_PASSED then
  claims[4] = 0
  return claims
end
local soon = redis.call('ZRANGE', KEYS[1], '(' .. now, now + SOON_MS, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
if soon[2] then
  claims[4] = math.ceil(tonumber(soon[2]) - now)
end
return claims
