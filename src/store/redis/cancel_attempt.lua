-- Removes one failure of a client after an attempt without a result. The rules are the same as in
-- `cancel_attempt` of back_off.rs.
-- KEYS: account
-- ARGV: now, client, whether the client is known, TTL of a failure, then the wait in ms after 0
-- failures, after 1 failure and so on
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
  -- Four fields of the hash belong to the account itself. Each other field belongs to a client.
  if faded_at == 0 and redis.call('HLEN', KEYS[1]) <= 4 then
    redis.call('DEL', KEYS[1])
  end
else
  local record = {whole(failures), whole(counted), whole(wait_until), ends, proven_until, open_before, '0'}
  redis.call('HSET', KEYS[1], client, table.concat(record, ' '))
end
return 1
