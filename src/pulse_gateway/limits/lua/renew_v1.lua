-- Prolong leases; take the holds anew of permits that had expired or were forgotten, not of those known to have ended. The twin of Counters.renew.
-- KEYS 1 leases · 2 holds.  ARGV 1 lease µs, then two a permit: permit, its holds as given to acquire_v1
-- → how many had to be taken anew
-- A key of a foreign type is left alone: it keeps no other hold from being renewed.
local t = redis.call('TIME')
local until_us = t[1] * 1000000 + t[2] + ARGV[1]

local function hold(form, key, amount)
  local have = form == 'q' and redis.pcall('HGET', key, 'held') or form == 'r' and redis.pcall('GET', key)
  if type(have) == 'table' then return end
  local total = (tonumber(have) or 0) + amount
  if form == 'r' then
    redis.call('SET', key, total, 'PX', 172800000)
  else
    redis.call('HSET', key, 'held', total)
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, 6220800000) end  -- 72 days: beyond this month and the next
  end
end

local anew = 0
for i = 2, #ARGV, 2 do
  local permit, holds = ARGV[i], ARGV[i + 1]
  local held = redis.call('HGET', KEYS[2], permit)
  local lost = not held or held == 'X'
  if held == 'E||0' then holds = '' else redis.call('ZADD', KEYS[1], until_us, permit) end
  if lost then
    anew = anew + 1
    redis.call('HSET', KEYS[2], permit, holds)
  end
  for form, key, amount in string.gmatch(holds, '(%a)|([^|;]+)|(%d+)') do
    if lost then
      hold(form, key, amount)
    elseif form == 'r' then
      redis.pcall('PEXPIRE', key, 172800000)
    end
  end
end
redis.call('PEXPIRE', KEYS[1], 172800000)
redis.call('PEXPIRE', KEYS[2], 172800000)
return anew
