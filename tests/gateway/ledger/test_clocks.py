"""Clocks that are put back, or go ahead: what was spent in a day or month counts whenever that comes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.accounts import Account, Limits
from gateway.errors import BudgetExceeded
from gateway.ledger.ledger import Ledger
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.servers import OwnRedis

NOW = datetime(2026, 12, 30, 12, tzinfo=UTC)
WHO = account(Limits(usd_per_day=Decimal(1)))
BY_MONTH = account(Limits(usd_per_month=Decimal(1)))


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr("gateway.ledger.ledger.clock", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def spend(ledger: Ledger, id: str) -> None:
    one = await ledger.reserve(id, WHO, Decimal(1), 0)
    ledger.settle(one, entry(one, "1"))
    await eventually(lambda: not ledger.numbers().unjournaled)


async def forget(redis: OwnRedis, ledger: Ledger) -> None:
    """Counters are built anew, by what the clocks say now."""
    before = ledger.numbers().rebuilds
    redis.client.flushall()
    await eventually(lambda: ledger.numbers().rebuilds > before and ledger.state == "ready")


@pytest.mark.parametrize("back", [timedelta(days=2), timedelta(days=3), timedelta(days=40)])
@pytest.mark.parametrize("who", [WHO, BY_MONTH], ids=["day", "month"])
def test_a_clock_that_is_put_back_finds_what_was_spent_then(
    opened: Open, own_redis: OwnRedis, clock: Clock, back: timedelta, who: Account
) -> None:
    own_redis.start()

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            await spend(ledger, "a")
            clock.now = NOW + back
            await spend(ledger, "b")
            await forget(own_redis, ledger)
            for now, refused in ((NOW, True), (NOW + back, True), (NOW + timedelta(days=80), False)):
                clock.now = now
                if refused:
                    with pytest.raises(BudgetExceeded):
                        await ledger.reserve("c", who, Decimal("1e-12"), 0)
                else:
                    await ledger.reserve("d", who, Decimal(1), 0)

    asyncio.run(run())


def test_what_a_clock_spent_ahead_of_its_time_counts_when_that_comes(
    opened: Open, own_redis: OwnRedis, clock: Clock
) -> None:
    own_redis.start()

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            clock.now = NOW + timedelta(days=5)
            await spend(ledger, "a")
            clock.now = NOW
            await forget(own_redis, ledger)
            await spend(ledger, "b")
            clock.now = NOW + timedelta(days=5)
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("c", WHO, Decimal("1e-12"), 0)

    asyncio.run(run())


def test_gateways_whose_clocks_are_days_apart_do_not_build_anew_for_ever(
    opened: Open, own_redis: OwnRedis, clock: Clock
) -> None:
    own_redis.start()

    late_by = timedelta(days=9)

    async def refused(ledger: Ledger, now: datetime) -> None:
        clock.now = now
        with pytest.raises(BudgetExceeded):
            await ledger.reserve("z", WHO, Decimal("1e-12"), 0)

    async def run() -> None:
        async with opened("right", own_redis.url) as right, opened("late", own_redis.url) as late:
            await spend(right, "a")
            clock.now = NOW - late_by
            await spend(late, "b")
            right._generations._now = lambda: NOW
            late._generations._now = lambda: NOW - late_by
            own_redis.client.flushall()
            await refused(right, NOW)
            rebuilds = right.numbers().rebuilds + late.numbers().rebuilds
            for _ in range(3):
                await refused(late, NOW - late_by)
                await refused(right, NOW)
            assert right.numbers().rebuilds + late.numbers().rebuilds == rebuilds

    asyncio.run(run())
