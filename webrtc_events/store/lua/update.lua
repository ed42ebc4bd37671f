#!lua
-- Gives a subscription that is not over a new expiry, a new sink credential, or both. A live lease is not
-- broken: it ends with what it has, and the next claim has the new credential.
-- KEYS: 1 the subscription's hash
-- ARGV: 1 tag  2 offset_ms (shared/common.lua)  3 id
--       4 expires_at, ms, or '' to leave it  5 the request that says so, as it is kept (packed_requests.py), with (4) only
--       6 the sink token's expiry, ms; 'never' for a credential that says where tokens are had; '' to leave the credential
--       7 the sealed credential, with (6) only
-- Returns {'updated', expires_at or '', the request as it is kept, the sink}, or {why not, '', ''}: 'gone' when there is
--   none, 'ended' when it is over or no longer takes events, 'expired' when (4) is not in the
--   future, 'token_expired' when (6) is not. Repeating an update changes nothing more.
-- Error DAMAGED: the subscription cannot be read.

local id, expires_at, token_expires_at = ARGV[3], ARGV[4], ARGV[6]
local key = KEYS[1]

local function act()
  local of = redis.call('HMGET', key, 'status', 'starts_at', 'fence', 'format')
  refuse_newer(of[4])
  if not of[1] or of[1] == 'DELETED' then
    return {'gone', '', ''}
  end
  -- Also what time has ended and the sweeper has not yet: events may have been missed since.
  if not takes_events(id) and not is_good(id, 'ACTIVATION_REQUESTED') then
    return {'ended', '', ''}
  end
  if expires_at ~= '' and tonumber(expires_at) <= now then
    return {'expired', '', ''}
  end
  local fetches_token = token_expires_at == 'never'
  if token_expires_at ~= '' and not fetches_token and tonumber(token_expires_at) <= now then
    return {'token_expired', '', ''}
  end

  if expires_at ~= '' then
    redis.call('HSET', key, 'expires_at', limited_expiry(expires_at, tonumber(of[2])), 'request', ARGV[5])
  end
  if token_expires_at ~= '' then
    set_token_expiry(id, fetches_token and '' or token_expires_at)
    if fetches_token then
      redis.call('HSET', key, 'fetches_token', 1)
    else
      redis.call('HDEL', key, 'fetches_token')
    end
    -- Claims up to this fence hold the former credential.
    redis.call('HSET', key, 'credential', ARGV[7], 'credential_fence', of[3])
  end
  schedule(id)
  local now_has = redis.call('HMGET', key, 'expires_at', 'request', 'sink')
  return {'updated', now_has[1], now_has[2], now_has[3] or ''}
end

local done, answer = guarded(act)
if done then
  return answer
end
return redis.error_reply('DAMAGED ' .. answer)
