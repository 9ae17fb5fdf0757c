-- What did requests cost in the end?
--
-- KEYS: windows. ARGV: six whole numbers for each: count, the cost in microseconds and
-- parts of one, the longest time to keep it in milliseconds, 1 where the cost comes on
-- top or -1 where it is given back, and the span of the calendar (0: none). Nothing is given back to a window that is whole.
local kept = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
    local count, cost, cost_part, ttl_max, sign, period = unpack(ARGV, i * 6 - 5, i * 6)
    count = tonumber(count)
    local from = from_of(tonumber(period))
    local moment, part = moment_in(kept[i], count, from)
    moment, part = moment + sign * cost, part + sign * cost_part
    if part >= count then moment, part = moment + 1, part - count end
    if part < 0 then moment, part = moment - 1, part + count end
    moment = within_reach(moment)
    if debt_at(moment, part, from) <= 0 or moment < from then
        redis.call('DEL', KEYS[i])
    else
        keep(KEYS[i], moment, part, ttl_max)
    end
end
return 1
