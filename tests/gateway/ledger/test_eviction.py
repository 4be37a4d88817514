"""A Redis that drops keys when its memory is full: it is said, and what it dropped is counted anew."""

from __future__ import annotations

import asyncio

from gateway.api.health import _books
from tests.gateway.ledger.accounts import eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.servers import OwnRedis


def test_that_it_may_forget_budgets_is_a_warning(opened: Open, own_redis: OwnRedis) -> None:
    own_redis.start()
    warned: list[list[str]] = []

    async def run() -> None:
        for policy in ("noeviction", "volatile-lru"):
            own_redis.client.config_set("maxmemory-policy", policy)
            async with opened(policy, own_redis.url) as ledger:
                await eventually(lambda: ledger.state == "ready")
                warned.append([each for each in _books(ledger.numbers()) if "maxmemory-policy" in each])

    asyncio.run(run())
    assert list(map(len, warned)) == [0, 1]
