-- Entries after the cursor, with their sealed events and without the bodies, which no fold needs.
-- KEYS: log, cursor, events    ARGV: most entries, most bytes of events
-- Gives {cursor, {{stream id, sealed event, value…}…}}.
local cursor = redis.call('GET', KEYS[2]) or '0-0'
local bytes, found = tonumber(ARGV[2]), {}
local slice = redis.call('XRANGE', KEYS[1], '(' .. cursor, '+', 'COUNT', ARGV[1])
for i = 1, #slice do
  local fields = slice[i][2]
  local event = redis.call('HGET', KEYS[3], fields[2])
  local entry = {slice[i][1], event}
  for j = 2, #fields, 2 do entry[#entry + 1] = fields[j] end
  found[i] = entry
  bytes = bytes - #event
  if bytes <= 0 then break end
end
return {cursor, found}
