"""Requests, tickets and answers for the tests of the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.accounts import Account, Key, Team
from gateway.cache.answers import AnswerCache
from gateway.cache.control import control_of
from gateway.cache.counters import Status
from gateway.cache.shelf import Board
from gateway.cache.tickets import Ticket
from gateway.cache.visits import Visit
from gateway.replies import Reply
from router.config import Config, load_config

Test = Callable[[AnswerCache], Awaitable[None]]

PATIENCE_S = 30.0
ANYBODY = Account(None)
BODY: Mapping[str, Any] = {
    "model": "gradus",
    "messages": [{"role": "user", "content": "Calculate 3 + 4."}],
    "temperature": 0,
}


def account(key: str, team: str | None = None, **may: Any) -> Account:
    return Account(Key(key, key, "...", None if team is None else Team(team, team), **may))


def config(redis_url: str = "redis://127.0.0.1:6379/0", **cache: Any) -> Config:
    settings = {f"GRADUS__CACHE__{name.upper()}": str(value) for name, value in cache.items()}
    known = {"GRADUS_REDIS_URL": redis_url, "GRADUS__CACHE__MODE": "deterministic"}
    return load_config("abacus", {**known, **settings})


def ticket(
    cache: AnswerCache,
    body: Mapping[str, Any] = BODY,
    *,
    options: Mapping[str, Any] | None = None,
    who: Account = ANYBODY,
    header: str | None = None,
) -> Ticket:
    control = control_of([] if header is None else [header])
    return cache.tickets.of(
        endpoint="/v1/chat/completions",
        body=body,
        options=options or {},
        policy="default",
        account=who,
        control=control,
    )


def reply(text: str = "7", finish_reason: str = "stop", **gradus: Any) -> Reply:
    about = {"route": "small", "model": "abacus-small", "cost_usd": "0.1", "confidence": 0.9, **gradus}
    return Reply(text, finish_reason, {"total_tokens": 9}, about)


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def ask(cache: AnswerCache, of: Ticket, text: str = "7", **answer: Any) -> tuple[str, str]:
    """What a request comes to, and how: its own answer is ``text``."""
    with await cache.visit(of, soon()) as visit:
        if visit.entry is not None:
            return visit.status, visit.entry.text
        visit.keep(reply(text, **answer))
        return visit.status, text


class Watched(AnswerCache):
    """``looks`` counts how often it looked whether an answer is there, or another process is at it."""

    looks = 0

    def _found(self, ticket: Ticket, board: Board, status: Status = "hit") -> Visit | None:
        self.looks += 1
        return super()._found(ticket, board, status)

    async def waited_for(self, requests: int) -> None:
        """Return once so many equal requests are here, and one of them has looked whom to wait for."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.looks or sum(each.aboard for each in self._flights.under_way.values()) < requests:
                await asyncio.sleep(0.005)


async def settled(cache: AnswerCache) -> None:
    """Wait until what is kept in the background is kept."""
    while cache._background:
        await asyncio.gather(*cache._background)


@asynccontextmanager
async def opened(redis_url: str, **settings: Any) -> AsyncIterator[AnswerCache]:
    cache = AnswerCache(config(redis_url, **settings))
    await cache.start()
    try:
        yield cache
    finally:
        await cache.stop()


def run(redis_url: str, test: Test, **settings: Any) -> None:
    """A test of one cache."""

    async def main() -> None:
        async with opened(redis_url, **settings) as cache:
            await test(cache)

    asyncio.run(main())


async def twice(cache: AnswerCache, first: Ticket, second: Ticket | None = None) -> tuple[str, str]:
    """How the second is answered, and with what, after the first got "7"."""
    await ask(cache, first, "7")
    await settled(cache)
    return await ask(cache, second or first, "8")
