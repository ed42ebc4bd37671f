#!lua flags=no-writes
-- The next subscriptions of a client's index, in the order in which they were named, whatever their standing is:
-- one whose standing changes keeps its place.
-- KEYS: 1 the client's index
-- ARGV: 1 '' (unused: the key is whole)  2 options (shared/common.lua)
--       3 when the last one that was read was named, as it was returned, or '' to begin  4 its id  5 how many
-- Returns {when the last of these was named, or '', id...}; fewer ids than (5) are the last ones.

local key, count = KEYS[1], tonumber(ARGV[5])

-- Whether a comes before b. Lua compares strings by the locale of the server, sorted sets by bytes.
local function before(a, b)
  for at = 1, math.min(#a, #b) do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local function rank_of_score(score)
  return redis.call('ZCOUNT', key, '-inf', '(' .. score)
end

-- The rank of the first member behind this one, which need not be there any more.
local function rank_behind(score, id)
  local low = rank_of_score(score)
  local high = low + redis.call('ZCOUNT', key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if before(id, redis.call('ZRANGE', key, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- The standings are behind one another, in this order.
local found, several = {}, 0
local ends = {rank_of_score(0), rank_of_score(FIRST_PENDING), redis.call('ZCARD', key)}
for number, standing in ipairs(STANDINGS) do
  local rank = ends[number - 1] or 0
  if ARGV[3] ~= '' and rank < ends[number] then
    rank = rank_behind(score_of(tonumber(ARGV[3]), standing), ARGV[4])
  end
  local last = math.min(rank + count, ends[number]) - 1
  local members = rank <= last and redis.call('ZRANGE', key, rank, last, 'WITHSCORES') or {}
  for at = 1, #members, 2 do
    found[#found + 1] = {named_at(tonumber(members[at + 1])), members[at]}
  end
  several = several + (#members > 0 and 1 or 0)
end
-- Those of one standing are in order.
if several > 1 then
  table.sort(found, function(a, b)
    if a[1] ~= b[1] then
      return a[1] < b[1]
    end
    return before(a[2], b[2])
  end)
end

local page = {''}
for at = 1, math.min(count, #found) do
  page[1] = string.format('%.17g', found[at][1])
  page[at + 1] = found[at][2]
end
return page
