-- What did requests cost in the end?
--
-- KEYS: windows. ARGV: nine whole numbers for each: count, the cost in microseconds and
-- parts of one, the longest time to keep it in milliseconds, 1 where the cost comes on
-- top or -1 where it is given back, the span of the calendar (0: none), and what admit.lua told:
-- the moment, when the window was first taken of, and by how much it had been moved back. What time
-- has given back is not given back again, nor what was taken of a window that is over to the next.
local kept = {}
for i, text in ipairs(redis.call('MGET', unpack(KEYS))) do kept[KEYS[i]] = text end

-- How much of a cost is still missing: of the calendar all of it, as long as its span lasts.
local function still_owed(window, cost, cost_part, taken)
    local moved = window.back - taken.back
    -- It was taken of one that is over, or by somebody of whom this one does not know.
    if window.begun ~= taken.begun or moved < 0 then return 0, 0 end
    if taken.period > 0 then return cost, cost_part end
    local owed = taken.moment - moved - now
    if owed > cost then return cost, cost_part end
    return math.max(owed, 0), 0
end

-- Moves its moment back.
local function give_back(window, count, cost, cost_part)
    local moment, part = window.moment - cost, window.part - cost_part
    if part < 0 then moment, part = moment - 1, part + count end
    local back = window.back + cost + (cost_part > 0 and 1 or 0)
    -- Before it is too much to be exact, nobody is given anything back of what was taken until now.
    if back > 2251799813685248 then window.begun, back = now, 0 end
    window.moment, window.part, window.back = moment, part, back
end

for i, key in ipairs(KEYS) do
    local count, cost, cost_part, ttl_max, sign, period, moment, begun, back = unpack(ARGV, i * 9 - 8, i * 9)
    count, period, cost, cost_part = tonumber(count), tonumber(period), tonumber(cost), tonumber(cost_part)
    local window = window_in(kept[key], count, period)
    if sign == '1' then
        take(window, count, cost, cost_part)
        window.moment = within_reach(window.moment)
    else
        local taken = { moment = moment, begun = tonumber(begun), back = back, period = period }
        give_back(window, count, still_owed(window, cost, cost_part, taken))
    end
    -- A window may stand there more than once: the next goes on from what this one writes.
    if debt_at(window.moment, window.part, window.from) <= 0 then
        redis.call('DEL', key)
        kept[key] = nil
    else
        kept[key] = keep(key, window, ttl_max)
    end
end
return 1
