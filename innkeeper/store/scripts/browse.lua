-- A slice of a partition's log without its encrypted parts, newest first, or oldest first.
-- KEYS: log, outcomes
-- ARGV: start (stream id, '+' or '-'), most entries, readable fields (the first), 'oldest' or ''
-- Gives {{stream id, outcome or '', value…}…}.
local command, to = 'XREVRANGE', '-'
if ARGV[4] == 'oldest' then command, to = 'XRANGE', '+' end
local slice = redis.call(command, KEYS[1], ARGV[1], to, 'COUNT', ARGV[2])
local found = {}
for i = 1, #slice do
  local fields = slice[i][2]
  local entry = {slice[i][1], redis.call('HGET', KEYS[2], fields[2]) or ''}
  for j = 1, tonumber(ARGV[3]) do entry[j + 2] = fields[j * 2] end
  found[i] = entry
end
return found
