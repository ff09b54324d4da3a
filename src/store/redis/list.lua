-- Reads every session of a user in one step.
-- KEYS: sessions
-- ARGV: prefix of the user's session keys
--
-- The session keys are built here from the list that is read here. They share the user's hash tag.
local all = {}
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local fields = redis.call('HGETALL', ARGV[1] .. sid)
  if #fields > 0 then
    all[#all + 1] = {sid, fields}
  end
end
return all
