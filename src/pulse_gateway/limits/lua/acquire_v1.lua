-- Take every charge or none; with an empty permit, only look. The twin of Counters.acquire in counters.py.
-- KEYS 1 leases (zset permit → µs) · 2 holds (hash permit → "form|key|amount;…", or "X" once taken back) · 3… one counter a charge
-- ARGV 1 permit · 2 lease µs · 3, 4 the month's first µs and the first after it · 5 ms that a month's counter is kept
--      6 the permit's holds, as kept in KEYS 2 · then four a charge: form amount cap window_us. Cap -1: none.
-- forms: l log of grants (list, newest first, µs) · b buckets (hash number of the slice → amount) · r running (string)
--        q quota (hash: used, held, at = µs of the last settlement; without `used` it is cold)
-- → code now_us, then four a charge: used held wait_us reset_us.  0 granted · 1 refused · 2 permit seen before · 3 cold: the counters
--   with used -1 · 4 another month by this server's clock
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local permit = ARGV[1]
local count = #KEYS - 2
for i = 1, count do
  if ARGV[3 + i * 4] == 'l' then
    local newest = tonumber(redis.call('LINDEX', KEYS[2 + i], 0) or 0)
    if newest > now then now = newest end  -- a clock that steps back frees nothing
  end
end
if now < tonumber(ARGV[3]) or now >= tonumber(ARGV[4]) then return {4, now} end

local function int(number) return string.format('%.0f', number) end

local function give_back(held)
  for form, key, amount in string.gmatch(held, '(%a)|([^|;]+)|(%d+)') do
    if form == 'q' then
      local have = tonumber(redis.call('HGET', key, 'held') or 0)
      if have > 0 then redis.call('HSET', key, 'held', int(math.max(0, have - amount))) end
    else
      local have = tonumber(redis.call('GET', key) or 0)
      if have - amount > 0 then redis.call('DECRBY', key, amount) elseif have > 0 then redis.call('DEL', key) end
    end
  end
end

for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', int(now), 'BYSCORE', 'LIMIT', 0, 8)) do  -- overdue permits
  local held = redis.call('HGET', KEYS[2], id)
  if held and held ~= 'X' then
    give_back(held)
    redis.call('HSET', KEYS[2], id, 'X')
    redis.call('ZADD', KEYS[1], int(now + 3600000000), id)
  else
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[1], id)
  end
end
if permit ~= '' and redis.call('HEXISTS', KEYS[2], permit) == 1 then return {2, now} end

-- One counter: used, held, wait_us, reset_us if `amount` more were asked of it.
local function look(i, amount)
  local key, form = KEYS[2 + i], ARGV[3 + i * 4]
  local cap, window = tonumber(ARGV[5 + i * 4]), tonumber(ARGV[6 + i * 4])
  if form == 'l' then
    local oldest = redis.call('LINDEX', key, -1)
    while oldest and now - oldest > window do
      redis.call('RPOP', key)
      oldest = redis.call('LINDEX', key, -1)
    end
    local used = redis.call('LLEN', key)
    local reset = oldest and redis.call('LINDEX', key, 0) + window + 1 - now or 0
    local over = cap >= 0 and used + amount - cap or 0
    if over <= 0 then return used, 0, 0, reset end
    if amount > cap then return used, 0, -1, reset end
    return used, 0, redis.call('LINDEX', key, -over) + window + 1 - now, reset
  elseif form == 'b' then
    local width = math.floor(window / 20)
    local amounts, live, used = {}, {}, 0
    local pairs_ = redis.call('HGETALL', key)
    for j = 1, #pairs_, 2 do
      local number = tonumber(pairs_[j])
      if (number + 1) * width + window <= now then
        redis.call('HDEL', key, pairs_[j])
      else
        live[#live + 1] = number
        amounts[number] = tonumber(pairs_[j + 1])
        used = used + amounts[number]
      end
    end
    table.sort(live)
    local reset = #live > 0 and (live[#live] + 1) * width + window - now or 0
    local over = cap >= 0 and used + amount - cap or 0
    if over <= 0 then return used, 0, 0, reset end
    if amount > cap then return used, 0, -1, reset end
    local freed = 0
    for _, number in ipairs(live) do
      freed = freed + amounts[number]
      if freed >= over then return used, 0, (number + 1) * width + window - now, reset end
    end
    return used, 0, reset, reset
  elseif form == 'r' then
    local running = tonumber(redis.call('GET', key) or 0)
    if cap < 0 or running + amount <= cap then return running, 0, 0, 0 end
    return running, 0, amount > cap and -1 or 1000000, 0
  end
  local have = redis.call('HMGET', key, 'used', 'held')
  if not have[1] then return -1, 0, 0, 0 end
  local used, held = tonumber(have[1]), tonumber(have[2] or 0)
  if cap < 0 or used + held + amount <= cap then return used, held, 0, 0 end
  return used, held, amount > cap and -1 or 1, 0
end

local reply = {0, now}
for i = 1, count do
  local used, held, wait, reset = look(i, permit ~= '' and tonumber(ARGV[4 + i * 4]) or 0)
  if used < 0 then reply[1] = 3 elseif wait ~= 0 and reply[1] == 0 then reply[1] = 1 end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3], reply[#reply + 4] = used, held, wait, reset
end
if reply[1] ~= 0 or permit == '' then return reply end

for i = 1, count do  -- every check is done; only writes from here on
  local key, form, amount = KEYS[2 + i], ARGV[3 + i * 4], tonumber(ARGV[4 + i * 4])
  local window = tonumber(ARGV[6 + i * 4])
  if amount > 0 then
    local at = 3 + (i - 1) * 4  -- where this counter's four numbers begin in the reply
    if form == 'l' then
      for _ = 1, amount do redis.call('LPUSH', key, int(now)) end
      redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
      reply[at], reply[at + 3] = reply[at] + amount, window + 1
    elseif form == 'b' then
      local width = math.floor(window / 20)
      local number = math.floor(now / width)
      redis.call('HINCRBY', key, int(number), amount)
      redis.call('PEXPIRE', key, math.ceil((window + width) / 1000) + 1000)
      reply[at], reply[at + 3] = reply[at] + amount, math.max(reply[at + 3], (number + 1) * width + window - now)
    elseif form == 'r' then
      redis.call('INCRBY', key, amount)
      redis.call('PEXPIRE', key, 172800000)
      reply[at] = reply[at] + amount
    else
      redis.call('HINCRBY', key, 'held', ARGV[4 + i * 4])
      reply[at + 1] = reply[at + 1] + amount
    end
  end
end
redis.call('ZADD', KEYS[1], int(now + ARGV[2]), permit)
redis.call('HSET', KEYS[2], permit, ARGV[6])
redis.call('PEXPIRE', KEYS[1], 172800000)
redis.call('PEXPIRE', KEYS[2], 172800000)
return reply
