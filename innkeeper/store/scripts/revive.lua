-- Take the work behind a dead letter up again, or let it go.
-- KEYS: due set, lane hash, queue, work hash, pins, dead, dead:records
-- ARGV: lane, work id, dead letter id, 'requeue' or 'drop', seconds to keep what is dropped
-- Gives 1, or 0 if there is no such dead letter.
local lane, id = ARGV[1], ARGV[2]
if redis.call('ZREM', KEYS[6], ARGV[3]) == 0 then return 0 end
redis.call('HDEL', KEYS[7], ARGV[3])
local time = redis.call('TIME')
local millis = string.format('%.0f', tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3))
local blocks = redis.call('HGET', KEYS[2], 'blocked') == id
if blocks then redis.call('HDEL', KEYS[2], 'blocked') end
if ARGV[4] == 'requeue' then
  redis.call('HSET', KEYS[4], 'state', 'waiting', 'attempts', 0, 'error', '')
  redis.call('HDEL', KEYS[4], 'first_at', 'lost')
  if not blocks then redis.call('RPUSH', KEYS[3], id) end
else
  redis.call('HSET', KEYS[4], 'state', 'dropped', 'at', millis)
  redis.call('EXPIRE', KEYS[4], ARGV[5])
  redis.call('ZREM', KEYS[5], id)
  if blocks then redis.call('LPOP', KEYS[3]) end
end
if redis.call('LLEN', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[2])
elseif redis.call('HEXISTS', KEYS[2], 'blocked') == 0 then
  redis.call('ZADD', KEYS[1], 'NX', millis, lane)
end
return 1
