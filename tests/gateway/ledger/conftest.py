"""Ledgers on a real Redis, with a journal in a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.accounts import Account, Key, Limits, Team
from gateway.entries import Entry
from gateway.ledger.ledger import Ledger
from gateway.ledger.terms import Reservation
from tests.gateway.doubles import GIVE_UP_S
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis

NO_LIMITS = Limits()

Open = Callable[..., AbstractAsyncContextManager[Ledger]]


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    own = OwnRedis()
    yield own
    own.close()


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    return SqliteJournal(tmp_path / "journal.db")


@pytest.fixture
def opened(redis_url: str, journal: SqliteJournal, tmp_path: Path) -> Open:
    """``async with opened("name") as ledger``: ready for requests, and stopped at the end."""

    @asynccontextmanager
    async def opened(
        name: str = "gateway", url: str = redis_url, patience_s: float = 20
    ) -> AsyncIterator[Ledger]:
        ledger = Ledger(url, journal, tmp_path / "spool", name, patience_s=patience_s)
        await ledger.start()
        try:
            yield ledger
        finally:
            await ledger.stop()

    return opened


async def eventually(true: Callable[[], object]) -> None:
    """Wait for what goes on in the background; fails after a while."""
    async with asyncio.timeout(GIVE_UP_S):
        while not true():
            await asyncio.sleep(0.005)


def account(limits: Limits = NO_LIMITS, team: Limits | None = None, **options: object) -> Account:
    shared = None if team is None else Team("t", "t", team)
    return Account(Key("k", "k", "k", shared, limits, **options))  # type: ignore[arg-type]


def entry(reservation: Reservation, billed_usd: Decimal | str, **options: object) -> Entry:
    return Entry(reservation.id, reservation.at, "answered", Decimal(billed_usd), **options)  # type: ignore[arg-type]
