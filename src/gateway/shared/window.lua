-- What is a window, as it is kept?
--
-- Stands in front of the scripts that ask and settle. A window is kept as
-- "moment:part:written": the time at which it is whole again in microseconds, by how many
-- parts of a microsecond later (there are `count` of them, so that no rounding adds up), and
-- when this was written.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Further away nothing is exact; nobody has that much debt, and nobody lives to pay it.
local function within_reach(moment)
    return math.min(moment, now + 2251799813685248)
end

-- From where on something is owed at a time: then, or of the calendar the end of the span that it
-- is in. Spans are counted from a Monday, four days after the clock's beginning.
local function from_of(at, period)
    if period == 0 then return at end
    return at - (at - 345600000000) % period + period
end

-- The moment that was kept, never before that one.
local function moment_in(text, count, period)
    local from = from_of(now, period)
    local moment, part, written = string.match(text or '', '^(%d+):(%d+):(%d+)$')
    if not moment then return from, 0 end
    -- Where the clock has gone back, debts go with it: nobody is locked out. Of the calendar they
    -- go to the span that now is in, and within that nowhere: nobody is forgiven anything.
    local by = math.max(from_of(tonumber(written), period) - from, 0)
    moment, part = moment - by, tonumber(part)
    if part >= count then moment, part = moment + 1, 0 end
    if moment < from then return from, 0 end
    return within_reach(moment), part
end

-- How many microseconds lie between one moment and a later one.
local function debt_at(moment, part, from)
    return moment - from + (part > 0 and 1 or 0)
end

-- Keeps a moment until it is over, and no longer than so many milliseconds. Answers as what.
local function keep(key, moment, part, ttl_max)
    local ttl = math.min(math.floor(debt_at(moment, part, now) / 1000) + 1, tonumber(ttl_max))
    local text = string.format('%.0f:%.0f:%.0f', moment, part, now)
    redis.call('SET', key, text, 'PX', string.format('%.0f', ttl))
    return text
end

