-- What did requests cost in the end?
--
-- KEYS: windows. ARGV: five whole numbers for each: count, the cost in microseconds and
-- parts of one, the longest time to keep it in milliseconds, and 1 where the cost comes on
-- top or -1 where it is given back. Windows are kept as admit.lua says. Nothing is given
-- back to a window that is whole.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
    local count, cost, cost_part, ttl_max, sign = unpack(ARGV, i * 5 - 4, i * 5)
    count = tonumber(count)
    local moment, part = now, 0
    local m, p, w = string.match(kept[i] or '', '^(%d+):(%d+):(%d+)$')
    if m then
        moment, part = m - math.max(w - now, 0), tonumber(p)
        if part >= count then moment, part = moment + 1, 0 end
        if moment < now then moment, part = now, 0 end
        -- Further away nothing is exact; nobody has that much debt, and nobody lives to pay it.
        moment = math.min(moment, now + 2251799813685248)
    end
    moment, part = moment + sign * cost, part + sign * cost_part
    if part >= count then moment, part = moment + 1, part - count end
    if part < 0 then moment, part = moment - 1, part + count end
    moment = math.min(moment, now + 2251799813685248)
    local debt = moment - now + (part > 0 and 1 or 0)
    if debt <= 0 or moment < now then
        redis.call('DEL', KEYS[i])
    else
        local ttl = math.min(math.floor(debt / 1000) + 1, tonumber(ttl_max))
        local text = string.format('%.0f:%.0f:%.0f', moment, part, now)
        redis.call('SET', KEYS[i], text, 'PX', string.format('%.0f', ttl))
    end
end
return 1
