-- Ends every session of a user except one. Tombstones stay, because the caller that created a
-- tombstone still has to record the end of its session.
-- KEYS: sessions
-- ARGV: prefix of the user's session keys, the sid of the session that does not end or an empty
-- text, number of characters of a MAC
--
-- The script reads the list of sessions and builds their keys itself. So it also ends a session
-- that was opened shortly before. All these keys have the user's hash tag. The MAC of a record is
-- not checked here, because the record only decides whether it is deleted.
local function is_tombstone(record)
  return cjson.decode(string.sub(record, ARGV[3] + 1)).reused
end

local ended = 0
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. sid
  if sid ~= ARGV[2] then
    local is_read, reused = pcall(is_tombstone, redis.call('GET', key))
    if not is_read or not reused then
      ended = ended + redis.call('DEL', key)
      redis.call('ZREM', KEYS[1], sid)
    end
  end
end
return ended
