-- Lines of the register with their bases and encrypted secrets, as they belong together.
-- KEYS: instance prefix, base, secrets prefix, cursor    ARGV: instances
-- Gives {cursor, for each {record or '', created or '', base or '', {field, value…}}}.
local found = {}
for i = 1, #ARGV do
  found[i] = {
    redis.call('HGET', KEYS[1] .. ARGV[i], 'record') or '',
    redis.call('HGET', KEYS[1] .. ARGV[i], 'created') or '',
    redis.call('HGET', KEYS[2], ARGV[i]) or '',
    redis.call('HGETALL', KEYS[3] .. ARGV[i]),
  }
end
return {redis.call('GET', KEYS[4]) or '0-0', found}
