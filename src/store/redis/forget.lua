-- Removes all entries of a user.
-- KEYS: sessions, then every other key of the user with a fixed name
-- ARGV: prefix of the user's session keys
--
-- The session keys are built here from the list that is read here. They share the user's hash tag.
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('DEL', ARGV[1] .. sid)
end
return redis.call('DEL', unpack(KEYS))
