-- Spends from budgets: from all of them or from none, or from the first that holds enough. Twin of `Gcra`, `spent` in rules.rs.
-- KEYS: budgets (each says when it is full again, in ms)
-- ARGV: now, ms of slack, `all` or `first`, then cost and capacity of each budget in ms
-- Returns when each is, or would be, full again.
local now, slack, is_first = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == 'first'
local after, fit, missing = {}, {}, false
for n, key in ipairs(KEYS) do
  local full_at = redis.call('GET', key) or ARGV[1]
  -- What is no number fails here, and no budget is granted.
  after[n] = math.max(tonumber(full_at), now) + tonumber(ARGV[2 + 2 * n])
  if after[n] - now <= tonumber(ARGV[3 + 2 * n]) then
    fit[#fit + 1] = n
  else
    missing = true
  end
end
if is_first then
  fit = {fit[1]}
elseif missing then
  fit = {}
end
for _, n in ipairs(fit) do
  if tonumber(ARGV[2 + 2 * n]) > 0 then
    redis.call('SET', KEYS[n], string.format('%.0f', after[n]), 'PX', string.format('%.0f', after[n] - now + slack))
  end
end
for n = 1, #KEYS do
  after[n] = string.format('%.0f', after[n])
end
return after
