-- Put a ring of refused deliveries that was sealed anew in the place of the one that was read,
-- unless anything has come in or gone out since.
-- KEYS: ring, the new one    ARGV: entries read, the ring's last id when it was read
-- Gives 1, or 0 if the ring has changed.
local found = redis.call('XINFO', 'STREAM', KEYS[1])
local now = {}
for i = 1, #found, 2 do now[found[i]] = found[i + 1] end
if now['length'] ~= tonumber(ARGV[1]) or now['last-generated-id'] ~= ARGV[2] then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('PERSIST', KEYS[1])
return 1
