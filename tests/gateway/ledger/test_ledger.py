"""What may be spent, what is refused and what the client hears, with one gateway that nothing happens to."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import redis

from cost_model.usage import Usage
from gateway.accounts import Account, Limits
from gateway.errors import BudgetExceeded, CostUnknown, GatewayError, LedgerUnavailable, RateLimited
from gateway.ledger.ledger import Ledger
from gateway.ledger.terms import Reservation
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import held, running

DOLLAR = 10**12


async def told(ledger: Ledger) -> None:
    await eventually(lambda: not ledger.numbers().untold)


async def refused(ledger: Ledger, who: Account, worst_usd: str = "0", tokens: int = 0) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await ledger.reserve("refused", who, Decimal(worst_usd), tokens)
    return caught.value


def test_after_settlement_what_is_left_is_exact_to_the_picodollar(opened: Open, redis_url: str) -> None:
    who = account(Limits(usd_total=Decimal(20_000)))  # beyond 2^53 picodollars, where doubles are inexact

    async def spend() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", who, Decimal(15_000), 0)
            assert isinstance(await refused(ledger, who, "5000.000000000001"), BudgetExceeded)
            ledger.settle(first, entry(first, "9999.9999999999991"))
            await told(ledger)
            assert isinstance(await refused(ledger, who, "10000.000000000001"), BudgetExceeded)
            second = await ledger.reserve("b", who, Decimal("10000"), 0)
            ledger.settle(second, entry(second, "10000"))
            assert isinstance(await refused(ledger, who, "0.000000000001"), BudgetExceeded)
            await ledger.reserve("c", who, Decimal(0), 0)

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client)["key:k"] == 20_000 * DOLLAR


def test_a_request_is_held_in_all_its_budgets_or_in_none(opened: Open, redis_url: str) -> None:
    who = account(Limits(usd_total=Decimal(10)), team=Limits(usd_per_month=Decimal(1)))

    async def spend() -> None:
        async with opened() as ledger:
            await ledger.reserve("a", who, Decimal(1), 0)
            error = await refused(ledger, who, "0.5")
            assert "This key's team has $0 left of $1 for 20" in str(error)
            assert error.retry_after_s

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert set(held(client).values()) == {DOLLAR}
        assert running(client) == {"all": 1, "key:k": 1, "team:t": 1}


def test_a_budget_that_is_never_reset_says_no_time(opened: Open) -> None:
    async def spend() -> None:
        async with opened() as ledger:
            error = await refused(ledger, account(Limits(usd_total=Decimal("0.5"))), "0.75")
            assert str(error) == "This key has $0.5 left of $0.5, and this request may cost $0.75."
            assert error.retry_after_s is None

    asyncio.run(spend())


def test_settling_or_cancelling_again_changes_nothing(
    opened: Open, redis_url: str, journal: SqliteJournal
) -> None:
    who = account(Limits(usd_total=Decimal(10)))

    async def spend() -> None:
        async with opened() as ledger:
            one = await ledger.reserve("a", who, Decimal(2), 0)
            ledger.settle(one, entry(one, "1"))
            ledger.settle(one, entry(one, "2"))
            ledger.cancel(one)
            other = await ledger.reserve("b", who, Decimal(2), 0)
            ledger.cancel(other)
            ledger.settle(other, entry(other, "2"))

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client) == {"all": DOLLAR, "key:k": DOLLAR}
        assert running(client) == {"all": 0, "key:k": 0}
    assert journal.entries() == {"a": (DOLLAR, "answered")}


def test_what_cost_more_than_was_reserved_is_booked_in_full_and_shown(opened: Open, redis_url: str) -> None:
    async def spend() -> None:
        async with opened() as ledger:
            one = await ledger.reserve("a", account(Limits(usd_total=Decimal(2))), Decimal(1), 0)
            ledger.settle(one, entry(one, "3"))
            assert ledger.numbers().overruns == 1
            assert ledger.numbers().overrun_usd == Decimal(2)

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client)["key:k"] == 3 * DOLLAR


def test_what_no_limit_holds_is_counted_all_the_same(
    opened: Open, redis_url: str, journal: SqliteJournal
) -> None:
    async def spend() -> None:
        async with opened() as ledger:
            for worst_usd in (None, Decimal(1)):
                one = await ledger.reserve(str(worst_usd), account(), worst_usd, 0)
                ledger.settle(one, entry(one, "0.25"))

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client) == {"all": DOLLAR // 2, "key:k": DOLLAR // 2}
    assert len(journal.entries()) == 2


def test_a_budget_refuses_what_may_cost_nobody_knows_how_much(opened: Open) -> None:
    async def spend() -> None:
        async with opened() as ledger:
            with pytest.raises(CostUnknown, match="a price and max_tokens"):
                await ledger.reserve("a", account(Limits(usd_per_day=Decimal(1))), None, 0)
            await ledger.reserve("a", account(Limits(requests_per_minute=1)), None, 0)

    asyncio.run(spend())


def test_requests_a_minute_are_as_many_as_the_limit_says(opened: Open) -> None:
    who = account(Limits(requests_per_minute=7))

    async def ask() -> None:
        async with opened() as ledger:
            for i in range(7):
                ledger.cancel(await ledger.reserve(str(i), who, None, 0))
            error = await refused(ledger, who)
            assert isinstance(error, RateLimited)
            assert 1 <= (error.retry_after_s or 0) <= 9  # one in 60 / 7 s
            assert str(error) == "This key may make 7 request(s) a minute."

    asyncio.run(ask())


def test_tokens_a_minute_are_the_most_there_may_be_until_it_is_known_how_many_there_were(
    opened: Open,
) -> None:
    who = account(Limits(tokens_per_minute=1000))

    async def ask() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", who, None, 900)
            assert isinstance(await refused(ledger, who, tokens=200), RateLimited)
            used = (Usage("direct", "m", 1, 60, 40),)
            ledger.settle(first, entry(first, "0", lines=used))
            second = await ledger.reserve("b", who, None, 900)
            ledger.cancel(second)
            await ledger.reserve("c", who, None, 900)
            alone = await refused(ledger, who, tokens=1001)
            assert (alone.code, alone.retry_after_s) == ("request_over_rate_limit", None)

    asyncio.run(ask())


def test_a_budget_that_is_set_while_requests_are_under_way_knows_of_them(
    opened: Open, redis_url: str
) -> None:
    async def ask() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", account(), Decimal(2), 0)
            second = await ledger.reserve("b", account(), Decimal(2), 0)
            capped = account(Limits(usd_total=Decimal(4)))
            assert isinstance(await refused(ledger, capped, "0.000000000001"), BudgetExceeded)
            ledger.settle(first, entry(first, "1"))
            ledger.cancel(second)
            await ledger.reserve("c", capped, Decimal(3), 0)

    asyncio.run(ask())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client)["key:k"] == 4 * DOLLAR


def test_a_request_that_begins_anew_counts_once(opened: Open) -> None:
    who = account(Limits(requests_per_minute=1))

    async def ask() -> None:
        async with opened() as ledger:
            ledger.cancel(await ledger.reserve("a", who, None, 0), begins_anew=True)
            ledger.cancel(await ledger.reserve("a", who, None, 0))
            assert isinstance(await refused(ledger, who), RateLimited)

    asyncio.run(ask())


def test_requests_at_once_are_as_many_as_the_limit_says(opened: Open) -> None:
    who = account(team=Limits(max_concurrent_requests=2))

    async def ask() -> None:
        async with opened() as ledger:
            first = await ledger.reserve("a", who, None, 0)
            second = await ledger.reserve("b", who, None, 0)
            assert isinstance(await refused(ledger, who), RateLimited)
            ledger.cancel(first)
            third = await ledger.reserve("c", who, None, 0)
            ledger.settle(second, entry(second, "1"))
            ledger.settle(third, entry(third, "1"))
            for i in range(2):
                await ledger.reserve(str(i), who, None, 0)

    asyncio.run(ask())


def test_a_client_that_goes_away_while_it_waits_leaves_nothing_held(opened: Open, redis_url: str) -> None:
    who = account(Limits(usd_total=Decimal(10)))

    async def leave(ledger: Ledger, after_ticks: int, id: str) -> None:
        asking = asyncio.create_task(ledger.reserve(id, who, Decimal(1), 0))
        for _ in range(after_ticks):
            await asyncio.sleep(0)
        asking.cancel()
        result = (await asyncio.gather(asking, return_exceptions=True))[0]
        if isinstance(result, Reservation):
            ledger.cancel(result)

    async def ask() -> None:
        async with opened() as ledger:
            await eventually(lambda: ledger.state == "ready")
            await asyncio.gather(*[leave(ledger, i % 40, str(i)) for i in range(200)])
            await eventually(lambda: not ledger.numbers().untold and not ledger.numbers().open)

    asyncio.run(ask())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client).get("key:k", 0) == 0
        assert set(running(client).values()) <= {0}


def test_a_request_that_runs_over_midnight_is_settled_in_the_day_it_was_reserved_in(
    opened: Open, redis_url: str, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = account(Limits(usd_per_day=Decimal(1)))
    now = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    monkeypatch.setattr("gateway.ledger.ledger.clock", lambda: now)

    async def spend() -> None:
        nonlocal now
        async with opened() as ledger:
            late = await ledger.reserve("a", who, Decimal(1), 0)
            assert (await refused(ledger, who, "1")).retry_after_s == 1
            now = datetime(2027, 1, 1, tzinfo=UTC)
            await ledger.reserve("b", who, Decimal(1), 0)
            ledger.settle(late, entry(late, "0.75"))

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client, "2026-12-31")["key:k"] == held(client, "2026-12")["key:k"] == 3 * DOLLAR // 4
        assert held(client, "2027-01-01")["key:k"] == held(client, "2027-01")["key:k"] == DOLLAR
        assert held(client)["key:k"] == 7 * DOLLAR // 4
    assert (
        journal.standing(datetime(2026, 12, 31, tzinfo=UTC)).spent["key:k", "2026-12-31"] == 3 * DOLLAR // 4
    )


def test_nothing_is_spent_that_cannot_be_written_down_first(
    opened: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    async def spend() -> None:
        async with opened() as ledger:
            held_before = await ledger.reserve("a", account(), Decimal(1), 0)
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", full)
                for who in (account(), account(Limits(usd_total=Decimal(10)))):
                    with pytest.raises(LedgerUnavailable, match="No space left"):
                        await ledger.reserve("b", who, Decimal(1), 0)
                ledger.settle(held_before, entry(held_before, "1"))
            last = await ledger.reserve("c", account(), Decimal(1), 0)
            ledger.settle(last, entry(last, "1"))
            await told(ledger)

    asyncio.run(spend())
    with redis.Redis.from_url(redis_url) as client:
        assert held(client)["key:k"] == 2 * DOLLAR
