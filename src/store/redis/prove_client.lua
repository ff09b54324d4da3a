-- Marks a client that has set a new password as proven. The rules are the same as in `prove` of
-- back_off.rs.
-- KEYS: account
-- ARGV: now, client, allowance, TTL of a client, TTL of a failure, slack in ms
local now, client = tonumber(ARGV[1]), ARGV[2]
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'faded_at', 'open_at', client)
if not it[1] or tonumber(it[1]) <= now then
  redis.call('DEL', KEYS[1])
  it = {}
end
local faded_at = tonumber(it[2] or 0)
if it[4] then
  local counted, ends = string.match(it[4], '^%d+ (%d+) %d+ (%d+) %d+ %d+ %d+$')
  if tonumber(ends) > now then
    faded_at = faded_at - tonumber(counted) * tonumber(ARGV[5])
  end
end
if faded_at <= now then
  faded_at = 0
end
local function whole(number) return string.format('%.0f', number) end
local proven_until = now + tonumber(ARGV[4])
local expires_at = math.max(tonumber(it[1] or 0), faded_at, proven_until)
redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at), 'open_at', it[3] or '0', 'allowance', ARGV[3],
  'expires_at', whole(expires_at), client, '0 0 0 ' .. whole(proven_until) .. ' ' .. whole(proven_until) .. ' 0 0')
redis.call('PEXPIRE', KEYS[1], whole(expires_at - now + tonumber(ARGV[6])))
return 1
