-- What is asked of a subscription, or done with it, where its id is all that is known. append.lua has read it.

local function is_good(id, status)
  return is_usable(read_subscription(id), status)
end

-- Whether events may come in.
local function takes_events(id)
  return is_good(id, 'ACTIVE')
end

local function append_event(id, event)
  append_read(read_subscription(id), event)
end

local function is_newer_subscription(id)
  return is_newer(redis.call('HGET', subscription_key(id), 'format'))
end
