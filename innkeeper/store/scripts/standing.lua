-- How a partition stands, for whoever is on call.
-- KEYS: counts, log, cursor, dead, pins, by:id, trouble, due:perform, due:marketplaces, last
-- ARGV: the partition's number, how many pins are looked through for the oldest work
-- Gives {microseconds now, {counter, value…}, stream id of the first entry behind the cursor or '',
--   instances, dead letters, unfinished or dead, the entry's time of the oldest unfinished work or
--   -1, lanes due to perform, to the marketplaces, trouble or '', {app, time of its last delivery…}}.
local time = redis.call('TIME')
local behind = redis.call('XRANGE', KEYS[2], '(' .. (redis.call('GET', KEYS[3]) or '0-0'), '+', 'COUNT', 1)

-- Dead letters are pinned as well: an entry's under its own id, work's under the id of the work.
local function is_dead(id)
  return redis.call('ZSCORE', KEYS[4], id) or redis.call('ZSCORE', KEYS[4], ARGV[1] .. '-' .. id)
end

local oldest = '-1'
local pins = redis.call('ZRANGE', KEYS[5], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
for at = 1, #pins, 2 do
  -- Behind that many dead ones: work that is no older than the last of them.
  if not is_dead(pins[at]) or at + 1 == 2 * tonumber(ARGV[2]) then
    oldest = pins[at + 1]
    break
  end
end
if redis.call('ZCARD', KEYS[5]) == redis.call('ZCARD', KEYS[4]) then oldest = '-1' end

return {
  string.format('%.0f', tonumber(time[1]) * 1e6 + tonumber(time[2])),
  redis.call('HGETALL', KEYS[1]),
  behind[1] and behind[1][1] or '',
  redis.call('ZCARD', KEYS[6]),
  redis.call('ZCARD', KEYS[4]),
  redis.call('ZCARD', KEYS[5]),
  oldest,
  redis.call('ZCARD', KEYS[8]),
  redis.call('ZCARD', KEYS[9]),
  redis.call('GET', KEYS[7]) or '',
  redis.call('ZRANGE', KEYS[10], 0, -1, 'WITHSCORES'),
}
