-- Settle the head of a lane: done, later or dead. Counts only with the current fence number.
-- KEYS: due set, lane hash, queue, work hash, pins, dead, dead:records
-- ARGV: lane, fence, work id, verdict, delay in milliseconds, error, dead letter id, its record,
--   its time in milliseconds, 1 if a dead one blocks the lane, seconds to keep what is done
-- Gives 1, or 0 if the lease had passed to another.
local lane, fence, id, verdict = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', KEYS[2], 'fence') ~= fence then return 0 end
if redis.call('LINDEX', KEYS[3], 0) ~= id then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3)
local millis = string.format('%.0f', now)
redis.call('HSET', KEYS[4], 'at', millis, 'error', ARGV[6])
if verdict == 'later' then
  redis.call('HSET', KEYS[4], 'state', 'later')
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[5])), lane)
  return 1
end
redis.call('HSET', KEYS[4], 'state', verdict)
if verdict == 'dead' then
  redis.call('ZADD', KEYS[6], ARGV[9], ARGV[7])
  redis.call('HSET', KEYS[7], ARGV[7], ARGV[8])
  if ARGV[10] == '1' then
    redis.call('HSET', KEYS[2], 'blocked', id)
    redis.call('ZREM', KEYS[1], lane)
    return 1
  end
else
  redis.call('EXPIRE', KEYS[4], ARGV[11])
  redis.call('ZREM', KEYS[5], id)
end
redis.call('LPOP', KEYS[3])
if redis.call('LLEN', KEYS[3]) > 0 then
  redis.call('ZADD', KEYS[1], millis, lane)
else
  redis.call('ZREM', KEYS[1], lane)
  redis.call('DEL', KEYS[2])
end
return 1
