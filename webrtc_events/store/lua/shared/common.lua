-- What each script begins with: the partition's time. script_texts.py puts the files of this folder in
-- front of each script.
--
-- Every script gets
--   ARGV: 1 tag, the partition's hash tag: every other key is derived from it
--         2 the option that may change from call to call: offset_ms, by which the store's clock is shifted, 0 outside tests
-- and in front of its text, from script_texts.py, `options`, in ms: lease_ms, end_deadline_ms,
--           registration_ends_deadline_ms, dedupe_ms, retention_ms, token_lead_ms, linger_ms,
--           state_ms, max_lifetime_ms (0: none), outbox_age_ms, dead_letters_ms, attempts_ms,
--           sink_failure_ms (0: never), sink_validation_ms, channel_age_ms; counts: outbox_length, dead_letters,
--           attempts, channel_length, work (subscriptions that a script goes through before it makes way for
--           others); bytes: outbox_bytes, dead_letters_bytes, channel_bytes; watermark, percent of maxmemory;
--           format, the newest stored format that is known here; channels_url, below which are the URLs of channels, or '';
--           omits_defaults, 1 if a new record lacks the fields that say what most do (record_defaults.py), else 0.
-- It may answer the error NEWER, before anything is written: a newer release wrote what it would touch; or
-- REBUILD: an index is a key of another type, which the sweeper is about to make anew (rebuild.py).
--
-- Every record is read on its own: what cannot be read is reported in `damaged`, and the others go on.
--
-- An outbox entry is one line of five numbers, then the payload:
--   <number> <kind> <accepted, ms> <deadline, ms> <sequence number or 0>\n<payload>
-- Its kind is 0 for an event, 1 for the end, 2 for the handshake: the sink is to be asked whether it agrees.
-- In place of the payload of an event '@<sha1 of it> <bytes of it>' may stand: it is kept once (payloads.lua).

local tag = ARGV[1]

-- What is done with payloads that outboxes share. To make its functions takes longer than most scripts'
-- work, and most scripts need none of them.
local load_payloads, loaded_payloads
local function payloads()
  loaded_payloads = loaded_payloads or load_payloads()
  return loaded_payloads
end

-- The store's own time in ms, so that no host's clock decides anything.
local time = redis.call('TIME')
local store_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]

-- The store's clock may go back: it is set, or another node takes over whose clock is behind. Then what waits
-- for a moment would wait all the longer. The time of a partition does not go back: it goes on from where
-- it was, a tenth slower, until the clock is up with it. What it had come to is kept, at most every
-- KEPT_EVERY_MS, so a clock that goes back by less than that is followed.
local function partition_time()
  local KEPT_EVERY_MS = 5000
  -- A longer step is one that set the clock, or nobody came by in between.
  local MAX_STEP_MS = 60000
  -- What is further ahead is no time of a partition, but damaged, or of a clock that was wrong by far.
  local MAX_AHEAD_MS = 86400000
  local clock = tag .. ':clock'
  local kept = redis.pcall('GET', clock)
  local of, at = string.match(type(kept) == 'string' and kept or '', '^(%d+) (%d+)$')
  of, at = tonumber(of), tonumber(at)
  local usable = of and at and at - store_ms <= MAX_AHEAD_MS
  local passed = usable and store_ms - of or 0
  local ms = store_ms
  if passed < 0 or usable and at > of and (passed <= MAX_STEP_MS or store_ms < at) then
    ms = math.max(store_ms, at + math.floor(math.max(0, math.min(passed, MAX_STEP_MS)) * 0.9))
  end
  if not usable or passed < 0 or passed >= KEPT_EVERY_MS then
    redis.call('SET', clock, string.format('%.0f %.0f', store_ms, ms), 'PX', MAX_AHEAD_MS)
  end
  return ms
end

-- Scripts for a client or a sink have no partition.
local now = tag == '' and store_ms or partition_time()

-- For a script that works for one partition after the other.
local function enter_partition(other)
  tag = other
  now = partition_time()
end
