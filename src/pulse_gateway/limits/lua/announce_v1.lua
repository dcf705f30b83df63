-- Say that this replica lives, and learn who else does, by this server's clock.
-- KEYS 1 replicas (zset: id, or `id behind` → µs).  ARGV 1 id · 2 1: its usage is behind with being written · 3 µs that an announcement holds
-- → now_us · 1 if this server had not heard of the id · how many replicas live · how many of them are behind
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local since = string.format('%.0f', now - ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. since)
local score = string.format('%.0f', now)
local added = redis.call('ZADD', KEYS[1], score, ARGV[1])
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[1], score, ARGV[1] .. ' behind')
else
  redis.call('ZREM', KEYS[1], ARGV[1] .. ' behind')
end
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[3] / 1000))
local behind = 0
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, member in ipairs(members) do
  if string.sub(member, -7) == ' behind' then behind = behind + 1 end
end
return {now, added, #members - behind, behind}
