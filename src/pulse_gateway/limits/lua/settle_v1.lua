-- End a permit: holds out, and what was used in, or everything back. The twin of Counters.settle and Counters.cancel.
-- KEYS as for acquire_v1.
-- ARGV 1 permit · 2 "settle", "again" (sent before, without an answer) or "cancel" · 3 µs of the grant
--      then five a charge: form amount actual cap window_us; and of an end that had to wait, the µs from which on the ledger has it:
--      a quota that was set by a later look at the ledger has it already; it may be empty. Then 1, if a call about this permit was lost
--      with its connection and may be executed yet: that it has ended ("E||0": no holds, for those who do not know of it) is remembered for an hour
-- → code now_us, then two a charge: used held (-1 0 for a cold quota, 0 0 for a window).  1 settled · 0 unknown: nothing changed ·
--   2 lost: the permit was forgotten, what was used is added all the same
-- A key that is gone, or of a foreign type, counts as cold or empty: it keeps nothing else from being settled.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local permit, mode, granted = ARGV[1], ARGV[2], tonumber(ARGV[3])

local held = redis.call('HGET', KEYS[2], permit)
local ended = held == 'E||0'  -- a call that was overtaken: what it asks for was done
if ended then held = false end
local in_ledger = tonumber(ARGV[5 * #KEYS - 6])
local code = held and 1 or (mode == 'settle' and not ended and 2 or 0)
local adds = code > 0 and mode ~= 'cancel'
local forms, back = {}, {}  -- key → what it is, and how much of it this permit holds
if held then
  for form, key, amount in string.gmatch(held, '(%a)|([^|;]+)|(%d+)') do forms[key], back[key] = form, tonumber(amount) end
  redis.call('HDEL', KEYS[2], permit)  -- first, since a server that is out of memory lets no script begin with HSET
  redis.call('ZREM', KEYS[1], permit)
end

-- Each ends one charge, or only the hold on it where nothing is said of what was used, and returns used, held.
local finish = {}

function finish.q(key, _, actual)
  local have = redis.pcall('HMGET', key, 'used', 'held', 'as_of')
  local used, before = tonumber(have[1]), tonumber(have[2]) or 0
  local after = math.max(0, before - (back[key] or 0))
  if used and adds and actual and not (in_ledger and in_ledger < (tonumber(have[3]) or 0)) then
    used = used + actual
    redis.call('HSET', key, 'used', used, 'held', after, 'at', now)
  elseif after ~= before then
    redis.call('HSET', key, 'held', after)
  end
  if not used then return -1, 0 end
  return used, after
end

function finish.r(key)
  local before = tonumber(redis.pcall('GET', key)) or 0
  local after = math.max(0, before - (back[key] or 0))
  if after > 0 and after ~= before then
    redis.call('SET', key, after, 'KEEPTTL')
  elseif after == 0 and before > 0 then
    redis.call('DEL', key)
  end
  return after, 0
end

function finish.b(key, amount, actual, window)
  local by = (mode == 'cancel' and 0 or actual) - amount
  if held and by ~= 0 then
    local number = math.floor(granted / math.floor(window / 20))
    local have = tonumber(redis.pcall('HGET', key, number))
    if have then redis.call('HSET', key, number, math.max(0, have + by)) end
  end
  return 0, 0
end

function finish.l(key, amount)
  if held and mode == 'cancel' and amount > 0 then redis.pcall('LREM', key, amount, ARGV[3]) end
  return 0, 0
end

local reply = {code, now}
for i = 1, #KEYS - 2 do
  local key, at = KEYS[2 + i], 5 * i - 1
  local used, still = finish[ARGV[at]](key, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4]))
  reply[#reply + 1], reply[#reply + 2] = used, still
  forms[key] = nil
end
for key, form in pairs(forms) do finish[form](key) end  -- held, and not among the charges
if code > 0 and ARGV[5 * #KEYS - 5] then
  redis.call('HSET', KEYS[2], permit, 'E||0')
  redis.call('ZADD', KEYS[1], now + 3600000000, permit)
  redis.call('PEXPIRE', KEYS[1], 172800000)
  redis.call('PEXPIRE', KEYS[2], 172800000)
end
return reply
