-- May this request be admitted, and what does it leave of its windows?
--
-- KEYS: the windows. ARGV: seven whole numbers for each, as script.rs writes them.
-- Answers 1 or 0, and for each window after how many microseconds it would admit this
-- (0: now), and how many lie between now and the time at which it is whole again.
local kept = redis.call('MGET', unpack(KEYS))
local admitted = true
local answer = { 1 }
local after = {}
for i = 1, #KEYS do
    local count, burst, burst_part, cost, cost_part, _, shadow = unpack(ARGV, i * 7 - 6, i * 7)
    count = tonumber(count)
    local moment, part = moment_in(kept[i], count)
    answer[i * 2 + 1] = debt_at(moment, part)
    moment, part = moment + cost, part + cost_part
    if part >= count then moment, part = moment + 1, part - count end
    local wait = moment - burst - now + (part > tonumber(burst_part) and 1 or 0)
    if wait <= 0 then
        after[i] = { moment, part }
    elseif shadow == '0' then
        admitted = false
    end
    answer[i * 2] = math.max(wait, 0)
end
if not admitted then
    answer[1] = 0
    return answer
end
for i, to in pairs(after) do
    keep(KEYS[i], to[1], to[2], ARGV[i * 7 - 1])
    answer[i * 2 + 1] = debt_at(to[1], to[2])
end
return answer
