-- After a try without a verdict: takes it back from the source and the account: ladder.rs `refund`, word for word.
-- KEYS: account, source
-- ARGV: now, then the wait in ms after each failure, from none on
local it = redis.call('HMGET', KEYS[1], 'failures', 'era', 'kept_until')
local of = redis.call('HMGET', KEYS[2], 'failures', 'era', 'wait_until', 'kept_until')
local now = tonumber(ARGV[1])
if not it[3] or tonumber(it[3]) <= now then
  return 0
end
if not of[4] or tonumber(of[4]) <= now or of[2] ~= it[2] or tonumber(of[1]) == 0 then
  return 0
end
local failures = tonumber(of[1]) - 1
local wait_until = math.min(tonumber(of[3]), now + tonumber(ARGV[math.min(2 + failures, #ARGV)]))
local function whole(number) return string.format('%.0f', number) end
redis.call('HSET', KEYS[1], 'failures', whole(math.max(tonumber(it[1]) - 1, 0)))
redis.call('HSET', KEYS[2], 'failures', whole(failures), 'wait_until', whole(wait_until))
return 1
