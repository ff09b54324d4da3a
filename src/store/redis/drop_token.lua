-- Removes a token, unless the token belongs to a given outbox row.
-- KEYS: token
-- ARGV: the id of the row whose token is not removed or an empty text, number of characters of a
-- MAC
--
-- The MAC of the record is not checked here, because the record only decides whether it is deleted.
local function row_of(record)
  return cjson.decode(string.sub(record, ARGV[2] + 1)).row_id
end

local is_read, row = pcall(row_of, redis.call('GET', KEYS[1]))
if is_read and row == ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
