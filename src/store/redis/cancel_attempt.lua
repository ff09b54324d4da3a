-- Removes one failure of a client after an attempt without a result. The same rules as
-- `cancel_attempt` in back_off.rs.
-- KEYS: account
-- ARGV: now, client, is known, TTL of a failure, then the wait in ms after each number of failures,
-- from 0 on
local now, client = tonumber(ARGV[1]), ARGV[2]
local it = redis.call('HMGET', KEYS[1], 'expires_at', 'faded_at', 'open_at', 'allowance', client)
if not it[1] or tonumber(it[1]) <= now or not it[5] then
  return 0
end
local failures, counted, wait_until, ends, proven_until, open_before, allowed =
  string.match(it[5], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
failures, counted = tonumber(failures), tonumber(counted)
if tonumber(ends) <= now or failures == 0 then
  return 0
end
local function whole(number) return string.format('%.0f', number) end
failures = failures - 1
wait_until = math.min(tonumber(wait_until), now + tonumber(ARGV[math.min(5 + failures, #ARGV)]))
local faded_at = tonumber(it[2])
if ARGV[3] ~= '1' and tonumber(proven_until) <= now and counted > 0 then
  counted = counted - 1
  faded_at = faded_at - tonumber(ARGV[4])
  if faded_at <= now then
    faded_at = 0
  end
end
local open_at, allowance = math.min(tonumber(it[3]), tonumber(open_before)), tonumber(it[4]) + tonumber(allowed)
redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at), 'open_at', whole(open_at), 'allowance', whole(allowance))
if failures == 0 and tonumber(proven_until) <= now then
  redis.call('HDEL', KEYS[1], client)
  -- Four fields belong to the account itself; the others are clients.
  if faded_at == 0 and redis.call('HLEN', KEYS[1]) <= 4 then
    redis.call('DEL', KEYS[1])
  end
else
  local record = {whole(failures), whole(counted), whole(wait_until), ends, proven_until, open_before, '0'}
  redis.call('HSET', KEYS[1], client, table.concat(record, ' '))
end
return 1
