-- Drop a slice of a log's oldest entries: none past the cursor, none that is pinned, none younger
-- than a limit unless more bytes are held than allowed.
-- KEYS: log, cursor, pins, counts, outcomes, events, bodies
-- ARGV: youngest time to drop (milliseconds), most bytes to keep, most entries and most bytes to
--   drop at once
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
  if freed >= tonumber(ARGV[4]) then break end
  for j = 1, #fields do freed = freed + #fields[j] end
  freed = freed + redis.call('HSTRLEN', KEYS[6], fields[2]) + redis.call('HSTRLEN', KEYS[7], fields[2])
  entries[i], deliveries[i] = id, fields[2]
end
if #entries == 0 then return 0 end
redis.call('XDEL', KEYS[1], unpack(entries))
for i = 5, 7 do redis.call('HDEL', KEYS[i], unpack(deliveries)) end
redis.call('HINCRBY', KEYS[4], 'trimmed', #entries)
redis.call('HINCRBY', KEYS[4], 'bytes', -freed)
return #entries
