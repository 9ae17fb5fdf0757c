-- May this request be admitted, and what does it leave of its windows?
--
-- KEYS: the windows. ARGV: eight whole numbers for each, as script.rs writes them.
-- Answers 1 or 0, and for each window after how many microseconds it would admit this
-- (0: now), how many lie between now, or of the calendar the end of the span, and the time
-- at which it is whole again, and then what settle.lua knows it by: that time, when it was first
-- taken of, and by how much it was moved back since.
local kept = redis.call('MGET', unpack(KEYS))
local admitted = true
local answer = { 1 }
local after = {}
local function tell(i, window)
    answer[i * 5 - 2] = debt_at(window.moment, window.part, window.from)
    answer[i * 5 - 1], answer[i * 5], answer[i * 5 + 1] = window.moment, window.begun, window.back
end
for i = 1, #KEYS do
    local count, burst, burst_part, cost, cost_part, _, shadow, period = unpack(ARGV, i * 8 - 7, i * 8)
    count, period = tonumber(count), tonumber(period)
    local window = window_in(kept[i], count, period)
    tell(i, window)
    take(window, count, cost, cost_part)
    local wait = window.moment - burst - window.from + (window.part > tonumber(burst_part) and 1 or 0)
    if wait <= 0 then
        after[i] = window
    elseif shadow == '0' then
        admitted = false
    end
    -- Of the calendar, all of it comes back at once.
    if period > 0 and wait > 0 then wait = window.from - now end
    answer[i * 5 - 3] = math.max(wait, 0)
end
if not admitted then
    answer[1] = 0
    return answer
end
for i, window in pairs(after) do
    keep(KEYS[i], window, ARGV[i * 8 - 2])
    tell(i, window)
end
return answer
