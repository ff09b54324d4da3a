-- Opens a session. If the user then has too many sessions, the sessions with the oldest last
-- refresh end.
-- KEYS: session, sessions
-- ARGV: now, greatest number of sessions, sid, prefix of the user's session keys, time in ms for
-- which the session is kept, seen_at, record, number of characters of a MAC
--
-- The script builds the keys of the sessions that end, because only the script knows which sessions
-- end. All these keys have the user's hash tag.
local now, most, sid, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local keep = tonumber(ARGV[5])

local function drop(other)
  redis.call('DEL', prefix .. other)
  redis.call('ZREM', KEYS[2], other)
end

-- The MAC of a record is not checked here, because the record only decides whether it is deleted.
local function has_expired(record)
  local is_json, stored = pcall(cjson.decode, string.sub(record or '', ARGV[8] + 1))
  return not is_json or stored.session.expires_at <= now
end

if not redis.call('ZSCORE', KEYS[2], sid) and redis.call('ZCARD', KEYS[2]) >= most then
  for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local is_read, expired = pcall(has_expired, redis.call('GET', prefix .. other))
    if not is_read or expired then
      drop(other)
    end
  end
  local surplus = redis.call('ZCARD', KEYS[2]) - most + 1
  if surplus > 0 then
    for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, surplus - 1)) do
      drop(other)
    end
  end
end

redis.call('ZADD', KEYS[2], ARGV[6], sid)
redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[5])
if redis.call('PTTL', KEYS[2]) < keep then
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return 1
