-- Prolong leases; take the holds anew of permits that had expired or were forgotten. The twin of Counters.renew.
-- KEYS 1 leases · 2 holds.  ARGV 1 lease µs, then two a permit: permit, its holds as given to acquire_v1
-- → how many had to be taken anew
local t = redis.call('TIME')
local until_us = string.format('%.0f', t[1] * 1000000 + t[2] + ARGV[1])
local anew = 0
for i = 2, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[2], ARGV[i])
  if not held or held == 'X' then
    anew = anew + 1
    for form, key, amount in string.gmatch(ARGV[i + 1], '(%a)|([^|;]+)|(%d+)') do
      if form == 'q' then
        redis.call('HINCRBY', key, 'held', amount)
        if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, 6220800000) end
      else
        redis.call('INCRBY', key, amount)
      end
    end
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
  redis.call('ZADD', KEYS[1], until_us, ARGV[i])
  for form, key in string.gmatch(ARGV[i + 1], '(%a)|([^|;]+)|%d+') do
    if form == 'r' then redis.call('PEXPIRE', key, 172800000) end
  end
end
redis.call('PEXPIRE', KEYS[1], 172800000)
redis.call('PEXPIRE', KEYS[2], 172800000)
return anew
