-- Admits one more try of a password and counts it: ladder.rs `admit`, word for word.
-- KEYS: account, source
-- ARGV: now, captcha, first and last failure with a captcha, most failures, ms a source is kept, ms an account is kept for each
-- failure, ms it is kept when closed, ms of slack, then the wait in ms after each failure, from none on
-- Answers a verdict and ms to wait.
local now = tonumber(ARGV[1])
local it = redis.call('HMGET', KEYS[1], 'failures', 'era', 'kept_until')
local total, era, kept = 0, '0', 0
if it[3] and tonumber(it[3]) > now then
  total, era, kept = tonumber(it[1]), it[2], tonumber(it[3])
end
local of = redis.call('HMGET', KEYS[2], 'failures', 'era', 'wait_until', 'kept_until')
local failures, wait_until = 0, 0
if of[4] and tonumber(of[4]) > now and of[2] == era then
  failures, wait_until = tonumber(of[1]), tonumber(of[3])
end

local most = tonumber(ARGV[5])
if total >= most then
  return {'wait', string.format('%.0f', kept - now)}
end
local waits = true
if failures >= tonumber(ARGV[3]) and failures <= tonumber(ARGV[4]) then
  if ARGV[2] == 'missing' then
    return {'captcha', '0'}
  end
  waits = ARGV[2] ~= 'solved'
end
if waits and wait_until > now then
  return {'wait', string.format('%.0f', wait_until - now)}
end

total, failures = total + 1, failures + 1
local keep = tonumber(ARGV[7]) * total
if total >= most then
  keep = tonumber(ARGV[8])
end
kept = math.max(kept, now + keep)
local wait = tonumber(ARGV[math.min(10 + failures, #ARGV)])
local function whole(number) return string.format('%.0f', number) end
redis.call('HSET', KEYS[1], 'failures', whole(total), 'era', era, 'kept_until', whole(kept))
redis.call('PEXPIRE', KEYS[1], whole(kept - now + tonumber(ARGV[9])))
redis.call('HSET', KEYS[2], 'failures', whole(failures), 'era', era, 'wait_until', whole(now + wait),
  'kept_until', whole(now + tonumber(ARGV[6])))
redis.call('PEXPIRE', KEYS[2], whole(tonumber(ARGV[6]) + tonumber(ARGV[9])))
return {'admitted', '0'}
