-- Marks a key as used. Only the first call for a key succeeds.
-- KEYS: once
-- ARGV: now, expires_at, time in ms for which the key is kept, the id of the call
--
-- If a call is repeated with the same id because its first response was lost, it gets the same
-- response again.
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'call')
if it[1] and tonumber(it[1]) > tonumber(ARGV[1]) then
  if it[2] == ARGV[4] then
    return 'first'
  end
  return 'again'
end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], 'call', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'first'
