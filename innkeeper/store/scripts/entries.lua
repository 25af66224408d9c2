-- A slice of a log as it lies there, oldest first, and the cursor at that moment.
-- KEYS: log, cursor, events, bodies, outcomes    ARGV: start, most entries
-- Gives {cursor, {{stream id, own id, instance, outcome or '', bytes of its fields, of its event, of
-- its body}…}}.
local slice = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local found = {}
for i = 1, #slice do
  local id, fields, size = slice[i][1], slice[i][2], 0
  for j = 1, #fields do size = size + #fields[j] end
  local own = fields[2]
  found[i] = {
    id, own, fields[6], redis.call('HGET', KEYS[5], own) or '', size,
    redis.call('HSTRLEN', KEYS[3], own), redis.call('HSTRLEN', KEYS[4], own),
  }
end
return {redis.call('GET', KEYS[2]) or '0-0', found}
