-- What is a window, as it is kept?
--
-- Stands in front of the scripts that ask and settle. A window is kept as
-- "moment:part:written:begun:back": the time at which it is whole again in microseconds, by how
-- many parts of a microsecond later (there are `count` of them, so that no rounding adds up), when
-- this was written, when it was first taken of, and by how much its moment was moved back since.
-- What somebody takes of it comes back by itself at the moment that it has then, and earlier by as
-- much as that is moved back afterwards. One that is whole is not kept, and begins anew.
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

-- How many microseconds lie between one moment and a later one.
local function debt_at(moment, part, from)
    return moment - from + (part > 0 and 1 or 0)
end

-- The window that was kept, its moment never before that from which on something is owed.
local function window_in(text, count, period)
    local from = from_of(now, period)
    local new = { moment = from, part = 0, from = from, begun = now, back = 0 }
    local moment, part, written, begun, back =
        string.match(text or '', '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
    if not moment then return new end
    -- Where the clock has gone back, debts go with it: nobody is locked out. Of the calendar they
    -- go to the span that now is in, and within that nowhere: nobody is forgiven anything.
    local by = math.max(from_of(tonumber(written), period) - from, 0)
    moment, part = moment - by, tonumber(part)
    if part >= count then moment, part = moment + 1, 0 end
    if debt_at(moment, part, from) <= 0 then return new end
    new.moment, new.part = within_reach(moment), part
    new.begun, new.back = within_reach(tonumber(begun)), within_reach(back + by)
    return new
end

-- Moves its moment on.
local function take(window, count, cost, cost_part)
    local moment, part = window.moment + cost, window.part + cost_part
    if part >= count then moment, part = moment + 1, part - count end
    window.moment, window.part = moment, part
end

-- Keeps it until it is over, and no longer than so many milliseconds. Answers as what.
local function keep(key, window, ttl_max)
    local debt = debt_at(window.moment, window.part, now)
    local ttl = math.min(math.floor(debt / 1000) + 1, tonumber(ttl_max))
    local text = string.format('%.0f:%.0f:%.0f:%.0f:%.0f',
        window.moment, window.part, now, window.begun, window.back)
    redis.call('SET', key, text, 'PX', string.format('%.0f', ttl))
    return text
end
