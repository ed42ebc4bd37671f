#!lua
-- Records what is known of media sessions: the registrations that each involves and its latest status.
-- KEYS: the state hash of a session for each event, one after the other. Where the store has slots, of one session.
-- ARGV: 1 the sessions' hash tag (unused: the keys are whole)  2 offset_ms (shared/common.lua)
--       3... six for each event:
--         registrationId or '', its time, ms,
--         its name if it is a status, or '',  its payload,
--         '1' to count its sequence number, '1' if it is the session's last status
-- Returns for each event without a registration those known to be involved. A status older than the one kept, as a repeat may
--   be, does not replace it. Error OOM, with nothing written, when they would bring the store above its watermark.

local FIRST, ARGUMENTS = 3, 6

local function involved(key)
  local registrations = {}
  for _, field in ipairs(write('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'r:' then
      registrations[#registrations + 1] = string.sub(field, 3)
    end
  end
  return registrations
end

local function record(key, registration, time, name, payload, count, last)
  local fields = {}
  local kept = write('HMGET', key, 'at', 'r:' .. registration)
  if registration ~= '' and not kept[2] then
    fields = {'r:' .. registration, '1'}
  end
  -- A time that cannot be read is replaced.
  local at = tonumber(kept[1] or nil)
  if name ~= '' and (not at or at <= tonumber(time)) then
    for _, value in ipairs({'at', time, 'name', name, 'payload', payload, 'count', count, 'last', last}) do
      fields[#fields + 1] = value
    end
  end
  if #fields > 0 then
    redis.call('HSET', key, unpack(fields))
  end
  redis.call('PEXPIRE', key, options.state_ms)
  return registration == '' and involved(key) or {}
end

local needed = 0
for at = FIRST, #ARGV, ARGUMENTS do
  needed = needed + growth(1, #ARGV[at + 3], 1)
end
if room() < needed then
  return redis.error_reply(FULL)
end
local answers = {}
for number, key in ipairs(KEYS) do
  local at = FIRST + (number - 1) * ARGUMENTS
  answers[number] = record(key, unpack(ARGV, at, at + ARGUMENTS - 1))
end
return answers
