-- Lengthen a lease, if it still is the caller's.
-- KEYS: lease    ARGV: holder, milliseconds
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
