#!lua
-- Names a subscription that is about to be made in its client's index, if the client may have one more.
-- KEYS: 1 the client's index
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)  3 id
--       4 how many a client may have that are not over, or '' for no limit
--       5 after how many s one that is being made was made or never will be
--       6 how many to name of those that were being made, 7 how many of those that live
--       8 a random number: from where on of those that live
--       9... others that were made: they live, unless they have ended
-- Returns {'reserved'}, also when it is repeated; else {'pending', id...}: some that count because they were being
--   made that long ago, the oldest first, or if there are none {'live', id...}, some of the others.

local key, id = KEYS[1], ARGV[3]
mark_made(key, 9, #ARGV)
if has_room(key, id, ARGV[4]) then
  name_in(key, id)
  return {'reserved'}
end

local long_ago = time[1] - ARGV[5]
local pending = redis.call('ZRANGE', key, FIRST_PENDING, long_ago, 'BYSCORE', 'LIMIT', 0, ARGV[6])
if #pending > 0 then
  return {'pending', unpack(pending)}
end
local first = redis.call('ZCOUNT', key, '-inf', '(0')
local count = redis.call('ZCOUNT', key, 0, '(' .. FIRST_PENDING)
local some = math.min(count, ARGV[7])
local at = first + ARGV[8] % (count - some + 1)
return {'live', unpack(some > 0 and redis.call('ZRANGE', key, at, at + some - 1) or {})}
