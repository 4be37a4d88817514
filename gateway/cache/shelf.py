"""Where answers lie: Redis, and what is said to it. One round trip a question, and a pause when it is away.

    gradus:answers:entry:KEY     an answer (:func:`gateway.cache.entries.pack`), with a TTL
    gradus:answers:leader:KEY    the token of who answers this request just now, and its generations; a lease
    gradus:answers:index, :total what lies here, by age, and its bytes (:mod:`router.bounded`)
    gradus:generations           a hash: of each namespace the name that it goes by since it was purged

An answer is of the generations that its namespaces had when its request came; it counts as long as they are
the same. So a purge is one write, and what was on its way comes too late by itself: who asks after it waits
for no leader from before. The namespace "everything" always has a generation: should Redis lose the hash,
everything is of another one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from gateway.cache.counters import Counters
from gateway.cache.entries import names
from gateway.cache.pipe import SCRIPT, Argument, Pipe
from router.bounded import BOUND, OVERHEAD_BYTES

log = logging.getLogger(__name__)

GENERATIONS: Final = "gradus:generations"
ALONE: Final = b"alone"
"""In place of a leader's token: its answer was not to be kept, so nobody waits for it."""

_TIMEOUT_S: Final = 0.5
_PAUSE_S: Final = 1.0
"""For so long nothing is asked of a Redis that did not answer."""
_ALONE_MS: Final = 2000

_BOARD: Final = """
local found = redis.call('GET', KEYS[1])
local spaces = {}
for at = 5, #ARGV do spaces[#spaces + 1] = ARGV[at] end
local generations = redis.call('HMGET', KEYS[3], unpack(spaces))
if not generations[1] then
  redis.call('HSET', KEYS[3], spaces[1], ARGV[4])
  generations[1] = ARGV[4]
end
local leader = false
if ARGV[1] ~= '' and (ARGV[3] == 'always' or not found) then
  local held, of = redis.call('GET', KEYS[2]), ''
  for at = 1, #spaces do of = of .. ' ' .. (generations[at] or '') end
  if held == 'alone' then leader = held
  elseif held and string.sub(held, -#of) == of then leader = string.sub(held, 1, -#of - 1)
  else
    leader = ARGV[1]
    redis.call('SET', KEYS[2], leader .. of, 'PX', ARGV[2])
  end
end
return {found, leader, generations}
"""
_LEADS: Final = """
local function leads(key, token)
  local held = redis.call('GET', key)
  return held and string.sub(held, 1, #token + 1) == token .. ' '
end
"""
_KEEP: Final = (
    BOUND
    + _LEADS
    + """
if ARGV[1] ~= '' then
  if not leads(KEYS[2], ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[2])
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[6])
bound(KEYS[3], KEYS[4], KEYS[1], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
return 1
"""
)
_LEAVE: Final = (
    _LEADS
    + """
if not leads(KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
)
_RENEW: Final = (
    _LEADS
    + """
if not leads(KEYS[1], ARGV[1]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)


class RedisAway(Exception):
    """Redis does not answer, or did not a moment ago."""


@dataclass(frozen=True, slots=True)
class Board:
    """What lies there under a key, who leads its flight, and the generations of its namespaces."""

    packed: bytes | None
    leader: bytes | None
    generations: tuple[str, ...]


class Shelf:
    """For one event loop. Every method raises :class:`RedisAway`."""

    def __init__(self, redis_url: str, counters: Counters) -> None:
        scripts = {"board": _BOARD, "keep": _KEEP, "leave": _LEAVE, "renew": _RENEW}
        self._redis = Pipe(redis_url, scripts, _TIMEOUT_S)
        self._counters = counters
        self._away_until_s = 0.0
        self._name, self._names = uuid.uuid4().hex, itertools.count()

    def fresh_name(self) -> str:
        """One that nobody else has."""
        return f"{self._name}-{next(self._names)}"

    async def close(self) -> None:
        await self._redis.close()

    async def board(
        self, key: str, spaces: Sequence[str], token: str = "", lease_ms: int = 0, *, always: bool = False
    ) -> Board:
        """Look up; with a ``token``, lead where nobody does: if nothing lies there, or ``always``."""
        keys = (_entry(key), _leader(key), GENERATIONS)
        arguments = (token, lease_ms, "always" if always else "", self.fresh_name(), *spaces)
        packed, leader, generations = await self._ask(*_script("board", keys, *arguments))
        return Board(packed, leader, names(generations))

    def keep(self, key: str, packed: bytes, token: str, ttl_s: int, most_bytes: int) -> asyncio.Future[Any]:
        """Put an answer there and end its flight; not if another leads by now. No ``token``: no flight.

        Nobody waits for it: :meth:`was_kept` says what came of it.
        """
        keys = (_entry(key), _leader(key), "gradus:answers:index", "gradus:answers:total")
        size = len(packed) + OVERHEAD_BYTES
        arguments = (token, packed, self.fresh_name(), size, time.time(), ttl_s, most_bytes)
        return self._told(*_script("keep", keys, *arguments))

    def was_kept(self, answer: asyncio.Future[Any]) -> bool:
        if answer.cancelled():
            return False
        error = answer.exception()
        if isinstance(error, RedisError | OSError):
            self._failed(error)
        return error is None and bool(answer.result())

    async def leave(self, key: str, token: str, *, alone: bool) -> None:
        """End a flight without an answer: another may lead it, or all go ``alone``."""
        said = ALONE if alone else b""
        await self._ask(*_script("leave", (_leader(key),), token, said, _ALONE_MS))

    async def renew(self, key: str, token: str, lease_ms: int) -> None:
        await self._ask(*_script("renew", (_leader(key),), token, lease_ms))

    async def purge(self, space: str) -> None:
        await self._ask("HSET", GENERATIONS, space, uuid.uuid4().hex)

    async def _ask(self, *command: Argument) -> Any:
        try:
            return await self._told(*command)
        except (RedisError, OSError) as error:
            self._failed(error)
            raise RedisAway(str(error)) from error

    def _told(self, *command: Argument) -> asyncio.Future[Any]:
        if time.monotonic() < self._away_until_s:
            raise RedisAway("Redis did not answer a moment ago")
        return self._redis.call(*command)

    def _failed(self, error: RedisError | OSError) -> None:
        self._counters.redis_failures += 1
        if isinstance(error, ResponseError):  # it answers, and cannot do it: out of memory, a replica
            log.warning("the cache is passed by: %s", error)
        else:
            self._away_until_s = time.monotonic() + _PAUSE_S
            log.warning("the cache is passed by, Redis does not answer: %s", error)


def _script(name: str, keys: tuple[str, ...], *arguments: Argument) -> tuple[Argument, ...]:
    return SCRIPT, name, len(keys), *keys, *arguments


def _entry(key: str) -> str:
    return f"gradus:answers:entry:{key}"


def _leader(key: str) -> str:
    return f"gradus:answers:leader:{key}"
