-- The rings of refused deliveries in a partition, without what is in them.
-- KEYS: rejected:rings    ARGV: what a ring's key begins with
-- Gives {ring, how many it holds, stream id of the newest one…} for each that holds any.
local answer = {}
for _, ring in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local count = redis.call('XLEN', ARGV[1] .. ring)
  if count > 0 then
    local info = redis.call('XINFO', 'STREAM', ARGV[1] .. ring)
    for at = 1, #info, 2 do
      if info[at] == 'last-generated-id' then
        answer[#answer + 1] = {ring, count, info[at + 1]}
      end
    end
  end
end
return answer
