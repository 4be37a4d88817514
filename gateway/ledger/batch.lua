-- What one gateway asks and tells, in its order, in one step: reserve ("r"), hold without asking what is left
-- ("h"), settle ("s"), cancel ("c").
--
-- KEYS[1]  the root of all keys
-- ARGV     generation; gateway; numbers of the first and last settled entry (0: none); operations (JSON)
-- Answers  "lost" (the counters are of another generation), "unknown" (what this gateway told before is not
--          in them), "dropped" (a window is gone that was begun), "early" (one is from before those that were
--          loaded: a clock was put back), or one answer for each "r": 1, or what refuses it.
--
-- Amounts are strings of whole picodollars: Lua's numbers end at 2^53. Everything may be sent again: what is
-- open is granted again, an entry counts once by its number, a reservation is given back once.

local root, generation, gateway = KEYS[1], ARGV[1], ARGV[2]
local first, last = tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('GET', root .. ':generation') ~= generation then return 'lost' end

local base = root .. ':' .. generation .. ':'
local numbers, running, open = base .. 'numbers', base .. 'running', base .. 'open:' .. gateway
local counted = tonumber(redis.call('HGET', numbers, gateway) or nil)
if not counted or first > counted + 1 then return 'unknown' end

local function window_field(window) return 'window:' .. window end
local ops, there = cjson.decode(ARGV[5]), {}
local since = redis.call('HGET', numbers, 'since') or ''  -- the first day that was loaded, and its month
for _, op in ipairs(ops) do
  for _, window in ipairs(op[1] == 'r' and op[6] or {}) do
    if there[window] == nil then
      if window < since:sub(1, #window) then return 'early' end
      there[window] = redis.call('EXISTS', base .. window) == 1
      if not there[window] and redis.call('HEXISTS', numbers, window_field(window)) == 1 then return 'dropped' end
    end
  end
end
-- The first write: when Redis is out of memory it is refused, and with it all that follows.
redis.call('HSET', numbers, gateway, string.format('%.0f', math.max(counted, last)))

local MINUTE_US = 60000000
local DAY_US = 24 * 60 * MINUTE_US
local WINDOW_TTL_S = 40 * 24 * 3600
local now
local function now_us()
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
  end
  return now
end

-- Of a bucket that holds a minute's worth: the time at which it is full again.
local function full_at(rate) return tonumber(redis.call('GET', rate) or nil) or 0 end
local function fill(rate, at)
  at = math.min(at, now_us() + DAY_US)  -- whatever a server says that it used
  local ttl = math.max(at - now_us(), 0) / 1000 + 1000
  redis.call('SET', rate, string.format('%.0f', at), 'PX', string.format('%.0f', ttl))
end

-- A counter beyond 64 bits, 9.2 million USD: it stays so until it is counted anew, since no cap is as high.
local FULL = 'full'
local MOST = '9223372036854775807'

local function is_room(held, room)  -- held <= room, as decimal strings
  if held == FULL or room:sub(1, 1) == '-' then return false end
  if held:sub(1, 1) == '-' or #held < #room then return true end
  return #held == #room and held <= room
end

local function add(amount, scopes, windows)
  if amount == '0' then return end
  for _, window in ipairs(windows) do
    for _, scope in ipairs(scopes) do
      local held = redis.pcall('HINCRBY', base .. window, scope, amount)
      if type(held) ~= 'number' then
        redis.call('HSET', base .. window, scope, FULL)
      elseif held == tonumber(amount) then  -- the first in this window
        redis.call('HSET', numbers, window_field(window), 1)
        if window ~= 'total' then redis.call('EXPIRE', base .. window, WINDOW_TTL_S) end
      end
    end
  end
end

local function run(by, scopes)
  for _, scope in ipairs(scopes) do redis.call('HINCRBY', running, scope, by) end
end

local function grant(id, record, amount, scopes, windows)
  add(amount, scopes, windows)
  redis.call('HSET', open, id, record)
  run(1, scopes)
end

local function reserve(op)
  local _, id, record, amount, scopes, windows, rooms, slots, rates = unpack(op)
  if redis.call('HEXISTS', open, id) == 1 then return 1 end
  for w, window in ipairs(windows) do
    if #rooms[w] > 0 then
      local held = redis.call('HMGET', base .. window, unpack(scopes))
      for s, room in ipairs(rooms[w]) do
        if room ~= '' and not is_room(held[s] or '0', room) then
          return {'budget', s, w, held[s] == FULL and MOST or held[s] or '0'}
        end
      end
    end
  end
  if #slots > 0 then
    local busy = redis.call('HMGET', running, unpack(scopes))
    for s, most in ipairs(slots) do
      if most >= 0 and tonumber(busy[s] or 0) >= most then return {'slots', s} end
    end
  end
  local full = {}
  for i, rate in ipairs(rates) do
    full[i] = math.max(full_at(root .. ':' .. rate[1]), now_us()) + rate[2]
    local wait_us = full[i] - now_us() - MINUTE_US
    if wait_us > 0 then return {'rate', i, wait_us} end
  end
  grant(id, record, amount, scopes, windows)
  for i, rate in ipairs(rates) do fill(root .. ':' .. rate[1], full[i]) end
  return 1
end

local function release(id, amount, scopes, windows, rates)  -- whether it was held
  if redis.call('HDEL', open, id) == 0 then return false end
  add(amount, scopes, windows)
  run(-1, scopes)
  for _, rate in ipairs(rates) do
    local name = root .. ':' .. rate[1]
    local full = full_at(name)
    if rate[2] > 0 then full = math.max(full, now_us()) end
    if full > 0 then fill(name, full + rate[2]) end
  end
  return true
end

local answers = {}
for _, op in ipairs(ops) do
  if op[1] == 'r' then
    answers[#answers + 1] = reserve(op)
  elseif op[1] == 'h' then
    local _, id, record, amount, scopes, windows = unpack(op)
    if redis.call('HEXISTS', open, id) == 0 then grant(id, record, amount, scopes, windows) end
  elseif op[1] == 'c' then
    local _, id, amount, scopes, windows, rates = unpack(op)
    release(id, amount, scopes, windows, rates)
  elseif op[2] > counted then
    local _, _, id, billed, difference, scopes, windows, rates = unpack(op)
    if not release(id, difference, scopes, windows, rates) then add(billed, scopes, windows) end
  end
end
return answers
