-- Reads the record of every session of a user in one step.
-- KEYS: sessions
-- ARGV: prefix of the user's session keys
--
-- The script reads the list of sessions and builds their keys itself. All these keys have the
-- user's hash tag.
local all = {}
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local record = redis.call('GET', ARGV[1] .. sid)
  if record then
    all[#all + 1] = {sid, record}
  end
end
return all
