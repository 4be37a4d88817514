"""A Redis that drops keys when its memory is full: it is said, and what it dropped is counted anew."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from gateway.accounts import Limits
from gateway.api.health import _books
from gateway.errors import BudgetExceeded
from gateway.ledger.connection import ROOT
from tests.gateway.ledger.accounts import account, entry, eventually
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


@pytest.mark.parametrize("rebuilt", [False, True])
@pytest.mark.parametrize("window", range(3), ids=["total", "month", "day"])
def test_a_window_that_it_dropped_is_counted_anew(
    opened: Open, own_redis: OwnRedis, window: int, rebuilt: bool
) -> None:
    own_redis.start()
    who = account(Limits(usd_total=Decimal(3), usd_per_day=Decimal(3), usd_per_month=Decimal(3)))

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            first = await ledger.reserve("a", who, Decimal(2), 0)
            ledger.settle(first, entry(first, "2"))
            await ledger.reserve("b", who, Decimal(1), 0)
            if rebuilt:
                own_redis.client.flushall()
                with pytest.raises(BudgetExceeded):
                    await ledger.reserve("c", who, Decimal(1), 0)
            generation = own_redis.client.get(f"{ROOT}:generation")
            assert isinstance(generation, bytes)
            assert own_redis.client.delete(f"{ROOT}:{generation.decode()}:{first.windows[window]}") == 1
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("d", who, Decimal("0.000000000001"), 0)

    asyncio.run(run())
