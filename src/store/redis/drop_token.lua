-- Removes a token unless it belongs to the row that stays.
-- KEYS: token
-- ARGV: the row that stays, or an empty text
local row = redis.call('HGET', KEYS[1], 'row_id')
if row and row ~= ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
