-- Removes the failures of a client that has sent the right password. The rules are the same as in
-- `reset_attempts` of back_off.rs.
-- KEYS: account
-- ARGV: now, client, TTL of a failure
-- Returns: the number of removed failures.
local now, client = tonumber(ARGV[1]), ARGV[2]
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'faded_at', 'open_at', 'allowance', client)
if not it[1] or tonumber(it[1]) <= now then
  return 0
end
local failures, counted, proven_until = 0, 0, 0
local open_at, allowance = tonumber(it[3]), tonumber(it[4])
if it[5] then
  local of, counts, ends, proven, open_before, allowed =
    string.match(it[5], '^(%d+) (%d+) %d+ (%d+) (%d+) (%d+) (%d+)$')
  if tonumber(ends) > now then
    failures, counted, proven_until = tonumber(of), tonumber(counts), tonumber(proven)
    if failures > 0 then
      open_at, allowance = math.min(open_at, tonumber(open_before)), allowance + tonumber(allowed)
    end
  end
end
local faded_at = tonumber(it[2]) - counted * tonumber(ARGV[3])
if faded_at <= now then
  faded_at = 0
end
local function whole(number) return string.format('%.0f', number) end
if proven_until > now then
  redis.call('HSET', KEYS[1], client, '0 0 0 ' .. whole(proven_until) .. ' ' .. whole(proven_until) .. ' 0 0')
else
  redis.call('HDEL', KEYS[1], client)
end
-- Four fields of the hash belong to the account itself. Each other field belongs to a client.
if faded_at == 0 and redis.call('HLEN', KEYS[1]) <= 4 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at), 'open_at', whole(open_at), 'allowance', whole(allowance))
end
return failures
