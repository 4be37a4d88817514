-- How counters come to be: begun by one gateway, announced to by all, loaded by one, then valid for all.
--
-- KEYS[1]  the root of all keys; ARGV[1]: the step, and what it needs
-- begin     run id of Redis, generation not to be used any more ('': any may be), id of a new one
--           answers "ready" or "rebuild" and the generation to join or to announce to
-- join      generation, gateway: one that has nothing to announce
-- leave     generation, gateway: one that is gone, and of which everything is told
-- announce  generation, gateway, what it holds (JSON)
-- lead      generation, builder: one at a time builds, and goes on as long as it says so in time
-- load      generation, builder; a hash, its fields and values
-- finish    generation, builder, version of the announcements that were loaded
--           these answer 1, or 0 where the generation is not, or no longer, the one that they are about

local root, step = KEYS[1], ARGV[1]
local current, rebuilt = redis.call('GET', root .. ':generation'), redis.call('GET', root .. ':rebuild')

local function drop(generation)
  local base = root .. ':' .. generation .. ':'
  for _, gateway in ipairs(redis.call('HKEYS', base .. 'numbers')) do
    redis.call('UNLINK', base .. 'open:' .. gateway)
  end
  redis.call('UNLINK', base .. 'numbers', base .. 'running', base .. 'total')
  redis.call('UNLINK', base .. 'announced', base .. 'builder', base .. 'version', base .. 'loaded')
end

local function is_builder() return redis.call('GET', root .. ':' .. ARGV[2] .. ':builder') == ARGV[3] end

if step == 'begin' then
  local run_id, unusable, new = ARGV[2], ARGV[3], ARGV[4]
  local function of_this_run(generation) return generation and generation:sub(1, #run_id) == run_id end
  if of_this_run(current) and current ~= unusable then return {'ready', current} end
  if of_this_run(rebuilt) then return {'rebuild', rebuilt} end
  if current then drop(current) end
  if rebuilt then drop(rebuilt) end
  redis.call('DEL', root .. ':generation')
  redis.call('SET', root .. ':rebuild', new)
  return {'rebuild', new}
elseif step == 'join' then
  if current ~= ARGV[2] then return 0 end
  redis.call('HSETNX', root .. ':' .. current .. ':numbers', ARGV[3], '0')
  return 1
elseif step == 'leave' then
  if current ~= ARGV[2] then return 0 end
  redis.call('HDEL', root .. ':' .. current .. ':numbers', ARGV[3])
  redis.call('UNLINK', root .. ':' .. current .. ':open:' .. ARGV[3])
  return 1
end

if rebuilt ~= ARGV[2] then return 0 end
local base = root .. ':' .. rebuilt .. ':'
if step == 'announce' then
  redis.call('HSET', base .. 'announced', ARGV[3], ARGV[4])
  redis.call('INCR', base .. 'version')
elseif step == 'lead' then
  local builder = redis.call('GET', base .. 'builder')
  if builder and builder ~= ARGV[3] then return 0 end
  redis.call('SET', base .. 'builder', ARGV[3], 'PX', '10000')
  for _, name in ipairs(redis.call('SMEMBERS', base .. 'loaded')) do  -- by who did not finish
    redis.call('UNLINK', base .. name)
  end
elseif not is_builder() then
  return 0
elseif step == 'load' then
  redis.call('SADD', base .. 'loaded', ARGV[4])
  redis.call('HSET', base .. ARGV[4], unpack(ARGV, 5))
elseif step == 'finish' then
  if redis.call('GET', base .. 'version') ~= ARGV[4] then return 0 end
  redis.call('SET', root .. ':generation', rebuilt)
  redis.call('DEL', root .. ':rebuild', base .. 'announced', base .. 'builder', base .. 'version')
  redis.call('DEL', base .. 'loaded')
end
return 1
