-- Drop a log's oldest entries and leave what they come to in the bases of their instances: all of
-- it, or nothing where the log no longer begins with them or one of them is pinned by now.
-- KEYS: log, pins, counts, outcomes, events, bodies, base, instance prefix
-- ARGV: number of entries, their stream ids, then instance by instance its name, its base, '' for
--   none, and when its line was made
-- Gives how many went.
local count = tonumber(ARGV[1])
local last = ARGV[count + 1]
local slice = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', count)
if #slice ~= count then return 0 end

local function numbers(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms or 0), tonumber(seq or 0)
end

local last_ms, last_seq = numbers(last)
local pin = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if #pin > 0 and last_ms >= tonumber(pin[2]) then return 0 end
local deliveries, freed = {}, 0
for i = 1, count do
  local id, fields = slice[i][1], slice[i][2]
  if id ~= ARGV[i + 1] then return 0 end
  for j = 1, #fields do freed = freed + #fields[j] end
  freed = freed + redis.call('HSTRLEN', KEYS[5], fields[2]) + redis.call('HSTRLEN', KEYS[6], fields[2])
  deliveries[i] = fields[2]
end

for i = count + 2, #ARGV, 3 do
  local name, base = ARGV[i], ARGV[i + 1]
  local line = redis.call('HMGET', KEYS[8] .. name, 'entry', 'created')
  local ms, seq = numbers(line[1] or '0-0')
  -- A base is kept while the log holds newer entries; else the line itself tells as much. One that
  -- was forgotten meanwhile, and may have come back since, has none.
  local newer = ms > last_ms or (ms == last_ms and seq > last_seq)
  if base ~= '' and newer and line[2] == ARGV[i + 2] then
    redis.call('HSET', KEYS[7], name, base)
  else
    redis.call('HDEL', KEYS[7], name)
  end
end
redis.call('XDEL', KEYS[1], unpack(ARGV, 2, count + 1))
for i = 4, 6 do redis.call('HDEL', KEYS[i], unpack(deliveries)) end
redis.call('HINCRBY', KEYS[3], 'trimmed', count)
redis.call('HINCRBY', KEYS[3], 'bytes', -freed)
return count
