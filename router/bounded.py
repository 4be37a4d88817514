"""What keeps the caches in Redis within a number of bytes: Lua that gateway and workers put before their own.

Jobs wait in the same Redis, which must not evict anything by itself (``maxmemory-policy noeviction``). So
what is kept is listed in the order it came, with its size, and the oldest leaves when it becomes too much.
"""

from __future__ import annotations

from typing import Final

OVERHEAD_BYTES: Final = 300
"""What Redis needs for an entry besides its bytes: its name, twice, and its place in the list."""

BOUND: Final = """
local function bound(index, total, name, id, size, now, ttl, most)
  redis.call('ZADD', index, now, size .. ' ' .. id .. ' ' .. name)
  local held = redis.call('INCRBY', total, size)
  for _ = 1, 1000 do
    local oldest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    local expired = oldest[1] and tonumber(oldest[2]) <= now - ttl
    if not oldest[1] or (held <= most and not expired) then break end
    redis.call('ZREM', index, oldest[1])
    local bytes, _, who = string.match(oldest[1], '^(%d+) (%S+) (.*)$')
    if not expired then redis.call('UNLINK', who) end
    held = redis.call('DECRBY', total, bytes)
  end
  redis.call('EXPIRE', index, 2 * ttl)
  redis.call('EXPIRE', total, 2 * ttl)
end
"""
"""``bound(index, total, name, id, size, now, ttl, most)``: the key ``name`` was just written with ``size``
bytes more, at ``now`` (Unix seconds). ``index`` (a sorted set) and ``total`` (a number) are the keys of the
list; ``id`` is used once. A name that was written several times leaves with its oldest bytes: too soon is
only a miss.
"""
