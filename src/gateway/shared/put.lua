-- Keeps an answer, where it leaves room for what limits need.
--
-- KEYS: its name. ARGV: the answer, sealed, and for how many milliseconds it is kept. Answers 1 or 0.
local memory = redis.call('INFO', 'memory')
local used = tonumber(string.match(memory, 'used_memory:(%d+)'))
local max = tonumber(string.match(memory, 'maxmemory:(%d+)'))
-- A quarter of the memory is not for answers. 0: there is no bound.
if used and max and max > 0 and used + #ARGV[1] > max * 3 / 4 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
