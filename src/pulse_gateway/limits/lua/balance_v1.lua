-- Set what was used of a month's quota to what the ledger says. The twin of Counters.warm, correct and set_used.
-- KEYS 1 quota (its `as_of`: µs of the look at the ledger that it was last set by; each time another, later one).
-- ARGV 1 used (below zero counts as zero) · 2 ms that the counter is kept · 3 "cold": only where nobody has said it ·
--   "expected": only where it is ARGV 4 still and nothing was settled for ARGV 5 µs · "always" ·
--   "add": ARGV 1, whatever it is, if `as_of` is ARGV 4 still (0: none)
--   6 when the ledger was looked at, in µs; may be missing
-- → 1 set · 0 left as it was
local have = redis.call('HMGET', KEYS[1], 'used', 'at', 'as_of')
if ARGV[3] == 'cold' and have[1] then return 0 end
if ARGV[3] == 'expected' then
  local t = redis.call('TIME')
  if have[1] ~= ARGV[4] or t[1] * 1000000 + t[2] - (have[2] or 0) < tonumber(ARGV[5]) then return 0 end
end
if ARGV[3] == 'add' then
  if not have[1] or (have[3] or '0') ~= ARGV[4] then return 0 end
  redis.call('HSET', KEYS[1], 'used', math.max(0, have[1] + ARGV[1]))
else
  redis.call('HSET', KEYS[1], 'used', tonumber(ARGV[1]) < 0 and '0' or ARGV[1])
end
if ARGV[6] then redis.call('HSET', KEYS[1], 'as_of', math.max(tonumber(ARGV[6]), (have[3] or 0) + 1)) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
