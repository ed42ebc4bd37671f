#!lua flags=allow-oom
-- Marks how far the writes of a node have come, and says whether a mark that was seen before is still there.
-- KEYS: 1 a stream of marks on that node
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 the mark that the caller saw last, or ''
--       4 '1' to write a mark, unless the latest is younger than MARK_EVERY_MS
--       5 a random name for the stream if there is none yet, which then gets its first mark
-- Returns {the latest mark, the stream's name, 1 if (3) is there or 0, the latest mark before (3) or '',
--   1 if a mark was written or 0, the store's epoch}. A mark is an id of the stream: '<ms>-<number>', ms by
--   the store's time. The epoch is '' where INFO is not permitted. Returns {} where what this needs is not.

local MARK_EVERY_MS = 1000
-- Those of some minutes: after a longer absence it is not known whether what was seen is lost.
local MAX_MARKS = 200

local marks, seen = KEYS[1], ARGV[3]

if not (redis.acl_check_cmd('XADD', marks, '*', 'name', '') and redis.acl_check_cmd('XRANGE', marks, '-', '+')
    and redis.acl_check_cmd('XREVRANGE', marks, '+', '-')) then
  return {}
end

local latest = redis.call('XREVRANGE', marks, '+', '-', 'COUNT', 1)[1]
local name = latest and latest[2][2] or ARGV[5]

-- Without a mark, or when the clock went back, one is due.
local function is_due()
  local age_ms = latest and now - tonumber(string.match(latest[1], '^%d+'))
  return not latest or (ARGV[4] == '1' and (age_ms >= MARK_EVERY_MS or age_ms < 0))
end

-- As store_epoch, but no reason to fail: whether marks are there is known without it.
local function epoch()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
end

local there, before = 0, ''
if seen ~= '' then
  there = #redis.call('XRANGE', marks, seen, seen)
  local found = redis.call('XREVRANGE', marks, '(' .. seen, '-', 'COUNT', 1)[1]
  before = found and found[1] or ''
end
local written = 0
if is_due() then
  redis.call('XADD', marks, 'MAXLEN', MAX_MARKS, '*', 'name', name)
  latest = redis.call('XREVRANGE', marks, '+', '-', 'COUNT', 1)[1]
  written = 1
end
return {latest[1], name, there, before, written, epoch()}
