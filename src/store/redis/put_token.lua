-- Stores the user's only token of its kind, unless there is an active newer one. The same rules as
-- `put_token` in rules.rs.
-- KEYS: token
-- ARGV: now, row, ms to keep, then field, value, …
--
-- Rows are compared as 32 hex digits, which have the order of the UUIDs in every locale.
local it = redis.call('HMGET', KEYS[1], 'row_id', 'expires_at')
if it[1] and tonumber(it[2]) > tonumber(ARGV[1]) and it[1] > ARGV[2] then
  return 'superseded'
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'stored'
