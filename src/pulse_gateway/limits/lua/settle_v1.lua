-- End a permit: holds out, and what was used in, or everything back. The twin of Counters.settle and Counters.cancel.
-- KEYS as for acquire_v1.
-- ARGV 1 permit · 2 "settle", "again" (sent before, without an answer) or "cancel" · 3 µs of the grant
--      then five a charge: form amount actual cap window_us
-- → code now_us, then two a charge: used held (-1 0 for a cold quota, 0 0 for a window).  1 settled · 0 unknown: nothing changed ·
--   2 lost: the permit was forgotten, what was used is added all the same
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local permit, mode, granted = ARGV[1], ARGV[2], tonumber(ARGV[3])
local count = #KEYS - 2

local function int(number) return string.format('%.0f', number) end

local held = redis.call('HGET', KEYS[2], permit)
local code = held and 1 or (mode == 'settle' and 2 or 0)
if held then
  if held ~= 'X' then
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
  redis.call('HDEL', KEYS[2], permit)
  redis.call('ZREM', KEYS[1], permit)
end
local reply = {code, now}
for i = 1, count do
  local key, form = KEYS[2 + i], ARGV[i * 5 - 1]
  local amount, actual, window = tonumber(ARGV[i * 5]), ARGV[i * 5 + 1], tonumber(ARGV[i * 5 + 3])
  local used, still_held = 0, 0
  if form == 'q' then
    local have = redis.call('HMGET', key, 'used', 'held')
    if have[1] then
      used, still_held = tonumber(have[1]), tonumber(have[2] or 0)
      if code > 0 and mode ~= 'cancel' then
        used = redis.call('HINCRBY', key, 'used', actual)
        redis.call('HSET', key, 'at', int(now))
      end
    else
      used = -1
    end
  elseif form == 'b' then
    local number = int(math.floor(granted / math.floor(window / 20)))
    if held then
      local have = redis.call('HGET', key, number)
      local by = mode == 'cancel' and -amount or actual - amount
      if have and by ~= 0 then redis.call('HSET', key, number, int(math.max(0, have + by))) end
    end
  elseif form == 'l' then
    if held and mode == 'cancel' then
      for _ = 1, amount do redis.call('LREM', key, 1, ARGV[3]) end
    end
  else
    used = tonumber(redis.call('GET', key) or 0)
  end
  reply[#reply + 1], reply[#reply + 2] = used, still_held
end
return reply
