#!lua flags=no-writes
-- Fields of some subscriptions of a partition, one after the other, until those that were read come to some bytes.
-- KEYS: 1... their hashes
-- ARGV: 1 '' (unused: the keys are whole)  2 offset_ms (shared/common.lua)
--       3 how many bytes of fields in all  4 '1': the first one however large it is  5... the fields
-- Returns for each of the first of them its fields, false where it has none, or 'WRONGTYPE' for a key that is no
--   hash; false where there is no such key. Those that are left out are to be asked for again.

local left, found = tonumber(ARGV[3]), {}
for number, key in ipairs(KEYS) do
  local record = redis.pcall('HMGET', key, unpack(ARGV, 5))
  if record.err then
    if not string.find(record.err, '^WRONGTYPE') then
      return record
    end
    record = 'WRONGTYPE'
  else
    local size = 0
    for at = 1, #record do
      size = size + #(record[at] or '')
    end
    if size == 0 and redis.call('EXISTS', key) == 0 then
      record = false
    end
    left = left - size
  end
  if left < 0 and (number > 1 or ARGV[4] ~= '1') then
    break
  end
  found[number] = record
end
return found
