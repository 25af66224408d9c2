-- Drop entries of a forgotten instance from the log, and count them on its tombstone.
-- KEYS: log, events, bodies, outcomes, counts, forgotten
-- ARGV: digest of the instance's name, when it was forgotten, then for each entry its stream id and
--   its delivery
-- Gives how many went.
local count, freed = 0, 0
for i = 3, #ARGV, 2 do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    for j = 1, #entry[2] do freed = freed + #entry[2][j] end
    for k = 2, 3 do freed = freed + redis.call('HSTRLEN', KEYS[k], ARGV[i + 1]) end
    redis.call('XDEL', KEYS[1], ARGV[i])
    for k = 2, 4 do redis.call('HDEL', KEYS[k], ARGV[i + 1]) end
    count = count + 1
  end
end
if count > 0 then
  redis.call('HINCRBY', KEYS[5], 'forgotten', count)
  redis.call('HINCRBY', KEYS[5], 'bytes', -freed)
end
local known = redis.call('HGET', KEYS[6], ARGV[1])
local entries = count + (known and cjson.decode(known).entries or 0)
redis.call('HSET', KEYS[6], ARGV[1], cjson.encode({at = ARGV[2], entries = entries}))
return count
