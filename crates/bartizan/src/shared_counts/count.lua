-- Counts one key of one limit, in Redis, on Redis' clock, in microseconds. One hash a key, which expires with its window.
--
-- KEYS[1]  the count
-- ARGV     1 verb    take | return | report
--          2 limit   at most so many
--          3 window  rolling | calendar | month | pace
--          4 length  of the window; of a pace, the interval between two
--          5 start   of one calendar window; of a pace, how many at once
--          6 amount  take: at least so many, or none; return, report: so many
--          7 wish    take: so many, while that is at most a block of what remains
--          8 blocks  that what remains is cut into
--          9 lease   how long what is taken may be spent; 0 when it is spent at once
--         10 at      return: when it was taken
-- Gives    { taken, now, lease, wait (-1: never), remaining }; return and report only { 0 }
--
-- Rolling windows are counted in 60 parts, the oldest counted whole, so that never too many are admitted; they are longer
-- by the lease, in which what was taken may still be spent. Numbers stay below 2^53, which doubles hold exactly, and are
-- written with %.0f, because tostring would round them.

local key = KEYS[1]
local verb, limit, window = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local length, start, amount = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local wish, blocks, lease, at = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local PARTS = 60
local CLOCK_STEP = 60000000

local function text(number) return string.format('%.0f', number) end

local function keep(until_us)
  redis.call('PEXPIRE', key, text(math.ceil(math.max(until_us - now, 0) / 1000) + 1000))
end

-- What of the wish is granted, when so much remains.
local function block(remaining)
  if amount > remaining then return 0 end
  return math.max(amount, math.min(wish, math.floor(remaining / blocks)))
end

-- First day of a month as days since 1970-01-01 (Gregorian, month 1 to 12).
local function days_until(year, month)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5)
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year - 719468
end

-- Number and end of the calendar window that holds a time.
local function calendar(time)
  if window == 'calendar' then
    local number = math.floor((time - start) / length)
    return number, start + (number + 1) * length
  end
  local days = math.floor(time / 86400000000)
  local year = 1970 + math.floor(days / 365.2425)
  if days_until(year + 1, 1) <= days then year = year + 1 end
  if days_until(year, 1) > days then year = year - 1 end
  local month = 12
  while days_until(year, month) > days do month = month - 1 end
  local following = month == 12 and days_until(year + 1, 1) or days_until(year, month + 1)
  return year * 12 + month - 1, following * 86400000000
end

local function rolling()
  local part = math.ceil((length + lease) / PARTS)
  local current = math.floor(now / part)
  if verb == 'return' then
    local field = text(math.floor(at / part))
    local counted = tonumber(redis.call('HGET', key, field) or '0')
    if counted > amount then
      redis.call('HINCRBY', key, field, text(-amount))
    elseif counted > 0 then
      redis.call('HDEL', key, field)
    end
    return { 0 }
  end
  local fields = redis.call('HGETALL', key)
  local used, parts, old = 0, {}, {}
  for index = 1, #fields, 2 do
    local number = tonumber(fields[index])
    if number < current - PARTS then
      old[#old + 1] = fields[index]
    else
      local counted = tonumber(fields[index + 1])
      used = used + counted
      parts[#parts + 1] = { number, counted }
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  local remaining = math.max(limit - used, 0)
  local taken, wait = amount, 0
  if verb == 'take' then taken = block(remaining) end
  if taken > 0 then
    redis.call('HINCRBY', key, text(current), text(taken))
    keep((current + PARTS + 1) * part)
  else
    wait = -1
    table.sort(parts, function(one, other) return one[1] < other[1] end)
    local free = limit - used
    for _, entry in ipairs(parts) do
      free = free + entry[2]
      if free >= amount then
        wait = math.max((entry[1] + PARTS + 1) * part - now, 1)
        break
      end
    end
  end
  return { taken, now, lease, wait, remaining - math.min(taken, remaining) }
end

local function by_calendar()
  local number, ends = calendar(now)
  local stored = redis.call('HMGET', key, 'window', 'used')
  local in_store, used = tonumber(stored[1] or '-1'), tonumber(stored[2] or '0')
  if in_store > number then
    number = in_store -- the clock stepped back over a boundary: what is used stays so
  elseif in_store < number then
    used = 0
  end
  if verb == 'return' then
    if calendar(at) == in_store then
      redis.call('HSET', key, 'used', text(math.max(used - amount, 0)))
    end
    return { 0 }
  end
  local remaining = math.max(limit - used, 0)
  local taken, wait = amount, 0
  if verb == 'take' then taken = block(remaining) end
  if taken > 0 then
    redis.call('HSET', key, 'window', text(number), 'used', text(used + taken))
    keep(ends + CLOCK_STEP)
  else
    wait = amount > limit and -1 or math.max(ends - now, 1)
  end
  return { taken, now, math.min(lease, ends - now), wait, remaining - math.min(taken, remaining) }
end

local function pace()
  local depth = length * start
  local stored = tonumber(redis.call('HGET', key, 'arrival') or '0')
  local arrival = math.min(math.max(stored, now), now + depth)
  if verb == 'return' then
    if stored > 0 then redis.call('HSET', key, 'arrival', text(math.max(stored - amount * length, 0))) end
    return { 0 }
  end
  local paid = arrival + amount * length
  if verb == 'take' and paid > now + depth then
    local wait = amount > start and -1 or paid - now - depth
    return { 0, now, 0, wait, math.floor((now + depth - arrival) / length) }
  end
  paid = math.min(paid, now + depth)
  redis.call('HSET', key, 'arrival', text(paid))
  keep(paid)
  return { amount, now, 0, 0, math.floor((now + depth - paid) / length) }
end

if window == 'rolling' then return rolling() end
if window == 'pace' then return pace() end
return by_calendar()
