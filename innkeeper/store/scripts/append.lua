-- Append deliveries to a partition's log, each at most once.
-- KEYS: log, counts, claims prefix (the buckets share its slot)
-- ARGV: period length in seconds, number of fields an entry, then for each delivery:
--   own id (16 bytes), expires_at (seconds, 0: never), number of claims, the claims, the entry's
--   field names and values (the first of which is the own id)
-- Gives for each delivery: {1, stream id} appended, now or by an earlier try under this id;
--   {0, id of the first} a duplicate.
--
-- Lua keeps what a failing script has written. So what can fail comes before the first write, and
-- of one delivery the entry comes before its claims: an entry without claims is a harmless
-- duplicate, claims without an entry are a lost delivery.
local log, counts, claims = KEYS[1], KEYS[2], KEYS[3]
local length, width = tonumber(ARGV[1]), tonumber(ARGV[2]) * 2
local now = tonumber(redis.call('TIME')[1])
local period = math.floor(now / length)
local answers, at = {}, 3

local function bucket(when, claim)
  -- By the last byte: an id of our own begins with its time.
  return claims .. string.format('%.0f:%02x', when, string.byte(claim, -1))
end

local function find(claim, periods)
  for i = 1, #periods do
    local first = redis.call('HGET', bucket(periods[i], claim), claim)
    if first then return first end
  end
end

local function hold(claim, value, far)
  local key = bucket(period, claim)
  redis.call('HSET', key, claim, value)
  redis.call('EXPIREAT', key, string.format('%.0f', (period + 2) * length), 'NX')
  if far then
    -- The token outlives its claim: claim it again where its last day is looked up.
    key = bucket(far, claim)
    redis.call('HSET', key, claim, value)
    redis.call('EXPIREAT', key, string.format('%.0f', (far + 2) * length), 'NX')
  end
end

while at <= #ARGV do
  local own, expires, n = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local first_claim, entry_at = at + 3, at + 3 + n
  local periods, far = {period, period - 1}, nil
  local last = math.floor(math.min(expires, now + 400 * 86400) / length)
  if last > period + 1 then
    far = last
    periods[3] = far
  end
  local stream_id = find(own, periods)
  local first = nil
  if not stream_id then
    for i = first_claim, entry_at - 1 do
      first = first or find(ARGV[i], periods)
    end
  end
  if stream_id then
    answers[#answers + 1] = {1, stream_id}
  elseif first then
    redis.call('HINCRBY', counts, 'duplicate', 1)
    for i = first_claim, entry_at - 1 do
      if not find(ARGV[i], periods) then hold(ARGV[i], first, far) end
    end
    answers[#answers + 1] = {0, first}
  else
    local size = 0
    for i = entry_at, entry_at + width - 1 do size = size + #ARGV[i] end
    stream_id = redis.call('XADD', log, '*', unpack(ARGV, entry_at, entry_at + width - 1))
    hold(own, stream_id)
    for i = first_claim, entry_at - 1 do hold(ARGV[i], own, far) end
    redis.call('HINCRBY', counts, 'accepted', 1)
    redis.call('HINCRBY', counts, 'bytes', size)
    answers[#answers + 1] = {1, stream_id}
  end
  at = entry_at + width
end
return answers
