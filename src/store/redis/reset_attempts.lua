-- After a success: forgets the source, and the account's failures unless it is closed: ladder.rs `forgive`, word for word.
-- KEYS: account, perhaps source
-- ARGV: now, own tries among the failures, most failures, ms an account is kept, ms of slack
if KEYS[2] then
  redis.call('DEL', KEYS[2])
end
local it = redis.call('HMGET', KEYS[1], 'failures', 'kept_until')
local now = tonumber(ARGV[1])
if not it[2] or tonumber(it[2]) <= now or tonumber(it[1]) == 0 then
  return 0
end
if math.max(tonumber(it[1]) - tonumber(ARGV[2]), 0) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], 'failures', '0', 'kept_until', string.format('%.0f', now + tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[4]) + tonumber(ARGV[5])))
return 1
