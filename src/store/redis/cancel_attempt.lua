-- After an attempt without a verdict: one failure less of its client: `cancel_attempt` of back_off.rs.
-- KEYS: account
-- ARGV: now, client, is known, TTL of a failure, then the wait in ms after each failure, from none on
local now, client = tonumber(ARGV[1]), ARGV[2]
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'faded_at', client)
if not it[1] or tonumber(it[1]) <= now or not it[3] then
  return 0
end
local failures, counted, wait_until, ends, proven_until = string.match(it[3], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
failures, counted = tonumber(failures), tonumber(counted)
if tonumber(ends) <= now or failures == 0 then
  return 0
end
local function whole(number) return string.format('%.0f', number) end
failures = failures - 1
wait_until = math.min(tonumber(wait_until), now + tonumber(ARGV[math.min(5 + failures, #ARGV)]))
if ARGV[3] ~= '1' and tonumber(proven_until) <= now and counted > 0 then
  counted = counted - 1
  local faded_at = tonumber(it[2]) - tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at > now and faded_at or 0))
end
local record = {whole(failures), whole(counted), whole(wait_until), ends, proven_until}
redis.call('HSET', KEYS[1], client, table.concat(record, ' '))
return 1
