-- Removes a token, unless the token belongs to a given outbox row.
-- KEYS: token
-- ARGV: the id of the row whose token is not removed, or an empty text
local row = redis.call('HGET', KEYS[1], 'row_id')
if row and row ~= ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
