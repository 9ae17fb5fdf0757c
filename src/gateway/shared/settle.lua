-- What did requests cost in the end?
--
-- KEYS: windows. ARGV: six whole numbers for each: count, the cost in microseconds and
-- parts of one, the longest time to keep it in milliseconds, 1 where the cost comes on
-- top or -1 where it is given back, and the span of the calendar (0: none). Nothing is given back to a window that is whole.
local kept = {}
for i, text in ipairs(redis.call('MGET', unpack(KEYS))) do kept[KEYS[i]] = text end
for i, key in ipairs(KEYS) do
    local count, cost, cost_part, ttl_max, sign, period = unpack(ARGV, i * 6 - 5, i * 6)
    count, period = tonumber(count), tonumber(period)
    local from = from_of(now, period)
    local moment, part = moment_in(kept[key], count, period)
    moment, part = moment + sign * cost, part + sign * cost_part
    if part >= count then moment, part = moment + 1, part - count end
    if part < 0 then moment, part = moment - 1, part + count end
    moment = within_reach(moment)
    -- A window may stand there more than once: the next goes on from what this one writes.
    if debt_at(moment, part, from) <= 0 or moment < from then
        redis.call('DEL', key)
        kept[key] = nil
    else
        kept[key] = keep(key, moment, part, ttl_max)
    end
end
return 1
