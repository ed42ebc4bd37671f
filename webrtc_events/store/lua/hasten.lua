#!lua flags=allow-oom
-- Makes retries due at once, whose host answers again. Whoever does not wait for just that retry is left alone: who was
-- claimed since, who is leased, who has nothing to send any more, who is due already, and what a newer release wrote.
-- KEYS: 1 the partition's due zset
-- ARGV: 1 tag  2 offset_ms (shared/common.lua), then for each: id, the fence of the claim that was settled with the retry
-- Returns {{name, why} of each that is damaged, then for each, in their order, 1 if it is due by this, else 0}

local answer = {damaged}

local function hasten(retry)
  local id, fence = retry[1], retry[2]
  local of = redis.call('HMGET', subscription_key(id), 'fence', 'lease_until', 'format')
  if of[1] ~= fence or is_newer(of[3]) or whole_or_0(of[2], 'lease_until') > 0 then
    return
  end
  if on_index('ZADD', KEYS[1], 'XX', 'LT', 'CH', now, id) == 1 then
    answer[retry.at] = 1
    list_in_crowd(id, true)
  end
end

local retries = {}
for index = 3, #ARGV, 2 do
  answer[#answer + 1] = 0
  retries[#retries + 1] = {ARGV[index], ARGV[index + 1], at = #answer}
end
for_each(retries, hasten, function(retry, why)
  report_damaged(retry[1], why)
end)
return answer
