-- Say that this replica lives, and learn who else does, by this server's clock.
-- KEYS 1 replicas (zset: id → µs when it was heard of · "id behind" → µs until which it counts as behind · "epoch …" → inf: is there for
--   as long as this server remembers anything, and another one once it has forgotten)
-- ARGV 1 id · 2 1: its usage is behind with being written · 3 µs that an announcement counts · 4 µs after which a replica is missed ·
--   5 µs that it is missed · 6 µs that being behind counts, should nothing more be heard of it · 7 an epoch, where there is none
-- → now_us · the epoch · how many replicas live · how many of these are behind · how many are missed, or were behind when they ended
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function moment(us) return string.format('%.0f', us) end
redis.call('ZADD', KEYS[1], moment(now), ARGV[1])
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[1], moment(now + ARGV[6]), ARGV[1] .. ' behind')
else
  redis.call('ZREM', KEYS[1], ARGV[1] .. ' behind')
end

local epoch, lives, marked, live, behind, missed = nil, {}, {}, 0, 0, 0
local flat = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #flat, 2 do
  local member, score = flat[i], flat[i + 1]
  if string.sub(member, 1, 6) == 'epoch ' then
    epoch = member
  elseif string.sub(member, -7) == ' behind' then
    if tonumber(score) > now then
      marked[#marked + 1] = string.sub(member, 1, -8)
    else
      redis.call('ZREM', KEYS[1], member)
    end
  elseif tonumber(score) < now - ARGV[5] then
    redis.call('ZREM', KEYS[1], member)
  else
    if tonumber(score) >= now - ARGV[3] then live, lives[member] = live + 1, true end
    if tonumber(score) < now - ARGV[4] then missed = missed + 1 end
  end
end
for _, id in ipairs(marked) do
  if lives[id] then behind = behind + 1 else missed = missed + 1 end
end
if not epoch then
  epoch = 'epoch ' .. ARGV[7]
  redis.call('ZADD', KEYS[1], '+inf', epoch)
end
redis.call('PEXPIRE', KEYS[1], 6220800000)  -- 72 days: longer than a month's counters
return {now, epoch, live, behind, missed}
