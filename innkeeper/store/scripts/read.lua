-- Entries after the cursor, without the captured bytes, which no fold needs.
-- KEYS: log, cursor    ARGV: most entries, most bytes, fields a fold needs (the first ones)
-- Gives {cursor, {{stream id, value, value…}…}}.
local cursor = redis.call('GET', KEYS[2]) or '0-0'
local most, bytes, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local from, found = '(' .. cursor, {}
while #found < most and bytes > 0 do
  local slice = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(20, most - #found))
  if #slice == 0 then break end
  for i = 1, #slice do
    local fields, entry = slice[i][2], {slice[i][1]}
    for j = 1, wanted do
      entry[j + 1] = fields[j * 2]
      bytes = bytes - #fields[j * 2]
    end
    found[#found + 1] = entry
    if bytes <= 0 then break end
  end
  from = '(' .. slice[#slice][1]
end
return {cursor, found}
