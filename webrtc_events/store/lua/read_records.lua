#!lua flags=no-writes
-- Fields of some subscriptions, one after the other, until those that were read come to some bytes.
-- KEYS: 1... their hashes, of one partition, or of any where the store has no slots
-- ARGV: 1 '' (unused: the keys are whole)  2 offset_ms (shared/common.lua)
--       3 how many bytes of fields in all  4 '1': the first one however large it is  5... the fields
-- Returns for each of the first of them its fields as one text, '\31' between them and '\30' for one that it lacks: to
--   return each by itself takes longer than to read it. 'WRONGTYPE' for a key that is no hash, false where there is
--   no such key. Those that are left out are to be asked for again.

local left, found = tonumber(ARGV[3]), {}
for number, key in ipairs(KEYS) do
  local record, text = redis.pcall('HMGET', key, unpack(ARGV, 5)), false
  if record.err then
    if not string.find(record.err, '^WRONGTYPE') then
      return record
    end
    text = 'WRONGTYPE'
  else
    local has_any = false
    for at = 1, #record do
      if record[at] then
        has_any = true
      else
        record[at] = '\30'
      end
    end
    if has_any or redis.call('EXISTS', key) == 1 then
      text = table.concat(record, '\31')
    end
  end
  left = left - (text and #text or 0)
  if left < 0 and (number > 1 or ARGV[4] ~= '1') then
    break
  end
  found[number] = text
end
return found
