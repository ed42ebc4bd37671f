#!lua flags=allow-oom
-- Reads from logs of channels in one partition, each from a number on. What has become too old goes.
-- KEYS: for each log: the hash with its counters, the stream
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 maximum of events of each  4 maximum of their bytes; one event may have more
--       then for each log: the number after which to read, or '' for what is not acknowledged
-- Returns for each log {the number up to which events were removed, number of the latest, the number after which was read,
--   {number, type, event...}}; 'gone' if there is none; {why it cannot be read}.

local MAX_EVENTS, MAX_BYTES = tonumber(ARGV[3]), tonumber(ARGV[4])
-- Read in pieces, so that no more comes into memory than is wanted.
local PIECE = 16

local function number_in(text, field)
  local number = tonumber(text or nil)
  if not number then
    error('its field ' .. field .. ' is no number', 0)
  end
  return number
end

-- Nobody may have written to it, or kept it, since they became too old. Returns the number of the latest of them, or nil.
local function remove_old(key, log, oldest)
  local through, last = nil, nil
  local piece = {oldest}
  while #piece > 0 do
    for _, entry in ipairs(piece) do
      local number, at = string.match(entry[1], '^(%d+)-(%d+)$')
      if now - at < options.channel_age_ms then
        piece = {}
        break
      end
      through, last = number, entry[1]
    end
    piece = #piece > 0 and redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', PIECE) or piece
  end
  if not through then
    return nil
  end
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', through + 1) .. '-0')
  redis.call('HSET', key, 'gone', through)
  return tonumber(through)
end

local function read(key, log, after)
  local of = redis.call('HMGET', key, 'number', 'gone', 'acked')
  if not of[1] then
    return 'gone'
  end
  local latest, gone = number_in(of[1], 'number'), number_in(of[2], 'gone')
  after = after == '' and number_in(of[3], 'acked') or tonumber(after)
  local found, bytes, last = {}, 0, string.format('%.0f', after) .. '-18446744073709551615'
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  gone = first and remove_old(key, log, first) or gone
  -- Whatever removed an event, a stream without it has lost it.
  gone = first and gone or math.max(gone, latest)
  while #found < 3 * MAX_EVENTS do
    local piece = redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', PIECE)
    for _, entry in ipairs(piece) do
      local fields = {}
      for index = 1, #entry[2], 2 do
        fields[entry[2][index]] = entry[2][index + 1]
      end
      local event = fields.e or ''
      bytes = bytes + #event
      if #found > 0 and (bytes > MAX_BYTES or #found >= 3 * MAX_EVENTS) then
        return {string.format('%.0f', gone), string.format('%.0f', latest), string.format('%.0f', after), found}
      end
      found[#found + 1] = string.match(entry[1], '^%d+')
      found[#found + 1] = fields.t or ''
      found[#found + 1] = event
      last = entry[1]
    end
    if #piece < PIECE then
      break
    end
  end
  return {string.format('%.0f', gone), string.format('%.0f', latest), string.format('%.0f', after), found}
end

local answers = {}
for index = 1, #KEYS / 2 do
  local done, answer = pcall(read, KEYS[2 * index - 1], KEYS[2 * index], ARGV[4 + index])
  if not done then
    answer = {type(answer) == 'table' and answer.err or tostring(answer)}
  end
  answers[index] = answer
end
return answers
