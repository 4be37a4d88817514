"""PostgreSQL is really stopped in mid-load: answers go on, the journal waits on disk and is written once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import func, select

from cost_model.budget import picodollars
from gateway.store.database import Database
from gateway.store.journal import spent_by
from gateway.store.models import EntryRow
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import GIVE_UP_S, until
from tests.gateway.ledger.servers import OwnRedis
from tests.gateway.store.postgres import Postgres, started
from tests.gateway.upstream import UpstreamDouble

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

BODY = {"model": "remote", "messages": [{"role": "user", "content": "3 + 4?"}]}
ASKERS = 3
SOME = 20


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with started() as server:
        yield server


class Load:
    """Asks from several threads until the block ends."""

    def __init__(self, url: str) -> None:
        self.answers: list[httpx.Response] = []
        self._url, self._enough = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(GIVE_UP_S)

    def more(self) -> None:
        """Wait for some more answers."""
        wanted = len(self.answers) + SOME
        until(lambda: len(self.answers) >= wanted)

    def _ask(self) -> None:
        with httpx.Client(timeout=GIVE_UP_S) as client:
            while not self._enough.is_set():
                self.answers.append(client.post(f"{self._url}/v1/chat/completions", json=BODY))


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """No other gateway's: while the database is away, its counters could not be built anew."""
    own = OwnRedis()
    yield own
    own.close()


def test_answers_go_on_while_postgresql_is_stopped_and_every_entry_is_written_once(
    postgres: Postgres,
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    own_redis: OwnRedis,
) -> None:
    own_redis.start()
    address = postgres.new_database()
    environ = {"GRADUS_DATABASE_URL": address, "GRADUS_REDIS_URL": own_redis.url}
    url = start(configure(**environ, GRADUS__LIMITS__USD_TOTAL="100"))

    def away() -> bool:
        return "The database is away" in httpx.get(f"{url}/readyz").text

    with Load(url) as load:
        load.more()
        for _ in range(2):
            postgres.stop()
            until(away)
            load.more()
            postgres.start()
            until(lambda: not away())
            load.more()

    assert {each.status_code for each in load.answers} == {200}
    cost = sum(picodollars(Decimal(each.json()["gradus"]["cost_usd"])) for each in load.answers)
    database = Database(address)
    until(lambda: _entries(database) == len(load.answers))
    assert picodollars(spent_by(database, "all", datetime.now(UTC))["total"]) == cost
    database.close()


def _entries(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(EntryRow)).one()
