-- Admits one more attempt and counts it as a failure. The rules are the same as in `admit` of
-- back_off.rs.
-- KEYS: account
-- ARGV: now, client, whether the client is known, whether a captcha is available, whether a captcha
-- replaces waits, difficulty of the solved captcha, whether a record may be added, first and last
-- number of failures for which a captcha replaces the wait, cap, wait at the cap, step of the wait
-- beyond the cap, greatest difficulty, TTL of a client, TTL of a failure, slack in ms, whether
-- failures outlive clients, then the wait in ms after 0 failures, after 1 failure and so on
-- Returns: the verdict and a number. The number is the wait in ms, the difficulty of the captcha,
-- or the number of the account's failures.
local now, client, known = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local available, replaces, solved = ARGV[4] == '1', ARGV[5] == '1', tonumber(ARGV[6])
local cap, ttl = tonumber(ARGV[10]), tonumber(ARGV[15])
local it = redis.call('HMGET', KEYS[1], 'faded_at', 'open_at', 'allowance', client, 'expires_at')
-- The record has expired or has another format.
if not it[5] or tonumber(it[5]) <= now then
  redis.call('DEL', KEYS[1])
  it = {}
end
if not it[5] and ARGV[7] ~= '1' then
  return {'full', '0'}
end
local faded_at, open_at, allowance = tonumber(it[1] or 0), tonumber(it[2] or 0), tonumber(it[3] or 0)
local own = {0, 0, 0, 0, 0, 0, 0}
if it[4] then
  local found = {string.match(it[4], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')}
  -- If the value is not a record, this line raises an error, and no attempt is admitted.
  if tonumber(found[4]) > now then
    for n = 1, 7 do
      own[n] = tonumber(found[n])
    end
  end
end

local function failures_at(faded)
  return math.min(math.ceil(math.max(faded - now, 0) / ttl), 2 * cap)
end
local counts = not known and own[5] <= now
local failures = failures_at(faded_at)
local wait_until, difficulty, uses = own[3], 0, false
if counts and failures >= cap then
  if own[1] == 0 and allowance > 0 then
    uses = true
  else
    wait_until = math.max(wait_until, open_at)
    if available then
      difficulty = math.min(failures - cap + 1, tonumber(ARGV[13]))
    end
  end
elseif replaces and not known and own[1] >= tonumber(ARGV[8]) and own[1] <= tonumber(ARGV[9]) then
  if solved == 0 then
    return {'captcha', '1'}
  end
  wait_until = now
end
local function whole(number) return string.format('%.0f', number) end
if wait_until > now then
  return {'wait', whole(wait_until - now)}
end
if solved < difficulty then
  return {'captcha', whole(difficulty)}
end

own[1] = own[1] + 1
-- 2^53 - 1 is later than every real time. So if an attempt that does not count is cancelled, the
-- account is not opened earlier.
own[6], own[7] = counts and open_at or 9007199254740991, uses and 1 or 0
own[3] = now + tonumber(ARGV[math.min(18 + own[1], #ARGV)])
own[4] = math.max(now + tonumber(ARGV[14]), own[5])
if counts then
  faded_at = math.min(math.max(faded_at, now) + ttl, now + 2 * cap * ttl)
  failures = failures_at(faded_at)
  own[2] = math.min(own[2] + 1, failures)
  if failures >= cap then
    local wait = tonumber(ARGV[11])
    if failures > cap and available then
      wait = math.min(tonumber(ARGV[12]) * (failures - cap), wait)
    end
    open_at = math.max(open_at, now + wait)
  end
end
if uses then
  allowance = allowance - 1
end
local record = {}
for n = 1, 7 do
  record[n] = whole(own[n])
end
local outlives = ARGV[17] == '1' and faded_at or 0
local expires_at = math.max(tonumber(it[5] or 0), outlives, now + tonumber(ARGV[14]))
redis.call('HSET', KEYS[1], 'faded_at', whole(faded_at), 'open_at', whole(open_at), 'allowance', whole(allowance),
  'expires_at', whole(expires_at), client, table.concat(record, ' '))
if redis.call('HLEN', KEYS[1]) > 128 then
  local all = redis.call('HGETALL', KEYS[1])
  local oldest, oldest_ends
  for at = 1, #all, 2 do
    local id = all[at]
    local ends, proven = string.match(all[at + 1], '^%d+ %d+ %d+ (%d+) (%d+) %d+ %d+$')
    ends, proven = tonumber(ends), tonumber(proven)
    if ends and ends <= now then
      redis.call('HDEL', KEYS[1], id)
    elseif ends and id ~= client and proven <= now
      and (not oldest or ends < oldest_ends or (ends == oldest_ends and id < oldest)) then
      oldest, oldest_ends = id, ends
    end
  end
  -- An attacker with many addresses must not make the record large.
  if oldest and redis.call('HLEN', KEYS[1]) > 128 then
    redis.call('HDEL', KEYS[1], oldest)
  end
end
redis.call('PEXPIRE', KEYS[1], whole(expires_at - now + tonumber(ARGV[16])))
return {'admitted', whole(failures)}
