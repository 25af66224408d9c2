-- A slice of a partition's log without its sealed parts, newest first, or oldest first.
-- KEYS: log, outcomes    ARGV: start (stream id, '+' or '-'), most entries, 'oldest' or ''
-- Gives {{stream id, outcome or '', value…}…}.
local command, to = 'XREVRANGE', '-'
if ARGV[3] == 'oldest' then command, to = 'XRANGE', '+' end
local slice = redis.call(command, KEYS[1], ARGV[1], to, 'COUNT', ARGV[2])
local found = {}
for i = 1, #slice do
  local fields = slice[i][2]
  local entry = {slice[i][1], redis.call('HGET', KEYS[2], fields[2]) or ''}
  for j = 2, #fields, 2 do entry[#entry + 1] = fields[j] end
  found[i] = entry
end
return found
