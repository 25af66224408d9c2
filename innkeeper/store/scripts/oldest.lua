-- A slice of a log's oldest entries that may go: none past the cursor, none that is pinned, none
-- younger than a limit unless more bytes are held than allowed.
-- KEYS: log, cursor, pins, counts, outcomes, events, bodies, base, instance prefix
-- ARGV: youngest time to drop (milliseconds), most bytes to keep, most entries and most bytes to
--   drop at once
-- Gives {{stream id, sealed event or '', outcome or '', value…}…} and {instance, its base or '', when
-- its line was made or ''…} of those that the entries are about.
local cursor = redis.call('GET', KEYS[2]) or '0-0'
local pin = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local held = tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0)
local slice = redis.call('XRANGE', KEYS[1], '-', cursor, 'COUNT', ARGV[3])
local found, asked, about, freed = {}, {}, {}, 0
for i = 1, #slice do
  local id, fields = slice[i][1], slice[i][2]
  local millis = tonumber(string.match(id, '^%d+'))
  if #pin > 0 and millis >= tonumber(pin[2]) then break end
  if millis >= tonumber(ARGV[1]) and held - freed <= tonumber(ARGV[2]) then break end
  if freed >= tonumber(ARGV[4]) then break end
  local own, name = fields[2], fields[6]
  local event = redis.call('HGET', KEYS[6], own) or ''
  for j = 1, #fields do freed = freed + #fields[j] end
  freed = freed + #event + redis.call('HSTRLEN', KEYS[7], own)
  local entry = {id, event, redis.call('HGET', KEYS[5], own) or ''}
  for j = 2, #fields, 2 do entry[#entry + 1] = fields[j] end
  found[i] = entry
  if not asked[name] then
    about[#about + 1] = name
    about[#about + 1] = redis.call('HGET', KEYS[8], name) or ''
    about[#about + 1] = redis.call('HGET', KEYS[9] .. name, 'created') or ''
    asked[name] = true
  end
end
return {found, about}
