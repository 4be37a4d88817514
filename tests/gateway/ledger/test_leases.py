"""What may be spent of a budget while Redis is away and nobody can look it up."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from gateway.accounts import Account, Key, Limits, Team
from gateway.errors import LedgerUnavailable
from tests.gateway.ledger.accounts import NO_LIMITS, account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.servers import OwnRedis, held, running

DOLLAR = 10**12


def test_without_redis_a_key_may_spend_its_lease_and_no_more_and_it_counts_afterwards(
    opened: Open, own_redis: OwnRedis
) -> None:
    leased = account(Limits(usd_total=Decimal(10)), without_redis="lease", lease_usd=Decimal(3))

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            for time in "12":  # it holds for each time without Redis
                await eventually(lambda: ledger.state == "redis down")
                first = await ledger.reserve(f"a{time}", leased, Decimal(2), 0)
                with pytest.raises(LedgerUnavailable):
                    await ledger.reserve(f"b{time}", leased, Decimal("1.000000000001"), 0)
                ledger.settle(first, entry(first, "0.5"))
                second = await ledger.reserve(f"c{time}", leased, Decimal("2.5"), 0)
                with pytest.raises(LedgerUnavailable):
                    await ledger.reserve(f"d{time}", leased, Decimal("0.000000000001"), 0)
                ledger.settle(second, entry(second, "0.5"))
                own_redis.start()
                await eventually(lambda: ledger.state == "ready")
                ledger.cancel(await ledger.reserve(f"e{time}", leased, Decimal(1), 0))
                own_redis.kill()
            own_redis.start()
            await eventually(lambda: ledger.state == "ready")
            await eventually(lambda: held(own_redis.client).get("key:k") == 2 * DOLLAR)

    asyncio.run(run())


@pytest.mark.parametrize("is_capped", [True, False], ids=["by lease", "without a budget"])
def test_what_goes_on_without_an_answer_stays_held_when_the_answer_comes_late(
    opened: Open, own_redis: OwnRedis, is_capped: bool
) -> None:
    limits = Limits(usd_total=Decimal(10) if is_capped else None, max_concurrent_requests=5)
    who = account(limits, without_redis="lease", lease_usd=Decimal(3))

    async def run() -> None:
        own_redis.start()
        async with opened(url=own_redis.url, patience_s=0.2) as ledger:
            await eventually(lambda: ledger.state == "ready")
            own_redis.client.execute_command("CLIENT", "PAUSE", 1000)  # type: ignore[no-untyped-call]
            one = await ledger.reserve("a", who, Decimal(2), 0)
            assert ledger.numbers().untold  # it has not heard: the batch is under way
            await eventually(lambda: not ledger.numbers().untold)
            assert held(own_redis.client)["key:k"] == 2 * DOLLAR
            assert running(own_redis.client)["key:k"] == 1
            ledger.settle(one, entry(one, "0.5"))
            await eventually(lambda: held(own_redis.client)["key:k"] == DOLLAR // 2)
            assert running(own_redis.client)["key:k"] == 0

    asyncio.run(run())


@pytest.mark.parametrize("shared", ["team", "all"])
def test_keys_under_one_budget_share_one_lease(opened: Open, own_redis: OwnRedis, shared: str) -> None:
    capped = Limits(usd_per_day=Decimal(10))
    team, everybody = (Team("t", "t", capped), Limits()) if shared == "team" else (None, capped)

    def leased(name: str, lease_usd: int, limits: Limits = NO_LIMITS) -> Account:
        key = Key(name, name, name, team, limits, without_redis="lease", lease_usd=Decimal(lease_usd))
        return Account(key, everybody)

    small, large = leased("a", 3), leased("b", 5)

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            await eventually(lambda: ledger.state == "redis down")
            await ledger.reserve("1", small, Decimal(2), 0)
            with pytest.raises(LedgerUnavailable):
                await ledger.reserve("2", leased("c", 3), Decimal("1.000000000001"), 0)
            await ledger.reserve("3", large, Decimal(3), 0)
            for each in (small, large):
                with pytest.raises(LedgerUnavailable):
                    await ledger.reserve("4", each, Decimal("0.000000000001"), 0)

    asyncio.run(run())


def test_a_lease_is_no_more_than_the_budget_that_it_stands_in_for(opened: Open, own_redis: OwnRedis) -> None:
    limits = Limits(usd_total=Decimal(10), usd_per_day=Decimal(1))
    leased = account(limits, without_redis="lease", lease_usd=Decimal(3))

    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:
            await eventually(lambda: ledger.state == "redis down")
            with pytest.raises(LedgerUnavailable):
                await ledger.reserve("a", leased, Decimal("1.000000000001"), 0)
            await ledger.reserve("b", leased, Decimal(1), 0)

    asyncio.run(run())
