-- Ends every session of a user except one. Tombstones stay, because the caller that created a
-- tombstone still has to end that session.
-- KEYS: sessions
-- ARGV: prefix of the user's session keys, the sid that stays or an empty text
--
-- The session keys are built here from the list that is read here, so that no session opened in the
-- meantime is missed. They share the user's hash tag.
local ended = 0
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. sid
  if sid ~= ARGV[2] and not redis.call('HGET', key, 'reused') then
    ended = ended + redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], sid)
  end
end
return ended
