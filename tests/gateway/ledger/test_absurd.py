"""Requests and answers of absurd sizes: refused or bounded, and the counters stay what they have to be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import redis

from cost_model.budget import MAX_PICODOLLARS, MAX_REQUEST_PICODOLLARS, usd
from cost_model.usage import Usage
from gateway.accounts import Account, Limits
from gateway.errors import BudgetExceeded, CostUnknown
from gateway.ledger.connection import ROOT
from gateway.ledger.generations import hashes
from gateway.ledger.journal import Standing
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import running

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


EDGE = MAX_PICODOLLARS - 5
HIGHEST = account(Limits(usd_total=Decimal(9_000_000)), team=Limits(requests_per_minute=1000))


@pytest.mark.parametrize("window", [0, 2], ids=["total", "day"])
def test_a_counter_without_a_cap_may_be_full_and_holds_nobody_up(
    opened: Open, redis_url: str, window: int
) -> None:
    async def run() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", HIGHEST, Decimal(1), 0)
            with redis.Redis.from_url(redis_url) as client:
                counters = _counters(client, first.windows[window])
                client.hset(counters, mapping={"all": EDGE, "team:t": EDGE})
                second = await ledger.reserve("b", HIGHEST, usd(6), 0)
                assert client.hget(counters, "all") == client.hget(counters, "team:t") == b"full"
                ledger.settle(second, entry(second, usd(6)))
                third = await ledger.reserve("c", HIGHEST, usd(7), 0)
                ledger.cancel(third)
                await eventually(lambda: running(client)["key:k"] == 1)
                assert client.hget(counters, "key:k") == b"%d" % (10**12 + 6)

    asyncio.run(run())


def test_a_full_counter_has_no_room_under_the_highest_cap_whatever_is_given_back(
    opened: Open, redis_url: str
) -> None:
    async def run() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", RATED, MOST_USD, 0)
            with redis.Redis.from_url(redis_url) as client:
                client.hset(_counters(client, "total"), "key:k", EDGE)
                ledger.settle(await ledger.reserve("b", RATED, usd(6), 0), entry(first, usd(6)))
                ledger.cancel(first)
                await eventually(lambda: running(client)["key:k"] == 0)
            with pytest.raises(BudgetExceeded, match=r"has \$0 left of \$9000000"):
                await ledger.reserve("c", HIGHEST, Decimal(0), 0)

    asyncio.run(run())


def test_what_the_journal_adds_up_to_beyond_the_counters_leaves_them_full() -> None:
    spent = {("all", "total"): MAX_PICODOLLARS + 1, ("key:k", "total"): MAX_PICODOLLARS}

    assert hashes(Standing(spent, {}), {}, datetime.now(UTC))["total"] == {
        "all": "full",
        "key:k": str(MAX_PICODOLLARS),
    }


def _counters(client: redis.Redis, window: str) -> str:
    generation = client.get(f"{ROOT}:generation")
    assert isinstance(generation, bytes)
    return f"{ROOT}:{generation.decode()}:{window}"


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
