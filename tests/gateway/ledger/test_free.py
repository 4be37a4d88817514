"""What costs nothing, as an answer of the cache, is on the books and asks no budget."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from gateway.accounts import Limits
from gateway.errors import GatewayError, RateLimited
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis, held, running

DOLLAR = 10**12


def test_it_waits_for_no_counter_and_changes_none(
    opened: Open, own_redis: OwnRedis, journal: SqliteJournal
) -> None:
    who = account(Limits(usd_total=Decimal(10)))

    async def run() -> None:
        own_redis.start()
        async with opened(url=own_redis.url, patience_s=0.2) as ledger:
            await eventually(lambda: ledger.state == "ready")
            paid = await ledger.reserve("paid", who, Decimal(2), 0)
            own_redis.client.execute_command("CLIENT", "PAUSE", 1000)  # type: ignore[no-untyped-call]
            free = await ledger.reserve_nothing("free", who)
            ledger.settle(free, entry(free, "0"))
            ledger.settle(paid, entry(paid, "2"))
            assert ledger.numbers().untold == 2
            await eventually(lambda: not ledger.numbers().untold)
            assert held(own_redis.client)["key:k"] == 2 * DOLLAR
            assert running(own_redis.client)["key:k"] == 0
            await eventually(lambda: not ledger.numbers().unjournaled)

    asyncio.run(run())
    assert journal.entries() == {"free": (0, "answered"), "paid": (2 * DOLLAR, "answered")}


@pytest.mark.parametrize(
    "limits", [Limits(requests_per_minute=2), Limits(max_concurrent_requests=2)], ids=["a minute", "at once"]
)
def test_limits_of_how_many_requests_there_are_hold_for_it(opened: Open, limits: Limits) -> None:
    who = account(limits)

    async def run() -> None:
        async with opened() as ledger:
            for name in ("a", "b"):
                await ledger.reserve(name, who, Decimal(0), 0)
            with pytest.raises(GatewayError) as refused:
                await ledger.reserve_nothing("c", who)
            assert isinstance(refused.value, RateLimited)

    asyncio.run(run())
