-- Keep a refused delivery in its ring, and drop the oldest while the ring is over its bounds.
-- KEYS: ring, rejected:bytes, rejected:rings
-- ARGV: ring's name, id, sealed refusal, most entries, most bytes, most seconds
local ring, name = KEYS[1], ARGV[1]
redis.call('XADD', ring, '*', 'id', ARGV[2], 'sealed', ARGV[3])
redis.call('SADD', KEYS[3], name)
local bytes = redis.call('HINCRBY', KEYS[2], name, #ARGV[3])
local count = redis.call('XLEN', ring)
local oldest_allowed = (tonumber(redis.call('TIME')[1]) - tonumber(ARGV[6])) * 1000
while count > 1 do
  local oldest = redis.call('XRANGE', ring, '-', '+', 'COUNT', 1)[1]
  local old = tonumber(string.match(oldest[1], '^%d+')) < oldest_allowed
  if not old and count <= tonumber(ARGV[4]) and bytes <= tonumber(ARGV[5]) then break end
  redis.call('XDEL', ring, oldest[1])
  bytes = redis.call('HINCRBY', KEYS[2], name, -#oldest[2][4])
  count = count - 1
end
return count
