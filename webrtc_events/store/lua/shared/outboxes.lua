-- Outboxes: their entries, their size, and how one becomes due.

return (function()

-- Whether it refers to a payload. An entry that does is short, so that no payload is searched.
local function refers(entry)
  local MAX_REFERENCE = 160
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

-- The upper bound in bytes by which the store grows: by copies of a payload, of which a large one gets up to a
-- quarter more memory than it has bytes, and by entries, each the first of its outbox, with all that names them.
local function growth(copies, bytes, entries)
  local ROUNDED_UP, ENTRY_BYTES = 1.25, 1000
  return copies * bytes * ROUNDED_UP + entries * ENTRY_BYTES
end

-- How many bytes the store may still take, up to its watermark: what is left up to maxmemory is for those who
-- empty it. Who refuses to take more says so before any write. Also how many bytes it may have in all.
local function room()
  local memory = redis.call('INFO', 'memory')
  local function field(name)
    local _, last = string.find(memory, '\n' .. name .. ':', 1, true)
    return tonumber(string.match(memory, '^%d+', last + 1))
  end
  local max_bytes = field('maxmemory') * options.watermark / 100
  if max_bytes == 0 then
    return math.huge, math.huge
  end
  return max_bytes - field('used_memory'), max_bytes - field('used_memory_startup')
end

local function above_watermark()
  return room() < 0
end

local FULL = 'OOM the store is above its watermark'

local EVENT, END, HANDSHAKE = 0, 1, 2

-- Who has the store's writes: it changes when the store is restarted or another node takes over, and
-- then the latest writes may be lost. 48 random bits of it tell one from the other.
local EPOCH_DIGITS = 12
local known_epoch = nil
local function store_epoch()
  known_epoch = known_epoch
    or string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)'), 1, EPOCH_DIGITS)
  return known_epoch
end

-- The next outbox number. A number that was sent may have been lost, and may not come again for another
-- event: with each epoch of the store numbers go on from the next million.
local function next_number(epoch, number)
  local NUMBERS_AN_EPOCH = 1000000
  local latest = whole(number, 'number')
  -- A hash of the release before this one has no epoch yet; former commits kept all digits.
  if epoch and string.sub(epoch, 1, EPOCH_DIGITS) ~= store_epoch() then
    latest = (math.floor(latest / NUMBERS_AN_EPOCH) + 1) * NUMBERS_AN_EPOCH
  end
  return string.format('%.0f', latest + 1)
end

-- The field outbox_size says what an outbox had when it was last written to: '<entries> <bytes>'. Who does not keep it
-- up to date (a step that clears the outbox, a release that does not know it) is found out by the number of
-- entries, and the outbox is summed up anew.
local OUTBOX_SIZE = '^(%d+) (%d+)$'

-- The format of a subscription whose outbox may refer to payloads: a release that knows of none skips it.
local REFERRING = 2
-- That of one whose sink is a channel; its outbox may refer too. A release that knows of none skips it, and does not POST to
-- the channel's URL.
local CHANNEL = 3
-- Those of one to a device, whose sink is a web server or a channel. A release that knows of neither skips it.
local DEVICE, DEVICE_CHANNEL = 4, 5

-- Whether what has this format says that its sink is a channel.
local function is_to_channel(format)
  local number = tonumber(format or 1)
  return number == CHANNEL or number == DEVICE_CHANNEL
end

-- That of a new one.
local function first_format(has_channel, has_device)
  if has_device then
    return has_channel and DEVICE_CHANNEL or DEVICE
  end
  return has_channel and CHANNEL or 1
end

-- The payload is in the entry, or, where `sha` is given, kept under it already. `of`: the subscription's id, epoch,
-- number and outbox_size, as they are; with `sha` its format too. Further fields of it, name and value in turn, are written in the same step.
-- Returns how many entries, and how many bytes, the outbox then has.
local function push_to(of, kind, deadline_ms, sequence, payload, sha, ...)
  local id = of.id
  local key = subscription_key(id)
  local number = next_number(of.epoch, of.number)
  local head = string.format('%s %d %.0f %.0f %d\n', number, kind, now, now + deadline_ms, sequence)
  local entry = head .. (sha and payloads().reference(sha, payload) or payload)
  local length = redis.call('RPUSH', outbox_key(id), entry)
  local entries, bytes = string.match(of.outbox_size or '0 0', OUTBOX_SIZE)
  if tonumber(entries) == length - 1 then
    bytes = tonumber(bytes) + entry_bytes(entry)
  else
    bytes = payloads().summed(id, length)
  end
  redis.call('HSET', key, 'number', number, 'outbox_size', length .. ' ' .. bytes, ...)
  if of.epoch ~= store_epoch() then
    redis.call('HSET', key, 'epoch', store_epoch())
  end
  if sha then
    if tonumber(of.format or 1) < REFERRING then
      redis.call('HSET', key, 'format', REFERRING)
    end
    payloads().hold(sha, id, number)
  end
  return length, bytes
end

local function push_entry(id, kind, deadline_ms, sequence, payload)
  local of = redis.call('HMGET', subscription_key(id), 'epoch', 'number', 'outbox_size')
  return push_to({id = id, epoch = of[1], number = of[2], outbox_size = of[3]}, kind, deadline_ms, sequence, payload)
end

-- Where many are due, what becomes due is listed by client and host too, for claims to go round (claim.lua):
-- `clients` has their places in the round, `hosts:<client>` those of its hosts, `queue:<client> <host>` the
-- subscriptions. The newest comes first, and goes behind all others each time that it is taken. The lists are
-- hints: `due` alone says what is due. Whose sink fails is not listed: it waits by its age, unless it `answers` again.
-- What this script has found out, or done: where many are due, who is in a round, which partition was woken.
local crowded, listed, woken = {}, {}, {}
local function list_in_crowd(id, answers)
  local CROWD, MAX_QUEUE = 2, 1000
  crowded[tag] = crowded[tag] or (on_index('ZCOUNT', tag .. ':due', '-inf', now) or 0) > CROWD
  if not crowded[tag] then
    return
  end
  local of = redis.call('HMGET', subscription_key(id), 'client', 'sink', 'failing_since')
  local host = of[2] and string.match(of[2], '^%a+://([^/?#]+)')
  if of[1] and host and (answers or not of[3]) then
    host = string.lower(host)
    local queue = tag .. ':queue:' .. of[1] .. ' ' .. host
    if not listed[queue] then
      write('ZADD', tag .. ':clients', 'NX', -now, of[1])
      write('ZADD', tag .. ':hosts:' .. of[1], 'NX', -now, host)
      listed[queue] = true
    end
    if write('RPUSH', queue, id) > MAX_QUEUE then
      -- It comes by its age; so does all where no worker knows of the lists yet.
      redis.call('LPOP', queue)
    end
  end
end

-- Makes the subscription due now, unless it is due, leased or waiting for a retry already.
-- `after_ms`: in a while, when workers find it by themselves; it is not listed with what is due now.
local function make_due(id, after_ms)
  if after_ms and after_ms > 0 then
    on_index('ZADD', tag .. ':due', 'NX', now + after_ms, id)
    return
  end
  if on_index('ZADD', tag .. ':due', 'NX', now, id) == 1 then
    list_in_crowd(id)
    if not woken[tag] then
      redis.call('SPUBLISH', tag .. ':wakeup', '1')
      woken[tag] = true
    end
  end
end
