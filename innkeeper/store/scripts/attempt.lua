-- Count an attempt within a sliding window, unless there are too many in it.
-- KEYS: list of times, newest first    ARGV: window in milliseconds, at most
-- The list never holds more than `at most`: what is refused is not counted, so that whoever tries
-- again and again is let in once the oldest is a window old.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3)
local window, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = 0
for _, at in ipairs(redis.call('LRANGE', KEYS[1], 0, most - 1)) do
  if tonumber(at) > now - window then count = count + 1 end
end
if count >= most then return count + 1 end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, most - 1)
redis.call('PEXPIRE', KEYS[1], window)
return count + 1
