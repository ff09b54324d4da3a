-- Writes and reads one key of each type, and sets its expiry. This script uses every command of the
-- other scripts in the same way as they do. So if the server refuses the other scripts, for example
-- because of its memory or its ACL, it also refuses this script.
-- KEYS: hash, sorted set, string
-- ARGV: value, time in ms for which the keys are kept
-- Returns: the value that was read back.
redis.call('TIME')

redis.call('HSET', KEYS[1], 'value', ARGV[1], 'gone', '1')
redis.call('HDEL', KEYS[1], 'gone')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('HGETALL', KEYS[1])
redis.call('HLEN', KEYS[1])
local seen = redis.call('HMGET', KEYS[1], 'value')

redis.call('ZADD', KEYS[2], 1, ARGV[1])
redis.call('ZSCORE', KEYS[2], ARGV[1])
redis.call('ZCARD', KEYS[2])
redis.call('ZRANGE', KEYS[2], 0, -1)
redis.call('ZREM', KEYS[2], ARGV[1])

redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('PTTL', KEYS[3])
redis.call('GET', KEYS[3])
redis.call('DEL', KEYS[3])
return seen[1]
