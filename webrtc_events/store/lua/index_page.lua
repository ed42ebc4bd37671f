#!lua flags=no-writes
-- The next subscriptions of a client's index, in the order in which they were named, whatever their standing is:
-- one whose standing changes keeps its place.
-- KEYS: 1 the client's index
-- ARGV: 1 '' (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 when the last one that was read was named, as it was returned, or '' to begin  4 its id  5 how many
-- Returns {how many the index has in all, when the last of these was named, or '', id...}; fewer ids than (5) are
--   the last ones.

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

-- Of a standing, what is read at once: no more than that is read in vain.
local CHUNK = 250
-- The members of a standing, in order: the one whose turn it is has `id` and `named`, nil once none is left.
local function advance(members)
  members.at = members.at + 2
  if members.at > #members.chunk then
    local last = math.min(members.rank + CHUNK, members.behind) - 1
    members.chunk = members.rank <= last and redis.call('ZRANGE', key, members.rank, last, 'WITHSCORES') or {}
    members.rank, members.at = last + 1, 1
  end
  members.id = members.chunk[members.at]
  members.named = members.id and named_at(tonumber(members.chunk[members.at + 1]))
end

-- The standings are behind one another, in this order.
local all = redis.call('ZCARD', key)
local ends = {rank_of_score(0), rank_of_score(FIRST_PENDING), all}
local several = {}
for number, standing in ipairs(STANDINGS) do
  local rank = ends[number - 1] or 0
  if ARGV[3] ~= '' and rank < ends[number] then
    rank = rank_behind(score_of(tonumber(ARGV[3]), standing), ARGV[4])
  end
  if rank < ends[number] then
    local members = {rank = rank, behind = ends[number], chunk = {}, at = 1}
    advance(members)
    several[#several + 1] = members
  end
end

local page, last_named = {all, ''}, nil
while #page < count + 2 and #several > 0 do
  local first = 1
  for other = 2, #several do
    local a, b = several[other], several[first]
    if a.named < b.named or a.named == b.named and before(a.id, b.id) then
      first = other
    end
  end
  local members = several[first]
  page[#page + 1], last_named = members.id, members.named
  advance(members)
  if not members.id then
    table.remove(several, first)
  end
end
if last_named then
  page[2] = string.format('%.17g', last_named)
end
return page
