-- Changes fields of a live session; an empty value removes its field.
-- KEYS: session
-- ARGV: now, then field, value, …
-- Answers the session's fields, none where it is not live.
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
