-- Exchange sealed values for the same sealed anew, each only if it is still the one that was read.
-- KEYS: hash; or string    ARGV: for each value its field ('' for the string), the first bytes of
--   the one that was read, of which no two have the same, and the new one
-- Gives how many were exchanged.
local count = 0
for i = 1, #ARGV, 3 do
  local field, head, new = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local held
  if field == '' then
    held = redis.call('GET', KEYS[1])
  else
    held = redis.call('HGET', KEYS[1], field)
  end
  if held and string.sub(held, 1, #head) == head then
    if field == '' then
      redis.call('SET', KEYS[1], new)
    else
      redis.call('HSET', KEYS[1], field, new)
    end
    count = count + 1
  end
end
return count
