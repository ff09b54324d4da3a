-- Removes all entries of a user.
-- KEYS: sessions, then every other key of the user with a fixed name
-- ARGV: prefix of the user's session keys
--
-- The script reads the list of sessions and builds their keys itself. All these keys have the
-- user's hash tag.
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('DEL', ARGV[1] .. sid)
end
return redis.call('DEL', unpack(KEYS))
