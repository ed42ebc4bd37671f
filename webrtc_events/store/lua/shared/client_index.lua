-- The scores in the index of a client's subscriptions.

-- What the score in a client's index says: when the subscription was named, and its standing. A score of the release
-- before is that of one which is being made, so it is looked at before it keeps others out.
--   'pending'  named             it is being made, or was: it counts
--   'live'     named / 2^20      it was made, and was not over when it was looked at: it counts
--   'ended'    named - 2^34      it is over: it does not count
-- Each keeps the 16384th of a second, and the order.
local STANDINGS = {'ended', 'live', 'pending'}
local FIRST_PENDING = 1048576

local function standing_of(score)
  return score < 0 and 'ended' or score < FIRST_PENDING and 'live' or 'pending'
end

local function named_at(score)
  local standing = standing_of(score)
  return standing == 'ended' and score + 2 ^ 34 or standing == 'live' and score * 2 ^ 20 or score
end

local function score_of(named, standing)
  local score = standing == 'ended' and named - 2 ^ 34 or standing == 'live' and named / 2 ^ 20 or named
  return string.format('%.17g', score)
end

-- Others that were made, whose ids are these arguments: they live, unless they have ended.
local function mark_made(key, first, last)
  for at = first, last do
    local score = tonumber(redis.call('ZSCORE', key, ARGV[at]) or nil)
    if score and score >= 0 then
      redis.call('ZADD', key, score_of(named_at(score), 'live'), ARGV[at])
    end
  end
end

-- Whether the client may have this one too, or has it. limit: how many that are not over, or '' for no limit.
local function has_room(key, id, limit)
  return limit == '' or redis.call('ZCOUNT', key, 0, '+inf') < tonumber(limit) or redis.call('ZSCORE', key, id)
end

-- That it is about to be made. To the 16384th of a second, which every standing keeps exactly.
local function name_in(key, id)
  redis.call('ZADD', key, 'NX', time[1] + math.floor(time[2] * 16384 / 1000000) / 16384, id)
end
