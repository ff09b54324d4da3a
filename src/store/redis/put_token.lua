-- Stores a token, unless the user has an active newer token of the same kind. The rules are the
-- same as in `put_token` of rules.rs.
-- KEYS: token
-- ARGV: now, id of the outbox row, time in ms for which the token is kept, then field, value, …
--
-- The ids of the rows are compared as texts of 32 hex digits. In every locale, these texts have the
-- same order as the UUIDs.
local it = redis.call('HMGET', KEYS[1], 'row_id', 'expires_at')
if it[1] and tonumber(it[2]) > tonumber(ARGV[1]) and it[1] > ARGV[2] then
  return 'superseded'
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'stored'
