-- Take every charge or none; with an empty permit, only look. The twin of Counters.acquire in counters.py.
-- KEYS 1 leases (zset permit → µs) · 2 holds (hash permit → "form|key|amount;…", or "X" once taken back) · 3… one counter a charge
-- ARGV 1 permit · 2 lease µs · 3, 4 the month's first µs and the first after it · 5 the permit's holds, as kept in KEYS 2
--      then four a charge: form amount cap window_us. Cap -1: none.
-- forms: l log of grants (list, newest first, µs) · b buckets (hash number of the slice → amount) · r running (string)
--        q quota (hash: used, held, at = µs of the last settlement; without `used` it is cold)
-- → code now_us, then four a charge: used held wait_us reset_us.  0 granted · 1 refused · 2 permit seen before · 3 cold: the counters
--   with used -1 · 4 another month by this server's clock
-- Work is bounded: 8 overdue permits (512 more rather than refuse), log₂ of a log, 42 buckets. Looking writes nothing, and so a key
-- of a foreign type stops the script before its first charge is taken. Integers are exact up to 2^53 - 1.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local permit = ARGV[1]

local function int(number) return string.format('%.0f', number) end

local asks = {}
for i = 1, #KEYS - 2 do
  local at = 2 + i * 4
  local ask = {
    key = KEYS[2 + i], form = ARGV[at], amount = permit ~= '' and tonumber(ARGV[at + 1]) or 0,
    cap = tonumber(ARGV[at + 2]), window = tonumber(ARGV[at + 3]),
  }
  -- A clock that steps back frees nothing: it is never earlier than what stands in a window.
  if ask.form == 'l' then
    ask.newest = tonumber(redis.call('LINDEX', ask.key, 0) or 0)
    now = math.max(now, ask.newest)
  elseif ask.form == 'b' then
    ask.width, ask.numbers, ask.amounts = math.floor(ask.window / 20), {}, {}
    local flat = redis.call('HGETALL', ask.key)
    for j = 1, #flat, 2 do
      local number = tonumber(flat[j])
      ask.numbers[#ask.numbers + 1], ask.amounts[number] = number, tonumber(flat[j + 1])
      now = math.max(now, number * ask.width)
    end
    table.sort(ask.numbers)
  end
  asks[i] = ask
end
if now < tonumber(ARGV[3]) or now >= tonumber(ARGV[4]) then return {4, now} end

-- Never below zero; a key that is gone, or is not ours any more, has nothing to give back.
local function give_back(form, key, amount)
  if form == 'q' then
    local held = tonumber(redis.pcall('HGET', key, 'held')) or 0
    if held > 0 then redis.call('HSET', key, 'held', int(math.max(0, held - amount))) end
  else
    local running = tonumber(redis.pcall('GET', key)) or 0
    if running > amount then
      redis.call('SET', key, int(running - amount), 'KEEPTTL')
    elseif running > 0 then
      redis.call('DEL', key)
    end
  end
end

-- Put up to `most` overdue permits away: what they hold goes back, and for an hour it is remembered that it did.
local function sweep(most)
  local ids = redis.call('ZRANGE', KEYS[1], '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most)
  if #ids == 0 then return 0 end
  local forms, amounts, expired, leases = {}, {}, {}, {}
  for n, held in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
    if held and held ~= 'X' then
      for form, key, amount in string.gmatch(held, '(%a)|([^|;]+)|(%d+)') do
        forms[key], amounts[key] = form, (amounts[key] or 0) + amount
      end
      expired[#expired + 1], expired[#expired + 2] = ids[n], 'X'
      leases[#leases + 1], leases[#leases + 2] = int(now + 3600000000), ids[n]
    else
      redis.call('HDEL', KEYS[2], ids[n])
      redis.call('ZREM', KEYS[1], ids[n])
    end
  end
  for key, form in pairs(forms) do give_back(form, key, amounts[key]) end
  if #expired > 0 then
    redis.call('HSET', KEYS[2], unpack(expired))
    redis.call('ZADD', KEYS[1], unpack(leases))
  end
  return #ids
end

-- How many of a log's oldest grants were before `moment`: doubling steps from the oldest, then halving.
local function older(key, length, moment)
  local low, high = 0, 1  -- the `low` oldest are older; number `high` is not, or there is none
  while high <= length and tonumber(redis.call('LINDEX', key, -high)) < moment do low, high = high, high * 2 end
  high = math.min(high, length + 1)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', key, -middle)) < moment then low = middle else high = middle end
  end
  return low
end

-- Where a counter stands, and how long what is asked of it has to wait: used, held, wait_us, reset_us.
local look = {}

function look.l(ask)
  local length = redis.call('LLEN', ask.key)
  local expired = older(ask.key, length, now - ask.window)
  local used = length - expired
  local reset = used > 0 and ask.newest + ask.window + 1 - now or 0
  local over = ask.cap >= 0 and ask.amount - (ask.cap - used) or 0
  if over <= 0 then return used, 0, 0, reset end
  if ask.amount > ask.cap then return used, 0, -1, reset end
  return used, 0, redis.call('LINDEX', ask.key, -expired - over) + ask.window + 1 - now, reset
end

function look.b(ask)
  local used, reset = 0, 0
  for _, number in ipairs(ask.numbers) do
    local left = (number + 1) * ask.width + ask.window - now
    if left > 0 then used, reset = used + ask.amounts[number], left end
  end
  local over = ask.cap >= 0 and ask.amount - (ask.cap - used) or 0
  if over <= 0 then return used, 0, 0, reset end
  if ask.amount > ask.cap then return used, 0, -1, reset end
  for _, number in ipairs(ask.numbers) do
    local left = (number + 1) * ask.width + ask.window - now
    if left > 0 then over = over - ask.amounts[number] end
    if over <= 0 then return used, 0, left, reset end
  end
end

function look.r(ask)
  local running = tonumber(redis.call('GET', ask.key) or 0)
  if ask.cap < 0 or ask.amount <= ask.cap - running then return running, 0, 0, 0 end
  return running, 0, ask.amount > ask.cap and -1 or 1000000, 0
end

function look.q(ask)
  local have = redis.call('HMGET', ask.key, 'used', 'held')
  if not have[1] then return -1, 0, 0, 0 end
  local used, held = tonumber(have[1]), tonumber(have[2] or 0)
  if ask.cap < 0 or ask.amount <= ask.cap - used - held then return used, held, 0, 0 end
  return used, held, ask.amount > ask.cap and -1 or 1, 0
end

local function decide()
  local code = 0
  for _, ask in ipairs(asks) do
    ask.used, ask.held, ask.wait, ask.reset = look[ask.form](ask)
    if ask.used < 0 then code = 3 elseif ask.wait ~= 0 and code == 0 then code = 1 end
  end
  return code
end

local function reply(code)
  local said = {code, now}
  for _, ask in ipairs(asks) do
    local n = #said
    said[n + 1], said[n + 2], said[n + 3], said[n + 4] = ask.used, ask.held, ask.wait, ask.reset
  end
  return said
end

-- Takes `amount` and brings the row up to date. Numbers are written as they will stand: no write can fail on what it finds.
local take = {}

function take.l(ask)
  local stamps = {}
  for n = 1, ask.amount do stamps[n] = int(now) end
  ask.used, ask.reset = ask.used + ask.amount, ask.window + 1
  redis.call('LPUSH', ask.key, unpack(stamps))
  redis.call('LTRIM', ask.key, 0, ask.used - 1)  -- only who adds a grant forgets old ones: the newest tells what time it was
  redis.call('PEXPIREAT', ask.key, int(math.ceil((now + ask.window) / 1000) + 1000))
end

function take.b(ask)
  local current = math.floor(now / ask.width)
  for _, number in ipairs(ask.numbers) do
    if (number + 1) * ask.width + ask.window <= now then redis.call('HDEL', ask.key, int(number)) end
  end
  ask.used, ask.reset = ask.used + ask.amount, (current + 1) * ask.width + ask.window - now
  redis.call('HSET', ask.key, int(current), int((ask.amounts[current] or 0) + ask.amount))
  redis.call('PEXPIREAT', ask.key, int(math.ceil((now + ask.window + ask.width) / 1000) + 1000))
end

function take.r(ask)
  ask.used = ask.used + ask.amount
  redis.call('SET', ask.key, int(ask.used), 'PX', 172800000)  -- two days: longer than any lease
end

function take.q(ask)
  ask.held = ask.held + ask.amount
  redis.call('HSET', ask.key, 'held', int(ask.held))
  if redis.call('PTTL', ask.key) < 0 then redis.call('PEXPIRE', ask.key, 6220800000) end  -- written by hand; 72 days
end

local swept = sweep(8)
if permit ~= '' and redis.call('HEXISTS', KEYS[2], permit) == 1 then return {2, now} end
local code = decide()
if code == 1 and swept == 8 and sweep(512) > 0 then code = decide() end
if code ~= 0 or permit == '' then return reply(code) end
for _, ask in ipairs(asks) do
  if ask.amount > 0 then take[ask.form](ask) end
end
redis.call('ZADD', KEYS[1], int(now + ARGV[2]), permit)
redis.call('HSET', KEYS[2], permit, ARGV[5])
redis.call('PEXPIRE', KEYS[1], 172800000)
redis.call('PEXPIRE', KEYS[2], 172800000)
return reply(0)
