-- Marks the current generation of an active session as used.
-- KEYS: session
-- ARGV: generation of the token that was used
-- If the session was rotated meanwhile, the token is not of the current generation any more, and
-- nothing changes.
local it = redis.call('HMGET', KEYS[1], 'generation', 'reused')
if it[1] == ARGV[1] and not it[2] then
  redis.call('HSET', KEYS[1], 'used', '1')
end
return 1
