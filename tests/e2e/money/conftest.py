"""Four gateway processes on one Redis and one database, started once; tests mend what they break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.money.gateways import Fleet
from tests.e2e.money.upstream import Upstream
from tests.gateway.ledger.servers import OwnRedis


@pytest.fixture(scope="package")
def running_upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    upstream.start()
    yield upstream
    upstream.stop()


@pytest.fixture
def upstream(running_upstream: Upstream) -> Upstream:
    """The server of the model "remote", as if nobody had asked it before."""
    running_upstream.forget()
    return running_upstream


@pytest.fixture(scope="package")
def running_fleet(running_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    redis = OwnRedis()
    redis.start()
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), redis, running_upstream, 4)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
        redis.close()


@pytest.fixture
def fleet(running_fleet: Fleet, upstream: Upstream) -> Fleet:
    return running_fleet
