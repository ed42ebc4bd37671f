-- The log of a channel in one partition: a stream, and a hash with its counters, which go together.
--
--   <tag>:channel:<channel>      number   of its latest event, as outboxes count (outboxes.lua)
--                                bytes    of all events that were ever written to it
--                                gone     the number up to which its events were removed
--                                acked    the number up to which they were acknowledged
--                                epoch    of the latest number
--   <tag>:channel-log:<channel>  an entry '<number>-<when it was written, ms>' for each event: s its subscription,
--                                r its registration (a JSON array for a device), t its type, b the bytes of all before it, e the event as JSON
-- Whoever makes the hash permits the log. Settles do not change its TTL. The log goes with it, and by itself once its latest
-- event is too old.

local function channel_key(channel)
  return tag .. ':channel:' .. channel
end

local function channel_log_key(channel)
  return tag .. ':channel-log:' .. channel
end

local function entry_of_log(log)
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not oldest then
    return nil
  end
  local number, at = string.match(oldest[1], '^(%d+)-(%d+)$')
  local of = {id = oldest[1], number = tonumber(number), at = tonumber(at)}
  for index = 1, #oldest[2], 2 do
    of[oldest[2][index]] = oldest[2][index + 1]
  end
  return of
end

-- The oldest go until the rest is within its bounds. The latest stays, whatever its size, until it is too old.
local MAX_TRIMMED = 200
local function trim_channel(channel, bytes)
  local log, gone = channel_log_key(channel), nil
  local length = write('XLEN', log)
  for _ = 1, MAX_TRIMMED do
    local oldest = entry_of_log(log)
    if not oldest then
      break
    end
    local too_many = length > options.channel_length or bytes - (tonumber(oldest.b) or 0) > options.channel_bytes
    if not (too_many and length > 1) and now - oldest.at < options.channel_age_ms then
      break
    end
    redis.call('XDEL', log, oldest.id)
    gone, length = oldest.number, length - 1
  end
  if gone then
    redis.call('HSET', channel_key(channel), 'gone', string.format('%.0f', gone))
  end
end

-- Each channel that was written to, once for a run of the script.
local told = {}

-- Writes events, each {outbox number, type, event, registrations as JSON or ''}. Returns 'written', 'gone' if there is no such channel (any more), or
-- 'full' if the store is above its watermark: then nothing was written.
local function append_to_channel(channel, subscription, registration, events)
  local key, log = channel_key(channel), channel_log_key(channel)
  local of = redis.call('HMGET', key, 'number', 'bytes', 'epoch')
  if not of[1] then
    return 'gone'
  end
  if #events == 0 then
    return 'written'
  end
  local number, bytes, epoch = of[1], whole(of[2], 'bytes'), of[3]
  whole(number, 'number')
  if above_watermark() then
    return 'full'
  end
  if write('XLEN', log) == 0 then
    -- Whatever was in it is gone.
    redis.call('HSET', key, 'gone', number)
  end
  local left_ms = redis.call('PTTL', key)
  for _, event in ipairs(events) do
    number = next_number(epoch, number)
    epoch = store_epoch()
    write('XADD', log, number .. '-' .. string.format('%.0f', now), 's', subscription, 'r', event[4] ~= '' and event[4] or registration, 't', event[2],
      'b', string.format('%.0f', bytes), 'e', event[3])
    bytes = bytes + #event[3]
  end
  redis.call('HSET', key, 'number', number, 'bytes', string.format('%.0f', bytes), 'epoch', epoch)
  redis.call('PEXPIRE', log, left_ms > 0 and math.min(left_ms, options.channel_age_ms) or options.channel_age_ms)
  trim_channel(channel, bytes)
  if not told[tag .. channel] then
    told[tag .. channel] = true
    redis.call('SPUBLISH', tag .. ':channel-news', channel)
  end
  return 'written'
end
