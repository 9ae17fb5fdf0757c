-- May this request be admitted, and what does it leave of its windows?
--
-- KEYS: the windows. ARGV: eight whole numbers for each, as script.rs writes them.
-- Answers 1 or 0, and for each window after how many microseconds it would admit this
-- (0: now), and how many lie between now, or of the calendar the end of the span, and the time
-- at which it is whole again.
local kept = redis.call('MGET', unpack(KEYS))
local admitted = true
local answer = { 1 }
local after = {}
for i = 1, #KEYS do
    local count, burst, burst_part, cost, cost_part, _, shadow, period = unpack(ARGV, i * 8 - 7, i * 8)
    count, period = tonumber(count), tonumber(period)
    local from = from_of(now, period)
    local moment, part = moment_in(kept[i], count, period)
    answer[i * 2 + 1] = debt_at(moment, part, from)
    moment, part = moment + cost, part + cost_part
    if part >= count then moment, part = moment + 1, part - count end
    local wait = moment - burst - from + (part > tonumber(burst_part) and 1 or 0)
    if wait <= 0 then
        after[i] = { moment, part }
    elseif shadow == '0' then
        admitted = false
    end
    -- Of the calendar, all of it comes back at once.
    if period > 0 and wait > 0 then wait = from - now end
    answer[i * 2] = math.max(wait, 0)
end
if not admitted then
    answer[1] = 0
    return answer
end
for i, to in pairs(after) do
    keep(KEYS[i], to[1], to[2], ARGV[i * 8 - 2])
    answer[i * 2 + 1] = debt_at(to[1], to[2], from_of(now, tonumber(ARGV[i * 8])))
end
return answer
