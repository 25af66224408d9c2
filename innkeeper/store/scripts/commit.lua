-- Write what a fold made of a batch, and the cursor, all at once; or nothing, if the cursor is no
-- longer where the batch began: another worker was faster.
-- KEYS: cursor, counts, by:id, by:created, by:updated, by:status prefix, due prefix, pins, log, base
-- ARGV: expected cursor, new cursor, then operations, each after the number of its parts:
--   'instance', key, name, record, status before or '', status, 1 if anything visible changed,
--     entry folded last before, entry folded last
--   'work', bell, lane, lane key, queue key, work key, id, spec, entry's milliseconds
--   'call', command, argument…
-- Gives 1, or 0 if the cursor had moved.
if (redis.call('GET', KEYS[1]) or '0-0') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local micros = string.format('%.0f', tonumber(time[1]) * 1e6 + tonumber(time[2]))
local millis = string.format('%.0f', tonumber(time[1]) * 1e3 + math.floor(tonumber(time[2]) / 1e3))

local function numbers(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms or 0), tonumber(seq or 0)
end

local first = redis.call('XRANGE', KEYS[9], '-', '+', 'COUNT', 1)[1]
local first_ms, first_seq = numbers(first and first[1] or '0-0')

-- Of a line whose entries have all gone from the log nothing else tells what it was before this.
local function keep_base(key, name, last)
  local ms, seq = numbers(last)
  if ms > first_ms or (ms == first_ms and seq >= first_seq) then return end
  local record = redis.call('HGET', key, 'record')
  if record then redis.call('HSETNX', KEYS[10], name, record) end
end

local function instance(_, key, name, record, before, status, changed, last, entry)
  if before ~= '' then keep_base(key, name, last) end
  local created = before == '' and redis.call('HSETNX', key, 'created', micros) == 1
  if created then
    redis.call('ZADD', KEYS[3], 0, name)
    redis.call('ZADD', KEYS[4], micros, name)
  end
  if created or changed == '1' then
    redis.call('HSET', key, 'record', record, 'entry', entry, 'updated', micros)
    redis.call('ZADD', KEYS[5], micros, name)
  else
    redis.call('HSET', key, 'record', record, 'entry', entry)
  end
  if before ~= status then
    if before ~= '' then redis.call('ZREM', KEYS[6] .. before, name) end
    redis.call('ZADD', KEYS[6] .. status, 0, name)
  end
end

local function work(_, bell, lane, lane_key, queue, work_key, id, spec, entry_millis)
  -- A fold repeated after a fail-over asks for the same work again.
  if redis.call('EXISTS', work_key) == 1 then return end
  redis.call('HSET', work_key, 'spec', spec, 'state', 'waiting', 'attempts', 0)
  redis.call('ZADD', KEYS[8], entry_millis, id)
  redis.call('RPUSH', queue, id)
  if redis.call('HEXISTS', lane_key, 'blocked') == 0 then
    -- NX: a head that waits for its next try is not hurried by what comes behind it.
    redis.call('ZADD', KEYS[7] .. bell, 'NX', millis, lane)
  end
end

local at = 3
while at <= #ARGV do
  local first, last = at + 1, at + tonumber(ARGV[at])
  if ARGV[first] == 'instance' then
    instance(unpack(ARGV, first, last))
  elseif ARGV[first] == 'work' then
    work(unpack(ARGV, first, last))
  else
    redis.call(unpack(ARGV, first + 1, last))
  end
  at = last + 1
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
