-- What outboxes and dead letters hold, in bytes; its functions are made when a script needs the first of them.
--
-- A payload that several outboxes hold is kept once in the partition, in a hash that also says who holds it:
--   <tag>:payload:<sha1 of it>   payload, and for each entry that refers to it a field '<subscription>:<number>'
-- When the last of these fields goes, the hash goes. So nothing is counted, and to release twice changes nothing.
--   <tag>:payloads               zset: sha1 -> when the sweeper looks whether its holders still hold it, ms

load_payloads = function()
  local self = {}

  -- '<number> 0 <accepted> <deadline> <sequence>\n@<sha1> <bytes>'
  local REFERENCE = '^(%d+) 0 %d+ %d+ %d+\n@(%x+) (%d+)$'
  local CHECK_MS = 60000
  local CHECKS = 4
  local SUM_AT_ONCE = 16

  local function payload_key(sha)
    return tag .. ':payload:' .. sha
  end

  -- Runs a command on a payload. One that cannot be used counts as lost.
  local function on_payload(command, sha, ...)
    local answer = redis.pcall(command, payload_key(sha), ...)
    if type(answer) == 'table' and answer.err then
      if not damage_of(answer.err) then
        error(answer)
      end
      report_damaged(payload_key(sha), WRONG_TYPE)
      return nil
    end
    return answer
  end

  -- What an entry refers to: its sha1, bytes, and who holds it; nil if it cannot be read.
  local function referred(id, entry)
    local number, sha, bytes = string.match(entry, REFERENCE)
    if number then
      return sha, tonumber(bytes), id .. ':' .. number
    end
    return nil
  end

  function self.reference(sha, payload)
    return string.format('@%s %d', sha, #payload)
  end

  function self.bytes(entry)
    local _, bytes = referred('', entry)
    return #entry + (bytes or 0)
  end

  function self.is_kept(sha)
    return on_payload('HEXISTS', sha, 'payload') == 1
  end

  -- Keeps a payload that is about to be held.
  function self.keep(sha, payload)
    write('HSETNX', payload_key(sha), 'payload', payload)
    on_index('ZADD', tag .. ':payloads', 'NX', now + CHECK_MS, sha)
  end

  function self.hold(sha, id, number)
    redis.call('HSET', payload_key(sha), id .. ':' .. number, '')
  end

  -- Removes a payload that nobody holds.
  function self.drop_unheld(sha)
    local fields = on_payload('HLEN', sha)
    if fields == 0 or (fields == 1 and self.is_kept(sha)) then
      redis.call('DEL', payload_key(sha))
      on_index('ZREM', tag .. ':payloads', sha)
    end
  end

  -- For an entry that has left its outbox.
  function self.release(id, entry)
    local sha, _, holder = referred(id, entry)
    if sha then
      on_payload('HDEL', sha, holder)
      self.drop_unheld(sha)
    end
  end

  -- The entry with its payload; nil if that is lost. Whoever refers to it holds it from then on, if damage had let it go.
  function self.whole(id, entry)
    local sha, _, holder = referred(id, entry)
    if not sha then
      return nil
    end
    local of = on_payload('HMGET', sha, 'payload', holder)
    if not of or not of[1] then
      return nil
    end
    if not of[2] then
      redis.call('HSET', payload_key(sha), holder, '')
    end
    return string.match(entry, '^[^\n]*\n') .. of[1]
  end

  -- The entry as a dead letter keeps it. A copy of its payload takes room: true if there was none, and it is left out.
  function self.letter_of(entry)
    local sha, bytes = referred('', entry)
    if not sha then
      return entry, false
    end
    if room() < growth(1, bytes, 1) then
      return entry, true
    end
    local payload = (on_payload('HMGET', sha, 'payload') or {})[1]
    return payload and string.match(entry, '^[^\n]*\n') .. payload or entry, false
  end

  function self.summed(id, length)
    local sum = 0
    for first = 0, length - 1, SUM_AT_ONCE do
      for _, entry in ipairs(redis.call('LRANGE', outbox_key(id), first, first + SUM_AT_ONCE - 1)) do
        sum = sum + entry_bytes(entry)
      end
    end
    return sum
  end

  -- Whether an outbox has no place for one more payload of `bytes`.
  function self.is_full(id, bytes)
    local length = redis.call('LLEN', outbox_key(id))
    return length >= options.outbox_length or (length > 0 and self.summed(id, length) + bytes > options.outbox_bytes)
  end

  local function fields_of(letter)
    local of = {}
    for index = 1, #letter[2], 2 do
      of[letter[2][index]] = letter[2][index + 1]
    end
    return of
  end

  -- How many bytes all letters have up to the latest, and this one. A letter of the release before has no such field.
  function self.letters_with(entry)
    local latest = write('XREVRANGE', tag .. ':dead', '+', '-', 'COUNT', 1)[1]
    return (latest and tonumber(fields_of(latest).bytes) or 0) + #entry
  end

  -- The oldest letters go until all have no more bytes than they may. The latest stays.
  function self.bound_letters(all)
    local dead = tag .. ':dead'
    while true do
      local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
      local of = fields_of(oldest)
      local up_to = tonumber(of.bytes) or 0
      if up_to == all or all - up_to + #(of.entry or '') <= options.dead_letters_bytes then
        return
      end
      redis.call('XDEL', dead, oldest[1])
    end
  end

  -- Whether an outbox may still have an entry of that number; it is taken to have one while it cannot be read.
  local function may_hold(id, number)
    local function reaches()
      local head = redis.call('LINDEX', outbox_key(id), 0)
      if not head then
        return false
      end
      local first, last = entry_number(head), entry_number(redis.call('LINDEX', outbox_key(id), -1))
      return not first or not last or (number >= first and number <= last)
    end
    local read, answer = guarded(reaches)
    return not read or answer
  end

  -- Whoever is said to hold a payload and does not: damage, or a release that does not know of this, left it so.
  local function forget_holders(sha)
    local fields = on_payload('HRANDFIELD', sha, options.work)
    if not fields then
      on_index('ZREM', tag .. ':payloads', sha)
      return 0
    end
    local forgotten = 0
    for _, field in ipairs(fields) do
      local id, number = string.match(field, '^(.*):(%d+)$')
      if field ~= 'payload' and not (id and may_hold(id, tonumber(number))) then
        on_payload('HDEL', sha, field)
        forgotten = forgotten + 1
      end
    end
    on_index('ZADD', tag .. ':payloads', 'XX', forgotten > 0 and now or now + CHECK_MS, sha)
    self.drop_unheld(sha)
    return #fields
  end

  -- Looks at some of the payloads whose time it is. Returns how many holders it went through.
  function self.check()
    local seen = 0
    for _, sha in ipairs(on_index('ZRANGE', tag .. ':payloads', '-inf', now, 'BYSCORE', 'LIMIT', 0, CHECKS) or {}) do
      seen = seen + forget_holders(sha)
    end
    return seen
  end

  return self
end
