-- Replaces a record, if it is still the expected one (compare-and-set).
-- KEYS: record, and for a session the list of the user's sessions
-- ARGV: expected record or an empty text, new record, time in ms for which it is kept, deadline
-- according to the server's clock or 0, and for a session its sid and seen_at
-- Returns: the result, the record that was found, and the server's time in ms.

-- If the deadline has passed, the call has waited in the socket of a stalled server, and its caller
-- has already received 503. If the token of a session were rotated now, the client's next refresh
-- would look like the use of a stolen token.
local clock = redis.call('TIME')
local here = math.floor(tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000)
if tonumber(ARGV[4]) > 0 and here > tonumber(ARGV[4]) then
  return {'late', '', here}
end

local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then
  return {'found', found, here}
end
if KEYS[2] then
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
  if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {'replaced', '', here}
