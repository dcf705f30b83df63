-- Take every charge or none; with an empty permit, only look. The twin of Counters.acquire in counters.py.
-- KEYS 1 leases (zset permit → µs) · 2 holds (hash permit → "form|key|amount;…", or "X" once taken back, "E||0" once ended) · 3… one counter a charge
-- ARGV 1 permit · 2 lease µs · 3, 4 the month's first µs and the first after it · 5 the permit's holds, as kept in KEYS 2
--      then four a charge: form amount cap window_us. Cap -1: none.
-- forms: l log of grants (list, newest first, µs) · b buckets (hash number of the slice → amount) · r running (string)
--        q quota (hash: used, held, at = µs of the last settlement; without `used` it is cold)
-- → code now_us, then four a charge: used held wait_us reset_us.  0 granted · 1 refused · 2 permit seen before · 3 cold: the counters
--   with used -1 · 4 another month by this server's clock
-- Work is bounded: 8 overdue permits (512 more rather than refuse), log₂ of a log, 42 slices. Looking writes nothing, and so a key
-- of a foreign type stops the script before its first charge is taken. Integers are exact up to 2^53 - 1.
local t = redis.call('TIME')
local clock = t[1] * 1000000 + t[2]
if clock < tonumber(ARGV[3]) or clock >= tonumber(ARGV[4]) then return {4, clock} end
local call, permit, count = redis.call, ARGV[1], #KEYS - 2

-- A clock that steps back frees nothing: for windows it is never earlier than what stands in them.
local now = clock
local newest, slices = {}, {}  -- by charge: a log's newest grant; numbers and amounts of what is in buckets
for i = 1, count do
  local form = ARGV[2 + i * 4]
  if form == 'l' then
    newest[i] = tonumber(call('LINDEX', KEYS[2 + i], 0) or 0)
    if newest[i] > now then now = newest[i] end
  elseif form == 'b' then
    local width, numbers, amounts = math.floor(ARGV[5 + i * 4] / 20), {}, {}
    local flat = call('HGETALL', KEYS[2 + i])
    for j = 1, #flat, 2 do
      local number = tonumber(flat[j])
      numbers[#numbers + 1], amounts[number] = number, tonumber(flat[j + 1])
      if number * width > now then now = number * width end
    end
    table.sort(numbers)
    slices[i] = {width, numbers, amounts}
  end
end

-- Put up to `most` overdue permits away: what they hold goes back, and for an hour it is remembered that it did. No counter goes below
-- zero; a key that is gone, or is not ours any more, has nothing to give back.
local function sweep(most)
  local ids = call('ZRANGE', KEYS[1], '-inf', clock, 'BYSCORE', 'LIMIT', 0, most)
  if #ids == 0 then return 0 end
  local forms, amounts, expired, leases = {}, {}, {}, {}
  for n, held in ipairs(call('HMGET', KEYS[2], unpack(ids))) do
    if held and held ~= 'X' and held ~= 'E||0' then
      for form, key, amount in string.gmatch(held, '(%a)|([^|;]+)|(%d+)') do
        forms[key], amounts[key] = form, (amounts[key] or 0) + amount
      end
      expired[#expired + 1], expired[#expired + 2] = ids[n], 'X'
      leases[#leases + 1], leases[#leases + 2] = clock + 3600000000, ids[n]
    else
      call('HDEL', KEYS[2], ids[n])
      call('ZREM', KEYS[1], ids[n])
    end
  end
  for key, amount in pairs(amounts) do
    if forms[key] == 'q' then
      local held = tonumber(redis.pcall('HGET', key, 'held')) or 0
      if held > 0 then call('HSET', key, 'held', math.max(0, held - amount)) end
    else
      local running = tonumber(redis.pcall('GET', key)) or 0
      if running > amount then
        call('SET', key, running - amount, 'KEEPTTL')
      elseif running > 0 then
        call('DEL', key)
      end
    end
  end
  if #expired > 0 then
    call('HSET', KEYS[2], unpack(expired))
    call('ZADD', KEYS[1], unpack(leases))
  end
  return #ids
end

-- How many of a log's oldest grants were before `moment`: doubling steps from the oldest, then halving.
local function older(key, length, moment)
  local low, high = 0, 1  -- the `low` oldest are older; number `high` is not, or there is none
  while high <= length and tonumber(call('LINDEX', key, -high)) < moment do low, high = high, high * 2 end
  high = math.min(high, length + 1)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if tonumber(call('LINDEX', key, -middle)) < moment then low = middle else high = middle end
  end
  return low
end

-- Where counter `i` stands, and how long `amount` has to wait: used, held, wait_us, reset_us; and how many of a log count no more.
local function look(i, amount)
  local key, form = KEYS[2 + i], ARGV[2 + i * 4]
  local cap, window = tonumber(ARGV[4 + i * 4]), tonumber(ARGV[5 + i * 4])
  if form == 'l' then
    local length = call('LLEN', key)
    local expired = length > 0 and older(key, length, now - window) or 0
    local used = length - expired
    local reset = used > 0 and newest[i] + window + 1 - now or 0
    local over = cap >= 0 and amount - (cap - used) or 0
    if over <= 0 then return used, 0, 0, reset, expired end
    if amount > cap then return used, 0, -1, reset end
    return used, 0, call('LINDEX', key, -expired - over) + window + 1 - now, reset
  elseif form == 'b' then
    local width, numbers, amounts = unpack(slices[i])
    local used, reset = 0, 0
    for _, number in ipairs(numbers) do
      local left = (number + 1) * width + window - now
      if left > 0 and amounts[number] > 0 then used, reset = used + amounts[number], left end
    end
    local over = cap >= 0 and amount - (cap - used) or 0
    if over <= 0 then return used, 0, 0, reset end
    if amount > cap then return used, 0, -1, reset end
    for _, number in ipairs(numbers) do
      local left = (number + 1) * width + window - now
      if left > 0 then over = over - amounts[number] end
      if over <= 0 then return used, 0, left, reset end
    end
  elseif form == 'r' then
    local running = tonumber(call('GET', key) or 0)
    if cap < 0 or amount <= cap - running then return running, 0, 0, 0 end
    return running, 0, amount > cap and -1 or 1000000, 0
  end
  local have = call('HMGET', key, 'used', 'held')
  if not have[1] then return -1, 0, 0, 0 end
  local used, held = tonumber(have[1]), tonumber(have[2] or 0)
  if cap < 0 or amount <= cap - used - held then return used, held, 0, 0 end
  return used, held, amount > cap and -1 or 1, 0
end

local reply, expired = {0, now}, {}
local function decide()
  reply[1] = 0
  for i = 1, count do
    local at = i * 4 - 1  -- where this counter's four numbers begin in the reply
    local used, held, wait, reset, old = look(i, permit ~= '' and tonumber(ARGV[3 + i * 4]) or 0)
    if used < 0 then reply[1] = 3 elseif wait ~= 0 and reply[1] == 0 then reply[1] = 1 end
    reply[at], reply[at + 1], reply[at + 2], reply[at + 3], expired[i] = used, held, wait, reset, old
  end
end

local swept = sweep(8)
if permit ~= '' and call('HEXISTS', KEYS[2], permit) == 1 then return {2, now} end
decide()
if reply[1] == 1 and swept == 8 and sweep(512) > 0 then decide() end
if reply[1] ~= 0 or permit == '' then return reply end

-- Every check is done; only writes from here on, of numbers as they will stand: none can fail on what it finds. A window's key lives
-- until nothing in it counts: longer where the clock stepped back, but for at most a window, lest one false leap ahead refuse for years.
for i = 1, count do
  local key, form, amount = KEYS[2 + i], ARGV[2 + i * 4], tonumber(ARGV[3 + i * 4])
  local window, at = tonumber(ARGV[5 + i * 4]), i * 4 - 1
  if form == 'b' then
    local width, numbers, amounts = unpack(slices[i])
    local current = math.floor(now / width)
    for _, number in ipairs(numbers) do
      if (number + 1) * width + window <= now then call('HDEL', key, number) end
    end
    call('HSET', key, current, (amounts[current] or 0) + amount)  -- made for an amount of 0 too: what was used is put there
    call('PEXPIRE', key, math.ceil((window + width + math.min(now - clock, window)) / 1000) + 1000)
    reply[at] = reply[at] + amount
    if amount > 0 then reply[at + 3] = (current + 1) * width + window - now end
  elseif amount > 0 and form == 'l' then
    local stamps = {}
    for n = 1, amount do stamps[n] = now end
    reply[at], reply[at + 3] = reply[at] + amount, window + 1
    call('LPUSH', key, unpack(stamps))
    if expired[i] > 0 then call('LTRIM', key, 0, reply[at] - 1) end  -- not before: the newest tells what time it was
    call('PEXPIRE', key, math.ceil((window + math.min(now - clock, window)) / 1000) + 1000)
  elseif amount > 0 and form == 'r' then
    reply[at] = reply[at] + amount
    call('SET', key, reply[at], 'PX', 172800000)  -- two days: longer than any lease
  elseif amount > 0 then
    reply[at + 1] = reply[at + 1] + amount
    call('HSET', key, 'held', reply[at + 1])
  end
end
call('ZADD', KEYS[1], clock + ARGV[2], permit)
call('HSET', KEYS[2], permit, ARGV[5])
call('PEXPIRE', KEYS[1], 172800000)
call('PEXPIRE', KEYS[2], 172800000)
return reply
