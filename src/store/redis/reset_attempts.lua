-- After a right password: removes the failures of its client: `reset_attempts` of back_off.rs.
-- KEYS: account
-- ARGV: now, client, TTL of a failure
-- Returns how many failures that were.
local now, client = tonumber(ARGV[1]), ARGV[2]
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'faded_at', client)
if not it[1] or tonumber(it[1]) <= now then
  return 0
end
local failures, counted, proven_until = 0, 0, 0
if it[3] then
  local of, counts, ends, proven = string.match(it[3], '^(%d+) (%d+) %d+ (%d+) (%d+)$')
  if tonumber(ends) > now then
    failures, counted, proven_until = tonumber(of), tonumber(counts), tonumber(proven)
  end
end
local faded_at = tonumber(it[2]) - counted * tonumber(ARGV[3])
if faded_at <= now then
  faded_at = 0
end
local function whole(number) return string.format('%.0f', number) end
if proven_until > now then
  redis.call('HSET', KEYS[1], client, '0 0 0 ' .. whole(proven_until) .. ' ' .. whole(proven_until))
else
  redis.call('HDEL', KEYS[1], client)
end
-- Four fields are the account's own.
if faded_at == 0 and redis.call('HLEN', KEYS[1]) <= 4 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at))
end
return failures
