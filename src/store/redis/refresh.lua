-- Rotates the token of a session. The rules are the same as in `refresh` of rules.rs.
-- KEYS: session, sessions
-- ARGV: now, sid, jti, generation, next jti, idle end, grace period in ms, IP address, user agent,
-- slack in ms, deadline according to the server's clock or 0, client key, maximum of recoveries in
-- a row
-- Returns: the verdict, the fields of the session, and the server's time in ms.
local now, generation = tonumber(ARGV[1]), tonumber(ARGV[4])

-- If the deadline has passed, the call has waited in the socket of a stalled server, and its caller
-- has already received 503. If the token were rotated now, the client's next refresh would look
-- like the use of a stolen token.
local clock = redis.call('TIME')
local here = math.floor(tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000)
if tonumber(ARGV[11]) > 0 and here > tonumber(ARGV[11]) then
  return {'late', {}, here}
end

local it = redis.call('HMGET', KEYS[1],
  'jti', 'generation', 'previous_jti', 'rotated_at', 'expires_at', 'absolute_end', 'reused',
  'client', 'used', 'recovered', 'recoveries')
-- A hash without `client` was written by an earlier development version.
if not it[5] or not it[8] or tonumber(it[5]) <= now then
  return {'gone', {}, here}
end
local stored = tonumber(it[2])
if it[7] then
  return {'reused', redis.call('HGETALL', KEYS[1]), here}
end
if generation > stored or (generation == stored and ARGV[3] ~= it[1]) then
  return {'ahead', {}, here}
end

local used, recovered, recoveries = it[9] == '1', it[10] == '1', tonumber(it[11])

local function reused()
  redis.call('HSET', KEYS[1], 'reused', '1')
  return {'reused', redis.call('HGETALL', KEYS[1]), here}
end

if generation < stored then
  local is_previous = generation + 1 == stored and ARGV[3] == it[3]
  local in_grace = now - tonumber(it[4]) <= tonumber(ARGV[7])
  if not is_previous or (used and not in_grace) then
    return reused()
  end
  if in_grace and ARGV[12] == it[8] then
    return {'current', redis.call('HGETALL', KEYS[1]), here}
  end
  if not recovered then
    if recoveries >= tonumber(ARGV[13]) then
      return reused()
    end
    redis.call('HSET', KEYS[1],
      'recovered', '1', 'recoveries', string.format('%.0f', recoveries + 1), 'fresh', '0')
  end
  return {'recovered', redis.call('HGETALL', KEYS[1]), here}
end

local ends = math.min(tonumber(ARGV[6]), tonumber(it[6]))
local keep = string.format('%.0f', math.max(ends - now, 0) + tonumber(ARGV[10]))
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1],
  'jti', ARGV[5], 'generation', string.format('%.0f', stored + 1), 'previous_jti', it[1],
  'rotated_at', ARGV[1], 'seen_at', ARGV[1], 'expires_at', string.format('%.0f', ends),
  'ip', ARGV[8], 'user_agent', ARGV[9], 'client', ARGV[12], 'used', '0', 'recovered', '0',
  'recoveries', string.format('%.0f', recovered and recoveries or 0))
redis.call('PEXPIRE', KEYS[1], keep)
if redis.call('PTTL', KEYS[2]) < tonumber(keep) then
  redis.call('PEXPIRE', KEYS[2], keep)
end
return {'rotated', redis.call('HGETALL', KEYS[1]), here}
