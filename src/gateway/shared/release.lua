-- The turn to make an answer is given back by whoever has it, and by nobody else.
--
-- KEYS: the turn. ARGV: by which word it was taken.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
