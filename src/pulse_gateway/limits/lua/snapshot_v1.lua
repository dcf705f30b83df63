-- Everything that is counted and held for a tenant, at one moment.
-- KEYS 1 leases · 2 holds · 3… counters.  ARGV 1 how many of the counters are months; the rest are calls under way
-- → permits with a lease · {permit, holds, …} · a counter each: {used, held} of a month (nil where not there), the number of calls
local counters = {}
for i = 3, #KEYS do
  if i - 2 <= tonumber(ARGV[1]) then
    counters[i - 2] = redis.call('HMGET', KEYS[i], 'used', 'held')
  else
    counters[i - 2] = redis.call('GET', KEYS[i])
  end
end
return {redis.call('ZRANGE', KEYS[1], 0, -1), redis.call('HGETALL', KEYS[2]), counters}
