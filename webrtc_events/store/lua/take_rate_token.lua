#!lua flags=allow-oom
-- Takes a token from a client's bucket, for one more request, or several for one that counts as several.
-- KEYS: 1 the client's bucket, a hash
-- ARGV: 1 the client's hash tag (unused: the key is whole)  2 offset_ms (shared/common.lua)
--       3 requests a second  4 requests at once  5 how many tokens it takes: no more than (4)
-- Returns 0 if it may, else after how many ms it may try again.

local per_ms, burst, cost = tonumber(ARGV[3]) / 1000, tonumber(ARGV[4]), tonumber(ARGV[5])
local of = redis.pcall('HMGET', KEYS[1], 'left', 'at')
if of.err or not (tonumber(of[1]) and tonumber(of[2])) then
  -- It holds nothing that is missed: the bucket is full again.
  redis.call('DEL', KEYS[1])
  of = {}
end
local left = burst
if of[1] then
  left = math.min(burst, tonumber(of[1]) + math.max(0, now - tonumber(of[2])) * per_ms)
end
local wait_ms = 0
if left >= cost then
  left = left - cost
else
  wait_ms = math.ceil((cost - left) / per_ms)
end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / per_ms) + 1000)
return wait_ms
