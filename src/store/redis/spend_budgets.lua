-- Spends from the first budget that has enough units. The rules are the same as in `Gcra` and
-- `first_that_allows` of rules.rs.
-- KEYS: budgets. The value of each key is the time in ms at which the budget is full again.
-- ARGV: now, slack in ms, then the cost and the capacity of each budget in ms
-- Returns: for each budget, the time at which the budget is full again if the cost is spent from
-- it.
local now, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local after, first = {}, nil
for n, key in ipairs(KEYS) do
  local full_at = redis.call('GET', key) or ARGV[1]
  -- If the value is not a number, this line raises an error, and nothing is spent.
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
