-- Records and indexes: how each is read on its own, and what happens to one that cannot be read.

-- To make a function, Lua looks for each variable that it uses among those of the function right around it, one
-- after the other; what is further out it has at hand. So what follows is in functions of its own, which
-- script_texts.py closes. Measured: a fifth of a short script.
return (function()

local function subscription_key(id)
  return tag .. ':subscription:' .. id
end

local function outbox_key(id)
  return tag .. ':outbox:' .. id
end

-- The bit of a device among the marks of a partition: store/device_marks.py.
local function device_mark(device)
  return tonumber(string.sub(redis.sha1hex(string.lower(device)), 1, 4), 16)
end

-- Whether anybody may have a subscription to the device. A key of another type says yes.
local function is_marked(device)
  return redis.pcall('GETBIT', tag .. ':devices', device_mark(device)) ~= 0
end

-- The index of a client's subscriptions to a device.
local function device_index_key(device, client)
  return tag .. ':device:' .. device .. ' ' .. client
end

-- {name, why} of what cannot be read, the first of them, for the log.
local damaged = {}

-- What the store gave up by itself, for its caller to count and to note (endings.lua).
local given_up = {}

local function report_damaged(name, why)
  local MAX_REPORTED = 20
  if #damaged < MAX_REPORTED then
    damaged[#damaged + 1] = {name, why}
  end
end

-- Ends what is done under `guarded`: the record cannot be read.
local function unreadable(why)
  error(redis.error_reply('DAMAGED ' .. why))
end

local WRONG_TYPE = 'it is a key of another type'

-- What is damaged, or has nothing to send, is deferred by this: it may have been repaired then.
local DEFERRED_MS = 60000

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
-- entered once for all that are well. `more` is given to `act` with each. Most often there is one.
local function for_each(records, act, failed, more)
  if #records == 1 then
    local done, why = guarded(act, records[1], more)
    if not done then
      failed(records[1], why)
    end
    return
  end
  local at = 0
  local function rest()
    while at < #records do
      at = at + 1
      act(records[at], more)
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
local function is_newer(format)
  local MAX_FORMAT = 9999
  local number = tonumber(format or 1)
  if not number or number > MAX_FORMAT then
    unreadable('its field format is no format')
  end
  return number > options.format
end

-- What a newer release wrote is not touched. To be called before anything is written.
local function refuse_newer(format)
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

-- One that is left out while it is 0 (record_defaults.py).
local function whole_or_0(text, field)
  return text and whole(text, field) or 0
end

-- Nothing is lost with a key of another type: it is renamed, for an operator to look at.
local function set_aside(key)
  redis.call('RENAME', key, 'set-aside:' .. key)
  report_damaged(key, WRONG_TYPE .. ' and was set aside')
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
  report_damaged(key, WRONG_TYPE .. ' and is made anew')
end

-- Runs a command on an index. Of one that is made anew nothing is missed: the records say what it holds.
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

-- How many ids are in these indexes. Once it has answered, each of them can be read. While one cannot be, it is
-- not known who is to be served: error REBUILD.
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
