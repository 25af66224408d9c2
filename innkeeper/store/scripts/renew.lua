-- Lengthen a lease, if the fence number is still the current one.
-- KEYS: due set, lane hash    ARGV: lane, fence, lease in milliseconds
if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3)
redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
return 1
