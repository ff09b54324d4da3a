-- Removes the keys that have another type than latchkey gives them.
-- KEYS: the keys
-- ARGV: for each key a command that reads keys of its type, then the prefix of the user's session
-- keys or an empty text
-- Returns: the number of removed keys.
--
-- The script reads the list of sessions and builds their keys itself. All these keys have the
-- user's hash tag.
local removed, prefix = 0, ARGV[#KEYS + 1]

local function check(command, key)
  local found = redis.pcall(command, key)
  if type(found) == 'table' and found.err and string.find(found.err, 'WRONGTYPE', 1, true) then
    removed = removed + redis.call('DEL', key)
  end
end

for n, key in ipairs(KEYS) do
  check(ARGV[n], key)
  if ARGV[n] == 'ZCARD' and prefix ~= '' then
    for _, sid in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      check('GET', prefix .. sid)
    end
  end
end
return removed
