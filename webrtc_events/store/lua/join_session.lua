#!lua
-- Leads a media session to a partition that is about to have a subscription to it, unless the session is known to
-- involve other registrations only: nobody listens in.
-- KEYS: 1 the session's index, a set of partitions  2 the session's state, unless that is looked at elsewhere
-- ARGV: 1 '' (unused: the keys are whole)  2 offset_ms (shared/common.lua)  3 the partition's number
--       4 registrationId, as a field of the state names it  5 what such fields begin with
--       6 '1' if the session must be known
--       7 how long the index is kept at least, s: prolong_session.lua comes with the subscription, if it comes
-- Returns {the state's fields and values in turn, the partitions that were in the index before}, each 'WRONGTYPE' if
--   it is a key of another type. Repeating it changes nothing.

local index = KEYS[1]

local function read(command, key)
  local answer = redis.pcall(command, key)
  if not answer.err then
    return answer
  elseif string.find(answer.err, '^WRONGTYPE') then
    return 'WRONGTYPE'
  end
  error(answer)
end

local state, partitions = KEYS[2] and read('HGETALL', KEYS[2]) or {}, read('SMEMBERS', index)
local known, own = false, false
for at = 1, type(state) == 'table' and #state or 0, 2 do
  known = known or string.sub(state[at], 1, #ARGV[5]) == ARGV[5]
  own = own or state[at] == ARGV[4]
end
local joins = own or not known and ARGV[6] ~= '1'
if joins and partitions ~= 'WRONGTYPE' then
  redis.call('SADD', index, ARGV[3])
  -- One that leads somewhere already stays as long as it would, which may be for ever.
  redis.call('EXPIRE', index, ARGV[7], #partitions > 0 and 'GT' or 'NX')
end
return {state, partitions}
