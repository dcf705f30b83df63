-- Set what was used of a month's quota to what the ledger says. The twin of Counters.warm, correct and set_used.
-- KEYS 1 quota.  ARGV 1 used (below zero counts as zero) · 2 ms that the counter is kept · 3 "cold": only where nobody has said it ·
--   "expected": only where it is ARGV 4 still and nothing was settled for ARGV 5 µs · "always"
-- → 1 set · 0 left as it was
local have = redis.call('HMGET', KEYS[1], 'used', 'at')
if ARGV[3] == 'cold' and have[1] then return 0 end
if ARGV[3] == 'expected' then
  local t = redis.call('TIME')
  if have[1] ~= ARGV[4] or t[1] * 1000000 + t[2] - (have[2] or 0) < tonumber(ARGV[5]) then return 0 end
end
redis.call('HSET', KEYS[1], 'used', tonumber(ARGV[1]) < 0 and '0' or ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
