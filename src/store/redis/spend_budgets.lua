-- Spends from the first budget that has enough. The same rules as `Gcra` and `first_that_allows` in
-- rules.rs.
-- KEYS: budgets; the value of each is when it is full again, in ms
-- ARGV: now, ms of slack, then cost and capacity of each budget in ms
-- Returns: when each budget is full again, or would be if it were spent.
local now, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local after, first = {}, nil
for n, key in ipairs(KEYS) do
  local full_at = redis.call('GET', key) or ARGV[1]
  -- A value that is not a number raises an error here, and nothing is spent.
  after[n] = math.max(tonumber(full_at), now) + tonumber(ARGV[1 + 2 * n])
  if not first and after[n] - now <= tonumber(ARGV[2 + 2 * n]) then
    first = n
  end
end
if first and tonumber(ARGV[1 + 2 * first]) > 0 then
  redis.call('SET', KEYS[first], string.format('%.0f', after[first]), 'PX', string.format('%.0f', after[first] - now + slack))
end
for n = 1, #KEYS do
  after[n] = string.format('%.0f', after[n])
end
return after
