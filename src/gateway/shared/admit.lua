-- May this request be admitted, and what does it leave of its windows?
--
-- KEYS: the windows. ARGV: seven whole numbers for each, as script.rs writes them.
-- Answers 1 or 0, and for each window after how many microseconds it would admit this
-- (0: now), and how many lie between now and the time at which it is whole again.
--
-- A window is kept as "moment:part:written": the time at which it is whole again in
-- microseconds, by how many parts of a microsecond later (there are `count` of them, so
-- that no rounding adds up), and when this was written.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('MGET', unpack(KEYS))
local admitted = true
local answer = { 1 }
local after = {}
for i = 1, #KEYS do
    local count, burst, burst_part, cost, cost_part, _, shadow = unpack(ARGV, i * 7 - 6, i * 7)
    count = tonumber(count)
    local moment, part = now, 0
    local m, p, w = string.match(kept[i] or '', '^(%d+):(%d+):(%d+)$')
    if m then
        -- Where the clock has gone back, debts go with it: nobody is locked out.
        moment, part = m - math.max(w - now, 0), tonumber(p)
        if part >= count then moment, part = moment + 1, 0 end
        if moment < now then moment, part = now, 0 end
        -- Further away nothing is exact; nobody has that much debt, and nobody lives to pay it.
        moment = math.min(moment, now + 2251799813685248)
    end
    local debt = moment - now + (part > 0 and 1 or 0)
    moment, part = moment + cost, part + cost_part
    if part >= count then moment, part = moment + 1, part - count end
    local wait = moment - burst - now + (part > tonumber(burst_part) and 1 or 0)
    if wait <= 0 then
        after[i] = { moment, part }
    elseif shadow == '0' then
        admitted = false
    end
    answer[i * 2] = math.max(wait, 0)
    answer[i * 2 + 1] = debt
end
if not admitted then
    answer[1] = 0
    return answer
end
for i, to in pairs(after) do
    local moment, part = to[1], to[2]
    local debt = moment - now + (part > 0 and 1 or 0)
    local ttl = math.min(math.floor(debt / 1000) + 1, tonumber(ARGV[i * 7 - 1]))
    local text = string.format('%.0f:%.0f:%.0f', moment, part, now)
    redis.call('SET', KEYS[i], text, 'PX', string.format('%.0f', ttl))
    answer[i * 2 + 1] = debt
end
return answer
