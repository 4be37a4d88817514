"""Ledgers on a real Redis, with a journal in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.ledger.ledger import Ledger
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis

Open = Callable[..., AbstractAsyncContextManager[Ledger]]


@pytest.fixture
def redis_url(redis_url: str) -> str:
    """A database of that Redis in which no gateway that other tests share counts."""
    return f"{redis_url}?db=1"


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
