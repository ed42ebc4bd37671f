#!lua flags=no-writes
-- What waits in some outboxes of one partition.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 '' (unused: nothing is written, and ages go by the store's clock)  2 offset_ms (shared/common.lua)
--       3 how many subscriptions to pass over, of those that are due first  4 how many to look at behind these
-- Returns {now_ms, how many are due, when the first of these was or is due, ms, or -1, how many were looked at, their events,
--   bytes of these, when the oldest of them was accepted, ms, or -1, {host of their sinks, as these write it, how many
--   of the subscriptions have it, their events, when the oldest of these was accepted, ms, or -1...}}. What cannot
--   be read counts for nothing.

local place = string.match(KEYS[1], '^{%d+}')
local due = redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[3] + ARGV[4] - 1, 'WITHSCORES')
local events, bytes, oldest = 0, 0, math.huge
local places, hosts = {}, {}

local function count_host(sink, length, accepted)
  local host = type(sink) == 'string' and string.match(sink, '^%a+://([^/?#]+)')
  if not host then
    return
  end
  local at = places[host]
  if not at then
    at = #hosts
    places[host] = at
    hosts[at + 1], hosts[at + 2], hosts[at + 3], hosts[at + 4] = host, 0, 0, -1
  end
  hosts[at + 2] = hosts[at + 2] + 1
  hosts[at + 3] = hosts[at + 3] + length
  if accepted and (hosts[at + 4] < 0 or accepted < hosts[at + 4]) then
    hosts[at + 4] = accepted
  end
end

for at = 1, #due, 2 do
  local outbox = place .. ':outbox:' .. due[at]
  local length = redis.pcall('LLEN', outbox)
  if type(length) == 'number' and length > 0 then
    events = events + length
    local of = redis.pcall('HMGET', place .. ':subscription:' .. due[at], 'outbox_size', 'sink')
    bytes = bytes + (tonumber(string.match(of[1] or '', '^%d+ (%d+)$')) or 0)
    -- <number> <kind> <accepted, ms> ...: see shared/outboxes.lua.
    local accepted = tonumber(string.match(redis.call('LINDEX', outbox, 0), '^%d+ %d+ (%d+) ') or '')
    count_host(of[2], length, accepted)
    oldest = math.min(oldest, accepted or oldest)
  end
end
return {now, redis.call('ZCARD', KEYS[1]), tonumber(due[2]) or -1, #due / 2, events, bytes, oldest < math.huge and oldest or -1, hosts}
