-- Append deliveries to a partition's log, each at most once.
-- KEYS: log, counts, claims prefix (the periods share its slot), events, bodies
-- ARGV: period length in seconds, number of fields an entry, then for each delivery:
--   own id (16 bytes), expires_at (seconds, 0: never), number of claims, the claims, the entry's
--   field names and values (the first of which is the own id), the sealed event, the sealed body
-- Gives for each delivery: {1, stream id} appended, now or by an earlier try under this id;
--   {0, id of the first} a duplicate.
--
-- Lua keeps what a failing script has written. So what can fail comes before the first write, and
-- of one delivery what is sealed comes before the entry and the entry before its claims: an entry
-- without claims is a harmless duplicate, claims without an entry are a lost delivery.
local log, counts, claims, events, bodies = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local length, width = tonumber(ARGV[1]), tonumber(ARGV[2]) * 2
local now = tonumber(redis.call('TIME')[1])
local period = math.floor(now / length)

-- 1. Look up all claims at once: in this period and the last one, and in the one in which the token
-- ends, where an older try may have held them.
local asked, known, at = {[period] = {}, [period - 1] = {}}, {}, 3

local function ask(when, first, last)
  local list = asked[when] or {}
  asked[when] = list
  for i = first, last do list[#list + 1] = ARGV[i] end
end

local function last_period(expires)
  return math.floor(math.min(tonumber(expires), now + 400 * 86400) / length)
end

local function name(when) return claims .. string.format('%.0f', when) end

while at <= #ARGV do
  local ends, n = last_period(ARGV[at + 1]), tonumber(ARGV[at + 2])
  for when = period - 1, period do
    ask(when, at, at)
    ask(when, at + 3, at + 2 + n)
  end
  if ends > period then ask(ends, at + 3, at + 2 + n) end
  at = at + 3 + n + width + 2
end
for when, list in pairs(asked) do
  for from = 1, #list, 1000 do
    local to = math.min(from + 999, #list)
    local found = redis.call('HMGET', name(when), unpack(list, from, to))
    for i = from, to do known[list[i]] = known[list[i]] or found[i - from + 1] end
  end
end

-- 2. Delivery by delivery: the entry, then its claims, then the counts.
local lasting, pairs_ = {}, {}

-- Write the first `n` of `pairs_` into a period. One list serves all: making them costs.
local function hold(when, n)
  if n == 0 then return end
  local key = name(when)
  redis.call('HSET', key, unpack(pairs_, 1, n))
  if not lasting[when] then
    redis.call('EXPIREAT', key, string.format('%.0f', (when + 2) * length), 'NX')
    lasting[when] = true
  end
end

-- Let `holder` hold the claims that nobody holds yet, and its own id, if it is new.
local function learn(first, last, holder, ends, stream_id)
  local n = 0
  for i = first, last do
    local claim = ARGV[i]
    if not known[claim] then
      pairs_[n + 1], pairs_[n + 2], n = claim, holder, n + 2
      known[claim] = holder
    end
  end
  if stream_id then
    pairs_[n + 1], pairs_[n + 2] = holder, stream_id
    known[holder] = stream_id
  end
  hold(period, stream_id and n + 2 or n)
  -- The token outlives its claims: hold them too where its last day is looked up.
  if ends > period + 1 then hold(ends, n) end
end

local answers = {}
at = 3
while at <= #ARGV do
  local own, ends, n = ARGV[at], last_period(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local first_claim, entry_at = at + 3, at + 3 + n
  local stream_id, first = known[own], nil
  for i = first_claim, entry_at - 1 do first = first or known[ARGV[i]] end
  if stream_id then
    answers[#answers + 1] = {1, stream_id}
  elseif first then
    redis.call('HINCRBY', counts, 'duplicate', 1)
    learn(first_claim, entry_at - 1, first, ends)
    answers[#answers + 1] = {0, first}
  else
    local event, body = ARGV[entry_at + width], ARGV[entry_at + width + 1]
    redis.call('HSET', events, own, event)
    redis.call('HSET', bodies, own, body)
    stream_id = redis.call('XADD', log, '*', unpack(ARGV, entry_at, entry_at + width - 1))
    learn(first_claim, entry_at - 1, own, ends, stream_id)
    local size = #event + #body
    for i = entry_at, entry_at + width - 1 do size = size + #ARGV[i] end
    redis.call('HINCRBY', counts, 'accepted', 1)
    redis.call('HINCRBY', counts, 'bytes', size)
    answers[#answers + 1] = {1, stream_id}
  end
  at = entry_at + width + 2
end
return answers
