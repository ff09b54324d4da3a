-- Spends from a budget if it holds that much: rules.rs `Gcra`, word for word.
-- KEYS: budget (when it is full again, in ms)
-- ARGV: now, cost in ms, capacity in ms, ms of slack
-- Answers when it is, or would be, full again.
local now, cost, capacity = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = redis.call('GET', KEYS[1]) or ARGV[1]
-- What is no number fails here, and no budget is granted.
local after = math.max(tonumber(full_at), now) + cost
local written = string.format('%.0f', after)
if cost > 0 and after - now <= capacity then
  redis.call('SET', KEYS[1], written, 'PX', string.format('%.0f', after - now + tonumber(ARGV[4])))
end
return written
