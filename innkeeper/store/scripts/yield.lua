-- Delete a key, if it still holds the value that the caller knows.
-- KEYS: key    ARGV: value
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
