-- Changes fields of an active session. An empty value removes the field.
-- KEYS: session
-- ARGV: now, then field, value, …
-- Returns: the fields of the session, or an empty list if the session is not active.
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'reused')
if not it[1] or tonumber(it[1]) <= tonumber(ARGV[1]) or it[2] then
  return {}
end
for at = 2, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[at])
  else
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
return redis.call('HGETALL', KEYS[1])
