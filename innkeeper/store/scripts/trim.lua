-- Drop a slice of a log's oldest entries: none past the cursor, none that is pinned, none younger
-- than a limit unless more bytes are held than allowed.
-- KEYS: log, cursor, pins, counts, outcomes
-- ARGV: youngest time to drop (milliseconds), most bytes to keep, most entries to look at
-- Gives how many went.
local cursor = redis.call('GET', KEYS[2]) or '0-0'
local pin = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local held = tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0)
local slice = redis.call('XRANGE', KEYS[1], '-', cursor, 'COUNT', ARGV[3])
local entries, deliveries, freed = {}, {}, 0
for i = 1, #slice do
  local id, fields = slice[i][1], slice[i][2]
  local millis = tonumber(string.match(id, '^%d+'))
  if #pin > 0 and millis >= tonumber(pin[2]) then break end
  if millis >= tonumber(ARGV[1]) and held - freed <= tonumber(ARGV[2]) then break end
  for j = 1, #fields do freed = freed + #fields[j] end
  entries[i], deliveries[i] = id, fields[2]
end
if #entries == 0 then return 0 end
redis.call('XDEL', KEYS[1], unpack(entries))
redis.call('HDEL', KEYS[5], unpack(deliveries))
redis.call('HINCRBY', KEYS[4], 'trimmed', #entries)
redis.call('HINCRBY', KEYS[4], 'bytes', -freed)
return #entries
