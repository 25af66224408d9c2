-- Lines of the register with their places in all indexes, each of one moment.
-- KEYS: instance prefix, by:id, by:created, by:updated, by:status prefix, by:policy, policy prefix,
--   transitions prefix    ARGV: number of statuses, the statuses, then the instances
-- Gives for each {record, created, updated, entry, place in by:id, by:created, by:updated, by:policy,
-- policies, number of transitions, status…}; '' where there is none.
local count, found = tonumber(ARGV[1]), {}
for i = count + 2, #ARGV do
  local name = ARGV[i]
  local one = redis.call('HMGET', KEYS[1] .. name, 'record', 'created', 'updated', 'entry')
  for j = 2, 4 do one[#one + 1] = redis.call('ZSCORE', KEYS[j], name) end
  one[#one + 1] = redis.call('ZSCORE', KEYS[6], name)
  one[#one + 1] = redis.call('GET', KEYS[7] .. name)
  for j = 1, #one do one[j] = one[j] or '' end
  one[#one + 1] = redis.call('LLEN', KEYS[8] .. name)
  for j = 2, count + 1 do
    if redis.call('ZSCORE', KEYS[5] .. ARGV[j], name) then one[#one + 1] = ARGV[j] end
  end
  found[#found + 1] = one
end
return found
