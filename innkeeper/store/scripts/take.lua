-- Hand out the head of the lane that has been due longest, with a fence number and a lease.
-- KEYS: due set, fence, lane prefix, queue prefix, work prefix    ARGV: lease in milliseconds
-- Gives {lane, fence, work id, {field, value…}, 1 if more is due}, or nothing.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3)
while true do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 2)
  if #due == 0 then return nil end
  local lane = due[1]
  local head = redis.call('LINDEX', KEYS[4] .. lane, 0)
  if head then
    local fence = redis.call('INCR', KEYS[2])
    local work = KEYS[5] .. head
    redis.call('HSET', KEYS[3] .. lane, 'fence', fence)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), lane)
    redis.call('HINCRBY', work, 'attempts', 1)
    redis.call('HSETNX', work, 'first_at', string.format('%.0f', now))
    -- Running, and nobody holds it: whoever ran it has never settled it.
    if redis.call('HGET', work, 'state') == 'running' then redis.call('HINCRBY', work, 'lost', 1) end
    redis.call('HSET', work, 'state', 'running')
    return {lane, fence, head, redis.call('HGETALL', work), #due - 1}
  end
  redis.call('ZREM', KEYS[1], lane)
end
