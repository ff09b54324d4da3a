-- After another password: forgets every failure of every source: ladder.rs `pardon`, word for word.
-- KEYS: account
-- ARGV: now, ms an account is kept, ms of slack
local it = redis.call('HMGET', KEYS[1], 'era', 'kept_until')
local now = tonumber(ARGV[1])
if not it[2] or tonumber(it[2]) <= now then
  return 0
end
redis.call('HSET', KEYS[1], 'failures', '0', 'era', string.format('%.0f', tonumber(it[1]) + 1),
  'kept_until', string.format('%.0f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[2]) + tonumber(ARGV[3])))
return 1
