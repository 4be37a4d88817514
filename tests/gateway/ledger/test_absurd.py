"""Requests and answers of absurd sizes: refused or bounded, and the counters stay what they have to be."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
import redis

from cost_model.budget import MAX_PICODOLLARS, MAX_REQUEST_PICODOLLARS, usd
from cost_model.usage import Usage
from gateway.accounts import Account, Limits
from gateway.errors import CostUnknown, LedgerUnavailable
from gateway.ledger.connection import ROOT
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import held, running

MOST_USD = usd(MAX_REQUEST_PICODOLLARS)
RATED = account(Limits(requests_per_minute=1000))


@pytest.mark.parametrize("who", [account(), RATED, account(Limits(usd_total=Decimal(10**6)))])
def test_nobody_may_ask_for_more_than_any_request_may_cost(opened: Open, who: Account) -> None:
    async def run() -> None:
        async with opened() as ledger:
            with pytest.raises(CostUnknown, match=r"above 100,000 USD.*max_tokens"):
                await ledger.reserve("a", who, MOST_USD + Decimal("1e-12"), 0)
            ledger.cancel(await ledger.reserve("b", who, MOST_USD, 0))

    asyncio.run(run())


@pytest.mark.parametrize("window", [0, 2], ids=["total", "day"])
def test_what_does_not_fit_into_the_counters_is_held_in_none_of_them(
    opened: Open, redis_url: str, window: int
) -> None:
    async def run() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", RATED, Decimal(1), 0)
            with redis.Redis.from_url(redis_url) as client:
                generation = client.get(f"{ROOT}:generation")
                assert isinstance(generation, bytes)
                counters = f"{ROOT}:{generation.decode()}:{first.windows[window]}"
                client.hset(counters, "key:k", MAX_PICODOLLARS - 5)
                before = held(client)
                with pytest.raises(LedgerUnavailable, match="9,223,372 USD"):
                    await ledger.reserve("b", RATED, usd(6), 0)
                assert held(client) == before
                assert running(client)["key:k"] == 1
                ledger.cancel(await ledger.reserve("c", RATED, usd(5), 0))
                await eventually(lambda: running(client)["key:k"] == 1)
                assert held(client) == before

    asyncio.run(run())


def test_what_is_spent_beyond_the_counters_leaves_them_full(opened: Open, redis_url: str) -> None:
    async def run() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", RATED, Decimal(1), 0)
            with redis.Redis.from_url(redis_url) as client:
                generation = client.get(f"{ROOT}:generation")
                assert isinstance(generation, bytes)
                client.hset(f"{ROOT}:{generation.decode()}:total", "key:k", MAX_PICODOLLARS - 5)
                ledger.settle(first, entry(first, "2"))
                await eventually(lambda: running(client)["key:k"] == 0)
                assert held(client)["key:k"] == MAX_PICODOLLARS
                assert held(client)["all"] == 2 * 10**12

    asyncio.run(run())


def test_an_absurd_bill_is_the_most_that_any_request_may_cost_and_estimated(
    opened: Open, journal: SqliteJournal, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = Usage("direct", "m", 1, 1, 10**17, cost_usd=Decimal(10**12))
    limited = account(Limits(tokens_per_minute=1000, max_concurrent_requests=2))

    async def run() -> None:
        async with opened() as ledger:
            for id in "abc":
                one = await ledger.reserve(id, limited if id == "a" else account(), Decimal(1), 10)
                ledger.settle(one, entry(one, Decimal(10**12), lines=(line,)))
                with redis.Redis.from_url(redis_url) as client:
                    await eventually(lambda: not ledger.numbers().untold and not running(client)["key:k"])

    asyncio.run(run())
    assert {amount for amount, _ in journal.entries().values()} == {MAX_REQUEST_PICODOLLARS}
    assert "is said to have cost 1000000000000 USD" in caplog.text
