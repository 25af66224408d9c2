-- What a partition has to do.
-- KEYS: log, cursor, due sets…
-- Gives {1 if entries lie behind the cursor, for each due set {1 if anything is due, its first
-- time in milliseconds or -1}}.
local behind = redis.call('XRANGE', KEYS[1], '(' .. (redis.call('GET', KEYS[2]) or '0-0'), '+', 'COUNT', 1)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e3 + tonumber(time[2]) / 1e3
local answer = {#behind}
for i = 3, #KEYS do
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  local when = tonumber(first[2] or -1)
  answer[#answer + 1] = {(#first > 0 and when <= now) and 1 or 0, string.format('%.0f', when)}
end
return answer
