-- How a partition's log stands, all of one moment.
-- KEYS: log, cursor, counts, events, bodies, outcomes
-- Gives {{count, value…}, entries, cursor, stream id of the last, events, bodies, outcomes}.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {
  redis.call('HGETALL', KEYS[3]),
  redis.call('XLEN', KEYS[1]),
  redis.call('GET', KEYS[2]) or '0-0',
  last and last[1] or '0-0',
  redis.call('HLEN', KEYS[4]),
  redis.call('HLEN', KEYS[5]),
  redis.call('HLEN', KEYS[6]),
}
