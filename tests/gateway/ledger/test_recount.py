"""What is booked beside the gateways counts against budgets as soon as the counters were built again."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
import redis

from gateway.accounts import Account, Key, Limits
from gateway.errors import BudgetExceeded
from gateway.ledger.generations import clock
from gateway.ledger.journal import Numbered
from gateway.ledger.recount import recount
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journal_conformance import entry
from tests.gateway.ledger.journals import SqliteJournal

KEY = Account(Key("k", "k", "gk-...", limits=Limits(usd_total=Decimal(10))))


def test_a_correction_of_the_journal_counts_in_gateways_that_run(
    opened: Open, journal: SqliteJournal, redis_url: str
) -> None:
    async def spend() -> None:
        async with opened() as ledger:
            ledger.cancel(await ledger.reserve("before", KEY, Decimal(9), 10))
            journal.append("reconcile", [Numbered(1, entry("adjust", "5", clock(), "adjusted"))])
            await asyncio.to_thread(recount, redis_url)
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("after", KEY, Decimal(9), 10)
            ledger.cancel(await ledger.reserve("within", KEY, Decimal(5), 10))

    asyncio.run(spend())


def test_without_counters_there_is_nothing_to_do(redis_url: str) -> None:
    recount(redis_url)

    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("gradus:ledger*") == []
